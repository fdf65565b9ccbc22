//! What addresses are made of: paths, hosts, names and the values behind `?`.
//!
//! Values end up as arguments of programs, and on the other side of `ssh` in a shell. So each
//! kind has a short list of characters, and none begins with `-`.

use std::{borrow::Cow, fmt, net::Ipv6Addr, path::PathBuf};

use crate::endpoint::Problem;

/// Where a TCP connection goes.
pub(super) struct HostPort {
    /// IPv6 without its brackets.
    pub(super) host: String,
    /// Never 0.
    pub(super) port: Option<u16>,
}

/// What is behind `ssh://`.
pub(super) struct SshParts {
    pub(super) user: Option<String>,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) socket: Option<PathBuf>,
}

/// Whether a text can be a name of some kind.
pub(super) type Check = fn(&str) -> bool;

/// Reads the path of a socket.
pub(super) fn socket(path: &str) -> Result<PathBuf, Problem> {
    match path {
        "" | "/" => Err(Problem::NoPath),
        _ if path.starts_with('@') => Err(Problem::Abstract),
        _ if path.chars().any(char::is_control) => Err(Problem::BadPath),
        _ if path.len() > SOCKET_PATH_MAX_BYTES => Err(Problem::LongPath),
        _ => Ok(PathBuf::from(path)),
    }
}

/// Reads what is behind `tcp://`.
pub(super) fn tcp(rest: &str) -> Result<HostPort, Problem> {
    if rest.contains(['/', '?', '#', '@']) {
        return Err(Problem::TcpWithMore);
    }
    host_port(rest).map_err(|wrong| match wrong {
        Wrong::Host => Problem::BadHost,
        Wrong::Port => Problem::BadPort,
    })
}

impl SshParts {
    /// Reads what is behind `ssh://`, for BuildKit as for Docker.
    pub(super) fn parse(rest: &str) -> Result<Self, Problem> {
        let bad = |part| Problem::BadPart { form: SSH_FORM, part };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        match user {
            Some(user) if user.contains(':') => return Err(Problem::Password),
            Some(user) if !is_user(user) => return Err(bad("user")),
            _ => {}
        }
        let HostPort { host, port } = host_port(host).map_err(|wrong| match wrong {
            Wrong::Host => bad("host"),
            Wrong::Port => bad("port"),
        })?;
        let socket = match path {
            "" | "/" => None,
            // A shell on that host reads it.
            _ if !path.bytes().all(is_path_byte) => return Err(bad("path of the socket")),
            _ => Some(socket(path)?),
        };
        Ok(Self { user: user.map(str::to_owned), host, port, socket })
    }
}

/// Gives the command up to the host; what runs there follows.
pub(super) fn ssh_command(user: Option<&str>, port: Option<u16>, host: &str) -> Vec<String> {
    let mut argv = vec!["ssh".to_owned()];
    if let Some(user) = user {
        argv.extend(["-l".to_owned(), user.to_owned()]);
    }
    if let Some(port) = port {
        argv.extend(["-p".to_owned(), port.to_string()]);
    }
    // A terminal there would change bytes.
    argv.extend(["-T".to_owned(), "--".to_owned(), host.to_owned()]);
    argv
}

/// Reads `NAME[?KEY=VALUE[&KEY=VALUE…]]`, with the values in the order of `keys`; an empty value
/// counts as none, as buildctl has it.
pub(super) fn named<const N: usize>(
    rest: &str,
    form: &'static str,
    is_name: Check,
    keys: [(&'static str, Check); N],
) -> Result<(String, [Option<String>; N]), Problem> {
    let bad = |part| Problem::BadPart { form, part };
    let (name, query) = match rest.split_once('?') {
        Some((name, query)) => (name, Some(query)),
        None => (rest, None),
    };
    if !is_name(name) {
        return Err(bad("name"));
    }
    let mut values = [const { None }; N];
    for pair in query.into_iter().flat_map(|query| query.split('&')) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(at) = keys.iter().position(|(known, _)| *known == key) else {
            return Err(Problem::UnknownKey { form, key: key.to_owned() });
        };
        let (key, is_value) = keys[at];
        let value = decode(value).ok_or_else(|| bad(key))?;
        if !value.is_empty() && !is_value(&value) {
            return Err(bad(key));
        }
        if values[at].replace(value).is_some() {
            return Err(Problem::RepeatedKey(key));
        }
    }
    Ok((name.to_owned(), values.map(|value| value.filter(|value| !value.is_empty()))))
}

/// Writes what [`named`] reads.
pub(super) fn write_query(
    f: &mut fmt::Formatter<'_>,
    values: &[(&str, &Option<String>)],
) -> fmt::Result {
    let mut before = '?';
    for (key, value) in values {
        if let Some(value) = value {
            // buildctl would read a plus sign as a space.
            write!(f, "{before}{key}={}", value.replace('+', "%2B"))?;
            before = '&';
        }
    }
    Ok(())
}

/// Writes `[USER@]HOST[:PORT]`.
pub(super) fn write_authority(
    f: &mut fmt::Formatter<'_>,
    user: Option<&str>,
    host: &str,
    port: Option<u16>,
) -> fmt::Result {
    user.iter().try_for_each(|user| write!(f, "{user}@"))?;
    f.write_str(&bracketed(host))?;
    port.iter().try_for_each(|port| write!(f, ":{port}"))
}

/// `HOST:PORT`
pub(super) fn authority(host: &str, port: u16) -> String {
    format!("{}:{port}", bracketed(host))
}

/// IPv6 as it is written in addresses.
fn bracketed(host: &str) -> Cow<'_, str> {
    match host.contains(':') {
        true => format!("[{host}]").into(),
        false => host.into(),
    }
}

/// Whether a container, or a namespace of containerd, can have that name (moby v28,
/// `daemon/names/names.go`; an id is one as well).
pub(super) fn is_container_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.bytes().all(is_name_byte)
}

/// Whether a Docker context can have that name (docker/cli v28, `cli/context/store/store.go`).
pub fn is_context_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|byte| is_name_byte(byte) || byte == b'+')
}

/// Whether a pod, container or namespace of Kubernetes can have that name (BuildKit v0.32,
/// `client/connhelper/kubepod/kubepod.go`).
pub(super) fn is_kube_name(name: &str) -> bool {
    let known = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
    };
    !name.is_empty() && !name.starts_with('-') && name.bytes().all(known)
}

/// Knows what clusters in the cloud are called: `arn:aws:eks:…:cluster/x`, `user@cluster`.
pub(super) fn is_kube_context(name: &str) -> bool {
    let known = |byte: u8| is_name_byte(byte) || matches!(byte, b'@' | b':' | b'/' | b'+');
    !name.is_empty() && !name.starts_with('-') && name.bytes().all(known)
}

/// Gives `address` with `…` in place of a password, for messages.
pub(super) fn without_password(address: &str) -> String {
    let from = address.find("://").map_or(0, |at| at + "://".len());
    let to = address[from..].find('?').map_or(address.len(), |at| from + at);
    let userinfo = &address[from..to];
    match (userinfo.find(':'), userinfo.find('@'), userinfo.rfind('@')) {
        (Some(colon), Some(first), Some(last)) if colon < first => {
            format!("{}:…{}", &address[..from + colon], &address[from + last..])
        }
        _ => address.to_owned(),
    }
}

/// For the fuzz functions: no argument is a flag with a value of its own making, or more than
/// one word for a shell.
pub(super) fn assert_harmless(argv: &[String]) {
    let known = |byte: u8| is_path_byte(byte) || byte == b'%';
    for word in argv {
        assert!(!word.is_empty() && word.bytes().all(known), "{argv:?}");
        let is_ours = ["-i", "-l", "-p", "-H", "-T", "--", "--addr", "--namespace"]
            .contains(&word.as_str())
            || ["--context=", "--namespace=", "--container="]
                .iter()
                .any(|flag| word.starts_with(flag));
        assert!(is_ours || !word.starts_with('-'), "{argv:?}");
    }
}

enum Wrong {
    Host,
    Port,
}

/// Reads `HOST[:PORT]`.
fn host_port(text: &str) -> Result<HostPort, Wrong> {
    let (host, port) = match text.strip_prefix('[') {
        Some(inner) => {
            let (host, after) = inner.split_once(']').ok_or(Wrong::Host)?;
            let (address, zone) = host.split_once('%').unwrap_or((host, "0"));
            if address.parse::<Ipv6Addr>().is_err() || !is_host(zone) {
                return Err(Wrong::Host);
            }
            match after {
                "" => (host, None),
                _ => (host, Some(after.strip_prefix(':').ok_or(Wrong::Port)?)),
            }
        }
        None => {
            let (host, port) = match text.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            };
            if !is_host(host) {
                return Err(Wrong::Host);
            }
            (host, port)
        }
    };
    let port = match port {
        // `parse` would take a sign as well.
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port != 0).ok_or(Wrong::Port)?)
        }
        Some(_) => return Err(Wrong::Port),
        None => None,
    };
    Ok(HostPort { host: host.to_owned(), port })
}

/// Knows names and IPv4 addresses; the resolver has the last word.
fn is_host(host: &str) -> bool {
    !host.is_empty() && !host.starts_with('-') && host.bytes().all(is_name_byte)
}

fn is_user(user: &str) -> bool {
    !user.is_empty() && !user.starts_with('-') && user.bytes().all(is_name_byte)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

/// None of these means anything to a shell.
fn is_path_byte(byte: u8) -> bool {
    is_name_byte(byte) || matches!(byte, b'/' | b'+' | b':' | b'@' | b'=' | b',')
}

/// Resolves percent-encodings.
fn decode(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            _ => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

pub(super) const SSH_FORM: &str = "ssh://[USER@]HOST[:PORT][/SOCKET]";

/// What fits into `sockaddr_un` with its closing NUL.
pub(super) const SOCKET_PATH_MAX_BYTES: usize = 107;
