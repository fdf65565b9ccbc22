//! The JVM: Maven, Gradle, sbt, Leiningen and the Clojure tools.

use std::{collections::BTreeMap, mem};

use crate::detect::prelude::*;

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
mod sources;

/// All services that run on a JVM.
pub fn find(project: &Project<'_>) -> Vec<Facts> {
    let mut found: BTreeMap<String, Facts> = BTreeMap::new();
    let all = [maven::find, gradle::find, sbt::find, clojure::find, lone::find];
    for mut facts in all.into_iter().flat_map(|find| find(project)) {
        let Some(first) = found.get_mut(&facts.dir) else {
            found.insert(facts.dir.clone(), facts);
            continue;
        };
        if first.weight < facts.weight {
            mem::swap(first, &mut facts);
        }
        let lost = facts.decisions.iter().find(|decision| decision.what == What::BuildSystem);
        let place = lost.and_then(|decision| decision.evidence.first().cloned());
        let decision = Decision::new(What::BuildSystem, first.tool, Fixed::OneBuild, []);
        first.decisions.push(decision.not(facts.tool, place, Fixed::OtherBuild));
    }
    found.into_values().collect()
}
