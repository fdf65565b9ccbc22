//! Sites that a program of Python makes: MkDocs, Pelican, Sphinx.

use super::{
    generators::{generator, is_manual, text_at, writes},
    python::{PYTHON, quoted},
};
use crate::detect::prelude::*;

/// <https://www.mkdocs.org/user-guide/configuration/>
pub(super) fn mkdocs(at: Folder<'_>) -> Option<Facts> {
    let name = at.first_of(&["mkdocs.yml", "mkdocs.yaml"])?;
    // Its tags (`!!python/name:…`) are no matter here.
    let config = at.yaml(name);
    let text = |keys| config.as_ref().and_then(|config| config.str_at(keys));
    let theme = text(&["theme", "name"]).or_else(|| text(&["theme"]));
    let packages = if theme == Some("material") { "mkdocs mkdocs-material" } else { "mkdocs" };
    let requirements = [
        "requirements.txt", "docs/requirements.txt", "requirements-docs.txt",
        "docs-requirements.txt",
    ];
    let place = at.place(name, None);
    let mut facts = site(at, "mkdocs", &place, &requirements, packages);
    if is_manual(at, &["requirements.txt"]) {
        facts.weight = Weight::Manual;
    }
    let output = text_at(config.as_ref(), &["site_dir"], "site");
    writes(at, &mut facts, "mkdocs build", &output, place);
    Some(facts)
}

/// <https://docs.getpelican.com/en/latest/settings.html>: what is published has settings of its own.
pub(super) fn pelican(at: Folder<'_>) -> Option<Facts> {
    let file = at.read("pelicanconf.py")?;
    let settings = at.first_of(&["publishconf.py"]).unwrap_or("pelicanconf.py");
    let content = assigned(&file.text, "PATH").filter(|content| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_/.".contains(c);
        !content.starts_with('/') && content.chars().all(plain)
    });
    let content = content.unwrap_or("content");
    let place = Evidence::file(&file.path);
    let mut facts = site(at, "pelican", &place, &["requirements.txt"], "'pelican[markdown]'");
    let build = format!("pelican {content} -o output -s {settings}");
    writes(at, &mut facts, &build, "output", place);
    Some(facts)
}

/// <https://www.sphinx-doc.org/en/master/usage/configuration.html>: a tree that is a manual and nothing else.
pub(super) fn sphinx(at: Folder<'_>) -> Option<Facts> {
    let (from, conf) = [".", "source", "docs", "docs/source", "doc"].iter().find_map(|folder| {
        let (dir, is_conf) = (join_clean(at.dir, folder), |text: &str| {
            ["sphinx", "html_theme"].iter().any(|word| text.contains(word))
        });
        let home = Folder::new(at.project, &dir);
        home.first_of(&["index.rst", "index.md"])?;
        Some((*folder, home.read("conf.py").filter(|conf| is_conf(&conf.text))?))
    })?;
    // Its folder is the one above, where `make html` is run.
    let is_home = from == "." || at.dir == "." || at.has("Makefile");
    let is_inner = from == "."
        && at.dir != "."
        && (parent(at.dir) == "." || ["source", "docs", "doc"].contains(&file_name(at.dir)));
    let has_program = at.entries()?.ending(".py").any(|name| name != "conf.py");
    let of_program = at.read("requirements.txt");
    let of_program = of_program.is_some_and(|file| !file.text.to_lowercase().contains("sphinx"));
    if !is_home || is_inner || is_manual(at, &["requirements.txt"]) || has_program || of_program {
        return None;
    }
    let inner = join_clean(from, "requirements.txt");
    let requirements =
        ["requirements.txt", &inner, "docs/requirements.txt", "doc/requirements.txt"];
    let packages = match assigned(&conf.text, "html_theme").unwrap_or_default() {
        "furo" => "sphinx furo",
        "sphinx_rtd_theme" => "sphinx sphinx-rtd-theme",
        "pydata_sphinx_theme" => "sphinx pydata-sphinx-theme",
        "sphinx_book_theme" => "sphinx sphinx-book-theme",
        _ => "sphinx",
    };
    let place = Evidence::file(&conf.path);
    let mut facts = site(at, "sphinx", &place, &requirements, packages);
    let build = format!(
        "sphinx-build -b html {from} /tmp/html && mkdir -p site && cp -a /tmp/html/. site/"
    );
    writes(at, &mut facts, &build, "site", place);
    Some(facts)
}

/// The text that a variable gets at the start of a line: `html_theme = "furo"`.
fn assigned<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let value = |line: &'t str| line.strip_prefix(name)?.trim_start().strip_prefix('=');
    text.lines().find_map(|line| quoted(value(line)?.trim_start()))
}

/// A site of a generator, which is installed: what the first of the `requirements` asks for that names it, else `packages`.
fn site(
    at: Folder<'_>,
    id: &'static str,
    place: &Evidence,
    requirements: &[&str],
    packages: &str,
) -> Facts {
    let mut facts = generator(at, (&PYTHON, "pip"), id, place);
    facts.set("v", PYTHON.default);
    facts.set("slim", "-slim");
    facts.cache = vec!["/root/.cache/pip".to_owned()];
    let named = at.those(requirements).into_iter().find(|path| {
        let file = at.project.tree.read(path);
        file.is_some_and(|file| file.text.to_ascii_lowercase().contains(id))
    });
    let is_of_git =
        |path: &String| at.project.tree.read(path).is_some_and(|file| file.text.contains("git+"));
    if named.as_ref().is_some_and(is_of_git) {
        facts.packages_everywhere(&["git"], &[]);
    }
    let wanted =
        named.as_ref().map_or_else(|| packages.to_owned(), |path| format!("-r {}", quote(path)));
    let install = Step::new(Kind::Install, ".", format!("pip install {wanted}"));
    facts.install(named.into_iter().collect(), [install]);
    facts
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
