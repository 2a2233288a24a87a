//! When tied events fire, and that they fire once.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::state::State;
use super::*;
use crate::model::{Effect, SubsystemName};

const FLEET: &str = "[[hosts]]\npool = 'index'\ncount = 6\nzones = ['a']\n\
                     [[hosts]]\npool = 'billing'\ncount = 3\nzones = ['a']\n\
                     [[load]]\nsubsystem = 'index'\ndemand = 1\nper_unit = 1\nlatency = 1\n";

/// A fleet at a time in seconds, from its creation.
struct Story {
    scenario: Scenario,
    state: State,
}

impl Story {
    fn of(events: &str) -> Self {
        let scenario = Scenario::of(&format!("{FLEET}{events}"));
        let state = State::create(&scenario, "fleet".to_owned(), at(0), at(0));
        Self { scenario, state }
    }

    fn call(&mut self, now: u64, effect: Effect) {
        self.state.perform(&self.scenario, &effect).expect("not refused");
        self.state.meet(&self.scenario, at(now));
    }

    fn cordon(&mut self, now: u64, pool: &str, hosts: &[u64]) {
        let hosts = hosts.iter().map(|n| (id(pool, *n), BTreeSet::new())).collect();
        self.call(now, Effect::Cordon { group: Some(pool.into()), hosts });
    }

    fn terminate(&mut self, now: u64, pool: &str, host: u64) {
        self.call(now, Effect::Terminate { group: Some(pool.into()), host: id(pool, host) });
    }

    fn restore(&mut self, now: u64, pool: &str, host: u64) {
        let hosts = [(id(pool, host), BTreeSet::new())].into();
        self.call(now, Effect::Restore { group: Some(pool.into()), hosts });
    }

    /// Fires what is due, through the state file as another process would read it; the demand on index afterwards.
    fn demand(&mut self, now: u64) -> Option<f64> {
        let text = serde_json::to_string(&self.state).expect("written");
        self.state = serde_json::from_str(&text).expect("read");
        let due = self.state.due(&self.scenario, at(now));
        due.iter().for_each(|due| self.state.fire(&self.scenario, due));
        self.state.demand.get(&SubsystemName::from("index")).copied()
    }
}

fn at(seconds: u64) -> Time {
    Time::from_millis(0).plus(Duration::from_secs(seconds))
}

fn id(pool: &str, number: u64) -> HostId {
    HostId::new(format!("{pool}-{number:04}"))
}

fn event(when: &str, factor: u64) -> String {
    format!("[[events]]\n{when}\ndemand = {{ subsystem = 'index', factor = {factor} }}\n")
}

#[test]
fn a_tied_event_waits_for_hosts_and_not_for_the_clock() {
    let mut story = Story::of(&event("at = '20s'\nafter = { pool = 'index', terminated = 2, cordoned = 1 }", 2));
    assert_eq!(story.demand(100_000), None, "time alone does nothing");
    story.cordon(100_000, "billing", &[1, 2]);
    story.terminate(100_000, "billing", 1);
    story.cordon(100_000, "index", &[1, 2]);
    assert_eq!(story.demand(200_000), None, "another pool, and none of index is gone");
    story.terminate(200_000, "index", 1);
    story.terminate(200_000, "index", 2);
    assert_eq!(story.demand(300_000), None, "two are gone, but none is cordoned at the same time");
    story.cordon(300_000, "index", &[3]);
    assert_eq!(story.demand(300_019), None);
    assert_eq!(story.demand(300_020), Some(2.0));
}

#[test]
fn it_counts_from_the_first_time_and_fires_once() {
    let mut story = Story::of(&event("at = '20s'\nafter = { cordoned = 1 }", 2));
    story.cordon(10, "index", &[1]);
    story.restore(15, "index", 1);
    story.cordon(25, "billing", &[1]);
    assert_eq!(story.demand(29), None);
    assert_eq!(story.demand(30), Some(2.0), "although it ceased to hold meanwhile");
    story.state.demand.clear();
    story.restore(40, "billing", 1);
    story.cordon(50, "index", &[1]);
    assert_eq!(story.demand(1000), None, "a later run on the same fleet does not meet it again");
}

#[test]
fn what_earlier_runs_removed_counts_for_later_ones() {
    let mut story = Story::of(&event("after = { pool = 'index', terminated = 3 }", 2));
    story.terminate(10, "index", 1);
    story.terminate(10, "index", 2);
    assert_eq!(story.demand(5000), None);
    story.terminate(5000, "index", 3);
    assert_eq!(story.demand(5000), Some(2.0), "at once, without `at`");
}

/// Whoever looks late sees what one sees who looked all the time.
#[test]
fn events_of_both_kinds_fire_in_the_order_of_their_times() {
    let clock = event("at = '60s'", 5);
    for (cordoned_at, last) in [(39, 5.0), (40, 2.0), (50, 2.0)] {
        let mut story = Story::of(&format!("{}{clock}", event("at = '20s'\nafter = { cordoned = 1 }", 2)));
        story.cordon(cordoned_at, "index", &[1]);
        assert_eq!(story.demand(1000), Some(last), "cordoned at {cordoned_at}");
        assert_eq!((story.state.events_fired, story.state.due(&story.scenario, at(9000)).len()), (1, 0));
    }
}

#[test]
fn hosts_that_are_in_standby_from_the_start_are_cordoned() {
    let fleet = FLEET.replacen("count = 6", "count = 6\nstandby = ['index-0001']", 1);
    let events = event("at = '20s'\nafter = { cordoned = 1 }", 2);
    let scenario = Scenario::of(&format!("{fleet}{events}"));
    let mut story = Story { state: State::create(&scenario, "fleet".to_owned(), at(0), at(0)), scenario };
    assert_eq!(story.demand(19), None);
    assert_eq!(story.demand(20), Some(2.0));
}

/// A file that an earlier version wrote has no tied events, and none is written where there are none.
#[test]
fn a_state_without_tied_events_is_as_it_was() {
    let story = Story::of("");
    let text = serde_json::to_string(&story.state).expect("written");
    assert!(!text.contains("tied"), "{text}");
    assert_eq!(serde_json::from_str::<State>(&text).expect("read"), story.state);
}
