//! TLS between a socket and its peer: rustls with ring, certificates from files, the platform's roots where no CA is named.

use std::{
    fmt, fs,
    io::{self, IoSlice, Read as _, Write as _},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use rustls::{
    ClientConfig, ClientConnection, ConfigBuilder, InconsistentKeys, RootCertStore, WantsVerifier,
    Writer,
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName,
        pem::{self, PemObject as _},
    },
};

pub use super::tls_error::{Inside, TlsError};
use crate::transport::{Greeting, Socket, Stream};

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
        let what = "the TLS files";
        Err(match fs::read_dir(dir) {
            Err(e) => file(what, dir, &e),
            Ok(_) => {
                let names = "it has neither ca.pem, cert.pem, key.pem nor ca.crt, tls.crt, tls.key";
                file(what, dir, &names)
            }
        })
    }

    /// Looks whether the files are there and what they should be, before anybody is asked.
    ///
    /// # Errors
    /// The kinds of [`TlsError`] that tell of a file or a name.
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
        let builder = builder()?.with_root_certificates(self.roots()?);
        let mut config = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                let chain = certificates("a certificate", cert)?;
                let secret = PrivateKeyDer::from_pem_file(key)
                    .map_err(|e| file("a private key", key, &key_problem(key, e)))?;
                builder.with_client_auth_cert(chain, secret).map_err(|e| match e {
                    rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                        TlsError::OtherKey { cert: cert.clone(), key: key.clone() }
                    }
                    e => file("a certificate and its key", cert, &e),
                })?
            }
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), None) => return Err(TlsError::NoKey { cert: cert.clone() }),
            (None, Some(key)) => return Err(TlsError::NoCertificate { key: key.clone() }),
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

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Other)
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    // A certificate's addresses have no zone.
    let bare = name.split_once('%').map_or(name, |(address, _)| address);
    ServerName::try_from(bare.to_owned()).map_err(|_| TlsError::ServerName(name.to_owned()))
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match found {
        Ok(list) if list.is_empty() => {
            Err(file(what, path, &pem_problem(pem::Error::NoItemsFound)))
        }
        Ok(list) => Ok(list),
        Err(e) => Err(file(what, path, &pem_problem(e))),
    }
}

fn pem_problem(error: pem::Error) -> String {
    match error {
        pem::Error::Io(e) => e.to_string(),
        pem::Error::NoItemsFound => "it has none in PEM format".to_owned(),
        pem::Error::Base64Decode(why) => format!("its PEM is damaged ({why})"),
        _ => "its PEM is damaged".to_owned(),
    }
}

fn key_problem(path: &Path, error: pem::Error) -> String {
    // As PKCS#8 says it, and as OpenSSL did before.
    let is_encrypted = |pem: Vec<u8>| pem.windows(9).any(|word| word == b"ENCRYPTED");
    if fs::read(path).is_ok_and(is_encrypted) {
        return "it is encrypted, a key without a passphrase is needed".to_owned();
    }
    pem_problem(error)
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
        agreed.map_err(|e| {
            TlsError::from_io(e).knowing(files.ca.clone(), files.cert.is_some(), expected)
        })?;
        // A server that knows no ALPN chose nothing; what it speaks will be seen.
        if connection.alpn_protocol().is_some_and(|chosen| chosen != inside.alpn()) {
            return Err(TlsError::NoProtocol(inside));
        }
        self.witness = Arc::default();
        self.layers_mut().tls = Some(TlsLayer::new(connection, files.cert.is_some()));
        Ok(self)
    }

    /// Whether the peer answers a client's first words of TLS in TLS; whom it shows, and whether that can be trusted,
    /// does not matter.
    pub fn speaks_tls(&self, host: &str, deadline: Instant) -> bool {
        let (Ok(builder), Ok(name)) = (builder(), server_name(host)) else { return false };
        let trusting_nobody =
            builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
        if let Ok(mut connection) = ClientConnection::new(Arc::new(trusting_nobody), name) {
            // Fails, with the peer's certificate at the latest.
            drop(connection.complete_io(&mut self.blocking(Some(deadline))));
        }
        self.witness.greeting() == Greeting::Tls
    }
}

/// An encrypted stream, once both sides have agreed on keys.
#[derive(Debug)]
pub(super) struct TlsLayer {
    // A connection is large; most sockets have none.
    connection: Box<ClientConnection>,
    has_certificate: bool,
    /// What came and was not decrypted yet: rustls itself asks for 4 KiB at a time.
    raw: Box<[u8]>,
    /// Which part of `raw` that is.
    raw_range: Range<usize>,
}

impl TlsLayer {
    fn new(connection: ClientConnection, has_certificate: bool) -> Self {
        let raw = vec![0; RAW_BYTES].into_boxed_slice();
        Self { connection: Box::new(connection), has_certificate, raw, raw_range: 0..0 }
    }

    pub(super) fn read(&mut self, stream: &Stream, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(buf) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                // The peer ended the connection without saying so; who needs more bytes will miss them.
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                other => return other,
            }
            // Answers of the protocol itself go out as well; what does not fit waits for the next write. A peer that
            // takes no more bytes may still have said why.
            self.send(stream).or_else(|e| if is_gone(&e) { Ok(()) } else { ignore_block(e) })?;
            if self.receive(stream)? == 0 {
                return Ok(0);
            }
        }
    }

    pub(super) fn write(&mut self, stream: &Stream, buf: &[u8]) -> io::Result<usize> {
        self.write_with(stream, |writer| writer.write(buf))
    }

    pub(super) fn write_vectored(
        &mut self,
        stream: &Stream,
        bufs: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        self.write_with(stream, |writer| writer.write_vectored(bufs))
    }

    fn write_with(
        &mut self,
        stream: &Stream,
        encrypt: impl FnOnce(&mut Writer<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        // What waits goes first, so that no more than the connection's own limit (64 KiB) ever waits.
        self.flush(stream)?;
        let n = encrypt(&mut self.connection.writer())?;
        self.flush(stream).or_else(ignore_block)?;
        Ok(n)
    }

    pub(super) fn flush(&mut self, stream: &Stream) -> io::Result<()> {
        self.send(stream).map_err(|e| if is_gone(&e) { self.last_alert(stream, e) } else { e })
    }

    pub(super) fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    pub(super) fn has_buffered(&self) -> bool {
        !self.raw_range.is_empty() || !self.connection.wants_read()
    }

    /// Whether we told the peer who we are.
    pub(super) fn has_certificate(&self) -> bool {
        self.has_certificate
    }

    pub(super) fn close(&mut self, stream: &Stream) {
        self.connection.send_close_notify();
        // A peer that takes no more bytes will miss it.
        drop(self.send(stream));
    }

    fn send(&mut self, stream: &Stream) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut Borrowed(stream))?;
        }
        Ok(())
    }

    /// Decrypts some of what has come; zero is the end.
    fn receive(&mut self, stream: &Stream) -> io::Result<usize> {
        if self.raw_range.is_empty() {
            self.raw_range = 0..stream.read(&mut self.raw)?;
        }
        let n = self.connection.read_tls(&mut &self.raw[self.raw_range.clone()])?;
        self.raw_range.start += n;
        if let Err(e) = self.connection.process_new_packets() {
            // The peer may hear why.
            drop(self.send(stream));
            return Err(io::Error::new(io::ErrorKind::InvalidData, e));
        }
        Ok(n)
    }

    /// Why a peer takes no more bytes, if it has said so: with TLS 1.3 it looks at our certificate after we have begun
    /// to write, and our next bytes may meet a closed connection before the alert is read.
    fn last_alert(&mut self, stream: &Stream, error: io::Error) -> io::Error {
        // What else it sent before is of no use any more.
        let mut sink = [0; 4 << 10];
        loop {
            match self.receive(stream) {
                Err(e) if e.kind() == io::ErrorKind::InvalidData => return e,
                Err(_) | Ok(0) => return error,
                Ok(_) => while let Ok(1..) = self.connection.reader().read(&mut sink) {},
            }
        }
    }
}

/// How many bytes are read at once: some records, of 16 KiB at most each.
const RAW_BYTES: usize = 64 << 10;

/// Whether the peer takes no more bytes.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

fn ignore_block(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::WouldBlock { Ok(()) } else { Err(error) }
}

/// rustls wants `&mut`; a stream needs only `&`.
struct Borrowed<'a>(&'a Stream);

impl io::Write for Borrowed<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
