//! `peelbox doctor`: every place where a build could run, what is there, and which one a build would take.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    cli::{
        args::{DoctorArgs, DoctorFormat},
        env::Environment,
        error::connect_error,
        places::places,
        print_stdout,
    },
    connect::{
        Answers, Found, Refusal, Search, describe_builder, describe_engine, first, is_too_old,
    },
    control::Daemon,
    docker::Engine,
    endpoint::{Candidate, NotReachable, Reason},
    error::{Error, Kind},
    grpc::Cancel,
    terminal_text::{json, message},
};

/// One place and what was found there.
struct Row {
    place: String,
    origin: String,
    /// What a reader wants to know first.
    state: String,
    engine: Option<EngineFacts>,
    builder: Option<BuilderFacts>,
    /// Why nothing can be built there.
    reason: Option<String>,
}

struct EngineFacts {
    version: String,
    api: String,
}

struct BuilderFacts {
    version: String,
    platforms: Vec<String>,
    snapshotter: Option<String>,
    store: &'static str,
    has_attestations: bool,
    is_multi_platform: bool,
    cache_exports: &'static [&'static str],
}

/// Asks all places, prints what they say, and fails when none can build.
pub(crate) fn run(args: &DoctorArgs, env: &Environment) -> Result<(), Error> {
    let cancel = Cancel::default();
    let places = places(&args.daemon, env)?;
    let search = Search::new(&places, true, &cancel).map_err(connect_error)?;
    let mut answers = search.ask().map_err(connect_error)?;
    let all = |answers: &Answers| {
        answers.builders.iter().all(Option::is_some) && answers.engines.iter().all(Option::is_some)
    };
    answers.wait(&cancel, search.deadline(), all).map_err(connect_error)?;
    let winner = first(&answers.builders).flatten();
    let docker = answers.docker().flatten();
    let builders: Vec<Result<Found, Refusal>> = answers
        .builders
        .into_iter()
        .map(|answer| answer.unwrap_or_else(|| Err(Reason::TimedOut.into())))
        .collect();
    let builder = winner.and_then(|at| {
        let Found { connection, engine } = builders[at].as_ref().ok()?;
        Some(describe_builder(connection, engine.as_deref(), &search.builders[at].place))
    });
    let mut rows: Vec<Row> = search
        .builders
        .iter()
        .zip(&builders)
        .map(|(candidate, answer)| row_of_builder(candidate, answer.as_ref()))
        .collect();
    rows.extend(search.engines.iter().zip(&answers.engines).map(
        |(candidate, answer)| match answer {
            Some(Ok(engine)) => row_of_engine(candidate, engine, "for images only"),
            Some(Err(reason)) => refused(row(candidate), reason.to_string()),
            None => refused(row(candidate), Reason::TimedOut.to_string()),
        },
    ));
    let docker = docker.as_deref().map(describe_engine);
    match args.format {
        DoctorFormat::Text => {
            let text = text(&rows, winner, builder.as_deref(), docker.as_deref());
            print_stdout(message(&text).as_bytes())?;
        }
        DoctorFormat::Json => {
            let all = rows.iter().map(Row::to_json).collect::<Vec<_>>();
            let report = json!({ "places": all, "builder": winner, "docker": docker });
            print_stdout(json(&format!("{report:#}\n")).as_bytes())?;
        }
    }
    if winner.is_some() {
        return Ok(());
    }
    // The table has said why; what is left is the next step.
    let reasons = builders.into_iter().map(|answer| match answer {
        Err(refusal) => refusal.into_reason(),
        Ok(_) => Reason::TimedOut,
    });
    let tried: Vec<_> = search.builders.iter().cloned().zip(reasons).collect();
    let kind = if is_too_old(&tried) { Kind::Feature } else { Kind::NoDaemon };
    let account = NotReachable::new(tried, &places.installed());
    Err(Error::new(kind, "no BuildKit daemon answers").hint(account.hint))
}

fn row_of_builder(candidate: &Candidate, answer: Result<&Found, &Refusal>) -> Row {
    match answer {
        Ok(Found { connection, engine }) => {
            let facts = facts(&connection.daemon, engine.is_some());
            let mut state = format!("BuildKit {}", facts.version);
            if let Some(engine) = engine {
                state = format!("Docker Engine {}, {state}", engine.version);
            }
            Row {
                state,
                engine: engine.as_deref().map(EngineFacts::of),
                builder: Some(facts),
                ..row(candidate)
            }
        }
        Err(refusal) => {
            let row = match refusal {
                Refusal::EngineOnly(engine, _) => row_of_engine(candidate, engine, ""),
                _ => row(candidate),
            };
            refused(row, refusal.to_string())
        }
    }
}

fn row_of_engine(candidate: &Candidate, engine: &Engine, remark: &str) -> Row {
    let state = format!("Docker Engine {}, {remark}", engine.version);
    Row { state, engine: Some(EngineFacts::of(engine)), ..row(candidate) }
}

/// Nothing can be done there.
fn refused(row: Row, reason: String) -> Row {
    Row { state: reason.clone(), reason: Some(reason), ..row }
}

fn row(candidate: &Candidate) -> Row {
    Row {
        place: candidate.place.to_string(),
        origin: candidate.origin.to_string(),
        state: String::new(),
        engine: None,
        builder: None,
        reason: None,
    }
}

impl EngineFacts {
    fn of(engine: &Engine) -> Self {
        Self { version: engine.version.clone(), api: engine.api.to_string() }
    }
}

/// What can be built there. Of a Docker Engine the image store decides (moby `daemon/internal/builder-next`).
fn facts(daemon: &Daemon, is_inside_docker: bool) -> BuilderFacts {
    let snapshotter = daemon.snapshotter().map(str::to_owned);
    let is_classic = is_inside_docker && snapshotter.is_none();
    let mut platforms: Vec<String> = Vec::new();
    for p in daemon.workers.iter().flat_map(|worker| &worker.platforms) {
        let parts = [p.os.as_str(), &p.architecture, &p.variant].into_iter();
        let platform = parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        // An engine may name its own twice.
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    BuilderFacts {
        version: daemon.version.clone(),
        platforms,
        snapshotter,
        store: match (is_inside_docker, is_classic) {
            (false, _) => "BuildKit's own",
            (true, false) => "containerd",
            (true, true) => "classic (graph driver)",
        },
        has_attestations: !is_classic,
        is_multi_platform: !is_classic,
        cache_exports: match (is_inside_docker, is_classic) {
            (_, true) => &["inline"],
            (true, false) => &["inline", "local", "registry", "gha"],
            (false, _) => &["inline", "local", "registry", "gha", "s3", "azblob"],
        },
    }
}

/// The table, then what is known of each place that answered, then what a build would do.
fn text(
    rows: &[Row],
    winner: Option<usize>,
    builder: Option<&str>,
    docker: Option<&str>,
) -> String {
    let width = |cell: fn(&Row) -> &str, title: &str| {
        let cells = rows.iter().map(|row| cell(row).chars().count());
        cells.max().unwrap_or(0).max(title.len())
    };
    let (places, origins) = (width(|row| &row.place, "PLACE"), width(|row| &row.origin, "FROM"));
    let mut text = format!("  {:places$}  {:origins$}  STATE\n", "PLACE", "FROM");
    for (at, Row { place, origin, state, .. }) in rows.iter().enumerate() {
        let mark = if winner == Some(at) { '*' } else { ' ' };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{mark} {place:places$}  {origin:origins$}  {state}");
    }
    for row in rows.iter().filter(|row| row.builder.is_some()) {
        let _ = write!(text, "\n{}\n{}", row.place, row.details());
    }
    let nothing = "nothing: no place above can build";
    let _ = write!(text, "\na build would use   {}\n", builder.unwrap_or(nothing));
    let no_docker = "no Docker: say where else, such as `--output type=oci,dest=app.tar`";
    let _ = writeln!(text, "images would go to  {}", docker.unwrap_or(no_docker));
    text
}

impl Row {
    fn details(&self) -> String {
        let mut lines: Vec<(&str, String)> = Vec::new();
        if let Some(EngineFacts { version, api }) = &self.engine {
            lines.push(("engine", format!("Docker Engine {version}, API {api}")));
        }
        if let Some(facts) = &self.builder {
            lines.push(("buildkit", facts.version.clone()));
            lines.push(("platforms", facts.platforms.join(", ")));
            let snapshotter = facts.snapshotter.as_deref().unwrap_or("none");
            lines.push(("snapshotter", snapshotter.to_owned()));
            lines.push(("image store", facts.store.to_owned()));
            let yes_or_no = |yes| if yes { "yes" } else { "no" };
            lines.push(("attestations", yes_or_no(facts.has_attestations).to_owned()));
            lines.push(("multi-platform", yes_or_no(facts.is_multi_platform).to_owned()));
            lines.push(("cache export", facts.cache_exports.join(", ")));
        }
        lines.iter().map(|(label, value)| format!("  {label:14}  {value}\n")).collect()
    }

    fn to_json(&self) -> Value {
        json!({
            "place": self.place,
            "from": self.origin,
            "reachable": self.builder.is_some() || (self.engine.is_some() && self.reason.is_none()),
            "reason": self.reason,
            "docker": self.engine.as_ref().map(|engine| json!({
                "version": engine.version,
                "api": engine.api,
            })),
            "buildkit": self.builder.as_ref().map(|facts| json!({
                "version": facts.version,
                "platforms": facts.platforms,
                "snapshotter": facts.snapshotter,
                "imageStore": facts.store,
                "attestations": facts.has_attestations,
                "multiPlatform": facts.is_multi_platform,
                "cacheExports": facts.cache_exports,
            })),
        })
    }
}
