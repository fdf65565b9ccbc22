//! Which files of an image, or of a build context, say what is in it.

use std::collections::BTreeMap;

use super::{Interest, Origin, apk, distribution, dpkg, langs, rpm};

/// What is wanted of the file at `path` (absolute, clean; a build context is `/`).
#[must_use]
pub fn interest(path: &str, origin: Origin) -> Interest {
    let Some(relative) = path.strip_prefix('/') else { return Interest::None };
    let (language, is_binary) = match origin {
        Origin::Image => {
            let text = TEXTS.iter().find(|(pattern, _)| matches(pattern, relative));
            if let Some((_, bytes_max)) = text {
                return Interest::Text { bytes_max: *bytes_max };
            }
            (langs::interest(path), may_be_binary(relative))
        }
        Origin::Context => (langs::context_interest(path), is_archive(relative)),
    };
    match language {
        Interest::None if is_binary => Interest::Binary,
        interest => interest,
    }
}

/// Files of package databases, absolute, with the longest useful length in bytes; those whose names are not fixed are left
/// out.
pub fn databases() -> impl Iterator<Item = (String, u64)> {
    let is_database = |(pattern, _): &&(&str, u64)| {
        !pattern.contains('*') && !distribution::PATHS.iter().any(|path| relative(path) == *pattern)
    };
    TEXTS.iter().filter(is_database).map(|(pattern, bytes_max)| (format!("/{pattern}"), *bytes_max))
}

/// Whether the files are of a system that says its name, and none of them is a package database.
#[must_use]
pub fn lacks_database<V>(texts: &BTreeMap<String, V>) -> bool {
    let is_system = distribution::PATHS.iter().any(|path| texts.contains_key(*path));
    let is_database = |path: &String| {
        path.starts_with(dpkg::STATUS_FOLDER) || databases().any(|(known, _)| known == *path)
    };
    is_system && !texts.keys().any(is_database)
}

/// Where the database files lie that are reached through links, by the paths at which they are looked for. `links` has the
/// targets of symbolic links, absolute, by their paths; of folders whose files have no fixed names the folder is told.
#[must_use]
pub fn linked(links: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut places = BTreeMap::new();
    for (pattern, _) in TEXTS {
        let fixed = pattern.split_once("/*").map_or(*pattern, |(folder, _)| folder);
        let path = format!("/{fixed}");
        let real = resolve(&path, links);
        // `/lib/apk` of a merged `/usr` is looked for under both names.
        let is_known = TEXTS.iter().any(|(known, _)| format!("/{known}") == real);
        if real != path && !is_known {
            places.insert(real, path);
        }
    }
    places
}

/// Where a path leads (path_resolution(7)), at most 40 links away.
fn resolve(path: &str, links: &BTreeMap<String, String>) -> String {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
        let next = ends.into_iter().find_map(|end| {
            let target = links.get(&path[..end])?;
            Some(format!("{target}{}", &path[end..]))
        });
        match next {
            Some(next) => path = next,
            None => break,
        }
    }
    path
}

/// Whether a file of [`Interest::Binary`] that begins with `head` can be one: an archive by its name, an ELF program.
#[must_use]
pub fn is_binary(path: &str, head: &[u8]) -> bool {
    is_archive(path) || is_yarn_archive(path) || head.starts_with(b"\x7fELF")
}

/// Whether the name is one of a Java archive.
pub(super) fn is_archive(path: &str) -> bool {
    extension(path).is_some_and(|e| ARCHIVES.iter().any(|known| known.eq_ignore_ascii_case(e)))
}

/// Whether the name is one of a package that Yarn left packed, from which Plug'n'Play loads it (Yarn,
/// `enableGlobalCache`): `.yarn/cache/lodash-npm-4.17.21-6382451519-10c0.zip`, `.yarn/berry/cache/…`.
pub(super) fn is_yarn_archive(path: &str) -> bool {
    let Some((folder, name)) = path.rsplit_once('/') else { return false };
    let folder = folder.strip_suffix("/cache").unwrap_or_default();
    let folder = folder.strip_suffix("/berry").unwrap_or(folder);
    name.ends_with(".zip") && (folder == ".yarn" || folder.ends_with("/.yarn"))
}

fn may_be_binary(relative: &str) -> bool {
    let top = relative.split('/').next().unwrap_or_default();
    if matches!(top, "proc" | "sys" | "dev") {
        return false;
    }
    let name = relative.rsplit('/').next().unwrap_or_default();
    let is_text = extension(name).is_some_and(|e| NO_PROGRAMS.contains(&e));
    is_archive(name) || is_yarn_archive(relative) || !is_text && !name.contains(".so.")
}

fn extension(path: &str) -> Option<&str> {
    path.rsplit('/').next()?.rsplit_once('.').map(|(_, extension)| extension)
}

/// Whether a pattern in which `*` stands for one whole segment fits.
fn matches(pattern: &str, path: &str) -> bool {
    let mut path = path.split('/');
    pattern.split('/').all(|segment| path.next().is_some_and(|p| segment == "*" || segment == p))
        && path.next().is_none()
}

/// Files of distributions: patterns, and the longest useful length.
const TEXTS: &[(&str, u64)] = &[
    (relative(distribution::PATHS[0]), 64 * KIB),
    (relative(distribution::PATHS[1]), 64 * KIB),
    (relative(apk::PATHS[0]), 64 * MIB),
    (relative(apk::PATHS[1]), 64 * MIB),
    (relative(dpkg::STATUS), 64 * MIB),
    // Its `*.md5sums` come along; they are short, and not read.
    ("var/lib/dpkg/status.d/*", MIB),
    ("usr/share/doc/*/copyright", 4 * MIB),
    (relative(rpm::PATHS[0]), 128 * MIB),
    (relative(rpm::PATHS[1]), 128 * MIB),
    (relative(rpm::PATHS[2]), 128 * MIB),
    (relative(rpm::PATHS[3]), 128 * MIB),
    (relative(rpm::PATHS[4]), 128 * MIB),
    (relative(rpm::PATHS[5]), 128 * MIB),
    (relative(rpm::PATHS[6]), 16 * MIB),
];

/// Without the leading slash.
const fn relative(path: &'static str) -> &'static str {
    path.split_at(1).1
}

/// Links on the way to one file; Linux follows as many.
const LINKS_MAX: usize = 40;
const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

const ARCHIVES: &[&str] = &["jar", "war", "ear", "par", "sar", "nar", "kar", "hpi", "jpi"];

/// Files that may be executable by their mode, but are not programs made by Go or Rust.
const NO_PROGRAMS: &[&str] = &[
    "a", "awk", "bash", "bat", "c", "cfg", "class", "cmd", "conf", "cpp", "css", "csh", "csv",
    "dat", "db", "dll", "fish", "gif", "gz", "h", "html", "ico", "ini", "java", "jpg", "js",
    "json", "ko", "la", "lock", "lua", "map", "md", "mjs", "mo", "o", "pem", "php", "pl", "plist",
    "pm", "png", "properties", "ps1", "py", "pyc", "pyi", "r", "rb", "rs", "rst", "sh", "so",
    "sql", "svg", "tar", "tcl", "toml", "ts", "ttf", "txt", "woff", "woff2", "xml", "xz", "yaml",
    "yml", "zip", "zsh", "zst",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_texts_and_programs_binaries() {
        for path in [
            "/etc/os-release",
            "/lib/apk/db/installed",
            "/var/lib/dpkg/status",
            "/var/lib/dpkg/status.d/base",
            "/usr/share/doc/libc6/copyright",
            "/var/lib/rpm/rpmdb.sqlite",
        ] {
            assert!(matches!(interest(path, Origin::Image), Interest::Text { .. }), "{path}");
        }
        for path in [
            "/app",
            "/usr/local/bin/kubectl-v1.28",
            "/a/B.JAR",
            "/app.war",
            "/.yarn/cache/a-npm-1.0.0-0.zip",
            "/root/.yarn/berry/cache/@a-b-npm-1.zip",
        ] {
            assert_eq!(interest(path, Origin::Image), Interest::Binary, "{path}");
        }
        for path in [
            "",
            "app",
            "/proc/1/exe",
            "/usr/lib/libc.so.6",
            "/usr/lib/liba.so",
            "/opt/run.sh",
            "/app/cache/a.zip",
            "/app/.yarn/releases/a.zip",
            "/usr/share/doc/a/b/copyright.txt",
        ] {
            assert_eq!(interest(path, Origin::Image), Interest::None, "{path}");
        }
    }

    #[test]
    fn of_a_context_only_what_took_part_in_the_build_is_wanted() {
        assert_eq!(interest("/lib/a.jar", Origin::Context), Interest::Binary);
        assert!(matches!(interest("/go.sum", Origin::Context), Interest::Text { .. }));
        for path in ["/tool", "/var/lib/dpkg/status", "/etc/os-release"] {
            assert_eq!(interest(path, Origin::Context), Interest::None, "{path}");
        }
    }

    #[test]
    fn every_pattern_is_of_interest() {
        for (pattern, _) in TEXTS {
            let path = format!("/{}", pattern.replace('*', "x"));
            assert!(matches!(interest(&path, Origin::Image), Interest::Text { .. }), "{path}");
        }
    }

    #[test]
    fn databases_behind_links_are_found_where_they_lie() {
        let places = |links: &[(&str, &str)]| {
            let own = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
            linked(&links.iter().map(own).collect())
        };
        let folder = places(&[("/var/lib/dpkg", "/opt/dpkg"), ("/opt", "/data")]);
        assert_eq!(
            folder.get("/data/dpkg/status").map(String::as_str),
            Some("/var/lib/dpkg/status")
        );
        assert_eq!(
            folder.get("/data/dpkg/status.d").map(String::as_str),
            Some("/var/lib/dpkg/status.d")
        );
        let file = places(&[("/usr/share/rpm/x", "/y"), ("/var/lib/rpm", "/usr/share/rpm")]);
        assert_eq!(
            file.get("/usr/share/rpm/rpmdb.sqlite").map(String::as_str),
            Some("/var/lib/rpm/rpmdb.sqlite")
        );
        let plain = places(&[("/lib", "/usr/lib"), ("/etc/os-release", "/usr/lib/os-release")]);
        assert!(!plain.keys().any(|real| real.contains("os-release")), "{plain:?}");
        // Links in a ring lead nowhere.
        assert_eq!(places(&[("/var", "/a"), ("/a", "/var")]).len(), 0);
    }

    #[test]
    fn stars_stand_for_one_segment() {
        assert!(matches("a/*/c", "a/b/c"));
        for path in ["a/c", "a/b/b/c", "a/b", "a/b/c/d", "x/b/c"] {
            assert!(!matches("a/*/c", path), "{path}");
        }
    }
}
