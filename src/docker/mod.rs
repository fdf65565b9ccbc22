//! Docker Engine: where it is, what it is, and the image it shall hold.

pub mod context;
