//! What was typed of a build → what the engine is asked for.

use std::collections::BTreeMap;

use crate::{
    attestation::Provenance,
    build::{Attestations, BuildRequest, Sbom},
    cli::{
        args::{BuildArgs, SbomFormat},
        env::Environment,
        error::{output_error, project_error},
        project::{self, credentials, has_secrets},
    },
    error::{Error, Kind},
    output::{self, Dest, Output},
    spec::reference::{normalize, tag_reference},
};

/// Reads spec and context, and looks whether all that shall be written can be.
pub(crate) fn resolve(args: &BuildArgs, env: &Environment) -> Result<BuildRequest, Error> {
    let usage = |e| Error::from_error(Kind::Usage, e);
    let output = args.output.as_deref().map(Output::parse).transpose();
    let output = match (output.map_err(usage)?, args.push) {
        (Some(output), true) => output.pushed().map_err(usage)?,
        (Some(output), false) => output,
        (None, true) => Output::Image { attrs: BTreeMap::new() }.pushed().map_err(usage)?,
        (None, false) => Output::default(),
    };
    let files = [&args.metadata_file, &args.iidfile].into_iter().flatten().cloned().map(Dest::File);
    for dest in output.dest().cloned().into_iter().chain(files) {
        output::check_dest(&dest).map_err(output_error)?;
    }
    if let Some(dest) = output.folder() {
        output::check_folder(dest).map_err(output_error)?;
    }
    if !output.has_image() && args.iidfile.is_some() {
        let name = output.exporter().unwrap_or("none");
        let text = format!("`--iidfile` needs an image, `type={name}` makes none");
        return Err(Error::new(Kind::Usage, text));
    }
    let mut project = project::load(&args.project, env)?;
    has_secrets(&project)?;
    let tags = tags(&args.tag, project.name())?;
    let attestations = attestations(args)?;
    if attestations.provenance.is_some() && output != Output::None {
        project.refuse_secrets().map_err(project_error)?;
        project.look_for_changes();
    }
    Ok(BuildRequest {
        project,
        output,
        tags,
        attestations,
        keeps_record: args.record,
        cache_dir: env.cache_dir.clone(),
        data_dir: env.data_dir.clone(),
        credentials: credentials(env),
    })
}

/// What the flags ask to be attested.
pub(crate) fn attestations(args: &BuildArgs) -> Result<Attestations, Error> {
    let usage = |text: String| Error::new(Kind::Usage, text);
    let sbom = match args.sbom.as_deref() {
        _ if args.no_sbom => Sbom::No,
        None | Some("true") => Sbom::Own,
        Some(text) => match text.strip_prefix("generator=") {
            Some(image) if !image.is_empty() && !image.contains(',') => {
                Sbom::Generator(image.to_owned())
            }
            _ => {
                return Err(usage(format!("`--sbom {text}` is not understood")).hint(
                    "without the flag peelbox makes the SBOM itself; `--sbom=generator=IMAGE` runs a scanner, `--no-sbom` makes none",
                ));
            }
        },
    };
    let provenance = match &args.provenance {
        _ if args.no_provenance => None,
        None => Some(Provenance::default()),
        Some(text) => Some(text.parse().map_err(|e| Error::from_error(Kind::Usage, e))?),
    };
    let is_cyclonedx = args.sbom_format == Some(SbomFormat::Cyclonedx);
    if is_cyclonedx && sbom != Sbom::Own {
        return Err(usage(
            "`--sbom-format cyclonedx` needs the SBOM that peelbox makes".to_owned(),
        ));
    }
    if args.require_attestations && sbom == Sbom::No && provenance.is_none() {
        return Err(usage("`--require-attestations` needs an SBOM or a provenance: drop `--no-sbom` or `--no-provenance`"
                .to_owned()));
    }
    Ok(Attestations {
        sbom,
        is_cyclonedx,
        provenance,
        dir: args.attest_dir.clone(),
        is_inside_required: args.require_attestations,
        is_returned: false,
    })
}

/// Normalised references; the service's name when none was given.
pub(crate) fn tags(typed: &[String], name: &str) -> Result<Vec<String>, Error> {
    if typed.is_empty() {
        return normalize(name).map(|tag| vec![tag]).map_err(|e| {
            Error::new(Kind::Usage, format!("`{name}` cannot name the image: {e}"))
                .hint("name it with `--tag app:latest`")
        });
    }
    let mut tags: Vec<String> = Vec::with_capacity(typed.len());
    for text in typed {
        let tag = tag_reference(text).map_err(|e| {
            let mut error = Error::new(Kind::Usage, format!("`--tag {text}`: {e}"));
            error.hints.extend(e.help());
            error
        })?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(tags)
}
