//! The rules of the house that a compiler does not know.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Who may use whom, as ARCHITECTURE.md draws it; `cli` may use everything.
const LAYERS: &[(&str, &[&str])] = &[
    ("digest", &[]),
    ("terminal_text", &[]),
    ("threads", &[]),
    ("spec", &[]),
    ("manifest", &[]),
    ("detect", &["manifest", "spec"]),
    ("llb", &["digest", "pb"]),
    ("os_release", &[]),
    ("sbom", &["digest", "manifest", "os_release"]),
    ("plan", &["digest", "llb", "os_release", "pb", "spec"]),
    ("pb", &[]),
    ("transport", &["threads"]),
    ("grpc", &["pb", "terminal_text", "threads", "transport"]),
    ("progress", &["terminal_text"]),
    ("output", &["terminal_text"]),
    ("endpoint", &[]),
    ("credentials", &[]),
    ("oci_layout", &["digest"]),
    ("daemonless", &["endpoint", "threads"]),
    ("docker", &["digest", "endpoint", "output", "terminal_text", "threads", "transport"]),
    ("revision", &["threads"]),
    ("attestation", &[]),
    ("image_file", &["attestation", "digest", "oci_layout", "sbom"]),
    ("error", &[]),
    (
        "session",
        &[
            "credentials", "digest", "grpc", "oci_layout", "output", "pb", "sbom", "terminal_text",
            "threads",
        ],
    ),
    ("control", &["digest", "grpc", "pb", "progress", "terminal_text"]),
    ("gateway", &["grpc", "pb"]),
    (
        "solve",
        &[
            "control", "daemon_words", "digest", "gateway", "grpc", "pb", "progress", "session",
            "terminal_text", "threads", "transport",
        ],
    ),
    ("daemon_words", &[]),
    (
        "connect",
        &["control", "daemonless", "docker", "endpoint", "grpc", "solve", "threads", "transport"],
    ),
    (
        "build",
        &[
            "attestation", "connect", "control", "daemon_words", "digest", "docker", "frontend",
            "gateway", "grpc", "image_file", "llb", "oci_layout", "output", "pb", "plan",
            "progress", "revision", "sbom", "session", "solve", "spec", "threads",
        ],
    ),
    (
        "frontend",
        &["daemon_words", "digest", "gateway", "grpc", "pb", "plan", "spec", "terminal_text"],
    ),
];

/// Source files of the program, without those that only its unit tests have.
pub(crate) fn program() -> Vec<PathBuf> {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let mut for_tests = BTreeSet::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        let dir = match file.file_name().unwrap().to_str().unwrap() {
            "mod.rs" | "lib.rs" => file.parent().unwrap().to_owned(),
            _ => file.with_extension(""),
        };
        for (at, marker) in text.match_indices("#[cfg(test)]\nmod ") {
            let name: String = text[at + marker.len()..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            for_tests.insert(dir.join(format!("{name}.rs")));
        }
    }
    files.retain(|file| !for_tests.contains(file));
    files
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Text of the code without its unit tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned()
}

/// Names after `crate::`, those inside one `use crate::{…}` included.
fn used_modules(text: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 1;
            let mut word = String::new();
            let mut is_first = true;
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 1 => is_first = true,
                    c if depth == 1 && is_first && (c.is_alphanumeric() || c == '_') => {
                        word.push(c)
                    }
                    _ => {
                        is_first = is_first && c.is_whitespace();
                        if !word.is_empty() {
                            used.insert(std::mem::take(&mut word));
                        }
                    }
                }
                if depth == 0 {
                    break;
                }
            }
            used.extend((!word.is_empty()).then_some(word));
        } else {
            used.insert(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    used
}

#[test]
fn modules_use_only_what_lies_below_them() {
    let layers: BTreeMap<_, _> = LAYERS.iter().copied().collect();
    let mut faults = Vec::new();
    for file in &program() {
        let relative = file.strip_prefix(root().join("src")).unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = first.trim_end_matches(".rs");
        if ["cli", "main", "lib"].contains(&module) || relative.starts_with("pb/generated") {
            continue;
        }
        let Some(allowed) = layers.get(module) else {
            faults.push(format!("{module} has no place in the table"));
            continue;
        };
        for used in used_modules(&code(file)) {
            let is_module = layers.contains_key(used.as_str()) || used == "cli";
            if is_module && used != module && !allowed.contains(&used.as_str()) {
                faults.push(format!("{} uses {used}", relative.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn used_modules_are_found_in_every_form_of_use() {
    let text = "use crate::spec::X; use crate::{\n    pb::{llb, fsutil::Stat},\n    grpc,\n    error::Error,\n}; crate::cli::main()";
    let expected = ["cli", "error", "grpc", "pb", "spec"].map(str::to_owned);
    assert_eq!(used_modules(text), BTreeSet::from(expected));
}

#[test]
fn no_async_runtime_and_no_heavy_client_is_in_the_tree() {
    let cargo = env!("CARGO");
    let output = Command::new(cargo)
        .args([
            "tree", "--locked", "--edges", "normal,build", "--prefix", "none", "--format",
            "{p}|{f}",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let banned = [
        "tonic", "hyper", "reqwest", "openssl-sys", "native-tls", "mio", "async-std", "smol",
        "axum",
    ];
    let tokio_may = ["", "default", "io-util", "bytes", "sync"];
    let mut saw_tokio = false;
    for line in text.lines() {
        let (package, features) = line.split_once('|').unwrap();
        let name = package.split(' ').next().unwrap();
        assert!(!banned.contains(&name), "{line}");
        if name == "tokio" {
            saw_tokio = true;
            for feature in features.trim_end_matches(" (*)").split(',') {
                assert!(tokio_may.contains(&feature), "tokio feature `{feature}`");
            }
        }
    }
    assert!(saw_tokio, "h2 takes its I/O traits from tokio; has the tree changed?");
}

#[test]
fn nothing_below_the_command_line_prints_or_reads_the_environment() {
    let words = [
        "println!", "eprintln!", "print!(", "env::var", "env::args", "process::exit",
        "current_dir()",
    ];
    for file in program() {
        if file.starts_with(root().join("src/cli")) {
            continue;
        }
        let text = code(&file);
        for word in words {
            assert!(!text.contains(word), "{} has `{word}`", file.display());
        }
    }
}

#[test]
fn threads_are_started_in_one_place() {
    for file in program() {
        if !file.ends_with("src/threads.rs") {
            let text = code(&file);
            assert!(!text.contains("thread::Builder"), "{}", file.display());
        }
    }
}
