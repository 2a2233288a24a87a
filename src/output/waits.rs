//! [`Waits`]: what a run waits for is told once. The journal tells it again every minute, so that nobody takes a process that
//! waits for a silent one; for people that is nothing new.

use crate::run::Event;

/// The wait that was told last.
#[derive(Debug, Default)]
pub(super) struct Waits {
    told: Option<String>,
}

impl Waits {
    /// Whether the event says anything that was not told already. Every event of the run passes here, in order.
    pub(super) fn is_news(&mut self, event: &Event) -> bool {
        let wait = match event {
            Event::Paused { pause } => Some(pause.to_string()),
            Event::Waiting { why, .. } => Some(why.clone()),
            Event::Continued { .. } | Event::BatchConfirmed { .. } | Event::BatchGranted { .. } => None,
            _ => return true,
        };
        let is_told = wait.is_some() && self.told == wait;
        self.told = wait;
        !is_told
    }
}
