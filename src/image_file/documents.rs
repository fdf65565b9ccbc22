//! Documents of an image as they are written.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};

use super::Config;
use crate::oci_layout::{Platform, null_is_empty};

/// Annotations of a manifest; none where it has no such list.
pub(super) fn annotations(manifest: &[u8]) -> BTreeMap<String, String> {
    #[derive(Deserialize)]
    struct Annotated {
        #[serde(default, deserialize_with = "null_is_empty")]
        annotations: BTreeMap<String, String>,
    }
    serde_json::from_slice(manifest).map_or_else(|_| BTreeMap::new(), |a: Annotated| a.annotations)
}

/// An image of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Saved {
    pub(super) config: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) repo_tags: Vec<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) layers: Vec<String>,
}

/// An image configuration (OCI image specification, `config.md`).
#[derive(Deserialize)]
pub(super) struct RawConfig {
    #[serde(flatten)]
    pub(super) platform: Platform,
    pub(super) created: Option<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) config: Execution,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) rootfs: RootFs,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) history: Vec<History>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Execution {
    #[serde(deserialize_with = "null_is_empty")]
    entrypoint: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    cmd: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    env: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    user: String,
    #[serde(deserialize_with = "null_is_empty")]
    working_dir: String,
    #[serde(deserialize_with = "null_is_empty")]
    exposed_ports: BTreeMap<String, IgnoredAny>,
    #[serde(deserialize_with = "null_is_empty")]
    labels: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
pub(super) struct RootFs {
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) diff_ids: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct History {
    pub(super) created_by: Option<String>,
    #[serde(default)]
    pub(super) empty_layer: bool,
}

impl Execution {
    /// Without values of variables.
    pub(super) fn named(self, created: Option<String>) -> Config {
        let name = |variable: String| variable.split('=').next().unwrap_or_default().to_owned();
        Config {
            created,
            entrypoint: self.entrypoint,
            cmd: self.cmd,
            env: self.env.into_iter().map(name).collect(),
            user: self.user,
            working_dir: self.working_dir,
            exposed_ports: self.exposed_ports.into_keys().collect(),
            labels: self.labels,
        }
    }
}
