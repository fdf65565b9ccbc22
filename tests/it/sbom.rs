//! SBOMs against what the package systems themselves say, and of images whose files were made to hurt.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{
    attested::{Attested, one_in_tar, packages},
    daemon,
    image::unpack,
    workdir::{PYTHON, Workdir, debian, on_base},
};

/// Builds it and gives what is said of it.
fn build(work: &Workdir) -> Attested {
    drop(work.build().args(["--output", "type=oci,dest=app.tar"]).run().ok());
    let attested = one_in_tar(&work.path("app.tar"));
    attested.check_subjects();
    attested
}

/// What a command prints in a container of that image.
fn in_container(work: &Workdir, user: &str, command: &[&str]) -> String {
    let done = Command::new(daemon::variable("PEELBOX_TEST_RUN_IMAGE"))
        .args(["--user", user, "-e", "HOME=/tmp"])
        .arg(work.path("app.tar"))
        .arg("--")
        .args(command)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {said}");
    String::from_utf8(done.stdout).unwrap()
}

/// Compares and prints what differs.
fn assert_same(what: &str, expected: &BTreeSet<String>, got: &BTreeSet<String>) {
    let missing: Vec<_> = expected.difference(got).collect();
    let extra: Vec<_> = got.difference(expected).collect();
    assert!(
        missing.is_empty() && extra.is_empty() && !got.is_empty(),
        "{what}: {} expected\nnot listed: {missing:#?}\nlisted, not there: {extra:#?}",
        expected.len()
    );
}

/// A Debian that was changed by these commands, all of it.
fn changed_debian(name: &str, commands: &[&str]) -> Workdir {
    let copy = "mkdir /out && cp -a /bin /etc /lib* /sbin /usr /var /out/";
    Workdir::with_spec(&debian(name, &[commands, &[copy]].concat()))
}

#[test]
fn the_sbom_of_a_debian_lists_what_dpkg_lists() {
    // What was removed with its settings left is in the database, but not installed.
    let work = changed_debian("sbom-deb", &["dpkg --remove --force-all login"]);
    let spdx = build(&work).spdx().clone();
    let format = "${db:Status-Status} ${Package} ${Version}\\n";
    let listed = in_container(&work, "0", &["dpkg-query", "--show", "--showformat", format]);
    assert!(listed.contains("config-files login "), "{listed}");
    let installed = listed.lines().filter_map(|line| line.strip_prefix("installed "));
    assert_same("deb", &installed.map(str::to_owned).collect(), &packages(&spdx, "deb"));
    let debian = spdx["packages"].as_array().unwrap();
    assert!(debian.iter().any(|p| p["name"] == "debian" && p["versionInfo"] == "12"));
}

/// PyPI's names, as all tools compare them (PEP 503).
fn normal(line: &str) -> String {
    let (name, version) = line.split_once(' ').unwrap();
    let mut normal = String::new();
    for c in name.to_ascii_lowercase().chars() {
        match c {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            c => normal.push(c),
        }
    }
    format!("{normal} {version}")
}

#[test]
fn the_sbom_of_a_python_service_lists_what_pip_lists() {
    let work = Workdir::example("python-flask");
    let spdx = build(&work).spdx().clone();
    let mut listed = BTreeSet::new();
    for python in ["/opt/venv/bin/python", "/usr/local/bin/python3"] {
        let list = [python, "-m", "pip", "list", "--format", "json", "--no-index"];
        let list: Value = serde_json::from_str(&in_container(&work, "0", &list)).unwrap();
        for package in list.as_array().unwrap() {
            let [name, version] = ["name", "version"].map(|key| package[key].as_str().unwrap());
            listed.insert(normal(&format!("{name} {version}")));
        }
    }
    let got = packages(&spdx, "pypi").iter().map(|line| normal(line)).collect();
    assert_same("pypi", &listed, &got);
}

/// All of `npm ls --json --long`, under the names that the packages have, whatever their folders are called.
fn walk_npm(node: &Value, found: &mut BTreeSet<String>) {
    for (name, package) in node["dependencies"].as_object().into_iter().flatten() {
        // One that is only offered (optional, peer) is listed without a version.
        if let Some(version) = package["version"].as_str() {
            let name = package["name"].as_str().unwrap_or(name);
            found.insert(format!("{name} {version}"));
            walk_npm(package, found);
        }
    }
}

#[test]
fn the_sbom_of_a_node_service_lists_what_npm_lists() {
    let work = Workdir::example("node-express");
    let spdx = build(&work).spdx().clone();
    let mut listed = BTreeSet::new();
    for place in ["cd /app && npm ls", "npm ls --global"] {
        let script = format!("{place} --all --json --long");
        let list = in_container(&work, "0", &["sh", "-c", &script]);
        let list: Value = serde_json::from_str(&list).unwrap();
        walk_npm(&list, &mut listed);
    }
    // The service is a package itself.
    let own: Value =
        serde_json::from_slice(&fs::read(work.context().join("package.json")).unwrap()).unwrap();
    let own = ["name", "version"].map(|key| own[key].as_str().unwrap().to_owned()).join(" ");
    let mut got = packages(&spdx, "npm");
    got.remove(&own);
    assert_same("npm", &listed, &got);
}

#[test]
fn the_sbom_of_a_go_service_lists_what_go_lists() {
    let work = Workdir::example("go-http");
    let mut spec: Value = serde_json::from_slice(&fs::read(work.spec()).unwrap()).unwrap();
    let commands = spec["build"]["commands"].as_array_mut().unwrap();
    commands.push(json!("go version -m /out/go-http >/out/modules"));
    spec["runtime"]["copy"] = json!([{ "from": "/out", "to": "/" }]);
    work.set_spec(&spec);
    let spdx = build(&work).spdx().clone();
    let root = unpack(&work.path("app.tar"));
    let modules = fs::read_to_string(root.join("modules")).unwrap();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let mut listed = BTreeSet::new();
    let mut own = String::new();
    for line in modules.lines().map(words) {
        match line.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["dep", path, version, ..] => drop(listed.insert(format!("{path} {version}"))),
            ["mod", path, ..] => path.clone_into(&mut own),
            [_, version] if version.starts_with("go1.") => {
                listed.insert(format!("stdlib {}", &version[2..]));
            }
            _ => {}
        }
    }
    assert!(listed.len() >= 2 && own == "example.com/go-http", "{modules}");
    // The service is a module itself; `go.sum` of the context knows some that nothing of is built in.
    let in_image = in_image(&spdx, "golang");
    let got: BTreeSet<_> = in_image.into_iter().filter(|m| !m.starts_with(&own)).collect();
    let plain =
        |line: &String| line.replacen("stdlib v", "stdlib ", 1).replacen("stdlib go", "stdlib ", 1);
    assert_same("golang", &listed, &got.iter().map(plain).collect());
}

/// Those that are in the image itself.
fn in_image(spdx: &Value, kind: &str) -> BTreeSet<String> {
    let mut own = spdx.clone();
    own["packages"]
        .as_array_mut()
        .unwrap()
        .retain(|p| p["comment"] != "Seen in the build context only.");
    packages(&own, kind)
}

#[test]
fn the_sbom_of_a_cargo_project_lists_what_cargo_lists() {
    // Peelbox's own.
    let work = Workdir::with_spec(&debian("sbom-cargo", &["mkdir /out && echo cargo >/out/cargo"]));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["Cargo.toml", "Cargo.lock"] {
        work.write(file, fs::read(root.join(file)).unwrap());
    }
    let spdx = build(&work).spdx().clone();
    let done = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1", "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let metadata: Value = serde_json::from_slice(&done.stdout).unwrap();
    let listed = metadata["packages"].as_array().unwrap().iter().map(|package| {
        let [name, version] = ["name", "version"].map(|key| package[key].as_str().unwrap());
        format!("{name} {version}")
    });
    // Cargo.lock, which is all that there is of it, says crates.io's checksum of each.
    let crates = spdx["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|p| p.to_string().contains("pkg:cargo/"));
    for package in crates.filter(|p| p["name"] != "peelbox") {
        assert_eq!(package["checksums"][0]["algorithm"], "SHA256", "{package}");
        assert_eq!(package["comment"], "Seen in the build context only.");
    }
    assert_same("cargo", &listed.collect(), &packages(&spdx, "cargo"));
}

/// Most memory of the client that hostile files may cost, in KiB.
const PEAK_KIB_MAX: u64 = 256 << 10;
/// Longest that a build may take whose steps are all cached.
const TIME_MAX: Duration = Duration::from_secs(60);

/// What one who wants to hurt puts into an image: commands of a shell, and a file that must be named as not read.
const HOSTILE: &[(&str, &str)] = &[
    (
        "mkdir -p /out/var/lib/dpkg && head -c 30001 /var/lib/dpkg/status >/out/var/lib/dpkg/status && printf '\\nPack\\377\\0' >>/out/var/lib/dpkg/status",
        "",
    ),
    (
        "mkdir -p /out/huge && truncate -s 300M /out/huge/package-lock.json",
        "/huge/package-lock.json",
    ),
    (
        "mkdir -p /out/deep && head -c 2000000 /dev/zero | tr '\\0' '[' >/out/deep/package-lock.json",
        "/deep/package-lock.json",
    ),
    (
        "mkdir -p /out/deeper && yes '{\"dependencies\":{\"a\":' | head -n 200000 | tr -d '\\n' >/out/deeper/package-lock.json",
        "/deeper/package-lock.json",
    ),
    ("head -c 100000 /dev/urandom >/out/garbage.jar", "/garbage.jar"),
    (
        "head -c 1000 /dev/zero >/out/torn.jar && printf 'PK\\005\\006\\0\\0\\0\\0\\377\\377\\377\\377\\377\\377\\377\\377\\377\\377\\377\\377\\0\\0' >>/out/torn.jar",
        "/torn.jar",
    ),
    (
        "printf '\\177ELF\\002\\001\\001' >/out/go && head -c 4000 /dev/zero >>/out/go && printf '\\377 Go buildinf:\\010\\002\\377\\377\\377\\377\\377\\377\\377\\377' >>/out/go && head -c 4000 /dev/zero >>/out/go && chmod +x /out/go",
        "",
    ),
    (
        "mkdir -p /out/lib/apk/db /out/var/lib/rpm && head -c 3000000 /dev/urandom | tee /out/lib/apk/db/installed /out/var/lib/rpm/Packages.db >/out/var/lib/rpm/rpmdb.sqlite",
        "/var/lib/rpm/rpmdb.sqlite",
    ),
    (
        "mkdir -p /out/usr/lib/python3/dist-packages/x-1.dist-info && yes 'Name: x' | head -c 20000000 >/out/usr/lib/python3/dist-packages/x-1.dist-info/METADATA",
        "",
    ),
    (
        "mkdir -p /out/vendor/composer && printf '{\"packages\":[{\"name\":' >/out/vendor/composer/installed.json",
        "/vendor/composer/installed.json",
    ),
    (
        "mkdir -p /out/many && i=0; while [ $i -lt 500 ]; do mkdir -p /out/many/node_modules/p$i && echo '{\"name\":\"p' >/out/many/node_modules/p$i/package.json; i=$((i+1)); done",
        "/many/node_modules/p0/package.json",
    ),
];

/// Peak in KiB and the document of an image that hurts.
fn endured(work: &Workdir) -> (u64, Value) {
    // The steps take their time; what is measured is the SBOM.
    drop(work.build().args(["--output", "type=none"]).run().ok());
    let build = work.build().args(["--output", "type=oci,dest=app.tar", "--progress", "plain"]);
    let run = build.measured(&work.path("peak")).run().ok();
    assert!(run.elapsed < TIME_MAX, "{:?}", run.elapsed);
    let peak = fs::read_to_string(work.path("peak")).unwrap().trim().parse().unwrap();
    assert!(peak < PEAK_KIB_MAX, "{peak} KiB");
    drop(run.says(&["SBOM may lack packages: `"]));
    (peak, one_in_tar(&work.path("app.tar")).spdx().clone())
}

#[test]
fn hostile_files_in_an_image_are_named_and_hurt_nobody() {
    let commands: Vec<&str> = HOSTILE.iter().map(|(command, _)| *command).collect();
    let commands = [&["mkdir /out"][..], &commands].concat();
    let (peak, spdx) = endured(&Workdir::with_spec(&debian("sbom-hostile", &commands)));
    println!("peak: {peak} KiB");
    let comment = spdx["comment"].as_str().unwrap();
    for (_, path) in HOSTILE.iter().filter(|(_, path)| !path.is_empty()) {
        assert!(comment.contains(&format!("\n{path}: ")), "{path} is not named: {comment:.2000}");
    }
    // What stands before the torn end is listed.
    assert!(packages(&spdx, "deb").len() > 5, "{:?}", packages(&spdx, "deb"));
}

/// Files that are sound and too much: archives that unpack to much, in each other, of 50 000 entries; long lock files.
const BOMBS: &str = "mkdir -p /out && cd /out && python3 - <<'EOF'
import io, json, os, zipfile
def jar(path): return zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED)
with jar('bomb.jar') as z:
    for name in 'META-INF/maven/g/a/pom.properties', 'META-INF/MANIFEST.MF':
        with z.open(name, 'w', force_zip64=True) as f:
            for _ in range(64): f.write(bytes(1 << 20))
inner = b''
for _ in range(100):
    outer = io.BytesIO()
    with jar(outer) as z: z.writestr('BOOT-INF/lib/inner.jar', inner)
    inner = outer.getvalue()
open('nested.jar', 'wb').write(inner)
with jar('many.jar') as z:
    for i in range(50000): z.writestr('META-INF/maven/g/a%d/pom.properties' % i, 'groupId=g\\nartifactId=a%d\\nversion=1\\n' % i)
for n in range(6):
    os.makedirs('lock%d' % n)
    names = ('node_modules/p%d-%d' % (n, i) for i in range(300000))
    with open('lock%d/package-lock.json' % n, 'w') as f: f.write(json.dumps({'lockfileVersion': 3, 'packages': {name: {'version': '1.0.0'} for name in names}}))
EOF";

#[test]
fn files_that_are_too_much_cost_bounded_memory_and_time() {
    let (peak, spdx) = endured(&Workdir::with_spec(&on_base(PYTHON, "sbom-bombs", &[BOMBS])));
    println!("peak: {peak} KiB");
    let comment = spdx["comment"].as_str().unwrap();
    assert!(comment.contains("\n/bomb.jar: "), "{comment:.2000}");
    assert!(comment.contains("/package-lock.json: "), "{comment:.2000}");
}

#[test]
fn an_sbom_of_many_packages_is_attached_by_every_daemon() {
    // Longer than a message to BuildKit may be, 4 MiB before v0.13 and 16 MiB since.
    const COUNT: usize = 20_000;
    let lock = (0..COUNT).fold("version = 4\n".to_owned(), |lock, i| {
        lock + &format!("\n[[package]]\nname = \"package-{i}\"\nversion = \"1.0.{i}\"\n")
    });
    for daemon in [daemon::newest(), daemon::oldest()] {
        let command = "mkdir /out && cp many.txt /out/Cargo.lock";
        let work = Workdir::with_spec(&debian("sbom-many", &[command])).on(&daemon);
        work.write("many.txt", &lock);
        assert_eq!(packages(build(&work).spdx(), "cargo").len(), COUNT);
    }
}

/// What syft says is in an image, by its types; as it does by itself, of what is installed.
fn by_syft(tar: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let done = Command::new(daemon::variable("PEELBOX_TEST_SYFT"))
        .args(["scan", "--quiet", "--output", "json"])
        .arg(format!("oci-archive:{}", tar.display()))
        .env("SYFT_CHECK_FOR_APP_UPDATE", "false")
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let listed: Value = serde_json::from_slice(&done.stdout).unwrap();
    let mut by_type: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in listed["artifacts"].as_array().unwrap() {
        let [kind, name, version] =
            ["type", "name", "version"].map(|key| package[key].as_str().unwrap());
        by_type.entry(kind.to_owned()).or_default().insert(format!("{name} {version}"));
    }
    by_type
}

/// Lines that both write alike.
///
/// PyPI's names as PEP 503 has them; of Go the standard library's version without `go` and `v`, and no main module, whose
/// version is what the build says; of the others as they are.
fn alike(kind: &str, lines: &BTreeSet<String>) -> BTreeSet<String> {
    let go = |line: &String| {
        let line = line.replacen("stdlib go", "stdlib ", 1);
        line.replacen("stdlib v", "stdlib ", 1)
    };
    let is_main = |line: &String| line.starts_with("example.com/") || line.ends_with(" UNKNOWN");
    match kind {
        "pypi" => lines.iter().map(|line| normal(line)).collect(),
        "golang" => lines.iter().filter(|line| !is_main(line)).map(go).collect(),
        _ => lines.clone(),
    }
}

#[test]
#[ignore = "syft takes ten minutes to build: make test-sbom"]
fn sbom_against_syft_on_the_same_images() {
    const TYPES: [(&str, &str); 4] =
        [("deb", "deb"), ("npm", "npm"), ("pypi", "python"), ("golang", "go-module")];
    let mut table = String::from(
        "\n| image | type | peelbox | syft | both | recall | precision |\n|---|---|---|---|---|---|---|\n",
    );
    let mut poor = Vec::new();
    for example in ["python-flask", "node-express", "go-http"] {
        let work = Workdir::example(example);
        let spdx = build(&work).spdx().clone();
        // The same image, in a layout that every reader understands.
        let args = ["--output", "type=oci,dest=bare.tar", "--no-sbom", "--no-provenance"];
        drop(work.build().args(args).run().ok());
        let theirs = by_syft(&work.path("bare.tar"));
        for (kind, their_kind) in TYPES {
            let none = BTreeSet::new();
            let theirs = alike(kind, theirs.get(their_kind).unwrap_or(&none));
            let ours = alike(kind, &in_image(&spdx, kind));
            if ours.is_empty() && theirs.is_empty() {
                continue;
            }
            let both = ours.intersection(&theirs).count();
            let [recall, precision] = [&theirs, &ours].map(|all| both as f64 / all.len() as f64);
            table += &format!(
                "| {example} | {kind} | {} | {} | {both} | {recall:.3} | {precision:.3} |\n",
                ours.len(),
                theirs.len()
            );
            // No number: one of them lists nothing.
            if !(recall >= 0.95 && precision >= 0.95) {
                let missing: Vec<_> = theirs.difference(&ours).collect();
                let extra: Vec<_> = ours.difference(&theirs).collect();
                poor.push(format!(
                    "{example} {kind}: syft only {missing:#?}, peelbox only {extra:#?}"
                ));
            }
        }
    }
    println!("{table}");
    assert!(poor.is_empty(), "{table}\n{}", poor.join("\n"));
}
