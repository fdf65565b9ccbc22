//! What a build is asked for, as plain data.

use std::{collections::BTreeSet, ffi::OsString, path::PathBuf};

use super::{
    attestations::{Attestations, Sbom},
    project::Project,
    registries::hosts,
};
use crate::{output::Output, spec::reference::normalize};

/// What a build is asked for.
pub struct BuildRequest {
    /// What is built, of which source tree.
    pub project: Project,
    /// Where the result goes.
    pub output: Output,
    /// Names of the image, as normalised references (`docker.io/library/app:latest`).
    pub tags: Vec<String>,
    /// What is attested of the image.
    pub attestations: Attestations,
    /// The daemon shall remember the build. It writes all logs and a whole provenance for that before it answers: 23 of 90
    /// ms of a build of nothing new (Engine 29.8).
    pub keeps_record: bool,
    /// Where SBOMs, layers and images are remembered from build to build.
    pub cache_dir: Option<PathBuf>,
    /// Where SBOM and provenance of images go that can hold none.
    pub data_dir: Option<PathBuf>,
    /// Who has the credentials of registries.
    pub credentials: Credentials,
}

impl BuildRequest {
    /// Builds `project` for `output`, with SBOM and provenance, under the name of the project, and remembers nothing.
    pub fn new(project: Project, output: Output) -> Self {
        Self {
            tags: normalize(project.name()).into_iter().collect(),
            project,
            output,
            attestations: Attestations::default(),
            keeps_record: false,
            cache_dir: None,
            data_dir: None,
            credentials: Credentials::default(),
        }
    }

    /// Registries that it names: of bases, of the image, of a scanner.
    pub(super) fn registries(&self) -> BTreeSet<String> {
        let mut all = self.project.registries();
        all.extend(hosts(self.tags.iter().map(String::as_str)));
        let pushed = match &self.output {
            Output::Image { attrs } => attrs.get("name").map_or("", String::as_str),
            _ => "",
        };
        let scanner = match &self.attestations.sbom {
            Sbom::Generator(image) => Some(image.as_str()),
            Sbom::No | Sbom::Own => None,
        };
        let typed = pushed.split(',').chain(scanner);
        let normal: Vec<String> = typed.filter_map(|name| normalize(name).ok()).collect();
        all.extend(hosts(normal.iter().map(String::as_str)));
        all
    }
}

/// Where credentials of registries are found.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The folder with Docker's `config.json`.
    pub docker_config: Option<PathBuf>,
    /// A value like that of `PATH`, for credential helpers.
    pub search_path: Option<OsString>,
}
