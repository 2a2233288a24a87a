//! [`JournalStage`]: how far a run is by its journal, and which record may follow which. There is no other table of it.

use thiserror::Error;

use super::super::{Event, Outcome};
use crate::model::HookStage;

/// The stage of a run, by the order of its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum JournalStage {
    /// There is no record yet.
    #[default]
    Blank,
    /// It was confirmed and has taken nothing.
    Opened,
    /// A batch is reserved, and taken out of service.
    Granted,
    /// Hooks drain it.
    Draining,
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

impl JournalStage {
    /// The stage that a record leads to, and the stages that it may follow.
    pub(super) fn next(self, event: &Event) -> (Self, &'static [Self]) {
        use JournalStage::{
            Alone, Baked, Baking, Between, Blank, Draining, Ended, Granted, Opened, Stopping, TakenOver, Terminating,
            Withdrawn,
        };
        /// Every stage of a run that has neither ended nor yet to begin.
        const UNDER_WAY: &[JournalStage] =
            &[Opened, Granted, Draining, Baking, Baked, Terminating, Between, TakenOver, Stopping];
        match event {
            Event::RunOpened { .. } => (Opened, &[Blank, Withdrawn]),
            Event::ReferenceTaken { .. } => (self, &[Opened, Between, TakenOver, Stopping]),
            Event::BatchGranted { .. } => (Granted, &[Opened, Between, TakenOver]),
            Event::BatchCordoned { .. } => (Baking, &[Granted, TakenOver]),
            // A bake that nobody claimed in time begins again, also of what waits until the first host was seen to be gone.
            Event::BatchDrained { .. } => (Baking, &[Draining]),
            Event::BatchShrunk { .. } => (self, &[Opened, Between, TakenOver]),
            Event::HookIntended { intent, .. } if intent.on == HookStage::Drain => (Draining, &[Baking, Draining]),
            Event::HookIntended { .. } | Event::HookAnswered { .. } => (self, UNDER_WAY),
            Event::BakeRestarted { .. } => (Baking, &[Baking, Baked, Terminating]),
            Event::BakeExtended { .. } => (self, &[Baking]),
            Event::BakeEnded { .. } => (Baked, &[Baking]),
            // What goes first and alone is one step, what follows it another.
            Event::TerminationStarted { .. } => (Terminating, &[Baked, Terminating]),
            Event::HostTerminated { .. } => (self, &[Terminating, TakenOver, Stopping]),
            Event::BatchTerminated { .. } => {
                let to = if self == Stopping { Stopping } else { Between };
                (to, &[Granted, Draining, Baking, Baked, Terminating, Between, TakenOver, Stopping])
            }
            // S6, S9: whoever takes over a run that was stopping, or has ended, goes nowhere but back.
            Event::RunTakenOver { .. } => {
                let to = if matches!(self, Stopping | Ended | Withdrawn) { Stopping } else { TakenOver };
                let from = &[
                    Blank,
                    Opened,
                    Granted,
                    Draining,
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
            Event::Paused { .. } | Event::Continued { .. } => (self, &[Opened, Between, TakenOver]),
            Event::Asked { .. } | Event::BatchConfirmed { .. } => (self, &[Between, TakenOver]),
            Event::Stopped { .. } => (Stopping, UNDER_WAY),
            Event::HostRestored { .. }
            | Event::HostUntouched { .. }
            | Event::HostInDoubt { .. }
            | Event::HostGivenUp { .. } => (self, &[TakenOver, Stopping]),
            // S5: nothing is sent for a run that was granted nothing.
            Event::CallIntended { .. } => {
                (self, &[Granted, Draining, Baking, Baked, Terminating, Between, TakenOver, Stopping])
            }
            // From the reference on; and for one bake behind the end, if hosts were put back.
            Event::Sampled { .. } => {
                (self, &[Opened, Granted, Draining, Baking, Baked, Terminating, Between, TakenOver, Stopping, Ended])
            }
            Event::HostDropped { .. }
            | Event::GroupHeld { .. }
            | Event::GroupReleased { .. }
            | Event::GroupLeft { .. }
            | Event::CallAnswered { .. }
            | Event::Waiting { .. }
            | Event::Warned { .. } => (self, UNDER_WAY),
            Event::RunEnded { outcome: Outcome::NotStarted, .. } => (Withdrawn, &[Opened, TakenOver, Stopping]),
            Event::RunEnded { .. } => (Ended, &[Opened, Between, TakenOver, Stopping]),
            Event::HaltOrdered { .. }
            | Event::HaltLifted { .. }
            | Event::PauseOrdered { .. }
            | Event::ContinueOrdered { .. }
            | Event::LedgerAdopted { .. }
            | Event::MinimumRaised { .. }
            | Event::LedgerTimeSet { .. }
            | Event::JournalPruned { .. } => (Alone, &[Blank]),
        }
    }
}

/// A record that may not come where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "record {seq} of the journal may not follow what stands before it: the run was {stage:?}, and the record is {event}"
)]
pub(crate) struct IllegalEvent {
    /// Its number.
    pub(crate) seq: u64,
    /// The stage before it.
    pub(crate) stage: JournalStage,
    /// The record's name.
    pub(crate) event: String,
}
