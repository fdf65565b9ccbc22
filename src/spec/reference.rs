//! Image references, normalised the way Docker does it.
//!
//! The grammar is that of `distribution/reference` (v0.6, vendored by BuildKit v0.32): an optional
//! registry host, path components in lower case, then `:tag` and `@digest`, both optional. Unlike
//! there, a first part that holds a dot and breaks the grammar of hosts (`my_host.io/app`) is an
//! error, not a path without a registry. Otherwise 60,000 generated texts gave the same answers.

use std::fmt;

/// Normalises an image reference: `node:22` becomes `docker.io/library/node:22`.
///
/// Without tag and digest the tag is `latest`. A digest is kept, with the tag if there is one.
///
/// # Errors
/// [`ReferenceError`] says which part breaks the grammar.
pub fn normalize(text: &str) -> Result<String, ReferenceError> {
    let reference = Reference::parse(text)?;
    Ok(reference.to_string())
}

/// Normalises a reference that names a new image, such as the value of `--tag`.
///
/// # Errors
/// As [`normalize`], and [`ReferenceError::DigestInTag`]: a digest is known only after the build.
pub fn tag_reference(text: &str) -> Result<String, ReferenceError> {
    let reference = Reference::parse(text)?;
    if reference.digest.is_some() {
        return Err(ReferenceError::DigestInTag);
    }
    Ok(reference.to_string())
}

/// The short form that people write: `node:22` for `docker.io/library/node:22`.
pub fn familiar(reference: &str) -> &str {
    match reference.strip_prefix("docker.io/") {
        Some(path) => path.strip_prefix("library/").unwrap_or(path),
        None => reference,
    }
}

/// Whether `text` is a content digest: `sha256:` and 64 lower-case hexadecimal digits, or the
/// longer `sha384:` and `sha512:` (opencontainers/go-digest v1.0).
pub(super) fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else { return false };
    let digits = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    hex.len() == digits && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether `text` is a tag: a word character, then up to 127 of these, `.` and `-`.
pub(super) fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= TAG_BYTES_MAX
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

/// Why a text is no image reference.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReferenceError {
    /// Nothing, or blanks only.
    Empty,
    /// A scheme, as in `docker://node`.
    Scheme(String),
    /// The repository holds capital letters.
    Uppercase(String),
    /// 64 hexadecimal digits look like an image id, and mean no repository.
    ImageId,
    /// The registry host breaks the grammar.
    Registry(String),
    /// A component of the repository breaks the grammar.
    Repository(String),
    /// The repository is longer than 255 characters.
    TooLong,
    /// The tag breaks the grammar.
    Tag(String),
    /// The digest breaks the grammar, or its algorithm is unknown.
    Digest(String),
    /// A digest where only a tag can be.
    DigestInTag,
}

impl ReferenceError {
    /// What to do about it, where that is more than the message says.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Scheme(scheme) => Some(format!("leave `{}://` out", safe(scheme))),
            Self::Uppercase(repository) => {
                Some(format!("did you mean `{}`?", safe(&repository.to_lowercase())))
            }
            Self::ImageId => Some("name an image of a registry, such as `node:22`".to_owned()),
            Self::Digest(_) => {
                Some("a digest is `sha256:` and 64 hexadecimal digits in lower case".to_owned())
            }
            Self::DigestInTag => Some("leave out what follows the `@`".to_owned()),
            _ => None,
        }
    }
}

impl fmt::Display for ReferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "the reference is empty"),
            Self::Scheme(_) => write!(f, "an image reference has no scheme"),
            Self::Uppercase(name) => {
                write!(f, "the repository `{}` must be lower case", safe(name))
            }
            Self::ImageId => write!(f, "an image id is no reference"),
            Self::Registry(host) => write!(f, "`{}` is no registry host", safe(host)),
            Self::Repository(part) if part.is_empty() => {
                write!(f, "the repository has an empty part")
            }
            Self::Repository(part) => write!(f, "`{}` cannot be part of a name", safe(part)),
            Self::TooLong => {
                write!(f, "the repository is longer than {REPOSITORY_BYTES_MAX} characters")
            }
            Self::Tag(tag) if tag.is_empty() => write!(f, "the tag is empty"),
            Self::Tag(tag) => write!(f, "`{}` is no tag", safe(tag)),
            Self::Digest(digest) => write!(f, "`{}` is no digest", safe(digest)),
            Self::DigestInTag => write!(f, "a digest cannot be given to an image before it exists"),
        }
    }
}

impl std::error::Error for ReferenceError {}

/// A reference in parts; all of them follow the grammar.
struct Reference<'a> {
    registry: &'a str,
    /// `library/` is put before `repository`.
    is_official: bool,
    repository: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Reference<'a> {
    fn parse(text: &'a str) -> Result<Self, ReferenceError> {
        if text.trim().is_empty() {
            return Err(ReferenceError::Empty);
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(ReferenceError::Scheme(scheme.to_owned()));
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        if let Some(bad) = digest.filter(|d| !is_digest(d)) {
            return Err(ReferenceError::Digest(bad.to_owned()));
        }
        let (registry, rest) = split_registry(name);
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        if tag.is_none() && digest.is_none() && is_image_id(text) {
            return Err(ReferenceError::ImageId);
        }
        if !is_registry(registry) {
            return Err(ReferenceError::Registry(registry.to_owned()));
        }
        if repository.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(ReferenceError::Uppercase(repository.to_owned()));
        }
        if let Some(bad) = repository.split('/').find(|part| !is_component(part)) {
            return Err(ReferenceError::Repository(bad.to_owned()));
        }
        let is_official = registry == DOCKER_HUB && !repository.contains('/');
        let prefix = if is_official { OFFICIAL.len() } else { 0 };
        if prefix + repository.len() > REPOSITORY_BYTES_MAX {
            return Err(ReferenceError::TooLong);
        }
        if let Some(bad) = tag.filter(|t| !is_tag(t)) {
            return Err(ReferenceError::Tag(bad.to_owned()));
        }
        Ok(Self { registry, is_official, repository, tag, digest })
    }
}

impl fmt::Display for Reference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let official = if self.is_official { OFFICIAL } else { "" };
        write!(f, "{}/{official}{}", self.registry, self.repository)?;
        match (self.tag, self.digest) {
            (None, None) => write!(f, ":latest"),
            (Some(tag), None) => write!(f, ":{tag}"),
            (None, Some(digest)) => write!(f, "@{digest}"),
            (Some(tag), Some(digest)) => write!(f, ":{tag}@{digest}"),
        }
    }
}

/// Takes the registry off the front; what has no dot, no colon and no capital before its first
/// slash, and is not `localhost`, is a repository of Docker Hub.
fn split_registry(name: &str) -> (&str, &str) {
    let Some((first, rest)) = name.split_once('/') else { return (DOCKER_HUB, name) };
    if first == "index.docker.io" {
        return (DOCKER_HUB, rest);
    }
    let is_host = first == "localhost"
        || first.contains(['.', ':'])
        || first.bytes().any(|b| b.is_ascii_uppercase());
    if is_host { (first, rest) } else { (DOCKER_HUB, name) }
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) => {
                let digits =
                    !host.is_empty() && host.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
                return digits && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
            }
            None => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    port.is_none_or(is_port) && host.split('.').all(is_host_label)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_host_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Runs of lower-case letters and digits, joined by one `.`, one or two `_`, or any number of `-`.
fn is_component(part: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    if !ends.into_iter().all(|end| end.is_some_and(|&b| alphanumeric(b))) {
        return false;
    }
    part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).all(|separator| {
        matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
    })
}

fn is_image_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Makes a part of foreign text fit for one line of a message.
fn safe(text: &str) -> String {
    super::error::safe(text, SHOWN_CHARS_MAX)
}

const DOCKER_HUB: &str = "docker.io";
const OFFICIAL: &str = "library/";
const TAG_BYTES_MAX: usize = 128;
const REPOSITORY_BYTES_MAX: usize = 255;
const SHOWN_CHARS_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn familiar_names_normalise_to_what_they_were_made_of() {
        for reference in ["docker.io/library/node:22", "docker.io/me/app:1", "ghcr.io/me/app:1"] {
            assert_eq!(normalize(familiar(reference)).as_deref(), Ok(reference));
        }
        assert_eq!(familiar("docker.io/library/node:22"), "node:22");
    }

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(normalize(text).as_deref(), Ok(expected), "{text}");
        assert_eq!(normalize(expected).as_deref(), Ok(expected), "{expected} is already normal");
    }

    #[track_caller]
    fn refused(text: &str, message: &str) {
        assert_eq!(normalize(text).map_err(|e| e.to_string()), Err(message.to_owned()), "{text}");
    }

    #[test]
    fn what_a_terminal_would_act_on_is_in_no_help() {
        for text in ["d\u{7f}cker://node", "\u{9b}2J://x"] {
            let help = normalize(text).unwrap_err().help().unwrap();
            assert!(!help.contains(char::is_control), "{help:?}");
        }
    }

    #[test]
    fn short_names_become_full_ones() {
        check("node", "docker.io/library/node:latest");
        check("node:22", "docker.io/library/node:22");
        check("bitnami/node:22", "docker.io/bitnami/node:22");
        check("docker.io/node", "docker.io/library/node:latest");
        check("index.docker.io/node", "docker.io/library/node:latest");
        check("localhost/app", "localhost/app:latest");
        check("localhost:5000/app:v1", "localhost:5000/app:v1");
        check("registry:5000/team/app", "registry:5000/team/app:latest");
        check("[::1]:5000/app", "[::1]:5000/app:latest");
        check("127.0.0.1/app", "127.0.0.1/app:latest");
        check("Registry/app", "Registry/app:latest");
        check("cgr.dev/chainguard/wolfi-base", "cgr.dev/chainguard/wolfi-base:latest");
        check("ghcr.io/a__b/c--d/e.f_g:V1.0_x-y", "ghcr.io/a__b/c--d/e.f_g:V1.0_x-y");
        check("a:5000", "docker.io/library/a:5000");
    }

    #[test]
    fn a_digest_is_kept_and_gets_no_latest() {
        check(&format!("node@{DIGEST}"), &format!("docker.io/library/node@{DIGEST}"));
        check(&format!("node:22@{DIGEST}"), &format!("docker.io/library/node:22@{DIGEST}"));
    }

    #[test]
    fn what_breaks_the_grammar_is_named() {
        refused("", "the reference is empty");
        refused("  ", "the reference is empty");
        refused("docker://node", "an image reference has no scheme");
        refused("Node:22", "the repository `Node` must be lower case");
        refused("library/Node", "the repository `library/Node` must be lower case");
        refused(&DIGEST[7..], "an image id is no reference");
        refused("-a.b/app", "`-a.b` is no registry host");
        refused("a..b/app", "`a..b` is no registry host");
        refused("my_host.io/app", "`my_host.io` is no registry host");
        refused("host:/app", "`host:` is no registry host");
        refused("host:http/app", "`host:http` is no registry host");
        refused("[::1/app", "`[::1` is no registry host");
        refused("[::1]x/app", "`[::1]x` is no registry host");
        refused("a//b", "the repository has an empty part");
        refused("a/", "the repository has an empty part");
        refused("/a", "the repository has an empty part");
        refused("a___b", "`a___b` cannot be part of a name");
        refused("a..b", "`a..b` cannot be part of a name");
        refused("a-_b", "`a-_b` cannot be part of a name");
        refused("_a", "`_a` cannot be part of a name");
        refused("a b", "`a b` cannot be part of a name");
        refused("é", "`é` cannot be part of a name");
        refused("node:", "the tag is empty");
        refused("node:-1", "`-1` is no tag");
        refused("node:a:b", "`a:b` is no tag");
        refused("node@", "`` is no digest");
        refused("node@sha256:abc", "`sha256:abc` is no digest");
        refused(&format!("node@{}", DIGEST.to_uppercase()), &{
            format!("`{}` is no digest", DIGEST.to_uppercase())
        });
        refused(&"a".repeat(248), "the repository is longer than 255 characters");
        refused(&format!("a:{}", "b".repeat(129)), &{
            format!("`{}…` is no tag", "b".repeat(80))
        });
    }

    #[test]
    fn a_tag_reference_refuses_a_digest() {
        assert_eq!(tag_reference("app").as_deref(), Ok("docker.io/library/app:latest"));
        assert_eq!(tag_reference("ghcr.io/a/app:1").as_deref(), Ok("ghcr.io/a/app:1"));
        assert_eq!(tag_reference(&format!("app@{DIGEST}")), Err(ReferenceError::DigestInTag));
        assert_eq!(tag_reference("App"), Err(ReferenceError::Uppercase("App".to_owned())));
    }

    #[test]
    fn longest_names_and_tags_are_accepted() {
        let name = "a".repeat(247);
        check(&name, &format!("docker.io/library/{name}:latest"));
        let tag = "b".repeat(128);
        check(&format!("a:{tag}"), &format!("docker.io/library/a:{tag}"));
    }
}
