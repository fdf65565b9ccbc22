//! Swift: `Package.swift` and its executable targets.

use crate::detect::prelude::*;

static SWIFT: Language = Language {
    id: "swift",
    tool: "swiftpm",
    default: "6.1",
    version_files: &[".swift-version"],
    version_tools: &["swift"],
    sources: &["swift"],
    listens: &["port =", "port:", ".hostname(", "addHTTPServer("],
    cache: &["/root/.cache/org.swift.swiftpm"],
    images: Images {
        official: OFFICIAL,
        wolfi: OFFICIAL.why(Fixed::NoSwift),
        debian: OFFICIAL.why(Fixed::NoSwift),
    },
    ..NOTHING
};

const OFFICIAL: Pair =
    Pair::of(stage("swift:{v}-{suite}", &[]), stage("swift:{v}-{suite}-slim", &[])).user(NOBODY);

static FRAMEWORKS: &[Framework] = &[
    framework("vapor", &["vapor/vapor"], 8080),
    framework("hummingbird", &["hummingbird-project/hummingbird"], 8080),
    framework("kitura", &["Kitura"], 8080),
    framework("perfect", &["Perfect-HTTPServer"], 8181),
    framework("smoke", &["smoke-framework"], 8080),
];

/// All services in Swift.
pub fn find(project: &Project<'_>) -> Vec<Facts> {
    let packages = project.tree.dirs().filter(|(_, entries)| entries.has("Package.swift"));
    packages.filter_map(|(dir, _)| service(Folder::new(project, dir))).collect()
}

fn service(at: Folder<'_>) -> Option<Facts> {
    let text = at.read("Package.swift")?;
    let here = |line| at.place("Package.swift", line);
    let mut facts =
        Facts::new(&SWIFT, at.dir).known_by(Rule::Manifest("Package.swift"), here(None));
    let (version, decision) = version(at, &text);
    let is_new = Version::parse(&version).is_some_and(|v| v.triple() >= (5, 9, 0));
    facts.version((version, decision));
    facts.set("suite", if is_new { "jammy" } else { "focal" });
    let start = text.text.find("Package(").unwrap_or(0);
    facts.name = quoted_after(&text, start, "name:").unwrap_or_default();
    if text.text.contains(".package(") {
        let resolve = Step::new(Kind::Install, at.dir, "swift package resolve");
        facts.install(at.those(&["Package.swift", "Package.resolved"]), [resolve]);
    }
    let targets = targets(at, &text);
    let Some((target, line)) = served(&targets, &facts.name) else {
        facts.build(at.dir, "swift build -c release");
        return Some(facts.nothing(Fixed::NoExecutableTarget, [here(None)]));
    };
    facts.weight = Weight::Starts;
    for (other, line) in targets.iter().filter(|(other, _)| other != target) {
        let decision = Decision::new(What::Service, target, Fixed::TargetThatIsRun, []);
        let decision = decision.not(other, Some(here(Some(*line))), Fixed::NamedLikeNoServer);
        facts.decisions.push(decision);
    }
    let name = quote(target);
    facts.build(at.dir, format!("swift build -c release --static-swift-stdlib --product {name}"));
    // Resources lie in bundles beside the program.
    facts.build(
        at.dir,
        format!(
            "mkdir -p {OUT} && bin=\"$(swift build -c release --show-bin-path)\" && cp \"$bin\"/{name} {OUT}/ && find \"$bin\" -maxdepth 1 -name '*.resources' -exec cp -r {{}} {OUT}/ ';'"
        ),
    );
    facts.take(OUT, "");
    for name in ["Public", "Resources"].into_iter().filter(|name| at.has_dir(name)) {
        facts.take(&at.path(name), name);
    }
    let known = framework::find(FRAMEWORKS, |mark| Some(here(Some(text.line_of(mark)?))));
    facts.of_framework(known.as_ref(), Fixed::ADependency);
    let sources = Folder::new(at.project, &at.path("Sources")).sources(SWIFT.sources, &|_| false);
    let default = known.map(|known| (known.framework.port, Fixed::FrameworkDefault.into()));
    let port = source::port(&sources, SWIFT.listens, default);
    let (mut command, mut rule) = (vec![SWIFT.in_home(target)], Fixed::ExecutableTarget);
    if let (Some("vapor"), Some(port)) = (facts.framework, &port) {
        let open = ["serve", "--env", "production", "--hostname", "0.0.0.0", "--port"];
        command.extend(open.map(str::to_owned));
        command.push(port.number.to_string());
        rule = Fixed::VaporListens;
    }
    facts.start(command, rule, [here(Some(*line))]);
    facts.port(port);
    Some(facts)
}

/// The target that is named like a server or the package, else the first.
fn served<'t>(targets: &'t [(String, usize)], package: &str) -> Option<&'t (String, usize)> {
    let named = |name: &str| targets.iter().find(|(target, _)| target.eq_ignore_ascii_case(name));
    let like_server = || targets.iter().find(|(t, _)| t.to_ascii_lowercase().contains("server"));
    let found = ["Run", "App", "Server", package].iter().find_map(|name| named(name));
    found.or_else(like_server).or_else(|| targets.first())
}

/// Names of executable targets, with their lines.
fn targets(at: Folder<'_>, text: &Text) -> Vec<(String, usize)> {
    let calls = |call: &str| -> Vec<(String, usize)> {
        let named = text.text.match_indices(call).filter_map(|(start, _)| {
            let name = quoted_after(text, start, "name:").filter(|name| is_plain(name))?;
            Some((name, text.line_at(start)))
        });
        named.collect()
    };
    let mut found: Vec<(String, usize)> = Vec::new();
    for (name, line) in [".executableTarget(", ".executable("].iter().flat_map(|call| calls(call)) {
        if !found.iter().any(|(known, _)| *known == name) {
            found.push((name, line));
        }
    }
    // Before Swift 5.4 a target with a main.swift was a program.
    if found.is_empty() {
        found = calls(".target(");
        found.retain(|(name, _)| at.has(&format!("Sources/{name}/main.swift")));
    }
    found
}

fn quoted_after(text: &Text, start: usize, label: &str) -> Option<String> {
    let rest = text.text[start..].split_once(label)?.1;
    let mut parts = rest.split('"');
    let between = parts.next()?;
    between.trim().is_empty().then(|| parts.next().map(str::to_owned))?
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
}

/// `.swift-version`, asdf and mise; the tools version is only the least that is needed.
fn version(at: Folder<'_>, text: &Text) -> (String, Decision) {
    let first = text.text.lines().next().unwrap_or_default();
    let tools = ["swift-tools-version:", "swift-tools-version "].iter();
    let tools = tools.filter_map(|key| Version::parse(first.split_once(key)?.1)).next();
    let least = tools.map(|version| {
        let used = version.triple().max((5, 5, 0));
        Pin::new(format!("{}.{}", used.0, used.1), "swift-tools-version", &text.path, 1)
    });
    let parse = |text: &str| {
        let version = Version::parse(text.trim_start_matches("swift-"))?;
        Some(format!("{}.{}", version.major, version.minor.unwrap_or(0)))
    };
    pins::choose(at.pins(&SWIFT).into_iter().chain(least), parse, SWIFT.default)
}
