//! Django: `manage.py`, the settings it names, and what serves the project.

use super::{
    candidate::{Candidate, Module},
    health::HEALTH,
    imports::quoted,
    server,
    settings::Settings,
};
use crate::detect::{paths::below, prelude::*};

/// Starts the project in these files that is nearest to the top; those of tests and examples are none.
pub(super) fn start(c: &mut Candidate<'_>) -> Option<()> {
    let is_manage = |file: &&Rc<Text>| {
        file_name(&file.path) == "manage.py"
            && file.text.contains("DJANGO_SETTINGS_MODULE")
            && !folders::is_beside_product(parent(below(c.at.dir, &file.path)))
    };
    let manage = c.files.iter().filter(is_manage).min_by_key(|file| depth(&file.path))?.clone();
    let managed = settings_module(&manage.text);
    // The root of its modules; `manage.py` may look for them in a folder beside it.
    let home = parent(&manage.path);
    let root = managed.and_then(|module| imported_from(c, home, module));
    let root = root.unwrap_or_else(|| home.to_owned());
    let place = Evidence::line(&manage.path, manage.line_of("DJANGO_SETTINGS_MODULE"));
    let package = managed.and_then(|module| module.split('.').next());
    let served = |name: &str| served(c, &root, package, name);
    let (wsgi, asgi) = (served("wsgi"), served("asgi"));
    let dependency = c.manifest.place("django").unwrap_or_else(|| place.clone());
    c.facts.framework("django", Fixed::ManageAndSettings, [dependency, place.clone()]);

    let is_named = |server: &&str| c.manifest.has(server) && !c.manifest.has("gunicorn");
    let named = ["daphne", "uvicorn", "waitress", "uwsgi"].into_iter().filter(is_named);
    let found = named.chain(["gunicorn", "uvicorn"]).find_map(|server| {
        let is_wsgi = ["gunicorn", "waitress", "uwsgi"].contains(&server);
        let (name, place) = if is_wsgi { wsgi.clone() } else { asgi.clone() }?;
        Some((server, name, place))
    });
    let mut module = Module::of(&root);
    let served = found.as_ref().and_then(|(.., place)| c.at.project.tree.read(&place.file));
    let served = served.as_ref().and_then(|file| settings_module(&file.text));
    let (line, place) = match (found, managed) {
        (Some((server, name, place)), _) => {
            c.needs(server);
            module.name = name;
            // gunicorn takes `application` by itself.
            let line = server::of(server).replace("{call}", "{module}");
            (server::line(&line, &module, "application", false), place)
        }
        (None, Some(settings)) => {
            c.needs("gunicorn");
            c.facts.env("DJANGO_SETTINGS_MODULE", settings);
            let own = Module { name: "django.core.wsgi".to_owned(), ..Module::of(&root) };
            (server::line(server::of("gunicorn"), &own, "get_wsgi_application", true), place)
        }
        (None, None) => ("python manage.py runserver 0.0.0.0:$PORT".to_owned(), place),
    };
    c.start(&line, Fixed::DjangoProject, [place], &module);
    c.facts.port(Port::told(8000, Rule::DefaultOf("Django".to_owned()), None));
    let settings = Settings::of(c, &root, served.or(managed));
    let others = served.filter(|served| Some(*served) != managed);
    health(c, &root, &settings);
    manage_files(c, (home, &root), &settings, others);
    Some(())
}

/// The folder below `home` that a module of settings is imported from, where that is not `home` itself.
fn imported_from(c: &Candidate<'_>, home: &str, module: &str) -> Option<String> {
    let stem = module.replace('.', "/");
    let ends = [format!("{stem}.py"), format!("{stem}/__init__.py")];
    let is_there = |folder: &str| ends.iter().any(|end| c.at.project.tree.has(&join(folder, end)));
    let folder = |file: &Rc<Text>| {
        let above = ends.iter().find_map(|end| file.path.strip_suffix(end.as_str()))?;
        let above = above.strip_suffix('/')?;
        let is_one = is_below(above, home) && !folders::is_beside_product(below(home, above));
        is_one.then(|| above.to_owned())
    };
    let all = || c.files.iter().filter_map(folder).min_by_key(|folder| depth(folder));
    (!is_there(home)).then(all).flatten()
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

/// What serves the static files of a project, by package; the last are of Django itself, in the settings or the routes.
const STATIC: &[&str] = &[
    "whitenoise", "servestatic", "dj-static", "ManifestStaticFilesStorage", "django.views.static",
    "staticfiles.views",
];

/// Makes what has to be there before the first start, by `manage.py` in the first folder; `served` are the settings of the server where `manage.py` has others.
fn manage_files(
    c: &mut Candidate<'_>,
    (home, root): (&str, &str),
    settings: &Settings,
    served: Option<&str>,
) {
    if settings.says("django.contrib.gis") {
        c.facts.packages(&[], &["gdal-bin", "libgeos-c1v5", "libproj25"]);
    }
    let missing = settings.missing_folders(c.at.project, root);
    if !missing.is_empty() {
        let list: Vec<String> = missing.iter().map(|folder| quote(folder)).collect();
        c.last.push(Step::new(Kind::Build, ".", format!("mkdir -p {}", list.join(" "))));
    }
    let served = served.map(|module| ("DJANGO_SETTINGS_MODULE", module));
    let values = served.into_iter().chain(settings.stand_ins());
    let values: String = values.map(|(name, value)| format!("{name}={} ", quote(value))).collect();
    let is_served = |name: &&str| {
        c.manifest.has(name) || settings.says(name) || source::mention(&c.files, name).is_some()
    };
    // What lies with a provider needs the key of the account.
    let lies_elsewhere = settings.says("storages.backends") || settings.says("Boto3Storage");
    let collects = settings.says("STATIC_ROOT") && !lies_elsewhere && STATIC.iter().any(is_served);
    // Tables of a database that is there from the first start on, where it is never anything but a file.
    for (is_run, command) in [(settings.keeps_a_file(), "migrate"), (collects, "collectstatic")] {
        let line = format!("{values}python manage.py {command} --noinput");
        c.last.extend(is_run.then(|| Step::new(Kind::Build, home, line)));
    }
}

/// Takes a route of the project that is mostly there to ask whether it is well, unless only other hosts may ask.
fn health(c: &mut Candidate<'_>, root: &str, settings: &Settings) {
    let hosts = settings.statements("ALLOWED_HOSTS");
    let is_closed = hosts.contains(['"', '\''])
        && !["*", "localhost", "127.0.0.1", "env", "config("]
            .iter()
            .any(|word| hosts.contains(word));
    let read = |module: &str| {
        c.at.project.tree.read(&join(root, &format!("{}.py", module.replace('.', "/"))))
    };
    let Some(urls) = settings.value("ROOT_URLCONF").filter(|_| !is_closed).and_then(read) else {
        return;
    };
    let included = urls.lines().filter_map(|(_, line)| {
        let module = quoted(line.split_once("include(")?.1)?;
        Some((route(line)?.to_owned(), read(module)?))
    });
    let all: Vec<_> = [(String::new(), urls.clone())].into_iter().chain(included).collect();
    let found = all.iter().find_map(|(prefix, urls)| {
        urls.lines().find_map(|(at, line)| {
            let route = route(line).filter(|_| !line.contains("include("))?;
            let is_known = HEALTH.iter().any(|path| path.trim_start_matches('/') == route);
            let path = format!("/{prefix}{route}");
            let is_one = is_known && source::is_plain_path(&path);
            is_one.then(|| (path, Evidence::line(&urls.path, Some(at))))
        })
    });
    if let Some((path, place)) = found {
        c.facts.health(path, Rule::RouteAt(place), []);
    }
}

/// The route of a line: `path("health/", …)`, `re_path(r"^health/$", …)`.
fn route(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("path(").or_else(|| line.split_once("url("))?;
    let text = quoted(rest.trim_start().trim_start_matches('r'))?;
    Some(text.trim_start_matches('^').trim_end_matches('$'))
}

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
    fn routes_are_read_in_their_forms() {
        assert_eq!(route("    path('health/', view),"), Some("health/"));
        assert_eq!(route("re_path(r\"^health/$\", view),"), Some("health/"));
        assert_eq!(route("x = path(name)"), None);
    }
}
