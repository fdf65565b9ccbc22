//! MSBuild project files: what kind of program a project is, for which .NET, and what it refers to.

use std::collections::BTreeSet;

use crate::{detect::prelude::*, manifest::Element};

/// Extensions of project files.
pub(super) const EXTENSIONS: &[&str] = &[".csproj", ".fsproj", ".vbproj"];

/// A project file.
#[derive(Clone, Debug)]
pub(super) struct MsProject {
    /// Its path.
    pub(super) path: String,
    /// The folder it lies in.
    pub(super) dir: String,
    /// Its file name without extension.
    pub(super) stem: String,
    /// What it makes.
    pub(super) product: Product,
    /// Its root element.
    root: Element,
    /// Files that MSBuild and NuGet import by themselves, the nearest first.
    shared: Vec<(String, Element)>,
}

/// What a project makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Product {
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
    pub(super) fn read(at: Folder<'_>, name: &str) -> Option<Self> {
        let tree = at.project.tree;
        let path = at.path(name);
        let root = tree.xml(&path).filter(|root| root.name == "Project")?;
        let props = upward(at.dir).flat_map(|dir| {
            ["Directory.Build.props", "Directory.Packages.props"].map(|name| join(dir, name))
        });
        let shared =
            props.filter_map(|path| tree.xml(&path).map(|element| (path, element))).collect();
        let (dir, stem) = (at.dir.to_owned(), name.rsplit_once('.')?.0.to_owned());
        let mut found = Self { path, dir, stem, product: Product::Library, root, shared };
        found.sdks().next()?;
        found.product = found.makes();
        Some(found)
    }

    /// The SDKs it names, in any of three ways.
    fn sdks(&self) -> impl Iterator<Item = &str> {
        let child = self.root.children_named("Sdk").filter_map(|sdk| sdk.attribute("Name"));
        let import =
            self.root.children_named("Import").filter_map(|import| import.attribute("Sdk"));
        self.root.attribute("Sdk").into_iter().chain(child).chain(import)
    }

    /// Where the SDK is named.
    pub(super) fn place(&self) -> Evidence {
        Evidence::line(&self.path, Some(self.root.line))
    }

    /// A property of the project, else of what it imports, with its place; one under a condition where there is no other.
    pub(super) fn property(&self, name: &str) -> Option<(String, Evidence)> {
        let written = |name: &str| self.value(name, true).or_else(|| self.value(name, false));
        let mut found = written(name)?;
        // `$(Other)` is another one's value; they may go in circles.
        for _ in 0..LOOKUPS_MAX {
            let other = found.0.strip_prefix("$(").and_then(|rest| rest.strip_suffix(')'));
            let Some(other) = other.filter(|other| !other.contains('$')) else { break };
            found = written(other)?;
        }
        Some(found)
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
        of(&self.root, &self.path)
            .or_else(|| self.shared.iter().find_map(|(path, element)| of(element, path)))
    }

    /// Whether a property is `true` under no condition.
    pub(super) fn is_set(&self, name: &str) -> bool {
        let value = self.value(name, true).and_then(|_| self.property(name));
        value.is_some_and(|(value, _)| value.eq_ignore_ascii_case("true"))
    }

    /// The values of `Include` of all items of one kind, with their lines.
    fn items(&self, kind: &str) -> Vec<(&str, usize)> {
        let groups = self.root.children_named("ItemGroup");
        let items = groups.flat_map(|group| group.children.iter().filter(|item| item.name == kind));
        items.filter_map(|item| Some((item.attribute("Include")?, item.line))).collect()
    }

    /// Where a package whose name begins so is referred to.
    pub(super) fn package(&self, prefix: &str) -> Option<Evidence> {
        let begins = |name: &str| {
            name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let items = self.items("PackageReference");
        let (_, line) = items.into_iter().find(|(name, _)| begins(name))?;
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
            let new = project.references().into_iter().filter(|path| seen.insert(path.clone()));
            found.extend(new.filter_map(|path| all.iter().find(|other| other.path == path)));
            at += 1;
        }
        found
    }

    fn makes(&self) -> Product {
        let has_sdk = |name: &str| self.sdks().any(|sdk| sdk.contains(name));
        let has_package = |name: &&str| self.package(name).is_some();
        let output = self.property("OutputType").map(|(value, _)| value.to_ascii_lowercase());
        let output = output.as_deref();
        let frameworks = self.frameworks();
        let is_elsewhere = !frameworks.is_empty()
            && frameworks.iter().all(|(name, _)| OTHER_SYSTEMS.iter().any(|os| name.contains(os)));
        let is_standard = |(name, _): &(String, Evidence)| name.starts_with("netstandard");
        let is_no_program = output == Some("library")
            || !frameworks.is_empty() && frameworks.iter().all(is_standard)
            || NO_PROGRAMS.iter().any(|name| has_sdk(name))
            || NO_PROGRAM_PACKAGES.iter().any(has_package)
            || NO_PROGRAM_PROPERTIES.iter().any(|name| self.is_set(name));
        let references = self.items("FrameworkReference");
        let is_web = references.iter().any(|(name, _)| *name == "Microsoft.AspNetCore.App")
            || ["Microsoft.AspNetCore.App", "Suave"].iter().any(has_package);
        let is_worker = has_package(&"Microsoft.Extensions.Hosting");
        match output {
            _ if is_no_program || is_elsewhere => Product::Library,
            _ if has_sdk("BlazorWebAssembly") => Product::Wasm,
            _ if has_sdk("Sdk.Web") => Product::Web,
            _ if has_sdk("Sdk.Worker") => Product::Worker,
            Some("exe" | "winexe") if is_web => Product::Web,
            Some("exe" | "winexe") if is_worker => Product::Worker,
            Some("exe" | "winexe") => Product::Console,
            _ => Product::Library,
        }
    }

    /// Target frameworks as written, with their place.
    pub(super) fn frameworks(&self) -> Vec<(String, Evidence)> {
        if let Some(one) = self.property("TargetFramework") {
            return vec![one];
        }
        let Some((value, place)) = self.property("TargetFrameworks") else { return Vec::new() };
        let names = value.split(';').map(str::trim).filter(|name| !name.is_empty());
        names.map(|name| (name.to_owned(), place.clone())).collect()
    }

    /// Whether it builds for several frameworks, so that one must be named.
    pub(super) fn is_multi_targeted(&self) -> bool {
        self.property("TargetFramework").is_none() && self.frameworks().len() > 1
    }

    /// The name of what it makes, without extension.
    pub(super) fn assembly(&self) -> String {
        let named = self.property("AssemblyName");
        let named = named.map(|(name, _)| name.replace("$(MSBuildProjectName)", &self.stem));
        let plain = |name: &String| !name.contains(['$', '/']) && !name.is_empty();
        named.filter(plain).unwrap_or_else(|| self.stem.clone())
    }
}

/// Paths of the files of the tree that a file of MSBuild imports; `None` where a path is worked out.
pub(super) fn imports(project: &Project<'_>, path: &str) -> Option<Vec<String>> {
    let is_read = [".props", ".targets", "proj"].iter().any(|end| path.ends_with(end));
    let Some(root) = is_read.then(|| project.tree.xml(path)).flatten() else {
        return Some(Vec::new());
    };
    let groups = root.children_named("ImportGroup").flat_map(|group| &group.children);
    let all = root.children.iter().chain(groups).filter(|element| element.name == "Import");
    let mut found = Vec::new();
    for import in all.filter(|import| import.attribute("Sdk").is_none()) {
        let Some(text) = import.attribute("Project") else { continue };
        let text = text.replace('\\', "/");
        let here = ["$(MSBuildThisFileDirectory)", "$(MSBuildProjectDirectory)/"];
        let text = here.iter().find_map(|mark| text.strip_prefix(mark)).unwrap_or(&text);
        // Files above are seen by their usual names, and what SDKs and Visual Studio bring lies in no tree.
        if ["FileAbove(", "$(MSBuild", "$(VS"].iter().any(|mark| text.contains(mark)) {
            continue;
        }
        if text.contains(['$', '*', '%', '@']) {
            return None;
        }
        let path = resolve(parent(path), text);
        found.extend(path.filter(|path| project.tree.has(path)));
    }
    Some(found)
}

/// Folders of the tree that a `nuget.config` takes packages from.
pub(super) fn package_folders(project: &Project<'_>, path: &str) -> Vec<String> {
    let config = project.tree.xml(path);
    let sources = config.iter().flat_map(|config| config.all(&["packageSources", "add"]));
    let values = sources.filter_map(|source| source.attribute("value"));
    let folders = values.filter_map(|value| resolve(parent(path), &value.replace('\\', "/")));
    folders.filter(|folder| folder != "." && project.tree.has_dir(folder)).collect()
}

const LOOKUPS_MAX: usize = 4;

/// SDKs of tests and of what builds others; Aspire's host starts others on a developer's machine.
const NO_PROGRAMS: &[&str] = &["MSTest.Sdk", "Aspire.AppHost.Sdk", "NoTargets", "Traversal"];
const NO_PROGRAM_PACKAGES: &[&str] = &[
    "Microsoft.NET.Test.Sdk", "xunit", "nunit", "MSTest", "TUnit", "BenchmarkDotNet",
    "Aspire.Hosting.AppHost",
];
const NO_PROGRAM_PROPERTIES: &[&str] = &["IsTestProject", "IsAspireHost", "IsAspireSharedProject"];
/// Ends of target frameworks for systems other than Linux.
const OTHER_SYSTEMS: &[&str] = &["-windows", "-android", "-ios", "-maccatalyst", "-tizen"];

/// Major and minor of a target framework: `net8.0`, `netcoreapp3.1`, `net8.0-windows`.
pub(super) fn version_of(framework: &str) -> Option<Version> {
    let rest = framework.strip_prefix("netcoreapp").or_else(|| framework.strip_prefix("net"))?;
    let number = rest.split('-').next()?;
    let (major, minor) = number.split_once('.')?;
    let version = Version::of(major.parse().ok()?, minor.parse().ok()?);
    (version >= Version::of(1, 0) && framework != "net4.8").then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_that_name_each_other_end_somewhere() {
        let text = "<Project><PropertyGroup><A>$(B)</A><B>$(A)</B><C>$(D)</C><D>net8.0</D></PropertyGroup></Project>";
        let root = crate::manifest::xml(text).unwrap();
        let (dir, stem) = (".".to_owned(), "a".to_owned());
        let path = "a.csproj".to_owned();
        let product = Product::Library;
        let found = MsProject { path, dir, stem, product, root, shared: Vec::new() };
        assert_eq!(found.property("C").unwrap().0, "net8.0");
        assert!(found.property("A").is_some() && !found.is_set("A"));
    }

    #[test]
    fn a_target_framework_has_a_version() {
        let check = |name: &str, want: Option<(u32, u32)>| {
            let want = want.map(|(major, minor)| Version::of(major, minor));
            assert_eq!(version_of(name), want, "{name}");
        };
        check("net8.0", Some((8, 0)));
        check("net10.0", Some((10, 0)));
        check("netcoreapp3.1", Some((3, 1)));
        check("net8.0-windows", Some((8, 0)));
        check("netstandard2.0", None);
        check("net48", None);
    }
}
