//! `gradle.lockfile` and `pom.xml`, for the context: in an image the archives themselves say what they are.

use std::collections::BTreeMap;

use super::found::{Found, lines, lossy, xml};
use crate::manifest::Element;

/// `gradle.lockfile`: `group:artifact:version=configurations` on each line.
pub(super) fn gradle_lock(bytes: &[u8]) -> Result<Vec<Found>, String> {
    let text = lossy(bytes);
    let found = lines(&text)?.filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (coordinates, _) = line.split_once('=')?;
        let (name, version) = coordinates.rsplit_once(':')?;
        name.contains(':').then(|| Found::new(name, version))?
    });
    Ok(found.collect())
}

/// What `pom.xml` itself asks for with a version that stands there, or in a property of the same file. What it has from its
/// parent or through others only Maven knows.
pub(super) fn pom(bytes: &[u8]) -> Result<Vec<Found>, String> {
    let project = xml(bytes)?;
    let properties: BTreeMap<_, _> = project
        .child("properties")
        .into_iter()
        .flat_map(|properties| &properties.children)
        .map(|property| (property.name.as_str(), property.text.as_str()))
        .collect();
    let literal = |parent: &Element, name: &str| -> Option<String> {
        let text = parent.text_at(&[name])?;
        let property = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let text = property.map_or(Some(text), |name| properties.get(name).copied())?;
        // A range, or something of the parent's.
        (!text.is_empty() && !text.contains(['$', '[', '(', ','])).then(|| text.to_owned())
    };
    let found = project.all(&["dependencies", "dependency"]).filter_map(|dependency| {
        let name =
            format!("{}:{}", literal(dependency, "groupId")?, literal(dependency, "artifactId")?);
        Found::new(&name, &literal(dependency, "version")?)
    });
    Ok(found.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{manifest::VALUES_MAX, mutation::mutate, sbom::langs::tests::listing};

    const GRADLE: &str = "# This is a Gradle generated file for dependency locking.\ncom.example:a:1.0=compileClasspath,runtimeClasspath\nodd=1\nempty=annotationProcessor\n";

    #[test]
    fn gradle_lockfile_is_read() {
        assert_eq!(listing(gradle_lock(GRADLE.as_bytes())), ["com.example:a@1.0"]);
    }

    const POM: &str = "<?xml version=\"1.0\"?>\n<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n<properties><a.version>1.0</a.version></properties>\n<dependencyManagement><dependencies><dependency><groupId>m</groupId><artifactId>m</artifactId><version>1</version></dependency></dependencies></dependencyManagement>\n<dependencies>\n<dependency><groupId>g</groupId><artifactId>a</artifactId><version>${a.version}</version></dependency>\n<dependency><groupId>g</groupId><artifactId>b</artifactId><version> 2.0 </version></dependency>\n<dependency><groupId>g</groupId><artifactId>c</artifactId></dependency>\n<dependency><groupId>g</groupId><artifactId>d</artifactId><version>[1,2)</version></dependency>\n<dependency><groupId>g</groupId><artifactId>e</artifactId><version>${none}</version></dependency>\n</dependencies></project>\n";

    #[test]
    fn direct_dependencies_of_a_pom_count_if_their_version_stands_there() {
        assert_eq!(listing(pom(POM.as_bytes())), ["g:a@1.0", "g:b@2.0"]);
    }

    #[test]
    fn a_pom_with_too_many_elements_or_entities_is_refused() {
        let many = format!("<project>{}</project>", "<a/>".repeat(VALUES_MAX));
        assert!(pom(many.as_bytes()).is_err());
        assert!(pom("<a>".repeat(190_000).as_bytes()).is_err());
        let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
        assert!(pom(deep.as_bytes()).is_err());
        assert!(pom(b"<!DOCTYPE x [<!ENTITY a \"b\">]><project>&a;</project>").is_err());
    }

    #[test]
    fn mutations_are_read_or_refused() {
        mutate(GRADLE.as_bytes(), b":=\n#", 2_000, |bytes| drop(gradle_lock(bytes)));
        mutate(POM.as_bytes(), b"<>/\"${}&", 3_000, |bytes| drop(pom(bytes)));
    }
}
