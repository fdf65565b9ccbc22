//! A small terminal for tests: bytes in, a grid of characters out.

use std::collections::VecDeque;

use unicode_width::UnicodeWidthChar;

use super::TerminalSize;

/// A grid, the history above it, and the modes that matter here.
pub(super) struct Screen {
    width: usize,
    height: usize,
    history: Vec<Line>,
    grid: VecDeque<Line>,
    row: usize,
    column: usize,
    wraps: bool,
    pub(super) is_cursor_visible: bool,
    pub(super) is_frame_open: bool,
}

/// Cells of one column each; a wide character leaves an empty cell behind it.
type Line = Vec<String>;

impl Screen {
    pub(super) fn new(size: TerminalSize) -> Self {
        let mut screen = Self {
            width: usize::from(size.width),
            height: usize::from(size.height),
            history: Vec::new(),
            grid: VecDeque::new(),
            row: 0,
            column: 0,
            wraps: true,
            is_cursor_visible: true,
            is_frame_open: false,
        };
        screen.grid.resize(screen.height, Line::new());
        screen
    }

    /// Shows bytes; anything a display has no business to write is a panic.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).unwrap();
        let mut rest = text;
        while let Some(char) = rest.chars().next() {
            rest = &rest[char.len_utf8()..];
            match char {
                '\x1b' => rest = self.escape(rest),
                '\r' => self.column = 0,
                '\n' => self.line_feed(),
                char if char.is_control() => panic!("control character {char:?} in {text:?}"),
                char => self.put(char),
            }
        }
    }

    /// Changes the size as most terminals do: rows that are too long break.
    pub(super) fn resize(&mut self, size: TerminalSize) {
        let (width, height) = (usize::from(size.width), usize::from(size.height));
        let mut cursor_row = 0;
        let mut rows = VecDeque::new();
        for (index, line) in self.grid.drain(..).enumerate() {
            if index == self.row {
                cursor_row = rows.len();
            }
            let used = line.iter().rposition(|cell| cell.trim() != "").map_or(0, |last| last + 1);
            let mut pieces = line[..used].chunks(width);
            rows.push_back(pieces.next().unwrap_or_default().to_vec());
            rows.extend(pieces.map(<[String]>::to_vec));
        }
        while cursor_row >= height {
            self.history.extend(rows.pop_front());
            cursor_row -= 1;
        }
        rows.resize(height, Line::new());
        (self.width, self.height) = (width, height);
        (self.grid, self.row, self.column) = (rows, cursor_row, 0);
    }

    /// The rows of the screen, without the empty ones at its end.
    pub(super) fn visible(&self) -> String {
        text_of(self.grid.iter())
    }

    /// History and screen.
    pub(super) fn everything(&self) -> String {
        text_of(self.history.iter().chain(&self.grid))
    }

    fn put(&mut self, char: char) {
        let width = char.width().unwrap_or(0);
        if width == 0 {
            let before = self.column.saturating_sub(1);
            if let Some(cell) = self.grid[self.row].get_mut(before) {
                cell.push(char);
            }
            return;
        }
        if self.column + width > self.width {
            if self.wraps {
                self.column = 0;
                self.line_feed();
            } else {
                self.column = self.width.saturating_sub(width);
            }
        }
        let line = &mut self.grid[self.row];
        line.resize(line.len().max(self.column + width), " ".to_owned());
        line[self.column] = char.to_string();
        for cell in &mut line[self.column + 1..self.column + width] {
            cell.clear();
        }
        self.column += width;
    }

    fn line_feed(&mut self) {
        if self.row + 1 < self.height {
            self.row += 1;
            return;
        }
        self.history.extend(self.grid.pop_front());
        self.grid.push_back(Line::new());
    }

    fn escape<'text>(&mut self, rest: &'text str) -> &'text str {
        let rest = rest.strip_prefix('[').unwrap_or_else(|| panic!("escape {rest:?}"));
        let end = rest.find(|char: char| char.is_ascii_alphabetic()).unwrap();
        let (parameters, last) = (&rest[..end], &rest[end..=end]);
        match (parameters, last) {
            ("?2026", mode) => self.is_frame_open = mode == "h",
            ("?25", mode) => self.is_cursor_visible = mode == "h",
            ("?7", mode) => self.wraps = mode == "h",
            ("", "K") => self.grid[self.row].truncate(self.column),
            ("", "J") => {
                self.grid[self.row].truncate(self.column);
                self.grid.range_mut(self.row + 1..).for_each(Line::clear);
            }
            (rows, "A") => {
                let rows: usize = rows.parse().unwrap();
                assert!(rows <= self.row, "climbed {rows} rows from row {}", self.row);
                self.row -= rows;
            }
            (_, "m") => {}
            other => panic!("sequence {other:?}"),
        }
        &rest[end + 1..]
    }
}

fn text_of<'line>(lines: impl Iterator<Item = &'line Line>) -> String {
    let rows: Vec<String> = lines.map(|line| line.concat().trim_end().to_owned()).collect();
    let end = rows.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1);
    rows[..end].iter().map(|row| format!("{row}\n")).collect()
}
