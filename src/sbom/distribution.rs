//! `os-release` (os-release(5)) → [`Distribution`].

use super::{Distribution, Files};
use crate::os_release::value;

/// In the order in which they count; the first is mostly a link to the second.
pub(super) const PATHS: &[&str] = &["/etc/os-release", "/usr/lib/os-release"];

/// The first of the two files that names an `ID`.
pub(super) fn read(files: &Files) -> Option<Distribution> {
    PATHS.iter().filter_map(|path| files.texts.get(*path)).find_map(|text| {
        let field = |name| value(text, name).filter(|text| is_plain(text)).unwrap_or_default();
        let id = field("ID");
        (!id.is_empty()).then(|| Distribution {
            id,
            version_id: field("VERSION_ID"),
            pretty_name: field("PRETTY_NAME"),
        })
    })
}

impl Distribution {
    /// `debian-12`, as the qualifier `distro` of a package URL has it.
    pub(super) fn qualifier(&self) -> String {
        if self.version_id.is_empty() {
            return self.id.clone();
        }
        format!("{}-{}", self.id, self.version_id)
    }
}

fn is_plain(text: &str) -> bool {
    text.len() <= VALUE_BYTES_MAX && !text.contains(char::is_control)
}

/// Real ones are shorter than 100.
const VALUE_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn read_from(files: &[(&str, &str)]) -> Option<Distribution> {
        let text = |(path, text): &(&str, &str)| ((*path).to_owned(), text.as_bytes().to_vec());
        read(&Files { texts: files.iter().map(text).collect(), ..Files::default() })
    }

    #[test]
    fn the_first_file_with_an_id_counts() {
        let debian =
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n";
        let read = |etc, usr| read_from(&[("/etc/os-release", etc), ("/usr/lib/os-release", usr)]);
        let found = read("", debian).unwrap();
        assert_eq!(found.pretty_name, "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(found.qualifier(), "debian-12");
        assert_eq!(read("ID=arch", debian).unwrap().qualifier(), "arch");
        assert_eq!(read("", "VERSION_ID=1"), None);
        assert_eq!(read_from(&[("/os-release", debian)]), None);
    }
}
