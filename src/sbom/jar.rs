//! Java archives, and the archives in them → the artifacts that they are made of.
//!
//! Maven leaves `pom.properties` and `pom.xml`; other builds leave a manifest (JAR File Specification) at best, and the file's
//! name.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ReadAt,
    interest::is_archive,
    pieces::{Blocks, Part},
    zip::{self, Budget, Entry},
};
use crate::manifest;

/// What was found in one archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Artifact {
    pub(super) group: String,
    pub(super) name: String,
    /// May be empty.
    pub(super) version: String,
    pub(super) license: Option<String>,
    /// `/app/app.jar!/BOOT-INF/lib/a-1.0.jar`.
    pub(super) location: String,
    /// Places in the same list of what is inside.
    pub(super) contains: Vec<usize>,
}

/// What was found, and what could not be read.
#[derive(Default)]
pub(super) struct Found {
    pub(super) artifacts: Vec<Artifact>,
    /// Place and reason.
    pub(super) problems: Vec<(String, String)>,
}

/// Reads an archive and those in it.
pub(super) fn read(path: &str, file: &dyn ReadAt, budget: &mut Budget) -> Found {
    let mut found = Found::default();
    let blocks = Blocks::new(file);
    read_archive(path, &blocks, 0, budget, &mut found);
    found
}

/// The place of what the archive itself is.
fn read_archive(
    path: &str,
    file: &dyn ReadAt,
    depth: usize,
    budget: &mut Budget,
    found: &mut Found,
) -> Option<usize> {
    let result = budget
        .archives
        .checked_sub(1)
        .ok_or_else(|| "is beyond the number of archives that are read".to_owned())
        .and_then(|left| {
            budget.archives = left;
            zip::entries(file, budget, is_wanted)
        });
    let entries = match result {
        Ok(entries) => entries,
        Err(why) => {
            found.problem(path, why);
            return None;
        }
    };
    let texts = read_texts(path, file, &entries, budget, found);
    let mut inside = Vec::new();
    for entry in entries.iter().filter(|entry| is_archive(&entry.name)) {
        let location = format!("{path}!/{}", entry.name);
        if depth == DEPTH_MAX {
            found.problem(&location, format!("is nested more than {DEPTH_MAX} times"));
        } else {
            inside.extend(read_nested(&location, file, entry, depth + 1, budget, found));
        }
    }
    let (main, others) = artifacts(file_name(path), texts);
    for other in others {
        inside.push(found.artifacts.len());
        found.artifacts.push(Artifact { location: path.to_owned(), ..other });
    }
    let main = main?;
    found.artifacts.push(Artifact { location: path.to_owned(), contains: inside, ..main });
    Some(found.artifacts.len() - 1)
}

/// What an archive says about itself and about what is packed into it.
fn read_texts(
    path: &str,
    file: &dyn ReadAt,
    entries: &[Entry],
    budget: &mut Budget,
    found: &mut Found,
) -> Texts {
    let mut texts = Texts::default();
    // Properties have the version that the build computed; a model may have a variable there, so it is read only without them.
    let folders = entries.iter().filter_map(|entry| entry.name.strip_suffix(POM_PROPERTIES));
    let told: BTreeSet<&str> = folders.collect();
    for entry in entries.iter().filter(|entry| !is_archive(&entry.name)) {
        let folder_of_model = entry.name.strip_suffix(POM_XML);
        if folder_of_model.is_some_and(|folder| told.contains(folder)) {
            continue;
        }
        match zip::content(file, entry, TEXT_BYTES_MAX, budget) {
            Ok(bytes) if entry.name == MANIFEST => texts.manifest = main_section(&bytes),
            Ok(bytes) if folder_of_model.is_some() => texts.poms.extend(pom_xml(&bytes)),
            Ok(bytes) => texts.poms.extend(pom(&bytes)),
            Err(why) => found.problem(path, why),
        }
    }
    texts
}

fn read_nested(
    path: &str,
    file: &dyn ReadAt,
    entry: &Entry,
    depth: usize,
    budget: &mut Budget,
    found: &mut Found,
) -> Option<usize> {
    let result = zip::stored(file, entry).and_then(|stored| match stored {
        Some(stored) => Ok((Some(stored), Vec::new())),
        None => Ok((None, zip::content(file, entry, NESTED_BYTES_MAX, budget)?)),
    });
    match result {
        Ok((Some((offset, size)), _)) => {
            read_archive(path, &Part { file, offset, size }, depth, budget, found)
        }
        Ok((None, bytes)) => read_archive(path, &bytes, depth, budget, found),
        Err(why) => {
            found.problem(path, why);
            None
        }
    }
}

impl Found {
    fn problem(&mut self, path: &str, why: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push((path.to_owned(), why));
        }
    }
}

fn is_wanted(name: &str) -> bool {
    let is_pom = || {
        let inside = name.strip_prefix("META-INF/maven/")?;
        let pom = inside.strip_suffix(POM_PROPERTIES).or_else(|| inside.strip_suffix(POM_XML))?;
        (pom.split('/').count() == 2).then_some(())
    };
    name == MANIFEST || is_archive(name) || is_pom().is_some()
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// What an archive says about itself.
#[derive(Default)]
struct Texts {
    manifest: BTreeMap<String, String>,
    poms: Vec<Artifact>,
}

/// What the archive is, and what was packed into it without being an archive of its own.
fn artifacts(file_name: &str, texts: Texts) -> (Option<Artifact>, Vec<Artifact>) {
    let Texts { manifest, mut poms } = texts;
    let stem = file_name.rsplit_once('.').map_or(file_name, |(stem, _)| stem);
    let names_file = |pom: &Artifact| {
        let rest = stem.strip_prefix(pom.name.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    };
    // Of several that fit, the longest name fits best: `spring-core` before `spring`.
    let best =
        (0..poms.len()).filter(|at| names_file(&poms[*at])).max_by_key(|at| poms[*at].name.len());
    let at = best.or_else(|| (poms.len() == 1).then_some(0));
    let license = manifest.get("Bundle-License").map(|text| first_license(text).to_owned());
    let main = match at.map(|at| poms.swap_remove(at)) {
        Some(pom) if pom.version.is_empty() => {
            let version = from_manifest(stem, &manifest).map(|found| found.version);
            Some(Artifact { version: version.unwrap_or_default(), ..pom })
        }
        Some(pom) => Some(pom),
        None => from_manifest(stem, &manifest),
    };
    poms.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
    let license = license.filter(|text| !text.is_empty());
    (main.map(|main| Artifact { license, ..main }), poms)
}

fn from_manifest(stem: &str, manifest: &BTreeMap<String, String>) -> Option<Artifact> {
    let (name, version) = name_and_version(stem);
    let attribute = |names: &[&str]| {
        names.iter().filter_map(|name| manifest.get(*name)).find(|value| is_word(value)).cloned()
    };
    let stated =
        || attribute(&["Implementation-Version", "Bundle-Version", "Specification-Version"]);
    let (group, name) = match bundle((name, version), manifest) {
        Some((group, name)) => (group.to_owned(), name),
        None => (group(name, manifest), name),
    };
    let version = Some(version.to_owned()).filter(|v| !v.is_empty()).or_else(stated);
    let artifact = Artifact {
        group,
        name: name.to_owned(),
        version: version.unwrap_or_default(),
        ..Artifact::default()
    };
    artifact.is_sound().then_some(artifact)
}

/// `a-b-1.2.3-jre` → `a-b` and `1.2.3-jre`; OSGi repositories write `a.b_1.2.3`.
fn name_and_version(stem: &str) -> (&str, &str) {
    let begins_version =
        |(at, _): &(usize, &str)| stem.as_bytes().get(at + 1).is_some_and(u8::is_ascii_digit);
    match stem.match_indices(['-', '_']).find(begins_version) {
        Some((at, _)) => (&stem[..at], &stem[at + 1..]),
        None => (stem, ""),
    }
}

/// Group and name by which OSGi knows a bundle (OSGi Core, `Bundle-SymbolicName`): Maven makes the symbolic name of both. A
/// file whose name has a version is called by its artifact; any other may be called anything.
fn bundle<'a>(
    (name, version): (&'a str, &str),
    manifest: &'a BTreeMap<String, String>,
) -> Option<(&'a str, &'a str)> {
    let symbolic = manifest.get("Bundle-SymbolicName")?.split(';').next()?.trim();
    let of_file = symbolic.strip_suffix(name).and_then(|group| group.strip_suffix('.'));
    let (parent, last) = symbolic.rsplit_once('.')?;
    let group = of_file.unwrap_or(parent);
    let name = if of_file.is_some() || !version.is_empty() { name } else { last };
    (is_word(group) && group.contains('.')).then_some((group, name))
}

/// What the manifest says, what is known of archives that say nothing, or the name again, as Maven once had it.
fn group(name: &str, manifest: &BTreeMap<String, String>) -> String {
    let of_vendor = manifest.get("Implementation-Vendor-Id");
    let stated = of_vendor.filter(|group| is_word(group) && group.contains('.'));
    let known =
        || GROUPS.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, group)| *group);
    stated.map(String::as_str).or_else(known).unwrap_or(name).to_owned()
}

/// The first of a list with commas, without its parameters (OSGi Core, `Bundle-License`).
fn first_license(text: &str) -> &str {
    let first =
        if text.contains("://") { text.split([',', ';']).next() } else { text.split(';').next() };
    first.unwrap_or_default().trim()
}

impl Artifact {
    fn is_sound(&self) -> bool {
        let version_is_plain = self.version.is_empty() || is_word(&self.version);
        is_word(&self.group) && is_word(&self.name) && version_is_plain
    }
}

fn is_word(text: &str) -> bool {
    let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '/' | ':' | '$' | '{');
    !text.is_empty() && text.len() <= WORD_BYTES_MAX && !text.contains(odd)
}

/// `key=value` lines (`java.util.Properties`).
fn pom(bytes: &[u8]) -> Option<Artifact> {
    let text = String::from_utf8_lossy(bytes);
    let mut artifact = Artifact::default();
    for line in text.lines().filter(|line| !line.starts_with(['#', '!'])) {
        let Some((key, value)) = line.split_once(['=', ':']) else { continue };
        let value = value.trim().to_owned();
        match key.trim() {
            "groupId" => artifact.group = value,
            "artifactId" => artifact.name = value,
            "version" => artifact.version = value,
            _ => {}
        }
    }
    artifact.is_sound().then_some(artifact)
}

/// A model of Maven: group and version may be those of its parent. A version with a variable in it is left empty.
fn pom_xml(bytes: &[u8]) -> Option<Artifact> {
    let project = manifest::xml(&String::from_utf8_lossy(bytes)).ok()?;
    let own = |name| project.text_at(&[name]).map(str::to_owned);
    let inherited =
        |name| own(name).or_else(|| project.text_at(&["parent", name]).map(str::to_owned));
    let artifact = Artifact {
        group: inherited("groupId")?,
        name: own("artifactId")?,
        version: inherited("version").filter(|version| is_word(version)).unwrap_or_default(),
        ..Artifact::default()
    };
    artifact.is_sound().then_some(artifact)
}

/// The main section: `Name: value` lines, which go on in lines that begin with a space.
fn main_section(bytes: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(bytes);
    let mut attributes: Vec<(&str, String)> = Vec::new();
    for line in text.lines().take_while(|line| !line.is_empty()) {
        if let Some(more) = line.strip_prefix(' ') {
            if let Some((_, value)) = attributes.last_mut() {
                value.push_str(more);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            attributes.push((name, value.trim_start().to_owned()));
        }
    }
    let named = |(name, value): (&str, String)| (name.to_owned(), value.trim_end().to_owned());
    attributes.into_iter().map(named).collect()
}

const POM_PROPERTIES: &str = "/pom.properties";
const POM_XML: &str = "/pom.xml";
const MANIFEST: &str = "META-INF/MANIFEST.MF";

/// Groups of archives without any metadata, by how their names begin; the more particular ones come first.
const GROUPS: &[(&str, &str)] = &[
    ("spring-boot", "org.springframework.boot"),
    ("spring-cloud", "org.springframework.cloud"),
    ("spring-data", "org.springframework.data"),
    ("spring-security", "org.springframework.security"),
    ("spring-", "org.springframework"),
    ("kotlin-", "org.jetbrains.kotlin"),
    ("kotlinx-coroutines", "org.jetbrains.kotlinx"),
    ("micrometer-", "io.micrometer"),
    ("reactor-core", "io.projectreactor"),
    ("tomcat-embed", "org.apache.tomcat.embed"),
    ("asm-", "org.ow2.asm"),
];

/// An archive in an archive in an archive in an archive is the last that is read.
const DEPTH_MAX: usize = 3;
/// Manifests with checksums of all classes have some megabytes.
const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Packed archives are unpacked in memory.
const NESTED_BYTES_MAX: usize = 128 * 1024 * 1024;
const WORD_BYTES_MAX: usize = 256;
/// Problems noted of one archive.
const PROBLEMS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        mutation::mutate,
        sbom::zip::tests::{archive, budget},
    };

    fn names(path: &str, bytes: &Vec<u8>) -> Vec<String> {
        let found = read(path, bytes, &mut budget());
        assert_eq!(found.problems, []);
        let mut names: Vec<_> = found
            .artifacts
            .iter()
            .map(|it| format!("{}:{}:{} {}", it.group, it.name, it.version, it.location))
            .collect();
        names.sort();
        names
    }

    const POM: &[u8] = b"#Generated\ngroupId=com.example\nartifactId=a\nversion=1.0\n";

    #[test]
    fn pom_properties_say_what_an_archive_is_and_what_is_packed_into_it() {
        let other = b"groupId: org.x\nartifactId: shaded\nversion: 2";
        let jar = archive(&[
            ("META-INF/maven/com.example/a/pom.properties", POM, true),
            ("META-INF/maven/org.x/shaded/pom.properties", other, false),
            ("META-INF/maven/odd/pom.properties", POM, true),
        ]);
        assert_eq!(
            names("/l/a-1.0.jar", &jar),
            ["com.example:a:1.0 /l/a-1.0.jar", "org.x:shaded:2 /l/a-1.0.jar"]
        );
        let found = read("/l/a-1.0.jar", &jar, &mut budget());
        assert_eq!(found.artifacts.last().unwrap().contains.len(), 1);
    }

    #[test]
    fn a_model_counts_where_maven_left_no_properties() {
        let model = |version: &str| {
            format!(
                "<project><parent><groupId>io.micronaut</groupId><version>4.5.0</version></parent><artifactId>core</artifactId>{version}</project>"
            )
        };
        let inherited = model("");
        let variable = model("<version>${revision}</version>");
        let of = |path: &str, entries: &[(&str, &[u8], bool)]| names(path, &archive(entries));
        let place = "META-INF/maven/io.micronaut/core/pom.xml";
        assert_eq!(
            of(
                "/core.jar",
                &[
                    (place, inherited.as_bytes(), true),
                    (MANIFEST, b"Implementation-Title: other\n", true)
                ]
            ),
            ["io.micronaut:core:4.5.0 /core.jar"]
        );
        assert_eq!(
            of("/core-7.jar", &[(place, variable.as_bytes(), true)]),
            ["io.micronaut:core:7 /core-7.jar"]
        );
        let both = "META-INF/maven/com.example/a/pom.xml";
        let other = b"<project><groupId>com.example</groupId><artifactId>a</artifactId><version>9</version></project>";
        assert_eq!(
            of(
                "/a-1.0.jar",
                &[(both, other, true), ("META-INF/maven/com.example/a/pom.properties", POM, true)]
            ),
            ["com.example:a:1.0 /a-1.0.jar"]
        );
        assert_eq!(of("/a-1.0.jar", &[(place, b"<project>", true)]), ["a:a:1.0 /a-1.0.jar"]);
    }

    #[test]
    fn bundles_are_known_by_their_symbolic_name() {
        let of = |path: &str, manifest: &str| {
            names(path, &archive(&[(MANIFEST, manifest.as_bytes(), true)]))
        };
        for (path, symbolic, expected) in [
            (
                "/osgi.jar",
                "org.eclipse.jetty.util;singleton:=true",
                "org.eclipse.jetty:util:12.0.1",
            ),
            (
                "/log4j-api-2.17.jar",
                "org.apache.logging.log4j.api",
                "org.apache.logging.log4j:log4j-api:2.17",
            ),
            (
                "/org.eclipse.osgi_3.18.0.jar",
                "org.eclipse.osgi",
                "org.eclipse:org.eclipse.osgi:3.18.0",
            ),
            ("/plain.jar", "plain", "plain:plain:12.0.1"),
        ] {
            let manifest = format!("Bundle-SymbolicName: {symbolic}\nBundle-Version: 12.0.1\n");
            assert_eq!(of(path, &manifest), [format!("{expected} {path}")]);
        }
    }

    #[test]
    fn archives_without_poms_are_known_by_manifest_and_name() {
        let of = |path: &str, manifest: &str| {
            names(path, &archive(&[(MANIFEST, manifest.as_bytes(), true)]))
        };
        assert_eq!(
            of(
                "/jackson-core-2.15.0.jar",
                "Bundle-SymbolicName: com.fasterxml.jackson.core.jack\r\n son-core;x=y\r\n"
            ),
            ["com.fasterxml.jackson.core:jackson-core:2.15.0 /jackson-core-2.15.0.jar"]
        );
        assert_eq!(
            of("/app.jar", "Implementation-Version: 3\n\nName: x\nBundle-Version: 9\n"),
            ["app:app:3 /app.jar"]
        );
        assert_eq!(
            of("/spring-core-5.3.jar", ""),
            ["org.springframework:spring-core:5.3 /spring-core-5.3.jar"]
        );
        assert_eq!(of("/ .jar", ""), [""; 0]);
    }

    #[test]
    fn archives_in_archives_are_read() {
        let inner = archive(&[("META-INF/maven/com.example/a/pom.properties", POM, true)]);
        let war = archive(&[("WEB-INF/lib/a-1.0.jar", &inner, true)]);
        let fat = archive(&[("BOOT-INF/lib/a-1.0.jar", &inner, false), ("x.war", &war, true)]);
        assert_eq!(
            names("/app.jar", &fat),
            [
                "app:app: /app.jar",
                "com.example:a:1.0 /app.jar!/BOOT-INF/lib/a-1.0.jar",
                "com.example:a:1.0 /app.jar!/x.war!/WEB-INF/lib/a-1.0.jar",
                "x:x: /app.jar!/x.war",
            ]
        );
    }

    #[test]
    fn nesting_and_numbers_are_bounded() {
        let mut jar = archive(&[]);
        for _ in 0..10 {
            jar = archive(&[("a.jar", &jar, true), ("b.jar", &jar, false)]);
        }
        let found = read("/x.jar", &jar, &mut budget());
        assert!(found.artifacts.len() < 16);
        assert!(found.problems.iter().all(|(_, why)| why.contains("nested more")));
        let mut poor = Budget { archives: 2, ..budget() };
        let found = read("/x.jar", &jar, &mut poor);
        assert!(found.problems.iter().any(|(_, why)| why.contains("number of archives")));
    }

    #[test]
    fn licences_of_bundles_are_the_first_of_their_list() {
        for (text, want) in [
            (
                "https://www.apache.org/licenses/LICENSE-2.0.txt, x",
                "https://www.apache.org/licenses/LICENSE-2.0.txt",
            ),
            ("Apache-2.0;link=\"x\"", "Apache-2.0"),
            ("Apache License, Version 2.0", "Apache License, Version 2.0"),
        ] {
            assert_eq!(first_license(text), want);
        }
    }

    #[test]
    fn mutations_are_read_or_refused() {
        let inner = archive(&[
            ("META-INF/maven/com.example/a/pom.properties", POM, false),
            (MANIFEST, b"A: b\n c\n", false),
        ]);
        let fat = archive(&[("a.jar", &inner, false), ("b.jar", &inner, true)]);
        mutate(&fat, b"PK\x01\x02\xff\x00=:\n", 5_000, |bytes| {
            drop(read("/x.jar", &bytes.to_vec(), &mut budget()));
        });
    }
}
