//! PHP: Composer; Laravel, Symfony and other front controllers, WordPress, Drupal, folders of `.php` files.
//!
//! What serves is Apache of the official image `php:…-apache`: it exists for every version since 5.6, knows the `.htaccess`
//! files that most projects bring along, runs as `www-data` and listens where it is told, in one process group. FrankenPHP
//! would need 8.2, FPM a second server; `php -S` is for development.

use std::collections::BTreeSet;

use self::{
    composer::Composer,
    framework::{PORT, RoadRunner, Site, file_of, server_file},
    version::{APACHE, PHP, TOOLS, version},
};
use crate::detect::{prelude::*, procfile::Process};

mod composer;
mod extensions;
mod framework;
mod version;

/// Folders with a front controller, where no framework says which.
const ROOTS: &[&str] =
    &["public", "web", "webroot", "htdocs", "www", "public_html", "html", "pub", "."];

/// Folders that a front controller loads from.
const PARTS: &[&str] =
    &["src", "app", "lib", "includes", "inc", "config", "classes", "templates", "views", "vendor"];

/// Calls that say which extension a project without a manifest wants.
const CALLS: &[(&str, &str)] = &[
    ("mysqli", "mysqli"),
    ("mysql:", "pdo_mysql"),
    ("pgsql:", "pdo_pgsql"),
    ("pg_connect", "pgsql"),
    ("new Redis(", "redis"),
    ("imagecreate", "gd"),
    ("new MongoDB", "mongodb"),
];

/// Services of PHP.
pub fn find(project: &Project<'_>) -> Vec<Service> {
    let mut found: Vec<Facts> = Vec::new();
    let mut projects: BTreeSet<&str> = BTreeSet::new();
    for (folder, entries) in project.tree.dirs() {
        let at = home(Folder::new(project, folder));
        if projects.contains(at.dir) {
            // A front controller, and a `wp-config.php` beside it, of a project that was found.
            continue;
        }
        let above = upward(at.dir).any(|above| projects.contains(above));
        // Bedrock and its like have WordPress below the manifest of Composer.
        let is_wordpress = entries.first_of(&["wp-config.php", "wp-load.php"]).is_some();
        let has_pages = || folder == "." && entries.ending(".php").next().is_some();
        let is_files = || entries.has("index.php") || server_file(at).is_some() || has_pages();
        if (entries.has("composer.json")
            || !above && (is_wordpress || is_files() && !is_below_project(at)))
            && let Some(facts) = service(at, above)
        {
            projects.insert(at.dir);
            found.push(facts);
        }
    }
    assemble::all(project, found)
}

/// Where a front controller without manifest belongs to: the folder above that of what is served, when the rest of the
/// program lies beside.
fn home(folder: Folder<'_>) -> Folder<'_> {
    let above = Folder::new(folder.project, parent(folder.dir));
    let is_served = folder.dir != "." && ROOTS.contains(&file_name(folder.dir));
    let has_code = || {
        PARTS.iter().any(|part| above.has_dir(part))
            || above.entries().is_some_and(|all| all.ending(".php").next().is_some())
    };
    if is_served && !folder.has("composer.json") && has_code() { above } else { folder }
}

/// Whether a front controller may be a view of another project.
fn is_below_project(at: Folder<'_>) -> bool {
    upward(at.dir).any(|dir| {
        let other = at.project.tree.first_of(dir, super::MANIFESTS);
        let is_own = |path: &str| match file_name(path) {
            "index.php" => true,
            name => name == "package.json" && dir == at.dir,
        };
        other.is_some_and(|path| !is_own(&path))
    })
}

fn service(at: Folder<'_>, is_below_other: bool) -> Option<Facts> {
    let composer = Composer::load(at);
    let known = framework::find(at, composer.as_ref());
    let site = known.as_ref().and_then(|known| known.framework.own);
    let process = at.procfile().filter(|process| process.line.contains("php"));
    let root = root(at, site, process.as_ref(), composer.is_some());
    let server = site.and_then(|site| site.server(at));
    let server = server.or_else(|| server_file(at).filter(|_| root.is_none()));
    let roadrunner = composer.as_ref().and_then(RoadRunner::find);
    // Libraries and tools of other projects have a `composer.json`, too.
    let is_started =
        root.is_some() || server.is_some() || process.is_some() || roadrunner.is_some();
    if !is_started && is_below_other {
        return None;
    }
    let mut facts = Facts::new(&PHP, at.dir);
    identify(at, composer.as_ref(), server, root.as_deref(), &mut facts);
    facts.of_framework(known.as_ref(), Fixed::PackageOrFiles);
    facts.weight = match (&known, is_started, composer.is_some()) {
        (_, false, _) => Weight::Manifest,
        (Some(_), ..) => Weight::Framework,
        (None, true, true) => Weight::Starts,
        (None, true, false) => Weight::Files,
    };
    if site.is_some_and(|site| site.root == "public") {
        // What the browser gets is built from there, often by packages of a workspace.
        facts.claims.push(at.path("resources"));
    }
    let is_apache = server.is_none() && roadrunner.is_none();
    facts.set("kind", if is_apache { "apache" } else { "cli" });
    let mut names = extensions(at, composer.as_ref(), site);
    names.extend(roadrunner.is_some().then(|| "sockets".to_owned()));
    build(at, composer.as_ref(), names, &mut facts);
    if let Some(site) = site {
        prepare(at, composer.as_ref(), site, &mut facts);
    }
    let is_foreign = |line: &str| line.contains("heroku-php") || line.contains("vendor/bin/");
    if let Some(process) = process.filter(|process| !is_foreign(&process.line)) {
        facts.start(process.command, Rule::Procfile(process.name), [process.evidence]);
        facts.weight = Weight::Stated;
        facts.port(Port::told(PORT, Fixed::PortOfContainer, None));
        return Some(facts);
    }
    if let Some(roadrunner) = roadrunner {
        roadrunner.serve(at, &mut facts);
        return Some(facts);
    }
    match (server, root) {
        (Some(line), _) => {
            let default = known.map_or(PORT, |known| known.framework.port);
            framework::serve(at, line, default, &mut facts);
        }
        (None, Some(root)) => serve(at, &root, known.is_some(), &mut facts),
        (None, None) => facts = facts.nothing(Fixed::NoIndexPhp, []),
    }
    health(at, &mut facts);
    Some(facts)
}

/// The folder that is served: what the `Procfile`, the framework or its name says, if it has an `index.php`.
fn root(
    at: Folder<'_>,
    site: Option<Site>,
    process: Option<&Process>,
    has_composer: bool,
) -> Option<String> {
    // `vendor/bin/heroku-php-apache2 public/` names the folder that is served.
    let stated = process.filter(|process| process.line.contains("heroku-php"));
    let stated = stated.and_then(|process| process.line.split_whitespace().next_back());
    let stated = stated.map(|word| word.trim_end_matches('/'));
    let stated = stated.filter(|word| !word.contains("bin/"));
    let wished = site.map(|site| site.root);
    let mut all = stated.into_iter().chain(wished).chain(ROOTS.iter().copied());
    let has_index =
        |root: &str| Folder::new(at.project, &join_clean(at.dir, root)).has("index.php");
    // Pages that are asked for by their names.
    let has_pages = || {
        !has_composer
            && at.entries().is_some_and(|all| all.ending(".php").next().is_some())
            && server_file(at).is_none()
    };
    all.find(|root| has_index(root)).or_else(|| has_pages().then_some(".")).map(str::to_owned)
}

/// Name, language and build system.
fn identify(
    at: Folder<'_>,
    composer: Option<&Composer<'_>>,
    server: Option<&'static str>,
    root: Option<&str>,
    facts: &mut Facts,
) {
    let (place, rule) = match (composer, server) {
        (Some(composer), _) => {
            facts.tool = "composer";
            facts.name = composer.json.str_at(&["name"]).unwrap_or_default().to_owned();
            (at.place("composer.json", None), Rule::Named("composer.json".to_owned()))
        }
        (None, Some(line)) => (at.place(file_of(line), None), Fixed::NoComposer.into()),
        (None, None) => (first_page(at, root.unwrap_or(".")), Fixed::NoComposer.into()),
    };
    facts.decide(What::Language, "php", Fixed::SourcesOfPhp, [place.clone()]);
    facts.decide(What::BuildSystem, facts.tool, rule, [place]);
}

/// `index.php`, else the first page there is.
fn first_page(at: Folder<'_>, root: &str) -> Evidence {
    let folder = join_clean(at.dir, root);
    let entries = at.project.tree.entries(&folder).filter(|entries| !entries.has("index.php"));
    let first = entries.and_then(|entries| entries.ending(".php").next());
    Evidence::file(join(&folder, first.unwrap_or("index.php")))
}

/// Extensions that the project asks for, or its framework, or its calls.
fn extensions(at: Folder<'_>, composer: Option<&Composer<'_>>, site: Option<Site>) -> Vec<String> {
    let mut names = composer.map(Composer::extensions).unwrap_or_default();
    let usual = site.map_or(&[][..], |site| site.extensions);
    names.extend(usual.iter().map(|name| (*name).to_owned()));
    if composer.is_none() {
        let files = at.sources(PHP.sources, &|_| false);
        let is_used = |call: &str| source::mention(&files, call).is_some();
        let used = CALLS.iter().filter(|(call, _)| is_used(call));
        names.extend(used.map(|(_, extension)| (*extension).to_owned()));
        let servers = [("OpenSwoole\\", "openswoole"), ("Swoole\\", "swoole")];
        let server = servers.iter().find(|(class, _)| is_used(class));
        names.extend(server.map(|(_, extension)| (*extension).to_owned()));
    }
    names
}

/// Extensions, packages of Composer, assets, the class map.
fn build(at: Folder<'_>, composer: Option<&Composer<'_>>, names: Vec<String>, facts: &mut Facts) {
    let (version, decision) = version(at, composer);
    let mut install = Vec::new();
    let mut ignored = String::new();
    let has_tools = at.images(&PHP).has(TOOLS);
    if has_tools {
        // Opcache is part of PHP itself from 8.5 on.
        let plan = extensions::plan(&names, PHP.suite(version), version >= Version::of(8, 5));
        let commands = plan.commands.into_iter();
        install.extend(commands.map(|command| Step::new(Kind::Setup, ".", command)));
        facts.packages(&plan.build_packages, &plan.runtime_packages);
        ignored
            .extend(plan.unknown.iter().map(|name| format!(" --ignore-platform-req=ext-{name}")));
        if !plan.built.is_empty() {
            for folder in ["/usr/local/lib/php/extensions", "/usr/local/etc/php/conf.d"] {
                facts.take(folder, folder);
            }
        }
    } else {
        let names: Vec<String> =
            names.iter().map(|name| extensions::debian_package(name)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        facts.packages(&names, &names);
    }
    facts.take(at.dir, "");
    facts.exclude.push(".git".to_owned());
    let mut files = Vec::new();
    if let Some(composer) = composer {
        if has_tools {
            // Composer 2.2 is the last for PHP before 7.2.5.
            let flag = if version < Version::of(7, 3) { " --2.2" } else { "" };
            let fetch = format!(
                "command -v composer || curl -fsSL https://getcomposer.org/installer | php -- --quiet \
                 --install-dir=/usr/local/bin --filename=composer{flag}"
            );
            install.push(Step::new(Kind::Setup, ".", fetch));
        }
        facts.packages_everywhere(&["git", "unzip"], &[]);
        let command = format!(
            "composer install --no-dev --no-scripts --no-autoloader --no-interaction --prefer-dist{ignored}"
        );
        install.push(Step::new(Kind::Install, at.dir, command));
        facts.build_env("COMPOSER_ALLOW_SUPERUSER", "1");
        facts.build_env("COMPOSER_CACHE_DIR", "/root/.cache/composer");
        facts.cache.push("/root/.cache/composer".to_owned());
        if !composer.has_local() {
            files = at.those(&["composer.json", "composer.lock"]);
        }
        let command = "composer dump-autoload --no-dev --optimize --no-scripts --no-interaction";
        facts.build(at.dir, command);
        // What lies there in a work tree was installed for another machine, with what is for development.
        facts.exclude.push(at.path("vendor"));
    }
    facts.install(files, install);
    facts.version((version, decision));
    if let Some(front) = facts.front_end(at.project, at.dir, None) {
        facts.steps.extend(front.build.into_iter().chain(front.clean));
    }
}

/// Commands of the framework, and folders that it writes to.
fn prepare(at: Folder<'_>, composer: Option<&Composer<'_>>, site: Site, facts: &mut Facts) {
    for (package, command) in site.commands {
        if package.is_empty()
            || composer.is_some_and(|composer| composer.require(package).is_some())
        {
            facts.build(at.dir, *command);
        }
    }
    let there = site.writes.iter().filter(|folder| at.has_dir(folder));
    let writes: Vec<&str> = site.makes.iter().chain(there).copied().collect();
    if !writes.is_empty() {
        let list = writes.join(" ");
        facts.build(at.dir, format!("mkdir -p {list} && chmod -R a+rwX {list}"));
    }
}

/// Serves a folder: with Apache, whose settings say what port, which folder, and who answers for what is no file.
fn serve(at: Folder<'_>, root: &str, has_framework: bool, facts: &mut Facts) {
    let place = first_page(at, root);
    if !at.images(&PHP).has(APACHE) {
        let line = format!("php -S 0.0.0.0:$PORT -t {}", quote(root));
        facts.start_line(&line, Fixed::FolderWithIndexPhp, [place]);
        return facts.port(Port::told(PORT, Fixed::FreePort, None));
    }
    let served = join_clean(&PHP.in_home(""), root);
    let has_own = at.has(&join_clean(root, ".htaccess"));
    let fallback = if has_framework && !has_own { "FallbackResource /index.php\n" } else { "" };
    facts.files.push(WrittenFile {
        path: "/etc/apache2/ports.conf".to_owned(),
        content: format!(
            "ServerName localhost\nListen ${{PORT}}\n\
             LoadModule rewrite_module /usr/lib/apache2/modules/mod_rewrite.so\n\
             <VirtualHost *:${{PORT}}>\nDocumentRoot {served}\n<Directory {served}>\n\
             AllowOverride All\nRequire all granted\n{fallback}</Directory>\n</VirtualHost>\n"
        ),
    });
    facts.start(["apache2-foreground"], Fixed::ApacheOfImage, [place]);
    facts.port(Port::told(PORT, Fixed::UserPort, None));
}

/// Laravel 11 declares the path it answers on when it is well.
fn health(at: Folder<'_>, facts: &mut Facts) {
    let Some(text) = at.read("bootstrap/app.php") else { return };
    let found = text.lines().find_map(|(line, text)| {
        let path = text.trim().strip_prefix("health:")?.trim();
        let path = path.trim_matches(|c| "'\",".contains(c));
        (path.starts_with('/') && source::is_plain_path(path)).then_some((path, line))
    });
    if let Some((path, line)) = found {
        let rule = Rule::Named("health: in bootstrap/app.php".to_owned());
        facts.health(path, rule, [Evidence::line(&text.path, Some(line))]);
    }
}
