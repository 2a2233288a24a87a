//! The integer solver: how many hosts can go at most, and which of them are preferred.

pub(super) mod choice;
pub(super) mod columns;
pub(super) mod cuts;
pub(super) mod near;
pub(super) mod outline;
pub(super) mod search;
pub(super) mod select;
pub(super) mod vertex;

#[cfg(test)]
mod tests;
