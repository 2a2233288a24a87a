//! The virtual clock, driven by hand: who moves it, when, and which processes are not waited for.

use std::path::Path;

use super::*;
use crate::fleet::simulated::store::Paths;

const FLEET: &str = "fleet";

/// One process of several that share the clock of one directory.
struct Process {
    store: Store,
    clock: VirtualClock,
}

fn at(seconds: i64) -> Time {
    Time::from_millis(seconds * 1000)
}

fn create(directory: &Path) {
    let store = Store::new(Paths::of(&directory.join("fleet.json")));
    VirtualClock::create(&store.lock().expect("locked"), FLEET, at(0)).expect("created");
}

impl Process {
    fn join(directory: &Path) -> Self {
        let store = Store::new(Paths::of(&directory.join("fleet.json")));
        let clock = VirtualClock::join(&mut store.lock().expect("locked"), FLEET).expect("joined");
        Self { store, clock }
    }

    fn now(&self) -> Time {
        self.clock.now(&self.store)
    }

    fn sleep(&self, until: i64) -> u64 {
        self.clock.lie_down(at(until))
    }

    fn poll(&self, id: u64) -> bool {
        self.clock.poll(&mut self.store.lock().expect("locked"), id).expect("readable")
    }

    fn leave(self) {
        self.clock.leave(&mut self.store.lock().expect("locked"));
    }
}

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    create(directory.path());
    directory
}

#[test]
fn the_clock_moves_to_the_earliest_wake_up_when_all_sleep() {
    let directory = directory();
    let (one, other) = (Process::join(directory.path()), Process::join(directory.path()));
    let late = one.sleep(10);
    assert!(!one.poll(late), "the other is awake");
    assert_eq!(one.now(), at(0));

    let early = other.sleep(4);
    assert!(other.poll(early), "all sleep, and this one first");
    assert_eq!((one.now(), other.now()), (at(4), at(4)));
    assert!(!one.poll(late), "who was woken is awake");
    let next = other.sleep(20);
    assert!(!other.poll(next), "stops at the other's wake-up");
    assert_eq!(other.now(), at(10));
    assert!(!other.poll(next), "who is to be woken is awake already");
    assert!(one.poll(late));
    one.leave();
    assert!(other.poll(next), "who left is not waited for");
    assert_eq!(other.now(), at(20));
}

#[test]
fn a_sleep_that_is_past_is_over_at_once() {
    let directory = directory();
    let (one, _awake) = (Process::join(directory.path()), Process::join(directory.path()));
    let past = one.sleep(0);
    assert!(one.poll(past));
    assert_eq!(one.now(), at(0));
}

#[test]
fn a_process_killed_awake_or_asleep_is_not_waited_for() {
    let directory = directory();
    let killed = |directory: &Path| {
        let Process { clock, .. } = Process::join(directory);
        // Its lock goes with it, but not its entry in the list: as after kill -9.
        drop(clock);
    };
    killed(directory.path());
    let one = Process::join(directory.path());
    killed(directory.path());
    {
        let asleep = Process::join(directory.path());
        let id = asleep.sleep(3);
        assert!(!asleep.poll(id), "the first is awake");
    }
    let id = one.sleep(5);
    assert!(one.poll(id));
    assert_eq!(one.now(), at(5));
    let left: Vec<_> = std::fs::read_dir(directory.path().join("fleet.json.processes")).expect("listed").collect();
    assert_eq!(left.len(), 1, "the dead are buried");
}

#[test]
fn a_stopped_process_is_waited_for_so_long_and_no_longer() {
    let directory = directory();
    let (mut one, stopped) = (Process::join(directory.path()), Process::join(directory.path()));
    one.clock.timeout = Duration::from_millis(150);
    let waits = |until: i64| {
        let (begun, id) = (Instant::now(), one.sleep(until));
        while !one.poll(id) {
            assert!(begun.elapsed() < Duration::from_secs(20), "for ever");
            std::thread::sleep(POLL);
        }
        begun.elapsed()
    };
    assert!(waits(5) >= Duration::from_millis(150));
    assert!(one.clock.timeout > waits(6), "given up until it sleeps again");

    let id = stopped.sleep(8);
    assert!(!stopped.poll(id) || stopped.now() == at(8));
    assert!(waits(20) >= Duration::from_millis(150), "it counted again, and was stopped again");
}

#[test]
fn a_call_under_way_keeps_the_clock_where_it_is() {
    let directory = directory();
    let one = Process::join(directory.path());
    let id = one.sleep(5);
    one.clock.mine().working += 1;
    let work = Work(&one.clock);
    assert!(!one.poll(id));
    drop(work);
    assert!(!one.poll(id), "and a moment longer, for the task that called");
    std::thread::sleep(GRACE);
    assert!(one.poll(id));
}

#[test]
fn tasks_of_one_process_wake_in_order_and_an_unpolled_sleep_holds_nobody_up() {
    let directory = directory();
    let one = Process::join(directory.path());
    let (unpolled, late) = (one.sleep(2), one.sleep(5));
    assert!(!one.poll(late));
    assert_eq!(one.now(), at(2), "the earliest of its own");
    assert!(!one.poll(late), "whose task may be about to run");
    std::thread::sleep(GRACE);
    assert!(one.poll(late));
    assert!(one.poll(unpolled));
    assert_eq!(one.now(), at(5));
}

#[test]
fn a_cancelled_sleep_is_no_wake_up() {
    let directory = directory();
    let (one, other) = (Process::join(directory.path()), Process::join(directory.path()));
    let sleeper = Sleeper { clock: &one.clock, store: &one.store, id: one.sleep(3) };
    assert!(!one.poll(sleeper.id));
    drop(sleeper);
    let id = other.sleep(9);
    assert!(!other.poll(id), "who cancelled is awake");
    assert_eq!(other.now(), at(0));
}

#[test]
fn a_clock_of_another_fleet_or_none_is_refused() {
    let directory = directory();
    let store = Store::new(Paths::of(&directory.path().join("fleet.json")));
    let mut locked = store.lock().expect("locked");
    assert!(matches!(VirtualClock::join(&mut locked, "another"), Err(StoreError::Replaced(_))));
    std::fs::write(&store.paths.clock, "").expect("written");
    assert!(matches!(VirtualClock::join(&mut locked, FLEET), Err(StoreError::Corrupt { .. })));
    std::fs::remove_file(&store.paths.clock).expect("removed");
    assert!(matches!(VirtualClock::join(&mut locked, FLEET), Err(StoreError::Io { .. })));
}

#[test]
fn a_lost_clock_goes_on_in_real_time() {
    let directory = directory();
    let one = Process::join(directory.path());
    std::fs::write(&one.store.paths.clock, "damaged").expect("written");
    let first = one.now();
    std::thread::sleep(Duration::from_millis(20));
    assert!(one.now().since(first) >= Duration::from_millis(20));
}

#[test]
fn a_clock_that_runs_is_shifted_and_sped_up_from_a_shared_origin() {
    let directory = directory();
    let store = Store::new(Paths::of(&directory.path().join("fleet.json")));
    let on_machine = machine_time().minus(Duration::from_secs(10));
    let fast = FleetClock::Running { origin: at(0), on_machine, speed: 60.0 };
    let passed = fast.now(&store).since(at(0));
    assert!((600..700).contains(&passed.as_secs()), "{passed:?}");
    let real = FleetClock::Running { origin: on_machine, on_machine, speed: 1.0 };
    assert!(machine_time().since(real.now(&store)) < Duration::from_secs(5));
    let ahead =
        FleetClock::Running { origin: at(100), on_machine: machine_time().plus(Duration::from_secs(50)), speed: 1.0 };
    assert!(ahead.now(&store) < at(51), "a machine's clock that was set back is shown as it is");
}
