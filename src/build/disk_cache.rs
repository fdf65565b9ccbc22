//! Small files that are kept between builds, in the user's cache folder. All is well without any of them.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{digest::sha256_hex, output::write_atomically};

/// Longest file that is kept or read again, in bytes.
const BYTES_MAX: u64 = 64 << 20;

/// Daemons of which something is kept.
const DAEMONS_MAX: usize = 32;

/// The folder for what `daemon` has told: what it claims of an image is no truth about what another one makes.
pub(super) fn of_daemon(cache_dir: &Path, daemon: &str) -> PathBuf {
    let all = cache_dir.join("daemons");
    let dir = all.join(&sha256_hex(daemon)[..32]);
    if !dir.is_dir() {
        for path in older_than(&all, DAEMONS_MAX - 1, |_| true) {
            drop(fs::remove_dir_all(path));
        }
    }
    dir
}

/// Entries of a folder but the youngest ones, of those whose name `counts`.
fn older_than(dir: &Path, count_max: usize, counts: impl Fn(&[u8]) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut found: Vec<(SystemTime, PathBuf)> = entries
        .flatten()
        .filter(|entry| counts(entry.file_name().as_encoded_bytes()))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    found.sort();
    found.into_iter().rev().skip(count_max).map(|(_, path)| path).collect()
}

/// A folder of such files; those that were not used for the longest time go first.
#[derive(Debug)]
pub(super) struct DiskCache {
    dir: PathBuf,
    files_max: usize,
}

impl DiskCache {
    pub(super) fn new(cache_dir: &Path, name: &str, files_max: usize) -> Self {
        Self { dir: cache_dir.join(name), files_max }
    }

    /// Whether something was kept under that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.dir.join(name).is_file()
    }

    /// What was kept under that name and can be read.
    #[expect(clippy::disallowed_methods, reason = "the age of a file on this machine")]
    pub(super) fn find(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.dir.join(name);
        let data = read_bounded(&path, BYTES_MAX).ok()?;
        // The oldest goes first, so this one is young again.
        let file = fs::File::options().append(true).open(path).ok()?;
        drop(file.set_modified(SystemTime::now()));
        Some(data)
    }

    /// Without room it is not kept.
    pub(super) fn keep(&self, name: &str, data: &[u8]) {
        if data.len() as u64 > BYTES_MAX || fs::create_dir_all(&self.dir).is_err() {
            return;
        }
        drop(write_atomically(&self.dir.join(name), data));
        // To list the folder costs more than to write the file; names are digests, so this is one write of sixteen.
        if name.ends_with('0') {
            self.prune();
        }
    }

    /// Removes what was not used for the longest time. Files of other names are left alone: they are being written.
    fn prune(&self) {
        for path in older_than(&self.dir, self.files_max, is_digest) {
            drop(fs::remove_file(path));
        }
    }
}

fn is_digest(name: &[u8]) -> bool {
    name.len() == 64 && name.iter().all(u8::is_ascii_hexdigit)
}

/// Reads a file that may not be longer than that.
pub(crate) fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut data = Vec::new();
    fs::File::open(path)?.take(bytes_max + 1).read_to_end(&mut data)?;
    if data.len() as u64 > bytes_max {
        return Err(io::Error::other(format!("more than {bytes_max} bytes")));
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_daemon_told_is_not_found_for_another() {
        let dir = tempfile::tempdir().unwrap();
        let of = |daemon: &str| DiskCache::new(&of_daemon(dir.path(), daemon), "layers", 10);
        of("tcp://evil:1 w").keep("base", b"forged");
        assert_eq!(of("tcp://good:1 w").find("base"), None);
        assert!(of("tcp://evil:1 w").has("base"));
        for number in 0..2 * DAEMONS_MAX {
            of(&format!("tcp://many:{number} w")).keep("base", b"");
        }
        assert!(fs::read_dir(dir.path().join("daemons")).unwrap().count() <= DAEMONS_MAX);
    }

    #[test]
    fn the_ones_not_used_for_longest_go_first() {
        let dir = tempfile::tempdir().unwrap();
        let kept = DiskCache::new(dir.path(), "sub/folder", 2);
        let name = |letter: &str| letter.repeat(64);
        assert_eq!(kept.find(&name("a")), None);
        for (letter, age_seconds) in [("a", 30), ("b", 20)] {
            kept.keep(&name(letter), letter.as_bytes());
            let path = kept.dir.join(name(letter));
            let file = fs::File::options().append(true).open(path).unwrap();
            let modified = file.metadata().unwrap().modified().unwrap();
            file.set_modified(modified - std::time::Duration::from_secs(age_seconds)).unwrap();
        }
        let temporary = kept.dir.join(".tmp1");
        fs::write(&temporary, "of another process").unwrap();
        assert_eq!(kept.find(&name("a")).as_deref(), Some(&b"a"[..]));
        kept.keep(&name("0"), b"0");
        assert_eq!(kept.find(&name("b")), None);
        assert_eq!(kept.find(&name("a")).as_deref(), Some(&b"a"[..]));
        assert_eq!(kept.find(&name("0")).as_deref(), Some(&b"0"[..]));
        assert!(temporary.is_file());
    }
}
