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
//! | `cuts` | rows that whole numbers keep and the relaxation breaks |
//! | `rounding` | whole choices near an optimum in fractions |
//! | `aggregate_bound` | the quick way to a maximum, from the few rows that matter most |
//! | `search` | branch and cut |
//! | `enumeration` | all choices, if there are few |
//! | `select` | the [`Selector`]: what the rest of `plan` asks |

mod aggregate_bound;
mod basis;
mod choice;
mod columns;
mod cuts;
mod enumeration;
mod offer;
mod problem;
mod relaxation;
mod rounding;
mod search;
mod select;

#[cfg(test)]
mod tests;

pub(super) use problem::{Class, Problem, Row};
pub(super) use search::Reach;
pub(super) use select::{Maximum, Selector};
