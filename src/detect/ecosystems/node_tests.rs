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

fn install(files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let found = only(&[files, &[SERVER]].concat());
    (found.spec.build.dependencies[0].files.clone(), found.spec.build.packages)
}

#[test]
fn the_install_sees_all_that_manifests_and_settings_refer_to() {
    let check = |files: &[(&str, &str)], expected: &[&str]| {
        let (seen, _) = install(files);
        assert!(
            expected.iter().all(|path| seen.iter().any(|s| s == path)),
            "{seen:?} {expected:?}"
        );
    };
    let with =
        |members: &str| format!("{{\"scripts\": {{\"start\": \"node server.js\"}}, {members}}}");
    let archive =
        with("\"dependencies\": {\"x\": \"file:./vendor/lib/x.tgz\", \"y\": \"link:../y\"}");
    check(&[("package.json", &archive), ("vendor/lib/x.tgz", "")], &["vendor/lib/x.tgz"]);
    let patched = with(
        "\"dependencies\": {\"x\": \"1\"}, \"pnpm\": {\"patchedDependencies\": {\"x\": \"fixes/x.patch\"}}",
    );
    check(&[("package.json", &patched), ("fixes/x.patch", "")], &["fixes/x.patch"]);
    let plain = with("\"dependencies\": {\"x\": \"1\"}");
    let settings = "packages:\n  - p\npatchedDependencies:\n  x: fixes/y.patch\n";
    check(
        &[("package.json", &plain), ("pnpm-workspace.yaml", settings), ("fixes/y.patch", "")],
        &["fixes/y.patch", "pnpm-workspace.yaml"],
    );
    check(
        &[
            ("package.json", &plain),
            ("yarn.lock", "# yarn lockfile v1\n"),
            (".yarnrc", "yarn-path \".yarn/releases/yarn.js\"\nyarn-offline-mirror \"./mirror\"\n"),
            (".yarn/releases/yarn.js", ""),
            ("mirror/x.tgz", ""),
        ],
        &[".yarn/releases/yarn.js", "mirror"],
    );
    check(
        &[("package.json", &plain), (".npmrc", "cafile=certs/ca.pem\n"), ("certs/ca.pem", "")],
        &["certs/ca.pem"],
    );
    let script =
        with("\"dependencies\": {\"x\": \"1\"}, \"overrides\": {\"y\": {\"z\": \"file:z.tgz\"}}");
    check(&[("package.json", &script), ("z.tgz", "")], &["z.tgz"]);
}

#[test]
fn a_reference_that_only_its_manager_knows_gives_the_install_the_whole_tree() {
    let manifest =
        r#"{"scripts": {"start": "node server.js"}, "dependencies": {"x": "exec:./x.js"}}"#;
    let found =
        only(&[("package.json", manifest), ("yarn.lock", "__metadata:\n  version: 8\n"), SERVER]);
    assert!(
        found.spec.build.dependencies.is_empty() && commands(&found)[1].contains("yarn install")
    );
}

#[test]
fn git_is_there_where_something_refers_to_a_repository() {
    let check = |members: &str, lock: (&str, &str), expected: bool| {
        let manifest = format!("{{\"scripts\": {{\"start\": \"node server.js\"}}, {members}}}");
        let (_, packages) = install(&[("package.json", &manifest), lock]);
        assert_eq!(packages.contains(&"git".to_owned()), expected, "{members} {lock:?}");
    };
    let (plain, none) = ("\"dependencies\": {\"x\": \"1\"}", ("README.md", ""));
    check(plain, none, false);
    check("\"dependencies\": {\"x\": \"someone/x\"}", none, true);
    check(
        "\"dependencies\": {\"x\": \"1\"}, \"overrides\": {\"y\": {\".\": \"git+ssh://git@h/y\"}}",
        none,
        true,
    );
    check(
        "\"dependencies\": {\"x\": \"1\"}, \"resolutions\": {\"y\": \"https://h/y.git\"}",
        none,
        true,
    );
    check(plain, ("package-lock.json", "{\n\"resolved\": \"git+https://h/y.git#1\"\n}"), true);
    check(plain, ("package-lock.json", "{\n\"resolved\": \"https://h/y.tgz\"\n}"), false);
    check(
        plain,
        (
            "pnpm-lock.yaml",
            "lockfileVersion: '9.0'\npackages:\n  y:\n    resolution: {type: git, repo: x}\n",
        ),
        true,
    );
    check(
        plain,
        ("yarn.lock", "# yarn lockfile v1\ny@x:\n  resolved \"https://h/y.git#1\"\n"),
        true,
    );
}

#[test]
fn a_package_that_another_depends_on_by_its_path_is_a_library_and_lies_beside_it() {
    let found = only(&[
        (
            "app/package.json",
            r#"{"scripts": {"start": "node server.js"}, "dependencies": {"express": "4", "lib": "file:../lib"}}"#,
        ),
        ("app/server.js", SERVER.1),
        (
            "lib/package.json",
            r#"{"name": "lib", "main": "index.js", "scripts": {"start": "node index.js"}, "dependencies": {"ms": "2"}}"#,
        ),
        ("lib/index.js", "module.exports = 1\n"),
    ]);
    let copied: Vec<&str> = found.spec.runtime.copy.iter().map(|copy| copy.to.as_str()).collect();
    assert_eq!(
        (copied.as_slice(), found.spec.runtime.workdir.as_deref()),
        (&["/app/lib", "/app/app"][..], Some("/app/app"))
    );
}

#[test]
fn ranges_of_a_package_manager_count_in_all_places() {
    let check = |members: &str, lock: (&str, &str), expected: &str| {
        let manifest = format!(
            "{{\"scripts\": {{\"start\": \"node server.js\"}}, \"dependencies\": {{\"x\": \"1\"}}, {members}}}"
        );
        let found = only(&[("package.json", &manifest), lock, SERVER]);
        assert_eq!(commands(&found)[0], expected, "{members}");
    };
    let pnpm = ("pnpm-lock.yaml", "lockfileVersion: '9.0'\n");
    check("\"packageManager\": \"pnpm@^11.8.0\"", pnpm, "npm install -g 'pnpm@^11.8.0'");
    check("\"packageManager\": \"pnpm@9.1.0+sha512.0a\"", pnpm, "npm install -g pnpm@9.1.0");
    check("\"engines\": {\"pnpm\": \">=10.2\"}", pnpm, "npm install -g 'pnpm@>=10.2'");
    check("\"engines\": {\"pnpm\": \">=8\"}", pnpm, "npm install -g pnpm@9");
    let dev =
        "\"devEngines\": {\"packageManager\": {\"name\": \"pnpm\", \"version\": \"^10.0.0\"}}";
    check(dev, pnpm, "npm install -g 'pnpm@^10.0.0'");
    let old = ("yarn.lock", "# THIS\n__metadata:\n  version: 4\n");
    check("\"private\": true", old, "npm install -g --force @yarnpkg/cli-dist@2");
    let npm = ("package-lock.json", "{}");
    check("\"packageManager\": \"npm@^10.2\"", npm, "npm install -g 'npm@^10.2'");
    check("\"engines\": {\"npm\": \">=10\"}", npm, "npm ci --no-audit --no-fund");
}

#[test]
fn a_pin_that_is_not_understood_is_told() {
    let found = only(&[("package.json", "{\"name\": \"a\"}"), (".nvmrc", "the-newest\n"), SERVER]);
    let is_version = |d: &&crate::detect::Decision| d.what == crate::detect::What::Version;
    let decision = found.decisions.iter().find(is_version).unwrap();
    assert_eq!(decision.rule.to_string(), "default, `the-newest` is no version of Node.js");
    assert_eq!(decision.rejected[0].value, "the-newest");
}

#[test]
fn bun_is_of_the_version_that_is_pinned() {
    let check = |files: &[(&str, &str)], expected: &str| {
        let start = ("package.json", "{\"scripts\": {\"start\": \"bun server.ts\"}}");
        let server = ("server.ts", "Bun.serve({ port: 3000, fetch: f })\n");
        let found = only(&[files, &[start, server]].concat());
        assert!(super::compiled_tests::build_base(&found).ends_with(expected), "{files:?}");
    };
    check(&[(".bun-version", "1.1.30\n")], "bun:1.1.30");
    check(&[(".tool-versions", "bun 1.2\n")], "bun:1.2");
    check(&[], "bun:1");
}

#[test]
fn projects_of_nest_are_services_and_settings_name_their_programs() {
    let manifest = r#"{"name": "a", "scripts": {"build": "nest build"}, "dependencies": {"@nestjs/core": "10"}, "devDependencies": {"@nestjs/cli": "10"}}"#;
    let check = |settings: &str, compiler: &str, expected: &[&str]| {
        let found = services(&[
            ("package.json", manifest),
            ("nest-cli.json", settings),
            ("tsconfig.json", compiler),
            ("apps/one/src/main.ts", "app.listen(3100)\n"),
            ("apps/two/tsconfig.app.json", r#"{"compilerOptions": {"outDir": "../../out/two"}}"#),
        ]);
        let commands: Vec<String> =
            found.iter().map(|service| service.spec.runtime.command.join(" ")).collect();
        assert_eq!(commands, expected, "{settings}");
        found.iter().flat_map(|service| service.spec.runtime.ports.clone()).collect::<Vec<_>>()
    };
    check("{}", r#"{"compilerOptions": {"outDir": "./built"}}"#, &["node built/main"]);
    check(r#"{"entryFile": "server"}"#, "{}", &["node dist/server"]);
    let one = r#"{"projects": {"one": {"type": "application", "root": "apps/one"}, "lib": {"type": "library"}}}"#;
    check(one, "{}", &["node dist/apps/one/main"]);
    let two = r#"{"projects": {"one": {"type": "application"}, "two": {"type": "application", "entryFile": "app", "compilerOptions": {"webpack": false}}}}"#;
    assert_eq!(check(two, "{}", &["node dist/apps/one/main", "node out/two/app"]), [3100, 3000]);
}

#[test]
fn a_site_is_served_at_the_path_that_it_is_built_for() {
    let check = |files: &[(&str, &str)], tool: &str, script: &str, expected: &str| {
        let manifest = format!(
            "{{\"private\": true, \"homepage\": \"https://x.io/own\", \"scripts\": {{\"build\": \"{script}\"}}, \"devDependencies\": {{\"{tool}\": \"5\"}}}}"
        );
        let base = [("package.json", manifest.as_str()), ("index.html", "<p>")];
        let runtime = only(&[&base, files].concat()).spec.runtime;
        let settings = String::from_utf8(runtime.files[0].content.clone()).unwrap();
        let line = settings.lines().find_map(|line| line.strip_prefix("uri strip_prefix "));
        assert_eq!(line.unwrap_or_default(), expected, "{tool} {script}");
        assert_eq!(runtime.health.as_deref(), Some(&*format!("{expected}/")));
    };
    let vite = |text| [("vite.config.ts", text)];
    check(&vite("export default { base: '/shop/' }"), "vite", "vite build", "/shop");
    check(&vite("export default { base: './' }"), "vite", "vite build", "");
    let chosen =
        "export default ({ command }) => ({\n  base: command === 'build' ? '/a/b/' : '/',\n})";
    check(&vite(chosen), "vite", "vite build", "/a/b");
    check(&[], "vite", "vite build --base=/x", "/x");
    check(&[], "react-scripts", "react-scripts build", "/own");
    let docs = ("docs/.vitepress/config.ts", "export default { base: '/d/', outDir: '../out' }");
    check(&[docs], "vitepress", "vitepress build docs", "/d");
}

#[test]
fn browsers_are_there_for_what_drives_one_when_it_runs() {
    let check = |group: &str, name: &str, expected: bool| {
        let manifest = format!(
            "{{\"scripts\": {{\"start\": \"node server.js\"}}, \"{group}\": {{\"{name}\": \"1\"}}}}"
        );
        let found = only(&[("package.json", &manifest), SERVER]);
        let has = found.spec.runtime.packages.contains(&"chromium".to_owned());
        assert_eq!(has, expected, "{group} {name}");
    };
    for name in ["puppeteer", "playwright", "puppeteer-core"] {
        check("dependencies", name, true);
        check("devDependencies", name, false);
    }
}

fn reason(service: &Service) -> String {
    let is_start = |d: &&crate::detect::Decision| d.what == crate::detect::What::StartCommand;
    service.decisions.iter().find(is_start).map(|d| d.rule.to_string()).unwrap_or_default()
}

#[test]
fn what_listens_nowhere_is_not_started_and_why_is_told() {
    let check = |manifest: &str, file: (&str, &str), expected: &str| {
        let found = only(&[("package.json", manifest), file]);
        assert!(found.spec.runtime.command.is_empty(), "{manifest}");
        assert!(reason(&found).contains(expected), "{manifest}: {}", reason(&found));
    };
    let exports = "exports an application";
    let depends = |name: &str| {
        format!(
            "{{\"scripts\": {{\"start\": \"node app.js\"}}, \"dependencies\": {{\"{name}\": \"1\"}}}}"
        )
    };
    let file = |text| ("app.js", text);
    check(
        &depends("express"),
        file("const e = require('express')\nmodule.exports = e()\n"),
        exports,
    );
    check(
        &depends("hono"),
        file("import { Hono } from 'hono'\nexport default new Hono()\n"),
        exports,
    );
    check(
        &depends("koa"),
        file("const K = require('koa')\nmodule.exports = new K().callback()\n"),
        exports,
    );
    check(
        &depends("h3"),
        file("import { createApp } from \"h3\"\nexport const app = createApp()\n"),
        exports,
    );
    let cloud = "functions that a cloud calls";
    check(
        r#"{"main": "index.js", "scripts": {"start": "npm run s", "s": "firebase functions:shell"}, "dependencies": {"firebase-functions": "4"}}"#,
        ("index.js", "exports.a = 1\n"),
        cloud,
    );
    check(
        r#"{"scripts": {"start": "func start"}, "dependencies": {"@azure/functions": "4"}}"#,
        ("f.js", ""),
        cloud,
    );
    check(
        r#"{"scripts": {"start": "serverless offline"}, "devDependencies": {"serverless": "3"}}"#,
        ("handler.js", "module.exports.main = 1\n"),
        cloud,
    );
    check(&depends("express"), ("other.txt", ""), "names a file that is not there");
    let published = r#"{"main": "app.js", "files": ["app.js"], "scripts": {"start": "node app.js"}, "devDependencies": {"express": "4"}}"#;
    check(published, file("require('express')().listen(3000)\n"), "a library");
}

#[test]
fn a_start_file_that_nothing_makes_gives_way_to_one_that_is_there() {
    let check = |members: &str, expected: &str| {
        let manifest = format!(
            "{{\"scripts\": {{\"start\": \"node dist/app.js\"{members}}}, \"dependencies\": {{\"express\": \"4\"}}}}"
        );
        let found = only(&[("package.json", &manifest), SERVER]);
        assert_eq!(found.spec.runtime.command.join(" "), expected, "{members}");
    };
    check("", "node server.js");
    check(", \"build\": \"esbuild app.ts\"", "node dist/app.js");
}

#[test]
fn servers_of_today_and_sites_of_yesterday_are_known() {
    let check = |name: &str, scripts: &str, files: &[(&str, &str)], expected: (&str, &str)| {
        let manifest = format!(
            "{{\"private\": true, \"scripts\": {scripts}, \"devDependencies\": {{\"{name}\": \"1\"}}}}"
        );
        let found = only(&[&[("package.json", manifest.as_str())], files].concat());
        let from = found
            .spec
            .runtime
            .copy
            .first()
            .map_or("", |copy| copy.from.trim_start_matches("/build/"));
        let command = found.spec.runtime.command.join(" ");
        let what = if command.starts_with("caddy") { from } else { &command };
        assert_eq!((found.spec.metadata.framework.as_deref().unwrap_or_default(), what), expected);
    };
    check(
        "nitropack",
        r#"{"build": "nitropack build", "preview": "node .output/server/index.mjs"}"#,
        &[],
        ("nitro", "node .output/server/index.mjs"),
    );
    check(
        "mastra",
        r#"{"build": "mastra build", "dev": "mastra dev"}"#,
        &[],
        ("mastra", "node .mastra/output/index.mjs"),
    );
    check(
        "xmcp",
        r#"{"build": "xmcp build", "start": "node dist/http.js"}"#,
        &[],
        ("xmcp", "node dist/http.js"),
    );
    check(
        "sanity",
        r#"{"start": "sanity start", "build": "sanity build"}"#,
        &[],
        ("sanity", "dist"),
    );
    let builds = ("polymer.json", r#"{"builds": [{"name": "es6"}]}"#);
    check(
        "polymer-cli",
        r#"{"start": "polymer serve", "build": "polymer build"}"#,
        &[builds],
        ("polymer", "build/es6"),
    );
    let config = ("brunch-config.js", "module.exports = { paths: { public: 'out' } }");
    check(
        "brunch",
        r#"{"start": "brunch watch --server", "build": "brunch build"}"#,
        &[config],
        ("brunch", "out"),
    );
}

#[test]
fn manifests_of_pnpm_in_other_formats_are_read() {
    let check = |file: (&str, &str)| {
        let found = only(&[file, ("pnpm-lock.yaml", "lockfileVersion: '9.0'\n"), SERVER]);
        let (framework, tool) = (found.spec.metadata.framework, found.spec.metadata.build_system);
        assert_eq!((framework.as_deref(), tool.as_deref()), (Some("express"), Some("pnpm")));
    };
    check((
        "package.json5",
        "// shop\n{\n  name: 'x',\n  scripts: {start: 'node server.js'},\n  dependencies: {express: '4',},\n}\n",
    ));
    check((
        "package.yaml",
        "name: x\nscripts:\n  start: node server.js\ndependencies:\n  express: '4'\n",
    ));
}

#[test]
fn a_library_with_a_manual_gives_the_manual() {
    let found = only(&[
        (
            "package.json",
            r#"{"name": "lib", "scripts": {"start": "node cli.js"}, "devDependencies": {"jest": "1"}}"#,
        ),
        ("cli.js", "console.log('x')\n"),
        (
            "docs/package.json",
            r#"{"scripts": {"build": "vitepress build"}, "devDependencies": {"vitepress": "1"}}"#,
        ),
        ("docs/index.md", "# x"),
    ]);
    assert_eq!(found.dir, "docs");
}

#[test]
fn a_lock_file_that_is_out_of_step_is_told_and_not_insisted_on() {
    let manifest = r#"{"scripts": {"start": "node server.js"}, "dependencies": {"express": "^4.18.0", "koa": "2"}}"#;
    let check = |lock: (&str, &str), is_frozen: bool| {
        let found = only(&[("package.json", manifest), lock, SERVER]);
        let all = commands(&found).join("; ");
        let frozen = ["npm ci", "pnpm install --frozen-lockfile", "yarn install --frozen-lockfile"];
        assert_eq!(frozen.iter().any(|command| all.contains(command)), is_frozen, "{lock:?} {all}");
    };
    let npm = |direct: &str, version: &str| {
        format!(
            "{{\n  \"lockfileVersion\": 3,\n  \"packages\": {{\n    \"\": {{\n      \"dependencies\": {{\n{direct}\n      }}\n    }},\n    \"node_modules/express\": {{\n      \"version\": \"{version}\"\n    }}\n  }}\n}}\n"
        )
    };
    let both = "        \"express\": \"^4.17.0\",\n        \"koa\": \"2\"";
    check(("package-lock.json", &npm(both, "4.19.2")), true);
    check(("package-lock.json", &npm(both, "4.17.1")), false);
    check(("package-lock.json", &npm("        \"express\": \"^4.18.0\"", "4.19.2")), false);
    check(("package-lock.json", "{\"lockfileVersion\": 1}"), true);
    let pnpm = |range: &str| {
        format!(
            "lockfileVersion: '9.0'\n\nimporters:\n\n  .:\n    dependencies:\n      express:\n        specifier: {range}\n        version: 4.19.2\n      koa:\n        specifier: '2'\n        version: 2.0.0\n\npackages:\n"
        )
    };
    check(("pnpm-lock.yaml", &pnpm("^4.18.0")), true);
    check(("pnpm-lock.yaml", &pnpm("^4.17.0")), false);
    let yarn = |range: &str| {
        format!(
            "# yarn lockfile v1\n\n\nexpress@^4.0.0, express@{range}:\n  version \"4.19.2\"\n\nkoa@2:\n  version \"2.0.0\"\n"
        )
    };
    check(("yarn.lock", &yarn("^4.18.0")), true);
    check(("yarn.lock", &yarn("^4.17.0")), false);
}

#[test]
fn routes_of_health_are_found_in_the_forms_that_frameworks_have() {
    let check = |dependency: &str, files: &[(&str, &str)], expected: Option<&str>| {
        let manifest = format!(
            "{{\"scripts\": {{\"build\": \"next build\", \"start\": \"node server.js\"}}, \"dependencies\": {{\"{dependency}\": \"14\"}}}}"
        );
        let base = [("package.json", manifest.as_str())];
        let found = only(&[&base, files].concat());
        assert_eq!(found.spec.runtime.health.as_deref(), expected, "{dependency} {files:?}");
    };
    let next = ("next.config.js", "module.exports = { basePath: '/shop' }");
    check("next", &[("pages/api/health.ts", ""), SERVER], Some("/api/health"));
    check("next", &[("src/app/api/healthz/route.js", ""), next, SERVER], Some("/shop/api/healthz"));
    let mount = |line| {
        format!(
            "const e = require('express')\nconst app = e()\nconst api = require('./routes/api')\n{line}\napp.listen(3000)\n"
        )
    };
    let routes = |line| ("routes/api.js", line);
    let (mounted, plain) = (mount("app.use('/v1', api)"), mount("app.use(api)"));
    let route = routes("router.get('/health', f)\n");
    check("express", &[("server.js", &mounted), route], Some("/v1/health"));
    check("express", &[("server.js", &plain), route], Some("/health"));
    check("express", &[("server.js", &mount("")), route], None);
    check(
        "express",
        &[("server.js", &mount("app.use('/health', api)")), routes("router.get('/', f)\n")],
        Some("/health"),
    );
    check("express", &[("server.js", &mounted), routes("router.get('/items', f)\n")], None);
    let nest = |main: &'static str| {
        [
            ("src/main.ts", main),
            ("server.js", ""),
            (
                "src/health/health.controller.ts",
                "@Controller('health')\nexport class H {\n  @Get('live')\n  f() {}\n}\n",
            ),
        ]
    };
    check(
        "@nestjs/core",
        &nest("app.setGlobalPrefix('api')\napp.listen(3000)\n"),
        Some("/api/health/live"),
    );
    check("@nestjs/core", &nest("app.listen(3000)\n"), Some("/health/live"));
    check("@nestjs/core", &nest("app.setGlobalPrefix(PREFIX)\napp.listen(3000)\n"), None);
}

#[test]
fn a_database_in_a_file_is_migrated_before_the_start() {
    let check = |scripts: &str, package: &str, expected: &str| {
        let manifest = format!(
            "{{\"scripts\": {{\"start\": \"node server.js\"{scripts}}}, \"dependencies\": {{\"{package}\": \"1\", \"knex\": \"3\"}}}}"
        );
        let found = only(&[("package.json", &manifest), SERVER]);
        assert_eq!(found.spec.runtime.command.last().unwrap(), expected, "{scripts}");
    };
    let knex = ", \"migrate\": \"knex migrate:latest\"";
    check(knex, "better-sqlite3", "knex migrate:latest && exec node server.js");
    check(knex, "pg", "server.js");
    check(", \"migrate:dev\": \"knex migrate:latest\"", "better-sqlite3", "server.js");
    check("", "better-sqlite3", "server.js");
    let schema =
        |url: &str| format!("datasource db {{\n  provider = \"sqlite\"\n  url = {url}\n}}\n");
    let prisma = |url: &str| {
        let manifest = r#"{"scripts": {"start": "node server.js"}, "dependencies": {"@prisma/client": "5"}, "devDependencies": {"prisma": "5"}}"#;
        let schema = schema(url);
        let found = only(&[
            ("package.json", manifest),
            ("prisma/schema.prisma", &schema),
            ("prisma/migrations/1/migration.sql", ""),
            SERVER,
        ]);
        assert!(
            found
                .spec
                .runtime
                .command
                .last()
                .is_some_and(|last| last.ends_with("node server.js") || last == "server.js")
        );
        (
            found.spec.runtime.command[0] == "/bin/sh",
            commands(&found).join(";").contains("npm prune"),
        )
    };
    assert_eq!(prisma("\"file:./dev.db\""), (true, false));
    assert_eq!(prisma("env(\"DATABASE_URL\")"), (false, true));
}

#[test]
fn a_main_that_only_exports_gives_way_to_the_program_that_listens() {
    let exports = "module.exports = function (config) { return require('express')() }\n";
    let listens = "require('../lib/app')().listen(9000)\n";
    let check = |members: &str, files: &[(&str, &str)], expected: &str| {
        let manifest =
            format!("{{\"name\": \"a\", \"dependencies\": {{\"express\": \"4\"}}{members}}}");
        let found = only(&[&[("package.json", manifest.as_str())], files].concat());
        assert_eq!(found.spec.runtime.command.join(" "), expected, "{members}");
    };
    let bin =
        ", \"main\": \"lib/app.js\", \"bin\": {\"tool\": \"bin/tool.js\", \"a\": \"./bin/a.js\"}";
    let tool = ("bin/tool.js", "console.log(1)\n");
    check(bin, &[("lib/app.js", exports), tool, ("bin/a.js", listens)], "node bin/a.js");
    check(bin, &[("lib/app.js", listens), tool, ("bin/a.js", listens)], "node lib/app.js");
    let shown = "module.exports = f\n// f().listen(1)\n";
    check(bin, &[("lib/app.js", shown), tool, ("bin/a.js", listens)], "node bin/a.js");
    // The compiler makes it of a file in `src`.
    let built = ", \"bin\": \"lib/bin.js\", \"scripts\": {\"build\": \"tsc\"}, \"devDependencies\": {\"typescript\": \"5\"}";
    let settings = ("tsconfig.json", "{\"compilerOptions\": {\"outDir\": \"./lib\"}}");
    let app = ("src/app.ts", "import x from 'express'\nexport const app = () => x()\n");
    let program = ("src/bin.ts", "import {app} from './app'\napp().listen(9000)\n");
    check(built, &[settings, app, program], "node lib/bin.js");
}

#[test]
fn a_script_that_bundles_pages_is_the_build_where_there_is_no_other() {
    let check = |scripts: &str, expected: Option<&str>| {
        let manifest = format!(
            "{{\"scripts\": {{\"start\": \"node server.js\", {scripts}}}, \"dependencies\": {{\"express\": \"4\"}}, \"devDependencies\": {{\"vite\": \"6\"}}}}"
        );
        let found = only(&[("package.json", &manifest), ("package-lock.json", "{}"), SERVER]);
        let commands = commands(&found);
        let built = commands.iter().find(|command| command.starts_with("npm run"));
        assert_eq!(built.copied(), expected, "{scripts}");
        assert_eq!(commands[0].contains("--omit=dev"), expected.is_none(), "{scripts}");
    };
    check(
        r#""build:frontend": "vite build --config f/vite.config.ts""#,
        Some("npm run build:frontend"),
    );
    check(
        r#""build:ui": "webpack -p", "build:docker": "docker build .""#,
        Some("npm run build:ui"),
    );
    check(r#""build:client": "vite build", "build": "tsc""#, Some("npm run build"));
    check(r#""build:web": "docker build web""#, None);
}

#[test]
fn settings_that_come_with_the_program_name_its_port_and_tests_do_not() {
    let manifest = r#"{"scripts": {"start": "node server.js"}, "dependencies": {"express": "4"}}"#;
    let check = |code: &str, files: &[(&str, &str)], port: u16| {
        let own = [("package.json", manifest), ("server.js", code)];
        assert_eq!(only(&[&own, files].concat()).spec.runtime.ports, [port], "{files:?}");
    };
    let reads = "app.listen(require('config').get('server.port'))\n";
    let json = "{\"redis\": {\"port\": 6379},\n \"server\": {\n  \"port\": 8081}}\n";
    check(reads, &[("config/default.json", json)], 8081);
    check(reads, &[("config/default.yml", "server:\n  port: 8082\n")], 8082);
    check(reads, &[("defaults/config.js", "module.exports = {\n\tport: 9000,\n}\n")], 9000);
    check(reads, &[("sample_conf/config.json", "{\"web\": {\n  \"http_port\": 3012}}")], 3012);
    check(reads, &[("lib/test.js", "app.listen(4012)\n")], 3000);
    check(reads, &[("lib/api_test.js", "app.listen(4013)\n")], 3000);
    check("app.listen(process.env.PORT || 5005)\n", &[("config/default.json", json)], 5005);
    check("app.listen(5006)\n", &[("config.example.json", json)], 5006);
}

#[test]
fn a_start_file_whose_first_line_gives_node_arguments_is_run_with_them() {
    let check = |start: &str, first: &str, expected: &str| {
        let manifest = format!(
            "{{\"scripts\": {{\"start\": \"{start}\"}}, \"dependencies\": {{\"koa\": \"2\", \"esm\": \"3\"}}}}"
        );
        let code = format!("{first}\nrequire('http').createServer(f).listen(9000)\n");
        let found = only(&[("package.json", manifest.as_str()), ("bin/server", &code)]);
        assert_eq!(found.spec.runtime.command.join(" "), expected, "{start} {first}");
        assert_eq!(found.spec.runtime.ports, [9000], "{start} {first}");
    };
    check("./bin/server", "#!/usr/bin/env node -r esm", "node -r esm ./bin/server");
    check("./bin/server --x 1", "#!/usr/bin/env -S node --y", "node --y ./bin/server --x 1");
    check("bin/server", "#!/usr/bin/env node", "npm run start");
}

#[test]
fn pages_that_the_image_or_a_script_puts_into_a_servers_folder_are_made_in_its_build() {
    let client = r#"{"name": "pages", "scripts": {"build": "react-scripts build"}, "dependencies": {"react-scripts": "5"}}"#;
    let page = ("client/public/index.html", "<p>");
    let check = |server: &str, recipe: (&str, &str), copies: Option<&str>| {
        let manifest = r#"{"name": "a", "scripts": {"start": "node server.js"}, "dependencies": {"express": "4"}}"#;
        let at = |name: &str| crate::detect::paths::join(server, name);
        let (own, code) = (at("package.json"), at("server.js"));
        let found = services(&[
            (&own, manifest),
            (&code, SERVER.1),
            ("client/package.json", client),
            ("client/package-lock.json", "{}"),
            page,
            recipe,
        ]);
        assert_eq!(found.len(), if copies.is_some() { 1 } else { 2 }, "{recipe:?}");
        let Some(copies) = copies else { return };
        let commands = commands(&found[0]);
        let at = |part: &str| commands.iter().position(|command| command.contains(part));
        assert!(at("cd client && npm run build").unwrap() < at(copies).unwrap(), "{commands:?}");
        assert!(at(copies).unwrap() < at("rm -rf client/node_modules").unwrap(), "{commands:?}");
        assert!(!commands.iter().any(|command| command.contains("npm install -g")), "{commands:?}");
    };
    let moved = "FROM node\nRUN cd client && npm run build \\\n  && cd .. \\\n  && mv ./client/build/* ./public \\\n  && rm -rf client\n";
    let to_public = Some("cp -a client/build/. public/");
    check(".", ("Dockerfile", moved), to_public);
    check(".", (".docker/Dockerfile", moved), to_public);
    let staged = "FROM node AS ui\nWORKDIR /ui\nCOPY client .\nRUN npm run build\nFROM node\nWORKDIR /app\nCOPY . .\nCOPY --from=ui /ui/build ./public\n";
    check(".", ("Dockerfile", staged), to_public);
    check(
        "api",
        ("build.sh", "cp -r client/build/. api/public\n"),
        Some("client/build/. api/public/"),
    );
    check(".", ("Dockerfile", "FROM node\nCOPY . .\n"), None);
    check("api", ("build.sh", "cp -r client/build /srv/www\n"), None);
}

#[test]
fn pages_that_the_code_of_a_server_names_are_made_in_its_build() {
    let client = r#"{"name": "pages", "scripts": {"build": "react-scripts build"}, "dependencies": {"react-scripts": "5"}}"#;
    let manifest = r#"{"name": "a", "scripts": {"start": "node src/server.js"}, "dependencies": {"express": "4"}}"#;
    let check = |server: &str, line: &str, to: Option<&str>| {
        let at = |name: &str| crate::detect::paths::join(server, name);
        let (own, file) = (at("package.json"), at("src/server.js"));
        let code = format!("{line}\napp.listen(9000)\n");
        let files: [(&str, &str); 4] = [
            (&own, manifest),
            (&file, &code),
            ("client/package.json", client),
            ("client/public/index.html", "<p>"),
        ];
        let found = services(&files);
        assert_eq!(found.len(), if to.is_some() { 1 } else { 2 }, "{server} {line}");
        let Some(to) = to else { return };
        let command = commands(&found[0]).join("\n");
        assert!(command.contains("cd client && npm run build"), "{command}");
        let copies = &found[0].spec.runtime.copy;
        assert!(copies.iter().any(|copy| copy.to == to), "{copies:?}");
    };
    let beside = Some("/client/build");
    check("api", "app.use(express.static(path.join(__dirname, '../../client/build')))", beside);
    check(
        "api",
        "app.use(express.static(path.join(__dirname, '..', '..', 'client', 'build')))",
        beside,
    );
    check("api", "res.sendFile(__dirname + '/../../client/build/index.html')", beside);
    check("api", "app.use(express.static(\"../client/build\"))", beside);
    check(".", "app.use(express.static('client/build'))", Some("/app"));
    check("api", "// app.use(express.static('../client/build'))", None);
    check("api", "app.use(express.static('public'))", None);
}

#[test]
fn a_member_whose_built_program_the_image_starts_is_the_service() {
    let root = r#"{"name": "all", "private": true, "workspaces": ["packages/*"], "scripts": {"build": "npm run build -ws"}}"#;
    let cli = r#"{"name": "mails", "main": "./dist/index.js", "bin": {"mails": "./dist/bin/mails.js"}, "files": ["dist"], "scripts": {"build": "tsc"}, "dependencies": {"@m/api": "*"}, "devDependencies": {"typescript": "5"}}"#;
    let check = |api: &str, image: &str, expected: &[&str]| {
        let found = services(&[
            ("package.json", root),
            ("package-lock.json", "{}"),
            ("packages/cli/package.json", cli),
            ("packages/cli/src/index.ts", "export const run = () => api.start()\n"),
            ("packages/cli/src/server/run.ts", "export const f = () => api.listen()\n"),
            ("packages/cli/src/bin/mails.ts", "import {run} from '../index'\nrun()\n"),
            ("packages/api/package.json", api),
            ("packages/api/src/index.ts", "export const x = 1\n"),
            ("Dockerfile", image),
        ]);
        let dirs: Vec<&str> = found.iter().map(|service| service.dir.as_str()).collect();
        assert_eq!(dirs, expected, "{image}");
        let Some(service) = found.first() else { return };
        let runtime = &service.spec.runtime;
        assert_eq!(runtime.command.join(" "), "node dist/bin/mails.js");
        assert_eq!(runtime.workdir.as_deref(), Some("/app/packages/cli"));
        assert_eq!(runtime.ports, [1081]);
    };
    let serves = r#"{"name": "@m/api", "main": "./dist/index.js", "scripts": {"build": "tsc"}, "dependencies": {"fastify": "5"}}"#;
    let image = "FROM node:22\nEXPOSE 1081 1025\nENTRYPOINT [\"node\", \"dist/bin/mails.js\"]\n";
    check(serves, image, &["packages/cli"]);
}
