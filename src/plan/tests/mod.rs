//! The planner's tests, by part.

mod oracle;
mod pace;
mod verify;
