//! Which Java a Gradle project is built with: what its scripts pin, and what Gradle and Spring Boot can live with.

use super::{Module, build::Build};
use crate::detect::{
    Decision,
    ecosystems::{
        jvm::{
            java::{self, Wanted},
            script::Script,
        },
        pins::{Pin, stated},
    },
    model::join,
    versions::Version,
};

impl Module<'_> {
    /// The version, and what it was decided by.
    pub(super) fn version(&self) -> (u32, Decision) {
        let project = self.build.project;
        let mut build: Vec<Pin> = stated(project, &self.dir).into_iter().collect();
        let top = self.build.script(&self.build.root).unwrap_or_default();
        for script in [&self.script, &top] {
            for name in [
                "JavaLanguageVersion.of", "jvmToolchain", "options.release", "release",
                "targetCompatibility", "sourceCompatibility", "jvmTarget", "javaVersion",
            ] {
                let Some((value, evidence)) = script.setting(name) else { continue };
                // The value of a catalog or of gradle.properties by its name.
                let value = match java::major(&value) {
                    Some(_) => value,
                    None => match self.named_version(&value) {
                        Some(value) => value,
                        None => continue,
                    },
                };
                build.push(Pin { version: value, rule: name.to_owned(), evidence });
            }
        }
        let old =
            self.old_configuration().map(|_| Version { major: 6, minor: Some(9), patch: None });
        let gradle = self.build.wrapper.as_ref().map(|(version, _)| *version).or(old);
        let least = match (self.boot, gradle) {
            (Some((3.., _)), _) => 17,
            (_, Some(version)) if version.major >= 9 => 17,
            _ => 8,
        };
        let most = gradle.map_or(u32::MAX, newest_java);
        let fallback = match most {
            most if most >= java::DEFAULT => (java::DEFAULT, "default of the table"),
            17.. => (17, "the newest that the wrapper's Gradle runs on"),
            11.. => (11, "the newest that the wrapper's Gradle runs on"),
            _ => (8, "the newest that the wrapper's Gradle runs on"),
        };
        java::version(project, &self.dir, Wanted { build, fallback, least })
    }

    fn named_version(&self, reference: &str) -> Option<String> {
        let name = reference
            .trim_matches(['$', '{', '}'])
            .trim_start_matches("project.")
            .trim_start_matches("libs.versions.")
            .trim_end_matches(".get()")
            .trim_end_matches(".get().toInt()");
        let name = name.split(".get").next()?;
        let dashed = name.replace('.', "-");
        if let Some((version, _)) =
            self.build.catalog.version(&[name, &dashed, &dashed.replace('-', "_")])
        {
            return Some(version);
        }
        let path = join(&self.build.root, "gradle.properties");
        let properties = self.build.project.tree.properties(&path);
        let given = properties.as_ref().and_then(|file| file.get(name)).map(|(value, _)| value);
        given.map(str::to_owned).or_else(|| {
            let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
            let (value, _) = plain.then(|| self.script.setting(name))??;
            java::major(&value).map(|_| value)
        })
    }
}

/// Major and minor version of Spring Boot's plugin: of the plugin block, the build's class path, or the catalog.
pub(super) fn boot_version(build: &Build<'_>, script: &Script, top: &Script) -> Option<(u32, u32)> {
    let version = |text: &str| {
        let version = Version::parse(text.trim_start_matches(|c: char| !c.is_ascii_digit()))?;
        Some((version.major, version.minor.unwrap_or(0)))
    };
    let named = |script: &Script| {
        script.lines.iter().find_map(|(line, _)| {
            if let Some((_, rest)) = line.split_once("spring-boot-gradle-plugin:") {
                let variable = rest.trim_start_matches(['$', '{']);
                let end = variable
                    .find(|c: char| !c.is_alphanumeric() && c != '_')
                    .unwrap_or(variable.len());
                let given = || version(&top.setting(&variable[..end])?.0);
                return if rest.starts_with('$') { given() } else { version(rest) };
            }
            let (_, rest) = line.split_once("org.springframework.boot")?;
            version(rest.split_once("version")?.1)
        })
    };
    named(script).or_else(|| named(top)).or_else(|| {
        let names = ["spring-boot", "springBoot", "springboot", "spring.boot", "spring_boot"];
        version(&build.catalog.version(&names)?.0)
    })
}

/// The newest Java that a version of Gradle runs on (docs.gradle.org, "Compatibility Matrix").
fn newest_java(gradle: Version) -> u32 {
    match (gradle.major, gradle.minor.unwrap_or(0)) {
        (..=4, _) => 8,
        (5, _) => 11,
        (6, _) => 15,
        (7, 0..=2) => 16,
        (7, 3..=4) => 17,
        (7, 5) => 18,
        (7, _) => 19,
        (8, 0..=2) => 19,
        (8, 3..=4) => 20,
        (8, 5..=7) => 21,
        (8, 8..=9) => 22,
        (8, 10..=13) => 23,
        (8, _) => 24,
        _ => 25,
    }
}
