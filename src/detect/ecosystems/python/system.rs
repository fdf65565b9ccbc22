//! Libraries of the system that packages of PyPI load, or are built against when there is no wheel.
//!
//! Names are those of Debian. The full image of Python, in which is built, has compilers and the headers of most libraries.

use super::manifest::{Manifest, normalized};
use crate::detect::prelude::*;

/// Named like packages of PyPI.
static NEEDS: &[Library] = &[
    library("cairosvg", &[], &["libcairo2"]),
    library("dlib", &["cmake"], &[]).wolfi(&["cmake"], &[]),
    library("face-recognition", &["cmake"], &[]).wolfi(&["cmake"], &[]),
    library("ffmpeg-python", &[], &["ffmpeg"]),
    library("gdal", &["libgdal-dev"], &["gdal-bin"]),
    library("gitpython", &[], &["git"]).wolfi(&[], &["git"]),
    library("graphviz", &[], &["graphviz"]),
    library("librosa", &[], &["libsndfile1"]),
    library("lightgbm", &[], &["libgomp1"]),
    library("moviepy", &[], &["ffmpeg"]),
    library("mysqlclient", &["default-libmysqlclient-dev", "pkg-config"], &["libmariadb3"])
        .wolfi(&["mariadb-connector-c-dev", "pkgconf"], &["mariadb-connector-c"]),
    library("openai-whisper", &[], &["ffmpeg"]),
    library("opencv-contrib-python", &[], &["libgl1", "libglib2.0-0"]),
    library("opencv-python", &[], &["libgl1", "libglib2.0-0"]),
    library("opencv-python-headless", &[], &["libglib2.0-0"]),
    library("pdf2image", &[], &["poppler-utils"]),
    library("psycopg", &[], &["libpq5"]).wolfi(&[], &["libpq"]),
    library("psycopg-c", &["libpq-dev"], &["libpq5"]).wolfi(&["postgresql-dev"], &["libpq"]),
    library("psycopg2", &["libpq-dev"], &["libpq5"]).wolfi(&["postgresql-dev"], &["libpq"]),
    library("pyaudio", &["portaudio19-dev"], &["libportaudio2"]),
    library("pycairo", &["libcairo2-dev", "pkg-config"], &["libcairo2"]),
    library("pydub", &[], &["ffmpeg"]),
    library("pygraphviz", &["libgraphviz-dev"], &["graphviz"]),
    library("pyodbc", &["unixodbc-dev"], &["unixodbc"]),
    library("pytesseract", &[], &["tesseract-ocr"]),
    library("python-ldap", &["libldap2-dev", "libsasl2-dev"], &["libldap-2.5-0", "libsasl2-2"]),
    library("python-magic", &[], &["libmagic1"]),
    library("pyzbar", &[], &["libzbar0"]),
    library("selenium", &[], &["chromium", "chromium-driver"]),
    library("soundfile", &[], &["libsndfile1"]),
    library("uwsgi", &[], &["libxml2"]),
    library("weasyprint", &[], &["libharfbuzz-subset0", "libpango-1.0-0", "libpangoft2-1.0-0"]),
    library("xmlsec", &["libxmlsec1-dev", "pkg-config"], &["libxmlsec1-openssl"]),
];

/// Takes what the packages need that are installed: those that are written down, and those that they bring along.
pub(super) fn needs(at: Folder<'_>, manifest: &Manifest, facts: &mut Facts) {
    let own = manifest.name.as_deref().map(normalized);
    let wanted = manifest.dependencies.keys().chain(&own).map(String::as_str);
    let brought = match &manifest.lock {
        Some(lock) => lock.installed(wanted),
        None => manifest.brought(at),
    };
    for library in NEEDS {
        let place = manifest.place(library.name);
        if let Some(place) = place.or_else(|| brought.get(library.name).cloned()) {
            facts.library(library, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_they_are_compared() {
        for Library { name, .. } in NEEDS {
            assert_eq!(&crate::detect::ecosystems::python::manifest::normalized(name), name);
        }
    }
}
