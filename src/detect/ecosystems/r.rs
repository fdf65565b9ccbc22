//! R: applications of Shiny, interfaces of Plumber, scripts.

use super::scripted::{self, Program, Scripted};
use crate::detect::prelude::*;

static R: Language = Language {
    id: "r",
    tool: "renv",
    default: "4.4.2",
    version_files: &[".R-version"],
    version_tools: &["R"],
    sources: &["R", "r"],
    listens: &["port", "runApp(", "pr_run("],
    images: Images {
        official: OFFICIAL,
        wolfi: OFFICIAL.why(Fixed::NotPackaged),
        debian: Pair::debian(
            &[
                "build-essential", "ca-certificates", "libcurl4-openssl-dev", "libssl-dev",
                "libuv1-dev", "libxml2-dev", "r-base-dev", "zlib1g-dev",
            ],
            &["ca-certificates", "libcurl4", "libssl3", "libuv1", "libxml2", "r-base-core"],
        ),
    },
    packaged: Some(Packaged { language: "R", wolfi: Kept::Each(&[]), debian: (4, 2) }),
    ..NOTHING
};

const OFFICIAL: Pair = Pair::both("r-base:{v}");

static ROW: Scripted = Scripted {
    language: &R,
    manifests: &["renv.lock", "app.R", "plumber.R"],
    ending: ".Rproj",
    entries: &["app.R", "server.R", "plumber.R", "api.R", "run.R", "main.R"],
    frameworks: &[
        framework("plumber", &["library(plumber)", "plumber::", "#* @get", "#* @post"], 8000),
        framework("shiny", &["library(shiny)", "shiny::", "shinyApp("], 3838),
    ],
    serves: &["runApp(", "pr_run(", "httpuv::", "$run("],
    runs: "Rscript",
    version: |v| v.patch.map(|_| v),
};

/// Where R looks for packages that came later.
const LIBRARY: &str = "/usr/local/lib/R/site-library";

/// All services in R.
pub(super) fn find(project: &Project<'_>) -> Vec<Facts> {
    scripted::find(project, &ROW, finish)
}

fn finish(mut program: Program<'_>) -> Facts {
    let at = program.at;
    let id = program.known.as_ref().map(|known| known.framework.id);
    let runs_itself = ["runApp(", "pr_run(", "$run("].iter().any(|call| program.imports(call));
    let port = "port = as.integer(Sys.getenv('PORT'))";
    let started = match id {
        _ if runs_itself => None,
        Some("shiny") => {
            let file = at.first_of(&["app.R", "server.R"]).unwrap_or("app.R");
            Some((format!("shiny::runApp('.', host = '0.0.0.0', {port})"), file, 3838))
        }
        Some("plumber") => {
            let file = at.first_of(&["plumber.R", "api.R"]).unwrap_or("plumber.R");
            Some((
                format!("plumber::pr_run(plumber::pr('{file}'), host = '0.0.0.0', {port})"),
                file,
                8000,
            ))
        }
        _ => None,
    };
    if let Some((call, file, port)) = started.filter(|(_, file, _)| at.has(file)) {
        let command = ["Rscript", "-e", &call].map(str::to_owned).to_vec();
        program.serve(command, port, at.place(file, None));
    }
    let packages = packages(&program.sources);
    let mut facts = program.facts;
    if at.has("renv.lock") {
        let line = format!(
            "Rscript -e \"install.packages('renv', lib = '{LIBRARY}'); renv::restore(library = '{LIBRARY}', prompt = FALSE)\""
        );
        facts.install(at.those(&["renv.lock"]), [Step::new(Kind::Install, at.dir, line)]);
    } else if !packages.is_empty() {
        let names = packages.join("', '");
        let line = format!("Rscript -e \"install.packages(c('{names}'), lib = '{LIBRARY}')\"");
        facts.steps.insert(0, Step::new(Kind::Install, at.dir, line));
    } else {
        return facts;
    }
    facts.take(LIBRARY, LIBRARY);
    facts
}

/// Packages that sources load: `library(shiny)`, `require("dplyr")`.
fn packages(sources: &[Rc<Text>]) -> Vec<String> {
    let calls = ["library(", "require("];
    let loaded = sources.iter().flat_map(|file| {
        let lines = file.text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| {
            let after = calls.iter().find_map(|call| line.split_once(call))?.1;
            let name = after.split([')', ',']).next()?.trim().trim_matches(['"', '\'']);
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '.';
            (!name.is_empty() && name.chars().all(plain)).then(|| name.to_owned())
        })
    });
    let mut all: Vec<String> = loaded.filter(|name| !OWN.contains(&name.as_str())).collect();
    all.sort();
    all.dedup();
    all
}

/// Packages of R itself.
const OWN: &[&str] = &[
    "base", "compiler", "datasets", "grDevices", "graphics", "grid", "methods", "parallel",
    "splines", "stats", "stats4", "tcltk", "tools", "utils",
];
