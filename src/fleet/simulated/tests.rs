//! The fleet as a caller sees it, alone and beside other processes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::model::{Effect, GroupName, HostId, HostState, LedgerId};
use crate::ports::RecordedCall;

/// A directory with a scenario, in which processes open the fleet.
pub(super) struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub(super) fn new(scenario: &str) -> Self {
        let place = Self { directory: tempfile::tempdir().expect("a temporary directory") };
        place.write(scenario);
        place
    }

    fn write(&self, scenario: &str) {
        std::fs::write(self.scenario(), scenario).expect("written");
    }

    fn scenario(&self) -> PathBuf {
        self.directory.path().join("scenario.toml")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.directory.path().join("state/fleet.json")
    }

    /// Opens the fleet as a further process would.
    pub(super) fn open(&self) -> Arc<SimulatedFleet> {
        self.try_open().expect("the fleet opens")
    }

    fn try_open(&self) -> Result<Arc<SimulatedFleet>, OpenError> {
        SimulatedFleet::open(&self.scenario(), &self.state(), None)
    }
}

pub(super) const START: &str = "2017-02-28T17:37:00.000Z";

const SCENARIO: &str = r#"
clock = "virtual"
start = "2017-02-28T17:37:00Z"
seed = 7

[[hosts]]
pool = "index"
count = 6
zones = ["a", "b", "c"]
tags = { role = "index" }
group_minimum = 3
"#;

fn scenario_with(more: &str) -> String {
    format!("{SCENARIO}\n{more}")
}

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

fn ids(numbers: &[u64]) -> BTreeMap<HostId, BTreeSet<crate::model::TargetGroupId>> {
    numbers.iter().map(|n| (id(*n), BTreeSet::new())).collect()
}

fn id(number: u64) -> HostId {
    HostId::new(format!("index-{number:04}"))
}

fn index() -> Option<GroupName> {
    Some("index".into())
}

fn cordon(numbers: &[u64]) -> Effect {
    Effect::Cordon { group: index(), hosts: ids(numbers) }
}

fn restore(numbers: &[u64]) -> Effect {
    Effect::Restore { group: index(), hosts: ids(numbers) }
}

fn terminate(number: u64) -> Effect {
    Effect::Terminate { group: index(), host: id(number) }
}

/// Sends a call whose intent is now.
async fn send(fleet: &SimulatedFleet, effect: Effect) -> CallOutcome {
    let intent_at = fleet.now();
    let not_after = intent_at.plus(fleet.bounds().call_life);
    fleet.perform(RecordedCall::of_a_test(Call { effect, intent_at, not_after })).await
}

fn desired(snapshot: &FleetSnapshot) -> (u64, u64) {
    let group = snapshot.group(&"index".into()).expect("the group");
    (group.desired, group.stated_members)
}

#[test]
fn a_fleet_outlives_its_processes_and_its_group_counts_like_auto_scaling() {
    let place = Place::new(SCENARIO);
    block_on(async {
        let first = place.open();
        assert_eq!(first.now(), START.parse().expect("a time"));
        assert_eq!(desired(&first.observe().await.expect("complete")), (6, 6));
        assert_eq!(send(&first, cordon(&[1, 2])).await, CallOutcome::Done);
        assert_eq!(desired(&first.observe().await.expect("complete")), (4, 6));
        drop(first);

        let second = place.open();
        assert_eq!(send(&second, terminate(1)).await, CallOutcome::Done);
        assert_eq!(send(&second, restore(&[2])).await, CallOutcome::Done);
        let seen = second.observe().await.expect("complete");
        assert_eq!(desired(&seen), (5, 5));
        assert_eq!(seen.host(&id(1)), None);
        assert_eq!(seen.host(&id(2)).map(|h| h.state), Some(HostState::InService));
    });
}

#[test]
fn s3_a_stale_answer_is_exactly_as_old_as_settle_says() {
    let place = Place::new(&scenario_with("[[faults]]\ncall = 'observe'\nevery = 2\nerror = 'stale'\n"));
    let settle = Duration::from_secs(30);
    block_on(async {
        let fleet = SimulatedFleet::open(&place.scenario(), &place.state(), Some(settle)).expect("opens");
        let begun = fleet.now();
        let seen = async |host| {
            let now = fleet.observe().await.expect("complete");
            let then = fleet.observe().await.expect("complete");
            assert_eq!(then.begun_at, now.begun_at, "it does not say that it is old");
            let state = |snapshot: &FleetSnapshot| snapshot.host(&id(host)).map(|h| h.state);
            ((state(&now), desired(&now)), (state(&then), desired(&then)))
        };
        let (in_service, cordoned) = (Some(HostState::InService), Some(HostState::Cordoned));
        assert_eq!(send(&fleet, cordon(&[1])).await, CallOutcome::Done);
        assert_eq!(seen(1).await, ((cordoned, (5, 6)), (in_service, (6, 6))));
        fleet.sleep_until(begun.plus(Duration::from_secs(20))).await;
        assert_eq!(send(&fleet, terminate(1)).await, CallOutcome::Done);
        assert_eq!(seen(1).await, ((None, (5, 5)), (in_service, (6, 6))));
        fleet.sleep_until(begun.plus(settle)).await;
        assert_eq!(seen(1).await, ((None, (5, 5)), (cordoned, (5, 6))));
        fleet.sleep_until(begun.plus(Duration::from_secs(50))).await;
        assert_eq!(seen(1).await, ((None, (5, 5)), (None, (5, 5))));
    });
}

#[test]
fn s5_a_call_after_its_deadline_is_refused_and_not_done() {
    let place = Place::new(SCENARIO);
    block_on(async {
        let fleet = place.open();
        let intent_at = fleet.now();
        let call = Call { effect: cordon(&[1]), intent_at, not_after: intent_at.plus(Duration::from_secs(5)) };
        fleet.sleep_until(call.not_after).await;
        assert_eq!(
            fleet.perform(RecordedCall::of_a_test(call.clone())).await,
            CallOutcome::Done,
            "at the deadline itself"
        );
        let call = Call { effect: cordon(&[2]), ..call };
        fleet.sleep_until(call.not_after.plus(Duration::from_millis(1))).await;
        let late = fleet.perform(RecordedCall::of_a_test(call.clone())).await;
        assert!(matches!(late, CallOutcome::Refused { retryable: true, .. }), "{late:?}: a new one may be sent");
        let seen = fleet.observe().await.expect("complete");
        assert_eq!(seen.host(&id(2)).map(|h| h.state), Some(HostState::InService));
    });
}

#[test]
fn s1_the_groups_own_minimum_refuses_whoever_asks() {
    let place = Place::new(SCENARIO);
    block_on(async {
        let (one, other) = (place.open(), place.open());
        assert_eq!(send(&one, cordon(&[1, 2])).await, CallOutcome::Done);
        let both = send(&other, cordon(&[3, 4])).await;
        assert!(matches!(both, CallOutcome::Refused { retryable: false, .. }), "{both:?}");
        assert_eq!(desired(&one.observe().await.expect("complete")), (4, 6), "refused whole");
        assert_eq!(send(&other, cordon(&[3])).await, CallOutcome::Done);
        let direct = send(&other, terminate(4)).await;
        assert!(matches!(direct, CallOutcome::Refused { .. }), "{direct:?}");
    });
}

#[test]
fn faults_do_what_they_say_and_lost_replies_really_did_it() {
    let place = Place::new(&scenario_with(
        "[[faults]]\ncall = 'cordon'\nnth = 1\nerror = 'throttled'\n\
         [[faults]]\ncall = 'cordon'\nnth = 2\nerror = 'timeout'\n\
         [[faults]]\ncall = 'cordon'\nnth = 3\nerror = 'internal'\n\
         [[faults]]\ncall = 'cordon'\nnth = 4\nerror = 'lost-reply'\n",
    ));
    block_on(async {
        let fleet = place.open();
        let state = async || fleet.observe().await.expect("complete").host(&id(1)).map(|h| h.state);
        let throttled = send(&fleet, cordon(&[1])).await;
        assert!(matches!(throttled, CallOutcome::Refused { retryable: true, .. }), "{throttled:?}");
        for _ in ["timeout", "internal"] {
            let unknown = send(&fleet, cordon(&[1])).await;
            assert!(matches!(unknown, CallOutcome::Unknown { .. }), "{unknown:?}");
            assert_eq!(state().await, Some(HostState::InService), "not done");
        }
        let lost = send(&fleet, cordon(&[1])).await;
        assert!(matches!(lost, CallOutcome::Unknown { .. }), "{lost:?}");
        assert_eq!(state().await, Some(HostState::Cordoned), "done");
    });
}

#[test]
fn s3_a_partial_inventory_contradicts_itself() {
    let fault = "[[faults]]\ncall = 'observe'\nnth = 2\nerror = 'partial'\n\
                 [[faults]]\ncall = 'observe'\nnth = 3\nerror = 'throttled'\n";
    let place = Place::new(&scenario_with(fault));
    block_on(async {
        let fleet = place.open();
        assert!(fleet.observe().await.is_ok());
        let partial = fleet.observe().await.expect_err("partial");
        let counts = "group index states 6 members, 5 are listed";
        assert!(matches!(&partial, FleetError::Inventory(e) if e.to_string().ends_with(counts)), "{partial:?}");
        assert!(matches!(fleet.observe().await, Err(FleetError::Provider { .. })));
        assert_eq!(fleet.observe().await.map(|seen| seen.hosts().len()).ok(), Some(6));
    });
}

#[test]
fn events_fire_once_whichever_process_sees_them_first() {
    let place = Place::new(&scenario_with(
        "[[load]]\nsubsystem = 'index'\ndemand = 30.0\nper_unit = 5.0\nlatency = 20.0\n\
         [[events]]\nat = '1m'\nfail = ['index-0003']\ndemand = { subsystem = 'index', factor = 2.0 }\n\
         [[events]]\nat = '2m'\nrecover = ['index-0003']\n",
    ));
    block_on(async {
        let one = place.open();
        let index: SubsystemName = "index".into();
        let all = |host: &Host| vec![(SubsystemName::new(&host.tags["role"]), 1)];
        let membership = Arc::new(one.membership(BTreeMap::new(), all));
        let utilization = |fleet: Arc<SimulatedFleet>| {
            let (index, membership) = (index.clone(), Arc::clone(&membership));
            async move { fleet.metric(&membership, &index, SimulatedMetric::Utilization).await.expect("readable") }
        };
        let healthy = async |fleet: &SimulatedFleet| {
            fleet.observe().await.expect("complete").host(&id(3)).map(crate::model::Host::is_healthy).expect("not gone")
        };
        let start = one.now();
        one.sleep_until(start.plus(Duration::from_millis(59_999))).await;
        assert_eq!((utilization(Arc::clone(&one)).await, healthy(&one).await), (1.0, true));
        one.sleep_until(start.plus(Duration::from_secs(60))).await;
        assert_eq!(utilization(Arc::clone(&one)).await, 60.0 / 25.0, "before a sample of the same instant");
        let other = place.open();
        assert_eq!((utilization(Arc::clone(&other)).await, healthy(&other).await), (2.4, false));
        drop(one);
        other.sleep_until(start.plus(Duration::from_secs(120))).await;
        assert!(healthy(&other).await);
        drop(other);
        let later = place.open();
        assert_eq!((utilization(Arc::clone(&later)).await, healthy(&later).await), (2.0, true), "and stays");
    });
}

/// One process meets the condition and dies, another sees the event, and a third does not see it twice.
#[test]
fn an_event_that_is_tied_to_a_cordon_outlives_the_process_that_cordoned() {
    let events = "[[events]]\nat = \"20s\"\nafter = { pool = \"index\", cordoned = 2 }\nfail = [\"index-0003\"]\n\
                  [[events]]\nat = \"60s\"\nafter = { cordoned = 2 }\nrecover = [\"index-0003\"]\n";
    let place = Place::new(&scenario_with(events));
    block_on(async {
        let healthy = async |fleet: &SimulatedFleet| {
            fleet.observe().await.expect("complete").host(&id(3)).map(crate::model::Host::is_healthy).expect("not gone")
        };
        let one = place.open();
        one.sleep_until(one.now().plus(Duration::from_secs(86_400))).await;
        assert!(healthy(&one).await, "a day alone does nothing");
        assert_eq!(send(&one, cordon(&[1, 2])).await, CallOutcome::Done);
        let met_at = one.now();
        drop(one);
        let other = place.open();
        other.sleep_until(met_at.plus(Duration::from_millis(19_999))).await;
        assert!(healthy(&other).await);
        other.sleep_until(met_at.plus(Duration::from_secs(20))).await;
        assert!(!healthy(&other).await, "before a sample of the same instant");
        other.sleep_until(met_at.plus(Duration::from_secs(60))).await;
        assert!(healthy(&other).await);
        assert_eq!(send(&other, restore(&[1, 2])).await, CallOutcome::Done);
        assert_eq!(send(&other, cordon(&[4, 5])).await, CallOutcome::Done);
        drop(other);
        let later = place.open();
        later.sleep_until(later.now().plus(Duration::from_secs(20))).await;
        assert!(healthy(&later).await, "once");
    });
}

#[test]
fn s9_a_fleet_of_another_scenario_is_refused_and_faults_may_change() {
    let place = Place::new(SCENARIO);
    drop(place.open());
    place.write(&scenario_with("# a comment\n[[faults]]\ncall = 'observe'\nnth = 1\nerror = 'timeout'"));
    assert!(place.try_open().is_ok(), "comments and faults");
    place.write(&SCENARIO.replace("count = 6", "count = 9"));
    let refused = place.try_open().expect_err("another fleet");
    let words = refused.to_string();
    assert!(words.contains("has changed") && words.contains("ledger included"), "{words}");
    assert!(matches!(refused, OpenError::Fleet(FleetError::WrongFleet(_))));
}

#[test]
fn s3_a_damaged_or_newer_or_deleted_state_is_refused() {
    let place = Place::new(SCENARIO);
    let fleet = place.open();
    std::fs::remove_dir_all(place.state().parent().expect("a directory")).expect("deleted");
    drop(place.open());
    block_on(async {
        let error = fleet.observe().await.expect_err("another fleet in the same place");
        assert!(matches!(&error, FleetError::Provider { hint: Some(_), .. }), "{error:?}");
    });
    for (text, word) in
        [("{\"schema\":\"safe-remove/simulated-fleet/v2\"}", "schema"), ("{\"sch", "corrupt"), ("", "corrupt")]
    {
        std::fs::write(place.state(), text).expect("written");
        let OpenError::Fleet(FleetError::Provider { source, hint, .. }) = place.try_open().expect_err("refused") else {
            panic!("not a provider's error")
        };
        assert!(source.to_string().contains(word), "{source}");
        assert!(hint.is_some());
    }
}

#[test]
fn s8_what_was_read_ahead_is_read_again_once_it_is_replaced() {
    let place = Place::new(SCENARIO);
    let store = Store::new(Paths::of(&place.state()));
    store.read_ahead();
    assert!(store.lock().is_err(), "there is no fleet yet, and reading ahead makes none");
    let fleet = place.open();
    store.read_ahead();
    let hosts = || store.lock().and_then(|mut locked| locked.load()).expect("read").expect("there").hosts.clone();
    let before = hosts();
    block_on(async {
        let cordoned = send(&fleet, cordon(&[1])).await;
        assert_eq!(cordoned, CallOutcome::Done);
    });
    assert_ne!(hosts(), before);
    // A file that is damaged is told by whoever needs it.
    std::fs::write(place.state(), "").expect("written");
    let damaged = Store::new(Paths::of(&place.state()));
    damaged.read_ahead();
    assert!(matches!(damaged.lock().expect("locked").load(), Err(StoreError::Corrupt { .. })));
}

#[test]
fn s9_the_first_ledger_governs_the_fleet() {
    let place = Place::new(SCENARIO);
    block_on(async {
        let (one, other) = (place.open(), place.open());
        let replacing = |ledger: &str, replaces: &[&str]| Effect::Adopt {
            ledger: LedgerId::new(ledger),
            groups: BTreeSet::new(),
            hosts: BTreeSet::new(),
            replaces: replaces.iter().map(|id| LedgerId::new(*id)).collect(),
        };
        let adopt = |ledger: &str| replacing(ledger, &[]);
        assert_eq!(send(&one, adopt("first")).await, CallOutcome::Done);
        assert_eq!(send(&one, adopt("first")).await, CallOutcome::Done, "again");
        let second = send(&other, adopt("second")).await;
        assert!(matches!(second, CallOutcome::Refused { retryable: false, .. }), "{second:?}");
        let stale = send(&other, replacing("second", &["zeroth"])).await;
        assert!(matches!(stale, CallOutcome::Refused { .. }), "{stale:?}");
        assert_eq!(other.observe().await.expect("complete").mark, FleetMark::Of("first".into()));
        assert_eq!(send(&other, replacing("second", &["first"])).await, CallOutcome::Done);
        assert_eq!(one.observe().await.expect("complete").mark, FleetMark::Of("second".into()));
    });
}

#[derive(Clone, Debug)]
enum Step {
    Cordon(Vec<u64>),
    Restore(Vec<u64>),
    Terminate(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let hosts = || prop::collection::vec(1_u64..=7, 1..4);
    prop_oneof![hosts().prop_map(Step::Cordon), hosts().prop_map(Step::Restore), (1_u64..=7).prop_map(Step::Terminate)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// For any calls in any order, by two processes in turn: the group's numbers are those of its hosts, the minimum
    /// holds, and no host goes that was not named.
    #[test]
    fn s8_only_named_hosts_change_and_the_group_counts_them(steps in prop::collection::vec(step(), 1..12)) {
        let place = Place::new(SCENARIO);
        block_on(async {
            let fleets = [place.open(), place.open()];
            for (turn, step) in steps.iter().enumerate() {
                let fleet = &fleets[turn % 2];
                let before = fleet.observe().await.expect("complete");
                let (effect, named) = match step {
                    Step::Cordon(hosts) => (cordon(hosts), hosts.clone()),
                    Step::Restore(hosts) => (restore(hosts), hosts.clone()),
                    Step::Terminate(host) => (terminate(*host), vec![*host]),
                };
                let done = send(fleet, effect).await == CallOutcome::Done;
                let after = fleets[(turn + 1) % 2].observe().await.expect("complete");
                let in_service = after.hosts().filter(|h| h.state == HostState::InService).count() as u64;
                assert_eq!(desired(&after), (in_service, after.hosts().len() as u64));
                assert!(in_service >= 3);
                for host in before.hosts() {
                    let is_named = named.iter().any(|n| id(*n) == host.id);
                    assert!(after.host(&host.id) == Some(host) || done && is_named, "{} after {step:?}", host.id);
                }
            }
        });
    }
}

/// Two processes, one that samples every 10 s and one every 7 s: each wakes at exactly the instant that it asked for,
/// because the clock stops at every wake-up until the process that it wakes sleeps again.
#[test]
fn processes_wake_exactly_when_they_asked_to() {
    let place = Place::new(SCENARIO);
    let (one, other) = (place.open(), place.open());
    let sample = |fleet: Arc<SimulatedFleet>, every: u64| {
        block_on(async {
            let start: Time = START.parse().expect("a time");
            for n in 1..=50 {
                let until = start.plus(Duration::from_secs(every * n));
                fleet.sleep_until(until).await;
                assert_eq!(fleet.observe().await.expect("complete").begun_at, until);
                assert_eq!(fleet.now(), until);
            }
        });
    };
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| sample(one, 10));
        let second = scope.spawn(|| sample(other, 7));
        for sampler in [first, second] {
            sampler.join().expect("no sampler fails");
        }
    });
    println!("100 sleeps of two processes in turn: {:?}", begun.elapsed());
}

#[test]
fn sleeping_is_cheap() {
    let place = Place::new(SCENARIO);
    block_on(async {
        let fleet = place.open();
        let (begun, start) = (Instant::now(), fleet.now());
        for n in 1..=1000 {
            fleet.sleep_until(start.plus(Duration::from_secs(n))).await;
        }
        println!("1000 sleeps of one process: {:?}", begun.elapsed());
        assert_eq!(fleet.now().since(start), Duration::from_secs(1000));
    });
}
