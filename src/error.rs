//! What the command line says when something went wrong, and the exit code that goes with it.

use std::{error, fmt};

/// Who must act, and so the exit code. The numbers are public: README and docs/reference/exit-codes.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A step of the build failed.
    Build,
    /// The command line, the spec or the context is wrong.
    Usage,
    /// No daemon could be reached.
    NoDaemon,
    /// The daemon is too old or lacks a feature.
    Feature,
    /// A registry or its credentials.
    Registry,
    /// The result could not be written.
    Output,
    /// The daemon broke a rule of the protocol, or we did.
    Internal,
    /// Ctrl-C or a termination signal.
    Interrupted,
}

impl Kind {
    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Build => 1,
            Self::Usage => 2,
            Self::NoDaemon => 3,
            Self::Feature => 4,
            Self::Registry => 5,
            Self::Output => 6,
            Self::Internal => 7,
            Self::Interrupted => 130,
        }
    }
}

/// One failure of a command: what, why, what next.
#[derive(Debug)]
pub struct Error {
    /// Decides the exit code.
    pub kind: Kind,
    /// What we were doing; may have several lines.
    pub message: String,
    /// Why it failed.
    pub source: Option<Box<dyn error::Error + Send + Sync>>,
    /// What the user can do.
    pub hints: Vec<String>,
}

impl Error {
    /// A failure that explains itself.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None, hints: Vec::new() }
    }

    /// A failure whose text is another error's, with its causes.
    pub fn from_error(kind: Kind, error: impl error::Error + Send + Sync + 'static) -> Self {
        Self { kind, message: chain(&error), source: None, hints: Vec::new() }
    }

    /// With its cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// With something the user can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// An error and its causes on one line; a cause that only repeats what was said is left out.
fn chain(error: &dyn error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

impl fmt::Display for Error {
    /// `error: …: cause: cause`, then one line per hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        if let Some(source) = &self.source {
            write!(f, ": {}", chain(source.as_ref()))?;
        }
        for hint in &self.hints {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn causes_follow_on_the_line_and_hints_below() {
        let error = Error::new(Kind::Output, "cannot write `app.tar`")
            .because(io::Error::from(io::ErrorKind::PermissionDenied))
            .hint("choose another `dest`");
        let expected =
            "error: cannot write `app.tar`: permission denied\nhint: choose another `dest`";
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.kind.exit_code(), 6);
    }
}
