//! What files of other tools say of a folder: `Dockerfile`, `fly.toml`, `render.yaml` and the like. They are hints: what the files
//! of the language say comes first, and a value that is for the image of another tool is not taken.

use self::{
    dockerfile::dockerfile,
    files::READERS,
    said::{At, Hints},
};
use super::{Project, pins::Pin};

pub(super) mod apply;
mod dockerfile;
mod files;
mod said;
#[cfg(test)]
mod tests;

/// All that is said of a folder.
fn of(project: &Project<'_>, dir: &str) -> Hints {
    let (at, mut hints) = (At { project, dir }, Hints::default());
    for read in READERS {
        read(at, &mut hints);
    }
    dockerfile(at, &mut hints);
    hints
}

/// Versions that the files of a folder have for an image or a tool of one of these names.
pub(super) fn pins(project: &Project<'_>, dir: &str, names: &[&str]) -> Vec<Pin> {
    let all = of(project, dir).pins.into_iter();
    all.filter(|(name, _)| names.contains(&name.as_str())).map(|(_, pin)| pin).collect()
}
