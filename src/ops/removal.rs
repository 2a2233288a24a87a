//! A removal as it is asked for, and as it ended.

use std::time::Duration;

use crate::plan::Request;
use crate::run::RunDocument;

use super::plan::PlanAnswer;

/// What is to be removed, and what was said beforehand.
#[derive(Clone, Debug)]
pub(crate) struct Removal {
    pub(crate) request: Request,
    /// `--yes`
    pub(crate) yes: bool,
    /// The longest wait for a budget, before the first host.
    pub(crate) max_wait: Duration,
}

/// How a removal ended.
#[derive(Debug)]
pub(crate) enum Removed {
    /// It was not begun: the plan, and why.
    Not(Box<PlanAnswer>),
    /// It ran, in this call or an earlier one of the same request id.
    Ran(Box<RunDocument>),
}
