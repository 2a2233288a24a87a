//! [`RunEntry`]: one run in the record, the hosts that it holds, and what it waits for between two batches.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{
    BatchNumber, GroupName, HostId, OperatorId, PlanDigest, ProbeKey, Quantity, SubsystemName, TargetGroupId, Time,
};

/// A process that acts for a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The machine.
    pub(crate) host: String,
    /// Its pid there.
    pub(crate) pid: u32,
    /// Tells two processes of the same pid apart: random, made at start.
    pub(crate) token: String,
    /// Where the pid means something: one boot of one machine, and one pid namespace of it. Two containers of one host
    /// name have the same pids and not this. `None` if it is not known: such a process cannot be looked at.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) pid_space: Option<String>,
}

/// A run that was confirmed: it stands in line, is under way, or ended and still holds something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEntry {
    /// Raised by every takeover; commands of an older epoch are refused.
    pub(crate) epoch: u64,
    /// The process that acts for it.
    pub(crate) process: ProcessId,
    /// Who asked.
    pub(crate) operator: OperatorId,
    /// The subsystem named.
    pub(crate) subsystem: SubsystemName,
    /// The subsystems whose hosts it takes.
    pub(crate) touched: BTreeSet<SubsystemName>,
    /// The subsystems whose health it watches.
    pub(crate) watched: BTreeSet<SubsystemName>,
    /// The plan that was confirmed.
    pub(crate) plan: PlanDigest,
    /// Its place in line: a smaller one came first.
    pub(crate) ticket: u64,
    /// When the fleet was observed that the plan was made on.
    pub(crate) planned_at: Time,
    /// When it was confirmed.
    pub(crate) enlisted_at: Time,
    /// The hosts that are confirmed and not yet taken, each with its batch. They count as capacity, and no other run
    /// may take them.
    pub(crate) claims: BTreeMap<HostId, BatchNumber>,
    /// Without a grant its claims are nobody's from then on: the plan has expired.
    pub(crate) lapses_at: Time,
    /// First grant.
    pub(crate) granted_at: Option<Time>,
    /// The reference of each probe, from before its first batch: overlapping runs take it over.
    pub(crate) reference: BTreeMap<ProbeKey, Vec<Quantity>>,
    /// When the first sample of the reference was taken, by whichever run took it.
    pub(crate) reference_at: Option<Time>,
    /// The hosts that it holds.
    #[serde(rename = "holds")]
    pub(crate) reservations: BTreeMap<HostId, Reservation>,
    /// Hosts of it that are verified gone.
    pub(crate) terminated: u64,
    /// Set while it takes no further batch.
    pub(crate) pause: Option<Pause>,
    /// Set while a person is asked about its next batch.
    pub(crate) asking: Option<Asking>,
    /// The last `continue` that it was given, since it was paused or asked.
    pub(crate) continued: Option<Continued>,
    /// Set when the run has ended but a host of it is still in doubt or cordoned.
    pub(crate) ended_at: Option<Time>,
}

impl RunEntry {
    /// Whether others must leave what it claims to it. Whether its process lives is not for the record to know.
    pub(crate) fn has_claims(&self, now: Time) -> bool {
        !self.claims.is_empty() && self.ended_at.is_none() && (self.granted_at.is_some() || now < self.lapses_at)
    }

    /// The subsystems whose hosts it has out, or may have.
    pub(crate) fn holds_of(&self) -> BTreeSet<SubsystemName> {
        self.reservations.values().flat_map(|reservation| reservation.subsystems.iter().cloned()).collect()
    }

    /// Whether the run takes no batch before a person lets it: then it holds up nobody.
    pub(super) fn waits_for_a_person(&self) -> bool {
        self.pause.is_some() || self.asking.is_some()
    }

    /// The hosts of its next batch.
    pub(super) fn next_batch(&self) -> BTreeSet<HostId> {
        let next = self.claims.values().min();
        self.claims.iter().filter(|(_, batch)| Some(*batch) == next).map(|(host, _)| host.clone()).collect()
    }
}

/// The order that a run takes no further batch until somebody continues it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who.
    pub(crate) operator: OperatorId,
    /// Why, if it was said.
    pub(crate) reason: Option<String>,
    /// Since when.
    pub(crate) at: Time,
    /// The run paused by itself after this batch (`--pause-after`).
    pub(crate) after: Option<BatchNumber>,
}

impl Pause {
    /// Whether it is this very pause, whatever was said of its reason since.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (&self.operator, self.at, self.after) == (&other.operator, other.at, other.after)
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.after {
            Some(batch) => write!(f, "paused after batch {batch}, as {} asked (--pause-after)", self.operator)?,
            None => write!(f, "paused by {}", self.operator)?,
        }
        write!(f, " since {}", self.at)?;
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

/// A person is asked whether the next batch of a run may go. Nothing is reserved meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asking {
    /// Which batch.
    pub(crate) batch: BatchNumber,
    /// Whether the run's own terminal asks. If it does not, `continue` is the answer.
    pub(crate) attended: bool,
    /// When the run ends without an answer.
    pub(crate) until: Time,
}

/// The last `continue` that a run was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Continued {
    /// Who.
    pub(crate) operator: OperatorId,
    /// When.
    pub(crate) at: Time,
    /// The batch that it confirmed. `None` if it lifted a pause.
    pub(crate) batch: Option<BatchNumber>,
}

/// A host that a run holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reservation {
    /// The batch it was granted for.
    pub(crate) batch: BatchNumber,
    /// The subsystems it belongs to, as judged at the grant.
    pub(crate) subsystems: BTreeSet<SubsystemName>,
    /// Its units in each of them; empty if it did not serve.
    pub(crate) units: BTreeMap<SubsystemName, u64>,
    /// The group it is in.
    pub(crate) group: Option<GroupName>,
    /// The target groups that a restore must bring it back into.
    pub(crate) target_groups: BTreeSet<TargetGroupId>,
    /// Whether it served when it was granted: then it is back only if it serves again.
    pub(crate) serving: bool,
    /// Whether it served, or that it did not was not established: then capacity is judged as if it were taken.
    pub(crate) may_serve: bool,
    /// When it was granted.
    pub(crate) granted_at: Time,
    /// Its state.
    pub(crate) state: ReservationState,
}

/// The state of a reserved host. A reservation lasts until the outcome is known, however long its process is dead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub(crate) enum ReservationState {
    /// Granted: may be cordoned, baked, restored.
    Reserved,
    /// The step to termination was taken: a terminate may be under way.
    Terminating,
    /// Restored or in doubt; no read can prove it before `until`.
    Settling {
        /// When a read can prove where it is.
        until: Time,
    },
}

#[cfg(test)]
impl RunEntry {
    /// One of `index` that stands in line and holds nothing: for tests that only need one to be there.
    pub(crate) fn in_line() -> Self {
        let start = Time::from_millis(0);
        Self {
            epoch: 1,
            process: ProcessId { host: "h".to_owned(), pid: 1, token: "t".to_owned(), pid_space: None },
            operator: "ann".into(),
            subsystem: "index".into(),
            touched: BTreeSet::new(),
            watched: BTreeSet::new(),
            plan: "d".into(),
            ticket: 1,
            planned_at: start,
            enlisted_at: start,
            claims: BTreeMap::new(),
            lapses_at: start,
            granted_at: None,
            reference: BTreeMap::new(),
            reference_at: None,
            reservations: BTreeMap::new(),
            terminated: 0,
            pause: None,
            asking: None,
            continued: None,
            ended_at: None,
        }
    }
}
