//! The `peelbox` binary: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    peelbox::cli::main()
}
