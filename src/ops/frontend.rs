//! [`Frontend`]: what an operation needs of whoever asked for it: to tell, to ask, and to hear orders to stop.
//!
//! Which answer is the right one is decided in the operation; how a question looks is the front end's.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::coordination::Halt;
use crate::driver::{StopSender, Watcher};
use crate::ledger::Displaced;
use crate::model::{LedgerId, SubsystemName, Time};
use crate::output::Place;
use crate::plan::{Plan, PlanDocument};
use crate::policy::SubsystemPolicy;
use crate::ports::Clock;
use crate::run::{JournalRecord, Order};

use super::marks::Marks;

/// Whoever asked for an operation: a person on a terminal, or a program.
#[async_trait(?Send)]
pub(crate) trait Frontend {
    /// Tells one line that need not be read.
    fn note(&self, text: &str);

    /// Tells lines that are to be read, whatever was asked to be left out.
    fn tell(&self, text: &str);

    /// Shows the plan that is about to be confirmed.
    fn show_plan(&self, plan: &PlanDocument, place: &Place);

    /// Passes a record of a run's journal on, where events were asked for.
    fn event(&self, record: &JournalRecord);

    /// What follows a run while it is under way.
    fn watcher(&self, clock: Arc<dyn Clock>) -> Box<dyn Watcher>;

    /// Starts to listen to signals. No signal ends the process by itself from here on.
    fn listen(&self) -> io::Result<Orders>;

    /// Whether somebody can be asked.
    fn can_ask(&self) -> bool;

    /// Asks once. An order to stop ends the question.
    async fn ask(&self, question: &Question<'_>, orders: &mut Orders) -> Reply;
}

/// What only a person may decide.
pub(crate) enum Question<'a> {
    /// S8: whether the hosts of this plan go. It was shown.
    Plan {
        /// The plan.
        plan: &'a Plan,
        /// When it was made.
        now: Time,
        /// The whole removal, or what is left of it.
        part: Part,
    },
    /// Whether a ledger governs what bears no mark of it.
    Adoption {
        /// Where all this is.
        place: &'a Place,
        /// The ledger.
        ledger: &'a LedgerId,
        /// Its file, where that was moved.
        moved: Option<&'a Displaced>,
        /// What would bear its mark.
        marks: &'a Marks,
    },
    /// Whether a policy is accepted for every operator.
    Acceptance {
        /// Where all this is.
        place: &'a Place,
        /// Of which subsystem.
        subsystem: &'a SubsystemName,
        /// The policy that was accepted before.
        was: Option<&'a SubsystemPolicy>,
        /// The policy as it is now.
        is: Option<&'a SubsystemPolicy>,
    },
    /// Why these orders may be lifted: any words are an answer.
    Unhalt {
        /// Where all this is.
        place: &'a Place,
        /// The orders.
        orders: &'a [Halt],
    },
    /// Whether this clock is right, and the ledger's time wrong.
    SetTime {
        /// Where all this is.
        place: &'a Place,
        /// The ledger's time.
        was: Time,
        /// This clock's.
        now: Time,
    },
}

/// How much of a removal a plan is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// What is left of a run that was begun.
    Rest,
}

impl Question<'_> {
    /// The one answer that is yes. `None` where any words are an answer.
    pub(crate) fn answer(&self) -> Option<String> {
        match self {
            Self::Plan { plan, .. } => Some(plan.prompt_answer()),
            Self::Adoption { place, .. } | Self::SetTime { place, .. } => Some(place.fleet.to_string()),
            Self::Acceptance { subsystem, .. } => Some(subsystem.to_string()),
            Self::Unhalt { .. } => None,
        }
    }

    /// Whether a reply is yes. Nothing typed never is.
    ///
    /// # Errors
    ///
    /// What happened instead, in words.
    pub(crate) fn is_confirmed_by(&self, reply: &Reply) -> Result<(), String> {
        match self.answer() {
            Some(answer) => reply.typed().and_then(|_| reply.is(&answer)),
            None => reply.typed().map(|_| ()),
        }
    }
}

/// What came of a question.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Typed and entered, without the white space around it. May be empty.
    Typed(String),
    /// Ctrl-D, or the terminal ended.
    EndOfFile,
    /// A signal: Ctrl-C, a hang-up.
    Ordered(Order),
    /// The terminal cannot be used.
    Broken(io::Error),
}

impl Reply {
    /// Whether this is the answer; otherwise, what happened instead.
    pub(crate) fn is(&self, answer: &str) -> Result<(), String> {
        match self {
            Self::Typed(typed) if typed == answer => Ok(()),
            Self::Typed(typed) if !typed.is_empty() => Err(format!("the answer was {typed:?}, not {answer:?}")),
            other => other.typed().map(|_| ()),
        }
    }

    /// Whatever was typed, where something was; otherwise, what happened instead.
    pub(crate) fn typed(&self) -> Result<String, String> {
        match self {
            Self::Typed(typed) if typed.is_empty() => Err("the answer was empty".to_owned()),
            Self::Typed(typed) => Ok(typed.clone()),
            Self::EndOfFile => Err("the input ended".to_owned()),
            Self::Ordered(order) => Err(order.to_string()),
            Self::Broken(error) => Err(format!("the terminal cannot be used: {error}")),
        }
    }
}

/// Orders to stop, as they arrive.
#[derive(Debug)]
pub(crate) struct Orders(UnboundedReceiver<Order>);

impl Orders {
    /// Orders, and the way in for whoever hears them.
    pub(crate) fn new() -> (UnboundedSender<Order>, Self) {
        let (sender, orders) = unbounded_channel();
        (sender, Self(orders))
    }

    /// The next order.
    pub(crate) async fn next(&mut self) -> Order {
        match self.0.recv().await {
            Some(order) => order,
            None => std::future::pending().await,
        }
    }

    /// Hands every order on to a run.
    pub(crate) async fn forward(mut self, run: StopSender) {
        loop {
            run.order(self.next().await);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::model::FleetIdentity;

    /// S8: whatever is asked.
    #[test]
    fn s8_nothing_typed_confirms_nothing() {
        let place = |fleet: &str| Place {
            fleet: fleet.into(),
            provider: FleetIdentity::simulated("fleet-1"),
            ledger: None,
            ledger_place: String::new(),
            policies: PathBuf::new(),
        };
        let (demo, nameless, now) = (place("demo"), place(""), Time::from_millis(0));
        let questions = [
            Question::Unhalt { place: &demo, orders: &[] },
            Question::SetTime { place: &demo, was: now, now },
            Question::SetTime { place: &nameless, was: now, now },
        ];
        for question in &questions {
            for reply in [Reply::Typed(String::new()), Reply::EndOfFile, Reply::Ordered(Order::Interrupt)] {
                assert!(question.is_confirmed_by(&reply).is_err(), "{reply:?}");
            }
        }
        assert!(questions[0].is_confirmed_by(&Reply::Typed("smoke is gone".to_owned())).is_ok());
        assert!(questions[1].is_confirmed_by(&Reply::Typed("demo".to_owned())).is_ok());
        assert!(questions[1].is_confirmed_by(&Reply::Typed("smoke is gone".to_owned())).is_err());
    }

    #[test]
    fn only_the_answer_is_the_answer() {
        assert!(Reply::Typed("3".to_owned()).is("3").is_ok());
        for reply in ["", "4", "03", "3 ", "yes", "y", "index 3"] {
            assert!(Reply::Typed(reply.to_owned()).is("3").is_err(), "{reply:?}");
        }
        assert!(Reply::EndOfFile.is("").is_err());
        assert!(Reply::Ordered(Order::HangUp).is("").is_err());
    }
}
