//! One process of the simulation: its machine, and what its driver is about.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::fleet::Fleet;
use super::outage::Waiting;
use crate::coordination::{FleetRecord, ProcessId, RunIdentity};
use crate::model::{Bounds, Call, FleetIdentity, HostId, RunId, SubsystemName, Time};
use crate::plan::testing::Seeded;
use crate::plan::{Confirmation, Inputs, Plan, Request, Selection, plan};
use crate::policy::PolicySet;
use crate::run::{Finish, JournalRecord, Machine, RecordUpdate, Response, Spec};

/// What a driver is in the middle of.
pub(super) enum Doing {
    /// The machine is given this next.
    Give(Response),
    /// It sleeps until an order comes.
    Sleep,
    /// The record was read; the fleet comes next.
    Observe { begun_at: Time, record: Result<Arc<FleetRecord>, String>, probes: bool },
    /// The record was read at a version; the write comes next.
    Write { change: RecordUpdate, version: u64 },
    /// A write without an answer is repeated, until then.
    Wait { write: Waiting, until: Time },
    /// The call is on its way, and its answer will be heard.
    Land(Call),
}

pub(super) struct Runner {
    /// Which run it acts for: several do, one after the other, where it is taken over.
    pub(super) run: usize,
    pub(super) machine: Machine,
    /// What the ledger was not heard to take.
    pub(super) backlog: Vec<JournalRecord>,
    pub(super) doing: Doing,
    pub(super) at: Time,
    pub(super) order_at: Option<Time>,
    pub(super) ordered: bool,
    /// The look under way was begun on a record with a stop order that concerns the run.
    pub(super) shows_halt: bool,
    /// Such a look was answered.
    pub(super) halted: bool,
    /// Meanwhile it, and no other process, cannot reach the ledger.
    pub(super) cut_off: Option<(Time, Time)>,
    /// Dead after so many steps.
    pub(super) dies_after: Option<u64>,
    pub(super) steps: u64,
    pub(super) finish: Option<Finish>,
    pub(super) killed: bool,
    /// Which of the two fleets its policy directory leads to.
    pub(super) fleet: usize,
    /// How far its clock is from the provider's: ahead where it is positive, in milliseconds.
    pub(super) skew: i64,
    /// Meanwhile its clock is off by so many milliseconds more.
    pub(super) jump: Option<(Time, Time, i64)>,
}

impl Runner {
    /// A process that begins with this.
    pub(super) fn new(run: usize, machine: Machine, at: Time) -> Self {
        Self {
            run,
            machine,
            backlog: Vec::new(),
            doing: Doing::Give(Response::Begin),
            at,
            order_at: None,
            ordered: false,
            shows_halt: false,
            halted: false,
            cut_off: None,
            dies_after: None,
            steps: 0,
            finish: None,
            killed: false,
            fleet: 0,
            skew: 0,
            jump: None,
        }
    }

    /// How far its clock is off at that moment, in milliseconds.
    pub(super) fn offset(&self, now: Time) -> i64 {
        let jump = self.jump.filter(|(from, to, _)| *from <= now && now < *to).map_or(0, |(_, _, by)| by);
        self.skew + jump
    }

    /// What its clock says.
    pub(super) fn clock(&self, now: Time) -> Time {
        Time::from_millis(now.as_millis() + self.offset(now))
    }

    /// When its clock will say that.
    pub(super) fn when(&self, says: Time, now: Time) -> Time {
        Time::from_millis(says.as_millis().saturating_sub(self.offset(now)))
    }

    pub(super) fn is_over(&self) -> bool {
        self.killed || self.finish.is_some()
    }
}

pub(super) fn identity(fleet: usize) -> FleetIdentity {
    FleetIdentity::simulated(format!("fleet-{}", fleet + 1))
}

/// What a run is to be.
pub(super) struct Wanted<'a> {
    pub(super) number: usize,
    pub(super) policies: &'a Arc<PolicySet>,
    pub(super) fleet: usize,
    /// Hosts that earlier runs were asked for: others are preferred.
    pub(super) spoken_for: &'a BTreeSet<HostId>,
    pub(super) expects: bool,
    /// Whether it asks before every batch after the first; and whether its terminal is asked.
    pub(super) asks: bool,
    pub(super) attended: bool,
    /// Whether it pauses itself after its first batch.
    pub(super) pauses: bool,
}

/// A confirmed plan for hosts of one subsystem that the seed chooses; `None` where it is not allowed.
pub(super) fn spec(
    wanted: &Wanted<'_>,
    fleet: &Fleet,
    record: &FleetRecord,
    bounds: Bounds,
    now: Time,
    seeded: &mut Seeded,
) -> Option<(Spec, BTreeSet<HostId>)> {
    let Wanted { number, policies, .. } = *wanted;
    let subsystem = ["index", "billing"][number % 2];
    let mut hosts: Vec<HostId> =
        fleet.hosts.iter().filter(|(_, h)| h.serves(subsystem)).map(|(id, _)| id.clone()).collect();
    let count = 1 + seeded.below(3);
    if !seeded.chance(3) {
        hosts.retain(|id| !wanted.spoken_for.contains(id));
    }
    while hosts.len() as u64 > count {
        // Shared hosts stay more often than others: runs are to meet.
        let index = usize::try_from(seeded.below(hosts.len() as u64)).expect("small");
        if !hosts[index].as_str().starts_with("both") || seeded.chance(3) {
            hosts.remove(index);
        }
    }
    if hosts.is_empty() {
        return None;
    }
    let request = Request {
        subsystem: subsystem.into(),
        selection: Selection::named(hosts.clone()),
        reason: Some("test".to_owned()),
        request_id: None,
        expect_remaining: None,
    };
    let snapshot = fleet.observe(now, now, Duration::ZERO, seeded);
    let view = record.view(None, &BTreeSet::new(), now);
    let none = std::collections::BTreeMap::new();
    let identity = identity(wanted.fleet);
    let inputs = Inputs {
        policies,
        snapshot: &snapshot,
        ledger: &view,
        bad_probes: &none,
        identity: &identity,
        bounds,
        credentials_end: None,
        prove: Inputs::PROVE,
        now,
    };
    let mut made: Plan = plan(&inputs, &request).ok()?;
    made.settings.between_batches |= wanted.asks;
    if !made.document.violations.is_empty() {
        return None;
    }
    let answer = made.prompt_answer();
    let digest = made.document.plan.clone();
    let watched: BTreeSet<SubsystemName> = made.document.watched.iter().cloned().collect();
    let confirmed = made.confirm(Confirmation::Typed(answer), now).ok()?;
    let run = format!("r-{number}");
    let spec = Spec {
        credentials_end: None,
        resume_by_hand: None,
        identity: RunIdentity {
            run: RunId::new(run.clone()),
            epoch: 1,
            process: ProcessId { host: "here".to_owned(), pid: 1, token: run, pid_space: None },
            operator: "ada@here".into(),
            subsystem: subsystem.into(),
            watched,
            plan: digest,
            expect_remaining: wanted.expects.then(|| fleet.serving(subsystem) as u64 - hosts.len() as u64),
        },
        confirmed,
        policies: Arc::clone(policies),
        fleet: identity,
        bounds,
        max_wait: Duration::from_secs(3600),
        hook_wait: Duration::ZERO,
        pause_after: wanted.pauses.then_some(1.into()),
        attended: wanted.attended,
        prior: Vec::new(),
    };
    Some((spec, hosts.into_iter().collect()))
}
