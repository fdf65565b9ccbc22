//! What services of compiled languages have in common: one program with arguments of its own, or of a `Procfile`.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use super::{
    Decision, Evidence, Facts, Fixed, Folder, Project, Rule, Text, Weight, What,
    folders::is_for_tests,
    is_below,
    loopback::{self, Told},
    parent,
    paths::{file_name, relative, resolve},
    shell::{exec_form, quote, words},
    source,
};

/// What a `Procfile` says about the program that is built: the same program, with the arguments that stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated {
    /// In exec form, with the program's path in the image.
    command: Vec<String>,
    /// Whether a shell reads it.
    pub needs_shell: bool,
    /// Where it stands.
    place: Evidence,
}

/// What is reached from `found` in any number of steps, each once, in the order in which it is found.
pub fn reach(mut found: Vec<String>, mut next: impl FnMut(&str) -> Vec<String>) -> Vec<String> {
    let mut seen: BTreeSet<String> = found.iter().cloned().collect();
    let mut at = 0;
    while let Some(from) = found.get(at) {
        let more = next(from);
        found.extend(more.into_iter().filter(|to| seen.insert(to.clone())));
        at += 1;
    }
    found
}

/// Those of several programs that are deployed: what serves or works in the background; where nothing serves, the main one
/// if there is one.
pub fn deployed<P: Copy>(
    all: &[P],
    serves: impl Fn(P) -> bool,
    works: impl Fn(P) -> bool,
    main: Option<P>,
) -> Option<Vec<P>> {
    if !all.iter().any(|program| serves(*program)) {
        return main.map(|program| vec![program]);
    }
    let is_deployed = |program: &P| serves(*program) || works(*program);
    Some(all.iter().copied().filter(is_deployed).collect())
}

/// Whether a part of a program's name begins with one of these words.
pub fn is_called(name: &str, words: &[&str]) -> bool {
    let mut parts = name.split(['-', '_', '.']);
    parts.any(|part| words.iter().any(|word| part.starts_with(word)))
}

/// Beginnings of names of programs that work in the background, whether or not they listen.
pub const WORKERS: &[&str] = &[
    "worker", "consumer", "scheduler", "cron", "daemon", "agent", "processor", "subscriber", "bot",
    "watcher", "indexer",
];

/// Reads `web: bin/app --port $PORT` for the program that the image has at `path`; other commands (`go run`, scripts) are
/// not for the image.
pub fn stated(at: Folder<'_>, path: &str) -> Option<Stated> {
    let process = at.procfile()?;
    let line = process.line.trim();
    let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let built = ["bin/", "./", "target/release/", "target/debug/"];
    let is_built = built.iter().any(|start| first.starts_with(start));
    let is_script = first.ends_with(".sh") || first.contains(['=', '$', '&', ';']);
    if file_name(first) != file_name(path) && (!is_built || is_script) {
        return None;
    }
    let line = format!("{} {}", quote(path), rest.trim());
    let (command, needs_shell) = (exec_form(&line), words(&line).is_none());
    Some(Stated { command, needs_shell, place: process.evidence })
}

/// Whether a path is that of a file which a program may read when it runs: no source, no manifest, nothing hidden.
fn is_data(project: &Project<'_>, path: &str) -> bool {
    let name = file_name(path);
    let is_code = SOURCES.iter().any(|end| name.ends_with(end));
    let is_left_out = name.starts_with('.') || path.split('/').any(is_for_tests);
    !is_code && !is_left_out && project.tree.has(path)
}

/// Ends of names of sources and of files for tools.
const SOURCES: &[&str] = &[
    ".go", ".rs", "Cargo.toml", ".mod", ".sum", ".lock", ".md", ".zig", ".zon", ".nim", ".nimble",
    ".cr", ".swift", ".hs", ".c", ".h", ".cc", ".cpp", ".hpp", ".proto", "package.json",
    "tsconfig.json", "Dockerfile", "Makefile", "CMakeLists.txt",
];

/// Files of one folder that are taken alone, and all that is taken: an image may have 127 layers.
const ALONE_MAX: usize = 3;
const TAKES_MAX: usize = 60;

impl Facts {
    /// Starts the program as its `Procfile` says, if it does.
    pub fn start_stated(&mut self, stated: Option<Stated>) {
        if let Some(Stated { command, place, .. }) = stated {
            self.weight = Weight::Stated;
            self.start(command, Rule::Procfile("web".to_owned()), [place]);
        }
    }

    /// Takes what a program reads when it runs, of its own folder and of that of its module or workspace: what its text
    /// names, and what is `usual`; but not what is `other`, such as what is compiled in.
    pub fn take_named(
        &mut self,
        folders: [Folder<'_>; 2],
        files: &[Rc<Text>],
        usual: &[&str],
        other: impl Fn(&str) -> bool,
    ) {
        let [first, second] = folders;
        let dirs = BTreeSet::from([first.dir, second.dir]);
        for at in dirs.into_iter().map(|dir| Folder { dir, ..first }) {
            self.take_read_of(at, |name| {
                let seen = source::names_path(files, name);
                let is_read = seen.is_some() || usual.contains(&name);
                (is_read && !other(&at.path(name))).then(|| seen.into_iter().collect())
            });
        }
        self.take_literals(folders, files, other);
    }

    /// Takes the files of the tree that a literal names as a whole; of a folder with several the folder, since each is a
    /// layer of the image.
    fn take_literals(
        &mut self,
        folders: [Folder<'_>; 2],
        files: &[Rc<Text>],
        other: impl Fn(&str) -> bool,
    ) {
        let mut found = BTreeMap::new();
        for (path, place) in source::paths(files) {
            let named = folders.into_iter().find_map(|at| {
                let path = resolve(at.dir, path).filter(|path| is_data(at.project, path))?;
                is_below(&path, at.dir).then_some((relative(at.dir, &path), path))
            });
            if let Some((to, from)) = named.filter(|(_, from)| !other(from)) {
                found.entry(from).or_insert((to, place));
            }
        }
        let mut siblings: BTreeMap<String, usize> = BTreeMap::new();
        found.keys().for_each(|from| *siblings.entry(parent(from).to_owned()).or_default() += 1);
        for (from, (to, place)) in found.into_iter() {
            let is_many = siblings[parent(&from)] > ALONE_MAX && to.contains('/');
            let (from, to) = if is_many { (parent(&from), parent(&to)) } else { (&*from, &*to) };
            let is_taken = self.takes.iter().any(|take| is_below(from, &take.from));
            if !is_taken && self.takes.len() < TAKES_MAX {
                self.decide(What::Artifacts, from, Fixed::ProgramReadsIt, [place]);
                self.take(from, to);
            }
        }
    }

    /// Tells a program to listen on all addresses where its default is the loopback address: the arguments for that. Where
    /// nothing can tell it, that is said. `given` are its arguments; `None`: its options belong to commands.
    pub fn leave_loopback(&mut self, files: &[Rc<Text>], given: Option<&[String]>) -> Vec<String> {
        let mut arguments = Vec::new();
        let all = loopback::overrides(files);
        if all.is_empty()
            && let Some(place) = source::loopback(files, self.language.listens)
        {
            self.decide(What::Port, "127.0.0.1", Fixed::LoopbackAlone, [place]);
        }
        for (told, place) in all {
            let value = match told {
                Told::Variable(name, value) => {
                    self.env(&name, &*value);
                    format!("{name}={value}")
                }
                Told::Argument(argument) => {
                    let Some(given) = given else {
                        self.decide(What::Port, "127.0.0.1", Fixed::LoopbackAlone, [place]);
                        continue;
                    };
                    let name =
                        argument.split('=').next().unwrap_or_default().trim_start_matches('-');
                    let sets = |word: &String| word.trim_start_matches('-').starts_with(name);
                    if given.iter().any(|word| word.starts_with('-') && sets(word)) {
                        continue;
                    }
                    arguments.push(argument.clone());
                    argument
                }
            };
            self.decide(What::Port, value, Fixed::LoopbackUnlessTold, [place]);
        }
        arguments
    }

    /// Weighs a program that listens on nothing: a command line tool beside services is no service, unless one of `names`
    /// (its own, those of its libraries) tells of work in the background; alone it is what there is.
    pub fn weigh_silent<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        if self.dir != "." && !names.into_iter().any(source::is_background) {
            self.weight = Weight::Manifest;
        }
    }

    /// Writes down which of several programs is the service, and why the others are not.
    pub fn choose(
        &mut self,
        name: &str,
        rule: Fixed,
        others: impl IntoIterator<Item = (String, Option<Evidence>)>,
        why: Fixed,
    ) {
        let mut decision = Decision::new(What::Service, name, rule, []);
        for (other, place) in others {
            decision = decision.not(other, place, why);
        }
        if !decision.rejected.is_empty() {
            self.decisions.push(decision);
        }
    }
}
