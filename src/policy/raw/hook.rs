//! `[[hooks]]` as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::RawHeader;
use crate::model::HookStage;
use crate::policy::value::{DurationValue, Name, Spanned};

/// `[[hooks]]`: a program or a server that is asked about the hosts of a batch, or drains them. It may be called again for the
/// same hosts, also after a crash, and must bear that.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table, [[hooks]]")]
#[schemars(rename = "Hook")]
pub(in crate::policy) struct RawHook {
    /// Unique in its file.
    #[schemars(required)]
    pub(in crate::policy) name: Option<Spanned<Name>>,
    /// `consult`: before a batch is cordoned, and again before it is terminated. `drain`: when it is cordoned; the bake begins
    /// when it is done. `undrain`: when its hosts were put back.
    #[schemars(required)]
    pub(in crate::policy) on: Option<Spanned<HookStage>>,
    /// How it is called: the keys depend on it.
    #[schemars(required, extend("enum" = ["exec", "http"]))]
    pub(in crate::policy) kind: Option<Spanned<String>>,
    /// One that answers later has said no. Default 30s, at most 24h.
    pub(in crate::policy) timeout: Option<Spanned<DurationValue>>,
    /// exec: program and arguments, never a shell. A program with a `/` is relative to this file. The document is on stdin, the
    /// answer on stdout, and what it writes to stderr is shown.
    pub(in crate::policy) command: Option<Spanned<Vec<String>>>,
    /// http: `http://` or `https://`, to which the document is posted.
    pub(in crate::policy) url: Option<Spanned<String>>,
    /// http: headers of the request, which are never printed.
    pub(in crate::policy) headers: Option<Spanned<BTreeMap<String, Spanned<RawHeader>>>>,
}
