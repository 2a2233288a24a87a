//! Tests of what the provider refuses, and that a refusal changes nothing.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::model::Process;

fn fleet() -> (Scenario, State) {
    let scenario = Scenario::of(
        r#"
[[hosts]]
pool = "index"
count = 30
zones = ["a"]
standby = ["index-0001", "index-0002"]
pending = ["index-0003"]
terminating = ["index-0004"]
group_minimum = 20
group_maximum = 27

[[hosts]]
pool = "billing"
count = 2
zones = ["a"]
"#,
    );
    let state = State::create(&scenario, "fleet".to_owned(), Time::from_millis(0), Time::from_millis(0));
    (scenario, state)
}

fn ids(numbers: impl IntoIterator<Item = u64>) -> BTreeMap<HostId, BTreeSet<crate::model::TargetGroupId>> {
    numbers.into_iter().map(|n| (HostId::new(format!("index-{n:04}")), BTreeSet::new())).collect()
}

fn index() -> Option<GroupName> {
    Some("index".into())
}

#[test]
fn a_group_starts_as_auto_scaling_would_count_it() {
    let (scenario, state) = fleet();
    let groups: Vec<_> = state.groups(&scenario).map(|g| (g.name, g.desired, g.stated_members)).collect();
    assert_eq!(groups, [("billing".into(), 2, 2), ("index".into(), 27, 30)]);
    let first = state.hosts(&scenario).find(|h| h.id.as_str() == "index-0001").expect("listed");
    assert_eq!(first.launched_at, Time::from_millis(0).minus(DEFAULT_AGE));
}

#[test]
fn s1_what_a_provider_refuses_changes_nothing() {
    let cordon = |group, hosts| Effect::Cordon { group, hosts };
    let restore = |group, hosts| Effect::Restore { group, hosts };
    let terminate = |group, host: &str| Effect::Terminate { group, host: host.into() };
    for (effect, words) in [
        (cordon(index(), ids([])), "a call takes 1 to 20 hosts, not 0"),
        (cordon(index(), ids(5..=25)), "a call takes 1 to 20 hosts, not 21"),
        (cordon(index(), ids([5, 1])), "host index-0001 is in standby, not in service"),
        (cordon(index(), ids([5, 3])), "host index-0003 is pending, not in service"),
        (cordon(index(), ids([5, 31])), "there is no host index-0031"),
        (cordon(Some("billing".into()), ids([5])), "host index-0005 is in group index, not in group billing"),
        (cordon(None, ids([5])), "host index-0005 is in group index, not in no group"),
        (cordon(index(), ids(5..=12)), "group index: desired 27 less 8 is below its minimum 20"),
        (restore(index(), ids([5])), "host index-0005 is in service, not in standby"),
        (restore(index(), ids([1])), "group index: desired 27 and 1 more is above its maximum 27"),
        (terminate(index(), "index-0004"), "host index-0004 is terminating already"),
        (terminate(index(), "index-0099"), "there is no host index-0099"),
        (terminate(Some("billing".into()), "index-0001"), "host index-0001 is in group index, not in group billing"),
        (Effect::Suspend { group: "nobody".into(), process: Process::AzRebalance }, "there is no group nobody"),
    ] {
        let (scenario, mut state) = fleet();
        let before = state.clone();
        assert_eq!(state.perform(&scenario, &effect), Err(CallRefusal(words.to_owned())));
        assert_eq!(state, before, "{effect:?}");
    }
}

#[test]
fn a_termination_gives_up_desired_capacity_once() {
    let (scenario, mut state) = fleet();
    let terminate = |host: &str| Effect::Terminate { group: index(), host: host.into() };
    let desired = |state: &State| state.groups[&GroupName::from("index")].desired;
    assert_eq!(state.perform(&scenario, &terminate("index-0001")), Ok(()));
    assert_eq!(desired(&state), 27, "standby had given it up");
    assert_eq!(state.perform(&scenario, &terminate("index-0005")), Ok(()));
    assert_eq!(desired(&state), 26, "from service, it goes with the host");
    assert!(state.perform(&scenario, &terminate("index-0005")).is_err(), "gone is gone");
}

#[test]
fn processes_are_suspended_and_resumed() {
    let (scenario, mut state) = fleet();
    let (group, process) = (GroupName::from("index"), Process::AzRebalance);
    let suspended = |state: &State| state.groups(&scenario).map(|g| g.suspended.len()).collect::<Vec<_>>();
    for _ in 0..2 {
        assert_eq!(state.perform(&scenario, &Effect::Suspend { group: group.clone(), process }), Ok(()));
        assert_eq!(suspended(&state), [0, 1]);
    }
    assert_eq!(state.perform(&scenario, &Effect::Resume { group, process }), Ok(()));
    assert_eq!(suspended(&state), [0, 0]);
}

#[test]
fn events_fire_when_they_are_due_and_spare_what_is_gone() {
    let scenario = Scenario::of(
        "[[hosts]]\npool = 'a'\ncount = 2\nzones = ['z']\n\
         [[events]]\nat = '1s'\nfail = ['a-0001', 'a-0002']\n[[events]]\nat = '2s'\nrecover = ['a-0001', 'a-0002']\n",
    );
    let mut state = State::create(&scenario, "fleet".to_owned(), Time::from_millis(500), Time::from_millis(0));
    assert!(state.due(&scenario, Time::from_millis(1499)).is_empty());
    let due = state.due(&scenario, Time::from_millis(1500));
    assert_eq!(due.len(), 1);
    state.hosts.remove("a-0002");
    state.fire(&scenario, &due[0]);
    assert_eq!(state.hosts.values().map(|h| h.healthy).collect::<Vec<_>>(), [false]);
    assert!(state.due(&scenario, Time::from_millis(2499)).is_empty(), "once");
    assert_eq!(state.due(&scenario, Time::from_millis(i64::MAX)).len(), 1);
}

#[test]
fn s1_a_host_that_is_doubtful_did_not_fail_and_recovering_makes_either_well() {
    let scenario = Scenario::of(
        "[[hosts]]\npool = 'a'\ncount = 4\nzones = ['z']\nunhealthy = ['a-0001']\ndoubtful = ['a-0002']\n\
         [[events]]\nat = '1s'\ndoubt = ['a-0001', 'a-0003']\nfail = ['a-0002']\n\
         [[events]]\nat = '2s'\nrecover = ['a-0001', 'a-0002', 'a-0003']\n",
    );
    let mut state = State::create(&scenario, "fleet".to_owned(), Time::from_millis(0), Time::from_millis(0));
    let healths = |state: &State| state.hosts(&scenario).map(|h| h.health).collect::<Vec<_>>();
    assert_eq!(healths(&state), [Health::Failed, Health::Doubtful, Health::Healthy, Health::Healthy]);
    state.fire(&scenario, &state.due(&scenario, Time::from_millis(1000))[0]);
    assert_eq!(healths(&state), [Health::Doubtful, Health::Failed, Health::Doubtful, Health::Healthy]);
    let text = serde_json::to_string(&state).expect("written");
    assert_eq!(healths(&serde_json::from_str(&text).expect("read")), healths(&state));
    state.fire(&scenario, &state.due(&scenario, Time::from_millis(2000))[0]);
    assert_eq!(healths(&state), [Health::Healthy; 4]);
    // A state file of an earlier version has no doubtful hosts.
    let old: HostStatus = serde_json::from_str(r#"{"state": "in-service", "healthy": false}"#).expect("read");
    assert_eq!(old.health(), Health::Failed);
}

proptest! {
    #[test]
    fn each_host_that_is_not_gone_has_its_own_blueprint(gone in prop::collection::btree_set(1_u64..=30, 0..30)) {
        let (scenario, mut state) = fleet();
        for number in gone {
            state.hosts.remove(format!("index-{number:04}").as_str());
        }
        // No scenario makes it, and it must not hide the next.
        state.hosts.insert("index".into(), HostStatus::new(HostState::Pending, Health::Failed));
        state.hosts.insert("index-0004-1".into(), HostStatus::new(HostState::Pending, Health::Failed));
        let listed: Vec<_> = state.hosts(&scenario).map(|host| (host.id, host.state, host.health, host.zone)).collect();
        let looked_up: Vec<_> = state.hosts.iter().filter_map(|(id, status)| {
            let Host { id, zone, .. } = scenario.hosts.get(id.as_str())?.host.clone();
            Some((id, status.state, status.health(), zone))
        }).collect();
        prop_assert_eq!(listed, looked_up);
    }

    #[test]
    fn a_state_reads_what_it_writes(gone in 1_u64..30, fired in 0_usize..9, factor in 0.0..1e9) {
        let (_, mut state) = fleet();
        state.hosts.remove(format!("index-{gone:04}").as_str());
        state.events_fired = fired;
        state.demand.insert("index".into(), factor);
        state.ledger = Some("ledger".into());
        let text = serde_json::to_string(&state).expect("written");
        prop_assert_eq!(serde_json::from_str::<State>(&text).expect("read"), state);
    }
}

#[test]
fn a_minimum_is_raised_to_the_desired_size_at_most_and_holds_from_then_on() {
    let (scenario, mut state) = fleet();
    let group = GroupName::new("index");
    let (is, desired) = (scenario.pools[&group].minimum, state.groups[&group].desired);
    let mut raise = |from, to| state.perform(&scenario, &Effect::RaiseMinimum { group: group.clone(), from, to });
    assert!(raise(is + 1, desired).is_err(), "it was another");
    assert!(raise(is, desired + 1).is_err(), "it would launch");
    assert!(raise(is, is).is_err(), "it is no higher");
    raise(is, desired).expect("raised");
    let cordon = Effect::Cordon { group: Some(group.clone()), hosts: ids([1]) };
    assert!(state.perform(&scenario, &cordon).is_err());
    assert_eq!(state.groups(&scenario).find(|of| of.name == group).expect("listed").min_size, desired);
}
