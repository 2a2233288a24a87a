//! `safe-remove status`: runs in progress, what they hold, and halts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{HostId, RunId, Time, counted, span_text};
use crate::ops::{self, OperationError};
use crate::output::{
    StatusBatch, StatusCall, StatusDocument, StatusHold, StatusPause, StatusQuestion, StatusRun, Text, hosts_text,
    next, readings_text, run_sentence, run_text, takeovers_text, trouble_text,
};
use crate::run::HostStage;

use super::args::Global;
use super::screen::Screen;
use super::watched::Watched;
use super::{CommandOutput, Exit, halts, pages};

/// The interval at which `--watch` reads the status.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// The most hosts of one run that the text lists.
const HOSTS_SHOWN: usize = 20;

/// The most readings of one run that the text shows; bad ones come first.
const READINGS_SHOWN: usize = 8;

/// The most readings of one run where the terminal is too low for all.
const READINGS_IN_BRIEF: usize = 2;

/// How much the text tells of a run.
#[derive(Clone, Copy)]
enum Detail {
    /// Everything.
    Full,
    /// The lines that decide: readings of which one is bad, and the others only with `good_readings`.
    Brief { good_readings: bool },
}

/// Reads the status once, or repeatedly until nothing is in progress. `--watch` ends as the runs ended that it showed.
pub(super) async fn run(
    global: &Global,
    run: Option<&RunId>,
    watch: bool,
    check: bool,
    screen: &Arc<Screen>,
) -> Result<CommandOutput, OperationError> {
    let mut shown = Watched::of(run.filter(|_| watch));
    loop {
        let document = ops::status(&global.policies, run).await?;
        let is_over = !document.runs.iter().any(is_under_way);
        if !watch || is_over || screen.is_stdout_closed() {
            shown.clear(screen);
            if is_over && !shown.runs().is_empty() {
                return ended(global, document, shown.runs()).await;
            }
            let exit = if check && !is_quiet(&document) { Exit::NOT_QUIET } else { Exit::DONE };
            return answer(exit, &document, global, watch);
        }
        shown.see(document.runs.iter().filter(|run| is_under_way(run)).map(|run| &run.run));
        let brief = [true, false].map(|good_readings| {
            text(&document, &global.policies, watch, Detail::Brief { good_readings }).on(pages::stdout())
        });
        // A later time of reading alone is not a change.
        let state = serde_json::json!([document.runs, document.halts]);
        shown.show(state, &answer(Exit::DONE, &document, global, watch)?, &brief, screen);
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

fn answer(
    exit: Exit,
    document: &StatusDocument,
    global: &Global,
    watched: bool,
) -> Result<CommandOutput, OperationError> {
    CommandOutput::document(exit, text(document, &global.policies, watched, Detail::Full), document)
}

/// The answer of a watch whose runs are all over: as the one ended that it showed, or as the first one that did not end
/// with 0.
async fn ended(global: &Global, last: StatusDocument, runs: &[RunId]) -> Result<CommandOutput, OperationError> {
    let mut each = Vec::new();
    for run in runs {
        match ops::status(&global.policies, Some(run)).await {
            Ok(document) => each.push(document),
            // It left the line before it was begun, and has no journal.
            Err(OperationError::NoSuch { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let exits = each.iter().map(|document| match &document.ended {
        Some(ended) => Exit::of_run(ended.exit_code),
        // Its process is dead: whoever watched it must look after what it holds.
        None => Exit::NEEDS_ATTENTION,
    });
    let exit = exits.fold(Exit::DONE, |first, exit| if first == Exit::DONE { exit } else { first });
    let is_all =
        |document: &StatusDocument| last.runs.iter().all(|run| runs.contains(&run.run)) && document.ended.is_some();
    let document = match <[StatusDocument; 1]>::try_from(each) {
        Ok([one]) if runs.len() == 1 && is_all(&one) => one,
        Ok([one]) => StatusDocument { watched: one.ended.into_iter().collect(), ..last },
        Err(each) => StatusDocument { watched: each.into_iter().filter_map(|of| of.ended).collect(), ..last },
    };
    answer(exit, &document, global, true)
}

/// Whether nothing is under way, held or halted.
fn is_quiet(document: &StatusDocument) -> bool {
    document.runs.is_empty() && document.halts.is_empty()
}

fn is_under_way(run: &StatusRun) -> bool {
    run.alive != Some(false) && run.ended_at.is_none()
}

fn text(document: &StatusDocument, policies: &Path, watched: bool, detail: Detail) -> Text {
    let mut text = document.place.text();
    text.field("at", &document.at.to_string());
    for warning in &document.warnings {
        text.field("warning", warning);
    }
    text.blank();
    match &document.ended {
        Some(run) if document.runs.is_empty() => {
            text.append(run_text(run));
            return text;
        }
        ended => {
            for run in ended.iter().chain(&document.watched) {
                text.paragraph(&format!("{} Exit code {}.", run_sentence(run), run.exit_code));
            }
        }
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
        text.append(match detail {
            Detail::Full => text_of_run(run, document.at),
            Detail::Brief { good_readings } => brief_of_run(run, document.at, good_readings),
        });
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
    let mut text = state_of_run(run, now);
    text.field("process", &format!("{}: {}, by {}, since {}", life(run), run.process, run.operator, run.started_at));
    text.append(takeovers_text(&run.taken_over_by));
    if let Some(at) = run.last_record_at {
        text.field("last record", &at.to_string());
    }
    text.append(holds_text(&run.holds));
    text.append(calls_text(&run.calls, now));
    add_readings(&mut text, run, READINGS_SHOWN);
    if let Some(until) = run.until {
        text.field("until", &until.to_string());
    }
    if let Some(advice) = &run.advice {
        text.field("note", advice);
    }
    text
}

/// The lines of a run that decide, for a terminal without room for more.
fn brief_of_run(run: &StatusRun, now: Time, good_readings: bool) -> Text {
    let mut text = state_of_run(run, now);
    if life(run) != ALIVE {
        text.field("process", &format!("{}: {}", life(run), run.process));
        text.append(holds_text(&run.holds));
        if let Some(advice) = &run.advice {
            text.field("note", advice);
        }
    }
    if good_readings || run.readings.iter().any(|measured| !measured.reading.good) {
        add_readings(&mut text, run, READINGS_IN_BRIEF);
    }
    text
}

const ALIVE: &str = "alive";

fn life(run: &StatusRun) -> &'static str {
    match run.alive {
        Some(true) if run.stopped => "STOPPED",
        Some(true) | None if run.overdue => "SILENT",
        Some(true) => ALIVE,
        Some(false) if run.ended_at.is_some() => "ended",
        Some(false) => "DEAD",
        None => "not to be seen from here",
    }
}

/// The state of a run, and what it waits for.
fn state_of_run(run: &StatusRun, now: Time) -> Text {
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
    if let Some(trouble) = &run.trouble {
        // A process that took the run over may go on for longer than the journal tells.
        let left = trouble.gives_up_at.since(now);
        let until = match left.is_zero() {
            true => String::new(),
            false => format!("; it goes on until {} ({} left)", trouble.gives_up_at, span_text(left)),
        };
        text.field("NOT BACK", &format!("{}{until}", trouble_text(trouble)));
    }
    text
}

/// The hosts that the run holds, by what is known of them.
fn holds_text(holds: &[StatusHold]) -> Text {
    let mut text = Text::default();
    if holds.is_empty() {
        text.field("holds", "nothing");
    }
    let mut by_stage: BTreeMap<&str, Vec<&HostId>> = BTreeMap::new();
    for hold in holds {
        by_stage.entry(stage_text(hold)).or_default().push(&hold.host);
    }
    for (place, (stage, hosts)) in by_stage.into_iter().enumerate() {
        let name = if place == 0 { "holds" } else { "" };
        text.field(name, &format!("{} {stage}: {}", hosts.len(), hosts_text(hosts, HOSTS_SHOWN)));
    }
    text
}

/// The words for a host that a run holds, by what is known of it.
fn stage_text(hold: &StatusHold) -> &'static str {
    match hold.stage {
        _ if hold.state == "terminating" => "terminating",
        Some(HostStage::Cordoned) => "cordoned",
        Some(HostStage::Granted | HostStage::Untouched) => "in service, reserved",
        Some(HostStage::Back) => "back in service",
        Some(HostStage::Gone) => "gone",
        Some(HostStage::Touched | HostStage::Doubt) | None => "may be out of service",
    }
}

fn add_readings(text: &mut Text, run: &StatusRun, most: usize) {
    for (place, forms) in readings_text(&run.readings, most).into_iter().enumerate() {
        text.fitting(if place == 0 { "readings" } else { "" }, &forms);
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Measured, ProbeLimits, ProbeReading};
    use crate::model::ProbeKey;

    fn run(good: bool) -> StatusRun {
        let reading = ProbeReading { value: Some(0.5), good, why: None, bad: u64::from(!good) };
        let key = ProbeKey { subsystem: "index".into(), probe: "errors".to_owned() };
        StatusRun {
            run: "r-1".into(),
            operator: "ann@bastion".into(),
            subsystem: "index".into(),
            state: "baking batch 1".to_owned(),
            alive: Some(true),
            stopped: false,
            overdue: false,
            process: "pid 7 on bastion".to_owned(),
            batch: None,
            paused: None,
            asks: None,
            started_at: Time::from_millis(0),
            last_record_at: None,
            ended_at: None,
            holds: Vec::new(),
            calls: Vec::new(),
            trouble: None,
            readings: vec![Measured { key, reading, limits: ProbeLimits::default(), recent: Vec::new() }],
            until: None,
            taken_over_by: Vec::new(),
            next_command: None,
            advice: None,
        }
    }

    /// Where there is no room for every run's readings, the bad ones are shown all the same.
    #[test]
    fn a_bad_reading_stays_in_sight_however_low_the_terminal() {
        let text = |good, good_readings| {
            let page = crate::output::Page::new(None, false);
            brief_of_run(&run(good), Time::from_millis(0), good_readings).on(page)
        };
        for (good, good_readings, is_shown) in [(true, true, true), (true, false, false), (false, false, true)] {
            let text = text(good, good_readings);
            assert!(text.contains("baking batch 1") && !text.contains("pid 7"), "{text}");
            assert_eq!(text.contains("index/errors"), is_shown, "{good} {good_readings}: {text}");
        }
        let stopped = StatusRun { stopped: true, ..run(true) };
        let text = brief_of_run(&stopped, Time::from_millis(0), false).on(crate::output::Page::new(None, false));
        assert!(text.contains("STOPPED: pid 7"), "{text}");
    }
}
