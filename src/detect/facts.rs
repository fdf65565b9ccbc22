//! What the rules of an ecosystem find out about a service, before anything is said of images.

use std::collections::BTreeMap;

use super::{
    Family, Folder, Project,
    decision::{Decision, Evidence, Rule},
    language::{Language, NOTHING},
    parts::{
        Files, Kind, Layer, Library, Missing, Need, OUT, Process, Serves, Step, Take, Worker,
        WrittenFile,
    },
    paths::literal,
    shell::{exec_form, quote},
    source::Port,
    why::{Fixed, What},
};
use crate::spec::Secret;

/// Where it puts folders that the image takes to its root.
const DATA: &str = "/volumes";

/// Decides between rules that found something in one folder; the heavier wins, then the order of `ecosystems::ALL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Files of that language, no manifest: a lone `index.html`, a `main.py`.
    Files,
    /// A manifest without a way to start it, or one that is there for tools (assets, linters).
    Manifest,
    /// A manifest of a package that others use. What shows or checks it is no service.
    Library,
    /// A manual, or what is made for phones first: it is deployed when the tree has nothing else that is.
    Manual,
    /// A manifest and a start command or an entry file.
    Starts,
    /// A known framework that serves HTTP.
    Framework,
    /// A `Procfile`, or `peelbox.toml`, says so.
    Stated,
}

/// Everything that is known of one service.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Folder relative to the root, clean.
    pub dir: String,
    /// Row that says what images there are.
    pub language: &'static Language,
    /// Row whose image and home it runs in, where they are not the own: a server that hosts applications.
    pub runs_on: Option<&'static Language>,
    /// Id of the language, where the row has several.
    pub id: &'static str,
    /// Id of the build system.
    pub tool: &'static str,
    /// Wished name; empty: that of the folder.
    pub name: String,
    /// Id of the framework.
    pub framework: Option<&'static str>,
    /// How sure it is that something is deployed from here.
    pub weight: Weight,
    /// Folders that belong to it and hold no service of their own.
    pub claims: Vec<String>,
    /// Variables of the names of images and packages.
    pub vars: BTreeMap<&'static str, String>,
    /// Steps that see only the files that match patterns.
    pub layers: Vec<Layer>,
    /// Steps that see everything, in order.
    pub steps: Vec<Step>,
    /// What the build ends in.
    pub serves: Serves,
    /// What the image takes from the build.
    pub takes: Vec<Take>,
    /// Small files: settings of servers and of tools.
    pub files: Vec<WrittenFile>,
    /// Libraries and programs of the system.
    pub needs: Vec<Need>,
    /// Families that have no package of something it needs: the official images take their place.
    pub lacking: &'static [Family],
    /// Environment of the steps.
    pub build_env: BTreeMap<String, String>,
    /// What the steps must be handed: variables and files with credentials.
    pub secrets: Vec<Secret>,
    /// Environment of the program.
    pub env: BTreeMap<String, String>,
    /// Folders of tools that are kept between builds, beside those of the row.
    pub cache: Vec<String>,
    /// Patterns of what no step needs.
    pub exclude: Vec<String>,
    /// HTTP path that tells whether the service is well.
    pub health: Option<String>,
    /// Folder of the program in the image, below its home; empty: the home itself.
    pub run_in: String,
    /// Folder of the workspace that it is installed in; empty: it is in none.
    pub workspace: String,
    /// Whether what is stated to start is a program of no tool of its language.
    pub starts_another: bool,
    /// Processes of the same image that the manifests show.
    pub workers: Vec<Worker>,
    /// Lines of the other processes of the `Procfile`, by their names, where the image runs them otherwise than written.
    pub lines: BTreeMap<String, String>,
    /// Which of them this is; empty: the one that they stand beside.
    pub process: String,
    /// Decisions, in any order.
    pub decisions: Vec<Decision>,
}

impl Default for Facts {
    fn default() -> Self {
        Self::new(&NOTHING, ".")
    }
}

impl Facts {
    /// A service of a language, of which nothing else is known yet.
    pub fn new(language: &'static Language, dir: &str) -> Self {
        Self {
            dir: dir.to_owned(),
            language,
            runs_on: None,
            id: language.id,
            tool: language.tool,
            name: String::new(),
            framework: None,
            weight: Weight::Manifest,
            claims: Vec::new(),
            vars: BTreeMap::new(),
            layers: Vec::new(),
            steps: Vec::new(),
            serves: Serves::Nothing(Rule::Named(String::new()), Vec::new()),
            takes: Vec::new(),
            files: Vec::new(),
            needs: Vec::new(),
            lacking: &[],
            build_env: BTreeMap::new(),
            secrets: Vec::new(),
            env: BTreeMap::new(),
            cache: Vec::new(),
            exclude: Vec::new(),
            health: None,
            run_in: String::new(),
            workspace: String::new(),
            starts_another: false,
            workers: Vec::new(),
            lines: BTreeMap::new(),
            process: String::new(),
            decisions: Vec::new(),
        }
    }

    /// Says why it is this language, and this build system.
    pub fn known_by(mut self, rule: impl Into<Rule>, place: Evidence) -> Self {
        let rule = rule.into();
        self.known_as(rule.clone(), rule, place);
        self
    }

    /// The same with a rule for each.
    pub fn known_as(&mut self, language: impl Into<Rule>, tool: impl Into<Rule>, place: Evidence) {
        self.decide(What::Language, self.id, language, [place.clone()]);
        self.decide(What::BuildSystem, self.tool, tool, [place]);
    }

    /// Writes a decision down.
    pub fn decide(
        &mut self,
        what: What,
        value: impl Into<String>,
        rule: impl Into<Rule>,
        evidence: impl IntoIterator<Item = Evidence>,
    ) {
        self.decisions.push(Decision::new(what, value, rule, evidence));
    }

    /// Sets a variable of the names of images and packages.
    pub fn set(&mut self, name: &'static str, value: impl ToString) {
        self.vars.insert(name, value.to_string());
    }

    /// Takes the version that was decided, as `{v}`.
    pub fn version(&mut self, (version, decision): (impl ToString, Decision)) {
        self.set("v", version);
        self.decisions.push(decision);
    }

    /// The framework, and why; the service is one of a framework from now on.
    pub fn framework(
        &mut self,
        id: &'static str,
        rule: impl Into<Rule>,
        evidence: impl IntoIterator<Item = Evidence>,
    ) {
        self.framework = Some(id);
        self.weight = self.weight.max(Weight::Framework);
        self.decide(What::Framework, id, rule, evidence);
    }

    /// Installs with commands that see only `files`; where there are none, before everything else that sees everything.
    pub fn install(&mut self, files: Vec<String>, commands: impl IntoIterator<Item = Step>) {
        let mut files: Vec<String> = files.iter().map(|file| literal(file)).collect();
        files.sort();
        files.dedup();
        match files.is_empty() {
            true => drop(self.steps.splice(0..0, commands)),
            false => self.layer(files, commands.into_iter().collect()),
        }
    }

    /// The same with patterns, in their order.
    pub fn layer(&mut self, files: Vec<String>, steps: Vec<Step>) {
        if !files.is_empty() && !steps.is_empty() {
            self.layers.push(Layer { files, steps });
        }
    }

    /// Writes a small file into the image, such as the settings of a server.
    pub fn write(&mut self, path: &str, content: impl Into<String>) {
        let (path, content) = (path.to_owned(), content.into());
        self.files.push(WrittenFile { path, content, is_for_build: false });
    }

    /// Writes a small file that steps of the build read.
    pub fn write_for_build(&mut self, path: &str, content: impl Into<String>) {
        let (path, content) = (path.to_owned(), content.into());
        self.files.push(WrittenFile { path, content, is_for_build: true });
    }

    /// Builds with a command.
    pub fn build(&mut self, dir: &str, command: impl Into<String>) {
        self.steps.push(Step::new(Kind::Build, dir, command));
    }

    /// Takes something into the image; a path that is there already is not taken twice.
    pub fn take(&mut self, from: &str, to: &str) {
        let take = Take { from: from.to_owned(), to: to.to_owned() };
        if !self.takes.contains(&take) {
            self.takes.push(take);
        }
    }

    /// Takes the program that the build leaves as `name` in [`OUT`], and gives the path it has in the image.
    pub fn program(&mut self, name: &str) -> String {
        self.take(&format!("{OUT}/{name}"), name);
        self.language.in_home(name)
    }

    /// Takes a folder as the home of a program that writes beside itself: everybody may write in it, but for `fixed` below.
    pub fn take_writable(&mut self, dir: &str, fixed: &str, place: Evidence) {
        let (from, to) = (quote(dir), format!("{OUT}{}", self.language.in_home("")));
        let opens = match fixed {
            "" => format!("chmod -R a+rwX {to}"),
            _ => format!("find {to} -path {to}/{fixed} -prune -o -exec chmod a+rwX {{}} +"),
        };
        // Only a folder that is copied with what holds it keeps its mode.
        let command = format!("mkdir -p {OUT} && cp -a {from} {to} && {opens}");
        self.steps.push(Step::new(Kind::Clean, ".", command));
        self.take(OUT, "/");
        self.decide(What::Artifacts, dir, Fixed::ProgramWritesBeside, [place]);
    }

    /// Makes absolute folders of the image that everybody may write in, for data that outlives the program.
    pub fn folders_of_data<'n>(
        &mut self,
        folders: impl Iterator<Item = &'n str>,
        rule: impl Into<Rule>,
        place: Evidence,
    ) {
        let folders: Vec<&str> = folders.collect();
        let list: Vec<String> =
            folders.iter().map(|folder| quote(&format!("{DATA}{folder}"))).collect();
        let list = list.join(" ");
        // Only a folder that is copied with what holds it keeps its mode.
        let command = format!("mkdir -p {list} && chmod a+rwx {list}");
        self.steps.push(Step::new(Kind::Clean, ".", command));
        self.take(DATA, "/");
        self.decide(What::Artifacts, folders.join(" "), rule, [place]);
    }

    /// Takes the folders and files of the row that are there and that `is_read` tells of.
    pub fn take_read(
        &mut self,
        project: &Project<'_>,
        is_read: impl Fn(&str) -> Option<Vec<Evidence>>,
    ) {
        let dir = self.dir.clone();
        self.take_read_of(Folder::new(project, &dir), is_read);
    }

    /// Takes those of a folder that need not be the service's own.
    pub fn take_read_of(
        &mut self,
        at: Folder<'_>,
        is_read: impl Fn(&str) -> Option<Vec<Evidence>>,
    ) {
        for name in self.language.reads {
            let path = at.path(name);
            let is_there = at.has(name) || at.has_dir(name);
            if let Some(seen) = is_there.then(|| is_read(name)).flatten() {
                self.decide(What::Artifacts, path.clone(), Fixed::ProgramReadsIt, seen);
                self.take(&path, name);
            }
        }
    }

    /// Starts a program, and why.
    pub fn start<W: Into<String>>(
        &mut self,
        command: impl IntoIterator<Item = W>,
        rule: impl Into<Rule>,
        evidence: impl IntoIterator<Item = Evidence>,
    ) {
        let command: Vec<String> = command.into_iter().map(Into::into).collect();
        self.decisions.retain(|decision| decision.what != What::StartCommand);
        self.decide(What::StartCommand, command.join(" "), rule, evidence);
        let port = self.take_port();
        self.serves = Serves::Process(Process { command, port });
    }

    /// Runs a line for a shell before the program, each time it starts.
    pub fn start_after(&mut self, line: &str, why: Fixed, place: Evidence) {
        let Serves::Process(process) = &mut self.serves else { return };
        let program = match &process.command[..] {
            [shell, option, line] if shell == "/bin/sh" && option == "-c" => line.clone(),
            words => {
                let words: Vec<String> = words.iter().map(|word| quote(word)).collect();
                format!("exec {}", words.join(" "))
            }
        };
        process.command =
            ["/bin/sh", "-c", &format!("{line} && {program}")].map(str::to_owned).to_vec();
        let command = process.command.join(" ");
        let decision = self.decisions.iter_mut().find(|known| known.what == What::StartCommand);
        if let Some(decision) = decision {
            decision.value = command;
            decision.rule = decision.rule.clone().and(why);
            decision.evidence.push(place);
        }
    }

    /// Starts what a line for a shell says.
    pub fn start_line(
        &mut self,
        line: &str,
        rule: impl Into<Rule>,
        evidence: impl IntoIterator<Item = Evidence>,
    ) {
        self.start(exec_form(line), rule, evidence);
    }

    /// Serves the files of a folder that the build makes.
    pub fn files(
        &mut self,
        folder: String,
        missing: Missing,
        rule: impl Into<Rule>,
        place: Option<Evidence>,
    ) {
        let rule = rule.into();
        self.serves = Serves::Files(Files {
            folder,
            missing,
            base: String::new(),
            is_as_is: false,
            rule,
            place,
        });
    }

    /// Starts nothing, and why.
    pub fn nothing(
        mut self,
        why: impl Into<Rule>,
        evidence: impl IntoIterator<Item = Evidence>,
    ) -> Self {
        self.serves = Serves::Nothing(why.into(), evidence.into_iter().collect());
        self
    }

    /// The port of the process.
    pub fn port(&mut self, port: impl Into<Option<Port>>) {
        if let (Serves::Process(process), Some(port)) = (&mut self.serves, port.into()) {
            process.port = Some(port);
        }
    }

    /// The number of the port.
    pub fn port_number(&self) -> Option<u16> {
        match &self.serves {
            Serves::Process(process) => process.port.as_ref().map(|port| port.number),
            _ => None,
        }
    }

    fn take_port(&mut self) -> Option<Port> {
        match &mut self.serves {
            Serves::Process(process) => process.port.take(),
            _ => None,
        }
    }

    /// The path that tells whether the service is well, and why.
    pub fn health(
        &mut self,
        path: impl Into<String>,
        rule: impl Into<Rule>,
        evidence: impl IntoIterator<Item = Evidence>,
    ) {
        let path = path.into();
        self.decide(What::Health, path.clone(), rule, evidence);
        self.health = Some(path);
    }

    /// Environment of the program.
    pub fn env(&mut self, name: &str, value: impl Into<String>) {
        self.env.insert(name.to_owned(), value.into());
    }

    /// Environment of the steps.
    pub fn build_env(&mut self, name: &str, value: impl Into<String>) {
        self.build_env.insert(name.to_owned(), value.into());
    }

    /// A credential that the steps are handed, and where it is named.
    pub fn secret(&mut self, secret: Secret, place: Evidence) {
        if let Some(known) = self.secrets.iter_mut().find(|known| known.target == secret.target) {
            known.required |= secret.required;
            return;
        }
        let rule = match secret.required {
            true => Fixed::RegistryAsks,
            false => Fixed::RegistryMayAsk,
        };
        self.decide(What::Secret, &*secret.id, rule, [place]);
        self.secrets.push(secret);
    }

    /// Packages of Debian, for the build and for the image.
    pub fn packages(&mut self, build: &[&str], run: &[&str]) {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        self.needs.push(Need::Packages { build: owned(build), run: owned(run), in_wolfi: false });
    }

    /// A library or tool, and where it is asked for.
    pub fn library(&mut self, library: &'static Library, place: Evidence) {
        if !library.debian.concat().is_empty() {
            self.needs.push(Need::Library(library, place));
        }
    }

    /// Packages that Wolfi and Debian call alike.
    pub fn packages_everywhere(&mut self, build: &[&str], run: &[&str]) {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        self.needs.push(Need::Packages { build: owned(build), run: owned(run), in_wolfi: true });
    }
}
