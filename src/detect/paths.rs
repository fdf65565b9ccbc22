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

/// Whether a pattern of members of a workspace means a folder: `*` within a part of a path, `**` for any parts, `{a,b}` for one of several words.
pub fn glob_matches(glob: &str, path: &str) -> bool {
    if let (Some(open), Some(close)) = (glob.find('{'), glob.find('}'))
        && open < close
    {
        let (head, tail) = (&glob[..open], &glob[close + 1..]);
        // One pair of braces; another one inside the tail would multiply.
        let is_last = !tail.contains('{');
        return is_last
            && glob[open + 1..close]
                .split(',')
                .any(|word| glob_matches(&format!("{head}{word}{tail}"), path));
    }
    let globs: Vec<&str> = glob.split('/').collect();
    let parts: Vec<&str> = path.split('/').collect();
    parts_match(&globs, &parts)
}

fn parts_match(globs: &[&str], parts: &[&str]) -> bool {
    // Row by row, so that many `**` cost no more than their number times the path's.
    let mut reached = vec![false; parts.len() + 1];
    reached[0] = true;
    for glob in globs {
        let mut next = vec![false; parts.len() + 1];
        for at in 0..=parts.len() {
            next[at] = match *glob {
                "**" => reached[at] || at > 0 && next[at - 1],
                _ => at > 0 && reached[at - 1] && word_matches(glob, parts[at - 1]),
            };
        }
        reached = next;
    }
    reached[parts.len()]
}

fn word_matches(glob: &str, word: &str) -> bool {
    let mut pieces = glob.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| word.strip_prefix(first)) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_path_is_no_pattern() {
        assert_eq!(literal("a[1]/*.jar"), r"a\[1\]/\*.jar");
        assert_eq!(literal("a/b.jar"), "a/b.jar");
    }

    #[test]
    fn patterns_match_as_package_managers_do() {
        let check = |glob: &str, path: &str, expected: bool| {
            assert_eq!(glob_matches(glob, path), expected, "{glob} {path}");
        };
        check("packages/*", "packages/a", true);
        check("packages/*", "packages/a/b", false);
        check("packages/**", "packages/a/b", true);
        check("apps/{web,api}", "apps/api", true);
        check("apps/{web,api}", "apps/x", false);
        check("**", "a", true);
        check("p*-x/a*b*c", "pp-x/aabbc", true);
        check("p*-x/a*b*c", "pp-x/aabb", false);
        check("web", "web", true);
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
}
