//! Make: the program that a Makefile makes.

use super::calls::{Target, is_plain};
use crate::detect::prelude::*;

const NAMES: &[&str] = &[
    "TARGET", "EXEC", "EXECUTABLE", "BIN", "PROG", "PROGRAM", "TARGET_EXEC", "NAME", "OUT",
    "OUTPUT", "APP", "BINARY", "EXE",
];

/// The program a Makefile makes: a variable that is named so, else what `-o` writes, else the first target that is a file.
pub(super) fn target(text: &Text) -> Option<Target> {
    let variables = variables(text);
    let here = |line| Evidence::line(&text.path, Some(line));
    for name in NAMES {
        let found = variables.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name));
        let found = found.filter(|(known, ..)| text.text.contains(&format!("$({known})")));
        if let Some((_, value, line)) = found
            && let Some(program) = program(&variables, value)
        {
            return Some((program, here(*line)));
        }
    }
    let mut rule = "";
    for (line, words) in text.lines() {
        if !words.starts_with(['\t', ' ', '#', '.'])
            && let Some((target, rest)) = words.split_once(':')
            && !rest.starts_with('=')
        {
            rule = target.trim();
        }
        let is_link = words.starts_with(['\t', ' ']) && !words.contains(" -c ");
        let Some((_, output)) = words.split_once(" -o ").filter(|_| is_link) else { continue };
        let output = match output.split_whitespace().next().unwrap_or_default() {
            "$@" => rule,
            output => output,
        };
        let fits = |program: &String| !program.contains('%') && !program.contains("test");
        if let Some(program) = program(&variables, output).filter(fits) {
            return Some((program, here(line)));
        }
    }
    None
}

/// Names and values of variables, with their lines.
fn variables(text: &Text) -> Vec<(&str, &str, usize)> {
    let assigned = text.lines().filter_map(|(line, words)| {
        let (name, value) = words.split_once('=')?;
        let name = name.trim_end_matches([':', '?', '+']).trim();
        let is_name = words.starts_with(|c: char| c.is_ascii_alphabetic()) && is_plain(name);
        is_name.then(|| (name, value.split('#').next().unwrap_or_default().trim(), line))
    });
    assigned.collect()
}

/// The path of a program that a value means, its variables replaced.
fn program(variables: &[(&str, &str, usize)], value: &str) -> Option<String> {
    let mut value = value.to_owned();
    for _ in 0..4 {
        for (name, content, _) in variables {
            value = value.replace(&format!("$({name})"), content);
            value = value.replace(&format!("${{{name}}}"), content);
        }
        if value.len() > 1000 {
            break;
        }
    }
    let value = value.trim_start_matches("./");
    let is_library = [".o", ".a", ".so"].iter().any(|end| value.ends_with(end));
    let is_inside = !value.contains("..") && !value.starts_with('/');
    (is_plain(&value.replace('/', "")) && is_inside && !is_library).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{detect::Text, mutation::mutate};

    #[test]
    fn the_program_of_a_makefile_is_found_in_each_way() {
        let check = |text: &str, want: Option<&str>| {
            let text = Text { path: "Makefile".into(), text: text.into() };
            assert_eq!(target(&text).map(|(name, _)| name).as_deref(), want, "{}", text.text);
        };
        check("TARGET = server\nall: $(TARGET)\n", Some("server"));
        check("BUILD=build\nTARGET := $(BUILD)/app\n$(TARGET): x.o\n", Some("build/app"));
        check("all: hello\nhello: hello.c\n\tgcc -o hello hello.c\n", Some("hello"));
        check("hello: hello.c\n\t$(CC) hello.c -o $@ $(LDFLAGS)\n", Some("hello"));
        check("lib.o: lib.c\n\tgcc -c -o lib.o lib.c\n", None);
    }

    #[test]
    fn no_text_makes_it_panic() {
        let seed = "TARGET = $(TARGET)x\n$(TARGET): a\n\tcc -o $@ a.c\n";
        mutate(seed.as_bytes(), b"(){}$\n\t:= #\"", 2000, |bytes| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            drop(target(&Text { path: "x".into(), text }));
        });
    }
}
