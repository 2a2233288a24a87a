//! The document of an ended run, with what the ledger did not take, and with the next command.

use std::path::Path;

use crate::driver::Ended;
use crate::output::next;
use crate::run::{self, JournalRecord, Outcome, RunDocument};

use super::environment::Environment;
use super::frontend::Frontend;
use super::offline_journal;

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
    Some(placed(document, &environment.policies.directory))
}

/// Adds the next command where a person is needed: the journal does not know the policy directory, but a command to
/// type needs it.
pub(crate) fn placed(mut run: RunDocument, policies: &Path) -> RunDocument {
    if run.outcome == Outcome::NeedsAttention {
        // What holds hosts is put back by `abandon`, which may try again from the start.
        let word = if run.doubts.is_empty() { "status" } else { "abandon" };
        run.next_command.get_or_insert_with(|| next::command(policies, &format!("{word} {}", run.run)));
    }
    run
}
