//! Libraries of the system that packages of PyPI load, or are built against when there is no wheel.
//!
//! Names are those of Debian. The full image of Python, in which is built, has compilers and the headers of most libraries.

use super::manifest::Manifest;
use crate::detect::Facts;

/// Packages of PyPI, packages of the build stage, packages of the image.
const NEEDS: &[(&[&str], &[&str], &[&str])] = &[
    (&["cairosvg"], &[], &["libcairo2"]),
    (&["dlib", "face-recognition"], &["cmake"], &[]),
    (&["ffmpeg-python", "moviepy", "openai-whisper", "pydub"], &[], &["ffmpeg"]),
    (&["gdal"], &["libgdal-dev"], &["gdal-bin"]),
    (&["gitpython"], &[], &["git"]),
    (&["graphviz"], &[], &["graphviz"]),
    (&["librosa", "soundfile"], &[], &["libsndfile1"]),
    (&["lightgbm"], &[], &["libgomp1"]),
    (&["mysqlclient"], &["default-libmysqlclient-dev", "pkg-config"], &["libmariadb3"]),
    (&["opencv-contrib-python", "opencv-python"], &[], &["libgl1", "libglib2.0-0"]),
    (&["opencv-python-headless"], &[], &["libglib2.0-0"]),
    (&["pdf2image"], &[], &["poppler-utils"]),
    (&["psycopg"], &[], &["libpq5"]),
    (&["psycopg-c", "psycopg2"], &["libpq-dev"], &["libpq5"]),
    (&["pyaudio"], &["portaudio19-dev"], &["libportaudio2"]),
    (&["pycairo"], &["libcairo2-dev", "pkg-config"], &["libcairo2"]),
    (&["pygraphviz"], &["libgraphviz-dev"], &["graphviz"]),
    (&["pyodbc"], &["unixodbc-dev"], &["unixodbc"]),
    (&["pytesseract"], &[], &["tesseract-ocr"]),
    (&["python-ldap"], &["libldap2-dev", "libsasl2-dev"], &["libldap-2.5-0", "libsasl2-2"]),
    (&["python-magic"], &[], &["libmagic1"]),
    (&["pyzbar"], &[], &["libzbar0"]),
    (&["selenium"], &[], &["chromium", "chromium-driver"]),
    (&["uwsgi"], &[], &["libxml2"]),
    (&["weasyprint"], &[], &["libharfbuzz-subset0", "libpango-1.0-0", "libpangoft2-1.0-0"]),
    (&["xmlsec"], &["libxmlsec1-dev", "pkg-config"], &["libxmlsec1-openssl"]),
];

/// Packages by the dependencies that are written down.
pub(super) fn needs(manifest: &Manifest, facts: &mut Facts) {
    for (names, build, run) in NEEDS {
        if names.iter().any(|name| manifest.has(name)) {
            facts.packages(build, run);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_they_are_compared() {
        for name in NEEDS.iter().flat_map(|(names, ..)| *names) {
            assert_eq!(&crate::detect::ecosystems::python::manifest::normalized(name), name);
        }
    }
}
