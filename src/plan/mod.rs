//! From a request, a snapshot, the policies and the ledger's state to a [`Plan`]: which hosts in which batches, or why
//! not. Pure.
//!
//! Planning proposes, and `verify` decides. `verify` shares no arithmetic with the choice, so a mistake in choosing can
//! lead to a plan that is refused, but never to one that is wrongly allowed. Nothing here changes anything or reads a
//! clock.
//!
//! There are two rooms inside. `solver` finds choices of whole numbers and knows nothing about plans. `explain` says
//! why a count is refused and what would be allowed; it uses planning and the solver. Within planning, only `draft`
//! uses `explain` (`tests/all/layering.rs` checks it).
//!
//! The files in reading order:
//!
//! | file | what it is |
//! | --- | --- |
//! | `request`, `inputs`, `claims` | the request, and everything that the answer may depend on |
//! | `rule`, `why`, `document`, `error` | the answer: violations, remedies, the plan's document, errors |
//! | `numbering`, `membership`, `weights`, `hosts`, `doubts` | what each host is: its subsystems, its units, a candidate or not |
//! | `gates` | the rules that do not depend on which hosts go |
//! | `verify` | every rule for a set of hosts: the check before every effect |
//! | `stock`, `candidates`, `wanted`, `constraints`, `solver` | what may be taken, as a problem in whole numbers, and its solver |
//! | `pace`, `settings`, `batches`, `schedule` | how fast, how strictly, in which order, and when |
//! | `capacity`, `measure`, `listing`, `warnings`, `digest` | what people are shown |
//! | `explain` | why not, and what would be allowed |
//! | `draft`, `planner` | all of it put together |
//! | `certificate` | why a count cannot go, for somebody else to check |
//! | `permit` | how a plan is confirmed |

#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

mod batches;
mod candidates;
mod capacity;
mod certificate;
mod claims;
mod constraints;
mod contradictions;
mod digest;
mod document;
mod doubts;
mod draft;
mod error;
mod explain;
mod floor;
mod gates;
mod group_sizes;
mod hosts;
mod inputs;
mod listing;
mod measure;
mod membership;
mod numbering;
mod own_changes;
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
mod wanted;
mod warnings;
mod weights;
mod why;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use capacity::serving_without;
pub(crate) use certificate::{Certificate, certify};
pub use claims::LedgerView;
pub(crate) use claims::{Claim, OtherRun, Removal};
pub(crate) use contradictions::believable;
pub(crate) use document::{Batch, PlannedHost, RequestDocument, SubsystemCapacity, ZoneCapacity, at_least};
pub use document::{PlanDocument, Verdict};
pub(crate) use doubts::may_serve;
pub use error::AssessError;
pub(crate) use explain::{Assumed, Assumption, UnknownAssumption, WhatIf};
pub use explain::{Headroom, InTurn, Spread, headroom};
pub(crate) use floor::{LowMinimum, low_minimums};
pub use inputs::{Inputs, Stage, Taking};
pub(crate) use listing::{ListedHost, ListedMembership, listed};
pub(crate) use measure::{capacities, hosts_of, in_service, measure};
pub(crate) use membership::Membership;
pub(crate) use own_changes::{no_room, scheduled};
pub(crate) use pace::{Books, waits};
pub(crate) use permit::{Confirmation, Confirmed};
pub use planner::{Plan, plan};
pub use request::{HostList, NoHostList, Request, Selection};
pub(crate) use rule::{Rule, Violation};
pub use settings::Settings;
pub use verify::verify;
pub(crate) use warnings::group_minimums;
pub(crate) use weights::{units, weight};
pub(crate) use why::{Constraint, Why, WouldAllow};
