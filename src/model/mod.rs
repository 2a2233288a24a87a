//! The nouns: hosts, groups, subsystems, units, snapshots, time.
//!
//! No I/O, no clock, no async, and nothing that decides. Everything else may use
//! this module; it uses nothing of the crate.

#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

mod activity;
mod arn;
mod bounds;
mod causes;
mod effect;
mod fleet;
mod hooks;
mod ids;
mod obstacle;
mod ordered;
mod readings;
mod scope;
mod snapshot;
mod tags;
mod time;
mod words;

pub use activity::{Departure, Launch};
pub(crate) use arn::{Arn, is_account};
pub use bounds::Bounds;
pub(crate) use bounds::PUT_BACK;
#[cfg(any(feature = "aws", feature = "dynamodb"))]
pub(crate) use causes::causes;
pub use causes::chain;
pub(crate) use effect::CALL_HOSTS;
pub use effect::{Call, CallOutcome, Effect, HostTargets};
#[cfg(any(test, feature = "aws"))]
pub(crate) use fleet::TargetHealth;
pub(crate) use fleet::partition_of;
pub use fleet::{FleetIdentity, Group, Health, Host, HostState, OwnChanges, Process, Protection, ScheduledChange};
pub use hooks::{ConsultedBefore, HookAnswer, HookCall, HookKey, HookStage};
pub(crate) use hooks::{HOOK_SCHEMA, HookDocument, HookHost};
pub use ids::{
    BatchNumber, FleetName, GroupName, HostId, LedgerId, Nonce, OperatorId, PlanDigest, RequestId, RunId,
    SubsystemName, TargetGroupId, ZoneName,
};
pub use obstacle::{Obstacle, ObstacleKind};
pub(crate) use ordered::{Identified, Ordered};
pub(crate) use readings::{OwnTime, Reading, Sample};
pub use readings::{ProbeKey, Quantity, Share};
pub use scope::Scope;
pub use snapshot::{Contradiction, FleetMark, FleetSnapshot, InventoryError};
pub use tags::{Tags, TagsIter};
pub use time::Time;
pub(crate) use time::{BadDuration, duration_text, parse_duration, span_text};
pub(crate) use words::{counted, is_or_are};
