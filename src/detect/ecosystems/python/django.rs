//! Django: `manage.py`, the settings it names, and what serves the project.

use std::collections::BTreeMap;

use super::{
    candidate::{Candidate, Module},
    imports::quoted,
    server,
};
use crate::detect::{paths::below, prelude::*};

/// Starts the project in these files that is nearest to the top; those of tests and examples are none.
pub(super) fn start(c: &mut Candidate<'_>) -> Option<()> {
    let is_manage = |file: &&Rc<Text>| {
        file_name(&file.path) == "manage.py"
            && file.text.contains("DJANGO_SETTINGS_MODULE")
            && !folders::is_beside_product(parent(below(c.at.dir, &file.path)))
    };
    let manage = c.files.iter().filter(is_manage).min_by_key(|file| depth(&file.path))?;
    // The root of its modules.
    let root = parent(&manage.path).to_owned();
    let place = Evidence::line(&manage.path, manage.line_of("DJANGO_SETTINGS_MODULE"));
    let package = settings_module(&manage.text).and_then(|module| module.split('.').next());
    let served = |name: &str| served(c, &root, package, name);
    let (wsgi, asgi) = (served("wsgi"), served("asgi"));
    let dependency = c.manifest.place("django").unwrap_or_else(|| place.clone());
    c.facts.framework("django", Fixed::ManageAndSettings, [dependency, place.clone()]);

    let is_named = |server: &&str| c.manifest.has(server) && !c.manifest.has("gunicorn");
    let named = ["daphne", "uvicorn", "waitress"].into_iter().filter(is_named);
    let found = named.chain(["gunicorn", "uvicorn"]).find_map(|server| {
        let is_wsgi = ["gunicorn", "waitress"].contains(&server);
        let (name, place) = if is_wsgi { wsgi.clone() } else { asgi.clone() }?;
        Some((server, name, place))
    });
    let mut module = Module::of(&root);
    let (line, place) = match found {
        Some((server, name, place)) => {
            c.needs(server);
            module.name = name;
            // gunicorn takes `application` by itself.
            let line = server::of(server).replace("{call}", "{module}");
            (server::line(&line, &module, "application", false), place)
        }
        None => ("python manage.py runserver 0.0.0.0:$PORT".to_owned(), place),
    };
    c.start(&line, Fixed::DjangoProject, [place], &module);
    c.facts.port(Port::told(8000, Rule::DefaultOf("Django".to_owned()), None));
    c.health();
    manage_files(c, &root);
    Some(())
}

/// The module that a server takes `application` from, and where that is: of the package of the settings, else elsewhere.
fn served(
    c: &Candidate<'_>,
    root: &str,
    package: Option<&str>,
    name: &str,
) -> Option<(String, Evidence)> {
    let file = format!("{name}.py");
    // It may be a package, too.
    let in_package = [file.clone(), format!("{name}/__init__.py")].into_iter().find_map(|file| {
        let path = join(&join(root, package?), &file);
        c.at.project.tree.has(&path).then_some(path)
    });
    let is_one = |found: &&Rc<Text>| {
        is_below(&found.path, root)
            && file_name(&found.path) == file
            && found.text.contains("application")
    };
    let elsewhere = || c.files.iter().filter(is_one).min_by_key(|file| depth(&file.path));
    let path = in_package.or_else(|| Some(elsewhere()?.path.clone()))?;
    let module = below(root, &path).strip_suffix(".py")?;
    let module = module.strip_suffix("/__init__").unwrap_or(module).replace('/', ".");
    let line = c.at.project.tree.read(&path).and_then(|text| text.line_of("application"));
    Some((module, Evidence::line(path, line)))
}

fn depth(path: &str) -> usize {
    path.matches('/').count()
}

/// `os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")`
fn settings_module(text: &str) -> Option<&str> {
    let rest = text[text.find("DJANGO_SETTINGS_MODULE")?..].split_once(',')?.1;
    let module = quoted(&rest[rest.find(['"', '\''])?..])?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "._".contains(c);
    (!module.is_empty() && module.chars().all(fits)).then_some(module)
}

/// Lets `manage.py` make what has to be there before the first start.
fn manage_files(c: &mut Candidate<'_>, root: &str) {
    let mut settings = c.files.clone();
    settings.retain(|file| {
        let name = file_name(&file.path);
        name.starts_with("settings")
            || ["production.py", "prod.py"].contains(&name)
            || file.path.split('/').any(|part| part == "settings")
    });
    let says = |needle: &str| source::mention(&settings, needle).is_some();
    let values = stand_ins(&settings);
    let values: String =
        values.iter().map(|(name, value)| format!("{name}={} ", quote(value))).collect();
    // Tables of a database that is there from the first start on, where it is never anything but a file.
    let others = ["postgres", "mysql", "oracle", "DATABASE_URL", "dj_database_url", "env.db("];
    let keeps_a_file =
        says("django.db.backends.sqlite3") && !others.iter().any(|other| says(other));
    // Static files are collected when something serves them.
    let collects = (c.manifest.has("whitenoise") || says("whitenoise")) && says("STATIC_ROOT");
    for (is_run, command) in [(keeps_a_file, "migrate"), (collects, "collectstatic")] {
        let line = format!("{values}python manage.py {command} --noinput");
        c.last.extend(is_run.then(|| Step::new(Kind::Build, root, line)));
    }
}

/// Variables that the settings can't be loaded without, with values that will do while files are collected.
fn stand_ins(settings: &[Rc<Text>]) -> BTreeMap<&str, &'static str> {
    let calls =
        ["os.environ[", "environ[", "getenv(", "environ.get(", "env(", "env.str(", "config("];
    let mut found = BTreeMap::new();
    for line in settings.iter().flat_map(|file| file.text.lines()) {
        for call in calls {
            let Some(name) = argument(line, call) else { continue };
            let value = match name {
                name if name.contains("SECRET") => "build",
                "DATABASE_URL" => "sqlite:////tmp/build.sqlite3",
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

/// The name of a variable that is the first argument of a call.
fn argument<'l>(line: &'l str, call: &str) -> Option<&'l str> {
    let name = quoted(&line[line.find(call)? + call.len()..])?;
    let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    (!name.is_empty() && name.len() < 80 && name.chars().all(fits)).then_some(name)
}

const STAND_INS_MAX: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_module_is_read_from_manage_py() {
        let text = "    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings.dev')\n";
        assert_eq!(settings_module(text), Some("shop.settings.dev"));
        assert_eq!(settings_module("DJANGO_SETTINGS_MODULE, x"), None);
        assert_eq!(settings_module("DJANGO_SETTINGS_MODULE, 'a b'"), None);
    }

    #[test]
    fn variables_are_read_from_calls() {
        assert_eq!(argument("X = os.environ['KEY_1']", "os.environ["), Some("KEY_1"));
        assert_eq!(argument("X = env(\"KEY\", default=1)", "env("), Some("KEY"));
        assert_eq!(argument("X = env(name)", "env("), None);
    }
}
