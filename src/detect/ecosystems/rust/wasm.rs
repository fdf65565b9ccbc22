//! Pages in WebAssembly: what Trunk builds is static, what cargo-leptos builds is a server with its site.

use super::{
    language,
    package::{Package, Packages},
};
use crate::detect::prelude::*;

/// Libraries for pages that name a framework, and all for pages.
const PAGES: &[&str] = &["yew", "leptos", "sycamore", "dioxus", "seed"];
const FOR_BROWSERS: &[&str] = &["percy-dom", "wasm-bindgen"];

/// Whether a package is a page that Trunk builds: an `index.html` beside the manifest and a framework for the browser.
pub(super) fn is_page(package: &Package<'_>) -> bool {
    let depends = |names: &[&str]| names.iter().any(|name| package.depends(name).is_some());
    package.at.first_of(&["index.html", "Trunk.toml"]).is_some()
        && package.manifest.at(&["package", "metadata", "leptos"]).is_none()
        && (depends(PAGES) || depends(FOR_BROWSERS))
        && !depends(&["axum", "actix-web", "rocket", "warp", "hyper"])
}

/// The page, behind a static server.
pub(super) fn page(packages: &Packages<'_>, package: &Package<'_>) -> Facts {
    let mut facts = language::facts(packages, package);
    let known = PAGES.iter().find_map(|name| Some((*name, package.depends(name)?)));
    match known {
        Some((name, place)) => facts.framework(name, Fixed::ADependency, [place]),
        None => {
            let place = package.at.place("index.html", None);
            facts.framework("trunk", Fixed::PageBesideManifest, [place]);
        }
    }
    facts.lacking = language::NO_RUSTUP;
    facts.packages_everywhere(&["ca-certificates", "curl"], &[]);
    facts.build(".", "rustup target add wasm32-unknown-unknown");
    facts.build(".", "cargo install --locked trunk");
    facts.build(package.at.dir, format!("trunk build --release --dist {OUT}"));
    facts.files(OUT.to_owned(), Missing::Index, Fixed::TrunkPages, None);
    facts
}

/// cargo-leptos: the server, and the site it serves.
pub(super) fn leptos(
    facts: &mut Facts,
    packages: &Packages<'_>,
    package: &Package<'_>,
    program: &str,
) {
    let of_workspace = || {
        let workspace = packages.workspaces.get(package.root.dir)?;
        workspace.at(&["workspace", "metadata", "leptos"])?.items().first()
    };
    let own = package.manifest.at(&["package", "metadata", "leptos"]);
    let Some(settings) = own.or_else(of_workspace) else { return };
    facts.steps.clear();
    facts.lacking = language::NO_RUSTUP;
    facts.build(".", "rustup target add wasm32-unknown-unknown");
    facts.build(".", "cargo install --locked cargo-leptos");
    facts.build(package.root.dir, "cargo leptos build --release");
    facts.library(&LEPTOS, package.place(Some(settings.line)));
    facts.takes.clear();
    facts.take(&package.root.path(&format!("target/release/{program}")), program);
    facts
        .take(&package.root.path(settings.str_at(&["site-root"]).unwrap_or("target/site")), "site");
    facts.env("LEPTOS_SITE_ROOT", "site");
    let name = settings.str_at(&["output-name"]).unwrap_or(&package.name);
    facts.env("LEPTOS_OUTPUT_NAME", name);
}

/// What installing cargo-leptos needs.
static LEPTOS: Library =
    library("leptos", &["ca-certificates", "curl", "pkg-config", "libssl-dev", "g++", "make"], &[]);
