//! Package managers: which one a project uses, and how each fills the virtual environment `/opt/venv`.
//!
//! The environment lies outside of the work tree, at the same path in both stages, so that the paths in it stay valid; the
//! interpreter it links to is at the same place in the full and in the slim image.

use super::{
    candidate::Candidate,
    manifest::Manifest,
    version::{IN_PLACE, PYTHON, WITH_UV},
};
use crate::detect::{
    paths::{below, matches},
    prelude::*,
};

/// Where dependencies are installed.
pub(super) const VENV: &str = "/opt/venv";

/// A package manager.
#[derive(Debug)]
pub(super) struct Manager {
    /// The id in `metadata.build_system`.
    pub(super) id: &'static str,
    lock: &'static str,
    /// How the names of build backends begin that belong to it.
    backend: &'static str,
    /// Files that it reads.
    files: &'static [&'static str],
    /// Command that makes it ready.
    tool: &'static str,
    /// Command that installs dependencies; `{verb}` is to sync with the lock file, or to install where there is none.
    install: &'static str,
    steps: fn(&Candidate<'_>, &Used) -> Install,
    env: &'static [(&'static str, &'static str)],
    cache: &'static [&'static str],
}

static UV: Manager = Manager {
    id: "uv",
    lock: "uv.lock",
    backend: "uv_build",
    files: &["pyproject.toml", "uv.lock"],
    tool: "pip install uv",
    install: "uv sync",
    steps: uv,
    env: &[
        ("UV_COMPILE_BYTECODE", "1"),
        ("UV_LINK_MODE", "copy"),
        ("UV_PROJECT_ENVIRONMENT", VENV),
        ("UV_PYTHON_DOWNLOADS", "never"),
    ],
    cache: &["/root/.cache/pip", "/root/.cache/uv"],
};

static POETRY: Manager = Manager {
    id: "poetry",
    lock: "poetry.lock",
    backend: "poetry.",
    files: &["pyproject.toml", "poetry.lock", "poetry.toml"],
    tool: "pip install {poetry}",
    install: "poetry install {groups} --no-root",
    steps: locked,
    env: &[("POETRY_NO_INTERACTION", "1")],
    cache: &["/root/.cache/pip", "/root/.cache/pypoetry"],
};

static PDM: Manager = Manager {
    id: "pdm",
    lock: "pdm.lock",
    backend: "pdm.",
    files: &["pyproject.toml", "pdm.lock", "pdm.toml"],
    // PDM up to 2.29 asks for any hishel, and does not start with that of version 2.
    tool: "pip install pdm 'hishel<2'",
    install: "pdm {verb} --prod --no-self",
    steps: locked,
    env: &[("PDM_CHECK_UPDATE", "false")],
    cache: &["/root/.cache/pip", "/root/.cache/pdm"],
};

static PIPENV: Manager = Manager {
    id: "pipenv",
    lock: "Pipfile.lock",
    backend: "",
    files: &["Pipfile", "Pipfile.lock"],
    tool: "pip install pipenv",
    install: "pipenv {verb}",
    steps: locked,
    env: &[("PIPENV_VERBOSITY", "-1")],
    cache: &["/root/.cache/pip", "/root/.cache/pipenv"],
};

pub(super) static PIP: Manager = Manager {
    id: "pip",
    lock: "",
    backend: "",
    files: &[],
    tool: "",
    install: "",
    steps: pip,
    env: &[],
    cache: &["/root/.cache/pip"],
};

/// In the order in which lock files and backends are looked for; any other backend is one for pip.
static MANAGERS: [&Manager; 5] = [&UV, &POETRY, &PDM, &PIP, &PIPENV];

/// The package manager of a folder.
#[derive(Debug)]
pub(super) struct Used {
    pub(super) manager: &'static Manager,
    /// Folder of the workspace, else of the service.
    pub(super) root: String,
    pub(super) version: Version,
}

/// The package manager of a folder, the folder of its workspace, and why.
pub(super) fn decide(
    at: Folder<'_>,
    manifest: &Manifest,
) -> (Option<&'static Manager>, String, Decision) {
    let decided = |manager: &'static Manager, root: &str, rule: Rule, place| {
        let decision = Decision::new(What::BuildSystem, manager.id, rule, [place]);
        (Some(manager), root.to_owned(), decision)
    };
    if let Some((root, place)) = workspace(at, manifest) {
        return decided(&UV, &root, Fixed::WorkspaceMember.into(), place);
    }
    if let Some(manager) = MANAGERS.into_iter().find(|manager| at.has(manager.lock)) {
        let place = at.place(manager.lock, None);
        let mut found = decided(manager, at.dir, Fixed::LockFile.into(), place);
        if let Some(requirements) = &manifest.requirements {
            let lost = Some(Evidence::file(requirements));
            found.2 = found.2.not(PIP.id, lost, Fixed::LockSaysMore);
        }
        return found;
    }
    match declared(at, manifest) {
        Some((manager, rule, place)) => decided(manager, at.dir, rule, place),
        None => {
            let decision = Decision::new(What::BuildSystem, "none", Fixed::NoManager, []);
            (None, at.dir.to_owned(), decision)
        }
    }
}

/// What manifests say of the manager.
fn declared(at: Folder<'_>, manifest: &Manifest) -> Option<(&'static Manager, Rule, Evidence)> {
    let here = |value: &Value| at.place("pyproject.toml", Some(value.line));
    let named = |manager, name: &str, place| Some((manager, Rule::Named(name.to_owned()), place));
    let tool = |name| manifest.project_at(&["tool", name]);
    if let Some(poetry) =
        tool("poetry").filter(|poetry| poetry.has("dependencies") || poetry.has("name"))
    {
        return named(&POETRY, "tool.poetry", here(poetry));
    }
    if let Some(path) = &manifest.requirements {
        return named(&PIP, file_name(path), Evidence::file(path));
    }
    if at.toml("Pipfile").is_some() {
        return named(&PIPENV, "Pipfile", at.place("Pipfile", None));
    }
    for (manager, name) in [(&UV, "tool.uv"), (&PDM, "tool.pdm")] {
        if let Some(value) = tool(manager.id) {
            return named(manager, name, here(value));
        }
    }
    if let Some(backend) = manifest.project_at(&["build-system", "build-backend"]) {
        let name = backend.as_str().unwrap_or_default();
        let manager = MANAGERS.into_iter().find(|manager| name.starts_with(manager.backend))?;
        return named(manager, "build-backend", here(backend));
    }
    let files = ["pyproject.toml", "setup.py", "setup.cfg", "environment.yml", "environment.yaml"];
    Some((&PIP, Fixed::NoOtherManager.into(), at.place(at.first_of(&files)?, None)))
}

/// The root of the workspace of uv that has this folder as a member.
fn workspace(at: Folder<'_>, manifest: &Manifest) -> Option<(String, Evidence)> {
    manifest.pyproject.as_ref()?;
    upward(at.dir).skip(1).find_map(|root| {
        let path = join(root, "pyproject.toml");
        let toml = at.project.tree.toml(&path)?;
        let members = toml.at(&["tool", "uv", "workspace", "members"])?;
        let is_one = |pattern: &&str| matches(pattern.trim_matches('/'), below(root, at.dir));
        let place = Evidence::line(&path, Some(members.line));
        members.texts().iter().any(is_one).then(|| (root.to_owned(), place))
    })
}

/// The row for what the manager installs.
pub(super) fn language(
    manager: Option<&'static Manager>,
    manifest: &Manifest,
) -> &'static Language {
    match manager {
        Some(manager) if std::ptr::eq(manager, &UV) => &WITH_UV,
        Some(manager) if manifest.local.is_some() => {
            let is_linked = manifest.requirements.is_some() || !manager.lock.is_empty();
            if is_linked { &IN_PLACE } else { &PYTHON }
        }
        _ => &PYTHON,
    }
}

/// How a service gets its dependencies.
#[derive(Debug, Default)]
pub(super) struct Install {
    /// Files that the first steps see.
    pub(super) files: Vec<String>,
    pub(super) first: Vec<Step>,
    /// Steps for after the whole context has appeared.
    pub(super) build: Vec<Step>,
}

/// The steps that install.
pub(super) fn install(c: &mut Candidate<'_>, used: &Used) -> Install {
    for (name, value) in used.manager.env {
        c.facts.build_env(name, *value);
    }
    c.facts.cache.extend(used.manager.cache.iter().map(|path| (*path).to_owned()));
    let mut install = (used.manager.steps)(c, used);
    if !c.adds.is_empty() {
        let adds: Vec<String> = c.adds.iter().map(|name| quote(name)).collect();
        let is_uv = std::ptr::eq(used.manager, &UV);
        // The virtual environment of uv has no pip, and a later `uv sync` would remove what is added.
        let pip = if is_uv { "uv pip" } else { "pip" };
        let is_late = install.first.is_empty() || is_uv && !install.build.is_empty();
        let steps = if is_late { &mut install.build } else { &mut install.first };
        steps.push(step(".", format!("{pip} install {}", adds.join(" "))));
    }
    if is_in_place(&c.facts) {
        // What links to the work tree can't be installed without it.
        install.build.splice(0..0, install.first.drain(..));
        install.files.clear();
    }
    install
}

/// Whether the environment has links into the work tree.
pub(super) fn is_in_place(facts: &Facts) -> bool {
    std::ptr::eq(facts.language, &IN_PLACE)
}

fn step(dir: &str, command: impl Into<String>) -> Step {
    Step::new(Kind::Install, dir, command)
}

fn venv(version: Version) -> Vec<Step> {
    match version.major {
        2 => vec![step(".", "pip install virtualenv"), step(".", format!("virtualenv {VENV}"))],
        _ => vec![step(".", format!("python -m venv {VENV}"))],
    }
}

fn pip(c: &Candidate<'_>, used: &Used) -> Install {
    let (dir, manifest) = (c.at.dir, &c.manifest);
    let mut install = Install { first: venv(used.version), ..Install::default() };
    if let Some(path) = &manifest.requirements {
        let command = format!("pip install -r {}", quote(below(dir, path)));
        install.first.push(step(dir, command));
        install.files.clone_from(&manifest.requirement_files);
        install.build.extend(c.needs_project.then(|| step(dir, "pip install --no-deps .")));
        return install;
    }
    if let Some(path) = &manifest.conda {
        let dependencies = manifest.dependencies.iter();
        let names: Vec<String> =
            dependencies.filter_map(|(name, d)| conda(name, &d.spec)).collect();
        install.files.push(path.clone());
        let command = format!("pip install {}", names.join(" "));
        install.first.extend((!names.is_empty()).then(|| step(".", command)));
        return install;
    }
    let declared = manifest.project_at(&["project", "dependencies"]);
    // `tomllib` is there from 3.11 on; before, everything is installed in one go.
    let has_tomllib = used.version.minor >= Some(11);
    if declared.is_some_and(|declared| !declared.items().is_empty())
        && (has_tomllib || !manifest.is_package())
    {
        let module = if has_tomllib { "tomllib" } else { "pip._vendor.tomli" };
        let command = format!(
            "python -c \"import {module} as t; print(*t.load(open('pyproject.toml', 'rb'))['project']['dependencies'], \
             sep='\\n')\" > /tmp/requirements.txt && pip install -r /tmp/requirements.txt"
        );
        install.first.push(step(dir, command));
        install.files.push(c.at.path("pyproject.toml"));
    } else {
        // There is nothing yet that could be installed without the sources.
        install.build.append(&mut install.first);
    }
    install.build.extend(manifest.is_package().then(|| step(dir, "pip install .")));
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

/// The managers with a lock file of their own and an environment of `venv`: the tool, the environment, the dependencies,
/// and, where a program of the project runs, the project.
fn locked(c: &Candidate<'_>, used: &Used) -> Install {
    let (at, manager) = (c.at, used.manager);
    // Groups came with Poetry 1.2, which needs Python 3.7.
    let has_groups = used.version >= Version::of(3, 7);
    let vars = [
        ("{verb}", if at.has(manager.lock) { "sync" } else { "install" }.to_owned()),
        ("{poetry}", quote(&format!("poetry{}", poetry_of_lock(at)))),
        ("{groups}", if has_groups { "--only main" } else { "--no-dev" }.to_owned()),
    ];
    let fill = |command: &str| {
        vars.iter().fold(command.to_owned(), |line, (name, value)| line.replace(name, value))
    };
    let mut first = vec![step(".", fill(manager.tool))];
    first.extend(venv(used.version));
    first.push(step(at.dir, fill(manager.install)));
    let is_package = c.needs_project && (c.manifest.pyproject.is_some() || c.manifest.has_setup);
    let own = is_package.then(|| step(at.dir, "pip install --no-deps ."));
    Install { files: at.those(manager.files), first, build: own.into_iter().collect() }
}

/// The Poetry that wrote the lock file reads it: the first line names it, else the format tells.
fn poetry_of_lock(at: Folder<'_>) -> String {
    let Some(head) = at.project.tree.head(&at.path("poetry.lock"), 200) else {
        return String::new();
    };
    let version = head.split("Poetry ").nth(1).and_then(Version::parse);
    match version.map(Version::triple) {
        Some((1, ..5, _)) | None => "<2".to_owned(),
        Some((major, minor, _)) => format!("=={major}.{minor}.*"),
    }
}

fn uv(c: &Candidate<'_>, used: &Used) -> Install {
    let (manifest, root) = (&c.manifest, Folder::new(c.at.project, &used.root));
    let frozen = if root.has(UV.lock) { " --frozen" } else { "" };
    let settings = root.toml("pyproject.toml");
    let is_workspace = settings.is_some_and(|toml| toml.at(&["tool", "uv", "workspace"]).is_some());
    let mut files = vec![root.path("pyproject.toml")];
    files.extend(root.those(UV.files));
    let mut without = "--no-install-project";
    if is_workspace {
        without = "--no-install-workspace";
        let dirs = root.project.tree.dirs_below(root.dir);
        let members = dirs.filter(|(_, entries)| entries.has("pyproject.toml"));
        files.extend(members.map(|(dir, _)| join(dir, "pyproject.toml")));
    }
    // A member without a name is installed as a folder with its own settings.
    let name = manifest.name.as_ref().filter(|_| c.at.dir != root.dir);
    let package = name.map(|name| format!(" --package {}", quote(name))).unwrap_or_default();
    let sync =
        |flag: &str| step(root.dir, format!("{}{frozen} --no-dev {flag}{package}", UV.install));
    let is_package = manifest.project_at(&["build-system"]).is_some()
        || manifest.project_at(&["tool", "uv", "package"]).is_some_and(Value::is_true)
        || is_workspace
        || manifest.local.is_some();
    let tool = step(".", UV.tool);
    let own = is_package.then(|| sync("--no-editable"));
    if manifest.local.is_some() && !is_workspace {
        // Folders that are sources are built with the rest; until they are there nothing can be resolved.
        return Install { build: [tool].into_iter().chain(own).collect(), ..Install::default() };
    }
    Install { files, first: vec![tool, sync(without)], build: own.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conda_packages_get_their_names_of_pypi() {
        assert_eq!(conda("pytorch", "==2.1.*").as_deref(), Some("'torch==2.1.*'"));
        assert_eq!(conda("libgcc-ng", ""), None);
    }
}
