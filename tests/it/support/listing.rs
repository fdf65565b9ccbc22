//! What a directory holds, told twice: by this process, and by a build step that sees the context.
//!
//! One line per entry: path, kind, mode, owner, mtime, then what its kind has to say.

use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata},
    io::{self, Read as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileTypeExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use super::{image::unpack, workdir::Workdir};

/// Size of the one large file of the tests: a GiB, all of it a hole.
pub(crate) const GIB: u64 = 1 << 30;
/// SHA-256 of a GiB of zeros; an unoptimised test takes half a minute to find it.
const GIB_OF_ZEROS: &str = "49bc20df15e412a64472421e13fe86ff1c5165e18b2afccf160d4dc19fe68a14";

/// Prints the lines for the folder it runs in, but for the folder itself.
pub(crate) const SCRIPT: &str = r"
import hashlib, os, stat, sys
def shown(b): return ''.join(chr(c) if 32 < c < 127 and c != 92 else '\\x%02x' % c for c in b)
found, links = [], {}
def walk(at):
    for name in sorted(os.listdir(at or b'.')):
        path = at + b'/' + name if at else name
        found.append((path, os.lstat(path)))
        if stat.S_ISDIR(found[-1][1].st_mode): walk(path)
walk(b'')
found.sort()
for path, st in found:
    m, said = st.st_mode, []
    kind = {stat.S_IFDIR: 'dir', stat.S_IFREG: 'file', stat.S_IFLNK: 'link', stat.S_IFIFO: 'fifo',
            stat.S_IFSOCK: 'socket', stat.S_IFCHR: 'char', stat.S_IFBLK: 'block'}[stat.S_IFMT(m)]
    if kind == 'file':
        with open(path, 'rb') as f: digest = hashlib.file_digest(f, 'sha256').hexdigest()
        said += ['size=%d' % st.st_size, digest]
        if st.st_nlink > 1: said.append('same-as=' + shown(links.setdefault(st.st_ino, path)))
    elif kind == 'link': said.append('to=' + shown(os.readlink(path)))
    elif kind in ('char', 'block'): said.append('rdev=%d' % st.st_rdev)
    if kind != 'link': said += [shown(x.encode()) + '=' + shown(os.getxattr(path, x)) for x in sorted(os.listxattr(path))]
    print(shown(path), kind, '%04o' % stat.S_IMODE(m), '%d:%d' % (st.st_uid, st.st_gid), st.st_mtime_ns, *said)
";

/// The lines for `root` as a build step must see them.
pub(crate) fn expected(root: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    walk(root, Path::new(""), &mut paths);
    paths.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    let mut links = BTreeMap::new();
    paths.iter().map(|path| line(root, path, &mut links)).collect()
}

fn walk(root: &Path, at: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(root.join(at)).unwrap() {
        let entry = entry.unwrap();
        let path = at.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            walk(root, &path, paths);
        }
        paths.push(path);
    }
}

fn line(root: &Path, path: &Path, links: &mut BTreeMap<u64, String>) -> String {
    let full = root.join(path);
    let meta = fs::symlink_metadata(&full).unwrap();
    let name = shown(path.as_os_str().as_bytes());
    let (kind, mut said) = match meta.file_type() {
        t if t.is_dir() => ("dir", Vec::new()),
        t if t.is_symlink() => {
            let target = fs::read_link(&full).unwrap();
            ("link", vec![format!("to={}", shown(target.as_os_str().as_bytes()))])
        }
        t if t.is_fifo() => ("fifo", Vec::new()),
        // A socket is nothing without its process: fsutil makes an empty file of it.
        t if t.is_socket() => ("file", vec!["size=0".to_owned(), hex(Sha256::new())]),
        t if t.is_char_device() => ("char", vec![format!("rdev={}", meta.rdev())]),
        _ => ("file", vec![format!("size={}", meta.len()), digest(&full, &meta)]),
    };
    if meta.is_file() && meta.nlink() > 1 {
        let first = links.entry(meta.ino()).or_insert_with(|| name.clone());
        said.push(format!("same-as={first}"));
    }
    said.extend(xattrs(&full, &meta));
    let mtime_ns = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
    let mode = meta.mode() & 0o7777;
    // The context belongs to root, whoever owns the directory.
    let mut line = format!("{name} {kind} {mode:04o} 0:0 {mtime_ns}");
    for word in said {
        line.push(' ');
        line.push_str(&word);
    }
    line
}

fn digest(path: &Path, meta: &Metadata) -> String {
    if meta.len() == GIB && meta.blocks() == 0 {
        return GIB_OF_ZEROS.to_owned();
    }
    let mut hash = Sha256::new();
    let mut file = File::open(path).unwrap();
    let mut buf = vec![0; 1 << 16];
    loop {
        match file.read(&mut buf).unwrap() {
            0 => return hex(hash),
            n => hash.update(&buf[..n]),
        }
    }
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn xattrs(path: &Path, meta: &Metadata) -> Vec<String> {
    if meta.is_symlink() {
        return Vec::new();
    }
    let mut names = vec![0; 4096];
    let len = rustix::fs::listxattr(path, &mut names[..]).map_err(io::Error::from).unwrap();
    let mut names: Vec<&[u8]> =
        names[..len].split(|byte| *byte == 0).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    let said = |name: &&[u8]| {
        let mut value = vec![0; 4096];
        let len = rustix::fs::getxattr(path, *name, &mut value[..]).unwrap();
        format!("{}={}", shown(name), shown(&value[..len]))
    };
    names.iter().map(said).collect()
}

fn shown(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        match byte {
            b'\\' | ..=32 | 127.. => write!(text, "\\x{byte:02x}").unwrap(),
            _ => text.push(char::from(*byte)),
        }
        text
    })
}

/// What a step of a build of `work` sees, its spec being `workdir::lister`.
///
/// The step is run anew: times are not part of what the daemon's cache looks at.
pub(crate) fn seen(work: &Workdir) -> Vec<String> {
    let image = work.path("listing.tar");
    let output = format!("type=oci,dest={}", image.display());
    drop(work.build().args(["--output", &output, "--no-cache"]).run().ok());
    let root = unpack(&image);
    let lines = read(&root.join("listing"));
    fs::remove_dir_all(root).unwrap();
    lines
}

/// The lines of a list that a build step made.
pub(crate) fn read(listing: &Path) -> Vec<String> {
    fs::read_to_string(listing).unwrap().lines().map(str::to_owned).collect()
}

/// Compares line by line and prints what differs, expected beside got.
pub(crate) fn assert_same(what: &str, expected: &[String], got: &[String]) {
    let missing: Vec<_> = expected.iter().filter(|line| !got.contains(line)).collect();
    let extra: Vec<_> = got.iter().filter(|line| !expected.contains(line)).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "{what}\nexpected, not there: {missing:#?}\nthere, not expected: {extra:#?}"
    );
    assert_eq!(expected, got, "{what}: same lines in another order");
}
