//! Programs of one file: `dotnet run app.cs` of .NET 10, without a project file.

use super::{APP_DIR, OUT_DIR, image, registry};
use crate::detect::{
    Evidence, Project, Service, Text, Weight,
    ecosystems::{
        draft::{draft, quote, within, wolfi},
        source,
    },
    images::Family,
    model::{join, upward},
};

/// Folders with a file that is a program and no project, themselves or above.
///
/// <https://learn.microsoft.com/dotnet/core/sdk/file-based-apps>
pub(super) fn services(project: &Project<'_>) -> Vec<Service> {
    let mut found: Vec<Service> = Vec::new();
    for (dir, entries) in project.tree.dirs() {
        if entries.ending(".cs").next().is_none()
            || upward(dir).any(|dir| has_project(project, dir))
        {
            continue;
        }
        let texts = entries.ending(".cs").take(FILES_MAX).filter_map(|name| {
            let text = project.tree.read(&join(dir, name))?;
            Some((name, text))
        });
        let all: Vec<(&str, _)> = texts.collect();
        let chosen = all.iter().find(|(_, text)| has_directives(&text.text));
        let lone = || all.first().filter(|(_, text)| all.len() == 1 && is_program(&text.text));
        if let Some((name, text)) = chosen.or_else(lone) {
            found.push(service(project, dir, name, text));
        }
    }
    found
}

fn has_project(project: &Project<'_>, dir: &str) -> bool {
    let ends = [".csproj", ".fsproj", ".vbproj", ".sln", ".slnx"];
    project.tree.entries(dir).is_some_and(|entries| {
        ends.iter().any(|end| entries.ending(end).next().is_some())
            || entries.has("ProjectVersion.txt")
    })
}

/// `#:sdk`, `#:package`, `#:property` or a first line for the shell.
fn has_directives(text: &str) -> bool {
    text.lines()
        .take(HEAD_LINES_MAX)
        .any(|line| line.starts_with("#:") || line.starts_with("#!") && line.contains("dotnet"))
}

/// Statements that no class is around.
fn is_program(text: &str) -> bool {
    let starts = ["var ", "Console.", "await ", "app.", "using var "];
    text.lines().any(|line| starts.iter().any(|start| line.starts_with(start)))
}

fn service(project: &Project<'_>, dir: &str, name: &str, text: &std::rc::Rc<Text>) -> Service {
    let mut service = draft(dir, "csharp", "dotnet");
    service.weight = Weight::Starts;
    let place = || [Evidence::file(&text.path)];
    service.decide("language", "csharp", "a program in one file", place());
    service.decide("build system", "dotnet", "`dotnet run` takes files since .NET 10", place());
    service.decide("version", "10.0", "the first that builds files", []);
    let is_web =
        text.text.contains("Microsoft.NET.Sdk.Web") || text.text.contains("WebApplication.");
    let runtime = if is_web { "aspnet" } else { "runtime" };
    match project.bases {
        Family::Wolfi => {
            service.spec.build.base = wolfi();
            service.spec.runtime.base = wolfi();
            service.build_packages(["dotnet-10-sdk"]);
            let package = if is_web { "aspnet-10-runtime" } else { "dotnet-10-runtime" };
            service.runtime_packages([package, "icu-libs"]);
            service.spec.runtime.user = Some("65532:65532".to_owned());
        }
        _ => {
            service.spec.build.base = image(&registry("sdk", (10, 0)));
            service.spec.runtime.base = image(&registry(runtime, (10, 0)));
            service.spec.runtime.user = Some("app".to_owned());
        }
    }
    service.cache(["/root/.nuget/packages"]);
    // The image has the runtime; by itself such a file is published as machine code.
    let publish =
        format!("dotnet publish {} -c Release -o {OUT_DIR} -p:PublishAot=false", quote(name));
    let publish = within(dir, &publish);
    service.decide("build command", publish.clone(), "what deploys a program in one file", place());
    service.spec.build.commands.push(publish);
    service.copy(OUT_DIR, APP_DIR);
    service.spec.runtime.workdir = Some(APP_DIR.to_owned());
    let stem = name.strip_suffix(".cs").unwrap_or(name);
    let assembly = format!("{APP_DIR}/{stem}.dll");
    service.start(["dotnet", assembly.as_str()], "the program's assembly", place());
    let files = [text.clone()];
    if is_web {
        service.framework("aspnet-core", "the web SDK", place());
        match source::address(&files)
            .or_else(|| source::ports(&files, &["Run(", "Urls.Add("]).number)
        {
            Some((port, seen)) => service.port(port, "the program's text", [seen]),
            None => {
                service.port(8080, "the images' default", []);
                service.env("ASPNETCORE_HTTP_PORTS", "8080");
            }
        }
    } else if let Some((port, seen)) = source::address(&files) {
        service.port(port, "the address that the program binds to", [seen]);
    }
    service
}

const FILES_MAX: usize = 40;
const HEAD_LINES_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_directives_or_statements_of_its_own() {
        assert!(has_directives("#:sdk Microsoft.NET.Sdk.Web\nvar x = 1;"));
        assert!(has_directives("#!/usr/bin/env dotnet\n"));
        assert!(!has_directives("#region x\nclass A {}"));
        assert!(is_program("using System;\nConsole.WriteLine(1);"));
        assert!(!is_program("namespace A;\nclass B {\n    var x = 1;\n}"));
    }
}
