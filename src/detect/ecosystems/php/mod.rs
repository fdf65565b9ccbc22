//! PHP: Composer; Laravel, Symfony and other front controllers, WordPress, Drupal, folders of `.php` files.
//!
//! What serves is Apache of the official image `php:…-apache`: it exists for every version since 5.6, knows the `.htaccess`
//! files that most projects bring along, runs as `www-data` and listens where it is told, in one process group. FrankenPHP
//! would need 8.2, FPM a second server; `php -S` is for development.

use std::collections::BTreeSet;

use self::{
    composer::Composer,
    framework::{PORT, Site, file_of, server_file},
    version::{APACHE, APK, PHP, TOOLS, version},
};
use crate::detect::{prelude::*, procfile::Process};

mod composer;
mod extensions;
mod framework;
mod version;
mod writes;

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
    ("new Imagick(", "imagick"),
    ("sqlsrv_connect(", "sqlsrv"),
    ("sqlsrv:", "pdo_sqlsrv"),
    ("new ZipArchive", "zip"),
    ("new SoapClient(", "soap"),
    ("new SoapServer(", "soap"),
    ("new NumberFormatter(", "intl"),
    ("new IntlDateFormatter(", "intl"),
    ("exif_read_data(", "exif"),
    ("ldap_connect(", "ldap"),
    ("new Memcached(", "memcached"),
    ("apcu_fetch(", "apcu"),
    ("gmp_init(", "gmp"),
    ("bcadd(", "bcmath"),
    ("bcmul(", "bcmath"),
    ("yaml_parse", "yaml"),
];

/// The same of servers: only the first that is found.
const SERVERS: &[(&str, &str)] = &[("OpenSwoole\\", "openswoole"), ("Swoole\\", "swoole")];

/// Services of PHP.
pub fn find(project: &Project<'_>) -> Vec<Facts> {
    let mut found: Vec<Facts> = Vec::new();
    let mut projects: BTreeSet<&str> = BTreeSet::new();
    let libraries = libraries(project);
    let pages = pages(project);
    for (folder, entries) in project.tree.dirs() {
        let at = home(Folder::new(project, folder), &pages);
        let is_library = libraries.iter().any(|pattern| glob(pattern, at.dir));
        if is_library || projects.contains(at.dir) {
            // A front controller, and a `wp-config.php` beside it, of a project that was found.
            continue;
        }
        let above = upward(at.dir).any(|above| projects.contains(above));
        // Bedrock and its like have WordPress below the manifest of Composer.
        let is_wordpress = entries.first_of(&["wp-config.php", "wp-load.php"]).is_some();
        let is_files = || {
            entries.has("index.php")
                || server_file(at).is_some()
                || folder == "." && has_php(at)
                || pages.contains(folder)
        };
        if (entries.has("composer.json") || !above && (is_wordpress || is_files() && !is_view(at)))
            && let Some(facts) = service(at, above, &pages)
        {
            projects.insert(at.dir);
            found.push(facts);
        }
    }
    found
}

/// Patterns of the folders that projects install as packages of their own.
fn libraries(project: &Project<'_>) -> Vec<String> {
    let manifests = project.tree.dirs().filter(|(_, entries)| entries.has("composer.json"));
    let mut found = Vec::new();
    for (dir, _) in manifests {
        let composer = Composer::load(Folder::new(project, dir));
        let paths = composer.repositories("path").filter_map(|url| resolve(dir, url));
        found.extend(paths.filter(|path| path != dir));
    }
    found
}

/// Where a front controller without manifest belongs to: the folder above that of what is served, when the rest of the
/// program lies beside.
fn home<'a>(folder: Folder<'a>, pages: &BTreeSet<&str>) -> Folder<'a> {
    let above = Folder::new(folder.project, parent(folder.dir));
    let is_served = folder.dir != "." && ROOTS.contains(&file_name(folder.dir));
    let is_page = pages.contains(folder.dir) && !folder.has("index.php");
    let has_code = || is_page || PARTS.iter().any(|part| above.has_dir(part)) || has_php(above);
    if is_served && !folder.has("composer.json") && has_code() { above } else { folder }
}

/// Whether a front controller may be a view of another project.
fn is_view(at: Folder<'_>) -> bool {
    super::is_below_project(at, |dir, name| {
        name == "index.php" || name == "package.json" && dir == at.dir
    })
}

fn service(at: Folder<'_>, is_below_other: bool, pages: &BTreeSet<&str>) -> Option<Facts> {
    let composer = Composer::load(at);
    let has_composer = composer.json.is_some();
    let known = framework::find(&composer);
    let site = known.as_ref().and_then(|known| known.framework.own);
    let process = at.procfile().filter(|process| process.line.contains("php"));
    let root = root(&composer, site, process.as_ref(), pages);
    let server = site.and_then(|site| site.server(at));
    let server = server.or_else(|| server_file(at).filter(|_| root.is_none()));
    let roadrunner = framework::roadrunner(&composer);
    let is_apache = server.is_none() && roadrunner.is_none();
    // Libraries and tools of other projects have a `composer.json`, too.
    let is_started = root.is_some() || process.is_some() || !is_apache;
    if !is_started && is_below_other {
        return None;
    }
    let mut facts = Facts::new(&PHP, at.dir);
    facts.tool = if has_composer { "composer" } else { "none" };
    facts.name = composer.get(&["name"]).and_then(Value::text).unwrap_or_default();
    let (rule, place) = match server {
        _ if has_composer => (Fixed::ComposerJson, at.place("composer.json", None)),
        Some(line) => (Fixed::NoComposer, at.place(file_of(line), None)),
        None => (Fixed::NoComposer, first_page(at, root.as_deref().unwrap_or("."))),
    };
    facts.known_as(Fixed::SourcesOfPhp, rule, place);
    facts.of_framework(known.as_ref(), Fixed::PackageOrFiles);
    let served = join_clean(at.dir, root.as_deref().unwrap_or("."));
    let has_pages = || pages.contains(served.as_str());
    facts.weight = match &known {
        _ if !is_started => Weight::Manifest,
        Some(_) => Weight::Framework,
        None if has_composer || has_pages() => Weight::Starts,
        None => Weight::Files,
    };
    if site.is_some_and(|site| site.root == "public") {
        // What the browser gets is built from there, often by packages of a workspace.
        facts.claims.push(at.path("resources"));
    }
    // The folder that is served may have a manifest of its own.
    let served = root.iter().filter(|root| *root != "." && has_composer);
    facts.claims.extend(served.map(|root| at.path(root)));
    facts.set("kind", if is_apache { "apache" } else { "cli" });
    build(&composer, site, roadrunner.is_some(), &mut facts);
    workers(&composer, &mut facts);
    let is_foreign = |line: &str| line.contains("heroku-php") || line.contains("vendor/bin/");
    match (process.filter(|process| !is_foreign(&process.line)), roadrunner, server, root) {
        (Some(process), ..) => {
            facts.start(process.command, Rule::Procfile(process.name), [process.evidence]);
            facts.weight = Weight::Stated;
            facts.port(Port::told(PORT, Fixed::PortOfContainer, None));
            return Some(facts);
        }
        (_, Some(settings), ..) => {
            framework::serve_workers(&composer, &settings, &mut facts);
            return Some(facts);
        }
        (_, _, Some(line), _) => {
            let default = known.map_or(PORT, |known| known.framework.port);
            framework::serve(at, line, default, &mut facts);
        }
        (.., Some(root)) => serve(at, &root, known.is_some(), &mut facts),
        _ => facts = facts.nothing(Fixed::NoIndexPhp, []),
    }
    health(at, &mut facts);
    Some(facts)
}

/// The folder that is served: what the `Procfile`, the framework or its name says, if it has an `index.php`.
fn root(
    composer: &Composer<'_>,
    site: Option<Site>,
    process: Option<&Process>,
    pages: &BTreeSet<&str>,
) -> Option<String> {
    let at = composer.at;
    // `vendor/bin/heroku-php-apache2 public/` names the folder that is served.
    let stated = process.filter(|process| process.line.contains("heroku-php"));
    let stated = stated.and_then(|process| process.line.split_whitespace().next_back());
    let stated = stated.map(|word| word.trim_end_matches('/'));
    let stated = stated.filter(|word| !word.contains("bin/"));
    // Beside a folder with a front controller lies what is not for browsers.
    let wished = site.map(|site| site.root).filter(|root| *root != ".");
    let sent = sends_to(at);
    let known = wished.into_iter().chain(sent.as_deref()).chain(ROOTS.iter().copied());
    let mut all = stated.into_iter().chain(known);
    let has_index = |root: &str| at.project.tree.has(&join(&join_clean(at.dir, root), "index.php"));
    // Pages that are asked for by their names.
    let has_pages = || composer.json.is_none() && has_php(at) && server_file(at).is_none();
    let found = all.find(|root| has_index(root)).or_else(|| has_pages().then_some("."));
    let has_html = |root: &&str| pages.contains(join_clean(at.dir, root).as_str());
    let of_html = || ROOTS.iter().copied().find(has_html);
    found.or_else(of_html).map(str::to_owned)
}

/// The folder that the first page does nothing but send browsers to: `header('Location: p/');`. What it shows must not lie
/// beside it.
fn sends_to(at: Folder<'_>) -> Option<String> {
    let page = at.read("index.php")?;
    let code = page.lines().map(|(_, line)| line).filter(|line| !source::is_comment(line));
    let code: Vec<&str> = code.filter(|line| !line.trim().is_empty()).collect();
    let line = code.iter().find(|line| line.contains("Location:")).filter(|_| code.len() <= 8)?;
    let target = line.split_once("Location:")?.1.split(['\'', '"']).next()?.trim();
    let target = target.trim_end_matches("index.php").trim_start_matches("./").trim_matches('/');
    let first = at.read(&join(target, "index.php"))?;
    let leaves = ["=\"../", "='../"].iter().any(|link| first.text.contains(link));
    let is_one = !target.is_empty() && !leaves && code.iter().all(|line| !line.contains("if ("));
    is_one.then(|| target.to_owned())
}

/// Pages of HTML.
const PAGES: &[&str] = &["index.html", "index.htm"];

/// Folders with a page of HTML that programs in PHP belong to: a server of files would show their sources to everybody. What
/// a bundler makes a site of is none.
fn pages<'t>(project: &'t Project<'_>) -> BTreeSet<&'t str> {
    let programs = project.tree.dirs().filter(|(_, entries)| entries.has_ending(&[".php"]));
    let mut found = BTreeSet::new();
    for (dir, _) in programs.filter(|(dir, _)| !folders::is_beside_product(dir)) {
        for above in upward(dir) {
            let at = Folder::new(project, above);
            if at.first_of(PAGES).is_some() && !found.contains(above) && !is_made(at) {
                found.insert(above);
            }
            if at.has("composer.json") {
                break;
            }
        }
    }
    found
}

/// Whether a build or a program of Node.js makes the site.
fn is_made(at: Folder<'_>) -> bool {
    let json = at.json("package.json");
    let script = |name| json.as_ref().and_then(|json| json.at(&["scripts", name])?.text());
    script("build").is_some() || script("start").is_some_and(|line| line.contains("node "))
}

fn has_php(at: Folder<'_>) -> bool {
    at.entries().is_some_and(|entries| entries.has_ending(&[".php"]))
}

fn sources(at: Folder<'_>) -> Vec<Rc<Text>> {
    at.sources(PHP.sources, &|_| false)
}

/// `index.php`, else the first page there is.
fn first_page(at: Folder<'_>, root: &str) -> Evidence {
    let folder = join_clean(at.dir, root);
    let entries = at.project.tree.entries(&folder).filter(|entries| !entries.has("index.php"));
    let first = entries.and_then(|e| e.first_of(PAGES).or_else(|| e.ending(".php").next()));
    Evidence::file(join(&folder, first.unwrap_or("index.php")))
}

/// Extensions that the project asks for, or its framework, or its calls.
fn extensions(composer: &Composer<'_>, site: Option<Site>, has_workers: bool) -> Vec<String> {
    let mut names: Vec<&str> = site.map(|site| site.extensions.to_vec()).unwrap_or_default();
    names.extend(has_workers.then_some("sockets"));
    if composer.json.is_none() {
        let files = sources(composer.at);
        let is_used = |(call, _): &&(&str, &str)| source::mention(&files, call).is_some();
        let server = SERVERS.iter().find(is_used);
        names.extend(CALLS.iter().filter(is_used).chain(server).map(|(_, extension)| *extension));
    }
    composer.extensions().into_iter().chain(names.into_iter().map(str::to_owned)).collect()
}

/// Extensions, packages of Composer, assets, the class map, what the framework wants, folders that are written to.
fn build(composer: &Composer<'_>, site: Option<Site>, has_workers: bool, facts: &mut Facts) {
    let at = composer.at;
    let (version, decision) = version(composer);
    let mut names = extensions(composer, site, has_workers);
    // A part of PHP since 8.5, for which Wolfi has no package.
    names.retain(|name| version < Version::of(8, 5) || !name.eq_ignore_ascii_case("opcache"));
    let has_tools = at.images(&PHP).has(TOOLS);
    let (mut install, ignored) = match has_tools {
        true => extensions::compile(&names, version, facts),
        false => (Vec::new(), extensions::packaged(&names, at.images(&PHP).has(APK), facts)),
    };
    facts.version((version, decision));
    facts.take(at.dir, "");
    facts.exclude.push(".git".to_owned());
    let is_committed = is_committed(at);
    if composer.json.is_some() && !is_committed {
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
        let command = "composer dump-autoload --no-dev --optimize --no-scripts --no-interaction";
        facts.build(at.dir, command);
        // What lies there in a work tree was installed for another machine, with what is for development.
        facts.exclude.push(at.path("vendor"));
    }
    let mut files = match &composer.json {
        Some(_) if !is_committed && composer.repositories("path").next().is_none() => {
            at.those(&["composer.json", "composer.lock"])
        }
        _ => Vec::new(),
    };
    if !files.is_empty() {
        files.extend(composer.repositories("artifact").filter_map(|url| resolve(at.dir, url)));
    }
    facts.install(files, install);
    if let Some(front) = facts.front_end(at.project, at.dir, None) {
        facts.steps.extend(front.build.into_iter().chain(front.clean));
    }
    let Some(site) = site else {
        let files = sources(at);
        if composer.json.is_none() && writes::anywhere(at, &files) {
            facts.build(at.dir, "chmod -R a+rwX .");
        }
        let folders = writes::folders(at, &files);
        return may_write(at, folders.iter().map(String::as_str), facts);
    };
    let fits = site.needs.is_none_or(|package| composer.require(package).is_some());
    if fits && !site.command.is_empty() {
        facts.build(at.dir, site.command);
    }
    let there = site.writes.iter().filter(|folder| at.has_dir(folder));
    may_write(at, site.makes.iter().chain(there).copied(), facts);
}

/// Whether the packages of Composer are part of the project: installed in the tree, and not left out of its commits.
fn is_committed(at: Folder<'_>) -> bool {
    let is_ignored = |line: &str| {
        matches!(line.trim().trim_matches('/'), "vendor" | "vendor/*" | "vendor/**" | "**/vendor")
    };
    let ignores = [at.read(".gitignore"), at.project.tree.read(".gitignore")];
    let ignored =
        ignores.iter().flatten().any(|text| text.lines().any(|(_, line)| is_ignored(line)));
    let has = |name: &str| at.project.tree.is_there(&at.path(name));
    !ignored && has("vendor/autoload.php") && has("vendor/composer/installed.json")
}

/// Makes folders, and lets everybody write in them.
fn may_write<'n>(at: Folder<'_>, folders: impl Iterator<Item = &'n str>, facts: &mut Facts) {
    let list = folders.collect::<Vec<_>>().join(" ");
    if !list.is_empty() {
        facts.build(at.dir, format!("mkdir -p {list} && chmod -R a+rwX {list}"));
    }
}

/// What is written into the settings of a server so that hidden files are not for browsers.
const HIDDEN: &str =
    "<LocationMatch \"/\\.(?!well-known/)\">\nRequire all denied\n</LocationMatch>\n";

/// The same for the server of PHP itself, and for the packages of Composer.
const ROUTER: &str = "<?php\n$path = urldecode((string) parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH));\n\
                      if (preg_match('#/\\.(?!well-known/)|^/vendor/#', $path)) {\n    http_response_code(404);\n    \
                      exit('Not Found');\n}\nreturn false;\n";
const ROUTER_FILE: &str = "/etc/php/router.php";

/// What a page has that answers for paths which are no files.
const FRONT: &[&str] = &["REQUEST_URI", "PATH_INFO", "vendor/autoload.php", "Router"];

/// Serves a folder: with Apache, whose settings say what port, which folder, and who answers for what is no file.
fn serve(at: Folder<'_>, root: &str, has_framework: bool, facts: &mut Facts) {
    let place = first_page(at, root);
    if !at.images(&PHP).has(APACHE) {
        facts.write(ROUTER_FILE, ROUTER);
        let line = format!("php -S 0.0.0.0:$PORT -t {} {ROUTER_FILE}", quote(root));
        facts.start_line(&line, Fixed::FolderWithIndexPhp, [place]);
        return facts.port(Port::told(PORT, Fixed::FreePort, None));
    }
    let served = join_clean(&PHP.in_home(""), root);
    let read = |name: &str| at.read(&join_clean(root, name));
    let says = |name: &str, words: &[&str]| {
        read(name).is_some_and(|file| words.iter().any(|word| file.text.contains(word)))
    };
    let has_own = says(".htaccess", &["Rewrite", "FallbackResource", "ErrorDocument"]);
    let is_front = has_framework || says("index.php", FRONT);
    let fallback = if is_front && !has_own { "FallbackResource /index.php\n" } else { "" };
    let vendor = match root {
        "." => format!("<Directory {served}/vendor>\nRequire all denied\n</Directory>\n"),
        _ => String::new(),
    };
    facts.write(
        "/etc/apache2/ports.conf",
        format!(
            "ServerName localhost\nListen ${{PORT}}\n\
             LoadModule rewrite_module /usr/lib/apache2/modules/mod_rewrite.so\n\
             <VirtualHost *:${{PORT}}>\nDocumentRoot {served}\n<Directory {served}>\n\
             AllowOverride All\nRequire all granted\n{fallback}</Directory>\n{vendor}{HIDDEN}</VirtualHost>\n"
        ),
    );
    facts.start(["apache2-foreground"], Fixed::ApacheOfImage, [place]);
    facts.port(Port::told(PORT, Fixed::UserPort, None));
}

/// Workers for the queue of Laravel, and what starts its scheduled tasks.
fn workers(composer: &Composer<'_>, facts: &mut Facts) {
    let at = composer.at;
    let Some(laravel) = composer.require("laravel/framework").filter(|_| at.has("artisan")) else {
        return;
    };
    let place = composer.place(laravel);
    match composer.require("laravel/horizon").map(|value| composer.place(value)) {
        Some(place) => facts.worker("worker", "php artisan horizon", Fixed::WorkerOfLaravel, place),
        None if at.has_dir("app/Jobs") => {
            facts.worker("worker", "php artisan queue:work", Fixed::WorkerOfLaravel, place);
        }
        None => {}
    }
    let files = ["routes/console.php", "bootstrap/app.php", "app/Console/Kernel.php"];
    let files: Vec<_> = files.iter().filter_map(|name| at.read(name)).collect();
    let schedule =
        ["Schedule::", "$schedule->"].iter().find_map(|sign| source::mention(&files, sign));
    if let Some(place) = schedule {
        facts.worker("clock", "php artisan schedule:work", Fixed::WorkerOfLaravel, place);
    }
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
        facts.health(path, Fixed::HealthOfLaravel, [Evidence::line(&text.path, Some(line))]);
    }
}
