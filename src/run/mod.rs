//! The run: a pure state machine, its journal, and the document that the journal makes.
//!
//! `Planned -> Confirmed -> [ Granted -> Cordoning -> Baking -> Terminating -> Verifying -> Waiting ]* -> Completed`, and
//! from every state `-> Restoring -> Aborted | Halted`, or `-> NeedsAttention` (docs/architecture.md). [`Machine`] is that;
//! it performs nothing, reads no clock and knows no provider. A run whose process died is made again from its journal
//! (`recover`), and looks before it goes on (`stock`).

mod act;
mod batch;
mod calls;
mod cause;
mod document;
mod hold;
mod journal;
mod late;
mod learn;
mod leave;
mod machine;
mod opening;
mod patience;
mod progress;
mod pruned;
mod recover;
mod remains;
mod report;
mod restore;
mod setback;
mod stock;
mod takeover;
mod waiting;

pub use act::{Act, Blind, Change, Finish, Input, Loss, NotStarted, Order, Round};
pub use calls::open_calls;
pub use document::{BatchReport, BatchState, Cause, CauseKind, Outcome, RunDocument, TakenOver};
pub use journal::{EVENT_SCHEMA, GrantedHost, JournalRecord, Past, Purpose};
pub use late::{Late, deeds, late};
pub use machine::{Machine, Spec};
pub use progress::{Progress, Step};
pub use pruned::{Stays, is_pruned, prune, records_ever};
pub use recover::Successor;
pub use remains::{Remains, remains};
pub use report::{RUN_SCHEMA, has_ended, report, takeovers};
pub use takeover::{
    Standing, actor, attempt, next_epoch, quiet_from, silent_from, standing, taken_over_by, took_nothing, was_granted,
};

#[cfg(test)]
mod tests;
