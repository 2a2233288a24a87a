//! [`Trace`]: what a [`Tree`](super::tree::Tree) excluded, step by step, so that somebody else can check it. It is kept
//! only if somebody asks: it grows with every visit.

use super::basis::Row;
use super::cut::{Cut, Made};
use super::prices::Prices;

/// One step: what is excluded in the part of the choices that is being looked at, by the rows so far.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// These prices of rows, by number and in parts of [`UNIT`](super::prices::UNIT), leave too little worth outside a
    /// narrower part.
    Priced(Vec<(usize, i128)>),
    /// These multiples of rows leave less than nothing.
    Broken(Vec<(usize, i128)>),
    /// One more row, which gets the next number: `sum(units * count) <= bound`, by column.
    Cut { takes: Vec<(usize, i128)>, bound: i128, made: Made },
}

impl Step {
    pub(super) fn is_cut(&self) -> bool {
        matches!(self, Self::Cut { .. })
    }

    /// The rows that it rests on, by number.
    pub(super) fn rows(&self) -> Vec<usize> {
        match self {
            Self::Priced(rows) | Self::Broken(rows) => rows.iter().map(|(row, _)| *row).collect(),
            Self::Cut { made: Made::Cover(of), .. } => vec![*of],
            Self::Cut { made: Made::Rounded(rounded), .. } => rounded.rows.iter().map(|(row, _)| *row).collect(),
        }
    }

    /// Gives the rows other numbers.
    pub(super) fn number(&mut self, numbers: &[usize]) {
        match self {
            Self::Priced(rows) | Self::Broken(rows) => rows.iter_mut().for_each(|(row, _)| *row = numbers[*row]),
            Self::Cut { made: Made::Cover(of), .. } => *of = numbers[*of],
            Self::Cut { made: Made::Rounded(rounded), .. } => {
                rounded.rows.iter_mut().for_each(|(row, _)| *row = numbers[*row]);
            }
        }
    }
}

/// A part of the choices.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    pub(crate) steps: Vec<Step>,
    /// The column at which it is split, the most hosts of the first half, and the two halves by number. `None` if the
    /// steps leave nothing of it.
    pub(crate) split: Option<(usize, u64, [usize; 2])>,
}

/// The parts that were looked at, by number; the first is everything.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) parts: Vec<Part>,
    /// The part that is being looked at.
    now: usize,
}

impl Trace {
    pub(super) fn new() -> Self {
        Self { parts: vec![Part::default()], now: 0 }
    }

    pub(super) fn look_at(&mut self, part: usize) {
        self.now = part;
    }

    /// `numbers` are the numbers of the rows that have these prices.
    pub(super) fn priced(&mut self, prices: &Prices, numbers: &[usize]) {
        self.parts[self.now].steps.push(Step::Priced(prices.numbered(numbers)));
    }

    pub(super) fn broken(&mut self, multiples: &Prices, numbers: &[usize]) {
        self.parts[self.now].steps.push(Step::Broken(multiples.numbered(numbers)));
    }

    /// A cut holds wherever the search goes on, so it is a step of the whole.
    pub(super) fn cut(&mut self, cut: &Cut) {
        let Row { takes, bound, .. } = cut.row.clone();
        self.parts[0].steps.push(Step::Cut { takes, bound, made: cut.made.clone() });
    }

    /// Splits the part that is being looked at; returns the numbers of its halves.
    pub(super) fn split(&mut self, column: usize, at: u64) -> [usize; 2] {
        let halves = [self.parts.len(), self.parts.len() + 1];
        self.parts.extend([Part::default(), Part::default()]);
        self.parts[self.now].split = Some((column, at, halves));
        halves
    }
}
