//! The command line: what was typed → what it means → done. The one place that prints errors.

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;

use crate::{
    connect::{Builder, describe_engine},
    error::{Error, Kind},
    terminal_text,
};

mod args;
mod build;
#[cfg(feature = "detect")]
mod detect;
mod doctor;
mod env;
mod error;
mod event_loop;
mod finish;
mod inspect;
mod places;
mod plan;
mod project;
mod request;
mod sbom;
mod secrets;
#[cfg(feature = "detect")]
mod stale;

use args::{Cli, Command, RemovedArgs, SchemaArgs, SchemaOf};

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) if e.use_stderr() && std::env::args().any(|a| a.starts_with("--context-name")) => {
            return fail(&build::context_name_is_gone("universalbuild.json"));
        }
        Err(e) => {
            // Help and version come this way too, with their own code; a closed pipe is no failure.
            drop(e.print());
            return ExitCode::from(if e.use_stderr() { Kind::Usage.exit_code() } else { 0 });
        }
    };
    let environment = env::Environment::read();
    let result = match cli.command {
        #[cfg(feature = "detect")]
        Command::Detect(args) => detect::run(&args, &environment),
        Command::Build(args) => build::run(&args, &environment),
        Command::Plan(args) => plan::run(&args, &environment),
        Command::Inspect(args) => inspect::run(&args),
        Command::Sbom(args) => sbom::run(*args, &environment),
        Command::Doctor(args) => doctor::run(&args, &environment),
        Command::Schema(SchemaArgs { of }) => print_stdout(match of {
            SchemaOf::Spec => crate::spec::SCHEMA.as_bytes(),
            #[cfg(feature = "detect")]
            SchemaOf::Settings => crate::detect::settings::SCHEMA.as_bytes(),
        }),
        Command::Frontend(args) => Err(frontend_is_gone(&args)),
    };
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    };
    // Threads that are left behind may be writing.
    crate::output::forsake();
    code
}

fn fail(error: &Error) -> ExitCode {
    // Without a standard error the exit code must do.
    drop(writeln!(std::io::stderr(), "{}", terminal_text::message(&error.to_string())));
    ExitCode::from(error.kind.exit_code())
}

/// `peelbox frontend --spec FILE | buildctl build …` was the way before peelbox spoke to BuildKit itself.
fn frontend_is_gone(args: &RemovedArgs) -> Error {
    let mut spec = "universalbuild.json";
    let mut words = args.rest.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if let Some(file) = word.strip_prefix("--spec=") {
            spec = file;
        } else if word == "--spec" {
            spec = words.next().unwrap_or(spec);
        }
    }
    Error::new(Kind::Usage, "`peelbox frontend` was removed: peelbox speaks to BuildKit itself")
        .hint(format!("peelbox build --spec {spec} --tag app:latest"))
        .hint(format!("for buildctl: peelbox plan --spec {spec} --format llb | buildctl build --local context=."))
}

/// What builds, for the head of the progress.
fn title(builder: &Builder) -> String {
    match builder.engine() {
        Some(engine) => {
            let version = builder.version();
            format!("Using Docker's BuildKit {version} ({})", describe_engine(engine))
        }
        None => builder.describe(),
    }
}

/// Says on standard error what is no error.
fn note(text: &str) {
    drop(writeln!(std::io::stderr(), "note: {}", terminal_text::message(text)));
}

/// Writes data to standard output; a reader that has seen enough is no failure.
fn print_stdout(data: &[u8]) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match out.write_all(data).and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(e) => Err(Error::new(Kind::Output, "cannot write to standard output").because(e)),
        Ok(()) => Ok(()),
    }
}
