//! The file that is started where no script and no `Procfile` says which.

use super::{
    config::{EXTENSIONS, is_code},
    lines::opens_port,
    package::Package,
    start::Start,
};
use crate::detect::{prelude::*, source};

/// Names of entry files, in the order in which they are looked for.
const STEMS: &[&str] = &["server", "app", "index", "main", "bot", "worker", "start"];
const FOLDERS: &[&str] = &[".", "src", "server", "src/server", "app", "lib"];

/// `main`, `bin`, or a file with one of the names that entry files have; `has_build` tells that files may be made yet.
pub(super) fn find(package: &Package<'_>, has_build: bool) -> Option<Start> {
    let bin = package.json.get("bin");
    let line = package.line(bin.map(|bin| bin.line));
    let program = |path: &str| Start::node(path, Fixed::Bin, line.clone());
    let is_there = |path: &&str| package.at.has(path);
    let first = main(package, has_build)
        .or_else(|| programs(package).next().filter(is_there).map(program))
        .or_else(|| named(package));
    // What others import starts nothing.
    let file = first.as_ref().and_then(Start::file);
    if file.and_then(|file| opens_in(package, file)) == Some(false) {
        let mut listening = programs(package).filter(|path| has_build || package.at.has(path));
        let found = listening.find(|path| opens_in(package, path) == Some(true));
        return found.map(program).or(first);
    }
    first
}

/// Programs of `bin`.
pub(super) fn programs<'p>(package: &'p Package<'_>) -> impl Iterator<Item = &'p str> {
    let bin = package.json.get("bin").into_iter();
    let all = bin.flat_map(|bin| std::iter::once(bin).chain(bin.members().map(|(_, path)| path)));
    all.filter_map(Value::as_str).map(|path| path.trim_start_matches("./"))
}

/// Whether a file, or the one of `src` that it is built from, opens a port; `None` where it exports nothing and opens none.
fn opens_in(package: &Package<'_>, file: &str) -> Option<bool> {
    let inside = file.split_once('/').map_or(file, |(_, inside)| inside);
    let stem = inside.rsplit_once('.').map_or(inside, |(stem, _)| stem);
    let sources = ["ts", "mts", "js"].map(|end| format!("src/{stem}.{end}"));
    let mut files = std::iter::once(file).chain(sources.iter().map(String::as_str));
    let text = files.find_map(|file| package.at.read(file))?;
    let mut code = text.lines().map(|(_, line)| line).filter(|line| !source::is_comment(line));
    let exports = ["module.exports", "exports.", "export "];
    let mut has_export = false;
    let opens = code.any(|line| {
        has_export |= exports.iter().any(|sign| line.contains(sign));
        opens_port(line)
    });
    (opens || has_export).then_some(opens)
}

/// `main`, unless it is missing and nothing makes it.
fn main(package: &Package<'_>, has_build: bool) -> Option<Start> {
    let main = package.json.get("main")?;
    let path = main.as_str()?.trim_start_matches("./");
    let candidates = [path, &format!("{path}.js"), &format!("{path}/index.js")];
    // What is not there yet, the build makes.
    let outputs = ["dist/", "build/", "out/", "lib/", "output/", ".output/"];
    let is_output = outputs.iter().any(|dir| path.starts_with(dir)) && !path.contains("..");
    let built = (has_build && is_output).then_some(path);
    let path = package.at.first_of(&candidates).or(built).filter(|path| is_code(path))?;
    Some(Start::node(path, Fixed::Main, package.line(Some(main.line))))
}

fn named(package: &Package<'_>) -> Option<Start> {
    let file = entry_file(package.at)?;
    let place = package.at.place(&file, None);
    Some(Start::node(&file, Fixed::NameOfEntry, place))
}

/// The first entry file of a folder, relative to it.
pub(super) fn entry_file(at: Folder<'_>) -> Option<String> {
    let all = |stem| EXTENSIONS.iter().map(move |extension| format!("{stem}.{extension}"));
    let in_folder = |folder| STEMS.iter().flat_map(all).map(move |name| join(folder, &name));
    FOLDERS.iter().flat_map(|folder| in_folder(folder)).find(|file| at.has(file))
}
