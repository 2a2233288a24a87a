//! Progress on stderr: the batch, its hosts, the time left of the bake, and the last value of each probe.
//!
//! On a terminal this is a block of lines that is redrawn, with one line above it for each step that began. Without a
//! terminal it is only those lines, at least one a minute. Nothing here can influence a run.

use std::io::{IsTerminal as _, Write as _};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::model::{BatchNumber, Time, counted, span_text};
use crate::ports::Clock;
use crate::run::{Event, JournalRecord, Progress, Step, Trouble};

use super::readings::{readings_line, readings_text};
use super::text::fitting;
use super::wrap::wrap;
use super::{Page, clean, hosts_text};

/// The most hosts on a line of progress.
const HOSTS_SHOWN: usize = 8;

/// The most readings below the bar: the block must fit beside what a person reads above it. Bad ones come first.
const READINGS_SHOWN: usize = 6;

/// Without a terminal a line is written at least once a minute (contract section 8, "Signals"). The interval is a
/// minute, less the possible delay of a tick on a busy machine.
const SAY_EVERY: Duration = Duration::from_secs(50);

/// How often a terminal is redrawn.
const DRAW_EVERY: Duration = Duration::from_millis(500);

/// The limit of redraws, whatever a run reports: a faster display cannot be read.
const DRAWS_PER_SECOND: u8 = 5;

/// The columns that spinner and bar take.
const BESIDE_BAR: usize = 24;

/// Receives every event of a run, in order.
pub(crate) type Events = Box<dyn Fn(&JournalRecord) + Send + Sync>;

/// Shows a run to people, and passes its events on to programs.
pub(crate) struct ProgressScreen {
    shown: Option<Arc<Shown>>,
    events: Events,
    stop: Option<Sender<()>>,
    ticker: Option<JoinHandle<()>>,
}

struct Shown {
    clock: Arc<dyn Clock>,
    /// The terminal as it is now: its width may change. `None` where there is none, and a line is a record of a log.
    page: fn() -> Page,
    /// Receives a line for people.
    sink: Box<dyn Fn(&str) + Send + Sync>,
    say_every: Duration,
    bar: Option<ProgressBar>,
    /// The style for steps whose length is known.
    with_bar: ProgressStyle,
    /// The style for the other steps.
    without_bar: ProgressStyle,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: Option<(Progress, Time)>,
    /// The step, the batch, and how often putting back was tried in vain.
    said: Option<(Step, BatchNumber, Option<u32>)>,
    said_at: Option<Instant>,
    /// A person is asked: nothing may be written into the question.
    hushed: bool,
}

impl ProgressScreen {
    /// With `quiet`, nothing is shown to people; with `plain`, only lines, as without a terminal. The time left is counted by
    /// the run's own clock. `page` is asked each time that something is drawn: a terminal's width changes.
    pub(crate) fn new(clock: Arc<dyn Clock>, quiet: bool, plain: bool, page: fn() -> Page, events: Events) -> Self {
        if quiet {
            return Self { shown: None, events, stop: None, ticker: None };
        }
        let ascii = page().ascii;
        let (with_bar, without_bar) = (style("{spinner} {bar:20}  {msg}", ascii), style("{spinner} {msg}", ascii));
        let bar = (!plain && std::io::stderr().is_terminal()).then(|| {
            let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
            ProgressBar::with_draw_target(Some(0), target).with_style(without_bar.clone())
        });
        let tick_every = if bar.is_some() { DRAW_EVERY } else { Duration::from_secs(1) };
        let (sink, state) = (Box::new(write_line), Mutex::default());
        Self::ticking(
            Shown { clock, page, sink, say_every: SAY_EVERY, bar, with_bar, without_bar, state },
            tick_every,
            events,
        )
    }

    fn ticking(shown: Shown, every: Duration, events: Events) -> Self {
        let shown = Arc::new(shown);
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

impl ProgressScreen {
    /// Shows the run's progress; called before every action.
    pub(crate) fn progress(&self, progress: &Progress) {
        if let Some(shown) = &self.shown {
            shown.progress(progress);
        }
    }

    /// Says something now, from any thread, above what is drawn. `None` with `quiet`.
    pub(crate) fn speaker(&self) -> Option<impl Fn(&str) + Send + Sync + use<>> {
        let shown = Arc::clone(self.shown.as_ref()?);
        Some(move |line: &str| shown.speak(line))
    }

    /// Says nothing to people while a person is asked, or speaks again.
    pub(crate) fn hush(&self, hushed: bool) {
        if let Some(shown) = &self.shown {
            shown.hush(hushed);
        }
    }

    /// Passes a record of the journal on, and says what people should read when it happens.
    pub(crate) fn recorded(&self, record: &JournalRecord) {
        (self.events)(record);
        if let Some(shown) = &self.shown
            && let Some(text) = remark(&record.event)
        {
            shown.say(&format!("{}  {text}", shown.stamp(record.at)));
        }
    }
}

impl Shown {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A time before a line: on a terminal today is known.
    fn stamp(&self, at: Time) -> String {
        if self.bar.is_some() { at.time_of_day().to_string() } else { at.to_string() }
    }

    /// The whole progress on one line; on a terminal the readings are below the bar.
    fn line(&self, progress: &Progress, left: Option<Duration>) -> String {
        let readings = if self.bar.is_some() { String::new() } else { readings_line(&progress.readings) };
        line(progress, left, &readings)
    }

    fn progress(&self, progress: &Progress) {
        let now = self.clock.now();
        let begun = {
            let mut state = self.state();
            state.last = Some((progress.clone(), now));
            let begun = (progress.step, progress.batch.0, progress.trouble.as_ref().map(|trouble| trouble.attempts));
            let is_new = state.said != Some(begun);
            if is_new {
                state.said = Some(begun);
                state.said_at = Some(Instant::now());
            }
            is_new
        };
        if begun {
            self.say(&format!("{}  {}", self.stamp(now), self.line(progress, progress.left)));
        }
        self.draw(progress, progress.left);
    }

    /// Time passed without a report from the run.
    fn tick(&self) {
        let now = self.clock.now();
        let (progress, left, due) = {
            let mut state = self.state();
            let Some((progress, at)) = state.last.clone() else { return };
            let left = progress.left.map(|left| left.saturating_sub(now.since(at)));
            let due = self.bar.is_none() && state.said_at.is_none_or(|at| at.elapsed() >= self.say_every);
            if due {
                state.said_at = Some(Instant::now());
            }
            (progress, left, due)
        };
        if due {
            self.say(&format!("{}  {}", self.stamp(now), self.line(&progress, left)));
        }
        self.draw(&progress, left);
        if let Some(bar) = &self.bar {
            bar.tick();
        }
    }

    fn hush(&self, hushed: bool) {
        self.state().hushed = hushed;
        if let Some(bar) = &self.bar {
            if hushed {
                bar.set_draw_target(ProgressDrawTarget::hidden());
            } else {
                bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
            }
        }
    }

    fn say(&self, line: &str) {
        if !self.state().hushed {
            self.speak(line);
        }
    }

    fn speak(&self, line: &str) {
        let (line, page) = (clean(line), (self.page)());
        match &self.bar {
            Some(bar) => {
                let line = page.spelled(wrap(&line, page.width, 0, 2));
                bar.suspend(|| (self.sink)(&line));
            }
            // A record of a log is one line.
            None => (self.sink)(&page.spelled(line.into_owned())),
        }
    }

    fn draw(&self, progress: &Progress, left: Option<Duration>) {
        let Some(bar) = self.bar.as_ref().filter(|_| !self.state().hushed) else { return };
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
        let page = (self.page)();
        bar.set_message(page.spelled(block(progress, left, page)));
    }
}

/// The text that a terminal shows beside and below the bar.
fn block(progress: &Progress, left: Option<Duration>, page: Page) -> String {
    let mut text = heading(progress);
    if let Some(left) = left {
        text.push_str(&format!("  {} left", span_text(left)));
    }
    let mut text = wrap(&text, page.narrower(BESIDE_BAR).width, 0, 2);
    let hosts = (!progress.hosts.is_empty()).then(|| hosts_text(&progress.hosts, HOSTS_SHOWN));
    for line in hosts.into_iter().chain(progress.trouble.as_ref().map(trouble_text)) {
        text.push_str(&format!("\n  {}", wrap(&line, page.width, 2, 2)));
    }
    for forms in readings_text(&progress.readings, READINGS_SHOWN) {
        text.push_str(&format!("\n  {}", fitting(&forms, page.narrower(2))));
    }
    text
}

fn style(template: &str, ascii: bool) -> ProgressStyle {
    // If the template cannot be parsed, the library's own style is used: it looks worse but is not wrong.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    if ascii { style.progress_chars("#>-").tick_chars("|/-\\ ") } else { style }
}

fn write_line(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// What keeps hosts from being put back: the answer, how often it was tried, and until when it is.
fn trouble_text(of: &Trouble) -> String {
    format!(
        "{} cannot be put back, tried {}: {}; tried until {}",
        counted(of.hosts, "host"),
        counted(of.attempts, "time"),
        clean(&of.message),
        of.gives_up_at
    )
}

/// `batch 2 of 3  baking`
fn heading(progress: &Progress) -> String {
    let (number, of) = progress.batch;
    format!("batch {number} of {of}  {}", step_text(progress.step))
}

fn line(progress: &Progress, left: Option<Duration>, readings: &str) -> String {
    let mut text = heading(progress);
    if !progress.hosts.is_empty() && !matches!(progress.step, Step::Reference | Step::Closing | Step::Following) {
        text.push_str(&format!(": {}", hosts_text(&progress.hosts, HOSTS_SHOWN)));
    }
    if let Some(left) = left {
        text.push_str(&format!(", {} left", span_text(left)));
    }
    if !readings.is_empty() {
        text.push_str(&format!("; {readings}"));
    }
    if let Some(trouble) = &progress.trouble {
        text.push_str(&format!("; {}", trouble_text(trouble)));
    }
    text
}

fn step_text(step: Step) -> &'static str {
    match step {
        Step::Reference => "sampling the reference",
        Step::TakingOver => "taking over",
        Step::Checking => "checking",
        Step::Waiting => "waiting",
        Step::Paused => "PAUSED",
        Step::Asking => "waits for an answer",
        Step::Cordoning => "cordoning",
        Step::Baking => "baking",
        Step::Terminating => "terminating",
        Step::Verifying => "verifying",
        Step::Restoring => "RESTORING",
        Step::Closing => "closing",
        Step::Following => "ended, nothing is held; reading on to see whether the readings recover (Ctrl-C ends this)",
    }
}

/// Events that people should read when they happen; [`line`] reports the steps.
fn remark(event: &Event) -> Option<String> {
    match event {
        Event::Waiting { until, why } => Some(format!("waiting, and looking again by {until}: {why}")),
        Event::Stopped { cause } => Some(format!("STOPPING: {}", cause.message)),
        Event::HostInDoubt { host, why, .. } => Some(format!("{host} is in doubt: {why}")),
        Event::HostDropped { host, .. } => Some(format!("{host} vanished by itself and was dropped")),
        Event::BakeRestarted { batch, gap_ms } => {
            let gap = span_text(Duration::from_millis(*gap_ms));
            Some(format!("the bake of batch {batch} begins again: nothing was sampled for {gap}"))
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

    struct Fixed;

    #[async_trait::async_trait]
    impl Clock for Fixed {
        fn now(&self) -> Time {
            Time::from_millis(1_488_303_420_000)
        }

        async fn sleep_until(&self, _until: Time) {}
    }

    /// A run that waits for an hour must not look dead in a log.
    #[test]
    fn without_a_terminal_a_step_that_lasts_is_said_again_and_again() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&said);
        let shown = Shown {
            clock: Arc::new(Fixed),
            page: || Page::new(None, false),
            sink: Box::new(move |line| into.lock().expect("not poisoned").push(line.to_owned())),
            say_every: Duration::from_millis(20),
            bar: None,
            with_bar: style("{msg}", false),
            without_bar: style("{msg}", false),
            state: Mutex::default(),
        };
        let screen = ProgressScreen::ticking(shown, Duration::from_millis(5), Box::new(|_| {}));
        let progress = Progress {
            step: Step::Waiting,
            batch: (1.into(), 1),
            hosts: Vec::new(),
            left: Some(Duration::from_secs(3600)),
            total: Some(Duration::from_secs(3600)),
            readings: Vec::new(),
            trouble: None,
        };
        screen.progress(&progress);
        for _ in 0..500 {
            if said.lock().expect("not poisoned").len() >= 3 {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(screen);
        let said = said.lock().expect("not poisoned");
        assert!(said.len() >= 3, "{said:?}");
        assert!(said.iter().all(|line| line == "2017-02-28 17:37:00 UTC  batch 1 of 1  waiting, 1h left"), "{said:?}");
    }

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
                    failures: 1,
                    ..ProbeLimits::default()
                },
                recent: vec![Some(0.002)],
            }],
            trouble: None,
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
