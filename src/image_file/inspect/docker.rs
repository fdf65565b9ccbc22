//! `manifest.json`, by which `docker load` reads an image.

use super::{DOCUMENT_BYTES_MAX, Depth, Inspection, LAYERS_MAX, MANIFESTS_MAX, short};
use crate::{
    image_file::{
        DOCKER_MANIFEST, INDEX, Image, ImageFileError, Layer, Manifest, Piece, documents::Saved,
    },
    oci_layout::Digest,
};

const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

impl Inspection<'_> {
    /// `manifest.json` of `docker save` where there is no index.
    pub(super) fn docker(&mut self, docker: &Piece) -> Result<(), ImageFileError> {
        for saved in self.docker_entries(docker)? {
            let mut manifest = Manifest::default();
            let Some(config) = self.file.file(&saved.config) else {
                self.fault(format!("the config `{}` is missing", short(&saved.config)));
                continue;
            };
            let sha256 = config.sha256().map_err(|e| self.file.open_error(e))?;
            self.compare_name(&saved.config, &sha256);
            manifest.config_digest = format!("sha256:{sha256}");
            manifest.size_bytes = config.size_bytes;
            for path in saved.layers {
                let mut layer = Layer { media_type: DOCKER_LAYER.to_owned(), ..Layer::default() };
                match self.file.file(&path) {
                    None => self.fault(format!("the layer `{}` is missing", short(&path))),
                    Some(piece) => {
                        layer.size_bytes = piece.size_bytes;
                        if self.depth == Depth::Whole {
                            let sha256 = piece.sha256().map_err(|e| self.file.open_error(e))?;
                            self.compare_name(&path, &sha256);
                            layer.digest = format!("sha256:{sha256}");
                        }
                    }
                }
                manifest.size_bytes = manifest.size_bytes.saturating_add(layer.size_bytes);
                layer.file = Some(path);
                manifest.layers.push(layer);
            }
            if config.size_bytes > DOCUMENT_BYTES_MAX {
                self.fault(format!("the config `{}` is too long", short(&saved.config)));
            } else {
                let bytes = self.file.document(&config, "config")?;
                self.configure(&mut manifest, &bytes, true);
            }
            let names = saved.repo_tags;
            self.images.push(Image { names, manifests: vec![manifest], ..Image::default() });
        }
        if self.images.is_empty() {
            self.fault(format!("`{DOCKER_MANIFEST}` names no image"));
        }
        Ok(())
    }

    /// A file that is called by a digest must have it.
    fn compare_name(&mut self, path: &str, sha256: &str) {
        let name = path.rsplit('/').next().unwrap_or(path);
        let name = name.strip_prefix("sha256:").unwrap_or(name);
        // `docker save` writes `<hex>.json`, ko and crane `sha256:<hex>` and `<hex>.tar.gz`.
        let name = name.split_once('.').map_or(name, |(name, _)| name);
        if format!("sha256:{name}").parse::<Digest>().is_err() {
            return;
        }
        self.verified.insert(format!("sha256:{name}"), name == sha256);
        if name != sha256 {
            self.fault(format!("`{}` has the digest sha256:{sha256}", short(path)));
        }
    }

    /// Some tools read the index, others `manifest.json`: both must speak of the same.
    pub(super) fn compare_with_docker(&mut self, docker: &Piece) -> Result<(), ImageFileError> {
        for saved in self.docker_entries(docker)? {
            let digest =
                |path: &str| path.strip_prefix("blobs/sha256/").map(|hex| format!("sha256:{hex}"));
            let config = digest(&saved.config);
            let manifests = self.images.iter().flat_map(|image| &image.manifests);
            let found = manifests.into_iter().any(|manifest| {
                let layers = manifest.layers.iter().map(|layer| Some(layer.digest.clone()));
                Some(&manifest.config_digest) == config.as_ref()
                    && layers.eq(saved.layers.iter().map(|path| digest(path)))
            });
            if !found {
                let config = short(&saved.config);
                self.fault(format!(
                    "`{DOCKER_MANIFEST}` has an image that `{INDEX}` has not: config `{config}`"
                ));
            }
        }
        Ok(())
    }

    fn docker_entries(&self, docker: &Piece) -> Result<Vec<Saved>, ImageFileError> {
        let bytes = self.file.document(docker, DOCKER_MANIFEST)?;
        let saved: Vec<Saved> = serde_json::from_slice(&bytes)
            .map_err(|source| self.file.json(DOCKER_MANIFEST, source))?;
        let layers: usize = saved.iter().map(|saved| saved.layers.len()).sum();
        if saved.len() > MANIFESTS_MAX || layers > LAYERS_MAX {
            let problem = format!("`{DOCKER_MANIFEST}` names more than images have");
            return Err(ImageFileError::Damaged { path: self.file.path.clone(), problem });
        }
        Ok(saved)
    }
}
