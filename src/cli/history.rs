//! `safe-remove history`: runs that ended, newest first.

use crate::model::SubsystemName;
use crate::output::{Align, HistoryDocument, Table};
use crate::run::{Outcome, RunDocument, has_ended, report};

use super::args::{Global, Since};
use super::error::CommandError;
use super::world::{self, LedgerReader};
use super::{Answered, Exit, status};

/// Read the journals, fold each, show those that ended.
pub(super) async fn run(
    global: &Global,
    subsystem: Option<&SubsystemName>,
    since: Option<Since>,
) -> Result<Answered, CommandError> {
    let policies = world::policies(global)?;
    let now = status::now(&policies);
    let ledger = LedgerReader::open(&policies, now)?;
    let since = since.map(|since| since.time(now));
    let mut runs = Vec::new();
    for run in ledger.journals().runs(since).await.map_err(CommandError::Ledger)? {
        let journal = ledger.journals().journal(&run).await.map_err(CommandError::Ledger)?;
        if has_ended(&journal)
            && let Some(document) = report(&journal)
            && subsystem.is_none_or(|name| document.subsystem == *name)
        {
            runs.push(document);
        }
    }
    let text = text(&runs);
    let document = HistoryDocument { schema: HistoryDocument::SCHEMA, fleet: policies.fleet.name.clone(), runs };
    Answered::document(Exit::DONE, text, &document)
}

fn text(runs: &[RunDocument]) -> String {
    if runs.is_empty() {
        return "No run has ended.\n".to_owned();
    }
    let mut table = Table::new(&[
        ("ended", Align::Whole),
        ("run", Align::Whole),
        ("subsystem", Align::Left),
        ("outcome", Align::Left),
        ("exit", Align::Right),
        ("gone", Align::Right),
        ("why", Align::Left),
        ("operator", Align::Left),
    ]);
    for run in runs {
        let outcome = match run.outcome {
            Outcome::Completed => "completed",
            Outcome::Aborted => "aborted",
            Outcome::Halted => "halted",
            Outcome::NeedsAttention => "NEEDS ATTENTION",
        };
        let planned: usize = run.batches.iter().map(|batch| batch.hosts.len()).sum();
        let why = run.cause.as_ref().map(|cause| cause.message.clone()).or_else(|| run.reason.clone());
        table.row([
            run.ended_at.to_string(),
            run.run.to_string(),
            run.subsystem.to_string(),
            outcome.to_owned(),
            run.exit_code.to_string(),
            format!("{}/{planned}", run.terminated.len()),
            why.unwrap_or_default(),
            run.operator.to_string(),
        ]);
    }
    table.render("")
}
