//! The git commit of a context, read from `.git` without running git; and whether the context differs from it, which only
//! git knows.

use std::{
    fs,
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::threads::{Later, STACK_BYTES};

/// How long git is waited for; a tree that takes longer counts as unchanged.
const GIT_PATIENCE: Duration = Duration::from_secs(3);

/// Longest file of `.git` that is read here, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The commit checked out at `root`; `None` when there is none or it cannot be told.
///
/// Only a `.git` folder directly in `root` (or the file a worktree has instead) counts: the image is made of this
/// folder, and a repository further up may be another project's.
pub fn of(root: &Path) -> Option<String> {
    let dot_git = root.join(".git");
    let dir = if dot_git.is_dir() {
        dot_git
    } else {
        root.join(read(&dot_git)?.strip_prefix("gitdir:")?.trim())
    };
    let head = read(&dir.join("HEAD"))?;
    let Some(name) = head.trim().strip_prefix("ref:") else { return commit(head.trim()) };
    let name = name.trim();
    if name.split('/').any(|part| part.is_empty() || part == "..") {
        return None;
    }
    // A worktree keeps its branches in the main repository.
    let common = read(&dir.join("commondir")).map_or_else(|| dir.clone(), |c| dir.join(c.trim()));
    if let Some(text) = read(&common.join(name)) {
        return commit(text.trim());
    }
    let packed = read(&common.join("packed-refs"))?;
    packed.lines().find_map(|line| {
        let (id, named) = line.split_once(' ')?;
        if named == name { commit(id) } else { None }
    })
}

/// Whether a folder differs from its commit, asked on a thread of its own.
#[derive(Debug)]
pub struct Changes(Later<bool>);

impl Changes {
    /// Begins to ask; `None` when git cannot be started.
    ///
    /// Changed, staged and untracked files count, ignored ones do not. What a repository's own settings would have git
    /// run (`core.fsmonitor`, hooks) does not run.
    pub fn look(root: &Path) -> Option<Self> {
        let mut git = Command::new("git")
            .args([
                "--no-optional-locks", "-c", "core.fsmonitor=false", "-c",
                "core.hooksPath=/dev/null",
            ])
            .arg("-C")
            .arg(root)
            .args(["status", "--porcelain", "--untracked-files=normal", "--", "."])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut lines = git.stdout.take()?;
        let ask = move || {
            // The first byte says it all.
            let is_changed = matches!(lines.read(&mut [0]), Ok(1));
            drop(lines);
            drop(git.kill());
            drop(git.wait());
            is_changed
        };
        Later::begin("pbx-git", STACK_BYTES, ask).ok().map(Self)
    }

    /// Waits for the answer, which is given once.
    pub fn are_there(&self) -> bool {
        self.0.take_within(GIT_PATIENCE).unwrap_or(false)
    }
}

fn read(path: &Path) -> Option<String> {
    let size = fs::metadata(path).ok()?.len();
    if size > FILE_BYTES_MAX { None } else { fs::read_to_string(path).ok() }
}

/// A SHA-1 or SHA-256 id.
fn commit(text: &str) -> Option<String> {
    let is_id = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
    is_id.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    fn check(files: &[(&str, &str)], expected: Option<&str>) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        assert_eq!(of(&dir.path().join("r")).as_deref(), expected, "{files:?}");
    }

    #[test]
    fn the_commit_is_found_wherever_git_keeps_it() {
        let head = ("r/.git/HEAD", "ref: refs/heads/main\n");
        check(&[], None);
        check(&[head], None);
        check(&[("r/.git/HEAD", ID)], Some(ID));
        check(&[head, ("r/.git/refs/heads/main", &format!("{ID}\n"))], Some(ID));
        check(
            &[head, ("r/.git/packed-refs", &format!("# pack-refs\n{ID} refs/heads/main\n"))],
            Some(ID),
        );
        check(
            &[
                ("r/.git", "gitdir: ../main/.git/worktrees/r\n"),
                ("main/.git/worktrees/r/HEAD", "ref: refs/heads/x\n"),
                ("main/.git/worktrees/r/commondir", "../..\n"),
                ("main/.git/refs/heads/x", ID),
            ],
            Some(ID),
        );
    }

    #[test]
    fn nonsense_is_no_commit() {
        check(&[("r/.git/HEAD", "ref: ../../etc/passwd")], None);
        check(&[("r/.git/HEAD", "zzz")], None);
        check(&[("r/.git", "gibberish")], None);
    }
}
