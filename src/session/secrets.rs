//! `Secrets/GetSecret`: values that steps of a build see while they run, and that are nowhere kept.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::{
    grpc::{Call, Code, Service, Status},
    pb::secrets::{GetSecretRequest, GetSecretResponse},
};

/// Longest secret, in bytes (BuildKit `session/secrets/secretsprovider/secretsprovider.go`).
pub const SECRET_BYTES_MAX: u64 = 500 << 10;

/// Values by the id that a step asks for.
#[derive(Clone, Default)]
pub struct Values(pub BTreeMap<String, Vec<u8>>);

/// Says which there are, not what they are.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Hands out secrets.
#[derive(Debug)]
pub struct Secrets(pub Arc<Values>);

impl Service for Secrets {
    fn methods(&self) -> &'static [&'static str] {
        &["/moby.buildkit.secrets.v1.Secrets/GetSecret"]
    }

    fn serve(&self, call: &mut Call) -> Result<(), Status> {
        let request: GetSecretRequest = call.request()?;
        // The daemon lets a step run without one that is optional.
        let absent = || Status::new(Code::NotFound, format!("secret {} not found", request.id));
        let data = self.0.0.get(&request.id).cloned().ok_or_else(absent)?;
        call.sender.message(&GetSecretResponse { data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_not_printed() {
        let values = Values(BTreeMap::from([("token".to_owned(), b"hunter2".to_vec())]));
        assert_eq!(format!("{values:?}"), r#"{"token"}"#);
    }
}
