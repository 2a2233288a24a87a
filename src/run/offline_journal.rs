//! Records that a run's process could not bring into the ledger: whether the journal can still take them, and what they
//! say, in words.

use std::collections::BTreeMap;

use crate::model::{Call, CallOutcome, Effect, HostId};

use super::{Event, JournalRecord, RunHistory};

/// The relation of offline records to the run's journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OfflineJournal {
    /// The journal has the first so many of these records, and ends where the others begin.
    Follows(usize),
    /// S9: the journal went on without them: another process has acted for the run since.
    WentOn,
    /// The journal ends before they begin: it lost records that it had acknowledged.
    Gap,
}

/// Whether the journal can take these records of one process, which are in order.
pub(crate) fn follows<'a>(
    journal: &[JournalRecord],
    records: impl IntoIterator<Item = &'a JournalRecord>,
) -> OfflineJournal {
    if super::is_pruned(journal) {
        return OfflineJournal::WentOn;
    }
    let mut there = 0;
    for (nth, record) in records.into_iter().enumerate() {
        let seq = usize::try_from(record.seq).unwrap_or(usize::MAX);
        match journal.get(seq) {
            Some(taken) if taken == record => there = nth + 1,
            Some(_) => return OfflineJournal::WentOn,
            None if seq > journal.len() + nth - there => return OfflineJournal::Gap,
            None => {}
        }
    }
    // All of them may be there, and something else behind them: then nothing is missing.
    OfflineJournal::Follows(there)
}

/// What these records say was done and seen, one line each. `journal` knows the calls that they answer.
pub(crate) fn in_words<'a>(
    journal: &[JournalRecord],
    records: impl IntoIterator<Item = &'a JournalRecord>,
) -> Vec<String> {
    let history = RunHistory::of(journal);
    let mut calls: BTreeMap<u64, Call> = history.calls.iter().map(|(call, of)| (*call, of.intent.clone())).collect();
    let mut open = BTreeMap::new();
    let mut said = Vec::new();
    for record in records {
        let at = record.at;
        match &record.event {
            Event::CallIntended { call, intent } => {
                calls.insert(*call, intent.clone());
                open.insert(*call, at);
            }
            Event::CallAnswered { call, outcome } => {
                open.remove(call);
                let what = calls.get(call).map_or_else(|| format!("call {call}"), words);
                match outcome {
                    CallOutcome::Done => said.push(format!("{at} {what}: done")),
                    CallOutcome::Unknown { message } => said.push(format!("{at} {what}: in doubt, {message}")),
                    // Nothing was done.
                    CallOutcome::Refused { .. } => {}
                }
            }
            Event::HostRestored { host, .. } => said.push(format!("{at} {host} seen back in service")),
            Event::HostTerminated { host, .. } => said.push(format!("{at} {host} seen gone")),
            Event::HostInDoubt { host, why, .. } => said.push(format!("{at} {host} in doubt: {why}")),
            Event::HostGivenUp { host, .. } => said.push(format!("{at} {host} given up")),
            Event::Stopped { cause } => said.push(format!("{at} stopping: {}", cause.message)),
            Event::RunOpened { .. }
            | Event::ReferenceTaken { .. }
            | Event::BatchGranted { .. }
            | Event::HostDropped { .. }
            | Event::GroupHeld { .. }
            | Event::GroupReleased { .. }
            | Event::GroupLeft { .. }
            | Event::BatchCordoned { .. }
            | Event::Sampled { .. }
            | Event::BakeRestarted { .. }
            | Event::BakeExtended { .. }
            | Event::HookIntended { .. }
            | Event::HookAnswered { .. }
            | Event::BatchShrunk { .. }
            | Event::BatchDrained { .. }
            | Event::BakeEnded { .. }
            | Event::TerminationStarted { .. }
            | Event::BatchTerminated { .. }
            | Event::Waiting { .. }
            | Event::Paused { .. }
            | Event::Continued { .. }
            | Event::Asked { .. }
            | Event::BatchConfirmed { .. }
            | Event::HostUntouched { .. }
            | Event::RunTakenOver { .. }
            | Event::Warned { .. }
            | Event::RunEnded { .. }
            | Event::HaltOrdered { .. }
            | Event::HaltLifted { .. }
            | Event::PauseOrdered { .. }
            | Event::ContinueOrdered { .. }
            | Event::LedgerAdopted { .. }
            | Event::MinimumRaised { .. }
            | Event::LedgerTimeSet { .. }
            | Event::JournalPruned { .. } => {}
        }
    }
    for (call, at) in open {
        let what = calls.get(&call).map_or_else(|| format!("call {call}"), words);
        said.push(format!("{at} {what}: intended, no answer known"));
    }
    said
}

fn words(call: &Call) -> String {
    let hosts = |hosts: Vec<&HostId>| hosts.iter().map(|host| host.as_str()).collect::<Vec<_>>().join(" ");
    match &call.effect {
        Effect::Cordon { .. } => format!("cordon {}", hosts(call.effect.hosts().into_iter().collect())),
        Effect::Restore { .. } => format!("restore {}", hosts(call.effect.hosts().into_iter().collect())),
        Effect::Terminate { host, .. } => format!("terminate {host}"),
        Effect::Suspend { group, .. } => format!("suspend AZRebalance of {group}"),
        Effect::Resume { group, .. } => format!("resume AZRebalance of {group}"),
        Effect::Adopt { .. } => "adopt".to_owned(),
        Effect::RaiseMinimum { group, to, .. } => format!("raise the minimum of {group} to {to}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{RunId, Time};

    fn record(seq: u64, message: &str) -> JournalRecord {
        JournalRecord {
            schema: super::super::EVENT_SCHEMA.to_owned(),
            run: RunId::new("r-1"),
            seq,
            at: Time::from_millis(0),
            event: Event::Warned { message: message.to_owned() },
        }
    }

    fn records(seqs: std::ops::Range<u64>, message: &str) -> Vec<JournalRecord> {
        seqs.map(|seq| record(seq, message)).collect()
    }

    #[test]
    fn s9_kept_records_follow_only_where_the_journal_ends() {
        let journal = records(0..3, "ours");
        assert_eq!(follows(&journal, &records(3..6, "ours")), OfflineJournal::Follows(0));
        // In doubt, and there: the first, or all of them.
        assert_eq!(follows(&journal, &records(2..6, "ours")), OfflineJournal::Follows(1));
        assert_eq!(follows(&journal, &records(1..3, "ours")), OfflineJournal::Follows(2));
        // Another process wrote.
        assert_eq!(follows(&journal, &records(2..6, "theirs")), OfflineJournal::WentOn);
        let mut went_on = journal.clone();
        went_on.extend(records(3..5, "theirs"));
        assert_eq!(follows(&went_on, &records(2..6, "ours")), OfflineJournal::WentOn);
        // A journal that lost what it had.
        assert_eq!(follows(&journal[..2], &records(3..6, "ours")), OfflineJournal::Gap);
        assert_eq!(follows(&journal, &[record(3, "ours"), record(5, "ours")]), OfflineJournal::Gap);
    }

    /// What a process says that did something without its ledger, and what the process that takes it over is told.
    #[test]
    fn s9_what_was_done_is_told_with_what_came_of_it_and_what_was_not_sent_is_not() {
        let at = Time::from_millis(1_488_303_420_000);
        let call = |host: &str| Call {
            effect: Effect::Restore { group: None, hosts: BTreeMap::from([(host.into(), Default::default())]) },
            intent_at: at,
            not_after: at,
        };
        let events = [
            Event::CallIntended { call: 1, intent: call("a") },
            Event::CallIntended { call: 2, intent: call("b") },
            Event::CallAnswered { call: 2, outcome: CallOutcome::Done },
            Event::CallIntended { call: 3, intent: call("c") },
            Event::CallAnswered {
                call: 3,
                outcome: CallOutcome::Refused { message: "not sent".to_owned(), retryable: true },
            },
            Event::CallAnswered { call: 1, outcome: CallOutcome::Unknown { message: "no reply".to_owned() } },
            Event::CallIntended { call: 4, intent: call("d") },
            Event::HostRestored { batch: 1.into(), host: "b".into() },
        ];
        let journal: Vec<JournalRecord> =
            (0..).zip(events).map(|(seq, event)| JournalRecord { at, event, ..record(seq, "") }).collect();
        // The first intent was acknowledged: its answer is told all the same.
        let said = in_words(&journal, &journal[1..]).join("\n").replace(&format!("{at} "), "");
        assert_eq!(
            said,
            "restore b: done\nrestore a: in doubt, no reply\nb seen back in service\nrestore d: intended, no answer known"
        );
    }
}
