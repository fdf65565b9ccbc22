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
    sources: &["rs"],
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
    roots: &["Cargo.toml"],
    embeds: Some(embeds_path),
    cache: &["/usr/local/cargo/registry", "/usr/local/cargo/git/db"],
    images: Images {
        official: Pair::of(
            stage("rust:{v}-slim-{suite}", &[]),
            stage(DEBIAN, &["ca-certificates"]),
        )
        .why(Fixed::LinkedRust),
        wolfi: Pair::wolfi(&["build-base", "rust{least}"], &["ca-certificates-bundle", "libgcc"])
            .env(CARGO_HOME),
        debian: Pair::debian(
            &["cargo", "rustc", "gcc", "libc6-dev", "ca-certificates"],
            &["ca-certificates"],
        )
        .env(CARGO_HOME),
    },
    packaged: Some(Packaged { language: "Rust", wolfi: Kept::Newest, debian: (1, 63) }),
    ..NOTHING
};

/// Families without rustup, which adds targets and fetches toolchains.
pub(super) const NO_RUSTUP: &[Family] = &[Family::Wolfi, Family::Debian];

/// Where the official images keep crates.
const CARGO_HOME: &[(&str, &str)] = &[("CARGO_HOME", "/usr/local/cargo")];

/// What is known of all services of a package, whatever they run.
pub(super) fn facts(packages: &Packages<'_>, package: &Package<'_>) -> Facts {
    let facts = Facts::new(&PROGRAM, package.at.dir);
    let mut facts = facts.known_by(Rule::Manifest("Cargo.toml"), package.place(None));
    facts.name = package.name.clone();
    let (version, decision) = version(packages, package);
    // The newest Debian that has an image of this Rust.
    let suite = match version.triple() {
        (1, ..=53, _) => "buster",
        (1, 54..=69, _) => "bullseye",
        _ => "bookworm",
    };
    facts.set("suite", suite);
    let is_unstable =
        |pin: &Pin| ["nightly", "beta"].iter().any(|name| pin.version.starts_with(name));
    if toolchains(package.at).first().is_some_and(is_unstable) {
        facts.lacking = NO_RUSTUP;
    }
    facts.version((version, decision));
    facts
}

/// A toolchain file says what is used; `rust-version`, the edition and the lock file say what is needed at least.
fn version(packages: &Packages<'_>, package: &Package<'_>) -> (Version, Decision) {
    let at = package.at;
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
        let used = format!("{default} with {}", pin.version);
        return (default, pin.decides(&used));
    }
    let said = fields(packages, package, "rust-version");
    let said = said.filter_map(|pin| Some((Version::parse(&pin.version)?.major_minor(), pin)));
    let editions = fields(packages, package, "edition").filter_map(|pin| {
        let (_, minor) = EDITIONS.iter().find(|(edition, _)| *edition == pin.version)?;
        Some((Version::of(1, *minor), pin))
    });
    let (said, implied) = (newest(said), newest(editions.chain(lock_file(package.root))));
    let (has_said, is_said) = (said.is_some(), version_of(&said) >= version_of(&implied));
    let is_fixed = package.dependencies().next().is_none() || package.root.has("Cargo.lock");
    let needed = if is_said { said } else { implied };
    let used = version_of(&needed).map_or(default, |least| least.max(default));
    let decision = Decision::new(What::Version, used.to_string(), Fixed::TableDefault, []);
    match needed {
        Some((least, pin)) if has_said && is_fixed => (least, pin.decides(&least)),
        Some((least, pin)) if is_said && least < used => {
            (used, decision.not(least.to_string(), Some(pin.evidence), Fixed::NewestCratesCome))
        }
        _ => (used, decision),
    }
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

/// A field of the package and of what it is made of, which may be that of the workspace.
fn fields<'p>(
    packages: &'p Packages<'_>,
    package: &'p Package<'_>,
    name: &'static str,
) -> impl Iterator<Item = Pin> {
    packages.closure(package).into_iter().filter_map(move |member| {
        let own = member.manifest.at(&["package", name])?;
        let (value, at) = match own.get("workspace").is_some_and(Value::is_true) {
            false => (own, member.at),
            true => {
                let workspace = packages.workspaces.get(member.root.dir)?;
                (workspace.at(&["workspace", "package", name])?, member.root)
            }
        };
        Some(Pin::new(value.text()?, name, at.path("Cargo.toml"), value.line))
    })
}

/// Cargo reads version 4 of the lock file since 1.78.
fn lock_file(root: Folder<'_>) -> Option<(Version, Pin)> {
    let lock = root.path("Cargo.lock");
    let head = root.project.tree.head(&lock, 400)?;
    let at = head.lines().position(|line| line.trim() == "version = 4")?;
    Some((Version::of(1, 78), Pin::new("4", "version of Cargo.lock", lock, at + 1)))
}

/// The first of the newest.
fn newest(found: impl Iterator<Item = (Version, Pin)>) -> Option<(Version, Pin)> {
    found.reduce(|best, next| if next.0 > best.0 { next } else { best })
}

fn version_of(found: &Option<(Version, Pin)>) -> Option<Version> {
    found.as_ref().map(|(version, _)| *version)
}

/// Editions, and the Rust 1.x that has them.
const EDITIONS: &[(&str, u32)] = &[("2024", 85), ("2021", 56)];

/// Where `rust-embed` or `include_dir` compiles in a path that `takes` says yes to: both count from the folder of the crate.
fn embeds_path(
    project: &Project<'_>,
    home: &str,
    _: &str,
    takes: &dyn Fn(&str) -> bool,
) -> Option<Evidence> {
    let files = Folder::new(project, home).sources(&["rs"], &|_| false);
    files.iter().find_map(|file| {
        file.lines().find_map(|(at, line)| {
            let is_one = line.contains("#[folder") || line.contains("include_dir!(");
            let path = line.split('"').nth(1).filter(|_| is_one && !source::is_comment(line))?;
            let path = path.trim_start_matches("$CARGO_MANIFEST_DIR").trim_start_matches('/');
            let home = upward(parent(&file.path))
                .find(|dir| project.tree.has(&join(dir, "Cargo.toml")))?;
            takes(&resolve(home, path)?).then(|| Evidence::line(&file.path, Some(at)))
        })
    })
}
