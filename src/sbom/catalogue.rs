//! Files → [`Catalogue`].

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Catalogue, Distribution, Files, Kind, Origin, Package, Problem, apk, binaries, copyright,
    distribution, dpkg, langs, rpm,
    system::{Database, Record},
    yarn,
};

/// All that the files say. What they do not say right is a [`Problem`]; never fails.
#[must_use]
pub fn catalogue(files: &Files, origin: Origin) -> Catalogue {
    let mut packages = Vec::new();
    let mut problems = files.problems.clone();
    let mut distribution = None;
    if origin == Origin::Image {
        distribution = distribution::read(files);
        for kind in [Kind::Apk, Kind::Deb, Kind::Rpm] {
            let database = read_database(kind, files, &mut problems);
            packages.extend(database.packages(kind, distribution.as_ref()));
        }
        problems.extend(unlisted_system(distribution.as_ref(), &packages, &problems));
    }
    let mut budget = binaries::budget();
    let packed = yarn::package_jsons(files, &mut budget, &mut problems);
    langs::catalogue(files, &packed, origin, &mut packages, &mut problems);
    binaries::catalogue(files, origin, &mut budget, &mut packages, &mut problems);
    assemble(packages, problems, distribution)
}

/// Adds what was seen in the build context to what is in the image: a package that the image has too is not repeated, but
/// what the context knows of its dependencies is kept.
pub fn merge(image: &mut Catalogue, context: Catalogue) {
    let purls: BTreeMap<_, _> =
        image.packages.iter().enumerate().map(|(at, package)| (identity(package), at)).collect();
    let in_image: BTreeSet<_> = image.packages.iter().map(|package| package.purl.clone()).collect();
    let mut only_context = Vec::new();
    let mut edges = Vec::new();
    for mut package in context.packages {
        match purls.get(&identity(&package)) {
            Some(at) => {
                package.depends_on.retain(|purl| in_image.contains(purl));
                edges.push((*at, package.depends_on));
            }
            None => only_context.push(Package { origin: Origin::Context, ..package }),
        }
    }
    for (at, depends_on) in edges {
        image.packages[at].depends_on.extend(depends_on);
    }
    let mut packages = std::mem::take(&mut image.packages);
    packages.extend(only_context);
    let mut problems = std::mem::take(&mut image.problems);
    problems.extend(context.problems);
    *image = assemble(packages, problems, image.distribution.take());
}

/// What makes two packages the same, wherever they were seen.
fn identity(package: &Package) -> (Kind, String, String) {
    (package.kind, package.name.clone(), package.version.clone())
}

/// Sorts, makes one package of those with the same purl, and drops dependencies on what is not there.
fn assemble(
    packages: Vec<Package>,
    mut problems: Vec<Problem>,
    distribution: Option<Distribution>,
) -> Catalogue {
    let mut by_purl: BTreeMap<String, Package> = BTreeMap::new();
    for package in packages {
        if let Some(known) = by_purl.get_mut(&package.purl) {
            join(known, package);
        } else if by_purl.len() < PACKAGES_MAX {
            by_purl.insert(package.purl.clone(), package);
        } else {
            problems.extend(package.locations.into_iter().map(|path| Problem {
                path,
                why: format!("the catalogue is full with {PACKAGES_MAX} packages"),
            }));
        }
    }
    let purls: BTreeSet<_> = by_purl.keys().cloned().collect();
    let mut packages: Vec<_> = by_purl.into_values().collect();
    for package in &mut packages {
        package.depends_on.retain(|purl| *purl != package.purl && purls.contains(purl));
    }
    packages.sort_by(|a, b| key(a).cmp(&key(b)));
    problems.sort();
    problems.dedup();
    Catalogue { packages, problems, distribution }
}

fn key(package: &Package) -> (Kind, &str, &str, &str) {
    (package.kind, &package.name, &package.version, &package.purl)
}

fn join(known: &mut Package, other: Package) {
    known.license = known.license.take().or(other.license);
    known.supplier = known.supplier.take().or(other.supplier);
    known.origin = known.origin.min(other.origin);
    known.depends_on.extend(other.depends_on);
    let room = LOCATIONS_MAX.saturating_sub(known.locations.len());
    known.locations.extend(other.locations.into_iter().take(room));
    for (algorithm, digest) in other.checksums {
        known.checksums.entry(algorithm).or_insert(digest);
    }
}

/// All files of one system of distribution packages.
fn read_database(kind: Kind, files: &Files, problems: &mut Vec<Problem>) -> Database {
    let mut database = Database::default();
    for (path, bytes) in &files.texts {
        let (mut records, why) = match kind {
            Kind::Apk if apk::PATHS.contains(&path.as_str()) => apk::records(bytes),
            Kind::Deb if is_status(path) => dpkg::records(bytes),
            Kind::Rpm if rpm::PATHS.contains(&path.as_str()) => rpm::records(path, bytes),
            _ => continue,
        };
        problems.extend(why.map(|why| Problem { path: path.clone(), why }));
        if kind == Kind::Deb {
            set_licenses(&mut records, files);
        }
        database.extend(path, records);
    }
    database
}

/// A system that says what it is, but of whose packages none is known: another package manager, or a database that was removed.
fn unlisted_system(
    distribution: Option<&Distribution>,
    packages: &[Package],
    problems: &[Problem],
) -> Option<Problem> {
    let id = &distribution?.id;
    let is_of_database = |problem: &Problem| {
        apk::PATHS.contains(&problem.path.as_str())
            || is_status(&problem.path)
            || rpm::PATHS.contains(&problem.path.as_str())
    };
    // An unreadable database is told already.
    let is_silent = packages.is_empty() && !problems.iter().any(is_of_database);
    is_silent.then(|| Problem {
        path: distribution::PATHS[0].to_owned(),
        why: format!("names the system `{id}`, but the image has no database of apk, dpkg or rpm: packages of the system are not listed"),
    })
}

fn is_status(path: &str) -> bool {
    let file = path.strip_prefix(dpkg::STATUS_FOLDER);
    path == dpkg::STATUS || file.is_some_and(|name| !name.ends_with(".md5sums"))
}

fn set_licenses(records: &mut [Record], files: &Files) {
    for record in records {
        let copyright = files.texts.get(&dpkg::copyright_path(&record.name));
        record.license = copyright.and_then(|text| copyright::license(text));
    }
}

/// Packages of one catalogue; images with everything in them have some ten thousand.
const PACKAGES_MAX: usize = 200_000;
/// Places noted of one package; the same module may be in every program of an image.
const LOCATIONS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn files(texts: &[(&str, &str)]) -> Files {
        let text = |(path, text): &(&str, &str)| ((*path).to_owned(), text.as_bytes().to_vec());
        Files { texts: texts.iter().map(text).collect(), ..Files::default() }
    }

    #[test]
    fn a_list_that_replaces_the_database_of_rpm_is_read() {
        let files = files(&[
            ("/etc/os-release", "ID=mariner\nVERSION_ID=\"2.0\"\n"),
            (
                "/var/lib/rpmmanifest/container-manifest-2",
                "mariner-release\t2.0-49.cm2\t1690000000\t1690000000\tMicrosoft Corporation\t(none)\t580\tnoarch\t0\tmariner-release-2.0-49.cm2.src.rpm\n",
            ),
        ]);
        let found = catalogue(&files, Origin::Image);
        assert_eq!(found.problems, []);
        let [package] = found.packages.as_slice() else { panic!("{found:?}") };
        assert_eq!(package.supplier.as_deref(), Some("Microsoft Corporation"));
        assert_eq!(
            package.purl,
            "pkg:rpm/mariner/mariner-release@2.0-49.cm2?arch=noarch&distro=mariner-2.0&upstream=mariner-release-2.0-49.cm2.src.rpm"
        );
    }

    #[test]
    fn a_system_without_a_known_database_is_told() {
        let problems = |texts: &[(&str, &str)]| catalogue(&files(texts), Origin::Image).problems;
        let [problem] = &*problems(&[("/usr/lib/os-release", "ID=arch\n")]) else { panic!() };
        assert!(problem.why.contains("names the system `arch`"), "{problem:?}");
        let status = "Package: a\nStatus: install ok installed\nVersion: 1\n";
        for texts in [
            &[][..],
            &[("/app/package.json", r#"{"name":"a","version":"1"}"#)],
            &[("/etc/os-release", "ID=debian\n"), ("/var/lib/dpkg/status.d/a", status)],
        ] {
            assert_eq!(problems(texts), []);
        }
        // Told once, by what is wrong with the database.
        let broken = [("/etc/os-release", "ID=fedora\n"), ("/var/lib/rpm/rpmdb.sqlite", "SQL")];
        let [problem] = &*problems(&broken) else { panic!() };
        assert_eq!(problem.path, "/var/lib/rpm/rpmdb.sqlite");
    }

    fn package(purl: &str, origin: Origin, location: &str, depends_on: &[&str]) -> Package {
        Package {
            kind: Kind::Npm,
            name: purl.to_owned(),
            version: String::new(),
            purl: purl.to_owned(),
            license: None,
            supplier: None,
            checksums: BTreeMap::new(),
            locations: BTreeSet::from([location.to_owned()]),
            origin,
            depends_on: depends_on.iter().map(|purl| (*purl).to_owned()).collect(),
        }
    }

    fn catalogue_of(packages: Vec<Package>) -> Catalogue {
        assemble(packages, Vec::new(), None)
    }

    #[test]
    fn a_debian_image_becomes_a_catalogue() {
        let files = files(&[
            ("/etc/os-release", "ID=debian\nVERSION_ID=12\n"),
            (
                "/var/lib/dpkg/status",
                "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9+deb12u9\nArchitecture: amd64\nSource: glibc\n\nPackage: bash\nStatus: install ok installed\nVersion: 5.2\nArchitecture: amd64\nDepends: libc6 (>= 2), x\n",
            ),
            ("/usr/share/doc/bash/copyright", "Format: copyright-format/1.0\nLicense: GPL-3+\n"),
            ("/var/lib/dpkg/status.d/tzdata", "Package: tzdata\nVersion: 2024a\n"),
            ("/var/lib/dpkg/status.d/tzdata.md5sums", "d41d8cd98f00b204e9800998ecf8427e  a\n"),
        ]);
        let found = catalogue(&files, Origin::Image);
        assert_eq!(found.problems, []);
        let purls: Vec<_> = found.packages.iter().map(|package| package.purl.as_str()).collect();
        let libc =
            "pkg:deb/debian/libc6@2.36-9%2Bdeb12u9?arch=amd64&distro=debian-12&upstream=glibc";
        assert_eq!(
            purls,
            [
                "pkg:deb/debian/bash@5.2?arch=amd64&distro=debian-12",
                libc,
                "pkg:deb/debian/tzdata@2024a?distro=debian-12",
            ]
        );
        assert_eq!(found.packages[0].license.as_deref(), Some("GPL-3+"));
        assert!(found.packages[0].depends_on.contains(libc));
    }

    #[test]
    fn the_same_purl_is_one_package_with_all_its_places() {
        let found = catalogue_of(vec![
            package("b", Origin::Context, "/2", &["b", "gone", "a"]),
            package("a", Origin::Image, "/1", &[]),
            package("b", Origin::Image, "/1", &[]),
        ]);
        let [a, b] = found.packages.as_slice() else { panic!("{found:?}") };
        assert_eq!((a.name.as_str(), b.origin), ("a", Origin::Image));
        assert_eq!(b.locations.iter().map(String::as_str).collect::<Vec<_>>(), ["/1", "/2"]);
        assert_eq!(b.depends_on.iter().map(String::as_str).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn the_context_adds_only_what_the_image_does_not_have() {
        let mut image = catalogue_of(vec![
            package("a", Origin::Image, "/app/a", &[]),
            package("b", Origin::Image, "/app/b", &[]),
        ]);
        let context = catalogue_of(vec![
            package("a", Origin::Image, "/lock", &["b", "c"]),
            package("b", Origin::Image, "/lock", &[]),
            package("c", Origin::Image, "/lock", &["a"]),
        ]);
        merge(&mut image, context);
        let [a, b, c] = image.packages.as_slice() else { panic!("{image:?}") };
        assert_eq!((a.origin, b.origin, c.origin), (Origin::Image, Origin::Image, Origin::Context));
        assert_eq!(a.locations.len(), 1);
        assert_eq!(a.depends_on.iter().map(String::as_str).collect::<Vec<_>>(), ["b"]);
        assert!(c.depends_on.contains("a"));
    }
}
