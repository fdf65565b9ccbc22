//! Which Go, and which images.

use std::cmp::Reverse;

use super::{
    embed::embeds_path,
    module::{ModFile, minor},
};
use crate::detect::prelude::*;

/// A static program needs certificates, time zones and a user alone.
pub(super) static STATIC: Language = ROW;
/// A program with C in it is linked with the C library.
pub(super) static WITH_C: Language = with_c();
/// What a `Procfile` says may need a shell.
pub(super) static WITH_SHELL: Language = on_debian(Fixed::NeedsShell);
/// A library gives the image nothing.
pub(super) static LIBRARY: Language = Language { cache: &[], home: "/", ..ROW };

const ROW: Language = Language {
    id: "go",
    tool: "go",
    default: "1.26",
    version_files: &[".go-version"],
    version_tools: &["golang", "go"],
    listens: &[
        "ListenAndServe", "net.Listen(", ".Run(\":", ".Run()", ".Run(addr", ".Run(port",
        ".Run(fmt", ".Run(\"0.0.0.0", ".Run(os.", ".Start(\":", ".Listen(", "grpc.NewServer",
        "http.Serve(", "http.Server{", ".Start(", ".Spin()", "MustNewServer(",
    ],
    reads: &[
        "assets", "conf", "config", "configs", "content", "data", "db", "dist", "etc", "html",
        "i18n", "locales", "messages", "migrations", "public", "resources", "sql", "static",
        "swagger", "template", "templates", "tmpl", "ui", "view", "views", "web", "www",
        "app.conf", "app.ini", "app.toml", "app.yaml", "conf.yaml", "config.ini", "config.json",
        "config.toml", "config.yaml", "config.yml", "data.json", "index.html", "schema.sql",
    ],
    roots: &["go.mod"],
    embeds: Some(embeds_path),
    cache: &["/go/pkg/mod", "/root/.cache/go-build"],
    images: Images {
        official: Pair::of(
            stage("golang:{v}-{suite}", &[]),
            stage("gcr.io/distroless/static-debian12:nonroot", &[]),
        )
        .user(NONROOT)
        .why(Fixed::StaticGo),
        wolfi: Pair::wolfi(&["go{least}"], OF_WOLFI).env(GOPATH),
        debian: Pair::debian(&["golang-go", "ca-certificates", "git"], CERTIFICATES)
            .user(NONROOT)
            .env(GOPATH),
    },
    suites: &[
        ("buster", &[(1, 11), (1, 12), (1, 13), (1, 14), (1, 15)]),
        ("bullseye", &[(1, 16), (1, 17), (1, 18)]),
    ],
    packaged: Some(Packaged { language: "Go", wolfi: Kept::Newest, debian: (1, 19) }),
    ..NOTHING
};

const CERTIFICATES: &[&str] = &["ca-certificates", "tzdata"];
const OF_WOLFI: &[&str] = &["ca-certificates-bundle", "tzdata"];

/// Where the official images keep modules.
const GOPATH: &[(&str, &str)] = &[("GOPATH", "/go")];

const fn on_debian(why: Fixed) -> Language {
    let Images { official, wolfi, debian } = ROW.images;
    let official = Pair { run: stage(DEBIAN, CERTIFICATES), ..official }.why(why);
    Language { images: Images { official, wolfi, debian }, ..ROW }
}

/// The official image has a C compiler.
const fn with_c() -> Language {
    let row = on_debian(Fixed::NeedsLibc);
    let Images { official, wolfi, debian } = row.images;
    let wolfi = Pair { build: stage(WOLFI, &["build-base", "go{least}"]), ..wolfi };
    let packages = &["ca-certificates", "gcc", "git", "golang-go", "libc6-dev"];
    let debian = Pair { build: stage(DEBIAN, packages), ..debian };
    Language { images: Images { official, wolfi, debian }, ..row }
}

/// The version that is used: of all pins the highest, because each is the least that is needed (go.dev/doc/toolchain).
pub(super) fn version<'f>(
    at: Folder<'_>,
    files: impl IntoIterator<Item = &'f ModFile>,
) -> (Version, Decision) {
    if let Some(stated) = pins::first(pins::stated(at.project, at.dir), minor) {
        return stated;
    }
    let of_files = files.into_iter().flat_map(|file| file.go.iter().chain(&file.toolchain));
    let pins = of_files.cloned().chain(at.managed(&ROW));
    let mut found: Vec<_> = pins.filter_map(|pin| Some((minor(&pin.version)?, pin))).collect();
    found.sort_by_key(|(version, _)| Reverse(*version));
    let mut found = found.into_iter();
    let default = Version::of(1, 26);
    let Some((highest, pin)) = found.next() else {
        return (default, Decision::new(What::Version, ROW.default, Fixed::TableDefault, []));
    };
    // Before modules there is nothing to build with.
    let used = if highest.triple() < (1, 11, 0) { default } else { highest };
    let others = found.filter(|(other, _)| *other != highest);
    let decision = others.fold(pin.decides(&used), |decision, (other, pin)| {
        decision.not(other.to_string(), Some(pin.evidence), Fixed::LessThanUsed)
    });
    (used, decision)
}
