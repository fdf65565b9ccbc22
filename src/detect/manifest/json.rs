//! JSON as people write it: comments, and commas before a closing bracket.
//!
//! The reader of specs is strict and points at columns; this one takes what the tools of an ecosystem take.

use super::{Budget, DEPTH_MAX, Kind, Malformed, Value};

pub(super) fn parse(text: &str) -> Result<Value, Malformed> {
    let mut reader = Reader { text, at: 0, line: 1, budget: Budget::new() };
    reader.skip_blank()?;
    let value = reader.value(0)?;
    reader.skip_blank()?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.fault("text after the end of the value")),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    budget: Budget,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, Malformed> {
        self.budget.take(1, self.line)?;
        if depth > DEPTH_MAX {
            return Err(self.fault(format!("more than {DEPTH_MAX} values inside each other")));
        }
        let line = self.line;
        let kind = match self.peek() {
            Some(b'{') => self.table(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => Kind::String(self.string()?),
            Some(b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') => self.word()?,
            Some(_) => return Err(self.fault("expected a value")),
            None => return Err(self.fault("the text ends too early")),
        };
        Ok(Value { line, kind })
    }

    fn table(&mut self, depth: usize) -> Result<Kind, Malformed> {
        self.at += 1;
        let mut members = Vec::new();
        loop {
            self.skip_blank()?;
            if self.take(b'}') {
                return Ok(Kind::Table(members));
            }
            if self.peek() != Some(b'"') {
                return Err(self.fault("expected a key in quotes or `}`"));
            }
            let line = self.line;
            let key = self.string()?;
            self.skip_blank()?;
            if !self.take(b':') {
                return Err(self.fault("expected `:` after a key"));
            }
            self.skip_blank()?;
            let value = self.value(depth + 1)?;
            members.push((key, Value { line, ..value }));
            self.skip_blank()?;
            if !self.take(b',') && self.peek() != Some(b'}') {
                return Err(self.fault("expected `,` or `}`"));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Kind, Malformed> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.skip_blank()?;
            if self.take(b']') {
                return Ok(Kind::Array(items));
            }
            items.push(self.value(depth + 1)?);
            self.skip_blank()?;
            if !self.take(b',') && self.peek() != Some(b']') {
                return Err(self.fault("expected `,` or `]`"));
            }
        }
    }

    /// `true`, `false`, `null` or a number.
    fn word(&mut self) -> Result<Kind, Malformed> {
        let rest = &self.text[self.at..];
        let is_part = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
        let word = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        let kind = match word {
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            "null" => Kind::Null,
            _ if word.parse::<f64>().is_ok_and(f64::is_finite) => Kind::Number(word.to_owned()),
            _ => return Err(self.fault("expected a value")),
        };
        self.at += word.len();
        Ok(kind)
    }

    fn string(&mut self) -> Result<String, Malformed> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let end = rest.find(['"', '\\', '\n']).unwrap_or(rest.len());
            out.push_str(&rest[..end]);
            self.at += end;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.at += 1;
                    out.push(self.escape()?);
                }
                _ => return Err(self.fault("a text does not end on its line")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Malformed> {
        let Some(byte) = self.peek() else { return Err(self.fault("the text ends too early")) };
        let plain = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.fault("an unknown escape")),
        };
        self.at += 1;
        Ok(plain)
    }

    fn unicode(&mut self) -> Result<char, Malformed> {
        let first = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&first) {
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        if !self.text[self.at..].starts_with("\\u") {
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        self.at += 2;
        let second = self.four_digits()?;
        let low = second.wrapping_sub(0xdc00);
        let code = 0x10000 + ((first - 0xd800) << 10) + (low & 0x3ff);
        Ok(match low {
            0..0x400 => char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
            _ => char::REPLACEMENT_CHARACTER,
        })
    }

    fn four_digits(&mut self) -> Result<u32, Malformed> {
        let digits = self.text.get(self.at..self.at + 4);
        let digits = digits.filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|text| u32::from_str_radix(text, 16).ok());
        self.at += 4;
        match code {
            Some(code) => Ok(code),
            None => {
                self.at -= 4;
                Err(self.fault("an unknown escape"))
            }
        }
    }

    /// Blanks and comments.
    fn skip_blank(&mut self) -> Result<(), Malformed> {
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' => {
                    self.line += 1;
                    self.at += 1;
                }
                b' ' | b'\t' | b'\r' | 0xb | 0xc => self.at += 1,
                b'/' => self.comment()?,
                _ => break,
            }
        }
        Ok(())
    }

    fn comment(&mut self) -> Result<(), Malformed> {
        let rest = &self.text[self.at..];
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(body) = rest.strip_prefix("/*") {
            let end = body.find("*/").ok_or_else(|| self.fault("a comment does not end"))?;
            end + 4
        } else {
            return Err(self.fault("expected a value"));
        };
        self.line += rest.as_bytes()[..length].iter().filter(|b| **b == b'\n').count();
        self.at += length;
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn fault(&self, why: impl Into<String>) -> Malformed {
        Malformed::new(self.line, why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_last_commas_are_let_pass() {
        let text = "// head\n{\n  \"a\": [1, 2,], /* x\n y */\n  \"b\": {\"c\": \"d\",},\n}\n";
        let value = parse(text).unwrap();
        assert_eq!(value.at(&["a"]).unwrap().items().len(), 2);
        assert_eq!((value.str_at(&["b", "c"]), value.get("b").unwrap().line), (Some("d"), 5));
    }

    #[test]
    fn texts_are_what_their_escapes_say() {
        let check = |text: &str, expected: &str| {
            assert_eq!(parse(text).unwrap().as_str(), Some(expected), "{text}");
        };
        check(r#""a\n\u00e9\ud83d\ude00\/""#, "a\né😀/");
        check(r#""\ud83dx""#, "\u{fffd}x");
        check(r#""\udc00""#, "\u{fffd}");
    }

    #[test]
    fn faults_name_their_line() {
        let check = |text: &str, line: usize, why: &str| {
            let malformed = parse(text).unwrap_err();
            assert_eq!((malformed.line, malformed.why.as_str()), (line, why), "{text}");
        };
        check("{\n\"a\" 1}", 2, "expected `:` after a key");
        check("{\n\"a\": 1\n\"b\": 2}", 3, "expected `,` or `}`");
        check("", 1, "the text ends too early");
        check("{\"a\": \"b\n\"}", 1, "a text does not end on its line");
        check("{} x", 1, "text after the end of the value");
        check("[nul]", 1, "expected a value");
        check("/* ", 1, "a comment does not end");
        check(r#""\u12"#, 1, "an unknown escape");
        check(r#""\u+123""#, 1, "an unknown escape");
    }
}
