//! Gradle's scripts, in Groovy and in Kotlin, read as text: the calls that builds are written with, not the language.

use std::collections::BTreeMap;

use crate::detect::{Evidence, Text, manifest::Value};

/// What a script says.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    /// Lines without comments, with their places.
    pub(super) lines: Vec<(String, Evidence)>,
}

impl Script {
    /// Reads a script; comments are dropped.
    pub(super) fn read(text: &Text) -> Self {
        let mut in_comment = false;
        let mut lines = Vec::new();
        for (number, line) in text.lines() {
            let code = without_comments(line, &mut in_comment);
            if !code.trim().is_empty() && code.len() <= LINE_BYTES_MAX {
                lines.push((code.trim().to_owned(), Evidence::line(&text.path, Some(number))));
            }
        }
        Self { lines }
    }

    /// The lines of the blocks `name { … }` at the top of the script.
    pub(super) fn block(&self, name: &str) -> Self {
        let mut lines = Vec::new();
        let mut depth = 0_usize;
        let mut inside = None;
        for (line, seen) in &self.lines {
            if depth == 0
                && inside.is_none()
                && line.starts_with(name)
                && line[name.len()..].trim_start().starts_with('{')
            {
                inside = Some(0);
                lines.push((line[name.len()..].trim_start()[1..].to_owned(), seen.clone()));
            } else if inside.is_some() {
                lines.push((line.clone(), seen.clone()));
            }
            depth = (depth + line.matches('{').count()).saturating_sub(line.matches('}').count());
            if depth == 0 {
                inside = None;
            }
        }
        Self { lines }
    }

    /// The script without its blocks of this name.
    pub(super) fn without(&self, names: &[&str]) -> Self {
        let dropped: Vec<Evidence> =
            names.iter().flat_map(|name| self.block(name).lines).map(|(_, seen)| seen).collect();
        let keep = |(_, seen): &&(String, Evidence)| !dropped.contains(seen);
        Self { lines: self.lines.iter().filter(keep).cloned().collect() }
    }

    /// Another script's lines behind these.
    pub(super) fn and(mut self, other: &Self) -> Self {
        self.lines.extend(other.lines.iter().cloned());
        self
    }

    /// Where a text stands.
    pub(super) fn mention(&self, needle: &str) -> Option<Evidence> {
        self.lines.iter().find(|(line, _)| line.contains(needle)).map(|(_, seen)| seen.clone())
    }

    /// The value of a setting in any of the ways there are: `x = 'v'`, `x 'v'`, `x("v")`, `x.set("v")`, `x: 'v'`.
    pub(super) fn setting(&self, name: &str) -> Option<(String, Evidence)> {
        self.lines.iter().find_map(|(line, seen)| {
            let at = line.find(name)?;
            let before = line[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                return None;
            }
            let rest = &line[at + name.len()..];
            if rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
                return None;
            }
            let rest = rest.trim_start_matches(['\'', '"', ')', ']']).trim_start();
            let rest = rest.strip_prefix(".set").unwrap_or(rest);
            let rest = rest.strip_prefix(".convention").unwrap_or(rest).trim_start();
            let rest = rest.strip_prefix(['=', '(', ':', ',']).unwrap_or(rest).trim_start();
            let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'));
            let value = match quote {
                Some(quote) => rest[1..].split(quote).next()?,
                None => rest.trim_end_matches([')', ' ', ';', '}']),
            };
            (!value.is_empty()).then(|| (value.to_owned(), seen.clone()))
        })
    }

    /// Plugins that are applied, by id, with their places.
    pub(super) fn plugins(&self, catalog: &Catalog) -> Vec<(String, Evidence)> {
        let mut found = Vec::new();
        let in_block = self.block("plugins");
        for (line, seen) in &in_block.lines {
            if line.contains("apply false") || line.contains("apply(false)") {
                continue;
            }
            for part in line.split(';') {
                let part = part.trim().trim_start_matches('{').trim();
                let id = quoted_after(part, "id").or_else(|| {
                    let name = quoted_after(part, "kotlin")?;
                    Some(format!("org.jetbrains.kotlin.{name}"))
                });
                let alias = part.strip_prefix("alias").and_then(|rest| {
                    let rest = rest.trim_start().trim_start_matches('(').trim();
                    let name = rest.strip_prefix("libs.plugins.")?;
                    catalog.plugin(name.trim_end_matches([')', ' ', '}']))
                });
                let bare = || {
                    let name = part.trim_matches(['`', '}', ' ']);
                    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
                    (!name.is_empty() && name.chars().all(plain)).then(|| name.to_owned())
                };
                found.extend(id.or(alias).or_else(bare).map(|id| (id, seen.clone())));
            }
        }
        for (line, seen) in &self.lines {
            let applied = ["apply plugin:", "apply(plugin ="].iter().find_map(|form| {
                let at = line.find(form)?;
                first_quoted(&line[at + form.len()..])
            });
            found.extend(applied.map(|id| (id, seen.clone())));
        }
        found
    }

    /// Dependencies as `group:artifact`, from texts and from the catalog.
    pub(super) fn dependencies(&self, catalog: &Catalog) -> Vec<(String, Evidence)> {
        let mut found = Vec::new();
        for (line, seen) in &self.lines {
            if line.starts_with("test") || line.contains("testImplementation") {
                continue;
            }
            for text in all_quoted(line) {
                let mut parts = text.split(':');
                if let (Some(group), Some(artifact)) = (parts.next(), parts.next())
                    && group.contains(['.', '-'])
                    && !artifact.is_empty()
                {
                    found.push((format!("{group}:{artifact}"), seen.clone()));
                }
            }
            for (at, _) in line.match_indices("libs.") {
                let name = &line[at + "libs.".len()..];
                let end = name
                    .find(|c: char| !c.is_alphanumeric() && !matches!(c, '.' | '_' | '-'))
                    .unwrap_or(name.len());
                for module in catalog.modules(&name[..end]) {
                    found.push((module, seen.clone()));
                }
            }
            // `compile group: 'a', name: 'b'`
            if let (Some(group), Some(name)) =
                (quoted_after_label(line, "group"), quoted_after_label(line, "name"))
            {
                found.push((format!("{group}:{name}"), seen.clone()));
            }
        }
        found
    }

    /// Project paths that a module depends on: `:lib`.
    pub(super) fn projects(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (line, _) in &self.lines {
            for (at, form) in line.match_indices("project(").chain(line.match_indices("projects."))
            {
                let rest = &line[at + form.len()..];
                if form == "project(" {
                    found.extend(
                        first_quoted(rest).map(|path| path.trim_start_matches(':').to_owned()),
                    );
                } else {
                    let end =
                        rest.find(|c: char| !c.is_alphanumeric() && c != '.').unwrap_or(rest.len());
                    found.push(rest[..end].replace('.', ":"));
                }
            }
        }
        found
    }

    /// Projects that a settings script includes, as paths without the first colon.
    pub(super) fn includes(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut in_parentheses = false;
        let mut goes_on = false;
        for (line, _) in &self.lines {
            let rest = line.strip_prefix("include");
            let starts = rest.is_some_and(|rest| {
                rest.starts_with([' ', '(', '\'', '"', '\t']) || rest.is_empty()
            });
            if starts || in_parentheses || goes_on {
                found.extend(
                    all_quoted(line).into_iter().map(|path| path.trim_matches(':').to_owned()),
                );
                in_parentheses =
                    (in_parentheses || starts && line.contains('(')) && !line.contains(')');
                goes_on = line.ends_with(',');
            }
        }
        found.retain(|path| !path.is_empty());
        found
    }

    /// Folders that a settings script gives to projects: path → folder.
    pub(super) fn project_dirs(&self) -> BTreeMap<String, String> {
        let of = |(line, _): &(String, Evidence)| {
            let at = line.find("projectDir")?;
            let project = first_quoted(&line[..at])?.trim_matches(':').to_owned();
            Some((project, first_quoted(&line[at..])?))
        };
        self.lines.iter().filter_map(of).collect()
    }
}

/// `gradle/libs.versions.toml` (docs.gradle.org, "Version catalogs").
#[derive(Debug, Default)]
pub(super) struct Catalog {
    file: Option<Value>,
}

impl Catalog {
    pub(super) fn new(file: Option<Value>) -> Self {
        Self { file }
    }

    /// The id of a plugin by its accessor: `spring.boot` for `spring-boot`.
    fn plugin(&self, accessor: &str) -> Option<String> {
        let plugins = self.file.as_ref()?.get("plugins")?;
        let (_, plugin) = plugins.members().find(|(name, _)| dotted(name) == accessor)?;
        let id = plugin.str_at(&["id"]).or_else(|| plugin.as_str()?.split(':').next())?;
        Some(id.to_owned())
    }

    /// What an accessor stands for: one library, or those of a bundle.
    fn modules(&self, accessor: &str) -> Vec<String> {
        let Some(file) = &self.file else { return Vec::new() };
        let library = |accessor: &str| {
            let (_, library) =
                file.get("libraries")?.members().find(|(name, _)| dotted(name) == accessor)?;
            if let Some(module) = library.str_at(&["module"]).or_else(|| library.as_str()) {
                return Some(module.split(':').take(2).collect::<Vec<_>>().join(":"));
            }
            Some(format!("{}:{}", library.str_at(&["group"])?, library.str_at(&["name"])?))
        };
        if let Some(bundle) = accessor.strip_prefix("bundles.") {
            let bundles = file.get("bundles").into_iter().flat_map(Value::members);
            let names = bundles
                .filter(|(name, _)| dotted(name) == bundle)
                .flat_map(|(_, names)| names.texts());
            return names.filter_map(|name| library(&dotted(name))).collect();
        }
        library(accessor).into_iter().collect()
    }

    /// A version by its name.
    pub(super) fn version(&self, names: &[&str]) -> Option<(String, usize)> {
        let versions = self.file.as_ref()?.get("versions")?;
        names.iter().find_map(|name| {
            let (_, value) = versions.members().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
            Some((value.text()?, value.line))
        })
    }
}

fn dotted(name: &str) -> String {
    name.replace(['-', '_'], ".")
}

fn without_comments(line: &str, in_comment: &mut bool) -> String {
    let mut out = String::new();
    let mut rest = line;
    loop {
        if *in_comment {
            let Some(end) = rest.find("*/") else { return out };
            rest = &rest[end + 2..];
            *in_comment = false;
        }
        let block = rest.find("/*");
        // `https://…` in a text is no comment.
        let line =
            rest.match_indices("//").map(|(at, _)| at).find(|at| !rest[..*at].ends_with(':'));
        match (block, line) {
            (Some(block), line) if line.is_none_or(|line| block < line) => {
                // A glob in a text: `**/*.java`.
                if rest[..block].matches(['\'', '"']).count() % 2 == 1 {
                    out.push_str(rest);
                    return out;
                }
                out.push_str(&rest[..block]);
                rest = &rest[block + 2..];
                *in_comment = true;
            }
            (_, Some(line)) => {
                out.push_str(&rest[..line]);
                return out;
            }
            (_, None) => {
                out.push_str(rest);
                return out;
            }
        }
    }
}

fn first_quoted(text: &str) -> Option<String> {
    all_quoted(text).into_iter().next()
}

fn all_quoted(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['\'', '"']) {
        let quote = if rest[at..].starts_with('"') { '"' } else { '\'' };
        let inner = &rest[at + 1..];
        let Some(end) = inner.find(quote) else { break };
        found.push(inner[..end].to_owned());
        rest = &inner[end + 1..];
    }
    found
}

/// The text behind a word: `id 'x'`, `id("x")`.
fn quoted_after(line: &str, word: &str) -> Option<String> {
    let rest = line.strip_prefix(word)?.trim_start();
    let rest = rest.strip_prefix('(').unwrap_or(rest).trim_start();
    rest.starts_with(['\'', '"']).then(|| first_quoted(rest))?
}

/// The text behind a label: `group: 'x'`, `group = "x"`.
fn quoted_after_label(line: &str, label: &str) -> Option<String> {
    let at = line.find(label)?;
    let rest = line[at + label.len()..].trim_start();
    let rest = rest.strip_prefix([':', '='])?.trim_start();
    rest.starts_with(['\'', '"']).then(|| first_quoted(rest))?
}

const LINE_BYTES_MAX: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    const SAMPLE: &str = "plugins {\n  id 'java' // the language\n  id(\"org.springframework.boot\") version \"3.2.0\"\n  alias(libs.plugins.ktor.server)\n  kotlin(\"jvm\") version \"2.0\"\n  application\n  id 'war' apply false\n}\n/* compile 'no.such:thing:1' */\napply plugin: 'groovy'\ndependencies {\n  implementation \"org.a:b:1.0\"\n  implementation(libs.bundles.web)\n  compile group: 'c.d', name: 'e', version: '1'\n  testImplementation 'x.y:z:1'\n  implementation project(':lib')\n}\napplication {\n  mainClass = 'a.B'\n}\nsubprojects {\n  apply plugin: 'eclipse'\n}\n";

    fn script(text: &str) -> Script {
        Script::read(&Text { path: "build.gradle".into(), text: text.into() })
    }

    fn catalog() -> Catalog {
        let toml = "[libraries]\nweb-core = { module = \"w.x:core\", version = \"1\" }\n[bundles]\nweb = [\"web-core\"]\n[plugins]\nktor-server = { id = \"io.ktor.plugin\" }\n";
        Catalog::new(crate::detect::manifest::toml(toml).ok())
    }

    fn names(found: Vec<(String, Evidence)>) -> Vec<String> {
        found.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn plugins_are_found_in_all_spellings_and_those_not_applied_are_not() {
        let own = script(SAMPLE).without(&["subprojects"]);
        let expected = [
            "java", "org.springframework.boot", "io.ktor.plugin", "org.jetbrains.kotlin.jvm",
            "application", "groovy",
        ];
        assert_eq!(names(own.plugins(&catalog())), expected);
        assert_eq!(names(script(SAMPLE).block("subprojects").plugins(&catalog())), ["eclipse"]);
    }

    #[test]
    fn dependencies_come_from_texts_and_from_the_catalog() {
        assert_eq!(
            names(script(SAMPLE).dependencies(&catalog())),
            ["org.a:b", "w.x:core", "c.d:e"]
        );
        assert_eq!(script(SAMPLE).projects(), ["lib"]);
    }

    #[test]
    fn settings_are_read_in_all_spellings() {
        let check = |text: &str, name: &str, want: Option<&str>| {
            assert_eq!(
                script(text).setting(name).map(|(value, _)| value).as_deref(),
                want,
                "{text}"
            );
        };
        check("mainClass = 'a.B'", "mainClass", Some("a.B"));
        check("mainClass.set(\"a.B\")", "mainClass", Some("a.B"));
        check("mainClassName = \"a.B\"", "mainClass", None);
        check("attributes 'Main-Class': 'a.B'", "Main-Class", Some("a.B"));
        check("attributes[\"Main-Class\"] = \"a.B\"", "Main-Class", Some("a.B"));
        check(
            "sourceCompatibility = JavaVersion.VERSION_17",
            "sourceCompatibility",
            Some("JavaVersion.VERSION_17"),
        );
        check("jvmToolchain(17)", "jvmToolchain", Some("17"));
    }

    #[test]
    fn includes_may_go_over_lines() {
        let check = |text: &str, want: &[&str]| assert_eq!(script(text).includes(), want, "{text}");
        check("include 'a', 'b:c'", &["a", "b:c"]);
        check("include(\":a\")\ninclude(\":b\")", &["a", "b"]);
        check("include(\n\"a\",\n\"b\"\n)\nrootProject.name = 'x'", &["a", "b"]);
        check("include 'a',\n 'b'\nrootProject.name = 'x'", &["a", "b"]);
        check("includeBuild 'a'", &[]);
    }

    #[test]
    fn no_text_makes_it_panic() {
        mutate(SAMPLE.as_bytes(), b"{}()'\":/*\n=. ", 2000, |bytes| {
            let script = script(&String::from_utf8_lossy(bytes));
            drop(script.plugins(&catalog()));
            drop(script.dependencies(&catalog()));
            drop(script.projects());
            drop(script.includes());
            drop(script.project_dirs());
            for name in ["mainClass", "Main-Class", "jvmToolchain"] {
                drop(script.setting(name));
            }
            drop(script.without(&["plugins", "dependencies"]));
        });
    }
}
