//! Packages of a distribution: what its database says → [`Package`]s that name each other.

use std::collections::{BTreeMap, BTreeSet};

use super::{Distribution, Kind, Origin, Package, purl::Purl};

/// A package as the database of a distribution tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) name: String,
    /// As its package manager prints it, an epoch included.
    pub(super) version: String,
    pub(super) architecture: String,
    pub(super) license: Option<String>,
    pub(super) supplier: Option<String>,
    /// The source it was built from, as the qualifier `upstream` has it; empty if it has the same name and version.
    pub(super) upstream: String,
    /// Of rpm, where a package URL has it apart; otherwise empty.
    pub(super) epoch: String,
    /// Names and capabilities; alternatives have a `|` between them.
    pub(super) requires: Vec<String>,
    /// Names and capabilities beside its own.
    pub(super) provides: Vec<String>,
}

impl Record {
    /// Whether name and version are something that a package manager would take.
    pub(super) fn is_sound(&self) -> bool {
        is_word(&self.name) && is_word(&self.version)
    }
}

/// Records of one system, with the files that they stand in.
#[derive(Default)]
pub(super) struct Database {
    pub(super) records: Vec<(Record, String)>,
}

impl Database {
    /// Notes what one file holds.
    pub(super) fn extend(&mut self, path: &str, records: Vec<Record>) {
        self.records.extend(records.into_iter().map(|record| (record, path.to_owned())));
    }

    /// The packages of an image, with whatever of their requirements is met by one of them.
    pub(super) fn packages(self, kind: Kind, distribution: Option<&Distribution>) -> Vec<Package> {
        let purls: Vec<_> =
            self.records.iter().map(|(record, _)| purl(kind, record, distribution)).collect();
        let mut depends_on = self.links(&purls);
        let mut packages = Vec::with_capacity(purls.len());
        for (at, (record, path)) in self.records.into_iter().enumerate() {
            packages.push(Package {
                kind,
                name: record.name,
                version: record.version,
                purl: purls[at].clone(),
                license: record.license,
                supplier: record.supplier,
                checksums: BTreeMap::new(),
                locations: BTreeSet::from([path]),
                origin: Origin::Image,
                depends_on: depends_on.remove(&at).unwrap_or_default(),
            });
        }
        packages
    }

    /// For each record the purls of those that meet its requirements.
    fn links(&self, purls: &[String]) -> BTreeMap<usize, BTreeSet<String>> {
        let mut providers = BTreeMap::new();
        for (at, (record, _)) in self.records.iter().enumerate() {
            providers.entry(record.name.as_str()).or_insert(at);
        }
        for (at, (record, _)) in self.records.iter().enumerate() {
            for name in &record.provides {
                providers.entry(name.as_str()).or_insert(at);
            }
        }
        let mut links: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        let mut count = 0;
        for (at, (record, _)) in self.records.iter().enumerate() {
            for alternatives in &record.requires {
                let met = alternatives.split('|').find_map(|name| providers.get(name).copied());
                let Some(met) = met.filter(|met| *met != at && count < LINKS_MAX) else { continue };
                count += usize::from(links.entry(at).or_default().insert(purls[met].clone()));
            }
        }
        links
    }
}

fn purl(kind: Kind, record: &Record, distribution: Option<&Distribution>) -> String {
    let fallback = match kind {
        Kind::Apk => "alpine",
        Kind::Deb => "debian",
        _ => "",
    };
    let namespace = match distribution.map_or(fallback, |distribution| &distribution.id) {
        // The name that "PURL types" lists for it.
        "rhel" => "redhat",
        id => id,
    };
    let version = match record.version.split_once(':') {
        Some((_, version)) if !record.epoch.is_empty() => version,
        _ => &record.version,
    };
    let distro = distribution.map(Distribution::qualifier).unwrap_or_default();
    let qualifiers = [
        ("arch", record.architecture.as_str()),
        ("distro", &distro),
        ("epoch", &record.epoch),
        ("upstream", &record.upstream),
    ];
    Purl { kind: kind.name(), namespace, name: &record.name, version, qualifiers: &qualifiers }
        .encode()
}

/// A text of one line that is worth noting.
pub(super) fn line(value: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&value[..value.len().min(LINE_BYTES_MAX)]);
    let text = text.trim();
    (!text.is_empty() && !text.contains(char::is_control)).then(|| text.to_owned())
}

/// Names without their version constraints: up to the first of `end`.
pub(super) fn bare<'a>(name: &'a str, end: &[char]) -> &'a str {
    name.split(end).next().unwrap_or(name)
}

fn is_word(text: &str) -> bool {
    let odd = |c: char| c.is_control() || c.is_whitespace();
    !text.is_empty() && text.len() <= WORD_BYTES_MAX && !text.contains(odd)
}

/// Packages that one database may hold; a full Debian desktop has 3,000.
pub(super) const RECORDS_MAX: usize = 50_000;
/// Requirements, and capabilities, that one package may name; `perl-modules` provides 400.
pub(super) const NAMES_MAX: usize = 2_000;
/// Links of one system; a full Debian desktop has 30,000.
const LINKS_MAX: usize = 200_000;
/// Longest name and longest version.
const WORD_BYTES_MAX: usize = 256;
/// Longest licence and maintainer.
const LINE_BYTES_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, requires: &[&str], provides: &[&str]) -> Record {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Record {
            name: name.to_owned(),
            version: "1".to_owned(),
            requires: owned(requires),
            provides: owned(provides),
            ..Record::default()
        }
    }

    #[test]
    fn requirements_are_met_by_names_first_and_then_by_what_is_provided() {
        let mut database = Database::default();
        database.extend(
            "/db",
            vec![
                record("a", &["virtual", "none|c", "a", "missing"], &["c"]),
                record("b", &["real"], &["virtual", "real"]),
                record("c", &[], &[]),
                record("real", &[], &[]),
            ],
        );
        let packages = database.packages(Kind::Apk, None);
        let links =
            |at: usize| packages[at].depends_on.iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(links(0), ["pkg:apk/alpine/b@1", "pkg:apk/alpine/c@1"]);
        assert_eq!(links(1), ["pkg:apk/alpine/real@1"]);
        assert!(links(2).is_empty());
        assert!(packages[0].locations.contains("/db"));
    }

    #[test]
    fn purls_name_distribution_epoch_and_source() {
        let rhel = Distribution {
            id: "rhel".to_owned(),
            version_id: "9.2".to_owned(),
            ..Distribution::default()
        };
        let record = Record {
            version: "1:3.0.7-6.el9".to_owned(),
            epoch: "1".to_owned(),
            architecture: "x86_64".to_owned(),
            upstream: "openssl-3.0.7-6.el9.src.rpm".to_owned(),
            ..record("openssl", &[], &[])
        };
        assert_eq!(
            purl(Kind::Rpm, &record, Some(&rhel)),
            "pkg:rpm/redhat/openssl@3.0.7-6.el9?arch=x86_64&distro=rhel-9.2&epoch=1&upstream=openssl-3.0.7-6.el9.src.rpm"
        );
        assert_eq!(purl(Kind::Rpm, &record, None).split('@').next(), Some("pkg:rpm/openssl"));
    }

    #[test]
    fn odd_names_are_not_sound() {
        assert!(record("a", &[], &[]).is_sound());
        for name in ["", "a b", "a\n", &"a".repeat(257)] {
            assert!(!record(name, &[], &[]).is_sound(), "{name:?}");
        }
    }

    #[test]
    fn links_of_one_system_are_bounded() {
        let names: Vec<_> = (0..600).map(|number| format!("p{number}")).collect();
        let mut database = Database::default();
        let records =
            names.iter().map(|name| Record { requires: names.clone(), ..record(name, &[], &[]) });
        database.extend("/db", records.collect());
        let packages = database.packages(Kind::Apk, None);
        let links: usize = packages.iter().map(|package| package.depends_on.len()).sum();
        assert_eq!(links, LINKS_MAX);
    }
}
