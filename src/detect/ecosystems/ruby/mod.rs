//! Ruby: Bundler; Rails, Sinatra, Hanami and other applications of Rack, programs.

use self::{gemfile::Gems, version::RUBY};
use crate::detect::prelude::*;

mod gemfile;
mod version;

/// Where gems are installed: as the official images have it.
const BUNDLE: &str = "/usr/local/bundle";

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

/// What becomes of a framework that is no application of Rack like the others.
type Own = fn(Folder<'_>, &Gems, &mut Facts);

/// Frameworks by gem, with the port of their own servers.
static FRAMEWORKS: &[Framework<Own>] = &[
    framework("rails", &["rails"], 3000)
        .env(&[
            ("RAILS_ENV", "production"),
            ("RAILS_LOG_TO_STDOUT", "1"),
            ("RAILS_SERVE_STATIC_FILES", "1"),
        ])
        .own(rails),
    framework("hanami", &["hanami"], 2300),
    framework("bridgetown", &["bridgetown"], 4000),
    framework("sinatra", &["sinatra"], 4567),
    framework("roda", &["roda"], 9292),
    framework("grape", &["grape"], 9292),
    framework("padrino", &["padrino"], 3000),
    framework("cuba", &["cuba"], 9292),
    framework("camping", &["camping"], 3301),
    framework("syro", &["syro"], 9292),
    framework("rack", &["rack"], 9292),
];

/// Servers of Rack by gem, and how they are started.
const SERVERS: &[(&str, &str)] = &[
    ("puma", PUMA),
    ("unicorn", "unicorn --host 0.0.0.0 --port $PORT"),
    ("thin", "thin start --address 0.0.0.0 --port $PORT"),
    ("falcon", "falcon serve --bind http://0.0.0.0:$PORT"),
    ("iodine", "iodine -b 0.0.0.0 -p $PORT"),
];
const PUMA: &str = "puma -b tcp://0.0.0.0:$PORT";
const PUMA_WITH_SETTINGS: &str = "puma -C config/puma.rb -b tcp://0.0.0.0:$PORT";

/// Gems that need a program of JavaScript to build assets.
const JAVASCRIPT: &[&str] =
    &["uglifier", "execjs", "coffee-rails", "terser", "autoprefixer-rails", "coffee-script"];

/// Services of Ruby.
pub fn find(project: &Project<'_>) -> Vec<Facts> {
    let dirs = project.tree.dirs().filter(|(_, entries)| {
        let names = ["Gemfile", "gems.rb", "config.ru", "app.rb", "main.rb", "server.rb"];
        entries.first_of(&names).is_some()
    });
    dirs.filter_map(|(dir, _)| service(Folder::new(project, dir))).collect()
}

/// The version that a project gets, and why: for what else is built by Ruby.
pub fn version(at: Folder<'_>) -> (Version, Decision) {
    version::version(at, &Gems::load(at).unwrap_or_default())
}

fn service(at: Folder<'_>) -> Option<Facts> {
    let gems = match Gems::load(at) {
        Some(gems) => gems,
        // Programs without gems, but not the files of a project above.
        None if !is_below_project(at) => Gems::default(),
        None => return None,
    };
    let is_rack = at.has("config.ru");
    // Sites are built and served as files: that is another rule's.
    let site = gems.first_of(&["jekyll", "github-pages", "middleman", "nanoc"]);
    if site.is_some() && !is_rack && !gems.has("rails") {
        return None;
    }
    let mut facts = Facts::new(&RUBY, at.dir);
    let (rule, place) = match gems.is_there() {
        true => {
            facts.tool = "bundler";
            (Fixed::BundlersFile, Evidence::file(&gems.path))
        }
        false => {
            facts.weight = Weight::Files;
            let file = at.first_of(&["config.ru", "app.rb", "main.rb", "server.rb"])?;
            (Fixed::NoGemfile, at.place(file, None))
        }
    };
    facts.decide(What::Language, "ruby", Fixed::SourcesOfRuby, [place.clone()]);
    facts.decide(What::BuildSystem, facts.tool, rule, [place]);
    let (version, decision) = version::version(at, &gems);
    facts.set(
        "on",
        match version.patch {
            Some(_) => String::new(),
            None => format!("-{}", RUBY.suite(version)),
        },
    );
    facts.version((version, decision));
    facts.exclude = vec![".git".to_owned(), at.path("vendor/bundle"), at.path("log/*.log")];
    for (_, build, run) in NEEDS.iter().filter(|(gem, ..)| gems.has(gem)) {
        facts.packages(build, run);
    }
    // An engine or a library has no application of its own here.
    let is_rails = (gems.resolves("rails") || gems.resolves("railties"))
        && at.first_of(&["config/application.rb", "config/environment.rb", "bin/rails"]).is_some();
    let files = if is_rails { Vec::new() } else { at.sources(RUBY.sources, &|_| false) };
    let known = framework::find(FRAMEWORKS, |gem| match gem {
        "rails" => is_rails.then(|| gems.place("rails")),
        gem if gems.has(gem) => Some(gems.place(gem)),
        gem => required(&files, gem),
    });
    facts.of_framework(known.as_ref(), Fixed::Gem);
    match known.as_ref().and_then(|known| known.framework.own) {
        Some(own) => own(at, &gems, &mut facts),
        None => rack(at, &gems, &files, known.as_ref(), &mut facts),
    }
    if let Some(process) = at.procfile().filter(|process| is_ours(&process.line)) {
        facts.start(process.command, Rule::Procfile(process.name), [process.evidence]);
        facts.weight = Weight::Stated;
    }
    match facts.serves {
        Serves::Nothing(..) => Some(facts.nothing(Fixed::NoRubyProgram, [])),
        _ => Some(facts),
    }
}

fn is_below_project(at: Folder<'_>) -> bool {
    upward(at.dir).any(|dir| {
        let other = at.project.tree.first_of(dir, super::MANIFESTS);
        other.is_some_and(|path| file_name(&path) != "config.ru")
    })
}

fn is_ours(line: &str) -> bool {
    !["node ", "npm ", "yarn ", "pnpm ", "python ", "gunicorn ", "java "]
        .iter()
        .any(|word| line.starts_with(word))
}

/// Where a source requires that.
fn required(files: &[Rc<Text>], name: &str) -> Option<Evidence> {
    let seen = |quote| source::mention(files, &format!("require {quote}{name}{quote}"));
    seen('\'').or_else(|| seen('"'))
}

fn rails(at: Folder<'_>, gems: &Gems, facts: &mut Facts) {
    facts.build_env("RAILS_ENV", "production");
    facts.packages_everywhere(&[], &["tzdata"]);
    let clean = install(at, gems, &[], facts);
    let application = at.read("config/application.rb");
    let is_api = application.is_some_and(|text| {
        text.text.lines().any(|line| line.trim().starts_with("config.api_only = true"))
    });
    let builders = ["sprockets-rails", "propshaft", "webpacker", "shakapacker", "vite_rails"];
    if !is_api && (at.has_dir("app/assets") || gems.first_of(&builders).is_some()) {
        // Nothing is signed or read with these; the real ones come with the environment of the container.
        let command =
            "SECRET_KEY_BASE=build SECRET_KEY_BASE_DUMMY=1 bundle exec rails assets:precompile";
        facts.build(at.dir, command);
        if gems.first_of(JAVASCRIPT).is_some() && !gems.has("mini_racer") {
            facts.packages_everywhere(&["nodejs"], &[]);
        }
    }
    let database = if at.has_dir("db") { " db" } else { "" };
    let make = "mkdir -p tmp/pids tmp/cache log storage";
    facts.build(at.dir, format!("{make} && chmod -R a+rwX tmp log storage{database}"));
    facts.steps.extend(clean);
    let command = ["bundle", "exec", "rails", "server", "-b", "0.0.0.0"];
    facts.start(command, Fixed::ServerOfRails, [gems.place("rails")]);
    let settings: Vec<_> = at.read("config/puma.rb").into_iter().collect();
    facts.port(match source::ports(&settings, &["port ", "bind "]).number {
        Some((port, place)) => Port::told(port, Fixed::SettingsOfPuma, Some(place)),
        None => Port::told(3000, Rule::DefaultOf("Rails".to_owned()), None),
    });
    let routes = at.read("config/routes.rb");
    let route = routes.as_ref().and_then(|routes| {
        let is_health =
            |line: &str| line.contains("rails/health#show") && !line.trim().starts_with('#');
        routes.lines().find(|(_, line)| is_health(line))
    });
    if let Some((at_line, line)) = route {
        let path = gemfile::texts(line).first().map_or("up", |path| path.trim_start_matches('/'));
        let path = if source::is_plain_path(path) { path } else { "up" };
        let place = at.place("config/routes.rb", Some(at_line));
        facts.health(format!("/{path}"), Fixed::RouteOfHealth, [place]);
    }
}

/// Applications of Rack and programs.
fn rack(
    at: Folder<'_>,
    gems: &Gems,
    files: &[Rc<Text>],
    known: Option<&Known<Own>>,
    facts: &mut Facts,
) {
    facts.env("RACK_ENV", "production");
    facts.env("APP_ENV", "production");
    let is_rack = at.has("config.ru");
    let entry = at.first_of(&[
        "app.rb", "main.rb", "server.rb", "application.rb", "web.rb", "bot.rb", "index.rb",
        "run.rb",
    ]);
    // Gems that have to be installed beside those of the Gemfile.
    let mut extra: Vec<&str> = Vec::new();
    if !gems.is_there() {
        extra.extend(known.map(|known| known.mark));
        // Part of Ruby itself until 3.0 or 3.4.
        let left = ["webrick", "rack", "csv", "base64"].into_iter();
        let left = left.filter(|name| required(files, name).is_some());
        extra.extend(left.filter(|name| known.is_none_or(|known| known.mark != *name)));
    }
    let exec = if gems.is_there() { "bundle exec " } else { "" };
    let is_sinatra = known.is_some_and(|known| known.framework.id == "sinatra");
    match entry {
        _ if is_rack => {
            let place = at.place("config.ru", None);
            let rule = Rule::Named("config.ru".to_owned());
            if known.is_none() {
                facts.framework("rack", rule.clone(), [place.clone()]);
            }
            facts.weight = Weight::Framework;
            let server = SERVERS.iter().find(|(gem, _)| gems.has(gem));
            let line = match server {
                Some(("puma", _)) if at.has("config/puma.rb") => {
                    format!("{exec}{PUMA_WITH_SETTINGS}")
                }
                Some((_, line)) => format!("{exec}{line}"),
                None if gems.is_there() && gems.resolves("rackup") => {
                    format!("{exec}rackup --host 0.0.0.0 --port $PORT")
                }
                None => {
                    // A server that the Gemfile does not have is no part of its bundle.
                    extra.extend((!gems.resolves("puma")).then_some("puma"));
                    PUMA.to_owned()
                }
            };
            facts.start_line(&line, rule, [place]);
        }
        Some(file) => {
            let options = if is_sinatra { " -o 0.0.0.0 -p $PORT" } else { "" };
            if is_sinatra && !gems.is_there() {
                extra.extend(["puma", "rackup"]);
            }
            let line = format!("{exec}ruby {file}{options}");
            facts.start_line(&line, Fixed::EntryFile, [at.place(file, None)]);
            facts.weight = match known {
                Some(_) => Weight::Framework,
                None if gems.is_there() => Weight::Starts,
                None => Weight::Files,
            };
        }
        // A library, or a project without a program.
        None => facts.weight = facts.weight.min(Weight::Manifest),
    }
    let port = source::ports(files, RUBY.listens).number;
    match (port, known) {
        (Some((port, place)), _) => {
            facts.port(Port::told(port, Fixed::PortInSource, Some(place)));
        }
        (None, Some(known)) => {
            facts.port(Port::told(known.framework.port, Fixed::PortOfFramework, None));
        }
        (None, None) if is_rack => {
            facts.port(Port::told(9292, Rule::DefaultOf("Rack".to_owned()), None));
        }
        (None, None) if entry.is_some() => facts.decide(What::Port, "", Fixed::NothingListens, []),
        (None, None) => {}
    }
    let clean = install(at, gems, &extra, facts);
    if (is_rack || entry.is_some()) && (at.has("assets.rb") || gems.has("bridgetown")) {
        facts.build(at.dir, "bundle exec bridgetown deploy");
    }
    facts.steps.extend(clean);
}

/// Gems and assets: `bundle install` sees the `Gemfile` alone, as long as all gems come from elsewhere. Gives the steps that
/// remove what only the build needed.
fn install(at: Folder<'_>, gems: &Gems, extra: &[&str], facts: &mut Facts) -> Vec<Step> {
    let (mut steps, mut files) = (Vec::new(), Vec::new());
    if gems.is_there() {
        let ruby_file = gems.ruby_file.as_ref().and_then(|file| resolve(at.dir, file));
        let ruby_file = ruby_file.filter(|path| at.project.tree.has(path));
        files = at.those(&[".ruby-version", ".tool-versions"]);
        files.extend([gems.path.clone()].into_iter().chain(gems.lock.clone()).chain(ruby_file));
        let add = "env -u BUNDLE_DEPLOYMENT bundle lock --add-platform x86_64-linux aarch64-linux";
        let add = gems.lacks_linux.then(|| Step::new(Kind::Setup, at.dir, add));
        steps.extend(add.clone());
        steps.push(Step::new(Kind::Install, at.dir, "bundle install"));
        if gems.local.is_some() {
            files.clear();
        } else {
            // The lock file of the context has come over that of the step.
            facts.steps.extend(add);
        }
        let deployment = gems.lock.as_ref().map(|_| ("BUNDLE_DEPLOYMENT", "1"));
        let env = [("BUNDLE_PATH", BUNDLE), ("BUNDLE_WITHOUT", "development:test")];
        for (name, value) in env.into_iter().chain(deployment) {
            facts.env(name, value);
            facts.build_env(name, value);
        }
        facts.build_env("BUNDLE_GLOBAL_GEM_CACHE", "true");
        facts.cache.push("/root/.bundle/cache".to_owned());
    }
    if !extra.is_empty() {
        let command = format!("gem install --no-document {}", extra.join(" "));
        steps.push(Step::new(Kind::Install, ".", command));
    }
    if !steps.is_empty() {
        facts.take(BUNDLE, BUNDLE);
    }
    facts.take(at.dir, "");
    facts.install(files, steps);
    assets(at, gems, facts)
}

/// What the browser gets is built before Rails puts it in its place; what is left of it is of no use in the image.
fn assets(at: Folder<'_>, gems: &Gems, facts: &mut Facts) -> Vec<Step> {
    if let Some(front) = facts.front_end(at.project, at.dir, None) {
        facts.steps.extend(front.build);
        return front.clean;
    }
    let builders =
        ["webpacker", "shakapacker", "vite_rails", "jsbundling-rails", "cssbundling-rails"];
    if gems.first_of(&builders).is_none() || !at.has("package.json") {
        return Vec::new();
    }
    facts.packages_everywhere(&["nodejs", "npm"], &[]);
    let install = if at.has("package-lock.json") { "npm ci" } else { "yarn install" };
    let yarn = Step::new(Kind::Setup, ".", "npm install -g yarn");
    let files = at.those(&["package.json", "yarn.lock", "package-lock.json"]);
    facts.install(files, [yarn, Step::new(Kind::Install, at.dir, install)]);
    let clean = format!("rm -rf {}", quote(&at.path("node_modules")));
    vec![Step::new(Kind::Clean, ".", clean)]
}
