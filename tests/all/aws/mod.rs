//! AWS, as an API server on loopback.

mod cases;
mod credentials;
mod departures;
mod doctor;
mod effects;
mod examples;
mod first_plan;
mod held;
mod live;
mod model;
mod observation;
mod permissions;
mod probes;
mod removal;
mod scale;
mod sources;
mod story;
mod strays;
mod unserving;
