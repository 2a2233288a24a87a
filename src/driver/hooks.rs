//! Hooks that are called beside the run: it goes on observing while they take their time.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, JoinError, JoinSet};

use crate::model::{HookAnswer, HookDocument, HookKey};
use crate::policy::HookSpec;
use crate::ports::{HookCaller, RecordedHook};

/// The hooks that are called and have not answered. Dropping it ends them.
pub(super) struct RunningHooks {
    caller: Arc<dyn HookCaller>,
    tasks: JoinSet<(u64, HookAnswer)>,
    running: BTreeMap<u64, AbortHandle>,
    says: UnboundedSender<Line>,
    said: UnboundedReceiver<Line>,
}

/// A line of progress, and whose it is.
type Line = (HookKey, String);

/// Something that happened to a hook.
pub(super) enum FromHook {
    /// A line of its progress.
    Said(HookKey, String),
    /// The answer to the call of this number.
    Answered(u64, HookAnswer),
}

impl RunningHooks {
    pub(super) fn new(caller: Arc<dyn HookCaller>) -> Self {
        let (says, said) = unbounded_channel();
        Self { caller, tasks: JoinSet::new(), running: BTreeMap::new(), says, said }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    pub(super) fn start(&mut self, number: u64, recorded: RecordedHook, document: HookDocument, spec: HookSpec) {
        let (caller, said, key) = (Arc::clone(&self.caller), self.says.clone(), recorded.call().hook.clone());
        let task = self.tasks.spawn(async move {
            // Nobody listens only where the run is over.
            let tell = move |line: &str| _ = said.send((key.clone(), line.to_owned()));
            (number, caller.call(recorded, document, &spec, Arc::new(tell)).await)
        });
        self.running.insert(number, task);
    }

    /// Ends the hooks whose answer nobody waits for.
    pub(super) fn keep(&mut self, is_awaited: impl Fn(u64) -> bool) {
        self.running.retain(|number, task| {
            let kept = is_awaited(*number);
            if !kept {
                task.abort();
            }
            kept
        });
    }

    /// Everything that happened since, without waiting.
    pub(super) fn news(&mut self) -> Vec<FromHook> {
        let mut news = Vec::new();
        while let Ok((key, line)) = self.said.try_recv() {
            news.push(FromHook::Said(key, line));
        }
        while let Some(ended) = self.tasks.try_join_next() {
            news.extend(self.ended(ended));
        }
        news
    }

    /// Waits for the next line or answer; for ever where no hook runs.
    pub(super) async fn next(&mut self) -> FromHook {
        loop {
            let ended = tokio::select! {
                biased;
                Some((key, line)) = self.said.recv() => return FromHook::Said(key, line),
                Some(ended) = self.tasks.join_next(), if !self.tasks.is_empty() => ended,
            };
            if let Some(answered) = self.ended(ended) {
                return answered;
            }
        }
    }

    /// `None` of a hook that was ended because nobody waits for it.
    fn ended(&mut self, ended: Result<(u64, HookAnswer), JoinError>) -> Option<FromHook> {
        let (number, answer) = match ended {
            Ok(answered) => answered,
            Err(error) => {
                let number =
                    self.running.iter().find(|(_, task)| task.id() == error.id()).map(|(number, _)| *number)?;
                (number, HookAnswer::Failed { message: "its call broke off; please report this".to_owned() })
            }
        };
        self.running.remove(&number).map(|_| FromHook::Answered(number, answer))
    }
}
