//! Programs of the system that sources start; of compiled programs: `exec.Command("git", …)`, `Command::new("ffmpeg")`.

use std::rc::Rc;

use super::{
    Evidence, Facts, Text,
    parts::{Library, library},
    paths::file_name,
    source,
};

/// Programs, and the packages that hold them.
pub(super) static PROGRAMS: &[Library] = &[
    library("convert", &[], &["imagemagick"]).wolfi(&[], &["imagemagick"]),
    library("curl", &[], &["curl"]).wolfi(&[], &["curl"]),
    library("dot", &[], &["graphviz"]),
    library("exiftool", &[], &["libimage-exiftool-perl"]),
    library("ffmpeg", &[], &["ffmpeg"]),
    library("ffprobe", &[], &["ffmpeg"]),
    library("git", &[], &["git"]).wolfi(&[], &["git"]),
    library("gs", &[], &["ghostscript"]),
    library("magick", &[], &["imagemagick"]).wolfi(&[], &["imagemagick"]),
    library("mysqldump", &[], &["default-mysql-client"]),
    library("nmap", &[], &["nmap"]),
    library("pandoc", &[], &["pandoc"]),
    library("pdftoppm", &[], &["poppler-utils"]),
    library("pdftotext", &[], &["poppler-utils"]),
    library("pg_dump", &[], &["postgresql-client"]),
    library("qpdf", &[], &["qpdf"]),
    library("rsync", &[], &["rsync"]).wolfi(&[], &["rsync"]),
    library("soffice", &[], &["libreoffice-core", "libreoffice-writer"]),
    library("ssh", &[], &["openssh-client"]).wolfi(&[], &["openssh-client"]),
    library("ssh-keygen", &[], &["openssh-client"]).wolfi(&[], &["openssh-keygen"]),
    library("tesseract", &[], &["tesseract-ocr"]),
    library("wkhtmltopdf", &[], &["wkhtmltopdf"]),
    library("yt-dlp", &[], &["yt-dlp"]),
];

/// Programs of every image that has a shell.
const SHELLS: &[&str] = &["bash", "sh"];

/// Takes the programs that the sources start; whether there is one, or a shell.
pub(super) fn started(files: &[Rc<Text>], facts: &mut Facts) -> bool {
    let mut all: Vec<(&str, Evidence)> = files.iter().flat_map(|file| called(file)).collect();
    all.sort_by_key(|(name, _)| *name);
    all.dedup_by_key(|(name, _)| *name);
    let mut is_any = false;
    for (name, place) in all {
        let known = PROGRAMS.iter().find(|program| program.name == name);
        is_any |= known.is_some() || SHELLS.contains(&name);
        known.into_iter().for_each(|program| facts.library(program, place.clone()));
    }
    is_any
}

/// Literal names of programs that a file starts or looks for, outside of comments.
fn called(file: &Text) -> impl Iterator<Item = (&str, Evidence)> {
    let calls = CALLS.iter().flat_map(|call| file.text.match_indices(call));
    calls.filter_map(|(at, call)| {
        let line = file.text[..at].rsplit('\n').next().unwrap_or_default();
        let (before, rest) = file.text[at + call.len()..].split_once('"')?;
        // The context of a call comes first: `exec.CommandContext(ctx, "git"`.
        let is_first = match before.trim() {
            "" => true,
            other => call.contains("Context") && other.ends_with(',') && other.len() < CONTEXT_MAX,
        };
        let name = file_name(rest.split('"').next()?);
        let place = || Evidence::line(&file.path, Some(file.text[..at].matches('\n').count() + 1));
        (is_first && !source::is_comment(line)).then(|| (name, place()))
    })
}

/// Calls of the standard libraries of Go and of Rust.
const CALLS: &[&str] =
    &["exec.Command(", "exec.CommandContext(", "exec.LookPath(", "Command::new("];
const CONTEXT_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_program_of_a_call_is_started_and_others_are_not() {
        let check = |text: &str, want: &[&str]| {
            let file = Text { path: "a.go".into(), text: text.into() };
            let found: Vec<&str> = called(&file).map(|(name, _)| name).collect();
            assert_eq!(found, want, "{text}");
        };
        check("c := exec.Command(\"git\", \"log\")", &["git"]);
        check("exec.Command(\n\t\"/usr/bin/git\",\n)", &["git"]);
        check("exec.CommandContext(r.Context(), \"ffmpeg\", x)", &["ffmpeg"]);
        check("_, err := exec.LookPath(\"ssh\")", &["ssh"]);
        check("let c = Command::new(\"git\").arg(\"x\")", &["git"]);
        check("exec.Command(name, \"git\")", &[]);
        check("// exec.Command(\"git\")", &[]);
        check("Command::new(\"serve\")\nexec.Command(\"é", &["é", "serve"]);
        let file = Text { path: "a.go".into(), text: "\n\nexec.Command(\"git\")".into() };
        assert_eq!(called(&file).next().unwrap().1, Evidence::line("a.go", Some(3)));
    }

    #[test]
    fn a_program_is_taken_once_and_a_shell_needs_no_package() {
        let check = |text: &str, is_any: bool, needs: usize| {
            let file = Rc::new(Text { path: "a.go".into(), text: text.into() });
            let mut facts = Facts::default();
            assert_eq!(started(&[file], &mut facts), is_any, "{text}");
            assert_eq!(facts.needs.len(), needs, "{text}");
        };
        check("exec.LookPath(\"git\"); exec.Command(\"git\")", true, 1);
        check("exec.Command(\"sh\", \"-c\", x)", true, 0);
        check("exec.Command(\"our-tool\")", false, 0);
    }
}
