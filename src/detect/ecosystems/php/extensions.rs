//! Extensions of PHP: which the official images have, and how the others are built.

use std::collections::BTreeSet;

use super::version::PHP;
use crate::detect::prelude::*;

/// What the official images are compiled with (github.com/docker-library/php).
const BUILT_IN: &[&str] = &[
    "core", "ctype", "curl", "date", "dom", "fileinfo", "filter", "ftp", "hash", "iconv", "json",
    "lexbor", "libxml", "mbstring", "mysqlnd", "openssl", "pcre", "pdo", "pdo_sqlite", "phar",
    "posix", "random", "readline", "reflection", "session", "simplexml", "sodium", "spl",
    "sqlite3", "standard", "tokenizer", "uri", "xml", "xmlreader", "xmlwriter", "zlib",
];

/// Extensions that come with the sources of PHP.
const BUNDLED: &[&str] = &[
    "bcmath", "bz2", "calendar", "enchant", "exif", "ffi", "gd", "gettext", "gmp", "intl", "ldap",
    "mysqli", "opcache", "pcntl", "pdo_mysql", "pdo_pgsql", "pgsql", "shmop", "snmp", "soap",
    "sockets", "sysvmsg", "sysvsem", "sysvshm", "tidy", "xsl", "zip",
];

/// Extensions of PECL.
const PECL: &[&str] = &[
    "amqp", "apcu", "ast", "ds", "ev", "excimer", "gnupg", "grpc", "igbinary", "imagick",
    "inotify", "mailparse", "maxminddb", "memcached", "mongodb", "msgpack", "oauth", "openswoole",
    "opentelemetry", "pcov", "pdo_sqlsrv", "protobuf", "rdkafka", "redis", "sqlsrv", "swoole",
    "uuid", "vips", "xdebug", "xlswriter", "yaml", "zstd",
];

/// Extension, packages with the headers it is built with, packages of the libraries it loads.
type Libraries = (&'static str, &'static [&'static str], &'static [&'static str]);

/// Libraries of extensions; `libicu` stands for the package of the suite.
const LIBRARIES: &[Libraries] = &[
    ("amqp", &["librabbitmq-dev"], &["librabbitmq4"]),
    ("bz2", &["libbz2-dev"], &["libbz2-1.0"]),
    ("enchant", &["libenchant-2-dev"], &["libenchant-2-2"]),
    ("ffi", &["libffi-dev"], &["libffi8"]),
    (
        "gd",
        &["libfreetype6-dev", "libjpeg62-turbo-dev", "libpng-dev", "libwebp-dev"],
        &["libfreetype6", "libjpeg62-turbo", "libpng16-16", "libwebp7"],
    ),
    ("gmp", &["libgmp-dev"], &["libgmp10"]),
    ("gnupg", &["libgpgme-dev"], &["libgpgme11"]),
    ("grpc", &["zlib1g-dev"], &[]),
    ("imagick", &["libmagickwand-dev"], &["libmagickwand-6.q16-6"]),
    ("intl", &["libicu-dev"], &["libicu"]),
    ("ldap", &["libldap2-dev"], &["libldap-2.5-0"]),
    ("maxminddb", &["libmaxminddb-dev"], &["libmaxminddb0"]),
    ("memcached", &["libmemcached-dev", "zlib1g-dev"], &["libmemcached11"]),
    ("mongodb", &["libssl-dev"], &[]),
    ("pdo_pgsql", &["libpq-dev"], &["libpq5"]),
    ("pdo_sqlsrv", &["unixodbc-dev"], &["libodbc2", "unixodbc"]),
    ("pgsql", &["libpq-dev"], &["libpq5"]),
    ("rdkafka", &["librdkafka-dev"], &["librdkafka1"]),
    ("snmp", &["libsnmp-dev"], &["libsnmp40"]),
    ("soap", &["libxml2-dev"], &["libxml2"]),
    ("sqlsrv", &["unixodbc-dev"], &["libodbc2", "unixodbc"]),
    ("tidy", &["libtidy-dev"], &["libtidy5deb1"]),
    ("uuid", &["uuid-dev"], &["libuuid1"]),
    ("vips", &["libvips-dev"], &["libvips42"]),
    ("xsl", &["libxslt1-dev"], &["libxslt1.1"]),
    ("yaml", &["libyaml-dev"], &["libyaml-0-2"]),
    ("zip", &["libzip-dev"], &["libzip4"]),
];

/// Lets the official images have extensions, whose names are as in `composer.json` behind `ext-`, in any case and order.
///
/// Gives the steps that compile them, and what Composer is told of those that nothing is known of.
pub(super) fn compile(
    names: &[String],
    version: Version,
    facts: &mut Facts,
) -> (Vec<Step>, String) {
    let (mut bundled, mut pecl) = (Vec::new(), Vec::new());
    let (mut steps, mut ignored) = (Vec::new(), String::new());
    let mut step = |line: String| steps.push(Step::new(Kind::Setup, ".", line));
    let names = names.iter().map(|name| name.to_ascii_lowercase());
    let names: BTreeSet<String> =
        names.map(|name| name.replace("zend-opcache", "opcache")).collect();
    for name in names.iter().map(String::as_str) {
        // Opcache is part of PHP itself from 8.5 on.
        if BUILT_IN.contains(&name) || name == "opcache" && version >= Version::of(8, 5) {
            continue;
        }
        match name {
            _ if BUNDLED.contains(&name) => bundled.push(name),
            _ if PECL.contains(&name) => pecl.push(name),
            _ => ignored += &format!(" --ignore-platform-req=ext-{name}"),
        }
        if name == "gd" {
            let options = "--with-freetype --with-jpeg --with-webp";
            step(format!("docker-php-ext-configure gd {options}"));
        }
        if let Some((_, build, run)) = LIBRARIES.iter().find(|(known, ..)| *known == name) {
            let run = run.iter().map(|package| in_suite(package, PHP.suite(version)));
            facts.packages(build, &run.collect::<Vec<_>>());
        }
    }
    if !bundled.is_empty() {
        step(format!("docker-php-ext-install -j\"$(nproc)\" {}", bundled.join(" ")));
    }
    if !pecl.is_empty() {
        let names = pecl.join(" ");
        step(format!("pecl install {names} && docker-php-ext-enable {names}"));
    }
    if !steps.is_empty() {
        for folder in ["/usr/local/lib/php/extensions", "/usr/local/etc/php/conf.d"] {
            facts.take(folder, folder);
        }
    }
    (steps, ignored)
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

/// Packages with extensions for families whose PHP is packages, and what Composer is told of those that have none.
pub(super) fn packaged(names: &[String], has_apk: bool, facts: &mut Facts) -> String {
    let names: BTreeSet<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in names.iter().map(|name| name.replace("zend-opcache", "opcache")) {
        let package = if has_apk { of_wolfi(&name) } else { of_debian(&name) };
        match package {
            Some(package) => found.extend(Some(package).filter(|package| !package.is_empty())),
            None => missing.push(name),
        }
    }
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    match has_apk {
        true => facts.packages_everywhere(&found, &found),
        false => facts.packages(&found, &found),
    }
    if !missing.is_empty() {
        let decision =
            Decision::new(What::Packages, found.join(" "), Fixed::ExtensionsOfFamily, []);
        facts.decisions.push(decision.not(missing.join(", "), None, Fixed::NoSuchExtension));
    }
    missing.iter().map(|name| format!(" --ignore-platform-req=ext-{name}")).collect()
}

/// The package of Wolfi for the PHP `{v}`; empty for what is a part of PHP there (github.com/wolfi-dev/os, `php-8.4.yaml`).
fn of_wolfi(extension: &str) -> Option<String> {
    let is_part = BUILT_IN.contains(&extension) && !OF_WOLFI.contains(&extension);
    match extension {
        "mongodb" => Some("php-{v}-pecl-mongodb".to_owned()),
        name if OF_WOLFI.contains(&name) => Some(format!("php-{{v}}-{name}")),
        _ => is_part.then(String::new),
    }
}

/// Extensions with a package of their own in Wolfi.
const OF_WOLFI: &[&str] = &[
    "amqp", "apcu", "bcmath", "bz2", "calendar", "ctype", "curl", "dom", "exif", "fileinfo", "ftp",
    "gd", "gettext", "gmp", "iconv", "igbinary", "imagick", "intl", "ldap", "mbstring",
    "memcached", "mysqli", "mysqlnd", "odbc", "opcache", "openssl", "pcntl", "pdo", "pdo_mysql",
    "pdo_pgsql", "pdo_sqlite", "pgsql", "phar", "posix", "redis", "simplexml", "soap", "sockets",
    "sodium", "swoole", "xml", "xmlreader", "xmlwriter", "xsl", "zip",
];

/// The package of Debian that has an extension; many are part of `php-cli`.
fn of_debian(extension: &str) -> Option<String> {
    let package = match extension {
        "pdo_mysql" | "mysqli" => "mysql",
        "pdo_pgsql" | "pgsql" => "pgsql",
        "pdo_sqlite" => "sqlite3",
        "dom" | "simplexml" | "xmlreader" | "xmlwriter" | "libxml" | "xsl" => "xml",
        name if OF_DEBIAN.contains(&name) => name,
        name if BUILT_IN.contains(&name) || OF_CLI.contains(&name) => "cli",
        _ => return None,
    };
    Some(format!("php-{package}"))
}

/// Extensions that the command line of Debian has beside those that are always there.
const OF_CLI: &[&str] = &[
    "calendar", "exif", "ffi", "gettext", "opcache", "pcntl", "shmop", "sockets", "sysvmsg",
    "sysvsem", "sysvshm",
];

/// Extensions with a package of their own in Debian.
const OF_DEBIAN: &[&str] = &[
    "amqp", "apcu", "ast", "bcmath", "bz2", "curl", "ds", "enchant", "excimer", "gd", "gmp",
    "gnupg", "igbinary", "imagick", "imap", "intl", "ldap", "mailparse", "maxminddb", "mbstring",
    "memcached", "mongodb", "msgpack", "oauth", "odbc", "pcov", "pspell", "redis", "snmp", "soap",
    "solr", "sqlite3", "ssh2", "tidy", "uuid", "xml", "xmlrpc", "yaml", "zip",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_image_lacks_is_built() {
        let check = |names: &[&str], version: Version| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let mut facts = Facts::default();
            let (steps, ignored) = compile(&names, version, &mut facts);
            let lines: Vec<String> = steps.into_iter().map(|step| step.command).collect();
            (lines, ignored, facts)
        };
        let names = ["x", "json", "GD", "intl", "redis", "pdo_mysql", "json"];
        let (lines, ignored, facts) = check(&names, Version::of(7, 4));
        assert_eq!(ignored, " --ignore-platform-req=ext-x");
        assert_eq!(lines.len(), 3);
        assert!(lines[1].ends_with("gd intl pdo_mysql") && lines[2].contains("install redis "));
        assert!(format!("{:?}", facts.needs).contains("libicu67"));
        let (lines, ignored, facts) = check(&["mbstring", "opcache"], Version::of(8, 5));
        assert_eq!((lines.len(), ignored.as_str(), facts.needs.len()), (0, "", 0));
        assert!(facts.takes.is_empty() && check(&["opcache"], Version::of(8, 4)).0.len() == 1);
    }
}
