//! What nearly every rule uses.

pub(super) use std::rc::Rc;

pub(super) use super::{
    Decision, Evidence, Facts, Family, Fixed, Folder, Kind, Port, Project, Rule, Serves, Step,
    Text, Weight, What, called, compiled, folders,
    framework::{self, Framework, Known, Makes, framework},
    is_below, join,
    language::{
        DEBIAN, Images, Kept, Language, Limit, NOBODY, NONROOT, NOTHING, Packaged, Pair, WOLFI,
        newest_for, stage,
    },
    parent,
    parts::{Files, Library, Missing, OUT, library},
    paths::{file_name, glob, join_clean, last_part, relative, resolve, within},
    pins::{self, Found, Pin},
    shell::{exec_form, quote},
    source, upward,
    versions::Version,
};
pub(super) use crate::manifest::Value;
