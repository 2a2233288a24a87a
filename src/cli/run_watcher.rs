//! [`RunWatcher`]: a run on a screen. It shows progress, passes events on, and asks between batches.
//!
//! The question is read in a thread of its own, so that the run goes on observing. It is withdrawn where the run stops or
//! is paused meanwhile, and the terminal is then as it was before.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::driver::Watcher;
use crate::model::{BatchNumber, HookKey, RunId, Time};
use crate::output::{Place, ProgressScreen, batch_prompt, batch_question_text, next};
use crate::ports::Clock;
use crate::run::{Answer, BatchQuestion, Event, JournalRecord, Progress, Step};

use super::keyboard::{AsItWas, Keyboard};
use super::prompt::Meanwhile;
use super::screen::Screen;
use super::{pages, prompt, signals};

/// Shows a run, and asks where the run asks.
pub(super) struct RunWatcher {
    progress: ProgressScreen,
    /// Hides what is typed while the progress is drawn.
    _unseen: Option<AsItWas>,
    screen: Arc<Screen>,
    clock: Arc<dyn Clock>,
    /// The fleet for the question, and the policies for the commands that are named.
    place: Place,
    open: Arc<Mutex<Option<OpenQuestion>>>,
    /// Which run it is, once it is opened.
    run: Arc<Mutex<Option<RunId>>>,
    /// It was said how a run that is paused goes on.
    paused: AtomicBool,
    stop_key: Option<tokio::task::JoinHandle<()>>,
    answers: UnboundedSender<Answer>,
    answered: tokio::sync::Mutex<UnboundedReceiver<Answer>>,
}

/// A question that was put, and the thread that reads its answer.
struct OpenQuestion {
    /// Which batch, and until when: a question that is put again has another end.
    of: (BatchNumber, Time),
    meanwhile: Arc<Meanwhile>,
    reader: Option<JoinHandle<()>>,
}

impl RunWatcher {
    pub(super) fn new(screen: &Arc<Screen>, clock: Arc<dyn Clock>, place: Place) -> Self {
        let events = Arc::clone(screen);
        let events = Box::new(move |record: &JournalRecord| events.event(record));
        let progress =
            ProgressScreen::new(Arc::clone(&clock), screen.is_quiet(), screen.detaches(), pages::stderr, events);
        let keyboard = Keyboard::find(screen.is_stdin_taken()).filter(|_| progress.is_drawn());
        let unseen = keyboard.and_then(AsItWas::unseen);
        let (answers, answered) = unbounded_channel();
        let (open, answered) = (Arc::<Mutex<Option<OpenQuestion>>>::default(), tokio::sync::Mutex::new(answered));
        let run = Arc::new(Mutex::new(None));
        let (said_by, policies) = (progress.speaker(), place.policies.clone());
        let (of_key, asked, which) = (Arc::clone(screen), Arc::clone(&open), Arc::clone(&run));
        // Without the handler Ctrl-Z does what it always did; `status` shows a process that was stopped.
        let stop_key = signals::on_stop_key(move || {
            let open = asked.lock().unwrap_or_else(PoisonError::into_inner);
            let reading = open.as_ref().filter(|open| open.reader.is_some());
            for line in at_stop_key(&policies, &which, open.is_some()) {
                match (reading, &said_by) {
                    (Some(open), _) => open.meanwhile.remark(line),
                    (None, Some(speak)) => speak(&line),
                    (None, None) => of_key.stderr(&format!("{line}\n")),
                }
            }
        });
        let stop_key = stop_key.ok().flatten();
        let paused = AtomicBool::new(false);
        let screen = Arc::clone(screen);
        Self { progress, _unseen: unseen, screen, clock, place, open, run, paused, stop_key, answers, answered }
    }

    fn put(&self, question: &BatchQuestion) -> OpenQuestion {
        self.progress.hush(true);
        let (batch, hosts) = (question.batch.0, question.hosts.len());
        self.screen.show(&batch_question_text(question, &self.place, self.clock.now()));
        let meanwhile = Arc::<Meanwhile>::default();
        let mut reader = None;
        let keyboard = Keyboard::find(self.screen.is_stdin_taken()).filter(|_| question.attended);
        if let Some(keyboard) = keyboard {
            let (meanwhile, answers) = (Arc::clone(&meanwhile), self.answers.clone());
            let text = batch_prompt(batch, hosts);
            reader = Some(std::thread::spawn(move || {
                if let Some(reply) = prompt::ask_until(keyboard, &text, &meanwhile) {
                    // The receiver is gone only when the run has ended.
                    let _ = answers.send(Answer { batch, reply: reply.typed() });
                }
            }));
        } else {
            let command = next::command(&self.place.policies, &format!("continue {}", question.run));
            self.screen.stderr(&format!("To go on with batch {batch}: {command}\n"));
        }
        OpenQuestion { of: (batch, question.until), meanwhile, reader }
    }

    fn say_how_to_go_on(&self) {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let (Some(speak), Some(run)) = (self.progress.speaker(), run) {
            speak(&format!("to go on: {}", next::command(&self.place.policies, &format!("continue {run}"))));
        }
    }

    fn withdraw(&self, open: OpenQuestion) {
        open.meanwhile.withdraw();
        if let Some(reader) = open.reader {
            let _ = reader.join();
        }
        self.progress.hush(false);
    }
}

impl Drop for RunWatcher {
    fn drop(&mut self) {
        self.asks(None);
        if let Some(stop_key) = &self.stop_key {
            stop_key.abort();
        }
    }
}

#[async_trait]
impl Watcher for RunWatcher {
    fn progress(&self, progress: &Progress) {
        self.progress.progress(progress);
        let is_paused = progress.step == Step::Paused;
        if is_paused && !self.paused.swap(is_paused, Ordering::Relaxed) {
            self.say_how_to_go_on();
        } else {
            self.paused.store(is_paused, Ordering::Relaxed);
        }
    }

    fn recorded(&self, record: &JournalRecord) {
        if matches!(record.event, Event::RunOpened { .. }) {
            self.screen.detach(&record.run, &self.place.policies);
            *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(record.run.clone());
        }
        self.progress.recorded(record);
    }

    fn asks(&self, question: Option<&BatchQuestion>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = question.map(|question| (question.batch.0, question.until));
        if open.as_ref().map(|open| open.of) == asked {
            return;
        }
        if let Some(old) = open.take() {
            self.withdraw(old);
        }
        *open = question.map(|question| self.put(question));
    }

    fn hook_said(&self, hook: &HookKey, line: &str) {
        if let Some(speak) = self.progress.speaker() {
            speak(&format!("{hook}: {line}"));
        }
    }

    async fn answered(&self) -> Answer {
        match self.answered.lock().await.recv().await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

/// The lines that Ctrl-Z is answered with. While the run asks nothing is out.
fn at_stop_key(policies: &Path, run: &Mutex<Option<RunId>>, is_asking: bool) -> [String; 3] {
    let run = run.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let id = run.as_ref().map_or("RUN", RunId::as_str);
    let why = if is_asking {
        "Ctrl-Z does not stop a run. Nothing of it is out of service while it asks."
    } else {
        "Ctrl-Z does not stop a run: hosts may be out of service, and nobody would put them back."
    };
    [
        why.to_owned(),
        format!("To take no further batch: {}", next::command(policies, &format!("pause {id}"))),
        format!("To stop{}: Ctrl-C", if is_asking { "" } else { ", and put back what is out" }),
    ]
}
