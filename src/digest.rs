//! SHA-256 digests and hexadecimal digits, as OCI and BuildKit write them.

use sha2::{Digest as _, Sha256};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Text of a peer that is `sha256:` and 64 lower-case hexadecimal digits, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Digest(String);

impl Digest {
    /// `None` for what is no such digest.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256:")?;
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (digits.len() == 64 && digits.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    /// `sha256:…`
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The 64 digits.
    pub(crate) fn digits(&self) -> &str {
        &self.0["sha256:".len()..]
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref();
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// The SHA-256 of data, as 64 hexadecimal digits.
pub(crate) fn sha256_hex(data: impl AsRef<[u8]>) -> String {
    hex(Sha256::digest(data))
}

/// The digest of data, as `sha256:` and 64 hexadecimal digits.
pub(crate) fn sha256(data: impl AsRef<[u8]>) -> String {
    named(Sha256::digest(data))
}

/// A SHA-256 that is known, as `sha256:` and its hexadecimal digits.
pub(crate) fn named(hash: impl AsRef<[u8]>) -> String {
    format!("sha256:{}", hex(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_a_digest_is_taken_for_one() {
        let digits = "0123456789abcdef".repeat(4);
        let good = format!("sha256:{digits}");
        assert_eq!(Digest::parse(&good).unwrap().digits(), digits);
        for bad in [
            String::new(),
            digits.clone(),
            format!("sha256:{}", digits.to_uppercase()),
            format!("sha256:{}", &digits[1..]),
            format!("{good}0"),
            format!("{good}\n"),
            format!("sha512:{digits}"),
            format!("sha256:../{}", &digits[3..]),
            format!("sha256:{}é", &digits[2..]),
            "../../../../c".to_owned(),
        ] {
            assert_eq!(Digest::parse(&bad), None, "{bad:?}");
        }
    }

    #[test]
    fn digests_are_written_as_oci_writes_them() {
        assert_eq!(hex([0x00, 0x9f, 0xff]), "009fff");
        let digits = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex("abc"), digits);
        assert_eq!(sha256("abc"), format!("sha256:{digits}"));
    }
}
