//! An OCI image layout as a base image: `oci-layout://DIR[:TAG][@DIGEST]`.
//!
//! The daemon reads blobs by their digests through us and picks the platform itself, so what
//! is resolved here is the digest to begin with. A layout may come from anywhere: nothing in
//! it can make us read outside of it, and what we parse of it is checked against its digest.

use std::{
    error, fmt,
    fs::File,
    io::{self, Read as _},
    os::{fd::AsFd, unix::fs::FileExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use crate::digest::sha256_hex;

mod index;
mod reference;

pub use index::fuzz_oci_index;
pub(crate) use index::{Descriptor, Document, Platform, entries, null_is_empty};
pub use reference::{Digest, LayoutRef};

/// An opened layout, whose blobs can be read from any thread.
#[derive(Debug)]
pub struct OciLayout {
    /// For messages.
    dir: PathBuf,
    /// The folder `blobs/sha256`.
    blobs: File,
    entries: Vec<Descriptor>,
}

/// What a reference stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Of a manifest or of an index.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// As the index of the layout, or else the blob itself, says.
    pub media_type: String,
}

impl OciLayout {
    /// Opens a layout and reads its index.
    ///
    /// # Errors
    /// [`OciLayoutError`] if `dir` is not a layout of version 1.
    pub fn open(dir: &Path) -> Result<Self, OciLayoutError> {
        let open_dir = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = File::from(rustix::fs::open(dir, open_dir, Mode::empty()).map_err(|error| {
            OciLayoutError::Open { path: dir.to_owned(), source: error.into() }
        })?);
        let read = |name| {
            let path = dir.join(name);
            match open_inside(&root, name) {
                Ok(file) => read_small(file, &path),
                Err(Errno::NOENT) => Err(OciLayoutError::NotALayout { dir: dir.to_owned(), name }),
                Err(error) => Err(open_error(path, error)),
            }
        };
        let version = index::layout_version(&read("oci-layout")?)
            .map_err(|source| OciLayoutError::Json { path: dir.join("oci-layout"), source })?;
        if !version.starts_with("1.") {
            return Err(OciLayoutError::Version { dir: dir.to_owned(), version });
        }
        let entries = entries(&read("index.json")?)
            .map_err(|source| OciLayoutError::Json { path: dir.join("index.json"), source })?;
        let mut blobs = root;
        for name in ["blobs", "sha256"] {
            let flags = open_dir | OFlags::NOFOLLOW;
            let opened = rustix::fs::openat(&blobs, name, flags, Mode::empty()).map_err(
                |error| match error {
                    Errno::NOENT | Errno::NOTDIR | Errno::LOOP => {
                        OciLayoutError::NotALayout { dir: dir.to_owned(), name: "blobs/sha256" }
                    }
                    _ => open_error(dir.join("blobs/sha256"), error),
                },
            )?;
            blobs = File::from(opened);
        }
        Ok(Self { dir: dir.to_owned(), blobs, entries })
    }

    /// What its index names.
    pub(crate) fn entries(&self) -> &[Descriptor] {
        &self.entries
    }

    /// Finds the manifest or index to begin with, and checks all that describes the image:
    /// manifests and configs against their digests, and that the layers of a single manifest
    /// are there.
    ///
    /// # Errors
    /// [`OciLayoutError`]; where a tag is missing or unknown it lists those there are.
    pub fn resolve(
        &self,
        tag: Option<&str>,
        digest: Option<&Digest>,
    ) -> Result<Resolved, OciLayoutError> {
        let entry = index::select(&self.entries, tag, digest).map_err(|problem| {
            OciLayoutError::Select {
                dir: self.dir.clone(),
                problem,
                known: index::names(&self.entries),
            }
        })?;
        let digest = match (entry, digest) {
            (Some(entry), _) => self.digest_of(entry)?,
            (None, Some(digest)) => digest.clone(),
            (None, None) => unreachable!("`select` gives an entry when no digest is given"),
        };
        let bytes = self.verified(&digest, entry.map(|entry| entry.size))?;
        let document = self.document(&digest, &bytes)?;
        if let Document::Manifest { layers, .. } = &document {
            self.check_layers(layers)?;
        }
        let mut blobs_left = DESCRIBING_BLOBS_MAX;
        self.check_below(&digest, &document, NESTING_MAX, &mut blobs_left)?;
        let said = entry.map(|entry| entry.media_type.as_str()).filter(|said| !said.is_empty());
        let media_type = said.unwrap_or_else(|| document.media_type()).to_owned();
        Ok(Resolved { digest, size: bytes.len() as u64, media_type })
    }

    /// Opens a blob, named as the daemon names it.
    ///
    /// # Errors
    /// [`OciLayoutError::NotFound`] if the layout does not have it, which the daemon takes
    /// as an answer; [`OciLayoutError::BadDigest`] if that is no digest of ours.
    pub fn blob(&self, digest: &str) -> Result<Blob, OciLayoutError> {
        let digest: Digest = digest
            .parse()
            .map_err(|()| OciLayoutError::BadDigest(digest.chars().take(80).collect()))?;
        self.open_blob(&digest)
    }

    fn open_blob(&self, digest: &Digest) -> Result<Blob, OciLayoutError> {
        let path = || self.dir.join("blobs/sha256").join(digest.hex());
        let file = open_inside(&self.blobs, digest.hex()).map_err(|error| match error {
            Errno::NOENT => {
                OciLayoutError::NotFound { dir: self.dir.clone(), digest: digest.clone() }
            }
            _ => open_error(path(), error),
        })?;
        let found =
            file.metadata().map_err(|source| OciLayoutError::Open { path: path(), source })?;
        if !found.is_file() {
            return Err(OciLayoutError::NotAFile(path()));
        }
        Ok(Blob { file, size: found.len() })
    }

    fn digest_of(&self, descriptor: &Descriptor) -> Result<Digest, OciLayoutError> {
        let digest = &descriptor.digest;
        digest.parse().map_err(|()| OciLayoutError::BadDigest(digest.chars().take(80).collect()))
    }

    /// Reads a small blob whole and checks that it is what its name says.
    fn verified(&self, digest: &Digest, size: Option<u64>) -> Result<Vec<u8>, OciLayoutError> {
        let blob = self.open_blob(digest)?;
        let path = self.dir.join("blobs/sha256").join(digest.hex());
        let corrupt = |problem| OciLayoutError::Corrupt { path: path.clone(), problem };
        if size.is_some_and(|size| size != blob.size) {
            return Err(corrupt("its size is not the one in its descriptor"));
        }
        let bytes = read_small(blob.file, &path)?;
        if sha256_hex(&bytes) != digest.hex() {
            return Err(corrupt("its content does not have the digest of its name"));
        }
        Ok(bytes)
    }

    fn document(&self, digest: &Digest, bytes: &[u8]) -> Result<Document, OciLayoutError> {
        let path = || self.dir.join("blobs/sha256").join(digest.hex());
        Document::parse(bytes)
            .map_err(|source| OciLayoutError::Json { path: path(), source })?
            .ok_or_else(|| OciLayoutError::Corrupt {
                path: path(),
                problem: "it is neither an image manifest nor an index",
            })
    }

    /// Checks the configs and manifests below a document that is itself checked. What is
    /// missing below an index is another platform's, and the daemon's to ask for.
    fn check_below(
        &self,
        of: &Digest,
        document: &Document,
        depth_left: usize,
        blobs_left: &mut usize,
    ) -> Result<(), OciLayoutError> {
        let (below, is_index) = match document {
            Document::Manifest { config, .. } => (std::slice::from_ref(config), false),
            Document::Index { manifests, .. } => (manifests.as_slice(), true),
        };
        for descriptor in below {
            if *blobs_left == 0 || depth_left == 0 {
                let path = self.dir.join("blobs/sha256").join(of.hex());
                let problem = "it leads to more manifests than an image has";
                return Err(OciLayoutError::Corrupt { path, problem });
            }
            *blobs_left -= 1;
            let digest = self.digest_of(descriptor)?;
            let bytes = match self.verified(&digest, Some(descriptor.size)) {
                Err(OciLayoutError::NotFound { .. }) if is_index => continue,
                bytes => bytes?,
            };
            if is_index {
                let document = self.document(&digest, &bytes)?;
                match self.check_below(&digest, &document, depth_left - 1, blobs_left) {
                    // A manifest without its config is no image of this layout either.
                    Err(OciLayoutError::NotFound { .. }) => {}
                    checked => checked?,
                }
            }
        }
        Ok(())
    }

    fn check_layers(&self, layers: &[Descriptor]) -> Result<(), OciLayoutError> {
        // Layers with addresses of their own need not be in the layout.
        for layer in layers.iter().filter(|layer| layer.urls.is_empty()) {
            let digest = self.digest_of(layer)?;
            if self.open_blob(&digest)?.size != layer.size {
                return Err(OciLayoutError::Corrupt {
                    path: self.dir.join("blobs/sha256").join(digest.hex()),
                    problem: "its size is not the one in its descriptor",
                });
            }
        }
        Ok(())
    }
}

/// An opened blob.
#[derive(Debug)]
pub struct Blob {
    file: File,
    size: u64,
}

impl Blob {
    /// Tells its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Gives it as a file.
    pub(crate) fn into_file(self) -> File {
        self.file
    }

    /// Reads from `offset` on into `buf` and tells how many bytes; 0 at and past the end.
    ///
    /// # Errors
    /// What the system says.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.file.read_at(&mut buf[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

/// Why a layout cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum OciLayoutError {
    /// The reference is not of the form `oci-layout://DIR[:TAG][@DIGEST]`.
    Reference {
        /// What was given.
        given: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The folder, or a file in it, cannot be opened or read.
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something that every layout has is not there.
    NotALayout {
        /// The folder.
        dir: PathBuf,
        /// What is missing in it.
        name: &'static str,
    },
    /// A layout of another version.
    Version {
        /// The folder.
        dir: PathBuf,
        /// What it says.
        version: String,
    },
    /// A symbolic link in the layout, which could lead anywhere.
    Link(PathBuf),
    /// A folder or worse in the place of a blob.
    NotAFile(PathBuf),
    /// A document with more bytes than the daemon would read.
    TooLarge(PathBuf),
    /// A document that is not the JSON it should be.
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// No image, or more than one, is meant.
    Select {
        /// The folder.
        dir: PathBuf,
        /// What is wrong.
        problem: SelectProblem,
        /// The tags, or where there are none the digests, of the layout.
        known: Vec<String>,
    },
    /// Not a digest, or not of a kind that is served.
    BadDigest(String),
    /// The layout has no such blob.
    NotFound {
        /// The folder.
        dir: PathBuf,
        /// The blob.
        digest: Digest,
    },
    /// A blob is not what it should be.
    Corrupt {
        /// The blob.
        path: PathBuf,
        /// In what.
        problem: &'static str,
    },
}

/// Why a layout does not tell which image is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelectProblem {
    /// The layout has no image.
    Empty,
    /// No tag was given and there are several images.
    Several,
    /// No image has the tag.
    UnknownTag(String),
    /// More than one image has the tag.
    TagTwice(String),
    /// The tag is of another image than the digest.
    OtherDigest(String),
}

impl fmt::Display for OciLayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reference { given, problem } => write!(
                f,
                "cannot understand `{}`: {problem}, expected `oci-layout://DIR[:TAG][@DIGEST]`",
                given.escape_debug()
            ),
            Self::Open { path, .. } => write!(f, "cannot read `{}`", path.display()),
            Self::NotALayout { dir, name } => {
                write!(f, "`{}` is not an OCI image layout: it has no `{name}`", dir.display())
            }
            Self::Version { dir, version } => write!(
                f,
                "`{}` is an OCI image layout of version `{}`, expected 1",
                dir.display(),
                version.escape_debug()
            ),
            Self::Link(path) => {
                write!(f, "`{}` is a symbolic link, which is not followed", path.display())
            }
            Self::NotAFile(path) => write!(f, "`{}` is not a file", path.display()),
            Self::TooLarge(path) => {
                write!(f, "`{}` has more than {DOCUMENT_MAX_BYTES} bytes", path.display())
            }
            Self::Json { path, .. } => write!(f, "cannot understand `{}`", path.display()),
            Self::Select { dir, problem, known } => write_select(f, dir, problem, known),
            Self::BadDigest(digest) => write!(
                f,
                "`{}` is not a digest, expected `sha256:` and 64 hexadecimal digits",
                digest.escape_debug()
            ),
            Self::NotFound { dir, digest } => {
                write!(f, "the OCI image layout `{}` has no blob `{digest}`", dir.display())
            }
            Self::Corrupt { path, problem } => {
                write!(f, "`{}` is damaged: {problem}", path.display())
            }
        }
    }
}

impl error::Error for OciLayoutError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Open { source, .. } => Some(source),
            Self::Json { source, .. } => Some(source),
            _ => None,
        }
    }
}

fn write_select(
    f: &mut fmt::Formatter<'_>,
    dir: &Path,
    problem: &SelectProblem,
    known: &[String],
) -> fmt::Result {
    write!(f, "the OCI image layout `{}` ", dir.display())?;
    match problem {
        SelectProblem::Empty => return f.write_str("has no image"),
        SelectProblem::Several => f.write_str("has several images, name one of")?,
        SelectProblem::UnknownTag(tag) => write!(f, "has no image `{tag}`, only")?,
        SelectProblem::TagTwice(tag) => write!(f, "has more than one image `{tag}` among")?,
        SelectProblem::OtherDigest(tag) => {
            return write!(f, "has another digest for `{tag}` than the one given");
        }
    }
    for (n, name) in known.iter().take(KNOWN_SHOWN_MAX).enumerate() {
        write!(f, "{} `{}`", if n == 0 { "" } else { "," }, name.escape_debug())?;
    }
    if known.len() > KNOWN_SHOWN_MAX {
        write!(f, " and {} more", known.len() - KNOWN_SHOWN_MAX)?;
    }
    Ok(())
}

/// Opens a file by its bare name, links not followed. A FIFO would otherwise make us wait.
fn open_inside(dir: impl AsFd, name: &str) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty()).map(File::from)
}

fn open_error(path: PathBuf, error: Errno) -> OciLayoutError {
    match error {
        Errno::LOOP => OciLayoutError::Link(path),
        error => OciLayoutError::Open { path, source: error.into() },
    }
}

fn read_small(file: File, path: &Path) -> Result<Vec<u8>, OciLayoutError> {
    let mut bytes = Vec::new();
    file.take(DOCUMENT_MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| OciLayoutError::Open { path: path.to_owned(), source })?;
    if bytes.len() as u64 > DOCUMENT_MAX_BYTES {
        return Err(OciLayoutError::TooLarge(path.to_owned()));
    }
    Ok(bytes)
}

/// What the daemon reads of a root document (BuildKit v0.32,
/// `source/containerimage/ocilayout.go`).
const DOCUMENT_MAX_BYTES: u64 = 4 << 20;

/// An index of indexes of manifests with their configs is four levels.
const NESTING_MAX: usize = 4;

/// Twenty platforms with attestations are below 100.
const DESCRIBING_BLOBS_MAX: usize = 1000;

const KNOWN_SHOWN_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::*;

    /// A layout that is put together blob by blob.
    struct Made {
        dir: TempDir,
        entries: Vec<Value>,
    }

    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";

    impl Made {
        fn new() -> Self {
            let made = Self { dir: tempfile::tempdir().unwrap(), entries: Vec::new() };
            fs::create_dir_all(made.path("blobs/sha256")).unwrap();
            fs::write(made.path("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
            made
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn blob_path(&self, descriptor: &Value) -> PathBuf {
            let digest = descriptor["digest"].as_str().unwrap();
            self.path("blobs/sha256").join(digest.strip_prefix("sha256:").unwrap())
        }

        /// Adds a blob and gives its descriptor.
        fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
            let digest = crate::digest::sha256(bytes);
            let descriptor =
                json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
            fs::write(self.blob_path(&descriptor), bytes).unwrap();
            descriptor
        }

        fn json(&self, media_type: &str, value: &Value) -> Value {
            self.blob(media_type, value.to_string().as_bytes())
        }

        /// Adds an image of one layer; the layer's content tells images apart.
        fn image(&self, layer: &str) -> Value {
            let config =
                self.json("application/vnd.oci.image.config.v1+json", &json!({"of": layer}));
            let layer = self.blob("application/vnd.oci.image.layer.v1.tar", layer.as_bytes());
            let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
            self.json(MANIFEST, &manifest)
        }

        fn entry(mut self, descriptor: &Value, tag: Option<&str>) -> Self {
            let mut descriptor = descriptor.clone();
            if let Some(tag) = tag {
                descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
            }
            self.entries.push(descriptor);
            self
        }

        fn open(&self) -> Result<OciLayout, OciLayoutError> {
            let index = json!({"schemaVersion": 2, "manifests": self.entries});
            fs::write(self.path("index.json"), index.to_string()).unwrap();
            OciLayout::open(self.dir.path())
        }

        fn resolve(
            &self,
            tag: Option<&str>,
            digest: Option<&Value>,
        ) -> Result<String, OciLayoutError> {
            let digest: Option<Digest> =
                digest.map(|d| d["digest"].as_str().unwrap().parse().unwrap());
            let resolved = self.open()?.resolve(tag, digest.as_ref())?;
            Ok(resolved.digest.to_string())
        }

        fn fails(&self, tag: Option<&str>, expected: &str) -> OciLayoutError {
            let error = self.resolve(tag, None).expect_err(expected);
            let text = error.to_string();
            assert!(text.contains(expected), "`{text}` should say `{expected}`");
            error
        }
    }

    fn is(found: Result<String, OciLayoutError>, expected: &Value) {
        assert_eq!(found.unwrap(), expected["digest"]);
    }

    #[test]
    fn tags_digests_and_a_lone_image_are_found() {
        let made = Made::new();
        let (one, two, full) = (made.image("1"), made.image("2"), made.image("3"));
        let alone = made.entry(&one, None);
        is(alone.resolve(None, None), &one);
        is(alone.resolve(None, Some(&two)), &two);
        alone.fails(
            Some("v1"),
            &format!("no image `v1`, only `@{}`", one["digest"].as_str().unwrap()),
        );
        let several = alone
            .entry(&one, Some("v1"))
            .entry(&two, Some("v2"))
            .entry(&full, Some("docker.io/library/app:v3"));
        is(several.resolve(Some("v1"), None), &one);
        is(several.resolve(Some("v2"), None), &two);
        is(several.resolve(Some("v3"), None), &full);
        is(several.resolve(Some("v2"), Some(&two)), &two);
        several
            .fails(None, "has several images, name one of `v1`, `v2`, `docker.io/library/app:v3`");
        several.fails(Some("v4"), "has no image `v4`, only `v1`, `v2`,");
        let error = several.resolve(Some("v1"), Some(&two)).unwrap_err();
        assert!(error.to_string().contains("another digest for `v1`"), "{error}");
        let twice = several.entry(&two, Some("v1"));
        twice.fails(Some("v1"), "more than one image `v1`");
        Made::new().fails(None, "has no image");
    }

    #[test]
    fn the_media_type_and_size_come_with_the_digest() {
        let made = Made::new();
        let image = made.image("1");
        let index = made.json(INDEX, &json!({"schemaVersion": 2, "manifests": [image]}));
        let digest: Digest = index["digest"].as_str().unwrap().parse().unwrap();
        let made = made.entry(&image, None);
        let layout = made.open().unwrap();
        let resolved = layout.resolve(None, None).unwrap();
        assert_eq!(resolved.media_type, MANIFEST);
        assert_eq!(resolved.size, image["size"].as_u64().unwrap());
        assert_eq!(layout.resolve(None, Some(&digest)).unwrap().media_type, INDEX);
    }

    #[test]
    fn blobs_are_read_by_digest_from_any_place() {
        let made = Made::new();
        let content: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        let descriptor = made.blob("x", &content);
        let layout = made.open().unwrap();
        let blob = layout.blob(descriptor["digest"].as_str().unwrap()).unwrap();
        assert_eq!(blob.size(), 100_000);
        let mut buf = vec![0; 30_000];
        for (offset, expected) in
            [(0, 30_000), (65_535, 30_000), (90_000, 10_000), (100_000, 0), (u64::MAX / 4, 0)]
        {
            assert_eq!(blob.read_at(offset, &mut buf).unwrap(), expected, "at {offset}");
            let from = (offset as usize).min(content.len());
            assert_eq!(buf[..expected], content[from..from + expected]);
        }
    }

    #[test]
    fn only_digests_name_blobs() {
        let made = Made::new();
        fs::write(made.path("secret"), "x").unwrap();
        let layout = made.open().unwrap();
        let zeros = "0".repeat(64);
        assert!(matches!(
            layout.blob(&format!("sha256:{zeros}")),
            Err(OciLayoutError::NotFound { .. })
        ));
        for bad in [
            "".to_owned(),
            "../../secret".to_owned(),
            "sha256:../../secret".to_owned(),
            format!("sha256:{}", "../".repeat(21) + "x"),
            format!("sha256:{}", "A".repeat(64)),
            format!("sha256:{}", "g".repeat(64)),
            format!("sha256:{zeros}0"),
            format!("sha256:{zeros}/"),
            format!("sha512:{zeros}{zeros}"),
            zeros.clone(),
        ] {
            assert!(matches!(layout.blob(&bad), Err(OciLayoutError::BadDigest(_))), "{bad}");
        }
    }

    #[test]
    fn links_in_a_layout_are_not_followed() {
        let made = Made::new();
        let image = made.image("1");
        let made = made.entry(&image, None);
        let outside = made.path("outside");
        fs::rename(made.blob_path(&image), &outside).unwrap();
        symlink(&outside, made.blob_path(&image)).unwrap();
        made.fails(None, "is a symbolic link");
        let open = |name: &str| {
            let made = Made::new();
            made.open().unwrap();
            fs::rename(made.path(name), made.path("elsewhere")).unwrap();
            symlink(made.path("elsewhere"), made.path(name)).unwrap();
            OciLayout::open(made.dir.path()).unwrap_err().to_string()
        };
        assert!(open("index.json").contains("is a symbolic link"));
        assert!(open("oci-layout").contains("is a symbolic link"));
        assert!(open("blobs").contains("has no `blobs/sha256`"));
        assert!(open("blobs/sha256").contains("has no `blobs/sha256`"));
    }

    #[test]
    fn what_is_not_a_layout_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let open = || OciLayout::open(dir.path()).unwrap_err().to_string();
        assert!(open().contains("it has no `oci-layout`"));
        fs::write(dir.path().join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
        assert!(open().contains("of version `2.0.0`, expected 1"));
        fs::write(dir.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        assert!(open().contains("it has no `index.json`"));
        fs::write(dir.path().join("index.json"), "{\n  \"manifests\": 7}").unwrap();
        let error = OciLayout::open(dir.path()).unwrap_err();
        let cause = error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("line 2 column 16"), "{cause}");
        fs::write(dir.path().join("index.json"), r#"{"manifests":null}"#).unwrap();
        assert!(open().contains("it has no `blobs/sha256`"));
        let missing = OciLayout::open(&dir.path().join("none")).unwrap_err();
        assert!(matches!(missing, OciLayoutError::Open { .. }));
    }

    #[test]
    fn damaged_images_are_found_before_the_build() {
        let damaged = |change: fn(&Made, &Value)| {
            let made = Made::new();
            let image = made.image("layer");
            change(&made, &image);
            made.entry(&image, None)
        };
        damaged(|made, image| {
            let text = fs::read_to_string(made.blob_path(image)).unwrap();
            fs::write(
                made.blob_path(image),
                text.replace("\"schemaVersion\":2", "\"schemaVersion\":3"),
            )
            .unwrap();
        })
        .fails(None, "does not have the digest of its name");
        damaged(|made, image| fs::write(made.blob_path(image), "short").unwrap())
            .fails(None, "size is not the one in its descriptor");
        damaged(|made, image| fs::remove_file(made.blob_path(image)).unwrap())
            .fails(None, "has no blob `sha256:");
        damaged(|made, _| {
            let layer = made.blob("x", b"layer");
            fs::remove_file(made.blob_path(&layer)).unwrap();
        })
        .fails(None, "has no blob `sha256:");
        damaged(|made, _| {
            let layer = made.blob("x", b"layer");
            fs::write(made.blob_path(&layer), "laye").unwrap();
        })
        .fails(None, "size is not the one in its descriptor");
        damaged(|made, _| {
            let config = made.json("x", &json!({"of": "layer"}));
            fs::write(made.blob_path(&config), r#"{"of":"LAYER"}"#).unwrap();
        })
        .fails(None, "does not have the digest of its name");
        damaged(|made, image| {
            fs::remove_file(made.blob_path(image)).unwrap();
            fs::create_dir(made.blob_path(image)).unwrap();
        })
        .fails(None, "is not a file");
        let made = Made::new();
        let other = made.json(MANIFEST, &json!({"hello": "world"}));
        made.entry(&other, None).fails(None, "neither an image manifest nor an index");
        let made = Made::new();
        let text = made.blob(MANIFEST, b"hello");
        made.entry(&text, None).fails(None, "cannot understand");
        let made = Made::new();
        let large = made.blob(MANIFEST, &vec![b' '; (DOCUMENT_MAX_BYTES + 1) as usize]);
        made.entry(&large, None).fails(None, "has more than 4194304 bytes");
    }

    #[test]
    fn an_index_may_lack_other_platforms_but_not_hold_wrong_ones() {
        let made = Made::new();
        let (here, there) = (made.image("amd64"), made.image("arm64"));
        let index = made.json(INDEX, &json!({"schemaVersion": 2, "manifests": [here, there]}));
        fs::remove_file(made.blob_path(&there)).unwrap();
        let made = made.entry(&index, Some("latest"));
        is(made.resolve(Some("latest"), None), &index);
        let text = fs::read_to_string(made.blob_path(&here)).unwrap();
        fs::write(made.blob_path(&here), text.replace("layers", "LAYERS")).unwrap();
        made.fails(None, "does not have the digest of its name");
    }

    #[test]
    fn an_index_that_nests_too_deep_is_refused() {
        let made = Made::new();
        let nested = (0..6).fold(made.image("1"), |below, _| {
            made.json(INDEX, &json!({"schemaVersion": 2, "manifests": [below]}))
        });
        made.entry(&nested, None).fails(None, "more manifests than an image has");
    }
}
