//! What of an image is of interest for its SBOM: of all of it, or of one of its layers.

use std::collections::{BTreeMap, BTreeSet};

use super::{Interest, Origin, interest, is_binary};

/// Most that is kept of all files together, in bytes.
pub const TOTAL_BYTES_MAX: u64 = 64 << 20;
/// Most files whose content or name is kept.
pub const FILES_MAX: usize = 100_000;
/// Why a file beyond either is not read.
pub const TOO_MANY: &str = "too many files of this kind";

/// What to do with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Leave it.
    Nothing,
    /// Fetch it, unless it is longer than so many bytes.
    Content {
        /// Longest useful length.
        bytes_max: u64,
    },
    /// Keep its name and size.
    Name,
}

/// What to do with the regular file at `path`, absolute, with its size and permission bits.
#[must_use]
pub fn want(path: &str, size_bytes: u64, mode: u32) -> Want {
    let is_executable = mode & 0o111 != 0;
    match interest(path, Origin::Image) {
        Interest::Text { bytes_max } => Want::Content { bytes_max },
        Interest::Binary if size_bytes > 0 && (is_executable || is_binary(path, b"")) => Want::Name,
        Interest::None | Interest::Binary => Want::Nothing,
    }
}

/// Why a file is not read.
#[must_use]
pub fn too_long(size_bytes: u64, bytes_max: u64) -> String {
    format!("{size_bytes} bytes, more than the {bytes_max} that are read")
}

/// Files of an image, or of a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    /// Content by absolute path.
    pub contents: BTreeMap<String, Vec<u8>>,
    /// Sizes in bytes of files whose name was wanted.
    pub names: BTreeMap<String, u64>,
    /// Files that were wanted and are not here, and why.
    pub missing: BTreeMap<String, String>,
    /// Paths of a layer that hide what lies below: a file, or a folder with all that is in it.
    pub hidden: BTreeSet<String>,
}

impl Gathered {
    /// Number of all paths in it.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        let Self { contents, names, missing, hidden } = self;
        contents.len() + names.len() + missing.len() + hidden.len()
    }

    /// Whether something is known at `path`, or, unless a folder is there now, below it.
    #[must_use]
    pub fn knows(&self, path: &str, is_folder: bool) -> bool {
        fn holds<V>(map: &BTreeMap<String, V>, path: &str, inside: Option<&String>) -> bool {
            let is_inside = |inside: &String| {
                let mut behind = map.range(inside.clone()..);
                behind.next().is_some_and(|(key, _)| key.starts_with(inside))
            };
            map.contains_key(path) || inside.is_some_and(is_inside)
        }
        let inside = (!is_folder).then(|| format!("{path}/"));
        holds(&self.contents, path, inside.as_ref())
            || holds(&self.names, path, inside.as_ref())
            || holds(&self.missing, path, inside.as_ref())
    }

    /// Puts a layer on top.
    pub fn put_on(&mut self, layer: Self) {
        let is_shown = |path: &String| {
            let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
            !ends.into_iter().any(|end| layer.hidden.contains(&path[..end]))
        };
        self.contents.retain(|path, _| is_shown(path));
        self.names.retain(|path, _| is_shown(path));
        self.missing.retain(|path, _| is_shown(path));
        self.contents.extend(layer.contents);
        self.names.extend(layer.names);
        self.missing.extend(layer.missing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(contents: &[&str], names: &[&str], missing: &[&str]) -> Gathered {
        Gathered {
            contents: contents.iter().map(|path| ((*path).to_owned(), Vec::new())).collect(),
            names: names.iter().map(|path| ((*path).to_owned(), 1)).collect(),
            missing: missing.iter().map(|path| ((*path).to_owned(), String::new())).collect(),
            ..Gathered::default()
        }
    }

    fn paths(gathered: &Gathered) -> Vec<&str> {
        let Gathered { contents, names, missing, .. } = gathered;
        contents.keys().chain(names.keys()).chain(missing.keys()).map(String::as_str).collect()
    }

    #[test]
    fn a_path_is_known_by_itself_or_as_a_folder() {
        let lower = gathered(&["/a/b", "/a.b"], &["/bin/x"], &["/c"]);
        assert!(lower.knows("/a/b", false) && lower.knows("/a/b", true));
        assert!(lower.knows("/a", false) && !lower.knows("/a", true));
        assert!(lower.knows("/bin", false) && lower.knows("/c", true));
        assert!(!lower.knows("/a/", false) && !lower.knows("/a/bc", false));
        assert!(!lower.knows("/b", false));
    }

    #[test]
    fn a_layer_hides_what_lies_below() {
        let mut image = gathered(&["/a/b", "/a.b", "/d/e"], &["/bin/x", "/bin/y"], &["/c"]);
        let mut layer = gathered(&["/new"], &["/a"], &[]);
        layer.hidden = ["/a", "/bin/y", "/c"].map(str::to_owned).into();
        image.put_on(layer);
        assert_eq!(paths(&image), ["/a.b", "/d/e", "/new", "/a", "/bin/x"]);
    }

    #[test]
    fn texts_are_fetched_and_programs_named() {
        let Want::Content { bytes_max } = want("/var/lib/dpkg/status", 5, 0o644) else { panic!() };
        assert!(bytes_max > 1 << 20);
        assert_eq!(want("/usr/bin/app", 5, 0o755), Want::Name);
        assert_eq!(want("/usr/bin/app", 5, 0o644), Want::Nothing);
        assert_eq!(want("/app.jar", 5, 0o644), Want::Name);
        assert_eq!(want("/app.jar", 0, 0o644), Want::Nothing);
        assert_eq!(want("/etc/passwd", 5, 0o644), Want::Nothing);
    }
}
