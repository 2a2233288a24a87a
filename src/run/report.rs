//! The run document, made of the journal and nothing else: whoever reads the journal sees the same run.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{GroupName, HostId, Time};

use super::{
    BatchReport, BatchState, Cause, CauseKind, JournalRecord, Outcome, Past, Purpose, RunDocument, TakenOver, attempt,
};

/// The schema of the run document.
pub(crate) const RUN_SCHEMA: &str = "safe-remove/run/v1";

/// Where a host stands, as far as the journal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Granted,
    Touched,
    Cordoned,
    Doubt,
    Gone,
    Back,
    Untouched,
}

#[derive(Default)]
struct BatchTimes {
    cordoned: Option<Time>,
    baked: Option<Time>,
    terminated: Option<Time>,
    restored: Option<Time>,
}

/// The document of a run as its journal stands; `None` where the journal does not begin with the run's opening.
///
/// Of a run that has not ended, `outcome` is `needs-attention`, `ended_at` is the last record's time, and every
/// host that was touched and whose end is not recorded is in doubt: a reader cannot know more.
pub(crate) fn report(journal: &[JournalRecord]) -> Option<RunDocument> {
    if let Some(document) = super::pruned::pruned(journal) {
        return Some(document);
    }
    let journal = attempt(journal);
    let first = journal.first()?;
    let Past::RunOpened { plan, fleet, operator, reason, request_id, .. } = &first.event else {
        return None;
    };
    let mut stands: BTreeMap<HostId, (u64, Stand)> = BTreeMap::new();
    let mut times: BTreeMap<u64, BatchTimes> = BTreeMap::new();
    let mut dropped = BTreeSet::new();
    let mut warnings = plan.warnings.clone();
    let mut calls: BTreeMap<u64, Vec<HostId>> = BTreeMap::new();
    let mut cause = None;
    // Groups that were not put back, or not yet.
    let mut left: BTreeMap<GroupName, String> = BTreeMap::new();
    let mut ended = None;
    let mut subsystems = plan.subsystems.clone();

    for record in journal {
        let at = record.at;
        match &record.event {
            Past::BatchGranted { batch, granted } => {
                stands.extend(granted.keys().map(|h| (h.clone(), (*batch, Stand::Granted))));
            }
            Past::HostDropped { host, .. } => {
                // Whatever was sent for it: it left by itself.
                stands.remove(host);
                dropped.insert(host.clone());
            }
            Past::CallIntended { call, intent } => {
                let hosts: Vec<HostId> = intent.effect.hosts().into_iter().cloned().collect();
                for host in &hosts {
                    if let Some((_, stand)) = stands.get_mut(host)
                        && *stand == Stand::Granted
                    {
                        *stand = Stand::Touched;
                    }
                }
                calls.insert(*call, hosts);
            }
            Past::BatchCordoned { batch } => {
                times.entry(*batch).or_default().cordoned = Some(at);
                for (of, stand) in stands.values_mut() {
                    if of == batch && *stand == Stand::Touched {
                        *stand = Stand::Cordoned;
                    }
                }
            }
            Past::BakeEnded { batch, .. } => times.entry(*batch).or_default().baked = Some(at),
            Past::HostTerminated { batch, host } => {
                stands.insert(host.clone(), (*batch, Stand::Gone));
            }
            Past::BatchTerminated { batch } => times.entry(*batch).or_default().terminated = Some(at),
            Past::HostRestored { batch, host } => {
                stands.insert(host.clone(), (*batch, Stand::Back));
                times.entry(*batch).or_default().restored = Some(at);
            }
            Past::HostUntouched { batch, host } => {
                stands.insert(host.clone(), (*batch, Stand::Untouched));
            }
            Past::HostInDoubt { batch, host, .. } => {
                stands.insert(host.clone(), (*batch, Stand::Doubt));
            }
            Past::HostGivenUp { batch, host, operator, reason, why } => {
                stands.insert(host.clone(), (*batch, Stand::Doubt));
                let reason = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
                warnings.push(format!("host {host} was given up by {operator}{reason}: {why}"));
            }
            // Whatever it ended with before, it is under way again.
            Past::RunTakenOver { .. } => ended = None,
            Past::Stopped { cause: why } => cause = Some(documented(why)),
            Past::Warned { message } => warnings.push(message.clone()),
            Past::GroupLeft { group, message } => _ = left.insert(group.clone(), message.clone()),
            Past::GroupReleased { group } => _ = left.remove(group),
            Past::RunEnded { outcome, exit_code, subsystems: measured } => {
                ended = Some((*outcome, *exit_code));
                subsystems.clone_from(measured);
            }
            Past::RunOpened { .. }
            | Past::ReferenceTaken { .. }
            | Past::GroupHeld { .. }
            | Past::CallAnswered { .. }
            | Past::BakeRestarted { .. }
            | Past::Sampled { .. }
            | Past::TerminationStarted { .. }
            | Past::Waiting { .. }
            | Past::HaltOrdered { .. }
            | Past::HaltLifted { .. }
            | Past::LedgerAdopted { .. }
            | Past::LedgerTimeSet { .. }
            | Past::JournalPruned { .. } => {}
        }
    }

    warnings.extend(left.into_values());

    let batches = plan
        .batches
        .iter()
        .map(|batch| {
            let hosts: Vec<HostId> = batch.hosts.iter().map(|h| h.id.clone()).collect();
            let of: Vec<Stand> = hosts.iter().filter_map(|h| stands.get(h)).map(|(_, stand)| *stand).collect();
            let times = times.remove(&batch.number).unwrap_or_default();
            let state = batch_state(&of);
            BatchReport {
                number: batch.number,
                hosts,
                state,
                cordoned_at: times.cordoned,
                bake_ended_at: times.baked,
                terminated_at: times.terminated,
                restored_at: times.restored.filter(|_| state == BatchState::Restored),
            }
        })
        .collect();
    let with = |wanted: &[Stand]| -> Vec<HostId> {
        stands.iter().filter(|(_, (_, s))| wanted.contains(s)).map(|(h, _)| h.clone()).collect()
    };
    let (outcome, exit_code) = ended.unwrap_or((Outcome::NeedsAttention, 8));
    if outcome == Outcome::Completed
        && let Some(order) = cause.take()
    {
        warnings.push(format!("{}: by then everything was gone, and nothing was left to stop", order.message));
    }
    let last = journal.last().map_or(first.at, |r| r.at);
    Some(RunDocument {
        schema: RUN_SCHEMA.to_owned(),
        run: first.run.clone(),
        plan: plan.plan.clone(),
        fleet: fleet.clone(),
        operator: operator.clone(),
        subsystem: plan.request.subsystem.clone(),
        reason: reason.clone(),
        request_id: request_id.clone(),
        outcome,
        exit_code,
        started_at: first.at,
        ended_at: last,
        cause,
        batches,
        terminated: with(&[Stand::Gone]),
        restored: with(&[Stand::Back]),
        in_doubt: with(&[Stand::Touched, Stand::Cordoned, Stand::Doubt]),
        dropped: dropped.into_iter().collect(),
        subsystems,
        taken_over_by: takeovers(journal),
        warnings,
        // Whoever prints it knows how this program was called.
        next_command: None,
    })
}

/// Everybody who took the run over, the earliest first.
pub(crate) fn takeovers(journal: &[JournalRecord]) -> Vec<TakenOver> {
    let fence = |record: &JournalRecord| match &record.event {
        Past::RunTakenOver { operator, purpose, even_if_alive, .. } => {
            let verb = match purpose {
                Purpose::Resume => "resumed",
                Purpose::Abandon => "abandoned",
            };
            let anyway = if *even_if_alive { " with --even-if-alive" } else { "" };
            Some(TakenOver { operator: operator.clone(), at: record.at, how: format!("{verb}{anyway}") })
        }
        _ => None,
    };
    journal.iter().filter_map(fence).collect()
}

/// As documents have it: an order, from whomever, is the rule `halted`, and `outcome` tells it from a regression.
fn documented(cause: &Cause) -> Cause {
    let mut cause = cause.clone();
    if cause.kind == CauseKind::Order {
        cause.kind = CauseKind::Rule;
        cause.rule.get_or_insert_with(|| "halted".to_owned());
    }
    cause
}

/// Whether the journal says that the run ended.
pub(crate) fn has_ended(journal: &[JournalRecord]) -> bool {
    journal.last().is_some_and(|r| matches!(r.event, Past::RunEnded { .. } | Past::JournalPruned { .. }))
}

fn batch_state(of: &[Stand]) -> BatchState {
    let any = |wanted: &[Stand]| of.iter().any(|s| wanted.contains(s));
    if any(&[Stand::Touched, Stand::Doubt]) {
        BatchState::Unknown
    } else if any(&[Stand::Cordoned]) {
        BatchState::Cordoned
    } else if any(&[Stand::Back]) {
        BatchState::Restored
    } else if any(&[Stand::Gone]) {
        BatchState::Terminated
    } else {
        BatchState::NotStarted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Journals are kept for good: a fence of a version that did not say how it was taken is one without the option.
    #[test]
    fn fences_of_earlier_versions_are_read_and_told() {
        let fence = |seq: u64, purpose: &str, more: &str| {
            let text = format!(
                r#"{{"schema":"safe-remove/event/v1","run":"r-1","seq":{seq},"at":"2017-02-28T17:37:00.000Z",
                "event":"run-taken-over","epoch":2,"process":{{"host":"bastion","pid":7,"token":"1.x"}},
                "operator":"ann@bastion","purpose":"{purpose}","reason":null,"leave":[]{more}}}"#
            );
            serde_json::from_str::<JournalRecord>(&text).expect("a record")
        };
        let journal = [fence(1, "resume", ""), fence(2, "abandon", r#","even_if_alive":true"#)];
        let told: Vec<String> =
            takeovers(&journal).into_iter().map(|by| format!("{} by {}", by.how, by.operator)).collect();
        assert_eq!(told, ["resumed by ann@bastion", "abandoned with --even-if-alive by ann@bastion"]);
    }
}
