//! The one integration binary: it links once, each theme is a file.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod bases;
mod cache;
mod carriers;
mod connecting;
mod context;
mod daemonless;
mod discovery;
mod docker;
mod docker_load;
mod docs;
mod doctor;
mod engine;
mod failures;
mod frontend;
mod ignore;
mod images;
mod interrupt;
mod misbehaviour;
mod no_daemon;
mod outputs;
mod plan;
mod printed;
mod proto;
mod registry;
mod reproducible;
mod signals;
mod stuck_readers;
mod support;
mod tidy;
mod tls;
mod transfer;
mod warnings;
