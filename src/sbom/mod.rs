//! What is in an image: package databases, installed metadata and lock files → a catalogue → SPDX and CycloneDX.
//!
//! Whoever can read the image (through the daemon, from an OCI tar, from a folder) gathers what [`interest`] asks for; from
//! there on all is pure: [`catalogue()`] reads the files, `spdx` and `cyclonedx` write. The files come from the build and are
//! not trusted: every reader is bounded in memory and time, and what it can't read is a [`Problem`], never an error.

mod apk;
mod auditable;
mod binaries;
mod catalogue;
mod copyright;
pub mod cyclonedx;
mod distribution;
mod document;
mod dpkg;
mod elf;
pub mod gathered;
mod gobuild;
mod interest;
mod jar;
pub mod langs;
mod license;
mod pieces;
mod purl;
mod rpm;
pub mod spdx;
mod system;
mod yarn;
mod zip;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

pub use self::{
    catalogue::{catalogue, merge},
    document::Subject,
    interest::{databases, interest, is_binary, lacks_database, linked},
};

/// What a gatherer found: content by path, absolute and clean (`/var/lib/dpkg/status`).
#[derive(Default)]
pub struct Files {
    /// Whole text files.
    pub texts: BTreeMap<String, Vec<u8>>,
    /// Executables and archives, read in pieces.
    pub binaries: BTreeMap<String, Box<dyn ReadAt + Send>>,
    /// What the gatherer could not give: unreadable, or beyond its limits.
    pub problems: Vec<Problem>,
}

/// A file that is read in pieces, because it is large and only little of it is wanted.
pub trait ReadAt {
    /// Its size in bytes.
    fn size_bytes(&self) -> u64;

    /// Fills the beginning of `buf` from `offset`; 0 at the end of the file. Costs a round trip where a daemon holds the
    /// file: ask for what is needed in few large pieces.
    ///
    /// # Errors
    /// As the place that holds the file gives them.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;
}

/// What a gatherer shall do with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Leave it.
    None,
    /// Give its whole text, if it is not longer than this many bytes.
    Text {
        /// Longest useful length.
        bytes_max: u64,
    },
    /// Give it as [`ReadAt`], if it is executable (`mode & 0o111`) or an archive.
    Binary,
}

/// Where a package was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// In the image.
    Image,
    /// In the build context only: it took part in the build.
    Context,
}

/// A package system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Alpine, Wolfi.
    Apk,
    /// Debian, Ubuntu.
    Deb,
    /// Fedora, RHEL…
    Rpm,
    /// npm, yarn, pnpm, bun.
    Npm,
    /// PyPI.
    Pypi,
    /// crates.io.
    Cargo,
    /// Go modules.
    Golang,
    /// Maven, Gradle.
    Maven,
    /// RubyGems.
    Gem,
    /// Composer.
    Composer,
    /// NuGet.
    Nuget,
    /// Hex.
    Hex,
}

impl Kind {
    /// As package URLs write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Apk => "apk",
            Self::Deb => "deb",
            Self::Rpm => "rpm",
            Self::Npm => "npm",
            Self::Pypi => "pypi",
            Self::Cargo => "cargo",
            Self::Golang => "golang",
            Self::Maven => "maven",
            Self::Gem => "gem",
            Self::Composer => "composer",
            Self::Nuget => "nuget",
            Self::Hex => "hex",
        }
    }
}

/// One package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Whose.
    pub kind: Kind,
    /// As its package system writes it: `@babel/core`, `org.slf4j:slf4j-api`, `github.com/gorilla/mux`.
    pub name: String,
    /// As its package system writes it; may be empty.
    pub version: String,
    /// Package URL, qualifiers included: `pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12`.
    pub purl: String,
    /// Declared licence, as written.
    pub license: Option<String>,
    /// Who supplies it: the maintainer of a distribution's package.
    pub supplier: Option<String>,
    /// `SHA256` → lower-case hex; of the archive it came from.
    pub checksums: BTreeMap<&'static str, String>,
    /// Files that say so.
    pub locations: BTreeSet<String>,
    /// Where it was seen.
    pub origin: Origin,
    /// Purls it depends on, where the metadata says so and they are in the same catalogue.
    pub depends_on: BTreeSet<String>,
}

/// A file that could not be read or understood.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Which.
    pub path: String,
    /// Why.
    pub why: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// Sorted by kind, name, version, purl; each purl once, with all its locations.
    pub packages: Vec<Package>,
    /// Sorted.
    pub problems: Vec<Problem>,
    /// `/etc/os-release` of an image.
    pub distribution: Option<Distribution>,
}

/// What an image's `os-release` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// `ID`: `debian`.
    pub id: String,
    /// `VERSION_ID`: `12`.
    pub version_id: String,
    /// `PRETTY_NAME`.
    pub pretty_name: String,
}

/// Whether [`catalogue`] would say anything of the program or archive at `path`, were it only that it cannot be read.
#[must_use]
pub fn tells(path: &str, file: &dyn ReadAt) -> bool {
    binaries::tells(path, file)
}

#[cfg(test)]
mod tests;
