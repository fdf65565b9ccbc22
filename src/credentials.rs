//! Who we are to a registry: Docker's config file and the helper programs it names.
//!
//! Passwords live in [`Secret`], which nothing prints; no error text holds one either.

use std::{
    collections::HashMap,
    error,
    ffi::OsString,
    fmt, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

mod config;
mod helper;

pub use config::fuzz_docker_config;
use config::{Config, Source};

/// What a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Empty when the secret is an identity token, as the daemon wants it.
    pub username: String,
    /// A password or an identity token.
    pub secret: Secret,
}

/// A password or token; its `Debug` form does not tell.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    /// Gives the secret, to be sent and never to be printed.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The credentials of one Docker config file.
///
/// Answers are kept for a while, and helpers run one at a time: that of the macOS keychain
/// hangs otherwise (BuildKit v0.32, `session/auth/authprovider/authprovider.go`).
pub struct Credentials {
    config: Config,
    /// For messages.
    config_path: PathBuf,
    /// Where helpers are searched; that of the process when `None`.
    search_path: Option<OsString>,
    helper_patience: Duration,
    answers: Mutex<HashMap<String, Answer>>,
}

struct Answer {
    at: Instant,
    credential: Option<Credential>,
}

impl Credentials {
    /// Reads a Docker config file; one that is not there has no credentials.
    ///
    /// `search_path` is a value like that of `PATH`, for the helpers.
    ///
    /// # Errors
    /// [`CredentialsError::Read`], [`CredentialsError::TooLarge`] and
    /// [`CredentialsError::Parse`].
    pub fn load(
        config_path: &Path,
        search_path: Option<OsString>,
    ) -> Result<Self, CredentialsError> {
        Ok(Self {
            config: Config::load(config_path)?,
            config_path: config_path.to_owned(),
            search_path,
            helper_patience: HELPER_PATIENCE,
            answers: Mutex::default(),
        })
    }

    /// Finds the credential for a registry, named as the daemon contacts it
    /// (`registry-1.docker.io`, `127.0.0.1:5000`); `None` means anonymous.
    ///
    /// May run a helper, and then waits for it for up to 30 seconds.
    ///
    /// # Errors
    /// [`CredentialsError`]; an error is not kept, the next call tries again.
    pub fn lookup(&self, host: &str) -> Result<Option<Credential>, CredentialsError> {
        self.lookup_at(host, Instant::now())
    }

    fn lookup_at(&self, host: &str, now: Instant) -> Result<Option<Credential>, CredentialsError> {
        if host.is_empty() || host.len() > HOST_MAX_BYTES || !host.bytes().all(is_host_byte) {
            return Err(CredentialsError::BadHost(host.chars().take(80).collect()));
        }
        // A panic of another caller leaves the map as it was: it is changed in one step.
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = answers.get(host)
            && now.saturating_duration_since(answer.at) < ANSWER_LIFETIME
        {
            return Ok(answer.credential.clone());
        }
        let credential = self.ask(host)?;
        if answers.len() >= ANSWERS_MAX {
            answers.clear();
        }
        answers.insert(host.to_owned(), Answer { at: now, credential: credential.clone() });
        Ok(credential)
    }

    fn ask(&self, host: &str) -> Result<Option<Credential>, CredentialsError> {
        let Source { helper, entry } = self.config.source(host);
        if let Some(helper) = helper {
            let call = helper::Call {
                name: helper.name,
                server: helper.server,
                search_path: self.search_path.as_deref(),
                patience: self.helper_patience,
            };
            if let Some(found) = call.get()? {
                return Ok(Some(found));
            }
        }
        entry.map_or(Ok(None), |(key, entry)| entry.credential(key, &self.config_path))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("config_path", &self.config_path)
            .finish_non_exhaustive()
    }
}

/// Why credentials cannot be had.
#[derive(Debug)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The config file is there and cannot be read.
    Read {
        /// The config file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The config file is larger than any config file.
    TooLarge(PathBuf),
    /// The config file is not what Docker writes. What it says instead is not repeated:
    /// it may be a password.
    Parse {
        /// The config file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in bytes.
        column: usize,
        /// What is wrong there.
        problem: &'static str,
    },
    /// The `auth` of an entry is not base64 of `user:password`.
    BadAuth {
        /// The config file.
        path: PathBuf,
        /// The entry's key.
        key: String,
    },
    /// An entry has nothing but a `registrytoken`, which is not served yet.
    RegistryTokenOnly {
        /// The config file.
        path: PathBuf,
        /// The entry's key.
        key: String,
    },
    /// The daemon asks for a host that cannot be one.
    BadHost(String),
    /// The config names a helper with a name that no helper has.
    BadHelperName(String),
    /// The helper's program is not there.
    HelperMissing {
        /// The program.
        program: String,
        /// For which server.
        server: String,
    },
    /// The helper's program cannot be run or spoken to.
    HelperRun {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The helper did not end in time.
    HelperTimeout {
        /// The program.
        program: String,
        /// How long it had.
        patience: Duration,
    },
    /// The helper ended with an error.
    HelperFailed {
        /// The program.
        program: String,
        /// For which server.
        server: String,
        /// Its last words, never what it gives out as an answer.
        said: String,
    },
    /// The helper's answer is not what a helper answers.
    HelperAnswer {
        /// The program.
        program: String,
    },
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, .. } => {
                write!(f, "cannot read the Docker config `{}`", path.display())
            }
            Self::TooLarge(path) => write!(
                f,
                "the Docker config `{}` has more than {} bytes",
                path.display(),
                config::CONFIG_MAX_BYTES
            ),
            Self::Parse { path, line, column, problem } => write!(
                f,
                "cannot understand the Docker config `{}`, line {line}, column {column}: {problem}",
                path.display()
            ),
            Self::BadAuth { path, key } => write!(
                f,
                "the `auth` of `{key}` in `{}` is not base64 of `user:password`",
                path.display()
            ),
            Self::RegistryTokenOnly { path, key } => write!(
                f,
                "`{key}` in `{}` has only a `registrytoken`, which comes with a later version: use `docker login`",
                path.display()
            ),
            Self::BadHost(host) => {
                write!(f, "the daemon asks for credentials of `{}`", host.escape_debug())
            }
            Self::BadHelperName(name) => {
                write!(f, "the Docker config names a credential helper `{}`", name.escape_debug())
            }
            Self::HelperMissing { program, server } => write!(
                f,
                "cannot ask for the credentials of `{server}`: there is no `{program}` on PATH"
            ),
            Self::HelperRun { program, .. } => write!(f, "cannot run `{program}`"),
            Self::HelperTimeout { program, patience } => {
                write!(f, "`{program}` gave no answer in {} s", patience.as_secs_f32())
            }
            Self::HelperFailed { program, server, said } => {
                write!(f, "`{program}` has no credentials of `{server}`: {said}")
            }
            Self::HelperAnswer { program } => {
                write!(f, "`{program}` gave an answer that is not of a credential helper")
            }
        }
    }
}

impl error::Error for CredentialsError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Read { source, .. } | Self::HelperRun { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Keeps line breaks and the like from the helper's input.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

/// Longer than any DNS name with a port.
const HOST_MAX_BYTES: usize = 512;

/// A build speaks to a handful of registries.
const ANSWERS_MAX: usize = 64;

/// Some tokens live for five minutes (same source as [`Credentials`]).
const ANSWER_LIFETIME: Duration = Duration::from_secs(4 * 60 + 50);

/// Half of what the daemon waits for us (60 s in BuildKit v0.32), so that our words arrive.
const HELPER_PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    /// A config file, and a folder for its helpers.
    struct Home {
        dir: TempDir,
    }

    impl Home {
        fn new(config: &str) -> Self {
            let home = Self { dir: tempfile::tempdir().unwrap() };
            fs::write(home.config_path(), config).unwrap();
            home
        }

        fn config_path(&self) -> PathBuf {
            self.dir.path().join("config.json")
        }

        /// Adds `docker-credential-NAME`, which counts its runs in the file `runs`.
        fn helper(self, name: &str, script: &str) -> Self {
            let path = self.dir.path().join(format!("docker-credential-{name}"));
            let text = format!("#!/bin/sh\necho >>'{}'\n{script}\n", self.runs_path().display());
            // Written by a child: what this process has open for writing could be inherited
            // by another test's child for a moment, and then not be run (`ETXTBSY`).
            let write = r#"printf '%s' "$1" >"$0" && chmod 755 "$0""#;
            let mut shell = std::process::Command::new("/bin/sh");
            assert!(shell.arg("-c").arg(write).arg(path).arg(text).status().unwrap().success());
            self
        }

        fn runs_path(&self) -> PathBuf {
            self.dir.path().join("runs")
        }

        fn runs(&self) -> usize {
            fs::read(self.runs_path()).map_or(0, |bytes| bytes.len())
        }

        fn load(&self) -> Credentials {
            let mut search_path = self.dir.path().as_os_str().to_owned();
            search_path.push(":/usr/bin:/bin");
            Credentials::load(&self.config_path(), Some(search_path)).unwrap()
        }

        fn lookup(&self, host: &str) -> Result<Option<Credential>, CredentialsError> {
            self.load().lookup(host)
        }
    }

    fn credential(username: &str, secret: &str) -> Option<Credential> {
        Some(Credential { username: username.into(), secret: Secret(secret.into()) })
    }

    const ANSWER: &str =
        r#"echo "{\"ServerURL\":\"$(cat)\",\"Username\":\"me\",\"Secret\":\"p4ss\"}""#;

    #[test]
    fn a_missing_config_is_anonymous_and_an_unreadable_one_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let missing = Credentials::load(&dir.path().join("none/config.json"), None).unwrap();
        assert_eq!(missing.lookup("registry-1.docker.io").unwrap(), None);
        let error = Credentials::load(dir.path(), None).unwrap_err();
        assert!(matches!(error, CredentialsError::Read { .. }), "{error:?}");
        assert!(error.to_string().contains(&*dir.path().to_string_lossy()));
    }

    #[test]
    fn a_helper_is_asked_with_the_server_on_its_input() {
        let home = Home::new(r#"{"credHelpers":{"ghcr.io":"test"}}"#).helper(
            "test",
            r#"[ "$1" = get ] || exit 9; read -r s; echo "{\"Username\":\"$s\",\"Secret\":\"x\"}""#,
        );
        assert_eq!(home.lookup("ghcr.io").unwrap(), credential("ghcr.io", "x"));
        let hub = Home::new(r#"{"credsStore":"test"}"#)
            .helper("test", r#"echo "{\"Username\":\"$(cat)\",\"Secret\":\"x\"}""#);
        let expected = credential("https://index.docker.io/v1/", "x");
        assert_eq!(hub.lookup("registry-1.docker.io").unwrap(), expected);
    }

    #[test]
    fn the_token_user_stands_for_an_identity_token() {
        let home = Home::new(r#"{"credsStore":"t"}"#)
            .helper("t", r#"echo '{"ServerURL":"","Username":"<token>","Secret":"idt"}'"#);
        assert_eq!(home.lookup("a.example").unwrap(), credential("", "idt"));
    }

    #[test]
    fn the_helper_of_the_host_comes_before_the_store_and_both_before_the_file() {
        let auths = r#""auths":{"a.example":{"username":"file","password":"f"},
            "b.example":{"username":"file","password":"f"},"c.example":{"username":"file","password":"f"}}"#;
        let home = Home::new(&format!(
            r#"{{"credsStore":"store","credHelpers":{{"a.example":"own","c.example":""}},{auths}}}"#
        ))
        .helper("own", r#"echo '{"Username":"own","Secret":"o"}'"#)
        .helper("store", r#"echo '{"Username":"store","Secret":"s"}'"#);
        assert_eq!(home.lookup("a.example").unwrap(), credential("own", "o"));
        assert_eq!(home.lookup("b.example").unwrap(), credential("store", "s"));
        assert_eq!(home.lookup("c.example").unwrap(), credential("file", "f"));
    }

    #[test]
    fn a_helper_that_finds_nothing_leaves_the_word_to_the_file() {
        let config = r#"{"credsStore":"t","auths":{"a.example":{"username":"u","password":"p"},"b.example":{}}}"#;
        let nothing = "echo 'credentials not found in native keychain'; exit 1";
        let home = Home::new(config).helper("t", nothing);
        assert_eq!(home.lookup("a.example").unwrap(), credential("u", "p"));
        assert_eq!(home.lookup("b.example").unwrap(), None);
        assert_eq!(home.lookup("c.example").unwrap(), None);
        let empty = Home::new(config).helper("t", r#"echo '{"Username":"","Secret":""}'"#);
        assert_eq!(empty.lookup("c.example").unwrap(), None);
    }

    #[test]
    fn a_helper_runs_once_per_host_until_its_answer_is_old() {
        let home = Home::new(r#"{"credsStore":"t"}"#).helper("t", ANSWER);
        let credentials = home.load();
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        for (seconds, host, runs) in
            [(0, "a.example", 1), (289, "a.example", 1), (1, "b.example", 2), (290, "a.example", 3)]
        {
            let found = credentials.lookup_at(host, later(seconds)).unwrap();
            assert_eq!(found, credential("me", "p4ss"));
            assert_eq!(home.runs(), runs, "{host} after {seconds} s");
        }
    }

    #[test]
    fn helpers_run_one_at_a_time() {
        // `mkdir` fails when another helper is inside.
        let script =
            format!(r#"h=$(cat); mkdir "$0.d" || exit 1; rmdir "$0.d"; echo $h | {ANSWER}"#);
        let home = Home::new(r#"{"credsStore":"t"}"#).helper("t", &script);
        let credentials = home.load();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let credentials = &credentials;
                scope.spawn(move || credentials.lookup(&format!("{n}.example")).unwrap());
            }
        });
        assert_eq!(home.runs(), 8);
    }

    fn fails(home: &Home, expected: &str) -> CredentialsError {
        let error = home.lookup("a.example").expect_err(expected);
        let text = error.to_string();
        assert!(text.contains(expected), "`{text}` should say `{expected}`");
        assert!(!format!("{error:?} {text}").contains("p4ss"), "{error:?}");
        error
    }

    #[test]
    fn helpers_that_fail_are_told_with_their_last_words_and_without_secrets() {
        let config = r#"{"credsStore":"t"}"#;
        let home = Home::new(config);
        fails(&home, "no `docker-credential-t` on PATH");
        let home = home.helper("t", "echo 'gpg: no key\tfor you' >&2; exit 2");
        fails(
            &home,
            "`docker-credential-t` has no credentials of `a.example`: gpg: no key for you",
        );
        let home = home.helper("t", "echo 'store is locked'; exit 1");
        fails(&home, "store is locked");
        let home = home.helper("t", r#"echo '{"Secret":"p4ss"}'; exit 1"#);
        fails(&home, "exit status: 1");
        let home = home.helper("t", r#"echo '{"Username":7,"Secret":"p4ss"}'"#);
        fails(&home, "not of a credential helper");
        let home = home.helper("t", r#"echo '{"Username":"u","Secret":"p4ss"'"#);
        fails(&home, "not of a credential helper");
        let home = home.helper("t", "head -c 2000000 /dev/zero");
        fails(&home, "not of a credential helper");
        let home = home.helper("t", "head -c 300000 /dev/zero | tr '\\0' x >&2; exit 1");
        assert!(fails(&home, "…x").to_string().len() < 1500);
    }

    #[test]
    fn a_helper_that_hangs_is_ended() {
        let home = Home::new(r#"{"credsStore":"t"}"#).helper("t", "exec sleep 600");
        let mut credentials = home.load();
        credentials.helper_patience = Duration::from_millis(200);
        let error = credentials.lookup("a.example").unwrap_err();
        assert_eq!(error.to_string(), "`docker-credential-t` gave no answer in 0.2 s");
    }

    #[test]
    fn an_answer_counts_even_if_a_child_of_the_helper_keeps_the_pipe_open() {
        let home = Home::new(r#"{"credsStore":"t"}"#)
            .helper("t", &format!("sleep 600 & echo $! >\"$0.pid\"; {ANSWER}"));
        assert_eq!(home.lookup("a.example").unwrap(), credential("me", "p4ss"));
        let pid = fs::read_to_string(home.dir.path().join("docker-credential-t.pid")).unwrap();
        let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }

    #[test]
    fn names_that_are_not_of_helpers_or_hosts_are_refused() {
        for name in ["../evil", "a/b", "-x", ".x", "a b", "x\\n", "é"] {
            let home = Home::new(&format!(r#"{{"credsStore":"{name}"}}"#));
            assert!(matches!(home.lookup("a.example"), Err(CredentialsError::BadHelperName(_))));
        }
        let home = Home::new("{}");
        for host in ["", "a\nb", "a b", "ä", &"x".repeat(513)] {
            assert!(matches!(home.lookup(host), Err(CredentialsError::BadHost(_))), "{host}");
        }
    }

    #[test]
    fn a_broken_entry_breaks_only_its_own_host() {
        let home = Home::new(
            r#"{"auths":{"a.example":{"auth":"p4ss!"},"b.example":{"auth":"dTpw"},
                "c.example":{"registrytoken":"p4ss"}}}"#,
        );
        fails(&home, "the `auth` of `a.example` in");
        assert_eq!(home.lookup("b.example").unwrap(), credential("u", "p"));
        let error = home.lookup("c.example").unwrap_err();
        assert!(error.to_string().contains("`registrytoken`"), "{error}");
    }

    #[test]
    fn nothing_prints_a_secret() {
        let home = Home::new(r#"{"auths":{"a.example":{"username":"u","password":"p4ss"}}}"#);
        let credentials = home.load();
        let found = credentials.lookup("a.example").unwrap().unwrap();
        assert_eq!(found.secret.reveal(), "p4ss");
        let printed = format!("{credentials:?} {found:?} {credentials:#?}");
        assert!(!printed.contains("p4ss"), "{printed}");
    }
}
