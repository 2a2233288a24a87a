//! The embedded ledger: the conformance suite, and what only a file can suffer.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use safe_remove::ledger::{SqliteLedger, remembered};
use safe_remove::model::chain;
use safe_remove::ports::{Ledger, LedgerError, Version, Written};
use tempfile::TempDir;

use crate::ledger::conformance::{Engine, at, event, nonce};

struct Sqlite {
    dir: TempDir,
}

impl Sqlite {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a directory") }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("deep/er/ledger.db")
    }

    fn ledger(&self) -> SqliteLedger {
        open(&self.path()).expect("opens")
    }
}

impl Engine for Sqlite {
    async fn open(&self, fleet: &str) -> Result<Arc<dyn Ledger>, LedgerError> {
        Ok(Arc::new(SqliteLedger::open(&self.path(), &fleet.into(), at(0))?))
    }

    async fn replace_record(&self, fleet: &str, text: &str) {
        let connection = Connection::open(self.path()).expect("opens");
        let sql = "UPDATE fleets SET record = ?2 WHERE fleet = ?1";
        assert_eq!(connection.execute(sql, [fleet, text]).expect("alters"), 1);
    }
}

mod conforms {
    use super::Sqlite;
    crate::ledger::conformance::conformance!(Sqlite::new());
}

/// The same ledger as a process watches it, each `open` with a memory of its own.
struct Watched(Sqlite);

impl Engine for Watched {
    async fn open(&self, fleet: &str) -> Result<Arc<dyn Ledger>, LedgerError> {
        Ok(remembered(self.0.open(fleet).await?, "here".to_owned(), Arc::default()))
    }

    async fn replace_record(&self, fleet: &str, text: &str) {
        self.0.replace_record(fleet, text).await;
    }
}

mod conforms_watched {
    use super::{Sqlite, Watched};
    crate::ledger::conformance::conformance!(Watched(Sqlite::new()));
}

fn open(path: &Path) -> Result<SqliteLedger, LedgerError> {
    SqliteLedger::open(path, &"demo".into(), at(0))
}

fn reader(path: &Path) -> Result<SqliteLedger, LedgerError> {
    SqliteLedger::open_read_only(path, &"demo".into(), at(0))
}

/// A file whose contents are altered behind the ledger's back.
fn tampered(sql: &str) -> Sqlite {
    let store = Sqlite::new();
    drop(store.ledger());
    Connection::open(store.path()).expect("opens").execute_batch(sql).expect("alters");
    store
}

#[tokio::test]
async fn a_reader_of_a_ledger_that_does_not_exist_touches_nothing() {
    let store = Sqlite::new();
    let ledger = reader(&store.path()).expect("a missing ledger is none yet");
    assert!(!ledger.exists());
    let (version, record) = ledger.read().await.expect("reads");
    assert_eq!((version, record.runs.len()), (Version(0), 0));
    assert!(ledger.runs(None).await.expect("reads").is_empty());
    let written = ledger.compare_and_swap(version, &record, &nonce("n")).await;
    assert!(matches!(&written, Err(LedgerError::Unreachable { tried: "written", .. })), "{written:?}");
    assert!(ledger.append(&event("r1", 0, at(0)), &nonce("n")).await.is_err());
    assert!(!store.path().exists() && !store.path().parent().expect("has one").exists());
}

#[tokio::test]
async fn a_reader_sees_what_a_writer_made_and_cannot_change_it() {
    let store = Sqlite::new();
    let (version, record) = store.ledger().read().await.expect("reads");
    let ledger = reader(&store.path()).expect("opens");
    assert!(ledger.exists());
    assert_eq!(ledger.read().await.expect("reads"), (version, record.clone()));
    assert!(ledger.compare_and_swap(version, &record, &nonce("n")).await.is_err());
    let other = SqliteLedger::open_read_only(&store.path(), &"other".into(), at(0)).expect("opens");
    assert!(!other.exists(), "the file has no record of this fleet, and gets none by being read");
    drop(other.read().await.expect("reads"));
    let fleets: i64 = Connection::open(store.path())
        .expect("opens")
        .query_row("SELECT count(*) FROM fleets", [], |r| r.get(0))
        .expect("counts");
    assert_eq!(fleets, 1);
}

#[test]
fn owner_and_group_may_read_and_nobody_else() {
    let store = Sqlite::new();
    drop(store.ledger());
    for path in [store.path(), store.path().parent().expect("has one").to_owned()] {
        let mode = std::fs::metadata(&path).expect("is there").permissions().mode();
        assert_eq!(mode & 0o007, 0, "{}: {mode:o}", path.display());
    }
}

#[test]
fn s3_a_newer_layout_or_schema_is_refused_as_newer() {
    let layout = tampered("PRAGMA user_version = 3");
    let error = open(&layout.path()).expect_err("refused");
    assert!(matches!(error, LedgerError::Newer { .. }), "{}", chain(&error));
    let error = reader(&layout.path()).expect_err("refused");
    assert!(matches!(error, LedgerError::Newer { .. }), "{}", chain(&error));
}

#[tokio::test]
async fn s3_a_newer_or_damaged_record_is_refused_and_left_as_it_is() {
    for (sql, newer) in [
        ("UPDATE fleets SET record = replace(record, 'safe-remove/ledger/v5', 'safe-remove/ledger/v6')", true),
        ("UPDATE fleets SET record = replace(record, '\"halts\"', '\"quorum\":1,\"halts\"')", true),
        ("UPDATE fleets SET record = substr(record, 1, 100)", false),
        ("UPDATE fleets SET record = replace(record, '\"demo\"', '\"other\"')", false),
        ("UPDATE fleets SET version = -1", false),
    ] {
        let store = tampered(sql);
        let error = match open(&store.path()) {
            Ok(ledger) => ledger.read().await.expect_err(sql),
            Err(error) => error,
        };
        assert_eq!(matches!(error, LedgerError::Newer { .. }), newer, "{sql}: {}", chain(&error));
        assert_eq!(matches!(error, LedgerError::Corrupt { .. }), !newer, "{sql}: {}", chain(&error));
    }
}

#[tokio::test]
async fn s3_a_journal_with_a_hole_is_corrupt() {
    let store = Sqlite::new();
    let ledger = store.ledger();
    for seq in 0..3 {
        ledger.append(&event("r1", seq, at(0)), &nonce(format!("n{seq}"))).await.expect("appends");
    }
    Connection::open(store.path()).expect("opens").execute("DELETE FROM journal WHERE seq = 1", []).expect("deletes");
    let error = ledger.journal(&"r1".into()).await.expect_err("refused");
    assert!(matches!(error, LedgerError::Corrupt { .. }), "{}", chain(&error));
    assert!(chain(&error).contains("run r1"), "{}", chain(&error));
}

#[test]
fn s3_what_is_no_ledger_is_corrupt_and_left_as_it_is() {
    let store = Sqlite::new();
    let path = store.dir.path().join("file");
    std::fs::write(&path, "a page of notes, long enough to be looked at as if it were a database file".repeat(20))
        .expect("writes");
    let before = std::fs::read(&path).expect("reads");
    for error in [open(&path).expect_err("refused"), reader(&path).expect_err("refused")] {
        assert!(matches!(error, LedgerError::Corrupt { .. }), "{}", chain(&error));
    }
    assert_eq!(std::fs::read(&path).expect("reads"), before);

    let other = store.dir.path().join("other.db");
    Connection::open(&other).expect("opens").execute_batch("CREATE TABLE songs (name TEXT)").expect("creates");
    let error = open(&other).expect_err("refused");
    assert!(chain(&error).contains("another program"), "{}", chain(&error));
}

#[tokio::test]
async fn s3_a_damaged_page_is_corrupt() {
    let store = Sqlite::new();
    let ledger = store.ledger();
    let mut bytes = std::fs::read(store.path()).expect("reads");
    for byte in &mut bytes[4096..] {
        *byte = 0xAA;
    }
    std::fs::write(store.path(), bytes).expect("writes");
    let error = ledger.read().await.expect_err("refused");
    assert!(matches!(error, LedgerError::Corrupt { .. }), "{}", chain(&error));
}

#[tokio::test]
async fn s3_a_ledger_that_was_deleted_or_replaced_under_a_process_is_not_written() {
    let store = Sqlite::new();
    let ledger = store.ledger();
    let (version, record) = ledger.read().await.expect("reads");
    std::fs::remove_file(store.path()).expect("removes");
    let gone = ledger.compare_and_swap(version, &record, &nonce("n")).await.expect_err("refused");
    assert!(chain(&gone).contains("it is gone"), "{}", chain(&gone));
    assert!(!store.path().exists(), "it does not come back by being used");

    std::fs::write(store.path(), "").expect("writes");
    let blank = ledger.append(&event("r1", 0, at(0)), &nonce("n")).await.expect_err("refused");
    assert!(matches!(blank, LedgerError::Corrupt { .. }), "{}", chain(&blank));

    let begun_again = open(&store.path()).expect_err("refused");
    assert!(chain(&begun_again).contains("its file is gone"), "{}", chain(&begun_again));
    std::fs::remove_file(store.path().with_file_name("ledger.db-progress")).expect("removes");
    let other = store.ledger();
    let replaced = ledger.compare_and_swap(version, &record, &nonce("n")).await.expect_err("refused");
    assert!(chain(&replaced).contains("it was replaced"), "{}", chain(&replaced));
    assert!(ledger.append(&event("r1", 0, at(0)), &nonce("n")).await.is_err());
    assert!(other.runs(None).await.expect("reads").is_empty());
}

#[test]
fn s3_a_directory_that_cannot_be_made_says_where_the_path_is_set() {
    let store = Sqlite::new();
    let file = store.dir.path().join("file");
    std::fs::write(&file, "").expect("writes");
    let error = open(&file.join("ledger.db")).expect_err("a file is no directory");
    assert!(matches!(error, LedgerError::Unreachable { tried: "opened", .. }), "{}", chain(&error));
    assert!(chain(&error).contains("fleet.toml"), "{}", chain(&error));
}

/// Root may write anything, so this is only meaningful for other users; SQLite's own word for it is tested below.
#[tokio::test]
async fn s3_a_write_protected_ledger_reads_but_refuses_writes() {
    let store = Sqlite::new();
    let ledger = store.ledger();
    let (version, record) = ledger.read().await.expect("reads");
    let protect = |mode| {
        std::fs::set_permissions(store.path(), PermissionsExt::from_mode(mode)).expect("changes");
    };
    protect(0o440);
    if std::fs::OpenOptions::new().write(true).open(store.path()).is_ok() {
        // As root the mode is no obstacle: nothing to see, and the unit test of SQLITE_READONLY covers the mapping.
        protect(0o660);
        assert!(ledger.compare_and_swap(version, &record, &nonce("n")).await.is_ok());
        return;
    }
    assert_eq!(ledger.read().await.expect("reads"), (version, record.clone()));
    let error = ledger.compare_and_swap(version, &record, &nonce("n")).await.expect_err("refused");
    assert!(chain(&error).contains("read-only"), "{}", chain(&error));
    protect(0o660);
    let written = ledger.compare_and_swap(version, &record, &nonce("n")).await.expect("writes");
    assert!(matches!(written, Written::Acknowledged(_)));
}

const CHILD: &str = "SAFE_REMOVE_TEST_LEDGER";

/// The other side of the two tests below: writes until it is killed, or for so many writes. Does nothing by itself.
#[tokio::test]
async fn child_that_writes() {
    let Ok(spec) = std::env::var(CHILD) else { return };
    let (path, (name, writes)) = spec
        .split_once('|')
        .and_then(|(path, rest)| Some((PathBuf::from(path), rest.split_once('|')?)))
        .expect("PATH|NAME|WRITES");
    let writes: u64 = writes.parse().expect("a number");
    let ledger = open(&path).expect("opens");
    let (mut done, mut attempt) = (0, 0_u64);
    while done < writes {
        attempt += 1;
        let (version, mut record) = ledger.read().await.expect("reads");
        record.written_at = record.written_at.plus(Duration::from_millis(1));
        let written = ledger.compare_and_swap(version, &record, &nonce(format!("{name}-{attempt}"))).await;
        if let Written::Acknowledged(_) = written.expect("answers") {
            ledger.append(&event(name, done, at(0)), &nonce(format!("{name}-j{done}"))).await.expect("appends");
            done += 1;
        }
    }
}

fn child(store: &Sqlite, name: &str, writes: u64) -> std::process::Child {
    Command::new(std::env::current_exe().expect("has a path"))
        .args(["--exact", "ledger::sqlite::child_that_writes", "--nocapture"])
        .env(CHILD, format!("{}|{name}|{writes}", store.path().display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts")
}

#[tokio::test]
async fn s9_racing_processes_lose_no_write() {
    let store = Sqlite::new();
    let (before, fresh) = store.ledger().read().await.expect("reads");
    let mut children: Vec<_> = (0..4).map(|n| child(&store, &format!("p{n}"), 10)).collect();
    for child in &mut children {
        assert!(child.wait().expect("ends").success());
    }
    let (after, record) = store.ledger().read().await.expect("reads");
    assert_eq!(after.0 - before.0, 40);
    assert_eq!(record.written_at, fresh.written_at.plus(Duration::from_millis(40)));
    for n in 0..4 {
        assert_eq!(store.ledger().journal(&format!("p{n}").into()).await.expect("reads").len(), 10);
    }
}

#[tokio::test]
async fn s5_killed_in_the_middle_of_writing_leaves_whole_records_and_a_ledger_that_goes_on() {
    let store = Sqlite::new();
    let mut last = Version(0);
    for round in 0..5_u64 {
        let name = format!("k{round}");
        let mut victim = child(&store, &name, u64::MAX);
        let deadline = Instant::now() + Duration::from_secs(60);
        // Killed at another moment of its work each time, once it is at work.
        while store.ledger().journal(&name.as_str().into()).await.expect("reads").is_empty() {
            assert!(Instant::now() < deadline, "the child never wrote");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(7 * round)).await;
        victim.kill().expect("kills");
        assert!(!victim.wait().expect("ends").success());

        let (version, record) = store.ledger().read().await.expect("reads after a kill");
        assert!(version > last);
        assert_eq!(record.written_at.since(at(0)), Duration::from_millis(version.0 - 1), "whole writes only");
        let journal = store.ledger().journal(&name.as_str().into()).await.expect("a journal without gaps");
        assert!(!journal.is_empty());
        last = version;
    }
}
