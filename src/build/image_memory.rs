//! What is known of images that were made before: what is attested of each, in it or in files beside it.
//!
//! No engine tells that. Where nothing is remembered all is made once more.

use std::path::{Path, PathBuf};

use super::disk_cache::{DiskCache, read_bounded};
use crate::digest::sha256_hex;

/// Images of which something is remembered.
const IMAGES_MAX: usize = 1000;
/// Longest file that is looked at.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Remembers images by the id that an engine or a daemon gives them.
#[derive(Debug)]
pub(super) struct ImageMemory(Option<DiskCache>);

impl ImageMemory {
    /// Nothing is remembered without a folder.
    pub(super) fn new(cache_dir: Option<&Path>) -> Self {
        Self(cache_dir.map(|dir| DiskCache::new(dir, "images", IMAGES_MAX)))
    }

    fn find(&self, id: &str) -> Option<String> {
        String::from_utf8(self.0.as_ref()?.find(&sha256_hex(id))?).ok()
    }

    fn keep(&self, id: &str, text: &str) {
        if let Some(kept) = &self.0 {
            kept.keep(&sha256_hex(id), text.as_bytes());
        }
    }

    /// What the image with that id holds; `None` also when what is said of it lies beside it.
    pub(super) fn of_image(&self, id: &str) -> Option<Holds> {
        let text = self.find(id)?;
        let (manifest, attested) = text.split_once(' ').filter(|_| !text.contains('\n'))?;
        Some(Holds { manifest: manifest.to_owned(), attested: attested.to_owned() })
    }

    pub(super) fn remember(&self, id: &str, holds: &Holds) {
        self.keep(id, &format!("{} {}", holds.manifest, holds.attested));
    }

    /// The files that were written beside the image with that id, when what they say is `attested` and they are as they
    /// were written.
    pub(super) fn beside(&self, id: &str, attested: &str) -> Option<Vec<PathBuf>> {
        let text = self.find(id)?;
        let mut lines = text.lines();
        if lines.next() != Some(attested) {
            return None;
        }
        let file = |line: &str| {
            let (digest, path) = line.split_once(' ')?;
            (file_digest(Path::new(path))? == digest).then(|| PathBuf::from(path))
        };
        lines.map(file).collect()
    }

    /// Remembers files whose paths are text without line ends.
    pub(super) fn remember_beside(&self, id: &str, attested: &str, files: &[PathBuf]) {
        let line = |path: &PathBuf| {
            let name = path.to_str().filter(|name| !name.contains('\n'))?;
            Some(format!("\n{} {name}", file_digest(path)?))
        };
        let lines: Option<String> = files.iter().map(line).collect();
        if let Some(lines) = lines {
            self.keep(id, &format!("{attested}{lines}"));
        }
    }
}

/// What an image is and what is attested of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Holds {
    pub(super) manifest: String,
    /// The same for the same SBOM and a provenance of the same kind, which differs in times from build to build.
    pub(super) attested: String,
}

fn file_digest(path: &Path) -> Option<String> {
    Some(sha256_hex(read_bounded(path, FILE_BYTES_MAX).ok()?))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_an_image_holds_is_remembered_by_its_id() {
        let dir = tempfile::tempdir().unwrap();
        let known = ImageMemory::new(Some(dir.path()));
        let holds = Holds { manifest: "sha256:1".to_owned(), attested: "key".to_owned() };
        assert_eq!(known.of_image("sha256:a"), None);
        known.remember("sha256:a", &holds);
        assert_eq!(known.of_image("sha256:a"), Some(holds));
        assert_eq!(known.of_image("sha256:b"), None);
        assert_eq!(known.beside("sha256:a", "key"), None);
    }

    #[test]
    fn files_beside_an_image_count_while_they_are_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let known = ImageMemory::new(Some(&dir.path().join("cache")));
        let files: Vec<PathBuf> = ["a.json", "b c.json"].map(|name| dir.path().join(name)).into();
        for file in &files {
            fs::write(file, "{}").unwrap();
        }
        known.remember_beside("sha256:a", "key", &files);
        assert_eq!(known.beside("sha256:a", "key"), Some(files.clone()));
        assert_eq!(known.of_image("sha256:a"), None);
        assert_eq!(known.beside("sha256:a", "another"), None);
        assert_eq!(known.beside("sha256:b", "key"), None);
        fs::write(&files[1], "{ }").unwrap();
        assert_eq!(known.beside("sha256:a", "key"), None);
        fs::remove_file(&files[1]).unwrap();
        assert_eq!(known.beside("sha256:a", "key"), None);
        assert_eq!(ImageMemory::new(None).beside("sha256:a", "key"), None);
    }
}
