//! Processes beside the one that serves: those of a `Procfile`, else the workers of queues that the manifests show. Each is a
//! service of its own that is built by the same steps.

use std::collections::BTreeSet;

use super::{
    Evidence, Facts, Fixed, Project, Rule, Serves, Weight, What,
    parts::{OUT, Process, Worker},
    paths::{file_name, is_below},
    procfile::{self, processes},
};

/// Services of other images, which a `Procfile` starts where somebody develops.
const OTHER_SERVICES: &[&str] = &[
    "redis-server", "postgres", "mysqld", "mongod", "memcached", "mailcatcher", "maildev",
    "mailhog", "mailpit", "elasticsearch", "minio", "nginx", "docker", "docker-compose", "ngrok",
    "stripe",
];

/// Words of processes that help while somebody develops.
const DEVELOPMENT: &[&str] = &["--watch", "watch", "dev", "console"];

/// Adds a service for each process that runs beside one of the chosen.
pub(super) fn beside(project: &Project<'_>, chosen: Vec<Facts>) -> Vec<Facts> {
    let mut names: BTreeSet<String> = chosen.iter().map(|facts| facts.name.clone()).collect();
    let mut all = Vec::new();
    for mut facts in chosen {
        let workers = match stated(project, &mut facts) {
            Some(workers) => workers,
            None => std::mem::take(&mut facts.workers),
        };
        let image_has_sources = holds_sources(&facts);
        let mut beside = Vec::new();
        for worker in workers {
            if image_has_sources || worker.is_of_same_program {
                let set = project.settings.process(&facts.dir, &worker.name);
                let name = set.and_then(|set| set.name.clone());
                beside.push(service(&facts, worker, name, &mut names));
            } else {
                let (place, name) = (worker.place, worker.name);
                let why = "the image holds a built program and not the sources that this line runs";
                project.tree.note(format!("{place}: no service for `{name}`: {why}"));
            }
        }
        all.push(facts);
        all.extend(beside);
    }
    for ((dir, process), set) in &project.settings.services {
        let is_there = |facts: &Facts| facts.dir == *dir && facts.process == *process;
        if !process.is_empty() && !all.iter().any(is_there) {
            let (file, line) = (&project.settings.file, set.line);
            project
                .tree
                .note(format!("{file}:{line}: no process `{process}` was found in `{dir}`"));
        }
    }
    all
}

/// The processes of the folder's `Procfile` beside the one that the service starts, if the `Procfile` is about it.
fn stated(project: &Project<'_>, facts: &mut Facts) -> Option<Vec<Worker>> {
    let all = processes(project, &facts.dir);
    let mut decided = facts.decisions.iter().filter(|decision| decision.what == What::StartCommand);
    let started = decided.find_map(|decision| match &decision.rule {
        Rule::Procfile(name) => Some(name.clone()),
        _ => None,
    });
    let has_web = all.iter().any(|process| process.name == "web");
    let starts_something = matches!(facts.serves, Serves::Process(_));
    if !starts_something || has_web && started.is_none() {
        return None;
    }
    if let Some(release) = all.iter().find(|process| process.name == "release") {
        let (rule, place) = (Rule::Procfile("release".to_owned()), release.evidence.clone());
        facts.decide(What::ReleaseCommand, release.line.clone(), rule, [place]);
    }
    let is_worker = |process: &procfile::Process| {
        let is_other = ["web", "release"].contains(&process.name.as_str());
        let mut words = process.line.split_whitespace();
        let program = words.clone().find(|word| !word.contains('='));
        let program = program.map(file_name).unwrap_or_default();
        let is_development =
            words.any(|word| DEVELOPMENT.contains(&word.rsplit(':').next().unwrap_or_default()));
        !is_other
            && Some(&process.name) != started.as_ref()
            && !OTHER_SERVICES.contains(&program)
            && !is_development
    };
    let web = all.iter().find(|process| Some(&process.name) == started.as_ref());
    let workers = all.iter().filter(|process| is_worker(process));
    let workers: Vec<Worker> = workers.map(|process| worker(process, web, facts)).collect();
    (has_web || !workers.is_empty()).then_some(workers)
}

/// Whether the image has the folder of the service as it is.
fn holds_sources(facts: &Facts) -> bool {
    facts.takes.iter().any(|take| take.from == OUT || is_below(&facts.dir, &take.from))
}

fn service(
    web: &Facts,
    worker: Worker,
    name: Option<String>,
    names: &mut BTreeSet<String>,
) -> Facts {
    let mut facts = web.clone();
    let process = || worker.name.replace('_', "-").to_ascii_lowercase();
    let name = name.unwrap_or_else(|| format!("{}-{}", web.name, process()));
    let mut unique = name.clone();
    let mut number = 2;
    while !names.insert(unique.clone()) {
        unique = format!("{name}-{number}");
        number += 1;
    }
    facts.name = unique;
    let told = [What::Port, What::Health, What::StartCommand, What::ReleaseCommand];
    facts.decisions.retain(|decision| !told.contains(&decision.what));
    let listens = worker.command.iter().any(|word| word.contains("$PORT"));
    let port = match &web.serves {
        Serves::Process(process) if listens => process.port.clone(),
        _ => None,
    };
    if port.is_none() {
        facts.decide(What::Port, "", Fixed::NothingListens, []);
    }
    facts.decide(What::StartCommand, worker.command.join(" "), worker.rule, [worker.place]);
    (facts.health, facts.weight) = (None, Weight::Stated);
    facts.serves = Serves::Process(Process { command: worker.command, port });
    facts.process = worker.name;
    facts
}

/// A process of a `Procfile`. One that runs the program of the started process, with other arguments, has it where the image
/// has it.
fn worker(process: &procfile::Process, web: Option<&procfile::Process>, facts: &Facts) -> Worker {
    let written = || process.command.clone();
    let line = facts.lines.get(&process.name);
    let mut command = line.map_or_else(written, |line| super::shell::exec_form(line));
    let started = match &facts.serves {
        Serves::Process(started) => started.command.first(),
        _ => None,
    };
    let is_path = |word: &&String| word.contains('/') && *word != "/bin/sh";
    let program = command.first().filter(is_path);
    let is_of_same_program =
        program.is_some() && web.is_some_and(|web| web.command.first() == program);
    if let (true, Some(program)) = (is_of_same_program, started) {
        command[0].clone_from(program);
    }
    let (rule, place) = (Rule::Procfile(process.name.clone()), process.evidence.clone());
    Worker { name: process.name.clone(), command, rule, place, is_of_same_program }
}

impl Facts {
    /// Notes how the image runs the lines of the folder's `Procfile`.
    pub fn rewrite(&mut self, project: &Project<'_>, rewritten: impl Fn(&str) -> Option<String>) {
        for process in processes(project, &self.dir) {
            if let Some(line) = rewritten(&process.line) {
                self.lines.insert(process.name, line);
            }
        }
    }

    /// A process that runs beside the one that serves, unless a `Procfile` names such processes.
    pub fn worker(&mut self, name: &str, line: &str, rule: impl Into<Rule>, place: Evidence) {
        let (name, command) = (name.to_owned(), super::shell::exec_form(line));
        let (rule, is_of_same_program) = (rule.into(), false);
        self.workers.push(Worker { name, command, rule, place, is_of_same_program });
    }
}
