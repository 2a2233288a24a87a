//! [`Terminal`]: the front end of every operation: stderr for people, events on stdout, signals, and the prompt.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;

use crate::driver::Watcher;
use crate::ops::{Frontend, Orders, Question, Reply};
use crate::output::{Place, plan_text};
use crate::plan::PlanDocument;
use crate::ports::Clock;
use crate::run::JournalRecord;

use super::keyboard::Keyboard;
use super::run_watcher::RunWatcher;
use super::screen::Screen;
use super::{prompt, question, signals};

/// The terminal, or its substitute.
pub(super) struct Terminal(Arc<Screen>);

impl Terminal {
    /// The front end that writes to this screen.
    pub(super) fn of(screen: &Arc<Screen>) -> Self {
        Self(Arc::clone(screen))
    }
}

#[async_trait(?Send)]
impl Frontend for Terminal {
    fn note(&self, text: &str) {
        self.0.note(text);
    }

    fn tell(&self, text: &str) {
        self.0.stderr(text);
    }

    fn show_plan(&self, plan: &PlanDocument, place: &Place) {
        self.0.show(&plan_text(plan, place, None));
    }

    fn event(&self, record: &JournalRecord) {
        self.0.event(record);
    }

    fn watcher(&self, clock: Arc<dyn Clock>, place: Place) -> Box<dyn Watcher> {
        Box::new(RunWatcher::new(&self.0, clock, place))
    }

    fn listen(&self) -> io::Result<Orders> {
        signals::listen(&self.0)
    }

    fn can_ask(&self) -> bool {
        Keyboard::find(self.0.is_stdin_taken()).is_some()
    }

    fn stays(&self) -> bool {
        self.can_ask() && !self.0.detaches()
    }

    async fn ask(&self, of: &Question<'_>, orders: &mut Orders) -> Reply {
        let (shown, asked) = question::words(of);
        self.0.show(&shown);
        match Keyboard::find(self.0.is_stdin_taken()) {
            Some(keyboard) => prompt::ask(keyboard, &asked, orders).await,
            None => Reply::Broken(io::Error::other("there is none")),
        }
    }
}
