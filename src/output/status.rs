//! `status/v1`: runs in progress, what they hold, and halts.

use serde::Serialize;

use crate::coordination::Halt;
use crate::health::Measured;
use crate::model::{BatchNumber, GroupName, HostId, OperatorId, RunId, SubsystemName, Time};
use crate::run::{HostStage, RunDocument, TakenOver, Trouble};

use super::place::Place;

/// `safe-remove/status/v1`
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StatusDocument {
    /// `safe-remove/status/v1`
    pub(crate) schema: &'static str,
    /// Where it was read.
    #[serde(flatten)]
    pub(crate) place: Place,
    /// The time at which it was judged.
    pub(crate) at: Time,
    /// Runs that have not ended, or that still hold something.
    pub(crate) runs: Vec<StatusRun>,
    /// Stop orders in force.
    pub(crate) halts: Vec<StatusHalt>,
    /// The run that was asked for, where it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<RunDocument>,
    /// The runs that `--watch` showed and that have ended since, the first one shown first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) watched: Vec<RunDocument>,
    /// Warnings: invalid policies, a record that is nearly full.
    pub(crate) warnings: Vec<String>,
}

impl StatusDocument {
    /// Its `schema`.
    pub(crate) const SCHEMA: &'static str = "safe-remove/status/v1";
}

/// A run in progress, or one that ended and still holds something.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StatusRun {
    /// The run's id.
    pub(crate) run: RunId,
    /// The operator who asked for it.
    pub(crate) operator: OperatorId,
    /// The subsystem named.
    pub(crate) subsystem: SubsystemName,
    /// The state of the run: `baking batch 2`, `ended, 1 host in doubt`.
    pub(crate) state: String,
    /// Whether its process lives; `None` where the process is on another machine or in another container and cannot be
    /// checked.
    pub(crate) alive: Option<bool>,
    /// Its process was stopped (Ctrl-Z, SIGSTOP): it does nothing before it is continued, and what it holds stays out.
    pub(crate) stopped: bool,
    /// It has written nothing for three sampling periods longer than it should: it is stopped, dead, or cut off.
    pub(crate) overdue: bool,
    /// The process, as `pid N on HOST`.
    pub(crate) process: String,
    /// The batch under way, or the next one; once all are gone, the last.
    pub(crate) batch: Option<StatusBatch>,
    /// Set while the run takes no further batch.
    pub(crate) paused: Option<StatusPause>,
    /// Set while a person is asked about its next batch.
    pub(crate) asks: Option<StatusQuestion>,
    /// When it took its place in line.
    pub(crate) started_at: Time,
    /// When its journal was last written.
    pub(crate) last_record_at: Option<Time>,
    /// Set where the run ended and still holds something.
    pub(crate) ended_at: Option<Time>,
    /// Hosts that count as gone for everybody else.
    pub(crate) holds: Vec<StatusHold>,
    /// Calls for which it is not known whether they took effect.
    pub(crate) calls: Vec<StatusCall>,
    /// What keeps hosts from being put back, if something does.
    pub(crate) trouble: Option<Trouble>,
    /// The last readings of its probes, nearest to their limit first.
    pub(crate) readings: Vec<Measured>,
    /// When the last settling host can be proved, if one settles.
    pub(crate) until: Option<Time>,
    /// Who took the run over from the operator who began it, the earliest first.
    pub(crate) taken_over_by: Vec<TakenOver>,
    /// The next command, where there is one.
    pub(crate) next_command: Option<String>,
    /// What that command means, for people.
    pub(crate) advice: Option<String>,
}

/// A batch of a run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StatusBatch {
    /// From 1.
    pub(crate) number: BatchNumber,
    /// How many batches the plan has.
    pub(crate) of: u64,
    /// When it was reserved, if it was.
    pub(crate) granted_at: Option<Time>,
    /// When all of it was out of service, if that was seen.
    pub(crate) cordoned_at: Option<Time>,
    /// When its bake ends, if it bakes and nothing interrupts it. `None` where its process is dead, stopped or silent.
    pub(crate) bake_ends_at: Option<Time>,
}

/// Why a run takes no further batch.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StatusPause {
    /// Who paused it.
    pub(crate) operator: OperatorId,
    /// Why, if it was said.
    pub(crate) reason: Option<String>,
    /// Since when.
    pub(crate) since: Time,
    /// The run paused by itself after this batch (`--pause-after`).
    pub(crate) after: Option<BatchNumber>,
}

/// A question that is open.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StatusQuestion {
    /// The batch that it is about.
    pub(crate) batch: BatchNumber,
    /// Whether the run's own terminal asks. If it does not, `continue` is the answer.
    pub(crate) attended: bool,
    /// When the run ends without an answer.
    pub(crate) until: Time,
}

/// A host that a run holds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StatusHold {
    /// The host's id.
    pub(crate) host: HostId,
    /// `reserved`, `terminating` or `settling`.
    pub(crate) state: &'static str,
    /// What the run's journal says of it last.
    pub(crate) stage: Option<HostStage>,
    /// The batch it was granted for.
    pub(crate) batch: BatchNumber,
    /// Its group.
    pub(crate) group: Option<GroupName>,
    /// The subsystems whose headroom it reduces.
    pub(crate) subsystems: Vec<SubsystemName>,
    /// For a settling host: when a read can prove where it is.
    pub(crate) until: Option<Time>,
}

/// A call that was intended and has no recorded answer, or none that says what became of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StatusCall {
    /// Numbered within the run.
    pub(crate) call: u64,
    /// Its effect: `cordon`, `restore`, `terminate`, `suspend`, `resume`, `adopt`.
    pub(crate) effect: &'static str,
    /// Its group, where there is one.
    pub(crate) group: Option<GroupName>,
    /// Its hosts.
    pub(crate) hosts: Vec<HostId>,
    /// When it was intended.
    pub(crate) intent_at: Time,
    /// The provider refuses the call after this time: it may take effect until then.
    pub(crate) not_after: Time,
}

/// A stop order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct StatusHalt {
    /// The subsystem; `None` for the whole fleet.
    pub(crate) subsystem: Option<SubsystemName>,
    /// Who gave it.
    pub(crate) operator: OperatorId,
    /// Why it was given, if that was said.
    pub(crate) reason: Option<String>,
    /// When it was given.
    pub(crate) at: Time,
}

impl From<&Halt> for StatusHalt {
    fn from(halt: &Halt) -> Self {
        Self {
            subsystem: halt.subsystem.clone(),
            operator: halt.operator.clone(),
            reason: halt.reason.clone(),
            at: halt.at,
        }
    }
}
