//! XML, by the crate `roxmltree`, which refuses document type declarations and so entities of one's own.

use roxmltree::{Document, Node, NodeType, ParsingOptions};

use super::value::{DEPTH_MAX, Lines, Malformed, VALUES_MAX, check_depth};

/// An element of an XML file, without its namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Local name.
    pub name: String,
    /// Names and values, in order.
    pub attributes: Vec<(String, String)>,
    /// Text directly inside, trimmed.
    pub text: String,
    /// Elements inside, in order.
    pub children: Vec<Self>,
    /// Where it begins, from 1.
    pub line: usize,
}

impl Element {
    /// The first child of this name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of this name.
    pub fn children_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// All children named by the last name, of the first element at the path before it: `all(&["plugins", "plugin"])`.
    pub fn all<'a>(&'a self, names: &[&str]) -> impl Iterator<Item = &'a Self> {
        let (last, path) = names.split_last().unwrap_or((&"", &[]));
        let children = self.at(path).into_iter().flat_map(|element| &element.children);
        children.filter(move |child| child.name == *last)
    }

    /// A child of a child: `at(&["parent", "version"])`.
    pub fn at(&self, names: &[&str]) -> Option<&Self> {
        names.iter().try_fold(self, |element, name| element.child(name))
    }

    /// The text of a child of a child; `None` when it is empty.
    pub fn text_at(&self, names: &[&str]) -> Option<&str> {
        self.at(names).map(|element| element.text.as_str()).filter(|text| !text.is_empty())
    }

    /// An attribute's value.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Reads XML without document type declarations; namespaces are dropped.
///
/// # Errors
/// [`Malformed`].
pub fn parse(text: &str) -> Result<Element, Malformed> {
    let lines = Lines::of(text);
    check_open_tags(text, &lines)?;
    let options = ParsingOptions { nodes_limit: VALUES_MAX as u32, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options)
        .map_err(|error| Malformed::new(error.pos().row as usize, error.to_string()))?;
    element(document.root_element(), &lines, 0)
}

/// The crate gives an element that declares namespaces a list of those around it (0.21); this bounds its length.
///
/// Comments and CDATA may hold what looks like tags, so the count is not exact: far beyond the limit is enough.
fn check_open_tags(text: &str, lines: &Lines) -> Result<(), Malformed> {
    let mut open = 0_usize;
    for (at, signs) in text.as_bytes().windows(2).enumerate() {
        match signs {
            b"</" | b"/>" => open = open.saturating_sub(1),
            b"<!" | b"<?" => {}
            [b'<', _] => open += 1,
            _ => continue,
        }
        if open > 8 * DEPTH_MAX {
            return check_depth(open, lines.line_at(at));
        }
    }
    Ok(())
}

fn element(node: Node<'_, '_>, lines: &Lines, depth: usize) -> Result<Element, Malformed> {
    let line = lines.line_at(node.range().start);
    check_depth(depth, line)?;
    let attributes =
        node.attributes().map(|a| (a.name().to_owned(), a.value().to_owned())).collect();
    let mut found =
        Element { name: node.tag_name().name().to_owned(), attributes, line, ..Element::default() };
    for child in node.children() {
        match child.node_type() {
            NodeType::Element => found.children.push(element(child, lines, depth + 1)?),
            NodeType::Text => found.text.push_str(child.text().unwrap_or_default()),
            _ => {}
        }
    }
    found.text = found.text.trim().to_owned();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_by_name_with_their_line() {
        let text = "<project xmlns='x'>\n  <parent>\n    <version> 3.2.0 </version>\n  </parent>\n  <module a='b'/><module/>\n</project>";
        let root = parse(text).unwrap();
        assert_eq!(root.text_at(&["parent", "version"]), Some("3.2.0"));
        assert_eq!(root.at(&["parent", "version"]).unwrap().line, 3);
        assert_eq!(root.children_named("module").count(), 2);
        assert_eq!(root.child("module").unwrap().attribute("a"), Some("b"));
        assert_eq!(root.text_at(&["module"]), None);
    }

    #[test]
    fn entities_of_ones_own_and_broken_files_are_refused() {
        assert!(parse("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>").is_err());
        assert_eq!(parse("<a>\n<b></a>").unwrap_err().line, 2);
    }
}
