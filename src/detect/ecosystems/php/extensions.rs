//! Extensions of PHP: which the official images have, and how the others are built.

/// What the official images are compiled with (github.com/docker-library/php).
const BUILT_IN: &[&str] = &[
    "core", "ctype", "curl", "date", "dom", "fileinfo", "filter", "ftp", "hash", "iconv", "json",
    "lexbor", "libxml", "mbstring", "mysqlnd", "openssl", "pcre", "pdo", "pdo_sqlite", "phar",
    "posix", "random", "readline", "reflection", "session", "simplexml", "sodium", "spl",
    "sqlite3", "standard", "tokenizer", "uri", "xml", "xmlreader", "xmlwriter", "zlib",
];

/// An extension: its name, headers it is built with, libraries it loads, options of `docker-php-ext-configure`.
type Bundled = (&'static str, &'static [&'static str], &'static [&'static str], &'static str);

/// Extensions that come with the sources of PHP. `libicu` stands for the package of the suite.
const BUNDLED: &[Bundled] = &[
    ("bcmath", &[], &[], ""),
    ("bz2", &["libbz2-dev"], &["libbz2-1.0"], ""),
    ("calendar", &[], &[], ""),
    ("exif", &[], &[], ""),
    ("ffi", &["libffi-dev"], &["libffi8"], ""),
    (
        "gd",
        &["libfreetype6-dev", "libjpeg62-turbo-dev", "libpng-dev", "libwebp-dev"],
        &["libfreetype6", "libjpeg62-turbo", "libpng16-16", "libwebp7"],
        "--with-freetype --with-jpeg --with-webp",
    ),
    ("gettext", &[], &[], ""),
    ("gmp", &["libgmp-dev"], &["libgmp10"], ""),
    ("intl", &["libicu-dev"], &["libicu"], ""),
    ("ldap", &["libldap2-dev"], &["libldap-2.5-0"], ""),
    ("mysqli", &[], &[], ""),
    ("opcache", &[], &[], ""),
    ("pcntl", &[], &[], ""),
    ("pdo_mysql", &[], &[], ""),
    ("pdo_pgsql", &["libpq-dev"], &["libpq5"], ""),
    ("pgsql", &["libpq-dev"], &["libpq5"], ""),
    ("shmop", &[], &[], ""),
    ("soap", &["libxml2-dev"], &["libxml2"], ""),
    ("sockets", &[], &[], ""),
    ("sysvmsg", &[], &[], ""),
    ("sysvsem", &[], &[], ""),
    ("sysvshm", &[], &[], ""),
    ("tidy", &["libtidy-dev"], &["libtidy5deb1"], ""),
    ("xsl", &["libxslt1-dev"], &["libxslt1.1"], ""),
    ("zip", &["libzip-dev"], &["libzip4"], ""),
];

/// Extensions of PECL.
const PECL: &[Bundled] = &[
    ("amqp", &["librabbitmq-dev"], &["librabbitmq4"], ""),
    ("apcu", &[], &[], ""),
    ("igbinary", &[], &[], ""),
    ("imagick", &["libmagickwand-dev"], &["libmagickwand-6.q16-6"], ""),
    ("memcached", &["libmemcached-dev", "zlib1g-dev"], &["libmemcached11"], ""),
    ("mongodb", &["libssl-dev"], &[], ""),
    ("redis", &[], &[], ""),
    ("swoole", &[], &[], ""),
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
    let mut names: Vec<String> = names
        .iter()
        .map(|name| name.to_ascii_lowercase().replace("zend-opcache", "opcache"))
        .collect();
    names.sort();
    names.dedup();
    for name in names {
        if BUILT_IN.contains(&name.as_str()) || name == "opcache" && has_opcache {
            continue;
        }
        let known = |table: &'static [Bundled]| table.iter().find(|(known, ..)| *known == name);
        let entry = known(BUNDLED)
            .inspect(|entry| bundled.push(entry.0))
            .or_else(|| known(PECL).inspect(|entry| pecl.push(entry.0)));
        let Some((_, build, runtime, configure)) = entry else {
            found.unknown.push(name);
            continue;
        };
        found.build_packages.extend_from_slice(build);
        found.runtime_packages.extend(runtime.iter().map(|package| in_suite(package, suite)));
        if !configure.is_empty() {
            found.commands.push(format!("docker-php-ext-configure {name} {configure}"));
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
