//! The texts of a spec that become part of the graph, each with its field: what a provenance of mode `max` tells.

use std::borrow::Cow;

use super::{File, UniversalBuild};

/// A text of the spec.
#[derive(Debug, PartialEq, Eq)]
pub struct Text<'a> {
    /// `build.commands[1]`.
    pub field: String,
    /// The variable it is given to; `""` for commands and files.
    pub name: &'a str,
    /// Content of a file, as far as it is UTF-8.
    pub text: Cow<'a, str>,
}

impl UniversalBuild {
    /// Variables, commands and files of the build, and files of the runtime.
    pub fn graph_texts(&self) -> impl Iterator<Item = Text<'_>> {
        let build = &self.build;
        let env = build.env.iter().map(|(name, value)| Text {
            field: format!("build.env.{name}"),
            name,
            text: Cow::Borrowed(value),
        });
        let steps = build.dependencies.iter().enumerate().flat_map(|(at, step)| {
            commands(format!("build.dependencies[{at}].commands"), &step.commands)
        });
        env.chain(steps)
            .chain(commands("build.commands".to_owned(), &build.commands))
            .chain(files("build.files", &build.files))
            .chain(files("runtime.files", &self.runtime.files))
    }
}

fn commands(field: String, commands: &[String]) -> impl Iterator<Item = Text<'_>> {
    commands.iter().enumerate().map(move |(at, command)| Text {
        field: format!("{field}[{at}]"),
        name: "",
        text: Cow::Borrowed(command),
    })
}

fn files<'a>(field: &'a str, files: &'a [File]) -> impl Iterator<Item = Text<'a>> {
    files.iter().enumerate().map(move |(at, file)| Text {
        field: format!("{field}[{at}].content"),
        name: "",
        text: String::from_utf8_lossy(&file.content),
    })
}
