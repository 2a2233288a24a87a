//! From a request, a snapshot, the policies and the ledger's state to a [`Plan`]: which hosts, in which
//! batches, or why not. Pure.

mod batches;
mod capacity;
mod claims;
mod constraints;
mod digest;
mod document;
mod doubts;
mod draft;
mod error;
mod explain;
mod gates;
mod hosts;
mod inputs;
mod measure;
mod membership;
mod pace;
mod permit;
mod planner;
mod request;
mod rule;
mod schedule;
mod settings;
mod solver;
mod stock;
mod verify;
mod warnings;
mod weights;
mod why;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use capacity::serving_without;
pub use claims::LedgerView;
pub(crate) use claims::{Claim, OtherRun, Removal};
pub(crate) use document::{Batch, PlannedHost, RequestDocument, SubsystemCapacity, ZoneCapacity};
pub use document::{PlanDocument, Verdict};
pub(crate) use doubts::may_serve;
pub use error::AssessError;
pub(crate) use explain::{Assumed, Assumption, UnknownAssumption, WhatIf};
pub use explain::{Headroom, headroom};
pub use inputs::{Inputs, Stage, Taking};
pub(crate) use measure::measure;
pub(crate) use membership::Membership;
pub(crate) use pace::{Books, waits};
pub(crate) use permit::{Confirmation, Confirmed};
pub use planner::{Plan, plan};
pub use request::{Request, Selection};
pub(crate) use rule::{Rule, Violation};
pub use settings::Settings;
pub use verify::verify;
pub(crate) use weights::{units, weight};
pub(crate) use why::{Constraint, Why, WouldAllow};
