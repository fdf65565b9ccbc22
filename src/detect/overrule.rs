//! What `peelbox.toml` sets wins over every rule.

use super::{
    assemble::Service,
    settings::{self, ServiceSettings},
    why::{Decision, Evidence, Fixed, Rule, What},
};
use crate::spec::{Base, DependencyStep, reference as references};

/// Puts what is set for a service into its spec, and what it would have been into its decisions.
pub(super) fn overrule(service: &mut Service, set: &ServiceSettings) {
    let line = Some(set.line).filter(|line| *line > 0);
    let decisions = &mut service.decisions;
    let mut decide = |what: What, value: String| {
        let place = Evidence::line(settings::FILE, line);
        let mut decision = Decision::new(what, value, Rule::Settings, [place]);
        if let Some(at) = decisions.iter().position(|decision| decision.what == what) {
            let lost = decisions.remove(at);
            let place = lost.evidence.into_iter().next();
            decision = decision.not(lost.value, place, Fixed::PeelboxTomlWins);
        }
        decisions.push(decision);
    };
    let (build, runtime) = (&mut service.spec.build, &mut service.spec.runtime);
    if let Some(install) = &set.install {
        decide(What::InstallCommand, install.join("; "));
        let steps = std::mem::take(&mut build.dependencies);
        let mut files: Vec<String> = steps.into_iter().flat_map(|step| step.files).collect();
        files.dedup();
        let commands = install.clone();
        match files.is_empty() {
            true => drop(build.commands.splice(0..0, commands)),
            false => build.dependencies.push(DependencyStep { files, commands }),
        }
    }
    if let Some(commands) = &set.build {
        decide(What::BuildCommand, commands.join("; "));
        build.commands.clone_from(commands);
    }
    if let Some(start) = &set.start {
        decide(What::StartCommand, start.join(" "));
        runtime.command.clone_from(start);
    }
    if let Some(port) = set.port {
        decide(What::Port, port.to_string());
        runtime.ports = vec![port];
        if let Some(shown) = runtime.env.get_mut("PORT") {
            *shown = port.to_string();
        }
    }
    if let Some(health) = &set.health {
        decide(What::Health, health.clone());
        runtime.health = Some(health.clone());
    }
    let bases = [(&set.build_base, &mut build.base), (&set.runtime_base, &mut runtime.base)];
    for (set, base) in bases {
        let Some(name) = set else { continue };
        decide(What::Base, name.clone());
        let normal = || references::normalize(name).unwrap_or_else(|_| name.clone());
        *base = if name == "scratch" { Base::Scratch } else { Base::Image(normal()) };
    }
    build.packages.extend(set.build_packages.iter().cloned());
    runtime.packages.extend(set.runtime_packages.iter().cloned());
    runtime.env.extend(set.env.clone());
}
