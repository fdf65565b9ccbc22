//! Colours of our own text: the sixteen every terminal has, by meaning.

/// Paints, or does not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) color: bool,
}

impl Style {
    pub(super) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(super) fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(super) fn done(self, text: &str) -> String {
        self.paint("34", text)
    }

    pub(super) fn warning(self, text: &str) -> String {
        self.paint("33", text)
    }

    pub(super) fn good(self, text: &str) -> String {
        self.paint("1;32", text)
    }

    pub(super) fn error(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    pub(super) fn note(self, text: &str) -> String {
        self.paint("1;36", text)
    }

    fn paint(self, parameters: &str, text: &str) -> String {
        if self.color && !text.is_empty() {
            format!("\x1b[{parameters}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
