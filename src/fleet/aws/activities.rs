//! The activities of groups: what each group says that it did, and why. Main type: [`Told`]. Pure.
//!
//! An activity's description names the instance ("Terminating EC2 instance: i-0123", at times with " - " and a remark behind
//! it), its cause says in sentences why (API reference, `DescribeScalingActivities`; User Guide, "Verify a scaling activity for
//! an Auto Scaling group").
//!
//! A termination without a decrement is answered so (hjacobs/kube-aws-autoscaler#7, from a real account): "At
//! 2017-02-11T15:33:29Z instance i-02e6f917c5d3bd5d8 was taken out of service in response to a user request.", and twelve
//! seconds later "At 2017-02-11T15:33:41Z an instance was started in response to a difference between desired and actual
//! capacity, increasing the capacity from 5 to 6." Where somebody changed the desired capacity, the same sentence stands
//! behind one that says who: "a user request explicitly set group desired capacity changing the desired capacity from 5 to
//! 8", "a monitor alarm ... triggered policy ... changing the desired capacity from 2 to 1" (the same source; AWS Knowledge
//! Center, "My Auto Scaling group scaled down without my intervention").

use std::collections::BTreeMap;

use aws_sdk_autoscaling::primitives::DateTime;
use aws_sdk_autoscaling::types::Activity;

use super::groups::Detail;
use crate::model::{Departure, GroupName, HostId, Launch, Time};

/// Words in the causes of launches that answer no termination. Any other cause counts as one that does, unless the desired
/// capacity was raised ([`was_raised`]).
///
/// Sources: "an instance was launched in response to an unhealthy instance needing to be replaced" and "An instance was
/// launched to aid in balancing the group's zones" (activity histories in public repositories); the wording of the others was
/// not seen, and is what the User Guide calls them.
const EXPLAINED: [&str; 4] =
    ["unhealthy instance needing to be replaced", "balanc", "instance refresh", "instance lifetime"];

/// A description that fills the warm pool, and not the group ("Launching a new EC2 instance into warm pool: i-0123", the same
/// sources). One "from warm pool" brings a member.
const FILLS_WARM_POOL: &str = "into warm pool";

/// The activities of all groups, sorted by the hosts that they are about.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Why each host left that a group has terminated lately, or that was detached.
    pub(super) departures: BTreeMap<HostId, Departure>,
    /// The launches of each group that only a missing member explains.
    pub(super) launches: BTreeMap<GroupName, Vec<Launch>>,
}

impl Told {
    pub(super) fn of(details: &BTreeMap<String, Detail>) -> Self {
        let mut told = Self::default();
        for (group, detail) in details {
            for activity in &detail.activities {
                told.take(group, activity);
            }
        }
        told
    }

    fn take(&mut self, group: &str, activity: &Activity) {
        let (description, why) =
            (activity.description().unwrap_or_default(), activity.cause().unwrap_or_default().trim());
        let at = activity.start_time().and_then(time);
        let host = host(description);
        if description.starts_with("Terminating") || description.starts_with("Detaching") {
            if let Some(host) = host {
                // Newest first.
                self.departures.entry(host).or_insert_with(|| Departure { at, why: why.to_owned() });
            }
        } else if description.starts_with("Launching")
            && let Some(at) = at
            && !description.contains(FILLS_WARM_POOL)
            && !was_raised(why)
            && !EXPLAINED.iter().any(|words| why.contains(words))
        {
            let launch = Launch { host, at, why: why.to_owned() };
            self.launches.entry(GroupName::new(group)).or_default().push(launch);
        }
    }
}

/// Whether a cause says that somebody raised the desired capacity. Where it was lowered, that explains no launch.
fn was_raised(why: &str) -> bool {
    let size = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok();
    why.split("changing the desired capacity from ").skip(1).any(|change| {
        let sizes = change.split_once(" to ").and_then(|(from, to)| Some((size(from)?, size(to)?)));
        sizes.is_some_and(|(from, to)| to > from)
    })
}

/// The instance that a description names.
fn host(description: &str) -> Option<HostId> {
    let id = description.split_once(": ")?.1.split([' ', '.']).next()?;
    id.starts_with("i-").then(|| HostId::new(id))
}

fn time(at: &DateTime) -> Option<Time> {
    at.to_millis().ok().map(Time::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(activities: &[(&str, &str)]) -> Told {
        let activity = |(description, cause): &(&str, &str)| {
            Activity::builder().description(*description).cause(*cause).start_time(DateTime::from_secs(100)).build()
        };
        let activities = activities.iter().map(activity).collect();
        Told::of(&BTreeMap::from([("web".to_owned(), Detail { activities, ..Detail::default() })]))
    }

    #[test]
    fn why_a_host_left_is_told_in_the_words_of_its_newest_activity() {
        let told = told(&[
            (
                "Terminating EC2 instance: i-1 - Waiting For ELB Connection Draining.",
                "At 2024-12-05T21:48:52Z an instance was taken out of service in response to a difference between desired \
                 and actual capacity, shrinking the capacity from 2 to 1. ",
            ),
            ("Terminating EC2 instance: i-1", "an older one"),
            ("Detaching EC2 instance: i-2", "by hand"),
            ("Terminating EC2 instance", "no id"),
        ]);
        assert_eq!(told.departures.len(), 2, "{told:?}");
        let first = &told.departures[&HostId::new("i-1")];
        assert!(first.why.ends_with("shrinking the capacity from 2 to 1."), "{told:?}");
        assert_eq!(first.at, Some(Time::from_millis(100_000)));
        assert_eq!(told.departures[&HostId::new("i-2")].why, "by hand");
    }

    #[test]
    fn a_launch_answers_a_termination_unless_its_cause_says_something_else() {
        let started = "At 2017-02-11T15:36:37Z an instance was started in response to a difference between desired and \
                       actual capacity, increasing the capacity from 5 to 8.";
        let asked = "At 2017-02-11T15:36:21Z a user request explicitly set group desired capacity changing the desired \
                     capacity from 5 to 8.  ";
        let lowered = "At 2017-02-11T15:36:21Z a scheduled action update of AutoScalingGroup constraints to min: 1, max: 5, \
                       desired: 2 changing the desired capacity from 3 to 2.  ";
        let new = "Launching a new EC2 instance: i-9";
        let (into, from) =
            ("Launching a new EC2 instance into warm pool: i-9", "Launching a new EC2 instance from warm pool: i-9");
        for (new, cause, answers) in [
            (new, started.to_owned(), true),
            (new, format!("{asked}{started}"), false),
            (new, format!("{lowered}{started}"), true),
            (new, format!("{lowered}{asked}{started}"), false),
            (new, "changing the desired capacity from few to many".to_owned(), true),
            (new, "launched in response to an unhealthy instance needing to be replaced.".to_owned(), false),
            (new, "an instance was launched to aid in balancing the group's zones.".to_owned(), false),
            (new, "something new".to_owned(), true),
            (into, started.to_owned(), false),
            (from, started.to_owned(), true),
        ] {
            let told = told(&[(new, &cause), ("Moving EC2 instance out of Standby: i-1", started)]);
            let launches: Vec<&Launch> = told.launches.values().flatten().collect();
            assert_eq!(launches.len(), usize::from(answers), "{cause}");
            assert!(launches.iter().all(|launch| launch.host == Some(HostId::new("i-9"))));
        }
        let failed = told(&[("Launching a new EC2 instance.  Status Reason: no capacity", started)]);
        assert_eq!(failed.launches[&GroupName::new("web")][0].host, None, "one that failed counts too");
    }
}
