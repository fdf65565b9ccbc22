//! JSON as people write it: comments, and commas before a closing bracket.
//!
//! The reader of specs is strict and points at columns; this one takes what the tools of an ecosystem take.
//! The crate `jsonc-parser` takes a line break inside a text, refuses half a surrogate pair, and its limit of 512
//! values inside each other overflows a stack of 256 KiB (0.34).

use super::value::{Budget, Kind, Malformed, VALUES_MAX, Value, check_depth};

/// Reads JSON; comments and commas before a closing bracket are let pass, as `tsconfig.json` has them.
///
/// # Errors
/// [`Malformed`].
pub fn parse(text: &str) -> Result<Value, Malformed> {
    let mut reader = Reader { text, at: 0, line: 1, budget: Budget(VALUES_MAX) };
    let value = reader.value(0)?;
    reader.skip_blank()?;
    match reader.next() {
        None => Ok(value),
        Some(_) => Err(reader.fault("text after the end of the value")),
    }
}

struct Reader<'a> {
    text: &'a str,
    /// How far it was read, in bytes; between characters.
    at: usize,
    /// Where that is, from 1.
    line: usize,
    budget: Budget,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, Malformed> {
        self.skip_blank()?;
        let line = self.line;
        self.budget.take(1, line)?;
        check_depth(depth, line)?;
        let kind = match self.next() {
            Some(b'{') => Kind::Table(self.list(b'}', |reader| reader.member(depth + 1))?),
            Some(b'[') => Kind::Array(self.list(b']', |reader| reader.value(depth + 1))?),
            Some(b'"') => Kind::String(self.string()?),
            Some(_) => self.word()?,
            None => return Err(self.fault("the text ends too early")),
        };
        Ok(Value { line, kind })
    }

    /// All between two brackets.
    fn list<T>(
        &mut self,
        close: u8,
        one: impl Fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        self.at += 1;
        let mut all = Vec::new();
        while !self.take(close)? {
            all.push(one(self)?);
            if !self.take(b',')? && self.next() != Some(close) {
                return Err(self.fault(format!("expected `,` or `{}`", char::from(close))));
            }
        }
        // Most have one item or two, where a list that grows has room for four.
        all.shrink_to_fit();
        Ok(all)
    }

    fn member(&mut self, depth: usize) -> Result<(String, Value), Malformed> {
        if self.next() != Some(b'"') {
            return Err(self.fault("expected a key in quotes or `}`"));
        }
        let line = self.line;
        let key = self.string()?;
        if !self.take(b':')? {
            return Err(self.fault("expected `:` after a key"));
        }
        Ok((key, Value { line, ..self.value(depth)? }))
    }

    /// `true`, `false`, `null` or a number.
    fn word(&mut self) -> Result<Kind, Malformed> {
        let is_part = |b: &u8| b.is_ascii_alphanumeric() || b"+-._".contains(b);
        let rest = &self.text[self.at..];
        let word = &rest[..rest.bytes().take_while(is_part).count()];
        let is_number = || !word.starts_with(['+', '.']) && word.parse().is_ok_and(f64::is_finite);
        let kind = match word {
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            "null" => Kind::Null,
            _ if is_number() => Kind::Number(word.to_owned()),
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
            let is_plain = |b: &u8| !matches!(b, b'"' | b'\\' | b'\n');
            let (plain, rest) = rest.split_at(rest.bytes().take_while(is_plain).count());
            out.push_str(plain);
            self.at += plain.len();
            let mut signs = rest.bytes();
            let sign = match (signs.next(), signs.next()) {
                (Some(b'"'), _) => {
                    self.at += 1;
                    return Ok(out);
                }
                (Some(b'\\'), Some(b'u')) => {
                    out.push_str(&self.unicode()?);
                    continue;
                }
                (Some(b'\\'), Some(sign @ (b'"' | b'\\' | b'/'))) => char::from(sign),
                (Some(b'\\'), Some(b'b')) => '\u{8}',
                (Some(b'\\'), Some(b'f')) => '\u{c}',
                (Some(b'\\'), Some(b'n')) => '\n',
                (Some(b'\\'), Some(b'r')) => '\r',
                (Some(b'\\'), Some(b't')) => '\t',
                (Some(b'\\'), Some(_)) => return Err(self.fault("an unknown escape")),
                _ => return Err(self.fault("a text does not end on its line")),
            };
            out.push(sign);
            self.at += 2;
        }
    }

    /// UTF-16, `\uXXXX` after `\uXXXX`.
    fn unicode(&mut self) -> Result<String, Malformed> {
        let mut units = Vec::new();
        while let Some(rest) = self.text[self.at..].strip_prefix("\\u") {
            let digits = rest.get(..4).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
            let unit = digits.and_then(|text| u16::from_str_radix(text, 16).ok());
            units.push(unit.ok_or_else(|| self.fault("an unknown escape"))?);
            self.at += 6;
        }
        Ok(String::from_utf16_lossy(&units))
    }

    /// Skips blanks and comments, which alone hold the ends of lines.
    fn skip_blank(&mut self) -> Result<(), Malformed> {
        loop {
            for byte in &self.text.as_bytes()[self.at..] {
                match byte {
                    b' ' | b'\t' | b'\r' | 0xb | 0xc => {}
                    b'\n' => self.line += 1,
                    b'/' => break,
                    _ => return Ok(()),
                }
                self.at += 1;
            }
            let rest = &self.text[self.at..];
            self.at += if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if let Some(body) = rest.strip_prefix("/*") {
                let end = body.find("*/").ok_or_else(|| self.fault("a comment does not end"))?;
                self.line += body[..end].matches('\n').count();
                end + 4
            } else {
                return Ok(());
            };
        }
    }

    /// The byte that comes next.
    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes a sign behind blanks, if it comes next.
    fn take(&mut self, sign: u8) -> Result<bool, Malformed> {
        self.skip_blank()?;
        let is_next = self.next() == Some(sign);
        self.at += usize::from(is_next);
        Ok(is_next)
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
        check(r#""\ud83d\u0041""#, "\u{fffd}A");
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
