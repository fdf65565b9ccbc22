//! Which Java a project is built with and runs on, and the images that have it.

use crate::detect::prelude::*;

/// A JDK with a build tool, and a runtime: `{image}` is the official image with both, `{package}` the tool's package.
pub(super) const JAVA: Language = Language {
    version_files: &[".java-version"],
    version_tools: &["java"],
    sources: &["java", "kt", "scala", "groovy"],
    listens: &[
        "embeddedServer(", ".start(", ".listen(", "port(", "bind(", "newServerAt(",
        "ServerBuilder.forPort(", "HttpServer.create(", "InetSocketAddress(", "withPort(",
        "setPort(", "new Server(", "Server.defaultWithPort(", "bindHttp(", "forPort(", "asServer(",
        "ServerSocket(", "run-jetty", "run-server", "http/start", ":port",
    ],
    images: Images {
        official: Pair::of(stage("{image}", &[]), stage("eclipse-temurin:{major}-jre", &[])),
        wolfi: Pair::wolfi(
            &["openjdk-{major}-default-jdk", "{package}"],
            &["openjdk-{major}-default-jvm"],
        ),
        debian: Pair::debian(
            &["openjdk-{major}-jdk-headless", "{package}"],
            &["openjdk-{major}-jre-headless"],
        ),
    },
    packaged: Some(Packaged {
        language: "Java",
        wolfi: Kept::Each(&[(8, 0), (11, 0), (17, 0), (21, 0), (25, 0), (26, 0)]),
        debian: (17, 0),
    }),
    ..NOTHING
};
/// What runs nothing.
pub(super) const LIBRARY: Language = Language { home: "/", ..JAVA };
/// The host of wars; Wolfi and Debian have no Tomcat that is laid out for containers.
pub(super) const TOMCAT: Language = Language {
    home: "/usr/local/tomcat",
    images: Images { official: ON_TOMCAT, wolfi: ON_TOMCAT, debian: ON_TOMCAT },
    ..NOTHING
};
const ON_TOMCAT: Pair =
    Pair::both("tomcat:{tomcat}-jre{major}-temurin").user(NOBODY).why(Fixed::ServletContainer);

/// A build tool: its id, the official image with it and a JDK, its package of Wolfi and Debian (none: it is fetched), and
/// the folders that it keeps.
pub(super) type Tool = (&'static str, &'static str, &'static str, &'static [&'static str]);

const TEMURIN: &str = "eclipse-temurin:{v}-jdk";
const M2: &str = "/root/.m2";
pub(super) const NONE: Tool = ("none", TEMURIN, "", &[]);
pub(super) const MAVEN: Tool = ("maven", "maven:3.9-eclipse-temurin-{v}", "maven", &[M2]);
/// Gradle of a project's wrapper.
pub(super) const GRADLEW: Tool = ("gradle", TEMURIN, "", &["/root/.gradle"]);
/// Gradle of an image that is told by the version.
pub(super) const GRADLE: Tool = ("gradle", "", "gradle", &["/home/gradle/.gradle"]);
pub(super) const SBT: Tool =
    ("sbt", TEMURIN, "", &["/root/.sbt", "/root/.ivy2", "/root/.cache/coursier"]);
pub(super) const LEIN: Tool = ("lein", "clojure:temurin-{v}-lein", "leiningen", &[M2]);
pub(super) const CLOJURE: Tool =
    ("tools.deps", "clojure:temurin-{v}-tools-deps", "", &[M2, "/root/.gitlibs"]);

/// Language of a service, the rule that tells it, and where it is seen.
pub(super) type KnownLanguage = (&'static str, Fixed, Option<Evidence>);

/// A service in a language of the JVM: why it is that, and that build system, and what it wants of Java, whose version is
/// given too.
pub(super) fn facts(
    at: Folder<'_>,
    (tool, image, package, cache): Tool,
    (id, why, source): KnownLanguage,
    (rule, place): (impl Into<Rule>, Option<Evidence>),
    wanted: Wanted,
) -> (Facts, u32) {
    let (version, decision) = version(at, wanted);
    let cache = cache.iter().map(|path| (*path).to_owned()).collect();
    let mut facts = Facts { id, tool, cache, ..Facts::new(&JAVA, at.dir) };
    facts.set("image", image.replace("{v}", &version.to_string()));
    facts.set("package", package);
    facts.decide(What::Language, id, why, source);
    facts.decide(What::BuildSystem, tool, rule, place);
    facts.version((version, decision));
    (facts, version)
}

/// What a project pins, and what its build tool can live with.
pub(super) struct Wanted {
    /// From the build files, the most binding first.
    pub(super) build: Vec<Pin>,
    /// What is taken without a pin, and why.
    pub(super) fallback: (u32, Fixed),
    /// The least that the build tool runs on.
    pub(super) least: u32,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { build: Vec::new(), fallback: (21, Fixed::TableDefault), least: 8 }
    }
}

/// The major version of Java to use, and the decision about it.
///
/// What a version manager pins is the JDK that developers have; it wins over what the build files compile for, unless it
/// is too old for that.
fn version(at: Folder<'_>, wanted: Wanted) -> (u32, Decision) {
    let parsed = |pin: Pin| Some((major(&pin.version)?, pin));
    let stated = pins::stated(at.project, at.dir).into_iter();
    let build: Vec<_> = stated.chain(wanted.build).filter_map(parsed).collect();
    let needed = build.first().map_or(0, |(version, _)| *version).max(wanted.least);
    let managed = at.managed(&JAVA).into_iter().chain(files(at));
    let mut all: Vec<_> = managed.filter_map(parsed).collect();
    let first = all.iter().position(|(version, _)| *version >= needed).unwrap_or(all.len());
    all.extend(build);
    let with_image = |version: u32| offered(version.max(wanted.least));
    if first == all.len() {
        let version = with_image(wanted.fallback.0);
        return (version, Decision::new(What::Version, version.to_string(), wanted.fallback.1, []));
    }
    let (version, pin) = all.remove(first);
    let used = with_image(version);
    let rule = match used == version {
        true => Rule::Named(pin.rule),
        false => Rule::AsksFor(pin.rule, version.to_string()),
    };
    let mut decision = Decision::new(What::Version, used.to_string(), rule, [pin.evidence]);
    for (other, pin) in all.into_iter().filter(|(other, _)| *other != version) {
        decision = decision.not(other.to_string(), Some(pin.evidence), Fixed::OtherPin);
    }
    (used, decision)
}

/// Heroku's `system.properties` and SDKMAN's `.sdkmanrc`.
fn files(at: Folder<'_>) -> impl Iterator<Item = Pin> {
    let names = [("system.properties", "java.runtime.version"), (".sdkmanrc", "java")];
    upward(at.dir).flat_map(move |dir| {
        names.into_iter().filter_map(move |(name, key)| {
            let path = join(dir, name);
            let file = at.project.tree.properties(&path)?;
            file.get(key).map(|(version, line)| Pin::new(version, name, path, line))
        })
    })
}

/// The major version: `17` of `17.0.9-tem`, `1.8`, `temurin-17.0.2`, `VERSION_17`, `JavaVersion.VERSION_1_8`, `openjdk-17`.
pub(super) fn major(text: &str) -> Option<u32> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let mut numbers = text[start..].split(|c: char| !c.is_ascii_digit());
    let first = numbers.next()?;
    let major = if first == "1" { numbers.next()? } else { first };
    major.parse().ok().filter(|version| (5..100).contains(version))
}

/// The version of the images that is used for one: Temurin has 8, 11, 17 and all from 21 on; others compile for older ones.
fn offered(version: u32) -> u32 {
    [8, 11, 17, 21].into_iter().find(|offered| version <= *offered).unwrap_or(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_in_all_spellings() {
        let check = |text: &str, want| assert_eq!(major(text), want, "{text}");
        check("17", Some(17));
        check("1.8", Some(8));
        check("JavaVersion.VERSION_1_8", Some(8));
        check("JavaVersion.VERSION_21", Some(21));
        check("temurin-17.0.2+8", Some(17));
        check("21.0.1-tem", Some(21));
        check("17.ea", Some(17));
        check("${java.version}", None);
        check("99999999999", None);
    }

    #[test]
    fn a_version_without_image_takes_the_next_that_has_one() {
        assert_eq!([6, 8, 10, 16, 18, 22, 25].map(offered), [8, 8, 11, 17, 21, 22, 25]);
    }
}
