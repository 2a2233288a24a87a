//! The progress of a run, as people see it.

use std::time::Duration;

use crate::health::{Bake, Measured};
use crate::model::{BatchNumber, HostId, Time};

use super::machine::Machine;
use super::phase::{BatchStep, BatchUnderWay, Phase};
use super::reservation::ReservedHost;
use super::timeouts;
use super::trouble::Trouble;

/// The progress of a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Progress {
    /// The step.
    pub(crate) step: Step,
    /// The batch under way, from 1, and how many there are.
    pub(crate) batch: (BatchNumber, u64),
    /// The hosts of the batch that are still in the plan, or those being put back.
    pub(crate) hosts: Vec<HostId>,
    /// The time left in the step, if known: of a bake, or of a wait.
    pub(crate) left: Option<Duration>,
    /// The length of the whole step, if known.
    pub(crate) total: Option<Duration>,
    /// Each probe's last reading, with its limits.
    pub(crate) readings: Vec<Measured>,
    /// What keeps hosts from being put back.
    pub(crate) trouble: Option<Trouble>,
    /// What holds hosts on their way out, or a bake from its end, one text each.
    pub(crate) waits_for: Vec<String>,
    /// What stops the run, if something does.
    pub(crate) stopping: Option<String>,
}

impl Machine {
    /// Hosts that are out of service, or may be.
    fn being_put_back(&self) -> impl Iterator<Item = &ReservedHost> {
        self.reservations.hosts.values().filter(|host| host.may_be_out())
    }

    /// Whether the provider has acknowledged the termination of every host that is out.
    pub(super) fn is_only_waited_for(&self) -> bool {
        let mut out = self.reservations.hosts.values().peekable();
        out.peek().is_some() && out.all(|host| host.terminate.acked_at.is_some())
    }
}

/// The steps of a run, as people know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The reference is sampled.
    Reference,
    /// The run was taken over: what an earlier process sent must be over first.
    TakingOver,
    /// The next batch is checked and granted.
    Checking,
    /// A budget or an interval asks to wait.
    Waiting,
    /// The run is paused.
    Paused,
    /// A person is asked about the next batch.
    Asking,
    /// The batch is taken out of service.
    Cordoning,
    /// Hooks drain it.
    Draining,
    /// The system is watched without it.
    Baking,
    /// The batch is terminated.
    Terminating,
    /// The provider must show that it is gone.
    Verifying,
    /// Cordoned hosts are put back.
    Restoring,
    /// The run is being closed.
    Closing,
    /// It has ended, every cordoned host is back, and it reads the probes until then.
    Following {
        /// One bake after the last restore.
        until: Time,
    },
}

impl Machine {
    /// The progress at `now`.
    pub(crate) fn progress(&self, now: Time) -> Progress {
        let (settings, trouble) = (self.settings(), self.trouble());
        let (step, left, total) = match &self.phase {
            Phase::Enlisting => (Step::Checking, None, None),
            Phase::Reference { observations, .. } => {
                let every = |samples: usize| settings.every * samples.saturating_sub(1) as u32;
                let (total, done) = (every(settings.reference_samples()), every(observations.len()));
                (Step::Reference, Some(total.saturating_sub(done)), Some(total))
            }
            Phase::TakingOver { since } => (Step::TakingOver, Some(since.since(now)), None),
            // The last batch is gone, and there is nothing left to check.
            Phase::Opening { .. } if self.batches.current().is_none() => (Step::Closing, None, None),
            Phase::Opening { .. } if self.waiting.paused.is_some() => (Step::Paused, None, None),
            Phase::Asking { until, .. } => (Step::Asking, Some(until.since(now)), None),
            Phase::Opening { .. } if self.waiting.in_line => (Step::Waiting, None, None),
            Phase::Opening { not_before, .. } if *not_before > now => {
                (Step::Waiting, Some(not_before.since(now)), None)
            }
            Phase::Opening { .. } => (Step::Checking, None, None),
            Phase::InBatch(BatchUnderWay { step, .. }) => match step {
                BatchStep::Suspending | BatchStep::Cordoning { .. } => (Step::Cordoning, None, None),
                BatchStep::Draining => (Step::Draining, None, None),
                BatchStep::Baking { bake, .. } => {
                    let progress = bake.progress(now);
                    (Step::Baking, Some(progress.left), Some(progress.whole))
                }
                BatchStep::Terminating { .. } => (Step::Terminating, None, None),
                BatchStep::Verifying { .. } => (Step::Verifying, None, None),
            },
            // What was told to terminate is not put back: it is only waited for.
            Phase::Restoring { .. } if self.is_only_waited_for() => (Step::Verifying, None, None),
            Phase::Restoring { .. } if self.being_put_back().next().is_some() => match &trouble {
                // Otherwise it takes seconds, and the time until it gives up would be the wrong thing to tell.
                Some(trouble) => {
                    (Step::Restoring, Some(trouble.gives_up_at.since(now)), Some(timeouts::RESTORE_TIMEOUT))
                }
                None => (Step::Restoring, None, None),
            },
            // Nothing is out: what was granted, if anything, is only to be let go.
            Phase::Restoring { .. } => (Step::Closing, None, None),
            Phase::Following { from, until } => {
                (Step::Following { until: *until }, Some(until.since(now)), Some(until.since(*from)))
            }
            Phase::Closing { .. } | Phase::Withdrawing { .. } | Phase::Over => (Step::Closing, None, None),
        };
        let hosts = match step {
            Step::Restoring => self.being_put_back().map(|host| host.id.clone()).collect(),
            Step::Reference
            | Step::TakingOver
            | Step::Checking
            | Step::Waiting
            | Step::Paused
            | Step::Asking
            | Step::Cordoning
            | Step::Draining
            | Step::Baking
            | Step::Terminating
            | Step::Verifying
            | Step::Closing
            | Step::Following { .. } => self.batches.current().map(|batch| batch.hosts.clone()).unwrap_or_default(),
        };
        let readings = self.baseline.shown.measured();
        let stopping = self.stopping.cause.as_ref().map(|cause| cause.message.clone());
        let missing = self.phase.bake().map(Bake::missing).unwrap_or_default();
        let missing = missing.iter().map(|finding| format!("probe {} {}", finding.key, finding.message));
        let (batch, waits_for) =
            (self.batches.shown(), self.held().into_iter().chain(missing).chain(self.awaited_hooks()).collect());
        Progress { step, batch, hosts, left, total, readings, trouble, waits_for, stopping }
    }
}
