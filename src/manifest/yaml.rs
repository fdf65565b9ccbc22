//! YAML, from the events of `saphyr-parser`; the tree is our own, so that aliases stay within a budget.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::value::{Budget, Kind, Malformed, VALUES_MAX, Value, check_depth};

/// Reads YAML 1.2: the first document that is not empty. Aliases become copies and count as values.
///
/// # Errors
/// [`Malformed`].
pub fn parse(text: &str) -> Result<Value, Malformed> {
    let budget = Budget(VALUES_MAX);
    let mut builder = Builder { open: Vec::new(), anchors: BTreeMap::new(), budget, done: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            Malformed::new(error.marker().line().max(1), error.info().to_owned())
        })?;
        let line = span.start.line().max(1);
        match event {
            Event::SequenceStart(anchor, _) => {
                builder.start(Value { line, kind: Kind::Array(Vec::new()) }, anchor)?;
            }
            Event::MappingStart(anchor, _) => {
                builder.start(Value { line, kind: Kind::Table(Vec::new()) }, anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => builder.end()?,
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain && tag.is_none();
                let kind = if is_plain { plain(&text) } else { Kind::String(text.into_owned()) };
                builder.budget.take(1, line)?;
                builder.add(Value { line, kind }, anchor)?;
            }
            Event::Alias(anchor) => {
                let known = builder.anchors.get(&anchor);
                builder.budget.take(known.map_or(1, |(_, size)| *size), line)?;
                let kind = known.map_or(Kind::Null, |(kind, _)| kind.clone());
                builder.add(Value { line, kind }, 0)?;
            }
            Event::DocumentEnd if builder.done.as_ref().is_some_and(|v| v.kind != Kind::Null) => {
                break;
            }
            _ => {}
        }
    }
    Ok(builder.done.unwrap_or(Value { line: 1, kind: Kind::Null }))
}

struct Builder {
    open: Vec<Open>,
    /// What has an anchor, and how many values that is.
    anchors: BTreeMap<usize, (Kind, usize)>,
    budget: Budget,
    done: Option<Value>,
}

/// A collection whose end has not come.
struct Open {
    value: Value,
    anchor: usize,
    /// A key of a table that waits for its value, and its line.
    key: Option<(String, usize)>,
}

impl Builder {
    fn start(&mut self, value: Value, anchor: usize) -> Result<(), Malformed> {
        self.budget.take(1, value.line)?;
        check_depth(self.open.len() + 1, value.line)?;
        self.open.push(Open { value, anchor, key: None });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Malformed> {
        let Some(Open { mut value, anchor, .. }) = self.open.pop() else { return Ok(()) };
        if let Kind::Table(members) = &mut value.kind {
            merge(members);
        }
        self.add(value, anchor)
    }

    fn add(&mut self, value: Value, anchor: usize) -> Result<(), Malformed> {
        if anchor > 0 {
            // What has an anchor is kept twice.
            let size = size(&value);
            self.budget.take(size, value.line)?;
            self.anchors.insert(anchor, (value.kind.clone(), size));
        }
        let Some(open) = self.open.last_mut() else {
            self.done = Some(value);
            return Ok(());
        };
        match (&mut open.value.kind, open.key.take()) {
            (Kind::Table(members), Some((key, line))) => {
                members.push((key, Value { line, ..value }));
            }
            (Kind::Array(items), _) => items.push(value),
            _ => open.key = Some((value.text().unwrap_or_default(), value.line)),
        }
        Ok(())
    }
}

/// Puts members of a table that `<<` names before the table's own, which then count.
fn merge(members: &mut Vec<(String, Value)>) {
    let mut own = std::mem::take(members);
    for (_, value) in own.extract_if(.., |(key, _)| key == "<<") {
        let tables = match value.kind {
            Kind::Array(items) => items,
            _ => vec![value],
        };
        for table in tables.into_iter().rev() {
            if let Kind::Table(inherited) = table.kind {
                members.extend(inherited);
            }
        }
    }
    members.append(&mut own);
}

/// How many values it is; a long text counts as more, as aliases copy it.
fn size(value: &Value) -> usize {
    1 + match &value.kind {
        Kind::String(text) | Kind::Number(text) => text.len() / TEXT_BYTES,
        Kind::Array(items) => items.iter().map(size).sum(),
        Kind::Table(members) => {
            members.iter().map(|(key, value)| key.len() / TEXT_BYTES + size(value)).sum()
        }
        _ => 0,
    }
}

/// Bytes of text for which a copy counts as a value more, about as much room as a value takes.
const TEXT_BYTES: usize = 64;

/// The core schema of YAML 1.2, section 10.3; numbers stay as they were written.
fn plain(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        _ if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
            && text.parse::<f64>().is_ok() =>
        {
            Kind::Number(text.to_owned())
        }
        _ => Kind::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_line_and_keep_how_numbers_were_written() {
        let text =
            "packages:\n  - 'apps/*'\n  - \"!x\"\nversion: 3.10\non: true\nempty:\nlast: {a: b}\n";
        let value = parse(text).unwrap();
        assert_eq!(value.get("packages").unwrap().texts(), ["apps/*", "!x"]);
        assert_eq!(value.get("version").unwrap().text().as_deref(), Some("3.10"));
        assert_eq!(value.get("version").unwrap().line, 4);
        assert!(value.get("on").unwrap().is_true());
        assert_eq!(value.get("empty").unwrap().kind, Kind::Null);
        assert_eq!(value.str_at(&["last", "a"]), Some("b"));
    }

    #[test]
    fn aliases_are_copies_and_merges_are_members() {
        let value = parse("a: &x {b: c, d: e}\nf: *x\ng:\n  <<: *x\n  d: own\n").unwrap();
        assert_eq!(value.str_at(&["f", "b"]), Some("c"));
        assert_eq!(value.str_at(&["g", "b"]), Some("c"));
        assert_eq!(value.str_at(&["g", "d"]), Some("own"));
    }

    #[test]
    fn aliases_of_aliases_end_at_the_budget() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let item = format!("*a{}", n - 1);
            text += &format!("a{n}: &a{n} [{}]\n", [item.as_str(); 10].join(", "));
        }
        assert!(parse(&text).unwrap_err().why.contains("values"));
    }

    #[test]
    fn aliases_of_a_long_text_end_at_the_budget() {
        let text = format!("a: &x {}\nb: [{}]\n", "x".repeat(100_000), "*x, ".repeat(1_000));
        assert!(parse(&text).unwrap_err().why.contains("values"));
    }

    #[test]
    fn the_first_document_that_is_not_empty_counts() {
        assert_eq!(parse("---\n---\na: b\n---\nc: d\n").unwrap().str_at(&["a"]), Some("b"));
        assert_eq!(parse("").unwrap().kind, Kind::Null);
        assert!(parse("a: [b\nc: d: e").is_err());
    }
}
