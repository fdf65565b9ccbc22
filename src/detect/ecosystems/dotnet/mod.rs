//! .NET: C#, F# and Visual Basic; one service for each project that makes a program.

use std::rc::Rc;

use crate::detect::{
    Decision, Evidence, Project, Service, Text, Weight,
    ecosystems::{
        draft::{APP_DIR, OUT_DIR, draft, image, quote, wolfi},
        file_server::{self, Missing},
        node,
        pins::{pins, stated},
        source,
    },
    images::Family,
    model::{join, parent},
    versions::Version,
};

mod lone;
mod msproject;

use self::msproject::{Kind, MsProject, version_of};

/// What is taken when nothing is pinned.
const DEFAULT: (u32, u32) = (10, 0);

/// All services of .NET.
pub fn find(project: &Project<'_>) -> Vec<Service> {
    let mut all = Vec::new();
    for (dir, entries) in project.tree.dirs() {
        let is_project =
            |name: &&String| EXTENSIONS.iter().any(|extension| name.ends_with(extension));
        for name in entries.files.iter().filter(is_project) {
            all.extend(MsProject::read(project, &join(dir, name)));
        }
    }
    let kinds: Vec<Kind> = all.iter().map(MsProject::kind).collect();
    // Pages that a server of the tree serves are a part of it.
    let hosted = |page: &MsProject| {
        all.iter()
            .zip(&kinds)
            .any(|(host, kind)| *kind == Kind::Web && host.references().contains(&page.path))
    };
    let mut services: Vec<Service> = all
        .iter()
        .zip(&kinds)
        .filter(|(page, kind)| **kind != Kind::Wasm || !hosted(page))
        .filter(|(_, kind)| **kind != Kind::Library)
        .map(|(found, kind)| service(project, &all, found, *kind))
        .collect();
    let in_root_or_first =
        || all.iter().min_by_key(|found| (found.path.matches('/').count(), found.path.clone()));
    if services.is_empty() {
        services.extend(in_root_or_first().map(|found| library(project, found)));
    }
    services.extend(lone::services(project));
    services
}

/// Language, build system, version and the bases.
fn base(project: &Project<'_>, found: &MsProject, kind: Kind) -> (Service, Target) {
    let language = match found.path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("fsproj") => "fsharp",
        Some("vbproj") => "vb",
        _ => "csharp",
    };
    let mut service = draft(&found.dir, language, "dotnet");
    let evidence = || [Evidence::file(&found.path)];
    service.decide("language", language, "the extension of the project file", evidence());
    service.decide("build system", "dotnet", "a project of the SDK style", [found.evidence()]);
    service.name(found.stem.clone());
    let target = target(project, found);
    service.decisions.push(target.decision.clone());
    // Some packages ask for ASP.NET Core where the SDK of the project does not.
    let is_web = kind == Kind::Web || SERVERS.iter().any(|name| found.package(name).is_some());
    let runtime = if is_web { "aspnet" } else { "runtime" };
    let (major, minor) = target.runtime;
    match project.bases {
        Family::Official | Family::Debian => {
            service.spec.build.base = image(&registry("sdk", target.sdk));
            service.spec.runtime.base = image(&registry(runtime, target.runtime));
            if project.bases == Family::Debian {
                service.decide("base", "mcr.microsoft.com/dotnet", "Debian 12 has no .NET", []);
            }
            // The images have this user since .NET 8.
            let user = if major >= 8 { "app" } else { "1000:1000" };
            service.spec.runtime.user = Some(user.to_owned());
        }
        Family::Wolfi => {
            service.spec.build.base = wolfi();
            service.spec.runtime.base = wolfi();
            service.spec.build.packages.push(format!("dotnet-{}-sdk", target.sdk.0));
            let package = if is_web { "aspnet" } else { "dotnet" };
            service.spec.runtime.packages.push(format!("{package}-{major}-runtime"));
            service.spec.runtime.packages.push("icu-libs".to_owned());
            service.spec.runtime.user = Some("65532:65532".to_owned());
        }
    }
    service.decide(
        "base",
        format!("{runtime} {major}.{minor}"),
        "the runtime alone, without the SDK",
        [],
    );
    service.cache(["/root/.nuget/packages"]);
    (service, target)
}

/// A reference into Microsoft's registry; the repositories had another name before .NET 5.
fn registry(name: &str, (major, minor): (u32, u32)) -> String {
    let folder = match (major, minor) {
        (2, 2) | (3, 0) => "dotnet/core",
        _ => "dotnet",
    };
    format!("mcr.microsoft.com/{folder}/{name}:{major}.{minor}")
}

struct Target {
    /// The framework that is published for, as written.
    framework: Option<String>,
    runtime: (u32, u32),
    sdk: (u32, u32),
    decision: Decision,
    /// A `global.json` that would refuse the image's SDK.
    strict: Option<String>,
}

/// The newest of the target frameworks; `global.json` may ask for a newer SDK.
fn target(project: &Project<'_>, found: &MsProject) -> Target {
    let frameworks = found.frameworks();
    let newest = frameworks
        .iter()
        .filter_map(|(name, seen)| Some((version_of(name)?, name, seen)))
        .max_by_key(|(version, ..)| *version);
    let mut decision;
    let mut runtime = DEFAULT;
    match newest {
        Some((version, name, evidence)) => {
            runtime = version;
            let rule = format!("TargetFramework {name}");
            decision = Decision::new(
                "version",
                format!("{}.{}", version.0, version.1),
                rule,
                [evidence.clone()],
            );
            for (other, evidence) in frameworks.iter().filter(|(other, _)| other != name) {
                decision =
                    decision.not(other.clone(), Some(evidence.clone()), "older, or not for Linux");
            }
        }
        None => {
            decision = Decision::new(
                "version",
                format!("{}.{}", DEFAULT.0, DEFAULT.1),
                "default of the table",
                [],
            )
        }
    }
    let mut sdk = runtime;
    let mut strict = None;
    let managers = pins(project, &found.dir, &[], &["dotnet", "dotnet-core"]);
    let stated = stated(project, &found.dir);
    if let Some(pin) = stated.iter().chain(&managers).next()
        && let Some(version) = Version::parse(&pin.version)
    {
        sdk = sdk.max((version.major, version.minor.unwrap_or(0)));
    }
    if let Some((path, file)) = global_json(project, &found.dir)
        && let Some(value) = file.at(&["sdk", "version"])
        && let Some(version) = value.as_str().and_then(Version::parse)
    {
        let pinned = (version.major, version.minor.unwrap_or(0));
        let evidence = Evidence::line(&path, Some(value.line));
        let rolls = file.str_at(&["sdk", "rollForward"]).unwrap_or("latestPatch");
        let is_strict = !matches!(
            rolls,
            "feature" | "minor" | "major" | "latestFeature" | "latestMinor" | "latestMajor"
        );
        if pinned > sdk {
            sdk = pinned;
            decision.evidence.push(evidence);
            decision.rule =
                format!("{}; SDK {}.{} by global.json", decision.rule, pinned.0, pinned.1).into();
        } else if pinned < sdk {
            decision = decision.not(
                format!("{}.{}", pinned.0, pinned.1),
                Some(evidence),
                "an SDK that old can't build for the target framework",
            );
        }
        // The image has one feature band of each SDK; another would be refused.
        if (is_strict || pinned < sdk) && !file.has("msbuild-sdks") {
            strict = Some(path);
        }
    }
    let framework = newest.map(|(_, name, _)| name.clone()).filter(|_| found.is_multi_targeted());
    Target { framework, runtime, sdk, decision, strict }
}

fn global_json(
    project: &Project<'_>,
    dir: &str,
) -> Option<(String, crate::detect::manifest::Value)> {
    let mut at = dir;
    loop {
        let path = join(at, "global.json");
        if let Some(file) = project.tree.json(&path) {
            return Some((path, file));
        }
        if at == "." {
            return None;
        }
        at = parent(at);
    }
}

fn library(project: &Project<'_>, found: &MsProject) -> Service {
    let (mut service, _) = base(project, found, Kind::Library);
    service.spec.build.commands = vec![format!("dotnet build {} -c Release", quote(&found.path))];
    service.decide(
        "start command",
        "",
        "no project makes a program: a library",
        [found.evidence()],
    );
    service
}

fn service(project: &Project<'_>, all: &[MsProject], found: &MsProject, kind: Kind) -> Service {
    let (mut service, target) = base(project, found, kind);
    service.weight = Weight::Starts;
    let files = source::gather(project, &found.dir, &["cs", "fs", "vb"], &|dir| {
        project.tree.entries(dir).is_some_and(|entries| {
            EXTENSIONS.iter().any(|ext| entries.ending(ext).next().is_some())
        })
    });
    if let Some((id, rule, evidence)) = framework(found, kind, &files) {
        service.framework(id, rule, [evidence]);
    }
    if let Some(path) = &target.strict {
        let why =
            "left out of the build: the image's SDK has another feature band than it insists on";
        service.decide(
            "version",
            format!("{}.{}", target.sdk.0, target.sdk.1),
            why,
            [Evidence::file(path)],
        );
        service.spec.build.exclude.push(path.clone());
    }
    restore(project, &mut service, all, found, &target);
    let mut publish = format!("dotnet publish {} -c Release -o {OUT_DIR}", quote(&found.path));
    if let Some(framework) = &target.framework {
        publish.push_str(&format!(" -f {}", quote(framework)));
    }
    // The image has the runtime: the program is started as an assembly, not as a file of its own.
    for name in ["PublishAot", "PublishSingleFile", "PublishTrimmed", "SelfContained"] {
        if found.is_set(name) {
            publish.push_str(&format!(" -p:{name}=false"));
        }
    }
    service.decide(
        "build command",
        publish.clone(),
        "what deploys a .NET project",
        [found.evidence()],
    );
    service.spec.build.commands.push(publish);
    if kind == Kind::Wasm {
        service.spec.runtime.packages.clear();
        file_server::serve(
            &mut service.spec,
            project.bases,
            &format!("{OUT_DIR}/wwwroot"),
            Missing::Index,
        );
        service.decide_file_server();
        return service;
    }
    service.copy(OUT_DIR, APP_DIR);
    service.spec.runtime.workdir = Some(APP_DIR.to_owned());
    let assembly = format!("{APP_DIR}/{}.dll", found.assembly());
    service.start(["dotnet", assembly.as_str()], "the project's assembly", [found.evidence()]);
    front_end(project, &mut service, found);
    let works = found.packages().any(source::is_background) || source::is_background(&found.stem);
    let is_plain = matches!(kind, Kind::Console | Kind::Worker);
    if let Some((port, evidence)) = source::address(&files).filter(|_| is_plain) {
        service.port(port, "the address that the program binds to", [evidence]);
        return service;
    }
    if kind == Kind::Console && !works && found.dir != "." {
        // A console program beside services is a tool; alone it is what there is.
        service.weight = Weight::Manifest;
    }
    if kind == Kind::Web || SERVERS.iter().any(|name| found.package(name).is_some()) {
        service.weight = service.weight.max(Weight::Framework);
        web(project, &mut service, found, &files, target.runtime);
    }
    service
}

/// What a restore must see: the project, all it refers to, and the files that NuGet and MSBuild read above them.
fn restore(
    project: &Project<'_>,
    service: &mut Service,
    all: &[MsProject],
    found: &MsProject,
    target: &Target,
) {
    let mut files = Vec::new();
    for part in found.closure(all) {
        files.push(part.path.clone());
        files.push(join(&part.dir, "packages.lock.json"));
        let mut at = part.dir.as_str();
        loop {
            let names = [
                "Directory.Build.props", "Directory.Build.targets", "Directory.Packages.props",
                "nuget.config", "NuGet.config", "NuGet.Config", "global.json",
            ];
            files.extend(names.map(|name| join(at, name)));
            if at == "." {
                break;
            }
            at = parent(at);
        }
    }
    files.retain(|file| project.tree.has(file) && target.strict.as_ref() != Some(file));
    let locked = project.tree.has(&join(&found.dir, "packages.lock.json"));
    let mode = if locked { " --locked-mode" } else { "" };
    service.dependencies(files, vec![format!("dotnet restore {}{mode}", quote(&found.path))]);
}

fn framework(
    found: &MsProject,
    kind: Kind,
    files: &[Rc<Text>],
) -> Option<(&'static str, &'static str, Evidence)> {
    let packages = [
        ("frank", "Frank"),
        ("saturn", "Saturn"),
        ("giraffe", "Giraffe"),
        ("falco", "Falco"),
        ("suave", "Suave"),
        ("oxpecker", "Oxpecker"),
        ("umbraco", "Umbraco.Cms"),
        ("orchardcore", "OrchardCore.Application"),
    ];
    if let Some((id, evidence)) =
        packages.iter().find_map(|(id, name)| Some((*id, found.package(name)?)))
    {
        return Some((id, "a package", evidence));
    }
    match kind {
        Kind::Wasm => Some(("blazor", "the SDK of Blazor WebAssembly", found.evidence())),
        Kind::Web => {
            let blazor = ["AddServerSideBlazor", "AddRazorComponents", "MapBlazorHub"];
            match blazor.iter().find_map(|call| source::mention(files, call)) {
                Some(evidence) => Some(("blazor", "components that the server renders", evidence)),
                None => Some(("aspnet-core", "the SDK of web applications", found.evidence())),
            }
        }
        Kind::Worker => Some(("dotnet-worker", "a host of background services", found.evidence())),
        Kind::Console | Kind::Library => None,
    }
}

/// A front end that the project's own targets build with npm: it needs Node.js where it is published.
fn front_end(project: &Project<'_>, service: &mut Service, found: &MsProject) {
    let spa = found.property("SpaRoot");
    let scripts = found
        .references()
        .into_iter()
        .find(|path| path.ends_with(".esproj"))
        .map(|path| (path.clone(), Evidence::file(path)));
    // The templates of Visual Studio call the front end so, in one or several variants; `wwwroot` is served as it is.
    let folders = project.tree.entries(&found.dir).map(|entries| &entries.dirs);
    let clients = folders
        .into_iter()
        .flatten()
        .filter(|name| name.starts_with("ClientApp") || *name == "wwwroot");
    service.claims.extend(clients.map(|name| join(&found.dir, name)));
    let Some((folder, evidence)) = spa.or(scripts) else { return };
    let dir = match folder.strip_suffix(".esproj") {
        Some(_) => Some(parent(&folder).to_owned()),
        None => crate::detect::ecosystems::draft::resolve(&found.dir, &folder.replace('\\', "/")),
    };
    if let Some(dir) = dir.filter(|dir| project.tree.has(&join(dir, "package.json"))) {
        service.build_packages(["nodejs", "npm"]);
        service.decide(
            "packages",
            "nodejs npm",
            "the project builds its front end when it is published",
            [evidence],
        );
        // The images' Node.js may be too old for the front end.
        let update = node::assets(project, &dir).and_then(|assets| {
            assets.install.into_iter().find(|command| command.starts_with("npm install -g node@"))
        });
        if let Some(update) = update {
            service.spec.build.commands.insert(0, update);
        }
        service.claims.push(dir);
    }
}

/// Port and health of a web application.
fn web(
    project: &Project<'_>,
    service: &mut Service,
    found: &MsProject,
    files: &[Rc<Text>],
    version: (u32, u32),
) {
    let ports = source::ports(
        files,
        &[
            "UseUrls(", ".Run(\"", "ListenAnyIP(", "Urls.Add(", "startWebServer",
            "ListenLocalhost(", "app.Run(url", "app.Run($",
        ],
    );
    let mut configured = None;
    for name in ["appsettings.Production.json", "appsettings.json"] {
        let path = join(&found.dir, name);
        let Some(file) = project.tree.json(&path) else { continue };
        let endpoints =
            file.at(&["Kestrel", "Endpoints"]).into_iter().flat_map(|all| all.members());
        let urls =
            endpoints.filter_map(|(_, endpoint)| endpoint.get("Url")).chain(file.get("Urls"));
        let plain = urls.filter(|url| url.as_str().is_some_and(|text| text.starts_with("http://")));
        let mut found = plain.filter_map(|url| {
            Some((source::number(url.as_str()?)?, Evidence::line(&path, Some(url.line))))
        });
        configured = configured.or_else(|| found.next());
    }
    let listens = [
        "UseUrls(", ".Run(\"http", "ListenAnyIP(", "Urls.Add(", "startWebServer", "app.Run(url",
        "app.Run($", "UseKestrel(",
    ];
    let is_fixed = listens.iter().any(|call| source::mention(files, call).is_some());
    match (ports.number.filter(|_| is_fixed || ports.env.is_some()), configured) {
        (Some((port, evidence)), _) => {
            service.port(port, "the program's text", [evidence]);
            if ports.env.is_some() {
                service.env("PORT", port.to_string());
            }
        }
        (None, Some((port, evidence))) => service.port(port, "Kestrel's endpoints", [evidence]),
        (None, None) => {
            let rule = match version {
                (8.., _) => "the images' default",
                _ => "the images' default, 80, is for root",
            };
            service.port(8080, rule, []);
            match ports.env {
                Some(_) => service.env("PORT", "8080"),
                // Older images listen on 80, which only root may have.
                None if version < (8, 0) || project.bases == Family::Wolfi => {
                    service.env("ASPNETCORE_URLS", "http://+:8080")
                }
                None => service.env("ASPNETCORE_HTTP_PORTS", "8080"),
            }
        }
    }
    let health = files.iter().find_map(|file| {
        let at = file.text.find("MapHealthChecks(\"")?;
        let path = file.text[at + "MapHealthChecks(\"".len()..].split('"').next()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
        let fits = path.starts_with('/') && path.chars().all(plain);
        fits.then(|| (path.to_owned(), Evidence::line(&file.path, Some(file.line_at(at)))))
    });
    if let Some((path, evidence)) = health {
        service.decide("health", path.clone(), "MapHealthChecks", [evidence]);
        service.spec.runtime.health = Some(path);
    }
}

/// Packages that bring a server on top of ASP.NET Core.
const SERVERS: &[&str] =
    &["Giraffe", "Saturn", "Falco", "Oxpecker", "Frank", "FastEndpoints", "Carter"];

const EXTENSIONS: [&str; 3] = [".csproj", ".fsproj", ".vbproj"];
