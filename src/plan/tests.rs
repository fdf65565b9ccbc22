//! Whole plans: golden files, determinism, errors.

use std::{fs, path::Path};

use prost::Message as _;
use serde_json::{Value, json};

use super::*;
use crate::{
    llb,
    spec::{Artifact, Build, DependencyStep, File, Metadata, Runtime, Secret, SecretTarget},
};

const NODE: &str = "docker.io/library/node:22-bookworm-slim";
const PYTHON: &str = "docker.io/library/python:3.11-slim-bookworm";
const GOLANG: &str = "docker.io/library/golang:1.26-bookworm";
const RUST: &str = "docker.io/library/rust:1.88-bookworm";
const DEBIAN: &str = "docker.io/library/debian:bookworm-slim";
const WOLFI: &str = "cgr.dev/chainguard/wolfi-base:latest";

fn image(reference: &str) -> Base {
    Base::Image(reference.to_owned())
}

fn strings(items: &[&str]) -> Vec<String> {
    items.iter().map(|&item| item.to_owned()).collect()
}

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn spec(build: Base, runtime: Base) -> UniversalBuild {
    UniversalBuild {
        metadata: Metadata::default(),
        build: Build {
            base: build,
            packages: Vec::new(),
            env: BTreeMap::new(),
            dependencies: Vec::new(),
            commands: Vec::new(),
            cache: Vec::new(),
            exclude: Vec::new(),
            files: Vec::new(),
            secrets: Vec::new(),
        },
        runtime: Runtime {
            base: runtime,
            packages: Vec::new(),
            env: BTreeMap::new(),
            copy: Vec::new(),
            files: Vec::new(),
            command: Vec::new(),
            ports: Vec::new(),
            health: None,
            user: None,
            workdir: None,
            labels: BTreeMap::new(),
            stop_signal: None,
        },
    }
}

fn copies(pairs: &[(&str, &str)]) -> Vec<Artifact> {
    let artifact =
        |&(from, to): &(&str, &str)| Artifact { from: from.to_owned(), to: to.to_owned() };
    pairs.iter().map(artifact).collect()
}

fn options() -> Options {
    Options {
        project: "shop".to_owned(),
        exclude: strings(&[".git", "node_modules"]),
        shared_key_hint: Some("key-of-shop".to_owned()),
        caps: ["exec.mount.cache.content".to_owned()].into(),
        ..Options::new(Platform::new("linux", "amd64", ""), "api")
    }
}

/// A base as a daemon would describe it: one layer, `config` as given.
fn resolved(config: Value, os_release: Option<&str>) -> ResolvedBase {
    let config = json!({
        "architecture": "amd64",
        "created": "2025-01-01T00:00:00Z",
        "os": "linux",
        "config": config,
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", "1".repeat(64))] },
        "history": [
            { "created": "2025-01-01T00:00:00Z", "created_by": "# debian.sh" },
            { "created": "2025-01-01T00:00:00Z", "created_by": "CMD", "empty_layer": true },
        ],
    });
    ResolvedBase {
        digest: format!("sha256:{}", "a".repeat(64)),
        config: config.to_string().into_bytes(),
        os_release: os_release.map(|text| text.as_bytes().to_vec()),
    }
}

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Resolves every base of a spec the same way.
fn resolve(spec: &UniversalBuild, config: &Value, os_release: Option<&str>) -> ResolvedBases {
    let answer = |request: BaseRequest| (request.base, resolved(config.clone(), os_release));
    ResolvedBases(bases(spec).into_iter().map(answer).collect())
}

fn plan(spec: &UniversalBuild) -> Plan {
    let bases = resolve(spec, &json!({ "Env": [PATH], "Cmd": ["sh"] }), Some("ID=debian\n"));
    Plan::new(spec, &bases, &options()).unwrap()
}

fn golden(name: &str, plan: &Plan) {
    let config = serde_json::to_string_pretty(&plan.image_config).unwrap();
    let ops = llb::text(plan.definition()).unwrap();
    let have = format!("{plan}\n--- image config\n{config}\n\n--- definition\n{ops}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/plan").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &have).unwrap();
    }
    let want = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        want == have,
        "tests/golden/plan/{name} differs; `UPDATE_GOLDEN=1 cargo test --lib plan` rewrites it:\n{have}"
    );
}

fn wolfi_spec() -> UniversalBuild {
    let mut spec = spec(image(WOLFI), image(WOLFI));
    spec.build.packages = strings(&["nodejs-22", "npm"]);
    spec.build.env = env(&[("NODE_ENV", "production")]);
    spec.build.commands = strings(&["npm ci", "npm run build"]);
    spec.build.cache = strings(&["/root/.npm"]);
    spec.runtime.packages = strings(&["nodejs-22"]);
    spec.runtime.env = env(&[("NODE_ENV", "production"), ("PORT", "3000")]);
    spec.runtime.copy =
        copies(&[("/build/dist", "/app/dist"), ("/build/node_modules", "/app/node_modules")]);
    spec.runtime.command = strings(&["node", "/app/dist/server.js"]);
    spec.runtime.ports = vec![3000];
    spec.runtime.health = Some("/health".to_owned());
    spec
}

fn node_spec() -> UniversalBuild {
    let mut spec = spec(image(NODE), image(NODE));
    spec.build.dependencies = vec![DependencyStep {
        files: strings(&["package.json", "package-lock.json"]),
        commands: strings(&["npm ci"]),
    }];
    spec.build.commands =
        strings(&["npm run build", "npm prune --omit=dev\n# keeps the image small"]);
    spec.build.cache = strings(&["/root/.npm"]);
    spec.build.secrets = vec![
        Secret {
            id: "npmrc".into(),
            target: SecretTarget::File("/root/.npmrc".into()),
            required: false,
        },
        Secret {
            id: "token".into(),
            target: SecretTarget::Env("NPM_TOKEN".into()),
            required: false,
        },
    ];
    spec.runtime.copy = copies(&[("/build", "/app")]);
    spec.runtime.command = strings(&["node", "server.js"]);
    spec.runtime.ports = vec![8080, 9090];
    spec.runtime.user = Some("node".to_owned());
    spec.runtime.workdir = Some("/app".to_owned());
    spec.runtime.labels = env(&[("team", "shop")]);
    spec.runtime.stop_signal = Some("SIGINT".to_owned());
    spec
}

#[test]
fn a_v1_0_spec_on_wolfi_installs_with_apk() {
    let spec = wolfi_spec();
    let bases = resolve(&spec, &json!({ "Env": [PATH] }), Some("ID=wolfi\nNAME=\"Wolfi\"\n"));
    golden("wolfi.txt", &Plan::new(&spec, &bases, &options()).unwrap());
}

#[test]
fn a_node_service_installs_its_dependencies_before_the_context_comes() {
    let spec = node_spec();
    let config = json!({
        "Env": [PATH, "NODE_VERSION=22.1.0"],
        "Entrypoint": ["docker-entrypoint.sh"],
        "Cmd": ["node"],
        "OnBuild": null,
        "Labels": null,
    });
    let mut options = options();
    options.source_date_epoch = Some(1_700_000_000);
    options.revision = Some("abc123".to_owned());
    options.session = Some("session-1".to_owned());
    let bases = resolve(&spec, &config, None);
    golden("node.txt", &Plan::new(&spec, &bases, &options).unwrap());
}

#[test]
fn a_python_service_takes_its_environment_from_outside_of_the_work_tree() {
    let mut spec = spec(image(PYTHON), image(PYTHON));
    spec.build.dependencies = vec![DependencyStep {
        files: strings(&["requirements*.txt"]),
        commands: strings(&[
            "python -m venv /opt/venv",
            "/opt/venv/bin/pip install -r requirements.txt",
        ]),
    }];
    spec.build.cache = strings(&["/root/.cache/pip"]);
    spec.runtime.copy = copies(&[("/opt/venv", "/opt/venv"), ("/build/*.py", "/app")]);
    spec.runtime.env = env(&[("PATH", "/opt/venv/bin:/usr/bin:/bin")]);
    spec.runtime.command = strings(&["python", "/app/main.py"]);
    golden("python.txt", &plan(&spec));
}

#[test]
fn a_go_service_runs_on_scratch() {
    let mut spec = spec(image(GOLANG), Base::Scratch);
    spec.build.env = env(&[("CGO_ENABLED", "0")]);
    spec.build.commands = strings(&["go build -o /out/app ./cmd/app"]);
    spec.build.cache = strings(&["/go/pkg/mod", "/root/.cache/go-build"]);
    spec.runtime.copy = copies(&[("/out/app", "/app"), ("/build/static", "/static/")]);
    spec.runtime.command = strings(&["/app"]);
    spec.runtime.user = Some("65532:65532".to_owned());
    golden("go-scratch.txt", &plan(&spec));
}

#[test]
fn a_rust_service_takes_its_binary_out_of_a_cache_mount() {
    let mut spec = spec(image(RUST), image(DEBIAN));
    spec.build.commands = strings(&["cargo fetch", "cargo build --release"]);
    spec.build.cache = strings(&["/build/target", "/usr/local/cargo/registry"]);
    spec.runtime.copy = copies(&[
        ("/build/target/release/api", "/usr/local/bin/api"),
        ("/build/target/*/migrations", "/migrations"),
        ("/build/config", "/etc/api/"),
    ]);
    spec.runtime.command = strings(&["api"]);
    golden("rust-cache.txt", &plan(&spec));
}

#[test]
fn debian_packages_are_installed_with_apt_in_both_stages() {
    let mut spec = spec(image(DEBIAN), image(DEBIAN));
    spec.build.packages = strings(&["build-essential", "libpq-dev"]);
    spec.build.commands = strings(&["make"]);
    spec.runtime.packages = strings(&["ca-certificates", "libpq5"]);
    spec.runtime.copy = copies(&[("/build/app", "/usr/local/bin/")]);
    spec.runtime.command = strings(&["app"]);
    golden("debian-apt.txt", &plan(&spec));
}

#[test]
fn a_base_with_a_user_builds_as_that_user() {
    let mut spec = spec(image(NODE), image(NODE));
    spec.build.packages = strings(&["git"]);
    spec.build.commands = strings(&["npm ci", "npm test"]);
    spec.build.cache = strings(&["/home/node/.npm", "/build/.cache"]);
    spec.runtime.copy = copies(&[("/build/.cache/out", "/app/out"), ("/build/dist", "/app/dist")]);
    let config = json!({
        "Env": [PATH],
        "User": "node:app",
        "Shell": ["/bin/bash", "-o", "pipefail", "-c"],
        "WorkingDir": "/home/node",
        "Entrypoint": ["tini", "--"],
        "Cmd": ["node"],
        "ExposedPorts": { "80/tcp": {} },
        "Volumes": { "/data": {} },
        "Healthcheck": { "Test": ["CMD", "true"], "Interval": 1_000_000_000 },
        "Labels": { "vendor": "acme", "org.opencontainers.image.title": "the base" },
        "OnBuild": ["RUN true"],
        "StopTimeout": 3,
    });
    let bases = resolve(&spec, &config, Some("ID=raspbian\nID_LIKE=\"debian\"\n"));
    golden("user.txt", &Plan::new(&spec, &bases, &options()).unwrap());
}

fn files(files: &[(&str, &str, u32)]) -> Vec<File> {
    let file = |&(path, content, mode): &(&str, &str, u32)| File {
        path: path.to_owned(),
        content: content.as_bytes().to_vec(),
        mode,
    };
    files.iter().map(file).collect()
}

fn files_spec() -> UniversalBuild {
    let mut spec = node_spec();
    spec.build.secrets.clear();
    spec.build.files = files(&[
        ("/build/.npmrc", "fund=false\n", 0o644),
        ("/build/web/config.json", "{}\n", 0o600),
        ("/etc/npmrc", "audit=false\n", 0o644),
    ]);
    spec.runtime.copy = copies(&[("/build/dist", "/app/dist/"), ("/build/node_modules", "/app/")]);
    spec.runtime.files = files(&[
        ("/app/dist/version.json", "{}\n", 0o644),
        ("/apply", "x", 0o444),
        ("/etc/shop/server.conf", "listen 8080\n", 0o640),
        ("/usr/local/bin/start", "#!/bin/sh\nexec \"$@\"\n", 0o755),
    ]);
    spec
}

#[test]
fn files_of_the_spec_are_where_commands_and_image_find_them() {
    golden("files.txt", &plan(&files_spec()));
}

#[test]
fn files_of_the_spec_belong_to_who_builds_and_in_the_image_to_root() {
    let spec = files_spec();
    let config = json!({ "Env": [PATH], "User": "node:app" });
    let bases = resolve(&spec, &config, None);
    let plan = Plan::new(&spec, &bases, &options()).unwrap();
    let text = llb::text(plan.definition()).unwrap();
    let line = |part: &str| {
        let found: Vec<&str> = text.lines().filter(|line| line.contains(part)).collect();
        assert!(!found.is_empty(), "`{part}` in\n{text}");
        found.join("\n")
    };
    for part in ["mkdir /etc mode 755", "to /build mode 644", "to /build/web mode 600"] {
        assert!(
            line(part).lines().all(|line| line.contains(" owner node of 1:app of 1")),
            "{part}"
        );
    }
    for part in ["to /usr/local/bin mode 755", "to /etc/shop mode 640", "mkdir /etc/shop mode 755"]
    {
        assert!(line(part).contains(" time 315619200000000000 owner 0:0"), "{}", line(part));
    }
}

#[test]
fn without_commands_files_of_the_work_tree_are_laid_over_a_copy_of_the_context() {
    let mut spec = spec(Base::Scratch, Base::Scratch);
    spec.build.files = files(&[("/build/site/index.html", "<p>", 0o644)]);
    spec.runtime.copy = copies(&[("/build/site", "/srv")]);
    spec.runtime.files = files(&[("/settings", "", 0o644)]);
    golden("files-scratch.txt", &plan(&spec));
}

#[test]
fn files_of_the_image_are_below_the_copies_that_cannot_bring_them() {
    let check = |to: &str, path: &str, is_below: bool| {
        let mut spec = spec(image(NODE), image(NODE));
        spec.runtime.copy = copies(&[("/build/dist", to)]);
        spec.runtime.files = files(&[(path, "x", 0o644)]);
        let plan = plan(&spec);
        let steps = plan.steps();
        let place = |part: &str| {
            steps.iter().position(|step| step.name.starts_with(&format!("[api] {part}"))).unwrap()
        };
        assert_eq!(place("write") < place("copy dist"), is_below, "{to} {path}");
        let config: Value = serde_json::from_slice(&plan.image_config()).unwrap();
        let history = config["history"].as_array().unwrap();
        let own: Vec<_> = history.iter().filter(|h| h["comment"] == "peelbox").collect();
        assert_eq!(own.len(), 2);
        assert_eq!(own[usize::from(!is_below)]["created_by"], format!("write {path}"));
    };
    check("/app", "/etc/app.conf", true);
    check("/app", "/apple", true);
    check("/app/dist", "/app/start", true);
    check("/usr/local/bin/api", "/usr/local/bin/start", true);
    check("/app", "/app/dist/a", false);
    check("/app/", "/app/a", false);
    check("/app/a", "/app/a", false);
    check("/", "/etc/app.conf", false);
}

#[test]
fn a_plan_says_which_files_stand_in_it() {
    let json = plan(&files_spec()).to_json();
    let steps = json["steps"].as_array().unwrap();
    let named = |name: &str| steps.iter().find(|step| step["name"] == name).unwrap();
    let loaded = named("[api] load build.files");
    let expected = [
        "/files/build/.npmrc/.npmrc",
        "/files/build/web/config.json/config.json",
        "/files/etc/npmrc/npmrc",
    ];
    assert_eq!(loaded["files"], json!(expected));
    let written = named("[api] write /etc/npmrc");
    assert_eq!(written["copies"], json!([{ "from": "/files/etc/npmrc", "to": "/etc" }]));
}

#[test]
fn a_base_for_another_platform_is_refused() {
    let spec = node_spec();
    let of = |os: &str, architecture: &str| {
        let config = json!({ "os": os, "architecture": architecture, "config": {} }).to_string();
        let mut bases = resolve(&spec, &json!({}), Some("ID=debian\n"));
        bases.0.values_mut().for_each(|base| base.config = config.clone().into_bytes());
        Plan::new(&spec, &bases, &options())
    };
    assert_eq!(options().platform.to_string(), "linux/amd64");
    for (os, architecture) in [("linux", "amd64"), ("linux", "x86_64"), ("", ""), ("linux", "")] {
        assert!(of(os, architecture).is_ok(), "{os}/{architecture}");
    }
    for (os, architecture) in [("linux", "s390x"), ("windows", "amd64")] {
        let error = of(os, architecture).err().unwrap();
        assert!(matches!(error, PlanError::BasePlatform { .. }), "{error}");
        assert!(error.hint().unwrap().contains(&format!("--platform {os}/{architecture}")));
    }
}

#[test]
fn a_local_base_is_a_source_of_the_session() {
    let base = Base::OciLayout { dir: "./base".into(), tag: Some("v1".into()), digest: None };
    let mut spec = spec(base.clone(), base);
    spec.runtime.copy =
        copies(&[("/build/public", "/srv"), ("/build", "/all"), ("/etc/motd", "/motd")]);
    let mut options = options();
    options.session = Some("session-1".to_owned());
    options.no_cache = true;
    let bases = resolve(&spec, &json!({}), None);
    golden("oci-layout.txt", &Plan::new(&spec, &bases, &options).unwrap());
}

#[test]
fn the_same_input_gives_the_same_bytes_in_whatever_order_it_was_written() {
    let one = node_spec();
    let mut two = node_spec();
    for (name, value) in [("B", "2"), ("A", "1"), ("C", "3")] {
        two.build.env.insert(name.into(), value.into());
    }
    let mut three = node_spec();
    for (name, value) in [("C", "3"), ("A", "1"), ("B", "2")] {
        three.build.env.insert(name.into(), value.into());
    }
    two.build.packages = strings(&["git", "make"]);
    three.build.packages = strings(&["make", "git", "make"]);
    two.runtime.packages = strings(&["curl", "tini"]);
    three.runtime.packages = strings(&["tini", "curl"]);
    let bytes = |spec: &UniversalBuild| {
        let plan = plan(spec);
        (plan.definition().encode_to_vec(), plan.image_config())
    };
    assert_eq!(bytes(&one), bytes(&one));
    assert_eq!(bytes(&two), bytes(&three));
    assert_ne!(bytes(&one), bytes(&two));
}

#[test]
fn a_base_of_both_stages_is_asked_for_once() {
    let mut both = wolfi_spec();
    both.build.packages.clear();
    let requests = bases(&both);
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].stages, [Stage::Build, Stage::Runtime]);
    assert!(requests[0].needs_os_release, "the runtime's packages need it");

    let scratch = spec(image(GOLANG), Base::Scratch);
    let requests = bases(&scratch);
    assert_eq!(requests.len(), 1);
    assert!(!requests[0].needs_os_release);
    assert_eq!(requests[0].store(), None);
}

#[test]
fn a_base_alone_is_a_definition_of_one_source() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let platform = Platform::new("linux", "arm64", "");
    let definition = source_definition(
        &image(DEBIAN),
        &digest,
        &Lookup { platform: &platform, session: None, prefers_local: false },
    );
    let want = format!(
        "1 source linux/arm64\n  name [internal] read {DEBIAN}\n  docker-image://{DEBIAN}@{digest}\n  caps source.image\n"
    );
    assert_eq!(llb::text(&definition).unwrap(), want);
}

#[test]
fn the_context_that_is_fetched_early_is_that_of_the_plan() {
    let check = |spec: &UniversalBuild, is_needed: bool| {
        let plan = plan(spec);
        let in_plan = |op: &Vec<u8>| plan.definition().def.contains(op);
        let early = context_definition(spec, &options());
        assert_eq!(early.as_ref().map(|early| in_plan(&early.def[0])), is_needed.then_some(true));
        // A plan without it has no source of that kind.
        let text = llb::text(plan.definition()).unwrap();
        assert_eq!(text.contains("local://context"), is_needed, "{text}");
    };
    check(&node_spec(), true);
    let mut spec = node_spec();
    spec.build.dependencies.clear();
    spec.build.commands.clear();
    spec.build.cache.clear();
    spec.runtime.copy = copies(&[("/build/server.js", "/app/")]);
    check(&spec, true);
    spec.build.files = files(&[("/build/settings", "", 0o644)]);
    check(&spec, true);
    spec.runtime.copy = copies(&[("/usr/share/doc", "/doc")]);
    check(&spec, false);
    let mut spec = node_spec();
    spec.build.cache.clear();
    spec.runtime.copy.clear();
    check(&spec, false);
}

#[test]
fn sessions_reach_only_the_sources() {
    let bytes = |session: Option<&str>| {
        let mut options = options();
        options.session = session.map(str::to_owned);
        let spec = node_spec();
        let bases = resolve(&spec, &json!({ "Env": [PATH] }), None);
        let plan = Plan::new(&spec, &bases, &options).unwrap();
        llb::text(plan.definition()).unwrap()
    };
    let (with, without) = (bytes(Some("s")), bytes(None));
    let differs: Vec<&str> = with.lines().filter(|line| !without.contains(line)).collect();
    let caps = "  caps source.local source.local.excludepatterns source.local.sessionid source.local.sharedkeyhint";
    assert_eq!(differs, ["  local.session = s", caps]);
}

#[test]
fn an_old_daemon_is_not_asked_for_what_it_does_not_know() {
    let mut old = options();
    old.caps.clear();
    let spec = node_spec();
    let bases = resolve(&spec, &json!({ "Env": [PATH] }), None);
    let text = llb::text(Plan::new(&spec, &bases, &old).unwrap().definition()).unwrap();
    assert!(!text.contains("content"), "{text}");
}

#[test]
fn entrypoint_of_the_command_line_replaces_the_command_and_clears_the_base_s() {
    let check = |text: &str, want: Option<&[&str]>| {
        let have = parse_entrypoint(text).ok();
        assert_eq!(have, want.map(strings), "{text:?}");
    };
    check("/bin/app", Some(&["/bin/app"]));
    check(r#"["node", "server.js"]"#, Some(&["node", "server.js"]));
    check("node server.js", None);
    check("[node]", None);
    check("[]", None);
    check(r#"[""]"#, None);
    check("", None);

    let mut options = options();
    options.entrypoint = Some(strings(&["/bin/other"]));
    let spec = wolfi_spec();
    let bases = resolve(&spec, &json!({ "Cmd": ["sh"] }), Some("ID=wolfi"));
    let plan = Plan::new(&spec, &bases, &options).unwrap();
    let config: Value = serde_json::from_slice(&plan.image_config()).unwrap();
    assert_eq!(config["config"]["Entrypoint"], json!(["/bin/other"]));
    assert_eq!(config["config"].get("Cmd"), None);
}

#[test]
fn the_history_of_the_base_stays_and_ours_only_follows_a_whole_one() {
    let history = |diff_ids: usize| {
        let spec = wolfi_spec();
        let mut bases = resolve(&spec, &json!({}), Some("ID=wolfi"));
        for base in bases.0.values_mut() {
            let mut config: Value = serde_json::from_slice(&base.config).unwrap();
            config["rootfs"]["diff_ids"] = json!(vec!["sha256:1"; diff_ids]);
            base.config = config.to_string().into_bytes();
        }
        let plan = Plan::new(&spec, &bases, &options()).unwrap();
        plan.image_config["history"].as_array().unwrap().len()
    };
    assert_eq!(history(1), 2 + 3, "packages and two artifacts");
    assert_eq!(history(2), 2, "one layer of the base is not described: the daemon adds the rest");
}

#[test]
fn many_artifacts_share_layers() {
    let mut spec = spec(image(DEBIAN), image(DEBIAN));
    let names: Vec<String> = (0..1000).map(|n| format!("/build/{n}")).collect();
    spec.runtime.copy =
        names.iter().map(|name| Artifact { from: name.clone(), to: name.clone() }).collect();
    let plan = plan(&spec);
    let copies: Vec<usize> = plan.steps().iter().map(|step| step.copies.len()).collect();
    assert_eq!(copies.iter().sum::<usize>(), 1000);
    assert!(copies.iter().filter(|n| **n > 0).count() <= ARTIFACT_LAYERS_MAX);
}

#[test]
fn what_a_user_may_not_expect_is_a_warning() {
    let check = |change: fn(&mut UniversalBuild), want: &str| {
        let mut spec = node_spec();
        change(&mut spec);
        assert_eq!(plan(&spec).warnings(), [want]);
    };
    check(
        |spec| spec.runtime.copy.clear(),
        "`runtime.copy` is empty: nothing of the build stage is needed, it does not run",
    );
    check(
        |spec| spec.build.cache.push("/build/node_modules".to_owned()),
        "`runtime.copy[0]`: `/build` is copied without the cache `/build/node_modules` in it",
    );
}

#[test]
fn json_has_steps_bases_and_the_image_config() {
    let json = plan(&node_spec()).to_json();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["service", "platform", "bases", "steps", "image_config", "annotations", "warnings"]
    );
    let step = &json["steps"][3];
    assert_eq!(step["name"], "[api] npm ci");
    assert_eq!(step["inputs"], json!([1, 3]));
    assert_eq!(step["caches"], json!(["/root/.npm"]));
    assert_eq!(json["annotations"]["org.opencontainers.image.base.name"], NODE);
}

fn fails(
    change: impl FnOnce(&mut UniversalBuild, &mut Options),
    os_release: Option<&str>,
) -> PlanError {
    let (mut spec, mut options) = (wolfi_spec(), options());
    change(&mut spec, &mut options);
    let bases = resolve(&spec, &json!({}), os_release);
    Plan::new(&spec, &bases, &options).unwrap_err()
}

#[test]
fn errors_name_the_field_and_what_to_do() {
    let check = |error: PlanError, want: &str| {
        assert_eq!(error.to_string(), want);
        assert!(error.hint().is_some(), "{error}");
    };
    check(
        fails(|_, _| {}, None),
        "`build.packages`: cannot tell the package manager of \
         `cgr.dev/chainguard/wolfi-base:latest`: it has no `/etc/os-release`",
    );
    check(
        fails(|spec, _| spec.build.packages.clear(), Some("ID=fedora")),
        "`runtime.packages`: no package manager is known for `fedora`, the distribution of \
         `cgr.dev/chainguard/wolfi-base:latest` in its `/etc/os-release`",
    );
    check(
        fails(|_, _| {}, Some("NAME=x")),
        "`build.packages`: cannot tell the package manager of \
         `cgr.dev/chainguard/wolfi-base:latest`: its `/etc/os-release` has no `ID`",
    );
    check(
        fails(|spec, _| spec.build.packages.push("--allow-untrusted".into()), Some("ID=alpine")),
        "`build.packages`: `--allow-untrusted` is not a package name",
    );
    check(
        fails(|spec, _| spec.runtime.base = Base::Scratch, Some("ID=alpine")),
        "`runtime.packages`: `scratch` has no package manager",
    );
    check(
        fails(|spec, _| spec.build.base = Base::Scratch, Some("ID=alpine")),
        "`build.commands`: `scratch` has no shell to run commands",
    );
    check(
        fails(
            |spec, _| {
                spec.build.base = Base::Scratch;
                spec.build.commands.clear();
            },
            Some("ID=alpine"),
        ),
        "`build.packages`: `scratch` has no package manager",
    );
    check(
        fails(|spec, _| spec.build.cache.push("/build".into()), Some("ID=alpine")),
        "`build.cache[1]`: a cache at `/build` would hide the build itself",
    );
    check(
        fails(
            |spec, _| {
                spec.build.commands.clear();
                spec.build.cache = vec!["/build/dist".into()];
            },
            Some("ID=alpine"),
        ),
        "`runtime.copy[0]`: `/build/dist` lies in a cache mount, and no command fills it",
    );
    check(
        fails(|_, options| options.platform = Platform::new("windows", "amd64", ""), None),
        "cannot build for platform `windows/amd64`",
    );
    check(
        parse_entrypoint("a b").unwrap_err(),
        "entrypoint `a b` is neither a JSON array of strings nor one word",
    );
}

#[test]
fn a_base_that_was_not_resolved_or_has_no_config_is_an_error() {
    let spec = node_spec();
    let error = Plan::new(&spec, &ResolvedBases::default(), &options()).unwrap_err();
    assert_eq!(error.to_string(), format!("base `{NODE}` was not resolved"));

    let mut bases = resolve(&spec, &json!({}), None);
    for base in bases.0.values_mut() {
        base.config = b"[]".to_vec();
    }
    let error = Plan::new(&spec, &bases, &options()).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot read the image config of `{NODE}`"));
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn for_docker_the_health_endpoint_is_a_health_check_where_something_can_ask() {
    let mut spec = wolfi_spec();
    spec.runtime.health = Some("/it's?a=1&b".to_owned());
    let check = |spec: &UniversalBuild, is_for_docker: bool| {
        let bases = resolve(spec, &json!({ "Env": [PATH] }), Some("ID=wolfi\n"));
        let plan = Plan::new(spec, &bases, &Options { is_for_docker, ..options() }).unwrap();
        let config: Value = serde_json::from_slice(&plan.image_config()).unwrap();
        config["config"]["Healthcheck"]["Test"][1].as_str().map(str::to_owned)
    };
    assert_eq!(check(&spec, false), None);
    let script = check(&spec, true).unwrap();
    assert!(script.starts_with(r"u=http://127.0.0.1:${PORT:-3000}'/it'\''s?a=1&b'; "), "{script}");
    spec.runtime.ports.clear();
    assert_eq!(check(&spec, true), None);
    spec.runtime.ports = vec![3000];
    spec.runtime.packages.clear();
    spec.runtime.base = Base::Scratch;
    assert_eq!(check(&spec, true), None);
}
