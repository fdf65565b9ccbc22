//! Workers of queues beside a server.

use super::{candidate::Candidate, imports};
use crate::detect::{
    paths::{below, is_below},
    prelude::*,
};

/// Packages whose workers are commands of `manage.py`.
const OF_DJANGO: &[(&str, &str)] = &[
    ("django-q2", "python manage.py qcluster"),
    ("django-q", "python manage.py qcluster"),
    ("django-rq", "python manage.py rqworker default"),
];

/// Adds the workers that the dependencies and the sources show.
pub(super) fn find(c: &mut Candidate<'_>) {
    if !matches!(c.facts.serves, Serves::Process(_)) {
        return;
    }
    let home = if c.is_in_place() { "." } else { c.at.dir };
    let run_in = if c.facts.run_in.is_empty() { "." } else { &c.facts.run_in };
    let run_dir = join_clean(home, run_in);
    if let Some((name, place)) = celery(c, &run_dir) {
        let line = format!("celery -A {name} worker --loglevel INFO");
        // Where the application of Celery is all there is, it is the service.
        if c.facts.framework != Some("celery") {
            c.facts.worker("worker", &line, Fixed::CeleryApplication, place);
        }
        let beats = ["beat_schedule", "CELERY_BEAT_SCHEDULE", "crontab("];
        let schedule = beats.iter().find_map(|sign| source::mention(&c.files, sign));
        let kept = c.manifest.place("django-celery-beat");
        if let Some(place) = kept.clone().or(schedule) {
            let where_from = match kept {
                Some(_) => "--scheduler django_celery_beat.schedulers:DatabaseScheduler",
                None => "--schedule /tmp/celerybeat-schedule",
            };
            let line = format!("celery -A {name} beat --loglevel INFO {where_from}");
            c.facts.worker("clock", &line, Fixed::CelerySchedule, place);
        }
    }
    if c.at.project.tree.has(&join(&run_dir, "manage.py")) {
        for (package, line) in OF_DJANGO {
            if let Some(place) = c.manifest.place(package) {
                c.facts.worker("worker", line, Fixed::WorkerOfDjango, place);
            }
        }
    }
}

/// The application of Celery as `-A` takes it, and where it is made.
fn celery(c: &Candidate<'_>, run_dir: &str) -> Option<(String, Evidence)> {
    c.manifest.place("celery")?;
    let made = c.files.iter().find_map(|file| {
        let makes = |(at, line): (usize, &str)| {
            let (name, value) = imports::assignment(line)?;
            let is_made = ["Celery(", "celery.Celery("].iter().any(|call| value.starts_with(call))
                || value.contains(".extensions[\"celery\"]");
            is_made.then(|| (name.to_owned(), at))
        };
        let (name, line) = file.lines().find_map(makes)?;
        Some((file.path.clone(), name, line))
    });
    let (path, name, line) = made?;
    let src = join(run_dir, "src");
    let root = if is_below(&path, &src) && c.facts.env.contains_key("PYTHONPATH") {
        &src
    } else {
        run_dir
    };
    is_below(&path, root).then_some(())?;
    let module =
        below(root, path.trim_end_matches(".py")).trim_end_matches("/__init__").replace('/', ".");
    Some((format!("{module}:{name}"), Evidence::line(path, Some(line))))
}
