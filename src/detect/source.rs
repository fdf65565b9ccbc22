//! What program text says about the port: which one it listens on, whether it reads `PORT`.
//!
//! No language is parsed. A line counts when it holds a call that listens, or a name such as `port` before a number;
//! comments do not count. Text and time are bounded.

use std::rc::Rc;

use super::{Evidence, Fixed, Project, Rule, Text, folders::is_for_tests, paths::join};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// Where `PORT` is read.
    pub env: Option<Evidence>,
    /// The port in the text: what it falls back to, or what it is fixed to.
    pub number: Option<(u16, Evidence)>,
}

/// A port and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The number.
    pub number: u16,
    /// How it was found.
    pub rule: Rule,
    /// Where.
    pub place: Option<Evidence>,
    /// Whether the program reads it from `PORT`.
    pub is_told: bool,
}

impl Port {
    /// A port that the program listens on whatever `PORT` says.
    pub fn new(number: u16, rule: impl Into<Rule>, place: Option<Evidence>) -> Self {
        Self { number, rule: rule.into(), place, is_told: false }
    }

    /// A port that the program reads from `PORT`.
    pub fn told(number: u16, rule: impl Into<Rule>, place: Option<Evidence>) -> Self {
        Self { is_told: true, ..Self::new(number, rule, place) }
    }

    /// The port that was found by a rule, else another; the program reads it from `PORT`.
    pub fn told_or(
        found: Option<(u16, Evidence)>,
        rule: impl Into<Rule>,
        default: u16,
        otherwise: impl Into<Rule>,
    ) -> Self {
        match found {
            Some((number, place)) => Self::told(number, rule, Some(place)),
            None => Self::told(default, otherwise, None),
        }
    }

    /// The port that was found by a rule, else that of the framework (0: it has none), else 8080.
    pub fn of(found: Option<(u16, Evidence)>, rule: Fixed, default: u16) -> Self {
        let (number, rule, place) = match (found, default) {
            (Some((number, place)), _) => (number, rule, Some(place)),
            (None, 0) => (8080, Fixed::NothingElseSays, None),
            (None, default) => (default, Fixed::FrameworkDefault, None),
        };
        Self { number, rule: rule.into(), place, is_told: false }
    }
}

/// All files below `dir` with one of the extensions, but for tests, examples and folders that `skip` names; in order.
pub fn gather(
    project: &Project<'_>,
    dir: &str,
    extensions: &[&str],
    skip: &dyn Fn(&str) -> bool,
) -> Vec<Rc<Text>> {
    let mut found = Gathered { files: Vec::new(), bytes: 0 };
    found.walk(project, dir, extensions, skip, 0);
    found.files
}

struct Gathered {
    files: Vec<Rc<Text>>,
    bytes: usize,
}

impl Gathered {
    fn walk(
        &mut self,
        project: &Project<'_>,
        dir: &str,
        extensions: &[&str],
        skip: &dyn Fn(&str) -> bool,
        depth: usize,
    ) {
        let Some(entries) = project.tree.entries(dir) else { return };
        for name in &entries.files {
            let known = name.rsplit_once('.').is_some_and(|(_, ext)| extensions.contains(&ext));
            if !known {
                continue;
            }
            if self.files.len() >= FILES_MAX || self.bytes >= BYTES_MAX {
                return;
            }
            if let Some(text) = project.tree.read(&join(dir, name)) {
                self.bytes += text.text.len();
                self.files.push(text);
            }
        }
        for name in &entries.dirs {
            let path = join(dir, name);
            if depth < DEPTH_MAX && !is_for_tests(name) && !skip(&path) {
                self.walk(project, &path, extensions, skip, depth + 1);
            }
        }
    }
}

/// Looks for the port. `listen` are texts of calls that listen: `ListenAndServe(`.
pub fn ports(files: &[Rc<Text>], listen: &[&str]) -> Ports {
    let mut ports = Ports::default();
    let mut near_env = None;
    let mut listening = None;
    let (mut named, mut is_named_beside) = (None, false);
    for file in files {
        let lines: Vec<&str> = file.text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            if line.len() > LINE_BYTES_MAX || is_comment(line) {
                continue;
            }
            let here = |at: usize| Evidence::line(&file.path, Some(at + 1));
            if reads_port(line) {
                ports.env.get_or_insert_with(|| here(at));
                if near_env.is_none() {
                    near_env = around(&lines, at, 4).map(|(port, at)| (port, here(at)));
                }
            }
            if listening.is_none() && listen.iter().any(|call| line.contains(call)) {
                let below = at..lines.len().min(at + 3);
                listening = below
                    .filter(|at| !is_comment(lines[*at]))
                    .find_map(|at| own_number(lines[at]).map(|port| (port, here(at))));
            }
            let is_better = named.is_none() || is_named_beside && !is_beside(line);
            if is_better
                && own_number(line).is_some()
                && let Some(port) = number_of_name(line)
            {
                (named, is_named_beside) = (Some((port, here(at))), is_beside(line));
            }
        }
    }
    ports.number = match ports.env {
        Some(_) => near_env.or(listening).or(named),
        None => listening.or(named),
    };
    ports
}

/// The port of an address that a program of no known framework binds to: it names all interfaces (`"0.0.0.0:8080"`,
/// `":8080"`, `IPAddress.Any, 8080`), or a call of a server takes it (`.setPort(8080)`, `.listen(8080)`).
pub fn address(files: &[Rc<Text>]) -> Option<(u16, Evidence)> {
    let mut beside = None;
    let first = files.iter().find_map(|file| {
        file.text.lines().enumerate().find_map(|(at, line)| {
            let fits = line.len() <= LINE_BYTES_MAX && !is_comment(line) && !is_message(line);
            let port = bound(line).filter(|_| fits)?;
            let found = (port, Evidence::line(&file.path, Some(at + 1)));
            if !is_beside(line) {
                return Some(found);
            }
            beside.get_or_insert(found);
            None
        })
    });
    first.or(beside)
}

/// Whether a line names a port that is there beside the one of the service: it counts where there is no other.
fn is_beside(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    ["cluster", "gossip", "admin", "pprof", "metrics"].iter().any(|word| lower.contains(word))
}

/// The port of a program: the text's number, else `default`; of one that is not known to serve (`None`), the address
/// that it binds to.
pub fn port(files: &[Rc<Text>], listens: &[&str], default: Option<(u16, Rule)>) -> Option<Port> {
    let Some((default, otherwise)) = default else {
        let (number, place) = address(files)?;
        let rule = Rule::Is(Fixed::ProgramAddress);
        return Some(Port { number, rule, place: Some(place), is_told: false });
    };
    let found = ports(files, listens);
    let is_told = found.env.is_some();
    Some(match found.number {
        Some((number, place)) => {
            Port { number, rule: Fixed::ProgramText.into(), place: Some(place), is_told }
        }
        None => Port { number: default, rule: otherwise, place: None, is_told },
    })
}

/// Where a program listens on the loopback address alone.
pub fn loopback(files: &[Rc<Text>], listens: &[&str]) -> Option<Evidence> {
    let has = |line: &str, words: &[&str]| words.iter().any(|word| line.contains(word));
    files.iter().find_map(|file| {
        let mut lines = file.lines();
        let (at, _) = lines.find(|(_, line)| has(line, LOOPBACK) && has(line, listens))?;
        Some(Evidence::line(&file.path, Some(at)))
    })
}

const LOOPBACK: &[&str] = &["127.0.0.1", "localhost"];

/// The port in files of settings: the first line that begins with one of `keys`, in lower case, and holds a port.
///
/// They are read line by line, because many are templates and no YAML or TOML before they are filled.
pub fn setting<'f>(
    project: &Project<'_>,
    dir: &str,
    files: impl IntoIterator<Item = &'f str>,
    keys: &[&str],
) -> Option<(u16, Evidence)> {
    files.into_iter().find_map(|file| {
        let text = project.tree.read(&join(dir, file))?;
        text.lines().find_map(|(line, words)| {
            let key = words.trim_start().trim_start_matches('"').to_ascii_lowercase();
            let key = key.replacen("\":", ":", 1);
            let port = own_number(words).filter(|_| keys.iter().any(|k| key.starts_with(k)))?;
            Some((port, Evidence::line(&text.path, Some(line))))
        })
    })
}

/// Whether a line is about a server that the program is a client of, or about no port.
pub fn is_elsewhere(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    ELSEWHERE.iter().any(|word| lower.contains(word))
}

fn bound(line: &str) -> Option<u16> {
    if is_elsewhere(line) {
        return None;
    }
    BINDS.iter().find_map(|mark| {
        let mut all = line.match_indices(mark);
        all.find_map(|(at, _)| {
            let rest = line[at + mark.len()..].trim_start_matches(['"', '\'', ',', ' ', ':']);
            let rest = rest.strip_prefix("port").map_or(rest, |r| r.trim_start_matches([':', ' ']));
            let starts = rest.starts_with(|c: char| c.is_ascii_digit());
            own_number(rest.get(..8.min(rest.len()))?).filter(|_| starts)
        })
    })
}

/// Whether the line is about text for people.
fn is_message(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    ["print", "log", "curl ", "echo ", "usage", "example"].iter().any(|word| lower.contains(word))
}

/// What stands before the port that a program binds to.
const BINDS: &[&str] = &[
    "\"0.0.0.0", "'0.0.0.0", "\"[::]", "\":", "://0.0.0.0", "://+", "://*", "IPAddress.Any",
    "IPAddress::Any", ".listen(", ".Listen(", ".setPort(", ".SetPort(", ".port(", ".Port(",
    "Port = ", "HttpPort(", "UsePort(", "forPort(", "InetSocketAddress(", "HttpServer(",
    "listenAndServe(",
];

/// A number on the line or one of the lines around it, the nearest first, below before above.
fn around(lines: &[&str], at: usize, reach: usize) -> Option<(u16, usize)> {
    let near = |at: usize| {
        let line = lines.get(at)?;
        let fits = line.len() <= LINE_BYTES_MAX && !is_comment(line);
        Some((fits.then(|| own_number(line))??, at))
    };
    let below = |step: usize| near(at + step);
    let above = |step: usize| at.checked_sub(step).filter(|_| step <= 2).and_then(near);
    near(at).or_else(|| (1..=reach).find_map(|step| below(step).or_else(|| above(step))))
}

/// Whether the variable `PORT` is read on the line, in any of the ways languages have.
fn reads_port(line: &str) -> bool {
    let mut rest = line;
    let mut before = ' ';
    while let Some(at) = rest.find("PORT") {
        let prefix = rest[..at].chars().next_back().unwrap_or(before);
        let suffix = rest[at + 4..].chars().next();
        let quoted = matches!(prefix, '"' | '\'' | '`') && suffix == Some(prefix);
        let substituted = prefix == '{' && matches!(suffix, Some('}' | ':'))
            || prefix == '$' && !suffix.is_some_and(|c| c.is_alphanumeric() || c == '_');
        if quoted || substituted {
            return true;
        }
        before = 'T';
        rest = &rest[at + 4..];
    }
    false
}

/// The number behind a name such as `port`, `addr` or `listen`, unless the line is about another server.
fn number_of_name(line: &str) -> Option<u16> {
    let lower = line.to_ascii_lowercase();
    let at = ["port", "addr", "listen"]
        .iter()
        .filter_map(|name| lower.find(name))
        .filter(|at| {
            let is_other = ["portal", "listener"].iter().any(|w| lower[*at..].starts_with(w));
            !is_other && begins_word(line, &lower, *at)
        })
        .min()?;
    if is_elsewhere(line) {
        return None;
    }
    // Proxies and clients name these; a server that is on them says so where it listens.
    own_number(line.get(at..)?).filter(|port| !matches!(port, 80 | 443))
}

/// Whether a word begins there: `httpPort`, `http_port` and `httpport`, but not `support` and `macaddr`.
fn begins_word(line: &str, lower: &str, at: usize) -> bool {
    let follows_letter = lower[..at].ends_with(|c: char| c.is_ascii_alphabetic());
    let is_capital = line.as_bytes().get(at).is_some_and(u8::is_ascii_uppercase);
    let known = ["http", "https", "web", "server", "app", "api", "listen", "bind", "grpc", "tcp"];
    !follows_letter || is_capital || known.iter().any(|word| lower[..at].ends_with(word))
}

/// The first number on the line that can be the program's own port: no size of a buffer, no database's port.
pub fn own_number(line: &str) -> Option<u16> {
    numbers(line).find(|number| !SIZES.contains(number) && !is_foreign(*number))
}

/// The first number on the line that a port can be.
pub fn number(line: &str) -> Option<u16> {
    numbers(line).next()
}

/// All numbers on the line that a port can be.
fn numbers(line: &str) -> impl Iterator<Item = u16> {
    let mut at = 0;
    std::iter::from_fn(move || next_number(line, &mut at))
}

/// The next one from the byte `at` on, which is moved behind it.
fn next_number(line: &str, from: &mut usize) -> Option<u16> {
    let bytes = line.as_bytes();
    let mut at = *from;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let end =
            bytes[at..].iter().position(|b| !b.is_ascii_digit()).map_or(bytes.len(), |n| at + n);
        let before = at.checked_sub(1).map(|i| bytes[i]);
        let starts = match before {
            Some(b'-') => at >= 2 && bytes[at - 2] == b':',
            Some(b'.' | b'_') => false,
            Some(b) => !b.is_ascii_alphanumeric() && b < 0x80,
            None => true,
        };
        let after = &line[end..];
        let ends = after.starts_with("u16")
            || after.starts_with("_u16")
            || match after.as_bytes().first() {
                Some(b'.') => !after[1..].starts_with(|c: char| c.is_ascii_digit()),
                Some(b'_' | b'-') => false,
                Some(b) => !b.is_ascii_alphanumeric(),
                None => true,
            };
        if starts && ends && (2..=5).contains(&(end - at)) && !is_in_prose(line, at) {
            match line[at..end].parse::<u16>() {
                Ok(port) if port == 80 || port == 443 || port >= 1000 => {
                    *from = end;
                    return Some(port);
                }
                _ => {}
            }
        }
        at = end;
    }
    *from = at;
    None
}

/// Whether a byte lies in a text with spaces: prose that names a number, such as the help of an option.
fn is_in_prose(line: &str, at: usize) -> bool {
    let bytes = line.as_bytes();
    let has_spaces = |text: &str| text.trim().contains(char::is_whitespace);
    // A text within a text, `f"{get('PORT', '8080')}"`.
    let inner = line[..at].rfind(['"', '\'']).filter(|from| {
        let rest = &line[from + 1..];
        rest.split(char::from(bytes[*from])).next().is_some_and(|text| !has_spaces(text))
    });
    if inner.is_some() {
        return false;
    }
    let mut open = None;
    for (here, byte) in bytes.iter().enumerate() {
        let is_escaped = here > 0 && bytes[here - 1] == b'\\';
        match (open, byte) {
            (None, b'"' | b'\'') if here >= at => return false,
            // An apostrophe in a word begins nothing.
            (None, b'\'') if here > 0 && bytes[here - 1].is_ascii_alphanumeric() => {}
            (None, b'"' | b'\'') if !is_escaped => open = Some(here),
            (Some(from), _) if *byte == bytes[from] && !is_escaped => {
                if from < at && at < here {
                    return has_spaces(&line[from + 1..here]);
                }
                open = None;
            }
            _ => {}
        }
    }
    false
}

/// Whether the line is nothing but a comment.
pub fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    ["//", "#", "*", "/*", "--", ";"].iter().any(|mark| line.starts_with(mark))
        && !["#[", "#define", "#include"].iter().any(|code| line.starts_with(code))
}

/// Whether a text of the files holds `needle` outside of comments, and where.
pub fn mention(files: &[Rc<Text>], needle: &str) -> Option<Evidence> {
    files.iter().find_map(|file| {
        file.text.contains(needle).then_some(())?;
        let at = file.text.lines().position(|line| line.contains(needle) && !is_comment(line))?;
        Some(Evidence::line(&file.path, Some(at + 1)))
    })
}

/// Whether a text names the folder or file `name` as a path: `"templates`, `./templates`, `"/templates`.
pub fn names_path(files: &[Rc<Text>], name: &str) -> Option<Evidence> {
    let quoted = |text: &str| text.ends_with(['"', '\'', '`']);
    let begins = |before: &str| {
        quoted(before) || before.ends_with("./") || before.strip_suffix('/').is_some_and(quoted)
    };
    let ends =
        |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-'));
    files.iter().find_map(|file| {
        let text = file.text.as_str();
        let found = text.match_indices(name).find(|(at, _)| {
            let (before, rest) = (&text[..*at], &text[at + name.len()..]);
            let line = before.rsplit('\n').next().unwrap_or_default();
            begins(before) && ends(rest) && !is_comment(line) && !is_compiled_in(line)
        });
        found.map(|(at, _)| Evidence::line(&file.path, Some(file.line_at(at))))
    })
}

/// Texts in double quotes that are paths by their look, with where they stand; not those of files that are compiled in.
pub fn paths(files: &[Rc<Text>]) -> impl Iterator<Item = (&str, Evidence)> {
    files.iter().flat_map(|file| {
        let lines = file.lines().filter(|(_, line)| {
            line.len() <= LINE_BYTES_MAX && !is_comment(line) && !is_compiled_in(line)
        });
        lines.flat_map(move |(at, line)| {
            let texts = line.split('"').skip(1).step_by(2);
            let is_path = |text: &&str| {
                let fits = |c: char| c.is_alphanumeric() || "._-/".contains(c);
                text.contains(['.', '/']) && text.chars().all(fits)
            };
            texts.filter(is_path).map(move |text| (text, Evidence::line(&file.path, Some(at))))
        })
    })
}

/// Whether a line takes up a file when it is compiled.
fn is_compiled_in(line: &str) -> bool {
    COMPILED_IN.iter().any(|mark| line.contains(mark))
}

/// Macros and their like that take up files when they are compiled.
const COMPILED_IN: &[&str] = &[
    "include_str!(", "include_bytes!(", "include!(", "include_dir!(", "migrate!(", "#[folder",
    "#[template(", "#[grammar", "@embedFile(", "staticRead(", "{{ read_file(", "ECR.def_to_s",
];

/// Whether a name (of a library, a package, a folder) tells of work in the background: queues, schedules.
pub fn is_background(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    BACKGROUND.iter().any(|word| name.contains(word))
}

/// Whether a path of a URL holds nothing that would have to be encoded.
pub fn is_plain_path(path: &str) -> bool {
    path.chars().all(|c| c.is_ascii_alphanumeric() || "/_.-".contains(c))
}

/// Parts of names of what works in the background without listening.
const BACKGROUND: &[&str] = &[
    "worker", "consumer", "scheduler", "daemon", "processor", "subscriber", "listener", "cron",
    "queue", "kafka", "sarama", "amqp", "rabbit", "lapin", "nats", "asynq", "temporal", "pubsub",
    "sqs", "apalis", "redis", "service", "svc", "server", "discord", "telegram", "slack", "bot",
];

/// Numbers that are sizes of buffers more often than ports.
const SIZES: &[u16] = &[1024, 2048, 4096, 8192, 16384, 32768, 65535];

/// Whether no application listens on a port, because databases, brokers, proxies or mail have it.
pub fn is_foreign(port: u16) -> bool {
    FOREIGN.contains(&port)
}

/// Ports of databases, brokers, proxies and mail.
const FOREIGN: &[u16] = &[
    465, 587, 1025, 1080, 1433, 1521, 2181, 2525, 3128, 3306, 5432, 5672, 6379, 8125, 9042, 9092,
    9200, 11211, 27017,
];

/// Words of lines that are about a server this program is a client of, or about no port.
const ELSEWHERE: &[&str] = &[
    "redis", "mysql", "postgres", "mongo", "smtp", "mail", "amqp", "rabbit", "kafka", "elastic",
    "memcache", "timeout", "db_", "dbport", "db.", "database", "jdbc", "import ", "nats",
    "clickhouse", "cassandra", "ldap", "zookeeper", "consul", "debug", "remote", "client",
];

const FILES_MAX: usize = 400;
const BYTES_MAX: usize = 4 << 20;
const DEPTH_MAX: usize = 24;
const LINE_BYTES_MAX: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    fn text(text: &str) -> Vec<Rc<Text>> {
        vec![Rc::new(Text { path: "main".into(), text: text.into() })]
    }

    #[test]
    fn the_port_of_a_call_wins_over_a_name() {
        let found = ports(
            &text("const metricsPort = 9100\nhttp.ListenAndServe(\":8080\", nil)\n"),
            &["ListenAndServe("],
        );
        assert_eq!(found.number, Some((8080, Evidence::line("main", Some(2)))));
        assert_eq!(found.env, None);
    }

    #[test]
    fn a_default_near_the_variable_is_found_and_other_servers_are_not() {
        let check = |source: &str, env: bool, number: Option<u16>| {
            let found = ports(&text(source), &["bind("]);
            assert_eq!((found.env.is_some(), found.number.map(|n| n.0)), (env, number), "{source}");
        };
        check("p := os.Getenv(\"PORT\")\nif p == \"\" {\n p = \"9090\"\n}", true, Some(9090));
        check(
            "let port = env::var(\"PORT\").unwrap_or_else(|_| \"4000\".into());",
            true,
            Some(4000),
        );
        check("server.port=${PORT:8081}", true, Some(8081));
        check("listener = TcpListener::bind(\"0.0.0.0:3000\")", false, Some(3000));
        check("SocketAddr::from(([0, 0, 0, 0], 3000))", false, Some(3000));
        check("redis_port = 6379", false, None);
        check("// port 8080", false, None);
        check("import \"x/v1234\"", false, None);
        check("read_timeout: 3000", false, None);
        check("socket.bind(addr, 1024, 8085)", false, Some(8085));
        check("Pool.connect(host).bind(5432)", false, None);
        check("httpPort = 8085", false, Some(8085));
        check("macaddr = binary 1040", false, None);
        check("the report 2024", false, None);
        check("flag.Int(\"port\", 0, \"port to listen on, such as 9000\")", false, None);
        check(
            "flag.String(\"addr\", \":9001\", \"listen address, e.g. :9000\")",
            false,
            Some(9001),
        );
        check(
            "Port string `env:\"HTTP_PORT\" envDefault:\"9002\" help:\"the port, not 80\"`",
            false,
            Some(9002),
        );
        check("let port = 'don\\'t use 9000', other = 9003", false, Some(9003));
        check("listeners.each_slice(1000)", false, None);
        check("defaultAddr = \":80\"", false, None);
        check("listener.bind(\":80\")", false, Some(80));
    }

    #[test]
    fn an_address_of_all_interfaces_is_the_programs_own() {
        let check = |source: &str, want| {
            assert_eq!(address(&text(source)).map(|found| found.0), want, "{source}");
        };
        check("Server::new(app, \"0.0.0.0:8000\".parse().unwrap())", Some(8000));
        check("err = indigo.New(\":8080\").Serve(router)", Some(8080));
        check("var server = new Server(IPAddress.Any, 8080);", Some(8080));
        check("bootstrap.bind(host: \"0.0.0.0\", port: 8081)", Some(8081));
        check(".WithUrlPrefix(\"http://+:8080/\")", Some(8080));
        check("ServerConfigurations::bind(\"0.0.0.0\", 8080)", Some(8080));
        check("config.setPort(9090);", Some(9090));
        check("println!(\"on 0.0.0.0:8080\")", None);
        check("client.connect(\"0.0.0.0:8080\")", None);
        check("redis.setPort(6380)", None);
        check("let url = \"https://x.org:8443\"", None);
        check("// \":8080\"", None);
        check("x = \":\"", None);
    }

    #[test]
    fn numbers_are_ports_only_when_they_stand_alone() {
        let check = |line: &str, want| assert_eq!(number(line), want, "{line}");
        check("127.0.0.1:3000", Some(3000));
        check("v1.2345", None);
        check("a8080", None);
        check("8080u16", Some(8080));
        check("99999", None);
        check("${PORT:-5000}", Some(5000));
        check("2024-1080", None);
        check("é8080", None);
    }

    #[test]
    fn no_text_makes_it_panic() {
        let seed = "p := os.Getenv(\"PORT\") // ${PORT:-8080}\nlisten(:3000u16)\n";
        mutate(seed.as_bytes(), b"\":0PORT{}$-.\n\xc3", 4000, |bytes| {
            let files = text(&String::from_utf8_lossy(bytes));
            drop(ports(&files, &["listen("]));
            drop(names_path(&files, "PORT"));
            drop(address(&files));
        });
    }
}
