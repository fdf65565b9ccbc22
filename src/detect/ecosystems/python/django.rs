//! Django: `manage.py`, the settings it names, and what serves the project.

use std::rc::Rc;

use crate::detect::{Evidence, Project, Text, ecosystems::source, join, parent};

/// A project of Django.
#[derive(Debug)]
pub(super) struct Django {
    /// Folder that is the root of its modules; `manage.py` lies in it.
    pub(super) root: String,
    /// Evidence for its being one.
    pub(super) place: Evidence,
    /// `shop.wsgi:application`, and where it is.
    pub(super) wsgi: Option<(String, Evidence)>,
    /// `shop.asgi:application`.
    pub(super) asgi: Option<(String, Evidence)>,
    /// Files that hold settings.
    pub(super) settings: Vec<Rc<Text>>,
}

/// The project in these files of the folder `dir`, the one nearest to the top; those of tests and examples are none.
pub(super) fn find(project: &Project<'_>, dir: &str, files: &[Rc<Text>]) -> Option<Django> {
    let is_manage = |file: &&Rc<Text>| {
        let below =
            if dir == "." { &file.path } else { file.path.get(dir.len() + 1..).unwrap_or("") };
        file.path.rsplit('/').next() == Some("manage.py")
            && file.text.contains("DJANGO_SETTINGS_MODULE")
            && !source::is_beside_product(parent(below))
    };
    let manage =
        files.iter().filter(is_manage).min_by_key(|file| file.path.matches('/').count())?;
    let line = manage.line_of("DJANGO_SETTINGS_MODULE");
    let root = parent(&manage.path).to_owned();
    let module = settings_module(&manage.text);
    let package =
        module.as_deref().and_then(|m| m.split('.').next()).map(|first| join(&root, first));
    let served = |name: &str| served(project, &root, package.as_deref(), files, name);
    let is_settings = |file: &&Rc<Text>| {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let in_package = file.path.split('/').any(|part| part == "settings");
        name.starts_with("settings") || in_package || name == "production.py" || name == "prod.py"
    };
    Some(Django {
        place: Evidence::line(&manage.path, line),
        wsgi: served("wsgi.py"),
        asgi: served("asgi.py"),
        settings: files.iter().filter(is_settings).cloned().collect(),
        root,
    })
}

/// `os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")`
fn settings_module(text: &str) -> Option<String> {
    let at = text.find("DJANGO_SETTINGS_MODULE")?;
    let rest = text[at..].split_once(',')?.1;
    let start = rest.find(['"', '\''])?;
    let quote = &rest[start..=start];
    let end = rest[start + 1..].find(quote)?;
    let module = &rest[start + 1..start + 1 + end];
    let fits = |c: char| c.is_ascii_alphanumeric() || "._".contains(c);
    (!module.is_empty() && module.chars().all(fits)).then(|| module.to_owned())
}

fn served(
    project: &Project<'_>,
    root: &str,
    package: Option<&str>,
    files: &[Rc<Text>],
    name: &str,
) -> Option<(String, Evidence)> {
    let stem = name.strip_suffix(".py").unwrap_or(name);
    // It may be a package, too.
    let inner = format!("{stem}/__init__.py");
    let in_package = [name, &inner].into_iter().find_map(|name| {
        package.map(|package| join(package, name)).filter(|path| project.tree.has(path))
    });
    let is_one = |file: &&Rc<Text>| {
        let below = root == "." || file.path.starts_with(&format!("{root}/"));
        let is_named = file.path == join(root, name) || file.path.ends_with(&format!("/{name}"));
        below && is_named && file.text.contains("application")
    };
    let elsewhere = || {
        files
            .iter()
            .filter(is_one)
            .min_by_key(|f| f.path.matches('/').count())
            .map(|f| f.path.clone())
    };
    let path = in_package.or_else(elsewhere)?;
    let below = if root == "." { path.as_str() } else { path.get(root.len() + 1..)? };
    let module = below.strip_suffix(".py")?;
    let module = module.strip_suffix("/__init__").unwrap_or(module).replace('/', ".");
    let line = project.tree.read(&path).and_then(|text| text.line_of("application"));
    Some((format!("{module}:application"), Evidence::line(path, line)))
}

impl Django {
    /// Where the settings say so.
    pub(super) fn setting(&self, needle: &str) -> Option<Evidence> {
        self.settings.iter().find_map(|file| {
            let found = file
                .lines()
                .find(|(_, line)| line.contains(needle) && !line.trim_start().starts_with('#'));
            found.map(|(at, _)| Evidence::line(&file.path, Some(at)))
        })
    }

    /// Whether its database is a file of SQLite, and never anything else.
    pub(super) fn keeps_a_file(&self) -> bool {
        let others = ["postgres", "mysql", "oracle", "DATABASE_URL", "dj_database_url", "env.db("];
        let names = |needle: &str| self.setting(needle).is_some();
        names("django.db.backends.sqlite3") && !others.iter().any(|other| names(other))
    }

    /// Variables that the settings can't be loaded without, with values that will do while files are collected.
    pub(super) fn stand_ins(&self) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        for line in self.settings.iter().flat_map(|file| file.text.lines()) {
            for call in [
                "os.environ[", "environ[", "getenv(", "environ.get(", "env(", "env.str(", "config(",
            ] {
                let Some(name) = argument(line, call) else { continue };
                if found.iter().any(|(known, _)| *known == name) || found.len() >= STAND_INS_MAX {
                    continue;
                }
                let value = match name.as_str() {
                    name if name.contains("SECRET") => "build",
                    "DATABASE_URL" => "sqlite:////tmp/build.sqlite3",
                    // Behind a condition it may well be missing.
                    _ if call.ends_with('[') && !line.starts_with([' ', '\t']) => "build",
                    _ => continue,
                };
                found.push((name, value.to_owned()));
            }
        }
        found.sort();
        found
    }
}

/// The name of a variable that is the first argument of a call.
fn argument(line: &str, call: &str) -> Option<String> {
    let rest = &line[line.find(call)? + call.len()..];
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let name = rest[1..].split(quote).next()?;
    let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    (!name.is_empty() && name.len() < 80 && name.chars().all(fits)).then(|| name.to_owned())
}

const STAND_INS_MAX: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_module_is_read_from_manage_py() {
        let text = "    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings.dev')\n";
        assert_eq!(settings_module(text).as_deref(), Some("shop.settings.dev"));
        assert_eq!(settings_module("DJANGO_SETTINGS_MODULE, x"), None);
        assert_eq!(settings_module("DJANGO_SETTINGS_MODULE, 'a b'"), None);
    }

    #[test]
    fn variables_are_read_from_calls() {
        assert_eq!(argument("X = os.environ['KEY_1']", "os.environ[").as_deref(), Some("KEY_1"));
        assert_eq!(argument("X = env(\"KEY\", default=1)", "env(").as_deref(), Some("KEY"));
        assert_eq!(argument("X = env(name)", "env("), None);
    }
}
