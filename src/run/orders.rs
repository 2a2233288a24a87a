//! [`RunOrder`]: `pause` and `continue` as whoever gave them recorded them, each in a journal of its own. A run that is busy
//! with a batch, or whose process is dead, never notices a pause that was lifted meanwhile: only this tells of it.

use serde::Serialize;

use crate::coordination::Pause;
use crate::model::{BatchNumber, OperatorId, RunId, Time};

use super::document::RunPause;
use super::{JournalRecord, RunDocument, RunHistory, Single};

/// What was ordered. The order of the two is that of the same moment: a pause comes before what lifts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OrderKind {
    /// `pause`
    Pause,
    /// `continue`
    Continue,
}

impl OrderKind {
    /// The command that gives it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Continue => "continue",
        }
    }
}

/// An order that was given to a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RunOrder {
    /// When.
    pub(crate) at: Time,
    /// To which run.
    pub(crate) run: RunId,
    /// What it was.
    pub(crate) command: OrderKind,
    /// Who gave it.
    pub(crate) operator: OperatorId,
    /// The pause that it began or lifted.
    pub(crate) pause: Option<Pause>,
    /// The batch that it confirmed.
    pub(crate) confirmed: Option<BatchNumber>,
}

impl RunOrder {
    /// The order that a journal is about; `None` if it is about something else.
    pub(crate) fn of(journal: &[JournalRecord]) -> Option<Self> {
        let history = RunHistory::of(journal);
        let at = history.last?.at;
        match history.single? {
            Single::Paused(run, pause) => Some(Self {
                at,
                run: run.clone(),
                command: OrderKind::Pause,
                operator: pause.operator.clone(),
                pause: Some(pause.clone()),
                confirmed: None,
            }),
            Single::Continued { run, operator, lifted, confirmed } => Some(Self {
                at,
                run: run.clone(),
                command: OrderKind::Continue,
                operator: operator.clone(),
                pause: lifted.cloned(),
                confirmed,
            }),
            Single::Halted(_) | Single::Lifted(..) | Single::Pruned(_) | Single::Other => None,
        }
    }

    /// Whether the run noticed it: then its document tells of it.
    pub(crate) fn is_told_by(&self, document: &RunDocument) -> bool {
        let known =
            || document.pauses.iter().find(|known| self.pause.as_ref().is_some_and(|pause| known.tells_of(pause)));
        let is_let_go = |batch: BatchNumber| {
            document.confirmations.iter().any(|of| of.batch == batch && of.operator == self.operator)
        };
        match (self.command, self.confirmed) {
            (OrderKind::Pause, _) => known().is_some(),
            (OrderKind::Continue, Some(batch)) => is_let_go(batch),
            (OrderKind::Continue, None) => known().is_some_and(|known| known.continued_by.is_some()),
        }
    }
}

/// The document of a run with the pauses that it did not notice, or of which it did not notice who lifted them.
pub(crate) fn with_orders(mut document: RunDocument, orders: &[RunOrder]) -> RunDocument {
    for order in orders.iter().filter(|order| order.run == document.run) {
        let Some(pause) = &order.pause else { continue };
        if !document.pauses.iter().any(|known| known.tells_of(pause)) {
            document.pauses.push(RunPause::of(pause));
        }
        let Some(known) = document.pauses.iter_mut().find(|known| known.tells_of(pause)) else { continue };
        if known.reason.is_none() {
            known.reason.clone_from(&pause.reason);
        }
        if order.command == OrderKind::Continue {
            known.continued_at.get_or_insert(order.at);
            known.continued_by.get_or_insert_with(|| order.operator.clone());
        }
    }
    document.pauses.sort_by_key(|pause| pause.at);
    document
}
