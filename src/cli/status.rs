//! `safe-remove status`: runs in progress, what they hold, and halts.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{RunId, Time};
use crate::ops::{self, OperationError};
use crate::output::{StatusDocument, StatusRun, field, hosts_text, next, run_text, takeovers_text};

use super::args::{Format, Global};
use super::screen::Screen;
use super::{CommandOutput, Exit, halts};

/// The interval at which `--watch` reads the status.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// The most hosts of one run that the text lists.
const HOSTS_SHOWN: usize = 20;

/// Reads the status once, or repeatedly until nothing is in progress.
pub(super) async fn run(
    global: &Global,
    run: Option<&RunId>,
    watch: bool,
    screen: &Arc<Screen>,
) -> Result<CommandOutput, OperationError> {
    let mut shown = None;
    loop {
        let document = ops::status(&global.policies, run).await?;
        let answered = CommandOutput::document(Exit::DONE, text(&document, &global.policies), &document)?;
        if !watch || !document.runs.iter().any(is_under_way) || screen.is_stdout_closed() {
            return Ok(answered);
        }
        // A later time of reading alone is not a change.
        let state = serde_json::json!([document.runs, document.halts]);
        if shown.as_ref() != Some(&state) {
            shown = Some(state);
            match screen.format() {
                Format::Text => screen.stdout(&format!("{}\n", answered.text)),
                Format::Ndjson => screen.event(&answered.json),
                // JSON output is a single document: the last one.
                Format::Json => {}
            }
        }
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

fn is_under_way(run: &StatusRun) -> bool {
    run.alive != Some(false) && run.ended_at.is_none()
}

fn text(document: &StatusDocument, policies: &Path) -> String {
    let mut out = document.place.text();
    out.push_str(&field("at", &document.at.to_string()));
    for warning in &document.warnings {
        out.push_str(&field("warning", warning));
    }
    out.push('\n');
    if let Some(run) = &document.ended {
        out.push_str(&run_text(run));
        return out;
    }
    if document.runs.is_empty() {
        out.push_str("No run is under way, and nothing is held.\n");
    }
    for run in &document.runs {
        out.push_str(&text_of_run(run, document.at));
        if let Some(next) = &run.next_command {
            out.push_str(&field("next", next));
        }
        out.push('\n');
    }
    if !document.halts.is_empty() {
        out.push_str(&halts::table(&document.halts));
        for halt in &document.halts {
            let lift = next::unhalt(policies, halt.subsystem.as_ref());
            out.push_str(&format!("to lift {}: {lift}\n", halts::scope(halt.subsystem.as_ref())));
        }
    }
    out
}

/// The text of a run in `status` and `halt`, without the next command.
pub(super) fn text_of_run(run: &StatusRun, now: Time) -> String {
    let alive = match run.alive {
        Some(true) => "alive",
        Some(false) if run.ended_at.is_some() => "ended",
        Some(false) => "DEAD",
        None => "not to be seen from here",
    };
    let mut out = field("run", &format!("{} of {}, {}", run.run, run.subsystem, run.state));
    out.push_str(&field(
        "process",
        &format!("{alive}: {}, by {}, since {}", run.process, run.operator, run.started_at),
    ));
    out.push_str(&takeovers_text(&run.taken_over_by));
    if let Some(at) = run.last_record_at {
        out.push_str(&field("last record", &at.to_string()));
    }
    let holds = match run.holds.len() {
        0 => "nothing".to_owned(),
        n => format!("{n}: {}", hosts_text(run.holds.iter().map(|hold| &hold.host), HOSTS_SHOWN)),
    };
    out.push_str(&field("holds", &holds));
    for call in &run.calls {
        let what = match (&call.group, call.hosts.is_empty()) {
            (Some(group), true) => group.to_string(),
            _ => hosts_text(&call.hosts, HOSTS_SHOWN),
        };
        let until = if call.not_after < now { "could land until" } else { "may land until" };
        out.push_str(&field("call", &format!("{} {what}: {until} {}", call.effect, call.not_after)));
    }
    if let Some(until) = run.until {
        out.push_str(&field("until", &until.to_string()));
    }
    if let Some(advice) = &run.advice {
        out.push_str(&field("note", advice));
    }
    out
}
