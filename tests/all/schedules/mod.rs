//! The twenty schedules that broke the protocol's model, or an argument by hand, where a mechanism was left out: each on
//! the compiled binary, as processes that are stopped, killed, cut off or lied to at the step in question
//! (`src/driver/fault.rs`), while others act.
//!
//! The fleet's clock is virtual, so that nothing is a matter of luck: it stands still while a process is awake, and
//! moves over one that is stopped when [`Stage::pass`] says so. What the fleet itself holds is read from its file,
//! whatever the ledger says.

mod ledgers;
mod reads;
mod sharing;
mod takeovers;
mod watching;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::environment::{Ran, TestEnvironment, moment, ran};
use crate::fault_points::is_stopped;
use crate::fleets::Fleet;
use crate::removal::signal;
use crate::support::engines::Engine;

/// A fleet, its policies and its ledger.
pub(crate) struct Stage {
    pub(crate) environment: TestEnvironment,
}

/// A process of the cast.
pub(crate) struct Player {
    child: Child,
    arguments: Vec<String>,
}

impl Stage {
    /// `index` has 18 hosts, each of one unit, and takes batches of 2.
    fn new(index_minimum: u64) -> Self {
        Self::of(Fleet { index_minimum, ..Fleet::default() })
    }

    fn of(fleet: Fleet) -> Self {
        let environment = TestEnvironment::new();
        fleet.write(&environment);
        Self { environment }
    }

    /// As [`Stage::new`], with the ledger in such an engine.
    pub(crate) fn on(engine: Engine, index_minimum: u64) -> Self {
        let mut stage = Self::new(index_minimum);
        engine.keeps_the_ledger_of(&mut stage.environment);
        stage
    }

    /// Changes a file; what is replaced must be there.
    fn edit(&self, file: &str, from: &str, to: &str) {
        self.environment.replace(file, from, to);
    }

    /// Another checkout of the policies, for the same fleet and ledger.
    fn clone_policies(&self, name: &str) {
        for file in ["fleet.toml", "scenario.toml", "index.toml", "placement.toml", "billing.toml"] {
            let text = fs::read_to_string(self.environment.path().join("policies").join(file)).expect("a file");
            self.environment.write(&format!("{name}/{file}"), &text);
        }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.environment.run(arguments)
    }

    /// Removes hosts of `index`, unattended, and prints the document.
    fn remove(&self, hosts: &[&str], more: &[&str]) -> Ran {
        self.run(&strs(&removal(hosts, more)))
    }

    /// Starts a command under faults.
    fn start(&self, arguments: &[String], faults: &str) -> Player {
        let mut command = self.environment.command(&strs(arguments));
        command.env("SAFE_REMOVE_FAULT", faults);
        Player { child: command.spawn().expect("it starts"), arguments: arguments.to_vec() }
    }

    /// Starts a command that stops at the first of its fault points.
    #[track_caller]
    pub(crate) fn stopped(&self, arguments: &[String], faults: &str) -> Player {
        let mut player = self.start(arguments, faults);
        player.stops();
        player
    }

    /// Lets the fleet's time pass over whatever process is stopped.
    fn pass(&self, time: Duration) {
        let state = self.environment.path().join("state");
        let lock = File::options().write(true).open(state.join("fleet.json.lock")).expect("a lock file");
        lock.lock().expect("the lock");
        let path = state.join("fleet.json.clock");
        let mut face: Value = serde_json::from_str(&fs::read_to_string(&path).expect("a clock")).expect("JSON");
        face["now"] = moment(&face["now"]).plus(time).to_string().into();
        for process in face["processes"].as_object_mut().expect("processes").values_mut() {
            // Until it wakes, nobody waits for it.
            process["given_up"] = true.into();
        }
        fs::write(&path, face.to_string()).expect("written");
    }

    /// What `status` shows.
    fn status(&self) -> Value {
        self.run(&["status", "-o", "json"]).exits(0).json()
    }

    /// The one run that `status` shows.
    #[track_caller]
    fn run_under_way(&self) -> Value {
        let status = self.status();
        assert_eq!(len(&status["runs"]), 1, "{status:#}");
        status["runs"][0].clone()
    }

    /// The fleet as its own file has it.
    fn fleet(&self) -> Value {
        let path = self.environment.path().join("state/fleet.json");
        serde_json::from_str(&fs::read_to_string(path).expect("a fleet")).expect("JSON")
    }

    pub(crate) fn count(&self, matches: impl Fn(&str, &Value) -> bool) -> usize {
        let fleet = self.fleet();
        fleet["hosts"].as_object().expect("hosts").iter().filter(|(id, host)| matches(id, host)).count()
    }

    /// Hosts of `index` that serve, by the fleet's own word.
    pub(crate) fn serving(&self) -> usize {
        self.count(|id, host| id.starts_with("index") && host["state"] == "in-service" && host["healthy"] == true)
    }

    pub(crate) fn cordoned(&self) -> usize {
        self.count(|_, host| host["state"] == "cordoned")
    }

    /// Nobody holds anything, and nothing is left out of service.
    #[track_caller]
    pub(crate) fn is_tidy(&self) {
        let status = self.status();
        assert_eq!((len(&status["runs"]), self.cordoned()), (0, 0), "{status:#}");
        assert!(self.fleet()["groups"].as_object().expect("groups").values().all(|g| len(&g["suspended"]) == 0));
    }

    /// A run's journal, as the ledger has it.
    fn journal(&self, run: &str) -> Vec<Value> {
        let export = self.run(&["ledger", "export"]).exits(0).json();
        export["journals"][run].as_array().expect("a journal").clone()
    }

    /// The intents of one effect in a run's journal.
    fn intents(&self, run: &str, effect: &str) -> Vec<Value> {
        let journal = self.journal(run).into_iter();
        journal.filter(|line| line["event"] == "call-intended" && line["effect"] == effect).collect()
    }
}

impl Player {
    /// Waits until it stops at a fault point.
    #[track_caller]
    fn stops(&mut self) {
        if !is_stopped(&mut self.child) {
            panic!("it ended before its fault point: {:?}", self.outputs());
        }
    }

    /// What it wrote, once it has ended.
    fn outputs(&mut self) -> [String; 2] {
        use std::io::Read as _;
        let (mut out, mut err) = (String::new(), String::new());
        self.child.stdout.take().expect("piped").read_to_string(&mut out).expect("UTF-8");
        self.child.stderr.take().expect("piped").read_to_string(&mut err).expect("UTF-8");
        [out, err]
    }

    /// Asks it to stop, as soon as it wakes.
    fn interrupt(&self) {
        signal(&self.child, "-TERM");
    }

    fn wake(&self) {
        signal(&self.child, "-CONT");
    }

    fn ends(self) -> Ran {
        ran(&strs(&self.arguments), self.child.wait_with_output().expect("it ends"))
    }

    /// Wakes it and waits for its end.
    pub(crate) fn wakes_and_ends(self) -> Ran {
        self.wake();
        self.ends()
    }
}

/// The arguments that remove hosts of `index`.
pub(crate) fn removal(hosts: &[&str], more: &[&str]) -> Vec<String> {
    let hosts = hosts.iter().flat_map(|host| ["--host", host]);
    ["--subsystem", "index", "--yes", "-o", "json"]
        .into_iter()
        .chain(hosts)
        .chain(more.iter().copied())
        .map(str::to_owned)
        .collect()
}

/// The arguments that take a run over from a process that may be alive.
fn takeover(verb: &str, run: &Value) -> Vec<String> {
    let mut words = vec![verb, run["run"].as_str().expect("an id"), "--even-if-alive", "-o", "json"];
    // What goes forward is confirmed.
    words.extend((verb == "resume").then_some("--yes"));
    words.into_iter().map(str::to_owned).collect()
}

pub(crate) fn strs(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

pub(crate) fn len(value: &Value) -> usize {
    value.as_array().map_or_else(|| panic!("not an array: {value}"), Vec::len)
}

/// The rules that a plan violates.
pub(crate) fn rules(plan: &Value) -> BTreeSet<&str> {
    plan["violations"].as_array().expect("violations").iter().filter_map(|v| v["rule"].as_str()).collect()
}

/// Waits until the check holds.
#[track_caller]
fn wait_until(what: &str, mut check: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !check() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what} was not seen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}
