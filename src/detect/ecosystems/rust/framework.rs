//! Frameworks of Rust: the crate that means one, and the port it takes by itself.

use super::package::{Package, Packages};
use crate::detect::Evidence;

/// One framework.
pub(super) struct Framework {
    /// Its id.
    pub(super) id: &'static str,
    /// The crate that means it.
    krate: &'static str,
    /// What it, or its guide, listens on; 0: nothing in common.
    pub(super) port: u16,
}

/// The more special before what it is built on: Loco is built on axum, axum on hyper.
static FRAMEWORKS: &[Framework] = &[
    of("leptos", "leptos", 3000),
    of("dioxus", "dioxus", 8080),
    of("loco", "loco-rs", 5150),
    of("shuttle", "shuttle-runtime", 8000),
    of("rocket", "rocket", 8000),
    of("actix-web", "actix-web", 8080),
    of("poem", "poem", 3000),
    of("salvo", "salvo", 5800),
    of("warp", "warp", 3030),
    of("tide", "tide", 8080),
    of("gotham", "gotham", 7878),
    of("thruster", "thruster", 4321),
    of("rouille", "rouille", 8000),
    of("iron", "iron", 3000),
    of("nickel", "nickel", 6767),
    of("ntex", "ntex", 8080),
    of("pingora", "pingora", 6188),
    of("xitca-web", "xitca-web", 8080),
    of("viz", "viz", 3000),
    of("ohkami", "ohkami", 3000),
    of("trillium", "trillium", 8080),
    of("rama", "rama", 8080),
    of("axum", "axum", 3000),
    of("tonic", "tonic", 50051),
    of("hyper", "hyper", 3000),
    of("tiny_http", "tiny_http", 8000),
];

const fn of(id: &'static str, krate: &'static str, port: u16) -> Framework {
    Framework { id, krate, port }
}

/// The framework of a package, of its own or of a library of the tree that it uses.
pub(super) fn find(
    packages: &Packages,
    package: &Package,
) -> Option<(&'static Framework, Evidence)> {
    let closure = packages.closure(package);
    of_package(package).or_else(|| {
        FRAMEWORKS.iter().find_map(|framework| {
            let mut members = closure.iter().skip(1);
            Some((framework, members.find_map(|member| member.depends(framework.krate))?))
        })
    })
}

/// The framework that a package itself depends on.
pub(super) fn of_package(package: &Package) -> Option<(&'static Framework, Evidence)> {
    FRAMEWORKS.iter().find_map(|framework| Some((framework, package.depends(framework.krate)?)))
}

/// Calls that make a program a server.
pub(super) const LISTENING: &[&str] = &[
    "TcpListener::bind", "Server::bind", "HttpServer::new", ".bind(", "SocketAddr::from(",
    "TcpAcceptor::new", ".listen(", "warp::serve", "Server::builder()", "Server::new(",
    "rocket::build()", "rocket::ignite()", "UnixListener::bind", ".run(([", "#[launch]",
    "start_server(", "gotham::start(",
];
