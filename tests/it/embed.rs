//! The crate as another program uses it: `examples/embed.rs`, built and run.

use std::process::Command;

use crate::support::{daemon, workdir::Workdir};

#[test]
fn a_program_of_ones_own_builds_an_image_and_is_told_what_happens() {
    let work = Workdir::example("python-flask");
    let spec = work.context().join("universalbuild.json");
    let image = work.context().with_file_name("image.tar");
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--locked", "--example", "embed", "--"])
        .args([&spec, &work.context(), &image])
        .arg(daemon::newest())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{failed}");
    for words in ["building with BuildKit v", "steps to do", "done: ", "packages in its SBOM"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let report = peelbox::image_file::ImageFile::open(&image).unwrap();
    let report = report.inspect(peelbox::image_file::Depth::Whole).unwrap();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    assert_eq!(report.images[0].manifests[0].attestations.len(), 3);
}
