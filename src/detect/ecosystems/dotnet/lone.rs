//! Programs of one file: `dotnet run app.cs` of .NET 10, without a project file.

use super::target::{DEFAULT, DOTNET, images, start};
use crate::detect::prelude::*;

/// Folders with a file that is a program and no project, themselves or above.
///
/// <https://learn.microsoft.com/dotnet/core/sdk/file-based-apps>
pub(super) fn services<'a>(project: &'a Project<'_>) -> impl Iterator<Item = Facts> + 'a {
    project.tree.dirs().filter_map(move |(dir, entries)| {
        if entries.ending(".cs").next().is_none()
            || upward(dir).any(|dir| has_project(project, dir))
        {
            return None;
        }
        let at = Folder::new(project, dir);
        let names = entries.ending(".cs").take(FILES_MAX);
        let all: Vec<(&str, Rc<Text>)> =
            names.filter_map(|name| Some((name, at.read(name)?))).collect();
        let chosen = all.iter().find(|(_, text)| has_directives(&text.text));
        let lone = || all.first().filter(|(_, text)| all.len() == 1 && is_program(&text.text));
        let (name, text) = chosen.or_else(lone)?;
        Some(service(at, name, text))
    })
}

fn has_project(project: &Project<'_>, dir: &str) -> bool {
    project.tree.entries(dir).is_some_and(|entries| {
        entries.has_ending(&[".csproj", ".fsproj", ".vbproj", ".sln", ".slnx"])
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

fn service(at: Folder<'_>, name: &str, text: &Rc<Text>) -> Facts {
    let place = || [Evidence::file(&text.path)];
    let is_web =
        text.text.contains("Microsoft.NET.Sdk.Web") || text.text.contains("WebApplication.");
    let mut facts = Facts::new(&DOTNET, at.dir);
    facts.weight = Weight::Starts;
    facts.known_as(Fixed::OneFile, Fixed::RunsFiles, Evidence::file(&text.path));
    facts.decide(What::Version, DEFAULT.to_string(), Fixed::FirstThatBuildsFiles, []);
    images(&mut facts, DEFAULT, DEFAULT, is_web);
    // The image has the runtime; by itself such a file is published as machine code.
    let publish = format!("dotnet publish {} -c Release -o {OUT} -p:PublishAot=false", quote(name));
    facts.build(at.dir, publish);
    let stem = name.strip_suffix(".cs").unwrap_or(name);
    start(&mut facts, stem, Fixed::ProgramAssembly, place());
    let files = [text.clone()];
    let address = source::address(&files);
    let port = |(port, place), rule| Port::new(port, rule, Some(place));
    if !is_web {
        facts.port(address.map(|found| port(found, Fixed::ProgramAddress)));
        return facts;
    }
    facts.framework("aspnet-core", Fixed::WebSdkOfFile, place());
    let found = address.or_else(|| source::ports(&files, &["Run(", "Urls.Add("]).number);
    if found.is_none() {
        facts.env("ASPNETCORE_HTTP_PORTS", "8080");
    }
    facts.port(match found {
        Some(found) => port(found, Fixed::ProgramText),
        None => Port::new(8080, Fixed::PortOfImages, None),
    });
    facts
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
