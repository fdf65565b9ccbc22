//! Docker Engine: where it is, what it is, and the image it shall hold.
//!
//! [`context`] finds the engine's address, [`Engine::probe`] asks it what it is, [`Engine::builder`] gives a connection to
//! the BuildKit inside it, [`load`] hands it an image that another BuildKit made. Facts of the API: moby's
//! `api/docs/CHANGELOG.md` and `daemon/server/router`.

use std::{
    error, fmt, io,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Deserializer};
use ureq::Agent;

use crate::{
    digest::Digest,
    endpoint::{DockerAddress, DockerHost, WANTS_TLS},
    transport::{
        Socket, command, connect_tcp, connect_unix_within,
        tls::{Inside, TlsError, TlsFiles},
    },
};

pub mod context;
pub mod exec;
mod http;
pub mod load;

#[doc(hidden)]
pub use http::fuzz_upgrade_response;
use http::{Escaped, Protocol};

/// The API of Docker 24, the first engine with BuildKit v0.11.
pub const API_MIN: ApiVersion = ApiVersion(1, 43);
/// The newest API whose words are known here (Engine 29.7).
const API_MAX: ApiVersion = ApiVersion(1, 56);
/// From here on an engine takes gRPC without an upgrade, which is deprecated (Engine 29.2).
const API_DIRECT_GRPC: ApiVersion = ApiVersion(1, 53);

/// How long an engine may take for a short answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A version of the engine's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion(pub u16, pub u16);

/// An engine that has answered.
#[derive(Debug)]
pub struct Engine {
    /// Where it is.
    pub host: DockerHost,
    /// `29.0.1`
    pub version: String,
    /// What is spoken with it.
    pub api: ApiVersion,
    /// The engine's own newest API.
    api_max: ApiVersion,
    connect_timeout: Duration,
    agent: Agent,
}

/// An image as an engine knows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Image {
    /// Digest of the config (graph drivers), or of the manifest or index (containerd).
    pub id: String,
    /// Its names, as Docker shows them: `app:1`.
    #[serde(default, deserialize_with = "null_is_empty")]
    tags: Vec<String>,
}

impl Image {
    /// Whether it has that name, a normalised reference.
    pub fn has_name(&self, reference: &str) -> bool {
        let hub = reference.strip_prefix("docker.io/").unwrap_or(reference);
        let short = hub.strip_prefix("library/").unwrap_or(hub);
        self.tags.iter().any(|tag| [reference, hub, short].contains(&tag.as_str()))
    }
}

/// Go writes `null` for an empty list.
fn null_is_empty<'de, D, T>(value: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(value).map(Option::unwrap_or_default)
}

/// Why an engine does not do what it should.
#[derive(Debug)]
#[non_exhaustive]
pub enum EngineError {
    /// The connection could not be had, or broke.
    Io(io::Error),
    /// It closed the connection, though an answer is due.
    Closed,
    /// The same, of an encrypted one.
    Tls(TlsError),
    /// It was asked in the clear and speaks TLS.
    WantsTls,
    /// The program that carries the connection cannot be started.
    Program {
        /// Its name.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// Something else listens there.
    NotDocker(String),
    /// Older than [`API_MIN`].
    TooOld {
        /// `20.10.24`
        version: String,
    },
    /// It serves no API that is spoken here.
    TooNew {
        /// Its version.
        version: String,
        /// Its oldest API.
        api_min: ApiVersion,
    },
    /// It said no.
    Refused {
        /// HTTP's status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// No answer in time.
    TimedOut,
    /// An answer that makes no sense.
    Answer(String),
}

impl Engine {
    /// Connects and asks what it is: `/_ping`, and `/version` when that does not say enough.
    ///
    /// An engine starts its runtime to tell all versions, so that question costs as much as a tenth of a build of nothing
    /// new. It is asked when the engine is older or newer than what is known here, and when the header is missing.
    ///
    /// # Errors
    /// Nobody is there, it is no Docker, or too old; see [`EngineError`].
    pub fn probe(host: &DockerHost, connect_timeout: Duration) -> Result<Self, EngineError> {
        let mut engine = Self::ping(host, connect_timeout)?;
        let is_known = (API_MIN..=API_MAX).contains(&engine.api_max);
        if !is_known || engine.version.is_empty() {
            engine.version = engine.ask_version()?;
        }
        Ok(engine)
    }

    fn ping(host: &DockerHost, connect_timeout: Duration) -> Result<Self, EngineError> {
        let mut engine = Self {
            host: host.clone(),
            version: String::new(),
            api: API_MIN,
            api_max: API_MIN,
            connect_timeout,
            agent: http::agent(host, connect_timeout, Arc::default()),
        };
        let ping = engine.agent.get("http://docker/_ping").config();
        let ping = ping.timeout_global(Some(ANSWER_TIMEOUT)).build().call();
        let mut ping = ping.map_err(from_ureq)?;
        let header = |name: &str| ping.headers().get(name).and_then(|value| value.to_str().ok());
        if header("libpod-api-version").is_some() {
            return Err(EngineError::NotDocker("it is Podman, which has no BuildKit".to_owned()));
        }
        let api_max = header("api-version").and_then(ApiVersion::parse);
        let Some(api_max) = api_max.filter(|_| ping.status() == 200) else {
            let status = ping.status().as_u16();
            let body = ping.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
            // Go's words for who speaks HTTP where TLS is spoken (`net/http/server.go`).
            if body.is_ok_and(|body| body.starts_with(b"Client sent an HTTP request to an HTTPS")) {
                return Err(EngineError::WantsTls);
            }
            return Err(EngineError::NotDocker(format!("it answers `/_ping` with HTTP {status}")));
        };
        // `Docker/29.8.1 (linux)`
        let server = header("server").and_then(|server| server.strip_prefix("Docker/"));
        let version = server.and_then(|server| server.split(' ').next()).map(http::one_line);
        drop(ping);
        engine.version = version.unwrap_or_default();
        engine.api_max = api_max;
        engine.api = api_max.min(API_MAX);
        Ok(engine)
    }

    /// Asks for the version, and judges it.
    fn ask_version(&self) -> Result<String, EngineError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Version {
            version: String,
            #[serde(rename = "MinAPIVersion")]
            min_api_version: Option<String>,
        }
        let version: Version = self.get("/version")?;
        let api_min = version.min_api_version.as_deref().and_then(ApiVersion::parse);
        let version = http::one_line(&version.version);
        if self.api_max < API_MIN {
            return Err(EngineError::TooOld { version });
        }
        match api_min {
            Some(api_min) if api_min > self.api => Err(EngineError::TooNew { version, api_min }),
            _ => Ok(version),
        }
    }

    /// A connection to the BuildKit inside this engine, ready for HTTP/2.
    ///
    /// # Errors
    /// As [`EngineError`] says.
    pub fn builder(&self) -> Result<Socket, EngineError> {
        // An encrypted one that serves it all the same does not offer HTTP/2 (seen with Engine 29.8).
        if self.api_max >= API_DIRECT_GRPC && self.host.tls.is_none() {
            return dial(&self.host, Inside::Http2, self.connect_timeout);
        }
        let mut socket = dial(&self.host, Inside::Http1, self.connect_timeout)?;
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        match http::upgrade(&mut socket, "/grpc", Protocol::H2c, "", deadline) {
            Ok(()) => Ok(socket),
            // Deprecated since Engine 29.2: one day it will be gone.
            Err(EngineError::Refused { status: 404, .. }) => {
                dial(&self.host, Inside::Http2, self.connect_timeout)
            }
            Err(e) => Err(e),
        }
    }

    /// The image with that name, digest or id; `None` when there is none.
    ///
    /// # Errors
    /// As [`EngineError`] says.
    pub fn image(&self, name: &str) -> Result<Option<Image>, EngineError> {
        // Its history begins with it. To ask for all that is known of an image costs the engine 16 ms in place of 6, as it
        // measures what is unpacked (29.8, containerd).
        match self.get::<Vec<Image>>(&self.path(&format!("/images/{}/history", Escaped(name)))) {
            Ok(history) => match history.into_iter().next() {
                Some(image) if Digest::parse(&image.id).is_none() => {
                    let text = format!("the id `{}` is no digest", http::one_line(&image.id));
                    Err(EngineError::Answer(text))
                }
                found => Ok(found),
            },
            Err(EngineError::Refused { status: 404, .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Whether it keeps images with their attestations: in containerd's store, not in that of a graph driver.
    ///
    /// # Errors
    /// As [`EngineError`] says.
    pub fn keeps_attestations(&self) -> Result<bool, EngineError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Info {
            #[serde(default)]
            driver_status: Option<Vec<(String, String)>>,
        }
        let info: Info = self.get(&self.path("/info"))?;
        // `daemon/info.go` of Docker Engine: the plugin's type when a snapshotter keeps the layers.
        let is_snapshotter =
            |(key, value): (String, String)| key == "driver-type" && value.contains("snapshotter");
        Ok(info.driver_status.unwrap_or_default().into_iter().any(is_snapshotter))
    }

    /// Gives an image another name, a normalised reference.
    ///
    /// # Errors
    /// As [`EngineError`] says.
    pub fn tag(&self, image: &str, reference: &str) -> Result<(), EngineError> {
        let (repository, tag) = match reference.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, tag),
            _ => (reference, "latest"),
        };
        let (image, repository, tag) = (Escaped(image), Escaped(repository), Escaped(tag));
        self.post(&format!("/images/{image}/tag?repo={repository}&tag={tag}"), "")?;
        Ok(())
    }

    fn path(&self, path: &str) -> String {
        format!("/v{}{path}", self.api)
    }

    fn get<T: for<'a> Deserialize<'a>>(&self, path: &str) -> Result<T, EngineError> {
        let request = self.agent.get(format!("http://docker{path}")).config();
        let answer = request.timeout_global(Some(ANSWER_TIMEOUT)).build().call();
        decode(&settle(answer, ANSWER_BYTES_MAX)?)
    }

    /// An answer's body.
    fn post(&self, path: &str, body: &str) -> Result<Vec<u8>, EngineError> {
        let request = self.agent.post(format!("http://docker{}", self.path(path)));
        let request = request.header("Content-Type", "application/json").config();
        let answer = request.timeout_global(Some(ANSWER_TIMEOUT)).build().send(body);
        settle(answer, ANSWER_BYTES_MAX)
    }
}

/// Longest answer that is read whole, in bytes.
const ANSWER_BYTES_MAX: u64 = 8 << 20;

/// The body of an answer that is a yes, of at most `limit_bytes`.
fn settle(
    answer: Result<::http::Response<ureq::Body>, ureq::Error>,
    limit_bytes: u64,
) -> Result<Vec<u8>, EngineError> {
    let mut answer = answer.map_err(from_ureq)?;
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(limit_bytes).read_to_vec();
    let body = body.map_err(from_ureq)?;
    if (200..300).contains(&status) {
        return Ok(body);
    }
    Err(EngineError::Refused { status, message: http::message(&body) })
}

fn decode<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, EngineError> {
    serde_json::from_slice(body).map_err(|e| EngineError::Answer(e.to_string()))
}

fn from_ureq(error: ureq::Error) -> EngineError {
    match error {
        ureq::Error::Timeout(_) => EngineError::TimedOut,
        ureq::Error::Io(e) => match TlsError::from_io(e) {
            TlsError::Io(e) => e.into(),
            tls => EngineError::Tls(tls),
        },
        ureq::Error::Other(e) => match e.downcast::<EngineError>() {
            Ok(e) => *e,
            Err(e) => EngineError::Io(io::Error::other(e)),
        },
        ureq::Error::Protocol(e) => EngineError::NotDocker(format!("it does not speak HTTP ({e})")),
        other => EngineError::Io(io::Error::other(other)),
    }
}

/// Opens a connection to an engine, encrypted or carried where its address says so.
pub(crate) fn dial(
    host: &DockerHost,
    inside: Inside,
    timeout: Duration,
) -> Result<Socket, EngineError> {
    if let Some(words) = host.address.command() {
        return command::start(&words)
            .map_err(|source| EngineError::Program { name: words[0].clone(), source });
    }
    match &host.address {
        DockerAddress::Unix(path) => Ok(connect_unix_within(path, timeout)?),
        DockerAddress::Tcp { host: name, port } => {
            let deadline = Instant::now() + timeout;
            let socket = connect_tcp(name, *port, timeout)?;
            let Some(tls) = &host.tls else { return Ok(socket) };
            let files = TlsFiles {
                ca: tls.ca.clone(),
                cert: tls.cert.clone(),
                key: tls.key.clone(),
                server_name: None,
            };
            socket.encrypt(&files, name, inside, deadline).map_err(|e| match e {
                TlsError::Io(e) => EngineError::Io(e),
                tls => EngineError::Tls(tls),
            })
        }
        DockerAddress::Ssh { .. } => Err(io::Error::from(io::ErrorKind::Unsupported).into()),
    }
}

impl ApiVersion {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl From<io::Error> for EngineError {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, TimedOut, UnexpectedEof};
        match error.kind() {
            TimedOut => Self::TimedOut,
            UnexpectedEof | ConnectionReset | BrokenPipe => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Closed => f.write_str("it closed the connection"),
            Self::Tls(error) => error.fmt(f),
            Self::WantsTls => f.write_str(WANTS_TLS),
            Self::Program { name, .. } => write!(f, "cannot start `{name}`"),
            Self::NotDocker(what) => write!(f, "not Docker: {what}"),
            Self::TooOld { version } => {
                write!(
                    f,
                    "Docker Engine {version} has a BuildKit older than v0.11: Docker 24 or newer is needed"
                )
            }
            Self::TooNew { version, api_min } => {
                write!(
                    f,
                    "Docker Engine {version} wants API {api_min} or newer, peelbox speaks {API_MAX}"
                )
            }
            Self::Refused { status, message } if message.is_empty() => write!(f, "HTTP {status}"),
            Self::Refused { message, .. } => f.write_str(message),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Answer(what) => write!(f, "its answer cannot be read: {what}"),
        }
    }
}

impl error::Error for EngineError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Program { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_docker_shows_them() {
        let image: Image =
            serde_json::from_str(r#"{"Id":"i","Tags":["app:1","team/app:1","r.example/app:1"]}"#)
                .unwrap();
        for name in ["docker.io/library/app:1", "docker.io/team/app:1", "r.example/app:1"] {
            assert!(image.has_name(name), "{name}");
        }
        for name in ["docker.io/library/app:2", "docker.io/other/app:1", "r.example/library/app:1"]
        {
            assert!(!image.has_name(name), "{name}");
        }
        let nameless: Image = serde_json::from_str(r#"{"Id":"i","Tags":null}"#).unwrap();
        assert!(!nameless.has_name("docker.io/library/app:1"));
    }

    #[test]
    fn api_versions_are_numbers_not_decimals() {
        let parse = |text| ApiVersion::parse(text).unwrap();
        assert!(parse("1.9") < API_MIN && parse("1.100") > API_MAX);
        assert_eq!(parse("1.43\r").to_string(), "1.43");
        assert_eq!(ApiVersion::parse("one"), None);
    }
}
