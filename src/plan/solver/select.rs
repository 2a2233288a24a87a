//! Which hosts: the largest count that may go, and the choice of a count that the contract prefers.
//!
//! [`Selector`] answers both for one named subsystem. The maximum and "can N go?" are exact ([`super::search`]).
//! The preference is lexicographic ([`Standing`]): hosts that are idle; then the fewest other subsystems in all;
//! then evenness, level by level; then age and id. It is found exactly where all choices can be looked at
//! ([`WAYS`]); beyond that the first two levels are optimal, and the levels after them are at a choice that no
//! exchange of one host for another improves, which is the optimum where hosts weigh alike and one subsystem's
//! zones are the only thing in the way.

use std::cell::Cell;
use std::collections::BTreeSet;

use super::choice::{Choice, Standing};
use super::columns::Exactly;
use super::problem::{Problem, clipped, fitting, is_feasible};
use super::search::{Found, Reach, best, reaches, tight};

/// Choices of counts per class that are all looked at. Some thousand take milliseconds.
const WAYS: u64 = 5_000;

/// The candidates of one subsystem, ready to be asked.
pub(crate) struct Selector<'a> {
    problem: &'a Problem,
    /// What may be taken from each row; no limit where it is lifted.
    bounds: Vec<u128>,
    /// Hosts per class that may be chosen: none of a closed one, where gates count.
    most: Vec<u64>,
    /// Choices that are all looked at, at most.
    pub(crate) ways: u64,
}

/// The largest count that may go.
#[derive(Clone, Debug)]
pub(crate) struct Maximum {
    counts: Vec<u64>,
    /// How many hosts.
    pub(crate) hosts: u64,
    /// More is impossible; otherwise "at least".
    pub(crate) proved: bool,
    /// Rows that by themselves make more impossible, where they came with the proof.
    tight: Option<Vec<usize>>,
}

impl Maximum {
    /// Rows that by themselves make so many hosts impossible, where they came with the proof.
    pub(crate) fn excluding(&self, count: u64) -> Option<&[usize]> {
        self.tight.as_deref().filter(|_| self.proved && self.hosts < count)
    }
}

impl<'a> Selector<'a> {
    /// With `gated`, hosts of subsystems that are closed at this moment are left out.
    pub(crate) fn new(problem: &'a Problem, gated: bool) -> Self {
        let most = problem
            .classes
            .iter()
            .map(|class| if gated && class.closed { 0 } else { class.ranks.len() as u64 })
            .collect();
        Self { problem, bounds: problem.rows.iter().map(|row| row.bound).collect(), most, ways: WAYS }
    }

    /// The same with all rows lifted that are not kept.
    pub(crate) fn keeping(&self, keep: impl Fn(usize) -> bool) -> Self {
        self.bounded(|row, bound| if keep(row) { bound } else { u128::MAX })
    }

    /// The same with other bounds, each from the row and its own.
    pub(crate) fn bounded(&self, bound: impl Fn(usize, u128) -> u128) -> Self {
        let bounds = self.bounds.iter().enumerate();
        Self {
            problem: self.problem,
            bounds: bounds.map(|(row, &is)| bound(row, is)).collect(),
            most: self.most.clone(),
            ways: self.ways,
        }
    }

    /// How many candidates there are.
    pub(crate) fn candidates(&self) -> u64 {
        self.most.iter().sum()
    }

    /// The most hosts that may go together.
    pub(crate) fn maximum(&self) -> Maximum {
        let value = vec![1; self.most.len()];
        let nothing = vec![0; self.most.len()];
        let Found { counts, proved, tight } = best(self.problem, &self.bounds, &self.most, &value, &[], nothing);
        let found = Maximum { hosts: counts.iter().sum(), counts, proved, tight };
        if proved {
            return found;
        }
        // Where the search gave up, the preferred hosts may still be more than it found.
        let counts = self.fill(u64::MAX).counts;
        let hosts: u64 = counts.iter().sum();
        if hosts <= found.hosts {
            return found;
        }
        Maximum { counts, hosts, proved: hosts == self.ceiling(), tight: None }
    }

    /// Whether so many hosts may go together, and a choice of at least so many that may; unknown where neither was shown
    /// before `nodes`, relaxations that count down, came to nothing.
    pub(crate) fn reach(&self, count: u64, nodes: &Cell<usize>) -> Reach<Maximum> {
        if self.ceiling() < count {
            return Reach::Impossible;
        }
        let choice = |counts: Vec<u64>| Maximum { hosts: counts.iter().sum(), counts, proved: false, tight: None };
        match reaches(self.problem, &self.bounds, &self.most, count, nodes) {
            Reach::Found(counts) => Reach::Found(choice(counts)),
            Reach::Impossible => Reach::Impossible,
            Reach::Unknown => {
                let filled = choice(self.fill(count).counts);
                if filled.hosts == count { Reach::Found(filled) } else { Reach::Unknown }
            }
        }
    }

    /// The rows that a first look finds in the way; empty where it finds none, which proves nothing.
    pub(crate) fn in_the_way(&self) -> Vec<usize> {
        tight(self.problem, &self.bounds, &self.most)
    }

    /// A maximum of another selector and one host more, the first that fits here; `None` where none does.
    pub(crate) fn one_more(&self, maximum: &Maximum) -> Option<Maximum> {
        let mut choice = Choice::new(self.problem, &self.bounds);
        for (class, &count) in maximum.counts.iter().enumerate() {
            for _ in 0..count {
                if !choice.fits(class) {
                    return None;
                }
                choice.take(class);
            }
        }
        let fits = |class: &usize| choice.counts[*class] < self.most[*class] && choice.fits(*class);
        let class = self.by_first_levels().into_iter().find(fits)?;
        choice.take(class);
        Some(Maximum { counts: choice.counts, hosts: maximum.hosts + 1, proved: false, tight: None })
    }

    /// The preferred choice of exactly so many hosts, at most the maximum.
    pub(crate) fn choose(&self, count: u64, maximum: &Maximum) -> BTreeSet<usize> {
        let choice = self.start(count, maximum);
        if self.ways(count) <= self.ways {
            return self.expand(&self.enumerate(count, choice));
        }
        let choice = self.exchange(choice);
        if choice.first_levels() == self.ideal(count) {
            return self.expand(&choice);
        }
        self.expand(&self.exchange(self.linear(count, choice.counts)))
    }

    /// Some choice of exactly so many hosts, at most the maximum: for numbers to show, not for a plan.
    pub(crate) fn any(&self, count: u64, maximum: &Maximum) -> BTreeSet<usize> {
        self.expand(&self.of(&self.trimmed(maximum.counts.clone(), count)))
    }

    /// The preferred hosts first; where that leads into a corner, the maximum less what is too much.
    fn start(&self, count: u64, maximum: &Maximum) -> Choice<'a> {
        let choice = self.fill(count);
        if choice.counts.iter().sum::<u64>() < count {
            return self.of(&self.trimmed(maximum.counts.clone(), count));
        }
        choice
    }

    /// The choice that the preferences would make if nothing stood in the way; all candidates where there are
    /// fewer.
    pub(crate) fn wish(&self, count: u64) -> BTreeSet<usize> {
        let free = self.keeping(|_| false);
        let count = count.min(free.candidates());
        let maximum = free.maximum();
        free.choose(count, &maximum)
    }

    /// An upper bound of the maximum: no row alone lets more go, of what each class alone lets go.
    fn ceiling(&self) -> u64 {
        let most = clipped(self.problem, &self.bounds, &self.most);
        let all = most.iter().sum();
        self.ceilings_of(&most).into_iter().min().unwrap_or(all)
    }

    /// The most hosts that each row lets go, were it the only one.
    pub(crate) fn ceilings(&self) -> Vec<u64> {
        self.ceilings_of(&self.most)
    }

    fn ceilings_of(&self, most: &[u64]) -> Vec<u64> {
        let all: u64 = most.iter().sum();
        let mut by_row: Vec<Vec<(u64, u64)>> = vec![Vec::new(); self.bounds.len()];
        for (class, &most) in self.problem.classes.iter().zip(most) {
            for &(row, units) in &class.takes {
                by_row[row].push((units, most));
            }
        }
        let under = |(mut takes, &bound): (Vec<(u64, u64)>, &u128)| {
            takes.sort_unstable();
            let mut left = bound;
            let mut refused = 0;
            for (units, most) in takes {
                let fit = fitting(left, units).min(most);
                left -= u128::from(units) * u128::from(fit);
                refused += most - fit;
            }
            all - refused
        };
        by_row.into_iter().zip(&self.bounds).map(under).collect()
    }

    /// The first two levels of the preference, were there no rows: no choice of so many stands better in them.
    fn ideal(&self, count: u64) -> (u64, u128) {
        let (mut left, mut busy, mut others) = (count, 0, 0);
        for class in self.by_first_levels() {
            let take = left.min(self.most[class]);
            let of = &self.problem.classes[class];
            left -= take;
            busy += if of.busy { take } else { 0 };
            others += u128::from(of.others) * u128::from(take);
        }
        (busy, others)
    }

    /// Classes that have hosts to choose, the preferred first as far as that is settled beforehand.
    fn by_first_levels(&self) -> Vec<usize> {
        let mut classes: Vec<usize> = (0..self.most.len()).filter(|&c| self.most[c] > 0).collect();
        classes.sort_by_key(|&c| self.first_levels(c));
        classes
    }

    fn first_levels(&self, class: usize) -> (bool, u64) {
        (self.problem.classes[class].busy, self.problem.classes[class].others)
    }

    /// One host after the other, each the best that still fits.
    fn fill(&self, count: u64) -> Choice<'a> {
        let mut choice = Choice::new(self.problem, &self.bounds);
        let mut hosts = 0;
        // What does not fit now never will; and no class is preferred to one of an earlier group.
        for group in self.by_first_levels().chunk_by(|&a, &b| self.first_levels(a) == self.first_levels(b)) {
            let mut open = group.to_vec();
            while hosts < count {
                open.retain(|&c| choice.counts[c] < self.most[c] && choice.fits(c));
                let preferred = open.iter().copied().min_by(|&a, &b| choice.compare(a, b).then(a.cmp(&b)));
                let Some(class) = preferred else { break };
                choice.take(class);
                hosts += 1;
            }
        }
        choice
    }

    /// Takes the least preferred hosts out again until `count` are left. Every part of a feasible choice is.
    fn trimmed(&self, mut counts: Vec<u64>, count: u64) -> Vec<u64> {
        let mut hosts: u64 = counts.iter().sum();
        let mut order: Vec<usize> = (0..counts.len()).collect();
        order.sort_by_key(|&c| self.first_levels(c));
        while let Some(class) = order.pop() {
            let excess = hosts.saturating_sub(count).min(counts[class]);
            counts[class] -= excess;
            hosts -= excess;
        }
        counts
    }

    /// The choice of these counts.
    fn of(&self, counts: &[u64]) -> Choice<'a> {
        let mut choice = Choice::new(self.problem, &self.bounds);
        for (class, &count) in counts.iter().enumerate() {
            for _ in 0..count {
                choice.take(class);
            }
        }
        choice
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
    fn enumerate(&self, count: u64, start: Choice<'a>) -> Choice<'a> {
        let order = self.by_first_levels();
        let mut supply = vec![0_u64; order.len() + 1];
        for (place, &class) in order.iter().enumerate().rev() {
            supply[place] = supply[place + 1].saturating_add(self.most[class]);
        }
        let mut all = Enumeration {
            selector: self,
            order,
            supply,
            best: (start.standing(), start.counts),
            choice: Choice::new(self.problem, &self.bounds),
            first_levels: (0, 0),
        };
        all.from(0, count);
        self.of(&all.best.1)
    }

    /// Makes the first two levels optimal, keeping the choice where it is.
    fn linear(&self, count: u64, start: Vec<u64>) -> Choice<'a> {
        let classes = &self.problem.classes;
        let all = Exactly { classes: (0..classes.len()).collect(), hosts: count };
        let idle: Vec<i64> = classes.iter().map(|class| i64::from(!class.busy)).collect();
        let first = std::slice::from_ref(&all);
        let counts = best(self.problem, &self.bounds, &self.most, &idle, first, start).counts;
        let idle: Vec<usize> = (0..classes.len()).filter(|&c| !classes[c].busy).collect();
        let hosts = idle.iter().map(|&c| counts[c]).sum();
        let others: Vec<i64> = classes.iter().map(|class| -i64::try_from(class.others).unwrap_or(i64::MAX)).collect();
        let both = [all, Exactly { classes: idle, hosts }];
        self.of(&best(self.problem, &self.bounds, &self.most, &others, &both, counts).counts)
    }

    /// Exchanges one host for another as long as that is better.
    fn exchange(&self, mut choice: Choice<'a>) -> Choice<'a> {
        let order = self.by_first_levels();
        // Every exchange improves the standing, so that none comes back; the bound is one on work.
        for _ in 0..WAYS {
            let Some((out, into)) = self.improvement(&order, &mut choice) else { break };
            choice.give_back(out);
            choice.take(into);
        }
        choice
    }

    fn improvement(&self, order: &[usize], choice: &mut Choice<'_>) -> Option<(usize, usize)> {
        let chosen: Vec<usize> = (0..choice.counts.len()).filter(|&c| choice.counts[c] > 0).collect();
        for out in chosen {
            choice.give_back(out);
            let as_good = order.iter().copied().take_while(|&c| self.first_levels(c) <= self.first_levels(out));
            let better = as_good
                .filter(|&c| c != out && choice.counts[c] < self.most[c])
                .filter(|&c| choice.compare(c, out).is_lt() && choice.fits(c))
                .min_by(|&a, &b| choice.compare(a, b).then(a.cmp(&b)));
            choice.take(out);
            if let Some(into) = better {
                return Some((out, into));
            }
        }
        None
    }

    fn expand(&self, choice: &Choice<'_>) -> BTreeSet<usize> {
        choice.ranks().map(|rank| self.problem.candidates[rank]).collect()
    }
}

/// A walk through all choices of counts per class.
struct Enumeration<'s, 'a> {
    selector: &'s Selector<'a>,
    /// Classes, the preferred first.
    order: Vec<usize>,
    /// Hosts that the class at this place and those after it have.
    supply: Vec<u64>,
    best: (Standing, Vec<u64>),
    choice: Choice<'a>,
    /// Of the choice so far.
    first_levels: (u64, u128),
}

impl Enumeration<'_, '_> {
    fn from(&mut self, place: usize, left: u64) {
        if left == 0 {
            let standing = self.choice.standing();
            let Selector { problem, bounds, most, .. } = self.selector;
            if standing < self.best.0 && is_feasible(problem, bounds, most, &self.choice.counts) {
                self.best = (standing, self.choice.counts.clone());
            }
            return;
        }
        if self.supply[place] < left {
            return;
        }
        let class = self.order[place];
        let (is_busy, others) = self.selector.first_levels(class);
        let each = (u64::from(is_busy), u128::from(others));
        // From the first class that is not idle on, none is better than this one.
        let (busy, others) = self.first_levels;
        let least = if is_busy { u128::from(left) } else { 0 };
        let best = &self.best.0;
        if (busy + each.0 * left, others + each.1 * least) > (best.busy, best.others) {
            return;
        }
        self.from(place + 1, left);
        let mut taken = 0;
        while taken < left.min(self.selector.most[class]) && self.choice.fits(class) {
            self.choice.take(class);
            taken += 1;
            self.first_levels = (busy + each.0 * taken, others + each.1 * u128::from(taken));
            self.from(place + 1, left - taken);
        }
        for _ in 0..taken {
            self.choice.give_back(class);
        }
        self.first_levels = (busy, others);
    }
}
