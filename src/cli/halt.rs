//! `safe-remove halt`: gives a stop order and shows what it stops.

use std::path::Path;
use std::sync::Arc;

use crate::model::{RunId, SubsystemName, Time};
use crate::ops::{self, Became, Halted, HaltedRun, OperationError};
use crate::output::{field, next};

use super::args::Global;
use super::screen::Screen;
use super::terminal::Terminal;
use super::{CommandOutput, Exit, halts, status};

/// Halts, and shows the result.
pub(super) async fn run(
    global: &Global,
    subsystem: Option<&SubsystemName>,
    reason: Option<&str>,
    follows: bool,
    screen: &Arc<Screen>,
) -> Result<CommandOutput, OperationError> {
    let terminal = Terminal::of(screen);
    let (halted, warnings) = ops::halt(&global.policies, subsystem, reason, follows, &terminal).await?;
    CommandOutput::result(Exit::DONE, "halt", text(&halted, &global.policies, &warnings), &halted, &warnings)
}

fn text(halted: &Halted, policies: &Path, warnings: &[String]) -> String {
    let order = &halted.order;
    let mut out = halted.place.text();
    out.push_str(&field("at", &order.at.to_string()));
    out.push('\n');
    let scope = halts::scope(order.subsystem.as_ref());
    out.push_str(&field(
        "HALTED",
        &format!("{scope}, by {}: {}", order.operator, halts::reason(order.reason.as_deref())),
    ));
    for earlier in &halted.already {
        out.push_str(&field(
            "before",
            &format!("since {}, by {}: {}", earlier.at, earlier.operator, halts::reason(earlier.reason.as_deref())),
        ));
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
    for halted in &halted.runs {
        out.push_str(&text_of_run(halted, order.at));
    }
    if !halted.others.is_empty() {
        let others: Vec<&str> = halted.others.iter().map(RunId::as_str).collect();
        out.push_str(&field("goes on", &others.join(" ")));
    }
    out
}

/// A run that the order concerns: how it stood then, and what became of it.
fn text_of_run(halted: &HaltedRun, at: Time) -> String {
    let HaltedRun { run, sampling, became } = halted;
    let mut out = String::new();
    match became {
        Became::Ended { .. } | Became::NeverBegan => {
            out.push_str(&field("run", &format!("{} of {}, by {}", run.run, run.subsystem, run.operator)));
        }
        _ => out.push_str(&status::text_of_run(run, at)),
    }
    match became {
        Became::NotFollowed if run.alive != Some(false) && run.ended_at.is_none() => {
            let within = sampling.clone().unwrap_or_else(|| "its sampling period".to_owned());
            let what = format!(
                "within {within} it sees the order; it then puts back what is cordoned and ends with exit 9: \
                 safe-remove status {} --watch",
                run.run
            );
            out.push_str(&field("next", &what));
        }
        Became::NotFollowed => {}
        Became::Ended { .. } | Became::NeverBegan => out.push_str(&field("became", &ops::in_words(became))),
        Became::Stopping | Became::Dead | Became::Stopped | Became::Unanswered => {
            out.push_str(&field("became", &ops::in_words(became)));
            if let Some(next) = &run.next_command {
                out.push_str(&field("next", next));
            }
        }
    }
    out.push('\n');
    out
}
