//! The JVM: Maven, Gradle, sbt, Leiningen and the Clojure tools.

use std::collections::BTreeMap;

use crate::detect::{Decision, Project, Service};

mod clojure;
mod framework;
mod gradle;
mod java;
mod launch;
mod lone;
mod maven;
mod pom;
mod sbt;
mod script;
mod settings;
mod sources;

/// All services that run on a JVM.
pub fn find(project: &Project<'_>) -> Vec<Service> {
    let mut found: BTreeMap<String, Service> = BTreeMap::new();
    let all = [maven::find, gradle::find, sbt::find, clojure::find, lone::find];
    for service in all.into_iter().flat_map(|find| find(project)) {
        let Some(first) = found.get_mut(&service.dir) else {
            found.insert(service.dir.clone(), service);
            continue;
        };
        let systems =
            [&*first, &service].map(|s| s.spec.metadata.build_system.clone().unwrap_or_default());
        let [kept, lost] = systems;
        let (kept, lost, evidence) = match first.weight >= service.weight {
            true => (kept, lost, evidence_of(&service)),
            false => {
                let evidence = evidence_of(first);
                *first = service;
                (lost, kept, evidence)
            }
        };
        let decision = Decision::new("build system", kept, "one folder has one build", []);
        first.decisions.push(decision.not(
            lost,
            evidence,
            "the other comes first, or makes more of it",
        ));
    }
    found.into_values().collect()
}

fn evidence_of(service: &Service) -> Option<crate::detect::Evidence> {
    service
        .decisions
        .iter()
        .find(|decision| decision.what == "build system")?
        .evidence
        .first()
        .cloned()
}
