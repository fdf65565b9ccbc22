//! Pages in WebAssembly: what Trunk builds is static, what cargo-leptos builds is a server with its site.

use super::{
    facts,
    package::{Package, Packages},
};
use crate::detect::{
    Evidence, Project, Service, Weight,
    ecosystems::draft::{APP_DIR, OUT_DIR, within},
    ecosystems::file_server::{self, Missing},
    model::join,
};

/// Whether a package is a page that Trunk builds: an `index.html` beside the manifest and a framework for the browser.
pub(super) fn is_page(project: &Project<'_>, package: &Package) -> bool {
    let has_page =
        ["index.html", "Trunk.toml"].iter().any(|name| project.tree.has(&join(&package.dir, name)));
    let is_leptos_server = package.manifest.at(&["package", "metadata", "leptos"]).is_some();
    let for_browsers = ["yew", "leptos", "sycamore", "dioxus", "seed", "percy-dom", "wasm-bindgen"];
    let serves = ["axum", "actix-web", "rocket", "warp", "hyper"];
    has_page
        && !is_leptos_server
        && for_browsers.iter().any(|name| package.depends(name).is_some())
        && !serves.iter().any(|name| package.depends(name).is_some())
}

/// The page, behind a static server.
pub(super) fn service(project: &Project<'_>, packages: &Packages, package: &Package) -> Service {
    let mut service = facts(project, packages, package);
    service.weight = Weight::Framework;
    let known = ["yew", "leptos", "sycamore", "dioxus", "seed"];
    let found = known.iter().find_map(|name| Some((*name, package.depends(name)?)));
    match found {
        Some((name, evidence)) => service.framework(name, "a dependency", [evidence]),
        None => service.framework(
            "trunk",
            "a page beside Cargo.toml",
            [Evidence::file(join(&package.dir, "index.html"))],
        ),
    }
    service.cache(["/usr/local/cargo/registry", "/usr/local/cargo/git/db"]);
    service.build_packages(["ca-certificates", "curl"]);
    service.spec.build.commands = vec![
        "rustup target add wasm32-unknown-unknown".to_owned(),
        "cargo install --locked trunk".to_owned(),
        within(&package.dir, &format!("trunk build --release --dist {OUT_DIR}")),
    ];
    service.decide("build command", "trunk build --release", "Trunk builds pages", []);
    service.spec.runtime.packages.clear();
    file_server::serve(&mut service.spec, project.bases, OUT_DIR, Missing::Index);
    service.decide_file_server();
    service
}

/// cargo-leptos: the server, and the site it serves.
pub(super) fn leptos(
    project: &Project<'_>,
    service: &mut Service,
    package: &Package,
    program: &str,
) {
    let settings = package.manifest.at(&["package", "metadata", "leptos"]).cloned().or_else(|| {
        let root = project.tree.toml(&join(&package.root, "Cargo.toml"))?;
        root.at(&["workspace", "metadata", "leptos"])?.items().first().cloned()
    });
    let Some(settings) = settings else { return };
    let site = settings.str_at(&["site-root"]).unwrap_or("target/site").to_owned();
    service.spec.build.commands = vec![
        "rustup target add wasm32-unknown-unknown".to_owned(),
        "cargo install --locked cargo-leptos".to_owned(),
        within(&package.root, "cargo leptos build --release"),
    ];
    service.build_packages(["ca-certificates", "curl", "pkg-config", "libssl-dev", "g++", "make"]);
    service.spec.runtime.copy.clear();
    let root = &package.root;
    service
        .copy(&join(root, &format!("target/release/{program}")), &format!("{APP_DIR}/{program}"));
    service.copy(&join(root, &site), &format!("{APP_DIR}/site"));
    service.env("LEPTOS_SITE_ROOT", "site");
    service.env("LEPTOS_OUTPUT_NAME", settings.str_at(&["output-name"]).unwrap_or(&package.name));
    service.decide(
        "build command",
        "cargo leptos build --release",
        "cargo-leptos is configured",
        [package.evidence(Some(settings.line))],
    );
}
