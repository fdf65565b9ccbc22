//! `peelbox detect`: every project of `tests/examples` with the spec it must get, and what may not matter.

use std::{
    fs::{self, File, Permissions},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, symlink},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Output},
};

use peelbox::{
    detect::{self, Detected, Family, emit},
    spec,
};
use rustix::process::geteuid;
use serde_json::Value;

use crate::support::daemon::binary;

fn examples() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples");
    let mut all: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    all
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples").join(name)
}

fn found(dir: &Path) -> Detected {
    detect::detect(dir, Family::Official).unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
}

fn text(detected: &Detected) -> String {
    let specs: Vec<_> = detected.services.iter().map(|service| service.spec.clone()).collect();
    emit::emit(&specs)
}

/// Lines that differ, as `-` expected and `+` got.
fn difference(expected: &str, got: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), got.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let tail = tail.min(old.len() - same).min(new.len() - same);
    let lines = |lines: &[&str], sign: &str| {
        let changed = &lines[same..lines.len() - tail];
        changed.iter().map(|line| format!("{sign} {line}\n")).collect::<String>()
    };
    format!("line {}:\n{}{}", same + 1, lines(&old, "-"), lines(&new, "+"))
}

#[test]
fn every_example_gets_its_spec() {
    let mut faults = String::new();
    let all = examples();
    assert!(all.len() >= 25, "{} examples", all.len());
    for dir in all {
        let got = text(&found(&dir));
        spec::parse(got.as_bytes(), "expected.json")
            .unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        let path = dir.join("expected.json");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &got).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if expected != got {
            faults += &format!("{}: {}\n", dir.display(), difference(&expected, &got));
        }
    }
    assert!(faults.is_empty(), "UPDATE_GOLDEN=1 writes them anew\n{faults}");
}

#[test]
fn every_family_of_bases_gives_a_spec_that_can_be_read() {
    for dir in examples() {
        for family in [Family::Wolfi, Family::Debian] {
            let detected = detect::detect(&dir, family).unwrap();
            assert!(!detected.services.is_empty(), "{}", dir.display());
            spec::parse(text(&detected).as_bytes(), "spec").unwrap();
        }
    }
}

/// All files below a folder, relative to it.
fn files(dir: &Path, below: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = below.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => files(dir, &path, all),
            false => all.push(path),
        }
    }
}

/// A copy of an example whose entries were made in another order.
fn shuffled(dir: &Path, turn: usize) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let to = copy.path().join(dir.file_name().unwrap());
    let mut all = Vec::new();
    files(dir, Path::new(""), &mut all);
    all.sort();
    let count = all.len();
    all.rotate_left(turn % count);
    if turn % 2 == 1 {
        all.reverse();
    }
    for file in all {
        fs::create_dir_all(to.join(&file).parent().unwrap()).unwrap();
        fs::copy(dir.join(&file), to.join(&file)).unwrap();
    }
    copy
}

#[test]
fn neither_the_order_of_entries_nor_what_tools_fetched_matters() {
    for dir in examples() {
        let expected = text(&found(&dir));
        assert_eq!(text(&found(&dir)), expected, "twice the same");
        for turn in 1..4 {
            let copy = shuffled(&dir, turn);
            let copied = copy.path().join(dir.file_name().unwrap());
            assert_eq!(text(&found(&copied)), expected, "{} in another order", dir.display());
            for fetched in ["node_modules/x", "vendor/y", "target/debug", ".venv/lib", ".git/x"] {
                let folder = copied.join(fetched);
                fs::create_dir_all(&folder).unwrap();
                let package = r#"{"name": "x", "scripts": {"start": "node x"}, "dependencies": {"express": "1"}}"#;
                fs::write(folder.join("package.json"), package).unwrap();
                fs::write(folder.join("index.html"), "<p>").unwrap();
            }
            assert_eq!(text(&found(&copied)), expected, "{} with fetched folders", dir.display());
        }
    }
}

#[test]
fn every_decision_about_a_place_names_one_that_is_there() {
    for dir in examples() {
        for service in found(&dir).services {
            for place in service.decisions.iter().flat_map(|decision| &decision.evidence) {
                let path = dir.join(&place.file);
                assert!(path.exists(), "{}: {place}", dir.display());
                if let Some(line) = place.line {
                    let lines = fs::read_to_string(&path).unwrap().lines().count();
                    assert!((1..=lines).contains(&line), "{}: {place}", dir.display());
                }
            }
        }
    }
}

// Hard input.

fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    dir
}

fn run(args: &[&str], dir: &Path) -> (Output, String, String) {
    let output = Command::new(binary()).arg("detect").args(args).current_dir(dir).output().unwrap();
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    (output, stdout, stderr)
}

const SERVICE: (&str, &str) = ("app/package.json", r#"{"scripts": {"start": "node a.js"}}"#);
/// What it starts.
const PROGRAM: (&str, &str) = ("app/a.js", "");

#[test]
fn a_folder_without_anything_says_what_was_looked_for() {
    for files in [&[][..], &[("notes.txt", "x"), ("a/b/c.md", "y")][..]] {
        let dir = tree(files);
        let (output, stdout, stderr) = run(&[], dir.path());
        assert_eq!((output.status.code(), stdout.as_str()), (Some(2), ""), "{stderr}");
        assert!(
            stderr.starts_with("error: no service was found in `.`\nhint: looked for "),
            "{stderr}"
        );
        assert!(stderr.contains("package.json"), "{stderr}");
    }
    let dir = tree(&[]);
    let (output, _, stderr) = run(&["none"], dir.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr.starts_with("error: `none`: cannot search the folder: No such file"),
        "{stderr}"
    );
}

#[test]
fn a_spec_that_is_not_what_is_detected_is_stale_and_one_that_is_laid_out_otherwise_is_not() {
    let dir = tree(&[SERVICE]);
    assert!(run(&["-o", "universalbuild.json"], dir.path()).0.status.success());
    let spec = dir.path().join("universalbuild.json");
    let value: Value = serde_json::from_str(&fs::read_to_string(&spec).unwrap()).unwrap();
    fs::write(&spec, value.to_string()).unwrap();
    let (output, stdout, stderr) = run(&["--check"], dir.path());
    assert_eq!((output.status.code(), stdout.as_str()), (Some(0), ""), "{stderr}");
    let settings = "[[service]]\npath = \"app\"\nlabels = {team = \"a\"}\n";
    fs::write(dir.path().join("other.toml"), settings).unwrap();
    let args = ["--config", "other.toml", "--check", "universalbuild.json"];
    let (output, stdout, stderr) = run(&args, dir.path());
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stdout.contains("\n+      \"team\": \"a\"\n"), "{stdout}");
    assert!(stderr.contains("error: `universalbuild.json` is stale"), "{stderr}");
    let (output, _, stderr) = run(&["--check", "none.json"], dir.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("error: cannot read the spec `none.json`"), "{stderr}");
}

#[test]
fn what_the_command_line_sets_is_for_one_service() {
    let other = ("web/package.json", SERVICE.1);
    let dir = tree(&[SERVICE, other]);
    let set =
        ["--start-cmd", "node b.js", "--port", "81", "--packages", "curl,jq", "--env", "A=b=c"];
    let (output, _, stderr) = run(&set, dir.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("`--service NAME` takes one of app, web"), "{stderr}");
    let (output, stdout, stderr) = run(&[&set[..], &["--service", "web"]].concat(), dir.path());
    assert!(output.status.success(), "{stderr}");
    let runtime = serde_json::from_str::<Value>(&stdout).unwrap()["runtime"].clone();
    assert_eq!(runtime["command"], serde_json::json!(["node", "b.js"]));
    assert_eq!(runtime["ports"], serde_json::json!([81]));
    assert_eq!(runtime["packages"], serde_json::json!(["curl", "jq"]));
    assert_eq!(runtime["env"]["A"], "b=c");
    let output = Command::new(binary())
        .args(["detect", "--service", "web"])
        .current_dir(dir.path())
        .envs([("PEELBOX_BUILD_CMD", "make"), ("PEELBOX_ENV", "A=1\nB=2")])
        .output()
        .unwrap();
    let spec: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(spec["build"]["commands"].as_array().unwrap().contains(&"make".into()), "{spec}");
    assert_eq!(spec["runtime"]["env"]["B"], "2");
    let (output, _, stderr) = run(&["--service", "web", "--env", "A"], dir.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.starts_with("error: `--env A`: expected `NAME=VALUE`"), "{stderr}");
}

#[test]
fn a_malformed_manifest_is_noted_with_its_line_and_counts_as_absent() {
    for (name, content, note) in [
        ("package.json", "{\n  \"name\": \n", "package.json:3: "),
        ("deno.json", "{\"tasks\": [}", "deno.json:1: "),
        ("book.toml", "[book]\ntitle = \n", "book.toml:2: "),
        ("pnpm-workspace.yaml", "packages: [\n", "pnpm-workspace.yaml:"),
    ] {
        let plain = ("package.json", r#"{"name": "x"}"#);
        let dir = match name {
            "package.json" | "deno.json" => tree(&[(name, content), SERVICE, PROGRAM]),
            _ => tree(&[(name, content), plain, SERVICE, PROGRAM]),
        };
        let (output, stdout, stderr) = run(&[], dir.path());
        assert_eq!(output.status.code(), Some(0), "{name}: {stderr}");
        assert!(stderr.starts_with(&format!("note: {note}")), "{name}: {stderr}");
        let spec: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(spec["metadata"]["path"], "app", "{name}");
    }
}

#[test]
fn links_pipes_odd_names_and_huge_files_do_no_harm() {
    let outside = tree(&[("package.json", r#"{"scripts": {"start": "node secret.js"}}"#)]);
    let dir = tree(&[SERVICE, ("big/x", ""), ("dir/package.json/x", "")]);
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("linked")).unwrap();
    symlink(outside.path().join("package.json"), at("linked/package.json")).unwrap();
    symlink(outside.path(), at("outside")).unwrap();
    symlink("..", at("app/circle")).unwrap();
    symlink("package.json", at("package.json")).unwrap();
    File::create(at("big/package.json")).unwrap().set_len(100 << 20).unwrap();
    fs::write(at("big").join(std::ffi::OsStr::from_bytes(b"\xff.json")), "{}").unwrap();
    let pipe = at("pipe");
    fs::create_dir(&pipe).unwrap();
    let made = Command::new("mkfifo").arg(pipe.join("package.json")).status().unwrap();
    assert!(made.success());
    let (output, stdout, stderr) = run(&[], dir.path());
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stdout.contains("\"path\": \"app\"") && !stdout.contains("secret"), "{stdout}");
    assert!(
        stderr.contains("note: big/package.json: not read: it is larger than 8 MiB"),
        "{stderr}"
    );
    assert!(stderr.contains("its name is not UTF-8"), "{stderr}");
}

#[test]
fn what_may_not_be_read_is_noted() {
    let dir = tree(&[SERVICE, ("closed/package.json", "{}"), ("shut/package.json", "{}")]);
    fs::set_permissions(dir.path().join("closed"), Permissions::from_mode(0o0)).unwrap();
    fs::set_permissions(dir.path().join("shut/package.json"), Permissions::from_mode(0o0)).unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let program = dir.path().join("program");
    fs::copy(binary(), &program).unwrap();
    let mut command = Command::new(&program);
    if geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let output = command.args(["detect", "."]).current_dir(dir.path()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    fs::set_permissions(dir.path().join("closed"), Permissions::from_mode(0o755)).unwrap();
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("note: closed: not searched: Permission denied"), "{stderr}");
    assert!(stderr.contains("note: shut/package.json: not read: Permission denied"), "{stderr}");
}

#[test]
fn a_tree_of_many_files_and_one_of_many_packages_are_done_soon() {
    let dir = tree(&[SERVICE]);
    for folder in 0..200 {
        let path = dir.path().join(format!("lib/p{folder}"));
        fs::create_dir_all(&path).unwrap();
        let package =
            format!(r#"{{"name": "p{folder}", "dependencies": {{"p{}": "*"}}}}"#, folder + 1);
        fs::write(path.join("package.json"), package).unwrap();
        for file in 0..100 {
            fs::write(path.join(format!("f{file}.js")), "").unwrap();
        }
    }
    fs::write(dir.path().join("package.json"), r#"{"workspaces": ["lib/*", "app"]}"#).unwrap();
    let begun = std::time::Instant::now();
    let detected = found(dir.path());
    assert_eq!(detected.services.len(), 1);
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

// The command line.

#[test]
fn a_file_appears_whole_and_is_never_lost() {
    let dir = tree(&[SERVICE, PROGRAM]);
    let file = dir.path().join("universalbuild.json");
    let (output, stdout, stderr) = run(&["-o", "universalbuild.json"], dir.path());
    assert!(output.status.success() && stderr.is_empty(), "{stderr}");
    assert!(stdout.contains("app") && stdout.contains("peelbox build"), "{stdout}");
    assert_eq!(fs::read_to_string(&file).unwrap(), run(&["app/.."], dir.path()).1);
    fs::write(&file, "mine").unwrap();
    let (output, _, stderr) = run(&["-o", "universalbuild.json"], dir.path());
    assert_eq!(output.status.code(), Some(2));
    let expected = "error: `universalbuild.json` is there already\nhint: `--force` overwrites it\n";
    assert_eq!((stderr.as_str(), fs::read_to_string(&file).unwrap().as_str()), (expected, "mine"));
    assert!(run(&["-o", "universalbuild.json", "--force"], dir.path()).0.status.success());
    assert!(fs::read_to_string(&file).unwrap().starts_with("{\n  \"version\": \"1.0\",\n"));
}

#[test]
fn one_of_several_services_can_be_chosen() {
    let dir = example("node-turbo-monorepo");
    let (_, stdout, _) = run(&["--service", "web"], &dir);
    let spec: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(spec["metadata"]["path"], "apps/web");
    let (output, _, stderr) = run(&["--service", "wep"], &dir);
    assert_eq!(output.status.code(), Some(2));
    let expected =
        "error: no service `wep` was found\nhint: did you mean `web`?\nhint: found: api, web\n";
    assert_eq!(stderr, expected);
}

#[test]
fn without_a_start_command_the_spec_says_so_and_strict_fails() {
    let dir = tree(&[("package.json", r#"{"name": "lib", "exports": "./a.js"}"#)]);
    let (output, stdout, _) = run(&[], dir.path());
    assert!(output.status.success() && stdout.contains("no start command was found: "), "{stdout}");
    let (_, _, told) = run(&[], dir.path());
    assert!(told.starts_with("warning: no start command was found for the service in `.`\nhint: "));
    let (output, stdout, stderr) = run(&["--strict"], dir.path());
    assert_eq!((output.status.code(), stdout.as_str()), (Some(2), ""));
    assert!(
        stderr.starts_with("error: no start command was found for the service in `.`"),
        "{stderr}"
    );
}

#[test]
fn the_explanation_names_rules_places_and_what_lost() {
    let dir = example("node-express-npm");
    let (_, stdout, _) = run(&["--explain"], &dir);
    assert!(stdout.starts_with("guestbook (.)\n"), "{stdout}");
    assert!(
        stdout.contains("  port             4000  (what the code listens on, src/server.js:4)\n"),
        "{stdout}"
    );
    let (_, stdout, _) = run(&["--explain", "--format", "json"], &example("settings-override"));
    let value: Value = serde_json::from_str(&stdout).unwrap();
    let decisions = value["services"][0]["decisions"].as_array().unwrap();
    let start = decisions.iter().find(|decision| decision["what"] == "start command").unwrap();
    assert_eq!(start["value"], "node cluster.js");
    assert_eq!(start["evidence"][0]["file"], "peelbox.toml");
    assert_eq!(start["rejected"][0]["value"], "node index.js");
}

#[test]
fn a_slip_in_the_settings_is_an_error_with_its_line() {
    let dir = tree(&[SERVICE, ("peelbox.toml", "[[service]]\nprot = 1\n")]);
    let (output, _, stderr) = run(&[], dir.path());
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stderr, "error: peelbox.toml:2: unknown key `prot`\nhint: did you mean `port`?\n");
}
