//! The value of `--output`: one record of comma separated `key=value` fields, quoted as
//! Docker quotes them.

use std::{collections::BTreeMap, error, fmt, path::PathBuf};

/// What one `--output` flag asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// `type=none`: build, and keep the result in the daemon's cache only.
    None,
    /// `type=docker`: an image in Docker, or a tar file that `docker load` takes.
    Docker {
        /// Where the tar goes; `None`: into the engine.
        dest: Option<Dest>,
        /// What else was said, ready for BuildKit's `docker` exporter.
        attrs: BTreeMap<String, String>,
    },
    /// `type=oci`: an OCI image layout in a tar file.
    Oci {
        /// Where the tar goes.
        dest: Dest,
        /// What else was said, ready for BuildKit's `oci` exporter.
        attrs: BTreeMap<String, String>,
    },
    /// `type=image`: an image that the builder keeps, or pushes to a registry itself; `type=registry` is the same, pushed.
    Image {
        /// What was said, ready for BuildKit's `image` exporter.
        attrs: BTreeMap<String, String>,
    },
}

/// Where bytes go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dest {
    /// `dest=-`
    Stdout,
    /// `dest=FILE`
    File(PathBuf),
}

impl Default for Output {
    /// `type=docker`
    fn default() -> Self {
        Self::Docker { dest: None, attrs: BTreeMap::new() }
    }
}

impl Output {
    /// Reads the value of one `--output` flag; does not look at the disk.
    ///
    /// # Errors
    /// Every [`FlagError`] says what would be understood instead.
    pub fn parse(value: &str) -> Result<Self, FlagError> {
        let fields = split_record(value)?;
        if let [bare] = fields.as_slice()
            && !bare.contains('=')
            && !bare.is_empty()
        {
            return Err(FlagError::Shorthand(bare.clone()));
        }
        let mut pairs = BTreeMap::new();
        for field in &fields {
            let Some((key, value)) = field.split_once('=') else {
                return Err(FlagError::NotAPair(field.clone()));
            };
            let key = normal_key(key);
            if pairs.insert(key.clone(), value.to_owned()).is_some() {
                return Err(FlagError::Twice(key));
            }
        }
        match pairs.remove("type").as_deref() {
            Some(name @ ("image" | "registry")) => {
                if pairs.contains_key("dest") {
                    return Err(FlagError::ImageTakesNoDest(name.to_owned()));
                }
                check_attrs(&pairs, &[&OCI_ATTRS, &IMAGE_ATTRS])?;
                pairs.remove("tar");
                if name == "registry" {
                    pairs.entry("push".to_owned()).or_insert_with(|| "true".to_owned());
                }
                Ok(Self::Image { attrs: pairs })
            }
            Some("oci") => match take_dest(&mut pairs)? {
                Some(dest) => Ok(Self::Oci { dest, attrs: pairs }),
                None => Err(FlagError::NoDest),
            },
            Some("docker") => {
                let dest = take_dest(&mut pairs)?;
                Ok(Self::Docker { dest, attrs: pairs })
            }
            Some("none") => match pairs.pop_first() {
                Some((key, _)) => Err(FlagError::NoneTakesNothing(key)),
                None => Ok(Self::None),
            },
            Some(later @ ("local" | "tar")) => Err(FlagError::LaterType(later.to_owned())),
            Some(unknown) => Err(FlagError::UnknownType(unknown.to_owned())),
            None => Err(FlagError::NoType(pairs.remove("dest"))),
        }
    }

    /// Names the exporter for `SolveRequest`; `None` when nothing is exported.
    pub fn exporter(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Docker { .. } => Some("docker"),
            Self::Oci { .. } => Some("oci"),
            Self::Image { .. } => Some("image"),
        }
    }

    /// Gives the attributes of the exporter; `dest` is a word of the client and not among them.
    pub fn exporter_attrs(&self) -> BTreeMap<String, String> {
        match self {
            Self::None => BTreeMap::new(),
            Self::Docker { attrs, .. } | Self::Oci { attrs, .. } | Self::Image { attrs } => {
                attrs.clone()
            }
        }
    }

    /// Tells where the bytes go; `None` when there will be none, or an engine gets them.
    pub fn dest(&self) -> Option<&Dest> {
        match self {
            Self::None | Self::Image { .. } => None,
            Self::Docker { dest, .. } => dest.as_ref(),
            Self::Oci { dest, .. } => Some(dest),
        }
    }

    /// The same, pushed to the registries of its names.
    ///
    /// # Errors
    /// It is no image that the builder keeps.
    pub fn pushed(self) -> Result<Self, FlagError> {
        match self {
            Self::Image { mut attrs } => {
                attrs.insert("push".to_owned(), "true".to_owned());
                Ok(Self::Image { attrs })
            }
            _ => Err(FlagError::PushNeedsImage),
        }
    }

    /// Whether the builder pushes it to a registry.
    pub fn is_pushed(&self) -> bool {
        self.says("push") || self.is_pushed_by_digest()
    }

    /// Whether it gets no tag in that registry.
    pub fn is_pushed_by_digest(&self) -> bool {
        self.says("push-by-digest")
    }

    /// Whether only the exporter of `type=image` knows that attribute.
    pub fn is_of_image(key: &str) -> bool {
        IMAGE_ATTRS.iter().any(|(name, _)| *name == key)
    }

    fn says(&self, key: &str) -> bool {
        let Self::Image { attrs } = self else { return false };
        attrs.get(key).is_some_and(|value| parse_bool(value) == Some(true))
    }

    /// Whether the image shall be in Docker.
    pub fn is_for_docker(&self) -> bool {
        matches!(self, Self::Docker { dest: None, .. })
    }
}

/// Checks all keys and takes `dest` out; `None` when it is not there, or empty.
fn take_dest(pairs: &mut BTreeMap<String, String>) -> Result<Option<Dest>, FlagError> {
    let dest = pairs.remove("dest");
    check_attrs(pairs, &[&OCI_ATTRS])?;
    // The exporter's default; said or not, the request is the same.
    pairs.remove("tar");
    match dest.as_deref() {
        None | Some("") => Ok(None),
        Some("-") => Ok(Some(Dest::Stdout)),
        Some(path) if path.contains('\0') => Err(FlagError::NulInDest),
        Some(path) => Ok(Some(Dest::File(PathBuf::from(path)))),
    }
}

impl fmt::Display for Dest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("-"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// Takes `data` for a flag; must not panic, and what is understood must be stable.
#[doc(hidden)]
pub fn fuzz_output_flag(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Output::parse(text) {
        Ok(output) => {
            let attrs = output.exporter_attrs();
            assert!(!attrs.contains_key("dest") && !attrs.contains_key("type"));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Why the value of `--output` is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlagError {
    /// A field begins with a quote that never ends.
    OpenQuote,
    /// A quote stands in the middle of a field, at this byte of the value.
    StrayQuote {
        /// Counted from 1.
        column: usize,
    },
    /// A line break outside of quotes.
    LineBreak,
    /// A lone word; Docker takes it for a folder.
    Shorthand(String),
    /// A field without `=`.
    NotAPair(String),
    /// The same key two times.
    Twice(String),
    /// No `type=`; the `dest`, if there was one.
    NoType(Option<String>),
    /// A type that peelbox will understand.
    LaterType(String),
    /// A type that nobody knows.
    UnknownType(String),
    /// `type=none` with something else.
    NoneTakesNothing(String),
    /// `type=oci` without `dest`.
    NoDest,
    /// `type=image` or `type=registry` with one.
    ImageTakesNoDest(String),
    /// `--push` with another output.
    PushNeedsImage,
    /// A NUL byte in the file name.
    NulInDest,
    /// `tar=false`: a folder instead of a tar file.
    LaterFolder,
    /// An attribute of another type.
    OtherType(String),
    /// An attribute that nobody knows.
    UnknownAttr(String),
    /// An attribute with a value that BuildKit would refuse.
    BadValue {
        /// The attribute.
        key: String,
        /// What was said.
        value: String,
        /// What would be understood.
        expected: &'static str,
    },
}

/// All that can be typed.
const TYPES: &str =
    "`type=docker`, `type=oci,dest=FILE`, `type=image`, `type=registry` or `type=none`";

impl fmt::Display for FlagError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot understand `--output`: ")?;
        match self {
            Self::OpenQuote => f.write_str("a quote is opened and never closed"),
            Self::StrayQuote { column } => write!(
                f,
                "the quote at column {column} is inside a field: put the whole field in quotes and double the quotes in it"
            ),
            Self::LineBreak => f.write_str("it has a line break"),
            Self::Shorthand(word) => write!(
                f,
                "`{word}` alone means a folder to Docker: for a tar file say `--output {}`",
                oci_line(word)
            ),
            Self::NotAPair(field) => write!(f, "`{field}` is not of the form `key=value`"),
            Self::Twice(key) => write!(f, "`{key}` is given twice"),
            Self::NoType(dest) => {
                let dest = dest.as_deref().unwrap_or("FILE");
                write!(f, "`type` is missing: say `--output {}`", oci_line(dest))
            }
            Self::LaterType(name) => {
                write!(f, "`type={name}` comes with a later version: use {TYPES}")
            }
            Self::UnknownType(name) => write!(f, "there is no `type={name}`: use {TYPES}"),
            Self::NoneTakesNothing(key) => write!(f, "`type=none` takes no `{key}`"),
            Self::NoDest => {
                f.write_str("`type=oci` needs `dest=FILE`, or `dest=-` to write to stdout")
            }
            Self::ImageTakesNoDest(name) => {
                write!(f, "`type={name}` takes no `dest`: for a file use `type=oci`")
            }
            Self::PushNeedsImage => f.write_str(
                "`--push` needs `type=image`: leave `--output` out, or build once more for it",
            ),
            Self::NulInDest => f.write_str("`dest` has a NUL byte"),
            Self::LaterFolder => f.write_str(
                "`tar=false` (a folder) comes with a later version: leave it out for a tar file",
            ),
            Self::OtherType(key) => {
                write!(f, "`{key}` belongs to `type=image`")
            }
            Self::UnknownAttr(key) => {
                if matches!(
                    key.as_str(),
                    "output" | "out" | "file" | "filename" | "path" | "destination" | "dst"
                ) {
                    return write!(f, "there is no `{key}`, you may mean `dest`");
                }
                write!(f, "there is no `{key}`, only")?;
                for (n, (known, _)) in OCI_ATTRS.iter().enumerate() {
                    write!(f, "{} `{known}`", if n == 0 { "" } else { "," })?;
                }
                f.write_str(", `dest` and `annotation.KEY`")
            }
            Self::BadValue { key, value, expected } => {
                write!(f, "`{key}={value}`: expected {expected}")
            }
        }
    }
}

impl error::Error for FlagError {}

/// What a value must look like.
#[derive(Clone, Copy)]
enum Shape {
    /// Go's `strconv.ParseBool`, which the daemon uses.
    Bool,
    /// `tar`: only the default is served yet.
    TarOnly,
    Compression,
    Integer,
    /// Seconds since 1970, or nothing at all to switch it off.
    Epoch,
    Any,
}

/// The attributes of the `oci` exporter (BuildKit v0.32,
/// `exporter/containerimage/exptypes/keys.go` and `exporter/oci/export.go`). The
/// daemon takes an unknown one for result metadata, hence the closed list.
const OCI_ATTRS: [(&str, Shape); 11] = [
    ("name", Shape::Any),
    ("compression", Shape::Compression),
    ("compression-level", Shape::Integer),
    ("force-compression", Shape::Bool),
    ("oci-mediatypes", Shape::Bool),
    ("oci-artifact", Shape::Bool),
    ("attestation-inline", Shape::Bool),
    ("prefer-nondist-layers", Shape::Bool),
    ("rewrite-timestamp", Shape::Bool),
    ("source-date-epoch", Shape::Epoch),
    ("tar", Shape::TarOnly),
];

/// Attributes that only `type=image` has (the same keys; `exporter/containerimage/opts.go`).
const IMAGE_ATTRS: [(&str, Shape); 8] = [
    ("push", Shape::Bool),
    ("push-by-digest", Shape::Bool),
    ("registry.insecure", Shape::Bool),
    ("name-canonical", Shape::Bool),
    ("dangling-name-prefix", Shape::Any),
    ("danging-name-empty-only", Shape::Bool),
    ("unpack", Shape::Bool),
    ("store", Shape::Bool),
];

/// `known`: the lists of what may be said.
fn check_attrs(
    pairs: &BTreeMap<String, String>,
    known: &[&[(&str, Shape)]],
) -> Result<(), FlagError> {
    pairs.iter().try_for_each(|(key, value)| check_attr(key, value, known))
}

fn check_attr(key: &str, value: &str, known: &[&[(&str, Shape)]]) -> Result<(), FlagError> {
    if is_annotation(key) {
        return Ok(());
    }
    let Some((_, shape)) = known.iter().copied().flatten().find(|(name, _)| *name == key) else {
        return Err(match Output::is_of_image(key) {
            true => FlagError::OtherType(key.to_owned()),
            false => FlagError::UnknownAttr(key.to_owned()),
        });
    };
    let bad = |expected| {
        Err(FlagError::BadValue { key: key.to_owned(), value: value.to_owned(), expected })
    };
    match shape {
        Shape::Bool if parse_bool(value).is_none() => bad("`true` or `false`"),
        Shape::TarOnly => match parse_bool(value) {
            Some(true) => Ok(()),
            Some(false) => Err(FlagError::LaterFolder),
            None => bad("`true`"),
        },
        Shape::Compression if !matches!(value, "uncompressed" | "gzip" | "estargz" | "zstd") => {
            bad("`gzip`, `zstd`, `estargz` or `uncompressed`")
        }
        Shape::Integer if value.parse::<i32>().is_err() => bad("a number"),
        Shape::Epoch if !value.is_empty() && value.parse::<i64>().is_err() => {
            bad("seconds since 1970")
        }
        _ => Ok(()),
    }
}

/// Knows `annotation.KEY`, `annotation-KIND.KEY` and `annotation-KIND[PLATFORM].KEY`
/// (BuildKit v0.32, `exporter/containerimage/exptypes/annotations.go`).
fn is_annotation(key: &str) -> bool {
    let Some(rest) = key.strip_prefix("annotation") else { return false };
    let kinds = ["-manifest-descriptor", "-index-descriptor", "-manifest", "-index"];
    let rest = kinds.iter().find_map(|kind| rest.strip_prefix(kind)).unwrap_or(rest);
    let rest = match rest.strip_prefix('[').map(|inner| inner.split_once(']')) {
        Some(Some((platform, rest))) if !platform.is_empty() => rest,
        Some(_) => return false,
        None => rest,
    };
    rest.strip_prefix('.').is_some_and(|name| !name.is_empty())
}

/// Folds keys to lower case as Docker does, but leaves an annotation's own name alone.
fn normal_key(key: &str) -> String {
    let key = key.trim();
    let folded = key.to_ascii_lowercase();
    if !is_annotation(&folded) {
        return folded;
    }
    // ASCII folding keeps lengths, so a position in `folded` is one in `key`. A platform may
    // hold dots of its own (`windows(10.0.17763)/amd64`).
    let open = folded.find(['[', '.']).filter(|at| folded[*at..].starts_with('['));
    let name = match open {
        Some(_) => folded.find("].").map(|at| at + 1),
        None => folded.find('.'),
    };
    let name = name.unwrap_or(folded.len());
    format!("{}{}", &folded[..name], &key[name..])
}

fn parse_bool(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Splits one record as Go's `encoding/csv` does, on which Docker's flags rest: a field
/// that begins with a quote ends at the next single quote, and `""` stands for one.
pub(crate) fn split_record(value: &str) -> Result<Vec<String>, FlagError> {
    let mut fields = Vec::new();
    let mut rest = value;
    let column = |rest: &str| value.len() - rest.len() + 1;
    loop {
        let Some(mut quoted) = rest.strip_prefix('"') else {
            let end = rest.find(',').unwrap_or(rest.len());
            let (field, after) = rest.split_at(end);
            if let Some(at) = field.find('"') {
                return Err(FlagError::StrayQuote { column: column(rest) + at });
            }
            if field.contains(['\n', '\r']) {
                return Err(FlagError::LineBreak);
            }
            fields.push(field.to_owned());
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None => return Ok(fields),
            }
            continue;
        };
        let mut field = String::new();
        let after = loop {
            let (text, after) = quoted.split_once('"').ok_or(FlagError::OpenQuote)?;
            field.push_str(text);
            let Some(next) = after.strip_prefix('"') else { break after };
            field.push('"');
            quoted = next;
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => return Err(FlagError::StrayQuote { column: column(after) - 1 }),
        }
    }
}

/// Writes the flag's value for `dest`, quoted where CSV asks for it.
fn oci_line(dest: &str) -> String {
    let field = format!("dest={dest}");
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("'type=oci,\"{}\"'", field.replace('"', "\"\"")),
        false => format!("type=oci,{field}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate_corpus;

    fn oci(dest: Dest, attrs: &[(&str, &str)]) -> Output {
        let attrs = attrs.iter().map(|(k, v)| (String::from(*k), String::from(*v))).collect();
        Output::Oci { dest, attrs }
    }

    fn file(path: &str) -> Dest {
        Dest::File(path.into())
    }

    fn check(value: &str, expected: &Output) {
        assert_eq!(Output::parse(value).as_ref(), Ok(expected), "{value}");
    }

    fn refused(value: &str, expected: FlagError, says: &str) {
        let error = Output::parse(value).expect_err(value);
        assert_eq!(error, expected, "{value}");
        let text = error.to_string();
        assert!(text.contains(says), "`{text}` should say `{says}`");
    }

    #[test]
    fn the_forms_of_the_issue_are_understood() {
        check("type=oci,dest=app.tar", &oci(file("app.tar"), &[]));
        check("dest=/a/b c.tar,type=oci", &oci(file("/a/b c.tar"), &[]));
        check("type=oci,dest=-", &oci(Dest::Stdout, &[]));
        check("type=none", &Output::None);
        check("type=docker", &Output::default());
        let attrs = BTreeMap::from([("compression".to_owned(), "zstd".to_owned())]);
        let docker = Output::Docker { dest: Some(file("a.tar")), attrs };
        check("type=docker,dest=a.tar,compression=zstd", &docker);
        assert!(Output::default().is_for_docker() && !docker.is_for_docker());
        check("TYPE=oci, Dest=a=b.tar", &oci(file("a=b.tar"), &[]));
    }

    #[test]
    fn quotes_are_read_as_go_reads_them() {
        check(r#"type=oci,"dest=a,b.tar""#, &oci(file("a,b.tar"), &[]));
        check(r#""type=oci","dest=say ""hi"".tar""#, &oci(file("say \"hi\".tar"), &[]));
        check("type=oci,\"dest=a\nb\"", &oci(file("a\nb"), &[]));
        refused(r#"type=oci,dest="a.tar""#, FlagError::StrayQuote { column: 15 }, "column 15");
        refused(r#""type=oci"x,dest=a"#, FlagError::StrayQuote { column: 10 }, "column 10");
        refused(r#""type=oci"#, FlagError::OpenQuote, "never closed");
        refused("type=oci\n,dest=a", FlagError::LineBreak, "line break");
        refused("type=oci,,dest=a", FlagError::NotAPair(String::new()), "key=value");
        refused("", FlagError::NotAPair(String::new()), "key=value");
        refused("type=oci,dest=a,", FlagError::NotAPair(String::new()), "key=value");
    }

    #[test]
    fn attributes_of_the_oci_exporter_pass_and_the_dest_does_not() {
        let line = "type=oci,dest=a,compression=zstd,compression-level=3,force-compression=true,\
                    oci-mediatypes=1,rewrite-timestamp=T,source-date-epoch=,name=x:y,tar=true";
        let expected = [
            ("compression", "zstd"),
            ("compression-level", "3"),
            ("force-compression", "true"),
            ("name", "x:y"),
            ("oci-mediatypes", "1"),
            ("rewrite-timestamp", "T"),
            ("source-date-epoch", ""),
        ];
        check(line, &oci(file("a"), &expected));
        let attrs = Output::parse(line).unwrap().exporter_attrs();
        assert_eq!(attrs.len(), expected.len());
    }

    #[test]
    fn annotations_keep_the_case_of_their_names_only() {
        for (given, sent) in [
            ("annotation.org.Example.A", "annotation.org.Example.A"),
            ("Annotation-Index.Foo", "annotation-index.Foo"),
            ("annotation-manifest[linux/AMD64].Foo.B", "annotation-manifest[linux/amd64].Foo.B"),
            ("annotation[linux/arm64].k", "annotation[linux/arm64].k"),
            ("annotation[Windows(10.0)/amd64].K", "annotation[windows(10.0)/amd64].K"),
            ("annotation.A].B", "annotation.A].B"),
            ("annotation-manifest-descriptor.k", "annotation-manifest-descriptor.k"),
        ] {
            check(&format!("type=oci,dest=a,{given}=V"), &oci(file("a"), &[(sent, "V")]));
        }
        for wrong in
            ["annotation", "annotation.", "annotation-x.k", "annotation[.k", "annotation[].k"]
        {
            refused(
                &format!("type=oci,dest=a,{wrong}=V"),
                FlagError::UnknownAttr(wrong.into()),
                wrong,
            );
        }
    }

    #[test]
    fn a_lone_word_is_answered_with_the_line_to_type() {
        refused("app.tar", FlagError::Shorthand("app.tar".into()), "type=oci,dest=app.tar");
        refused("-", FlagError::Shorthand("-".into()), "type=oci,dest=-");
        refused(".", FlagError::Shorthand(".".into()), "folder");
        let quoted = FlagError::Shorthand("a,b".into());
        refused(r#""a,b""#, quoted, r#"'type=oci,"dest=a,b"'"#);
        refused("dest=x.tar", FlagError::NoType(Some("x.tar".into())), "type=oci,dest=x.tar");
        refused("name=x", FlagError::NoType(None), "type=oci,dest=FILE");
    }

    #[test]
    fn types_of_later_versions_are_told_apart_from_unknown_ones() {
        for later in ["local", "tar"] {
            refused(
                &format!("type={later},dest=x"),
                FlagError::LaterType(later.into()),
                "comes with a later version: use `type=docker`",
            );
        }
        refused("type=zip,dest=x", FlagError::UnknownType("zip".into()), "`type=none`");
        refused("type=,dest=x", FlagError::UnknownType(String::new()), "`type=none`");
        refused("type=oci,dest=x,tar=false", FlagError::LaterFolder, "later version");
        refused("type=oci,dest=x,push=true", FlagError::OtherType("push".into()), "type=image");
    }

    #[test]
    fn an_image_is_pushed_where_that_is_said() {
        let image = |attrs: &[(&str, &str)]| Output::Image {
            attrs: attrs.iter().map(|(k, v)| (String::from(*k), String::from(*v))).collect(),
        };
        check("type=image", &image(&[]));
        check("type=image,push=false", &image(&[("push", "false")]));
        check("type=registry", &image(&[("push", "true")]));
        check(
            "type=registry,compression=zstd,registry.insecure=true",
            &image(&[("compression", "zstd"), ("push", "true"), ("registry.insecure", "true")]),
        );
        assert!(!image(&[]).is_pushed() && !image(&[("push", "false")]).is_pushed());
        assert!(image(&[("push", "true")]).is_pushed());
        assert!(image(&[("push-by-digest", "1")]).is_pushed());
        assert!(image(&[]).pushed().unwrap().is_pushed());
        assert_eq!(Output::None.pushed(), Err(FlagError::PushNeedsImage));
        let no_dest = FlagError::ImageTakesNoDest("registry".into());
        refused("type=registry,dest=x", no_dest, "`type=oci`");
        refused("type=image,pull=true", FlagError::UnknownAttr("pull".into()), "`pull`");
    }

    #[test]
    fn wrong_attributes_name_what_is_understood() {
        refused("type=oci", FlagError::NoDest, "dest=FILE");
        refused("type=oci,dest=", FlagError::NoDest, "dest=-");
        refused("type=oci,dest=a\0b", FlagError::NulInDest, "NUL");
        refused("type=none,dest=x", FlagError::NoneTakesNothing("dest".into()), "`dest`");
        refused("type=oci,dest=a,dest=b", FlagError::Twice("dest".into()), "twice");
        refused("type=oci,type=oci", FlagError::Twice("type".into()), "twice");
        refused("type=oci,output=a", FlagError::UnknownAttr("output".into()), "mean `dest`");
        refused("type=oci,dest=a,file=a", FlagError::UnknownAttr("file".into()), "`dest`");
        let unknown = FlagError::UnknownAttr("containerimage.config".into());
        refused("type=oci,dest=a,containerimage.config={}", unknown, "`rewrite-timestamp`");
        let bad = |key: &str, value: &str, expected| FlagError::BadValue {
            key: key.into(),
            value: value.into(),
            expected,
        };
        refused(
            "type=oci,dest=a,compression=lz4",
            bad("compression", "lz4", "`gzip`, `zstd`, `estargz` or `uncompressed`"),
            "`compression=lz4`",
        );
        refused(
            "type=oci,dest=a,force-compression=yes",
            bad("force-compression", "yes", "`true` or `false`"),
            "expected `true`",
        );
        refused(
            "type=oci,dest=a,compression-level=high",
            bad("compression-level", "high", "a number"),
            "a number",
        );
        refused(
            "type=oci,dest=a,source-date-epoch=today",
            bad("source-date-epoch", "today", "seconds since 1970"),
            "1970",
        );
    }

    #[test]
    fn no_bytes_make_the_parser_panic() {
        mutate_corpus("output_flag", b"\",=[]-.\n\0at", 400, fuzz_output_flag);
    }
}
