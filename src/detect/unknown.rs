//! Languages that no rule builds: a tree of one is told so.

use super::Tree;

/// A language, the ends of its files, and a file without which those ends mean something else.
static LANGUAGES: &[(&str, &[&str], Option<&str>)] = &[
    ("Ada", &[".adb", ".ads"], None),
    ("COBOL", &[".cob", ".cbl", ".cobol"], None),
    ("Common Lisp", &[".lisp", ".asd"], None),
    ("D", &[".d"], Some("dub.json")),
    ("Erlang", &[".erl"], None),
    ("Fortran", &[".f90", ".f95", ".f03", ".f08", ".for", ".f"], None),
    ("Guile", &[".scm"], None),
    ("Pascal", &[".pas", ".lpr"], None),
    ("Prolog", &[".pro", ".prolog"], None),
    ("Racket", &[".rkt"], None),
    ("Tcl", &[".tcl"], None),
    ("V", &[".v"], Some("v.mod")),
];

/// Says of each such language how many files there are, and what to do with a tree that is only told to `docker build`.
pub(super) fn tell(tree: &Tree) {
    if tree.has("Dockerfile") {
        let told = "a tree that has only a Dockerfile is built by `docker build`; peelbox builds from sources, or from a spec that \
                    is written by hand";
        tree.note(format!("Dockerfile: {told}"));
    }
    for (language, ends, sign) in LANGUAGES {
        let has_sign = sign.is_none_or(|name| tree.dirs().any(|(_, entries)| entries.has(name)));
        let is_one = |name: &&String| ends.iter().any(|end| name.ends_with(end));
        let files = tree.dirs().flat_map(|(_, entries)| &entries.files).filter(is_one);
        let count = if has_sign { files.count() } else { 0 };
        if count > 0 {
            let files = if count == 1 { "file" } else { "files" };
            tree.note(format!("found {count} {files} of {language}, which peelbox does not build"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::detect::{Family, detect};

    #[test]
    fn a_tree_of_a_language_that_is_not_built_is_told_so() {
        let notes = |files: &[(&str, &str)]| {
            let dir = tempfile::tempdir().unwrap();
            for (path, text) in files {
                fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
                fs::write(dir.path().join(path), text).unwrap();
            }
            let found = detect(dir.path(), Family::Official).unwrap();
            (found.services.len(), found.notes.join("\n"))
        };
        let told = |count: &str| (0, format!("found {count}, which peelbox does not build"));
        assert_eq!(notes(&[("a.cob", ""), ("src/b.cbl", "")]), told("2 files of COBOL"));
        assert_eq!(notes(&[("main.f90", "")]), told("1 file of Fortran"));
        assert_eq!(notes(&[("web.scm", "")]), told("1 file of Guile"));
        assert_eq!(notes(&[("main.v", ""), ("v.mod", "")]), told("1 file of V"));
        assert_eq!(notes(&[("main.v", "")]), (0, String::new()), "Verilog, or Coq");
        assert_eq!(notes(&[("index.html", ""), ("x.f90", "")]), (1, String::new()));
    }
}
