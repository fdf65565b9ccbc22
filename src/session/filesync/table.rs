//! Which announced id is which file: what is needed to find it again, and no more.
//!
//! A file takes 20 bytes, its name and 2 bytes of length, and one bit; a directory 8 bytes and its
//! name. With names of 16 bytes that is 38 MB for a million files.

use super::error::TransferError;

/// A directory that was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(u32);

impl NodeId {
    pub(super) const ROOT: Self = Self(u32::MAX);
}

/// A name in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameId {
    pub(super) dir: NodeId,
    name: u32,
}

#[derive(Debug)]
struct Dir {
    parent: NodeId,
    name: u32,
}

#[derive(Debug)]
struct File {
    id: u32,
    at: NameId,
    /// Two halves, so that the struct is aligned to four bytes.
    fingerprint: [u32; 2],
}

/// A file the daemon asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) dir: NodeId,
    pub(super) fingerprint: u64,
}

/// Files, by rising id, and the directories they are in.
#[derive(Debug, Default)]
pub(super) struct Table {
    dirs: Vec<Dir>,
    files: Vec<File>,
    /// Each name behind its length.
    names: Vec<u8>,
    /// One bit per file: was it asked for.
    asked: Vec<u64>,
}

impl Table {
    /// Adds what was collected in `fresh` since the last time, and empties it.
    pub(super) fn publish(&mut self, fresh: &mut Fresh) {
        self.dirs.append(&mut fresh.dirs);
        self.files.append(&mut fresh.files);
        self.names.append(&mut fresh.names);
        self.asked.resize(self.files.len().div_ceil(64), 0);
        fresh.names_before = self.names.len();
        fresh.dirs_before = self.dirs.len();
    }

    /// Takes note that `id` was asked for, and puts its name into `name`.
    ///
    /// # Errors
    /// If `id` is no file, or was asked for before: fsutil send.go, `queue`.
    pub(super) fn ask(&mut self, id: u32, name: &mut Vec<u8>) -> Result<Asked, TransferError> {
        let found = self.files.binary_search_by_key(&id, |file| file.id);
        let index = found.map_err(|_| TransferError::UnknownId(id))?;
        let (word, bit) = (index / 64, 1 << (index % 64));
        if self.asked[word] & bit != 0 {
            return Err(TransferError::UnknownId(id));
        }
        self.asked[word] |= bit;
        let File { at, fingerprint: [low, high], .. } = self.files[index];
        name.clear();
        name.extend_from_slice(self.name(at.name));
        Ok(Asked { dir: at.dir, fingerprint: u64::from(high) << 32 | u64::from(low) })
    }

    /// How many files were published.
    pub(super) fn files(&self) -> usize {
        self.files.len()
    }

    /// The path of a directory; empty for the root.
    pub(super) fn dir_path(&self, dir: NodeId) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = dir;
        while at != NodeId::ROOT {
            let Dir { parent, name } = self.dirs[at.0 as usize];
            names.push(self.name(name));
            at = parent;
        }
        names.reverse();
        names.join(&b'/')
    }

    /// The path of an entry.
    pub(super) fn path(&self, id: NameId) -> Vec<u8> {
        let mut path = self.dir_path(id.dir);
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(self.name(id.name));
        path
    }

    fn name(&self, at: u32) -> &[u8] {
        let at = at as usize;
        let len = usize::from(u16::from_le_bytes([self.names[at], self.names[at + 1]]));
        &self.names[at + 2..at + 2 + len]
    }
}

/// What the walk adds to a [`Table`], collected so that the lock is taken once per batch.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    dirs: Vec<Dir>,
    files: Vec<File>,
    names: Vec<u8>,
    names_before: usize,
    dirs_before: usize,
}

impl Fresh {
    pub(super) fn add_dir(&mut self, parent: NodeId, name: &[u8]) -> Result<NodeId, TransferError> {
        let index = u32::try_from(self.dirs_before + self.dirs.len());
        let index = index.map_err(|_| TransferError::TooManyEntries)?;
        let name = self.add_bytes(name)?;
        self.dirs.push(Dir { parent, name });
        Ok(NodeId(index))
    }

    pub(super) fn add_name(&mut self, dir: NodeId, name: &[u8]) -> Result<NameId, TransferError> {
        Ok(NameId { dir, name: self.add_bytes(name)? })
    }

    /// Ids must rise.
    pub(super) fn add_file(&mut self, id: u32, at: NameId, fingerprint: u64) {
        let low = u32::try_from(fingerprint & u64::from(u32::MAX)).unwrap_or_default();
        let high = u32::try_from(fingerprint >> 32).unwrap_or_default();
        self.files.push(File { id, at, fingerprint: [low, high] });
    }

    fn add_bytes(&mut self, name: &[u8]) -> Result<u32, TransferError> {
        let start = u32::try_from(self.names_before + self.names.len());
        let start = start.map_err(|_| TransferError::TooManyEntries)?;
        let len = u16::try_from(name.len()).map_err(|_| TransferError::TooManyEntries)?;
        self.names.extend_from_slice(&len.to_le_bytes());
        self.names.extend_from_slice(name);
        Ok(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_take_no_more_than_documented() {
        assert_eq!(size_of::<File>(), 20);
        assert_eq!(size_of::<Dir>(), 8);
    }

    #[test]
    fn a_file_is_found_by_its_id_once() {
        let (mut table, mut fresh) = (Table::default(), Fresh::default());
        let mut name = Vec::new();
        let mut dir = NodeId::ROOT;
        for id in 0..200_u32 {
            if id % 3 == 0 {
                dir = fresh.add_dir(dir, format!("d{id}").as_bytes()).unwrap();
                continue;
            }
            let at = fresh.add_name(dir, format!("f{id}").as_bytes()).unwrap();
            fresh.add_file(id, at, u64::from(id) << 33 | 5);
            if id % 7 == 0 {
                table.publish(&mut fresh);
            }
        }
        assert!(matches!(table.ask(199, &mut name), Err(TransferError::UnknownId(199))));
        table.publish(&mut fresh);
        assert_eq!(table.files(), 133);
        for id in [199, 1, 100, 2] {
            let asked = table.ask(id, &mut name).unwrap();
            assert_eq!(name, format!("f{id}").as_bytes());
            assert_eq!(asked.fingerprint, u64::from(id) << 33 | 5);
            let dirs: Vec<_> = (0..=id).step_by(3).map(|dir| format!("d{dir}")).collect();
            assert_eq!(table.dir_path(asked.dir), dirs.join("/").as_bytes());
            assert!(matches!(table.ask(id, &mut name), Err(TransferError::UnknownId(_))));
        }
        assert!(matches!(table.ask(3, &mut name), Err(TransferError::UnknownId(3))));
    }
}
