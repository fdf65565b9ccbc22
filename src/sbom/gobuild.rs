//! What Go writes into its programs (package `debug/buildinfo`): its version and all modules they were built from.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::digest::hex;

/// Section of ELF files.
pub(super) const SECTION: &str = ".go.buildinfo";

/// What a program was built from.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BuildInfo {
    /// `go1.22.1`.
    pub(super) go_version: String,
    /// The module of the program itself.
    pub(super) main: Option<Module>,
    /// Those that it was built from, replacements applied.
    pub(super) modules: Vec<Module>,
}

/// A Go module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Module {
    pub(super) path: String,
    /// `v1.2.3`; may be empty.
    pub(super) version: String,
    /// SHA-256 in hex of the list of its files (golang.org/x/mod/sumdb/dirhash, `Hash1`).
    pub(super) h1: Option<String>,
}

/// Reads the section.
///
/// # Errors
/// Says what is wrong with it.
pub(super) fn parse(section: &[u8]) -> Result<BuildInfo, String> {
    let header = section.get(..HEADER_BYTES).filter(|header| header.starts_with(MAGIC));
    let header = header.ok_or("has a damaged section of Go's build information")?;
    if header[FLAGS_AT] & INLINE == 0 {
        return Err("was built by a Go before 1.18, whose build information is not read".to_owned());
    }
    let damaged = "has damaged strings in Go's build information";
    let (version, rest) = string(&section[HEADER_BYTES..]).ok_or(damaged)?;
    let (modules, _) = string(rest).ok_or(damaged)?;
    let version = String::from_utf8_lossy(version);
    // Experiments follow the version after a space.
    let go_version = version.split(' ').next().unwrap_or_default().to_owned();
    Ok(BuildInfo { go_version, ..module_list(&String::from_utf8_lossy(unframed(modules))) })
}

/// A string after its length (unsigned LEB128).
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut len = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(9) {
        len |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return bytes[at + 1..].split_at_checked(usize::try_from(len).ok()?);
        }
    }
    None
}

/// Without the 16 bytes that mark both ends of the list in memory.
fn unframed(modules: &[u8]) -> &[u8] {
    let len = modules.len();
    if len >= 33 && modules[len - 17] == b'\n' { &modules[16..len - 16] } else { &[] }
}

/// Lines of words with tabs between: `mod`, `dep` and `=>` with path, version and sum, `build` with `key=value`.
fn module_list(text: &str) -> BuildInfo {
    let mut info = BuildInfo::default();
    let (mut revision, mut time) = ("", "");
    for line in text.lines().take(LINES_MAX) {
        let words: Vec<_> = line.split('\t').collect();
        match words.as_slice() {
            ["mod", path, version, ..] => info.main = module(path, version, words.get(3)),
            ["dep", path, version, ..] => info.modules.extend(module(path, version, words.get(3))),
            // A folder in place of the module has no version, and tells nothing.
            ["=>", path, version, ..] if !version.is_empty() => {
                if let (Some(last), Some(new)) =
                    (info.modules.last_mut(), module(path, version, words.get(3)))
                {
                    *last = new;
                }
            }
            ["build", setting, ..] => match setting.split_once('=') {
                Some(("vcs.revision", value)) => revision = value,
                Some(("vcs.time", value)) => time = value,
                _ => {}
            },
            _ => {}
        }
    }
    if let Some(main) = info.main.as_mut().filter(|main| main.version == "(devel)") {
        main.version = pseudo_version(revision, time).unwrap_or_default();
    }
    info
}

fn module(path: &str, version: &str, sum: Option<&&str>) -> Option<Module> {
    let is_plain = |text: &str| {
        text.len() <= WORD_BYTES_MAX
            && !text.contains(|c: char| c.is_control() || c.is_whitespace())
    };
    let h1 = sum.and_then(|sum| STANDARD.decode(sum.strip_prefix("h1:")?).ok());
    let h1 = h1.filter(|digest| digest.len() == 32);
    (!path.is_empty() && is_plain(path) && is_plain(version)).then(|| Module {
        path: path.to_owned(),
        version: version.to_owned(),
        h1: h1.map(hex),
    })
}

/// `v0.0.0-20240131120000-abcdefabcdef`, as Go names a commit without tags (Go Modules Reference, "Pseudo-versions").
fn pseudo_version(revision: &str, time: &str) -> Option<String> {
    let digits: String = time.chars().filter(char::is_ascii_digit).collect();
    let is_sound = digits.len() == 14 && time.ends_with('Z');
    let revision = revision.get(..12).filter(|r| r.bytes().all(|b| b.is_ascii_hexdigit()))?;
    is_sound.then(|| format!("v0.0.0-{digits}-{revision}"))
}

const MAGIC: &[u8] = b"\xff Go buildinf:";
const HEADER_BYTES: usize = 32;
const FLAGS_AT: usize = 15;
/// Strings follow the header; without it there are addresses of strings.
const INLINE: u8 = 2;
/// Programs with very many modules have some thousand.
const LINES_MAX: usize = 50_000;
const WORD_BYTES_MAX: usize = 512;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::mutation::mutate;

    const LIST: &str = "path\texample.com/app/cmd\nmod\texample.com/app\t(devel)\t\ndep\tgithub.com/gorilla/mux\tv1.8.0\th1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\ndep\texample.com/old\tv1.0.0\th1:x\n=>\texample.com/new\tv1.1.0\th1:y\ndep\texample.com/local\tv1.0.0\n=>\t./local\t\t\nbuild\t-compiler=gc\nbuild\tvcs.revision=0123456789abcdef0123\nbuild\tvcs.time=2024-01-31T12:00:00Z\n";

    /// The section of a program.
    pub(in crate::sbom) fn section(list: &str) -> Vec<u8> {
        let mut section = MAGIC.to_vec();
        section.extend([8, 2]);
        section.resize(HEADER_BYTES, 0);
        let mut add = |text: &[u8]| {
            let len = text.len();
            section.extend([len as u8 | 0x80, (len >> 7) as u8]);
            section.extend(text);
        };
        add(b"go1.22.1 X:boringcrypto");
        add(&[&[b'-'; 16], list.as_bytes(), &[b'-'; 16]].concat());
        section
    }

    #[test]
    fn modules_are_read() {
        let info = parse(&section(LIST)).unwrap();
        assert_eq!(info.go_version, "go1.22.1");
        let main = info.main.unwrap();
        assert_eq!(main.path, "example.com/app");
        assert_eq!(main.version, "v0.0.0-20240131120000-0123456789ab");
        let modules: Vec<_> =
            info.modules.iter().map(|m| (m.path.as_str(), m.version.as_str())).collect();
        assert_eq!(
            modules,
            [
                ("github.com/gorilla/mux", "v1.8.0"),
                ("example.com/new", "v1.1.0"),
                ("example.com/local", "v1.0.0"),
            ]
        );
        assert!(info.modules[0].h1.as_ref().unwrap().starts_with("e3b0c442"));
        assert_eq!(info.modules[1].h1, None);
    }

    #[test]
    fn programs_of_go_itself_have_no_modules() {
        let info = parse(&section("path\tcmd/go\nbuild\t-compiler=gc\n")).unwrap();
        assert_eq!((info.main, info.modules.len()), (None, 0));
    }

    #[test]
    fn what_is_damaged_or_old_is_said() {
        assert!(parse(b"").is_err());
        let mut old = section(LIST);
        old[FLAGS_AT] = 0;
        assert!(parse(&old).unwrap_err().contains("1.18"));
        assert!(parse(&section(LIST)[..40]).is_err());
    }

    #[test]
    fn mutations_are_read_or_refused() {
        mutate(&section(LIST), b"\t\n=\x80\xff\x00", 5_000, |bytes| drop(parse(bytes)));
    }
}
