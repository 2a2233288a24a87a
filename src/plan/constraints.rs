//! The rules of contract section 5 as linear constraints over classes of hosts: the input of the solver.
//!
//! Hosts that agree in subsystems, units, zone, group and service are interchangeable except for their age. So the
//! [`Problem`] has one whole number per class to choose, and every constraint is one of its packing rows. Zone loss
//! fits this form if it is taken zone by zone: "capacity outside this zone stays at or above the minimum". A row that
//! is already short has bound 0 (rule 4: nothing may be taken from it).
//!
//! A doubtful host ([`super::doubts`]) has no units: it takes nothing from a row, unless the row is short: then the
//! bound is 0, and it takes 1.
//!
//! Nothing here chooses. [`super::verify`] computes the same sums again, from the hosts.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{GroupName, SubsystemName, ZoneName};

use super::hosts::serves;
use super::membership::Membership;
use super::solver::{Class, Problem, Row};
use super::stock::{Ground, Room, Stock};
use super::weights::units;
use super::{AssessError, Rule};

/// The rule that a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Names<'a> {
    /// `run-size` also stands for budgets: one row holds the smallest of these ceilings.
    pub(crate) rule: Rule,
    pub(crate) subsystem: Option<&'a SubsystemName>,
    pub(crate) zone: Option<&'a ZoneName>,
    pub(crate) group: Option<&'a GroupName>,
}

impl<'a> Names<'a> {
    fn of(rule: Rule, subsystem: &'a SubsystemName, zone: Option<&'a ZoneName>) -> Self {
        Self { rule, subsystem: Some(subsystem), zone, group: None }
    }
}

/// The constraints on the candidates of one subsystem.
#[derive(Clone, Debug, Default)]
pub(crate) struct Constraints<'a> {
    /// The problem for the solver.
    pub(crate) problem: Problem,
    /// The rule that each row of the problem stands for, by place.
    pub(crate) names: Vec<Names<'a>>,
}

impl<'a> Constraints<'a> {
    /// Builds all candidates of a subsystem, and every constraint of every subsystem and group that one of them is in.
    ///
    /// # Errors
    ///
    /// [`AssessError`] if a host of one of these subsystems cannot be weighed or placed.
    pub(crate) fn new(ground: &Ground<'a>, named: usize) -> Result<Self, AssessError> {
        let membership = ground.membership;
        let mut candidates: Vec<usize> =
            membership.members(named).iter().copied().filter(|&h| ground.is_candidate(h)).collect();
        // Hosts are numbered by id.
        candidates.sort_by_cached_key(|&h| (membership.host(h).launched_at, h));
        let mut classes: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
        for (rank, &index) in candidates.iter().enumerate() {
            classes.entry(Key::of(ground, index)?).or_default().push(rank);
        }
        let mut made = Self { problem: Problem { candidates, ..Problem::default() }, ..Self::default() };
        let wanted = Wanted::of(membership, &classes);
        let (first, others): (Vec<_>, Vec<_>) = wanted.subsystems.iter().copied().partition(|&s| s == named);
        let mut books: Vec<Option<Book<'_, '_>>> = wanted.sums.iter().map(|_| None).collect();
        for subsystem in first.into_iter().chain(others) {
            let book = Book::open(ground, subsystem, &wanted, &mut made)?;
            books[subsystem] = Some(book);
        }
        let groups = made.group_rows(ground, &wanted.groups);
        for (key, ranks) in classes {
            let mut class = Class {
                ranks,
                serving: key.serving,
                busy: key.serving || !key.doubtful.is_empty(),
                others: key.units.iter().filter(|(s, _)| *s != named).count() as u64,
                closed: key.units.iter().any(|(s, _)| ground.gates.is_closed(*s)),
                takes: Vec::new(),
                zones: Vec::new(),
            };
            for &(subsystem, units) in &key.units {
                if let Some(book) = &books[subsystem] {
                    let is_doubtful = key.doubtful.contains(&subsystem);
                    book.charge(&made.problem.rows, key.zone, units, is_doubtful, &mut class);
                }
            }
            if let Some(&row) = key.group.and_then(|group| groups.get(&group)) {
                class.takes.push((row, 1));
            }
            class.zones.sort_unstable();
            made.problem.classes.push(class);
        }
        Ok(made)
    }

    /// Adds a row, unless everything that is wanted from it may be taken.
    fn row(&mut self, names: Names<'a>, room: Room, wanted: Taken) -> Option<usize> {
        let Room { units: bound, is_short } = room;
        if wanted.units <= bound && !(is_short && wanted.doubtful > 0) {
            return None;
        }
        self.names.push(names);
        self.problem.rows.push(Row { bound, is_short });
        Some(self.names.len() - 1)
    }

    /// `group-minimum`: members in service, whether they serve or not.
    fn group_rows(&mut self, ground: &Ground<'a>, wanted: &BTreeMap<usize, u128>) -> BTreeMap<usize, usize> {
        let mut rows = BTreeMap::new();
        for (&group, &wanted) in wanted {
            let Some(spare) = ground.spare(group) else { continue };
            let name = ground.membership.groups()[group];
            let names = Names { rule: Rule::GroupMinimum, subsystem: None, zone: None, group: Some(name) };
            rows.extend(
                self.row(names, Room::of(spare.into()), Taken { units: wanted, doubtful: 0 }).map(|row| (group, row)),
            );
        }
        rows
    }
}

/// The properties that make two hosts interchangeable.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    serving: bool,
    /// Subsystems that they may serve although they are not capacity.
    doubtful: Vec<usize>,
    units: Vec<(usize, u64)>,
    /// Place among the fleet's zones.
    zone: usize,
    /// Place among the fleet's groups.
    group: Option<usize>,
}

impl Key {
    fn of(ground: &Ground<'_>, index: usize) -> Result<Self, AssessError> {
        let membership = ground.membership;
        let host = membership.host(index);
        let weigh = |&s: &usize| Ok((s, units(membership, s, index)?));
        Ok(Self {
            serving: serves(ground.inputs, host),
            doubtful: if host.is_healthy() { Vec::new() } else { ground.gates.doubts().of(index).collect() },
            units: membership.of(index).iter().map(weigh).collect::<Result<_, AssessError>>()?,
            zone: membership.zone_of(index),
            group: membership.group_of(index),
        })
    }
}

/// What hosts would take from a row.
#[derive(Clone, Copy, Default)]
struct Taken {
    /// Units that serve, or hosts.
    units: u128,
    /// Hosts that are not capacity, but are not established to be idle.
    doubtful: u128,
}

impl Taken {
    fn add(&mut self, key: &Key, subsystem: usize, hosts: u128, units: u64) {
        if key.serving {
            self.units += hosts * u128::from(units);
        } else if key.doubtful.contains(&subsystem) {
            self.doubtful += hosts;
        }
    }

    fn without(self, other: Self) -> Self {
        Self { units: self.units - other.units, doubtful: self.doubtful - other.doubtful }
    }
}

/// What taking every candidate would take.
struct Wanted {
    /// The subsystems that any candidate belongs to, by name.
    subsystems: BTreeSet<usize>,
    /// By subsystem: the number of hosts, and what they take.
    sums: Vec<(u128, Taken)>,
    /// By subsystem and zone of the fleet: what the hosts there take.
    zones: BTreeMap<(usize, usize), Taken>,
    /// Hosts by group.
    groups: BTreeMap<usize, u128>,
}

impl Wanted {
    fn of(membership: &Membership<'_>, classes: &BTreeMap<Key, Vec<usize>>) -> Self {
        let mut sums = vec![(0, Taken::default()); membership.subsystems().len()];
        let (mut zones, mut groups): (BTreeMap<_, Taken>, BTreeMap<_, u128>) = Default::default();
        for (key, ranks) in classes {
            let hosts = ranks.len() as u128;
            for &(subsystem, units) in &key.units {
                let (all, taken) = &mut sums[subsystem];
                *all += hosts;
                taken.add(key, subsystem, hosts, units);
                zones.entry((subsystem, key.zone)).or_default().add(key, subsystem, hosts, units);
            }
            if let Some(group) = key.group {
                *groups.entry(group).or_default() += hosts;
            }
        }
        let subsystems = (0..sums.len()).filter(|&s| sums[s].0 > 0).collect();
        Self { subsystems, sums, zones, groups }
    }

    /// From one subsystem, by place in its stock's zones.
    fn by_zone(&self, stock: &Stock<'_>, subsystem: usize) -> Vec<Taken> {
        let mut by_place = vec![Taken::default(); stock.zones.len()];
        for (&(_, zone), &taken) in self.zones.range((subsystem, 0)..(subsystem + 1, 0)) {
            if let Some(place) = stock.places[zone] {
                by_place[place] = taken;
            }
        }
        by_place
    }
}

/// The rows of one subsystem.
struct Book<'g, 'a> {
    stock: &'g Stock<'a>,
    level: usize,
    /// Where its zones begin in [`Problem::zones`].
    first: usize,
    /// The row of hosts, serving or not.
    size: Option<usize>,
    /// The row of units that serve.
    minimum: Option<usize>,
    /// By place in `stock.zones`: the zone's own row.
    zones: Vec<Option<usize>>,
    /// By place in `stock.zones`: the row that hosts of every zone but this one are charged to.
    losses: Vec<Option<usize>>,
}

impl<'g, 'a> Book<'g, 'a> {
    fn open(
        ground: &'g Ground<'a>,
        subsystem: usize,
        wanted: &Wanted,
        made: &mut Constraints<'a>,
    ) -> Result<Self, AssessError> {
        let stock = ground.stock(subsystem)?;
        let (spare, (hosts, taken)) = (&stock.spare, wanted.sums[subsystem]);
        let names = |rule, zone| Names::of(rule, &ground.membership.subsystem(subsystem).name, zone);
        let size = made.row(names(Rule::RunSize, None), spare.hosts, Taken { units: hosts, doubtful: 0 });
        let minimum = made.row(names(Rule::Minimum, None), spare.units, taken);
        let (mut own, mut losses) = (Vec::new(), Vec::new());
        if taken.units > spare.free || taken.doubtful > 0 && spare.is_short {
            let by_zone = wanted.by_zone(stock, subsystem);
            for (place, (&(zone, _), here)) in stock.zones.iter().zip(by_zone).enumerate() {
                let mut row = |rule, room: Option<&Room>, wanted| {
                    room.and_then(|&room| made.row(names(rule, Some(zone)), room, wanted))
                };
                own.push(row(Rule::ZoneMinimum, spare.zones.get(place), here));
                losses.push(row(Rule::ZoneLoss, spare.losses.get(place), taken.without(here)));
            }
        }
        let problem = &mut made.problem;
        let (level, first) = (problem.levels, problem.zones.len());
        problem.zones.extend(stock.zones.iter().map(|(_, units)| *units));
        problem.level_of.resize(problem.zones.len(), level);
        problem.levels += 1;
        Ok(Self { stock, level, first, size, minimum, zones: own, losses })
    }

    fn charge(&self, rows: &[Row], zone: usize, units: u64, is_doubtful: bool, class: &mut Class) {
        class.takes.extend(self.size.map(|row| (row, 1)));
        if !class.serving && !is_doubtful {
            return;
        }
        let own = self.stock.places[zone];
        let here = own.and_then(|place| self.zones.get(place).copied().flatten());
        let losses = self.losses.iter().enumerate().filter(|(place, _)| Some(*place) != own);
        let all = self.minimum.into_iter().chain(here).chain(losses.filter_map(|(_, row)| *row));
        if !class.serving {
            class.takes.extend(all.filter(|&row| rows[row].is_short).map(|row| (row, 1)));
            return;
        }
        class.takes.extend(all.map(|row| (row, units)));
        if let Some(place) = own {
            class.zones.push((self.level, self.first + place, units));
        }
    }
}
