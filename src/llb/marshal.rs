//! Operations → protobuf, as Go's client writes them.
//!
//! The daemon (v0.32) marshals every op again and takes the digest of *its* bytes as the vertex
//! digest (`solver/llbsolver/vertex.go`, `recomputeDigests`). Ours are equal to its: defaults left
//! out, maps sorted, fields in the order of their numbers, but a `oneof` after all others, which is
//! how Go's protobuf library (google.golang.org/protobuf, legacy field order) writes it.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;

use super::{
    Graph, State,
    op::{
        Access, ContentCache, CopyAction, Exec, FileAction, LocalSource, Meta, MountKind, Network,
        Owner, Platform, Sharing, Source, UserRef,
    },
};
use crate::{digest::sha256, pb::llb as pb};

/// One op on its way into a graph.
pub(super) struct Part {
    pub(super) op: pb::Op,
    pub(super) inputs: Vec<usize>,
    pub(super) caps: BTreeSet<&'static str>,
}

pub(super) fn source(source: &Source) -> Part {
    let mut caps = BTreeSet::new();
    let mut attrs = BTreeMap::new();
    let (identifier, platform) = match source {
        Source::Image { reference, platform, prefers_local } => {
            caps.insert("source.image");
            if *prefers_local {
                caps.insert("source.image.resolvemode");
                attrs.insert("image.resolvemode".to_owned(), "local".to_owned());
            }
            (format!("docker-image://{reference}"), Some(platform))
        }
        Source::OciLayout { store, digest, session, platform } => {
            caps.insert("source.ocilayout");
            attrs.insert("oci.store".to_owned(), store.clone());
            if let Some(session) = session {
                attrs.insert("oci.session".to_owned(), session.clone());
            }
            // The name must read as a reference with a host; nobody connects to it.
            (format!("oci-layout://{}", oci_layout_reference(store, digest)), Some(platform))
        }
        Source::Local(local) => {
            local_attrs(local, &mut attrs, &mut caps);
            (format!("local://{}", local.name), None)
        }
    };
    let op = pb::op::Op::Source(pb::SourceOp { identifier, attrs });
    Part { op: wrap(op, platform, Vec::new()), inputs: Vec::new(), caps }
}

/// Attributes in `solver/pb/attr.go`.
fn local_attrs(
    local: &LocalSource,
    attrs: &mut BTreeMap<String, String>,
    caps: &mut BTreeSet<&'static str>,
) {
    caps.insert("source.local");
    let mut put = |key: &str, cap: &'static str, value: String| {
        attrs.insert(key.to_owned(), value);
        caps.insert(cap);
    };
    if let Some(session) = &local.session {
        put("local.session", "source.local.sessionid", session.clone());
    }
    if let Some(hint) = &local.shared_key_hint {
        put("local.sharedkeyhint", "source.local.sharedkeyhint", hint.clone());
    }
    if !local.include.is_empty() {
        put("local.includepattern", "source.local.includepatterns", json_list(&local.include));
    }
    if !local.exclude.is_empty() {
        put("local.excludepatterns", "source.local.excludepatterns", json_list(&local.exclude));
    }
}

fn json_list(items: &[String]) -> String {
    serde_json::Value::from(items.to_vec()).to_string()
}

/// The op, and the paths of the mounts that have an output, in order.
pub(super) fn exec(graph: &Graph, exec: Exec) -> (Part, Vec<String>) {
    let Exec { args, env, cwd, user, mut mounts, secret_env, network, platform } = exec;
    mounts.sort_by(|a, b| a.dest.cmp(&b.dest));
    let mut caps = BTreeSet::from(["exec.meta.base"]);
    if !env.iter().any(|pair| pair.starts_with("PATH=")) {
        caps.insert("exec.meta.setsdefaultpath");
    }
    if network != Network::Sandbox {
        caps.insert("exec.meta.network");
    }
    if !secret_env.is_empty() {
        caps.insert("exec.secretenv");
    }

    let mut inputs = Inputs::new(graph);
    let mut outputs = Vec::new();
    let mounts = mounts
        .into_iter()
        .map(|mount| {
            let output = match &mount.kind {
                MountKind::Bind { access: Access::Output, .. } => {
                    outputs.push(mount.dest.clone());
                    outputs.len() as i64 - 1
                }
                _ => NO_OUTPUT,
            };
            let empty =
                pb::Mount { input: NO_INPUT, dest: mount.dest, output, ..Default::default() };
            mount_kind(mount.kind, empty, &mut inputs, &mut caps)
        })
        .collect();
    let meta = pb::Meta {
        args,
        env,
        cwd,
        user,
        remove_mount_stubs_recursive: true,
        ..pb::Meta::default()
    };
    let secretenv = secret_env
        .into_iter()
        .map(|s| pb::SecretEnv { id: s.id, name: s.name, optional: s.optional })
        .collect();
    let network = match network {
        Network::Sandbox => pb::NetMode::Unset,
        Network::Host => pb::NetMode::Host,
        Network::None => pb::NetMode::None,
    };
    let op = pb::op::Op::Exec(pb::ExecOp {
        meta: Some(meta),
        mounts,
        network: network.into(),
        security: pb::SecurityMode::Sandbox.into(),
        secretenv,
    });
    (inputs.part(op, Some(&platform), caps), outputs)
}

fn mount_kind(
    kind: MountKind,
    empty: pb::Mount,
    inputs: &mut Inputs<'_>,
    caps: &mut BTreeSet<&'static str>,
) -> pb::Mount {
    let (from, selector) = match &kind {
        MountKind::Bind { from, selector, .. } | MountKind::Cache { from, selector, .. } => {
            (*from, selector.clone())
        }
        MountKind::Tmpfs | MountKind::Secret { .. } => (State::SCRATCH, String::new()),
    };
    if !selector.is_empty() {
        caps.insert("exec.mount.selector");
    }
    let mount = pb::Mount { input: inputs.index(from), selector, ..empty };
    match kind {
        MountKind::Bind { access, content_cache, .. } => {
            caps.insert("exec.mount.bind");
            if access == Access::Discard {
                caps.insert("exec.mount.bind.readwrite-nooutput");
            }
            if content_cache != ContentCache::Default {
                caps.insert("exec.mount.cache.content");
            }
            let content_cache = match content_cache {
                ContentCache::Default => pb::MountContentCache::Default,
                ContentCache::On => pb::MountContentCache::On,
                ContentCache::Off => pb::MountContentCache::Off,
            };
            pb::Mount {
                readonly: access == Access::ReadOnly,
                content_cache: content_cache.into(),
                ..mount
            }
        }
        MountKind::Cache { id, sharing, .. } => {
            caps.extend(["exec.mount.cache", "exec.mount.cache.sharing"]);
            let sharing = match sharing {
                Sharing::Shared => pb::CacheSharingOpt::Shared,
                Sharing::Private => pb::CacheSharingOpt::Private,
                Sharing::Locked => pb::CacheSharingOpt::Locked,
            };
            pb::Mount {
                mount_type: pb::MountType::Cache.into(),
                cache_opt: Some(pb::CacheOpt { id, sharing: sharing.into() }),
                ..mount
            }
        }
        MountKind::Tmpfs => {
            caps.insert("exec.mount.tmpfs");
            pb::Mount {
                mount_type: pb::MountType::Tmpfs.into(),
                tmpfs_opt: Some(pb::TmpfsOpt::default()),
                ..mount
            }
        }
        MountKind::Secret { id, optional, is_for_all } => {
            caps.insert("exec.mount.secret");
            let mode = if is_for_all { SECRET_MODE_FOR_ALL } else { SECRET_MODE };
            let secret = pb::SecretOpt { id, uid: 0, gid: 0, mode, optional };
            pb::Mount {
                mount_type: pb::MountType::Secret.into(),
                secret_opt: Some(secret),
                ..mount
            }
        }
    }
}

/// Index rule (`solver/llbsolver/ops/file.go`): below the number of inputs an input, above it the
/// result of an action, -1 scratch. Only the last action has an output.
pub(super) fn file(graph: &Graph, base: State, actions: &[FileAction]) -> Part {
    let mut caps = BTreeSet::from(["file.base"]);
    let mut inputs = Inputs::new(graph);
    let first_input = inputs.index(base);
    for action in actions {
        match action {
            FileAction::Mkdir { owner, .. } => inputs.owner(owner.as_ref()),
            FileAction::Mkfile { .. } => {}
            FileAction::Copy(copy) => {
                inputs.index(copy.from);
                inputs.owner(copy.owner.as_ref());
            }
        }
    }
    let results_from = inputs.list.len() as i64;
    let last = actions.len() - 1;
    let mut file = pb::FileOp::default();
    for (n, action) in actions.iter().enumerate() {
        let (secondary_input, action) = file_action(action, &mut inputs, &mut caps);
        file.actions.push(pb::FileAction {
            input: if n == 0 { first_input } else { results_from + n as i64 - 1 },
            secondary_input,
            output: if n == last { 0 } else { NO_OUTPUT },
            action: Some(action),
        });
    }
    inputs.part(pb::op::Op::File(file), None, caps)
}

fn file_action(
    action: &FileAction,
    inputs: &mut Inputs<'_>,
    caps: &mut BTreeSet<&'static str>,
) -> (i64, pb::file_action::Action) {
    use pb::file_action::Action;

    match action {
        FileAction::Mkdir { path, mode, owner, time_ns } => {
            let mkdir = pb::FileActionMkDir {
                path: path.clone(),
                mode: *mode as i32,
                make_parents: true,
                owner: owner.as_ref().map(|owner| chown(owner, inputs)),
                timestamp: time_ns.unwrap_or(TIME_OF_THE_BUILD),
            };
            (NO_INPUT, Action::Mkdir(mkdir))
        }
        FileAction::Mkfile { path, mode, data } => {
            let mkfile = pb::FileActionMkFile {
                path: path.clone(),
                mode: *mode as i32,
                data: data.clone(),
                owner: None,
                timestamp: TIME_OF_THE_BUILD,
            };
            (NO_INPUT, Action::Mkfile(mkfile))
        }
        FileAction::Copy(copy) => {
            let CopyAction { from, src, dest, wildcard, include, owner, mode, time_ns } = copy;
            if !include.is_empty() {
                caps.insert("file.copy.includeexcludepatterns");
            }
            let action = pb::FileActionCopy {
                src: src.clone(),
                dest: dest.clone(),
                owner: owner.as_ref().map(|owner| chown(owner, inputs)),
                mode: mode.map_or(MODE_OF_THE_SOURCE, |mode| mode as i32),
                follow_symlink: true,
                dir_copy_contents: true,
                create_dest_path: true,
                allow_wildcard: *wildcard,
                timestamp: time_ns.unwrap_or(TIME_OF_THE_SOURCE),
                include_patterns: include.clone(),
                ..pb::FileActionCopy::default()
            };
            (inputs.index(*from), Action::Copy(action))
        }
    }
}

fn chown(owner: &Owner, inputs: &mut Inputs<'_>) -> pb::ChownOpt {
    let names = inputs.index(owner.names);
    let user = |who: &UserRef| pb::UserOpt {
        user: Some(match who {
            UserRef::Id(id) => pb::user_opt::User::ById(*id),
            UserRef::Name(name) => {
                pb::user_opt::User::ByName(pb::NamedUserOpt { name: name.clone(), input: names })
            }
        }),
    };
    pb::ChownOpt { user: Some(user(&owner.user)), group: owner.group.as_ref().map(user) }
}

pub(super) fn merge(graph: &Graph, states: &[State]) -> Part {
    let mut inputs = Inputs::new(graph);
    let merged = states.iter().map(|s| pb::MergeInput { input: inputs.index(*s) }).collect();
    let op = pb::op::Op::Merge(pb::MergeOp { inputs: merged });
    inputs.part(op, None, BTreeSet::from(["mergeop"]))
}

/// The last op of a definition: it names the result.
pub(super) fn terminal<'a>(
    result: pb::Input,
    others: impl Iterator<Item = &'a pb::OpMetadata>,
) -> (Vec<u8>, String, pb::OpMetadata) {
    let bytes = pb::Op { inputs: vec![result], ..pb::Op::default() }.encode_to_vec();
    let mut caps =
        BTreeMap::from([("constraints".to_owned(), true), ("platform".to_owned(), true)]);
    for other in others {
        if other.ignore_cache {
            caps.insert("meta.ignorecache".to_owned(), true);
        }
        if !other.description.is_empty() {
            caps.insert("meta.description".to_owned(), true);
        }
    }
    let digest = digest(&bytes);
    (bytes, digest, pb::OpMetadata { caps, ..pb::OpMetadata::default() })
}

pub(super) fn metadata(meta: &Meta, caps: BTreeSet<&'static str>) -> pb::OpMetadata {
    let description = meta.name.iter().map(|name| (CUSTOM_NAME.to_owned(), name.clone())).collect();
    pb::OpMetadata {
        ignore_cache: meta.ignore_cache,
        description,
        caps: caps.into_iter().map(|cap| (cap.to_owned(), true)).collect(),
        ..pb::OpMetadata::default()
    }
}

/// The bytes of an op, its `oneof` last. Two messages in a row are one message with both's fields.
pub(super) fn bytes(mut op: pb::Op) -> Vec<u8> {
    let what = pb::Op { op: op.op.take(), ..pb::Op::default() };
    let mut bytes = op.encode_to_vec();
    bytes.extend_from_slice(&what.encode_to_vec());
    bytes
}

pub(super) fn digest(bytes: &[u8]) -> String {
    sha256(bytes)
}

/// The inputs of one op; equal ones are one.
struct Inputs<'a> {
    graph: &'a Graph,
    list: Vec<pb::Input>,
    vertexes: Vec<usize>,
}

impl<'a> Inputs<'a> {
    fn new(graph: &'a Graph) -> Self {
        Self { graph, list: Vec::new(), vertexes: Vec::new() }
    }

    /// Place of `state` among the inputs, added when it is not there yet; -1 for scratch.
    fn index(&mut self, state: State) -> i64 {
        let State(Some(edge)) = state else { return NO_INPUT };
        let input = self.graph.input(edge);
        let place = self.list.iter().position(|have| *have == input).unwrap_or_else(|| {
            self.list.push(input);
            self.vertexes.push(edge.vertex);
            self.list.len() - 1
        });
        place as i64
    }

    fn owner(&mut self, owner: Option<&Owner>) {
        if let Some(owner) = owner {
            self.index(owner.names);
        }
    }

    fn part(
        self,
        op: pb::op::Op,
        platform: Option<&Platform>,
        caps: BTreeSet<&'static str>,
    ) -> Part {
        Part { op: wrap(op, platform, self.list), inputs: self.vertexes, caps }
    }
}

fn wrap(op: pb::op::Op, platform: Option<&Platform>, inputs: Vec<pb::Input>) -> pb::Op {
    pb::Op {
        inputs,
        platform: platform.map(Platform::to_pb),
        // Go's client always sends this field, empty (client/llb/marshal.go).
        constraints: Some(pb::WorkerConstraints::default()),
        op: Some(op),
    }
}

/// Name of an image in a store of ours: the daemon wants a reference with a host in front.
pub fn oci_layout_reference(store: &str, digest: &str) -> String {
    format!("{OCI_LAYOUT_HOST}/{store}@{digest}")
}

pub(super) const CUSTOM_NAME: &str = "llb.customname";
const OCI_LAYOUT_HOST: &str = "oci-layout.invalid";
const NO_INPUT: i64 = -1;
const NO_OUTPUT: i64 = -1;
const MODE_OF_THE_SOURCE: i32 = -1;
const TIME_OF_THE_SOURCE: i64 = -1;
const TIME_OF_THE_BUILD: i64 = -1;
/// What `RUN --mount=type=secret` uses.
const SECRET_MODE: u32 = 0o400;
/// For commands that do not run as root.
const SECRET_MODE_FOR_ALL: u32 = 0o444;
