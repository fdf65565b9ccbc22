//! Package URLs (ECMA-427, "PURL specification").

use std::fmt::Write as _;

/// The parts of a package URL as they are, not yet encoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Purl<'a> {
    /// `deb`, `npm`; lower case.
    pub(super) kind: &'a str,
    /// `debian`, `@babel`, `github.com/gorilla`; its segments are encoded each.
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    /// May be empty.
    pub(super) version: &'a str,
    /// Keys in lower case; those with empty values are left out.
    pub(super) qualifiers: &'a [(&'a str, &'a str)],
}

impl Purl<'_> {
    /// `pkg:type/namespace/name@version?key=value`, with the keys sorted.
    pub(super) fn encode(&self) -> String {
        let mut purl = format!("pkg:{}", self.kind);
        for segment in self.namespace.split('/').filter(|segment| !segment.is_empty()) {
            purl.push('/');
            percent_encode(segment, &mut purl);
        }
        purl.push('/');
        percent_encode(self.name, &mut purl);
        if !self.version.is_empty() {
            purl.push('@');
            percent_encode(self.version, &mut purl);
        }
        let mut qualifiers: Vec<_> =
            self.qualifiers.iter().filter(|(_, value)| !value.is_empty()).collect();
        qualifiers.sort_unstable();
        for (at, (key, value)) in qualifiers.into_iter().enumerate() {
            purl.push(if at == 0 { '?' } else { '&' });
            purl.push_str(key);
            purl.push('=');
            percent_encode(value, &mut purl);
        }
        purl
    }
}

/// Everything but letters, digits, `-._~` and `:` (section "Character encoding").
fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                out.push(char::from(byte));
            }
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_encoded_and_qualifiers_sorted() {
        let purl = Purl {
            kind: "deb",
            namespace: "debian",
            name: "libstdc++6",
            version: "1:12.2.0-14+deb12u1",
            qualifiers: &[
                ("upstream", "gcc@12"),
                ("arch", "amd64"),
                ("epoch", ""),
                ("distro", "debian-12"),
            ],
        };
        assert_eq!(
            purl.encode(),
            "pkg:deb/debian/libstdc%2B%2B6@1:12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12&upstream=gcc%4012"
        );
    }

    #[test]
    fn namespaces_keep_their_slashes_and_empty_parts_vanish() {
        let purl = |kind, namespace, name, version| {
            Purl { kind, namespace, name, version, qualifiers: &[] }.encode()
        };
        assert_eq!(purl("npm", "@babel", "core", "7.0.0"), "pkg:npm/%40babel/core@7.0.0");
        assert_eq!(
            purl("golang", "github.com/gorilla", "mux", "v1.8.0"),
            "pkg:golang/github.com/gorilla/mux@v1.8.0"
        );
        assert_eq!(purl("cargo", "", "é/x", ""), "pkg:cargo/%C3%A9%2Fx");
        assert_eq!(purl("golang", "/a//b/", "c", ""), "pkg:golang/a/b/c");
    }
}
