//! Libraries of the system that packages of PyPI load, or are built against when there is no wheel.
//!
//! Names are those of Debian. The full image of Python, in which is built, has compilers and the headers of most libraries.

use super::{apps, candidate::Candidate, manifest::Manifest, names::normalized};
use crate::detect::{called::PROGRAMS, prelude::*};

/// Named like packages of PyPI.
static NEEDS: &[Library] = &[
    library("ansible", &[], &["openssh-client"]),
    library("cairosvg", &[], &["libcairo2"]),
    library("camelot-py", &[], &["ghostscript"]),
    library("dbus-python", &["libdbus-1-dev", "libglib2.0-dev"], &["libdbus-1-3"]),
    library("deepface", &[], &["libgl1", "libglib2.0-0"]),
    library("diagrams", &[], &["graphviz"]),
    library(
        "django-auth-ldap",
        &["libldap2-dev", "libsasl2-dev"],
        &["libldap-2.5-0", "libsasl2-2"],
    ),
    library(
        "django-weasyprint",
        &[],
        &["libharfbuzz-subset0", "libpango-1.0-0", "libpangoft2-1.0-0"],
    ),
    library("dlib", &["cmake"], &[]).wolfi(&["cmake"], &[]),
    library("face-recognition", &["cmake"], &[]).wolfi(&["cmake"], &[]),
    library("ffmpeg-python", &[], &["ffmpeg"]),
    library("flask-mysqldb", &["default-libmysqlclient-dev", "pkg-config"], &["libmariadb3"]),
    library("gdal", &["libgdal-dev"], &["gdal-bin"]),
    library("gitpython", &[], &["git"]).wolfi(&[], &["git"]),
    library("graphviz", &[], &["graphviz"]),
    library("gssapi", &["libkrb5-dev"], &["libgssapi-krb5-2"]),
    library("ibm-db", &[], &["libxml2"]),
    library("jpype1", &[], &["default-jre-headless"]),
    library("language-tool-python", &[], &["default-jre-headless"]),
    library("librosa", &[], &["libsndfile1"]),
    library("lightgbm", &[], &["libgomp1"]),
    library("mediapipe", &[], &["libgl1", "libglib2.0-0"]),
    library("moviepy", &[], &["ffmpeg"]),
    library("mysqlclient", &["default-libmysqlclient-dev", "pkg-config"], &["libmariadb3"])
        .wolfi(&["mariadb-connector-c-dev", "pkgconf"], &["mariadb-connector-c"]),
    library("ocrmypdf", &[], &["ghostscript", "tesseract-ocr"]),
    library("openai-whisper", &[], &["ffmpeg"]),
    library("opencv-contrib-python", &[], &["libgl1", "libglib2.0-0"]),
    library("opencv-python", &[], &["libgl1", "libglib2.0-0"]),
    library("opencv-python-headless", &[], &["libglib2.0-0"]),
    library("paddlepaddle", &[], &["libgomp1"]),
    library("pdf2image", &[], &["poppler-utils"]),
    library("pdfkit", &[], &["wkhtmltopdf"]),
    library("psycopg", &[], &["libpq5"]).wolfi(&[], &["libpq"]),
    library("psycopg-c", &["libpq-dev"], &["libpq5"]).wolfi(&["postgresql-dev"], &["libpq"]),
    library("psycopg2", &["libpq-dev"], &["libpq5"]).wolfi(&["postgresql-dev"], &["libpq"]),
    library("pyaudio", &["portaudio19-dev"], &["libportaudio2"]),
    library("pycairo", &["libcairo2-dev", "pkg-config"], &["libcairo2"]),
    library("pycurl", &["libcurl4-openssl-dev", "libssl-dev"], &["libcurl4"]),
    library("pydot", &[], &["graphviz"]),
    library("pydub", &[], &["ffmpeg"]),
    library(
        "pygobject",
        &["libcairo2-dev", "libgirepository1.0-dev", "pkg-config"],
        &["libcairo2", "libgirepository-1.0-1"],
    ),
    library("pygraphviz", &["libgraphviz-dev"], &["graphviz"]),
    library("pykerberos", &["libkrb5-dev"], &["libgssapi-krb5-2"]),
    library("pyodbc", &["unixodbc-dev"], &["unixodbc"]),
    library("pypandoc", &[], &["pandoc"]),
    library("pyppeteer", &[], &["chromium"]),
    library("pysaml2", &[], &["xmlsec1"]),
    library("pyspark", &[], &["default-jre-headless"]),
    library("pytesseract", &[], &["tesseract-ocr"]),
    library("python-gnupg", &[], &["gnupg"]),
    library("python-ldap", &["libldap2-dev", "libsasl2-dev"], &["libldap-2.5-0", "libsasl2-2"]),
    library("python-magic", &[], &["libmagic1"]),
    library("python3-saml", &["libxmlsec1-dev", "pkg-config"], &["libxmlsec1-openssl"]),
    library("pyvips", &[], &["libvips42"]),
    library("pyzbar", &[], &["libzbar0"]),
    library("sounddevice", &[], &["libportaudio2"]),
    library("soundfile", &[], &["libsndfile1"]),
    library("speechrecognition", &[], &["flac"]),
    library("tabula-py", &[], &["default-jre-headless"]),
    library("tika", &[], &["default-jre-headless"]),
    library("ultralytics", &[], &["libgl1", "libglib2.0-0"]),
    library("undetected-chromedriver", &[], &["chromium", "chromium-driver"]),
    library("uwsgi", &[], &["libxml2"]),
    library("wand", &[], &["libmagickwand-6.q16-6"]),
    library("weasyprint", &[], &["libharfbuzz-subset0", "libpango-1.0-0", "libpangoft2-1.0-0"]),
    library("xhtml2pdf", &["libcairo2-dev", "pkg-config"], &["libcairo2"]),
    library("xmlsec", &["libxmlsec1-dev", "pkg-config"], &["libxmlsec1-openssl"]),
    library("yt-dlp", &[], &["ffmpeg"]),
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

/// Ends of the names of calls that start a program.
const STARTS: &[&str] =
    &["run(", "Popen(", "popen(", "check_output(", "check_call(", "call(", "getoutput(", "_exec("];

/// Takes programs that the sources start: `subprocess.run(["ffmpeg", …])`.
pub(super) fn started(files: &[Rc<Text>], facts: &mut Facts) {
    let can_start = |file: &&Rc<Text>| {
        // What asks git for the version of a package does without it.
        ["subprocess", "Popen", "system(", "which(", "_exec("]
            .iter()
            .any(|way| file.text.contains(way))
            && !file.text.contains("versioneer")
            && file_name(parent(&file.path)) != "bin"
    };
    for program in PROGRAMS {
        let place = files.iter().filter(can_start).find_map(|file| {
            let (line, _) = file.lines().find(|(_, line)| starts(line, program.name))?;
            Some(Evidence::line(&file.path, Some(line)))
        });
        place.into_iter().for_each(|place| facts.library(program, place));
    }
    let browsers = [(&CHROMIUM, &["Chrome(", "Chromium("][..]), (&FIREFOX, &["Firefox("])];
    for (browser, calls) in browsers {
        let drives = |file: &&Rc<Text>| file.text.contains("selenium");
        let drivers: Vec<Rc<Text>> = files.iter().filter(drives).cloned().collect();
        let place = calls.iter().find_map(|call| source::mention(&drivers, call));
        place.into_iter().for_each(|place| facts.library(browser, place));
    }
}

/// Whether a line starts a program: `run("git log")`, `which("git")`, `["git", …]`, the list that such a call gets.
fn starts(line: &str, name: &str) -> bool {
    if !line.contains(name) || source::is_comment(line) {
        return false;
    }
    let forms = ["[\"{}\"", "['{}'", "which(\"{}\")", "which('{}')"];
    let is_form = |form: &&str| line.contains(&form.replace("{}", name));
    let is_text = |call: &&str| {
        line.split_once(*call).is_some_and(|(_, rest)| {
            let rest = rest.trim_start_matches(['r', 'f', 'b']).strip_prefix(['"', '\'']);
            rest.and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with(' '))
        })
    };
    forms.iter().any(is_form) || STARTS.iter().any(is_text)
}

/// Browsers that a program drives on its own machine; `webdriver.Remote(` has one elsewhere.
static CHROMIUM: Library = library("chromium", &[], &["chromium", "chromium-driver"]);
static FIREFOX: Library = library("firefox", &[], &["firefox-esr"]);

/// Libraries of browsers, and fonts, by the names of Debian 12 (`playwright install-deps`).
const BROWSER: &[&str] = &[
    "fonts-liberation", "fonts-noto-color-emoji", "libasound2", "libatk-bridge2.0-0",
    "libatk1.0-0", "libatspi2.0-0", "libcairo2", "libcups2", "libdbus-1-3", "libdrm2", "libgbm1",
    "libglib2.0-0", "libnspr4", "libnss3", "libpango-1.0-0", "libx11-6", "libxcb1",
    "libxcomposite1", "libxdamage1", "libxext6", "libxfixes3", "libxkbcommon0", "libxrandr2",
];
/// Where browsers are installed: the same in both stages.
const BROWSERS: &str = "/opt/browsers";

/// Lets a program that drives a browser have one: the kinds that its text launches, else Chromium.
pub(super) fn browsers(c: &mut Candidate<'_>) -> Option<()> {
    c.manifest.place("playwright")?;
    let own = c.files.iter().filter(|file| !apps::is_aside(c.at.dir, &file.path)).cloned();
    let own: Vec<Rc<Text>> = own.collect();
    // Tests of a project have theirs elsewhere.
    source::mention(&own, "playwright")?;
    let launches = |kind: &&str| source::mention(&own, &format!(".{kind}.launch")).is_some();
    let mut kinds: Vec<&str> =
        ["chromium", "firefox", "webkit"].into_iter().filter(launches).collect();
    if kinds.is_empty() {
        kinds.push("chromium");
    }
    c.facts.build_env("PLAYWRIGHT_BROWSERS_PATH", BROWSERS);
    c.facts.env("PLAYWRIGHT_BROWSERS_PATH", BROWSERS);
    let line = format!("playwright install {}", kinds.join(" "));
    c.last.push(Step::new(Kind::Setup, ".", line));
    c.facts.take(BROWSERS, BROWSERS);
    c.facts.packages(&[], BROWSER);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_they_are_compared() {
        for Library { name, .. } in NEEDS {
            assert_eq!(&normalized(name), name);
        }
    }
}
