//! Nim: a `.nimble` file.

use crate::detect::prelude::*;

static NIM: Language = Language {
    id: "nim",
    tool: "nimble",
    default: "2.2.4",
    version_files: &[".nim-version"],
    version_tools: &["nim"],
    sources: &["nim"],
    listens: &["Port("],
    reads: &["public", "templates"],
    images: Images { official: NIMLANG, wolfi: NIMLANG, debian: NIMLANG },
    ..NOTHING
};

const NIMLANG: Pair =
    Pair::of(stage("nimlang/nim:{v}", &[]), stage(DEBIAN, &["ca-certificates", "libssl3"]))
        .user(NOBODY);

static FRAMEWORKS: &[Framework] =
    &[framework("jester", &["jester"], 5000), framework("prologue", &["prologue"], 8080)];

/// All services in Nim.
pub(super) fn find(project: &Project<'_>) -> Vec<Facts> {
    let packages = project.tree.dirs().filter_map(|(dir, entries)| {
        Some((Folder::new(project, dir), entries.ending(".nimble").next()?))
    });
    packages.filter_map(|(at, manifest)| service(at, manifest)).collect()
}

fn service(at: Folder<'_>, manifest: &str) -> Option<Facts> {
    let text = at.read(manifest)?;
    let here = |line| at.place(manifest, line);
    let rule = Rule::Named(manifest.to_owned());
    let mut facts = Facts::new(&NIM, at.dir).known_by(rule, here(None));
    let parse = |text: &str| Some(Version::parse(text)?.to_string());
    facts.version(pins::choose(at.pins(&NIM), parse, NIM.default));
    let fetch = Step::new(Kind::Install, at.dir, "nimble install --depsOnly --accept");
    facts.install(at.those(&[manifest, "nimble.lock"]), [fetch]);
    let program = manifest.trim_end_matches(".nimble");
    facts.build(at.dir, format!("nim compile -d:release --out:{OUT}/{program} src/{program}"));
    facts.name = program.to_owned();
    if text.line_of("bin ").is_none() {
        return Some(facts.nothing(Fixed::NoProgram, [here(None)]));
    }
    let command = facts.program(program);
    facts.start([command], Fixed::BuiltProgram, [here(text.line_of("bin "))]);
    facts.weight = Weight::Starts;
    let known = framework::find(FRAMEWORKS, |name| Some(here(Some(text.line_of(name)?))));
    facts.of_framework(known.as_ref(), Fixed::ADependency);
    let default = known.map(|known| (known.framework.port, Fixed::FrameworkDefault.into()));
    let sources = at.sources(NIM.sources, &|_| false);
    facts.take_read(at.project, |name| Some(vec![source::names_path(&sources, name)?]));
    facts.port(source::port(&sources, NIM.listens, default));
    Some(facts)
}
