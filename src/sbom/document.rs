//! What SPDX and CycloneDX documents have in common.

use super::purl::Purl;
use crate::digest::sha256_hex;

/// What a document is about: one image of one platform.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its reference, or another name for it.
    pub name: &'a str,
    /// `sha256:…` of its manifest, if that is known.
    pub digest: Option<&'a str>,
    /// `linux/amd64`, `linux/arm/v7`.
    pub platform: &'a str,
    /// When the document was made, in seconds since 1970; the same for the same image, so that the document is.
    pub created_seconds: i64,
}

impl Subject<'_> {
    /// Digest in hex, if it is one of SHA-256.
    pub(super) fn sha256(&self) -> Option<&str> {
        let hex = self.digest?.strip_prefix("sha256:")?;
        (hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())).then_some(hex)
    }

    /// `pkg:oci/app@sha256:…?arch=amd64&repository_url=…&tag=1` ("PURL types", oci).
    pub(super) fn purl(&self) -> Option<String> {
        let digest = self.digest?;
        let name = self.name.split('@').next().unwrap_or_default();
        let (repository, tag) = match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, tag),
            _ => (name, ""),
        };
        let last = repository.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        if last.is_empty() {
            return None;
        }
        let arch = self.platform.split('/').nth(1).unwrap_or_default();
        let repository = if repository.contains('/') { repository } else { "" };
        let qualifiers = [("arch", arch), ("repository_url", repository), ("tag", tag)];
        let purl = Purl {
            kind: "oci",
            namespace: "",
            name: &last,
            version: digest,
            qualifiers: &qualifiers,
        };
        Some(purl.encode())
    }

    /// `2024-01-31T12:00:00Z`; what no calendar has becomes 1970.
    pub(super) fn created(&self) -> String {
        let seconds =
            if (0..YEAR_10000).contains(&self.created_seconds) { self.created_seconds } else { 0 };
        jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
    }
}

/// `urn:uuid:…` that is made of a digest of `content` (RFC 9562, version 8).
pub(super) fn urn(content: &[u8]) -> String {
    let hex = sha256_hex(content);
    let (a, b, c, d, e) = (&hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32]);
    format!("urn:uuid:{a}-{b}-8{c}-8{d}-{e}")
}

/// First second that has a year of five digits.
const YEAR_10000: i64 = 253_402_300_800;

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn subject<'a>(name: &'a str, digest: Option<&'a str>) -> Subject<'a> {
        Subject { name, digest, platform: "linux/arm/v7", created_seconds: 86_400 }
    }

    #[test]
    fn images_have_purls_with_repository_and_tag() {
        let purl = |name| subject(name, Some(DIGEST)).purl().unwrap();
        assert_eq!(
            purl("registry.test:5000/team/App:1"),
            format!(
                "pkg:oci/app@{DIGEST}?arch=arm&repository_url=registry.test:5000%2Fteam%2FApp&tag=1"
            )
        );
        assert_eq!(purl("app"), format!("pkg:oci/app@{DIGEST}?arch=arm"));
        assert_eq!(subject("app", None).purl(), None);
        assert_eq!(subject("", Some(DIGEST)).purl(), None);
    }

    #[test]
    fn times_are_those_of_a_calendar() {
        let created = |created_seconds| Subject { created_seconds, ..subject("a", None) }.created();
        assert_eq!(created(86_400), "1970-01-02T00:00:00Z");
        assert_eq!(created(-1), "1970-01-01T00:00:00Z");
        assert_eq!(created(i64::MAX), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn urns_are_made_of_the_content() {
        assert_eq!(urn(b""), "urn:uuid:e3b0c442-98fc-8c14-8afb-f4c8996fb924");
        assert_ne!(urn(b"a"), urn(b"b"));
        assert_eq!(subject("a", Some("sha256:zz")).sha256(), None);
        assert_eq!(subject("a", Some(DIGEST)).sha256(), DIGEST.strip_prefix("sha256:"));
    }
}
