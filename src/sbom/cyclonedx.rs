//! [`Catalogue`] → CycloneDX 1.6 in JSON.

use serde_json::{Value, json};

use super::{
    Catalogue, Distribution, Kind, Origin, Package,
    document::{Subject, urn},
    license::declared,
};

/// The document; the same for the same input, its serial number included.
#[must_use]
pub fn document(catalogue: &Catalogue, subject: &Subject<'_>) -> Value {
    let distribution = catalogue.distribution.iter().map(distribution);
    let components: Vec<_> = distribution.chain(catalogue.packages.iter().map(component)).collect();
    let mut metadata = json!({
        "timestamp": subject.created(),
        "tools": {"components": [{
            "type": "application",
            "name": "peelbox",
            "version": env!("CARGO_PKG_VERSION"),
        }]},
        "component": image(subject),
    });
    if !catalogue.problems.is_empty() {
        metadata["properties"] = unread(catalogue);
    }
    let mut document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "",
        "version": 1,
        "metadata": metadata,
        "components": components,
        "dependencies": dependencies(catalogue),
    });
    document["serialNumber"] = urn(document.to_string().as_bytes()).into();
    document
}

fn image(subject: &Subject<'_>) -> Value {
    let mut image = json!({
        "type": "container",
        "bom-ref": IMAGE,
        "name": if subject.name.is_empty() { "image" } else { subject.name },
    });
    if let Some(digest) = subject.digest {
        image["version"] = digest.into();
    }
    if let Some(hex) = subject.sha256() {
        image["hashes"] = json!([{"alg": "SHA-256", "content": hex}]);
    }
    if let Some(purl) = subject.purl() {
        image["purl"] = purl.into();
    }
    image["properties"] = json!([{"name": "peelbox:platform", "value": subject.platform}]);
    image
}

fn distribution(distribution: &Distribution) -> Value {
    json!({
        "type": "operating-system",
        "bom-ref": DISTRIBUTION,
        "name": distribution.id,
        "version": distribution.version_id,
        "description": distribution.pretty_name,
    })
}

fn component(package: &Package) -> Value {
    let (group, name) = group_and_name(package);
    let mut component = json!({"type": "library", "bom-ref": package.purl});
    if !group.is_empty() {
        component["group"] = group.into();
    }
    component["name"] = name.into();
    if !package.version.is_empty() {
        component["version"] = package.version.clone().into();
    }
    if let Some(supplier) = &package.supplier {
        component["supplier"] = json!({"name": supplier});
    }
    if package.origin == Origin::Context {
        component["scope"] = "excluded".into();
    }
    let hashes: Vec<_> = package
        .checksums
        .iter()
        .filter_map(|(algorithm, hex)| Some(json!({"alg": hash_name(algorithm)?, "content": hex})))
        .collect();
    if !hashes.is_empty() {
        component["hashes"] = hashes.into();
    }
    if let Some(licenses) = package.license.as_deref().and_then(licenses) {
        component["licenses"] = licenses;
    }
    component["purl"] = package.purl.clone().into();
    let places: Vec<_> =
        package.locations.iter().map(|location| json!({"location": location})).collect();
    if !places.is_empty() {
        component["evidence"] = json!({"occurrences": places});
    }
    component
}

/// An expression where all its names are on SPDX' list, otherwise the text as a name.
fn licenses(text: &str) -> Option<Value> {
    let declared = declared(text)?;
    Some(if declared.extracted.is_empty() {
        json!([{"expression": declared.expression}])
    } else {
        json!([{"license": {"name": text}}])
    })
}

/// `@babel/core` → `@babel` and `core`; `org.slf4j:slf4j-api` → its group and its artifact.
fn group_and_name(package: &Package) -> (&str, &str) {
    let separator = match package.kind {
        Kind::Maven => ':',
        Kind::Npm | Kind::Composer => '/',
        _ => return ("", &package.name),
    };
    package.name.rsplit_once(separator).unwrap_or(("", &package.name))
}

fn hash_name(algorithm: &str) -> Option<&'static str> {
    Some(match algorithm {
        "MD5" => "MD5",
        "SHA1" => "SHA-1",
        "SHA256" => "SHA-256",
        "SHA384" => "SHA-384",
        "SHA512" => "SHA-512",
        _ => return None,
    })
}

/// The image depends on what is in it, packages on each other.
fn dependencies(catalogue: &Catalogue) -> Vec<Value> {
    let in_image = catalogue.packages.iter().filter(|package| package.origin == Origin::Image);
    let contained: Vec<_> = in_image.map(|package| package.purl.as_str()).collect();
    let mut dependencies = vec![json!({"ref": IMAGE, "dependsOn": contained})];
    dependencies.extend(
        catalogue
            .packages
            .iter()
            .filter(|package| !package.depends_on.is_empty())
            .map(|package| json!({"ref": package.purl, "dependsOn": package.depends_on})),
    );
    dependencies
}

fn unread(catalogue: &Catalogue) -> Value {
    let problems = catalogue.problems.iter().take(PROBLEMS_MAX);
    problems
        .map(|problem| {
            json!({"name": "peelbox:not-read", "value": format!("{}: {}", problem.path, problem.why)})
        })
        .collect()
}

const IMAGE: &str = "image";
const DISTRIBUTION: &str = "distribution";
/// Files named in the document of those that could not be read.
const PROBLEMS_MAX: usize = 1_000;
