//! Nothing but failures.

use std::time::Duration;

use crate::progress::model::{Changes, Model};
use crate::progress::output::Output;
use crate::progress::{Display, LocalTime, Look, Outcome};

/// Shows the failure report and nothing else.
pub(super) struct QuietDisplay {
    out: Output,
    color: bool,
}

impl QuietDisplay {
    pub(super) fn new(out: Output, look: Look) -> Self {
        Self { out, color: look.color }
    }
}

impl Display for QuietDisplay {
    fn update(&mut self, _model: &Model, _changes: &Changes, _now: LocalTime) {}

    fn tick(&mut self, _model: &Model, _now: LocalTime) {}

    fn note(&mut self, _text: &str) {}

    fn finish(&mut self, _model: &Model, outcome: &Outcome, _now: LocalTime) {
        if let Outcome::Failed(failures) = outcome {
            for failure in failures {
                self.out.text(&failure.render(self.color));
            }
            self.out.flush();
        }
    }

    fn tick_interval(&self) -> Option<Duration> {
        None
    }
}
