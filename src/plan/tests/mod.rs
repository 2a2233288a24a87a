//! The planner's tests, by part.

mod large;
mod oracle;
mod pace;
mod planner;
mod program;
mod proof;
mod select;
mod verify;
mod warnings;
mod weights;
mod what_if;
mod why;
