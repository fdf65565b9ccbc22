//! Frameworks of PHP, and programs that are servers by themselves.

use super::{composer::Composer, version::PHP};
use crate::detect::prelude::*;

/// The port of everything that has none of its own: one that is not root's.
pub(super) const PORT: u16 = 8080;

/// What is particular to a framework of PHP.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    /// Folder that is served.
    pub(super) root: &'static str,
    /// Folders that it writes to, and that are made.
    pub(super) makes: &'static [&'static str],
    /// Folders that it writes to when they are there.
    pub(super) writes: &'static [&'static str],
    /// Extensions it is hardly used without.
    pub(super) extensions: &'static [&'static str],
    /// Files that listen on their own, with their arguments.
    servers: &'static [&'static str],
    /// Command of the build, and the package it needs.
    pub(super) command: &'static str,
    pub(super) needs: Option<&'static str>,
}

macro_rules! frameworks {
    ($($id:literal $marks:tt $root:literal $makes:tt $writes:tt $extensions:tt $like:expr;)*) => {
        &[$({
            let (port, env, like) = $like;
            let site = Site { root: $root, makes: &$makes, writes: &$writes, extensions: &$extensions, ..like };
            framework($id, &$marks, port).env(env).own(site)
        }),*]
    };
}

/// Id, packages and files that show it, folder that is served, folders that are made, others that are written to,
/// extensions. What stands on another comes before it.
static FRAMEWORKS: &[Framework<Site>] = frameworks! {
    "laravel" ["laravel/framework", "artisan"] "public" ["storage", "bootstrap/cache"] ["database"] ["pdo_mysql", "opcache"] LARAVEL;
    "lumen" ["laravel/lumen-framework"] "public" ["storage"] [] ["pdo_mysql", "opcache"] LARAVEL;
    "drupal" ["drupal/core-recommended", "drupal/core", "core/lib/Drupal.php"] "web" [] ["web/sites/default"] ["gd", "pdo_mysql", "opcache"] PLAIN;
    "wordpress" ["roots/wordpress"] "web" [] ["web/app/uploads"] ["mysqli", "gd", "opcache"] PLAIN;
    "wordpress" ["johnpbloch/wordpress", "wp-load.php", "wp-config.php", "wp-config-sample.php"] "." [] ["wp-content"] ["mysqli", "gd", "opcache"] PLAIN;
    "craft" ["craftcms/cms"] "web" [] ["storage", "web/cpresources", "config"] ["bcmath", "gd", "intl", "pdo_mysql", "zip"] PLAIN;
    "statamic" ["statamic/cms"] "public" ["storage", "bootstrap/cache"] [] ["exif", "gd", "bcmath"] LARAVEL;
    "october" ["october/rain"] "." [] ["storage"] ["gd", "pdo_mysql", "zip"] PLAIN;
    "typo3" ["typo3/cms-core"] "public" ["var"] ["public/fileadmin", "public/typo3temp"] ["gd", "intl", "mysqli", "zip"] PLAIN;
    "magento" ["magento/product-community-edition"] "pub" ["var"] ["generated", "pub/static", "pub/media"] ["bcmath", "gd", "intl", "pdo_mysql", "soap", "xsl", "zip"] PLAIN;
    "shopware" ["shopware/core"] "public" ["var"] ["public/media", "public/theme"] ["gd", "intl", "pdo_mysql", "zip"] PLAIN;
    "silverstripe" ["silverstripe/framework"] "public" [] ["public/assets"] ["gd", "intl", "mysqli"] PLAIN;
    "kirby" ["getkirby/cms"] "." [] ["content", "media", "site"] ["gd"] PLAIN;
    "hypervel" ["hypervel/framework"] "." [] ["storage"] ["swoole", "pcntl"] server(9501, &["artisan serve"]);
    "symfony" ["symfony/framework-bundle"] "public" ["var"] [] ["opcache"] SYMFONY;
    "symfony" ["symfony/symfony"] "web" ["var"] [] ["opcache"] SYMFONY;
    "codeigniter" ["codeigniter4/framework"] "public" ["writable"] [] ["intl", "mysqli"] PLAIN;
    "codeigniter" ["codeigniter/framework", "system/core/CodeIgniter.php"] "." [] ["application/cache", "application/logs"] ["mysqli"] PLAIN;
    "cakephp" ["cakephp/cakephp"] "webroot" ["tmp", "logs"] [] ["intl", "pdo_mysql"] PLAIN;
    "yii" ["yiisoft/yii2"] "web" ["runtime"] ["web/assets"] ["pdo_mysql"] PLAIN;
    "nette" ["nette/application", "nette/nette"] "www" [] ["temp", "log"] [] PLAIN;
    "fuelphp" ["fuel/core"] "public" [] ["fuel/app/cache", "fuel/app/logs"] ["pdo_mysql"] PLAIN;
    "mako" ["mako/framework"] "public" [] ["app/storage"] ["pdo_mysql"] PLAIN;
    "spiral" ["spiral/framework"] "public" ["runtime"] [] [] PLAIN;
    "ubiquity" ["phpmvc/ubiquity"] "." [] ["app/cache"] ["pdo_mysql"] PLAIN;
    "mezzio" ["mezzio/mezzio"] "public" [] ["data"] [] PLAIN;
    "laminas" ["laminas/laminas-mvc"] "public" [] ["data"] [] PLAIN;
    "zend" ["zendframework/zend-mvc"] "public" [] ["data"] [] PLAIN;
    "slim" ["slim/slim"] "public" [] ["var", "logs"] [] PLAIN;
    "leaf" ["leafs/leaf"] "public" [] [] [] PLAIN;
    "flight" ["mikecao/flight", "flightphp/core"] "public" [] [] [] PLAIN;
    "fatfree" ["bcosca/fatfree-core"] "." ["tmp"] [] [] PLAIN;
    "phalcon" ["phalcon/devtools"] "public" [] ["cache"] [] PLAIN;
    "hyperf" ["hyperf/framework"] "." ["runtime"] [] ["swoole", "pcntl"] server(9501, &["bin/hyperf.php start"]);
    "webman" ["workerman/webman-framework"] "." ["runtime"] [] ["pcntl"] server(PORT, &["start.php start"]);
    "workerman" ["workerman/workerman"] "." [] [] ["pcntl"] server(PORT, &["start.php start", "server.php"]);
    "swoole" ["ext-swoole"] "." [] [] ["swoole"] server(PORT, SERVER_FILES);
    "openswoole" ["ext-openswoole", "openswoole/core"] "." [] [] ["openswoole"] server(PORT, SERVER_FILES);
    "comet" ["gotzmann/comet"] "." [] [] ["pcntl"] PLAIN;
    "mark" ["mark-php/mark"] "." [] [] ["pcntl"] PLAIN;
    "framework-x" ["clue/framework-x"] "public" [] [] [] PLAIN;
    "reactphp" ["react/http"] "." [] [] [] server(PORT, EVENT_LOOPS);
    "amphp" ["amphp/http-server"] "." [] [] [] server(PORT, EVENT_LOOPS);
    "symfony" [HTTP_KERNEL] "public" ["var"] [] ["opcache"] SYMFONY;
};

/// What many libraries use, too: it is the framework where there is a console.
const HTTP_KERNEL: &str = "symfony/http-kernel";

/// What frameworks have in common: port, environment, and what a site is otherwise.
type Like = (u16, &'static [(&'static str, &'static str)], Site);

const PLAIN: Like = server(PORT, &[]);

const LARAVEL: Like = like(
    &[("APP_ENV", "production"), ("LOG_CHANNEL", "stderr")],
    "mkdir -p storage/framework/cache/data storage/framework/sessions storage/framework/views storage/logs bootstrap/cache",
    None,
);

const SYMFONY: Like = like(
    &[("APP_ENV", "prod")],
    "APP_ENV=prod APP_SECRET=build php bin/console importmap:install && APP_ENV=prod APP_SECRET=build php bin/console asset-map:compile",
    Some("symfony/asset-mapper"),
);

const fn like(
    env: &'static [(&'static str, &'static str)],
    command: &'static str,
    needs: Option<&'static str>,
) -> Like {
    let (port, _, site) = PLAIN;
    (port, env, Site { command, needs, ..site })
}

const fn server(port: u16, servers: &'static [&'static str]) -> Like {
    let none = &[];
    let site = Site {
        root: "",
        makes: none,
        writes: none,
        extensions: none,
        servers,
        command: "",
        needs: None,
    };
    (port, &[], site)
}

const SERVER_FILES: &[&str] = &[
    "server.php", "start.php start", "app.php", "main.php", "bin/server.php", "bin/http.php",
    "bin/swoole.php", "src/server.php", "swoole.php", "swoole-server.php", "src/swoole-server.php",
    "http.php", "public/index.php", "index.php",
];

/// Files that start a loop of events.
const EVENT_LOOPS: &[&str] = &["server.php", "public/index.php", "index.php", "app.php"];

/// Classes of servers that a program of PHP may be by itself, of OpenSwoole too.
const SERVER_CLASSES: &[&str] = &[
    "Swoole\\Http\\Server", "Swoole\\HTTP\\Server", "swoole_http_server", "Workerman\\Worker",
    "React\\Http\\HttpServer", "SocketHttpServer", "Swoole\\WebSocket\\Server",
    "Coroutine\\Http\\Server", "Comet\\Comet", "Mark\\App", "FrameworkX\\App", "Ripple\\Net\\Http",
];

/// Classes of servers that are told what to do: what stands on Workerman.
const TOLD: &[&str] = &["Workerman\\Worker", "Comet\\Comet", "Mark\\App"];

/// The framework that packages or files mean.
pub(super) fn find(composer: &Composer<'_>) -> Option<Known<Site>> {
    let at = composer.at;
    let required = framework::find(FRAMEWORKS, |mark| {
        let value = composer.require(mark)?;
        (mark != HTTP_KERNEL || at.has("bin/console")).then(|| composer.place(value))
    });
    let is_there = |mark: &'static str| at.has(mark).then(|| at.place(mark, None));
    required.or_else(|| framework::find(FRAMEWORKS, is_there))
}

/// The file of a command line as the tables have it.
pub(super) fn file_of(line: &'static str) -> &'static str {
    line.split(' ').next().unwrap_or(line)
}

impl Site {
    /// The file that listens on its own, with its arguments.
    pub(super) fn server(&self, at: Folder<'_>) -> Option<&'static str> {
        self.servers.iter().copied().find(|line| at.has(file_of(line)))
    }
}

/// A file that is a server by itself, as its text says, with its arguments.
pub(super) fn server_file(at: Folder<'_>) -> Option<&'static str> {
    SERVER_FILES.iter().copied().find(|line| {
        let text = at.read(file_of(line));
        text.is_some_and(|text| SERVER_CLASSES.iter().any(|class| text.text.contains(class)))
    })
}

/// Starts a file that listens on its own.
pub(super) fn serve(at: Folder<'_>, line: &'static str, default: u16, facts: &mut Facts) {
    let file = file_of(line);
    let text: Vec<_> = at.read(file).into_iter().collect();
    let is_told = TOLD.iter().any(|class| text.iter().any(|text| text.text.contains(class)));
    let start = if is_told && line == file { " start" } else { "" };
    let rule = Fixed::ListensItself;
    facts.start_line(&format!("php {line}{start}"), rule, [at.place(file, None)]);
    let found = source::ports(&text, PHP.listens).number.or_else(|| source::address(&text));
    let port = Port::told_or(found, Fixed::PortInSource, default, Fixed::PortOfFramework);
    if facts.framework == Some("framework-x") {
        facts.env("X_LISTEN", format!("0.0.0.0:{}", port.number));
    }
    facts.port(port);
}

// RoadRunner: a server in Go whose workers are programs of PHP, set up in `.rr.yaml`.

const SETTINGS: &str = ".rr.yaml";
/// The release that is fetched where Composer does not install its own tool for that.
const RELEASE: &str = "2024.3.2";

/// The settings of a project that has RoadRunner's packages.
pub(super) fn roadrunner(composer: &Composer<'_>) -> Option<Value> {
    let settings = composer.at.yaml(SETTINGS)?;
    let is_used = composer.has(|name| name.starts_with("spiral/"));
    (is_used && settings.at(&["server", "command"]).is_some()).then_some(settings)
}

/// Fetches the server, and starts it.
pub(super) fn serve_workers(composer: &Composer<'_>, settings: &Value, facts: &mut Facts) {
    let at = composer.at;
    // `vendor/bin/rr` fetches the release that fits the packages.
    let fetch = match composer.has(|name| name == "spiral/roadrunner-cli") {
        true => within(
            at.dir,
            &format!(
                "mkdir -p {OUT} && php vendor/bin/rr get-binary --location {OUT} --no-interaction"
            ),
        ),
        false => format!(
            "mkdir -p {OUT} && curl -fsSL https://github.com/roadrunner-server/roadrunner/releases/download/v{RELEASE}/roadrunner-{RELEASE}-linux-$(dpkg --print-architecture).tar.gz | tar -xz -C {OUT} --strip-components=1"
        ),
    };
    facts.build(".", fetch);
    facts.take(&format!("{OUT}/rr"), "/usr/local/bin/rr");
    facts.weight = facts.weight.max(Weight::Framework);
    let address = settings.at(&["http", "address"]);
    let found = address.and_then(|value| Some((source::number(&value.text()?)?, value.line)));
    let (port, line) = found.map_or((PORT, None), |(port, line)| (port, Some(line)));
    // The address may be of the loopback alone.
    let command = format!("rr serve -c {SETTINGS} -o http.address=0.0.0.0:{port}");
    facts.start_line(&command, Fixed::RoadRunnerSettings, [at.place(SETTINGS, None)]);
    facts.port(Port::new(port, Fixed::HttpAddress, Some(at.place(SETTINGS, line))));
}
