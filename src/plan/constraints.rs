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

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::model::{GroupName, SubsystemName, ZoneName};

use super::candidates::{Candidates, Key};
use super::solver::{Class, Problem, Row};
use super::stock::{Ground, Room, Stock};
use super::wanted::{Taken, Wanted};
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
        let candidates = Candidates::of(ground, named)?;
        let (mut made, charges) = Self::rows(ground, named, &candidates)?;
        let mut alike = candidates.alike(|_| true);
        // No key is there twice.
        alike.sort_unstable();
        for (key, ranks) in alike {
            let mut class = Class { ranks, ..Class::default() };
            charges.describe(ground, &made.problem.rows, &key, &mut class);
            made.problem.classes.push(class);
        }
        made.problem.candidates = candidates.into_hosts();
        Ok(made)
    }

    /// The same, with candidates in one class that take the same from every row: for how many can go, not for which.
    ///
    /// # Errors
    ///
    /// As [`Constraints::new`].
    pub(crate) fn merged(ground: &Ground<'a>, named: usize) -> Result<Self, AssessError> {
        let candidates = Candidates::of(ground, named)?;
        let (mut made, charges) = Self::rows(ground, named, &candidates)?;
        let (hasher, mut known) = (RandomState::default(), HashTable::new());
        let hash = |class: &Class| hasher.hash_one((class.closed, &class.takes));
        let mut class = Class::default();
        let Problem { classes, rows, .. } = &mut made.problem;
        let mut alike = candidates.alike(|group| charges.groups.contains_key(&group));
        // No rank is there twice.
        alike.sort_unstable_by_key(|(_, ranks)| ranks[0]);
        for (key, ranks) in alike {
            charges.describe(ground, rows, &key, &mut class);
            class.takes.sort_unstable();
            class.zones.clear();
            let like = |&place: &usize| classes[place].closed == class.closed && classes[place].takes == class.takes;
            match known.entry(hash(&class), like, |&place| hash(&classes[place])) {
                Entry::Occupied(place) => classes[*place.get()].ranks.extend(ranks),
                Entry::Vacant(new) => {
                    new.insert(classes.len());
                    classes.push(Class { ranks, ..class.clone() });
                }
            }
        }
        classes.iter_mut().for_each(|class| class.ranks.sort_unstable());
        // Nobody asks how even a choice is.
        (made.problem.zones, made.problem.level_of, made.problem.levels) = Default::default();
        made.problem.candidates = candidates.into_hosts();
        Ok(made)
    }

    /// The rows, without classes yet.
    fn rows<'g>(
        ground: &'g Ground<'a>,
        named: usize,
        candidates: &Candidates,
    ) -> Result<(Self, Charges<'g, 'a>), AssessError> {
        let mut made = Self::default();
        let wanted = Wanted::of(ground.membership, candidates);
        let (first, others): (Vec<_>, Vec<_>) = wanted.subsystems.iter().copied().partition(|&s| s == named);
        let mut books: Vec<Option<Book<'_, '_>>> = wanted.sums.iter().map(|_| None).collect();
        for subsystem in first.into_iter().chain(others) {
            let book = Book::open(ground, subsystem, &wanted, &mut made)?;
            books[subsystem] = Some(book);
        }
        let groups = made.group_rows(ground, &wanted.groups);
        Ok((made, Charges { named, subsystems: books, groups }))
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
    fn group_rows(&mut self, ground: &Ground<'a>, wanted: &[u128]) -> BTreeMap<usize, usize> {
        let mut rows = BTreeMap::new();
        for (group, &wanted) in wanted.iter().enumerate().filter(|(_, wanted)| **wanted > 0) {
            let Some(spare) = ground.spare(group) else { continue };
            let name = ground.membership.groups()[group];
            let names = Names { rule: Rule::GroupMinimum, subsystem: None, zone: None, group: Some(name) };
            rows.extend(self.row(names, Room::of(spare.into()), Taken::units(wanted)).map(|row| (group, row)));
        }
        rows
    }
}

/// The rows that classes take from.
struct Charges<'g, 'a> {
    named: usize,
    /// By subsystem.
    subsystems: Vec<Option<Book<'g, 'a>>>,
    /// By group.
    groups: BTreeMap<usize, usize>,
}

impl Charges<'_, '_> {
    /// Makes a class one of such hosts.
    fn describe(&self, ground: &Ground<'_>, rows: &[Row], key: &Key<'_>, class: &mut Class) {
        class.serving = key.serving;
        class.busy = key.serving || !key.doubtful.is_empty();
        class.others = key.units.iter().filter(|(s, _)| *s != self.named).count() as u64;
        class.closed = key.units.iter().any(|(s, _)| ground.gates.is_closed(*s));
        class.takes.clear();
        class.zones.clear();
        for &(subsystem, units) in key.units {
            if let Some(book) = &self.subsystems[subsystem] {
                let is_doubtful = key.doubtful.contains(&subsystem);
                book.charge(rows, key.zone, units, is_doubtful, class);
            }
        }
        if let Some(&row) = key.group.and_then(|group| self.groups.get(&group)) {
            class.takes.push((row, 1));
        }
        class.zones.sort_unstable();
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
        let size = made.row(names(Rule::RunSize, None), spare.hosts, Taken::units(hosts));
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
