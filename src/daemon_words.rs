//! Words of BuildKit's, containerd's and Go's that decide something because nothing else in an answer does. All of them are
//! here, each with the file that says it.

/// Texts that are all in a message.
type Row = &'static [&'static str];

/// The daemon lacks a feature.
const UNSUPPORTED: &[Row] = &[
    // BuildKit v0.11.6 and v0.32.2, `util/apicaps/caps.go`.
    &["is not supported by build server"],
    // The same file.
    &["unknown API capability"],
    // BuildKit v0.11.6 and v0.32.2, `worker/base/worker.go`.
    &["exporter ", "could not be found"],
];

/// An image was built and could not be pushed: BuildKit v0.11.6 and v0.32.2, `util/push/push.go`.
const FAILED_PUSH: &[Row] = &[&["failed to push"]];

/// A registry speaks no TLS: Go 1.21, `net/http/transport.go`.
const PLAIN_REGISTRY: &[Row] = &[&["server gave HTTP response to HTTPS client"]];

/// A registry wants other credentials; the daemon passes on what it says.
const DENIED: &[Row] = &[
    // The status of the answer, as containerd v1.6 to v2.1 tells it (`remotes/docker`).
    &["401"],
    &["403"],
    // The error code `DENIED` (OCI distribution specification, error codes).
    &["denied"],
    // containerd v1.6 to v2.1, `remotes/docker/authorizer.go`.
    &["authoriz"],
];

/// There is no session any more: BuildKit v0.11.6 and v0.32.2, `session/manager.go`.
const NO_SESSION: &[Row] = &[&["session"]];

/// A file is not in a result: Go's text of ENOENT, with or without a code (BuildKit, `frontend/gateway`).
const NO_FILE: &[Row] = &[&["no such file"]];

fn says(table: &[Row], message: &str) -> bool {
    table.iter().any(|row| row.iter().all(|text| message.contains(text)))
}

/// Whether a build was refused because the daemon lacks a feature.
pub(crate) fn is_unsupported(message: &str) -> bool {
    says(UNSUPPORTED, message)
}

/// Whether an image could not be pushed.
pub(crate) fn is_failed_push(message: &str) -> bool {
    says(FAILED_PUSH, message)
}

/// Whether a registry speaks no TLS.
pub(crate) fn is_plain_registry(message: &str) -> bool {
    says(PLAIN_REGISTRY, message)
}

/// Whether a registry wants other credentials.
pub(crate) fn is_denied(message: &str) -> bool {
    says(DENIED, message)
}

/// Whether the daemon misses the session.
pub(crate) fn is_about_session(message: &str) -> bool {
    says(NO_SESSION, message)
}

/// Whether a file is not in a result.
pub(crate) fn is_no_such_file(message: &str) -> bool {
    says(NO_FILE, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_matches_when_all_its_words_are_said() {
        assert!(is_unsupported("exporter \"nonsense\" could not be found"));
        assert!(!is_unsupported("the file could not be found"));
        assert!(is_failed_push("failed to push localhost:1/app: 401 Unauthorized"));
        assert!(is_denied("unexpected status: 401 Unauthorized"));
        assert!(!is_denied("connection refused"));
    }
}
