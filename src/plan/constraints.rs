//! The rules of contract section 5 as linear constraints over classes of hosts.
//!
//! Hosts that agree in subsystems, units, zone, group and service are interchangeable but for their age, so
//! that [`Problem`] has one whole number per class to choose. Every constraint is a packing row: a sum of
//! non-negative multiples that must not exceed a bound. Zone loss fits, taken zone by zone: "capacity outside
//! this zone stays at or above the minimum". A row that is short already has bound 0 (rule 4: nothing may be
//! taken from it). So choosing nothing is always feasible, and so is every part of a feasible choice.
//!
//! Nothing here chooses. [`super::verify`] does the same sums again, from the hosts.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use crate::model::{GroupName, HostState, SubsystemName, ZoneName};

use super::gates::Gates;
use super::hosts::{is_capacity, obstacles_of, serves, zones};
use super::membership::Membership;
use super::weights::units;
use super::{AssessError, Inputs, Rule, Stage};

/// Interchangeable candidates.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    /// Places in [`Problem::candidates`], ascending: the longest-running first, then by id.
    pub(crate) ranks: Vec<usize>,
    /// Whether they serve.
    pub(crate) serving: bool,
    /// Subsystems that they belong to besides the named one.
    pub(crate) others: u64,
    /// A gate of one of their subsystems is closed now.
    pub(crate) closed: bool,
    /// What one of them takes from rows.
    pub(crate) takes: Vec<(usize, u64)>,
    /// What one of them takes from zones: level, place in [`Problem::zones`], units.
    pub(crate) zones: Vec<(usize, usize, u64)>,
}

/// One packing row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    /// What it stands for.
    pub(crate) names: Names<'a>,
    /// What may be taken from it.
    pub(crate) bound: u128,
}

/// The rule that a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Names<'a> {
    /// `run-size` stands for budgets too: one row holds the smallest of these ceilings.
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

/// What problems are made of: everything that is asked of a subsystem or a host is worked out once per decision,
/// for however many problems.
pub(crate) struct Ground<'a> {
    inputs: &'a Inputs<'a>,
    membership: &'a Membership<'a>,
    gates: &'a Gates<'a>,
    stock: Vec<OnceCell<Stock<'a>>>,
    candidates: Vec<OnceCell<bool>>,
}

/// The units of one subsystem that serve.
struct Stock<'a> {
    /// By zone, by name.
    zones: Vec<(&'a ZoneName, u128)>,
    total: u128,
    /// By zone of the fleet, its place in `zones`.
    places: Vec<Option<usize>>,
}

impl<'a> Ground<'a> {
    pub(crate) fn new(inputs: &'a Inputs<'a>, membership: &'a Membership<'a>, gates: &'a Gates<'a>) -> Self {
        let stock = membership.subsystems().iter().map(|_| OnceCell::new()).collect();
        let candidates = inputs.snapshot.hosts().map(|_| OnceCell::new()).collect();
        Self { inputs, membership, gates, stock, candidates }
    }

    fn is_candidate(&self, host: usize) -> bool {
        let look = || obstacles_of(self.inputs, self.membership, host, Stage::Grant).is_empty();
        *self.candidates[host].get_or_init(look)
    }

    fn stock(&self, subsystem: usize) -> Result<&Stock<'a>, AssessError> {
        let cell = &self.stock[subsystem];
        if let Some(stock) = cell.get() {
            return Ok(stock);
        }
        let stock = Stock::of(self.inputs, self.membership, subsystem)?;
        Ok(cell.get_or_init(|| stock))
    }
}

impl<'a> Stock<'a> {
    fn of(inputs: &Inputs<'_>, membership: &Membership<'a>, subsystem: usize) -> Result<Self, AssessError> {
        let mut zones: Vec<(&ZoneName, u128)> =
            zones(membership, subsystem)?.into_iter().map(|zone| (zone, 0)).collect();
        let place = |zone: &&ZoneName| zones.binary_search_by(|(name, _)| name.cmp(zone)).ok();
        let places: Vec<Option<usize>> = membership.zones().iter().map(place).collect();
        for &index in membership.members(subsystem) {
            let units = units(membership, subsystem, index)?;
            if is_capacity(inputs, membership.host(index))
                && let Some(place) = places[membership.zone_of(index)]
            {
                zones[place].1 += u128::from(units);
            }
        }
        let total = zones.iter().map(|(_, units)| units).sum();
        Ok(Self { zones, total, places })
    }
}

/// Which candidates there are, and what limits the choice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problem<'a> {
    /// The longest-running first, then by id.
    pub(crate) candidates: Vec<usize>,
    pub(crate) classes: Vec<Class>,
    /// Only rows that taking every candidate would break: the others cannot matter.
    pub(crate) rows: Vec<Row<'a>>,
    /// Units by zone before the choice, one level (subsystem) behind the other: the named one first, then the others
    /// by name. Evenness is judged level by level.
    pub(crate) zones: Vec<u128>,
    /// By place in `zones`.
    pub(crate) level_of: Vec<usize>,
    /// How many levels there are.
    pub(crate) levels: usize,
}

impl<'a> Problem<'a> {
    /// All candidates of a subsystem, and every constraint of every subsystem and group that one of them is in.
    ///
    /// # Errors
    ///
    /// [`AssessError`] where a host of one of these subsystems cannot be weighed or placed.
    pub(crate) fn new(ground: &Ground<'a>, named: usize) -> Result<Self, AssessError> {
        let membership = ground.membership;
        let mut candidates: Vec<usize> =
            membership.members(named).iter().copied().filter(|&h| ground.is_candidate(h)).collect();
        // Hosts are numbered by id.
        candidates.sort_by_cached_key(|&h| (membership.host(h).launched_at, h));
        let mut classes: BTreeMap<Key<'_>, Vec<usize>> = BTreeMap::new();
        for (rank, &index) in candidates.iter().enumerate() {
            classes.entry(Key::of(ground, index)?).or_default().push(rank);
        }
        let mut problem = Self { candidates, ..Self::default() };
        let wanted = Wanted::of(&classes);
        let ordered = std::iter::once(named).chain(wanted.subsystems.keys().copied().filter(|&s| s != named));
        let mut books: BTreeMap<usize, Book<'_, '_>> = BTreeMap::new();
        for subsystem in ordered {
            if let Some(wanted) = wanted.subsystems.get(&subsystem) {
                books.insert(subsystem, Book::open(ground, subsystem, wanted, &mut problem)?);
            }
        }
        let groups = problem.group_rows(ground, &wanted.groups);
        for (key, ranks) in classes {
            let mut class = Class {
                ranks,
                serving: key.serving,
                others: key.units.iter().filter(|(s, _)| *s != named).count() as u64,
                closed: key.units.iter().any(|(s, _)| ground.gates.is_closed(*s)),
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

    /// The same with classes taken together that take the same from every row: for how many can go, not for which.
    pub(crate) fn merged(mut self) -> Self {
        let mut known: HashMap<_, usize, RandomState> = HashMap::default();
        for mut class in std::mem::take(&mut self.classes) {
            class.takes.sort_unstable();
            let place = *known.entry((class.closed, class.takes.clone())).or_insert(self.classes.len());
            match self.classes.get_mut(place) {
                Some(merged) => merged.ranks.append(&mut class.ranks),
                // Hosts of different zones are in it: evenness is not for it to say.
                None => self.classes.push(Class { zones: Vec::new(), ..class }),
            }
        }
        self.classes.iter_mut().for_each(|class| class.ranks.sort_unstable());
        self
    }

    /// A row, unless all that is wanted of it may be taken.
    fn row(&mut self, names: Names<'a>, bound: u128, wanted: u128) -> Option<usize> {
        if wanted <= bound {
            return None;
        }
        self.rows.push(Row { names, bound });
        Some(self.rows.len() - 1)
    }

    /// `group-minimum`: members in service, whether they serve or not.
    fn group_rows(
        &mut self,
        ground: &Ground<'a>,
        wanted: &BTreeMap<&'a GroupName, u128>,
    ) -> BTreeMap<&'a GroupName, usize> {
        let Ground { inputs, membership, .. } = ground;
        let mut rows = BTreeMap::new();
        for (&name, &wanted) in wanted {
            let Some(group) = inputs.snapshot.group(name) else { continue };
            let held = |h: usize| inputs.ledger.claims.contains_key(&membership.host(h).id);
            let members = membership.group_members(name).iter();
            let in_service =
                members.filter(|&&h| membership.host(h).state == HostState::InService && !held(h)).count() as u64;
            let spare = in_service.min(group.desired).saturating_sub(group.min_size);
            let names = Names { rule: Rule::GroupMinimum, subsystem: None, zone: None, group: Some(name) };
            rows.extend(self.row(names, u128::from(spare), wanted).map(|row| (name, row)));
        }
        rows
    }
}

/// What makes two hosts interchangeable.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    serving: bool,
    units: Vec<(usize, u64)>,
    /// Among the fleet's zones.
    zone: usize,
    group: Option<&'a GroupName>,
}

impl<'a> Key<'a> {
    fn of(ground: &Ground<'a>, index: usize) -> Result<Self, AssessError> {
        let membership = ground.membership;
        let host = membership.host(index);
        let weigh = |&s: &usize| Ok((s, units(membership, s, index)?));
        Ok(Self {
            serving: serves(ground.inputs, host),
            units: membership.of(index).iter().map(weigh).collect::<Result<_, AssessError>>()?,
            zone: membership.zone_of(index),
            group: host.group.as_ref(),
        })
    }
}

/// What taking every candidate would take.
#[derive(Default)]
struct Wanted<'a> {
    subsystems: BTreeMap<usize, WantedUnits>,
    /// Hosts.
    groups: BTreeMap<&'a GroupName, u128>,
}

#[derive(Default)]
struct WantedUnits {
    hosts: u128,
    /// Units that serve.
    units: u128,
    /// By zone of the fleet, as far as any was taken.
    zones: Vec<u128>,
}

impl<'a> Wanted<'a> {
    fn of(classes: &BTreeMap<Key<'a>, Vec<usize>>) -> Self {
        let mut wanted = Self::default();
        for (key, ranks) in classes {
            let hosts = ranks.len() as u128;
            for &(subsystem, units) in &key.units {
                let of = wanted.subsystems.entry(subsystem).or_default();
                of.hosts += hosts;
                if key.serving {
                    of.take(key.zone, hosts * u128::from(units));
                }
            }
            if let Some(group) = key.group {
                *wanted.groups.entry(group).or_default() += hosts;
            }
        }
        wanted
    }
}

impl WantedUnits {
    fn take(&mut self, zone: usize, units: u128) {
        self.units += units;
        if self.zones.len() <= zone {
            self.zones.resize(zone + 1, 0);
        }
        self.zones[zone] += units;
    }

    /// By place in the stock's zones.
    fn by_place(&self, stock: &Stock<'_>) -> Vec<u128> {
        let mut by_place = vec![0; stock.zones.len()];
        for (&units, place) in self.zones.iter().zip(&stock.places) {
            if let Some(place) = *place {
                by_place[place] += units;
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
    /// Hosts, serving or not.
    size: Option<usize>,
    /// Units that serve.
    minimum: Option<usize>,
    /// By place in `stock.zones`: the zone's own row.
    zones: Vec<Option<usize>>,
    /// By place in `stock.zones`: charged by every zone but this one.
    losses: Vec<Option<usize>>,
}

impl<'g, 'a> Book<'g, 'a> {
    fn open(
        ground: &'g Ground<'a>,
        subsystem: usize,
        wanted: &WantedUnits,
        problem: &mut Problem<'a>,
    ) -> Result<Self, AssessError> {
        let policy = ground.membership.subsystem(subsystem);
        let capacity = &policy.capacity;
        let stock = ground.stock(subsystem)?;
        let minimum = u128::from(capacity.minimum);
        let most = policy.pace.budgets.iter().map(|b| b.hosts).chain([policy.pace.max_hosts_per_run]).min();
        let names = |rule, zone| Names::of(rule, &policy.name, zone);
        let size = problem.row(names(Rule::RunSize, None), u128::from(most.unwrap_or(0)), wanted.hosts);
        let per_zone = capacity.minimum_per_zone.map(|m| u128::from(m.units(capacity.baseline, stock.zones.len())));
        let spare = stock.total.saturating_sub(minimum);
        let minimum_row = problem.row(names(Rule::Minimum, None), spare, wanted.units);
        let (mut own, mut losses) = (Vec::new(), Vec::new());
        for (&(zone, units), here) in stock.zones.iter().zip(wanted.by_place(stock)) {
            own.push(per_zone.and_then(|least| {
                problem.row(names(Rule::ZoneMinimum, Some(zone)), units.saturating_sub(least), here)
            }));
            let rest = (stock.total - units).saturating_sub(minimum);
            let lost = || problem.row(names(Rule::ZoneLoss, Some(zone)), rest, wanted.units - here);
            losses.push(capacity.survive_zone_loss.then(lost).flatten());
        }
        let (level, first) = (problem.levels, problem.zones.len());
        problem.zones.extend(stock.zones.iter().map(|(_, units)| *units));
        problem.level_of.resize(problem.zones.len(), level);
        problem.levels += 1;
        Ok(Self { stock, level, first, size, minimum: minimum_row, zones: own, losses })
    }

    fn charge(&self, zone: usize, units: u64, class: &mut Class) {
        class.takes.extend(self.size.map(|row| (row, 1)));
        if !class.serving {
            return;
        }
        class.takes.extend(self.minimum.map(|row| (row, units)));
        let own = self.stock.places[zone];
        if let Some(place) = own {
            class.takes.extend(self.zones[place].map(|row| (row, units)));
            class.zones.push((self.level, self.first + place, units));
        }
        let losses = self.losses.iter().enumerate().filter(|(place, _)| Some(*place) != own);
        class.takes.extend(losses.filter_map(|(_, row)| row.map(|row| (row, units))));
    }
}
