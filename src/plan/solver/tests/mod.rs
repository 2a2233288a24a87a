//! The solver's tests.

mod covers;
mod rounded_sums;
mod search;
mod tree;
