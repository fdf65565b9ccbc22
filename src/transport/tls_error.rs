//! Why there is no encrypted connection.

use std::{error, fmt, io, path::PathBuf};

use rustls::{AlertDescription, CertificateError};

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
    /// A certificate without its key.
    NoKey {
        /// The certificate.
        cert: PathBuf,
    },
    /// A key without its certificate.
    NoCertificate {
        /// The key.
        key: PathBuf,
    },
    /// A key that is another certificate's.
    OtherKey {
        /// The certificate.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
    },
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
    ClientCertificateRefused(&'static str),
    /// The server does not speak TLS.
    NotTls,
    /// The server speaks TLS, but not what we came for.
    NoProtocol(Inside),
    /// Anything else TLS says.
    Other(rustls::Error),
    /// The connection broke.
    Io(io::Error),
}

impl TlsError {
    /// Finds what TLS said inside an error of the connection.
    pub fn from_io(error: io::Error) -> Self {
        Self::in_io(&error).unwrap_or(Self::Io(error))
    }

    /// The same; `None` when TLS has no part in it.
    pub(super) fn in_io(error: &io::Error) -> Option<Self> {
        let inner: &rustls::Error = error.get_ref()?.downcast_ref()?;
        Some(Self::from_rustls(inner.clone()))
    }

    /// What to do about it, where the files are named by flags.
    pub fn remedy(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoKey { .. } => "name the certificate's key with `--tlskey FILE`",
            Self::NoCertificate { .. } => "name the key's certificate with `--tlscert FILE`",
            Self::OtherKey { .. } => {
                "name a certificate and its own key with `--tlscert FILE` and `--tlskey FILE`"
            }
            Self::NoRoots(_) | Self::UnknownIssuer { .. } => {
                "name the CA that signed the server's certificate with `--tlscacert FILE`"
            }
            Self::Expired => "renew the server's certificate",
            Self::NotYetValid => "set this machine's clock, or renew the server's certificate",
            Self::WrongName { .. } => {
                "name one of the certificate's own names with `--tlsservername NAME`"
            }
            Self::ClientCertificateRequired => {
                "name yours with `--tlscert FILE` and `--tlskey FILE`"
            }
            Self::ClientCertificateRefused(_) => {
                "name one that the server's CA has signed with `--tlscert FILE` and `--tlskey FILE`"
            }
            Self::NotTls => {
                "leave the TLS flags and `PEELBOX_TLS…` variables out, or name the port that speaks TLS"
            }
            _ => return None,
        })
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
                    let presented = presented.iter().filter_map(|name| bare_name(name)).collect();
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
            Error::AlertReceived(alert) => match alert {
                AlertDescription::UnknownCA => {
                    Self::ClientCertificateRefused("it does not know the CA that signed it")
                }
                AlertDescription::CertificateExpired => {
                    Self::ClientCertificateRefused("it has expired")
                }
                AlertDescription::CertificateRevoked => {
                    Self::ClientCertificateRefused("it was revoked")
                }
                AlertDescription::UnsupportedCertificate => {
                    Self::ClientCertificateRefused("it is of a kind the server does not support")
                }
                AlertDescription::BadCertificate
                | AlertDescription::CertificateUnknown
                | AlertDescription::AccessDenied => Self::ClientCertificateRefused(""),
                _ => Self::Other(error),
            },
            other => Self::Other(other),
        }
    }

    /// Fills in what rustls does not know.
    pub(super) fn knowing(self, ca: Option<PathBuf>, has_certificate: bool, name: &str) -> Self {
        match self {
            Self::UnknownIssuer { .. } => Self::UnknownIssuer { ca },
            Self::WrongName { presented, .. } => {
                Self::WrongName { expected: name.to_owned(), presented }
            }
            Self::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => Self::NotTls,
            other => other.knowing_us(has_certificate),
        }
    }

    pub(super) fn knowing_us(self, has_certificate: bool) -> Self {
        match self {
            // Before TLS 1.3 a server without our certificate says only that it is a bad one.
            Self::ClientCertificateRefused(_) if !has_certificate => {
                Self::ClientCertificateRequired
            }
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
            Self::NoKey { cert } => {
                write!(f, "the client certificate `{}` comes without its key", cert.display())
            }
            Self::NoCertificate { key } => {
                write!(f, "the key `{}` comes without its client certificate", key.display())
            }
            Self::OtherKey { cert, key } => write!(
                f,
                "the key `{}` does not belong to the client certificate `{}`",
                key.display(),
                cert.display()
            ),
            Self::NoRoots(why) => {
                f.write_str("this platform's trust store has no certificates")?;
                if why.is_empty() { Ok(()) } else { write!(f, " ({why})") }
            }
            Self::ServerName(name) => write!(f, "`{name}` is no name of a server"),
            Self::UnknownIssuer { ca: Some(ca) } => {
                write!(f, "the server's certificate is not signed by the CA in `{}`", ca.display())
            }
            Self::UnknownIssuer { ca: None } => {
                f.write_str("the server's certificate is not signed by a CA this platform trusts")
            }
            Self::Expired => f.write_str("the server's certificate has expired"),
            Self::NotYetValid => f.write_str("the server's certificate is not valid yet"),
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
                f.write_str("the server does not accept the client certificate")?;
                if why.is_empty() { Ok(()) } else { write!(f, ": {why}") }
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

/// A name of a certificate, out of the way rustls writes it; `None` for kinds of names that no server is asked by.
fn bare_name(written: &str) -> Option<String> {
    let inside = |from, to| written.strip_prefix(from)?.strip_suffix(to);
    inside("DnsName(\"", "\")").or_else(|| inside("IpAddress(", ")")).map(str::to_owned)
}
