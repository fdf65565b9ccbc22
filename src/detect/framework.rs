//! One row for each framework: what shows that it is used, what it makes, and what it listens on by itself.

use std::rc::Rc;

use super::{
    Text,
    decision::{Evidence, Rule},
    parts::Missing,
    source,
    why::Fixed,
};

/// A framework. `Own` is the type of the function for what a row cannot say.
#[derive(Debug)]
pub struct Framework<Own = ()> {
    /// Id in `metadata.framework`.
    pub id: &'static str,
    /// What shows it: names of dependencies, of modules that are imported, of files; any of them.
    pub marks: &'static [&'static str],
    /// What it listens on by itself, or its guide; 0: nothing in common, or nowhere.
    pub port: u16,
    /// Environment that production needs.
    pub env: &'static [(&'static str, &'static str)],
    /// Programs that scripts of an application call; a library that only knows the framework calls none. Empty: no matter.
    pub programs: &'static [&'static str],
    /// Files that only an application has, without their extensions.
    pub configs: &'static [&'static str],
    /// What it makes of a project.
    pub makes: Makes,
    /// What becomes of it where that is not a process of its own.
    pub own: Option<Own>,
}

/// What a framework makes of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Makes {
    /// A process that the project's own code starts.
    Process,
    /// A process that a program of the framework starts, for projects that name none.
    Served {
        /// Builds it.
        build: &'static str,
        /// Starts it: the program and its arguments.
        start: &'static str,
    },
    /// A process that the build makes, for projects that name none.
    Written {
        /// Builds it.
        build: &'static str,
        /// File that is run.
        file: &'static str,
    },
    /// Files for a browser.
    Site {
        /// Builds them, for projects that name no command.
        build: &'static str,
        /// Folder they are in then.
        output: &'static str,
        /// What a path without a file of its own gets.
        missing: Missing,
    },
    /// Files for a browser too, by a tool that has other uses: there has to be a page.
    Bundler {
        /// Builds them, for projects that name no command.
        build: &'static str,
        /// Folder they are in then.
        output: &'static str,
    },
}

/// A framework that is known by names and has nothing of its own to say.
pub const fn framework<Own: Copy>(
    id: &'static str,
    marks: &'static [&'static str],
    port: u16,
) -> Framework<Own> {
    let makes = Makes::Process;
    Framework { id, marks, port, env: &[], programs: &[], configs: &[], makes, own: None }
}

impl<Own: Copy> Framework<Own> {
    /// With environment that production needs.
    pub const fn env(self, env: &'static [(&'static str, &'static str)]) -> Self {
        Self { env, ..self }
    }

    /// With programs that scripts of an application call.
    pub const fn programs(self, programs: &'static [&'static str]) -> Self {
        Self { programs, ..self }
    }

    /// With files that only an application has, without their extensions.
    pub const fn configs(self, configs: &'static [&'static str]) -> Self {
        Self { configs, ..self }
    }

    /// With what it makes, where that is not a process of the project's own.
    pub const fn makes(self, makes: Makes) -> Self {
        Self { makes, ..self }
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

    /// The port of a program that serves where it has a framework or one of `calls`; else of the address it binds to.
    pub fn listen<Own>(&mut self, files: &[Rc<Text>], known: Option<&Known<Own>>, calls: &[&str]) {
        let is_called = |call: &&str| source::mention(files, call).is_some();
        let serves = known.is_some() || calls.iter().any(is_called);
        let default = known.map_or(8080, |known| known.framework.port);
        let default = serves.then(|| (default, Fixed::NothingSaysOtherwise.into()));
        self.port(source::port(files, self.language.listens, default));
    }
}
