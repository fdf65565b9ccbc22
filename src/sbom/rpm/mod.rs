//! rpm's databases of installed packages: three kinds of files, which all hold the headers of packages.

mod berkeley;
mod header;
mod ndb;
mod sqlite;

use super::system::{RECORDS_MAX, Record};

/// Where they may be: SQLite (Fedora, RHEL 9), ndb (SUSE), Berkeley DB (RHEL 8 and before), and what `rpm --query` printed where
/// the database was removed (distroless images of Azure Linux).
pub(super) const PATHS: [&str; 7] = [
    "/var/lib/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/var/lib/rpm/Packages.db",
    "/usr/lib/sysimage/rpm/Packages.db",
    "/var/lib/rpm/Packages",
    "/usr/lib/sysimage/rpm/Packages",
    MANIFEST,
];

const MANIFEST: &str = "/var/lib/rpmmanifest/container-manifest-2";

/// Packages, and what is wrong with the file.
pub(super) fn records(path: &str, bytes: &[u8]) -> (Vec<Record>, Option<String>) {
    if path == MANIFEST { manifest(bytes) } else { database(bytes) }
}

/// Lines of name, version and release, time of installation, time of build, vendor, epoch, size, architecture, epoch, source
/// package (Azure Linux, `container-manifest-2`), with tabs between them.
fn manifest(bytes: &[u8]) -> (Vec<Record>, Option<String>) {
    let text = String::from_utf8_lossy(bytes);
    let absent = |field: &&str| !matches!(*field, "" | "(none)" | "0");
    let record = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let field =
            |at: usize| fields.get(at).copied().filter(absent).unwrap_or_default().to_owned();
        let record = Record {
            name: field(0),
            version: field(1),
            supplier: Some(field(4)).filter(|vendor| !vendor.is_empty()),
            architecture: field(7),
            epoch: field(8),
            upstream: field(9),
            ..Record::default()
        };
        record.is_sound().then_some(record)
    };
    let mut lines = text.lines().filter(|line| !line.is_empty()).map(record);
    let records: Vec<Record> = lines.by_ref().take(RECORDS_MAX).flatten().collect();
    let problem = records.is_empty().then(|| "lists no package".to_owned());
    (records, problem)
}

fn database(bytes: &[u8]) -> (Vec<Record>, Option<String>) {
    let mut records = Vec::new();
    let mut odd = None;
    let mut each = |header: &[u8]| match header::record(header) {
        Some(record) if records.len() < RECORDS_MAX => records.extend(software(record)),
        Some(_) => odd = Some(format!("has more than {RECORDS_MAX} packages")),
        None => odd = Some("has headers of packages that cannot be read".to_owned()),
    };
    let read = match bytes {
        [b'S', b'Q', b'L', ..] => sqlite::blobs(bytes, &mut each),
        [b'R', b'p', b'm', b'P', ..] => ndb::blobs(bytes, &mut each),
        _ => berkeley::blobs(bytes, &mut each),
    };
    let problem = read.err().or(odd);
    (records, problem)
}

/// Keys for signatures are in the database too, as if they were packages.
fn software(record: Record) -> Option<Record> {
    (record.name != "gpg-pubkey").then_some(record)
}

/// The number at `at`, little-endian.
fn u32_le(bytes: &[u8], at: usize) -> Option<u32> {
    let number = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(number.try_into().ok()?))
}

fn u16_le(bytes: &[u8], at: usize) -> Option<u16> {
    let number = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(number.try_into().ok()?))
}

/// Lets no file give more bytes than it has, so that parts that are used again and again cost no time.
struct Allowance(usize);

impl Allowance {
    fn take(&mut self, bytes: usize) -> Result<(), String> {
        self.0 = self.0.checked_sub(bytes).ok_or("has parts that are in each other")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{header::tests::openssl, *};

    #[test]
    fn all_three_kinds_of_files_give_the_same_records() {
        let headers: [&[u8]; 2] = [&openssl(), b"no header at all"];
        let files = [
            sqlite::tests::database(&headers),
            ndb::tests::database(&headers),
            berkeley::tests::database(&headers),
        ];
        for file in files {
            let (records, problem) = database(&file);
            let names: Vec<_> = records.iter().map(|record| record.name.as_str()).collect();
            assert_eq!(names, ["openssl"]);
            assert!(problem.unwrap().contains("headers"));
        }
    }

    #[test]
    fn other_files_are_said_to_be_none() {
        for bytes in [&b""[..], b"SQL", b"RpmP", b"text"] {
            let (records, problem) = database(bytes);
            assert_eq!((records.len(), problem.is_some()), (0, true));
        }
    }
}
