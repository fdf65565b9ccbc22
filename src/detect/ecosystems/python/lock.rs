//! Lock files of Python's managers: what is installed in the end, and because of what.
//!
//! They are looked through line by line, as they may be long; those of uv, Poetry and PDM are TOML, that of Pipenv is JSON.

use std::collections::BTreeMap;

use super::names::normalized;
use crate::detect::prelude::*;

/// Names of lock files, in the order in which they are looked for.
const NAMES: &[&str] = &["uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock"];

/// A lock file.
#[derive(Debug, Default)]
pub(super) struct Lock {
    path: String,
    /// By normalised name.
    packages: BTreeMap<String, Package>,
    /// What the file itself says is for the program, as it has no graph.
    roots: Vec<String>,
}

#[derive(Debug, Default)]
struct Package {
    version: Option<Version>,
    line: usize,
    /// Whether it is a project of the tree.
    is_member: bool,
    needs: Vec<String>,
}

impl Lock {
    /// Reads the one of a folder.
    pub(super) fn load(at: Folder<'_>) -> Option<Self> {
        let text = at.read(at.first_of(NAMES)?)?;
        Some(match text.path.ends_with("Pipfile.lock") {
            true => Self::of_json(&text),
            false => Self::of_toml(&text),
        })
    }

    /// The version of a package, and where it stands.
    pub(super) fn version(&self, name: &str) -> Option<(Version, Evidence)> {
        let package = self.packages.get(name)?;
        Some((package.version?, Evidence::line(&self.path, Some(package.line))))
    }

    /// All packages that are installed for those that are wanted, and where they stand.
    pub(super) fn installed<'n>(
        &self,
        wanted: impl Iterator<Item = &'n str>,
    ) -> BTreeMap<String, Evidence> {
        let mut found = BTreeMap::new();
        let wanted = wanted.map(str::to_owned).chain(self.roots.iter().cloned());
        let mut pending: Vec<String> = wanted.collect();
        while let Some(name) = pending.pop() {
            let Some(package) = self.packages.get(&name) else { continue };
            let place = Evidence::line(&self.path, Some(package.line));
            if found.insert(name, place).is_none() {
                pending.extend(package.needs.iter().cloned());
            }
        }
        found
    }

    fn of_toml(text: &Text) -> Self {
        let mut found = Self { path: text.path.clone(), ..Self::default() };
        let (mut section, mut is_list) = ("", false);
        let mut package: Option<String> = None;
        for (line, whole) in text.lines() {
            let row = whole.trim();
            if whole.starts_with('[') {
                (section, is_list) = (row, false);
                if row == "[[package]]" {
                    package = None;
                }
                continue;
            }
            let key = row.split([' ', '=']).next().unwrap_or_default();
            let value = || row.split_once('=').map_or("", |(_, value)| value.trim());
            let is_own = section == "[[package]]" && !whole.starts_with(' ');
            if is_own && key == "name" {
                let name = normalized(value().trim_matches('"'));
                let new = Package { line, ..Package::default() };
                package = Some(name.clone());
                found.packages.entry(name).or_insert(new);
                continue;
            }
            let Some(package) = package.as_ref().and_then(|name| found.packages.get_mut(name))
            else {
                continue;
            };
            // Extras of the project itself are not installed.
            let is_optional = section == "[package.optional-dependencies]" && !package.is_member;
            match section {
                _ if is_own && key == "version" => {
                    package.version = Version::parse(value().trim_matches('"'));
                    package.line = line;
                }
                _ if is_own && key == "source" => {
                    package.is_member = row.contains("editable = ") || row.contains("virtual = ");
                }
                _ if is_list && row.starts_with(']') => is_list = false,
                _ if is_list => package.needs.extend(name_of_item(row)),
                _ if is_own && key == "dependencies" || is_optional => {
                    is_list = value() == "[";
                    let inline = value().trim_matches(['[', ']']).split(", ");
                    package.needs.extend(inline.filter_map(name_of_item));
                }
                "[package.dependencies]" => package.needs.push(normalized(key.trim_matches('"'))),
                _ => {}
            }
        }
        found
    }

    fn of_json(text: &Text) -> Self {
        let mut found = Self { path: text.path.clone(), ..Self::default() };
        let (mut is_default, mut package) = (false, None);
        for (line, whole) in text.lines() {
            let row = whole.trim();
            let name = row.strip_suffix(": {").map(|name| name.trim_matches('"'));
            if let Some(name @ ("default" | "develop" | "_meta")) = name {
                is_default = name == "default";
            } else if let Some(name) = name {
                package = Some(normalized(name));
            } else if let Some(version) = row.strip_prefix("\"version\": \"==")
                && let Some(name) = package.take()
            {
                let version = Version::parse(version.trim_matches([',', '"']));
                found.roots.extend(is_default.then(|| name.clone()));
                let new = Package { version, line, ..Package::default() };
                found.packages.entry(name).or_insert(new);
            }
        }
        found
    }
}

/// The name in `{ name = "x", … },` of uv, or in `"x>=1; …",` of PDM.
fn name_of_item(row: &str) -> Option<String> {
    let text = row.split_once("name = ").map_or(row, |(_, rest)| rest);
    let text = text.trim().strip_prefix(['"', '\''])?;
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c))?;
    Some(normalized(&text[..end])).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    const UV: &str = "[[package]]\nname = \"shop\"\nversion = \"1.0\"\nsource = { editable = \".\" }\ndependencies = [\n    { name = \"db-package\" },\n    { name = \"sqlalchemy\", extra = [\"pg\"] },\n]\n\n[package.dev-dependencies]\ndev = [\n    { name = \"selenium\" },\n]\n[package.metadata]\nrequires-dist = [{ name = \"selenium\" }]\n[[package]]\nname = \"db-package\"\nsource = { editable = \"db\" }\ndependencies = [{ name = \"Psycopg\" }, { name = \"x\" }]\n[[package]]\nname = \"psycopg\"\nversion = \"3.2.3\"\n[[package]]\nname = \"sqlalchemy\"\nversion = \"2\"\n[package.optional-dependencies]\npg = [\n    { name = \"psycopg2\" },\n]\n[[package]]\nname = \"psycopg2\"\nversion = \"2.9\"\n[[package]]\nname = \"selenium\"\nversion = \"4\"\n";
    const POETRY: &str = "[[package]]\nname = \"a\"\nversion = \"1\"\n\n[package.dependencies]\nPsycopg2 = {version = \">=2\"}\n\n[package.extras]\nx = [\"selenium\"]\n[[package]]\nname = \"psycopg2\"\nversion = \"2.9\"\n[[package]]\nname = \"selenium\"\nversion = \"4\"\n";
    const PDM: &str = "[[package]]\nname = \"a\"\nversion = \"1\"\ndependencies = [\n    \"psycopg2>=2; x\",\n]\n[[package]]\nname = \"psycopg2\"\nversion = \"2.9\"\n[[package]]\nname = \"selenium\"\nversion = \"4\"\n";
    const PIPENV: &str = "{\n    \"_meta\": {\n    },\n    \"default\": {\n        \"a\": {\n            \"version\": \"==1.0\"\n        },\n        \"psycopg2\": {\n            \"version\": \"==2.9\",\n        },\n    },\n    \"develop\": {\n        \"selenium\": {\n            \"version\": \"==4\"\n        }\n    }\n}\n";

    fn lock(text: &str) -> Lock {
        let text = Text { path: "x.lock".into(), text: text.into() };
        if text.text.starts_with('{') { Lock::of_json(&text) } else { Lock::of_toml(&text) }
    }

    #[test]
    fn what_is_installed_follows_the_graph_and_leaves_out_development() {
        let check = |text: &str, root: &str, want: &[&str]| {
            let found = lock(text).installed([root].into_iter());
            assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), want, "{text}");
        };
        check(UV, "shop", &["db-package", "psycopg", "psycopg2", "shop", "sqlalchemy"]);
        check(POETRY, "a", &["a", "psycopg2"]);
        check(PDM, "a", &["a", "psycopg2"]);
        check(PIPENV, "a", &["a", "psycopg2"]);
        assert_eq!(lock(UV).version("psycopg").unwrap().0.to_string(), "3.2.3");
        assert_eq!(lock(PIPENV).version("psycopg2").unwrap().1.line, Some(9));
    }

    #[test]
    fn no_text_makes_it_panic() {
        for seed in [UV, POETRY, PDM, PIPENV] {
            mutate(seed.as_bytes(), b"[]{}=\", \n\xc3", 1000, |data| {
                let found = lock(&String::from_utf8_lossy(data));
                assert!(found.installed(["shop"].into_iter()).len() <= found.packages.len());
            });
        }
    }
}
