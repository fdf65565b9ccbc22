//! A place of its own for every test: a context, a spec, a home folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{daemon, listing::SCRIPT, peelbox::Peelbox};

/// Base with a shell, apt and little else.
pub(crate) const DEBIAN: &str = "docker.io/library/debian:bookworm-slim";
/// Base with Python, for what a shell cannot see.
pub(crate) const PYTHON: &str = "docker.io/library/python:3.11-slim-bookworm";

/// Gone when dropped.
pub(crate) struct Workdir {
    dir: TempDir,
    spec: PathBuf,
    daemon: String,
}

impl Workdir {
    /// An empty context and no spec yet; builds go to the newest daemon.
    pub(crate) fn new() -> Self {
        // Not /tmp, which may be small: contexts and daemons' caches come here.
        let dir = tempfile::Builder::new().prefix("pbx-it-").tempdir_in("/var/tmp").unwrap();
        fs::create_dir(dir.path().join("context")).unwrap();
        fs::create_dir(dir.path().join("home")).unwrap();
        let spec = dir.path().join("universalbuild.json");
        Self { dir, spec, daemon: daemon::newest() }
    }

    /// With that spec, beside the context.
    pub(crate) fn with_spec(spec: &Value) -> Self {
        let work = Self::new();
        work.set_spec(spec);
        work
    }

    /// Builds of this place are of another spec from now on.
    pub(crate) fn set_spec(&self, spec: &Value) {
        fs::write(&self.spec, spec.to_string()).unwrap();
    }

    /// A copy of one of the examples; its spec is in the context.
    pub(crate) fn example(name: &str) -> Self {
        let mut work = Self::new();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        for entry in fs::read_dir(&from).unwrap() {
            let entry = entry.unwrap();
            // What a person's own try left there (node_modules) is a folder.
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), work.context().join(entry.file_name())).unwrap();
            }
        }
        work.spec = work.context().join("universalbuild.json");
        work
    }

    /// Builds of this place go to another daemon.
    #[must_use]
    pub(crate) fn on(mut self, address: &str) -> Self {
        address.clone_into(&mut self.daemon);
        self
    }

    /// Where `peelbox` is started.
    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    /// A path relative to [`Workdir::root`].
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// The folder to build.
    pub(crate) fn context(&self) -> PathBuf {
        self.path("context")
    }

    /// The spec's file.
    pub(crate) fn spec(&self) -> &Path {
        &self.spec
    }

    /// Writes a file of the context.
    pub(crate) fn write(&self, relative: &str, content: impl AsRef<[u8]>) {
        let path = self.context().join(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// `peelbox` in this place, without arguments.
    pub(crate) fn peelbox(&self) -> Peelbox {
        Peelbox::new(self)
    }

    /// `peelbox build` of this place, without an output.
    pub(crate) fn build(&self) -> Peelbox {
        self.command("build")
    }

    /// `peelbox plan` of this place.
    pub(crate) fn plan(&self) -> Peelbox {
        self.command("plan")
    }

    fn command(&self, name: &str) -> Peelbox {
        let spec = self.spec.to_str().unwrap();
        let args = [name, "--spec", spec, "--context", "context", "--buildkit", &self.daemon];
        self.peelbox().args(args)
    }
}

/// A spec that lists the context in a build step, and keeps the list as `/listing`.
pub(crate) fn lister(name: &str) -> Value {
    let command = format!("mkdir /out\npython3 - >/out/listing <<'EOF'{SCRIPT}EOF");
    on_base(PYTHON, name, &[&command])
}

/// A spec that runs `commands` on Debian and keeps `/out` of them on scratch.
pub(crate) fn debian(name: &str, commands: &[&str]) -> Value {
    on_base(DEBIAN, name, commands)
}

/// The same on a base of choice.
pub(crate) fn on_base(base: &str, name: &str, commands: &[&str]) -> Value {
    json!({
        "version": "1.0",
        "metadata": { "project_name": name },
        // Tests run at once, and of steps that are the same the daemon makes one, with one name.
        "build": { "base": base, "commands": commands, "env": { "TEST": name } },
        "runtime": {
            "base": "scratch",
            "copy": [{ "from": "/out", "to": "/" }],
            "command": ["/none"]
        }
    })
}
