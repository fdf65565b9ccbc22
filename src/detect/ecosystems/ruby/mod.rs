//! Ruby: Bundler; Rails, Sinatra, Hanami and other applications of Rack, programs.

use self::gemfile::Gems;
use super::{
    draft::{APP_DIR, draft, official, resolve, within},
    pins, source,
};
use crate::detect::{
    Decision, Evidence, Project, Service, Weight,
    images::{self, Family, Packaged},
    join,
    procfile::procfile,
    shell,
    versions::{Version, gem::Requirement},
};

mod gemfile;

/// Where gems are installed: as the official images have it.
const BUNDLE: &str = "/usr/local/bundle";

/// Minors of the official images, with the newest Debian their last release was built for
/// (github.com/docker-library/ruby).
const IMAGES: &[(u32, u32, &str)] = &[
    (2, 3, "stretch"),
    (2, 4, "buster"),
    (2, 5, "buster"),
    (2, 6, "bullseye"),
    (2, 7, "bullseye"),
    (3, 0, "bullseye"),
    (3, 1, "bookworm"),
    (3, 2, "bookworm"),
    (3, 3, "bookworm"),
    (3, 4, "bookworm"),
    (4, 0, "bookworm"),
];

const DEFAULT: Version = Version { major: 3, minor: Some(4), patch: None };

/// What the other families have.
const PACKAGED: Packaged = Packaged { language: "Ruby", wolfi: ((3, 2), (4, 0)), debian: (3, 1) };

/// Rails before a version, and the newest Ruby it runs on.
const RAILS: &[(&str, u32, u32)] =
    &[("5.0", 2, 3), ("5.2", 2, 5), ("6.1", 2, 7), ("7.0", 3, 0), ("7.1", 3, 2), ("7.2", 3, 3)];

/// Gem, packages of the build stage, packages of the image; names of Debian.
const NEEDS: &[(&str, &[&str], &[&str])] = &[
    ("charlock_holmes", &["libicu-dev"], &["libicu72"]),
    ("curb", &["libcurl4-openssl-dev"], &["libcurl4"]),
    ("image_processing", &[], &["libvips42"]),
    ("mini_magick", &[], &["imagemagick"]),
    ("mysql2", &["default-libmysqlclient-dev"], &["libmariadb3"]),
    ("pg", &["libpq-dev"], &["libpq5"]),
    ("rmagick", &["libmagickwand-dev"], &["imagemagick"]),
    ("ruby-vips", &[], &["libvips42"]),
    ("sqlite3", &["libsqlite3-dev"], &["libsqlite3-0"]),
    ("streamio-ffmpeg", &[], &["ffmpeg"]),
];

/// Frameworks of Rack by gem, with the port of their own servers.
const FRAMEWORKS: &[(&str, &str, u16)] = &[
    ("hanami", "hanami", 2300),
    ("bridgetown", "bridgetown", 4000),
    ("sinatra", "sinatra", 4567),
    ("roda", "roda", 9292),
    ("grape", "grape", 9292),
    ("padrino", "padrino", 3000),
    ("cuba", "cuba", 9292),
    ("camping", "camping", 3301),
    ("syro", "syro", 9292),
    ("rack", "rack", 9292),
];

/// Gems that need a program of JavaScript to build assets.
const JAVASCRIPT: &[&str] =
    &["uglifier", "execjs", "coffee-rails", "terser", "autoprefixer-rails", "coffee-script"];

/// Services of Ruby.
pub fn find(project: &Project<'_>) -> Vec<Service> {
    let dirs = project.tree.dirs().filter(|(_, entries)| {
        let names = ["Gemfile", "gems.rb", "config.ru", "app.rb", "main.rb", "server.rb"];
        entries.first_of(&names).is_some()
    });
    dirs.filter_map(|(dir, _)| service(project, dir)).collect()
}

fn service(project: &Project<'_>, dir: &str) -> Option<Service> {
    let gems = Gems::load(project, dir);
    let gems = match gems {
        Some(gems) => gems,
        // Programs without gems, but not the files of a project above.
        None if !is_below_project(project, dir) => Gems::default(),
        None => return None,
    };
    let has_gemfile = !gems.path.is_empty();
    let entries = project.tree.entries(dir)?;
    let is_rack = entries.has("config.ru");
    // Sites are built and served as files: that is another rule's.
    let site = gems.first_of(&["jekyll", "github-pages", "middleman", "nanoc"]);
    if site.is_some() && !is_rack && !gems.has("rails") {
        return None;
    }
    let mut service = draft(dir, "ruby", if has_gemfile { "bundler" } else { "none" });
    let place = match has_gemfile {
        true => gems.path.clone(),
        false => join(dir, entries.first_of(&["config.ru", "app.rb", "main.rb", "server.rb"])?),
    };
    service.weight = if has_gemfile { Weight::Manifest } else { Weight::Files };
    service.decide("language", "ruby", "manifest or sources of Ruby", [Evidence::file(&place)]);
    service.decide(
        "build system",
        service.spec.metadata.build_system.clone().unwrap_or_default(),
        if has_gemfile { "Bundler's file" } else { "no Gemfile" },
        [Evidence::file(&place)],
    );
    let (version, decision) = version(project, dir, &gems);
    service.decisions.push(decision);
    bases(project, version, &mut service);
    let extra = match (gems.resolves("rails") || gems.resolves("railties"))
        // An engine or a library has no application of its own here.
        && ["config/application.rb", "config/environment.rb", "bin/rails"]
            .iter()
            .any(|name| project.tree.has(&join(dir, name)))
    {
        true => {
            rails(project, &gems, &mut service);
            Vec::new()
        }
        false => rack(project, &gems, is_rack, &mut service),
    };
    if let Some(process) = procfile(project, dir).filter(|process| is_ours(&process.line)) {
        service.decisions.retain(|decision| decision.what != "start command");
        let words: Vec<&str> = process.command.iter().map(String::as_str).collect();
        service.start(words, format!("Procfile {}", process.name), [process.evidence]);
        service.weight = Weight::Stated;
    }
    if service.spec.runtime.command.is_empty()
        && !service.decisions.iter().any(|d| d.what == "start command")
    {
        service.decide(
            "start command",
            "",
            "no config.ru and no file that is run by convention",
            [],
        );
    }
    install(project, &gems, &extra, &mut service);
    Some(service)
}

fn is_below_project(project: &Project<'_>, dir: &str) -> bool {
    let mut at = dir;
    loop {
        if project
            .tree
            .first_of(at, super::MANIFESTS)
            .is_some_and(|path| !path.ends_with("config.ru"))
        {
            return true;
        }
        if at == "." {
            return false;
        }
        at = crate::detect::parent(at);
    }
}

fn is_ours(line: &str) -> bool {
    !["node ", "npm ", "yarn ", "pnpm ", "python ", "gunicorn ", "java "]
        .iter()
        .any(|word| line.starts_with(word))
}

/// The version, exact where Bundler insists on it: a `ruby` of the `Gemfile` with three numbers.
fn version(project: &Project<'_>, dir: &str, gems: &Gems) -> (Version, Decision) {
    let decided = |version: Version, pin: &pins::Pin| {
        (
            version,
            Decision::new("version", version.to_string(), pin.rule.clone(), [pin.evidence.clone()]),
        )
    };
    if let Some(pin) = pins::stated(project, dir)
        && let Some(version) = exact(&pin.version)
    {
        return decided(version, &pin);
    }
    let managers = pins::pins(project, dir, &[".ruby-version"], &["ruby"]);
    let suited = suited(gems);
    if let Some((text, line)) = &gems.ruby {
        let pin = pins::Pin::new(text, "ruby in the Gemfile", &gems.path, *line);
        if let Some(version) = exact(text) {
            return decided(version, &pin);
        }
        if let Some(range) = Requirement::parse(text) {
            let locked = gems
                .locked_ruby
                .as_ref()
                .and_then(|(text, _)| exact(text))
                .map(Version::major_minor);
            let managed =
                managers.iter().find_map(|pin| exact(&pin.version)).map(Version::major_minor);
            let wished = locked.or(managed).filter(|version| range.allows(*version));
            let version = wished.unwrap_or_else(|| best(&range, suited.as_ref().map(|(v, _)| *v)));
            let rule = format!("ruby `{text}` in the Gemfile");
            return (version, Decision::new("version", version.to_string(), rule, [pin.evidence]));
        }
    }
    if let Some(file) = &gems.ruby_file
        && let Some(path) = resolve(dir, file)
        && let Some(text) = project.tree.read(&path)
        && let Some(version) = text.text.split_whitespace().find_map(exact)
    {
        let pin = pins::Pin::new("", format!("ruby file: {file:?} in the Gemfile"), path, 1);
        return decided(version, &pin);
    }
    for pin in &managers {
        if let Some(version) = exact(&pin.version) {
            return decided(version.major_minor(), pin);
        }
    }
    if let Some((text, line)) = &gems.locked_ruby
        && let Some(version) = exact(text)
    {
        let lock = gems.lock.clone().unwrap_or_default();
        return decided(version.major_minor(), &pins::Pin::new(text, "RUBY VERSION", lock, *line));
    }
    match suited {
        Some((version, place)) if version < DEFAULT => {
            let rule = "the newest that this version of rails runs on";
            (version, Decision::new("version", version.to_string(), rule, [place]))
        }
        _ => (
            DEFAULT,
            Decision::new("version", DEFAULT.to_string(), "default, nothing pins one", []),
        ),
    }
}

/// `3.2.2`, `ruby-3.2`; no range and no other implementation.
fn exact(text: &str) -> Option<Version> {
    let text = text.trim().trim_start_matches("ruby-").trim_start_matches('=').trim();
    let is_plain = text.chars().all(|c| c.is_ascii_digit() || c == '.' || c == 'p' || c == '-');
    let version = Version::parse(text)
        .filter(|_| is_plain && text.starts_with(|c: char| c.is_ascii_digit()))?;
    match version.minor {
        Some(_) => Some(version),
        None if version.major == DEFAULT.major => Some(DEFAULT),
        None => Some(Version { minor: Some(0), ..version }),
    }
}

fn best(range: &Requirement, suited: Option<Version>) -> Version {
    let top = suited.unwrap_or(DEFAULT);
    let all = IMAGES.iter().map(|(major, minor, _)| Version {
        major: *major,
        minor: Some(*minor),
        patch: None,
    });
    let allowed: Vec<Version> = all.filter(|version| range.allows(*version)).collect();
    let below = allowed.iter().rev().find(|version| **version <= top);
    let found = below.or_else(|| allowed.first()).copied();
    found.or_else(|| range.lowest().map(Version::major_minor)).unwrap_or(DEFAULT)
}

fn suited(gems: &Gems) -> Option<(Version, Evidence)> {
    let rails = gems.version("rails")?;
    let (_, major, minor) = RAILS.iter().find(|(below, ..)| {
        Version::parse(below).is_some_and(|below| rails.triple() < below.triple())
    })?;
    Some((Version { major: *major, minor: Some(*minor), patch: None }, gems.place("rails")))
}

/// The full image has compilers and headers; an exact version has tags without the name of a Debian for sure.
fn bases(project: &Project<'_>, version: Version, service: &mut Service) {
    let (packaged, decision) = PACKAGED.nearest(project.bases, version);
    service.decisions.extend(decision);
    service.plain_bases(project);
    let spec = &mut service.spec;
    spec.runtime.user = Some(images::plain_user(project.bases).to_owned());
    match project.bases {
        Family::Official => {
            let known = |(major, minor, _): &&(u32, u32, &str)| {
                *major == version.major && Some(*minor) == version.minor
            };
            let suite = IMAGES.iter().find(known).map_or("bookworm", |image| image.2);
            let (full, slim) = match version.patch {
                Some(_) => (format!("ruby:{version}"), format!("ruby:{version}-slim")),
                None => (format!("ruby:{version}-{suite}"), format!("ruby:{version}-slim-{suite}")),
            };
            (spec.build.base, spec.runtime.base) = (official(&full), official(&slim));
        }
        Family::Wolfi => {
            let (name, headers) = (format!("ruby-{packaged}"), format!("ruby-{packaged}-dev"));
            let bundler = format!("ruby{packaged}-bundler");
            service.build_packages([
                name.as_str(),
                headers.as_str(),
                bundler.as_str(),
                "build-base",
                "git",
            ]);
            service.runtime_packages([name.as_str(), bundler.as_str()]);
        }
        Family::Debian => {
            service.build_packages([
                "bundler", "build-essential", "git", "libyaml-dev", "ruby", "ruby-dev",
            ]);
            service.runtime_packages(["bundler", "ca-certificates", "ruby"]);
        }
    }
}

fn rails(project: &Project<'_>, gems: &Gems, service: &mut Service) {
    let dir = service.dir.clone();
    service.framework("rails", "gem", [gems.place("rails")]);
    service.env("RAILS_ENV", "production");
    service.env("RAILS_LOG_TO_STDOUT", "1");
    service.env("RAILS_SERVE_STATIC_FILES", "1");
    service.build_env("RAILS_ENV", "production");
    service.runtime_packages(["tzdata"]);
    let application = project.tree.read(&join(&dir, "config/application.rb"));
    let is_api = application.is_some_and(|text| {
        text.text.lines().any(|line| line.trim().starts_with("config.api_only = true"))
    });
    let has_assets = !is_api
        && (project.tree.has_dir(&join(&dir, "app/assets"))
            || gems
                .first_of(&[
                    "sprockets-rails", "propshaft", "webpacker", "shakapacker", "vite_rails",
                ])
                .is_some());
    if has_assets {
        // Nothing is signed or read with these; the real ones come with the environment of the container.
        let command =
            "SECRET_KEY_BASE=build SECRET_KEY_BASE_DUMMY=1 bundle exec rails assets:precompile";
        service.spec.build.commands.push(within(&dir, command));
        if gems.first_of(JAVASCRIPT).is_some() && !gems.has("mini_racer") {
            service.build_packages(["nodejs"]);
        }
    }
    let folders = ["tmp", "log", "storage", "db"]
        .iter()
        .filter(|name| **name != "db" || project.tree.has_dir(&join(&dir, name)));
    let folders: Vec<&str> = folders.copied().collect();
    let folders = folders.join(" ");
    service.spec.build.commands.push(within(
        &dir,
        &format!("mkdir -p tmp/pids tmp/cache log storage && chmod -R a+rwX {folders}"),
    ));
    let rule = "server of Rails";
    service.start(
        ["bundle", "exec", "rails", "server", "-b", "0.0.0.0"],
        rule,
        [gems.place("rails")],
    );
    let config = join(&dir, "config/puma.rb");
    let file: Vec<_> = project.tree.read(&config).into_iter().collect();
    let ports = source::ports(&file, &["port ", "bind "]);
    match ports.number {
        Some((port, place)) => service.port(port, "settings of Puma", [place]),
        None => service.port(3000, "default of Rails", []),
    }
    let port = service.spec.runtime.ports.first().copied().unwrap_or(3000);
    service.env("PORT", port.to_string());
    let routes = project.tree.read(&join(&dir, "config/routes.rb"));
    if let Some(routes) = routes
        && let Some((at, line)) = routes
            .lines()
            .find(|(_, line)| line.contains("rails/health#show") && !line.trim().starts_with('#'))
    {
        let texts = gemfile::texts(line);
        let path = texts.first().map_or("up", |path| path.trim_start_matches('/'));
        let path = if source::is_plain_path(path) { path } else { "up" };
        service.spec.runtime.health = Some(format!("/{path}"));
        service.decide(
            "health",
            format!("/{path}"),
            "route of rails/health",
            [Evidence::line(&routes.path, Some(at))],
        );
    }
}

/// Applications of Rack and programs; gems that have to be installed on top.
/// Whether the framework is that gem.
fn extra_has<T, U, V>(named: Option<&(&str, T, U, V)>, name: &str) -> bool {
    named.is_some_and(|(gem, ..)| *gem == name)
}

fn rack(
    project: &Project<'_>,
    gems: &Gems,
    is_rack: bool,
    service: &mut Service,
) -> Vec<&'static str> {
    let dir = service.dir.clone();
    let files = source::gather(project, &dir, &["rb", "ru"], &|_| false);
    let required = |name: &str| {
        ["'", "\""]
            .iter()
            .find_map(|quote| source::mention(&files, &format!("require {quote}{name}{quote}")))
    };
    let named = FRAMEWORKS.iter().find_map(|(gem, id, port)| {
        let place = if gems.has(gem) { Some(gems.place(gem)) } else { required(gem) };
        Some((*gem, *id, *port, place?))
    });
    let own = |name: &str| project.tree.has(&join(&dir, name));
    let entry = [
        "app.rb", "main.rb", "server.rb", "application.rb", "web.rb", "bot.rb", "index.rb",
        "run.rb",
    ]
    .into_iter()
    .find(|name| own(name));
    service.env("RACK_ENV", "production");
    service.env("APP_ENV", "production");
    let mut extra = Vec::new();
    let has_gemfile = !gems.path.is_empty();
    let exec = if has_gemfile { "bundle exec " } else { "" };
    let port = source::ports(&files, &["port", "Port", "TCPServer", "bind"]);
    if let Some((gem, id, _, place)) = &named {
        service.framework(id, "gem", [place.clone()]);
        if !has_gemfile {
            extra.push(*gem);
        }
    }
    if !has_gemfile {
        // Part of Ruby itself until 3.0 or 3.4.
        let left = ["webrick", "rack", "csv", "base64"].into_iter();
        extra.extend(
            left.filter(|name| required(name).is_some() && !extra_has(named.as_ref(), name)),
        );
    }
    if !is_rack && entry.is_none() {
        // A library, or a project without a program.
        service.weight = service.weight.min(Weight::Manifest);
        return extra;
    }
    let default = named.as_ref().map(|(_, _, port, _)| *port);
    if is_rack {
        service.weight = Weight::Framework;
        if named.is_none() {
            service.spec.metadata.framework = Some("rack".to_owned());
            service.decide(
                "framework",
                "rack",
                "config.ru",
                [Evidence::file(join(&dir, "config.ru"))],
            );
        }
        let server = gems.first_of(&["puma", "unicorn", "thin", "falcon", "iodine"]);
        if server.is_none() && !gems.resolves("puma") {
            extra.push("puma");
        }
        let line = match server {
            Some("unicorn") => format!("{exec}unicorn --host 0.0.0.0 --port $PORT"),
            Some("thin") => format!("{exec}thin start --address 0.0.0.0 --port $PORT"),
            Some("falcon") => format!("{exec}falcon serve --bind http://0.0.0.0:$PORT"),
            Some("iodine") => format!("{exec}iodine -b 0.0.0.0 -p $PORT"),
            Some("puma") if own("config/puma.rb") => {
                format!("{exec}puma -C config/puma.rb -b tcp://0.0.0.0:$PORT")
            }
            Some(_) => format!("{exec}puma -b tcp://0.0.0.0:$PORT"),
            // A server that the Gemfile does not have is no part of its bundle.
            None if has_gemfile && gems.resolves("rackup") => {
                format!("{exec}rackup --host 0.0.0.0 --port $PORT")
            }
            None => "puma -b tcp://0.0.0.0:$PORT".to_owned(),
        };
        if line.contains("rackup") {
            extra.clear();
        }
        let words = shell::exec_form(&line);
        service.start(
            words.iter().map(String::as_str),
            "config.ru",
            [Evidence::file(join(&dir, "config.ru"))],
        );
    } else if let Some(file) = entry {
        let place = Evidence::file(join(&dir, file));
        let is_sinatra = named.as_ref().is_some_and(|(_, id, ..)| *id == "sinatra");
        let line = match is_sinatra {
            true => format!("{exec}ruby {file} -o 0.0.0.0 -p $PORT"),
            false => format!("{exec}ruby {file}"),
        };
        if is_sinatra && !has_gemfile {
            extra.extend(["puma", "rackup"]);
        }
        let words = shell::exec_form(&line);
        service.start(words.iter().map(String::as_str), "entry file", [place]);
        service.weight = match named {
            Some(_) => Weight::Framework,
            None if has_gemfile => Weight::Starts,
            None => Weight::Files,
        };
    }
    match (port.number, default) {
        (Some((port, place)), _) => service.port(port, "port in the source", [place]),
        (None, Some(port)) => service.port(port, "default of the framework", []),
        (None, None) if is_rack => service.port(9292, "default of Rack", []),
        (None, None) => service.decide("port", "", "nothing listens", []),
    }
    if let Some(port) = service.spec.runtime.ports.first().copied() {
        service.env("PORT", port.to_string());
    }
    if own("assets.rb") || gems.has("bridgetown") {
        service.spec.build.commands.push(within(&dir, "bundle exec bridgetown deploy"));
    }
    extra
}

/// Gems and assets: `bundle install` sees the `Gemfile` alone, as long as all gems come from elsewhere.
fn install(project: &Project<'_>, gems: &Gems, extra: &[&str], service: &mut Service) {
    let dir = service.dir.clone();
    let build = std::mem::take(&mut service.spec.build.commands);
    let mut commands = Vec::new();
    let mut step = Vec::new();
    let mut files = Vec::new();
    if !gems.path.is_empty() {
        files.push(gems.path.clone());
        files.extend(gems.lock.clone());
        files.extend(ruby_file(project, &dir, gems));
        for side in [".ruby-version", ".tool-versions"] {
            files.extend(Some(join(&dir, side)).filter(|path| project.tree.has(path)));
        }
        let add = within(
            &dir,
            "env -u BUNDLE_DEPLOYMENT bundle lock --add-platform x86_64-linux aarch64-linux",
        );
        if gems.lacks_linux {
            step.push(add.clone());
        }
        step.push(within(&dir, "bundle install"));
        if gems.local.is_some() {
            files.clear();
            commands.append(&mut step);
        } else if gems.lacks_linux {
            // The lock file of the context has come over that of the step.
            commands.push(add);
        }
        for env in [("BUNDLE_PATH", BUNDLE), ("BUNDLE_WITHOUT", "development:test")] {
            service.env(env.0, env.1);
            service.build_env(env.0, env.1);
        }
        if gems.lock.is_some() {
            service.env("BUNDLE_DEPLOYMENT", "1");
            service.build_env("BUNDLE_DEPLOYMENT", "1");
        }
        service.build_env("BUNDLE_GLOBAL_GEM_CACHE", "true");
        service.cache(["/root/.bundle/cache"]);
    }
    if !extra.is_empty() {
        let command = format!("gem install --no-document {}", extra.join(" "));
        if files.is_empty() { commands.push(command) } else { step.push(command) }
    }
    service.dependencies(files, step);
    let made = [".git".to_owned(), join(&dir, "vendor/bundle"), join(&dir, "log/*.log")];
    service.spec.build.exclude.splice(0..0, made);
    let (assets, cleaning) = assets(project, gems, service);
    commands.extend(assets);
    commands.extend(build);
    commands.extend(cleaning);
    needs(project, gems, service);
    if !commands.is_empty() {
        service.decide(
            "build command",
            commands.join("; "),
            "what is left once the sources are there",
            [],
        );
    }
    if !gems.path.is_empty() || !extra.is_empty() {
        service.copy(BUNDLE, BUNDLE);
    }
    service.copy(&dir, APP_DIR);
    service.spec.build.commands = commands;
    service.spec.runtime.workdir = Some(APP_DIR.to_owned());
}

/// The file that `ruby file:` names, when it is there.
fn ruby_file(project: &Project<'_>, dir: &str, gems: &Gems) -> Option<String> {
    let path = resolve(dir, gems.ruby_file.as_ref()?)?;
    project.tree.has(&path).then_some(path)
}

/// What the browser gets is built before Rails puts it in its place; what is left of it is of no use in the image.
fn assets(project: &Project<'_>, gems: &Gems, service: &mut Service) -> (Vec<String>, Vec<String>) {
    let dir = service.dir.clone();
    let (mut commands, mut cleaning) = (Vec::new(), Vec::new());
    if let Some(assets) = service.assets(project, &dir) {
        (commands, cleaning) = (assets.build, assets.cleaning);
    } else if gems
        .first_of(&[
            "webpacker", "shakapacker", "vite_rails", "jsbundling-rails", "cssbundling-rails",
        ])
        .is_some()
        && project.tree.has(&join(&dir, "package.json"))
    {
        let files = ["package.json", "yarn.lock", "package-lock.json"].map(|name| join(&dir, name));
        let is_npm = project.tree.has(&files[2]);
        let install = if is_npm { "npm ci" } else { "yarn install" };
        let files = files.into_iter().filter(|path| project.tree.has(path)).collect();
        service.build_packages(["nodejs", "npm"]);
        service.dependencies(files, vec!["npm install -g yarn".to_owned(), within(&dir, install)]);
        cleaning.push(format!("rm -rf {}", shell::quote(&join(&dir, "node_modules"))));
    }
    (commands, cleaning)
}

fn needs(project: &Project<'_>, gems: &Gems, service: &mut Service) {
    let found: Vec<_> = NEEDS.iter().filter(|(gem, ..)| gems.has(gem)).collect();
    if found.is_empty() {
        return;
    }
    let all: Vec<&str> = found
        .iter()
        .flat_map(|(_, build, runtime)| runtime.iter().chain(*build))
        .copied()
        .collect();
    let places: Vec<Evidence> = found.iter().map(|(gem, ..)| gems.place(gem)).collect();
    if project.bases == Family::Wolfi {
        let decision = Decision::new("packages", "", "names are known for Debian alone", places);
        service.decisions.push(decision.not(all.join(", "), None, "packages of Debian"));
        return;
    }
    service.decide("packages", all.join(", "), "libraries of the system that gems load", places);
    for (_, build, runtime) in found {
        service.build_packages(build.iter().copied());
        service.runtime_packages(runtime.iter().copied());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_from_requirements() {
        let check = |text: &str, want: &str| {
            assert_eq!(exact(text).map(|v| v.to_string()).unwrap_or_default(), want, "{text}");
        };
        check("3.2.2", "3.2.2");
        check("ruby-3.1", "3.1");
        check("3", "3.4");
        check("2.7.8p225", "2.7.8");
        check("~> 3.2", "");
        check("jruby-9.4", "");
    }

    #[test]
    fn a_requirement_gives_the_default_or_the_nearest_before_it() {
        let check = |text: &str, want: &str| {
            assert_eq!(best(&Requirement::parse(text).unwrap(), None).to_string(), want, "{text}");
        };
        check(">= 3.0", "3.4");
        check("~> 3.2.0", "3.2");
        check("< 3.2", "3.1");
        check(">= 4.0", "4.0");
        check("~> 4.7.0", "4.7");
    }
}
