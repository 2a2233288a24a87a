//! An ended run as the answer: the hosts that are gone or in doubt, and the next command.

use std::path::Path;

use crate::ops::OperationError;
use crate::output::{hosts_text, next, run_sentence, run_text};
use crate::run::{Outcome, RunDocument};

use super::error::Diagnostic;
use super::{CommandOutput, Exit};

/// The answer for any run, from its document.
pub(super) fn of(run: &RunDocument, policies: &Path) -> Result<CommandOutput, OperationError> {
    let answer = CommandOutput::document(Exit::of_run(run.exit_code), run_text(run), run)?;
    if run.outcome == Outcome::Completed {
        return Ok(answer);
    }
    let mut diagnostic = Diagnostic::new(run_sentence(run));
    diagnostic.is_answered = true;
    diagnostic.causes.extend(run.cause.iter().map(|cause| cause.message.clone()));
    diagnostic.causes.extend(run.recovery.iter().map(|recovery| recovery.message.clone()));
    let next = run.next_command.clone().map_or_else(|| next_step(run, policies), |next| format!("next: {next}"));
    diagnostic.in_doubt = (!run.in_doubt.is_empty()).then(|| hosts_text(&run.in_doubt, usize::MAX));
    diagnostic.hint = Some(next);
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
