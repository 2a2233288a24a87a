//! `safe-remove history`: runs that ended, and stop orders that were given and lifted, newest first.

use crate::model::SubsystemName;
use crate::output::{Align, HistoryDocument, HistoryHalt, StatusHalt, Table};
use crate::run::{JournalRecord, Outcome, Past, RunDocument, has_ended, report};

use super::args::Global;
use super::error::CommandError;
use super::values::Since;
use super::world::{self, LedgerReader};
use super::{Answered, Exit, policy, status};

/// Read the journals, fold each, show those that ended.
pub(super) async fn run(
    global: &Global,
    subsystem: Option<&SubsystemName>,
    since: Option<Since>,
) -> Result<Answered, CommandError> {
    let policies = world::policies(global)?;
    let now = status::now(&policies.fleet);
    let ledger = LedgerReader::open(&policies.fleet, now).await?;
    let since = since.map(|since| since.time(now));
    let (mut runs, mut halts) = (Vec::new(), Vec::new());
    // A subsystem whose policy is gone still has its past.
    let mut is_known = subsystem.is_none_or(|name| policies.subsystems.contains_key(name));
    for run in ledger.journals().runs(since).await.map_err(CommandError::Ledger)? {
        let journal = ledger.journals().journal(&run).await.map_err(CommandError::Ledger)?;
        if let Some(order) = journal.first().and_then(order)
            && subsystem.is_none_or(|name| order.subsystem.as_ref().is_none_or(|of| of == name))
        {
            is_known |= order.subsystem.as_ref() == subsystem;
            halts.push(order);
        } else if has_ended(&journal)
            && let Some(document) = report(&journal)
            && subsystem.is_none_or(|name| document.subsystem == *name)
        {
            is_known = true;
            runs.push(super::report::placed(document, &policies.directory));
        }
    }
    if let Some(name) = subsystem.filter(|_| !is_known) {
        return Err(policy::unknown(name, &policies));
    }
    let text = text(&runs) + &text_of_halts(&halts);
    let fleet = policies.fleet.name.clone();
    let document = HistoryDocument { schema: HistoryDocument::SCHEMA, fleet, runs, halts };
    Answered::document(Exit::DONE, text, &document)
}

/// A stop order, or one that was lifted, from its journal.
fn order(record: &JournalRecord) -> Option<HistoryHalt> {
    let (command, subsystem, operator, reason, lifted) = match &record.event {
        Past::HaltOrdered { order } => {
            ("halt", order.subsystem.clone(), order.operator.clone(), order.reason.clone(), Vec::new())
        }
        Past::HaltLifted { orders, operator, reason } => {
            let subsystem = orders.first().and_then(|order| order.subsystem.clone());
            let lifted = orders.iter().map(StatusHalt::from).collect();
            ("unhalt", subsystem, operator.clone(), reason.clone(), lifted)
        }
        _ => return None,
    };
    Some(HistoryHalt { at: record.at, command, subsystem, operator, reason, lifted })
}

fn text_of_halts(halts: &[HistoryHalt]) -> String {
    if halts.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[
        ("at", Align::Whole),
        ("order", Align::Whole),
        ("of", Align::Left),
        ("why", Align::Left),
        ("operator", Align::Left),
    ]);
    for halt in halts {
        let of = status::scope(halt.subsystem.as_ref());
        let mut why = halt.reason.clone();
        for order in &halt.lifted {
            why.push_str(&format!("; was halted by {}: {}", order.operator, order.reason));
        }
        table.row([&halt.at.to_string(), halt.command, &of, &why, halt.operator.as_str()]);
    }
    format!("\n{}", table.render(""))
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
            Outcome::NotStarted => "not started",
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
