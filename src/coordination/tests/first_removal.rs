//! The first removal of a fleet of which nobody has seen that nothing takes the place of what goes.

use super::*;
use crate::model::{FleetIdentity, GroupName};

fn room() -> Room {
    let mut room = Room::new(8);
    room.world.hosts.iter_mut().for_each(|host| host.group = Some(GroupName::new("index")));
    room.world.identity = FleetIdentity::simulated("fleet-1");
    room
}

fn grant(room: &mut Room, run: &RunIdentity, batch: u64, hosts: &[&str]) -> Result<Granted, Refusal> {
    let snapshot = room.world.snapshot().proving_removals(true);
    room.grant_on(run, batch, hosts, &snapshot)
}

fn start(room: &mut Room, run: &RunIdentity, hosts: &[&str]) -> Result<Granted, Refusal> {
    let snapshot = room.world.snapshot().proving_removals(true);
    let hosts = ids(hosts);
    room.decide(&Command::StartTermination { run: run.run.clone(), epoch: run.epoch, hosts, snapshot: &snapshot })
}

fn see(room: &mut Room, run: &RunIdentity, host: &str) -> Result<Granted, Refusal> {
    let (group, host) = (GroupName::new("index"), HostId::from(host));
    room.decide(&Command::SeeRemoval { run: run.run.clone(), epoch: run.epoch, group: &group, host: &host })
}

#[test]
fn s9_one_host_of_all_runs_goes_before_what_answers_it_was_seen() {
    let (a, b) = (run("a", "p"), run("b", "q"));
    let mut room = room();
    let both = ["index-01", "index-02"];
    grant(&mut room, &a, 1, &both).expect("as the policies have it");
    both.iter().for_each(|host| room.set(host, HostState::Cordoned));
    assert_eq!(why(start(&mut room, &a, &both)), "illegal");
    start(&mut room, &a, &both[..1]).expect("one");
    start(&mut room, &a, &both[..1]).expect("the same once more");
    assert_eq!(why(start(&mut room, &a, &both[1..])), "illegal");
    room.lose("index-01");
    room.pass(seconds(200));
    let at = room.now();
    room.resolve(&a, "index-01", HostOutcome::Removed(at)).expect("gone");
    room.set("index-02", HostState::InService);
    room.resolve(&a, "index-02", HostOutcome::Restored).expect("back");
    // It holds nothing any more, and what answers is not seen yet.
    let told = grant(&mut room, &b, 1, &["index-03"]).expect_err("it waits").to_string();
    assert!(told.contains("run a removes the first host of this fleet"), "{told}");
    see(&mut room, &a, "index-01").expect("seen");
    see(&mut room, &a, "index-02").expect("said again");
    assert_eq!(room.record.removal_seen.as_ref().map(|seen| seen.host.as_str()), Some("index-01"));
    room.end(&a, true).expect("ended");
    grant(&mut room, &b, 1, &["index-03", "index-04"]).expect("as the policies have it");
}

#[test]
fn s9_nobody_waits_for_a_silent_run_and_another_fleet_is_seen_anew() {
    let mut room = room();
    let (a, b) = (run("a", "p"), run("b", "q"));
    room.remove(&a, 1, "index-01").expect("gone");
    room.silent.insert("a".into());
    let told = grant(&mut room, &b, 1, &["index-03"]).map_err(|refusal| refusal.to_string());
    assert!(told.as_ref().err().is_none_or(|why| !why.contains("first host of this fleet")), "{told:?}");

    let mut room = self::room();
    grant(&mut room, &a, 1, &["index-01"]).expect("granted");
    see(&mut room, &a, "index-01").expect("seen");
    room.end(&a, false).expect("ended");
    room.decide(&Command::Adopt).expect("the same fleet");
    assert!(room.record.removal_seen.is_some());
    room.record.runs.clear();
    room.world.identity = FleetIdentity::simulated("fleet-2");
    room.decide(&Command::Adopt).expect("another one");
    assert!(room.record.removal_seen.is_none());
}
