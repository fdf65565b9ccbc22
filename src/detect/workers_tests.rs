//! Processes beside a server in small trees.

use std::fs;

use super::{Family, Service, detect};

fn services(files: &[(&str, &str)]) -> (Vec<Service>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join("shop").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let found = detect(&dir.path().join("shop"), Family::Official).unwrap();
    (found.services, found.notes)
}

/// `name: command` of each service, with `(port)` for one that listens.
#[track_caller]
fn check(files: &[(&str, &str)], expected: &[&str]) {
    let (services, notes) = services(files);
    let told = |service: &Service| {
        let name = service.spec.metadata.project_name.clone().unwrap_or_default();
        let ports: String =
            service.spec.runtime.ports.iter().map(|port| format!(" ({port})")).collect();
        format!("{name}: {}{ports}", service.spec.runtime.command.join(" "))
    };
    assert_eq!(services.iter().map(told).collect::<Vec<_>>(), expected, "{notes:?}");
    let first = &services[0].spec;
    for service in &services[1..] {
        assert_eq!(service.spec.build, first.build, "the steps are the same");
        assert_eq!(service.spec.runtime.copy, first.runtime.copy);
        assert!(service.spec.runtime.health.is_none());
    }
}

const FLASK: (&str, &str) = (
    "app.py",
    "from flask import Flask\napp = Flask(__name__)\n@app.route(\"/healthz\")\ndef up(): return \"\"\n",
);

#[test]
fn each_process_of_a_procfile_is_a_service_with_the_build_of_the_server() {
    let procfile = "release: flask db upgrade\nweb: gunicorn app:app -b 0.0.0.0:$PORT\nworker: rq worker\nbackground_clock: python clock.py\nadmin: gunicorn admin:app -b :$PORT\nredis: redis-server\ncss: npm run css:watch\n";
    let files = [FLASK, ("requirements.txt", "flask\ngunicorn\nrq\n"), ("Procfile", procfile)];
    check(
        &files,
        &[
            "shop: /bin/sh -c exec gunicorn app:app -b 0.0.0.0:$PORT (5000)",
            "shop-worker: rq worker",
            "shop-background-clock: python clock.py",
            "shop-admin: /bin/sh -c exec gunicorn admin:app -b :$PORT (5000)",
        ],
    );
    let (services, _) = services(&files);
    let reasoning = |at: usize| services[at].spec.metadata.reasoning.clone().unwrap();
    assert!(
        reasoning(0).contains("release command flask db upgrade (Procfile release, Procfile:1)")
    );
    assert!(reasoning(1).contains("start command rq worker (Procfile worker, Procfile:3)"));
    assert!(reasoning(1).contains("no port was found"));
}

#[test]
fn a_procfile_of_another_language_adds_no_processes() {
    let procfile = ("Procfile", "web: npm start\nworker: npm run worker\n");
    check(
        &[FLASK, ("requirements.txt", "flask\n"), procfile],
        &["shop: /bin/sh -c exec gunicorn --bind 0.0.0.0:$PORT app:app (5000)"],
    );
}

#[test]
fn a_process_whose_image_holds_no_sources_is_told() {
    let server =
        "package main\nimport \"net/http\"\nfunc main() { http.ListenAndServe(\":8080\", nil) }\n";
    let files = [
        ("go.mod", "module a.dev/shop\ngo 1.22\n"),
        ("main.go", server),
        ("Procfile", "clock: bin/clock\nworker: bin/worker\n"),
    ];
    let (services, notes) = services(&files);
    assert_eq!(services.len(), 1);
    assert!(
        notes.iter().any(|note| note.starts_with("Procfile:2: no service for `worker`")),
        "{notes:?}"
    );
}

#[test]
fn a_process_that_runs_the_servers_program_with_other_arguments_has_it_where_the_image_has_it() {
    let files = [
        (
            "Cargo.toml",
            "[package]\nname = \"shop\"\nversion = \"1.0.0\"\n[dependencies]\naxum = \"0.8\"\n",
        ),
        ("src/main.rs", "fn main() { axum::serve(TcpListener::bind(\"0.0.0.0:3000\"), app) }\n"),
        (
            "Procfile",
            "web: ./target/release/shop server\nworker: ./target/release/shop work --all\n",
        ),
    ];
    check(&files, &["shop: /app/shop server (3000)", "shop-worker: /app/shop work --all"]);
}

#[test]
fn a_process_is_run_without_the_manager_that_only_the_build_has() {
    let lines = |files: &[(&str, &str)]| -> Vec<String> {
        services(files).0.iter().map(|service| service.spec.runtime.command.join(" ")).collect()
    };
    let pyproject = "[tool.poetry]\nname = \"shop\"\nversion = \"1\"\n[tool.poetry.dependencies]\npython = \"^3.12\"\nflask = \"^3\"\nrq = \"^1\"\n";
    let poetry = [
        FLASK,
        ("pyproject.toml", pyproject),
        ("Procfile", "web: poetry run flask run\nworker: poetry run rq worker\n"),
    ];
    assert_eq!(lines(&poetry), ["flask run", "rq worker"]);
    let pnpm = [
        (
            "package.json",
            r#"{"name":"shop","dependencies":{"express":"4"},"scripts":{"start":"node server.js","jobs":"node jobs.js --all"}}"#,
        ),
        ("pnpm-lock.yaml", "lockfileVersion: '9.0'\n"),
        ("server.js", "require('express')().listen(process.env.PORT||3000)"),
        ("Procfile", "web: pnpm start\nworker: pnpm jobs\n"),
    ];
    assert_eq!(lines(&pnpm), ["node server.js", "node jobs.js --all"]);
    let gems = "gem 'sinatra'\ngem 'puma'\ngem 'rake'\n";
    let ruby =
        [("Gemfile", gems), ("config.ru", ""), ("Procfile", "web: puma\nworker: rake work\n")];
    assert_eq!(lines(&ruby), ["bundle exec puma", "bundle exec rake work"]);
}

#[test]
fn workers_of_queues_are_services_where_no_procfile_names_processes() {
    let celery = [
        FLASK,
        ("requirements.txt", "flask\ncelery[redis]\n"),
        (
            "queues/main.py",
            "from celery import Celery\nqueue = Celery('x')\nqueue.conf.beat_schedule = {}\n",
        ),
    ];
    check(
        &celery,
        &[
            "shop: /bin/sh -c exec gunicorn --bind 0.0.0.0:$PORT app:app (5000)",
            "shop-worker: celery -A queues.main:queue worker --loglevel INFO",
            "shop-clock: celery -A queues.main:queue beat --loglevel INFO --schedule /tmp/celerybeat-schedule",
        ],
    );
    let rails = |gem: &'static str, deploy: &'static str| {
        vec![
            ("Gemfile", gem),
            (
                "config/application.rb",
                "module Shop\n class Application < Rails::Application\n  config.api_only = true\n end\nend\n",
            ),
            ("config/environment.rb", ""),
            ("config.ru", "run Rails.application\n"),
            ("bin/jobs", ""),
            ("bin/rails", ""),
            ("config/deploy.yml", deploy),
        ]
    };
    let server = "shop: bundle exec rails server -b 0.0.0.0 (3000)";
    check(
        &rails("gem 'rails'\ngem 'sidekiq'\n", ""),
        &[server, "shop-worker: bundle exec sidekiq"],
    );
    let solid = "gem 'rails'\ngem 'solid_queue'\n";
    check(&rails(solid, ""), &[server, "shop-worker: bundle exec ruby bin/jobs"]);
    check(&rails(solid, "env:\n  clear:\n    SOLID_QUEUE_IN_PUMA: true\n"), &[server]);
    let laravel = [
        ("composer.json", r#"{"require":{"laravel/framework":"^11","laravel/horizon":"^5"}}"#),
        ("artisan", ""),
        ("public/index.php", "<?php\n"),
        ("routes/console.php", "<?php\nSchedule::command('x')->daily();\n"),
    ];
    check(
        &laravel,
        &[
            "shop: apache2-foreground (8080)",
            "shop-worker: php artisan horizon",
            "shop-clock: php artisan schedule:work",
        ],
    );
    let node = [
        (
            "package.json",
            r#"{"name":"shop","dependencies":{"express":"4","bullmq":"5"},"scripts":{"start":"node server.js","worker":"node worker.js"}}"#,
        ),
        ("server.js", "require('express')().listen(process.env.PORT||3000)"),
        ("worker.js", ""),
    ];
    check(&node, &["shop: node server.js (3000)", "shop-worker: node worker.js"]);
}
