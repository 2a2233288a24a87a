//! Credentials that end while a run is under way.

use std::time::Duration;

use super::world::{START, World};
use crate::model::Time;
use crate::plan::Rule;
use crate::run::{CauseKind, Finish, Machine, NotStarted, Outcome};

/// A run of two batches of two, whose credentials end then.
fn run_until(end: Time) -> (World, Finish) {
    let mut world = World::new();
    let mut spec = world.spec(4, "r-1");
    spec.credentials_end = Some(end);
    let finish = world.drive(&mut Machine::new(spec));
    (world, finish)
}

/// Whenever they end: no host is out then, and none is taken that might be.
#[test]
fn s7_nothing_is_out_when_the_credentials_end() {
    let (mut refused, mut stopped, mut completed) = (0, 0, 0);
    for minutes in 0..=20 {
        let end = START.plus(Duration::from_secs(60 * minutes));
        let (world, finish) = run_until(end);
        match finish {
            Finish::NotStarted(NotStarted::Rules(violations)) => {
                assert_eq!(violations[0].rule, Rule::Credentials, "{violations:?}");
                assert!(world.took_nothing());
                refused += 1;
            }
            Finish::NotStarted(other) => panic!("{other:?}"),
            Finish::Ended => {
                let document = world.document();
                assert!(document.ended_at <= end, "it ended at {}", document.ended_at);
                assert!(document.in_doubt.is_empty() && world.suspended.is_empty());
                if document.outcome == Outcome::Completed {
                    completed += 1;
                    continue;
                }
                let cause = document.cause.as_ref().expect("a cause");
                assert_eq!((cause.kind, cause.rule.as_deref()), (CauseKind::Rule, Some("credentials")));
                assert_eq!((document.exit_code, document.terminated.len()), (7, 2));
                stopped += 1;
            }
        }
    }
    assert!(refused > 3 && stopped > 0 && completed > 3, "{refused} {stopped} {completed}");
}
