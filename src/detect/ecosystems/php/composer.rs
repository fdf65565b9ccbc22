//! `composer.json` and `composer.lock`.

use crate::detect::prelude::*;

/// Both files of Composer, as far as they are there.
pub(super) struct Composer<'a> {
    pub(super) at: Folder<'a>,
    pub(super) json: Option<Value>,
    lock: Option<Value>,
}

impl<'a> Composer<'a> {
    pub(super) fn load(at: Folder<'a>) -> Self {
        let json = at.json("composer.json");
        Self { lock: json.as_ref().and_then(|_| at.json("composer.lock")), json, at }
    }

    pub(super) fn get(&self, path: &[&str]) -> Option<&Value> {
        self.json.as_ref()?.at(path)
    }

    pub(super) fn require(&self, package: &str) -> Option<&Value> {
        self.get(&["require", package])
    }

    /// A place in the manifest.
    pub(super) fn place(&self, value: &Value) -> Evidence {
        self.at.place("composer.json", Some(value.line))
    }

    pub(super) fn locked(&self) -> &[Value] {
        self.lock.as_ref().and_then(|lock| lock.get("packages")).map_or(&[], Value::items)
    }

    /// Whether a package is required or locked that `fits`.
    pub(super) fn has(&self, fits: impl Fn(&str) -> bool) -> bool {
        let own = self.get(&["require"]).into_iter().flat_map(Value::members);
        let mut locked = self.locked().iter().filter_map(|package| package.str_at(&["name"]));
        own.map(|(name, _)| name).any(&fits) || locked.any(fits)
    }

    /// Extensions that the project and its locked packages require.
    pub(super) fn extensions(&self) -> Vec<String> {
        let locked = self.locked().iter().filter_map(|package| package.get("require"));
        let names = self.get(&["require"]).into_iter().chain(locked).flat_map(Value::members);
        names.filter_map(|(name, _)| name.strip_prefix("ext-").map(str::to_owned)).collect()
    }

    /// Addresses of the project's own repositories of a type.
    pub(super) fn repositories(&self, kind: &str) -> impl Iterator<Item = &str> {
        let all = self.get(&["repositories"]).into_iter();
        let all = all.flat_map(|r| r.items().iter().chain(r.members().map(|(_, one)| one)));
        let of_kind = all.filter(move |one| one.str_at(&["type"]) == Some(kind));
        of_kind.filter_map(|one| one.str_at(&["url"]))
    }
}
