//! What was typed of a project → a project that is open: spec, context, secrets.

use std::{fs, io::Read as _, path::Path};

use crate::{
    build::{Credentials, Project, ProjectOptions},
    cli::{
        args::ProjectArgs,
        env::Environment,
        error::{plan_error, project_error},
        note, secrets,
    },
    digest::sha256,
    error::{Error, Kind},
    plan::{self, Platform},
    spec,
};

/// Reads what was typed, before any daemon is asked.
pub(crate) fn load(args: &ProjectArgs, env: &Environment) -> Result<Project, Error> {
    let (file, spec_digest) = read_spec(&args.spec)?;
    let service =
        file.select(args.service.as_deref()).map_err(|e| Error::from_error(Kind::Usage, e))?;
    let mut values = secrets::load(&args.secret, env)?;
    secrets::from_environment(&service.spec.build.secrets, &mut values, env);
    let entrypoint = args.entrypoint.as_deref().map(plan::parse_entrypoint).transpose();
    Project::open(ProjectOptions {
        spec: service.spec.clone(),
        spec_digest,
        context: args.context.clone(),
        platform: args.platform.as_deref().map(parse_platform).transpose()?,
        entrypoint: entrypoint.map_err(|e| plan_error(&e))?,
        no_cache: args.no_cache,
        secrets: values,
        epoch: env.source_date_epoch.as_deref().map(parse_epoch).transpose()?,
    })
    .map_err(project_error)
}

pub(crate) fn credentials(env: &Environment) -> Credentials {
    Credentials { docker_config: env.docker_config.clone(), search_path: env.path.clone() }
}

/// The spec, and the digest of its file.
fn read_spec(path: &Path) -> Result<(spec::SpecFile, String), Error> {
    let name = path.display().to_string();
    let unreadable = |e: std::io::Error| {
        let error = Error::new(Kind::Usage, format!("cannot read the spec `{name}`")).because(e);
        error.hint(
            "`--spec` names a UniversalBuild file; its format: docs/reference/universalbuild.md",
        )
    };
    let mut text = Vec::new();
    // One byte more than allowed tells the parser that there is more.
    let limit = spec::SPEC_BYTES_MAX as u64 + 1;
    if name == "-" {
        std::io::stdin().lock().take(limit).read_to_end(&mut text).map_err(unreadable)?;
    } else {
        let file = fs::File::open(path).map_err(unreadable)?;
        file.take(limit).read_to_end(&mut text).map_err(unreadable)?;
    }
    let file = spec::parse(&text, &name).map_err(|e| Error::from_error(Kind::Usage, e))?;
    Ok((file, sha256(&text)))
}

fn parse_platform(text: &str) -> Result<Platform, Error> {
    if text.contains(',') {
        return Err(Error::new(
            Kind::Usage,
            format!("`--platform {text}` names several platforms"),
        )
        .hint("build them one by one; images for several platforms come with a later version"));
    }
    text.parse().map_err(|e| Error::new(Kind::Usage, format!("`--platform`: {e}")))
}

fn parse_epoch(text: &str) -> Result<i64, Error> {
    text.parse().ok().filter(|epoch| *epoch >= 0).ok_or_else(|| {
        Error::new(Kind::Usage, format!("SOURCE_DATE_EPOCH is `{text}`, not a number of seconds"))
            .hint("SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)")
    })
}

/// Refuses a build without the secrets that it needs, and says what it goes on without.
pub(crate) fn has_secrets(project: &Project) -> Result<(), Error> {
    let without = project.has_secrets().map_err(project_error)?;
    if !without.is_empty() {
        note(&format!("the build goes on without the secrets `{}`", without.join("`, `")));
    }
    Ok(())
}
