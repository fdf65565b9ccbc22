//! The one integration binary: it links once, each theme is a file.

mod engine;
mod proto;
mod support;
