//! The operations as plain data: what a graph is made of before it becomes bytes.

use std::{fmt, str::FromStr};

use super::State;
use crate::pb::llb as pb;

/// Where a step runs: `linux/amd64`, `linux/arm64`, `linux/arm/v7`.
///
/// Always normalised as the daemon does it (containerd `platforms.Normalize`), because the
/// daemon recomputes vertex digests from the normalised form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// `v7` of `linux/arm/v7`, empty where the architecture has one usual variant.
    pub variant: String,
}

impl Platform {
    /// Normalises the three parts; names of other worlds (`x86_64`, `aarch64`) are understood.
    pub fn new(os: &str, architecture: &str, variant: &str) -> Self {
        let variant = variant.to_ascii_lowercase();
        let (architecture, variant) =
            match (architecture.to_ascii_lowercase().as_str(), variant.as_str()) {
                ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64".to_owned(), String::new()),
                ("x86_64" | "x86-64" | "amd64", _) => ("amd64".to_owned(), variant),
                ("i386" | "386", _) => ("386".to_owned(), String::new()),
                ("aarch64" | "arm64", "8" | "v8") => ("arm64".to_owned(), String::new()),
                ("aarch64" | "arm64", _) => ("arm64".to_owned(), variant),
                ("armhf", _) | ("arm", "" | "7") => ("arm".to_owned(), "v7".to_owned()),
                ("armel", _) | ("arm", "6") => ("arm".to_owned(), "v6".to_owned()),
                ("arm", "5" | "8") => ("arm".to_owned(), format!("v{variant}")),
                (other, _) => (other.to_owned(), variant),
            };
        Self { os: os.to_ascii_lowercase(), architecture, variant }
    }

    /// As messages carry it.
    pub fn to_pb(&self) -> pb::Platform {
        pb::Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            variant: self.variant.clone(),
            ..pb::Platform::default()
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

/// A text that is no platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformError(pub String);

impl fmt::Display for PlatformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a platform such as `linux/amd64` or `linux/arm/v7`", self.0)
    }
}

impl std::error::Error for PlatformError {}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let word = |part: &str| {
            !part.is_empty()
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        let parts: Vec<&str> = text.split('/').collect();
        match parts.as_slice() {
            [os, architecture] if word(os) && word(architecture) => {
                Ok(Self::new(os, architecture, ""))
            }
            [os, architecture, variant] if word(os) && word(architecture) && word(variant) => {
                Ok(Self::new(os, architecture, variant))
            }
            _ => Err(PlatformError(text.to_owned())),
        }
    }
}

/// What is said about a vertex without being part of its identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Display name; the daemon makes one up without it.
    pub name: Option<String>,
    /// Runs even when its result is known. On an exec this also empties its cache mounts.
    pub ignore_cache: bool,
}

impl Meta {
    /// Only a display name.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ignore_cache: false }
    }
}

/// Where files come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An image of a registry.
    Image {
        /// Normalised reference with tag or digest: `docker.io/library/alpine:3@sha256:…`.
        reference: String,
        /// Which of its platforms.
        platform: Platform,
        /// What the daemon has under that name will do; else the registry is asked.
        prefers_local: bool,
    },
    /// An image of an OCI layout that the client serves.
    OciLayout {
        /// Id of the store; the daemon asks the session for `oci:<store>`.
        store: String,
        /// `sha256:…` of the manifest or index.
        digest: String,
        /// Session that serves the store; any session of the build when absent.
        session: Option<String>,
        /// Which of its platforms.
        platform: Platform,
    },
    /// A folder of the client, sent over the session.
    Local(LocalSource),
}

/// A folder of the client.
///
/// Neither `session` nor `shared_key_hint` reaches a cache key: keys of what follows come from
/// the content. Without a session two concurrent builds with the same definition share this
/// vertex, and one gets the other's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalSource {
    /// Name the session knows the folder by.
    pub name: String,
    /// The session that serves it.
    pub session: Option<String>,
    /// Names the daemon's copy of the folder, so that only changes are sent.
    pub shared_key_hint: Option<String>,
    /// Only these paths, `.dockerignore` syntax.
    pub include: Vec<String>,
    /// Not these paths, `.dockerignore` syntax.
    pub exclude: Vec<String>,
}

/// One process in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// Program and arguments.
    pub args: Vec<String>,
    /// `NAME=value`, in order.
    pub env: Vec<String>,
    /// Absolute working directory.
    pub cwd: String,
    /// `name`, `uid`, `name:group`, `uid:gid`; empty is root.
    pub user: String,
    /// What it sees; one of them has `dest` `/`. Any order: they are sorted by `dest`.
    pub mounts: Vec<Mount>,
    /// Secrets as environment variables.
    pub secret_env: Vec<SecretEnv>,
    /// Network of the process.
    pub network: Network,
    /// Where it runs.
    pub platform: Platform,
}

/// Network of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// The daemon's default.
    #[default]
    Sandbox,
    /// The daemon's own network; needs the entitlement `network.host`.
    Host,
    /// None at all.
    None,
}

/// A secret of the session as an environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretEnv {
    /// Id in the session.
    pub id: String,
    /// Variable.
    pub name: String,
    /// The process runs without it too.
    pub optional: bool,
}

/// One mount of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Absolute path in the container.
    pub dest: String,
    /// What is there.
    pub kind: MountKind,
}

/// What a mount shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountKind {
    /// Files of a state.
    Bind {
        /// The files; scratch is an empty folder.
        from: State,
        /// Sub-folder of the state; empty is all of it.
        selector: String,
        /// What becomes of changes.
        access: Access,
        /// How the files reach the cache key.
        content_cache: ContentCache,
    },
    /// A folder that the daemon keeps between builds.
    Cache {
        /// Names the folder, together with `from`.
        id: String,
        /// What happens when two processes want it.
        sharing: Sharing,
        /// What it starts as; scratch is an empty folder of root.
        from: State,
        /// Sub-folder of `from`; empty is all of it.
        selector: String,
    },
    /// A folder in memory.
    Tmpfs,
    /// A secret of the session as a file.
    Secret {
        /// Id in the session.
        id: String,
        /// The process runs without it too.
        optional: bool,
        /// Not only root may read it.
        is_for_all: bool,
    },
}

/// What becomes of changes under a bind mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// They are an output of the step.
    Output,
    /// There are none.
    ReadOnly,
    /// They are lost.
    Discard,
}

/// How the files of a bind mount reach the cache key of the step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContentCache {
    /// The daemon's rule (by content where safe, never for `/`); v0.12 and older: only without
    /// output.
    #[default]
    Default,
    /// By content: the daemon hashes all of it (v0.13+).
    On,
    /// By the step that made them (v0.13+).
    Off,
}

/// What happens when two processes want one cache folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Both use it.
    Shared,
    /// One gets another, empty one.
    Private,
    /// One waits.
    Locked,
}

/// One action of a file step; actions work on the result of the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileAction {
    /// Makes a folder and its parents; an existing one stays as it is.
    Mkdir {
        /// Absolute path.
        path: String,
        /// Permission bits.
        mode: u32,
        /// Root without it.
        owner: Option<Owner>,
        /// Time of what is made, in nanoseconds since 1970; that of the build without it.
        time_ns: Option<i64>,
    },
    /// Writes a file.
    Mkfile {
        /// Absolute path.
        path: String,
        /// Permission bits.
        mode: u32,
        /// Its content.
        data: Vec<u8>,
    },
    /// Copies files of another state.
    Copy(CopyAction),
}

/// Copies files of another state, as `COPY` does: parents of `dest` are made, links at `src` are
/// followed, a folder gives its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyAction {
    /// The other state.
    pub from: State,
    /// Absolute path in it.
    pub src: String,
    /// Absolute path; a trailing `/` means into.
    pub dest: String,
    /// `src` is a pattern; no match is an error.
    pub wildcard: bool,
    /// Only these paths below `src`, `.dockerignore` syntax.
    pub include: Vec<String>,
    /// Kept without it.
    pub owner: Option<Owner>,
    /// Permission bits; kept without it. A daemon may give them to parents that it makes, too.
    pub mode: Option<u32>,
    /// Time in nanoseconds since 1970, also of the folder at `dest`; that of the source without it.
    pub time_ns: Option<i64>,
}

/// Owner of new files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User; an id alone is the group's id as well.
    pub user: UserRef,
    /// Group; the user's own without it.
    pub group: Option<UserRef>,
    /// The state whose `/etc/passwd` and `/etc/group` know the names.
    pub names: State,
}

impl Owner {
    /// 0:0.
    pub fn root() -> Self {
        Self { user: UserRef::Id(0), group: Some(UserRef::Id(0)), names: State::SCRATCH }
    }
}

/// A user or group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserRef {
    /// By number.
    Id(u32),
    /// By name.
    Name(String),
}

impl UserRef {
    /// A number is an id, anything else a name.
    pub fn parse(text: &str) -> Self {
        match text.parse() {
            Ok(id) => Self::Id(id),
            Err(_) if text == "root" => Self::Id(0),
            Err(_) => Self::Name(text.to_owned()),
        }
    }
}
