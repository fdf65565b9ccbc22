//! The end of the line for bytes: a file that appears whole or not at all, or a stream.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io::{self, BufWriter, IsTerminal as _, Write as _},
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::fs::Access;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::output::{Dest, OutputError};

/// Takes an output's bytes and puts them where they belong.
///
/// Dropped without [`Sink::finish`] (or after [`Sink::abort`]) a file leaves nothing behind,
/// and what stood under its name before is as it was. What a stream took is gone.
#[derive(Debug)]
pub struct Sink {
    /// `Some` until finished or aborted.
    target: Option<Target>,
    /// For messages: what the user said.
    name: PathBuf,
    written_bytes: u64,
    hasher: Option<Sha256>,
}

#[derive(Debug)]
enum Target {
    /// A temporary file in the folder of `path`, to be renamed to it.
    Renamed { temp: BufWriter<NamedTempFile>, path: PathBuf, part: Part },
    /// A device, FIFO or open stream, written as it is.
    Through(BufWriter<File>),
}

impl Sink {
    /// Opens the destination of an output.
    ///
    /// # Errors
    /// Those of [`Sink::file`] and [`Sink::stdout`].
    pub fn open(dest: &Dest) -> Result<Self, OutputError> {
        match dest {
            Dest::Stdout => Self::stdout(),
            Dest::File(path) => Self::file(path),
        }
    }

    /// Opens a file to be written whole.
    ///
    /// A symbolic link stays and what it names is replaced; a device or a FIFO is written
    /// as it is (opening a FIFO waits for its reader).
    ///
    /// # Errors
    /// As [`check_dest`], and [`OutputError::Create`].
    pub fn file(dest: &Path) -> Result<Self, OutputError> {
        let create = |source| OutputError::Create { path: dest.to_owned(), source };
        let target = match locate(dest)? {
            Place::Through => {
                // Append, so that what a shell's `>>` holds behind `/dev/stdout` stays.
                let file = OpenOptions::new().append(true).open(dest).map_err(create)?;
                Target::Through(BufWriter::with_capacity(BUFFER_BYTES, file))
            }
            Place::Named { path, folder, mode } => {
                let (temp, part) = Part::create(&folder).map_err(create)?;
                if let Some(mode) = mode {
                    temp.as_file().set_permissions(Permissions::from_mode(mode)).map_err(create)?;
                }
                Target::Renamed { temp: BufWriter::with_capacity(BUFFER_BYTES, temp), path, part }
            }
        };
        Ok(Self::to(target, dest))
    }

    /// Opens stdout.
    ///
    /// # Errors
    /// [`OutputError::Terminal`] if it is one.
    pub fn stdout() -> Result<Self, OutputError> {
        let stdout = io::stdout();
        if stdout.is_terminal() {
            return Err(OutputError::Terminal);
        }
        Self::stream(stdout.as_fd(), Path::new("-"))
    }

    /// Opens an own handle of an open stream, which `name` names in messages.
    fn stream(stream: impl AsFd, name: &Path) -> Result<Self, OutputError> {
        let owned = stream
            .as_fd()
            .try_clone_to_owned()
            .map_err(|source| OutputError::Create { path: name.to_owned(), source })?;
        let writer = BufWriter::with_capacity(BUFFER_BYTES, File::from(owned));
        Ok(Self::to(Target::Through(writer), name))
    }

    fn to(target: Target, name: &Path) -> Self {
        Self { target: Some(target), name: name.to_owned(), written_bytes: 0, hasher: None }
    }

    /// Takes note of what is written, for [`Sink::digest`]; to be called before the first byte.
    pub fn hash(&mut self) {
        self.hasher = Some(Sha256::new());
    }

    /// SHA-256 of the bytes taken so far, if it was asked for.
    pub fn digest(&self) -> Option<[u8; 32]> {
        self.hasher.clone().map(|hasher| hasher.finalize().into())
    }

    /// Takes the next bytes; small pieces are gathered, large ones go straight through.
    ///
    /// # Errors
    /// [`OutputError::NoSpace`] and [`OutputError::Write`]; after either the output is lost
    /// and only [`Sink::abort`] makes sense.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        let done = match &mut self.target {
            Some(Target::Renamed { temp, .. }) => temp.write_all(bytes),
            Some(Target::Through(stream)) => stream.write_all(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        done.map_err(|source| self.write_error(source))?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        self.written_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Whether bytes go to a reader or a device at once; then a write may wait for long, and none can be taken back.
    pub fn is_stream(&self) -> bool {
        matches!(self.target, Some(Target::Through(_)))
    }

    /// Tells how many bytes were taken.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Makes the output final and tells how many bytes it has.
    ///
    /// A file is on the disk when this returns, and so is its name.
    ///
    /// # Errors
    /// Those of [`Sink::write`], and [`OutputError::Rename`]; the temporary file is gone then.
    pub fn finish(mut self) -> Result<u64, OutputError> {
        match self.target.take() {
            Some(Target::Renamed { temp, path, part }) => {
                self.finish_file(temp, &path)?;
                drop(part);
            }
            Some(Target::Through(mut stream)) => {
                stream.flush().map_err(|source| self.write_error(source))?;
            }
            None => return Err(self.write_error(io::ErrorKind::BrokenPipe.into())),
        }
        Ok(self.written_bytes)
    }

    fn finish_file(&self, temp: BufWriter<NamedTempFile>, path: &Path) -> Result<(), OutputError> {
        let temp = temp.into_inner().map_err(|failed| self.write_error(failed.into_error()))?;
        temp.as_file().sync_all().map_err(|source| self.write_error(source))?;
        temp.persist(path).map_err(|failed| OutputError::Rename {
            path: self.name.clone(),
            source: failed.error,
        })?;
        sync_folder(parent(path)).map_err(|source| self.write_error(source))
    }

    /// Gives the output up: removes the temporary file now, for a process about to end.
    ///
    /// A second call, or one after an error, does nothing.
    pub fn abort(&mut self) {
        match self.target.take() {
            // Taken apart, so that the buffer is not written out on the way.
            Some(Target::Renamed { temp, .. }) => drop(temp.into_parts()),
            Some(Target::Through(stream)) => drop(stream.into_parts()),
            None => {}
        }
    }

    fn write_error(&self, source: io::Error) -> OutputError {
        let path = self.name.clone();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                OutputError::NoSpace { path, written_bytes: self.written_bytes, source }
            }
            _ => OutputError::Write { path, source },
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.abort();
    }
}

/// Temporary files of this process; `None` when it ends, and no further ones are made.
static PARTS: Mutex<Option<BTreeSet<PathBuf>>> = Mutex::new(Some(BTreeSet::new()));

/// Removes all files that have no name yet: the process ends, and threads may still write.
pub fn forsake() {
    let parts = parts().take();
    for path in parts.into_iter().flatten() {
        // It may have got its name in this moment.
        drop(fs::remove_file(path));
    }
}

fn parts() -> MutexGuard<'static, Option<BTreeSet<PathBuf>>> {
    PARTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A temporary file that is known to [`forsake`].
#[derive(Debug)]
struct Part(PathBuf);

impl Part {
    fn create(folder: &Path) -> io::Result<(NamedTempFile, Self)> {
        // Held, so that none is made and then not known.
        let mut parts = parts();
        let parts = parts.as_mut().ok_or(io::ErrorKind::Interrupted)?;
        let temp = tempfile::Builder::new()
            .prefix(".peelbox-")
            .suffix(".part")
            .permissions(Permissions::from_mode(NEW_FILE_MODE))
            .tempfile_in(folder)?;
        parts.insert(temp.path().to_owned());
        let part = Self(temp.path().to_owned());
        Ok((temp, part))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(parts) = parts().as_mut() {
            parts.remove(&self.0);
        }
    }
}

/// Looks whether a destination can be had, before a build is begun for it.
///
/// # Errors
/// A folder or socket of that name, a missing or forbidden folder around it, a file that may
/// not be written, a terminal as stdout. What changes later is found by [`Sink::open`].
pub fn check_dest(dest: &Dest) -> Result<(), OutputError> {
    let Dest::File(path) = dest else {
        return if io::stdout().is_terminal() { Err(OutputError::Terminal) } else { Ok(()) };
    };
    let create = |source: rustix::io::Errno| OutputError::Create {
        path: path.clone(),
        source: source.into(),
    };
    match locate(path)? {
        Place::Through => rustix::fs::access(path, Access::WRITE_OK).map_err(create),
        Place::Named { folder, .. } => {
            rustix::fs::access(&folder, Access::WRITE_OK | Access::EXEC_OK).map_err(create)
        }
    }
}

/// Writes a small file, such as that of `--metadata-file`, whole or not at all.
///
/// # Errors
/// Those of [`Sink::file`] and [`Sink::finish`].
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    let mut sink = Sink::file(path)?;
    sink.write(bytes)?;
    sink.finish()?;
    Ok(())
}

/// How a destination is to be written.
enum Place {
    /// Open it and write.
    Through,
    /// Make a file in `folder` and rename it to `path`; `mode` is that of the file replaced.
    Named { path: PathBuf, folder: PathBuf, mode: Option<u32> },
}

/// Finds what a path stands for, its symbolic links followed, whether it exists or not.
fn locate(dest: &Path) -> Result<Place, OutputError> {
    let mut path = dest.to_owned();
    for _ in 0..LINKS_MAX {
        // The links of `/dev/stdout` and `/dev/fd/N` end in open files, not in names.
        if path.starts_with("/proc") {
            return Ok(Place::Through);
        }
        if path.file_name().is_none() || ends_with_slash(&path) {
            return Err(OutputError::IsDirectory(dest.to_owned()));
        }
        let found = match fs::symlink_metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return named(dest, path, None);
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                let folder = parent(&path).to_owned();
                return Err(OutputError::NotAFolder { dest: dest.to_owned(), folder });
            }
            Err(source) => return Err(OutputError::Look { path, source }),
        };
        let kind = found.file_type();
        if kind.is_symlink() {
            let to = fs::read_link(&path)
                .map_err(|source| OutputError::Look { path: path.clone(), source })?;
            path = parent(&path).join(to);
        } else if kind.is_dir() {
            return Err(OutputError::IsDirectory(dest.to_owned()));
        } else if kind.is_socket() {
            return Err(OutputError::IsSocket(dest.to_owned()));
        } else if kind.is_file() {
            return named(dest, path, Some(&found));
        } else {
            return Ok(Place::Through);
        }
    }
    Err(OutputError::LinkLoop(dest.to_owned()))
}

fn named(dest: &Path, path: PathBuf, existing: Option<&Metadata>) -> Result<Place, OutputError> {
    let folder = parent(&path).to_owned();
    match fs::metadata(&folder) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(OutputError::NotAFolder { dest: dest.to_owned(), folder }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(OutputError::NoFolder { dest: dest.to_owned(), folder });
        }
        Err(source) => return Err(OutputError::Look { path: folder, source }),
    }
    // A rename would replace a file that its owner has protected.
    if existing.is_some() {
        rustix::fs::access(&path, Access::WRITE_OK).map_err(|source| OutputError::Create {
            path: dest.to_owned(),
            source: source.into(),
        })?;
    }
    let mode = existing.map(|found| found.permissions().mode() & 0o777);
    Ok(Place::Named { path, folder, mode })
}

/// Gives the folder a path lies in; `.` for a bare name.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str() != OsStr::new("") => parent,
        _ => Path::new("."),
    }
}

/// Knows `name/`, which `Path` would take for `name`.
fn ends_with_slash(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"/")
}

/// Syncs a folder's entries; file systems that cannot say `EINVAL`.
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        // A folder may be writable and not readable: then its sync is not ours to ask.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}

/// The daemon's pieces are 4 KiB to 3 MiB (BuildKit v0.32, `session/filesync`); this gathers
/// the small ones into writes the disk likes.
const BUFFER_BYTES: usize = 256 * 1024;

/// What the umask leaves of this is the mode of a new file, as for any other program.
const NEW_FILE_MODE: u32 = 0o666;

/// As many links as Linux itself follows.
const LINKS_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use std::{
        io::Read as _,
        os::unix::{
            fs::{MetadataExt as _, symlink},
            net::UnixListener,
        },
        thread,
    };

    use tempfile::TempDir;

    use super::*;
    use crate::output::OutputErrorKind;

    fn folder() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_only_when_it_is_whole() {
        let dir = folder();
        let dest = dir.path().join("app.tar");
        let mut sink = Sink::file(&dest).unwrap();
        for n in 0..1000_u32 {
            sink.write(&[n as u8; 4096]).unwrap();
        }
        sink.write(&vec![7; 3 << 20]).unwrap();
        assert!(!dest.exists());
        assert_eq!(names(dir.path()).len(), 1, "the temporary file lies beside it");
        let bytes = 1000 * 4096 + (3 << 20);
        assert_eq!(sink.written_bytes(), bytes);
        assert_eq!(sink.finish().unwrap(), bytes);
        assert_eq!(names(dir.path()), ["app.tar"]);
        let read = fs::read(&dest).unwrap();
        assert_eq!(read.len() as u64, bytes);
        assert!(read[..1000 * 4096].chunks(4096).zip(0..).all(|(c, n)| c == [n as u8; 4096]));
    }

    #[test]
    fn a_sink_dropped_or_aborted_leaves_the_old_file_alone() {
        let dir = folder();
        let dest = dir.path().join("app.tar");
        fs::write(&dest, "old").unwrap();
        let mut dropped = Sink::file(&dest).unwrap();
        dropped.write(&[1; 1 << 20]).unwrap();
        drop(dropped);
        assert_eq!(names(dir.path()), ["app.tar"]);
        let mut aborted = Sink::file(&dest).unwrap();
        aborted.write(b"few bytes, still buffered").unwrap();
        aborted.abort();
        assert_eq!(names(dir.path()), ["app.tar"]);
        assert!(matches!(aborted.write(b"more"), Err(OutputError::Write { .. })));
        aborted.abort();
        assert_eq!(fs::read_to_string(&dest).unwrap(), "old");
    }

    #[test]
    fn a_new_file_has_the_mode_of_any_new_file_and_an_old_one_keeps_its_own() {
        let dir = folder();
        let (new, plain) = (dir.path().join("new"), dir.path().join("plain"));
        write_atomically(&new, b"x").unwrap();
        File::create(&plain).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!(mode(&new), mode(&plain));
        fs::set_permissions(&new, Permissions::from_mode(0o640)).unwrap();
        write_atomically(&new, b"y").unwrap();
        assert_eq!(mode(&new), 0o640);
        assert_eq!(fs::read(&new).unwrap(), b"y");
    }

    #[test]
    fn symbolic_links_stay_and_what_they_name_is_replaced() {
        let dir = folder();
        let (sub, link) = (dir.path().join("sub"), dir.path().join("link"));
        fs::create_dir(&sub).unwrap();
        symlink("again", &link).unwrap();
        symlink("sub/real", dir.path().join("again")).unwrap();
        for content in ["first, the link dangles", "second, it does not"] {
            write_atomically(&link, content.as_bytes()).unwrap();
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert_eq!(fs::read_to_string(sub.join("real")).unwrap(), content);
            assert_eq!(names(&sub), ["real"]);
        }
    }

    #[test]
    fn devices_and_fifos_are_written_as_they_are() {
        let before = fs::metadata("/dev/null").unwrap();
        check_dest(&Dest::File("/dev/null".into())).unwrap();
        write_atomically(Path::new("/dev/null"), b"gone").unwrap();
        assert_eq!(fs::metadata("/dev/null").unwrap().ino(), before.ino());

        let dir = folder();
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        check_dest(&Dest::File(fifo.clone())).unwrap();
        thread::scope(|scope| {
            let reader = scope.spawn(|| fs::read(&fifo).unwrap());
            let mut sink = Sink::file(&fifo).unwrap();
            sink.write(&[5; 300_000]).unwrap();
            assert_eq!(sink.finish().unwrap(), 300_000);
            assert_eq!(reader.join().unwrap(), [5; 300_000]);
        });
        assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());
    }

    #[test]
    fn a_name_of_an_open_file_is_appended_to_and_not_replaced() {
        let dir = folder();
        let open = dir.path().join("open");
        fs::write(&open, "kept,").unwrap();
        let held = File::open(&open).unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&held);
        let link = dir.path().join("link");
        symlink(format!("/proc/self/fd/{fd}"), &link).unwrap();
        write_atomically(&link, b"added").unwrap();
        assert_eq!(fs::read_to_string(&open).unwrap(), "kept,added");
        assert_eq!(fs::metadata(&open).unwrap().ino(), held.metadata().unwrap().ino());
    }

    fn refused(path: &Path, expected: &str) {
        let opened = Sink::file(path).expect_err(expected);
        let checked = check_dest(&Dest::File(path.to_owned())).expect_err(expected);
        assert_eq!(opened.kind(), OutputErrorKind::Output);
        for text in [opened.to_string(), checked.to_string()] {
            assert!(text.contains(expected), "`{text}` should say `{expected}`");
            assert!(text.contains(&*path.to_string_lossy()), "`{text}` should name the path");
        }
    }

    #[test]
    fn places_that_take_no_file_are_refused_before_anything_is_written() {
        let dir = folder();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "").unwrap();
        symlink("b", at("a")).unwrap();
        symlink("a", at("b")).unwrap();
        symlink(".", at("to-folder")).unwrap();
        symlink("missing/x", at("to-missing")).unwrap();
        let _listener = UnixListener::bind(at("socket")).unwrap();
        refused(dir.path(), "it is a folder");
        refused(&at("to-folder"), "it is a folder");
        refused(&at("new/"), "it is a folder");
        refused(Path::new("/"), "it is a folder");
        refused(&at("missing/app.tar"), "there is no folder");
        refused(&at("to-missing"), "there is no folder");
        refused(&at("file/app.tar"), "is not a folder");
        refused(&at("socket"), "it is a socket");
        refused(&at("a"), "form a circle");
        assert_eq!(names(dir.path()), ["a", "b", "file", "socket", "to-folder", "to-missing"]);
    }

    #[test]
    fn a_folder_that_takes_no_new_file_is_told_with_the_path() {
        // Nobody, root included, creates files there.
        let error = Sink::file(Path::new("/sys/app.tar")).unwrap_err();
        assert!(matches!(error, OutputError::Create { .. }), "{error:?}");
        assert_eq!(error.to_string(), "cannot create `/sys/app.tar`");
    }

    #[test]
    fn a_file_protected_by_its_owner_is_refused_to_everybody_but_root() {
        let dir = folder();
        let file = dir.path().join("file");
        fs::write(&file, "kept").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o444)).unwrap();
        let done = write_atomically(&file, b"new");
        match rustix::process::geteuid().is_root() {
            true => assert_eq!(fs::read(&file).unwrap(), b"new"),
            false => {
                assert!(matches!(done, Err(OutputError::Create { .. })), "{done:?}");
                assert_eq!(fs::read(&file).unwrap(), b"kept");
            }
        }
    }

    #[test]
    fn a_full_disk_is_told_with_the_path_and_the_bytes() {
        let full = Path::new("/dev/full");
        let mut sink = Sink::file(full).unwrap();
        sink.write(b"buffered").unwrap();
        let error = sink.finish().unwrap_err();
        assert!(matches!(error, OutputError::NoSpace { written_bytes: 8, .. }), "{error:?}");
        assert_eq!(error.to_string(), "no room for `/dev/full` after 8 bytes");
        let mut sink = Sink::file(full).unwrap();
        let error = sink.write(&[0; BUFFER_BYTES]).unwrap_err();
        assert!(matches!(error, OutputError::NoSpace { written_bytes: 0, .. }), "{error:?}");
    }

    #[test]
    fn a_stream_takes_the_bytes_in_order_and_tells_of_a_reader_that_left() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut sink = Sink::stream(&writer, Path::new("-")).unwrap();
        drop(writer);
        assert_eq!(sink.digest(), None);
        sink.hash();
        sink.write(b"one,").unwrap();
        sink.write(b"two").unwrap();
        let digest: [u8; 32] = Sha256::digest(b"one,two").into();
        assert_eq!(sink.digest(), Some(digest));
        assert_eq!(sink.finish().unwrap(), 7);
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        assert_eq!(read, "one,two");

        let (reader, writer) = io::pipe().unwrap();
        let mut sink = Sink::stream(&writer, Path::new("-")).unwrap();
        drop(reader);
        let error = sink.write(&[0; BUFFER_BYTES]).unwrap_err();
        assert_eq!(error.to_string(), "cannot write to stdout");
        assert!(matches!(
            error,
            OutputError::Write { source, .. } if source.kind() == io::ErrorKind::BrokenPipe
        ));
    }

    #[test]
    fn a_folder_that_vanishes_during_the_build_is_an_error_and_not_a_success() {
        let dir = folder();
        let sub = dir.path().join("sub");
        fs::create_dir(&sub).unwrap();
        let mut sink = Sink::file(&sub.join("app.tar")).unwrap();
        sink.write(b"x").unwrap();
        fs::remove_dir_all(&sub).unwrap();
        assert!(matches!(sink.finish(), Err(OutputError::Rename { .. })));
    }
}
