//! The documents of a layout: its version, its index, manifests.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer};

use crate::oci_layout::{Digest, SelectProblem};

/// A pointer to a blob; nothing in it is checked.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Descriptor {
    #[serde(rename = "mediaType", default)]
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) urls: Vec<String>,
    #[serde(default)]
    pub(crate) platform: Option<Platform>,
}

/// What a manifest is for, as an index says it.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Platform {
    #[serde(default)]
    pub(crate) os: String,
    #[serde(default)]
    pub(crate) architecture: String,
    #[serde(default)]
    pub(crate) variant: String,
}

/// What a blob that describes an image is.
#[derive(Debug)]
pub(crate) enum Document {
    Manifest { media_type: String, config: Descriptor, layers: Vec<Descriptor> },
    Index { media_type: String, manifests: Vec<Descriptor> },
}

impl Document {
    /// Reads a blob; `None` if it is neither kind. Told apart by what is in it, as the daemon
    /// does (BuildKit v0.32, `util/imageutil/config.go`).
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>, serde_json::Error> {
        #[derive(Deserialize)]
        struct Any {
            #[serde(rename = "mediaType", default)]
            media_type: String,
            config: Option<Descriptor>,
            layers: Option<Vec<Descriptor>>,
            manifests: Option<Vec<Descriptor>>,
        }
        let any: Any = serde_json::from_slice(bytes)?;
        let media_type = any.media_type;
        Ok(match (any.config, any.layers, any.manifests) {
            (Some(config), Some(layers), None) => {
                Some(Self::Manifest { media_type, config, layers })
            }
            (None, None, Some(manifests)) => Some(Self::Index { media_type, manifests }),
            _ => None,
        })
    }

    /// Gives the media type it says it has, or the one that its kind has.
    pub(crate) fn media_type(&self) -> &str {
        let (said, usual) = match self {
            Self::Manifest { media_type, .. } => {
                (media_type, "application/vnd.oci.image.manifest.v1+json")
            }
            Self::Index { media_type, .. } => {
                (media_type, "application/vnd.oci.image.index.v1+json")
            }
        };
        if said.is_empty() { usual } else { said }
    }
}

/// Reads the file `oci-layout`.
pub(super) fn layout_version(bytes: &[u8]) -> Result<String, serde_json::Error> {
    #[derive(Deserialize)]
    struct Layout {
        #[serde(rename = "imageLayoutVersion")]
        version: String,
    }
    Ok(serde_json::from_slice::<Layout>(bytes)?.version)
}

/// Reads the file `index.json`.
pub(crate) fn entries(bytes: &[u8]) -> Result<Vec<Descriptor>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Index {
        #[serde(default, deserialize_with = "null_is_empty")]
        manifests: Vec<Descriptor>,
    }
    Ok(serde_json::from_slice::<Index>(bytes)?.manifests)
}

/// Picks the entry that is meant; `None` if a digest alone says it and the index does not
/// have it, which a blob below one of the entries has not.
pub(super) fn select<'a>(
    entries: &'a [Descriptor],
    tag: Option<&str>,
    digest: Option<&Digest>,
) -> Result<Option<&'a Descriptor>, SelectProblem> {
    let Some(tag) = tag else {
        if let Some(digest) = digest {
            return Ok(entries.iter().find(|entry| entry.digest == digest.as_str()));
        }
        return match single(entries.iter()) {
            Ok(Some(entry)) => Ok(Some(entry)),
            Ok(None) => Err(SelectProblem::Empty),
            Err(()) => Err(SelectProblem::Several),
        };
    };
    let tagged = entries.iter().filter(|entry| entry.has_tag(tag));
    let entry = match single(tagged) {
        Ok(Some(entry)) => entry,
        Ok(None) => return Err(SelectProblem::UnknownTag(tag.to_owned())),
        Err(()) => return Err(SelectProblem::TagTwice(tag.to_owned())),
    };
    match digest {
        Some(digest) if entry.digest != digest.as_str() => {
            Err(SelectProblem::OtherDigest(tag.to_owned()))
        }
        _ => Ok(Some(entry)),
    }
}

/// Names every entry once: by its tag, or by its digest where no entry of it has one.
pub(super) fn names(entries: &[Descriptor]) -> Vec<String> {
    let tagged: BTreeSet<_> = entries
        .iter()
        .filter(|entry| entry.names().next().is_some())
        .map(|entry| &entry.digest)
        .collect();
    let mut names = Vec::new();
    for entry in entries {
        let name = match entry.names().next() {
            Some(name) => name.to_owned(),
            None if tagged.contains(&entry.digest) => continue,
            None => format!("@{}", entry.digest),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

impl Descriptor {
    /// The tag by itself, or a whole reference, as different tools write it.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        NAME_ANNOTATIONS.iter().filter_map(|key| self.annotations.get(*key)).map(String::as_str)
    }

    fn has_tag(&self, tag: &str) -> bool {
        self.names().any(|name| {
            let last = name.rsplit('/').next().unwrap_or(name);
            name == tag || last.split_once(':').is_some_and(|(_, of_name)| of_name == tag)
        })
    }
}

/// Gives the one content that all entries have; an error if there are several.
fn single<'a>(
    mut entries: impl Iterator<Item = &'a Descriptor>,
) -> Result<Option<&'a Descriptor>, ()> {
    let Some(first) = entries.next() else { return Ok(None) };
    match entries.all(|entry| entry.digest == first.digest) {
        true => Ok(Some(first)),
        false => Err(()),
    }
}

/// Go writes an empty list or map as `null`.
pub(crate) fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Takes `data` for each document of a layout; must not panic.
#[doc(hidden)]
pub fn fuzz_oci_index(data: &[u8]) {
    if let Ok(entries) = entries(data) {
        let names = names(&entries);
        assert!(names.len() <= entries.len());
        for name in names.iter().map(String::as_str).chain(["latest"]) {
            if let Ok(found) = select(&entries, Some(name), None) {
                assert!(found.is_some_and(|entry| entry.has_tag(name)));
            }
        }
        let found = select(&entries, None, None);
        assert!(found.is_ok() || entries.len() != 1);
    }
    if let Ok(Some(document)) = Document::parse(data) {
        assert!(!document.media_type().is_empty());
    }
    drop(layout_version(data));
}

/// The second is what containerd, and BuildKit's exporter, write beside the first.
const NAME_ANNOTATIONS: [&str; 2] =
    ["org.opencontainers.image.ref.name", "io.containerd.image.name"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate_corpus;

    fn entry(digest: &str, names: [Option<&str>; 2]) -> Descriptor {
        let annotations = NAME_ANNOTATIONS
            .iter()
            .zip(names)
            .filter_map(|(key, name)| Some((String::from(*key), name?.to_owned())))
            .collect();
        Descriptor {
            media_type: String::new(),
            digest: digest.to_owned(),
            size: 0,
            annotations,
            ..Descriptor::default()
        }
    }

    #[test]
    fn a_tag_is_found_by_itself_and_in_whole_references() {
        let entry = entry("d", [Some("latest"), Some("localhost:5000/team/app:v1")]);
        for (tag, expected) in
            [("latest", true), ("v1", true), ("5000", false), ("app", false), ("v", false)]
        {
            assert_eq!(entry.has_tag(tag), expected, "{tag}");
        }
        assert!(entry.has_tag("localhost:5000/team/app:v1"));
    }

    #[test]
    fn one_image_with_many_names_is_one_image() {
        let entries = [
            entry("d", [None, None]),
            entry("d", [Some("a"), None]),
            entry("d", [Some("b"), None]),
        ];
        assert_eq!(select(&entries, None, None).unwrap().unwrap().digest, "d");
        assert_eq!(names(&entries), ["a", "b"]);
    }

    #[test]
    fn lists_that_go_writes_as_null_are_empty() {
        let found =
            entries(br#"{"manifests":[{"digest":"d","size":1,"annotations":null,"urls":null}]}"#);
        assert_eq!(found.unwrap().len(), 1);
        assert!(entries(br#"{"manifests":null}"#).unwrap().is_empty());
    }

    #[test]
    fn documents_are_told_apart_by_what_is_in_them() {
        let kind = |json: &str| {
            Document::parse(json.as_bytes()).unwrap().map(|d| d.media_type().to_owned())
        };
        let blob = r#"{"digest":"d","size":1}"#;
        let manifest = format!(r#"{{"config":{blob},"layers":[{blob}]}}"#);
        assert_eq!(kind(&manifest).unwrap(), "application/vnd.oci.image.manifest.v1+json");
        let index = format!(r#"{{"mediaType":"own","manifests":[{blob}]}}"#);
        assert_eq!(kind(&index).unwrap(), "own");
        assert_eq!(kind(&format!(r#"{{"config":{blob},"layers":[],"manifests":[]}}"#)), None);
        assert_eq!(kind("{}"), None);
        assert!(Document::parse(br#"{"manifests":[{"digest":"d","size":-1}]}"#).is_err());
    }

    #[test]
    fn no_bytes_make_the_parsers_panic() {
        mutate_corpus("oci_layout", b"{}[]\":,\\\xFF-9", 400, fuzz_oci_index);
    }
}
