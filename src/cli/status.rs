//! `safe-remove status`: runs in progress, what they hold, and halts.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{RunId, Time, counted, span_text};
use crate::ops::{self, OperationError};
use crate::output::{
    StatusBatch, StatusCall, StatusDocument, StatusPause, StatusQuestion, StatusRun, Text, hosts_text, next,
    readings_text, run_text, takeovers_text,
};

use super::args::{Format, Global};
use super::screen::Screen;
use super::{CommandOutput, Exit, halts, pages};

/// The interval at which `--watch` reads the status.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// The most hosts of one run that the text lists.
const HOSTS_SHOWN: usize = 20;

/// The most readings of one run that the text shows; bad ones come first.
const READINGS_SHOWN: usize = 8;

/// Reads the status once, or repeatedly until nothing is in progress. Of one run, `--watch` ends with the run's own exit
/// code.
pub(super) async fn run(
    global: &Global,
    run: Option<&RunId>,
    watch: bool,
    check: bool,
    screen: &Arc<Screen>,
) -> Result<CommandOutput, OperationError> {
    let mut shown = Shown::default();
    loop {
        let document = ops::status(&global.policies, run).await?;
        let exit = match &document.ended {
            Some(ended) if watch => Exit::of_run(ended.exit_code),
            _ if check && !is_quiet(&document) => Exit::NOT_QUIET,
            _ => Exit::DONE,
        };
        let answered = CommandOutput::document(exit, text(&document, &global.policies, watch), &document)?;
        if !watch || !document.runs.iter().any(is_under_way) || screen.is_stdout_closed() {
            shown.clear(screen);
            return Ok(answered);
        }
        shown.show(&document, &answered, screen);
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

/// Whether nothing is under way, held or halted.
fn is_quiet(document: &StatusDocument) -> bool {
    document.runs.is_empty() && document.halts.is_empty()
}

/// The status that `--watch` showed last: on a terminal the next one takes its place.
#[derive(Default)]
struct Shown {
    state: Option<serde_json::Value>,
    lines: usize,
}

impl Shown {
    fn show(&mut self, document: &StatusDocument, answered: &CommandOutput, screen: &Screen) {
        if screen.format() == Format::Text && screen.is_stdout_a_terminal() {
            self.clear(screen);
            let text = format!("{}\n", answered.text.on(pages::stdout()));
            screen.stdout(&text);
            self.lines = screen.lines_of(&text);
            return;
        }
        // A later time of reading alone is not a change.
        let state = serde_json::json!([document.runs, document.halts]);
        if self.state.as_ref() == Some(&state) {
            return;
        }
        self.state = Some(state);
        match screen.format() {
            Format::Text => screen.stdout(&format!("{}\n", answered.text.on(pages::stdout()))),
            Format::Ndjson => screen.event(&answered.json),
            // JSON output is a single document: the last one.
            Format::Json => {}
        }
    }

    fn clear(&mut self, screen: &Screen) {
        screen.clear_lines(std::mem::take(&mut self.lines));
    }
}

fn is_under_way(run: &StatusRun) -> bool {
    run.alive != Some(false) && run.ended_at.is_none()
}

fn text(document: &StatusDocument, policies: &Path, watched: bool) -> Text {
    let mut text = document.place.text();
    text.field("at", &document.at.to_string());
    for warning in &document.warnings {
        text.field("warning", warning);
    }
    text.blank();
    if let Some(run) = &document.ended {
        text.append(run_text(run));
        return text;
    }
    if document.runs.is_empty() {
        text.paragraph("No run is under way, and nothing is held.");
    }
    for run in &document.runs {
        // First: it is what somebody looks for who was woken up.
        let watch = next::command(&document.place.policies, &next::watch(&run.run));
        if let Some(next) = run.next_command.as_ref().filter(|next| !watched || **next != watch) {
            text.copied("next", next);
        }
        text.append(text_of_run(run, document.at));
        text.blank();
    }
    if !document.halts.is_empty() {
        text.table(0, halts::table(&document.halts));
        // Orders of one scope are lifted together.
        let scopes: BTreeSet<_> = document.halts.iter().map(|halt| halt.subsystem.as_ref()).collect();
        for scope in scopes {
            text.paragraph(&format!("to lift {}: {}", halts::scope(scope), next::unhalt(policies, scope)));
        }
    }
    text
}

/// The text of a run in `status` and `halt`, without the next command.
pub(super) fn text_of_run(run: &StatusRun, now: Time) -> Text {
    let alive = match run.alive {
        Some(true) if run.stopped => "STOPPED",
        Some(true) | None if run.overdue => "SILENT",
        Some(true) => "alive",
        Some(false) if run.ended_at.is_some() => "ended",
        Some(false) => "DEAD",
        None => "not to be seen from here",
    };
    let mut text = Text::default();
    // Nobody does it any more.
    let last = if run.alive == Some(false) && run.ended_at.is_none() { "last step: " } else { "" };
    text.field("run", &format!("{} of {}, {last}{}", run.run, run.subsystem, run.state));
    if let Some(StatusPause { operator, reason, since, after }) = &run.paused {
        let by = match after {
            Some(batch) => format!("by itself after batch {batch} (--pause-after of {operator})"),
            None => format!("by {operator}"),
        };
        let why = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        text.field("PAUSED", &format!("{by} since {since}{why}"));
    }
    if let Some(StatusQuestion { batch, attended, until }) = &run.asks {
        let whom = if *attended { "its terminal asks" } else { "it waits for `continue`" };
        text.field("ASKS", &format!("about batch {batch}: {whom}, until {until}"));
    }
    if let Some(batch) = &run.batch {
        text.field("batch", &batch_text(batch, run, now));
    }
    text.field("process", &format!("{alive}: {}, by {}, since {}", run.process, run.operator, run.started_at));
    text.append(takeovers_text(&run.taken_over_by));
    if let Some(at) = run.last_record_at {
        text.field("last record", &at.to_string());
    }
    let holds = match run.holds.len() {
        0 => "nothing".to_owned(),
        n => format!("{n}: {}", hosts_text(run.holds.iter().map(|hold| &hold.host), HOSTS_SHOWN)),
    };
    text.field("holds", &holds);
    text.append(calls_text(&run.calls, now));
    for (place, forms) in readings_text(&run.readings, READINGS_SHOWN).into_iter().enumerate() {
        text.fitting(if place == 0 { "readings" } else { "" }, &forms);
    }
    if let Some(until) = run.until {
        text.field("until", &until.to_string());
    }
    if let Some(advice) = &run.advice {
        text.field("note", advice);
    }
    text
}

/// `1 of 2, bakes until … (40s left)`. Where the process is dead no bake goes on: what is out stays out.
fn batch_text(batch: &StatusBatch, run: &StatusRun, now: Time) -> String {
    let StatusBatch { number, of, granted_at, cordoned_at, bake_ends_at } = batch;
    let holds = run.holds.iter().any(|hold| hold.batch == *number);
    let is_left = holds && run.alive == Some(false) && run.ended_at.is_none();
    let then = match (bake_ends_at, cordoned_at, granted_at) {
        (Some(at), ..) => format!(", bakes until {at} ({} left)", span_text(at.since(now))),
        (None, Some(at), _) if is_left => format!(", out of service since {at}; nobody watches it"),
        (None, None, Some(at)) if is_left => format!(", may be out of service since {at}; nobody watches it"),
        _ => String::new(),
    };
    format!("{number} of {of}{then}")
}

/// The calls of which nobody knows what became of them: one line for each effect and its hosts, however often it was tried.
fn calls_text(calls: &[StatusCall], now: Time) -> Text {
    let mut alike: Vec<(&StatusCall, usize)> = Vec::new();
    for call in calls {
        let is_same = |of: &&mut (&StatusCall, usize)| {
            (of.0.effect, &of.0.group, &of.0.hosts) == (call.effect, &call.group, &call.hosts)
        };
        match alike.iter_mut().find(is_same) {
            Some((latest, count)) => {
                *count += 1;
                *latest = if call.not_after > latest.not_after { call } else { latest };
            }
            None => alike.push((call, 1)),
        }
    }
    let mut text = Text::default();
    for (call, count) in alike {
        let what = match (&call.group, call.hosts.is_empty()) {
            (Some(group), true) => group.to_string(),
            _ => hosts_text(&call.hosts, HOSTS_SHOWN),
        };
        let until = if call.not_after < now { "could land until" } else { "may land until" };
        let times = if count > 1 { format!(" ({})", counted(count, "call")) } else { String::new() };
        text.field("call", &format!("{} {what}{times}: {until} {}", call.effect, call.not_after));
    }
    text
}
