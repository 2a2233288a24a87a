//! The run: a pure state machine, its journal, and the document that the journal makes.
//!
//! `Planned -> Confirmed -> [ Granted -> Cordoning -> Baking -> Terminating -> Verifying -> Waiting ]* -> Completed`, and
//! from every state `-> Restoring -> Aborted | Halted`, or `-> NeedsAttention` (docs/architecture.md). [`Machine`] is that;
//! it performs nothing, reads no clock and knows no provider. A run whose process died is made again from its journal
//! (`recover`), and observes before it goes on (`reconcile`).
//!
//! | files | what they are |
//! | --- | --- |
//! | `machine`, `queue`, `phase` | the machine: where it is, what comes next, how it turns |
//! | `action`, `response` | what it asks of the driver, and what it hears |
//! | `knowledge`, `batches`, `reservation`, `group_calls`, `present`, `whereabouts`, `calls`, `hook_calls` | what it knows, by where it comes from |
//! | `handle`, `observing`, `updated`, `clock` | how it learns |
//! | `judge`, `departures`, `launches`, `preflight`, `rules`, `reason`, `not_started` | whether it may go on, and why it stops |
//! | `forward`, `opening`, `suspension`, `cordon`, `bake`, `terminate` | the way forward |
//! | `between`, `question`, `proof` | between two batches: pausing, asking a person, waiting for what proves the first removal |
//! | `hooks`, `drain`, `undrain` | what the system itself is asked, and told to do |
//! | `restore`, `closing`, `following`, `reconcile`, `recover` | the way back, the end, what is read behind it, the way in after a takeover |
//! | `while_writing`, `timeouts`, `progress`, `trouble` | what is done while a write waits; how long it waits; what is shown of it, and of what fails |
//! | `journal`, `event`, `readings`, `history` | the journal, what it says of the probes, and its one reader |
//! | `document`, `report`, `orders`, `recovery`, `remains`, `offline_journal`, `prune`, `pruned` | what a journal says, for people and commands |
//! | `takeover`, `succession`, `silence` | who may take a run over |

#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

mod action;
mod bake;
mod batches;
mod between;
mod calls;
mod clock;
mod closing;
mod cordon;
mod departures;
mod document;
mod drain;
mod event;
mod following;
mod forward;
mod group_calls;
mod handle;
mod history;
mod hook_calls;
mod hooks;
mod journal;
mod judge;
mod knowledge;
mod launches;
mod machine;
mod not_started;
mod observing;
mod offline_journal;
mod opening;
mod orders;
mod phase;
mod preflight;
mod present;
mod progress;
mod proof;
mod prune;
mod pruned;
mod question;
mod queue;
mod readings;
mod reason;
mod reconcile;
mod recover;
mod recovery;
mod remains;
mod report;
mod reservation;
mod response;
mod restore;
mod rules;
mod scope;
mod silence;
mod succession;
mod suspension;
mod takeover;
mod terminate;
mod timeouts;
mod trouble;
mod undrain;
mod updated;
mod whereabouts;
mod while_writing;

pub(crate) use action::{Action, Finish, RecordUpdate};
pub(crate) use batches::shown_batch;
pub(crate) use document::{
    BatchReport, BatchState, Cause, CauseKind, HostDoubt, Outcome, Purpose, Recovery, RecoveryState, RunDocument,
    TakenOver,
};
pub use event::Event;
pub(crate) use following::reads_on;
#[cfg(test)]
pub(crate) use history::JournalStage;
pub(crate) use history::{CallHistory, HostStage, LastStep, Opening, RunHistory, SampledRound, Single, Takeover};
pub use journal::{EVENT_SCHEMA, JournalRecord};
pub(crate) use machine::{Machine, Spec};
pub(crate) use not_started::{Failure, NotStarted, Order};
pub(crate) use offline_journal::{OfflineJournal, follows, in_words};
pub(crate) use orders::{OrderKind, RunOrder, with_orders};
pub(crate) use progress::{Progress, Step};
pub(crate) use prune::{Stays, prune};
pub(crate) use pruned::{is_pruned, records_ever};
pub(crate) use question::BatchQuestion;
pub(crate) use recover::Successor;
pub(crate) use remains::{Remains, remains};
pub(crate) use report::{has_ended, reading_on, report, takeovers};
pub(crate) use response::{Answer, Blind, Loss, Observation, Response};
pub(crate) use silence::{MayLive, is_silent, may_be_retried, may_live};
pub(crate) use succession::{Fence, NotPermitted, TakeoverError, TakeoverRequest, permission};
pub(crate) use takeover::{RunStatus, next_epoch, quiet_from, run_status, silent_from, taken_over_by, took_nothing};
pub(crate) use trouble::Trouble;

#[cfg(test)]
mod tests;
