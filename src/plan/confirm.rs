//! [`Confirmed`]: the permit to remove. A run cannot be made of anything else (S8).

use thiserror::Error;

use crate::model::Time;

use super::{Plan, PlanDocument, Settings, Verdict};

/// How a plan was agreed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// Somebody typed this at the prompt.
    Typed(String),
    /// `--yes`.
    Unattended,
}

/// Why a plan is not confirmed. Nothing was touched.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotConfirmed {
    /// The plan is refused.
    #[error("the plan is refused by policy")]
    Refused,
    /// The plan expired, at the prompt or before: rule `plan-stale`.
    #[error("the plan expired at {expired_at}: make it again")]
    Stale {
        /// When it did.
        expired_at: Time,
    },
    /// What was typed is not what was asked for.
    #[error("{typed:?} is not {expected:?}")]
    WrongAnswer {
        /// What was typed.
        typed: String,
        /// What would have confirmed.
        expected: String,
    },
    /// More hosts than the policies allow unattended.
    #[error("--yes is enough for up to {most} hosts here, the plan takes {hosts}")]
    TooManyUnattended {
        /// The smallest `unattended_max` of every policy touched.
        most: u64,
        /// Hosts of the plan.
        hosts: u64,
    },
    /// A count far above what was ever removed is not accepted unattended.
    #[error("the count is unusual for this subsystem: it must be typed out on a terminal")]
    Unusual,
}

/// A plan that somebody, or the policy for small counts, agreed to. Only [`Plan::confirm`] makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirmed {
    plan: Plan,
    unattended: bool,
}

impl Plan {
    /// Hosts that the plan takes.
    pub fn host_count(&self) -> u64 {
        self.document.batches.iter().map(|batch| batch.hosts.len() as u64).sum()
    }

    /// What must be typed to confirm: the count, or name and count where it is unusual.
    pub fn prompt_answer(&self) -> String {
        let count = self.host_count();
        if self.settings.unusual { format!("{} {count}", self.document.request.subsystem) } else { count.to_string() }
    }

    /// Makes the permit, if the confirmation is good for exactly this plan.
    ///
    /// # Errors
    ///
    /// [`NotConfirmed`]; the plan is used up, as a confirmation that failed must not be tried again on it.
    pub fn confirm(self, how: Confirmation, now: Time) -> Result<Confirmed, NotConfirmed> {
        if self.document.verdict != Verdict::Allowed || !self.document.violations.is_empty() || self.host_count() == 0 {
            return Err(NotConfirmed::Refused);
        }
        if now > self.document.expires_at {
            return Err(NotConfirmed::Stale { expired_at: self.document.expires_at });
        }
        let unattended = match how {
            Confirmation::Typed(typed) => {
                let expected = self.prompt_answer();
                if typed.trim() != expected {
                    return Err(NotConfirmed::WrongAnswer { typed, expected });
                }
                false
            }
            Confirmation::Unattended => {
                let (most, hosts) = (self.settings.unattended_max, self.host_count());
                if self.settings.unusual {
                    return Err(NotConfirmed::Unusual);
                }
                if hosts > most {
                    return Err(NotConfirmed::TooManyUnattended { most, hosts });
                }
                true
            }
        };
        Ok(Confirmed { plan: self, unattended })
    }
}

impl Confirmed {
    /// What was confirmed.
    pub fn document(&self) -> &PlanDocument {
        &self.plan.document
    }

    /// The strictest settings of everything it touches and watches.
    pub fn settings(&self) -> &Settings {
        &self.plan.settings
    }

    /// `typed` or `unattended`, for the journal.
    pub fn how(&self) -> &'static str {
        if self.unattended { "unattended" } else { "typed" }
    }
}
