//! Private registries: what the settings of package managers take from the environment, or from files of the user, has to be
//! handed to the build → `build.secrets`. A value is never copied; one that stands in the tree is told.

use std::collections::BTreeSet;

use self::{
    lines::{
        ASKING, address, holds_a_value, is_about_credentials, is_comment, is_public,
        is_public_registry, track, variables,
    },
    settings::{SETTINGS, Settings, Unset},
};
use super::{
    Evidence, Facts, Folder, Kind, Project,
    parts::Need,
    paths::{file_name, glob, is_below, literal, parent, upward},
};
use crate::spec::{BUILD_DIR, Secret, SecretTarget};

mod lines;
mod registries;
mod settings;
mod ssh;
#[cfg(test)]
mod tests;

/// Adds to each service the secrets that its install steps need.
pub(super) fn find(project: &Project<'_>, chosen: &mut [Facts]) {
    let mut told = BTreeSet::new();
    for facts in chosen {
        let tools: Vec<&str> = [facts.tool]
            .into_iter()
            .chain(facts.needs.iter().filter_map(|need| match need {
                Need::Tools(language, _) => Some(language.tool),
                _ => None,
            }))
            .collect();
        let dirs = install_dirs(facts);
        for row in SETTINGS.iter().filter(|row| row.tools.iter().any(|tool| tools.contains(tool))) {
            for path in dirs.iter().flat_map(|dir| files(Folder::new(project, dir), row.names)) {
                of_file(project, row, &path, facts);
            }
        }
        for path in dirs.iter().flat_map(|dir| files(Folder::new(project, dir), ssh::NAMES)) {
            told.extend(ssh::notes(project, &path));
        }
    }
    told.into_iter().for_each(|note| project.tree.note(note));
}

/// Folders in which dependencies are installed, and all above them.
fn install_dirs(facts: &Facts) -> BTreeSet<String> {
    let steps = facts.layers.iter().flat_map(|layer| &layer.steps).chain(&facts.steps);
    let installs = steps.filter(|step| step.kind == Kind::Install).map(|step| step.dir.as_str());
    let layers = facts.layers.iter().flat_map(|layer| &layer.files).map(|file| parent(file));
    let dirs = installs.chain(layers).chain([facts.dir.as_str()]);
    dirs.flat_map(upward).map(str::to_owned).collect()
}

fn files(at: Folder<'_>, names: &[&str]) -> BTreeSet<String> {
    let (patterns, plain): (Vec<&str>, Vec<&str>) = names.iter().partition(|n| n.contains('*'));
    let all = at.entries().into_iter().flat_map(|entries| &entries.files);
    let like = all.filter(|file| patterns.iter().any(|pattern| glob(pattern, file)));
    like.map(|file| at.path(file)).chain(at.those(&plain)).collect()
}

fn of_file(project: &Project<'_>, row: &Settings, path: &str, facts: &mut Facts) {
    let Some(text) = project.tree.read(path) else { return };
    let urls: Vec<&str> = text.lines().filter_map(|(_, line)| address(line)).collect();
    let is_public = urls.iter().all(|url| is_public(url));
    let mut found = Vec::new();
    let mut blocks: Vec<String> = Vec::new();
    for (at, line) in text.lines() {
        track(&mut blocks, line);
        if is_comment(line) || !is_about_credentials(line) || !row.counts(&blocks) {
            continue;
        }
        if holds_a_value(line) {
            let why = "holds a credential as text; name a variable there, and renew the credential";
            project.tree.note(format!("{path}:{at}: {why}"));
        }
        for (name, has_default) in variables(line, row.variables) {
            let fails =
                row.unset == Unset::Fails || row.unset == Unset::FailsIfPrivate && !is_public;
            let target = SecretTarget::Env(name.clone());
            found.push((Secret { id: name, target, required: fails && !has_default }, at));
        }
    }
    for registry in (row.registries)(Folder::new(project, parent(path)), file_name(path)) {
        let asks = ASKING.iter().any(|part| registry.url.contains(part));
        let required = asks || registry.told_by.is_some();
        if let Some((name, value)) = registry.told_by {
            facts.build_env(name, value);
        }
        for (id, target) in
            registry.targets.into_iter().filter(|_| !is_public_registry(&registry.url))
        {
            found.push((Secret { id, target, required }, registry.line));
        }
    }
    if let Some((variable, before)) = row.told_by {
        let told = Folder::new(project, parent(path)).read(".mvn/maven.config");
        let is_told = told.is_some_and(|config| config.text.contains("settings"));
        if !is_told && (variable != "MAVEN_ARGS" || text.text.contains("<settings")) {
            facts.build_env(variable, format!("{before}{BUILD_DIR}/{path}"));
        }
    }
    if row.told_by.is_some() || !found.is_empty() {
        show(facts, path);
    }
    found
        .into_iter()
        .for_each(|(secret, line)| facts.secret(secret, Evidence::line(path, Some(line))));
}

/// Lets the steps that install in the folder of a file, or below it, see the file.
fn show(facts: &mut Facts, path: &str) {
    let dir =
        parent(path).trim_end_matches(".mvn").trim_end_matches(".cargo").trim_end_matches('/');
    let dir = if dir.is_empty() { "." } else { dir };
    for layer in &mut facts.layers {
        let installs =
            layer.steps.iter().any(|step| step.kind == Kind::Install && is_below(&step.dir, dir));
        if installs && !layer.files.iter().any(|file| glob(file, path) || *file == literal(path)) {
            layer.files.push(literal(path));
        }
    }
}
