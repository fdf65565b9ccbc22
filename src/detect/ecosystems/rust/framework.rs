//! Frameworks of Rust: the crate that means one, and what it does otherwise than others.

use super::{
    package::{Package, Packages},
    wasm,
};
use crate::detect::{framework::Known, prelude::*};

/// What a framework does otherwise than others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own {
    /// Files of settings that hold the port, whatever its text says.
    pub(super) settings: &'static [&'static str],
    /// Folders and files that it reads by convention.
    pub(super) reads: &'static [&'static str],
    /// Environment, with the port as `{port}`.
    pub(super) env: &'static [(&'static str, &'static str)],
    /// The command of the program that serves, and why.
    pub(super) start: Option<(&'static str, Fixed)>,
    /// What builds the program in place of Cargo.
    pub(super) build: Option<fn(&mut Facts, &Packages<'_>, &Package<'_>, &str)>,
}

pub(super) const OWN: Own = Own { settings: &[], reads: &[], env: &[], start: None, build: None };

const LEPTOS: Own =
    Own { env: &[("LEPTOS_SITE_ADDR", "0.0.0.0:{port}")], build: Some(wasm::leptos), ..OWN };

const DIOXUS: Own = Own { env: &[("IP", "0.0.0.0"), ("PORT", "{port}")], ..OWN };

const LOCO: Own = Own {
    settings: &["config/production.yaml", "config/development.yaml"],
    reads: &["assets", "config"],
    env: &[("LOCO_ENV", "production")],
    start: Some(("start", Fixed::LocoStart)),
    ..OWN
};

/// Rocket listens on 127.0.0.1 unless told otherwise.
const ROCKET: Own = Own {
    settings: &["Rocket.toml"],
    reads: &["Rocket.toml", "templates"],
    env: &[("ROCKET_ADDRESS", "0.0.0.0"), ("ROCKET_PORT", "{port}")],
    ..OWN
};

/// The more special before what it is built on: Loco is built on axum, axum on hyper.
static FRAMEWORKS: &[Framework<Own>] = &[
    framework("leptos", &["leptos"], 3000).own(LEPTOS),
    framework("dioxus", &["dioxus"], 8080).own(DIOXUS),
    framework("loco", &["loco-rs"], 5150).own(LOCO),
    framework("shuttle", &["shuttle-runtime"], 8000),
    framework("rocket", &["rocket"], 8000).own(ROCKET),
    framework("actix-web", &["actix-web"], 8080),
    framework("poem", &["poem"], 3000),
    framework("salvo", &["salvo"], 5800),
    framework("warp", &["warp"], 3030),
    framework("tide", &["tide"], 8080),
    framework("gotham", &["gotham"], 7878),
    framework("thruster", &["thruster"], 4321),
    framework("rouille", &["rouille"], 8000),
    framework("iron", &["iron"], 3000),
    framework("nickel", &["nickel"], 6767),
    framework("ntex", &["ntex"], 8080),
    framework("pingora", &["pingora"], 6188),
    framework("xitca-web", &["xitca-web"], 8080),
    framework("viz", &["viz"], 3000),
    framework("ohkami", &["ohkami"], 3000),
    framework("trillium", &["trillium"], 8080),
    framework("rama", &["rama"], 8080),
    framework("axum", &["axum"], 3000),
    framework("tonic", &["tonic"], 50051),
    framework("hyper", &["hyper"], 3000),
    framework("tiny_http", &["tiny_http"], 8000),
];

/// The framework of a package, of its own or of a library of the tree that it uses.
pub(super) fn known(packages: &Packages<'_>, package: &Package<'_>) -> Option<Known<Own>> {
    let closure = packages.closure(package);
    let in_library = |name| closure.iter().skip(1).find_map(|member| member.depends(name));
    of_package(package).or_else(|| framework::find(FRAMEWORKS, in_library))
}

/// The framework that a package itself depends on.
pub(super) fn of_package(package: &Package<'_>) -> Option<Known<Own>> {
    framework::find(FRAMEWORKS, |name| package.depends(name))
}
