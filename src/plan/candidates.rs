//! The candidates of one subsystem, and what makes two of them interchangeable.
//!
//! Nothing here limits or counts: [`super::constraints`] does.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::RandomState;

use super::AssessError;
use super::stock::Ground;
use super::weights::units;

/// The hosts of a subsystem that may be taken at all, the longest-running first, then by id.
pub(super) struct Candidates {
    /// By rank.
    pub(super) all: Vec<Candidate>,
    /// Lists of all of them, one after the other: this saves thousands of allocations.
    units: Vec<(usize, u64)>,
    doubtful: Vec<usize>,
}

/// One of them.
pub(super) struct Candidate {
    /// As the membership numbers it.
    host: usize,
    serving: bool,
    zone: usize,
    group: Option<usize>,
    units: Range<usize>,
    doubtful: Range<usize>,
}

/// The properties that make two hosts interchangeable.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key<'c> {
    pub(super) serving: bool,
    /// Subsystems that they may serve although they are not capacity.
    pub(super) doubtful: &'c [usize],
    /// By subsystem, ascending.
    pub(super) units: &'c [(usize, u64)],
    /// Place among the fleet's zones.
    pub(super) zone: usize,
    /// Place among the fleet's groups.
    pub(super) group: Option<usize>,
}

impl Candidates {
    /// # Errors
    ///
    /// [`AssessError`] if one of them cannot be weighed.
    pub(super) fn of(ground: &Ground<'_>, named: usize) -> Result<Self, AssessError> {
        let membership = ground.membership;
        let mut hosts: Vec<usize> = membership.members(named).filter(|&host| ground.is_candidate(host)).collect();
        // Hosts are numbered by id.
        hosts.sort_by_cached_key(|&host| (ground.host(host).launched_at, host));
        let served = hosts.iter().map(|&host| membership.of(host).len()).sum();
        let mut candidates =
            Self { all: Vec::with_capacity(hosts.len()), units: Vec::with_capacity(served), doubtful: Vec::new() };
        for index in hosts {
            let known = ground.host(index);
            let (first_units, first_doubtful) = (candidates.units.len(), candidates.doubtful.len());
            for subsystem in membership.of(index) {
                candidates.units.push((subsystem, units(membership, subsystem, index)?));
            }
            if !known.is_healthy {
                candidates.doubtful.extend(ground.gates.doubts().of(index));
            }
            candidates.all.push(Candidate {
                host: index,
                serving: known.serves,
                zone: membership.zone_of(index),
                group: membership.group_of(index),
                units: first_units..candidates.units.len(),
                doubtful: first_doubtful..candidates.doubtful.len(),
            });
        }
        Ok(candidates)
    }

    /// The properties that make the candidate of this rank interchangeable with others.
    pub(super) fn key(&self, rank: usize) -> Key<'_> {
        let Candidate { serving, zone, group, ref units, ref doubtful, .. } = self.all[rank];
        Key { serving, doubtful: &self.doubtful[doubtful.clone()], units: &self.units[units.clone()], zone, group }
    }

    /// Those that are interchangeable, by rank, in no particular order; only groups for which `is_limited` are told apart.
    pub(super) fn alike(&self, is_limited: impl Fn(usize) -> bool) -> Vec<(Key<'_>, Vec<usize>)> {
        let mut alike: HashMap<Key<'_>, Vec<usize>, RandomState> = HashMap::default();
        for rank in 0..self.all.len() {
            let mut key = self.key(rank);
            key.group = key.group.filter(|&group| is_limited(group));
            alike.entry(key).or_default().push(rank);
        }
        alike.into_iter().collect()
    }

    /// As the membership numbers them, by rank.
    pub(super) fn into_hosts(self) -> Vec<usize> {
        self.all.into_iter().map(|candidate| candidate.host).collect()
    }
}
