//! Reading fields: every value knows its path, every mistake is noted and reading goes on.

use std::{
    cell::RefCell,
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

use super::{
    error::{Flaw, SHOWN_CHARS_MAX, safe},
    json::{Kind, Value},
    nearest::nearest,
};

/// The known fields of one kind of object.
#[derive(Debug)]
pub(super) struct Shape {
    /// Where such an object stands, as the reference page writes it; empty for a service.
    pub(super) place: &'static str,
    pub(super) fields: &'static [&'static str],
    /// All shapes of the format, to say where a misplaced field belongs.
    pub(super) all: &'static [&'static Self],
    /// Advice for fields people write that do not exist.
    pub(super) advice: &'static [(&'static str, &'static str)],
}

/// What was wrong, for all nodes of a document.
#[derive(Debug, Default)]
pub(super) struct Report {
    flaws: RefCell<Vec<Flaw>>,
}

impl Report {
    pub(super) fn into_flaws(self) -> Vec<Flaw> {
        self.flaws.into_inner()
    }

    fn push(&self, flaw: Flaw) {
        let mut flaws = self.flaws.borrow_mut();
        if flaws.len() < FLAWS_MAX {
            flaws.push(flaw);
        }
    }

    fn is_full(&self) -> bool {
        self.flaws.borrow().len() >= FLAWS_MAX
    }
}

/// Why a text is not what the field needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    expected: &'static str,
    reason: Option<String>,
    help: Option<String>,
}

impl Fault {
    /// `expected` reads after the word: a package name.
    pub(super) fn expected(expected: &'static str) -> Self {
        Self { expected, reason: None, help: None }
    }

    pub(super) fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// One step of the way from the file to a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    Root,
    Service(usize),
    Field(&'a str),
    Key(&'a str),
    Index(usize),
}

#[derive(Clone, Copy, Debug)]
struct Path<'a> {
    parent: Option<&'a Self>,
    step: Step<'a>,
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}")?;
        }
        let dot = match self.parent.map(|parent| parent.step) {
            None | Some(Step::Root) => "",
            Some(_) => ".",
        };
        match self.step {
            Step::Root => Ok(()),
            Step::Service(index) => write!(f, "services[{index}]"),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Field(name) => write!(f, "{dot}{}", safe(name, SHOWN_CHARS_MAX)),
            Step::Key(key) if is_plain(key) => write!(f, "{dot}{key}"),
            Step::Key(key) => write!(f, "[\"{}\"]", safe(key, SHOWN_CHARS_MAX)),
        }
    }
}

fn is_plain(key: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    !key.is_empty() && key.len() <= SHOWN_CHARS_MAX && key.bytes().all(plain)
}

/// A value, its path, and where to note what is wrong with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a> {
    pub(super) report: &'a Report,
    pub(super) value: Value<'a>,
    path: Path<'a>,
}

impl<'a> Node<'a> {
    pub(super) fn root(report: &'a Report, value: Value<'a>) -> Self {
        Self { report, value, path: Path { parent: None, step: Step::Root } }
    }

    fn child<'b>(&'b self, value: Value<'b>, step: Step<'b>) -> Node<'b> {
        Node { report: self.report, value, path: Path { parent: Some(&self.path), step } }
    }

    /// The path as a person finds it: `runtime.ports[0]`.
    pub(super) fn path(&self) -> String {
        self.path.to_string()
    }

    /// Notes a mistake in the value as a whole.
    pub(super) fn fail(&self, message: impl Into<String>, help: Option<String>) {
        self.note(Flaw { help, ..self.flaw(message) });
    }

    /// Notes that the value repeats one that began at byte `first`.
    pub(super) fn repeats(&self, first: usize, message: impl Into<String>) {
        self.note(Flaw { first: Some(first), ..self.flaw(message) });
    }

    fn flaw(&self, message: impl Into<String>) -> Flaw {
        Flaw::new(self.value.offset, self.value.marked_len(), message)
    }

    fn note(&self, flaw: Flaw) {
        self.report.push(Flaw { path: self.path(), ..flaw });
    }

    /// Notes that the value is not what is needed.
    pub(super) fn fault(&self, fault: Fault) {
        let reason = match fault.reason {
            Some(reason) => format!(": {reason}"),
            None => String::new(),
        };
        let message = format!("expected {}, found {}{reason}", fault.expected, self.value.shown());
        self.fail(message, fault.help);
    }

    fn noted<T>(&self, result: Result<T, Flaw>) -> Option<T> {
        result.map_err(|flaw| self.note(flaw)).ok()
    }

    /// The text of a string.
    pub(super) fn string(&self) -> Option<String> {
        if self.value.kind() == Kind::String {
            return self.noted(self.value.string());
        }
        let fault = Fault::expected("a string");
        self.fault(match self.value.kind() {
            Kind::Number | Kind::Bool => {
                fault.help(format!("write it in quotes: \"{}\"", self.value.shown()))
            }
            _ => fault,
        });
        None
    }

    /// A string that `check` accepts.
    pub(super) fn parsed<T>(&self, check: impl FnOnce(&str) -> Result<T, Fault>) -> Option<T> {
        check(&self.string()?).map_err(|fault| self.fault(fault)).ok()
    }

    pub(super) fn bool(&self) -> Option<bool> {
        match self.value.raw() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.fault(Fault::expected("true or false"));
                None
            }
        }
    }

    /// What `read` makes of the items of an array; those it refuses are left out.
    pub(super) fn list<T>(&self, mut read: impl FnMut(Node<'_>) -> Option<T>) -> Vec<T> {
        if self.value.kind() != Kind::Array {
            let fault = Fault::expected("an array");
            self.fault(match self.value.kind() {
                Kind::String | Kind::Number => {
                    fault.help(format!("even one stands in brackets: [{}]", self.value.shown()))
                }
                _ => fault,
            });
            return Vec::new();
        }
        let items = self.noted(self.value.items()).unwrap_or_default();
        let mut out = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            if self.report.is_full() {
                break;
            }
            let step = match self.path.step {
                Step::Root => Step::Service(index),
                _ => Step::Index(index),
            };
            out.extend(read(self.child(item, step)));
        }
        out
    }

    /// An object whose keys are free: `key` checks them, values are strings, `null` is left out.
    pub(super) fn table(
        &self,
        key: impl Fn(&str) -> Result<(), Fault>,
    ) -> BTreeMap<String, String> {
        let mut out = BTreeMap::new();
        for (name, key_value, value) in self.pairs("an object of strings") {
            let node = self.child(value, Step::Key(&name));
            if let Err(fault) = key(&name) {
                Node { value: key_value, ..node }.fault(fault);
            }
            let text = match value.kind() {
                Kind::Null => continue,
                _ => node.string(),
            };
            out.extend(text.map(|text| (name.clone(), text)));
        }
        out
    }

    /// An object with known fields; unknown ones are noted.
    pub(super) fn object(self, shape: &'static Shape) -> Option<Object<'a>> {
        if self.value.kind() != Kind::Object {
            self.fault(Fault::expected("an object"));
            return None;
        }
        let mut fields = Vec::new();
        for (name, key, value) in self.pairs("an object") {
            match shape.fields.iter().find(|&&field| field == name) {
                Some(&field) => fields.push((field, value)),
                None if name.starts_with("x-") || name == "$schema" => {}
                None => self.unknown(&name, key, shape),
            }
        }
        Some(Object { node: self, shape, fields })
    }

    /// Key, where the key stands, value; a repeated key is noted and left out.
    fn pairs(&self, expected: &'static str) -> Vec<(String, Value<'a>, Value<'a>)> {
        if self.value.kind() != Kind::Object {
            self.fault(Fault::expected(expected));
            return Vec::new();
        }
        let mut seen: BTreeMap<String, Value<'_>> = BTreeMap::new();
        let mut out = Vec::new();
        for (key, value) in self.noted(self.value.entries()).unwrap_or_default() {
            if self.report.is_full() {
                break;
            }
            let Some(name) = self.noted(key.string()) else { continue };
            match seen.entry(name.clone()) {
                Entry::Vacant(entry) => {
                    entry.insert(key);
                    out.push((name, key, value));
                }
                Entry::Occupied(first) => {
                    let first = first.get().offset;
                    self.child(key, Step::Key(&name)).repeats(first, "given twice");
                }
            }
        }
        out
    }

    fn unknown(&self, name: &str, key: Value<'_>, shape: &'static Shape) {
        let elsewhere = |other: &&&Shape| other.fields.contains(&name);
        let advice = shape.advice.iter().find(|(field, _)| *field == name);
        let help = if let Some((_, advice)) = advice {
            (*advice).to_owned()
        } else if let Some(near) = nearest(name, shape.fields.iter().copied()) {
            format!("did you mean `{near}`?")
        } else if let Some(other) = shape.all.iter().find(elsewhere) {
            match other.place {
                "" => format!("`{name}` belongs at the top of the service"),
                place => format!("`{name}` belongs in `{place}`"),
            }
        } else {
            let known = shape.fields.join(", ");
            format!("known here: {known}; a field that starts with `x-` is left alone")
        };
        let message = format!("unknown field `{}`", safe(name, SHOWN_CHARS_MAX));
        self.child(key, Step::Key(name)).fail(message, Some(help));
    }
}

/// An object with known fields.
#[derive(Debug)]
pub(super) struct Object<'a> {
    pub(super) node: Node<'a>,
    shape: &'static Shape,
    fields: Vec<(&'static str, Value<'a>)>,
}

impl Object<'_> {
    /// The field, unless it is absent or `null`.
    pub(super) fn get(&self, name: &'static str) -> Option<Node<'_>> {
        debug_assert!(self.shape.fields.contains(&name), "`{name}` is in the table of fields");
        let (_, value) = self.fields.iter().find(|(field, _)| *field == name)?;
        match value.kind() {
            Kind::Null => None,
            _ => Some(self.node.child(*value, Step::Field(name))),
        }
    }

    /// The field; notes that it is missing.
    pub(super) fn required(
        &self,
        name: &'static str,
        expected: &'static str,
        help: Option<&str>,
    ) -> Option<Node<'_>> {
        let field = self.get(name);
        if field.is_none() {
            let message = format!("missing: expected {expected}");
            let given = self.fields.iter().find(|(given, _)| *given == name);
            let value = given.map_or(self.node.value, |(_, value)| *value);
            self.node.child(value, Step::Field(name)).fail(message, help.map(str::to_owned));
        }
        field
    }
}

/// Mistakes kept for sorting; reading stops there.
const FLAWS_MAX: usize = 1000;
