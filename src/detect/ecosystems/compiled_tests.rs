//! Small trees, and what the rules of compiled languages make of them.

use std::fs;

use crate::{
    detect::{Family, Service, Weight, What, detect},
    mutation::mutate,
    spec::Base,
};

pub(super) fn services(files: &[(&str, &str)]) -> Vec<Service> {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    detect(dir.path(), Family::Official).unwrap().services
}

pub(super) fn only(files: &[(&str, &str)]) -> Service {
    let mut services = services(files);
    assert_eq!(services.len(), 1, "{:?}", folders(&services));
    services.remove(0)
}

pub(super) fn folders(services: &[Service]) -> Vec<&str> {
    services.iter().map(|service| service.dir.as_str()).collect()
}

pub(super) fn build_base(service: &Service) -> &str {
    match &service.spec.build.base {
        Base::Image(name) => name.strip_prefix("docker.io/library/").unwrap_or(name),
        _ => "",
    }
}

const GO_SERVER: &str =
    "package main\nimport \"net/http\"\nfunc main() { http.ListenAndServe(\":8080\", nil) }\n";
const GO_TOOL: &str = "package main\nfunc main() {}\n";

#[test]
fn a_program_that_starts_others_has_them_and_no_image_without_a_shell() {
    let server = |call: &str| {
        let main = format!(
            "package main\nimport \"net/http\"\nfunc main() {{ http.ListenAndServe(\":8080\", {call}) }}\n"
        );
        let service = only(&[("go.mod", "module x/shop\ngo 1.25\n"), ("main.go", &main)]);
        let Base::Image(base) = service.spec.runtime.base.clone() else { panic!("no image") };
        (base.contains("debian:"), service.spec.runtime.packages)
    };
    let usual = ["ca-certificates", "tzdata"];
    assert_eq!(
        server("exec.Command(\"git\")"),
        (
            true,
            [&["ca-certificates", "git"], &usual[1..]]
                .concat()
                .into_iter()
                .map(str::to_owned)
                .collect()
        )
    );
    assert_eq!(server("exec.Command(\"sh\")"), (true, usual.map(str::to_owned).to_vec()));
    assert_eq!(server("exec.Command(\"ours\")"), (false, Vec::new()));
}

#[test]
fn a_server_started_by_a_command_has_it_whether_or_not_its_image_gives_arguments() {
    let command = |image: &str, main: &str| {
        let main = format!(
            "package main\nimport \"net/http\"\nimport \"github.com/urfave/cli/v2\"\n{main}\nfunc f() {{ http.ListenAndServe(\":8080\", nil) }}\n"
        );
        let service = only(&[
            ("go.mod", "module x/shop\ngo 1.25\nrequire github.com/urfave/cli/v2 v2.27.0\n"),
            ("go.sum", ""),
            ("main.go", &main),
            ("Dockerfile", image),
        ]);
        service.spec.runtime.command
    };
    let commands = "var c = []*cli.Command{\n\t{\n\t\tName: \"serve\",\n\t\tAction: f,\n\t},\n}";
    let app = |field: &str| format!("{commands}\nvar a = &cli.App{{\n\tName: \"shop\",{field}\n}}");
    let plain = "FROM scratch\nENTRYPOINT [\"shop\"]\n";
    assert_eq!(command(plain, &app("")), ["/app/shop", "serve"]);
    assert_eq!(command("FROM scratch\n", &app("")), ["/app/shop", "serve"]);
    assert_eq!(command(plain, &app("\n\tAction: f,")), ["/app/shop"]);
    let told = "FROM scratch\nENTRYPOINT [\"shop\", \"web\"]\n";
    assert_eq!(command(told, &app("")), ["/app/shop", "web"]);
}

#[test]
fn a_port_of_the_toolkit_of_exporters_wins_and_one_of_a_cluster_loses() {
    let port = |body: &str| {
        let main = format!(
            "package main\nimport \"github.com/prometheus/exporter-toolkit/web\"\n{body}\n"
        );
        only(&[("go.mod", "module x/shop\ngo 1.25\n"), ("main.go", &main)]).spec.runtime.ports
    };
    let cluster = "const DefaultClusterAddr = \"0.0.0.0:9094\"";
    assert_eq!(port(&format!("{cluster}\nvar c = webflag.AddFlags(k, \":9093\")")), [9093]);
    assert_eq!(port(&format!("{cluster}\nconst Addr = \"0.0.0.0:9095\"")), [9095]);
    assert_eq!(port(cluster), [9094]);
}

#[test]
fn an_address_in_the_settings_of_a_rust_server_is_its_port_and_opened_by_its_variable() {
    let check = |settings: &str, reads: &str, port: u16, told: Option<&str>| {
        let main = format!("fn main() {{\n{reads}\nHttpServer::new(app).bind(x)\n}}\n");
        let runtime = only(&[
            ("Cargo.toml", "[package]\nname = \"shop\"\n[dependencies]\nactix-web = \"4\"\nconfig = \"0.15\"\n"),
            ("src/main.rs", &main),
            ("config.toml", settings),
        ])
        .spec
        .runtime;
        let name = runtime.env.keys().find(|name| name.contains("__"));
        let set = name.map(|name| format!("{name}={}", runtime.env[name]));
        assert_eq!((runtime.ports, set.as_deref()), (vec![port], told), "{settings}");
    };
    let reads = "Environment::default().separator(\"__\")";
    let own = "[server]\naddress = \"127.0.0.1:8000\"\n";
    check(own, reads, 8000, Some("SERVER__ADDRESS=0.0.0.0:8000"));
    check(own, "", 8000, None);
    check("[server]\naddress = \"0.0.0.0:8000\"\n", reads, 8000, None);
    check("bind = \"0.0.0.0:7000\"\n", reads, 7000, None);
    check("[server]\naddress = \"x\"\nport = 9000\n", reads, 9000, None);
    check("[other]\naddress = \"127.0.0.1:8000\"\n", reads, 8080, None);
}

#[test]
fn go_tools_beside_a_server_are_no_services() {
    let server = only(&[
        ("go.mod", "module example.com/shop\ngo 1.22\n"),
        ("cmd/shop/main.go", GO_SERVER),
        ("cmd/migrate/main.go", GO_TOOL),
        ("tools/gen/main.go", GO_TOOL),
        ("examples/x/main.go", GO_SERVER),
    ]);
    assert_eq!(server.dir, ".");
    assert_eq!(server.spec.runtime.command, ["/app/shop"]);
    assert!(server.spec.build.commands[0].ends_with("./cmd/shop"));
}

#[test]
fn a_port_below_1024_is_another_where_the_program_asks_else_the_user_is_root() {
    let server = |body: &str| {
        let main = format!("package main\nimport \"net/http\"\nfunc main() {{ {body} }}\n");
        only(&[("go.mod", "module example.com/shop\ngo 1.22\n"), ("main.go", &main)])
    };
    let fixed = server("http.ListenAndServe(\":80\", nil)");
    let user = |service: &Service| service.spec.runtime.user.clone().unwrap();
    assert_eq!((fixed.spec.runtime.ports.as_slice(), user(&fixed).as_str()), (&[80][..], "0:0"));
    let told = server(
        "port := os.Getenv(\"PORT\")\nif port == \"\" {\n port = \"80\"\n}\nhttp.ListenAndServe(\":\"+port, nil)",
    );
    assert_eq!(told.spec.runtime.ports, [8080]);
    assert_eq!(told.spec.runtime.env["PORT"], "8080");
    assert_eq!(user(&told), "65532:65532");
}

#[test]
fn several_go_servers_of_a_module_are_services_of_their_own() {
    let found = services(&[
        ("go.mod", "module example.com/shop\ngo 1.22\n"),
        ("cmd/api/main.go", GO_SERVER),
        ("cmd/admin/main.go", GO_SERVER),
    ]);
    assert_eq!(folders(&found), ["cmd/admin", "cmd/api"]);
}

#[test]
fn a_go_server_is_found_through_the_packages_it_imports() {
    let found = only(&[
        ("go.mod", "module example.com/shop\ngo 1.22\n"),
        ("main.go", "package main\nimport \"example.com/shop/web\"\nfunc main() { web.Run() }\n"),
        (
            "web/web.go",
            "package web\nimport \"net/http\"\nfunc Run() { http.ListenAndServe(\":4321\", nil) }\n",
        ),
    ]);
    assert_eq!(
        (found.spec.runtime.ports.as_slice(), found.weight),
        ([4321].as_slice(), Weight::Framework)
    );
}

#[test]
fn a_go_mod_names_the_least_and_a_file_of_a_version_manager_pins() {
    let check = |files: &[(&str, &str)], want: &str, tells: bool| {
        let all: Vec<_> = files.iter().copied().chain([("main.go", GO_TOOL)]).collect();
        let found = only(&all);
        assert_eq!(build_base(&found), want);
        let version = found.decisions.iter().find(|decision| decision.what == What::Version);
        assert_eq!(version.unwrap().rule.to_string().contains("no fixes"), tells, "{want}");
    };
    let module = |text: &'static str| ("go.mod", text);
    check(&[module("module x\ngo 1.21\ntoolchain go1.22.5\n")], "golang:1.26-bookworm", false);
    check(&[module("module x\ngo 1.25.1\n")], "golang:1.25-bookworm", false);
    check(&[module("module x\ngo 1.12\n")], "golang:1.26-bookworm", false);
    check(&[module("module x\n")], "golang:1.26-bookworm", false);
    check(&[module("module x\ngo 1.30\n")], "golang:1.30-bookworm", false);
    // Code that refuses a toolchain which it does not know.
    let quic =
        "module x\ngo 1.19\nrequire github.com/marten-seemann/qtls-go1-19 v0.1.1 // indirect\n";
    check(&[module(quic)], "golang:1.19-bookworm", true);
    let pinned = |version: &'static str| [module("module x\ngo 1.21\n"), (".go-version", version)];
    check(&pinned("1.26.2\n"), "golang:1.26.2-bookworm", false);
    check(&pinned("go1.22.3\n"), "golang:1.22.3-bookworm", true);
    // It can't build the module.
    check(&pinned("1.20\n"), "golang:1.26-bookworm", false);
}

#[test]
fn go_is_built_without_c_where_no_module_needs_it_and_with_it_where_one_does() {
    let check = |requires: &str, import: &str, more: &[(&str, &str)], want: Option<&str>, slim| {
        let main = format!("package main\nimport (\n\t\"fmt\"\n{import})\nfunc main() {{}}\n");
        let module = format!("module example.com/x\ngo 1.26\n{requires}");
        let files = [&[("go.mod", module.as_str()), ("main.go", &main), ("go.sum", "")], more];
        let found = only(&files.concat());
        let cgo = found.spec.build.env.get("CGO_ENABLED").map(String::as_str);
        assert_eq!(cgo, want, "{requires}");
        let Base::Image(base) = &found.spec.runtime.base else { panic!("{requires}") };
        assert_eq!(base.contains("static"), slim, "{requires}");
    };
    check("", "", &[], Some("0"), true);
    check(
        "require github.com/gin-gonic/gin v1\n",
        "\"github.com/gin-gonic/gin\"\n",
        &[],
        Some("0"),
        true,
    );
    // Nobody knows what it imports.
    check("require github.com/acme/bus v1\n", "\"github.com/acme/bus\"\n", &[], None, false);
    let indirect = "require github.com/confluentinc/confluent-kafka-go/v2 v2 // indirect\n";
    check(indirect, "\"github.com/acme/bus\"\n", &[], Some("1"), false);
    check(
        "require github.com/duckdb/duckdb-go/v2 v2\n",
        "_ \"github.com/duckdb/duckdb-go/v2\"\n",
        &[],
        Some("1"),
        false,
    );
    let own = [("c/c.go", "package c\nimport \"C\"\n")];
    check("", "_ \"example.com/x/c\"\n", &own, Some("1"), false);
}

#[test]
fn a_method_of_a_framework_serves_only_where_the_framework_is_imported() {
    let check = |import: &str, call: &str, want: Option<u16>| {
        let main = format!("package main\nimport \"{import}\"\nfunc main() {{ {call} }}\n");
        let found = only(&[("go.mod", "module x\ngo 1.26\n"), ("main.go", &main)]);
        assert_eq!(found.spec.runtime.ports.first().copied(), want, "{call}");
    };
    check("os/exec", "exec.Command(\"ls\").Run()", None);
    check("os/exec", "exec.Command(\"ls\").Start(ctx)", None);
    check("github.com/gin-gonic/gin", "gin.Default().Run()", Some(8080));
    check("example.com/web", "web.New().Run(\":4000\")", Some(4000));
}

#[test]
fn go_without_sums_writes_them_first() {
    let unlocked =
        only(&[("go.mod", "module x\ngo 1.22\nrequire a.b/c v1.0.0\n"), ("main.go", GO_TOOL)]);
    assert!(unlocked.spec.build.commands[0].starts_with("go mod tidy && go build"));
    assert!(unlocked.spec.build.dependencies.is_empty());
}

#[test]
fn files_with_a_literal_name_travel_with_the_program_and_compiled_in_ones_do_not() {
    let copies = |service: &Service| {
        let all = service.spec.runtime.copy.iter().skip(1);
        all.map(|copy| copy.to.trim_start_matches("/app/").to_owned()).collect::<Vec<_>>()
    };
    let main = "package main\nimport \"os\"\nfunc main() {\n\tos.ReadFile(\"quotes.txt\")\n\tos.ReadFile(\"./geo/cities.csv\")\n\tos.ReadFile(\"missing.txt\")\n\t// os.ReadFile(\"old.txt\")\n\tos.ReadFile(\"util.go\")\n}\n";
    let go = only(&[
        ("go.mod", "module x\ngo 1.26\n"),
        ("main.go", main),
        ("util.go", "package main\n"),
        ("quotes.txt", "a"),
        ("old.txt", "a"),
        ("geo/cities.csv", "a"),
    ]);
    assert_eq!(copies(&go), ["geo/cities.csv", "quotes.txt"]);
    let names: Vec<String> = (0..9).map(|at| format!("\"words/{at}.txt\"")).collect();
    let main =
        format!("package main\nvar x = []string{{{}}}\nfunc main() {{}}\n", names.join(", "));
    let words: Vec<String> = (0..9).map(|at| format!("words/{at}.txt")).collect();
    let words = words.iter().map(|path| (path.as_str(), ""));
    let module = [("go.mod", "module x\ngo 1.26\n"), ("main.go", main.as_str())];
    let many = only(&module.into_iter().chain(words).collect::<Vec<_>>());
    assert_eq!(copies(&many), ["words"]);
    let main = "fn main() {\n let a = include_str!(\"../templates/a.html\");\n let b = std::fs::read(\"words.txt\");\n}\n";
    let rust = only(&[
        ("Cargo.toml", "[package]\nname = \"a\"\nversion = \"0.1.0\"\n"),
        ("src/main.rs", main),
        ("templates/a.html", "a"),
        ("words.txt", "a"),
    ]);
    assert_eq!(copies(&rust), ["words.txt"]);
}

#[test]
fn modules_of_old_times_are_built_as_their_toolchain_did() {
    let check = |version: &str, more: &[(&str, &str)], want: &str| {
        let module = format!("module x\ngo {version}\nrequire golang.org/x/net v1\n");
        let files = [("go.mod", module.as_str()), ("go.sum", ""), ("main.go", GO_TOOL)];
        let commands = only(&[&files, more].concat()).spec.build.commands;
        assert!(commands[0].starts_with(&format!("go build {want}-trimpath")), "{commands:?}");
    };
    check("1.13", &[], "-mod=mod ");
    check("1.13", &[("vendor/modules.txt", "")], "-mod=vendor ");
    check("1.15", &[("vendor/modules.txt", "")], "");
    check("1.16", &[], "");
}

#[test]
fn the_version_of_rust_is_pinned_by_the_toolchain_file_or_else_the_package() {
    let check = |more: &[(&str, &str)], package: &str, want: &str| {
        let manifest = format!("[package]\nname = \"a\"\nversion = \"0.1.0\"\n{package}");
        let mut all = vec![("Cargo.toml", manifest.as_str()), ("src/main.rs", "fn main() {}")];
        all.extend(more);
        assert_eq!(build_base(&only(&all)), want, "{package}");
    };
    check(&[("rust-toolchain", "1.79.0\n")], "rust-version = \"1.70\"", "rust:1.79-slim-bookworm");
    check(&[], "rust-version = \"1.70\"", "rust:1.70-slim-bookworm");
    check(&[], "rust-version = \"1.70\"\n[dependencies]\nserde = \"1\"", "rust:1.95-slim-bookworm");
    check(
        &[("Cargo.lock", "version = 4\n")],
        "rust-version = \"1.70\"\n[dependencies]\nserde = \"1\"",
        "rust:1.78-slim-bookworm",
    );
    check(
        &[("rust-toolchain.toml", "[toolchain]\nchannel = \"nightly\"\n")],
        "",
        "rust:1.95-slim-bookworm",
    );
    check(&[], "edition = \"2024\"", "rust:1.95-slim-bookworm");
}

#[test]
fn a_rust_library_beside_a_program_is_no_service() {
    let found = only(&[
        ("Cargo.toml", "[workspace]\nmembers = [\"a\", \"b\"]\n"),
        (
            "a/Cargo.toml",
            "[package]\nname = \"a\"\nversion = \"0.1.0\"\n[dependencies]\nb = { path = \"../b\" }\n",
        ),
        ("a/src/main.rs", "fn main() {}"),
        ("b/Cargo.toml", "[package]\nname = \"b\"\nversion = \"0.1.0\"\n"),
        ("b/src/lib.rs", ""),
    ]);
    assert_eq!(found.dir, "a");
    let step = &found.spec.build.dependencies[0];
    assert_eq!(step.files, ["Cargo.toml", "a/Cargo.toml", "b/Cargo.toml"]);
}

fn pom(body: &str) -> String {
    format!(
        "<project><groupId>g</groupId><artifactId>a</artifactId><version>1</version>{body}</project>"
    )
}

const JAVA_MAIN: &str = "package g;\npublic class App { public static void main(String[] a) {} }\n";

#[test]
fn the_version_of_java_comes_from_the_pom_unless_a_file_pins_a_newer_one() {
    let check = |properties: &str, more: &[(&str, &str)], want: &str| {
        let pom = pom(&format!("<properties>{properties}</properties>"));
        let mut all = vec![("pom.xml", pom.as_str()), ("src/main/java/g/App.java", JAVA_MAIN)];
        all.extend(more);
        assert_eq!(
            build_base(&only(&all)),
            format!("maven:3.9-eclipse-temurin-{want}"),
            "{properties}"
        );
    };
    check("<maven.compiler.source>1.8</maven.compiler.source>", &[], "8");
    check("<v>17</v><maven.compiler.release>${v}</maven.compiler.release>", &[], "17");
    check("<java.version>11</java.version>", &[(".java-version", "21\n")], "21");
    check("<java.version>17</java.version>", &[(".sdkmanrc", "java=11.0.20-tem\n")], "17");
    check("", &[("system.properties", "java.runtime.version=17\n")], "17");
    check("", &[], "21");
    // A property that names itself is no version.
    check("<java.version>${java.version}</java.version>", &[], "21");
}

#[test]
fn only_the_module_that_is_packaged_to_run_is_a_service() {
    let root = pom(
        "<packaging>pom</packaging><modules><module>web</module><module>core</module></modules>",
    );
    let child = |name: &str, plugin: &str| {
        format!(
            "<project><parent><groupId>g</groupId><artifactId>a</artifactId><version>1</version></parent><artifactId>{name}</artifactId>{plugin}</project>"
        )
    };
    let boot = "<build><plugins><plugin><groupId>org.springframework.boot</groupId><artifactId>spring-boot-maven-plugin</artifactId></plugin></plugins></build>";
    let found = only(&[
        ("pom.xml", &root),
        ("web/pom.xml", &child("web", boot)),
        ("web/src/main/java/g/App.java", JAVA_MAIN),
        ("core/pom.xml", &child("core", "")),
        ("core/src/main/java/g/Tool.java", &JAVA_MAIN.replace("App", "Tool")),
    ]);
    assert_eq!(
        (found.dir.as_str(), found.spec.build.commands[0].as_str()),
        ("web", "mvn -B -DskipTests -pl web -am package")
    );
    assert_eq!(found.spec.runtime.copy[0].from, "/build/web/target/web-1.jar");
}

#[test]
fn the_step_that_fetches_for_maven_sees_all_that_its_poms_refer_to_and_never_fails() {
    let check = |files: &[(&str, &str)], want: &[&str]| {
        let found = only(&[files, &[("src/main/java/g/App.java", JAVA_MAIN)]].concat());
        let step = &found.spec.build.dependencies[0];
        assert_eq!(step.files, want);
        assert!(step.commands.last().unwrap().ends_with(" || true"), "{:?}", step.commands);
        found
    };
    let parent = |path: &str| {
        format!(
            "<parent><groupId>g</groupId><artifactId>par</artifactId><version>1</version><relativePath>{path}</relativePath></parent>"
        )
    };
    let base = "<project><groupId>g</groupId><artifactId>par</artifactId><version>1</version><packaging>pom</packaging><properties><java.version>11</java.version></properties>";
    let named = check(
        &[
            ("pom.xml", &pom(&parent("build/parent-pom.xml"))),
            (
                "build/parent-pom.xml",
                &format!("{base}{}</project>", parent("../top.xml").replace("par", "top")),
            ),
            ("top.xml", &base.replace("par", "top").replace("11", "17")),
        ],
        &["build/parent-pom.xml", "pom.xml"],
    );
    assert_eq!(build_base(&named), "maven:3.9-eclipse-temurin-11");
    let jar = "<dependencies><dependency><groupId>l</groupId><artifactId>l</artifactId><version>1</version><scope>system</scope><systemPath>${project.basedir}/lib/l.jar</systemPath></dependency></dependencies><repositories><repository><id>own</id><url>file://${project.basedir}/repo</url></repository></repositories>";
    check(
        &[("pom.xml", &pom(jar)), ("lib/l.jar", ""), ("repo/l.pom", "")],
        &["lib/l.jar", "pom.xml", "repo"],
    );
    let profile =
        "<profiles><profile><id>it</id><modules><module>it</module></modules></profile></profiles>";
    let module = pom(&format!("<packaging>pom</packaging>{}", parent("../pom.xml")));
    check(&[("pom.xml", &pom(profile)), ("it/pom.xml", &module)], &["it/pom.xml", "pom.xml"]);
    let wrapper = [
        ("pom.xml", pom("")),
        ("mvnw", "#!/bin/sh\n".to_owned()),
        (".mvn/wrapper/maven-wrapper.properties", "distributionUrl=x".to_owned()),
    ];
    let wrapper: Vec<_> = wrapper.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let own = check(&wrapper, &[".mvn/wrapper/maven-wrapper.properties", "mvnw", "pom.xml"]);
    assert!(own.spec.build.commands[0].starts_with("chmod +x mvnw && ./mvnw -B -DskipTests"));
}

#[test]
fn the_step_that_fetches_for_gradle_sees_the_scripts_that_are_applied() {
    let check = |script: &str, want: Option<&[&str]>| {
        let found = only(&[
            ("build.gradle", &format!("plugins {{ id 'application' }}\n{script}\n")),
            ("src/main/java/g/App.java", JAVA_MAIN),
            ("config/ci.gradle", "apply from: \"$rootDir/config/more.gradle\"\n"),
            ("config/more.gradle", ""),
            ("libs/b.jar", ""),
            ("parts/settings.gradle", ""),
        ]);
        let step = found.spec.build.dependencies.first();
        let files = step.map(|step| step.files.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(files.as_deref(), want, "{script}");
    };
    check("", Some(&["build.gradle"]));
    let both = ["build.gradle", "config/ci.gradle", "config/more.gradle"];
    check("apply from: 'config/ci.gradle'", Some(&both));
    check("apply(from = \"config/ci.gradle\")", Some(&both));
    check(
        "dependencies { implementation files('libs/b.jar') }",
        Some(&["build.gradle", "libs/b.jar"]),
    );
    check("dependencies { implementation fileTree(dir: 'libs') }", Some(&["build.gradle", "libs"]));
    check("includeBuild 'parts'", Some(&["build.gradle", "parts"]));
    check("apply from: 'https://example.com/x.gradle'", Some(&["build.gradle"]));
    // Nobody can tell which one it is.
    check("apply from: scriptOf(project)", None);
}

#[test]
fn ports_that_code_sets_and_settings_of_the_management_count_for_spring() {
    let check = |code: &str, settings: &str, want: (u16, Option<&str>)| {
        let web = "<artifactId>spring-boot-starter-web</artifactId></dependency>";
        let actuator = web.replace("-web", "-actuator");
        let group = "<dependency><groupId>org.springframework.boot</groupId>";
        let plugin = "<build><plugins><plugin><groupId>org.springframework.boot</groupId><artifactId>spring-boot-maven-plugin</artifactId></plugin></plugins></build>";
        let main = JAVA_MAIN.replace("{}", &format!("{{ {code} }}"));
        let found = only(&[
            (
                "pom.xml",
                &pom(&format!(
                    "<dependencies>{group}{web}{group}{actuator}</dependencies>{plugin}"
                )),
            ),
            ("src/main/java/g/App.java", &main),
            ("src/main/resources/application.properties", settings),
        ]);
        let health = found.spec.runtime.health.as_deref();
        assert_eq!((found.spec.runtime.ports[0], health), want, "{code} {settings}");
    };
    let usual = Some("/actuator/health");
    check("", "", (8080, usual));
    check("app.setDefaultProperties(Map.of(\"server.port\", \"8083\"));", "", (8083, usual));
    check(
        "new SpringApplicationBuilder(App.class).properties(\"server.port=8084\");",
        "",
        (8084, usual),
    );
    check("WebServerFactoryCustomizer<X> c = f -> f.setPort(8085);", "", (8085, usual));
    check("mail.setPort(8086);", "", (8080, usual));
    check("", "management.server.port=9091\n", (8080, None));
    check("", "management.server.port=8080\n", (8080, usual));
    check("", "management.endpoints.web.base-path=/manage\n", (8080, Some("/manage/health")));
    check(
        "",
        "management.endpoints.web.base-path=/\nserver.servlet.context-path=/x\n",
        (8080, Some("/x/health")),
    );
}

#[test]
fn a_gradle_project_is_built_by_the_plugin_it_applies() {
    let check = |script: &str, command: &str| {
        let service = only(&[("build.gradle", script), ("src/main/java/g/App.java", JAVA_MAIN)]);
        assert!(
            service.spec.build.commands[0].contains(command),
            "{:?}",
            service.spec.build.commands
        );
    };
    check("plugins { id 'org.springframework.boot' version '3.2.0' }\n", "bootJar");
    check("plugins {\n id 'application'\n}\n", "installDist");
    check("plugins {\n id 'java'\n id 'war'\n}\n", " war");
    check("plugins {\n id 'java'\n id 'com.gradleup.shadow' version '8.3.0'\n}\n", "shadowJar");
}

#[test]
fn test_projects_and_libraries_of_dotnet_are_no_services() {
    let found = only(&[
        (
            "App/App.csproj",
            "<Project Sdk=\"Microsoft.NET.Sdk.Web\"><PropertyGroup><TargetFramework>net9.0</TargetFramework></PropertyGroup></Project>",
        ),
        (
            "Lib/Lib.csproj",
            "<Project Sdk=\"Microsoft.NET.Sdk\"><PropertyGroup><TargetFramework>net9.0</TargetFramework></PropertyGroup></Project>",
        ),
        (
            "AppTests/T.csproj",
            "<Project Sdk=\"Microsoft.NET.Sdk.Web\"><ItemGroup><PackageReference Include=\"xunit\"/></ItemGroup></Project>",
        ),
        ("App/Program.cs", "app.Run();"),
    ]);
    assert_eq!(
        (found.dir.as_str(), build_base(&found)),
        ("App", "mcr.microsoft.com/dotnet/sdk:9.0")
    );
    assert_eq!(found.spec.runtime.user.as_deref(), Some("app"));
}

const NET_WEB: &str = "<Project Sdk=\"Microsoft.NET.Sdk.Web\"><PropertyGroup><TargetFramework>net9.0</TargetFramework></PropertyGroup>";

#[test]
fn a_restore_of_dotnet_sees_what_projects_import_and_the_folders_of_packages() {
    let check = |import: &str, want: Option<&[&str]>| {
        let project = format!("{NET_WEB}{import}</Project>");
        let found = only(&[
            ("src/App/App.csproj", &project),
            ("src/App/Program.cs", "app.Run();"),
            ("eng/common.targets", "<Project><Import Project=\"more.props\"/></Project>"),
            ("eng/more.props", "<Project/>"),
            (
                "nuget.config",
                "<configuration><packageSources><add key=\"own\" value=\"./packages\"/><add key=\"n\" value=\"https://example.com/v3\"/></packageSources></configuration>",
            ),
            ("packages/a.nupkg", ""),
            (".config/dotnet-tools.json", "{}"),
        ]);
        let step = found.spec.build.dependencies.first();
        let files = step.map(|step| step.files.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(files.as_deref(), want, "{import}");
    };
    let [tools, config, packages, app] =
        [".config/dotnet-tools.json", "nuget.config", "packages", "src/App/App.csproj"];
    check("", Some(&[tools, config, packages, app]));
    let imported = [tools, "eng/common.targets", "eng/more.props", config, packages, app];
    check("<Import Project=\"..\\..\\eng\\common.targets\"/>", Some(&imported));
    let own = "<Import Project=\"$(MSBuildThisFileDirectory)../../eng/common.targets\"/>";
    check(own, Some(&imported));
    check("<Import Project=\"$(RepositoryRoot)/eng/common.targets\"/>", None);
}

#[test]
fn a_published_program_of_dotnet_runs_on_the_image_of_its_runtime() {
    let config = "{\"runtimeOptions\":{\"frameworks\":[{\"name\":\"Microsoft.NETCore.App\",\"version\":\"8.0.0\"},{\"name\":\"Microsoft.AspNetCore.App\",\"version\":\"8.0.1\"}]}}";
    let found = only(&[("Shop.dll", "MZ"), ("Shop.runtimeconfig.json", config), ("Lib.dll", "MZ")]);
    let Base::Image(base) = &found.spec.runtime.base else { panic!("{found:?}") };
    assert_eq!(base, "mcr.microsoft.com/dotnet/aspnet:8.0");
    assert_eq!(found.spec.runtime.command, ["dotnet", "/app/Shop.dll"]);
    assert_eq!((found.spec.runtime.ports[0], found.spec.build.commands.len()), (8080, 0));
}

#[test]
fn a_project_in_utf_16_is_read_and_one_for_a_standard_is_a_library() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "{NET_WEB}<ItemGroup><PackageReference Include=\"System.Drawing.Common\" Version=\"6.0.0\"/></ItemGroup></Project>"
    );
    let units = text.encode_utf16();
    let bytes: Vec<u8> = [0xff, 0xfe].into_iter().chain(units.flat_map(u16::to_le_bytes)).collect();
    fs::write(dir.path().join("Wide.csproj"), bytes).unwrap();
    let found = detect(dir.path(), Family::Official).unwrap().services.remove(0);
    assert_eq!(build_base(&found), "mcr.microsoft.com/dotnet/sdk:9.0");
    assert_eq!(found.spec.runtime.packages, ["libgdiplus"]);
    let standard = text.replace("net9.0", "netstandard2.1");
    let found = only(&[("A.csproj", &standard)]);
    assert!(found.weight < Weight::Starts);
}

#[test]
fn a_strict_global_json_is_left_out_of_the_build() {
    let check = |rolls: &str, want: &[&str]| {
        let json = format!("{{\"sdk\": {{\"version\": \"8.0.100\"{rolls}}}}}");
        let found = only(&[
            (
                "a.csproj",
                "<Project Sdk=\"Microsoft.NET.Sdk.Web\"><PropertyGroup><TargetFramework>net8.0</TargetFramework></PropertyGroup></Project>",
            ),
            ("global.json", &json),
        ]);
        assert_eq!(found.spec.build.exclude, want);
    };
    check("", &["global.json"]);
    check(", \"rollForward\": \"latestMinor\"", &[]);
}

#[test]
fn a_version_in_the_settings_wins_everywhere() {
    let check = |version: &str, files: &[(&str, &str)], want: &str| {
        let settings = format!("[[service]]\nversion = \"{version}\"\n");
        let mut all = vec![("peelbox.toml", settings.as_str())];
        all.extend(files);
        assert_eq!(build_base(&only(&all)), want);
    };
    check(
        "1.20",
        &[("go.mod", "module x\ngo 1.22\n"), ("main.go", GO_TOOL)],
        "golang:1.20-bookworm",
    );
    let pom = pom("<properties><java.version>17</java.version></properties>");
    check(
        "25",
        &[("pom.xml", &pom), ("src/main/java/g/App.java", JAVA_MAIN)],
        "maven:3.9-eclipse-temurin-25",
    );
}

/// Files that rules read, each changed a little many times: no text may make them panic or run on.
#[test]
fn no_manifest_makes_the_rules_panic() {
    let boot = pom(
        "<parent><artifactId>p</artifactId><version>${x}</version></parent><properties><x>${y}</x><y>${x}</y></properties><modules><module>m</module></modules><packaging>war</packaging>",
    );
    let samples: &[(&str, &str)] = &[
        ("go.mod", "module x\ngo 1.22\nrequire github.com/gin-gonic/gin v1\nreplace a => ../..\n"),
        (
            "Cargo.toml",
            "[package]\nname = \"a\"\n[workspace]\nmembers = [\"*\"]\n[dependencies]\na = { path = \".\" }\naxum = \"1\"\n[[bin]]\nname = \"b\"\npath = \"../x\"\n",
        ),
        ("pom.xml", &boot),
        (
            "build.gradle",
            "plugins { id 'org.springframework.boot' version '3' }\nsourceCompatibility = 1.8\nproject(':a')\n",
        ),
        ("settings.gradle", "include ':a', 'b:c'\nproject(':a').projectDir = file('../x')\n"),
        (
            "build.sbt",
            "lazy val a = project.in(file(\"..\"))\nname := \"x\"\nlibraryDependencies += \"a\" %% \"b\" % \"1\"\n",
        ),
        ("project.clj", "(defproject a \"1\" :main a :uberjar-name \"x.jar\" ring)"),
        ("deps.edn", "{:deps {ring/ring {}} :aliases {:run {:main-opts []}}}"),
        (
            "a.csproj",
            "<Project Sdk=\"Microsoft.NET.Sdk.Web\"><PropertyGroup><TargetFramework>$(T)</TargetFramework><T>$(T)</T></PropertyGroup><ItemGroup><ProjectReference Include=\"a.csproj\"/></ItemGroup></Project>",
        ),
        (
            "Package.swift",
            "// swift-tools-version:5.9\nPackage(name: \"a\", targets: [.executableTarget(name: \"App\")]) vapor/vapor\n",
        ),
        ("pubspec.yaml", "name: a\nenvironment:\n  sdk: ^3.0.0\ndependencies:\n  shelf: 1\n"),
        (
            "shard.yml",
            "name: a\ntargets:\n  a:\n    main: a.cr\ndependencies:\n  kemal:\n    github: k\n",
        ),
        ("a.cabal", "name: a\nexecutable a\n  build-depends: scotty, base\n"),
        ("package.yaml", "name: a\nexecutables:\n  a:\n    main: Main.hs\n"),
        ("stack.yaml", "resolver: lts-22.1\n"),
        ("build.zig", "b.addExecutable(.{ .name = \"a\" })"),
        ("CMakeLists.txt", "project(a)\nset(N ${PROJECT_NAME})\nadd_executable(${N} main.cpp)\n"),
        ("meson.build", "project('a', 'c')\nexecutable('a', 'main.c')\n"),
        ("Makefile", "TARGET=a\n$(TARGET): main.c\n\tcc -o $@ main.c\n"),
    ];
    let beside: &[(&str, &str)] = &[
        ("main.go", GO_SERVER),
        ("src/main.rs", "fn main() { TcpListener::bind(\"0.0.0.0:3000\") }"),
        ("src/main/java/g/App.java", JAVA_MAIN),
        ("main.cpp", "int main() {}"),
        ("bin/server.dart", "serve(8080)"),
        ("Procfile", "web: bin/a --port $PORT\n"),
    ];
    for (name, text) in samples {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in beside {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        mutate(text.as_bytes(), b"\"'{}()<>[]:=$\n. /\\\xff", 30, |bytes| {
            fs::write(dir.path().join(name), bytes).unwrap();
            let families = [Family::Official, Family::Wolfi, Family::Debian];
            drop(detect(dir.path(), families[bytes.len() % 3]));
        });
    }
}

#[test]
fn a_dotnet_program_is_published_for_the_runtime_of_the_image() {
    let found = only(&[(
        "a.csproj",
        "<Project Sdk=\"Microsoft.NET.Sdk.Web\"><PropertyGroup><TargetFramework>net9.0</TargetFramework><PublishAot>true</PublishAot></PropertyGroup></Project>",
    )]);
    assert_eq!(
        found.spec.build.commands,
        ["dotnet publish a.csproj -c Release -o /out -p:PublishAot=false"]
    );
}

#[test]
fn saved_queries_of_sqlx_are_used_where_there_is_no_database() {
    let found = only(&[
        (
            "Cargo.toml",
            "[package]\nname = \"a\"\nversion = \"0.1.0\"\n[dependencies]\nsqlx = \"0.8\"\n",
        ),
        ("src/main.rs", "fn main() {}"),
        (".sqlx/query-1.json", "{}"),
    ]);
    assert_eq!(found.spec.build.env["SQLX_OFFLINE"], "true");
}

#[test]
fn an_interpreter_that_a_script_names_is_in_the_image_that_runs_it() {
    let found = only(&[
        (
            "package.json",
            "{\"scripts\": {\"start\": \"./bin/start\"}, \"dependencies\": {\"express\": \"5\"}}",
        ),
        ("server.js", "require('express')().listen(3000);\n"),
        ("bin/start", "#!/usr/bin/env python3\nimport os\n"),
    ]);
    assert_eq!(found.spec.runtime.packages, ["python3"]);
    let script = only(&[("run.sh", "#!/usr/bin/zsh\nnc -l -p 8070\n")]);
    assert_eq!(script.spec.runtime.command, ["zsh", "run.sh"]);
    assert_eq!(script.spec.runtime.packages, ["netcat-openbsd", "zsh"]);
}

#[test]
fn a_hugo_site_is_its_configuration_and_a_folder_of_it_and_a_theme_is_none() {
    let sites = |files: &[(&str, &str)]| {
        let found = services(files);
        let sites = found.iter().filter(|it| it.spec.metadata.framework.as_deref() == Some("hugo"));
        sites.map(|it| it.dir.clone()).collect::<Vec<_>>()
    };
    let page = ("static/robots.txt", "");
    assert_eq!(sites(&[("hugo.json", "{}"), page]), ["."]);
    assert_eq!(sites(&[("config.json", "{\"baseURL\": \"x\"}"), page]), ["."]);
    assert_eq!(sites(&[("config.yaml", "languageCode: en\n"), ("content/a.md", "")]), ["."]);
    assert_eq!(sites(&[("config/_default/config.toml", ""), ("archetypes/a.md", "")]), ["."]);
    let none: &[&str] = &[];
    // The settings of any program.
    assert_eq!(sites(&[("config.yaml", "port: 1\n"), page]), none);
    assert_eq!(sites(&[("hugo.toml", "")]), none);
    let theme = [("hugo.toml", ""), ("theme.toml", ""), ("layouts/a.html", "")];
    assert_eq!(sites(&theme), none);
    let used = [
        ("hugo.toml", ""),
        ("content/a.md", ""),
        ("themes/x/hugo.toml", ""),
        ("themes/x/static/a", ""),
        ("themes/x/exampleSite/hugo.toml", ""),
        ("themes/x/exampleSite/content/a.md", ""),
    ];
    assert_eq!(sites(&used), ["."]);
}

#[test]
fn a_member_of_a_dart_workspace_is_resolved_with_the_manifests_and_the_lock_file_of_all() {
    let lib = "name: lib\nresolution: workspace\ndependencies:\n  far:\n    path: ../far\n";
    let found = only(&[
        ("pubspec.yaml", "name: all\nworkspace:\n  - app\n  - lib\n"),
        ("pubspec.lock", ""),
        ("app/pubspec.yaml", "name: app\nresolution: workspace\ndependencies:\n  shelf: any\n"),
        ("app/bin/server.dart", "void main() {}"),
        ("lib/pubspec.yaml", lib),
        ("far/pubspec.yaml", "name: far\n"),
    ]);
    let step = &found.spec.build.dependencies[0];
    let all = ["app/pubspec.yaml", "far/pubspec.yaml", "lib/pubspec.yaml"];
    assert_eq!(step.files, [&all[..], &["pubspec.lock", "pubspec.yaml"]].concat());
    assert_eq!(step.commands, ["cd app && dart pub get --enforce-lockfile"]);
}

#[test]
fn a_clojure_service_without_a_start_keeps_its_port() {
    let found = only(&[
        ("deps.edn", "{:deps {http-kit/http-kit {:mvn/version \"2.8.0\"}}}"),
        ("src/app.clj", "(ns app)\n(defn go [] (run-server handler {:port 3456}))\n"),
    ]);
    assert_eq!(found.spec.runtime.ports, [3456]);
    assert_eq!(found.spec.metadata.build_system.as_deref(), Some("tools.deps"));
}

#[test]
fn a_server_whose_default_is_the_loopback_address_is_told_to_listen_on_all() {
    let module = ("go.mod", "module x\ngo 1.26\n");
    let go = |line: &str, listen: &str| {
        let main = format!(
            "package main\nimport \"net/http\"\nfunc main() {{\n{line}\nhttp.ListenAndServe({listen}, nil)\n}}\n"
        );
        let mut found = only(&[module, ("main.go", &main)]);
        let tells =
            found.decisions.extract_if(.., |it| it.what == What::Port && it.value != "8085");
        (tells.count(), found.spec.runtime)
    };
    let (tells, flag) = go("a := flag.String(\"addr\", \"localhost:8085\", \"\")", "*a");
    assert_eq!(
        (tells, &flag.command[..]),
        (1, &["/app/x".into(), "--addr=0.0.0.0:8085".into()][..])
    );
    let (tells, variable) = go("a := get(env, \"HTTP_ADDR\", \"localhost:8085\")", "a");
    assert_eq!((tells, variable.env["HTTP_ADDR"].as_str()), (1, "0.0.0.0:8085"));
    let (tells, fixed) = go("", "\"127.0.0.1:8085\"");
    assert_eq!((tells, fixed.command.len(), fixed.env.len()), (1, 1, 0));
    assert_eq!(go("", "\":8085\"").0, 0);
}

#[test]
fn a_front_end_that_a_go_server_names_or_whose_image_has_it_belongs_to_the_server() {
    let page = "{\"scripts\": {\"build\": \"vite build\"}, \"devDependencies\": {\"vite\": \"6\"}}";
    let main = "package main\nimport \"net/http\"\nfunc main() { http.Handle(\"/\", http.FileServer(http.Dir(\"./ui/dist\"))); http.ListenAndServe(\":8080\", nil) }\n";
    let image =
        "FROM node AS web\nCOPY ui .\nFROM go\nWORKDIR /srv\nCOPY --from=web /dist ./public\n";
    let check = |main: &str, more: &[(&str, &str)], to: &str| {
        let files = [
            ("go.mod", "module x\ngo 1.26\n"),
            ("main.go", main),
            ("ui/package.json", page),
            ("ui/index.html", "<html></html>"),
        ];
        let found = only(&[&files[..], more].concat());
        let copy = found.spec.runtime.copy.iter().find(|copy| copy.to == to);
        assert!(copy.is_some(), "{:?}", found.spec.runtime.copy);
        assert!(found.spec.build.commands.iter().any(|line| line.contains("npm run build")));
    };
    check(main, &[], "/app/ui/dist");
    check(GO_SERVER, &[("Dockerfile", image)], "/app/public");
}

#[test]
fn only_what_is_for_browsers_is_built_beside_a_go_mod() {
    let check = |package: &str, line: &str, want: bool| {
        let main = format!("package main\nimport _ \"embed\"\n{line}\nfunc main() {{}}\n");
        let files =
            [("go.mod", "module x\ngo 1.26\n"), ("main.go", &main), ("package.json", package)];
        let found = only(&files);
        let is_built = found.spec.build.commands.iter().any(|line| line.contains("npm run build"));
        assert_eq!(is_built, want, "{package}");
    };
    let tool =
        "{\"scripts\": {\"build\": \"go build\"}, \"devDependencies\": {\"prettier\": \"3\"}}";
    check(tool, "", false);
    check(&tool.replace("prettier", "esbuild"), "", true);
    check(tool, "//go:embed out\nvar files embed.FS", true);
}

#[test]
fn crates_of_the_tree_are_there_when_cargo_fetches() {
    let config = "[source.crates-io]\nreplace-with = \"own\"\n[source.own]\ndirectory = \"vendor\"\n[source.other]\nlocal-registry = \"third/registry\"\n";
    let found = only(&[
        (
            "Cargo.toml",
            "[package]\nname = \"a\"\nversion = \"0.1.0\"\n[dependencies]\nb = \"1\"\n[patch.crates-io]\nb = { path = \"own/b\" }\nc = { path = \"vendor/c\" }\n",
        ),
        ("Cargo.lock", "version = 4\n"),
        (".cargo/config.toml", config),
        ("own/b/Cargo.toml", "[package]\nname = \"b\"\nversion = \"1.0.0\"\n"),
        ("own/b/src/lib.rs", ""),
        ("src/main.rs", "fn main() {}"),
    ]);
    let files = &found.spec.build.dependencies[0].files;
    let folders = ["own/b/Cargo.toml", "third/registry", "vendor", "vendor/c"];
    assert_eq!(
        files,
        &[&[".cargo/config.toml", "Cargo.lock", "Cargo.toml"][..], &folders].concat()
    );
}
