//! RubyGems: installed `specifications/*.gemspec`, and `Gemfile.lock`.

use super::found::{Found, Index, Installed, lines, lossy};

/// A gemspec as RubyGems writes it when it installs a gem: Ruby code, one assignment per line. It is read, not run.
pub(super) fn gemspec(bytes: &[u8]) -> Result<Option<Installed>, String> {
    let text = lossy(bytes);
    let (mut name, mut version) = ("", "");
    let mut licenses = Vec::new();
    let mut requires = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        // `# stub: rake 13.0.6 ruby lib`: for RubyGems too, which so needs not run the rest. A second one lists extensions.
        if let Some(stub) = line.strip_prefix("# stub: ").filter(|_| name.is_empty()) {
            let mut words = stub.split_ascii_whitespace();
            (name, version) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            continue;
        }
        let Some((_, statement)) = line.split_once('.').filter(|_| line.starts_with(['s', 'g']))
        else {
            continue;
        };
        if let Some(requirement) = ["add_runtime_dependency", "add_dependency"]
            .iter()
            .find_map(|call| statement.strip_prefix(call))
        {
            requires.extend(
                literals(requirement)
                    .next()
                    .map(str::to_owned)
                    .filter(|_| requires.len() < REQUIRES_MAX),
            );
            continue;
        }
        let Some((field, value)) = statement.split_once('=') else { continue };
        match field.trim() {
            "name" if name.is_empty() => name = literals(value).next().unwrap_or(""),
            "version" if version.is_empty() => version = literals(value).next().unwrap_or(""),
            "license" | "licenses" => licenses.extend(literals(value).take(8)),
            _ => {}
        }
    }
    if name.is_empty() || version.is_empty() {
        return Err("says no name or no version that can be read without running it".to_owned());
    }
    let Some(mut found) = Found::new(name, version) else { return Ok(None) };
    found.set_licenses(licenses.into_iter());
    Ok(Some(Installed { found, requires }))
}

/// The texts in Ruby code: `"x"`, `'x'`, `%q<x>`.
fn literals(code: &str) -> impl Iterator<Item = &str> {
    let mut rest = code;
    std::iter::from_fn(move || {
        let start = rest.find(['"', '\'', '<'])?;
        let end = match rest.as_bytes()[start] {
            b'<' => '>',
            quote => char::from(quote),
        };
        let inside = &rest[start + 1..];
        let length = inside.find(end)?;
        rest = &inside[length + 1..];
        Some(&inside[..length])
    })
}

/// `Gemfile.lock`: `specs:` of each source with the gems and, indented further, what they depend on; `CHECKSUMS`.
pub(super) fn lock(bytes: &[u8]) -> Result<Vec<Found>, String> {
    let text = lossy(bytes);
    let mut section = "";
    let mut all: Vec<Found> = Vec::new();
    let mut wanted = Vec::new();
    let mut index = Index::new();
    for line in lines(&text)? {
        let content = line.trim_start_matches(' ');
        match (line.len() - content.len(), section) {
            (0, _) => section = content,
            (4, "GEM" | "GIT" | "PATH" | "PLUGIN SOURCE") => {
                let Some((name, version)) = gem_and_version(content) else { continue };
                let Some(found) = Found::new(name, version) else { continue };
                // One gem may be there for several platforms.
                index.entry(name.to_owned().into()).or_insert(all.len());
                index.insert(format!("{name} {version}").into(), all.len());
                all.push(found);
            }
            (6, "GEM" | "GIT" | "PATH" | "PLUGIN SOURCE") if !all.is_empty() => {
                wanted.push((all.len() - 1, content.split(' ').next().unwrap_or("")));
            }
            (2, "CHECKSUMS") => {
                let Some((gem, checksum)) = content.split_once(" sha256=") else { continue };
                // With a platform it is another archive.
                if gem.contains('-')
                    && gem.rsplit_once(" (").is_some_and(|(_, it)| it.contains('-'))
                {
                    continue;
                }
                let Some((name, version)) = gem_and_version(gem) else { continue };
                if let Some(&at) = index.get(format!("{name} {version}").as_str()) {
                    all[at].set_checksum(checksum);
                }
            }
            _ => {}
        }
    }
    for (at, name) in wanted {
        all[at].needs.extend(index.get(name));
    }
    Ok(all)
}

/// `nokogiri (1.15.0-x86_64-linux)`; the platform is no part of the version.
fn gem_and_version(content: &str) -> Option<(&str, &str)> {
    let (name, version) = content.split_once(" (")?;
    let version = version.strip_suffix(')')?;
    Some((name, version.split('-').next().unwrap_or(version)))
}

/// Dependencies of one gem; the longest list seen has about 50.
const REQUIRES_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mutation::mutate, sbom::langs::tests::listing};

    const GEMSPEC: &str = "# -*- encoding: utf-8 -*-\n# stub: a-b 1.2.0 x86_64-linux lib\n# stub: ext/a/extconf.rb\n\nGem::Specification.new do |s|\n  s.name = \"a-b\".freeze\n  s.version = \"9\"\n  s.licenses = [\"MIT\".freeze, \"Ruby\".freeze]\n  s.description = \"name = 'x'\"\n\n  s.specification_version = 4\n  s.add_runtime_dependency(%q<c>.freeze, [\"~> 1.0\".freeze])\n  s.add_development_dependency(%q<d>.freeze, [\">= 0\".freeze])\nend\n";

    #[test]
    fn a_gemspec_is_read_without_running_it() {
        let installed = gemspec(GEMSPEC.as_bytes()).unwrap().unwrap();
        assert_eq!((&*installed.found.name, &*installed.found.version), ("a-b", "1.2.0"));
        assert_eq!(installed.found.license.as_deref(), Some("(MIT OR Ruby)"));
        assert_eq!(installed.requires, ["c"]);
    }

    #[test]
    fn a_gemspec_without_a_stub_line_is_read_by_its_fields() {
        let text = "Gem::Specification.new do |s|\n  s.name = 'a'\n  s.version = Gem::Version.new(\"1.0\")\n  s.license = 'MIT'\nend";
        let installed = gemspec(text.as_bytes()).unwrap().unwrap();
        assert_eq!((&*installed.found.name, &*installed.found.version), ("a", "1.0"));
        assert_eq!(installed.found.license.as_deref(), Some("MIT"));
        assert!(gemspec(b"s.name = NAME\ns.version = '1'").is_err());
    }

    const LOCK: &str = "GIT\n  remote: https://example.com/g.git\n  revision: abc\n  specs:\n    g (0.1.0)\n      rake (>= 1)\n\nGEM\n  remote: https://gems.example/\n  specs:\n    nokogiri (1.15.0)\n      mini (~> 2.8)\n    nokogiri (1.15.0-x86_64-linux)\n    rake (13.0.6)\n    mini (2.8.5.pre)\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n  g!\n\nCHECKSUMS\n  nokogiri (1.15.0-x86_64-linux) sha256=00\n  rake (13.0.6) sha256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n\nBUNDLED WITH\n   2.5.0\n";

    #[test]
    fn gemfile_lock_is_read_with_its_checksums() {
        let expected = [
            "g@0.1.0 -> rake@13.0.6",
            "nokogiri@1.15.0 -> mini@2.8.5.pre",
            "nokogiri@1.15.0",
            "rake@13.0.6 SHA256",
            "mini@2.8.5.pre",
        ];
        assert_eq!(listing(lock(LOCK.as_bytes())), expected);
    }

    #[test]
    fn mutations_are_read_or_refused() {
        mutate(GEMSPEC.as_bytes(), b"\"'<>=.\n%", 3_000, |bytes| drop(gemspec(bytes)));
        mutate(LOCK.as_bytes(), b" ()-\n=", 3_000, |bytes| drop(lock(bytes)));
    }
}
