//! What was decided about a service, by which rule, and the words for both.
//!
//! Rules and kinds of decisions are values; their text is for people and is written here alone. Nothing in the
//! program compares that text.

use std::fmt;

/// One decision: `what` is `value` because of `rule`, seen at `evidence`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What was decided.
    pub what: What,
    /// The outcome; empty when nothing was found.
    pub value: String,
    /// Why.
    pub rule: Rule,
    /// Where it was seen.
    pub evidence: Vec<Evidence>,
    /// Alternatives that lost.
    pub rejected: Vec<Rejected>,
}

/// A place in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Path relative to the root.
    pub file: String,
    /// Line, counted from 1.
    pub line: Option<usize>,
}

/// An alternative that lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// What it would have been.
    pub value: String,
    /// Where it was seen.
    pub evidence: Option<Evidence>,
    /// Why it lost.
    pub why: Rule,
}

/// Defines an enum whose variants are shown as fixed words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "the words are the documentation")]
        pub enum $name { $($variant,)* }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text,)* })
            }
        }
    };
}

words! {
    /// What a decision is about, in the order in which a reader asks.
    What {
        Language = "language",
        BuildSystem = "build system",
        Version = "version",
        Framework = "framework",
        Base = "base",
        Packages = "packages",
        InstallCommand = "install command",
        BuildCommand = "build command",
        Artifacts = "artifacts",
        StartCommand = "start command",
        Port = "port",
        Health = "health",
        Service = "service",
    }
}

impl What {
    /// Whether `metadata.reasoning` tells of it; `--explain` tells of all.
    pub fn is_in_reasoning(self) -> bool {
        use What::{BuildSystem, Framework, Health, Language, Port, StartCommand, Version};
        matches!(self, Language | BuildSystem | Version | Framework | StartCommand | Port | Health)
    }
}

words! {
    /// A rule that needs no detail to be told.
    Fixed {
        // Versions.
        TableDefault = "default of the table",
        NothingPins = "default, nothing pins one",
        // Languages and build systems.
        ItsSources = "its sources",
        ItsBuildFile = "its build file",
        ItsManifest = "its manifest",
        ItsPackageFiles = "its package files",
        LockFile = "lock file",
        // Frameworks.
        Dependency = "dependency",
        ADependency = "a dependency",
        Imported = "imported",
        Included = "included",
        Package = "a package",
        ItsConfiguration = "its configuration",
        // What is started.
        BuiltTarget = "the built target",
        BuiltProgram = "the built program",
        DeclaredProgram = "the declared program",
        CompiledProgram = "the compiled program",
        Executable = "the executable",
        ExecutableTarget = "the executable target",
        FilesByCaddy = "files for a browser, served by Caddy",
        StaticServer = "a server for static files",
        NoProgram = "no program is declared: a library",
        // Ports.
        ProgramText = "the program's text",
        PortInSource = "port in the source",
        ProgramAddress = "the address that the program binds to",
        FrameworkDefault = "the framework's default",
        NothingSaysOtherwise = "a default: nothing says otherwise",
        NothingListens = "nothing listens",
        FileServerPort = "the file server's own",
        StaticServerPort = "the static server's",
        // What is built, copied, installed.
        WhatIsLeft = "what is left once the sources are there",
        ProgramReadsIt = "the program reads it",
        ProgramWritesBeside = "the program writes beside itself",
        NamesOfDebian = "names are known for Debian alone",
        PackagesOfDebian = "packages of Debian",
        PeelboxTomlWins = "peelbox.toml wins",
        NoSuchVersion = "no such version there; the build may need `--base official`",
        // Which of several.
        HeavierMatch = "the heavier match has the folder",
        AsGood = "as good a match, but later in the order of ecosystems",
        WeakerMatch = "a weaker match in the same folder",
        NamedLikeNoServer = "named like no server",
        TargetThatIsRun = "the target that is run",
        // Crystal.
        OptimisedTarget = "the target, optimised",
        NoCrystalMain = "no target and no main file: a library",
        // Swift.
        NoSwift = "the family has no Swift: its official images",
        NoExecutableTarget = "Package.swift has no executable target: a library",
        VaporListens = "Vapor listens on the loopback address unless told otherwise",
        // Gleam.
        GleamMain = "main of the package",
        NoGleamMain = "no main in the module of the package's name",
        // Node.js.
        VersionInSettings = "version in peelbox.toml",
        RangeForbids = "the range of versions does not allow it",
        OtherPinFirst = "the other is looked at first",
        NoBun = "the family has no Bun: its own image",
        SourceFile = "a source file",
        EntryFileContent = "name and content of the entry file",
        NoPackageJson = "there is no package.json",
        Engines = "engines",
        ScriptRunsIt = "a script runs it",
        WrittenForBun = "the entry file is for Bun",
        ComesWithNode = "comes with Node.js",
        OtherSignFirst = "another sign comes first",
        ProjectOfNx = "project.json of Nx",
        Main = "main",
        Bin = "bin",
        EntryFile = "name of the entry file",
        ExportedFunction = "the function that the code exports",
        ServerOfFramework = "the framework's own server",
        ServerOfRedwood = "redwood's own server",
        ServerOfBuild = "server of the build",
        OutputStandalone = "output `standalone`",
        AdapterOfAstro = "adapter @astrojs/node",
        AdapterOfSvelte = "the project's adapter makes no server that runs by itself: adapter-node takes its place",
        OutputOfAdapter = "adapter-node's output",
        BundleOfMeteor = "meteor's bundle",
        PreviewOfVite = "there is no adapter: the preview of Vite",
        StartCommandSets = "the start command sets it",
        CodeListens = "what the code listens on",
        CodeListensOrDefault = "what the code listens on, or the default",
        CodeSaysNoNumber = "the code listens, and says no number",
        RouteOfCode = "a route of the code",
        ConfiguredOutput = "output folder of the configuration",
        OutputOfFramework = "output folder of the framework",
        OutputExport = "output `export`",
        OutputOfAngular = "output of angular.json",
        OutputOfProject = "output of project.json",
        ScriptServes = "the script serves it",
        FirstPage = "the folder of the first page",
        NothingStarts = "no script, `main` or entry file starts it",
        LibraryStartsNothing = "a library: its code starts nothing that listens",
        PageOfLibrary = "a library: its page only shows it",
        ForCloudflare = "a worker for the machines of Cloudflare",
        ForBrowsers = "an extension for browsers",
        ForDesktops = "an application for desktops",
        ForPhones = "an application for phones",
        RootOfWorkspace = "the root of a workspace",
        StartsAnotherPackage = "it starts another package of the tree",
        // Zig.
        ZigArchive = "Zig has no official image: its own archive is fetched",
        ZigProgram = "the program of build.zig",
        ZigInstalls = "build.zig installs its programs",
        ZigLibrary = "build.zig makes no program: a library",
        ZigInterface = "the interface that build.zig is written for",
    }
}

/// Why something was decided so, or why an alternative lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A rule that needs no detail.
    Is(Fixed),
    /// A file, key, script or directive in the project's own words: `.nvmrc`, `engines.node`.
    Named(String),
    /// A manifest of that name.
    Manifest(&'static str),
    /// A range at a key: (`engines.node`, `>=20`).
    Range(String, String),
    /// A pin at a key, within the range at another.
    Within(String, String, String),
    /// A process type of a `Procfile`.
    Procfile(String),
    /// A key or the whole of `peelbox.toml`.
    Settings,
    /// The dependency of that name.
    DependencyOn(String),
    /// What something listens on by itself.
    DefaultOf(String),
    /// The nearest version of a language that a base has: (language, version).
    Nearest(&'static str, String),
    /// What a command makes: `nest build`.
    WrittenBy(&'static str),
    /// The newest version that a version of a dependency builds with.
    NewestFor(&'static str),
    /// A rule of an ecosystem that is still worded there.
    Worded(String),
}

impl From<Fixed> for Rule {
    fn from(fixed: Fixed) -> Self {
        Self::Is(fixed)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(fixed) => fixed.fmt(f),
            Self::Named(name) | Self::Worded(name) => f.write_str(name),
            Self::Manifest(name) => write!(f, "a {name}"),
            Self::Range(key, range) => write!(f, "{key} `{range}`"),
            Self::Within(pin, key, range) => write!(f, "{pin}, within {key} `{range}`"),
            Self::Procfile(name) => write!(f, "Procfile {name}"),
            Self::Settings => f.write_str(super::settings::FILE),
            Self::DependencyOn(name) => write!(f, "dependency `{name}`"),
            Self::DefaultOf(name) => write!(f, "default of {name}"),
            Self::WrittenBy(command) => write!(f, "where {command} writes"),
            Self::NewestFor(name) => {
                write!(f, "the newest that this version of {name} builds with")
            }
            Self::Nearest(language, version) => {
                write!(f, "the nearest {language} that this base has: {version}")
            }
        }
    }
}

impl Evidence {
    /// A whole file.
    pub fn file(file: impl Into<String>) -> Self {
        Self { file: file.into(), line: None }
    }

    /// A line of a file.
    pub fn line(file: impl Into<String>, line: Option<usize>) -> Self {
        Self { file: file.into(), line }
    }
}

impl fmt::Display for Evidence {
    /// `app/package.json:3`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        match self.line {
            Some(line) => write!(f, ":{line}"),
            None => Ok(()),
        }
    }
}

impl Decision {
    /// A decision and where it was seen.
    pub fn new(
        what: impl Into<What>,
        value: impl Into<String>,
        rule: impl Into<Rule>,
        evidence: impl IntoIterator<Item = Evidence>,
    ) -> Self {
        Self {
            what: what.into(),
            value: value.into(),
            rule: rule.into(),
            evidence: evidence.into_iter().collect(),
            rejected: Vec::new(),
        }
    }

    /// Adds an alternative that lost.
    pub fn not(
        mut self,
        value: impl Into<String>,
        evidence: Option<Evidence>,
        why: impl Into<Rule>,
    ) -> Self {
        self.rejected.push(Rejected { value: value.into(), evidence, why: why.into() });
        self
    }
}

// Bridge for ecosystems that still word their decisions; it goes with the last of them.
impl From<&str> for What {
    fn from(text: &str) -> Self {
        match text {
            "language" => Self::Language,
            "build system" => Self::BuildSystem,
            "version" => Self::Version,
            "framework" => Self::Framework,
            "base" => Self::Base,
            "packages" => Self::Packages,
            "install command" => Self::InstallCommand,
            "build command" => Self::BuildCommand,
            "artifacts" => Self::Artifacts,
            "start command" => Self::StartCommand,
            "port" => Self::Port,
            "health" => Self::Health,
            _ => Self::Service,
        }
    }
}

impl PartialEq<&str> for What {
    fn eq(&self, text: &&str) -> bool {
        *self == Self::from(*text)
    }
}

impl From<&str> for Rule {
    fn from(text: &str) -> Self {
        Self::Worded(text.to_owned())
    }
}

impl From<&String> for Rule {
    fn from(text: &String) -> Self {
        Self::Worded(text.clone())
    }
}

impl From<String> for Rule {
    fn from(text: String) -> Self {
        Self::Worded(text)
    }
}
