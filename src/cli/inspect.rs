//! `peelbox inspect`: what is in an image file, and whether it is what it says.

use crate::{
    cli::{
        args::{InspectArgs, InspectFormat},
        print_stdout,
    },
    error::{Error, Kind},
    image_file::{
        Attestation, Config, Depth, Facts, Form, Image, ImageFile, ImageFileError, Layer, Manifest,
        Report, StatementOf,
    },
    progress::format::{bytes, counted},
    terminal_text::{clean_name, fit},
};

/// Prints what is there; fails when something in it is not as it should be.
pub(crate) fn run(args: &InspectArgs) -> Result<(), Error> {
    let report = ImageFile::open(&args.file)
        .and_then(|file| file.inspect(Depth::Whole))
        .map_err(image_error)?;
    let name = args.file.display().to_string();
    match args.format {
        InspectFormat::Text => print_stdout(text(&name, &report).as_bytes())?,
        InspectFormat::Json => {
            let value = serde_json::to_value(&report).map_err(|e| {
                Error::new(Kind::Internal, "cannot write the report as JSON").because(e)
            })?;
            print_stdout(format!("{value:#}\n").as_bytes())?;
        }
    }
    match report.faults.as_slice() {
        [] => Ok(()),
        faults => Err(damaged(&name, faults)),
    }
}

/// The file was read, and is not what it says.
pub(crate) fn damaged(name: &str, faults: &[String]) -> Error {
    let first = faults.first().map(String::as_str).unwrap_or_default();
    let more = match faults.len() {
        0 | 1 => String::new(),
        count => format!(", and {} more", counted(count as u64 - 1, "fault")),
    };
    Error::new(Kind::Build, format!("`{name}` is not what it says: {}{more}", clean_name(first)))
        .hint("get the file again from where it was made, or build it anew")
}

/// Why a file cannot be looked at, with what to do.
pub(crate) fn image_error(error: ImageFileError) -> Error {
    let kind = match &error {
        // It was read, and its parts are not what they are called.
        ImageFileError::Damaged { .. } => Kind::Build,
        ImageFileError::Spool { .. } => Kind::Output,
        _ => Kind::Usage,
    };
    let hint = match &error {
        ImageFileError::Compressed { path, name } => match *name {
            "gzip" => Some(format!("unpack it first: `gunzip {}`", path.display())),
            "zstd" => Some(format!("unpack it first: `unzstd {}`", path.display())),
            _ => Some("unpack it first".to_owned()),
        },
        ImageFileError::NoFile(_) => Some("write what it gives into a file first".to_owned()),
        ImageFileError::NoImage(_) | ImageFileError::Layout(_) => Some(
            "it takes what `--output type=oci,dest=FILE`, `type=docker,dest=FILE` and `docker save` write, and OCI image layouts"
                .to_owned(),
        ),
        ImageFileError::Tar { .. } | ImageFileError::Damaged { .. } | ImageFileError::Json { .. } => {
            Some("get the file again from where it was made, or build it anew".to_owned())
        }
        ImageFileError::Spool { .. } => {
            Some("TMPDIR names a folder with more room".to_owned())
        }
        _ => None,
    };
    let error = Error::from_error(kind, error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn text(name: &str, report: &Report) -> String {
    let form = match report.form {
        Form::OciTar => "OCI image layout",
        Form::OciAndDockerTar => "OCI image layout and `docker load`",
        Form::DockerTar => "`docker save`, without an index",
        Form::OciFolder => "OCI image layout, a folder",
    };
    let size = report.size_bytes.map(|size| format!(", {}", bytes(size))).unwrap_or_default();
    let mut out = format!("{}: {form}{size}\n", clean_name(name));
    for image in &report.images {
        out.push('\n');
        write_image(&mut out, image);
    }
    for beside in &report.beside {
        out += &format!("\n{}  {}\n", clean_name(&beside.file), bytes(beside.size_bytes));
        write_statement(&mut out, "  ", &beside.statement);
    }
    out.push('\n');
    if report.faults.is_empty() {
        let blobs = counted(report.verified_blobs as u64, "digest");
        let manifests = report.images.iter().flat_map(|image| &image.manifests);
        let inside: usize = manifests.map(|manifest| manifest.attestations.len()).sum();
        let statements = counted((inside + report.beside.len()) as u64, "statement");
        out += &format!("all is as it says: {blobs} and {statements} compared\n");
    } else {
        out += "not as it should be\n";
        for fault in &report.faults {
            out += &format!("  {}\n", clean_name(fault));
        }
    }
    out
}

fn write_image(out: &mut String, image: &Image) {
    let name = if image.names.is_empty() {
        "image without a name".to_owned()
    } else {
        image.names.join(", ")
    };
    *out += &clean_name(&name);
    out.push('\n');
    if let Some(digest) = &image.digest {
        row(out, "digest", digest);
        row(out, "type", &image.media_type);
    }
    for manifest in &image.manifests {
        out.push('\n');
        write_manifest(out, manifest);
    }
    for other in &image.elsewhere {
        let platform = other.platform.as_deref().unwrap_or("no platform");
        *out += &format!("\n{}\n", clean_name(platform));
        row(out, "not in this file", &other.digest);
    }
}

fn write_manifest(out: &mut String, manifest: &Manifest) {
    let platform = if manifest.platform.is_empty() { "no platform" } else { &manifest.platform };
    *out += &format!("{}\n", clean_name(platform));
    if let Some(digest) = &manifest.digest {
        row(out, "manifest", digest);
    }
    row(out, "config", &manifest.config_digest);
    let layers = counted(manifest.layers.len() as u64, "layer");
    row(out, "size", &format!("{} in {layers}", bytes(manifest.size_bytes)));
    write_config(out, &manifest.config);
    for (key, value) in &manifest.annotations {
        row(out, "annotation", &format!("{key}={value}"));
    }
    for (at, layer) in manifest.layers.iter().enumerate() {
        write_layer(out, at + 1, layer);
    }
    for attestation in &manifest.attestations {
        write_attestation(out, attestation);
    }
}

fn write_config(out: &mut String, config: &Config) {
    let Config { created, entrypoint, cmd, env, user, working_dir, exposed_ports, labels } = config;
    let words = |words: &[String]| {
        if words.is_empty() { String::new() } else { serde_json::Value::from(words).to_string() }
    };
    row(out, "created", created.as_deref().unwrap_or_default());
    row(out, "entrypoint", &words(entrypoint));
    row(out, "cmd", &words(cmd));
    row(out, "user", user);
    row(out, "workdir", working_dir);
    row(out, "env", &env.join(", "));
    row(out, "ports", &exposed_ports.join(", "));
    for (key, value) in labels {
        row(out, "label", &format!("{key}={value}"));
    }
}

fn write_layer(out: &mut String, number: usize, layer: &Layer) {
    let digest = match &*layer.digest {
        "" => layer.diff_id.as_deref().unwrap_or_default(),
        digest => digest,
    };
    let unpacked = layer.unpacked_bytes.map(|size| format!(", {} unpacked", bytes(size)));
    let size = format!("{}{}", bytes(layer.size_bytes), unpacked.unwrap_or_default());
    row(out, &format!("layer {number}"), &format!("{digest}  {size}"));
    let media_type = layer.media_type.rsplit("image.").next().unwrap_or_default();
    let made = layer.created_by.as_deref().unwrap_or_default();
    row(out, " ", &fit(&clean_name(&format!("{media_type}  {made}")), LINE_COLUMNS_MAX));
}

fn write_attestation(out: &mut String, attestation: &Attestation) {
    let size = bytes(attestation.size_bytes);
    row(out, "attestation", &format!("{}  {size}", attestation.digest));
    write_statement(out, &" ".repeat(LABEL_COLUMNS + 3), &attestation.statement);
}

fn write_statement(out: &mut String, indent: &str, statement: &StatementOf) {
    for line in facts(&statement.predicate) {
        *out += &format!("{indent}{}\n", fit(&clean_name(&line), LINE_COLUMNS_MAX));
    }
    let about = if statement.is_about_image { "about this image" } else { "about something else" };
    let kind = clean_name(&statement.predicate_type);
    *out += &format!("{indent}{about}; {kind}\n");
}

/// What a statement says, in lines.
fn facts(predicate: &Facts) -> Vec<String> {
    match predicate {
        Facts::Sbom { format, packages, creators, created } => {
            let mut lines =
                vec![format!("SBOM of {}, {format}", counted(*packages as u64, "package"))];
            let makers = creators.join(", ");
            let created = created.as_deref().unwrap_or_default();
            lines.extend((!makers.is_empty()).then(|| format!("made by {makers}, {created}")));
            lines
        }
        Facts::Provenance { version, mode, builder, materials, started, finished, .. } => {
            let materials = counted(*materials as u64, "material");
            let builder = if builder.is_empty() { "not said" } else { builder };
            let time = |time: &Option<String>| time.clone().unwrap_or_else(|| "?".to_owned());
            vec![
                format!("provenance {version}, mode {mode}, {materials}"),
                format!("builder {builder}"),
                format!("from {} to {}", time(started), time(finished)),
            ]
        }
        Facts::Invocation { parameters } => {
            let of_peelbox = |key: &str| key.strip_prefix("peelbox:").unwrap_or(key).to_owned();
            let lines =
                parameters.iter().map(|(key, value)| format!("  {} {value}", of_peelbox(key)));
            std::iter::once("how peelbox was called".to_owned()).chain(lines).collect()
        }
        Facts::Other => Vec::new(),
    }
}

/// A label and what it stands for, unless that is empty.
fn row(out: &mut String, label: &str, text: &str) {
    if !text.is_empty() {
        *out += &format!("  {label:LABEL_COLUMNS$} {}\n", clean_name(text));
    }
}

/// Widest label: `attestation`.
const LABEL_COLUMNS: usize = 11;
/// Lines of which the end says little.
const LINE_COLUMNS_MAX: usize = 120;
