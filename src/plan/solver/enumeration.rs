//! Enumerates every choice of a given number of hosts, if there are few enough to look at them all.

use super::choice::{Choice, Objective};
use super::offer::Offer;
use super::problem::is_feasible;

/// Maximum number of choices (counts per class) that are enumerated. Some thousand take milliseconds.
pub(super) const WAYS: u64 = 5_000;

/// The number of ways to choose this many hosts, ignoring rows; a number above [`WAYS`] only means "more".
pub(super) fn ways(offer: &Offer<'_>, count: u64) -> u64 {
    let Some(size) = usize::try_from(count).ok().filter(|&n| n as u64 <= WAYS) else { return u64::MAX };
    let mut ways = vec![0_u64; size + 1];
    ways[0] = 1;
    let mut classes = 0_u64;
    for &most in offer.most.iter().filter(|&&most| most > 0) {
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
pub(super) fn enumerate<'a>(offer: &Offer<'a>, count: u64, start: Choice<'a>) -> Choice<'a> {
    let order = offer.by_first_levels();
    let mut supply = vec![0_u64; order.len() + 1];
    for (place, &class) in order.iter().enumerate().rev() {
        supply[place] = supply[place + 1].saturating_add(offer.most[class]);
    }
    let mut all = Enumeration {
        offer,
        order,
        supply,
        best: (start.objective(), start.counts),
        choice: offer.nothing(),
        first_levels: (0, 0),
    };
    all.from(0, count);
    offer.of(&all.best.1)
}

/// A walk through all choices of counts per class.
struct Enumeration<'o, 'a> {
    offer: &'o Offer<'a>,
    /// Classes, the preferred ones first.
    order: Vec<usize>,
    /// Hosts of the class at this place and of all later classes.
    supply: Vec<u64>,
    best: (Objective, Vec<u64>),
    choice: Choice<'a>,
    /// The first levels of the choice so far.
    first_levels: (u64, u128),
}

impl Enumeration<'_, '_> {
    fn from(&mut self, place: usize, left: u64) {
        if left == 0 {
            let objective = self.choice.objective();
            let Offer { problem, bounds, most } = self.offer;
            if objective < self.best.0 && is_feasible(problem, bounds, most, &self.choice.counts) {
                self.best = (objective, self.choice.counts.clone());
            }
            return;
        }
        if self.supply[place] < left {
            return;
        }
        let class = self.order[place];
        let (is_busy, others) = self.offer.first_levels(class);
        let each = (u64::from(is_busy), u128::from(others));
        // From the first class that is not idle on, no class is better than this one.
        let (busy, others) = self.first_levels;
        let least = if is_busy { u128::from(left) } else { 0 };
        let best = &self.best.0;
        if (busy + each.0 * left, others + each.1 * least) > (best.busy, best.others) {
            return;
        }
        self.from(place + 1, left);
        let mut taken = 0;
        while taken < left.min(self.offer.most[class]) && self.choice.fits(class) {
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
