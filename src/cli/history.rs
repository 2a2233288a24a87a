//! `safe-remove history`: runs that ended, and stop orders that were given and lifted, newest first.

use crate::model::SubsystemName;
use crate::ops::{self, OperationError};
use crate::output::{Align, HistoryHalt, Table};
use crate::run::{Outcome, RunDocument};

use super::args::Global;
use super::values::Since;
use super::{CommandOutput, Exit, halts};

/// Reads the history, and shows it.
pub(super) async fn run(
    global: &Global,
    subsystem: Option<&SubsystemName>,
    since: Option<Since>,
) -> Result<CommandOutput, OperationError> {
    let since = |now| since.map(|since| since.time(now));
    let document = ops::history(&global.policies, subsystem, since).await?;
    let text = text(&document.runs) + &text_of_halts(&document.halts);
    CommandOutput::document(Exit::DONE, text, &document)
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
        let of = halts::scope(halt.subsystem.as_ref());
        let mut why = halts::reason(halt.reason.as_deref()).to_owned();
        for order in &halt.lifted {
            why.push_str(&format!("; was halted by {}: {}", order.operator, halts::reason(order.reason.as_deref())));
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
