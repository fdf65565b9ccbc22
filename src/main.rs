//! The `peelbox` binary: arguments in, exit code out.

fn main() {}
