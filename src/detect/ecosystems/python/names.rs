//! Names of packages, and paths in their place.

const ARCHIVES: &[&str] = &[".whl", ".tar.gz", ".zip", ".tar.bz2"];

/// As PyPI compares names: <https://packaging.python.org/en/latest/specifications/name-normalization/>.
pub(super) fn normalized(name: &str) -> String {
    let parts: Vec<&str> = name.trim().split(['-', '_', '.']).filter(|p| !p.is_empty()).collect();
    parts.join("-").to_ascii_lowercase()
}

/// Whether a line of requirements is a path, as pip sees it: one that begins like one, or that has a separator and is no address.
pub(super) fn is_path(text: &str) -> bool {
    let text = text.split(['[', ';']).next().unwrap_or(text).trim();
    let is_archive = ARCHIVES.iter().any(|end| text.ends_with(end));
    [".", ".."].contains(&text)
        || ["./", "../", "file:"].iter().any(|start| text.starts_with(start))
        || !text.contains([' ', '@', ':']) && (is_archive || text.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_names_and_addresses() {
        let check = |text: &str, want: bool| assert_eq!(is_path(text), want, "{text}");
        check("./lib", true);
        check("../lib[extra]", true);
        check("file:vendor/x.whl", true);
        check("vendor/x-1.0-py3-none-any.whl", true);
        check("x-1.0.tar.gz", true);
        check("libs/shop", true);
        check("https://x/y.whl", false);
        check("git+https://x/y", false);
        check("x @ https://x/y.zip", false);
        check("flask>=1", false);
    }
}
