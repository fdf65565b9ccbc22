//! Zig: `build.zig` and the programs it installs.

use crate::detect::prelude::*;

static ZIG: Language = Language {
    id: "zig",
    tool: "zig",
    default: "0.15.2",
    version_files: &[".zigversion", ".zig-version"],
    version_tools: &["zig"],
    sources: &["zig", "zon"],
    listens: &[".port", "listen(", "parseIp", "initIp4("],
    cache: &["/root/.cache/zig"],
    images: Images { official: ON_DEBIAN, wolfi: Pair::wolfi(&["zig"], &[]), debian: ON_DEBIAN },
    ..NOTHING
};

const ON_DEBIAN: Pair =
    Pair::debian(&["ca-certificates", "curl", "xz-utils"], &["ca-certificates"])
        .why(Fixed::ZigArchive);

static FRAMEWORKS: &[Framework] = &[
    framework("zap", &["@import(\"zap\")"], 3000),
    framework("httpz", &["@import(\"httpz\")"], 5882),
    framework("jetzig", &["@import(\"jetzig\")"], 8080),
    framework("tokamak", &["@import(\"tokamak\")"], 8080),
];

/// All services in Zig.
pub fn find(project: &Project<'_>) -> Vec<Facts> {
    let found = project.tree.outermost(|dir, entries| {
        // A build.zig that installs no program ends the search below it too.
        entries.has("build.zig").then(|| service(Folder::new(project, dir)))
    });
    found.into_iter().flatten().collect()
}

fn service(at: Folder<'_>) -> Option<Facts> {
    let script = at.read("build.zig")?;
    let here = |line| at.place("build.zig", line);
    let mut facts = Facts::new(&ZIG, at.dir).known_by(Rule::Manifest("build.zig"), here(None));
    let (version, decision) = version(at, &script.text);
    let released = Version::parse(&version).map_or((0, 15, 0), Version::triple);
    facts.version((version.clone(), decision));
    let mut install = Vec::new();
    if at.project.bases != Family::Wolfi {
        // Since 0.14.1 the archive's name begins with the architecture.
        let name =
            if released >= (0, 14, 1) { "zig-$(uname -m)-linux" } else { "zig-linux-$(uname -m)" };
        install.push(Step::new(
            Kind::Setup,
            ".",
            format!(
                "mkdir -p /opt/zig && curl -fsSL https://ziglang.org/download/{version}/{name}-{version}.tar.xz | tar -xJ -C /opt/zig --strip-components=1 && ln -s /opt/zig/zig /usr/local/bin/zig"
            ),
        ));
    }
    if at.has("build.zig.zon") {
        install.push(Step::new(Kind::Install, at.dir, "zig build --fetch"));
    }
    facts.install(at.those(&["build.zig", "build.zig.zon"]), install);
    // Until 0.10 the option had another name.
    let mode = if released < (0, 11, 0) { "-Drelease-safe" } else { "-Doptimize=ReleaseSafe" };
    facts.build(at.dir, format!("zig build {mode} --prefix {OUT}"));
    let Some((name, line)) = program(&script) else {
        return Some(facts.nothing(Fixed::ZigLibrary, [here(None)]));
    };
    facts.weight = Weight::Starts;
    facts.take(&format!("{OUT}/bin/{name}"), &name);
    facts.start([ZIG.in_home(&name)], Fixed::ZigProgram, [here(Some(line))]);
    facts.name = name;
    let sources = at.sources(ZIG.sources, &|_| false);
    let known = framework::find(FRAMEWORKS, |import| source::mention(&sources, import));
    facts.of_framework(known.as_ref(), Fixed::Imported);
    facts.listen(&sources, known.as_ref(), &["std.http.Server", ".listen(", "parseIp"]);
    Some(facts)
}

/// The first program that `build.zig` adds, and its line.
fn program(script: &Text) -> Option<(String, usize)> {
    let at = script.text.find("addExecutable")?;
    let rest = &script.text[at..];
    let named = rest.split(".name").nth(1).and_then(|rest| rest.split('"').nth(1));
    // Before 0.11: `b.addExecutable("name", …)`.
    let old = || rest.strip_prefix("addExecutable(\"")?.split('"').next();
    let name = named.or_else(old)?;
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    plain.then(|| (name.to_owned(), script.line_at(at)))
}

/// `.zigversion`, asdf and mise, then what the package needs at least, then what the build script is written for.
fn version(at: Folder<'_>, script: &str) -> (String, Decision) {
    let least = at.read("build.zig.zon").and_then(|text| {
        text.lines().find_map(|(line, words)| {
            let value = words.split_once(".minimum_zig_version")?.1.split('"').nth(1)?;
            Some(Pin::new(value, "minimum_zig_version", &text.path, line))
        })
    });
    // A development version is no release that stays.
    let parse = |text: &str| {
        let version = Version::parse(text).filter(|_| !text.contains("-dev"))?;
        let (major, minor, patch) = version.triple();
        Some(format!("{major}.{minor}.{patch}"))
    };
    let default = written_for(script).unwrap_or(ZIG.default);
    let (version, mut decision) =
        pins::choose(at.pins(&ZIG).into_iter().chain(least), parse, default);
    if decision.evidence.is_empty() && default != ZIG.default {
        decision.rule = Fixed::ZigInterface.into();
    }
    (version, decision)
}

/// The newest Zig that takes a build script for an older one: its interface changed in each version before 1.0.
fn written_for(script: &str) -> Option<&'static str> {
    let has = |text: &str| script.contains(text);
    if has("standardReleaseOptions") || has("addExecutable(\"") {
        return Some("0.10.1");
    }
    if has("{ .path = ") {
        return Some("0.11.0");
    }
    let is_new = has("createModule") || has("root_module");
    (has(".root_source_file = b.path") && !is_new).then_some("0.14.1")
}
