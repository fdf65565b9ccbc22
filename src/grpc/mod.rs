//! gRPC over the `h2` crate, driven by plain threads. Knows no BuildKit message.
//!
//! One thread ([`driver::Driver`]) owns the socket and polls every HTTP/2 connection on it; callers and served
//! calls run on threads of their own and wait by parking ([`io::block_on`]). There is no async runtime: `h2` needs
//! only a waker and the `AsyncRead`/`AsyncWrite` traits.

use std::{fmt, sync::Arc};

use base64::{Engine as _, alphabet, engine};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use prost::Message as _;

use crate::{pb::rpc, terminal_text::one_line};

pub mod client;
pub mod driver;
pub mod frame;
mod headers;
pub mod io;
pub mod server;
pub mod stream;

pub use client::{CallOptions, Channel};
pub use io::Cancel;
pub use server::{Call, Service};

/// Largest gRPC message taken from the peer, in bytes (BuildKit's own clients use the same since v0.13).
pub const RECEIVE_LIMIT_BYTES: usize = 16 << 20;

/// Largest gRPC message sent, in bytes: daemons before v0.14 refuse more than 4 MiB.
pub const SEND_LIMIT_BYTES: usize = 4 << 20;

/// What a GOAWAY without an error means (RFC 9113, section 6.8).
const CLOSING: &str = "the daemon is shutting down";

/// Lenient base64: senders of `-bin` metadata may leave the padding away.
const BASE64: engine::GeneralPurpose = engine::GeneralPurpose::new(
    &alphabet::STANDARD,
    engine::GeneralPurposeConfig::new()
        .with_decode_padding_mode(engine::DecodePaddingMode::Indifferent),
);

/// The seventeen gRPC codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are gRPC's own")]
pub enum Code {
    Ok = 0,
    Canceled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

const CODES: [Code; 17] = [
    Code::Ok,
    Code::Canceled,
    Code::Unknown,
    Code::InvalidArgument,
    Code::DeadlineExceeded,
    Code::NotFound,
    Code::AlreadyExists,
    Code::PermissionDenied,
    Code::ResourceExhausted,
    Code::FailedPrecondition,
    Code::Aborted,
    Code::OutOfRange,
    Code::Unimplemented,
    Code::Internal,
    Code::Unavailable,
    Code::DataLoss,
    Code::Unauthenticated,
];

impl Code {
    /// The code of a number; numbers gRPC does not know are `Unknown`.
    pub fn from_number(number: i64) -> Self {
        usize::try_from(number).ok().and_then(|n| CODES.get(n)).copied().unwrap_or(Self::Unknown)
    }

    /// What an HTTP status means when the answer is not gRPC at all (gRPC's http-grpc-status-mapping).
    pub fn from_http(status: http::StatusCode) -> Self {
        match status.as_u16() {
            400 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502..=504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }
}

/// How a call ended when it did not end well.
#[derive(Clone, Debug)]
pub struct Status {
    /// The class of failure.
    pub code: Code,
    /// Text of the peer, or ours.
    pub message: String,
    /// Typed details (`grpc-status-details-bin`), empty when the peer sent none.
    pub details: Vec<crate::pb::Any>,
    /// The connection failed, not the call: nobody answered.
    pub is_transport: bool,
    /// The peer says that it has not looked at the call: to make it once more is safe.
    pub is_unprocessed: bool,
    /// What lies behind a transport failure.
    source: Option<Arc<h2::Error>>,
}

impl Status {
    /// A status without details.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: Vec::new(),
            is_transport: false,
            is_unprocessed: false,
            source: None,
        }
    }

    /// The peer broke a rule of gRPC.
    pub fn protocol(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, message)
    }

    /// The peer takes no further calls.
    pub fn closing() -> Self {
        Self::gone(CLOSING)
    }

    /// The peer is not there any more.
    pub fn gone(message: impl Into<String>) -> Self {
        Self { is_transport: true, ..Self::new(Code::Unavailable, message) }
    }

    /// What a broken stream or connection means (gRPC's HTTP/2 mapping of RST_STREAM codes).
    pub fn from_h2(error: h2::Error) -> Self {
        use h2::Reason;
        let reason = error.reason();
        let code = match reason {
            Some(Reason::CANCEL) => Code::Canceled,
            Some(Reason::REFUSED_STREAM) | None => Code::Unavailable,
            Some(Reason::NO_ERROR) if error.is_go_away() => Code::Unavailable,
            Some(Reason::ENHANCE_YOUR_CALM) => Code::ResourceExhausted,
            Some(Reason::INADEQUATE_SECURITY) => Code::PermissionDenied,
            Some(_) => Code::Internal,
        };
        let message = if error.is_io() {
            "the connection to the daemon broke".to_owned()
        } else if error.is_go_away() && error.is_remote() && reason == Some(Reason::NO_ERROR) {
            CLOSING.to_owned()
        } else if error.is_go_away() {
            format!("the daemon closed the connection ({error})")
        } else {
            format!("the call was reset ({error})")
        };
        Self {
            is_transport: error.is_io() || error.is_go_away(),
            is_unprocessed: error.is_remote() && reason == Some(Reason::REFUSED_STREAM),
            source: Some(Arc::new(error)),
            ..Self::new(code, message)
        }
    }

    /// Reads trailers, or headers that end the stream; `None` when they hold no `grpc-status`.
    ///
    /// A message that is not valid percent-encoding or UTF-8 is kept as well as it can be.
    pub fn from_trailers(trailers: &HeaderMap) -> Option<Result<(), Self>> {
        let number = trailers.get("grpc-status")?.to_str().ok().and_then(|s| s.parse().ok());
        let code = Code::from_number(number.unwrap_or(2));
        if code == Code::Ok {
            return Some(Ok(()));
        }
        let message = trailers.get("grpc-message").map(|v| percent_decode(v.as_bytes()));
        let details = trailers.get("grpc-status-details-bin").and_then(|v| {
            let raw = BASE64.decode(v.as_bytes()).ok()?;
            Some(rpc::Status::decode(&raw[..]).ok()?.details)
        });
        Some(Err(Self {
            details: details.unwrap_or_default(),
            ..Self::new(code, one_line(&message.unwrap_or_default()))
        }))
    }

    /// The trailers that carry this status.
    pub fn to_trailers(&self) -> HeaderMap {
        let mut trailers = HeaderMap::with_capacity(2);
        trailers.insert("grpc-status", HeaderValue::from(self.code as u8 as u16));
        if !self.message.is_empty() {
            let encoded = percent_encode(&self.message);
            if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(encoded)) {
                trailers.insert("grpc-message", value);
            }
        }
        trailers
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() {
            return write!(f, "{:?}", self.code);
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as &dyn std::error::Error)
    }
}

/// Every byte outside 0x20..=0x7E, and `%`, becomes `%XX` (gRPC over HTTP/2, "Status-Message").
fn percent_encode(text: &str) -> String {
    use fmt::Write as _;
    // Header lists are bounded by the peer; a message of this length says enough.
    const MESSAGE_BYTES_MAX: usize = 8 << 10;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes().take(MESSAGE_BYTES_MAX) {
        if (0x20..=0x7e).contains(&byte) && byte != b'%' {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The reverse; an escape that is none stays as it is.
fn percent_decode(raw: &[u8]) -> String {
    let hex = |b: u8| char::from(b).to_digit(16);
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [first, tail @ ..] = rest {
        if let (b'%', [high, low, after @ ..]) = (first, tail)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            out.push((high * 16 + low) as u8);
            rest = after;
            continue;
        }
        out.push(*first);
        rest = tail;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[doc(hidden)]
pub fn fuzz_status_trailers(data: &[u8]) {
    let mut trailers = HeaderMap::new();
    let mut parts = data.split(|b| *b == b'\n');
    for name in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
        if let Some(Ok(value)) = parts.next().map(HeaderValue::from_bytes) {
            trailers.insert(name, value);
        }
    }
    if let Some(Err(status)) = Status::from_trailers(&trailers) {
        assert_ne!(status.code, Code::Ok);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    #[test]
    fn a_status_survives_the_way_through_trailers() {
        for (message, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("50 % of\n\"it\"", "50 % of \"it\""),
            ("käse 🧀", "käse 🧀"),
            ("%zz %4", "%zz %4"),
            ("a\u{0}b\x1b[31mc\u{9b}2J\u{202e}", "abc"),
        ] {
            let sent = Status::new(Code::NotFound, message);
            let got = Status::from_trailers(&sent.to_trailers()).unwrap().unwrap_err();
            assert_eq!((got.code, got.message.as_str()), (Code::NotFound, expected));
        }
    }

    #[test]
    fn invalid_escapes_stay_literal() {
        assert_eq!(percent_decode(b"100% sure %4 %e4%ff"), "100% sure %4 \u{fffd}\u{fffd}");
    }

    #[test]
    fn details_are_read_with_and_without_padding() {
        let details = vec![crate::pb::Any { type_url: "t".into(), value: b"{}".to_vec() }];
        let raw = rpc::Status { code: 2, message: "m".into(), details }.encode_to_vec();
        let padded = BASE64.encode(&raw);
        for text in [padded.as_str(), padded.trim_end_matches('=')] {
            let mut trailers = Status::new(Code::Unknown, "m").to_trailers();
            trailers.insert("grpc-status-details-bin", text.parse().unwrap());
            let got = Status::from_trailers(&trailers).unwrap().unwrap_err();
            assert_eq!(got.details[0].type_url, "t", "{text}");
        }
    }

    #[test]
    fn unknown_codes_become_unknown() {
        for text in ["17", "-1", "x", "99999999999999999999"] {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", text.parse().unwrap());
            let got = Status::from_trailers(&trailers).unwrap().unwrap_err();
            assert_eq!(got.code, Code::Unknown, "{text}");
        }
    }

    #[test]
    fn hostile_trailers_do_not_panic() {
        let corpus: [&[u8]; 4] =
            [b"2\n%%%\nAAA", b"0\n\n", b"x\n\xff\xfe%f\nCAISAW0=", b"13\n%41%\n===="];
        for seed in corpus {
            mutate(seed, b"%\n=4A", 500, fuzz_status_trailers);
        }
    }
}
