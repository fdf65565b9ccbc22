//! Which Rust, and which images.

use super::package::{Package, Packages};
use crate::detect::prelude::*;

/// A program is linked with the C library.
pub(super) static PROGRAM: Language = ROW;
/// A library gives the image nothing.
pub(super) static LIBRARY: Language = Language { cache: &[], home: "/", ..ROW };

const ROW: Language = Language {
    id: "rust",
    tool: "cargo",
    default: "1.95",
    version_files: &[".rust-version", "rust-version.txt"],
    version_tools: &["rust"],
    listens: &[
        "TcpListener::bind", "Server::bind", "HttpServer::new", ".bind(", "SocketAddr::from(",
        "TcpAcceptor::new", ".listen(", "warp::serve", "Server::builder()", "Server::new(",
        "rocket::build()", "rocket::ignite()", "UnixListener::bind", ".run(([", "#[launch]",
        "start_server(", "gotham::start(",
    ],
    reads: &[
        "assets", "config", "configs", "configuration", "content", "data", "dist", "i18n",
        "locales", "migrations", "public", "resources", "settings", "static", "templates", "views",
        "www", "Rocket.toml", "Settings.toml", "config.json", "config.toml", "config.yaml",
        "config.yml", "configuration.yaml", "default.toml", "index.html", "log4rs.yaml",
        "log4rs.yml", "settings.toml",
    ],
    cache: &["/usr/local/cargo/registry", "/usr/local/cargo/git/db"],
    images: Images {
        official: Pair::of(
            stage("rust:{v}-slim-{suite}", &[]),
            stage(DEBIAN, &["ca-certificates"]),
        )
        .why(Fixed::LinkedRust),
        wolfi: Pair::wolfi(&["build-base", "rust-{v}"], &["ca-certificates-bundle", "libgcc"])
            .env(CARGO_HOME),
        debian: Pair::debian(
            &["cargo", "rustc", "gcc", "libc6-dev", "ca-certificates"],
            &["ca-certificates"],
        )
        .env(CARGO_HOME),
    },
    // Wolfi has a package of each version, and of those to come.
    packaged: Some(Packaged { language: "Rust", wolfi: ((1, 72), (1, u32::MAX)), debian: (1, 63) }),
    ..NOTHING
};

/// Where the official images keep crates.
const CARGO_HOME: &[(&str, &str)] = &[("CARGO_HOME", "/usr/local/cargo")];

/// What is known of all services of a package, whatever they run.
pub(super) fn facts(packages: &Packages<'_>, package: &Package) -> Facts {
    let facts = Facts::new(&PROGRAM, &package.dir);
    let mut facts = facts.known_by(Rule::Manifest("Cargo.toml"), package.place(None));
    facts.name = package.name.clone();
    let (version, decision) = version(packages, package);
    facts.set("suite", suite(version));
    facts.version((version, decision));
    facts
}

/// The newest Debian that has an image of this Rust.
fn suite(version: Version) -> &'static str {
    match version.triple() {
        (1, ..=53, _) => "buster",
        (1, 54..=69, _) => "bullseye",
        _ => "bookworm",
    }
}

/// A toolchain file says what is used; `rust-version`, the edition and the lock file say what is needed at least.
fn version(packages: &Packages<'_>, package: &Package) -> (Version, Decision) {
    let at = packages.at(package);
    let stated = pins::stated(at.project, at.dir).into_iter();
    let pins: Vec<Pin> = stated.chain(toolchains(at)).chain(at.managed(&ROW)).collect();
    let exact = |text: &str| Version::parse(text).filter(|version| version.minor.is_some());
    let exact = |text: &str| exact(text).map(Version::major_minor);
    if let Some(found) = pins::first(pins.iter().cloned(), exact) {
        return found;
    }
    let default = Version::of(1, 95);
    if let Some(pin) = pins.into_iter().next() {
        // rustup in the image fetches what the toolchain file names.
        let value = format!("{default} with {}", pin.version);
        let rule = Rule::Named(pin.rule);
        return (default, Decision::new(What::Version, value, rule, [pin.evidence]));
    }
    let (said, implied) = (said(packages, package), implied(packages, package));
    let is_said = said.as_ref().map(|(version, _)| version) >= implied.as_ref().map(|(v, _)| v);
    let has_said = said.is_some();
    let needed = if is_said { said } else { implied };
    let by_table = |version: Version| {
        Decision::new(What::Version, version.to_string(), Fixed::TableDefault, [])
    };
    let Some((needed, pin)) = needed else { return (default, by_table(default)) };
    let is_bare = package.dependencies().next().is_none();
    if has_said && (is_bare || packages.root(package).has("Cargo.lock")) {
        let rule = Rule::Named(pin.rule);
        return (needed, Decision::new(What::Version, needed.to_string(), rule, [pin.evidence]));
    }
    let used = default.max(needed);
    let decision = by_table(used);
    if !is_said || used == needed {
        return (used, decision);
    }
    (used, decision.not(needed.to_string(), Some(pin.evidence), Fixed::NewestCratesCome))
}

/// `rust-toolchain.toml` and `rust-toolchain`, the nearest first (rust-lang.github.io/rustup/overrides.html).
pub(super) fn toolchains(at: Folder<'_>) -> Vec<Pin> {
    let names = ["rust-toolchain", "rust-toolchain.toml"];
    let files = upward(at.dir).flat_map(|dir| names.map(|name| (name, join(dir, name))));
    let pin = |(name, path): (&str, String)| {
        let text = at.project.tree.read(&path)?;
        let channel = text.lines().find_map(|(line, words)| {
            let value = words.trim().strip_prefix("channel")?.trim_start().strip_prefix('=')?;
            Some((value.trim().trim_matches(['"', '\'']), line))
        });
        let first = || Some((text.text.lines().next()?.trim(), 1));
        let bare = || first().filter(|(words, _)| !words.is_empty() && !words.starts_with('['));
        let (version, line) = channel.or_else(bare)?;
        Some(Pin::new(version, name, path, line))
    };
    files.filter_map(pin).collect()
}

/// The newest `rust-version` of the package and what it is made of.
fn said(packages: &Packages<'_>, package: &Package) -> Option<(Version, Pin)> {
    newest(packages.closure(package).into_iter().filter_map(|member| {
        let pin = field(packages, package, member, "rust-version")?;
        let version = Version::parse(&pin.version)?;
        Some((Version::of(version.major, version.minor.unwrap_or(0)), pin))
    }))
}

/// The least version that editions and the lock file need.
fn implied(packages: &Packages<'_>, package: &Package) -> Option<(Version, Pin)> {
    let editions = packages.closure(package).into_iter().filter_map(|member| {
        let pin = field(packages, package, member, "edition")?;
        let (_, minor) = EDITIONS.iter().find(|(edition, _)| *edition == pin.version)?;
        Some((Version::of(1, *minor), pin))
    });
    // Cargo reads version 4 of the lock file since 1.78.
    let lock = packages.root(package).path("Cargo.lock");
    let head = packages.project.tree.head(&lock, 400).unwrap_or_default();
    let at = head.lines().position(|line| line.trim() == "version = 4");
    let locked = at.map(|at| Pin::new("4", "version of Cargo.lock", lock, at + 1));
    newest(editions.chain(locked.map(|pin| (Version::of(1, 78), pin))))
}

/// The first of the newest.
fn newest(found: impl Iterator<Item = (Version, Pin)>) -> Option<(Version, Pin)> {
    found.reduce(|best, next| if next.0 > best.0 { next } else { best })
}

/// A field of a package, which may be that of its workspace.
fn field(
    packages: &Packages<'_>,
    main: &Package,
    package: &Package,
    name: &'static str,
) -> Option<Pin> {
    let own = package.manifest.at(&["package", name])?;
    let is_inherited = own.get("workspace").is_some_and(Value::is_true);
    let (value, at) = match is_inherited {
        false => (own, packages.at(package)),
        true => {
            let workspace = packages.workspaces.get(&main.root)?;
            (workspace.at(&["workspace", "package", name])?, packages.root(package))
        }
    };
    Some(Pin::new(value.text()?, name, at.path("Cargo.toml"), value.line))
}

/// Editions, and the Rust 1.x that has them.
const EDITIONS: &[(&str, u32)] = &[("2024", 85), ("2021", 56)];
