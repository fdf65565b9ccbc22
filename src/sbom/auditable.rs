//! What `cargo auditable` writes into programs: the crates they were built from (cargo-auditable, `PARSING.md`).

use serde::Deserialize;

/// Section of ELF files.
pub(super) const SECTION: &str = ".dep-v0";

/// A crate of a program.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) version: String,
    #[serde(default)]
    kind: Use,
    /// Places in the same list.
    #[serde(default)]
    pub(super) dependencies: Vec<usize>,
}

/// What a crate is there for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Use {
    #[default]
    Runtime,
    /// It built others, and is not in the program.
    Build,
    #[serde(other)]
    Other,
}

impl Crate {
    /// Whether it only took part in the build.
    pub(super) fn is_for_build(&self) -> bool {
        self.kind == Use::Build
    }
}

#[derive(Deserialize)]
struct List {
    packages: Vec<Crate>,
}

/// Reads the section, JSON compressed by zlib.
///
/// # Errors
/// Says what is wrong with it.
pub(super) fn parse(section: &[u8]) -> Result<Vec<Crate>, String> {
    let json = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(section, JSON_BYTES_MAX)
        .map_err(|error| format!("has a list of crates that cannot be unpacked: {error}"))?;
    let list: List = serde_json::from_slice(&json)
        .map_err(|error| format!("has a list of crates that cannot be read: {error}"))?;
    let is_plain = |text: &str| {
        text.len() <= WORD_BYTES_MAX
            && !text.contains(|c: char| c.is_control() || c.is_whitespace())
    };
    let is_sound =
        |one: &Crate| !one.name.is_empty() && is_plain(&one.name) && is_plain(&one.version);
    if list.packages.len() > CRATES_MAX || !list.packages.iter().all(is_sound) {
        return Err("has a list of crates with odd names, or too many".to_owned());
    }
    Ok(list.packages)
}

/// As the format's own readers have it.
const JSON_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The largest programs have some thousand.
const CRATES_MAX: usize = 20_000;
const WORD_BYTES_MAX: usize = 256;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::mutation::mutate;

    /// The section of a program.
    pub(in crate::sbom) fn section(json: &str) -> Vec<u8> {
        miniz_oxide::deflate::compress_to_vec_zlib(json.as_bytes(), 6)
    }

    const JSON: &str = r#"{"packages":[{"name":"adler","version":"0.2.3","source":"registry"},{"name":"app","version":"0.1.0","source":"local","root":true,"dependencies":[0,2]},{"name":"cc","version":"1.0.0","source":"crates.io","kind":"build"}]}"#;

    #[test]
    fn crates_are_read() {
        let crates = parse(&section(JSON)).unwrap();
        let names: Vec<_> =
            crates.iter().map(|one| (one.name.as_str(), one.is_for_build())).collect();
        assert_eq!(names, [("adler", false), ("app", false), ("cc", true)]);
        assert_eq!(crates[1].dependencies, [0, 2]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(parse(b"no zlib").unwrap_err().contains("unpacked"));
        assert!(parse(&section("{}")).unwrap_err().contains("read"));
        let odd = r#"{"packages":[{"name":"a b","version":"1"}]}"#;
        assert!(parse(&section(odd)).unwrap_err().contains("odd"));
        let bomb = " ".repeat(JSON_BYTES_MAX + 1);
        assert!(parse(&section(&bomb)).unwrap_err().contains("unpacked"));
    }

    #[test]
    fn mutations_are_read_or_refused() {
        mutate(&section(JSON), b"\x00\xff", 3_000, |bytes| drop(parse(bytes)));
        mutate(JSON.as_bytes(), b"{}[]\",:0", 2_000, |bytes| {
            drop(parse(&section(&String::from_utf8_lossy(bytes))));
        });
    }
}
