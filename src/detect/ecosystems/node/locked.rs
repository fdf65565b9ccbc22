//! What a lock file says of the manifest it was written for: whether a frozen install would refuse it.

use std::collections::BTreeMap;

use super::{package::Package, references::is_repository, tool::Tool};
use crate::detect::{prelude::*, versions::npm::Range};

/// What was read of a lock file, once, line by line.
#[derive(Clone, Debug, Default)]
pub(super) struct Locked {
    /// It names repositories.
    pub(super) has_repositories: bool,
    /// A dependency of the manifest that it does not have, or has for another range.
    pub(super) lacks: Option<String>,
}

/// Direct dependencies as they were when it was written.
#[derive(Default)]
struct Written {
    /// Ranges by name; of Yarn every `NAME@RANGE`.
    ranges: BTreeMap<String, String>,
    /// Whether the part with them was found.
    is_known: bool,
    /// Braces that are open within it, or whether it goes on.
    depth: usize,
    /// The name that a range is expected for.
    name: String,
}

impl Locked {
    pub(super) fn read(root: &Package<'_>, tool: Tool, path: &str) -> Self {
        let (mut written, mut has_repositories) = (Written::default(), false);
        root.at.project.tree.each_line(path, |line| {
            has_repositories |= is_repository(line);
            match tool {
                Tool::Npm => written.npm(line),
                Tool::Pnpm => written.pnpm(line),
                Tool::Classic => written.classic(line),
                Tool::Berry | Tool::Bun => {}
            }
        });
        // What overrides set stands in the lock file in place of the ranges.
        let is_plain = ["overrides", "resolutions", "pnpm"].iter().all(|key| !root.json.has(key));
        let is_plain =
            is_plain && root.at.first_of(&["pnpm-workspace.yaml", ".pnpmfile.cjs"]).is_none();
        let is_filled = written.is_known && !written.ranges.is_empty();
        let lacks = (is_filled && is_plain).then(|| written.lacks(root, tool)).flatten();
        Self { has_repositories, lacks }
    }
}

impl Written {
    /// The package `""` of version 2 and 3.
    fn npm(&mut self, line: &str) {
        let text = line.trim();
        if text == "\"\": {" && !self.is_known {
            (self.is_known, self.depth) = (true, 1);
        } else if self.depth > 0 {
            if let (2, Some((name, range))) = (self.depth, text.split_once("\": ")) {
                let range = range.trim_matches([',', '"']);
                self.ranges.insert(name.trim_start_matches('"').to_owned(), range.to_owned());
            }
            self.depth += usize::from(text.ends_with('{'));
            self.depth -= usize::from(text.starts_with('}'));
        } else if let Some(path) = text.strip_prefix("\"node_modules/") {
            self.name = path.trim_end_matches("\": {").to_owned();
        } else if let Some(version) =
            text.strip_prefix("\"version\": \"").filter(|_| !self.name.is_empty())
        {
            let key = format!("{} ", std::mem::take(&mut self.name));
            self.ranges.insert(key, version.trim_end_matches(['"', ',']).to_owned());
        }
    }

    /// The importer `.` of version 6 and 9.
    fn pnpm(&mut self, line: &str) {
        let indent = line.len() - line.trim_start().len();
        let text = line.trim().trim_matches('\'');
        match (indent, text) {
            (0, "importers:") => self.depth = 1,
            (2, ".:") if self.depth == 1 => (self.depth, self.is_known) = (2, true),
            (0 | 2, _) if self.depth == 2 && !text.is_empty() => self.depth = 3,
            (6, _) if self.depth == 2 => {
                self.name = text.trim_end_matches(':').trim_matches('\'').to_owned();
            }
            (8, _) if self.depth == 2 => {
                if let Some(range) = text.strip_prefix("specifier: ") {
                    let range = range.trim_matches('\'').to_owned();
                    self.ranges.insert(std::mem::take(&mut self.name), range);
                }
            }
            _ => {}
        }
    }

    /// `express@^4.17.0, express@^4.18.0:`.
    fn classic(&mut self, line: &str) {
        self.is_known |= line.starts_with("# yarn lockfile v1");
        if let Some(head) = line.strip_suffix(':').filter(|_| !line.starts_with([' ', '#'])) {
            let all = head.split(", ").map(|one| (one.trim_matches('"').to_owned(), String::new()));
            self.ranges.extend(all);
        }
    }

    fn lacks(&self, root: &Package<'_>, tool: Tool) -> Option<String> {
        let is_of_registry = |range: &str| !range.contains([':', '/']);
        let is_locked = |name: &str, range: &str| match tool {
            Tool::Classic => {
                !is_of_registry(range) || self.ranges.contains_key(&format!("{name}@{range}"))
            }
            Tool::Pnpm => self.ranges.get(name).is_some_and(|locked| locked == range),
            _ => self.ranges.get(name).is_some_and(|locked| {
                let version = self.ranges.get(&format!("{name} ")).and_then(|v| Version::parse(v));
                // Another range is fine as long as it allows what is locked.
                let fits = || Some(Range::parse(range)?.allows(version?));
                locked == range || fits().unwrap_or(true)
            }),
        };
        let mut direct = root.dependencies().filter(|(name, _)| root.has_own(name));
        direct.find(|(name, range)| !is_locked(name, range)).map(|(name, _)| name.to_owned())
    }
}
