//! Paths of the tree: clean, relative to the root, `/` between parts, `.` is the root.

use super::shell::quote;

/// `name` in the folder `dir`.
pub fn join(dir: &str, name: &str) -> String {
    if dir == "." { name.to_owned() } else { format!("{dir}/{name}") }
}

/// `below` in the folder `dir`, where `.` is that folder itself.
pub fn join_clean(dir: &str, below: &str) -> String {
    if below == "." { dir.to_owned() } else { join(dir, below) }
}

/// A folder and all those it lies in, the root last.
pub fn upward(dir: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(dir), |dir| (*dir != ".").then(|| parent(dir)))
}

/// The folder a path lies in; `.` for what lies in the root.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(dir, _)| dir)
}

/// The last part of a path: the name of a file or folder.
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The last part of a clean path; `None` for the root.
pub fn last_part(dir: &str) -> Option<&str> {
    Some(file_name(dir)).filter(|part| *part != "." && !part.is_empty())
}

/// Whether `path` is `dir` or lies in it.
pub fn is_below(path: &str, dir: &str) -> bool {
    match path.strip_prefix(dir) {
        _ if dir == "." => true,
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

/// A path as seen from a folder that it lies in: `a.py` for `app/a.py` from `app`; others stay as they are.
pub fn below<'p>(dir: &str, path: &'p str) -> &'p str {
    match path.strip_prefix(dir) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest.trim_start_matches('/'),
        _ => path,
    }
}

/// `path` as seen from `from`, both clean and relative to the root: `../lib` for `lib` from `app`.
pub fn relative(from: &str, path: &str) -> String {
    let parts = |path: &str| -> Vec<String> {
        path.split('/').filter(|p| !p.is_empty() && *p != ".").map(str::to_owned).collect()
    };
    let (from, path) = (parts(from), parts(path));
    let same = from.iter().zip(&path).take_while(|(a, b)| a == b).count();
    let mut out: Vec<&str> = vec![".."; from.len() - same];
    out.extend(path[same..].iter().map(String::as_str));
    if out.is_empty() { ".".to_owned() } else { out.join("/") }
}

/// The clean path that `relative` names as seen from `dir`; `None` when it leaves the tree or is absolute.
pub fn resolve(dir: &str, relative: &str) -> Option<String> {
    if relative.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in dir.split('/').chain(relative.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

/// A path as a pattern that means it alone: names may hold `[` and `*`.
pub fn literal(path: &str) -> String {
    let mut out = String::new();
    for c in path.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A command that runs in `dir`.
pub fn within(dir: &str, command: &str) -> String {
    if dir == "." { command.to_owned() } else { format!("cd {} && {command}", quote(dir)) }
}

/// Whether a pattern of a workspace names a path: `*` stands for anything within a part, `**` for any parts, `{a,b}` for
/// one of several words.
pub fn glob(pattern: &str, path: &str) -> bool {
    if let Some((head, rest)) = pattern.split_once('{')
        && let Some((words, tail)) = rest.split_once('}')
    {
        // One pair of braces; another one inside the tail would multiply.
        let mut words = words.split(',').filter(|_| !tail.contains('{'));
        return words.any(|word| glob(&format!("{head}{word}{tail}"), path));
    }
    let parts: Vec<&str> = path.split('/').collect();
    // Row by row, so that many `**` cost no more than their number times the path's.
    let mut reached = vec![false; parts.len() + 1];
    reached[0] = true;
    for glob in pattern.split('/').filter(|part| *part != ".") {
        let mut next = vec![false; parts.len() + 1];
        for at in 0..=parts.len() {
            next[at] = match glob {
                "**" => reached[at] || at > 0 && next[at - 1],
                _ => at > 0 && reached[at - 1] && is_like(glob, parts[at - 1]),
            };
        }
        reached = next;
    }
    reached[parts.len()]
}

/// Whether a word is one with `*` for anything.
fn is_like(glob: &str, word: &str) -> bool {
    let mut pieces: Vec<&str> = glob.split('*').collect();
    let Some(mut rest) = word.strip_prefix(pieces.remove(0)) else { return false };
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    #[test]
    fn paths_are_resolved_within_the_tree() {
        let check = |dir: &str, path: &str, want: Option<&str>| {
            assert_eq!(resolve(dir, path).as_deref(), want, "{dir} {path}");
        };
        check("app", "../lib", Some("lib"));
        check("app", "..", Some("."));
        check(".", "../lib", None);
        check(".", "./a//b/", Some("a/b"));
        check("app", "/lib", None);
    }

    #[test]
    fn folders_above_end_at_the_root() {
        assert_eq!(upward("a/b/c").collect::<Vec<_>>(), ["a/b/c", "a/b", "a", "."]);
        assert_eq!(upward(".").count(), 1);
    }

    #[test]
    fn a_relative_path_leads_from_one_folder_to_the_other() {
        let check = |from: &str, to: &str, want: &str| {
            assert_eq!(relative(from, to), want);
            assert_eq!(resolve(from, want).as_deref(), Some(to));
        };
        check("app", "lib", "../lib");
        check("a/b", "a/c/d", "../c/d");
        check(".", "lib", "lib");
        check("a", "a", ".");
        check("a", ".", "..");
    }

    #[test]
    fn no_pattern_makes_it_panic() {
        mutate(b"**/a*b/./c*", b"*/.a\xc3", 3000, |data| {
            let pattern = String::from_utf8_lossy(data);
            assert!(!glob(&pattern, "é/b/c") || pattern.contains('*') || pattern.contains("é"));
        });
    }

    #[test]
    fn a_path_is_seen_from_the_folder_that_it_lies_in() {
        let seen = [below("app", "app/a.py"), below(".", "app/a.py"), below("app", "apps/a.py")];
        assert_eq!(seen, ["a.py", "app/a.py", "apps/a.py"]);
        assert_eq!((below("app", "app"), below(".", "."), below(".", ".x/y")), ("", "", ".x/y"));
    }

    #[test]
    fn a_path_is_no_pattern() {
        assert_eq!(literal("a[1]/*.jar"), r"a\[1\]/\*.jar");
        assert_eq!(literal("a/b.jar"), "a/b.jar");
    }

    #[test]
    fn odd_folders_are_quoted() {
        assert_eq!(within("a b", "make"), "cd 'a b' && make");
        assert_eq!(within(".", "make"), "make");
        assert_eq!(quote("it's"), r"'it'\''s'");
    }

    #[test]
    fn a_path_is_below_a_folder_only_at_a_slash() {
        assert!(is_below("a/b", "a") && is_below("a", "a") && is_below("x", "."));
        assert!(!is_below("ab", "a") && !is_below("a", "a/b"));
    }

    #[test]
    fn patterns_of_workspaces_match_whole_parts() {
        let check = |pattern: &str, path: &str, want| {
            assert_eq!(glob(pattern, path), want, "{pattern} {path}");
        };
        check("./apps/api", "apps/api", true);
        check("apps/a*x", "apps/ax", true);
        check("*", "lib", true);
        check("crates/*", "crates/api", true);
        check("**", "a", true);
        check("crates/*", "crates/api/sub", false);
        check("crates/svc-*", "crates/svc-api", true);
        check("crates/svc-*-x", "crates/svc-x", false);
        check("api", "api", true);
        check("api", "apis", false);
        check("crates/**", "crates/a/b", true);
        check("*", "é", true);
        check("apps/{web,api}", "apps/api", true);
        check("apps/{web,api}", "apps/x", false);
        check("p*-x/a*b*c", "pp-x/aabbc", true);
        check("p*-x/a*b*c", "pp-x/aabb", false);
        check("packages/*", "packages/a", true);
        check("packages/**", "packages/a/b", true);
        check("apps/api-*", "apps/api-x", true);
        check("apps/a*x", "apps/ax", true);
        check("./apps/api", "apps/api", true);
        check("apps/api", "apps/apis", false);
        check("**", "a", true);
        check("web", "web", true);
    }
}
