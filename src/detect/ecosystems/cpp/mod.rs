//! C and C++: CMake, Meson and Make; the programs that their files name.

use crate::detect::{
    Decision, Evidence, Project, Service, Weight,
    ecosystems::{
        draft::{APP_DIR, OUT_DIR, debian, draft, official, quote, within, wolfi},
        source,
    },
    images::{Family, plain_user},
    model::join,
};

mod makefile;

/// All services in C and C++.
pub fn find(project: &Project<'_>) -> Vec<Service> {
    project.tree.outermost(|dir, entries| {
        if entries.has("CMakeLists.txt") {
            cmake(project, dir)
        } else if entries.has("meson.build") {
            meson(project, dir)
        } else if let Some(name) = entries.first_of(&["Makefile", "makefile", "GNUmakefile"]) {
            makefile::make(project, dir, name)
        } else {
            lone(project, dir)
        }
    })
}

/// `c` or `cpp`, by the extensions of most sources; `None` without any.
fn language(project: &Project<'_>, dir: &str) -> Option<(&'static str, Evidence)> {
    let count = |extensions: &[&str]| {
        let files = source::gather(project, dir, extensions, &|_| false);
        (files.len(), files.first().map(|file| Evidence::file(&file.path)))
    };
    let (cpp, first_cpp) = count(&["cpp", "cc", "cxx", "c++", "cppm"]);
    let (c, first_c) = count(&["c"]);
    match first_cpp {
        Some(evidence) if cpp >= c => Some(("cpp", evidence)),
        _ => Some(("c", first_c?)),
    }
}

fn base(project: &Project<'_>, dir: &str, system: &'static str, manifest: &str) -> Option<Service> {
    let (language, evidence) = language(project, dir)?;
    let mut service = draft(dir, language, system);
    service.decide("language", language, "its sources", [evidence]);
    service.decide("build system", system, "its build file", [Evidence::file(manifest)]);
    match project.bases {
        Family::Official => {
            // GCC 12 is what Debian 12 has, so programs run with Debian's own library.
            service.spec.build.base = official("gcc:12-bookworm");
            service.spec.runtime.base = debian();
            if language == "cpp" {
                service.runtime_packages(["libstdc++6"]);
            }
            service.decide("version", "12", "the GCC whose library Debian 12 has", []);
        }
        Family::Wolfi => {
            service.spec.build.base = wolfi();
            service.spec.runtime.base = wolfi();
            service.build_packages(["build-base"]);
            service.runtime_packages(["libstdc++", "libgcc"]);
        }
        Family::Debian => {
            service.spec.build.base = debian();
            service.spec.runtime.base = debian();
            service.build_packages(["build-essential", "ca-certificates", "git"]);
            if language == "cpp" {
                service.runtime_packages(["libstdc++6"]);
            }
        }
    }
    service.spec.runtime.user = Some(plain_user(project.bases).to_owned());
    service.spec.runtime.workdir = Some(APP_DIR.to_owned());
    Some(service)
}

/// A program's name and where it is declared.
type Target = (String, Evidence);

fn finish(
    project: &Project<'_>,
    service: &mut Service,
    dir: &str,
    text: &str,
    target: Option<Target>,
) {
    let files = source::gather(
        project,
        dir,
        &["c", "cpp", "cc", "cxx", "h", "hpp", "txt", "build"],
        &|_| false,
    );
    for (needle, build, runtime) in LIBRARIES {
        let lower = text.to_lowercase();
        if lower.contains(needle) && project.bases != Family::Wolfi {
            service.build_packages(build.iter().copied());
            service.runtime_packages(runtime.iter().copied());
            service.decide(
                "packages",
                build.join(" "),
                format!("its build file asks for {needle}"),
                [],
            );
        }
    }
    let framework = FRAMEWORKS.iter().find_map(|(id, needle, port)| {
        let seen = source::mention(&files, needle)?;
        Some((*id, *port, seen))
    });
    let Some((name, evidence)) = target else {
        service.decide("start command", "", "no program is declared: a library", []);
        return;
    };
    service.weight = Weight::Starts;
    service.name(name.clone());
    service.copy(&format!("{OUT_DIR}/{name}"), &format!("{APP_DIR}/{name}"));
    let path = format!("{APP_DIR}/{name}");
    service.start([path.as_str()], "the declared program", [evidence]);
    for name in ["templates", "static", "public", "views", "www", "config", "config.json", "assets"]
    {
        let path = join(dir, name);
        let is_there = project.tree.has(&path) || project.tree.has_dir(&path);
        if let Some(seen) = source::names_path(&files, name).filter(|_| is_there) {
            service.decide("artifacts", path.clone(), "the program reads it", [seen]);
            service.copy(&path, &format!("{APP_DIR}/{name}"));
        }
    }
    let listening = [
        "bind(", "listen(", "listen_addr", ".port(", "addListener(", "htons(", "acceptor",
        "Endpoint", "listen\"", "mg_http_listen",
    ];
    let ports = source::ports(&files, &listening);
    let serves = framework.is_some()
        || listening[..2]
            .iter()
            .chain(&["htons("])
            .any(|call| source::mention(&files, call).is_some());
    let mut default = 8080;
    if let Some((id, port, seen)) = framework {
        service.framework(id, "included", [seen]);
        default = port;
    }
    if serves {
        match ports.number {
            Some((port, evidence)) => service.port(port, "the program's text", [evidence]),
            None => service.port(default, "a default: nothing says otherwise", []),
        }
        if let (Some(_), Some(port)) = (ports.env, service.spec.runtime.ports.first().copied()) {
            service.env("PORT", port.to_string());
        }
    } else if let Some((port, evidence)) = source::address(&files) {
        service.port(port, "the address that the program binds to", [evidence]);
    }
}

fn cmake(project: &Project<'_>, dir: &str) -> Option<Service> {
    let path = join(dir, "CMakeLists.txt");
    let text = project.tree.read(&path)?;
    let mut service = base(project, dir, "cmake", &path)?;
    service.build_packages(["cmake", "ninja-build"]);
    if project.bases == Family::Wolfi {
        service.spec.build.packages.retain(|name| name != "ninja-build");
        service.build_packages(["ninja"]);
    }
    let project_name = calls(&text.text, "project").into_iter().next().map(|(name, _)| name);
    let mut all = String::new();
    let mut targets: Vec<Target> = Vec::new();
    let below =
        project.tree.dirs_below(dir).filter(|(_, entries)| entries.has("CMakeLists.txt")).take(100);
    for (folder, _) in below {
        if source::is_beside_product(
            crate::detect::ecosystems::draft::relative(dir, folder).as_str(),
        ) {
            continue;
        }
        let path = join(folder, "CMakeLists.txt");
        let Some(text) = project.tree.read(&path) else { continue };
        all.push_str(&text.text);
        for (name, at) in calls(&text.text, "add_executable") {
            let name = match name.as_str() {
                "${PROJECT_NAME}" | "${CMAKE_PROJECT_NAME}" => project_name.clone(),
                name if name.starts_with("${") => {
                    variable(&text.text, name, project_name.as_deref())
                }
                name => Some(name.to_owned()),
            };
            if let Some(name) = name.filter(|name| is_plain(name)) {
                targets.push((name, Evidence::line(&path, Some(text.line_at(at)))));
            }
        }
    }
    // Alone, a program is what there is, whatever it is called, unless it tests a library.
    let is_called = |target: &Target, word: &str| target.0.to_lowercase().contains(word);
    if !calls(&all, "add_library").is_empty() {
        targets.retain(|target| !is_called(target, "test"));
    }
    let is_check = |target: &Target| is_called(target, "test") || is_called(target, "bench");
    if !targets.iter().all(is_check) {
        targets.retain(|target| !is_check(target));
    }
    let target = prefer(&mut service, targets, project_name.as_deref());
    if let Some((name, _)) = &target {
        let find = format!(
            "mkdir -p {OUT_DIR} && cp \"$(find {OUT_DIR}-build -type f -name {0} -perm -u+x | head -n 1)\" {OUT_DIR}/{0}",
            quote(name)
        );
        service.spec.build.commands = vec![
            within(
                dir,
                &format!("cmake -S . -B {OUT_DIR}-build -G Ninja -DCMAKE_BUILD_TYPE=Release"),
            ),
            format!("cmake --build {OUT_DIR}-build --target {}", quote(name)),
            find,
        ];
    } else {
        service.spec.build.commands = vec![within(
            dir,
            &format!("cmake -S . -B {OUT_DIR}-build && cmake --build {OUT_DIR}-build"),
        )];
    }
    if let Some(version) = vcpkg(project, dir) {
        service.decide("packages", "vcpkg", "vcpkg.json names dependencies", [version]);
        service.build_packages(["curl", "zip", "unzip", "tar", "git", "pkg-config"]);
        service.spec.build.commands.insert(0, "git clone --depth 1 https://github.com/microsoft/vcpkg /opt/vcpkg && /opt/vcpkg/bootstrap-vcpkg.sh -disableMetrics".to_owned());
        if let Some(configure) = service.spec.build.commands.get_mut(1) {
            configure
                .push_str(" -DCMAKE_TOOLCHAIN_FILE=/opt/vcpkg/scripts/buildsystems/vcpkg.cmake");
        }
        service.cache(["/root/.cache/vcpkg"]);
    }
    if let Some(file) = project.tree.first_of(dir, &["conanfile.txt", "conanfile.py"]) {
        service.decide("packages", "conan", "its dependencies", [Evidence::file(file)]);
        service.build_packages(["python3-pip"]);
        service.cache(["/root/.conan2"]);
        let install = within(
            dir,
            &format!(
                "pip3 install --break-system-packages conan && conan profile detect --exist-ok && conan install . --output-folder={OUT_DIR}-build --build=missing -s build_type=Release"
            ),
        );
        service.spec.build.commands.insert(0, install);
        if let Some(configure) = service.spec.build.commands.get_mut(1) {
            configure.push_str(&format!(
                " -DCMAKE_TOOLCHAIN_FILE={OUT_DIR}-build/conan_toolchain.cmake"
            ));
        }
    }
    let command = service.spec.build.commands.join(" && ");
    service.decide("build command", command, "CMake, optimised", [Evidence::file(&path)]);
    finish(project, &mut service, dir, &all, target);
    Some(service)
}

fn vcpkg(project: &Project<'_>, dir: &str) -> Option<Evidence> {
    let path = join(dir, "vcpkg.json");
    let file = project.tree.json(&path)?;
    let dependencies = file.get("dependencies")?;
    (!dependencies.items().is_empty()).then(|| Evidence::line(path, Some(dependencies.line)))
}

/// The program named like the project, else one named like a server, else the first.
fn prefer(service: &mut Service, targets: Vec<Target>, project: Option<&str>) -> Option<Target> {
    let named =
        |wanted: &str| targets.iter().position(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let servers = ["server", "app", "main", "web", "api"];
    let at = project
        .and_then(named)
        .or_else(|| servers.iter().find_map(|name| named(name)))
        .unwrap_or(0);
    let chosen = targets.get(at).cloned()?;
    for (name, evidence) in targets.iter().filter(|(name, _)| *name != chosen.0) {
        let decision = Decision::new(
            "service",
            chosen.0.clone(),
            "the program that is run",
            [chosen.1.clone()],
        );
        let why = "neither named like the project nor before it";
        service.decisions.push(decision.not(name.clone(), Some(evidence.clone()), why));
    }
    Some(chosen)
}

/// First arguments of the calls `name(argument …)`, with their places; names of commands know no case.
fn calls(text: &str, name: &str) -> Vec<(String, usize)> {
    let lower = text.to_ascii_lowercase();
    let mut found = Vec::new();
    for (at, _) in lower.match_indices(name).take(500) {
        let line = &text[..at].rsplit('\n').next().unwrap_or_default();
        let is_word = !line.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let Some(rest) = text[at + name.len()..].trim_start().strip_prefix('(') else { continue };
        if !is_word || line.contains('#') {
            continue;
        }
        let rest = rest.trim_start();
        let end =
            rest.find(|c: char| c.is_whitespace() || matches!(c, ')' | ',')).unwrap_or(rest.len());
        let word = rest[..end].trim_matches(['"', '\'']);
        if !word.is_empty() {
            found.push((word.to_owned(), at));
        }
    }
    found
}

/// The value of `set(NAME value)`.
fn variable(text: &str, reference: &str, project: Option<&str>) -> Option<String> {
    let name = reference.strip_prefix("${")?.strip_suffix('}')?;
    let set = text.find(&format!("set({name} ")).or_else(|| text.find(&format!("SET({name} ")))?;
    let value =
        text[set + name.len() + 5..].split(|c: char| c.is_whitespace() || c == ')').next()?;
    match value.trim_matches('"') {
        "${PROJECT_NAME}" => project.map(str::to_owned),
        value => Some(value.to_owned()),
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+'))
}

fn meson(project: &Project<'_>, dir: &str) -> Option<Service> {
    let path = join(dir, "meson.build");
    let text = project.tree.read(&path)?;
    let mut service = base(project, dir, "meson", &path)?;
    service.build_packages(["meson", "pkg-config"]);
    let project_name = calls(&text.text, "project")
        .into_iter()
        .next()
        .map(|(name, _)| name.trim_matches([',', '\'']).to_owned());
    let mut targets = Vec::new();
    let mut all = String::new();
    for (folder, _) in
        project.tree.dirs_below(dir).filter(|(_, entries)| entries.has("meson.build")).take(100)
    {
        let path = join(folder, "meson.build");
        let Some(text) = project.tree.read(&path).filter(|_| !source::is_beside_product(folder))
        else {
            continue;
        };
        all.push_str(&text.text);
        for (name, at) in calls(&text.text, "executable") {
            let name = name.trim_matches([',', '\'', '"']).to_owned();
            let name = if name == "meson.project_name()" || name == "meson.project_name(" {
                project_name.clone().unwrap_or_default()
            } else {
                name
            };
            if is_plain(&name) && !name.contains("test") {
                targets.push((name, Evidence::line(&path, Some(text.line_at(at)))));
            }
        }
    }
    let target = prefer(&mut service, targets, project_name.as_deref());
    service.spec.build.commands = vec![
        within(dir, &format!("meson setup {OUT_DIR}-build --buildtype=release")),
        format!("meson compile -C {OUT_DIR}-build"),
    ];
    if let Some((name, _)) = &target {
        service.spec.build.commands.push(format!("mkdir -p {OUT_DIR} && cp \"$(find {OUT_DIR}-build -type f -name {0} -perm -u+x | head -n 1)\" {OUT_DIR}/{0}", quote(name)));
    }
    service.decide(
        "build command",
        service.spec.build.commands.join(" && "),
        "Meson, optimised",
        [Evidence::file(&path)],
    );
    finish(project, &mut service, dir, &all, target);
    Some(service)
}

/// A `main.c` or `main.cpp` without any build file, or the only source of the root: all sources of its folder are one
/// program.
fn lone(project: &Project<'_>, dir: &str) -> Option<Service> {
    let entries = project.tree.entries(dir)?;
    let named = entries.first_of(&["main.cpp", "main.cc", "main.cxx", "main.c"]);
    let main = named.map(str::to_owned).or_else(|| only_source(project, dir))?;
    let above_others = entries.files.iter().all(|name| !OTHERS.contains(&name.as_str()));
    if !above_others || source::is_beside_product(dir) {
        return None;
    }
    let path = join(dir, &main);
    // The folder of the project is that in which `src` lies.
    let sources = dir;
    let dir = match dir.rsplit_once('/') {
        Some((above, "src")) => above,
        None if dir == "src" => ".",
        _ => dir,
    };
    let mut service = base(project, dir, "none", &path)?;
    let extension = main.rsplit_once('.')?.1;
    let compiler = if extension == "c" { "gcc" } else { "g++ -std=c++20" };
    let build =
        format!("mkdir -p {OUT_DIR} && {compiler} -O2 -o {OUT_DIR}/app *.{extension} -lpthread");
    service.spec.build.commands = vec![within(sources, &build)];
    service.decide(
        "build command",
        build,
        "no build file: all sources of the folder",
        [Evidence::file(&path)],
    );
    finish(project, &mut service, dir, "", Some(("app".to_owned(), Evidence::file(path))));
    service.weight = service.weight.min(Weight::Files);
    service.spec.metadata.project_name = None;
    Some(service)
}

/// The one source in the root, when it has a `main`.
fn only_source(project: &Project<'_>, dir: &str) -> Option<String> {
    let entries = project.tree.entries(dir).filter(|_| dir == ".")?;
    let is_source = |name: &&String| {
        name.rsplit_once('.').is_some_and(|(_, ext)| ["c", "cc", "cpp", "cxx"].contains(&ext))
    };
    let mut sources = entries.files.iter().filter(is_source);
    let only = sources.next().filter(|_| sources.next().is_none())?;
    let text = project.tree.read(&join(dir, only))?;
    ["int main(", "int main (", "auto main("]
        .iter()
        .any(|form| text.text.contains(form))
        .then(|| only.clone())
}

/// Manifests of other languages: a Makefile beside one only calls that language's tools.
const OTHERS: &[&str] = &[
    "go.mod", "Cargo.toml", "package.json", "pyproject.toml", "requirements.txt", "pom.xml",
    "build.gradle", "composer.json", "Gemfile", "mix.exs", "setup.py", "build.zig",
    "Package.swift", "stack.yaml", "shard.yml", "pubspec.yaml", "deno.json", "gleam.toml",
];

/// Text that a build file has, and what that means on Debian 12.
static LIBRARIES: &[(&str, &[&str], &[&str])] = &[
    (
        "boost",
        &["libboost-all-dev"],
        &["libboost-system1.74.0", "libboost-thread1.74.0", "libboost-filesystem1.74.0"],
    ),
    ("openssl", &["libssl-dev"], &["libssl3"]),
    ("-lssl", &["libssl-dev"], &["libssl3"]),
    ("find_package(curl", &["libcurl4-openssl-dev"], &["libcurl4"]),
    ("-lcurl", &["libcurl4-openssl-dev"], &["libcurl4"]),
    ("sqlite3", &["libsqlite3-dev"], &["libsqlite3-0"]),
    ("libpq", &["libpq-dev"], &["libpq5"]),
    ("postgresql", &["libpq-dev"], &["libpq5"]),
    ("zlib", &["zlib1g-dev"], &["zlib1g"]),
    ("jsoncpp", &["libjsoncpp-dev"], &["libjsoncpp25"]),
    ("libmicrohttpd", &["libmicrohttpd-dev"], &["libmicrohttpd12"]),
    ("-lmicrohttpd", &["libmicrohttpd-dev"], &["libmicrohttpd12"]),
    ("libuv", &["libuv1-dev"], &["libuv1"]),
    ("libevent", &["libevent-dev"], &["libevent-2.1-7"]),
    ("asio", &["libasio-dev"], &[]),
    ("nlohmann_json", &["nlohmann-json3-dev"], &[]),
    ("fmt::fmt", &["libfmt-dev"], &["libfmt9"]),
    ("spdlog", &["libspdlog-dev"], &["libspdlog1.10"]),
    ("protobuf", &["libprotobuf-dev", "protobuf-compiler"], &["libprotobuf32"]),
    ("grpc++", &["libgrpc++-dev", "protobuf-compiler-grpc"], &["libgrpc++1.51"]),
    ("mysqlclient", &["default-libmysqlclient-dev"], &["libmariadb3"]),
    ("uuid", &["uuid-dev"], &["libuuid1"]),
    ("ncurses", &["libncurses-dev"], &["libncursesw6"]),
];

static FRAMEWORKS: &[(&str, &str, u16)] = &[
    ("drogon", "drogon/drogon.h", 8848),
    ("crow", "crow.h", 18080),
    ("crow", "crow_all.h", 18080),
    ("oatpp", "oatpp/", 8000),
    ("pistache", "pistache/", 9080),
    ("cpp-httplib", "httplib.h", 8080),
    ("restinio", "restinio/", 8080),
    ("cppcms", "cppcms/", 8080),
    ("poco", "Poco/Net/HTTPServer", 8080),
    ("boost-beast", "boost/beast", 8080),
    ("mongoose", "mongoose.h", 8000),
    ("civetweb", "civetweb.h", 8080),
    ("libmicrohttpd", "microhttpd.h", 8080),
    ("facil.io", "fio.h", 3000),
    ("grpc", "grpcpp/grpcpp.h", 50051),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{detect::Text, mutation::mutate};

    #[test]
    fn first_arguments_of_calls_are_found() {
        let text = "project(Shop VERSION 1)\n# add_executable(no x.c)\nadd_executable(\n  shop main.cpp)\nADD_EXECUTABLE (tool t.c)\nmy_project(x)\n";
        let names = |name| calls(text, name).into_iter().map(|(word, _)| word).collect::<Vec<_>>();
        assert_eq!(names("add_executable"), ["shop", "tool"]);
        assert_eq!(names("project"), ["Shop"]);
    }

    #[test]
    fn no_text_makes_it_panic() {
        let seed = "set(X ${PROJECT_NAME})\nadd_executable(${X} a.c)\n";
        mutate(seed.as_bytes(), b"(){}$\n\t:= #\"", 2000, |bytes| {
            let text = Text { path: "x".into(), text: String::from_utf8_lossy(bytes).into_owned() };
            drop(calls(&text.text, "add_executable"));
            drop(variable(&text.text, "${X}", None));
        });
    }
}
