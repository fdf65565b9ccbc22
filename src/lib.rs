//! peelbox turns a source tree into a container image by speaking to BuildKit itself.
//!
//! The data goes one way, top to bottom, and the modules are listed in that order:
//! spec → plan → LLB → solve over a connection → the session serves the context →
//! status events → printer → outputs.

pub mod terminal_text;

pub mod error;

mod daemon_words;

mod digest;

pub mod revision;

pub mod attestation;

pub mod spec;

pub mod manifest;

pub mod sbom;

pub mod os_release;

#[cfg(feature = "detect")]
pub mod detect;

pub mod plan;

pub mod llb;

pub mod threads;

pub mod transport;

pub mod grpc;

pub mod control;

pub mod gateway;

pub mod frontend;

pub mod solve;

pub mod build;

pub mod connect;

pub mod cli;

pub mod session;

pub mod progress;

pub mod pb;

pub mod output;

pub mod endpoint;

pub mod docker;

pub mod credentials;

pub mod daemonless;

pub mod oci_layout;

pub mod image_file;

#[cfg(test)]
mod mutation;
