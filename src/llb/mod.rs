//! LLB: a graph builder and its deterministic bytes.
//!
//! A [`Graph`] only grows, and a vertex is turned into its final bytes the moment it is added:
//! its inputs are older and have their digests already. So there is no recursion over a deep
//! graph, equal vertexes are one from the start, and the order of a [`Definition`] is the order
//! in which the steps were written down.

pub mod op;

mod lookup;
mod marshal;
mod text;

use std::collections::HashMap;

use crate::pb::llb as pb;

pub use crate::pb::llb::Definition;
pub use lookup::fetches_image;
pub use marshal::oci_layout_reference;
pub use op::Platform;
#[doc(hidden)]
pub use text::fuzz_llb_text;
pub use text::{TextError, View, text, views};

/// Files at one point of a graph: an output of a vertex, or nothing at all.
///
/// Belongs to the [`Graph`] that gave it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State(Option<Edge>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Edge {
    vertex: usize,
    output: i64,
}

impl State {
    /// No files.
    pub const SCRATCH: Self = Self(None);

    /// Whether it is [`State::SCRATCH`].
    pub fn is_scratch(self) -> bool {
        self.0.is_none()
    }
}

/// Vertexes in the order they were added; equal ones are one.
#[derive(Debug, Default)]
pub struct Graph {
    vertexes: Vec<Vertex>,
    by_digest: HashMap<String, usize>,
}

#[derive(Debug)]
struct Vertex {
    digest: String,
    bytes: Vec<u8>,
    metadata: pb::OpMetadata,
    /// All are smaller than the vertex's own index.
    inputs: Vec<usize>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds files from outside.
    pub fn source(&mut self, source: &op::Source, meta: &op::Meta) -> State {
        let part = marshal::source(source);
        self.add(part, meta)
    }

    /// Adds a process; its results are the mounts with [`op::Access::Output`].
    pub fn exec(&mut self, exec: op::Exec, meta: &op::Meta) -> ExecStates {
        let (part, outputs) = marshal::exec(self, exec);
        let State(Some(edge)) = self.add(part, meta) else {
            return ExecStates(Vec::new());
        };
        let state = |output: usize| State(Some(Edge { output: output as i64, ..edge }));
        ExecStates(outputs.into_iter().enumerate().map(|(n, dest)| (dest, state(n))).collect())
    }

    /// Adds file actions on top of `base`, in order. No action gives `base` back.
    pub fn file(&mut self, base: State, actions: &[op::FileAction], meta: &op::Meta) -> State {
        if actions.is_empty() {
            return base;
        }
        let part = marshal::file(self, base, actions);
        self.add(part, meta)
    }

    /// Lays states over each other, later ones on top.
    pub fn merge(&mut self, states: &[State], meta: &op::Meta) -> State {
        let states: Vec<State> = states.iter().copied().filter(|s| !s.is_scratch()).collect();
        match states.as_slice() {
            [] => State::SCRATCH,
            [one] => *one,
            many => {
                let part = marshal::merge(self, many);
                self.add(part, meta)
            }
        }
    }

    /// The bytes for the daemon: all that `state` stands on, children first, then the terminal op.
    ///
    /// [`State::SCRATCH`] gives an empty definition, which the daemon takes for an empty result.
    pub fn definition(&self, state: State) -> Definition {
        let State(Some(edge)) = state else { return Definition::default() };
        let mut needed = vec![false; edge.vertex + 1];
        needed[edge.vertex] = true;
        for index in (0..=edge.vertex).rev() {
            if needed[index] {
                for input in &self.vertexes[index].inputs {
                    needed[*input] = true;
                }
            }
        }
        let mut definition = Definition::default();
        for vertex in self.vertexes.iter().zip(&needed).filter(|(_, need)| **need).map(|(v, _)| v) {
            definition.def.push(vertex.bytes.clone());
            definition.metadata.insert(vertex.digest.clone(), vertex.metadata.clone());
        }
        let (bytes, digest, metadata) =
            marshal::terminal(self.input(edge), definition.metadata.values());
        definition.def.push(bytes);
        definition.metadata.insert(digest, metadata);
        definition
    }

    fn add(&mut self, part: marshal::Part, meta: &op::Meta) -> State {
        let bytes = marshal::bytes(part.op);
        let digest = marshal::digest(&bytes);
        let metadata = marshal::metadata(meta, part.caps);
        let vertex = match self.by_digest.get(&digest) {
            Some(&known) => {
                // The first name stays: it belongs to the step that a reader meets first.
                let have = &mut self.vertexes[known].metadata;
                have.ignore_cache |= metadata.ignore_cache;
                have.caps.extend(metadata.caps);
                known
            }
            None => {
                let index = self.vertexes.len();
                self.by_digest.insert(digest.clone(), index);
                self.vertexes.push(Vertex { digest, bytes, metadata, inputs: part.inputs });
                index
            }
        };
        State(Some(Edge { vertex, output: 0 }))
    }

    fn input(&self, edge: Edge) -> pb::Input {
        pb::Input { digest: self.vertexes[edge.vertex].digest.clone(), index: edge.output }
    }
}

/// The results of a process, one for each mount with an output.
#[derive(Clone, Debug)]
pub struct ExecStates(Vec<(String, State)>);

impl ExecStates {
    /// The state under `dest` when the process is done; scratch if that mount has no output.
    pub fn at(&self, dest: &str) -> State {
        self.0.iter().find(|(have, _)| have == dest).map_or(State::SCRATCH, |(_, state)| *state)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::{
        op::{
            Access, ContentCache, CopyAction, Exec, FileAction, LocalSource, Meta, Mount,
            MountKind, Network, Owner, Sharing, Source, UserRef,
        },
        *,
    };

    fn platform() -> Platform {
        Platform::new("linux", "amd64", "")
    }

    fn image(graph: &mut Graph) -> State {
        let reference = "docker.io/library/alpine:3".to_owned();
        let source = Source::Image { reference, platform: platform(), prefers_local: false };
        graph.source(&source, &Meta::named("FROM alpine"))
    }

    fn shell(mounts: Vec<Mount>) -> Exec {
        Exec {
            args: vec!["/bin/true".to_owned()],
            env: vec!["A=1".to_owned()],
            cwd: "/".to_owned(),
            user: String::new(),
            mounts,
            secret_env: Vec::new(),
            network: Network::Sandbox,
            platform: platform(),
        }
    }

    fn bind(dest: &str, from: State) -> Mount {
        let kind = MountKind::Bind {
            from,
            selector: String::new(),
            access: Access::Output,
            content_cache: ContentCache::Default,
        };
        Mount { dest: dest.to_owned(), kind }
    }

    fn ops(definition: &Definition) -> Vec<pb::Op> {
        definition.def.iter().map(|dt| pb::Op::decode(dt.as_slice()).unwrap()).collect()
    }

    #[test]
    fn an_image_source_has_the_bytes_that_the_go_client_sends() {
        let mut graph = Graph::new();
        let state = image(&mut graph);
        let definition = graph.definition(state);
        // Written by hand from solver/pb/ops.proto: field 10 platform, 11 constraints (empty), then
        // the oneof, field 3 source{1 identifier}.
        let id = b"docker-image://docker.io/library/alpine:3";
        let mut want = vec![0x52, 14, 0x0a, 5];
        want.extend_from_slice(b"amd64");
        want.extend_from_slice(&[0x12, 5]);
        want.extend_from_slice(b"linux");
        want.extend_from_slice(&[0x5a, 0]);
        want.extend_from_slice(&[0x1a, id.len() as u8 + 2, 0x0a, id.len() as u8]);
        want.extend_from_slice(id);
        assert_eq!(definition.def[0], want);
        assert_eq!(ops(&definition)[1].inputs[0].digest, marshal::digest(&want));
    }

    #[test]
    fn equal_steps_are_one_vertex_with_the_first_name() {
        let mut graph = Graph::new();
        let one = image(&mut graph);
        let source = Source::Image {
            reference: "docker.io/library/alpine:3".to_owned(),
            platform: platform(),
            prefers_local: false,
        };
        let two = graph.source(&source, &Meta::named("another name"));
        assert_eq!(one, two);
        let definition = graph.definition(two);
        assert_eq!(definition.def.len(), 2);
        let names: Vec<&String> = definition
            .metadata
            .values()
            .filter_map(|m| m.description.get("llb.customname"))
            .collect();
        assert_eq!(names, ["FROM alpine"]);
    }

    #[test]
    fn outputs_of_an_exec_are_numbered_in_the_order_of_their_paths() {
        let mut graph = Graph::new();
        let base = image(&mut graph);
        let cache = MountKind::Cache {
            id: "c".to_owned(),
            sharing: Sharing::Shared,
            from: State::SCRATCH,
            selector: String::new(),
        };
        let mounts = vec![
            bind("/z", State::SCRATCH),
            Mount { dest: "/a".to_owned(), kind: cache },
            bind("/", base),
            bind("/build", base),
        ];
        let states = graph.exec(shell(mounts), &Meta::default());
        for (dest, output) in [("/", 0), ("/build", 1), ("/z", 2)] {
            let definition = graph.definition(states.at(dest));
            assert_eq!(ops(&definition).last().unwrap().inputs[0].index, output, "{dest}");
        }
        assert!(states.at("/a").is_scratch(), "a cache mount has no output");

        let ops = ops(&graph.definition(states.at("/")));
        let Some(pb::op::Op::Exec(exec)) = &ops[1].op else { panic!("no exec: {ops:?}") };
        let seen: Vec<(&str, i64, i64)> =
            exec.mounts.iter().map(|m| (m.dest.as_str(), m.input, m.output)).collect();
        assert_eq!(seen, [("/", 0, 0), ("/a", -1, -1), ("/build", 0, 1), ("/z", -1, 2)]);
        assert_eq!(ops[1].inputs.len(), 1, "one input for both mounts of the base");
    }

    #[test]
    fn the_actions_of_a_file_step_are_a_chain_with_one_output() {
        let mut graph = Graph::new();
        let base = image(&mut graph);
        let local = LocalSource { name: "context".to_owned(), ..LocalSource::default() };
        let local = graph.source(&Source::Local(local), &Meta::default());
        let owner = Owner { user: UserRef::Name("app".to_owned()), group: None, names: base };
        let actions = [
            FileAction::Mkdir {
                path: "/w".to_owned(),
                mode: 0o755,
                owner: Some(owner.clone()),
                time_ns: None,
            },
            FileAction::Copy(CopyAction {
                from: local,
                src: "/".to_owned(),
                dest: "/w".to_owned(),
                include: vec!["*.json".to_owned()],
                owner: Some(owner),
                ..CopyAction::default()
            }),
        ];
        let state = graph.file(State::SCRATCH, &actions, &Meta::default());
        let definition = graph.definition(state);
        let ops = ops(&definition);
        let op = &ops[2];
        assert_eq!(op.platform, None, "a file step runs nowhere");
        let Some(pb::op::Op::File(file)) = &op.op else { panic!("no file op: {op:?}") };
        let seen: Vec<(i64, i64, i64)> =
            file.actions.iter().map(|a| (a.input, a.secondary_input, a.output)).collect();
        assert_eq!(seen, [(-1, -1, -1), (2, 1, 0)], "inputs are the base (names) and the context");
        let Some(pb::file_action::Action::Copy(copy)) = &file.actions[1].action else {
            panic!("no copy")
        };
        assert_eq!((copy.mode, copy.timestamp), (-1, -1), "0 would mean no permission, and 1970");
        let caps = &definition.metadata[&marshal::digest(&definition.def[2])].caps;
        assert!(caps.contains_key("file.copy.includeexcludepatterns"), "{caps:?}");
    }

    #[test]
    fn modes_and_times_that_are_given_are_those_of_the_daemon() {
        let mut graph = Graph::new();
        let base = image(&mut graph);
        let time_ns = Some(7);
        let actions = [
            FileAction::Mkdir { path: "/w".to_owned(), mode: 0o755, owner: None, time_ns },
            FileAction::Copy(CopyAction {
                from: base,
                src: "/a".to_owned(),
                dest: "/w".to_owned(),
                mode: Some(0o640),
                time_ns,
                ..CopyAction::default()
            }),
        ];
        let state = graph.file(State::SCRATCH, &actions, &Meta::default());
        let text = text(&graph.definition(state)).unwrap();
        assert!(text.contains("mkdir /w mode 755 time 7\n"), "{text}");
        assert!(text.contains("copy /a of 1 to /w mode 640 time 7 -> output 0\n"), "{text}");
    }

    #[test]
    fn a_merge_needs_two_states_and_leaves_scratch_out() {
        let mut graph = Graph::new();
        let base = image(&mut graph);
        let dir =
            FileAction::Mkdir { path: "/a".to_owned(), mode: 0o755, owner: None, time_ns: None };
        let other = graph.file(State::SCRATCH, &[dir], &Meta::default());
        let meta = Meta::default();
        assert_eq!(graph.merge(&[], &meta), State::SCRATCH);
        assert_eq!(graph.merge(&[State::SCRATCH, base], &meta), base);
        let merged = graph.merge(&[base, State::SCRATCH, other], &meta);
        let ops = ops(&graph.definition(merged));
        let Some(pb::op::Op::Merge(merge)) = &ops[2].op else { panic!("no merge: {ops:?}") };
        assert_eq!(merge.inputs.iter().map(|input| input.input).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn a_definition_holds_only_what_the_state_stands_on() {
        let mut graph = Graph::new();
        let base = image(&mut graph);
        let one = graph.exec(shell(vec![bind("/", base)]), &Meta::default()).at("/");
        let mut other = shell(vec![bind("/", base)]);
        other.args = vec!["/bin/false".to_owned()];
        graph.exec(other, &Meta::default());
        assert_eq!(graph.definition(one).def.len(), 3);
        assert_eq!(graph.definition(State::SCRATCH), Definition::default());
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_steps_needs_no_deep_stack() {
        let mut graph = Graph::new();
        let mut state = image(&mut graph);
        for n in 0..100_000 {
            let path = format!("/{n}");
            state = graph.file(
                state,
                &[FileAction::Mkdir { path, mode: 0o755, owner: None, time_ns: None }],
                &Meta::default(),
            );
        }
        assert_eq!(graph.definition(state).def.len(), 100_002);
    }

    #[test]
    fn caps_name_what_an_old_daemon_would_ignore() {
        let mut graph = Graph::new();
        let base = image(&mut graph);
        let off = MountKind::Bind {
            from: base,
            selector: "/sub".to_owned(),
            access: Access::Discard,
            content_cache: ContentCache::Off,
        };
        let mut exec = shell(vec![bind("/", base), Mount { dest: "/m".to_owned(), kind: off }]);
        exec.network = Network::None;
        let state = graph.exec(exec, &Meta { name: None, ignore_cache: true }).at("/");
        let definition = graph.definition(state);
        let caps = |n: usize| -> Vec<String> {
            definition.metadata[&marshal::digest(&definition.def[n])].caps.keys().cloned().collect()
        };
        assert_eq!(caps(0), ["source.image"]);
        assert_eq!(
            caps(1),
            [
                "exec.meta.base",
                "exec.meta.network",
                "exec.meta.setsdefaultpath",
                "exec.mount.bind",
                "exec.mount.bind.readwrite-nooutput",
                "exec.mount.cache.content",
                "exec.mount.selector",
            ]
        );
        assert_eq!(caps(2), ["constraints", "meta.description", "meta.ignorecache", "platform"]);
    }

    #[test]
    fn platforms_are_normalised_as_the_daemon_does_it() {
        let check = |text: &str, want: Option<&str>| {
            assert_eq!(
                text.parse::<Platform>().ok().map(|p| p.to_string()).as_deref(),
                want,
                "{text}"
            );
        };
        check("linux/amd64", Some("linux/amd64"));
        check("Linux/x86_64", Some("linux/amd64"));
        check("linux/amd64/v2", Some("linux/amd64/v2"));
        check("linux/arm64/v8", Some("linux/arm64"));
        check("linux/aarch64", Some("linux/arm64"));
        check("linux/arm", Some("linux/arm/v7"));
        check("linux/arm/6", Some("linux/arm/v6"));
        check("linux/i386", Some("linux/386"));
        check("linux/riscv64", Some("linux/riscv64"));
        check("amd64", None);
        check("linux/", None);
        check("linux/amd64/", None);
        check("linux/a b", None);
        check("linux/arm/v7/x", None);
    }
}
