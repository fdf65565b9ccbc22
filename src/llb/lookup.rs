//! Questions about a definition by the digest of an operation.

use prost::Message as _;

use super::Definition;
use crate::{digest::sha256, pb::llb as pb};

/// Schemes of sources that are images (BuildKit `source/types/types.go`).
const IMAGES: [&str; 2] = ["docker-image://", "oci-layout://"];

/// Whether the operation with that digest fetches an image.
pub fn fetches_image(definition: &Definition, digest: &str) -> bool {
    let op = definition.def.iter().find(|bytes| sha256(bytes) == digest);
    let op = op.and_then(|bytes| pb::Op::decode(&**bytes).ok()?.op);
    let Some(pb::op::Op::Source(source)) = op else { return false };
    IMAGES.iter().any(|scheme| source.identifier.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llb::{Graph, op};

    #[test]
    fn a_step_that_fetches_an_image_is_told_from_one_that_says_so() {
        let mut graph = Graph::new();
        let meta = op::Meta { name: Some("FROM nothing".to_owned()), ignore_cache: false };
        let local = op::LocalSource { name: "context".to_owned(), ..op::LocalSource::default() };
        let state = graph.source(&op::Source::Local(local), &meta);
        let definition = graph.definition(state);
        let digest = sha256(&definition.def[0]);
        assert!(!fetches_image(&definition, &digest));

        let source = pb::SourceOp {
            identifier: "docker-image://docker.io/library/alpine".to_owned(),
            ..pb::SourceOp::default()
        };
        let image = pb::Op { op: Some(pb::op::Op::Source(source)), ..pb::Op::default() };
        let bytes = image.encode_to_vec();
        let digest = sha256(&bytes);
        let definition = Definition { def: vec![bytes], ..Definition::default() };
        assert!(fetches_image(&definition, &digest));
        assert!(!fetches_image(&definition, "sha256:0"));
    }
}
