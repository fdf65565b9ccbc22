//! Protobuf messages, generated from `proto/` and `vendor-proto/` and committed.
//!
//! Only what peelbox sends or reads is described there. `cargo test` compares; `UPDATE_PROTO=1` rewrites.

#[rustfmt::skip]
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, reason = "generated code")]
mod generated {
    include!("generated/mod.rs");
}

pub use generated::{
    containerd::services::content::v1 as content,
    fsutil::types as fsutil,
    google::{protobuf::Any, protobuf::Timestamp, rpc},
    grpc::health::v1 as health,
    moby::{
        buildkit::secrets::v1 as secrets, buildkit::v1 as control,
        buildkit::v1::frontend as gateway, buildkit::v1::types as worker, filesync::v1 as filesync,
    },
    pb as llb,
};
