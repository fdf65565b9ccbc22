//! The table of deliveries: every output, every place, with and without attestations.

use std::{fmt::Write as _, fs};

use super::*;
use crate::attestation::Provenance;

/// What a row of the table says of a place: its name, and whether the engine that shall hold the image holds attestations.
const PLACES: [(&str, ImageStore, EngineOf, bool); 5] = [
    ("buildkit", ImageStore::BuildKit, EngineOf::Nobody, false),
    ("buildkit+containerd", ImageStore::BuildKit, EngineOf::Another, true),
    ("buildkit+classic", ImageStore::BuildKit, EngineOf::Another, false),
    ("containerd", ImageStore::Containerd, EngineOf::Builder, true),
    ("classic", ImageStore::Classic, EngineOf::Builder, false),
];

const OUTPUTS: [&str; 8] = [
    "type=none", "type=docker", "type=docker,dest=/tmp/a.tar", "type=oci,dest=/tmp/a.tar",
    "type=oci,dest=-", "type=image,push=true", "type=local,dest=/tmp/out",
    "type=tar,dest=/tmp/a.tar",
];

fn row(output: &str, place: (&str, ImageStore, EngineOf, bool), attested: &Attestations) -> String {
    let (_, store, engine, is_held) = place;
    let tags = ["docker.io/library/app:1".to_owned()];
    let wish = Wish {
        attestations: attested,
        tags: &tags,
        has_epoch: false,
        data_dir: Some(Path::new("/data")),
    };
    let output = Output::parse(output).unwrap();
    let ask = || Ok::<_, DeliveryError>(is_held);
    let decision = match decide(&output, Place { store, engine }, wish, ask) {
        Ok(decision) => decision,
        Err(error) => return format!("refused: {error}"),
    };
    let open = if decision.is_open() { "?" } else { "" };
    decision.settle(is_held);
    let Delivery { exporter, sink, stages, attestations, dir, digest_exporter, .. } =
        decision.delivery();
    let exporter = exporter.as_ref().map_or("-", |exporter| exporter.name.as_str());
    let mut text = format!("{exporter} → {sink:?}, {stages:?}, {attestations:?}{open}");
    if let Some(dir) = dir {
        write!(text, " {dir:?}").unwrap();
    }
    if digest_exporter.is_some() {
        text.push_str(", digests");
    }
    text
}

#[test]
fn every_output_goes_where_the_table_says() {
    let mut table = String::new();
    for output in OUTPUTS {
        for place in PLACES {
            for (name, attested) in
                [("attested", Attestations::default()), ("plain", Attestations::none())]
            {
                let row = row(output, place, &attested);
                writeln!(table, "{output} | {} | {name} | {row}", place.0).unwrap();
            }
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/deliveries.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &table).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), table);
}

fn check(output: &str, attestations: &Attestations, data_dir: Option<&Path>, expected: &str) {
    let output = Output::parse(output).unwrap();
    let wish = Wish { attestations, tags: &[], has_epoch: false, data_dir };
    let place = Place { store: ImageStore::BuildKit, engine: EngineOf::Nobody };
    let error = decide(&output, place, wish, || Ok::<_, DeliveryError>(false)).unwrap_err();
    assert_eq!(error.to_string(), expected, "{output:?}");
}

#[test]
fn what_cannot_be_had_is_refused_before_the_build() {
    let data = Some(Path::new("/data"));
    let inside = Attestations { is_inside_required: true, ..Attestations::default() };
    check("type=none", &inside, data, "attestations need an image, and none is made");
    check("type=local,dest=/tmp/out", &inside, data, "a folder cannot hold attestations");
    let scanner = Sbom::Generator("scanner".to_owned());
    let scanned = Attestations { sbom: scanner, ..Attestations::default() };
    let expected = "a tar of files cannot hold the SBOM of a scanner";
    check("type=tar,dest=/tmp/a.tar", &scanned, data, expected);
    let wanted = Attestations::default();
    check("type=tar,dest=-", &wanted, None, "there is no folder for SBOM and provenance");
    let dir = Attestations { dir: Some("/dev/null".into()), ..Attestations::default() };
    check("type=tar,dest=-", &dir, None, "`/dev/null` is no folder");
}

#[test]
fn the_daemon_attests_only_what_the_image_can_hold() {
    let provenance = Some(Provenance::default());
    let scanner = Sbom::Generator("scanner".to_owned());
    let attestations = Attestations { sbom: scanner, provenance, ..Attestations::none() };
    let tags = ["registry/app:1".to_owned()];
    let wish = Wish { attestations: &attestations, tags: &tags, has_epoch: true, data_dir: None };
    let place = Place { store: ImageStore::BuildKit, engine: EngineOf::Nobody };
    let ask = || Ok::<_, DeliveryError>(false);
    let output = Output::parse("type=image,push-by-digest=true,push=true").unwrap();
    let decision = decide(&output, place, wish, ask).unwrap();
    let Delivery { daemon_attests, names, exporter, makes_sbom, .. } = decision.delivery();
    assert_eq!(daemon_attests["attest:sbom"], "generator=scanner");
    assert!(daemon_attests.contains_key("attest:provenance"));
    assert!(!makes_sbom);
    assert_eq!(names, &["registry/app".to_owned()]);
    let attrs = &exporter.as_ref().unwrap().attrs;
    assert_eq!(attrs["name"], "registry/app");
    assert_eq!(attrs["rewrite-timestamp"], "true");
}
