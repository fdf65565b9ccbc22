//! JSON values that know where they stand.
//!
//! `serde_json` checks and reads; a `RawValue` borrows from the text, so the difference of two
//! addresses is a position. The whole text is checked once, then read level by level, only where
//! the format has fields: the cost is the depth of the format times the size of the file.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{error::Category, value::RawValue};

use super::{
    error::{Flaw, SHOWN_CHARS_MAX, safe},
    syntax,
};

/// Bytes a spec file may have.
pub const SPEC_BYTES_MAX: usize = 8 << 20;

/// One value of a text whose syntax is right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    /// As written, without surrounding blanks; never empty, syntax checked.
    raw: &'a str,
    /// Byte in the text.
    pub(super) offset: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

/// The readable text of the file: without a byte order mark.
///
/// # Errors
/// The flaw and, when it is in the bytes themselves, what can be shown of them.
pub(super) fn decode(bytes: &[u8]) -> Result<&str, Box<(String, Flaw)>> {
    let whole = |message: String, help: Option<&str>| {
        let help = help.map(str::to_owned);
        Box::new((String::new(), Flaw { help, ..Flaw::new(0, 1, message) }))
    };
    if bytes.len() > SPEC_BYTES_MAX {
        let message = format!(
            "expected a file of at most {SPEC_BYTES_MAX} bytes, found one of {}",
            bytes.len()
        );
        return Err(whole(message, None));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let help = "save the file as UTF-8; on Windows `>` may write UTF-16";
        return Err(whole("expected UTF-8, found UTF-16".to_owned(), Some(help)));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let offset = error.valid_up_to();
        let message = format!("expected UTF-8, found the byte 0x{:02x}", bytes[offset]);
        let flaw = Flaw::new(offset, 1, message).help("save the file as UTF-8");
        Box::new((String::from_utf8_lossy(bytes).into_owned(), flaw))
    })?;
    if text.trim().is_empty() {
        let help =
            "its format: docs/reference/universalbuild.md; `peelbox schema` prints the JSON Schema";
        return Err(whole("expected a spec, found an empty file".to_owned(), Some(help)));
    }
    Ok(text)
}

impl<'a> Value<'a> {
    /// The value that is the whole text; its syntax is checked in full.
    pub(super) fn parse(text: &'a str) -> Result<Self, Flaw> {
        let unclosed = syntax::depth(text)?;
        let raw: &RawValue =
            serde_json::from_str(text).map_err(|error| syntax::flaw(text, &error, unclosed))?;
        Ok(Self::new(raw, text, 0))
    }

    fn new(raw: &'a RawValue, within: &str, within_offset: usize) -> Self {
        let raw = raw.get();
        // `raw` is a part of `within`: serde_json lends it from its input.
        let start = raw.as_ptr().addr().saturating_sub(within.as_ptr().addr());
        Self { raw, offset: within_offset + start }
    }

    pub(super) fn kind(self) -> Kind {
        match self.raw.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    /// As written in the file; meant for numbers and literals.
    pub(super) fn raw(self) -> &'a str {
        self.raw
    }

    pub(super) fn is_empty_array(self) -> bool {
        self.kind() == Kind::Array && self.raw[1..].trim_start().starts_with(']')
    }

    /// Bytes to mark when the value is at fault: not the whole of an object.
    pub(super) fn marked_len(self) -> usize {
        match self.kind() {
            Kind::Object | Kind::Array => 1,
            _ => self.raw.len(),
        }
    }

    /// What a message says was found.
    pub(super) fn shown(self) -> String {
        match self.kind() {
            Kind::Object => "an object".to_owned(),
            Kind::Array if self.is_empty_array() => "an empty array".to_owned(),
            Kind::Array => "an array".to_owned(),
            _ => safe(self.raw, SHOWN_CHARS_MAX),
        }
    }

    /// The decoded text of a string or key.
    pub(super) fn string(self) -> Result<String, Flaw> {
        let text: String = serde_json::from_str(self.raw).map_err(|error| self.syntax(&error))?;
        if text.contains('\0') {
            return Err(self.flaw("expected text, found a NUL character".to_owned()));
        }
        Ok(text)
    }

    /// The items of an array.
    pub(super) fn items(self) -> Result<Vec<Self>, Flaw> {
        let Entries(entries) = self.read()?;
        Ok(entries.into_iter().map(|(_, raw)| Self::new(raw, self.raw, self.offset)).collect())
    }

    /// The keys and values of an object, in file order, repeated ones included.
    pub(super) fn entries(self) -> Result<Vec<(Self, Self)>, Flaw> {
        let Entries(entries) = self.read()?;
        let place = |raw| Self::new(raw, self.raw, self.offset);
        Ok(entries.into_iter().map(|(key, raw)| (place(key), place(raw))).collect())
    }

    fn read(self) -> Result<Entries<'a>, Flaw> {
        serde_json::from_str(self.raw).map_err(|error| match error.classify() {
            Category::Data => self.flaw(format!("expected at most {ENTRIES_MAX} entries")),
            _ => self.syntax(&error),
        })
    }

    fn flaw(self, message: String) -> Flaw {
        Flaw::new(self.offset, self.marked_len(), message)
    }

    /// What only shows when a checked value is read: half a surrogate pair.
    fn syntax(self, error: &serde_json::Error) -> Flaw {
        let flaw = syntax::flaw(self.raw, error, None);
        Flaw { offset: self.offset + flaw.offset, ..flaw }
    }
}

/// One level of an array (each item is its own key) or object.
struct Entries<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array or object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(item) = access.next_element::<&RawValue>()? {
            if entries.len() == ENTRIES_MAX {
                return Err(A::Error::custom("too many items"));
            }
            entries.push((item, item));
        }
        Ok(Entries(entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry::<&RawValue, &RawValue>()? {
            if entries.len() == ENTRIES_MAX {
                return Err(A::Error::custom("too many keys"));
            }
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

/// Items of one array, keys of one object.
const ENTRIES_MAX: usize = 65_536;
