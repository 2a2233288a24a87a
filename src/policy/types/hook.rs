//! Hooks are asked about the hosts of a batch, and drain them: `[[hooks]]`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Headers, Masked, duration_ms};
use crate::model::{HookKey, HookStage};

/// `[[hooks]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookSpec {
    /// Unique within its subsystem.
    pub(crate) name: String,
    /// When it is called.
    pub(crate) on: HookStage,
    /// How it is called.
    #[serde(flatten)]
    pub(crate) kind: HookKind,
    /// One that answers later has said no. More than zero.
    #[serde(rename = "timeout_ms", with = "duration_ms")]
    pub(crate) timeout: Duration,
}

/// How a hook is called, with the keys of the kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum HookKind {
    /// A program, never a shell.
    Exec {
        /// Program and arguments; never empty. A program with a `/` is relative to the policy file.
        command: Vec<String>,
    },
    /// A POST.
    Http {
        /// `http://` or `https://`.
        url: Masked,
        /// Headers of the request, by name in lower case.
        #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
        headers: Headers,
    },
}

/// Hooks by subsystem and name.
pub(crate) type HookSpecs = BTreeMap<HookKey, HookSpec>;
