//! YAML, from the events of `saphyr-parser`; the tree is our own, so that aliases stay within a budget.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::{Budget, DEPTH_MAX, Kind, Malformed, Value};

/// A collection whose end has not come.
struct Open {
    line: usize,
    anchor: usize,
    kind: OpenKind,
}

enum OpenKind {
    Array(Vec<Value>),
    /// Members so far, and a key that waits for its value.
    Table(Vec<(String, Value)>, Option<(String, usize)>),
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: BTreeMap<usize, (Value, usize)>,
    done: Option<Value>,
}

pub(super) fn parse(text: &str) -> Result<Value, Malformed> {
    let mut builder = Builder::default();
    let mut budget = Budget::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            Malformed::new(error.marker().line().max(1), error.info().to_owned())
        })?;
        let line = span.start.line().max(1);
        match event {
            Event::SequenceStart(anchor, _) => {
                builder.start(line, anchor, OpenKind::Array(Vec::new()), &mut budget)?;
            }
            Event::MappingStart(anchor, _) => {
                builder.start(line, anchor, OpenKind::Table(Vec::new(), None), &mut budget)?;
            }
            Event::SequenceEnd | Event::MappingEnd => builder.end(&mut budget)?,
            Event::Scalar(text, style, anchor, tag) => {
                budget.take(1, line)?;
                let is_plain = style == ScalarStyle::Plain && tag.is_none();
                let kind = if is_plain { plain(&text) } else { Kind::String(text.into_owned()) };
                builder.add(Value { line, kind }, anchor, 1);
            }
            Event::Alias(anchor) => {
                let (value, size) = builder
                    .anchors
                    .get(&anchor)
                    .cloned()
                    .unwrap_or((Value { line, kind: Kind::Null }, 1));
                budget.take(size, line)?;
                builder.add(Value { line, ..value }, 0, size);
            }
            Event::DocumentEnd if builder.done.as_ref().is_some_and(|v| v.kind != Kind::Null) => {
                break;
            }
            _ => {}
        }
    }
    Ok(builder.done.unwrap_or(Value { line: 1, kind: Kind::Null }))
}

impl Builder {
    fn start(
        &mut self,
        line: usize,
        anchor: usize,
        kind: OpenKind,
        budget: &mut Budget,
    ) -> Result<(), Malformed> {
        budget.take(1, line)?;
        if self.open.len() >= DEPTH_MAX {
            return Err(Malformed::new(
                line,
                format!("more than {DEPTH_MAX} values inside each other"),
            ));
        }
        self.open.push(Open { line, anchor, kind });
        Ok(())
    }

    fn end(&mut self, budget: &mut Budget) -> Result<(), Malformed> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let kind = match open.kind {
            OpenKind::Array(items) => Kind::Array(items),
            OpenKind::Table(members, _) => Kind::Table(merged(members)),
        };
        let value = Value { line: open.line, kind };
        let size = if open.anchor > 0 { size(&value) } else { 0 };
        // What has an anchor is kept twice.
        budget.take(size, open.line)?;
        self.add(value, open.anchor, size);
        Ok(())
    }

    /// `size` is needed of what has an anchor alone.
    fn add(&mut self, value: Value, anchor: usize, size: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, (value.clone(), size));
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.done = Some(value),
            Some(OpenKind::Array(items)) => items.push(value),
            Some(OpenKind::Table(members, waiting)) => match waiting.take() {
                None => *waiting = Some((value.text().unwrap_or_default(), value.line)),
                Some((key, line)) => members.push((key, Value { line, ..value })),
            },
        }
    }
}

/// Members of a table that `<<` names come before the table's own, which then count.
fn merged(members: Vec<(String, Value)>) -> Vec<(String, Value)> {
    if !members.iter().any(|(key, _)| key == "<<") {
        return members;
    }
    let (merges, own): (Vec<_>, Vec<_>) = members.into_iter().partition(|(key, _)| key == "<<");
    let mut all = Vec::new();
    for (_, value) in merges {
        let tables = match value.kind {
            Kind::Array(items) => items,
            _ => vec![value],
        };
        for table in tables.into_iter().rev() {
            if let Kind::Table(members) = table.kind {
                all.extend(members);
            }
        }
    }
    all.extend(own);
    all
}

fn size(value: &Value) -> usize {
    1 + match &value.kind {
        Kind::Array(items) => items.iter().map(size).sum(),
        Kind::Table(members) => members.iter().map(|(_, value)| size(value)).sum(),
        _ => 0,
    }
}

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
    fn the_first_document_that_is_not_empty_counts() {
        assert_eq!(parse("---\n---\na: b\n---\nc: d\n").unwrap().str_at(&["a"]), Some("b"));
        assert_eq!(parse("").unwrap().kind, Kind::Null);
        assert!(parse("a: [b\nc: d: e").is_err());
    }
}
