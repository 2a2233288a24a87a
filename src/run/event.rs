//! [`Event`]: everything that a journal can say, in the past tense.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::coordination::{Halt, Pause, ProcessId};
use crate::health::{ProbeLimits, ProbeReading, Reference};
use crate::model::{
    BatchNumber, Call, CallOutcome, FleetName, GroupName, HookAnswer, HookCall, HostId, OperatorId, ProbeKey,
    RequestId, RunId, SubsystemName, TargetGroupId, Time,
};
use crate::plan::{PlanDocument, RequestDocument, Settings, SubsystemCapacity};

use super::{Cause, Outcome, Purpose, RunDocument};

/// The facts about a host that its run needs to put it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantedHost {
    /// Its group.
    pub(crate) group: Option<GroupName>,
    /// The target groups it was in.
    pub(crate) target_groups: BTreeSet<TargetGroupId>,
    /// Whether it served.
    pub(crate) serving: bool,
}

/// An event of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "snake_case")]
pub enum Event {
    /// The plan was confirmed: the run exists, and its id is spoken for. Nothing was granted yet.
    RunOpened {
        /// The plan as it was confirmed.
        plan: Box<PlanDocument>,
        /// The strictest settings of everything it touches and watches.
        settings: Box<Settings>,
        /// The fleet.
        fleet: FleetName,
        /// Who.
        operator: OperatorId,
        /// Why.
        reason: Option<String>,
        /// The idempotency key.
        request_id: Option<RequestId>,
        /// The process that acts.
        process: ProcessId,
        /// At which epoch: above every one that the journal has seen.
        epoch: u64,
        /// `typed` or `unattended`.
        confirmed: String,
        /// `--expect-remaining`
        expect_remaining: Option<u64>,
        /// `--pause-after`
        pause_after: Option<BatchNumber>,
        /// How long hooks may ask to wait at one stage: `--max-wait`.
        #[serde(rename = "hook_wait_ms", with = "crate::policy::duration_ms")]
        hook_wait: Duration,
        /// The minimum of every subsystem that the run touches or watches, in units.
        #[serde(default)]
        minimums: BTreeMap<SubsystemName, u64>,
    },
    /// The probes' reference is known: sampled from before the first batch, or taken over from a run that this one
    /// overlaps.
    ReferenceTaken {
        /// Each probe's samples, the oldest first.
        reference: Reference,
        /// When its first sample was taken, by whichever run.
        sampled_at: Time,
        /// Each probe's limits from here on, those that are per cent of the reference as numbers. Whoever takes the run
        /// over with other policies writes this record again.
        #[serde(default)]
        limits: BTreeMap<ProbeKey, ProbeLimits>,
    },
    /// The ledger reserved a batch.
    BatchGranted {
        /// Which batch.
        batch: BatchNumber,
        /// Its hosts.
        granted: BTreeMap<HostId, GrantedHost>,
    },
    /// A host of the plan left by itself, or others took it away, and it was dropped; none takes its place.
    HostDropped {
        /// The batch it was in.
        batch: BatchNumber,
        /// Which host.
        host: HostId,
        /// What is known of it, where it is more than that it is no longer listed.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        why: Option<String>,
    },
    /// The record says that this run needs a process of the group suspended.
    GroupHeld {
        /// Which group.
        group: GroupName,
    },
    /// The record no longer says so.
    GroupReleased {
        /// Which group.
        group: GroupName,
    },
    /// The run leaves the group as it is: the record was not told, or AZRebalance stays suspended. Whoever takes the run
    /// over tries again, and then [`Event::GroupReleased`] takes this back.
    GroupLeft {
        /// Which group.
        group: GroupName,
        /// The group's state, the reason, and the command that mends it.
        message: String,
    },
    /// A call is about to be sent.
    CallIntended {
        /// Numbered within the run.
        call: u64,
        /// What, and until when the provider may do it.
        #[serde(flatten)]
        intent: Call,
    },
    /// The answer, if there was one.
    CallAnswered {
        /// Which call.
        call: u64,
        /// The known facts.
        #[serde(flatten)]
        outcome: CallOutcome,
    },
    /// A hook is about to be called. It may be called again for the same, also after a crash.
    HookIntended {
        /// Numbered within the run's hooks.
        call: u64,
        /// Which hook, and about what.
        #[serde(flatten)]
        intent: HookCall,
    },
    /// Its answer, or that there is none.
    HookAnswered {
        /// Which call.
        call: u64,
        /// The answer.
        #[serde(flatten)]
        outcome: HookAnswer,
    },
    /// Hooks allow only a part of the batch: these hosts stay in the plan, in a batch behind all others.
    BatchShrunk {
        /// Which batch.
        batch: BatchNumber,
        /// The hosts that are not in it any more.
        hosts: BTreeSet<HostId>,
        /// The batch that they are in now.
        later: BatchNumber,
    },
    /// The hooks have drained the batch; its bake begins.
    BatchDrained {
        /// Which batch.
        batch: BatchNumber,
    },
    /// Every host of the batch was observed out of service. Its bake begins, or if hooks drain it, that.
    BatchCordoned {
        /// Which batch.
        batch: BatchNumber,
    },
    /// The probes were read: for the reference, before a batch, while one is out, while it is put back, and for one bake
    /// behind that. Without readings it says only that the run lives.
    Sampled {
        /// The batch that is out, if one is.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        batch: Option<BatchNumber>,
        /// Each probe's reading, as it was judged.
        readings: BTreeMap<ProbeKey, ProbeReading>,
        /// The capacity of each subsystem that the run touches or watches, in units, as the fleet was observed in the same
        /// round. Empty if it could not be; without those of which it cannot be told.
        #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
        capacity: BTreeMap<SubsystemName, u64>,
    },
    /// A gap broke the chain of samples; the bake begins again.
    BakeRestarted {
        /// Which batch.
        batch: BatchNumber,
        /// The length of the gap, in milliseconds.
        gap_ms: u64,
    },
    /// The bake is as long as it must be, and goes on because it is not shown yet whether a probe is within its limit.
    BakeExtended {
        /// Which batch.
        batch: BatchNumber,
        /// When it ends at the latest.
        until: Time,
        /// The limit that is not shown to hold, with its numbers.
        why: String,
    },
    /// The batch baked clean for the whole bake.
    BakeEnded {
        /// Which batch.
        batch: BatchNumber,
        /// The number of rounds of samples.
        rounds: u64,
    },
    /// The ledger took the step to termination.
    TerminationStarted {
        /// Which batch.
        batch: BatchNumber,
    },
    /// A host was observed gone.
    HostTerminated {
        /// The batch it was in.
        batch: BatchNumber,
        /// Which host.
        host: HostId,
    },
    /// Every host of the batch is gone.
    BatchTerminated {
        /// Which batch.
        batch: BatchNumber,
    },
    /// The run waits.
    Waiting {
        /// Until when.
        until: Time,
        /// For what.
        why: String,
    },
    /// The run is paused: it takes no further batch until somebody continues it.
    Paused {
        /// By whom, and why.
        pause: Pause,
    },
    /// The pause was lifted.
    Continued {
        /// By whom; `None` if that is not known any more.
        operator: Option<OperatorId>,
    },
    /// A person is asked whether the next batch may go.
    Asked {
        /// Which batch.
        batch: BatchNumber,
        /// Whether the run's own terminal asks. If it does not, `continue` is the answer.
        attended: bool,
        /// When the run ends without an answer.
        until: Time,
    },
    /// A person let the batch go.
    BatchConfirmed {
        /// Which batch.
        batch: BatchNumber,
        /// Who.
        operator: OperatorId,
        /// `typed` at the run's terminal, or `continue` from anywhere.
        how: String,
    },
    /// Something made the run stop; a later one may be more severe.
    Stopped {
        /// What.
        cause: Cause,
    },
    /// A host is in service and healthy again, for good.
    HostRestored {
        /// The batch it was in.
        batch: BatchNumber,
        /// Which host.
        host: HostId,
    },
    /// A host was granted but never left service.
    HostUntouched {
        /// The batch it was in.
        batch: BatchNumber,
        /// Which host.
        host: HostId,
    },
    /// A host's state is not known, or it is still cordoned.
    HostInDoubt {
        /// The batch it was in.
        batch: BatchNumber,
        /// Which host.
        host: HostId,
        /// Whether it is known to be cordoned: the last observation showed it, and no call can change that any more.
        cordoned: bool,
        /// No call can reach it later than this.
        until: Option<Time>,
        /// The known facts.
        why: String,
    },
    /// The fence: another process took the run over. Whatever an older one appends from here on conflicts.
    RunTakenOver {
        /// The epoch from here on.
        epoch: u64,
        /// The process that acts from here on.
        process: ProcessId,
        /// Who decided it.
        operator: OperatorId,
        /// The purpose.
        purpose: Purpose,
        /// Why.
        reason: Option<String>,
        /// Hosts that are given up if they cannot be put back.
        leave: BTreeSet<HostId>,
        /// Whether it was taken with `--even-if-alive`.
        #[serde(default)]
        even_if_alive: bool,
    },
    /// A person decided to give a host up: the run lets go of it wherever it is.
    HostGivenUp {
        /// The batch it was in.
        batch: BatchNumber,
        /// Which host.
        host: HostId,
        /// Who decided it.
        operator: OperatorId,
        /// Why.
        reason: Option<String>,
        /// The known facts about it.
        why: String,
    },
    /// Something that a person should know.
    Warned {
        /// What.
        message: String,
    },
    /// The end.
    RunEnded {
        /// How.
        outcome: Outcome,
        /// The exit code.
        exit_code: u8,
        /// Capacity before the run, remaining measured at its end.
        subsystems: Vec<SubsystemCapacity>,
    },
    /// `halt`: a stop order is in force. Not of a run: it has a journal of its own.
    HaltOrdered {
        /// The order.
        order: Halt,
    },
    /// `unhalt`: stop orders are about to be lifted. Not of a run: it has a journal of its own.
    HaltLifted {
        /// Which.
        orders: Vec<Halt>,
        /// Who lifts them.
        operator: OperatorId,
        /// Why.
        reason: String,
    },
    /// `pause`: the order is in force. Not of the run's journal, which only its process writes: it has one of its own.
    PauseOrdered {
        /// The run.
        of: RunId,
        /// The order.
        pause: Pause,
    },
    /// `continue`: a pause is lifted, or a batch confirmed. Not of the run's journal: it has one of its own.
    ContinueOrdered {
        /// The run.
        of: RunId,
        /// Who.
        operator: OperatorId,
        /// The pause that was lifted.
        lifted: Option<Pause>,
        /// The batch that was confirmed.
        confirmed: Option<BatchNumber>,
    },
    /// `ledger adopt` is about to mark groups and hosts. Not of a run: it has a journal of its own.
    LedgerAdopted {
        /// Who.
        operator: OperatorId,
        /// Why.
        reason: String,
        /// The call that is about to be sent.
        #[serde(flatten)]
        intent: Call,
    },
    /// `doctor --fix` is about to raise a group's own minimum. Not of a run: it has a journal of its own.
    MinimumRaised {
        /// Who.
        operator: OperatorId,
        /// The call that is about to be sent.
        #[serde(flatten)]
        intent: Call,
    },
    /// `ledger set-time` is about to set the record's time right. Not of a run: it has a journal of its own.
    LedgerTimeSet {
        /// Who.
        operator: OperatorId,
        /// Why.
        reason: String,
        /// The record's time before; from then on it is that of this line.
        was: Time,
    },
    /// `ledger prune` put this in place of the whole journal of a run that had ended. Nothing is appended to it any more.
    /// Its time is that of the journal's first record: by that runs are listed.
    JournalPruned {
        /// The run's document, made of the whole journal.
        document: Box<RunDocument>,
        /// The run's request, for comparison with a later use of its request id.
        request: RequestDocument,
        /// The number of records that the journal had.
        records: u64,
        /// The file that has them, as it was named on the machine of whoever pruned it.
        file: String,
        /// Who pruned it.
        operator: OperatorId,
        /// When.
        pruned_at: Time,
    },
}

impl Event {
    /// Its name in the journal.
    pub(crate) fn name(&self) -> String {
        let name = serde_json::to_value(self).ok().and_then(|value| Some(value.get("event")?.as_str()?.to_owned()));
        name.unwrap_or_else(|| "without a name".to_owned())
    }

    /// The call of a hook that this is the intent of.
    pub(crate) fn hook_intent(&self) -> Option<&HookCall> {
        if let Self::HookIntended { intent, .. } = self { Some(intent) } else { None }
    }

    /// The call that this is the intent of.
    pub(crate) fn intent(&self) -> Option<&Call> {
        if let Self::CallIntended { intent, .. }
        | Self::LedgerAdopted { intent, .. }
        | Self::MinimumRaised { intent, .. } = self
        {
            Some(intent)
        } else {
            None
        }
    }
}
