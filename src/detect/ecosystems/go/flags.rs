//! The port that an option or a variable of a program has by default.
//!
//! `flag.String("listen", ":9121", …)`, `getEnv("APP_PORT", "80")`, `webflag.AddFlags(app, ":9091")`, a field with
//! `env:"APP_PORT" default:"3000"`: such a port is what the program means to listen on, wherever else numbers stand.

use super::Program;
use crate::detect::prelude::*;

/// A port by default.
pub(super) struct Default {
    /// The port, and where it stands.
    pub(super) port: (u16, Evidence),
    /// The variable that sets another, and how it is written there: the host and `:` before the number.
    pub(super) variable: Option<(String, String)>,
}

/// The first one in the program's own files, else in the packages of its module.
pub(super) fn default(program: &Program) -> Option<Default> {
    program.files.iter().find_map(|file| {
        let mut in_comment = false;
        file.lines().find_map(|(at, line)| {
            let (text, is_open) = without_comments(line, in_comment);
            in_comment = is_open;
            let text = named_value(program, &text).unwrap_or(text);
            let (port, variable) = of_line(&text)?;
            Some(Default { port: (port, Evidence::line(&file.path, Some(at))), variable })
        })
    })
}

/// The line of an option with the text of the constant that is its value: `Value: server.DefaultListen`.
fn named_value(program: &Program, line: &str) -> Option<String> {
    let (_, rest) = line.split_once(VALUE).filter(|_| line.contains("Flag{"))?;
    let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    let name = &rest[..rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len())];
    let constant = name.rsplit('.').next().filter(|name| name.len() > 3)?;
    let mut lines = program.files.iter().flat_map(|file| file.text.lines());
    let value = lines.find_map(|line| {
        let rest = line.trim_start().trim_start_matches("const ").strip_prefix(constant)?;
        let value = rest.trim_start().trim_start_matches("string ").strip_prefix('=')?.trim();
        let value = value.split("//").next().unwrap_or_default().trim();
        (value.starts_with('"') || value.parse::<u16>().is_ok()).then_some(value)
    })?;
    Some(line.replacen(&format!("{VALUE}{name}"), &format!("{VALUE}{value}"), 1))
}

fn of_line(line: &str) -> Option<(u16, Option<(String, String)>)> {
    if let Some(tag) = line.split('`').nth(1) {
        return of_tag(tag);
    }
    let is_call = CALLS.iter().any(|call| line.contains(call));
    let (before, is_flags) = match line.find("AddFlags(") {
        Some(at) => (&line[at..], true),
        None => (line, false),
    };
    if line.len() > LINE_BYTES_MAX || !is_call && !is_flags {
        return None;
    }
    // Texts stand at odd places.
    let pieces: Vec<&str> = before.split('"').collect();
    let (mut name, mut variable) = (String::new(), None);
    for (at, piece) in pieces.iter().enumerate() {
        if at % 2 == 0 {
            let value = piece.split_once(VALUE);
            let number = value.map_or(*piece, |(_, value)| value);
            let number = number.trim_matches([',', ' ']).split(',').next().unwrap_or_default();
            let is_number =
                value.is_some() || at > 0 && pieces[at - 1].to_ascii_lowercase().contains("port");
            if let Some(port) = number.parse().ok().filter(|port| is_number && is_own(&name, *port))
            {
                return Some((port, variable.map(|name| (name, String::new()))));
            }
            continue;
        }
        let (host, digits) =
            piece.rsplit_once(':').map_or(("", *piece), |(host, rest)| (host, rest));
        let is_host = ["", "0.0.0.0", "[::]", "*"].contains(&host);
        // Some libraries have the default before the name.
        let named =
            if name.is_empty() { pieces.get(at + 2).copied().unwrap_or_default() } else { &name };
        match digits.parse::<u16>().ok().filter(|_| is_host) {
            Some(port) if is_flags || is_own(named, port) => {
                let prefix = piece[..piece.len() - digits.len()].to_owned();
                return Some((port, variable.map(|name| (name, prefix))));
            }
            Some(_) => return None,
            None => {}
        }
        if is_variable(piece) {
            variable = Some((*piece).to_owned());
        }
        name.push(' ');
        name.push_str(&piece.to_ascii_lowercase());
    }
    None
}

/// A field of a struct that a variable fills.
fn of_tag(tag: &str) -> Option<(u16, Option<(String, String)>)> {
    let value = |key: &str| Some(tag.split_once(key)?.1.split_once('"')?.0);
    let variable = value("env:\"")?;
    let default = value("efault:\"")?;
    let digits = default.rsplit(':').next().unwrap_or_default();
    let port = digits.parse().ok().filter(|port| is_own(&variable.to_ascii_lowercase(), *port))?;
    let prefix = default[..default.len() - digits.len()].to_owned();
    Some((port, Some((variable.to_owned(), prefix))))
}

/// Whether a port with such a name is the one that clients of the service use.
fn is_own(name: &str, port: u16) -> bool {
    let is_port = ["port", "addr", "listen", "bind", "http"].iter().any(|word| name.contains(word));
    let is_other = OTHERS.iter().any(|word| name.contains(word));
    is_port && !is_other && (port >= 1000 || port == 80) && !source::is_foreign(port)
}

fn is_variable(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    text.len() > 2 && text.chars().all(fits) && text.starts_with(|c: char| c.is_ascii_uppercase())
}

/// The line without what is a comment, and whether a comment goes on after it.
fn without_comments(line: &str, in_comment: bool) -> (String, bool) {
    let (mut rest, mut text, mut is_open) = (line, String::new(), in_comment);
    loop {
        let mark = if is_open { "*/" } else { "/*" };
        let Some((before, after)) = rest.split_once(mark) else { break };
        if !is_open {
            // A glob in a text is none: `"/*"`.
            if before.matches('"').count() % 2 == 1 {
                return (line.to_owned(), false);
            }
            text.push_str(before);
        }
        (rest, is_open) = (after, !is_open);
    }
    if !is_open {
        text.push_str(rest);
    }
    let is_comment = text.trim_start().starts_with("//");
    (if is_comment { String::new() } else { text }, is_open)
}

/// Calls and tags that give an option or a variable its default.
const CALLS: &[&str] = &[
    ".String(", ".StringVar(", ".StringP(", ".StringVarP(", ".Int(", ".IntVar(", ".IntP(",
    ".IntVarP(", ".Uint(", ".UintVar(", ".Uint16(", ".Uint16Var(", ".TCPVar(", "etEnv(", "etenv(",
    "EnvOr", "OrDefault(", "etEnvString(", "etEnvInt(", "StringFlag{", "IntFlag{", "UintFlag{",
];

/// The default of an option of urfave/cli.
const VALUE: &str = "Value: ";

/// Words in names of ports that are for others than the service's clients.
const OTHERS: &[&str] = &[
    "metric", "pprof", "debug", "cluster", "grpc", "db_", "db-", "database", "smtp", "mail",
    "https", "tls", "ssl", "admin", "ssh", "udp", "proxy", "remote", "upstream", "target", "url",
    "prom", "peer", "gossip", "raft",
];

const LINE_BYTES_MAX: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_that_is_the_value_of_an_option_is_read() {
        let text = |path: &str, text: &str| Rc::new(Text { path: path.into(), text: text.into() });
        let option = "&cli.StringFlag{Name: \"listen\", EnvVars: []string{\"N\", \"N_LISTEN\"}, Value: server.DefaultListen, Usage: \"x\"},\n";
        let files = vec![
            text("cmd/serve.go", &format!("\t{option}")),
            text(
                "server/config.go",
                "const (\n\tDefaultListenTLS = \":81\"\n\tDefaultListen    = \":80\" // all\n)\n",
            ),
        ];
        let found = default(&Program { files, ..Program::default() }).unwrap();
        assert_eq!(found.port, (80, Evidence::line("cmd/serve.go", Some(1))));
        assert_eq!(found.variable, Some(("N_LISTEN".to_owned(), ":".to_owned())));
        assert!(
            default(&Program { files: vec![text("a.go", option)], ..Program::default() }).is_none()
        );
    }

    #[test]
    fn a_default_of_an_option_or_a_variable_is_the_port() {
        let check = |line: &str, want: Option<u16>, variable: Option<(&str, &str)>| {
            let found = of_line(&without_comments(line, false).0);
            let named = found.as_ref().and_then(|(_, variable)| variable.as_ref());
            let named = named.map(|(name, prefix)| (name.as_str(), prefix.as_str()));
            assert_eq!((found.as_ref().map(|found| found.0), named), (want, variable), "{line}");
        };
        let listen = "flag.String(\"web.listen\", getEnv(\"REDIS_LISTEN_ADDRESS\", \":9121\"), \"Address.\")";
        check(listen, Some(9121), Some(("REDIS_LISTEN_ADDRESS", ":")));
        let port =
            "flag.StringVar(&port, \"port\", getEnv(\"WHO_PORT\", \"80\"), \"the port, as 8080\")";
        check(port, Some(80), Some(("WHO_PORT", "")));
        check("flags = webflag.AddFlags(kingpin.CommandLine, \":9115\")", Some(9115), None);
        check("\tPort int `default:\"3000\" env:\"W_PORT\"`", Some(3000), Some(("W_PORT", "")));
        check("\tAddr string `env:\"ADDR\" envDefault:\":81\"`", None, None);
        check("\tAddr string `env:\"ADDR\" envDefault:\":80\"`", Some(80), Some(("ADDR", ":")));
        check("\tPort uint `env:\"MAIL_PORT\" default:\"2500\"`", None, None);
        check("flag.IntVar(&port, \"port\", 8085, \"port to listen on\")", Some(8085), None);
        check("flag.Int(\"metrics-port\", 9100, \"\")", None, None);
        check("flag.String(\"redis-addr\", \"localhost:6379\", \"\")", None, None);
        check("flag.String(\"db-port\", \"5432\", \"\")", None, None);
        check("http.ListenAndServe(\":8080\", nil)", None, None);
        check("// flag.String(\"addr\", \":8080\", \"\")", None, None);
        check("/* flag.String(\"addr\", \":8080\", \"\") */", None, None);
        check("x = f.String(\":8080\", \"listen\")", Some(8080), None);
        check("x = f.String(\":8080\", \"metrics-listen\")", None, None);
        let option = "&cli.StringFlag{Name: \"listen-http\", EnvVars: []string{\"N_LISTEN\"}, Value: \":80\"}";
        check(option, Some(80), Some(("N_LISTEN", ":")));
        check("&cli.IntFlag{Name: \"port\", Value: 8090, Usage: \"x\"}", Some(8090), None);
        check("&cli.IntFlag{Name: \"cluster-port\", Value: 8090}", None, None);
        check("r.Get(\"/*\", h)", None, None);
        assert!(without_comments("x /* y", false).1);
        assert_eq!(without_comments("y */ z", true), (" z".to_owned(), false));
    }
}
