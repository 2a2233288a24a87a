//! What happens while a run looks away: schedules 8, 9, 10 and 17.

use rexpect::session::spawn_command;
use serde_json::Value;

use super::{Stage, len, minutes, moment, removal, rules};
use crate::fleets::Fleet;

/// Schedule 8: granted at headroom 1 and stopped for two hours; meanwhile X dies by itself; it wakes up and would cordon.
#[test]
fn schedule_08_s1_an_observation_two_hours_old_lends_no_headroom() {
    // The reference takes twice `every`; no sample is due when the run wakes up, only the observation is old.
    let events = "[[events]]\nat = \"7h\"\nfail = [\"index-0010\"]\n".to_owned();
    let stage = Stage::of(Fleet { index_minimum: 17, events, ..Fleet::default() });
    stage.edit("policies/index.toml", "every = \"10s\"", "every = \"3h\"");
    stage.edit("policies/placement.toml", "every = \"10s\"", "every = \"3h\"");
    stage.edit("policies/index.toml", "bake = \"1m\"", "bake = \"9h\"");
    // Everything was judged and nothing is sent yet that takes a host out.
    let a = stage.stopped(&removal(&["index-0001"], &[]), "stop:behind-send-suspend");
    stage.pass(minutes(120));
    let ended = a.wakes_and_ends().exits(7).json();
    assert_eq!(ended["cause"]["rule"], "minimum", "{ended:#}");
    let run = ended["run"].as_str().expect("an id");
    assert_eq!(stage.intents(run, "cordon"), Vec::<Value>::new(), "no host was taken out");
    assert_eq!(stage.serving(), 17);
    stage.is_tidy();
}

/// Schedule 9: X dies by itself during the bake, and the probes stay clean.
#[test]
fn schedule_09_s1_a_host_that_dies_in_a_clean_bake_has_the_batch_put_back() {
    let events = "[[events]]\nat = \"40s\"\nfail = [\"index-0010\"]\n".to_owned();
    let stage = Stage::of(Fleet { index_minimum: 16, events, ..Fleet::default() });
    let ended = stage.remove(&["index-0001", "index-0004"], &[]).exits(7).json();
    assert_eq!((&ended["cause"]["kind"], &ended["cause"]["rule"]), (&"rule".into(), &"minimum".into()), "{ended:#}");
    assert_eq!((len(&ended["terminated"]), len(&ended["restored"])), (0, 2), "{ended:#}");
    assert!(ended["batches"][0]["bake_ended_at"].is_null(), "within the bake: {ended:#}");
    assert_eq!(stage.serving(), 17, "all but the one that died");
    stage.is_tidy();
}

/// Schedule 10: between grant and terminate somebody accepts a stricter policy.
#[test]
fn schedule_10_s6_a_policy_that_became_stricter_since_the_grant_stops_the_termination() {
    let stage = Stage::new(12);
    stage.clone_policies("stricter");
    stage.edit("stricter/index.toml", "minimum = 12", "minimum = 14");
    let a = stage.stopped(&removal(&["index-0001", "index-0004"], &[]), "stop:behind-append-bake-ended");
    stage.pass(minutes(0));
    let accept = ["policy", "accept", "index", "--reason", "more load", "--policies", "stricter"];
    let mut accepts = spawn_command(stage.environment.interactive(&accept), Some(30_000)).expect("it starts");
    accepts.exp_string("Type index to accept this").expect("the question");
    accepts.send_line("index").expect("typed");
    accepts.exp_string("Accepted: index").expect("accepted");
    let ended = a.wakes_and_ends().exits(7).json();
    assert_eq!(ended["cause"]["rule"], "policy-loosened", "{ended:#}");
    assert_eq!((len(&ended["terminated"]), stage.serving()), (0, 18), "{ended:#}");
    stage.is_tidy();
    assert!(rules(&stage.remove(&["index-0001"], &[]).exits(3).json()).contains("policy-loosened"));
}

/// Schedule 10: between grant and terminate the window closes.
#[test]
fn schedule_10_s6_a_window_that_closed_since_the_grant_stops_the_termination() {
    let stage = Stage::new(12);
    stage.edit("policies/index.toml", "[health]", "[windows]\nzone = \"UTC\"\nallow = [\"Tue 09:00-17:38\"]\n[health]");
    let ended = stage.remove(&["index-0001", "index-0004"], &[]).exits(7).json();
    assert_eq!(ended["cause"]["rule"], "window", "{ended:#}");
    assert_eq!((len(&ended["terminated"]), stage.serving()), (0, 18), "{ended:#}");
    stage.is_tidy();
}

/// Schedule 17: a process is stopped for ten minutes in a bake, or right after it, and wakes up "finished".
#[test]
fn schedule_17_s2_a_bake_that_nobody_watched_begins_again() {
    for point in ["behind-append-batch-cordoned", "behind-append-sampled", "behind-append-bake-ended"] {
        let stage = Stage::new(12);
        let a = stage.stopped(&removal(&["index-0001", "index-0004"], &[]), &format!("stop:{point}"));
        let cordoned = stage.run_under_way();
        assert_eq!((stage.cordoned(), len(&cordoned["holds"])), (2, 2), "{cordoned:#}");
        stage.pass(minutes(10));
        let woken = moment(&stage.status()["at"]);
        let ended = a.wakes_and_ends().exits(0).json();
        let baked = moment(&ended["batches"][0]["bake_ended_at"]);
        assert!(baked >= woken.plus(minutes(1)), "{point}: woken at {woken}: {ended:#}");
        assert_eq!(stage.serving(), 16);
        stage.is_tidy();
    }
}
