//! What people set wins over every rule: in `peelbox.toml`, in variables, on the command line.

use super::{
    assemble::Service,
    decision::{Decision, Evidence, Rule},
    emit,
    settings::{FOUND, ServiceSettings, Settings, SettingsError},
    why::{Fixed, What},
};
use crate::spec::{Base, Build, DependencyStep, SpecError, reference as references};

/// Who set something.
#[derive(Clone, Debug)]
struct Origin {
    rule: Rule,
    place: Option<Evidence>,
    wins: Fixed,
}

impl Origin {
    /// An entry of the file of settings.
    fn entry(settings: &Settings, set: &ServiceSettings) -> Self {
        let line = Some(set.line).filter(|line| *line > 0);
        let place = Some(Evidence::line(&settings.file, line));
        Self { rule: Rule::Named(settings.file.clone()), place, wins: Fixed::PeelboxTomlWins }
    }

    /// Options of the command line, or variables that stand for them.
    fn command_line() -> Self {
        Self { rule: Fixed::CommandLine.into(), place: None, wins: Fixed::CommandLineWins }
    }
}

/// Puts what the settings say of a service into it.
pub(super) fn by_settings(service: &mut Service, settings: &Settings) -> Result<(), SettingsError> {
    let main = settings.service(&service.dir);
    let own = match service.process.as_str() {
        "" => None,
        process => settings.process(&service.dir, process),
    };
    // The others of a folder have a start of their own.
    let main = main.map(|set| if service.process.is_empty() { set.clone() } else { set.shared() });
    for set in main.iter().chain(own) {
        let was_whole = emit::finish(&mut service.clone()).is_ok();
        overrule(service, set, &Origin::entry(settings, set));
        if let (true, Err(error)) = (was_whole, emit::finish(&mut service.clone())) {
            let (file, why) = (settings.file.clone(), format!("this entry makes no spec: {error}"));
            return Err(SettingsError { file, line: Some(set.line), why, help: None });
        }
    }
    Ok(())
}

/// Puts what the command line says into a finished service.
///
/// # Errors
/// A value makes no spec.
pub fn by_command_line(service: &mut Service, set: &ServiceSettings) -> Result<(), SpecError> {
    overrule(service, set, &Origin::command_line());
    emit::finish(service)
}

/// Puts what is set for a service into its spec, and what it would have been into its decisions.
fn overrule(service: &mut Service, set: &ServiceSettings, origin: &Origin) {
    let decisions = &mut service.decisions;
    let mut decide = |what: What, value: String| {
        let mut decision = Decision::new(what, value, origin.rule.clone(), origin.place.clone());
        if let Some(at) = decisions.iter().position(|decision| decision.what == what) {
            let lost = decisions.remove(at);
            let place = lost.evidence.into_iter().next();
            decision = decision.not(lost.value, place, origin.wins);
        }
        decisions.push(decision);
    };
    let (build, runtime) = (&mut service.spec.build, &mut service.spec.runtime);
    if let Some(commands) = &set.install {
        decide(What::InstallCommand, commands.join("; "));
        service.installs = install(build, commands, service.installs);
    }
    if let Some(commands) = &set.build {
        decide(What::BuildCommand, commands.join("; "));
        let found = build.commands.split_off(service.installs);
        build.commands.extend(with_found(commands, found));
    }
    if let Some(start) = &set.start {
        decide(What::StartCommand, start.join(" "));
        runtime.command.clone_from(start);
    }
    if let Some(port) = set.port {
        decide(What::Port, port.to_string());
        runtime.ports = vec![port];
        if let Some(shown) = runtime.env.get_mut("PORT") {
            *shown = port.to_string();
        }
    }
    if let Some(health) = &set.health {
        decide(What::Health, health.clone());
        runtime.health = Some(health.clone());
    }
    let bases = [(&set.build_base, &mut build.base), (&set.runtime_base, &mut runtime.base)];
    for (set, base) in bases {
        let Some(name) = set else { continue };
        decide(What::Base, name.clone());
        let normal = || references::normalize(name).unwrap_or_else(|_| name.clone());
        *base = if name == "scratch" { Base::Scratch } else { Base::Image(normal()) };
    }
    for secret in &set.secrets {
        decide(What::Secret, secret.id.clone());
        build.secrets.retain(|known| known.target != secret.target);
        build.secrets.push(secret.clone());
    }
    build.packages.extend(set.build_packages.iter().cloned());
    build.cache.extend(set.caches.iter().cloned());
    build.exclude.extend(set.exclude.iter().cloned());
    build.exclude.extend(set.include.iter().map(|pattern| format!("!{pattern}")));
    runtime.packages.extend(set.runtime_packages.iter().cloned());
    runtime.env.extend(set.env.clone());
    runtime.labels.extend(set.labels.clone());
    runtime.copy.extend(set.copy.iter().cloned());
    for (set, to) in [(&set.user, &mut runtime.user), (&set.workdir, &mut runtime.workdir)] {
        if let Some(set) = set {
            *to = Some(set.clone());
        }
    }
}

/// Commands, with those that were found where the list says so.
fn with_found(commands: &[String], found: Vec<String>) -> Vec<String> {
    match commands.iter().position(|command| command == FOUND) {
        Some(at) => [&commands[..at], &found, &commands[at + 1..]].concat(),
        None => commands.to_vec(),
    }
}

/// Puts commands in the place of those that install dependencies, of which the first `installs` of the build's are; gives how many
/// of the build's are then.
fn install(build: &mut Build, commands: &[String], installs: usize) -> usize {
    let keeps_found = commands.iter().any(|command| command == FOUND);
    if keeps_found && !build.dependencies.is_empty() {
        // Each layer keeps the files it sees.
        let at = commands.iter().position(|command| command == FOUND).unwrap_or_default();
        if let Some(first) = build.dependencies.first_mut() {
            drop(first.commands.splice(0..0, commands[..at].iter().cloned()));
        }
        if let Some(last) = build.dependencies.last_mut() {
            last.commands.extend_from_slice(&commands[at + 1..]);
        }
        return installs;
    }
    let layers = std::mem::take(&mut build.dependencies);
    let mut files: Vec<String> = layers.into_iter().flat_map(|step| step.files).collect();
    files.dedup();
    let left = build.commands.split_off(installs);
    let found = std::mem::replace(&mut build.commands, left);
    let commands = with_found(commands, found);
    if files.is_empty() {
        let count = commands.len();
        drop(build.commands.splice(0..0, commands));
        return count;
    }
    build.dependencies.push(DependencyStep { files, commands });
    0
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        detect::{DetectError, Detected, Family, detect},
        spec::UniversalBuild,
    };

    /// A server with a Procfile, and a `peelbox.toml` whose entry holds `lines`.
    fn found(lines: &str) -> Result<Detected, DetectError> {
        let dir = tempfile::tempdir().unwrap();
        let package = r#"{"name":"shop","dependencies":{"express":"4"},"scripts":{"build":"make","start":"node server.js"}}"#;
        let server = "require('express')().listen(process.env.PORT||3000)";
        let settings = format!("[[service]]\n{lines}\n");
        for (name, text) in [
            ("package.json", package),
            ("package-lock.json", "{}"),
            ("server.js", server),
            ("Procfile", "web: node server.js\nworker: node work.js\n"),
            ("peelbox.toml", &settings),
            ("main.py", "from flask import Flask\napp = Flask(__name__)\n"),
            ("requirements.txt", "flask\n"),
        ] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        detect(dir.path(), Family::Official)
    }

    fn specs(lines: &str) -> Vec<UniversalBuild> {
        let found = found(lines).unwrap();
        assert_eq!(found.notes, [""; 0], "{lines}");
        found.services.into_iter().map(|service| service.spec).collect()
    }

    fn spec(lines: &str) -> UniversalBuild {
        specs(lines).remove(0)
    }

    #[test]
    fn everything_of_a_spec_can_be_set_on_top_of_what_was_found() {
        let plain = spec("");
        let set = spec(
            "caches = [\".turbo\"]\nsecrets = [\"NPM_TOKEN\", {id = \"netrc\", target = \"/root/.netrc\", required = false}]\nexclude = \"*.mp4\"\ninclude = \"intro.mp4\"\nlabels = {team = \"a\"}\nuser = 1000\nworkdir = \"/srv\"\ncopy = {from = \"conf\", to = \"/etc/app\"}",
        );
        assert!(set.build.cache.contains(&"/build/.turbo".to_owned()));
        assert_eq!(set.build.cache.len(), plain.build.cache.len() + 1);
        let ids: Vec<(&str, bool)> =
            set.build.secrets.iter().map(|secret| (secret.id.as_str(), secret.required)).collect();
        assert_eq!(ids, [("NPM_TOKEN", true), ("netrc", false)]);
        assert!(set.build.exclude.ends_with(&["*.mp4".to_owned(), "!intro.mp4".to_owned()]));
        assert_eq!(set.runtime.labels["team"], "a");
        assert_eq!(
            (set.runtime.user.as_deref(), set.runtime.workdir.as_deref()),
            (Some("1000"), Some("/srv"))
        );
        assert_eq!(set.runtime.copy.len(), plain.runtime.copy.len() + 1);
        assert_eq!(set.runtime.copy.last().unwrap().to, "/etc/app");
    }

    #[test]
    fn three_dots_stand_for_the_commands_that_were_found() {
        let plain = spec("");
        let layer = |spec: &UniversalBuild| spec.build.dependencies[0].commands.clone();
        let install = "npm ci --no-audit --no-fund";
        assert_eq!(layer(&plain), [install]);
        let set = spec(
            "install = [\"./before\", \"...\", \"./after\"]\nbuild = [\"...\", \"make more\"]",
        );
        assert_eq!(layer(&set), ["./before", install, "./after"]);
        let last = set.build.commands.len() - 1;
        assert_eq!(
            (&set.build.commands[..last], set.build.commands[last].as_str()),
            (&plain.build.commands[..], "make more")
        );
        let set = spec("install = \"make deps\"\nbuild = \"make\"");
        assert_eq!(
            (layer(&set), set.build.commands),
            (vec!["make deps".to_owned()], vec!["make".to_owned()])
        );
    }

    #[test]
    fn commands_that_build_leave_those_that_install() {
        let mut build =
            Build { commands: ["i1", "i2", "b"].map(str::to_owned).to_vec(), ..Build::default() };
        let left = install(&mut build, &["x".to_owned(), "...".to_owned()], 2);
        assert_eq!(
            (left, &build.commands[..]),
            (3, &["x", "i1", "i2", "b"].map(str::to_owned)[..])
        );
        assert_eq!(install(&mut build, &["y".to_owned()], 3), 1);
        assert_eq!(build.commands, ["y", "b"]);
    }

    #[test]
    fn an_entry_of_a_folder_leaves_its_other_processes_their_start_and_one_of_a_process_sets_it() {
        let all = specs(
            "start = \"node cluster.js\"\nport = 9000\nuser = \"1000\"\n[[service]]\nprocess = \"worker\"\nname = \"jobs\"\nstart = \"node jobs.js\"\nenv = {Q = \"1\"}",
        );
        let told = |spec: &UniversalBuild| {
            let name = spec.metadata.project_name.clone().unwrap();
            (
                name,
                spec.runtime.command.join(" "),
                spec.runtime.ports.clone(),
                spec.runtime.user.clone(),
            )
        };
        let user = Some("1000".to_owned());
        assert_eq!(
            told(&all[0]),
            ("shop".to_owned(), "node cluster.js".to_owned(), vec![9000], user.clone())
        );
        assert_eq!(told(&all[1]), ("jobs".to_owned(), "node jobs.js".to_owned(), vec![], user));
        assert_eq!((all[0].runtime.env.get("Q"), all[1].runtime.env["Q"].as_str()), (None, "1"));
        let notes = found("process = \"clock\"").unwrap().notes;
        assert_eq!(notes, ["peelbox.toml:1: no process `clock` was found in `.`"]);
    }

    #[test]
    fn the_language_that_is_stated_has_the_folder() {
        let language = |lines| spec(lines).metadata.language;
        assert_eq!(language("language = \"python\"").as_deref(), Some("python"));
        assert_eq!(language("language = \"javascript\"").as_deref(), Some("javascript"));
        let notes = found("language = \"ruby\"").unwrap().notes;
        assert!(
            notes[0].starts_with("peelbox.toml:1: no `ruby` was found in `.`, but python, "),
            "{notes:?}"
        );
    }

    #[test]
    fn a_value_that_makes_no_spec_is_told_with_its_entry() {
        let error = found("workdir = \"relative\"").unwrap_err().to_string();
        assert!(error.starts_with("peelbox.toml:1: this entry makes no spec: "), "{error}");
    }
}
