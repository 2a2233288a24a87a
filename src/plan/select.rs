//! Which hosts: the largest count that may go, and the choice of a count that the contract prefers.
//!
//! [`Selector`] answers both for one named subsystem. The maximum and "can N go?" are exact ([`super::search`]).
//! The preference is lexicographic ([`Standing`]): hosts that do not serve; then the fewest other subsystems in all;
//! then evenness, level by level; then age and id. It is found exactly where all choices can be looked at
//! ([`WAYS`]); beyond that the first two levels are optimal, and the levels after them are at a choice that no
//! exchange of one host for another improves, which is the optimum where hosts weigh alike and one subsystem's
//! zones are the only thing in the way.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::constraints::Problem;
use super::search::{Exactly, Found, best, is_feasible};

/// Choices of counts per class that are all looked at. Some thousand take milliseconds.
const WAYS: u64 = 5_000;

/// The candidates of one subsystem, ready to be asked.
pub(crate) struct Selector<'a> {
    problem: &'a Problem,
    /// Hosts per class that may be chosen: none of a closed one, where gates count.
    most: Vec<u64>,
    /// Choices that are all looked at, at most.
    pub(super) ways: u64,
}

/// The largest count that may go.
#[derive(Clone, Debug)]
pub(crate) struct Maximum {
    counts: Vec<u64>,
    /// How many hosts.
    pub(crate) hosts: u64,
    /// More is impossible; otherwise "at least".
    pub(crate) proved: bool,
}

/// How well a choice stands: smaller is preferred.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Standing {
    serving: u64,
    others: u128,
    /// Sum of squares of remaining units per zone, by level.
    unevenness: Vec<u128>,
    /// Places in the order of age and id, ascending.
    ranks: Vec<usize>,
}

impl<'a> Selector<'a> {
    /// With `gated`, hosts of subsystems that are closed at this moment are left out.
    pub(crate) fn new(problem: &'a Problem, gated: bool) -> Self {
        let most = problem
            .classes
            .iter()
            .map(|class| if gated && class.closed { 0 } else { class.hosts.len() as u64 })
            .collect();
        Self { problem, most, ways: WAYS }
    }

    /// How many candidates there are.
    pub(crate) fn candidates(&self) -> u64 {
        self.most.iter().sum()
    }

    /// The most hosts that may go together.
    pub(crate) fn maximum(&self) -> Maximum {
        let counts = self.fill(u64::MAX);
        let hosts: u64 = counts.iter().sum();
        if hosts == self.ceiling() {
            return Maximum { counts, hosts, proved: true };
        }
        let value = vec![1; self.most.len()];
        let Found { counts, proved } = best(self.problem, &self.most, &value, &[], counts);
        Maximum { hosts: counts.iter().sum(), counts, proved }
    }

    /// The preferred choice of exactly so many hosts, at most the maximum.
    pub(crate) fn choose(&self, count: u64, maximum: &Maximum) -> BTreeSet<usize> {
        let mut counts = self.fill(count);
        if counts.iter().sum::<u64>() < count {
            // Taking the preferred hosts first led into a corner: start from the maximum, less what is too much.
            counts = self.trimmed(maximum.counts.clone(), count);
        }
        if self.ways(count) <= self.ways {
            return self.expand(&self.enumerate(count, counts));
        }
        let counts = self.exchange(self.linear(count, self.exchange(counts)));
        self.expand(&counts)
    }

    /// The choice that the preferences would make if nothing stood in the way; all candidates where there are
    /// fewer.
    pub(crate) fn wish(&self, count: u64) -> BTreeSet<usize> {
        let mut free = self.problem.clone();
        free.rows.iter_mut().for_each(|row| row.bound = u128::MAX);
        let selector = Selector { problem: &free, most: self.most.clone(), ways: self.ways };
        let count = count.min(self.candidates());
        let maximum = selector.maximum();
        selector.choose(count, &maximum)
    }

    /// An upper bound of the maximum: no row alone lets more go.
    fn ceiling(&self) -> u64 {
        self.ceilings().into_iter().min().unwrap_or_else(|| self.candidates())
    }

    /// The most hosts that each row lets go, were it the only one.
    pub(super) fn ceilings(&self) -> Vec<u64> {
        let all = self.candidates();
        let mut by_row: Vec<Vec<(u64, u64)>> = vec![Vec::new(); self.problem.rows.len()];
        for (class, &most) in self.problem.classes.iter().zip(&self.most) {
            for &(row, units) in &class.takes {
                by_row[row].push((units, most));
            }
        }
        let under = |(row, mut takes): (usize, Vec<(u64, u64)>)| {
            takes.sort_unstable();
            let mut left = self.problem.rows[row].bound;
            let mut refused = 0;
            for (units, most) in takes {
                let fit = u64::try_from(left / u128::from(units.max(1))).unwrap_or(u64::MAX).min(most);
                left -= u128::from(units) * u128::from(fit);
                refused += most - fit;
            }
            all - refused
        };
        by_row.into_iter().enumerate().map(under).collect()
    }

    /// One host after the other, each the best that still fits.
    fn fill(&self, count: u64) -> Vec<u64> {
        let mut draft = Draft::new(self.problem);
        let mut hosts = 0;
        while hosts < count {
            let fitting = (0..self.most.len()).filter(|&c| draft.counts[c] < self.most[c] && draft.fits(c));
            let Some((_, class)) = fitting.map(|c| (draft.cost(c), c)).min() else { break };
            draft.take(class);
            hosts += 1;
        }
        draft.counts
    }

    /// Takes the least preferred hosts out again until `count` are left. Every part of a feasible choice is.
    fn trimmed(&self, mut counts: Vec<u64>, count: u64) -> Vec<u64> {
        let mut hosts: u64 = counts.iter().sum();
        let mut order: Vec<usize> = (0..counts.len()).collect();
        order.sort_by_key(|&c| (self.problem.classes[c].serving, self.problem.classes[c].others));
        while let Some(class) = order.pop() {
            let excess = hosts.saturating_sub(count).min(counts[class]);
            counts[class] -= excess;
            hosts -= excess;
        }
        counts
    }

    /// How many ways there are to choose so many hosts, rows aside; more than [`WAYS`] is only "more".
    fn ways(&self, count: u64) -> u64 {
        let Some(size) = usize::try_from(count).ok().filter(|&n| n as u64 <= WAYS) else { return u64::MAX };
        let mut ways = vec![0_u64; size + 1];
        ways[0] = 1;
        let mut classes = 0_u64;
        for &most in self.most.iter().filter(|&&most| most > 0) {
            // The table itself must stay cheap as well.
            classes += 1;
            if classes.saturating_mul(count) > WAYS {
                return u64::MAX;
            }
            let most = usize::try_from(most).unwrap_or(usize::MAX).min(size);
            let mut next = vec![0_u64; size + 1];
            let mut sum = 0_u64;
            for n in 0..=size {
                sum = sum.saturating_add(ways[n]);
                if n > most {
                    sum = sum.saturating_sub(ways[n - most - 1]);
                }
                next[n] = sum;
            }
            if next.iter().any(|&n| n > WAYS.saturating_mul(1000)) {
                return u64::MAX;
            }
            ways = next;
        }
        ways[size]
    }

    /// The best of all choices.
    fn enumerate(&self, count: u64, start: Vec<u64>) -> Vec<u64> {
        let mut supply = vec![0_u64; self.most.len() + 1];
        for class in (0..self.most.len()).rev() {
            supply[class] = supply[class + 1].saturating_add(self.most[class]);
        }
        let mut all = Enumeration {
            selector: self,
            supply,
            best: (self.standing(&start), start),
            draft: Draft::new(self.problem),
        };
        all.from(0, count);
        all.best.1
    }

    /// Makes the first two levels optimal, keeping the choice where it is.
    fn linear(&self, count: u64, start: Vec<u64>) -> Vec<u64> {
        let classes = &self.problem.classes;
        let all = Exactly { classes: (0..classes.len()).collect(), hosts: count };
        let idle: Vec<i64> = classes.iter().map(|class| i64::from(!class.serving)).collect();
        let counts = best(self.problem, &self.most, &idle, std::slice::from_ref(&all), start).counts;
        let idle: Vec<usize> = (0..classes.len()).filter(|&c| !classes[c].serving).collect();
        let hosts = idle.iter().map(|&c| counts[c]).sum();
        let others: Vec<i64> = classes.iter().map(|class| -i64::try_from(class.others).unwrap_or(i64::MAX)).collect();
        best(self.problem, &self.most, &others, &[all, Exactly { classes: idle, hosts }], counts).counts
    }

    /// Exchanges one host for another as long as that is better.
    fn exchange(&self, counts: Vec<u64>) -> Vec<u64> {
        let mut draft = Draft::new(self.problem);
        for (class, &count) in counts.iter().enumerate() {
            for _ in 0..count {
                draft.take(class);
            }
        }
        // Every exchange improves the standing, so that none comes back; the bound is one on work.
        for _ in 0..WAYS {
            let Some((out, into)) = self.improvement(&mut draft) else { break };
            draft.give_back(out);
            draft.take(into);
        }
        draft.counts
    }

    fn improvement(&self, draft: &mut Draft<'_>) -> Option<(usize, usize)> {
        let chosen: Vec<usize> = (0..draft.counts.len()).filter(|&c| draft.counts[c] > 0).collect();
        for out in chosen {
            draft.give_back(out);
            let cost = draft.cost(out);
            let better = (0..self.most.len())
                .filter(|&c| c != out && draft.counts[c] < self.most[c] && draft.fits(c))
                .map(|c| (draft.cost(c), c))
                .filter(|(other, _)| *other < cost)
                .min();
            draft.take(out);
            if let Some((_, into)) = better {
                return Some((out, into));
            }
        }
        None
    }

    fn first_levels(&self, counts: &[u64]) -> (u64, u128) {
        let chosen = || self.problem.classes.iter().zip(counts);
        let serving = chosen().filter(|(class, _)| class.serving).map(|(_, &count)| count).sum();
        (serving, chosen().map(|(class, &count)| u128::from(class.others) * u128::from(count)).sum())
    }

    fn standing(&self, counts: &[u64]) -> Standing {
        let (serving, others) = self.first_levels(counts);
        let mut zones = self.problem.levels.clone();
        for (class, &count) in self.problem.classes.iter().zip(counts) {
            for &(level, place, units) in &class.zones {
                let taken = u128::from(units).saturating_mul(u128::from(count));
                zones[level][place] = zones[level][place].saturating_sub(taken);
            }
        }
        let squares = |level: Vec<u128>| level.into_iter().map(|r| r.saturating_mul(r)).fold(0, u128::saturating_add);
        let mut ranks: Vec<usize> = self.expand(counts).iter().map(|h| self.problem.rank[h]).collect();
        ranks.sort_unstable();
        Standing { serving, others, unevenness: zones.into_iter().map(squares).collect(), ranks }
    }

    /// The longest-running hosts of each class.
    fn expand(&self, counts: &[u64]) -> BTreeSet<usize> {
        let chosen = self.problem.classes.iter().zip(counts);
        chosen
            .flat_map(|(class, &n)| class.hosts.iter().take(usize::try_from(n).unwrap_or(usize::MAX)))
            .copied()
            .collect()
    }
}

/// A walk through all choices of counts per class.
struct Enumeration<'s> {
    selector: &'s Selector<'s>,
    /// Hosts that this class and those after it have.
    supply: Vec<u64>,
    best: (Standing, Vec<u64>),
    draft: Draft<'s>,
}

impl Enumeration<'_> {
    fn from(&mut self, class: usize, left: u64) {
        if left == 0 {
            let (serving, others) = self.selector.first_levels(&self.draft.counts);
            if (serving, others) > (self.best.0.serving, self.best.0.others) {
                return;
            }
            let standing = self.selector.standing(&self.draft.counts);
            if standing < self.best.0 && is_feasible(self.selector.problem, &self.selector.most, &self.draft.counts) {
                self.best = (standing, self.draft.counts.clone());
            }
            return;
        }
        if self.supply[class] < left {
            return;
        }
        self.from(class + 1, left);
        let mut taken = 0;
        while taken < left.min(self.selector.most[class]) && self.draft.fits(class) {
            self.draft.take(class);
            taken += 1;
            self.from(class + 1, left - taken);
        }
        for _ in 0..taken {
            self.draft.give_back(class);
        }
    }
}

/// A choice in the making, with what is left of every row and zone.
struct Draft<'a> {
    problem: &'a Problem,
    counts: Vec<u64>,
    rows: Vec<u128>,
    zones: Vec<Vec<u128>>,
}

/// Comes after every level.
const NO_LEVEL: (usize, Reverse<u128>) = (usize::MAX, Reverse(0));

/// What one more host of a class costs: smaller is preferred.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    serving: bool,
    others: u64,
    /// How far each level's sum of squares sinks, first level first; closed by [`NO_LEVEL`], so that sinking a
    /// further level is better than not.
    sinks: Vec<(usize, Reverse<u128>)>,
    rank: usize,
}

impl<'a> Draft<'a> {
    fn new(problem: &'a Problem) -> Self {
        Self {
            problem,
            counts: vec![0; problem.classes.len()],
            rows: problem.rows.iter().map(|row| row.bound).collect(),
            zones: problem.levels.clone(),
        }
    }

    fn fits(&self, class: usize) -> bool {
        self.problem.classes[class].takes.iter().all(|&(row, units)| self.rows[row] >= u128::from(units))
    }

    fn take(&mut self, class: usize) {
        let problem = self.problem;
        for &(row, units) in &problem.classes[class].takes {
            self.rows[row] -= u128::from(units);
        }
        for &(level, place, units) in &problem.classes[class].zones {
            self.zones[level][place] -= u128::from(units);
        }
        self.counts[class] += 1;
    }

    fn give_back(&mut self, class: usize) {
        let problem = self.problem;
        for &(row, units) in &problem.classes[class].takes {
            self.rows[row] += u128::from(units);
        }
        for &(level, place, units) in &problem.classes[class].zones {
            self.zones[level][place] += u128::from(units);
        }
        self.counts[class] -= 1;
    }

    fn cost(&self, class: usize) -> Cost {
        let of = &self.problem.classes[class];
        let sink = |&(level, place, units): &(usize, usize, u64)| {
            // r^2 - (r - u)^2 = u * (2r - u)
            let (left, units) = (self.zones[level][place], u128::from(units));
            (level, Reverse(units.saturating_mul(left.saturating_mul(2).saturating_sub(units))))
        };
        let sinks = of.zones.iter().map(sink).chain([NO_LEVEL]).collect();
        let next = usize::try_from(self.counts[class]).ok().and_then(|n| of.hosts.get(n));
        let rank = next.map_or(usize::MAX, |host| self.problem.rank[host]);
        Cost { serving: of.serving, others: of.others, sinks, rank }
    }
}
