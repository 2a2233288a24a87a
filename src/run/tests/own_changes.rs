//! What a group does by itself while a run is under way.

use std::time::Duration;

use super::world::{START, World};
use crate::model::{OwnChanges, ScheduledChange};
use crate::plan::{Rule, Violation};
use crate::run::{Finish, Machine, NotStarted, Outcome};

fn rules(violations: &[Violation]) -> Vec<Rule> {
    violations.iter().map(|violation| violation.rule).collect()
}

/// Whenever the action is due, no host is out then.
#[test]
fn s7_nothing_is_out_when_a_scheduled_action_is_due() {
    let (mut refused, mut stopped, mut completed) = (0, 0, 0);
    for minutes in 0..=20 {
        let mut world = World::new();
        let at = START.plus(Duration::from_secs(60 * minutes));
        let scheduled = vec![ScheduledChange { at, what: "scheduled action night".to_owned() }];
        // It is made while the run is about to begin.
        let spec = world.spec(4, "r-1");
        world.changes = OwnChanges { scheduled, scales_out: None };
        match world.drive(&mut Machine::new(spec)) {
            Finish::NotStarted(NotStarted::Rules(violations)) => {
                assert_eq!(rules(&violations), [Rule::NotRemovable]);
                assert!(world.took_nothing());
                refused += 1;
            }
            Finish::NotStarted(other) => panic!("{other:?}"),
            Finish::Ended => {
                let document = world.document();
                assert!(document.ended_at <= at, "it ended at {}", document.ended_at);
                assert!(document.in_doubt.is_empty() && world.suspended.is_empty());
                match document.outcome == Outcome::Completed {
                    true => completed += 1,
                    false => stopped += 1,
                }
            }
        }
    }
    assert!(refused > 3 && stopped > 0 && completed > 3, "{refused} {stopped} {completed}");
}

#[test]
fn s7_a_group_whose_policy_may_use_the_room_is_left_alone() {
    let mut world = World::new();
    let spec = world.spec(4, "r-1");
    world.changes.scales_out = Some("scaling policy load".to_owned());
    world.group_maximum = world.desired + 1;
    let finish = world.drive(&mut Machine::new(spec));
    let Finish::NotStarted(NotStarted::Rules(violations)) = finish else { panic!("{finish:?}") };
    assert_eq!(rules(&violations), [Rule::WayBack]);
    assert!(world.took_nothing());
    let mut world = World::new();
    let spec = world.spec(4, "r-1");
    world.changes.scales_out = Some("scaling policy load".to_owned());
    world.group_maximum = world.desired + 2;
    assert!(matches!(world.drive(&mut Machine::new(spec)), Finish::Ended));
    assert_eq!(world.document().outcome, Outcome::Completed);
}
