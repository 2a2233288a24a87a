//! The integer solver: the maximum number of hosts that can go, and which of them are preferred.
//!
//! Its input is a [`Problem`]: classes of interchangeable hosts, and rows that limit what may be taken. It answers with
//! counts per class, and with the hosts that these counts stand for. It must not know a rule, a policy, a plan or a
//! document: the caller keeps what a row stands for. Floating point only proposes; everything that is accepted is
//! checked in integers.
//!
//! The files in reading order:
//!
//! | file | what it is |
//! | --- | --- |
//! | `problem` | classes, rows, and what is feasible |
//! | `choice` | a choice in the making, and its objective value |
//! | `offer` | what there is to choose from; the preferred hosts one after the other, and upper bounds |
//! | `columns` | classes that the rows do not tell apart, taken together |
//! | `basis` | the basis of a relaxation's optimum, and what follows from it |
//! | `relaxation` | the linear relaxation, solved in fractions |
//! | `cut` | a row that whole numbers keep and the relaxation breaks |
//! | `counted` | sums of rows, rounded, in integers |
//! | `rounded_sums` | cuts from sums of rows: which to make |
//! | `covers` | cuts from single rows |
//! | `rounding` | whole choices near an optimum in fractions |
//! | `aggregate_bound` | the quick way to a maximum, from the few rows that matter most |
//! | `effort` | how much work a search may do |
//! | `search` | branch and cut, for large problems |
//! | `tableau` | the relaxation of a small problem, solved again and again |
//! | `prices` | what a relaxation proves, in integers |
//! | `climb` | a choice of one host more, by local search |
//! | `trace` | what a tree excluded, step by step |
//! | `tree` | branch and bound on a tableau |
//! | `small` | the search of a small problem: two trees and a climb in turn |
//! | `proof` | why a count is impossible, for somebody else to check |
//! | `enumeration` | all choices, if there are few |
//! | `select` | the [`Selector`]: what the rest of `plan` asks |

mod aggregate_bound;
mod basis;
mod choice;
mod climb;
mod columns;
mod counted;
mod covers;
mod cut;
mod effort;
mod enumeration;
mod offer;
mod prices;
mod problem;
mod proof;
mod relaxation;
mod rounded_sums;
mod rounding;
mod search;
mod select;
mod small;
mod tableau;
mod trace;
mod tree;

#[cfg(test)]
mod tests;

pub(super) use basis::Row as Sum;
pub(super) use cut::{Made, Rounded};
pub(super) use effort::Effort;
pub(super) use prices::UNIT;
pub(super) use problem::{Class, Problem, Row};
pub(super) use proof::Proof;
pub(super) use search::Reach;
pub(super) use select::{Maximum, Selector};
pub(super) use trace::{Part, Step};
