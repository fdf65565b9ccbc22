//! `peelbox sbom`: the SBOM of an image file, or of a build that makes nothing else.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use crate::{
    attestation::SPDX_PREDICATE,
    build::{Attestation, Attestations, Build, BuildRequest, Stop},
    cli::{
        args::{ProjectArgs, SbomArgs, SbomFormat},
        env::Environment,
        error::{build_error, output_error, system},
        event_loop::{End, Interrupt, follow, progress, watch_signals},
        finish::{show_failure, totals},
        inspect::{damaged, image_error},
        note,
        places::reach,
        print_stdout,
        project::{self, credentials, has_secrets},
        request::tags,
        title,
    },
    error::{Error, Kind},
    image_file::{Depth, Facts, ImageFile, Manifest, Report, predicate},
    output::{Dest, Output, check_dest, write_atomically},
    plan::Platform,
    progress::{Outcome, Summary},
    sbom::{self, Origin, Subject},
};

/// Prints or writes the document.
pub(crate) fn run(args: SbomArgs, env: &Environment) -> Result<(), Error> {
    let output = args.output.clone();
    if let Some(path) = &output {
        check_dest(&Dest::File(path.clone())).map_err(output_error)?;
    }
    let document = match args.file.clone() {
        Some(file) => of_file(&args, &file, env)?,
        None => of_build(args, env)?,
    };
    match output {
        Some(path) => write_atomically(&path, document.as_bytes()).map_err(output_error),
        None => print_stdout(document.as_bytes()),
    }
}

fn of_file(args: &SbomArgs, path: &Path, env: &Environment) -> Result<String, Error> {
    let wanted = args.platform.as_deref().map(str::parse::<Platform>).transpose();
    let wanted = wanted.map_err(|e| Error::new(Kind::Usage, format!("`--platform`: {e}")))?;
    let file = ImageFile::open(path).map_err(image_error)?;
    let report = file.inspect(Depth::Descriptions).map_err(image_error)?;
    let name = path.display().to_string();
    if !report.faults.is_empty() {
        return Err(damaged(&name, &report.faults)
            .hint(format!("`peelbox inspect {name}` shows all that is there")));
    }
    let (image, manifest) = choose(&name, &report, wanted.as_ref())?;
    if args.format == SbomFormat::Spdx && !args.scan {
        if let Some(document) = recorded(&file, &report, manifest)? {
            return Ok(document);
        }
        note(&format!("`{name}` has no SBOM of {}: reading its layers", manifest.platform));
    }
    let files = file.gather(manifest, &env.temp_dir).map_err(image_error)?;
    let catalogue = sbom::catalogue(&files, Origin::Image);
    for problem in &catalogue.problems {
        note(&format!("packages may be missing: `{}` {}", problem.path, problem.why));
    }
    let created = manifest.config.created.as_deref().and_then(|time| time.parse().ok());
    let subject = Subject {
        name: image.unwrap_or_default(),
        digest: Some(manifest.digest.as_deref().unwrap_or(&manifest.config_digest)),
        platform: &manifest.platform,
        created_seconds: created.map(jiff::Timestamp::as_second).unwrap_or_default(),
    };
    let document = match args.format {
        SbomFormat::Spdx => sbom::spdx::document(&catalogue, &subject),
        SbomFormat::Cyclonedx => sbom::cyclonedx::document(&catalogue, &subject),
    };
    Ok(format!("{document:#}\n"))
}

/// The manifest that is meant, and a name of its image.
fn choose<'a>(
    name: &str,
    report: &'a Report,
    wanted: Option<&Platform>,
) -> Result<(Option<&'a str>, &'a Manifest), Error> {
    let all: Vec<_> = report
        .images
        .iter()
        .flat_map(|image| {
            let name = image.names.first().map(String::as_str);
            image.manifests.iter().map(move |manifest| (name, manifest))
        })
        .collect();
    let fits = |manifest: &Manifest| wanted.is_none_or(|wanted| is_for(manifest, wanted));
    let fitting: Vec<_> = all.iter().filter(|(_, manifest)| fits(manifest)).collect();
    let listed = || {
        let one = |(name, manifest): &(Option<&str>, &Manifest)| match name {
            Some(name) => format!("{name} ({})", manifest.platform),
            None => manifest.platform.clone(),
        };
        all.iter().take(SHOWN_MAX).map(one).collect::<Vec<_>>().join(", ")
    };
    match (fitting.as_slice(), wanted) {
        ([one], _) => Ok(**one),
        ([], Some(wanted)) => {
            Err(Error::new(Kind::Usage, format!("`{name}` has no image for {wanted}"))
                .hint(format!("it has {}", listed())))
        }
        (_, None) if report.images.len() == 1 => {
            Err(Error::new(Kind::Usage, format!("`{name}` has images for several platforms"))
                .hint(format!("name one with `--platform`: {}", listed())))
        }
        _ => Err(Error::new(Kind::Usage, format!("`{name}` has several images"))
            .hint(format!("it has {}; give a file with one of them", listed()))),
    }
}

fn is_for(manifest: &Manifest, wanted: &Platform) -> bool {
    let text = manifest.platform.as_str();
    let whole = text.parse().is_ok_and(|platform: Platform| platform == *wanted);
    // Without a variant any will do.
    whole || text.rsplit_once('/').is_some_and(|(rest, _)| rest == wanted.to_string())
}

/// The SPDX document in the image, or next to it.
fn recorded(
    file: &ImageFile,
    report: &Report,
    manifest: &Manifest,
) -> Result<Option<String>, Error> {
    let mut attestations = manifest.attestations.iter();
    let found = attestations.find(|found| found.statement.predicate_type == SPDX_PREDICATE);
    let statement = match found {
        Some(attestation) => Some(file.statement(attestation).map_err(image_error)?),
        // What lies next to an image of several platforms may be about another one.
        None if report.images.iter().map(|image| image.manifests.len()).sum::<usize>() == 1 => {
            let mut beside = report.beside.iter();
            let is_spdx = beside.any(|beside| {
                let statement = &beside.statement;
                statement.predicate_type == SPDX_PREDICATE
                    && matches!(statement.predicate, Facts::Sbom { .. })
            });
            if is_spdx { file.sbom_beside().map_err(image_error)? } else { None }
        }
        None => None,
    };
    statement
        .map(|statement| predicate(&statement))
        .transpose()
        .map_err(|e| Error::new(Kind::Build, "the SBOM cannot be understood").because(e))
}

/// Builds without an output.
fn of_build(args: SbomArgs, env: &Environment) -> Result<String, Error> {
    let started = Instant::now();
    let SbomArgs {
        format,
        platform,
        output,
        spec,
        service,
        context,
        secret,
        progress: shown,
        daemon,
        ..
    } = args;
    let args = ProjectArgs {
        spec: spec.unwrap_or_default(),
        service,
        context,
        platform,
        entrypoint: None,
        no_cache: false,
        secret,
        daemon,
    };
    let project = project::load(&args, env)?;
    has_secrets(&project)?;
    let request = BuildRequest {
        tags: tags(&[], project.name())?,
        project,
        output: Output::None,
        attestations: Attestations::returned(),
        keeps_record: false,
        cache_dir: env.cache_dir.clone(),
        data_dir: None,
        credentials: credentials(env),
    };
    let stop = Stop::default();
    let signals = watch_signals().map_err(|e| system("cannot watch for Ctrl-C", e))?;
    let builder = {
        let interrupt = Interrupt { signals: &signals, cancel: stop.switch() };
        interrupt.during(|| reach(&args.daemon, env, false, stop.switch()))?
    };
    let build = Build::prepare(request, &builder).map_err(|e| build_error(e, &builder))?;
    let progress = progress(shown, env, title(&builder), started);
    let builder = Arc::new(builder);
    let end = follow(build, &builder, progress, &signals, &stop, false, started)?;
    let made = finish(end, builder.describe(), output, started)?;
    let document = match format {
        SbomFormat::Spdx => made.spdx,
        SbomFormat::Cyclonedx => made.cyclonedx,
    };
    let missing = || Error::new(Kind::Internal, "the build made no SBOM");
    let document: serde_json::Value =
        serde_json::from_slice(&document.ok_or_else(missing)?).map_err(|e| missing().because(e))?;
    Ok(format!("{document:#}\n"))
}

/// Shows how the build ended; gives what came of it.
fn finish(
    end: End,
    builder: String,
    output: Option<PathBuf>,
    started: Instant,
) -> Result<Attestation, Error> {
    let End { result, progress, warnings } = end;
    let now = started.elapsed();
    match result {
        Ok(outcome) => {
            let packages = outcome.attestations.packages;
            let summary = Summary {
                outputs: output.iter().map(|path| path.display().to_string()).collect(),
                attested: vec![("SBOM".to_owned(), format!("{packages} packages"))],
                ..Summary::default()
            };
            let summary = totals(summary, &progress, &outcome, warnings, now, builder);
            progress.finish(&Outcome::Succeeded(Box::new(summary)), now);
            Ok(outcome.attestations)
        }
        Err(error) => {
            show_failure(progress, &error, now);
            Err(error)
        }
    }
}

/// Images that a message names.
const SHOWN_MAX: usize = 20;
