//! Java and Kotlin files that no build tool knows of.

use std::collections::BTreeSet;

use super::{
    framework::Facts,
    java::{self, Wanted},
    launch::{self, Launch, Layout},
    sources::{BUILD_FILES, Sources},
};
use crate::detect::{
    Project, Service, Weight,
    ecosystems::{
        draft::{APP_DIR, OUT_DIR, draft, quote, within},
        pins::stated,
        source,
    },
    model::upward,
};

/// Folders with a Java file that can be started, above which no build tool is at work.
pub(super) fn find(project: &Project<'_>) -> Vec<Service> {
    let mut services: Vec<Service> = Vec::new();
    // Folders of builds and of what was found.
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for (dir, entries) in project.tree.dirs() {
        if entries.first_of(BUILD_FILES).is_some() {
            known.insert(dir);
        }
        let has_java = entries.ending(".java").next().is_some() && !source::is_beside_product(dir);
        if has_java
            && !upward(dir).any(|above| known.contains(above))
            && let Some(service) = service(project, home(dir))
        {
            known.insert(home(dir));
            services.push(service);
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

fn service(project: &Project<'_>, dir: &str) -> Option<Service> {
    let sources = Sources::read(project, dir);
    let main = sources.main()?.clone();
    let mut service = draft(dir, "java", "none");
    service.decide("language", "java", "its sources", [main.evidence.clone()]);
    service.decide("build system", "none", "no build file", []);
    let wanted = Wanted {
        build: stated(project, dir).into_iter().collect(),
        fallback: (java::DEFAULT, "default of the table"),
        least: 8,
    };
    let (version, decision) = java::version(project, dir, wanted);
    service.decisions.push(decision);
    service.spec.build.base = java::jdk(project, &mut service, version);
    java::runtime(project, &mut service, version);
    let build =
        format!("find . -name '*.java' -exec javac -d {} {{}} +", quote(&format!("{OUT_DIR}/lib")));
    service.spec.build.commands = vec![within(dir, &build)];
    service.decide("build command", build, "all sources", [main.evidence.clone()]);
    service.copy(&format!("{OUT_DIR}/lib"), &format!("{APP_DIR}/lib"));
    let facts = Facts::default();
    launch::launch(
        project,
        &mut service,
        &Launch {
            layout: Layout::Classes(main.class),
            dir,
            framework: None,
            facts: &facts,
            sources: &sources,
        },
    );
    service.weight = Weight::Files;
    Some(service)
}
