//! Sites that are only files: plain HTML, and the generators that are no package of another ecosystem.

use super::{
    MANIFESTS,
    generators::{hugo, jekyll, mdbook, zola},
    has_manifest,
    static_python::{mkdocs, pelican, sphinx},
};
use crate::detect::prelude::*;

/// Pages that are there already.
static PAGES: Language = Language { id: "static", ..NOTHING };

/// Folders that hold a site for the folder they lie in.
const OUTPUTS: &[&str] =
    &["public", "dist", "www", "html", "site", "_site", "htdocs", "build", "static", "web", "src"];
/// Folders whose pages are parts of something else.
const PARTS: &[&str] = &[
    "templates", "views", "layouts", "_includes", "_layouts", "includes", "partials", "resources",
    "assets",
];

/// Sites in the tree.
pub fn find(project: &Project<'_>) -> Vec<Facts> {
    let mut services = Vec::new();
    for (dir, _) in project.tree.dirs() {
        let at = Folder::new(project, dir);
        let own = [hugo, jekyll, zola, mdbook].iter().find_map(|rule| rule(at));
        let of_python = || [mkdocs, pelican, sphinx].iter().find_map(|rule| rule(at));
        services.extend(own.or_else(of_python));
    }
    let generated: Vec<String> = services.iter().map(|service| service.dir.clone()).collect();
    services.extend(plain(project, &generated));
    services
}

// Plain HTML.

fn plain(project: &Project<'_>, generated: &[String]) -> Vec<Facts> {
    let mut services: Vec<Facts> = Vec::new();
    for (folder, entries) in project.tree.dirs() {
        let Some(page) = entries.first_of(&["index.html", "index.htm"]) else { continue };
        if folder.split('/').any(|part| PARTS.contains(&part)) {
            continue;
        }
        let is_output = OUTPUTS.contains(&file_name(folder));
        let dir = if is_output { parent(folder) } else { folder };
        let has_owner = services.iter().any(|service| is_below(dir, &service.dir))
            || has_manifest(project, folder)
            || generated.iter().any(|other| is_below(dir, other))
            || upward(dir).any(|dir| is_of_program(project, dir));
        if !has_owner {
            services.push(page_facts(dir, folder, page));
        }
    }
    services
}

/// Whether a folder has a manifest or code of a server.
fn is_of_program(project: &Project<'_>, dir: &str) -> bool {
    let codes = [".py", ".php", ".rb", ".go", ".java", ".cs", ".csproj", ".fsproj", ".ex", ".pl"];
    project.tree.entries(dir).is_some_and(|entries| {
        entries.first_of(MANIFESTS).is_some()
            || codes.iter().any(|end| entries.ending(end).next().is_some())
    })
}

fn page_facts(dir: &str, folder: &str, page: &str) -> Facts {
    let mut facts = Facts::new(&PAGES, dir);
    let place = Evidence::file(join(folder, page));
    facts.decide(What::Language, "static", Rule::Named(page.to_owned()), [place.clone()]);
    facts.exclude = vec![".git".to_owned()];
    facts.serves = Serves::Files(Files {
        folder: folder.to_owned(),
        missing: Missing::NotFound,
        base: String::new(),
        is_as_is: true,
        rule: Fixed::FolderOfPage.into(),
        place: Some(place),
    });
    facts.weight = if dir.split('/').count() > 3 { Weight::Files } else { Weight::Starts };
    facts
}
