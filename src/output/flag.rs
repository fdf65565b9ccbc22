//! The value of `--output`: one record of comma separated `key=value` fields, quoted as
//! Docker quotes them.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

mod error;

pub use error::FlagError;

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
    /// `type=local`: the files of the result, in a folder.
    Local {
        /// The folder.
        dest: PathBuf,
        /// What else was said, ready for BuildKit's `local` exporter.
        attrs: BTreeMap<String, String>,
    },
    /// `type=tar`: the files of the result, in a tar file.
    Tar {
        /// Where the tar goes.
        dest: Dest,
        /// What else was said, ready for BuildKit's `tar` exporter.
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
            return Self::shorthand(bare);
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
            Some("oci") => match take_dest(&mut pairs, &OCI_ATTRS)? {
                Some(dest) => Ok(Self::Oci { dest, attrs: pairs }),
                None => Err(FlagError::NoDest("oci")),
            },
            Some("tar") => match take_dest(&mut pairs, &TAR_ATTRS)? {
                Some(dest) => Ok(Self::Tar { dest, attrs: pairs }),
                None => Err(FlagError::NoDest("tar")),
            },
            Some("local") => match take_dest(&mut pairs, &LOCAL_ATTRS)? {
                Some(Dest::File(dest)) => Ok(Self::local(dest, pairs)),
                Some(Dest::Stdout) => Err(FlagError::FolderIsNoStream),
                None => Err(FlagError::NoDest("local")),
            },
            Some("docker") => {
                let dest = take_dest(&mut pairs, &OCI_ATTRS)?;
                Ok(Self::Docker { dest, attrs: pairs })
            }
            Some("none") => match pairs.pop_first() {
                Some((key, _)) => Err(FlagError::NoneTakesNothing(key)),
                None => Ok(Self::None),
            },
            Some(unknown) => Err(FlagError::UnknownType(unknown.to_owned())),
            None => Err(FlagError::NoType(pairs.remove("dest"))),
        }
    }

    /// One word, as Docker reads it: a folder, or standard output for `-`.
    fn shorthand(word: &str) -> Result<Self, FlagError> {
        if word == "-" {
            return Ok(Self::Tar { dest: Dest::Stdout, attrs: BTreeMap::new() });
        }
        if word.contains('\0') {
            return Err(FlagError::NulInDest);
        }
        // Docker makes a folder of that name, which nobody who types it means.
        let is_tar = [".tar", ".tar.gz", ".tgz"].iter().any(|end| word.ends_with(end));
        if is_tar {
            return Err(FlagError::Shorthand(word.to_owned()));
        }
        Ok(Self::local(word.into(), BTreeMap::new()))
    }

    fn local(dest: PathBuf, mut attrs: BTreeMap<String, String>) -> Self {
        // There is one platform, and its files are wanted in the folder itself.
        attrs.entry("platform-split".to_owned()).or_insert_with(|| "false".to_owned());
        Self::Local { dest, attrs }
    }

    /// Names the exporter for `SolveRequest`; `None` when nothing is exported.
    pub fn exporter(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Docker { .. } => Some("docker"),
            Self::Oci { .. } => Some("oci"),
            Self::Local { .. } => Some("local"),
            Self::Tar { .. } => Some("tar"),
            Self::Image { .. } => Some("image"),
        }
    }

    /// Gives the attributes of the exporter; `dest` is a word of the client and not among them.
    pub fn exporter_attrs(&self) -> BTreeMap<String, String> {
        match self {
            Self::None => BTreeMap::new(),
            Self::Docker { attrs, .. }
            | Self::Oci { attrs, .. }
            | Self::Local { attrs, .. }
            | Self::Tar { attrs, .. }
            | Self::Image { attrs } => attrs.clone(),
        }
    }

    /// Tells where the one stream of bytes goes; `None` when there will be none, or an engine gets them.
    pub fn dest(&self) -> Option<&Dest> {
        match self {
            Self::None | Self::Local { .. } | Self::Image { .. } => None,
            Self::Docker { dest, .. } => dest.as_ref(),
            Self::Oci { dest, .. } | Self::Tar { dest, .. } => Some(dest),
        }
    }

    /// The folder of `type=local`.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Local { dest, .. } => Some(dest),
            _ => None,
        }
    }

    /// Whether the files of the result are wanted, and no image.
    pub fn is_files(&self) -> bool {
        matches!(self, Self::Local { .. } | Self::Tar { .. })
    }

    /// Whether there will be an image, which has names and digests.
    pub fn has_image(&self) -> bool {
        !self.is_files() && *self != Self::None
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
fn take_dest(
    pairs: &mut BTreeMap<String, String>,
    known: &'static [(&'static str, Shape)],
) -> Result<Option<Dest>, FlagError> {
    let dest = pairs.remove("dest");
    check_attrs(pairs, &[known])?;
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

/// Of the exporters of files (BuildKit v0.32, `exporter/local/fs.go`); what goes into an image they do not know.
const LOCAL_ATTRS: [(&str, Shape); 2] =
    [("source-date-epoch", Shape::Epoch), ("platform-split", Shape::Bool)];

/// See [`LOCAL_ATTRS`]; a tar of one platform is never split.
const TAR_ATTRS: [(&str, Shape); 1] = [("source-date-epoch", Shape::Epoch)];

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
    known: &[&'static [(&'static str, Shape)]],
) -> Result<(), FlagError> {
    pairs.iter().try_for_each(|(key, value)| check_attr(key, value, known))
}

fn check_attr(
    key: &str,
    value: &str,
    known: &[&'static [(&'static str, Shape)]],
) -> Result<(), FlagError> {
    let is_image = known.iter().copied().flatten().any(|(name, _)| *name == "name");
    if is_annotation(key) && is_image {
        return Ok(());
    }
    let Some((_, shape)) = known.iter().copied().flatten().find(|(name, _)| *name == key) else {
        let is_of_images = is_annotation(key)
            || Output::is_of_image(key)
            || OCI_ATTRS.iter().any(|(name, _)| *name == key);
        return Err(match is_image {
            false if is_of_images => FlagError::NoImageAttr(key.to_owned()),
            true if Output::is_of_image(key) => FlagError::OtherType(key.to_owned()),
            _ => FlagError::UnknownAttr {
                key: key.to_owned(),
                known: known.iter().copied().flatten().map(|(name, _)| *name).collect(),
            },
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
mod tests;
