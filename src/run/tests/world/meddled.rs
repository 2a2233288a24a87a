//! [`Meddled`]: what somebody else may change in a world, behind the back of the run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::World;
use crate::coordination::FleetRecord;
use crate::model::{Host, HostId, Launch, Process, Time};
use crate::run::{Answer, Order};

/// What a meddler may change.
pub(in crate::run::tests) struct Meddled<'a> {
    pub(in crate::run::tests) action: &'a str,
    pub(in crate::run::tests) hosts: &'a mut BTreeMap<HostId, Host>,
    pub(in crate::run::tests) suspended: &'a mut BTreeSet<Process>,
    pub(in crate::run::tests) launches: &'a mut Vec<Launch>,
    pub(in crate::run::tests) record: &'a mut FleetRecord,
    pub(in crate::run::tests) now: &'a mut Time,
    pub(in crate::run::tests) order: Option<Order>,
    /// What the person at the terminal replies.
    pub(in crate::run::tests) answer: Option<Answer>,
    pub(in crate::run::tests) skip_time: Duration,
}

impl<'a> Meddled<'a> {
    /// Somebody meddles while no process acts.
    pub(in crate::run::tests) fn of(world: &'a mut World) -> Self {
        Self {
            action: "",
            hosts: &mut world.hosts,
            suspended: &mut world.suspended,
            launches: &mut world.launches,
            record: &mut world.record,
            now: &mut world.now,
            order: None,
            answer: None,
            skip_time: Duration::ZERO,
        }
    }
}
