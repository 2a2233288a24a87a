//! `safe-remove unhalt`: lifts stop orders, and shows what was lifted and what is still in force.

use std::sync::Arc;

use crate::model::SubsystemName;
use crate::ops::{self, OperationError, Unhalted};
use crate::output::field;

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
    CommandOutput::result(Exit::DONE, "unhalt", text(&unhalted, &warnings), &unhalted, &warnings)
}

fn text(unhalted: &Unhalted, warnings: &[String]) -> String {
    let mut out = unhalted.place.text();
    for warning in warnings {
        out.push_str(&field("warning", warning));
    }
    out.push('\n');
    if unhalted.lifted.is_empty() {
        out.push_str(
            "Nothing was lifted: no stop order is in force. safe-remove history shows who halted and who lifted it.\n",
        );
        return out;
    }
    let scope = halts::scope(unhalted.subsystem.as_ref());
    let reason = unhalted.reason.as_deref().unwrap_or_default();
    out.push_str(&field("lifted", &format!("{scope}, by {}: {reason}", unhalted.operator)));
    for halt in &unhalted.lifted {
        out.push_str(&field(
            "was halted",
            &format!("since {}, by {}: {}", halt.at, halt.operator, halts::reason(halt.reason.as_deref())),
        ));
    }
    if unhalted.halts.is_empty() {
        out.push_str("\nNo stop order is in force. Runs that were stopped do not go on by themselves.\n");
    } else {
        out.push_str("\nStill in force:\n");
        out.push_str(&halts::table(&unhalted.halts));
    }
    out
}
