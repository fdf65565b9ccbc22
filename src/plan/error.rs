//! Why there is no plan.

use std::fmt;

use super::Platform;

/// Why a spec and its bases do not make a plan.
#[derive(Debug)]
#[non_exhaustive]
pub enum PlanError {
    /// The caller did not resolve a base that [`bases`](super::bases) asked for.
    Unresolved {
        /// The base as a person writes it.
        base: String,
    },
    /// The config of a base is no image config.
    BaseConfig {
        /// The base as a person writes it.
        base: String,
        /// What is wrong with the JSON.
        source: serde_json::Error,
    },
    /// A base is for another platform than the image.
    BasePlatform {
        /// The base as a person writes it.
        base: String,
        /// What it is for.
        has: Box<Platform>,
        /// What was asked for.
        wanted: Box<Platform>,
    },
    /// Packages on a base without `/etc/os-release`.
    NoOsRelease {
        /// `build.packages` or `runtime.packages`.
        field: &'static str,
        /// The base as a person writes it.
        base: String,
    },
    /// Packages on a base whose package manager is not known.
    UnknownDistribution {
        /// `build.packages` or `runtime.packages`.
        field: &'static str,
        /// The base as a person writes it.
        base: String,
        /// `ID` of its `/etc/os-release`, perhaps empty.
        id: String,
    },
    /// A package name that the package manager would take for something else.
    PackageName {
        /// `build.packages` or `runtime.packages`.
        field: &'static str,
        /// The name.
        name: String,
    },
    /// Packages on `scratch`.
    ScratchPackages {
        /// `build.packages` or `runtime.packages`.
        field: &'static str,
    },
    /// Commands on `scratch`.
    ScratchCommands {
        /// Field of the first command.
        field: String,
    },
    /// A cache mount that would hide the whole stage.
    CachePath {
        /// Place in `build.cache`.
        index: usize,
        /// The path.
        path: String,
    },
    /// An artifact in a cache mount that no command fills.
    CachedArtifact {
        /// Place in `runtime.copy`.
        index: usize,
        /// The path.
        path: String,
    },
    /// `--entrypoint` is neither a JSON array of strings nor one word.
    Entrypoint {
        /// What was given.
        text: String,
    },
    /// A platform without `/bin/sh`.
    Platform {
        /// What was asked for.
        platform: Platform,
    },
    /// `SOURCE_DATE_EPOCH` is no time.
    Epoch {
        /// What was given, in seconds.
        epoch: i64,
    },
}

impl PlanError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoOsRelease { field, .. } | Self::UnknownDistribution { field, .. } => format!(
                "use a base with apk (alpine, wolfi, chainguard) or apt (debian, ubuntu), \
                 or one that has the packages already, and remove `{field}`"
            ),
            Self::ScratchPackages { field } => {
                let stage = field.split('.').next().unwrap_or_default();
                format!("name a base with a package manager in `{stage}.base`, or remove `{field}`")
            }
            Self::ScratchCommands { .. } => {
                "name a base with a shell in `build.base`; `runtime.base` may stay `scratch`".into()
            }
            Self::CachePath { .. } => {
                "name the folder that a tool keeps its cache in, such as `/root/.npm`".into()
            }
            Self::CachedArtifact { .. } => {
                "add the command that makes it to `build.commands`, or remove the cache".into()
            }
            Self::Entrypoint { .. } => {
                r#"write `--entrypoint '["node","server.js"]'`, or the name of one program"#.into()
            }
            Self::BasePlatform { has, wanted, .. } => {
                format!(
                    "name a base that is there for `{wanted}`, or build with `--platform {has}`"
                )
            }
            Self::Platform { .. } => "use `--platform linux/amd64` or another Linux".into(),
            Self::PackageName { .. } => "write one package per entry, without options".into(),
            Self::Unresolved { .. } | Self::BaseConfig { .. } | Self::Epoch { .. } => return None,
        };
        Some(hint)
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved { base } => write!(f, "base `{base}` was not resolved"),
            Self::BaseConfig { base, .. } => write!(f, "cannot read the image config of `{base}`"),
            Self::BasePlatform { base, has, wanted } => {
                write!(f, "base `{base}` is for platform `{has}`, not for `{wanted}`")
            }
            Self::NoOsRelease { field, base } => write!(
                f,
                "`{field}`: cannot tell the package manager of `{base}`: it has no `/etc/os-release`"
            ),
            Self::UnknownDistribution { field, base, id } if id.is_empty() => write!(
                f,
                "`{field}`: cannot tell the package manager of `{base}`: \
                 its `/etc/os-release` has no `ID`"
            ),
            Self::UnknownDistribution { field, base, id } => write!(
                f,
                "`{field}`: no package manager is known for `{id}`, \
                 the distribution of `{base}` in its `/etc/os-release`"
            ),
            Self::PackageName { field, name } => {
                write!(f, "`{field}`: `{}` is not a package name", name.escape_debug())
            }
            Self::ScratchPackages { field } => {
                write!(f, "`{field}`: `scratch` has no package manager")
            }
            Self::ScratchCommands { field } => {
                write!(f, "`{field}`: `scratch` has no shell to run commands")
            }
            Self::CachePath { index, path } => {
                write!(f, "`build.cache[{index}]`: a cache at `{path}` would hide the build itself")
            }
            Self::CachedArtifact { index, path } => write!(
                f,
                "`runtime.copy[{index}]`: `{path}` lies in a cache mount, and no command fills it"
            ),
            Self::Entrypoint { text } => write!(
                f,
                "entrypoint `{}` is neither a JSON array of strings nor one word",
                text.escape_debug()
            ),
            Self::Platform { platform } => write!(f, "cannot build for platform `{platform}`"),
            Self::Epoch { epoch } => write!(f, "SOURCE_DATE_EPOCH `{epoch}` is out of range"),
        }
    }
}

impl std::error::Error for PlanError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::BaseConfig { source, .. } => Some(source),
            _ => None,
        }
    }
}
