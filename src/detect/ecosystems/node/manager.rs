//! The package manager: which one, which version, and how it is called.

use super::{
    entry,
    locked::Locked,
    package::{Package, RUSH},
    tool::{Tool, tool},
};
use crate::detect::{prelude::*, versions::npm::Range};

/// The package manager of a project or workspace.
#[derive(Clone, Debug)]
pub(super) struct Manager {
    pub(super) tool: Tool,
    /// What `npm install -g` gets behind the `@`: `9.1.0`, `9`.
    version: Option<String>,
    /// Path of the lock file.
    pub(super) lock: Option<String>,
    /// What the lock file says.
    pub(super) locked: Locked,
    /// `.yarnrc.yml` names a program of its own.
    has_own_yarn: bool,
    /// How npm is called: since 7 it installs peers too, and it is an error when their versions do not fit.
    with_peers: &'static str,
    /// The tool that installs a workspace in place of the package manager.
    pub(super) installer: Option<Installer>,
    pub(super) decision: Decision,
}

/// Packages whose plugins have them for a peer.
const HOSTS: &[&str] = &[
    "@angular/core", "@nestjs/core", "eslint", "expo", "gatsby", "next", "react", "svelte", "vue",
    "webpack",
];

/// Tools that have workspaces of their own, for which they call the package manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Installer {
    /// <https://rushjs.io/pages/intro/get_started/>: the command that calls it. Everything lies in `common/temp`.
    Rush(String),
    /// Lerna before 7, where `bootstrap` linked the packages, if no workspaces of the package manager did.
    Lerna(&'static str),
}

/// Lock files in the order in which they count.
const LOCKS: &[(&str, Tool)] = &[
    ("pnpm-lock.yaml", Tool::Pnpm),
    ("bun.lock", Tool::Bun),
    ("bun.lockb", Tool::Bun),
    ("yarn.lock", Tool::Classic),
    ("package-lock.json", Tool::Npm),
    ("npm-shrinkwrap.json", Tool::Npm),
];

/// Settings of package managers that a dependency step must see; those that are not there do no harm to a glob, but are
/// left out for the reader.
const SETTINGS: &[&str] = &[
    ".npmrc", ".yarnrc", ".yarnrc.yml", ".pnpmfile.cjs", "pnpm-workspace.yaml", "bunfig.toml",
    "lerna.json", ".puppeteerrc.cjs",
];

/// Settings that speak for a package manager, and keys of `engines`.
const SIGNS: &[(&str, Tool)] = &[
    ("pnpm-workspace.yaml", Tool::Pnpm),
    (".yarnrc.yml", Tool::Berry),
    ("bunfig.toml", Tool::Bun),
];
const ENGINES: &[(&str, Tool)] =
    &[("pnpm", Tool::Pnpm), ("yarn", Tool::Classic), ("bun", Tool::Bun)];

/// What speaks for a package manager: which one, which version, by which rule, and where.
type Sign = (Tool, Option<String>, Rule, Option<Evidence>);

/// `packageManager`, `devEngines`, the lock file, settings, `engines`, scripts: the first that says something.
fn sign(root: &Package<'_>, lock: Option<&(&str, Tool)>) -> Sign {
    let named = |key: &str| Rule::Named(key.to_owned());
    let at = |value: &Value| Some(root.line(Some(value.line)));
    let field = root.json.get("packageManager");
    if let Some((field, text)) = field.and_then(|field| Some((field, field.as_str()?)))
        && let (name, version) = text.split_once('@').unwrap_or((text, ""))
        && let Some(tool) = tool(name)
    {
        let version = version.split('+').next().unwrap_or_default();
        return (tool, version_of(version), named("packageManager"), at(field));
    }
    if let Some(field) = root.json.at(&["devEngines", "packageManager"])
        && let field = field.items().first().unwrap_or(field)
        && let Some(tool) = field.str_at(&["name"]).and_then(tool)
    {
        let version = field.str_at(&["version"]).and_then(version_of);
        return (tool, version, named("devEngines.packageManager"), at(field));
    }
    if let Some((name, tool)) = lock {
        return (*tool, None, Fixed::LockFile.into(), Some(root.at.place(name, None)));
    }
    if let Some((name, tool)) = SIGNS.iter().find(|(name, _)| root.at.has(name)) {
        return (*tool, None, named(name), Some(root.at.place(name, None)));
    }
    let engine = |(name, tool): &(&str, Tool)| Some((root.json.at(&["engines", name])?, *tool));
    if let Some((field, tool)) = ENGINES.iter().find_map(engine) {
        return (tool, None, Fixed::Engines.into(), at(field));
    }
    let runs = |name: &&str| root.script(name).is_some_and(|line| line.starts_with("bun "));
    if let Some(name) = ["start", "dev"].into_iter().find(runs) {
        return (Tool::Bun, None, Fixed::ScriptRunsIt.into(), Some(root.script_place(name)));
    }
    match written_for_bun(root) {
        Some(place) => (Tool::Bun, None, Fixed::WrittenForBun.into(), Some(place)),
        None => (Tool::Npm, None, Fixed::ComesWithNode.into(), None),
    }
}

impl Manager {
    /// The package manager of the folder where dependencies are installed.
    pub(super) fn of(root: &Package<'_>) -> Self {
        if let Some(rush) = Self::rush(root) {
            return rush;
        }
        let (tree, at) = (root.at.project.tree, root.at);
        let locks: Vec<_> = LOCKS.iter().filter(|(name, _)| at.has(name)).collect();
        let (named, version, rule, place) = sign(root, locks.first().copied());
        let mut decision = Decision::new(What::BuildSystem, named.id(), rule, place);
        for (name, tool) in locks.iter().filter(|(_, tool)| tool.id() != named.id()) {
            decision = decision.not(tool.id(), Some(at.place(name, None)), Fixed::OtherSignFirst);
        }
        let lock = locks.iter().find(|(_, tool)| tool.id() == named.id());
        let lock = lock.map(|(name, _)| at.path(name));
        let yarnrc = at.yaml(".yarnrc.yml");
        let has_own_yarn = yarnrc.as_ref().is_some_and(|rc| rc.has("yarnPath"));
        let head = lock.as_ref().and_then(|lock| tree.head(lock, HEAD_BYTES)).unwrap_or_default();
        let is_berry = match &version {
            Some(version) => major(version).is_some_and(|major| major >= 2),
            None => head.contains("__metadata:") || lock.is_none() && yarnrc.is_some(),
        };
        let tool = match named {
            Tool::Classic | Tool::Berry if is_berry => Tool::Berry,
            Tool::Berry => Tool::Classic,
            tool => tool,
        };
        let by_lock = version_of_lock(tool, root, &head);
        let engine = root.json.str_at(&["engines", tool.id()]).and_then(version_of);
        let settings = at.properties(".npmrc");
        let is_strict = || {
            settings
                .as_ref()
                .is_some_and(|s| s.get("engine-strict").is_some_and(|(v, _)| v == "true"))
        };
        // What wrote the lock file, unless the project forbids it.
        let is_forbidden = |range: &String| match (Range::parse(range), by_lock) {
            (Some(range), Some(lock)) => Version::parse(lock).is_some_and(|v| !range.allows(v)),
            _ => tool != Tool::Npm || is_strict(),
        };
        let version =
            version.or_else(|| engine.filter(is_forbidden).or_else(|| by_lock.map(str::to_owned)));
        let has_workspaces = root.json.has("workspaces") || tool == Tool::Pnpm;
        let is_old = root.major("lerna").is_none_or(|major| major < 7);
        let installer = (at.has("lerna.json") && !has_workspaces && is_old).then(|| {
            let is_there = root.has("lerna");
            Installer::Lerna(if is_there { "npx lerna bootstrap" } else { "npx lerna@6 bootstrap" })
        });
        let with_peers = match (&lock, root.has_any(HOSTS)) {
            // npm 6, which let them be, wrote the lock file.
            (Some(_), _) if head.contains("\"lockfileVersion\": 1") => "{} --legacy-peer-deps",
            // Nothing says what was installed when it last worked, and there are packages with many peers.
            (None, true) => "{} || {} --legacy-peer-deps",
            _ => "{}",
        };
        let locked = lock.as_ref().map(|lock| Locked::read(root, tool, lock)).unwrap_or_default();
        if let (Some(name), Some(lock)) = (&locked.lacks, &lock) {
            let (place, tool) = (root.place(name), tool.id());
            tree.note(format!(
                "{place}: {lock} does not have `{name}` as it stands here, so the install is not frozen; `{tool} install` writes it anew"
            ));
        }
        Self { tool, version, lock, locked, has_own_yarn, with_peers, installer, decision }
    }

    /// `rush.json` names the package manager and its version; the lock file lies in `common/config/rush`.
    fn rush(root: &Package<'_>) -> Option<Self> {
        let json = root.at.json(RUSH)?;
        let tools = [
            ("pnpmVersion", Tool::Pnpm, "common/config/rush/pnpm-lock.yaml"),
            ("yarnVersion", Tool::Classic, "common/config/rush/yarn.lock"),
            ("npmVersion", Tool::Npm, "common/config/rush/npm-shrinkwrap.json"),
        ];
        let (version, tool, lock) =
            tools.into_iter().find_map(|(key, tool, lock)| Some((json.get(key)?, tool, lock)))?;
        let script = "common/scripts/install-run-rush.js";
        let rush = json.str_at(&["rushVersion"]).filter(|text| text.chars().all(is_version_char));
        let command = match root.at.has(script) {
            true => format!("node {script}"),
            false => format!("npx @microsoft/rush@{}", rush.unwrap_or("latest")),
        };
        let (rule, place) = (Rule::Named(RUSH.to_owned()), root.at.place(RUSH, Some(version.line)));
        Some(Self {
            tool,
            version: version.text(),
            lock: root.at.has(lock).then(|| root.at.path(lock)),
            locked: Locked::default(),
            has_own_yarn: false,
            with_peers: "{}",
            installer: Some(Installer::Rush(command)),
            decision: Decision::new(What::BuildSystem, tool.id(), rule, [place]),
        })
    }

    pub(super) fn is_rush(&self) -> bool {
        matches!(self.installer, Some(Installer::Rush(_)))
    }

    /// Patterns of the files that an install sees besides the manifests.
    pub(super) fn files(&self, at: Folder<'_>) -> Vec<String> {
        let mut files: Vec<String> = self.lock.iter().cloned().collect();
        files.extend(at.those(SETTINGS));
        if self.tool == Tool::Berry {
            // Hidden, so that it is not known whether they are there.
            files.extend([".yarn/releases", ".yarn/plugins", ".yarn/patches"].map(|f| at.path(f)));
        }
        let mut folders = vec!["patches"];
        if self.is_rush() {
            files.push(at.path(RUSH));
            folders.splice(0..0, ["common/config", "common/scripts", "common/autoinstallers"]);
        }
        files.extend(folders.iter().filter(|dir| at.has_dir(dir)).map(|dir| at.path(dir)));
        files
    }

    /// Makes the tool ready in an image that has Node.js, or in that of Bun.
    pub(super) fn setup(&self, node: u32, is_bun_image: bool) -> Option<Step> {
        let version = self.version.as_deref().unwrap_or("latest");
        // The images of Node.js up to 25 have Yarn 1, which hands over to the program that `.yarnrc.yml` names.
        let has_yarn = node < 26;
        let install = |options: &str, name: &str, version: &str| {
            let package = quote(&format!("{name}@{version}"));
            Step::new(Kind::Setup, ".", format!("npm install -g {options}{package}"))
        };
        Some(match self.tool {
            // It fetches the package manager itself.
            _ if self.is_rush() => return None,
            Tool::Npm => install("", "npm", self.version.as_deref()?),
            Tool::Bun if is_bun_image => return None,
            Tool::Bun => install("", "bun", version),
            Tool::Pnpm => install("", "pnpm", self.pnpm_for(node)),
            Tool::Berry if !self.has_own_yarn => install("--force ", "@yarnpkg/cli-dist", version),
            _ if has_yarn => install("--force ", "yarn", "1").not_on(Family::Official),
            _ => install("--force ", "yarn", "1"),
        })
    }

    /// A version that nobody pinned must run on the Node.js that somebody did (pnpm.io/installation, compatibility).
    fn pnpm_for(&self, node: u32) -> &str {
        let version = self.version.as_deref().unwrap_or("10");
        let (newest, name) = match node {
            18.. => return version,
            16 | 17 => (8, "8"),
            14 | 15 => (7, "7"),
            12 | 13 => (6, "6"),
            _ => (5, "5"),
        };
        let is_newer = |v: Version| v.minor.is_none() && v.major > newest;
        if Version::parse(version).is_some_and(is_newer) { name } else { version }
    }

    /// The option that lets an install leave out what is not needed to run; `None` where it can't.
    pub(super) fn production(&self, node: u32) -> Option<&'static str> {
        let option = match self.tool {
            Tool::Npm if node < 15 => " --production",
            tool => tool.row().production,
        };
        Some(option).filter(|option| self.installer.is_none() && !option.is_empty())
    }

    /// Installs with an option.
    pub(super) fn install(&self, node: u32, option: &str) -> String {
        let row = self.tool.row();
        let is_frozen = self.lock.is_some() && self.locked.lacks.is_none();
        let command = match (&self.installer, is_frozen) {
            (Some(Installer::Rush(rush)), true) => format!("{rush} install"),
            (Some(Installer::Rush(rush)), false) => format!("{rush} update"),
            (_, true) => format!("{}{option}", row.frozen),
            (_, false) => format!("{}{option}", row.loose),
        };
        self.with_peers(node, &command)
    }

    /// Removes what is not needed to run, without running scripts of the project.
    pub(super) fn prune(&self, node: u32, is_workspace: bool) -> Option<String> {
        let is_new_berry = self.version.as_deref().and_then(major).is_some_and(|v| v >= 4);
        let command = match self.tool {
            _ if self.installer.is_some() => return None,
            Tool::Npm if node < 15 => "npm prune --production",
            Tool::Npm => "npm prune --omit=dev --no-audit --no-fund",
            _ if is_workspace => return None,
            Tool::Classic => "yarn install --production --ignore-scripts --prefer-offline",
            Tool::Berry if is_new_berry => "yarn workspaces focus --all --production",
            Tool::Pnpm => "pnpm prune --prod --ignore-scripts",
            Tool::Berry | Tool::Bun => return None,
        };
        Some(self.with_peers(node, command))
    }

    /// A command of npm with its option for peers; npm 6, which has none, came with Node.js up to 14.
    fn with_peers(&self, node: u32, command: &str) -> String {
        match self.tool {
            Tool::Npm if node >= 15 => self.with_peers.replace("{}", command),
            _ => command.to_owned(),
        }
    }

    /// Runs a script of the package in the current folder.
    pub(super) fn run(&self, script: &str) -> String {
        // The package manager of Rush is not there by itself.
        let program = if self.is_rush() { "npm" } else { self.tool.id() };
        format!("{program} run {}", quote(script))
    }

    /// Runs a script of a member: by its name from the root of its workspace, or, where none is selected, in its folder.
    pub(super) fn run_in(&self, root: &str, member: &Package<'_>, script: &str) -> Step {
        let Some(name) = member.name().filter(|_| self.installer.is_none()) else {
            return Step::new(Kind::Build, member.at.dir, self.run(script));
        };
        let command = self.tool.row().member.replace("{script}", &quote(script));
        Step::new(Kind::Build, root, command.replace("{name}", &quote(name)))
    }

    /// Runs a program of a dependency.
    pub(super) fn exec(&self, command: &str) -> String {
        let row = if self.installer.is_some() { Tool::Npm.row() } else { self.tool.row() };
        format!("{} {command}", row.exec)
    }

    /// Adds a development dependency to the current package, after its install.
    pub(super) fn add(&self, package: &str) -> String {
        format!("{} {package}", self.tool.row().add)
    }

    /// Where the tool keeps what it fetched, for the user root.
    pub(super) fn cache(&self) -> &'static str {
        if self.is_rush() { "/root/.rush" } else { self.tool.row().cache }
    }

    /// The version of Bun that the manifest names.
    pub(super) fn bun(&self) -> Option<&str> {
        self.version.as_deref().filter(|_| self.tool == Tool::Bun)
    }
}

/// A version or a range, as npm installs it.
fn version_of(text: &str) -> Option<String> {
    let is_filled = !text.is_empty() && Range::parse(text).is_some();
    is_filled.then(|| text.to_owned())
}

/// The lowest major of a version or a range.
fn major(text: &str) -> Option<u32> {
    Range::parse(text)?.lowest_major()
}

fn is_version_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '.' || c == '-'
}

/// Where the entry file of a package calls what only Bun has.
pub(super) fn written_for_bun(package: &Package<'_>) -> Option<Evidence> {
    let text = package.at.read(&entry::entry_file(package.at)?)?;
    let (at, _) = text.lines().find(|(_, line)| is_for_bun(line))?;
    Some(Evidence::line(&text.path, Some(at)))
}

/// Whether a line of code needs Bun to run.
pub(super) fn is_for_bun(line: &str) -> bool {
    let marks = ["Bun.serve(", "from 'bun'", "from \"bun\"", "Bun.file(", "Bun.listen("];
    let line = line.trim_start();
    !line.starts_with("//")
        && !line.starts_with('*')
        && marks.iter().any(|mark| line.contains(mark))
}

/// The version of the tool that writes such a lock file.
fn version_of_lock(tool: Tool, root: &Package<'_>, head: &str) -> Option<&'static str> {
    let after = |key| head.lines().find_map(|line| line.trim().strip_prefix(key));
    let version = |key| after(key).and_then(|v| Version::parse(v.trim().trim_matches(['\'', '"'])));
    match tool {
        Tool::Npm => None,
        Tool::Classic | Tool::Bun => Some("1"),
        Tool::Berry => Some(match version("version:").map(|version| version.major) {
            Some(..=4) => "2",
            Some(5 | 6) => "3",
            _ => "4",
        }),
        Tool::Pnpm => Some(match version("lockfileVersion:").map(Version::triple) {
            Some((5, ..=3, _)) => "6",
            Some((5, ..)) => "7",
            Some((6, ..)) => "8",
            // Only the settings tell 9 from 10: those in this file are new in 10 (pnpm.io/blog/releases/10.5).
            Some((9, ..)) if !has_settings_of_ten(root) => "9",
            _ => "10",
        }),
    }
}

fn has_settings_of_ten(root: &Package<'_>) -> bool {
    let known = ["packages", "catalog", "catalogs"];
    let workspace = root.at.yaml("pnpm-workspace.yaml");
    workspace.is_some_and(|w| w.members().any(|(key, _)| !known.contains(&key)))
        || root.json.at(&["pnpm", "onlyBuiltDependencies"]).is_some()
}

const HEAD_BYTES: u64 = 4096;
