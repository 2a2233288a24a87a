//! Which hosts: the largest count that may go, and the choice of a count that the contract prefers.
//!
//! [`Selector`] answers both for one named subsystem. The maximum and "can N go?" are exact ([`super::search`]). The
//! preference is lexicographic ([`super::choice`]): hosts that are idle; then the fewest other subsystems in all; then
//! evenness, level by level; then age and id. The preferred choice is exact if all choices can be enumerated
//! ([`super::enumeration`]). Beyond that, the first two levels are optimal, and the later levels are at a choice that
//! no exchange of one host for another improves; this is the optimum if hosts weigh alike and only the zones of one
//! subsystem limit the choice.

use std::collections::BTreeSet;
use std::time::Duration;

use super::choice::Choice;
use super::columns::Exactly;
use super::effort::Effort;
use super::enumeration::{WAYS, enumerate, ways};
use super::offer::Offer;
use super::problem::Problem;
use super::proof::Proof;
use super::search::{Found, Reach, best, reaches, tight};

/// The effort for each of the first two levels of the preference.
const PREFERENCE: Duration = Duration::from_millis(250);

/// The candidates of one subsystem, ready for questions.
pub(crate) struct Selector<'a> {
    offer: Offer<'a>,
    /// Maximum number of choices that are enumerated.
    pub(crate) ways: u64,
}

/// The largest count that may go.
#[derive(Clone, Debug)]
pub(crate) struct Maximum {
    counts: Vec<u64>,
    /// How many hosts.
    pub(crate) hosts: u64,
    /// Whether it is proved that more is impossible; otherwise the count means "at least".
    pub(crate) proved: bool,
    /// Rows that alone make more impossible, if they came with the proof.
    tight: Option<Vec<usize>>,
}

impl Maximum {
    /// Rows that alone make this many hosts impossible, if they came with the proof.
    pub(crate) fn excluding(&self, count: u64) -> Option<&[usize]> {
        self.tight.as_deref().filter(|_| self.proved && self.hosts < count)
    }
}

impl<'a> Selector<'a> {
    /// With `gated`, hosts of subsystems that are closed at this moment are left out.
    pub(crate) fn new(problem: &'a Problem, gated: bool) -> Self {
        Self { offer: Offer::new(problem, gated), ways: WAYS }
    }

    /// The same, with every row lifted that is not kept.
    pub(crate) fn keeping(&self, keep: impl Fn(usize) -> bool) -> Self {
        self.bounded(|row, bound| if keep(row) { bound } else { u128::MAX })
    }

    /// The same with other bounds: `bound` is given each row and its present bound.
    pub(crate) fn bounded(&self, bound: impl Fn(usize, u128) -> u128) -> Self {
        Self { offer: self.offer.bounded(bound), ways: self.ways }
    }

    /// How many candidates there are.
    pub(crate) fn candidates(&self) -> u64 {
        self.offer.candidates()
    }

    /// The most hosts that each row would allow if it were the only one.
    pub(crate) fn ceilings(&self) -> Vec<u64> {
        self.offer.ceilings()
    }

    /// By row, whether some choice of this many hosts takes more than it allows.
    pub(crate) fn can_break(&self, count: u64) -> Vec<bool> {
        self.offer.can_break(count)
    }

    /// The most hosts that may go together, as far as this effort finds and proves it.
    pub(crate) fn maximum(&self, effort: &Effort) -> Maximum {
        let Offer { problem, bounds, most } = &self.offer;
        let (value, nothing) = (vec![1; most.len()], vec![0; most.len()]);
        let Found { counts, proved, tight } = best(problem, bounds, most, &value, &[], nothing, effort);
        let found = Maximum { hosts: counts.iter().sum(), counts, proved, tight };
        if proved {
            return found;
        }
        // If the search gave up, taking the preferred hosts may still give more than it found.
        let counts = self.offer.fill(u64::MAX).counts;
        let hosts: u64 = counts.iter().sum();
        if hosts <= found.hosts {
            return found;
        }
        Maximum { counts, hosts, proved: hosts == self.offer.ceiling(&self.offer.clipped()), tight: None }
    }

    /// Whether this many hosts may go together, and a choice of at least this many that may. Unknown if neither was
    /// shown with this effort.
    pub(crate) fn reach(&self, count: u64, effort: &Effort) -> Reach<Maximum> {
        let most = self.offer.clipped();
        if most.iter().sum::<u64>() < count {
            return Reach::Impossible;
        }
        let choice = |counts: Vec<u64>| Maximum { hosts: counts.iter().sum(), counts, proved: false, tight: None };
        // Where few rows are kept, all hosts can often go, and nothing has to be searched.
        if self.offer.allows_all(&most) {
            return Reach::Found(choice(most));
        }
        if self.offer.ceiling(&most) < count {
            return Reach::Impossible;
        }
        let Offer { problem, bounds, .. } = &self.offer;
        match reaches(problem, bounds, &most, count, effort) {
            Reach::Found(counts) => Reach::Found(choice(counts)),
            Reach::Impossible => Reach::Impossible,
            Reach::Unknown => {
                let filled = choice(self.offer.fill(count).counts);
                if filled.hosts == count { Reach::Found(filled) } else { Reach::Unknown }
            }
        }
    }

    /// The largest count that may go, as far as this effort shows it, and whether it is known of `count` that it may or
    /// may not.
    pub(crate) fn most(&self, count: u64, effort: &Effort) -> (Maximum, bool) {
        // Few fleets are hard. On these, a plan that is allowed must not wait for a number that nobody asked for.
        let asked = effort.asked(count);
        let mut maximum = self.maximum(&asked);
        effort.take_back(asked);
        if maximum.proved || count <= maximum.hosts {
            return (maximum, true);
        }
        // One host more was the question already.
        if count == maximum.hosts + 1 && effort.is_spent() {
            return (maximum, false);
        }
        // "Can so many go?" is an easier question than "how many can go?".
        let reached = self.reach(count, effort);
        match reached {
            Reach::Found(more) => (more, true),
            Reach::Unknown => (maximum, false),
            Reach::Impossible => {
                if count > maximum.hosts + 1 {
                    let thorough = self.maximum(effort);
                    if thorough.proved || thorough.hosts > maximum.hosts {
                        maximum = thorough;
                    }
                }
                maximum.proved |= count == maximum.hosts + 1;
                (maximum, true)
            }
        }
    }

    /// Why so many hosts cannot go together; `None` if they can, or if that was not proved with this effort.
    pub(crate) fn proof(&self, count: u64, effort: &Effort) -> Option<Proof> {
        Proof::of(&self.offer, count, effort)
    }

    /// The rows that a quick test finds to be limiting; empty if it finds none, which proves nothing.
    pub(crate) fn in_the_way(&self) -> Vec<usize> {
        let Offer { problem, bounds, most } = &self.offer;
        tight(problem, bounds, most)
    }

    /// The maximum of another selector and one host more, the first that fits here; `None` if none fits.
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

    /// The preferred choice of exactly this many hosts, at most the maximum.
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

    /// Some choice of exactly this many hosts, at most the maximum: for numbers to show, not for a plan.
    pub(crate) fn any(&self, count: u64, maximum: &Maximum) -> BTreeSet<usize> {
        self.offer.expand(&self.offer.of(&self.offer.trimmed(maximum.counts.clone(), count)))
    }

    /// The preferred hosts first; if that ends too early, the maximum, trimmed to the count.
    fn start(&self, count: u64, maximum: &Maximum) -> Choice<'a> {
        let choice = self.offer.fill(count);
        if choice.counts.iter().sum::<u64>() < count {
            return self.offer.of(&self.offer.trimmed(maximum.counts.clone(), count));
        }
        choice
    }

    /// The choice that the preferences would make without any constraint; all candidates if there are fewer.
    pub(crate) fn unconstrained(&self, count: u64) -> BTreeSet<usize> {
        let free = self.keeping(|_| false);
        let count = count.min(free.candidates());
        let maximum = free.maximum(&Effort::about(PREFERENCE));
        free.choose(count, &maximum)
    }

    /// Makes the first two levels optimal; keeps the given choice if it already is.
    fn linear(&self, count: u64, start: Vec<u64>) -> Choice<'a> {
        let Offer { problem, bounds, most } = &self.offer;
        let classes = &problem.classes;
        let all = Exactly { classes: (0..classes.len()).collect(), hosts: count };
        let idle: Vec<i64> = classes.iter().map(|class| i64::from(!class.busy)).collect();
        let first = std::slice::from_ref(&all);
        let counts = best(problem, bounds, most, &idle, first, start, &Effort::about(PREFERENCE)).counts;
        let idle: Vec<usize> = (0..classes.len()).filter(|&c| !classes[c].busy).collect();
        let hosts = idle.iter().map(|&c| counts[c]).sum();
        let others: Vec<i64> = classes.iter().map(|class| -i64::try_from(class.others).unwrap_or(i64::MAX)).collect();
        let both = [all, Exactly { classes: idle, hosts }];
        self.offer.of(&best(problem, bounds, most, &others, &both, counts, &Effort::about(PREFERENCE)).counts)
    }

    /// Exchanges one host for another as long as that is an improvement.
    fn exchange(&self, mut choice: Choice<'a>) -> Choice<'a> {
        let order = self.offer.by_first_levels();
        // Every exchange improves the objective, so none is repeated; the limit is a bound on work.
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
