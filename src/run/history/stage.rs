//! [`Stage`]: how far a run is by its journal, and which record may follow which. There is no other table of it.

use thiserror::Error;

use super::super::{Outcome, Past};

/// How far a run is, by the order of its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// There is no record yet.
    #[default]
    Blank,
    /// It was confirmed and has taken nothing.
    Opened,
    /// A batch is reserved, and taken out of service.
    Granted,
    /// The system is watched without it.
    Baking,
    /// The bake ended well.
    Baked,
    /// The batch is terminated.
    Terminating,
    /// It is gone, and the next one is not granted.
    Between,
    /// Another process has the run since, and tells how the batch stands.
    TakenOver,
    /// It goes forward no more: what is out of service is put back.
    Stopping,
    /// It ended and took nothing: its request id may be used again.
    Withdrawn,
    /// It ended.
    Ended,
    /// A record that is not of a run has a journal of its own.
    Alone,
}

impl Stage {
    /// Where a record leads to, and from which stages it may come.
    pub(super) fn next(self, event: &Past) -> (Self, &'static [Self]) {
        use Stage::{
            Alone, Baked, Baking, Between, Blank, Ended, Granted, Opened, Stopping, TakenOver, Terminating, Withdrawn,
        };
        /// Every stage of a run that has neither ended nor yet to begin.
        const UNDER_WAY: &[Stage] = &[Opened, Granted, Baking, Baked, Terminating, Between, TakenOver, Stopping];
        match event {
            Past::RunOpened { .. } => (Opened, &[Blank, Withdrawn]),
            Past::ReferenceTaken { .. } => (self, &[Opened, Between, TakenOver]),
            Past::BatchGranted { .. } => (Granted, &[Opened, Between, TakenOver]),
            Past::BatchCordoned { .. } => (Baking, &[Granted, TakenOver]),
            // A bake that nobody claimed in time begins again.
            Past::BakeRestarted { .. } => (Baking, &[Baking, Baked]),
            Past::BakeEnded { .. } => (Baked, &[Baking]),
            Past::TerminationStarted { .. } => (Terminating, &[Baked]),
            Past::HostTerminated { .. } => (self, &[Terminating, TakenOver, Stopping]),
            Past::BatchTerminated { .. } => {
                let to = if self == Stopping { Stopping } else { Between };
                (to, &[Granted, Baking, Baked, Terminating, Between, TakenOver, Stopping])
            }
            // S6, S9: whoever takes over a run that was stopping, or has ended, goes nowhere but back.
            Past::RunTakenOver { .. } => {
                let to = if matches!(self, Stopping | Ended | Withdrawn) { Stopping } else { TakenOver };
                let from = &[
                    Blank,
                    Opened,
                    Granted,
                    Baking,
                    Baked,
                    Terminating,
                    Between,
                    TakenOver,
                    Stopping,
                    Withdrawn,
                    Ended,
                ];
                (to, from)
            }
            Past::Stopped { .. } => (Stopping, UNDER_WAY),
            Past::HostRestored { .. }
            | Past::HostUntouched { .. }
            | Past::HostInDoubt { .. }
            | Past::HostGivenUp { .. } => (self, &[TakenOver, Stopping]),
            // S5: nothing is sent for a run that was granted nothing.
            Past::CallIntended { .. } => (self, &[Granted, Baking, Terminating, Between, TakenOver, Stopping]),
            Past::Sampled { .. } => (self, &[Granted, Baking, Baked, Terminating, Between, TakenOver, Stopping]),
            Past::HostDropped { .. }
            | Past::GroupHeld { .. }
            | Past::GroupReleased { .. }
            | Past::GroupLeft { .. }
            | Past::CallAnswered { .. }
            | Past::Waiting { .. }
            | Past::Warned { .. } => (self, UNDER_WAY),
            Past::RunEnded { outcome: Outcome::NotStarted, .. } => (Withdrawn, &[Opened, TakenOver, Stopping]),
            Past::RunEnded { .. } => (Ended, &[Opened, Between, TakenOver, Stopping]),
            Past::HaltOrdered { .. }
            | Past::HaltLifted { .. }
            | Past::LedgerAdopted { .. }
            | Past::LedgerTimeSet { .. }
            | Past::JournalPruned { .. } => (Alone, &[Blank]),
        }
    }
}

/// A record that may not come where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "record {seq} of the journal may not follow what stands before it: the run was {stage:?}, and the record is {event}"
)]
pub(crate) struct IllegalEvent {
    /// Where it stands.
    pub(crate) seq: u64,
    /// How far the run was.
    pub(crate) stage: Stage,
    /// The record's name.
    pub(crate) event: String,
}
