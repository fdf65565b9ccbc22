//! What JVM sources tell: the language, and the classes that can be started.

use std::rc::Rc;

use crate::detect::{Evidence, Project, Text, ecosystems::source, model::join};

/// The sources of one module.
pub(super) struct Sources {
    /// All files, in order.
    pub(super) files: Vec<Rc<Text>>,
    /// Classes that can be started.
    pub(super) mains: Vec<Main>,
}

/// A class that can be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Main {
    /// With its package.
    pub(super) class: String,
    pub(super) evidence: Evidence,
}

impl Sources {
    /// Reads `src/main`, or `src` and `app` where a project has its own order; modules below are not its own.
    pub(super) fn read(project: &Project<'_>, dir: &str) -> Self {
        let is_module =
            |dir: &str| BUILD_FILES.iter().any(|name| project.tree.has(&join(dir, name)));
        let folders = ["src/main", "src", "app"].map(|name| join(dir, name));
        let own = folders.into_iter().find(|dir| project.tree.entries(dir).is_some());
        let mut files = match own {
            Some(own) => source::gather(project, &own, EXTENSIONS, &is_module),
            None => Vec::new(),
        };
        if files.is_empty() {
            files = source::gather(project, dir, EXTENSIONS, &is_module);
        }
        let mains = files.iter().filter_map(|file| main(file)).collect();
        Self { files, mains }
    }

    /// The language that most files are in.
    pub(super) fn language(&self) -> &'static str {
        let count = |ext: &str| self.files.iter().filter(|file| file.path.ends_with(ext)).count();
        let (java, kotlin, scala) = (count(".java"), count(".kt"), count(".scala"));
        match () {
            () if scala > java && scala >= kotlin => "scala",
            () if kotlin > java => "kotlin",
            () => "java",
        }
    }

    /// The class to start: that of Spring Boot, else the one whose name says so, else the first.
    pub(super) fn main(&self) -> Option<&Main> {
        let simple = |main: &&Main| main.class.rsplit('.').next().unwrap_or_default().to_owned();
        let boot = self.files.iter().find(|file| file.text.contains("@SpringBootApplication"));
        let of_boot =
            boot.and_then(|file| self.mains.iter().find(|main| main.evidence.file == file.path));
        let is_client = |main: &&Main| main.class.to_ascii_lowercase().contains("client");
        let named = |names: &[&str]| {
            let is_one = |main: &&Main| names.contains(&simple(main).as_str());
            let mut servers = self.mains.iter().filter(|main| !is_client(main));
            servers.find(is_one).or_else(|| self.mains.iter().find(is_one))
        };
        of_boot
            .or_else(|| {
                named(&[
                    "Application", "ApplicationKt", "App", "AppKt", "Main", "MainKt", "Server",
                    "ServerKt",
                ])
            })
            .or_else(|| {
                let words = ["Application", "Server", "Service"];
                words
                    .iter()
                    .find_map(|word| self.mains.iter().find(|main| simple(main).contains(word)))
            })
            .or_else(|| self.mains.iter().find(|main| !is_client(main)))
            .or_else(|| self.mains.first())
    }

    /// A text that one of the files holds outside of comments.
    pub(super) fn mention(&self, needle: &str) -> Option<Evidence> {
        source::mention(&self.files, needle)
    }
}

/// The class of a file that can be started.
fn main(file: &Text) -> Option<Main> {
    let text = &file.text;
    let package = text.lines().map(str::trim).find_map(|line| line.strip_prefix("package "));
    let package = package.and_then(|name| name.split([';', ' ', '{', ':']).next()).map(str::trim);
    let stem = file.path.rsplit('/').next()?.rsplit_once('.')?.0;
    let extension = file.path.rsplit_once('.')?.1;
    let (name, needle) = match extension {
        "java" | "groovy" => {
            let forms = [
                "static void main(", "static public void main(", "void main(final String",
                "void main(String",
            ];
            (stem.to_owned(), forms.into_iter().find(|form| text.contains(form))?)
        }
        "kt" => {
            let needle = ["fun main("].into_iter().find(|form| text.contains(form))?;
            let in_class = text.contains("@JvmStatic");
            // A top-level function belongs to the class of its file, with a capital first letter.
            let class = if in_class { stem.to_owned() } else { format!("{}Kt", capital(stem)) };
            (class, needle)
        }
        "scala" => scala(text, stem)?,
        _ => return None,
    };
    let class = match package {
        Some(package) if !package.is_empty() => format!("{package}.{name}"),
        _ => name,
    };
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '$');
    let evidence = Evidence::line(&file.path, file.line_of(needle));
    class.chars().all(plain).then_some(Main { class, evidence })
}

fn scala<'t>(text: &'t str, stem: &str) -> Option<(String, &'t str)> {
    for line in text.lines() {
        let words: Vec<&str> = line
            .split(|c: char| !c.is_alphanumeric() && c != '_' && c != '@')
            .filter(|w| !w.is_empty())
            .collect();
        match words.as_slice() {
            ["@main", "def", name, ..] => return Some(((*name).to_owned(), line)),
            ["object", name, rest @ ..] => {
                let parents = [
                    "App", "IOApp", "ZIOAppDefault", "ZIOApp", "TwitterServer", "HttpServer",
                    "CaskMain", "MainRoutes",
                ];
                let is_app =
                    rest.contains(&"extends") && rest.iter().any(|word| parents.contains(word));
                let is_named = rest.contains(&"extends") && name.ends_with("Main");
                if is_app || is_named || text.contains("def main(") {
                    return Some(((*name).to_owned(), line));
                }
            }
            _ => {}
        }
    }
    text.contains("def main(args").then(|| (stem.to_owned(), "def main(args"))
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

const EXTENSIONS: &[&str] = &["java", "kt", "scala", "groovy"];

/// Files that make a folder a module of its own.
pub(super) const BUILD_FILES: &[&str] =
    &["pom.xml", "build.gradle", "build.gradle.kts", "build.sbt", "project.clj", "deps.edn"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    fn class(path: &str, text: &str) -> Option<String> {
        main(&Text { path: path.into(), text: text.into() }).map(|main| main.class)
    }

    #[test]
    fn each_language_has_its_way_to_be_started() {
        let check = |path: &str, text: &str, want: Option<&str>| {
            assert_eq!(class(path, text).as_deref(), want, "{path}");
        };
        check(
            "src/App.java",
            "package a.b;\nclass App { public static void main(String[] x) {} }",
            Some("a.b.App"),
        );
        check(
            "src/App.java",
            "package a; public class App { static void main(String[] x) {} }",
            Some("a.App"),
        );
        check("src/server.kt", "package a\n\nfun main() {}", Some("a.ServerKt"));
        check("src/Main.scala", "package a\nobject Boot extends IOApp.Simple {", Some("a.Boot"));
        check("src/S.scala", "object ServerMain extends Server", Some("ServerMain"));
        check("src/Main.scala", "@main def hello() = ()", Some("hello"));
        check("src/Lib.java", "class Lib {}", None);
        check("src/Lib.scala", "object Lib { val x = 1 }", None);
    }

    #[test]
    fn no_text_makes_it_panic() {
        let seed =
            "package a.b;\nobject Boot extends App {\n@main def x\nfun main() static void main(";
        for ext in ["java", "kt", "scala"] {
            mutate(seed.as_bytes(), b"\n @{}.", 1500, |bytes| {
                drop(class(&format!("src/x.{ext}"), &String::from_utf8_lossy(bytes)));
            });
        }
    }
}
