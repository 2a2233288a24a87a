//! `safe-remove/run/v1`: the record of one run (contract section 7).

use serde::{Deserialize, Serialize};

use crate::coordination::Pause;
use crate::model::{BatchNumber, FleetName, HostId, OperatorId, PlanDigest, RequestId, RunId, SubsystemName, Time};
use crate::plan::SubsystemCapacity;

/// The outcome of a run, final or so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything asked for is verified gone. Exit 0.
    Completed,
    /// Stopped on a regression; what was cordoned is back. Exit 7.
    Aborted,
    /// Stopped by an order; what was cordoned is back. Exit 9.
    Halted,
    /// A person is needed. Exit 8.
    NeedsAttention,
    /// It was confirmed and was granted nothing: nothing was touched. The exit code says why.
    NotStarted,
}

/// The purpose of a takeover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// To go on with the plan that was confirmed, or to finish putting back if it was stopping.
    Resume,
    /// To put back what is cordoned and to end it.
    Abandon,
}

/// The kind of a [`Cause`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CauseKind {
    /// A probe: the only cause that text calls a regression.
    Probe,
    /// The longest bake was over, and it was not shown whether a probe is within its limit.
    Inconclusive,
    /// A hook said no.
    Hook,
    /// A rule that no longer holds.
    Rule,
    /// The fleet shows something else than what was done.
    Inventory,
    /// Something took longer than the run waits for it.
    Timeout,
    /// The provider refuses what is asked for, or does not answer.
    Provider,
    /// A bug.
    Internal,
    /// The ledger was lost or refused.
    Ledger,
    /// A person or a signal.
    Order,
}

/// Why a run stopped, with its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// Which kind.
    pub(crate) kind: CauseKind,
    /// The rule, if it was one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) rule: Option<String>,
    /// The probe (`subsystem/name`), if it was one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) probe: Option<String>,
    /// The sentence for people.
    pub(crate) message: String,
    /// The measured value.
    pub(crate) measured: Option<f64>,
    /// Its limit.
    pub(crate) limit: Option<f64>,
}

/// How the readings went on behind the last restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RecoveryState {
    /// A reading was bad while hosts were out, and none is bad now.
    Recovered,
    /// A reading is bad although every cordoned host is back.
    StillBad,
    /// No reading was bad, before and behind.
    NeverBad,
    /// They were read for less than a bake behind the last restore: nothing follows from it yet.
    ReadInPart,
    /// They were not read behind the last restore.
    NotRead,
}

/// `recovery` of the run document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recovery {
    /// How they went on.
    pub(crate) state: RecoveryState,
    /// How long they were read behind the last restore, in milliseconds; at most one sampling period more than the bake.
    pub(crate) read_ms: u64,
    /// The length of a bake: so long they are read unless somebody ends it.
    pub(crate) bake_ms: u64,
    /// The run's process reads on until then, as far as whoever shows the document can see.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) reads_until: Option<Time>,
    /// The probes (`subsystem/name`) whose last reading is bad.
    pub(crate) bad: Vec<String>,
    /// The same for people, as one sentence or two.
    pub(crate) message: String,
}

/// The state of a batch at the end of its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BatchState {
    /// Verified gone.
    Terminated,
    /// Back in service.
    Restored,
    /// Out of service, running.
    Cordoned,
    /// At least one host of it is in doubt.
    Unknown,
    /// Nothing of it was touched.
    NotStarted,
}

/// One batch of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BatchReport {
    /// From 1.
    pub(crate) number: BatchNumber,
    /// Its hosts.
    pub(crate) hosts: Vec<HostId>,
    /// Its state.
    pub(crate) state: BatchState,
    /// When all of it was observed cordoned.
    pub(crate) cordoned_at: Option<Time>,
    /// When its clean bake ended.
    pub(crate) bake_ended_at: Option<Time>,
    /// When all of it was verified gone.
    pub(crate) terminated_at: Option<Time>,
    /// When all of it was observed back in service.
    pub(crate) restored_at: Option<Time>,
}

/// Somebody who took the run over from its process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TakenOver {
    /// Who decided it.
    pub(crate) operator: OperatorId,
    /// When, by the clock of the process that took it.
    pub(crate) at: Time,
    /// `resumed` or `abandoned`, with ` with --even-if-alive` behind it if that was given.
    pub(crate) how: String,
}

/// A person let a batch go after the first one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConfirmedBatch {
    /// Which batch.
    pub(crate) batch: BatchNumber,
    /// Who.
    pub(crate) operator: OperatorId,
    /// When, by the run's clock.
    pub(crate) at: Time,
    /// `typed` at the run's terminal, or `continue` from anywhere.
    pub(crate) how: String,
}

/// A host that could not be put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HostDoubt {
    /// The host.
    pub(crate) host: HostId,
    /// Whether it is known to be cordoned; else nobody can tell where it is.
    pub(crate) cordoned: bool,
    /// What was known: the last observation, and the last answer of the provider.
    pub(crate) why: String,
    /// When a read can prove where it is: before then `abandon` cannot let go of it.
    pub(crate) until: Option<Time>,
}

/// The run took no further batch for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunPause {
    /// Who paused it.
    pub(crate) operator: OperatorId,
    /// Why, if it was said.
    pub(crate) reason: Option<String>,
    /// When it was ordered.
    pub(crate) at: Time,
    /// The run paused by itself after this batch (`--pause-after`).
    pub(crate) after: Option<BatchNumber>,
    /// When the run went on, or the pause was lifted of a run that had not noticed it; `None` if neither happened.
    pub(crate) continued_at: Option<Time>,
    /// Who lifted it, if that is known.
    pub(crate) continued_by: Option<OperatorId>,
}

impl RunPause {
    /// A pause that nobody has lifted.
    pub(super) fn of(pause: &Pause) -> Self {
        let Pause { operator, reason, at, after } = pause.clone();
        Self { operator, reason, at, after, continued_at: None, continued_by: None }
    }

    /// Whether it is this pause, whatever was said of its reason since.
    pub(super) fn tells_of(&self, pause: &Pause) -> bool {
        (&self.operator, self.at, self.after) == (&pause.operator, pause.at, pause.after)
    }
}

/// The run document. Field names are the contract's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunDocument {
    /// `safe-remove/run/v1`
    pub(crate) schema: String,
    /// Which run.
    pub(crate) run: RunId,
    /// The plan that was confirmed.
    pub(crate) plan: PlanDigest,
    /// The fleet.
    pub(crate) fleet: FleetName,
    /// Who.
    pub(crate) operator: OperatorId,
    /// The subsystem named.
    pub(crate) subsystem: SubsystemName,
    /// Why.
    pub(crate) reason: Option<String>,
    /// The idempotency key.
    pub(crate) request_id: Option<RequestId>,
    /// How its operator confirmed the plan: `typed` at a terminal, or `unattended` with `--yes`.
    #[serde(default)]
    pub(crate) confirmed: Option<String>,
    /// The outcome.
    pub(crate) outcome: Outcome,
    /// The process's exit code.
    pub(crate) exit_code: u8,
    /// When it was opened.
    pub(crate) started_at: Time,
    /// The end.
    pub(crate) ended_at: Time,
    /// Why it stopped; `None` if it completed.
    pub(crate) cause: Option<Cause>,
    /// Whether the readings recovered once everything was back; `None` if the run put no host back, or not all of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) recovery: Option<Recovery>,
    /// Batch by batch.
    pub(crate) batches: Vec<BatchReport>,
    /// Verified gone.
    pub(crate) terminated: Vec<HostId>,
    /// Back in service.
    pub(crate) restored: Vec<HostId>,
    /// Still cordoned, or their state is unknown.
    pub(crate) in_doubt: Vec<HostId>,
    /// What was known of each of these when the run gave up. A host is missing here whose process died before that.
    #[serde(default)]
    pub(crate) doubts: Vec<HostDoubt>,
    /// Vanished by themselves: dropped from the plan, nothing put in their place.
    pub(crate) dropped: Vec<HostId>,
    /// Capacity before the run, remaining measured at its end.
    pub(crate) subsystems: Vec<SubsystemCapacity>,
    /// Who took it over from the operator who began it, the earliest first.
    #[serde(default)]
    pub(crate) taken_over_by: Vec<TakenOver>,
    /// Who let which batch go after the first one.
    #[serde(default)]
    pub(crate) confirmations: Vec<ConfirmedBatch>,
    /// When it was paused, and continued.
    #[serde(default)]
    pub(crate) pauses: Vec<RunPause>,
    /// Remarks for people.
    pub(crate) warnings: Vec<String>,
    /// The command that comes next, if one does. The journal does not know how this program was called: whoever shows
    /// the document sets it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) next_command: Option<String>,
    /// The earliest time at which that command can prove where every host is; never before `ended_at`, which means at once.
    /// `None` where something must happen first: the warnings say what.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) next_command_at: Option<Time>,
}
