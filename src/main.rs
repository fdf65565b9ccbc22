//! The `peelbox` binary: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    let code = peelbox::cli::main();
    // A search that was given up may still have some, and nobody ends them but us.
    peelbox::transport::command::end_all();
    code
}
