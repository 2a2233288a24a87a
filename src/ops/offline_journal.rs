//! The offline journal: records that an earlier process of a run kept on this machine, because its ledger was lost.
//! They are brought into the ledger before the run is taken over, or shown to the operator who takes it over.

use std::path::{Path, PathBuf};

use crate::driver::{Ended, record_kept};
use crate::model::{RunId, counted};
use crate::output::{clean, hosts_text, next};
use crate::policy::FleetConfig;
use crate::ports::{Ledger, LedgerError, Written};
use crate::run::{Failure, JournalRecord, OfflineJournal, Outcome, RunDocument, follows, in_words, is_pruned, report};

use super::environment::Environment;
use super::error::{IMPORT, OperationError};
use super::frontend::Frontend;
use super::offline_file::{self, OfflineFile};
use super::site::Site;

/// The document of a run of this process that the ledger did not take whole, with what is kept where, and the next
/// command.
pub(crate) fn documented(environment: &Environment, ended: &Ended) -> RunDocument {
    let mut document = ended.document.clone();
    let records = || ended.unrecorded.iter().map(|(record, _)| record);
    if let Some(by) = &ended.taken_by {
        // S9: what the process could not record no longer belongs in the journal, which is now another process's.
        let did = in_words(&ended.journal, records());
        document.warnings.push(if did.is_empty() {
            format!("this run was taken over: {by}. This process did nothing after its last record")
        } else {
            format!(
                "this run was taken over: {by}. After its last record this process did what that one may not know of: {}",
                did.join("; ")
            )
        });
        return document;
    }
    if ended.unrecorded.is_empty() {
        return document;
    }
    let (run, count) = (&document.run, ended.unrecorded.len());
    let went_back = environment.ledger.went_back();
    let lacks = match &went_back {
        Some(how) => {
            format!("the ledger is an older state of itself, or a copy, and knows less than this run told it: {how}")
        }
        None => format!("the ledger could not take the end of the run's journal ({})", counted(count, "record")),
    };
    let said = |verb: &str| next::command(&environment.policies.directory, &format!("{verb} {run}"));
    let warning = match offline_file::keep(&environment.policies.fleet, ended, environment.clock.now()) {
        Ok(path) if went_back.is_some() => format!(
            "{lacks}. What this run did is kept on this machine, in {}: `{}` says what to do",
            path.display(),
            said("status")
        ),
        Ok(path) => format!(
            "{lacks}. They are kept on this machine, in {}: when the ledger is back, `{}` here records \
             them first",
            path.display(),
            said("abandon")
        ),
        Err(why) => format!(
            "{lacks}, and no file of this machine takes them ({why}). This report is their only copy: {}",
            in_words(&ended.journal, records()).join("; ")
        ),
    };
    document.warnings.push(warning);
    let verb = if went_back.is_some() { "status" } else { "abandon" };
    document.next_command = Some(said(verb));
    // S7: whatever the outcome would have been, somebody must tell the ledger.
    (document.outcome, document.exit_code) = (Outcome::NeedsAttention, 8);
    document
}

/// Tells what is kept for a run and missing from its journal, where the journal went on without it.
///
/// # Errors
///
/// A file cannot be used.
pub(crate) async fn tell(
    environment: &Environment,
    run: &RunId,
    journal: &[JournalRecord],
    frontend: &dyn Frontend,
) -> Result<(), OperationError> {
    for (path, file) in files(environment, run).await? {
        let records = || file.records.iter().map(|kept| &kept.record);
        if is_pruned(journal) {
            frontend.tell(&format!(
                "{} says what an earlier process of run {run} did without its ledger. The journal was pruned since: compare \
                 it with the file that `{}` names, and remove it when you have read it.\n",
                path.display(),
                next::command(&environment.policies.directory, &format!("status {run}"))
            ));
        } else if follows(journal, records()) == OfflineJournal::WentOn {
            let mut text = format!(
                "{} says what an earlier process of run {run} did without its ledger. The journal went on without it, and \
                 does not have:\n",
                path.display()
            );
            let missing = records().filter(|record| !journal.contains(record));
            for done in in_words(journal, missing) {
                text.push_str(&format!("  {}\n", clean(&done)));
            }
            text.push_str("It is not recorded any more; remove the file when you have read it.\n");
            frontend.tell(&text);
        }
    }
    Ok(())
}

/// Brings the kept records of a run into its journal, if the journal ends exactly where they begin. Returns how many
/// records were added.
///
/// # Errors
///
/// A file cannot be used; the ledger does not take it.
pub(crate) async fn bring_in(
    environment: &Environment,
    ledger: &dyn Ledger,
    run: &RunId,
    frontend: &dyn Frontend,
) -> Result<usize, OperationError> {
    let mut brought = 0;
    for (path, file) in files(environment, run).await? {
        let journal = ledger.journal(run).await.map_err(OperationError::Ledger)?;
        let there = match follows(&journal, file.records.iter().map(|kept| &kept.record)) {
            OfflineJournal::Follows(there) => there,
            // The operator was told.
            OfflineJournal::WentOn => continue,
            OfflineJournal::Gap => {
                return Err(OperationError::NotTaken {
                    message: format!("run {run} is not taken over: its journal lacks records that it had acknowledged"),
                    causes: vec![format!("it ends before what {} goes on from", path.display())],
                    hint: Some(
                        "a ledger that was put back from a copy is imported: safe-remove ledger import FILE".to_owned(),
                    ),
                });
            }
        };
        // Appended under their own nonces: a record that is already there is recognised.
        for kept in &file.records[there..] {
            match record_kept(ledger, &kept.record, &kept.nonce).await.map_err(OperationError::Ledger)? {
                Written::Acknowledged(()) => brought += 1,
                Written::Conflict => {
                    return Err(OperationError::NotTaken {
                        message: format!("run {run} is not taken over: another process writes its journal"),
                        causes: vec![format!("what {} keeps was not recorded", path.display())],
                        hint: Some(format!("who has it: safe-remove status {run}")),
                    });
                }
            }
        }
        let count = file.records.len();
        frontend.note(&format!(
            "in the ledger now, from {}: {} of run {run}",
            path.display(),
            counted(count, "record")
        ));
        if let Err(error) = std::fs::remove_file(&path) {
            frontend.note(&format!("warning: {} is of no use any more and cannot be removed: {error}", path.display()));
        }
    }
    Ok(brought)
}

/// The journal as it will be when the records kept here have been brought in. Writes nothing.
///
/// # Errors
///
/// A file cannot be used.
pub(crate) async fn whole(
    environment: &Environment,
    run: &RunId,
    journal: &[JournalRecord],
) -> Result<Vec<JournalRecord>, OperationError> {
    let mut whole = journal.to_vec();
    for (_, file) in files(environment, run).await? {
        if let OfflineJournal::Follows(there) = follows(&whole, file.records.iter().map(|kept| &kept.record)) {
            whole.extend(file.records.into_iter().skip(there).map(|kept| kept.record));
        }
    }
    Ok(whole)
}

/// Where something is kept for a run, for `status`.
pub(crate) fn kept_at(fleet: &FleetConfig, run: &RunId) -> Option<PathBuf> {
    offline_file::kept(fleet, run).ok()?.into_iter().next()
}

/// Why a run that only a file on this machine knows is neither shown nor taken over; `None` where there is no such
/// file.
///
/// The ledger does not know the run: it is an older state of itself, or another one. Nothing from the file is brought
/// into it. A person checks the hosts that are out of service by the file, and puts them back.
pub(crate) fn known_here_only(fleet: &FleetConfig, run: &RunId) -> Option<OperationError> {
    let paths = match offline_file::kept(fleet, run) {
        Ok(paths) => paths,
        Err(error) => return Some(error),
    };
    // The last process of the run knows most about it.
    let path = paths.last()?;
    let file = match offline_file::read_of_any(path, fleet, run) {
        Ok(file) => file,
        Err(error) => return Some(error),
    };
    let journal = file.journal();
    let mut causes = vec![format!(
        "{} says what its process did. It went by ledger {}, which then knew less than it had acknowledged, or is not this one",
        path.display(),
        file.ledger()
    )];
    let out = report(&journal).map(|document| document.in_doubt);
    let look = match &out {
        Some(hosts) if hosts.is_empty() => {
            causes.push("by it no host of the run is out of service".to_owned());
            "look at the hosts of the run all the same"
        }
        Some(hosts) => {
            causes.push(format!("out of service by it: {}", hosts_text(hosts, usize::MAX)));
            "look at these hosts, and put back into service what is not"
        }
        None => {
            causes.push("which hosts are out of service by it is not known".to_owned());
            "look at every host of the fleet, and put back into service what is not"
        }
    };
    causes.extend(in_words(&journal, journal.iter()));
    Some(OperationError::NotTaken {
        message: format!("there is no run {run} in the ledger, and there was one"),
        causes,
        hint: Some(format!(
            "{look}. What it removed counts for no budget of this ledger: halt what it touched until that does no harm. Then \
             move {} away",
            path.display()
        )),
    })
}

/// Extends the error of a ledger that is refused as a whole by what this machine knows of a run that lost the ledger.
pub(crate) fn with_what_is_kept(error: OperationError, policies: &Path, run: Option<&RunId>) -> OperationError {
    if !matches!(error, OperationError::Ledger(LedgerError::PutBack { .. })) {
        return error;
    }
    let kept = run.zip(Site::find(policies).ok()).and_then(|(run, site)| known_here_only(&site.fleet, run));
    let Some(OperationError::NotTaken { causes: known, .. }) = kept else { return error };
    let causes = error.causes().into_iter().chain(known).collect();
    OperationError::NotStarted { failure: Failure::Ledger, message: error.to_string(), causes, hint: IMPORT }
}

async fn files(environment: &Environment, run: &RunId) -> Result<Vec<(PathBuf, OfflineFile)>, OperationError> {
    let paths = offline_file::kept(&environment.policies.fleet, run)?;
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let (_, record) = environment.ledger.read().await?;
    let read = |path: PathBuf| {
        let file = offline_file::read(&path, &environment.policies.fleet, &record.ledger, run)?;
        Ok((path, file))
    };
    paths.into_iter().map(read).collect()
}
