//! Docker's `config.json`: which helper, or which entry, speaks for a host.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;
use serde_json::error::Category;

use crate::credentials::{Credential, CredentialsError, Secret};

/// The part of the file that we read; no `Debug`, it holds passwords.
#[derive(Default, Deserialize)]
pub(super) struct Config {
    auths: Option<BTreeMap<String, Option<Entry>>>,
    #[serde(rename = "credsStore")]
    creds_store: Option<String>,
    #[serde(rename = "credHelpers")]
    cred_helpers: Option<BTreeMap<String, String>>,
}

/// One of `auths`.
#[derive(Default, Deserialize)]
pub(super) struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// Who speaks for a host: the helper first, then the entry with its key.
pub(super) struct Source<'a> {
    pub(super) helper: Option<Helper<'a>>,
    pub(super) entry: Option<(&'a str, &'a Entry)>,
}

/// A helper and the name under which it knows the host.
pub(super) struct Helper<'a> {
    pub(super) name: &'a str,
    pub(super) server: &'a str,
}

impl Config {
    pub(super) fn load(path: &Path) -> Result<Self, CredentialsError> {
        let read = |source| CredentialsError::Read { path: path.to_owned(), source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(read(error)),
        };
        let mut bytes = Vec::new();
        file.take(CONFIG_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(read)?;
        if bytes.len() as u64 > CONFIG_MAX_BYTES {
            return Err(CredentialsError::TooLarge(path.to_owned()));
        }
        Self::parse(&bytes, path)
    }

    fn parse(bytes: &[u8], path: &Path) -> Result<Self, CredentialsError> {
        // Docker takes an empty file for an empty config.
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(bytes).map_err(|error| CredentialsError::Parse {
            path: path.to_owned(),
            line: error.line(),
            column: error.column(),
            // Not the text of `error`, which quotes what it found.
            problem: match error.classify() {
                Category::Data => "a value of another type is expected",
                Category::Eof => "the file ends too early",
                Category::Syntax | Category::Io => "this is not JSON",
            },
        })
    }

    pub(super) fn source<'a>(&'a self, host: &'a str) -> Source<'a> {
        let server = if is_docker_hub(host) { DOCKER_HUB_KEY } else { host };
        let own = self.cred_helpers.as_ref().and_then(|helpers| find(helpers, host));
        // An empty name switches the store off for this host.
        let name = own.map(|(_, name)| name).or(self.creds_store.as_ref());
        Source {
            helper: name.filter(|name| !name.is_empty()).map(|name| Helper { name, server }),
            entry: self
                .auths
                .as_ref()
                .and_then(|auths| find(auths, host))
                .and_then(|(key, entry)| Some((key, entry.as_ref()?))),
        }
    }
}

impl Entry {
    /// Reads the entry; `None` if it says nothing, as `docker login` leaves it beside a store.
    pub(super) fn credential(
        &self,
        key: &str,
        path: &Path,
    ) -> Result<Option<Credential>, CredentialsError> {
        let said = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
        if let Some(token) = said(&self.identitytoken) {
            return Ok(Some(Credential { username: String::new(), secret: Secret::new(token) }));
        }
        let (username, password) = match said(&self.auth) {
            Some(auth) => decode_auth(&auth).ok_or_else(|| CredentialsError::BadAuth {
                path: path.to_owned(),
                key: key.to_owned(),
            })?,
            None => {
                (said(&self.username).unwrap_or_default(), said(&self.password).unwrap_or_default())
            }
        };
        if !username.is_empty() || !password.is_empty() {
            return Ok(Some(Credential { username, secret: Secret::new(password) }));
        }
        if said(&self.registrytoken).is_some() {
            return Err(CredentialsError::RegistryTokenOnly {
                path: path.to_owned(),
                key: key.to_owned(),
            });
        }
        Ok(None)
    }
}

/// Takes `data` for a config file; must not panic.
#[doc(hidden)]
pub fn fuzz_docker_config(data: &[u8]) {
    let path = Path::new("config.json");
    let config = match Config::parse(data, path) {
        Ok(config) => config,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    for host in ["registry-1.docker.io", "a.example", "127.0.0.1:5000"] {
        if let Some((key, entry)) = config.source(host).entry
            && let Ok(Some(found)) = entry.credential(key, path)
        {
            assert!(!(found.username.is_empty() && found.secret.reveal().is_empty()));
        }
    }
}

/// Finds a host among keys, which may be written as hosts or as addresses: first the exact
/// key, then one that names the same host and nothing below it, then any of that host.
fn find<'a, T>(map: &'a BTreeMap<String, T>, host: &str) -> Option<(&'a str, &'a T)> {
    let canonical = if is_docker_hub(host) { DOCKER_HUB_KEY } else { host };
    if let Some((key, value)) = map.get_key_value(canonical) {
        return Some((key, value));
    }
    let same = |key: &str| {
        let (key_host, below) = host_of(key);
        let same =
            key_host.eq_ignore_ascii_case(host) || is_docker_hub(host) && is_docker_hub(key_host);
        same.then_some(matches!(below, "" | "v1" | "v2"))
    };
    let entries = || map.iter().map(|(key, value)| (key.as_str(), value));
    entries()
        .find(|(key, _)| same(key) == Some(true))
        .or_else(|| entries().find(|(key, _)| same(key).is_some()))
}

/// Splits a key such as `https://host:5000/v1/` into its host and what is below it.
fn host_of(key: &str) -> (&str, &str) {
    let rest = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let (host, below) = rest.split_once('/').unwrap_or((rest, ""));
    (host, below.trim_matches('/'))
}

fn is_docker_hub(host: &str) -> bool {
    ["registry-1.docker.io", "index.docker.io", "docker.io"]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(host))
}

/// Reads `user:password`; Docker pads passwords with NUL bytes in some versions.
fn decode_auth(auth: &str) -> Option<(String, String)> {
    let decoded = LENIENT_BASE64.decode(auth.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (username, password) = text.split_once(':')?;
    Some((username.to_owned(), password.trim_end_matches('\0').to_owned()))
}

/// Tools other than Docker leave the padding out.
const LENIENT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The key of Docker Hub, for the file and for helpers
/// (BuildKit v0.32, `session/auth/authprovider/authprovider.go`).
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// Far above any real file, even with a certificate chain for a token.
pub(super) const CONFIG_MAX_BYTES: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate_corpus;

    fn parse(json: &str) -> Config {
        Config::parse(json.as_bytes(), Path::new("c.json")).map_err(|e| e.to_string()).unwrap()
    }

    /// Looks `host` up among entries whose user names tell which one was found.
    fn check(keys: &[&str], host: &str, expected: Option<&str>) {
        let entries: Vec<_> =
            keys.iter().map(|key| format!(r#""{key}":{{"username":"{key}"}}"#)).collect();
        let config = parse(&format!(r#"{{"auths":{{{}}}}}"#, entries.join(",")));
        let found = config.source(host).entry.map(|(key, _)| key);
        assert_eq!(found, expected, "{host} among {keys:?}");
    }

    #[test]
    fn docker_hub_has_its_own_key() {
        let hub = "https://index.docker.io/v1/";
        check(&["docker.io", hub], "registry-1.docker.io", Some(hub));
        check(&["docker.io"], "registry-1.docker.io", Some("docker.io"));
        check(&["index.docker.io"], "registry-1.docker.io", Some("index.docker.io"));
        check(&["https://index.docker.io/v2/"], "docker.io", Some("https://index.docker.io/v2/"));
        check(&[hub], "registry.docker.io.example", None);
    }

    #[test]
    fn keys_are_hosts_or_addresses() {
        check(&["a.example"], "a.example", Some("a.example"));
        check(&["https://a.example"], "a.example", Some("https://a.example"));
        check(&["http://a.example:5000/v2/"], "a.example:5000", Some("http://a.example:5000/v2/"));
        check(&["A.Example"], "a.example", Some("A.Example"));
        check(&["a.example:5000"], "a.example", None);
        check(&["a.example"], "a.example:5000", None);
        check(&["a.example.org", "xa.example"], "a.example", None);
        check(
            &["a.example/team", "https://a.example/v1/"],
            "a.example",
            Some("https://a.example/v1/"),
        );
        check(&["a.example/team"], "a.example", Some("a.example/team"));
        check(&["https://a.example", "a.example"], "a.example", Some("a.example"));
    }

    fn entry(json: &str) -> Option<(String, String)> {
        let config = parse(&format!(r#"{{"auths":{{"h":{json}}}}}"#));
        let (key, entry) = config.source("h").entry?;
        let found =
            entry.credential(key, Path::new("c.json")).map_err(|e| e.to_string()).unwrap()?;
        Some((found.username, found.secret.reveal().to_owned()))
    }

    #[test]
    fn entries_are_read_as_docker_reads_them() {
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(entry(r#"{"auth":"dXNlcjpwYTpzcw=="}"#), pair("user", "pa:ss"));
        assert_eq!(entry(r#"{"auth":"dXNlcjpwYTpzcw"}"#), pair("user", "pa:ss"));
        assert_eq!(entry(r#"{"auth":" dTpwAAA= ","username":"x"}"#), pair("u", "p"));
        assert_eq!(entry(r#"{"username":"u","password":"p"}"#), pair("u", "p"));
        assert_eq!(entry(r#"{"auth":"dTpw","identitytoken":"t"}"#), pair("", "t"));
        assert_eq!(entry(r#"{"auth":"","identitytoken":null,"email":"me"}"#), None);
        assert_eq!(entry("{}"), None);
        assert_eq!(entry("null"), None);
    }

    #[test]
    fn other_keys_of_the_config_are_left_alone() {
        let config =
            parse(r#"{"auths":null,"credHelpers":null,"HttpHeaders":{"A":"b"},"psFormat":1}"#);
        assert!(config.source("a.example").helper.is_none());
        assert!(parse("").source("a.example").entry.is_none());
        assert!(parse(" \n").source("a.example").entry.is_none());
    }

    #[test]
    fn a_broken_config_is_told_with_line_and_column_and_without_its_words() {
        for (json, line, column, problem) in [
            ("{\n  \"auths\": \"s3cret\"\n}", 2, 19, "another type"),
            ("{\n\"auths\": {\"h\": {\"password\": 7}}}", 2, 29, "another type"),
            ("{\"auths\": {s3cret}}", 1, 12, "not JSON"),
            ("{\"auths\":", 1, 9, "too early"),
            ("[]", 1, 2, "another type"),
            ("s3cret", 1, 1, "not JSON"),
        ] {
            let error = Config::parse(json.as_bytes(), Path::new("c.json")).err().unwrap();
            let text = error.to_string();
            let place = format!("`c.json`, line {line}, column {column}: ");
            assert!(text.contains(&place) && text.contains(problem), "{json}: {text}");
            assert!(!format!("{text} {error:?}").contains("s3cret"), "{text}");
        }
    }

    #[test]
    fn a_config_without_end_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        File::create(&path).unwrap().set_len(CONFIG_MAX_BYTES + 1).unwrap();
        assert!(matches!(Config::load(&path), Err(CredentialsError::TooLarge(_))));
    }

    #[test]
    fn no_bytes_make_the_parser_panic() {
        mutate_corpus("docker_config", b"{}[]\":,\\\xFF=0", 400, fuzz_docker_config);
    }
}
