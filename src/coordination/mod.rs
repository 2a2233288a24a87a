//! All that operators must agree on about a fleet, as one record and one pure function on it.

mod command;
mod record;

pub use command::{Command, Context, Granted, HostOutcome, Refusal, RunIdentity};
pub use record::{
    AcceptedPolicy, EndedRun, FleetRecord, GroupHold, Halt, Hold, HoldState, MEMORY, ProcessId, RECORD_SCHEMA,
    RequestEntry, Resuming, RunEntry, TerminationCount,
};
