//! Scripts of Gradle, in Groovy and in Kotlin, and of sbt, read as text: the calls that builds are written with, not the
//! language.

use std::collections::BTreeMap;

use crate::detect::prelude::*;

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
        let lines = text.lines().filter_map(|(number, line)| {
            let code = without_comments(line, &mut in_comment);
            let fits = !code.trim().is_empty() && code.len() <= LINE_BYTES_MAX;
            fits.then(|| (code.trim().to_owned(), Evidence::line(&text.path, Some(number))))
        });
        Self { lines: lines.collect() }
    }

    /// All scripts at these paths that are there, as one.
    pub(super) fn all(project: &Project<'_>, paths: impl IntoIterator<Item = String>) -> Self {
        let texts = paths.into_iter().filter_map(|path| project.tree.read(&path));
        Self { lines: texts.flat_map(|text| Self::read(&text).lines).collect() }
    }

    /// The lines of the blocks `name { … }` at the top of the script.
    pub(super) fn block(&self, name: &str) -> Self {
        let mut lines = Vec::new();
        let mut depth = 0_usize;
        let mut is_inside = false;
        for (line, seen) in &self.lines {
            let rest = line.strip_prefix(name).filter(|_| depth == 0 && !is_inside);
            let begins = rest.and_then(|rest| rest.trim_start().strip_prefix('{'));
            let line_of = begins.or_else(|| is_inside.then_some(line));
            lines.extend(line_of.map(|line| (line.to_owned(), seen.clone())));
            is_inside |= begins.is_some();
            depth = (depth + line.matches('{').count()).saturating_sub(line.matches('}').count());
            is_inside &= depth > 0;
        }
        Self { lines }
    }

    /// The script without its blocks of these names.
    pub(super) fn without(&self, names: &[&str]) -> Self {
        let dropped: Vec<_> = names.iter().flat_map(|name| self.block(name).lines).collect();
        let mut lines = self.lines.clone();
        lines.retain(|(_, seen)| !dropped.iter().any(|(_, other)| other == seen));
        Self { lines }
    }

    /// Another script's lines behind these.
    pub(super) fn and(mut self, other: &Self) -> Self {
        self.lines.extend_from_slice(&other.lines);
        self
    }

    /// Paths of the tree that it reads: scripts that it applies, files and folders that it names; `None` where it applies
    /// one by a path that is worked out.
    pub(super) fn references(&self, root: Folder<'_>) -> Option<Vec<String>> {
        let tree = root.project.tree;
        let mut found = Vec::new();
        for (line, seen) in &self.lines {
            let named = all_quoted(line).filter_map(|text| {
                let text = text.trim_start_matches("file:");
                let text = ROOTS.iter().find_map(|mark| text.strip_prefix(mark)).unwrap_or(text);
                let bases = [parent(&seen.file), root.dir];
                let paths = bases.into_iter().filter_map(|base| resolve(base, text));
                let is_folder = FOLDERS.iter().any(|call| line.contains(call));
                paths
                    .filter(|path| *path != ".")
                    .find(|path| tree.has(path) || is_folder && tree.has_dir(path))
            });
            let before = found.len();
            found.extend(named);
            let applies = line.contains("apply from") || line.contains("apply(from");
            if applies && found.len() == before && !line.contains("://") {
                return None;
            }
        }
        // A script that is applied may apply others.
        let applied =
            found.iter().filter(|path| path.ends_with(".gradle") || path.ends_with(".kts"));
        let own = |path: &&String| self.lines.iter().all(|(_, seen)| seen.file != **path);
        let others: Vec<String> = applied.filter(own).cloned().collect();
        if !others.is_empty() {
            let others = Self::all(root.project, others);
            found.extend(others.references(root)?);
        }
        Some(found)
    }

    /// Whether one of the texts stands in it.
    pub(super) fn mentions(&self, needles: &[&str]) -> bool {
        self.lines.iter().any(|(line, _)| needles.iter().any(|needle| line.contains(needle)))
    }

    /// The value of a setting in any of the ways there are: `x = 'v'`, `x 'v'`, `x("v")`, `x.set("v")`, `x: 'v'`.
    pub(super) fn setting(&self, name: &str) -> Option<(String, Evidence)> {
        self.lines.iter().find_map(|(line, seen)| {
            let rest = behind(line, line.find(name)?, name)?;
            let rest = rest.trim_start_matches(['\'', '"', ')', ']']).trim_start();
            let rest = rest.strip_prefix(".set").unwrap_or(rest);
            let rest = rest.strip_prefix(".convention").unwrap_or(rest).trim_start();
            let rest = rest.strip_prefix(['=', '(', ':', ',']).unwrap_or(rest).trim_start();
            let value = match rest.strip_prefix(QUOTES) {
                Some(inner) => inner.split(rest.chars().next()?).next()?,
                None => rest.trim_end_matches([')', ' ', ';', '}']),
            };
            (!value.is_empty()).then(|| (value.to_owned(), seen.clone()))
        })
    }

    /// The text of a setting of sbt: `name := "shop"`, `mainClass in Compile := Some("a.B")`.
    pub(super) fn assigned(&self, name: &str) -> Option<String> {
        self.lines.iter().find_map(|(line, _)| {
            line.match_indices(name).find_map(|(at, _)| {
                let (scope, value) = behind(line, at, name)?.split_once(":=")?;
                let scope = scope.trim_start_matches('.').trim();
                let text = all_quoted(value).find(|text| !text.is_empty())?;
                (scope.is_empty() || scope.starts_with("in")).then(|| text.to_owned())
            })
        })
    }

    /// What is found in each line, with its place.
    fn each<'s, Found>(&'s self, of: impl Fn(&'s str) -> Found) -> Vec<(String, Evidence)>
    where
        Found: IntoIterator<Item = String>,
    {
        let lines = self.lines.iter();
        lines.flat_map(|(line, seen)| of(line).into_iter().map(|it| (it, seen.clone()))).collect()
    }

    /// Plugins that are applied, by id, with their places.
    pub(super) fn plugins(&self, catalog: &Catalog) -> Vec<(String, Evidence)> {
        let in_block = self.block("plugins").each(|line| {
            let is_applied = !line.contains("apply false") && !line.contains("apply(false)");
            let parts = line.split(';').filter(move |_| is_applied);
            parts.filter_map(|part| plugin(part, catalog))
        });
        let applied = self.each(|line| {
            let mut forms = ["apply plugin:", "apply(plugin ="].iter();
            forms.find_map(|form| first_quoted(line.split_once(form)?.1)).map(str::to_owned)
        });
        [in_block, applied].concat()
    }

    /// Dependencies as `group:artifact`, from texts and from the catalog.
    pub(super) fn dependencies(&self, catalog: &Catalog) -> Vec<(String, Evidence)> {
        self.each(|line| {
            if line.starts_with("test") || line.contains("testImplementation") {
                return Vec::new();
            }
            let written = all_quoted(line).filter_map(|text| {
                let mut parts = text.split(':');
                let (group, artifact) = (parts.next()?, parts.next()?);
                let fits = group.contains(['.', '-']) && !artifact.is_empty();
                fits.then(|| format!("{group}:{artifact}"))
            });
            let accessors = line.split("libs.").skip(1).map(|rest| word(rest, ".-"));
            let listed = accessors.flat_map(|accessor| catalog.modules(accessor));
            // `compile group: 'a', name: 'b'`
            let label = |name: &str| {
                quoted(line.split_once(name)?.1.trim_start().strip_prefix([':', '='])?)
            };
            let pair = label("group").zip(label("name"));
            let labelled = pair.map(|(group, name)| format!("{group}:{name}"));
            written.chain(listed).chain(labelled).collect()
        })
    }

    /// Dependencies of sbt, `"group" %% "artifact"`, in the same form.
    pub(super) fn libraries(&self) -> Vec<(String, Evidence)> {
        self.each(|line| {
            let parts = line.split('%').filter(|part| !part.is_empty());
            let pairs = parts.clone().zip(parts.skip(1));
            pairs.filter_map(|(before, behind)| {
                Some(format!("{}:{}", all_quoted(before).last()?, first_quoted(behind)?))
            })
        })
    }

    /// Project paths that a module depends on: `lib`.
    pub(super) fn projects(&self) -> Vec<String> {
        let found = self.each(|line| {
            let calls = line.split("project(").skip(1).filter_map(first_quoted);
            let calls = calls.map(|path| path.trim_start_matches(':').to_owned());
            let names = line.split("projects.").skip(1);
            calls.chain(names.map(|rest| word(rest, ".").replace('.', ":")))
        });
        found.into_iter().map(|(path, _)| path).collect()
    }

    /// Projects that a settings script includes, as paths without the first colon.
    pub(super) fn includes(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut in_parentheses = false;
        let mut goes_on = false;
        for (line, _) in &self.lines {
            let starts = line.strip_prefix("include").is_some_and(|rest| {
                rest.starts_with([' ', '(', '\'', '"', '\t']) || rest.is_empty()
            });
            if starts || in_parentheses || goes_on {
                found.extend(all_quoted(line).map(|path| path.trim_matches(':').to_owned()));
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
        let set = self.lines.iter().filter_map(|(line, _)| line.split_once("projectDir"));
        let pairs = set.filter_map(|(left, right)| first_quoted(left).zip(first_quoted(right)));
        pairs.map(|(path, dir)| (path.trim_matches(':').to_owned(), dir.to_owned())).collect()
    }
}

/// What stands for the root of a build or the folder of a script.
const ROOTS: &[&str] = &[
    "$rootDir/", "${rootDir}/", "$projectDir/", "${projectDir}/", "$rootProject.projectDir/",
    "${rootProject.projectDir}/", "${rootProject.rootDir}/", "$rootProject.rootDir/",
];
/// Calls that take folders.
const FOLDERS: &[&str] = &["includeBuild", "fileTree", "dirs", "url", "from(files("];

/// The plugin that a part of a `plugins` block names: `id 'x'`, `kotlin("jvm")`, `alias(libs.plugins.x)`, `java`.
fn plugin(part: &str, catalog: &Catalog) -> Option<String> {
    let part = part.trim().trim_start_matches('{').trim();
    let call = |name| quoted(part.strip_prefix(name)?);
    if let Some(id) = call("id") {
        return Some(id.to_owned());
    }
    if let Some(name) = call("kotlin") {
        return Some(format!("org.jetbrains.kotlin.{name}"));
    }
    let alias = part.strip_prefix("alias").and_then(|rest| {
        let name = rest.trim_start_matches([' ', '(']).strip_prefix("libs.plugins.")?;
        catalog.plugin(word(name, "."))
    });
    let name = part.trim_matches(['`', '}', ' ']);
    let is_bare = !name.is_empty() && word(name, "-") == name;
    alias.or_else(|| is_bare.then(|| name.to_owned()))
}

/// `gradle/libs.versions.toml` (docs.gradle.org, "Version catalogs").
#[derive(Debug, Default)]
pub(super) struct Catalog(pub(super) Option<Value>);

impl Catalog {
    /// What a table has for an accessor: `spring.boot` for `spring-boot`.
    fn find(&self, table: &str, accessor: &str) -> Option<&Value> {
        let mut members = self.0.as_ref()?.get(table)?.members();
        let fits = |name: &str| dotted(name).eq_ignore_ascii_case(accessor);
        members.find(|(name, _)| fits(name)).map(|(_, value)| value)
    }

    fn plugin(&self, accessor: &str) -> Option<String> {
        named(self.find("plugins", accessor)?, "id", 1)
    }

    fn library(&self, accessor: &str) -> Option<String> {
        let library = self.find("libraries", accessor)?;
        let pair = library.str_at(&["group"]).zip(library.str_at(&["name"]));
        let pair = || pair.map(|(group, name)| format!("{group}:{name}"));
        named(library, "module", 2).or_else(pair)
    }

    /// What an accessor stands for: one library, or those of a bundle.
    fn modules(&self, accessor: &str) -> Vec<String> {
        let Some(bundle) = accessor.strip_prefix("bundles.") else {
            return self.library(accessor).into_iter().collect();
        };
        let names = self.find("bundles", bundle).into_iter().flat_map(Value::texts);
        names.filter_map(|name| self.library(&dotted(name))).collect()
    }

    /// A version by its name.
    pub(super) fn version(&self, name: &str) -> Option<String> {
        self.find("versions", &dotted(name))?.text()
    }
}

/// The first parts of the text at a key, or of a lone text: `group:artifact:1.0`.
fn named(value: &Value, key: &str, parts: usize) -> Option<String> {
    let name = value.str_at(&[key]).or_else(|| value.as_str())?;
    Some(name.split(':').take(parts).collect::<Vec<_>>().join(":"))
}

fn dotted(name: &str) -> String {
    name.replace(['-', '_'], ".")
}

fn without_comments(line: &str, in_comment: &mut bool) -> String {
    let (mut out, mut rest) = (String::new(), line);
    loop {
        if *in_comment {
            let Some((_, after)) = rest.split_once("*/") else { return out };
            (rest, *in_comment) = (after, false);
        }
        // `https://…` in a text is no comment.
        let mut lines = rest.match_indices("//").filter(|(at, _)| !rest[..*at].ends_with(':'));
        let code = &rest[..lines.next().map_or(rest.len(), |(at, _)| at)];
        match code.find("/*") {
            None => return out + code,
            // A glob in a text is no comment either: `**/*.java`.
            Some(at) if code[..at].matches(QUOTES).count() % 2 == 1 => return out + rest,
            Some(at) => {
                out += &code[..at];
                (rest, *in_comment) = (&rest[at + 2..], true);
            }
        }
    }
}

/// What follows the word at a byte of a line; `None` where it is a part of another.
fn behind<'l>(line: &'l str, at: usize, name: &str) -> Option<&'l str> {
    let (before, rest) = (&line[..at], &line[at + name.len()..]);
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    (!before.ends_with(in_word) && !rest.starts_with(in_word)).then_some(rest)
}

/// The letters, digits, `_` and characters of `also` that a text begins with.
pub(super) fn word<'t>(text: &'t str, also: &str) -> &'t str {
    let fits = |c: char| c.is_alphanumeric() || c == '_' || also.contains(c);
    &text[..text.find(|c| !fits(c)).unwrap_or(text.len())]
}

/// The first text in quotes.
pub(super) fn first_quoted(text: &str) -> Option<&str> {
    all_quoted(text).next()
}

/// All texts in quotes.
fn all_quoted(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let at = rest.find(QUOTES)?;
        let quote = rest[at..].chars().next()?;
        let (inner, after) = rest[at + 1..].split_once(quote)?;
        rest = after;
        Some(inner)
    })
}

/// The text that a call or a label has: `('x')`, ` "x"`.
fn quoted(rest: &str) -> Option<&str> {
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('(').unwrap_or(rest).trim_start();
    rest.starts_with(QUOTES).then(|| first_quoted(rest))?
}

const QUOTES: [char; 2] = ['\'', '"'];
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
        Catalog(crate::manifest::toml(toml).ok())
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
