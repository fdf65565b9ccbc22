//! Small trees of the kinds that real projects come in: what counts as a service, and how it is started.

use super::compiled_tests::{folders, only, services};

fn framework(service: &crate::detect::Service) -> &str {
    service.spec.metadata.framework.as_deref().unwrap_or_default()
}

#[test]
fn a_crate_that_others_stand_on_is_a_library_whatever_helps_its_developers() {
    const SERVER: &str = "fn main() { HttpServer::new(x).bind(\"0.0.0.0:8085\") }\n";
    let files = |db_main: &'static str| {
        [
            ("Cargo.toml", "[workspace]\nmembers = [\"crates/*\"]\n"),
            (
                "crates/server/Cargo.toml",
                "[package]\nname = \"server\"\n[dependencies]\nactix-web = \"4\"\ndb = { path = \"../db\" }\n",
            ),
            ("crates/server/src/main.rs", SERVER),
            (
                "crates/db/Cargo.toml",
                "[package]\nname = \"db\"\n[dependencies]\nactix-web = \"4\"\n",
            ),
            ("crates/db/src/lib.rs", "pub fn f() {}\n"),
            ("crates/db/src/main.rs", db_main),
        ]
    };
    assert_eq!(folders(&services(&files("fn main() { dump() }\n"))), ["crates/server"]);
    assert_eq!(folders(&services(&files(SERVER))), ["crates/db", "crates/server"]);
}

#[test]
fn what_a_build_left_is_no_service() {
    const POM: &str = "<project><modelVersion>4.0.0</modelVersion><groupId>g</groupId><artifactId>shop</artifactId><version>1</version><build><plugins><plugin><groupId>org.springframework.boot</groupId><artifactId>spring-boot-maven-plugin</artifactId></plugin></plugins></build></project>";
    const MAIN: &str = "class App { public static void main(String[] args) {} }\n";
    for folder in ["bin", "build", "out", "target", "dist"] {
        let (pom, main) = (format!("{folder}/pom.xml"), format!("{folder}/src/main/java/App.java"));
        let found = services(&[
            ("pom.xml", POM),
            ("src/main/java/App.java", MAIN),
            (&pom, POM),
            (&main, MAIN),
        ]);
        assert_eq!(folders(&found), ["."], "{folder}");
    }
}

#[test]
fn a_program_that_has_a_server_only_among_its_libraries_is_a_tool_beside_one_that_serves() {
    let depends = |name: &str, on: &str| {
        format!("[package]\nname = \"{name}\"\n[dependencies]\n{on} = {{ path = \"../{on}\" }}\n")
    };
    let (shop, tool) = (depends("shop", "core") + "actix-web = \"4\"\n", depends("dump", "core"));
    let found = services(&[
        ("Cargo.toml", "[workspace]\nmembers = [\"crates/*\"]\n"),
        ("crates/shop/Cargo.toml", &shop),
        ("crates/shop/src/main.rs", "fn main() { HttpServer::new(x) }\n"),
        ("crates/dump/Cargo.toml", &tool),
        ("crates/dump/src/main.rs", "fn main() { core::dump() }\n"),
        (
            "crates/core/Cargo.toml",
            "[package]\nname = \"core\"\n[dependencies]\nactix-web = \"4\"\n",
        ),
        ("crates/core/src/lib.rs", "pub fn dump() {}\n"),
    ]);
    assert_eq!(folders(&found), ["crates/shop"]);
}

const MAIN: &str = "package a;\nclass Main { public static void main(String[] x) {} }\n";

#[test]
fn a_module_of_maven_that_nothing_packs_is_a_tool_beside_those_that_are_packed() {
    let module = |name: &str, packs: bool| {
        let plugin = match packs {
            true => {
                "<build><plugins><plugin><groupId>org.springframework.boot</groupId><artifactId>spring-boot-maven-plugin</artifactId></plugin></plugins></build>"
            }
            false => "",
        };
        format!(
            "<project><parent><groupId>g</groupId><artifactId>all</artifactId><version>1</version></parent><artifactId>{name}</artifactId><dependencies><dependency><groupId>org.springframework.boot</groupId><artifactId>spring-boot-starter-web</artifactId></dependency></dependencies>{plugin}</project>"
        )
    };
    let (shop, tool) = (module("shop", true), module("tool", false));
    let found = services(&[
        (
            "pom.xml",
            "<project><groupId>g</groupId><artifactId>all</artifactId><version>1</version><packaging>pom</packaging><modules><module>shop</module><module>tool</module></modules></project>",
        ),
        ("shop/pom.xml", &shop),
        ("shop/src/main/java/a/Main.java", MAIN),
        ("tool/pom.xml", &tool),
        ("tool/src/main/java/a/Main.java", MAIN),
    ]);
    assert_eq!(folders(&found), ["shop"]);
}

#[test]
fn a_class_with_a_main_method_is_a_tool_beside_services_and_what_there_is_without() {
    const POM: &str =
        "<project><groupId>g</groupId><artifactId>sums</artifactId><version>1</version></project>";
    let tool = [("sums/pom.xml", POM), ("sums/src/main/java/a/Main.java", MAIN)];
    assert_eq!(folders(&services(&tool)), ["sums"]);
    let server = [
        (
            "web/package.json",
            r#"{"scripts": {"start": "node x.js"}, "dependencies": {"express": "4"}}"#,
        ),
        ("web/x.js", "require('express')().listen(3000)\n"),
    ];
    assert_eq!(folders(&services(&[tool.as_slice(), &server].concat())), ["web"]);
}

#[test]
fn a_module_of_gradle_that_others_are_built_with_is_a_library() {
    let micronaut = "dependencies {\n    implementation 'io.micronaut:micronaut-http-server'\n";
    let app = format!(
        "plugins {{\n    id 'application'\n}}\n{micronaut}    implementation project(':common')\n}}\n"
    );
    let common = format!("plugins {{\n    id 'java'\n}}\n{micronaut}}}\n");
    let found = services(&[
        ("settings.gradle", "include 'common', 'app'\n"),
        ("app/build.gradle", &app),
        ("app/src/main/java/a/Main.java", MAIN),
        ("common/build.gradle", &common),
        ("common/src/main/java/a/Main.java", MAIN),
    ]);
    assert_eq!(folders(&found), ["app"]);
}

#[test]
fn a_packing_plugin_is_not_the_framework() {
    let service = only(&[
        (
            "build.gradle",
            "plugins {\n    id 'java'\n    id 'org.springframework.boot' version '3.3.4'\n}\ndependencies {\n    implementation 'com.linecorp.armeria:armeria:1.30.0'\n}\n",
        ),
        ("src/main/java/a/Main.java", MAIN),
    ]);
    assert_eq!(framework(&service), "armeria");
    assert_eq!(service.spec.runtime.command, ["java", "-jar", "/app/app.jar"]);
}

#[test]
fn the_class_that_a_procfile_names_is_started() {
    let files = |line: &'static str| {
        [
            (
                "pom.xml",
                "<project><groupId>g</groupId><artifactId>shop</artifactId><version>1</version></project>",
            ),
            ("src/main/java/a/Main.java", MAIN),
            ("Procfile", line),
        ]
    };
    let start = |line| only(&files(line)).spec.runtime.command;
    let path = "/app/app.jar:/app/lib/*";
    assert_eq!(
        start("web: java -cp target/classes:target/dependency/* a.Web --quiet\n"),
        ["java", "-cp", path, "a.Web", "--quiet"]
    );
    assert_eq!(
        start("web: java -cp target/classes a.Web --port $PORT\n"),
        ["/bin/sh", "-c", "exec java -cp '/app/app.jar:/app/lib/*' a.Web --port $PORT"]
    );
    assert_eq!(start("web: ./run.sh\n"), ["java", "-cp", path, "a.Main"]);
}

#[test]
fn sources_of_java_without_a_build_belong_to_the_folder_above_src() {
    let folder = |path: &str| only(&[(path, MAIN)]).dir;
    assert_eq!(folder("Main.java"), ".");
    assert_eq!(folder("src/main/java/a/Main.java"), ".");
    assert_eq!(folder("tool/src/a/Main.java"), "tool");
}

#[test]
fn values_under_a_condition_do_not_make_a_test_of_an_application() {
    let found = services(&[
        (
            "Directory.Build.props",
            "<Project><PropertyGroup><TargetFramework>net10.0</TargetFramework><IsTestProject Condition=\"$(MSBuildProjectName.EndsWith('.Test'))\">true</IsTestProject></PropertyGroup></Project>",
        ),
        ("src/Api/Api.csproj", "<Project Sdk=\"Microsoft.NET.Sdk.Web\"/>"),
        ("src/Api/entrypoint.sh", "#!/bin/sh\n"),
        ("src/Api/wwwroot/lib/x/package.json", "{\"scripts\": {\"start\": \"node x.js\"}}"),
        ("src/Api/wwwroot/lib/x/x.js", "require('http').createServer().listen(9000)"),
    ]);
    assert_eq!(folders(&found), ["src/Api"]);
    assert_eq!(framework(&found[0]), "aspnet-core");
}

#[test]
fn a_package_that_brings_a_server_gets_the_image_with_one() {
    let service = only(&[(
        "a.fsproj",
        "<Project Sdk=\"Microsoft.NET.Sdk\"><PropertyGroup><OutputType>Exe</OutputType><TargetFramework>net9.0</TargetFramework></PropertyGroup><ItemGroup><PackageReference Include=\"Giraffe\" Version=\"6\"/></ItemGroup></Project>",
    )]);
    assert_eq!(base_name(&service.spec.runtime.base), "mcr.microsoft.com/dotnet/aspnet:9.0");
    assert_eq!(service.spec.runtime.ports, [8080]);
}

#[test]
fn the_only_program_of_cmake_is_it_whatever_its_name_unless_it_tests_a_library() {
    let start = |build: &str| {
        let files = [("CMakeLists.txt", build), ("main.cpp", "int main() { listen(8080); }\n")];
        only(&files).spec.runtime.command
    };
    assert_eq!(start("project(x)\nadd_executable(load_test main.cpp)\n"), ["/app/load_test"]);
    let library = "project(x)\nadd_library(x x.cpp)\nadd_executable(x_test main.cpp)\n";
    assert!(start(library).is_empty());
    assert_eq!(
        only(&[("hello.c", "int main(void) { return 0; }\n")]).spec.runtime.command,
        ["/app/app"]
    );
}

#[test]
fn a_procfile_speaks_for_the_server_that_it_starts() {
    let check = |line: &str, language: &str| {
        let service = only(&[
            ("shard.yml", "name: shop\ndependencies:\n  kemal:\n    github: kemalcr/kemal\n"),
            ("src/shop.cr", "Kemal.run\n"),
            ("package.json", r#"{"scripts": {"build": "mix"}, "dependencies": {"express": "4"}}"#),
            ("server.js", "require('express')().listen(3000)\n"),
            ("Procfile", line),
        ]);
        assert_eq!(service.spec.metadata.language.as_deref(), Some(language), "{line}");
    };
    check("web: bin/shop\n", "crystal");
    check("web: node server.js\n", "javascript");
}

#[test]
fn a_program_of_crystal_may_lie_beside_its_manifest() {
    let service = only(&[
        ("shard.yml", "name: shop\ndependencies:\n  kemal:\n    github: kemalcr/kemal\n"),
        ("server.cr", "Kemal.run\n"),
    ]);
    assert!(service.spec.build.commands.iter().any(|command| command.contains(" server.cr ")));
    assert_eq!(framework(&service), "kemal");
}

#[test]
fn programs_of_go_lie_in_cmd_where_there_is_one() {
    let server =
        "package main\nimport \"net/http\"\nfunc main() { http.ListenAndServe(\":4000\", nil) }\n";
    let found = only(&[
        ("go.mod", "module example.com/shop\ngo 1.22\n"),
        ("cmd/web/main.go", server),
        ("internal/db/schema/main.go", server),
    ]);
    assert!(found.spec.build.commands[0].ends_with("./cmd/web"));
}

#[test]
fn the_port_in_the_settings_of_a_rust_program_counts() {
    let service = only(&[
        (
            "Cargo.toml",
            "[package]\nname = \"shop\"\n[dependencies]\nactix-web = \"4\"\nconfig = \"0.14\"\n",
        ),
        ("src/main.rs", "fn main() { HttpServer::new(x).listen(listener) }\n"),
        ("configuration/base.yaml", "application:\n  port: 8000\ndatabase:\n  port: 5432\n"),
    ]);
    assert_eq!(service.spec.runtime.ports, [8000]);
}

#[test]
fn what_php_serves_is_told_by_its_files() {
    let check = |files: &[(&str, &str)], dir: &str, start: &str| {
        let service = only(files);
        let command = service.spec.runtime.command.join(" ");
        assert_eq!((service.dir.as_str(), command.as_str()), (dir, start), "{files:?}");
    };
    let page = "<?php echo 1;";
    check(&[("index.html", "<p>"), ("contact.php", page)], ".", "apache2-foreground");
    check(&[("public/index.php", page), ("src/App.php", page)], ".", "apache2-foreground");
    check(&[("public/index.php", page)], "public", "apache2-foreground");
    let swoole = "<?php $s = new Swoole\\Http\\Server('0.0.0.0', 9501);";
    check(&[("composer.json", "{}"), ("server.php", swoole)], ".", "php server.php");
}

#[test]
fn an_old_framework_gets_a_php_that_it_runs_on() {
    let version = |require: &str| {
        let composer = format!("{{\"require\": {require}}}");
        let service = only(&[("composer.json", &composer), ("public/index.php", "<?php")]);
        let base = base_name(&service.spec.runtime.base);
        base.rsplit(':').next().unwrap_or_default().split('-').next().unwrap_or_default().to_owned()
    };
    assert_eq!(version(r#"{"php": ">=7.1.3", "laravel/framework": "5.8.*"}"#), "7.4");
    assert_eq!(version(r#"{"laravel/lumen-framework": "^8.0"}"#), "8.1");
    assert_eq!(version(r#"{"php": "^8.2", "laravel/framework": "^11.0"}"#), "8.4");
    assert_eq!(version(r#"{"php": "^8.1", "symfony/framework-bundle": "5.4.*"}"#), "8.3");
}

#[test]
fn sources_without_a_build_file_belong_to_the_folder_above_src() {
    let service = only(&[("src/main.cpp", "int main() {}\n")]);
    assert_eq!(service.dir, ".");
    assert!(service.spec.build.commands[0].starts_with("cd src && "));
}

#[test]
fn a_script_that_only_a_procfile_names_is_started() {
    let service = only(&[("Procfile", "web: ./serve.sh --all\n"), ("serve.sh", "#!/bin/sh\n")]);
    assert_eq!(service.spec.runtime.command, ["./serve.sh", "--all"]);
}

#[test]
fn gunicorn_listens_where_its_configuration_says() {
    let app = "from flask import Flask\napp = Flask(__name__)\n";
    let ports = |line: &'static str, file: &'static str, config: &'static str| {
        let files = [
            ("requirements.txt", "flask\ngunicorn\n"),
            ("app.py", app),
            ("Procfile", line),
            (file, config),
        ];
        only(&files).spec.runtime.ports
    };
    let bind = "workers = 2\nbind = \"0.0.0.0:8080\"\n";
    assert_eq!(ports("web: gunicorn --config conf/g.py app:app\n", "conf/g.py", bind), [8080]);
    assert_eq!(ports("web: gunicorn -c ./g.py app:app\n", "g.py", bind), [8080]);
    assert_eq!(ports("web: gunicorn app:app\n", "gunicorn.conf.py", bind), [8080]);
    let read = "import os\nbind = f\"0.0.0.0:{os.environ.get('PORT', '9001')}\"\n";
    assert_eq!(ports("web: gunicorn app:app\n", "gunicorn.conf.py", read), [9001]);
    assert_eq!(ports("web: gunicorn -b :7000 app:app\n", "gunicorn.conf.py", bind), [7000]);
    assert_eq!(ports("web: python app.py\n", "gunicorn.conf.py", bind), [5000]);
}

#[test]
fn a_workspace_for_the_browser_within_laravel_belongs_to_it() {
    let found = services(&[
        ("composer.json", "{\"require\": {\"laravel/framework\": \"^11\"}}"),
        ("public/index.php", "<?php"),
        ("package.json", "{\"workspaces\": [\"resources/assets/v1\"]}"),
        (
            "resources/assets/v1/package.json",
            "{\"scripts\": {\"start\": \"mix watch\", \"prod\": \"mix\"}}",
        ),
    ]);
    assert_eq!(folders(&found), ["."]);
}

fn base_name(base: &crate::spec::Base) -> &str {
    match base {
        crate::spec::Base::Image(name) => name,
        _ => "",
    }
}

#[test]
fn a_manifest_in_utf_16_is_read() {
    let wide = |text: &str, order: fn(u16) -> [u8; 2]| -> Vec<u8> {
        [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(order).collect()
    };
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("requirements.txt"), wide("flask\ngunicorn\n", order))
            .unwrap();
        std::fs::write(dir.path().join("app.py"), "import flask\napp = flask.Flask('é')\n")
            .unwrap();
        let found = crate::detect::detect(dir.path(), crate::detect::Family::Official).unwrap();
        assert_eq!(framework(&found.services[0]), "flask");
    }
}
