//! What a Python project says of itself: requirements files, `pyproject.toml`, `Pipfile`, `setup.py`, `setup.cfg`, conda.

use std::collections::{BTreeMap, BTreeSet};

use crate::detect::{
    Evidence, Project,
    ecosystems::{draft::resolve, pins::Pin},
    join,
    manifest::Value,
    parent,
};

/// A dependency that is needed to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dependency {
    /// Specifier as written; empty when any version will do.
    pub(super) spec: String,
    /// Where it stands.
    pub(super) place: Evidence,
}

/// A program that the project offers when it is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) name: String,
    pub(super) place: Evidence,
}

/// All manifests of one folder.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    pub(super) dir: String,
    /// Name of the project.
    pub(super) name: Option<String>,
    /// By normalised name.
    pub(super) dependencies: BTreeMap<String, Dependency>,
    /// The requirements file that is installed.
    pub(super) requirements: Option<String>,
    /// It, and all files that it includes.
    pub(super) requirement_files: Vec<String>,
    /// Where a dependency is a folder of the tree.
    pub(super) local: Option<Evidence>,
    pub(super) pyproject: Option<Value>,
    pub(super) pipfile: Option<Value>,
    pub(super) has_setup: bool,
    /// File of a conda environment.
    pub(super) conda: Option<String>,
    pub(super) scripts: Vec<Script>,
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

const CONDA: &[&str] = &["environment.yml", "environment.yaml"];

/// Files included by files; more are not followed.
const INCLUDES_MAX: usize = 40;

/// Whether a folder has a manifest of Python.
pub(super) fn is_here(project: &Project<'_>, dir: &str) -> bool {
    let tree = project.tree;
    let names = ["Pipfile", "manage.py", "uv.lock", "poetry.lock", "pdm.lock"];
    tree.first_of(dir, &names).is_some()
        || has_setup(project, dir)
        || tree.first_of(dir, REQUIREMENTS).is_some()
        || tree.first_of(dir, CONDA).is_some()
        || has_setup_cfg(project, dir)
        || tree.toml(&join(dir, "pyproject.toml")).is_some_and(|toml| {
            let tools = ["poetry", "pdm", "uv", "hatch", "flit"];
            toml.has("project")
                || toml.has("build-system")
                || tools.iter().any(|tool| toml.at(&["tool", tool]).is_some())
        })
}

/// Whether there is a `setup.py` that sets something up; others have files of that name too.
fn has_setup(project: &Project<'_>, dir: &str) -> bool {
    let tools = ["setuptools", "distutils", "skbuild"];
    let text = project.tree.read(&join(dir, "setup.py"));
    text.is_some_and(|text| {
        tools.iter().any(|tool| text.text.contains(tool))
            || text.text.lines().any(|line| line.starts_with("setup("))
    })
}

/// Whether `setup.cfg` says what is to be set up; settings of linters stand there too.
fn has_setup_cfg(project: &Project<'_>, dir: &str) -> bool {
    let text = project.tree.read(&join(dir, "setup.cfg"));
    text.is_some_and(|text| text.text.lines().any(|line| line.trim() == "[options]"))
}

impl Manifest {
    /// Reads all there is; an empty manifest where there is none.
    pub(super) fn load(project: &Project<'_>, dir: &str) -> Self {
        let tree = project.tree;
        let mut found = Self { dir: dir.to_owned(), ..Self::default() };
        found.has_setup = has_setup(project, dir) || has_setup_cfg(project, dir);
        if let Some(path) = tree.first_of(dir, REQUIREMENTS) {
            found.requirements = Some(path.clone());
            found.read_requirements(project, &path);
        }
        let path = join(dir, "pyproject.toml");
        if let Some(toml) = tree.toml(&path) {
            found.read_project(&toml, &path);
            found.read_poetry(&toml, &path);
            found.pyproject = Some(toml);
        }
        let path = join(dir, "Pipfile");
        if let Some(toml) = tree.toml(&path) {
            found.read_pipfile(&toml, &path);
            found.pipfile = Some(toml);
        }
        found.read_setup(project);
        if found.dependencies.is_empty()
            && found.requirements.is_none()
            && let Some(path) = tree.first_of(dir, CONDA)
        {
            found.read_conda(project, &path);
            found.conda = Some(path);
        }
        found
    }

    /// Whether any of these is a dependency.
    pub(super) fn has(&self, name: &str) -> bool {
        self.dependencies.contains_key(name)
    }

    /// The first of these that is a dependency.
    pub(super) fn first_of<'n>(&self, names: &[&'n str]) -> Option<(&'n str, &Dependency)> {
        names.iter().find_map(|name| Some((*name, self.dependencies.get(*name)?)))
    }

    /// A value of `pyproject.toml`.
    pub(super) fn project_at(&self, keys: &[&str]) -> Option<&Value> {
        self.pyproject.as_ref()?.at(keys)
    }

    fn add(&mut self, name: &str, spec: &str, place: Evidence) {
        let name = normalized(name);
        if !name.is_empty() && name != "python" {
            let dependency = Dependency { spec: spec.trim().to_owned(), place };
            self.dependencies.entry(name).or_insert(dependency);
        }
    }

    fn add_requirement(&mut self, text: &str, place: Evidence) {
        if let Some((name, spec)) = requirement(text) {
            // `uvicorn[standard]` is uvicorn; `fastapi[standard]` brings its server along.
            let (bare, extras) = name.split_once('[').unwrap_or((name, ""));
            if normalized(bare) == "fastapi" && !extras.is_empty() {
                self.add("uvicorn", "", place.clone());
            }
            self.add(bare, spec, place);
        }
    }

    fn read_requirements(&mut self, project: &Project<'_>, first: &str) {
        let mut pending = vec![first.to_owned()];
        let mut seen = BTreeSet::new();
        while let Some(path) = pending.pop() {
            if seen.len() >= INCLUDES_MAX || !seen.insert(path.clone()) {
                continue;
            }
            let Some(text) = project.tree.read(&path) else { continue };
            self.requirement_files.push(path.clone());
            let dir = parent(&path);
            for (at, line) in text.lines() {
                let line = line.split(" #").next().unwrap_or(line).trim();
                let place = Evidence::line(&path, Some(at));
                if let Some(file) = option(line, &["-r", "--requirement", "-c", "--constraint"]) {
                    pending.extend(resolve(dir, file));
                } else if option(line, &["-e", "--editable"]).is_some_and(is_path)
                    || !line.starts_with('-') && is_path(line)
                {
                    self.local.get_or_insert(place);
                } else if !line.starts_with(['-', '#']) {
                    self.add_requirement(line, place);
                }
            }
        }
        self.requirement_files.sort();
    }

    fn read_project(&mut self, toml: &Value, path: &str) {
        let here = |value: &Value| Evidence::line(path, Some(value.line));
        self.name = toml.str_at(&["project", "name"]).map(str::to_owned);
        for item in toml.at(&["project", "dependencies"]).map_or(&[][..], Value::items) {
            self.add_requirement(item.as_str().unwrap_or_default(), here(item));
        }
        if let Some(python) = toml.at(&["project", "requires-python"]) {
            self.pythons.push(Pin {
                version: python.text().unwrap_or_default(),
                rule: "requires-python".to_owned(),
                evidence: here(python),
            });
        }
        let scripts = toml.at(&["project", "scripts"]).into_iter().flat_map(Value::members);
        self.scripts
            .extend(scripts.map(|(name, at)| Script { name: name.to_owned(), place: here(at) }));
        for (_, source) in toml.at(&["tool", "uv", "sources"]).into_iter().flat_map(Value::members)
        {
            if source.has("path") || source.get("workspace").is_some_and(Value::is_true) {
                self.local.get_or_insert_with(|| here(source));
            }
        }
    }

    fn read_poetry(&mut self, toml: &Value, path: &str) {
        let here = |value: &Value| Evidence::line(path, Some(value.line));
        let Some(poetry) = toml.at(&["tool", "poetry"]) else { return };
        if self.name.is_none() {
            self.name = poetry.str_at(&["name"]).map(str::to_owned);
        }
        for (name, value) in poetry.get("dependencies").into_iter().flat_map(Value::members) {
            let value = value.items().first().unwrap_or(value);
            let spec = value.text().or_else(|| value.get("version")?.text()).unwrap_or_default();
            if name == "python" {
                let rule = "tool.poetry.dependencies.python".to_owned();
                self.pythons.push(Pin { version: spec, rule, evidence: here(value) });
                continue;
            }
            if value.has("path") {
                self.local.get_or_insert_with(|| here(value));
            }
            if name == "fastapi" && value.has("extras") {
                self.add("uvicorn", "", here(value));
            }
            self.add(name, &spec, here(value));
        }
        let scripts = poetry.get("scripts").into_iter().flat_map(Value::members);
        self.scripts
            .extend(scripts.map(|(name, at)| Script { name: name.to_owned(), place: here(at) }));
    }

    fn read_pipfile(&mut self, toml: &Value, path: &str) {
        for (name, value) in toml.get("packages").into_iter().flat_map(Value::members) {
            let spec = value.text().or_else(|| value.get("version")?.text()).unwrap_or_default();
            let place = Evidence::line(path, Some(value.line));
            if value.has("path") {
                self.local.get_or_insert_with(|| place.clone());
            }
            self.add(name, if spec == "*" { "" } else { &spec }, place);
        }
        for key in ["python_full_version", "python_version"] {
            if let Some(python) = toml.at(&["requires", key]) {
                self.pythons.push(Pin {
                    version: python.text().unwrap_or_default(),
                    rule: format!("Pipfile {key}"),
                    evidence: Evidence::line(path, Some(python.line)),
                });
            }
        }
    }

    /// `setup.py` is a program; only what is written down in it as texts is read.
    fn read_setup(&mut self, project: &Project<'_>) {
        let path = join(&self.dir, "setup.py");
        if let Some(text) = project.tree.read(&path) {
            if let Some(at) = text.text.find("install_requires") {
                for (offset, item) in list_of_texts(&text.text[at..]) {
                    let place = Evidence::line(&path, Some(text.line_at(at + offset)));
                    self.add_requirement(item, place);
                }
            }
            if let Some((at, python)) = keyword(&text.text, "python_requires") {
                let evidence = Evidence::line(&path, Some(text.line_at(at)));
                let rule = "python_requires".to_owned();
                self.pythons.push(Pin { version: python.to_owned(), rule, evidence });
            }
            if self.name.is_none() {
                self.name = keyword(&text.text, "name").map(|(_, name)| name.to_owned());
            }
        }
        let path = join(&self.dir, "setup.cfg");
        let Some(text) = project.tree.read(&path) else { return };
        let mut in_requires = false;
        for (at, line) in text.lines() {
            let place = Evidence::line(&path, Some(at));
            if line.starts_with([' ', '\t']) && in_requires {
                self.add_requirement(line.trim(), place);
                continue;
            }
            in_requires = line.trim_end().starts_with("install_requires");
            if let Some((key, value)) = line.split_once('=')
                && key.trim() == "python_requires"
            {
                let rule = "python_requires".to_owned();
                self.pythons.push(Pin { version: value.trim().to_owned(), rule, evidence: place });
            }
        }
    }

    /// Names of conda are mostly those of PyPI; what has no such name is left to the reader of the spec.
    fn read_conda(&mut self, project: &Project<'_>, path: &str) {
        let Some(yaml) = project.tree.yaml(path) else { return };
        self.name = yaml.str_at(&["name"]).map(str::to_owned);
        for item in yaml.get("dependencies").map_or(&[][..], Value::items) {
            let here = Evidence::line(path, Some(item.line));
            for pip in item.get("pip").map_or(&[][..], Value::items) {
                let place = Evidence::line(path, Some(pip.line));
                self.add_requirement(pip.as_str().unwrap_or_default(), place);
            }
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
                let rule = "conda environment".to_owned();
                self.pythons.push(Pin { version: spec.clone(), rule, evidence: here.clone() });
            }
            let is_tool = ["pip", "setuptools", "wheel", "conda"].contains(&name);
            if !is_tool {
                self.add(name, &spec, here);
            }
        }
    }
}

/// As PyPI compares names: <https://packaging.python.org/en/latest/specifications/name-normalization/>.
pub(super) fn normalized(name: &str) -> String {
    let mut out = String::new();
    for c in name.trim().chars().take(100) {
        match c {
            '-' | '_' | '.' if out.ends_with('-') => {}
            '-' | '_' | '.' => out.push('-'),
            c => out.push(c.to_ascii_lowercase()),
        }
    }
    out
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
    names.iter().find_map(|name| {
        let rest = line.strip_prefix(name)?;
        let is_short = !name.starts_with("--");
        (is_short || rest.starts_with([' ', '=', '\t']))
            .then(|| rest.trim_start_matches(['=', ' ', '\t']))
    })
}

fn is_path(text: &str) -> bool {
    let text = text.split('[').next().unwrap_or(text).trim();
    text == "."
        || text == ".."
        || text.starts_with("./")
        || text.starts_with("../")
        || text.starts_with("file:")
}

/// The texts in the first brackets, with their offsets.
fn list_of_texts(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let Some(open) = text.find('[').filter(|at| *at < 40) else { return found };
    let mut at = open + 1;
    while let Some(next) = text[at..].find(['"', '\'', ']']) {
        let start = at + next;
        let quote = &text[start..=start];
        if quote == "]" {
            break;
        }
        let Some(length) = text[start + 1..].find(quote) else { break };
        found.push((start, &text[start + 1..start + 1 + length]));
        at = start + length + 2;
    }
    found
}

/// The text that a keyword argument has: `python_requires=">=3.8"`.
fn keyword<'t>(text: &'t str, name: &str) -> Option<(usize, &'t str)> {
    let mut from = 0;
    while let Some(found) = text[from..].find(name) {
        let at = from + found;
        from = at + name.len();
        let is_word = !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let Some(rest) = text[from..].trim_start().strip_prefix('=').map(str::trim_start) else {
            continue;
        };
        let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else { continue };
        let Some(end) = rest[1..].find(quote) else { continue };
        if is_word {
            return Some((at, &rest[1..=end]));
        }
    }
    None
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
