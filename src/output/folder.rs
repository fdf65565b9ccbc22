//! Where the files of a result may go, looked at before a build is begun for it.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::Access;

use crate::output::OutputError;

/// What is to be done for a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FolderPlace {
    /// It is there: what comes is put between what it has.
    There(PathBuf),
    /// It is to be made, in this folder.
    New {
        /// Where it will lie.
        path: PathBuf,
        /// What will hold it.
        parent: PathBuf,
    },
}

/// Looks whether the files of a result can be put into `dest`; a symbolic link to a folder is as good as that.
///
/// # Errors
/// It is no folder, or the root of this system; what shall hold it is missing or forbidden. What changes later is found
/// when it is written.
pub fn check_folder(dest: &Path) -> Result<FolderPlace, OutputError> {
    let create = |errno: rustix::io::Errno| OutputError::Create {
        path: dest.to_owned(),
        source: errno.into(),
    };
    match fs::metadata(dest) {
        Ok(found) if found.is_dir() => {
            let root = fs::metadata("/");
            if root.is_ok_and(|root| (root.dev(), root.ino()) == (found.dev(), found.ino())) {
                return Err(OutputError::SystemRoot(dest.to_owned()));
            }
            rustix::fs::access(dest, Access::WRITE_OK | Access::EXEC_OK).map_err(create)?;
            return Ok(FolderPlace::There(dest.to_owned()));
        }
        Ok(_) => return Err(OutputError::NoDirectory(dest.to_owned())),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => {}
            io::ErrorKind::NotADirectory => {
                let folder = parent(dest);
                return Err(OutputError::NotAFolder { dest: dest.to_owned(), folder });
            }
            _ => return Err(OutputError::Look { path: dest.to_owned(), source: error }),
        },
    }
    if let Ok(to) = fs::read_link(dest) {
        let folder = dest.with_file_name(to);
        return Err(OutputError::NoFolder { dest: dest.to_owned(), folder });
    }
    let parent = parent(dest);
    match fs::metadata(&parent) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(OutputError::NotAFolder { dest: dest.to_owned(), folder: parent }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(OutputError::NoFolder { dest: dest.to_owned(), folder: parent });
        }
        Err(source) => return Err(OutputError::Look { path: parent, source }),
    }
    // `missing/..` names nothing that could be made.
    let Some(name) = dest.file_name() else {
        return Err(OutputError::NoFolder { dest: dest.to_owned(), folder: dest.to_owned() });
    };
    rustix::fs::access(&parent, Access::WRITE_OK | Access::EXEC_OK).map_err(create)?;
    Ok(FolderPlace::New { path: parent.join(name), parent })
}

/// The path of a file beside the folder `dest`, without what tells such files apart: `out/` → `out`, `.` → its full path.
pub fn beside_folder(dest: &Path) -> PathBuf {
    match dest.file_name() {
        Some(name) => dest.with_file_name(name),
        None => fs::canonicalize(dest).unwrap_or_else(|_| dest.to_owned()),
    }
}

/// The folder a path lies in; `.` for a bare name.
fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_is_there_or_can_be_made() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("there")).unwrap();
        symlink("there", at("link")).unwrap();
        for name in ["there", "link", "there/", "."] {
            assert_eq!(check_folder(&at(name)).unwrap(), FolderPlace::There(at(name)), "{name}");
        }
        for name in ["new", "new/", "new/."] {
            let place = FolderPlace::New { path: at("new"), parent: dir.path().to_owned() };
            assert_eq!(check_folder(&at(name)).unwrap(), place, "{name}");
        }
        assert!(!at("new").exists(), "looking makes nothing");
    }

    #[test]
    fn what_cannot_be_a_folder_is_told_before_the_build() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "").unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        symlink("a", at("a")).unwrap();
        for (path, says) in [
            (at("file"), "it is no folder"),
            (at("file/out"), "is not a folder"),
            (at("missing/out"), "there is no folder"),
            (at("missing/.."), "there is no folder"),
            (at("dangling"), "nowhere"),
            (at("a"), "cannot look at"),
            ("/".into(), "root of this system"),
            ("/proc/self/root/".into(), "root of this system"),
            ("/sys/out".into(), "cannot create"),
        ] {
            let checked = check_folder(&path);
            if path.starts_with("/sys") && checked.is_ok() {
                // Root may all; it is the kernel that makes no folder there.
                continue;
            }
            let text = checked.expect_err(says).to_string();
            assert!(text.contains(says), "{text}");
            assert!(text.contains(&*path.to_string_lossy()), "{text}");
        }
    }

    #[test]
    fn files_beside_a_folder_are_not_in_it() {
        assert_eq!(beside_folder(Path::new("out/")), Path::new("out"));
        assert_eq!(beside_folder(Path::new("a/out/.")), Path::new("a/out"));
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        let real = fs::canonicalize(dir.path()).unwrap();
        assert_eq!(beside_folder(&dir.path().join("in/..")), real);
    }
}
