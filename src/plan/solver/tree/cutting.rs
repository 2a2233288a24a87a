//! A [`Tree`] that makes cuts: as many as lower the bound of everything as a whole, and then some in every part.
//!
//! Cuts are made within what is left of everything, wherever they are made, so they hold in every other part too.

use super::{Effort, Range, Tableau, Tree};
use crate::plan::solver::basis::Basis;
use crate::plan::solver::covers::covers;
use crate::plan::solver::cut::{Cut, Made};
use crate::plan::solver::rounded_sums::rounded_sums;

/// Rounds of cuts of the whole that close less than this part of the gap, before there are no more.
const STALLED: usize = 4;
const PROGRESS: f64 = 0.01;

/// The part of the gap between the bound and what is wanted that the cuts of the whole must close.
const WORTH_CUTTING: f64 = 0.25;

/// Rounds of cuts of a part, and how much each must lower the bound for another.
const ROUNDS: usize = 4;
const LOWERED: f64 = 0.02;

/// With more cuts than this, those that do not bind are dropped.
const CUTS: usize = 100;

impl<'a> Tree<'a> {
    /// The same search from its beginning with cuts; `None` where they close too little of the gap.
    pub(in super::super) fn with_cuts(&self, effort: &Effort) -> Option<Self> {
        let mut tree = Self::new(self.columns, self.exactly, self.own().to_vec(), (self.worth, self.enough));
        if self.trace.is_some() {
            tree = tree.traced();
        }
        tree.cutting = true;
        tree.found = self.found.clone();
        let mut whole = tree.whole.clone();
        let Some(mut at) = tree.settle(&mut whole) else { return Some(tree) };
        let uncut = tree.gap();
        let (mut least, mut stalled) = (uncut, 0);
        while stalled < STALLED {
            let new = tree.sums(&whole, &at).into_iter().chain(tree.covers(&whole, &at)).collect();
            let has_new = tree.add(new);
            if !effort.spend(std::mem::take(&mut tree.tableau.work)) || !has_new {
                break;
            }
            match tree.settle(&mut whole) {
                Some(now) => at = now,
                None => return Some(tree),
            }
            stalled += 1;
            if tree.gap() < least - PROGRESS * uncut {
                (least, stalled) = (tree.gap(), 0);
            }
        }
        if uncut - tree.gap() < WORTH_CUTTING * uncut {
            return None;
        }
        // Columns that have no choice any more need not be computed with.
        let work = tree.tableau.work;
        tree.tableau = Tableau::new(tree.columns, &tree.rows, &whole);
        tree.tableau.work += work;
        let left = tree.settle(&mut whole);
        tree.whole = whole.clone();
        if let Some(at) = left {
            tree.split(whole, &at);
        }
        Some(tree)
    }

    /// How far the bound is above what is wanted.
    fn gap(&self) -> f64 {
        self.tableau.worth() - self.worth.saturating_add(1) as f64
    }

    /// Lowers the bound of a settled part by cuts, if the tree makes some: the optimum, or `None` if nothing is left.
    pub(super) fn sharpened(&mut self, range: &mut Range, mut at: Vec<f64>) -> Option<Vec<f64>> {
        if !self.cutting {
            return Some(at);
        }
        for _ in 0..ROUNDS {
            let before = self.tableau.worth();
            let new = self.covers(&self.whole.clone(), &at);
            if !self.add(new) {
                break;
            }
            at = self.settle(range)?;
            if before - self.tableau.worth() < LOWERED {
                break;
            }
        }
        Some(at)
    }

    /// Cuts from sums of rows, within the range of everything.
    fn sums(&mut self, whole: &Range, at: &[f64]) -> Vec<Cut> {
        let (tight, inside, multiples) = self.tableau.isolated(whole);
        let basis = Basis { tight: tight.iter().map(|&row| &self.rows[row]).collect(), inside, multiples };
        let (cuts, work) = rounded_sums(&basis, whole, at);
        self.tableau.work += work;
        let number = |made: Made| made.numbered(|place| self.numbers[tight[place]]);
        cuts.into_iter().map(|Cut { row, made }| Cut { row, made: number(made) }).collect()
    }

    /// Cuts from single rows of the problem, within the range of everything.
    fn covers(&mut self, whole: &Range, at: &[f64]) -> Vec<Cut> {
        let mut cuts = Vec::new();
        for row in 0..self.problem {
            let (found, work) = covers(&self.rows[row], whole, at);
            self.tableau.work += work;
            cuts.extend(found.into_iter().map(|found| Cut { row: found, made: Made::Cover(row) }));
        }
        cuts
    }

    /// Adds cuts; returns whether there were any.
    fn add(&mut self, cuts: Vec<Cut>) -> bool {
        let problem = self.problem;
        if cuts.is_empty() {
            return false;
        }
        if self.rows.len() > problem + CUTS {
            let kept = self.tableau.keep(|row| row < problem);
            self.rows = kept.iter().map(|&row| self.rows[row].clone()).collect();
            self.numbers = kept.iter().map(|&row| self.numbers[row]).collect();
        }
        let first = self.made;
        self.made += cuts.len();
        self.numbers.extend(first..self.made);
        if let Some(trace) = &mut self.trace {
            cuts.iter().for_each(|cut| trace.cut(cut));
        }
        let rows: Vec<_> = cuts.into_iter().map(|cut| cut.row).collect();
        self.tableau.add(&rows);
        self.rows.extend(rows);
        true
    }
}
