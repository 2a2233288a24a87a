//! All that operators must agree on about a fleet, as one record and one pure function on it.
//!
//! [`FleetRecord`] is the shared state; [`decide`] is the only way to change it, but for
//! [`halt`], which must always be possible. What is in the record protects
//! hosts: a hold lasts until [`Command::Resolve`] says what became of the host, however long its process is dead.
//! Nothing here reads a clock, a fleet or a file, and nothing here chooses hosts: that is `plan`'s.

#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

mod clock;
mod command;
mod decide;
mod grant;
mod group;
mod halt;
mod judge;
mod life;
mod line;
mod outcome;
mod record;
mod takeover;
mod terminate;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use command::{Command, Context, Granted, HostOutcome, Refusal, RunIdentity, WaitOn};
pub(crate) use decide::decide;
pub(crate) use halt::halt;
pub(crate) use judge::is_race;
pub(crate) use life::Life;
pub(crate) use record::{
    AcceptedPolicy, EndedRun, GroupHold, Hold, HoldState, MEMORY, ProcessId, RECORD_SCHEMA, REFERENCE_LIFE, Resuming,
    RunEntry, TerminationCount,
};
pub use record::{FleetRecord, Halt};
