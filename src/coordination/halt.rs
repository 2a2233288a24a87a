//! Stop orders: [`halt`] puts one into force, `unhalt` lifts those that somebody has read.
//!
//! A halt takes nothing from anybody's safety, so nothing is asked before it: no clock, no policy, no fleet. Whatever
//! else is wrong, it must be possible to stop. The runs that it concerns see it for themselves (S6).

use std::collections::BTreeSet;
use std::fmt;

use crate::model::SubsystemName;
use crate::plan::{Rule, Violation};

use super::{FleetRecord, Granted, Halt, Refusal};

/// Stands for the reason of an order that was given without one.
pub(crate) const NO_REASON: &str = "no reason was given";

impl Halt {
    /// Whether it stops a run that watches these; whatever a run touches it watches too.
    pub(crate) fn concerns(&self, watched: &BTreeSet<SubsystemName>) -> bool {
        self.subsystem.as_ref().is_none_or(|name| watched.contains(name))
    }

    /// The scope in words: a subsystem's name, or `the fleet`.
    pub(crate) fn scope(&self) -> &str {
        self.subsystem.as_ref().map_or("the fleet", SubsystemName::as_str)
    }

    /// Why, who and since when, for the sentence of a refusal.
    pub(crate) fn why(&self) -> String {
        let reason = self.reason.as_deref().unwrap_or(NO_REASON);
        format!("{reason} (by {} since {})", self.operator, self.at)
    }
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is halted: {}", self.scope(), self.why())
    }
}

/// The record with one more stop order; `None` if this operator's order with this reason is in force already.
///
/// Earlier orders of the same scope stay as they are: who halted first is never hidden. Neither the record's time nor
/// anything else in it changes, so that a machine whose clock is wrong may halt, and refuses nobody by doing so (S6).
pub(crate) fn halt(record: &FleetRecord, order: &Halt) -> Option<FleetRecord> {
    let is_same = |h: &Halt| h.subsystem == order.subsystem && h.operator == order.operator && h.reason == order.reason;
    if record.halts.iter().any(is_same) {
        return None;
    }
    let mut next = record.clone();
    next.halts.push(order.clone());
    Some(next)
}

/// The record with the reason of an order that was given without one; `None` if that order is not in force any more.
pub(crate) fn explain_halt(record: &FleetRecord, order: &Halt, reason: &str) -> Option<FleetRecord> {
    let mut next = record.clone();
    let standing = next.halts.iter_mut().find(|halt| *halt == order)?;
    standing.reason = Some(reason.to_owned());
    Some(next)
}

/// Lifts exactly these orders: one that came later was read by nobody and stays in force (S6).
///
/// # Errors
///
/// [`Refusal::Rules`] where none of them is in force.
pub(super) fn unhalt(record: &mut FleetRecord, orders: &[Halt]) -> Result<Granted, Refusal> {
    let before = record.halts.len();
    record.halts.retain(|halt| !orders.contains(halt));
    if record.halts.len() < before {
        return Ok(Granted::default());
    }
    let message = "none of these stop orders is in force".to_owned();
    Err(Refusal::Rules(vec![Violation::new(Rule::Halted, message)]))
}
