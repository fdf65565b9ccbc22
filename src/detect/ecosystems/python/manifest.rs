//! What a Python project says of itself: requirements files, `pyproject.toml`, `Pipfile`, `setup.py`, `setup.cfg`, conda.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    imports::quoted,
    lock::Lock,
    names::{is_path, normalized},
};
use crate::detect::{
    paths::{below, glob},
    prelude::*,
};

/// A dependency that is needed to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dependency {
    /// Specifier as written; empty when any version will do.
    pub(super) spec: String,
    /// Where it stands.
    pub(super) place: Evidence,
}

/// A program that a project offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) name: String,
    /// What it calls: `shop.main:run`.
    pub(super) target: String,
    pub(super) place: Evidence,
}

/// All manifests of one folder.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    /// Name of the project.
    pub(super) name: Option<String>,
    /// By normalised name.
    pub(super) dependencies: BTreeMap<String, Dependency>,
    /// The requirements file that is installed, and those that it includes.
    pub(super) requirements: Vec<String>,
    /// Where a dependency is a folder of the tree.
    pub(super) local: Option<Evidence>,
    /// Those folders, and names of members of the workspace that are dependencies.
    pub(super) locals: Vec<String>,
    pub(super) members: Vec<String>,
    /// Archives of the tree that are installed, and folders of such.
    pub(super) archives: Vec<String>,
    pub(super) lock: Option<Lock>,
    pub(super) pyproject: Option<Value>,
    /// Root of the workspace of uv that has the folder as a member, and where it says so.
    pub(super) workspace: Option<(String, Evidence)>,
    pub(super) has_setup: bool,
    /// File of a conda environment.
    pub(super) conda: Option<String>,
    /// Programs that the project offers when it is installed, and where they are declared.
    pub(super) scripts: Vec<Script>,
    /// Scripts that PDM or Pipenv runs by name.
    aliases: BTreeMap<String, String>,
    /// What is said of the version of Python.
    pub(super) pythons: Vec<Pin>,
}

/// Requirements files in the order in which they are looked for.
const REQUIREMENTS: &[&str] = &[
    "requirements.txt",
    "requirements/production.txt",
    "requirements/prod.txt",
    "requirements/base.txt",
    "requirements/main.txt",
    "requirements/common.txt",
    "requirements/requirements.txt",
    "requirements-prod.txt",
    "requirements.prod.txt",
    "requirements_prod.txt",
    "requirements.lock",
    "requirements.in",
];

/// Commands that run another in the environment of a manager.
const RUNNERS: &[&str] =
    &["poetry run ", "pipenv run ", "pdm run ", "uv run ", "hatch run ", "rye run "];

const CONDA: &[&str] = &["environment.yml", "environment.yaml"];

/// Packages, extras of them, and what these bring that needs the system's libraries.
const EXTRAS: &[(&str, &str, &str)] = &[
    ("sqlalchemy", "postgresql", "psycopg2"),
    ("sqlalchemy", "postgresql-psycopg", "psycopg"),
    ("sqlalchemy", "mysql", "mysqlclient"),
    ("psycopg", "c", "psycopg-c"),
];

/// Files included by files; more are not followed.
const INCLUDES_MAX: usize = 40;

/// Whether a folder has a manifest of Python.
pub(super) fn is_here(at: Folder<'_>) -> bool {
    let others = ["Pipfile", "manage.py", "uv.lock", "poetry.lock", "pdm.lock"];
    [REQUIREMENTS, CONDA, &others].iter().any(|names| at.first_of(names).is_some())
        || has_setup(at)
        || at.toml("pyproject.toml").is_some_and(|toml| {
            let tools = ["poetry", "pdm", "uv", "hatch", "flit"];
            toml.has("project")
                || toml.has("build-system")
                || tools.iter().any(|tool| toml.at(&["tool", tool]).is_some())
        })
}

/// Whether there is a `setup.py` or `setup.cfg` that sets something up: other programs have files of the first name, and
/// linters have settings in the second.
fn has_setup(at: Folder<'_>) -> bool {
    let tools = ["setuptools", "distutils", "skbuild"];
    at.read("setup.py").is_some_and(|file| {
        tools.iter().any(|tool| file.text.contains(tool))
            || file.text.lines().any(|line| line.starts_with("setup("))
    }) || at
        .read("setup.cfg")
        .is_some_and(|file| file.text.lines().any(|line| line.trim() == "[options]"))
}

impl Manifest {
    /// Reads all there is; an empty manifest where there is none.
    pub(super) fn load(at: Folder<'_>) -> Self {
        let mut found = Self { has_setup: has_setup(at), ..Self::default() };
        if let Some(name) = at.first_of(REQUIREMENTS) {
            found.read_requirements(at.project, at.path(name));
        }
        if let Some(toml) = at.toml("pyproject.toml") {
            found.read_pyproject(at, &toml, &at.path("pyproject.toml"));
            found.pyproject = Some(toml);
            found.workspace = workspace(at);
        }
        if let Some(toml) = at.toml("Pipfile") {
            let path = at.path("Pipfile");
            found.add_members(at, toml.get("packages"), &path, "");
            found.add_aliases(toml.get("scripts"));
            for key in ["python_full_version", "python_version"] {
                found.add_python(toml.at(&["requires", key]), &format!("Pipfile {key}"), &path);
            }
        }
        found.read_setup(at);
        if found.dependencies.is_empty() && found.requirements.is_empty() {
            found.read_conda(at);
        }
        if let Some((root, _)) = &found.workspace {
            // A workspace runs on one Python.
            let root = Self::load(Folder::new(at.project, root));
            found.pythons.extend(root.pythons);
            found.locals.extend(root.locals);
            found.archives.extend(root.archives);
        }
        found
    }

    /// Whether nothing says what the project needs.
    pub(super) fn is_empty(&self) -> bool {
        self.dependencies.is_empty() && self.requirements.is_empty() && self.pyproject.is_none()
    }

    /// Whether it is a dependency.
    pub(super) fn has(&self, name: &str) -> bool {
        self.dependencies.contains_key(name)
    }

    /// Where it is a dependency.
    pub(super) fn place(&self, name: &str) -> Option<Evidence> {
        Some(self.dependencies.get(name)?.place.clone())
    }

    /// A value of `pyproject.toml`.
    pub(super) fn project_at(&self, keys: &[&str]) -> Option<&Value> {
        self.pyproject.as_ref()?.at(keys)
    }

    /// A command line without the managers that would only run it in their environment: `poetry run x`. A script of the
    /// manager's own settings is what it stands for.
    pub(super) fn unwrapped(&self, line: &str) -> String {
        RUNNERS.iter().fold(line.to_owned(), |line, runner| {
            let mut parts = line.split(runner);
            let mut whole = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                // `--frozen`, `--no-sync`: only those that take no value.
                let mut rest = part.trim_start();
                while rest.starts_with("--") {
                    rest = rest.split_once(' ').map_or("", |(_, rest)| rest.trim_start());
                }
                let (name, arguments) = rest.split_once(' ').unwrap_or((rest, ""));
                match self.aliases.get(name) {
                    Some(script) => whole += format!("{script} {arguments}").trim_end(),
                    None => whole += rest,
                }
            }
            whole
        })
    }

    /// Whether the project can be built as a package.
    pub(super) fn is_package(&self) -> bool {
        self.has_setup || self.project_at(&["build-system"]).is_some()
    }

    /// A dependency; `fastapi[standard]` brings its server along.
    fn add(&mut self, name: &str, spec: &str, has_extras: bool, place: Evidence) {
        let name = normalized(name);
        let mut put = |name: String, spec: &str| {
            let dependency = Dependency { spec: spec.to_owned(), place: place.clone() };
            self.dependencies.entry(name).or_insert(dependency);
        };
        if name == "fastapi" && has_extras {
            put("uvicorn".to_owned(), "");
        }
        if !name.is_empty() && name != "python" {
            put(name, spec.trim().trim_start_matches('*'));
        }
    }

    fn add_requirement(&mut self, text: &str, path: &str, line: usize) {
        if let Some((name, spec)) = requirement(text) {
            // `uvicorn[standard]` is uvicorn.
            let (name, extras) = name.split_once('[').unwrap_or((name, ""));
            let place = Evidence::line(path, Some(line));
            for (package, extra, brings) in EXTRAS {
                let mut extras = extras.split([',', ']']).map(normalized);
                if normalized(name) == *package && extras.any(|one| one == *extra) {
                    self.add(brings, "", false, place.clone());
                }
            }
            self.add(name, spec, !extras.is_empty(), place);
        }
    }

    fn add_python(&mut self, value: Option<&Value>, rule: &str, path: &str) {
        let pin = |at: &Value| Pin::new(at.text().unwrap_or_default(), rule, path, at.line);
        self.pythons.extend(value.map(pin));
    }

    fn add_texts(&mut self, list: Option<&Value>, path: &str) {
        for item in list.map_or(&[][..], Value::items) {
            self.add_requirement(item.as_str().unwrap_or_default(), path, item.line);
        }
    }

    /// A table of Poetry or Pipenv: each member is a specifier, or a table or list of tables with more.
    fn add_members(&mut self, at: Folder<'_>, table: Option<&Value>, path: &str, python: &str) {
        for (name, value) in members(table) {
            let value = value.items().first().unwrap_or(value);
            let spec = value.text().or_else(|| value.get("version")?.text()).unwrap_or_default();
            let place = Evidence::line(path, Some(value.line));
            if name == "python" && !python.is_empty() {
                self.pythons.push(Pin::new(&spec, python, path, value.line));
            } else if let Some(local) = value.str_at(&["path"]).or_else(|| value.str_at(&["file"]))
                && !local.contains("://")
            {
                self.refer(at, local, place.clone());
            }
            self.add(name, &spec, value.has("extras"), place);
        }
    }

    fn read_requirements(&mut self, project: &Project<'_>, first: String) {
        let mut pending = vec![first];
        let mut seen = BTreeSet::new();
        while let Some(path) = pending.pop() {
            if seen.len() >= INCLUDES_MAX || !seen.insert(path.clone()) {
                continue;
            }
            let Some(text) = project.tree.read(&path) else { continue };
            self.requirements.push(path.clone());
            let at_dir = parent(&path).to_owned();
            let here = Folder::new(project, &at_dir);
            for (at, line) in text.lines() {
                let line = line.split(" #").next().unwrap_or(line).trim();
                if let Some(file) = option(line, &["-r", "--requirement", "-c", "--constraint"]) {
                    pending.extend(resolve(here.dir, file));
                    continue;
                }
                if let Some(links) = option(line, &["-f", "--find-links"]) {
                    self.find_links(here, links);
                    continue;
                }
                let installed = option(line, &["-e", "--editable"]).unwrap_or(line);
                if !installed.starts_with(['-', '#']) && is_path(installed) {
                    self.refer(here, installed, Evidence::line(&path, Some(at)));
                } else if !line.starts_with(['-', '#']) {
                    self.refer_direct(here, line, &path, at);
                    self.add_requirement(line, &path, at);
                }
            }
        }
    }

    /// `name @ file:…`
    fn refer_direct(&mut self, at: Folder<'_>, text: &str, path: &str, line: usize) {
        let address = text.split_once('@').map(|(_, address)| address.trim());
        if let Some(address) = address.filter(|address| address.starts_with("file:")) {
            self.refer(at, address, Evidence::line(path, Some(line)));
        }
    }

    fn read_pyproject(&mut self, at: Folder<'_>, toml: &Value, path: &str) {
        let here = |value: &Value| Evidence::line(path, Some(value.line));
        let poetry = toml.at(&["tool", "poetry"]);
        let name = || poetry?.str_at(&["name"]);
        self.name = toml.str_at(&["project", "name"]).or_else(name).map(str::to_owned);
        let dependencies = toml.at(&["project", "dependencies"]);
        self.add_texts(dependencies, path);
        for item in dependencies.map_or(&[][..], Value::items) {
            self.refer_direct(at, item.as_str().unwrap_or_default(), path, item.line);
        }
        for links in toml.at(&["tool", "uv", "find-links"]).map_or(Vec::new(), Value::texts) {
            self.find_links(at, links);
        }
        self.add_python(toml.at(&["project", "requires-python"]), "requires-python", path);
        for (name, source) in members(toml.at(&["tool", "uv", "sources"])) {
            if let Some(local) = source.str_at(&["path"]) {
                self.refer(at, local, here(source));
            } else if source.get("workspace").is_some_and(Value::is_true) {
                self.members.push(normalized(name));
                self.local.get_or_insert_with(|| here(source));
            }
        }
        let dependencies = poetry.and_then(|poetry| poetry.get("dependencies"));
        self.add_members(at, dependencies, path, "tool.poetry.dependencies.python");
        self.add_aliases(toml.at(&["tool", "pdm", "scripts"]));
        for tool in [toml.get("project"), poetry] {
            let scripts = members(tool.and_then(|tool| tool.get("scripts")));
            let target =
                |at: &Value| at.as_str().or_else(|| at.str_at(&["reference"])).map(str::to_owned);
            self.scripts.extend(scripts.map(|(name, at)| Script {
                name: name.to_owned(),
                target: target(at).unwrap_or_default(),
                place: here(at),
            }));
        }
    }

    fn add_aliases(&mut self, table: Option<&Value>) {
        let line =
            |value: &Value| Some(value.as_str().or_else(|| value.str_at(&["cmd"]))?.to_owned());
        let lines =
            members(table).filter_map(|(name, value)| Some((name.to_owned(), line(value)?)));
        self.aliases.extend(lines);
    }

    /// `setup.py` is a program; only what is written down in it as texts is read.
    fn read_setup(&mut self, at: Folder<'_>) {
        if let Some(file) = at.read("setup.py") {
            let (text, path) = (file.text.as_str(), file.path.as_str());
            if let Some(at) = text.find("install_requires") {
                for (offset, item) in list_of_texts(&text[at..]) {
                    self.add_requirement(item, path, file.line_at(at + offset));
                }
            }
            if let Some((at, python)) = keyword(text, "python_requires") {
                self.pythons.push(Pin::new(python, "python_requires", path, file.line_at(at)));
            }
            let name = || keyword(text, "name").map(|(_, name)| name.to_owned());
            self.name = self.name.take().or_else(name);
        }
        let Some(file) = at.read("setup.cfg") else { return };
        let mut in_requires = false;
        for (at, line) in file.lines() {
            if line.starts_with([' ', '\t']) && in_requires {
                self.add_requirement(line.trim(), &file.path, at);
                continue;
            }
            in_requires = line.trim_end().starts_with("install_requires");
            if let Some((key, value)) = line.split_once('=')
                && key.trim() == "python_requires"
            {
                self.pythons.push(Pin::new(value.trim(), "python_requires", &file.path, at));
            }
        }
    }

    /// Names of conda are mostly those of PyPI; what has no such name is left to the reader of the spec.
    fn read_conda(&mut self, at: Folder<'_>) {
        let Some(name) = at.first_of(CONDA) else { return };
        let path = &at.path(name);
        self.conda = Some(path.clone());
        let Some(yaml) = at.yaml(name) else { return };
        self.name = yaml.str_at(&["name"]).map(str::to_owned);
        for item in yaml.get("dependencies").map_or(&[][..], Value::items) {
            self.add_texts(item.get("pip"), path);
            let Some(text) = item.as_str() else { continue };
            let text = text.rsplit("::").next().unwrap_or(text);
            let end = text.find(|c: char| "=<>! ".contains(c)).unwrap_or(text.len());
            let (name, spec) = text.split_at(end);
            // `name=1.2=build` means 1.2.*.
            let exact = spec.trim_start_matches('=').split('=').next().unwrap_or_default();
            let spec = match spec.starts_with('=') && !exact.is_empty() {
                true => format!("=={exact}.*"),
                false => spec.to_owned(),
            };
            if name == "python" {
                self.pythons.push(Pin::new(&spec, "conda environment", path, item.line));
            }
            if !["pip", "setuptools", "wheel", "conda"].contains(&name) {
                self.add(name, &spec, false, Evidence::line(path, Some(item.line)));
            }
        }
    }
}

/// The root of the workspace of uv that has this folder as a member.
fn workspace(at: Folder<'_>) -> Option<(String, Evidence)> {
    upward(at.dir).skip(1).find_map(|root| {
        let path = join(root, "pyproject.toml");
        let toml = at.project.tree.toml(&path)?;
        let members = toml.at(&["tool", "uv", "workspace", "members"])?;
        let is_one = |pattern: &&str| {
            glob(pattern.trim_start_matches("./").trim_matches('/'), below(root, at.dir))
        };
        let place = Evidence::line(&path, Some(members.line));
        members.texts().iter().any(is_one).then(|| (root.to_owned(), place))
    })
}

fn members(table: Option<&Value>) -> impl Iterator<Item = (&str, &Value)> {
    table.into_iter().flat_map(Value::members)
}

/// Name with extras, and specifier, of a line such as `uvicorn[standard]>=0.20 ; python_version > "3"`.
fn requirement(text: &str) -> Option<(&str, &str)> {
    let text = text.split(';').next().unwrap_or(text);
    let text = text.split(" --").next().unwrap_or(text).trim();
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let end = text.find(|c| !fits(c)).unwrap_or(text.len());
    let mut after = end;
    if text[end..].trim_start().starts_with('[') {
        after = end + text[end..].find(']')? + 1;
    }
    let name = &text[..after];
    let spec = text[after..].trim().trim_end_matches(',').trim_matches(['(', ')']);
    // `name @ https://…`
    let spec = if spec.starts_with('@') { "" } else { spec };
    (end > 0 && text.starts_with(|c: char| c.is_ascii_alphanumeric())).then_some((name, spec))
}

fn option<'l>(line: &'l str, names: &[&str]) -> Option<&'l str> {
    let separators = [' ', '=', '\t'];
    names.iter().find_map(|name| {
        let rest = line.strip_prefix(name)?;
        let fits = !name.starts_with("--") || rest.starts_with(separators);
        fits.then(|| rest.trim_start_matches(separators))
    })
}

/// The texts in the first brackets, with their offsets.
fn list_of_texts(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let Some(mut at) = text.find('[').filter(|at| *at < 40) else { return found };
    while let Some(rest) = text.get(at + 1..)
        && let Some(next) = rest.find(['"', '\'', ']'])
        && let Some(item) = quoted(&rest[next..])
    {
        at += next + 1;
        found.push((at, item));
        at += item.len() + 1;
    }
    found
}

/// The text that a keyword argument has: `python_requires=">=3.8"`.
fn keyword<'t>(text: &'t str, name: &str) -> Option<(usize, &'t str)> {
    text.match_indices(name).find_map(|(at, _)| {
        let is_word = !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let value = text[at + name.len()..].trim_start().strip_prefix('=')?;
        Some((at, quoted(value.trim_start()).filter(|_| is_word)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    #[test]
    fn requirements_are_split_into_name_and_specifier() {
        let check =
            |text: &str, want: Option<(&str, &str)>| assert_eq!(requirement(text), want, "{text}");
        check("flask", Some(("flask", "")));
        check(
            "uvicorn[standard]>=0.20,<1 ; python_version > '3'",
            Some(("uvicorn[standard]", ">=0.20,<1")),
        );
        check("Django==4.2.1 --hash=sha256:00", Some(("Django", "==4.2.1")));
        check("x @ git+https://y", Some(("x", "")));
        check("name (>=1.2)", Some(("name", ">=1.2")));
        check("--index-url https://x", None);
        check("", None);
    }

    #[test]
    fn texts_of_setup_py_are_read() {
        let text = "setup(name='x', install_requires=[\n  'flask>=1',\n  \"redis\"],\n python_requires = '>=3.6')";
        let at = text.find("install_requires").unwrap();
        let items: Vec<&str> = list_of_texts(&text[at..]).into_iter().map(|(_, t)| t).collect();
        assert_eq!(items, ["flask>=1", "redis"]);
        assert_eq!(keyword(text, "python_requires").unwrap().1, ">=3.6");
        assert_eq!(keyword(text, "name").unwrap().1, "x");
        assert_eq!(keyword("filename='y'", "name"), None);
    }

    #[test]
    fn names_are_compared_as_pypi_does() {
        assert_eq!(normalized("Flask_SQL.Alchemy--x"), "flask-sql-alchemy-x");
    }

    #[test]
    fn no_bytes_make_the_readers_panic() {
        let seed = b"a[b]>=1;c -r d\nsetup(name='x', install_requires=['a', \"b\"], python_requires='>=3')";
        mutate(seed, b"[]'\"=;@- \n\xc3", 4000, |data| {
            let text = String::from_utf8_lossy(data);
            assert!(requirement(&text).is_none_or(|(name, _)| name.len() <= text.len()));
            drop(list_of_texts(&text));
            assert!(keyword(&text, "name").is_none_or(|(at, _)| at < text.len()));
            assert!(option(&text, &["-r"]).is_none_or(|o| o.len() <= text.len()));
        });
    }
}
