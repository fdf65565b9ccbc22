//! The files of a result, without an image: in a folder, in a tar.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, chown, symlink},
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::Signal;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{
    attested::{SLSA_1, SPDX, packages, statement},
    buildctl, daemon,
    docker::Engine,
    image::unpack,
    listing::assert_same,
    workdir::{DEBIAN, Workdir, debian},
};

const LOCAL: [&str; 2] = ["--output", "type=local,dest=out"];
const TAR: [&str; 2] = ["--output", "type=tar,dest=files.tar"];
/// Without what is said of the files.
const BARE: [&str; 2] = ["--no-sbom", "--no-provenance"];
/// Somebody who is not root.
const NOBODY: u32 = 65534;

/// All that a file system has, in `/out`.
const ALL: &str = r"mkdir -p /out/dir/sub /out/sticky /out/closed
cd /out
echo one >file; ln file hard; ln file dir/hard; ln -s file soft; ln -s /etc/passwd absolute; ln -s ../.. dir/up
: >empty; head -c 3000000 /dev/urandom >dir/sub/large; printf 'a b' >'with blank'; printf x >'é'
cp /bin/cat program; chmod 4755 program; cp /bin/cat group; chmod 2755 group; chmod 0 closed/../empty
chmod 1777 sticky; mkfifo pipe; mknod null c 1 3; mknod tty c 4 99; chmod 640 pipe
chmod 500 closed dir
find /out -exec touch -h -d @1500000000 {} +";

fn all(name: &str) -> Workdir {
    Workdir::with_spec(&debian(name, &[ALL]))
}

/// What `find` tells of all that is in a folder: names, kinds, modes, owners, times, links, content.
fn tree(folder: &Path) -> Vec<String> {
    let script = r"find . -mindepth 1 -printf '%P|%y|%m|%U|%G|%T@|%l|%n' \( -type f -printf '|%s' -o -true \) -printf '\n'
        find . \( -type c -o -type b \) -exec stat -c '%n %t,%T' {} +
        find . -type f -exec sha256sum {} +
        find . -type f -links +1 -printf 'inode %i %P\n'";
    let done = Command::new("sh")
        .args(["-euc", script])
        .current_dir(folder)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(done.status.success());
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let mut lines = Vec::new();
    let mut inodes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        match line.strip_prefix("inode ").and_then(|line| line.split_once(' ')) {
            Some((inode, name)) => {
                inodes.entry(inode.to_owned()).or_default().push(name.to_owned());
            }
            None => lines.push(line.to_owned()),
        }
    }
    for mut names in inodes.into_values() {
        names.sort();
        lines.push(format!("same: {}", names.join(" ")));
    }
    lines.sort();
    assert!(lines.len() > 5, "{lines:?}");
    lines
}

fn untar(tar: &Path) -> std::path::PathBuf {
    let folder = tar.with_extension("folder");
    fs::create_dir(&folder).unwrap();
    let done = Command::new("tar").arg("-C").arg(&folder).arg("-xpf").arg(tar).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A folder, a tar and an image of one build hold the same.
fn check(work: &Workdir, has_image: bool) {
    let run = work.build().args(LOCAL).args(BARE).args(["--progress", "plain"]).run().ok();
    assert_eq!(run.stdout_text(), "");
    let run = run.says(&["exporting to client directory", "written to   out, ", " files, 3."]);
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    let folder = tree(&work.path("out"));
    let text = folder.join("\n");
    for part in [
        "program|f|4755|0|0|1500000000.0000000000||1|",
        "group|f|2755",
        "sticky|d|1777",
        "absolute|l|777|0|0|1500000000.0000000000|/etc/passwd|1",
        "closed|d|500|",
        "pipe|p|640",
        "./null 1,3",
        "./tty 4,63",
        "same: dir/hard file hard",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }

    drop(work.build().args(TAR).args(BARE).run().ok().says(&["written to   files.tar, 3."]));
    let tar = tree(&untar(&work.path("files.tar")));
    assert_same("the tar", &folder, &tar);
    if has_image {
        drop(work.build().args(["--output", "type=oci,dest=image.tar"]).args(BARE).run().ok());
        assert_same("the image", &folder, &tree(&unpack(&work.path("image.tar"))));
    }

    // Once more into what is there; a folder of another name, as it would be made anew.
    drop(work.build().args(LOCAL).args(BARE).run().ok());
    assert_same("the second time", &folder, &tree(&work.path("out")));
    drop(work.build().args(["-o", "again/"]).args(BARE).run().ok());
    assert_same("the short form", &folder, &tree(&work.path("again")));
    let mut left = names(work.root());
    left.retain(|name| !name.starts_with("image") && !name.starts_with("files."));
    assert_eq!(left, ["again", "context", "home", "out", "universalbuild.json"]);
}

#[test]
fn a_folder_and_a_tar_hold_what_an_image_holds() {
    check(&all("files-newest"), true);
}

#[test]
fn the_oldest_daemon_writes_the_same_folder_and_tar() {
    check(&all("files-oldest").on(&daemon::oldest()), true);
}

#[test]
fn docker_writes_a_folder_and_a_tar_with_either_store() {
    for (name, engine) in [
        ("files-containerd", Engine::containerd("files")),
        ("files-classic", Engine::classic("files")),
    ] {
        check(&all(name).on(engine.host()), name == "files-containerd");
    }
}

#[test]
fn buildkits_own_client_writes_the_same_but_for_the_owner() {
    let work = all("files-buildctl");
    // A copy of an empty context has the time of the daemon's folder for it, and each client has one of its own.
    work.write("file", "of the context");
    let run = work.plan().args(["--format", "llb"]).run().ok();
    fs::write(work.path("plan.llb"), &run.stdout).unwrap();
    buildctl::build(&work, &work.path("plan.llb"), ["--output", "type=local,dest=theirs"]);
    drop(work.build().args(LOCAL).args(BARE).run().ok());
    let (mut ours, mut theirs) = (tree(&work.path("out")), tree(&work.path("theirs")));
    // There everything belongs to who runs it, and the time of a folder is when its last file came.
    let comparable = |line: &mut String| {
        let fields: Vec<_> = line.split('|').collect();
        if let [name, kind, mode, _, _, time, rest @ ..] = &fields[..] {
            let time = if *kind == "d" { "" } else { time };
            *line = [&[*name, kind, mode, time], rest].concat().join("|");
        }
    };
    ours.iter_mut().for_each(comparable);
    theirs.iter_mut().for_each(comparable);
    ours.sort();
    theirs.sort();
    assert_same("buildctl", &theirs, &ours);
}

#[test]
fn a_tar_goes_to_standard_output() {
    let work = all("files-stdout");
    drop(work.build().args(TAR).args(BARE).run().ok());
    let file = fs::read(work.path("files.tar")).unwrap();
    for output in [&["--output", "type=tar,dest=-"][..], &["-o", "-"], &["-o", "-", "-q"]] {
        let run = work.build().args(output).args(BARE).run().ok();
        assert!(run.stdout == file, "{output:?}: {} and {}", run.stdout.len(), file.len());
    }
}

#[test]
fn what_is_in_a_folder_stays_and_what_comes_leads_nowhere_else() {
    let commands = [
        "mkdir -p /out/etc /out/bin; echo new >/out/etc/passwd; echo new >/out/file; echo x >/out/bin/x",
    ];
    let work = Workdir::with_spec(&debian("files-links", &commands));
    fs::create_dir_all(work.path("out/mine")).unwrap();
    fs::create_dir_all(work.path("outside/etc")).unwrap();
    fs::create_dir_all(work.path("out/file/deep")).unwrap();
    fs::write(work.path("outside/etc/passwd"), "kept").unwrap();
    fs::write(work.path("outside/etc/shadow"), "kept").unwrap();
    fs::write(work.path("out/bin"), "in the way").unwrap();
    symlink("../outside/etc", work.path("out/etc")).unwrap();
    fs::hard_link(work.path("outside/etc/shadow"), work.path("out/hard")).unwrap();
    // The folder itself may be named by a link.
    symlink("out", work.path("link")).unwrap();
    drop(work.build().args(["--output", "type=local,dest=link"]).args(BARE).run().ok());
    assert_eq!(names(&work.path("outside/etc")), ["passwd", "shadow"]);
    for name in ["passwd", "shadow"] {
        let path = work.path("outside/etc").join(name);
        assert_eq!(fs::read_to_string(path).unwrap(), "kept");
    }
    assert_eq!(names(&work.path("out")), ["bin", "etc", "file", "hard", "mine"]);
    assert_eq!(fs::read_to_string(work.path("out/etc/passwd")).unwrap(), "new\n");
    assert_eq!(fs::read_to_string(work.path("out/file")).unwrap(), "new\n");
    assert!(!work.path("out/etc").is_symlink() && work.path("link").is_symlink());
    assert!(work.path("out/bin/x").is_file());
}

#[test]
fn times_are_those_of_source_date_epoch() {
    let work = all("files-epoch");
    let build = |output: &str| {
        let run = work.build().args(["--output", output]).args(BARE);
        drop(run.env("SOURCE_DATE_EPOCH", "1600000000").run().ok());
    };
    build("type=local,dest=out");
    build("type=tar,dest=files.tar");
    let times = |path: &Path| fs::symlink_metadata(path).unwrap().mtime();
    for path in ["out", "files.folder"] {
        if path == "files.folder" {
            drop(untar(&work.path("files.tar")));
        }
        for name in ["file", "soft", "dir", "dir/sub/large", "empty"] {
            assert_eq!(times(&work.path(path).join(name)), 1_600_000_000, "{path}/{name}");
        }
    }
    build("type=local,dest=plain,source-date-epoch=7");
    assert_eq!(times(&work.path("plain/file")), 7);
}

#[test]
fn an_ordinary_user_owns_what_is_written_and_is_told_what_is_missing() {
    let work = all("files-nobody").on(&daemon::newest_tcp());
    let home = work.path("theirs");
    fs::create_dir(&home).unwrap();
    chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
    for _ in 0..2 {
        let run = work.build().args(["-o", "theirs/out"]).args(BARE).not_root(&work).run().ok();
        drop(run.says(&["warning: 2 device nodes are left out: only root can make them"]));
        let lines = tree(&work.path("theirs/out"));
        let text = lines.join("\n");
        let nobody = format!("{NOBODY}|{NOBODY}");
        for part in [
            // Rights of another are not handed on under this one's name.
            format!("program|f|755|{nobody}|1500000000.0000000000||1|"),
            format!("closed|d|500|{nobody}"),
            format!("file|f|644|{nobody}"),
            "same: dir/hard file hard".to_owned(),
        ] {
            assert!(text.contains(&part), "{part} in\n{text}");
        }
        assert!(!text.contains("null") && !text.contains("tty"), "{text}");
        assert_eq!(names(&home), ["out"]);
    }
    // Beside it is nothing to write.
    let run = work.build().args(["-o", "theirs"]).not_root(&work).run().ended(6);
    drop(run.says(&["cannot create `theirs.provenance.json`", "hint: ", "`--attest-dir DIR`"]));
    let run = work.build().args(["-o", "mine"]).args(BARE).not_root(&work).run().ended(6);
    drop(run.says(&["cannot create `mine`", "ermission denied"]));
}

/// Digests by name of what a statement is about.
fn about(statement: &Value) -> BTreeMap<String, String> {
    let subjects = statement["subject"].as_array().unwrap().iter();
    subjects
        .map(|subject| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&subject["name"]), text(&subject["digest"]["sha256"]))
        })
        .collect()
}

fn sha256(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn on_debian(name: &str) -> Workdir {
    Workdir::with_spec(&json!({
        "version": "1.0",
        "metadata": { "project_name": name },
        "build": {
            "base": DEBIAN,
            "commands": ["mkdir /out && echo data >/out/file && ln /out/file /out/again"],
            "env": { "TEST": name }
        },
        "runtime": {
            "base": DEBIAN,
            "copy": [{ "from": "/out", "to": "/srv" }],
            "command": ["cat", "/srv/file"]
        }
    }))
}

fn check_statement(path: &Path, kind: &str) -> Value {
    let statement = statement(path);
    assert!(statement["predicateType"].as_str().unwrap().starts_with(kind), "{statement:#}");
    if kind == SPDX {
        let found = packages(&statement["predicate"], "deb");
        assert!(found.len() > 50, "{found:?}");
    }
    statement
}

fn check_attested(work: &Workdir) {
    drop(work.build().args(LOCAL).args(["--progress", "plain"]).run().ok().says(&[
        "attested     SBOM of ", "provenance beside the files", " out.sbom.spdx.json\n",
        " out.provenance.json\n",
    ]));
    assert!(names(&work.path("out")).iter().all(|name| !name.contains("json")));
    let shadow = fs::metadata(work.path("out/etc/shadow")).unwrap();
    assert_eq!((shadow.uid(), shadow.gid(), shadow.mode() & 0o7777), (0, 42, 0o640));
    for (file, kind) in
        [("sbom.spdx.json", SPDX), ("provenance.json", "https://slsa.dev/provenance/")]
    {
        let about = about(&check_statement(&work.path(&format!("out.{file}")), kind));
        assert!(about.len() > 1000, "all files of Debian, not {}", about.len());
        for name in ["srv/file", "srv/again", "etc/debian_version", "usr/bin/env"] {
            let content = fs::read(work.path("out").join(name)).unwrap();
            assert_eq!(about[name], sha256(&content), "{name}");
        }
        let is_regular =
            |name: &String| fs::symlink_metadata(work.path("out").join(name)).unwrap().is_file();
        assert!(about.keys().all(is_regular));
    }

    drop(work.build().args(TAR).run().ok());
    let digest = sha256(&fs::read(work.path("files.tar")).unwrap());
    for (file, kind) in
        [("sbom.spdx.json", SPDX), ("provenance.json", "https://slsa.dev/provenance/")]
    {
        let statement = check_statement(&work.path(&format!("files.tar.{file}")), kind);
        assert_eq!(about(&statement), [("files.tar".to_owned(), digest.clone())].into());
    }
}

#[test]
fn sbom_and_provenance_lie_beside_and_are_about_what_was_written() {
    check_attested(&on_debian("files-attested"));
}

#[test]
fn sbom_and_provenance_of_the_oldest_daemon_lie_beside() {
    check_attested(&on_debian("files-attested-oldest").on(&daemon::oldest()));
}

#[test]
fn sbom_and_provenance_of_docker_lie_beside() {
    check_attested(&on_debian("files-attested-classic").on(Engine::classic("files").host()));
}

#[test]
fn what_lies_beside_goes_where_it_is_told_or_can() {
    let work = on_debian("files-beside");
    let dir = ["--attest-dir", "docs", "--sbom-format", "cyclonedx"];
    drop(work.build().args(LOCAL).args(dir).run().ok());
    assert_eq!(names(&work.path("docs")), ["provenance.json", "sbom.cdx.json", "sbom.spdx.json"]);
    assert!(!work.path("out.provenance.json").exists());

    // The current folder: its documents are not in it either.
    fs::create_dir(work.path("here")).unwrap();
    drop(work.build().args(["-o", "here/.."]).run().ok());
    let beside = |name: &str| {
        let mut path = fs::canonicalize(work.root()).unwrap().into_os_string();
        path.push(name);
        std::path::PathBuf::from(path)
    };
    for name in [".sbom.spdx.json", ".provenance.json"] {
        fs::remove_file(beside(name)).unwrap();
    }

    let run = work.build().args(["-o", "-"]).env("XDG_DATA_HOME", work.path("data")).run().ok();
    let folder = format!("data/peelbox/attestations/sha256-{}", sha256(&run.stdout));
    assert_eq!(names(&work.path(&folder)), ["provenance.json", "sbom.spdx.json"]);
    let provenance = check_statement(&work.path(&folder).join("provenance.json"), SLSA_1);
    assert_eq!(about(&provenance), [("-".to_owned(), sha256(&run.stdout))].into());

    for output in [LOCAL, TAR] {
        let run = work.build().args(output).arg("--require-attestations").run().ended(4);
        drop(run.says(&["cannot hold attestations", "type=oci"]));
        let run = work.build().args(output).arg("--sbom=generator=x").run().ended(4);
        drop(run.says(&["cannot hold the SBOM of a scanner"]));
    }
}

#[test]
fn files_have_no_digest_and_no_name_of_an_image() {
    let work = all("files-metadata");
    for output in [LOCAL, TAR] {
        let args = ["--metadata-file", "meta.json", "-t", "app:1", "--quiet"];
        let run = work.build().args(output).args(args).args(BARE).run().ok();
        assert_eq!((run.stdout_text(), &*run.stderr), ("", ""));
        let meta: Value =
            serde_json::from_slice(&fs::read(work.path("meta.json")).unwrap()).unwrap();
        assert_eq!(meta, json!({ "peelbox.service": "files-metadata" }));
        let run = work.build().args(output).args(["--iidfile", "iid"]).run().ended(2);
        drop(run.says(&["`--iidfile` needs an image, `type="]));
        drop(work.build().args(output).arg("--push").run().ended(2).says(&["`--push` needs"]));
    }
    let oldest = all("files-metadata-oldest").on(&daemon::oldest());
    drop(oldest.build().args(LOCAL).args(["--metadata-file", "meta.json"]).run().ok());
    let meta = fs::read_to_string(oldest.path("meta.json")).unwrap();
    assert!(!meta.contains("containerimage"), "{meta}");
}

#[test]
fn a_folder_that_cannot_be_is_told_before_anything_is_built() {
    let work = all("files-refused");
    fs::write(work.path("file"), "kept").unwrap();
    symlink("nowhere", work.path("dangling")).unwrap();
    for (dest, says) in [
        ("file", "cannot write into `file`: it is no folder"),
        ("file/out", "`file` is not a folder"),
        ("missing/out", "there is no folder `missing`"),
        ("dangling", "there is no folder `nowhere`"),
        ("/", "it is the root of this system"),
    ] {
        let run = work.build().args(["-o", dest, "--progress", "plain"]).run().ended(6);
        assert!(run.stderr.contains(says) && !run.stderr.contains("#1"), "{dest}: {}", run.stderr);
    }
    assert_eq!(fs::read_to_string(work.path("file")).unwrap(), "kept");
}

#[test]
fn a_build_that_fails_makes_no_folder_and_leaves_the_old_one() {
    let failing = debian("files-failing", &["mkdir /out; exit 3"]);
    let work = Workdir::with_spec(&failing);
    drop(work.build().args(LOCAL).run().ended(1));
    assert_eq!(names(work.root()), ["context", "home", "universalbuild.json"]);
    fs::create_dir(work.path("out")).unwrap();
    fs::write(work.path("out/mine"), "kept").unwrap();
    drop(work.build().args(LOCAL).run().ended(1));
    assert_eq!(names(&work.path("out")), ["mine"]);
}

/// Large enough that a signal comes before the end.
fn large(name: &str) -> Workdir {
    let command = "mkdir -p /out/many && cd /out/many && for n in $(seq 4000); do echo $n >$n; done && chmod 500 . && head -c 400000000 /dev/zero >/out/large";
    Workdir::with_spec(&debian(name, &[command]))
}

#[test]
fn ctrl_c_while_files_come_leaves_none_that_is_not_whole() {
    let work = large("files-interrupted");
    let start = || {
        let build = work.build().args(LOCAL).args(BARE).args(["--progress", "rawjson"]);
        let mut running = build.start();
        running.wait_for("\"copying files\"");
        running.signal(Signal::INT);
        running.finish()
    };
    drop(start().ended(130));
    assert_eq!(names(work.root()), ["context", "home", "universalbuild.json"]);
    fs::create_dir(work.path("out")).unwrap();
    drop(start().ended(130));
    let left = names(&work.path("out"));
    assert!(left.iter().all(|name| ["many", "large"].contains(&&**name)), "{left:?}");
    if work.path("out/large").exists() {
        assert_eq!(fs::metadata(work.path("out/large")).unwrap().len(), 400_000_000);
    }
    let many = work.path("out/many");
    if many.exists() {
        for name in names(&many) {
            assert_eq!(fs::read_to_string(many.join(&name)).unwrap(), format!("{name}\n"));
        }
    }
}

#[test]
fn a_full_disk_is_told_and_nothing_of_a_new_folder_is_left() {
    let work = large("files-no-room");
    fs::create_dir(work.path("small")).unwrap();
    let run =
        work.build().args(["-o", "small/out"]).args(BARE).with_little_room(&work, "small").run();
    let run = run.ended(6).says(&["no room for `small/out/", " after ", " bytes"]);
    assert_eq!(run.stdout_text(), "left:\n");
}
