//! The tree as rules see it: walked once, in order, read on demand within limits.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    error, fmt,
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    rc::Rc,
};

pub(super) use super::paths::is_below;
use crate::{
    detect::paths::{join, upward},
    manifest::{self, Element, Malformed, Properties, Value},
};

/// Folders that hold what tools made or fetched; never searched, wherever they are.
pub(super) const VENDORED: &[&str] = &[
    "node_modules", "bower_components", "jspm_packages", "vendor", "target", "venv", "virtualenv",
    "site-packages", "__pycache__", "__pypackages__", "_build", "dist-newstyle", "zig-cache",
    "zig-out", "Pods", "DerivedData", "elm-stuff", "coverage",
];

/// Folders that only tools fill when the file beside them says so: (folder, file or `*.extension` beside it).
///
/// Elsewhere `deps`, `obj` or `bin` may be anybody's code.
const VENDORED_BESIDE: &[(&str, &[&str])] = &[
    ("deps", &["mix.exs", "rebar.config"]),
    ("obj", &["*.csproj", "*.fsproj", "*.vbproj"]),
    ("bin", &["*.csproj", "*.fsproj", "*.vbproj"]),
    // Eclipse copies whole modules there, manifests included.
    ("bin", &["pom.xml", "build.gradle", "build.gradle.kts", ".classpath"]),
    ("build", &["build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"]),
    ("out", &["pom.xml", "build.gradle", "build.gradle.kts", "*.iml"]),
    ("dist", &["setup.py", "setup.cfg", "pyproject.toml"]),
    ("env", &["requirements.txt", "manage.py", "pyproject.toml", "Pipfile"]),
];

/// Hidden folders that rules have a reason to look into; all others are tools' own.
const HIDDEN_SEARCHED: &[&str] = &[
    ".docker", ".mvn", ".cargo", ".config", ".mise", ".meteor", ".vitepress", ".vuepress",
    ".streamlit", ".bundle", ".paket", ".sqlx",
];

/// Longest file a rule reads, in bytes; a manifest beyond it counts as unreadable.
pub(super) const FILE_BYTES_MAX: u64 = 8 << 20;
/// Entries looked at; a tree with more is refused.
pub(super) const ENTRIES_MAX: usize = 1_000_000;
/// Folders below each other; what lies deeper is noted and not searched.
pub(super) const DEPTH_MAX: usize = 48;
/// Text kept for the next rule that wants the same file, in bytes.
const KEPT_BYTES_MAX: usize = 16 << 20;
/// Notes kept; a tree of broken files needs no longer list.
const NOTES_MAX: usize = 200;

/// What was walked.
#[derive(Debug, Default)]
pub struct Tree {
    root: PathBuf,
    /// Folder → what it holds; every folder searched has an entry, `.` too.
    dirs: BTreeMap<String, Entries>,
    /// Folders that are there and not searched.
    skipped: BTreeSet<String>,
    /// Links to files, and where they end.
    links: RefCell<BTreeMap<String, String>>,
    read: RefCell<BTreeMap<String, Option<Rc<Text>>>>,
    kept_bytes: Cell<usize>,
    /// What could not be read, for the user.
    notes: RefCell<BTreeSet<String>>,
}

/// What one folder holds, names sorted.
#[derive(Debug, Default)]
pub struct Entries {
    /// Regular files, and links to them that stay in the tree.
    pub files: Vec<String>,
    /// Folders that were searched.
    pub dirs: Vec<String>,
}

impl Entries {
    /// Whether a file of this name is here.
    pub fn has(&self, name: &str) -> bool {
        self.files.binary_search_by(|file| file.as_str().cmp(name)).is_ok()
    }

    /// The files whose name ends so, such as `.csproj`.
    pub fn ending<'a>(&'a self, suffix: &'a str) -> impl Iterator<Item = &'a str> {
        self.files.iter().map(String::as_str).filter(move |name| name.ends_with(suffix))
    }

    /// Whether a file ends in one of these.
    pub fn has_ending(&self, suffixes: &[&str]) -> bool {
        self.files.iter().any(|name| suffixes.iter().any(|suffix| name.ends_with(suffix)))
    }

    /// The first of these names that is here.
    pub fn first_of<'n>(&self, names: &[&'n str]) -> Option<&'n str> {
        names.iter().copied().find(|name| self.has(name))
    }
}

/// A text file: UTF-8 or UTF-16 without its byte order mark; bytes that are none are replaced.
#[derive(Debug)]
pub struct Text {
    /// Relative to the root.
    pub path: String,
    /// Its content.
    pub text: String,
}

impl Text {
    /// Lines with their numbers (from 1).
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, line)| (at + 1, line))
    }

    /// Line (from 1) of the first occurrence of `needle`.
    pub fn line_of(&self, needle: &str) -> Option<usize> {
        self.text.find(needle).map(|at| self.line_at(at))
    }

    /// Line (from 1) of a byte offset.
    pub fn line_at(&self, at: usize) -> usize {
        self.text.as_bytes()[..at.min(self.text.len())].iter().filter(|b| **b == b'\n').count() + 1
    }
}

/// Why a tree could not be walked.
#[derive(Debug)]
pub enum WalkError {
    /// The root is no folder that can be read.
    Root(io::Error),
    /// More than [`ENTRIES_MAX`] entries.
    TooLarge,
}

impl fmt::Display for WalkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(_) => f.write_str("cannot search the folder"),
            Self::TooLarge => write!(f, "the folder holds more than {ENTRIES_MAX} entries"),
        }
    }
}

impl error::Error for WalkError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Root(source) => Some(source),
            Self::TooLarge => None,
        }
    }
}

impl Tree {
    /// Walks `root`, but not the folders in `ignored` (relative to it, clean).
    ///
    /// Links to folders are not followed, so there is no way out of the tree and no circle in it. Links to files count
    /// as files when they end inside. Sockets, pipes and devices are left alone.
    ///
    /// # Errors
    /// [`WalkError`]; a folder below the root that can't be read is only noted.
    pub fn walk(root: &Path, ignored: &[String]) -> Result<Self, WalkError> {
        let root = fs::canonicalize(root).map_err(WalkError::Root)?;
        let mut tree = Self { root, ..Self::default() };
        let mut left = ENTRIES_MAX;
        let mut pending = vec![(".".to_owned(), 0)];
        while let Some((dir, depth)) = pending.pop() {
            let mut entries = match tree.list(&dir, &mut left) {
                Ok(entries) => entries,
                Err(error) if dir == "." => return Err(WalkError::Root(error)),
                Err(error) => {
                    tree.note(format!("{dir}: not searched: {error}"));
                    continue;
                }
            };
            if left == 0 {
                return Err(WalkError::TooLarge);
            }
            // A virtual environment and what CMake builds may have any name.
            if dir != "." && entries.first_of(&["pyvenv.cfg", "CMakeCache.txt"]).is_some() {
                continue;
            }
            let Entries { files, dirs } = &mut entries;
            let skipped = dirs.extract_if(.., |name| {
                is_vendored(name, files) || ignored.contains(&join(&dir, name))
            });
            tree.skipped.extend(skipped.map(|name| join(&dir, &name)));
            if depth == DEPTH_MAX && !dirs.is_empty() {
                tree.note(format!(
                    "{dir}: what lies deeper than {DEPTH_MAX} folders is not searched"
                ));
                dirs.clear();
            }
            pending.extend(dirs.iter().map(|name| (join(&dir, name), depth + 1)));
            tree.dirs.insert(dir, entries);
        }
        // Folders that turned out not to be searched are in no list.
        let known: BTreeSet<String> = tree.dirs.keys().cloned().collect();
        for (dir, entries) in &mut tree.dirs {
            entries.dirs.retain(|name| known.contains(&join(dir, name)));
        }
        Ok(tree)
    }

    fn list(&self, dir: &str, left: &mut usize) -> io::Result<Entries> {
        let mut entries = Entries::default();
        for entry in fs::read_dir(self.root.join(dir))? {
            let entry = entry?;
            *left = left.saturating_sub(1);
            if *left == 0 {
                break;
            }
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                self.note(format!("{dir}: skipped {name:?}: its name is not UTF-8"));
                continue;
            };
            if name.contains(char::is_control) {
                self.note(format!("{dir}: skipped {name:?}: a control character in its name"));
                continue;
            }
            let kind = entry.file_type()?;
            if kind.is_dir() {
                entries.dirs.push(name.to_owned());
            } else if kind.is_file() {
                entries.files.push(name.to_owned());
            } else if kind.is_symlink()
                && let Some(end) = self.linked_file(&entry.path())
            {
                self.links.borrow_mut().insert(join(dir, name), end);
                entries.files.push(name.to_owned());
            }
        }
        entries.files.sort_unstable();
        entries.dirs.sort_unstable();
        Ok(entries)
    }

    /// The regular file of the tree that a link ends at.
    fn linked_file(&self, link: &Path) -> Option<String> {
        let end = fs::canonicalize(link).ok()?;
        let is_file = fs::metadata(&end).is_ok_and(|found| found.is_file());
        let path = end.strip_prefix(&self.root).ok().filter(|_| is_file)?;
        Some(path.to_string_lossy().into_owned())
    }

    /// The file that a path leads to, which is another one for a link.
    pub fn end_of(&self, path: &str) -> String {
        self.links.borrow().get(path).map_or(path, String::as_str).to_owned()
    }

    /// The name of the root folder; empty when it has none that is UTF-8.
    pub fn name(&self) -> String {
        let name = self.root.file_name().and_then(|name| name.to_str());
        name.unwrap_or_default().to_owned()
    }

    /// All folders that were searched, sorted; `.` first.
    pub fn dirs(&self) -> impl Iterator<Item = (&str, &Entries)> {
        let root = self.dirs.get_key_value(".");
        let others = self.dirs.iter().filter(|(dir, _)| dir.as_str() != ".");
        root.into_iter().chain(others).map(|(dir, entries)| (dir.as_str(), entries))
    }

    /// Folders below `dir` (itself included), sorted.
    pub fn dirs_below<'a>(&'a self, dir: &'a str) -> impl Iterator<Item = (&'a str, &'a Entries)> {
        self.dirs().filter(move |(path, _)| is_below(path, dir))
    }

    /// What `found` gives for folders, in their order; below one that gives something nothing is looked for.
    pub fn outermost<T>(&self, mut found: impl FnMut(&str, &Entries) -> Option<T>) -> Vec<T> {
        let mut roots = BTreeSet::new();
        let mut all = Vec::new();
        for (dir, entries) in self.dirs() {
            let is_below = upward(dir).any(|above| roots.contains(above));
            if !is_below && let Some(one) = found(dir, entries) {
                roots.insert(dir);
                all.push(one);
            }
        }
        all
    }

    /// What a folder holds.
    pub fn entries(&self, dir: &str) -> Option<&Entries> {
        self.dirs.get(dir)
    }

    /// Whether a file lies in a folder that is there and not searched, such as `vendor/modules.txt`.
    pub fn has_unsearched(&self, path: &str) -> bool {
        let Some((dir, _)) = path.rsplit_once('/') else { return false };
        let is_file = || self.root.join(path).symlink_metadata().is_ok_and(|found| found.is_file());
        self.skipped.contains(dir) && is_file()
    }

    /// Whether a file or folder is there, in a folder that is not searched too.
    pub fn is_there(&self, path: &str) -> bool {
        let is_hidden = || upward(path).any(|dir| self.skipped.contains(dir));
        let is_on_disk = || self.root.join(path).symlink_metadata().is_ok();
        self.has(path) || self.has_dir(path) || is_hidden() && is_on_disk()
    }

    /// Gives every line of a long file, which is read piece by piece and not kept.
    pub fn each_line(&self, path: &str, mut take: impl FnMut(&str)) {
        let file = self.has(path).then(|| File::open(self.root.join(path)).ok()).flatten();
        let lines = file.map(|file| BufReader::new(file.take(FILE_BYTES_MAX)).split(b'\n'));
        for line in lines.into_iter().flatten().map_while(Result::ok) {
            take(String::from_utf8_lossy(&line).trim_end_matches('\r'));
        }
    }

    /// Whether a folder was searched.
    pub fn has_dir(&self, dir: &str) -> bool {
        self.dirs.contains_key(dir)
    }

    /// Whether a regular file is there.
    pub fn has(&self, path: &str) -> bool {
        let (dir, name) = path.rsplit_once('/').unwrap_or((".", path));
        self.entries(dir).is_some_and(|entries| entries.has(name))
    }

    /// The first of these files of a folder that is there, as a path.
    pub fn first_of(&self, dir: &str, names: &[&str]) -> Option<String> {
        names.iter().map(|name| join(dir, name)).find(|path| self.has(path))
    }

    /// A file's text; `None` when it is absent, too large or unreadable (which is noted).
    pub fn read(&self, path: &str) -> Option<Rc<Text>> {
        if !self.has(path) {
            return None;
        }
        if let Some(known) = self.read.borrow().get(path) {
            return known.clone();
        }
        let text = read_text(&self.root.join(path))
            .map_err(|error| self.note(format!("{path}: not read: {error}")))
            .map(|text| Rc::new(Text { path: path.to_owned(), text }))
            .ok();
        let bytes = self.kept_bytes.get() + text.as_ref().map_or(0, |text| text.text.len());
        if bytes <= KEPT_BYTES_MAX {
            self.kept_bytes.set(bytes);
            self.read.borrow_mut().insert(path.to_owned(), text.clone());
        }
        text
    }

    /// The first `bytes` of a file, for lock files whose head says enough; not noted when unreadable.
    pub fn head(&self, path: &str, bytes: u64) -> Option<String> {
        if !self.has(path) {
            return None;
        }
        let mut head = Vec::new();
        File::open(self.root.join(path)).ok()?.take(bytes).read_to_end(&mut head).ok()?;
        Some(String::from_utf8_lossy(&head).into_owned())
    }

    /// Tells the user of something that could not be used: `app/package.json:3: …`.
    pub fn note(&self, note: impl Into<String>) {
        let mut notes = self.notes.borrow_mut();
        if notes.len() < NOTES_MAX {
            notes.insert(note.into());
        }
    }

    /// Everything that was noted, sorted.
    pub fn notes(&self) -> Vec<String> {
        self.notes.borrow().iter().cloned().collect()
    }
}

impl Tree {
    /// A JSON file; `None` when it is absent or malformed, which is noted.
    pub fn json(&self, path: &str) -> Option<Value> {
        self.parsed(path, manifest::json)
    }

    /// A TOML file, likewise.
    pub fn toml(&self, path: &str) -> Option<Value> {
        self.parsed(path, manifest::toml)
    }

    /// A YAML file, likewise.
    pub fn yaml(&self, path: &str) -> Option<Value> {
        self.parsed(path, manifest::yaml)
    }

    /// An XML file, likewise.
    pub fn xml(&self, path: &str) -> Option<Element> {
        self.parsed(path, manifest::xml)
    }

    /// A `.properties` file, or one of `NAME=value` lines.
    pub fn properties(&self, path: &str) -> Option<Properties> {
        Some(Properties::parse(&self.read(path)?.text))
    }

    fn parsed<T>(&self, path: &str, parse: fn(&str) -> Result<T, Malformed>) -> Option<T> {
        let text = self.read(path)?;
        parse(&text.text).map_err(|malformed| self.note(format!("{path}:{malformed}"))).ok()
    }
}

/// Reads a text file of at most [`FILE_BYTES_MAX`]; a larger one is refused by its size, unread.
///
/// # Errors
/// What the system says, or the size.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    if found.len() <= FILE_BYTES_MAX {
        bytes.reserve(found.len() as usize);
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    }
    if found.len().max(bytes.len() as u64) > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it is larger than {} MiB", FILE_BYTES_MAX >> 20)));
    }
    Ok(decoded(&bytes))
}

/// Text of UTF-8, or of UTF-16 where its byte order mark says so: tools of Windows write that, pip reads it.
fn decoded(bytes: &[u8]) -> String {
    let units = |unit: fn([u8; 2]) -> u16| {
        let units = bytes[2..].chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        String::from_utf16_lossy(&units.collect::<Vec<_>>())
    };
    match bytes {
        [0xff, 0xfe, ..] => units(u16::from_le_bytes),
        [0xfe, 0xff, ..] => units(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, text @ ..] | text => String::from_utf8_lossy(text).into_owned(),
    }
}

fn is_vendored(name: &str, files_beside: &[String]) -> bool {
    if name.starts_with('.') {
        return !HIDDEN_SEARCHED.contains(&name);
    }
    let beside = |pattern: &str| match pattern.strip_prefix('*') {
        Some(suffix) => files_beside.iter().any(|file| file.ends_with(suffix)),
        None => files_beside.iter().any(|file| file == pattern),
    };
    VENDORED.contains(&name)
        || VENDORED_BESIDE
            .iter()
            .any(|(folder, files)| *folder == name && files.iter().any(|file| beside(file)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::{ffi::OsStrExt as _, fs::symlink};

    use super::*;

    fn tree(files: &[&str]) -> (tempfile::TempDir, Tree) {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        let tree = Tree::walk(dir.path(), &[]).unwrap();
        (dir, tree)
    }

    fn dirs(tree: &Tree) -> Vec<&str> {
        tree.dirs().map(|(dir, _)| dir).collect()
    }

    #[test]
    fn text_is_read_in_the_encoding_of_its_mark() {
        let check = |bytes: &[u8], want: &str| assert_eq!(decoded(bytes), want);
        check(b"a\xc3\xa9", "a\u{e9}");
        check(b"\xef\xbb\xbfa", "a");
        check(b"\xff\xfea\0\xe9\0", "a\u{e9}");
        check(b"\xfe\xff\0a", "a");
        check(b"\xff\xfe", "");
        check(b"\xff\xfea", "");
    }

    #[test]
    fn what_tools_made_is_not_searched_and_what_only_has_such_a_name_is() {
        let (_dir, tree) = tree(&[
            "node_modules/a/package.json",
            "app/vendor/x.php",
            "app/.venv/bin/python",
            "app/odd-name/pyvenv.cfg",
            "app/odd-name/lib/x.py",
            "deps/main.go",
            "elixir/mix.exs",
            "elixir/deps/phoenix/mix.exs",
            "native/CMakeLists.txt",
            "native/anywhere/CMakeCache.txt",
            "native/anywhere/Makefile",
            "net/a.csproj",
            "net/obj/b.json",
            "shop/pom.xml",
            "shop/bin/pom.xml",
            "shop/bin/src/App.java",
            "tools/bin/main.go",
            ".mvn/wrapper/maven-wrapper.properties",
            ".git/config",
        ]);
        let expected = [
            ".", ".mvn", ".mvn/wrapper", "app", "deps", "elixir", "native", "net", "shop", "tools",
            "tools/bin",
        ];
        assert_eq!(dirs(&tree), expected);
        assert!(tree.has("deps/main.go") && !tree.has("app/odd-name/pyvenv.cfg"));
        assert!(tree.entries("app").unwrap().dirs.is_empty());
    }

    #[test]
    fn links_count_only_when_they_end_at_a_file_of_the_tree() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "s").unwrap();
        let (dir, _) = tree(&["real.txt", "sub/x"]);
        symlink(outside.path().join("secret"), dir.path().join("out")).unwrap();
        symlink("real.txt", dir.path().join("in")).unwrap();
        symlink(".", dir.path().join("sub/circle")).unwrap();
        symlink("loop", dir.path().join("loop")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            dir.path().join("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        let tree = Tree::walk(dir.path(), &[]).unwrap();
        assert_eq!(tree.entries(".").unwrap().files, ["in", "real.txt"]);
        assert_eq!(dirs(&tree), [".", "sub"]);
        assert_eq!(tree.read("in").unwrap().text, "real.txt");
    }

    #[test]
    fn names_that_are_not_utf8_are_skipped_with_a_note() {
        let (dir, _) = tree(&["a"]);
        let name = std::ffi::OsStr::from_bytes(b"caf\xe9.json");
        fs::write(dir.path().join(name), "{}").unwrap();
        let tree = Tree::walk(dir.path(), &[]).unwrap();
        assert_eq!(tree.entries(".").unwrap().files, ["a"]);
        assert!(tree.notes()[0].contains("not UTF-8"), "{:?}", tree.notes());
    }

    #[test]
    fn a_file_that_is_too_large_is_refused_by_its_size() {
        let (dir, _) = tree(&["a"]);
        File::create(dir.path().join("package.json")).unwrap().set_len(100 << 20).unwrap();
        let tree = Tree::walk(dir.path(), &[]).unwrap();
        assert!(tree.read("package.json").is_none());
        assert_eq!(tree.notes(), ["package.json: not read: it is larger than 8 MiB"]);
    }

    #[test]
    fn folders_that_are_too_deep_or_ignored_are_not_searched() {
        let deep = format!("{}x", "d/".repeat(DEPTH_MAX + 5));
        let (dir, tree) = tree(&[&deep, "skip/a", "skip/b/c", "keep/skip/a"]);
        assert_eq!(tree.dirs().filter(|(dir, _)| dir.starts_with('d')).count(), DEPTH_MAX);
        assert_eq!(tree.notes().len(), 1, "{:?}", tree.notes());
        let ignoring = Tree::walk(dir.path(), &["skip".to_owned()]).unwrap();
        assert!(!ignoring.has_dir("skip") && ignoring.has_dir("keep/skip"));
    }

    #[test]
    fn a_root_that_is_missing_or_a_file_is_an_error() {
        let (dir, _) = tree(&["a"]);
        assert!(Tree::walk(&dir.path().join("none"), &[]).is_err());
        assert!(Tree::walk(&dir.path().join("a"), &[]).is_err());
    }
}
