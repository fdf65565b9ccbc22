//! `build.files` and `runtime.files`: files whose content stands in the spec.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use serde_json::{Value, json};

use crate::support::{
    buildctl, daemon,
    docker::Engine,
    image::{Image, unpack},
    peelbox::Peelbox,
    workdir::{DEBIAN, Workdir, debian},
};

/// 1980-01-02.
const FILE_TIME: i64 = 315_619_200;
const BARE: [&str; 2] = ["--no-sbom", "--no-provenance"];
const OCI: [&str; 2] = ["--output", "type=oci,dest=app.tar"];

/// Its commands fail unless they find the files, each time they run.
fn work(name: &str) -> Workdir {
    let found = "[ \"$(cat settings.txt)\" = 'of the spec' ] && [ \"$(cat /etc/tool/tool.conf)\" = tool ] && \
                 [ \"$(stat -c %a web/deep/run.sh)\" = 775 ] && web/deep/run.sh";
    let commands = [
        format!("{found}; [ -e main.txt ] && mkdir dist && cp main.txt settings.txt dist"),
        "ls -a >>dist/listing".to_owned(),
    ];
    let work = Workdir::with_spec(&json!({
        "version": "1.0",
        "metadata": { "project_name": name },
        "build": {
            "base": DEBIAN,
            "env": { "TEST": name },
            "dependencies": [
                { "files": ["*.lock"], "commands": [format!("{found} && [ ! -e main.txt ] && echo changed >settings.txt")] }
            ],
            "commands": commands.map(|command| format!("set -e; {command}")),
            "files": [
                { "path": "settings.txt", "content": "of the spec\n" },
                { "path": "/build/web/deep/run.sh", "content": "#!/bin/sh\necho runs\n", "mode": "0775" },
                { "path": "/etc/tool/tool.conf", "base64": "dG9vbAo=", "mode": "600" }
            ]
        },
        "runtime": {
            "base": DEBIAN,
            "copy": [{ "from": "dist", "to": "/srv/app" }, { "from": "/etc/tool/tool.conf", "to": "/tool.conf" }],
            "files": [
                { "path": "/srv/app/settings.txt", "content": "of the image\n", "mode": "0666" },
                { "path": "/etc/debian_version", "content": "none\n", "mode": "0600" },
                { "path": "/root/.rc", "content": "" },
                { "path": "/usr/local/bin/start", "content": "#!/bin/sh\nexec \"$@\"\n", "mode": "0777" },
                { "path": "/var/lib/app/key.bin", "base64": "AP8Q" }
            ],
            "command": ["/usr/local/bin/start", "cat", "/srv/app/main.txt"]
        }
    }));
    work.write("settings.txt", "of the context\n");
    work.write("main.txt", format!("one of {}\n", work.root().display()));
    work.write("deps.lock", "");
    work
}

/// Content, permissions, owner and time of what is in the image.
fn check_image(root: &Path) {
    let check = |path: &str, content: &[u8], mode: u32| {
        let file = root.join(path);
        let meta = fs::symlink_metadata(&file).unwrap();
        assert_eq!(fs::read(&file).unwrap(), content, "{path}");
        assert_eq!(
            format!("{:o}", meta.permissions().mode() & 0o7777),
            format!("{mode:o}"),
            "{path}"
        );
        assert_eq!((meta.uid(), meta.gid()), (0, 0), "{path}");
        assert_eq!(meta.mtime(), FILE_TIME, "{path}");
    };
    check("srv/app/settings.txt", b"of the image\n", 0o666);
    check("etc/debian_version", b"none\n", 0o600);
    check("usr/local/bin/start", b"#!/bin/sh\nexec \"$@\"\n", 0o777);
    check("var/lib/app/key.bin", &[0, 255, 16], 0o644);
    let folder = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!([folder("var/lib/app"), folder("etc"), folder("root")], [0o755, 0o755, 0o700]);
    assert_eq!(fs::read_to_string(root.join("tool.conf")).unwrap(), "tool\n");
    let listing = fs::read_to_string(root.join("srv/app/listing")).unwrap();
    assert!(
        ["main.txt", "settings.txt", "web"].iter().all(|name| listing.contains(name)),
        "{listing}"
    );
}

fn build(work: &Workdir) -> Peelbox {
    work.build().args(OCI).args(BARE).args(["--progress", "rawjson"])
}

/// What each layer on top of the base is, and its digest.
fn layers(work: &Workdir) -> Vec<(String, String)> {
    let image = Image::read(&work.path("app.tar"));
    image.check();
    let (manifest, config) = (image.manifest(), image.config());
    let history = config["history"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let names = history
        .filter(|entry| entry["empty_layer"] != true)
        .map(|entry| text(&entry["created_by"]));
    let digests = manifest["layers"].as_array().unwrap().iter().map(|layer| text(&layer["digest"]));
    let all: Vec<(String, String)> = names.zip(digests).collect();
    all[all.len() - 4..].to_vec()
}

const BELOW: &str =
    "write /etc/debian_version, /root/.rc, /usr/local/bin/start, /var/lib/app/key.bin";
const ABOVE: &str = "write /srv/app/settings.txt";

#[test]
fn commands_and_image_have_the_files_and_an_edit_of_the_sources_leaves_their_layer() {
    for (at, daemon) in [daemon::newest(), daemon::oldest()].into_iter().enumerate() {
        let work = work(&format!("spec-files-{at}")).on(&daemon);
        drop(build(&work).run().ok());
        check_image(&unpack(&work.path("app.tar")));
        let in_context = fs::read_to_string(work.context().join("settings.txt")).unwrap();
        assert_eq!(in_context, "of the context\n");
        let first = layers(&work);
        let names: Vec<&str> = first.iter().map(|(name, _)| &**name).collect();
        let copies = ["copy dist → /srv/app", "copy /etc/tool/tool.conf → /tool.conf"];
        assert_eq!(names, [BELOW, copies[0], copies[1], ABOVE]);

        let steps = build(&work).run().ok().steps();
        assert_eq!(steps.worked(), Vec::<&str>::new());
        work.write("main.txt", format!("two of {}\n", work.root().display()));
        let steps = build(&work).run().ok().steps();
        assert!(steps.is_cached(BELOW) && !steps.is_cached("copy dist"), "{steps:#?}");
        assert!(steps.is_cached("] write /etc/tool/tool.conf"));
        let second = layers(&work);
        assert_eq!(first[0], second[0]);
        assert_ne!(first[1], second[1]);

        // Made anew, it is the same layer: no time of the day is in it.
        let anew = build(&work).arg("--no-cache").run().ok().steps();
        assert!(!anew.is_cached(BELOW));
        assert_eq!(first[0], layers(&work)[0]);
    }
}

#[test]
fn an_edit_of_one_file_writes_that_layer_and_no_command_runs() {
    let work = work("spec-files-edit");
    drop(build(&work).run().ok());
    let before = layers(&work);
    let text = fs::read_to_string(work.spec()).unwrap();
    fs::write(work.spec(), text.replace("of the image", "edited")).unwrap();
    let steps = build(&work).run().ok().steps();
    assert_eq!(steps.worked(), [format!("[spec-files-edit] {ABOVE}")]);
    let after = layers(&work);
    assert_eq!(before[..3], after[..3]);
    assert_ne!(before[3], after[3]);
}

#[test]
fn docker_writes_files_with_their_permissions_in_spite_of_its_umask() {
    for engine in [Engine::containerd("spec-files"), Engine::classic("spec-files")] {
        let work = work("spec-files-docker").on(engine.host());
        drop(work.build().args(["--output", "type=local,dest=out"]).args(BARE).run().ok());
        check_image(&work.path("out"));
    }
}

#[test]
fn a_context_that_comes_again_after_a_build_with_files_is_not_sent_again() {
    let mut spec =
        debian("spec-files-context", &["mkdir /out && cat settings.txt large >/out/all"]);
    spec["build"]["files"] = json!([{ "path": "settings.txt", "content": "of the spec\n" }]);
    let work = Workdir::with_spec(&spec);
    work.write("large", vec![b'x'; 4 << 20]);
    work.write("settings.txt", work.root().as_os_str().as_encoded_bytes());
    let first = build(&work).run().ok().steps();
    assert!(first.received_bytes > 4 << 20, "{}", first.received_bytes);
    work.write("other", work.root().as_os_str().as_encoded_bytes());
    let second = build(&work).run().ok().steps();
    assert!(second.received_bytes < 1 << 20, "{}", second.received_bytes);
    let all = fs::read_to_string(unpack(&work.path("app.tar")).join("all")).unwrap();
    assert!(all.starts_with("of the spec\nxxx"), "{}", &all[..20]);
}

#[test]
fn without_a_base_and_without_a_command_files_are_all_there_is() {
    for daemon in [daemon::newest(), daemon::oldest()] {
        let work = Workdir::with_spec(&json!({
            "version": "1.0",
            "metadata": { "project_name": "spec-files-scratch" },
            "build": {
                "base": "scratch",
                "files": [
                    { "path": "site/index.html", "content": "<p>" },
                    { "path": "/opt/tool", "content": "tool" }
                ]
            },
            "runtime": {
                "base": "scratch",
                "copy": [{ "from": "site", "to": "/srv" }, { "from": "/opt/tool", "to": "/tool" }],
                "files": [{ "path": "/a/b/c.txt", "content": "c" }, { "path": "/top", "content": "" }],
                "command": ["/none"]
            }
        }))
        .on(&daemon);
        work.write("site/index.html", "of the context");
        work.write("site/page.html", "page");
        drop(build(&work).run().ok());
        let root = unpack(&work.path("app.tar"));
        let check = |path: &str, content: &str| {
            assert_eq!(fs::read_to_string(root.join(path)).unwrap(), content, "{path}");
        };
        check("srv/index.html", "<p>");
        check("srv/page.html", "page");
        check("tool", "tool");
        check("a/b/c.txt", "c");
        check("top", "");
        assert_eq!(fs::metadata(root.join("a/b")).unwrap().mode() & 0o7777, 0o755);
    }
}

#[test]
fn a_link_at_the_path_is_replaced_and_a_folder_is_an_error() {
    let mut spec = debian(
        "spec-files-link",
        &["mkdir /out && ln -s /etc/shadow /out/link && cat link >/out/was"],
    );
    spec["build"]["files"] = json!([{ "path": "link", "content": "of the spec\n" }]);
    spec["runtime"]["files"] = json!([{ "path": "/link", "content": "of the image\n" }]);
    let work = Workdir::with_spec(&spec);
    work.write("target", "of the context\n");
    std::os::unix::fs::symlink("target", work.context().join("link")).unwrap();
    drop(build(&work).run().ok());
    let root = unpack(&work.path("app.tar"));
    assert!(!root.join("link").is_symlink() && !root.join("etc").exists());
    assert_eq!(fs::read_to_string(root.join("link")).unwrap(), "of the image\n");
    assert_eq!(fs::read_to_string(root.join("was")).unwrap(), "of the spec\n");

    spec["runtime"]["files"] = json!([{ "path": "/folder", "content": "" }]);
    spec["runtime"]["copy"][0]["to"] = json!("/folder/");
    work.set_spec(&spec);
    drop(
        work.build()
            .args(OCI)
            .run()
            .ended(1)
            .says(&["write /folder", "cannot replace to directory"]),
    );
}

#[test]
fn files_of_the_build_belong_to_the_user_of_its_commands() {
    let work = Workdir::new();
    let command = "echo more >>settings.txt && cat /home/worker/.toolrc && stat -c %U /home/worker/.config \
                   settings.txt /home/worker/.config/tool && mkdir out && cp settings.txt out";
    let mut spec = debian("spec-files-user", &[command]);
    spec["build"]["base"] = json!("oci-layout://base");
    spec["build"]["files"] = json!([
        { "path": "settings.txt", "content": "of the spec\n" },
        { "path": "/home/worker/.toolrc", "content": "rc\n", "mode": "0600" },
        { "path": "/home/worker/.config/tool", "content": "" }
    ]);
    spec["runtime"]["copy"] = json!([{ "from": "out", "to": "/" }]);
    work.set_spec(&spec);
    work.write("Dockerfile", format!("FROM {DEBIAN}\nRUN useradd -m worker\nUSER worker\n"));
    work.write(".dockerignore", "base\n");
    let output = "type=oci,tar=false,name=base:v1,dest=context/base";
    buildctl::dockerfile(&work, "context", "context", output);
    let steps = build(&work).arg("--no-cache").run().ok().steps();
    assert!(steps.log.contains("rc\nworker\nworker\nworker\n"), "{}", steps.log);
    let settings = unpack(&work.path("app.tar")).join("settings.txt");
    assert_eq!(fs::read_to_string(settings).unwrap(), "of the spec\nmore\n");
}
