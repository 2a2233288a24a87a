//! The proof that a fleet's first removal was not answered by a launch.
//!
//! Where the provider's word does not settle it, the first batch is one host, and the next one waits until the fleet shows
//! that nothing took its place. The record remembers that this was seen.

use crate::model::{HostState, Time};

use super::action::RecordUpdate;
use super::machine::Machine;
use super::phase::Phase;
use super::reason::Reason;
use super::timeouts;

impl Machine {
    /// Whether the run waits for the proof: then what comes next is queued. An answering launch has stopped it already.
    ///
    /// # Errors
    ///
    /// [`Reason::Timeout`]: the group does not come to rest.
    pub(super) fn awaits_proof(&mut self, now: Time) -> Result<bool, Reason> {
        let (Some(snapshot), Some(record)) = (&self.observed.fleet, &self.observed.record) else { return Ok(false) };
        let Some(sent) = self.calls.terminates.last() else { return Ok(false) };
        let is_seen = self.calls.is_removal_seen || record.removal_seen.is_some();
        if !snapshot.proves_removals || is_seen || snapshot.host(&sent.host).is_some() {
            return Ok(false);
        }
        let (group, host) = (sent.group.clone(), sent.host.clone());
        // What the provider says of its launches may be as old as its reads, twice: a group's activities are remembered.
        let gone_at = record.removals.iter().find(|removal| removal.host == host).and_then(|removal| removal.at);
        let settle = self.spec.bounds.settle;
        let from = gone_at.unwrap_or(now).plus(settle).plus(settle);
        let counted = |state| matches!(state, HostState::InService | HostState::Pending);
        let members = snapshot.hosts().filter(|h| h.group.as_ref() == Some(&group) && counted(h.state)).count() as u64;
        let wants_more = snapshot.group(&group).is_some_and(|group| group.desired > members);
        if snapshot.begun_at >= from && !wants_more {
            self.update(RecordUpdate::SeeRemoval { group, host });
            return Ok(true);
        }
        if now.since(from) > timeouts::PROOF {
            let message = format!("group {group} wants a host more than it has since host {host} is gone");
            return Err(Reason::Timeout(message));
        }
        let why =
            format!("until group {group} shows that it launches nothing in place of host {host}, the first to go");
        self.tell_waiting(why, from.max(now), now);
        self.phase = Phase::Opening { not_before: from, fresh: false, stale: 0 };
        self.observe_at(from.max(now.plus(timeouts::POLL)), now);
        Ok(true)
    }
}
