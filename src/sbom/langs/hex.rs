//! `mix.lock`.

use super::found::{Found, Index, lines, lossy};

/// Reads the packages from Hex; a line each, as Mix writes it:
/// `"name": {:hex, :name, "1.0.0", "<inner>", [:mix], [{:dep, "~> 1.0", [hex: :dep, …]}, …], "hexpm", "<outer>"},`
pub(super) fn lock(bytes: &[u8]) -> Result<Vec<Found>, String> {
    let text = lossy(bytes);
    let mut index = Index::new();
    let mut all = Vec::new();
    for line in lines(&text)? {
        let Some((_, entry)) = line.split_once("{:hex, :") else { continue };
        let Some((name, rest)) = entry.split_once(", \"") else { continue };
        let Some((version, rest)) = rest.split_once('"') else { continue };
        let Some(mut found) = Found::new(name.trim_matches('"'), version) else { continue };
        // The outer checksum is that of the archive; there was none before Hex 0.20.
        let outer = rest.rsplit_once(", \"").and_then(|(_, last)| last.split_once('"'));
        if let (Some((hex, _)), true) = (outer, rest.contains("], \"")) {
            found.set_checksum(hex);
        }
        index.insert(found.name.clone().into(), all.len());
        all.push((found, rest));
    }
    let with_needs = |(found, rest): (Found, &str)| {
        let names = rest.match_indices("[hex: :").filter_map(|(at, key)| {
            let name = &rest[at + key.len()..];
            index.get(name[..name.find([',', ']'])?].trim_matches('"')).copied()
        });
        Found { needs: names.collect(), ..found }
    };
    Ok(all.into_iter().map(with_needs).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mutation::mutate, sbom::langs::tests::listing};

    const LOCK: &str = "%{\n  \"plug\": {:hex, :plug, \"1.15.0\", \"INNER\", [:mix], [{:mime, \"~> 1.0\", [hex: :mime, repo: \"hexpm\", optional: false]}, {:none, \"~> 1\", [hex: :none]}], \"hexpm\", \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"},\n  \"mime\": {:hex, :mime, \"2.0.5\", \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\", [:mix], [], \"hexpm\"},\n  \"g\": {:git, \"https://example.com/g.git\", \"abc\", []},\n}\n";

    #[test]
    fn packages_are_read_with_their_archives_checksum() {
        assert_eq!(
            listing(lock(LOCK.as_bytes())),
            ["plug@1.15.0 SHA256 -> mime@2.0.5", "mime@2.0.5"]
        );
    }

    #[test]
    fn mutations_are_read_or_refused() {
        mutate(LOCK.as_bytes(), b"{}[]:\",\n ", 3_000, |bytes| drop(lock(bytes)));
    }
}
