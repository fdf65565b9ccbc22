//! The build engine: from a request to what came of it.

pub(crate) mod attest;
pub(crate) mod disk_cache;
pub(crate) mod export;
pub(crate) mod image_memory;
pub(crate) mod image_sbom;
pub(crate) mod layer_cache;
pub(crate) mod prefetch;
pub(crate) mod project;
pub(crate) mod services;
pub(crate) mod stages;
pub(crate) mod work;
