//! Ruby: Bundler; Rails, Sinatra, Hanami and other applications of Rack, programs.

pub(super) use self::version::OF_WOLFI;
use self::{gemfile::Gems, version::RUBY};
use crate::detect::prelude::*;

mod gemfile;
mod version;

/// Where gems are installed: as the official images have it.
const BUNDLE: &str = "/usr/local/bundle";

/// Gems and the libraries of the system that they load.
static NEEDS: &[Library] = &[
    library("charlock_holmes", &["libicu-dev"], &["libicu72"]),
    library("curb", &["libcurl4-openssl-dev"], &["libcurl4"])
        .wolfi(&["curl-dev"], &["libcurl-openssl4"]),
    library("ferrum", &[], &["chromium"]),
    library("idn-ruby", &["libidn-dev"], &["libidn12"]),
    library("image_processing", &[], &["libvips42"]).wolfi(&[], &["libvips"]),
    library("mini_magick", &[], &["imagemagick"]).wolfi(&[], &["imagemagick"]),
    library("mysql2", &["default-libmysqlclient-dev"], &["libmariadb3"])
        .wolfi(&["mariadb-connector-c-dev"], &["mariadb-connector-c"]),
    library("pdfkit", &[], &["wkhtmltopdf"]),
    library("pg", &["libpq-dev"], &["libpq5"]).wolfi(&["postgresql-dev"], &["libpq"]),
    library("rbnacl", &[], &["libsodium23"]),
    library("rgeo", &["libgeos-dev"], &["libgeos-c1v5"]),
    library("rmagick", &["libmagickwand-dev"], &["imagemagick"])
        .wolfi(&["imagemagick-dev", "pkgconf"], &["imagemagick"]),
    library("rtesseract", &[], &["tesseract-ocr"]),
    library("ruby-filemagic", &["libmagic-dev"], &["libmagic1"]),
    library("ruby-graphviz", &[], &["graphviz"]),
    library("ruby-ldap", &["libldap2-dev", "libsasl2-dev"], &["libldap-2.5-0", "libsasl2-2"]),
    library("ruby-odbc", &["unixodbc-dev"], &["unixodbc"]),
    library("ruby-vips", &[], &["libvips42"]).wolfi(&[], &["libvips"]),
    library("sqlite3", &["libsqlite3-dev"], &["libsqlite3-0"])
        .wolfi(&["sqlite-dev"], &["sqlite-libs"]),
    library("streamio-ffmpeg", &[], &["ffmpeg"]),
    library("tiny_tds", &["freetds-dev"], &["libsybdb5"]),
];

/// What becomes of a framework that is no application of Rack like the others.
type Own = fn(&mut App<'_>);

/// Frameworks by gem, with the port of their own servers.
static FRAMEWORKS: &[Framework<Own>] = &[
    framework("rails", &["rails"], 3000)
        .env(&[
            ("RAILS_ENV", "production"),
            ("RAILS_LOG_TO_STDOUT", "1"),
            ("RAILS_SERVE_STATIC_FILES", "1"),
        ])
        .own(|app| app.rails()),
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

/// Servers of Rack by gem, the settings that one needs, and how they are started.
const SERVERS: &[(&str, Option<&str>, &str)] = &[
    ("puma", Some("config/puma.rb"), "puma -C config/puma.rb -b tcp://0.0.0.0:$PORT"),
    ("puma", None, PUMA),
    ("unicorn", None, "unicorn --host 0.0.0.0 --port $PORT"),
    ("thin", None, "thin start --address 0.0.0.0 --port $PORT"),
    ("falcon", None, "falcon serve --bind http://0.0.0.0:$PORT"),
    ("iodine", None, "iodine -b 0.0.0.0 -p $PORT"),
];
const PUMA: &str = "puma -b tcp://0.0.0.0:$PORT";
const RACKUP: &str = "rackup --host 0.0.0.0 --port $PORT";

/// Files that are run by convention.
const ENTRIES: &[&str] =
    &["app.rb", "main.rb", "server.rb", "application.rb", "web.rb", "bot.rb", "index.rb", "run.rb"];

/// Gems that need a program that runs JavaScript; without a lock file nothing says that they bring `execjs`.
const JAVASCRIPT: &[&str] =
    &["uglifier", "execjs", "coffee-rails", "terser", "autoprefixer-rails", "coffee-script"];

/// Programs of gems, and Ruby itself: they find the bundle's gems through Bundler.
const BUNDLED: &[&str] = &[
    "bridgetown", "clockwork", "falcon", "good_job", "hanami", "iodine", "karafka", "puma",
    "rackup", "rails", "rake", "resque", "ruby", "sequel", "shoryuken", "sidekiq", "thin",
    "unicorn",
];

/// Gems whose assets a program of JavaScript builds.
const BUILDERS: &[&str] =
    &["webpacker", "shakapacker", "vite_rails", "jsbundling-rails", "cssbundling-rails"];

/// Gems of queues, the file that their worker needs, and how it is started.
const WORKERS: &[(&str, &str, &str)] = &[
    ("sidekiq", "config/environment.rb", "bundle exec sidekiq"),
    ("good_job", "", "bundle exec good_job start"),
    ("solid_queue", "bin/jobs", "bundle exec ruby bin/jobs"),
    ("resque", "Rakefile", "QUEUE='*' bundle exec rake resque:work"),
    ("delayed_job_active_record", "Rakefile", "bundle exec rake jobs:work"),
    ("shoryuken", "config/shoryuken.yml", "bundle exec shoryuken -R -C config/shoryuken.yml"),
    ("que", "config/environment.rb", "bundle exec que"),
];

/// Settings that let the server itself run the jobs of a queue: (gem, text).
const IN_SERVER: &[(&str, &str)] =
    &[("solid_queue", "SOLID_QUEUE_IN_PUMA: true"), ("good_job", ":async")];

/// What starts programs of other languages.
const FOREIGN: &[&str] = &["node ", "npm ", "yarn ", "pnpm ", "python ", "gunicorn ", "java "];

/// Services of Ruby.
pub fn find(project: &Project<'_>) -> Vec<Facts> {
    let names = ["Gemfile", "gems.rb", "config.ru", "app.rb", "main.rb", "server.rb"];
    let dirs = project.tree.dirs().filter(|(dir, entries)| {
        entries.first_of(&names).is_some() || *dir == "." && entries.ending(".rb").next().is_some()
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
        None if super::is_below_project(at, |_, name| name == "config.ru") => return None,
        None => Gems::default(),
    };
    // Sites are built and served as files: that is another rule's.
    let site = gems.first_of(&["jekyll", "github-pages", "middleman", "nanoc"]);
    if site.is_some() && !at.has("config.ru") && !gems.has("rails") {
        return None;
    }
    let mut facts = Facts::new(&RUBY, at.dir);
    if gems.is_there() {
        facts.tool = "bundler";
        facts.known_as(Fixed::SourcesOfRuby, Fixed::BundlersFile, Evidence::file(&gems.path));
    } else {
        let known = at.first_of(&["config.ru", "app.rb", "main.rb", "server.rb"]);
        let file = known.or_else(|| server_file(at))?;
        facts.weight = Weight::Files;
        facts.known_as(Fixed::SourcesOfRuby, Fixed::NoGemfile, at.place(file, None));
    }
    let (version, decision) = version::version(at, &gems);
    let suite = version::has_suite(version).then(|| format!("-{}", RUBY.suite(version)));
    facts.set("on", suite.unwrap_or_default());
    facts.version((version, decision));
    facts.exclude = vec![".git".to_owned(), at.path("vendor/bundle"), at.path("log/*.log")];
    for library in NEEDS {
        gems.installed(library.name).into_iter().for_each(|place| facts.library(library, place));
    }
    // They look for a program that runs JavaScript as soon as they are loaded.
    let has_own = gems.first_of(&["mini_racer", "therubyracer", "duktape"]).is_some();
    if !has_own && JAVASCRIPT.iter().any(|gem| gems.installed(gem).is_some()) {
        facts.packages_everywhere(&["nodejs"], &["nodejs"]);
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
    let mut app = App { at, gems, files, facts, extra: Vec::new() };
    match known.as_ref().and_then(|known| known.framework.own) {
        Some(own) => own(&mut app),
        None => app.rack(known.as_ref()),
    }
    app.workers();
    let (mut facts, has_bundle) = (app.facts, app.gems.is_there());
    facts.rewrite(at.project, |line| has_bundle.then(|| bundled(line)));
    let is_ours = |line: &str| !FOREIGN.iter().any(|word| line.starts_with(word));
    if let Some(process) = at.procfile().filter(|process| is_ours(&process.line)) {
        let line = if has_bundle { bundled(&process.line) } else { process.line };
        facts.start_line(&line, Rule::Procfile(process.name), [process.evidence]);
        facts.weight = Weight::Stated;
    }
    match facts.serves {
        Serves::Nothing(..) => Some(facts.nothing(Fixed::NoRubyProgram, [])),
        _ => Some(facts),
    }
}

/// A command line whose programs run in the bundle: `bundle exec puma`.
fn bundled(line: &str) -> String {
    let part = |part: &str| {
        let word = part.trim_start();
        let indent = &part[..part.len() - word.len()];
        let program = word.split(' ').next().unwrap_or(word);
        let exec = if BUNDLED.contains(&program) { "bundle exec " } else { "" };
        format!("{indent}{exec}{word}")
    };
    line.split("&&").map(part).collect::<Vec<_>>().join("&&")
}

/// The only file of a folder that is a server when it is run, whatever it is called.
fn server_file<'a>(at: Folder<'a>) -> Option<&'a str> {
    let serves = |name: &&str| {
        let file: Vec<Rc<Text>> = at.read(name).into_iter().collect();
        let requires = |mark| required(&file, mark).is_some();
        let runs = || source::mention(&file, "run!").is_some();
        ["sinatra", "webrick", "puma", "rackup"].into_iter().any(requires)
            || requires("sinatra/base") && runs()
    };
    let mut all = at.entries()?.ending(".rb").filter(|name| *name != "gems.rb").filter(serves);
    all.next().filter(|_| all.next().is_none())
}

/// Where a source requires that.
fn required(files: &[Rc<Text>], name: &str) -> Option<Evidence> {
    let seen = |quote| source::mention(files, &format!("require {quote}{name}{quote}"));
    seen('\'').or_else(|| seen('"'))
}

/// A service in the making.
struct App<'a> {
    at: Folder<'a>,
    gems: Gems,
    files: Vec<Rc<Text>>,
    facts: Facts,
    /// Gems that have to be installed beside those of the `Gemfile`.
    extra: Vec<&'static str>,
}

impl App<'_> {
    fn rails(&mut self) {
        let at = self.at;
        let place = self.gems.place("rails");
        self.facts.build_env("RAILS_ENV", "production");
        self.facts.packages_everywhere(&[], &["tzdata"]);
        let clean = self.install();
        if self.has_assets() {
            // Nothing is signed or read with these; the real ones come with the environment of the container.
            let secrets = "SECRET_KEY_BASE=build SECRET_KEY_BASE_DUMMY=1";
            self.facts.build(at.dir, format!("{secrets} bundle exec rails assets:precompile"));
        }
        let database = if at.has_dir("db") { " db" } else { "" };
        let make = "mkdir -p tmp/pids tmp/cache log storage";
        self.facts.build(at.dir, format!("{make} && chmod -R a+rwX tmp log storage{database}"));
        self.facts.steps.extend(clean);
        let command = ["bundle", "exec", "rails", "server", "-b", "0.0.0.0"];
        self.facts.start(command, Fixed::ServerOfRails, [place]);
        let settings: Vec<_> = at.read("config/puma.rb").into_iter().collect();
        let port = source::ports(&settings, &["port ", "bind "]).number;
        let otherwise = Rule::DefaultOf("Rails".to_owned());
        self.facts.port(Port::told_or(port, Fixed::SettingsOfPuma, 3000, otherwise));
        let Some(routes) = at.read("config/routes.rb") else { return };
        let is_route =
            |line: &str| line.contains("rails/health#show") && !line.trim().starts_with('#');
        if let Some((line, text)) = routes.lines().find(|(_, line)| is_route(line)) {
            let path = gemfile::texts(text).first().map(|path| path.trim_start_matches('/'));
            let path = path.filter(|path| source::is_plain_path(path)).unwrap_or("up");
            let place = Evidence::line(&routes.path, Some(line));
            self.facts.health(format!("/{path}"), Fixed::RouteOfHealth, [place]);
        }
    }

    /// Workers of the queues that the `Gemfile` has.
    fn workers(&mut self) {
        let at = self.at;
        let files =
            ["config/deploy.yml", "config/application.rb", "config/environments/production.rb"];
        let settings: Vec<_> = files.iter().filter_map(|name| at.read(name)).collect();
        for (gem, file, line) in WORKERS.iter().filter(|(gem, ..)| self.gems.has(gem)) {
            let mut in_server = IN_SERVER.iter().filter(|(of, _)| of == gem);
            let is_there = file.is_empty() || at.has(file);
            if is_there && !in_server.any(|(_, text)| source::mention(&settings, text).is_some()) {
                self.facts.worker("worker", line, Fixed::QueueOfGem, self.gems.place(gem));
            }
        }
    }

    /// Whether Rails has assets to make for a browser.
    fn has_assets(&self) -> bool {
        let is_api = self.at.read("config/application.rb").is_some_and(|text| {
            text.lines().any(|(_, line)| line.trim().starts_with("config.api_only = true"))
        });
        let gems = ["sprockets-rails", "propshaft", "webpacker", "shakapacker", "vite_rails"];
        !is_api && (self.at.has_dir("app/assets") || self.gems.first_of(&gems).is_some())
    }

    /// Applications of Rack and programs.
    fn rack(&mut self, known: Option<&Known<Own>>) {
        self.facts.env("RACK_ENV", "production");
        self.facts.env("APP_ENV", "production");
        let has_gemfile = self.gems.is_there();
        if !has_gemfile {
            // Part of Ruby itself until 3.0 or 3.4.
            let left = ["webrick", "rack", "csv", "base64"].into_iter();
            let left = left.filter(|name| required(&self.files, name).is_some());
            let mark = known.map(|known| known.mark);
            self.extra.extend(mark.into_iter().chain(left.filter(|name| mark != Some(name))));
        }
        let at = self.at;
        let place = |file| at.place(file, None);
        let port = source::ports(&self.files, RUBY.listens).number;
        let default = known.map(|known| (known.framework.port, Fixed::PortOfFramework.into()));
        let default = if self.at.has("config.ru") {
            let rule = Rule::Named("config.ru".to_owned());
            if known.is_none() {
                self.facts.framework("rack", rule.clone(), [place("config.ru")]);
            }
            self.facts.weight = Weight::Framework;
            let line = self.server();
            self.facts.start_line(&line, rule, [place("config.ru")]);
            default.or_else(|| Some((9292, Rule::DefaultOf("Rack".to_owned()))))
        } else if let Some(file) = self.at.first_of(ENTRIES).or_else(|| server_file(at)) {
            let is_sinatra = known.is_some_and(|known| known.framework.id == "sinatra");
            let options = if is_sinatra { " -o 0.0.0.0 -p $PORT" } else { "" };
            if is_sinatra && !has_gemfile {
                self.extra.extend(["puma", "rackup"]);
            }
            let line = format!("{}ruby {file}{options}", self.exec());
            self.facts.start_line(&line, Fixed::EntryFile, [place(file)]);
            self.facts.weight = match known {
                Some(_) => Weight::Framework,
                None if has_gemfile => Weight::Starts,
                None => Weight::Files,
            };
            default
        } else {
            // A library, or a project without a program.
            self.facts.weight = self.facts.weight.min(Weight::Manifest);
            let clean = self.install();
            return self.facts.steps.extend(clean);
        };
        let default = default.map(|(port, rule)| Port::told(port, rule, None));
        match port.map(|(port, place)| Port::told(port, Fixed::PortInSource, Some(place))) {
            None if default.is_none() => {
                self.facts.decide(What::Port, "", Fixed::NothingListens, []);
            }
            port => self.facts.port(port.or(default)),
        }
        let clean = self.install();
        if self.at.has("assets.rb") || self.gems.has("bridgetown") {
            self.facts.build(self.at.dir, "bundle exec bridgetown deploy");
        }
        self.facts.steps.extend(clean);
    }

    fn exec(&self) -> &'static str {
        if self.gems.is_there() { "bundle exec " } else { "" }
    }

    /// The command line of a server: of the `Gemfile`, else of one that is installed beside, which is no part of its bundle.
    fn server(&mut self) -> String {
        let server = SERVERS.iter().find(|(gem, settings, _)| {
            self.gems.has(gem) && settings.is_none_or(|file| self.at.has(file))
        });
        let has_rackup = self.gems.is_there() && self.gems.resolves("rackup");
        let own = server.map(|(.., line)| *line).or_else(|| has_rackup.then_some(RACKUP));
        if own.is_none() && !self.gems.resolves("puma") {
            self.extra.push("puma");
        }
        own.map_or_else(|| PUMA.to_owned(), |line| format!("{}{line}", self.exec()))
    }

    /// Gems and assets: `bundle install` sees the `Gemfile` alone, as long as all gems come from elsewhere. Gives the steps
    /// that remove what only the build needed.
    fn install(&mut self) -> Vec<Step> {
        let Self { at, gems, facts, extra, .. } = self;
        let (mut steps, mut files) = (Vec::new(), Vec::new());
        if gems.is_there() {
            let ruby_file = gems.ruby_file.as_ref().and_then(|file| resolve(at.dir, file));
            let ruby_file = ruby_file.filter(|path| at.project.tree.has(path));
            files = at.those(&[".ruby-version", ".tool-versions"]);
            files.push(gems.path.clone());
            files.extend(gems.lock.clone().into_iter().chain(ruby_file));
            let add =
                "env -u BUNDLE_DEPLOYMENT bundle lock --add-platform x86_64-linux aarch64-linux";
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
        assets(*at, gems, facts)
    }
}

/// What the browser gets is built before Rails puts it in its place; what is left of it is of no use in the image.
fn assets(at: Folder<'_>, gems: &Gems, facts: &mut Facts) -> Vec<Step> {
    if let Some(front) = facts.front_end(at.project, at.dir, None) {
        facts.steps.extend(front.build);
        return front.clean;
    }
    if gems.first_of(BUILDERS).is_none() || !at.has("package.json") {
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
