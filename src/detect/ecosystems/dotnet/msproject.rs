//! MSBuild project files: what kind of program a project is, for which .NET, and what it refers to.

use std::collections::BTreeSet;

use crate::detect::{
    Evidence, Project,
    ecosystems::draft::resolve,
    manifest::Element,
    model::{join, parent},
};

/// A project file.
#[derive(Clone, Debug)]
pub(super) struct MsProject {
    /// Its path.
    pub(super) path: String,
    /// The folder it lies in.
    pub(super) dir: String,
    /// Its file name without extension.
    pub(super) stem: String,
    /// Its root element.
    root: Element,
    /// Files that MSBuild and NuGet import by themselves, the nearest first.
    shared: Vec<(String, Element)>,
}

/// What a project makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A web application.
    Web,
    /// Pages that run in the browser.
    Wasm,
    /// A background service.
    Worker,
    /// A console program.
    Console,
    /// Something that other projects use, or that tests.
    Library,
}

impl MsProject {
    /// Reads a project file of the SDK style; others (of the .NET Framework) need Windows.
    pub(super) fn read(project: &Project<'_>, path: &str) -> Option<Self> {
        let root = project.tree.xml(path).filter(|root| root.name == "Project")?;
        let dir = parent(path).to_owned();
        let stem = path.rsplit('/').next()?.rsplit_once('.')?.0.to_owned();
        let mut shared = Vec::new();
        let mut at = dir.as_str();
        loop {
            for name in ["Directory.Build.props", "Directory.Packages.props"] {
                let props = join(at, name);
                shared.extend(project.tree.xml(&props).map(|element| (props, element)));
            }
            if at == "." {
                break;
            }
            at = parent(at);
        }
        let is_sdk = root.attribute("Sdk").is_some()
            || root.child("Sdk").is_some()
            || root.children_named("Import").any(|import| import.attribute("Sdk").is_some());
        is_sdk.then_some(Self { path: path.to_owned(), dir, stem, root, shared })
    }

    fn sdk(&self) -> String {
        let attribute = self.root.attribute("Sdk").unwrap_or_default();
        let child = self.root.children_named("Sdk").filter_map(|sdk| sdk.attribute("Name"));
        let import =
            self.root.children_named("Import").filter_map(|import| import.attribute("Sdk"));
        [attribute].into_iter().chain(child).chain(import).collect::<Vec<_>>().join(";")
    }

    /// Where the SDK is named.
    pub(super) fn evidence(&self) -> Evidence {
        Evidence::line(&self.path, Some(self.root.line))
    }

    /// A property of the project, else of what it imports, with its place; one under a condition where there is no other.
    pub(super) fn property(&self, name: &str) -> Option<(String, Evidence)> {
        self.value(name, true).or_else(|| self.value(name, false))
    }

    fn value(&self, name: &str, is_always: bool) -> Option<(String, Evidence)> {
        let holds = |element: &Element| match element.attribute("Condition") {
            // Only a default: nothing else gives it a value.
            Some(text) => text.replace(' ', "") == format!("'$({name})'==''"),
            None => true,
        };
        let of = |element: &Element, path: &str| {
            let groups = element.children_named("PropertyGroup");
            let found = groups
                .filter(|group| !is_always || holds(group))
                .flat_map(|group| group.children_named(name))
                .find(|value| !value.text.is_empty() && (!is_always || holds(value)))?;
            Some((found.text.clone(), Evidence::line(path, Some(found.line))))
        };
        let found = of(&self.root, &self.path)
            .or_else(|| self.shared.iter().find_map(|(path, element)| of(element, path)))?;
        // `$(Other)` is looked up once.
        match found.0.strip_prefix("$(").and_then(|rest| rest.strip_suffix(')')) {
            Some(other) if other != name && !other.contains('$') => self.property(other),
            _ => Some(found),
        }
    }

    /// Whether a property is `true`, under any condition.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.value(name, true).is_some_and(|(value, _)| value.eq_ignore_ascii_case("true"))
    }

    /// The values of `Include` of all items of one kind, with their lines.
    fn items(&self, kind: &str) -> Vec<(&str, usize)> {
        let groups = self.root.children_named("ItemGroup");
        let items = groups.flat_map(|group| group.children.iter().filter(|item| item.name == kind));
        items.filter_map(|item| Some((item.attribute("Include")?, item.line))).collect()
    }

    /// Where a package whose name begins so is referred to.
    pub(super) fn package(&self, prefix: &str) -> Option<Evidence> {
        let prefix = prefix.to_ascii_lowercase();
        let (_, line) = self
            .items("PackageReference")
            .into_iter()
            .find(|(name, _)| name.to_ascii_lowercase().starts_with(&prefix))?;
        Some(Evidence::line(&self.path, Some(line)))
    }

    /// Names of the packages it refers to.
    pub(super) fn packages(&self) -> impl Iterator<Item = &str> {
        self.items("PackageReference").into_iter().map(|(name, _)| name)
    }

    /// Paths of the projects that it refers to.
    pub(super) fn references(&self) -> Vec<String> {
        let items = self.items("ProjectReference").into_iter();
        items.filter_map(|(path, _)| resolve(&self.dir, &path.replace('\\', "/"))).collect()
    }

    /// All projects that it is built with, itself first.
    pub(super) fn closure<'a>(&'a self, all: &'a [Self]) -> Vec<&'a Self> {
        let mut found = vec![self];
        let mut seen = BTreeSet::from([self.path.clone()]);
        let mut at = 0;
        while let Some(project) = found.get(at).copied() {
            for path in project.references() {
                if let Some(next) = all
                    .iter()
                    .find(|other| other.path == path)
                    .filter(|_| seen.insert(path.clone()))
                {
                    found.push(next);
                }
            }
            at += 1;
        }
        found
    }

    /// What it makes.
    pub(super) fn kind(&self) -> Kind {
        let sdk = self.sdk();
        let tests =
            ["Microsoft.NET.Test.Sdk", "xunit", "nunit", "MSTest", "TUnit", "BenchmarkDotNet"];
        let is_test = self.is_set("IsTestProject")
            || sdk.contains("MSTest.Sdk")
            || tests.iter().any(|name| self.package(name).is_some());
        // Aspire's host starts the others on a developer's machine.
        let is_host = sdk.contains("Aspire.AppHost.Sdk")
            || self.package("Aspire.Hosting.AppHost").is_some()
            || self.is_set("IsAspireHost");
        let output = self.property("OutputType").map(|(value, _)| value.to_ascii_lowercase());
        let is_program = matches!(output.as_deref(), Some("exe" | "winexe"));
        let is_library =
            output.as_deref() == Some("library") || self.is_set("IsAspireSharedProject");
        let frameworks = self.frameworks();
        let other_system = ["-windows", "-android", "-ios", "-maccatalyst", "-tizen"];
        let is_elsewhere = !frameworks.is_empty()
            && frameworks.iter().all(|(name, _)| other_system.iter().any(|os| name.contains(os)));
        if is_test
            || is_host
            || is_library
            || is_elsewhere
            || sdk.contains("NoTargets")
            || sdk.contains("Traversal")
        {
            return Kind::Library;
        }
        if sdk.contains("BlazorWebAssembly") {
            return Kind::Wasm;
        }
        if sdk.contains("Sdk.Web") {
            return Kind::Web;
        }
        if sdk.contains("Sdk.Worker") {
            return Kind::Worker;
        }
        if !is_program {
            return Kind::Library;
        }
        let is_web = self
            .items("FrameworkReference")
            .iter()
            .any(|(name, _)| *name == "Microsoft.AspNetCore.App")
            || self.package("Microsoft.AspNetCore.App").is_some()
            || self.package("Suave").is_some();
        match is_web {
            true => Kind::Web,
            false if self.package("Microsoft.Extensions.Hosting").is_some() => Kind::Worker,
            false => Kind::Console,
        }
    }

    /// Target frameworks as written, with their place.
    pub(super) fn frameworks(&self) -> Vec<(String, Evidence)> {
        let one = self.property("TargetFramework");
        let several = || {
            let (value, evidence) = self.property("TargetFrameworks")?;
            let names = value.split(';').map(|name| (name.trim().to_owned(), evidence.clone()));
            Some(names.filter(|(name, _)| !name.is_empty()).collect::<Vec<_>>())
        };
        match one {
            Some(one) => vec![one],
            None => several().unwrap_or_default(),
        }
    }

    /// Whether it builds for several frameworks, so that one must be named.
    pub(super) fn is_multi_targeted(&self) -> bool {
        self.property("TargetFramework").is_none() && self.frameworks().len() > 1
    }

    /// The name of what it makes, without extension.
    pub(super) fn assembly(&self) -> String {
        let named = self.property("AssemblyName").map(|(name, _)| name);
        let plain = |name: &String| !name.contains(['$', '/']) && !name.is_empty();
        named
            .map(|name| name.replace("$(MSBuildProjectName)", &self.stem))
            .filter(plain)
            .unwrap_or_else(|| self.stem.clone())
    }
}

/// Major and minor of a target framework: `net8.0`, `netcoreapp3.1`, `net8.0-windows`.
pub(super) fn version_of(framework: &str) -> Option<(u32, u32)> {
    let rest = framework.strip_prefix("netcoreapp").or_else(|| framework.strip_prefix("net"))?;
    let number = rest.split('-').next()?;
    let (major, minor) = number.split_once('.')?;
    let version = (major.parse().ok()?, minor.parse().ok()?);
    (version >= (1, 0) && framework != "net4.8").then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_framework_has_a_version() {
        let check = |name: &str, want| assert_eq!(version_of(name), want, "{name}");
        check("net8.0", Some((8, 0)));
        check("net10.0", Some((10, 0)));
        check("netcoreapp3.1", Some((3, 1)));
        check("net8.0-windows", Some((8, 0)));
        check("netstandard2.0", None);
        check("net48", None);
    }
}
