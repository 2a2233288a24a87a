//! The solver's tests.

mod cuts;
mod tree;
