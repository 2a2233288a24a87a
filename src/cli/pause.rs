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
    let why = paused.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let before = if paused.already { ", and was before" } else { "" };
    text.field("PAUSED", &format!("{run}, by {} since {}{why}{before}", paused.operator, paused.since));
    text.append(status::text_of_run(&paused.status, paused.at));
    text.field("then", "the batch under way goes on to its end, and no further one begins before `continue`");
    text.copied("next", &next::command(&global.policies, &format!("continue {run}")));
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
    text.append(status::text_of_run(&went_on.status, went_on.at));
    CommandOutput::result(Exit::DONE, "continue", text, &went_on, &warnings)
}
