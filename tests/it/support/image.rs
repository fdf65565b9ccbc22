//! An OCI image in a tar file, as a registry or another tool would read it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::daemon;

/// All of it in memory.
pub(crate) struct Image {
    files: BTreeMap<String, Vec<u8>>,
}

impl Image {
    pub(crate) fn read(path: &Path) -> Self {
        Self::parse(&fs::read(path).unwrap())
    }

    pub(crate) fn parse(tar: &[u8]) -> Self {
        Self { files: entries(tar) }
    }

    /// Digest of what the layout names: an index when something is attested of the image, else its manifest.
    pub(crate) fn top(&self) -> String {
        self.index()["manifests"][0]["digest"].as_str().unwrap().to_owned()
    }

    /// Digest of the one manifest of an image.
    pub(crate) fn digest(&self) -> String {
        let top = self.json(&self.top());
        let Some(manifests) = top["manifests"].as_array() else { return self.top() };
        let mut images = manifests.iter().filter(|m| m["platform"]["os"] != "unknown");
        let image = images.next().unwrap();
        assert_eq!(images.next(), None, "one platform");
        image["digest"].as_str().unwrap().to_owned()
    }

    pub(crate) fn index(&self) -> Value {
        let index: Value = serde_json::from_slice(&self.files["index.json"]).unwrap();
        let count = index["manifests"].as_array().unwrap().len();
        assert!(count >= 1, "{index}");
        index
    }

    pub(crate) fn manifest(&self) -> Value {
        self.json(&self.digest())
    }

    pub(crate) fn config(&self) -> Value {
        self.json(self.manifest()["config"]["digest"].as_str().unwrap())
    }

    fn json(&self, digest: &str) -> Value {
        serde_json::from_slice(self.blob(digest)).unwrap()
    }

    /// A blob, checked against its digest.
    pub(crate) fn blob(&self, digest: &str) -> &[u8] {
        let hex = digest.strip_prefix("sha256:").unwrap();
        let blob = &self.files[&format!("blobs/sha256/{hex}")];
        let got: String = Sha256::digest(blob).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(got, hex);
        blob
    }

    /// Every blob that the manifest names is there and whole.
    pub(crate) fn check(&self) {
        let manifest = self.manifest();
        let layers = manifest["layers"].as_array().unwrap();
        let config = self.config();
        assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), layers.len());
        for layer in layers {
            let blob = self.blob(layer["digest"].as_str().unwrap());
            assert_eq!(layer["size"], blob.len(), "{layer}");
        }
    }
}

/// The root file system of an image, in a new folder.
pub(crate) fn unpack(image: &Path) -> PathBuf {
    let folder = image.with_extension("unpacked");
    let done = Command::new(daemon::variable("PEELBOX_TEST_RUN_IMAGE"))
        .arg("--unpack")
        .args([&folder, image])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    folder
}

/// Regular files of a tar of the plain kind.
fn entries(tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let text = |field: &[u8]| {
        let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
        String::from_utf8(field[..end].to_vec()).unwrap()
    };
    let mut files = BTreeMap::new();
    let mut rest = tar;
    while let Some((header, after)) = rest.split_at_checked(512) {
        if header[0] == 0 {
            assert!(rest.len() >= 1024 && rest.iter().all(|b| *b == 0), "a tar ends with zeros");
            return files;
        }
        let size = usize::from_str_radix(text(&header[124..136]).trim(), 8).unwrap();
        let (body, next) = after.split_at(size.next_multiple_of(512));
        match header[156] {
            b'0' | 0 => drop(files.insert(text(&header[..100]), body[..size].to_vec())),
            b'5' => {}
            kind => panic!("an entry of type {kind}"),
        }
        rest = next;
    }
    panic!("the tar has no end");
}
