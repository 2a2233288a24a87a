//! What keeps a member on its way out, in words. Main function: [`held`]. Pure.

use std::collections::BTreeMap;

use aws_sdk_autoscaling::types::{LifecycleHook, LifecycleState};

use super::groups::{HEARTBEAT, TERMINATING};
use super::hosts::Inventory;
use crate::model::HostId;

/// Each member that is held, with its lifecycle state and what holds it.
///
/// A hook may hold it for longer than its heartbeat timeout, up to 48 hours, where somebody records heartbeats (API
/// reference, `RecordLifecycleActionHeartbeat`). A member in `Terminating:Retained` stays until somebody terminates it
/// once more (User Guide, "Control instance retention with instance lifecycle policies").
pub(super) fn held(inventory: &Inventory) -> BTreeMap<HostId, String> {
    let none = Vec::new();
    let mut all = BTreeMap::new();
    for group in &inventory.groups {
        let name = group.auto_scaling_group_name().unwrap_or_default();
        let hooks = inventory.details.get(name).map_or(&none, |detail| &detail.hooks);
        for member in group.instances() {
            let text = match member.lifecycle_state() {
                Some(LifecycleState::TerminatingWait) => format!("Terminating:Wait: {}", by_hooks(hooks)),
                Some(LifecycleState::TerminatingRetained) => format!(
                    "Terminating:Retained: a lifecycle action for it was abandoned, and group {name} keeps such \
                     instances. It runs until somebody calls TerminateInstanceInAutoScalingGroup for it once more"
                ),
                _ => continue,
            };
            all.extend(member.instance_id().map(|id| (HostId::new(id), text)));
        }
    }
    all
}

fn by_hooks(hooks: &[LifecycleHook]) -> String {
    let of = |hook: &LifecycleHook| {
        let name = hook.lifecycle_hook_name().unwrap_or("without a name");
        format!("lifecycle hook {name} may hold it for up to {} s", hook.heartbeat_timeout().unwrap_or(HEARTBEAT))
    };
    let ending = hooks.iter().filter(|hook| hook.lifecycle_transition() == Some(TERMINATING));
    let texts: Vec<String> = ending.map(of).collect();
    if texts.is_empty() { "a lifecycle hook holds it".to_owned() } else { texts.join(", ") }
}

#[cfg(test)]
mod tests {
    use aws_sdk_autoscaling::types::{AutoScalingGroup, Instance};

    use super::super::groups::Detail;
    use super::*;

    fn hook(name: &str, transition: &str, seconds: Option<i32>) -> LifecycleHook {
        LifecycleHook::builder()
            .lifecycle_hook_name(name)
            .lifecycle_transition(transition)
            .set_heartbeat_timeout(seconds)
            .build()
    }

    fn text(state: LifecycleState, hooks: Vec<LifecycleHook>) -> Option<String> {
        let member = Instance::builder().instance_id("i-1").lifecycle_state(state).build();
        let group = AutoScalingGroup::builder().auto_scaling_group_name("web").instances(member).build();
        let details = BTreeMap::from([("web".to_owned(), Detail { hooks, ..Detail::default() })]);
        held(&Inventory { groups: vec![group], details, ..Default::default() }).remove(&HostId::new("i-1"))
    }

    #[test]
    fn a_member_that_a_hook_holds_says_which_and_for_how_long() {
        let hooks = || {
            vec![
                hook("bye-bye", TERMINATING, None),
                hook("hello", "autoscaling:EC2_INSTANCE_LAUNCHING", Some(60)),
                hook("drain", TERMINATING, Some(300)),
            ]
        };
        assert_eq!(
            text(LifecycleState::TerminatingWait, hooks()).as_deref(),
            Some(
                "Terminating:Wait: lifecycle hook bye-bye may hold it for up to 3600 s, lifecycle hook drain may hold it for up to 300 s"
            )
        );
        assert_eq!(text(LifecycleState::Terminating, hooks()), None);
        assert_eq!(
            text(LifecycleState::TerminatingWait, Vec::new()).as_deref(),
            Some("Terminating:Wait: a lifecycle hook holds it")
        );
    }

    #[test]
    fn a_member_that_its_group_retains_says_who_must_act() {
        let text = text(LifecycleState::TerminatingRetained, Vec::new()).expect("held");
        assert!(text.starts_with("Terminating:Retained: ") && text.contains("until somebody calls"), "{text}");
    }
}
