//! Versions that version managers read: `.tool-versions` (asdf), `mise.toml`, files with nothing but a version.

use super::{
    Decision, Evidence, Fixed, Project, Rule, What,
    paths::{join, upward},
    versions::Version,
};

/// A version and where it was pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// As written.
    pub version: String,
    /// What kind of pin it is: `.tool-versions`.
    pub rule: String,
    /// Where it stands.
    pub evidence: Evidence,
}

impl Pin {
    /// A pin at a line of a file.
    pub fn new(
        version: impl Into<String>,
        rule: impl Into<String>,
        file: impl Into<String>,
        line: usize,
    ) -> Self {
        Self {
            version: version.into(),
            rule: rule.into(),
            evidence: Evidence::line(file, Some(line)),
        }
    }

    /// The decision for the version that it led to.
    pub fn decides(self, version: &impl ToString) -> Decision {
        let rule = Rule::Named(self.rule);
        Decision::new(What::Version, version.to_string(), rule, [self.evidence])
    }
}

/// A version, why, and where that is said.
pub type Found = (Version, Rule, Evidence);

impl Pin {
    /// The version, if `parse` takes it for one.
    pub fn found(self, parse: impl Fn(&str) -> Option<Version>) -> Option<Found> {
        Some((parse(&self.version)?, Rule::Named(self.rule), self.evidence))
    }

    /// The default in place of a version that nothing is known of.
    pub fn not_understood(self, default: Version, wanted: &'static str) -> Found {
        (default, Rule::NotUnderstood(self.version, wanted), self.evidence)
    }
}

/// What was found, else the default, and the decision.
pub fn decided(found: Option<Found>, default: Version) -> (Version, Decision) {
    let decision = |(version, rule, place): Found| {
        (version, Decision::new(What::Version, version.to_string(), rule, [place]))
    };
    or_default(found.map(decision), default, Fixed::NothingPins)
}

/// What `peelbox.toml` says; it wins over everything.
pub fn stated(project: &Project<'_>, dir: &str) -> Option<Pin> {
    let set = project.settings.service(dir)?;
    let file = &project.settings.file;
    Some(Pin::new(set.version.clone()?, file, file, set.line))
}

/// What version managers pin for `dir`: its own files first, then those of the folders above.
///
/// `own` are files that hold a version alone (`.java-version`), `tools` the names that asdf and mise have for the tool.
pub fn pins(project: &Project<'_>, dir: &str, own: &[&str], tools: &[&str]) -> Vec<Pin> {
    let mut found = Vec::new();
    for at in upward(dir) {
        for name in own {
            found.extend(version_file(project, &join(at, name), name));
        }
        found.extend(tool_versions(project, at, tools));
        found.extend(mise(project, at, tools));
    }
    found
}

/// The first pin that `parse` takes for a version, else the default of the language, and the decision.
pub fn choose(
    pins: impl IntoIterator<Item = Pin>,
    parse: impl Fn(&str) -> Option<String>,
    default: &str,
) -> (String, Decision) {
    or_default(first(pins, parse), default, Fixed::TableDefault)
}

/// The first pin that `parse` takes for a version, and the decision.
pub fn first<V: ToString>(
    pins: impl IntoIterator<Item = Pin>,
    parse: impl Fn(&str) -> Option<V>,
) -> Option<(V, Decision)> {
    let (version, pin) = pins.into_iter().find_map(|pin| Some((parse(&pin.version)?, pin)))?;
    let decision = pin.decides(&version);
    Some((version, decision))
}

/// A version that was found with its decision, else the default, by a rule.
pub fn or_default<V: ToString>(
    found: Option<(V, Decision)>,
    default: impl Into<V>,
    rule: Fixed,
) -> (V, Decision) {
    found.unwrap_or_else(|| {
        let default = default.into();
        let decision = Decision::new(What::Version, default.to_string(), rule, []);
        (default, decision)
    })
}

fn version_file(project: &Project<'_>, path: &str, name: &str) -> Option<Pin> {
    let text = project.tree.read(path)?;
    let (line, version) = text
        .lines()
        .map(|(line, text)| (line, text.trim()))
        .find(|(_, text)| !text.is_empty() && !text.starts_with('#'))?;
    Some(Pin::new(version, name, path, line))
}

fn tool_versions(project: &Project<'_>, dir: &str, tools: &[&str]) -> Option<Pin> {
    let path = join(dir, ".tool-versions");
    let text = project.tree.read(&path)?;
    text.lines().find_map(|(line, text)| {
        let mut words = text.split_whitespace();
        let tool = words.next()?;
        let version = words.next().filter(|_| tools.contains(&tool))?;
        Some(Pin::new(version, ".tool-versions", &path, line))
    })
}

fn mise(project: &Project<'_>, dir: &str, tools: &[&str]) -> Option<Pin> {
    let names = ["mise.toml", ".mise.toml", ".config/mise.toml", "mise/config.toml"];
    names.iter().find_map(|name| {
        let path = join(dir, name);
        let file = project.tree.toml(&path)?;
        tools.iter().find_map(|tool| {
            let value = file.at(&["tools", tool])?;
            let version = value
                .text()
                .or_else(|| value.get("version")?.text())
                .or_else(|| value.items().first()?.text())?;
            Some(Pin::new(version, *name, &path, value.line))
        })
    })
}
