//! Package managers: which one a project uses, and how each fills the virtual environment `/opt/venv`.
//!
//! The environment lies outside of the work tree, at the same path in both stages, so that the paths in it stay valid; the
//! interpreter it links to is at the same place in the full and in the slim image.

use super::{
    candidate::Candidate,
    manifest::Manifest,
    version::{IN_PLACE, PYTHON, WITH_UV},
};
use crate::detect::{paths::below, prelude::*};

/// Where dependencies are installed.
pub(super) const VENV: &str = "/opt/venv";

/// A package manager.
#[derive(Debug)]
pub(super) struct Manager {
    /// The id in `metadata.build_system`.
    pub(super) id: &'static str,
    /// How the names of build backends begin that belong to it.
    backend: &'static str,
    /// Its lock file, and what else it reads.
    files: &'static [&'static str],
    /// What pip installs to have it.
    tool: &'static str,
    /// Command that installs dependencies; `{verb}` is to sync with the lock file, or to install where there is none.
    install: &'static str,
    env: &'static [(&'static str, &'static str)],
    /// Folder that it keeps, beside that of pip.
    cache: &'static str,
}

static UV: Manager = Manager {
    id: "uv",
    backend: "uv_build",
    files: &["uv.lock"],
    tool: "uv",
    install: "uv sync",
    env: &[
        ("UV_COMPILE_BYTECODE", "1"),
        ("UV_LINK_MODE", "copy"),
        ("UV_PROJECT_ENVIRONMENT", VENV),
        ("UV_PYTHON_DOWNLOADS", "never"),
    ],
    cache: "/root/.cache/uv",
};

static POETRY: Manager = Manager {
    id: "poetry",
    backend: "poetry.",
    files: &["poetry.lock", "poetry.toml", "pyproject.toml"],
    tool: "{poetry}",
    install: "poetry install {groups} --no-root",
    env: &[("POETRY_NO_INTERACTION", "1")],
    cache: "/root/.cache/pypoetry",
};

static PDM: Manager = Manager {
    id: "pdm",
    backend: "pdm.",
    files: &["pdm.lock", "pdm.toml", "pyproject.toml"],
    // PDM up to 2.29 asks for any hishel, and does not start with that of version 2.
    tool: "pdm 'hishel<2'",
    install: "pdm {verb} --prod --no-self",
    env: &[("PDM_CHECK_UPDATE", "false")],
    cache: "/root/.cache/pdm",
};

static PIPENV: Manager = Manager {
    id: "pipenv",
    files: &["Pipfile.lock", "Pipfile"],
    tool: "pipenv",
    install: "pipenv {verb}",
    env: &[("PIPENV_VERBOSITY", "-1")],
    cache: "/root/.cache/pipenv",
    ..JUST_PIP
};

pub(super) static PIP: Manager = JUST_PIP;

const JUST_PIP: Manager = Manager {
    id: "pip",
    backend: "",
    files: &[],
    tool: "",
    install: "",
    env: &[],
    cache: PIP_CACHE,
};

const PIP_CACHE: &str = "/root/.cache/pip";

/// In the order in which lock files and backends are looked for; any other backend is one for pip.
static MANAGERS: [&Manager; 5] = [&UV, &POETRY, &PDM, &PIP, &PIPENV];

/// The package manager of a folder (none where there is no manifest), and why.
pub(super) fn decide(at: Folder<'_>, manifest: &Manifest) -> (Option<&'static Manager>, Decision) {
    let member = manifest.workspace.clone();
    let member = member.map(|(_, place)| (&UV, Rule::Is(Fixed::WorkspaceMember), place));
    let is_locked = |manager: &&Manager| manager.files.first().is_some_and(|lock| at.has(lock));
    let locked = MANAGERS.into_iter().find(is_locked).filter(|_| member.is_none());
    let by_lock =
        locked.map(|manager| (manager, Fixed::LockFile.into(), at.place(manager.files[0], None)));
    let Some((manager, rule, place)) = member.or(by_lock).or_else(|| declared(at, manifest)) else {
        return (None, Decision::new(What::BuildSystem, "none", Fixed::NoManager, []));
    };
    let decision = Decision::new(What::BuildSystem, manager.id, rule, [place]);
    let decision = match manifest.requirements.first().filter(|_| locked.is_some()) {
        Some(path) => decision.not(PIP.id, Some(Evidence::file(path)), Fixed::LockSaysMore),
        None => decision,
    };
    (Some(manager), decision)
}

/// The row for what a manager installs.
pub(super) fn language(manager: Option<&Manager>, manifest: &Manifest) -> &'static Language {
    let has_links = |manager: &Manager| {
        manifest.local.is_some() && !(manifest.requirements.is_empty() && manager.files.is_empty())
    };
    match manager {
        Some(manager) if manager.is_uv() => &WITH_UV,
        Some(manager) if has_links(manager) => &IN_PLACE,
        _ => &PYTHON,
    }
}

/// What manifests say of the manager.
fn declared(at: Folder<'_>, manifest: &Manifest) -> Option<(&'static Manager, Rule, Evidence)> {
    let here = |value: &Value| at.place("pyproject.toml", Some(value.line));
    let named = |manager, name: &str, place| (manager, Rule::Named(name.to_owned()), place);
    let tool = |name| manifest.project_at(&["tool", name]);
    let poetry = tool("poetry").filter(|poetry| poetry.has("dependencies") || poetry.has("name"));
    let requirements = manifest.requirements.first();
    let backend = manifest.project_at(&["build-system", "build-backend"]);
    let of_backend = |backend: &Value| {
        let name = backend.as_str().unwrap_or_default();
        let manager = MANAGERS.into_iter().find(|manager| name.starts_with(manager.backend))?;
        Some(named(manager, "build-backend", here(backend)))
    };
    let others = ["pyproject.toml", "setup.py", "setup.cfg", "environment.yml", "environment.yaml"];
    let other = at.first_of(&others);
    let all = [
        poetry.map(|value| named(&POETRY, "tool.poetry", here(value))),
        requirements.map(|path| named(&PIP, file_name(path), Evidence::file(path))),
        at.toml("Pipfile").map(|_| named(&PIPENV, "Pipfile", at.place("Pipfile", None))),
        tool("uv").map(|value| named(&UV, "tool.uv", here(value))),
        tool("pdm").map(|value| named(&PDM, "tool.pdm", here(value))),
        backend.and_then(of_backend),
        other.map(|name| (&PIP, Fixed::NoOtherManager.into(), at.place(name, None))),
    ];
    all.into_iter().flatten().next()
}

impl Manager {
    fn is_uv(&self) -> bool {
        std::ptr::eq(self, &UV)
    }
}

/// How a service gets its dependencies: files, the steps that see them alone, and those that see everything.
type Install = (Vec<String>, Vec<Step>, Vec<Step>);

/// Installs the dependencies; gives the steps that are left for when all files are there.
pub(super) fn install(c: &mut Candidate<'_>, manager: &Manager, version: Version) -> Vec<Step> {
    for (name, value) in manager.env {
        c.facts.build_env(name, *value);
    }
    c.facts.cache.extend([PIP_CACHE, manager.cache].map(str::to_owned));
    let (mut files, mut first, mut build) = match manager.is_uv() {
        true => uv(c),
        false => in_venv(c, manager, version),
    };
    if !c.adds.is_empty() {
        let adds: Vec<String> = c.adds.iter().map(|name| quote(name)).collect();
        // The virtual environment of uv has no pip, and a later `uv sync` would remove what is added; `UV_PYTHON` would
        // win over `VIRTUAL_ENV`.
        let uv_pip = format!("uv pip install --python {VENV}");
        let install = if manager.is_uv() { &uv_pip } else { "pip install" };
        let is_late = first.is_empty() || manager.is_uv() && !build.is_empty();
        let steps = if is_late { &mut build } else { &mut first };
        steps.push(step(".", format!("{install} {}", adds.join(" "))));
    }
    if c.is_in_place() {
        // What links to the work tree can't be installed without it.
        build.splice(0..0, first.drain(..));
        files.clear();
    }
    c.facts.install(files, first);
    build
}

fn step(dir: &str, command: impl Into<String>) -> Step {
    Step::new(Kind::Install, dir, command)
}

/// The tool, the environment, the dependencies, and, where a program of the project runs, the project.
fn in_venv(c: &Candidate<'_>, manager: &Manager, version: Version) -> Install {
    let (at, manifest) = (c.at, &c.manifest);
    let (files, command) = match manager.files {
        [] => of_pip(c, version),
        [lock, ..] => {
            let verb = if at.has(lock) { "sync" } else { "install" };
            // Groups came with Poetry 1.2, which needs Python 3.7.
            let has_groups = version >= Version::of(3, 7);
            let groups = if has_groups { "--only main" } else { "--no-dev" };
            let command = manager.install.replace("{verb}", verb).replace("{groups}", groups);
            (at.those(manager.files), Some(command))
        }
    };
    let tool = manager.tool.replace("{poetry}", &poetry(at));
    let tool = Some(format!("pip install {tool}")).filter(|_| !manager.tool.is_empty());
    let venv = match version.major {
        2 => vec!["pip install virtualenv".to_owned(), format!("virtualenv {VENV}")],
        _ => vec![format!("python -m venv {VENV}")],
    };
    let first = tool.into_iter().chain(venv).map(|command| step(".", command));
    let mut first: Vec<Step> = first.chain(command.map(|command| step(at.dir, command))).collect();
    let is_project =
        manager.files.is_empty() && manifest.requirements.is_empty() && manifest.conda.is_none();
    let own = match is_project {
        true => manifest.is_package().then_some("pip install ."),
        false => c.needs_project.then_some("pip install --no-deps ."),
    };
    let archives = manifest.archives.iter().filter(|_| !files.is_empty());
    let files: Vec<String> = files.iter().chain(archives).cloned().collect();
    // Without files there is nothing yet that could be installed without the sources.
    let mut build = if files.is_empty() { std::mem::take(&mut first) } else { Vec::new() };
    build.extend(own.map(|command| step(at.dir, command)));
    (files, first, build)
}

/// What pip installs for a manifest: the files that say so, and the command.
fn of_pip(c: &Candidate<'_>, version: Version) -> (Vec<String>, Option<String>) {
    let manifest = &c.manifest;
    if let Some(path) = manifest.requirements.first() {
        let command = format!("pip install -r {}", quote(below(c.at.dir, path)));
        return (manifest.requirements.clone(), Some(command));
    }
    if let Some(path) = &manifest.conda {
        let names = manifest.dependencies.iter().filter_map(|(name, d)| conda(name, &d.spec));
        let names: Vec<String> = names.collect();
        let command = format!("pip install {}", names.join(" "));
        return (vec![path.clone()], Some(command).filter(|_| !names.is_empty()));
    }
    let declared = manifest.project_at(&["project", "dependencies"]);
    // `tomllib` is there from 3.11 on; before, everything is installed in one go.
    let has_tomllib = version.minor >= Some(11);
    if declared.is_none_or(|declared| declared.items().is_empty())
        || !has_tomllib && manifest.is_package()
    {
        return (Vec::new(), None);
    }
    let module = if has_tomllib { "tomllib" } else { "pip._vendor.tomli" };
    let command = format!(
        "python -c \"import {module} as t; print(*t.load(open('pyproject.toml', 'rb'))['project']['dependencies'], \
         sep='\\n')\" > /tmp/requirements.txt && pip install -r /tmp/requirements.txt"
    );
    (vec![c.at.path("pyproject.toml")], Some(command))
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

/// The Poetry that wrote the lock file reads it: the first line names it, else the format tells.
fn poetry(at: Folder<'_>) -> String {
    let Some(head) = at.project.tree.head(&at.path("poetry.lock"), 200) else {
        return "poetry".to_owned();
    };
    let version = head.split("Poetry ").nth(1).and_then(Version::parse);
    quote(&match version.map(Version::triple) {
        Some((1, ..5, _)) | None => "poetry<2".to_owned(),
        Some((major, minor, _)) => format!("poetry=={major}.{minor}.*"),
    })
}

fn uv(c: &Candidate<'_>) -> Install {
    let manifest = &c.manifest;
    let root = manifest.workspace.as_ref().map_or(c.at.dir, |(root, _)| root);
    let root = Folder::new(c.at.project, root);
    let frozen = if root.has("uv.lock") { " --frozen" } else { "" };
    let settings = root.toml("pyproject.toml");
    let is_workspace = settings.is_some_and(|toml| toml.at(&["tool", "uv", "workspace"]).is_some());
    let mut files = vec![root.path("pyproject.toml")];
    files.extend(root.those(UV.files));
    files.extend_from_slice(&manifest.archives);
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
    let own = is_package.then(|| sync("--no-editable"));
    let mut first = vec![step(".", format!("pip install {}", UV.tool))];
    // A version that the sources tell, or a program that sets up: without a lock file both are asked.
    let is_dynamic = manifest.has_setup
        || manifest
            .project_at(&["project", "dynamic"])
            .is_some_and(|list| !list.items().is_empty());
    let links = manifest.local.is_some() && !is_workspace || !manifest.locals.is_empty();
    if links || is_dynamic && frozen.is_empty() {
        // Folders that are sources are built with the rest; until they are there nothing can be resolved.
        first.push(own.unwrap_or_else(|| sync(without)));
        return (Vec::new(), Vec::new(), first);
    }
    first.push(sync(without));
    (files, first, own.into_iter().collect())
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
