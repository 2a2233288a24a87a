//! `safe-remove unhalt`: lifts stop orders, and shows what was lifted and what is still in force.

use std::path::Path;
use std::sync::Arc;

use crate::model::SubsystemName;
use crate::ops::{self, OperationError, Unhalted};
use crate::output::{Text, next};

use super::args::Global;
use super::screen::Screen;
use super::terminal::Terminal;
use super::{CommandOutput, Exit, halts};

/// Lifts the orders, and shows the result.
pub(super) async fn run(
    global: &Global,
    subsystem: Option<&SubsystemName>,
    reason: Option<&str>,
    screen: &Arc<Screen>,
) -> Result<CommandOutput, OperationError> {
    let (unhalted, warnings) = ops::unhalt(&global.policies, subsystem, reason, &Terminal::of(screen)).await?;
    CommandOutput::result(Exit::DONE, "unhalt", text(&unhalted, &warnings, &global.policies), &unhalted, &warnings)
}

fn text(unhalted: &Unhalted, warnings: &[String], policies: &Path) -> Text {
    let mut text = unhalted.place.text();
    for warning in warnings {
        text.field("warning", warning);
    }
    text.blank();
    if unhalted.lifted.is_empty() {
        text.paragraph("Nothing was lifted: no stop order is in force.");
        text.copied("earlier", &next::command(policies, "history"));
        return text;
    }
    let scope = halts::scope(unhalted.subsystem.as_ref());
    let reason = unhalted.reason.as_deref().unwrap_or_default();
    text.field("lifted", &format!("{scope}, by {}: {reason}", unhalted.operator));
    for halt in &unhalted.lifted {
        let why = halts::reason(halt.reason.as_deref());
        text.field("was halted", &format!("since {}, by {}: {why}", halt.at, halt.operator));
    }
    if unhalted.halts.is_empty() {
        text.paragraph("\nNo stop order is in force. Runs that were stopped do not go on by themselves.");
    } else {
        text.paragraph("\nStill in force:");
        text.table(0, halts::table(&unhalted.halts));
    }
    text
}
