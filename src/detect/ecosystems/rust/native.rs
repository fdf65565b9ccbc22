//! Crates that need more than a Rust compiler.

use crate::detect::images::Family;

/// What a crate needs.
pub(super) struct Native {
    /// Its name.
    pub(super) name: &'static str,
    /// To be built, on Debian.
    build: &'static [&'static str],
    /// To run, on Debian 12.
    runtime: &'static [&'static str],
    /// To be built, on Wolfi.
    wolfi_build: &'static [&'static str],
    /// To run, on Wolfi.
    wolfi_runtime: &'static [&'static str],
}

impl Native {
    pub(super) fn build(&self, family: Family) -> &'static [&'static str] {
        if family == Family::Wolfi { self.wolfi_build } else { self.build }
    }

    pub(super) fn runtime(&self, family: Family) -> &'static [&'static str] {
        if family == Family::Wolfi { self.wolfi_runtime } else { self.runtime }
    }
}

const fn tools(
    name: &'static str,
    build: &'static [&'static str],
    wolfi_build: &'static [&'static str],
) -> Native {
    Native { name, build, runtime: &[], wolfi_build, wolfi_runtime: &[] }
}

/// Crates of a lock file, or direct dependencies where there is none.
pub(super) static NATIVE: &[Native] = &[
    Native {
        name: "openssl-sys",
        build: &["pkg-config", "libssl-dev"],
        runtime: &["libssl3"],
        wolfi_build: &["pkgconf", "openssl-dev"],
        wolfi_runtime: &["libssl3", "libcrypto3"],
    },
    Native {
        name: "pq-sys",
        build: &["libpq-dev"],
        runtime: &["libpq5"],
        wolfi_build: &["postgresql-dev"],
        wolfi_runtime: &["libpq"],
    },
    Native {
        name: "mysqlclient-sys",
        build: &["default-libmysqlclient-dev", "pkg-config"],
        runtime: &["libmariadb3"],
        wolfi_build: &["mariadb-connector-c-dev", "pkgconf"],
        wolfi_runtime: &["mariadb-connector-c"],
    },
    Native {
        name: "libsqlite3-sys",
        build: &["libsqlite3-dev", "pkg-config"],
        runtime: &["libsqlite3-0"],
        wolfi_build: &["sqlite-dev", "pkgconf"],
        wolfi_runtime: &["sqlite-libs"],
    },
    Native {
        name: "libsodium-sys",
        build: &["libsodium-dev", "pkg-config"],
        runtime: &["libsodium23"],
        wolfi_build: &["libsodium-dev", "pkgconf"],
        wolfi_runtime: &["libsodium"],
    },
    Native {
        name: "alsa-sys",
        build: &["libasound2-dev", "pkg-config"],
        runtime: &["libasound2"],
        wolfi_build: &["alsa-lib-dev", "pkgconf"],
        wolfi_runtime: &["alsa-lib"],
    },
    Native {
        name: "libudev-sys",
        build: &["libudev-dev", "pkg-config"],
        runtime: &["libudev1"],
        wolfi_build: &["eudev-dev", "pkgconf"],
        wolfi_runtime: &["eudev-libs"],
    },
    Native {
        name: "rdkafka-sys",
        build: &["cmake", "g++", "make", "pkg-config", "libssl-dev", "libsasl2-dev", "zlib1g-dev"],
        runtime: &["libssl3", "libsasl2-2", "zlib1g", "libstdc++6"],
        wolfi_build: &["cmake", "build-base", "openssl-dev", "cyrus-sasl-dev", "zlib-dev"],
        wolfi_runtime: &["libssl3", "cyrus-sasl", "zlib", "libstdc++"],
    },
    Native {
        name: "librocksdb-sys",
        build: &["clang", "libclang-dev", "g++", "make"],
        runtime: &["libstdc++6"],
        wolfi_build: &["clang", "build-base"],
        wolfi_runtime: &["libstdc++"],
    },
    Native {
        name: "curl-sys",
        build: &["pkg-config", "libcurl4-openssl-dev", "zlib1g-dev"],
        runtime: &["libcurl4"],
        wolfi_build: &["pkgconf", "curl-dev", "zlib-dev"],
        wolfi_runtime: &["libcurl-openssl4"],
    },
    Native {
        name: "link-cplusplus",
        build: &["g++"],
        runtime: &["libstdc++6"],
        wolfi_build: &["build-base"],
        wolfi_runtime: &["libstdc++"],
    },
    tools("prost-build", &["protobuf-compiler", "libprotobuf-dev"], &["protobuf-dev", "protoc"]),
    tools("bindgen", &["clang", "libclang-dev"], &["clang", "clang-dev"]),
    tools("cmake", &["cmake", "g++", "make"], &["cmake", "build-base"]),
    tools("tikv-jemalloc-sys", &["make"], &["build-base"]),
    tools("jemalloc-sys", &["make"], &["build-base"]),
    tools("openssl-src", &["make", "perl"], &["build-base", "perl"]),
];

/// Direct dependencies that bring a native crate along, for projects without a lock file.
pub(super) static BRINGS: &[(&str, &str)] = &[
    ("openssl", "openssl-sys"),
    ("native-tls", "openssl-sys"),
    ("reqwest", "openssl-sys"),
    ("hyper-tls", "openssl-sys"),
    ("rusqlite", "libsqlite3-sys"),
    ("lettre", "openssl-sys"),
    ("rdkafka", "rdkafka-sys"),
    ("rocksdb", "librocksdb-sys"),
    ("tonic-build", "prost-build"),
    ("tonic-prost-build", "prost-build"),
    ("git2", "openssl-sys"),
    ("jemallocator", "jemalloc-sys"),
    ("tikv-jemallocator", "tikv-jemalloc-sys"),
    ("cxx", "link-cplusplus"),
];
