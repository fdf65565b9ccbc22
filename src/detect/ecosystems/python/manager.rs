//! Package managers: which one a project uses, and how each fills the virtual environment `/opt/venv`.
//!
//! The environment lies outside of the work tree, at the same path in both stages, so that the paths in it stay valid; the
//! interpreter it links to is at the same place in the full and in the slim image.

use super::manifest::Manifest;
use crate::detect::{
    Decision, Evidence, Project,
    ecosystems::draft::{quote, within},
    join,
    manifest::Value,
    parent,
    versions::Version,
};

/// Where dependencies are installed.
pub(super) const VENV: &str = "/opt/venv";

/// A package manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manager {
    Pip,
    Poetry,
    Pipenv,
    Pdm,
    Uv,
    /// There is no manifest.
    None,
}

impl Manager {
    /// The id in `metadata.build_system`.
    pub(super) fn id(self) -> &'static str {
        match self {
            Self::Pip => "pip",
            Self::Poetry => "poetry",
            Self::Pipenv => "pipenv",
            Self::Pdm => "pdm",
            Self::Uv => "uv",
            Self::None => "none",
        }
    }
}

/// How a service gets its dependencies.
#[derive(Debug, Default)]
pub(super) struct Install {
    /// Files and commands of the dependency step.
    pub(super) files: Vec<String>,
    pub(super) step: Vec<String>,
    /// Commands for after the whole context has appeared.
    pub(super) build: Vec<String>,
    pub(super) env: Vec<(&'static str, &'static str)>,
    pub(super) cache: Vec<&'static str>,
    /// The environment has links into the work tree, which then must be at the same place in the image.
    pub(super) is_in_place: bool,
}

/// The package manager of a folder, the folder of its workspace, and why.
pub(super) fn decide(project: &Project<'_>, manifest: &Manifest) -> (Manager, String, Decision) {
    let dir = manifest.dir.as_str();
    let decided = |manager: Manager, rule: &str, place: Evidence| {
        (manager, dir.to_owned(), Decision::new("build system", manager.id(), rule, [place]))
    };
    if let Some((root, place)) = workspace(project, manifest) {
        let decision = Decision::new("build system", "uv", "member of a workspace", [place]);
        return (Manager::Uv, root, decision);
    }
    let locks = [
        ("uv.lock", Manager::Uv),
        ("poetry.lock", Manager::Poetry),
        ("pdm.lock", Manager::Pdm),
        ("Pipfile.lock", Manager::Pipenv),
    ];
    for (name, manager) in locks {
        let path = join(dir, name);
        if project.tree.has(&path) {
            let mut found = decided(manager, "lock file", Evidence::file(path));
            if let Some(requirements) = &manifest.requirements {
                found.2 =
                    found.2.not("pip", Some(Evidence::file(requirements)), "a lock file says more");
            }
            return found;
        }
    }
    let tool = |name: &str| manifest.project_at(&["tool", name]);
    let path = join(dir, "pyproject.toml");
    let here = |value: &Value| Evidence::line(&path, Some(value.line));
    if let Some(poetry) =
        tool("poetry").filter(|poetry| poetry.has("dependencies") || poetry.has("name"))
    {
        return decided(Manager::Poetry, "tool.poetry", here(poetry));
    }
    if let Some(requirements) = &manifest.requirements {
        let name = requirements.rsplit('/').next().unwrap_or(requirements);
        return decided(Manager::Pip, name, Evidence::file(requirements));
    }
    if manifest.pipfile.is_some() {
        return decided(Manager::Pipenv, "Pipfile", Evidence::file(join(dir, "Pipfile")));
    }
    for (name, manager) in [("uv", Manager::Uv), ("pdm", Manager::Pdm)] {
        if let Some(value) = tool(name) {
            return decided(manager, &format!("tool.{name}"), here(value));
        }
    }
    if let Some(backend) = manifest.project_at(&["build-system", "build-backend"]) {
        let manager = match backend.as_str().unwrap_or_default() {
            text if text.starts_with("poetry.") => Manager::Poetry,
            text if text.starts_with("pdm.") => Manager::Pdm,
            text if text.starts_with("uv_build") => Manager::Uv,
            _ => Manager::Pip,
        };
        return decided(manager, "build-backend", here(backend));
    }
    let files = ["pyproject.toml", "setup.py", "setup.cfg", "environment.yml", "environment.yaml"];
    if let Some(path) = project.tree.first_of(dir, &files) {
        return decided(Manager::Pip, "no other package manager is named", Evidence::file(path));
    }
    let decision = Decision::new("build system", "none", "no manifest of a package manager", []);
    (Manager::None, dir.to_owned(), decision)
}

/// The root of the workspace of uv that has this folder as a member.
fn workspace(project: &Project<'_>, manifest: &Manifest) -> Option<(String, Evidence)> {
    manifest.pyproject.as_ref()?;
    let mut at = manifest.dir.as_str();
    while at != "." {
        at = parent(at);
        let path = join(at, "pyproject.toml");
        let Some(toml) = project.tree.toml(&path) else { continue };
        let Some(members) = toml.at(&["tool", "uv", "workspace", "members"]) else { continue };
        let below = if at == "." { &manifest.dir } else { manifest.dir.get(at.len() + 1..)? };
        if members.texts().iter().any(|pattern| glob(pattern.trim_matches('/'), below)) {
            return Some((at.to_owned(), Evidence::line(&path, Some(members.line))));
        }
    }
    None
}

/// `packages/*` as uv reads it: `*` within a part, `**` over parts.
fn glob(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<&str>, Vec<&str>) =
        (pattern.split('/').collect(), path.split('/').collect());
    // Each `**` multiplies the ways to try.
    let stars = pattern.iter().filter(|part| **part == "**").count();
    stars <= GLOB_STARS_MAX && parts_match(&pattern, &path)
}

fn parts_match(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) => (0..=path.len()).any(|skip| parts_match(rest, &path[skip..])),
        (Some((&".", rest)), _) => parts_match(rest, path),
        (Some((first, rest)), Some((name, names))) => {
            part_matches(first, name) && parts_match(rest, names)
        }
        _ => false,
    }
}

fn part_matches(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else { return rest.is_empty() };
    for piece in middle {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// What has to be known to install.
pub(super) struct Request<'a> {
    pub(super) manager: Manager,
    /// Folder of the workspace, else of the service.
    pub(super) root: &'a str,
    /// `python`, or `python3` where it is a package of the system.
    pub(super) python: &'a str,
    pub(super) version: Version,
    /// Packages on top of those of the manifest: a server.
    pub(super) adds: &'a [String],
    /// What runs is a program of the project itself.
    pub(super) needs_project: bool,
}

/// The steps that install.
pub(super) fn install(
    project: &Project<'_>,
    manifest: &Manifest,
    request: &Request<'_>,
) -> Install {
    let mut install = match request.manager {
        Manager::Pip => pip(manifest, request),
        Manager::Poetry => poetry(project, manifest, request),
        Manager::Pipenv => pipenv(project, manifest, request),
        Manager::Pdm => pdm(project, manifest, request),
        Manager::Uv => uv(project, manifest, request),
        Manager::None => without_manifest(request),
    };
    // The virtual environment of uv has no pip.
    let pip = if request.manager == Manager::Uv { "uv pip" } else { "pip" };
    if !request.adds.is_empty() {
        let adds: Vec<String> = request.adds.iter().map(|name| quote(name)).collect();
        let command = format!("{pip} install {}", adds.join(" "));
        // A later `uv sync` would remove it.
        let is_late =
            install.step.is_empty() || request.manager == Manager::Uv && !install.build.is_empty();
        if is_late { install.build.push(command) } else { install.step.push(command) }
    }
    if install.is_in_place {
        // What links to the work tree can't be installed without it.
        let step = std::mem::take(&mut install.step);
        install.build.splice(0..0, step);
        install.files.clear();
    }
    install
}

fn venv(request: &Request<'_>) -> Vec<String> {
    match request.version.major {
        2 => vec!["pip install virtualenv".to_owned(), format!("virtualenv {VENV}")],
        _ => vec![format!("{} -m venv {VENV}", request.python)],
    }
}

const PIP_CACHE: &str = "/root/.cache/pip";

fn pip(manifest: &Manifest, request: &Request<'_>) -> Install {
    let dir = manifest.dir.as_str();
    let mut install = Install { step: venv(request), cache: vec![PIP_CACHE], ..Install::default() };
    if let Some(path) = &manifest.requirements {
        let name = if dir == "." { path } else { path.get(dir.len() + 1..).unwrap_or(path) };
        install.step.push(within(dir, &format!("pip install -r {}", quote(name))));
        install.files.clone_from(&manifest.requirement_files);
        install.is_in_place = manifest.local.is_some();
        if request.needs_project {
            install.build.push(within(dir, "pip install --no-deps ."));
        }
        return install;
    }
    if let Some(path) = &manifest.conda {
        let names: Vec<String> =
            manifest.dependencies.iter().filter_map(|(name, d)| conda(name, &d.spec)).collect();
        install.files.push(path.clone());
        if !names.is_empty() {
            install.step.push(format!("pip install {}", names.join(" ")));
        }
        return install;
    }
    let declared =
        manifest.project_at(&["project", "dependencies"]).is_some_and(|d| !d.items().is_empty());
    let has_backend = manifest.project_at(&["build-system"]).is_some() || manifest.has_setup;
    // `tomllib` is there from 3.11 on; before, everything is installed in one go.
    if declared && (request.version.minor >= Some(11) || !has_backend) {
        install.files.push(join(dir, "pyproject.toml"));
        let module =
            if request.version.minor >= Some(11) { "tomllib" } else { "pip._vendor.tomli" };
        let script = format!(
            "python -c \"import {module} as t; print(*t.load(open('pyproject.toml', 'rb'))['project']['dependencies'], \
             sep='\\n')\" > /tmp/requirements.txt && pip install -r /tmp/requirements.txt"
        );
        install.step.push(within(dir, &script));
    }
    if has_backend {
        install.build.push(within(dir, "pip install ."));
    }
    if install.files.is_empty() {
        // There is nothing yet that could be installed without the sources.
        install.build.splice(0..0, install.step.drain(..));
    }
    install
}

/// A package of conda as pip knows it; `None` for what PyPI does not have.
fn conda(name: &str, spec: &str) -> Option<String> {
    let other = [
        "nodejs", "cudatoolkit", "ffmpeg", "git", "mkl", "openssl", "sqlite", "zlib", "make",
        "curl", "gcc", "gxx", "blas", "libgcc",
    ];
    let name = match name {
        "pytorch" => "torch",
        "opencv" => "opencv-python-headless",
        name if other.contains(&name) || name.starts_with("lib") => return None,
        name => name,
    };
    Some(quote(&format!("{name}{spec}")))
}

/// What the managers with a lock file of their own and an environment of `venv` do alike: the tool, the environment, the
/// dependencies, and, where a program of the project runs, the project.
struct Locked<'a> {
    /// Commands that make the tool ready.
    tool: String,
    /// The command that installs dependencies.
    install: String,
    files: &'a [&'a str],
    env: (&'static str, &'static str),
    cache: &'static str,
}

fn locked(
    project: &Project<'_>,
    manifest: &Manifest,
    request: &Request<'_>,
    how: Locked<'_>,
) -> Install {
    let dir = manifest.dir.as_str();
    let files = how.files.iter().map(|name| join(dir, name));
    let mut step = vec![how.tool];
    step.extend(venv(request));
    step.push(within(dir, &how.install));
    let is_package = request.needs_project && (manifest.pyproject.is_some() || manifest.has_setup);
    let own = is_package.then(|| within(dir, "pip install --no-deps ."));
    Install {
        files: files.filter(|path| project.tree.has(path)).collect(),
        step,
        build: own.into_iter().collect(),
        env: vec![how.env],
        cache: vec![PIP_CACHE, how.cache],
        is_in_place: manifest.local.is_some(),
    }
}

fn poetry(project: &Project<'_>, manifest: &Manifest, request: &Request<'_>) -> Install {
    let tool = match poetry_of_lock(project, &join(&manifest.dir, "poetry.lock")) {
        Some(version) => format!("pip install {}", quote(&format!("poetry{version}"))),
        None => "pip install poetry".to_owned(),
    };
    // Groups came with 1.2, which needs Python 3.7.
    let only = if request.version < (Version { major: 3, minor: Some(7), patch: None }) {
        "--no-dev"
    } else {
        "--only main"
    };
    let how = Locked {
        tool,
        install: format!("poetry install {only} --no-root"),
        files: &["pyproject.toml", "poetry.lock", "poetry.toml"],
        env: ("POETRY_NO_INTERACTION", "1"),
        cache: "/root/.cache/pypoetry",
    };
    locked(project, manifest, request, how)
}

/// The Poetry that wrote the lock file reads it: the first line names it, else the format tells.
fn poetry_of_lock(project: &Project<'_>, path: &str) -> Option<String> {
    let head = project.tree.head(path, 200)?;
    let version = head.split("Poetry ").nth(1).and_then(Version::parse);
    match version.map(Version::triple) {
        Some((1, ..5, _)) | None => Some("<2".to_owned()),
        Some((major, minor, _)) => Some(format!("=={major}.{minor}.*")),
    }
}

fn pipenv(project: &Project<'_>, manifest: &Manifest, request: &Request<'_>) -> Install {
    let is_locked = project.tree.has(&join(&manifest.dir, "Pipfile.lock"));
    let how = Locked {
        tool: "pip install pipenv".to_owned(),
        install: format!("pipenv {}", if is_locked { "sync" } else { "install" }),
        files: &["Pipfile", "Pipfile.lock"],
        env: ("PIPENV_VERBOSITY", "-1"),
        cache: "/root/.cache/pipenv",
    };
    locked(project, manifest, request, how)
}

fn pdm(project: &Project<'_>, manifest: &Manifest, request: &Request<'_>) -> Install {
    let is_locked = project.tree.has(&join(&manifest.dir, "pdm.lock"));
    let verb = if is_locked { "sync" } else { "install" };
    let how = Locked {
        // PDM up to 2.29 asks for any hishel, and does not start with that of version 2.
        tool: "pip install pdm 'hishel<2'".to_owned(),
        install: format!("pdm {verb} --prod --no-self"),
        files: &["pyproject.toml", "pdm.lock", "pdm.toml"],
        env: ("PDM_CHECK_UPDATE", "false"),
        cache: "/root/.cache/pdm",
    };
    locked(project, manifest, request, how)
}

fn uv(project: &Project<'_>, manifest: &Manifest, request: &Request<'_>) -> Install {
    let (dir, root) = (manifest.dir.as_str(), request.root);
    let lock = join(root, "uv.lock");
    let frozen = if project.tree.has(&lock) { " --frozen" } else { "" };
    let is_member = dir != root;
    let root_toml = project.tree.toml(&join(root, "pyproject.toml"));
    let is_workspace =
        root_toml.as_ref().is_some_and(|toml| toml.at(&["tool", "uv", "workspace"]).is_some());
    let mut files = vec![join(root, "pyproject.toml")];
    if !frozen.is_empty() {
        files.push(lock);
    }
    if is_workspace {
        let below = project
            .tree
            .dirs_below(root)
            .filter(|(at, entries)| *at != root && entries.has("pyproject.toml"));
        files.extend(below.map(|(at, _)| join(at, "pyproject.toml")));
    }
    let package = match (is_member, &manifest.name) {
        (true, Some(name)) => format!(" --package {}", quote(name)),
        _ => String::new(),
    };
    let without = if is_workspace { "--no-install-workspace" } else { "--no-install-project" };
    let sync = |flags: &str| within(root, &format!("uv sync{frozen} --no-dev{flags}{package}"));
    // A member without a name is installed as a folder with its own settings.
    let step = vec!["pip install uv".to_owned(), sync(&format!(" {without}"))];
    let is_package = manifest.project_at(&["build-system"]).is_some()
        || manifest.project_at(&["tool", "uv", "package"]).is_some_and(Value::is_true);
    let build = match is_package || is_workspace || manifest.local.is_some() {
        true => vec![sync(" --no-editable")],
        false => Vec::new(),
    };
    // Folders that are sources are built with the rest; until they are there nothing can be resolved.
    let has_local = manifest.local.is_some() && !is_workspace;
    let (step, build) = match has_local {
        true => (Vec::new(), step.into_iter().take(1).chain(build).collect()),
        false => (step, build),
    };
    let interpreter =
        if request.python == "python" { "/usr/local/bin/python3" } else { "/usr/bin/python3" };
    Install {
        files: if has_local { Vec::new() } else { files },
        step,
        build,
        env: vec![
            ("UV_COMPILE_BYTECODE", "1"),
            ("UV_LINK_MODE", "copy"),
            ("UV_PROJECT_ENVIRONMENT", VENV),
            ("UV_PYTHON", interpreter),
            ("UV_PYTHON_DOWNLOADS", "never"),
        ],
        cache: vec![PIP_CACHE, "/root/.cache/uv"],
        is_in_place: false,
    }
}

fn without_manifest(request: &Request<'_>) -> Install {
    match request.adds.is_empty() {
        true => Install::default(),
        false => Install { build: venv(request), cache: vec![PIP_CACHE], ..Install::default() },
    }
}

const GLOB_STARS_MAX: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    #[test]
    fn members_match_as_uv_reads_patterns() {
        let check = |pattern: &str, path: &str, want: bool| {
            assert_eq!(glob(pattern, path), want, "{pattern} {path}")
        };
        check("packages/*", "packages/a", true);
        check("packages/*", "packages/a/b", false);
        check("packages/**", "packages/a/b", true);
        check("apps/api-*", "apps/api-x", true);
        check("apps/a*x", "apps/ax", true);
        check("./apps/api", "apps/api", true);
        check("apps/api", "apps/apis", false);
        check("*", "lib", true);
    }

    #[test]
    fn no_pattern_makes_it_panic() {
        mutate(b"**/a*b/./c*", b"*/.a\xc3", 3000, |data| {
            let pattern = String::from_utf8_lossy(data);
            assert!(!glob(&pattern, "é/b/c") || pattern.contains('*') || pattern.contains("é"));
        });
    }

    #[test]
    fn conda_packages_get_their_names_of_pypi() {
        assert_eq!(conda("pytorch", "==2.1.*").as_deref(), Some("'torch==2.1.*'"));
        assert_eq!(conda("libgcc-ng", ""), None);
    }
}
