//! Units by tag and by instance type, wherever they count.

use std::collections::BTreeMap;

use crate::model::HostState;
use crate::plan::testing::{World, brief, counted, host, policy, taking};
use crate::plan::{AssessError, InTurn, Stage, Verdict, headroom, measure};
use crate::policy::{BatchLimit, UnitsSource, ZoneMinimum};

const LARGE: &str = "m6i.large";
const XLARGE: &str = "m6i.xlarge";

fn by_tag(world: &mut World, weights: &[(&str, &str)]) {
    world.policy_mut("index").capacity.units = UnitsSource::Tag("index".to_owned());
    for (id, units) in weights {
        world.host_mut(id).tags_mut().insert("index".to_owned(), (*units).to_owned());
    }
}

/// `i-01` and `i-02` are xlarge, in one group with the others; an xlarge counts for four.
fn by_type() -> World {
    let mut world = World::new([policy("index", 6)]).with("i", 6, &["a", "b"], &["index"]);
    world.policy_mut("index").capacity.units =
        UnitsSource::InstanceType(BTreeMap::from([(LARGE.to_owned(), 1), (XLARGE.to_owned(), 4)]));
    for id in ["i-01", "i-02"] {
        world.host_mut(id).instance_type = XLARGE.into();
    }
    world.hosts.iter_mut().for_each(|h| h.group = Some("index".into()));
    world
}

fn refused(world: &World) -> String {
    let grant = world.verify(&taking(&["i-02"]), Stage::Grant).expect_err("no weight");
    let shown = world.ask(|inputs| headroom(inputs, None, &InTurn)).expect_err("no weight");
    assert_eq!(grant, shown);
    grant.to_string()
}

#[test]
fn by_tag_the_check_counts_units() {
    let mut world = World::new([policy("index", 6)]).with("i", 4, &["a"], &["index"]);
    by_tag(&mut world, &[("i-01", "4")]);
    assert_eq!(world.refusals(&["i-01"]), ["minimum index 3/6"]);
    assert!(world.refusals(&["i-02"]).is_empty());
}

#[test]
fn by_instance_type_every_number_is_in_units_and_the_group_is_in_hosts() {
    let mut world = by_type();
    world.groups.insert("index".into(), 3);
    world.policy_mut("index").capacity.minimum_per_zone = Some(ZoneMinimum::Units(2));
    // Twelve units, six in each zone.
    assert_eq!(world.refusals(&["i-01", "i-02"]), ["minimum index 4/6"]);
    assert_eq!(world.refusals(&["i-01", "i-03"]), ["zone-minimum index a 1/2"]);
    // In units, all four small ones may go; the group keeps three hosts.
    assert_eq!(world.refusals(&["i-03", "i-04", "i-05", "i-06"]), ["group-minimum index 2/3"]);
    let plan = counted(&world, "index", 3).document;
    assert_eq!(plan.verdict, Verdict::Allowed);
    assert_eq!(plan.largest_allowed_count, Some(3));
    assert_eq!(counted(&world, "index", 4).document.verdict, Verdict::Refused);
    let units: u64 = plan.batches.iter().flat_map(|b| &b.hosts).map(|h| h.units).sum();
    let [index] = plan.subsystems.as_slice() else { panic!("{:?}", plan.subsystems) };
    assert_eq!((index.capacity, index.remaining, index.headroom), (12, 12 - units, 6));
    assert_eq!(index.zones.iter().map(|z| (z.capacity, z.minimum)).collect::<Vec<_>>(), [(6, 2), (6, 2)]);
    let shown = world.ask(|inputs| headroom(inputs, None, &InTurn)).expect("judged").remove(0);
    assert_eq!(shown.hosts_allowed, 3);
    assert_eq!(shown.binding.as_ref().map(brief).as_deref(), Some("group-minimum index 2/3"));
    // Without the group's floor, i-01 or i-02 may go with one other beside, or the four small ones.
    assert_eq!(shown.next_allowed, Some(4));
}

#[test]
fn by_instance_type_what_remains_after_a_run_is_in_units() {
    let mut world = by_type();
    let before = counted(&world, "index", 1).document.subsystems;
    world.host_mut("i-01").state = HostState::Terminating;
    let after = world.ask(|inputs| measure(inputs, &before)).expect("judged").remove(0);
    assert_eq!((after.capacity, after.remaining), (12, 8));
    assert_eq!(after.zones.iter().map(|z| z.remaining).collect::<Vec<_>>(), [2, 6]);
}

#[test]
fn a_batch_in_units_takes_what_fits_and_one_that_is_larger_goes_alone() {
    let mut world = by_type();
    world.policy_mut("index").capacity.minimum = 0;
    world.policy_mut("index").pace.batch = BatchLimit::Units(3);
    let plan = counted(&world, "index", 6).document;
    let batches: Vec<Vec<u64>> = plan.batches.iter().map(|b| b.hosts.iter().map(|h| h.units).collect()).collect();
    assert_eq!(batches, [vec![4], vec![4], vec![1, 1, 1], vec![1]]);
}

#[test]
fn a_batch_of_huge_units_is_summed_without_saturating() {
    let mut world = World::new([policy("index", 0)]).with("i", 2, &["a"], &["index"]);
    let huge = u64::MAX.to_string();
    by_tag(&mut world, &[("i-01", &huge), ("i-02", &huge)]);
    world.policy_mut("index").pace.batch = BatchLimit::Units(u64::MAX);
    assert_eq!(counted(&world, "index", 2).document.batches.len(), 2);
}

#[test]
fn s3_only_a_positive_integer_is_a_weight() {
    let mut world = World::new([policy("index", 1)]).with("i", 4, &["a"], &["index"]);
    // The largest is one.
    by_tag(&mut world, &[("i-03", "18446744073709551615"), ("i-04", "007")]);
    assert!(world.refusals(&["i-01"]).is_empty());
    for bad in ["", "0", "00", "-1", "+1", "1.5", "1e3", " 1", "1 ", "many", "٣", "18446744073709551616"] {
        by_tag(&mut world, &[("i-03", bad)]);
        let expected = format!(
            "1 host of subsystem index without a usable weight (a positive integer): i-03 (tag \"index\" is {bad:?})"
        );
        assert_eq!(refused(&world), expected);
    }
    let mut world = by_type();
    world.host_mut("i-06").instance_type = "t3.nano".into();
    assert!(refused(&world).ends_with(": i-06 (instance type \"t3.nano\" has no units in the policy)"));
    // Not even where the policy itself says 0, which `policy check` refuses.
    world.policy_mut("index").capacity.units = UnitsSource::InstanceType(BTreeMap::from([(LARGE.to_owned(), 0)]));
    assert!(refused(&world).starts_with("6 hosts of subsystem index without a usable weight"));
}

#[test]
fn s3_an_error_names_every_host_without_a_weight_up_to_five_and_how_many_more() {
    let mut world = World::new([policy("index", 1), policy("other", 1)]).with("i", 9, &["a"], &["index"]).with(
        "o",
        2,
        &["a"],
        &["other"],
    );
    by_tag(&mut world, &[("i-01", "3"), ("i-05", "+1")]);
    world.policy_mut("index").capacity.units = UnitsSource::Tag("units".to_owned());
    for (id, units) in [("i-01", "3"), ("i-05", "+1"), ("i-04", "2")] {
        world.host_mut(id).tags_mut().insert("units".to_owned(), units.to_owned());
    }
    let error = refused(&world);
    assert_eq!(
        error,
        "7 hosts of subsystem index without a usable weight (a positive integer): i-02 (no tag \"units\"), \
         i-03 (no tag \"units\"), i-05 (tag \"units\" is \"+1\"), i-06 (no tag \"units\"), i-07 (no tag \"units\") \
         and 2 more"
    );
    // A host that does not serve counts for nothing but is still named: it may serve at the next request.
    for id in ["i-02", "i-03", "i-06", "i-07", "i-08", "i-09"] {
        world.host_mut(id).tags_mut().insert("units".to_owned(), "1".to_owned());
    }
    world.host_mut("i-05").state = HostState::Pending;
    let error = world.verify(&taking(&["i-02"]), Stage::Grant).expect_err("no weight");
    let AssessError::Weight { hosts, more: 0, .. } = &error else { panic!("{error}") };
    assert_eq!(hosts.iter().map(|h| h.host.as_str()).collect::<Vec<_>>(), ["i-05"]);
    // A subsystem that is not touched is not judged.
    assert!(world.refusals(&["o-01"]).is_empty());
}

#[test]
fn s1_sums_of_huge_weights_do_not_wrap() {
    let mut world = World::new([policy("index", u64::MAX)]).with("i", 4, &["a", "b"], &["index"]);
    let huge = u64::MAX.to_string();
    by_tag(&mut world, &[("i-01", &huge), ("i-02", &huge), ("i-03", &huge), ("i-04", &huge)]);
    assert!(world.refusals(&["i-01", "i-02", "i-03"]).is_empty());
    let all = ["i-01", "i-02", "i-03", "i-04"];
    assert_eq!(world.refusals(&all), [format!("minimum index 0/{}", u64::MAX)]);
    let plan = counted(&world, "index", 3).document;
    assert_eq!((plan.verdict, plan.largest_allowed_count), (Verdict::Allowed, Some(3)));
    // A document says no more than it can; what it says is never too much to lose.
    assert_eq!((plan.subsystems[0].capacity, plan.subsystems[0].remaining), (u64::MAX, u64::MAX));
    world.policy_mut("index").capacity.survive_zone_loss = true;
    assert_eq!(counted(&world, "index", 3).document.largest_allowed_count, Some(2));
    assert_eq!(world.refusals(&["i-01", "i-03"]), [format!("zone-loss index b 0/{}", u64::MAX)]);
    // One unit less than two of them: no rounding by a float may lose it.
    let mut world = World::new([policy("index", u64::MAX - 1)]).with("i", 2, &["a"], &["index"]);
    by_tag(&mut world, &[("i-01", &(u64::MAX - 1).to_string()), ("i-02", &(u64::MAX - 2).to_string())]);
    assert_eq!(counted(&world, "index", 1).document.largest_allowed_count, Some(1));
    assert_eq!(world.refusals(&["i-01"]), [format!("minimum index {}/{}", u64::MAX - 2, u64::MAX - 1)]);
    assert!(world.refusals(&["i-02"]).is_empty());
    world.hosts.push(host("i-03", "a", &["index"]));
    by_tag(&mut world, &[("i-03", "1")]);
    assert_eq!(counted(&world, "index", 2).document.largest_allowed_count, Some(2));
}
