//! `safe-remove resume` and `safe-remove abandon`: the result of a takeover, as the answer.

use std::sync::Arc;

use serde::Serialize;

use crate::model::{HostId, RunId};
use crate::ops::{self, OperationError, TakenOver, TakeoverOptions};
use crate::output::{Text, hosts_text, run_text};
use crate::run::RunDocument;

use super::args::Global;
use super::screen::Screen;
use super::terminal::Terminal;
use super::{CommandOutput, Exit, plan, report};

/// A run that ended without the record being told.
#[derive(Debug, Serialize)]
struct Closed {
    run: RunId,
    ended: Option<RunDocument>,
}

/// Hosts that a person gave up.
#[derive(Debug, Serialize)]
struct Released {
    run: RunId,
    released: Vec<HostId>,
}

/// Takes a run over, and shows the result.
pub(super) async fn run(
    global: &Global,
    run: &RunId,
    asked: TakeoverOptions,
    screen: &Arc<Screen>,
) -> Result<CommandOutput, OperationError> {
    let policies = global.policies.as_path();
    match ops::take_over(policies, run, asked, &Terminal::of(screen)).await? {
        TakenOver::Not(answer) => plan::answer(&answer, policies, false),
        TakenOver::Ended(document) => report::of(&document, policies),
        TakenOver::Abandoned(document) => CommandOutput::document(Exit::DONE, run_text(&document), &document),
        TakenOver::Closed { ended } => {
            let text =
                Text::of(&format!("Run {run} had ended, and its process died before the ledger was told: now it was."));
            let result = Closed { run: run.clone(), ended: ended.map(|document| *document) };
            CommandOutput::result(Exit::DONE, "abandon", text, &result, &[])
        }
        TakenOver::Released(released) => {
            let held = hosts_text(&released, usize::MAX);
            let text = Text::of(&format!("The journal of run {run} is lost. It no longer holds {held}."));
            let result = Released { run: run.clone(), released };
            CommandOutput::result(Exit::DONE, "abandon", text, &result, &[])
        }
    }
}
