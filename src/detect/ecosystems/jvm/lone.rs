//! Java and Kotlin files that no build tool knows of.

use std::collections::BTreeSet;

use super::{
    framework::Names,
    java::{self, NONE, Wanted},
    launch::{Layout, Program},
    sources::{BUILD_FILES, Sources},
};
use crate::detect::prelude::*;

/// Folders with a Java file that can be started, above which no build tool is at work.
pub(super) fn find(project: &Project<'_>) -> Vec<Facts> {
    let mut services = Vec::new();
    // Folders of builds and of what was found.
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for (dir, entries) in project.tree.dirs() {
        if entries.first_of(BUILD_FILES).is_some() {
            known.insert(dir);
        }
        let has_java = entries.ending(".java").next().is_some() && !folders::is_beside_product(dir);
        if has_java && !upward(dir).any(|above| known.contains(above)) {
            let service = service(Folder::new(project, home(dir)));
            known.extend(service.is_some().then_some(home(dir)));
            services.extend(service);
        }
    }
    services
}

/// The folder of the project: that in which `src` lies.
fn home(dir: &str) -> &str {
    match dir.split('/').position(|part| part == "src") {
        Some(0) => ".",
        Some(_) => dir.find("/src").map_or(dir, |at| &dir[..at]),
        None => dir,
    }
}

fn service(at: Folder<'_>) -> Option<Facts> {
    let program = Program::new(at, Names::default(), Sources::read(at));
    let main = program.sources.main()?.clone();
    let language = ("java", Fixed::ItsSources, Some(main.place));
    let why = (Fixed::NoBuildFile, None);
    let (mut facts, _) = java::facts(at, NONE, language, why, Wanted::default());
    let lib = quote(&format!("{OUT}/lib"));
    facts.build(at.dir, format!("find . -name '*.java' -exec javac -d {lib} {{}} +"));
    facts.program("lib");
    program.launch(&mut facts, &Layout::Class(&["lib"], vec![main.class]));
    facts.weight = Weight::Files;
    Some(facts)
}
