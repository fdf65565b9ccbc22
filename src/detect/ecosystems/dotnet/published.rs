//! What `dotnet publish` left: `App.dll` with `App.runtimeconfig.json` beside it, and no project.

use super::{
    msproject::EXTENSIONS,
    target::{DOTNET, images, own_port},
};
use crate::detect::prelude::*;

/// Folders with a published program that no project of the tree makes.
pub(super) fn services<'a>(project: &'a Project<'_>) -> impl Iterator<Item = Facts> + 'a {
    project.tree.dirs().filter_map(move |(dir, entries)| {
        let config = entries.ending(END).next()?;
        let stem = config.strip_suffix(END)?;
        let is_built = upward(dir).any(|dir| {
            project.tree.entries(dir).is_some_and(|entries| entries.has_ending(EXTENSIONS))
        });
        (!is_built && entries.has(&format!("{stem}.dll")))
            .then(|| service(Folder::new(project, dir), config, stem))?
    })
}

fn service(at: Folder<'_>, config: &str, stem: &str) -> Option<Facts> {
    let file = at.json(config)?;
    let options = file.get("runtimeOptions")?;
    let all = options.get("frameworks").into_iter().flat_map(Value::items);
    let all: Vec<&Value> = options.get("framework").into_iter().chain(all).collect();
    let is_web =
        |framework: &&Value| framework.str_at(&["name"]) == Some("Microsoft.AspNetCore.App");
    let framework = *all.iter().find(|it| is_web(it)).or_else(|| all.first())?;
    let version = Version::parse(framework.str_at(&["version"])?)?.major_minor();
    let (is_web, place) = (is_web(&framework), at.place(config, Some(framework.line)));
    let mut facts = Facts::new(&DOTNET, at.dir).known_by(Fixed::PublishedProgram, place.clone());
    facts.name = stem.to_owned();
    facts.weight = Weight::Starts;
    let rule = Rule::Named("runtimeOptions".to_owned());
    facts.decide(What::Version, version.to_string(), rule, [place.clone()]);
    images(&mut facts, version, version, is_web);
    facts.take(at.dir, "");
    let command = ["dotnet".to_owned(), DOTNET.in_home(&format!("{stem}.dll"))];
    facts.start(command, Fixed::ProgramAssembly, [place.clone()]);
    if is_web {
        facts.framework("aspnet-core", Fixed::PublishedProgram, [place]);
        let port = own_port(&mut facts, version);
        facts.port(port);
    }
    Some(facts)
}

const END: &str = ".runtimeconfig.json";
