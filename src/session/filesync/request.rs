//! What the daemon asks for in the metadata of a DiffCopy call.

use std::{error, fmt};

/// The metadata of one DiffCopy call (BuildKit v0.32.2, session/filesync/filesync.go).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Which of the client's directories is meant: `dir-name`.
    pub name: Vec<u8>,
    /// What to send; everything if empty.
    pub include: Vec<Vec<u8>>,
    /// What not to send.
    pub exclude: Vec<Vec<u8>>,
    /// Paths that are sent together with all symlinks on the way to them.
    pub follow_paths: Vec<Vec<u8>>,
}

/// A metadata value that says it is encoded, and is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataError {
    key: &'static str,
    value: Vec<u8>,
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot decode `{}` in the daemon's `{}`", self.value.escape_ascii(), self.key)
    }
}

impl error::Error for MetadataError {}

impl Request {
    /// Picks the request out of a call's header fields; names are in lower case.
    ///
    /// Values are opaque bytes: BuildKit 0.11 sends UTF-8 as it is. Later versions escape them as
    /// in a URL query if any needs it, and say so in `<name>-encoded`.
    ///
    /// # Errors
    /// If a value that is said to be encoded has a bad escape.
    pub fn from_metadata<'a>(
        fields: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, MetadataError> {
        let mut request = Self::default();
        let mut names = Vec::new();
        let mut encoded = [false; KEYS.len()];
        for (name, value) in fields {
            let Some(at) = KEYS.iter().position(|key| name.starts_with(key)) else { continue };
            let list = match at {
                0 => &mut names,
                1 => &mut request.include,
                2 => &mut request.exclude,
                _ => &mut request.follow_paths,
            };
            match &name[KEYS[at].len()..] {
                "" => list.push(value.to_vec()),
                // Go reads the first value only, with strconv.ParseBool.
                "-encoded" => encoded[at] |= TRUE.contains(&value),
                _ => {}
            }
        }
        let lists =
            [&mut names, &mut request.include, &mut request.exclude, &mut request.follow_paths];
        for (at, list) in lists.into_iter().enumerate().filter(|&(at, _)| encoded[at]) {
            for value in list {
                *value = query_unescape(value)
                    .ok_or_else(|| MetadataError { key: KEYS[at], value: value.clone() })?;
            }
        }
        request.name = names.into_iter().next().unwrap_or_default();
        Ok(request)
    }
}

const KEYS: [&str; 4] = ["dir-name", "include-patterns", "exclude-patterns", "followpaths"];

const TRUE: [&[u8]; 6] = [b"1", b"t", b"T", b"TRUE", b"true", b"True"];

/// Go's `url.QueryUnescape`; `None` for a `%` without two hexadecimal digits.
fn query_unescape(value: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (digits, behind) = rest.split_first_chunk::<2>()?;
                rest = behind;
                hex_digit(digits[0])? << 4 | hex_digit(digits[1])?
            }
            _ => byte,
        });
    }
    Some(out)
}

fn hex_digit(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &[(&str, &[u8])], expected: Result<[&[&[u8]]; 4], &str>) {
        let got = Request::from_metadata(fields.iter().copied());
        let got = got.map(|r| [vec![r.name], r.include, r.exclude, r.follow_paths]);
        match expected {
            Ok(expected) => {
                assert_eq!(got, Ok(expected.map(|l| l.iter().map(|v| v.to_vec()).collect())))
            }
            Err(text) => assert_eq!(got.map_err(|e| e.to_string()), Err(text.to_owned())),
        }
    }

    #[test]
    fn repeated_fields_become_lists_and_strangers_are_passed_over() {
        check(
            &[
                (":path", b"/x"),
                ("dir-name", b"context"),
                ("exclude-patterns", b"a, b"),
                ("exclude-patterns", b"!c+%41"),
                ("include-patterns", b"src"),
                ("followpaths", b"bin/sh"),
                ("followpaths-x", b"no"),
                ("override-excludes", b"no"),
            ],
            Ok([&[b"context"], &[b"src"], &[b"a, b", b"!c+%41"], &[b"bin/sh"]]),
        );
    }

    #[test]
    fn raw_bytes_of_old_daemons_are_kept() {
        check(&[("include-patterns", b"caf\xe9\xff")], Ok([&[b""], &[b"caf\xe9\xff"], &[], &[]]));
    }

    #[test]
    fn only_keys_said_to_be_encoded_are_decoded_wherever_that_is_said() {
        check(
            &[
                ("include-patterns-encoded", b"1"),
                ("include-patterns", b"a+b%2F%C3%A9"),
                ("include-patterns", b"%25"),
                ("exclude-patterns", b"a+b%2F"),
                ("followpaths", b"%2f"),
                ("followpaths-encoded", b"true"),
                ("dir-name", b"%41"),
                ("dir-name-encoded", b"0"),
            ],
            Ok([&[b"%41"], &[b"a b/\xc3\xa9", b"%"], &[b"a+b%2F"], &[b"/"]]),
        );
    }

    #[test]
    fn bad_escapes_are_named() {
        for value in [&b"%"[..], b"%4", b"%4g", b"a%zz"] {
            let text = format!(
                "cannot decode `{}` in the daemon's `followpaths`",
                String::from_utf8_lossy(value)
            );
            check(&[("followpaths", value), ("followpaths-encoded", b"1")], Err(&text));
        }
    }
}
