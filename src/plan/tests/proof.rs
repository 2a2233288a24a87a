//! The largest choice of a [`Program`], proved without the planner's solver: with an interior-point method (`clarabel`)
//! where the planner uses a simplex (`microlp`), and without a bound that rests on a float alone.
//!
//! The solver gives prices for the rows. By weak duality, *any* prices that are not negative bound the count from
//! above: `sum(price * bound) + sum(supply * max(0, 1 - sum(price * take)))`. So its prices are rounded to whole
//! multiples of [`UNIT`], and the bound that they give is computed in integers: a poor answer of the solver can cost
//! time, never correctness. If the bound is above the choice found, a class is split into fewer and more of it, and
//! both parts are proved.

use clarabel::algebra::CscMatrix;
use clarabel::solver::{DefaultSettings, DefaultSolver, IPSolver, SupportedConeT};

use super::program::Program;

/// Prices are whole multiples of one over this.
const UNIT: i128 = 1 << 40;

/// Maximum number of parts before giving up.
const PARTS: usize = 60;

/// The largest choice, between two numbers that are almost always the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Largest {
    /// A choice of this many was found.
    pub(super) found: i128,
    /// No more can go.
    pub(super) ceiling: i128,
}

/// The largest choice.
pub(super) fn largest(program: &Program) -> Largest {
    let least = vec![0; program.classes.len()];
    let most: Vec<i128> = program.classes.iter().map(|class| class.supply).collect();
    let mut proof = Proof { program, found: 0, ceiling: None };
    // Depth first, by hand: a chain of splits must not use up a test's stack.
    let mut open = vec![(least, most)];
    for _ in 0..PARTS {
        let Some((least, most)) = open.pop() else { break };
        open.extend(proof.split(least, most));
    }
    let ceiling = if open.is_empty() { proof.found } else { proof.ceiling.expect("of the whole") };
    Largest { found: proof.found, ceiling }
}

/// What remains to be proved: a lower and an upper bound for each class.
type Part = (Vec<i128>, Vec<i128>);

struct Proof<'a> {
    program: &'a Program,
    /// The largest number that was found to be possible.
    found: i128,
    /// No choice is larger. It comes from the first part, which is everything.
    ceiling: Option<i128>,
}

impl Proof<'_> {
    /// Closes a part, or splits it.
    fn split(&mut self, least: Vec<i128>, most: Vec<i128>) -> Vec<Part> {
        // Nothing is negative: if the lower bounds together are too much, so is all of this part.
        let Some(least_total) = self.total(&least) else { return Vec::new() };
        self.found = self.found.max(least_total);
        let mut ceiling = i128::MAX;
        let mut split = None;
        // A corner is easy to round, but requires an objective without ties, whose bound is less sharp.
        for tilt in [1e-5, 0.0] {
            let relaxed = relax(self.program, &least, &most, tilt);
            self.round(&relaxed.counts, &least, &most);
            ceiling = ceiling.min(self.ceiling(&relaxed.prices, &least, &most));
            if ceiling <= self.found {
                return Vec::new();
            }
            split = split.or_else(|| most_fractional(&relaxed.counts, &least, &most));
        }
        self.ceiling.get_or_insert(ceiling);
        let open = |class: &usize| least[*class] < most[*class];
        let (class, at) = split
            .or_else(|| (0..least.len()).find(open).map(|c| (c, least[c])))
            .expect("with every class fixed, the ceiling is what was found");
        let (mut fewer, mut more) = (most.clone(), least.clone());
        fewer[class] = at;
        more[class] = at + 1;
        vec![(least, fewer), (more, most)]
    }

    /// The number of hosts, if every row holds.
    fn total(&self, counts: &[i128]) -> Option<i128> {
        let mut left = self.program.bounds.clone();
        for (class, count) in self.program.classes.iter().zip(counts) {
            class.takes.iter().for_each(|&(row, units)| left[row] -= units * count);
        }
        left.iter().all(|left| *left >= 0).then(|| counts.iter().sum())
    }

    /// No choice within the bounds is larger, whatever the prices are.
    fn ceiling(&self, prices: &[f64], least: &[i128], most: &[i128]) -> i128 {
        let whole = |price: &f64| if price.is_finite() { (price.clamp(0.0, 1e6) * UNIT as f64) as i128 } else { 0 };
        let prices: Vec<i128> = prices.iter().map(whole).collect();
        let mut sum: i128 = self.program.bounds.iter().zip(&prices).map(|(bound, price)| bound * price).sum();
        for (index, class) in self.program.classes.iter().enumerate() {
            let gain = UNIT - class.takes.iter().map(|&(row, units)| units * prices[row]).sum::<i128>();
            sum += gain * if gain > 0 { most[index] } else { least[index] };
        }
        sum.div_euclid(UNIT)
    }

    /// A whole choice near the relaxed one: rounded down, then filled up, the cheapest first.
    fn round(&mut self, relaxed: &[f64], least: &[i128], most: &[i128]) {
        let mut counts = least.to_vec();
        let mut left = self.program.bounds.clone();
        for (class, count) in self.program.classes.iter().zip(&counts) {
            class.takes.iter().for_each(|&(row, units)| left[row] -= units * count);
        }
        let down = |index: usize| ((relaxed[index] + 1e-4) as i128).clamp(least[index], most[index]);
        let mut order: Vec<usize> = (0..counts.len()).collect();
        order.sort_by(|a, b| relaxed[*b].fract().total_cmp(&relaxed[*a].fract()));
        for up in [false, true] {
            for &index in &order {
                let wanted = if up { most[index] } else { down(index) };
                let takes = &self.program.classes[index].takes;
                let fit = takes.iter().map(|&(row, units)| left[row] / units).min().unwrap_or(i128::MAX);
                let more = (wanted - counts[index]).clamp(0, fit);
                takes.iter().for_each(|&(row, units)| left[row] -= units * more);
                counts[index] += more;
            }
        }
        let total = self.total(&counts).expect("filled within what is left");
        self.found = self.found.max(total);
    }
}

/// The class that is farthest from a whole count, and the whole number below that count.
fn most_fractional(relaxed: &[f64], least: &[i128], most: &[i128]) -> Option<(usize, i128)> {
    let farthest = |index: &usize| (relaxed[*index] - relaxed[*index].round()).abs();
    let open = (0..relaxed.len()).filter(|&i| least[i] < most[i] && farthest(&i) > 1e-3);
    let class = open.max_by(|a, b| farthest(a).total_cmp(&farthest(b)))?;
    Some((class, (relaxed[class] as i128).clamp(least[class], most[class] - 1)))
}

/// An answer of the solver: guidance, not proof.
struct Relaxed {
    counts: Vec<f64>,
    prices: Vec<f64>,
}

/// The program without whole numbers. Fixed classes are left to the solver as well: they cost little.
fn relax(program: &Program, least: &[i128], most: &[i128], tilt: f64) -> Relaxed {
    let (classes, rows) = (program.classes.len(), program.bounds.len());
    // Rows are scaled to bounds of 1.
    let scale = |row: usize| 1.0 / (program.bounds[row].max(1) as f64);
    let (mut starts, mut places, mut values) = (vec![0], Vec::new(), Vec::new());
    for (index, class) in program.classes.iter().enumerate() {
        for &(row, units) in &class.takes {
            places.push(row);
            values.push(units as f64 * scale(row));
        }
        places.extend([rows + index, rows + classes + index]);
        values.extend([1.0, -1.0]);
        starts.push(places.len());
    }
    let matrix = CscMatrix::new(rows + 2 * classes, classes, starts, places, values);
    let bounds: Vec<f64> = (0..rows)
        .map(|row| program.bounds[row] as f64 * scale(row))
        .chain(most.iter().map(|most| *most as f64))
        .chain(least.iter().map(|least| -*least as f64))
        .collect();
    // The solver minimizes. The golden ratio's multiples tell all classes apart without a random number.
    let worth: Vec<f64> = (0..classes).map(|i| -1.0 - tilt * ((i + 1) as f64 * 0.618_033_988_75).fract()).collect();
    let settings = DefaultSettings { verbose: false, ..DefaultSettings::default() };
    let cones = [SupportedConeT::NonnegativeConeT(rows + 2 * classes)];
    let none = CscMatrix::zeros((classes, classes));
    let mut solver = DefaultSolver::new(&none, &worth, &matrix, &bounds, &cones, settings).expect("a program");
    solver.solve();
    let prices = (0..rows).map(|row| solver.solution.z[row] * scale(row)).collect();
    Relaxed { counts: solver.solution.x.clone(), prices }
}
