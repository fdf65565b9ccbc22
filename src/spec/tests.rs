//! The format as a whole: files that are read, files that are refused, and the words for it.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{fields::SHAPES, *};
use crate::mutation::Random;

fn corpus(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/spec").join(folder)
}

/// Every file of a folder of the corpus, by name.
fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(corpus(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} has files");
    files
}

#[track_caller]
fn accepted(name: &str) -> SpecFile {
    let text = fs::read(corpus("accepted").join(name)).unwrap();
    parse(&text, name).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn read(text: &str) -> UniversalBuild {
    let mut file = parse(text.as_bytes(), "spec.json").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(file.services.len(), 1);
    file.services.remove(0).spec
}

#[track_caller]
fn refused(text: &[u8]) -> String {
    match parse(text, "spec.json") {
        Ok(file) => panic!("{file:?} was read from {:?}", String::from_utf8_lossy(text)),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_file_of_the_accepted_corpus_is_read() {
    for (name, text) in files("accepted") {
        if let Err(error) = parse(&text, &name) {
            panic!("{error}");
        }
    }
}

#[test]
fn every_file_of_the_hostile_corpus_is_refused_with_a_place() {
    for (name, text) in files("hostile") {
        let error = parse(&text, &name).map(|_| ()).unwrap_err();
        assert!(error.to_string().starts_with(&format!("{name}:")), "{error}");
        assert!(error.to_string().len() < 20_000, "{name}: {}", error.to_string().len());
    }
}

/// `tests/corpus/spec/messages.txt` holds inputs and what is said of them; `UPDATE_GOLDEN=1`
/// writes it anew.
#[test]
fn messages_are_what_the_golden_file_says() {
    let path = corpus("messages.txt");
    let golden = fs::read_to_string(&path).unwrap();
    let mut written = String::new();
    for case in golden.split("=== ").skip(1) {
        let (title, rest) = case.split_once('\n').unwrap();
        let input = rest.split("\n---\n").next().unwrap().trim_end();
        let message = refused(input.as_bytes());
        written.push_str(&format!("=== {title}\n{input}\n---\n{message}\n"));
    }
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, written).unwrap();
        return;
    }
    for (ours, theirs) in written.split("=== ").zip(golden.split("=== ")) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(written.len(), golden.len());
}

#[test]
fn v1_files_in_the_wild_get_the_default_base_and_clean_paths() {
    let file = accepted("v1-node.json");
    let UniversalBuild { metadata, build, runtime } = &file.select(None).unwrap().spec;
    assert_eq!(file.services[0].path, "");
    assert_eq!(metadata.project_name.as_deref(), Some("storefront"));
    assert_eq!(metadata.framework.as_deref(), Some("Express"));
    assert_eq!(build.base, Base::Image(DEFAULT_BASE.to_owned()));
    assert_eq!(runtime.base, build.base);
    assert_eq!(reference::normalize(DEFAULT_BASE).as_deref(), Ok(DEFAULT_BASE));
    assert_eq!(build.packages, ["build-base", "nodejs-22", "npm", "python-3.13"]);
    assert_eq!(build.commands, ["npm ci", "npm run build"]);
    assert_eq!(build.cache, ["/build/.npm", "/build/node_modules", "/root/.npm"]);
    let copies: Vec<_> = runtime.copy.iter().map(|a| (a.from.as_str(), a.to.as_str())).collect();
    assert_eq!(
        copies,
        [
            ("/build/dist", "/app/dist"),
            ("/build/node_modules", "/app/node_modules"),
            ("/build/package.json", "/app/"),
        ]
    );
    assert_eq!(runtime.command, ["node", "/app/dist/index.js"]);
    assert_eq!(runtime.ports, [3000]);
    assert_eq!(runtime.health.as_deref(), Some("/health"));

    let python = &accepted("v1-python.json").services[0].spec;
    assert_eq!(python.metadata.framework, None);
    assert_eq!(python.runtime.health, None);
    assert_eq!(python.runtime.copy[1].from, "/build");
}

#[test]
fn every_field_arrives_where_it_belongs() {
    let spec = &accepted("every-field.json").services[0].spec;
    let text = |text: &str| Some(text.to_owned());
    let metadata = Metadata {
        project_name: text("api"),
        language: text("go"),
        build_system: text("go"),
        framework: text("gin"),
        reasoning: text("go.mod:1"),
        path: text("services/api"),
    };
    assert_eq!(spec.metadata, metadata);
    let Build { base, packages, env, dependencies, commands, cache, exclude, files, secrets } =
        &spec.build;
    assert_eq!(*base, Base::Image("docker.io/library/golang:1.24-alpine".to_owned()));
    assert_eq!(packages.len(), 7);
    assert!(packages.is_sorted());
    let variables: Vec<_> = env.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(variables, ["CGO_ENABLED=0", "EMPTY=", "x-note=a variable like others"]);
    assert_eq!(dependencies.len(), 1);
    assert_eq!(dependencies[0].files, ["go.mod", "go.sum", "libs/**/go.mod", "[a-z]*.work"]);
    assert_eq!(dependencies[0].commands, ["go mod download"]);
    assert_eq!(*commands, ["go build -o out/api ./cmd/api"]);
    assert_eq!(*cache, ["/build/.gocache", "/go/pkg/mod", "/root/.cache/go-build"]);
    assert_eq!(*exclude, ["docs", "**/*_test.go", "!docs/keep.md", "*.log"]);
    let file = |path: &str, content: &[u8], mode| File {
        path: path.to_owned(),
        content: content.to_owned(),
        mode,
    };
    let expected = [
        file("/build/web/.npmrc", b"registry=https://npm.example.com/\n", 0o644),
        file("/etc/pip.conf", b"", 0o600),
    ];
    assert_eq!(*files, expected);
    let in_image = [
        file("/etc/api/key.bin", &[0, 255, 16], 0o440),
        file("/srv/app/.keep", b"", 0o644),
        file("/usr/local/bin/start", "#!/bin/sh\nexec \"$@\" # é\n".as_bytes(), 0o755),
    ];
    assert_eq!(spec.runtime.files, in_image);
    let secret = |id: &str, target, required| Secret { id: id.to_owned(), target, required };
    let file = |path: &str| SecretTarget::File(path.to_owned());
    let expected = [
        secret("netrc", file("/root/.netrc"), false),
        secret("token", SecretTarget::Env("GITHUB_TOKEN".to_owned()), true),
        secret("plain", file("/run/secrets/plain"), true),
        secret("npmrc", file("/build/.npmrc"), true),
    ];
    assert_eq!(*secrets, expected);

    let runtime = &spec.runtime;
    assert_eq!(runtime.base, Base::Scratch);
    let copies: Vec<_> = runtime.copy.iter().map(|a| (a.from.as_str(), a.to.as_str())).collect();
    assert_eq!(
        copies,
        [
            ("/build/out/api", "/usr/local/bin/"),
            ("/etc/ssl/certs/*.crt", "/srv/app/certs"),
            ("/build/assets", "/srv/app/"),
        ]
    );
    assert_eq!(runtime.command, ["/usr/local/bin/api", ""]);
    assert_eq!(runtime.ports, [8080, 9090]);
    assert_eq!(runtime.health.as_deref(), Some("/healthz?deep=1"));
    assert_eq!(runtime.user.as_deref(), Some("65532:65532"));
    assert_eq!(runtime.workdir.as_deref(), Some("/srv/app"));
    assert_eq!(runtime.labels.len(), 2);
    assert_eq!(runtime.stop_signal.as_deref(), Some("SIGQUIT"));
}

#[test]
fn layouts_split_into_folder_tag_and_digest() {
    let spec = &accepted("oci-layout.json").services[0].spec;
    let digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let layout = |dir: &str, tag: Option<&str>, digest: Option<&str>| Base::OciLayout {
        dir: dir.to_owned(),
        tag: tag.map(str::to_owned),
        digest: digest.map(str::to_owned),
    };
    assert_eq!(spec.build.base, layout("../bases/node", Some("22"), Some(digest)));
    assert_eq!(spec.runtime.base, layout("/var/lib/bases/a:b@c/runtime", None, None));
    let spec = read(r#"{"version": "1.0", "runtime": {"base": "oci-layout://.:a_b"}}"#);
    assert_eq!(spec.runtime.base, layout(".", Some("a_b"), None));
}

#[test]
fn null_is_the_same_as_absent_for_every_field() {
    let bare = read(r#"{"version": "1.0"}"#);
    for shape in SHAPES {
        for field in shape.fields {
            let is_required = matches!(
                (shape.place, *field),
                ("", "version")
                    | ("build.dependencies[]", _)
                    | ("build.files[]" | "runtime.files[]", "path")
                    | ("build.secrets[]", "id")
                    | ("runtime.copy[]", _)
            );
            let text = place(shape.place, field, "null");
            let parsed = parse(text.as_bytes(), "spec.json");
            assert_eq!(parsed.is_err(), is_required, "{text}");
            let Ok(mut file) = parsed else { continue };
            let mut spec = file.services.remove(0).spec;
            spec.build.files.clear();
            spec.build.secrets.clear();
            spec.runtime.files.clear();
            assert_eq!(spec, bare, "{text}");
        }
    }
}

#[test]
fn every_known_field_is_read_and_its_mistakes_carry_its_path() {
    for shape in SHAPES {
        for field in shape.fields {
            let text = place(shape.place, field, r#"{"wrong": [[]]}"#);
            let error = refused(text.as_bytes());
            let path = match shape.place {
                "" => (*field).to_owned(),
                place => format!("{}.{field}", place.replace("[]", "[0]")),
            };
            assert!(error.contains(&format!(": {path}")), "{path}: {error}");
            assert!(!error.contains("unknown field `{field}`"), "{error}");
        }
    }
}

/// A spec with one field somewhere, and what is required around it.
fn place(place: &str, field: &str, value: &str) -> String {
    let required = match place {
        "build.dependencies[]" => &[("files", r#"["a"]"#), ("commands", r#"["a"]"#)][..],
        // One of two is needed.
        "build.files[]" | "runtime.files[]" if field == "content" => {
            &[("path", r#""/a""#), ("base64", r#""YQ==""#)]
        }
        "build.files[]" | "runtime.files[]" => &[("path", r#""/a""#), ("content", r#""a""#)],
        "build.secrets[]" => &[("id", r#""a""#)],
        "runtime.copy[]" => &[("from", r#""a""#), ("to", r#""a""#)],
        "" => &[("version", r#""1.0""#)],
        _ => &[],
    };
    let rest = required.iter().filter(|(name, _)| *name != field);
    let mut text = format!(r#""{field}": {value}"#);
    rest.for_each(|(name, value)| text.push_str(&format!(r#", "{name}": {value}"#)));
    text = format!("{{{text}}}");
    for part in place.split('.').rev().filter(|part| !part.is_empty()) {
        text = match part.strip_suffix("[]") {
            Some(part) => format!(r#"{{"{part}": [{text}]}}"#),
            None => format!(r#"{{"{part}": {text}}}"#),
        };
    }
    match place {
        "" => text,
        _ => format!(r#"{{"version": "1.0", {}"#, &text[1..]),
    }
}

#[test]
fn order_and_repetition_in_the_file_do_not_change_the_spec() {
    let one = read(
        r#"{"version": "1.0", "build": {"packages": ["b", "a", "b"], "cache": ["x/", "/build/x"]},
            "runtime": {"env": {"B": "2", "A": "1"}, "ports": [2, 1, 2],
                "files": [{"path": "/b", "content": "x"}, {"path": "/a", "base64": "eQ=="}]}}"#,
    );
    let two = read(
        r#"{"runtime": {"ports": [1, 2], "env": {"A": "1", "B": "2"},
                "files": [{"content": "y", "path": "//a"}, {"path": "/b", "content": "x"}]},
            "build": {"cache": ["./x"], "packages": ["a", "b"]}, "version": "1.0"}"#,
    );
    assert_eq!(one, two);
}

#[test]
fn targets_keep_the_slash_that_means_into() {
    #[track_caller]
    fn check(workdir: &str, to: &str, expected: &str) {
        let spec = read(&format!(
            r#"{{"version": "1.0", "runtime": {{"workdir": {workdir},
                "copy": [{{"from": "a", "to": "{to}"}}]}}}}"#
        ));
        assert_eq!(spec.runtime.copy[0].to, expected, "{to}");
    }
    check("null", "/app", "/app");
    check("null", "/app/", "/app/");
    check("null", "//app//.", "/app/");
    check("null", "/app/x/..", "/app/");
    check("null", "/../app", "/app");
    check("null", "/", "/");
    check("null", ".", "/");
    check("null", "app", "/app");
    check("\"/\"", "app/", "/app/");
    check("\"/srv\"", "app", "/srv/app");
    check("\"/srv/\"", ".", "/srv/");
    check("\"/srv\"", "a/../b", "/srv/b");
    check("\"/srv\"", "/b", "/b");
}

#[test]
fn files_of_a_service_have_a_limit_together() {
    let of = |files: &[(&str, &str, usize)]| {
        let one = |stage: &str| {
            let mine = files.iter().filter(|(of, ..)| *of == stage);
            let entries = mine.map(|(_, path, len)| {
                format!(r#"{{"path": "/{path}", "content": "{}"}}"#, "x".repeat(*len))
            });
            format!(r#""{stage}": {{"files": [{}]}}"#, entries.collect::<Vec<_>>().join(", "))
        };
        format!(r#"{{"version": "1.0", {}, {}}}"#, one("build"), one("runtime"))
    };
    let half = FILES_BYTES_MAX / 2;
    let spec = read(&of(&[("build", "a", half), ("runtime", "b", half), ("runtime", "c", 0)]));
    assert_eq!(spec.build.files[0].content.len(), half);
    let files = [("build", "a", half), ("runtime", "b", half + 1), ("runtime", "c", 1)];
    let error = refused(of(&files).as_bytes());
    let expected = "runtime.files[0].content: expected at most 262144 bytes in all files of the \
                    service, found 262145 with this one\n";
    assert!(error.contains(expected), "{error}");
    assert!(!error.contains("files[1]"), "said once: {error}");

    let many = |count: usize| {
        let paths: Vec<_> = (0..count).map(|n| format!("{n}")).collect();
        of(&paths.iter().map(|path| ("build", &**path, 0)).collect::<Vec<_>>())
    };
    assert_eq!(read(&many(FILES_MAX)).build.files.len(), FILES_MAX);
    let error = refused(many(FILES_MAX + 1).as_bytes());
    assert!(error.contains(": build.files: expected at most 1000 files, found 1001"), "{error}");
}

#[test]
fn signals_get_their_usual_name() {
    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(check::stop_signal(text).ok().as_deref(), expected, "{text}");
    }
    check("SIGTERM", Some("SIGTERM"));
    check("TERM", Some("SIGTERM"));
    check("sigint", Some("SIGINT"));
    check("15", Some("15"));
    check("064", Some("64"));
    check("SIGRTMIN+3", Some("SIGRTMIN+3"));
    check("RTMAX-14", Some("SIGRTMAX-14"));
    check("SIGRTMAX", Some("SIGRTMAX"));
    for bad in ["", "SIG", "0", "65", "256", "1x", "RTMIN+16", "RTMIN+0", "RTMAX-15", "RTMIN-1"] {
        check(bad, None);
    }
    for bad in ["RTMIN++1", "RTMIN1", "RTMIN+", "TERM ", "SIGSIGTERM", "BYE", "ſigterm"] {
        check(bad, None);
    }
}

#[test]
fn globs_follow_the_grammar_of_the_daemon() {
    let good = [
        "a", "*", "**/x", "a?b", "[a]", "[^a]", "[a-z]", "[a-zA-Z_]", "[*]", "[\\]]", "[\\-a]",
        "\\[", "a]", "[!a]", "[a-\\]]", "é[é-ü]",
    ];
    for pattern in good {
        assert_eq!(check::source(pattern).ok(), Some(format!("/build/{pattern}")));
    }
    // Go's `filepath.Match` reports a bad pattern for these.
    let bad = [
        "[ab", "[]a]", "[]", "[^]", "[a-]", "[-a]", "[a--]", "a\\", "[a\\", "[", "[a-b-c]",
        "x[a]y[b",
    ];
    for pattern in bad {
        assert!(check::source(pattern).is_err(), "{pattern}");
        assert!(check::glob(pattern).is_err(), "{pattern}");
        assert!(check::exclude(pattern).is_err(), "{pattern}");
    }
}

#[test]
fn users_are_names_or_ids_with_an_optional_group() {
    for good in ["app", "0", "1000:1000", "www-data:www-data", "app:1000", "_x", "a.b@c", "m$"] {
        assert_eq!(check::user(good).as_deref(), Ok(good));
    }
    for bad in ["", ":", "app:", ":app", "a:b:c", "a b", "-a", "2147483648", "a/b", "a\n", "$"] {
        assert!(check::user(bad).is_err(), "{bad}");
    }
}

#[test]
fn packages_take_the_pins_of_apk_and_apt() {
    for good in [
        "git", "g++", "libstdc++", "nodejs-22", "py3.13-pip", "so:libc.musl-x86_64.so.1",
        "curl=8.1.2-r0", "curl~8.1", "curl~=8", "curl>=8", "curl<9@edge", "curl@edge",
        "curl=7.88.1-10+deb12u5~bpo", "git=1:2.39.2-1.1", "libc6:arm64",
        "nginx/bookworm-backports", "7zip",
    ] {
        assert_eq!(check::package(good).as_deref(), Ok(good));
    }
    for bad in [
        "", " ", "a b", "-y", "--root", "a=", "=1", "a==1", "a=1=2", "a>b>c", "a@", "a/", "a/b/c",
        "./a.apk", "a;b", "a&b", "a|b", "$a", "`a`", "a'b", "a\"b", "a\\b", "a*", "a?", "a!", "!a",
        "a-", "(a)", "é", "a\tb", "a\nb", "a\u{a0}b",
    ] {
        assert!(check::package(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_path_is_within_a_folder_only_at_a_slash() {
    for (path, dir, want) in [
        ("/build/target", "/build/target", true),
        ("/build/target/release/app", "/build/target", true),
        ("/build/targets", "/build/target", false),
        ("/build", "/build/target", false),
        ("/build", "/", true),
    ] {
        assert_eq!(is_within(path, dir), want, "{path} {dir}");
    }
}

#[test]
fn a_service_is_selected_by_its_name() {
    let file = accepted("v1-java-monorepo.json");
    assert_eq!(file.select(Some("api-service")).map(|s| s.path.as_str()), Ok("services[0]"));
    assert_eq!(file.select(Some("@monorepo/web")).map(|s| s.path.as_str()), Ok("services[1]"));
    let message = |service| file.select(service).map(|_| ()).unwrap_err().to_string();
    assert_eq!(
        message(None),
        "v1-java-monorepo.json: several services, and none was chosen\n\
         help: choose one with `--service`: `api-service`, `@monorepo/web`"
    );
    assert_eq!(
        message(Some("api-servcie")),
        "v1-java-monorepo.json: no service is named `api-servcie`\n\
         help: did you mean `api-service`?"
    );
    assert_eq!(
        message(Some("worker")),
        "v1-java-monorepo.json: no service is named `worker`\n\
         help: choose one with `--service`: `api-service`, `@monorepo/web`"
    );

    let single = accepted("v1-node.json");
    assert!(single.select(None).is_ok());
    assert!(single.select(Some("storefront")).is_ok());
    assert!(single.select(Some("api")).is_err());
    let array = accepted("v1-rust-array.json");
    assert_eq!(array.select(None).map(|s| s.path.as_str()), Ok("services[0]"));

    let unnamed = parse(br#"{"version": "1.0"}"#, "-").unwrap();
    assert_eq!(
        unnamed.select(Some("a\u{1b}")).map(|_| ()).unwrap_err().to_string(),
        "stdin: no service is named `a\u{fffd}`\n\
         help: the services have no names: give them a `metadata.project_name`"
    );
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_place() {
    let message = |text: &[u8]| refused(text).lines().next().unwrap().to_owned();
    assert_eq!(message(b""), "spec.json:1:1: expected a spec, found an empty file");
    assert_eq!(message(b"\xef\xbb\xbf\n "), "spec.json:1:1: expected a spec, found an empty file");
    assert_eq!(message(b"\xff\xfe{\0}\0"), "spec.json:1:1: expected UTF-8, found UTF-16");
    assert_eq!(
        refused(b"{\n \"\xc3\xa4\": \"caf\xe9\"}"),
        "spec.json:2:11: expected UTF-8, found the byte 0xe9\n  2 |  \"ä\": \"caf\u{fffd}\"}\n    |           ^\n\
         help: save the file as UTF-8"
    );
    let mut large = br#"{"version": "1.0"}"#.to_vec();
    large.resize(SPEC_BYTES_MAX, b' ');
    assert!(parse(&large, "spec.json").is_ok());
    large.push(b' ');
    assert_eq!(
        refused(&large),
        "spec.json:1:1: expected a file of at most 8388608 bytes, found one of 8388609"
    );
}

#[test]
fn nesting_and_entries_have_limits() {
    let deep = |levels: usize| {
        let text = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        parse(format!(r#"{{"version": "1.0", "x-": {text}}}"#).as_bytes(), "spec.json")
    };
    assert!(deep(63).is_ok());
    let error = deep(64).unwrap_err().to_string();
    assert!(error.starts_with("spec.json:1:89: expected at most 64 levels of nesting"), "{error}");

    let ports = |count: usize| {
        let text = vec!["80"; count].join(",");
        parse(
            format!(r#"{{"version": "1.0", "runtime": {{"ports": [{text}]}}}}"#).as_bytes(),
            "spec.json",
        )
    };
    assert!(ports(65_536).is_ok());
    let error = ports(65_537).unwrap_err().to_string();
    let expected = "spec.json:1:41: runtime.ports: expected at most 65536 entries";
    assert!(error.starts_with(expected), "{error}");
}

/// The fields of one `$defs` entry of the schema, without those that every object takes.
fn schema_fields(schema: &Value, name: &str) -> BTreeSet<String> {
    let definition = &schema["$defs"][name];
    let open = Value::Object(Map::from_iter([("^x-".to_owned(), Value::Object(Map::new()))]));
    assert_eq!(definition["patternProperties"], open, "{name} takes `x-` fields");
    assert_eq!(definition["additionalProperties"], Value::Bool(false), "{name} is closed");
    let properties = definition["properties"].as_object().unwrap();
    assert!(properties.contains_key("$schema"), "{name} takes `$schema`");
    for (field, property) in properties {
        assert!(property["description"].is_string(), "{name}.{field} is described");
    }
    properties.keys().filter(|&field| field != "$schema").cloned().collect()
}

#[test]
fn the_schema_and_the_parser_know_the_same_fields() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut closed: BTreeSet<_> = schema["$defs"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, definition)| definition.get("properties").is_some())
        .map(|(name, _)| name.clone())
        .collect();
    for shape in SHAPES {
        let name = match shape.place {
            "" => "service",
            "build.dependencies[]" => "dependencyStep",
            "build.files[]" => "buildFile",
            "build.secrets[]" => "secret",
            "runtime.copy[]" => "artifact",
            "runtime.files[]" => "runtimeFile",
            "runtime.health" => "health",
            place => place,
        };
        let known: BTreeSet<_> = shape.fields.iter().map(|&field| field.to_owned()).collect();
        assert_eq!(schema_fields(&schema, name), known, "{name}");
        assert!(closed.remove(name), "{name}");
        let required: Vec<_> = schema["$defs"][name]["required"]
            .as_array()
            .map(|fields| fields.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        for field in shape.fields {
            let text = place(shape.place, field, "null");
            let is_refused = parse(text.as_bytes(), "spec.json").is_err();
            assert_eq!(is_refused, required.contains(field), "{name}.{field}");
        }
    }
    assert_eq!(closed, BTreeSet::new(), "every object of the schema is known to the parser");
    assert_eq!(schema["$defs"]["service"]["properties"]["version"]["const"], VERSIONS[0]);
    assert_eq!(schema["$defs"]["base"]["default"], DEFAULT_BASE);
}

#[test]
fn the_reference_page_is_true() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/universalbuild.md");
    let page = fs::read_to_string(path).unwrap();
    let mut blocks = 0;
    for block in page.split("```json\n").skip(1) {
        let text = block.split("```").next().unwrap();
        if let Err(error) = parse(text.as_bytes(), "block.json") {
            panic!("{error}\nin\n{text}");
        }
        blocks += 1;
    }
    assert!(blocks >= 3, "the page has examples");
    for shape in SHAPES {
        for field in shape.fields {
            assert!(page.contains(&format!("`{field}`")), "{}.{field} is explained", shape.place);
        }
    }
    // An error shown on the page is the error of the input shown before it.
    let mut errors = 0;
    for block in page.split("```text spec\n").skip(1) {
        let (input, rest) = block.split_once("```").unwrap();
        let message = rest.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
        let error = parse(input.as_bytes(), "universalbuild.json").unwrap_err();
        assert_eq!(error.to_string(), message.trim_end());
        errors += 1;
    }
    assert!(errors >= 1, "the page shows an error");
}

#[test]
fn no_bytes_make_the_parser_panic() {
    let mut inputs: Vec<Vec<u8>> =
        files("accepted").into_iter().chain(files("hostile")).map(|(_, text)| text).collect();
    let messages = fs::read(corpus("messages.txt")).unwrap();
    inputs.extend(messages.split(|&b| b == b'\n').map(<[u8]>::to_vec));
    inputs.iter().for_each(|input| fuzz_spec(input));

    inputs.retain(|input| (1..4096).contains(&input.len()));
    let mut random = Random::new(0);
    for round in 0..20_000 {
        let mut input = inputs[round % inputs.len()].clone();
        for _ in 0..=random.below(4) {
            mutate(&mut input, &mut random);
        }
        fuzz_spec(&input);
    }
}

fn mutate(input: &mut Vec<u8>, random: &mut Random) {
    const TOKENS: [&[u8]; 20] = [
        b"{", b"}", b"[", b"]", b"\"", b",", b":", b"null", b"\\u0000", b"\\ud800", b"\xff", b"\n",
        b"../", b"//", b"@", b"1e9", b"\"x-\":", b"scratch", b"\xe2\x80\xae", b"*[",
    ];
    let at = random.below(input.len() + 1);
    match random.below(4) {
        0 => input.truncate(at),
        1 => drop(input.drain(at..(at + random.below(8)).min(input.len()))),
        2 => drop(input.splice(at..at, TOKENS[random.below(TOKENS.len())].iter().copied())),
        _ => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
    }
}
