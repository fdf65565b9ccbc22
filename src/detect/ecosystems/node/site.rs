//! Where builds for browsers put their files.

use super::{config::Config, unit::Unit};
use crate::detect::{prelude::*, shell};

/// The folder a build writes to, relative to the package, and where that is said.
///
/// An option of the script counts before the configuration of the tool.
pub(super) fn output(unit: &Unit<'_>, build: &str, default: &str) -> (String, Option<Evidence>) {
    let names = [
        "--outDir", "--out-dir", "--dist-dir", "--output-path", "--output", "-d", "--dest", "--out",
    ];
    let by_script = || {
        let (name, line) = unit.build_script()?;
        let by_env = || line.split_whitespace().find_map(|word| word.strip_prefix("BUILD_PATH="));
        let folder = written(unit.at(), "", shell::option(line, &names).or_else(by_env)?)?;
        Some((folder, unit.package.script_place(name)))
    };
    match by_script().or_else(|| configured(unit.at(), build)) {
        Some((folder, place)) => (folder, Some(place)),
        None => (default.to_owned(), None),
    }
}

/// Keys of configurations with the folder that a tool writes to: program, files, key.
const KEYS: &[(&str, &[&str], &str)] = &[
    ("vue-cli-service", &["vue.config"], "outputDir"),
    ("astro", &["astro.config"], "outDir"),
    ("rsbuild", &["rsbuild.config"], "root"),
    ("brunch", &["brunch-config"], "public"),
    ("snowpack", &["snowpack.config"], "out"),
    ("umi", &[".umirc", "config/config"], "outputPath"),
    ("eleventy", &[".eleventy", "eleventy.config"], "output"),
];

/// Keys of configurations with the path that a site is served at: program, files, key.
const BASES: &[(&str, &[&str], &str)] = &[
    ("vite", &["vite.config"], "base"),
    ("astro", &["astro.config"], "base"),
    ("docusaurus", &["docusaurus.config"], "baseUrl"),
    ("next", &["next.config"], "basePath"),
    ("nuxt", &["nuxt.config"], "baseURL"),
    ("rsbuild", &["rsbuild.config"], "base"),
    ("umi", &[".umirc", "config/config"], "base"),
    ("vitepress", DOCUMENTS, "base"),
    ("vue-cli-service", &["vue.config"], "publicPath"),
    ("vuepress", DOCUMENTS, "base"),
];

/// Settings of VitePress and VuePress, in their folder.
const DOCUMENTS: &[&str] = &["config", "config/index"];

/// The path that a build makes its site for, where that is not the root: by an option of its script, else by settings.
pub(super) fn base(unit: &Unit<'_>, build: &str) -> Option<String> {
    let names = ["--base", "--base-href", "--public-url", "--baseUrl"];
    let line = unit.build_script().map_or("", |(_, line)| line);
    let by_env = || line.split_whitespace().find_map(|word| word.strip_prefix("PUBLIC_URL="));
    let by_script = || shell::option(line, &names).or_else(by_env).map(str::to_owned);
    let tool = build.split_whitespace().next()?;
    let path = by_script().or_else(|| match tool {
        // create-react-app takes the path of the page's address.
        "react-scripts" => unit.package.json.str_at(&["homepage"]).map(str::to_owned),
        "ng" => angular(unit.at())?.base,
        _ => {
            let (_, stems, key) = BASES.iter().find(|(program, ..)| *program == tool)?;
            let hidden = join_clean(unit.at().dir, &documentation(unit, tool).0);
            let hidden = join(&hidden, &format!(".{tool}"));
            let dir = if *stems == DOCUMENTS { &hidden } else { unit.at().dir };
            let config = Config::read(Folder::new(unit.at().project, dir), stems);
            config.text_of(key).or_else(|| config.chosen_for_production(key)).map(|(text, _)| text)
        }
    })?;
    let path = match path.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => path.strip_prefix('/')?,
    };
    let path = path.trim_matches('/');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
    (!path.is_empty() && path.chars().all(is_plain)).then(|| format!("/{path}"))
}

/// Files where webpack may be told its output.
const WEBPACK: &[&str] = &[
    "webpack.config", "webpack.prod", "webpack.config.prod", "webpack.common",
    "webpack.production", "config/webpack.prod", "config/webpack.common", "config/webpack.config",
];

fn configured(at: Folder<'_>, build: &str) -> Option<(String, Evidence)> {
    let text = |config: &Config, key: &str| config.text_of(key).or_else(|| config.joined_path(key));
    match build.split_whitespace().next()? {
        "vite" => {
            let config = Config::read(at, &["vite.config"]);
            let root = config.text_of("root").map(|(root, _)| root);
            let by_root = || root.as_ref().and_then(|_| Some(("dist".to_owned(), config.place()?)));
            let (folder, place) = text(&config, "outDir").or_else(by_root)?;
            Some((written(at, root.as_deref().unwrap_or_default(), &folder)?, place))
        }
        "webpack" => WEBPACK.iter().find_map(|stem| {
            let (folder, place) = Config::read(at, &[stem]).joined_path("path")?;
            Some((written(at, "", &folder)?, place))
        }),
        "polymer" => {
            let build = at.json("polymer.json")?.get("builds")?.items().first()?.clone();
            let folder = format!("build/{}", build.str_at(&["name"])?);
            Some((folder, at.place("polymer.json", Some(build.line))))
        }
        "hexo" => {
            let config = at.yaml("_config.yml")?;
            let folder = config.get("public_dir")?;
            Some((inside("", folder.as_str()?)?, at.place("_config.yml", Some(folder.line))))
        }
        tool => {
            let (_, stems, key) = KEYS.iter().find(|(program, ..)| *program == tool)?;
            let (folder, place) = text(&Config::read(at, stems), key)?;
            Some((written(at, "", &folder)?, place))
        }
    }
}

/// The folder that a build writes to, `folder` as seen from `start` in the package: it may lie beside the package, such as
/// `../server/static`, but not around it, nor outside of the tree.
pub(super) fn written(at: Folder<'_>, start: &str, folder: &str) -> Option<String> {
    if folder.starts_with('/') || folder.contains(SPECIAL) {
        return inside(start, folder);
    }
    let path = resolve(&resolve(at.dir, start)?, folder)?;
    (!is_below(at.dir, &path)).then(|| relative(at.dir, &path))
}

/// `folder` below `start`, clean; `None` when it leaves the package.
fn inside(start: &str, folder: &str) -> Option<String> {
    let is_absolute = folder.starts_with('/') && start.is_empty();
    let path = resolve(".", &format!("./{start}/{folder}")).filter(|path| path != ".")?;
    (!is_absolute && !path.contains(SPECIAL)).then_some(path)
}

/// What paths that only a program knows hold, or patterns.
const SPECIAL: [char; 6] = ['$', '{', '*', '?', '[', '\\'];

/// Pages that a bundler begins with.
const PAGES: &[&str] = &[
    "index.html", "public/index.html", "src/index.html", "src/index.ejs", "src/index.pug",
    "client/index.html", "app/index.html", "static/index.html", "dist/index.html",
    "src/public/index.html", "src/template.html",
];

/// Whether there is a page that a bundler begins with, and it makes no library.
pub(super) fn has_page(unit: &Unit<'_>) -> bool {
    let at = unit.at();
    let config = Config::read(at, &["vite.config", "webpack.config", "rollup.config"]);
    // `build.lib` of Vite.
    if config.says("lib", "{") {
        return false;
    }
    let own = config.text_of("root").and_then(|(root, _)| inside(&root, "index.html"));
    at.first_of(PAGES).is_some()
        || own.is_some_and(|page| at.has(&page))
        || ["html-webpack-plugin", "@rollup/plugin-html"].iter().any(|plugin| unit.has(plugin))
}

/// VitePress and VuePress write into the folder of their pages, which the script names, unless their settings name another:
/// the folder of the pages, the output, and where that is said.
pub(super) fn documentation(unit: &Unit<'_>, tool: &str) -> (String, String, Option<Evidence>) {
    let hidden = format!(".{tool}");
    let call = format!("{tool} build");
    let script = unit.package.scripts().find_map(|(_, line)| {
        let word = line.split_once(&call)?.1.split_whitespace().next();
        Some(word.filter(|word| !word.starts_with(['-', '&', ';', '|'])).unwrap_or("."))
    });
    let has = |dir: &&str| unit.at().has_dir(&format!("{dir}/{hidden}"));
    let found = || ["docs", "doc", "src", "documentation", "content"].into_iter().find(has);
    let dir =
        script.or_else(found).and_then(|dir| inside("", dir)).unwrap_or_else(|| ".".to_owned());
    let settings = join_clean(unit.at().dir, &join(&dir, &hidden));
    let config = Config::read(Folder::new(unit.at().project, &settings), DOCUMENTS);
    // VuePress counts from where it was called.
    let (key, start) = if tool == "vuepress" { ("dest", "") } else { ("outDir", &*dir) };
    let text = config.text_of(key).or_else(|| config.joined_path(key));
    let stated =
        text.and_then(|(folder, place)| Some((written(unit.at(), start, &folder)?, place)));
    let (output, place) = stated.unzip();
    let output = output.unwrap_or_else(|| join(&dir, &format!("{hidden}/dist")));
    (if dir == "." { String::new() } else { dir }, output, place)
}

/// What `angular.json` says of its application.
pub(super) struct Angular {
    /// Where the files for the browser are, relative to the package.
    pub(super) folder: String,
    /// The program that serves them, when there is one, and whether it holds the dependencies it needs.
    pub(super) server: Option<(String, bool)>,
    /// Path or address that it is served at.
    pub(super) base: Option<String>,
    pub(super) place: Evidence,
}

pub(super) fn angular(at: Folder<'_>) -> Option<Angular> {
    let json = at.json("angular.json").or_else(|| at.json(".angular-cli.json"))?;
    if let Some(apps) = json.get("apps")
        && let Some(folder) = apps.items().first().and_then(|app| app.str_at(&["outDir"]))
    {
        let (folder, place) = (written(at, "", folder)?, at.place(".angular-cli.json", None));
        return Some(Angular { folder, server: None, base: None, place });
    }
    let projects = json.get("projects")?;
    let named = json.str_at(&["defaultProject"]).and_then(|name| Some((name, projects.get(name)?)));
    let mut applications = projects.members().filter(|(_, project)| {
        project.str_at(&["projectType"]).is_none_or(|kind| kind == "application")
    });
    let (name, project) = named.or_else(|| applications.next())?;
    let build =
        project.at(&["architect", "build"]).or_else(|| project.at(&["targets", "build"]))?;
    let production = build.at(&["configurations", "production", "outputPath"]);
    let output = production.or_else(|| build.at(&["options", "outputPath"]));
    let base = output.and_then(|output| output.as_str().or_else(|| output.str_at(&["base"])));
    let base = base.and_then(|base| written(at, "", base));
    let base = base.unwrap_or_else(|| format!("dist/{name}"));
    let is_new = build.str_at(&["builder"]).is_some_and(|name| name.ends_with(":application"));
    let browser = output.and_then(|output| output.str_at(&["browser"])).unwrap_or("browser");
    let folder = match (is_new, browser) {
        (true, "") | (false, _) => base.clone(),
        (true, browser) => format!("{base}/{browser}"),
    };
    let serves = |value: &Value| value.is_true() || value.has("entry");
    let has_server = build.at(&["options", "ssr"]).is_some_and(serves);
    let is_static = build.str_at(&["options", "outputMode"]) == Some("static");
    let server = match is_new {
        true => (has_server && !is_static).then(|| (format!("{base}/server/server.mjs"), true)),
        false => project.at(&["architect", "server"]).map(|_| {
            let root = base.strip_suffix("/browser").unwrap_or(&base);
            (format!("{root}/server/main.js"), false)
        }),
    };
    let place = at.place("angular.json", Some(output.map_or(build.line, |output| output.line)));
    let bases = [&["configurations", "production", "baseHref"][..], &["options", "baseHref"]];
    let stated = bases.iter().find_map(|keys| build.str_at(keys)).map(str::to_owned);
    Some(Angular { folder, server, base: stated, place })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_stay_inside_the_package() {
        assert_eq!(inside("client", "../dist/"), Some("dist".to_owned()));
        assert_eq!(inside("", "./build"), Some("build".to_owned()));
        assert_eq!(inside("", "../x"), None);
        assert_eq!(inside("", "/abs"), None);
        assert_eq!(inside("", "a*"), None);
        assert_eq!(inside("", "."), None);
    }
}
