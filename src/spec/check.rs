//! What a text must be to stand in a field: pure functions, text in, clean text out.

use std::{iter::Peekable, str::Chars};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    Base,
    node::Fault,
    reference::{self, is_digest, is_tag},
};

/// Joins `path` to the absolute, clean folder `start` and cleans it: no `.`, `..`, `//`, no
/// trailing `/`. A relative path may not leave `start`.
pub(super) fn path_in(start: &str, path: &str) -> Result<String, Fault> {
    let fault = || Fault::expected("a path");
    if path.is_empty() {
        return Err(fault());
    }
    if path.chars().any(char::is_control) {
        return Err(fault().because("it holds a control character"));
    }
    let home = ["~/", "$HOME/", "${HOME}/"].iter().any(|home| path.starts_with(home));
    if home || matches!(path, "~" | "$HOME" | "${HOME}") {
        return Err(fault()
            .because("home folders are not known here")
            .help("write the folder itself, such as `/root`"));
    }
    let (mut parts, floor) = match path.starts_with('/') {
        true => (Vec::new(), 0),
        false => {
            let parts: Vec<_> = start.split('/').filter(|part| !part.is_empty()).collect();
            let floor = parts.len();
            (parts, floor)
        }
    };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.len() > floor => drop(parts.pop()),
            ".." if path.starts_with('/') => {}
            ".." => return Err(fault().because(format!("it leaves `{start}`"))),
            part => parts.push(part),
        }
    }
    Ok(format!("/{}", parts.join("/")))
}

/// As [`path_in`], and a path that can only be a folder keeps a trailing `/`.
pub(super) fn target_in(start: &str, path: &str) -> Result<String, Fault> {
    let mut clean = path_in(start, path)?;
    let is_folder = matches!(path.rsplit('/').next(), Some("" | "." | ".."));
    if is_folder && !clean.ends_with('/') {
        clean.push('/');
    }
    Ok(clean)
}

/// A path below the folder of the build that is not the folder itself and not `/`.
pub(super) fn cache(path: &str) -> Result<String, Fault> {
    let clean = path_in(super::BUILD_DIR, path)?;
    if clean == "/" || clean == super::BUILD_DIR {
        return Err(Fault::expected("a folder to keep").because(format!("`{clean}` is too much")));
    }
    Ok(clean)
}

/// A source in the build stage, globs allowed.
pub(super) fn source(path: &str) -> Result<String, Fault> {
    glob_syntax(path)?;
    path_in(super::BUILD_DIR, path)
}

/// An absolute path.
pub(super) fn absolute(path: &str) -> Result<String, Fault> {
    if !path.starts_with('/') {
        return Err(Fault::expected("an absolute path"));
    }
    path_in("/", path)
}

/// Where a secret appears: a file, relative to the build folder or absolute.
pub(super) fn secret_file(path: &str) -> Result<String, Fault> {
    file_in(super::BUILD_DIR, path)
}

/// As [`path_in`], and neither `start` nor what can only be a folder.
fn file_in(start: &str, path: &str) -> Result<String, Fault> {
    let clean = target_in(start, path)?;
    if clean == start || clean.ends_with('/') {
        return Err(Fault::expected("the path of a file").because("this is a folder"));
    }
    Ok(clean)
}

/// Where a file of the spec is written: as [`file_in`], without `..`.
pub(super) fn written_file(start: &str, path: &str) -> Result<String, Fault> {
    if path.split('/').any(|part| part == "..") {
        return Err(Fault::expected("the path of a file").because("it holds `..`"));
    }
    file_in(start, path)
}

/// A file of the spec in the image: absolute.
pub(super) fn image_file(path: &str) -> Result<String, Fault> {
    absolute(path)?;
    written_file("/", path)
}

/// Permissions as `chmod` takes them: `0644`, `755`.
pub(super) fn mode(text: &str) -> Result<u32, Fault> {
    let fault = || Fault::expected("permissions as octal digits");
    let is_octal = matches!(text.len(), 3 | 4) && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
    match u32::from_str_radix(text, 8) {
        Ok(mode) if is_octal && mode <= 0o777 => Ok(mode),
        // BuildKit v0.11 drops them without a word (tonistiigi/fsutil `copy/copy_linux.go`, January 2023).
        Ok(_) if is_octal => Err(fault().because("set-id and sticky bits cannot be given")),
        _ => Err(fault().help(MODE_HELP)),
    }
}

/// The bytes of a file, in the standard alphabet of RFC 4648 with padding.
pub(super) fn base64(text: &str) -> Result<Vec<u8>, Fault> {
    STANDARD.decode(text).map_err(|_| {
        let fault = Fault::expected("base64");
        let is_known = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
        match text.chars().find(|&c| !is_known(c)) {
            Some('-' | '_') => fault.because("the alphabet is the one with `+` and `/`"),
            Some(c) if c.is_whitespace() => fault
                .because("it holds a blank or the end of a line")
                .help("`base64 -w0 FILE` writes one line"),
            _ => fault.because("it is cut off, or was never base64"),
        }
    })
}

/// A folder relative to the context root, clean; the root is `.`.
pub(super) fn folder(path: &str) -> Result<String, Fault> {
    let fault = || Fault::expected("a folder relative to the context root");
    if path.is_empty() || path.starts_with('/') {
        return Err(fault().help("the root itself is `.`"));
    }
    let clean = path_in("/", path).map_err(|inner| match path.split('/').any(|p| p == "..") {
        true => fault().because("it leaves the context"),
        false => inner,
    })?;
    Ok(match clean.trim_start_matches('/') {
        "" => ".".to_owned(),
        inside => inside.to_owned(),
    })
}

/// A glob of files that a dependency step sees.
pub(super) fn glob(pattern: &str) -> Result<String, Fault> {
    let fault = || Fault::expected("a glob relative to the context root");
    if pattern.starts_with('!') {
        return Err(fault().because("exceptions are for `build.exclude`"));
    }
    if pattern.starts_with('/') {
        return Err(fault().help("leave the leading `/` out"));
    }
    let clean = pattern_path(pattern).ok_or_else(|| fault().because("it leaves the context"))?;
    if clean.is_empty() {
        return Err(fault().help("name files; steps that need all of them go in `build.commands`"));
    }
    glob_syntax(&clean)?;
    Ok(clean)
}

/// A line of an ignore file, cleaned as Docker does (moby/patternmatcher `ignorefile`, v0.6).
pub(super) fn exclude(pattern: &str) -> Result<String, Fault> {
    let fault = || Fault::expected("a pattern as in `.dockerignore`");
    let trimmed = pattern.trim();
    let (bang, path) = match trimmed.strip_prefix('!') {
        Some(path) => ("!", path.trim()),
        None => ("", trimmed),
    };
    let clean = pattern_path(path).ok_or_else(|| fault().because("it leaves the context"))?;
    if path.is_empty() {
        return Err(fault());
    }
    glob_syntax(&clean)?;
    let clean = if clean.is_empty() { "." } else { &clean };
    Ok(format!("{bang}{clean}"))
}

/// Cleans a pattern as a path; `None` when it leaves the root.
fn pattern_path(pattern: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Go's `path.Match` grammar: classes are closed and not empty, no backslash stands last.
fn glob_syntax(pattern: &str) -> Result<(), Fault> {
    let fault = |reason: &str| {
        let help = "a backslash before it takes a special character as it is";
        Err(Fault::expected("a glob").because(reason).help(help))
    };
    if pattern.chars().any(char::is_control) {
        return Err(Fault::expected("a glob").because("it holds a control character"));
    }
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.next().is_none() => return fault("it ends in a backslash"),
            '[' if !class(&mut chars) => return fault("`[` begins no character class"),
            _ => {}
        }
    }
    Ok(())
}

/// Reads what follows a `[`: `^`, then at least one character or range, then `]`.
fn class(chars: &mut Peekable<Chars<'_>>) -> bool {
    let member = |chars: &mut Peekable<Chars<'_>>| match chars.next() {
        Some('\\') => chars.next().is_some(),
        Some(c) => c != '-' && c != ']',
        None => false,
    };
    chars.next_if_eq(&'^');
    loop {
        if !member(chars) || (chars.next_if_eq(&'-').is_some() && !member(chars)) {
            return false;
        }
        if chars.next_if_eq(&']').is_some() {
            return true;
        }
    }
}

/// A package, with what apk and apt take after its name: `=1.2-r0`, `~1.2`, `>=1`, `@edge`,
/// `:arm64`, `/bookworm-backports`.
pub(super) fn package(text: &str) -> Result<String, Fault> {
    let fault = || Fault::expected("a package name");
    if text.is_empty() {
        return Err(fault());
    }
    if text.contains(char::is_whitespace) {
        return Err(fault().because("it holds a blank").help("each package is its own string"));
    }
    if text.starts_with('-') {
        return Err(fault().because("it would be read as an option"));
    }
    let in_name = |b: u8| b.is_ascii_alphanumeric() || b"._+:-".contains(&b);
    let in_version = |b: u8| in_name(b) || b == b'~';
    let name_len = text.bytes().take_while(|&b| in_name(b)).count();
    let (name, rest) = text.split_at(name_len);
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(fault().because("it has to begin with a letter or digit"));
    }
    if name.ends_with('-') {
        // apt-get(8): a hyphen after the name removes the package.
        return Err(fault().because("a hyphen at the end would remove it"));
    }
    let (version, tag) = match rest.split_once(['@', '/']) {
        Some((version, tag)) => (version, Some(tag)),
        None => (rest, None),
    };
    let operator_len = version.bytes().take_while(|b| b"=<>~".contains(b)).count();
    let (operator, number) = version.split_at(operator_len);
    let pinned = match operator {
        "" => number.is_empty(),
        "=" | "~" | "~=" | "=~" | "<" | ">" | "<=" | ">=" => {
            !number.is_empty() && number.bytes().all(in_version)
        }
        _ => false,
    };
    let tagged = tag.is_none_or(|tag| !tag.is_empty() && tag.bytes().all(in_name));
    if !pinned || !tagged {
        let help = "a version is written `name=1.2`, for apk also `name~1.2` or `name>=1.2`";
        return Err(fault().help(help));
    }
    Ok(text.to_owned())
}

/// The name of an environment variable: Docker's rule, without blanks and control characters.
pub(super) fn env_name(name: &str) -> Result<(), Fault> {
    let fault = Fault::expected("the name of an environment variable");
    if name.is_empty() {
        return Err(fault);
    }
    if name.contains('=') {
        return Err(fault.because("it holds a `=`"));
    }
    if name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(fault.because("it holds a blank"));
    }
    Ok(())
}

/// The key of a label.
pub(super) fn label(key: &str) -> Result<(), Fault> {
    if key.trim().is_empty() || key.contains(char::is_control) {
        return Err(Fault::expected("the name of a label"));
    }
    Ok(())
}

/// A service name: anything a person can type.
pub(super) fn service_name(name: &str) -> Result<String, Fault> {
    if name.trim().is_empty() || name.contains(char::is_control) {
        return Err(Fault::expected("a name"));
    }
    Ok(name.to_owned())
}

/// A shell command.
pub(super) fn command(text: &str) -> Result<String, Fault> {
    if text.trim().is_empty() {
        return Err(Fault::expected("a command"));
    }
    Ok(text.to_owned())
}

/// The id of a secret; it is the name of the file when nothing else is said.
pub(super) fn secret_id(id: &str) -> Result<String, Fault> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    if !id.bytes().all(fits) || !id.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        let help = "an id has letters, digits, `_`, `.` and `-`, first a letter or digit";
        return Err(Fault::expected("the id of a secret").help(help));
    }
    Ok(id.to_owned())
}

/// An HTTP path with an optional query (RFC 3986, sections 3.3 and 3.4).
pub(super) fn endpoint(path: &str) -> Result<String, Fault> {
    let fault = Fault::expected("an HTTP path that begins with `/`");
    if path.contains("://") && !path.starts_with('/') {
        return Err(fault.help("leave scheme, host and port out"));
    }
    if !path.starts_with('/') {
        return Err(fault.help(format!("write `/{}`", super::error::safe(path, 40))));
    }
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/?".contains(&b);
    if let Some(bad) = path.chars().find(|&c| !u8::try_from(c).is_ok_and(fits)) {
        let bad = super::error::safe(bad.encode_utf8(&mut [0; 4]), 1);
        return Err(fault.because(format!("`{bad}` has to be percent-encoded")));
    }
    Ok(path.to_owned())
}

/// `name`, `uid`, `name:group`, `uid:gid`, or a mixture.
pub(super) fn user(text: &str) -> Result<String, Fault> {
    let fault = || Fault::expected("a user: `name`, `uid`, `name:group` or `uid:gid`");
    let mut parts = text.splitn(2, ':');
    for part in parts.by_ref() {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"_.@-".contains(&b);
        let name = part.strip_suffix('$').unwrap_or(part);
        if name.is_empty() || name.starts_with('-') || !name.bytes().all(fits) {
            return Err(fault());
        }
        let is_number = part.bytes().all(|b| b.is_ascii_digit());
        if is_number && part.parse::<u32>().map_or(true, |id| id > ID_MAX) {
            return Err(fault().because(format!("ids go up to {ID_MAX}")));
        }
    }
    Ok(text.to_owned())
}

/// `SIGTERM`, `TERM`, `SIGRTMIN+3` or a number; names get their `SIG` and capitals.
pub(super) fn stop_signal(text: &str) -> Result<String, Fault> {
    let fault = || Fault::expected("a signal").help("such as `SIGTERM`, `SIGRTMIN+3` or `15`");
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return match text.parse::<u8>() {
            Ok(number @ 1..=64) => Ok(number.to_string()),
            _ => Err(fault()),
        };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let is_real_time = |base: &str, sign: char, max: u8| {
        let Some(offset) = name.strip_prefix(base) else { return false };
        let digits = offset.strip_prefix(sign).unwrap_or_default();
        offset.is_empty()
            || (!digits.starts_with(['0', '+'])
                && digits.parse().is_ok_and(|n: u8| (1..=max).contains(&n)))
    };
    let known =
        SIGNALS.contains(&name) || is_real_time("RTMIN", '+', 15) || is_real_time("RTMAX", '-', 14);
    if known { Ok(format!("SIG{name}")) } else { Err(fault()) }
}

/// What a stage starts from.
pub(super) fn base(text: &str) -> Result<Base, Fault> {
    if text == "scratch" {
        return Ok(Base::Scratch);
    }
    if let Some(layout) = text.strip_prefix("oci-layout://") {
        return oci_layout(layout);
    }
    let fault = Fault::expected("an image reference, `oci-layout://DIR` or `scratch`");
    if text.starts_with("scratch:") || text.starts_with("scratch@") {
        return Err(fault.help("write `scratch` alone"));
    }
    reference::normalize(text).map(Base::Image).map_err(|error| {
        let fault = fault.because(error.to_string());
        match error.help() {
            Some(help) => fault.help(help),
            None => fault,
        }
    })
}

/// `DIR[:tag][@digest]`; tag and digest are looked for in the last part of the path only.
fn oci_layout(text: &str) -> Result<Base, Fault> {
    let fault = || Fault::expected("`oci-layout://DIR[:tag][@digest]`");
    let last = text.rfind('/').map_or(0, |slash| slash + 1);
    let (rest, digest) = match text[last..].split_once('@') {
        Some((rest, digest)) => (&text[..last + rest.len()], Some(digest)),
        None => (text, None),
    };
    let (dir, tag) = match rest[last..].split_once(':') {
        Some((dir, tag)) => (&rest[..last + dir.len()], Some(tag)),
        None => (rest, None),
    };
    if dir.is_empty() || dir.chars().any(char::is_control) {
        return Err(fault().because("there is no folder"));
    }
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err(fault().because("the tag is malformed"));
    }
    if digest.is_some_and(|digest| !is_digest(digest)) {
        let help = "a digest is `sha256:` and 64 hexadecimal digits in lower case";
        return Err(fault().because("the digest is malformed").help(help));
    }
    let owned = |part: Option<&str>| part.map(str::to_owned);
    Ok(Base::OciLayout { dir: dir.to_owned(), tag: owned(tag), digest: owned(digest) })
}

/// What Docker knows on Linux (moby/sys `signal`, v0.7), without the real-time ones.
const SIGNALS: [&str; 34] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
    "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];
/// Highest uid and gid that runc takes (moby/sys `user`).
const ID_MAX: u32 = i32::MAX as u32;

pub(super) const MODE_HELP: &str = "such as \"0644\" or \"755\"";
