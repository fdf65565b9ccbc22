//! The fields of the format, and what becomes of each.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Artifact, BUILD_DIR, Base, Build, DependencyStep, FILE_MODE, FILES_BYTES_MAX, FILES_MAX, File,
    Metadata, Runtime, Secret, SecretTarget, Service, UniversalBuild, VERSIONS, check,
    error::{SHOWN_CHARS_MAX, safe},
    is_within,
    json::{Kind, Value},
    node::{Fault, Node, Object, Report, Shape},
};

/// Reads every service of the file; mistakes are noted in `report`.
pub(super) fn services(root: Value<'_>, report: &Report) -> Vec<Service> {
    let root = Node::root(report, root);
    match root.value.kind() {
        Kind::Array if root.value.is_empty_array() => {
            root.fault(Fault::expected("at least one service"));
            Vec::new()
        }
        Kind::Array => {
            let mut names = BTreeMap::new();
            root.list(|node| service(node, &mut names))
        }
        Kind::Object => service(root, &mut BTreeMap::new()).into_iter().collect(),
        _ => {
            root.fault(Fault::expected("a service (an object) or an array of them"));
            Vec::new()
        }
    }
}

/// `names` holds where the names of the services before this one stand.
fn service(node: Node<'_>, names: &mut BTreeMap<String, usize>) -> Option<Service> {
    let path = node.path();
    let object = node.object(&SERVICE)?;
    let needed = format!("write \"version\": \"{}\"", VERSIONS[0]);
    if let Some(version) = object.required("version", "the version of the format", Some(&needed)) {
        version.parsed(|text| match VERSIONS.contains(&text) {
            true => Ok(()),
            false => Err(Fault::expected("a version of the format")
                .help(format!("versions understood here: {}", VERSIONS.join(", ")))),
        });
    }
    let metadata = object.get("metadata").and_then(|n| metadata(n, names)).unwrap_or_default();
    let mut bytes = 0;
    let build = object.get("build").and_then(|n| build(n, &mut bytes)).unwrap_or_default();
    let runtime = object.get("runtime").and_then(|n| runtime(n, &mut bytes)).unwrap_or_default();
    Some(Service { spec: UniversalBuild { metadata, build, runtime }, path })
}

fn metadata(node: Node<'_>, names: &mut BTreeMap<String, usize>) -> Option<Metadata> {
    let object = node.object(&METADATA)?;
    // Early detectors wrote it; it never had an effect.
    if let Some(confidence) = object.get("confidence")
        && confidence.value.kind() != Kind::Number
    {
        confidence.fault(Fault::expected("a number"));
    }
    let project_name = object.get("project_name").and_then(|node| {
        let name = node.parsed(check::service_name)?;
        let here = node.value.offset;
        let first = *names.entry(name.clone()).or_insert(here);
        if first != here {
            let found = node.value.shown();
            node.repeats(first, format!("expected a name of its own, found {found} again"));
        }
        Some(name)
    });
    let informative = |name| object.get(name).and_then(|node| node.string());
    Some(Metadata {
        project_name,
        language: informative("language"),
        build_system: informative("build_system"),
        framework: informative("framework"),
        reasoning: informative("reasoning"),
        path: object.get("path").and_then(|n| n.parsed(check::folder)),
    })
}

/// `files_bytes` counts the content of all files of the service.
fn build(node: Node<'_>, files_bytes: &mut usize) -> Option<Build> {
    let object = node.object(&BUILD)?;
    let env = object.get("env").map(|n| n.table(check::env_name)).unwrap_or_default();
    let cache = sorted(texts(object.get("cache"), check::cache));
    let file_path = |path: &str| {
        let clean = check::written_file(BUILD_DIR, path)?;
        match cache.iter().find(|cache| is_within(&clean, cache)) {
            None => Ok(clean),
            Some(cache) => Err(Fault::expected("a path that the commands see")
                .because(format!("the cache `{cache}` of `build.cache` hides it"))),
        }
    };
    let build = Build {
        base: base(object.get("base")),
        packages: sorted(texts(object.get("packages"), check::package)),
        dependencies: object
            .get("dependencies")
            .map(|n| n.list(dependency_step))
            .unwrap_or_default(),
        commands: texts(object.get("commands"), check::command),
        exclude: texts(object.get("exclude"), check::exclude),
        files: files(object.get("files"), &BUILD_FILE, file_path, files_bytes),
        secrets: object.get("secrets").map(|n| secrets(n, &env)).unwrap_or_default(),
        cache,
        env,
    };
    if build.base == Base::Scratch {
        let needs = [
            ("packages", build.packages.is_empty()),
            ("dependencies", build.dependencies.is_empty()),
            ("commands", build.commands.is_empty()),
        ];
        for (field, _) in needs.into_iter().filter(|(_, is_empty)| !is_empty) {
            object.get(field).iter().for_each(nothing_to_run);
        }
    }
    Some(build)
}

/// As for [`build`].
fn runtime(node: Node<'_>, files_bytes: &mut usize) -> Option<Runtime> {
    let object = node.object(&RUNTIME)?;
    let workdir = object.get("workdir").and_then(|n| n.parsed(check::absolute));
    let start = workdir.as_deref().unwrap_or("/");
    let runtime = Runtime {
        base: base(object.get("base")),
        packages: sorted(texts(object.get("packages"), check::package)),
        env: object.get("env").map(|n| n.table(check::env_name)).unwrap_or_default(),
        copy: object.get("copy").map(|n| n.list(|item| artifact(item, start))).unwrap_or_default(),
        files: files(object.get("files"), &RUNTIME_FILE, check::image_file, files_bytes),
        command: object.get("command").map(entrypoint).unwrap_or_default(),
        ports: sorted(object.get("ports").map(|n| n.list(port)).unwrap_or_default()),
        health: object.get("health").and_then(health),
        user: object.get("user").and_then(|n| n.parsed(check::user)),
        labels: object.get("labels").map(|n| n.table(check::label)).unwrap_or_default(),
        stop_signal: object.get("stop_signal").and_then(|n| n.parsed(check::stop_signal)),
        workdir: workdir.clone(),
    };
    if runtime.base == Base::Scratch && !runtime.packages.is_empty() {
        object.get("packages").iter().for_each(nothing_to_run);
    }
    Some(runtime)
}

fn nothing_to_run(node: &Node<'_>) {
    let message = "expected nothing, as the base is `scratch`";
    let help = "`scratch` has no shell and no package manager: name another base".to_owned();
    node.fail(message, Some(help));
}

fn base(node: Option<Node<'_>>) -> Base {
    node.and_then(|node| node.parsed(check::base)).unwrap_or_default()
}

fn dependency_step(node: Node<'_>) -> Option<DependencyStep> {
    let object = node.object(&DEPENDENCY_STEP)?;
    let globs = "the files the commands see, such as [\"package.json\"]";
    let files = filled(object.required("files", globs, None), "glob", check::glob);
    let shell = "the commands to run";
    let commands = filled(object.required("commands", shell, None), "command", check::command);
    Some(DependencyStep { files, commands })
}

/// In the order of their paths: those differ, so the order in the file means nothing.
fn files(
    node: Option<Node<'_>>,
    shape: &'static Shape,
    path: impl Fn(&str) -> Result<String, Fault>,
    bytes: &mut usize,
) -> Vec<File> {
    let Some(node) = node else { return Vec::new() };
    let mut places = BTreeMap::new();
    let mut files = node.list(|item| file(item, shape, &path, &mut places, bytes));
    if files.len() > FILES_MAX {
        node.fail(format!("expected at most {FILES_MAX} files, found {}", files.len()), None);
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// `places` holds the paths of the files before this one and where they stand.
fn file(
    node: Node<'_>,
    shape: &'static Shape,
    path: impl Fn(&str) -> Result<String, Fault>,
    places: &mut BTreeMap<String, usize>,
    bytes: &mut usize,
) -> Option<File> {
    let object = node.object(shape)?;
    let place = object.required("path", "the path of the file", None);
    let path = place.and_then(|node| {
        let path = node.parsed(path)?;
        own_place(&node, &path, places);
        Some(path)
    });
    let content = content(&object, bytes);
    let mode = object.get("mode").map_or(Some(FILE_MODE), mode);
    Some(File { path: path?, content: content?, mode: mode? })
}

/// Notes that another file is at, above or below `path`.
fn own_place(node: &Node<'_>, path: &str, places: &mut BTreeMap<String, usize>) {
    let found = node.value.shown();
    if let Some(first) = places.get(path) {
        node.repeats(*first, format!("expected a path of its own, found {found} again"));
        return;
    }
    let folder = format!("{path}/");
    let above = path.match_indices('/').find_map(|(end, _)| places.get_key_value(&path[..end]));
    let mut after = places.range(folder.clone()..);
    let below = after.next().filter(|(other, _)| other.starts_with(&folder));
    for (which, other) in [("below", above), ("above", below)] {
        if let Some((other, first)) = other {
            let other = safe(other, SHOWN_CHARS_MAX);
            let message =
                format!("expected a path of its own, found {found} {which} the file `{other}`");
            node.repeats(*first, message);
        }
    }
    places.insert(path.to_owned(), node.value.offset);
}

fn content(object: &Object<'_>, bytes: &mut usize) -> Option<Vec<u8>> {
    let (text, base64) = (object.get("content"), object.get("base64"));
    let of_text = text.and_then(|n| n.string()).map(String::into_bytes);
    let of_base64 = base64.and_then(|n| n.parsed(check::base64));
    let node = match (text, base64) {
        (Some(_), Some(base64)) => {
            base64.fail("expected `content` or `base64`, found both", None);
            return None;
        }
        (None, Some(base64)) => base64,
        (Some(text), None) => text,
        (None, None) => return object.required("content", "`content` or `base64`", None).and(None),
    };
    let content = of_text.or(of_base64)?;
    let before = *bytes;
    *bytes += content.len();
    // Said once: those behind it are too much as well.
    if before <= FILES_BYTES_MAX && *bytes > FILES_BYTES_MAX {
        let message = format!(
            "expected at most {FILES_BYTES_MAX} bytes in all files of the service, \
             found {bytes} with this one"
        );
        let help = "put larger files into the context";
        node.fail(message, Some(help.to_owned()));
    }
    Some(content)
}

fn mode(node: Node<'_>) -> Option<u32> {
    // 644 and 420 may both stand for `rw-r--r--`.
    if node.value.kind() == Kind::Number {
        node.fault(Fault::expected("permissions as octal digits in quotes").help(check::MODE_HELP));
        return None;
    }
    node.parsed(check::mode)
}

fn secrets(node: Node<'_>, env: &BTreeMap<String, String>) -> Vec<Secret> {
    let mut targets = BTreeSet::new();
    node.list(|item| {
        let secret = secret(item, env)?;
        if !targets.insert(format!("{:?}", secret.target)) {
            let message = "expected a place of its own, found one that another secret has";
            item.fail(message, None);
        }
        Some(secret)
    })
}

fn secret(node: Node<'_>, env: &BTreeMap<String, String>) -> Option<Secret> {
    let object = node.object(&SECRET)?;
    let id = object.required("id", "the id that `--secret` names", None);
    let id = id.and_then(|n| n.parsed(check::secret_id));
    let required = object.get("required").and_then(|n| n.bool()).unwrap_or(true);
    let target = match (object.get("env"), object.get("target")) {
        (Some(_), Some(target)) => {
            let help = "a secret wanted in both places is two entries with the same id";
            target.fail("expected `env` or `target`, found both", Some(help.to_owned()));
            None
        }
        (Some(variable), None) => variable.parsed(|name| {
            check::env_name(name)?;
            if env.contains_key(name) {
                let reason = "`build.env` has it too";
                return Err(Fault::expected("a variable of its own").because(reason));
            }
            Ok(SecretTarget::Env(name.to_owned()))
        }),
        (None, Some(file)) => file.parsed(check::secret_file).map(SecretTarget::File),
        (None, None) => id.as_ref().map(|id| SecretTarget::File(format!("/run/secrets/{id}"))),
    };
    Some(Secret { id: id?, target: target?, required })
}

fn artifact(node: Node<'_>, start: &str) -> Option<Artifact> {
    let object = node.object(&ARTIFACT)?;
    let from = object.required("from", "a path in the build stage", None);
    let from = from.and_then(|n| n.parsed(check::source));
    let to = object.required("to", "a path in the image", None);
    let to = to.and_then(|n| n.parsed(|path| check::target_in(start, path)));
    Some(Artifact { from: from?, to: to? })
}

fn entrypoint(node: Node<'_>) -> Vec<String> {
    if node.value.kind() == Kind::String {
        let help = format!("through a shell: [\"/bin/sh\", \"-c\", {}]", node.value.shown());
        node.fault(Fault::expected("an array: the program and its arguments").help(help));
        return Vec::new();
    }
    let mut is_first = true;
    node.list(|item| match std::mem::take(&mut is_first) {
        true => item.parsed(|program| match program.trim() {
            "" => Err(Fault::expected("a program")),
            _ => Ok(program.to_owned()),
        }),
        false => item.string(),
    })
}

fn port(node: Node<'_>) -> Option<u16> {
    let raw = node.value.raw();
    let number = raw.parse::<u16>().ok().filter(|&number| number > 0);
    if number.is_some() {
        return number;
    }
    let fault = Fault::expected("a port number from 1 to 65535");
    let text = raw.trim_matches('"');
    let port = text.split('/').next().unwrap_or_default();
    node.fault(match (port.parse::<u16>(), text.ends_with("/udp")) {
        (_, true) => fault.help("only TCP ports can be given"),
        (Ok(port @ 1..), false) => fault.help(format!("write it as a number: {port}")),
        _ => fault,
    });
    None
}

fn health(node: Node<'_>) -> Option<String> {
    if node.value.kind() == Kind::String {
        let help = format!("write {{\"endpoint\": {}}}", node.value.shown());
        node.fault(Fault::expected("an object").help(help));
        return None;
    }
    let object = node.object(&HEALTH)?;
    object.get("endpoint").and_then(|n| n.parsed(check::endpoint))
}

fn texts(node: Option<Node<'_>>, check: impl Fn(&str) -> Result<String, Fault>) -> Vec<String> {
    node.map(|node| node.list(|item| item.parsed(&check))).unwrap_or_default()
}

/// As [`texts`], at least one.
fn filled(
    node: Option<Node<'_>>,
    one: &'static str,
    check: impl Fn(&str) -> Result<String, Fault>,
) -> Vec<String> {
    if let Some(node) = &node
        && node.value.is_empty_array()
    {
        node.fail(format!("expected at least one {one}, found an empty array"), None);
    }
    texts(node, check)
}

/// The order in the file does not matter for these, nor does a repetition.
fn sorted<T: Ord>(items: Vec<T>) -> Vec<T> {
    items.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

static SERVICE: Shape = Shape {
    place: "",
    fields: &["version", "metadata", "build", "runtime"],
    all: &SHAPES,
    advice: &[("services", "several services are the file's own array: `[{…}, {…}]`")],
};

static METADATA: Shape = Shape {
    place: "metadata",
    fields: &[
        "project_name", "language", "build_system", "framework", "reasoning", "path", "confidence",
    ],
    all: &SHAPES,
    advice: &[("name", "the name of the service is `project_name`")],
};

static BUILD: Shape = Shape {
    place: "build",
    fields: &[
        "base", "packages", "env", "dependencies", "commands", "cache", "exclude", "files",
        "secrets",
    ],
    all: &SHAPES,
    advice: &[
        ("context", "the whole context is at `/build`, where the commands run: leave it out"),
        ("image", "the image to start from is `base`"),
        ("from", "the image to start from is `base`"),
    ],
};

static DEPENDENCY_STEP: Shape = Shape {
    place: "build.dependencies[]",
    fields: &["files", "commands"],
    all: &SHAPES,
    advice: &[],
};

static BUILD_FILE: Shape = file_shape("build.files[]");

static RUNTIME_FILE: Shape = file_shape("runtime.files[]");

const fn file_shape(place: &'static str) -> Shape {
    Shape {
        place,
        fields: &["path", "content", "base64", "mode"],
        all: &SHAPES,
        advice: &FILE_ADVICE,
    }
}

const FILE_ADVICE: [(&str, &str); 3] = [
    ("to", "where the file goes is `path`"),
    ("text", "the text of the file is `content`, other bytes are `base64`"),
    ("permissions", "the permissions are `mode`"),
];

static SECRET: Shape = Shape {
    place: "build.secrets[]",
    fields: &["id", "env", "target", "required"],
    all: &SHAPES,
    advice: &[],
};

static RUNTIME: Shape = Shape {
    place: "runtime",
    fields: &[
        "base", "packages", "env", "copy", "files", "command", "ports", "health", "user",
        "workdir", "labels", "stop_signal",
    ],
    all: &SHAPES,
    advice: &[
        ("entrypoint", "the image's entrypoint is `command`"),
        ("cmd", "the image's entrypoint is `command`"),
        ("image", "the image to start from is `base`"),
        ("from", "the image to start from is `base`"),
    ],
};

static ARTIFACT: Shape =
    Shape { place: "runtime.copy[]", fields: &["from", "to"], all: &SHAPES, advice: &[] };

static HEALTH: Shape =
    Shape { place: "runtime.health", fields: &["endpoint"], all: &SHAPES, advice: &[] };

/// Every kind of object with known fields.
pub(super) static SHAPES: [&Shape; 10] = [
    &SERVICE, &METADATA, &BUILD, &RUNTIME, &DEPENDENCY_STEP, &BUILD_FILE, &SECRET, &ARTIFACT,
    &RUNTIME_FILE, &HEALTH,
];
