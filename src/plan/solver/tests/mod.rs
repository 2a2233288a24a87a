//! The solver's tests.

mod cuts;
mod search;
mod tree;
