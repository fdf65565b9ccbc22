//! What the readers of one file give: packages before it is known where they were seen.

use std::{borrow::Cow, collections::BTreeMap, str};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    digest::hex,
    manifest::{self, Element, Malformed, Value},
};

/// A package as one file tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// As its package system writes it, the scope or vendor included.
    pub(super) name: String,
    /// May be empty.
    pub(super) version: String,
    pub(super) license: Option<String>,
    pub(super) checksums: BTreeMap<&'static str, String>,
    /// The file says that only development needs it.
    pub(super) dev: bool,
    /// Places in the same list of those it depends on.
    pub(super) needs: Vec<usize>,
}

impl Found {
    /// `None` if a name or a version is nothing that a package system would take: so that nothing odd reaches a document.
    pub(super) fn new(name: &str, version: &str) -> Option<Self> {
        let name_is_plain = !name.is_empty() && is_plain(name, NAME_BYTES_MAX);
        (name_is_plain && is_plain(version, VERSION_BYTES_MAX)).then(|| Self {
            name: name.to_owned(),
            version: version.to_owned(),
            ..Self::default()
        })
    }

    /// Notes a licence of one line; what is empty, longer or says nothing is not noted.
    pub(super) fn set_license(&mut self, text: &str) {
        let text = text.trim();
        let one_line = text.len() <= LICENSE_BYTES_MAX && !text.contains(char::is_control);
        let says_something = !text.is_empty() && !text.eq_ignore_ascii_case("unknown");
        if one_line && says_something {
            self.license = Some(text.to_owned());
        }
    }

    /// Notes licences of which any one may be chosen.
    pub(super) fn set_licenses<'a>(&mut self, texts: impl Iterator<Item = &'a str>) {
        let mut texts: Vec<_> = texts.map(str::trim).filter(|text| !text.is_empty()).collect();
        texts.dedup();
        match texts.as_slice() {
            [] => {}
            [one] => self.set_license(one),
            many => self.set_license(&format!("({})", many.join(" OR "))),
        }
    }

    /// Notes a checksum in hex, if it is one.
    pub(super) fn set_checksum(&mut self, hex: &str) {
        let algorithm = match hex.len() {
            40 => "SHA1",
            64 => "SHA256",
            96 => "SHA384",
            128 => "SHA512",
            _ => return,
        };
        if hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            self.checksums.insert(algorithm, hex.to_ascii_lowercase());
        }
    }

    /// Notes what stands in an npm `integrity` field: `sha512-<base64>`, several with spaces between (W3C Subresource
    /// Integrity, section 3.3).
    pub(super) fn set_integrity(&mut self, text: &str) {
        for one in text.split_ascii_whitespace().take(4) {
            let digest = one.strip_prefix("sha").and_then(|rest| rest.split_once('-'));
            let Some((_, base64)) = digest else { continue };
            let base64 = base64.split('?').next().unwrap_or(base64);
            if let Ok(bytes) = STANDARD.decode(base64) {
                self.set_checksum(&hex(&bytes));
            }
        }
    }
}

/// One installed package that names what it depends on, without versions.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Installed {
    pub(super) found: Found,
    pub(super) requires: Vec<String>,
}

/// The places of packages by what refers to them.
pub(super) type Index<'a> = BTreeMap<Cow<'a, str>, usize>;

/// Reads JSON; a comma may stand before a closing bracket, as Bun writes it.
pub(super) fn json(bytes: &[u8]) -> Result<Value, String> {
    parsed(bytes, "JSON", manifest::json)
}

/// Reads TOML.
pub(super) fn toml(bytes: &[u8]) -> Result<Value, String> {
    parsed(bytes, "TOML", manifest::toml)
}

/// Reads XML.
pub(super) fn xml(bytes: &[u8]) -> Result<Element, String> {
    parsed(bytes, "XML", manifest::xml)
}

fn parsed<T>(
    bytes: &[u8],
    format: &str,
    parse: fn(&str) -> Result<T, Malformed>,
) -> Result<T, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = str::from_utf8(bytes).map_err(|error| format!("is not UTF-8: {error}"))?;
    parse(text).map_err(|Malformed { line, why }| {
        format!("is not the {format} that was expected: line {line}: {why}")
    })
}

/// The text of a file; odd bytes are replaced, as metadata of old packages is not always UTF-8.
pub(super) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// The lines of a file of which each may be a package.
pub(super) fn lines(text: &str) -> Result<str::Lines<'_>, String> {
    if text.bytes().filter(|byte| *byte == b'\n').count() > LINES_MAX {
        return Err(format!("has more than {LINES_MAX} lines"));
    }
    Ok(text.lines())
}

fn is_plain(text: &str, bytes_max: usize) -> bool {
    text.len() <= bytes_max && !text.contains(|c: char| c.is_control() || c.is_whitespace())
}

/// A lock file of 10,000 packages has about 100,000.
const LINES_MAX: usize = 500_000;
/// npm allows 214, Maven's coordinates and Go's module paths are the longest.
const NAME_BYTES_MAX: usize = 512;
const VERSION_BYTES_MAX: usize = 256;
/// Expressions are shorter; longer ones are whole licence texts.
const LICENSE_BYTES_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integrity_becomes_hex_named_by_its_length() {
        let mut found = Found::new("a", "1").unwrap();
        found.set_integrity("sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk= sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=?x md5-x sha512-AAAA sha1");
        let hex: Vec<_> = found.checksums.iter().map(|(key, hex)| (*key, hex.as_str())).collect();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex, [("SHA1", "da39a3ee5e6b4b0d3255bfef95601890afd80709"), ("SHA256", empty)]);
    }

    #[test]
    fn too_many_lines_are_refused() {
        assert_eq!(lines("a\nb").unwrap().count(), 2);
        assert!(lines(&"\n".repeat(LINES_MAX + 1)).unwrap_err().contains("more than 500000 lines"));
    }

    #[test]
    fn odd_names_and_versions_are_no_package() {
        for (name, version) in [("", "1"), ("a b", "1"), ("a\u{0}", "1"), ("a", "1\n2")] {
            assert_eq!(Found::new(name, version), None, "{name:?} {version:?}");
        }
        assert_eq!(Found::new(&"a".repeat(513), "1"), None);
        assert!(Found::new("@a/b", "").is_some());
    }

    #[test]
    fn licences_are_one_line_or_none() {
        let license = |texts: &[&str]| {
            let mut found = Found::new("a", "1").unwrap();
            found.set_licenses(texts.iter().copied());
            found.license
        };
        assert_eq!(license(&["MIT", "MIT"]).unwrap(), "MIT");
        assert_eq!(license(&["MIT", " ", "ISC"]).unwrap(), "(MIT OR ISC)");
        assert_eq!(license(&["UNKNOWN"]), None);
        assert_eq!(license(&["The text\nof a licence"]), None);
        assert_eq!(license(&[]), None);
    }
}
