//! Package managers, and how each is called.

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

/// How a package manager is called.
pub(super) struct Row {
    /// Id in `metadata.build_system`, which is the program's name too.
    pub(super) id: &'static str,
    /// Installs what the lock file says.
    pub(super) frozen: &'static str,
    /// Installs where there is no lock file.
    pub(super) loose: &'static str,
    /// Option of these for what is needed to run; empty: it has none.
    pub(super) production: &'static str,
    /// Runs a program of a dependency.
    pub(super) exec: &'static str,
    /// Adds a development dependency.
    pub(super) add: &'static str,
    /// Runs a script of a member of a workspace.
    pub(super) member: &'static str,
    /// Where it keeps what it fetched, for the user root.
    pub(super) cache: &'static str,
}

const YARN: Row = Row {
    id: "yarn",
    frozen: "yarn install --frozen-lockfile",
    loose: "yarn install",
    production: " --production",
    exec: "yarn run",
    add: "yarn add --dev",
    member: "yarn workspace {name} run {script}",
    cache: "/usr/local/share/.cache/yarn",
};

/// In the order of [`Tool`].
static ROWS: [Row; 5] = [
    Row {
        id: "npm",
        frozen: "npm ci --no-audit --no-fund",
        loose: "npm install --no-audit --no-fund",
        production: " --omit=dev",
        exec: "npx",
        add: "npm install --no-save --no-audit --no-fund",
        member: "npm run {script} --workspace={name}",
        cache: "/root/.npm",
    },
    YARN,
    Row {
        frozen: "yarn install --immutable",
        // In a pipeline Yarn would refuse to write the lock file that is not there.
        loose: "yarn install --no-immutable",
        production: "",
        cache: "/root/.yarn/berry/cache",
        ..YARN
    },
    Row {
        id: "pnpm",
        frozen: "pnpm install --frozen-lockfile",
        loose: "pnpm install --no-frozen-lockfile",
        production: " --prod",
        exec: "pnpm exec",
        add: "pnpm add --save-dev",
        member: "pnpm --filter {name} run {script}",
        cache: "/root/.local/share/pnpm/store",
    },
    Row {
        id: "bun",
        frozen: "bun install --frozen-lockfile",
        loose: "bun install",
        production: " --production",
        exec: "bunx",
        add: "bun add --dev",
        member: "bun run --filter {name} {script}",
        cache: "/root/.bun/install/cache",
    },
];

impl Tool {
    /// How it is called.
    pub(super) fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// The id in `metadata.build_system`, which is the program's name too.
    pub(super) fn id(self) -> &'static str {
        self.row().id
    }
}

/// The one of that name; which Yarn, its lock file tells.
pub(super) fn tool(name: &str) -> Option<Tool> {
    use Tool::{Bun, Classic, Npm, Pnpm};
    [Npm, Classic, Pnpm, Bun].into_iter().find(|tool| tool.id() == name)
}
