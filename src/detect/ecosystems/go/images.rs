//! Which Go an image has.

use super::module::{ModFile, minor};
use crate::detect::{
    Decision, Project, Service,
    ecosystems::{
        draft::{base_name, debian, image, official, wolfi},
        pins::{Pin, pins, stated},
    },
    images::Family,
};

/// What is taken when nothing is pinned.
const DEFAULT: (u32, u32) = (1, 26);

/// The newest Go that Debian 12 has.
const DEBIAN: (u32, u32) = (1, 19);

/// Sets the bases: where it is built, and what it runs on; `needs` says why a static image will not do.
pub(super) fn set(
    project: &Project<'_>,
    service: &mut Service,
    module: Option<&ModFile>,
    work: Option<&ModFile>,
    needs: Option<&'static str>,
) {
    let (version, mut decision) = version(project, &service.dir, module, work);
    let (major, number) = version;
    let spec = &mut service.spec;
    match project.bases {
        Family::Official => {
            spec.build.base = official(&format!("golang:{major}.{number}-{}", suite(version)));
            spec.runtime.base = match needs {
                Some(_) => debian(),
                None => image("gcr.io/distroless/static-debian12:nonroot"),
            };
        }
        Family::Wolfi => {
            spec.build.base = wolfi();
            spec.runtime.base = wolfi();
            spec.build.packages.push(format!("go-{major}.{number}"));
        }
        Family::Debian => {
            spec.build.base = debian();
            spec.runtime.base = debian();
            service.build_packages(["golang-go", "ca-certificates", "git"]);
            if version > DEBIAN {
                decision = decision.not(
                    format!("{}.{}", DEBIAN.0, DEBIAN.1),
                    None,
                    "Debian 12 has no newer Go; the build may need `--base official`",
                );
            }
        }
    }
    let why = match (project.bases, needs) {
        (Family::Official, None) => {
            "a static program needs only certificates, time zones and a user"
        }
        (_, Some(why)) => why,
        _ => "asked for with --base",
    };
    service.decisions.push(decision);
    let base = base_name(&service.spec.runtime.base).to_owned();
    service.decide("base", base, why, []);
    service.spec.runtime.user = Some("65532:65532".to_owned());
    match project.bases {
        Family::Official if needs.is_none() => {}
        Family::Wolfi => service.runtime_packages(["ca-certificates-bundle", "tzdata"]),
        Family::Official | Family::Debian => {
            service.runtime_packages(["ca-certificates", "tzdata"]);
        }
    }
}

/// The version that is used: of all pins the highest, because each is the least that is needed (go.dev/doc/toolchain).
fn version(
    project: &Project<'_>,
    dir: &str,
    module: Option<&ModFile>,
    work: Option<&ModFile>,
) -> ((u32, u32), Decision) {
    if let Some(pin) = stated(project, dir)
        && let Some(version) = minor(&pin.version)
    {
        let value = format!("{}.{}", version.0, version.1);
        return (version, Decision::new("version", value, pin.rule, [pin.evidence]));
    }
    let mut found: Vec<Pin> = Vec::new();
    for file in [module, work].into_iter().flatten() {
        found.extend(file.go.clone());
        found.extend(file.toolchain.clone());
    }
    found.extend(pins(project, dir, &[".go-version"], &["golang", "go"]));
    let known = |pin: Pin| Some((minor(&pin.version)?, pin));
    let mut found: Vec<_> = found.into_iter().filter_map(known).collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    let Some((version, pin)) = found.first().cloned() else {
        let text = format!("{}.{}", DEFAULT.0, DEFAULT.1);
        return (DEFAULT, Decision::new("version", text, "default of the table", []));
    };
    // Before modules there is nothing to build with.
    let used = if version < (1, 11) { DEFAULT } else { version };
    let value = format!("{}.{}", used.0, used.1);
    let mut decision = Decision::new("version", value, pin.rule, [pin.evidence]);
    for (other, pin) in found.into_iter().skip(1).filter(|(other, _)| *other != version) {
        let why = format!("{}: the least that is needed, and less than this", pin.rule);
        decision = decision.not(format!("{}.{}", other.0, other.1), Some(pin.evidence), why);
    }
    (used, decision)
}

/// The newest Debian that has an image of this Go.
fn suite(version: (u32, u32)) -> &'static str {
    match version {
        (1, ..=15) => "buster",
        (1, 16..=18) => "bullseye",
        _ => "bookworm",
    }
}
