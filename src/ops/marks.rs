//! [`Marks`]: the ledger that governs each group and host that the policies select.

use std::collections::BTreeMap;

use crate::model::{Effect, GroupName, HostId, LedgerId};

use super::environment::{Environment, ObservedFleet};

/// The groups and hosts that have a mark, and the mark that each has now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) groups: BTreeMap<GroupName, Option<LedgerId>>,
    pub(crate) hosts: BTreeMap<HostId, Option<LedgerId>>,
}

impl Marks {
    /// The marks of everything that a policy selects.
    pub(crate) fn of(environment: &Environment, observation: &ObservedFleet) -> Self {
        let matcher = environment.policies.matcher();
        let mut marks = Self::default();
        for host in observation.snapshot.hosts() {
            if matcher.membership(host).subsystems.is_empty() {
                continue;
            }
            match host.group.as_ref().and_then(|name| observation.snapshot.group(name)) {
                Some(group) => {
                    let mark = group.ledger.clone().or_else(|| observation.snapshot.mark.ledger().cloned());
                    marks.groups.insert(group.name.clone(), mark);
                }
                None => {
                    let mark = host.ledger.clone().or_else(|| observation.snapshot.mark.ledger().cloned());
                    marks.hosts.insert(host.id.clone(), mark);
                }
            }
        }
        marks
    }

    /// Keeps only those that do not have this ledger's mark.
    pub(crate) fn other_than(mut self, ledger: &LedgerId) -> Self {
        self.groups.retain(|_, mark| mark.as_ref() != Some(ledger));
        self.hosts.retain(|_, mark| mark.as_ref() != Some(ledger));
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.hosts.is_empty()
    }

    pub(crate) fn effect(&self, ledger: &LedgerId) -> Effect {
        Effect::Adopt {
            ledger: ledger.clone(),
            groups: self.groups.keys().cloned().collect(),
            hosts: self.hosts.keys().cloned().collect(),
            replaces: self.groups.values().chain(self.hosts.values()).flatten().cloned().collect(),
        }
    }
}
