//! Which hosts: the largest count that may go, and the choice of a count that the contract prefers.
//!
//! [`Selector`] answers both for one named subsystem. The maximum and "can N go?" are exact ([`super::search`]).
//! The preference is lexicographic ([`super::choice`]): hosts that are idle; then the fewest other subsystems in all;
//! then evenness, level by level; then age and id. It is found exactly where all choices can be looked at
//! ([`super::enumeration`]); beyond that the first two levels are optimal, and the levels after them are at a choice
//! that no exchange of one host for another improves, which is the optimum where hosts weigh alike and one subsystem's
//! zones are the only thing in the way.

use std::cell::Cell;
use std::collections::BTreeSet;

use super::choice::Choice;
use super::columns::Exactly;
use super::enumeration::{WAYS, enumerate, ways};
use super::offer::Offer;
use super::problem::Problem;
use super::search::{Found, Reach, best, reaches, tight};

/// The candidates of one subsystem, ready to be asked.
pub(crate) struct Selector<'a> {
    offer: Offer<'a>,
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
        Self { offer: Offer::new(problem, gated), ways: WAYS }
    }

    /// The same with all rows lifted that are not kept.
    pub(crate) fn keeping(&self, keep: impl Fn(usize) -> bool) -> Self {
        self.bounded(|row, bound| if keep(row) { bound } else { u128::MAX })
    }

    /// The same with other bounds, each from the row and its own.
    pub(crate) fn bounded(&self, bound: impl Fn(usize, u128) -> u128) -> Self {
        Self { offer: self.offer.bounded(bound), ways: self.ways }
    }

    /// How many candidates there are.
    pub(crate) fn candidates(&self) -> u64 {
        self.offer.candidates()
    }

    /// The most hosts that each row lets go, were it the only one.
    pub(crate) fn ceilings(&self) -> Vec<u64> {
        self.offer.ceilings()
    }

    /// The most hosts that may go together.
    pub(crate) fn maximum(&self) -> Maximum {
        let Offer { problem, bounds, most } = &self.offer;
        let (value, nothing) = (vec![1; most.len()], vec![0; most.len()]);
        let Found { counts, proved, tight } = best(problem, bounds, most, &value, &[], nothing);
        let found = Maximum { hosts: counts.iter().sum(), counts, proved, tight };
        if proved {
            return found;
        }
        // Where the search gave up, the preferred hosts may still be more than it found.
        let counts = self.offer.fill(u64::MAX).counts;
        let hosts: u64 = counts.iter().sum();
        if hosts <= found.hosts {
            return found;
        }
        Maximum { counts, hosts, proved: hosts == self.offer.ceiling(), tight: None }
    }

    /// Whether so many hosts may go together, and a choice of at least so many that may; unknown where neither was shown
    /// before `nodes`, relaxations that count down, came to nothing.
    pub(crate) fn reach(&self, count: u64, nodes: &Cell<usize>) -> Reach<Maximum> {
        if self.offer.ceiling() < count {
            return Reach::Impossible;
        }
        let choice = |counts: Vec<u64>| Maximum { hosts: counts.iter().sum(), counts, proved: false, tight: None };
        let Offer { problem, bounds, most } = &self.offer;
        match reaches(problem, bounds, most, count, nodes) {
            Reach::Found(counts) => Reach::Found(choice(counts)),
            Reach::Impossible => Reach::Impossible,
            Reach::Unknown => {
                let filled = choice(self.offer.fill(count).counts);
                if filled.hosts == count { Reach::Found(filled) } else { Reach::Unknown }
            }
        }
    }

    /// The rows that a first look finds in the way; empty where it finds none, which proves nothing.
    pub(crate) fn in_the_way(&self) -> Vec<usize> {
        let Offer { problem, bounds, most } = &self.offer;
        tight(problem, bounds, most)
    }

    /// A maximum of another selector and one host more, the first that fits here; `None` where none does.
    pub(crate) fn one_more(&self, maximum: &Maximum) -> Option<Maximum> {
        let mut choice = self.offer.nothing();
        for (class, &count) in maximum.counts.iter().enumerate() {
            for _ in 0..count {
                if !choice.fits(class) {
                    return None;
                }
                choice.take(class);
            }
        }
        let fits = |class: &usize| choice.counts[*class] < self.offer.most[*class] && choice.fits(*class);
        let class = self.offer.by_first_levels().into_iter().find(fits)?;
        choice.take(class);
        Some(Maximum { counts: choice.counts, hosts: maximum.hosts + 1, proved: false, tight: None })
    }

    /// The preferred choice of exactly so many hosts, at most the maximum.
    pub(crate) fn choose(&self, count: u64, maximum: &Maximum) -> BTreeSet<usize> {
        let choice = self.start(count, maximum);
        if ways(&self.offer, count) <= self.ways {
            return self.offer.expand(&enumerate(&self.offer, count, choice));
        }
        let choice = self.exchange(choice);
        if choice.first_levels() == self.offer.ideal(count) {
            return self.offer.expand(&choice);
        }
        self.offer.expand(&self.exchange(self.linear(count, choice.counts)))
    }

    /// Some choice of exactly so many hosts, at most the maximum: for numbers to show, not for a plan.
    pub(crate) fn any(&self, count: u64, maximum: &Maximum) -> BTreeSet<usize> {
        self.offer.expand(&self.offer.of(&self.offer.trimmed(maximum.counts.clone(), count)))
    }

    /// The preferred hosts first; where that leads into a corner, the maximum less what is too much.
    fn start(&self, count: u64, maximum: &Maximum) -> Choice<'a> {
        let choice = self.offer.fill(count);
        if choice.counts.iter().sum::<u64>() < count {
            return self.offer.of(&self.offer.trimmed(maximum.counts.clone(), count));
        }
        choice
    }

    /// The choice that the preferences would make if nothing stood in the way; all candidates where there are
    /// fewer.
    pub(crate) fn unconstrained(&self, count: u64) -> BTreeSet<usize> {
        let free = self.keeping(|_| false);
        let count = count.min(free.candidates());
        let maximum = free.maximum();
        free.choose(count, &maximum)
    }

    /// Makes the first two levels optimal, keeping the choice where it is.
    fn linear(&self, count: u64, start: Vec<u64>) -> Choice<'a> {
        let Offer { problem, bounds, most } = &self.offer;
        let classes = &problem.classes;
        let all = Exactly { classes: (0..classes.len()).collect(), hosts: count };
        let idle: Vec<i64> = classes.iter().map(|class| i64::from(!class.busy)).collect();
        let first = std::slice::from_ref(&all);
        let counts = best(problem, bounds, most, &idle, first, start).counts;
        let idle: Vec<usize> = (0..classes.len()).filter(|&c| !classes[c].busy).collect();
        let hosts = idle.iter().map(|&c| counts[c]).sum();
        let others: Vec<i64> = classes.iter().map(|class| -i64::try_from(class.others).unwrap_or(i64::MAX)).collect();
        let both = [all, Exactly { classes: idle, hosts }];
        self.offer.of(&best(problem, bounds, most, &others, &both, counts).counts)
    }

    /// Exchanges one host for another as long as that is better.
    fn exchange(&self, mut choice: Choice<'a>) -> Choice<'a> {
        let order = self.offer.by_first_levels();
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
            let as_good =
                order.iter().copied().take_while(|&c| self.offer.first_levels(c) <= self.offer.first_levels(out));
            let better = as_good
                .filter(|&c| c != out && choice.counts[c] < self.offer.most[c])
                .filter(|&c| choice.compare(c, out).is_lt() && choice.fits(c))
                .min_by(|&a, &b| choice.compare(a, b).then(a.cmp(&b)));
            choice.take(out);
            if let Some(into) = better {
                return Some((out, into));
            }
        }
        None
    }
}
