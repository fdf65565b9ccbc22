//! What JVM sources tell: the language, and the classes that can be started.

use super::java::{JAVA, KnownLanguage};
use crate::detect::prelude::*;

/// Files that make a folder a module of its own.
pub(super) const BUILD_FILES: &[&str] =
    &["pom.xml", "build.gradle", "build.gradle.kts", "build.sbt", "project.clj", "deps.edn"];

/// Names of classes that are started, before others with a `main`.
const STARTED: &[&str] =
    &["Application", "ApplicationKt", "App", "AppKt", "Main", "MainKt", "Server", "ServerKt"];

/// Types of Scala libraries whose objects can be started.
const SCALA_APPS: &[&str] = &[
    "App", "IOApp", "ZIOAppDefault", "ZIOApp", "TwitterServer", "HttpServer", "CaskMain",
    "MainRoutes",
];

/// The sources of one module.
#[derive(Default)]
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
    /// Where its `main` is.
    pub(super) place: Evidence,
}

impl Sources {
    /// Sources in `src/main`, or `src` and `app` where a project has its own order; modules below are not its own.
    pub(super) fn read(at: Folder<'_>) -> Self {
        let tree = at.project.tree;
        let is_module = |dir: &str| tree.first_of(dir, BUILD_FILES).is_some();
        let gather = |dir: &str| source::gather(at.project, dir, JAVA.sources, &is_module);
        let mut own = ["src/main", "src", "app"].iter().map(|name| at.path(name));
        let own = own.find(|dir| tree.has_dir(dir)).map(|dir| gather(&dir));
        let files = own.filter(|files| !files.is_empty()).unwrap_or_else(|| gather(at.dir));
        let mains = files.iter().filter_map(|file| main(file)).collect();
        Self { files, mains }
    }

    /// The language that most files are in; without any `otherwise`.
    pub(super) fn language(&self, otherwise: &'static str) -> KnownLanguage {
        let count = |ext: &str| self.files.iter().filter(|file| file.path.ends_with(ext)).count();
        let (java, kotlin, scala) = (count(".java"), count(".kt"), count(".scala"));
        let id = match () {
            () if self.files.is_empty() => otherwise,
            () if scala > java && scala >= kotlin => "scala",
            () if kotlin > java => "kotlin",
            () => "java",
        };
        (id, Fixed::ItsSources, self.files.first().map(|file| Evidence::file(&file.path)))
    }

    /// The class to start: that of Spring Boot, else the one whose name says so, else the first.
    pub(super) fn main(&self) -> Option<&Main> {
        let boot = self.files.iter().find(|file| file.text.contains("@SpringBootApplication"));
        let name = |main: &Main| main.class.rsplit('.').next().unwrap_or_default().to_owned();
        let is_started = |main: &Main| STARTED.contains(&name(main).as_str());
        let is_client = |main: &Main| main.class.to_ascii_lowercase().contains("client");
        let has = |word: &'static str| move |main: &Main| name(main).contains(word);
        let rules: [&dyn Fn(&Main) -> bool; 8] = [
            &|main| boot.is_some_and(|file| main.place.file == file.path),
            &|main| is_started(main) && !is_client(main),
            &is_started,
            &has("Application"),
            &has("Server"),
            &has("Service"),
            &|main| !is_client(main),
            &|_| true,
        ];
        rules.iter().find_map(|fits| self.mains.iter().find(|main| fits(main)))
    }

    /// Whether one of the files holds one of the texts outside of comments.
    pub(super) fn mention(&self, needles: &[&str]) -> bool {
        needles.iter().any(|needle| source::mention(&self.files, needle).is_some())
    }
}

/// The class of a file that can be started.
fn main(file: &Text) -> Option<Main> {
    let text = &file.text;
    let package = text.lines().find_map(|line| line.trim().strip_prefix("package "));
    let package = package.and_then(|name| name.split([';', ' ', '{', ':']).next()).map(str::trim);
    let (stem, extension) = file_name(&file.path).rsplit_once('.')?;
    let (name, needle) = match extension {
        "java" | "groovy" => {
            let forms = [
                "static void main(", "static public void main(", "void main(final String",
                "void main(String",
            ];
            (stem.to_owned(), forms.into_iter().find(|form| text.contains(form))?)
        }
        "kt" if text.contains("fun main(") => {
            // A top-level function belongs to the class of its file, with a capital first letter.
            let is_in_class = text.contains("@JvmStatic");
            (if is_in_class { stem.to_owned() } else { capital(stem) + "Kt" }, "fun main(")
        }
        "scala" => scala(text, stem)?,
        _ => return None,
    };
    let class = match package {
        Some(package) if !package.is_empty() => format!("{package}.{name}"),
        _ => name,
    };
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '$');
    let place = Evidence::line(&file.path, file.line_of(needle));
    class.chars().all(plain).then_some(Main { class, place })
}

fn scala<'t>(text: &'t str, stem: &str) -> Option<(String, &'t str)> {
    let object = text.lines().find_map(|line| {
        let words = line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '@');
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        let name = match words.as_slice() {
            ["@main", "def", name, ..] => name,
            ["object", name, rest @ ..] => {
                let extends = rest.contains(&"extends");
                let is_app = name.ends_with("Main") || rest.iter().any(|w| SCALA_APPS.contains(w));
                (extends && is_app || text.contains("def main(")).then_some(name)?
            }
            _ => return None,
        };
        Some(((*name).to_owned(), line))
    });
    object.or_else(|| text.contains("def main(args").then(|| (stem.to_owned(), "def main(args")))
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

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
