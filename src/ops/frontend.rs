//! [`Frontend`]: the port through which an operation tells and asks its caller, and receives orders to stop.
//!
//! The operation decides which answer is the right one; the front end decides how a question looks.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::coordination::Halt;
use crate::driver::{StopSender, Watcher};
use crate::ledger::Displaced;
use crate::model::{LedgerId, RunId, SubsystemName, Time};
use crate::output::Place;
use crate::plan::{LowMinimum, Plan, PlanDocument};
use crate::policy::SubsystemPolicy;
use crate::ports::Clock;
use crate::run::{JournalRecord, Order};

use super::marks::Marks;

/// The caller of an operation: a person on a terminal, or a program.
#[async_trait(?Send)]
pub(crate) trait Frontend {
    /// Tells one line that need not be read.
    fn note(&self, text: &str);

    /// Tells lines that must be read, whatever output was suppressed.
    fn tell(&self, text: &str);

    /// Shows the plan that is about to be confirmed.
    fn show_plan(&self, plan: &PlanDocument, place: &Place);

    /// Passes on a record of a run's journal, if events were requested.
    fn event(&self, record: &JournalRecord);

    /// The watcher that follows a run while it is in progress, for the commands that it names.
    fn watcher(&self, clock: Arc<dyn Clock>, place: Place) -> Box<dyn Watcher>;

    /// Starts to listen to signals. No signal ends the process by itself from here on.
    fn listen(&self) -> io::Result<Orders>;

    /// Whether there is a person to ask.
    fn can_ask(&self) -> bool;

    /// Whether that person can still be asked while a run is under way.
    fn stays(&self) -> bool;

    /// Asks once. An order to stop ends the question.
    async fn ask(&self, question: &Question<'_>, orders: &mut Orders) -> Reply;
}

/// The questions that only a person may answer.
pub(crate) enum Question<'a> {
    /// S8: whether the hosts of this plan may go. The plan was shown.
    Plan {
        /// Where all this is.
        place: &'a Place,
        /// The plan.
        plan: &'a Plan,
        /// When it was made.
        now: Time,
        /// Whether the plan is for the whole removal or for the rest of it.
        part: Part,
    },
    /// Whether a ledger governs groups and hosts that do not have its mark.
    Adoption {
        /// Where all this is.
        place: &'a Place,
        /// The ledger.
        ledger: &'a LedgerId,
        /// Its file, if that was moved.
        moved: Option<&'a Displaced>,
        /// The groups and hosts that would get its mark.
        marks: &'a Marks,
    },
    /// Whether the provider's own minimum of these groups is raised.
    Minimums {
        /// Where all this is.
        place: &'a Place,
        /// The groups that would be raised.
        to_raise: &'a [LowMinimum],
        /// Those that hold less than their share too, and are left.
        left: &'a [LowMinimum],
    },
    /// Whether a policy is accepted for every operator.
    Acceptance {
        /// Where all this is.
        place: &'a Place,
        /// The subsystem of the policy.
        subsystem: &'a SubsystemName,
        /// The policy that was accepted before.
        was: Option<&'a SubsystemPolicy>,
        /// The policy as it is now.
        is: Option<&'a SubsystemPolicy>,
    },
    /// Why these orders may be lifted: any text is an answer.
    Unhalt {
        /// Where all this is.
        place: &'a Place,
        /// The orders.
        orders: &'a [Halt],
    },
    /// Why a run was paused, which it is already: any text is an answer, and none is one too.
    WhyPaused {
        /// The run.
        run: &'a RunId,
    },
    /// Why a stop order was given, which is in force already: any text is an answer, and none is one too.
    WhyHalted {
        /// What is halted.
        scope: &'a str,
    },
    /// Whether this clock is right and the ledger's time wrong.
    SetTime {
        /// Where all this is.
        place: &'a Place,
        /// The ledger's time.
        was: Time,
        /// This clock's time.
        now: Time,
    },
}

/// How much of a removal a plan covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// The rest of a run that was begun.
    Rest,
}

impl Question<'_> {
    /// The only answer that means yes. `None` where any text is an answer.
    pub(crate) fn answer(&self) -> Option<String> {
        match self {
            Self::Plan { plan, .. } => Some(plan.prompt_answer()),
            Self::Adoption { place, .. } | Self::Minimums { place, .. } | Self::SetTime { place, .. } => {
                Some(place.fleet.to_string())
            }
            Self::Acceptance { subsystem, .. } => Some(subsystem.to_string()),
            Self::Unhalt { .. } | Self::WhyPaused { .. } | Self::WhyHalted { .. } => None,
        }
    }

    /// Whether a reply means yes. An empty reply never does.
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

/// The reply to a question.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Text that was typed and entered, without the white space around it. May be empty.
    Typed(String),
    /// Ctrl-D, or the end of the terminal.
    EndOfFile,
    /// A signal: Ctrl-C, a hang-up.
    Ordered(Order),
    /// The terminal cannot be used.
    Broken(io::Error),
}

impl Reply {
    /// Whether this is the right answer; otherwise what happened instead.
    pub(crate) fn is(&self, answer: &str) -> Result<(), String> {
        match self {
            Self::Typed(typed) if typed == answer => Ok(()),
            Self::Typed(typed) if !typed.is_empty() => Err(format!("the answer was {typed:?}, not {answer:?}")),
            other => other.typed().map(|_| ()),
        }
    }

    /// The typed text, if there is any; otherwise what happened instead.
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

/// Orders to stop, in order of arrival.
#[derive(Debug)]
pub(crate) struct Orders(UnboundedReceiver<Order>);

impl Orders {
    /// Creates orders, with the sender for whatever receives them.
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

    /// An order that has come already.
    pub(crate) fn so_far(&mut self) -> Option<Order> {
        self.0.try_recv().ok()
    }

    /// Passes every order on to a run.
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

    /// S8: for every kind of question.
    #[test]
    fn s8_nothing_typed_confirms_nothing() {
        let place = |fleet: &str| Place {
            fleet: fleet.into(),
            provider: FleetIdentity::simulated("fleet-1"),
            ledger: None,
            ledger_place: String::new(),
            policies: PathBuf::new(),
            clock: None,
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
