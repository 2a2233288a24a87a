//! Replies that get lost while reads show the past: schedules 3, 4 and 5.

use super::{Stage, len, minutes, moment, removal, rules};
use crate::fleets::Fleet;

const TWO: [&str; 2] = ["index-0001", "index-0004"];

/// A fleet whose answers may lie half a minute back, and do; a call of which the reply is missing.
fn lagging(call: &str, error: &str, events: &str) -> Stage {
    let faults = [("observe", "every", "stale"), (call, "nth", error)]
        .map(|(call, when, error)| format!("[[faults]]\ncall = \"{call}\"\n{when} = 1\nerror = \"{error}\"\n"));
    let stage =
        Stage::of(Fleet { index_minimum: 14, events: format!("{events}{}", faults.concat()), ..Fleet::default() });
    stage.edit("policies/fleet.toml", "[provider]", "[provider]\nsettle = \"30s\"");
    stage
}

/// Schedule 3: a restore was sent and never done; a read from before the cordon says "in service".
#[test]
fn schedule_03_s7_a_restored_host_is_held_until_a_read_can_prove_it() {
    // Right after the cordon, so that reads still lie before it when the restore goes wrong.
    let events = "[[events]]\nafter = { pool = \"index\", cordoned = 2 }\nat = \"1s\"\n\
                  demand = { subsystem = \"index\", factor = 8.0 }\n";
    let stage = lagging("restore", "timeout", events);
    let a = stage.stopped(&removal(&TWO, &[]), "stop:behind-send-restore");
    let run = stage.run_under_way();
    assert_eq!(
        (len(&run["holds"]), len(&run["calls"]), &run["calls"][0]["effect"]),
        (2, 1, &"restore".into()),
        "{run:#}"
    );
    let deadline = moment(&run["calls"][0]["not_after"]);
    stage.pass(minutes(0));
    // It is held, and its probes are bad: the second is no race.
    let refused = stage.remove(&TWO[..1], &[]).exits(3).json();
    assert!(rules(&refused).contains("not-removable"), "{refused:#}");
    let ended = a.wakes_and_ends().exits(7).json();
    let proved = deadline.plus(minutes(1)).plus(std::time::Duration::from_secs(30));
    assert!(moment(&ended["ended_at"]) >= proved, "not before {proved}: {ended:#}");
    assert_eq!((len(&ended["restored"]), stage.serving()), (2, 18), "{ended:#}");
    stage.is_tidy();
}

/// Schedule 4: the cordon was done and its reply lost; a read from before it says "in service".
#[test]
fn schedule_04_s7_a_host_whose_cordon_got_no_reply_is_not_forgotten_in_standby() {
    let stage = lagging("cordon", "lost-reply", "");
    let a = stage.stopped(&removal(&TWO, &[]), "stop:behind-send-cordon");
    assert_eq!(stage.cordoned(), 2);
    a.interrupt();
    let ended = a.wakes_and_ends().exits(9).json();
    assert_eq!((len(&ended["restored"]), stage.serving()), (2, 18), "{ended:#}");
    stage.is_tidy();
}

/// Schedule 4, to its end: the call was done, its repetition is refused for that, and reads show neither yet.
#[test]
fn schedule_04_s9_a_call_that_was_done_is_seen_to_be_done_however_late_it_shows() {
    for (call, error) in
        [("cordon", "lost-reply"), ("terminate", "lost-reply"), ("cordon", "timeout"), ("terminate", "timeout")]
    {
        let stage = lagging(call, error, "");
        let ended = stage.remove(&TWO, &[]).exits(0).json();
        assert_eq!((len(&ended["terminated"]), stage.serving()), (2, 16), "{call} {error}: {ended:#}");
        stage.is_tidy();
    }
}

/// Schedule 5: h was just restored; a read may still show it in standby, and would pass for the cordon of the next run.
#[test]
fn schedule_05_s2_a_restored_host_is_nobody_elses_while_a_read_can_show_it_in_standby() {
    let (stage, settle) = (Stage::new(14), std::time::Duration::from_secs(30));
    stage.edit("policies/fleet.toml", "[provider]", "[provider]\nsettle = \"30s\"");
    let a = stage.stopped(&removal(&TWO, &[]), "stop:behind-append-batch-cordoned");
    stage.pass(minutes(2));
    let woken = moment(&stage.status()["at"]);
    a.interrupt();
    let ended = a.wakes_and_ends().exits(9).json();
    assert!(moment(&ended["ended_at"]) >= woken.plus(settle), "restored not before {woken}: {ended:#}");
    stage.is_tidy();

    // The next run begins at once. What it reads lies as far back as it may, and its own cordon is never executed.
    let faults = "[[faults]]\ncall = \"observe\"\nevery = 1\nerror = \"stale\"\n\
                  [[faults]]\ncall = \"cordon\"\nnth = 1\nerror = \"timeout\"\n[[load]]";
    stage.edit("policies/scenario.toml", "[[load]]", faults);
    let removed = stage.remove(&TWO, &[]).exits(0).json();
    let run = removed["run"].as_str().expect("an id");
    assert_eq!((stage.intents(run, "cordon").len(), len(&removed["terminated"])), (2, 2), "{removed:#}");
    assert_eq!(stage.serving(), 16);
    stage.is_tidy();
}
