//! Which Rust an image has.

use super::package::{Package, Packages};
use crate::detect::{
    Decision, Evidence, Project, Service,
    ecosystems::{
        draft::{base_name, debian, official, wolfi},
        pins::{Pin, pins, stated},
    },
    images::{Family, plain_user},
    model::{join, parent},
    versions::Version,
};

/// What is taken when nothing is pinned.
const DEFAULT: (u32, u32) = (1, 95);

/// The Rust that Debian 12 has.
const DEBIAN: (u32, u32) = (1, 63);

/// Sets the bases, the version and the user.
pub(super) fn set(
    project: &Project<'_>,
    service: &mut Service,
    package: &Package,
    packages: &Packages,
) {
    let ((major, minor), mut decision) = version(project, package, packages);
    let spec = &mut service.spec;
    match project.bases {
        Family::Official => {
            let suite = suite((major, minor));
            spec.build.base = official(&format!("rust:{major}.{minor}-slim-{suite}"));
            spec.runtime.base = debian();
        }
        Family::Wolfi => {
            spec.build.base = wolfi();
            spec.runtime.base = wolfi();
            service.build_packages(["build-base"]);
            service.spec.build.packages.push(format!("rust-{major}.{minor}"));
        }
        Family::Debian => {
            spec.build.base = debian();
            spec.runtime.base = debian();
            service.build_packages(["cargo", "rustc", "gcc", "libc6-dev", "ca-certificates"]);
            if (major, minor) > DEBIAN {
                let value = format!("{}.{}", DEBIAN.0, DEBIAN.1);
                let why = "Debian 12 has no newer Rust; the build may need `--base official`";
                decision = decision.not(value, None, why);
            }
        }
    }
    match project.bases {
        Family::Wolfi => service.runtime_packages(["ca-certificates-bundle", "libgcc"]),
        Family::Official | Family::Debian => service.runtime_packages(["ca-certificates"]),
    }
    service.decisions.push(decision);
    let base = base_name(&service.spec.runtime.base).to_owned();
    let why = "the program is linked with the C library and reads certificates";
    service.decide("base", base, why, []);
    service.spec.runtime.user = Some(plain_user(project.bases).to_owned());
}

/// A toolchain file says what is used; `rust-version`, the edition and the lock file say what is needed at least.
fn version(
    project: &Project<'_>,
    package: &Package,
    packages: &Packages,
) -> ((u32, u32), Decision) {
    let mut found: Vec<(u32, u32, Pin)> = Vec::new();
    let mut odd = None;
    let toolchains = toolchain_files(project, &package.dir);
    let managers = pins(project, &package.dir, &[".rust-version", "rust-version.txt"], &["rust"]);
    let stated = stated(project, &package.dir);
    for pin in stated.into_iter().chain(toolchains).chain(managers) {
        match Version::parse(&pin.version) {
            Some(Version { major, minor: Some(minor), .. }) => found.push((major, minor, pin)),
            _ => drop(odd.get_or_insert(pin)),
        }
    }
    let least = least(project, package, packages);
    if let Some((major, minor, pin)) = found.into_iter().next() {
        let value = format!("{major}.{minor}");
        let decision = Decision::new("version", value, pin.rule, [pin.evidence]);
        return ((major, minor), decision);
    }
    if let Some(pin) = odd {
        // rustup in the image fetches what the toolchain file names.
        let value = format!("{}.{} with {}", DEFAULT.0, DEFAULT.1, pin.version);
        return (DEFAULT, Decision::new("version", value, pin.rule, [pin.evidence]));
    }
    let stated = packages
        .closure(package)
        .iter()
        .any(|member| member.manifest.at(&["package", "rust-version"]).is_some());
    let locked = project.tree.has(&join(&package.root, "Cargo.lock"));
    let bare = package.dependencies().next().is_none();
    let Some((needed, pin)) = least else {
        let value = format!("{}.{}", DEFAULT.0, DEFAULT.1);
        return (DEFAULT, Decision::new("version", value, "default of the table", []));
    };
    let value = |version: (u32, u32)| format!("{}.{}", version.0, version.1);
    if stated && (locked || bare) {
        return (needed, Decision::new("version", value(needed), pin.rule, [pin.evidence]));
    }
    let used = DEFAULT.max(needed);
    let mut decision = Decision::new("version", value(used), "default of the table", []);
    if used != needed && pin.rule == "rust-version" {
        let why = "what is needed at least, but without a lock file the newest crates come";
        decision = decision.not(value(needed), Some(pin.evidence), why);
    }
    (used, decision)
}

/// `rust-toolchain.toml` and `rust-toolchain`, the nearest first (rust-lang.github.io/rustup/overrides.html).
fn toolchain_files(project: &Project<'_>, dir: &str) -> Vec<Pin> {
    let mut found = Vec::new();
    let mut at = dir;
    loop {
        for name in ["rust-toolchain", "rust-toolchain.toml"] {
            let path = join(at, name);
            let Some(text) = project.tree.read(&path) else { continue };
            let channel = text.lines().find_map(|(line, words)| {
                let value = words.trim().strip_prefix("channel")?.trim_start().strip_prefix('=')?;
                Some((value.trim().trim_matches(['"', '\'']).to_owned(), line))
            });
            let bare = || {
                let first = text.text.lines().next()?.trim();
                (!first.is_empty() && !first.starts_with('[')).then(|| (first.to_owned(), 1))
            };
            if let Some((version, line)) = channel.or_else(bare) {
                found.push(Pin::new(version, name, path, line));
            }
        }
        if at == "." {
            return found;
        }
        at = parent(at);
    }
}

/// The least version that the package, what it is made of, and the lock file need.
fn least(
    project: &Project<'_>,
    package: &Package,
    packages: &Packages,
) -> Option<((u32, u32), Pin)> {
    let workspace = packages.workspaces.get(&package.root);
    let mut found = Vec::new();
    for member in packages.closure(package) {
        let field = |name: &str| {
            let own = member.manifest.at(&["package", name])?;
            let inherited = own.get("workspace").is_some_and(|value| value.is_true());
            match inherited {
                true => {
                    let value = workspace?.at(&["workspace", "package", name])?;
                    Some((value.text()?, join(&member.root, "Cargo.toml"), value.line))
                }
                false => Some((own.text()?, join(&member.dir, "Cargo.toml"), own.line)),
            }
        };
        if let Some((version, file, line)) = field("rust-version")
            && let Some(Version { major, minor, .. }) = Version::parse(&version)
        {
            let pin = Pin::new(version, "rust-version", file, line);
            found.push(((major, minor.unwrap_or(0)), pin));
        }
        if let Some((edition, file, line)) = field("edition") {
            let needed = match edition.as_str() {
                "2024" => (1, 85),
                "2021" => (1, 56),
                _ => continue,
            };
            found.push((needed, Pin::new(edition, "edition", file, line)));
        }
    }
    let lock = join(&package.root, "Cargo.lock");
    if let Some(head) = project.tree.head(&lock, 400)
        && let Some(at) = head.lines().position(|line| line.trim() == "version = 4")
    {
        // Cargo reads version 4 of the lock file since 1.78.
        found.push(((1, 78), Pin::new("4", "version of Cargo.lock", lock, at + 1)));
    }
    // Of equal ones the first: `rust-version` says it in so many words.
    found.into_iter().reduce(|best, next| if next.0 > best.0 { next } else { best })
}

/// The newest Debian that has an image of this Rust.
fn suite(version: (u32, u32)) -> &'static str {
    match version {
        (1, ..=53) => "buster",
        (1, 54..=69) => "bullseye",
        _ => "bookworm",
    }
}

/// Where the toolchain is pinned: what the step that fetches crates must see, so that rustup fetches it once.
pub(super) fn toolchain_paths(project: &Project<'_>, dir: &str) -> Vec<Evidence> {
    toolchain_files(project, dir).into_iter().map(|pin| pin.evidence).collect()
}
