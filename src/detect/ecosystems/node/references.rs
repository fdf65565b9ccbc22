//! What manifests, settings and lock files refer to: files of the tree, repositories of git.

use super::package::Package;
use crate::detect::{prelude::*, shell};

/// What a range of a dependency refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reference<'r> {
    /// A registry, or an archive of a server.
    Fetched,
    /// A repository that git fetches.
    Repository,
    /// A folder or archive, whose content is installed.
    Files(&'r str),
    /// A folder that is only linked.
    Link(&'r str),
    /// Something of the project that only its package manager knows.
    Unknown,
}

type Make = fn(&str) -> Reference<'_>;

/// By what stands before the first colon.
const PROTOCOLS: &[(&str, Make)] = &[
    ("bitbucket", |_| Reference::Repository),
    ("catalog", |_| Reference::Fetched),
    ("file", |path| Reference::Files(path)),
    ("gist", |_| Reference::Repository),
    ("github", |_| Reference::Repository),
    ("gitlab", |_| Reference::Repository),
    ("http", url),
    ("https", url),
    ("jsr", |_| Reference::Fetched),
    ("link", |path| Reference::Link(path)),
    ("npm", |_| Reference::Fetched),
    ("patch", patch),
    ("portal", |path| Reference::Link(path)),
    ("runtime", |_| Reference::Fetched),
    ("ssh", |_| Reference::Repository),
    ("workspace", |_| Reference::Fetched),
];

fn url(rest: &str) -> Reference<'_> {
    let path = rest.split('#').next().unwrap_or(rest);
    if path.ends_with(".git") { Reference::Repository } else { Reference::Fetched }
}

/// `patch:NAME@npm:1.0.0#./.yarn/patches/x.patch`; `~/` is the folder of the workspace.
fn patch(rest: &str) -> Reference<'_> {
    let path = rest.rsplit_once('#').map_or("", |(_, path)| path);
    let path = path.split("::").next().unwrap_or(path).trim_start_matches("~/");
    if path.is_empty() || path.contains('!') { Reference::Fetched } else { Reference::Files(path) }
}

/// What a range refers to (docs.npmjs.com/cli, package.json, dependencies; yarnpkg.com/protocols).
pub(super) fn reference(range: &str) -> Reference<'_> {
    let is_path = ["./", "../", "/", "~/"].iter().any(|start| range.starts_with(start));
    match range.split_once(':') {
        _ if is_path => Reference::Files(range),
        _ if is_git(range) => Reference::Repository,
        Some((protocol, rest)) => {
            let row = PROTOCOLS.iter().find(|(name, _)| *name == protocol);
            row.map_or(Reference::Unknown, |(_, make)| make(rest))
        }
        None if is_short(range) => Reference::Repository,
        None => Reference::Fetched,
    }
}

/// `git@host:path`, `git://`, `git+ssh://`.
fn is_git(range: &str) -> bool {
    ["git@", "git:", "git+"].iter().any(|start| range.starts_with(start))
}

/// `owner/name`, of GitHub.
fn is_short(range: &str) -> bool {
    let path = range.split('#').next().unwrap_or(range);
    let fits = |part: &str| !part.is_empty() && !part.contains(['@', ' ', '*', '<', '>', '|']);
    path.split_once('/').is_some_and(|(owner, name)| {
        !owner.starts_with('.') && fits(owner) && fits(name) && !name.contains('/')
    })
}

/// What ranges of dependencies and of overrides refer to.
fn all<'p>(package: &'p Package<'_>) -> impl Iterator<Item = Reference<'p>> {
    let overrides = [&["overrides"][..], &["resolutions"], &["pnpm", "overrides"]];
    let overrides = overrides.into_iter().filter_map(|keys| package.json.at(keys));
    let mut texts = Vec::new();
    overrides.for_each(|value| collect(value, &mut texts));
    // npm lets an override refer to a dependency.
    texts.retain(|text| !text.starts_with('$'));
    package.dependencies().map(|(_, range)| range).chain(texts).map(reference)
}

/// All texts in a value.
fn collect<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    let mut pending = vec![value];
    while let Some(next) = pending.pop() {
        texts.extend(next.as_str());
        pending.extend(next.items());
        pending.extend(next.members().map(|(_, member)| member));
    }
}

/// Whether the install of a package needs something that only its package manager knows where to find.
pub(super) fn is_unknown(package: &Package<'_>) -> bool {
    all(package).any(|one| one == Reference::Unknown)
}

/// Whether a package refers to a repository.
pub(super) fn needs_git(package: &Package<'_>) -> bool {
    all(package).any(|one| one == Reference::Repository)
}

/// Whether a line of a lock file does.
pub(super) fn is_repository(line: &str) -> bool {
    line.contains("git") && LOCKED.iter().any(|sign| line.contains(sign))
}

/// What lock files have for a repository: npm and Yarn `git+ssh://…`, pnpm `type: git`, Bun `@github:`.
const LOCKED: &[&str] = &[
    "git+ssh:", "git+http", "git+file:", "git://", "ssh://git@", ".git#", "type: git", "@github:",
    "\"github:",
];

/// Files and folders of the tree that the install of a package needs beside manifests.
pub(super) fn paths(package: &Package<'_>) -> Vec<String> {
    let at = package.at;
    let (workspace, mut texts) = (at.yaml("pnpm-workspace.yaml"), Vec::new());
    let patched = ["patchedDependencies", "overrides", "catalog", "catalogs"];
    let patched = patched.iter().filter_map(|key| workspace.as_ref()?.get(key));
    let own = [&["pnpm", "patchedDependencies"][..], &["patchedDependencies"]];
    let own = own.into_iter().filter_map(|keys| package.json.at(keys));
    own.chain(patched).for_each(|value| collect(value, &mut texts));
    let folder = package.scripts().filter_map(|(_, line)| shell::option(line, &["--patch-dir"]));
    let texts = texts.into_iter().map(|text| match reference(text) {
        Reference::Link(path) => Reference::Link(path),
        Reference::Files(path) => Reference::Files(path),
        _ => Reference::Files(text),
    });
    let settings = settings(at);
    let settings = settings.iter().map(|path| Reference::Files(path));
    let all = all(package).chain(texts).chain(folder.map(Reference::Files)).chain(settings);
    let tree = at.project.tree;
    // Those that begin with `/` are meant from here, too.
    let inside = |path: &str| resolve(at.dir, &format!("./{path}"));
    let found = all.filter_map(|one| match one {
        Reference::Files(path) => inside(path).filter(|path| path != "." && tree.is_there(path)),
        Reference::Link(path) => Some(join(&inside(path)?, "package.json")).filter(|p| tree.has(p)),
        _ => None,
    });
    found.collect()
}

/// Folders of the tree that dependencies are links to; npm links those of `file:`, too.
pub(super) fn linked<'p>(package: &'p Package<'_>) -> impl Iterator<Item = String> + 'p {
    let tree = package.at.project.tree;
    let folder = |one| match one {
        Reference::Files(path) | Reference::Link(path) => resolve(package.at.dir, path),
        _ => None,
    };
    all(package).filter_map(folder).filter(move |dir| tree.has_dir(dir))
}

/// Values of settings of package managers that look like paths: caches, certificates, programs.
fn settings(at: Folder<'_>) -> Vec<String> {
    let lines = [".yarnrc", ".npmrc"].into_iter().filter_map(|name| at.read(name));
    let mut found: Vec<String> = Vec::new();
    for text in lines {
        let value = |(_, line): (usize, &str)| {
            let (_, value) = line.split_once(['=', ' '])?;
            Some(value.trim_matches(['"', '\'', ' ', '=']).to_owned())
        };
        found.extend(text.lines().filter_map(value));
    }
    let (yarn, bun) = (at.yaml(".yarnrc.yml"), at.toml("bunfig.toml"));
    for file in
        [yarn.as_ref(), bun.as_ref().and_then(|bun| bun.get("install"))].into_iter().flatten()
    {
        let mut texts = Vec::new();
        collect(file, &mut texts);
        found.extend(texts.into_iter().map(str::to_owned));
    }
    found.retain(|value| value.contains(['/', '.']) && !value.contains("://"));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_range_refers_to_something() {
        let check = |range, expected| assert_eq!(reference(range), expected, "{range}");
        for range in
            ["^1.2.3", "latest", "*", "", "1.x || >=2 <3", "npm:@x/y@1", "catalog:", "~1.2"]
        {
            check(range, Reference::Fetched);
        }
        check("workspace:*", Reference::Fetched);
        check("https://host/x/-/x-1.tgz", Reference::Fetched);
        for range in [
            "someone/x",
            "someone/x#v1",
            "github:a/b",
            "gitlab:a/b",
            "gist:1",
            "bitbucket:a/b",
            "git+ssh://git@h/a.git#semver:^1",
            "git://h/a",
            "git@h:a/b.git",
            "ssh://git@h/a",
            "https://h/a/b.git",
            "https://h/a/b.git#v2",
            "git+https://h/a",
            "git+file:///a",
        ] {
            check(range, Reference::Repository);
        }
        check("file:./vendor/x.tgz", Reference::Files("./vendor/x.tgz"));
        check("../x", Reference::Files("../x"));
        check("link:../x", Reference::Link("../x"));
        check("patch:x@npm%3A1#./fix.patch", Reference::Files("./fix.patch"));
        check("patch:x@1#~builtin<compat/x>!", Reference::Fetched);
        check("exec:./make.js", Reference::Unknown);
    }
}
