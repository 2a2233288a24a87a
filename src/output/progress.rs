//! Progress on stderr: which batch, which hosts, time left of the bake, each probe's last value.
//!
//! On a terminal a block of lines that is drawn anew, above it one line per step that began; without a
//! terminal only those lines, and at least one a minute. Nothing here can influence a run.

use std::io::{IsTerminal as _, Write as _};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::driver::Watcher;
use crate::model::Time;
use crate::ports::Clock;
use crate::run::{JournalRecord, Past, Progress, Step};

use super::{clean, hosts_text, span_text};

/// Hosts that a line of progress lists.
const HOSTS_SHOWN: usize = 8;

/// Without a terminal something is said at least so often (contract section 8, "Signals").
const SAY_EVERY: Duration = Duration::from_secs(60);

/// How often a terminal is drawn anew.
const DRAW_EVERY: Duration = Duration::from_millis(500);

/// At most, whatever a run says: what is drawn more often cannot be read.
const DRAWS_PER_SECOND: u8 = 5;

/// Somebody who wants every event of a run, in order.
pub type Events = Box<dyn Fn(&JournalRecord) + Send + Sync>;

/// Shows a run to people, and hands its events on to programs.
pub struct ProgressScreen {
    shown: Option<Arc<Shown>>,
    events: Events,
    stop: Option<Sender<()>>,
    ticker: Option<JoinHandle<()>>,
}

struct Shown {
    clock: Arc<dyn Clock>,
    bar: Option<ProgressBar>,
    /// For steps whose length is known.
    with_bar: ProgressStyle,
    /// For the others.
    without_bar: ProgressStyle,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: Option<(Progress, Time)>,
    said: Option<(Step, u64)>,
    said_at: Option<Instant>,
}

impl ProgressScreen {
    /// `quiet` shows nothing to people. Time left is counted by the run's own clock.
    pub fn new(clock: Arc<dyn Clock>, quiet: bool, events: Events) -> Self {
        if quiet {
            return Self { shown: None, events, stop: None, ticker: None };
        }
        let (with_bar, without_bar) = (style("{spinner} {bar:30}  {msg}"), style("{spinner} {msg}"));
        let bar = std::io::stderr().is_terminal().then(|| {
            let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
            ProgressBar::with_draw_target(Some(0), target).with_style(without_bar.clone())
        });
        let every = if bar.is_some() { DRAW_EVERY } else { Duration::from_secs(1) };
        let shown = Arc::new(Shown { clock, bar, with_bar, without_bar, state: Mutex::default() });
        // A thread of its own: a run that waits for a slow call must not look dead.
        let (stop, stopped) = channel();
        let of_ticker = Arc::clone(&shown);
        let ticker = std::thread::Builder::new().name("progress".to_owned()).spawn(move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                of_ticker.tick();
            }
        });
        Self { shown: Some(shown), events, stop: Some(stop), ticker: ticker.ok() }
    }
}

impl Drop for ProgressScreen {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(ticker) = self.ticker.take() {
            let _ = ticker.join();
        }
        if let Some(bar) = self.shown.as_ref().and_then(|shown| shown.bar.as_ref()) {
            bar.finish_and_clear();
        }
    }
}

impl Watcher for ProgressScreen {
    fn progress(&self, progress: &Progress) {
        if let Some(shown) = &self.shown {
            shown.progress(progress);
        }
    }

    fn recorded(&self, record: &JournalRecord) {
        (self.events)(record);
        if let Some(shown) = &self.shown
            && let Some(text) = remark(&record.event)
        {
            shown.say(&format!("{}  {text}", record.at));
        }
    }
}

impl Shown {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self, progress: &Progress) {
        let now = self.clock.now();
        let begun = {
            let mut state = self.state();
            state.last = Some((progress.clone(), now));
            let begun = (progress.step, progress.batch.0);
            let is_new = state.said != Some(begun);
            if is_new {
                state.said = Some(begun);
                state.said_at = Some(Instant::now());
            }
            is_new
        };
        if begun {
            self.say(&format!("{now}  {}", line(progress, progress.left)));
        }
        self.draw(progress, progress.left);
    }

    /// Time went on without the run saying anything.
    fn tick(&self) {
        let now = self.clock.now();
        let (progress, left, due) = {
            let mut state = self.state();
            let Some((progress, at)) = state.last.clone() else { return };
            let left = progress.left.map(|left| left.saturating_sub(now.since(at)));
            let due = self.bar.is_none() && state.said_at.is_none_or(|at| at.elapsed() >= SAY_EVERY);
            if due {
                state.said_at = Some(Instant::now());
            }
            (progress, left, due)
        };
        if due {
            self.say(&format!("{now}  {}", line(&progress, left)));
        }
        self.draw(&progress, left);
        if let Some(bar) = &self.bar {
            bar.tick();
        }
    }

    fn say(&self, line: &str) {
        let line = clean(line);
        match &self.bar {
            Some(bar) => bar.suspend(|| write_line(&line)),
            None => write_line(&line),
        }
    }

    fn draw(&self, progress: &Progress, left: Option<Duration>) {
        let Some(bar) = &self.bar else { return };
        let millis = |of: Duration| u64::try_from(of.as_millis()).unwrap_or(u64::MAX);
        match (progress.total, left) {
            (Some(total), Some(left)) => {
                bar.set_style(self.with_bar.clone());
                bar.update(|state| {
                    state.set_len(millis(total));
                    state.set_pos(millis(total.saturating_sub(left)));
                });
            }
            _ => bar.set_style(self.without_bar.clone()),
        }
        bar.set_message(block(progress, left));
    }
}

/// What a terminal shows beside and below the bar.
fn block(progress: &Progress, left: Option<Duration>) -> String {
    let mut text = heading(progress);
    if let Some(left) = left {
        text.push_str(&format!("  {} left", span_text(left)));
    }
    if !progress.hosts.is_empty() {
        text.push_str(&format!("\n  {}", hosts_text(&progress.hosts, HOSTS_SHOWN)));
    }
    for (probe, reading) in &progress.readings {
        text.push_str(&format!("\n  {}  {}", clean(&probe.to_string()), clean(reading)));
    }
    text
}

fn style(template: &str) -> ProgressStyle {
    // A template that cannot be read leaves the library's own: shown worse, not wrong.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn write_line(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// `batch 2 of 3  baking`
fn heading(progress: &Progress) -> String {
    let (number, of) = progress.batch;
    format!("batch {number} of {of}  {}", step_text(progress.step))
}

/// The whole of it on one line.
fn line(progress: &Progress, left: Option<Duration>) -> String {
    let mut text = heading(progress);
    if !progress.hosts.is_empty() && !matches!(progress.step, Step::Reference | Step::Closing) {
        text.push_str(&format!(": {}", hosts_text(&progress.hosts, HOSTS_SHOWN)));
    }
    if let Some(left) = left {
        text.push_str(&format!(", {} left", span_text(left)));
    }
    if !progress.readings.is_empty() {
        let readings: Vec<_> = progress.readings.iter().map(|(probe, reading)| format!("{probe} {reading}")).collect();
        text.push_str(&format!("; {}", readings.join(", ")));
    }
    text
}

fn step_text(step: Step) -> &'static str {
    match step {
        Step::Reference => "sampling the reference",
        Step::Checking => "checking",
        Step::Waiting => "waiting",
        Step::Cordoning => "cordoning",
        Step::Baking => "baking",
        Step::Terminating => "terminating",
        Step::Verifying => "verifying",
        Step::Restoring => "RESTORING",
        Step::Closing => "closing",
    }
}

/// What people should read when it happens; steps are said by [`line`].
fn remark(event: &Past) -> Option<String> {
    match event {
        Past::Waiting { until, why } => Some(format!("waiting until {until}: {why}")),
        Past::Stopped { cause } => Some(format!("STOPPING: {}", cause.message)),
        Past::HostInDoubt { host, why, .. } => Some(format!("{host} is in doubt: {why}")),
        Past::HostDropped { host, .. } => Some(format!("{host} vanished by itself and was dropped")),
        Past::BakeRestarted { batch, gap_ms } => {
            let gap = span_text(Duration::from_millis(*gap_ms));
            Some(format!("the bake of batch {batch} begins again: nothing was sampled for {gap}"))
        }
        Past::Warned { message } => Some(format!("warning: {message}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_batch_hosts_time_and_probes() {
        let progress = Progress {
            step: Step::Baking,
            batch: (2, 3),
            hosts: vec!["index-0001".into(), "index-0002".into()],
            left: Some(Duration::from_secs(90)),
            total: Some(Duration::from_secs(180)),
            readings: vec![(
                crate::model::ProbeKey { subsystem: "index".into(), probe: "errors".to_owned() },
                "0.002".to_owned(),
            )],
        };
        assert_eq!(
            line(&progress, progress.left),
            "batch 2 of 3  baking: index-0001 index-0002, 1m 30s left; index/errors 0.002"
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
        assert_eq!(remark(&Past::Stopped { cause }).as_deref(), Some("STOPPING: interrupted (Ctrl-C)"));
    }
}
