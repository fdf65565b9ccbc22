//! Credentials in the texts of a spec, which a provenance would make public: by the shape of a URL, by how tokens of
//! well-known services begin, by the name of what they are given to, and by looking drawn at random.
//!
//! A text that refers to a credential (`$NPM_TOKEN`, `$(cat /run/secrets/x)`) has none.

use std::{fmt, ops::Range};

/// Why a text is taken for a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// `https://user:password@host`.
    Url,
    /// The token of a well-known service, or a private key.
    Service,
    /// `API_KEY=…`, `--password …`, `Authorization: Bearer …`.
    Name,
    /// A value like those of key generators.
    Random,
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url => "has a password in a URL",
            Self::Service => "has the token of a well-known service or a private key",
            Self::Name => "gives a literal value to what is called a password, token or key",
            Self::Random => "looks like a generated key",
        })
    }
}

/// The credential in a text that is given to `name`: a variable; `""` for a command or a file.
#[must_use]
pub fn find(name: &str, text: &str) -> Option<Sign> {
    let pairs = || [(name, text)].into_iter().chain(pairs(text));
    if has_password_in_url(text) {
        Some(Sign::Url)
    } else if has_service_token(text) {
        Some(Sign::Service)
    } else if pairs().any(|(name, value)| is_secret_name(name) && is_secret_value(value)) {
        Some(Sign::Name)
    } else {
        pairs().any(|(name, value)| may_be_secret(name) && is_random(value)).then_some(Sign::Random)
    }
}

/// RFC 3986, section 3.2.1: `userinfo` before the `@` of an authority.
fn has_password_in_url(text: &str) -> bool {
    text.match_indices("://").any(|(at, separator)| {
        let end_of_scheme = |c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c);
        let scheme = text[..at].rsplit(end_of_scheme).next().unwrap_or_default();
        let rest = &text[at + separator.len()..];
        let end = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '`');
        let authority = rest.split(end).next().unwrap_or_default();
        let Some((user_info, host)) = authority.rsplit_once('@') else { return false };
        let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        if password.is_empty() {
            // `https://TOKEN@host`; other schemes have a name alone there.
            return is_web(scheme) && !is_reference(user) && is_mixed(user, TOKEN_CHARS_MIN);
        }
        !is_reference(password) && (is_web(scheme) || !is_stand_in(user, password, host))
    })
}

fn is_web(scheme: &str) -> bool {
    let scheme = scheme.strip_prefix("git+").unwrap_or(scheme);
    ["http", "https", "ftp", "ftps"].iter().any(|web| scheme.eq_ignore_ascii_case(web))
}

/// The address of a database that only has to be there while something is built.
fn is_stand_in(user: &str, password: &str, host: &str) -> bool {
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let is_local = matches!(host, "localhost" | "127.0.0.1" | "[::1]" | "0.0.0.0" | "");
    is_local || password == user || is_placeholder(password)
}

/// A variable, a command's output, or a gap in a template.
fn is_reference(text: &str) -> bool {
    text.starts_with(['$', '%', '{', '<', '`', '*']) || text.contains("${") || text.contains("$(")
}

fn has_service_token(text: &str) -> bool {
    let is_private_key = || {
        text.split("-----BEGIN ")
            .skip(1)
            .any(|key| key.split("-----").next().is_some_and(|kind| kind.ends_with("PRIVATE KEY")))
    };
    let end = |c: char| !c.is_ascii_alphanumeric() && !"_-.".contains(c);
    let is_token = |word: &str| {
        SERVICES.iter().any(|(begin, len)| {
            let rest = word.strip_prefix(begin);
            // `npm_config_node_gyp…` is a name.
            rest.is_some_and(|rest| {
                word.len() >= *len && is_mixed(rest, 0) && rest.matches('_').count() <= 1
            })
        })
    };
    is_private_key() || text.split(end).any(is_token)
}

/// Names and the values given to them: `NAME=value`, `"name": "value"`, `--name value`, `Name: Bearer value`.
fn pairs(text: &str) -> Vec<(&str, &str)> {
    let words = words(text);
    let word = |at: usize| words.get(at).map(|range| &text[range.clone()]);
    let pair = |at: usize| {
        let (name, mut value) = (word(at)?, word(at + 1)?);
        let between = &text[words[at].end..words[at + 1].start];
        if !between.contains(['=', ':']) && !name.starts_with("--") {
            return None;
        }
        let is_scheme = |word: &str| {
            ["bearer", "basic", "token"].iter().any(|it| word.eq_ignore_ascii_case(it))
        };
        if is_scheme(value) {
            value = word(at + 2)?;
        }
        Some((name, value))
    };
    (0..words.len()).filter_map(pair).collect()
}

/// Where the words of a command or a file are; `${NAME}` and `$(…` begin one.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut begin = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        let is_reference = matches!(c, '{' | '(') && text[..at].ends_with('$');
        let is_between = c.is_whitespace() || "\"'`=:,;&|()[]{}<>".contains(c);
        match begin {
            None if !is_between => begin = Some(at),
            Some(from) if is_between && !is_reference => {
                words.push(from..at);
                begin = None;
            }
            _ => {}
        }
    }
    words
}

fn is_secret_name(name: &str) -> bool {
    let name = name
        .to_ascii_uppercase()
        .replace('-', "_")
        .replace("AUTHORIZATION", "AUTH")
        .replace("AUTHOR", "");
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// 16 characters or more without blanks, letters and digits mixed, and no stand-in.
fn is_secret_value(value: &str) -> bool {
    !is_placeholder(value)
        && !value.contains("://")
        && !value.starts_with(['/', '.'])
        && !is_reference(value)
        && !value.contains(char::is_whitespace)
        && is_mixed(value, TOKEN_CHARS_MIN)
}

/// Letters and digits, and at least that long.
fn is_mixed(text: &str, chars_min: usize) -> bool {
    let has = |is: fn(&char) -> bool| text.chars().any(|c| is(&c));
    text.len() >= chars_min && has(char::is_ascii_digit) && has(char::is_ascii_alphabetic)
}

fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    PLACEHOLDERS.iter().any(|word| lower.contains(word))
}

/// Whether what is given to that name may be a credential: checksums look drawn at random too, and what a front end is built
/// with is public.
fn may_be_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    !name.is_empty()
        && !RANDOM_NAMES.iter().any(|word| name.contains(word))
        && !PUBLIC_PREFIXES.iter().any(|begin| name.starts_with(begin))
}

/// Whether a word looks like Base64 of random bytes: long, of all classes of characters, which change at most places. (Of
/// random characters 62 % follow one of another class, of words in `camelCase` a third at most.)
fn is_random(value: &str) -> bool {
    let class = |b: u8| match b {
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        b'0'..=b'9' => 3,
        b'+' | b'/' | b'_' | b'-' => 4,
        _ => 0,
    };
    let classes: Vec<u8> = value.trim_end_matches('=').bytes().map(class).collect();
    let changes = classes.windows(2).filter(|pair| pair[0] != pair[1]).count();
    classes.len() >= RANDOM_CHARS_MIN
        && [1, 2, 3].iter().all(|class| classes.contains(class))
        && !classes.contains(&0)
        && !value.starts_with("sha")
        && changes * 100 >= classes.len() * CHANGES_PERCENT_MIN
}

/// Words by which a name says that it holds a secret.
const SECRET_WORDS: &[&str] = &[
    "PASSWORD", "PASSWD", "PASSPHRASE", "TOKEN", "SECRET", "APIKEY", "API_KEY", "ACCESS_KEY",
    "PRIVATE_KEY", "CREDENTIAL", "AUTH",
];
/// How tokens of well-known services begin, and how long they are at least.
const SERVICES: &[(&str, usize)] = &[
    ("ghp_", 36),
    ("gho_", 36),
    ("ghs_", 36),
    ("ghu_", 36),
    ("github_pat_", 40),
    ("glpat-", 20),
    ("npm_", 36),
    ("pypi-", 60),
    ("xoxb-", 30),
    ("xoxp-", 30),
    ("sk_live_", 24),
    ("rk_live_", 24),
    ("AKIA", 20),
    ("ASIA", 20),
    ("AIza", 35),
    ("dckr_pat_", 20),
    ("hvs.", 24),
    ("sk-ant-", 40),
    ("eyJhbGciOi", 60),
];
/// What stands for a secret that is given elsewhere.
const PLACEHOLDERS: &[&str] = &[
    "dummy", "example", "changeme", "placeholder", "test", "xxxx", "insecure", "password",
    "postgres",
];
/// Words of names whose values look drawn at random and are public.
const RANDOM_NAMES: &[&str] =
    &["SHA", "HASH", "SUM", "DIGEST", "INTEGRITY", "PUBLIC", "COMMIT", "REVISION", "PATH"];
/// Variables that bundlers put into the code that browsers get (Vite, Create React App, Gatsby, Expo, Vue CLI).
const PUBLIC_PREFIXES: &[&str] = &["VITE_", "REACT_APP_", "GATSBY_", "EXPO_PUBLIC_", "VUE_APP_"];
/// Shortest value that is taken for a secret by its look.
const TOKEN_CHARS_MIN: usize = 16;
const RANDOM_CHARS_MIN: usize = 32;
const CHANGES_PERCENT_MIN: usize = 45;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, text: &str, expected: Option<Sign>) {
        assert_eq!(find(name, text), expected, "{name}={text}");
    }

    #[test]
    fn passwords_in_urls_are_found_and_references_are_none() {
        for text in [
            "https://user:pw@host/simple",
            "pip install --index-url https://__token__:s3cr3t@pypi.internal/simple app",
            "git clone git+https://oauth2:abc@git.example.com/x.git",
            "https://a1b2c3d4e5f6a7b8c9d0@host/x",
            "postgres://app:hunter2@db.internal:5432/app",
            "[registries]\nx = { index = \"https://u:p%20w@host/git\" }",
        ] {
            check("", text, Some(Sign::Url));
        }
        for text in [
            "https://user:$PASSWORD@host/simple",
            "https://${USER}:${PASSWORD}@host",
            "https://x:$(cat /run/secrets/token)@host",
            "https://host/a@b:c",
            "git clone ssh://git@host/x.git",
            "postgresql://postgres:postgres@localhost:5432/app",
            "mysql://root:changeme@db/app",
            "http://host:8080/?q=a@b",
        ] {
            check("", text, None);
        }
    }

    #[test]
    fn tokens_of_services_are_found_wherever_they_stand() {
        let token = "npm_abcdefghijklmnopqrstuvwxyz0123456789";
        for text in [
            token.to_owned(),
            format!("npm config set //registry.npmjs.org/:_authToken={token}"),
            format!("echo '{token}' > x"),
            "AKIAIOSFODNN7EXAMPLE".to_owned(),
            "curl -u x:ghp_abcdefghijklmnopqrstuvwxyz0123456789 https://h".to_owned(),
            "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA".to_owned(),
        ] {
            check("", &text, Some(Sign::Service));
        }
        for text in [
            "npm_config_build_from_source_of_node_22=1",
            "-----BEGIN CERTIFICATE-----\nMIIEpAIBAAKCAQEA\n-----END CERTIFICATE-----",
            "sk_live_",
        ] {
            check("", text, None);
        }
    }

    #[test]
    fn values_of_secret_names_are_told_from_settings() {
        for (name, text) in [
            ("DB_PASSWORD", "hJ3kd93kDk20dkw9"),
            ("", "DB_PASSWORD=hJ3kd93kDk20dkw9 npm run build"),
            ("", "tool login --api-key hJ3kd93kDk20dkw9"),
            ("", "curl -H 'Authorization: Bearer hJ3kd93kDk20dkw9' https://h"),
            ("", "{\"clientSecret\": \"hJ3kd93kDk20dkw9\"}"),
        ] {
            check(name, text, Some(Sign::Name));
        }
        for (name, text) in [
            ("NODE_ENV", "production"),
            ("SECRET_KEY_BASE_DUMMY", "1"),
            ("SECRET_KEY", "dummy-value-for-build-0"),
            ("TOKEN_URL", "https://auth.internal/oauth2/token"),
            ("DB_PASSWORD", "hunter2"),
            ("PASSWORD_FILE", "/run/secrets/password1234"),
            ("VERSION", "a1b2c3d4e5f6a7b8c9d0"),
            ("AUTHOR", "someone0123456789abcdef"),
            ("", "TOKEN=${NPM_TOKEN0123456789} npm ci"),
            ("", "npm config set //host/:_authToken=$(cat /run/secrets/npm_token_0123)"),
            ("", "curl -H \"Authorization: Bearer $TOKEN01234567890\" https://h"),
        ] {
            check(name, text, None);
        }
    }

    #[test]
    fn generated_keys_are_told_from_checksums_and_names() {
        for (name, text) in [
            ("SIGNING", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEbPLE0KeY"),
            ("", "export LICENSE=Zm9vYmFyQ3J5cHRvS2V5MDEyMzQ1Njc4OWFiY2Q="),
        ] {
            check(name, text, Some(Sign::Random));
        }
        for (name, text) in [
            ("COMMIT", "wJalrXUtnFEMI7K7MDENG4bPxRfiCYzEbPLE0KeY"),
            ("VITE_MAPS", "wJalrXUtnFEMI7K7MDENG4bPxRfiCYzEbPLE0KeY"),
            ("X", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
            ("X", "sha512-wJalrXUtnFEMI7K7MDENG4bPxRfiCYzEbPLE0KeY"),
            ("MAIN_CLASS", "com.example.VeryLongClassNameForApplication2Server"),
            ("MAIN", "VeryLongClassNameForAnApplication2ServerOfSomeKind"),
            ("NODE_OPTIONS", "--max-old-space-size=4096 --import=./instrumentation0.mjs"),
        ] {
            check(name, text, None);
        }
    }

    #[test]
    fn any_text_is_read() {
        let text = "https://a:b@c NAME='x' ${Y} $(z) --token äöü Authorization: Bearer";
        crate::mutation::mutate(text.as_bytes(), b"://@=:$({", 2_000, |bytes| {
            let _ = find("NAME", &String::from_utf8_lossy(bytes));
        });
    }
}
