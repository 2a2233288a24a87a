//! Random sequences of commands by several runs, careless ones among them, on a fleet that fails by itself. After
//! each step an oracle, which shares nothing with `decide` but the record's own fields, looks for a broken invariant.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::plan::testing::host;
use crate::policy::Budget;

const RUNS: [&str; 3] = ["r0", "r1", "r2"];
const HOSTS: [&str; 8] = ["h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7"];
/// Subsystem, the least that must serve, hosts per hour, hosts per run.
const RULES: [(&str, usize, usize, usize); 2] = [("index", 3, 3, 2), ("billing", 2, 2, 9)];
const HOUR: u64 = 3600;

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Flip {
        host: usize,
    },
    Observe,
    Grant {
        run: usize,
        hosts: u8,
        batch: u64,
        process: bool,
        epoch: u64,
        silent: bool,
        look: bool,
    },
    /// What a careful run does next.
    Forward {
        run: usize,
        hosts: u8,
    },
    Cordon {
        run: usize,
    },
    Start {
        run: usize,
        hosts: u8,
        epoch: u64,
    },
    Vanish {
        run: usize,
    },
    Resolve {
        run: usize,
        hosts: u8,
        outcome: u8,
        epoch: u64,
    },
    TakeOver {
        run: usize,
    },
    End {
        run: usize,
        epoch: u64,
        completed: bool,
    },
    Forget,
    RequireSuspension {
        run: usize,
    },
    ReleaseSuspension {
        run: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (run, host) = (0..RUNS.len(), 0..HOSTS.len());
    // Epoch 0 stands for the run's true one; processes that were taken over go by 1.
    let epoch = prop_oneof![9 => Just(0_u64), 1 => 1..3_u64];
    // One to three hosts of eight.
    let few = (host.clone(), host.clone(), host.clone()).prop_map(|(a, b, c)| (1_u8 << a) | (1 << b) | (1 << (c & a)));
    let all_or_few = prop_oneof![4 => Just(u8::MAX), 1 => few.clone()];
    let often = prop::bool::weighted(0.8);
    let step = prop_oneof![
        2 => (0..2400_u64).prop_map(Step::Pass),
        1 => host.prop_map(|host| Step::Flip { host }),
        2 => Just(Step::Observe),
        6 => (run.clone(), few.clone(), 1..4_u64, prop::bool::weighted(0.9), epoch.clone(), any::<bool>(), often)
            .prop_map(|(run, hosts, batch, process, epoch, silent, look)| {
                Step::Grant { run, hosts, batch, process, epoch, silent, look }
            }),
        20 => (run.clone(), few.clone()).prop_map(|(run, hosts)| Step::Forward { run, hosts }),
        2 => run.clone().prop_map(|run| Step::Cordon { run }),
        2 => (run.clone(), all_or_few.clone(), epoch.clone())
            .prop_map(|(run, hosts, epoch)| Step::Start { run, hosts, epoch }),
        1 => run.clone().prop_map(|run| Step::Vanish { run }),
        2 => (run.clone(), all_or_few, 0..5_u8, epoch.clone())
            .prop_map(|(run, hosts, outcome, epoch)| Step::Resolve { run, hosts, outcome, epoch }),
        1 => run.clone().prop_map(|run| Step::TakeOver { run }),
        2 => (run.clone(), epoch, any::<bool>()).prop_map(|(run, epoch, completed)| Step::End { run, epoch, completed }),
        1 => Just(Step::Forget),
        1 => run.clone().prop_map(|run| Step::RequireSuspension { run }),
        1 => run.prop_map(|run| Step::ReleaseSuspension { run }),
    ];
    prop::collection::vec(step, 1..100)
}

/// What the oracle keeps by itself.
struct Oracle {
    room: Room,
    /// The observation at hand; processes do not look anew before each command.
    seen: FleetSnapshot,
    /// Every removal that the runs reported, with its subsystems.
    removed: Vec<(usize, HostId, RunId, Time)>,
    granted: usize,
    terminated: usize,
}

fn subsystems(host: usize) -> Vec<usize> {
    // h0 to h3 serve index only, h4 and h5 both, h6 and h7 billing only.
    match host {
        0..=3 => vec![0],
        4 | 5 => vec![0, 1],
        _ => vec![1],
    }
}

fn number(id: &HostId) -> usize {
    HOSTS.iter().position(|name| *name == id.as_str()).expect("one of ours")
}

fn members(hosts: u8) -> impl Iterator<Item = usize> {
    (0..HOSTS.len()).filter(move |host| hosts & (1 << host) != 0)
}

impl Oracle {
    fn new() -> Self {
        let policies = RULES.map(|(name, minimum, per_hour, per_run)| {
            let mut policy = policy(name, minimum as u64);
            // A literal: a debug build takes most of the test's time to compile a pattern for each decision.
            policy.hosts.tags = BTreeMap::from([(name.to_owned(), BTreeSet::from(["1".to_owned()]))]);
            policy.pace.interval = Duration::ZERO;
            policy.pace.max_hosts_per_run = per_run as u64;
            policy.pace.budgets = vec![Budget { hosts: per_hour as u64, per: seconds(HOUR) }];
            policy
        });
        let mut world = World::new(policies);
        for (number, id) in HOSTS.iter().enumerate() {
            let names: Vec<&str> = subsystems(number).into_iter().map(|s| RULES[s].0).collect();
            world.hosts.push(host(id, "a", &names));
        }
        let record = FleetRecord::new(LedgerId::from("ledger-1"), "demo".into(), NOON);
        let seen = world.snapshot();
        let room = Room { bounds: Bounds::SIMULATED, ..Room::of(world, record) };
        Self { room, seen, removed: Vec::new(), granted: 0, terminated: 0 }
    }

    fn epoch(&self, run: usize, epoch: u64) -> u64 {
        let of_record = || self.room.record.runs.get(RUNS[run]).map_or(1, |entry| entry.epoch);
        if epoch == 0 { of_record() } else { epoch }
    }

    /// Hosts of a run that the fleet still lists.
    fn holds(&self, run: usize, which: impl Fn(&Reservation) -> bool) -> Vec<HostId> {
        let holds = self.room.record.runs.get(RUNS[run]).map(|entry| &entry.reservations).into_iter().flatten();
        let is_listed = |id: &HostId| self.room.world.hosts.iter().any(|h| h.id == *id);
        holds.filter(|(id, hold)| which(hold) && is_listed(id)).map(|(id, _)| id.clone()).collect()
    }

    /// Only held hosts are ever touched.
    fn cordon(&mut self, run: usize) {
        for id in self.holds(run, |_| true) {
            self.room.set(id.as_str(), HostState::Cordoned);
        }
        self.seen = self.room.world.snapshot();
    }

    fn vanish(&mut self, run: usize) {
        for id in self.holds(run, |hold| hold.state == ReservationState::Terminating) {
            self.room.lose(id.as_str());
        }
    }

    fn forward(&mut self, run: usize, hosts: u8) {
        self.seen = self.room.world.snapshot();
        let held: Vec<usize> = self
            .room
            .held()
            .iter()
            .filter(|(_, holder)| holder.as_str() == RUNS[run])
            .map(|(id, _)| number(id))
            .collect();
        let is =
            |state: HostState| held.iter().all(|h| self.seen.host(&HOSTS[*h].into()).is_some_and(|h| h.state == state));
        if held.is_empty() {
            self.grant(run, hosts, 1, true, 0, false);
        } else if self.holds(run, |_| true).is_empty() {
            held.into_iter().for_each(|host| self.resolve(run, host, 0, 0));
        } else if !self.holds(run, |hold| hold.state == ReservationState::Terminating).is_empty() {
            self.vanish(run);
        } else if is(HostState::Cordoned) {
            self.start(run, u8::MAX, 0);
        } else {
            self.cordon(run);
        }
    }

    fn step(&mut self, step: &Step) {
        let before = self.room.record.clone();
        match step {
            Step::Pass(by) => self.room.pass(seconds(*by)),
            Step::Flip { host } => {
                if let Some(host) = self.room.world.hosts.iter_mut().find(|h| h.id.as_str() == HOSTS[*host]) {
                    host.health =
                        if host.is_healthy() { crate::model::Health::Failed } else { crate::model::Health::Healthy };
                }
            }
            Step::Observe => self.seen = self.room.world.snapshot(),
            Step::Grant { run, hosts, batch, process, epoch, silent, look } => {
                if *look {
                    self.seen = self.room.world.snapshot();
                }
                self.grant(*run, *hosts, *batch, *process, *epoch, *silent);
            }
            Step::Forward { run, hosts } => self.forward(*run, *hosts),
            Step::Cordon { run } => self.cordon(*run),
            Step::Start { run, hosts, epoch } => self.start(*run, *hosts, *epoch),
            Step::Vanish { run } => self.vanish(*run),
            Step::Resolve { run, hosts, outcome, epoch } => {
                for host in members(*hosts) {
                    self.resolve(*run, host, *outcome, *epoch);
                }
            }
            Step::TakeOver { run } => {
                let identity = super::run(RUNS[*run], "p");
                let epoch = self.epoch(*run, 0) + 1;
                let process = &identity.process;
                let command = Command::TakeOver { run: RUNS[*run].into(), epoch, process, forward: true };
                if self.room.decide(&command).is_ok() {
                    let (runs, ended) = (&self.room.record.runs, &self.room.record.ended);
                    let known = runs.get(RUNS[*run]).map(|entry| entry.epoch);
                    assert_eq!(known.or(ended.get(RUNS[*run]).map(|ended| ended.epoch)), Some(epoch), "S9");
                }
            }
            Step::End { run, epoch, completed } => {
                let identity = RunIdentity { epoch: self.epoch(*run, *epoch), ..super::run(RUNS[*run], "p") };
                let ended = self.room.end(&identity, *completed);
                self.is_fenced(&before, *run, identity.epoch, ended.is_ok());
            }
            Step::Forget => {
                let snapshot = self.room.world.snapshot();
                drop(self.room.decide(&Command::Forget { snapshot: &snapshot }));
            }
            Step::RequireSuspension { run } => {
                let (run, group, suspended) = (RUNS[*run].into(), "pool".into(), BTreeSet::new());
                drop(self.room.decide(&Command::RequireSuspension { run, epoch: 1, group, suspended }));
            }
            Step::ReleaseSuspension { run } => {
                let command = Command::ReleaseSuspension { run: RUNS[*run].into(), epoch: 1, group: "pool".into() };
                drop(self.room.decide(&command));
            }
        }
        self.record_is_sound(&before);
        self.budgets_hold();
    }

    fn grant(&mut self, run: usize, hosts: u8, batch: u64, process: bool, epoch: u64, silent: bool) {
        let token = if process { "p" } else { "q" };
        let identity = RunIdentity { epoch: self.epoch(run, epoch), ..super::run(RUNS[run], token) };
        // A careless run asks for what others claim, too.
        self.room.silent = if silent { RUNS.iter().map(|run| RunId::from(*run)).collect() } else { BTreeSet::new() };
        let names: Vec<&str> = members(hosts).map(|host| HOSTS[host]).collect();
        let (before, held_before) = (self.room.record.clone(), self.room.held());
        let seen = self.seen.clone();
        if self.room.grant_on(&identity, batch, &names, &seen).is_err() {
            return;
        }
        self.granted += 1;
        self.is_fenced(&before, run, identity.epoch, true);
        let now = self.room.now();
        let new: Vec<usize> = members(hosts).filter(|host| !held_before.contains_key(HOSTS[*host])).collect();
        if new.is_empty() {
            // S9: a repeat changes nobody's holds.
            assert_eq!(self.room.held(), held_before);
            return;
        }
        assert!(now.since(seen.begun_at) <= Bounds::MAX_AGE, "decided on an old observation");
        let taken: Vec<usize> = new.iter().copied().filter(|host| self.serves(&seen, *host)).collect();
        self.floor_holds(&seen, &taken, "grant");
        self.one_batch_at_a_time(run, &new);
    }

    fn start(&mut self, run: usize, hosts: u8, epoch: u64) {
        let epoch = self.epoch(run, epoch);
        let before = self.room.record.clone();
        let Some(entry) = before.runs.get(RUNS[run]) else { return };
        let hosts: BTreeSet<HostId> =
            entry.reservations.keys().filter(|id| hosts & (1 << number(id)) != 0).cloned().collect();
        let seen = self.seen.clone();
        let command = Command::StartTermination { run: RUNS[run].into(), epoch, hosts: hosts.clone(), snapshot: &seen };
        if self.room.decide(&command).is_err() {
            return;
        }
        self.terminated += 1;
        self.is_fenced(&before, run, epoch, true);
        for host in &hosts {
            let state = seen.host(host).map(|h| h.state);
            assert_eq!(state, Some(HostState::Cordoned), "S2: {host} is to be terminated in service");
        }
        let out: Vec<usize> =
            entry.reservations.iter().filter(|(_, hold)| hold.serving).map(|(id, _)| number(id)).collect();
        self.floor_holds(&seen, &out, "start of termination");
    }

    fn resolve(&mut self, run: usize, host: usize, outcome: u8, epoch: u64) {
        let epoch = self.epoch(run, epoch);
        let before = self.room.record.clone();
        let id = HostId::from(HOSTS[host]);
        let is_listed = self.room.world.hosts.iter().any(|h| h.id == id);
        let is_held = before.runs.get(RUNS[run]).is_some_and(|entry| entry.reservations.contains_key(&id));
        let now = self.room.now();
        // A run says what is true; it is `decide` that must not be fooled, not the oracle.
        let outcome = match (outcome, is_listed) {
            (0..4, false) => HostOutcome::Removed(now),
            (0, true) => HostOutcome::Restored,
            (1, true) => HostOutcome::NeverCordoned,
            _ => HostOutcome::Settling(now.plus(seconds(600))),
        };
        let identity = RunIdentity { epoch, ..super::run(RUNS[run], "p") };
        if self.room.resolve(&identity, HOSTS[host], outcome.clone()).is_err() {
            return;
        }
        self.is_fenced(&before, run, epoch, true);
        if !is_held {
            return;
        }
        match outcome {
            HostOutcome::Removed(at) => self.removed.push((host, id, RUNS[run].into(), at)),
            HostOutcome::Restored | HostOutcome::NeverCordoned => self.room.set(HOSTS[host], HostState::InService),
            HostOutcome::Settling(_) | HostOutcome::GivenUp => {}
        }
    }

    fn serves(&self, seen: &FleetSnapshot, host: usize) -> bool {
        seen.host(&HOSTS[host].into()).is_some_and(|h| h.is_serving())
    }

    /// S1: with every host taken away that any run holds or removed, each subsystem of those taken keeps its minimum.
    fn floor_holds(&self, seen: &FleetSnapshot, taken: &[usize], what: &str) {
        let held = self.room.held();
        for (subsystem, (name, minimum, ..)) in RULES.iter().enumerate() {
            if !taken.iter().any(|host| subsystems(*host).contains(&subsystem)) {
                continue;
            }
            let left = (0..HOSTS.len())
                .filter(|host| subsystems(*host).contains(&subsystem) && self.serves(seen, *host))
                .filter(|host| !held.contains_key(HOSTS[*host]))
                .filter(|host| !self.removed.iter().any(|(gone, ..)| gone == host))
                .count();
            assert!(left >= *minimum, "S1: after a {what} {name} is left with {left} of {minimum}");
        }
    }

    /// S4: while hosts of a subsystem are out for one run, no other takes any of it.
    fn one_batch_at_a_time(&self, run: usize, new: &[usize]) {
        for (id, holder) in self.room.held() {
            let shares = subsystems(number(&id)).iter().any(|s| new.iter().any(|host| subsystems(*host).contains(s)));
            assert!(holder.as_str() == RUNS[run] || !shares, "S4: {holder} has {id} out while {run} takes {new:?}");
        }
    }

    /// S4: removals in any hour, and what is held, are within the budget; and no run takes more than its size.
    fn budgets_hold(&self) {
        let held = self.room.held();
        let now = self.room.now();
        for (subsystem, (name, _, per_hour, per_run)) in RULES.iter().enumerate() {
            let of = |host: usize| subsystems(host).contains(&subsystem);
            let reserved = held.keys().filter(|id| of(number(id))).count();
            let recent = self.removed.iter().filter(|(host, .., at)| of(*host) && now.since(*at) < seconds(HOUR));
            let spent = reserved + recent.count();
            assert!(spent <= *per_hour, "S4: {spent} hosts of {name} within an hour, {per_hour} allowed");
            for run in RUNS {
                let holds = held.iter().filter(|(id, holder)| of(number(id)) && holder.as_str() == run).count();
                // An hour after its end the record has forgotten a run, and its id is as good as new to it. That no
                // second run bears it is the journal's word.
                let since = self.room.record.runs.get(run).map_or(NOON, |entry| entry.enlisted_at);
                let its =
                    |(host, _, by, at): &&(usize, HostId, RunId, Time)| of(*host) && by.as_str() == run && *at >= since;
                let gone = self.removed.iter().filter(its).count();
                assert!(holds + gone <= *per_run, "S4: run {run} takes {} hosts of {name}", holds + gone);
            }
        }
    }

    /// S9: only the run's present epoch may change it, and never after its end.
    fn is_fenced(&self, before: &FleetRecord, run: usize, epoch: u64, was_taken: bool) {
        if !was_taken {
            return;
        }
        let known = before.runs.get(RUNS[run]).map(|entry| entry.epoch);
        let ended = before.ended.get(RUNS[run]).map(|ended| ended.epoch);
        assert_eq!(known.or(ended).unwrap_or(epoch), epoch, "S9: a process of another epoch changed {}", RUNS[run]);
    }

    fn record_is_sound(&self, before: &FleetRecord) {
        for host in self.room.held().keys() {
            assert!(!self.room.record.removed.contains_key(host), "{host} is held and removed");
        }
        assert!(self.room.record.written_at >= before.written_at);
        let now = self.room.now();
        let recent = |at: Time| now.since(at) < seconds(HOUR);
        let told = self.removed.iter().filter(|(.., at)| recent(*at)).count();
        let kept = self.room.record.removals.iter().filter(|removal| removal.at.is_some_and(recent)).count();
        assert_eq!(kept, told, "one entry for each removal that a budget may count");
    }
}

#[test]
fn s1_s4_s9_hold_after_every_step_of_random_runs() {
    let (granted, terminated, removed) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Config { cases: 128, failure_persistence: None, ..Config::default() });
    let result = runner.run(&steps(), |steps| {
        let mut oracle = Oracle::new();
        for step in &steps {
            oracle.step(step);
        }
        granted.set(granted.get() + oracle.granted);
        terminated.set(terminated.get() + oracle.terminated);
        removed.set(removed.get() + oracle.removed.len());
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    // A test in which nothing is ever granted would hold as well.
    let counts = format!("{} grants, {} steps, {} removals", granted.get(), terminated.get(), removed.get());
    assert!(granted.get() > 100 && terminated.get() > 60 && removed.get() > 60, "{counts}");
}
