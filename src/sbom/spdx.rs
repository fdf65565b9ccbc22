//! [`Catalogue`] → SPDX 2.3 in JSON.
//!
//! One package stands for the image; it contains the others, or they took part in its build. Files are not listed: SPDX wants
//! the SHA-1 of each, and nobody asked for their content. Where a package was seen stands in its `sourceInfo`.

use serde_json::{Map, Value, json};

use super::{
    Catalogue, Distribution, Kind, Origin, Package,
    document::{Subject, urn},
    license::{Declared, declared, references},
};
use crate::digest::sha256_hex;

/// The document; the same for the same input, its name included.
#[must_use]
pub fn document(catalogue: &Catalogue, subject: &Subject<'_>) -> Value {
    let licenses: Vec<_> = catalogue
        .packages
        .iter()
        .map(|package| package.license.as_deref().and_then(declared))
        .collect();
    let mut packages = vec![image(subject)];
    packages.extend(catalogue.distribution.as_ref().map(distribution));
    let pairs = catalogue.packages.iter().zip(&licenses);
    packages.extend(pairs.map(|(package, license)| entry(package, license.as_ref())));
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": name(subject),
        "documentNamespace": "",
        "creationInfo": {
            "created": subject.created(),
            "creators": [concat!("Tool: peelbox-", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "relationships": relationships(catalogue),
    });
    if let Some(comment) = comment(catalogue) {
        document["comment"] = comment.into();
    }
    let texts: Vec<_> = references(licenses.iter().flatten())
        .into_iter()
        .map(|(id, text)| json!({"licenseId": id, "extractedText": text, "name": id}))
        .collect();
    if !texts.is_empty() {
        document["hasExtractedLicensingInfos"] = texts.into();
    }
    document["documentNamespace"] = urn(document.to_string().as_bytes()).into();
    document
}

fn name<'a>(subject: &Subject<'a>) -> &'a str {
    if subject.name.is_empty() { "image" } else { subject.name }
}

fn image(subject: &Subject<'_>) -> Value {
    let mut image = json!({
        "SPDXID": IMAGE,
        "name": name(subject),
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "CONTAINER",
        "comment": format!("Platform: {}", subject.platform),
    });
    if let Some(digest) = subject.digest {
        image["versionInfo"] = digest.into();
    }
    if let Some(hex) = subject.sha256() {
        image["checksums"] = json!([{"algorithm": "SHA256", "checksumValue": hex}]);
    }
    if let Some(purl) = subject.purl() {
        image["externalRefs"] = external_refs(&purl);
    }
    image
}

fn distribution(distribution: &Distribution) -> Value {
    let mut entry = json!({
        "SPDXID": DISTRIBUTION,
        "name": distribution.id,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "OPERATING-SYSTEM",
    });
    if !distribution.version_id.is_empty() {
        entry["versionInfo"] = distribution.version_id.clone().into();
    }
    if !distribution.pretty_name.is_empty() {
        entry["summary"] = distribution.pretty_name.clone().into();
    }
    entry
}

fn entry(package: &Package, license: Option<&Declared>) -> Value {
    let mut entry = Map::new();
    let mut set = |key: &str, value: Value| drop(entry.insert(key.to_owned(), value));
    set("SPDXID", id(package).into());
    set("name", package.name.clone().into());
    if !package.version.is_empty() {
        set("versionInfo", package.version.clone().into());
    }
    if let Some(supplier) = &package.supplier {
        set("supplier", actor(supplier).into());
    }
    set("downloadLocation", "NOASSERTION".into());
    set("filesAnalyzed", false.into());
    set("licenseConcluded", "NOASSERTION".into());
    let license = license.map_or("NOASSERTION", |license| &license.expression);
    set("licenseDeclared", license.into());
    set("copyrightText", "NOASSERTION".into());
    if !is_of_distribution(package.kind) {
        set("primaryPackagePurpose", "LIBRARY".into());
    }
    if !package.checksums.is_empty() {
        let checksums = package.checksums.iter();
        let checksums =
            checksums.map(|(algorithm, hex)| json!({"algorithm": algorithm, "checksumValue": hex}));
        set("checksums", checksums.collect());
    }
    if !package.locations.is_empty() {
        let locations: Vec<_> = package.locations.iter().map(String::as_str).collect();
        set("sourceInfo", format!("Found in: {}", locations.join(", ")).into());
    }
    set("externalRefs", external_refs(&package.purl));
    if package.origin == Origin::Context {
        set("comment", "Seen in the build context only.".into());
    }
    Value::Object(entry)
}

fn external_refs(purl: &str) -> Value {
    json!([{
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": purl,
    }])
}

/// `A B <a@b.c>` → `Person: A B (a@b.c)`; a name alone is taken for an organisation.
fn actor(supplier: &str) -> String {
    let plain = |text: &str| text.replace(['(', ')', '<', '>'], " ").trim().to_owned();
    match supplier.split_once('<') {
        Some((name, email)) if !name.trim().is_empty() && email.contains('@') => {
            format!("Person: {} ({})", plain(name), plain(email))
        }
        _ => match plain(supplier) {
            name if name.is_empty() => "NOASSERTION".to_owned(),
            name => format!("Organization: {name}"),
        },
    }
}

fn relationships(catalogue: &Catalogue) -> Vec<Value> {
    let relate = |from: &str, kind: &str, to: &str| json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to});
    let ids: std::collections::BTreeMap<_, _> =
        catalogue.packages.iter().map(|package| (package.purl.as_str(), id(package))).collect();
    let mut relationships = vec![relate(DOCUMENT, "DESCRIBES", IMAGE)];
    if catalogue.distribution.is_some() {
        relationships.push(relate(IMAGE, "CONTAINS", DISTRIBUTION));
    }
    for package in &catalogue.packages {
        let own = id(package);
        relationships.push(match package.origin {
            Origin::Image => relate(IMAGE, "CONTAINS", &own),
            Origin::Context => relate(&own, "BUILD_DEPENDENCY_OF", IMAGE),
        });
        let targets = package.depends_on.iter().filter_map(|purl| ids.get(purl.as_str()));
        relationships.extend(targets.map(|target| relate(&own, "DEPENDS_ON", target)));
    }
    relationships
}

/// What could not be read.
fn comment(catalogue: &Catalogue) -> Option<String> {
    let (shown, rest) = catalogue.problems.split_at(catalogue.problems.len().min(PROBLEMS_MAX));
    let lines = shown.iter().map(|problem| format!("{}: {}", problem.path, problem.why));
    let more = (!rest.is_empty()).then(|| format!("and {} more", rest.len()));
    let lines: Vec<_> = lines.chain(more).collect();
    (!lines.is_empty())
        .then(|| format!("This list may lack packages. Not read:\n{}", lines.join("\n")))
}

/// Readable, and unique through a digest of the package URL.
fn id(package: &Package) -> String {
    let mut readable = String::new();
    let text = format!("{}-{}", package.name, package.version);
    for c in text.chars().take(ID_CHARS_MAX) {
        readable.push(if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' });
    }
    let unique = &sha256_hex(package.purl.as_bytes())[..16];
    format!("SPDXRef-Package-{}-{readable}-{unique}", package.kind.name())
}

fn is_of_distribution(kind: Kind) -> bool {
    matches!(kind, Kind::Apk | Kind::Deb | Kind::Rpm)
}

const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const IMAGE: &str = "SPDXRef-Image";
const DISTRIBUTION: &str = "SPDXRef-Distribution";
/// Files named in the document of those that could not be read.
const PROBLEMS_MAX: usize = 1_000;
const ID_CHARS_MAX: usize = 80;
