//! Databases in a file: which package keeps one, and what brings it to the newest schema.

use super::{package::Package, start::Start, unit::Unit};
use crate::detect::prelude::*;

/// Calls that bring a database to the newest schema, and packages of databases in a file that they are used with.
const MIGRATIONS: &[&str] = &[
    "knex migrate:latest", "prisma migrate deploy", "drizzle-kit migrate", "sequelize db:migrate",
];
const FILE_DATABASES: &[&str] = &["better-sqlite3", "sqlite3", "@libsql/client"];

/// What migrates a database in a file, which the image would lack: a script, or what Prisma has for that.
pub(super) fn migration(unit: &Unit<'_>, start: &Start) -> Option<String> {
    let is_file =
        in_file(unit).is_some_and(|(_, is_named)| is_named) || unit.package.has_any(FILE_DATABASES);
    let runs = |line: &str| MIGRATIONS.iter().any(|call| line.contains(call));
    if !is_file || start.is_stated() || start.run_line().contains("migrate") {
        return None;
    }
    let mut scripts = unit.package.scripts();
    // One that is for the developer's or the test's database names it.
    let is_plain =
        |name: &str| !["dev", "test", "make", "reset"].iter().any(|word| name.contains(word));
    let script = scripts.find(|(name, line)| runs(line) && is_plain(name) && !line.contains("&&"));
    let by_prisma = || {
        let is_used = in_file(unit).is_some() && unit.at().has_dir("prisma/migrations");
        is_used.then(|| MIGRATIONS[1].to_owned())
    };
    script.map(|(_, line)| line.to_owned()).or_else(by_prisma)
}

/// Where Prisma's schema says that the database is a file, and whether it names that.
pub(super) fn in_file(unit: &Unit<'_>) -> Option<(Evidence, bool)> {
    let path = schema(unit.package)?;
    let text = unit.at().project.tree.read(&path)?;
    let place = Evidence::line(&path, Some(text.line_of("\"sqlite\"")?));
    Some((place, text.text.contains("\"file:")))
}

/// Prisma makes its client from this when it is installed.
pub(super) fn schema(package: &Package<'_>) -> Option<String> {
    if !package.has_any(&["prisma", "@prisma/client"]) {
        return None;
    }
    let stated = package.json.str_at(&["prisma", "schema"]);
    let stated = stated.map(|path| path.trim_start_matches("./")).into_iter();
    let mut candidates = stated.chain(["prisma/schema.prisma", "schema.prisma"]);
    let found = candidates.find(|path| package.at.has(path));
    let found = found.or_else(|| package.at.has_dir("prisma").then_some("prisma"));
    found.map(|path| package.at.path(path))
}
