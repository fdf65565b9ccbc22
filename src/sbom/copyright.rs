//! Machine-readable `debian/copyright` files (copyright-format 1.0, formerly DEP-5) → one licence expression.

use std::collections::BTreeSet;

/// The licences of the files of a package, all of which apply; `None` if the file is not machine-readable.
///
/// The packaging itself (`Files: debian/*`) counts only where nothing else is said.
pub(super) fn license(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(COPYRIGHT_BYTES_MAX)]);
    let mut paragraphs = text.split("\n\n").map(paragraph);
    let is_format = |paragraph: &Paragraph<'_>| {
        let known = ["copyright-format", "dep5", "DEP-5"];
        paragraph.format.is_some_and(|format| known.iter().any(|name| format.contains(name)))
    };
    let header = paragraphs.next().filter(is_format)?;
    let mut licenses = BTreeSet::new();
    let mut of_packaging = BTreeSet::new();
    for paragraph in std::iter::once(header).chain(paragraphs) {
        let Some(name) = paragraph.license.filter(|name| !name.is_empty()) else { continue };
        match paragraph.files {
            Some(files)
                if files.split_ascii_whitespace().all(|file| file.starts_with("debian/")) =>
            {
                of_packaging.insert(expression(name));
            }
            Some(_) => drop(licenses.insert(expression(name))),
            None if paragraph.format.is_some() => drop(licenses.insert(expression(name))),
            // A paragraph of its own has the text of a licence that others name.
            None => {}
        }
    }
    let licenses = if licenses.is_empty() { of_packaging } else { licenses };
    let is_single = licenses.len() == 1;
    let clauses = licenses.into_iter().map(|name| match name.contains(" OR ") && !is_single {
        true => format!("({name})"),
        false => name,
    });
    let license = clauses.collect::<Vec<_>>().join(" AND ");
    (!license.is_empty() && license.len() <= LICENSE_BYTES_MAX).then_some(license)
}

/// The fields wanted of a paragraph.
#[derive(Default)]
struct Paragraph<'a> {
    format: Option<&'a str>,
    files: Option<&'a str>,
    license: Option<&'a str>,
}

fn paragraph(text: &str) -> Paragraph<'_> {
    let mut paragraph = Paragraph::default();
    for line in text.lines().filter(|line| !line.starts_with([' ', '\t', '#'])) {
        let Some((field, value)) = line.split_once(':') else { continue };
        let value = Some(value.trim());
        match field {
            "Format" | "Format-Specification" => paragraph.format = value,
            "Files" => paragraph.files = value,
            "License" => paragraph.license = value,
            _ => {}
        }
    }
    paragraph
}

/// `GPL-2+ with OpenSSL exception or Expat, and BSD` → operators as SPDX writes them, one word for each name.
fn expression(name: &str) -> String {
    let words: Vec<_> = name.split([' ', '\t', ',']).filter(|word| !word.is_empty()).collect();
    let mut out = String::with_capacity(name.len());
    for (at, word) in words.iter().enumerate() {
        let operator = match *word {
            "and" | "or" if at > 0 && at + 1 < words.len() => word.to_uppercase(),
            "with" if at > 0 && at + 1 < words.len() => "WITH".to_owned(),
            _ => String::new(),
        };
        let follows_operator =
            out.ends_with(" AND ") || out.ends_with(" OR ") || out.ends_with(" WITH ");
        if !operator.is_empty() && !follows_operator {
            out = format!("{out} {operator} ");
        } else {
            if !out.is_empty() && !follows_operator {
                out.push('-');
            }
            out.push_str(word);
        }
    }
    out
}

/// The longest of Debian have two megabytes; what stands behind is not read.
const COPYRIGHT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Packages that bundle very much name some dozens of licences.
const LICENSE_BYTES_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    const COPYRIGHT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: x\n\nFiles: *\nCopyright: 2020 A\nLicense: GPL-2+ with OpenSSL exception\n text\n .\n License: no\n\nFiles: b/* c\nLicense: Expat or GPL-3+\n\nFiles: debian/*\nLicense: Zlib\n\nLicense: Expat\n Permission is\n";

    #[test]
    fn licences_of_all_files_apply_but_not_those_of_the_packaging() {
        assert_eq!(
            license(COPYRIGHT.as_bytes()).unwrap(),
            "(Expat OR GPL-3+) AND GPL-2+ WITH OpenSSL-exception"
        );
        let packaging =
            "Format: http://dep.debian.net/deps/dep5/\n\nFiles: debian/*\nLicense: MIT\n";
        assert_eq!(license(packaging.as_bytes()).unwrap(), "MIT");
        assert_eq!(license(b"Format: copyright-format/1.0\nLicense: MIT\n").unwrap(), "MIT");
    }

    #[test]
    fn prose_gives_no_licence() {
        assert_eq!(license(b"This package was debianized by\nLicense: GPL\n"), None);
        assert_eq!(license(b""), None);
        assert_eq!(license(b"Format: copyright-format/1.0\n"), None);
    }

    #[test]
    fn operators_stand_between_names() {
        let check = |name, want| assert_eq!(expression(name), want, "{name}");
        check("GPL-2+, and BSD-3-clause", "GPL-2+ AND BSD-3-clause");
        check("or", "or");
        check("A or or B", "A OR or-B");
        check("A or", "A-or");
        check("public domain", "public-domain");
    }

    #[test]
    fn mutations_are_read_or_refused() {
        mutate(COPYRIGHT.as_bytes(), b"\n: ,or", 3_000, |bytes| drop(license(bytes)));
    }
}
