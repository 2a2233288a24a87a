//! `safe-remove halt`: gives a stop order and shows what it stops.

use std::path::Path;

use crate::model::{RunId, SubsystemName};
use crate::ops::{self, Halted, HaltedRun, OperationError};
use crate::output::{field, next};

use super::args::Global;
use super::{CommandOutput, Exit, halts, status};

/// Halts, and shows the result.
pub(super) async fn run(
    global: &Global,
    subsystem: Option<&SubsystemName>,
    reason: &str,
) -> Result<CommandOutput, OperationError> {
    let (halted, warnings) = ops::halt(&global.policies, subsystem, reason).await?;
    CommandOutput::result(Exit::DONE, "halt", text(&halted, &global.policies, &warnings), &halted, &warnings)
}

fn text(halted: &Halted, policies: &Path, warnings: &[String]) -> String {
    let order = &halted.order;
    let mut out = halted.place.text();
    out.push_str(&field("at", &order.at.to_string()));
    out.push('\n');
    let scope = halts::scope(order.subsystem.as_ref());
    out.push_str(&field("HALTED", &format!("{scope}, by {}: {}", order.operator, order.reason)));
    for earlier in &halted.already {
        out.push_str(&field("before", &format!("since {}, by {}: {}", earlier.at, earlier.operator, earlier.reason)));
    }
    let lift = next::unhalt(policies, order.subsystem.as_ref());
    out.push_str(&field("to lift", &lift));
    for warning in warnings {
        out.push_str(&field("warning", warning));
    }
    out.push('\n');
    if halted.runs.is_empty() {
        out.push_str(
            "No run that it concerns holds anything. One that waits or asks before its first host is stopped all the same.\n",
        );
    }
    for HaltedRun { run, sampling } in &halted.runs {
        out.push_str(&status::text_of_run(run, order.at));
        if run.alive != Some(false) && run.ended_at.is_none() {
            let within = sampling.clone().unwrap_or_else(|| "its sampling period".to_owned());
            let what = format!(
                "within {within} it sees the order; it then puts back what is cordoned and ends with exit 9: \
                 safe-remove status {} --watch",
                run.run
            );
            out.push_str(&field("next", &what));
        }
        out.push('\n');
    }
    if !halted.others.is_empty() {
        let others: Vec<&str> = halted.others.iter().map(RunId::as_str).collect();
        out.push_str(&field("goes on", &others.join(" ")));
    }
    out
}
