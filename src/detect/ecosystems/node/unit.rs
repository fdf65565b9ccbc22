//! One package and what it is installed with.

use super::{
    lines::calls_any,
    manager::{self, Manager},
    package::{Package, Packages},
    references,
    start::{self, Runner},
    tool::Tool,
    version::{self, BUN, NODE},
};
use crate::detect::prelude::*;

/// A package of a tree.
pub(super) struct Unit<'a> {
    pub(super) packages: &'a Packages<'a>,
    pub(super) package: &'a Package<'a>,
    /// Where its dependencies are installed: itself, or the root of its workspace.
    pub(super) root: &'a Package<'a>,
    pub(super) manager: Manager,
    /// The major of Node.js.
    pub(super) node: u32,
    /// What is known of its version, and why.
    pub(super) version: Version,
    decision: Decision,
    /// Bun runs it, not only installs it.
    pub(super) is_bun: bool,
}

/// What no build of Node.js needs.
pub(super) const EXCLUDED: [&str; 2] = [".git", "**/node_modules"];

/// Scripts that build for production, in the order in which they count.
const BUILDS: &[&str] = &[
    "build", "build:prod", "build:production", "build:app", "heroku-postbuild", "gcp-build",
    "generate", "docs:build", "build:docs",
];

/// Scripts that build pages, where none of those is there.
const PAGE_BUILDS: &[&str] = &[
    "build:frontend", "build:front", "build:client", "build:web", "build:ui", "frontend:build",
    "client:build", "build-frontend", "build-client",
];

/// Programs that bundle for browsers.
const BUNDLERS: &[&str] = &[
    "vite", "webpack", "rollup", "parcel", "esbuild", "rspack", "rsbuild", "react-scripts",
    "vue-cli-service", "ng", "snowpack", "browserify", "gulp",
];

/// Calls that need a database.
const DATABASE: &[&str] = &["migrate", "db push", "db:push", "seed"];

impl<'a> Unit<'a> {
    pub(super) fn new(
        packages: &'a Packages<'a>,
        package: &'a Package<'a>,
        manager: Manager,
    ) -> Self {
        let root = packages.root_of(package);
        let (version, decision) = version::decide(package, root);
        let is_bun = runs_on_bun(package, &manager);
        let node = version.major;
        Self { packages, package, root, manager, node, version, decision, is_bun }
    }

    pub(super) fn at(&self) -> Folder<'a> {
        self.package.at
    }

    /// What is known of its service by what it is installed with.
    pub(super) fn facts(&self) -> Facts {
        let mut facts = Facts::new(if self.is_bun { &BUN } else { &NODE }, self.at().dir);
        let (id, rule, place) = self.language();
        (facts.id, facts.tool) = (id, self.manager.tool.id());
        facts.name = self.package.name().unwrap_or_default().to_owned();
        facts.decide(What::Language, id, rule, [place]);
        facts.decisions.extend([self.manager.decision.clone(), self.decision.clone()]);
        if self.is_bun {
            facts.set("v", self.bun_tag());
            facts.set("stage", "");
        } else {
            version::set(&mut facts, self.version, self.at().project.bases);
        }
        if self.is_member() {
            facts.workspace = self.root.at.dir.to_owned();
        }
        facts.exclude = EXCLUDED.map(str::to_owned).to_vec();
        facts
    }

    /// The version of Bun that is pinned, as far as it is.
    fn bun_tag(&self) -> String {
        let engine = self.package.json.str_at(&["engines", "bun"]).map(str::to_owned);
        let stated = self.manager.bun().map(str::to_owned).into_iter();
        let managed = self.at().managed(&BUN).into_iter().map(|pin| pin.version);
        let all = stated.chain(managed).chain(engine);
        let mut versions = all.filter_map(|text| Version::parse(&text));
        versions
            .find(|version| version.minor.is_some())
            .map_or_else(|| "1".to_owned(), |version| version.to_string())
    }

    /// TypeScript where there is a `tsconfig.json`, or files and a compiler for them.
    fn language(&self) -> (&'static str, Rule, Evidence) {
        let at = self.at();
        let by = |id, name: &str| (id, Rule::Named(name.to_owned()), at.place(name, None));
        if at.has("tsconfig.json") {
            return by("typescript", "tsconfig.json");
        }
        let source = [".", "src", "app", "pages", "server", "routes"].iter().find_map(|folder| {
            let dir = join_clean(at.dir, folder);
            let is_source = |name: &&String| {
                [".ts", ".tsx"].iter().any(|end| name.ends_with(end))
                    && ![".d.ts", ".config."].iter().any(|part| name.contains(part))
            };
            let name = at.project.tree.entries(&dir)?.files.iter().find(is_source)?;
            Some(Evidence::file(join(&dir, name)))
        });
        match source {
            Some(place) => ("typescript", Fixed::SourceFile.into(), place),
            None => by("javascript", file_name(&self.package.path())),
        }
    }

    /// The script that builds: its name and its line.
    pub(super) fn build_script(&self) -> Option<(&str, &str)> {
        let mut name = self.package.first_script(BUILDS).or_else(|| self.page_script())?;
        let needs_database = |line: &str| DATABASE.iter().any(|word| line.contains(word));
        if self.package.script(name).is_some_and(needs_database) {
            name = self.package.first_script(&["build:docker", "build:container"]).unwrap_or(name);
        }
        let line = self.package.script(name)?;
        let others = ["docker ", "echo ", "electron-builder"];
        (!others.iter().any(|other| line.starts_with(other))).then_some((name, line))
    }

    /// The script that bundles the pages of a server whose other code is run as it is.
    fn page_script(&self) -> Option<&'static str> {
        let bundles =
            |name: &&&str| self.package.script(name).is_some_and(|line| calls_any(line, BUNDLERS));
        PAGE_BUILDS.iter().find(bundles).copied()
    }

    /// Where a dependency stands, of the package or of the root of its workspace.
    pub(super) fn place(&self, dependency: &str) -> Evidence {
        let package = if self.package.has(dependency) { self.package } else { self.root };
        package.place(dependency)
    }

    /// Whether the package, or the root of its workspace, has such a dependency.
    pub(super) fn has(&self, dependency: &str) -> bool {
        self.package.has(dependency) || self.root.has(dependency)
    }

    /// The first number of a dependency's range.
    pub(super) fn major(&self, dependency: &str) -> Option<u32> {
        self.package.major(dependency).or_else(|| self.root.major(dependency))
    }

    pub(super) fn is_member(&self) -> bool {
        self.package.at.dir != self.root.at.dir
    }

    /// Whether it is installed in a workspace, as its root or as a member.
    pub(super) fn is_in_workspace(&self) -> bool {
        self.packages.is_root(self.root)
    }

    /// A folder as seen from the package, relative to the root; that of the package for one outside of the tree.
    pub(super) fn resolved(&self, folder: &str) -> String {
        resolve(self.at().dir, folder).unwrap_or_else(|| self.at().dir.to_owned())
    }

    /// A folder below that of the workspace; `.` for that itself.
    pub(super) fn below_root(&self, dir: &str) -> String {
        relative(self.root.at.dir, dir)
    }

    /// Folders beside the package that its dependencies are links to.
    pub(super) fn linked(&self) -> impl Iterator<Item = String> {
        let own = self.at().dir;
        references::linked(self.package)
            .filter(move |dir| !is_below(dir, own) && !is_below(own, dir))
    }

    /// Folder of the package in the image, below its home; `.` for that itself.
    pub(super) fn run_in(&self) -> String {
        match self.is_member() {
            true => self.below_root(self.at().dir),
            false if self.linked().next().is_some() => self.at().dir.to_owned(),
            false => ".".to_owned(),
        }
    }

    /// A step of the build that runs in the folder of the package.
    pub(super) fn step(&self, command: impl Into<String>) -> Step {
        Step::new(Kind::Build, self.at().dir, command)
    }
}

/// Whether scripts or dependencies are made for Bun; a lock file alone says that it installs.
fn runs_on_bun(package: &Package<'_>, manager: &Manager) -> bool {
    let script = start::script(package);
    let is_started = script.as_ref().is_some_and(|start| {
        start.runner == Runner::Bun
            || start.line.starts_with("bun ") && !start.line.contains("--bun ")
    });
    let is_native = || {
        manager.tool == Tool::Bun
            && script.is_none()
            && (package.has_any(&["@types/bun", "bun-types"]) || package.script("dev").is_none())
    };
    let is_written = || script.is_none() && manager::written_for_bun(package).is_some();
    let is_framework = package.has_any(&["next", "nuxt", "astro", "@sveltejs/kit"]);
    !is_framework && (is_started || package.has("elysia") || is_native() || is_written())
}
