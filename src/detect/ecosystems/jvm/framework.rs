//! Frameworks of the JVM: which dependency or plugin means one, its port and where it tells its health, by itself and in
//! its settings: `application.properties`, `application.yml`, `*.conf`.

use crate::detect::{framework::Known, prelude::*, source::Ports};

/// What a build file names: dependencies as `group:artifact`, plugins by their id, each with its place.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(pub(super) Vec<(String, Evidence)>);

impl Names {
    /// The place of a dependency or plugin whose name holds `part`.
    pub(super) fn find(&self, part: &str) -> Option<Evidence> {
        self.0.iter().find(|(name, _)| name.contains(part)).map(|(_, seen)| seen.clone())
    }

    /// Whether one of the names holds one of the parts.
    pub(super) fn have(&self, parts: &[&str]) -> bool {
        parts.iter().any(|part| self.find(part).is_some())
    }

    /// Those whose name fits.
    pub(super) fn only(&self, fits: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(name, _)| fits(name)).cloned().collect())
    }

    /// The framework that they mean, and where it was seen.
    pub(super) fn framework(&self) -> Option<Known<Settings>> {
        // Spring Boot's plugin packs programs of any kind: what they stand on tells more.
        let is_plugin = |name: &str| !name.contains(':') || name.ends_with("-plugin");
        let is_packer = |name: &str| is_plugin(name) && name.contains("org.springframework.boot");
        let others = self.only(|name| !is_packer(name));
        [&others, self]
            .iter()
            .find_map(|names| framework::find(FRAMEWORKS, |part| names.find(part)))
    }
}

/// The more special before what it is built on.
static FRAMEWORKS: &[Framework<Settings>] = &[
    framework("quarkus", &["io.quarkus"], 8080)
        .own(QUARKUS)
        .env(&[("QUARKUS_HTTP_HOST", "0.0.0.0")]),
    framework("micronaut", &["io.micronaut"], 8080).own(MICRONAUT),
    framework("grails", &["org.grails"], 8080).own(SERVER),
    framework("spring-boot", &["org.springframework.boot", "spring-boot-starter"], 8080)
        .own(SPRING),
    framework("helidon", &["io.helidon"], 8080)
        .own(Settings { health: ("health", "/health"), ..SERVER }),
    framework("ratpack", &["io.ratpack"], 5050),
    framework("hexagon", &["com.hexagonkt", "com.hexagontk"], 2010),
    framework("dropwizard", &["io.dropwizard:dropwizard-core", "io.dropwizard"], 8080),
    framework("ktor", &["io.ktor:ktor-server", "io.ktor"], 8080),
    framework("http4k", &["org.http4k"], 9000),
    framework("javalin", &["io.javalin"], 7070),
    framework("spark-java", &["com.sparkjava:spark-core", "com.sparkjava"], 4567),
    framework("jooby", &["io.jooby"], 8080),
    framework("armeria", &["com.linecorp.armeria"], 8080),
    framework("vertx", &["io.vertx:vertx-web", "io.vertx:vertx-core", "io.vertx"], 8888),
    framework("activej", &["io.activej:activej-http", "io.activej:activej-launchers-http"], 8080),
    framework("solon", &["org.noear:solon"], 8080),
    framework("blade", &["com.hellokaton:blade", "com.bladejava:blade"], 9000),
    framework("ninja", &["org.ninjaframework"], 8080),
    framework("pippo", &["ro.pippo"], 8338),
    framework("rapidoid", &["org.rapidoid"], 8888),
    framework("jfinal", &["com.jfinal"], 8080),
    framework(
        "play",
        &[
            "com.typesafe.play:sbt-plugin", "org.playframework:sbt-plugin",
            "com.typesafe.play:play", "org.playframework",
        ],
        9000,
    )
    .own(COMMON),
    framework("http4s", &["org.http4s"], 8080),
    framework("zio-http", &["dev.zio:zio-http", "io.d11:zhttp"], 8080),
    framework("tapir", &["com.softwaremill.sttp.tapir"], 8080),
    framework("finatra", &["com.twitter:finatra", "com.twitter:inject-server"], 8888),
    framework("finch", &["com.github.finagle:finch"], 8080),
    framework("finagle", &["com.twitter:finagle"], 8080),
    framework("cask", &["com.lihaoyi:cask"], 8080),
    framework("scalatra", &["org.scalatra:scalatra"], 8080),
    framework("pekko-http", &["org.apache.pekko:pekko-http"], 8080),
    framework("akka-http", &["com.typesafe.akka:akka-http"], 8080),
    framework("vaadin", &["com.vaadin:vaadin"], 8080),
    framework("struts", &["org.apache.struts"], 8080),
    framework("wicket", &["org.apache.wicket:wicket-core"], 8080),
    framework("tapestry", &["org.apache.tapestry"], 8080),
    framework("undertow", &["io.undertow:undertow-core"], 8080),
    framework("jersey", &["org.glassfish.jersey"], 8080),
    framework("spring", &["org.springframework:spring-webmvc"], 8080),
    framework(
        "jetty",
        &["org.eclipse.jetty:jetty-server", "org.eclipse.jetty:jetty-servlet"],
        8080,
    ),
    framework("grizzly", &["org.glassfish.grizzly:grizzly-http-server"], 8080),
    framework("nanohttpd", &["org.nanohttpd"], 8080),
    framework("netty", &["io.netty:netty-codec-http"], 8080),
    framework("grpc", &["io.grpc:grpc-netty", "io.grpc:grpc-services"], 50051),
];

const SERVER: Settings = Settings { port: &["server.port"], ..COMMON };
const SPRING: Settings = Settings {
    prefix: "server.servlet.context-path",
    health: ("spring-boot-starter-actuator", "/actuator/health"),
    base: "management.endpoints.web.base-path",
    apart: "management.server.port",
    ..SERVER
};
const QUARKUS: Settings = Settings {
    port: &["quarkus.http.port"],
    prefix: "quarkus.http.root-path",
    health: ("quarkus-smallrye-health", "/q/health"),
    base: "quarkus.http.non-application-root-path",
    apart: "quarkus.management.enabled",
};
const MICRONAUT: Settings = Settings {
    port: &["micronaut.server.port"],
    prefix: "micronaut.server.context-path",
    health: ("micronaut-management", "/health"),
    base: "",
    apart: "endpoints.all.port",
};

/// Parts of names of dependencies that bring Spring Boot a web server.
pub(super) const SPRING_WEB: &[&str] = &[
    "starter-web", "starter-jersey", "starter-graphql", "starter-data-rest", "starter-hateoas",
    "starter-thymeleaf", "starter-gateway", "eureka-server", "config-server",
    "admin-starter-server", "starter-undertow", "starter-jetty", "starter-tomcat", "spring-web",
    "springdoc", "oauth2-authorization-server", "vaadin", "starter-mustache", "starter-freemarker",
    "starter-rest", "zuul", "hystrix-dashboard", "turbine",
];

/// Calls that serve without any framework: the JDK's own HTTP server, sockets.
pub(super) const SERVERS: &[&str] = &[
    "HttpServer.create(", "ServerSocket(", "new Server(", "ServerBuilder.forPort(",
    "ServerBootstrap(",
];

/// What settings say of a framework whose programs never say in their text where they listen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// Keys of the port.
    pub(super) port: &'static [&'static str],
    /// Key of the path that stands before all others; empty: it has none.
    pub(super) prefix: &'static str,
    /// Part of the name of the dependency that brings a path for its health, and that path; empty: there is none.
    pub(super) health: (&'static str, &'static str),
    /// Key of the path that stands before that of its health, in place of its first part; empty: it has none.
    pub(super) base: &'static str,
    /// Key of a port that the health has for itself, or of whether it has one; empty: it has none.
    pub(super) apart: &'static str,
}

/// Settings of any other framework, and of Play.
pub(super) const COMMON: Settings = Settings {
    port: &["ktor.deployment.port", "server.port", "http.port", "play.server.http.port"],
    prefix: "",
    health: ("", ""),
    base: "",
    apart: "",
};

/// Folders, names and extensions of files with settings, those of production first.
const FOLDERS: &[&str] = &[
    "src/main/resources", "src/main/resources/config", "config", "conf", "resources",
    "src/main/resources/META-INF", ".",
];
const NAMES: &[&str] = &[
    "application-prod", "application-production", "application", "bootstrap", "microprofile-config",
];
const EXTENSIONS: &[&str] = &["properties", "yml", "yaml", "conf", "toml"];

/// The path at a key that stands before all others; the key is empty where there is none.
pub(super) fn prefix(at: Folder<'_>, key: &str) -> String {
    let found = values(at, &[key]).into_iter().next().filter(|_| !key.is_empty());
    let path = found.map(|(path, _)| path.trim_end_matches('/').to_owned());
    let fits = |path: &String| path.starts_with('/') && source::is_plain_path(path);
    path.filter(fits).unwrap_or_default()
}

/// The port that sources set at one of the keys: `Map.of("server.port", 9000)`, `"server.port=9000"`, and by a call of
/// what configures the server.
pub(super) fn in_sources(files: &[Rc<Text>], keys: &[&str]) -> Option<(u16, Evidence)> {
    let marks: Vec<String> =
        keys.iter().flat_map(|key| [format!("\"{key}\""), format!("\"{key}=")]).collect();
    files.iter().find_map(|file| {
        let configures = CONFIGURERS.iter().any(|name| file.text.contains(name));
        file.lines().find_map(|(at, line)| {
            let behind = marks.iter().find_map(|mark| Some(&line[line.find(mark)?..]));
            let called = || configures.then(|| Some(&line[line.find(".setPort(")?..]))?;
            let port = source::own_number(behind.or_else(called)?)?;
            (!source::is_comment(line)).then(|| (port, Evidence::line(&file.path, Some(at))))
        })
    })
}

/// Types that configure the server of Spring.
const CONFIGURERS: &[&str] = &["WebServerFactory", "ServletContainerFactory"];

/// The path of the health: below the prefix of all paths unless it has a port for itself.
pub(super) fn health(at: Folder<'_>, settings: Settings, port: u16) -> Option<String> {
    let value = |key: &str| values(at, &[key]).into_iter().next().filter(|_| !key.is_empty());
    let is_other = |text: &str| source::number(text).is_some_and(|apart| apart != port);
    if value(settings.apart).is_some_and(|(text, _)| text == "true" || is_other(&text)) {
        return None;
    }
    let path = settings.health.1;
    let path = match value(settings.base).map(|(base, _)| base.trim_matches('/').to_owned()) {
        Some(base) if source::is_plain_path(&base) => {
            let last = path.rsplit('/').next().unwrap_or_default();
            if base.is_empty() { format!("/{last}") } else { format!("/{base}/{last}") }
        }
        _ => path.to_owned(),
    };
    Some(prefix(at, settings.prefix) + &path)
}

/// The port that values of settings name, and whether they read `PORT`.
pub(super) fn ports(values: Vec<(String, Evidence)>) -> Ports {
    let mut ports = Ports::default();
    for (value, place) in values {
        if value.contains("PORT") {
            ports.env.get_or_insert_with(|| place.clone());
        }
        if let Some(number) = source::number(&value) {
            ports.number.get_or_insert((number, place));
        }
    }
    ports
}

/// Values of these keys in all files of settings, in order of the files.
pub(super) fn values(at: Folder<'_>, keys: &[&str]) -> Vec<(String, Evidence)> {
    let names = FOLDERS.iter().flat_map(|folder| NAMES.iter().map(move |name| join(folder, name)));
    let names = names.flat_map(|name| EXTENSIONS.iter().map(move |it| format!("{name}.{it}")));
    let paths = names.filter(|name| at.has(name)).map(|name| at.path(&name));
    let of = |path: String| keys.iter().filter_map(move |key| value(at.project, &path, key));
    paths.flat_map(of).collect()
}

fn value(project: &Project<'_>, path: &str, key: &str) -> Option<(String, Evidence)> {
    let tree = project.tree;
    let (value, line) = match path.rsplit_once('.')?.1 {
        "properties" => tree.properties(path)?.get(key).map(|(value, at)| (value.to_owned(), at)),
        "conf" => in_conf(&*tree.read(path)?, key),
        "toml" => in_table(&tree.toml(path)?, key),
        _ => in_table(&tree.yaml(path)?, key),
    }?;
    Some((value, Evidence::line(path, Some(line))))
}

/// A key with dots in tables in tables; a part of it may be one key.
fn in_table(table: &Value, key: &str) -> Option<(String, usize)> {
    if let Some(value) = table.get(key) {
        return Some((value.text()?, value.line));
    }
    key.match_indices('.').find_map(|(at, _)| in_table(table.get(&key[..at])?, &key[at + 1..]))
}

/// HOCON: the last of `port = 9000` and `port = ${?PORT}` wins, so both are read.
fn in_conf(text: &Text, key: &str) -> Option<(String, usize)> {
    let last = key.rsplit('.').next()?;
    let mut all = text.lines().filter_map(|(line, words)| {
        let words = words.trim();
        let rest = words.strip_prefix(key).or_else(|| words.strip_prefix(last))?;
        Some((rest.trim_start().strip_prefix(['=', ':'])?.trim(), line))
    });
    let (first, line) = all.next()?;
    Some((all.fold(first.to_owned(), |known, (value, _)| format!("{known} {value}")), line))
}

/// Ports of the first connectors of Dropwizard, in any YAML file beside the build.
pub(super) fn connectors(at: Folder<'_>) -> Vec<(String, Evidence)> {
    let names = at.entries().into_iter().flat_map(|entries| entries.ending(".yml"));
    let port = |name| {
        let file = at.yaml(name)?;
        let connectors = file.at(&["server", "applicationConnectors"]);
        let first = connectors.and_then(|all| all.items().first());
        let port = first.or_else(|| file.at(&["server", "connector"]))?.get("port")?;
        Some((port.text()?, at.place(name, Some(port.line))))
    };
    names.filter_map(port).collect()
}
