//! The solver's tests.

mod cuts;
