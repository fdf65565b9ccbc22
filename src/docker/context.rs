//! Where Docker is: `DOCKER_HOST`, Docker's contexts, and the sockets it has by itself.
//!
//! Contexts are files in Docker's config folder; `docker context` writes them. Nothing here
//! reads certificates or connects.

use std::{
    error, fmt,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::error::Category;

use crate::{
    digest::sha256_hex,
    endpoint::{
        DockerAddress, DockerCandidate, DockerHost, DockerTls, EndpointError, Origin,
        is_context_name, runtime_dir,
    },
};

/// What decides where Docker is, gathered by the caller. Empty texts count as unset.
#[derive(Debug, Clone, Copy, Default)]
pub struct DockerSurroundings<'a> {
    /// The value of `DOCKER_HOST`.
    pub docker_host: Option<&'a str>,
    /// The value of `DOCKER_CONTEXT`.
    pub docker_context: Option<&'a str>,
    /// Whether `DOCKER_TLS_VERIFY` is not empty.
    pub tls_verify: bool,
    /// Whether `DOCKER_TLS` is not empty.
    pub tls: bool,
    /// The value of `DOCKER_CERT_PATH`; the config folder if `None`.
    pub cert_path: Option<&'a Path>,
    /// `DOCKER_CONFIG`, or `.docker` in the home folder.
    pub config_dir: Option<&'a Path>,
    /// The value of `XDG_RUNTIME_DIR`.
    pub xdg_runtime_dir: Option<&'a str>,
    /// The user's number.
    pub uid: u32,
}

/// Gives the places where Docker may be, in the order to try; never empty, none twice.
pub fn candidates(around: &DockerSurroundings<'_>) -> Vec<DockerCandidate> {
    let mut found: Vec<DockerCandidate> = Vec::new();
    let mut add = |host: Result<DockerHost, String>, origin| {
        let is_known = host.is_ok() && found.iter().any(|one| one.host == host);
        if !is_known {
            found.push(DockerCandidate { host, origin });
        }
    };
    if let Some(value) = said(around.docker_host) {
        add(from_docker_host(value, around).map_err(|e| in_one_line(&e)), Origin::DockerHost);
    }
    let mut add_context = |name: &str, origin: fn(String) -> Origin| {
        if name != DEFAULT_CONTEXT {
            add(from_context(name, around).map_err(|e| in_one_line(&e)), origin(name.to_owned()));
        }
    };
    let docker_context = said(around.docker_context);
    if let Some(name) = docker_context {
        add_context(name, Origin::DockerContext);
    }
    // `DOCKER_CONTEXT=default` is how one gets away from the current one.
    if docker_context != Some(DEFAULT_CONTEXT) {
        match current_context(around) {
            Ok(Some(name)) => add_context(&name, Origin::CurrentContext),
            Ok(None) => {}
            Err(error) => add(Err(in_one_line(&error)), Origin::CurrentContext(String::new())),
        }
    }
    add(Ok(default_host()), Origin::DockerDefault);
    if let Some(dir) = runtime_dir(around.xdg_runtime_dir, around.uid) {
        let address = DockerAddress::Unix(dir.join("docker.sock"));
        add(Ok(DockerHost { address, tls: None }), Origin::DockerRootless);
    }
    found
}

/// Finds the host of one context; `default` is `DOCKER_HOST` or the default socket.
///
/// # Errors
/// [`ContextError`]
pub fn named(name: &str, around: &DockerSurroundings<'_>) -> Result<DockerHost, ContextError> {
    if name != DEFAULT_CONTEXT {
        return from_context(name, around);
    }
    match said(around.docker_host) {
        Some(value) => from_docker_host(value, around).map_err(ContextError::DockerHost),
        None => Ok(default_host()),
    }
}

/// Why the host of a context cannot be known.
#[derive(Debug)]
#[non_exhaustive]
pub enum ContextError {
    /// No context can have that name.
    BadName(String),
    /// There is no folder to look for contexts in.
    NoConfigDir(String),
    /// There is no such context.
    Unknown {
        /// The context.
        name: String,
        /// The file that would describe it.
        path: PathBuf,
    },
    /// A file is there and cannot be read.
    Read {
        /// The context; `None` if the file would name it.
        name: Option<String>,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is larger than any of its kind.
    TooLarge {
        /// The context; `None` if the file would name it.
        name: Option<String>,
        /// The file.
        path: PathBuf,
    },
    /// A file is not what Docker writes. What it says instead is not repeated: `config.json`
    /// holds passwords.
    Parse {
        /// The context; `None` if the file would name it.
        name: Option<String>,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: Fault,
    },
    /// The context has another kind of endpoint only.
    NoDocker {
        /// The context.
        name: String,
        /// The file that describes it.
        path: PathBuf,
    },
    /// The context's address is not understood.
    Host {
        /// The context.
        name: String,
        /// The file that describes it.
        path: PathBuf,
        /// What is wrong with it.
        source: EndpointError,
    },
    /// The address in `DOCKER_HOST` is not understood.
    DockerHost(EndpointError),
}

/// What is wrong with a JSON file, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in bytes.
    pub column: usize,
    /// What is wrong there.
    pub problem: &'static str,
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = |name: &Option<String>| match name {
            Some(name) => format!("the Docker context `{name}`"),
            None => "the current Docker context".to_owned(),
        };
        match self {
            Self::BadName(name) => {
                write!(f, "`{}` is not a name of a Docker context", name.escape_debug())
            }
            Self::NoConfigDir(name) => {
                write!(f, "cannot look for the Docker context `{name}` without a home folder")
            }
            Self::Unknown { name, path } => {
                write!(f, "there is no Docker context `{name}` (no `{}`)", path.display())
            }
            Self::Read { name, path, .. } => {
                write!(f, "cannot read {} from `{}`", what(name), path.display())
            }
            Self::TooLarge { name, path } => write!(
                f,
                "cannot read {} from `{}`: the file is too large",
                what(name),
                path.display()
            ),
            Self::Parse { name, path, fault } => write!(
                f,
                "cannot read {} from `{}`, line {}, column {}: {}",
                what(name),
                path.display(),
                fault.line,
                fault.column,
                fault.problem
            ),
            Self::NoDocker { name, path } => {
                write!(f, "the Docker context `{name}` has no `docker` in `{}`", path.display())
            }
            Self::Host { name, path, .. } => {
                write!(f, "cannot use the Docker context `{name}` in `{}`", path.display())
            }
            Self::DockerHost(_) => f.write_str("cannot use `DOCKER_HOST`"),
        }
    }
}

impl error::Error for ContextError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Host { source, .. } | Self::DockerHost(source) => Some(source),
            _ => None,
        }
    }
}

/// Takes `data` for the file of a context; must not panic.
#[doc(hidden)]
pub fn fuzz_docker_context(data: &[u8]) {
    let fault = match parse::<Meta>(data) {
        Ok(meta) => match meta.docker() {
            Some((host, _)) => {
                if let Err(error) = DockerHost::parse(host) {
                    assert!(!error.to_string().contains('\n'));
                }
                return;
            }
            None => return,
        },
        Err(fault) => fault,
    };
    let error = ContextError::Parse { name: None, path: PathBuf::from("meta.json"), fault };
    assert!(!in_one_line(&error).contains('\n'));
}

/// The part of a context's file that we read (docker/cli v28, `cli/context/store/store.go`).
#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "Endpoints")]
    endpoints: Option<Endpoints>,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: Option<DockerEndpoint>,
}

#[derive(Deserialize)]
struct DockerEndpoint {
    #[serde(rename = "Host")]
    host: Option<String>,
    #[serde(rename = "SkipTLSVerify")]
    skip_tls_verify: Option<bool>,
}

impl Meta {
    /// Gives the host, and whether its certificate is taken unseen.
    fn docker(&self) -> Option<(&str, bool)> {
        let docker = self.endpoints.as_ref()?.docker.as_ref()?;
        let skip_verify = docker.skip_tls_verify.unwrap_or_default();
        // Docker leaves the default out.
        Some((said(docker.host.as_deref()).unwrap_or(DEFAULT_HOST), skip_verify))
    }
}

/// The part of Docker's config file that we read here.
#[derive(Deserialize)]
struct Config {
    #[serde(rename = "currentContext")]
    current_context: Option<String>,
}

fn from_docker_host(
    value: &str,
    around: &DockerSurroundings<'_>,
) -> Result<DockerHost, EndpointError> {
    let tls = (around.tls_verify || around.tls).then(|| {
        let files = around.cert_path.filter(|dir| !dir.as_os_str().is_empty());
        DockerTls {
            // Verifying wins if both are set (docker/cli v28, `cli/flags/options.go`).
            skip_verify: !around.tls_verify,
            ..files.or(around.config_dir).map_or_else(DockerTls::default, tls_files)
        }
    });
    DockerHost::with_tls(value.trim(), tls)
}

fn from_context(name: &str, around: &DockerSurroundings<'_>) -> Result<DockerHost, ContextError> {
    if !is_context_name(name) {
        return Err(ContextError::BadName(name.chars().take(NAME_SHOWN_CHARS).collect()));
    }
    let Some(config_dir) = around.config_dir else {
        return Err(ContextError::NoConfigDir(name.to_owned()));
    };
    let contexts = config_dir.join("contexts");
    let id = sha256_hex(name);
    let path = contexts.join("meta").join(&id).join("meta.json");
    let Some(meta) = read::<Meta>(Some(name), &path, META_MAX_BYTES)? else {
        return Err(ContextError::Unknown { name: name.to_owned(), path });
    };
    let Some((host, skip_verify)) = meta.docker() else {
        return Err(ContextError::NoDocker { name: name.to_owned(), path });
    };
    let files = tls_files(&contexts.join("tls").join(&id).join("docker"));
    let has_tls = skip_verify || files != DockerTls::default();
    let tls = has_tls.then_some(DockerTls { skip_verify, ..files });
    DockerHost::with_tls(host, tls).map_err(|source| ContextError::Host {
        name: name.to_owned(),
        path,
        source,
    })
}

/// Reads the name of the current context; `None` if there is none.
fn current_context(around: &DockerSurroundings<'_>) -> Result<Option<String>, ContextError> {
    let Some(config_dir) = around.config_dir else { return Ok(None) };
    let config = read::<Config>(None, &config_dir.join("config.json"), CONFIG_MAX_BYTES)?;
    Ok(config.and_then(|config| config.current_context).filter(|name| !name.is_empty()))
}

/// Reads a JSON file; `None` if there is none.
fn read<T: DeserializeOwned>(
    name: Option<&str>,
    path: &Path,
    limit_bytes: u64,
) -> Result<Option<T>, ContextError> {
    let name = || name.map(str::to_owned);
    let failed = |source| ContextError::Read { name: name(), path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit_bytes {
        return Err(ContextError::TooLarge { name: name(), path: path.to_owned() });
    }
    // Docker takes an empty config file for an empty config.
    if bytes.trim_ascii().is_empty() && name().is_none() {
        return Ok(None);
    }
    let parsed = parse(&bytes);
    parsed.map(Some).map_err(|fault| ContextError::Parse {
        name: name(),
        path: path.to_owned(),
        fault,
    })
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|error| Fault {
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

/// The files in `dir` that are there. One that is hidden from us counts: to read it will fail,
/// and that is better than to go without it.
fn tls_files(dir: &Path) -> DockerTls {
    let file = |name| {
        let path = dir.join(name);
        let is_missing = path.metadata().is_err_and(|e| e.kind() == io::ErrorKind::NotFound);
        (!is_missing).then_some(path)
    };
    DockerTls {
        ca: file("ca.pem"),
        cert: file("cert.pem"),
        key: file("key.pem"),
        skip_verify: false,
    }
}

fn default_host() -> DockerHost {
    DockerHost { address: DockerAddress::Unix(PathBuf::from(DEFAULT_SOCKET)), tls: None }
}

/// An error with its causes, without line breaks: paths may have them.
fn in_one_line(error: &dyn error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text.chars().fold(String::new(), |mut line, c| {
        match c.is_control() {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
        line
    })
}

fn said(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// Docker's name for what it does without contexts.
const DEFAULT_CONTEXT: &str = "default";
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// How much of a name that cannot be one is shown.
const NAME_SHOWN_CHARS: usize = 80;
/// Docker writes less than 1 KiB.
const META_MAX_BYTES: u64 = 1 << 20;
/// As for credentials: far above any real file.
const CONFIG_MAX_BYTES: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::mutation::mutate;

    /// A config folder of Docker.
    struct Home {
        dir: tempfile::TempDir,
    }

    impl Home {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().unwrap() }
        }

        fn current(self, name: &str) -> Self {
            let json = format!(r#"{{"auths":{{}},"currentContext":"{name}"}}"#);
            self.file("config.json", &json)
        }

        /// `id` is the SHA-256 of the name, as `sha256sum` gives it.
        fn context(self, id: &str, json: &str) -> Self {
            self.file(&format!("contexts/meta/{id}/meta.json"), json)
        }

        fn file(self, path: &str, text: &str) -> Self {
            let path = self.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
            self
        }

        fn path(&self, path: &str) -> PathBuf {
            self.dir.path().join(path)
        }

        fn around(&self) -> DockerSurroundings<'_> {
            DockerSurroundings {
                config_dir: Some(self.dir.path()),
                uid: 7,
                ..DockerSurroundings::default()
            }
        }
    }

    /// `printf remote | sha256sum`
    const REMOTE: &str = "b71199ebd070b36beab7317920c2c2f1d777df8d05e5527d8458fda57cb17a7a";
    /// `printf other | sha256sum`
    const OTHER: &str = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa";

    fn meta(host: &str) -> String {
        format!(
            r#"{{"Name":"remote","Metadata":{{"Description":""}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#
        )
    }

    /// Compares one line for each candidate.
    fn check(around: &DockerSurroundings<'_>, expected: &[&str]) {
        let found: Vec<_> = candidates(around)
            .into_iter()
            .map(|one| match one.host {
                Ok(host) => format!("{host} ({})", one.origin),
                Err(text) => format!("{text} ({})", one.origin),
            })
            .collect();
        assert_eq!(found, expected, "{around:?}");
    }

    const DEFAULT: &str = "unix:///var/run/docker.sock (Docker's default)";
    const ROOTLESS: &str = "unix:///run/user/7/docker.sock (rootless Docker)";

    #[test]
    fn without_a_name_the_two_usual_sockets_are_left() {
        let home = Home::new();
        let around = home.around();
        check(&around, &[DEFAULT, ROOTLESS]);
        check(&DockerSurroundings { config_dir: None, ..around }, &[DEFAULT, ROOTLESS]);
        check(&DockerSurroundings { uid: 0, ..around }, &[DEFAULT]);
        check(
            &DockerSurroundings { xdg_runtime_dir: Some("/x:/y"), uid: 0, ..around },
            &[DEFAULT, "unix:///x/docker.sock (rootless Docker)"],
        );
        let empty =
            DockerSurroundings { docker_host: Some(""), docker_context: Some(""), ..around };
        check(&empty, &[DEFAULT, ROOTLESS]);
    }

    #[test]
    fn names_come_first_in_the_order_docker_has_them() {
        let home = Home::new()
            .current("other")
            .context(REMOTE, &meta("ssh://me@far.example"))
            .context(OTHER, &meta("tcp://10.0.0.1:2375"));
        let all = DockerSurroundings {
            docker_host: Some(" tcp://a.example "),
            docker_context: Some("remote"),
            ..home.around()
        };
        let host = "tcp://a.example:2375 (from `DOCKER_HOST`)";
        let context = "ssh://me@far.example (from `DOCKER_CONTEXT` (remote))";
        let current = "tcp://10.0.0.1:2375 (current Docker context `other`)";
        check(&all, &[host, context, current, DEFAULT, ROOTLESS]);
        let around = DockerSurroundings { docker_host: None, ..all };
        check(&around, &[context, current, DEFAULT, ROOTLESS]);
        check(&home.around(), &[current, DEFAULT, ROOTLESS]);
    }

    #[test]
    fn the_default_context_adds_nothing_and_wards_off_the_current_one() {
        let home = Home::new().current("remote").context(REMOTE, &meta("tcp://a.example"));
        let around = DockerSurroundings { docker_context: Some("default"), ..home.around() };
        check(&around, &[DEFAULT, ROOTLESS]);
        check(&Home::new().current("default").around(), &[DEFAULT, ROOTLESS]);
    }

    #[test]
    fn no_host_is_tried_twice() {
        let home = Home::new().current("remote").context(REMOTE, &meta(DEFAULT_HOST));
        check(
            &home.around(),
            &["unix:///var/run/docker.sock (current Docker context `remote`)", ROOTLESS],
        );
        let around = DockerSurroundings {
            docker_host: Some("/run/user/7/docker.sock"),
            docker_context: Some("remote"),
            ..home.around()
        };
        check(
            &around,
            &[
                "unix:///run/user/7/docker.sock (from `DOCKER_HOST`)",
                "unix:///var/run/docker.sock (from `DOCKER_CONTEXT` (remote))",
            ],
        );
    }

    #[test]
    fn what_cannot_be_read_is_told_with_context_and_file_and_the_others_remain() {
        let home = Home::new();
        let path = home.path(&format!("contexts/meta/{REMOTE}/meta.json"));
        let around = DockerSurroundings { docker_context: Some("remote"), ..home.around() };
        let text = format!(
            "there is no Docker context `remote` (no `{}`) (from `DOCKER_CONTEXT` (remote))",
            path.display()
        );
        check(&around, &[&text, DEFAULT, ROOTLESS]);

        let home = Home::new().file("config.json", "{\n  \"currentContext\": 7 }");
        let text = format!(
            "cannot read the current Docker context from `{}`, line 2, column 21: a value of another type is expected (current Docker context)",
            home.path("config.json").display()
        );
        check(&home.around(), &[&text, DEFAULT, ROOTLESS]);
        check(&Home::new().file("config.json", "").around(), &[DEFAULT, ROOTLESS]);

        let host = DockerSurroundings { docker_host: Some("http://a.example"), ..home.around() };
        let first = candidates(&host).remove(0).host.unwrap_err();
        assert_eq!(
            first,
            "cannot understand the address `http://a.example`: expected `tcp://HOST:PORT`"
        );
    }

    /// The context `remote` with that file gives an error that says so.
    fn fails(json: &str, says: &str) {
        let home = Home::new().context(REMOTE, json);
        let text = in_one_line(&named("remote", &home.around()).expect_err(json));
        let path = home.path(&format!("contexts/meta/{REMOTE}/meta.json"));
        assert!(text.contains("`remote`") && text.contains(path.to_str().unwrap()), "{text}");
        assert!(text.contains(says), "`{text}` should say `{says}`");
    }

    #[test]
    fn a_broken_context_is_told_in_one_line() {
        fails("", "line 1, column 0: the file ends too early");
        fails("{", "line 1, column 1: the file ends too early");
        fails("no", "this is not JSON");
        fails("7", "a value of another type is expected");
        fails(r#"{"Endpoints":[]}"#, "a value of another type is expected");
        fails(r#"{"Endpoints":null}"#, "has no `docker`");
        fails(r#"{"Endpoints":{"docker":{"Host":7}}}"#, "a value of another type");
        fails(r#"{"Endpoints":{"docker":{"SkipTLSVerify":"yes"}}}"#, "a value of another type");
        fails("{}", "has no `docker`");
        fails(r#"{"Endpoints":{"kubernetes":{"Host":"x"}}}"#, "has no `docker`");
        fails(&meta("npipe:////./pipe/docker"), "is not served");
        fails(&meta("ssh://-oProxyCommand=x"), "the host is not one");
        fails(&meta("tcp://a\\nb"), "the host is not one");
        fails(&" ".repeat(META_MAX_BYTES as usize + 1), "the file is too large");
    }

    #[test]
    fn a_folder_in_place_of_the_file_is_told() {
        let home = Home::new().context(&format!("{REMOTE}/meta.json"), "");
        let error = named("remote", &home.around()).unwrap_err();
        assert!(matches!(&error, ContextError::Read { name: Some(_), .. }), "{error:?}");
        assert!(in_one_line(&error).contains("directory"), "{error}");
    }

    #[test]
    fn names_that_no_context_has_are_refused() {
        let home = Home::new();
        for name in ["", "../x", "-x", "a b", "a\nb", "é", "a/b"] {
            let error = named(name, &home.around()).unwrap_err();
            assert!(matches!(error, ContextError::BadName(_)), "{name}: {error:?}");
            assert!(!error.to_string().contains('\n'));
        }
        let nowhere = DockerSurroundings { config_dir: None, ..home.around() };
        let error = named("remote", &nowhere).unwrap_err();
        assert!(error.to_string().contains("without a home folder"), "{error}");
    }

    #[test]
    fn the_context_default_is_docker_host_or_the_default_socket() {
        let home = Home::new();
        let around = home.around();
        assert_eq!(named("default", &around).unwrap().to_string(), DEFAULT_HOST);
        let around = DockerSurroundings { docker_host: Some("tcp://a.example"), ..around };
        assert_eq!(named("default", &around).unwrap().to_string(), "tcp://a.example:2375");
        let around = DockerSurroundings { docker_host: Some("fd://"), ..around };
        let error = named("default", &around).unwrap_err();
        assert!(in_one_line(&error).starts_with("cannot use `DOCKER_HOST`: "), "{error}");
    }

    #[test]
    fn a_context_without_a_host_means_the_default_socket() {
        for json in [r#"{"Endpoints":{"docker":{}}}"#, r#"{"Endpoints":{"docker":{"Host":""}}}"#] {
            let home = Home::new().context(REMOTE, json);
            assert_eq!(named("remote", &home.around()).unwrap(), default_host());
        }
    }

    #[test]
    fn a_context_with_certificates_has_tls() {
        let dir = format!("contexts/tls/{REMOTE}/docker");
        let tls = |home: &Home| named("remote", &home.around()).unwrap().tls;
        let home = Home::new().context(REMOTE, &meta("tcp://a.example"));
        assert_eq!(tls(&home), None);
        let home = home.file(&format!("{dir}/ca.pem"), "");
        let ca = Some(home.path(&format!("{dir}/ca.pem")));
        assert_eq!(tls(&home), Some(DockerTls { ca: ca.clone(), ..DockerTls::default() }));
        assert_eq!(named("remote", &home.around()).unwrap().to_string(), "tcp://a.example:2376");
        let home = home.file(&format!("{dir}/cert.pem"), "").file(&format!("{dir}/key.pem"), "");
        let all = DockerTls {
            ca,
            cert: Some(home.path(&format!("{dir}/cert.pem"))),
            key: Some(home.path(&format!("{dir}/key.pem"))),
            skip_verify: false,
        };
        assert_eq!(tls(&home), Some(all.clone()));
        let unseen = meta("tcp://a.example").replace("false", "true");
        let home = home.context(REMOTE, &unseen);
        assert_eq!(tls(&home), Some(DockerTls { skip_verify: true, ..all }));
        // TLS is for TCP alone.
        let home = home.context(REMOTE, &meta("unix:///x.sock"));
        assert_eq!(tls(&home), None);
        let bare = Home::new().context(REMOTE, &unseen);
        assert_eq!(tls(&bare), Some(DockerTls { skip_verify: true, ..DockerTls::default() }));
    }

    #[test]
    fn docker_host_has_tls_when_the_environment_says_so() {
        let home = Home::new().file("ca.pem", "").file("certs/key.pem", "");
        let certs = home.path("certs");
        let host = |around: DockerSurroundings<'_>| {
            candidates(&around).remove(0).host.map(|host| (host.to_string(), host.tls)).unwrap()
        };
        let plain = DockerSurroundings { docker_host: Some("tcp://a.example"), ..home.around() };
        assert_eq!(host(plain), ("tcp://a.example:2375".to_owned(), None));
        let ca = DockerTls { ca: Some(home.path("ca.pem")), ..DockerTls::default() };
        let verify = DockerSurroundings { tls_verify: true, ..plain };
        assert_eq!(host(verify), ("tcp://a.example:2376".to_owned(), Some(ca.clone())));
        let key = DockerTls { key: Some(certs.join("key.pem")), ..DockerTls::default() };
        let elsewhere = DockerSurroundings { cert_path: Some(&certs), ..verify };
        assert_eq!(host(elsewhere).1, Some(key));
        let unseen = DockerSurroundings { tls: true, ..plain };
        assert_eq!(host(unseen).1, Some(DockerTls { skip_verify: true, ..ca.clone() }));
        let both = DockerSurroundings { tls: true, ..verify };
        assert_eq!(host(both).1, Some(ca));
        let socket = DockerSurroundings { docker_host: Some("/x.sock"), ..both };
        assert_eq!(host(socket), ("unix:///x.sock".to_owned(), None));
    }

    #[test]
    fn no_bytes_make_the_parser_panic() {
        let deep = format!("{}1", r#"{"Endpoints":{"docker":[["#.repeat(300));
        let seeds = [
            meta("unix:///run/user/1000/docker.sock"),
            meta("ssh://me@[::1]:22/run/docker.sock"),
            meta("tcp://a.example:2376").replace("false", "null"),
            r#"{"Endpoints":{"docker":{"Host":"\ud83d\udc33\u0000"}},"Endpoints":null}"#.to_owned(),
            deep,
        ];
        for seed in seeds {
            mutate(seed.as_bytes(), b"{}[]\":,\\\xFF=0", 1000, fuzz_docker_context);
        }
    }
}
