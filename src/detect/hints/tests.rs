//! What files of other tools say of small trees, and what of it is taken.

use std::fs;

use crate::{
    detect::{Detected, Family, What, detect},
    mutation::mutate,
    spec::UniversalBuild,
};

fn found(files: &[(&str, &str)]) -> Detected {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    detect(dir.path(), Family::Official).unwrap()
}

/// A server in Python that says of itself only what it is, and a file of another tool.
fn flask(name: &str, text: &str) -> UniversalBuild {
    let app = ("app.py", "from flask import Flask\napp = Flask(__name__)\n");
    let found = found(&[app, ("requirements.txt", "flask\n"), (name, text)]);
    found.services[0].spec.clone()
}

fn build_base(spec: &UniversalBuild) -> String {
    format!("{:?}", spec.build.base)
}

const DOCKERFILE: &str = "ARG V=3.11\nFROM python:${V}-slim AS base\nENV PYTHONUNBUFFERED=1 APP_MODE=\"two words\" \\\n    # why\n    GREETING=hello\nFROM base\nWORKDIR /code\nRUN <<EOF\napt-get update\napt-get install -y --no-install-recommends ffmpeg libfoo1 git\nEOF\nENV SECRET_KEY=abc DATA=/code/data DATABASE=postgres://u:p@db/x\nEXPOSE 9000/tcp\nHEALTHCHECK --interval=5s CMD curl -f http://localhost:9000/up || exit 1\nCMD [\"python\", \"/code/app.py\"]\n";

#[test]
fn folders_that_a_dockerfile_declares_for_data_are_there_and_may_be_written_to() {
    let check = |volumes: &str, want: Option<&str>| {
        let spec = flask("Dockerfile", &format!("FROM python:3.12\nWORKDIR /app\n{volumes}\n"));
        let made = spec.build.commands.iter().find(|line| line.contains("/volumes"));
        assert_eq!(made.map(String::as_str), want, "{volumes}");
        let is_taken = |to: &str| {
            spec.runtime.copy.iter().any(|copy| copy.from == "/volumes" && copy.to == to)
        };
        assert_eq!(is_taken("/"), want.is_some());
    };
    check("VOLUME /data", Some("mkdir -p /volumes/data && chmod a+rwx /volumes/data"));
    let both = "mkdir -p /volumes/var/lib/shop /volumes/config && chmod a+rwx /volumes/var/lib/shop /volumes/config";
    check("VOLUME [\"/var/lib/shop/\", \"/config\"]", Some(both));
    check("VOLUME /app/data", None);
    check("VOLUME /etc/shop /tmp $DATA", None);
}

#[test]
fn a_dockerfile_gives_version_packages_environment_and_health_and_nothing_of_its_own_image() {
    let spec = flask("Dockerfile", DOCKERFILE);
    assert!(build_base(&spec).contains("python:3.11-"), "{:?}", spec.build.base);
    let runtime = &spec.runtime;
    assert_eq!(runtime.packages, ["ffmpeg", "git"]);
    assert_eq!(
        (runtime.env["APP_MODE"].as_str(), runtime.env["GREETING"].as_str()),
        ("two words", "hello")
    );
    for name in ["SECRET_KEY", "DATA", "DATABASE"] {
        assert!(!runtime.env.contains_key(name), "{name}");
    }
    assert_eq!(runtime.health.as_deref(), Some("/up"));
    // The framework says how it starts, and where it listens.
    assert!(runtime.command.last().unwrap().contains("gunicorn"), "{:?}", runtime.command);
    assert_eq!(runtime.ports, [5000]);
    let reasoning = spec.metadata.reasoning.unwrap();
    assert!(
        reasoning.contains("version 3.11 (FROM python:3.11-slim, Dockerfile:2)"),
        "{reasoning}"
    );
    // A pin of the language's own comes first.
    let own = found(&[
        ("app.py", "from flask import Flask\napp = Flask(__name__)\n"),
        ("requirements.txt", "flask\n"),
        (".python-version", "3.12\n"),
        ("Dockerfile", DOCKERFILE),
    ]);
    assert!(build_base(&own.services[0].spec).contains("python:3.12-"));
}

#[test]
fn a_dockerfile_says_how_a_program_starts_and_listens_of_which_nothing_else_says_it() {
    let files = [
        ("requirements.txt", "requests\n"),
        ("relay/run_it.py", "import socket\n"),
        (
            "Dockerfile",
            "FROM python:3.12\nWORKDIR /code/\nCOPY . .\nEXPOSE 7000\nENTRYPOINT [\"tini\", \"--\"]\nCMD [\"python\", \"/code/relay/run_it.py\", \"--all\"]\n",
        ),
    ];
    let detected = found(&files);
    let service = &detected.services[0];
    assert_eq!(
        service.spec.runtime.command,
        ["python", "relay/run_it.py", "--all"],
        "{service:#?}"
    );
    assert_eq!(service.spec.runtime.ports, [7000]);
    let start =
        service.decisions.iter().find(|decision| decision.what == What::StartCommand).unwrap();
    assert_eq!(
        (start.rule.to_string(), start.evidence[0].to_string()),
        ("Dockerfile".to_owned(), "Dockerfile:6".to_owned())
    );
    // A script of its own image, or another language's program, is none of ours.
    for command in ["CMD [\"/entrypoint.sh\"]", "CMD java -jar app.jar", "CMD python /opt/x.py"] {
        let files =
            [files[0], files[1], ("Dockerfile", &*format!("FROM python:3.12\n{command}\n"))];
        assert!(found(&files).services[0].spec.runtime.command.is_empty(), "{command}");
    }
}

#[test]
fn an_image_tells_the_port_that_the_sources_only_guess() {
    let check = |body: &str, exposed: &str, want: u16| {
        let main = format!("package main\nimport \"net/http\"\nfunc main() {{ {body} }}\n");
        let image = format!("FROM scratch\n{exposed}\nENTRYPOINT [\"/shop\"]\n");
        let files =
            [("go.mod", "module x/shop\ngo 1.25\n"), ("main.go", &*main), ("Dockerfile", &*image)];
        assert_eq!(found(&files).services[0].spec.runtime.ports, [want], "{body} {exposed}");
    };
    let unknown = "http.ListenAndServe(read(), nil)";
    check(unknown, "EXPOSE 3100", 3100);
    check(unknown, "expose 22 53/udp 3100/tcp 3200", 3100);
    check(unknown, "EXPOSE 22\nEXPOSE 3100", 3100);
    check(unknown, "EXPOSE 22", 8080);
    check(unknown, "EXPOSE $PORT", 8080);
    check(unknown, "", 8080);
    // What the sources say comes first.
    check("http.ListenAndServe(\":3000\", nil)", "EXPOSE 3100", 3000);
    check("http.ListenAndServe(\":\" + os.Getenv(\"PORT\"), nil)", "EXPOSE 3100", 8080);
}

#[test]
fn files_of_platforms_give_environment_health_workers_and_release() {
    let fly = "[env]\nMODE = \"a\"\n[http_service]\ninternal_port = 8080\n[[http_service.checks]]\npath = \"/ok\"\n[deploy]\nrelease_command = \"flask db upgrade\"\n[processes]\napp = \"gunicorn app:app\"\njobs = \"python jobs.py\"\n";
    let app = ("app.py", "from flask import Flask\napp = Flask(__name__)\n");
    let with = |name: &str, text: &str| {
        found(&[app, ("requirements.txt", "flask\n"), (name, text)]).services
    };
    let services = with("fly.toml", fly);
    let first = &services[0].spec;
    assert_eq!(
        (first.runtime.env["MODE"].as_str(), first.runtime.health.as_deref()),
        ("a", Some("/ok"))
    );
    assert!(
        first
            .metadata
            .reasoning
            .as_ref()
            .unwrap()
            .contains("release command flask db upgrade (fly.toml, fly.toml:8)")
    );
    assert_eq!(services[1].spec.runtime.command, ["python", "jobs.py"]);
    assert!(services[1].spec.metadata.project_name.as_ref().unwrap().ends_with("-jobs"));
    let render = "services:\n  - type: web\n    name: a\n    startCommand: gunicorn app:app\n    healthCheckPath: /ok\n    preDeployCommand: flask db upgrade\n    envVars:\n      - key: MODE\n        value: b\n      - key: API_KEY\n        value: c\n  - type: worker\n    startCommand: python work.py\n  - type: worker\n    rootDir: other\n    startCommand: python no.py\n";
    let services = with("render.yaml", render);
    assert_eq!(services.len(), 2);
    assert_eq!(
        (services[0].spec.runtime.env["MODE"].as_str(), services[0].spec.runtime.health.as_deref()),
        ("b", Some("/ok"))
    );
    assert!(!services[0].spec.runtime.env.contains_key("API_KEY"));
    assert_eq!(services[1].spec.runtime.command, ["python", "work.py"]);
    let app_json = r#"{"env": {"MODE": {"value": "c", "required": true}, "OTHER": "d"}}"#;
    let spec = flask("app.json", app_json);
    assert_eq!((spec.runtime.env["MODE"].as_str(), spec.runtime.env["OTHER"].as_str()), ("c", "d"));
    assert_eq!(flask("Aptfile", "# media\nffmpeg\nlibfoo1\n").runtime.packages, ["ffmpeg"]);
}

#[test]
fn files_of_other_builders_give_versions_packages_and_environment() {
    let railpack = r#"{"packages": {"python": "3.12"}, "deploy": {"aptPackages": ["ffmpeg"], "variables": {"MODE": "a"}}}"#;
    let spec = flask("railpack.json", railpack);
    assert!(build_base(&spec).contains("python:3.12-"));
    assert_eq!(
        (&spec.runtime.packages[..], spec.runtime.env["MODE"].as_str()),
        (&["ffmpeg".to_owned()][..], "a")
    );
    let nixpacks =
        "[phases.setup]\naptPkgs = [\"...\", \"imagemagick\"]\n[variables]\nMODE = \"b\"\n";
    let spec = flask("nixpacks.toml", nixpacks);
    assert_eq!(
        (&spec.runtime.packages[..], spec.runtime.env["MODE"].as_str()),
        (&["imagemagick".to_owned()][..], "b")
    );
    let project =
        "[[io.buildpacks.build.env]]\nname = \"BP_CPYTHON_VERSION\"\nvalue = \"3.11.*\"\n";
    assert!(build_base(&flask("project.toml", project)).contains("python:3.11-"));
}

#[test]
fn the_port_of_the_only_service_that_compose_builds_here_counts_where_nothing_else_says_one() {
    let with = |compose: &str| {
        let main = (
            "main.py",
            "import relay\nrelay.run()\nif __name__ == \"__main__\":\n    relay.serve()\n",
        );
        let files = [main, ("requirements.txt", "relay\n"), ("compose.yaml", compose)];
        found(&files).services[0].spec.runtime.ports.clone()
    };
    let one = "services:\n  app:\n    build: .\n    ports: [\"127.0.0.1:80:7001/tcp\"]\n  db:\n    image: postgres\n    ports: [\"5432:5432\"]\n";
    assert_eq!(with(one), [7001]);
    assert_eq!(with(&one.replace("image: postgres", "build: {context: .}")), [0_u16; 0]);
}

#[test]
fn a_site_whose_own_server_answers_with_the_first_page_does_so_here_too() {
    let page = ("index.html", "<p>\n");
    let nginx = "server {\n  location / {\n    try_files $uri $uri/ /index.html;\n  }\n}\n";
    for (name, text) in [
        ("nginx.conf", nginx),
        ("Caddyfile", ":80\ntry_files {path} /index.html\n"),
        ("Staticfile", "pushstate: enabled\n"),
    ] {
        let spec = found(&[page, (name, text)]).services[0].spec.clone();
        let settings = String::from_utf8(spec.runtime.files[0].content.clone()).unwrap();
        assert!(settings.contains("{path}/index.html /index.html"), "{name}: {settings}");
        assert_eq!(spec.build.base, spec.runtime.base);
    }
    let files = [page, ("out/index.html", "<p>\n"), ("Staticfile", "root: out\n")];
    assert_eq!(found(&files).services[0].spec.runtime.copy[0].from, "/build/out");
}

#[test]
fn a_tree_with_only_a_dockerfile_is_told_what_to_do() {
    let detected = found(&[("Dockerfile", "FROM debian\nCMD [\"true\"]\n")]);
    assert!(detected.services.is_empty());
    assert!(
        detected.notes[0].starts_with("Dockerfile: a tree that has only a Dockerfile"),
        "{:?}",
        detected.notes
    );
}

#[test]
fn no_bytes_in_a_file_of_another_tool_make_a_reader_panic() {
    mutate(DOCKERFILE.as_bytes(), b"\\\n[]\"'=:<$# ", 200, |data| {
        drop(flask("Dockerfile", &String::from_utf8_lossy(data)));
    });
}
