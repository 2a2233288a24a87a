//! The solver's tests.

mod covers;
mod effort;
mod problem;
mod rounded_sums;
mod search;
mod select;
mod tree;
