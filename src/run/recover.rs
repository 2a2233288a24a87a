//! Recovery: what a run that is taken over has done and knows, by folding its journal.
//!
//! What the run holds is the record's word; what was sent for it, and what came back, is the journal's. The times that
//! other processes wrote are read as if their clocks had been late by the tolerance, so that nothing is believed too
//! early. Nothing is remembered of what was seen: the process that takes over observes for itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::coordination::{FleetRecord, ProcessId, RunEntry, RunIdentity};
use crate::model::{Call, Effect, FleetIdentity, GroupName, HostId, OperatorId, RunId, SubsystemName, Time};
use crate::plan::{Confirmed, PlanDocument, Settings};
use crate::policy::PolicySet;

use super::batches::Batches;
use super::calls::Calls;
use super::event::GrantedHost;
use super::group_calls::GroupCalls;
use super::knowledge::GivenUp;
use super::launches;
use super::machine::{Machine, Spec};
use super::phase::{ClosingStep, Phase};
use super::reason::Reason;
use super::reservation::{Reservations, ReservedHost};
use super::{CallHistory, Event, JournalRecord, Opening, RunHistory, takeover};

/// Who takes a run over, with what.
#[derive(Clone, Debug)]
pub(crate) struct Successor {
    /// The run.
    pub(crate) run: RunId,
    /// Its epoch from here on.
    pub(crate) epoch: u64,
    /// The process that acts from here on.
    pub(crate) process: ProcessId,
    /// Who decided it.
    pub(crate) operator: OperatorId,
    /// The policies as this process read them.
    pub(crate) policies: Arc<PolicySet>,
    /// Which fleet.
    pub(crate) fleet: FleetIdentity,
    /// The provider's bounds.
    pub(crate) bounds: crate::model::Bounds,
    /// When the credentials of this process end, if they do and cannot be renewed.
    pub(crate) credentials_end: Option<Time>,
    /// The command with which a person resumes AZRebalance of a group, with `GROUP` for its name.
    pub(crate) resume_by_hand: Option<&'static str>,
    /// Whether there is a person at this process's terminal who can be asked.
    pub(crate) attended: bool,
}

impl Spec {
    /// What a run that was opened is made of, for the process that takes it over: exactly the plan that was confirmed
    /// (S8). `None` if the journal does not begin with the opening.
    pub(crate) fn recorded(journal: &[JournalRecord], successor: Successor) -> Option<Self> {
        let history = RunHistory::of(journal);
        let Opening { plan, settings, confirmed, expect_remaining, pause_after, hook_wait, .. } = history.opening?;
        let Successor { run, epoch, process, operator, policies, fleet, bounds, .. } = successor;
        let Successor { credentials_end, resume_by_hand, attended, .. } = successor;
        let settings = at_least_as_strict(settings, plan, &policies);
        let identity = RunIdentity {
            run,
            epoch,
            process,
            operator,
            subsystem: plan.request.subsystem.clone(),
            watched: plan.watched.iter().cloned().collect(),
            plan: plan.plan.clone(),
            expect_remaining,
        };
        let confirmed = Confirmed::recorded(plan.clone(), settings, confirmed);
        // A run that was opened waits as long as it must: `--no-wait` is for runs that were not.
        let max_wait = std::time::Duration::MAX;
        Some(Self {
            identity,
            confirmed,
            policies,
            fleet,
            bounds,
            max_wait,
            hook_wait,
            pause_after,
            attended,
            prior: Vec::new(),
            credentials_end,
            resume_by_hand,
        })
    }
}

/// The settings that were confirmed, or today's if those are stricter.
fn at_least_as_strict(settings: &Settings, plan: &PlanDocument, policies: &PolicySet) -> Settings {
    let touched = |name: &SubsystemName| plan.subsystems.iter().any(|subsystem| subsystem.name == *name);
    let mut settings = settings.clone();
    for policy in plan.watched.iter().filter_map(|name| policies.subsystems.get(name)) {
        settings.bake = settings.bake.max(policy.health.bake);
        settings.every = settings.every.min(policy.health.every);
        settings.reference = settings.reference.max(policy.health.reference);
        settings.bake_max = settings.bake_max.max(policy.health.bake_max);
        settings.between_batches |= touched(&policy.name) && policy.confirm.between_batches;
    }
    settings
}

/// The calls that were sent for each host, by kind.
#[derive(Default)]
struct Sent {
    cordon: BTreeMap<HostId, Calls>,
    restore: BTreeMap<HostId, Calls>,
    terminate: BTreeMap<HostId, Calls>,
}

impl Sent {
    fn of(history: &RunHistory<'_>, bounds: crate::model::Bounds) -> Self {
        let mut sent = Self::default();
        let calls = || history.calls.values();
        for CallHistory { intent, answers } in calls() {
            sent.each(intent, |calls| calls.attempts += 1);
            if let Some((at, outcome)) = answers.first() {
                // By a clock that may have been late: nothing is believed before it is true by this one.
                let at = at.plus(bounds.tolerance);
                sent.each(intent, |calls| calls.answered(outcome, intent.not_after, bounds, at));
            }
        }
        for CallHistory { intent, .. } in calls().filter(|call| call.answers.is_empty()) {
            sent.each(intent, |calls| calls.unanswered(intent.not_after, bounds));
        }
        sent
    }

    fn each(&mut self, intent: &Call, change: impl Fn(&mut Calls)) {
        let of_kind = match &intent.effect {
            Effect::Cordon { .. } => &mut self.cordon,
            Effect::Restore { .. } => &mut self.restore,
            Effect::Terminate { .. } => &mut self.terminate,
            // A group's process is observed again, and suspending or resuming twice does no harm.
            Effect::Suspend { .. } | Effect::Resume { .. } | Effect::Adopt { .. } | Effect::RaiseMinimum { .. } => {
                return;
            }
        };
        for host in intent.effect.hosts() {
            change(of_kind.entry(host.clone()).or_default());
        }
    }

    fn reserved(&self, entry: &RunEntry) -> BTreeMap<HostId, ReservedHost> {
        let calls = |of: &BTreeMap<HostId, Calls>, id: &HostId| of.get(id).cloned().unwrap_or_default();
        let reserved = |(id, hold): (&HostId, &crate::coordination::Reservation)| {
            let granted = GrantedHost {
                group: hold.group.clone(),
                target_groups: hold.target_groups.clone(),
                serving: hold.serving,
            };
            let reserved = ReservedHost {
                may_serve: hold.may_serve,
                cordon: calls(&self.cordon, id),
                terminate: calls(&self.terminate, id),
                restore: calls(&self.restore, id),
                ..ReservedHost::new(id.clone(), hold.batch, granted)
            };
            (id.clone(), reserved)
        };
        entry.reservations.iter().map(reserved).collect()
    }
}

impl Machine {
    /// The run as the process goes on with it that has taken it over: the journal's last record is its fence, and the
    /// record names its epoch. Nothing was sent by it yet.
    pub(crate) fn take_over(spec: Spec, journal: Vec<JournalRecord>, record: &FleetRecord, now: Time) -> Self {
        let bounds = spec.bounds;
        let before = &journal[..journal.len().saturating_sub(1)];
        let quiet_at = takeover::quiet_from(before, bounds);
        let history = RunHistory::of(&journal);
        let sent = Sent::of(&history, bounds);
        let entry = record.runs.get(&spec.identity.run);

        let mut machine = Self::new(spec);
        machine.link.is_opened = true;
        machine.link.is_enlisted = entry.is_some();
        machine.link.acked_at = journal.last().map(|last| last.at);
        machine.calls.terminates = launches::terminates(&history);
        machine.calls.last = history.calls.keys().copied().max().unwrap_or(0);
        machine.hooks.last = history.last_hook;
        machine.reservations = Reservations {
            hosts: entry.map(|entry| sent.reserved(entry)).unwrap_or_default(),
            groups: groups(record, &machine.spec.identity.run),
            given_up: given_up(&history),
        };
        machine.begun = history.was_granted() || machine.has_reservations();
        let granted = entry.filter(|entry| entry.granted_at.is_some());
        machine.baseline.sampled_at = granted.map_or(history.reference.map(|(_, at)| at), |entry| entry.reference_at);
        let told = || history.reference.map(|(reference, _)| reference.clone()).unwrap_or_default();
        machine.refer_to(granted.map_or_else(told, |entry| entry.reference.clone()));
        machine.waiting.paused = history.paused.cloned();
        // The record may have its own pause, and the journal not yet.
        let standing = entry.and_then(|entry| entry.pause.as_ref());
        machine.waiting.paused_itself =
            history.pauses.iter().map(|of| of.pause).chain(standing).any(|pause| pause.after.is_some());
        machine.tell_changed_limits(&history);
        machine.predecessor.quiet_at = Some(quiet_at);
        // Nobody knows what a journal means that is out of order: a person looks.
        machine.stopping.attention = history.illegal.is_some();

        let hosts = machine.reservations.hosts.values();
        let stray = hosts.clone().find(|host| !machine.batches.has(&host.id)).map(|host| host.id.clone());
        let outstanding = hosts.map(|host| host.batch).min();
        machine.batches = Batches::as_told(machine.document(), &history, outstanding);

        // S6: a run that was stopping goes on stopping, whoever takes it over, and for whatever purpose.
        machine.stopping.cause = history.cause.cloned();
        if machine.stopping.cause.is_none()
            && let Some(reason) = only_back(&history, stray, entry.is_some(), machine.begun)
        {
            let cause = reason.cause();
            machine.stopping.cause = Some(cause.clone());
            machine.record(Event::Stopped { cause });
        }
        let since = quiet_at.max(now);
        machine.phase = if entry.is_none() {
            // The record does not know it, or let go of it: only the journal's last line is missing.
            Phase::Closing { step: ClosingStep::Closing }
        } else if machine.stopping.cause.is_some() {
            Phase::Restoring { since }
        } else {
            Phase::TakingOver { since }
        };
        for batch in history.batches.keys().copied().filter(|batch| history.is_unfinished(*batch)) {
            if machine.batches.is_empty(batch) && machine.reservations.of_batch(batch).next().is_none() {
                machine.record(Event::BatchTerminated { batch });
            }
        }
        machine.journal = journal;
        machine
    }
}

/// Why a run that was not stopping goes nowhere but back, once it is taken over.
fn only_back(history: &RunHistory<'_>, stray: Option<HostId>, is_listed: bool, begun: bool) -> Option<Reason> {
    if let Some(illegal) = history.illegal.as_ref().filter(|_| is_listed) {
        return Some(Reason::Ledger(illegal.to_string()));
    }
    if let Some(host) = stray {
        // S8: what was not confirmed never goes forward, whoever reserved it for this run. It is only put back.
        return Some(Reason::Ledger(format!("host {host} is held by this run and is not in its plan")));
    }
    let by = history.abandoned().filter(|_| is_listed || !begun)?;
    let why = by.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    Some(Reason::Abandoned(format!("abandoned by {}{why}", by.operator)))
}

/// The hosts that whoever took the run over last gives up.
fn given_up(history: &RunHistory<'_>) -> BTreeMap<HostId, GivenUp> {
    let Some(fence) = history.takeovers.last() else { return BTreeMap::new() };
    let given_up = || GivenUp { operator: fence.operator.clone(), reason: fence.reason.cloned() };
    fence.leave.iter().map(|host| (host.clone(), given_up())).collect()
}

/// The groups that the record says the run needs, or has to put back.
fn groups(record: &FleetRecord, run: &RunId) -> BTreeMap<GroupName, GroupCalls> {
    let of_run = |hold: &crate::coordination::ProcessSuspension| {
        let resuming = hold.resuming.as_ref().is_some_and(|resuming| resuming.run == *run);
        (resuming || hold.runs.contains(run)).then(|| GroupCalls { resuming, ..GroupCalls::default() })
    };
    record.groups.iter().filter_map(|(name, hold)| of_run(hold).map(|calls| (name.clone(), calls))).collect()
}
