//! .NET: C#, F# and Visual Basic; one service for each project that makes a program.

mod lone;
mod msproject;
mod published;
mod target;

use self::{
    msproject::{EXTENSIONS, MsProject, Product},
    target::{DOTNET, Target, images, own_port, own_rule, start, target},
};
use crate::detect::{parts, prelude::*};

/// Frameworks by their packages.
static FRAMEWORKS: &[Framework] = &[
    framework("frank", &["Frank"], 0),
    framework("saturn", &["Saturn"], 0),
    framework("giraffe", &["Giraffe"], 0),
    framework("falco", &["Falco"], 0),
    framework("suave", &["Suave"], 0),
    framework("oxpecker", &["Oxpecker"], 0),
    framework("umbraco", &["Umbraco.Cms"], 0),
    framework("orchardcore", &["OrchardCore.Application"], 0),
];

/// Packages that bring a server on top of ASP.NET Core.
const SERVERS: &[&str] =
    &["Giraffe", "Saturn", "Falco", "Oxpecker", "Frank", "FastEndpoints", "Carter"];

/// Calls that fix the port, whatever the environment says.
const FIXES: &[&str] = &[
    "UseUrls(", ".Run(\"http", "ListenAnyIP(", "Urls.Add(", "startWebServer", "app.Run(url",
    "app.Run($", "UseKestrel(",
];

/// All services of .NET.
pub fn find(project: &Project<'_>) -> Vec<Facts> {
    let all: Vec<MsProject> = project
        .tree
        .dirs()
        .flat_map(|(dir, entries)| entries.files.iter().map(move |name| (dir, name)))
        .filter(|(_, name)| EXTENSIONS.iter().any(|extension| name.ends_with(extension)))
        .filter_map(|(dir, name)| MsProject::read(Folder::new(project, dir), name))
        .collect();
    // Pages that a server of the tree serves are a part of it.
    let is_hosted = |page: &MsProject| {
        all.iter()
            .any(|host| host.product == Product::Web && host.references().contains(&page.path))
    };
    let mut found: Vec<Facts> = all
        .iter()
        .filter(|found| match found.product {
            Product::Library => false,
            Product::Wasm => !is_hosted(found),
            _ => true,
        })
        .map(|found| service(project, &all, found))
        .collect();
    if found.is_empty() {
        let first = all.iter().min_by_key(|found| (found.path.matches('/').count(), &found.path));
        found.extend(first.map(|found| library(project, found)));
    }
    found.into_iter().chain(lone::services(project)).chain(published::services(project)).collect()
}

/// Libraries of the system that packages load when they run.
static LIBRARIES: &[Library] = &[
    parts::library("System.Drawing.Common", &[], &["libgdiplus"]),
    parts::library("DinkToPdf", &[], &["libgdiplus"]),
    parts::library("SkiaSharp", &[], &["libfontconfig1"]),
    parts::library("QuestPDF", &[], &["libfontconfig1"]),
];

/// Language, build system, version and the images.
fn base(at: Folder<'_>, found: &MsProject) -> (Facts, Target) {
    let mut facts = Facts::new(&DOTNET, at.dir);
    facts.id = match found.path.rsplit_once('.') {
        Some((_, "fsproj")) => "fsharp",
        Some((_, "vbproj")) => "vb",
        _ => DOTNET.id,
    };
    facts.name = found.stem.clone();
    let file = Evidence::file(&found.path);
    facts.decide(What::Language, facts.id, Fixed::ProjectExtension, [file]);
    facts.decide(What::BuildSystem, facts.tool, Fixed::SdkStyle, [found.place()]);
    let target = target(at, found);
    facts.decisions.push(target.decision.clone());
    // Some packages ask for ASP.NET Core where the SDK of the project does not.
    let is_web = found.product == Product::Web || has_server(found);
    images(&mut facts, target.sdk, target.runtime, is_web);
    (facts, target)
}

fn has_server(found: &MsProject) -> bool {
    SERVERS.iter().any(|name| found.package(name).is_some())
}

fn library(project: &Project<'_>, found: &MsProject) -> Facts {
    let (mut facts, _) = base(Folder::new(project, &found.dir), found);
    facts.build(".", format!("dotnet build {} -c Release", quote(&found.path)));
    facts.nothing(Fixed::NoDotnetProgram, [found.place()])
}

fn service(project: &Project<'_>, all: &[MsProject], found: &MsProject) -> Facts {
    let at = Folder::new(project, &found.dir);
    let (mut facts, target) = base(at, found);
    facts.weight = Weight::Starts;
    let files = at.sources(DOTNET.sources, &|dir| {
        project.tree.entries(dir).is_some_and(|entries| entries.has_ending(EXTENSIONS))
    });
    let known = framework::find(FRAMEWORKS, |name| found.package(name));
    match &known {
        Some(_) => facts.of_framework(known.as_ref(), Fixed::Package),
        None => framework_of(found, &files, &mut facts),
    }
    if let Some(path) = &target.strict {
        facts.decide(
            What::Version,
            target.sdk.to_string(),
            Fixed::OtherFeatureBand,
            [Evidence::file(path)],
        );
        facts.exclude.push(path.clone());
    }
    for row in LIBRARIES {
        let mut parts = found.closure(all).into_iter();
        if let Some(place) = parts.find_map(|part| part.package(row.name)) {
            facts.library(row, place);
        }
    }
    restore(at, all, found, &target, &mut facts);
    let mut publish = format!("dotnet publish {} -c Release -o {OUT}", quote(&found.path));
    if let Some(framework) = &target.framework {
        publish += &format!(" -f {}", quote(framework));
    }
    // The image has the runtime: the program is started as an assembly, not as a file of its own.
    for name in ["PublishAot", "PublishSingleFile", "PublishTrimmed", "SelfContained"] {
        if found.is_set(name) {
            publish += &format!(" -p:{name}=false");
        }
    }
    facts.build(".", publish);
    if found.product == Product::Wasm {
        facts.files(format!("{OUT}/wwwroot"), Missing::Index, Fixed::WhereItWrites, None);
        return facts;
    }
    start(&mut facts, &found.assembly(), Fixed::ItsAssembly, [found.place()]);
    front_end(at, found, &mut facts);
    let is_plain = matches!(found.product, Product::Console | Product::Worker);
    if let Some((port, place)) = source::address(&files).filter(|_| is_plain) {
        facts.port(Port::new(port, Fixed::ProgramAddress, Some(place)));
        return facts;
    }
    if found.product == Product::Console {
        facts.weigh_silent(found.packages().chain([found.stem.as_str()]));
    }
    if found.product == Product::Web || has_server(found) {
        facts.weight = facts.weight.max(Weight::Framework);
        web(at, &files, target.runtime, &mut facts);
    }
    facts
}

/// What a restore must see: the project, all it refers to, and the files that NuGet and MSBuild read above them.
fn restore(
    at: Folder<'_>,
    all: &[MsProject],
    found: &MsProject,
    target: &Target,
    facts: &mut Facts,
) {
    let tree = at.project.tree;
    let mut files = Vec::new();
    for part in found.closure(all) {
        files.push(part.path.clone());
        files.push(join(&part.dir, "packages.lock.json"));
        for dir in upward(&part.dir) {
            files.extend(READ_ABOVE.iter().map(|name| join(dir, name)));
        }
    }
    files.retain(|file| tree.has(file) && target.strict.as_ref() != Some(file));
    // What is imported imports more; a path that is worked out gives the step everything.
    let mut is_known = true;
    let mut files = compiled::reach(files, |path| {
        let imports = msproject::imports(at.project, path);
        is_known &= imports.is_some();
        imports.unwrap_or_default()
    });
    let sources: Vec<String> = files
        .iter()
        .filter(|path| path.to_ascii_lowercase().ends_with("nuget.config"))
        .flat_map(|path| msproject::package_folders(at.project, path))
        .collect();
    files.extend(sources);
    if !is_known {
        files.clear();
    }
    let mode = if at.has("packages.lock.json") { " --locked-mode" } else { "" };
    let command = format!("dotnet restore {}{mode}", quote(&found.path));
    facts.install(files, [Step::new(Kind::Install, ".", command)]);
}

/// Files that NuGet and MSBuild read in the folder of a project and above.
const READ_ABOVE: &[&str] = &[
    "Directory.Build.props", "Directory.Build.targets", "Directory.Packages.props",
    "Directory.Build.rsp", "nuget.config", "NuGet.config", "NuGet.Config", "global.json",
    ".config/dotnet-tools.json",
];

/// The framework that no package tells of.
fn framework_of(found: &MsProject, files: &[Rc<Text>], facts: &mut Facts) {
    let rendered = || {
        let calls = ["AddServerSideBlazor", "AddRazorComponents", "MapBlazorHub"];
        calls.iter().find_map(|call| source::mention(files, call))
    };
    let (id, rule, place) = match found.product {
        Product::Wasm => ("blazor", Fixed::BlazorSdk, None),
        Product::Web => match rendered() {
            Some(place) => ("blazor", Fixed::ServerComponents, Some(place)),
            None => ("aspnet-core", Fixed::WebSdk, None),
        },
        Product::Worker => ("dotnet-worker", Fixed::BackgroundHost, None),
        Product::Console | Product::Library => return,
    };
    facts.framework(id, rule, [place.unwrap_or_else(|| found.place())]);
}

/// A front end that the project's own targets build with npm: it needs Node.js where it is published.
fn front_end(at: Folder<'_>, found: &MsProject, facts: &mut Facts) {
    // The templates of Visual Studio call the front end so, in one or several variants; `wwwroot` is served as it is.
    let folders = at.entries().into_iter().flat_map(|entries| &entries.dirs);
    let clients = folders.filter(|name| name.starts_with("ClientApp") || *name == "wwwroot");
    facts.claims.extend(clients.map(|name| at.path(name)));
    let dir = match found.property("SpaRoot") {
        Some((folder, _)) => resolve(at.dir, &folder.replace('\\', "/")),
        None => {
            let scripts = found.references().into_iter().find(|path| path.ends_with(".esproj"));
            scripts.map(|path| parent(&path).to_owned())
        }
    };
    if let Some(dir) = dir.filter(|dir| Folder::new(at.project, dir).has("package.json")) {
        facts.with_node(at.project, &dir);
        facts.claims.push(dir);
    }
}

/// Port and health of a web application.
fn web(at: Folder<'_>, files: &[Rc<Text>], version: Version, facts: &mut Facts) {
    let ports = source::ports(files, DOTNET.listens);
    let is_told = ports.env.is_some();
    let is_fixed = || FIXES.iter().any(|call| source::mention(files, call).is_some());
    let port = match (ports.number.filter(|_| is_told || is_fixed()), configured(at)) {
        (Some((port, place)), _) => {
            Port { is_told, ..Port::new(port, Fixed::ProgramText, Some(place)) }
        }
        (None, Some((port, place))) => Port::new(port, Fixed::KestrelEndpoints, Some(place)),
        (None, None) if is_told => Port { is_told, ..Port::new(8080, own_rule(version), None) },
        (None, None) => own_port(facts, version),
    };
    facts.port(port);
    let health = files.iter().find_map(|file| {
        let call = "MapHealthChecks(\"";
        let at = file.text.find(call)?;
        let path = file.text[at + call.len()..].split('"').next()?;
        let fits = path.starts_with('/') && source::is_plain_path(path);
        fits.then(|| (path.to_owned(), Evidence::line(&file.path, Some(file.line_at(at)))))
    });
    if let Some((path, place)) = health {
        facts.health(path, Rule::Named("MapHealthChecks".to_owned()), [place]);
    }
}

/// The port of Kestrel's settings.
fn configured(at: Folder<'_>) -> Option<(u16, Evidence)> {
    ["appsettings.Production.json", "appsettings.json"].iter().find_map(|name| {
        let file = at.json(name)?;
        let endpoints = file.at(&["Kestrel", "Endpoints"]).into_iter().flat_map(Value::members);
        let urls = endpoints.filter_map(|(_, endpoint)| endpoint.get("Url"));
        urls.chain(file.get("Urls")).find_map(|url| {
            let text = url.as_str().filter(|text| text.starts_with("http://"))?;
            Some((source::number(text)?, at.place(name, Some(url.line))))
        })
    })
}
