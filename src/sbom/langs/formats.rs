//! Which files are read: by name, where they count, how long they may be, and who reads them.

use super::{
    Kind, Origin, cargo, composer,
    found::{Found, Installed},
    gem, go, hex, maven, npm, nuget, pnpm, pypi, yarn,
};

/// A kind of file.
pub(super) struct Format {
    pub(super) is: fn(&str) -> bool,
    pub(super) kind: Kind,
    pub(super) role: Role,
    pub(super) bytes_max: u64,
    pub(super) reader: Reader,
}

/// What a file says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// What is installed beside it.
    Installed,
    /// What a tool installed, written by itself; adds to the former.
    Record,
    /// What was resolved.
    Lock(InImage),
    /// What is wanted; only of a context.
    Manifest,
}

/// When a lock file in the image makes packages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum InImage {
    Always,
    UnlessInstalled,
    UnlessInstalledInProject,
    Never,
}

impl Role {
    pub(super) fn is_for(self, origin: Origin) -> bool {
        match origin {
            Origin::Image => !matches!(self, Self::Manifest | Self::Lock(InImage::Never)),
            Origin::Context => matches!(self, Self::Manifest | Self::Lock(_)),
        }
    }
}

/// Who reads it; an error says why it can't be read.
#[derive(Clone, Copy)]
pub(super) enum Reader {
    /// A package, or none.
    One(fn(&[u8]) -> Result<Option<Installed>, String>),
    /// All that are listed.
    Many(fn(&[u8]) -> Result<Vec<Found>, String>),
    /// Nobody, and why.
    Unreadable(&'static str),
}

/// The format of a file, by its absolute path.
pub(super) fn of(path: &str) -> Option<&'static Format> {
    let format = FORMATS.iter().find(|format| (format.is)(path))?;
    let is_installed = matches!(format.role, Role::Installed | Role::Record);
    (is_installed || !is_foreign(path)).then_some(format)
}

/// Whether a path is in a folder where packages lie that came from elsewhere, with lock files that are about themselves.
pub(super) fn is_foreign(path: &str) -> bool {
    let folders = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let named = folders.split('/').any(|folder| FOREIGN.contains(&folder));
    named || FOREIGN_PAIRS.iter().any(|pair| path.contains(pair))
}

fn is_named(path: &str, name: &str) -> bool {
    path.rsplit_once('/').is_some_and(|(_, last)| last == name)
}

/// Whether a `package.json` is that of a package: directly in `node_modules` or in a scope of it, or outside of any, or a copy
/// that a package brings along. Others deeper inside of packages are about parts of them (`{"type": "module"}`), or test data.
fn is_package_json(path: &str) -> bool {
    let Some(folder) = path.strip_suffix("/package.json") else { return false };
    let Some((_, name)) = folder.rsplit_once("/node_modules/") else { return true };
    let inner = match name.split_once('/') {
        Some((scope, name)) if scope.starts_with('@') => {
            name.split_once('/').map(|(_, inner)| inner)
        }
        Some((_, inner)) => Some(inner),
        None => return !name.starts_with('@'),
    };
    inner.is_none_or(|inner| inner.split('/').any(|folder| VENDORED.contains(&folder)))
}

fn is_gemspec(path: &str) -> bool {
    let Some((folder, name)) = path.rsplit_once('/') else { return false };
    let folder = folder.strip_suffix("/default").unwrap_or(folder);
    name.ends_with(".gemspec") && folder.ends_with("/specifications")
}

fn is_requirements(path: &str) -> bool {
    let Some((folder, name)) = path.rsplit_once('/') else { return false };
    name.ends_with(".txt")
        && (name.starts_with("requirements") || folder.ends_with("/requirements"))
}

const NPM_LOCK: Format = lock(Kind::Npm, InImage::UnlessInstalledInProject, npm::package_lock);
const PYPI_LOCK: Format = lock(Kind::Pypi, InImage::UnlessInstalled, pypi::toml_lock);
const GEM_LOCK: Format = lock(Kind::Gem, InImage::UnlessInstalled, gem::lock);

const FORMATS: &[Format] = &[
    Format { is: is_package_json, ..installed(Kind::Npm, Reader::One(npm::package_json)) },
    Format {
        is: |path| path.ends_with("/node_modules/.package-lock.json"),
        role: Role::Record,
        ..NPM_LOCK
    },
    Format {
        is: |path| path.ends_with("/node_modules/.pnpm/lock.yaml"),
        role: Role::Record,
        ..lock(Kind::Npm, InImage::Never, pnpm::lock)
    },
    Format { is: |path| is_named(path, "package-lock.json"), ..NPM_LOCK },
    Format { is: |path| is_named(path, "npm-shrinkwrap.json"), ..NPM_LOCK },
    Format {
        is: |path| is_named(path, "yarn.lock"),
        ..lock(Kind::Npm, InImage::UnlessInstalledInProject, yarn::lock)
    },
    Format {
        is: |path| is_named(path, "pnpm-lock.yaml"),
        ..lock(Kind::Npm, InImage::UnlessInstalledInProject, pnpm::lock)
    },
    Format {
        is: |path| is_named(path, "bun.lock"),
        ..lock(Kind::Npm, InImage::UnlessInstalledInProject, npm::bun_lock)
    },
    Format {
        is: |path| is_named(path, "bun.lockb"),
        reader: Reader::Unreadable(
            "is Bun's binary lock file, which is not read; `bun install --save-text-lockfile` writes one that is",
        ),
        ..NPM_LOCK
    },
    Format {
        is: |path| {
            path.ends_with(".dist-info/METADATA")
                || path.ends_with(".egg-info/PKG-INFO")
                || path.ends_with(".egg-info")
        },
        ..installed(Kind::Pypi, Reader::One(pypi::metadata))
    },
    Format { is: |path| is_named(path, "poetry.lock"), ..PYPI_LOCK },
    Format { is: |path| is_named(path, "uv.lock"), ..PYPI_LOCK },
    Format { is: |path| is_named(path, "pdm.lock"), ..PYPI_LOCK },
    Format { is: |path| is_named(path, "pylock.toml"), ..PYPI_LOCK },
    Format {
        is: |path| is_named(path, "Pipfile.lock"),
        ..lock(Kind::Pypi, InImage::UnlessInstalled, pypi::pipfile_lock)
    },
    Format { is: is_requirements, ..manifest(Kind::Pypi, pypi::requirements) },
    Format {
        is: |path| is_named(path, "Cargo.lock"),
        ..lock(Kind::Cargo, InImage::Always, cargo::lock)
    },
    Format {
        is: |path| is_named(path, "go.mod"),
        ..lock(Kind::Golang, InImage::Never, go::module)
    },
    Format { is: |path| is_named(path, "go.sum"), ..manifest(Kind::Golang, go::sums) },
    Format { is: is_gemspec, ..installed(Kind::Gem, Reader::One(gem::gemspec)) },
    Format { is: |path| is_named(path, "Gemfile.lock"), ..GEM_LOCK },
    Format { is: |path| is_named(path, "gems.locked"), ..GEM_LOCK },
    Format {
        is: |path| path.ends_with("/composer/installed.json"),
        bytes_max: LOCK_BYTES_MAX,
        ..installed(Kind::Composer, Reader::Many(composer::installed))
    },
    Format {
        is: |path| is_named(path, "composer.lock"),
        ..lock(Kind::Composer, InImage::UnlessInstalledInProject, composer::lock)
    },
    Format {
        is: |path| path.ends_with(".deps.json"),
        bytes_max: LOCK_BYTES_MAX,
        ..installed(Kind::Nuget, Reader::Many(nuget::deps))
    },
    Format {
        is: |path| is_named(path, "packages.lock.json"),
        ..lock(Kind::Nuget, InImage::UnlessInstalled, nuget::lock)
    },
    Format { is: |path| is_named(path, "mix.lock"), ..lock(Kind::Hex, InImage::Always, hex::lock) },
    Format {
        is: |path| is_named(path, "gradle.lockfile"),
        ..lock(Kind::Maven, InImage::Never, maven::gradle_lock)
    },
    Format { is: |path| is_named(path, "pom.xml"), ..manifest(Kind::Maven, maven::pom) },
];

const fn installed(kind: Kind, reader: Reader) -> Format {
    Format { is: |_| false, kind, role: Role::Installed, bytes_max: METADATA_BYTES_MAX, reader }
}

const fn lock(
    kind: Kind,
    in_image: InImage,
    read: fn(&[u8]) -> Result<Vec<Found>, String>,
) -> Format {
    Format {
        is: |_| false,
        kind,
        role: Role::Lock(in_image),
        bytes_max: LOCK_BYTES_MAX,
        reader: Reader::Many(read),
    }
}

const fn manifest(kind: Kind, read: fn(&[u8]) -> Result<Vec<Found>, String>) -> Format {
    Format {
        role: Role::Manifest,
        bytes_max: METADATA_BYTES_MAX,
        ..lock(kind, InImage::Never, read)
    }
}

/// Where packages of npm keep copies of others: `next/dist/compiled/react-is`, `typescript/vendor/vscode-jsonrpc`.
const VENDORED: [&str; 4] = ["compiled", "vendor", "vendored", "third_party"];
/// Where package managers put what they fetch.
const FOREIGN: [&str; 7] = [
    "node_modules", "bower_components", "site-packages", "dist-packages", "gems", "vendor",
    ".cargo",
];
/// The same, of Cargo and Go.
const FOREIGN_PAIRS: [&str; 3] = ["/registry/src/", "/git/checkouts/", "/pkg/mod/"];
/// One package's own metadata; the longest `METADATA`, with its description, has some 300 KiB.
const METADATA_BYTES_MAX: u64 = 2 << 20;
/// The longest lock files seen have 5 MiB.
const LOCK_BYTES_MAX: u64 = 16 << 20;
