//! [`Trouble`]: what keeps hosts from being put back, as the machine knows it and as its journal says it.

use serde::Serialize;

use crate::model::{CallOutcome, Effect, Time};

use super::history::{HostStage, RunHistory};
use super::machine::Machine;
use super::phase::Phase;
use super::timeouts;

/// What keeps hosts from being put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Trouble {
    /// How many hosts.
    pub(crate) hosts: usize,
    /// How often it was tried, at most.
    pub(crate) attempts: u32,
    /// The provider's last answer for one of them.
    pub(crate) message: String,
    /// The run does not give up before.
    pub(crate) gives_up_at: Time,
}

impl Machine {
    /// What keeps hosts from being put back, if something does.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let Phase::Restoring { since } = self.phase else { return None };
        let failing = self.reservations.hosts.values().filter_map(|host| Some((host, host.restore.failure()?)));
        let failing: Vec<_> = failing.collect();
        let (_, message) = failing.first()?;
        Some(Trouble {
            hosts: failing.len(),
            attempts: failing.iter().map(|(host, _)| host.restore.attempts).max().unwrap_or(0),
            message: (*message).to_owned(),
            gives_up_at: since.plus(timeouts::RESTORE_TIMEOUT),
        })
    }
}

impl RunHistory<'_> {
    /// What keeps hosts from being put back, as far as the journal says: the calls since the run began to stop, or was taken
    /// over. A process that took the run over may go on for longer.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        let since = self.stopping_since.filter(|_| !self.has_ended())?;
        let restores = |of| {
            let calls = self.calls.values().filter(move |call| call.intent.intent_at >= since);
            calls.filter(move |call| match &call.intent.effect {
                Effect::Restore { hosts, .. } => hosts.contains_key(of),
                Effect::Cordon { .. }
                | Effect::Terminate { .. }
                | Effect::Suspend { .. }
                | Effect::Resume { .. }
                | Effect::Adopt { .. }
                | Effect::RaiseMinimum { .. } => false,
            })
        };
        let is_out = |stage: HostStage| matches!(stage, HostStage::Touched | HostStage::Cordoned | HostStage::Doubt);
        let failing = self.hosts.iter().filter(|(_, (_, stage))| is_out(*stage)).filter_map(|(host, _)| {
            let (_, outcome) = restores(*host).filter_map(|call| call.answers.last()).max_by_key(|(at, _)| *at)?;
            match outcome {
                CallOutcome::Done => None,
                CallOutcome::Refused { message, .. } | CallOutcome::Unknown { message } => {
                    Some((restores(*host).count(), message))
                }
            }
        });
        let failing: Vec<_> = failing.collect();
        let (_, message) = failing.first()?;
        Some(Trouble {
            hosts: failing.len(),
            attempts: failing.iter().map(|(attempts, _)| *attempts).max().unwrap_or(0).try_into().unwrap_or(u32::MAX),
            message: (*message).clone(),
            gives_up_at: since.plus(timeouts::RESTORE_TIMEOUT),
        })
    }
}
