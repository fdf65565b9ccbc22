//! Haskell: Stack and Cabal.

use crate::detect::prelude::*;

static HASKELL: Language = Language {
    id: "haskell",
    tool: "cabal",
    default: "9.6",
    version_files: &[".ghc-version"],
    version_tools: &["ghc", "haskell"],
    sources: &["hs", "yaml", "yml"],
    listens: &["run ", "scotty ", "runSettings", "setPort", "warp ", "runEnv"],
    reads: &["static", "public", "config", "templates", "migrations", "data"],
    images: Images {
        official: OFFICIAL,
        wolfi: OFFICIAL.why(Fixed::OtherGhc),
        debian: OFFICIAL.why(Fixed::OtherGhc),
    },
    ..NOTHING
};

const OFFICIAL: Pair = Pair::of(
    stage("haskell:{v}-slim", &[]),
    stage(DEBIAN, &["ca-certificates", "libgmp10", "netbase", "zlib1g"]),
)
.user(NOBODY);

static FRAMEWORKS: &[Framework] = &[
    framework("ihp", &["ihp"], 8000),
    framework("yesod", &["yesod"], 3000),
    framework("servant", &["servant-server", "servant"], 8080),
    framework("scotty", &["scotty"], 3000),
    framework("spock", &["spock"], 8080),
    framework("snap", &["snap-core"], 8000),
    framework("happstack", &["happstack"], 8000),
    framework("warp", &["warp"], 3000),
];

/// Packages that bind to PostgreSQL's library.
const POSTGRES: &[&str] =
    &["postgresql-simple", "postgresql-libpq", "persistent-postgresql", "hasql", "beam-postgres"];

/// All services in Haskell.
pub fn find(project: &Project<'_>) -> Vec<Facts> {
    project.tree.outermost(|dir, entries| {
        let is_root = entries.first_of(&["stack.yaml", "cabal.project", "package.yaml"]).is_some()
            || entries.ending(".cabal").next().is_some();
        is_root.then(|| service(Folder::new(project, dir)))
    })
}

fn service(at: Folder<'_>) -> Facts {
    let packages = packages(at);
    let first = packages.first().map(|text| Evidence::file(&text.path));
    let is_stack = at.has("stack.yaml");
    let mut facts = Facts::new(&HASKELL, at.dir);
    facts.tool = if is_stack { "stack" } else { "cabal" };
    facts.decide(What::Language, "haskell", Fixed::ItsPackageFiles, first.clone());
    let manifest = at.first_of(&["stack.yaml", "cabal.project"]);
    let manifest = manifest.map(|name| at.place(name, None)).or_else(|| first.clone());
    facts.decide(What::BuildSystem, facts.tool, Fixed::ItsBuildFile, manifest);
    facts.version(version(at, is_stack));
    let depends = |name: &str| packages.iter().find_map(|text| depends(text, name));
    if POSTGRES.iter().any(|name| depends(name).is_some()) {
        facts.packages(&["libpq-dev"], &["libpq5"]);
    }
    let mut files: Vec<String> = packages.iter().map(|text| text.path.clone()).collect();
    files.extend(at.those(&["stack.yaml", "stack.yaml.lock"]));
    let cabal = ["cabal.project", "cabal.project.freeze", "cabal.project.local"];
    files.extend(at.those(&cabal));
    let (install, cache): (_, &[&str]) = match is_stack {
        true => ("stack build --only-dependencies", &["/root/.stack"]),
        false => (
            "cabal update && cabal build --only-dependencies all",
            &["/root/.cabal/packages", "/root/.local/state/cabal/store"],
        ),
    };
    facts.cache.extend(cache.iter().map(|path| (*path).to_owned()));
    facts.install(files, [Step::new(Kind::Install, at.dir, install)]);
    let target = packages.iter().find_map(|text| executable(text));
    let Some((program, place)) = target else {
        return facts.nothing(Fixed::NoHaskellProgram, first);
    };
    facts.weight = Weight::Starts;
    let name = packages.first().and_then(|text| package_name(text));
    facts.name = name.unwrap_or_else(|| program.clone());
    let build = match is_stack {
        true => format!("stack install --local-bin-path {OUT}"),
        false => format!(
            "cabal install exe:{} --installdir={OUT} --install-method=copy --overwrite-policy=always",
            quote(&program)
        ),
    };
    facts.build(at.dir, format!("mkdir -p {OUT} && {build}"));
    let command = facts.program(&program);
    facts.start([command], Fixed::Executable, [place]);
    let sources = at.sources(HASKELL.sources, &|_| false);
    let is_yesod = packages.iter().any(|text| text.text.contains("yesod"));
    facts.take_read(at.project, |name| match source::names_path(&sources, name) {
        None if is_yesod => Some(Vec::new()),
        seen => seen.map(|place| vec![place]),
    });
    let known = framework::find(FRAMEWORKS, depends);
    facts.of_framework(known.as_ref(), Fixed::ADependency);
    if let Some(known) = known {
        let default = (known.framework.port, Fixed::FrameworkDefault.into());
        facts.port(source::port(&sources, HASKELL.listens, Some(default)));
    }
    facts
}

/// Descriptions of packages: in the folder, and in those right below.
fn packages(at: Folder<'_>) -> Vec<Rc<Text>> {
    let below = at.entries().map(|entries| entries.dirs.as_slice()).unwrap_or_default();
    let dirs = std::iter::once(at.dir.to_owned()).chain(below.iter().map(|name| at.path(name)));
    let texts = dirs.take(FOLDERS_MAX).flat_map(|dir| {
        let entries = at.project.tree.entries(&dir);
        let names = entries.into_iter().flat_map(|entries| &entries.files);
        let names = names.filter(|name| name.ends_with(".cabal") || *name == "package.yaml");
        names.filter_map(|name| at.project.tree.read(&join(&dir, name))).collect::<Vec<_>>()
    });
    texts.collect()
}

fn package_name(text: &Text) -> Option<String> {
    let line = text.text.lines().find(|line| line.to_ascii_lowercase().starts_with("name:"))?;
    Some(line["name:".len()..].trim().trim_matches(['"', '\'']).to_owned())
}

/// The first executable of a package, and where it is declared.
fn executable(text: &Text) -> Option<(String, Evidence)> {
    let is_plain = |name: &str| {
        !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    let here = |line| Evidence::line(&text.path, Some(line));
    if text.path.ends_with(".cabal") {
        return text.lines().find_map(|(line, words)| {
            let is_one = words.to_ascii_lowercase().starts_with("executable");
            let rest = is_one.then(|| words["executable".len()..].trim())?;
            let name = if rest.is_empty() { package_name(text)? } else { rest.to_owned() };
            is_plain(&name).then(|| (name, here(line)))
        });
    }
    let starts = |(_, words): &(usize, &str)| {
        words.starts_with("executables:") || words.starts_with("executable:")
    };
    let mut lines = text.lines().skip_while(|line| !starts(line));
    let (_, head) = lines.next()?;
    if head.starts_with("executable:") {
        return Some((package_name(text)?, here(1)));
    }
    let inside = lines.take_while(|(_, line)| line.is_empty() || line.starts_with([' ', '#']));
    inside.into_iter().find_map(|(line, words)| {
        let name = words.trim().strip_suffix(':')?.trim_matches(['"', '\'']);
        is_plain(name).then(|| (name.to_owned(), here(line)))
    })
}

/// Where a package is depended on.
fn depends(text: &Text, name: &str) -> Option<Evidence> {
    text.lines().find_map(|(line, words)| {
        let mut parts = words.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        let is_named = parts.any(|part| part.eq_ignore_ascii_case(name));
        is_named.then(|| Evidence::line(&text.path, Some(line)))
    })
}

/// GHC: what is pinned, else what Stack's resolver has.
fn version(at: Folder<'_>, is_stack: bool) -> (String, Decision) {
    let of_line = |file: &str, find: &dyn Fn(&str) -> Option<(String, String)>| {
        let text = at.read(file)?;
        text.lines().find_map(|(line, words)| {
            let (version, rule) = find(words)?;
            Some(Pin::new(version, rule, &text.path, line))
        })
    };
    let compiler = of_line("cabal.project", &|line| {
        let compiler = line.trim().strip_prefix("with-compiler:")?.trim().rsplit("ghc-").next()?;
        Some((compiler.to_owned(), "with-compiler".to_owned()))
    });
    let resolver = of_line("stack.yaml", &|line| {
        let value = line.strip_prefix("resolver:").or_else(|| line.strip_prefix("snapshot:"))?;
        let resolver = value.trim().trim_matches('"');
        Some((of_resolver(resolver)?.to_owned(), format!("resolver {resolver}")))
    });
    let parse = |text: &str| {
        let version = Version::parse(text).filter(|version| version.minor.is_some())?;
        Some(version.major_minor().to_string())
    };
    let found = at.pins(&HASKELL).into_iter().chain(compiler);
    pins::choose(found.chain(resolver.filter(|_| is_stack)), parse, HASKELL.default)
}

/// The GHC of a Stackage snapshot (stackage.org/lts).
fn of_resolver(resolver: &str) -> Option<&'static str> {
    let name = file_name(resolver).trim_end_matches(".yaml");
    if let Some(version) = name.strip_prefix("ghc-") {
        return ["8.10", "9.0", "9.2", "9.4", "9.6", "9.8", "9.10", "9.12"]
            .into_iter()
            .find(|known| version.starts_with(known));
    }
    let major: u32 = name.strip_prefix("lts-")?.split('.').next()?.parse().ok()?;
    Some(match major {
        ..=18 => "8.10",
        19 => "9.0",
        20 => "9.2",
        21 => "9.4",
        22 => "9.6",
        23 => "9.8",
        _ => "9.10",
    })
}

const FOLDERS_MAX: usize = 200;
