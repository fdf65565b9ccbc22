//! apk's database of installed packages (apk-tools, `apk-package(5)`): records of `X:value` lines with a blank line between.

use super::system::{NAMES_MAX, RECORDS_MAX, Record, bare, line};

/// Where it is; the second since Alpine 3.23, where `/lib` is a link.
pub(super) const PATHS: &[&str] = &["/lib/apk/db/installed", "/usr/lib/apk/db/installed"];

/// Packages, and what is wrong with the file.
///
/// The checksum in field `C` is of a part of the archive only, so it is not a checksum of the package.
pub(super) fn records(bytes: &[u8]) -> (Vec<Record>, Option<String>) {
    let mut records = Vec::new();
    let mut problem = None;
    let mut record = Record::default();
    let mut is_open = false;
    // A blank line more ends the last record.
    for text in bytes.split(|byte| *byte == b'\n').chain([&b""[..]]) {
        if text.is_empty() {
            let finished = std::mem::take(&mut record);
            if !std::mem::take(&mut is_open) {
                continue;
            }
            if records.len() == RECORDS_MAX {
                return (records, Some(format!("has more than {RECORDS_MAX} packages")));
            }
            if finished.is_sound() {
                records.push(finished);
            } else {
                problem = Some("has a record without a sound name and version".to_owned());
            }
        } else if let [field, b':', value @ ..] = text {
            is_open = true;
            set(&mut record, *field, value);
        } else {
            problem = Some("has lines that are not `X:value`".to_owned());
        }
    }
    (records, problem)
}

fn set(record: &mut Record, field: u8, value: &[u8]) {
    match field {
        b'P' => record.name = line(value).unwrap_or_default(),
        b'V' => record.version = line(value).unwrap_or_default(),
        b'A' => record.architecture = line(value).unwrap_or_default(),
        b'L' => record.license = line(value),
        b'm' => record.supplier = line(value),
        b'o' => record.upstream = line(value).unwrap_or_default(),
        b'D' => record.requires = names(value),
        b'p' => record.provides = names(value),
        _ => {}
    }
    // Fields have an order, but nothing says so.
    if matches!(field, b'P' | b'o') && record.upstream == record.name {
        record.upstream.clear();
    }
}

/// `so:libc.musl-x86_64.so.1 busybox>=1.36 !conflict` without versions and conflicts.
fn names(value: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(value);
    let names = text.split_ascii_whitespace().filter(|name| !name.starts_with('!'));
    names.take(NAMES_MAX).map(|name| bare(name, &['<', '>', '=', '~', '@']).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    const DATABASE: &str = "C:Q1abc=\nP:musl\nV:1.2.4-r2\nA:x86_64\nS:1\nT:the musl c library: yes\nL:MIT\no:musl\nm:A B <a@b.c>\np:so:libc.musl-x86_64.so.1=1\nF:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\nZ:Q1x=\n\nP:busybox-binsh\nV:1.36.1-r5\nA:x86_64\nL:GPL-2.0-only\nD:busybox=1.36.1-r5 so:libc.musl-x86_64.so.1 !x a>=1 b~2\no:busybox\n\n";

    #[test]
    fn records_are_read() {
        let (records, problem) = records(DATABASE.as_bytes());
        assert_eq!(problem, None);
        let [musl, busybox] = records.as_slice() else { panic!("{records:?}") };
        assert_eq!((musl.name.as_str(), musl.version.as_str()), ("musl", "1.2.4-r2"));
        assert_eq!(musl.license.as_deref(), Some("MIT"));
        assert_eq!(musl.supplier.as_deref(), Some("A B <a@b.c>"));
        assert_eq!(musl.provides, ["so:libc.musl-x86_64.so.1"]);
        assert_eq!((musl.upstream.as_str(), busybox.upstream.as_str()), ("", "busybox"));
        assert_eq!(busybox.requires, ["busybox", "so:libc.musl-x86_64.so.1", "a", "b"]);
    }

    #[test]
    fn what_is_odd_is_said_and_the_rest_is_read() {
        let (found, problem) = records(b"P:a\nV:1\n\nP:b\n\nP:c\nV:2");
        assert_eq!(found.len(), 2);
        assert!(problem.unwrap().contains("sound"));
        let (found, problem) = records(b"\x7fELF\nP:a\nV:1\n");
        assert_eq!((found.len(), problem.is_some()), (1, true));
        assert_eq!(records(b""), (Vec::new(), None));
    }

    #[test]
    fn too_many_packages_are_cut() {
        let (found, problem) = records("P:a\nV:1\n\n".repeat(RECORDS_MAX + 1).as_bytes());
        assert_eq!(found.len(), RECORDS_MAX);
        assert!(problem.unwrap().contains("more than"));
    }

    #[test]
    fn mutations_are_read_or_refused() {
        mutate(DATABASE.as_bytes(), b"\n:PVDop=\x00\xff", 3_000, |bytes| drop(records(bytes)));
    }
}
