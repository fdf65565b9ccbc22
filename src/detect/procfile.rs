//! `Procfile`: what runs, as Heroku reads it.

use crate::detect::{Evidence, Project, paths::join, shell};

/// A process type of a `Procfile`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// `web`, `worker`, …
    pub name: String,
    /// The command as it was written.
    pub line: String,
    /// The same in exec form.
    pub command: Vec<String>,
    /// Where it stands.
    pub evidence: Evidence,
}

/// The process types of a folder's `Procfile`, in order of the file.
///
/// A line is `name: command`; names are letters, digits, `-` and `_`. Other lines are not for us.
pub fn processes(project: &Project<'_>, dir: &str) -> Vec<Process> {
    let path = join(dir, "Procfile");
    let Some(text) = project.tree.read(&path) else { return Vec::new() };
    let process = |(at, line): (usize, &str)| {
        let (name, command) = line.split_once(':')?;
        let (name, command) = (name.trim(), command.trim());
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let is_process = !name.is_empty() && name.chars().all(fits) && !command.is_empty();
        is_process.then(|| Process {
            name: name.to_owned(),
            line: command.to_owned(),
            command: shell::exec_form(command),
            evidence: Evidence::line(&path, Some(at)),
        })
    };
    text.lines().filter_map(process).collect()
}

/// The process a container of this folder should run: `web`, or the only one but `release`.
pub fn procfile(project: &Project<'_>, dir: &str) -> Option<Process> {
    let mut all = processes(project, dir);
    if let Some(at) = all.iter().position(|process| process.name == "web") {
        return Some(all.swap_remove(at));
    }
    all.retain(|process| process.name != "release");
    if all.len() == 1 { all.pop() } else { None }
}
