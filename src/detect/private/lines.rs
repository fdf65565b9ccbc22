//! What a line of settings says: variables, addresses, credentials.

use std::collections::BTreeMap;

/// Lines that hold one of these are about registries and credentials, and not about folders of the tool.
const ABOUT_CREDENTIALS: &[&str] =
    &["registry", "auth", "pass", "token", "user", "cred", "secret", "key", "://", "source"];

/// Variables that every process has.
const ORDINARY: &[&str] = &["HOME", "USER", "PWD", "PATH", "CI", "TMPDIR", "TEMP", "LANG", "SHELL"];

/// Parts of addresses that always ask who it is.
pub(super) const ASKING: &[&str] = &[
    "pkg.github.com", "pkgs.dev.azure.com", ".pkg.visualstudio.com", ".codeartifact.",
    "/_packaging/", "gitlab.com/api/v4/", "gitlab.com:", "-npm.pkg.dev", "-python.pkg.dev",
    "-maven.pkg.dev", "repo.packagist.com", "gems.contribsys.com", "enterprise.contribsys.com",
    "nova.laravel.com", "npm.fontawesome.com", "dl.fontawesome.com", "composer.fluxui.dev",
    "/basic/", "gems.graphql.pro",
];

/// Parts of addresses that never do.
const PUBLIC: &[&str] = &[
    "registry.npmjs.org", "registry.yarnpkg.com", "npm.jsr.io", "pypi.org", "pythonhosted.org",
    "download.pytorch.org", "pypi.nvidia.com", "pypi.ngc.nvidia.com", "mirror", "index.crates.io",
    "crates.io-index", "rubygems.org", "rails-assets.org", "nuget.org", "dotnet/public",
    "packagist.org", "packages.drupal.org", "api.nuget.org", "alphacephei.com", "github.io",
    "huggingface.co", ".edu.", "dnceng/public", "myget.org/F", "localhost", "127.0.0.1",
];

/// Blocks that are open after a line: the first word before each brace, or before `do`.
pub(super) fn track(blocks: &mut Vec<String>, line: &str) {
    let mut start = 0;
    for (at, c) in line.char_indices() {
        match c {
            '{' => {
                let head = line[start..at].trim_start();
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                blocks.push(head.chars().take_while(|c| is_name(*c)).collect());
                start = at + 1;
            }
            '}' => drop(blocks.pop()),
            _ => {}
        }
        if matches!(c, '}' | ';') {
            start = at + 1;
        }
    }
}

pub(super) fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with(['#', ';']) || line.starts_with("// ") || line.starts_with("<!--")
}

pub(super) fn is_about_credentials(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    ABOUT_CREDENTIALS.iter().any(|word| line.contains(word))
}

/// Names of variables in a line, and whether each has a default there.
pub(super) fn variables(line: &str, forms: &[(&str, &str)]) -> BTreeMap<String, bool> {
    let mut found = BTreeMap::new();
    for (open, close) in forms {
        for (at, _) in line.match_indices(open) {
            let rest = &line[at + open.len()..];
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let (name, rest) = rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len()));
            let has_default = rest.starts_with(['-', '?']) || rest.starts_with(":-");
            let ends =
                close.is_empty() || rest.starts_with(close) || has_default && rest.contains(close);
            let is_variable =
                name.starts_with(|c: char| !c.is_ascii_digit()) && !ORDINARY.contains(&name);
            if is_variable && ends {
                // What follows a closed call may say what stands in for it.
                let stands_in =
                    !close.is_empty() && rest[close.len().min(rest.len())..].contains("?:");
                found.insert(name.to_owned(), has_default || stands_in);
            }
        }
    }
    found
}

/// The address in a line: from `://` or, as `.npmrc` has it, from `//` on.
pub(super) fn address(line: &str) -> Option<&str> {
    let at = line.find("//")?;
    let end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | ',');
    let url = line[at + 2..].split(end).next().unwrap_or_default();
    url.contains('.').then_some(url)
}

pub(super) fn is_public(url: &str) -> bool {
    PUBLIC.iter().any(|part| url.contains(part)) && !ASKING.iter().any(|part| url.contains(part))
}

/// Whether nothing has to be handed over for a registry: it is public, or its address says who asks.
pub(super) fn is_public_registry(url: &str) -> bool {
    let names_somebody = url.split('/').any(|part| part.contains('@'));
    is_public(url) || names_somebody || !url.contains("://") || url.contains("file:")
}

/// Whether a line has a password in an address, or a token that is no variable.
pub(super) fn holds_a_value(line: &str) -> bool {
    let in_address = line.split("://").skip(1).any(|rest| {
        let host = rest.split(['/', '"', '\'', ' ', '<']).next().unwrap_or_default();
        let user = host.rsplit_once('@').map(|(user, _)| user);
        let password = user.and_then(|user| user.split_once(':')).map(|(_, password)| password);
        password.is_some_and(is_value)
    });
    let keys = [":_authToken=", ":_password=", ":_auth=", "npmAuthToken:", "npmAuthIdent:"];
    in_address
        || keys.iter().any(|key| line.split_once(key).is_some_and(|(_, v)| is_value(v.trim())))
}

fn is_value(text: &str) -> bool {
    let text = text.trim_matches(['"', '\'']);
    !text.is_empty() && !text.contains(['$', '%', '{', '<', '#']) && !text.starts_with("env.")
}
