//! Files of the spec: made in a state of their own, and copied from there to where they belong.
//!
//! A step that makes a file where another one is leaves that one's permissions, writes through a link, and in Docker
//! is under the umask 022 (BuildKit v0.32 `solver/llbsolver/file/backend.go`, `mkfile`; moby `cmd/dockerd`,
//! `setDefaultUmask`). A copy replaces what is there and sets the permissions.
//!
//! In their own state each file lies in a folder of its path, and the content of that folder is copied into the parent
//! of the path: a file alone would be put into a folder that is at the path already, which now is an error.
//!
//! A folder that a folder is copied to gets the time of the copy (tonistiigi/fsutil `copy/copy.go`,
//! `restoreFileTimestamp`). So an empty one is copied to all folders above the files of an image: with the time of the
//! build in them the layer would be another one each time it is made.

use std::collections::BTreeSet;

use super::{Planner, script};
use crate::{
    llb::{
        State,
        op::{CopyAction, FileAction, Owner},
    },
    spec::File,
};

/// Files of a field of the spec, ready to be copied.
pub(super) struct Files<'a> {
    /// The state that has them, and perhaps others of that field.
    from: State,
    files: Vec<&'a File>,
    /// Root without it.
    owner: Option<Owner>,
    /// Their time in nanoseconds; without it the one at which they were made, which stays while they do.
    time_ns: Option<i64>,
}

impl<'a> Files<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Those that `is_first` picks, and the others.
    pub(super) fn split(self, is_first: impl Fn(&File) -> bool) -> (Self, Self) {
        let (first, others) = self.files.iter().partition(|file| is_first(file));
        let with = |files| Self { files, owner: self.owner.clone(), ..self };
        (with(first), with(others))
    }

    /// What puts them on top of a state.
    pub(super) fn actions(&self) -> Vec<FileAction> {
        let mut actions: Vec<FileAction> =
            self.files.iter().flat_map(|file| self.put(file)).collect();
        if self.time_ns.is_some() {
            let above = self.files.iter().flat_map(|file| folders(&file.path));
            let above: BTreeSet<&str> = above.collect();
            actions.extend(
                above.into_iter().map(|folder| self.copy(EMPTY, folder)).map(FileAction::Copy),
            );
        }
        actions
    }

    fn copy(&self, src: &str, dest: &str) -> CopyAction {
        CopyAction {
            from: self.from,
            src: src.to_owned(),
            dest: dest.to_owned(),
            time_ns: self.time_ns,
            ..CopyAction::default()
        }
    }

    fn put(&self, file: &File) -> impl Iterator<Item = FileAction> + use<> {
        let parent = folders(&file.path).last();
        // By the copy itself they would get the permissions of the file.
        let parents = parent.map(|path| FileAction::Mkdir {
            path: path.to_owned(),
            mode: 0o755,
            owner: self.owner.clone(),
            time_ns: self.time_ns,
        });
        let copy = FileAction::Copy(CopyAction {
            owner: self.owner.clone(),
            mode: Some(file.mode),
            ..self.copy(&format!("{MADE}{}", file.path), parent.unwrap_or("/"))
        });
        parents.into_iter().chain([copy])
    }
}

impl Planner<'_> {
    /// The files of a field, which is called `field`.
    pub(super) fn files<'a>(
        &mut self,
        field: &str,
        files: &'a [File],
        owner: Option<Owner>,
        time_ns: Option<i64>,
    ) -> Files<'a> {
        let make = |File { path, content, mode }: &File| {
            let name = path.rsplit('/').next().unwrap_or_default();
            let folder = format!("{MADE}{path}");
            let file = FileAction::Mkfile {
                path: format!("{folder}/{name}"),
                mode: *mode,
                data: content.clone(),
            };
            [mkdir(folder), file]
        };
        let mut actions: Vec<FileAction> = files.iter().flat_map(make).collect();
        if time_ns.is_some() && !actions.is_empty() {
            actions.push(mkdir(EMPTY.to_owned()));
        }
        let meta = self.options.step(format!("load {field}"));
        let from = self.graph.file(State::SCRATCH, &actions, &meta);
        Files { from, files: files.iter().collect(), owner, time_ns }
    }

    /// `state` with the files on top, and what was done; without any it stays as it is.
    pub(super) fn write(&mut self, state: State, files: &Files<'_>) -> (State, Option<String>) {
        if files.is_empty() {
            return (state, None);
        }
        let paths: Vec<&str> = files.files.iter().map(|file| &*file.path).collect();
        let what = format!("write {}", paths.join(", "));
        let meta = self.options.step(script::headline(&what));
        (self.graph.file(state, &files.actions(), &meta), Some(what))
    }
}

fn mkdir(path: String) -> FileAction {
    FileAction::Mkdir { path, mode: 0o755, owner: None, time_ns: None }
}

/// The folders above a path, from the top, without the root.
fn folders(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end]).filter(|folder| !folder.is_empty())
}

/// Folder in which the files are, each in a folder of its path.
const MADE: &str = "/files";
const EMPTY: &str = "/empty";
