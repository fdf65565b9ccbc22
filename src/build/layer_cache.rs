//! What an image holds of interest for its SBOM, layer by layer: of layers that were seen before it is kept, and only new
//! ones are read.
//!
//! A base is most of an image and seldom another one: it is listed while the build works on top of it. A layer on top is
//! read as the blob that the daemon has made of it; to list it, the daemon would have to unpack it once more by itself
//! (a `DiffOp`, 0.2 ms for each file), and to list the whole image it sends a message for each file.

use std::{
    collections::{BTreeMap, BTreeSet},
    io, mem,
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{
    disk_cache::DiskCache,
    list::{Lister, Remote},
};
use crate::{
    digest::sha256_hex,
    gateway::Gateway,
    grpc::{Code, Status},
    image_file::{Piece, gather_layer},
    plan::Parts,
    sbom::{self, gathered::Gathered},
    solve::Aside,
    threads::{LARGE_STACK_BYTES, Later},
};

/// Layers and bases that are kept; a base has some megabytes, most layers have some kilobytes.
const LAYERS_MAX: usize = 256;
/// Longest manifest.
const MANIFEST_BYTES_MAX: u64 = 4 << 20;

/// The files of the base of a build.
#[derive(Default)]
pub(super) enum BaseFiles {
    /// Nobody can tell.
    #[default]
    Unknown,
    /// Nobody has asked yet.
    Kept(DiskCache, String),
    /// They are being listed.
    Soon(Later<Option<Gathered>>),
    /// Here they are.
    Known(Gathered),
}

impl BaseFiles {
    /// Lists them on a thread of its own, if they are not kept.
    pub(super) fn begin(
        parts: &Parts,
        cache_dir: Option<&Path>,
        lister: Lister,
        gateway: Gateway,
    ) -> Self {
        let kept = kept(cache_dir);
        let key = key(&parts.base);
        let kept = match kept {
            Some(kept) if kept.has(&key) => return Self::Kept(kept, key),
            other => other,
        };
        let base = parts.base_definition.clone();
        let list = move || {
            let found = lister.folder(base.clone());
            let found = found.and_then(|mut files| {
                let reference = gateway.solve(base)?;
                // Nearly no program of a distribution tells anything.
                files.names.retain(|path, size_bytes| {
                    sbom::tells(path, &Remote::new(&gateway, &reference, path, *size_bytes))
                });
                Ok(files)
            });
            if let (Ok(files), Some(kept)) = (&found, kept) {
                kept.keep(&key, &encode(files));
            }
            // Without it all of the image is listed, and that says what is wrong.
            found.ok()
        };
        Later::begin("pbx-base", LARGE_STACK_BYTES, list).map_or(Self::Unknown, Self::Soon)
    }

    /// Until they are listed nothing else can be: one folder comes at a time.
    pub(super) fn wait(&mut self) {
        *self = match mem::take(self) {
            Self::Soon(answer) => answer.take().flatten().map_or(Self::Unknown, Self::Known),
            other => other,
        };
    }

    /// The files, if they are known. They are given once.
    pub(super) fn take(&mut self) -> Option<Gathered> {
        self.wait();
        match mem::take(self) {
            Self::Known(files) => Some(files),
            Self::Kept(kept, key) => decode(&kept.find(&key)?),
            Self::Unknown | Self::Soon(_) => None,
        }
    }
}

/// Layers as the daemon has made them.
pub(super) struct Layers<'a> {
    pub(super) aside: &'a Aside,
    pub(super) parts: &'a Parts,
    pub(super) cache_dir: Option<&'a Path>,
    /// Most that is read of all that are new, in bytes.
    pub(super) bytes_max: u64,
}

impl Layers<'_> {
    /// Puts the layers of the image with that manifest on its base.
    ///
    /// # Errors
    /// They are too long, or not those of the plan.
    pub(super) fn put_on(&self, base: Gathered, manifest: &str) -> Result<Gathered, Status> {
        let Parts { base_layers, layers, .. } = self.parts;
        let mut data = Vec::new();
        self.aside.blob(manifest, MANIFEST_BYTES_MAX, &mut data)?;
        let manifest: Manifest = serde_json::from_slice(&data)
            .map_err(|e| Status::protocol(format!("the manifest is none: {e}")))?;
        if manifest.layers.len() != base_layers + layers {
            return Err(Status::protocol("the image has other layers than were planned"));
        }
        let kept = kept(self.cache_dir);
        let keys = manifest.layers[*base_layers..].iter().map(|layer| {
            // What it hides depends on what lies below.
            (layer, key(&format!("{} {}", self.parts.base, layer.digest)))
        });
        let mut bytes_left = self.bytes_max;
        let mut image = base;
        for (layer, key) in keys {
            let known = kept.as_ref().and_then(|kept| decode(&kept.find(&key)?));
            let change = match known {
                Some(change) => change,
                None => {
                    bytes_left = bytes_left.checked_sub(layer.size).ok_or_else(|| {
                        Status::new(Code::ResourceExhausted, "the layers are too long")
                    })?;
                    let change = self.read(layer, &image)?;
                    if let Some(kept) = &kept {
                        kept.keep(&key, &encode(&change));
                    }
                    change
                }
            };
            image.put_on(change);
        }
        Ok(image)
    }

    fn read(&self, layer: &Layer, lower: &Gathered) -> Result<Gathered, Status> {
        let failed = |e: io::Error| Status::new(Code::Internal, e.to_string());
        let mut file = tempfile::tempfile().map_err(failed)?;
        self.aside.blob(&layer.digest, layer.size, &mut file)?;
        let blob = Piece::of_file(file).map_err(failed)?;
        gather_layer(&blob, lower).map_err(failed)
    }
}

/// What is wanted of the manifest of an image (OCI image specification, `manifest.md`).
#[derive(Deserialize)]
struct Manifest {
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
struct Layer {
    digest: String,
    size: u64,
}

fn kept(cache_dir: Option<&Path>) -> Option<DiskCache> {
    cache_dir.map(|dir| DiskCache::new(dir, "layers", LAYERS_MAX))
}

/// Another version may want other files.
fn key(name: &str) -> String {
    sha256_hex(format!("{} {name}", env!("CARGO_PKG_VERSION")))
}

/// The beginning of what is kept, a line of JSON; the contents follow in this order.
#[derive(Serialize, Deserialize)]
struct Head {
    contents: Vec<(String, usize)>,
    names: BTreeMap<String, u64>,
    missing: BTreeMap<String, String>,
    hidden: BTreeSet<String>,
}

fn encode(files: &Gathered) -> Vec<u8> {
    let Gathered { contents, names, missing, hidden } = files;
    let head = Head {
        contents: contents.iter().map(|(path, data)| (path.clone(), data.len())).collect(),
        names: names.clone(),
        missing: missing.clone(),
        hidden: hidden.clone(),
    };
    // Maps with texts as keys are always JSON; without it nothing comes back.
    let mut data = serde_json::to_vec(&head).unwrap_or_default();
    data.push(b'\n');
    for content in contents.values() {
        data.extend_from_slice(content);
    }
    data
}

/// `None` for what [`encode`] did not write.
fn decode(data: &[u8]) -> Option<Gathered> {
    let end = data.iter().position(|byte| *byte == b'\n')?;
    let (head, mut rest) = (data.get(..end)?, data.get(end + 1..)?);
    let Head { contents: lengths, names, missing, hidden } = serde_json::from_slice(head).ok()?;
    let mut contents = BTreeMap::new();
    for (path, length) in lengths {
        let (content, after) = rest.split_at_checked(length)?;
        contents.insert(path, content.to_vec());
        rest = after;
    }
    let files = Gathered { contents, names, missing, hidden };
    rest.is_empty().then_some(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    fn files() -> Gathered {
        let contents = [("/a", &b"\0\n"[..]), ("/b", b""), ("/c", b"text")];
        Gathered {
            contents: contents.map(|(path, data)| (path.to_owned(), data.to_vec())).into(),
            names: [("/bin/x".to_owned(), 7)].into(),
            missing: [("/d".to_owned(), "too long".to_owned())].into(),
            hidden: ["/e".to_owned()].into(),
        }
    }

    #[test]
    fn what_is_kept_of_a_layer_comes_back() {
        assert_eq!(decode(&encode(&files())), Some(files()));
    }

    #[test]
    fn a_damaged_file_is_none() {
        let data = encode(&files());
        for end in 0..data.len() {
            assert!(decode(&data[..end]).is_none(), "{end}");
        }
        mutate(&data, b"{}[]\":,0123456789\n", 2000, |data| drop(decode(data)));
    }
}
