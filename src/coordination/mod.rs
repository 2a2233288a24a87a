//! All that operators must agree on about a fleet, as one record and one pure function on it.
//!
//! [`FleetRecord`] is the shared state; [`decide`] is the only way to change it, but for
//! [`halt`], which must always be possible. What is in the record protects
//! hosts: a hold lasts until [`Command::Resolve`] says what became of the host, however long its process is dead.
//! Nothing here reads a clock, a fleet or a file, and nothing here chooses hosts: that is `plan`'s.

#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

mod acceptance;
mod clock;
mod command;
mod decide;
mod entry;
mod grant;
mod group;
mod guard;
mod halt;
mod identity;
mod judge;
mod life;
mod line;
mod outcome;
mod pause;
mod record;
mod reference;
mod refusal;
mod retention;
mod takeover;
mod terminate;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use command::{Command, Context, Granted, HostOutcome, RunIdentity};
pub(crate) use decide::decide;
pub(crate) use entry::{Asking, Continued, Pause, ProcessId, Reservation, ReservationState, RunEntry};
pub(crate) use halt::{NO_REASON, explain_halt, halt};
pub(crate) use judge::is_race;
pub(crate) use life::Life;
pub(crate) use pause::{NotHeld, WentOn, explain_pause, go_on, pause};
pub(crate) use record::{
    AcceptedPolicy, EndedRun, ProcessSuspension, RECORD_SCHEMA, RemovalSeen, Resuming, TerminationCount,
};
pub use record::{FleetRecord, Halt};
pub(crate) use reference::REFERENCE_LIFE;
pub(crate) use refusal::{Refusal, WaitOn};
pub(crate) use retention::MEMORY;
