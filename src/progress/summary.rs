//! The last lines of a build that succeeded.

use std::time::Duration;

use crate::progress::format::{bytes, count, counted, duration};
use crate::progress::step::counted_entries;
use crate::progress::style::Style;
use crate::progress::{Look, Outcome};
use crate::terminal_text::{clean_name, columns};

/// What a build made and what it took.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Names of the image, may be empty.
    pub tags: Vec<String>,
    /// `sha256:…` of the manifest or index, may be empty.
    pub digest: String,
    /// Bytes of the image as it is stored or sent.
    pub size_bytes: Option<u64>,
    /// Where it went: files, `stdout`.
    pub outputs: Vec<String>,
    /// What of it went there, when that is no image.
    pub content: Option<Content>,
    /// Registries that have it.
    pub pushed: Vec<String>,
    /// What is said of the image and where that lies, label and text; an empty label goes on with the row before.
    pub attested: Vec<(String, String)>,
    /// The engine that holds it, when one was asked to.
    pub loaded: Option<Loaded>,
    /// Steps of the build that work: all but its sources.
    pub steps: usize,
    /// Those whose result was there.
    pub cached: usize,
    /// Warnings shown on the way.
    pub warnings: usize,
    /// The context upload, when there was one.
    pub context: Option<ContextTotals>,
    /// From begin to end.
    pub elapsed: Duration,
    /// Version and address of the daemon, may be empty.
    pub builder: String,
}

/// Files of a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// How many, where they were counted.
    pub files: Option<u64>,
    /// Bytes in them, or of the file that holds them.
    pub bytes: u64,
}

/// An image in an engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Which engine.
    pub place: String,
    /// It held exactly this image before.
    pub is_unchanged: bool,
}

/// What the context held and what of it crossed the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContextTotals {
    /// Files, folders and links.
    pub entries: u64,
    /// Bytes sent, the daemon's copies not counted.
    pub bytes_sent: u64,
}

/// What stands at the very end: the summary, or a report of each failure.
pub(super) fn closing(outcome: &Outcome, look: &Look) -> String {
    match outcome {
        Outcome::Succeeded(summary) => summary.render(look.size.width, look.color),
        Outcome::Failed(failures) => {
            let reports = failures.iter().map(|failure| failure.render(look.color));
            reports.collect::<Vec<_>>().join("\n")
        }
        Outcome::Interrupted => String::new(),
    }
}

impl Content {
    /// `, 3 files, 1.2 kB`
    fn text(&self) -> String {
        let files = self.files.map(|files| format!(", {}", counted(files, "file")));
        format!("{}, {}", files.unwrap_or_default(), bytes(self.bytes))
    }
}

impl Summary {
    /// The lines for stderr, each with its line end. A width of 0 stands for no limit.
    #[must_use]
    pub fn render(&self, width: u16, color: bool) -> String {
        let style = Style { color };
        let mut rows = self.image_rows(style, usize::from(width));
        let images = rows.len();
        for output in &self.outputs {
            let content = self.content.iter().map(Content::text).collect::<String>();
            rows.push(("written to".to_owned(), format!("{}{content}", clean_name(output))));
        }
        if !self.pushed.is_empty() {
            rows.push(("pushed to".to_owned(), clean_name(&self.pushed.join(", "))));
        }
        if let Some(Loaded { place, is_unchanged }) = &self.loaded {
            let unchanged = if *is_unchanged { ", unchanged" } else { "" };
            rows.push(("loaded into".to_owned(), format!("{}{unchanged}", clean_name(place))));
        }
        rows.extend(self.attested.iter().map(|(label, text)| (label.clone(), clean_name(text))));
        let label_columns = rows.iter().map(|(label, _)| columns(label)).max().unwrap_or(0);
        let mut text = String::new();
        for (index, (label, value)) in rows.iter().enumerate() {
            let gap = " ".repeat(label_columns - columns(label) + 3);
            // The image is the good news; the labels of other rows step back.
            let is_image = index < images;
            let label = if is_image { style.good(label) } else { style.faint(label) };
            text += &format!(" {label}{gap}{value}\n");
        }
        text += &format!(" {}\n", self.work().join(" · "));
        if !self.builder.is_empty() {
            text += &format!(" {}\n", style.faint(&clean_name(&self.builder)));
        }
        text
    }

    /// One row per tag; digest and size on the first.
    fn image_rows(&self, style: Style, width: usize) -> Vec<(String, String)> {
        let mut tags: Vec<String> = self.tags.iter().map(|tag| clean_name(tag)).collect();
        let size = self.size_bytes.map(bytes);
        if tags.is_empty() && (size.is_some() || !self.digest.is_empty()) {
            tags.push("image".to_owned());
        }
        let label_columns = tags.iter().map(|tag| columns(tag)).max().unwrap_or(0);
        let taken = label_columns + 6 + size.as_ref().map_or(0, |size| columns(size));
        let digest = fitting_digest(&self.digest, width, taken);
        let mut parts = vec![style.faint(&digest)];
        parts.extend(size);
        parts.retain(|part| !part.is_empty());
        let mut values = vec![parts.join("  ")];
        values.resize(tags.len(), String::new());
        tags.into_iter().zip(values).collect()
    }

    fn work(&self) -> Vec<String> {
        let mut parts = Vec::new();
        if self.steps > 0 {
            let steps = counted(self.steps as u64, "step");
            parts.push(match self.cached {
                0 => steps,
                all if all == self.steps => format!("{steps}, all cached"),
                some => format!("{steps}, {} cached", count(some as u64)),
            });
        }
        if let Some(context) = &self.context {
            let entries = counted_entries(context.entries);
            parts.push(format!("context {entries}, {} sent", bytes(context.bytes_sent)));
        }
        if self.warnings > 0 {
            parts.push(counted(self.warnings as u64, "warning"));
        }
        parts.push(duration(self.elapsed));
        parts
    }
}

/// The digest, whole where it fits beside what is `taken`, else enough of it to tell images apart.
fn fitting_digest(digest: &str, width: usize, taken: usize) -> String {
    let digest = clean_name(digest);
    if width == 0 || columns(&digest) + taken <= width {
        return digest;
    }
    let Some((algorithm, hex)) = digest.split_once(':') else { return digest };
    let short: String = hex.chars().take(SHORT_DIGEST_HEX).collect();
    format!("{algorithm}:{short}…")
}

const SHORT_DIGEST_HEX: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Summary {
        Summary {
            tags: vec!["app:latest".to_owned()],
            digest: format!("sha256:4f3c1a2b9d8e{}", "0".repeat(52)),
            size_bytes: Some(58_300_000),
            attested: Vec::new(),
            loaded: None,
            content: None,
            outputs: vec!["app.tar".to_owned()],
            pushed: Vec::new(),
            steps: 9,
            cached: 7,
            warnings: 0,
            context: Some(ContextTotals { entries: 1204, bytes_sent: 3100 }),
            elapsed: Duration::from_millis(2400),
            builder: "buildkitd v0.32.2 at unix:///run/buildkit/buildkitd.sock".to_owned(),
        }
    }

    fn check(summary: &Summary, width: u16, expected: &str) {
        assert_eq!(summary.render(width, false), expected);
    }

    #[test]
    fn what_is_said_of_an_image_has_its_rows() {
        let row = |label: &str, text: &str| (label.to_owned(), text.to_owned());
        let attested =
            vec![row("attested", "SBOM of 93 packages"), row("", "app.tar.sbom.spdx.json")];
        check(
            &Summary { attested, ..image() },
            80,
            " app:latest   sha256:4f3c1a2b9d8e…  58.3 MB\n\
             \x20written to   app.tar\n \
             attested     SBOM of 93 packages\n\
             \x20             app.tar.sbom.spdx.json\n \
             9 steps, 7 cached · context 1,204 entries, 3.1 kB sent · 2.4 s\n \
             buildkitd v0.32.2 at unix:///run/buildkit/buildkitd.sock\n",
        );
    }

    #[test]
    fn a_summary_is_aligned_and_fits_the_terminal() {
        check(
            &image(),
            80,
            " app:latest   sha256:4f3c1a2b9d8e…  58.3 MB\n\
             \x20written to   app.tar\n \
             9 steps, 7 cached · context 1,204 entries, 3.1 kB sent · 2.4 s\n \
             buildkitd v0.32.2 at unix:///run/buildkit/buildkitd.sock\n",
        );
        let wide = image().render(120, false);
        assert!(wide.contains(&image().digest), "{wide}");
        let unlimited = image().render(0, false);
        assert!(unlimited.contains(&image().digest), "{unlimited}");
    }

    #[test]
    fn what_is_not_there_takes_no_room() {
        let nothing = Summary { elapsed: Duration::from_secs(1), ..Summary::default() };
        check(&nothing, 80, " 1.0 s\n");
        let untagged = Summary { tags: Vec::new(), outputs: Vec::new(), ..image() };
        assert!(untagged.render(80, false).starts_with(" image   sha256:"));
        let cached = Summary { steps: 1, cached: 1, ..nothing };
        check(&cached, 80, " 1 step, all cached · 1.0 s\n");
    }

    #[test]
    fn files_are_counted_where_they_went() {
        let written = |outputs: &str, content| Summary {
            outputs: vec![outputs.to_owned()],
            content: Some(content),
            elapsed: Duration::from_secs(1),
            ..Summary::default()
        };
        let content = Content { files: Some(8402), bytes: 172_800_000 };
        check(&written("out", content), 80, " written to   out, 8,402 files, 172.8 MB\n 1.0 s\n");
        let one = Content { files: Some(1), bytes: 3 };
        check(&written("out", one), 80, " written to   out, 1 file, 3 B\n 1.0 s\n");
        let tar = Content { files: None, bytes: 10_240 };
        check(&written("a.tar", tar), 80, " written to   a.tar, 10.2 kB\n 1.0 s\n");
    }

    #[test]
    fn registries_stand_in_one_row() {
        let pushed = vec!["docker.io".to_owned(), "ghcr.io".to_owned()];
        let text = Summary { pushed, outputs: Vec::new(), ..image() }.render(80, false);
        assert_eq!(text.lines().nth(1), Some(" pushed to    docker.io, ghcr.io"));
    }

    #[test]
    fn several_tags_stand_below_each_other() {
        let tags = vec!["app:latest".to_owned(), "example.com/app:1.2.3".to_owned()];
        let text = Summary { tags, digest: "sha256:1".to_owned(), ..image() }.render(80, false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], " app:latest              sha256:1  58.3 MB");
        assert_eq!(lines[1].trim_end(), " example.com/app:1.2.3");
        assert_eq!(lines[2], " written to              app.tar");
    }

    #[test]
    fn a_hostile_name_cannot_speak_to_the_terminal() {
        let tags = vec!["app\x1b]0;owned\x07\nlatest".to_owned()];
        let text = Summary { tags, ..image() }.render(80, false);
        assert!(!text.contains('\x1b') && text.starts_with(" app latest"), "{text:?}");
    }
}
