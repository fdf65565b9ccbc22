//! Frameworks of the JVM: which dependency or plugin means one, its port, and where it tells its health.

use super::sources::Sources;
use crate::detect::Evidence;

/// What a build file names: dependencies as `group:artifact`, plugins by their id, each with its place.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) names: Vec<(String, Evidence)>,
}

impl Facts {
    /// The place of a dependency or plugin whose name holds `part`.
    pub(super) fn find(&self, part: &str) -> Option<Evidence> {
        self.names.iter().find(|(name, _)| name.contains(part)).map(|(_, seen)| seen.clone())
    }
}

/// One framework.
pub(super) struct Framework {
    pub(super) id: &'static str,
    /// Parts of names of dependencies or plugins that mean it.
    names: &'static [&'static str],
    /// What it listens on by itself; 0: what the source says.
    pub(super) port: u16,
}

/// The more special before what it is built on.
static FRAMEWORKS: &[Framework] = &[
    of("quarkus", &["io.quarkus"], 8080),
    of("micronaut", &["io.micronaut"], 8080),
    of("grails", &["org.grails"], 8080),
    of("spring-boot", &["org.springframework.boot", "spring-boot-starter"], 8080),
    of("helidon", &["io.helidon"], 8080),
    of("ratpack", &["io.ratpack"], 5050),
    of("hexagon", &["com.hexagonkt", "com.hexagontk"], 2010),
    of("dropwizard", &["io.dropwizard:dropwizard-core", "io.dropwizard"], 8080),
    of("ktor", &["io.ktor:ktor-server", "io.ktor"], 8080),
    of("http4k", &["org.http4k"], 9000),
    of("javalin", &["io.javalin"], 7070),
    of("spark-java", &["com.sparkjava:spark-core", "com.sparkjava"], 4567),
    of("jooby", &["io.jooby"], 8080),
    of("armeria", &["com.linecorp.armeria"], 8080),
    of("vertx", &["io.vertx:vertx-web", "io.vertx:vertx-core", "io.vertx"], 8888),
    of("activej", &["io.activej:activej-http", "io.activej:activej-launchers-http"], 8080),
    of("solon", &["org.noear:solon"], 8080),
    of("blade", &["com.hellokaton:blade", "com.bladejava:blade"], 9000),
    of("ninja", &["org.ninjaframework"], 8080),
    of("pippo", &["ro.pippo"], 8338),
    of("rapidoid", &["org.rapidoid"], 8888),
    of("jfinal", &["com.jfinal"], 8080),
    of(
        "play",
        &[
            "com.typesafe.play:sbt-plugin", "org.playframework:sbt-plugin",
            "com.typesafe.play:play", "org.playframework",
        ],
        9000,
    ),
    of("http4s", &["org.http4s"], 8080),
    of("zio-http", &["dev.zio:zio-http", "io.d11:zhttp"], 8080),
    of("tapir", &["com.softwaremill.sttp.tapir"], 8080),
    of("finatra", &["com.twitter:finatra", "com.twitter:inject-server"], 8888),
    of("finch", &["com.github.finagle:finch"], 8080),
    of("finagle", &["com.twitter:finagle"], 8080),
    of("cask", &["com.lihaoyi:cask"], 8080),
    of("scalatra", &["org.scalatra:scalatra"], 8080),
    of("pekko-http", &["org.apache.pekko:pekko-http"], 8080),
    of("akka-http", &["com.typesafe.akka:akka-http"], 8080),
    of("vaadin", &["com.vaadin:vaadin"], 8080),
    of("struts", &["org.apache.struts"], 8080),
    of("wicket", &["org.apache.wicket:wicket-core"], 8080),
    of("tapestry", &["org.apache.tapestry"], 8080),
    of("undertow", &["io.undertow:undertow-core"], 8080),
    of("jersey", &["org.glassfish.jersey"], 8080),
    of("spring", &["org.springframework:spring-webmvc"], 8080),
    of("jetty", &["org.eclipse.jetty:jetty-server", "org.eclipse.jetty:jetty-servlet"], 8080),
    of("grizzly", &["org.glassfish.grizzly:grizzly-http-server"], 8080),
    of("nanohttpd", &["org.nanohttpd"], 8080),
    of("netty", &["io.netty:netty-codec-http"], 8080),
    of("grpc", &["io.grpc:grpc-netty", "io.grpc:grpc-services"], 50051),
];

const fn of(id: &'static str, names: &'static [&'static str], port: u16) -> Framework {
    Framework { id, names, port }
}

/// The framework of a module and where it was seen.
pub(super) fn find(facts: &Facts) -> Option<(&'static Framework, Evidence)> {
    let found = |facts: &Facts| {
        FRAMEWORKS.iter().find_map(|framework| {
            framework.names.iter().find_map(|name| Some((framework, facts.find(name)?)))
        })
    };
    // Spring Boot's plugin packs programs of any kind: what they stand on tells more.
    let is_plugin = |name: &str| !name.contains(':') || name.ends_with("-plugin");
    let is_packer = |name: &str| is_plugin(name) && name.contains("org.springframework.boot");
    let others = facts.names.iter().filter(|(name, _)| !is_packer(name)).cloned().collect();
    found(&Facts { names: others }).or_else(|| found(facts))
}

/// Whether a Spring Boot application serves HTTP: a starter that brings a server.
pub(super) fn is_spring_web(facts: &Facts) -> bool {
    const WEB: &[&str] = &[
        "starter-web",
        "starter-jersey",
        "starter-graphql",
        "starter-data-rest",
        "starter-hateoas",
        "starter-thymeleaf",
        "starter-gateway",
        "eureka-server",
        "config-server",
        "boot-admin-starter-server",
        "starter-undertow",
        "starter-jetty",
        "starter-tomcat",
        "spring-webmvc",
        "spring-webflux",
        "springdoc",
        "starter-oauth2-authorization-server",
        "vaadin",
        "starter-mustache",
        "starter-freemarker",
        "spring-web",
        "starter-rest",
        "zuul",
        "hystrix-dashboard",
        "turbine",
    ];
    WEB.iter().any(|name| facts.find(name).is_some())
}

/// The HTTP path of the health check that a framework offers with these dependencies.
pub(super) fn health(id: &str, facts: &Facts) -> Option<(&'static str, Evidence)> {
    let (part, path) = match id {
        "spring-boot" => ("spring-boot-starter-actuator", "/actuator/health"),
        "quarkus" => ("quarkus-smallrye-health", "/q/health"),
        "micronaut" => ("micronaut-management", "/health"),
        "helidon" => ("helidon", "/health"),
        _ => return None,
    };
    let part = if id == "helidon" { "health" } else { part };
    Some((path, facts.find(part)?))
}

/// Calls and settings that name the port a program listens on.
pub(super) const LISTENING: &[&str] = &[
    "embeddedServer(", ".start(", ".listen(", "port(", "bind(", "newServerAt(",
    "ServerBuilder.forPort(", "HttpServer.create(", "InetSocketAddress(", "withPort(", "setPort(",
    "new Server(", "Server.defaultWithPort(", "bindHttp(", "forPort(", "asServer(",
    "ServerSocket(", "run-jetty", "run-server", "http/start", ":port",
];

/// Whether the sources serve without any framework: the JDK's own HTTP server, sockets.
pub(super) fn serves(sources: &Sources) -> bool {
    [
        "HttpServer.create(", "ServerSocket(", "new Server(", "ServerBuilder.forPort(",
        "ServerBootstrap(",
    ]
    .iter()
    .any(|call| sources.mention(call).is_some())
}
