//! The order in which a provider lists its hosts and groups decides nothing: the documents are the same to the byte.

use proptest::prelude::*;

use crate::model::{FleetSnapshot, Group, Host, HostId};
use crate::plan::testing::{Seeded, World};
use crate::plan::{InTurn, PlanDocument, Request, Selection, headroom, plan};

use super::large::{NAMED, Random, Size, fleet};

fn plan_of(world: &World, snapshot: &FleetSnapshot, selection: &Selection) -> PlanDocument {
    let request = Request {
        subsystem: NAMED.into(),
        selection: selection.clone(),
        reason: None,
        request_id: None,
        expect_remaining: None,
    };
    plan(&world.inputs(snapshot), &request).expect("judged").document
}

/// Every document that can be requested for the fleet, as it is written.
fn documents(world: &World, snapshot: &FleetSnapshot, selections: &[Selection]) -> Vec<String> {
    let plan = |selection| serde_json::to_string(&plan_of(world, snapshot, selection)).expect("a document");
    let headroom = headroom(&world.inputs(snapshot), None, &InTurn).expect("judged");
    selections.iter().map(plan).chain([serde_json::to_string(&headroom).expect("a document")]).collect()
}

fn shuffle<T>(random: &mut Random, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, random.within(0, last as u64) as usize);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn however_a_provider_lists_its_fleet_every_document_is_the_same(
        hosts in 4..60_usize,
        subsystems in 1..6_usize,
        zones in 1..4_usize,
        weighed in 0..101_u64,
        seed in any::<u64>(),
    ) {
        let world = fleet(Size { hosts, subsystems, zones, weighed }, seed);
        let random = &mut Random(Seeded(seed));
        let listed = world.snapshot();
        let mut hosts: Vec<Host> = listed.hosts().cloned().collect();
        let mut named: Vec<HostId> = hosts.iter().take(4).map(|h| h.id.clone()).collect();
        let mut groups: Vec<Group> = listed.groups().cloned().collect();
        let selections: Vec<_> =
            [1, 3, 10, 1000].map(Selection::counted).into_iter().chain([Selection::named(named.clone())]).collect();
        shuffle(random, &mut hosts);
        shuffle(random, &mut groups);
        let relisted = FleetSnapshot::new(listed.begun_at, listed.completed_at, hosts, groups, listed.mark.clone())
            .expect("no contradiction");
        let documents = |snapshot| documents(&world, snapshot, &selections);
        prop_assert_eq!(documents(&listed), documents(&relisted));
        // Nor does the order in which hosts are named, except for what is repeated from the request.
        let batches = |named: &[HostId]| {
            let document = plan_of(&world, &relisted, &Selection::named(named.to_vec()));
            (document.batches, document.violations, document.plan)
        };
        let before = batches(&named);
        shuffle(random, &mut named);
        prop_assert_eq!(before, batches(&named));
    }
}
