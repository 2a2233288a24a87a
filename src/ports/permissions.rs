//! What the caller is allowed to do, tried without effect, and how long it remains who it is. Main type: [`Permission`].

use crate::model::Time;

/// Which permissions are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trials {
    /// Those that put hosts and groups back, right before a run takes its first host.
    WayBack,
    /// Every one that can be tried at any time: for a report.
    All,
}

/// One permission, and what its trial showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The action in the provider's words: `autoscaling:ExitStandby`.
    pub action: &'static str,
    /// What it was tried on, in words.
    pub resource: String,
    /// What the trial showed.
    pub trial: Trial,
}

/// What a trial showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trial {
    /// The provider refused only what the call asked for, or would have done it.
    Allowed,
    /// The provider refused the caller, in these words.
    Denied(String),
    /// It was not tried, for this reason.
    NotTried(&'static str),
}

impl Permission {
    /// The provider's refusal, if it refused.
    pub(crate) fn denied(&self) -> Option<&str> {
        match &self.trial {
            Trial::Denied(why) => Some(why),
            Trial::Allowed | Trial::NotTried(_) => None,
        }
    }
}

/// How long the caller's credentials last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// They do not end, or there are none.
    Unlimited,
    /// They end then, and this process cannot renew them.
    Until(Time),
    /// Those held now end then; they are renewed before.
    Renewed(Time),
    /// They end, and nobody says when.
    Unknown,
}

impl Lasting {
    /// Their end, where they have one for good.
    pub(crate) fn end(self) -> Option<Time> {
        match self {
            Self::Until(end) => Some(end),
            Self::Unlimited | Self::Renewed(_) | Self::Unknown => None,
        }
    }
}
