//! [`Confirmed`]: the permit to remove. There is no way to a run without one. [`Plan::confirm`] makes one of a
//! plan, and [`Confirmed::recorded`] makes it again from the journal of a run that was confirmed (S8).

use std::time::Duration;

use thiserror::Error;

use crate::model::{Time, counted};

use super::{Plan, PlanDocument, Settings, Verdict};

/// How a plan was confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Confirmation {
    /// Somebody typed this at the prompt for [`Plan::prompt_answer`].
    Typed(String),
    /// Nobody was asked: `--yes`.
    Unattended,
}

/// Why a plan was not confirmed. Nothing was touched.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum NotConfirmed {
    /// The plan violates rules or takes nothing.
    #[error("a refused plan cannot be confirmed")]
    Refused,
    /// The plan is too old.
    #[error("the plan expired at {expired}; it is {now}")]
    Expired {
        /// When it expired.
        expired: Time,
        /// Now.
        now: Time,
    },
    /// A different text was typed.
    #[error("{typed:?} was typed where {asked:?} was asked for")]
    WrongAnswer {
        /// What was typed.
        typed: String,
        /// What was asked for.
        asked: String,
    },
    /// The count is above what the policies allow without confirmation by a person.
    #[error("more than the {limit} that may go unattended: {}", counted(*hosts, "host"))]
    TooMany {
        /// The number of hosts in the plan.
        hosts: u64,
        /// The smallest `unattended_max` of everything touched.
        limit: u64,
    },
    /// The count is unusual: it must be typed out on a terminal.
    #[error("an unusual count is not accepted unattended")]
    Unusual,
}

/// A plan that may run: allowed, fresh, and confirmed with exactly these hosts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Confirmed {
    plan: Plan,
    how: &'static str,
}

impl Confirmed {
    /// The permit of a run that was already opened, as recorded in its journal: a process that takes the run over
    /// continues with exactly the plan that was confirmed then, and with no other.
    pub(crate) fn recorded(document: PlanDocument, settings: Settings, how: &str) -> Self {
        let how = if how == "typed" { "typed" } else { "unattended" };
        Self { plan: Plan { document, settings, takes: Duration::ZERO }, how }
    }

    /// The plan that was confirmed.
    pub(crate) fn document(&self) -> &PlanDocument {
        &self.plan.document
    }

    /// The strictest settings of everything that the plan touches and watches.
    pub(crate) fn settings(&self) -> &Settings {
        &self.plan.settings
    }

    /// Whether nobody was asked.
    pub(crate) fn is_unattended(&self) -> bool {
        self.how == "unattended"
    }

    /// `typed` or `unattended`, for the record.
    pub(crate) fn how(&self) -> &'static str {
        self.how
    }
}

impl Plan {
    /// How many hosts it takes.
    pub(crate) fn host_count(&self) -> u64 {
        self.document.batches.iter().map(|b| b.hosts.len() as u64).sum()
    }

    /// What must be typed to confirm the plan: the count, preceded by the subsystem's name if the count is unusual.
    pub(crate) fn prompt_answer(&self) -> String {
        let count = self.host_count();
        if self.settings.unusual { format!("{} {count}", self.document.request.subsystem) } else { count.to_string() }
    }

    /// Whether `--yes` is enough.
    pub(crate) fn is_unattended_enough(&self) -> bool {
        !self.settings.unusual && self.host_count() <= self.settings.unattended_max
    }

    /// Turns an allowed plan into the permit to run it.
    ///
    /// # Errors
    ///
    /// [`NotConfirmed`]; the plan is consumed as well, since a prompt is asked only once.
    pub(crate) fn confirm(self, how: Confirmation, now: Time) -> Result<Confirmed, NotConfirmed> {
        let hosts = self.host_count();
        if self.document.verdict != Verdict::Allowed || hosts == 0 {
            return Err(NotConfirmed::Refused);
        }
        // S8: a decision on an old state of the fleet must be made again. A clock that went back is just as bad.
        if now >= self.document.expires_at || now < self.document.observed_at {
            return Err(NotConfirmed::Expired { expired: self.document.expires_at, now });
        }
        let how = match how {
            Confirmation::Typed(typed) => {
                let asked = self.prompt_answer();
                if typed.trim() != asked {
                    return Err(NotConfirmed::WrongAnswer { typed, asked });
                }
                "typed"
            }
            Confirmation::Unattended if self.settings.unusual => return Err(NotConfirmed::Unusual),
            Confirmation::Unattended if hosts > self.settings.unattended_max => {
                return Err(NotConfirmed::TooMany { hosts, limit: self.settings.unattended_max });
            }
            Confirmation::Unattended => "unattended",
        };
        Ok(Confirmed { plan: self, how })
    }
}
