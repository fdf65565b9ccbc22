//! Sites that a program of Python makes: MkDocs, Pelican, Sphinx.

use super::static_site::{Site, empty, generated, weight_of_manual};
use crate::{
    detect::{
        Entries, Evidence, Project, Service, Weight,
        images::{self, Family},
        join,
        shell::quote,
    },
    spec::{DependencyStep, UniversalBuild},
};

/// <https://www.mkdocs.org/user-guide/configuration/>
pub(super) fn mkdocs(project: &Project<'_>, dir: &str, entries: &Entries) -> Option<Service> {
    let name = entries.first_of(&["mkdocs.yml", "mkdocs.yaml"])?;
    let path = join(dir, name);
    // Its tags (`!!python/name:…`) are no matter here.
    let config = project.tree.yaml(&path);
    let theme = config.as_ref().and_then(|c| {
        c.str_at(&["theme", "name"]).or_else(|| c.str_at(&["theme"])).map(str::to_owned)
    });
    let output = config
        .as_ref()
        .and_then(|c| c.str_at(&["site_dir"]).map(str::to_owned))
        .unwrap_or_else(|| "site".to_owned());
    let requirements = [
        "requirements.txt", "docs/requirements.txt", "requirements-docs.txt",
        "docs-requirements.txt",
    ]
    .map(|name| join(dir, name));
    let packages = match theme.as_deref() {
        Some("material") => "mkdocs mkdocs-material",
        _ => "mkdocs",
    };
    let spec = with_python(project, "mkdocs", &requirements, packages);
    let site = Site {
        id: "mkdocs",
        language: "python",
        build_system: "pip",
        build: "mkdocs build".to_owned(),
        output,
        place: Evidence::file(path),
        weight: weight_of_manual(project, dir, &["requirements.txt"]),
    };
    Some(generated(project, dir, spec, site))
}

/// <https://docs.getpelican.com/en/latest/settings.html>: what is published has settings of its own.
pub(super) fn pelican(project: &Project<'_>, dir: &str, entries: &Entries) -> Option<Service> {
    let path = join(dir, entries.first_of(&["pelicanconf.py"])?);
    let settings = entries.first_of(&["publishconf.py"]).unwrap_or("pelicanconf.py");
    let text = project.tree.read(&path)?;
    let content = assigned(&text.text, "PATH").filter(|content| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_/.".contains(c);
        !content.starts_with('/') && content.chars().all(plain)
    });
    let content = content.unwrap_or("content");
    let spec =
        with_python(project, "pelican", &[join(dir, "requirements.txt")], "'pelican[markdown]'");
    let site = Site {
        id: "pelican",
        language: "python",
        build_system: "pip",
        build: format!("pelican {content} -o output -s {settings}"),
        output: "output".to_owned(),
        place: Evidence::file(path),
        weight: Weight::Framework,
    };
    Some(generated(project, dir, spec, site))
}

/// <https://www.sphinx-doc.org/en/master/usage/configuration.html>: a tree that is a manual and nothing else.
pub(super) fn sphinx(project: &Project<'_>, dir: &str, entries: &Entries) -> Option<Service> {
    let source = ["", "source", "docs", "docs/source", "doc"].into_iter().find(|folder| {
        let home = if folder.is_empty() { dir.to_owned() } else { join(dir, folder) };
        let has_page = project.tree.first_of(&home, &["index.rst", "index.md"]).is_some();
        let is_conf = |text: &str| text.contains("sphinx") || text.contains("html_theme");
        let conf = project.tree.read(&join(&home, "conf.py"));
        has_page && conf.is_some_and(|text| is_conf(&text.text))
    })?;
    // Its folder is the one above, where `make html` is run.
    let is_home = source.is_empty() || dir == "." || entries.first_of(&["Makefile"]).is_some();
    let is_inner = dir != "." && source.is_empty() && {
        let above = crate::detect::parent(dir);
        let name = dir.rsplit('/').next().unwrap_or(dir);
        above == "." || ["source", "docs", "doc"].contains(&name)
    };
    let is_manual = weight_of_manual(project, dir, &["requirements.txt"]) == Weight::Manual;
    let has_program = entries.ending(".py").any(|name| name != "conf.py");
    let of_program = project.tree.read(&join(dir, "requirements.txt"));
    let of_program = of_program.is_some_and(|text| !text.text.to_lowercase().contains("sphinx"));
    if !is_home || is_inner || is_manual || has_program || of_program {
        return None;
    }
    let from = if source.is_empty() { "." } else { source };
    let inner = if source.is_empty() { String::new() } else { format!("{source}/") };
    let requirements = [
        "requirements.txt".to_owned(),
        format!("{inner}requirements.txt"),
        "docs/requirements.txt".to_owned(),
        "doc/requirements.txt".to_owned(),
    ]
    .map(|name| join(dir, &name));
    let conf = join(dir, &format!("{inner}conf.py"));
    let text = project.tree.read(&conf)?;
    let theme = assigned(&text.text, "html_theme").unwrap_or_default();
    let packages = match theme {
        "furo" => "sphinx furo",
        "sphinx_rtd_theme" => "sphinx sphinx-rtd-theme",
        "pydata_sphinx_theme" => "sphinx pydata-sphinx-theme",
        "sphinx_book_theme" => "sphinx sphinx-book-theme",
        _ => "sphinx",
    };
    let spec = with_python(project, "sphinx", &requirements, packages);
    let site = Site {
        id: "sphinx",
        language: "python",
        build_system: "pip",
        build: format!(
            "sphinx-build -b html {from} /tmp/html && mkdir -p site && cp -a /tmp/html/. site/"
        ),
        output: "site".to_owned(),
        place: Evidence::file(conf),
        weight: Weight::Framework,
    };
    Some(generated(project, dir, spec, site))
}

/// The text that a variable gets at the start of a line: `html_theme = "furo"`.
fn assigned<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let value = line.strip_prefix(name)?.trim_start().strip_prefix('=')?.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        value[1..].split(quote).next()
    })
}

/// An image with Python and the generator: what the first of the `requirements` asks for that names it, else `packages`.
fn with_python(
    project: &Project<'_>,
    generator: &str,
    requirements: &[String],
    packages: &str,
) -> UniversalBuild {
    let mut spec = empty("python", "pip", Some(generator));
    spec.build.base = images::plain(project.bases)
        .unwrap_or_else(|| images::official("python:3.13-slim-bookworm"));
    let mut pip = "pip install";
    match project.bases {
        Family::Wolfi => {
            spec.build.packages.extend(["python-3.13", "py3.13-pip"].map(str::to_owned))
        }
        Family::Debian => {
            spec.build.packages.extend(["python3", "python3-pip"].map(str::to_owned));
            pip = "pip install --break-system-packages";
        }
        Family::Official => {}
    }
    spec.build.cache.push("/root/.cache/pip".to_owned());
    let named = requirements.iter().find(|path| {
        let text = project.tree.read(path);
        text.is_some_and(|text| text.text.to_ascii_lowercase().contains(generator))
    });
    match named {
        Some(path) => {
            let commands = vec![format!("{pip} -r {}", quote(path))];
            spec.build.dependencies.push(DependencyStep { files: vec![path.clone()], commands });
        }
        None => spec.build.commands.push(format!("{pip} {packages}")),
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_read_where_it_is_set() {
        let text = "# html_theme = 'no'\nhtml_theme_options = {}\nhtml_theme = \"furo\"\n";
        assert_eq!(assigned(text, "html_theme"), Some("furo"));
        assert_eq!(assigned("PATH = content", "PATH"), None);
        assert_eq!(assigned("PATH = '", "PATH"), Some(""));
    }
}
