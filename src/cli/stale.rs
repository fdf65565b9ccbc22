//! `peelbox detect --check`: whether a committed spec is what is detected now.

use std::{fmt::Write as _, fs, path::Path};

use crate::{
    cli::print_stdout,
    detect::emit,
    error::{Error, Kind},
    spec::{self, UniversalBuild},
};

/// Fails, with the difference on standard output, when the file says something else than `found`.
///
/// Neither the layout of the file nor `metadata.reasoning`, which holds numbers of lines, makes a difference.
pub(crate) fn check(file: &Path, found: &[UniversalBuild]) -> Result<(), Error> {
    let shown = file.display().to_string();
    let data = fs::read(file).map_err(|error| {
        Error::new(Kind::Usage, format!("cannot read the spec `{shown}`"))
            .because(error)
            .hint(format!("`peelbox detect DIR -o {shown}` writes it"))
    })?;
    let kept = spec::parse(&data, &shown).map_err(|e| Error::from_error(Kind::Usage, e))?;
    let kept: Vec<UniversalBuild> = kept.services.into_iter().map(|service| service.spec).collect();
    let (old, new) = (without_reasons(&kept), without_reasons(found));
    if old == new {
        return Ok(());
    }
    print_stdout(difference(&shown, &old, &new).as_bytes())?;
    let text = format!("`{shown}` is stale: another spec is detected now");
    Err(Error::new(Kind::Build, text)
        .hint(format!("`peelbox detect DIR -o {shown} --force` writes it anew"))
        .hint("what a person sets belongs into peelbox.toml, which every detection follows"))
}

fn without_reasons(specs: &[UniversalBuild]) -> String {
    let mut specs = specs.to_vec();
    specs.iter_mut().for_each(|spec| spec.metadata.reasoning = None);
    emit::emit(&specs)
}

/// Lines around a change that are shown.
const AROUND: usize = 3;
/// Pairs of lines that are compared; what differs in more is shown as a whole.
const PAIRS_MAX: usize = 4_000_000;

/// The difference of two texts, as `diff -u` shows it.
fn difference(name: &str, old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let lines = changes(&old, &new);
    let is_near = |at: usize| {
        let from = at.saturating_sub(AROUND);
        lines[from..lines.len().min(at + AROUND + 1)].iter().any(|(sign, _)| *sign != ' ')
    };
    let mut out = format!("--- {name}\n+++ detected\n");
    let (mut old_line, mut new_line, mut is_shown) = (1, 1, false);
    for (at, (sign, line)) in lines.iter().enumerate() {
        if is_near(at) {
            if !is_shown {
                let _ = writeln!(out, "@@ -{old_line} +{new_line} @@");
            }
            let _ = writeln!(out, "{sign}{line}");
        }
        is_shown = is_near(at);
        old_line += usize::from(*sign != '+');
        new_line += usize::from(*sign != '-');
    }
    out
}

/// Lines that stay, go and come, by the longest common subsequence.
fn changes<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<(char, &'t str)> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let tail = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&old_rest[..old_rest.len() - tail], &new_rest[..new_rest.len() - tail]);
    let mut lines: Vec<(char, &str)> = old[..head].iter().map(|line| (' ', *line)).collect();
    let width = b.len() + 1;
    let is_small = a.len() * b.len() <= PAIRS_MAX;
    // Length of the longest common subsequence of what is left from (i, j) on.
    let mut longest = vec![0_u32; if is_small { (a.len() + 1) * width } else { 0 }];
    for i in (0..if is_small { a.len() } else { 0 }).rev() {
        for j in (0..b.len()).rev() {
            longest[i * width + j] = match a[i] == b[j] {
                true => longest[(i + 1) * width + j + 1] + 1,
                false => longest[(i + 1) * width + j].max(longest[i * width + j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        let goes = i < a.len()
            && (j == b.len()
                || !is_small
                || longest[(i + 1) * width + j] >= longest[i * width + j + 1]);
        if is_small && i < a.len() && j < b.len() && a[i] == b[j] {
            lines.push((' ', a[i]));
            (i, j) = (i + 1, j + 1);
        } else if goes {
            lines.push(('-', a[i]));
            i += 1;
        } else {
            lines.push(('+', b[j]));
            j += 1;
        }
    }
    lines.extend(old_rest[a.len()..].iter().map(|line| (' ', *line)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_shows_what_goes_and_comes_with_the_lines_around() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\nx\ni\nj\nk\n";
        let new = "a\nb\nc\nd\nE\nf\ng\nh\nx\ni\nj\nk\nl\n";
        let expected = "--- x\n+++ detected\n@@ -2 +2 @@\n b\n c\n d\n-e\n+E\n f\n g\n h\n@@ -10 +10 @@\n i\n j\n k\n+l\n";
        assert_eq!(difference("x", old, new), expected);
        assert_eq!(difference("x", "", "a\n"), "--- x\n+++ detected\n@@ -1 +1 @@\n+a\n");
    }

    #[test]
    fn changes_turn_the_old_text_into_the_new_one() {
        let words = ["a", "b", "c"];
        let text = |seed: usize| -> Vec<&str> {
            (0..seed % 7).map(|at| words[(seed >> at) % 3]).collect()
        };
        for (old, new) in (0..60).flat_map(|a| (0..60).map(move |b| (a * 7 + 3, b * 5 + 1))) {
            let (old, new) = (text(old), text(new));
            let lines = changes(&old, &new);
            let of = |signs: [char; 2]| -> Vec<&str> {
                lines
                    .iter()
                    .filter(|(sign, _)| signs.contains(sign))
                    .map(|(_, line)| *line)
                    .collect()
            };
            assert_eq!((of([' ', '-']), of([' ', '+'])), (old, new));
        }
    }
}
