//! An ended run as the answer: the hosts that are gone or in doubt, and the next command.

use std::path::Path;

use crate::ops::OperationError;
use crate::output::{clean, hosts_text, next, run_sentence, run_text};
use crate::run::{Outcome, RunDocument};

use super::error::Diagnostic;
use super::{CommandOutput, Exit};

/// The answer for any run, from its document.
pub(super) fn of(run: &RunDocument, policies: &Path) -> Result<CommandOutput, OperationError> {
    let answer = CommandOutput::document(Exit::of_run(run.exit_code), run_text(run), run)?;
    if run.outcome == Outcome::Completed {
        return Ok(answer);
    }
    let none = |text: String| if text.is_empty() { "nothing".to_owned() } else { text };
    let mut diagnostic = Diagnostic::new(run_sentence(run));
    if let Some(cause) = &run.cause {
        diagnostic.causes.push(cause.message.clone());
    }
    let next = run.next_command.clone().unwrap_or_else(|| next_step(run, policies));
    let readings = run.recovery.as_ref().map(|recovery| format!("\n      readings: {}", clean(&recovery.message)));
    let readings = readings.unwrap_or_default();
    diagnostic.hint = Some(format!(
        "gone: {}\n      in doubt: {}{readings}\n      next: {next}",
        none(hosts_text(&run.terminated, 20)),
        none(hosts_text(&run.in_doubt, usize::MAX)),
    ));
    Ok(answer.complaining(diagnostic))
}

/// A stopped run is not continued: an operator who wants the rest removed decides anew.
fn next_step(run: &RunDocument, policies: &Path) -> String {
    let asked: usize = run.batches.iter().map(|batch| batch.hosts.len()).sum();
    match run.outcome {
        Outcome::Completed => next::command(policies, "history"),
        Outcome::NeedsAttention => next::command(policies, &format!("status {}", run.run)),
        Outcome::Aborted | Outcome::Halted | Outcome::NotStarted => format!(
            "when the cause is gone, decide anew: {}",
            next::command(
                policies,
                &format!(
                    "plan --subsystem {} --count {}",
                    next::quoted(run.subsystem.as_str()),
                    asked.saturating_sub(run.terminated.len()).max(1)
                )
            )
        ),
    }
}
