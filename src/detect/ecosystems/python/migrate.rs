//! Tables of a database that is a file: nobody makes them but the project's own migrations, so these run before each start.

use super::{apps, candidate::Candidate};
use crate::detect::prelude::*;

/// Databases that are servers: who runs those migrates them.
const SERVERS: &[&str] =
    &["postgres", "mysql", "mariadb", "oracle", "mssql", "asyncpg", "psycopg", "cockroachdb"];

/// What a program calls that makes its tables by itself.
const BY_ITSELF: &[&str] = &["create_all", "command.upgrade(", "upgrade(\"head", "upgrade()"];

/// Runs the migrations before the program, where it has a database in a file and does not run them itself.
pub(super) fn first(c: &mut Candidate<'_>) -> Option<()> {
    let own = c.files.iter().filter(|file| !apps::is_aside(c.at.dir, &file.path)).cloned();
    let mut own: Vec<Rc<Text>> = own.collect();
    own.extend(c.at.read("alembic.ini"));
    let says = |words: &[&str]| words.iter().find_map(|word| source::mention(&own, word));
    let place = says(&["sqlite:///", "sqlite+aiosqlite:///"])?;
    (says(SERVERS).is_none() && says(BY_ITSELF).is_none()).then_some(())?;
    let line = if c.manifest.has("alembic") && c.at.has("alembic.ini") {
        "alembic upgrade head".to_owned()
    } else if c.manifest.has("flask-migrate") && c.at.has("migrations/alembic.ini") {
        format!("flask --app {} db upgrade", quote(c.app.as_deref()?))
    } else {
        return None;
    };
    let here = c.in_home(c.at.dir);
    let line = match c.facts.run_in == here {
        true => line,
        false => format!("(cd {} && {line})", quote(&c.facts.language.in_home(&here))),
    };
    c.facts.start_after(&line, Fixed::MigratesFirst, place);
    Some(())
}
