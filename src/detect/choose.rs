//! Which of the services that rules found are written, and what they are called.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    detect::{
        Decision, Evidence, Project, Service, Weight, ecosystems, folders,
        settings::{self, ServiceSettings},
        tree::is_below,
    },
    spec::{Base, DependencyStep, reference},
};

/// Drops what is no service of its own, applies `peelbox.toml` and names the rest; sorted by folder.
///
/// `found` holds the services of each ecosystem, in the order of `ecosystems::ALL`.
pub(super) fn choose(project: &Project<'_>, found: Vec<Vec<Service>>) -> Vec<Service> {
    let mut chosen = heaviest_of_each_folder(found);
    for service in &mut chosen {
        if project.settings.service(&service.dir).is_some_and(|set| set.start.is_some()) {
            service.weight = Weight::Stated;
        }
    }
    drop_claimed(&mut chosen);
    drop_unless_last(&mut chosen, |service| folders::is_aside(&service.dir));
    if chosen
        .iter()
        .any(|service| !folders::is_manual(&service.dir) && service.weight >= Weight::Starts)
    {
        chosen.retain(|service| !folders::is_manual(&service.dir));
    }
    drop_unless_last(&mut chosen, |service| is_output(project, service));
    let heaviest = chosen.iter().map(|service| service.weight).max();
    if heaviest >= Some(Weight::Starts) {
        chosen.retain(|service| service.weight >= Weight::Starts);
    } else if heaviest == Some(Weight::Manual) {
        chosen.retain(|service| service.weight == Weight::Manual);
    } else if chosen.iter().any(|service| service.dir == ".") {
        // Nothing can be started: the root stands for the whole.
        chosen.retain(|service| service.dir == ".");
    }
    chosen.sort_by(|a, b| (&a.dir, name_of(a)).cmp(&(&b.dir, name_of(b))));
    for service in &mut chosen {
        if let Some(set) = project.settings.service(&service.dir) {
            apply(set, service);
        }
    }
    for (dir, set) in &project.settings.services {
        if !chosen.iter().any(|service| service.dir == *dir) {
            let line = set.line;
            project
                .tree
                .note(format!("{}:{line}: no service was found in `{dir}`", settings::FILE));
        }
    }
    name(&mut chosen, &project.tree.name());
    chosen
}

fn name_of(service: &Service) -> Option<&str> {
    service.spec.metadata.project_name.as_deref()
}

/// Of the ecosystems that found something in one folder, the one with the heaviest service has it; of equals the earlier.
fn heaviest_of_each_folder(found: Vec<Vec<Service>>) -> Vec<Service> {
    let mut folders: BTreeMap<String, Vec<Vec<Service>>> = BTreeMap::new();
    for services in found {
        let mut of_one: BTreeMap<String, Vec<Service>> = BTreeMap::new();
        for service in services {
            of_one.entry(service.dir.clone()).or_default().push(service);
        }
        for (dir, services) in of_one {
            folders.entry(dir).or_default().push(services);
        }
    }
    folders.into_values().flat_map(heaviest).collect()
}

fn heaviest(mut rivals: Vec<Vec<Service>>) -> Vec<Service> {
    let starts = |services: &Vec<Service>| services.iter().any(|s| s.weight >= Weight::Starts);
    if rivals.iter().filter(|services| starts(services)).count() > 1 {
        // A Procfile beside a package.json for the browser speaks for the server that it starts.
        let all = rivals.iter_mut().flatten();
        all.filter(|service| is_of_another(service)).for_each(|s| s.weight = Weight::Starts);
    }
    let weight = |services: &Vec<Service>| services.iter().map(|service| service.weight).max();
    let Some(most) = rivals.iter().map(weight).max() else { return Vec::new() };
    let Some(at) = rivals.iter().position(|services| weight(services) == most) else {
        return Vec::new();
    };
    let mut winners = rivals.remove(at);
    // Several of one folder (programs of one crate) are services as far as they can be started.
    winners.retain(|service| Some(service.weight) == most || service.weight >= Weight::Starts);
    for service in &mut winners {
        for lost in rivals.iter().flatten() {
            let language = lost.spec.metadata.language.clone().unwrap_or_default();
            let evidence = lost.decisions.iter().flat_map(|decision| &decision.evidence).next();
            let why = match Some(lost.weight) == most {
                true => "as good a match, but later in the order of ecosystems",
                false => "a weaker match in the same folder",
            };
            let value = service.spec.metadata.language.clone().unwrap_or_default();
            let decision = Decision::new("service", value, "the heavier match has the folder", []);
            service.decisions.push(decision.not(language, evidence.cloned(), why));
        }
    }
    winners
}

/// Whether a service of Node.js is only taken for one because of a command that starts something else.
fn is_of_another(service: &Service) -> bool {
    let language = service.spec.metadata.language.as_deref().unwrap_or_default();
    let is_node = ["javascript", "typescript"].contains(&language);
    let command = service.spec.runtime.command.join(" ");
    let mut words = command.split([' ', '/', ';', '&']);
    is_node && service.weight == Weight::Stated && !words.any(|word| NODE_TOOLS.contains(&word))
}

/// What starts a program of Node.js.
const NODE_TOOLS: &[&str] = &[
    "node", "nodejs", "npm", "npx", "yarn", "pnpm", "bun", "bunx", "deno", "next", "nuxt", "serve",
    "pm2", "pm2-runtime", "ts-node", "tsx", "http-server", "meteor", "forever", "nodemon", "sails",
    "nest",
];

/// A claim holds against everything that is not heavier than a framework, unless the claiming service is dropped itself.
fn drop_claimed(services: &mut Vec<Service>) {
    services.sort_by(|a, b| b.weight.cmp(&a.weight).then_with(|| a.dir.cmp(&b.dir)));
    let mut claims: Vec<(String, String)> = Vec::new();
    services.retain(|service| {
        let is_claimed = claims.iter().any(|(claim, owner)| {
            is_below(&service.dir, claim) && service.dir != *owner && claim != "."
        });
        if is_claimed && service.weight < Weight::Stated {
            return false;
        }
        let own = service.claims.iter().filter(|claim| **claim != service.dir);
        claims.extend(own.map(|claim| (claim.clone(), service.dir.clone())));
        true
    });
    // A light service may claim what a heavier one was kept for: that one stays, it was there first.
}

fn is_output(project: &Project<'_>, service: &Service) -> bool {
    folders::is_output(&service.dir, |dir| ecosystems::has_manifest(project, dir))
}

fn drop_unless_last(services: &mut Vec<Service>, is_dropped: impl Fn(&Service) -> bool) {
    let counts = |weight: Weight| weight >= Weight::Starts || weight == Weight::Library;
    let stays = |service: &Service| !is_dropped(service) && counts(service.weight);
    if services.iter().any(stays) {
        services.retain(|service| !is_dropped(service));
    }
}

/// What `peelbox.toml` says wins over every rule.
fn apply(set: &ServiceSettings, service: &mut Service) {
    let line = Some(set.line).filter(|line| *line > 0);
    let mut decide = |what: &'static str, value: String| {
        let evidence = Evidence::line(settings::FILE, line);
        let lost = service.decisions.iter().position(|decision| decision.what == what);
        let mut decision = Decision::new(what, value, settings::FILE, [evidence]);
        if let Some(lost) = lost.map(|at| service.decisions.remove(at)) {
            decision =
                decision.not(lost.value, lost.evidence.first().cloned(), "peelbox.toml wins");
        }
        service.decisions.push(decision);
    };
    let spec = &mut service.spec;
    if let Some(name) = &set.name {
        spec.metadata.project_name = Some(name.clone());
    }
    if let Some(install) = &set.install {
        decide("install command", install.join("; "));
        let steps = std::mem::take(&mut spec.build.dependencies);
        let mut files: Vec<String> = steps.into_iter().flat_map(|step| step.files).collect();
        files.dedup();
        let commands = install.clone();
        match files.is_empty() {
            true => drop(spec.build.commands.splice(0..0, commands)),
            false => spec.build.dependencies.push(DependencyStep { files, commands }),
        }
    }
    if let Some(build) = &set.build {
        decide("build command", build.join("; "));
        spec.build.commands = build.clone();
    }
    if let Some(start) = &set.start {
        decide("start command", start.join(" "));
        spec.runtime.command = start.clone();
    }
    if let Some(port) = set.port {
        decide("port", port.to_string());
        spec.runtime.ports = vec![port];
        if let Some(shown) = spec.runtime.env.get_mut("PORT") {
            *shown = port.to_string();
        }
    }
    if let Some(health) = &set.health {
        decide("health", health.clone());
        spec.runtime.health = Some(health.clone());
    }
    for (base, slot) in
        [(&set.build_base, &mut spec.build.base), (&set.runtime_base, &mut spec.runtime.base)]
    {
        if let Some(base) = base {
            decide("base", base.clone());
            *slot = match base.as_str() {
                "scratch" => Base::Scratch,
                name => Base::Image(reference::normalize(name).unwrap_or_else(|_| name.to_owned())),
            };
        }
    }
    spec.build.packages.extend(set.build_packages.iter().cloned());
    spec.runtime.packages.extend(set.runtime_packages.iter().cloned());
    spec.runtime.env.extend(set.env.clone());
}

/// Gives every service a name of its own: its wish, else its folder's; of two with one name the later gets its path.
fn name(services: &mut [Service], root: &str) {
    let wish = |service: &Service| {
        let folder = match service.dir.as_str() {
            "." => root,
            dir => dir.rsplit('/').next().unwrap_or(dir),
        };
        let name = clean_name(service.spec.metadata.project_name.as_deref().unwrap_or_default());
        [name, clean_name(folder), "app".to_owned()].into_iter().find(|name| !name.is_empty())
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for service in services.iter() {
        *counts.entry(wish(service).unwrap_or_default()).or_default() += 1;
    }
    let mut taken = BTreeSet::new();
    for service in services {
        let mut name = wish(service).unwrap_or_default();
        if counts[&name] > 1 && service.dir != "." {
            let path = clean_name(&service.dir.replace('/', "-"));
            name = if path.is_empty() || taken.contains(&path) { name } else { path };
        }
        let mut unique = name.clone();
        let mut number = 2;
        while !taken.insert(unique.clone()) {
            unique = format!("{name}-{number}");
            number += 1;
        }
        service.spec.metadata.project_name = Some(unique);
    }
}

/// A name that can be an image's too: the part after a scope, lower case, `-` for what an image's name can't have.
pub(super) fn clean_name(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or(name);
    let mut clean = String::new();
    for c in name.chars().take(NAME_CHARS_MAX) {
        match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => clean.push(c),
            // Separators stand alone in an image's name.
            c @ ('_' | '.' | '-') if !clean.ends_with(['_', '.', '-']) => clean.push(c),
            _ if !clean.ends_with(['_', '.', '-']) => clean.push('-'),
            _ => {}
        }
    }
    clean.trim_matches(['_', '.', '-']).to_owned()
}

const NAME_CHARS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Build, Metadata, Runtime, UniversalBuild};

    fn service(dir: &str, weight: Weight, name: &str, claims: &[&str]) -> Service {
        let metadata = Metadata {
            project_name: (!name.is_empty()).then(|| name.to_owned()),
            ..Metadata::default()
        };
        let (build, runtime) = (Build::default(), Runtime::default());
        Service {
            dir: dir.to_owned(),
            spec: UniversalBuild { metadata, build, runtime },
            weight,
            claims: claims.iter().map(|claim| (*claim).to_owned()).collect(),
            decisions: Vec::new(),
        }
    }

    #[track_caller]
    fn check(found: Vec<Vec<Service>>, expected: &[(&str, &str)]) {
        let dir = tempfile::Builder::new().prefix("Shop").rand_bytes(0).tempdir().ok();
        let root = dir.as_ref().map_or_else(std::env::temp_dir, |dir| dir.path().to_owned());
        let tree = crate::detect::Tree::walk(&root.join("."), &[]).unwrap();
        let settings = settings::Settings::default();
        let project = Project { tree: &tree, bases: Default::default(), settings: &settings };
        let chosen = choose(&project, found);
        let shown: Vec<(&str, &str)> =
            chosen.iter().map(|s| (s.dir.as_str(), name_of(s).unwrap())).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn libraries_and_what_stands_aside_go_when_there_are_services() {
        use Weight::{Framework, Manifest, Starts};
        check(
            vec![
                vec![service("api", Framework, "", &[]), service("lib", Manifest, "", &[])],
                vec![service("examples/x", Starts, "", &[]), service("api", Manifest, "", &[])],
            ],
            &[("api", "api")],
        );
        check(vec![vec![service("examples/x", Starts, "", &[])]], &[("examples/x", "x")]);
        check(
            vec![vec![service(".", Manifest, "whole", &[]), service("a", Manifest, "", &[])]],
            &[(".", "whole")],
        );
        let lot = |dirs: &[&str]| vec![dirs.iter().map(|d| service(d, Starts, "", &[])).collect()];
        check(lot(&["apps/docs", "docs", "x", "x/demos/y"]), &[("apps/docs", "docs"), ("x", "x")]);
    }

    #[test]
    fn examples_of_a_library_are_no_services_but_its_manual_is() {
        use Weight::{Framework, Library, Manual};
        let found =
            || vec![service(".", Library, "l", &[]), service("demos/x", Framework, "", &[])];
        check(vec![found()], &[(".", "l")]);
        check(vec![found(), vec![service("docs", Manual, "", &[])]], &[("docs", "docs")]);
        check(vec![found(), vec![service("docs", Framework, "", &[])]], &[("docs", "docs")]);
    }

    #[test]
    fn a_manual_is_deployed_when_nothing_else_is() {
        use Weight::{Manifest, Manual, Starts};
        let manual = || vec![service("docs", Manual, "", &[]), service(".", Manifest, "l", &[])];
        check(vec![manual()], &[("docs", "docs")]);
        check(vec![manual(), vec![service("api", Starts, "", &[])]], &[("api", "api")]);
    }

    #[test]
    fn claimed_folders_hold_no_service_unless_something_says_so() {
        use Weight::{Framework, Starts, Stated};
        check(
            vec![
                vec![service("web", Framework, "", &["web/client"])],
                vec![
                    service("web/client", Framework, "", &[]),
                    service("web/client2", Starts, "", &[]),
                ],
            ],
            &[("web", "web"), ("web/client2", "client2")],
        );
        check(
            vec![
                vec![service("web", Framework, "", &["web/client"])],
                vec![service("web/client", Stated, "", &[])],
            ],
            &[("web", "web"), ("web/client", "client")],
        );
    }

    #[test]
    fn names_are_clean_and_differ() {
        use Weight::Starts;
        let all = vec![
            service("a/api", Starts, "@Org/My App", &[]),
            service("b/api", Starts, "my-app", &[]),
            service("c", Starts, "", &[]),
            service("d", Starts, "c", &[]),
        ];
        check(vec![all], &[("a/api", "a-api"), ("b/api", "b-api"), ("c", "c"), ("d", "d")]);
        assert_eq!(clean_name("--Über__App.."), "ber_app");
    }
}
