//! The knowledge of a run, by its source: observations, the ledger's acknowledgements, the reference that the probes
//! are compared with, which calls are open, and what an earlier process of the run may still do.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::coordination::{FleetRecord, HostOutcome, Pause};
use crate::health::{self, Shown, Tally, Watch};
use crate::model::{BatchNumber, Bounds, Call, FleetSnapshot, GroupName, HostId, OperatorId, Scope, Time};

use super::reason::Reason;
use super::{Answer, Cause, Observation, Order};

/// How old the last look at the whole fleet may be while nothing is out. In a large region it takes dozens of calls.
const WHOLE_EVERY: Duration = Duration::from_secs(5 * 60);

/// What the last look at the whole fleet found.
#[derive(Debug)]
pub(super) struct Surroundings {
    /// When that look began.
    pub(super) at: Time,
    pub(super) scope: Scope,
}

impl Surroundings {
    pub(super) fn is_old(&self, now: Time) -> bool {
        self.at > now || now.since(self.at) >= WHOLE_EVERY
    }
}

/// The last observations.
#[derive(Debug, Default)]
pub(super) struct Observed {
    /// The newest observation, however much of it failed.
    pub(super) newest: Option<Arc<Observation>>,
    /// The fleet as the last complete observation showed it.
    pub(super) fleet: Option<Arc<FleetSnapshot>>,
    /// What the last look at the whole fleet found of what concerns the run.
    pub(super) surroundings: Option<Surroundings>,
    /// Whether a look at the whole fleet failed while `surroundings` was not known.
    pub(super) whole_failed: bool,
    /// The record as it was last read.
    pub(super) record: Option<Arc<FleetRecord>>,
    /// When the newest observation that read the probes began.
    pub(super) probed_at: Option<Time>,
    /// Observations in a row that did not show the fleet.
    pub(super) blind: u32,
    /// Observations since the last effect that were too old to act on, or that a sample was due before.
    pub(super) stale: u32,
}

impl Observed {
    /// Whether the newest observation shows fleet and record, and may still be acted on.
    pub(super) fn is_young(&self, bounds: Bounds, now: Time) -> bool {
        self.newest.as_ref().is_some_and(|newest| {
            newest.record.is_ok()
                // One from the future is from before the clock was set back: nobody knows how old it is.
                && newest
                    .fleet
                    .as_ref()
                    .is_ok_and(|fleet| fleet.begun_at <= now && now.since(fleet.begun_at) <= bounds.max_age)
        })
    }

    /// When the next sample is due: `every` from the start of the last one.
    pub(super) fn next_sample(&self, every: Duration, now: Time) -> Time {
        self.probed_at.filter(|at| *at <= now).map_or(now, |at| at.plus(every))
    }

    /// Whether a sample must come before the next effect. If an observation takes longer than `every`, the next sample
    /// is due `every` after its end: counted from its start it would be due at once, for ever, and the batch would stay
    /// cordoned.
    pub(super) fn is_sample_due(&self, every: Duration, now: Time) -> bool {
        let just_sampled =
            self.newest.as_ref().is_some_and(|newest| newest.probed && now.since(newest.ended_at) < every);
        self.next_sample(every, now) <= now && !just_sampled
    }

    /// S7: what was observed at a time that has not come was observed before the clock was set back, and proves nothing.
    pub(super) fn keep_time(&mut self, now: Time) {
        // S2, S6: a sample of a time that has not come puts off no other.
        self.probed_at = self.probed_at.filter(|at| *at <= now);
        self.newest = self.newest.take().filter(|newest| newest.begun_at.max(newest.ended_at) <= now);
    }
}

/// The run's connection to the ledger.
#[derive(Debug, Default)]
pub(super) struct LedgerLink {
    /// The journal is this process's: its opening was acknowledged.
    pub(super) is_opened: bool,
    /// The run has a place in line.
    pub(super) is_enlisted: bool,
    /// When the ledger last acknowledged a write of this run.
    pub(super) acked_at: Option<Time>,
    /// The ledger is lost: only restoring is allowed, and only for a while.
    pub(super) offline: bool,
    /// The journal says, or was to say, that what follows is recorded late.
    pub(super) offline_notice_sent: bool,
    /// Outcomes that the record could not be told while it was out of reach.
    pub(super) unreported: BTreeMap<HostId, HostOutcome>,
    /// S9: who has taken the run from this process.
    pub(super) taken_by: Option<String>,
}

impl LedgerLink {
    /// When the ledger must hear of the run again: a ledger that is lost must be noticed while there is time to restore
    /// without it, so the last acknowledged append is never much older than a third of `offline_limit` (S7).
    pub(super) fn heartbeat_at(&self, offline_limit: Duration) -> Option<Time> {
        self.acked_at.map(|at| at.plus(offline_limit / 3))
    }

    /// Whether the ledger was not heard for half of `offline_limit`: half is for waiting, half for putting back.
    pub(super) fn is_silent(&self, offline_limit: Duration, now: Time) -> bool {
        self.acked_at.is_none_or(|at| now.since(at) >= offline_limit / 2)
    }

    /// Until when restoring is allowed without the ledger (protocol section 7), if it was ever heard.
    pub(super) fn offline_until(&self, offline_limit: Duration, now: Time) -> Option<Time> {
        self.acked_at.map(|at| at.min(now).plus(offline_limit))
    }
}

/// The reference that probes are compared with.
#[derive(Debug, Default)]
pub(super) struct Baseline {
    /// Each probe's reference.
    pub(super) reference: health::Reference,
    /// Counts bad samples. `None` before the reference is known, and while a bake has it.
    pub(super) watch: Option<Watch>,
    /// When the first sample of the reference was taken.
    pub(super) sampled_at: Option<Time>,
    /// When its last one was taken.
    pub(super) taken_at: Option<Time>,
    /// The reference is known.
    pub(super) is_known: bool,
    /// Writes every round down for the journal. It judges nothing that the run does.
    pub(super) tally: Tally,
    /// The last readings, for people.
    pub(super) shown: Shown,
}

/// The calls of the run.
#[derive(Debug, Default)]
pub(super) struct CallLog {
    /// The number of the last one.
    pub(super) last: u64,
    /// Intended, and not answered.
    pub(super) open: BTreeMap<u64, Call>,
    /// The terminations of group members that were intended, by this process or an earlier one of the run.
    pub(super) terminates: Vec<SentTerminate>,
    /// The record was told that nothing took the place of what went.
    pub(super) is_removal_seen: bool,
}

/// The intended termination of a group's member.
#[derive(Clone, Debug)]
pub(super) struct SentTerminate {
    pub(super) group: GroupName,
    pub(super) host: HostId,
}

/// Why the run stops.
#[derive(Debug, Default)]
pub(super) struct Stopping {
    /// The gravest cause so far; causes only ever escalate.
    pub(super) cause: Option<Cause>,
    /// A signal came while the run only read its probes on: whoever sees the process wants it to end.
    pub(super) reads_enough: bool,
    /// A person is needed, whatever the cause.
    pub(super) attention: bool,
    /// Orders that are not yet heeded.
    pub(super) orders: VecDeque<Order>,
    /// Reasons that came up while a write had no answer. They stop the run once it has one.
    pub(super) postponed: Vec<Reason>,
}

/// The wait for the next grant.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Since when.
    pub(super) since: Option<Time>,
    /// The last wait that the journal was told of: its reason, and its end.
    pub(super) told: Option<(String, Time)>,
    /// It is another run that is waited for, and nobody knows how long.
    pub(super) in_line: bool,
    /// When the last batch of this process was over: its interval counts from there.
    pub(super) batch_over_at: Option<Time>,
    /// The pause that the journal was told of.
    pub(super) paused: Option<Pause>,
    /// The run has paused itself, as its caller asked. It does so once.
    pub(super) paused_itself: bool,
    /// The reply of the person at this run's terminal, not yet taken in.
    pub(super) answer: Option<Answer>,
    /// The batch that a person confirmed, and when.
    pub(super) confirmed: Option<(BatchNumber, Time)>,
}

/// An earlier process of the run.
#[derive(Debug, Default)]
pub(super) struct Predecessor {
    /// From when on nothing that it sent can take effect.
    pub(super) quiet_at: Option<Time>,
    /// The same, as far ahead as it can lie by clocks that agree.
    pub(super) quiet_by: Option<Time>,
}

impl Predecessor {
    /// Whether the journal is dated ahead, by years perhaps: nobody waits so long. What can be put back is, and a person
    /// is told of the rest.
    pub(super) fn is_dated_ahead(&self) -> bool {
        self.quiet_by < self.quiet_at
    }

    /// Whether nothing that it sent can take effect any more.
    pub(super) fn is_quiet(&self, now: Time) -> bool {
        self.quiet_at.is_none_or(|at| now >= at)
    }
}

/// A host that a person gave up.
#[derive(Clone, Debug)]
pub(super) struct GivenUp {
    /// Who decided it.
    pub(super) operator: OperatorId,
    /// Why.
    pub(super) reason: Option<String>,
}
