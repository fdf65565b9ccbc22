//! Lua: a rockspec, or a file that is run; rocks that Debian packages come from there.

use super::scripted::{self, Program, Scripted};
use crate::detect::{parts::Need, prelude::*};

/// There is no official image of Lua.
static LUA: Language = Language {
    id: "lua",
    tool: "luarocks",
    default: "5.4",
    version_files: &[".lua-version"],
    version_tools: &["lua"],
    sources: &["lua"],
    listens: &["bind(", "listen(", "port"],
    images: Images {
        official: ON_DEBIAN,
        wolfi: ON_DEBIAN.why(Fixed::NotPackaged),
        debian: ON_DEBIAN,
    },
    ..NOTHING
};

const ON_DEBIAN: Pair = Pair::debian(&["{dev}"], &["ca-certificates", "lua{v}"]);

static ROW: Scripted = Scripted {
    language: &LUA,
    manifests: &[".luarc"],
    ending: ".rockspec",
    entries: &["server.lua", "app.lua", "main.lua", "index.lua", "init.lua"],
    frameworks: &[
        framework("pegasus", &["require 'pegasus", "require(\"pegasus", "require \"pegasus"], 9090),
        framework("turbo", &["require(\"turbo", "require 'turbo", "require \"turbo"], 8888),
        framework("xavante", &["require \"xavante", "require 'xavante"], 8080),
    ],
    serves: &["socket.bind", "http.server", "http_server.listen", "copas.addserver"],
    runs: "lua{v}",
    version: |v| Some(v.major_minor()).filter(|v| v.major == 5 && matches!(v.minor, Some(1..=4))),
};

/// Modules, the rocks that hold them, and packages of Debian for every Lua.
static ROCKS: &[(&str, &str, Library)] = &[
    ("cjson", "lua-cjson", library("cjson", &[], &["lua-cjson"])),
    ("copas", "copas", library("copas", &[], &["lua-copas"])),
    ("http.", "http", library("http", &[], &["lua-http"])),
    ("lfs", "luafilesystem", library("lfs", &[], &["lua-filesystem"])),
    ("lpeg", "lpeg", library("lpeg", &[], &["lua-lpeg"])),
    ("posix", "luaposix", library("posix", &[], &["lua-posix"])),
    ("socket", "luasocket", library("socket", &[], &["lua-socket"])),
    ("ssl", "luasec", library("ssl", &[], &["lua-sec"])),
];

/// All services in Lua.
pub(super) fn find(project: &Project<'_>) -> Vec<Facts> {
    scripted::find(project, &ROW, finish)
}

fn finish(mut program: Program<'_>) -> Facts {
    let at = program.at;
    for (module, _, library) in ROCKS {
        let forms = ["require(\"", "require('", "require \"", "require '"];
        let seen = |form: &&str| source::mention(&program.sources, &format!("{form}{module}"));
        if let Some(place) = forms.iter().find_map(seen) {
            program.facts.needs.push(Need::Library(library, place));
        }
    }
    let spec = program.manifest.clone().filter(|name| name.ends_with(".rockspec"));
    let text = spec.as_ref().and_then(|name| at.read(name));
    let rocks = text.as_ref().map(|text| dependencies(&text.text)).unwrap_or_default();
    let mut facts = program.facts;
    let version = facts.vars.get("v").cloned().unwrap_or_default();
    facts.set("dev", "");
    let is_packaged = |rock: &&str| ROCKS.iter().any(|(_, name, _)| name == rock);
    if let (Some(name), true) = (spec, rocks.iter().any(|rock| !is_packaged(rock))) {
        facts.library(&LUAROCKS, at.place(&name, None));
        let dev =
            if version == "5.1" { "liblua5.1-0-dev" } else { &format!("liblua{version}-dev") };
        facts.set("dev", dev);
        let line = format!(
            "luarocks --lua-version {version} install --tree lua_modules --only-deps {}",
            quote(&name)
        );
        facts.install(at.those(&[&name]), [Step::new(Kind::Install, at.dir, line)]);
    }
    let (home, ends) = (LUA.in_home(""), ["?.lua", "?/init.lua"]);
    let modules = format!("{home}/lua_modules/share/lua/{version}");
    let paths = ends.iter().flat_map(|end| {
        [&home, &format!("{home}/src"), &modules].map(|dir| format!("{dir}/{end}"))
    });
    facts.env("LUA_PATH", format!("{};;", paths.collect::<Vec<_>>().join(";")));
    facts.env("LUA_CPATH", format!("{home}/lua_modules/lib/lua/{version}/?.so;;"));
    facts
}

/// Names of rocks that a rockspec depends on, but for Lua itself.
fn dependencies(text: &str) -> Vec<&str> {
    let list = text.split("dependencies").nth(1).and_then(|rest| rest.split('}').next());
    let quoted = list.unwrap_or_default().split(['"', '\'']).skip(1).step_by(2);
    let names = quoted.filter_map(|rock| rock.split([' ', '>', '=', '~', '<']).next());
    names.filter(|name| *name != "lua").collect()
}

/// What installs rocks and compiles those that are written in C.
static LUAROCKS: Library =
    library("luarocks", &["build-essential", "ca-certificates", "git", "luarocks", "unzip"], &[]);
