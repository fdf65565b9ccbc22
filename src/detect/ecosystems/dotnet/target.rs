//! Which .NET a project gets, and its images.

use super::msproject::{MsProject, version_of};
use crate::detect::prelude::*;

/// What is taken when nothing is pinned.
pub(super) const DEFAULT: Version = Version::of(10, 0);

/// .NET; Debian 12 has none, so the images are Microsoft's there, too.
pub(super) static DOTNET: Language = Language {
    id: "csharp",
    tool: "dotnet",
    version_tools: &["dotnet", "dotnet-core"],
    sources: &["cs", "fs", "vb"],
    listens: &[
        "UseUrls(", ".Run(\"", "ListenAnyIP(", "Urls.Add(", "startWebServer", "ListenLocalhost(",
        "app.Run(url", "app.Run($",
    ],
    cache: &["/root/.nuget/packages"],
    images: Images {
        official: MICROSOFT,
        wolfi: Pair::wolfi(&["dotnet-{sdk}-sdk"], &["{package}-{major}-runtime"]),
        debian: MICROSOFT.why(Fixed::NoDotnet),
    },
    ..NOTHING
};

/// Majors that Wolfi keeps.
const OF_WOLFI: &[u32] = &[9, 10];

const MICROSOFT: Pair = Pair::of(
    stage("mcr.microsoft.com/{sdk-image}", &[]),
    stage("mcr.microsoft.com/{runtime-image}", &[]),
)
.user("{user}");

/// The images: the runtime alone, without the SDK.
pub(super) fn images(facts: &mut Facts, sdk: Version, runtime: Version, is_web: bool) {
    // The repositories had another name before .NET 5.
    let image = |name: &str, version: Version| match version.triple() {
        (2, 2, _) | (3, 0, _) => format!("dotnet/core/{name}:{version}"),
        _ => format!("dotnet/{name}:{version}"),
    };
    if !OF_WOLFI.contains(&sdk.major) || !OF_WOLFI.contains(&runtime.major) {
        facts.lacking = &[Family::Wolfi];
    }
    facts.set("sdk", sdk.major);
    facts.set("major", runtime.major);
    facts.set("package", if is_web { "aspnet" } else { "dotnet" });
    facts.set("sdk-image", image("sdk", sdk));
    facts.set("runtime-image", image(if is_web { "aspnet" } else { "runtime" }, runtime));
    // The images have this user since .NET 8.
    facts.set("user", if runtime.major >= 8 { "app" } else { NOBODY });
}

/// Takes what was published, and starts its assembly.
pub(super) fn start(facts: &mut Facts, assembly: &str, rule: Fixed, place: [Evidence; 1]) {
    facts.take(OUT, "");
    let assembly = DOTNET.in_home(&format!("{assembly}.dll"));
    facts.start(["dotnet".to_owned(), assembly], rule, place);
}

/// The port of a program that says nothing of it, and the variable that sets it.
pub(super) fn own_port(facts: &mut Facts, version: Version) -> Port {
    let (name, value) = match version.major {
        8.. => ("ASPNETCORE_HTTP_PORTS", "8080"),
        _ => ("ASPNETCORE_URLS", "http://+:8080"),
    };
    facts.env(name, value);
    Port::new(8080, own_rule(version), None)
}

/// Older images listen on 80, which only root may have.
pub(super) fn own_rule(version: Version) -> Fixed {
    if version.major >= 8 { Fixed::PortOfImages } else { Fixed::PortOfRoot }
}

/// What a project is built for, and with.
pub(super) struct Target {
    /// The framework that is published for, as written, where there are several.
    pub(super) framework: Option<String>,
    pub(super) runtime: Version,
    pub(super) sdk: Version,
    pub(super) decision: Decision,
    /// A `global.json` that would refuse the image's SDK.
    pub(super) strict: Option<String>,
}

/// The newest of the target frameworks; `global.json` may ask for a newer SDK.
pub(super) fn target(at: Folder<'_>, found: &MsProject) -> Target {
    let frameworks = found.frameworks();
    let versions =
        frameworks.iter().filter_map(|(name, seen)| Some((version_of(name)?, name, seen)));
    let newest = versions.max_by_key(|(version, ..)| *version);
    let (runtime, mut decision) = match newest {
        Some((version, name, seen)) => {
            let rule = Rule::Named(format!("TargetFramework {name}"));
            let mut decision =
                Decision::new(What::Version, version.to_string(), rule, [seen.clone()]);
            for (other, seen) in frameworks.iter().filter(|(other, _)| other != name) {
                decision = decision.not(other.clone(), Some(seen.clone()), Fixed::OlderTarget);
            }
            (version, decision)
        }
        None => {
            let version = DEFAULT.to_string();
            (DEFAULT, Decision::new(What::Version, version, Fixed::TableDefault, []))
        }
    };
    let minor = |version: Version| Version::of(version.major, version.minor.unwrap_or(0));
    let pinned = at.pins(&DOTNET).first().and_then(|pin| Version::parse(&pin.version));
    let mut sdk = pinned.map_or(runtime, |pinned| runtime.max(minor(pinned)));
    let mut strict = None;
    let global = upward(at.dir).find_map(|dir| {
        let path = join(dir, "global.json");
        Some((at.project.tree.json(&path)?, path))
    });
    if let Some((file, path)) = global
        && let Some(value) = file.at(&["sdk", "version"])
        && let Some(asked) = value.as_str().and_then(Version::parse).map(minor)
    {
        let place = Evidence::line(&path, Some(value.line));
        let rolls = file.str_at(&["sdk", "rollForward"]).unwrap_or("latestPatch");
        let is_strict = !matches!(
            rolls,
            "feature" | "minor" | "major" | "latestFeature" | "latestMinor" | "latestMajor"
        );
        // The image has one feature band of each SDK; another would be refused.
        if (is_strict || asked < sdk) && !file.has("msbuild-sdks") {
            strict = Some(path);
        }
        if asked > sdk {
            sdk = asked;
            decision.evidence.push(place);
            decision.rule = Rule::WithSdk(Box::new(decision.rule), asked);
        } else if asked < sdk {
            decision = decision.not(asked.to_string(), Some(place), Fixed::OlderSdk);
        }
    }
    let framework = newest.map(|(_, name, _)| name.clone()).filter(|_| found.is_multi_targeted());
    Target { framework, runtime, sdk, decision, strict }
}
