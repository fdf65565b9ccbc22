//! What was decided about a service, by which rule, and the words for both.
//!
//! Rules and kinds of decisions are values; their text is for people and is written here alone. Nothing in the
//! program compares that text.

use std::fmt;

use serde::{Serialize, Serializer};

use super::versions::Version;

/// One decision: `what` is `value` because of `rule`, seen at `evidence`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// What was decided.
    #[serde(serialize_with = "as_text")]
    pub what: What,
    /// The outcome; empty when nothing was found.
    pub value: String,
    /// Why.
    #[serde(serialize_with = "as_text")]
    pub rule: Rule,
    /// Where it was seen.
    pub evidence: Vec<Evidence>,
    /// Alternatives that lost.
    pub rejected: Vec<Rejected>,
}

/// A place in the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Path relative to the root.
    pub file: String,
    /// Line, counted from 1.
    pub line: Option<usize>,
}

/// An alternative that lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// What it would have been.
    pub value: String,
    /// Where it was seen.
    pub evidence: Option<Evidence>,
    /// Why it lost.
    #[serde(serialize_with = "as_text")]
    pub why: Rule,
}

fn as_text<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
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
        Secret = "secret",
        Context = "context",
        Environment = "environment",
        InstallCommand = "install command",
        BuildCommand = "build command",
        Artifacts = "artifacts",
        StartCommand = "start command",
        ReleaseCommand = "release command",
        Port = "port",
        Health = "health",
        Service = "service",
    }
}

impl What {
    /// Whether `metadata.reasoning` tells of it; `--explain` tells of all.
    pub fn is_in_reasoning(self) -> bool {
        use What::{
            BuildSystem, Framework, Health, Language, Port, ReleaseCommand, StartCommand, Version,
        };
        let starts = matches!(self, StartCommand | ReleaseCommand | Port | Health);
        starts || matches!(self, Language | BuildSystem | Version | Framework)
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
        ForItsDockerfile = "its ignore file was written for a Dockerfile and leaves out what this build needs",
        FilesByCaddy = "files for a browser, served by Caddy",
        StaticServer = "a server for static files",
        NoProgram = "no program is declared: a library",
        // Ports.
        ProgramText = "the program's text",
        PortInSource = "port in the source",
        ProgramAddress = "the address that the program binds to",
        FrameworkDefault = "the framework's default",
        NothingSaysOtherwise = "a default: nothing says otherwise",
        NothingElseSays = "nothing says otherwise",
        ConfigFile = "its config file",
        PortOfRootUser = "a port below 1024, so it runs as root",
        NothingListens = "nothing listens",
        FileServerPort = "the file server's own",
        StaticServerPort = "the static server's",
        // What is built, copied, installed.
        SeesItsFiles = "before the sources appear: it sees only its files",
        NeedsTheSources = "it needs the sources",
        WhatIsLeft = "what is left once the sources are there",
        ProgramReadsIt = "the program reads it",
        ProgramWritesBeside = "the program writes beside itself",
        NamesOfDebian = "names are known for Debian alone",
        PackagesOfDebian = "packages of Debian",
        PeelboxTomlWins = "peelbox.toml wins",
        NotPackaged = "the family has no package of what is needed: the official image",
        CommandLine = "the command line, or a variable for it",
        CommandLineWins = "the command line wins",
        NoSuchVersion = "no such version there; the build may need `--base official`",
        WhereItWrites = "where it writes",
        RegistryAsks = "a registry that is not public asks for it",
        RegistryMayAsk = "a registry may ask for it; the build goes on without it",
        FirstPageAnswers = "the project's own file server answers with it",
        // Workers.
        QueueOfGem = "the worker of the gem's queue",
        CeleryApplication = "the application of Celery",
        CelerySchedule = "the schedule of Celery",
        WorkerOfDjango = "the command that the application adds to manage.py",
        WorkerOfLaravel = "a worker for the queue of Laravel",
        ScriptOfWorker = "the script for a worker",
        // Which of several.
        HeavierMatch = "the heavier match has the folder",
        AsGood = "as good a match, but later in the order of ecosystems",
        WeakerMatch = "a weaker match in the same folder",
        NamedLikeNoServer = "named like no server",
        TargetThatIsRun = "the target that is run",
        // Crystal.
        OptimisedTarget = "the target, optimised",
        NoCrystal = "Wolfi has no Crystal: its official image",
        NoCrystalMain = "no target and no main file: a library",
        // Go.
        MainWithoutModule = "a package main without go.mod",
        OnlyOfGo = "the only one of Go",
        StaticGo = "a static program needs only certificates, time zones and a user",
        NeedsLibc = "a program with C in it needs a C library",
        MayNeedLibc = "a module may have C in it, which needs a C library",
        StartsPrograms = "the program starts programs of the system",
        NeedsShell = "the Procfile's command needs a shell",
        LessThanUsed = "the least that is needed, and less than this",
        ProgramThatServes = "the program that serves",
        ToolBeside = "a tool: it neither serves nor is named like the module",
        NoPackageMain = "no folder holds a program (package main): a library",
        NoGoSum = "there is no go.sum: `go mod tidy` writes it",
        // Rust.
        LinkedRust = "the program is linked with the C library and reads certificates",
        NewestCratesCome = "what is needed at least, but without a lock file the newest crates come",
        ProgramThatIsRun = "the program that is run",
        DefaultRun = "default-run names the other",
        NoRustProgram = "no package has a program: a library",
        NoCargoLock = "there is no Cargo.lock, so the newest crates that fit are taken",
        SavedQueries = "saved queries of SQLx",
        LocoStart = "Loco's server is a command of the program",
        ProgramOrSettings = "the program or its settings",
        LoopbackAlone = "it listens on the loopback address alone: the port can't be reached from outside",
        LoopbackUnlessTold = "it listens on the loopback address unless told otherwise",
        PageBesideManifest = "a page beside Cargo.toml",
        TrunkPages = "Trunk builds pages",
        // Swift.
        NoSwift = "the family has no Swift: its official images",
        NoExecutableTarget = "Package.swift has no executable target: a library",
        VaporListens = "Vapor listens on the loopback address unless told otherwise",
        // Front ends that servers deliver.
        BuildWritesThere = "its build writes there",
        ScriptBuildsThere = "a script of its builds it there",
        CompiledIn = "its files are compiled in",
        ServerNamesIt = "the server names its folder",
        OwnImageHasIt = "the project's own image has it there",
        ScriptCopiesThere = "a script copies it there",
        // Sites.
        FolderOfPage = "the folder of the first page",
        // Deno.
        TypeScriptForDeno = "TypeScript for Deno",
        JavaScriptForDeno = "JavaScript for Deno",
        DenoJson = "deno.json or code for Deno",
        NoTaskNoEntry = "no task `start` and no entry file",
        NameOfEntry = "name of the entry file",
        CodeListens = "what the code listens on",
        DefaultOfDeno = "default of Deno or the framework",
        // Elixir.
        NoElixir = "Wolfi has no Elixir: its official images",
        OneElixir = "the only Elixir of Debian 12 is 1.14",
        NoRelease = "no release is declared",
        ScriptOfRelease = "script of the release",
        Release = "release",
        NoModuleToStart = "mix.exs names no module to start",
        PortInSettings = "port in the settings",
        // Haskell.
        OtherGhc = "the family's GHC is not the one that is asked for: the official image",
        NoHaskellProgram = "no package has an executable: a library",
        // Scripts.
        NameOfScript = "name of the script",
        ScriptText = "the script's text",
        // Dart.
        NoDart = "the family has no Dart: its official image",
        NoDartProgram = "there is no program in bin: a library",
        NoFlutterWeb = "neither a folder web nor lib/main.dart: a package",
        // Gleam.
        GleamMain = "main of the package",
        NoGleamMain = "no main in the module of the package's name",
        // Python.
        PythonFiles = "manifest or sources of Python",
        WorkspaceMember = "member of a workspace",
        LockSaysMore = "a lock file says more",
        NoOtherManager = "no other package manager is named",
        NoManager = "no manifest of a package manager",
        ForImports = "for what is imported; there is no manifest",
        OtherIsFirst = "the other is looked at first",
        ManageAndSettings = "manage.py and its settings",
        ImportAndApplication = "import and application",
        DjangoProject = "project of Django",
        InterfaceOfServers = "a function with the interface of WSGI or ASGI",
        CloudFunction = "the function of functions-framework",
        Notebooks = "notebooks beside voila",
        EntryFile = "entry file",
        ProjectScript = "script of the project",
        NoEntry = "no application, no entry file, no script of the project",
        PortIsRead = "`PORT` is read",
        PortInProcfile = "port in the Procfile",
        BindOfGunicorn = "`bind` of gunicorn's configuration",
        AddressInSource = "address in the source",
        ServerDefault = "default of the server",
        PathOfStreamlit = "path of Streamlit",
        MigratesFirst = "migrations of a database in a file run first",
        // Node.js.
        VersionInSettings = "version in peelbox.toml",
        NoVersion = "it is no version that is known",
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
        ExportedFunction = "the function that the code exports",
        ServerOfFramework = "the framework's own server",
        WhereBuildWrites = "where the build writes",
        ServerOfRedwood = "redwood's own server",
        ServerOfBuild = "server of the build",
        OutputStandalone = "output `standalone`",
        AdapterOfAstro = "adapter @astrojs/node",
        AdapterOfSvelte = "the project's adapter makes no server that runs by itself: adapter-node takes its place",
        OutputOfAdapter = "adapter-node's output",
        BundleOfMeteor = "meteor's bundle",
        PreviewOfVite = "there is no adapter: the preview of Vite",
        StartCommandSets = "the start command sets it",
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
        ForFunctions = "functions that a cloud calls: nothing here listens",
        ExportedOnly = "its code exports an application and listens nowhere: a file that lets it listen is missing",
        FileIsMissing = "it names a file that is not there and that nothing builds",
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
        // C and C++.
        GccOfDebian = "the GCC whose library Debian 12 has",
        NotNamedLikeProject = "neither named like the project nor before it",
        // .NET.
        ProjectExtension = "the extension of the project file",
        SdkStyle = "a project of the SDK style",
        BlazorSdk = "the SDK of Blazor WebAssembly",
        ServerComponents = "components that the server renders",
        WebSdk = "the SDK of web applications",
        BackgroundHost = "a host of background services",
        ItsAssembly = "the project's assembly",
        KestrelEndpoints = "Kestrel's endpoints",
        PortOfImages = "the images' default",
        PortOfRoot = "the images' default, 80, is for root",
        OlderTarget = "older, or not for Linux",
        OlderSdk = "an SDK that old can't build for the target framework",
        OtherFeatureBand = "left out of the build: the image's SDK has another feature band than it insists on",
        NoDotnet = "Debian 12 has no .NET",
        NoDotnetProgram = "no project makes a program: a library",
        PublishedProgram = "a published program",
        OneFile = "a program in one file",
        RunsFiles = "`dotnet run` takes files since .NET 10",
        FirstThatBuildsFiles = "the first that builds files",
        ProgramAssembly = "the program's assembly",
        WebSdkOfFile = "the web SDK",
        // Ruby.
        SourcesOfRuby = "manifest or sources of Ruby",
        BundlersFile = "Bundler's file",
        NoGemfile = "no Gemfile",
        Gem = "gem",
        ServerOfRails = "server of Rails",
        SettingsOfPuma = "settings of Puma",
        RouteOfHealth = "route of rails/health",
        NoRubyProgram = "no config.ru and no file that is run by convention",
        // PHP.
        SourcesOfPhp = "manifest or sources of PHP",
        ComposerJson = "composer.json",
        NoComposer = "no composer.json",
        PackageOrFiles = "package or files",
        FolderWithIndexPhp = "folder with index.php",
        NoIndexPhp = "no index.php in the folder of a framework or of the project",
        ApacheOfImage = "Apache of the official image",
        HealthOfLaravel = "health: in bootstrap/app.php",
        HttpAddress = "http.address",
        RoadRunnerSettings = "settings of RoadRunner",
        ListensItself = "file that listens on its own",
        PortOfContainer = "`PORT` of the container",
        FreePort = "port that is free for everybody",
        UserPort = "port that a user other than root may have",
        PortOfFramework = "default of the framework",
        ExtensionsOfFamily = "extensions that the family has as packages",
        NoSuchExtension = "the family has no package of it",
        // JVM.
        DependencyOrPlugin = "a dependency or plugin",
        NoBuildFile = "no build file",
        ItsBuildScript = "its build script",
        OneBuild = "one folder has one build",
        OtherBuild = "the other comes first, or makes more of it",
        OtherPin = "another has the last word",
        JavaOfSpringParent = "the java.version of spring-boot-starter-parent",
        JavaOfWrapper = "the newest that the wrapper's Gradle runs on",
        JavaOfOldSbt = "the newest that sbt 0.13 runs on",
        JavaOfSbt = "the newest that this sbt runs on",
        MadeByBuild = "what the build makes",
        ClassWithMain = "the class with a main method",
        NamespaceWithMain = "the namespace with a -main",
        PackedJar = "the packed jar",
        PlayScript = "Play's script; APPLICATION_SECRET (play.http.secret.key) is to be set by who runs it",
        NothingPacked = "no module is packaged to be run: a library",
        NothingRunByPlugin = "no plugin makes something to run: a library",
        NothingStarted = "nothing here can be started: a library",
        NoLeinMain = "project.clj names no :main",
        NoClojureMain = "no namespace has a -main",
        ServletContainer = "a war needs a servlet container",
        TomcatDefault = "Tomcat's default",
        SettingsOrText = "its settings or its text",
        NoWebStarter = "no starter brings a web server",
        BroughtByDependency = "a dependency brings it",
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
    /// The dependency of that name.
    DependencyOn(String),
    /// An import that holds that text.
    Import(String),
    /// What something listens on by itself.
    DefaultOf(String),
    /// What a value asks for is not understood, so it is the default: (value, what it should be).
    NotUnderstood(String, &'static str),
    /// The newest version of the language that the project's version of a framework runs on.
    NewestFor(&'static str),
    /// The newest version of the language that the project's version of a package installs on.
    InstallsOn(&'static str),
    /// An application of a framework.
    ApplicationOf(&'static str),
    /// An application of a library that no rule knows, and the server that is there for it.
    ServedBy(&'static str),
    /// What the packages of a lock file allow.
    WhatAllows(String),
    /// Another rule, and the version of an SDK that `global.json` asks for.
    WithSdk(Box<Self>, Version),
    /// Another rule, and the release that it asks for gets no fixes any more.
    Unmaintained(Box<Self>),
    /// Both of two rules.
    And(Box<[Self; 2]>),
    /// The nearest version of a language that a base has: (language, version).
    Nearest(&'static str, String),
    /// The newest version of a language that a base has, which does for this one: (language, version).
    Newest(&'static str, String),
    /// The front end in that folder, and how its server gets it.
    FrontEnd(String, Fixed),
    /// A route in the sources.
    RouteAt(Evidence),
    /// What a command makes: `nest build`.
    WrittenBy(&'static str),
    /// The newest version that a version of a dependency builds with.
    BuildsWith(&'static str),
    /// A pin of a version that there is no image for: (pin, version); the nearest later one is taken.
    AsksFor(String, String),
    /// An alias of `deps.edn` whose namespace is in no file.
    Alias(&'static str),
}

impl From<Fixed> for Rule {
    fn from(fixed: Fixed) -> Self {
        Self::Is(fixed)
    }
}

impl Rule {
    /// This rule and another.
    pub fn and(self, other: impl Into<Self>) -> Self {
        Self::And(Box::new([self, other.into()]))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(fixed) => fixed.fmt(f),
            Self::Named(name) => f.write_str(name),
            Self::Manifest(name) => write!(f, "a {name}"),
            Self::Range(key, range) => write!(f, "{key} `{range}`"),
            Self::Within(pin, key, range) => write!(f, "{pin}, within {key} `{range}`"),
            Self::Procfile(name) => write!(f, "Procfile {name}"),
            Self::DependencyOn(name) => write!(f, "dependency `{name}`"),
            Self::Import(sign) => write!(f, "import `{sign}`"),
            Self::DefaultOf(name) => write!(f, "default of {name}"),
            Self::NotUnderstood(text, wanted) => write!(f, "default, `{text}` is no {wanted}"),
            Self::NewestFor(name) => write!(f, "the newest that this version of {name} runs on"),
            Self::InstallsOn(name) => {
                write!(f, "the newest that this version of {name} installs on")
            }
            Self::ApplicationOf(framework) => write!(f, "application of {framework}"),
            Self::ServedBy(server) => write!(f, "an application, and {server} to serve it"),
            Self::FrontEnd(dir, how) => write!(f, "the front end in {dir}: {how}"),
            Self::RouteAt(place) => write!(f, "route at {place}"),
            Self::WhatAllows(file) => write!(f, "what {file} allows"),
            Self::WithSdk(rule, sdk) => write!(f, "{rule}; SDK {sdk} by global.json"),
            Self::Unmaintained(rule) => write!(f, "{rule}; this release gets no fixes any more"),
            Self::And(rules) => write!(f, "{} and {}", rules[0], rules[1]),
            Self::WrittenBy(command) => write!(f, "where {command} writes"),
            Self::BuildsWith(name) => {
                write!(f, "the newest that this version of {name} builds with")
            }
            Self::AsksFor(pin, version) => {
                write!(f, "{pin} asks for {version}; the nearest that there is and that builds it")
            }
            Self::Alias(name) => {
                write!(f, "the alias {name} names no namespace that could be found")
            }
            Self::Newest(language, version) => {
                write!(f, "the newest {language} that this base has: {version} or later")
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
        what: What,
        value: impl Into<String>,
        rule: impl Into<Rule>,
        evidence: impl IntoIterator<Item = Evidence>,
    ) -> Self {
        Self {
            what,
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
