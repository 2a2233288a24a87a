//! The request for a removal, and its result.

use std::time::Duration;

use crate::model::BatchNumber;
use crate::plan::Request;
use crate::run::RunDocument;

use super::plan::PlanAnswer;

/// The request, and the options that were given with it.
#[derive(Clone, Debug)]
pub(crate) struct Removal {
    pub(crate) request: Request,
    /// `--yes`
    pub(crate) yes: bool,
    /// `--step`: every batch after the first one is confirmed too.
    pub(crate) step: bool,
    /// `--pause-after`
    pub(crate) pause_after: Option<BatchNumber>,
    /// `--prove`
    pub(crate) prove: Option<Duration>,
    /// The longest wait for a budget, before the first host.
    pub(crate) max_wait: Duration,
}

/// The result of a removal.
#[derive(Debug)]
pub(crate) enum Removed {
    /// It was not begun: the plan, and why.
    Not(Box<PlanAnswer>),
    /// It ran, in this call or in an earlier one with the same request id.
    Ran(Box<RunDocument>),
}
