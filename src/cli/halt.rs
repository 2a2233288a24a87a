//! `safe-remove halt`: gives a stop order and shows what it stops.

use std::path::Path;
use std::sync::Arc;

use crate::model::{RunId, SubsystemName, Time};
use crate::ops::{self, Became, Halted, HaltedRun, OperationError};
use crate::output::{Text, next};

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

fn text(halted: &Halted, policies: &Path, warnings: &[String]) -> Text {
    let order = &halted.order;
    let mut text = halted.place.text();
    text.field("at", &order.at.to_string());
    text.blank();
    let scope = halts::scope(order.subsystem.as_ref());
    text.field("HALTED", &format!("{scope}, by {}: {}", order.operator, halts::reason(order.reason.as_deref())));
    for earlier in &halted.already {
        let why = halts::reason(earlier.reason.as_deref());
        text.field("before", &format!("since {}, by {}: {why}", earlier.at, earlier.operator));
    }
    text.copied("to lift", &next::unhalt(policies, order.subsystem.as_ref()));
    for warning in warnings {
        text.field("warning", warning);
    }
    text.blank();
    if halted.runs.is_empty() {
        text.paragraph(
            "No run that it concerns holds anything. One that waits or asks before its first host is stopped all the same.",
        );
    }
    for halted in &halted.runs {
        text.append(text_of_run(halted, order.at, policies));
    }
    if !halted.others.is_empty() {
        let others: Vec<&str> = halted.others.iter().map(RunId::as_str).collect();
        text.field("goes on", &others.join(" "));
    }
    text
}

/// A run that the order concerns: how it stood then, and what became of it.
fn text_of_run(halted: &HaltedRun, at: Time, policies: &Path) -> Text {
    let HaltedRun { run, sampling, became } = halted;
    let mut text = Text::default();
    match became {
        Became::Ended { .. } | Became::NeverBegan => {
            text.field("run", &format!("{} of {}, by {}", run.run, run.subsystem, run.operator));
        }
        _ => text.append(status::text_of_run(run, at)),
    }
    match became {
        Became::NotFollowed if run.alive != Some(false) && run.ended_at.is_none() => {
            let within = sampling.clone().unwrap_or_else(|| "its sampling period".to_owned());
            let then = format!("within {within} it sees the order, puts back what is cordoned, and ends with exit 9");
            text.field("then", &then);
            text.copied("next", &next::command(policies, &format!("status {} --watch", run.run)));
        }
        Became::NotFollowed => {}
        Became::Ended { .. } | Became::NeverBegan => text.field("became", &ops::in_words(became)),
        Became::Stopping | Became::Dead | Became::Stopped | Became::Unanswered => {
            text.field("became", &ops::in_words(became));
            if let Some(next) = &run.next_command {
                text.copied("next", next);
            }
        }
    }
    text.blank();
    text
}
