//! The committed protobuf types are what `proto/` and `vendor-proto/` say.

use std::{fs, path::Path};

/// Generates the types anew and compares; `UPDATE_PROTO=1` writes them instead.
#[test]
fn generated_types_match_the_proto_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let includes = [root.join("proto"), root.join("vendor-proto")];
    let files = [
        "control.proto", "gateway.proto", "filesync.proto", "auth.proto", "secrets.proto",
        "fsutil/wire.proto", "grpc/health.proto", "containerd/content.proto",
    ];
    let set = protox::compile(files, &includes).expect("the proto files parse");
    let out = tempfile::tempdir().unwrap();
    prost_build::Config::new()
        .btree_map(["."])
        .bytes([
            ".fsutil.types.Packet.data",
            ".moby.buildkit.v1.BytesMessage.data",
            ".moby.filesync.v1.BytesMessage.data",
            ".containerd.services.content.v1.ReadContentResponse.data",
        ])
        .compile_well_known_types()
        .include_file("mod.rs")
        .out_dir(out.path())
        .compile_fds(set)
        .expect("types are generated");

    let committed = root.join("src/pb/generated");
    if std::env::var_os("UPDATE_PROTO").is_some() {
        drop(fs::remove_dir_all(&committed));
        fs::create_dir_all(&committed).unwrap();
        for entry in fs::read_dir(out.path()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), committed.join(entry.file_name())).unwrap();
        }
        return;
    }
    for entry in fs::read_dir(out.path()).unwrap() {
        let entry = entry.unwrap();
        let want = fs::read_to_string(entry.path()).unwrap();
        let have = fs::read_to_string(committed.join(entry.file_name())).unwrap_or_default();
        assert!(
            want == have,
            "src/pb/generated/{} differs from the proto files: run `UPDATE_PROTO=1 cargo test --test it generated_types`",
            entry.file_name().to_string_lossy()
        );
    }
}
