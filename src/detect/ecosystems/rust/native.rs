//! Crates that need more than a Rust compiler.

use super::package::Package;
use crate::detect::prelude::*;

/// Crates of a lock file, or direct dependencies where there is none.
static NATIVE: &[Library] = &[
    library("openssl-sys", &["pkg-config", "libssl-dev"], &["libssl3"])
        .wolfi(&["pkgconf", "openssl-dev"], &["libssl3", "libcrypto3"]),
    library("pq-sys", &["libpq-dev"], &["libpq5"]).wolfi(&["postgresql-dev"], &["libpq"]),
    library("mysqlclient-sys", &["default-libmysqlclient-dev", "pkg-config"], &["libmariadb3"])
        .wolfi(&["mariadb-connector-c-dev", "pkgconf"], &["mariadb-connector-c"]),
    library("libsqlite3-sys", &["libsqlite3-dev", "pkg-config"], &["libsqlite3-0"])
        .wolfi(&["sqlite-dev", "pkgconf"], &["sqlite-libs"]),
    library("libsodium-sys", &["libsodium-dev", "pkg-config"], &["libsodium23"])
        .wolfi(&["libsodium-dev", "pkgconf"], &["libsodium"]),
    library("alsa-sys", &["libasound2-dev", "pkg-config"], &["libasound2"])
        .wolfi(&["alsa-lib-dev", "pkgconf"], &["alsa-lib"]),
    library("libudev-sys", &["libudev-dev", "pkg-config"], &["libudev1"])
        .wolfi(&["libudev-dev", "pkgconf"], &["libudev"]),
    library(
        "rdkafka-sys",
        &["cmake", "g++", "make", "pkg-config", "libssl-dev", "libsasl2-dev", "zlib1g-dev"],
        &["libssl3", "libsasl2-2", "zlib1g", "libstdc++6"],
    )
    .wolfi(
        &["cmake", "build-base", "openssl-dev", "cyrus-sasl-dev", "zlib-dev"],
        &["libssl3", "cyrus-sasl", "zlib", "libstdc++"],
    ),
    library("librocksdb-sys", &["clang", "libclang-dev", "g++", "make"], &["libstdc++6"])
        .wolfi(&["clang", "build-base"], &["libstdc++"]),
    library("curl-sys", &["pkg-config", "libcurl4-openssl-dev", "zlib1g-dev"], &["libcurl4"])
        .wolfi(&["pkgconf", "curl-dev", "zlib-dev"], &["libcurl-openssl4"]),
    library("link-cplusplus", &["g++"], &["libstdc++6"]).wolfi(&["build-base"], &["libstdc++"]),
    library("prost-build", &["protobuf-compiler", "libprotobuf-dev"], &[])
        .wolfi(&["protobuf-dev", "protoc"], &[]),
    library("bindgen", &["clang", "libclang-dev"], &[]).wolfi(&["clang"], &[]),
    library("cmake", &["cmake", "g++", "make"], &[]).wolfi(&["cmake", "build-base"], &[]),
    library("tikv-jemalloc-sys", &["make"], &[]).wolfi(&["build-base"], &[]),
    library("jemalloc-sys", &["make"], &[]).wolfi(&["build-base"], &[]),
    library("openssl-src", &["make", "perl"], &[]).wolfi(&["build-base", "perl"], &[]),
];

/// Native crates, and direct dependencies that bring them along, for projects without a lock file.
static BRINGS: &[(&str, &[&str])] = &[
    ("openssl-sys", &["openssl", "native-tls", "reqwest", "hyper-tls", "lettre", "git2"]),
    ("libsqlite3-sys", &["rusqlite"]),
    ("rdkafka-sys", &["rdkafka"]),
    ("librocksdb-sys", &["rocksdb"]),
    ("prost-build", &["tonic-build", "tonic-prost-build"]),
    ("jemalloc-sys", &["jemallocator"]),
    ("tikv-jemalloc-sys", &["tikv-jemallocator"]),
    ("link-cplusplus", &["cxx"]),
];

/// What a package needs, and where that is seen: in the lock file or, without one, in what is required.
pub(super) fn needed(package: &Package<'_>) -> impl Iterator<Item = (&'static Library, Evidence)> {
    let lock = package.root.read("Cargo.lock");
    NATIVE.iter().filter_map(move |library| {
        let place = match &lock {
            Some(lock) => {
                let line = lock.line_of(&format!("name = \"{}\"", library.name))?;
                Evidence::line(&lock.path, Some(line))
            }
            None => required(package, library.name)?,
        };
        Some((library, place))
    })
}

fn required(package: &Package<'_>, native: &str) -> Option<Evidence> {
    let brings = BRINGS.iter().filter(|(name, _)| *name == native).flat_map(|(_, brings)| *brings);
    let is_bare = |value: &Value| {
        value.get("default-features").is_some_and(|v| v.text().as_deref() == Some("false"))
    };
    let is_it = |name: &&str| {
        package.dependency(name).is_some_and(|value| *name != "reqwest" || !is_bare(value))
    };
    if let Some(name) = brings.copied().chain([native]).find(is_it) {
        return package.depends(name);
    }
    // Diesel binds to the libraries of the databases that its features name.
    let features = package.dependency("diesel")?.get("features");
    let (_, feature) = DATABASES.iter().find(|(library, _)| *library == native)?;
    features.map(Value::texts)?.contains(feature).then(|| package.depends("diesel"))?
}

/// Libraries of databases, and the features that bring them.
const DATABASES: &[(&str, &str)] =
    &[("pq-sys", "postgres"), ("mysqlclient-sys", "mysql"), ("libsqlite3-sys", "sqlite")];
