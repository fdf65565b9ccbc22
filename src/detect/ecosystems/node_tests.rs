//! Small trees of Node.js: what is started, what that needs, what of it is told.

use super::compiled_tests::{only, services};
use crate::detect::Service;

fn commands(service: &Service) -> Vec<&str> {
    let build = &service.spec.build;
    let early = build.dependencies.iter().flat_map(|step| &step.commands);
    early.chain(&build.commands).map(String::as_str).collect()
}

const SERVER: (&str, &str) =
    ("server.js", "require('http').createServer(f).listen(process.env.PORT || 3000)\n");

/// The command of a package with these scripts and these other members.
#[track_caller]
fn started(scripts: &str, members: &str) -> (String, bool) {
    let manifest = format!("{{\"name\": \"a\", \"scripts\": {scripts}{members}}}");
    let lock = "{\"lockfileVersion\": 3}";
    let found = only(&[("package.json", &manifest), ("package-lock.json", lock), SERVER]);
    let is_pruned = commands(&found).iter().any(|command| command.contains("--omit=dev"));
    (found.spec.runtime.command.join(" "), is_pruned)
}

#[test]
fn every_program_that_the_start_names_is_in_the_image() {
    let check = |scripts: &str, expected: &str| {
        let (command, _) = started(scripts, ", \"dependencies\": {\"express\": \"4\"}");
        assert_eq!(command, expected, "{scripts}");
    };
    check(r#"{"start": "pnpm serve", "serve": "node server.js"}"#, "node server.js");
    check(
        r#"{"start": "yarn migrate && A=b bun run serve", "migrate": "node m.js", "serve": "node server.js"}"#,
        "/bin/sh -c node m.js && A=b node server.js",
    );
    check(
        r#"{"start": "npm-run-all db:* serve", "db:a": "node a", "db:b": "node b", "serve": "node server.js"}"#,
        "/bin/sh -c node a && node b && exec node server.js",
    );
    check(
        r#"{"start": "run-s db serve", "db": "npm run m && node s", "m": "node m", "serve": "node server.js"}"#,
        "/bin/sh -c node m && node s && exec node server.js",
    );
    check(
        r#"{"start": "run-p web:*", "web:a": "node server.js", "web:b": "node b.js"}"#,
        "npm run start",
    );
    check(r#"{"start": "concurrently \"npm:dev\" \"vite\"", "dev": "vite"}"#, "node server.js");
}

#[test]
fn what_the_start_runs_is_not_pruned() {
    let check = |start: &str, dev: &str, is_pruned: bool| {
        let scripts = format!("{{\"start\": \"{start}\"}}");
        let members = format!(
            ", \"dependencies\": {{\"express\": \"4\", \"sequelize\": \"6\"}}, \"devDependencies\": {{\"{dev}\": \"1\"}}"
        );
        assert_eq!(started(&scripts, &members).1, is_pruned, "{start}");
    };
    check("dotenv -- node server.js", "dotenv-cli", false);
    check("sequelize db:migrate && node server.js", "sequelize-cli", false);
    check("node -r dotenv/config server.js", "dotenv", false);
    check("node --import @swc-node/register server.js", "@swc-node/register", false);
    check("node node_modules/.bin/tool server.js", "tool", false);
    check("cross-env A=b mkdir x && node server.js", "cross-env", false);
    check("cross-env A=b node server.js", "cross-env", true);
    check("knowsnobody serve", "jest", false);
    check("mkdir -p data && node server.js", "jest", true);
    check("node server.js", "dotenv-cli", true);
}

#[test]
fn the_lock_file_tells_whose_program_it_is() {
    let lock = |dev: &str| {
        format!(
            "{{\"lockfileVersion\": 3, \"packages\": {{\"node_modules/@x/tools\": {{{dev}\"bin\": {{\"serve-it\": \"c.js\"}}}}}}}}"
        )
    };
    let manifest = r#"{"scripts": {"start": "serve-it server.js"}, "dependencies": {"express": "4"}, "devDependencies": {"jest": "1"}}"#;
    let check = |dev: &str, is_pruned: bool| {
        let lock = lock(dev);
        let found = only(&[("package.json", manifest), ("package-lock.json", &lock), SERVER]);
        assert_eq!(commands(&found)[0].contains("--omit=dev"), is_pruned);
    };
    check("", true);
    check("\"dev\": true, ", false);
}

#[test]
fn a_procfile_may_name_programs_of_dependencies() {
    let manifest = r#"{"scripts": {"start": "node server.js"}, "dependencies": {"pm2": "5"}}"#;
    let found = only(&[
        ("package.json", manifest),
        ("pnpm-lock.yaml", "lockfileVersion: '9.0'\n"),
        ("Procfile", "web: pm2-runtime server.js\n"),
        SERVER,
    ]);
    assert_eq!(found.spec.runtime.command, ["pm2-runtime", "server.js"]);
    assert!(found.spec.runtime.env["PATH"].starts_with("/app/node_modules/.bin:"));
    assert_eq!(services(&[("package.json", "{}"), SERVER]).len(), 1);
}
