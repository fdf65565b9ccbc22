//! Where builds for browsers put their files.

use super::{
    Unit,
    config::{self, Config},
    outcome::{self, Outcome, Runs},
};
use crate::detect::{Evidence, ecosystems::draft, is_below, manifest::Value};

/// The folder a build writes to, relative to the package, and where that is said.
///
/// An option of the script counts before the configuration of the tool.
pub(super) fn output(unit: &Unit<'_>, build: &str, default: &str) -> (String, Option<Evidence>) {
    let names = [
        "--outDir", "--out-dir", "--dist-dir", "--output-path", "--output", "-d", "--dest", "--out",
    ];
    if let Some((name, line)) = unit.build_script() {
        let by_flag = config::flag(line, &names);
        let by_env = line.split_whitespace().find_map(|word| word.strip_prefix("BUILD_PATH="));
        if let Some(folder) = by_flag.or(by_env).and_then(|folder| written(unit, "", folder)) {
            return (folder, Some(unit.package.script_place(name)));
        }
    }
    configured(unit, build).unwrap_or_else(|| (default.to_owned(), None))
}

fn configured(unit: &Unit<'_>, build: &str) -> Option<(String, Option<Evidence>)> {
    let tool = build.split_whitespace().next().unwrap_or_default();
    let keyed = |stems: &[&str], keys: &[&str]| {
        let config = Config::find(unit, stems)?;
        let (folder, place) =
            keys.iter().find_map(|key| config.text_of(key).or_else(|| config.joined_path(key)))?;
        Some((written(unit, "", &folder)?, Some(place)))
    };
    match tool {
        "vite" => {
            let config = Config::find(unit, &["vite.config"])?;
            let root = config.text_of("root").map(|(root, _)| root);
            let folder = config.text_of("outDir").or_else(|| config.joined_path("outDir"));
            let (folder, place) = match (folder, &root) {
                (Some((folder, place)), _) => (folder, place),
                (None, Some(_)) => ("dist".to_owned(), config.place()),
                (None, None) => return None,
            };
            let folder = written(unit, root.as_deref().unwrap_or_default(), &folder)?;
            Some((folder, Some(place)))
        }
        "vue-cli-service" => keyed(&["vue.config"], &["outputDir"]),
        "webpack" => {
            let stems = [
                "webpack.config", "webpack.prod", "webpack.config.prod", "webpack.common",
                "webpack.production",
            ];
            let stems = stems
                .iter()
                .copied()
                .chain(["config/webpack.prod", "config/webpack.common", "config/webpack.config"]);
            let all: Vec<&str> = stems.collect();
            all.iter().find_map(|stem| {
                let config = Config::find(unit, &[stem])?;
                let (folder, place) = config.joined_path("path")?;
                Some((written(unit, "", &folder)?, Some(place)))
            })
        }
        "astro" => keyed(&["astro.config"], &["outDir"]),
        "rsbuild" => keyed(&["rsbuild.config"], &["root"]),
        "snowpack" => keyed(&["snowpack.config"], &["out"]),
        "umi" => keyed(&[".umirc", "config/config"], &["outputPath"]),
        "eleventy" => keyed(&[".eleventy", "eleventy.config"], &["output"]),
        "hexo" => {
            let path = unit.package.join("_config.yml");
            let folder = unit.project.tree.yaml(&path)?;
            let folder = folder.get("public_dir")?;
            let place = Evidence::line(path, Some(folder.line));
            Some((inside("", folder.as_str()?)?, Some(place)))
        }
        _ => None,
    }
}

/// The folder that a build writes to, `folder` as seen from `start` in the package: it may lie beside the package, such as
/// `../server/static`, but not around it, nor outside of the tree.
pub(super) fn written(unit: &Unit<'_>, start: &str, folder: &str) -> Option<String> {
    if folder.starts_with('/') || folder.contains(['$', '{', '*', '?', '[', '\\']) {
        return inside(start, folder);
    }
    let dir = &unit.package.dir;
    let path = draft::resolve(&draft::resolve(dir, start)?, folder)?;
    (!is_below(dir, &path)).then(|| draft::relative(dir, &path))
}

/// `folder` below `start`, clean; `None` when it leaves the package.
fn inside(start: &str, folder: &str) -> Option<String> {
    if folder.starts_with('/') && start.is_empty() {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in start.split('/').chain(folder.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part if part.contains(['$', '{', '*', '?', '[', '\\']) => return None,
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// Whether there is a page that a bundler begins with, and it makes no library.
pub(super) fn has_page(unit: &Unit<'_>) -> bool {
    let tree = unit.project.tree;
    let config = Config::find(unit, &["vite.config", "webpack.config", "rollup.config"]);
    // `build.lib` of Vite.
    if config.as_ref().is_some_and(|config| config.says("lib", "{")) {
        return false;
    }
    let mut pages = vec![
        "index.html", "public/index.html", "src/index.html", "src/index.ejs", "src/index.pug",
        "client/index.html", "app/index.html", "static/index.html", "dist/index.html",
        "src/public/index.html", "src/template.html",
    ];
    let root = config.as_ref().and_then(|config| config.text_of("root")).map(|(root, _)| root);
    let own = root.and_then(|root| inside(&root, "index.html"));
    pages.extend(own.as_deref());
    pages.iter().any(|page| tree.has(&unit.package.join(page)))
        || ["html-webpack-plugin", "@rollup/plugin-html"].iter().any(|plugin| unit.has(plugin))
}

/// VitePress and VuePress write into the folder of their pages, which the script names.
pub(super) fn documentation(unit: &Unit<'_>, tool: &str, output: &str) -> Outcome {
    let hidden = output.split('/').next().unwrap_or_default();
    let script = unit.package.scripts().find_map(|(_, line)| {
        let after = line.split_once(&format!("{tool} build"))?.1;
        let word =
            after.split_whitespace().next().filter(|word| !word.starts_with(['-', '&', ';', '|']));
        Some(word.unwrap_or(".").to_owned())
    });
    let has =
        |dir: &&&str| unit.project.tree.has_dir(&unit.package.join(&format!("{dir}/{hidden}")));
    let found = || {
        ["docs", "doc", "src", "documentation", "content"]
            .iter()
            .find(has)
            .map(|dir| (*dir).to_owned())
    };
    let dir = script.or_else(found).and_then(|dir| inside("", &dir)).unwrap_or_default();
    let folder = if dir.is_empty() { output.to_owned() } else { format!("{dir}/{output}") };
    let mut outcome = outcome::files(unit, &format!("{tool} build {dir}"), &folder, false);
    if let Runs::Site(site) = &mut outcome.runs {
        site.folder = folder;
    }
    outcome
}

/// What `angular.json` says of its application.
pub(super) struct Angular {
    /// Where the files for the browser are.
    pub(super) folder: String,
    /// The program that serves them, when there is one.
    pub(super) server: Option<String>,
    /// The program holds the dependencies it needs.
    pub(super) is_bundled: bool,
    pub(super) place: Evidence,
}

pub(super) fn angular(unit: &Unit<'_>) -> Option<Angular> {
    let path = unit.package.join("angular.json");
    let json = unit.project.tree.json(&path).or_else(|| old_angular(unit));
    let json = json?;
    if let Some(folder) =
        json.at(&["apps"]).and_then(|apps| apps.items().first()?.str_at(&["outDir"]))
    {
        let place = Evidence::file(unit.package.join(".angular-cli.json"));
        return Some(Angular {
            folder: written(unit, "", folder)?,
            server: None,
            is_bundled: true,
            place,
        });
    }
    let projects = json.get("projects")?;
    let named = json.str_at(&["defaultProject"]).and_then(|name| Some((name, projects.get(name)?)));
    let mut applications = projects.members().filter(|(_, project)| {
        project.str_at(&["projectType"]).is_none_or(|kind| kind == "application")
    });
    let (name, project) = named.or_else(|| applications.next())?;
    let build =
        project.at(&["architect", "build"]).or_else(|| project.at(&["targets", "build"]))?;
    let options = build.get("options");
    let production = build.at(&["configurations", "production", "outputPath"]);
    let output = production.or_else(|| options.and_then(|options| options.get("outputPath")));
    let base = output
        .and_then(|o| o.as_str().or_else(|| o.str_at(&["base"])))
        .and_then(|o| written(unit, "", o));
    let base = base.unwrap_or_else(|| format!("dist/{name}"));
    let builder = build.str_at(&["builder"]).unwrap_or_default();
    let is_new = builder.ends_with(":application");
    let browser = output.and_then(|output| output.str_at(&["browser"])).unwrap_or("browser");
    let folder = match (is_new, browser) {
        (true, "") | (false, _) => base.clone(),
        (true, browser) => format!("{base}/{browser}"),
    };
    let serves = |value: &Value| value.is_true() || value.has("entry");
    let has_server = options.and_then(|options| options.get("ssr")).is_some_and(serves);
    let is_static = options.and_then(|o| o.str_at(&["outputMode"])) == Some("static");
    let is_universal = project.at(&["architect", "server"]).is_some() && !is_new;
    let (server, is_bundled) = match () {
        () if is_new && has_server && !is_static => {
            (Some(format!("{base}/server/server.mjs")), true)
        }
        () if is_universal => {
            let root = base.strip_suffix("/browser").unwrap_or(&base);
            (Some(format!("{root}/server/main.js")), false)
        }
        () => (None, true),
    };
    let place = Evidence::line(path, Some(output.map_or(build.line, |output| output.line)));
    Some(Angular { folder, server, is_bundled, place })
}

fn old_angular(unit: &Unit<'_>) -> Option<Value> {
    unit.project.tree.json(&unit.package.join(".angular-cli.json"))
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
