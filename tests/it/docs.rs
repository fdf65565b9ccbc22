//! What the documents say is so: commands are run, tables are compared with the code, links lead somewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use regex_lite::Regex;

use crate::support::daemon::{self, binary};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

/// All files of the project with this extension, relative to its root.
fn files(extension: &str) -> Vec<PathBuf> {
    fn walk(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.starts_with('.') || ["target", "node_modules"].contains(&name) {
                continue;
            }
            if path.is_dir() {
                walk(&path, extension, found);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(root(), extension, &mut found);
    found.sort();
    found
}

/// One fenced block of a page.
struct Block {
    /// What stands behind the fence: `console run`.
    info: String,
    /// For messages: page and line.
    place: String,
    lines: Vec<String>,
}

fn blocks(page: &Path) -> Vec<Block> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false;
    for (number, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), is_open) {
            (Some(info), false) => {
                let place = format!("{}:{}", page.display(), number + 1);
                blocks.push(Block { info: info.to_owned(), place, lines: Vec::new() });
                is_open = true;
            }
            (Some(_), true) => is_open = false,
            (None, true) => blocks.last_mut().unwrap().lines.push(line.to_owned()),
            (None, false) => {}
        }
    }
    assert!(!is_open, "{}: a fence is not closed", page.display());
    blocks
}

/// The page without its fenced blocks.
fn prose(page: &Path) -> String {
    let text = fs::read_to_string(root().join(page)).unwrap();
    text.split("```").step_by(2).collect()
}

/// Rows of the tables of a text, as cells; `\|` is a bar of a cell.
fn rows(text: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| {
        let line = line.trim().trim_matches('|').replace("\\|", "\u{1}");
        line.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect()
    };
    text.lines().filter(|line| line.starts_with("| ")).map(cells).collect()
}

/// The text below a heading, down to the next heading of any level.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, after) =
        text.split_once(heading).unwrap_or_else(|| panic!("there is no heading `{heading}`"));
    after.split("\n#").next().unwrap()
}

// Commands.

/// A command of a `console` block with what the page shows of its output.
struct Shown {
    command: String,
    output: Vec<String>,
}

fn commands(block: &Block) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    for line in &block.lines {
        match (line.strip_prefix("$ "), shown.last_mut()) {
            (Some(command), _) => {
                shown.push(Shown { command: command.to_owned(), output: Vec::new() });
            }
            (None, Some(last)) => last.output.push(line.clone()),
            (None, None) => panic!("{}: output before the first command", block.place),
        }
    }
    shown
}

/// A folder like a fresh clone, with programs to run; its examples are like no others', so that
/// the daemon does not know their steps.
struct Clone {
    dir: tempfile::TempDir,
}

impl Clone {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(&root().join("examples"), &dir.path().join("clone/examples"));
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).unwrap();
        fs::create_dir(dir.path().join("home")).unwrap();
        let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, bin.join(name)).unwrap();
        link(&binary(), "peelbox");
        link(Path::new(&daemon::variable("PEELBOX_TEST_BUILDCTL")), "buildctl");
        link(Path::new(&daemon::variable("PEELBOX_TEST_DOCKER_CLI")), "docker");
        let clone = Self { dir };
        let id = clone.dir.path().file_name().unwrap().to_str().unwrap().to_owned();
        for example in fs::read_dir(clone.at("examples")).unwrap() {
            let spec = example.unwrap().path().join("universalbuild.json");
            if spec.is_file() {
                edit(&spec, |spec| spec["build"]["env"]["DOCS_TEST"] = id.clone().into());
            }
        }
        edit(&clone.at("examples/node-express/package.json"), |package| {
            package["description"] = id.clone().into();
        });
        // Builds of other tests run beside these, and a page may say `--no-cache`: no step may be shared with them.
        for file in ["node-express/server.js", "go-http/go.mod", "go-http/main.go"] {
            let path = clone.at("examples").join(file);
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, format!("{text}// {id}\n")).unwrap();
        }
        clone
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join("clone").join(path)
    }

    /// Runs the commands in one shell; gives the output and exit code of each.
    fn run(&self, page: &Path, commands: &[Shown]) -> Vec<(String, i32)> {
        let mut script = "exec 2>&1\n(exit 0)\n".to_owned();
        for shown in commands {
            // `(exit …)`: the next command sees what `$?` was.
            write!(
                script,
                "{}\ndocs_code=$?; printf '\\n{MARK} %s\\n' $docs_code; (exit $docs_code)\n",
                shown.command
            )
            .unwrap();
        }
        // A build that never ends is a fault too.
        // The first page is for who has Docker and nothing else.
        let buildkit = if page.ends_with("README.md") { String::new() } else { daemon::newest() };
        let output = Command::new("/usr/bin/timeout")
            .args([COMMANDS_MAX_S, "/bin/sh", "-c", &script])
            .current_dir(self.at(""))
            .env_clear()
            .env("HOME", self.dir.path().join("home"))
            .env("PATH", format!("{}/bin:/usr/sbin:/usr/bin:/sbin:/bin", self.dir.path().display()))
            .env("BUILDKIT_HOST", buildkit)
            .env("DOCKER_HOST", daemon::variable("PEELBOX_TEST_DOCKER"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut results = Vec::new();
        let mut current = String::new();
        for line in text.lines() {
            match line.strip_prefix(MARK) {
                Some(code) => {
                    let code = code.trim().parse().unwrap();
                    results.push((std::mem::take(&mut current), code));
                }
                None => {
                    current += line;
                    current.push('\n');
                }
            }
        }
        results
    }
}

/// How long one block may take, in seconds.
const COMMANDS_MAX_S: &str = "600";

const MARK: &str = "@docs-test-mark@";

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if ["node_modules", ".venv", "__pycache__"].iter().any(|n| name == *n) {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

fn edit(path: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let mut value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, serde_json::to_vec_pretty(&value).unwrap()).unwrap();
}

/// Makes two runs of one command alike: times, sizes, digests and addresses become one word, and
/// the number in front of a line of progress becomes the name of its step.
struct Normal {
    rules: Vec<(Regex, &'static str)>,
    numbered: Regex,
}

impl Normal {
    fn new() -> Self {
        let rules = [
            (r"sha256:[0-9a-f]{8,}", "sha256:…"),
            (r"BuildKit \S+ at \S+", "BuildKit VERSION at ADDRESS"),
            (r"\(Docker Engine \S+ at \S+\)", "(ENGINE)"),
            (r"Docker Engine \S+ at [^ ,]+", "ENGINE"),
            (r"BuildKit v\S+", "BuildKit VERSION"),
            (r"\b[0-9.]+ ?[kMG]?B\b", "SIZE"),
            (r"\b[0-9]+(\.[0-9]+)? ?s\b", "TIME"),
            // The daemon also names steps of earlier builds that it found to be the same.
            (r"\b[0-9]+ steps(, [0-9]+ cached)? ", "STEPS "),
            (r"\s+", " "),
        ];
        let rules = rules.map(|(pattern, to)| (regex(pattern), to)).into();
        Self { rules, numbered: regex(r"^#([0-9]+) ([0-9]+\.[0-9]+ )?(.*)$") }
    }

    fn lines<'a>(&self, lines: impl Iterator<Item = &'a str>) -> Vec<String> {
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        let mut normal = Vec::new();
        for line in lines {
            let mut line = line.trim().to_owned();
            if let Some(parts) = self.numbered.captures(&line) {
                let (number, rest) = (parts[1].to_owned(), parts[3].to_owned());
                line = match names.get(&number) {
                    Some(name) if *name != rest => format!("<{name}> {rest}"),
                    _ => {
                        names.insert(number, rest.clone());
                        format!("<{rest}>")
                    }
                };
            }
            for (pattern, to) in &self.rules {
                line = pattern.replace_all(&line, *to).into_owned();
            }
            if !line.is_empty() {
                normal.push(line);
            }
        }
        normal
    }
}

/// What is wrong with an output; the lines of progress may come in another order.
fn compare(normal: &Normal, shown: &[String], output: &str) -> Vec<String> {
    let got = normal.lines(output.lines());
    let expected = normal.lines(shown.iter().map(String::as_str));
    let is_whole = !expected.iter().any(|line| line == "…");
    let expected: Vec<&String> = expected.iter().filter(|line| *line != "…").collect();
    let mut faults = Vec::new();
    if expected.is_empty() {
        return faults;
    }
    if is_whole && expected.len() != got.len() {
        faults.push(format!("{} lines shown, {} written", expected.len(), got.len()));
    }
    let mut from = 0;
    for line in expected {
        let pieces: Vec<String> = line.split('…').map(regex_lite::escape).collect();
        let mut pattern = pieces.join(".*");
        // A daemon that was used before may find by its content what a new one makes.
        if is_progress(line) {
            pattern = pattern.replace("> DONE TIME", "> (DONE TIME|CACHED)");
        }
        let pattern = regex(&format!("^{pattern}$"));
        let start = if is_progress(line) { 0 } else { from };
        match got.iter().skip(start).position(|line| pattern.is_match(line)) {
            Some(at) if !is_progress(line) => from = start + at + 1,
            Some(_) => {}
            None => faults.push(format!("not written: {line}")),
        }
    }
    faults
}

fn is_progress(line: &str) -> bool {
    line.starts_with('<')
}

/// Runs a page's blocks, one after the other in one folder.
fn run_page(page: &Path) -> Vec<String> {
    let blocks: Vec<Block> =
        blocks(page).into_iter().filter(|block| block.info == "console run").collect();
    let mut faults = Vec::new();
    if blocks.is_empty() {
        return faults;
    }
    let (clone, normal) = (Clone::new(), Normal::new());
    for block in blocks {
        let shown = commands(&block);
        let results = clone.run(page, &shown);
        if results.len() != shown.len() {
            faults.push(format!("{}: the shell ended early", block.place));
            continue;
        }
        for (n, (shown, (output, code))) in shown.iter().zip(&results).enumerate() {
            let mut wrong = compare(&normal, &shown.output, output);
            let may_fail =
                commands(&block).get(n + 1).is_some_and(|next| next.command == "echo $?");
            if *code != 0 && !may_fail {
                wrong.push(format!("exit code {code}"));
            }
            if !wrong.is_empty() {
                faults.push(format!(
                    "{}: `{}`\n  {}\n  output:\n{output}",
                    block.place,
                    shown.command,
                    wrong.join("\n  ")
                ));
            }
        }
    }
    faults
}

#[test]
fn what_a_page_shows_is_what_its_commands_do() {
    let pages = files("md");
    let run: usize = pages
        .iter()
        .map(|page| blocks(page).iter().filter(|block| block.info == "console run").count())
        .sum();
    assert!(run >= 15, "only {run} blocks are marked `console run`");
    let faults: Vec<String> = thread::scope(|scope| {
        let started: Vec<_> =
            pages.iter().map(|page| scope.spawn(move || run_page(page))).collect();
        started.into_iter().flat_map(|page| page.join().unwrap()).collect()
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn an_output_that_differs_in_more_than_times_and_sizes_is_a_fault() {
    let check = |shown: &str, output: &str, faults: usize| {
        let lines: Vec<String> = shown.lines().map(str::to_owned).collect();
        let got = compare(&Normal::new(), &lines, output);
        assert_eq!(got.len(), faults, "{shown:?} {output:?}: {got:?}");
    };
    check("#3 [a] npm ci\n#3 DONE 1.2s\n…", "#1 [b] x\n#1 CACHED\n#7 [a] npm ci\n#7 DONE 3s\n", 0);
    check("#3 [a] npm ci\n#3 CACHED\n…", "#1 [b] x\n#1 CACHED\n#7 [a] npm ci\n#7 DONE 3s\n", 1);
    check(
        "2 steps · context 5 entries · 2 s",
        " 3 steps, 1 cached · context 5 entries · 0.4 s\n",
        0,
    );
    check("2 steps · context 5 entries · 2 s", " 2 steps · context 6 entries · 2 s\n", 1);
    check("sha256:…", "sha256:0123456789abcdef\n", 0);
    check("#1 x\n#1 DONE 1.0s", "#1 x\n#1 CACHED\n", 0);
    check("one\ntwo", "two\none\n", 1);
    check("one", "one\nmore\n", 1);
    check("one\n…", "one\nmore\n", 0);
    check("a … c", "a b c", 0);
}

#[test]
fn every_block_that_is_not_run_says_why_by_its_kind() {
    let makefile = read("Makefile");
    let mut faults = Vec::new();
    for page in files("md") {
        for block in blocks(&page) {
            let reason = match block.info.as_str() {
                "console run" | "json" | "text" | "text spec" | "toml" | "yaml" => true,
                // A unit test compares them with the code that is compiled: `nim_tests.rs`.
                "rust" => block.place.starts_with("CONTRIBUTING.md"),
                // Needs a `buildkitd` on PATH and minutes.
                "console" => block.lines.iter().all(|line| line.starts_with("$ peelbox build ")),
                "sh" => block.lines.iter().all(|line| is_for_developers(line, &makefile)),
                _ => false,
            };
            if !reason {
                faults.push(format!("{}: ```{}", block.place, block.info));
            }
        }
    }
    assert!(faults.is_empty(), "mark them `console run`: {faults:#?}");
}

/// Targets of the Makefile, cargo, the testbed; what is run by other means than this test.
fn is_for_developers(line: &str, makefile: &str) -> bool {
    if let Some(target) = line.strip_prefix("make ") {
        return makefile.contains(&format!("\n{target}: "));
    }
    let line = line.strip_prefix("env=$(").unwrap_or(line);
    if line.starts_with("tests/testbed/") {
        let path = line.split([' ', ')']).next().unwrap();
        return root().join(path).is_file();
    }
    ["cargo ", "UPDATE_", "git diff ", ". \"$env\"", "docker run "]
        .iter()
        .any(|start| line.starts_with(start))
}

// Options.

#[derive(Debug, PartialEq, Eq)]
struct Flag {
    short: String,
    /// As it is written: `FILE`, or `auto|plain`.
    value: String,
    default: String,
}

fn help(words: &[&str]) -> String {
    let output = Command::new(binary()).args(words).arg("--help").output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn flags_of_help(command: &str) -> BTreeMap<String, Flag> {
    let text = help(&[command]);
    let line = regex(r"^ +(?:(-[a-z]), )?(--[a-z-]+)(?:(?: \[?<|\[=<)([^>]+)>\]?)?$");
    let choice = regex(r"^ +- ([a-z]+): ");
    let default = regex(r"\[default: (.+)\]");
    let mut flags = BTreeMap::new();
    let mut last = String::new();
    // `-h, --help` has its text on the same line.
    for text in text.lines().map(|line| line.split("  Print help").next().unwrap().trim_end()) {
        if let Some(parts) = line.captures(text) {
            let part = |n| parts.get(n).map_or(String::new(), |m| m.as_str().to_owned());
            last = part(2);
            let flag = Flag { short: part(1), value: part(3), default: String::new() };
            flags.insert(last.clone(), flag);
        } else if let (Some(parts), Some(flag)) = (choice.captures(text), flags.get_mut(&last)) {
            let is_first = flag.value.chars().all(char::is_uppercase);
            let name = &parts[1];
            flag.value = if is_first { name.to_owned() } else { format!("{}|{name}", flag.value) };
        } else if let (Some(parts), Some(flag)) = (default.captures(text), flags.get_mut(&last)) {
            flag.default = parts[1].to_owned();
        }
    }
    assert!(flags.contains_key("--help"), "{text}");
    flags
}

fn flags_of_page(command: &str) -> BTreeMap<String, Flag> {
    let cell = regex(r"^(?:`(-[a-z])`, )?`(--[a-z-]+)(?: ([^`]+))?`$");
    let mut flags = BTreeMap::new();
    for row in rows(&read(&format!("docs/reference/{command}.md"))) {
        if let Some(parts) = cell.captures(&row[0]) {
            let part = |n| parts.get(n).map_or(String::new(), |m| m.as_str().to_owned());
            let flag = Flag { short: part(1), value: part(3), default: row[1].clone() };
            assert!(flags.insert(part(2), flag).is_none(), "{command}: {} twice", part(2));
        }
    }
    flags
}

#[test]
fn each_option_is_in_the_help_and_on_its_page_alike() {
    for command in ["build", "detect", "plan", "inspect", "sbom", "doctor", "schema"] {
        let (help, page) = (flags_of_help(command), flags_of_page(command));
        let names = |flags: &BTreeMap<String, Flag>| flags.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&help), names(&page), "{command}");
        for (name, flag) in &help {
            let shown = &page[name];
            assert_eq!(
                (&flag.short, &flag.value),
                (&shown.short, &shown.value),
                "{command} {name}"
            );
            assert!(shown.default.contains(&flag.default), "{command} {name}: {}", shown.default);
        }
    }
}

#[test]
fn each_command_has_a_page() {
    let text = help(&[]);
    let list = text.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let commands: Vec<&str> = list.lines().filter_map(|l| l.split_whitespace().next()).collect();
    assert!(commands.contains(&"build"), "{text}");
    for command in commands.into_iter().filter(|command| *command != "help") {
        let page = read(&format!("docs/reference/{command}.md"));
        assert!(page.starts_with(&format!("# `peelbox {command}`\n")), "{command}");
    }
}

#[test]
fn command_lines_anywhere_use_options_that_exist() {
    let known: BTreeMap<&str, BTreeSet<String>> =
        ["build", "detect", "plan", "inspect", "sbom", "doctor", "schema"]
            .map(|command| (command, flags_of_help(command).into_keys().collect()))
            .into();
    let call = regex(r"peelbox (build|detect|plan|inspect|sbom|doctor|schema)([^|<>`]*)");
    let flag = regex(r"(^|[ (])(--[a-z][a-z-]*)");
    let mut seen = 0;
    for page in files("md") {
        // Lines that a paragraph breaks are one.
        let text = fs::read_to_string(root().join(&page)).unwrap().replace("\n   ", " ");
        for parts in text.lines().flat_map(|line| call.captures_iter(line)) {
            for found in flag.captures_iter(&parts[2]) {
                seen += 1;
                assert!(known[&parts[1]].contains(&found[2]), "{}: {}", page.display(), &parts[0]);
            }
        }
    }
    assert!(seen > 50, "{seen}");
}

// Tables.

#[test]
fn each_exit_code_of_the_code_is_in_the_documents_and_no_other() {
    let source = read("src/error.rs");
    let body = source.split("fn exit_code").nth(1).unwrap().split("\n    }\n").next().unwrap();
    let mut expected: Vec<u32> =
        regex(r"=> ([0-9]+),").captures_iter(body).map(|c| c[1].parse().unwrap()).collect();
    expected.push(0);
    expected.sort_unstable();
    assert!(expected.len() > 5, "{expected:?}");
    for page in ["README.md", "docs/reference/exit-codes.md"] {
        let codes: Vec<u32> = rows(&read(page)).iter().filter_map(|r| r[0].parse().ok()).collect();
        assert_eq!(codes, expected, "{page}");
    }
    // Those that the page of `build` names exist.
    for row in rows(section(&read("docs/reference/build.md"), "\n## Errors\n")) {
        let Ok(code) = row[1].parse::<u32>() else { continue };
        assert!(expected.contains(&code), "{row:?}");
    }
}

#[test]
fn each_variable_that_is_read_is_explained_and_no_other() {
    let source = read("src/cli/env.rs");
    let mut expected: BTreeSet<String> =
        regex("\"([A-Z_]{2,})\"").captures_iter(&source).map(|c| c[1].to_owned()).collect();
    // `env::temp_dir` reads it.
    assert!(source.contains("env::temp_dir"));
    expected.insert("TMPDIR".to_owned());
    let page = read("docs/reference/environment.md");
    let shown: BTreeSet<String> = rows(&page)
        .iter()
        .filter_map(|row| row[0].strip_prefix('`')?.strip_suffix('`').map(str::to_owned))
        .collect();
    assert_eq!(shown, expected);
}

/// The code spans of a text: as many backticks close one as have opened it.
fn spans(text: &str) -> Vec<&str> {
    let mut spans = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('`') {
        let after = rest[start..].trim_start_matches('`');
        let fence = &rest[start..rest.len() - after.len()];
        let Some(end) = after.find(fence) else { break };
        spans.push(after[..end].trim());
        rest = &after[end + fence.len()..];
    }
    spans
}

#[test]
fn messages_in_tables_of_errors_are_messages_of_the_code() {
    let sources = files("rs").into_iter().filter(|path| path.starts_with("src"));
    let code: String = sources.map(|path| read(path.to_str().unwrap())).collect();
    // What a backslash at the end of a line joins.
    let code = regex(r"\\\n\s*").replace_all(&code, "").into_owned();
    // What is filled in when the message is written.
    let gap = regex(r"…|\bN\b|v0\.11\.0");
    let mut seen = 0;
    for page in files("md").iter().filter(|page| page.starts_with("docs/reference")) {
        let text = fs::read_to_string(root().join(page)).unwrap();
        let Some((_, errors)) = text.split_once("\n## Errors\n") else { continue };
        for row in rows(errors) {
            for message in spans(&row[0]).into_iter().filter(|m| *m != "FILE:LINE:COLUMN:") {
                let longest = gap.split(message).max_by_key(|piece| piece.len()).unwrap();
                let longest = longest.trim_matches(['`', ' ', ':']);
                assert!(code.contains(longest), "{}: no `{longest}`", page.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn the_architecture_names_files_layers_and_threads_that_exist() {
    let text = read("ARCHITECTURE.md");
    assert!(text.lines().count() < 300, "it is to be read in one go");

    let span = regex("`([^`]+)`");
    let map = rows(section(&text, "\n## Code map\n"));
    let on_map: Vec<String> = map
        .iter()
        .flat_map(|row| spans(&row[0]).into_iter().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    for file in files("rs").iter().filter_map(|path| path.strip_prefix("src").ok()) {
        let file = file.to_str().unwrap();
        let is_there = on_map.iter().any(|p| file == p || p.ends_with('/') && file.starts_with(p));
        assert!(is_there || file.ends_with("tests.rs"), "{file} is not on the map");
    }
    for row in map.iter().skip(1) {
        for path in span.captures_iter(&row[0]).map(|c| c[1].to_owned()) {
            let places = [format!("src/{path}"), path.clone(), format!("src/{path}.rs")];
            assert!(places.iter().any(|p| root().join(p).exists()), "there is no {path}");
        }
    }

    let tidy = read("tests/it/tidy.rs");
    let entry = regex(r#"(?s)\(\s*"(\w+)",\s*&\[([^\]]*)\],?\s*\)"#);
    let word = regex(r"\w+");
    let words = |text: &str| word.find_iter(text).map(|m| m.as_str().to_owned()).collect();
    let layers: BTreeMap<String, BTreeSet<String>> =
        entry.captures_iter(&tidy).map(|c| (c[1].to_owned(), words(&c[2]))).collect();
    let mut drawn: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in rows(section(&text, "\n## Who may use whom\n")).iter().skip(1) {
        let uses: BTreeSet<String> = span.captures_iter(&row[1]).map(|c| c[1].to_owned()).collect();
        for module in span.captures_iter(&row[0]) {
            drawn.insert(module[1].to_owned(), uses.clone());
        }
    }
    assert_eq!(drawn.remove("cli"), Some(BTreeSet::new()), "everything");
    assert_eq!(drawn, layers);

    let sources = files("rs");
    let thread = regex("\"(pbx-[a-z-]+)");
    let threads: BTreeSet<String> = sources
        .iter()
        .filter(|path| path.starts_with("src"))
        .flat_map(|path| {
            let text = read(path.to_str().unwrap());
            let found = thread.captures_iter(&text).map(|c| c[1].to_owned());
            found.collect::<Vec<_>>()
        })
        .collect();
    let shown: BTreeSet<String> = rows(section(&text, "\n## Threads\n"))
        .iter()
        .filter_map(|row| row[0].strip_prefix('`')?.strip_suffix('`').map(str::to_owned))
        .map(|name| name.trim_end_matches('N').to_owned())
        .collect();
    assert_eq!(shown, threads);
}

#[test]
fn the_newest_version_of_the_changelog_is_that_of_the_crate() {
    let text = read("CHANGELOG.md");
    let heading = regex(r"(?m)^## \[([0-9.]+)\] - (Unreleased|[0-9]{4}-[0-9]{2}-[0-9]{2})$");
    let versions: Vec<String> = heading.captures_iter(&text).map(|c| c[1].to_owned()).collect();
    assert_eq!(versions.len(), text.matches("\n## ").count(), "every section has this form");
    assert_eq!(versions[0], env!("CARGO_PKG_VERSION"));
    let released = heading.captures_iter(&text).skip(1).all(|c| &c[2] != "Unreleased");
    assert!(released, "only the newest is not released");
}

// Links and examples.

/// What GitHub makes of a heading: lower case, letters, digits and hyphens.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().trim().to_lowercase().replace(' ', "-")
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_exist() {
    let link = regex(r"\]\(([^)\s]+)\)");
    let mut seen = 0;
    for page in files("md") {
        let text = prose(&page);
        for target in link.captures_iter(&text).map(|c| c[1].to_owned()) {
            assert!(!target.contains("://"), "{}: {target}: no link leads outside", page.display());
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let folder = root().join(&page).parent().unwrap().to_owned();
            let file = if path.is_empty() { root().join(&page) } else { folder.join(path) };
            assert!(file.exists(), "{}: {target}", page.display());
            if !anchor.is_empty() {
                let text = fs::read_to_string(&file).unwrap();
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                let found = headings.any(|line| slug(line.trim_start_matches('#')) == anchor);
                assert!(found, "{}: {target}: no such heading", page.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen}");
}

#[test]
fn every_page_of_the_reference_can_be_reached_from_the_readme() {
    let readme = read("README.md");
    for page in files("md").iter().filter(|page| page.starts_with("docs")) {
        let link = format!("({}", page.display());
        assert!(readme.contains(&link), "README.md has no link to {}", page.display());
    }
}

#[test]
fn every_spec_shown_is_a_spec() {
    let mut specs = 0;
    for page in files("md") {
        for block in blocks(&page).iter().filter(|block| block.info == "json") {
            let text = block.lines.join("\n");
            let value: serde_json::Value =
                serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", block.place));
            if value.get("version").is_none() && !value.is_array() {
                continue;
            }
            if let Err(error) = peelbox::spec::parse(text.as_bytes(), &block.place) {
                panic!("{error}");
            }
            specs += 1;
        }
    }
    assert!(specs >= 5, "{specs}");
}

#[test]
fn the_documents_speak_of_no_machine() {
    let machine = regex(r"/root/|/work/|/home/[a-z]|/var/tmp/|127\.0\.0\.1:[0-9]{5}");
    for page in files("md") {
        let text = fs::read_to_string(root().join(&page)).unwrap();
        // Where tools of the bases keep their caches is no path of this machine.
        let text = text.replace("/root/.", "~/.");
        let found: Vec<&str> = machine.find_iter(&text).map(|m| m.as_str()).collect();
        assert!(found.is_empty(), "{}: {found:?}", page.display());
    }
}
