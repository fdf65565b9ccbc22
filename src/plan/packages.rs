//! Packages: one step, as root, with nothing left in the layer but the packages.

use super::{
    PlanError, Planner,
    base::{Image, Stage},
    os_release::{self, PackageManager},
    script,
};
use crate::llb::{
    State,
    op::{Access, ContentCache, Exec, FileAction, Mount, MountKind, Network, Sharing},
};

impl Planner<'_> {
    /// `state` with the packages of a stage, and what was done; without any it stays as it is.
    pub(super) fn install(
        &mut self,
        base: &Image<'_>,
        state: State,
        stage: Stage,
    ) -> Result<(State, Option<String>), PlanError> {
        let (field, packages) = match stage {
            Stage::Build => ("build.packages", &self.spec.build.packages),
            Stage::Runtime => ("runtime.packages", &self.spec.runtime.packages),
        };
        let mut packages = packages.clone();
        packages.sort();
        packages.dedup();
        if packages.is_empty() {
            return Ok((state, None));
        }
        let bad = |name: &&String| {
            name.is_empty()
                || name.starts_with('-')
                || name.contains(|c: char| c.is_whitespace() || c.is_control())
        };
        if let Some(name) = packages.iter().find(bad) {
            return Err(PlanError::PackageName { field, name: name.clone() });
        }

        let words = packages.iter().map(|name| script::quote(name)).collect::<Vec<_>>().join(" ");
        let mut env = base.env();
        let mut mounts = vec![Mount {
            dest: "/".to_owned(),
            kind: MountKind::Bind {
                from: state,
                selector: String::new(),
                access: Access::Output,
                content_cache: ContentCache::Default,
            },
        }];
        let command = match os_release::package_manager(base, field)? {
            PackageManager::Apk => {
                format!("apk add --no-cache {words} && rm -f {APK_LEFTOVERS}")
            }
            PackageManager::Apt => {
                set_env(&mut env, "DEBIAN_FRONTEND", "noninteractive");
                mounts.extend(self.apt_mounts(base));
                format!(
                    "apt-get update && apt-get install -y --no-install-recommends {words} \
                     && rm -rf {APT_LEFTOVERS}"
                )
            }
        };
        let exec = Exec {
            args: vec!["/bin/sh".to_owned(), "-c".to_owned(), command],
            env,
            cwd: "/".to_owned(),
            user: if is_root(base.user()) { String::new() } else { "0:0".to_owned() },
            mounts,
            secret_env: Vec::new(),
            network: Network::Sandbox,
            platform: self.options.platform.clone(),
        };
        let meta = self.options.step(format!("install packages: {}", script::list(&packages)));
        let what = format!("install packages: {}", packages.join(", "));
        Ok((self.graph.exec(exec, &meta).at("/"), Some(what)))
    }

    fn apt_mounts(&mut self, base: &Image<'_>) -> Vec<Mount> {
        // Debian's images delete downloaded packages after each installation, which would leave
        // the cache empty; an empty file over that setting keeps them, and leaves no trace.
        let mkfile = FileAction::Mkfile {
            path: "/docker-clean".to_owned(),
            mode: 0o644,
            data: b"// Downloaded packages stay in the cache mount.\n".to_vec(),
        };
        let meta = self.options.step("keep downloaded packages");
        let from = self.graph.file(State::SCRATCH, &[mkfile], &meta);
        let settings = Mount {
            dest: "/etc/apt/apt.conf.d/docker-clean".to_owned(),
            kind: MountKind::Bind {
                from,
                selector: "/docker-clean".to_owned(),
                access: Access::ReadOnly,
                content_cache: ContentCache::Default,
            },
        };
        let cache = |path: &str| Mount {
            dest: path.to_owned(),
            kind: MountKind::Cache {
                id: self.cache_id(base, &[path]),
                sharing: Sharing::Locked,
                from: State::SCRATCH,
                selector: String::new(),
            },
        };
        vec![settings, cache("/var/cache/apt"), cache("/var/lib/apt/lists")]
    }
}

/// Whether a user of an image config is root.
pub(super) fn is_root(user: &str) -> bool {
    matches!(user.split(':').next(), None | Some("" | "0" | "root"))
}

/// Puts `name=value` in the place of the variable, or at the end.
pub(super) fn set_env(env: &mut Vec<String>, name: &str, value: &str) {
    let pair = format!("{name}={value}");
    let own = |have: &String| have.split_once('=').map_or(have.as_str(), |(name, _)| name) == name;
    match env.iter().position(own) {
        Some(place) => env[place] = pair,
        None => env.push(pair),
    }
}

/// Logs with the time in them: two builds of the same input would differ.
const APK_LEFTOVERS: &str = "/var/log/apk.log";
const APT_LEFTOVERS: &str = "/var/log/apt/* /var/log/alternatives.log /var/log/dpkg.log \
     /var/cache/ldconfig/aux-cache /var/cache/debconf/*-old /var/lib/dpkg/*-old";
