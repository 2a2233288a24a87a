//! The file of an offline journal: records that a run could not write to the ledger, kept on this machine until
//! `resume` or `abandon` brings them into the ledger.
//!
//! `unrecorded-RUN-EPOCH.json`, one per run and process, readable only by its owner. It is beside the ledger where that
//! is a file, otherwise (or where that place takes no file) in `$XDG_STATE_HOME/safe-remove`, by default
//! `~/.local/state/safe-remove`. It exists whole or not at all. This module knows the format and the places;
//! `offline_journal` knows how the records are used.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::coordination::ProcessId;
use crate::driver::Ended;
use crate::model::{FleetName, LedgerId, Nonce, RunId, Time};
use crate::policy::{FleetConfig, LedgerKind};
use crate::run::{EVENT_SCHEMA, JournalRecord};

use super::error::OperationError;

/// The schema. v1 is the first.
const SCHEMA: &str = "safe-remove/unrecorded/v1";

/// Far larger than the records of one outage.
const SIZE_MAX: u64 = 64 << 20;

/// The contents of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfflineFile {
    schema: String,
    fleet: FleetName,
    /// The ledger that lacks the records. No other ledger may take them.
    ledger: LedgerId,
    run: RunId,
    /// The epoch in which the process acted.
    epoch: u64,
    process: ProcessId,
    kept_at: Time,
    /// The records that the ledger had acknowledged before, from the run's first on: a ledger that is restored from a
    /// copy, or lost with its disk, does not have them.
    #[serde(default)]
    acknowledged: Vec<JournalRecord>,
    pub(crate) records: Vec<Kept>,
}

impl OfflineFile {
    /// Everything that the process knew of the run.
    pub(crate) fn journal(&self) -> Vec<JournalRecord> {
        self.acknowledged.iter().chain(self.records.iter().map(|kept| &kept.record)).cloned().collect()
    }

    /// The ledger that the file belongs to.
    pub(crate) fn ledger(&self) -> &LedgerId {
        &self.ledger
    }
}

/// A record, with the nonce under which the ledger may have it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    pub(crate) nonce: Nonce,
    pub(crate) record: JournalRecord,
}

/// Stores the records that a run could not write to the ledger.
///
/// # Errors
///
/// Every place that was tried, and why it takes no file.
pub(crate) fn keep(of: &FleetConfig, ended: &Ended, now: Time) -> Result<PathBuf, String> {
    let Some(ledger) = ended.ledger.clone() else { return Err("which ledger it went by is not known".to_owned()) };
    let (process, epoch) = ended.acted.clone();
    let run = ended.document.run.clone();
    let records = ended.unrecorded.iter();
    let first = ended.unrecorded.first().map_or(u64::MAX, |(record, _)| record.seq);
    let acknowledged = ended.journal.iter().filter(|record| record.seq < first).cloned().collect();
    let file = OfflineFile {
        schema: SCHEMA.to_owned(),
        fleet: of.name.clone(),
        ledger,
        run: run.clone(),
        epoch,
        process,
        kept_at: now,
        acknowledged,
        records: records.map(|(record, nonce)| Kept { nonce: nonce.clone(), record: record.clone() }).collect(),
    };
    let text = serde_json::to_vec_pretty(&file).map_err(|error| error.to_string())?;
    let name = format!("{}{epoch}.json", prefix(&run));
    let mut failed = Vec::new();
    for place in ports(of) {
        match write(&place, &name, &text) {
            Ok(path) => return Ok(path),
            Err(error) => failed.push(format!("{}: {error}", place.display())),
        }
    }
    Err(if failed.is_empty() { "there is no place for it".to_owned() } else { failed.join("; ") })
}

/// The files that are kept here for a run.
///
/// # Errors
///
/// A place cannot be read: what is in it is not known (S3).
pub(crate) fn kept(of: &FleetConfig, run: &RunId) -> Result<Vec<PathBuf>, OperationError> {
    let mut found = Vec::new();
    for place in ports(of) {
        let entries = match fs::read_dir(&place) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => continue,
            Err(error) => return Err(unusable(run, &place, error.to_string())),
        };
        for entry in entries {
            let entry = entry.map_err(|error| unusable(run, &place, error.to_string()))?;
            let name = entry.file_name();
            let epoch = name.to_str().and_then(|name| name.strip_prefix(&prefix(run))?.strip_suffix(".json"));
            if epoch.is_some_and(|epoch| epoch.parse::<u64>().is_ok()) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Reads one file.
///
/// # Errors
///
/// The file is not whole, belongs to another run, fleet or ledger, or can be written by others: it is not used (S3).
pub(crate) fn read(
    path: &Path,
    of: &FleetConfig,
    ledger: &LedgerId,
    run: &RunId,
) -> Result<OfflineFile, OperationError> {
    let file = read_of_any(path, of, run)?;
    if file.ledger != *ledger {
        let why = format!("its records belong to ledger {}, and this one is {ledger}", file.ledger);
        return Err(unusable(run, path, why));
    }
    Ok(file)
}

/// The same for a file of any ledger.
///
/// # Errors
///
/// As [`read`].
pub(crate) fn read_of_any(path: &Path, of: &FleetConfig, run: &RunId) -> Result<OfflineFile, OperationError> {
    parse(path, of, run).map_err(|why| unusable(run, path, why))
}

fn parse(path: &Path, of: &FleetConfig, run: &RunId) -> Result<OfflineFile, String> {
    let metadata = fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() || metadata.len() > SIZE_MAX {
        return Err("it is no file that safe-remove wrote".to_owned());
    }
    if metadata.permissions().mode() & 0o022 != 0 {
        return Err("others can write it".to_owned());
    }
    let text = fs::read(path).map_err(|error| error.to_string())?;
    let schema = serde_json::from_slice::<serde_json::Value>(&text).map_err(|error| error.to_string())?;
    let schema = schema.get("schema").and_then(serde_json::Value::as_str).unwrap_or("none").to_owned();
    if schema != SCHEMA {
        return Err(format!("its schema is {schema}, this version reads {SCHEMA}"));
    }
    let file: OfflineFile = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    if (&file.fleet, &file.run) != (&of.name, run) {
        return Err(format!("it is of run {} of fleet {}", file.run, file.fleet));
    }
    let first = file.records.first().ok_or("it has no records")?.record.seq;
    for (seq, kept) in (first..).zip(&file.records) {
        let record = &kept.record;
        if record.seq != seq || record.run != *run || record.schema != EVENT_SCHEMA {
            return Err(format!("record {seq} is not where it belongs"));
        }
    }
    Ok(file)
}

fn unusable(run: &RunId, path: &Path, why: String) -> OperationError {
    OperationError::NotTaken {
        message: format!("run {run} is not taken over: {} cannot be used", path.display()),
        causes: vec![why],
        hint: Some(
            "it says what the run's process did without its ledger. Mend it, or move it away once somebody has looked at \
             every host of the run"
                .to_owned(),
        ),
    }
}

fn prefix(run: &RunId) -> String {
    format!("unrecorded-{run}-")
}

/// The places where such files are kept and looked for. A file goes to the first place that takes it.
fn ports(of: &FleetConfig) -> Vec<PathBuf> {
    let beside = match &of.ledger.kind {
        LedgerKind::Sqlite { path } => path.parent().map(Path::to_path_buf),
        LedgerKind::Dynamodb(_) | LedgerKind::Etcd(_) => None,
    };
    // The XDG base directory specification: a relative path is ignored.
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    // People are shown these paths, so they are canonical, not relative to the policies.
    let plain = |place: PathBuf| fs::canonicalize(&place).unwrap_or(place);
    beside.into_iter().chain(state.map(|state| state.join("safe-remove"))).map(plain).collect()
}

/// Writes another file, syncs it, and renames it, so that nobody ever finds half of it.
fn write(place: &Path, name: &str, text: &[u8]) -> io::Result<PathBuf> {
    if !place.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(place)?;
    }
    let (path, part) = (place.join(name), place.join(format!(".{name}.{}", std::process::id())));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&part, &path)?;
        File::open(place)?.sync_all()
    })();
    if written.is_err() {
        // The rest of the file is of no use to anybody; the first error is the one to report.
        let _ = fs::remove_file(&part);
    }
    written.map(|()| path)
}
