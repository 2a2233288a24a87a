//! [`GroupCalls`]: the calls for the process of a group that a run needs suspended, and how the process was seen.

use super::calls::Calls;
use crate::model::{FleetSnapshot, GroupName, Process, Time};

/// The calls for a group's process.
#[derive(Clone, Debug, Default)]
pub(super) struct GroupCalls {
    pub(super) suspend: Calls,
    pub(super) resume: Calls,
    /// The process was seen suspended, and nobody was told since that it was resumed.
    pub(super) was_suspended: bool,
    /// When the process was first seen running, and not seen suspended since.
    pub(super) running_since: Option<Time>,
    /// The record said that this run was the last to need it: it puts back what was there before.
    pub(super) resuming: bool,
    /// Nothing more is to be done for the group.
    pub(super) released: bool,
}

impl GroupCalls {
    /// Takes in a complete observation.
    pub(super) fn observe(&mut self, name: &GroupName, snapshot: &FleetSnapshot) {
        self.suspend.observations = self.suspend.observations.saturating_add(1);
        self.resume.observations = self.resume.observations.saturating_add(1);
        match snapshot.group(name).map(|group| group.suspended.contains(&Process::AzRebalance)) {
            Some(true) => {
                self.suspend.seen_done();
                (self.was_suspended, self.running_since) = (true, None);
            }
            Some(false) => self.running_since = self.running_since.or(Some(snapshot.begun_at)),
            None => {}
        }
    }

    /// S7: what was answered did not come later than now.
    pub(super) fn keep_time(&mut self, now: Time) {
        self.suspend.keep_time(now);
        self.resume.keep_time(now);
        self.running_since = self.running_since.map(|at| at.min(now));
    }
}
