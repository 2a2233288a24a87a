//! What a group says that it did, and why. Main function: [`departures`]. Pure.
//!
//! An activity's description names the instance ("Terminating EC2 instance: i-0123", at times with " - " and a remark behind
//! it), its cause says in sentences why (API reference, `DescribeScalingActivities`; User Guide, "Verify a scaling activity for
//! an Auto Scaling group").

use std::collections::BTreeMap;

use aws_sdk_autoscaling::types::Activity;

use super::groups::Detail;
use crate::model::HostId;

const TERMINATING: &str = "Terminating EC2 instance: ";

/// Why each host left that a group has terminated lately, or detached, in the group's words.
pub(super) fn departures(details: &BTreeMap<String, Detail>) -> BTreeMap<HostId, String> {
    let mut all = BTreeMap::new();
    for activity in details.values().flat_map(|detail| &detail.activities) {
        let host = named(activity, TERMINATING).or_else(|| named(activity, "Detaching EC2 instance: "));
        if let (Some(host), Some(cause)) = (host, activity.cause()) {
            // Newest first.
            all.entry(host).or_insert_with(|| cause.trim().to_owned());
        }
    }
    all
}

/// The instance that an activity of this kind names.
fn named(activity: &Activity, kind: &str) -> Option<HostId> {
    let id = activity.description()?.strip_prefix(kind)?.split([' ', '.']).next()?;
    id.starts_with("i-").then(|| HostId::new(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity(description: &str, cause: &str) -> Activity {
        Activity::builder().description(description).cause(cause).build()
    }

    #[test]
    fn why_a_host_left_is_told_in_the_words_of_its_newest_activity() {
        // The first cause is AWS's own wording for a scale-in (SNS notifications in public repositories).
        let activities = vec![
            activity("Launching a new EC2 instance: i-4", "At 2024-12-05T21:49:00Z an instance was started."),
            activity(
                "Terminating EC2 instance: i-1 - Waiting For ELB Connection Draining.",
                "At 2024-12-05T21:48:52Z an instance was taken out of service in response to a difference between desired \
                 and actual capacity, shrinking the capacity from 2 to 1. ",
            ),
            activity("Terminating EC2 instance: i-1", "an older one"),
            activity("Detaching EC2 instance: i-2", "by hand"),
            activity("Terminating EC2 instance", "no id"),
        ];
        let details = BTreeMap::from([("web".to_owned(), Detail { activities, ..Detail::default() })]);
        let told = departures(&details);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[&HostId::new("i-1")].ends_with("shrinking the capacity from 2 to 1."), "{told:?}");
        assert_eq!(told[&HostId::new("i-2")], "by hand");
    }
}
