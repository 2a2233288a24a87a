//! The planner's tests, by part.

mod pace;
mod verify;
