//! The proof that a fleet's first removal was not answered by a launch.
//!
//! Where the provider's word does not settle it, one host goes first, and alone: what else its batch has out of service stays
//! there, and no further batch is taken, until the fleet shows that nothing took its place. The record remembers that this
//! was seen.

use std::collections::BTreeSet;

use crate::model::{BatchNumber, HostId, HostState, Time};

use super::action::RecordUpdate;
use super::knowledge::SentTerminate;
use super::machine::Machine;
use super::phase::Phase;
use super::reason::Reason;
use super::{RunHistory, timeouts};

impl Machine {
    /// The hosts of the batch that may go now: all that are left of it, or the first one of a fleet.
    pub(super) fn next_to_go(&self, batch: BatchNumber) -> BTreeSet<HostId> {
        let mut members = self.reservations.of_batch(batch).filter(|host| host.granted.group.is_some());
        match members.next().filter(|_| self.must_prove()) {
            Some(first) => BTreeSet::from([first.id.clone()]),
            None => self.reservations.of_batch(batch).map(|host| host.id.clone()).collect(),
        }
    }

    /// Whether nobody has seen yet that nothing takes the place of what goes, where that must be seen.
    fn must_prove(&self) -> bool {
        let is_seen = |record: &crate::coordination::FleetRecord| record.removal_seen.is_some();
        let asks = self.observed.fleet.as_ref().is_some_and(|snapshot| snapshot.proves_removals);
        asks && !self.calls.is_removal_seen && !self.observed.record.as_deref().is_some_and(is_seen)
    }

    /// Whether the run waits for the proof: then what comes next is queued. An answering launch has stopped it already.
    ///
    /// # Errors
    ///
    /// [`Reason::Timeout`]: the group does not come to rest.
    pub(super) fn awaits_proof(&mut self, now: Time) -> Result<bool, Reason> {
        if !self.must_prove() {
            return Ok(false);
        }
        let (Some(snapshot), Some(record)) = (&self.observed.fleet, &self.observed.record) else { return Ok(false) };
        let history = RunHistory::of(&self.journal);
        let is_gone = |sent: &&SentTerminate| history.terminated.contains(&sent.host);
        let Some(sent) = self.calls.terminates.iter().rev().find(is_gone) else { return Ok(false) };
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
        if matches!(self.phase, Phase::Opening { .. }) {
            self.phase = Phase::opening_at(from);
        }
        self.observe_at(from.max(now.plus(timeouts::POLL)), now);
        Ok(true)
    }
}
