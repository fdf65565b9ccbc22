//! Whole transfers against the receiver in memory.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    },
    path::Path,
};

use rustix::fs::{
    CWD, FileType, Mode, OFlags, Timespec, Timestamps, XattrFlags, mkdirat, mknodat, openat,
    setxattr, utimensat,
};
use tempfile::TempDir;

use super::{
    receiver::{Manner, Received, transfer},
    *,
};
use crate::pb::fsutil::Stat;

/// A tree in a temporary folder.
struct Tree(TempDir);

impl Tree {
    /// Paths with contents; those that end in a slash are directories.
    fn new(entries: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for (path, contents) in entries {
            tree.add(path, contents.as_bytes());
        }
        tree
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join(path)
    }

    fn add(&self, path: &str, contents: &[u8]) {
        let full = self.path(path);
        fs::create_dir_all(if path.ends_with('/') { &full } else { full.parent().unwrap() })
            .unwrap();
        if !path.ends_with('/') {
            fs::write(full, contents).unwrap();
        }
    }

    fn root(&self) -> Root {
        Root::open(self.0.path()).unwrap()
    }

    fn send(&self, request: &Request) -> (Result<Report, TransferError>, Received) {
        transfer(&self.root(), request, &LocalFilter::none(), Manner::Good, &|_| {})
    }

    fn send_all(&self) -> Received {
        let (result, received) = self.send(&Request::default());
        result.unwrap();
        received
    }

    fn fails(&self, manner: Manner, on_stat: &(dyn Fn(&Stat) + Sync)) -> String {
        let request = Request::default();
        let (result, _) = transfer(&self.root(), &request, &LocalFilter::none(), manner, on_stat);
        result.unwrap_err().to_string()
    }
}

fn strings(paths: &[&[u8]]) -> Vec<String> {
    paths.iter().map(|path| String::from_utf8_lossy(path).into_owned()).collect()
}

fn patterns(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[test]
fn a_tree_arrives_in_the_order_of_bytes_with_all_contents() {
    let tree = Tree::new(&[
        ("a/x", "ax"),
        ("a.b", "dot"),
        ("a b/y", "space"),
        ("ab", ""),
        ("a/", ""),
        ("empty/", ""),
    ]);
    let received = tree.send_all();
    assert_eq!(strings(&received.paths()), ["a", "a/x", "a b", "a b/y", "a.b", "ab", "empty"]);
    let files: BTreeMap<_, _> = [("a/x", "ax"), ("a.b", "dot"), ("a b/y", "space"), ("ab", "")]
        .map(|(path, text)| (path.as_bytes().to_vec(), text.as_bytes().to_vec()))
        .into();
    assert_eq!(received.files, files);
}
