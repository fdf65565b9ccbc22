//! What becomes of a package, before it is known how it is installed and built.

use super::{
    site,
    source::{self, Source},
    start::{Start, script},
    unit::Unit,
    version::NODE_BY_NPM,
};
use crate::detect::{facts::Process, prelude::*, shell};

/// What a package becomes, and how that is built when scripts do not say it.
#[derive(Default)]
pub(super) struct Plan {
    /// What is known of the service.
    pub(super) facts: Facts,
    /// What starts it, where that is a process.
    pub(super) start: Option<Start>,
    /// What builds it when no script does: a program of a dependency with its arguments.
    pub(super) build: String,
    /// All steps of the build, in place of scripts.
    pub(super) whole_build: Option<Vec<Step>>,
    /// Steps right before the build.
    pub(super) before: Vec<Step>,
    /// Steps after it.
    pub(super) after: Vec<Step>,
    /// The output holds what it needs of the dependencies.
    pub(super) is_contained: bool,
    /// What runs it is none of the dependencies that production has.
    pub(super) needs_dev: bool,
    /// Where it says that it writes files.
    pub(super) writes: Option<Evidence>,
}

impl Plan {
    /// A package of which nothing runs, and why.
    pub(super) fn nothing(unit: &Unit<'_>, why: Fixed) -> Self {
        Self { facts: unit.facts(unit.at().dir).nothing(why, []), ..Self::default() }
    }

    /// Files for a browser in a folder as seen from the package; a script may serve what lies beside the package.
    pub(super) fn site(
        unit: &Unit<'_>,
        build: &str,
        folder: &str,
        missing: Missing,
        (rule, place): (Fixed, Option<Evidence>),
    ) -> Self {
        let mut facts = unit.facts(unit.at().dir);
        let folder = resolve(&facts.dir, folder).unwrap_or_else(|| facts.dir.clone());
        let files = Files { folder, missing, is_as_is: false, rule: rule.into(), place };
        facts.serves = Serves::Files(files);
        Self { facts, build: build.to_owned(), ..Self::default() }
    }

    /// Files that a build makes, by its configuration in `output` or elsewhere.
    pub(super) fn files(unit: &Unit<'_>, build: &str, output: &str, missing: Missing) -> Self {
        let (folder, place) = site::output(unit, build, output);
        let rule = if place.is_some() { Fixed::ConfiguredOutput } else { Fixed::OutputOfFramework };
        Self::site(unit, build, &folder, missing, (rule, place))
    }

    /// A process by its start command, what its code says, and the port of its framework; that of a worker is 0.
    pub(super) fn server(
        unit: &Unit<'_>,
        start: Start,
        framework: Option<(u16, Rule)>,
        source: &Source,
    ) -> Self {
        let stated = stated_port(&start);
        let asked = || source.reads_port.clone();
        let is_worker = framework.as_ref().is_some_and(|(port, _)| *port == 0);
        let default = framework.filter(|_| !is_worker);
        // A number alone may be a port of anything.
        let of_code = source.port.clone().filter(|_| source.is_server() || default.is_some());
        let found = match (stated, of_code, default) {
            (Some(port), ..) => {
                Some((port, Fixed::StartCommandSets.into(), Some(start.place.clone())))
            }
            (None, Some((port, place)), _) => Some((port, Fixed::CodeListens.into(), Some(place))),
            (None, None, Some((port, rule))) => Some((port, rule, asked())),
            (None, None, None) => Some((3000, Fixed::CodeSaysNoNumber.into(), asked()))
                .filter(|_| source.is_server() && !is_worker),
        };
        let is_told = source.reads_port.is_some() || source.port.is_none() && stated.is_none();
        let facts = unit.facts(unit.at().dir);
        let mut plan = Self { facts, writes: source.writes.clone(), ..Self::default() };
        if let Some((path, place)) = &source.health {
            plan.facts.health(path, Fixed::RouteOfCode, [place.clone()]);
        }
        // Code that asks for it has `localhost` for its default more often than not.
        if source.reads_host {
            plan.facts.env("HOST", "0.0.0.0");
        }
        if start.line.contains("fastify start") {
            plan.facts.env("FASTIFY_ADDRESS", "0.0.0.0");
        }
        plan.start(unit, start);
        plan.facts.port(found.map(|(number, rule, place)| Port { number, rule, place, is_told }));
        plan.tell(is_told);
        plan
    }

    /// A server of a framework, with its whole folder in the image.
    pub(super) fn built(unit: &Unit<'_>, build: &str, start: Start, port: u16) -> Self {
        let source = match start.runs("node") {
            true => source::scan(unit.at(), start.file()),
            false => Source::default(),
        };
        let mut plan = Self::server(unit, start, Some((port, of_framework())), &source);
        plan.tell(source.port.is_none() || source.reads_port.is_some());
        Self { build: build.to_owned(), ..plan }
    }

    /// The same by the script of production, else by a line that the framework has for it.
    pub(super) fn scripted(
        unit: &Unit<'_>,
        build: &str,
        port: u16,
        (line, rule, place): (&str, impl Into<Rule>, Evidence),
    ) -> Self {
        let start = production(unit).unwrap_or_else(|| Start::by_line(line, rule, place));
        Self::built(unit, build, start, port)
    }

    /// A server that needs of the package only what its build made, and what `names` tell of.
    pub(super) fn made(
        unit: &Unit<'_>,
        build: &str,
        start: Start,
        port: u16,
        names: &[&str],
    ) -> Self {
        let mut plan = Self { facts: unit.facts(unit.at().dir), ..Self::default() };
        plan.start(unit, start);
        let port = Port { number: port, rule: of_framework(), place: None, is_told: true };
        plan.facts.port(Some(port));
        for name in names {
            let to = if *name == "package.json" { "." } else { name };
            plan.facts.take(&unit.at().path(name), to);
        }
        Self { build: build.to_owned(), ..plan }
    }

    /// The same, whose output holds what it needs of the dependencies.
    pub(super) fn contained(self) -> Self {
        Self { is_contained: true, ..self }
    }

    /// With a variable of the program.
    pub(super) fn env(mut self, name: &str, value: &str) -> Self {
        self.facts.env(name, value);
        self
    }

    /// Whether the program reads its port from `PORT`; a command that sets the variable says so.
    pub(super) fn tell(&mut self, is_told: bool) {
        let sets = |start: &Start| start.env.iter().any(|(name, _)| name == "PORT");
        let is_told = is_told || self.start.as_ref().is_some_and(sets);
        if let Serves::Process(Process { port: Some(port), .. }) = &mut self.facts.serves {
            port.is_told = is_told;
        }
    }

    /// Starts a command, through its script where it must.
    fn start(&mut self, unit: &Unit<'_>, start: Start) {
        let by_script = || {
            let script = start.script.as_deref().unwrap_or("start");
            // What the hook builds is built already.
            let words = match start.hook.is_some() {
                _ if unit.is_bun => vec!["bun", "run", script],
                true => vec!["npm", "run", "--ignore-scripts", script],
                false => vec!["npm", "run", script],
            };
            words.into_iter().map(str::to_owned).collect()
        };
        let command = Some(start.words.clone()).filter(|words| !words.is_empty());
        let command = command.or_else(|| open(&start)).unwrap_or_else(by_script);
        self.command(unit, command, &start);
        self.start = Some(start);
    }

    fn command(&mut self, unit: &Unit<'_>, command: Vec<String>, why: &Start) {
        let by_npm = command.first().is_some_and(|program| program == "npm" || program == "npx");
        if by_npm && !unit.is_bun {
            self.facts.language = &NODE_BY_NPM;
        }
        self.facts.start(command, why.rule.clone(), [why.place.clone()]);
    }

    /// Starts nothing after all, and why.
    pub(super) fn stop(&mut self, why: Fixed) {
        self.start = None;
        self.facts = std::mem::take(&mut self.facts).nothing(why, []);
        self.facts.env.clear();
        self.facts.health = None;
    }

    /// Starts what a `Procfile` says in place of a framework's server; it may need anything of the package.
    pub(super) fn restart(&mut self, unit: &Unit<'_>, stated: Start) {
        let Some(mut start) = self.start.take() else { return };
        self.command(unit, stated.words.clone(), &stated);
        (start.rule, start.place, start.line) = (stated.rule, stated.place, stated.line);
        self.start = Some(start);
        self.facts.takes.clear();
        self.is_contained = false;
    }
}

fn of_framework() -> Rule {
    Rule::DefaultOf("the framework".to_owned())
}

/// The script that starts it in production.
pub(super) fn production(unit: &Unit<'_>) -> Option<Start> {
    script(unit.package).filter(Start::is_production)
}

/// A command that listens for its own machine alone unless it is told otherwise, told otherwise.
fn open(start: &Start) -> Option<Vec<String>> {
    let mut words = shell::words(&start.line)?;
    let says_host = words.iter().any(|word| word == "-H" || word.starts_with("--host"));
    if words.first()? != "json-server" || says_host {
        return None;
    }
    words.extend(["--host", "0.0.0.0"].map(str::to_owned));
    Some(std::iter::once("npx".to_owned()).chain(words).collect())
}

/// `PORT=3000 …`, `-p 3000`, `--port=3000`.
fn stated_port(start: &Start) -> Option<u16> {
    let by_env = start.env.iter().find(|(name, _)| name == "PORT").map(|(_, value)| value.as_str());
    let text =
        by_env.or_else(|| shell::option(&start.line, &["--port", "-p", "-l", "--listen"]))?;
    text.rsplit(':').next()?.parse().ok().filter(|port| *port > 0)
}
