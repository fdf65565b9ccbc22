//! `composer.json` and `composer.lock`.

use crate::detect::prelude::*;

/// Both files of Composer.
pub(super) struct Composer<'a> {
    pub(super) at: Folder<'a>,
    pub(super) json: Value,
    lock: Option<Value>,
}

impl<'a> Composer<'a> {
    pub(super) fn load(at: Folder<'a>) -> Option<Self> {
        Some(Self { json: at.json("composer.json")?, lock: at.json("composer.lock"), at })
    }

    pub(super) fn require(&self, package: &str) -> Option<&Value> {
        self.json.at(&["require", package])
    }

    /// A place in the manifest.
    pub(super) fn place(&self, value: Option<&Value>) -> Evidence {
        self.at.place("composer.json", value.map(|value| value.line))
    }

    pub(super) fn locked(&self) -> &[Value] {
        self.lock.as_ref().and_then(|lock| lock.get("packages")).map_or(&[], Value::items)
    }

    /// Whether a package is required or locked that `fits`.
    pub(super) fn has(&self, fits: impl Fn(&str) -> bool) -> bool {
        let own = self.json.get("require").into_iter().flat_map(Value::members);
        let mut locked = self.locked().iter().filter_map(|package| package.str_at(&["name"]));
        own.map(|(name, _)| name).any(&fits) || locked.any(fits)
    }

    /// Extensions that the project and its locked packages require.
    pub(super) fn extensions(&self) -> Vec<String> {
        let own = self.json.get("require").into_iter();
        let locked = self.locked().iter().filter_map(|package| package.get("require"));
        let names = own.chain(locked).flat_map(Value::members);
        names.filter_map(|(name, _)| name.strip_prefix("ext-").map(str::to_owned)).collect()
    }

    /// Whether packages lie in the tree.
    pub(super) fn has_local(&self) -> bool {
        let all = self.json.get("repositories").into_iter();
        let mut all = all.flat_map(|r| r.items().iter().chain(r.members().map(|(_, one)| one)));
        all.any(|repository| repository.str_at(&["type"]) == Some("path"))
    }
}
