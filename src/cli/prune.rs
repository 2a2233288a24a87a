//! `safe-remove ledger prune`: archives the journals of runs that ended long ago to a file, then removes them from the
//! ledger.
//!
//! What stays of each is one record with the run's document, so that `history`, `status RUN` and a request id that is used
//! again still answer (S9). The file is whole and on the disk before anything is removed, and an existing one is never
//! written over.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::driver;
use crate::model::{FleetName, LedgerId, OperatorId, RunId, Time, chain};
use crate::output::clean_lines;
use crate::run::{JournalRecord, Stays, prune as of_journal};

use super::args::Global;
use super::error::CommandError;
use super::values::Since;
use super::world::{self, LedgerReader};
use super::{Answered, Exit, process, status};

const SCHEMA: &str = "safe-remove/ledger-archive/v1";

/// Journals younger than this stay. A process that still means to write to one was suspended for longer than any takeover
/// waits for, and an incident is reviewed within days.
const YOUNGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// What the file holds.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Archive {
    schema: String,
    fleet: FleetName,
    ledger: LedgerId,
    archived_at: Time,
    before: Time,
    operator: OperatorId,
    /// Each run's journal, in order.
    journals: BTreeMap<RunId, Vec<JournalRecord>>,
}

/// What was pruned.
#[derive(Debug, Serialize)]
struct Pruned {
    fleet: FleetName,
    ledger: LedgerId,
    before: Time,
    /// `None` where there was nothing to archive.
    file: Option<PathBuf>,
    /// Runs whose journals are in the file now.
    runs: Vec<RunId>,
    /// Records that were removed.
    records: u64,
    kept: Kept,
}

/// Journals of runs that stay, by why.
#[derive(Debug, Default, Serialize)]
struct Kept {
    /// They ended at `before` or later.
    later: u64,
    /// They are under way, or hold hosts.
    under_way: u64,
    /// They took nothing, and their request ids may be used again.
    repeatable: u64,
    /// They were pruned before.
    pruned: u64,
}

/// Read all journals, write the file, then put the short record in place of each.
///
/// # Errors
///
/// The time is not long enough ago, or the file exists or cannot be written (2): nothing was removed. The ledger cannot be
/// read or written (10).
pub(super) async fn prune(global: &Global, before: Since, to: Option<&Path>) -> Result<Answered, CommandError> {
    let policies = world::policies(global)?;
    let fleet = &policies.fleet;
    let now = status::now(fleet);
    let before = before.time(now);
    let youngest = now.minus(YOUNGEST);
    if before > youngest {
        return Err(CommandError::usage(
            format!("journals are kept for seven days: {before} is later than {youngest}"),
            "--before 90d prunes what ended more than 90 days ago",
        ));
    }
    let reader = LedgerReader::open(fleet, now).await?;
    if !reader.exists() {
        return Err(CommandError::NoSuch {
            message: format!("there is no ledger of fleet {} at {}", fleet.name, fleet.ledger.kind.place()),
            hint: Some("it is made by the first run, or by: safe-remove ledger init".to_owned()),
        });
    }
    let operator = process::operator(&world::named_identity(fleet));
    let path =
        to.map_or_else(|| PathBuf::from(format!("{}-journals-before-{before}.json", fleet.name)), Path::to_owned);
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();

    // The record first: a run that begins after it has a journal that has not ended.
    let (_, record) = reader.read().await?;
    let (mut kept, mut journals, mut stubs, mut again) = (Kept::default(), BTreeMap::new(), Vec::new(), Vec::new());
    for run in reader.journals().runs(None).await.map_err(CommandError::Ledger)? {
        let journal = reader.journals().journal(&run).await.map_err(CommandError::Ledger)?;
        match of_journal(&journal, &record, before, now, &operator, &name) {
            Ok(stub) => {
                stubs.push(stub);
                journals.insert(run, journal);
            }
            Err(Stays::OfNoRun) => {}
            Err(Stays::Pruned) => {
                kept.pruned += 1;
                again.extend(journal);
            }
            Err(Stays::UnderWay) => kept.under_way += 1,
            Err(Stays::Late) => kept.later += 1,
            Err(Stays::Repeatable) => kept.repeatable += 1,
        }
    }
    let records = journals.values().map(|journal| journal.len() as u64).sum();
    let runs: Vec<RunId> = journals.keys().cloned().collect();
    let ledger = world::writable_ledger(fleet, now).await?;
    let file = if runs.is_empty() {
        None
    } else {
        let archive = Archive {
            schema: SCHEMA.to_owned(),
            fleet: fleet.name.clone(),
            ledger: record.ledger.clone(),
            archived_at: now,
            before,
            operator,
            journals,
        };
        write(&path, &archive).map_err(|error| {
            CommandError::usage(
                format!("{} cannot be written: {error}; nothing was removed from the ledger", path.display()),
                "name another file: --to FILE",
            )
        })?;
        Some(path)
    };
    // S5: the file is on the disk. One that was pruned before may have left something behind, where its process died.
    for (done, stub) in stubs.iter().chain(&again).enumerate() {
        driver::prune(ledger.as_ref(), stub).await.map_err(|error| CommandError::NotStarted {
            exit: Exit::LEDGER,
            message: format!("the ledger took the pruning of {} of {} journals", done.min(stubs.len()), stubs.len()),
            causes: std::iter::once(chain(&error))
                .chain(file.as_ref().map(|file| format!("{} has all of them: keep it", file.display())))
                .collect(),
            hint: "when the ledger is back, prune again, to another file: what is left is archived then",
        })?;
    }
    answer(Pruned { fleet: fleet.name.clone(), ledger: record.ledger, before, file, runs, records, kept })
}

/// Writes a new file, to the disk, and reads it back. None is left where that fails.
fn write(path: &Path, archive: &Archive) -> io::Result<()> {
    // It says which hosts can be spared: for its owner only.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = fill(file, path, archive);
    if written.is_err() {
        // What cannot be removed either is named by the error.
        let _ = std::fs::remove_file(path);
    }
    written
}

fn fill(mut file: File, path: &Path, archive: &Archive) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(archive)?;
    text.push(b'\n');
    file.write_all(&text)?;
    file.sync_all()?;
    // The name, too, must be on the disk.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()?;
    let back: Archive = serde_json::from_slice(&std::fs::read(path)?)?;
    if back == *archive { Ok(()) } else { Err(io::Error::other("what was written does not read back")) }
}

fn answer(pruned: Pruned) -> Result<Answered, CommandError> {
    let mut text = match &pruned.file {
        Some(file) => format!(
            "Pruned: the journals of {} runs that ended before {}, {} records.\nThey are in {}: keep it, the ledger has \
             only the document of each run.\n",
            pruned.runs.len(),
            pruned.before,
            pruned.records,
            file.display()
        ),
        None => format!("No journal is left of a run that ended before {}: nothing was pruned.\n", pruned.before),
    };
    let kept = &pruned.kept;
    for (count, why) in [
        (kept.later, "ended later"),
        (kept.under_way, "are under way, or hold hosts"),
        (kept.repeatable, "took nothing, and their request ids may be used again"),
        (kept.pruned, "were pruned before"),
    ] {
        if count > 0 {
            text.push_str(&format!("kept  {count}: they {why}\n"));
        }
    }
    Answered::result(Exit::DONE, "ledger prune", clean_lines(&text).into_owned(), &pruned, &[])
}
