//! [`Place`]: which probe of a file is meant.

use crate::policy::raw::RawProbe;
use crate::policy::value::Spanned;

/// Where a probe stands: its table, and its index in the list.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) at: &'a Spanned<RawProbe>,
    pub(super) index: usize,
}

impl Place<'_> {
    /// The path of a key.
    pub(super) fn path(&self, key: &str) -> String {
        format!("health.probe.{}.{key}", self.index)
    }
}
