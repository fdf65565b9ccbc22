//! A definition as text: op by op, digests replaced by step numbers. For people and golden tests.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::{self, Write as _},
};

use prost::Message as _;

use super::marshal::{CUSTOM_NAME, digest};
use crate::pb::llb as pb;

/// Prints every op of a definition, with all that its digest depends on, and its metadata.
///
/// # Errors
/// [`TextError`] if the definition is not one.
pub fn text(definition: &pb::Definition) -> Result<String, TextError> {
    let mut out = String::new();
    for view in views(definition)? {
        // Writing into a `String` cannot fail.
        let _ = view.print(&mut out);
    }
    Ok(out)
}

/// The steps of a definition in its order, numbered from 1; the terminal op is left out.
///
/// # Errors
/// [`TextError`] if the definition is not one.
pub fn views(definition: &pb::Definition) -> Result<Vec<View>, TextError> {
    let mut numbers = HashMap::new();
    let mut views = Vec::new();
    for (n, bytes) in definition.def.iter().enumerate() {
        let number = n + 1;
        let op = pb::Op::decode(bytes.as_slice())
            .map_err(|source| TextError::Decode { number, source })?;
        let digest = digest(bytes);
        let inputs = op
            .inputs
            .iter()
            .map(|input| match numbers.get(&input.digest) {
                Some(&step) => Ok(Input { step, output: input.index }),
                None => Err(TextError::UnknownInput { number }),
            })
            .collect::<Result<_, _>>()?;
        let meta = definition.metadata.get(&digest).cloned().unwrap_or_default();
        numbers.insert(digest.clone(), number);
        let kind = match op.op {
            Some(pb::op::Op::Source(source)) => ViewKind::Source(source),
            Some(pb::op::Op::Exec(exec)) => ViewKind::Exec(Box::new(exec)),
            Some(pb::op::Op::File(file)) => ViewKind::File(file),
            Some(pb::op::Op::Merge(_)) => ViewKind::Merge,
            Some(pb::op::Op::Diff(_)) => ViewKind::Diff,
            None => continue,
        };
        views.push(View {
            number,
            digest,
            kind,
            inputs,
            platform: op.platform,
            name: meta.description.get(CUSTOM_NAME).cloned(),
            ignore_cache: meta.ignore_cache,
            caps: meta.caps,
        });
    }
    Ok(views)
}

/// One step of a definition.
#[derive(Clone, Debug)]
pub struct View {
    /// Place in the definition, from 1.
    pub number: usize,
    /// What the daemon calls its vertex.
    pub digest: String,
    kind: ViewKind,
    /// What it stands on.
    pub inputs: Vec<Input>,
    /// Where it runs.
    pub platform: Option<pb::Platform>,
    /// Display name.
    pub name: Option<String>,
    /// Runs even when its result is known.
    pub ignore_cache: bool,
    /// Features the daemon must have.
    pub caps: BTreeMap<String, bool>,
}

/// An output of an earlier step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its number.
    pub step: usize,
    /// Which of its outputs.
    pub output: i64,
}

#[derive(Clone, Debug)]
enum ViewKind {
    Source(pb::SourceOp),
    Exec(Box<pb::ExecOp>),
    File(pb::FileOp),
    Merge,
    Diff,
}

/// Why a definition cannot be printed.
#[derive(Debug)]
#[non_exhaustive]
pub enum TextError {
    /// The op at this place is no protobuf message of its type.
    Decode {
        /// Place, from 1.
        number: usize,
        /// What is wrong.
        source: prost::DecodeError,
    },
    /// The op at this place has an input that does not come before it.
    UnknownInput {
        /// Place, from 1.
        number: usize,
    },
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode { number, .. } => write!(f, "cannot decode op {number} of the definition"),
            Self::UnknownInput { number } => {
                write!(
                    f,
                    "op {number} of the definition stands on one that does not come before it"
                )
            }
        }
    }
}

impl std::error::Error for TextError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Decode { source, .. } => Some(source),
            Self::UnknownInput { .. } => None,
        }
    }
}

impl View {
    /// `source`, `exec`, `file`, `merge` or `diff`.
    pub fn kind(&self) -> &'static str {
        match &self.kind {
            ViewKind::Source(_) => "source",
            ViewKind::Exec(_) => "exec",
            ViewKind::File(_) => "file",
            ViewKind::Merge => "merge",
            ViewKind::Diff => "diff",
        }
    }

    /// Where a source comes from, such as `docker-image://…`.
    pub fn source(&self) -> Option<&str> {
        match &self.kind {
            ViewKind::Source(source) => Some(&source.identifier),
            _ => None,
        }
    }

    /// Program and arguments of a process.
    pub fn args(&self) -> &[String] {
        self.meta().map_or(&[], |meta| &meta.args)
    }

    /// Environment of a process.
    pub fn env(&self) -> &[String] {
        self.meta().map_or(&[], |meta| &meta.env)
    }

    /// User of a process; empty is root.
    pub fn user(&self) -> &str {
        self.meta().map_or("", |meta| &meta.user)
    }

    /// Paths of the cache mounts of a process.
    pub fn caches(&self) -> impl Iterator<Item = &str> {
        let mounts = match &self.kind {
            ViewKind::Exec(exec) => exec.mounts.as_slice(),
            _ => &[],
        };
        let is_cache = |mount: &&pb::Mount| mount.mount_type() == pb::MountType::Cache;
        mounts.iter().filter(is_cache).map(|mount| mount.dest.as_str())
    }

    /// What a file step copies: source path, destination path, include patterns.
    pub fn copies(&self) -> impl Iterator<Item = (&str, &str, &[String])> {
        self.actions().iter().filter_map(|action| match &action.action {
            Some(pb::file_action::Action::Copy(copy)) => {
                Some((copy.src.as_str(), copy.dest.as_str(), copy.include_patterns.as_slice()))
            }
            _ => None,
        })
    }

    /// Paths of the files whose content stands in a file step.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.actions().iter().filter_map(|action| match &action.action {
            Some(pb::file_action::Action::Mkfile(file)) => Some(file.path.as_str()),
            _ => None,
        })
    }

    fn actions(&self) -> &[pb::FileAction] {
        match &self.kind {
            ViewKind::File(file) => &file.actions,
            _ => &[],
        }
    }

    fn meta(&self) -> Option<&pb::Meta> {
        match &self.kind {
            ViewKind::Exec(exec) => exec.meta.as_ref(),
            _ => None,
        }
    }

    /// The input at `index`, as `3` or `3.1` (an output other than the first), or `scratch`.
    fn place(&self, index: i64) -> String {
        match usize::try_from(index).ok().and_then(|index| self.inputs.get(index)) {
            Some(Input { step, output: 0 }) => step.to_string(),
            Some(Input { step, output }) => format!("{step}.{output}"),
            None => "scratch".to_owned(),
        }
    }

    /// The same for a file action, which may also stand on an action before it.
    fn action_place(&self, index: i64) -> String {
        match usize::try_from(index) {
            Ok(index) if index >= self.inputs.len() => {
                format!("action {}", index - self.inputs.len() + 1)
            }
            _ => self.place(index),
        }
    }

    fn print(&self, out: &mut String) -> fmt::Result {
        write!(out, "{} {}", self.number, self.kind())?;
        if let Some(p) = &self.platform {
            write!(out, " {}/{}", p.os, p.architecture)?;
            if !p.variant.is_empty() {
                write!(out, "/{}", p.variant)?;
            }
        }
        if self.ignore_cache {
            out.push_str(" no-cache");
        }
        out.push('\n');
        if let Some(name) = &self.name {
            writeln!(out, "  name {name}")?;
        }
        match &self.kind {
            ViewKind::Source(source) => {
                writeln!(out, "  {}", source.identifier)?;
                for (key, value) in &source.attrs {
                    writeln!(out, "  {key} = {value}")?;
                }
            }
            ViewKind::Exec(exec) => self.print_exec(exec, out)?,
            ViewKind::File(file) => self.print_file(file, out)?,
            ViewKind::Merge | ViewKind::Diff => {
                for n in 0..self.inputs.len() {
                    writeln!(out, "  from {}", self.place(n as i64))?;
                }
            }
        }
        let caps: Vec<&str> = self.caps.keys().map(String::as_str).collect();
        if !caps.is_empty() {
            writeln!(out, "  caps {}", caps.join(" "))?;
        }
        Ok(())
    }

    fn print_exec(&self, exec: &pb::ExecOp, out: &mut String) -> fmt::Result {
        let meta = exec.meta.clone().unwrap_or_default();
        writeln!(out, "  args {:?}", meta.args)?;
        writeln!(out, "  cwd {}", meta.cwd)?;
        if !meta.user.is_empty() {
            writeln!(out, "  user {}", meta.user)?;
        }
        if exec.network != 0 {
            writeln!(out, "  network {}", exec.network().as_str_name().to_ascii_lowercase())?;
        }
        for pair in &meta.env {
            writeln!(out, "  env {}", pair.escape_debug())?;
        }
        for secret in &exec.secretenv {
            let optional = if secret.optional { " optional" } else { "" };
            writeln!(out, "  secret {} as env {}{optional}", secret.id, secret.name)?;
        }
        for mount in &exec.mounts {
            self.print_mount(mount, out)?;
        }
        Ok(())
    }

    fn print_mount(&self, mount: &pb::Mount, out: &mut String) -> fmt::Result {
        write!(out, "  mount {} ", mount.dest)?;
        match mount.mount_type() {
            pb::MountType::Bind => write!(out, "from {}", self.place(mount.input))?,
            pb::MountType::Cache => {
                let cache = mount.cache_opt.clone().unwrap_or_default();
                let sharing = cache.sharing().as_str_name().to_ascii_lowercase();
                write!(out, "cache {} {sharing}", cache.id)?;
                if mount.input >= 0 {
                    write!(out, " from {}", self.place(mount.input))?;
                }
            }
            pb::MountType::Secret => {
                let secret = mount.secret_opt.clone().unwrap_or_default();
                write!(out, "secret {} mode {:o}", secret.id, secret.mode)?;
                if secret.optional {
                    out.push_str(" optional");
                }
            }
            pb::MountType::Ssh => out.push_str("ssh"),
            pb::MountType::Tmpfs => out.push_str("tmpfs"),
        }
        if !mount.selector.is_empty() {
            write!(out, " at {}", mount.selector)?;
        }
        if mount.readonly {
            out.push_str(" read-only");
        }
        match mount.content_cache() {
            pb::MountContentCache::Default => {}
            pb::MountContentCache::On => out.push_str(" content-cache on"),
            pb::MountContentCache::Off => out.push_str(" content-cache off"),
        }
        if mount.output >= 0 {
            write!(out, " -> output {}", mount.output)?;
        }
        out.push('\n');
        Ok(())
    }

    fn print_file(&self, file: &pb::FileOp, out: &mut String) -> fmt::Result {
        for action in &file.actions {
            write!(out, "  on {}: ", self.action_place(action.input))?;
            match &action.action {
                Some(pb::file_action::Action::Mkdir(a)) => {
                    write!(out, "mkdir {} mode {:o}", a.path, a.mode)?;
                    print_time(a.timestamp, out)?;
                    self.print_owner(a.owner.as_ref(), out)?;
                }
                Some(pb::file_action::Action::Mkfile(a)) => {
                    let data = String::from_utf8_lossy(&a.data);
                    write!(out, "mkfile {} mode {:o} {:?}", a.path, a.mode, data)?;
                    self.print_owner(a.owner.as_ref(), out)?;
                }
                Some(pb::file_action::Action::Copy(a)) => {
                    let from = self.action_place(action.secondary_input);
                    write!(out, "copy {} of {from} to {}", a.src, a.dest)?;
                    self.print_copy(a, out)?;
                }
                Some(pb::file_action::Action::Rm(a)) => write!(out, "rm {}", a.path)?,
                None => out.push_str("nothing"),
            }
            if action.output >= 0 {
                write!(out, " -> output {}", action.output)?;
            }
            out.push('\n');
        }
        Ok(())
    }

    fn print_copy(&self, copy: &pb::FileActionCopy, out: &mut String) -> fmt::Result {
        if copy.mode != -1 {
            write!(out, " mode {:o}", copy.mode)?;
        }
        print_time(copy.timestamp, out)?;
        for (flag, name) in [
            (copy.allow_wildcard, "wildcard"),
            (copy.allow_empty_wildcard, "or-nothing"),
            (!copy.follow_symlink, "keep-link"),
            (!copy.dir_copy_contents, "folder-itself"),
            (!copy.create_dest_path, "no-parents"),
        ] {
            if flag {
                write!(out, " {name}")?;
            }
        }
        for (list, name) in
            [(&copy.include_patterns, "include"), (&copy.exclude_patterns, "exclude")]
        {
            if !list.is_empty() {
                write!(out, " {name} {list:?}")?;
            }
        }
        self.print_owner(copy.owner.as_ref(), out)
    }

    fn print_owner(&self, owner: Option<&pb::ChownOpt>, out: &mut String) -> fmt::Result {
        let Some(owner) = owner else { return Ok(()) };
        let who = |user: Option<&pb::UserOpt>| match user.and_then(|user| user.user.as_ref()) {
            Some(pb::user_opt::User::ById(id)) => id.to_string(),
            Some(pb::user_opt::User::ByName(name)) => {
                format!("{} of {}", name.name, self.place(name.input))
            }
            None => "-".to_owned(),
        };
        write!(out, " owner {}", who(owner.user.as_ref()))?;
        if owner.group.is_some() {
            write!(out, ":{}", who(owner.group.as_ref()))?;
        }
        Ok(())
    }
}

/// What is not said is the time of the build or of the source.
fn print_time(timestamp: i64, out: &mut String) -> fmt::Result {
    match timestamp {
        -1 => Ok(()),
        given => write!(out, " time {given}"),
    }
}

/// Must not panic, whatever the bytes.
#[doc(hidden)]
pub fn fuzz_llb_text(data: &[u8]) {
    if let Ok(definition) = pb::Definition::decode(data) {
        drop(text(&definition));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llb::{
        Graph, Platform,
        op::{Access, ContentCache, Exec, Meta, Mount, MountKind, Network, SecretEnv, Source},
    };
    use crate::mutation::mutate;

    fn sample() -> pb::Definition {
        let mut graph = Graph::new();
        let platform = Platform::new("linux", "arm", "v7");
        let source = Source::OciLayout {
            store: "base".to_owned(),
            digest: "sha256:00".to_owned(),
            session: None,
            platform: platform.clone(),
        };
        let from = graph.source(&source, &Meta::default());
        let kind = MountKind::Bind {
            from,
            selector: "/sub".to_owned(),
            access: Access::Output,
            content_cache: ContentCache::Off,
        };
        let exec = Exec {
            args: vec!["a b".to_owned(), "\"".to_owned()],
            env: vec!["X=\n".to_owned()],
            cwd: "/".to_owned(),
            user: "app".to_owned(),
            mounts: vec![Mount { dest: "/".to_owned(), kind }],
            secret_env: vec![SecretEnv {
                id: "tok".to_owned(),
                name: "TOK".to_owned(),
                optional: true,
            }],
            network: Network::None,
            platform,
        };
        let meta = Meta { name: Some("[x] a b".to_owned()), ignore_cache: true };
        let state = graph.exec(exec, &meta).at("/");
        graph.definition(state)
    }

    #[test]
    fn a_definition_is_printed_op_by_op_with_numbers_for_digests() {
        let want = "\
1 source linux/arm/v7
  oci-layout://oci-layout.invalid/base@sha256:00
  oci.store = base
  caps source.ocilayout
2 exec linux/arm/v7 no-cache
  name [x] a b
  args [\"a b\", \"\\\"\"]
  cwd /
  user app
  network none
  env X=\\n
  secret tok as env TOK optional
  mount / from 1 at /sub content-cache off -> output 0
  caps exec.meta.base exec.meta.network \
exec.meta.setsdefaultpath exec.mount.bind exec.mount.cache.content exec.mount.selector exec.secretenv
";
        assert_eq!(text(&sample()).unwrap(), want);
    }

    #[test]
    fn an_input_that_does_not_come_before_is_an_error() {
        let mut definition = sample();
        definition.def.remove(0);
        assert!(matches!(text(&definition), Err(TextError::UnknownInput { number: 1 })));
    }

    #[test]
    fn printing_never_panics_on_foreign_bytes() {
        mutate(&sample().encode_to_vec(), b"\x0a\x12\xff\0", 6_000, fuzz_llb_text);
    }
}
