//! The planner's tests, by part.

mod oracle;
mod pace;
mod planner;
mod select;
mod verify;
mod warnings;
mod what_if;
