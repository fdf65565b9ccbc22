//! Frameworks of PHP, and programs that are servers by themselves.

use super::Composer;
use crate::detect::{Evidence, Project, join};

/// A framework: package, id, folder that is served, folders that it writes to, extensions it is hardly used without.
pub(super) struct Framework {
    pub(super) package: &'static str,
    pub(super) id: &'static str,
    pub(super) root: &'static str,
    pub(super) writes: &'static [&'static str],
    pub(super) extensions: &'static [&'static str],
}

macro_rules! frameworks {
    ($($package:literal $id:literal $root:literal $writes:expr, $extensions:expr;)*) => {
        &[$(Framework { package: $package, id: $id, root: $root, writes: &$writes, extensions: &$extensions }),*]
    };
}

/// What stands on another comes before it.
const FRAMEWORKS: &[Framework] = frameworks! {
    "laravel/framework" "laravel" "public" ["storage", "bootstrap/cache", "database"], ["pdo_mysql", "opcache"];
    "laravel/lumen-framework" "lumen" "public" ["storage"], ["pdo_mysql", "opcache"];
    "drupal/core-recommended" "drupal" "web" ["web/sites/default"], ["gd", "pdo_mysql", "opcache"];
    "drupal/core" "drupal" "web" ["web/sites/default"], ["gd", "pdo_mysql", "opcache"];
    "roots/wordpress" "wordpress" "web" ["web/app/uploads"], ["mysqli", "gd", "opcache"];
    "johnpbloch/wordpress" "wordpress" "." ["wp-content"], ["mysqli", "gd", "opcache"];
    "craftcms/cms" "craft" "web" ["storage", "web/cpresources", "config"], ["bcmath", "gd", "intl", "pdo_mysql", "zip"];
    "statamic/cms" "statamic" "public" ["storage", "bootstrap/cache"], ["exif", "gd", "bcmath"];
    "october/rain" "october" "." ["storage"], ["gd", "pdo_mysql", "zip"];
    "typo3/cms-core" "typo3" "public" ["var", "public/fileadmin", "public/typo3temp"], ["gd", "intl", "mysqli", "zip"];
    "magento/product-community-edition" "magento" "pub" ["var", "generated", "pub/static", "pub/media"], ["bcmath", "gd", "intl", "pdo_mysql", "soap", "xsl", "zip"];
    "shopware/core" "shopware" "public" ["var", "public/media", "public/theme"], ["gd", "intl", "pdo_mysql", "zip"];
    "silverstripe/framework" "silverstripe" "public" ["public/assets"], ["gd", "intl", "mysqli"];
    "getkirby/cms" "kirby" "." ["content", "media", "site"], ["gd"];
    "hypervel/framework" "hypervel" "." ["storage"], ["swoole", "pcntl"];
    "symfony/framework-bundle" "symfony" "public" ["var"], ["opcache"];
    "symfony/symfony" "symfony" "web" ["var"], ["opcache"];
    "codeigniter4/framework" "codeigniter" "public" ["writable"], ["intl", "mysqli"];
    "codeigniter/framework" "codeigniter" "." ["application/cache", "application/logs"], ["mysqli"];
    "cakephp/cakephp" "cakephp" "webroot" ["tmp", "logs"], ["intl", "pdo_mysql"];
    "yiisoft/yii2" "yii" "web" ["runtime", "web/assets"], ["pdo_mysql"];
    "nette/application" "nette" "www" ["temp", "log"], [];
    "nette/nette" "nette" "www" ["temp", "log"], [];
    "fuel/core" "fuelphp" "public" ["fuel/app/cache", "fuel/app/logs"], ["pdo_mysql"];
    "mako/framework" "mako" "public" ["app/storage"], ["pdo_mysql"];
    "spiral/framework" "spiral" "public" ["runtime"], [];
    "phpmvc/ubiquity" "ubiquity" "." ["app/cache"], ["pdo_mysql"];
    "mezzio/mezzio" "mezzio" "public" ["data"], [];
    "laminas/laminas-mvc" "laminas" "public" ["data"], [];
    "zendframework/zend-mvc" "zend" "public" ["data"], [];
    "slim/slim" "slim" "public" ["var", "logs"], [];
    "leafs/leaf" "leaf" "public" [], [];
    "mikecao/flight" "flight" "public" [], [];
    "flightphp/core" "flight" "public" [], [];
    "bcosca/fatfree-core" "fatfree" "." ["tmp"], [];
    "phalcon/devtools" "phalcon" "public" ["cache"], [];
    "hyperf/framework" "hyperf" "." ["runtime"], ["swoole", "pcntl"];
    "workerman/webman-framework" "webman" "." ["runtime"], ["pcntl"];
    "workerman/workerman" "workerman" "." [], ["pcntl"];
    "ext-swoole" "swoole" "." [], ["swoole"];
    "ext-openswoole" "openswoole" "." [], ["openswoole"];
    "openswoole/core" "openswoole" "." [], ["openswoole"];
    "gotzmann/comet" "comet" "." [], ["pcntl"];
    "mark-php/mark" "mark" "." [], ["pcntl"];
    "clue/framework-x" "framework-x" "public" [], [];
    "react/http" "reactphp" "." [], [];
    "amphp/http-server" "amphp" "." [], [];
};

/// Frameworks that listen on their own, and files that start them.
pub(super) const OWN_SERVERS: &[(&str, &[&str])] = &[
    ("hyperf", &["bin/hyperf.php"]),
    ("hypervel", &["artisan"]),
    ("webman", &["start.php"]),
    ("swoole", SERVER_FILES),
    ("openswoole", SERVER_FILES),
    ("workerman", &["start.php", "server.php"]),
    ("reactphp", &["server.php", "public/index.php", "index.php", "app.php"]),
    ("amphp", &["server.php", "public/index.php", "index.php", "app.php"]),
];

const SERVER_FILES: &[&str] = &[
    "server.php", "start.php", "app.php", "main.php", "bin/server.php", "bin/http.php",
    "bin/swoole.php", "src/server.php", "swoole.php", "swoole-server.php", "src/swoole-server.php",
    "http.php", "public/index.php", "index.php",
];

/// Classes of servers that a program of PHP may be by itself.
const SERVER_CLASSES: &[&str] = &[
    "Swoole\\Http\\Server",
    "Swoole\\HTTP\\Server",
    "swoole_http_server",
    "Workerman\\Worker",
    "React\\Http\\HttpServer",
    "SocketHttpServer",
    "Swoole\\WebSocket\\Server",
    "Swoole\\Coroutine\\Http\\Server",
    "OpenSwoole\\Http\\Server",
    "OpenSwoole\\HTTP\\Server",
    "Comet\\Comet",
    "Mark\\App",
    "FrameworkX\\App",
    "Ripple\\Net\\Http",
];

/// The framework that packages or files mean, and where that was seen.
pub(super) fn framework(
    project: &Project<'_>,
    dir: &str,
    composer: Option<&Composer>,
) -> Option<(&'static Framework, Evidence)> {
    if let Some(composer) = composer {
        let named =
            FRAMEWORKS.iter().find(|framework| composer.require(framework.package).is_some());
        if let Some(framework) = named {
            return Some((framework, composer.place(framework.package)));
        }
        if let Some(place) = composer.require("symfony/http-kernel").map(|value| value.line)
            && project.tree.has(&join(dir, "bin/console"))
        {
            let symfony = FRAMEWORKS.iter().find(|framework| framework.id == "symfony")?;
            return Some((symfony, Evidence::line(&composer.path, Some(place))));
        }
    }
    let by_files = [
        ("wp-load.php", "johnpbloch/wordpress"),
        ("wp-config.php", "johnpbloch/wordpress"),
        ("wp-config-sample.php", "johnpbloch/wordpress"),
        ("artisan", "laravel/framework"),
        ("core/lib/Drupal.php", "drupal/core"),
        ("system/core/CodeIgniter.php", "codeigniter/framework"),
    ];
    by_files.iter().find_map(|(file, package)| {
        let path = join(dir, file);
        let framework = FRAMEWORKS.iter().find(|framework| framework.package == *package)?;
        project.tree.has(&path).then(|| (framework, Evidence::file(path)))
    })
}

/// A file that is a server by itself, as its text says.
pub(super) fn server_file(project: &Project<'_>, dir: &str) -> Option<&'static str> {
    SERVER_FILES.iter().copied().find(|file| {
        project
            .tree
            .read(&join(dir, file))
            .is_some_and(|text| SERVER_CLASSES.iter().any(|class| text.text.contains(class)))
    })
}
