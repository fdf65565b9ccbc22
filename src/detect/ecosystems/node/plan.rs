//! What becomes of a package, before it is known how it is installed and built.

use super::{
    database,
    programs::{self, Program, Provider},
    site,
    source::{self, Source},
    start::{Runner, Start, script},
    unit::Unit,
    version::NODE_BY_NPM,
};
use crate::detect::{facts::Process, prelude::*};

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
    pub(super) after: Option<Step>,
    /// The output holds what it needs of the dependencies.
    pub(super) is_contained: bool,
    /// What runs it is none of the dependencies that production has.
    pub(super) needs_dev: bool,
    /// Where it says that it writes files.
    pub(super) writes: Option<Evidence>,
}

impl Plan {
    /// A package of which nothing is known yet but what builds it.
    fn new(unit: &Unit<'_>, build: &str) -> Self {
        Self { facts: unit.facts(), build: build.to_owned(), ..Self::default() }
    }

    /// A package of which nothing runs, and why.
    pub(super) fn nothing(unit: &Unit<'_>, why: Fixed) -> Self {
        Self { facts: unit.facts().nothing(why, []), ..Self::default() }
    }

    /// Files for a browser in a folder as seen from the package; a script may serve what lies beside the package.
    pub(super) fn site(
        unit: &Unit<'_>,
        build: &str,
        folder: &str,
        missing: Missing,
        (rule, place): (Fixed, Option<Evidence>),
    ) -> Self {
        let mut plan = Self::new(unit, build);
        plan.facts.files(unit.resolved(folder), missing, rule, place);
        if let Serves::Files(files) = &mut plan.facts.serves {
            files.base = site::base(unit, build).unwrap_or_default();
        }
        plan
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
        mut start: Start,
        framework: Option<(u16, Rule)>,
        source: &Source,
    ) -> Self {
        let mut plan = Self { writes: source.writes.clone(), ..Self::new(unit, "") };
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
        let port = port(&start, framework, source);
        if let Some(first) = database::migration(unit, &start) {
            start.after(&first);
            start.rule = start.rule.and(Fixed::MigratesFirst);
        }
        plan.start(unit, start);
        plan.facts.port(port);
        plan
    }

    /// A server of a framework, with its whole folder in the image.
    pub(super) fn built(unit: &Unit<'_>, build: &str, start: Start, port: u16) -> Self {
        let source = match start.runner {
            Runner::Node => source::scan(unit.at(), start.file()),
            _ => Source::default(),
        };
        let mut plan = Self::server(unit, start, Some((port, of_framework())), &source);
        if let Serves::Process(Process { port: Some(port), .. }) = &mut plan.facts.serves {
            port.is_told |= source.port.is_none();
        }
        Self { build: build.to_owned(), ..plan }
    }

    /// The same by the script of production, else by a command that the framework has for it.
    pub(super) fn scripted(unit: &Unit<'_>, build: &str, own: Start, port: u16) -> Self {
        Self::built(unit, build, production(unit).unwrap_or(own), port)
    }

    /// A server that the build makes.
    pub(super) fn made(unit: &Unit<'_>, build: &str, start: Start, port: u16) -> Self {
        let mut plan = Self::new(unit, build);
        plan.start(unit, start);
        plan.facts.port(Port::told(port, of_framework(), None));
        plan
    }

    /// The same, which needs only these of the package; without `node_modules` they hold what it needs of them.
    pub(super) fn taking(mut self, unit: &Unit<'_>, names: &[&str]) -> Self {
        self.is_contained = !names.contains(&"node_modules");
        for name in names {
            let to = if *name == "package.json" { "." } else { name };
            self.facts.take(&unit.at().path(name), to);
        }
        self
    }

    /// With a route that tells whether it is well, if none is known.
    pub(super) fn well(mut self, route: Option<(String, Evidence)>) -> Self {
        let is_process = matches!(self.facts.serves, Serves::Process(_));
        if let Some((path, place)) = route.filter(|_| is_process && self.facts.health.is_none()) {
            self.facts.health(path, Fixed::RouteOfCode, [place]);
        }
        self
    }

    pub(super) fn env(mut self, name: &str, value: &str) -> Self {
        self.facts.env(name, value);
        self
    }

    fn start(&mut self, unit: &Unit<'_>, start: Start) {
        self.command(unit, &start);
        self.start = Some(start);
    }

    fn command(&mut self, unit: &Unit<'_>, start: &Start) {
        let command = start.command(unit.is_bun);
        let programs = programs::of(unit, start);
        let is_npm = |name: &str| ["npm", "npx"].contains(&name);
        let by_npm = is_npm(&command[0]) || programs.iter().any(|p| p.is_called && is_npm(&p.name));
        if by_npm && !unit.is_bun {
            self.facts.language = &NODE_BY_NPM;
        }
        let is_tool = |p: &Program| p.is_called && matches!(p.from, Provider::Package { .. });
        if !is_npm(&command[0]) && programs.iter().any(is_tool) {
            self.facts.env("PATH", path(unit));
        }
        self.facts.start(command, start.rule.clone(), [start.place.clone()]);
    }

    /// Starts nothing after all, and why.
    pub(super) fn stop(&mut self, why: Fixed) {
        self.start = None;
        self.facts = std::mem::take(&mut self.facts).nothing(why, []);
        self.facts.env.clear();
        self.facts.health = None;
    }

    /// Starts what a `Procfile` says in place of a framework's server; it may need anything of the package.
    pub(super) fn restart(&mut self, unit: &Unit<'_>, mut stated: Start) {
        let Some(start) = self.start.take() else { return };
        self.command(unit, &stated);
        (stated.hook, stated.env) = (start.hook, start.env);
        self.start = Some(stated);
        self.facts.takes.clear();
        self.is_contained = false;
    }
}

/// The port of a process.
fn port(start: &Start, framework: Option<(u16, Rule)>, source: &Source) -> Option<Port> {
    let default = match framework {
        None if source.is_server() => Some((3000, Fixed::CodeSaysNoNumber.into())),
        framework => framework.filter(|(port, _)| *port > 0),
    };
    // A number alone may be a port of anything.
    let of_code = source.port.clone().filter(|_| source.is_server() || default.is_some());
    let stated = start.port();
    let is_told = source.reads_port.is_some()
        || source.port.is_none() && stated.is_none()
        || start.variable("PORT").is_some();
    let (number, rule, place) = match (stated, of_code) {
        (Some(port), _) => (port, Fixed::StartCommandSets.into(), Some(start.place.clone())),
        (None, Some((port, place))) => {
            let rule = if source.is_set { Fixed::PortInSettings } else { Fixed::CodeListens };
            (port, rule.into(), Some(place))
        }
        (None, None) => {
            let (port, rule) = default?;
            (port, rule, source.reads_port.clone())
        }
    };
    Some(Port { number, rule, place, is_told })
}

/// The search path with the programs of dependencies, of the package and of its workspace.
fn path(unit: &Unit<'_>) -> String {
    let below = unit.run_in();
    let mut folders = vec!["node_modules".to_owned()];
    if below != "." {
        folders.insert(0, join(&below, "node_modules"));
    }
    let bins = folders.iter().map(|folder| NODE_BY_NPM.in_home(&format!("{folder}/.bin")));
    let system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    bins.chain([system.to_owned()]).collect::<Vec<_>>().join(":")
}

fn of_framework() -> Rule {
    Rule::DefaultOf("the framework".to_owned())
}

/// The script that starts it in production.
pub(super) fn production(unit: &Unit<'_>) -> Option<Start> {
    script(unit.package).filter(Start::is_production)
}
