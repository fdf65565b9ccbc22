//! JSON as people write it: comments, and commas before a closing bracket.
//!
//! The reader of specs is strict and points at columns; this one takes what the tools of an ecosystem take.
//! The crate `jsonc-parser` takes a line break inside a text, refuses half a surrogate pair, and its limit of 512
//! values inside each other overflows a stack of 256 KiB (0.34).

use super::value::{Budget, Kind, Lines, Malformed, VALUES_MAX, Value, check_depth};

/// Reads JSON; comments and commas before a closing bracket are let pass, as `tsconfig.json` has them.
///
/// # Errors
/// [`Malformed`].
pub fn parse(text: &str) -> Result<Value, Malformed> {
    let mut reader =
        Reader { text, rest: text, lines: Lines::of(text), budget: Budget(VALUES_MAX) };
    let value = reader.value(0)?;
    reader.skip_blank()?;
    match reader.rest {
        "" => Ok(value),
        _ => Err(reader.fault("text after the end of the value")),
    }
}

struct Reader<'a> {
    text: &'a str,
    /// What was not read yet; a part of `text`.
    rest: &'a str,
    lines: Lines,
    budget: Budget,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, Malformed> {
        self.skip_blank()?;
        let line = self.line();
        self.budget.take(1, line)?;
        check_depth(depth, line)?;
        let kind = match self.rest.chars().next() {
            Some('{') => Kind::Table(self.list('}', |reader| reader.member(depth + 1))?),
            Some('[') => Kind::Array(self.list(']', |reader| reader.value(depth + 1))?),
            Some('"') => Kind::String(self.string()?),
            Some(_) => self.word()?,
            None => return Err(self.fault("the text ends too early")),
        };
        Ok(Value { line, kind })
    }

    /// All between two brackets.
    fn list<T>(
        &mut self,
        close: char,
        one: impl Fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        self.skip(1);
        let mut all = Vec::new();
        while !self.take(close)? {
            all.push(one(self)?);
            if !self.take(',')? && !self.rest.starts_with(close) {
                return Err(self.fault(format!("expected `,` or `{close}`")));
            }
        }
        Ok(all)
    }

    fn member(&mut self, depth: usize) -> Result<(String, Value), Malformed> {
        if !self.rest.starts_with('"') {
            return Err(self.fault("expected a key in quotes or `}`"));
        }
        let line = self.line();
        let key = self.string()?;
        if !self.take(':')? {
            return Err(self.fault("expected `:` after a key"));
        }
        Ok((key, Value { line, ..self.value(depth)? }))
    }

    /// `true`, `false`, `null` or a number.
    fn word(&mut self) -> Result<Kind, Malformed> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
        let word = &self.rest[..self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len())];
        let is_number = !word.starts_with(['+', '.']) && word.parse().is_ok_and(f64::is_finite);
        let kind = match word {
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            "null" => Kind::Null,
            _ if is_number => Kind::Number(word.to_owned()),
            _ => return Err(self.fault("expected a value")),
        };
        self.skip(word.len());
        Ok(kind)
    }

    fn string(&mut self) -> Result<String, Malformed> {
        self.skip(1);
        let mut out = String::new();
        loop {
            let end = self.rest.find(['"', '\\', '\n']).unwrap_or(self.rest.len());
            out.push_str(&self.rest[..end]);
            self.skip(end);
            let mut signs = self.rest.chars();
            let plain = match (signs.next(), signs.next()) {
                (Some('"'), _) => {
                    self.skip(1);
                    return Ok(out);
                }
                (Some('\\'), Some('u')) => {
                    out.push_str(&self.unicode()?);
                    continue;
                }
                (Some('\\'), Some(sign @ ('"' | '\\' | '/'))) => sign,
                (Some('\\'), Some('b')) => '\u{8}',
                (Some('\\'), Some('f')) => '\u{c}',
                (Some('\\'), Some('n')) => '\n',
                (Some('\\'), Some('r')) => '\r',
                (Some('\\'), Some('t')) => '\t',
                (Some('\\'), Some(_)) => return Err(self.fault("an unknown escape")),
                _ => return Err(self.fault("a text does not end on its line")),
            };
            out.push(plain);
            self.skip(2);
        }
    }

    /// UTF-16, `\uXXXX` after `\uXXXX`.
    fn unicode(&mut self) -> Result<String, Malformed> {
        let mut units = Vec::new();
        while let Some(rest) = self.rest.strip_prefix("\\u") {
            let digits = rest.get(..4).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
            let unit = digits.and_then(|text| u16::from_str_radix(text, 16).ok());
            units.push(unit.ok_or_else(|| self.fault("an unknown escape"))?);
            self.skip(6);
        }
        Ok(String::from_utf16_lossy(&units))
    }

    /// Skips blanks and comments.
    fn skip_blank(&mut self) -> Result<(), Malformed> {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
            let length = if self.rest.starts_with("//") {
                self.rest.find('\n').unwrap_or(self.rest.len())
            } else if let Some(body) = self.rest.strip_prefix("/*") {
                body.find("*/").ok_or_else(|| self.fault("a comment does not end"))? + 4
            } else {
                return Ok(());
            };
            self.skip(length);
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    /// Takes a sign behind blanks, if it comes next.
    fn take(&mut self, sign: char) -> Result<bool, Malformed> {
        self.skip_blank()?;
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        Ok(rest.is_some())
    }

    fn line(&self) -> usize {
        self.lines.line_at(self.text.len() - self.rest.len())
    }

    fn fault(&self, why: impl Into<String>) -> Malformed {
        Malformed::new(self.line(), why)
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
