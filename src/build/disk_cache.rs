//! Small files that are kept between builds, in the user's cache folder. All is well without any of them.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::output::write_atomically;

/// Longest file that is kept or read again, in bytes.
const BYTES_MAX: u64 = 64 << 20;

/// A folder of such files; those that were not used for the longest time go first.
#[derive(Debug)]
pub(crate) struct Kept {
    dir: PathBuf,
    files_max: usize,
}

impl Kept {
    pub(crate) fn new(cache_dir: &Path, name: &str, files_max: usize) -> Self {
        Self { dir: cache_dir.join(name), files_max }
    }

    /// Whether something was kept under that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.dir.join(name).is_file()
    }

    /// What was kept under that name and can be read.
    #[expect(clippy::disallowed_methods, reason = "the age of a file on this machine")]
    pub(crate) fn find(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.dir.join(name);
        let data = read(&path, BYTES_MAX).ok()?;
        // The oldest goes first, so this one is young again.
        let file = fs::File::options().append(true).open(path).ok()?;
        drop(file.set_modified(SystemTime::now()));
        Some(data)
    }

    /// Without room it is not kept.
    pub(crate) fn keep(&self, name: &str, data: &[u8]) {
        if data.len() as u64 > BYTES_MAX || fs::create_dir_all(&self.dir).is_err() {
            return;
        }
        drop(write_atomically(&self.dir.join(name), data));
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        let mut files: Vec<(SystemTime, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        files.sort();
        for (_, path) in files.iter().rev().skip(self.files_max) {
            drop(fs::remove_file(path));
        }
    }
}

/// Reads a file that may not be longer than that.
pub(crate) fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
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
    fn the_ones_not_used_for_longest_go_first() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept::new(dir.path(), "sub/folder", 2);
        assert_eq!(kept.find("a"), None);
        for (name, age_seconds) in [("a", 30), ("b", 20)] {
            kept.keep(name, name.as_bytes());
            let file = fs::File::options().append(true).open(kept.dir.join(name)).unwrap();
            let modified = file.metadata().unwrap().modified().unwrap();
            file.set_modified(modified - std::time::Duration::from_secs(age_seconds)).unwrap();
        }
        assert_eq!(kept.find("a").as_deref(), Some(&b"a"[..]));
        kept.keep("c", b"c");
        assert_eq!(kept.find("b"), None);
        assert_eq!(kept.find("a").as_deref(), Some(&b"a"[..]));
        assert_eq!(kept.find("c").as_deref(), Some(&b"c"[..]));
    }
}
