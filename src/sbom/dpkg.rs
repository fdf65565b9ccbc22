//! dpkg's database (dpkg(1), deb-control(5)): paragraphs of `Field: value` lines in `status`, or one file each in `status.d`
//! as distroless images have it; licences come from `copyright` files.

use super::system::{NAMES_MAX, RECORDS_MAX, Record, bare, line};

/// The database itself.
pub(super) const STATUS: &str = "/var/lib/dpkg/status";
/// A file for each package.
pub(super) const STATUS_FOLDER: &str = "/var/lib/dpkg/status.d/";
const DOC_FOLDER: &str = "/usr/share/doc/";

/// Where the licences of a package are.
pub(super) fn copyright_path(package: &str) -> String {
    format!("{DOC_FOLDER}{package}/copyright")
}

/// Packages whose files are there, and what is wrong with the file.
pub(super) fn records(bytes: &[u8]) -> (Vec<Record>, Option<String>) {
    let mut records = Vec::new();
    let mut problem = None;
    let mut paragraph = Paragraph::default();
    // A blank line more ends the last paragraph.
    for text in bytes.split(|byte| *byte == b'\n').chain([&b""[..]]) {
        if !text.trim_ascii().is_empty() {
            if !paragraph.add(text) {
                problem = Some("has lines that are not `Field: value`".to_owned());
            }
            continue;
        }
        let finished = std::mem::take(&mut paragraph);
        if !finished.is_open || finished.is_gone {
            continue;
        }
        if records.len() == RECORDS_MAX {
            return (records, Some(format!("has more than {RECORDS_MAX} packages")));
        }
        if finished.record.is_sound() {
            records.push(finished.record);
        } else {
            problem = Some("has a paragraph without a sound name and version".to_owned());
        }
    }
    (records, problem)
}

/// What was read of one paragraph.
#[derive(Default)]
struct Paragraph {
    record: Record,
    is_open: bool,
    /// dpkg knows the package, but its files are not there.
    is_gone: bool,
}

impl Paragraph {
    /// Reads a line; whether it may stand in a paragraph.
    fn add(&mut self, text: &[u8]) -> bool {
        self.is_open = true;
        if matches!(text[0], b' ' | b'\t') {
            // None of the fields wanted here goes on in the next line.
            return true;
        }
        let Some(colon) = text.iter().position(|byte| *byte == b':') else { return false };
        let (field, value) = (&text[..colon], &text[colon + 1..]);
        let record = &mut self.record;
        match field {
            b"Package" => record.name = line(value).unwrap_or_default(),
            b"Version" => record.version = line(value).unwrap_or_default(),
            b"Architecture" => record.architecture = line(value).unwrap_or_default(),
            b"Maintainer" => record.supplier = line(value),
            b"Source" => record.upstream = source(&line(value).unwrap_or_default()),
            b"Depends" | b"Pre-Depends" => add_names(value, &mut record.requires),
            b"Provides" => add_names(value, &mut record.provides),
            b"Status" => self.is_gone = !has_files(value),
            _ => {}
        }
        true
    }
}

/// `install ok installed`: the third word is the state, and in these the files are unpacked (dpkg(1), "Package states").
fn has_files(status: &[u8]) -> bool {
    let state = status.split(|byte| *byte == b' ').rfind(|word| !word.is_empty());
    let present: [&[u8]; 5] =
        [b"installed", b"unpacked", b"half-configured", b"triggers-awaited", b"triggers-pending"];
    state.is_some_and(|state| present.contains(&state.trim_ascii()))
}

/// `gcc-12 (12.2.0-14)` → `gcc-12@12.2.0-14`.
fn source(value: &str) -> String {
    match value.split_once(" (") {
        Some((name, version)) => format!("{name}@{}", version.trim_end_matches(')')),
        None => value.to_owned(),
    }
}

/// `libc6 (>= 2.34), debconf:any | debconf-2.0` without versions and architectures.
fn add_names(value: &[u8], names: &mut Vec<String>) {
    let text = String::from_utf8_lossy(value);
    let name = |text: &str| bare(text.trim(), &[' ', '(', ':', '[']).to_owned();
    let room = NAMES_MAX.saturating_sub(names.len());
    names.extend(text.split(',').take(room).map(|alternatives| {
        let alternatives: Vec<_> = alternatives.split('|').take(NAMES_MAX).map(name).collect();
        alternatives.join("|")
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    const STATUS: &str = "Package: libc6\nStatus: install ok installed\nMaintainer: GNU Libc Maintainers <d@l.d.o>\nArchitecture: amd64\nMulti-Arch: same\nSource: glibc\nVersion: 2.36-9+deb12u9\nReplaces: x\nDepends: libgcc-s1, libcrypt1 (>= 1:4.4.10-10~)\nConffiles:\n /etc/ld.so.conf.d/x.conf d4e7a7b88a71b5ffd9e2644e71a0cfab\nDescription: GNU C Library\n Contains\n .\n more: text\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: libgcc-s1\nStatus: install ok triggers-pending\nSource: gcc-12 (12.2.0-14)\nVersion: 12.2.0-14+b1\nArchitecture: amd64\nPre-Depends: a | b:any (= 1)\nProvides: libgcc1 (= 1:12.2.0-14)\n";

    #[test]
    fn packages_whose_files_are_there_are_read() {
        let (records, problem) = records(STATUS.as_bytes());
        assert_eq!(problem, None);
        let [libc, libgcc] = records.as_slice() else { panic!("{records:?}") };
        assert_eq!((libc.name.as_str(), libc.version.as_str()), ("libc6", "2.36-9+deb12u9"));
        assert_eq!((libc.architecture.as_str(), libc.upstream.as_str()), ("amd64", "glibc"));
        assert_eq!(libc.requires, ["libgcc-s1", "libcrypt1"]);
        assert_eq!(libc.supplier.as_deref(), Some("GNU Libc Maintainers <d@l.d.o>"));
        assert_eq!(libgcc.upstream, "gcc-12@12.2.0-14");
        assert_eq!(
            (libgcc.requires.as_slice(), libgcc.provides.as_slice()),
            (&["a|b".to_owned()][..], &["libgcc1".to_owned()][..])
        );
    }

    #[test]
    fn distroless_paragraphs_have_no_status() {
        let (records, problem) = records(b"Package: base-files\nVersion: 12.4\n");
        assert_eq!((records.len(), problem), (1, None));
    }

    #[test]
    fn what_is_odd_is_said_and_the_rest_is_read() {
        let (found, problem) = records(b"Package: a\n\nPackage: b\nVersion: 1\n");
        assert_eq!((found.len(), problem.is_some()), (1, true));
        let (found, problem) = records(b"\x00\x01\x02\nPackage: b\nVersion: 1\n");
        assert_eq!((found.len(), problem.is_some()), (1, true));
    }

    #[test]
    fn mutations_are_read_or_refused() {
        mutate(STATUS.as_bytes(), b"\n: |(,)\x00\xff", 3_000, |bytes| drop(records(bytes)));
    }
}
