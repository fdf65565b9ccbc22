//! Programs and archives → packages.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use super::{
    Files, Kind, Origin, Package, Problem, ReadAt,
    auditable::{self, Crate},
    elf::Elf,
    gobuild::{self, BuildInfo, Module},
    interest::{is_archive, is_yarn_archive},
    jar::{self, Artifact},
    purl::Purl,
    zip::Budget,
};

/// What may be read of all archives of an image together.
pub(super) fn budget() -> Budget {
    Budget { bytes: ARCHIVE_BYTES_MAX, archives: ARCHIVES_MAX }
}

/// Reads all programs and Java archives.
pub(super) fn catalogue(
    files: &Files,
    origin: Origin,
    budget: &mut Budget,
    packages: &mut Vec<Package>,
    problems: &mut Vec<Problem>,
) {
    for (path, file) in &files.binaries {
        if packages.len() >= PACKAGES_MAX {
            let why = format!("is beyond the {PACKAGES_MAX} packages that are listed");
            problems.push(Problem { path: path.clone(), why });
        } else if is_archive(path) {
            let found = jar::read(path, file.as_ref(), budget);
            packages.extend(of_artifacts(found.artifacts, origin));
            let problem = |(path, why)| Problem { path, why };
            problems.extend(found.problems.into_iter().map(problem));
        } else if file.size_bytes() >= PROGRAM_BYTES_MIN {
            match read_program(file.as_ref()) {
                Ok(Program::Go(info)) => packages.extend(of_go(info, path, origin)),
                Ok(Program::Rust(crates)) => packages.extend(of_crates(&crates, path, origin)),
                Ok(Program::Other) => {}
                Err(why) => problems.push(Problem { path: path.clone(), why }),
            }
        }
    }
}

/// Whether there is something to say of the file at `path`, were it only that it cannot be read.
pub(super) fn tells(path: &str, file: &dyn ReadAt) -> bool {
    is_archive(path)
        || is_yarn_archive(path)
        || file.size_bytes() >= PROGRAM_BYTES_MIN
            && !matches!(read_program(file), Ok(Program::Other))
}

/// What a program tells.
enum Program {
    Go(BuildInfo),
    Rust(Vec<Crate>),
    Other,
}

fn read_program(file: &dyn ReadAt) -> Result<Program, String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    let Some(elf) = Elf::read(file).map_err(unreadable)? else { return Ok(Program::Other) };
    let section = |name| elf.section(file, name, SECTION_BYTES_MAX).map_err(unreadable);
    Ok(if elf.has(gobuild::SECTION) {
        Program::Go(gobuild::parse(&section(gobuild::SECTION)?)?)
    } else if elf.has(auditable::SECTION) {
        Program::Rust(auditable::parse(&section(auditable::SECTION)?)?)
    } else {
        Program::Other
    })
}

/// The modules, Go's own library, and the program's module, which depends on them all.
///
/// The sums that Go notes are of lists of files; they count as checksums here, as no other is in use for modules.
fn of_go(info: BuildInfo, path: &str, origin: Origin) -> Vec<Package> {
    let library = Module { path: "stdlib".to_owned(), version: info.go_version, h1: None };
    let modules = info.modules.into_iter().chain(Some(library).filter(|it| !it.version.is_empty()));
    let mut packages: Vec<_> = modules.map(|module| of_module(module, path, origin)).collect();
    if let Some(main) = info.main {
        let depends_on = packages.iter().map(|package| package.purl.clone()).collect();
        packages.push(Package { depends_on, ..of_module(main, path, origin) });
    }
    packages
}

fn of_module(module: Module, path: &str, origin: Origin) -> Package {
    let (namespace, name) = module.path.rsplit_once('/').unwrap_or(("", &module.path));
    // The library is versioned without Go's prefix there.
    let version = module.version.strip_prefix("go").unwrap_or(&module.version);
    let purl = Purl { kind: "golang", namespace, name, version, qualifiers: &[] }.encode();
    Package {
        checksums: module.h1.into_iter().map(|hex| ("SHA256", hex)).collect(),
        ..package(Kind::Golang, (module.path, module.version), purl, path, origin)
    }
}

fn of_crates(crates: &[Crate], path: &str, origin: Origin) -> Vec<Package> {
    let purl = |one: &Crate| {
        let (name, version) = (one.name.as_str(), one.version.as_str());
        Purl { kind: "cargo", namespace: "", name, version, qualifiers: &[] }.encode()
    };
    let mut links = 0;
    let mut packages = Vec::with_capacity(crates.len());
    for one in crates {
        let origin = if one.is_for_build() { Origin::Context } else { origin };
        let room = LINKS_MAX - links;
        let needed = one.dependencies.iter().filter_map(|at| crates.get(*at)).take(room);
        let depends_on: BTreeSet<_> = needed.map(&purl).collect();
        links += depends_on.len();
        let id = (one.name.clone(), one.version.clone());
        packages.push(Package { depends_on, ..package(Kind::Cargo, id, purl(one), path, origin) });
    }
    packages
}

fn of_artifacts(artifacts: Vec<Artifact>, origin: Origin) -> Vec<Package> {
    let purl = |it: &Artifact| {
        let (namespace, name, version) = (&it.group, &it.name, &it.version);
        Purl { kind: "maven", namespace, name, version, qualifiers: &[] }.encode()
    };
    let purls: Vec<_> = artifacts.iter().map(purl).collect();
    let package = |(it, purl): (Artifact, &String)| {
        let id = (format!("{}:{}", it.group, it.name), it.version);
        let inside = it.contains.into_iter().filter_map(|at| purls.get(at).cloned());
        Package {
            license: it.license,
            depends_on: inside.collect(),
            ..package(Kind::Maven, id, purl.clone(), &it.location, origin)
        }
    };
    artifacts.into_iter().zip(&purls).map(package).collect()
}

fn package(
    kind: Kind,
    (name, version): (String, String),
    purl: String,
    path: &str,
    origin: Origin,
) -> Package {
    Package {
        kind,
        name,
        version,
        purl,
        license: None,
        supplier: None,
        checksums: BTreeMap::new(),
        locations: BTreeSet::from([path.to_owned()]),
        origin,
        depends_on: BTreeSet::new(),
    }
}

/// Programs made by Go begin at 1 MB, those of Rust at 300 KB; the hundreds of small ones of a distribution need no look.
const PROGRAM_BYTES_MIN: u64 = 256 * 1024;
/// The largest lists of modules have some hundred kilobytes.
const SECTION_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What is read and unpacked of all archives together, and their number.
const ARCHIVE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
const ARCHIVES_MAX: u32 = 50_000;
const PACKAGES_MAX: usize = 200_000;
/// Dependencies among the crates of one program.
const LINKS_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sbom::{elf::tests::elf, zip::tests::archive};

    fn purls(path: &str, bytes: Vec<u8>) -> (Vec<Package>, Vec<Problem>) {
        let files = Files {
            binaries: BTreeMap::from([(
                path.to_owned(),
                Box::new(bytes) as Box<dyn ReadAt + Send>,
            )]),
            ..Files::default()
        };
        let (mut packages, mut problems) = (Vec::new(), Vec::new());
        catalogue(&files, Origin::Image, &mut budget(), &mut packages, &mut problems);
        packages.sort_by(|a, b| a.purl.cmp(&b.purl));
        (packages, problems)
    }

    fn program(section: (&str, &[u8])) -> Vec<u8> {
        elf(&[(".text", &[0; PROGRAM_BYTES_MIN as usize]), section])
    }

    #[test]
    fn programs_of_go_are_their_modules() {
        let list = "mod\texample.com/app/v2\tv2.0.1\t\ndep\tgithub.com/gorilla/mux\tv1.8.0\t\n";
        let section = gobuild::tests::section(list);
        let (packages, problems) = purls("/app", program((gobuild::SECTION, &section)));
        assert_eq!(problems, []);
        let found: Vec<_> = packages.iter().map(|it| it.purl.as_str()).collect();
        assert_eq!(
            found,
            [
                "pkg:golang/example.com/app/v2@v2.0.1",
                "pkg:golang/github.com/gorilla/mux@v1.8.0",
                "pkg:golang/stdlib@1.22.1",
            ]
        );
        assert_eq!(packages[0].depends_on.len(), 2);
        assert_eq!(packages[2].version, "go1.22.1");
    }

    #[test]
    fn crates_that_only_built_are_of_the_context() {
        let json = r#"{"packages":[{"name":"a","version":"1.0.0","dependencies":[1,9]},{"name":"b","version":"2.0.0","kind":"build"}]}"#;
        let section = auditable::tests::section(json);
        let (packages, problems) = purls("/app", program((auditable::SECTION, &section)));
        assert_eq!(problems, []);
        let found: Vec<_> = packages.iter().map(|it| (it.purl.as_str(), it.origin)).collect();
        assert_eq!(
            found,
            [("pkg:cargo/a@1.0.0", Origin::Image), ("pkg:cargo/b@2.0.0", Origin::Context)]
        );
        assert!(packages[0].depends_on.contains("pkg:cargo/b@2.0.0"));
    }

    #[test]
    fn archives_are_their_artifacts() {
        let inner = archive(&[]);
        let fat = archive(&[("BOOT-INF/lib/spring-core-6.0.jar", &inner, false)]);
        let (packages, _) = purls("/app.jar", fat);
        let found: Vec<_> = packages.iter().map(|it| it.purl.as_str()).collect();
        assert_eq!(found, ["pkg:maven/app/app", "pkg:maven/org.springframework/spring-core@6.0"]);
        assert!(packages[0].depends_on.contains(found[1]));
        assert_eq!(packages[1].name, "org.springframework:spring-core");
    }

    #[test]
    fn what_cannot_be_read_is_said_and_small_programs_are_left() {
        let (_, problems) = purls("/app", program((gobuild::SECTION, b"x")));
        assert_eq!(problems[0].path, "/app");
        let (packages, problems) = purls("/app.jar", b"no archive".to_vec());
        assert_eq!((packages.len(), problems.len()), (0, 1));
        let (_, problems) = purls("/app", elf(&[(gobuild::SECTION, b"x")]));
        assert_eq!(problems, []);
        let [broken, other] = [gobuild::SECTION, ".data"].map(|name| program((name, b"x")));
        assert!(tells("/app", &broken) && !tells("/app", &other));
        assert!(tells("/app.jar", &Vec::new()) && !tells("/app", &Vec::new()));
    }
}
