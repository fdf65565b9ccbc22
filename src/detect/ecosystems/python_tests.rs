//! Small projects in Python: what is started, and what has to be there for that.

use super::compiled_tests::{only, services};
use crate::detect::Service;

fn command(service: &Service) -> &str {
    service.spec.runtime.command.last().map(String::as_str).unwrap_or_default()
}

#[track_caller]
fn starts(files: &[(&str, &str)], line: &str) -> Service {
    let service = only(files);
    let command = service.spec.runtime.command.join(" ");
    assert_eq!(command.trim_start_matches("/bin/sh -c exec "), line);
    service
}

const GUARD: &str = "if __name__ == '__main__':\n    main()\n";
const FASTAPI: &str = "from fastapi import FastAPI\napp = FastAPI()\n";
const MANAGE: &str =
    "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n";

#[test]
fn of_several_programs_the_one_that_serves_is_started() {
    let serves = format!(
        "from http.server import HTTPServer\ndef main(): HTTPServer(('', 8099), X).serve_forever()\n{GUARD}"
    );
    let client = format!("import urllib.request\ndef main(): print(1)\n{GUARD}");
    let tool = format!("def main(): print(2)\n{GUARD}");
    let found =
        starts(&[("sync.py", &serves), ("main.py", &client), ("dump.py", &tool)], "python sync.py");
    assert_eq!(found.spec.runtime.ports, [8099]);
    starts(&[("zeta.py", &serves), ("ask.py", &client)], "python zeta.py");
    let starter = format!("from sync import main\n{GUARD}");
    starts(&[("sync.py", &serves), ("main.py", &starter)], "python main.py");
}

#[test]
fn a_build_hook_is_no_program() {
    let hook = "class CustomBuildHook: pass\n";
    let found = services(&[
        ("pyproject.toml", "[project]\nname = 'x'\n[build-system]\n"),
        ("hatch_build.py", hook),
    ]);
    assert!(found.iter().all(|service| service.spec.runtime.command.is_empty()));
}

#[test]
fn a_root_file_that_launches_the_application_comes_before_its_module() {
    let launch = "import uvicorn\nfrom shop.web import app\nif __name__ == '__main__':\n    uvicorn.run(app, host='0.0.0.0', port=8123)\n";
    let files = |launch| {
        [
            ("requirements.txt", "fastapi\nuvicorn\n"),
            ("shop/web.py", FASTAPI),
            ("launch.py", launch),
        ]
    };
    let found = starts(&files(launch), "python launch.py");
    assert_eq!(found.spec.runtime.ports, [8123]);
    // One for development, or that only this machine reaches, serves nobody.
    let reloads = launch.replace("port=8123", "reload=True");
    let local = launch.replace("0.0.0.0", "127.0.0.1");
    let server = "uvicorn --host 0.0.0.0 --port $PORT shop.web:app";
    starts(&files(&reloads), server);
    starts(&files(&local), server);
    let page = "import gradio as gr\ndemo = gr.Blocks()\n";
    let run = "from ui.page import demo\nif __name__ == '__main__':\n    demo.launch()\n";
    starts(
        &[("requirements.txt", "gradio\n"), ("ui/page.py", page), ("run_ui.py", run)],
        "python run_ui.py",
    );
}

#[test]
fn a_script_of_the_project_that_serves_comes_before_a_server_of_ours() {
    let manifest = "[project]\nname = 'shop'\nversion = '1'\ndependencies = ['fastapi', 'uvicorn']\n[project.scripts]\nshop-dump = 'shop.dump:main'\nshop-web = 'shop.main:run'\n[build-system]\nrequires = ['hatchling']\nbuild-backend = 'hatchling.build'\n";
    let main = format!(
        "import uvicorn\n{FASTAPI}def run():\n    uvicorn.run(app, host='0.0.0.0', port=8124)\n"
    );
    let files = |main| {
        [
            ("pyproject.toml", manifest),
            ("src/shop/main.py", main),
            ("src/shop/dump.py", "def main(): pass\n"),
        ]
    };
    let found = starts(&files(&main), "shop-web");
    assert_eq!(found.spec.runtime.ports, [8124]);
    assert!(
        found.spec.build.commands.iter().any(|line| line.contains("pip install")),
        "{:?}",
        found.spec.build.commands
    );
    let local = main.replace("0.0.0.0", "127.0.0.1");
    assert!(command(&only(&files(&local))).contains("exec uvicorn"));
}

#[test]
fn an_application_that_only_the_project_s_program_completes_is_started_by_it() {
    let manifest = "[project]\nname = 'Shop'\nversion = '1'\ndependencies = ['flask', 'fastapi']\n[project.scripts]\nshop-dump = 'shop.dump:main'\nshop = 'shop:main'\n[build-system]\nrequires = ['hatchling']\n";
    let check = |web: &str, server: &str, line: &str| {
        let files = [
            ("pyproject.toml", manifest),
            ("src/shop/__init__.py", "def main(): pass\n"),
            ("src/shop/web/site.py", web),
            ("src/shop/server.py", server),
        ];
        starts(&files, line);
    };
    let server = "from gevent.pywsgi import WSGIServer\nWSGIServer((host, port), app)\n";
    let in_class = "from flask import Flask\nclass Web:\n    def __init__(self, env):\n        self.app = Flask(__name__)\n";
    check(in_class, server, "shop");
    let set = "from flask import Flask\napp = Flask('shop')\nclass Server:\n    def run(self):\n        global app\n        setup(app)\n";
    check(set, server, "shop");
    let api = "from fastapi import FastAPI\nclass Api:\n    def __init__(self, args):\n        self._app = FastAPI()\n";
    check(api, "import uvicorn\nuvicorn.Server(config=config)\n", "shop");
    // A complete one is served as it is, and a server for development is never the start.
    let whole = "from flask import Flask\napp = Flask('shop')\n";
    check(whole, server, "gunicorn --bind 0.0.0.0:$PORT shop.web.site:app");
    check(in_class, "", "python src/shop/web/site.py");
    let block =
        "from flask import Flask\ntry:\n    app = Flask('shop')\nexcept OSError:\n    raise\n";
    check(block, server, "gunicorn --bind 0.0.0.0:$PORT shop.web.site:app");
}

#[test]
fn a_root_file_that_starts_the_server_of_its_package_is_the_program() {
    let main = format!(
        "import shop\nfrom shop import web\ndef main():\n    shop.initialize()\n    web.start()\n{GUARD}"
    );
    let web = "import cherrypy\ndef start():\n    cherrypy.server.start()\n";
    let files = [
        ("requirements.txt", "cherrypy\n"),
        ("Shop.py", main.as_str()),
        ("shop/__init__.py", "HTTP_PORT = 8181\n"),
        ("shop/web.py", web),
    ];
    starts(&files, "python Shop.py");
    // Another program beside it does not start it.
    let tool = format!("import json\ndef main(): print(1)\n{GUARD}");
    let other = [("requirements.txt", "cherrypy\n"), ("tool.py", &*tool), ("shop/web.py", web)];
    starts(&other, "python shop/web.py");
}

#[test]
fn a_manager_in_front_of_a_procfiles_command_is_left_out() {
    let app = "from flask import Flask\napp = Flask(__name__)\n";
    let check = |manifest: (&str, &str), line: &str, want: &str| {
        starts(&[manifest, ("app.py", app), ("Procfile", line)], want);
    };
    const POETRY: &str = "[tool.poetry]\nname = 'a'\n[tool.poetry.dependencies]\npython = '^3.11'\nflask = '*'\ngunicorn = '*'\n";
    const PDM: &str = "[project]\nname = 'a'\ndependencies = ['flask', 'gunicorn']\n[tool.pdm.scripts]\nweb = 'gunicorn app:app'\nall = {cmd = 'gunicorn a:b'}\n";
    check(("pyproject.toml", POETRY), "web: poetry run gunicorn app:app\n", "gunicorn app:app");
    check(
        ("pyproject.toml", POETRY),
        "web: poetry run alembic x && poetry run gunicorn app:app\n",
        "/bin/sh -c alembic x && gunicorn app:app",
    );
    check(("pyproject.toml", PDM), "web: pdm run web -b :$PORT\n", "gunicorn app:app -b :$PORT");
    check(("pyproject.toml", PDM), "web: pdm run all\n", "gunicorn a:b");
    check(
        ("Pipfile", "[packages]\nflask = '*'\n[scripts]\nserve = 'python app.py'\n"),
        "web: pipenv run serve\n",
        "python app.py",
    );
    check(
        ("requirements.txt", "flask\n"),
        "web: uv run --frozen --no-sync python app.py\n",
        "python app.py",
    );
}

#[test]
fn what_uv_adds_goes_into_the_environment_of_the_image() {
    let manifest = "[project]\nname = 'a'\nversion = '1'\ndependencies = ['fastapi']\n[tool.uv]\n";
    let found = only(&[("pyproject.toml", manifest), ("uv.lock", ""), ("main.py", FASTAPI)]);
    let install = found.spec.build.dependencies.iter().flat_map(|step| &step.commands);
    assert!(install.into_iter().any(|line| line == "uv pip install --python /opt/venv uvicorn"));
}

#[test]
fn django_is_served_with_its_settings_whatever_its_files_are() {
    let settings = "ROOT_URLCONF = 'shop.urls'\n";
    let bare =
        [("requirements.txt", "django\n"), ("manage.py", MANAGE), ("shop/settings.py", settings)];
    let found =
        starts(&bare, "gunicorn --bind 0.0.0.0:$PORT 'django.core.wsgi:get_wsgi_application()'");
    assert_eq!(found.spec.runtime.env["DJANGO_SETTINGS_MODULE"], "shop.settings");
    let wsgi =
        "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n";
    let found = starts(
        &[("requirements.txt", "django\n"), ("site/wsgi.py", wsgi)],
        "gunicorn --bind 0.0.0.0:$PORT site.wsgi:application",
    );
    assert_eq!(found.spec.metadata.framework.as_deref(), Some("django"));
    starts(
        &[
            ("requirements.txt", "django\nuwsgi\n"),
            ("manage.py", MANAGE),
            ("shop/settings.py", ""),
            ("shop/wsgi.py", wsgi),
        ],
        "uwsgi --http 0.0.0.0:$PORT --master --module shop.wsgi --callable application",
    );
}

#[test]
fn django_finds_what_its_settings_name() {
    let base = "from pathlib import Path\nBASE_DIR = Path(__file__).resolve().parent.parent.parent\nSTATIC_ROOT = BASE_DIR / 'static'\nMEDIA_ROOT = BASE_DIR / 'media'\nSMALL = {'ENGINE': 'django.db.backends.sqlite3', 'NAME': BASE_DIR / 'data' / 'db.sqlite3'}\n";
    let production = "from .base import *\nDATABASES = {'default': SMALL}\nSTORAGES = 'django.contrib.staticfiles.storage.ManifestStaticFilesStorage'\n";
    let wsgi = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings.production')\napplication = get_wsgi_application()\n";
    let urls = "urlpatterns = [\n    path('api/', include('shop.api')),\n]\n";
    let found = only(&[
        ("requirements.txt", "django\n"),
        ("manage.py", MANAGE),
        ("shop/wsgi.py", wsgi),
        ("shop/settings/__init__.py", "from .local import *\n"),
        ("shop/settings/base.py", &format!("{base}ROOT_URLCONF = 'shop.urls'\n")),
        ("shop/settings/local.py", "from .base import *\nDATABASES = {'ENGINE': 'postgres'}\n"),
        ("shop/settings/production.py", production),
        ("shop/urls.py", urls),
        ("shop/api.py", "urlpatterns = [path('health/', view)]\n"),
    ]);
    let env = "DJANGO_SETTINGS_MODULE=shop.settings.production ";
    let commands = &found.spec.build.commands;
    assert_eq!(commands[0], "mkdir -p data media");
    assert_eq!(commands[1], format!("{env}python manage.py migrate --noinput"));
    assert_eq!(commands[2], format!("{env}python manage.py collectstatic --noinput"));
    assert!(commands[3].contains("chmod -R a+rwX"), "uploads lie beside the program");
    assert_eq!(found.spec.runtime.health.as_deref(), Some("/api/health/"));
}

#[test]
fn migrations_of_a_database_in_a_file_run_before_the_program() {
    let db = "engine = create_engine('sqlite:///shop.db')\n";
    let files = |db| {
        [
            ("requirements.txt", "fastapi\nuvicorn\nalembic\n"),
            ("alembic.ini", "[alembic]\nscript_location = migrations\n"),
            ("main.py", FASTAPI),
            ("db.py", db),
        ]
    };
    let found = only(&files(db));
    assert_eq!(
        command(&found),
        "alembic upgrade head && exec uvicorn --host 0.0.0.0 --port $PORT main:app"
    );
    assert!(
        !command(&only(&files("engine = create_engine('postgresql://x')\n"))).contains("alembic")
    );
    assert!(
        !command(&only(&files(
            "engine = create_engine('sqlite:///x')\nBase.metadata.create_all(engine)\n"
        )))
        .contains("alembic")
    );
    let flask = "from flask import Flask\nDB = 'sqlite:///x.db'\ndef create_app():\n    return Flask(__name__)\n";
    let found = only(&[
        ("requirements.txt", "flask\nflask-migrate\n"),
        ("migrations/alembic.ini", ""),
        ("shop/__init__.py", flask),
    ]);
    assert_eq!(
        command(&found),
        "flask --app shop db upgrade && exec gunicorn --bind 0.0.0.0:$PORT 'shop:create_app()'"
    );
}

fn packages(service: &Service) -> Vec<&str> {
    service.spec.runtime.packages.iter().map(String::as_str).collect()
}

#[test]
fn libraries_of_the_system_follow_what_gets_installed() {
    const LIB: &str =
        "[project]\nname = \"db-package\"\nversion = \"1\"\ndependencies = [\"psycopg\"]\n";
    let root = "[project]\nname = \"root\"\nversion = \"1\"\ndependencies = [\"db-package\"]\n";
    let member = format!(
        "{root}[tool.uv.workspace]\nmembers = [\"db\"]\n[tool.uv.sources]\ndb-package = {{workspace = true}}\n"
    );
    let path = format!("{root}[tool.uv.sources]\ndb-package = {{path = \"db\"}}\n");
    for manifest in [&member, &path] {
        let found = services(&[
            ("pyproject.toml", manifest),
            ("main.py", "import db\n"),
            ("db/pyproject.toml", LIB),
        ]);
        let found = found.iter().find(|service| service.dir == ".").unwrap();
        assert_eq!(packages(found), ["libpq5"], "{manifest}");
    }
    let lock = "[[package]]\nname = \"acme\"\nversion = \"1\"\n[package.dependencies]\npsycopg2 = \"*\"\n[[package]]\nname = \"psycopg2\"\nversion = \"2.9.10\"\n[[package]]\nname = \"selenium\"\nversion = \"4\"\n";
    let poetry =
        "[tool.poetry]\nname = 'a'\n[tool.poetry.dependencies]\npython = '^3.11'\nacme = '*'\n";
    let found =
        only(&[("pyproject.toml", poetry), ("poetry.lock", lock), ("main.py", "import acme\n")]);
    assert_eq!(packages(&found), ["libpq5"]);
    let found =
        only(&[("requirements.txt", "sqlalchemy[postgresql]\n"), ("main.py", "print(1)\n")]);
    assert_eq!(packages(&found), ["libpq5"]);
}

#[test]
fn a_pin_gets_its_image_and_one_that_is_not_understood_is_told() {
    let check = |pin: &str, base: &str, told: &str| {
        let found = only(&[
            ("requirements.txt", "flask\n"),
            (".python-version", pin),
            ("main.py", "print(1)\n"),
        ]);
        assert_eq!(super::compiled_tests::build_base(&found), base, "{pin}");
        let decision = found.decisions.iter().find(|one| one.what == crate::detect::What::Version);
        assert_eq!(decision.unwrap().rule.to_string(), told, "{pin}");
    };
    check("3.12.4\n", "python:3.12.4-bookworm", ".python-version");
    check("3.8.2\n", "python:3.8-bookworm", ".python-version `3.8.2`");
    check("myenv\n", "python:3.13-bookworm", "default, `myenv` is no version of Python");
}

#[test]
fn a_step_of_dependencies_sees_the_archives_that_it_installs() {
    let layer = |files: &[(&str, &str)]| {
        let found = only(files);
        found.spec.build.dependencies.first().map(|step| step.files.clone()).unwrap_or_default()
    };
    let pip = |line| {
        [
            ("requirements.txt", line),
            ("vendor/x-1-py3-none-any.whl", ""),
            ("wheels/y.whl", ""),
            ("main.py", "print(1)\n"),
        ]
    };
    assert_eq!(
        layer(&pip("flask\nvendor/x-1-py3-none-any.whl\n")),
        ["requirements.txt", "vendor/x-1-py3-none-any.whl"]
    );
    assert_eq!(
        layer(&pip("x @ file:./vendor/x-1-py3-none-any.whl\n")),
        ["requirements.txt", "vendor/x-1-py3-none-any.whl"]
    );
    assert_eq!(layer(&pip("--find-links ./wheels\ny\n")), ["requirements.txt", "wheels"]);
    // One that is not there is nothing that can be told: the step sees everything.
    assert!(layer(&pip("./lib\n")).is_empty());
    let uv = "[project]\nname = 'a'\nversion = '1'\ndependencies = ['x']\n[tool.uv.sources]\nx = {path = 'vendor/x-1-py3-none-any.whl'}\n";
    let files = [
        ("pyproject.toml", uv),
        ("uv.lock", ""),
        ("vendor/x-1-py3-none-any.whl", ""),
        ("main.py", "print(1)\n"),
    ];
    assert_eq!(layer(&files), ["pyproject.toml", "uv.lock", "vendor/x-1-py3-none-any.whl"]);
}

#[test]
fn a_program_that_another_starts_is_there() {
    let video = "import subprocess\nsubprocess.run([\"ffmpeg\", \"-i\", x])\n";
    let found = only(&[("requirements.txt", "flask\n"), ("main.py", video)]);
    assert_eq!(packages(&found), ["ffmpeg"]);
    let check = |text: &str, name: &'static [&'static str]| {
        let text = format!("import subprocess\n{text}\nprint(1)\n");
        let found = only(&[("requirements.txt", "flask\n"), ("main.py", &text)]);
        assert_eq!(packages(&found), name, "{text}");
    };
    check("tag = subprocess.check_output(['git', 'describe'])", &["git"]);
    check("ref = subprocess_run(\"git rev-parse HEAD\")", &["git"]);
    check("git = shutil.which('git')", &["git"]);
    check("subprocess.run([\n    \"convert\", a, b])", &[]);
    check("subprocess.run(f'convert {a} {b}', shell=True)", &["imagemagick"]);
    check("# subprocess.run(['git'])", &[]);
    check("print('git is a program')", &[]);
    let names = ("main.py", "tags = ['git', 'svn']\nprint(1)\n");
    assert!(packages(&only(&[("requirements.txt", "flask\n"), names])).is_empty());
}

#[test]
fn a_browser_that_runs_elsewhere_is_not_installed() {
    let check = |text: &str, name: &[&str]| {
        let text = format!("from selenium import webdriver\n{text}\n");
        let found = only(&[("requirements.txt", "selenium\n"), ("main.py", &text)]);
        assert_eq!(packages(&found), name, "{text}");
    };
    check("driver = webdriver.Chrome(options=options)", &["chromium", "chromium-driver"]);
    check("driver = webdriver.Firefox()", &["firefox-esr"]);
    check("driver = webdriver.Remote(command_executor=url, options=o)", &[]);
    let tests = ("tests/ui.py", "from selenium import webdriver\nwebdriver.Chrome()\n");
    let files = [("requirements.txt", "selenium\n"), tests, ("main.py", "print(1)\n")];
    assert!(packages(&only(&files)).is_empty());
}

#[test]
fn a_project_that_its_sources_describe_is_installed_with_them() {
    let check = |more: &str, lock: Option<&str>, is_early: bool| {
        let manifest = format!(
            "[project]\nname = 'a'\ndependencies = ['fastapi']\n{more}[build-system]\nrequires = ['setuptools']\n[tool.uv]\n"
        );
        let mut files = vec![("pyproject.toml", &*manifest), ("main.py", FASTAPI)];
        files.extend(lock.map(|text| ("uv.lock", text)));
        let found = only(&files);
        let layers = &found.spec.build.dependencies;
        let early = layers.iter().flat_map(|step| &step.commands);
        assert_eq!(early.into_iter().any(|line| line.contains("uv sync")), is_early, "{more}");
        let late = &found.spec.build.commands;
        assert!(late.iter().any(|line| line.contains("uv sync") && line.contains("no-editable")));
    };
    check("dynamic = ['version']\n", None, false);
    check("version = '1'\n", None, true);
    check("dynamic = ['version']\n", Some(""), true);
}

#[test]
fn django_runs_in_the_folder_that_its_settings_are_imported_from() {
    let manage = "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'site'))\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'core.settings')\n";
    let wsgi = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'core.settings')\napplication = get_wsgi_application()\n";
    let static_root = "STATIC_ROOT = '/x'\nINSTALLED = 'whitenoise'\n";
    for settings in ["core/settings.py", "core/settings/__init__.py"] {
        let found = starts(
            &[
                ("requirements.txt", "django\n"),
                ("manage.py", manage),
                (&format!("site/{settings}"), static_root),
                ("site/core/wsgi.py", wsgi),
            ],
            "gunicorn --bind 0.0.0.0:$PORT core.wsgi",
        );
        assert_eq!(found.spec.runtime.workdir.as_deref(), Some("/app/site"), "{settings}");
        let commands = &found.spec.build.commands;
        assert!(commands.iter().any(|line| line == "python manage.py collectstatic --noinput"));
    }
}

#[test]
fn a_program_that_drives_a_browser_has_one() {
    let page = "from playwright.sync_api import sync_playwright\nprint(p.firefox.launch())\n";
    let found = only(&[("requirements.txt", "playwright\n"), ("main.py", page)]);
    assert_eq!(found.spec.build.commands, ["playwright install firefox"]);
    assert_eq!(found.spec.runtime.env["PLAYWRIGHT_BROWSERS_PATH"], "/opt/browsers");
    assert!(packages(&found).contains(&"libnss3"));
    assert!(found.spec.runtime.copy.iter().any(|copy| copy.to == "/opt/browsers"));
    let tests =
        [("requirements.txt", "playwright\n"), ("tests/ui.py", page), ("main.py", "print(1)\n")];
    assert!(packages(&only(&tests)).is_empty());
}
