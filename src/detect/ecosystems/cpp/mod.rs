//! C and C++: CMake, Meson and Make; the programs that their files name.

use self::calls::{Target, calls, declared};
use crate::detect::prelude::*;

mod calls;
mod makefile;

static C: Language = row("c", &[]);
static CPP: Language = row("cpp", &["libstdc++6"]);

/// The row of a language, by what programs load on Debian.
const fn row(id: &'static str, loads: &'static [&'static str]) -> Language {
    Language {
        id,
        sources: &["c", "cpp", "cc", "cxx", "h", "hpp", "txt", "build"],
        listens: &[
            "bind(", "listen(", "listen_addr", ".port(", "addListener(", "htons(", "acceptor",
            "Endpoint", "listen\"", "mg_http_listen",
        ],
        reads: &[
            "templates", "static", "public", "views", "www", "config", "config.json", "assets",
        ],
        images: Images {
            // GCC 12 is what Debian 12 has, so programs run with Debian's own library.
            official: Pair::of(stage("gcc:12-bookworm", &[]), stage(DEBIAN, loads)).brings(&[GCC]),
            wolfi: Pair::wolfi(&["build-base"], &["libstdc++", "libgcc"]),
            debian: Pair::debian(&["build-essential", "ca-certificates", "git"], loads),
        },
        ..NOTHING
    }
}

/// An image of GCC 12.
const GCC: &str = "gcc";

static FRAMEWORKS: &[Framework] = &[
    framework("drogon", &["drogon/drogon.h"], 8848),
    framework("crow", &["crow.h", "crow_all.h"], 18080),
    framework("oatpp", &["oatpp/"], 8000),
    framework("pistache", &["pistache/"], 9080),
    framework("cpp-httplib", &["httplib.h"], 8080),
    framework("restinio", &["restinio/"], 8080),
    framework("cppcms", &["cppcms/"], 8080),
    framework("poco", &["Poco/Net/HTTPServer"], 8080),
    framework("boost-beast", &["boost/beast"], 8080),
    framework("mongoose", &["mongoose.h"], 8000),
    framework("civetweb", &["civetweb.h"], 8080),
    framework("libmicrohttpd", &["microhttpd.h"], 8080),
    framework("facil.io", &["fio.h"], 3000),
    framework("grpc", &["grpcpp/grpcpp.h"], 50051),
];

static CMAKE: Library =
    library("cmake", &["cmake", "ninja-build"], &[]).wolfi(&["cmake", "ninja"], &[]);

static MESON: Library =
    library("meson", &["meson", "pkg-config"], &[]).wolfi(&["meson", "pkgconf"], &[]);
static PIP: Library = library("conan", &["python3-pip"], &[]).wolfi(&["py3-pip"], &[]);
static VCPKG: Library =
    library("vcpkg", &["curl", "zip", "unzip", "tar", "git", "pkg-config"], &[])
        .wolfi(&["curl", "zip", "unzip", "git", "pkgconf"], &[]);

/// Text that a build file has, and what that means on Debian 12.
static LIBRARIES: &[Library] = &[
    library(
        "boost",
        &["libboost-all-dev"],
        &["libboost-system1.74.0", "libboost-thread1.74.0", "libboost-filesystem1.74.0"],
    ),
    library("openssl", &["libssl-dev"], &["libssl3"]),
    library("-lssl", &["libssl-dev"], &["libssl3"]),
    library("find_package(curl", &["libcurl4-openssl-dev"], &["libcurl4"]),
    library("-lcurl", &["libcurl4-openssl-dev"], &["libcurl4"]),
    library("sqlite3", &["libsqlite3-dev"], &["libsqlite3-0"]),
    library("libpq", &["libpq-dev"], &["libpq5"]),
    library("postgresql", &["libpq-dev"], &["libpq5"]),
    library("zlib", &["zlib1g-dev"], &["zlib1g"]),
    library("jsoncpp", &["libjsoncpp-dev"], &["libjsoncpp25"]),
    library("microhttpd", &["libmicrohttpd-dev"], &["libmicrohttpd12"]),
    library("libuv", &["libuv1-dev"], &["libuv1"]),
    library("libevent", &["libevent-dev"], &["libevent-2.1-7"]),
    library("asio", &["libasio-dev"], &[]),
    library("nlohmann_json", &["nlohmann-json3-dev"], &[]),
    library("fmt::fmt", &["libfmt-dev"], &["libfmt9"]),
    library("spdlog", &["libspdlog-dev"], &["libspdlog1.10"]),
    library("protobuf", &["libprotobuf-dev", "protobuf-compiler"], &["libprotobuf32"]),
    library("grpc++", &["libgrpc++-dev", "protobuf-compiler-grpc"], &["libgrpc++1.51"]),
    library("mysqlclient", &["default-libmysqlclient-dev"], &["libmariadb3"]),
    library("uuid", &["uuid-dev"], &["libuuid1"]),
    library("ncurses", &["libncurses-dev"], &["libncursesw6"]),
];

/// Manifests of other languages: a Makefile beside one only calls that language's tools.
const OTHERS: &[&str] = &[
    "go.mod", "Cargo.toml", "package.json", "pyproject.toml", "requirements.txt", "pom.xml",
    "build.gradle", "composer.json", "Gemfile", "mix.exs", "setup.py", "build.zig",
    "Package.swift", "stack.yaml", "shard.yml", "pubspec.yaml", "deno.json", "gleam.toml",
];

/// All services in C and C++.
pub fn find(project: &Project<'_>) -> Vec<Facts> {
    project.tree.outermost(|dir, entries| {
        let at = Folder::new(project, dir);
        if entries.has("CMakeLists.txt") {
            cmake(at)
        } else if entries.has("meson.build") {
            meson(at)
        } else if let Some(name) = entries.first_of(&["Makefile", "makefile", "GNUmakefile"]) {
            make(at, name)
        } else {
            lone(at)
        }
    })
}

/// Language (`c` or `cpp`, by the extensions of most sources), build system and version; `None` without any source.
fn base(at: Folder<'_>, tool: &'static str, manifest: &str) -> Option<Facts> {
    let sources = |extensions: &[&str]| at.sources(extensions, &|_| false);
    let (cpp, c) = (sources(&["cpp", "cc", "cxx", "c++", "cppm"]), sources(&["c"]));
    let is_cpp = !cpp.is_empty() && cpp.len() >= c.len();
    let first = if is_cpp { cpp.first() } else { c.first() }?;
    let mut facts = Facts::new(if is_cpp { &CPP } else { &C }, at.dir);
    facts.tool = tool;
    facts.decide(What::Language, facts.id, Fixed::ItsSources, [Evidence::file(&first.path)]);
    facts.decide(What::BuildSystem, tool, Fixed::ItsBuildFile, [Evidence::file(manifest)]);
    if at.images(facts.language).has(GCC) {
        facts.decide(What::Version, "12", Fixed::GccOfDebian, []);
    }
    Some(facts)
}

/// Libraries that the text of the build files names; how the target is started, and on what it listens.
fn finish(
    at: Folder<'_>,
    mut facts: Facts,
    text: &str,
    manifest: &str,
    target: Option<Target>,
) -> Facts {
    let lower = text.to_lowercase();
    for library in LIBRARIES.iter().filter(|library| lower.contains(library.name)) {
        facts.library(library, at.place(manifest, None));
    }
    let Some((name, place)) = target else { return facts.nothing(Fixed::NoProgram, []) };
    facts.weight = Weight::Starts;
    let command = facts.program(&name);
    facts.start([command], Fixed::DeclaredProgram, [place]);
    facts.name = name;
    let files = at.sources(C.sources, &|_| false);
    facts.take_read(at.project, |name| Some(vec![source::names_path(&files, name)?]));
    let known = framework::find(FRAMEWORKS, |include| source::mention(&files, include));
    facts.of_framework(known.as_ref(), Fixed::Included);
    facts.listen(&files, known.as_ref(), &["bind(", "listen(", "htons("]);
    facts
}

/// Copies a program from where a build tool left it.
fn copy(name: &str) -> String {
    let name = quote(name);
    format!(
        "mkdir -p {OUT} && cp \"$(find {OUT}-build -type f -name {name} -perm -u+x | head -n 1)\" {OUT}/{name}"
    )
}

fn cmake(at: Folder<'_>) -> Option<Facts> {
    const FILE: &str = "CMakeLists.txt";
    let mut facts = base(at, "cmake", &at.path(FILE))?;
    facts.library(&CMAKE, at.place(FILE, None));
    let (mut targets, text, project) = declared(at, FILE, "add_executable");
    // Alone, a program is what there is, whatever it is called, unless it tests a library.
    let is_called = |target: &Target, word: &str| target.0.to_lowercase().contains(word);
    if !calls(&text, "add_library").is_empty() {
        targets.retain(|target| !is_called(target, "test"));
    }
    let is_check = |target: &Target| is_called(target, "test") || is_called(target, "bench");
    if !targets.iter().all(is_check) {
        targets.retain(|target| !is_check(target));
    }
    let target = prefer(&mut facts, targets, project.as_deref());
    let toolchain = dependencies(at, &mut facts);
    let configure = format!("cmake -S . -B {OUT}-build");
    match &target {
        Some((name, _)) => {
            facts.build(
                at.dir,
                format!("{configure} -G Ninja -DCMAKE_BUILD_TYPE=Release{toolchain}"),
            );
            facts.build(".", format!("cmake --build {OUT}-build --target {}", quote(name)));
            facts.build(".", copy(name));
        }
        None => facts.build(at.dir, format!("{configure}{toolchain} && cmake --build {OUT}-build")),
    }
    Some(finish(at, facts, &text, FILE, target))
}

/// Installs what vcpkg and Conan know of; gives the option that tells CMake.
fn dependencies(at: Folder<'_>, facts: &mut Facts) -> String {
    let mut option = String::new();
    let conan = at.first_of(&["conanfile.txt", "conanfile.py"]);
    if conan.is_some() {
        facts.library(&PIP, at.place(conan.unwrap_or_default(), None));
        facts.cache.push("/root/.conan2".to_owned());
        facts.build(at.dir, format!(
            "pip3 install --break-system-packages conan && conan profile detect --exist-ok && conan install . --output-folder={OUT}-build --build=missing -s build_type=Release"
        ));
        option = format!(" -DCMAKE_TOOLCHAIN_FILE={OUT}-build/conan_toolchain.cmake");
    }
    let vcpkg = at.json("vcpkg.json");
    if vcpkg.is_some_and(|file| file.get("dependencies").is_some_and(|all| !all.items().is_empty()))
    {
        facts.library(&VCPKG, at.place("vcpkg.json", None));
        facts.cache.push("/root/.cache/vcpkg".to_owned());
        facts.build(".", "git clone --depth 1 https://github.com/microsoft/vcpkg /opt/vcpkg && /opt/vcpkg/bootstrap-vcpkg.sh -disableMetrics");
        option = " -DCMAKE_TOOLCHAIN_FILE=/opt/vcpkg/scripts/buildsystems/vcpkg.cmake".to_owned();
    }
    option
}

fn meson(at: Folder<'_>) -> Option<Facts> {
    const FILE: &str = "meson.build";
    let mut facts = base(at, "meson", &at.path(FILE))?;
    facts.library(&MESON, at.place(FILE, None));
    let (mut targets, text, project) = declared(at, FILE, "executable");
    targets.retain(|(name, _)| !name.contains("test"));
    let target = prefer(&mut facts, targets, project.as_deref());
    facts.build(at.dir, format!("meson setup {OUT}-build --buildtype=release"));
    facts.build(".", format!("meson compile -C {OUT}-build"));
    if let Some((name, _)) = &target {
        facts.build(".", copy(name));
    }
    Some(finish(at, facts, &text, FILE, target))
}

fn make(at: Folder<'_>, name: &str) -> Option<Facts> {
    let has_sources = |dir: &str| {
        let entries = at.project.tree.entries(dir);
        entries.is_some_and(|entries| entries.files.iter().any(|file| is_source(file)))
    };
    if at.first_of(OTHERS).is_some() || !(has_sources(at.dir) || has_sources(&at.path("src"))) {
        return None;
    }
    let text = at.read(name)?;
    let mut facts = base(at, "make", &text.path)?;
    facts.packages_everywhere(&["make"], &[]);
    facts.build(at.dir, "make");
    let target = makefile::target(&text).map(|(program, place)| {
        let file = file_name(&program).to_owned();
        let (from, to) = (quote(&program), quote(&file));
        facts.build(at.dir, format!("mkdir -p {OUT} && cp {from} {OUT}/{to}"));
        (file, place)
    });
    Some(finish(at, facts, &text.text, name, target))
}

/// The program named like the project, else one named like a server, else the first.
fn prefer(facts: &mut Facts, mut targets: Vec<Target>, project: Option<&str>) -> Option<Target> {
    let servers = ["server", "app", "main", "web", "api"];
    let wished = project.into_iter().chain(servers);
    let at = wished
        .into_iter()
        .find_map(|wanted| targets.iter().position(|(name, _)| name.eq_ignore_ascii_case(wanted)));
    let at = at.unwrap_or(0);
    let chosen = (at < targets.len()).then(|| targets.remove(at))?;
    let others = targets.into_iter().filter(|(name, _)| *name != chosen.0);
    let others = others.map(|(name, place)| (name, Some(place)));
    facts.choose(&chosen.0, Fixed::ProgramThatIsRun, others, Fixed::NotNamedLikeProject);
    Some(chosen)
}

/// A `main.c` or `main.cpp` without any build file, or the only source of the root: all sources of its folder are one
/// program.
fn lone(sources: Folder<'_>) -> Option<Facts> {
    let named = sources.first_of(&["main.cpp", "main.cc", "main.cxx", "main.c"]);
    let main = named.map(str::to_owned).or_else(|| only_source(sources))?;
    if sources.first_of(OTHERS).is_some() || folders::is_beside_product(sources.dir) {
        return None;
    }
    // The folder of the project is that in which `src` lies.
    let dir = match last_part(sources.dir) {
        Some("src") => parent(sources.dir),
        _ => sources.dir,
    };
    let at = Folder::new(sources.project, dir);
    let path = sources.path(&main);
    let mut facts = base(at, "none", &path)?;
    let extension = main.rsplit_once('.')?.1;
    let compiler = if extension == "c" { "gcc" } else { "g++ -std=c++20" };
    facts.build(
        sources.dir,
        format!("mkdir -p {OUT} && {compiler} -O2 -o {OUT}/app *.{extension} -lpthread"),
    );
    let mut facts = finish(at, facts, "", "", Some(("app".to_owned(), Evidence::file(path))));
    facts.weight = Weight::Files;
    facts.name.clear();
    Some(facts)
}

/// Whether a file is compiled.
fn is_source(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, end)| ["c", "cc", "cpp", "cxx"].contains(&end))
}

/// The one source in the root, when it has a `main`.
fn only_source(at: Folder<'_>) -> Option<String> {
    let entries = at.entries().filter(|_| at.dir == ".")?;
    let mut sources = entries.files.iter().filter(|name| is_source(name));
    let only = sources.next().filter(|_| sources.next().is_none())?;
    let text = at.read(only)?;
    let forms = ["int main(", "int main (", "auto main("];
    forms.iter().any(|form| text.text.contains(form)).then(|| only.clone())
}
