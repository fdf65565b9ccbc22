//! Elixir: Mix; Phoenix, Plug and other applications as releases, umbrella projects.

use crate::detect::{prelude::*, versions::gem::Requirement};

static ELIXIR: Language = Language {
    id: "elixir",
    tool: "mix",
    default: "1.18",
    version_files: &[".elixir-version"],
    version_tools: &["elixir"],
    sources: &["ex", "exs"],
    listens: &["Plug.Cowboy", "Bandit", "cowboy", "port:"],
    cache: &["/root/.hex"],
    images: Images {
        official: OFFICIAL,
        wolfi: OFFICIAL.why(Fixed::NoElixir),
        debian: Pair::debian(
            &["build-essential", "ca-certificates", "elixir", "erlang", "git"],
            &["ca-certificates", "libncurses6", "libstdc++6", "openssl"],
        )
        .why(Fixed::OneElixir),
    },
    ..NOTHING
};

/// A release brings Erlang along, which is linked to the libraries of this very Debian.
const OFFICIAL: Pair = Pair::of(stage("elixir:{tag}", &[]), stage("elixir:{tag}-slim", &[]));

/// Minors of Elixir 1 with the Erlang/OTP that their images are tagged with, by
/// <https://hexdocs.pm/elixir/compatibility-and-deprecations.html>; 0 where tags name none.
const OTP: &[(u32, u32)] = &[
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 0),
    (12, 24),
    (13, 25),
    (14, 26),
    (15, 26),
    (16, 26),
    (17, 27),
    (18, 27),
    (19, 28),
];

static FRAMEWORKS: &[Framework] = &[
    framework("phoenix", &["phoenix", "ash_phoenix"], 4000),
    framework("bandit", &["bandit"], 4000),
    framework("plug", &["plug_cowboy", "plug"], 4000),
    framework("cowboy", &["cowboy"], 4000),
];

/// Services of Elixir.
pub fn find(project: &Project<'_>) -> Vec<Facts> {
    let mut umbrellas: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for (dir, entries) in project.tree.dirs() {
        let is_inside = umbrellas.iter().any(|above| is_below(dir, above));
        let at = Folder::new(project, dir);
        if let Some(mix) = at.read("mix.exs").filter(|_| entries.has("mix.exs") && !is_inside) {
            let is_umbrella = mix.text.contains("apps_path");
            umbrellas.extend(is_umbrella.then_some(dir));
            found.push(Mix::read(at, mix, is_umbrella).facts());
        }
    }
    found
}

/// A project of Mix.
struct Mix<'a> {
    at: Folder<'a>,
    /// The manifest of the project, then those of the applications of an umbrella.
    manifests: Vec<Rc<Text>>,
    app: Option<String>,
    /// The release that is built.
    release: Option<String>,
}

impl<'a> Mix<'a> {
    fn read(at: Folder<'a>, mix: Rc<Text>, is_umbrella: bool) -> Self {
        let app = atom_of(&mix.text, "app:");
        // An umbrella has to declare a release.
        let release = release(&mix).or_else(|| app.clone().filter(|_| !is_umbrella));
        let mut manifests = vec![mix];
        if is_umbrella {
            let below = at.project.tree.dirs_below(at.dir).filter(|(dir, _)| *dir != at.dir);
            let texts = below.filter(|(_, entries)| entries.has("mix.exs")).take(APPS_MAX);
            let read = |(dir, _)| at.project.tree.read(&join(dir, "mix.exs"));
            manifests.extend(texts.filter_map(read));
        }
        Self { at, manifests, app, release }
    }

    fn here(&self, line: Option<usize>) -> Evidence {
        self.at.place("mix.exs", line)
    }

    fn facts(&self) -> Facts {
        let at = self.at;
        let mut facts = Facts::new(&ELIXIR, at.dir)
            .known_by(Rule::Named("mix.exs".to_owned()), self.here(None));
        facts.name = self.app.clone().unwrap_or_default();
        let (version, decision) = self.version();
        let otp = self.otp(version);
        facts.version((version, decision));
        facts.set("otp", otp);
        let tag = if otp > 0 { format!("{version}-otp-{otp}") } else { version.to_string() };
        facts.set("tag", tag);
        let known = framework::find(FRAMEWORKS, |name| dependency(&self.manifests, name));
        facts.of_framework(known.as_ref(), Fixed::Dependency);
        let is_phoenix = known.as_ref().is_some_and(|known| known.framework.id == "phoenix");
        // Without a module to start, a project is a library.
        let runs = is_phoenix || self.lines().any(is_started);
        facts.weight = if runs { facts.weight.max(Weight::Starts) } else { Weight::Manifest };
        self.build(&mut facts, is_phoenix);
        self.start(&mut facts, runs, is_phoenix);
        let process = at.procfile();
        if let Some(process) =
            process.filter(|p| p.line.contains("mix ") || p.line.contains("bin/"))
        {
            // The image of a release has no Mix.
            if !process.line.contains("mix ") || self.release.is_none() {
                facts.start(process.command, Rule::Procfile(process.name), [process.evidence]);
            }
            facts.weight = Weight::Stated;
        }
        let files = at.sources(ELIXIR.sources, &|_| false);
        port(&mut facts, is_phoenix, known.is_some(), &files);
        let paths = ["/healthz", "/health", "/api/health", "/healthcheck", "/ping"];
        let route = |path: &&str| source::mention(&files, &format!("get \"{path}\""));
        if let Some((path, place)) = paths.iter().find_map(|path| Some((path, route(path)?))) {
            facts.health(*path, Rule::RouteAt(place), []);
        }
        facts
    }

    /// Lines of all manifests that are no comments.
    fn lines(&self) -> impl Iterator<Item = &str> {
        let lines = self.manifests.iter().flat_map(|text| text.text.lines());
        lines.filter(|line| !line.trim_start().starts_with('#'))
    }

    fn version(&self) -> (Version, Decision) {
        let exact = |text: &str| {
            Version::parse(text).filter(|v| v.minor.is_some()).map(Version::major_minor)
        };
        let pinned = self.at.pins(&ELIXIR).into_iter().chain(self.buildpack("elixir_version"));
        if let Some(found) = pins::first(pinned, exact) {
            return found;
        }
        let required = self.manifests[0].lines().find_map(|(line, text)| {
            let text = after_key(text, "elixir:")?.strip_prefix('"')?.split('"').next()?;
            Some((text.to_owned(), line))
        });
        let decided = |version: Version, rule: Rule, place| {
            (version, Decision::new(What::Version, version.to_string(), rule, place))
        };
        let Some((text, line)) = required else {
            return decided(DEFAULT, Fixed::NothingPins.into(), None);
        };
        let place = Some(self.here(Some(line)));
        match Requirement::parse(&text) {
            Some(range) => decided(best(&range), Rule::Range("elixir:".to_owned(), text), place),
            None => decided(DEFAULT, Rule::NotUnderstood(text, "requirement"), place),
        }
    }

    /// `elixir_buildpack.config` of Heroku's and Gigalixir's buildpack: `erlang_version=26.0`.
    fn buildpack(&self, key: &str) -> Option<Pin> {
        let name = "elixir_buildpack.config";
        let file = self.at.properties(name)?;
        let (version, line) = file.get(key)?;
        Some(Pin::new(version.trim(), name, self.at.path(name), line))
    }

    /// The major of Erlang/OTP in the tag.
    fn otp(&self, version: Version) -> u32 {
        let known = |(minor, _): &&(u32, u32)| version.major == 1 && Some(*minor) == version.minor;
        let fitting = OTP.iter().find(known).map_or(28, |(_, otp)| *otp);
        let managed = |tool| pins::pins(self.at.project, self.at.dir, &[], &[tool]);
        // `elixir 1.16.2-otp-26` says it, too.
        let suffix = managed("elixir")
            .iter()
            .find_map(|pin| pin.version.split_once("-otp-")?.1.parse().ok());
        let erlang = || {
            let mut all = managed("erlang").into_iter().chain(self.buildpack("erlang_version"));
            all.find_map(|pin| Some(Version::parse(&pin.version)?.major))
        };
        match suffix.or_else(erlang) {
            // What Elixir does not run on has no image.
            Some(otp) if fitting > 0 && otp <= fitting && otp + 3 > fitting => otp,
            _ => fitting,
        }
    }

    fn build(&self, facts: &mut Facts, is_phoenix: bool) {
        let at = self.at;
        for (name, value) in
            [("MIX_ENV", "prod"), ("MIX_HOME", "/opt/mix"), ("HEX_HOME", "/root/.hex")]
        {
            facts.build_env(name, value);
        }
        facts.exclude = vec![".git".to_owned(), at.path("_build"), at.path("deps")];
        let mut files: Vec<String> = self.manifests.iter().map(|text| text.path.clone()).collect();
        files.extend(at.those(&["mix.lock", "config/config.exs", "config/prod.exs"]));
        let tools = "mix local.hex --force && mix local.rebar --force";
        let install = ["mix deps.get --only prod", "mix deps.compile"]
            .map(|command| Step::new(Kind::Install, at.dir, command));
        let install = std::iter::once(Step::new(Kind::Setup, ".", tools)).chain(install);
        match self.lines().any(|line| line.contains("{:") && line.contains(" path: \"")) {
            true => facts.steps.extend(install),
            false => facts.install(files, install),
        }
        // Settings that are imported may lie in files of their own, so what depends on them is compiled with all of them.
        facts.build(at.dir, "mix compile");
        self.assets(facts);
        match self.manifests.iter().find(|text| text.text.contains("assets.deploy")) {
            Some(text) => {
                if text.text.contains("assets.setup") {
                    facts.build(parent(&text.path), "mix assets.setup");
                }
                facts.build(parent(&text.path), "mix assets.deploy");
            }
            None if is_phoenix && at.has_dir("priv/static") => {
                facts.build(at.dir, "mix phx.digest")
            }
            None => {}
        }
        if let Some(name) = &self.release {
            facts.build(at.dir, format!("mix release {name} --overwrite"));
        }
    }

    /// The packages of npm in `assets` of each application.
    fn assets(&self, facts: &mut Facts) {
        for text in &self.manifests {
            let dir = join(parent(&text.path), "assets");
            let assets = Folder::new(self.at.project, &dir);
            let Some(package) = assets.json("package.json") else { continue };
            facts.claims.push(dir.clone());
            if let Some(front) = facts.front_end(self.at.project, &dir, None) {
                facts.steps.extend(front.build);
                continue;
            }
            // Before Phoenix 1.6 the script was called `deploy`; later the packages alone are wanted.
            let install = if assets.has("package-lock.json") { "npm ci" } else { "npm install" };
            let has_deploy = package.at(&["scripts", "deploy"]).is_some();
            facts.packages_everywhere(&["nodejs", "npm"], &[]);
            let run = if has_deploy { " && npm run deploy" } else { "" };
            facts.build(&dir, format!("{install}{run}"));
        }
    }

    fn start(&self, facts: &mut Facts, runs: bool, is_phoenix: bool) {
        let at = self.at;
        for (name, value) in [("HOME", "/tmp"), ("LANG", "C.UTF-8"), ("MIX_ENV", "prod")] {
            facts.env(name, value);
        }
        let Some(name) = &self.release else {
            // Without a release the project runs by Mix, with all that was built.
            facts.take("/opt/mix", "/opt/mix");
            facts.take(at.dir, "");
            facts.env("MIX_HOME", "/opt/mix");
            let task = if is_phoenix { "phx.server" } else { "run" };
            let words = ["mix", task, "--no-compile", "--no-deps-check"].into_iter();
            let words = words.chain((!is_phoenix).then_some("--no-halt"));
            facts.start(words, Fixed::NoRelease, [self.here(None)]);
            return;
        };
        facts.take(&at.path(&format!("_build/prod/rel/{name}")), "");
        // `mix phx.gen.release` writes this script.
        let overlay = "rel/overlays/bin/server";
        if at.has(overlay) {
            let place = at.place(overlay, None);
            facts.start([ELIXIR.in_home("bin/server")], Fixed::ScriptOfRelease, [place]);
        } else if runs {
            let command = [ELIXIR.in_home(&format!("bin/{name}")), "start".to_owned()];
            facts.start(command, Fixed::Release, [self.here(None)]);
        } else {
            facts.serves = Serves::Nothing(Fixed::NoModuleToStart.into(), Vec::new());
        }
    }
}

/// `{:phoenix, "~> 1.7"}`
fn dependency(manifests: &[Rc<Text>], name: &str) -> Option<Evidence> {
    let tuple = format!("{{:{name}");
    manifests.iter().find_map(|text| {
        let is_one = |line: &str| {
            let rest = line.split_once(&tuple).map(|(_, rest)| rest.trim_start());
            let others = ["only: :dev", "only: :test", "only: ["];
            !line.trim_start().starts_with('#')
                && rest.is_some_and(|rest| rest.starts_with(','))
                && !others.iter().any(|only| line.contains(only))
        };
        let (line, _) = text.lines().find(|(_, line)| is_one(line))?;
        Some(Evidence::line(&text.path, Some(line)))
    })
}

/// Whether a line of `mix.exs` names the module that starts the application.
fn is_started(line: &str) -> bool {
    line.trim_start().starts_with("mod:") || line.contains(" mod: {") || line.contains("[mod: {")
}

/// `app: :shop` → `shop`
fn atom_of(text: &str, key: &str) -> Option<String> {
    text.lines().find_map(|line| word(after_key(line, key)?.strip_prefix(':')?))
}

/// The letters, digits and `_` that a text begins with.
fn word(text: &str) -> Option<String> {
    let fits = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let word: String = text.chars().take_while(fits).collect();
    (!word.is_empty()).then_some(word)
}

/// What stands behind a key of a keyword list, the list's first or a later one.
fn after_key<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    let at = line.find(key)?;
    let is_key = !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_:\"".contains(c));
    let is_comment = line.trim_start().starts_with('#');
    (is_key && !is_comment).then(|| line[at + key.len()..].trim_start())
}

/// The first release that is declared.
fn release(mix: &Text) -> Option<String> {
    let text = &mix.text;
    let (_, rest) =
        text.split_once("releases: [").or_else(|| text.split_once("defp releases do"))?;
    let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '[');
    word(rest).filter(|name| rest[name.len()..].starts_with(':'))
}

/// The default if the range allows it, else the newest before it, else the oldest after it.
fn best(range: &Requirement) -> Version {
    let all = OTP.iter().map(|(minor, _)| Version { major: 1, minor: Some(*minor), patch: None });
    let allowed: Vec<Version> = all.filter(|version| range.allows(*version)).collect();
    let before = allowed.iter().rev().find(|version| **version <= DEFAULT);
    let known = before.or_else(|| allowed.first()).copied();
    known.or_else(|| range.lowest().map(Version::major_minor)).unwrap_or(DEFAULT)
}

fn port(facts: &mut Facts, is_phoenix: bool, is_web: bool, files: &[Rc<Text>]) {
    let (found, rule, default) = if is_phoenix {
        facts.env("PHX_SERVER", "true");
        let is_settings =
            |path: &str| path.ends_with("config/runtime.exs") || path.ends_with("config/prod.exs");
        let settings: Vec<_> =
            files.iter().filter(|file| is_settings(&file.path)).cloned().collect();
        let ports = source::ports(&settings, &[]);
        // 443 and 80 are those of the proxy in front, which the addresses in pages have.
        let own = ports.number.filter(|(port, _)| !matches!(port, 80 | 443));
        (ports.env.and(own), Fixed::PortInSettings, Some("Phoenix"))
    } else {
        let found = source::ports(files, ELIXIR.listens).number;
        (found, Fixed::PortInSource, is_web.then_some("Plug"))
    };
    let port = |number, rule, place| Some(Port { number, rule, place, is_told: true });
    match (found, default) {
        (Some((number, place)), _) => facts.port(port(number, rule.into(), Some(place))),
        (None, Some(name)) => {
            facts.port(port(4000, Rule::DefaultOf(name.to_owned()), None));
        }
        (None, None) => facts.decide(What::Port, "", Fixed::NothingListens, []),
    }
}

const DEFAULT: Version = Version { major: 1, minor: Some(18), patch: None };
/// Applications of an umbrella that are looked at.
const APPS_MAX: usize = 100;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    const MIX: &str = "defmodule Shop.MixProject do\n  def project do\n    [\n      app: :shop,\n      elixir: \"~> 1.14\",\n      releases: [\n        web: [applications: [a: :permanent]]\n      ]\n    ]\n  end\n  defp deps do\n    [{:phoenix, \"~> 1.7\"}, {:x, \"1\"},\n     {:plug_cowboy, \"~> 2.0\", only: [:test]}]\n  end\nend\n";

    fn text(text: &str) -> Rc<Text> {
        Rc::new(Text { path: "mix.exs".into(), text: text.into() })
    }

    #[test]
    fn mix_exs_names_application_release_and_dependencies() {
        assert_eq!(atom_of(MIX, "app:").as_deref(), Some("shop"));
        assert_eq!(release(&text(MIX)).as_deref(), Some("web"));
        assert_eq!(release(&text("app: :x")), None);
        assert!(dependency(&[text(MIX)], "phoenix").is_some());
        assert_eq!(dependency(&[text(MIX)], "plug_cowboy"), None);
        assert_eq!(dependency(&[text(MIX)], "pho"), None);
    }

    #[test]
    fn a_requirement_gives_the_default_or_the_nearest_before_it() {
        let check = |range: &str, want: &str| {
            assert_eq!(best(&Requirement::parse(range).unwrap()).to_string(), want)
        };
        check("~> 1.14", "1.18");
        check("~> 1.14.0", "1.14");
        check(">= 1.19.0", "1.19");
        check("~> 1.30", "1.30");
    }

    #[test]
    fn no_text_makes_the_readers_panic() {
        mutate(MIX.as_bytes(), b":[]{},\" \n\xc3", 3000, |data| {
            let mix = text(&String::from_utf8_lossy(data));
            drop(atom_of(&mix.text, "app:"));
            drop(release(&mix));
            drop(dependency(&[mix], "phoenix"));
        });
    }
}
