//! Pruning: archives the journals of runs that ended long ago to a file, then removes them from the ledger.
//!
//! One record with the run's document stays of each, so that `history`, `status RUN` and a reused request id still get
//! an answer (S9). The file is complete and on the disk before anything is removed. An existing file is never
//! overwritten.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::driver;
use crate::model::{FleetName, LedgerId, RunId, Time, chain, counted};
use crate::ports::LedgerError;
use crate::run::{Failure, JournalRecord, Stays, prune as of_journal};

use super::error::OperationError;
use super::reader::{LedgerReader, writable_ledger};
use super::{environment, fleets, process};

const SCHEMA: &str = "safe-remove/ledger-archive/v1";

/// Journals younger than this stay. A process that still wants to write to such a journal was suspended for longer than
/// any takeover waits, and an incident is reviewed within days.
const YOUNGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// The result of a pruning.
#[derive(Debug, Serialize)]
pub(crate) struct Pruned {
    pub(crate) fleet: FleetName,
    pub(crate) ledger: LedgerId,
    pub(crate) before: Time,
    /// `None` where there was nothing to archive.
    pub(crate) file: Option<PathBuf>,
    /// Runs whose journals are in the file now.
    pub(crate) runs: Vec<RunId>,
    /// How many records were removed.
    pub(crate) records: u64,
    pub(crate) kept: Kept,
}

/// How many journals of runs stay, by reason.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Kept {
    /// They ended at `before` or later, or within the week before the ledger's last write.
    pub(crate) later: u64,
    /// They are under way, or hold hosts.
    pub(crate) under_way: u64,
    /// They took nothing, and their request ids may be used again.
    pub(crate) repeatable: u64,
    /// They were pruned before.
    pub(crate) pruned: u64,
}

/// Reads one journal after the other and writes the file, then replaces each journal by the short record.
///
/// # Errors
///
/// The time is not long enough ago, or the file exists or cannot be written (2): nothing was removed. The ledger is of
/// another fleet (5). It cannot be read or written (10).
pub(crate) async fn prune(
    policies: &Path,
    before: impl FnOnce(Time) -> Time,
    to: Option<&Path>,
) -> Result<Pruned, OperationError> {
    let policies = environment::policies(policies)?;
    let fleet = &policies.fleet;
    let now = fleets::now(fleet);
    let before = before(now);
    let youngest = now.minus(YOUNGEST);
    if before > youngest {
        return Err(OperationError::usage(
            format!("journals are kept for seven days: {before} is later than {youngest}"),
            "--before 90d prunes what ended more than 90 days ago",
        ));
    }
    let reader = LedgerReader::open(fleet, now).await?;
    if !reader.exists() {
        return Err(OperationError::NoSuch {
            message: format!("there is no ledger of fleet {} at {}", fleet.name, fleet.ledger.kind.place()),
            hint: Some("it is made by the first run, or by: safe-remove ledger init".to_owned()),
        });
    }
    let identity = fleets::named_identity(fleet);
    let operator = process::operator(&identity);
    let named = to.map_or_else(
        || PathBuf::from(format!("{}-journals-before-{}.json", fleet.name, before.rfc3339())),
        Path::to_owned,
    );
    // An absolute path, because whoever reads the ledger in a year is in another directory.
    let path = std::path::absolute(&named).unwrap_or(named);
    let name = path.display().to_string();

    // The record is read first: a run that begins after that has a journal that has not ended.
    let (_, record) = reader.read().await?;
    record.is_of(&identity).map_err(environment::other_fleet)?;
    // This machine's clock may be the wrong one: runs that ended in the week before the ledger's last write stay.
    let until = before.min(record.written_at.minus(YOUNGEST));
    let unwritten = |error: io::Error| {
        OperationError::usage(
            format!("{} cannot be written: {error}; nothing was removed from the ledger", path.display()),
            "name another file: --to FILE",
        )
    };
    let head = json!({
        "schema": SCHEMA, "fleet": fleet.name, "ledger": record.ledger, "archived_at": now, "before": before,
        "operator": operator,
    });
    let mut gathered = Gathered::default();
    for run in reader.journals().runs(None).await.map_err(OperationError::Ledger)? {
        let journal = reader.journals().journal(&run).await.map_err(OperationError::Ledger)?;
        let judged = of_journal(&journal, &record, until, now, &operator, &name);
        gathered.take(&run, journal, judged, || Archive::begin(&path, &head)).map_err(unwritten)?;
    }
    let Gathered { file, stubs, again, records, kept } = gathered;
    let ledger = writable_ledger(fleet, now).await?;
    let is_written = file.is_some();
    if let Some(file) = file {
        file.end(&path).map_err(unwritten)?;
    }
    let file = is_written.then_some(path);
    // S5: the file is on the disk. A journal that was pruned before may have leftovers, where the pruning process died.
    for (done, stub) in stubs.iter().chain(&again).enumerate() {
        let pruned = driver::prune(ledger.as_ref(), stub).await;
        pruned.map_err(|error| not_pruned(&error, done.min(stubs.len()), stubs.len(), file.as_deref()))?;
    }
    let runs = stubs.into_iter().map(|stub| stub.run).collect();
    Ok(Pruned { fleet: fleet.name.clone(), ledger: record.ledger, before, file, runs, records, kept })
}

/// Everything that is known once all journals were read.
#[derive(Default)]
struct Gathered {
    /// Created with the first journal that goes into it.
    file: Option<Archive>,
    /// The records that replace journals.
    stubs: Vec<JournalRecord>,
    /// The records of an earlier pruning.
    again: Vec<JournalRecord>,
    /// How many records are in the file.
    records: u64,
    kept: Kept,
}

impl Gathered {
    /// Takes one journal, and how it was judged.
    fn take(
        &mut self,
        run: &RunId,
        journal: Vec<JournalRecord>,
        judged: Result<JournalRecord, Stays>,
        begin: impl FnOnce() -> io::Result<Archive>,
    ) -> io::Result<()> {
        match judged {
            Ok(stub) => {
                let file = match &mut self.file {
                    Some(file) => file,
                    None => self.file.insert(begin()?),
                };
                file.add(run, &journal)?;
                self.records += journal.len() as u64;
                self.stubs.push(stub);
            }
            Err(Stays::OfNoRun) => {}
            Err(Stays::Pruned) => {
                self.kept.pruned += 1;
                self.again.extend(journal);
            }
            Err(Stays::UnderWay) => self.kept.under_way += 1,
            Err(Stays::Late) => self.kept.later += 1,
            Err(Stays::Repeatable) => self.kept.repeatable += 1,
        }
        Ok(())
    }
}

fn not_pruned(error: &LedgerError, done: usize, of: usize, file: Option<&Path>) -> OperationError {
    let kept = file.map(|file| format!("{} has all of them: keep it", file.display()));
    OperationError::NotStarted {
        failure: Failure::Ledger,
        message: format!("the ledger took the pruning of {done} of {}", counted(of, "journal")),
        causes: std::iter::once(chain(error)).chain(kept).collect(),
        hint: "when the ledger is back, prune again, to another file: what is left is archived then",
    }
}

/// The file while it is written: beside its final place, so that under its name it is either whole or absent. If
/// [`Archive::end`] is not reached, nothing is left. One journal at a time is in memory.
struct Archive {
    out: BufWriter<NamedTempFile>,
    digest: Sha256,
    is_empty: bool,
}

impl Archive {
    /// Creates a file for its owner only, because it says which hosts can be spared. `head` has the fields before the
    /// journals.
    fn begin(path: &Path, head: &serde_json::Value) -> io::Result<Self> {
        if path.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let part = tempfile::Builder::new().prefix(".ledger-archive-").tempfile_in(directory(path))?;
        let mut archive = Self { out: BufWriter::new(part), digest: Sha256::new(), is_empty: true };
        let mut text = serde_json::to_string(head)?;
        text.pop();
        archive.write(&format!("{text},\n\"journals\":{{"))?;
        Ok(archive)
    }

    fn add(&mut self, run: &RunId, journal: &[JournalRecord]) -> io::Result<()> {
        let comma = if std::mem::take(&mut self.is_empty) { "" } else { "," };
        self.write(&format!("{comma}\n{}:{}", serde_json::to_string(run)?, serde_json::to_string(journal)?))
    }

    /// Syncs the file, reads it back, and gives it its name.
    fn end(mut self, path: &Path) -> io::Result<()> {
        self.write("}}\n")?;
        let written = self.digest.finalize();
        let part = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        part.as_file().sync_all()?;
        let (mut digest, mut back) = (Sha256::new(), File::open(part.path())?);
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = back.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            digest.update(&buffer[..count]);
        }
        if digest.finalize() != written {
            return Err(io::Error::other("what was written does not read back"));
        }
        part.persist_noclobber(path).map_err(|error| error.error)?;
        // The name must be on the disk, too.
        File::open(directory(path))?.sync_all()
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.digest.update(text.as_bytes());
        self.out.write_all(text.as_bytes())
    }
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
