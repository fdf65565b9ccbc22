//! What the process was given by its surroundings; read once, here alone.

use std::{env, ffi::OsString, path::PathBuf};

/// Variables that change what peelbox does (docs/reference/environment.md).
#[derive(Debug, Default, Clone)]
pub(crate) struct Environment {
    pub(crate) buildkit_host: Option<String>,
    pub(crate) xdg_runtime_dir: Option<String>,
    pub(crate) docker_config: Option<PathBuf>,
    pub(crate) docker_host: Option<String>,
    pub(crate) docker_context: Option<String>,
    pub(crate) docker_tls_verify: bool,
    pub(crate) docker_tls: bool,
    pub(crate) docker_cert_path: Option<PathBuf>,
    pub(crate) tls: TlsVariables,
    #[cfg(feature = "detect")]
    pub(crate) set: SetVariables,
    pub(crate) cache_dir: Option<PathBuf>,
    /// Where what shall be kept goes.
    pub(crate) data_dir: Option<PathBuf>,
    /// Where a socket of our own may lie; short, as socket paths must be.
    pub(crate) runtime_dir: PathBuf,
    /// Where what is too long for the memory goes.
    pub(crate) temp_dir: PathBuf,
    pub(crate) path: Option<OsString>,
    pub(crate) source_date_epoch: Option<String>,
    pub(crate) no_color: Option<String>,
    pub(crate) term: Option<String>,
}

/// Where the files of an encrypted connection to BuildKit are.
#[derive(Debug, Default, Clone)]
pub(crate) struct TlsVariables {
    pub(crate) ca: Option<PathBuf>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) server_name: Option<String>,
}

/// What stands for options of `peelbox detect`.
#[cfg(feature = "detect")]
#[derive(Debug, Default, Clone)]
pub(crate) struct SetVariables {
    pub(crate) start_cmd: Option<String>,
    pub(crate) build_cmd: Option<String>,
    pub(crate) install_cmd: Option<String>,
    pub(crate) env: Option<String>,
    pub(crate) packages: Option<String>,
    pub(crate) build_packages: Option<String>,
    pub(crate) port: Option<String>,
}

impl Environment {
    /// The value of a variable that was named on the command line.
    pub(crate) fn variable(&self, name: &str) -> Option<Vec<u8>> {
        // Such a name stops the program.
        let can_be = !name.is_empty() && !name.contains(['=', '\0']);
        env::var_os(name).filter(|_| can_be).map(OsString::into_encoded_bytes)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub(crate) fn read() -> Self {
        let text = |name: &str| env::var(name).ok().filter(|v| !v.is_empty());
        let dir = |name: &str| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let home = dir("HOME");
        Self {
            buildkit_host: text("BUILDKIT_HOST"),
            xdg_runtime_dir: text("XDG_RUNTIME_DIR"),
            docker_config: dir("DOCKER_CONFIG").or_else(|| Some(home.as_ref()?.join(".docker"))),
            docker_host: text("DOCKER_HOST"),
            docker_context: text("DOCKER_CONTEXT"),
            docker_tls_verify: text("DOCKER_TLS_VERIFY").is_some(),
            docker_tls: text("DOCKER_TLS").is_some(),
            docker_cert_path: dir("DOCKER_CERT_PATH"),
            tls: TlsVariables {
                ca: dir("PEELBOX_TLSCACERT"),
                cert: dir("PEELBOX_TLSCERT"),
                key: dir("PEELBOX_TLSKEY"),
                dir: dir("PEELBOX_TLSDIR"),
                server_name: text("PEELBOX_TLSSERVERNAME"),
            },
            #[cfg(feature = "detect")]
            set: SetVariables {
                start_cmd: text("PEELBOX_START_CMD"),
                build_cmd: text("PEELBOX_BUILD_CMD"),
                install_cmd: text("PEELBOX_INSTALL_CMD"),
                env: text("PEELBOX_ENV"),
                packages: text("PEELBOX_PACKAGES"),
                build_packages: text("PEELBOX_BUILD_PACKAGES"),
                port: text("PEELBOX_PORT"),
            },
            cache_dir: dir("XDG_CACHE_HOME")
                .or_else(|| Some(home.as_ref()?.join(".cache")))
                .map(|cache| cache.join("peelbox")),
            data_dir: dir("XDG_DATA_HOME")
                .or_else(|| Some(home.as_ref()?.join(".local/share")))
                .map(|data| data.join("peelbox")),
            runtime_dir: dir("XDG_RUNTIME_DIR").unwrap_or_else(env::temp_dir),
            temp_dir: env::temp_dir(),
            path: env::var_os("PATH"),
            source_date_epoch: text("SOURCE_DATE_EPOCH"),
            no_color: text("NO_COLOR"),
            term: text("TERM"),
        }
    }
}
