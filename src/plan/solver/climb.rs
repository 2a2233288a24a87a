//! [`climb`]: a choice of one host more than the best that is known, by local search.
//!
//! It takes as many hosts as are wanted, whatever the rows say, and exchanges them one for another until every row
//! holds. What a row is exceeded by counts at the row's price in the relaxation, which tells the rows that matter from
//! those that do not; a row that stays exceeded becomes dearer (Glover, Kochenberger, "Critical event tabu search for
//! multidimensional knapsack problems", 1996; weights after Hutter, Tompkins, Hoos, "Scaling and probabilistic
//! smoothing", 2002). It finds choices and proves nothing.

use super::basis::{Range, Row};
use super::columns::Columns;
use super::effort::Effort;
use super::prices::{Priced, Prices, propagate};
use super::tableau::Tableau;

/// How much dearer a row becomes, as a part of its price, each time that it is exceeded after an exchange.
const DEARER: f64 = 0.05;

/// Which part of that it loses each time that it is not.
const CHEAPER: f64 = 0.002;

/// The price of a row that has none, as a part of one host per unit of an average host.
const LEAST_PRICE: f64 = 0.02;

/// How much the relaxation's opinion of a column counts.
const OPINION: f64 = 0.02;

/// Exchanges without progress after which some hosts are given back, and prices start anew.
const STUCK: u64 = 20_000;

/// The work of an exchange, for each row that a column takes from.
const CHANGE: u64 = 8;

/// The part of the columns that lose a host then.
const SHAKEN: usize = 8;

/// An attempt to find a choice of a given number of hosts.
struct Climb {
    /// Rows, and what one host takes from each: column after column, which begin at `begins`.
    takes: Vec<(usize, f64)>,
    begins: Vec<usize>,
    /// Columns that may change.
    open: Vec<usize>,
    range: Range,
    /// By row: the price of a unit above the bound, at first and now.
    base: Vec<f64>,
    prices: Vec<f64>,
    /// By column.
    opinion: Vec<f64>,
    counts: Vec<u64>,
    hosts: u64,
    /// By row, what is taken beyond the bound: a whole number, which floats hold exactly up to 2^53.
    excess: Vec<f64>,
    /// By column, the exchange before which it does not change again.
    kept: Vec<u64>,
    dice: u64,
}

/// A choice of `wanted` hosts, if one is found with this effort. `start` is a choice; `tableau` is at the optimum of the
/// whole relaxation. Each `turn` goes another way.
pub(super) fn climb(
    columns: &Columns,
    rows: &[Row],
    tableau: &Tableau,
    within: &Range,
    start: &[u64],
    (wanted, turn): (u64, u64),
    effort: &Effort,
) -> Option<Vec<u64>> {
    let mut range = within.clone();
    let prices = Prices::rounded(&tableau.prices(), rows);
    if prices.narrow(columns, rows, &mut range, wanted.into()) == Priced::Closed || !propagate(rows, &mut range) {
        return None;
    }
    let average = |row: &Row| {
        let units: i128 = row.takes.iter().map(|(_, units)| *units).sum();
        row.takes.len().max(1) as f64 / units.max(1) as f64
    };
    let mut base: Vec<f64> = rows.iter().map(|row| LEAST_PRICE * average(row)).collect();
    tableau.prices().into_iter().for_each(|(row, price)| base[row] += price.max(0.0));
    let counts: Vec<u64> =
        start.iter().zip(range.low.iter().zip(&range.high)).map(|(&n, (&low, &high))| n.clamp(low, high)).collect();
    let mut begins = vec![0];
    let mut takes = Vec::new();
    for column in &columns.all {
        takes.extend(column.takes.iter().map(|&(row, units)| (row, units as f64)));
        begins.push(takes.len());
    }
    let excess = |row: &Row| {
        let taken: f64 = row.takes.iter().map(|&(c, units)| units as f64 * counts[c] as f64).sum();
        taken - row.bound as f64
    };
    let mut climb = Climb {
        open: (0..counts.len()).filter(|&c| range.low[c] < range.high[c]).collect(),
        takes,
        begins,
        prices: base.clone(),
        base,
        opinion: tableau.gains(),
        hosts: counts.iter().sum(),
        excess: rows.iter().map(excess).collect(),
        kept: vec![0; counts.len()],
        counts,
        range,
        dice: 0x9e37_79b9_7f4a_7c15 ^ turn,
    };
    climb.run(wanted, effort)
}

impl Climb {
    fn run(&mut self, wanted: u64, effort: &Effort) -> Option<Vec<u64>> {
        let work = self.open.iter().map(|&c| self.takes_of(c).len() as u64 + 1).sum::<u64>() * CHANGE;
        let (mut least, mut since) = (f64::INFINITY, 0);
        for exchange in 1.. {
            if !effort.spend(work) {
                return None;
            }
            if self.hosts >= wanted
                && let Some(out) = self.cheapest(exchange, false)
            {
                self.change(out, false);
                self.kept[out] = exchange + 2 + self.below(10);
            }
            while self.hosts < wanted {
                let into = self.cheapest(exchange, true)?;
                self.change(into, true);
                self.kept[into] = exchange + 1 + self.below(6);
            }
            if self.hosts > wanted {
                continue;
            }
            let excess = self.priced();
            if excess == 0.0 {
                return Some(self.counts.clone());
            }
            since += 1;
            if excess < least {
                (least, since) = (excess, 0);
            }
            if since > STUCK {
                (least, since) = (f64::INFINITY, 0);
                self.shake();
            }
        }
        None
    }

    /// The column whose change costs least; a column that changed a moment ago only if there is no other.
    fn cheapest(&mut self, exchange: u64, more: bool) -> Option<usize> {
        let turn = self.next();
        let mut best: Option<(bool, f64, usize)> = None;
        for &column in &self.open {
            let count = self.counts[column];
            if count == if more { self.range.high[column] } else { self.range.low[column] } {
                continue;
            }
            let opinion = self.opinion[column] * if more { -OPINION } else { OPINION };
            // Equals take turns.
            let tie = (turn.wrapping_mul(2 * column as u64 + 1) >> 40) as f64 * 1e-10;
            let cost = self.cost(column, more) + opinion + tie;
            let kept = self.kept[column] >= exchange;
            if best.is_none_or(|(known_kept, known, _)| (kept, cost) < (known_kept, known)) {
                best = Some((kept, cost, column));
            }
        }
        best.map(|(_, _, column)| column)
    }

    /// The change of the price of every excess, by one host more or fewer of the column.
    fn cost(&self, column: usize, more: bool) -> f64 {
        let row = |&(row, units): &(usize, f64)| {
            let excess = self.excess[row];
            let then = if more { excess + units } else { excess - units };
            self.prices[row] * (then.max(0.0) - excess.max(0.0))
        };
        self.takes_of(column).iter().map(row).sum()
    }

    fn takes_of(&self, column: usize) -> &[(usize, f64)] {
        &self.takes[self.begins[column]..self.begins[column + 1]]
    }

    fn change(&mut self, column: usize, more: bool) {
        let sign = if more { 1.0 } else { -1.0 };
        for &(row, units) in &self.takes[self.begins[column]..self.begins[column + 1]] {
            self.excess[row] += sign * units;
        }
        self.counts[column] = if more { self.counts[column] + 1 } else { self.counts[column] - 1 };
        self.hosts = if more { self.hosts + 1 } else { self.hosts - 1 };
    }

    /// The price of every excess of a row, at first prices; changes the present ones.
    fn priced(&mut self) -> f64 {
        let mut sum = 0.0;
        for ((&excess, &base), price) in self.excess.iter().zip(&self.base).zip(&mut self.prices) {
            if excess > 0.0 {
                sum += base * excess;
                *price += DEARER * base;
            } else {
                *price -= CHEAPER * (*price - base);
            }
        }
        sum
    }

    fn shake(&mut self) {
        self.prices.clone_from(&self.base);
        for _ in 0..self.open.len() / SHAKEN {
            let place = usize::try_from(self.below(self.open.len() as u64)).unwrap_or(0);
            let column = self.open[place];
            if self.counts[column] > self.range.low[column] {
                self.change(column, false);
            }
        }
    }

    /// Xorshift (Marsaglia, "Xorshift RNGs", 2003): the same on every machine.
    fn next(&mut self) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 33) % end.max(1)
    }
}
