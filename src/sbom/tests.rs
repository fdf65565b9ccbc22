//! A sample of everything; also for validators that are not written here.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use super::*;

fn sample() -> Catalogue {
    let texts = [
        ("/etc/os-release", "ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"),
        (
            "/var/lib/dpkg/status",
            "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9+deb12u9\nArchitecture: amd64\nMaintainer: GNU Libc (odd) <a@b.example>\nSource: glibc\n\nPackage: bash\nStatus: install ok installed\nMaintainer: Team\nVersion: 1:5.2\nArchitecture: amd64\nDepends: libc6\n\nPackage: broken\n",
        ),
        (
            "/usr/share/doc/bash/copyright",
            "Format: copyright-format/1.0\n\nFiles: *\nLicense: GPL-3+ with Odd exception or Expat\n\nFiles: x\nLicense: public-domain\n",
        ),
        ("/usr/share/doc/libc6/copyright", "Format: copyright-format/1.0\nLicense: LGPL-2.1+\n"),
        (
            "/app/node_modules/@babel/core/package.json",
            r#"{"name":"@babel/core","version":"7.0.0","license":"SEE LICENSE IN ./LICENSE"}"#,
        ),
        (
            "/app/Cargo.lock",
            "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry+x\"\nchecksum = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\n",
        ),
    ];
    let jar = zip::tests::archive(&[
        (
            "META-INF/MANIFEST.MF",
            b"Bundle-License: https://www.apache.org/licenses/LICENSE-2.0.txt\n",
            true,
        ),
        ("BOOT-INF/lib/spring-core-6.0.jar", &zip::tests::archive(&[]), false),
    ]);
    let files = Files {
        texts: texts.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec())).into(),
        binaries: BTreeMap::from([(
            "/app/app.jar".to_owned(),
            Box::new(jar) as Box<dyn ReadAt + Send>,
        )]),
        problems: vec![Problem { path: "/x".to_owned(), why: "is gone".to_owned() }],
    };
    let mut found = catalogue(&files, Origin::Image);
    let lock = "# comment\nrequests==2.31.0\n";
    let context = Files {
        texts: BTreeMap::from([("/requirements.txt".to_owned(), lock.as_bytes().to_vec())]),
        ..Files::default()
    };
    merge(&mut found, catalogue(&context, Origin::Context));
    found
}

fn documents(catalogue: &Catalogue) -> [(&'static str, Value); 2] {
    let subject = Subject {
        name: "registry.test/team/app:1",
        digest: Some("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        platform: "linux/amd64",
        created_seconds: 1_700_000_000,
    };
    [
        ("sample.spdx.json", spdx::document(catalogue, &subject)),
        ("sample.cdx.json", cyclonedx::document(catalogue, &subject)),
    ]
}

/// With `PEELBOX_SBOM_SAMPLES=FOLDER` the documents are left there for a validator.
#[test]
fn documents_are_the_same_in_every_run() {
    let documents_of = |catalogue: &Catalogue| {
        documents(catalogue).map(|(name, document)| (name, format!("{document:#}")))
    };
    let [first, again] = [documents_of(&sample()), documents_of(&sample())];
    assert_eq!(first, again);
    let mut other = sample();
    other.packages.pop();
    let other = documents(&other);
    let [(_, spdx), (_, cyclonedx)] = documents(&sample());
    assert_ne!(other[0].1["documentNamespace"], spdx["documentNamespace"]);
    assert_ne!(other[1].1["serialNumber"], cyclonedx["serialNumber"]);
    if let Some(folder) = std::env::var_os("PEELBOX_SBOM_SAMPLES") {
        for (name, text) in first {
            fs::write(Path::new(&folder).join(name), text).unwrap();
        }
    }
}

#[test]
fn spdx_relates_packages_to_the_image_and_to_each_other() {
    let [(_, spdx), _] = documents(&sample());
    let relationships: Vec<_> = spdx["relationships"].as_array().unwrap().iter().collect();
    let of = |kind: &str| relationships.iter().filter(|it| it["relationshipType"] == kind).count();
    assert_eq!((of("DESCRIBES"), of("BUILD_DEPENDENCY_OF")), (1, 1));
    // The distribution, two packages of Debian, one each of npm and Cargo, two artifacts.
    assert_eq!((of("CONTAINS"), of("DEPENDS_ON")), (7, 2));
    let mut ids: Vec<_> =
        spdx["packages"].as_array().unwrap().iter().map(|it| it["SPDXID"].to_string()).collect();
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
    assert!(spdx["comment"].as_str().unwrap().contains("/x: is gone"), "{}", spdx["comment"]);
}

#[test]
fn cyclonedx_marks_what_is_of_the_context_and_what_was_not_read() {
    let [_, (_, cyclonedx)] = documents(&sample());
    let components = cyclonedx["components"].as_array().unwrap();
    let excluded: Vec<_> = components.iter().filter(|it| it["scope"] == "excluded").collect();
    assert_eq!(excluded.len(), 1);
    assert_eq!(excluded[0]["purl"], "pkg:pypi/requests@2.31.0");
    assert_eq!(cyclonedx["metadata"]["properties"].as_array().unwrap().len(), 2);
    let babel = components.iter().find(|it| it["name"] == "core").unwrap();
    assert_eq!(babel["group"], "@babel");
}
