//! All that operators must agree on about a fleet, as one record and one pure function on it.
//!
//! [`FleetRecord`] is the shared state; [`decide`] is the only way to change it, but for
//! [`halt`], which must always be possible. What is in the record protects
//! hosts: a hold lasts until [`Command::Resolve`] says what became of the host, however long its process is dead.
//! Nothing here reads a clock, a fleet or a file, and nothing here chooses hosts: that is `plan`'s.

mod clock;
mod command;
mod decide;
mod grant;
mod group;
mod halt;
mod judge;
mod line;
mod outcome;
mod record;
mod takeover;
mod terminate;
#[cfg(test)]
mod tests;
mod view;

pub use command::{Command, Context, Granted, HostOutcome, Refusal, RunIdentity, WaitOn};
pub use decide::decide;
pub use halt::halt;
pub use judge::is_race;
pub use record::{
    AcceptedPolicy, EndedRun, FleetRecord, GroupHold, Halt, Hold, HoldState, MEMORY, ProcessId, RECORD_SCHEMA,
    REFERENCE_LIFE, Resuming, RunEntry, TerminationCount,
};
