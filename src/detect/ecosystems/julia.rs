//! Julia: `Project.toml` and a file that is run.

use super::scripted::{self, Program, Scripted};
use crate::detect::prelude::*;

static JULIA: Language = Language {
    id: "julia",
    tool: "pkg",
    default: "1.11",
    version_files: &[".julia-version"],
    version_tools: &["julia"],
    sources: &["jl"],
    listens: &["serve(", "listen(", "up(", "port"],
    images: Images {
        official: OFFICIAL,
        wolfi: OFFICIAL.why(Fixed::NotPackaged),
        debian: OFFICIAL.why(Fixed::NotPackaged),
    },
    ..NOTHING
};

const OFFICIAL: Pair = Pair::both("julia:{v}-bookworm");

static ROW: Scripted = Scripted {
    language: &JULIA,
    manifests: &["Project.toml", "JuliaProject.toml"],
    ending: "",
    entries: &[
        "server.jl", "app.jl", "main.jl", "index.jl", "run.jl", "bootstrap.jl", "bin/server.jl",
        "src/main.jl",
    ],
    frameworks: &[
        framework("genie", &["using Genie", "import Genie"], 8000).env(&[("GENIE_ENV", "prod")]),
        framework("oxygen", &["using Oxygen", "import Oxygen"], 8080),
        framework("mux", &["using Mux"], 8000),
        framework("http", &["using HTTP", "import HTTP"], 8081),
    ],
    serves: &["listen(", "HTTP.serve", "serve("],
    runs: "julia --project=.",
    version: Some,
};

/// Where packages lie in both stages; a folder before it is there to be written to.
const DEPOT: &str = "/opt/julia";

/// All services in Julia.
pub(super) fn find(project: &Project<'_>) -> Vec<Facts> {
    scripted::find(project, &ROW, finish)
}

fn finish(program: Program<'_>) -> Facts {
    let (at, mut facts) = (program.at, program.facts);
    if program.manifest.is_none() {
        return facts;
    }
    let files =
        at.those(&["Project.toml", "JuliaProject.toml", "Manifest.toml", "JuliaManifest.toml"]);
    let is_package =
        at.has_dir("src") && at.toml("Project.toml").is_some_and(|file| file.has("uuid"));
    let fetch = "julia --project=. -e 'using Pkg; Pkg.instantiate(); Pkg.precompile()'";
    let fetch = Step::new(Kind::Install, at.dir, fetch);
    // A package is precompiled with its own sources.
    facts.install(if is_package { Vec::new() } else { files }, [fetch]);
    facts.build_env("JULIA_DEPOT_PATH", DEPOT);
    facts.build(".", format!("mkdir -p {DEPOT}"));
    facts.take(DEPOT, DEPOT);
    facts.env("JULIA_DEPOT_PATH", format!("/tmp/julia:{DEPOT}"));
    facts
}
