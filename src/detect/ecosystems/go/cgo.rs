//! Whether a program has C in it: its own files, the modules that it needs, and what is known of them.

use super::{
    language::{MAY_HAVE_C, STATIC, WITH_C},
    module::ModFile,
    packages::Program,
};
use crate::detect::prelude::*;

/// Libraries that need a C compiler, and what else.
static LIBRARIES: &[Library] = &[
    library("github.com/mattn/go-sqlite3", &[], &[]),
    library("gorm.io/driver/sqlite", &[], &[]),
    library("github.com/confluentinc/confluent-kafka-go", &[], &[]),
    library("github.com/h2non/bimg", &["libvips-dev"], &["libvips42"])
        .wolfi(&["libvips-dev", "pkgconf"], &["libvips"]),
    library("github.com/davidbyttow/govips", &["libvips-dev"], &["libvips42"])
        .wolfi(&["libvips-dev", "pkgconf"], &["libvips"]),
    library("gopkg.in/gographics/imagick.v3", &["libmagickwand-dev"], &["libmagickwand-6.q16-6"])
        .wolfi(&["imagemagick-dev", "pkgconf"], &["imagemagick"]),
    library("github.com/pebbe/zmq4", &["libzmq3-dev", "pkg-config"], &["libzmq5"])
        .wolfi(&["pkgconf", "zeromq-dev"], &["zeromq"]),
    library("github.com/google/gopacket/pcap", &["libpcap-dev"], &["libpcap0.8"])
        .wolfi(&["libpcap-dev"], &["libpcap"]),
    library("github.com/chai2010/webp", &[], &[]),
    library("github.com/marcboeker/go-duckdb", &[], &["libstdc++6"]).wolfi(&[], &["libstdc++"]),
    library("github.com/duckdb/duckdb-go", &[], &["libstdc++6"]).wolfi(&[], &["libstdc++"]),
    library("github.com/tursodatabase/go-libsql", &[], &["libstdc++6"]).wolfi(&[], &["libstdc++"]),
];

/// Hosts of modules that need no C, neither by themselves nor by what they import.
const HOSTS: &[&str] = &[
    "buf.build", "cel.dev", "cloud.google.com", "connectrpc.com", "dario.cat", "encore.dev",
    "entgo.io", "filippo.io", "firebase.google.com", "go.etcd.io", "go.mongodb.org",
    "go.opentelemetry.io", "go.uber.org", "go.yaml.in", "gofr.dev", "goji.io", "golang.org",
    "google.golang.org", "gopkg.in", "gorm.io", "honnef.co", "k8s.io", "modernc.org", "nhooyr.io",
    "sigs.k8s.io", "zombiezen.com",
];

/// Owners on GitHub of such modules.
const OWNERS: &[&str] = &[
    "99designs", "a-h", "adrg", "alecthomas", "alexedwards", "andybalholm", "antchfx", "apex",
    "armon", "asdine", "astaxie", "aws", "Azure", "AzureAD", "beego", "bits-and-blooms", "boltdb",
    "boombuler", "brianvoe", "bufbuild", "BurntSushi", "bwmarrin", "bytedance", "caarlos0",
    "casbin", "cenkalti", "cespare", "charmbracelet", "ClickHouse", "cloudwego", "codegangsta",
    "coder", "coreos", "cpuguy83", "danielgtaylor", "davecgh", "deepmap", "dghubble", "dgraph-io",
    "dgrijalva", "disintegration", "docker", "domodwyer", "dop251", "dustin", "eapache",
    "emersion", "emicklei", "envoyproxy", "evanphx", "expr-lang", "fatih", "felixge", "fsnotify",
    "gabriel-vasile", "ganigeorgiev", "getsentry", "ghodss", "gin-contrib", "gin-gonic",
    "glebarez", "go-chi", "go-co-op", "go-fuego", "go-gorm", "go-jose", "go-kit", "go-kratos",
    "go-ldap", "go-logr", "go-martini", "go-openapi", "go-ozzo", "go-pg", "go-pkgz",
    "go-playground", "go-redis", "go-resty", "go-sql-driver", "go-task", "go-telegram-bot-api",
    "go-viper", "go-webauthn", "gobuffalo", "gobwas", "goccy", "gocolly", "gocraft", "gofiber",
    "gofrs", "gogf", "gogo", "golang", "golang-jwt", "golang-migrate", "gomarkdown", "google",
    "googleapis", "GoogleCloudPlatform", "gookit", "goravel", "gorilla", "gosimple",
    "graph-gophers", "graphql-go", "grpc-ecosystem", "hashicorp", "hibiken", "IBM",
    "ilyakaznacheev", "imdario", "imroc", "inconshreveable", "influxdata", "invopop", "jackc",
    "jaswdr", "jellydator", "jinzhu", "jmoiron", "joho", "josharian", "json-iterator",
    "julienschmidt", "jung-kurt", "justinas", "kataras", "kelseyhightower", "klauspost", "knadh",
    "labstack", "leodido", "lestrrat-go", "lib", "lithammer", "lmittmann", "lucasb-eyer",
    "magefile", "magiconair", "mailru", "Masterminds", "matryer", "microcosm-cc", "Microsoft",
    "minio", "mitchellh", "modern-go", "muesli", "natefinch", "nats-io", "ncruces", "nicksnyder",
    "oapi-codegen", "oklog", "olivere", "onsi", "openai", "modelcontextprotocol", "opentracing",
    "openzipkin", "ory", "patrickmn", "pb33f", "pelletier", "pierrec", "pkg", "planetscale",
    "pmezard", "pocketbase", "pquerna", "pressly", "prometheus", "PuerkitoBio", "quic-go",
    "rabbitmq", "rakyll", "redis", "revel", "riandyrn", "rivo", "robfig", "rs", "russross",
    "samber", "sashabaranov", "savsgio", "segmentio", "sethvargo", "Shopify", "shopspring",
    "sirupsen", "skip2", "slack-go", "sony", "sourcegraph", "spf13", "stretchr", "stripe",
    "subosito", "swaggest", "swaggo", "tal-tech", "tealeg", "ThreeDotsLabs", "tidwall", "twilio",
    "uber", "ugorji", "ulule", "unrolled", "uptrace", "urfave", "usememos", "valyala", "vektah",
    "wagslane", "xuri", "yuin", "zenazn", "zeromicro", "zitadel",
];

/// Modules of other owners, who have some with C too.
const MODULES: &[&str] = &[
    "github.com/mattn/go-colorable",
    "github.com/mattn/go-isatty",
    "github.com/mattn/go-runewidth",
    "github.com/miekg/dns",
];

/// Lets the build have C where a program needs it, and gives the image what that needs.
///
/// Only what is known to do without is built without: other modules may need C by what they import themselves, which no
/// file of the tree tells. They are built as Go does by itself, with C where there is a compiler.
pub(super) fn settle(facts: &mut Facts, program: &Program, module: Option<&ModFile>) {
    let needs = |row: &&Library| {
        program.uses(row.name) || module.is_some_and(|module| module.needs(row.name).is_some())
    };
    let libraries: Vec<&Library> = LIBRARIES.iter().filter(needs).collect();
    if program.has_cgo || !libraries.is_empty() {
        facts.language = &WITH_C;
        facts.build_env("CGO_ENABLED", "1");
        for library in libraries {
            facts.library(library, Evidence::file(&program.dir));
        }
        return;
    }
    let foreign = |import: &&String| import.split('/').next().is_some_and(|it| it.contains('.'));
    let mut foreign = program.imports.iter().filter(foreign);
    match foreign.find(|import| !is_pure(import)) {
        None => {
            facts.language = &STATIC;
            facts.build_env("CGO_ENABLED", "0");
        }
        Some(_) => facts.language = &MAY_HAVE_C,
    }
}

fn is_pure(import: &str) -> bool {
    let mut parts = import.split('/');
    let (host, owner) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    HOSTS.contains(&host)
        || host == "github.com" && OWNERS.contains(&owner)
        || MODULES.iter().any(|module| is_below(import, module))
}
