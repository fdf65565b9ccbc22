//! What `--metadata-file` and `--iidfile` hold, as buildx writes them.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

/// Writes the answer of the exporter as the JSON of `--metadata-file`.
///
/// As in buildx, a value that is base64 of a JSON object or a list of objects (such as
/// `containerimage.descriptor`) is given as that JSON, and all else as text. `extra` are
/// facts of our own; their keys get the prefix `peelbox.`.
pub fn metadata_json(
    exporter_response: &BTreeMap<String, String>,
    extra: &BTreeMap<&str, Value>,
) -> Vec<u8> {
    let answered = exporter_response.iter().map(|(key, value)| (key.clone(), decode(value)));
    let ours = extra.iter().map(|(key, value)| (format!("peelbox.{key}"), value.clone()));
    let all: BTreeMap<String, Value> = answered.chain(ours).collect();
    let mut json = serde_json::to_vec_pretty(&all).expect("text keys and JSON values always print");
    json.push(b'\n');
    json
}

/// Gives the id that `--iidfile` holds: the digest of the image's config when it is known,
/// else that of the manifest or index.
pub fn image_id(exporter_response: &BTreeMap<String, String>) -> Option<&str> {
    ["containerimage.config.digest", "containerimage.digest"]
        .iter()
        .find_map(|key| exporter_response.get(*key))
        .map(String::as_str)
}

fn decode(value: &str) -> Value {
    let json = STANDARD.decode(value).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    match json {
        Some(Value::Object(map)) if !map.is_empty() => Value::Object(map),
        Some(Value::Array(list)) if !list.is_empty() && list.iter().all(Value::is_object) => {
            Value::Array(list)
        }
        _ => Value::String(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn response(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| (String::from(*k), String::from(*v))).collect()
    }

    fn check(value: &str, expected: Value) {
        let json = metadata_json(&response(&[("key", value)]), &BTreeMap::new());
        let read: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(read, json!({ "key": expected }), "{value}");
    }

    #[test]
    fn only_base64_of_objects_is_decoded() {
        check(&STANDARD.encode(r#"{"size":7}"#), json!({"size": 7}));
        check(&STANDARD.encode(r#"[{"a":1},{"b":2}]"#), json!([{"a": 1}, {"b": 2}]));
        for text in [
            "sha256:00".to_owned(),
            "true".to_owned(),
            r#"{"plain":"json"}"#.to_owned(),
            STANDARD.encode("{}"),
            STANDARD.encode("[]"),
            STANDARD.encode("[1]"),
            STANDARD.encode("\"text\""),
            String::new(),
        ] {
            check(&text, json!(text));
        }
    }

    #[test]
    fn the_file_is_sorted_indented_and_ends_its_last_line() {
        let descriptor = STANDARD.encode(
            r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:aa","size":480}"#,
        );
        let answered = response(&[
            ("image.name", "docker.io/library/app:latest"),
            ("containerimage.digest", "sha256:aa"),
            ("containerimage.descriptor", &descriptor),
        ]);
        let extra = BTreeMap::from([("service", json!("api")), ("platform", json!("linux/amd64"))]);
        let expected = r#"{
  "containerimage.descriptor": {
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "digest": "sha256:aa",
    "size": 480
  },
  "containerimage.digest": "sha256:aa",
  "image.name": "docker.io/library/app:latest",
  "peelbox.platform": "linux/amd64",
  "peelbox.service": "api"
}
"#;
        assert_eq!(String::from_utf8(metadata_json(&answered, &extra)).unwrap(), expected);
    }

    #[test]
    fn the_image_id_is_the_config_digest_before_the_manifest_digest() {
        let both = [("containerimage.config.digest", "c"), ("containerimage.digest", "m")];
        assert_eq!(image_id(&response(&both)), Some("c"));
        assert_eq!(image_id(&response(&both[1..])), Some("m"));
        assert_eq!(image_id(&response(&[("image.name", "x")])), None);
    }
}
