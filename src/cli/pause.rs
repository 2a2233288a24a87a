//! `safe-remove pause` and `safe-remove continue`.

use std::sync::Arc;

use crate::model::RunId;
use crate::ops::{self, OperationError};
use crate::output::next;

use super::args::Global;
use super::screen::Screen;
use super::terminal::Terminal;
use super::{CommandOutput, Exit, status};

/// Pauses a run, and shows how it stands.
pub(super) async fn pause(
    global: &Global,
    run: &RunId,
    reason: Option<&str>,
    screen: &Arc<Screen>,
) -> Result<CommandOutput, OperationError> {
    let (paused, warnings) = ops::pause(&global.policies, run, reason, &Terminal::of(screen)).await?;
    let mut text = paused.place.text();
    for warning in &warnings {
        text.field("warning", warning);
    }
    text.blank();
    if paused.already {
        text.paragraph("It was paused before: nothing was changed.");
    }
    text.append(status::text_of_run(&paused.status, paused.at));
    match &paused.status.next_command {
        // Nobody goes on with it: what is out must be put back first.
        Some(next) if paused.status.alive == Some(false) => text.copied("next", next),
        _ => {
            // Where its process is seen to run, the note has said so.
            if paused.status.alive != Some(true) || paused.status.stopped {
                text.field(
                    "then",
                    "the batch under way goes on to its end, and no further one begins before `continue`",
                );
            }
            text.copied("next", &next::command(&global.policies, &format!("continue {run}")));
        }
    }
    CommandOutput::result(Exit::DONE, "pause", text, &paused, &warnings)
}

/// Lets a run go on, and shows how it stands.
pub(super) async fn go_on(global: &Global, run: &RunId) -> Result<CommandOutput, OperationError> {
    let (went_on, warnings) = ops::go_on(&global.policies, run).await?;
    let mut text = went_on.place.text();
    for warning in &warnings {
        text.field("warning", warning);
    }
    text.blank();
    let done = match (&went_on.lifted, went_on.confirmed) {
        (Some(pause), _) => format!("{run}: the pause of {} since {} is lifted", pause.operator, pause.since),
        (None, Some(batch)) => format!("{run}: batch {batch} is confirmed, by {}", went_on.operator),
        (None, None) => format!("{run} is neither paused nor waits for an answer: nothing was changed"),
    };
    text.field("continued", &done);
    // How it stood before it hears of this would contradict it.
    match &went_on.status.next_command {
        Some(next) if went_on.status.alive == Some(false) => {
            text.field("process", "DEAD: nobody goes on with it");
            text.copied("next", next);
        }
        _ => text.copied("to see it", &next::command(&global.policies, &format!("status {run} --watch"))),
    }
    CommandOutput::result(Exit::DONE, "continue", text, &went_on, &warnings)
}
