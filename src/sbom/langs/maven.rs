//! `gradle.lockfile` and `pom.xml`, for the context: in an image the archives themselves say what they are.

use std::collections::BTreeMap;

use roxmltree::{Document, Node, ParsingOptions};

use super::found::{Found, lines, lossy};

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
    let text = str::from_utf8(bytes).map_err(|error| format!("is not UTF-8: {error}"))?;
    let options = ParsingOptions { nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let xml = Document::parse_with_options(text, options)
        .map_err(|error| format!("is not the XML that was expected: {error}"))?;
    let project = xml.root_element();
    let properties: BTreeMap<_, _> = child(project, "properties")
        .into_iter()
        .flat_map(|properties| properties.children())
        .filter(Node::is_element)
        .map(|property| (property.tag_name().name(), property.text().unwrap_or_default().trim()))
        .collect();
    let literal = |parent: Node<'_, '_>, name: &str| -> Option<String> {
        let text = child(parent, name)?.text()?.trim();
        let property = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let text = property.map_or(Some(text), |name| properties.get(name).copied())?;
        // A range, or something of the parent's.
        (!text.is_empty() && !text.contains(['$', '[', '(', ','])).then(|| text.to_owned())
    };
    let dependencies = child(project, "dependencies").into_iter().flat_map(|list| list.children());
    let found =
        dependencies.filter(|node| node.tag_name().name() == "dependency").filter_map(|node| {
            let name = format!("{}:{}", literal(node, "groupId")?, literal(node, "artifactId")?);
            Found::new(&name, &literal(node, "version")?)
        });
    Ok(found.collect())
}

fn child<'a, 'input>(parent: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    parent.children().find(|node| node.tag_name().name() == name)
}

/// Elements and texts of one file; the longest `pom.xml` seen have 20,000.
const NODES_MAX: u32 = 200_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mutation::mutate, sbom::langs::tests::listing};

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
        let many = format!("<project>{}</project>", "<a/>".repeat(NODES_MAX as usize));
        assert!(pom(many.as_bytes()).is_err());
        assert!(pom("<a>".repeat(190_000).as_bytes()).is_err());
        let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
        assert_eq!(pom(deep.as_bytes()), Ok(Vec::new()));
        assert!(pom(b"<!DOCTYPE x [<!ENTITY a \"b\">]><project>&a;</project>").is_err());
    }

    #[test]
    fn mutations_are_read_or_refused() {
        mutate(GRADLE.as_bytes(), b":=\n#", 2_000, |bytes| drop(gradle_lock(bytes)));
        mutate(POM.as_bytes(), b"<>/\"${}&", 3_000, |bytes| drop(pom(bytes)));
    }
}
