//! The places to try, in order, and who named them.

use std::{fmt, path::PathBuf};

use crate::endpoint::{DockerHost, Endpoint, EndpointError};

/// What decides the places to try, gathered by the caller.
#[derive(Debug, Clone, Copy, Default)]
pub struct Surroundings<'a> {
    /// The value of `--buildkit`.
    pub flag: Option<&'a str>,
    /// The value of `BUILDKIT_HOST`; empty counts as unset, as in buildctl.
    pub buildkit_host: Option<&'a str>,
    /// The value of `XDG_RUNTIME_DIR`.
    pub xdg_runtime_dir: Option<&'a str>,
    /// The user's number.
    pub uid: u32,
    /// Where Docker may be, in the order to try.
    pub docker: &'a [DockerCandidate],
}

/// A place where a Docker Engine may listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerCandidate {
    /// Where, or in one line why that cannot be known.
    pub host: Result<DockerHost, String>,
    /// Why there.
    pub origin: Origin,
}

/// Who named an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `--buildkit`
    Flag,
    /// `BUILDKIT_HOST`
    Environment,
    /// Where a rootless daemon listens by itself.
    RootlessDefault,
    /// Where a daemon of root listens by itself.
    RootDefault,
    /// `DOCKER_HOST`
    DockerHost,
    /// The context of that name, from `DOCKER_CONTEXT`.
    DockerContext(String),
    /// The context of that name, from Docker's config file; empty if that cannot be read.
    CurrentContext(String),
    /// Where a Docker of root listens by itself.
    DockerDefault,
    /// Where a rootless Docker listens by itself.
    DockerRootless,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("from `--buildkit`"),
            Self::Environment => f.write_str("from `BUILDKIT_HOST`"),
            Self::RootlessDefault => f.write_str("rootless default"),
            Self::RootDefault => f.write_str("default"),
            Self::DockerHost => f.write_str("from `DOCKER_HOST`"),
            Self::DockerContext(name) => {
                write!(f, "from `DOCKER_CONTEXT` ({})", name.escape_debug())
            }
            Self::CurrentContext(name) if name.is_empty() => f.write_str("current Docker context"),
            Self::CurrentContext(name) => {
                write!(f, "current Docker context `{}`", name.escape_debug())
            }
            Self::DockerDefault => f.write_str("Docker's default"),
            Self::DockerRootless => f.write_str("rootless Docker"),
        }
    }
}

/// Where a BuildKit may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A daemon of its own, or a Docker that was named to be it.
    BuildKit(Endpoint),
    /// Inside a Docker Engine; or in one line why its address cannot be known.
    Docker(Result<DockerHost, String>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuildKit(endpoint) => endpoint.fmt(f),
            Self::Docker(Ok(host)) => write!(f, "Docker at {host}"),
            Self::Docker(Err(_)) => f.write_str("Docker"),
        }
    }
}

/// A place to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where to connect.
    pub place: Place,
    /// Why there.
    pub origin: Origin,
}

impl From<&DockerCandidate> for Candidate {
    fn from(one: &DockerCandidate) -> Self {
        Self { place: Place::Docker(one.host.clone()), origin: one.origin.clone() }
    }
}

/// Gives the places to try, in order: BuildKit daemons, then what Docker has inside.
///
/// An address that was named is the only one: a build must not land on another daemon than
/// the user meant. Never empty.
///
/// # Errors
/// [`EndpointError`] if the named address is not understood.
pub fn candidates(around: &Surroundings<'_>) -> Result<Vec<Candidate>, EndpointError> {
    let buildkit = |endpoint, origin| Candidate { place: Place::BuildKit(endpoint), origin };
    let buildkit_host = around.buildkit_host.filter(|address| !address.is_empty());
    let named = match (around.flag, buildkit_host) {
        (Some(address), _) => Some((address, Origin::Flag)),
        (None, Some(address)) => Some((address, Origin::Environment)),
        (None, None) => None,
    };
    if let Some((address, origin)) = named {
        return Ok(vec![buildkit(Endpoint::parse(address)?, origin)]);
    }
    let rootless = runtime_dir(around.xdg_runtime_dir, around.uid).map(|dir| {
        buildkit(Endpoint::Unix(dir.join("buildkit/buildkitd.sock")), Origin::RootlessDefault)
    });
    let root = buildkit(
        Endpoint::Unix(PathBuf::from("/run/buildkit/buildkitd.sock")),
        Origin::RootDefault,
    );
    let docker = around.docker.iter().map(Candidate::from);
    Ok(rootless.into_iter().chain([root]).chain(docker).collect())
}

/// Where the sockets of a user's own daemons are; `None` for root without `XDG_RUNTIME_DIR`.
pub fn runtime_dir(xdg_runtime_dir: Option<&str>, uid: u32) -> Option<PathBuf> {
    // BuildKit takes the first of several (v0.32, `util/appdefaults/appdefaults_unix.go`).
    let given = xdg_runtime_dir
        .and_then(|list| list.split(':').next())
        .filter(|dir| dir.starts_with('/'))
        .map(PathBuf::from);
    match (given, uid) {
        (None, 0) => None,
        (None, uid) => Some(PathBuf::from(format!("/run/user/{uid}"))),
        (some, _) => some,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Problem;

    fn docker() -> [DockerCandidate; 2] {
        [
            DockerCandidate { host: Err("no such".to_owned()), origin: Origin::DockerHost },
            DockerCandidate {
                host: DockerHost::parse("/var/run/docker.sock").map_err(|e| e.to_string()),
                origin: Origin::DockerDefault,
            },
        ]
    }

    fn addresses(around: &Surroundings<'_>) -> Vec<(String, Origin)> {
        let list = candidates(around).unwrap();
        list.into_iter().map(|one| (one.place.to_string(), one.origin)).collect()
    }

    #[test]
    fn a_named_address_is_the_only_one() {
        let docker = docker();
        let around = Surroundings {
            flag: Some("tcp://a:1"),
            buildkit_host: Some("tcp://b:2"),
            xdg_runtime_dir: Some("/run/user/7"),
            uid: 7,
            docker: &docker,
        };
        assert_eq!(addresses(&around), [("tcp://a:1".into(), Origin::Flag)]);
        let around = Surroundings { flag: None, ..around };
        assert_eq!(addresses(&around), [("tcp://b:2".into(), Origin::Environment)]);
        let wrong = Surroundings { buildkit_host: Some("nonsense"), ..around };
        assert_eq!(candidates(&wrong).unwrap_err().problem, Problem::NoScheme);
        let empty = Surroundings { flag: Some(""), ..around };
        assert_eq!(candidates(&empty).unwrap_err().problem, Problem::NoScheme);
    }

    #[test]
    fn the_usual_sockets_are_tried_rootless_first() {
        let root = || ("unix:///run/buildkit/buildkitd.sock".to_owned(), Origin::RootDefault);
        let own =
            |dir: &str| (format!("unix://{dir}/buildkit/buildkitd.sock"), Origin::RootlessDefault);
        for (xdg_runtime_dir, uid, expected) in [
            (Some("/run/user/7"), 7, vec![own("/run/user/7"), root()]),
            (Some("/x:/y"), 7, vec![own("/x"), root()]),
            (None, 7, vec![own("/run/user/7"), root()]),
            (Some("relative"), 7, vec![own("/run/user/7"), root()]),
            (Some(""), 0, vec![root()]),
            (None, 0, vec![root()]),
            (Some("/run/user/0"), 0, vec![own("/run/user/0"), root()]),
        ] {
            let around = Surroundings {
                buildkit_host: Some(""),
                xdg_runtime_dir,
                uid,
                ..Surroundings::default()
            };
            assert_eq!(addresses(&around), expected, "{around:?}");
        }
    }

    #[test]
    fn docker_comes_after_buildkit_and_in_the_order_given() {
        let around = Surroundings { docker: &docker(), ..Surroundings::default() };
        assert_eq!(
            addresses(&around),
            [
                ("unix:///run/buildkit/buildkitd.sock".to_owned(), Origin::RootDefault),
                ("Docker".to_owned(), Origin::DockerHost),
                ("Docker at unix:///var/run/docker.sock".to_owned(), Origin::DockerDefault),
            ]
        );
        let named = Surroundings { flag: Some("docker://x"), ..around };
        assert_eq!(addresses(&named), [("docker://x".to_owned(), Origin::Flag)]);
    }

    #[test]
    fn an_origin_says_who_named_the_address() {
        for (origin, text) in [
            (Origin::Flag, "from `--buildkit`"),
            (Origin::Environment, "from `BUILDKIT_HOST`"),
            (Origin::RootlessDefault, "rootless default"),
            (Origin::RootDefault, "default"),
            (Origin::DockerHost, "from `DOCKER_HOST`"),
            (Origin::DockerContext("x\n".to_owned()), "from `DOCKER_CONTEXT` (x\\n)"),
            (Origin::CurrentContext("x".to_owned()), "current Docker context `x`"),
            (Origin::CurrentContext(String::new()), "current Docker context"),
            (Origin::DockerDefault, "Docker's default"),
            (Origin::DockerRootless, "rootless Docker"),
        ] {
            assert_eq!(origin.to_string(), text);
        }
    }
}
