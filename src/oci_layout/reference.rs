//! The words that name an image of a layout.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::oci_layout::OciLayoutError;

/// A SHA-256 digest: `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Digest(String);

impl Digest {
    /// Gives the digits, which are a file's name in a layout.
    pub fn hex(&self) -> &str {
        &self.0[PREFIX.len()..]
    }

    /// Gives the whole digest.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let hex = text.strip_prefix(PREFIX).ok_or(())?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        match hex.len() == 64 && hex.bytes().all(is_hex) {
            true => Ok(Self(text.to_owned())),
            false => Err(()),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `oci-layout://DIR[:TAG][@DIGEST]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutRef {
    /// As it was written; what it is relative to is the caller's to know.
    pub dir: PathBuf,
    /// Which image of the folder.
    pub tag: Option<String>,
    /// Which content it must have.
    pub digest: Option<Digest>,
}

impl LayoutRef {
    /// Reads a reference. A colon in the last part of `DIR` begins the tag.
    ///
    /// # Errors
    /// [`OciLayoutError::Reference`]
    pub fn parse(reference: &str) -> Result<Self, OciLayoutError> {
        let wrong = |problem| OciLayoutError::Reference { given: reference.to_owned(), problem };
        let rest = reference.strip_prefix(SCHEME).ok_or_else(|| wrong("the scheme is another"))?;
        // A folder may have an `@` in its name; what has a colon behind it is a digest.
        let (rest, digest) = match rest.rsplit_once('@') {
            Some((rest, digest)) if digest.contains(':') && !digest.contains('/') => {
                let digest = digest
                    .parse()
                    .map_err(|()| wrong("the digest is not `sha256:` and 64 hexadecimal digits"))?;
                (rest, Some(digest))
            }
            _ => (rest, None),
        };
        let (dir, tag) = match rest.rsplit_once(':') {
            Some((dir, tag)) if !tag.contains('/') => {
                if !is_tag(tag) {
                    return Err(wrong("the tag is not one"));
                }
                (dir, Some(tag.to_owned()))
            }
            _ => (rest, None),
        };
        match dir {
            "" => Err(wrong("the folder is missing")),
            _ if dir.contains('\0') => Err(wrong("the folder has a NUL byte")),
            _ => Ok(Self { dir: PathBuf::from(dir), tag, digest }),
        }
    }
}

/// The grammar of the distribution specification.
fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

const SCHEME: &str = "oci-layout://";

const PREFIX: &str = "sha256:";

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn check(reference: &str, dir: &str, tag: Option<&str>, has_digest: bool) {
        let parsed = LayoutRef::parse(reference).unwrap();
        assert_eq!(parsed.dir, PathBuf::from(dir), "{reference}");
        assert_eq!(parsed.tag.as_deref(), tag, "{reference}");
        let digest = parsed.digest.map(|digest| digest.hex().to_owned());
        assert_eq!(digest.as_deref(), has_digest.then_some(HEX), "{reference}");
    }

    #[test]
    fn folders_tags_and_digests_are_told_apart() {
        check("oci-layout://base", "base", None, false);
        check("oci-layout:///abs/dir:1.2", "/abs/dir", Some("1.2"), false);
        check("oci-layout://../a:b/c", "../a:b/c", None, false);
        check("oci-layout://a:b/c:v1", "a:b/c", Some("v1"), false);
        check("oci-layout://me@home/x", "me@home/x", None, false);
        check("oci-layout://a@b", "a@b", None, false);
        check(&format!("oci-layout://d@sha256:{HEX}"), "d", None, true);
        check(&format!("oci-layout://d:t@sha256:{HEX}"), "d", Some("t"), true);
    }

    #[test]
    fn what_is_not_a_reference_is_refused_with_the_form() {
        for (reference, problem) in [
            ("docker-image://x", "scheme"),
            ("oci-layout:x", "scheme"),
            ("oci-layout://", "folder is missing"),
            ("oci-layout://:tag", "folder is missing"),
            ("oci-layout://d:", "tag is not one"),
            ("oci-layout://d:-t", "tag is not one"),
            ("oci-layout://d:t t", "tag is not one"),
            ("oci-layout://a\0", "NUL"),
            ("oci-layout://d@sha256:00", "digest is not"),
            ("oci-layout://d@sha512:00", "digest is not"),
        ] {
            let text = LayoutRef::parse(reference).expect_err(reference).to_string();
            assert!(text.contains(problem) && text.contains("DIR[:TAG]"), "{text}");
        }
        let long = format!("oci-layout://d:{}", "t".repeat(129));
        assert!(LayoutRef::parse(&long).is_err());
    }
}
