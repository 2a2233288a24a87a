//! The exact part of choosing: how many hosts may go at most, and the best total of a linear preference.
//!
//! [`best`] searches whole numbers per class by branch and bound. Bounds come from the linear relaxation
//! (`microlp`, in floating point); everything that is *accepted* is checked in integers. Why floats cannot
//! make an answer wrong: rows are scaled to coefficients of at most 1 and widened by [`SLACK`], far beyond
//! the solver's own tolerance, and bounds are raised by [`SLACK`] again before they are rounded down, so that
//! a bound can only be too generous, which costs time. Where the solver fails, the bound is the trivial one.
//! The search ends after [`NODES`] relaxations: then the answer is still feasible, and [`Found::proved`] says
//! that it may not be the best.

use std::cell::Cell;

use good_lp::{Expression, ProblemVariables, ResolutionError, Solution, SolverModel, microlp, variable};

use super::constraints::Problem;

/// Relaxations solved before giving up on proof: a bound on work, not on time, so that the same input gives
/// the same plan on every machine.
const NODES: usize = 400;

/// Widening of rows and bounds. `microlp` keeps constraints within about 1e-7 of their scale.
const SLACK: f64 = 1e-6;

/// A share this far below a whole number is that number.
const ROUNDING: f64 = 1e-4;

/// The most that is added to a value to tell classes apart: thousands of hosts come to a small part of one.
const TILT: f64 = 1e-5;

/// Relaxations from one search for exchanges to the next, which costs as much as some of them.
const EXCHANGES: usize = 20;

/// An answer of [`best`].
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Hosts per class.
    pub(crate) counts: Vec<u64>,
    /// No other choice has a higher value.
    pub(crate) proved: bool,
}

/// Whether the counts are within what there is and every row holds, in integers.
pub(crate) fn is_feasible(problem: &Problem<'_>, bounds: &[u128], most: &[u64], counts: &[u64]) -> bool {
    let mut taken = vec![0_u128; bounds.len()];
    for ((class, &count), &most) in problem.classes.iter().zip(counts).zip(most) {
        if count > most {
            return false;
        }
        for &(row, units) in &class.takes {
            taken[row] = taken[row].saturating_add(u128::from(units).saturating_mul(u128::from(count)));
        }
    }
    taken.iter().zip(bounds).all(|(taken, bound)| taken <= bound)
}

/// Exactly so many hosts of these classes.
#[derive(Clone, Debug)]
pub(crate) struct Exactly {
    pub(crate) classes: Vec<usize>,
    pub(crate) hosts: u64,
}

impl Exactly {
    fn holds(&self, counts: &[u64]) -> bool {
        self.classes.iter().map(|&c| u128::from(counts[c])).sum::<u128>() == u128::from(self.hosts)
    }
}

/// The choice of the highest value, where a host of class `c` is worth `value[c]`, among those of which `exactly`
/// holds; `bounds` says what may be taken from each row. `start` is feasible and one of them.
pub(crate) fn best(
    problem: &Problem<'_>,
    bounds: &[u128],
    most: &[u64],
    value: &[i64],
    exactly: &[Exactly],
    start: Vec<u64>,
) -> Found {
    let most = clipped(problem, bounds, most);
    let mut search = Search {
        problem,
        bounds,
        most: &most,
        value,
        exactly,
        binding: binding_rows(problem, bounds, &most),
        worth: worth(value, &start),
        best: start,
        enough: i128::MAX,
    };
    let proved = search.run(&Cell::new(NODES));
    Found { counts: search.best, proved }
}

/// Whether so many hosts can go together: far less work than how many can. `None` where neither was shown before
/// `nodes`, which counts down, came to nothing.
pub(crate) fn reaches(
    problem: &Problem<'_>,
    bounds: &[u128],
    most: &[u64],
    hosts: u64,
    nodes: &Cell<usize>,
) -> Option<bool> {
    let most = clipped(problem, bounds, most);
    let mut search = Search {
        problem,
        bounds,
        most: &most,
        value: &vec![1; most.len()],
        exactly: &[],
        binding: binding_rows(problem, bounds, &most),
        // As if one host fewer were found already: whatever cannot reach the count is left out at once.
        worth: i128::from(hosts) - 1,
        best: vec![0; most.len()],
        enough: i128::from(hosts),
    };
    let proved = search.run(nodes);
    if search.worth >= search.enough { Some(true) } else { proved.then_some(false) }
}

/// No class can give more than any one of its rows lets it.
pub(crate) fn clipped(problem: &Problem<'_>, bounds: &[u128], most: &[u64]) -> Vec<u64> {
    let clip = |(class, &most): (&super::constraints::Class, &u64)| {
        let rows = class.takes.iter().filter(|(_, units)| *units > 0);
        let least = rows.map(|&(row, units)| bounds[row] / u128::from(units)).min();
        least.map_or(most, |l| most.min(u64::try_from(l).unwrap_or(u64::MAX)))
    };
    problem.classes.iter().zip(most).map(clip).collect()
}

/// Rows that taking everything would exceed; the others cannot matter. With what each class takes.
fn binding_rows(problem: &Problem<'_>, bounds: &[u128], most: &[u64]) -> Vec<(u128, Vec<(usize, u64)>)> {
    let mut rows: Vec<(u128, Vec<(usize, u64)>)> = bounds.iter().map(|&bound| (bound, Vec::new())).collect();
    for (index, class) in problem.classes.iter().enumerate().filter(|(i, _)| most[*i] > 0) {
        for &(row, units) in &class.takes {
            rows[row].1.push((index, units));
        }
    }
    let exceeds = |(bound, takes): &(u128, Vec<(usize, u64)>)| {
        let all = takes.iter().map(|&(c, units)| u128::from(units).saturating_mul(u128::from(most[c])));
        all.fold(0, u128::saturating_add) > *bound
    };
    rows.into_iter().filter(exceeds).collect()
}

fn worth(value: &[i64], counts: &[u64]) -> i128 {
    value.iter().zip(counts).map(|(&v, &n)| i128::from(v) * i128::from(n)).sum()
}

struct Search<'a> {
    problem: &'a Problem<'a>,
    bounds: &'a [u128],
    most: &'a [u64],
    value: &'a [i64],
    exactly: &'a [Exactly],
    binding: Vec<(u128, Vec<(usize, u64)>)>,
    best: Vec<u64>,
    worth: i128,
    /// Nobody looks for more than this.
    enough: i128,
}

/// What a relaxation says about a part of the choices.
enum Relaxed {
    Empty,
    /// Nothing in it is worth more than the bound; the optimum is at these fractions.
    Bounded(i128, Vec<f64>),
    /// The solver failed.
    Unknown,
}

impl Search<'_> {
    /// Returns whether the search was exhaustive, or found enough.
    fn run(&mut self, nodes: &Cell<usize>) -> bool {
        let mut open = vec![(vec![0_u64; self.most.len()], self.most.to_vec())];
        let mut visited = 0_usize;
        while let Some((low, high)) = open.pop() {
            let Some(left) = nodes.get().checked_sub(1) else { return false };
            nodes.set(left);
            let (bound, at) = match self.relax(&low, &high, visited) {
                Relaxed::Empty => continue,
                Relaxed::Bounded(bound, at) => (bound, at),
                Relaxed::Unknown => {
                    (i128::MAX, low.iter().zip(&high).map(|(&l, &h)| (l as f64 + h as f64) / 2.0).collect())
                }
            };
            if bound <= self.worth {
                continue;
            }
            let whole: Vec<u64> = at.iter().zip(low.iter().zip(&high)).map(|(x, (&l, &h))| rounded(*x, l, h)).collect();
            self.consider(whole);
            let filled = self.filled(&at, &low, &high);
            if self.exactly.is_empty() && visited.is_multiple_of(EXCHANGES) {
                self.consider(self.exchanged(filled));
            } else {
                self.consider(filled);
            }
            visited += 1;
            if self.worth >= self.enough {
                return true;
            }
            if bound <= self.worth {
                continue;
            }
            let Some((class, split)) = branch(&at, &low, &high) else { continue };
            let (mut below, mut above) = (high.clone(), low.clone());
            below[class] = split;
            above[class] = split + 1;
            open.push((low, below));
            open.push((above, high));
        }
        true
    }

    /// Rounded down and filled up again: near the relaxation, and within every row. What lost most by rounding down
    /// comes first. Of a choice with classes that are to give an exact number, only [`Self::consider`] can tell
    /// whether this kept it.
    fn filled(&self, at: &[f64], low: &[u64], high: &[u64]) -> Vec<u64> {
        let mut left = self.bounds.to_vec();
        let mut counts = vec![0; at.len()];
        let mut add = |counts: &mut [u64], class: usize, most: u64| {
            let takes = self.problem.classes[class].takes.iter().filter(|(_, units)| *units > 0);
            let fit = takes.clone().map(|&(row, units)| left[row] / u128::from(units)).min().unwrap_or(u128::MAX);
            let more = most.saturating_sub(counts[class]).min(u64::try_from(fit).unwrap_or(u64::MAX));
            for &(row, units) in takes {
                left[row] -= u128::from(units) * u128::from(more);
            }
            counts[class] += more;
        };
        let mut order: Vec<usize> = (0..at.len()).collect();
        let down = |class: usize| ((at[class] + ROUNDING).floor() as u64).clamp(low[class], high[class]);
        order.iter().for_each(|&class| add(&mut counts, class, low[class]));
        order.iter().for_each(|&class| add(&mut counts, class, down(class)));
        let lost = |class: usize| at[class] - down(class) as f64;
        order.sort_by(|&a, &b| self.value[b].cmp(&self.value[a]).then(lost(b).total_cmp(&lost(a))).then(a.cmp(&b)));
        let worthy = order.iter().filter(|&&class| self.value[class] > 0);
        worthy.for_each(|&class| add(&mut counts, class, high[class]));
        counts
    }

    /// One host of a class given back for others, wherever that makes room for more: worth more each time, so that it
    /// ends.
    fn exchanged(&self, mut counts: Vec<u64>) -> Vec<u64> {
        let mut left = self.bounds.to_vec();
        for (class, &count) in self.problem.classes.iter().zip(&counts) {
            for &(row, units) in &class.takes {
                left[row] = left[row].saturating_sub(u128::from(units).saturating_mul(u128::from(count)));
            }
        }
        loop {
            let before = worth(self.value, &counts);
            for out in 0..counts.len() {
                if counts[out] == 0 {
                    continue;
                }
                let (mut tried, mut room) = (counts.clone(), left.clone());
                tried[out] -= 1;
                for &(row, units) in &self.problem.classes[out].takes {
                    room[row] += u128::from(units);
                }
                // Whatever fits but the one that was given back; that one last.
                let others = (0..tried.len()).map(|step| (out + 1 + step) % counts.len());
                for class in others.filter(|&class| self.value[class] > 0) {
                    let takes = self.problem.classes[class].takes.iter().filter(|(_, units)| *units > 0);
                    let fit = takes.clone().map(|&(row, units)| room[row] / u128::from(units)).min();
                    let fit = u64::try_from(fit.unwrap_or(u128::MAX)).unwrap_or(u64::MAX);
                    let more = self.most[class].saturating_sub(tried[class]).min(fit);
                    for &(row, units) in takes {
                        room[row] -= u128::from(units) * u128::from(more);
                    }
                    tried[class] += more;
                }
                if worth(self.value, &tried) >= worth(self.value, &counts) {
                    (counts, left) = (tried, room);
                }
            }
            if worth(self.value, &counts) <= before {
                return counts;
            }
        }
    }

    fn consider(&mut self, counts: Vec<u64>) {
        let worth = worth(self.value, &counts);
        let exact = self.exactly.iter().all(|e| e.holds(&counts));
        if worth > self.worth && exact && is_feasible(self.problem, self.bounds, self.most, &counts) {
            self.best = counts;
            self.worth = worth;
        }
    }

    fn relax(&self, low: &[u64], high: &[u64], visited: usize) -> Relaxed {
        let mut variables = ProblemVariables::new();
        let x: Vec<_> = low
            .iter()
            .zip(high)
            .map(|(&low, &high)| variables.add(variable().min(low as f64).max(high as f64)))
            .collect();
        // Every other time, ties are broken in some way of its own, or all relaxations could end in the same poor
        // corner. Nothing is taken from a value, so that the bound holds for the values as they are too.
        let most = if visited.is_multiple_of(2) { 0.0 } else { TILT };
        let tilt = |class: usize| most * ((class + 1) as f64 * (visited + 1) as f64 * 0.618_033_988_75).fract();
        let values = self.value.iter().enumerate().map(|(class, &value)| value as f64 + tilt(class));
        let objective: Expression = x.iter().zip(values).map(|(&x, value)| x * value).sum();
        let mut model = variables.maximise(objective.clone()).using(microlp);
        for (bound, takes) in &self.binding {
            let scale = takes.iter().map(|(_, units)| *units).max().unwrap_or(1).max(1) as f64;
            let sum: Expression = takes.iter().map(|&(class, units)| x[class] * (units as f64 / scale)).sum();
            let bound = *bound as f64 / scale;
            model.add_constraint(sum.leq(bound + SLACK * bound.max(1.0)));
        }
        for exactly in self.exactly {
            let sum: Expression = exactly.classes.iter().map(|&class| x[class]).sum();
            model.add_constraint(sum.eq(exactly.hosts as f64));
        }
        match model.solve() {
            Ok(solution) => {
                let worth = solution.eval(&objective);
                let bound = (worth + SLACK * worth.abs().max(100.0)).floor();
                if !bound.is_finite() {
                    return Relaxed::Unknown;
                }
                Relaxed::Bounded(bound as i128, x.iter().map(|&x| solution.value(x)).collect())
            }
            Err(ResolutionError::Infeasible) => Relaxed::Empty,
            Err(_) => Relaxed::Unknown,
        }
    }
}

/// The nearest whole number in the range. `as` saturates and takes NaN for 0.
fn rounded(x: f64, low: u64, high: u64) -> u64 {
    (x.round() as u64).clamp(low, high)
}

/// The class whose share is furthest from whole, and where to split its range; any class with a range where all
/// are whole; none where one choice is left.
fn branch(at: &[f64], low: &[u64], high: &[u64]) -> Option<(usize, u64)> {
    let open = || (0..at.len()).filter(|&c| low[c] < high[c]);
    let apart = |c: usize| (at[c] - at[c].round()).abs();
    let class = open().max_by(|&a, &b| apart(a).total_cmp(&apart(b)).then(b.cmp(&a)))?;
    let split = if apart(class) > SLACK {
        (at[class].floor() as u64).clamp(low[class], high[class] - 1)
    } else {
        low[class] + (high[class] - low[class]) / 2
    };
    Some((class, split))
}
