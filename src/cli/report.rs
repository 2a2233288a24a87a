//! A run that ended, as the answer: what is gone, what is in doubt, which command comes next.

use std::path::Path;

use crate::driver::Ended;
use crate::output::{hosts_text, run_sentence, run_text};
use crate::run::{Outcome, RunDocument};

use super::error::{CommandError, Complaint};
use super::screen::Screen;
use super::world::World;
use super::{Answered, Exit, late, next};

/// The run of this process.
pub(super) fn ended(world: &World, ended: &Ended, screen: &Screen) -> Result<Answered, CommandError> {
    let document = late::documented(world, ended);
    for warning in document.warnings.get(ended.document.warnings.len()..).unwrap_or_default() {
        screen.note(&format!("warning: {warning}"));
    }
    of(&document, &world.policies.directory)
}

/// A run that was abandoned: what was asked for is that everything is back.
pub(super) fn abandoned(world: &World, ended: &Ended, screen: &Screen) -> Result<Answered, CommandError> {
    let run = &ended.document;
    if run.outcome == Outcome::NeedsAttention || !ended.unrecorded.is_empty() {
        return self::ended(world, ended, screen);
    }
    Answered::document(Exit::DONE, run_text(run), run)
}

/// Any run, from its document.
pub(super) fn of(run: &RunDocument, policies: &Path) -> Result<Answered, CommandError> {
    let run = &placed(run.clone(), policies);
    let answer = Answered::document(Exit::of_run(run.exit_code), run_text(run), run)?;
    if run.outcome == Outcome::Completed {
        return Ok(answer);
    }
    let none = |text: String| if text.is_empty() { "nothing".to_owned() } else { text };
    let mut complaint = Complaint::new(run_sentence(run));
    if let Some(cause) = &run.cause {
        complaint.causes.push(cause.message.clone());
    }
    let next = run.next_command.clone().unwrap_or_else(|| next_step(run, policies));
    complaint.hint = Some(format!(
        "gone: {}\n      in doubt: {}\n      next: {next}",
        none(hosts_text(&run.terminated, 20)),
        none(hosts_text(&run.in_doubt, usize::MAX)),
    ));
    Ok(answer.complaining(complaint))
}

/// The journal knows no policy directory; a command that is typed must.
pub(super) fn placed(mut run: RunDocument, policies: &Path) -> RunDocument {
    if run.exit_code == Exit::NEEDS_ATTENTION.code() {
        run.next_command.get_or_insert_with(|| next::command(policies, &format!("status {}", run.run)));
    }
    run
}

/// A stopped run is not continued: whoever wants the rest decides anew.
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
