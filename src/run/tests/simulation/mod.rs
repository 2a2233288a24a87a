//! Simulation: several runs, one fleet, one record, and a world in which everything goes wrong, all from one seed.
//!
//! A failure names its seed; [`replay`] plays it again. S1 to S9 are checked after every effect by `check`, which uses
//! nothing of the planner and nothing of the record. Runs whose process died, and some whose process only sleeps, are
//! taken over. The world is wide: two fleets stand behind one ledger's name, clocks disagree and jump, an older copy of
//! the ledger is put in its place, policies differ from process to process, and request ids come back after months, also
//! where their journals were pruned. People pause runs, let them go on, and answer between batches, or do not.

mod check;
mod fleet;
mod ledger;
mod outage;
mod people;
mod runner;
mod setup;
mod takeover;
mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::{Bounds, Time};
use crate::plan::testing::Seeded;
use crate::policy::{Budget, PolicySet};

use world::{Shown, play};

const START: Time = super::world::START;
const MINIMUM: usize = 7;
const BAKE: Duration = Duration::from_secs(30);
const BUDGET: usize = 4;
const BATCH: usize = 2;
const INTERVAL: Duration = Duration::from_secs(45);
const RUN_SIZE: usize = 3;
const WINDOW: Duration = Duration::from_secs(900);

/// Schedules of one test.
const SEEDS: u64 = 700;

/// A provider that shows the past, and takes calls for twenty seconds.
const LATE: Bounds = Bounds {
    max_age: Bounds::MAX_AGE,
    settle: Duration::from_secs(30),
    tolerance: Duration::from_secs(10),
    call_life: Duration::from_secs(20),
    metered: true,
};

/// Which mechanism the world lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rig {
    /// None: it is as the design says.
    Whole,
    /// The provider takes calls after their deadline.
    NoDeadline,
    /// The record lets go of what dead processes hold.
    ForgetsTheDead,
    /// The provider shows what lies further back than it says.
    OldReads,
    /// Looks do not show the record's stop orders.
    HidesHalts,
    /// Whoever takes over does not know of the calls that were sent before.
    ForgetsWhatWasSent,
    /// Journal and record take what a process says whose run was taken over.
    HeedsNoFence,
    /// Nobody asks which fleet the record is of.
    AsksNoFleet,
    /// An older copy of the ledger is taken for the ledger.
    TrustsCopies,
    /// A journal that was begun long ago is gone, and its run's id is as good as new.
    ForgetsJournals,
    /// Whoever asks is told that no other run has anything out or stands in line.
    HidesRuns,
    /// Nobody remembers when hosts of a subsystem last went or came back.
    ForgetsEnds,
    /// Nobody remembers the policies that were relied on.
    ForgetsPolicies,
    /// Samples from while hosts were out pass for samples from before.
    TrustsOldSamples,
    /// Hosts that may or may not serve count as capacity.
    HidesDoubt,
    /// Nobody compares clocks: neither the provider nor the record.
    TrustsClocks,
    /// Neither looks nor grants show that a run is paused.
    HidesPauses,
    /// Runs that must ask do not.
    AsksNobody,
}

/// Two subsystems of ten hosts, three of which they share; each must keep seven.
fn policies() -> PolicySet {
    let mut set = super::policies::policies();
    let mut index = set.subsystems.values().next().expect("one").clone();
    index.capacity.baseline = 10;
    index.capacity.minimum = MINIMUM as u64;
    index.pace.interval = INTERVAL;
    index.pace.max_hosts_per_run = RUN_SIZE as u64;
    index.pace.budgets = vec![Budget { hosts: BUDGET as u64, per: WINDOW }];
    index.health.bake = BAKE;
    set.subsystems.clear();
    for name in ["index", "billing"] {
        let mut policy = index.clone();
        policy.name = name.into();
        policy.hosts.tags.insert("role".to_owned(), BTreeSet::from([name.to_owned(), "both".to_owned()]));
        set.subsystems.insert(policy.name.clone(), policy);
    }
    set
}

/// What a process has read that knows less: nothing in it may be relied on.
fn loosened(policies: &PolicySet) -> PolicySet {
    let mut loose = policies.clone();
    for policy in loose.subsystems.values_mut() {
        policy.capacity.minimum = 4;
        policy.pace.budgets = vec![Budget { hosts: 9, per: WINDOW }];
    }
    loose
}

/// Plays the seeds and fails on the first that breaks an invariant; returns what occurred.
fn hold(seeds: std::ops::Range<u64>, bounds: Bounds) -> BTreeSet<&'static str> {
    let mut seen = BTreeSet::new();
    for seed in seeds {
        let shown = replay(seed, bounds, Rig::Whole);
        assert!(shown.violations.is_empty(), "seed {seed} at {bounds:?}:\n{}", shown.violations.join("\n"));
        seen.extend(shown.seen);
    }
    seen
}

/// One schedule: the same seed is the same schedule, so that a seed that failed is looked at with a test of one line.
fn replay(seed: u64, bounds: Bounds, rig: Rig) -> Shown {
    play(seed, bounds, rig)
}

/// Every fault and every ending must have occurred, or the schedules prove less than they seem to.
const EVERYTHING: [&str; 58] = [
    "abandoned",
    "aborted",
    "after its deadline",
    "another fleet",
    "answered no",
    "answered yes",
    "append lost",
    "asked",
    "blind",
    "clock jumped",
    "closed",
    "completed",
    "conflict",
    "continued",
    "cut off",
    "died sending",
    "fenced",
    "frozen",
    "glimpse",
    "halt seen",
    "halted",
    "host doubtful",
    "host left",
    "host recovered",
    "host unhealthy",
    "host vanished",
    "id used again",
    "pruned",
    "killed",
    "ledger back in time",
    "ledger gone",
    "ledger put back",
    "let go from elsewhere",
    "looser policy",
    "needs attention",
    "never done",
    "no answer in time",
    "not started",
    "order",
    "paused",
    "part of the fleet",
    "pauses itself",
    "record unread",
    "regression",
    "reply lost",
    "resumed",
    "slow look",
    "stopped while waiting",
    "swap lost",
    "taken by others",
    "taken from the living",
    "taken over again",
    "taker died",
    "throttled",
    "waits for another",
    "write given up",
    "write waited for",
    "zombie",
];

#[test]
fn s1_to_s9_hold_where_reads_are_late() {
    let seen = hold(0..2 * SEEDS, LATE);
    assert_eq!(seen, BTreeSet::from(EVERYTHING));
}

#[test]
fn s1_to_s9_hold_where_reads_are_true() {
    // Half as many again: of 1400 schedules that were counted, two had somebody who was asked and answered yes.
    let seen = hold(2 * SEEDS..7 * SEEDS / 2, Bounds::SIMULATED);
    assert_eq!(seen, BTreeSet::from(EVERYTHING));
}

/// The checks have teeth: without the mechanism they find what it is there for, and for that reason.
fn is_caught(rig: Rig, invariant: &str) {
    let wanted = |seed: &u64| {
        let found = replay(*seed, LATE, rig).violations;
        found.iter().any(|violation| violation.starts_with(invariant))
    };
    // Two of the rigs show in few schedules, and the first of those are among the last.
    let caught = (3 * SEEDS..4 * SEEDS).chain(0..3 * SEEDS).find(wanted);
    assert!(caught.is_some(), "{rig:?}: no schedule breaks {invariant}");
}

#[test]
fn s7_a_provider_without_deadlines_is_caught() {
    is_caught(Rig::NoDeadline, "s7");
}

#[test]
fn s1_a_record_that_forgets_the_dead_is_caught() {
    is_caught(Rig::ForgetsTheDead, "s1");
}

#[test]
fn s1_doubtful_hosts_that_count_as_capacity_are_caught() {
    is_caught(Rig::HidesDoubt, "s1");
}

#[test]
fn s6_a_look_that_hides_stop_orders_is_caught() {
    is_caught(Rig::HidesHalts, "s6");
}

#[test]
fn s7_reads_older_than_settle_are_caught() {
    is_caught(Rig::OldReads, "s7");
}

#[test]
fn s9_a_takeover_that_forgets_what_was_sent_is_caught() {
    is_caught(Rig::ForgetsWhatWasSent, "s9: run");
}

/// A process whose run was taken over and that is not told so: it sends after a stop, and hosts stay out that both believe
/// to be the other's. That it terminates what the other one has put back (S2) is kept from it in other ways too.
#[test]
fn s7_a_ledger_that_heeds_no_fence_is_caught() {
    is_caught(Rig::HeedsNoFence, "s7: run");
}

#[test]
fn s3_a_ledger_that_asks_for_no_fleet_is_caught() {
    is_caught(Rig::AsksNoFleet, "s3");
}

/// What was sent before the copy is put back is in no journal any more. Hosts that went meanwhile stop the run (S7) all the same.
#[test]
fn s5_a_ledger_that_was_put_back_and_is_trusted_is_caught() {
    is_caught(Rig::TrustsCopies, "s5");
}

#[test]
fn s9_a_request_id_whose_journal_is_forgotten_is_caught() {
    is_caught(Rig::ForgetsJournals, "s9: request id");
}

#[test]
fn s4_runs_that_do_not_see_each_other_are_caught() {
    is_caught(Rig::HidesRuns, "s4: batch");
}

#[test]
fn s9_claims_that_nobody_sees_are_caught() {
    is_caught(Rig::HidesRuns, "s9: claim");
}

#[test]
fn s4_an_interval_that_is_forgotten_is_caught() {
    is_caught(Rig::ForgetsEnds, "s4: interval");
}

#[test]
fn s1_policies_that_are_forgotten_are_caught() {
    is_caught(Rig::ForgetsPolicies, "s1");
}

#[test]
fn s2_samples_of_a_damaged_system_are_caught() {
    is_caught(Rig::TrustsOldSamples, "s2: reference");
}

/// Of nine thousand schedules eleven leave a host cordoned, and one breaks an interval.
#[test]
fn s7_clocks_that_nobody_compares_are_caught() {
    is_caught(Rig::TrustsClocks, "s7: run");
}

#[test]
fn s6_a_pause_that_nobody_sees_is_caught() {
    is_caught(Rig::HidesPauses, "s6: pause");
}

#[test]
fn s8_a_run_that_asks_nobody_is_caught() {
    is_caught(Rig::AsksNobody, "s8: answer");
}
