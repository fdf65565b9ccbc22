//! PHP: Composer; Laravel, Symfony and other front controllers, WordPress, Drupal, folders of `.php` files.
//!
//! What serves is Apache of the official image `php:…-apache`: it exists for every version since 5.6, knows the `.htaccess`
//! files that most projects bring along, runs as `www-data` and listens where it is told, in one process group. FrankenPHP
//! would need 8.2, FPM a second server; `php -S` is for development.

use std::collections::BTreeSet;

use self::{
    extensions::Extensions,
    framework::{Framework, OWN_SERVERS, framework, server_file},
    version::{suite, version},
};
use super::{
    draft::{OUT_DIR, draft, official, within},
    pins, source,
};
use crate::detect::{
    Evidence, Project, Service, Weight,
    images::{self, Family, Packaged},
    join,
    manifest::Value,
    procfile::procfile,
    shell, upward,
    versions::Version,
};

mod extensions;
mod framework;
mod roadrunner;
mod version;

/// What the other families have.
const PACKAGED: Packaged = Packaged { language: "PHP", wolfi: ((8, 2), (8, 5)), debian: (8, 2) };
const HOME: &str = "/var/www/html";
const PORT: u16 = 8080;

/// Folders with a front controller, where no framework says which.
const ROOTS: &[&str] =
    &["public", "web", "webroot", "htdocs", "www", "public_html", "html", "pub", "."];

/// Services of PHP.
pub fn find(project: &Project<'_>) -> Vec<Service> {
    let mut found: Vec<Service> = Vec::new();
    let mut projects: BTreeSet<&str> = BTreeSet::new();
    for (folder, entries) in project.tree.dirs() {
        let dir = home(project, folder);
        let is_wordpress = entries.has("wp-config.php") || entries.has("wp-load.php");
        let is_files = (entries.has("index.php")
            || server_file(project, dir).is_some()
            || folder == "." && entries.ending(".php").next().is_some())
            && !is_below_project(project, dir);
        if found.iter().any(|service| service.dir == dir) {
            // A front controller, and a `wp-config.php` beside it, of a project that was found.
            continue;
        }
        let above = upward(dir).any(|above| projects.contains(above));
        // Bedrock and its like have WordPress below the manifest of Composer.
        let is_project = entries.has("composer.json") || is_wordpress && !above;
        if (is_project || is_files && !above)
            && let Some(service) = service(project, dir, above)
        {
            projects.insert(dir);
            found.push(service);
        }
    }
    found
}

/// Where a front controller without manifest belongs to: the folder above that of what is served, when the rest of the
/// program lies beside.
fn home<'d>(project: &Project<'_>, folder: &'d str) -> &'d str {
    let above = crate::detect::parent(folder);
    let name = folder.rsplit('/').next().unwrap_or(folder);
    let is_served = ROOTS.contains(&name) && name != ".";
    let Some(entries) = project.tree.entries(above).filter(|_| is_served) else { return folder };
    let is_code = |name: &String| PARTS.contains(&name.as_str());
    let has_code = entries.dirs.iter().any(is_code) || entries.ending(".php").next().is_some();
    let has_own = project.tree.has(&join(folder, "composer.json"));
    if has_code && !has_own { above } else { folder }
}

/// Folders that a front controller loads from.
const PARTS: &[&str] =
    &["src", "app", "lib", "includes", "inc", "config", "classes", "templates", "views", "vendor"];

/// A lone `index.php` may be a view of another project.
fn is_below_project(project: &Project<'_>, dir: &str) -> bool {
    let mut at = dir;
    loop {
        let other = project.tree.first_of(at, super::MANIFESTS);
        if other.is_some_and(|path| {
            !(path.ends_with("index.php") || at == dir && path.ends_with("package.json"))
        }) {
            return true;
        }
        if at == "." {
            return false;
        }
        at = crate::detect::parent(at);
    }
}

/// Both files of Composer.
struct Composer {
    path: String,
    json: Value,
    lock: Option<Value>,
    lock_path: String,
}

impl Composer {
    fn load(project: &Project<'_>, dir: &str) -> Option<Self> {
        let path = join(dir, "composer.json");
        let json = project.tree.json(&path)?;
        let lock_path = join(dir, "composer.lock");
        Some(Self { lock: project.tree.json(&lock_path), path, json, lock_path })
    }

    fn require(&self, package: &str) -> Option<&Value> {
        self.json.at(&["require", package])
    }

    fn place(&self, package: &str) -> Evidence {
        Evidence::line(&self.path, self.require(package).map(|value| value.line))
    }

    fn locked(&self) -> &[Value] {
        self.lock.as_ref().and_then(|lock| lock.get("packages")).map_or(&[], Value::items)
    }

    /// Packages that are required or locked.
    fn names(&self) -> BTreeSet<String> {
        let own = self.json.get("require").into_iter().flat_map(Value::members);
        let locked = self.locked().iter().filter_map(|package| package.str_at(&["name"]));
        own.map(|(name, _)| name).chain(locked).map(str::to_owned).collect()
    }

    /// Extensions that the project and its locked packages require.
    fn extensions(&self) -> Vec<String> {
        let own = self.json.get("require").into_iter();
        let locked = self.locked().iter().filter_map(|package| package.get("require"));
        let names = own.chain(locked).flat_map(Value::members);
        names.filter_map(|(name, _)| name.strip_prefix("ext-").map(str::to_owned)).collect()
    }

    /// Packages that lie in the tree.
    fn has_local(&self) -> bool {
        let repositories = self.json.get("repositories");
        let mut all = repositories
            .into_iter()
            .flat_map(|r| r.items().iter().chain(r.members().map(|(_, value)| value)));
        all.any(|repository| repository.str_at(&["type"]) == Some("path"))
    }
}

fn service(project: &Project<'_>, dir: &str, is_below_other: bool) -> Option<Service> {
    let composer = Composer::load(project, dir);
    let manifest = join(dir, "composer.json");
    let framework = framework(project, dir, composer.as_ref());
    let has_index = |root: &&str| project.tree.has(&join(&join_clean(dir, root), "index.php"));
    let wished = framework.as_ref().map(|(framework, _)| framework.root);
    let process = procfile(project, dir).filter(|process| process.line.contains("php"));
    // `vendor/bin/heroku-php-apache2 public/` names the folder that is served.
    let stated = process.as_ref().filter(|process| process.line.contains("heroku-php"));
    let stated = stated.and_then(|process| process.line.split_whitespace().next_back());
    let stated =
        stated.map(|word| word.trim_end_matches('/')).filter(|word| !word.contains("bin/"));
    let root =
        stated.into_iter().chain(wished).chain(ROOTS.iter().copied()).find(|root| has_index(root));
    // Pages that are asked for by their names.
    let has_pages = || {
        composer.is_none()
            && project.tree.entries(dir).is_some_and(|all| all.ending(".php").next().is_some())
            && server_file(project, dir).is_none()
    };
    let root = root.or_else(|| has_pages().then_some(".")).map(str::to_owned);
    let own_server = framework.as_ref().and_then(|(framework, _)| {
        let (_, files) = OWN_SERVERS.iter().find(|(id, _)| *id == framework.id)?;
        files.iter().copied().find(|file| project.tree.has(&join(dir, file)))
    });
    let own_server = own_server.or_else(|| server_file(project, dir).filter(|_| root.is_none()));
    let roadrunner = roadrunner::find(project, dir, composer.as_ref());
    // Libraries and tools of other projects have a `composer.json`, too.
    let is_started =
        root.is_some() || own_server.is_some() || process.is_some() || roadrunner.is_some();
    if !is_started && is_below_other {
        return None;
    }
    let mut service = draft(dir, "php", if composer.is_some() { "composer" } else { "none" });
    service.weight = match (&framework, is_started, composer.is_some()) {
        (_, false, _) => Weight::Manifest,
        (Some(_), ..) => Weight::Framework,
        (None, true, true) => Weight::Starts,
        (None, true, false) => Weight::Files,
    };
    let place = match composer.is_some() {
        true => Evidence::file(&manifest),
        false => Evidence::file(match own_server {
            Some(file) => join(dir, file),
            None => first_page(project, &join_clean(dir, root.as_deref().unwrap_or("."))),
        }),
    };
    service.decide("language", "php", "manifest or sources of PHP", [place.clone()]);
    let id = service.spec.metadata.build_system.clone().unwrap_or_default();
    let rule = if composer.is_some() { "composer.json" } else { "no composer.json" };
    service.decide("build system", id, rule, [place.clone()]);
    if let Some(name) = composer.as_ref().and_then(|composer| composer.json.str_at(&["name"])) {
        service.name(name);
    }
    if framework.as_ref().is_some_and(|(framework, _)| framework.root == "public") {
        // What the browser gets is built from there, often by packages of a workspace.
        service.claims.push(join(dir, "resources"));
    }
    let (version, decision) = version(project, dir, composer.as_ref());
    service.decisions.push(decision);
    if let Some((framework, place)) = &framework {
        service.spec.metadata.framework = Some(framework.id.to_owned());
        service.decide("framework", framework.id, "package or files", [place.clone()]);
    }
    let found = framework.map(|(framework, _)| framework);
    let parts = Parts {
        composer: composer.as_ref(),
        framework: found,
        version,
        is_apache: own_server.is_none() && roadrunner.is_none(),
        has_workers: roadrunner.is_some(),
    };
    let extensions = bases(project, &parts, &mut service);
    build(project, &parts, &extensions, &mut service);
    if let Some(process) = process.filter(|process| {
        !process.line.contains("heroku-php") && !process.line.contains("vendor/bin/")
    }) {
        let words: Vec<&str> = process.command.iter().map(String::as_str).collect();
        service.start(words, format!("Procfile {}", process.name), [process.evidence]);
        service.weight = Weight::Stated;
        service.port(PORT, "`PORT` of the container", []);
        service.env("PORT", PORT.to_string());
        return Some(service);
    }
    if let Some(roadrunner) = roadrunner {
        roadrunner.serve(&mut service);
        return Some(service);
    }
    match (own_server, root.as_deref()) {
        (Some(file), _) => own(project, &mut service, file),
        (None, Some(root)) => apache(project, &mut service, root, found),
        (None, None) => {
            let rule = "no index.php in the folder of a framework or of the project";
            service.decide("start command", "", rule, []);
        }
    }
    health(project, &mut service);
    Some(service)
}

/// `index.php`, else the first page there is.
fn first_page(project: &Project<'_>, folder: &str) -> String {
    let entries = project.tree.entries(folder);
    let first = entries.and_then(|all| match all.has("index.php") {
        true => Some("index.php"),
        false => all.ending(".php").next(),
    });
    join(folder, first.unwrap_or("index.php"))
}

fn join_clean(dir: &str, below: &str) -> String {
    if below == "." { dir.to_owned() } else { join(dir, below) }
}

struct Parts<'a> {
    composer: Option<&'a Composer>,
    framework: Option<&'static Framework>,
    version: Version,
    /// Else the program listens on its own.
    is_apache: bool,
    /// RoadRunner talks to them.
    has_workers: bool,
}

fn bases(project: &Project<'_>, parts: &Parts<'_>, service: &mut Service) -> Extensions {
    let version = parts.version;
    let mut names = parts.composer.map(Composer::extensions).unwrap_or_default();
    names.extend(
        parts.framework.into_iter().flat_map(|f| f.extensions).map(|name| (*name).to_owned()),
    );
    if parts.composer.is_none() {
        names.extend(used_extensions(project, &service.dir));
    }
    names.extend(parts.has_workers.then(|| "sockets".to_owned()));
    if project.bases == Family::Official {
        let suite = suite(version);
        // Part of PHP itself from 8.5 on.
        let has_opcache = version >= Version { major: 8, minor: Some(5), patch: None };
        let extensions = extensions::plan(&names, suite, has_opcache);
        let kind = if parts.is_apache { "apache" } else { "cli" };
        let base = official(&format!("php:{version}-{kind}-{suite}"));
        service.spec.build.base = base.clone();
        service.spec.runtime.base = base;
        service.spec.runtime.user = Some("www-data".to_owned());
        service.build_packages(extensions.build_packages.iter().copied());
        service.runtime_packages(extensions.runtime_packages.iter().copied());
        if !extensions.built.is_empty() {
            service.decide(
                "packages",
                extensions.built.join(", "),
                "extensions that are required",
                [],
            );
        }
        return extensions;
    }
    names.retain(|name| !["opcache", "zend-opcache"].contains(&name.as_str()));
    let basic = ["curl", "mbstring", "xml", "sqlite3", "zip"].map(str::to_owned);
    let listed: BTreeSet<String> = names.iter().chain(&basic).map(|n| debian_package(n)).collect();
    let (packaged, decision) = PACKAGED.nearest(project.bases, version);
    service.decisions.extend(decision);
    service.plain_bases(project);
    match project.bases {
        Family::Wolfi => {
            let name = format!("php-{packaged}");
            service.spec.runtime.user = Some(images::WOLFI_NONROOT.to_owned());
            let packages: Vec<String> = [
                "ctype", "curl", "dom", "fileinfo", "iconv", "mbstring", "openssl", "pdo", "phar",
                "xml",
            ]
            .iter()
            .map(|extension| format!("{name}-{extension}"))
            .collect();
            service.build_packages([name.as_str(), "composer", "git", "unzip"]);
            service.runtime_packages([name.as_str()]);
            service.build_packages(packages.iter().map(String::as_str));
            service.runtime_packages(packages.iter().map(String::as_str));
        }
        _ => {
            service.spec.runtime.user = Some("www-data".to_owned());
            service.build_packages(["composer", "git", "php-cli", "unzip"]);
            service.runtime_packages(["ca-certificates", "php-cli"]);
            service.build_packages(listed.iter().map(String::as_str));
            service.runtime_packages(listed.iter().map(String::as_str));
        }
    }
    Extensions::default()
}

/// The package of Debian that has an extension.
fn debian_package(extension: &str) -> String {
    match extension.to_ascii_lowercase().as_str() {
        "pdo_mysql" | "mysqli" => "php-mysql".to_owned(),
        "pdo_pgsql" | "pgsql" => "php-pgsql".to_owned(),
        "pdo_sqlite" => "php-sqlite3".to_owned(),
        "dom" | "simplexml" | "xmlreader" | "xmlwriter" | "libxml" | "xsl" => "php-xml".to_owned(),
        name @ ("bcmath" | "curl" | "gd" | "intl" | "mbstring" | "sqlite3" | "xml" | "zip"
        | "redis" | "soap" | "ldap" | "apcu" | "mongodb" | "imagick" | "memcached"
        | "gmp" | "bz2") => format!("php-{name}"),
        // Part of `php-cli` or `php-common`.
        _ => "php-cli".to_owned(),
    }
}

/// Projects without a manifest say by their calls which database they want.
fn used_extensions(project: &Project<'_>, dir: &str) -> Vec<String> {
    let files = source::gather(project, dir, &["php", "inc"], &|_| false);
    let calls = [
        ("mysqli", "mysqli"),
        ("mysql:", "pdo_mysql"),
        ("pgsql:", "pdo_pgsql"),
        ("pg_connect", "pgsql"),
        ("new Redis(", "redis"),
        ("imagecreate", "gd"),
        ("new MongoDB", "mongodb"),
    ];
    let used = calls.iter().filter(|(call, _)| source::mention(&files, call).is_some());
    let mut used: Vec<String> = used.map(|(_, extension)| (*extension).to_owned()).collect();
    let server =
        ["OpenSwoole\\", "Swoole\\"].iter().find(|class| source::mention(&files, class).is_some());
    used.extend(server.map(|class| class.trim_end_matches('\\').to_ascii_lowercase()));
    used
}

/// Extensions, packages of Composer, assets, the class map, folders that are written to.
fn build(project: &Project<'_>, parts: &Parts<'_>, extensions: &Extensions, service: &mut Service) {
    let dir = service.dir.clone();
    let mut commands = Vec::new();
    let mut step = extensions.commands.clone();
    let mut files = Vec::new();
    if let Some(composer) = parts.composer {
        let is_official = project.bases == Family::Official;
        if is_official {
            // Composer 2.2 is the last for PHP before 7.2.5.
            let is_old = parts.version < Version { major: 7, minor: Some(3), patch: None };
            let flag = if is_old { " --2.2" } else { "" };
            step.push(format!(
                "command -v composer || curl -fsSL https://getcomposer.org/installer | php -- --quiet \
                 --install-dir=/usr/local/bin --filename=composer{flag}"
            ));
            service.build_packages(["git", "unzip"]);
        }
        let ignored: String = extensions
            .unknown
            .iter()
            .map(|name| format!(" --ignore-platform-req=ext-{name}"))
            .collect();
        step.push(within(
            &dir,
            &format!("composer install --no-dev --no-scripts --no-autoloader --no-interaction --prefer-dist{ignored}"),
        ));
        service.build_env("COMPOSER_ALLOW_SUPERUSER", "1");
        service.build_env("COMPOSER_CACHE_DIR", "/root/.cache/composer");
        service.cache(["/root/.cache/composer"]);
        commands.push(within(
            &dir,
            "composer dump-autoload --no-dev --optimize --no-scripts --no-interaction",
        ));
        files.push(composer.path.clone());
        files.extend(composer.lock.is_some().then(|| composer.lock_path.clone()));
        if composer.has_local() {
            files.clear();
        }
    }
    if files.is_empty() {
        commands.splice(0..0, step.drain(..));
    }
    service.dependencies(files, step);
    service.spec.build.exclude.push(".git".to_owned());
    if parts.composer.is_some() {
        // What lies there in a work tree was installed for another machine, with what is for development.
        service.spec.build.exclude.push(join(&dir, "vendor"));
    }
    if let Some(assets) = service.assets(project, &dir) {
        commands.extend(assets.build);
        commands.extend(assets.cleaning);
    }
    framework_commands(project, parts, service, &mut commands);
    if !commands.is_empty() {
        service.decide(
            "build command",
            commands.join("; "),
            "what is left once the sources are there",
            [],
        );
    }
    service.spec.build.commands = commands;
    if !extensions.built.is_empty() {
        service.copy("/usr/local/lib/php/extensions", "/usr/local/lib/php/extensions");
        service.copy("/usr/local/etc/php/conf.d", "/usr/local/etc/php/conf.d");
    }
    service.copy(&dir, HOME);
    service.spec.runtime.workdir = Some(HOME.to_owned());
}

fn framework_commands(
    project: &Project<'_>,
    parts: &Parts<'_>,
    service: &mut Service,
    commands: &mut Vec<String>,
) {
    let dir = service.dir.clone();
    let Some(framework) = parts.framework else { return };
    match framework.id {
        "laravel" | "lumen" | "statamic" => {
            service.env("APP_ENV", "production");
            service.env("LOG_CHANNEL", "stderr");
            commands.push(within(&dir, "mkdir -p storage/framework/cache/data storage/framework/sessions storage/framework/views storage/logs bootstrap/cache"));
        }
        "symfony" => {
            service.env("APP_ENV", "prod");
            let has_mapper =
                parts.composer.is_some_and(|c| c.require("symfony/asset-mapper").is_some());
            if has_mapper {
                let console = "APP_ENV=prod APP_SECRET=build php bin/console";
                commands.push(within(
                    &dir,
                    &format!("{console} importmap:install && {console} asset-map:compile"),
                ));
            }
        }
        _ => {}
    }
    let writes = framework.writes.iter().filter(|folder| {
        let is_made =
            matches!(framework.id, "laravel" | "lumen" | "statamic") && **folder != "database";
        let is_usual = matches!(**folder, "var" | "tmp" | "logs" | "runtime" | "writable")
            && framework.id != "slim";
        is_made || is_usual || project.tree.has_dir(&join(&dir, folder))
    });
    let writes: Vec<&str> = writes.copied().collect();
    if !writes.is_empty() {
        let list = writes.join(" ");
        commands.push(within(&dir, &format!("mkdir -p {list} && chmod -R a+rwX {list}")));
    }
}

/// Apache's settings are a file of the build: what port, which folder, and who answers for what is no file.
fn apache(project: &Project<'_>, service: &mut Service, root: &str, framework: Option<&Framework>) {
    let dir = service.dir.clone();
    let folder = join_clean(&dir, root);
    let place = Evidence::file(first_page(project, &folder));
    service.env("PORT", PORT.to_string());
    if project.bases != Family::Official {
        let line = format!("php -S 0.0.0.0:$PORT -t {}", shell::quote(root));
        let words = shell::exec_form(&line);
        service.start(words.iter().map(String::as_str), "folder with index.php", [place]);
        service.port(PORT, "port that is free for everybody", []);
        return;
    }
    let served = if root == "." { HOME.to_owned() } else { format!("{HOME}/{root}") };
    let fallback = match framework.is_some() && !project.tree.has(&join(&folder, ".htaccess")) {
        true => " 'FallbackResource /index.php'",
        false => "",
    };
    let settings = format!(
        "mkdir -p {OUT_DIR} && printf '%s\\n' 'ServerName localhost' 'Listen ${{PORT}}' \
         'LoadModule rewrite_module /usr/lib/apache2/modules/mod_rewrite.so' '<VirtualHost *:${{PORT}}>' \
         'DocumentRoot {served}' '<Directory {served}>' 'AllowOverride All' 'Require all granted'{fallback} '</Directory>' '</VirtualHost>' > {OUT_DIR}/ports.conf"
    );
    service.spec.build.commands.push(settings);
    service.copy(&format!("{OUT_DIR}/ports.conf"), "/etc/apache2/ports.conf");
    service.start(["apache2-foreground"], "Apache of the official image", [place]);
    service.port(PORT, "port that a user other than root may have", []);
}

fn own(project: &Project<'_>, service: &mut Service, file: &str) {
    let path = join(&service.dir, file);
    let line = match file {
        "bin/hyperf.php" => "php bin/hyperf.php start".to_owned(),
        "start.php" => "php start.php start".to_owned(),
        "artisan" => "php artisan serve".to_owned(),
        file => format!("php {file}"),
    };
    let text: Vec<_> = project.tree.read(&path).into_iter().collect();
    // What stands on Workerman is told what to do.
    let is_told = ["Workerman\\Worker", "Comet\\Comet", "Mark\\App"]
        .iter()
        .any(|class| text.iter().any(|text| text.text.contains(class)));
    let line = if is_told && !line.ends_with(" start") { format!("{line} start") } else { line };
    let words = shell::exec_form(&line);
    service.start(
        words.iter().map(String::as_str),
        "file that listens on its own",
        [Evidence::file(path)],
    );
    let ports = source::ports(&text, &["SocketServer(", "listen(", "Worker("]);
    match ports.number.or_else(|| source::address(&text)) {
        Some((port, place)) => service.port(port, "port in the source", [place]),
        None => service.port(
            if ["hyperf", "artisan"].iter().any(|name| file.contains(name)) { 9501 } else { PORT },
            "default of the framework",
            [],
        ),
    }
    let port = service.spec.runtime.ports.first().copied().unwrap_or(PORT);
    service.env("PORT", port.to_string());
    if service.spec.metadata.framework.as_deref() == Some("framework-x") {
        service.env("X_LISTEN", format!("0.0.0.0:{port}"));
    }
}

/// Laravel 11 declares the path it answers on when it is well.
fn health(project: &Project<'_>, service: &mut Service) {
    let path = join(&service.dir, "bootstrap/app.php");
    let Some(text) = project.tree.read(&path) else { return };
    let found = text.lines().find_map(|(at, line)| {
        let rest = line.trim().strip_prefix("health:")?.trim();
        let path = rest.trim_matches(|c| "'\",".contains(c));
        (path.starts_with('/') && source::is_plain_path(path)).then(|| (path.to_owned(), at))
    });
    if let Some((endpoint, at)) = found {
        service.spec.runtime.health = Some(endpoint.clone());
        service.decide(
            "health",
            endpoint,
            "health: in bootstrap/app.php",
            [Evidence::line(path, Some(at))],
        );
    }
}
