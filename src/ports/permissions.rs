//! What the caller is allowed to do, tried without effect. Main type: [`Permission`].

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
