//! Launches that answer this run's own terminations.
//!
//! A host that is terminated in standby has given up its share of the group's desired capacity, and nothing takes its place.
//! AWS says so nowhere in these words. If a group launches in its place all the same, each further host would be replaced too,
//! and the fleet would never shrink.

use crate::model::{Effect, FleetSnapshot, Launch};

use super::RunHistory;
use super::knowledge::SentTerminate;
use super::machine::Machine;

impl Machine {
    /// The first launch that answers a termination which this run sent, in words.
    pub(super) fn answering_launch(&self, snapshot: &FleetSnapshot) -> Option<String> {
        self.calls.terminates.iter().find_map(|sent| {
            // By the provider's own clock. A termination that it does not tell of has not begun, and nothing answers it.
            let from = snapshot.departure(&sent.host)?.at?;
            let answers = |launch: &&Launch| launch.at >= from;
            let launch = snapshot.launches(&sent.group).iter().filter(answers).min_by_key(|launch| launch.at)?;
            let new = launch.host.as_ref().map_or_else(|| "a host".to_owned(), |host| format!("host {host}"));
            Some(format!(
                "group {} launched {new} at {}, after this run terminated host {}: what goes is replaced (the provider says: \
                 {})",
                sent.group, launch.at, sent.host, launch.why
            ))
        })
    }
}

/// The terminations of group members that a journal intends.
pub(super) fn terminates(history: &RunHistory<'_>) -> Vec<SentTerminate> {
    let sent = |effect: &Effect| match effect {
        Effect::Terminate { group: Some(group), host } => {
            Some(SentTerminate { group: group.clone(), host: host.clone() })
        }
        Effect::Terminate { group: None, .. }
        | Effect::Cordon { .. }
        | Effect::Restore { .. }
        | Effect::Suspend { .. }
        | Effect::Resume { .. }
        | Effect::Adopt { .. }
        | Effect::RaiseMinimum { .. } => None,
    };
    history.calls.values().filter_map(|call| sent(&call.intent.effect)).collect()
}
