//! The records of a journal as sentences, and those among them by which the tool refused something.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use crate::model::{Call, CallOutcome, Effect, HookAnswer, HookCall, HostId, ProbeKey, Time, span_text};
use crate::output::hosts_text;
use crate::output::waits::Waits;
use crate::run::{CauseKind, Event, JournalRecord, OrderKind, Outcome, Purpose, RunOrder};

/// The most hosts that one sentence names.
const HOSTS_SHOWN: usize = 12;

/// One line of the timeline.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Entry {
    /// When it was recorded.
    pub(crate) at: Time,
    /// What it is.
    pub(crate) kind: EntryKind,
    /// What happened.
    pub(crate) text: String,
}

/// What a line of the timeline is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EntryKind {
    /// A step of the run.
    Step,
    /// Somebody's decision.
    Order,
    /// Something went wrong, or the run stopped.
    Trouble,
    /// Something is as it was again.
    Recovered,
}

/// Something that the tool refused to do or to accept.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Refused {
    /// When.
    pub(crate) at: Time,
    /// What, and why.
    pub(crate) text: String,
}

/// The journal as a timeline. Readings are told where a probe turns bad, and where it is good again.
pub(super) fn entries(journal: &[JournalRecord]) -> Vec<Entry> {
    let (mut all, mut calls, mut bad) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
    let (mut waits, mut hooks) = (Waits::default(), BTreeMap::new());
    for record in journal {
        if !waits.is_news(&record.event) {
            continue;
        }
        if let Event::Sampled { readings, .. } = &record.event {
            for (key, reading) in readings {
                all.extend(turned(record.at, key, reading, &mut bad));
            }
            continue;
        }
        if let Event::CallIntended { call, intent } = &record.event {
            calls.insert(*call, intent);
        }
        if let Event::HookIntended { call, intent } = &record.event {
            hooks.insert(*call, intent);
        }
        if let Event::HookAnswered { call, outcome } = &record.event {
            let (kind, text) = hook_answered(hooks.get(call).copied(), outcome);
            all.push(Entry { at: record.at, kind, text });
        }
        all.extend(sentence(&record.event, &calls).map(|(kind, text)| Entry { at: record.at, kind, text }));
    }
    all
}

/// `hook index/brokers (drain) about 2 hosts: allow`
fn hook_answered(call: Option<&HookCall>, answer: &HookAnswer) -> (EntryKind, String) {
    let what = call.map_or_else(
        || "a hook".to_owned(),
        |call| format!("hook {} ({}) about {}", call.hook, call.on.name(), counted(call.hosts.len(), "host")),
    );
    match answer {
        HookAnswer::Allow {} => (EntryKind::Step, format!("{what}: allow")),
        HookAnswer::Deny { reason } => (EntryKind::Trouble, format!("{what}: deny, {reason}")),
        HookAnswer::Wait { seconds, reason } => {
            (EntryKind::Step, format!("{what}: wait {}, {reason}", span_text(Duration::from_secs(*seconds))))
        }
        HookAnswer::Only { hosts, .. } => (EntryKind::Step, format!("{what}: only {}", hosts_text(hosts, HOSTS_SHOWN))),
        HookAnswer::Failed { message } => (EntryKind::Trouble, format!("{what}: no answer, {message}")),
    }
}

/// The timeline with the orders that the run's own journal does not tell of.
pub(super) fn with_orders_between<'a>(
    mut timeline: Vec<Entry>,
    orders: impl Iterator<Item = &'a RunOrder>,
) -> Vec<Entry> {
    for order in orders {
        let place = timeline.iter().position(|entry| entry.at > order.at).unwrap_or(timeline.len());
        timeline.insert(place, Entry { at: order.at, kind: EntryKind::Order, text: order_given(order) });
    }
    timeline
}

fn order_given(order: &RunOrder) -> String {
    let operator = &order.operator;
    match (&order.pause, order.confirmed) {
        (Some(pause), _) if order.command == OrderKind::Pause => pause.to_string(),
        (Some(pause), _) => {
            format!("{operator} continued the run: the pause of {} since {} is lifted", pause.operator, pause.at)
        }
        (None, Some(batch)) => format!("{operator} gave `continue` for batch {batch}, which the run did not take in"),
        (None, None) => format!("{operator} gave `{}`", order.command.as_str()),
    }
}

fn turned(
    at: Time,
    key: &ProbeKey,
    reading: &crate::health::ProbeReading,
    bad: &mut BTreeSet<ProbeKey>,
) -> Option<Entry> {
    match (&reading.why, bad.contains(key)) {
        (Some(why), false) => {
            bad.insert(key.clone());
            Some(Entry { at, kind: EntryKind::Trouble, text: format!("probe {key} {why}") })
        }
        (None, true) => {
            bad.remove(key);
            Some(Entry { at, kind: EntryKind::Recovered, text: format!("probe {key} is within limits again") })
        }
        _ => None,
    }
}

fn sentence(event: &Event, calls: &BTreeMap<u64, &Call>) -> Option<(EntryKind, String)> {
    use EntryKind::{Order, Recovered, Step, Trouble};
    Some(match event {
        Event::RunOpened { plan, operator, confirmed, .. } => {
            let hosts: usize = plan.batches.iter().map(|batch| batch.hosts.len()).sum();
            let (subsystem, batches) = (&plan.request.subsystem, plan.batches.len());
            let text = format!(
                "{operator} confirmed ({confirmed}): {} of {subsystem} in {}",
                counted(hosts, "host"),
                counted(batches, "batch")
            );
            (Order, text)
        }
        Event::ReferenceTaken { .. } => (Step, "the reference and the limits of every probe are known".to_owned()),
        Event::BatchGranted { batch, granted } => {
            (Step, format!("batch {batch} is granted: {}", hosts_text(granted.keys(), HOSTS_SHOWN)))
        }
        Event::HostDropped { host, why: None, .. } => (Trouble, format!("host {host} left by itself and was dropped")),
        Event::HostDropped { host, why: Some(why), .. } => (Trouble, format!("host {host} was dropped: {why}")),
        Event::GroupHeld { group } => (Step, format!("AZRebalance of group {group} is suspended")),
        Event::GroupReleased { group } => (Step, format!("AZRebalance of group {group} is as it was")),
        Event::GroupLeft { message, .. } | Event::Warned { message } => (Trouble, message.clone()),
        Event::CallAnswered { call, outcome } => {
            let what = calls.get(call).map_or_else(|| format!("call {call}"), |call| order_text(&call.effect));
            match outcome {
                CallOutcome::Done => (Step, format!("{what}: done")),
                CallOutcome::Refused { message, .. } => (Trouble, format!("{what}: refused, {message}")),
                CallOutcome::Unknown { message } => (Trouble, format!("{what}: in doubt, {message}")),
            }
        }
        Event::BatchCordoned { batch } => (Step, format!("batch {batch} is out of service")),
        Event::BatchShrunk { batch, hosts, later } => {
            let hosts = hosts_text(hosts, HOSTS_SHOWN);
            (Order, format!("hooks leave {hosts} of batch {batch} for batch {later}"))
        }
        Event::BatchDrained { batch } => (Step, format!("batch {batch} is drained, its bake begins")),
        Event::BakeExtended { batch, until, why } => {
            (Trouble, format!("the bake of batch {batch} goes on until {until} at the latest: {why}"))
        }
        Event::BakeRestarted { batch, gap_ms } => {
            let gap = span_text(Duration::from_millis(*gap_ms));
            (Trouble, format!("the bake of batch {batch} begins again: nothing was sampled for {gap}"))
        }
        Event::BakeEnded { batch, rounds } => (Step, format!("batch {batch} baked clean: {rounds} rounds of samples")),
        Event::BatchTerminated { batch } => (Step, format!("batch {batch} is gone")),
        Event::Waiting { until, why } => (Step, format!("waiting, and looking again by {}: {why}", until)),
        Event::Stopped { cause } => {
            let kind = if cause.kind == CauseKind::Order { Order } else { Trouble };
            (kind, format!("the run stops: {}", cause.message))
        }
        Event::HostRestored { host, .. } => (Recovered, format!("host {host} is back in service")),
        Event::HostUntouched { host, .. } => (Step, format!("host {host} was reserved and never left service")),
        Event::HostInDoubt { host, why, .. } => (Trouble, format!("host {host} is in doubt: {why}")),
        Event::HostGivenUp { host, operator, why, .. } => (Order, format!("{operator} gave host {host} up: {why}")),
        Event::RunTakenOver { operator, purpose, reason, .. } => {
            let verb = match purpose {
                Purpose::Resume => "resumed",
                Purpose::Abandon => "abandoned",
            };
            let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            (Order, format!("{operator} {verb} the run{why}"))
        }
        Event::Paused { pause } => (Order, pause.to_string()),
        Event::Continued { operator } => {
            let by = operator.as_ref().map(|operator| format!(" by {operator}")).unwrap_or_default();
            (Order, format!("the run was continued{by}"))
        }
        Event::Asked { batch, until, .. } => {
            (Step, format!("a person is asked whether batch {batch} may go, until {}", until))
        }
        Event::BatchConfirmed { batch, operator, how } => (Order, format!("{operator} let batch {batch} go ({how})")),
        Event::RunEnded { outcome, exit_code, .. } => {
            let kind = if *outcome == Outcome::NeedsAttention { Trouble } else { Step };
            (kind, format!("the run ended: {}, exit code {exit_code}", outcome_text(*outcome)))
        }
        // Said by others: intents by their answers, hosts by their batch.
        Event::CallIntended { .. }
        | Event::HookIntended { .. }
        | Event::HookAnswered { .. }
        | Event::Sampled { .. }
        | Event::TerminationStarted { .. }
        | Event::HostTerminated { .. } => return None,
        other => (Step, other.name().replace('-', " ")),
    })
}

/// Where the tool said no: to a step, to a bake, to a call, or to the whole run.
pub(super) fn refused(journal: &[JournalRecord]) -> Vec<Refused> {
    let (mut all, mut out): (Vec<Refused>, Option<(_, usize)>) = (Vec::new(), None);
    let mut calls = BTreeMap::new();
    for record in journal {
        let text = match &record.event {
            Event::BatchGranted { batch, granted } => {
                out = Some((*batch, granted.len()));
                continue;
            }
            Event::BatchTerminated { .. } | Event::RunOpened { .. } => {
                out = None;
                continue;
            }
            Event::CallIntended { call, intent } => {
                calls.insert(*call, intent);
                continue;
            }
            Event::Stopped { cause } => match out {
                Some((batch, hosts)) => {
                    format!("to terminate batch {batch} ({}): {}", counted(hosts, "host"), cause.message)
                }
                None => format!("to take another batch: {}", cause.message),
            },
            Event::BakeRestarted { batch, gap_ms } => {
                let gap = span_text(Duration::from_millis(*gap_ms));
                format!("to accept the bake of batch {batch}: nothing was sampled for {gap}")
            }
            Event::CallAnswered { call, outcome: outcome @ CallOutcome::Refused { message, .. } }
                if outcome.is_not_sent() =>
            {
                let what = calls.get(call).map_or_else(|| format!("call {call}"), |call| order_text(&call.effect));
                format!("to {what}: {message}")
            }
            _ => continue,
        };
        all.push(Refused { at: record.at, text });
    }
    all
}

fn order_text(effect: &Effect) -> String {
    let hosts = |effect: &Effect| {
        let hosts: Vec<&HostId> = effect.hosts().into_iter().collect();
        hosts_text(hosts, HOSTS_SHOWN)
    };
    match effect {
        Effect::Cordon { .. } => format!("cordon {}", hosts(effect)),
        Effect::Restore { .. } => format!("restore {}", hosts(effect)),
        Effect::Terminate { host, .. } => format!("terminate {host}"),
        Effect::Suspend { group, .. } => format!("suspend AZRebalance of {group}"),
        Effect::Resume { group, .. } => format!("resume AZRebalance of {group}"),
        Effect::Adopt { .. } => "adopt".to_owned(),
        Effect::RaiseMinimum { group, to, .. } => format!("raise the minimum of {group} to {to}"),
    }
}

/// `1 host`, `2 hosts`, `3 batches`
pub(super) fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ if noun.ends_with("ch") => format!("{count} {noun}es"),
        _ => format!("{count} {noun}s"),
    }
}

/// The outcome in words.
pub(super) fn outcome_text(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::Aborted => "aborted",
        Outcome::Halted => "halted",
        Outcome::NeedsAttention => "needs a person",
        Outcome::NotStarted => "not started",
    }
}
