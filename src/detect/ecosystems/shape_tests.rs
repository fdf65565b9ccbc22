//! Shapes that public projects have and no example shows: what is run, and what is no service beside it.

use super::compiled_tests::{folders, only, services};
use crate::detect::Service;

fn command(service: &Service) -> String {
    service.spec.runtime.command.join(" ")
}

fn framework(service: &Service) -> &str {
    service.spec.metadata.framework.as_deref().unwrap_or_default()
}

#[test]
fn modules_of_sbt_have_their_own_frameworks_and_their_root_is_none() {
    let module = |name: &str, dependency: &str| {
        format!(
            "lazy val {name} =\n  (project in file(\"{name}\"))\n    .settings(libraryDependencies += {dependency})\n"
        )
    };
    let build = module("a", "\"org.http4s\" %% \"http4s-ember-server\" % \"0.23\"")
        + &module("b", "\"org.apache.pekko\" %% \"pekko-http\" % \"1.1\"")
        + "lazy val page = (project in file(\"page\"))\n  .enablePlugins(ScalaJSPlugin)\n";
    let main = "object Main extends App {}\n";
    let found = services(&[
        ("build.sbt", &build),
        ("a/src/main/scala/Main.scala", main),
        ("b/src/main/scala/Main.scala", main),
        ("page/src/main/scala/Main.scala", main),
    ]);
    assert_eq!(folders(&found), ["a", "b"]);
    assert_eq!([framework(&found[0]), framework(&found[1])], ["http4s", "pekko-http"]);
}

#[test]
fn of_several_main_classes_the_server_is_run() {
    const POM: &str = "<project><modelVersion>4.0.0</modelVersion><groupId>g</groupId><artifactId>a</artifactId><version>1</version></project>";
    let class = |package: &str| {
        format!("package {package};\nclass Main {{ public static void main(String[] a) {{}} }}\n")
    };
    let found = only(&[
        ("pom.xml", POM),
        ("src/main/java/x/client/Main.java", &class("x.client")),
        ("src/main/java/x/server/Main.java", &class("x.server")),
    ]);
    assert!(command(&found).ends_with(" x.server.Main"), "{}", command(&found));
}

#[test]
fn a_front_end_among_the_sources_of_a_module_is_packed_with_it() {
    const POM: &str = "<project><modelVersion>4.0.0</modelVersion><groupId>g</groupId><artifactId>shop</artifactId><version>1</version><dependencies><dependency><groupId>io.quarkiverse.quinoa</groupId><artifactId>quarkus-quinoa</artifactId></dependency></dependencies><build><plugins><plugin><groupId>io.quarkus.platform</groupId><artifactId>quarkus-maven-plugin</artifactId></plugin></plugins></build></project>";
    let found = only(&[
        ("pom.xml", POM),
        ("src/main/java/A.java", "@Path(\"/\") class A {}\n"),
        (
            "src/main/webui/package.json",
            "{\"scripts\": {\"build\": \"vite build\"}, \"devDependencies\": {\"vite\": \"6\"}}",
        ),
        ("src/main/webui/index.html", "<!doctype html>"),
    ]);
    assert_eq!((found.dir.as_str(), framework(&found)), (".", "quarkus"));
    assert!(found.spec.build.packages.contains(&"nodejs".to_owned()));
}

#[test]
fn django_is_served_by_a_wsgi_file_beside_its_program() {
    let found = only(&[
        ("requirements.txt", "django\ngunicorn\n"),
        ("manage.py", "os.environ.setdefault(\"DJANGO_SETTINGS_MODULE\", \"shop.settings\")\n"),
        ("shop/__init__.py", ""),
        ("shop/settings.py", "WSGI_APPLICATION = 'wsgi.application'\n"),
        ("wsgi.py", "application = get_wsgi_application()\n"),
    ]);
    assert!(command(&found).ends_with("gunicorn --bind 0.0.0.0:$PORT wsgi"), "{}", command(&found));
}

#[test]
fn tools_of_dart_and_python_beside_services_are_none() {
    let found = services(&[
        ("api/pubspec.yaml", "name: api\ndependencies:\n  shelf: any\n"),
        ("api/bin/server.dart", "void main() { serve(handler, '0.0.0.0', 8081); }\n"),
        ("gen/pubspec.yaml", "name: gen\n"),
        ("gen/bin/gen.dart", "void main() { print(1); }\n"),
        ("cli/pyproject.toml", "[project]\nname = \"c\"\n"),
        ("cli/cli.py", "print(1)\n"),
        ("unused/api/pubspec.yaml", "name: old\ndependencies:\n  shelf: any\n"),
        ("unused/api/bin/server.dart", "void main() { serve(handler, '0.0.0.0', 8081); }\n"),
        ("Tools/Gen/pubspec.yaml", "name: old\ndependencies:\n  shelf: any\n"),
        ("Tools/Gen/bin/server.dart", "void main() { serve(handler, '0.0.0.0', 8081); }\n"),
    ]);
    assert_eq!(folders(&found), ["api"]);
}

#[test]
fn scripts_that_run_something_else_start_no_package() {
    let package = |start: &str| {
        format!(
            "{{\"scripts\": {{\"start\": \"{start}\", \"build\": \"vite build\"}}, \"devDependencies\": {{\"vite\": \"6\"}}}}"
        )
    };
    for start in ["cp -r dist ../server; cd ../server && npm start", "backend/target/stage/bin/x"] {
        let found = only(&[("package.json", &package(start)), ("index.html", "<!doctype html>")]);
        assert_eq!(found.spec.runtime.command[0], "caddy", "{start}");
    }
}

#[test]
fn wordpress_is_one_service_of_its_folder() {
    let found = only(&[
        ("composer.json", "{\"name\": \"x/y\", \"require\": {\"roots/wordpress\": \"6.5\"}}"),
        ("web/index.php", "<?php\n"),
        ("web/wp-config.php", "<?php\n"),
    ]);
    assert_eq!((found.dir.as_str(), framework(&found)), (".", "wordpress"));
}

#[test]
fn a_released_example_is_the_product_and_a_generator_among_internals_is_not() {
    let found = only(&[
        ("go.mod", "module github.com/pocketbase/pocketbase\n\ngo 1.24\n"),
        (".goreleaser.yaml", "builds:\n  - id: x\n    main: ./examples/base\n"),
        ("examples/base/main.go", "package main\n\nfunc main() { http.ListenAndServe(a, b) }\n"),
        (
            "plugins/internal/types/main.go",
            "package main\n\nfunc main() { http.ListenAndServe(a, b) }\n",
        ),
    ]);
    assert!(command(&found).ends_with(" serve --http=0.0.0.0:8090"), "{}", command(&found));
    let build = found.spec.build.commands.join(" && ");
    assert!(build.contains("./examples/base"), "{build}");
}

#[test]
fn a_script_of_package_json_that_calls_deno_is_what_is_run() {
    let found = only(&[
        (
            "package.json",
            "{\"scripts\": {\"start\": \"NODE_ENV=production deno run -A src/serve.ts\"}}",
        ),
        ("deno.json", "{\"imports\": {\"@/\": \"./src/\"}}"),
        ("src/index.ts", "export const x = 1;\n"),
        ("src/serve.ts", "Deno.serve({ port: 3100 }, handler);\n"),
    ]);
    assert_eq!(command(&found), "deno run -A src/serve.ts");
    assert_eq!(found.spec.runtime.ports, [3100]);
}

#[test]
fn a_script_of_the_shell_listens_where_it_says() {
    let found =
        only(&[("run.sh", "#!/bin/bash\nwhile true; do nc -l -p ${PORT:-8070} < page; done\n")]);
    assert_eq!(found.spec.runtime.ports, [8070]);
    assert_eq!(found.spec.runtime.packages, ["netcat-openbsd"]);
}

#[test]
fn qwik_without_an_adapter_is_shown_by_the_preview_of_vite() {
    let files = [
        (
            "package.json",
            "{\"scripts\": {\"build\": \"qwik build\", \"start\": \"vite --open --mode ssr\"}, \"devDependencies\": {\"@builder.io/qwik-city\": \"1\", \"vite\": \"5\"}}",
        ),
        ("src/entry.preview.tsx", "export default 1;\n"),
        ("adapters/static/vite.config.ts", "export default {};\n"),
    ];
    assert_eq!(command(&only(&files[..2])), "npx vite preview --host 0.0.0.0 --port 3000");
    assert_eq!(only(&files).spec.runtime.command[0], "caddy");
}

#[test]
fn two_manifests_of_one_project_are_one_service() {
    let vite = "{\"scripts\": {\"build\": \"vite build\"}, \"devDependencies\": {\"vite\": \"6\"}}";
    let found = only(&[("web/package.json", vite), ("web/index.html", "<!doctype html>")]);
    assert_eq!(found.dir, "web");
    let php = "{\"require\": {\"php\": \"^8.2\"}}";
    let found =
        only(&[("composer.json", php), ("web/composer.json", php), ("web/index.php", "<?php\n")]);
    assert_eq!(found.dir, ".");
}

#[test]
fn a_link_to_a_manifest_makes_no_second_service() {
    let detected = |link: &str, files: &[(&str, &str)]| {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            std::fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
            std::fs::write(dir.path().join(path), text).unwrap();
        }
        let name = link.rsplit('/').next().unwrap();
        std::os::unix::fs::symlink(link, dir.path().join(name)).unwrap();
        let found = crate::detect::detect(dir.path(), crate::detect::Family::Official).unwrap();
        found.services.iter().map(|service| service.dir.clone()).collect::<Vec<_>>()
    };
    let server = "require('http').createServer().listen(3000);";
    let package = "{\"name\": \"x\", \"scripts\": {\"start\": \"node s.js\"}}";
    assert_eq!(
        detected("app/package.json", &[("app/package.json", package), ("app/s.js", server)]),
        ["app"]
    );
    let flask = "from flask import Flask\napp = Flask(__name__)\n";
    let files = [
        ("web/requirements.txt", "flask\ngunicorn\n"),
        ("web/app.py", flask),
        ("Procfile", "web: gunicorn --chdir web app:app\n"),
    ];
    assert_eq!(detected("web/requirements.txt", &files), ["."]);
}
