//! Settings of Django: the files they are made of, and what they say of the database, of folders and of static files.

use std::collections::{BTreeMap, BTreeSet};

use super::{candidate::Candidate, imports::quoted};
use crate::detect::{Project, prelude::*};

/// The files of a project's settings.
pub(super) struct Settings {
    files: Vec<Rc<Text>>,
}

/// Files of one project's settings; more are not followed.
const FILES_MAX: usize = 20;
const STAND_INS_MAX: usize = 30;
/// Lines of one statement.
const STATEMENT_LINES_MAX: usize = 80;
/// Folders of a project that hold nothing that is made while it runs.
const SOURCES: &[&str] = &["templates", "locale", "fixtures"];
/// Variables that hold a folder of the project.
const FOLDERS: &[&str] = &["BASE_DIR", "ROOT_DIR", "PROJECT_ROOT", "PROJECT_DIR", "BASE_PATH"];

impl Settings {
    /// Those of a module and of what it takes everything from, `root` being the folder of the project's modules; of an
    /// unknown module all files that look like settings.
    pub(super) fn of(c: &Candidate<'_>, root: &str, module: Option<&str>) -> Self {
        let files = module.map(|module| followed(c.at.project, root, module)).unwrap_or_default();
        // django-split-settings includes files by patterns.
        if !files.is_empty() && source::mention(&files, "include(").is_none() {
            return Self { files };
        }
        let mut files = c.files.clone();
        files.retain(|file| {
            let name = file_name(&file.path);
            name.starts_with("settings")
                || ["production.py", "prod.py"].contains(&name)
                || file.path.split('/').any(|part| part == "settings")
        });
        Self { files }
    }

    /// Whether they hold that.
    pub(super) fn says(&self, needle: &str) -> bool {
        source::mention(&self.files, needle).is_some()
    }

    /// The text that a name is set to, for one line.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let mut lines = self.files.iter().flat_map(|file| file.text.lines());
        let value =
            lines.find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='))?;
        quoted(value.trim())
    }

    /// All statements that set a name, without comments.
    pub(super) fn statements(&self, name: &str) -> String {
        let mut found = String::new();
        for file in &self.files {
            let mut open = 0;
            let mut left = 0;
            for line in file.text.lines().filter(|line| !source::is_comment(line)) {
                let rest = line.trim_start().strip_prefix(name).unwrap_or_default().trim_start();
                if open == 0 && rest.starts_with(['=', '[', ':', '+']) {
                    left = STATEMENT_LINES_MAX;
                }
                if left > 0 {
                    found += line;
                    found.push('\n');
                    let count = |all: [char; 3]| line.matches(all).count() as i64;
                    open += count(['(', '[', '{']) - count([')', ']', '}']);
                    left = if open > 0 { left - 1 } else { 0 };
                    open = if left > 0 { open } else { 0 };
                }
            }
        }
        found
    }

    /// Whether the database is a file, unless the environment says otherwise.
    pub(super) fn keeps_a_file(&self) -> bool {
        let mut text = self.statements("DATABASES");
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words: BTreeSet<&str> = text.split(|c| !is_part(c)).collect();
        let variables = words.into_iter().filter(|word| !word.is_empty() && *word != "DATABASES");
        text += &variables.map(|word| self.statements(word)).collect::<String>();
        if !text.contains("ENGINE") && !text.contains("://") {
            let lines = self.files.iter().flat_map(|file| file.text.lines());
            text = lines.filter(|line| !source::is_comment(line)).collect();
        }
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let of_environment = ["DATABASE_URL", "dj_database_url", "env.db("];
        has(&["django.db.backends.sqlite3", "sqlite:///"])
            && !has(&["postgres", "mysql", "oracle"])
            && (has(&["sqlite:///"]) || !has(&of_environment))
    }

    /// Folders that they name below the project's and that are not there.
    pub(super) fn missing_folders(&self, project: &Project<'_>, root: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for file in &self.files {
            let lines = file.text.lines().filter(|line| !source::is_comment(line));
            for line in lines.filter(|line| !line.trim_start().starts_with("STATIC_ROOT")) {
                let Some((variable, path)) = FOLDERS
                    .iter()
                    .find_map(|variable| Some((*variable, path_below(line, variable)?)))
                else {
                    continue;
                };
                // A file has an extension, and is made by who writes it.
                let folder = if file_name(&path).contains('.') { parent(&path) } else { &path };
                let base = self.folder_of(variable, root);
                let folder = join_clean(&base, folder);
                let is_source = SOURCES.contains(&file_name(&folder));
                if folder != base
                    && !is_source
                    && !project.tree.has_dir(&folder)
                    && !project.tree.has(&folder)
                {
                    found.insert(folder);
                }
            }
        }
        found
    }

    /// The folder that a variable holds: so many above the file that sets it, else the project's.
    fn folder_of(&self, variable: &str, root: &str) -> String {
        let up = self.files.iter().find_map(|file| {
            let line = file.text.lines().find(|line| line.starts_with(variable))?;
            let count = line.matches(".parent").count().max(line.matches("dirname(").count());
            let count = count + line.matches("\"..\"").count() + line.matches("'..'").count();
            let parents = line.split_once(".parents[").and_then(|(_, rest)| rest.split_once(']'));
            let parents = parents.and_then(|(number, _)| number.trim().parse::<usize>().ok());
            let up = parents.map_or(count, |number| number + 1);
            let is_known = line.contains("__file__") && (1..10).contains(&up);
            is_known.then(|| (0..up).fold(file.path.as_str(), |path, _| parent(path)))
        });
        up.unwrap_or(root).to_owned()
    }

    /// Variables that the settings can't be loaded without, with values that will do while files are made.
    pub(super) fn stand_ins(&self) -> BTreeMap<&str, &'static str> {
        let calls =
            ["os.environ[", "environ[", "getenv(", "environ.get(", "env(", "env.str(", "config("];
        let mut found = BTreeMap::new();
        for line in self.files.iter().flat_map(|file| file.text.lines()) {
            for call in calls {
                let Some(name) = argument(line, call) else { continue };
                let value = match name {
                    name if name.contains("SECRET") => "build",
                    "DATABASE_URL" if !line.contains("sqlite:") => "sqlite:////tmp/build.sqlite3",
                    // Behind a condition it may well be missing.
                    _ if call.ends_with('[') && !line.starts_with([' ', '\t']) => "build",
                    _ => continue,
                };
                if found.len() < STAND_INS_MAX {
                    found.entry(name).or_insert(value);
                }
            }
        }
        found
    }
}

/// A module, and those of the project that it takes everything from or that lie beside it.
fn followed(project: &Project<'_>, root: &str, module: &str) -> Vec<Rc<Text>> {
    let mut pending = vec![module.to_owned()];
    let mut found: Vec<Rc<Text>> = Vec::new();
    while let Some(module) = pending.pop() {
        let stem = join(root, &module.replace('.', "/"));
        let read = |end: &&str| project.tree.read(&format!("{stem}{end}"));
        let Some(file) = [".py", "/__init__.py"].iter().find_map(read) else { continue };
        if found.len() >= FILES_MAX || found.iter().any(|known| known.path == file.path) {
            continue;
        }
        let is_package = file.path.ends_with("/__init__.py");
        for line in file.text.lines() {
            let from = line.trim_start().strip_prefix("from ");
            let Some((name, what)) = from.and_then(|from| from.split_once(" import ")) else {
                continue;
            };
            let inner = name.trim_start_matches('.');
            let dots = name.len() - inner.len();
            if dots == 0 {
                pending.extend((what.trim() == "*").then(|| inner.trim().to_owned()));
                continue;
            }
            let parts: Vec<&str> = module.split('.').collect();
            let up = dots - usize::from(is_package);
            let package = &parts[..parts.len().saturating_sub(up)];
            let of_package = package.iter().copied().chain([inner.trim()]);
            let of_package: Vec<&str> = of_package.filter(|part| !part.is_empty()).collect();
            pending.push(of_package.join("."));
        }
        found.push(file);
    }
    found
}

/// The path that a line makes below a variable: `BASE_DIR / "data" / "x"`, `join(BASE_DIR, "data")`, `f"{BASE_DIR}/data"`.
fn path_below(line: &str, variable: &str) -> Option<String> {
    let (_, rest) = line.split_once(variable)?;
    let mut parts = Vec::new();
    if let Some(text) = rest.strip_prefix("}/") {
        parts.push(text.split(['"', '\'']).next()?);
    } else {
        let mut rest = rest.trim_start_matches([')', ' ']);
        let sign = rest.chars().next().filter(|sign| matches!(sign, '/' | ',' | '+'))?;
        while let Some(next) = rest.trim_start().strip_prefix(sign)
            && let Some(part) = quoted(next.trim_start())
        {
            parts.push(part);
            rest = &next.trim_start()[part.len() + 1..];
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    let path = parts.join("/");
    let path = resolve(".", path.trim_matches('/'))?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    (path != "." && path.len() < 200 && path.chars().all(fits)).then_some(path)
}

/// The name of a variable that is the first argument of a call.
fn argument<'l>(line: &'l str, call: &str) -> Option<&'l str> {
    let name = quoted(&line[line.find(call)? + call.len()..])?;
    let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    (!name.is_empty() && name.len() < 80 && name.chars().all(fits)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    fn settings(texts: &[&str]) -> Settings {
        let file =
            |text: &&str| Rc::new(Text { path: "shop/settings.py".into(), text: (*text).into() });
        Settings { files: texts.iter().map(file).collect() }
    }

    #[test]
    fn the_database_is_known_where_its_settings_lie_in_a_variable() {
        let check = |text: &str, is_file: bool| {
            assert_eq!(settings(&[text]).keeps_a_file(), is_file, "{text}");
        };
        const FILE: &str = "{'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'x'}";
        const SERVER: &str = "{\n  'ENGINE': 'django.db.backends.postgresql',\n}";
        check(&format!("DATABASES = {{'default': {FILE}}}\n"), true);
        check(
            &format!("SMALL = {FILE}\nLARGE = {SERVER}\nDATABASES = {{'default': SMALL}}\n"),
            true,
        );
        check(
            &format!("SMALL = {FILE}\nLARGE = {SERVER}\nDATABASES = {{'default': LARGE}}\n"),
            false,
        );
        check(
            &format!("DATABASES = {{'default': {FILE}}}\nif X:\n    DATABASES = {SERVER}\n"),
            false,
        );
        check("DATABASES = {'default': env.db('DATABASE_URL')}\n", false);
        check("DATABASES = {'default': env.db('DATABASE_URL', default='sqlite:///x.db')}\n", true);
        check("# DATABASES = {'ENGINE': 'django.db.backends.sqlite3'}\n", false);
    }

    #[test]
    fn paths_below_a_folder_are_read_in_the_forms_that_projects_write() {
        let check = |line: &str, want: Option<&str>| {
            assert_eq!(path_below(line, "BASE_DIR").as_deref(), want, "{line}");
        };
        check("MEDIA_ROOT = BASE_DIR / 'media'", Some("media"));
        check("X = os.path.join(BASE_DIR, \"data\", 'x.db')", Some("data/x.db"));
        check("X = f\"sqlite:///{BASE_DIR}/data/x.db\"", Some("data/x.db"));
        check("X = str(BASE_DIR) + '/logs'", Some("logs"));
        check("{'NAME': BASE_DIR / 'db.sqlite3', 'A': 'B'}", Some("db.sqlite3"));
        check("BASE_DIR = Path(__file__).parent", None);
        check("X = BASE_DIR / '../x'", None);
        check("X = BASE_DIR / name", None);
    }

    #[test]
    fn the_folder_of_a_variable_is_so_many_above_its_file() {
        let check = |line: &str, want: &str| {
            assert_eq!(settings(&[line]).folder_of("BASE_DIR", "root"), want, "{line}");
        };
        check("BASE_DIR = Path(__file__).resolve().parent", "shop");
        check("BASE_DIR = Path(__file__).resolve().parent.parent", ".");
        check("BASE_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))", ".");
        check("BASE_DIR = Path(__file__).parents[0]", "shop");
        check("BASE_DIR = join(dirname(__file__), '..')", ".");
        check("BASE_DIR = somewhere()", "root");
    }

    #[test]
    fn variables_are_read_from_calls() {
        assert_eq!(argument("X = os.environ['KEY_1']", "os.environ["), Some("KEY_1"));
        assert_eq!(argument("X = env(\"KEY\", default=1)", "env("), Some("KEY"));
        assert_eq!(argument("X = env(name)", "env("), None);
    }

    #[test]
    fn no_text_makes_it_panic() {
        let seed = "from .a import *\nBASE_DIR = x\nDATABASES = {'ENGINE': A / 'é'}\nX = BASE_DIR / 'a' / 'b'\n";
        mutate(seed.as_bytes(), b"'\"{}()/,=+ \n\xc3", 3000, |data| {
            let text = String::from_utf8_lossy(data);
            let found = settings(&[&text]);
            assert!(found.stand_ins().len() <= STAND_INS_MAX);
            drop((found.keeps_a_file(), found.folder_of("BASE_DIR", ".")));
            assert!(
                text.lines().all(|line| path_below(line, "BASE_DIR").is_none_or(|p| p.len() < 200))
            );
        });
    }
}
