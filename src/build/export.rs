//! Which exporter makes the image, and what it is told.

use std::collections::BTreeMap;

use crate::{
    build::{attest::Carrier, project::unique_id, work::Request},
    connect::search::Reached,
    output::Output,
    pb::control::Exporter,
    plan::Plan,
    solve::Job,
};

/// Whether the build is looked at before anything is exported, see [`crate::build::stages`].
///
/// Where a file is written it is written each time, and without SBOM and provenance an export costs less than the question.
pub(crate) fn is_in_stages(request: &Request) -> bool {
    let is_in_docker = matches!(request.output, Output::Docker { dest: None, .. });
    is_in_docker && !request.attest.is_nothing()
}

/// The build of the graph; it exports too, unless that is a stage of its own.
pub(crate) fn build_job(request: &Request, reached: &Reached) -> Job {
    let is_in_stages = is_in_stages(request);
    let mut frontend_attrs = if is_in_stages {
        BTreeMap::new()
    } else {
        request.attest.frontend_attrs(request.carrier())
    };
    let needs_record = !is_in_stages && request.attest.needs_record(request.carrier());
    frontend_attrs.extend(common_attrs(request));
    Job {
        reference: unique_id(),
        exporter: if is_in_stages { None } else { image_exporter(request, reached) },
        frontend_attrs,
        internal: !request.keeps_record && !needs_record,
    }
}

/// The stage that exports.
pub(crate) fn export_job(request: &Request, reached: &Reached) -> Job {
    let mut frontend_attrs = request.attest.frontend_attrs(request.carrier());
    frontend_attrs.extend(common_attrs(request));
    let exporter = image_exporter(request, reached);
    // The record is that of the build.
    Job { reference: unique_id(), exporter, frontend_attrs, internal: true }
}

/// The stage whose record is read and then forgotten.
pub(crate) fn record_job(request: &Request) -> Job {
    let frontend_attrs = epoch_attrs(request);
    Job { reference: unique_id(), exporter: None, frontend_attrs, internal: false }
}

fn common_attrs(request: &Request) -> BTreeMap<String, String> {
    let mut attrs = epoch_attrs(request);
    // Only a record shows them, and to know them may mean to wait for git.
    if request.keeps_record {
        attrs.extend(request.project.parameters().clone());
    }
    attrs
}

pub(crate) fn epoch_attrs(request: &Request) -> BTreeMap<String, String> {
    let epoch = request.project.epoch.map(|e| e.to_string());
    epoch.map(|epoch| ("build-arg:SOURCE_DATE_EPOCH".to_owned(), epoch)).into_iter().collect()
}

/// What exports the image under its names.
fn image_exporter(request: &Request, reached: &Reached) -> Option<Exporter> {
    let name = request.output.exporter()?;
    if request.output.is_files() {
        // These know nothing of images.
        return Some(Exporter { r#type: name.to_owned(), attrs: request.output.exporter_attrs() });
    }
    let name = match request.output {
        _ if reached.keeps_image() => "moby",
        // Docker takes an OCI image too, and only that holds attestations.
        Output::Docker { dest: None, .. } if *request.carrier() == Carrier::Image => "oci",
        _ => name,
    };
    let mut exporter = exporter(request, name);
    exporter.attrs.insert("name".to_owned(), request.names().join(","));
    Some(exporter)
}

/// What makes the same image beside the build, of which only the digests are wanted: it goes nowhere and gets no name. It
/// has no result metadata, so all is said in attributes.
pub(crate) fn exporter_beside(request: &Request, plan: &Plan) -> Exporter {
    let is_oci = match request.output {
        Output::Docker { dest: Some(_), .. } => false,
        // What goes into the classic store of an engine beside the builder.
        Output::Docker { .. } => *request.carrier() == Carrier::Image,
        _ => true,
    };
    let mut exporter = exporter(request, "image");
    exporter.attrs.retain(|key, _| !Output::is_of_image(key));
    // As the exporters `oci` and `docker` make it if nobody says another word.
    let media_types = exporter.attrs.entry("oci-mediatypes".to_owned());
    media_types.or_insert_with(|| is_oci.to_string());
    let config = String::from_utf8_lossy(&plan.image_config()).into_owned();
    exporter.attrs.insert("containerimage.config".to_owned(), config);
    exporter.attrs.insert("store".to_owned(), "false".to_owned());
    let annotations = plan.annotations().iter();
    exporter.attrs.extend(annotations.map(|(k, v)| (format!("annotation.{k}"), v.clone())));
    exporter
}

fn exporter(request: &Request, name: &str) -> Exporter {
    let mut attrs = request.output.exporter_attrs();
    // BuildKit before v0.13 writes sources into the image's config, which the provenance tells better; newer ones leave the
    // attribute alone.
    attrs.entry("buildinfo".to_owned()).or_insert_with(|| "false".to_owned());
    if request.project.epoch.is_some() {
        // Files too, not only the config: else a rebuilt layer has another digest.
        attrs.entry("rewrite-timestamp".to_owned()).or_insert_with(|| "true".to_owned());
    }
    Exporter { r#type: name.to_owned(), attrs }
}

/// What every exporter is told of the image with the result; unlike attributes it reaches each (`exptypes/annotations.go`).
pub(crate) fn metadata(plan: &Plan) -> BTreeMap<String, Vec<u8>> {
    let config = ("containerimage.config".to_owned(), plan.image_config());
    let base =
        plan.base_config().map(|base| ("containerimage.base.config".to_owned(), base.to_vec()));
    let annotations = plan.annotations().iter();
    let annotations = annotations.map(|(k, v)| (format!("annotation.{k}"), v.clone().into_bytes()));
    [config].into_iter().chain(base).chain(annotations).collect()
}
