//! Which of the services that rules found are written, and what they are called.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::{ecosystems, folders, prelude::*};

/// Drops what is no service of its own and names the rest; sorted by folder.
///
/// `found` holds the services of each ecosystem, in the order of `ecosystems::ALL`.
pub(super) fn choose(project: &Project<'_>, found: Vec<Vec<Facts>>) -> Vec<Facts> {
    let mut chosen = heaviest_of_each_folder(of_stated_language(project, found));
    for facts in &mut chosen {
        if let Some(set) = project.settings.service(&facts.dir) {
            if set.start.is_some() {
                facts.weight = Weight::Stated;
            }
            if let Some(name) = &set.name {
                facts.name.clone_from(name);
            }
        }
    }
    drop_claimed(&mut chosen);
    drop_linked(project, &mut chosen);
    drop_unless_last(&mut chosen, |facts| folders::is_aside(&facts.dir));
    let is_manual = |facts: &Facts| folders::is_manual(&facts.dir);
    if chosen.iter().any(|facts| !is_manual(facts) && facts.weight >= Weight::Starts) {
        chosen.retain(|facts| !is_manual(facts));
    }
    let is_built = |dir: &str| ecosystems::has_manifest(project, dir);
    drop_unless_last(&mut chosen, |facts| folders::is_output(&facts.dir, is_built));
    let heaviest = chosen.iter().map(|facts| facts.weight).max();
    if heaviest >= Some(Weight::Starts) {
        chosen.retain(|facts| facts.weight >= Weight::Starts);
    } else if heaviest == Some(Weight::Manual) {
        chosen.retain(|facts| facts.weight == Weight::Manual);
    } else if chosen.iter().any(|facts| facts.dir == ".") {
        // Nothing can be started: the root stands for the whole.
        chosen.retain(|facts| facts.dir == ".");
    }
    chosen.sort_by(|a, b| (&a.dir, &a.name).cmp(&(&b.dir, &b.name)));
    for ((dir, process), set) in &project.settings.services {
        if process.is_empty() && !chosen.iter().any(|facts| facts.dir == *dir) {
            let (file, line) = (&project.settings.file, set.line);
            project.tree.note(format!("{file}:{line}: no service was found in `{dir}`"));
        }
    }
    name(&mut chosen, &project.tree.name());
    chosen
}

/// Drops what rules of other languages found in folders whose language the project states.
fn of_stated_language(project: &Project<'_>, mut found: Vec<Vec<Facts>>) -> Vec<Vec<Facts>> {
    for ((dir, _), set) in &project.settings.services {
        let Some(stated) = &set.language else { continue };
        let is_of = |facts: &Facts| facts.id == stated || facts.language.id == stated;
        let here = || found.iter().flatten().filter(|facts| facts.dir == *dir);
        if here().any(is_of) {
            for services in &mut found {
                services.retain(|facts| facts.dir != *dir || is_of(facts));
            }
        } else {
            let seen: Vec<&str> = here().map(|facts| facts.id).collect();
            let seen = if seen.is_empty() { "nothing".to_owned() } else { seen.join(", ") };
            let (file, line) = (&project.settings.file, set.line);
            let told = format!("{file}:{line}: no `{stated}` was found in `{dir}`, but {seen}");
            project.tree.note(told);
        }
    }
    found
}

/// Of the ecosystems that found something in one folder, the one with the heaviest service has it; of equals the earlier.
fn heaviest_of_each_folder(found: Vec<Vec<Facts>>) -> Vec<Facts> {
    let mut folders: BTreeMap<String, Vec<Vec<Facts>>> = BTreeMap::new();
    for services in found {
        let mut of_one: BTreeMap<String, Vec<Facts>> = BTreeMap::new();
        for facts in services {
            of_one.entry(facts.dir.clone()).or_default().push(facts);
        }
        for (dir, services) in of_one {
            folders.entry(dir).or_default().push(services);
        }
    }
    folders.into_values().flat_map(heaviest).collect()
}

fn heaviest(mut rivals: Vec<Vec<Facts>>) -> Vec<Facts> {
    let starts = |services: &&Vec<Facts>| services.iter().any(|s| s.weight >= Weight::Starts);
    if rivals.iter().filter(starts).count() > 1 {
        // A Procfile beside a package.json for the browser speaks for the server that it starts.
        let all = rivals.iter_mut().flatten().filter(|facts| facts.starts_another);
        all.for_each(|facts| facts.weight = Weight::Starts);
    }
    let weight = |services: &Vec<Facts>| services.iter().map(|facts| facts.weight).max();
    let most = rivals.iter().map(weight).max().flatten();
    let Some(at) = rivals.iter().position(|services| weight(services) == most) else {
        return Vec::new();
    };
    let mut winners = rivals.remove(at);
    // Several of one folder (programs of one crate) are services as far as they can be started.
    winners.retain(|facts| Some(facts.weight) == most || facts.weight >= Weight::Starts);
    for facts in &mut winners {
        for lost in rivals.iter().flatten() {
            let place = lost.decisions.iter().flat_map(|decision| &decision.evidence).next();
            let is_equal = Some(lost.weight) == most;
            let why = if is_equal { Fixed::AsGood } else { Fixed::WeakerMatch };
            let decision = Decision::new(What::Service, facts.id, Fixed::HeavierMatch, []);
            facts.decisions.push(decision.not(lost.id, place.cloned(), why));
        }
    }
    winners
}

/// A claim holds against everything that is not heavier than a framework, unless the claiming service is dropped itself.
fn drop_claimed(services: &mut Vec<Facts>) {
    services.sort_by(|a, b| b.weight.cmp(&a.weight).then_with(|| a.dir.cmp(&b.dir)));
    let mut claims: Vec<(String, String)> = Vec::new();
    services.retain(|facts| {
        let is_claimed = claims.iter().any(|(claim, owner)| {
            is_below(&facts.dir, claim) && facts.dir != *owner && claim != "."
        });
        if is_claimed && facts.weight < Weight::Stated {
            return false;
        }
        let own = facts.claims.iter().filter(|claim| **claim != facts.dir);
        claims.extend(own.map(|claim| (claim.clone(), facts.dir.clone())));
        true
    });
    // A light service may claim what a heavier one was kept for: that one stays, it was there first.
}

/// Of services that one manifest makes, which others reach by a link, the heaviest stays, else that of the file itself.
fn drop_linked(project: &Project<'_>, services: &mut Vec<Facts>) {
    let manifest = |facts: &Facts| {
        let is_known = |all: &&Decision| [What::BuildSystem, What::Language].contains(&all.what);
        let places = facts.decisions.iter().filter(is_known).flat_map(|all| &all.evidence);
        let path = &places.into_iter().next()?.file;
        let end = project.tree.end_of(path);
        Some((end != *path, end))
    };
    let is_link = |facts: &Facts| manifest(facts).is_some_and(|(is_link, _)| is_link);
    services.sort_by_key(|facts| (Reverse(facts.weight), is_link(facts)));
    let mut first: BTreeMap<String, (String, bool)> = BTreeMap::new();
    services.retain(|facts| {
        let Some((is_link, end)) = manifest(facts) else { return true };
        let (dir, was_link) = first.entry(end).or_insert_with(|| (facts.dir.clone(), is_link));
        // Several programs may have one manifest.
        *dir == facts.dir || !(*was_link || is_link)
    });
}

fn drop_unless_last(services: &mut Vec<Facts>, is_dropped: impl Fn(&Facts) -> bool) {
    let counts = |weight: Weight| weight >= Weight::Starts || weight == Weight::Library;
    if services.iter().any(|facts| !is_dropped(facts) && counts(facts.weight)) {
        services.retain(|facts| !is_dropped(facts));
    }
}

/// Gives every service a name of its own: its wish, else its folder's; of two with one name the later gets its path.
fn name(services: &mut [Facts], root: &str) {
    let wish = |facts: &Facts| {
        let folder = if facts.dir == "." { root } else { file_name(&facts.dir) };
        let names = [clean_name(&facts.name), clean_name(folder)];
        names.into_iter().find(|name| !name.is_empty()).unwrap_or_else(|| "app".to_owned())
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for facts in services.iter() {
        *counts.entry(wish(facts)).or_default() += 1;
    }
    let mut taken = BTreeSet::new();
    for facts in services {
        let mut name = wish(facts);
        if counts[&name] > 1 && facts.dir != "." {
            let path = clean_name(&facts.dir.replace('/', "-"));
            name = if path.is_empty() || taken.contains(&path) { name } else { path };
        }
        let mut unique = name.clone();
        let mut number = 2;
        while !taken.insert(unique.clone()) {
            unique = format!("{name}-{number}");
            number += 1;
        }
        facts.name = unique;
    }
}

/// A name that can be an image's too: the part after a scope, lower case, `-` for what an image's name can't have.
pub(super) fn clean_name(name: &str) -> String {
    let mut clean = String::new();
    for c in file_name(name).chars().take(NAME_CHARS_MAX) {
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

    fn service(dir: &str, weight: Weight, name: &str, claims: &[&str]) -> Facts {
        let claims = claims.iter().map(|claim| (*claim).to_owned()).collect();
        Facts { weight, name: name.to_owned(), claims, ..Facts::new(&NOTHING, dir) }
    }

    #[track_caller]
    fn check(found: Vec<Vec<Facts>>, expected: &[(&str, &str)]) {
        let dir = tempfile::Builder::new().prefix("Shop").rand_bytes(0).tempdir().ok();
        let root = dir.as_ref().map_or_else(std::env::temp_dir, |dir| dir.path().to_owned());
        let tree = crate::detect::Tree::walk(&root.join("."), &[]).unwrap();
        let settings = crate::detect::settings::Settings::default();
        let project = Project { tree: &tree, bases: Default::default(), settings: &settings };
        let chosen = choose(&project, found);
        let shown: Vec<(&str, &str)> =
            chosen.iter().map(|s| (s.dir.as_str(), s.name.as_str())).collect();
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
