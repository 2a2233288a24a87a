//! The nouns: hosts, groups, subsystems, units, snapshots, time.
//!
//! No I/O, no clock, no async, and nothing that decides. Everything else may use
//! this module; it uses nothing of the crate.

mod bounds;
mod causes;
mod effect;
mod fleet;
mod ids;
mod readings;
mod snapshot;
mod time;

pub use bounds::Bounds;
pub use causes::{causes, chain};
pub use effect::{CALL_HOSTS, Call, CallOutcome, Effect};
pub use fleet::{FleetIdentity, Group, Health, Host, HostState, Process, Protection, TargetHealth, partition_of};
pub use ids::{
    FleetName, GroupName, HostId, LedgerId, Nonce, OperatorId, PlanDigest, RequestId, RunId, SubsystemName,
    TargetGroupId, ZoneName,
};
pub use readings::{ProbeKey, Reading, Sample};
pub use snapshot::{FleetSnapshot, InventoryError};
pub use time::{BadDuration, Time, duration_text, parse_duration};
