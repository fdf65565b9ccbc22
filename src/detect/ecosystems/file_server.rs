//! The small server behind every site that is only files.
//!
//! It is Caddy: an official image of 20 MB that needs no configuration to serve a folder and ten lines to let one page answer
//! for all paths, runs as any user, reads its port from `PORT`, and is a package of Wolfi and of Debian too. nginx needs a
//! writable `/var/cache` and a rewritten main configuration to run without root.

use crate::{
    detect::images::{self, Family},
    spec::{Artifact, UniversalBuild},
};

/// Where the files are in the image.
pub(super) const ROOT: &str = "/srv";
/// The port it listens on unless `PORT` says otherwise.
pub(super) const PORT: u16 = 8080;
/// Where a build command writes the configuration, and where the image has it.
const WRITTEN: &str = "/Caddyfile";
const INSTALLED: &str = "/etc/caddy/Caddyfile";

/// What a path without a file of its own gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// The first page, which has a router.
    Index,
    /// `404.html` if there is one.
    NotFound,
}

/// Lets the image serve `from` (relative to `/build`), with a configuration that a last build command writes.
pub(super) fn serve(spec: &mut UniversalBuild, family: Family, from: &str, missing: Missing) {
    spec.build.commands.push(write_configuration(missing));
    image(spec, family, from);
    let copy = Artifact { from: WRITTEN.to_owned(), to: INSTALLED.to_owned() };
    spec.runtime.copy.push(copy);
    let command = ["caddy", "run", "--config", INSTALLED, "--adapter", "caddyfile"];
    spec.runtime.command = command.map(str::to_owned).to_vec();
    // Caddy keeps its configuration where it can, and says so of what it can't; Debian's 2.6 has no `persist_config`.
    let environment = [("PORT", PORT.to_string()), ("XDG_CONFIG_HOME", "/tmp".to_owned())];
    spec.runtime.env.extend(environment.map(|(name, value)| (name.to_owned(), value)));
}

/// Lets the image serve files that are there already: nothing is built.
pub(super) fn serve_as_is(spec: &mut UniversalBuild, family: Family, from: &str) {
    image(spec, family, from);
    spec.build.base = spec.runtime.base.clone();
    let line = format!("exec caddy file-server --root {ROOT} --listen :$PORT");
    spec.runtime.command = vec!["/bin/sh".to_owned(), "-c".to_owned(), line];
    spec.runtime.env.insert("PORT".to_owned(), PORT.to_string());
}

fn image(spec: &mut UniversalBuild, family: Family, from: &str) {
    let runtime = &mut spec.runtime;
    runtime.base = images::plain(family).unwrap_or_else(|| images::official("caddy:2-alpine"));
    if family != Family::Official {
        runtime.packages = vec!["caddy".to_owned()];
    }
    runtime.copy = vec![Artifact { from: from.to_owned(), to: ROOT.to_owned() }];
    runtime.ports = vec![PORT];
    runtime.health = Some("/".to_owned());
    runtime.user = Some(images::plain_user(family).to_owned());
    runtime.workdir = Some(ROOT.to_owned());
}

fn write_configuration(missing: Missing) -> String {
    let (last, errors) = match missing {
        Missing::Index => (" /index.html", ""),
        Missing::NotFound => {
            ("", "handle_errors {\\n\\trewrite * /404.html\\n\\tfile_server\\n}\\n")
        }
    };
    format!(
        "printf '{{\\n\\tadmin off\\n\\tauto_https off\\n}}\\n:{{$PORT:{PORT}}}\\n\
         root * {ROOT}\\nencode gzip\\ntry_files {{path}} {{path}}.html {{path}}/index.html{last}\\n\
         file_server\\n{errors}' > {WRITTEN}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_one_shell_command() {
        let expected = r"printf '{\n\tadmin off\n\tauto_https off\n}\n:{$PORT:8080}\nroot * /srv\nencode gzip\ntry_files {path} {path}.html {path}/index.html /index.html\nfile_server\n' > /Caddyfile";
        assert_eq!(write_configuration(Missing::Index), expected);
        assert!(!write_configuration(Missing::NotFound).contains('%'));
    }
}
