//! One row for each framework: what shows that it is used, what it makes, and what it listens on by itself.

use super::why::{Evidence, Fixed, Rule};

/// A framework. `Own` is the type of the function for what a row cannot say.
#[derive(Debug)]
pub struct Framework<Own = ()> {
    /// Id in `metadata.framework`.
    pub id: &'static str,
    /// What shows it: names of dependencies, of modules that are imported, of files; any of them.
    pub marks: &'static [&'static str],
    /// What it listens on by itself, or its guide; 0: nothing in common.
    pub port: u16,
    /// Environment that production needs.
    pub env: &'static [(&'static str, &'static str)],
    /// What becomes of it where that is not a process of its own.
    pub own: Option<Own>,
}

/// A framework that is known by names and has nothing of its own to say.
pub const fn framework<Own: Copy>(
    id: &'static str,
    marks: &'static [&'static str],
    port: u16,
) -> Framework<Own> {
    Framework { id, marks, port, env: &[], own: None }
}

impl<Own: Copy> Framework<Own> {
    /// With environment that production needs.
    pub const fn env(self, env: &'static [(&'static str, &'static str)]) -> Self {
        Self { env, ..self }
    }

    /// With a function for what a row cannot say.
    pub const fn own(self, own: Own) -> Self {
        Self { own: Some(own), ..self }
    }
}

/// A framework that was found, and where.
#[derive(Debug)]
pub struct Known<Own: 'static = ()> {
    /// Its row.
    pub framework: &'static Framework<Own>,
    /// The mark that showed it.
    pub mark: &'static str,
    /// Where the mark is.
    pub place: Evidence,
}

/// The first framework of a table with a mark that `seen` finds.
pub fn find<Own>(
    table: &'static [Framework<Own>],
    seen: impl Fn(&'static str) -> Option<Evidence>,
) -> Option<Known<Own>> {
    table.iter().find_map(|framework| {
        framework.marks.iter().find_map(|mark| Some(Known { framework, mark, place: seen(mark)? }))
    })
}

impl super::Facts {
    /// Takes a framework that was found.
    pub fn of_framework<Own>(&mut self, known: Option<&Known<Own>>, rule: Fixed) {
        if let Some(Known { framework, place, .. }) = known {
            self.framework(framework.id, Rule::Is(rule), [place.clone()]);
            for (name, value) in framework.env {
                self.env(name, *value);
            }
        }
    }
}
