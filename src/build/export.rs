//! What BuildKit is told of each build: its exporter, its attributes, the metadata of its result.

use std::collections::BTreeMap;

use super::{
    delivery::{Delivery, Stages},
    id::unique_id,
    request::BuildRequest,
};
use crate::{
    plan::Plan,
    solve::{Exporter, Job},
};

/// The build of the graph; it exports too, unless that is a stage of its own.
pub(super) fn build_job(request: &BuildRequest, delivery: &Delivery) -> Job {
    let exports = delivery.stages == Stages::One;
    let mut frontend_attrs = common_attrs(request);
    if exports {
        frontend_attrs.extend(delivery.daemon_attests.clone());
    }
    Job {
        reference: unique_id(),
        exporter: delivery.exporter.clone().filter(|_| exports),
        frontend_attrs,
        internal: !(request.keeps_record || exports && delivery.needs_record),
    }
}

/// The stage that exports.
pub(super) fn export_job(request: &BuildRequest, delivery: &Delivery) -> Job {
    let mut frontend_attrs = common_attrs(request);
    frontend_attrs.extend(delivery.daemon_attests.clone());
    let exporter = delivery.exporter.clone();
    // The record is that of the build.
    Job { reference: unique_id(), exporter, frontend_attrs, internal: true }
}

/// The stage whose record is read and then forgotten.
pub(super) fn record_job(request: &BuildRequest) -> Job {
    let frontend_attrs = epoch_attrs(request);
    Job { reference: unique_id(), exporter: None, frontend_attrs, internal: false }
}

fn common_attrs(request: &BuildRequest) -> BTreeMap<String, String> {
    let mut attrs = epoch_attrs(request);
    // Only a record shows them, and to know them may mean to wait for git.
    if request.keeps_record {
        attrs.extend(request.project.parameters().clone());
    }
    attrs
}

pub(super) fn epoch_attrs(request: &BuildRequest) -> BTreeMap<String, String> {
    let epoch = request.project.epoch().map(|e| e.to_string());
    epoch.map(|epoch| ("build-arg:SOURCE_DATE_EPOCH".to_owned(), epoch)).into_iter().collect()
}

/// The exporter that tells the digests of the image: it has no result metadata, so all is said in attributes.
pub(super) fn with_config(mut exporter: Exporter, plan: &Plan) -> Exporter {
    let config = String::from_utf8_lossy(&plan.image_config()).into_owned();
    exporter.attrs.insert("containerimage.config".to_owned(), config);
    let annotations = plan.annotations().iter();
    exporter.attrs.extend(annotations.map(|(k, v)| (format!("annotation.{k}"), v.clone())));
    exporter
}

/// What every exporter is told of the image with the result; unlike attributes it reaches each (`exptypes/annotations.go`).
pub(super) fn metadata(plan: &Plan) -> BTreeMap<String, Vec<u8>> {
    let config = ("containerimage.config".to_owned(), plan.image_config());
    let base =
        plan.base_config().map(|base| ("containerimage.base.config".to_owned(), base.to_vec()));
    let annotations = plan.annotations().iter();
    let annotations = annotations.map(|(k, v)| (format!("annotation.{k}"), v.clone().into_bytes()));
    [config].into_iter().chain(base).chain(annotations).collect()
}
