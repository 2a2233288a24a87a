//! The ledger goes away in the middle of a run: what is watched, what is put back, what is kept, and how it comes into
//! the ledger afterwards.

use std::fs;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;

use crate::environment::{self, Ran, TestEnvironment, ran, words};
use crate::fleets::Fleet;
use crate::removal::{capacity, cordoned, signal, wait_until};

const REMOVE: [&str; 6] = ["--subsystem", "index", "--count=2", "--yes", "--output=json", "--request-id=outage"];

/// A fleet whose health a file says. Its bake takes eight seconds of ours, a sample comes every second.
fn fleet(clock: &'static str, offline_limit: &str) -> TestEnvironment {
    let environment = TestEnvironment::new();
    Fleet { clock, index_minimum: 12, ..Fleet::default() }.write(&environment);
    let fast: u32 = clock.parse().expect("so many times as fast as ours");
    let reading = environment.write("reading", "0").display().to_string();
    let replace = |file: &str, text: &str, with: &str| environment.replace(file, text, with);
    let path = "path = \"../state/ledger.db\"\n";
    replace("policies/fleet.toml", path, &format!("{path}offline_limit = \"{offline_limit}\"\n"));
    let exec = format!("kind = \"exec\"\ncommand = [\"cat\", \"{reading}\"]");
    replace("policies/index.toml", "kind = \"simulated\"\nmetric = \"error_rate\"", &exec);
    for name in ["index", "placement", "billing"] {
        let file = format!("policies/{name}.toml");
        let pace = format!("bake = \"{}s\"\nevery = \"{fast}s\"", 8 * fast);
        replace(&file, "bake = \"1m\"\nevery = \"10s\"", &pace);
    }
    environment
}

/// A fleet for runs whose ledger stays away: its clock is six times as fast, since a takeover waits for more than a
/// minute.
fn lasting() -> TestEnvironment {
    fleet("6", "60s")
}

/// A run in its bake.
fn baking(environment: &TestEnvironment) -> Child {
    let mut child = environment.command(&REMOVE).spawn().expect("it starts");
    let directory = environment.path().to_owned();
    wait_until(&mut child, "the cordon", || cordoned(&directory) == 2);
    let status = || environment.run(&["status"]).stdout;
    wait_until(&mut child, "the bake", || status().contains("baking"));
    child
}

/// Somebody keeps the ledger's file locked; until this is dropped nobody reads or writes it.
fn lock(environment: &TestEnvironment) -> Connection {
    let connection = Connection::open(environment.path().join("state/ledger.db")).expect("a ledger");
    connection.busy_timeout(Duration::from_secs(20)).expect("a time-out");
    connection.execute_batch("BEGIN EXCLUSIVE").expect("locked");
    connection
}

fn end(child: Child) -> Ran {
    ran(&["the run"], child.wait_with_output().expect("it ends"))
}

/// The files in which runs are kept, in a place.
fn kept(environment: &TestEnvironment, place: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(environment.path().join(place)).into_iter().flatten();
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.display().to_string().contains("unrecorded-")).collect()
}

/// A run that lost its ledger in its bake for good: its id, the file, and what it said.
fn given_up(environment: &TestEnvironment) -> (String, PathBuf, Ran) {
    let child = baking(environment);
    let locked = lock(environment);
    let ran = end(child).exits(8);
    drop(locked);
    let run = ran.json()["run"].as_str().expect("an id").to_owned();
    let files = kept(environment, "state");
    assert_eq!(files.len(), 1, "{files:?}\n{}", ran.stderr);
    (run, files[0].canonicalize().expect("a path"), ran)
}

/// A run that ended, as its journal has it.
fn recorded(environment: &TestEnvironment, run: &str) -> Value {
    environment.run(&["status", run, "-o", "json"]).exits(0).json()["ended"].clone()
}

fn len(value: &Value) -> usize {
    value.as_array().expect("an array").len()
}

/// The bake goes on being watched while a write waits: nothing else could see that the probe turns bad. What is out goes
/// back without the ledger, and the ledger knows of it when it is back.
#[test]
fn s7_a_probe_that_turns_bad_while_the_ledger_is_locked_brings_the_batch_back_at_once() {
    let environment = fleet("1", "40s");
    let mut child = baking(&environment);
    let locked = lock(&environment);
    // The last sample from before has long begun to wait for its record.
    std::thread::sleep(Duration::from_secs(5));
    environment.write("reading", "0.5");
    let directory = environment.path().to_owned();
    wait_until(&mut child, "the restore", || cordoned(&directory) == 0);
    drop(locked);
    let document = end(child).exits(7).json();
    assert_eq!((&document["cause"]["kind"], len(&document["restored"])), (&"probe".into(), 2), "{document:#}");
    assert!(document["warnings"].to_string().contains("recorded late"), "{document:#}");
    assert_eq!(capacity(&environment, "index"), 18);
    let run = document["run"].as_str().expect("an id");
    assert_eq!(recorded(&environment, run), document, "the journal has all of it");
    let status = environment.run(&["status", "-o", "json"]).exits(0).json();
    assert_eq!(len(&status["runs"]), 0, "{status:#}");
    assert_eq!(kept(&environment, "state"), Vec::<PathBuf>::new());
}

/// It comes back in time: the run goes on as if nothing had been.
#[test]
fn s6_a_ledger_that_is_back_before_the_limit_costs_the_run_nothing() {
    let environment = fleet("1", "40s");
    let child = baking(&environment);
    let locked = lock(&environment);
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(cordoned(environment.path()), 2, "neither forward nor back");
    drop(locked);
    let document = end(child).exits(0).json();
    assert_eq!((&document["outcome"], len(&document["terminated"])), (&"completed".into(), 2), "{document:#}");
}

#[test]
fn s7_what_could_not_be_recorded_is_kept_and_resume_records_it_first() {
    let environment = lasting();
    let (run, file, ended) = given_up(&environment);
    assert_eq!(cordoned(environment.path()), 0, "everything is back");
    let document = ended.json();
    assert_eq!((&document["outcome"], len(&document["in_doubt"])), (&"needs-attention".into(), 0), "{document:#}");
    let next = format!("safe-remove abandon {run}");
    assert_eq!(document["next_command"], next);
    let (name, said) = (file.display().to_string(), ended.stderr.replace('\n', " "));
    assert!(name.contains(&run) && said.contains(&name) && said.contains(&next), "{said}");
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);

    let status = environment.run(&["status", "-o", "json"]).exits(0).json();
    assert_eq!((len(&status["runs"][0]["holds"]), &status["runs"][0]["next_command"]), (2, &next.as_str().into()));
    assert!(status["runs"][0]["advice"].as_str().is_some_and(|advice| advice.contains(&name)), "{status:#}");

    let resumed = environment.run(&["resume", &run, "-o", "json"]).exits(7);
    assert!(resumed.stderr.contains("in the ledger now"), "{}", resumed.stderr);
    let document = resumed.json();
    assert_eq!((len(&document["restored"]), len(&document["terminated"])), (2, 0), "{document:#}");
    assert_eq!(document["cause"]["kind"], "ledger");
    assert!(!file.exists(), "all of it is in the ledger");
    let status = environment.run(&["status", "-o", "json"]).exits(0).json();
    assert_eq!(len(&status["runs"]), 0, "{status:#}");
    // What the first process did is in the journal, with the times at which it did it.
    let report = recorded(&environment, &run);
    assert!(report["warnings"].to_string().contains("out of reach"), "{report:#}");
}

#[test]
fn s3_a_kept_file_that_is_not_what_was_written_is_refused_by_name() {
    let environment = lasting();
    let (run, file, _) = given_up(&environment);
    let good = fs::read_to_string(&file).expect("a file");
    let other = good.replacen("\"ledger\": \"", "\"ledger\": \"another-", 1);
    assert_ne!(good, other);
    let stranger = good.replace(&run, "r-000000000000");
    let newer = good.replacen("unrecorded/v1", "unrecorded/v2", 1);
    let cut = &good[..good.len() / 2];
    for bad in [cut, &other, &stranger, &newer, ""] {
        fs::write(&file, bad).expect("written");
        for verb in ["resume", "abandon"] {
            let refused = environment.run(&[verb, &run]).exits(3);
            assert!(refused.stderr.replace('\n', " ").contains(&file.display().to_string()), "{}", refused.stderr);
        }
    }
    fs::write(&file, &good).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).expect("permissions");
    environment.run(&["resume", &run]).exits(3);
    let status = environment.run(&["status", "-o", "json"]).exits(0).json();
    assert_eq!(len(&status["runs"][0]["holds"]), 2, "nothing was touched: {status:#}");
}

/// Writes something else over the ledger's file while a run goes on, between two of its writes: a process that is in the
/// middle of one puts its pages into whatever is there by then. `make` is given what is there.
fn write_over(environment: &TestEnvironment, make: impl FnOnce(&[u8]) -> Vec<u8>) {
    let locked = lock(environment);
    // One open file for all of it: SQLite's lock goes with the first that this process closes.
    let path = environment.path().join("state/ledger.db");
    let mut file = fs::OpenOptions::new().read(true).write(true).open(path).expect("a ledger");
    let mut there = Vec::new();
    file.read_to_end(&mut there).expect("reads");
    let bytes = make(&there);
    file.set_len(0).expect("emptied");
    file.rewind().expect("at its start");
    file.write_all(&bytes).expect("written over");
    drop(file);
    drop(locked);
}

/// A run whose ledger is written over in its bake by something of which a backup from before is a part: the backup, the
/// run's id, the file in which it is kept, its document, and all that it said. Everything is back, and nobody has taken
/// it over.
fn written_over(
    environment: &TestEnvironment,
    make: impl FnOnce(&[u8], &[u8]) -> Vec<u8>,
) -> (Vec<u8>, String, PathBuf, Value, String) {
    environment.run(&["ledger", "init"]).exits(0);
    let backup = fs::read(environment.path().join("state/ledger.db")).expect("a backup");
    let child = baking(environment);
    write_over(environment, |there| make(there, &backup));
    let ended = end(child).exits(8);
    assert_eq!(cordoned(environment.path()), 0, "everything is back: {}", ended.stderr);
    let (document, words) = (ended.json(), words(&ended.stderr));
    assert_eq!((&document["cause"]["kind"], len(&document["terminated"])), (&"ledger".into(), 0), "{document:#}");
    assert!(!words.contains("taken over"), "{words}");
    let run = document["run"].as_str().expect("an id").to_owned();
    let files = kept(environment, "state");
    assert_eq!(files.len(), 1, "{files:?}\n{words}");
    let name = files[0].canonicalize().expect("a path");
    let kept: Value = serde_json::from_str(&fs::read_to_string(&name).expect("a file")).expect("JSON");
    assert_eq!(kept["acknowledged"][0]["seq"], 0, "the whole journal is kept: {kept:#}");
    (backup, run, name, document, words)
}

/// The ledger is an older state of itself, and refused as a whole; of this run it is said what is known here.
fn is_refused_as_older(environment: &TestEnvironment, run: &str, name: &Path) {
    for command in [["status", run], ["abandon", run], ["resume", run]] {
        let words = words(&environment.run(&command).exits(10).stderr);
        for said in
            ["older state", &name.display().to_string(), "no host of the run is out of service", "ledger import"]
        {
            assert!(words.contains(said), "{command:?} {said}: {words}");
        }
    }
}

/// An older state of the ledger is written over it while a run bakes: nobody has taken the run over, and this process is
/// the only one that knows of its hosts. What is out comes back, all that it knows is kept, and whoever asks is told.
#[test]
fn s7_a_ledger_that_is_put_back_in_mid_run_is_lost_and_the_run_is_kept() {
    let environment = lasting();
    let (_, run, file, document, words) = written_over(&environment, |_, backup| backup.to_vec());
    assert_eq!(document["next_command"], format!("safe-remove status {run}"), "{document:#}");
    assert!(words.contains("knows less than this run told it"), "{words}");
    is_refused_as_older(&environment, &run, &file);
    let name = file.display().to_string();
    let good: Value = serde_json::from_str(&fs::read_to_string(&file).expect("a file")).expect("JSON");
    // Once it is a ledger again, it still does not know the run.
    environment.write("export.json", &environment.run(&["ledger", "export"]).exits(0).stdout);
    let policy = fs::read_to_string(environment.path().join("policies/fleet.toml")).expect("a policy");
    environment.write("policies/fleet.toml", &policy.replace("ledger.db", "imported.db"));
    environment.run(&["ledger", "import", "export.json"]).exits(0);
    let out = {
        let mut out = good.clone();
        // As if its process had died when it wrote the first of these.
        out["records"].as_array_mut().expect("records").truncate(1);
        out
    };
    for (file, said) in [(&good, "no host of the run is out of service"), (&out, "out of service by it: index-")] {
        fs::write(&name, file.to_string()).expect("written");
        for command in [["status", &run], ["abandon", &run], ["resume", &run]] {
            let words = environment::words(&environment.run(&command).exits(3).stderr);
            for said in [said, &name, "there was one"] {
                assert!(words.contains(said), "{command:?} {said}: {words}");
            }
        }
    }
}

/// The same in the middle of a write of the run, whose pages come into the older file: it is neither state, and nobody
/// can read it. A backup in its place is refused like any other; the ledger as it was takes what is kept.
#[test]
fn s7_a_ledger_that_is_damaged_in_mid_run_is_lost_and_the_run_is_kept() {
    let environment = lasting();
    let mut whole = Vec::new();
    let (backup, run, file, document, said) = written_over(&environment, |there, backup| {
        whole = there.to_vec();
        // The first page says how many there are.
        assert!(there.len() > backup.len(), "the run has made it longer");
        let mut torn = backup.to_vec();
        torn[..4096].copy_from_slice(&there[..4096]);
        torn
    });
    let next = format!("safe-remove abandon {run}");
    assert_eq!(document["next_command"], next, "{document:#}");
    assert!(said.contains("its contents are damaged") && !said.contains("older state"), "{said}");
    assert!(said.contains("could not take the end of") && said.contains(&file.display().to_string()), "{said}");
    for command in [["status", &run], ["abandon", &run], ["resume", &run]] {
        let words = words(&environment.run(&command).exits(10).stderr);
        assert!(words.contains("its contents are damaged"), "{command:?}: {words}");
    }
    let ledger = environment.path().join("state/ledger.db");
    fs::write(&ledger, backup).expect("put back");
    is_refused_as_older(&environment, &run, &file);
    fs::write(&ledger, whole).expect("mended");
    let abandoned = environment.run(&["abandon", &run]).exits(0);
    assert!(abandoned.stderr.contains("in the ledger now") && !file.exists(), "{}", abandoned.stderr);
}

/// Before the first host was touched it costs nothing: the run is not begun.
#[cfg(debug_assertions)]
#[test]
fn s3_a_ledger_that_is_put_back_before_the_first_effect_begins_no_run() {
    let mut environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    environment.run(&["ledger", "init"]).exits(0);
    let (ledger, backup) = (environment.path().join("state/ledger.db"), environment.path().join("backup.db"));
    fs::copy(&ledger, &backup).expect("a backup");
    environment.set("SAFE_REMOVE_FAULT", "stop:before-change-grant");
    let mut child = environment.command(&REMOVE).spawn().expect("it starts");
    let stopped = || fs::read_to_string(format!("/proc/{}/stat", child.id())).is_ok_and(|stat| stat.contains(") T "));
    let begun = std::time::Instant::now();
    while !stopped() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it did not come so far");
        std::thread::sleep(Duration::from_millis(20));
    }
    fs::copy(&backup, &ledger).expect("written over");
    signal(&child, "-CONT");
    assert!(child.try_wait().expect("a child").is_none());
    let ended = end(child).exits(10);
    assert!(ended.stderr.contains("older state"), "{}", ended.stderr);
    assert_eq!(cordoned(environment.path()), 0);
}

/// Somebody else took the run over meanwhile: what is kept is told, and not recorded.
#[test]
fn s9_what_is_kept_is_told_and_not_recorded_where_the_journal_went_on() {
    let environment = lasting();
    let (run, file, _) = given_up(&environment);
    let aside = environment.path().join("aside");
    fs::rename(&file, &aside).expect("moved");
    environment.run(&["abandon", &run]).exits(0);
    let before = recorded(&environment, &run);
    fs::rename(&aside, &file).expect("moved");
    let told = environment.run(&["resume", &run]).exits(9);
    let told = words(&told.stderr);
    for words in ["went on without it", "restore index-", "has ended"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(file.exists());
    assert_eq!(recorded(&environment, &run), before);
}

/// The directory of the ledger takes no file: the operator's own does. Nor does that: the screen says all of it.
#[test]
fn s7_what_no_disk_takes_is_said_on_the_screen() {
    for home_is_there in [true, false] {
        let environment = lasting();
        if !home_is_there {
            environment.write(".local", "not a directory");
        }
        let child = baking(&environment);
        let status = environment.run(&["status", "-o", "json"]).exits(0).json();
        let run = status["runs"][0]["run"].as_str().expect("a run").to_owned();
        let taken = format!("state/unrecorded-{run}-1.json");
        environment.write(&format!("{taken}/in-the-way"), "");
        let locked = lock(&environment);
        let ended = end(child).exits(8);
        drop(locked);
        fs::remove_dir_all(environment.path().join(&taken)).expect("removed");
        assert_eq!(cordoned(environment.path()), 0);
        if home_is_there {
            assert_eq!(kept(&environment, ".local/state/safe-remove").len(), 1, "{}", ended.stderr);
            let abandoned = environment.run(&["abandon", &run]).exits(0);
            assert!(abandoned.stderr.contains("in the ledger now"), "{}", abandoned.stderr);
            assert_eq!(kept(&environment, ".local/state/safe-remove").len(), 0);
        } else {
            let said = ended.stderr.replace('\n', " ");
            assert!(said.contains("only copy") && said.contains("restore index-"), "{said}");
        }
    }
}

/// Its process dies on the way back: whoever goes on with it is told that it goes back, not forward.
#[cfg(debug_assertions)]
#[test]
fn s6_status_says_that_a_run_that_was_stopping_goes_on_stopping() {
    let mut environment = TestEnvironment::new();
    Fleet { clock: "60", index_minimum: 12, ..Fleet::default() }.write(&environment);
    environment.set("SAFE_REMOVE_FAULT", "kill:behind-append-stopped");
    let mut child = environment.command(&REMOVE).spawn().expect("it starts");
    let directory = environment.path().to_owned();
    wait_until(&mut child, "the cordon", || cordoned(&directory) == 2);
    signal(&child, "-INT");
    assert_eq!(end(child).code, None, "it was killed");
    environment.set("SAFE_REMOVE_FAULT", "");
    let status = environment.run(&["status", "-o", "json"]).exits(0).json();
    let run = status["runs"][0]["run"].as_str().expect("a run");
    let advice = status["runs"][0]["advice"].as_str().expect("an advice");
    assert!(advice.contains("It was stopping") && !advice.contains("goes on terminating"), "{advice}");
    assert_eq!(status["runs"][0]["next_command"], format!("safe-remove abandon {run}"));
    let document = environment.run(&["resume", run, "-o", "json"]).exits(9).json();
    assert_eq!((len(&document["terminated"]), cordoned(&directory)), (0, 0), "{document:#}");
}

/// Cut off from the ledger for good at a step of each kind: the run ends with 8 and nothing out of service, what it could
/// not record is kept, and whoever resumes it leaves nothing behind. No host goes that had not gone by then.
#[cfg(debug_assertions)]
#[test]
fn s7_cut_off_at_a_step_of_each_kind_and_resumed_nothing_is_left() {
    for (step, terminated, end) in [
        ("before-append-call-intended", 0, 7),
        ("behind-send-cordon", 0, 7),
        ("before-append-bake-ended", 0, 7),
        ("behind-change-start-termination", 0, 7),
        ("behind-send-terminate", 1, 7),
        ("before-change-resolve", 2, 7),
        ("before-send-resume", 2, 0),
        ("behind-send-resume", 2, 0),
        ("before-append-run-ended", 2, 0),
    ] {
        let mut environment = TestEnvironment::new();
        Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
        environment.set("SAFE_REMOVE_FAULT", &format!("cut:{step}"));
        let document = environment.run(&REMOVE).exits(8).json();
        assert_eq!(len(&document["in_doubt"]), 0, "{step}: {document:#}");
        assert_eq!((cordoned(environment.path()), kept(&environment, "state").len()), (0, 1), "{step}");
        environment.set("SAFE_REMOVE_FAULT", "");
        let run = document["run"].as_str().expect("an id");
        let resumed = environment.run(&["resume", run, "-o", "json"]).exits(end).json();
        assert_eq!(len(&resumed["terminated"]), terminated, "{step}: {resumed:#}");
        // Whoever puts AZRebalance back by hand because of an old line takes it from another run.
        let warnings = resumed["warnings"].to_string();
        assert!(!warnings.contains("AZRebalance"), "{step}: {warnings}");
        let status = environment.run(&["status", "-o", "json"]).exits(0).json();
        assert_eq!((len(&status["runs"]), kept(&environment, "state").len()), (0, 0), "{step}: {status:#}");
        assert_eq!(capacity(&environment, "index"), 18 - terminated as u64, "{step}");
    }
}
