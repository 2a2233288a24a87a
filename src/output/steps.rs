//! A run's progress in words: what it does, with which hosts, for how long, and what its probes read.

use std::time::Duration;

use crate::model::{counted, span_text};
use crate::run::{Event, Progress, Step, Trouble};

use super::readings::readings_text;
use super::text::fitting;
use super::wrap::wrap;
use super::{Page, clean, hosts_text};

/// The most hosts on a line of progress.
const HOSTS_SHOWN: usize = 8;

/// The most readings below the bar: the block must fit beside what a person reads above it. Bad ones come first.
const READINGS_SHOWN: usize = 6;

/// The most hosts of which it is told what holds them.
const HELD_SHOWN: usize = 3;

/// The columns that spinner and bar take.
const BESIDE_BAR: usize = 24;

/// The text that a terminal shows beside and below the bar.
pub(super) fn block(progress: &Progress, left: Option<Duration>, page: Page) -> String {
    let mut text = heading(progress);
    if let Some(left) = left {
        text.push_str(&format!("  {} left", span_text(left)));
    }
    let mut text = wrap(&text, page.narrower(BESIDE_BAR).width, 0, 2);
    let hosts = (!progress.hosts.is_empty()).then(|| hosts_text(&progress.hosts, HOSTS_SHOWN));
    let trouble = progress.trouble.as_ref().map(trouble_until);
    for line in hosts.into_iter().chain(trouble).chain(waits_text(progress)) {
        text.push_str(&format!("\n  {}", wrap(&line, page.width, 2, 2)));
    }
    for forms in readings_text(&progress.readings, READINGS_SHOWN) {
        text.push_str(&format!("\n  {}", fitting(&forms, page.narrower(2)).replace('\n', "\n  ")));
    }
    text
}

/// What keeps hosts from being put back: the answer, and how often it was tried.
pub(crate) fn trouble_text(of: &Trouble) -> String {
    let (hosts, tried) = (counted(of.hosts, "host"), counted(of.attempts, "time"));
    format!("{hosts} cannot be put back, tried {tried}: {}", clean(&of.message))
}

/// The same, and until when it is tried.
fn trouble_until(of: &Trouble) -> String {
    format!("{}; it goes on until {}", trouble_text(of), of.gives_up_at)
}

/// `waits: web-0003 is in Terminating:Wait: …`
fn waits_text(progress: &Progress) -> Option<String> {
    let held: Vec<_> = progress.waits_for.iter().take(HELD_SHOWN).map(|text| clean(text)).collect();
    let more = progress.waits_for.len().saturating_sub(held.len());
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    (!held.is_empty()).then(|| format!("waits: {}{more}", held.join("; ")))
}

/// `batch 2 of 3  baking`
fn heading(progress: &Progress) -> String {
    let (number, of) = progress.batch;
    format!("batch {number} of {of}  {}", step_text(progress.step))
}

/// The whole progress on one line, with the readings as they are on it.
pub(super) fn line(progress: &Progress, left: Option<Duration>, readings: &str) -> String {
    let mut text = heading(progress);
    if !progress.hosts.is_empty() && !matches!(progress.step, Step::Reference | Step::Closing | Step::Following { .. })
    {
        text.push_str(&format!(": {}", hosts_text(&progress.hosts, HOSTS_SHOWN)));
    }
    if let Some(left) = left {
        text.push_str(&format!(", {} left", span_text(left)));
    }
    if !readings.is_empty() {
        text.push_str(&format!("; {readings}"));
    }
    if let Some(trouble) = &progress.trouble {
        text.push_str(&format!("; {}", trouble_until(trouble)));
    }
    if let Some(waits) = waits_text(progress) {
        text.push_str(&format!("; {waits}"));
    }
    text
}

fn step_text(step: Step) -> String {
    let text = match step {
        Step::Reference => "sampling the reference",
        Step::TakingOver => "taking over",
        Step::Checking => "checking",
        Step::Waiting => "waiting",
        Step::Paused => "PAUSED",
        Step::Asking => "waits for an answer",
        Step::Cordoning => "cordoning",
        Step::Draining => "draining",
        Step::Baking => "baking",
        Step::Terminating => "terminating",
        Step::Verifying => "verifying",
        Step::Restoring => "RESTORING",
        Step::Closing => "closing",
        Step::Following { until } => {
            return format!(
                "ended, every cordoned host is back; reading on until {until} to see whether the readings recover (Ctrl-C or \
                 SIGTERM ends this at once)"
            );
        }
    };
    text.to_owned()
}

/// `STOPPING: interrupted (Ctrl-C)`
pub(super) fn stopping_text(why: &str) -> String {
    format!("STOPPING: {why}")
}

/// Events that people should read when they happen; [`line`] reports the steps.
pub(super) fn remark(event: &Event) -> Option<String> {
    match event {
        Event::Waiting { until, why } => Some(format!("waiting, and looking again by {until}: {why}")),
        Event::Paused { pause } => Some(pause.to_string()),
        Event::Continued { operator: Some(operator) } => Some(format!("continued by {operator}")),
        Event::Stopped { cause } => Some(stopping_text(&cause.message)),
        Event::HostInDoubt { host, why, .. } => Some(format!("{host} is in doubt: {why}")),
        Event::HostDropped { host, why: None, .. } => Some(format!("{host} vanished by itself and was dropped")),
        Event::HostDropped { host, why: Some(why), .. } => Some(format!("{host} is dropped: {why}")),
        Event::BakeRestarted { batch, gap_ms } => {
            let gap = span_text(Duration::from_millis(*gap_ms));
            Some(format!("the bake of batch {batch} begins again: nothing was sampled for {gap}"))
        }
        Event::BatchShrunk { batch, hosts, later } => {
            let hosts = hosts_text(hosts, HOSTS_SHOWN);
            Some(format!("hooks leave {hosts} of batch {batch} for batch {later}, behind all others"))
        }
        Event::BakeExtended { batch, until, why } => {
            Some(format!("the bake of batch {batch} goes on until {until} at the latest: {why}"))
        }
        Event::Warned { message } | Event::GroupLeft { message, .. } => Some(format!("warning: {message}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Limit, Measured, ProbeLimits, ProbeReading};
    use crate::model::ProbeKey;
    use crate::output::readings::readings_line;

    #[test]
    fn a_line_says_batch_hosts_time_and_probes() {
        let progress = Progress {
            step: Step::Baking,
            batch: (2.into(), 3),
            hosts: vec!["index-0001".into(), "index-0002".into()],
            left: Some(Duration::from_secs(90)),
            total: Some(Duration::from_secs(180)),
            readings: vec![Measured {
                key: ProbeKey { subsystem: "index".into(), probe: "errors".to_owned() },
                reading: ProbeReading { value: Some(0.002), good: true, why: None, bad: 0 },
                limits: ProbeLimits {
                    max: Some(Limit { at: 0.01, percent: None }),
                    failures: Some(1),
                    role: crate::policy::ProbeRole::Watch,
                    ..ProbeLimits::default()
                },
                recent: vec![Some(0.002)],
            }],
            trouble: None,
            waits_for: Vec::new(),
            stopping: None,
        };
        assert_eq!(
            line(&progress, progress.left, &readings_line(&progress.readings)),
            "batch 2 of 3  baking: index-0001 index-0002, 1m 30s left; index/errors 0.002 max 0.01"
        );
    }

    #[test]
    fn what_stops_a_run_is_said() {
        let cause = crate::run::Cause {
            kind: crate::run::CauseKind::Order,
            rule: None,
            probe: None,
            message: "interrupted (Ctrl-C)".to_owned(),
            measured: None,
            limit: None,
        };
        assert_eq!(remark(&Event::Stopped { cause }).as_deref(), Some("STOPPING: interrupted (Ctrl-C)"));
    }
}
