//! Files in which package managers find their registries, and how they name variables: a table.

use super::registries::{self, Registry};
use crate::detect::Folder;

/// A file in which a package manager finds its registries.
pub(super) struct Settings {
    /// Names, which may have `*`; looked for in the folders of the install steps and above.
    pub(super) names: &'static [&'static str],
    /// Ids of the build systems that read it.
    pub(super) tools: &'static [&'static str],
    /// How it names variables: what stands before and after a name.
    pub(super) variables: &'static [(&'static str, &'static str)],
    /// What happens when such a variable is not set.
    pub(super) unset: Unset,
    /// Blocks that its variables must and must not stand in.
    pub(super) blocks: Option<(&'static [&'static str], &'static [&'static str])>,
    /// Registries that it names and whose credentials come from elsewhere.
    pub(super) registries: fn(Folder<'_>, &str) -> Vec<Registry>,
    /// The variable, and the text before the path, by which the tool is told of the file.
    pub(super) told_by: Option<(&'static str, &'static str)>,
}

/// What a package manager does without a variable that its settings name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unset {
    /// It fails.
    Fails,
    /// It goes on without the credential, which is enough for public packages.
    FailsIfPrivate,
    /// The settings say what happens; mostly it goes on.
    GoesOn,
}

const NODE: &[&str] = &["npm", "yarn", "pnpm", "bun"];
const PYTHON: &[&str] = &["pip", "pipenv", "pdm", "poetry", "uv"];
const BRACES: &[(&str, &str)] = &[("${", "}")];
const SHELL: &[(&str, &str)] = &[("${", "}"), ("$", "")];

const ROW: Settings = Settings {
    names: &[],
    tools: &[],
    variables: &[],
    unset: Unset::GoesOn,
    blocks: None,
    registries: |_, _| Vec::new(),
    told_by: None,
};

pub(super) static SETTINGS: &[Settings] = &[
    Settings {
        names: &[".npmrc"],
        tools: NODE,
        variables: BRACES,
        unset: Unset::FailsIfPrivate,
        registries: registries::npm,
        ..ROW
    },
    Settings {
        names: &[".yarnrc.yml"],
        tools: &["yarn"],
        variables: BRACES,
        unset: Unset::Fails,
        registries: registries::yarn,
        ..ROW
    },
    Settings {
        names: &["bunfig.toml"],
        tools: &["bun"],
        variables: SHELL,
        unset: Unset::FailsIfPrivate,
        ..ROW
    },
    Settings {
        names: &["*requirements*.txt", "Pipfile"],
        tools: PYTHON,
        variables: SHELL,
        unset: Unset::FailsIfPrivate,
        registries: registries::pip,
        ..ROW
    },
    Settings {
        names: &["pip.conf"],
        tools: &["pip"],
        registries: registries::pip,
        told_by: Some(("PIP_CONFIG_FILE", "")),
        ..ROW
    },
    Settings {
        names: &["pyproject.toml", "uv.toml"],
        tools: PYTHON,
        variables: BRACES,
        unset: Unset::FailsIfPrivate,
        registries: registries::python,
        ..ROW
    },
    Settings {
        names: &["settings.xml", ".mvn/settings.xml"],
        tools: &["maven"],
        variables: &[("${env.", "}")],
        unset: Unset::FailsIfPrivate,
        told_by: Some(("MAVEN_ARGS", "--settings ")),
        ..ROW
    },
    Settings { names: &["pom.xml"], tools: &["maven"], registries: registries::maven, ..ROW },
    Settings {
        names: &["build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"],
        tools: &["gradle"],
        variables: &[
            ("System.getenv(\"", "\""),
            ("System.getenv('", "'"),
            ("System.env.", ""),
            ("environmentVariable(\"", "\""),
        ],
        blocks: Some((
            &["repositories", "credentials"],
            &["publishing", "uploadArchives", "signing", "nexusPublishing", "mavenPublishing"],
        )),
        ..ROW
    },
    Settings {
        names: &["build.sbt", "project/plugins.sbt"],
        tools: &["sbt"],
        variables: &[
            ("sys.env(\"", "\""),
            ("sys.env.get(\"", "\""),
            ("sys.env.getOrElse(\"", "\""),
        ],
        ..ROW
    },
    Settings {
        names: &["NuGet.Config", "nuget.config", "NuGet.config"],
        tools: &["dotnet"],
        variables: &[("%", "%")],
        unset: Unset::FailsIfPrivate,
        registries: registries::nuget,
        ..ROW
    },
    Settings {
        names: &[".cargo/config.toml", ".cargo/config"],
        tools: &["cargo"],
        registries: registries::cargo,
        ..ROW
    },
    Settings {
        names: &["Gemfile", "gems.rb"],
        tools: &["bundler"],
        variables: &[
            ("ENV[\"", "\""),
            ("ENV['", "'"),
            ("ENV.fetch(\"", "\""),
            ("ENV.fetch('", "'"),
        ],
        registries: registries::bundler,
        ..ROW
    },
    Settings {
        names: &["composer.json"],
        tools: &["composer"],
        registries: registries::composer,
        ..ROW
    },
    Settings {
        names: &["mix.exs"],
        tools: &["mix"],
        variables: &[("System.get_env(\"", "\""), ("System.fetch_env!(\"", "\"")],
        blocks: Some((&["deps"], &[])),
        ..ROW
    },
    Settings {
        names: &["Makefile", "Dockerfile", "go.env", ".gitlab-ci.yml"],
        tools: &["go"],
        registries: registries::go,
        ..ROW
    },
];

impl Settings {
    /// Whether a line in these blocks counts.
    pub(super) fn counts(&self, blocks: &[String]) -> bool {
        let Some((wanted, unwanted)) = self.blocks else { return true };
        let is_in = |names: &[&str]| blocks.iter().any(|block| names.contains(&block.as_str()));
        is_in(wanted) && !is_in(unwanted)
    }
}
