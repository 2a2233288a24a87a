//! What an operator should know before confirming.

use crate::model::TargetGroupId;
use crate::plan::testing::{World, counted, policy};

/// The warnings about target groups for a removal of `count` hosts of index.
fn unrouted(world: &World, count: u64) -> Vec<String> {
    let plan = counted(world, "index", count);
    plan.document.warnings.into_iter().filter(|w| w.contains("target group")).collect()
}

#[test]
fn s2_hosts_that_a_cordon_takes_no_work_from_are_named() {
    let mut world = World::new([policy("index", 1)]).with("h", 4, &["a"], &["index"]);
    let said = |which: &str| {
        vec![format!(
            "{which} in no group and behind no target group: a cordon takes no work away, and a bake does not show what \
             goes with it"
        )]
    };
    assert_eq!(unrouted(&world, 1), said("host h-01 is"));
    assert_eq!(unrouted(&world, 3), said("host h-01 and 2 more are"));
    for host in &mut world.hosts {
        host.target_groups.insert(TargetGroupId::new("web"));
    }
    assert_eq!(unrouted(&world, 3), Vec::<String>::new());
}
