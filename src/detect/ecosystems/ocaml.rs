//! OCaml: Dune, with the dependencies of opam.

use crate::detect::prelude::*;

/// There is no official image of OCaml; Debian has the compiler, Dune and opam.
static OCAML: Language = Language {
    id: "ocaml",
    tool: "dune",
    default: "4.13",
    version_files: &[".ocaml-version"],
    version_tools: &["ocaml"],
    sources: &["ml", "mli", "re"],
    listens: &["~port", "port", "ADDR_INET", "run"],
    reads: &["public", "static", "templates", "assets", "config", "migrations"],
    images: Images {
        official: ON_DEBIAN,
        wolfi: ON_DEBIAN.why(Fixed::NotPackaged),
        debian: ON_DEBIAN,
    },
    ..NOTHING
};

const ON_DEBIAN: Pair = Pair::debian(
    &["build-essential", "ca-certificates", "ocaml-dune", "ocaml-nox"],
    &["ca-certificates"],
);

static FRAMEWORKS: &[Framework] = &[
    framework("dream", &["dream"], 8080),
    framework("opium", &["opium"], 3000),
    framework("cohttp", &["cohttp-lwt-unix", "cohttp-eio", "cohttp-async"], 8080),
    framework("httpaf", &["httpaf", "httpun"], 8080),
    framework("yocaml", &["yocaml"], 0),
];

/// Packages of opam, and libraries of the system that they are linked with.
static NATIVE: &[Library] = &[
    library(
        "dream",
        &["libev-dev", "libgmp-dev", "libssl-dev"],
        &["libev4", "libgmp10", "libssl3"],
    ),
    library("caqti-driver-postgresql", &["libpq-dev"], &["libpq5"]),
    library("caqti-driver-sqlite3", &["libsqlite3-dev"], &["libsqlite3-0"]),
    library("lwt_ssl", &["libssl-dev"], &["libssl3"]),
    library("postgresql", &["libpq-dev"], &["libpq5"]),
    library("tls", &["libgmp-dev"], &["libgmp10"]),
    library("zarith", &["libgmp-dev"], &["libgmp10"]),
];

/// What fetches and builds packages.
static OPAM: Library = library(
    "opam",
    &["bzip2", "curl", "git", "libffi-dev", "m4", "opam", "patch", "pkg-config", "rsync", "unzip"],
    &[],
);

/// All services in OCaml.
pub(super) fn find(project: &Project<'_>) -> Vec<Facts> {
    project.tree.outermost(|dir, entries| {
        entries.has("dune-project").then(|| service(Folder::new(project, dir)))
    })
}

fn service(at: Folder<'_>) -> Facts {
    let here = || at.place("dune-project", None);
    let mut facts = Facts::new(&OCAML, at.dir).known_by(Rule::Manifest("dune-project"), here());
    let parse = |text: &str| Some(Version::parse(text)?.to_string());
    let (version, decision) = pins::choose(at.pins(&OCAML), parse, OCAML.default);
    facts.version((version.clone(), decision));
    let opam: Vec<&str> = at.entries().map(|all| all.ending(".opam").collect()).unwrap_or_default();
    let texts = opam.iter().filter_map(|name| at.read(name)).chain(at.read("dune-project"));
    let texts: Vec<Rc<Text>> = texts.collect();
    let needs = |name: &str| {
        texts.iter().find_map(|text| {
            let forms = [
                format!("\"{name}\""),
                format!("({name} "),
                format!(" {name}\n"),
                format!(" {name})"),
            ];
            let line = forms.iter().find_map(|form| text.line_of(form))?;
            Some(Evidence::line(&text.path, Some(line)))
        })
    };
    for library in NATIVE {
        if let Some(place) = needs(library.name) {
            facts.library(library, place);
        }
    }
    let mut run = "";
    let has_packages = fetches(at, &opam);
    // Debian 12 has Dune 2.9.
    let language = texts.last().and_then(|text| text.text.split("(lang dune ").nth(1));
    let is_new = language.and_then(Version::parse).is_some_and(|v| v > Version::of(2, 9));
    if has_packages || is_new {
        facts.library(&OPAM, here());
        // The compiler of Debian, unless another is pinned.
        let compiler = match version == OCAML.default {
            true => "ocaml-system".to_owned(),
            false => format!("ocaml-base-compiler.{version}"),
        };
        let wanted = if has_packages { "--deps-only --assume-depexts ." } else { "dune" };
        let lines = [
            format!("opam init --yes --disable-sandboxing --compiler={compiler}"),
            format!("opam install --yes {wanted}"),
        ];
        let steps = lines.map(|line| Step::new(Kind::Install, at.dir, line));
        facts.install(at.those(&[&opam[..], &["dune-project"]].concat()), steps);
        run = "opam exec -- ";
    }
    let Some((folder, name, public, place)) = executable(at) else {
        facts.build(at.dir, format!("{run}dune build --release"));
        return facts.nothing(Fixed::NoProgram, [here()]);
    };
    facts.weight = Weight::Starts;
    facts.name.clone_from(&public);
    let built = join(&relative(at.dir, &folder), &format!("{name}.exe"));
    let program = quote(&public);
    facts.build(
        at.dir,
        format!("{run}dune build --release ./{built} && mkdir -p {OUT} && cp _build/default/{built} {OUT}/{program}"),
    );
    let command = facts.program(&public);
    facts.start([command], Fixed::DeclaredProgram, [place]);
    let sources = at.sources(OCAML.sources, &|_| false);
    facts.take_read(at.project, |name| Some(vec![source::names_path(&sources, name)?]));
    let known = framework::find(FRAMEWORKS, needs);
    facts.of_framework(known.as_ref(), Fixed::ADependency);
    facts.listen(&sources, known.as_ref(), &["Unix.listen", "establish_server"]);
    facts
}

/// Whether opam has to fetch anything: a package that is neither OCaml nor Dune.
fn fetches(at: Folder<'_>, opam: &[&str]) -> bool {
    opam.iter().filter_map(|name| at.read(name)).any(|text| {
        let list = text.text.split("depends:").nth(1).and_then(|rest| rest.split("]\n").next());
        // Constraints stand in braces.
        let quoted = list.unwrap_or_default().split(['"', '\'']).skip(1).step_by(2);
        let names = quoted.filter(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()));
        names.into_iter().any(|name| !["ocaml", "dune"].contains(&name))
    })
}

/// The program that is run: its folder, module, public name, and where that is said; the one called like a server wins.
fn executable(at: Folder<'_>) -> Option<(String, String, String, Evidence)> {
    let mut found = Vec::new();
    for (dir, entries) in at.project.tree.dirs_below(at.dir) {
        let rest = relative(at.dir, dir);
        if !entries.has("dune") || folders::is_beside_product(&rest) {
            continue;
        }
        let Some(text) = at.project.tree.read(&join(dir, "dune")) else { continue };
        let Some(start) = text.text.find("(executable") else { continue };
        let stanza = &text.text[start..];
        let field = |name: &str| {
            let value = stanza.split(&format!("({name} ")).nth(1)?;
            Some(value.split([')', ' ', '\n']).next()?.to_owned())
        };
        let Some(module) = field("name").or_else(|| field("names")) else { continue };
        let public = field("public_name").or_else(|| field("public_names"));
        let place = Evidence::line(&text.path, Some(text.line_at(start)));
        found.push((dir.to_owned(), module.clone(), public.unwrap_or(module), place));
    }
    let is_server = |(dir, module, public, _): &(String, String, String, Evidence)| {
        [file_name(dir), module, public]
            .iter()
            .any(|name| ["server", "web", "api", "main"].contains(name))
    };
    let at = found.iter().position(is_server).unwrap_or(0);
    (at < found.len()).then(|| found.swap_remove(at))
}
