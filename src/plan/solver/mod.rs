//! The integer solver: how many hosts can go at most, and which of them are preferred.

mod choice;
mod columns;
mod cuts;
mod enumeration;
mod near;
mod offer;
mod outline;
mod problem;
mod relaxation;
mod search;
mod select;
mod vertex;

#[cfg(test)]
mod tests;

pub(super) use problem::{Class, Problem, Row};
pub(super) use search::Reach;
pub(super) use select::{Maximum, Selector};
