//! Folders that a program of PHP without a framework writes to, as its sources and the tree say.

use std::collections::BTreeSet;

use crate::detect::{ecosystems::python::quoted, paths::below, prelude::*};

/// Calls that make or fill a file or a folder, whose first argument says which.
const CALLS: &[&str] = &[
    "is_writable(", "is_writeable(", "mkdir(", "file_put_contents(", "touch(", "SQLite3(",
    "\"sqlite:", "'sqlite:",
];

/// Files that only keep a folder in a repository, or others out of it.
const KEEPERS: &[&str] =
    &[".gitkeep", ".keep", ".gitignore", ".empty", ".htaccess", "index.html", "index.htm"];

/// Paths of one project; more are not followed.
const FOLDERS_MAX: usize = 40;
/// Variables that stand for each other.
const DEPTH_MAX: usize = 3;

/// The folders below `at`, clean and relative to it.
pub(super) fn folders(at: Folder<'_>, files: &[Rc<Text>]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (dir, entries) in at.project.tree.dirs_below(at.dir) {
        let is_kept = entries.files.iter().all(|name| KEEPERS.contains(&name.as_str()));
        // A page that greets is no keeper where it is alone with nothing that hides it.
        let is_page = entries.files.iter().any(|name| name.starts_with("index."))
            && at
                .project
                .tree
                .read(&join(dir, "index.html"))
                .is_some_and(|page| page.text.len() > 300);
        if is_kept && !is_page && entries.dirs.is_empty() && dir != at.dir {
            found.insert(dir.to_owned());
        }
    }
    for file in files {
        for line in file.text.lines().filter(|line| !source::is_comment(line)) {
            for call in CALLS.iter().filter(|call| line.contains(**call)) {
                let rest = line.split_once(call).map_or("", |(_, rest)| rest);
                // The quote of `'sqlite:…'` is open already.
                let path = match call.strip_suffix("sqlite:") {
                    Some(quote) if !rest.starts_with(quote) => quoted(&format!("{quote}{rest}"))
                        .and_then(|path| resolve(parent(&file.path), path)),
                    Some(quote) => path(file, rest.trim_start_matches(quote), 0),
                    None => path(file, rest, 0),
                };
                found.extend(path);
            }
        }
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let folder = |path: String| {
        let is_file = file_name(&path).contains('.') && !at.project.tree.has_dir(&path);
        let folder = if is_file { parent(&path).to_owned() } else { path };
        let is_below = is_below(&folder, at.dir) && folder != at.dir && folder != ".";
        is_below.then(|| relative(at.dir, &folder)).filter(|path| path.chars().all(is_plain))
    };
    let all = found.into_iter().filter_map(folder);
    all.filter(|path| !folders::is_beside_product(path)).take(FOLDERS_MAX).collect()
}

/// Whether the program makes folders or files in places that only it knows: plugins that it fetches, its own new version.
pub(super) fn anywhere(at: Folder<'_>, files: &[Rc<Text>]) -> bool {
    let is_open = |file: &Text, line: &str, call: &str| {
        let Some((before, rest)) = line.split_once(call) else { return false };
        let is_call = !before.ends_with(|c: char| c.is_alphanumeric() || "_>:".contains(c))
            && !before.trim_end().ends_with("function");
        let is_elsewhere = rest.to_ascii_lowercase().contains("tmp");
        is_call
            && rest.trim_start().starts_with('$')
            && !is_elsewhere
            && path(file, rest, 0).is_none()
    };
    let own = files.iter().filter(|file| !folders::is_beside_product(below(at.dir, &file.path)));
    own.into_iter().any(|file| {
        let mut lines = file.text.lines().filter(|line| !source::is_comment(line));
        lines.any(|line| ["mkdir(", "file_put_contents("].iter().any(|c| is_open(file, line, c)))
    })
}

/// The path that an expression begins with: `__DIR__ . '/data/x.json'`, `'data'`, `$folder . '/x'`, `DATA . '/x'`.
fn path(file: &Text, expression: &str, depth: usize) -> Option<String> {
    let expression = expression.trim_start_matches([' ', '.', '(']);
    let here = parent(&file.path);
    let bases = [
        ("dirname(__DIR__)", parent(here)),
        ("dirname(__FILE__)", here),
        ("__DIR__", here),
        ("$_SERVER['DOCUMENT_ROOT']", here),
    ];
    if let Some((base, rest)) =
        bases.iter().find_map(|(sign, base)| Some((*base, expression.strip_prefix(sign)?)))
    {
        let below = quoted(rest.trim_start_matches([' ', '.']))?;
        return resolve(base, below.trim_start_matches('/'));
    }
    if let Some(path) = quoted(expression) {
        let is_path = !path.contains([':', '$', '{']) && !path.starts_with('/');
        return resolve(here, path).filter(|_| is_path);
    }
    // A variable or a constant, which is set in the same file.
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    let name = &expression[..expression.find(|c| !is_name(c)).unwrap_or(expression.len())];
    if depth >= DEPTH_MAX || name.len() < 2 {
        return None;
    }
    let value = file.text.lines().find_map(|line| {
        let line = line.trim_start();
        let defined = line.strip_prefix("define(").and_then(|rest| {
            let (known, value) = rest.split_once(',')?;
            (known.trim().trim_matches(['"', '\'']) == name).then_some(value)
        });
        let set = || {
            let line = line.strip_prefix("const ").unwrap_or(line);
            line.strip_prefix(name)?.trim_start().strip_prefix('=')
        };
        defined.or_else(set)
    })?;
    path(file, value, depth + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    fn file(text: &str) -> Text {
        Text { path: "web/index.php".into(), text: text.into() }
    }

    #[test]
    fn paths_are_read_in_the_forms_that_programs_write() {
        let check = |text: &str, expression: &str, want: Option<&str>| {
            assert_eq!(path(&file(text), expression, 0).as_deref(), want, "{expression}");
        };
        check("", "__DIR__ . '/data/x.json', $y)", Some("web/data/x.json"));
        check("", "__DIR__.\"/../var\")", Some("var"));
        check("", "dirname(__DIR__) . '/var')", Some("var"));
        check("", "'uploads')", Some("web/uploads"));
        check("", "'/tmp/x')", None);
        check("", "'php://stdout')", None);
        check("$dir = __DIR__ . '/up';\n", "$dir . '/x.txt', $y)", Some("web/up"));
        check("define('DATA', __DIR__ . '/d');\n", "DATA . '/x')", Some("web/d"));
        check("const DATA = __DIR__ . '/d';\n", "DATA)", Some("web/d"));
        check("$a = $b;\n$b = $a;\n", "$a)", None);
    }

    #[test]
    fn no_text_makes_it_panic() {
        let seed = "$a = __DIR__ . '/é';\ndefine('B', $a . 'x');\nmkdir(B);\n'sqlite:x'\n";
        mutate(seed.as_bytes(), b"'\"$(). \n\xc3", 3000, |data| {
            let text = String::from_utf8_lossy(data);
            let file = file(&text);
            assert!(text.lines().all(|line| path(&file, line, 0).is_none_or(|p| !p.is_empty())));
        });
    }
}
