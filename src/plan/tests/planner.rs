//! The document, the batches, the strictest settings, and the permit.

use std::time::Duration;

use crate::model::{Health, HostId, OwnChanges, ScheduledChange, Time};
use crate::plan::permit::NotConfirmed;
use crate::plan::testing::{NOON, World, brief, counted, host, policy};
use crate::plan::{Confirmation, InTurn, Plan, Request, Selection, Verdict, headroom, plan};
use crate::policy::{ApprovalRule, BatchLimit, Budget};

fn request(selection: Selection) -> Request {
    Request { subsystem: "index".into(), selection, reason: None, request_id: None, expect_remaining: None }
}

fn ask(world: &World, request: &Request) -> Plan {
    world.ask(|inputs| plan(inputs, request)).expect("the fleet can be judged")
}

fn named(world: &World, hosts: &[&str]) -> Plan {
    ask(world, &request(Selection::named(hosts.iter().map(|h| HostId::from(*h)))))
}

fn refusals(plan: &Plan) -> Vec<String> {
    assert_eq!(plan.document.verdict == Verdict::Allowed, plan.document.violations.is_empty());
    plan.document.violations.iter().map(brief).collect()
}

fn sizes(plan: &Plan) -> Vec<usize> {
    plan.document.batches.iter().map(|b| b.hosts.len()).collect()
}

fn fleet() -> World {
    World::new([policy("billing", 1), policy("index", 10)]).with("i", 20, &["a", "b", "c"], &["index"]).with(
        "s",
        6,
        &["a", "b", "c"],
        &["billing", "index"],
    )
}

#[test]
fn names_that_do_not_exist_are_refused_with_the_nearest() {
    let world = fleet();
    let mut asked = request(Selection::counted(1));
    asked.subsystem = "indx".into();
    let plan = ask(&world, &asked);
    assert_eq!(refusals(&plan), ["unknown-subsystem indx"]);
    assert!(plan.document.violations[0].message.ends_with("nearest: index"), "{:?}", plan.document.violations);
    assert_eq!(plan.document.largest_allowed_count, Some(0));
    let plan = named(&world, &["i-0l", "i-02"]);
    assert_eq!(refusals(&plan), ["unknown-host i-0l"]);
    assert!(plan.document.violations[0].message.contains("nearest: i-01"), "{:?}", plan.document.violations);
    assert_eq!(plan.document.largest_allowed_count, None);
}

#[test]
fn a_named_host_must_belong_to_the_named_subsystem() {
    let world = fleet().with("b", 2, &["a"], &["billing"]);
    assert_eq!(refusals(&named(&world, &["i-01", "b-01"])), ["not-serving-it index b-01"]);
}

#[test]
fn expectation_counts_hosts_that_still_serve() {
    let mut world = fleet();
    world.host_mut("i-01").health = Health::Failed;
    let mut asked = request(Selection::counted(2));
    asked.expect_remaining = Some(24);
    assert_eq!(refusals(&ask(&world, &asked)), Vec::<String>::new());
    asked.expect_remaining = Some(23);
    assert_eq!(refusals(&ask(&world, &asked)), ["expectation index 24/23"]);
}

#[test]
fn a_reason_and_approvals_are_asked_by_whoever_is_touched() {
    let mut world = fleet();
    world.policy_mut("billing").confirm.require_reason = true;
    world.policy_mut("billing").confirm.approvals = vec![ApprovalRule { above: 1, count: 1 }];
    let hosts = |ids: &[&str]| request(Selection::named(ids.iter().map(|h| HostId::from(*h))));
    assert!(refusals(&ask(&world, &hosts(&["i-01", "i-02"]))).is_empty());
    let mut asked = hosts(&["i-01", "s-01"]);
    assert_eq!(refusals(&ask(&world, &asked)), ["reason-required billing", "approval billing 0/1"]);
    asked.reason = Some("  ".to_owned());
    assert_eq!(refusals(&ask(&world, &asked)).len(), 2);
    asked.reason = Some("ticket 7".to_owned());
    assert_eq!(refusals(&ask(&world, &asked)), ["approval billing 0/1"]);
}

/// A count is refused for want of an approval or a reason only if every choice needs one.
#[test]
fn hosts_that_need_no_approval_and_no_reason_are_preferred() {
    let shared = |id: &str, other: &str| host(id, "a", &["index", other]);
    let mut world = World::new(["index", "x", "y"].map(|name| policy(name, 0)));
    world.hosts = vec![shared("i-1", "x"), shared("i-2", "x"), shared("i-3", "y"), shared("i-4", "y")];
    let taken = |plan: &Plan| -> Vec<String> {
        plan.document.batches.iter().flat_map(|batch| &batch.hosts).map(|host| host.id.to_string()).collect()
    };
    assert_eq!(taken(&counted(&world, "index", 2)), ["i-1", "i-2"]);
    let confirm = world.policy_mut("x").confirm.clone();
    world.policy_mut("x").confirm.approvals = vec![ApprovalRule { above: 1, count: 1 }];
    assert_eq!(taken(&counted(&world, "index", 1)), ["i-1"], "one host needs no approval");
    assert_eq!(taken(&counted(&world, "index", 2)), ["i-3", "i-4"]);
    assert_eq!(refusals(&counted(&world, "index", 3)), ["approval x 0/1"]);
    world.policy_mut("x").confirm = confirm;
    world.policy_mut("x").confirm.require_reason = true;
    assert_eq!(taken(&counted(&world, "index", 1)), ["i-3"]);
    assert_eq!(refusals(&counted(&world, "index", 3)), ["reason-required x"]);
    let mut asked = request(Selection::counted(1));
    asked.reason = Some("ticket 7".to_owned());
    assert_eq!(taken(&ask(&world, &asked)), ["i-1"], "with a reason, nothing is to be avoided");
    // The named subsystem itself is touched by every choice.
    world.policy_mut("index").confirm.require_reason = true;
    assert_eq!(refusals(&counted(&world, "index", 1)), ["reason-required index", "reason-required x"]);
}

#[test]
fn a_group_that_could_not_take_its_hosts_back_is_refused() {
    let mut world = fleet();
    world.host_mut("i-01").group = Some("asg".into());
    world.group_maximum = 0;
    assert_eq!(refusals(&named(&world, &["i-01"])), ["group-maximum asg 1/0"]);
}

#[test]
fn s7_a_run_that_outlasts_its_credentials_is_refused() {
    let mut world = fleet();
    world.policy_mut("index").pace.batch = BatchLimit::Hosts(1);
    // Two bakes of three minutes, an interval of five, the reference of twenty seconds, five minutes to put back.
    let needed = Duration::from_secs(2 * 180 + 300 + 20 + 300);
    let ends = |after: Duration| Some(NOON.plus(after));
    world.credentials_end = ends(needed);
    assert_eq!(refusals(&named(&world, &["i-01", "i-02"])), Vec::<String>::new());
    world.credentials_end = ends(needed - Duration::from_millis(1));
    assert_eq!(refusals(&named(&world, &["i-01", "i-02"])), ["credentials"]);
    let refused = named(&world, &["i-01", "i-02"]).document.violations;
    assert!(refused[0].message.contains("needed until 2017-02-28 12:16:20 UTC"), "{}", refused[0].message);
    assert_eq!(refusals(&named(&world, &["i-01"])), Vec::<String>::new(), "it takes less time");
    world.credentials_end = ends(Duration::ZERO);
    assert_eq!(refusals(&named(&world, &["i-01"])), ["credentials"]);
}

#[test]
fn s7_a_scheduled_action_before_everything_is_over_is_refused() {
    let mut world = fleet();
    world.host_mut("i-01").group = Some("asg".into());
    // A bake of three minutes, the reference of twenty seconds, five minutes to put back.
    let until = NOON.plus(Duration::from_secs(180 + 20 + 300));
    let due = |at: Time| vec![ScheduledChange { at, what: "scheduled action night".to_owned() }];
    world.group_changes.scheduled = due(until);
    assert_eq!(refusals(&named(&world, &["i-01"])), Vec::<String>::new());
    world.group_changes.scheduled = due(until.minus(Duration::from_millis(1)));
    assert_eq!(refusals(&named(&world, &["i-01"])), ["not-removable asg"]);
    let refused = named(&world, &["i-01"]).document.violations;
    assert!(
        refused[0].message.contains("scheduled action night sets the sizes of group asg"),
        "{}",
        refused[0].message
    );
    assert_eq!(refusals(&named(&world, &["i-02"])), Vec::<String>::new(), "it is in no group");
}

/// A count is refused for what a group does only if the hosts of other groups do not suffice.
#[test]
fn groups_that_could_not_take_their_hosts_back_are_avoided() {
    let taken = |document: &Plan| -> Vec<String> {
        document.document.batches.iter().flat_map(|batch| &batch.hosts).map(|host| host.id.to_string()).collect()
    };
    let mut world = World::new([policy("index", 0)]).with("i", 6, &["a"], &["index"]);
    for host in ["i-01", "i-02", "i-03"] {
        world.host_mut(host).group = Some("asg".into());
    }
    assert_eq!(taken(&counted(&world, "index", 3)), ["i-01", "i-02", "i-03"]);
    let change = ScheduledChange { at: NOON, what: "scheduled action night".to_owned() };
    let scheduled = OwnChanges { scheduled: vec![change], ..OwnChanges::default() };
    let scales_out = OwnChanges { scales_out: Some("scaling policy load".to_owned()), ..OwnChanges::default() };
    let (none, room) = (OwnChanges::default(), 10_000);
    for (maximum, changes, refusal) in [
        (0, none, "group-maximum asg 3/0"),
        (room, scheduled, "not-removable asg"),
        (3, scales_out, "way-back asg 6/3"),
    ] {
        (world.group_maximum, world.group_changes) = (maximum, changes);
        assert_eq!(taken(&counted(&world, "index", 3)), ["i-04", "i-05", "i-06"], "{refusal}");
        let plan = counted(&world, "index", 5);
        assert_eq!(plan.document.violations.len(), 1);
        assert_eq!(brief(&plan.document.violations[0]).split(' ').next(), refusal.split(' ').next());
    }
}

#[test]
fn s7_a_scaling_policy_must_leave_room_for_the_batch_that_is_out() {
    let mut world = fleet();
    for host in ["i-01", "i-02", "i-03", "i-04"] {
        world.host_mut(host).group = Some("asg".into());
    }
    world.policy_mut("index").pace.batch = BatchLimit::Hosts(2);
    world.group_changes.scales_out = Some("scaling policy load".to_owned());
    let all = ["i-01", "i-02", "i-03"];
    // Four, of which two are out: the policy launches two, and the two come back. The third goes when two are gone.
    world.group_maximum = 6;
    assert_eq!(refusals(&named(&world, &all)), Vec::<String>::new());
    world.group_maximum = 5;
    assert_eq!(refusals(&named(&world, &all)), ["way-back asg 6/5"]);
    assert_eq!(refusals(&named(&world, &["i-01"])), Vec::<String>::new());
    world.policy_mut("index").pace.batch = BatchLimit::Hosts(1);
    assert_eq!(refusals(&named(&world, &all)), Vec::<String>::new(), "smaller batches need less room");
    world.group_maximum = 4;
    assert_eq!(refusals(&named(&world, &all)), ["way-back asg 5/4"]);
    world.group_changes.scales_out = None;
    assert_eq!(refusals(&named(&world, &all)), Vec::<String>::new());
}

#[test]
fn batches_ramp_up_to_the_smallest_limit() {
    let mut world = fleet();
    world.policy_mut("index").pace.batch = BatchLimit::Hosts(4);
    assert_eq!(sizes(&counted(&world, "index", 10)), [4, 4, 2]);
    world.policy_mut("index").pace.ramp = true;
    assert_eq!(sizes(&counted(&world, "index", 10)), [1, 2, 4, 3]);
    world.policy_mut("billing").pace.batch = BatchLimit::Hosts(2);
    assert_eq!(sizes(&counted(&world, "index", 10)), [1, 2, 4, 3]);
    // Billing is touched as soon as one host of it goes.
    assert_eq!(sizes(&named(&world, &["i-01", "i-02", "i-03", "i-04", "s-01"])), [1, 2, 2]);
    let numbers: Vec<u64> = counted(&world, "index", 10).document.batches.iter().map(|b| b.number.get()).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
}

#[test]
fn a_batch_of_units_takes_what_fits_and_at_least_one_host() {
    let mut world = fleet();
    world.policy_mut("index").capacity.units = crate::policy::UnitsSource::Tag("index".to_owned());
    world.policy_mut("index").pace.batch = BatchLimit::Units(3);
    for (id, units) in [("i-01", "2"), ("i-02", "2"), ("i-03", "5")] {
        world.host_mut(id).tags_mut().insert("index".to_owned(), units.to_owned());
    }
    let plan = named(&world, &["i-01", "i-02", "i-03", "i-04"]);
    let batches: Vec<Vec<&str>> =
        plan.document.batches.iter().map(|b| b.hosts.iter().map(|h| h.id.as_str()).collect()).collect();
    assert_eq!(batches, [vec!["i-01", "i-04"], vec!["i-02"], vec!["i-03"]]);
}

#[test]
fn google_net_2019_a_batch_stays_in_its_zones() {
    let mut world = fleet();
    world.policy_mut("index").pace.zones_per_batch = Some(1);
    let plan = counted(&world, "index", 9);
    for batch in &plan.document.batches {
        assert!(batch.hosts.iter().all(|h| h.zone == batch.hosts[0].zone), "{batch:?}");
    }
    assert_eq!(sizes(&plan), [3, 3, 3]);
}

#[test]
fn the_strictest_setting_of_everything_touched_or_watched_holds() {
    let mut world = fleet();
    let seconds = Duration::from_secs;
    world.policy_mut("billing").pace.interval = seconds(900);
    world.policy_mut("billing").confirm.unattended_max = 1;
    world.policy_mut("index").confirm.unattended_max = 5;
    let mut watcher = policy("watcher", 0);
    watcher.depends_on.insert("index".into());
    watcher.health.bake = seconds(600);
    watcher.health.every = seconds(2);
    watcher.pace.interval = seconds(9999);
    world.policies.subsystems.insert("watcher".into(), watcher);
    let alone = named(&world, &["i-01"]).settings;
    assert_eq!((alone.bake, alone.every, alone.interval), (seconds(600), seconds(2), seconds(300)));
    assert_eq!(alone.unattended_max, 5);
    let both = named(&world, &["s-01"]).settings;
    assert_eq!((both.interval, both.unattended_max), (seconds(900), 1));
    assert_eq!(named(&world, &["i-01"]).document.watched, ["index".into(), "watcher".into()]);
}

#[test]
fn an_unusual_count_is_measured_by_what_was_ever_removed_or_by_three_batches() {
    let mut world = fleet();
    world.policy_mut("index").confirm.unusual = Some("1.5".parse().expect("a decimal"));
    // Without history three batches are usual, whatever the factor is.
    world.policy_mut("index").pace.batch = BatchLimit::Hosts(2);
    assert!(!counted(&world, "index", 6).settings.unusual);
    assert_eq!(counted(&world, "index", 7).prompt_answer(), "index 7");
    // A batch in units has at least one host, and else those that fit whichever they are: each is worth one unit here.
    for (units, usual) in [(1, 3), (2, 6)] {
        world.policy_mut("index").pace.batch = BatchLimit::Units(units);
        assert!(!counted(&world, "index", usual).settings.unusual, "{units}");
        assert!(counted(&world, "index", usual + 1).settings.unusual, "{units}");
    }
    world.ledger.largest_removal.insert("index".into(), 4);
    assert!(!counted(&world, "index", 6).settings.unusual);
    let plan = counted(&world, "index", 7);
    assert!(plan.settings.unusual);
    assert_eq!(plan.prompt_answer(), "index 7");
}

#[test]
fn s8_only_the_right_answer_in_time_makes_a_permit() {
    let mut world = fleet();
    world.policy_mut("index").confirm.unattended_max = 2;
    let made = |count| counted(&world, "index", count);
    let typed = |text: &str| Confirmation::Typed(text.to_owned());
    let permit = made(3).confirm(typed(" 3\n"), NOON).expect("confirmed");
    assert_eq!((permit.how(), permit.document()), ("typed", &made(3).document));
    for wrong in ["", "2", "yes", "index 3", "33", "3.0", "03"] {
        assert!(matches!(made(3).confirm(typed(wrong), NOON), Err(NotConfirmed::WrongAnswer { .. })), "{wrong}");
    }
    assert_eq!(made(2).confirm(Confirmation::Unattended, NOON).map(|c| c.how()), Ok("unattended"));
    let many = made(3).confirm(Confirmation::Unattended, NOON);
    assert_eq!(many.err(), Some(NotConfirmed::TooMany { hosts: 3, limit: 2 }));
    assert_eq!(made(99).confirm(typed("99"), NOON).err(), Some(NotConfirmed::Refused));
    let late = NOON.plus(Duration::from_secs(900));
    assert!(made(3).confirm(typed("3"), late.minus(Duration::from_millis(1))).is_ok());
    for time in [late, NOON.minus(Duration::from_millis(1))] {
        assert!(matches!(made(3).confirm(typed("3"), time), Err(NotConfirmed::Expired { .. })));
    }
}

#[test]
fn s8_an_unusual_count_is_typed_out_and_never_unattended() {
    let mut world = fleet();
    world.policy_mut("index").confirm.unattended_max = 9;
    world.policy_mut("index").confirm.unusual = Some(3.into());
    world.policy_mut("index").pace.batch = BatchLimit::Hosts(1);
    let made = || counted(&world, "index", 5);
    assert!(!made().is_unattended_enough());
    assert_eq!(made().confirm(Confirmation::Unattended, NOON).err(), Some(NotConfirmed::Unusual));
    assert!(made().confirm(Confirmation::Typed("5".to_owned()), NOON).is_err());
    assert!(made().confirm(Confirmation::Typed("index 5".to_owned()), NOON).is_ok());
}

#[test]
fn s8_the_digest_covers_fleet_policies_and_hosts_per_batch() {
    let world = fleet();
    let digest = |world: &World, count| counted(world, "index", count).document.plan;
    let base = digest(&world, 3);
    assert_eq!(base.as_str().len(), 32);
    assert_eq!(digest(&world, 3), base);
    assert_ne!(digest(&world, 4), base);
    let mut other = fleet();
    other.policy_mut("billing").capacity.minimum = 2;
    assert_ne!(digest(&other, 3), base);
    let mut other = fleet();
    other.policies.fleet.name = "another".into();
    assert_ne!(digest(&other, 3), base);
    let mut other = fleet();
    other.identity.account = Some("123456789012".to_owned());
    assert_ne!(digest(&other, 3), base);
    let mut other = fleet();
    other.policy_mut("index").pace.batch = BatchLimit::Hosts(2);
    let batched = digest(&other, 3);
    other.policy_mut("index").pace.batch = BatchLimit::Hosts(1);
    assert_ne!(digest(&other, 3), batched);
    // Neither other observed properties nor the time are in it.
    let mut other = fleet();
    other.host_mut("s-06").instance_type = "m6i.xlarge".into();
    other.now = NOON.plus(Duration::from_secs(60));
    assert_eq!(digest(&other, 3), base);
}

#[test]
fn s4_a_spent_budget_is_a_warning_that_says_how_long() {
    let mut world = fleet();
    let hour = Duration::from_secs(3600);
    world.policy_mut("index").pace.budgets = vec![Budget { hosts: 4, per: hour }];
    world.policy_mut("index").pace.batch = BatchLimit::Hosts(2);
    assert_eq!(counted(&world, "index", 4).document.not_before, None);
    world.removed("gone-1", Some(NOON.minus(Duration::from_secs(1800))));
    let plan = counted(&world, "index", 4);
    assert_eq!(plan.document.verdict, Verdict::Allowed);
    let opens: Time = NOON.plus(Duration::from_secs(1800 + 120));
    assert_eq!(plan.document.not_before, Some(opens));
    assert!(plan.document.waits[0].starts_with("batch 2 has to wait until"), "{:?}", plan.document.waits);
    assert!(plan.document.waits[0].contains("(32m from now)"), "{:?}", plan.document.waits);
    // Two samples of the reference, the wait, and the second bake.
    assert_eq!(plan.expected_end(NOON), opens.plus(Duration::from_secs(20 + 180)));
    assert_eq!(refusals(&counted(&world, "index", 5)), ["budget index 5/4"]);
    assert_eq!(counted(&world, "index", 5).document.largest_allowed_count, Some(4));
}

#[test]
fn s4_the_runs_own_batches_count_against_its_budgets() {
    let mut world = fleet();
    let pace = &mut world.policy_mut("index").pace;
    pace.budgets =
        vec![Budget { hosts: 2, per: Duration::from_secs(600) }, Budget { hosts: 6, per: Duration::from_secs(9000) }];
    pace.batch = BatchLimit::Hosts(2);
    // Six would fit one run of the long budget, but no more than two the short one.
    assert_eq!(refusals(&counted(&world, "index", 6)), ["budget index 6/2"]);
    assert_eq!(counted(&world, "index", 2).document.not_before, None);
    world.removed("gone-1", None);
    assert_eq!(counted(&world, "index", 2).document.not_before, Some(NOON.plus(Duration::from_secs(720))));
}

#[test]
fn the_document_shows_every_subsystem_touched_and_the_named_one_first() {
    let world = fleet();
    let plan = named(&world, &["s-01"]);
    let tables: Vec<(&str, u64, u64, u64, u64)> = plan
        .document
        .subsystems
        .iter()
        .map(|s| (s.name.as_str(), s.capacity, s.remaining, s.minimum, s.headroom))
        .collect();
    assert_eq!(tables, [("index", 26, 25, 10, 16), ("billing", 6, 5, 1, 5)]);
    let zones: Vec<(&str, u64, u64)> =
        plan.document.subsystems[1].zones.iter().map(|z| (z.name.as_str(), z.capacity, z.remaining)).collect();
    assert_eq!(zones, [("a", 2, 1), ("b", 2, 2), ("c", 2, 2)]);
    let host = &plan.document.batches[0].hosts[0];
    assert_eq!((host.units, host.serving, host.subsystems.len()), (1, true, 2));
    assert_eq!(plan.document.expires_at, NOON.plus(Duration::from_secs(900)));
    assert!(
        plan.document
            .warnings
            .iter()
            .any(|w| w == "index has no probe: a bake sees only whether its hosts are in service")
    );
}

#[test]
fn headroom_names_the_most_and_what_binds() {
    let mut world = fleet();
    world.policy_mut("index").pace.max_hosts_per_run = 17;
    let all = world.ask(|inputs| headroom(inputs, None, &InTurn)).expect("judged");
    let brief_of = |index: usize| {
        let h = &all[index];
        (h.name.as_str().to_owned(), h.hosts_allowed, h.binding.as_ref().map(brief))
    };
    assert_eq!(brief_of(0), ("billing".to_owned(), 5, Some("minimum billing 0/1".to_owned())));
    assert_eq!(brief_of(1), ("index".to_owned(), 16, Some("minimum index 9/10".to_owned())));
    world.ledger.halts = vec![(Some("billing".into()), "test".to_owned())];
    let one = world.ask(|inputs| headroom(inputs, Some(&"billing".into()), &InTurn)).expect("judged");
    assert_eq!(one.iter().map(|h| h.hosts_allowed).collect::<Vec<_>>(), [0]);
    assert_eq!(one[0].binding.as_ref().map(brief).as_deref(), Some("halted billing"));
}
