//! Grants per second of each engine with 1, 10 and 50 contenders, and how long the ledger calls of one batch take.
//!
//! `cargo bench --bench ledger` prints numbers and judges nothing. SQLite is measured as it is; etcd and DynamoDB where
//! the environment names them: `LEDGER_BENCH_ETCD` (endpoints, with commas), `LEDGER_BENCH_DYNAMODB` (a table; region,
//! credentials and endpoint by AWS's own variables). They are written to under a name of its own each time, and nothing
//! is deleted.
//!
//! A grant is what coordination makes of the ledger: read the record, decide (here: one change that nobody else makes),
//! compare-and-swap, and again after a conflict, with the driver's own pauses.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on says so by panicking")]

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use safe_remove::coordination::{FleetRecord, Halt};
use safe_remove::driver::{record_alone, update};
use safe_remove::ledger::SqliteLedger;
use safe_remove::model::{FleetName, SubsystemName, Time};
use safe_remove::ports::Ledger;
use safe_remove::run::{EVENT_SCHEMA, Event, JournalRecord};

/// How long each crowd is watched.
const WATCHED: Duration = Duration::from_secs(5);

/// Appends of a batch of two hosts with a bake of six samples (`tests/all/ledger/cost.rs` counts them).
const APPENDS_OF_A_BATCH: u64 = 21;

/// Writes of the record for one batch: reserved, terminating, counted.
const WRITES_OF_A_BATCH: u64 = 3;

/// The timeout of one attempt of a call.
#[cfg(any(feature = "dynamodb", feature = "etcd"))]
const ATTEMPT: std::time::Duration = std::time::Duration::from_secs(10);

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        println!("| engine | 1 contender | 10 | 50 | a batch of two: 21 appends, 3 writes |");
        println!("| --- | --- | --- | --- | --- |");
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ledger.db");
        measure("sqlite", async |fleet| Arc::new(SqliteLedger::open(&path, &fleet, start()).expect("opens"))).await;
        #[cfg(feature = "etcd")]
        etcd().await;
        #[cfg(feature = "dynamodb")]
        dynamodb().await;
    });
}

#[cfg(feature = "etcd")]
async fn etcd() {
    let Ok(endpoints) = std::env::var("LEDGER_BENCH_ETCD") else { return };
    let place = safe_remove::policy::EtcdPlace {
        endpoints: endpoints.split(',').map(str::to_owned).collect(),
        prefix: format!("/bench-{}", uuid::Uuid::new_v4()),
        ca: None,
        identity: None,
        attempt: ATTEMPT,
    };
    measure("etcd", async |fleet| {
        Arc::new(safe_remove::ledger::EtcdLedger::open(&place, &fleet, start()).await.expect("opens"))
    })
    .await;
}

#[cfg(feature = "dynamodb")]
async fn dynamodb() {
    let Ok(table) = std::env::var("LEDGER_BENCH_DYNAMODB") else { return };
    let place = safe_remove::policy::DynamodbPlace { table, region: None, role: None, attempt: ATTEMPT };
    safe_remove::ledger::dynamodb::init(&place).await.expect("a table");
    measure("dynamodb", async |fleet| {
        Arc::new(safe_remove::ledger::DynamodbLedger::open(&place, &fleet, start()).await.expect("opens"))
    })
    .await;
}

/// One row: a fleet of its own for each crowd.
async fn measure<L: Ledger + 'static>(engine: &str, open: impl AsyncFn(FleetName) -> Arc<L>) {
    let mut row = format!("| {engine} |");
    for contenders in [1, 10, 50] {
        let fleet = FleetName::from(format!("bench-{}", uuid::Uuid::new_v4()).as_str());
        let (begun, mut tasks) = (Instant::now(), Vec::new());
        for contender in 0..contenders {
            let ledger = open(fleet.clone()).await;
            tasks.push(tokio::spawn(async move {
                let mut granted = 0_u64;
                while begun.elapsed() < WATCHED {
                    granted += u64::from(grant(ledger.as_ref(), contender).await);
                }
                granted
            }));
        }
        let mut granted = 0;
        for task in tasks {
            granted += task.await.expect("it ends");
        }
        let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        row.push_str(&format!(" {}/s |", granted * 1000 / millis));
    }
    let ledger = open(FleetName::from(format!("bench-{}", uuid::Uuid::new_v4()).as_str())).await;
    let begun = Instant::now();
    for seq in 0..APPENDS_OF_A_BATCH {
        record_alone(ledger.as_ref(), &event(seq)).await.expect("appends");
    }
    for _ in 0..WRITES_OF_A_BATCH {
        grant(ledger.as_ref(), 0).await;
    }
    println!("{row} {:.0?} |", begun.elapsed());
}

/// Whether it went through within the driver's patience.
async fn grant(ledger: &dyn Ledger, contender: u32) -> bool {
    let changed = update(ledger, 200, |record| Ok::<_, Infallible>((Some(later(record, contender)), ())));
    changed.await.is_ok()
}

/// A record of some kilobytes, another one each time.
fn later(record: &FleetRecord, contender: u32) -> FleetRecord {
    let order = Halt {
        subsystem: Some(SubsystemName::from(format!("s-{contender}").as_str())),
        operator: "bench".into(),
        reason: Some("x".repeat(4 << 10)),
        at: start(),
    };
    let written_at = record.written_at.plus(Duration::from_millis(1));
    FleetRecord { halts: vec![order], written_at, ..record.clone() }
}

fn event(seq: u64) -> JournalRecord {
    let event = Event::Warned { message: "x".repeat(500) };
    JournalRecord { schema: EVENT_SCHEMA.to_owned(), run: "r-bench".into(), seq, at: start(), event }
}

fn start() -> Time {
    Time::from_millis(1_488_300_000_000)
}
