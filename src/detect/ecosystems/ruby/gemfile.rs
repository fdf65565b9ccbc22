//! `Gemfile` and `Gemfile.lock`: gems that are needed to run, the version of Ruby, where gems come from.
//!
//! A `Gemfile` is a program; the lines that projects write are read, nothing is run.

use std::collections::{BTreeMap, BTreeSet};

use crate::detect::prelude::*;

/// What both files say.
#[derive(Debug, Default)]
pub(super) struct Gems {
    pub(super) path: String,
    /// Gems outside of the groups development and test, with the first requirement.
    gems: BTreeMap<String, (String, usize)>,
    /// What stands behind `ruby`, several requirements joined with `, `, and its line; `file:` of it apart.
    pub(super) ruby: Option<(String, usize)>,
    pub(super) ruby_file: Option<String>,
    /// A gem that lies in the tree.
    pub(super) local: Option<usize>,
    /// Path of the lock file.
    pub(super) lock: Option<String>,
    /// Exact versions of the lock file.
    locked: BTreeMap<String, Version>,
    /// What its gems need, those that lie in the tree under an empty name.
    needs: BTreeMap<String, Vec<String>>,
    /// `RUBY VERSION` of the lock file.
    pub(super) locked_ruby: Option<(String, usize)>,
    /// It is locked for systems other than Linux alone.
    pub(super) lacks_linux: bool,
}

impl Gems {
    /// Reads the files of a folder; `None` without a `Gemfile`.
    pub(super) fn load(at: Folder<'_>) -> Option<Self> {
        let file = at.first_of(&["Gemfile", "gems.rb"])?;
        let mut found = Self { path: at.path(file), ..Self::default() };
        found.read(&*at.read(file)?);
        if let Some(lock) = at.first_of(&["Gemfile.lock", "gems.locked"]) {
            found.lock = Some(at.path(lock));
            at.read(lock).inspect(|text| found.read_lock(text));
        }
        Some(found)
    }

    /// Whether there is a `Gemfile`.
    pub(super) fn is_there(&self) -> bool {
        !self.path.is_empty()
    }

    /// Whether a gem is named in the `Gemfile`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.gems.contains_key(name)
    }

    /// The first of these gems that is named.
    pub(super) fn first_of<'n>(&self, names: &[&'n str]) -> Option<&'n str> {
        names.iter().copied().find(|name| self.has(name))
    }

    /// Whether a gem is there, if only because another needs it.
    pub(super) fn resolves(&self, name: &str) -> bool {
        self.has(name) || self.locked.contains_key(name)
    }

    /// Where a gem is named that is installed to run, if only because another needs it.
    pub(super) fn installed(&self, name: &str) -> Option<Evidence> {
        if self.has(name) {
            return Some(self.place(name));
        }
        let mut pending: Vec<&str> = self.gems.keys().map(String::as_str).chain([""]).collect();
        let mut seen = BTreeSet::new();
        while let Some(gem) = pending.pop() {
            if gem == name {
                return self.lock.as_ref().map(Evidence::file);
            }
            // It has two libraries to choose from, and Rails uses but one.
            if seen.insert(gem) && gem != "image_processing" {
                pending.extend(self.needs.get(gem).into_iter().flatten().map(String::as_str));
            }
        }
        None
    }

    /// Where a gem is named.
    pub(super) fn place(&self, name: &str) -> Evidence {
        Evidence::line(&self.path, self.gems.get(name).map(|(_, line)| *line))
    }

    /// The version of a gem: of the lock file, else what the requirement begins with.
    pub(super) fn version(&self, name: &str) -> Option<Version> {
        let written = || {
            let (requirement, _) = self.gems.get(name)?;
            Version::parse(requirement.trim_start_matches(['~', '>', '=', '<', ' ']))
        };
        self.locked.get(name).copied().or_else(written)
    }

    fn read(&mut self, text: &Text) {
        // Blocks that are open, each with whether its gems are left out.
        let mut blocks: Vec<bool> = Vec::new();
        for (at, line) in text.lines() {
            let line = line.split(" #").next().unwrap_or(line).trim();
            let word = line.split([' ', '(']).next().unwrap_or_default();
            let rest = line[word.len()..].trim().trim_start_matches('(');
            let is_left_out = blocks.iter().any(|out| *out);
            match word {
                "gem" => self.gem(rest, at, is_left_out),
                "gemspec" => self.local = Some(at),
                "ruby" => self.ruby(rest, at),
                "end" => drop(blocks.pop()),
                "group" | "install_if" | "platforms" | "platform" | "source" | "path" | "git"
                | "github"
                    if line.ends_with(" do") =>
                {
                    let groups = rest.trim_end_matches(" do");
                    blocks.push(word == "group" && is_development(groups));
                    if word == "path" {
                        self.local = Some(at);
                    }
                }
                "if" | "unless" | "case" => blocks.push(false),
                _ => {}
            }
        }
    }

    fn gem(&mut self, rest: &str, at: usize, is_left_out: bool) {
        let texts = texts(rest);
        let Some(name) = texts.first() else { return };
        let options = rest.split_once(',').map_or("", |(_, options)| options);
        let group = options.split_once("group").map(|(_, group)| group);
        if is_left_out || group.is_some_and(is_development) {
            return;
        }
        if options.contains("path:") || options.contains(":path") {
            self.local = Some(at);
        }
        let requirement = texts.get(1).filter(|text| text.contains(|c: char| c.is_ascii_digit()));
        let requirement = requirement.map_or(String::new(), |text| (*text).to_owned());
        self.gems.entry((*name).to_owned()).or_insert((requirement, at));
    }

    fn ruby(&mut self, rest: &str, at: usize) {
        if let Some((_, file)) = rest.split_once("file:") {
            self.ruby_file = texts(file).first().map(|file| (*file).to_owned());
            return;
        }
        let requirements = texts(rest.split("engine").next().unwrap_or(rest));
        if !requirements.is_empty() {
            self.ruby = Some((requirements.join(", "), at));
        }
    }

    fn read_lock(&mut self, text: &Text) {
        let mut section = "";
        let mut platforms: Vec<&str> = Vec::new();
        let mut gem = "";
        for (at, line) in text.lines() {
            let trimmed = line.trim();
            if !line.starts_with(' ') {
                section = trimmed;
                continue;
            }
            match section {
                "PLATFORMS" => platforms.push(trimmed),
                "RUBY VERSION" => {
                    let version = trimmed.strip_prefix("ruby ").unwrap_or(trimmed);
                    let version = version.split('p').next().unwrap_or(version);
                    self.locked_ruby = Some((version.to_owned(), at));
                }
                // Four blanks: a gem; six: what it needs.
                "GEM" | "GIT" | "PATH"
                    if line.starts_with("    ") && !line.starts_with("     ") =>
                {
                    let Some((name, version)) = trimmed.split_once(" (") else { continue };
                    gem = name;
                    if section == "PATH" {
                        self.needs.entry(String::new()).or_default().push(name.to_owned());
                    }
                    if let Some(version) = Version::parse(version) {
                        self.locked.insert(name.to_owned(), version);
                    }
                }
                "GEM" | "GIT" | "PATH" if line.starts_with("      ") && !gem.is_empty() => {
                    let name = trimmed.split(' ').next().unwrap_or(trimmed);
                    self.needs.entry(gem.to_owned()).or_default().push(name.to_owned());
                }
                _ => {}
            }
        }
        let fits = |name: &&str| *name == "ruby" || name.contains("linux");
        self.lacks_linux = !platforms.is_empty() && !platforms.iter().any(fits);
    }
}

fn is_development(groups: &str) -> bool {
    let has = |names: &[&str]| names.iter().any(|name| groups.contains(name));
    has(&["development", "test", "debug", "ci", "lint"])
        && !has(&["production", "default", "assets"])
}

/// Texts in quotes, in order.
pub(super) fn texts(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find(['"', '\'']) {
        let quote = if rest[start..].starts_with('"') { '"' } else { '\'' };
        let Some(length) = rest[start + 1..].find(quote) else { break };
        found.push(&rest[start + 1..start + 1 + length]);
        rest = &rest[start + length + 2..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    fn gems(gemfile: &str, lock: &str) -> Gems {
        let text = |text: &str| Text { path: "Gemfile".into(), text: text.into() };
        let mut found = Gems::default();
        found.read(&text(gemfile));
        found.read_lock(&text(lock));
        found
    }

    #[test]
    fn gems_of_development_are_left_out() {
        let found = gems(
            "source 'https://x'\nruby '3.2.2'\ngem 'rails', '~> 7.1' # x\ngroup :development, :test do\n  gem 'rspec'\nend\n\
             gem \"pry\", group: :development\ngroup :production do\n  gem 'pg'\nend\ngem 'a', path: '../a'\n",
            "",
        );
        assert!(found.has("rails") && found.has("pg") && !found.has("rspec") && !found.has("pry"));
        assert_eq!(found.ruby, Some(("3.2.2".to_owned(), 2)));
        assert_eq!(
            (found.local, found.version("rails").unwrap().to_string().as_str()),
            (Some(11), "7.1")
        );
    }

    #[test]
    fn the_lock_file_gives_versions_and_platforms() {
        let lock = "GEM\n  remote: x\n  specs:\n    rails (7.1.2)\n      rack (>= 2)\n    pg (1.5.4-x86_64-darwin)\n\nPLATFORMS\n  arm64-darwin-22\n\nRUBY VERSION\n   ruby 3.2.2p53\n";
        let found = gems("", lock);
        assert_eq!(found.version("rails").unwrap().to_string(), "7.1.2");
        assert!(found.lacks_linux && found.resolves("pg") && !found.resolves("rack"));
        assert_eq!(found.locked_ruby.unwrap().0, "3.2.2");
    }

    #[test]
    fn what_a_gem_needs_is_installed_and_what_development_needs_is_not() {
        let lock = "GEM\n  specs:\n    acme (1.0)\n      pg (>= 1)\n    pg (1.5.4)\n    rspec (3)\n      mysql2\n    mysql2 (0.5)\n";
        let mut found = gems("gem 'acme'\ngem 'rspec', group: :test\n", lock);
        found.lock = Some("Gemfile.lock".to_owned());
        assert!(found.installed("pg").is_some() && found.installed("acme").is_some());
        assert!(found.installed("mysql2").is_none() && found.installed("x").is_none());
    }

    #[test]
    fn no_text_makes_the_reader_panic() {
        let seed = "ruby '3.2', engine: 'x'\ngem 'a', '~> 1' do\ngroup :test do\nend\nPLATFORMS\n  ruby\nGEM\n    x (1)\n";
        mutate(seed.as_bytes(), b"'\"(): \n#\xc3", 3000, |data| {
            let text = String::from_utf8_lossy(data);
            drop(gems(&text, &text));
        });
    }
}
