//! What is wrong with the value of `--output`, and what would be understood.

use std::{error, fmt};

use super::oci_line;

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
    /// A lone word that names a tar file; Docker takes it for a folder.
    Shorthand(String),
    /// A field without `=`.
    NotAPair(String),
    /// The same key two times.
    Twice(String),
    /// No `type=`; the `dest`, if there was one.
    NoType(Option<String>),
    /// A type that nobody knows.
    UnknownType(String),
    /// `type=none` with something else.
    NoneTakesNothing(String),
    /// This type, such as `oci`, without `dest`.
    NoDest(&'static str),
    /// `type=local,dest=-`
    FolderIsNoStream,
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
    /// An attribute of images, for an output that is none.
    NoImageAttr(String),
    /// An attribute that nobody knows.
    UnknownAttr {
        /// What was said.
        key: String,
        /// What would be understood, besides `dest` and annotations.
        known: Vec<&'static str>,
    },
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
const TYPES: &str = "`type=docker`, `type=oci,dest=FILE`, `type=image`, `type=registry`, `type=local,dest=DIR`, `type=tar,dest=FILE` or `type=none`";

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
                "`{word}` alone means a folder to Docker: for an image in a tar file say `--output {}`, for a folder `--output ./{word}/`",
                oci_line(word)
            ),
            Self::NotAPair(field) => write!(f, "`{field}` is not of the form `key=value`"),
            Self::Twice(key) => write!(f, "`{key}` is given twice"),
            Self::NoType(dest) => {
                let dest = dest.as_deref().unwrap_or("FILE");
                write!(f, "`type` is missing: say `--output {}`", oci_line(dest))
            }
            Self::UnknownType(name) => write!(f, "there is no `type={name}`: use {TYPES}"),
            Self::NoneTakesNothing(key) => write!(f, "`type=none` takes no `{key}`"),
            Self::NoDest("local") => f.write_str("`type=local` needs `dest=DIR`"),
            Self::NoDest(name) => {
                write!(f, "`type={name}` needs `dest=FILE`, or `dest=-` to write to stdout")
            }
            Self::FolderIsNoStream => f.write_str(
                "`type=local` needs a folder, which `-` is not: for stdout use `type=tar,dest=-`",
            ),
            Self::ImageTakesNoDest(name) => {
                write!(f, "`type={name}` takes no `dest`: for a file use `type=oci`")
            }
            Self::PushNeedsImage => f.write_str(
                "`--push` needs `type=image`: leave `--output` out, or build once more for it",
            ),
            Self::NulInDest => f.write_str("`dest` has a NUL byte"),
            Self::LaterFolder => f.write_str(
                "`tar=false` (an image layout in a folder) comes with a later version: leave it out for a tar file",
            ),
            Self::OtherType(key) => {
                write!(f, "`{key}` belongs to `type=image`")
            }
            Self::NoImageAttr(key) => {
                write!(f, "`{key}` is about an image, and `type=local` and `type=tar` make none")
            }
            Self::UnknownAttr { key, known } => {
                if matches!(
                    key.as_str(),
                    "output" | "out" | "file" | "filename" | "path" | "destination" | "dst"
                ) {
                    return write!(f, "there is no `{key}`, you may mean `dest`");
                }
                write!(f, "there is no `{key}`, only")?;
                for (n, known) in known.iter().enumerate() {
                    write!(f, "{} `{known}`", if n == 0 { "" } else { "," })?;
                }
                f.write_str(if known.contains(&"name") {
                    ", `dest` and `annotation.KEY`"
                } else {
                    " and `dest`"
                })
            }
            Self::BadValue { key, value, expected } => {
                write!(f, "`{key}={value}`: expected {expected}")
            }
        }
    }
}

impl error::Error for FlagError {}
