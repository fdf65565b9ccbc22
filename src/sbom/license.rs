//! Declared licences → licence expressions as SPDX documents have them (SPDX 2.3, annex D).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use crate::digest::sha256_hex;

/// A licence that may stand in an SPDX document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Declared {
    /// `MIT OR LicenseRef-custom`.
    pub(super) expression: String,
    /// What stands for each `LicenseRef-` of the expression.
    pub(super) extracted: BTreeMap<String, String>,
}

/// Reads what a package declares; `None` if it declares nothing.
///
/// Names that are not on SPDX' list become references with the name as their text; so does the whole text if it is no
/// expression.
pub(super) fn declared(text: &str) -> Option<Declared> {
    let text = text.trim();
    if text.is_empty() || matches!(text, "NONE" | "NOASSERTION") {
        return None;
    }
    if let Some(id) = known(text) {
        return Some(Declared { expression: id, ..Declared::default() });
    }
    let expression = expression(text);
    Some(expression.unwrap_or_else(|| {
        let mut declared = Declared::default();
        declared.expression = declared.reference(text);
        declared
    }))
}

impl Declared {
    /// A name for `text`, which is noted.
    fn reference(&mut self, text: &str) -> String {
        let id = reference_id(text);
        self.extracted.insert(id.clone(), text.to_owned());
        id
    }
}

/// What the last token was.
enum State<'a> {
    /// Nothing, an operator or `(`: a licence or `(` must follow.
    Open,
    /// A licence that begins here in the expression.
    License { begin: usize, word: &'a str },
    /// `)`.
    Closed,
}

/// `None` if names, operators and parentheses are not in the order of an expression.
fn expression(text: &str) -> Option<Declared> {
    let mut declared = Declared::default();
    let mut depth = 0_usize;
    let mut state = State::Open;
    let tokens = tokens(text);
    let mut tokens = tokens.iter().copied();
    while let Some(token) = tokens.next() {
        let operator = ["AND", "OR", "WITH"].into_iter().find(|o| o.eq_ignore_ascii_case(token));
        match (&state, token, operator) {
            (State::Open, "(", _) => {
                depth += 1;
                declared.expression.push('(');
            }
            (State::License { .. } | State::Closed, ")", _) => {
                depth = depth.checked_sub(1)?;
                declared.expression.push(')');
                state = State::Closed;
            }
            (State::License { begin, word }, _, Some("WITH")) => {
                let exception = tokens.next()?;
                let (begin, word) = (*begin, *word);
                declared.add_exception(begin, word, exception);
                state = State::Closed;
            }
            (State::License { .. } | State::Closed, _, Some(operator @ ("AND" | "OR"))) => {
                declared.expression = format!("{} {operator} ", declared.expression);
                state = State::Open;
            }
            (State::Open, word, None) if word != ")" => {
                let begin = declared.expression.len();
                let id = known_word(word).unwrap_or_else(|| declared.reference(word));
                declared.expression.push_str(&id);
                state = State::License { begin, word };
            }
            _ => return None,
        }
    }
    let is_complete = depth == 0 && !matches!(state, State::Open);
    (is_complete && declared.expression.len() <= EXPRESSION_BYTES_MAX).then_some(declared)
}

impl Declared {
    /// `GPL-2.0-only` at `begin` → `GPL-2.0-only WITH Classpath-exception-2.0`, or one reference for both if the exception is
    /// not on the list.
    fn add_exception(&mut self, begin: usize, word: &str, exception: &str) {
        if let Some(known) = EXCEPTIONS.get(exception.to_ascii_lowercase().as_str())
            && IDS.values().any(|id| *id == &self.expression[begin..])
        {
            self.expression = format!("{} WITH {known}", self.expression);
            return;
        }
        let own = self.expression.split_off(begin);
        let is_used = self.expression.contains(&own);
        if !is_used {
            self.extracted.remove(&own);
        }
        let reference = self.reference(&format!("{word} WITH {exception}"));
        self.expression.push_str(&reference);
    }
}

/// Words and parentheses.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    for word in text.split_whitespace() {
        let mut rest = word;
        while let Some(at) = rest.find(['(', ')']) {
            tokens.extend((at > 0).then(|| &rest[..at]));
            tokens.push(&rest[at..=at]);
            rest = &rest[at + 1..];
        }
        tokens.extend((!rest.is_empty()).then_some(rest));
    }
    tokens
}

/// A word of an expression; `MIT/Apache-2.0` is how Cargo and npm wrote a choice once.
fn known_word(word: &str) -> Option<String> {
    known(word).or_else(|| {
        let ids: Option<Vec<_>> = word.split('/').map(known).collect();
        ids.filter(|ids| ids.len() > 1).map(|ids| format!("({})", ids.join(" OR ")))
    })
}

/// The identifier on SPDX' list for a name, whatever its case; deprecated ones become those that took their place.
///
/// A `+` (`EPL-1.0+`) is understood only of the licences of GNU, as SPDX' own tools know no others with it.
fn known(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    if let Some(id) = gnu(&lower).or_else(|| alias(&lower)) {
        return Some(id);
    }
    IDS.get(lower.as_str()).map(|id| (*id).to_owned())
}

/// `gpl-2`, `gplv2+`, `lgpl-2.1`, `agpl-3.0-or-later`: the licences of GNU by all their names.
fn gnu(lower: &str) -> Option<String> {
    let (family, rest) = ["agpl", "lgpl", "gpl", "gfdl"]
        .into_iter()
        .find_map(|family| Some((family, lower.strip_prefix(family)?)))?;
    let (rest, is_later) = match rest.strip_suffix('+').or_else(|| rest.strip_suffix("-or-later")) {
        Some(rest) => (rest, true),
        None => (rest.strip_suffix("-only").unwrap_or(rest), false),
    };
    let version = rest.trim_start_matches(['-', ' ', 'v']);
    let version = if version.contains('.') { version.to_owned() } else { format!("{version}.0") };
    let which = if is_later { "or-later" } else { "only" };
    let id = format!("{family}-{version}-{which}");
    IDS.get(id.as_str()).map(|id| (*id).to_owned())
}

fn alias(lower: &str) -> Option<String> {
    let url = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://"));
    let name = match url {
        Some(url) => [".txt", ".html", ".php", "/"]
            .into_iter()
            .fold(url.strip_prefix("www.").unwrap_or(url), |url, end| url.trim_end_matches(end)),
        None => lower,
    };
    let found = ALIASES.iter().find(|(alias, _)| *alias == name);
    found.map(|(_, id)| (*id).to_owned())
}

/// `LicenseRef-` and what is left of the text without odd characters, made unique if that is not all of it.
fn reference_id(text: &str) -> String {
    let bare = text.strip_prefix("LicenseRef-").unwrap_or(text);
    let mut id = String::new();
    for c in bare.chars().take(ID_CHARS_MAX) {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' => id.push(c),
            _ if id.ends_with('-') => {}
            _ => id.push('-'),
        }
    }
    let id = id.trim_matches('-');
    if id == bare {
        return format!("LicenseRef-{id}");
    }
    let unique = &sha256_hex(bare.as_bytes())[..8];
    match id {
        "" => format!("LicenseRef-{unique}"),
        id => format!("LicenseRef-{id}-{unique}"),
    }
}

/// Every identifier of SPDX' list by its lower-case form.
static IDS: LazyLock<BTreeMap<String, &str>> = LazyLock::new(|| by_lower_case(LIST));
static EXCEPTIONS: LazyLock<BTreeMap<String, &str>> =
    LazyLock::new(|| by_lower_case(EXCEPTION_LIST));

fn by_lower_case(list: &'static str) -> BTreeMap<String, &'static str> {
    list.lines().map(|id| (id.to_ascii_lowercase(), id)).collect()
}

/// All the references of some licences.
pub(super) fn references<'a>(
    all: impl Iterator<Item = &'a Declared>,
) -> BTreeSet<(&'a str, &'a str)> {
    all.flat_map(|declared| &declared.extracted)
        .map(|(id, text)| (id.as_str(), text.as_str()))
        .collect()
}

/// The identifiers of the SPDX licence list, deprecated ones included, that SPDX' own tools for Python know.
const LIST: &str = include_str!("license_ids.txt");
const EXCEPTION_LIST: &str = include_str!("license_exceptions.txt");
/// Longer ones are whole licence texts, or made to annoy.
const EXPRESSION_BYTES_MAX: usize = 16 * 1024;
const ID_CHARS_MAX: usize = 64;

/// Other names in use, in lower case, of licences that they name without doubt.
const ALIASES: &[(&str, &str)] = &[
    ("apache 2", "Apache-2.0"),
    ("apache 2.0", "Apache-2.0"),
    ("apache license 2.0", "Apache-2.0"),
    ("apache license version 2.0", "Apache-2.0"),
    ("apache license, version 2.0", "Apache-2.0"),
    ("apache-2", "Apache-2.0"),
    ("apache.org/licenses/license-2.0", "Apache-2.0"),
    ("asl 2.0", "Apache-2.0"),
    ("the apache license, version 2.0", "Apache-2.0"),
    ("the apache software license, version 2.0", "Apache-2.0"),
    ("bsd 2-clause", "BSD-2-Clause"),
    ("bsd-2", "BSD-2-Clause"),
    ("simplified bsd", "BSD-2-Clause"),
    ("3-clause bsd license", "BSD-3-Clause"),
    ("bsd 3-clause", "BSD-3-Clause"),
    ("bsd 3-clause license", "BSD-3-Clause"),
    ("bsd-3", "BSD-3-Clause"),
    ("new bsd", "BSD-3-Clause"),
    ("new bsd license", "BSD-3-Clause"),
    ("opensource.org/licenses/bsd-3-clause", "BSD-3-Clause"),
    ("boost software license 1.0 (bsl-1.0)", "BSL-1.0"),
    ("cc0", "CC0-1.0"),
    ("creativecommons.org/publicdomain/zero/1.0", "CC0-1.0"),
    ("eclipse.org/legal/epl-v10", "EPL-1.0"),
    ("eclipse.org/legal/epl-2.0", "EPL-2.0"),
    ("eclipse.org/legal/epl-v20", "EPL-2.0"),
    ("expat", "MIT"),
    ("gfdl-niv-1.2", "GFDL-1.2-no-invariants-only"),
    ("gfdl-niv-1.2+", "GFDL-1.2-no-invariants-or-later"),
    ("gfdl-niv-1.3", "GFDL-1.3-no-invariants-only"),
    ("gfdl-niv-1.3+", "GFDL-1.3-no-invariants-or-later"),
    ("gnu affero general public license v3", "AGPL-3.0-only"),
    ("gnu affero general public license v3 or later (agplv3+)", "AGPL-3.0-or-later"),
    ("gnu general public license v2 (gplv2)", "GPL-2.0-only"),
    ("gnu general public license v2 or later (gplv2+)", "GPL-2.0-or-later"),
    ("gnu general public license v3 (gplv3)", "GPL-3.0-only"),
    ("gnu general public license v3 or later (gplv3+)", "GPL-3.0-or-later"),
    ("gnu lesser general public license v2 or later (lgplv2+)", "LGPL-2.0-or-later"),
    ("gnu lesser general public license v3 (lgplv3)", "LGPL-3.0-only"),
    ("gnu lesser general public license v3 or later (lgplv3+)", "LGPL-3.0-or-later"),
    ("isc license", "ISC"),
    ("isc license (iscl)", "ISC"),
    ("mit license", "MIT"),
    ("the mit license", "MIT"),
    ("the mit license (mit)", "MIT"),
    ("opensource.org/licenses/mit", "MIT"),
    ("opensource.org/licenses/mit-license", "MIT"),
    ("mozilla public license 2.0 (mpl 2.0)", "MPL-2.0"),
    ("mplv1.1", "MPL-1.1"),
    ("mplv2.0", "MPL-2.0"),
    ("psf", "PSF-2.0"),
    ("python software foundation license", "PSF-2.0"),
    ("the unlicense (unlicense)", "Unlicense"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    fn expression_of(text: &str) -> String {
        declared(text).map(|declared| declared.expression).unwrap_or_default()
    }

    #[test]
    fn names_become_identifiers_of_the_list() {
        for (text, want) in [
            ("mit", "MIT"),
            ("Apache License, Version 2.0", "Apache-2.0"),
            ("https://www.apache.org/licenses/LICENSE-2.0.txt", "Apache-2.0"),
            ("GPL-2+", "GPL-2.0-or-later"),
            ("GPLv2", "GPL-2.0-only"),
            ("GPL-2.0", "GPL-2.0-only"),
            ("LGPLv2.1+", "LGPL-2.1-or-later"),
            ("GFDL-1.3", "GFDL-1.3-only"),
            ("MIT/Apache-2.0", "(MIT OR Apache-2.0)"),
            (
                " (MIT or zlib) and GPL-2 with Classpath-exception-2.0",
                "(MIT OR Zlib) AND GPL-2.0-only WITH Classpath-exception-2.0",
            ),
        ] {
            assert_eq!(expression_of(text), want, "{text}");
            assert!(declared(text).unwrap().extracted.is_empty(), "{text}");
        }
    }

    #[test]
    fn what_is_not_on_the_list_becomes_a_reference_with_its_text() {
        let found = declared("MIT AND custom:x AND public-domain").unwrap();
        let custom = reference_id("custom:x");
        assert!(custom.starts_with("LicenseRef-custom-x-"));
        assert_eq!(found.expression, format!("MIT AND {custom} AND LicenseRef-public-domain"));
        assert_eq!(found.extracted[&custom], "custom:x");
        assert_eq!(found.extracted["LicenseRef-public-domain"], "public-domain");
        assert!(
            !declared("MIT/ISC WITH Classpath-exception-2.0").unwrap().expression.contains(' ')
        );
        assert_eq!(declared("EPL-1.0+").unwrap().extracted.len(), 1);
        let found = declared("GPL-2+ WITH OpenSSL-thing OR mine WITH x").unwrap();
        assert_eq!(found.extracted.len(), 2, "{found:?}");
        assert_eq!(references(std::iter::once(&found)).len(), 2);
        assert!(found.extracted.values().any(|text| text == "GPL-2+ WITH OpenSSL-thing"));
    }

    #[test]
    fn what_is_no_expression_becomes_one_reference() {
        for text in
            ["See the file", "MIT AND", "(MIT", "MIT)", "()", "AND", "MIT (ISC)", "MIT WITH", "é"]
        {
            let found = declared(text).unwrap();
            assert_eq!(found.extracted.into_values().collect::<Vec<_>>(), [text]);
            assert!(found.expression.starts_with("LicenseRef-"), "{text}");
        }
        assert_eq!(declared(" "), None);
        assert_eq!(declared("NOASSERTION"), None);
    }

    #[test]
    fn aliases_name_licences_of_the_list() {
        for (alias, id) in ALIASES {
            assert!(LIST.lines().any(|known| known == *id), "{id}");
            assert_eq!(*alias, alias.to_ascii_lowercase());
        }
    }

    #[test]
    fn mutations_become_expressions_with_all_their_texts() {
        let seed = b"(MIT OR GPL-2+ WITH x) AND LicenseRef-a/b";
        mutate(seed, b"() +/-AWO\xff", 3_000, |bytes| {
            let Some(found) = declared(&String::from_utf8_lossy(bytes)) else { return };
            let references =
                tokens(&found.expression).into_iter().filter(|t| t.starts_with("LicenseRef-"));
            for reference in references {
                assert!(found.extracted.contains_key(reference), "{found:?}");
            }
        });
    }
}
