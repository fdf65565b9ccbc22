//! Sites that a program of Python makes: MkDocs, Pelican, Sphinx.

use std::rc::Rc;

use super::{
    python::{PYTHON, quoted},
    static_site::weight_of_manual,
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
    let installed = (&requirements[..], packages);
    let output = text(&["site_dir"]).unwrap_or("site");
    let mut facts = site(at, "mkdocs", &at.path(name), installed, "mkdocs build", output);
    facts.weight = weight_of_manual(at.project, at.dir, &["requirements.txt"]);
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
    let installed = (&["requirements.txt"][..], "'pelican[markdown]'");
    let build = format!("pelican {content} -o output -s {settings}");
    Some(site(at, "pelican", &file.path, installed, &build, "output"))
}

/// <https://www.sphinx-doc.org/en/master/usage/configuration.html>: a tree that is a manual and nothing else.
pub(super) fn sphinx(at: Folder<'_>) -> Option<Facts> {
    let conf_in = |folder: &&str| {
        let dir = join_clean(at.dir, folder);
        let home = Folder::new(at.project, &dir);
        home.first_of(&["index.rst", "index.md"])?;
        let is_conf =
            |file: &Rc<Text>| ["sphinx", "html_theme"].iter().any(|w| file.text.contains(w));
        home.read("conf.py").filter(is_conf)
    };
    let folders = [".", "source", "docs", "docs/source", "doc"];
    let (from, conf) = folders.iter().find_map(|folder| Some((*folder, conf_in(folder)?)))?;
    // Its folder is the one above, where `make html` is run.
    let is_home = from == "." || at.dir == "." || at.has("Makefile");
    let is_of_above =
        || parent(at.dir) == "." || ["source", "docs", "doc"].contains(&file_name(at.dir));
    let is_inner = from == "." && at.dir != "." && is_of_above();
    let is_manual = weight_of_manual(at.project, at.dir, &["requirements.txt"]) == Weight::Manual;
    let has_program = at.entries()?.ending(".py").any(|name| name != "conf.py");
    let of_program = at.read("requirements.txt");
    let of_program = of_program.is_some_and(|file| !file.text.to_lowercase().contains("sphinx"));
    if !is_home || is_inner || is_manual || has_program || of_program {
        return None;
    }
    let inner = join_clean(from, "requirements.txt");
    let requirements =
        ["requirements.txt", &inner, "docs/requirements.txt", "doc/requirements.txt"];
    let theme = match assigned(&conf.text, "html_theme").unwrap_or_default() {
        "furo" => " furo",
        "sphinx_rtd_theme" => " sphinx-rtd-theme",
        "pydata_sphinx_theme" => " pydata-sphinx-theme",
        "sphinx_book_theme" => " sphinx-book-theme",
        _ => "",
    };
    let installed = (&requirements[..], &*format!("sphinx{theme}"));
    let build = format!(
        "sphinx-build -b html {from} /tmp/html && mkdir -p site && cp -a /tmp/html/. site/"
    );
    Some(site(at, "sphinx", &conf.path, installed, &build, "site"))
}

/// The text that a variable gets at the start of a line: `html_theme = "furo"`.
fn assigned<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let value = |line: &'t str| line.strip_prefix(name)?.trim_start().strip_prefix('=');
    text.lines().find_map(|line| quoted(value(line)?.trim_start()))
}

/// A site of a generator. What is installed is what the first of the requirements files asks for that names it, else those
/// packages.
fn site(
    at: Folder<'_>,
    generator: &'static str,
    config: &str,
    (requirements, packages): (&[&str], &str),
    build: &str,
    output: &str,
) -> Facts {
    let place = || Evidence::file(config);
    let mut facts = Facts::new(&PYTHON, at.dir);
    facts.tool = "pip";
    facts.set("v", PYTHON.default);
    facts.set("slim", "-slim");
    facts.exclude = vec![".git".to_owned()];
    facts.cache = vec!["/root/.cache/pip".to_owned()];
    let rule = Rule::Named(generator.to_owned());
    facts.decide(What::Language, facts.id, rule.clone(), [place()]);
    facts.decide(What::BuildSystem, facts.tool, rule, []);
    facts.framework(generator, Fixed::ItsConfiguration, [place()]);
    let named = at.those(requirements).into_iter().find(|path| {
        let file = at.project.tree.read(path);
        file.is_some_and(|file| file.text.to_ascii_lowercase().contains(generator))
    });
    let wanted =
        named.as_ref().map_or_else(|| packages.to_owned(), |path| format!("-r {}", quote(path)));
    let install = Step::new(Kind::Install, ".", format!("pip install {wanted}"));
    facts.install(named.into_iter().collect(), [install]);
    facts.build(at.dir, build);
    let folder = at.path(output.trim_start_matches("./").trim_matches('/'));
    facts.files(folder, Missing::NotFound, Fixed::WhereItWrites, Some(place()));
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
