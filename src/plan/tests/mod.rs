//! The planner's tests, by part.

mod certificate;
mod checker;
mod constraints;
mod doubts;
mod floor;
mod greedy;
mod kept;
mod large;
mod membership;
mod obstacles;
mod oracle;
mod order;
mod pace;
mod planner;
mod program;
mod proof;
mod select;
mod unproved;
mod verify;
mod warnings;
mod weights;
mod why;
