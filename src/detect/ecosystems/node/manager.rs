//! The package manager: which one, which version, and how it is called.

use super::{package::Package, start, workspace::RUSH};
use crate::detect::{
    Decision, Evidence, Project, images::Family, join, shell::quote, versions::Version,
};

/// A package manager, told apart as far as it is called differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    Npm,
    /// Yarn 1.
    Classic,
    /// Yarn 2 and newer.
    Berry,
    Pnpm,
    Bun,
}

/// The package manager of a project or workspace.
#[derive(Clone, Debug)]
pub(super) struct Manager {
    pub(super) tool: Tool,
    /// What `npm install -g` gets behind the `@`: `9.1.0`, `9`.
    version: Option<String>,
    /// Path of the lock file.
    pub(super) lock: Option<String>,
    /// `.yarnrc.yml` names a program of its own.
    has_own_yarn: bool,
    /// How npm takes it when versions of peers do not fit.
    peers: Peers,
    /// The tool that installs a workspace in place of the package manager.
    pub(super) installer: Option<Installer>,
    pub(super) decision: Decision,
}

/// Since npm 7 peers are installed too, and it is an error when their versions do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peers {
    Strict,
    /// The lock file is one of npm 6, which let them be.
    Ignored,
    /// Nothing says what was installed when it last worked, and there are packages with many peers.
    IgnoredIfNeeded,
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

impl Manager {
    /// `packageManager`, `devEngines`, the lock file, settings, `engines`: the first that says something.
    pub(super) fn of(project: &Project<'_>, root: &Package) -> Self {
        if let Some(rush) = Self::rush(project, root) {
            return rush;
        }
        let tree = project.tree;
        let locks: Vec<(&str, Tool)> =
            LOCKS.iter().copied().filter(|(name, _)| tree.has(&root.join(name))).collect();
        let (named, version, mut decision) = named(root)
            .or_else(|| by_lock(root, &locks))
            .or_else(|| by_settings(project, root))
            .unwrap_or_else(|| {
                let decision = Decision::new("build system", "npm", "comes with Node.js", []);
                (Tool::Npm, None, decision)
            });
        let lock = locks.iter().find(|(_, tool)| tool.id() == named.id());
        for (name, tool) in &locks {
            if tool.id() != named.id() {
                let place = Evidence::file(root.join(name));
                decision = decision.not(tool.id(), Some(place), "another sign comes first");
            }
        }
        let lock = lock.map(|(name, _)| root.join(name));
        let yarnrc = tree.yaml(&root.join(".yarnrc.yml"));
        let has_own_yarn = yarnrc.as_ref().is_some_and(|rc| rc.has("yarnPath"));
        let head = lock.as_ref().and_then(|lock| tree.head(lock, HEAD_BYTES)).unwrap_or_default();
        let is_berry = match &version {
            Some(version) => Version::parse(version).is_some_and(|v| v.major >= 2),
            None => head.contains("__metadata:") || lock.is_none() && yarnrc.is_some(),
        };
        let tool = match named {
            Tool::Classic | Tool::Berry if is_berry => Tool::Berry,
            Tool::Berry => Tool::Classic,
            tool => tool,
        };
        let version = version.or_else(|| match tool {
            Tool::Pnpm => Some(pnpm_of_lock(project, root, &head).to_owned()),
            Tool::Berry => Some(berry_of_lock(&head).to_owned()),
            Tool::Classic | Tool::Bun => Some("1".to_owned()),
            Tool::Npm => None,
        });
        let is_lerna = tree.has(&root.join("lerna.json"))
            && !root.json().has("workspaces")
            && tool != Tool::Pnpm
            && root.major("lerna").is_none_or(|major| major < 7);
        let lerna = if root.has("lerna") { "npx lerna bootstrap" } else { "npx lerna@6 bootstrap" };
        let installer = is_lerna.then_some(Installer::Lerna(lerna));
        let peers = match (&lock, HOSTS.iter().any(|name| root.has(name))) {
            (Some(_), _) if head.contains("\"lockfileVersion\": 1") => Peers::Ignored,
            (None, true) => Peers::IgnoredIfNeeded,
            _ => Peers::Strict,
        };
        Self { tool, version, lock, has_own_yarn, peers, installer, decision }
    }

    /// `rush.json` names the package manager and its version; the lock file lies in `common/config/rush`.
    fn rush(project: &Project<'_>, root: &Package) -> Option<Self> {
        let path = root.join(RUSH);
        let json = project.tree.json(&path)?;
        let tools = [
            ("pnpmVersion", Tool::Pnpm, "pnpm-lock.yaml"),
            ("yarnVersion", Tool::Classic, "yarn.lock"),
            ("npmVersion", Tool::Npm, "npm-shrinkwrap.json"),
        ];
        let (version, tool, lock) =
            tools.into_iter().find_map(|(key, tool, lock)| Some((json.get(key)?, tool, lock)))?;
        let lock = root.join(&format!("common/config/rush/{lock}"));
        let script = "common/scripts/install-run-rush.js";
        let rush = json.str_at(&["rushVersion"]).filter(|text| text.chars().all(is_version_char));
        let command = match project.tree.has(&root.join(script)) {
            true => format!("node {script}"),
            false => format!("npx @microsoft/rush@{}", rush.unwrap_or("latest")),
        };
        let place = Evidence::line(path, Some(version.line));
        Some(Self {
            tool,
            version: version.text(),
            lock: project.tree.has(&lock).then_some(lock),
            has_own_yarn: false,
            peers: Peers::Strict,
            installer: Some(Installer::Rush(command)),
            decision: Decision::new("build system", tool.id(), RUSH, [place]),
        })
    }

    /// Globs of the files that an install sees besides the manifests.
    pub(super) fn files(&self, project: &Project<'_>, root: &Package) -> Vec<String> {
        let here = |name: &&&str| project.tree.has(&root.join(name));
        let mut files: Vec<String> = self.lock.iter().cloned().collect();
        files.extend(SETTINGS.iter().filter(here).map(|name| root.join(name)));
        if self.tool == Tool::Berry {
            // Hidden, so that it is not known whether they are there.
            files
                .extend([".yarn/releases", ".yarn/plugins", ".yarn/patches"].map(|f| root.join(f)));
        }
        if matches!(self.installer, Some(Installer::Rush(_))) {
            let folders = ["common/config", "common/scripts", "common/autoinstallers"];
            let here = folders.map(|dir| root.join(dir));
            files.push(root.join(RUSH));
            files.extend(here.into_iter().filter(|dir| project.tree.has_dir(dir)));
        }
        if project.tree.has_dir(&root.join("patches")) {
            files.push(root.join("patches"));
        }
        files
    }

    /// Commands that make the tool ready in an image that has Node.js, or for Bun nothing.
    pub(super) fn setup(&self, node: u32, family: Family, is_bun_image: bool) -> Vec<String> {
        let version = self.version.as_deref().unwrap_or("latest");
        let package = match self.tool {
            // It fetches the package manager itself.
            _ if matches!(self.installer, Some(Installer::Rush(_))) => return Vec::new(),
            Tool::Npm => return Vec::new(),
            Tool::Bun if is_bun_image => return Vec::new(),
            Tool::Bun => format!("bun@{version}"),
            Tool::Pnpm => format!("pnpm@{}", self.pnpm_for(node)),
            // The images of Node.js up to 25 have Yarn 1, which hands over to the program that `.yarnrc.yml` names.
            Tool::Classic if family == Family::Official && node < 26 => return Vec::new(),
            Tool::Berry if self.has_own_yarn && family == Family::Official && node < 26 => {
                return Vec::new();
            }
            Tool::Berry if !self.has_own_yarn => format!("--force @yarnpkg/cli-dist@{version}"),
            Tool::Classic | Tool::Berry => "--force yarn@1".to_owned(),
        };
        vec![format!("npm install -g {package}")]
    }

    /// A version that nobody pinned must run on the Node.js that somebody did (pnpm.io/installation, compatibility).
    fn pnpm_for(&self, node: u32) -> &str {
        let version = self.version.as_deref().unwrap_or("10");
        let newest = match node {
            18.. => return version,
            16 | 17 => 8,
            14 | 15 => 7,
            12 | 13 => 6,
            _ => 5,
        };
        match Version::parse(version) {
            Some(Version { major, minor: None, .. }) if major > newest => match newest {
                8 => "8",
                7 => "7",
                6 => "6",
                _ => "5",
            },
            _ => version,
        }
    }

    /// Installs everything.
    pub(super) fn install(&self, node: u32) -> String {
        self.install_with(node, "")
    }

    fn install_with(&self, node: u32, flag: &str) -> String {
        let command = format!("{}{flag}", self.plain_install());
        // npm 6 came with Node.js up to 14.
        let is_new = self.tool == Tool::Npm && node >= 15;
        if is_new { self.with_peers(&command) } else { command }
    }

    fn with_peers(&self, command: &str) -> String {
        match self.peers {
            Peers::Strict => command.to_owned(),
            Peers::Ignored => format!("{command} --legacy-peer-deps"),
            Peers::IgnoredIfNeeded => format!("{command} || {command} --legacy-peer-deps"),
        }
    }

    fn plain_install(&self) -> String {
        let is_locked = self.lock.is_some();
        if let Some(Installer::Rush(rush)) = &self.installer {
            return format!("{rush} {}", if is_locked { "install" } else { "update" });
        }
        match (self.tool, is_locked) {
            (Tool::Npm, true) => "npm ci --no-audit --no-fund",
            (Tool::Npm, false) => "npm install --no-audit --no-fund",
            (Tool::Classic, true) => "yarn install --frozen-lockfile",
            (Tool::Berry, true) => "yarn install --immutable",
            // In a pipeline Yarn would refuse to write the lock file that is not there.
            (Tool::Berry, false) => "yarn install --no-immutable",
            (Tool::Classic, false) => "yarn install",
            (Tool::Pnpm, true) => "pnpm install --frozen-lockfile",
            (Tool::Pnpm, false) => "pnpm install --no-frozen-lockfile",
            (Tool::Bun, true) => "bun install --frozen-lockfile",
            (Tool::Bun, false) => "bun install",
        }
        .to_owned()
    }

    /// Installs what is needed to run; `None` where the tool can't but by another way.
    pub(super) fn install_production(&self, node: u32) -> Option<String> {
        if self.installer.is_some() {
            return None;
        }
        let flag = match self.tool {
            Tool::Npm if node < 15 => " --production",
            Tool::Npm => " --omit=dev",
            Tool::Classic | Tool::Bun => " --production",
            Tool::Pnpm => " --prod",
            Tool::Berry => return None,
        };
        Some(self.install_with(node, flag))
    }

    /// Removes what is not needed to run, without running scripts of the project.
    pub(super) fn prune(&self, node: u32, is_workspace: bool) -> Option<String> {
        if self.installer.is_some() {
            return None;
        }
        let is_new_berry =
            self.version.as_deref().and_then(Version::parse).is_some_and(|v| v.major >= 4);
        let command = match self.tool {
            Tool::Npm if node < 15 => "npm prune --production",
            Tool::Npm => return Some(self.with_peers("npm prune --omit=dev --no-audit --no-fund")),
            Tool::Classic if !is_workspace => {
                "yarn install --production --ignore-scripts --prefer-offline"
            }
            Tool::Berry if is_new_berry && !is_workspace => {
                "yarn workspaces focus --all --production"
            }
            Tool::Pnpm if !is_workspace => "pnpm prune --prod --ignore-scripts",
            _ => return None,
        };
        Some(command.to_owned())
    }

    /// Runs a script of the package in the current folder.
    pub(super) fn run(&self, script: &str) -> String {
        format!("{} run {}", self.program(), quote(script))
    }

    /// Whether scripts of a member can be run by its name.
    pub(super) fn selects(&self, member: &Package) -> bool {
        member.name().is_some() && self.installer.is_none()
    }

    /// Runs a script of a member: from the root of its workspace, or, where none is selected, of the tree.
    pub(super) fn run_in(&self, member: &Package, script: &str) -> String {
        let script = quote(script);
        let Some(name) = member.name().filter(|_| self.selects(member)) else {
            return format!("cd {} && {} run {script}", quote(&member.dir), self.program());
        };
        let name = quote(name);
        match self.tool {
            Tool::Npm => format!("npm run {script} --workspace={name}"),
            Tool::Classic | Tool::Berry => format!("yarn workspace {name} run {script}"),
            Tool::Pnpm => format!("pnpm --filter {name} run {script}"),
            Tool::Bun => format!("bun run --filter {name} {script}"),
        }
    }

    /// Runs a program of a dependency.
    pub(super) fn exec(&self, command: &str) -> String {
        let runner = match self.tool {
            _ if self.installer.is_some() => "npx",
            Tool::Npm => "npx",
            Tool::Classic | Tool::Berry => "yarn run",
            Tool::Pnpm => "pnpm exec",
            Tool::Bun => "bunx",
        };
        format!("{runner} {command}")
    }

    /// Adds a development dependency to the current package, after its install.
    pub(super) fn add(&self, package: &str) -> String {
        match self.tool {
            Tool::Npm => format!("npm install --no-save --no-audit --no-fund {package}"),
            Tool::Classic | Tool::Berry => format!("yarn add --dev {package}"),
            Tool::Pnpm => format!("pnpm add --save-dev {package}"),
            Tool::Bun => format!("bun add --dev {package}"),
        }
    }

    pub(super) fn program(&self) -> &'static str {
        match self.installer {
            // Its package manager is not there by itself.
            Some(Installer::Rush(_)) => "npm",
            _ => self.tool.id(),
        }
    }

    /// Where the tool keeps what it fetched, for the user root.
    pub(super) fn cache(&self) -> &'static str {
        match self.tool {
            _ if matches!(self.installer, Some(Installer::Rush(_))) => "/root/.rush",
            Tool::Npm => "/root/.npm",
            Tool::Classic => "/usr/local/share/.cache/yarn",
            Tool::Berry => "/root/.yarn/berry/cache",
            Tool::Pnpm => "/root/.local/share/pnpm/store",
            Tool::Bun => "/root/.bun/install/cache",
        }
    }

    /// Bun's exact version, when one is pinned.
    pub(super) fn bun_tag(&self) -> String {
        let exact = self.version.as_deref().filter(|_| self.tool == Tool::Bun);
        let exact = exact.and_then(Version::parse).filter(|version| version.patch.is_some());
        exact.map_or_else(|| "1".to_owned(), |version| version.to_string())
    }
}

impl Tool {
    /// The id in `metadata.build_system`, which is the program's name too.
    pub(super) fn id(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Classic | Self::Berry => "yarn",
            Self::Pnpm => "pnpm",
            Self::Bun => "bun",
        }
    }
}

type Named = (Tool, Option<String>, Decision);

fn tool(name: &str) -> Option<Tool> {
    match name {
        "npm" => Some(Tool::Npm),
        "yarn" => Some(Tool::Classic),
        "pnpm" => Some(Tool::Pnpm),
        "bun" => Some(Tool::Bun),
        _ => None,
    }
}

/// `packageManager: "pnpm@9.1.0+sha…"`, or `devEngines.packageManager`.
fn named(root: &Package) -> Option<Named> {
    let json = root.json();
    if let Some(field) = json.get("packageManager") {
        let text = field.as_str()?;
        let (name, version) = text.split_once('@').unwrap_or((text, ""));
        let version = version.split('+').next().unwrap_or_default();
        let is_exact = Version::parse(version).is_some() && version.chars().all(is_version_char);
        let place = Evidence::line(&root.path, Some(field.line));
        if let Some(tool) = tool(name) {
            let decision = Decision::new("build system", name, "packageManager", [place]);
            return Some((tool, is_exact.then(|| version.to_owned()), decision));
        }
    }
    let field = json.at(&["devEngines", "packageManager"])?;
    let field = field.items().first().unwrap_or(field);
    let name = field.str_at(&["name"])?;
    let place = Evidence::line(&root.path, Some(field.line));
    let decision = Decision::new("build system", name, "devEngines.packageManager", [place]);
    let version = field.str_at(&["version"]).and_then(Version::parse);
    Some((tool(name)?, version.map(|version| version.to_string()), decision))
}

fn is_version_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '.' || c == '-'
}

fn by_lock(root: &Package, locks: &[(&str, Tool)]) -> Option<Named> {
    let (name, tool) = locks.first()?;
    let place = Evidence::file(root.join(name));
    Some((*tool, None, Decision::new("build system", tool.id(), "lock file", [place])))
}

fn by_settings(project: &Project<'_>, root: &Package) -> Option<Named> {
    let files = [
        ("pnpm-workspace.yaml", Tool::Pnpm),
        (".yarnrc.yml", Tool::Berry),
        ("bunfig.toml", Tool::Bun),
    ];
    for (name, tool) in files {
        let path = join(&root.dir, name);
        if project.tree.has(&path) {
            let decision = Decision::new("build system", tool.id(), name, [Evidence::file(path)]);
            return Some((tool, None, decision));
        }
    }
    for (name, tool) in [("pnpm", Tool::Pnpm), ("yarn", Tool::Classic), ("bun", Tool::Bun)] {
        if let Some(field) = root.json().at(&["engines", name]) {
            let place = Evidence::line(&root.path, Some(field.line));
            let decision = Decision::new("build system", name, "engines", [place]);
            return Some((tool, None, decision));
        }
    }
    let start = ["start", "dev"]
        .into_iter()
        .find(|name| root.script(name).is_some_and(|script| script.starts_with("bun ")));
    if let Some(start) = start {
        let place = root.script_place(start);
        return Some((
            Tool::Bun,
            None,
            Decision::new("build system", "bun", "a script runs it", [place]),
        ));
    }
    let place = written_for_bun(project, root)?;
    Some((
        Tool::Bun,
        None,
        Decision::new("build system", "bun", "the entry file is for Bun", [place]),
    ))
}

/// Where the entry file of a package calls what only Bun has.
pub(super) fn written_for_bun(project: &Project<'_>, package: &Package) -> Option<Evidence> {
    let entry = start::entry_file(project, &package.dir)?;
    let text = project.tree.read(&package.join(&entry))?;
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

/// The first pnpm that writes this lock file, but 9 where only the settings tell it from 10.
fn pnpm_of_lock(project: &Project<'_>, root: &Package, head: &str) -> &'static str {
    let line = head.lines().find_map(|line| line.strip_prefix("lockfileVersion:"));
    let version = line.map(|text| text.trim().trim_matches(['\'', '"']));
    match version.and_then(Version::parse).map(Version::triple) {
        Some((5, ..=3, _)) => "6",
        Some((5, ..)) => "7",
        Some((6, ..)) => "8",
        Some((9, ..)) => {
            // Settings in this file are new in 10 (pnpm.io/blog/releases/10.5).
            let workspace = project.tree.yaml(&root.join("pnpm-workspace.yaml"));
            let known = ["packages", "catalog", "catalogs"];
            let is_new =
                workspace.is_some_and(|w| w.members().any(|(key, _)| !known.contains(&key)));
            let has_list = root.json().at(&["pnpm", "onlyBuiltDependencies"]).is_some();
            if is_new || has_list { "10" } else { "9" }
        }
        _ => "10",
    }
}

/// `__metadata: version:` of Yarn's lock file.
fn berry_of_lock(head: &str) -> &'static str {
    let version = head.lines().find_map(|line| line.trim().strip_prefix("version:"));
    match version.and_then(|text| text.trim().parse::<u32>().ok()) {
        Some(..=6) => "3",
        _ => "4",
    }
}

const HEAD_BYTES: u64 = 4096;
