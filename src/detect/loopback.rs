//! Programs that listen on the loopback address unless they are told otherwise: the option or the variable that tells them.

use std::rc::Rc;

use super::{Evidence, Text, source};

/// What tells a program to listen on all addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// An argument: `--listen=0.0.0.0:8080`.
    Argument(String),
    /// A variable and its value.
    Variable(String, String),
}

/// All that tells a program to listen on all addresses, and where the default stands.
pub fn overrides(files: &[Rc<Text>]) -> Vec<(Told, Evidence)> {
    let mut found: Vec<(Told, Evidence)> = Vec::new();
    for file in files.iter().filter(|file| HOSTS.iter().any(|host| file.text.contains(host))) {
        let lines: Vec<&str> = file.text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let fits = line.len() <= LINE_BYTES_MAX && !source::is_comment(line);
            let Some(value) = fits.then(|| default(line)).flatten() else { continue };
            let above = &lines[at.saturating_sub(LINES_AROUND)..at];
            let below = lines.get(at + 1).copied().unwrap_or_default();
            let told = variable(line, &value)
                .or_else(|| argument(line, below, &value))
                .or_else(|| above.iter().rev().find_map(|line| variable(line, &value)));
            if let Some(told) = told.filter(|told| found.iter().all(|(known, _)| known != told)) {
                found.push((told, Evidence::line(&file.path, Some(at + 1))));
            }
        }
    }
    found
}

/// The text of a line that is nothing but the loopback address, with all addresses in its place.
fn default(line: &str) -> Option<String> {
    line.split('"').skip(1).step_by(2).find_map(|text| {
        let port = HOSTS.iter().find_map(|host| text.strip_prefix(host))?;
        let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let is_whole = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        is_whole.then(|| format!("0.0.0.0{port}"))
    })
}

/// A variable that a line reads, by the form of its name.
fn variable(line: &str, value: &str) -> Option<Told> {
    let reads = ["env", "Env", "ENV"].iter().any(|word| line.contains(word));
    let mut texts = line.split('"').skip(1).step_by(2).filter(|_| reads);
    let is_name = |text: &str| {
        let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        !text.is_empty() && text.chars().all(fits) && is_own(&text.to_ascii_lowercase())
    };
    // The tags of a field stand in text that is no literal of its own: `env:"HOST" envDefault:"localhost"`.
    let name = texts.find_map(|text| text.split(',').next().filter(|name| is_name(name)))?;
    Some(Told::Variable(name.to_owned(), value.to_owned()))
}

/// An option that a line declares: `flag.String("addr", "localhost:80", "…")`, clap's `default_value` above a field.
fn argument(line: &str, below: &str, value: &str) -> Option<Told> {
    let named = || {
        let (before, _) = HOSTS.iter().find_map(|host| line.split_once(&format!("\"{host}")))?;
        let declares = FLAGS.iter().any(|call| line.contains(call));
        let texts = before.split('"').skip(1).step_by(2);
        texts.filter(|text| declares && is_own(text)).last()
    };
    let of_clap = || {
        let declares = line.contains("default_value") && line.contains("long");
        let field = below.trim().trim_start_matches("pub ").split(':').next()?;
        (declares && !line.contains("long =") && is_own(field)).then_some(field)
    };
    let name = named().or_else(of_clap)?.replace('_', "-");
    Some(Told::Argument(format!("--{name}={value}")))
}

/// Whether a name is that of the address that a program itself listens on.
fn is_own(name: &str) -> bool {
    let parts: Vec<&str> = name.split(['_', '-', '.']).collect();
    let is_address = parts.last().is_some_and(|last| ADDRESSES.contains(last));
    let is_known = |part: &&str| ADDRESSES.contains(part) || OWNERS.contains(part);
    let listens = parts.iter().any(|part| ["listen", "bind"].contains(part));
    let is_aside = parts.iter().any(|part| ASIDE.contains(part));
    is_address && !is_aside && (listens || parts.iter().all(is_known))
}

const HOSTS: &[&str] = &["127.0.0.1", "localhost"];
/// Last parts of names of addresses.
const ADDRESSES: &[&str] =
    &["addr", "address", "bind", "host", "hostname", "interface", "ip", "listen"];
/// Other parts of names of the address of a server.
const OWNERS: &[&str] = &["app", "http", "server", "service", "web"];
/// Parts of names of what nobody outside is to reach.
const ASIDE: &[&str] = &["admin", "debug", "metrics", "pprof", "prometheus"];
/// Calls that declare an option, in Go.
const FLAGS: &[&str] = &[".String(", ".StringP(", ".StringVar(", ".StringVarP(", ".Flag("];
const LINES_AROUND: usize = 3;
const LINE_BYTES_MAX: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    fn told(text: &str) -> Vec<Told> {
        let text = Text { path: "main".into(), text: text.into() };
        overrides(&[Rc::new(text)]).into_iter().map(|(told, _)| told).collect()
    }

    #[test]
    fn a_default_of_the_loopback_address_has_an_option_or_a_variable() {
        let argument = |text: &str, want: &str| {
            assert_eq!(told(text), [Told::Argument(want.into())], "{text}");
        };
        argument("a := flag.String(\"addr\", \"localhost:80\", \"x\")", "--addr=0.0.0.0:80");
        argument("f.StringVarP(&h, \"host\", \"H\", \"127.0.0.1\", \"x\")", "--host=0.0.0.0");
        argument(
            "#[arg(long, default_value = \"127.0.0.1\")]\npub bind_address: String,",
            "--bind-address=0.0.0.0",
        );
        let variable = |text: &str, name: &str, value: &str| {
            assert_eq!(told(text), [Told::Variable(name.into(), value.into())], "{text}");
        };
        variable("h := getEnv(\"HOST\", \"127.0.0.1\")", "HOST", "0.0.0.0");
        variable("H string `env:\"HTTP_HOST,x\" envDefault:\"localhost\"`", "HTTP_HOST", "0.0.0.0");
        variable(
            "a := os.Getenv(\"LISTEN_ADDR\")\nif a == \"\" {\n\ta = \"localhost:81\"\n}",
            "LISTEN_ADDR",
            "0.0.0.0:81",
        );
        variable(
            "env::var(\"BIND\").unwrap_or_else(|_| \"127.0.0.1:82\".into())",
            "BIND",
            "0.0.0.0:82",
        );
        for other in [
            "getEnv(\"DB_HOST\", \"localhost\")",
            "getEnv(\"OLLAMA_HOST\", \"localhost:11434\")",
            "flag.String(\"metrics-listen\", \"127.0.0.1:9090\", \"x\")",
            "flag.String(\"addr\", \":80\", \"such as localhost:80\")",
            "// getEnv(\"HOST\", \"localhost\")",
            "http.ListenAndServe(\"localhost:80\", nil)",
        ] {
            assert_eq!(told(other), [], "{other}");
        }
    }

    #[test]
    fn no_text_makes_it_panic() {
        let seed = "flag.String(\"addr\", \"localhost:80\", \"é\")\nenv(\"HOST\", \"127.0.0.1\")";
        mutate(seed.as_bytes(), b"\"(),:\n.-_ \xc3", 3000, |bytes| {
            drop(told(&String::from_utf8_lossy(bytes)));
        });
    }
}
