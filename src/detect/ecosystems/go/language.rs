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
pub(super) static WITH_C: Language = with_c(Fixed::NeedsLibc);
/// A program of which it is not known may be.
pub(super) static MAY_HAVE_C: Language = with_c(Fixed::MayNeedLibc);
/// What a `Procfile` says may need a shell.
pub(super) static WITH_SHELL: Language = on_debian(Fixed::NeedsShell);
/// A program that starts others needs them.
pub(super) static WITH_PROGRAMS: Language = on_debian(Fixed::StartsPrograms);
/// A library gives the image nothing.
pub(super) static LIBRARY: Language = Language { cache: &[], home: "/", ..ROW };

const ROW: Language = Language {
    id: "go",
    tool: "go",
    default: "1.26",
    version_files: &[".go-version"],
    version_tools: &["golang", "go"],
    sources: &["go"],
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
const fn with_c(why: Fixed) -> Language {
    let row = on_debian(why);
    let Images { official, wolfi, debian } = row.images;
    let wolfi = Pair { build: stage(WOLFI, &["build-base", "go{least}"]), ..wolfi };
    let packages = &["ca-certificates", "gcc", "git", "golang-go", "libc6-dev"];
    let debian = Pair { build: stage(DEBIAN, packages), ..debian };
    Language { images: Images { official, wolfi, debian }, ..row }
}

/// The version that is used: what is pinned, else what a `go.mod` names, which is the least that is needed
/// (go.dev/doc/toolchain), as long as it gets fixes; else the default.
pub(super) fn version<'f>(
    at: Folder<'_>,
    files: impl IntoIterator<Item = &'f ModFile>,
) -> (Version, Decision) {
    let default = Version::of(1, 26);
    let found = |pin: Pin| Some((minor(&pin.version)?, pin));
    let (mut least, mut is_held) = (Vec::new(), false);
    for file in files {
        is_held |= HELD_BACK.iter().any(|part| file.mentions(part));
        least.extend(file.go.iter().chain(&file.toolchain).cloned().filter_map(found));
    }
    least.sort_by_key(|(version, _)| Reverse(*version));
    let needed = least.first().map(|(version, _)| *version);
    // Before modules there is nothing to build with, and what is too old for the module builds nothing either.
    let fits = |version: Version| Some(version) >= needed && version.triple() >= (1, 11, 0);
    let managed = at.managed(&ROW).into_iter().filter_map(found);
    let managed = managed.filter(|(version, _)| fits(*version));
    let stated = pins::stated(at.project, at.dir).and_then(found);
    let (used, decision) = match stated.into_iter().chain(managed).next() {
        Some((minor, pin)) => {
            // Early patches of older releases have no image on this Debian, their last ones have.
            let exact = Version::parse(pin.version.trim_start_matches("go"))
                .filter(|exact| exact.triple() >= (1, 21, 0));
            let used = exact.unwrap_or(minor);
            (used, pin.decides(&used))
        }
        None => match least.first() {
            Some((version, pin)) if is_maintained(*version) || is_held && fits(*version) => {
                (*version, pin.clone().decides(version))
            }
            _ => (default, Decision::new(What::Version, ROW.default, Fixed::TableDefault, [])),
        },
    };
    let others = least.into_iter().filter(|(other, _)| *other != used.major_minor());
    let mut decision = others.fold(decision, |decision, (other, pin)| {
        decision.not(other.to_string(), Some(pin.evidence), Fixed::LessThanUsed)
    });
    if !is_maintained(used) {
        decision.rule = Rule::Unmaintained(Box::new(decision.rule));
    }
    (used, decision)
}

/// Whether a release gets fixes while the default is the newest (go.dev/doc/devel/release).
fn is_maintained(version: Version) -> bool {
    version.triple() >= (1, 25, 0)
}

/// Parts of paths of modules that refuse toolchains which are newer than they are.
const HELD_BACK: &[&str] = &["/qtls-go1-", "assume-no-moving-gc"];
