//! Policy files: what each subsystem must keep, and how fast it may lose hosts.
//!
//! [`PolicySet`] is one policy directory, whole and validated. The only way to get one is [`load`] (or [`check`], its
//! pure part), so nothing downstream meets an unchecked value. [`FleetAlone`], which [`load_fleet`] returns, holds
//! `fleet.toml` only and is for commands that never remove. Reading the files is the thin shell `files`, and `detour`
//! looks which of their paths are links; everything else here is pure: text to tree (`read`), tree to raw types (`raw`,
//! `value`), raw types to policies (`check`). Every
//! stage reports all its problems with their places (`problem`).
//!
//! **What has no default** (S3): name, selector, baseline, minimum, `max_hosts_per_run`, `batch`, `interval`, `budgets`
//! (`[]` must be written, and gives a warning), `bake`, `every`, provider and ledger. A key that may be left out limits
//! no removal (`description`, `owner`), or is a further restriction that nobody asked for (`minimum_per_zone`,
//! `survive_zone_loss`, `ramp`, `windows`, …), or defaults to a strict value that the contract states (`unattended_max`,
//! `max_unserving`, `failures`, `timeout`, `offline_limit`, `settle`).

#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

mod check;
mod command;
mod detour;
mod files;
mod hidden;
mod loosened;
mod matching;
mod patterns;
mod problem;
mod raw;
mod read;
mod runnable;
mod schema;
mod show;
mod starter;
mod types;
mod value;
mod windows;

pub(crate) use check::FleetAlone;
#[cfg(feature = "aws")]
pub(crate) use check::{alarm_of, region_of};
pub(crate) use command::{BEHIND_A_COLON, command, option, placed, quoted};
pub(crate) use detour::straight;
pub(crate) use files::{ledger_place, load, load_fleet};
pub(crate) use loosened::loosened;
pub(crate) use problem::{Look, PolicyErrors, PolicyProblem, nearest};
pub(crate) use schema::{PolicyFile, schema};
pub(crate) use show::{effective, show};
pub(crate) use starter::{Starter, names_of, starter};
pub use types::*;

/// The policy directory if none is named.
pub(crate) const DEFAULT_DIRECTORY: &str = "./policies";

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
