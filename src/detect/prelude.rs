//! What nearly every rule uses.

#[expect(unused_imports, reason = "until all ecosystems use it")]
pub(super) use super::{
    Decision, Evidence, Facts, Family, Fixed, Folder, Kind, Port, Project, Rule, Serves, Service,
    Step, Text, Weight, What, assemble,
    facts::{Files, Missing, OUT},
    framework::{self, Framework, Known, Makes, framework},
    is_below, join,
    language::{DEBIAN, Images, Language, NOBODY, NONROOT, NOTHING, Packaged, Pair, WOLFI, stage},
    manifest::Value,
    parent,
    paths::{file_name, join_clean, last_part, relative, resolve, within},
    pins::{self, Pin},
    shell::{exec_form, quote},
    source, upward,
    versions::Version,
};
