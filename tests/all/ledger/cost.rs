//! What a run asks of its ledger, counted: what nobody counts grows.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde_json::Value;

use crate::environment::TestEnvironment;
use crate::fleets::Fleet;

/// Writes of the record and records of the journal that a run of so many hosts, two by two, leaves behind in a ledger
/// where one ran before.
fn cost(count: &str) -> (i64, Vec<String>) {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 6, ..Fleet::default() }.write(&environment);
    let remove = |count: &str| {
        let args = ["--subsystem", "index", "--count", count, "--yes", "-o", "json"];
        environment.run(&args).exits(0).json()["run"].as_str().expect("an id").to_owned()
    };
    // The first makes the ledger, names it to the fleet and accepts the policies.
    remove("1");
    let ledger = Connection::open(environment.path().join("state/ledger.db")).expect("a database");
    let version = || ledger.query_row("SELECT version FROM fleets", [], |row| row.get::<_, i64>(0)).expect("a version");
    let before = version();
    let run = remove(count);
    let mut journal = ledger.prepare("SELECT record FROM journal WHERE run = ?1 ORDER BY seq").expect("a query");
    let records = journal.query_map([run], |row| row.get::<_, String>(0)).expect("a journal");
    (version() - before, records.map(|record| record.expect("a record")).collect())
}

/// The least that the protocol allows for a batch of two. Three writes of the record: the hosts are reserved, the step to
/// terminating is granted, the outcomes are counted. One record of the journal for each step, before and after each call,
/// and for each sample of the probes: nothing is done that is not written first, nothing seen that is not written.
#[test]
fn a_batch_costs_three_writes_and_one_append_for_each_step_call_and_sample() {
    let ((writes, journal), (writes_of_more, journal_of_more)) = (cost("2"), cost("4"));
    assert_eq!((writes, writes_of_more - writes), (9, 3), "opening and ending a run cost six more");
    let events = |journal: &[String]| {
        let mut names = BTreeMap::new();
        for record in journal {
            let event = serde_json::from_str::<Value>(record).expect("JSON")["event"].clone();
            *names.entry(event.as_str().expect("a name").to_owned()).or_insert(0_usize) += 1;
        }
        names
    };
    let before = events(&journal);
    let mut more = events(&journal_of_more);
    more.iter_mut().for_each(|(name, count)| *count -= before.get(name).copied().unwrap_or(0));
    more.retain(|_, count| *count > 0);
    let expected = [
        ("bake-ended", 1),
        ("batch-cordoned", 1),
        ("batch-granted", 1),
        ("batch-terminated", 1),
        ("call-answered", 3),
        ("call-intended", 3),
        ("host-terminated", 2),
        // Seven while it is out, fifteen in the interval before it.
        ("sampled", 22),
        ("termination-started", 1),
        ("waiting", 1),
    ];
    assert_eq!(more, expected.map(|(name, count)| (name.to_owned(), count)).into());
}
