//! The rules of contract section 5 as linear constraints over classes of hosts.
//!
//! Hosts that agree in subsystems, units, zone, group and service are interchangeable but for their age, so
//! that [`Problem`] has one whole number per class to choose. Every constraint is a packing row: a sum of
//! non-negative multiples that must not exceed a bound. Zone loss fits, taken zone by zone: "capacity outside
//! this zone stays at or above the minimum". A row that is short already has bound 0 (rule 4: nothing may be
//! taken from it). So choosing nothing is always feasible, and so is every part of a feasible choice.
//!
//! Nothing here chooses. [`super::verify`] does the same sums again, from the hosts.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{GroupName, HostState, SubsystemName, ZoneName};

use super::gates::Gates;
use super::hosts::{is_capacity, obstacles, serves, units, zones};
use super::membership::Membership;
use super::{AssessError, Inputs, Rule, Stage};

/// Interchangeable candidates.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    /// The longest-running first, then by id.
    pub(crate) hosts: Vec<usize>,
    /// Whether they serve.
    pub(crate) serving: bool,
    /// Subsystems that they belong to besides the named one.
    pub(crate) others: u64,
    /// A gate of one of their subsystems is closed now.
    pub(crate) closed: bool,
    /// What one of them takes from rows.
    pub(crate) takes: Vec<(usize, u64)>,
    /// What one of them takes from zones: level, zone, units.
    pub(crate) zones: Vec<(usize, usize, u64)>,
}

/// One packing row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What it stands for.
    pub(crate) names: Names,
    /// What may be taken from it.
    pub(crate) bound: u128,
}

/// The rule that a row stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// `run-size` stands for budgets too: one row holds the smallest of these ceilings.
    pub(crate) rule: Rule,
    pub(crate) subsystem: Option<SubsystemName>,
    pub(crate) zone: Option<ZoneName>,
    pub(crate) group: Option<GroupName>,
}

impl Names {
    fn of(rule: Rule, subsystem: &SubsystemName, zone: Option<&ZoneName>) -> Self {
        Self { rule, subsystem: Some(subsystem.clone()), zone: zone.cloned(), group: None }
    }
}

/// Which candidates there are, and what limits the choice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problem {
    pub(crate) classes: Vec<Class>,
    pub(crate) rows: Vec<Row>,
    /// Units by zone before the choice: the named subsystem first, then the others by name. Evenness is judged
    /// level by level.
    pub(crate) levels: Vec<Vec<u128>>,
    /// Place of each candidate in the order of age and id, by host index.
    pub(crate) rank: BTreeMap<usize, usize>,
}

impl Problem {
    /// All candidates of a subsystem, and every constraint of every subsystem and group that one of them is in.
    ///
    /// # Errors
    ///
    /// [`AssessError`] where a host of one of these subsystems cannot be weighed or placed.
    pub(crate) fn new(
        inputs: &Inputs<'_>,
        membership: &Membership<'_>,
        gates: &Gates<'_>,
        named: usize,
    ) -> Result<Self, AssessError> {
        let candidates: Vec<usize> = membership
            .members(named)
            .iter()
            .copied()
            .filter(|&h| obstacles(inputs, membership, &membership.host(h).id, Stage::Grant).is_empty())
            .collect();
        Self::of(inputs, membership, gates, named, candidates)
    }

    fn of(
        inputs: &Inputs<'_>,
        membership: &Membership<'_>,
        gates: &Gates<'_>,
        named: usize,
        mut candidates: Vec<usize>,
    ) -> Result<Self, AssessError> {
        candidates.sort_by_key(|&h| (membership.host(h).launched_at, &membership.host(h).id));
        let related: BTreeSet<usize> = candidates.iter().flat_map(|&h| membership.of(h)).copied().collect();
        let rank = candidates.iter().enumerate().map(|(rank, &h)| (h, rank)).collect();
        let mut problem = Self { rank, ..Self::default() };
        let ordered = std::iter::once(named).chain(related.iter().copied().filter(|&s| s != named));
        let mut books: BTreeMap<usize, Book<'_>> = BTreeMap::new();
        for subsystem in ordered.filter(|s| related.contains(s)) {
            books.insert(subsystem, Book::open(inputs, membership, subsystem, &mut problem)?);
        }
        let groups = problem.group_rows(inputs, membership, &candidates);
        let closed: BTreeSet<usize> =
            related.iter().copied().filter(|&s| !gates.closed(&BTreeSet::from([s]), Stage::Grant).is_empty()).collect();
        let mut classes: BTreeMap<Key<'_>, Vec<usize>> = BTreeMap::new();
        for &index in &candidates {
            classes.entry(Key::of(inputs, membership, index)?).or_default().push(index);
        }
        for (key, hosts) in classes {
            let mut class = Class {
                hosts,
                serving: key.serving,
                others: key.units.iter().filter(|(s, _)| *s != named).count() as u64,
                closed: key.units.iter().any(|(s, _)| closed.contains(s)),
                takes: Vec::new(),
                zones: Vec::new(),
            };
            for &(subsystem, units) in &key.units {
                if let Some(book) = books.get(&subsystem) {
                    book.charge(key.zone, units, &mut class);
                }
            }
            if let Some(&row) = key.group.and_then(|group| groups.get(group)) {
                class.takes.push((row, 1));
            }
            class.zones.sort_unstable();
            problem.classes.push(class);
        }
        Ok(problem)
    }

    fn row(&mut self, names: Names, bound: u128) -> usize {
        self.rows.push(Row { names, bound });
        self.rows.len() - 1
    }

    /// `group-minimum`: members in service, whether they serve or not.
    fn group_rows<'a>(
        &mut self,
        inputs: &Inputs<'_>,
        membership: &Membership<'a>,
        candidates: &[usize],
    ) -> BTreeMap<&'a GroupName, usize> {
        let names: BTreeSet<&GroupName> =
            candidates.iter().filter_map(|&h| membership.host(h).group.as_ref()).collect();
        let mut rows = BTreeMap::new();
        for name in names {
            let Some(group) = inputs.snapshot.group(name) else { continue };
            let held = |h: usize| inputs.ledger.claims.contains_key(&membership.host(h).id);
            let members = membership.group_members(name).iter();
            let in_service =
                members.filter(|&&h| membership.host(h).state == HostState::InService && !held(h)).count() as u64;
            let spare = in_service.min(group.desired).saturating_sub(group.min_size);
            let names = Names { rule: Rule::GroupMinimum, subsystem: None, zone: None, group: Some(name.clone()) };
            rows.insert(name, self.row(names, u128::from(spare)));
        }
        rows
    }
}

/// What makes two hosts interchangeable.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    serving: bool,
    units: Vec<(usize, u64)>,
    zone: &'a ZoneName,
    group: Option<&'a GroupName>,
}

impl<'a> Key<'a> {
    fn of(inputs: &Inputs<'_>, membership: &Membership<'a>, index: usize) -> Result<Self, AssessError> {
        let host = membership.host(index);
        let weigh = |&s: &usize| Ok((s, units(membership.subsystem(s), host)?));
        Ok(Self {
            serving: serves(inputs, host),
            units: membership.of(index).iter().map(weigh).collect::<Result<_, AssessError>>()?,
            zone: &host.zone,
            group: host.group.as_ref(),
        })
    }
}

/// The rows of one subsystem.
struct Book<'a> {
    level: usize,
    /// Hosts, serving or not.
    size: usize,
    /// Units that serve.
    minimum: usize,
    zones: BTreeMap<&'a ZoneName, ZoneRows>,
}

struct ZoneRows {
    place: usize,
    minimum: Option<usize>,
    /// Charged by every zone but this one.
    loss: Option<usize>,
}

impl<'a> Book<'a> {
    fn open(
        inputs: &Inputs<'_>,
        membership: &Membership<'a>,
        subsystem: usize,
        problem: &mut Problem,
    ) -> Result<Self, AssessError> {
        let policy = membership.subsystem(subsystem);
        let capacity = &policy.capacity;
        let mut serving: BTreeMap<&ZoneName, u128> =
            zones(membership, subsystem)?.into_iter().map(|zone| (zone, 0)).collect();
        for &index in membership.members(subsystem) {
            let host = membership.host(index);
            let units = units(policy, host)?;
            if is_capacity(inputs, host) {
                *serving.entry(&host.zone).or_default() += u128::from(units);
            }
        }
        let total: u128 = serving.values().sum();
        let minimum = u128::from(capacity.minimum);
        let most = policy.pace.budgets.iter().map(|b| b.hosts).chain([policy.pace.max_hosts_per_run]).min();
        let names = |rule, zone| Names::of(rule, &policy.name, zone);
        let size = problem.row(names(Rule::RunSize, None), u128::from(most.unwrap_or(0)));
        let per_zone = capacity.minimum_per_zone.map(|m| u128::from(m.units(capacity.baseline, serving.len())));
        let minimum_row = problem.row(names(Rule::Minimum, None), total.saturating_sub(minimum));
        let mut rows = BTreeMap::new();
        for (place, (&zone, &units)) in serving.iter().enumerate() {
            let least =
                per_zone.map(|least| problem.row(names(Rule::ZoneMinimum, Some(zone)), units.saturating_sub(least)));
            let rest = (total - units).saturating_sub(minimum);
            let loss = capacity.survive_zone_loss.then(|| problem.row(names(Rule::ZoneLoss, Some(zone)), rest));
            rows.insert(zone, ZoneRows { place, minimum: least, loss });
        }
        problem.levels.push(serving.into_values().collect());
        Ok(Self { level: problem.levels.len() - 1, size, minimum: minimum_row, zones: rows })
    }

    fn charge(&self, zone: &ZoneName, units: u64, class: &mut Class) {
        class.takes.push((self.size, 1));
        if !class.serving {
            return;
        }
        class.takes.push((self.minimum, units));
        for (name, rows) in &self.zones {
            if *name == zone {
                class.takes.extend(rows.minimum.map(|row| (row, units)));
                class.zones.push((self.level, rows.place, units));
            } else {
                class.takes.extend(rows.loss.map(|row| (row, units)));
            }
        }
    }
}
