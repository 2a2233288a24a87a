//! AWS, as an API server on loopback.

mod cases;
mod effects;
mod observation;
mod removal;
mod story;
mod unserving;
