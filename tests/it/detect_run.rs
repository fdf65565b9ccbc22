//! Projects that are detected, built by a daemon, run by an engine and asked over HTTP.
//!
//! Each is an example of `tests/examples` with dependencies from its ecosystem's registry. What these machines can't
//! have: a newer Gradle than Debian's 4.4 (its distributions come from a server of its own, no registry has them), and
//! the registries of gems and of Composer's packages, for which the stand-ins for the images of Ruby and PHP bring some
//! packages of Debian (`tests/testbed/images`).

use std::{fs, path::Path};

use crate::support::{
    daemon,
    docker::{Container, Engine},
    peelbox::Run,
    workdir::Workdir,
};

/// For the variable `PORT`: no framework's default.
const PORT: u16 = 7123;

/// A copy of an example, whose spec is detected.
struct Project<'a> {
    name: &'a str,
    work: Workdir,
    engine: Engine,
}

impl<'a> Project<'a> {
    fn detect(name: &'a str) -> Self {
        let (work, engine) = (Workdir::new(), Engine::containerd(name));
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples").join(name);
        copy(&example, &work.path(name));
        fs::remove_file(work.path(name).join("expected.json")).unwrap();
        let run = work.peelbox().args(["detect", "--strict", name, "-o", "universalbuild.json"]);
        drop(run.run().ok());
        let spec = fs::read_to_string(work.spec()).unwrap();
        assert_eq!(spec, fs::read_to_string(example.join("expected.json")).unwrap());
        Self { name, work, engine }
    }

    /// Builds a service (`""`: the only one) and loads the image.
    fn build(&self, service: &str) -> Run {
        let spec = self.work.spec().to_str().unwrap();
        let buildkit = daemon::newest();
        let tag = self.engine.tag(self.tag(service));
        let args = ["build", "--spec", spec, "--context", self.name, "--buildkit", &buildkit];
        let mut peelbox = self.work.peelbox().args(args);
        if !service.is_empty() {
            peelbox = peelbox.args(["--service", service]);
        }
        let args = ["--tag", &tag, "--progress", "rawjson"];
        peelbox.args(args).env("DOCKER_HOST", self.engine.host()).run().ok()
    }

    fn tag<'b>(&self, service: &'b str) -> &'b str {
        if service.is_empty() { "only" } else { service }
    }

    /// Runs the image as a platform would: with the port that it chose.
    fn run(&self, service: &str, port: u16) -> Container<'_> {
        let container = self.engine.run_with(
            &self.engine.tag(self.tag(service)),
            port,
            &["--env", &format!("PORT={PORT}")],
        );
        assert_ne!(container.uid(), 0, "{} runs as root", self.name);
        container
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

fn ask(container: &Container<'_>, path: &str, expected: &str) {
    let (status, body) = container.get(path);
    assert!(status.contains(" 200 ") && body.contains(expected), "{path}: {status}\n{body}");
}

/// From its folder to an answer.
fn check(name: &str, expected: &str) {
    let project = Project::detect(name);
    drop(project.build(""));
    ask(&project.run("", PORT), "/", expected);
}

#[test]
fn a_project_of_npm_answers() {
    check("runs-node-npm", "Hello from npm: function");
}

#[test]
fn a_project_of_pnpm_in_typescript_answers() {
    check("runs-node-pnpm", "Hello from pnpm");
}

#[test]
fn a_project_of_yarn_answers() {
    check("runs-node-yarn", "Hello from yarn");
}

#[test]
fn a_project_of_bun_answers() {
    check("runs-bun", "Hello from bun");
}

#[test]
fn a_project_of_pip_answers() {
    check("runs-python-pip", "Hello from pip");
}

#[test]
fn a_project_of_poetry_answers() {
    check("runs-python-poetry", "Hello from poetry");
}

#[test]
fn a_project_of_uv_answers() {
    check("runs-python-uv", "Hello from uv");
}

#[test]
fn a_project_of_django_has_its_tables_its_static_files_and_its_folders() {
    check("runs-python-django", "Hello from django: 1 order, /static/orders/page.");
}

#[test]
fn a_project_of_python_is_started_by_its_own_script_after_its_migrations() {
    check("runs-python-script", "Hello from notes-serve: 1 note");
}

#[test]
fn a_project_of_go_answers() {
    check("runs-go", "Hello from go");
}

#[test]
fn a_program_of_go_finds_its_file_and_writes_its_database_beside_itself() {
    check("runs-go-store", "Hello from a store, visit ");
}

#[test]
fn a_project_of_rust_answers() {
    check("runs-rust", "Hello from rust");
}

#[test]
fn a_project_of_maven_answers() {
    check("runs-java-maven", "Hello from maven");
}

#[test]
fn a_project_of_gradle_answers() {
    check("runs-java-gradle", "Hello from gradle");
}

#[test]
fn a_project_of_ruby_answers() {
    check("runs-ruby", "Hello from ruby");
}

#[test]
fn a_project_of_php_answers() {
    check("runs-php", "Hello from php");
}

#[test]
fn a_project_of_perl_answers_and_writes_beside_itself() {
    check("runs-perl", "Hello from perl");
}

#[test]
fn a_project_of_lua_answers() {
    check("runs-lua", "Hello from lua");
}

#[test]
fn files_for_a_browser_are_served() {
    check("runs-static", "Hello from files");
}

#[test]
fn both_services_of_a_monorepo_answer_and_an_edit_keeps_their_dependencies() {
    let project = Project::detect("runs-pnpm-monorepo");
    for (service, source, text, path) in [
        ("api", "apps/api/server.js", "Hello from the monorepo: api", "/"),
        // An address of its router: the first page answers.
        ("web", "apps/web/index.html", "Hello from the web", "/any/page"),
    ] {
        drop(project.build(service));
        ask(&project.run(service, PORT), path, text);

        let source = project.work.path(project.name).join(source);
        // Never seen by any daemon before, so nothing of it can be in its cache.
        let edited = format!("edited {}", project.work.root().display());
        let before = fs::read_to_string(&source).unwrap();
        let word = if service == "api" { ": api" } else { "Hello from the web" };
        assert!(before.contains(word), "{before}");
        fs::write(&source, before.replace(word, &edited)).unwrap();
        let steps = project.build(service).steps();
        for part in ["npm install -g pnpm@", "pnpm install --frozen-lockfile"] {
            assert!(steps.is_cached(part), "`{part}` of {service} does not depend on the source");
        }
        assert!(!steps.is_cached("copy context"), "{steps:#?}");
        ask(&project.run(service, PORT), path, &edited);
    }
}
