//! Perl: `cpanfile`, applications of PSGI, Mojolicious and plain servers.

use super::scripted::{self, Program, Scripted};
use crate::detect::prelude::*;

static PERL: Language = Language {
    id: "perl",
    tool: "cpanm",
    default: "5.40",
    version_files: &[".perl-version"],
    version_tools: &["perl"],
    sources: &["pl", "pm", "psgi"],
    listens: &["LocalPort", "listen", "daemon", "port"],
    cache: &["/root/.cpanm"],
    images: Images {
        official: OFFICIAL,
        wolfi: OFFICIAL.why(Fixed::NotPackaged),
        debian: ON_DEBIAN,
    },
    // github.com/Perl/docker-perl
    packaged: Some(Packaged { language: "Perl", wolfi: Kept::Each(&[]), debian: (5, 36) }),
    suites: &[("buster", &[(5, 28), (5, 30)]), ("bullseye", &[(5, 32), (5, 34)])],
    ..NOTHING
};

/// The full image has compilers and headers, the slim one the same Perl at the same place.
const OFFICIAL: Pair =
    Pair::of(stage("perl:{v}-{suite}", &[]), stage("perl:{v}-slim-{suite}", &[]));
const ON_DEBIAN: Pair = Pair::debian(
    &["build-essential", "ca-certificates", "cpanminus", "libssl-dev", "perl"],
    &["ca-certificates", "perl"],
);

static ROW: Scripted = Scripted {
    language: &PERL,
    manifests: &["cpanfile", "app.psgi", "Makefile.PL", "Build.PL"],
    ending: ".psgi",
    entries: &["server.pl", "app.pl", "main.pl", "index.pl", "start.pl", "run.pl", "bin/app.pl"],
    frameworks: &[
        framework("catalyst", &["use Catalyst"], 5000),
        framework("dancer2", &["use Dancer2"], 5000).env(&[("DANCER_ENVIRONMENT", "production")]),
        framework("mojolicious", &["Mojolicious"], 3000).env(&[("MOJO_MODE", "production")]),
        framework("plack", &["use Plack", "Plack::"], 5000).env(&[("PLACK_ENV", "production")]),
    ],
    serves: &["IO::Socket", "HTTP::Daemon", "HTTP::Server::Simple"],
    runs: "perl",
    version: Some,
};

/// All services in Perl.
pub(super) fn find(project: &Project<'_>) -> Vec<Facts> {
    scripted::find(project, &ROW, finish)
}

fn finish(mut program: Program<'_>) -> Facts {
    let at = program.at;
    let of_bin = at.project.tree.entries(&at.path("bin"));
    let psgi = at.entries().and_then(|all| all.ending(".psgi").next()).map(str::to_owned);
    let psgi = psgi.or_else(|| Some(format!("bin/{}", of_bin?.ending(".psgi").next()?)));
    let id = program.known.as_ref().map(|known| known.framework.id);
    if id == Some("mojolicious")
        && let Some(file) = mojolicious(at)
    {
        let line = format!("perl {} prefork -m production -l http://*:$PORT", quote(&file));
        program.serve(exec_form(&line), 3000, at.place(&file, None));
    } else if let Some(file) = psgi {
        let starman = at.read("cpanfile").is_some_and(|text| text.text.contains("Starman"));
        let server = if starman { "starman" } else { "plackup --host 0.0.0.0" };
        let line = format!("{server} --port $PORT {}", quote(&file));
        program.serve(exec_form(&line), 5000, at.place(&file, None));
    }
    let mut facts = program.facts;
    if at.has("cpanfile") {
        let files = at.those(&["cpanfile", "cpanfile.snapshot"]);
        let fetch = match at.has("cpanfile.snapshot") {
            true => "cpanm --notest Carton && carton install --deployment",
            false => "cpanm --notest --local-lib local --installdeps .",
        };
        facts.install(files, [Step::new(Kind::Install, at.dir, fetch)]);
        let home = PERL.in_home("");
        facts.env("PERL5LIB", format!("{home}/local/lib/perl5:{home}/lib"));
        facts.env(
            "PATH",
            format!(
                "{home}/local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            ),
        );
    }
    facts
}

/// The program of an application: `script/shop`, which `mojo generate app` writes, or a file with all of it.
fn mojolicious(at: Folder<'_>) -> Option<String> {
    let scripts = at.project.tree.entries(&at.path("script")).map(|all| all.files.as_slice());
    let own = scripts.unwrap_or_default().first().map(|name| format!("script/{name}"));
    own.or_else(|| {
        let mut files = at.entries()?.ending(".pl");
        let is_lite =
            |name: &&str| at.read(name).is_some_and(|text| text.text.contains("Mojolicious"));
        files.find(is_lite).map(str::to_owned)
    })
}
