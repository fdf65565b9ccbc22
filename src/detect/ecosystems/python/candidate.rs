//! A folder that may hold a service: what was read of it, and what rules find out.

use super::{
    imports::{imports, imports_module},
    manifest::Manifest,
    version::IN_PLACE,
};
use crate::detect::{paths::below, prelude::*};

/// A service in the making.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    pub(super) at: Folder<'a>,
    pub(super) manifest: Manifest,
    /// Sources of the folder and below.
    pub(super) files: Vec<Rc<Text>>,
    pub(super) facts: Facts,
    /// Packages that are needed on top of those of the manifest.
    pub(super) adds: Vec<String>,
    /// Steps for when everything is installed.
    pub(super) last: Vec<Step>,
    /// The program is one of the project's own.
    pub(super) needs_project: bool,
    /// Module that makes the application, as seen from where it is run.
    pub(super) app: Option<String>,
    /// The file that is run has no name that tells of an entry.
    pub(super) is_guess: bool,
}

/// Where a file is run, and what it is called there as a module.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) name: String,
    pub(super) run_dir: String,
    /// Folder whose modules are found although it is not `run_dir`.
    pub(super) search: Option<String>,
}

impl Module {
    /// What is run in a folder as it is.
    pub(super) fn of(run_dir: &str) -> Self {
        Self { name: String::new(), run_dir: run_dir.to_owned(), search: None }
    }
}

impl<'a> Candidate<'a> {
    pub(super) fn new(
        at: Folder<'a>,
        manifest: Manifest,
        files: Vec<Rc<Text>>,
        facts: Facts,
    ) -> Self {
        let (adds, last) = (Vec::new(), Vec::new());
        let (app, needs_project, is_guess) = (None, false, false);
        Self { at, manifest, files, facts, adds, last, needs_project, app, is_guess }
    }

    /// Adds a package that the manifest does not have.
    pub(super) fn needs(&mut self, package: &str) {
        if !self.manifest.has(package) {
            self.adds.push(package.to_owned());
        }
    }

    /// Whether the environment has links into the work tree, so that this becomes the program's home in the image.
    pub(super) fn is_in_place(&self) -> bool {
        std::ptr::eq(self.facts.language, &IN_PLACE)
    }

    /// A folder as seen from the program's home.
    pub(super) fn in_home(&self, dir: &str) -> String {
        below(if self.is_in_place() { "." } else { self.at.dir }, dir).to_owned()
    }

    /// Runs a command line of a rule, which may hold `$PORT`.
    pub(super) fn start(
        &mut self,
        line: &str,
        rule: impl Into<Rule>,
        place: impl IntoIterator<Item = Evidence>,
        module: &Module,
    ) {
        // A single command, whatever is in quotes: the program takes the shell's place, so that it gets the signals.
        let command = match line.contains("$PORT") {
            true => vec!["/bin/sh".to_owned(), "-c".to_owned(), format!("exec {line}")],
            false => exec_form(line),
        };
        self.facts.start(command, rule, place);
        self.facts.run_in = self.in_home(&module.run_dir);
        if let Some(search) = &module.search {
            let path = self.facts.language.in_home(&self.in_home(search));
            self.facts.env("PYTHONPATH", path);
        }
    }

    /// Names the file as a module. One that takes modules from its own folder has to be run there.
    pub(super) fn module(&self, file: &str) -> Module {
        let Folder { project, dir } = self.at;
        let stem = below(dir, file);
        let stem = stem.strip_suffix(".py").unwrap_or(stem);
        let imports_src = || self.files.iter().any(|file| imports_module(&file.text, "src"));
        let in_src = stem.strip_prefix("src/").filter(|_| !imports_src());
        let (name, search) = match in_src {
            Some(name) => (name, Some(self.at.path("src"))),
            None => (stem, None),
        };
        let (inner, top) = (parent(file), search.as_deref().unwrap_or(dir));
        let is_in = |folder: &str, name: &str| {
            let path = join(folder, name);
            project.tree.has(&format!("{path}.py")) || project.tree.has_dir(&path)
        };
        let is_sibling = |(module, _): &(&str, usize)| {
            let first = module.split('.').next().unwrap_or_default();
            !first.is_empty() && is_in(inner, first) && !is_in(top, first)
        };
        let uses_sibling = || {
            project.tree.read(file).is_some_and(|file| imports(&file.text).iter().any(is_sibling))
        };
        let is_package = in_src.is_none() && stem.ends_with("/__init__");
        if inner != top && !is_package && uses_sibling() {
            return Module { name: file_name(stem).to_owned(), ..Module::of(inner) };
        }
        let name = name.trim_end_matches("/__init__").replace('/', ".");
        Module { name, search, ..Module::of(dir) }
    }

    /// Runs a file; as a module when it takes others from its own package.
    pub(super) fn script(&self, file: &str, module: &Module) -> String {
        let text = self.at.project.tree.read(file);
        let text = text.as_ref().map(|file| file.text.as_str()).unwrap_or_default();
        let is_relative = || text.lines().any(|line| line.trim_start().starts_with("from ."));
        match module.name.split_once('.') {
            Some((first, _)) if is_relative() || imports_module(text, first) => {
                format!("python -m {}", quote(&module.name))
            }
            _ => format!("python {}", quote(below(&module.run_dir, file))),
        }
    }
}
