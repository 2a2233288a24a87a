//! Classes that the binding rows do not distinguish, merged into columns: what the search counts.
//!
//! A row that taking everything would not break cannot matter. Classes that take the same from the other rows, have the
//! same value and belong to the same exact numbers are one number to find. Nothing here chooses.

use std::collections::BTreeSet;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::problem::Problem;

/// A share that is less than this below a whole number counts as that number.
pub(super) const ROUNDING: f64 = 1e-4;

/// An exact number of hosts of these classes.
#[derive(Clone, Debug)]
pub(crate) struct Exactly {
    pub(crate) classes: Vec<usize>,
    pub(crate) hosts: u64,
}

impl Exactly {
    pub(super) fn holds(&self, counts: &[u64]) -> bool {
        self.classes.iter().map(|&c| u128::from(counts[c])).sum::<u128>() == u128::from(self.hosts)
    }
}

/// Classes merged into one column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) classes: Vec<usize>,
    /// Maximum number of hosts.
    pub(super) most: u64,
    /// Value of one host.
    pub(super) value: i64,
    /// What one host takes from rows, by place in [`Columns::bounds`]; never 0 units.
    pub(super) takes: Vec<(usize, u64)>,
    /// For each exact number that is required, whether the column counts towards it.
    pub(super) exactly: Vec<bool>,
}

/// A problem as the search sees it.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    pub(super) all: Vec<Column>,
    /// The rows of the problem that can bind.
    pub(super) names: Vec<usize>,
    /// What may be taken from each of them.
    pub(super) bounds: Vec<u128>,
    /// Hosts by class.
    most: Vec<u64>,
}

impl Columns {
    /// `most` is the number of hosts of each class, at most what its rows allow.
    pub(super) fn of(problem: &Problem, bounds: &[u128], most: &[u64], value: &[i64], exactly: &[Exactly]) -> Self {
        let places = binding(problem, bounds, most);
        let names: Vec<usize> = (0..bounds.len()).filter(|&row| places[row].is_some()).collect();
        let mut columns = Self {
            all: Vec::with_capacity(most.len()),
            bounds: names.iter().map(|&row| bounds[row]).collect(),
            names,
            most: most.to_vec(),
        };
        let mut named = vec![vec![false; exactly.len()]; most.len()];
        for (place, exactly) in exactly.iter().enumerate() {
            exactly.classes.iter().for_each(|&class| named[class][place] = true);
        }
        let (hasher, mut known) = (RandomState::default(), HashTable::with_capacity(most.len()));
        let hash = |value: i64, named: &[bool], takes: &[(usize, u64)]| hasher.hash_one((value, named, takes));
        let mut takes = Vec::new();
        for (index, (class, named)) in problem.classes.iter().zip(named).enumerate().filter(|(c, _)| most[*c] > 0) {
            takes.clear();
            let taken = class.takes.iter().filter(|(_, units)| *units > 0);
            takes.extend(taken.filter_map(|&(row, units)| Some((places[row]?, units))));
            takes.sort_unstable();
            let like =
                |column: &Column| column.value == value[index] && column.exactly == named && column.takes == takes;
            let entry = known.entry(
                hash(value[index], &named, &takes),
                |&place: &usize| like(&columns.all[place]),
                |&place| hash(columns.all[place].value, &columns.all[place].exactly, &columns.all[place].takes),
            );
            match entry {
                Entry::Occupied(column) => {
                    let column = &mut columns.all[*column.get()];
                    column.classes.push(index);
                    column.most += most[index];
                }
                Entry::Vacant(new) => {
                    new.insert(columns.all.len());
                    columns.all.push(Column {
                        classes: vec![index],
                        most: most[index],
                        value: value[index],
                        takes: takes.clone(),
                        exactly: named,
                    });
                }
            }
        }
        columns
    }

    /// By row: the columns that take from it, and how much one host takes.
    pub(super) fn by_row(&self) -> Vec<Vec<(usize, i128)>> {
        let mut lengths = vec![0; self.bounds.len()];
        self.all.iter().flat_map(|column| &column.takes).for_each(|&(row, _)| lengths[row] += 1);
        let mut rows: Vec<_> = lengths.into_iter().map(Vec::with_capacity).collect();
        for (index, column) in self.all.iter().enumerate() {
            column.takes.iter().for_each(|&(row, units)| rows[row].push((index, units.into())));
        }
        rows
    }

    /// Rows of the problem that have no room to spare if this much is taken.
    pub(super) fn tight(&self, at: &[f64]) -> BTreeSet<usize> {
        let mut taken = vec![0.0; self.bounds.len()];
        for (column, &hosts) in self.all.iter().zip(at) {
            column.takes.iter().for_each(|&(row, units)| taken[row] += hosts * units as f64);
        }
        let is_tight = |(&taken, &bound): (&f64, &u128)| {
            let bound = bound as f64;
            taken >= bound - ROUNDING * bound.max(1.0)
        };
        let tight = taken.iter().zip(&self.bounds).map(is_tight);
        tight.zip(&self.names).filter(|(is_tight, _)| *is_tight).map(|(_, &name)| name).collect()
    }

    /// The value of a choice.
    pub(super) fn worth(&self, counts: &[u64]) -> i128 {
        self.all.iter().zip(counts).map(|(column, &n)| i128::from(column.value) * i128::from(n)).sum()
    }

    /// Whether every row and every exact number holds, in integers.
    pub(super) fn allow(&self, counts: &[u64], exactly: &[Exactly]) -> bool {
        let sum = |place: usize| {
            let named = self.all.iter().zip(counts).filter(|(column, _)| column.exactly[place]);
            named.map(|(_, &n)| u128::from(n)).sum::<u128>()
        };
        let mut taken = vec![0_u128; self.bounds.len()];
        for (column, &n) in self.all.iter().zip(counts) {
            for &(row, units) in &column.takes {
                taken[row] = taken[row].saturating_add(u128::from(units).saturating_mul(n.into()));
            }
        }
        self.all.iter().zip(counts).all(|(column, &n)| n <= column.most)
            && exactly.iter().enumerate().all(|(place, exactly)| sum(place) == u128::from(exactly.hosts))
            && taken.iter().zip(&self.bounds).all(|(taken, bound)| taken <= bound)
    }

    /// Hosts by class: within each column, the earlier classes first.
    pub(super) fn expand(&self, counts: &[u64]) -> Vec<u64> {
        let mut by_class = vec![0; self.most.len()];
        for (column, &count) in self.all.iter().zip(counts) {
            let mut left = count;
            for &class in &column.classes {
                by_class[class] = left.min(self.most[class]);
                left -= by_class[class];
            }
        }
        by_class
    }
}

/// By row, its place among the rows that taking everything would exceed.
fn binding(problem: &Problem, bounds: &[u128], most: &[u64]) -> Vec<Option<usize>> {
    let mut all = vec![0_u128; bounds.len()];
    for (class, &most) in problem.classes.iter().zip(most) {
        for &(row, units) in &class.takes {
            all[row] = all[row].saturating_add(u128::from(units).saturating_mul(u128::from(most)));
        }
    }
    let mut next = 0..;
    all.iter().zip(bounds).map(|(all, bound)| if all > bound { next.next() } else { None }).collect()
}
