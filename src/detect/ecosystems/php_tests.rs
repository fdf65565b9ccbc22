//! Small projects in PHP: what is served and what is not, and what has to be there for that.

use super::compiled_tests::{folders, only, services};
use crate::detect::{Family, Service, detect};

fn settings(service: &Service) -> String {
    String::from_utf8(service.spec.runtime.files[0].content.clone()).unwrap()
}

const FRONT: &str =
    "<?php require __DIR__ . '/../vendor/autoload.php'; echo $_SERVER['REQUEST_URI'];\n";
const PAGE: &str = "<?php echo 1;\n";

#[test]
fn a_folder_with_a_front_controller_is_served_and_never_the_project() {
    let check = |files: &[(&str, &str)], root: &str| {
        let text = settings(&only(files));
        assert!(text.contains(&format!("DocumentRoot /var/www/html{root}\n")), "{text}");
        text
    };
    check(&[("composer.json", "{}"), ("index.php", PAGE), ("public/index.php", FRONT)], "/public");
    check(
        &[
            ("composer.json", r#"{"require": {"getkirby/cms": "4"}}"#),
            ("index.php", PAGE),
            ("www/index.php", FRONT),
        ],
        "/www",
    );
    let text = check(&[("composer.json", "{}"), ("index.php", FRONT)], "");
    assert!(text.contains("FallbackResource /index.php"));
    assert!(text.contains("<Directory /var/www/html/vendor>\nRequire all denied"));
    let text = check(&[("index.php", PAGE), ("about.php", PAGE)], "");
    assert!(
        !text.contains("Fallback")
            && text.contains("<LocationMatch \"/\\.(?!well-known/)\">\nRequire all denied")
    );
    let own = "RewriteEngine On\n";
    assert!(!check(&[("index.php", FRONT), (".htaccess", own)], "").contains("Fallback"));
}

#[test]
fn packages_that_are_committed_are_not_installed_again() {
    let check = |ignore: &str, installs: bool| {
        let service = only(&[
            ("composer.json", r#"{"require": {"pimple/pimple": "3.6.2"}}"#),
            ("index.php", FRONT),
            (".gitignore", ignore),
            ("vendor/autoload.php", PAGE),
            ("vendor/composer/installed.json", "{}"),
        ]);
        let build = &service.spec.build;
        let steps = build.dependencies.iter().flat_map(|layer| &layer.commands);
        let all = steps.chain(&build.commands).any(|line| line.contains("composer"));
        let left_out = build.exclude.iter().any(|path| path == "vendor");
        assert_eq!((all, left_out), (installs, installs), "{ignore}");
    };
    check("vendor/bin/*\n", false);
    check("/vendor/\n", true);
}

#[test]
fn packages_that_lie_in_the_tree_are_libraries() {
    let root = r#"{"repositories": [{"type": "path", "url": "packages/*"}, {"type": "path", "url": "../shared"}]}"#;
    let found = services(&[
        ("app/composer.json", root),
        ("app/public/index.php", FRONT),
        ("app/packages/forms/composer.json", "{}"),
        ("app/packages/forms/public/index.php", FRONT),
        ("shared/composer.json", "{}"),
        ("shared/index.php", PAGE),
    ]);
    assert_eq!(folders(&found), ["app"]);
}

#[test]
fn a_program_without_a_framework_may_write_where_its_text_and_its_folders_say() {
    let page = "<?php\n$dir = __DIR__ . '/uploads';\nif (!is_writable($dir)) { mkdir($dir); }\nfile_put_contents(__DIR__ . '/var/count.txt', 1);\nnew PDO('sqlite:' . __DIR__ . '/data/x.db');\n";
    let found = only(&[("index.php", page), ("cache/.gitkeep", ""), ("css/style.css", "")]);
    let commands = &found.spec.build.commands;
    assert_eq!(
        commands,
        &["mkdir -p cache data uploads var && chmod -R a+rwX cache data uploads var"]
    );
}

#[test]
fn extensions_are_packages_of_the_family_and_those_it_lacks_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write(
        "composer.json",
        r#"{"require": {"php": "^8.4", "ext-gd": "*", "ext-json": "*", "ext-mongodb": "*", "ext-ffi": "*"}}"#,
    );
    write("index.php", PAGE);
    let check = |family, has: &[&str], ignored: &str| {
        let found = detect(dir.path(), family).unwrap().services.remove(0);
        for name in has {
            assert!(
                found.spec.runtime.packages.iter().any(|one| one == name),
                "{name}: {:?}",
                found.spec.runtime.packages
            );
        }
        let lines = found.spec.build.dependencies.iter().flat_map(|step| &step.commands);
        let line = lines.into_iter().find(|line| line.contains("composer install")).unwrap();
        assert_eq!(line.split_once("--prefer-dist").unwrap().1.trim(), ignored);
    };
    check(Family::Wolfi, &["php-8.4-gd", "php-8.4-pecl-mongodb"], "--ignore-platform-req=ext-ffi");
    check(Family::Debian, &["php-gd", "php-mongodb"], "");
}

#[test]
fn extensions_of_pecl_get_the_libraries_they_are_built_with() {
    let found = only(&[
        (
            "composer.json",
            r#"{"require": {"ext-imagick": "*", "ext-sqlsrv": "*", "ext-yaml": "*"}}"#,
        ),
        ("index.php", PAGE),
    ]);
    let commands = found.spec.build.dependencies.iter().flat_map(|step| &step.commands);
    assert!(commands.into_iter().any(|line| line.contains("pecl install imagick sqlsrv yaml")));
    assert_eq!(
        found.spec.runtime.packages,
        ["libmagickwand-6.q16-6", "libodbc2", "libyaml-0-2", "unixodbc"]
            .map(str::to_owned)
            .into_iter()
            .collect::<Vec<_>>()
    );
}

#[test]
fn pages_with_programs_of_php_are_never_files_alone() {
    let page = "<html></html>\n";
    let check = |files: &[(&str, &str)], root: &str| {
        let text = settings(&only(files));
        assert!(text.contains(&format!("DocumentRoot /var/www/html{root}\n")), "{text}");
    };
    let tools = r#"{"main": "test.js", "scripts": {"lint": "eslint ."}, "devDependencies": {"eslint": "8"}}"#;
    let (html, program) = (("index.html", page), ("backend/ip.php", PAGE));
    check(&[html, program, ("results/index.php", PAGE)], "");
    check(&[html, program, ("package.json", tools), ("test.js", "")], "");
    check(&[("public/index.html", page), ("public/api/send.php", PAGE)], "/public");
    check(&[("index.htm", page), ("forms/contact.php", PAGE)], "");
    let is_php = |files: &[(&str, &str)]| {
        services(files)
            .iter()
            .any(|service| service.spec.metadata.language.as_deref() == Some("php"))
    };
    assert!(!is_php(&[html, ("examples/send.php", PAGE), ("docs/a.php", PAGE)]));
    let bundled = r#"{"scripts": {"build": "vite build"}, "devDependencies": {"vite": "6"}}"#;
    assert!(!is_php(&[html, program, ("package.json", bundled)]));
}

#[test]
fn a_first_page_that_only_sends_on_names_the_folder_that_is_served() {
    let check = |index: &str, front: &str, root: &str| {
        let text = settings(&only(&[
            ("composer.json", "{}"),
            ("index.php", index),
            ("constants.php", PAGE),
            ("p/index.php", front),
        ]));
        assert!(text.contains(&format!("DocumentRoot /var/www/html{root}\n")), "{index}: {text}");
    };
    check("<?php\nheader('Location: p/');", PAGE, "/p");
    check("<?php header(\"Location: ./p/index.php\"); exit;\n", PAGE, "/p");
    check("<?php\nheader('Location: q/');", PAGE, "");
    check("<?php\nif ($x) {\nheader('Location: p/');\n}\n", PAGE, "");
    check("<?php\nheader('Location: p/');", "<link href=\"../css/a.css\">", "");
}

#[test]
fn a_program_that_writes_where_only_it_knows_may_write_everywhere() {
    let check = |page: &str, opens: bool| {
        let found = only(&[("index.php", page), ("themes/a.css", "")]);
        let is_open = found.spec.build.commands.iter().any(|line| line == "chmod -R a+rwX .");
        assert_eq!(is_open, opens, "{page}");
    };
    check("<?php\nfunction folder($f) { if (!is_dir($f)) { mkdir($f, 0755); } }\n", true);
    check("<?php\nfile_put_contents($this->path . '/x', 1);\n", true);
    check("<?php\nmkdir(__DIR__ . '/data');\n", false);
    check("<?php\n$d = __DIR__ . '/data';\nmkdir($d);\n", false);
    check("<?php\nfile_put_contents($tmpfile, 1);\n", false);
    check("<?php\n// mkdir($f)\n", false);
}
