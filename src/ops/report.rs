//! The document of an ended run, with what the ledger did not take, and with the next command.

use std::path::Path;

use crate::coordination::Life;
use crate::driver::Ended;
use crate::model::{Bounds, Time};
use crate::output::next;
use crate::ports::Processes as _;
use crate::run::{self, JournalRecord, Outcome, RunDocument};

use super::environment::Environment;
use super::frontend::Frontend;
use super::{offline_journal, process};

/// The document of a run of this process.
pub(crate) fn ended(environment: &Environment, ended: &Ended, frontend: &dyn Frontend) -> RunDocument {
    let document = offline_journal::documented(environment, ended);
    for warning in document.warnings.get(ended.document.warnings.len()..).unwrap_or_default() {
        frontend.note(&format!("warning: {warning}"));
    }
    placed(document, &environment.policies.directory)
}

/// The document of a run that ended earlier; `note` says why it is shown. `None` if the journal does not yield one.
pub(crate) fn of_earlier(
    environment: &Environment,
    journal: &[JournalRecord],
    note: &str,
    frontend: &dyn Frontend,
) -> Option<RunDocument> {
    let document = run::report(journal)?;
    for record in journal {
        frontend.event(record);
    }
    frontend.note(note);
    let document = so_far(document, journal, environment.clock.now());
    Some(placed(document, &environment.policies.directory))
}

/// The document as it is now: while the run's process still reads the probes behind the end, until when.
pub(crate) fn so_far(document: RunDocument, journal: &[JournalRecord], now: Time) -> RunDocument {
    let Some(on) = run::reads_on(journal) else { return document };
    let may_live = match process::Here.life(on.process) {
        Life::Running | Life::Elsewhere => true,
        Life::Stopped | Life::Dead => false,
    };
    // The process's clock may be behind this one.
    if may_live && now <= on.late_at.plus(Bounds::TOLERANCE) {
        return run::reading_on(document, journal, on.until);
    }
    document
}

/// Adds the next command where a person is needed: the journal does not know the policy directory, but a command to
/// type needs it.
pub(crate) fn placed(mut run: RunDocument, policies: &Path) -> RunDocument {
    if run.outcome == Outcome::NeedsAttention && run.next_command.is_none() {
        // What holds hosts is put back by `abandon`, which may try again from the start.
        let word = if run.doubts.is_empty() { "status" } else { "abandon" };
        run.next_command = Some(next::command(policies, &format!("{word} {}", run.run)));
        let proved_from = run.doubts.iter().filter_map(|doubt| doubt.until).max();
        run.next_command_at = Some(run.ended_at.max(proved_from.unwrap_or(run.ended_at)));
    }
    run
}
