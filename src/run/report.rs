//! The run document, made of the journal and nothing else: whoever reads the journal sees the same run.

use crate::model::{HostId, Time};

use super::document::{ConfirmedBatch, HostDoubt, RunPause};
use super::history::{BatchConfirmation, PauseHistory};
use super::recovery::recovery;
use super::{
    BatchReport, BatchState, Cause, CauseKind, HostStage, JournalRecord, Opening, Outcome, Purpose, RunDocument,
    RunHistory, TakenOver, Takeover,
};

/// The schema of the run document.
pub(crate) const RUN_SCHEMA: &str = "safe-remove/run/v1";

/// The document of a run as its journal stands; `None` if the journal does not begin with the run's opening.
///
/// Of a run that has not ended, `outcome` is `needs-attention`, `ended_at` is the last record's time, and every
/// host that was touched and whose end is not recorded is in doubt: a reader cannot know more.
pub(crate) fn report(journal: &[JournalRecord]) -> Option<RunDocument> {
    if let Some(document) = super::pruned::pruned(journal) {
        return Some(document);
    }
    let history = RunHistory::of(journal);
    let Opening { record: first, plan, fleet, operator, reason, request_id, confirmed, .. } = history.opening?;
    let mut cause = history.cause.map(documented);
    let mut warnings = plan.warnings.clone();
    warnings.extend(history.warnings.iter().cloned());
    warnings.extend(history.left.values().map(|message| (*message).clone()));
    // Nobody knows what a journal means that is out of order.
    warnings.extend(history.illegal.as_ref().map(|illegal| format!("somebody must look at this run: {illegal}")));

    let batches = history
        .planned(&plan.batches)
        .iter()
        .map(|batch| {
            let hosts: Vec<HostId> = batch.hosts.iter().map(|h| h.id.clone()).collect();
            let of: Vec<HostStage> =
                hosts.iter().filter_map(|h| history.hosts.get(h)).map(|(_, stage)| *stage).collect();
            let times = history.batches.get(&batch.number).copied().unwrap_or_default();
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
    let with = |wanted: &[HostStage]| -> Vec<HostId> {
        history.hosts.iter().filter(|(_, (_, s))| wanted.contains(s)).map(|(h, _)| (*h).clone()).collect()
    };
    let end = history.end.filter(|_| history.illegal.is_none());
    let (outcome, exit_code) = end.map_or((Outcome::NeedsAttention, 8), |end| (end.outcome, end.exit_code));
    if outcome == Outcome::Completed
        && let Some(order) = cause.take()
    {
        warnings.push(format!("{}: by then everything was gone, and nothing was left to stop", order.message));
    }
    let subsystems = history.measured.unwrap_or(&plan.subsystems).to_vec();
    let last = history.last.map_or(first.at, |r| r.at);
    Some(RunDocument {
        schema: RUN_SCHEMA.to_owned(),
        run: first.run.clone(),
        plan: plan.plan.clone(),
        fleet: fleet.clone(),
        operator: operator.clone(),
        subsystem: plan.request.subsystem.clone(),
        reason: reason.cloned(),
        request_id: request_id.cloned(),
        confirmed: Some(confirmed.to_owned()),
        outcome,
        exit_code,
        started_at: first.at,
        ended_at: end.map_or(last, |end| end.at),
        cause,
        recovery: recovery(&history, None),
        batches,
        terminated: with(&[HostStage::Gone]),
        restored: with(&[HostStage::Back]),
        in_doubt: with(&[HostStage::Touched, HostStage::Cordoned, HostStage::Doubt]),
        doubts: doubts(&history),
        dropped: history.dropped.iter().map(|host| (*host).clone()).collect(),
        subsystems,
        taken_over_by: told(&history.takeovers),
        confirmations: history.confirmations.iter().map(confirmed_batch).collect(),
        pauses: history.pauses.iter().map(paused).collect(),
        warnings,
        // The printer knows how this program was called.
        next_command: None,
        next_command_at: None,
    })
}

/// The document of a run whose process still reads the probes, until then.
pub(crate) fn reading_on(mut document: RunDocument, journal: &[JournalRecord], until: Time) -> RunDocument {
    document.recovery = recovery(&RunHistory::of(journal), Some(until));
    document
}

/// Everybody who took the run over, the earliest first.
pub(crate) fn takeovers(journal: &[JournalRecord]) -> Vec<TakenOver> {
    told(&RunHistory::of(journal).takeovers)
}

fn told(takeovers: &[Takeover<'_>]) -> Vec<TakenOver> {
    let fence = |takeover: &Takeover<'_>| {
        let verb = match takeover.purpose {
            Purpose::Resume => "resumed",
            Purpose::Abandon => "abandoned",
        };
        let anyway = if takeover.even_if_alive { " with --even-if-alive" } else { "" };
        TakenOver { operator: takeover.operator.clone(), at: takeover.at, how: format!("{verb}{anyway}") }
    };
    takeovers.iter().map(fence).collect()
}

/// The hosts in doubt of which the run said what it knew.
fn doubts(history: &RunHistory<'_>) -> Vec<HostDoubt> {
    let doubt = |(host, (_, stage)): (&&HostId, &(crate::model::BatchNumber, HostStage))| {
        let known = history.doubts.get(host)?;
        let cordoned = *stage == HostStage::Cordoned;
        matches!(stage, HostStage::Cordoned | HostStage::Doubt).then(|| HostDoubt {
            host: (*host).clone(),
            cordoned,
            why: known.why.to_owned(),
            until: known.until,
        })
    };
    history.hosts.iter().filter_map(doubt).collect()
}

fn confirmed_batch(of: &BatchConfirmation<'_>) -> ConfirmedBatch {
    ConfirmedBatch { batch: of.batch, operator: of.operator.clone(), at: of.at, how: of.how.to_owned() }
}

fn paused(of: &PauseHistory<'_>) -> RunPause {
    RunPause {
        continued_at: of.continued.map(|(at, _)| at),
        continued_by: of.continued.and_then(|(_, operator)| operator.cloned()),
        ..RunPause::of(of.pause)
    }
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
    RunHistory::of(journal).has_ended()
}

fn batch_state(of: &[HostStage]) -> BatchState {
    let any = |wanted: &[HostStage]| of.iter().any(|s| wanted.contains(s));
    if any(&[HostStage::Touched, HostStage::Doubt]) {
        BatchState::Unknown
    } else if any(&[HostStage::Cordoned]) {
        BatchState::Cordoned
    } else if any(&[HostStage::Back]) {
        BatchState::Restored
    } else if any(&[HostStage::Gone]) {
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
