//! What every ledger must do, written against the port alone. Each engine runs all of it with [`conformance`].
//! The ledger of unit tests runs it in `src/ledger/memory.rs`.

use std::sync::Arc;
use std::time::Duration;

use safe_remove::coordination::FleetRecord;
use safe_remove::model::{LedgerId, Nonce, RunId, Time};
use safe_remove::ports::{Ledger, LedgerError, Version, Written};
use safe_remove::run::{Event, JournalRecord};

/// One engine's store, empty at first. Each call of `open` is another process's view of the same store.
pub(crate) trait Engine {
    /// Opens the ledger of a fleet.
    async fn open(&self, fleet: &str) -> Result<Arc<dyn Ledger>, LedgerError>;

    /// Writes the record's text behind the ledger's back, as a newer version or an accident would.
    async fn replace_record(&self, fleet: &str, text: &str);
}

/// Runs the suite against an engine: one test per property, each on a store of its own.
macro_rules! conformance {
    ($engine:expr) => {
        crate::ledger::conformance::conformance!($engine;
            a_new_ledger_holds_one_fresh_record_for_all,
            s9_a_write_wins_once_and_at_its_version_only,
            s9_a_repeated_write_is_acknowledged_and_changes_nothing,
            s9_fifty_racing_writers_lose_no_write,
            s5_a_journal_has_no_gaps_and_no_seq_twice,
            s9_a_repeated_append_is_acknowledged_once,
            s9_two_processes_cannot_both_write_one_journal,
            what_was_acknowledged_is_there_after_opening_again,
            runs_are_listed_from_their_first_record_newest_first,
            s9_a_pruned_journal_is_one_record_and_takes_no_other,
            two_fleets_share_nothing,
            s3_a_record_of_another_ledger_or_fleet_is_not_written,
            s3_a_newer_record_is_refused_as_newer,
            s3_a_damaged_record_is_corrupt,
            a_long_journal_is_read_whole,
        );
    };
    ($engine:expr; $($test:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $test() {
                crate::ledger::conformance::$test(&$engine).await;
            }
        )+
    };
}
pub(crate) use conformance;

pub(crate) fn at(seconds: i64) -> Time {
    Time::from_millis(1_488_300_000_000).plus(Duration::from_secs(seconds.try_into().expect("not negative")))
}

pub(crate) fn event(run: &str, seq: u64, when: Time) -> JournalRecord {
    JournalRecord {
        schema: "safe-remove/event/v4".to_owned(),
        run: run.into(),
        seq,
        at: when,
        event: Event::Warned { message: "a record".to_owned() },
    }
}

/// What stands in place of a journal of so many records.
pub(crate) fn pruned(run: &str, records: u64) -> JournalRecord {
    let text = serde_json::json!({
        "schema": "safe-remove/event/v4", "run": run, "seq": 0, "at": at(0), "event": "journal-pruned",
        "document": {
            "schema": "safe-remove/run/v1", "run": run, "plan": "p", "fleet": "demo", "operator": "ada",
            "subsystem": "index", "outcome": "completed", "exit_code": 0, "started_at": at(0), "ended_at": at(1),
            "batches": [], "terminated": [], "restored": [], "in_doubt": [], "dropped": [], "subsystems": [],
            "warnings": [],
        },
        "request": { "subsystem": "index", "count": 1 },
        "records": records, "file": "old.json", "operator": "casey", "pruned_at": at(9),
    });
    serde_json::from_value(text).expect("a record")
}

pub(crate) fn nonce(text: impl Into<std::sync::Arc<str>>) -> Nonce {
    Nonce::new(text)
}

/// Any change that tells records apart.
fn later(record: &FleetRecord) -> FleetRecord {
    FleetRecord { written_at: record.written_at.plus(Duration::from_millis(1)), ..record.clone() }
}

pub(crate) async fn a_new_ledger_holds_one_fresh_record_for_all(engine: &impl Engine) {
    let (a, b) = (engine.open("demo").await.expect("opens"), engine.open("demo").await.expect("opens"));
    let (first, second) = (a.read().await.expect("reads"), b.read().await.expect("reads"));
    assert_eq!(first, second, "two processes agree on one ledger id");
    assert_eq!(first.1.fleet, "demo".into());
    assert!(first.1.runs.is_empty() && first.1.accepted.is_empty());
}

pub(crate) async fn s9_a_write_wins_once_and_at_its_version_only(engine: &impl Engine) {
    let (a, b) = (engine.open("demo").await.expect("opens"), engine.open("demo").await.expect("opens"));
    let (v0, record) = a.read().await.expect("reads");
    let changed = later(&record);
    let Written::Acknowledged(v1) = a.compare_and_swap(v0, &changed, &nonce("n1")).await.expect("writes") else {
        panic!("nobody else wrote");
    };
    assert!(v1 > v0);
    assert_eq!(b.read().await.expect("reads"), (v1, changed.clone()));

    let late = later(&later(&changed));
    assert_eq!(b.compare_and_swap(v0, &late, &nonce("n2")).await.expect("answers"), Written::Conflict);
    let early = Version(v1.0 + 1);
    assert_eq!(b.compare_and_swap(early, &late, &nonce("n3")).await.expect("answers"), Written::Conflict);
    assert_eq!(a.read().await.expect("reads"), (v1, changed), "a conflict writes nothing");
}

pub(crate) async fn s9_a_repeated_write_is_acknowledged_and_changes_nothing(engine: &impl Engine) {
    let ledger = engine.open("demo").await.expect("opens");
    let (v0, record) = ledger.read().await.expect("reads");
    let changed = later(&record);
    let Written::Acknowledged(v1) = ledger.compare_and_swap(v0, &changed, &nonce("mine")).await.expect("writes") else {
        panic!("nobody else wrote");
    };
    // Another run writes on top before the first writer, whose reply was lost, asks again (schedule 13).
    let newest = later(&changed);
    let Written::Acknowledged(v2) = ledger.compare_and_swap(v1, &newest, &nonce("other")).await.expect("writes") else {
        panic!("nobody else wrote");
    };
    let again = engine.open("demo").await.expect("opens").compare_and_swap(v0, &changed, &nonce("mine")).await;
    assert_eq!(again.expect("answers"), Written::Acknowledged(v1), "its own write, not a conflict");
    assert_eq!(ledger.read().await.expect("reads"), (v2, newest), "and the other's stands");
}

pub(crate) async fn s9_fifty_racing_writers_lose_no_write(engine: &impl Engine) {
    const WRITERS: u64 = 50;
    let begin = engine.open("demo").await.expect("opens").read().await.expect("reads");
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let ledger = engine.open("demo").await.expect("opens");
        tasks.push(tokio::spawn(async move {
            for attempt in 0..10 * WRITERS {
                let (at, record) = ledger.read().await.expect("reads");
                let nonce = nonce(format!("{writer}-{attempt}"));
                let written = ledger.compare_and_swap(at, &later(&record), &nonce).await;
                if let Written::Acknowledged(_) = written.expect("answers") {
                    return;
                }
            }
            panic!("writer {writer} starved");
        }));
    }
    for task in tasks {
        task.await.expect("every writer gets through");
    }
    let (version, record) = engine.open("demo").await.expect("opens").read().await.expect("reads");
    assert_eq!(version, Version(begin.0.0 + WRITERS), "one version for each writer");
    assert_eq!(record.written_at, begin.1.written_at.plus(Duration::from_millis(WRITERS)), "no change was overwritten");
}

pub(crate) async fn s5_a_journal_has_no_gaps_and_no_seq_twice(engine: &impl Engine) {
    let ledger = engine.open("demo").await.expect("opens");
    let run = RunId::from("r1");
    assert_eq!(ledger.journal(&run).await.expect("reads"), vec![], "a run that is not known");
    for seq in 0..3 {
        let record = event("r1", seq, at(seq.try_into().expect("small")));
        let written = ledger.append(&record, &nonce(format!("n{seq}"))).await;
        assert_eq!(written.expect("appends"), Written::Acknowledged(()));
    }
    assert_eq!(ledger.append(&event("r1", 1, at(9)), &nonce("x")).await.expect("answers"), Written::Conflict);
    let gap = ledger.append(&event("r1", 4, at(9)), &nonce("y")).await;
    assert!(matches!(gap, Err(LedgerError::Corrupt { .. })), "seq 3 is missing: {gap:?}");

    let journal = ledger.journal(&run).await.expect("reads");
    assert_eq!(journal, (0..3).map(|s| event("r1", s, at(s.try_into().expect("small")))).collect::<Vec<_>>());
}

pub(crate) async fn s9_a_repeated_append_is_acknowledged_once(engine: &impl Engine) {
    let ledger = engine.open("demo").await.expect("opens");
    let first = event("r1", 0, at(0));
    for _ in 0..2 {
        assert_eq!(ledger.append(&first, &nonce("n0")).await.expect("appends"), Written::Acknowledged(()));
    }
    ledger.append(&event("r1", 1, at(1)), &nonce("n1")).await.expect("appends");
    assert_eq!(
        ledger.append(&first, &nonce("n0")).await.expect("answers"),
        Written::Acknowledged(()),
        "also when the journal went on: a process must not take itself for fenced (schedule 13)"
    );
    assert_eq!(ledger.journal(&"r1".into()).await.expect("reads").len(), 2);
}

pub(crate) async fn s9_two_processes_cannot_both_write_one_journal(engine: &impl Engine) {
    let mut tasks = Vec::new();
    for process in ["a", "b"] {
        let ledger = engine.open("demo").await.expect("opens");
        tasks.push(tokio::spawn(async move {
            let mut mine = 0_u64;
            for seq in 0..20 {
                let written = ledger.append(&event("r1", seq, at(0)), &nonce(format!("{process}{seq}"))).await;
                mine += u64::from(written.expect("answers") == Written::Acknowledged(()));
            }
            mine
        }));
    }
    let mut acknowledged = 0;
    for task in tasks {
        acknowledged += task.await.expect("ends");
    }
    assert_eq!(acknowledged, 20, "each seq was acknowledged to exactly one");
    let journal = engine.open("demo").await.expect("opens").journal(&"r1".into()).await.expect("reads");
    assert!(journal.iter().map(|r| r.seq).eq(0..20));
}

pub(crate) async fn what_was_acknowledged_is_there_after_opening_again(engine: &impl Engine) {
    let written = {
        let ledger = engine.open("demo").await.expect("opens");
        let (at0, record) = ledger.read().await.expect("reads");
        ledger.append(&event("r1", 0, at(0)), &nonce("j")).await.expect("appends");
        ledger.compare_and_swap(at0, &later(&record), &nonce("n")).await.expect("writes");
        ledger.read().await.expect("reads")
    };
    let ledger = engine.open("demo").await.expect("opens");
    assert_eq!(ledger.read().await.expect("reads"), written);
    assert_eq!(ledger.journal(&"r1".into()).await.expect("reads").len(), 1);
}

pub(crate) async fn runs_are_listed_from_their_first_record_newest_first(engine: &impl Engine) {
    let ledger = engine.open("demo").await.expect("opens");
    for (run, begun) in [("early", 10), ("late", 30), ("middle", 20)] {
        ledger.append(&event(run, 0, at(begun)), &nonce(format!("{run}0"))).await.expect("appends");
        ledger.append(&event(run, 1, at(100)), &nonce(format!("{run}1"))).await.expect("appends");
    }
    let ids = |runs: Vec<RunId>| runs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(ids(ledger.runs(None).await.expect("reads")), "late middle early");
    assert_eq!(ids(ledger.runs(Some(at(20))).await.expect("reads")), "late middle");
    assert_eq!(ids(ledger.runs(Some(at(31))).await.expect("reads")), "");
}

pub(crate) async fn s9_a_pruned_journal_is_one_record_and_takes_no_other(engine: &impl Engine) {
    let (a, b) = (engine.open("demo").await.expect("opens"), engine.open("demo").await.expect("opens"));
    for (run, length) in [("r1", 1), ("r2", 2), ("r3", 30), ("other", 3)] {
        for seq in 0..length {
            a.append(&event(run, seq, at(0)), &nonce(format!("n{seq}"))).await.expect("appends");
        }
    }
    let listed = a.runs(None).await.expect("lists");
    for (run, length) in [("r1", 1), ("r2", 2), ("r3", 30)] {
        let stub = pruned(run, length);
        // Once more does no harm.
        for again in ["p", "q"] {
            a.prune(&stub, &nonce(again)).await.expect("pruned");
            assert_eq!(b.journal(&run.into()).await.expect("reads"), std::slice::from_ref(&stub));
        }
        // Wherever a process that slept for long takes it up, it is fenced. It may repeat what it wrote, too.
        for seq in 0..length + 2 {
            for by in [format!("n{seq}"), "x".to_owned()] {
                let late = b.append(&event(run, seq, at(9)), &nonce(by)).await;
                assert_eq!(late.expect("answers"), Written::Conflict, "seq {seq} of {run}");
            }
        }
        assert_eq!(b.journal(&run.into()).await.expect("reads"), [stub]);
    }
    a.prune(&pruned("none", 1), &nonce("p")).await.expect("there is none");
    assert_eq!(a.journal(&"none".into()).await.expect("reads"), []);
    assert_eq!(a.runs(None).await.expect("lists"), listed, "begun when they were begun");
    assert_eq!(b.journal(&"other".into()).await.expect("reads").len(), 3, "and another journal is as it was");
    let ours = b.append(&event("other", 3, at(9)), &nonce("n3")).await;
    assert_eq!(ours.expect("appends"), Written::Acknowledged(()));
}

pub(crate) async fn two_fleets_share_nothing(engine: &impl Engine) {
    let (a, b) = (engine.open("a").await.expect("opens"), engine.open("b").await.expect("opens"));
    let (va, ra) = a.read().await.expect("reads");
    let before = b.read().await.expect("reads");
    assert_ne!(ra.ledger, before.1.ledger);
    a.compare_and_swap(va, &later(&ra), &nonce("n")).await.expect("writes");
    a.append(&event("r1", 0, at(0)), &nonce("j")).await.expect("appends");
    assert_eq!(b.read().await.expect("reads"), before);
    assert_eq!(b.runs(None).await.expect("reads"), vec![]);
    assert_eq!(b.journal(&"r1".into()).await.expect("reads"), vec![]);
    let taken = b.append(&event("r1", 0, at(5)), &nonce("other")).await.expect("appends");
    assert_eq!(taken, Written::Acknowledged(()), "the same run id in another fleet is another run");
}

pub(crate) async fn s3_a_record_of_another_ledger_or_fleet_is_not_written(engine: &impl Engine) {
    let ledger = engine.open("demo").await.expect("opens");
    let before = ledger.read().await.expect("reads");
    let foreign = FleetRecord { ledger: LedgerId::from("ledger-of-somebody-else"), ..before.1.clone() };
    let misfiled = FleetRecord { fleet: "other".into(), ..before.1.clone() };
    for (name, record) in [("foreign", foreign), ("misfiled", misfiled)] {
        let written = ledger.compare_and_swap(before.0, &record, &nonce(name)).await;
        assert!(matches!(written, Err(LedgerError::Corrupt { .. })), "{name}: {written:?}");
    }
    assert_eq!(ledger.read().await.expect("reads"), before);
}

pub(crate) async fn s3_a_newer_record_is_refused_as_newer(engine: &impl Engine) {
    let ledger = engine.open("demo").await.expect("opens");
    let (_, record) = ledger.read().await.expect("reads");
    let mut newer = serde_json::to_value(&record).expect("serializes");
    newer["quorum"] = 3.into();
    engine.replace_record("demo", &newer.to_string()).await;
    let read = ledger.read().await;
    assert!(matches!(&read, Err(LedgerError::Newer { found, .. }) if found.contains("quorum")), "{read:?}");
    newer["schema"] = "safe-remove/ledger/v6".into();
    engine.replace_record("demo", &newer.to_string()).await;
    let read = engine.open("demo").await.expect("opens").read().await;
    assert!(matches!(read, Err(LedgerError::Newer { .. })), "{read:?}");
}

pub(crate) async fn s3_a_damaged_record_is_corrupt(engine: &impl Engine) {
    let ledger = engine.open("demo").await.expect("opens");
    let (_, record) = ledger.read().await.expect("reads");
    let text = serde_json::to_string(&record).expect("serializes");
    let mut foreign = serde_json::to_value(&record).expect("serializes");
    foreign["ledger"] = "ledger-of-somebody-else".into();
    for damaged in [&text[..text.len() / 2], "", "null", &foreign.to_string()] {
        engine.replace_record("demo", damaged).await;
        let read = ledger.read().await;
        assert!(matches!(read, Err(LedgerError::Corrupt { .. })), "{damaged}: {read:?}");
        let stored = engine.open("demo").await.expect("opens").stored().await.expect("reads");
        assert_eq!(stored.as_deref(), Some(damaged), "an export shows what is there");
    }
}

/// Longer than a page of any engine: more keys than etcd is asked for at once, more bytes than DynamoDB answers with.
pub(crate) async fn a_long_journal_is_read_whole(engine: &impl Engine) {
    const RECORDS: u64 = 510;
    let ledger = engine.open("demo").await.expect("opens");
    let record = |seq| JournalRecord {
        event: Event::Warned { message: format!("{seq} {}", "x".repeat(2500)) },
        ..event("r1", seq, at(0))
    };
    for seq in 0..RECORDS {
        ledger.append(&record(seq), &nonce(format!("n{seq}"))).await.expect("appends");
    }
    let journal = ledger.journal(&"r1".into()).await.expect("reads");
    assert!(journal.iter().cloned().eq((0..RECORDS).map(record)), "{} records", journal.len());
}
