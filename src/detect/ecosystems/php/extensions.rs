//! Extensions of PHP: which the official images have, and how the others are built.

/// What the official images are compiled with (github.com/docker-library/php).
const BUILT_IN: &[&str] = &[
    "core", "ctype", "curl", "date", "dom", "fileinfo", "filter", "ftp", "hash", "iconv", "json",
    "lexbor", "libxml", "mbstring", "mysqlnd", "openssl", "pcre", "pdo", "pdo_sqlite", "phar",
    "posix", "random", "readline", "reflection", "session", "simplexml", "sodium", "spl",
    "sqlite3", "standard", "tokenizer", "uri", "xml", "xmlreader", "xmlwriter", "zlib",
];

/// Extensions that come with the sources of PHP.
const BUNDLED: &[&str] = &[
    "bcmath", "bz2", "calendar", "exif", "ffi", "gd", "gettext", "gmp", "intl", "ldap", "mysqli",
    "opcache", "pcntl", "pdo_mysql", "pdo_pgsql", "pgsql", "shmop", "soap", "sockets", "sysvmsg",
    "sysvsem", "sysvshm", "tidy", "xsl", "zip",
];

/// Extensions of PECL.
const PECL: &[&str] =
    &["amqp", "apcu", "igbinary", "imagick", "memcached", "mongodb", "redis", "swoole"];

/// Extension, packages with the headers it is built with, packages of the libraries it loads.
type Libraries = (&'static str, &'static [&'static str], &'static [&'static str]);

/// Libraries of extensions; `libicu` stands for the package of the suite.
const LIBRARIES: &[Libraries] = &[
    ("amqp", &["librabbitmq-dev"], &["librabbitmq4"]),
    ("bz2", &["libbz2-dev"], &["libbz2-1.0"]),
    ("ffi", &["libffi-dev"], &["libffi8"]),
    (
        "gd",
        &["libfreetype6-dev", "libjpeg62-turbo-dev", "libpng-dev", "libwebp-dev"],
        &["libfreetype6", "libjpeg62-turbo", "libpng16-16", "libwebp7"],
    ),
    ("gmp", &["libgmp-dev"], &["libgmp10"]),
    ("imagick", &["libmagickwand-dev"], &["libmagickwand-6.q16-6"]),
    ("intl", &["libicu-dev"], &["libicu"]),
    ("ldap", &["libldap2-dev"], &["libldap-2.5-0"]),
    ("memcached", &["libmemcached-dev", "zlib1g-dev"], &["libmemcached11"]),
    ("mongodb", &["libssl-dev"], &[]),
    ("pdo_pgsql", &["libpq-dev"], &["libpq5"]),
    ("pgsql", &["libpq-dev"], &["libpq5"]),
    ("soap", &["libxml2-dev"], &["libxml2"]),
    ("tidy", &["libtidy-dev"], &["libtidy5deb1"]),
    ("xsl", &["libxslt1-dev"], &["libxslt1.1"]),
    ("zip", &["libzip-dev"], &["libzip4"]),
];

/// How the extensions that a project needs are had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extensions {
    /// Commands that build them.
    pub(super) commands: Vec<String>,
    pub(super) build_packages: Vec<&'static str>,
    pub(super) runtime_packages: Vec<&'static str>,
    /// Those that are built.
    pub(super) built: Vec<String>,
    /// Those that nothing is known of.
    pub(super) unknown: Vec<String>,
}

/// `names` are as in `composer.json` behind `ext-`, in any case and order; `suite` is the image's Debian.
pub(super) fn plan(names: &[String], suite: &str, has_opcache: bool) -> Extensions {
    let mut found = Extensions::default();
    let (mut bundled, mut pecl) = (Vec::new(), Vec::new());
    let names = names.iter().map(|name| name.to_ascii_lowercase());
    let mut names: Vec<String> =
        names.map(|name| name.replace("zend-opcache", "opcache")).collect();
    names.sort();
    names.dedup();
    for name in names {
        if BUILT_IN.contains(&name.as_str()) || name == "opcache" && has_opcache {
            continue;
        }
        if BUNDLED.contains(&name.as_str()) {
            bundled.push(name.clone());
        } else if PECL.contains(&name.as_str()) {
            pecl.push(name.clone());
        } else {
            found.unknown.push(name);
            continue;
        }
        if name == "gd" {
            let options = "--with-freetype --with-jpeg --with-webp";
            found.commands.push(format!("docker-php-ext-configure gd {options}"));
        }
        if let Some((_, build, runtime)) = LIBRARIES.iter().find(|(known, ..)| *known == name) {
            found.build_packages.extend_from_slice(build);
            found.runtime_packages.extend(runtime.iter().map(|package| in_suite(package, suite)));
        }
        found.built.push(name);
    }
    if !bundled.is_empty() {
        found.commands.push(format!("docker-php-ext-install -j\"$(nproc)\" {}", bundled.join(" ")));
    }
    if !pecl.is_empty() {
        let names = pecl.join(" ");
        found.commands.push(format!("pecl install {names} && docker-php-ext-enable {names}"));
    }
    found
}

/// Packages whose names carry a version that differs between releases of Debian.
fn in_suite(package: &'static str, suite: &str) -> &'static str {
    match (package, suite) {
        ("libicu", "stretch") => "libicu57",
        ("libicu", "buster") => "libicu63",
        ("libicu", "bullseye") => "libicu67",
        ("libicu", _) => "libicu72",
        ("libldap-2.5-0", "stretch" | "buster" | "bullseye") => "libldap-2.4-2",
        ("libwebp7", "stretch" | "buster" | "bullseye") => "libwebp6",
        ("libffi8", "stretch" | "buster" | "bullseye") => "libffi7",
        (package, _) => package,
    }
}

/// The package of Debian that has an extension; many are part of `php-cli`.
pub(super) fn debian_package(extension: &str) -> String {
    let extension = extension.to_ascii_lowercase();
    let package = match extension.as_str() {
        "pdo_mysql" | "mysqli" => "mysql",
        "pdo_pgsql" | "pgsql" => "pgsql",
        "pdo_sqlite" => "sqlite3",
        "dom" | "simplexml" | "xmlreader" | "xmlwriter" | "libxml" | "xsl" => "xml",
        name if OF_DEBIAN.contains(&name) => name,
        _ => "cli",
    };
    format!("php-{package}")
}

/// Extensions with a package of their own in Debian.
const OF_DEBIAN: &[&str] = &[
    "apcu", "bcmath", "bz2", "curl", "gd", "gmp", "imagick", "intl", "ldap", "mbstring",
    "memcached", "mongodb", "redis", "soap", "sqlite3", "xml", "zip",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_image_lacks_is_built() {
        let names = ["ext-x", "json", "GD", "intl", "redis", "pdo_mysql", "json"]
            .map(|n| n.replace("ext-", ""));
        let found = plan(&names, "bullseye", true);
        assert_eq!(found.built, ["gd", "intl", "pdo_mysql", "redis"]);
        assert_eq!(found.unknown, ["x"]);
        assert_eq!(found.commands.len(), 3);
        assert!(found.commands[1].ends_with("gd intl pdo_mysql"));
        assert!(found.runtime_packages.contains(&"libicu67"));
        assert_eq!(plan(&["mbstring".to_owned()], "bookworm", true), Extensions::default());
    }
}
