//! Cases that cannot be brought about from outside: a full disk, and SQLite's error codes for a read-only one.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::*;

fn opened() -> (tempfile::TempDir, SqliteLedger) {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = SqliteLedger::open(&dir.path().join("ledger.db"), &"demo".into(), Time::from_millis(0));
    (dir, ledger.expect("opens"))
}

#[tokio::test]
async fn s5_a_full_disk_refuses_the_write_says_so_and_recovers() {
    let (_dir, ledger) = opened();
    let (at, mut record) = ledger.read().await.expect("reads");
    let before = record.clone();
    for n in 0..2_000 {
        record.last_end.insert(format!("subsystem-{n}").into(), Time::from_millis(n));
    }
    ledger.inner.file.max_pages.store(6, Ordering::Relaxed);
    let error = ledger.compare_and_swap(at, &record, &"n".into()).await.expect_err("no room");
    let LedgerError::Unreachable { tried: "written", source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("the disk is full, and nothing was written"), "{source}");
    assert_eq!(ledger.read().await.expect("still reads"), (at, before));

    ledger.inner.file.max_pages.store(0, Ordering::Relaxed);
    let written = ledger.compare_and_swap(at, &record, &"n".into()).await.expect("room again");
    assert_eq!(written, Written::Acknowledged(Version(at.0 + 1)), "the same nonce was not used up");
}

#[test]
fn s3_every_refusal_of_the_disk_is_unreachable_and_damage_is_corrupt() {
    let failure = |code| rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
    for (code, words) in [
        (rusqlite::ffi::SQLITE_READONLY, "read-only"),
        (rusqlite::ffi::SQLITE_READONLY_ROLLBACK, "read-only"),
        (rusqlite::ffi::SQLITE_BUSY, "locked"),
        (rusqlite::ffi::SQLITE_FULL, "disk is full"),
        (rusqlite::ffi::SQLITE_CANTOPEN, "permissions"),
        (rusqlite::ffi::SQLITE_IOERR_FSYNC, "free space"),
    ] {
        match SqliteError::from_sqlite(failure(code)).at("ledger.db".into(), "written") {
            LedgerError::Unreachable { source, .. } => assert!(source.to_string().contains(words), "{code}: {source}"),
            other => panic!("{code}: {other:?}"),
        }
    }
    for code in [rusqlite::ffi::SQLITE_CORRUPT, rusqlite::ffi::SQLITE_NOTADB] {
        let error = SqliteError::from_sqlite(failure(code)).at("ledger.db".into(), "read");
        assert!(matches!(error, LedgerError::Corrupt { .. }), "{code}: {error:?}");
    }
}

#[tokio::test]
async fn s5_a_failed_commit_is_looked_for_by_its_nonce() {
    let (_dir, ledger) = opened();
    let (at, record) = ledger.read().await.expect("reads");
    ledger.compare_and_swap(at, &record, &"mine".into()).await.expect("writes");
    let failed = || rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR), None);
    let inner = &ledger.inner;

    let there = inner.look_for(failed(), |conn| inner.written_by(conn, &"mine".into()));
    assert_eq!(there.expect("found"), Written::Acknowledged(Version(at.0 + 1)));
    let absent = inner.look_for(failed(), |conn| inner.written_by(conn, &"other".into()));
    assert!(matches!(absent, Err(LedgerError::Unreachable { .. })), "{absent:?}");
    let blind = inner.look_for::<Version>(failed(), |_| Err(failed()));
    assert!(matches!(blind, Err(LedgerError::InDoubt { .. })), "{blind:?}");
}

#[tokio::test]
async fn the_memory_of_nonces_is_bounded() {
    let (dir, ledger) = opened();
    let (at, record) = ledger.read().await.expect("reads");
    ledger.compare_and_swap(at, &record, &"first".into()).await.expect("writes");
    let conn = Connection::open(dir.path().join("ledger.db")).expect("opens");
    let far = at.0 + 1 + REMEMBERED_WRITES.unsigned_abs();
    conn.execute("UPDATE fleets SET version = ?1", [far]).expect("alters");
    ledger.compare_and_swap(Version(far), &record, &"last".into()).await.expect("writes");
    let kept: Vec<String> = conn
        .prepare("SELECT nonce FROM writes")
        .and_then(|mut q| q.query_map([], |r| r.get(0))?.collect())
        .expect("reads");
    assert_eq!(kept, ["last"]);
}

#[tokio::test]
async fn s3_a_lock_held_for_too_long_is_unreachable_within_bounds() {
    let (dir, ledger) = opened();
    let (at, record) = ledger.read().await.expect("reads");
    let path = dir.path().join("ledger.db");
    let mut file = LedgerFile::new(&path);
    file.lock_wait = Duration::from_millis(50);
    let hurried =
        Inner { file, fleet: record.fleet.clone(), ledger: Some(record.ledger.clone()), fresh: record.clone() };
    let holder = Connection::open(&path).expect("opens");
    holder.execute_batch("BEGIN EXCLUSIVE").expect("locks");
    let begun = Instant::now();
    let error = hurried.compare_and_swap(at, &record, &"n".into()).expect_err("locked");
    assert!(begun.elapsed() < Duration::from_secs(5), "waited {:?}", begun.elapsed());
    let LedgerError::Unreachable { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("another process kept it locked"), "{source}");
    holder.execute_batch("ROLLBACK").expect("unlocks");
    assert_eq!(ledger.read().await.expect("reads"), (at, record), "nothing was written");
}
