//! TOML, by the crate `toml`, which bounds its own nesting.

use ::toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::value::{Budget, Kind, Lines, Malformed, VALUES_MAX, Value};

/// Reads TOML 1.0.
///
/// # Errors
/// [`Malformed`].
pub fn parse(text: &str) -> Result<Value, Malformed> {
    // The crate holds the whole file before there is a first value, in some 150 bytes for each of these.
    let marks = text.bytes().filter(|byte| matches!(byte, b'=' | b',' | b'[' | b'\n')).count();
    if marks > MARKS_MAX {
        return Err(Malformed::new(1, format!("more than {MARKS_MAX} lines, keys and values")));
    }
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| lines.line_at(span.start));
        Malformed::new(line, error.message().lines().next().unwrap_or_default())
    })?;
    let members = members(table.into_inner(), &lines, &mut Budget(VALUES_MAX))?;
    Ok(Value { line: 1, kind: Kind::Table(members) })
}

/// The crate sorts keys; the order of the file is that of their places.
fn members(
    table: DeTable<'_>,
    lines: &Lines,
    budget: &mut Budget,
) -> Result<Vec<(String, Value)>, Malformed> {
    let mut members: Vec<_> = table.into_iter().collect();
    members.sort_by_key(|(key, _)| key.span().start);
    let one = |(key, item): (Spanned<DeString<'_>>, _)| {
        let line = lines.line_at(key.span().start);
        Ok((key.into_inner().into_owned(), Value { line, ..value(item, lines, budget)? }))
    };
    members.into_iter().map(one).collect()
}

fn value(
    item: Spanned<DeValue<'_>>,
    lines: &Lines,
    budget: &mut Budget,
) -> Result<Value, Malformed> {
    let line = lines.line_at(item.span().start);
    budget.take(1, line)?;
    let kind = match item.into_inner() {
        DeValue::String(text) => Kind::String(text.into_owned()),
        DeValue::Integer(number) => Kind::Number(number.to_string()),
        DeValue::Float(number) => Kind::Number(number.to_string()),
        DeValue::Boolean(truth) => Kind::Bool(truth),
        DeValue::Datetime(time) => Kind::Number(time.to_string()),
        DeValue::Array(items) => {
            let items: Result<_, _> =
                items.into_iter().map(|item| value(item, lines, budget)).collect();
            Kind::Array(items?)
        }
        DeValue::Table(table) => Kind::Table(members(table, lines, budget)?),
    };
    Ok(Value { line, kind })
}

/// Signs that stand beside values; a lock file of uv has about ten for each file of a package.
const MARKS_MAX: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_the_line_of_their_key() {
        let text = "[project]\nname = \"a\"\nrequires-python = '>=3.9'\n\n[tool.x]\ny = [1, 2.50, 1979-05-27]\nz.w = true\n";
        let value = parse(text).unwrap();
        assert_eq!(value.str_at(&["project", "requires-python"]), Some(">=3.9"));
        assert_eq!(value.at(&["project", "requires-python"]).unwrap().line, 3);
        let items = value.at(&["tool", "x", "y"]).unwrap();
        let texts: Vec<String> = items.items().iter().filter_map(Value::text).collect();
        assert_eq!((texts.join(" "), items.line), ("1 2.50 1979-05-27".to_owned(), 6));
        assert!(value.at(&["tool", "x", "z", "w"]).unwrap().is_true());
        let names: Vec<&str> = value.members().map(|(name, _)| name).collect();
        assert_eq!(names, ["project", "tool"]);
    }

    #[test]
    fn what_would_take_much_room_is_refused() {
        assert!(parse(&"\n".repeat(MARKS_MAX + 1)).unwrap_err().why.contains("more than 1000000"));
        for dotted in ["{}=1", "[{}]", "[[{}]]", "a={{}=1}"] {
            let text = dotted.replace("{}", &format!("{}a", "a.".repeat(500_000)));
            assert!(parse(&text).is_err(), "{dotted}");
        }
    }

    #[test]
    fn faults_name_their_line() {
        assert_eq!(parse("a = 1\nb = \n").unwrap_err().line, 2);
        assert_eq!(parse("a = 1\na = 2\n").unwrap_err().line, 2);
    }
}
