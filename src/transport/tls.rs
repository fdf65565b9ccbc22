//! TLS between a socket and its peer: rustls with ring, certificates from files, the platform's roots where no CA is named.

use std::{
    error, fmt,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};

use crate::transport::{Socket, Stream};

/// Which files make an encrypted connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TlsFiles {
    /// Certificates of those who may vouch for the server; `None` asks the platform's trust store.
    pub ca: Option<PathBuf>,
    /// Our certificate, with those that vouch for it.
    pub cert: Option<PathBuf>,
    /// The private key of `cert`.
    pub key: Option<PathBuf>,
    /// The name the server's certificate must have; `None`: the address's.
    pub server_name: Option<String>,
}

/// What is spoken inside, as ALPN names it (RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// `h2`: gRPC.
    Http2,
    /// `http/1.1`: Docker's API.
    Http1,
}

/// Why there is no encrypted connection. Each kind has its own remedy.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or is not what it should be.
    File {
        /// What it should hold.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A certificate without its key, or the reverse.
    HalfAnIdentity,
    /// The trust store of the platform has no certificate.
    NoRoots(String),
    /// What was named is no name a certificate can have.
    ServerName(String),
    /// The server's certificate is signed by nobody we trust.
    UnknownIssuer {
        /// Whom we trusted; `None`: the platform's store.
        ca: Option<PathBuf>,
    },
    /// The server's certificate is not valid any more.
    Expired,
    /// The server's certificate is not valid yet.
    NotYetValid,
    /// The server's certificate is another one's.
    WrongName {
        /// The name we asked for.
        expected: String,
        /// The names it has, as far as they are known.
        presented: Vec<String>,
    },
    /// The server's certificate cannot be used for another reason.
    BadCertificate(String),
    /// The server wants to know who we are.
    ClientCertificateRequired,
    /// The server does not accept our certificate.
    ClientCertificateRefused(String),
    /// The server does not speak TLS.
    NotTls,
    /// The server speaks TLS, but not what we came for.
    NoProtocol(Inside),
    /// Anything else TLS says.
    Other(rustls::Error),
    /// The connection broke.
    Io(io::Error),
}

impl TlsFiles {
    /// Whether anything was named.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads the files of a folder: `ca.pem`, `cert.pem` and `key.pem`, or `ca.crt`, `tls.crt` and `tls.key` (the layout of
    /// a Kubernetes secret), as buildctl's `--tlsdir` does. Those that are there.
    ///
    /// # Errors
    /// None of them is there.
    pub fn in_dir(dir: &Path) -> Result<Self, TlsError> {
        let layouts = [["ca.pem", "cert.pem", "key.pem"], ["ca.crt", "tls.crt", "tls.key"]];
        for [ca, cert, key] in layouts {
            let there = |name: &str| Some(dir.join(name)).filter(|path| path.exists());
            let files =
                Self { ca: there(ca), cert: there(cert), key: there(key), server_name: None };
            if !files.is_empty() {
                return Ok(files);
            }
        }
        Err(TlsError::File {
            what: "TLS files",
            path: dir.to_owned(),
            problem: "it has neither ca.pem, cert.pem, key.pem nor ca.crt, tls.crt, tls.key"
                .to_owned(),
        })
    }

    /// Looks whether the files are there and what they should be, before anybody is asked.
    ///
    /// # Errors
    /// [`TlsError::File`], [`TlsError::HalfAnIdentity`], [`TlsError::ServerName`].
    pub fn check(&self) -> Result<(), TlsError> {
        if self.is_empty() {
            return Ok(());
        }
        if let Some(name) = &self.server_name {
            server_name(name)?;
        }
        match self.config(Inside::Http2) {
            // The platform's trust store is looked at when it is needed.
            Ok(_) | Err(TlsError::NoRoots(_)) => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn config(&self, inside: Inside) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Other)?
            .with_root_certificates(self.roots()?);
        let mut config = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                let chain = certificates("a certificate", cert)?;
                let secret = PrivateKeyDer::from_pem_file(key)
                    .map_err(|e| file("a private key", key, &e))?;
                builder
                    .with_client_auth_cert(chain, secret)
                    .map_err(|e| file("the key of that certificate", key, &e))?
            }
            (None, None) => builder.with_no_client_auth(),
            _ => return Err(TlsError::HalfAnIdentity),
        };
        config.alpn_protocols = vec![inside.alpn().to_vec()];
        Ok(config)
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        if let Some(ca) = &self.ca {
            for certificate in certificates("a certificate", ca)? {
                roots.add(certificate).map_err(|e| file("a certificate", ca, &e))?;
            }
            return Ok(roots);
        }
        // Heeds SSL_CERT_FILE and SSL_CERT_DIR.
        let platform = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(platform.certs);
        if roots.is_empty() {
            let problems = platform.errors.iter().map(ToString::to_string);
            return Err(TlsError::NoRoots(problems.collect::<Vec<_>>().join("; ")));
        }
        Ok(roots)
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName(name.to_owned()))
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match found {
        Ok(list) if list.is_empty() => Err(file(what, path, &"there is none in it")),
        Ok(list) => Ok(list),
        Err(e) => Err(file(what, path, &e)),
    }
}

fn file(what: &'static str, path: &Path, problem: &dyn fmt::Display) -> TlsError {
    TlsError::File { what, path: path.to_owned(), problem: problem.to_string() }
}

impl Inside {
    fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http2 => b"h2",
            Self::Http1 => b"http/1.1",
        }
    }
}

impl Socket {
    /// Encrypts what will be sent: agrees with the peer on keys, checks who it is, and says who we are.
    ///
    /// `host` is the address's, and the name the peer must have unless another was named.
    ///
    /// # Errors
    /// See [`TlsError`]. That a server refuses our certificate may show only when it is first read from (TLS 1.3):
    /// [`TlsError::from_io`] finds it there.
    pub fn encrypt(
        mut self,
        files: &TlsFiles,
        host: &str,
        inside: Inside,
        deadline: Instant,
    ) -> Result<Self, TlsError> {
        let config = files.config(inside)?;
        let expected = files.server_name.as_deref().unwrap_or(host);
        let name = server_name(expected)?;
        let mut connection =
            ClientConnection::new(Arc::new(config), name).map_err(TlsError::Other)?;
        let mut stream = self.blocking(Some(deadline));
        let agreed = connection.complete_io(&mut stream);
        agreed.map_err(|e| TlsError::from_io(e).knowing(files, expected))?;
        // A server that knows no ALPN chose nothing; what it speaks will be seen.
        if connection.alpn_protocol().is_some_and(|chosen| chosen != inside.alpn()) {
            return Err(TlsError::NoProtocol(inside));
        }
        self.witness = Arc::default();
        self.layers_mut().tls = Some(TlsLayer { connection: Box::new(connection) });
        Ok(self)
    }
}

impl TlsError {
    /// Finds what TLS said inside an error of the connection.
    pub fn from_io(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(inner) => Self::from_rustls(inner.clone()),
            None => Self::Io(error),
        }
    }

    /// The same where the error is somewhere among the causes; `None` when TLS has no part in it.
    pub fn among(error: &(dyn error::Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<rustls::Error>() {
                return Some(Self::from_rustls(found.clone()));
            }
            if let Some(io) = error.downcast_ref::<io::Error>()
                && let Some(found) = io.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>())
            {
                return Some(Self::from_rustls(found.clone()));
            }
            next = error.source();
        }
        None
    }

    fn from_rustls(error: rustls::Error) -> Self {
        use rustls::Error;
        match error {
            Error::InvalidCertificate(fault) => match fault {
                CertificateError::UnknownIssuer => Self::UnknownIssuer { ca: None },
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    Self::Expired
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Self::NotYetValid
                }
                CertificateError::NotValidForName => {
                    Self::WrongName { expected: String::new(), presented: Vec::new() }
                }
                CertificateError::NotValidForNameContext { presented, .. } => {
                    Self::WrongName { expected: String::new(), presented }
                }
                other => Self::BadCertificate(other.to_string()),
            },
            // A plain HTTP/2 server begins with SETTINGS, an HTTP/1 server with text.
            Error::InvalidMessage(_) => Self::NotTls,
            Error::AlertReceived(AlertDescription::CertificateRequired) => {
                Self::ClientCertificateRequired
            }
            Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
                Self::NoProtocol(Inside::Http2)
            }
            Error::AlertReceived(
                alert @ (AlertDescription::BadCertificate
                | AlertDescription::UnknownCA
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateUnknown
                | AlertDescription::AccessDenied),
            ) => Self::ClientCertificateRefused(format!("{alert:?}")),
            other => Self::Other(other),
        }
    }

    /// Fills in what rustls does not know.
    fn knowing(self, files: &TlsFiles, name: &str) -> Self {
        match self {
            Self::UnknownIssuer { .. } => Self::UnknownIssuer { ca: files.ca.clone() },
            Self::WrongName { presented, .. } => {
                Self::WrongName { expected: name.to_owned(), presented }
            }
            // Before TLS 1.3 a server without our certificate says only that it is a bad one.
            Self::ClientCertificateRefused(_) if files.cert.is_none() => {
                Self::ClientCertificateRequired
            }
            Self::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => Self::NotTls,
            other => other,
        }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { what, path, problem } => {
                write!(f, "cannot read {what} from `{}`: {problem}", path.display())
            }
            Self::HalfAnIdentity => {
                f.write_str("a client certificate and its key go together: one of them is missing")
            }
            Self::NoRoots(why) => {
                f.write_str(
                    "this platform's trust store has no certificates: name the server's CA",
                )?;
                if why.is_empty() { Ok(()) } else { write!(f, " ({why})") }
            }
            Self::ServerName(name) => write!(f, "`{name}` is no name of a server"),
            Self::UnknownIssuer { ca: Some(ca) } => {
                write!(f, "the server's certificate is not signed by the CA in `{}`", ca.display())
            }
            Self::UnknownIssuer { ca: None } => f.write_str(
                "the server's certificate is not signed by a CA this platform trusts: name its CA",
            ),
            Self::Expired => f.write_str("the server's certificate has expired"),
            Self::NotYetValid => {
                f.write_str("the server's certificate is not valid yet: is this clock right?")
            }
            Self::WrongName { expected, presented } => {
                write!(f, "the server's certificate is not for `{expected}`")?;
                if !presented.is_empty() {
                    write!(f, " but for {}", presented.join(", "))?;
                }
                Ok(())
            }
            Self::BadCertificate(why) => {
                write!(f, "the server's certificate cannot be used: {why}")
            }
            Self::ClientCertificateRequired => f.write_str("the server wants a client certificate"),
            Self::ClientCertificateRefused(why) => {
                write!(f, "the server does not accept the client certificate ({why})")
            }
            Self::NotTls => f.write_str("the server does not speak TLS on this port"),
            Self::NoProtocol(Inside::Http2) => {
                f.write_str("the server speaks TLS, but not HTTP/2 inside")
            }
            Self::NoProtocol(Inside::Http1) => {
                f.write_str("the server speaks TLS, but not HTTP/1.1 inside")
            }
            Self::Other(error) => write!(f, "TLS failed: {error}"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl error::Error for TlsError {}

/// An encrypted stream, once both sides have agreed on keys.
#[derive(Debug)]
pub(super) struct TlsLayer {
    // A connection is large; most sockets have none.
    connection: Box<ClientConnection>,
}

impl TlsLayer {
    pub(super) fn read(&mut self, stream: &Stream, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(buf) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                // The peer ended the connection without saying so; who needs more bytes will miss them.
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                other => return other,
            }
            // Answers of the protocol itself go out as well; what does not fit waits for the next write.
            self.flush(stream).or_else(ignore_block)?;
            if self.connection.read_tls(&mut Borrowed(stream))? == 0 {
                return Ok(0);
            }
            if let Err(e) = self.connection.process_new_packets() {
                // The peer may hear why.
                drop(self.flush(stream));
                return Err(io::Error::new(io::ErrorKind::InvalidData, e));
            }
        }
    }

    pub(super) fn write(&mut self, stream: &Stream, buf: &[u8]) -> io::Result<usize> {
        // What waits goes first, so that no more than the connection's own limit ever waits.
        if self.connection.wants_write() {
            self.flush(stream)?;
        }
        let n = self.connection.writer().write(buf)?;
        self.flush(stream).or_else(ignore_block)?;
        Ok(n)
    }

    pub(super) fn flush(&mut self, stream: &Stream) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut Borrowed(stream))?;
        }
        Ok(())
    }

    pub(super) fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    pub(super) fn has_buffered(&self) -> bool {
        !self.connection.wants_read()
    }

    pub(super) fn close(&mut self, stream: &Stream) {
        self.connection.send_close_notify();
        // A peer that takes no more bytes will miss it.
        drop(self.flush(stream));
    }
}

fn ignore_block(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::WouldBlock { Ok(()) } else { Err(error) }
}

/// rustls wants `&mut`; a stream needs only `&`.
struct Borrowed<'a>(&'a Stream);

impl io::Read for Borrowed<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl io::Write for Borrowed<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
