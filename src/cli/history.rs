//! `safe-remove history`: runs that ended, and stop orders that were given and lifted, newest first.

use crate::model::counted;
use crate::ops::{self, HistoryOf, OperationError};
use crate::output::{Align, HistoryDocument, HistoryHalt, Table, Text, hosts_text};
use crate::run::{OrderKind, Outcome, RunDocument, RunOrder};

use super::args::Global;
use super::commands::HistoryArgs;
use super::{CommandOutput, Exit, halts};

/// The most hosts in doubt of one run that are named: `status RUN` names all.
const DOUBTS_SHOWN: usize = 8;

/// Reads the history, and shows it.
pub(super) async fn run(global: &Global, args: &HistoryArgs) -> Result<CommandOutput, OperationError> {
    let HistoryArgs { subsystem, host, since, limit } = args.clone();
    let of = HistoryOf { subsystem, host, limit: limit.map(std::num::NonZeroUsize::get) };
    let document = ops::history(&global.policies, &of, |now| since.map(|since| since.time(now))).await?;
    CommandOutput::document(Exit::DONE, text(&document, &of), &document)
}

fn text(document: &HistoryDocument, of: &HistoryOf) -> Text {
    let mut text = Text::default();
    if document.runs.is_empty() {
        let host = of.host.as_ref().map(|host| format!(" that meant {host}")).unwrap_or_default();
        text.paragraph(&format!("No run{host} has ended."));
    }
    for run in &document.runs {
        text.append(of_run(run));
    }
    if !document.halts.is_empty() {
        text.blank();
        text.table(0, of_halts(&document.halts));
    }
    if !document.orders.is_empty() {
        text.blank();
        text.paragraph("Given to runs that have not ended:");
        text.table(0, of_orders(&document.orders));
    }
    if document.more {
        text.blank();
        text.paragraph("There are earlier ones: a higher --limit shows them.");
    }
    text
}

/// One run in a few lines: what became of it, who began and confirmed it, why, and what stopped it.
fn of_run(run: &RunDocument) -> Text {
    let outcome = match run.outcome {
        Outcome::Completed => "completed",
        Outcome::Aborted => "aborted",
        Outcome::Halted => "halted",
        Outcome::NeedsAttention => "NEEDS ATTENTION",
        Outcome::NotStarted => "not started",
    };
    let planned: usize = run.batches.iter().map(|batch| batch.hosts.len()).sum();
    let mut text = Text::default();
    text.field("run", run.run.as_str());
    text.field(
        "",
        &format!(
            "{outcome} (exit {}): {} of {} gone from {}",
            run.exit_code,
            run.terminated.len(),
            counted(planned, "host"),
            run.subsystem
        ),
    );
    text.field("", &format!("{} to {}", run.started_at, run.ended_at));
    text.field("by", &by(run));
    if let Some(reason) = &run.reason {
        text.field("reason", reason);
    }
    if let Some(cause) = &run.cause {
        text.field("cause", &cause.message);
    }
    if !run.in_doubt.is_empty() {
        text.field("in doubt", &hosts_text(&run.in_doubt, DOUBTS_SHOWN));
    }
    text.blank();
    text
}

/// Who began the run, and how it was confirmed, paused and taken over.
fn by(run: &RunDocument) -> String {
    let mut by = run.operator.to_string();
    if let Some(how) = &run.confirmed {
        by.push_str(&format!(", who confirmed it ({how})"));
    }
    for of in &run.confirmations {
        by.push_str(&format!("; batch {} was let go by {} ({})", of.batch, of.operator, of.how));
    }
    for pause in &run.pauses {
        let why = pause.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        by.push_str(&format!("; paused by {} at {}{why}", pause.operator, pause.at));
        if let Some(at) = pause.continued_at {
            let whom = pause.continued_by.as_ref().map(|operator| format!(" by {operator}")).unwrap_or_default();
            by.push_str(&format!(", continued{whom} at {at}"));
        }
    }
    for taken in &run.taken_over_by {
        by.push_str(&format!("; {} by {}", taken.how, taken.operator));
    }
    by
}

fn of_orders(orders: &[RunOrder]) -> Table {
    let mut table = Table::new(&[
        ("at", Align::Whole),
        ("order", Align::Whole),
        ("run", Align::Whole),
        ("by", Align::Left),
        ("why", Align::Left),
    ]);
    for order in orders {
        let why = match (&order.pause, order.confirmed) {
            (Some(pause), _) if order.command == OrderKind::Pause => halts::reason(pause.reason.as_deref()).to_owned(),
            (Some(pause), _) => {
                format!("was paused by {}: {}", pause.operator, halts::reason(pause.reason.as_deref()))
            }
            (None, batch) => batch.map(|batch| format!("lets batch {batch} go")).unwrap_or_default(),
        };
        table.row([&order.at.to_string(), order.command.as_str(), order.run.as_str(), order.operator.as_str(), &why]);
    }
    table
}

fn of_halts(halts: &[HistoryHalt]) -> Table {
    let mut table = Table::new(&[
        ("at", Align::Whole),
        ("order", Align::Whole),
        ("of", Align::Left),
        ("by", Align::Left),
        ("why", Align::Left),
    ]);
    for halt in halts {
        let of = halts::scope(halt.subsystem.as_ref());
        let mut why = halts::reason(halt.reason.as_deref()).to_owned();
        for order in &halt.lifted {
            why.push_str(&format!("; was halted by {}: {}", order.operator, halts::reason(order.reason.as_deref())));
        }
        table.row([&halt.at.to_string(), halt.command, &of, halt.operator.as_str(), &why]);
    }
    table
}
