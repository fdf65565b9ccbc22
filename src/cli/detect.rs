//! `peelbox detect`: a source tree → its spec. No daemon, no network; nothing of the project is executed.

use std::{collections::BTreeMap, io::Write as _, path::Path};

use crate::{
    cli::{
        args::{Bases, DetectArgs, ExplainFormat, SetArgs},
        env::{Environment, SetVariables},
        print_stdout, stale,
    },
    detect::{
        self, DetectError, Detected, Family, Service, emit, explain,
        settings::{ServiceSettings, Settings},
        shell,
    },
    error::{Error, Kind},
    output, spec,
};

/// The spec goes to standard output, or to the file of `--output`; notes go to standard error.
pub(crate) fn run(args: &DetectArgs, env: &Environment) -> Result<(), Error> {
    if let Some(path) = &args.output {
        must_not_be_lost(path, args.force)?;
    }
    let set = set(&args.set, &env.set)?;
    let settings = match &args.config {
        Some(file) => Settings::read(file, &file.display().to_string()),
        None => Settings::load(&args.dir),
    };
    let mut detected = settings
        .map_err(DetectError::Settings)
        .and_then(|settings| detect::detect_with(&args.dir, family(args.base), &settings))
        .map_err(|e| failed(&args.dir, e))?;
    for note in &detected.notes {
        // Without a standard error there is nobody to tell.
        drop(writeln!(std::io::stderr(), "note: {note}"));
    }
    if detected.services.is_empty() {
        return Err(nothing(&args.dir));
    }
    if let Some(name) = &args.service {
        only(&mut detected, name)?;
    }
    if set != ServiceSettings::default() {
        set_by_command_line(&mut detected.services, &set)?;
    }
    match without_start(&detected.services) {
        Some(message) if args.strict => {
            return Err(Error::new(Kind::Usage, message).hint(SAY_START));
        }
        Some(message) => {
            drop(writeln!(std::io::stderr(), "warning: {message}\nhint: {SAY_START}"));
        }
        None => {}
    }
    let specs: Vec<_> = detected.services.iter().map(|service| service.spec.clone()).collect();
    if let Some(file) = &args.check {
        let file = file.clone().unwrap_or_else(|| args.dir.join("universalbuild.json"));
        return stale::check(&file, &specs);
    }
    let text = emit::emit(&specs);
    if let Some(path) = &args.output {
        output::write_atomically(path, text.as_bytes())
            .map_err(|error| Error::from_error(Kind::Output, error))?;
    }
    match (args.explain, args.format) {
        (true, ExplainFormat::Text) => print_stdout(explain::text(&detected).as_bytes()),
        (true, ExplainFormat::Json) => {
            print_stdout(format!("{:#}\n", explain::json(&detected)).as_bytes())
        }
        (false, _) if args.output.is_some() => print_stdout(told(args, &detected).as_bytes()),
        (false, _) => print_stdout(text.as_bytes()),
    }
}

/// What options and variables set for one service; an option wins.
fn set(args: &SetArgs, env: &SetVariables) -> Result<ServiceSettings, Error> {
    let commands = |typed: &[String], variable: &Option<String>| match typed {
        [] => variable.clone().map(|line| vec![line]),
        typed => Some(typed.to_vec()),
    };
    let packages = |typed: &[String], variable: &Option<String>| {
        let given = if typed.is_empty() { variable.as_slice() } else { typed };
        let names = given.iter().flat_map(|names| names.split([',', ' ']));
        names.filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let usage = |text: String| Error::new(Kind::Usage, text);
    let number = |text: &String| {
        let number = text.parse().ok().filter(|port: &u16| *port > 0);
        number
            .ok_or_else(|| usage(format!("`PEELBOX_PORT={text}`: expected a port from 1 to 65535")))
    };
    let lines = env.env.iter().flat_map(|text| text.lines()).filter(|line| !line.trim().is_empty());
    let mut variables = BTreeMap::new();
    for line in lines.chain(args.env.iter().map(String::as_str)) {
        let pair = line.split_once('=').filter(|(name, _)| !name.trim().is_empty());
        let (name, value) = pair.ok_or_else(|| {
            usage(format!("`--env {line}`: expected `NAME=VALUE`"))
                .hint("a value that nobody may see belongs into the environment of the container")
        })?;
        variables.insert(name.trim().to_owned(), value.to_owned());
    }
    let start = args.start_cmd.as_ref().or(env.start_cmd.as_ref());
    Ok(ServiceSettings {
        start: start.map(|line| shell::exec_form(line)),
        build: commands(&args.build_cmd, &env.build_cmd),
        install: commands(&args.install_cmd, &env.install_cmd),
        env: variables,
        runtime_packages: packages(&args.packages, &env.packages),
        build_packages: packages(&args.build_packages, &env.build_packages),
        port: args
            .port
            .map_or_else(|| env.port.as_ref().map(number).transpose(), |port| Ok(Some(port)))?,
        ..ServiceSettings::default()
    })
}

fn set_by_command_line(services: &mut [Service], set: &ServiceSettings) -> Result<(), Error> {
    let [service] = services else {
        let names =
            services.iter().filter_map(|service| service.spec.metadata.project_name.clone());
        let names: Vec<String> = names.collect();
        let text = "commands, packages, a port and variables are set for one service, and there are several";
        return Err(Error::new(Kind::Usage, text)
            .hint(format!("`--service NAME` takes one of {}", names.join(", ")))
            .hint("peelbox.toml has an entry for each (`[[service]]`)"));
    };
    detect::by_command_line(service, set).map_err(|error| {
        Error::new(Kind::Usage, "what the command line sets makes no spec").because(error)
    })
}

fn family(bases: Bases) -> Family {
    match bases {
        Bases::Official => Family::Official,
        Bases::Wolfi => Family::Wolfi,
        Bases::Debian => Family::Debian,
    }
}

/// A spec may have been edited by hand.
fn must_not_be_lost(path: &Path, force: bool) -> Result<(), Error> {
    if force || path.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(Error::new(Kind::Usage, format!("`{}` is there already", path.display()))
        .hint("`--force` overwrites it"))
}

fn failed(dir: &Path, error: DetectError) -> Error {
    let hint = match &error {
        DetectError::Walk(detect::WalkError::Root(_)) => {
            Some("name the folder with the source tree: `peelbox detect DIR`".to_owned())
        }
        DetectError::Walk(detect::WalkError::TooLarge) => Some(
            "name a folder in it, or list folders to leave out as `ignore` in peelbox.toml"
                .to_owned(),
        ),
        DetectError::Settings(error) => error.help.clone(),
    };
    let message = match &error {
        DetectError::Walk(_) => format!("`{}`: {error}", dir.display()),
        DetectError::Settings(_) => error.to_string(),
    };
    let told = Error::new(Kind::Usage, message);
    let told = match error {
        DetectError::Walk(detect::WalkError::Root(source)) => told.because(source),
        _ => told,
    };
    match hint {
        Some(hint) => told.hint(hint),
        None => told,
    }
}

fn nothing(dir: &Path) -> Error {
    let looked_for: Vec<&str> = detect::ecosystems::ALL.iter().map(|e| e.looks_for).collect();
    let message = format!("no service was found in `{}`", dir.display());
    Error::new(Kind::Usage, message)
        .hint(format!("looked for {}", looked_for.join(", ")))
        .hint("folders such as `node_modules`, `vendor` and `target` are never searched")
        .hint("a spec can also be written by hand: see docs/reference/universalbuild.md")
}

fn only(detected: &mut Detected, name: &str) -> Result<(), Error> {
    let name_of =
        |service: &Service| service.spec.metadata.project_name.clone().unwrap_or_default();
    let names: Vec<String> = detected.services.iter().map(name_of).collect();
    if !names.iter().any(|known| known == name) {
        let error = Error::new(Kind::Usage, format!("no service `{name}` was found"));
        let error = match spec::nearest(name, names.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error,
        };
        return Err(error.hint(format!("found: {}", names.join(", "))));
    }
    detected.services.retain(|service| name_of(service) == name);
    Ok(())
}

/// What was found, and how it is built.
fn told(args: &DetectArgs, detected: &Detected) -> String {
    let services = &detected.services;
    let mut command = "peelbox build".to_owned();
    let paths = [
        ("--spec", args.output.as_deref(), "universalbuild.json"),
        ("--context", Some(&*args.dir), "."),
    ];
    for (flag, value, default) in paths {
        if let Some(value) = value.filter(|value| *value != Path::new(default)) {
            command += &format!(" {flag} {}", shell::quote(&value.to_string_lossy()));
        }
    }
    let next = match services.as_slice() {
        [only] => {
            let name = only.spec.metadata.project_name.as_deref().unwrap_or("app");
            format!("next: {command} --tag {name}:latest")
        }
        _ => format!("next, for each: {command} --service NAME --tag NAME:latest"),
    };
    format!("{}{next}\n", explain::summary(services))
}

/// Which services nobody knows how to start.
fn without_start(services: &[Service]) -> Option<String> {
    let without = services.iter().filter(|service| service.spec.runtime.command.is_empty());
    let dirs: Vec<&str> = without.map(|service| service.dir.as_str()).collect();
    let dirs = Some(dirs).filter(|dirs| !dirs.is_empty())?.join("`, `");
    Some(format!("no start command was found for the service in `{dirs}`"))
}

const SAY_START: &str =
    "say it in peelbox.toml (`[[service]]`, `start = \"…\"`) or in a Procfile (`web: …`)";
