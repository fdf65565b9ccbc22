//! SHA-256 digests and hexadecimal digits, as OCI and BuildKit write them.

use sha2::{Digest as _, Sha256};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

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
    fn digests_are_written_as_oci_writes_them() {
        assert_eq!(hex([0x00, 0x9f, 0xff]), "009fff");
        let digits = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex("abc"), digits);
        assert_eq!(sha256("abc"), format!("sha256:{digits}"));
    }
}
