//! The build stage: base, packages, dependency steps, context, commands.

use super::{
    CONTEXT_NAME, Options, PlanError, Planner,
    base::{Image, Stage},
    caches,
    files::Files,
    first_command,
    packages::{is_root, set_env},
    script,
};
use crate::{
    llb::{
        Definition, Graph, State,
        op::{
            Access, ContentCache, CopyAction, Exec, FileAction, LocalSource, Meta, Mount,
            MountKind, Network, Owner, SecretEnv, Source, UserRef,
        },
    },
    spec::{Artifact, BUILD_DIR, SecretTarget, UniversalBuild, is_within},
};

/// Where artifacts can be taken from when the build stage is done.
pub(super) struct Built {
    root: State,
    work: Work,
    kept: State,
    kept_dir: String,
}

enum Work {
    /// `/build` of this state.
    Tree(State),
    /// All of this state: no command has run, so the context itself will do.
    Context(State),
}

impl Built {
    /// The state that has an artifact, and its path there.
    pub(super) fn find(&self, caches: &[String], path: &str) -> (State, String) {
        if caches::holds(caches, path) {
            return (self.kept, format!("{}{path}", self.kept_dir));
        }
        match &self.work {
            _ if !is_within(path, BUILD_DIR) => (self.root, path.to_owned()),
            Work::Tree(state) => (*state, path.to_owned()),
            Work::Context(state) => match &path[BUILD_DIR.len()..] {
                "" => (*state, "/".to_owned()),
                rest => (*state, rest.to_owned()),
            },
        }
    }
}

/// The one place that says what the context is. Everything behind it takes a state with the
/// context at its root, so it can become another kind of source.
fn context(graph: &mut Graph, options: &Options) -> State {
    let source = Source::Local(LocalSource {
        name: CONTEXT_NAME.to_owned(),
        session: options.session.clone(),
        shared_key_hint: options.shared_key_hint.clone(),
        include: Vec::new(),
        exclude: options.exclude.clone(),
    });
    let meta = Meta { ignore_cache: false, ..options.step("load context") };
    graph.source(&source, &meta)
}

/// The first step of every plan that needs the context, which depends on no base: it can be sent while those are looked
/// up. `None` when the plan will not need it.
pub fn context_definition(spec: &UniversalBuild, options: &Options) -> Option<Definition> {
    let is_there = |artifact: &Artifact| is_within(&artifact.from, BUILD_DIR);
    let mut artifacts = spec.runtime.copy.iter();
    // Every command sees the work tree, so what it made outside of that needs the context too.
    let is_needed = artifacts.any(|artifact| first_command(spec).is_some() || is_there(artifact));
    is_needed.then(|| {
        let mut graph = Graph::new();
        let state = context(&mut graph, options);
        graph.definition(state)
    })
}

impl Planner<'_> {
    pub(super) fn build_stage(
        &mut self,
        base: &Image<'_>,
        label: &str,
    ) -> Result<Built, PlanError> {
        let root = self.base(base, label);
        let (root, _) = self.install(base, root, Stage::Build)?;
        let owner = owner(base.user(), root);
        let spec = self.spec;
        let files = self.files("build.files", &spec.build.files, owner.clone(), None);
        let (in_tree, others) = files.split(|file| is_within(&file.path, BUILD_DIR));
        let (root, _) = self.write(root, &others);
        let context = self.context();
        if first_command(spec).is_none() && in_tree.is_empty() {
            let (kept, kept_dir) = (State::SCRATCH, String::new());
            return Ok(Built { root, work: Work::Context(context), kept, kept_dir });
        }
        if self.spec.runtime.copy.is_empty() {
            self.warnings.push(
                "`runtime.copy` is empty: nothing of the build stage is needed, it does not run"
                    .to_owned(),
            );
        }

        let mut commands = Commands {
            shell: base.shell(),
            env: self.command_env(base),
            user: if owner.is_some() { base.user().to_owned() } else { String::new() },
            caches: self.cache_mounts(base, owner.as_ref()),
            keep: self.keep(owner.as_ref()),
            root,
            work: State::SCRATCH,
            kept: State::SCRATCH,
        };
        let kept_dir = commands.keep.as_ref().map(|keep| keep.selector.clone()).unwrap_or_default();
        let steps = &self.spec.build.dependencies;
        let mut left: usize = steps.iter().map(|step| step.commands.len()).sum();
        left += self.spec.build.commands.len();
        for step in steps {
            let copy = copy_context(context, step.files.clone(), owner.clone());
            let what = script::list(&step.files);
            commands.work = self.fill(commands.work, copy, &what, &in_tree);
            for command in &step.commands {
                left -= 1;
                self.command(&mut commands, command, left == 0);
            }
        }
        let copy = copy_context(context, Vec::new(), owner);
        commands.work = self.fill(commands.work, copy, "context", &in_tree);
        for command in &self.spec.build.commands {
            left -= 1;
            self.command(&mut commands, command, left == 0);
        }
        let Commands { root, work, kept, .. } = commands;
        Ok(Built { root, work: Work::Tree(work), kept, kept_dir })
    }

    /// The state of a base; scratch for scratch.
    ///
    /// It never ignores the cache: its digest says what it is, and a vertex that does so spoils the cache of every
    /// other build that uses it at that moment (BuildKit v0.32 `solver/jobs.go` joins them, `solver/edge.go` then keeps
    /// the keys of what it gave from those behind it).
    pub(super) fn base(&mut self, base: &Image<'_>, label: &str) -> State {
        let Some(source) = base.source(&self.options.lookup()) else {
            return State::SCRATCH;
        };
        let name = format!("[{}{label}] FROM {}", self.options.service, base.display());
        self.graph.source(&source, &Meta::named(name))
    }

    fn context(&mut self) -> State {
        context(&mut self.graph, self.options)
    }

    fn command_env(&self, base: &Image<'_>) -> Vec<String> {
        let mut env = base.env();
        for (name, value) in &self.spec.build.env {
            set_env(&mut env, name, value);
        }
        env
    }

    /// What the last command has to save from the cache mounts.
    fn keep(&mut self, owner: Option<&Owner>) -> Option<Keep> {
        let spec = self.spec;
        let from = spec.runtime.copy.iter().map(|artifact| &artifact.from);
        let artifacts: Vec<String> =
            from.filter(|path| caches::holds(&spec.build.cache, path)).cloned().collect();
        if artifacts.is_empty() {
            return None;
        }
        let (from, selector) = self.owned_dir(owner);
        Some(Keep { artifacts, from, selector })
    }

    /// The work tree with what `copy` brings of the context, and with the files of the spec over that.
    fn fill(&mut self, work: State, copy: FileAction, what: &str, files: &Files<'_>) -> State {
        let and = if files.is_empty() { "" } else { " and build.files" };
        let mut actions = vec![copy];
        actions.extend(files.actions());
        self.graph.file(work, &actions, &self.options.step(format!("copy {what}{and}")))
    }

    fn command(&mut self, commands: &mut Commands, command: &str, is_last: bool) {
        let mut args = commands.shell.clone();
        args.push(command.to_owned());
        let bind = |dest: &str, from, selector: &str, content_cache| Mount {
            dest: dest.to_owned(),
            kind: MountKind::Bind {
                from,
                selector: selector.to_owned(),
                access: Access::Output,
                content_cache,
            },
        };
        // By content the daemon would hash the whole tree after every command.
        let by_step = match self.options.caps.contains(CONTENT_CACHE_CAP) {
            true => ContentCache::Off,
            false => ContentCache::Default,
        };
        let mut mounts = vec![
            bind("/", commands.root, "", ContentCache::Default),
            bind(BUILD_DIR, commands.work, BUILD_DIR, by_step),
        ];
        mounts.extend(commands.caches.iter().cloned());
        if let Some(keep) = commands.keep.take_if(|_| is_last) {
            args = caches::keep_artifacts(args, &keep.artifacts, KEEP_DIR);
            mounts.push(bind(KEEP_DIR, keep.from, &keep.selector, by_step));
        }
        let secret_env = self.secrets(!is_root(&commands.user), &mut mounts);
        let exec = Exec {
            args,
            env: commands.env.clone(),
            cwd: BUILD_DIR.to_owned(),
            user: commands.user.clone(),
            mounts,
            secret_env,
            network: Network::Sandbox,
            platform: self.options.platform.clone(),
        };
        let states = self.graph.exec(exec, &self.options.step(script::headline(command)));
        commands.root = states.at("/");
        commands.work = states.at(BUILD_DIR);
        commands.kept = states.at(KEEP_DIR);
    }

    /// Secrets of the session; without a required one a step fails.
    fn secrets(&self, is_for_all: bool, mounts: &mut Vec<Mount>) -> Vec<SecretEnv> {
        let mut env = Vec::new();
        for secret in &self.spec.build.secrets {
            let id = secret.id.clone();
            let optional = !secret.required;
            match &secret.target {
                SecretTarget::Env(name) => env.push(SecretEnv { id, name: name.clone(), optional }),
                SecretTarget::File(path) => mounts.push(Mount {
                    dest: path.clone(),
                    kind: MountKind::Secret { id, optional, is_for_all },
                }),
            }
        }
        env
    }
}

/// What the commands of a build have in common, and how far they have come.
struct Commands {
    shell: Vec<String>,
    env: Vec<String>,
    user: String,
    caches: Vec<Mount>,
    keep: Option<Keep>,
    root: State,
    /// The work tree is its folder `/build`, so that the folder itself can belong to the user.
    work: State,
    kept: State,
}

/// Artifacts in cache mounts, and the empty folder that the last command puts them in.
struct Keep {
    artifacts: Vec<String>,
    from: State,
    selector: String,
}

fn copy_context(context: State, include: Vec<String>, owner: Option<Owner>) -> FileAction {
    FileAction::Copy(CopyAction {
        from: context,
        src: "/".to_owned(),
        dest: BUILD_DIR.to_owned(),
        include,
        owner,
        ..CopyAction::default()
    })
}

/// Whom a folder for a user belongs to, if not to root. The daemon looks names up in `root`.
pub(super) fn owner(user: &str, root: State) -> Option<Owner> {
    if is_root(user) {
        return None;
    }
    let (user, group) = match user.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (user, None),
    };
    let (user, group) = (UserRef::parse(user), group.map(UserRef::parse));
    let named = matches!(user, UserRef::Name(_)) || matches!(group, Some(UserRef::Name(_)));
    Some(Owner { user, group, names: if named { root } else { State::SCRATCH } })
}

const KEEP_DIR: &str = "/.peelbox-artifacts";
const CONTENT_CACHE_CAP: &str = "exec.mount.cache.content";
