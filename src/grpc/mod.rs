//! gRPC over the `h2` crate, driven by plain threads. Knows no BuildKit message.
