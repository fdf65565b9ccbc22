//! Make: the program that a Makefile makes.

use super::{OTHERS, OUT_DIR, Target, base, finish, is_plain};
use crate::detect::{
    Evidence, Project, Service,
    ecosystems::draft::{quote, within},
    model::join,
};

pub(super) fn make(project: &Project<'_>, dir: &str, name: &str) -> Option<Service> {
    let entries = project.tree.entries(dir)?;
    if entries.first_of(OTHERS).is_some() {
        return None;
    }
    let sources = ["c", "cpp", "cc", "cxx"];
    let folders = [dir.to_owned(), join(dir, "src")];
    let has_sources = folders.iter().filter_map(|dir| project.tree.entries(dir)).any(|entries| {
        entries.files.iter().any(|file| {
            file.rsplit_once('.').is_some_and(|(_, extension)| sources.contains(&extension))
        })
    });
    if !has_sources {
        return None;
    }
    let path = join(dir, name);
    let text = project.tree.read(&path)?;
    let mut service = base(project, dir, "make", &path)?;
    service.build_packages(["make"]);
    let target = make_target(&text);
    service.spec.build.commands = vec![within(dir, "make")];
    if let Some((program, _)) = &target {
        let file = program.rsplit('/').next().unwrap_or(program).to_owned();
        service.spec.build.commands.push(within(
            dir,
            &format!("mkdir -p {OUT_DIR} && cp {} {OUT_DIR}/{}", quote(program), quote(&file)),
        ));
    }
    service.decide("build command", "make", "its first target", [Evidence::file(&path)]);
    let target = target.map(|(program, evidence)| {
        (program.rsplit('/').next().unwrap_or_default().to_owned(), evidence)
    });
    finish(project, &mut service, dir, &text.text, target);
    Some(service)
}

/// The program a Makefile makes: a variable that is named so, else what `-o` writes, else the first target that is a file.
fn make_target(text: &crate::detect::Text) -> Option<Target> {
    let mut variables: Vec<(String, String, usize)> = Vec::new();
    for (line, words) in text.lines() {
        let Some((name, value)) = words.split_once('=') else { continue };
        let name = name.trim_end_matches([':', '?', '+']).trim();
        if words.starts_with(|c: char| c.is_ascii_alphabetic()) && is_plain(name) {
            variables.push((
                name.to_owned(),
                value.split('#').next().unwrap_or_default().trim().to_owned(),
                line,
            ));
        }
    }
    let expand = |value: &str| {
        let mut value = value.to_owned();
        for _ in 0..4 {
            for (name, content, _) in &variables {
                value = value
                    .replace(&format!("$({name})"), content)
                    .replace(&format!("${{{name}}}"), content);
            }
            if value.len() > 1000 {
                break;
            }
        }
        let value = value.trim_start_matches("./").to_owned();
        let fits = is_plain(&value.replace('/', ""))
            && !value.contains("..")
            && !value.starts_with('/')
            && !value.ends_with(".o")
            && !value.ends_with(".a")
            && !value.ends_with(".so");
        fits.then_some(value)
    };
    const NAMES: &[&str] = &[
        "TARGET", "EXEC", "EXECUTABLE", "BIN", "PROG", "PROGRAM", "TARGET_EXEC", "NAME", "OUT",
        "OUTPUT", "APP", "BINARY", "EXE",
    ];
    let has_rule = |name: &str| {
        text.text.contains(&format!("$({name}):"))
            || text.text.contains(&format!("-o $({name})"))
            || text.text.contains(&format!("$({name}) :"))
            || text.text.contains(&format!("$({name})"))
    };
    for name in NAMES {
        let found = variables.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name));
        if let Some((_, value, line)) = found.filter(|(known, ..)| has_rule(known))
            && let Some(program) = expand(value)
        {
            return Some((program, Evidence::line(&text.path, Some(*line))));
        }
    }
    let mut rule = String::new();
    for (line, words) in text.lines() {
        if !words.starts_with(['\t', ' ', '#', '.'])
            && let Some((target, _)) =
                words.split_once(':').filter(|(_, rest)| !rest.starts_with('='))
        {
            rule = target.trim().to_owned();
        }
        let Some((_, output)) = words
            .split_once(" -o ")
            .filter(|_| words.starts_with(['\t', ' ']) && !words.contains(" -c "))
        else {
            continue;
        };
        let output = output.split_whitespace().next().unwrap_or_default();
        let output = if output == "$@" { rule.as_str() } else { output };
        if let Some(program) =
            expand(output).filter(|program| !program.contains('%') && !program.contains("test"))
        {
            return Some((program, Evidence::line(&text.path, Some(line))));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{detect::Text, mutation::mutate};

    #[test]
    fn the_program_of_a_makefile_is_found_in_each_way() {
        let check = |text: &str, want: Option<&str>| {
            let text = Text { path: "Makefile".into(), text: text.into() };
            assert_eq!(make_target(&text).map(|(name, _)| name).as_deref(), want, "{}", text.text);
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
            drop(make_target(&Text { path: "x".into(), text }));
        });
    }
}
