//! The rules of contract section 5 as linear constraints over classes of hosts.
//!
//! Hosts that agree in subsystems, units, zone, group and service are interchangeable but for their age, so
//! that [`Problem`] has one whole number per class to choose. Every constraint is a packing row: a sum of
//! non-negative multiples that must not exceed a bound. Zone loss fits, taken zone by zone: "capacity outside
//! this zone stays at or above the minimum". A row that is short already has bound 0 (rule 4: nothing may be
//! taken from it). So choosing nothing is always feasible, and so is every part of a feasible choice.
//!
//! A host that is doubtful ([`super::doubts`]) has no units: it takes nothing from a row, unless the row is short; then
//! it takes 1 of the 0 that there are.
//!
//! Nothing here chooses. [`super::verify`] does the same sums again, from the hosts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

use foldhash::fast::RandomState;

use crate::model::{GroupName, Host, HostState, SubsystemName, ZoneName};
use crate::policy::SubsystemPolicy;

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
    /// Whether they serve: only then have they units to take.
    pub(crate) serving: bool,
    /// Whether they serve or may do so: it is not established that they are idle.
    pub(crate) busy: bool,
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
    /// It is short already: nothing of doubt may be taken from it either.
    pub(crate) is_short: bool,
}

/// What a rule leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Units, or hosts.
    pub(crate) units: u128,
    /// There is less than the rule asks for.
    pub(crate) is_short: bool,
}

impl Room {
    /// Above the least that must stay.
    pub(crate) fn above(least: u128, is: u128) -> Self {
        Self { units: is.saturating_sub(least), is_short: is < least }
    }

    /// A limit on what may be taken, whatever there is.
    pub(crate) fn of(units: u128) -> Self {
        Self { units, is_short: false }
    }
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
    stock: Vec<OnceLock<Stock<'a>>>,
    candidates: Vec<OnceLock<bool>>,
    /// By group, how many hosts its provider lets go; `None` of a group that the provider does not list.
    spare: Vec<OnceLock<Option<u64>>>,
}

/// The units of one subsystem that serve.
struct Stock<'a> {
    /// By zone, by name.
    zones: Vec<(&'a ZoneName, u128)>,
    /// By zone of the fleet, its place in `zones`.
    places: Vec<Option<usize>>,
    /// What the subsystem's policy lets go.
    spare: Spare,
}

/// What the rules of one subsystem let go.
struct Spare {
    /// Hosts, serving or not.
    hosts: Room,
    /// Units that serve.
    units: Room,
    /// By place in the stock's zones, units of the zone; empty where no zone has a minimum of its own.
    zones: Vec<Room>,
    /// By place in the stock's zones, units of all others; empty where the loss of one need not be survived.
    losses: Vec<Room>,
    /// Nothing that takes at most so many units is in the way of any of these.
    free: u128,
    /// Any of these is short.
    is_short: bool,
}

impl<'a> Ground<'a> {
    pub(crate) fn new(inputs: &'a Inputs<'a>, membership: &'a Membership<'a>, gates: &'a Gates<'a>) -> Self {
        let stock = membership.subsystems().iter().map(|_| OnceLock::new()).collect();
        let candidates = inputs.snapshot.hosts().map(|_| OnceLock::new()).collect();
        let spare = membership.groups().iter().map(|_| OnceLock::new()).collect();
        Self { inputs, membership, gates, stock, candidates, spare }
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

    fn spare(&self, group: usize) -> Option<u64> {
        let count = || {
            let name = self.membership.groups()[group];
            let group = self.inputs.snapshot.group(name)?;
            let members = self.membership.group_members(name).iter().map(|&h| self.membership.host(h));
            let is_held = |host: &Host| self.inputs.ledger.claims.contains_key(&host.id);
            let in_service = members.filter(|h| h.state == HostState::InService && !is_held(h)).count() as u64;
            Some(in_service.min(group.desired).saturating_sub(group.min_size))
        };
        *self.spare[group].get_or_init(count)
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
        let spare = Spare::of(membership.subsystem(subsystem), &zones);
        Ok(Self { zones, places, spare })
    }
}

impl Spare {
    fn of(policy: &SubsystemPolicy, zones: &[(&ZoneName, u128)]) -> Self {
        let SubsystemPolicy { capacity, pace, .. } = policy;
        let minimum = u128::from(capacity.minimum);
        let total: u128 = zones.iter().map(|(_, units)| units).sum();
        let units = Room::above(minimum, total);
        let per_zone = capacity.minimum_per_zone.map(|m| u128::from(m.units(capacity.baseline, zones.len())));
        let own = |least: u128| zones.iter().map(|&(_, units)| Room::above(least, units)).collect();
        let losses = zones.iter().map(|(_, units)| Room::above(minimum, total - units));
        let (own, losses): (Vec<Room>, Vec<Room>) = (
            per_zone.map_or_else(Vec::new, own),
            if capacity.survive_zone_loss { losses.collect() } else { Vec::new() },
        );
        let all = || own.iter().chain(&losses).chain([&units]);
        let free = all().map(|room| room.units).min().unwrap_or(0);
        let is_short = all().any(|room| room.is_short);
        let hosts = pace.budgets.iter().map(|budget| budget.hosts).fold(pace.max_hosts_per_run, u64::min);
        Self { hosts: Room::of(hosts.into()), units, zones: own, losses, free, is_short }
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
        let mut classes: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
        for (rank, &index) in candidates.iter().enumerate() {
            classes.entry(Key::of(ground, index)?).or_default().push(rank);
        }
        let mut problem = Self { candidates, ..Self::default() };
        let wanted = Wanted::of(membership, &classes);
        let (first, others): (Vec<_>, Vec<_>) = wanted.subsystems.iter().copied().partition(|&s| s == named);
        let mut books: Vec<Option<Book<'_, '_>>> = wanted.sums.iter().map(|_| None).collect();
        for subsystem in first.into_iter().chain(others) {
            let book = Book::open(ground, subsystem, wanted.sums[subsystem], &classes, &mut problem)?;
            books[subsystem] = Some(book);
        }
        let groups = problem.group_rows(ground, &wanted.groups);
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
                    book.charge(&problem.rows, key.zone, units, is_doubtful, &mut class);
                }
            }
            if let Some(&row) = key.group.and_then(|group| groups.get(&group)) {
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

    /// The same if these rows were not short: hosts that are doubtful then take nothing from them. `None` where that
    /// changes nothing.
    pub(crate) fn freed(&self, is_freed: impl Fn(usize) -> bool) -> Option<Self> {
        let is_barred = |class: &Class, row: usize| !class.serving && self.rows[row].is_short && is_freed(row);
        if !self.classes.iter().any(|class| class.takes.iter().any(|&(row, _)| is_barred(class, row))) {
            return None;
        }
        let mut freed = self.clone();
        for (class, was) in freed.classes.iter_mut().zip(&self.classes) {
            class.takes.retain(|&(row, _)| !is_barred(was, row));
        }
        Some(freed)
    }

    /// A row, unless all that is wanted of it may be taken.
    fn row(&mut self, names: Names<'a>, room: Room, wanted: Taken) -> Option<usize> {
        let Room { units: bound, is_short } = room;
        if wanted.units <= bound && !(is_short && wanted.doubtful > 0) {
            return None;
        }
        self.rows.push(Row { names, bound, is_short });
        Some(self.rows.len() - 1)
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

/// What makes two hosts interchangeable.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    serving: bool,
    /// Subsystems that they may serve although they are no capacity.
    doubtful: Vec<usize>,
    units: Vec<(usize, u64)>,
    /// Among the fleet's zones.
    zone: usize,
    /// Among the fleet's groups.
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

/// What taking hosts would take of a row.
#[derive(Clone, Copy, Default)]
struct Taken {
    /// Units that serve, or hosts.
    units: u128,
    /// Hosts of which it is not established that they are idle, and which are no capacity.
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
    /// Those that any candidate belongs to, by name.
    subsystems: BTreeSet<usize>,
    /// By subsystem: hosts, and what they are.
    sums: Vec<(u128, Taken)>,
    /// Hosts by group.
    groups: BTreeMap<usize, u128>,
}

impl Wanted {
    fn of(membership: &Membership<'_>, classes: &BTreeMap<Key, Vec<usize>>) -> Self {
        let mut sums = vec![(0, Taken::default()); membership.subsystems().len()];
        let mut groups: BTreeMap<usize, u128> = BTreeMap::new();
        for (key, ranks) in classes {
            let hosts = ranks.len() as u128;
            for &(subsystem, units) in &key.units {
                let (all, taken) = &mut sums[subsystem];
                *all += hosts;
                taken.add(key, subsystem, hosts, units);
            }
            if let Some(group) = key.group {
                *groups.entry(group).or_default() += hosts;
            }
        }
        let subsystems = (0..sums.len()).filter(|&s| sums[s].0 > 0).collect();
        Self { subsystems, sums, groups }
    }
}

/// What taking every candidate would take of one subsystem, by place in its stock's zones.
fn wanted_by_zone(stock: &Stock<'_>, subsystem: usize, classes: &BTreeMap<Key, Vec<usize>>) -> Vec<Taken> {
    let mut by_place = vec![Taken::default(); stock.zones.len()];
    for (key, ranks) in classes.iter().filter(|(key, _)| key.serving || !key.doubtful.is_empty()) {
        if let Some(&(_, units)) = key.units.iter().find(|(of, _)| *of == subsystem)
            && let Some(place) = stock.places[key.zone]
        {
            by_place[place].add(key, subsystem, ranks.len() as u128, units);
        }
    }
    by_place
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
        (hosts, taken): (u128, Taken),
        classes: &BTreeMap<Key, Vec<usize>>,
        problem: &mut Problem<'a>,
    ) -> Result<Self, AssessError> {
        let stock = ground.stock(subsystem)?;
        let spare = &stock.spare;
        let names = |rule, zone| Names::of(rule, &ground.membership.subsystem(subsystem).name, zone);
        let size = problem.row(names(Rule::RunSize, None), spare.hosts, Taken { units: hosts, doubtful: 0 });
        let minimum = problem.row(names(Rule::Minimum, None), spare.units, taken);
        let (mut own, mut losses) = (Vec::new(), Vec::new());
        if taken.units > spare.free || taken.doubtful > 0 && spare.is_short {
            let by_zone = wanted_by_zone(stock, subsystem, classes);
            for (place, (&(zone, _), here)) in stock.zones.iter().zip(by_zone).enumerate() {
                let mut row = |rule, room: Option<&Room>, wanted| {
                    room.and_then(|&room| problem.row(names(rule, Some(zone)), room, wanted))
                };
                own.push(row(Rule::ZoneMinimum, spare.zones.get(place), here));
                losses.push(row(Rule::ZoneLoss, spare.losses.get(place), taken.without(here)));
            }
        }
        let (level, first) = (problem.levels, problem.zones.len());
        problem.zones.extend(stock.zones.iter().map(|(_, units)| *units));
        problem.level_of.resize(problem.zones.len(), level);
        problem.levels += 1;
        Ok(Self { stock, level, first, size, minimum, zones: own, losses })
    }

    fn charge(&self, rows: &[Row<'_>], zone: usize, units: u64, is_doubtful: bool, class: &mut Class) {
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
