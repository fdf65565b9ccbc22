//! Golden transcripts: each sequence of `tests/golden/progress` through each display.

use std::fs;
use std::path::{Path, PathBuf};

use super::fixture::{Action, End, Sequence, Written, update_of_json};
use super::screen::Screen;
use super::*;

/// Sequences by name, recorded ones included.
fn sequences() -> Vec<(String, PathBuf, Sequence)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/progress");
    let mut sequences = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = || fs::read_to_string(&path).unwrap();
        let sequence = match path.extension().and_then(|extension| extension.to_str()) {
            Some("seq") => Sequence::parse(&text()),
            Some("rawjson") => {
                let mut recorded = Sequence::from_rawjson(&text());
                if text().contains("did not complete successfully") {
                    recorded.end = End::Failed;
                }
                recorded
            }
            _ => continue,
        };
        sequences.push((name, path, sequence));
    }
    assert!(sequences.len() > 10, "the sequences were not found");
    sequences.sort_by(|one, other| one.0.cmp(&other.0));
    sequences
}

/// Compares with the golden file beside the sequence; `UPDATE_GOLDEN=1` writes it.
fn check(sequence: &Path, extension: &str, got: &str) {
    let path = sequence.with_extension(extension);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, got).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let different = expected.lines().zip(got.lines()).position(|(one, other)| one != other);
    let line = different.unwrap_or_else(|| expected.lines().count().min(got.lines().count()));
    assert!(
        expected == got,
        "{} differs from line {}; expected:\n{expected}\ngot:\n{got}",
        path.display(),
        line + 1
    );
}

/// What `mode` writes for a whole sequence.
fn transcript(sequence: &Sequence, mode: Mode, look: Look) -> String {
    let written = Written::default();
    let mut progress = Progress::new(mode, look, Box::new(written.clone()), Duration::ZERO);
    let end = sequence.play(&mut progress, |_, _, _| {});
    let outcome = sequence.outcome(&progress, end);
    drop(progress.finish(&outcome, end));
    String::from_utf8(written.take()).unwrap()
}

/// A terminal that a sequence is shown on.
struct Terminal {
    written: Written,
    screen: Screen,
    size: TerminalSize,
    shown: String,
}

impl Terminal {
    fn new(size: TerminalSize) -> Self {
        let (written, screen) = (Written::default(), Screen::new(size));
        Self { written, screen, size, shown: String::new() }
    }

    fn look(&self) -> Look {
        Look { color: true, size: self.size, title: String::new() }
    }

    fn catch_up(&mut self) {
        self.screen.feed(&self.written.take());
        assert!(self.screen.is_cursor_visible && !self.screen.is_frame_open);
    }

    fn resize(&mut self, size: TerminalSize, progress: &mut Progress) {
        self.catch_up();
        // A terminal of unknown size has some size all the same.
        self.size = if size.width == 0 { EIGHTY_BY_24 } else { size };
        self.screen.resize(self.size);
        progress.resize(size);
    }

    fn show(&mut self, now: LocalTime) {
        self.catch_up();
        let TerminalSize { width, height } = self.size;
        let screen = self.screen.visible();
        self.shown += &format!("--- {} s, {width}x{height}\n{screen}", now.as_secs_f64());
    }

    /// Shows a whole sequence and gives the screens it asked for and all rows of the end.
    fn run(mut self, sequence: &Sequence) -> String {
        let writer = Box::new(self.written.clone());
        let mut progress = Progress::new(Mode::Tty, self.look(), writer, Duration::ZERO);
        let end = sequence.play(&mut progress, |now, progress, size| match size {
            Some(size) => self.resize(size, progress),
            None => {
                progress.tick(now);
                self.show(now);
            }
        });
        let outcome = sequence.outcome(&progress, end);
        drop(progress.finish(&outcome, end));
        self.catch_up();
        self.shown += "--- end\n";
        self.shown + &self.screen.everything()
    }
}

const EIGHTY_BY_24: TerminalSize = TerminalSize { width: 80, height: 24 };

#[test]
fn terminal_screens_are_as_recorded() {
    for (_, path, sequence) in sequences() {
        check(&path, "tty", &Terminal::new(EIGHTY_BY_24).run(&sequence));
    }
}

#[test]
fn no_size_of_a_terminal_loses_a_step() {
    for (name, _, sequence) in sequences() {
        let mut model = Model::new();
        let mut is_resized = false;
        for (now, action) in &sequence.actions {
            match action {
                Action::Status(update) => drop(model.update(update, *now)),
                Action::Resize(_) => is_resized = true,
                _ => {}
            }
        }
        for (width, height) in
            [(1, 1), (2, 2), (5, 3), (13, 50), (1, 50), (200, 1), (40, 5), (200, 9)]
        {
            let text = Terminal::new(TerminalSize { width, height }).run(&sequence);
            let (_, rows) = text.rsplit_once("--- end\n").unwrap();
            // Breaking rows, as a smaller terminal does, breaks names too.
            for (_, step) in model.shown().filter(|_| width >= 40 && !is_resized) {
                let begin: String = step.name().chars().take(10).collect();
                assert!(rows.contains(&begin), "{name} {width}x{height}: {begin} in\n{rows}");
            }
        }
    }
}

#[test]
fn plain_transcripts_are_as_recorded() {
    for (_, path, sequence) in sequences() {
        check(&path, "plain", &transcript(&sequence, Mode::Plain, Look::default()));
    }
}

#[test]
fn plain_never_writes_a_control_character_without_color() {
    for (name, _, sequence) in sequences() {
        let text = transcript(&sequence, Mode::Plain, Look::default());
        let is_clean = |char: char| matches!(char, '\n' | '\t') || !char.is_control();
        assert!(text.chars().all(is_clean), "{name}");
    }
}

#[test]
fn plain_with_color_writes_colors_and_no_other_sequence() {
    let mut colored = 0;
    for (name, _, sequence) in sequences() {
        let look = Look { color: true, ..Look::default() };
        for line in transcript(&sequence, Mode::Plain, look).lines() {
            assert_eq!(crate::terminal_text::clean(line.as_bytes()), line, "{name}");
            if line.contains('\x1b') {
                colored += 1;
                assert!(line.ends_with("\x1b[0m") || !line.starts_with('#'), "{name}: {line:?}");
            }
        }
    }
    assert!(colored > 10);
}

#[test]
fn quiet_says_nothing_but_failures() {
    for (name, _, sequence) in sequences() {
        let text = transcript(&sequence, Mode::Quiet, Look::default());
        assert_eq!(text.is_empty(), sequence.end != End::Failed, "{name}: {text}");
    }
}

#[test]
fn rawjson_repeats_a_recorded_stream_word_for_word() {
    for (name, path, sequence) in sequences() {
        if path.extension().is_some_and(|extension| extension == "rawjson") {
            let recorded = fs::read_to_string(&path).unwrap();
            let repeated = transcript(&sequence, Mode::RawJson, Look::default());
            let go_escapes = [("\\u003c", "<"), ("\\u003e", ">"), ("\\u0026", "&")];
            let recorded =
                go_escapes.iter().fold(recorded, |text, (from, to)| text.replace(from, to));
            for (line, (one, other)) in recorded.lines().zip(repeated.lines()).enumerate() {
                assert_eq!(one, other, "{name}:{}", line + 1);
            }
            assert_eq!(recorded.lines().count(), repeated.lines().count(), "{name}");
        }
    }
}

#[test]
fn rawjson_can_be_read_back() {
    for (name, _, sequence) in sequences() {
        let text = transcript(&sequence, Mode::RawJson, Look::default());
        for line in text.lines() {
            let json = serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}"));
            drop(update_of_json(&json));
        }
    }
}
