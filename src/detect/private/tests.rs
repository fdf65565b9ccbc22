//! Private registries of small trees, and what the build has to be handed for them.

use std::fs;

use crate::{
    detect::{Detected, Family, detect, emit},
    spec::{Secret, SecretTarget},
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

/// `NAME` for a variable, `id=path` for a file, `?` after what the build goes on without.
fn told(secret: &Secret) -> String {
    let place = match &secret.target {
        SecretTarget::Env(name) => {
            assert_eq!(*name, secret.id);
            name.clone()
        }
        SecretTarget::File(path) => format!("{}={path}", secret.id),
    };
    format!("{place}{}", if secret.required { "" } else { "?" })
}

#[track_caller]
fn check(files: &[(&str, &str)], expected: &[&str]) {
    let found = found(files);
    let [service] = &found.services[..] else { panic!("{:?}", found.services.len()) };
    let secrets: Vec<String> = service.spec.build.secrets.iter().map(told).collect();
    assert_eq!(secrets, expected, "{:?}", found.notes);
}

const PACKAGE: (&str, &str) = (
    "package.json",
    r#"{"name":"shop","dependencies":{"express":"^4","@acme/lib":"^1"},"scripts":{"start":"node server.js"}}"#,
);
const SERVER: (&str, &str) = ("server.js", "require('express')().listen(process.env.PORT||3000)");

#[test]
fn a_variable_in_the_settings_of_a_node_registry_is_a_secret_of_the_build() {
    let check = |name: &str, text: &str, lock: &str, expected: &[&str]| {
        check(&[PACKAGE, SERVER, (lock, "{}"), (name, text)], expected);
    };
    const LOCK: &str = "package-lock.json";
    let token = "@acme:registry=https://npm.pkg.github.com\n//npm.pkg.github.com/:_authToken=${NODE_AUTH_TOKEN}\n";
    check(".npmrc", token, LOCK, &["NODE_AUTH_TOKEN"]);
    // A token for the public registry is for publishing as often as for reading.
    check(".npmrc", "//registry.npmjs.org/:_authToken=${NPM_TOKEN}\n", LOCK, &["NPM_TOKEN?"]);
    check(".npmrc", "//npm.acme.dev/:_authToken=${T-}\n", LOCK, &["T?"]);
    check(".npmrc", "# //npm.acme.dev/:_authToken=${T}\ncache=${HOME}/x\nfund=false\n", LOCK, &[]);
    check(".npmrc", "@acme:registry=https://npm.pkg.github.com\n", LOCK, &["npmrc=/root/.npmrc"]);
    check(".npmrc", "registry=https://npm.acme.dev\n", LOCK, &["npmrc=/root/.npmrc?"]);
    let yarn = "npmScopes:\n  acme:\n    npmRegistryServer: https://npm.pkg.github.com\n    npmAuthToken: ${NPM_TOKEN}\n";
    check(".yarnrc.yml", yarn, "yarn.lock", &["NPM_TOKEN"]);
    check(".yarnrc.yml", &yarn.replace("TOKEN}", "TOKEN:-}"), "yarn.lock", &["NPM_TOKEN?"]);
    let bun =
        "[install.scopes]\nacme = { url = \"https://npm.acme.dev\", token = \"$ACME_TOKEN\" }\n";
    check("bunfig.toml", bun, "bun.lock", &["ACME_TOKEN"]);
}

#[test]
fn a_token_that_stands_in_the_tree_is_told_and_never_copied() {
    let npmrc = (".npmrc", "//npm.acme.dev/:_authToken=abc123def\n");
    let found = found(&[PACKAGE, SERVER, npmrc]);
    assert!(found.notes.iter().any(|note| note.starts_with(".npmrc:1: holds a credential")));
    let text = emit::emit(&[found.services[0].spec.clone()]);
    assert!(!text.contains("abc123def"));
}

#[test]
fn private_indexes_of_python_are_secrets_by_the_names_that_the_tools_have() {
    let main = ("main.py", "from flask import Flask\napp = Flask(__name__)\n");
    let requirements = |text| [main, ("requirements.txt", text)];
    let url = "--extra-index-url https://${PYPI_USER}:${PYPI_TOKEN}@pypi.acme.dev/simple\nflask\n";
    check(&requirements(url), &["PYPI_TOKEN", "PYPI_USER"]);
    check(
        &requirements("--index-url https://pypi.acme.dev/simple\nflask\n"),
        &["netrc=/root/.netrc?"],
    );
    check(&requirements("--extra-index-url https://download.pytorch.org/whl/cpu\nflask\n"), &[]);
    let project = "[project]\nname = \"a\"\nversion = \"1\"\ndependencies = [\"flask\"]\n";
    let uv = format!(
        "{project}[[tool.uv.index]]\nname = \"acme-main\"\nurl = \"https://x.pkgs.dev.azure.com/simple\"\n"
    );
    let both = ["UV_INDEX_ACME_MAIN_USERNAME", "UV_INDEX_ACME_MAIN_PASSWORD"];
    check(&[main, ("uv.lock", "version = 1\n"), ("pyproject.toml", &uv)], &both);
    let poetry = "[tool.poetry]\nname = \"a\"\nversion = \"1\"\n[tool.poetry.dependencies]\npython = \"^3.12\"\nflask = \"^3\"\n[[tool.poetry.source]]\nname = \"acme\"\nurl = \"https://pypi.acme.dev/simple\"\n[[tool.poetry.source]]\nname = \"torch\"\nurl = \"https://download.pytorch.org/whl/cpu\"\n";
    let both = ["POETRY_HTTP_BASIC_ACME_USERNAME?", "POETRY_HTTP_BASIC_ACME_PASSWORD?"];
    check(&[main, ("pyproject.toml", poetry)], &both);
    let conf = ("pip.conf", "[global]\nindex-url = https://pypi.acme.dev/simple\n");
    let found = found(&[main, ("requirements.txt", "flask\n"), conf]);
    let build = &found.services[0].spec.build;
    assert_eq!(build.env["PIP_CONFIG_FILE"], "/build/pip.conf");
    assert!(build.dependencies[0].files.contains(&"pip.conf".to_owned()));
}

#[test]
fn private_registries_of_the_jvm_are_secrets() {
    let pom = |more: &str| {
        format!(
            "<project><modelVersion>4.0.0</modelVersion><groupId>g</groupId><artifactId>a</artifactId><version>1</version>\n{more}\n<build><plugins><plugin><groupId>org.springframework.boot</groupId><artifactId>spring-boot-maven-plugin</artifactId></plugin></plugins></build></project>"
        )
    };
    let main = ("src/main/java/App.java", "class App { public static void main(String[] a) {} }\n");
    let own = "<repositories><repository>\n<url>https://maven.pkg.github.com/acme/x</url>\n</repository></repositories>";
    check(&[("pom.xml", &pom(own)), main], &["maven-settings=/root/.m2/settings.xml"]);
    let publishes = own.replace("repositories>", "distributionManagement>").replace('\n', "");
    check(&[("pom.xml", &pom(&publishes)), main], &[]);
    let settings = "<settings><servers><server><id>x</id>\n<username>${env.GH_USER}</username>\n<password>${env.GH_TOKEN}</password></server></servers>\n<mirrors><mirror><url>https://maven.pkg.github.com/acme/x</url></mirror></mirrors></settings>";
    let files = [("pom.xml", &*pom(own)), main, ("settings.xml", settings)];
    check(&files, &["GH_USER", "GH_TOKEN"]);
    assert_eq!(
        found(&files).services[0].spec.build.env["MAVEN_ARGS"],
        "--settings /build/settings.xml"
    );
    let gradle = |block: &str| {
        format!(
            "plugins {{ id 'org.springframework.boot' version '3.3.0'\n id 'java' }}\n{block} {{\n maven {{\n  url = 'https://maven.pkg.github.com/acme/x'\n  credentials {{\n   username = System.getenv('GH_USER')\n   password = System.getenv(\"GH_TOKEN\")\n  }}\n }}\n}}\nversion = System.getenv('USER_VERSION')\n"
        )
    };
    check(&[("build.gradle", &gradle("repositories")), main], &["GH_USER?", "GH_TOKEN?"]);
    check(&[("build.gradle", &gradle("publishing")), main], &[]);
}

#[test]
fn private_registries_of_other_tools_are_secrets() {
    let go = [
        ("go.mod", "module acme.dev/shop\ngo 1.22\nrequire github.com/acme/lib v1.0.0\n"),
        ("go.sum", ""),
        (
            "main.go",
            "package main\nimport \"net/http\"\nfunc main() { http.ListenAndServe(\":8080\", nil) }\n",
        ),
        ("Makefile", "export GOPRIVATE=github.com/acme/*\nall:\n\tgo build\n"),
    ];
    check(&go, &["netrc=/root/.netrc"]);
    assert_eq!(found(&go).services[0].spec.build.env["GOPRIVATE"], "github.com/acme/*");
    let gems = "source 'https://rubygems.org'\ngem 'sinatra'\nsource 'https://gems.contribsys.com/' do\n  gem 'sidekiq-pro'\nend\ngem 'x', git: \"https://#{ENV['GIT_TOKEN']}@github.com/acme/x\"\n";
    let app = ("config.ru", "run Sinatra::Application\n");
    check(&[("Gemfile", gems), app], &["GIT_TOKEN?", "BUNDLE_GEMS__CONTRIBSYS__COM"]);
    let cargo = [
        (
            "Cargo.toml",
            "[package]\nname = \"a\"\nversion = \"1.0.0\"\n[dependencies]\nx = { version = \"1\", registry = \"my-co\" }\naxum = \"0.8\"\n",
        ),
        ("src/main.rs", "fn main() {}\n"),
        (
            ".cargo/config.toml",
            "[registries]\nmy-co = { index = \"sparse+https://crates.acme.dev/\" }\nother = { index = \"sparse+https://y.dev/\" }\n",
        ),
    ];
    check(&cargo, &["CARGO_REGISTRIES_MY_CO_TOKEN?"]);
    let php = [
        (
            "composer.json",
            r#"{"require":{"laravel/nova":"^4"},"repositories":[{"type":"composer","url":"https://nova.laravel.com"}]}"#,
        ),
        ("index.php", "<?php echo 1;\n"),
    ];
    check(&php, &["COMPOSER_AUTH"]);
    let net = [
        (
            "a.csproj",
            "<Project Sdk=\"Microsoft.NET.Sdk.Web\"><PropertyGroup><TargetFramework>net8.0</TargetFramework></PropertyGroup></Project>",
        ),
        ("Program.cs", "var app = WebApplication.Create(args); app.Run();\n"),
        (
            "NuGet.Config",
            "<configuration><packageSources>\n<add key=\"nuget.org\" value=\"https://api.nuget.org/v3/index.json\" />\n<add key=\"github\" value=\"https://nuget.pkg.github.com/acme/index.json\" />\n</packageSources></configuration>",
        ),
    ];
    check(&net, &["NuGetPackageSourceCredentials_github"]);
}

#[test]
fn the_settings_of_one_language_ask_nothing_of_a_service_in_another() {
    let npmrc = (".npmrc", "//npm.acme.dev/:_authToken=${T}\n");
    check(
        &[
            npmrc,
            ("main.py", "from flask import Flask\napp = Flask(__name__)\n"),
            ("requirements.txt", "flask\n"),
        ],
        &[],
    );
}

#[test]
fn a_dependency_over_ssh_is_told_with_its_line() {
    let package = "{\"name\":\"a\",\"repository\":{\n\"url\":\"git@github.com:a/a.git\"},\n\"dependencies\":{\n\"x\":\"git+ssh://git@github.com/acme/x.git\"},\"scripts\":{\"start\":\"node server.js\"}}";
    let found = found(&[("package.json", package), SERVER]);
    let notes: Vec<&String> = found.notes.iter().filter(|note| note.contains("over SSH")).collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("package.json:4: "));
}
