//! The problem for "how many?" and the problem for "which?" are one problem.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::plan::constraints::Constraints;
use crate::plan::gates::Gates;
use crate::plan::membership::Membership;
use crate::plan::solver::Problem;
use crate::plan::stock::Ground;
use crate::plan::{InTurn, headroom};

use super::large::{Size, fleet};

/// By rank, whether the candidate is behind a closed gate, and what it takes from rows.
fn by_rank(problem: &Problem) -> Vec<(bool, Vec<(usize, u64)>)> {
    let mut all = vec![None; problem.candidates.len()];
    for class in &problem.classes {
        assert!(class.ranks.is_sorted(), "the longest-running first: {:?}", class.ranks);
        let mut takes = class.takes.clone();
        takes.sort_unstable();
        for &rank in &class.ranks {
            assert_eq!(all[rank].replace((class.closed, takes.clone())), None, "rank {rank} is in two classes");
        }
    }
    all.into_iter().map(|one| one.expect("every rank is in a class")).collect()
}

/// More hosts than are looked at together.
#[test]
fn all_subsystems_together_are_told_what_each_is_told_alone() {
    let world = fleet(Size { hosts: 1100, subsystems: 3, zones: 3, weighed: 0 }, 1);
    let snapshot = world.snapshot();
    let inputs = world.inputs(&snapshot);
    let names = inputs.policies.subsystems.keys();
    let alone = names.flat_map(|name| headroom(&inputs, Some(name), &InTurn).expect("judged"));
    assert_eq!(headroom(&inputs, None, &InTurn).expect("judged"), alone.collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn merged_classes_take_what_each_of_their_hosts_takes(
        hosts in 4..120_usize,
        subsystems in 1..8_usize,
        zones in 1..4_usize,
        weighed in 0..101_u64,
        seed in any::<u64>(),
    ) {
        let mut world = fleet(Size { hosts, subsystems, zones, weighed }, seed);
        world.ledger.halts.push((Some("s01".into()), "test".to_owned()));
        let snapshot = world.snapshot();
        let inputs = world.inputs(&snapshot);
        let membership = Membership::new(inputs.policies, inputs.snapshot);
        let gates = Gates::new(&inputs, &membership);
        let ground = Ground::new(&inputs, &membership, &gates);
        for named in 0..membership.subsystems().len() {
            let which = Constraints::new(&ground, named).expect("judged");
            let many = Constraints::merged(&ground, named).expect("judged");
            prop_assert_eq!(&which.problem.candidates, &many.problem.candidates);
            prop_assert_eq!(&which.names, &many.names);
            let rows = |problem: &Problem| problem.rows.iter().map(|row| (row.bound, row.is_short)).collect::<Vec<_>>();
            prop_assert_eq!(rows(&which.problem), rows(&many.problem));
            let each = by_rank(&which.problem);
            prop_assert_eq!(&each, &by_rank(&many.problem));
            prop_assert_eq!(many.problem.classes.len(), each.into_iter().collect::<BTreeSet<_>>().len(), "merged as far as can be");
        }
    }
}
