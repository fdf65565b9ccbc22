//! `go.mod` and `go.sum`, for the context: in an image the binaries themselves say what they were built from.

use super::found::{Found, lines, lossy};

/// What `go.mod` requires, replacements applied; what is replaced by a folder is left out.
pub(super) fn module(bytes: &[u8]) -> Result<Vec<Found>, String> {
    let text = lossy(bytes);
    let mut required = Vec::new();
    let mut replaced = Vec::new();
    for (directive, arguments) in directives(&text) {
        let words: Vec<_> = arguments.split_ascii_whitespace().take(6).map(unquoted).collect();
        match (directive, words.as_slice()) {
            ("require", [path, version, ..]) => required.push((*path, *version)),
            ("replace", [old, "=>", new @ ..]) => replaced.push((*old, None, new.to_vec())),
            ("replace", [old, version, "=>", new @ ..]) => {
                replaced.push((*old, Some(*version), new.to_vec()));
            }
            _ => {}
        }
    }
    replaced.truncate(REPLACED_MAX);
    let found = required.into_iter().filter_map(|(path, version)| {
        let is_meant = |(old, at, _): &&(&str, Option<&str>, Vec<&str>)| {
            *old == path && at.is_none_or(|at| at == version)
        };
        match replaced.iter().find(is_meant).map(|(.., new)| new.as_slice()) {
            Some([path, version]) => Found::new(path, version),
            Some(_) => None,
            None => Found::new(path, version),
        }
    });
    Ok(found.collect())
}

/// Whether `go.mod` lists everything that a build needs: since Go 1.17 (Go Modules Reference, "Module graph pruning").
pub(super) fn is_complete(bytes: &[u8]) -> bool {
    let text = lossy(bytes);
    let go = directives(&text).find(|(directive, _)| *directive == "go");
    let minor = go.and_then(|(_, version)| version.trim().strip_prefix("1.")).map(|rest| {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..digits].parse::<u32>().unwrap_or(0)
    });
    minor.is_some_and(|minor| minor >= 17)
}

/// The modules of `go.sum` whose archives were fetched; the lines for `go.mod` alone are of versions not chosen.
pub(super) fn sums(bytes: &[u8]) -> Result<Vec<Found>, String> {
    let text = lossy(bytes);
    let modules = lines(&text)?.filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (path, version) = (words.next()?, words.next()?);
        words.next().filter(|hash| hash.starts_with("h1:") && !version.ends_with("/go.mod"))?;
        Found::new(path, version)
    });
    Ok(modules.collect())
}

/// Directive and arguments of each line, blocks in parentheses resolved, comments dropped.
fn directives(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut block = "";
    text.lines().filter_map(move |line| {
        let line = line.split("//").next().unwrap_or_default().trim();
        if line == ")" {
            block = "";
            return None;
        }
        if !block.is_empty() {
            return Some((block, line));
        }
        let (directive, arguments) = line.split_once([' ', '\t', '('])?;
        if line.ends_with('(') {
            block = directive;
            return None;
        }
        Some((directive, arguments))
    })
}

fn unquoted(word: &str) -> &str {
    word.trim_matches(['"', '`'])
}

/// Replacements that are looked at, for each module required.
const REPLACED_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mutation::mutate, sbom::langs::tests::listing};

    const MOD: &str = "module example.com/app\n\ngo 1.21\ntoolchain go1.22.1\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/b/v2 v2.0.0 // indirect\n\t\"example.com/c\" v0.0.0-20200101000000-abcdefabcdef+incompatible\n)\nrequire example.com/d v1.1.0\n\nexclude example.com/a v0.9.0\nreplace (\n\texample.com/a => ../a\n\texample.com/b/v2 v2.0.0 => example.com/fork/v2 v2.0.1\n\texample.com/d v1.0.0 => ./d\n)\n";

    #[test]
    fn requirements_are_read_with_what_replaces_them() {
        let expected = [
            "example.com/fork/v2@v2.0.1",
            "example.com/c@v0.0.0-20200101000000-abcdefabcdef+incompatible",
            "example.com/d@v1.1.0",
        ];
        assert_eq!(listing(module(MOD.as_bytes())), expected);
    }

    #[test]
    fn go_mod_is_complete_since_go_1_17() {
        for (text, expected) in
            [(MOD, true), ("go 1.16\n", false), ("module x\n", false), ("go 1.17rc1\n", true)]
        {
            assert_eq!(is_complete(text.as_bytes()), expected, "{text}");
        }
    }

    const SUM: &str = "example.com/a v1.0.0 h1:abc=\nexample.com/a v1.0.0/go.mod h1:def=\nexample.com/b v1.0.0/go.mod h1:ghi=\nodd\n";

    #[test]
    fn sums_give_the_modules_whose_archives_were_fetched() {
        assert_eq!(listing(sums(SUM.as_bytes())), ["example.com/a@v1.0.0"]);
    }

    #[test]
    fn mutations_are_read_or_refused() {
        mutate(MOD.as_bytes(), b"()\n =>\"/", 3_000, |bytes| {
            drop(module(bytes));
            let _ = is_complete(bytes);
        });
        mutate(SUM.as_bytes(), b"\n :/", 2_000, |bytes| drop(sums(bytes)));
    }
}
