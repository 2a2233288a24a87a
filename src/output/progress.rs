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

use crate::model::{BatchNumber, Time};
use crate::ports::Clock;
use crate::run::{Event, JournalRecord, Progress, Step};

use super::readings::readings_line;
use super::steps::{block, line, remark, stopping_text};
use super::waits::Waits;
use super::wrap::wrap;
use super::{Page, clean};

/// Without a terminal a line is written at least once a minute (contract section 8, "Signals"). The interval is a
/// minute, less the possible delay of a tick on a busy machine.
const SAY_EVERY: Duration = Duration::from_secs(50);

/// How often a terminal is redrawn.
const DRAW_EVERY: Duration = Duration::from_millis(500);

/// The limit of redraws, whatever a run reports: a faster display cannot be read.
const DRAWS_PER_SECOND: u8 = 5;

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
    /// The terminal as it is now: its width may change.
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
    /// The step, the batch, how often putting back was tried in vain, and whether the run was stopping.
    said: Option<(Step, BatchNumber, Option<u32>, bool)>,
    said_at: Option<Instant>,
    /// The cause of the stop that was said last.
    stopping: Option<String>,
    waits: Waits,
    /// A person is asked: nothing may be written into the question.
    hushed: bool,
}

impl State {
    /// Whether people have not heard of it yet: what a run waits for is told once, and what stops it may have been said before
    /// the journal had it.
    fn is_news(&mut self, event: &Event) -> bool {
        match event {
            Event::Stopped { cause } => self.is_new_stop(&cause.message),
            _ => self.waits.is_news(event),
        }
    }

    /// Whether this stop was not said yet. It counts as said from now on.
    fn is_new_stop(&mut self, why: &str) -> bool {
        let is_new = self.stopping.as_deref() != Some(why);
        self.stopping = Some(why.to_owned());
        is_new
    }
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

    /// Whether the progress is drawn again and again, and not told in lines.
    pub(crate) fn is_drawn(&self) -> bool {
        self.shown.as_ref().is_some_and(|shown| shown.bar.is_some())
    }

    /// Passes a record of the journal on, and says what people should read when it happens.
    pub(crate) fn recorded(&self, record: &JournalRecord) {
        (self.events)(record);
        let Some(shown) = &self.shown else { return };
        let is_news = shown.state().is_news(&record.event);
        // On a terminal the answer follows, with a line for each of them.
        let is_answered = shown.bar.is_some() && matches!(record.event, Event::HostInDoubt { .. });
        if let Some(text) = remark(&record.event).filter(|_| is_news && !is_answered) {
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

    /// Says what stops the run, before what it does about it.
    fn stopping(&self, progress: &Progress, now: Time) {
        let Some(why) = &progress.stopping else { return };
        let is_news = {
            let mut state = self.state();
            // While a person is asked nothing is said: the journal's record says it once the question is withdrawn.
            !state.hushed && state.is_new_stop(why)
        };
        if is_news {
            self.say(&format!("{}  {}", self.stamp(now), stopping_text(why)));
        }
    }

    fn progress(&self, progress: &Progress) {
        let now = self.clock.now();
        self.stopping(progress, now);
        let begun = {
            let mut state = self.state();
            state.last = Some((progress.clone(), now));
            let attempts = progress.trouble.as_ref().map(|trouble| trouble.attempts);
            // What a run goes on waiting for is said again when it is told to stop.
            let begun = (progress.step, progress.batch.0, attempts, progress.stopping.is_some());
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
                // Otherwise the last drawing would stay above the question, although it is no longer true.
                bar.finish_and_clear();
                bar.set_draw_target(ProgressDrawTarget::hidden());
            } else {
                bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
                bar.reset();
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

fn style(template: &str, ascii: bool) -> ProgressStyle {
    // If the template cannot be parsed, the library's own style is used: it looks worse but is not wrong.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    if ascii { style.progress_chars("#>-").tick_chars("|/-\\ ") } else { style }
}

fn write_line(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordination::Pause;
    use crate::run::Event;

    struct Fixed;

    #[async_trait::async_trait]
    impl Clock for Fixed {
        fn now(&self) -> Time {
            Time::from_millis(1_488_303_420_000)
        }

        async fn sleep_until(&self, _until: Time) {}
    }

    /// A screen without a terminal, and what it says.
    fn screen(say_every: Duration) -> (ProgressScreen, Arc<Mutex<Vec<String>>>) {
        let said = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&said);
        let shown = Shown {
            clock: Arc::new(Fixed),
            page: || Page::new(None, false),
            sink: Box::new(move |line| into.lock().expect("not poisoned").push(line.to_owned())),
            say_every,
            bar: None,
            with_bar: style("{msg}", false),
            without_bar: style("{msg}", false),
            state: Mutex::default(),
        };
        (ProgressScreen::ticking(shown, Duration::from_millis(5), Box::new(|_| {})), said)
    }

    /// The journal tells every minute what a run waits for. People read it once.
    #[test]
    fn what_is_waited_for_is_said_once_and_again_after_something_else() {
        let (screen, said) = screen(Duration::from_secs(3600));
        let at = Fixed.now();
        let pause = Pause { operator: "ben".into(), reason: Some("smoke".to_owned()), at, after: None };
        let told = || Event::Waiting { until: at, why: pause.to_string() };
        let budget = || Event::Waiting { until: at, why: "the budget is spent".to_owned() };
        let paused = || Event::Paused { pause: pause.clone() };
        let continued = Event::Continued { operator: Some("cat".into()) };
        for event in [paused(), told(), told(), continued, budget(), budget(), paused(), told(), budget()] {
            let (schema, run) = (crate::run::EVENT_SCHEMA.to_owned(), "r-1".into());
            screen.recorded(&JournalRecord { schema, run, seq: 0, at, event });
        }
        let said = said.lock().expect("not poisoned");
        let said: Vec<&str> = said.iter().map(|line| line.trim_start_matches("2017-02-28 17:37:00 UTC  ")).collect();
        let paused = "paused by ben since 2017-02-28 17:37:00 UTC: smoke";
        let budget = "waiting, and looking again by 2017-02-28 17:37:00 UTC: the budget is spent";
        assert_eq!(said, [paused, "continued by cat", budget, paused, budget]);
    }

    /// A run that waits for an hour must not look dead in a log.
    #[test]
    fn without_a_terminal_a_step_that_lasts_is_said_again_and_again() {
        let (screen, said) = screen(Duration::from_millis(20));
        let progress = Progress {
            step: Step::Waiting,
            batch: (1.into(), 1),
            hosts: Vec::new(),
            left: Some(Duration::from_secs(3600)),
            total: Some(Duration::from_secs(3600)),
            readings: Vec::new(),
            trouble: None,
            waits_for: Vec::new(),
            stopping: None,
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
}
