//! The one integration binary: it links once, each theme is a file.

mod engine;
mod misbehaviour;
mod proto;
mod support;
