//! What a seed makes of a world before its first step: who runs what, and what will go wrong by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::check::Checker;
use super::fleet::{Fate, Fleet};
use super::people::People;
use super::runner::{Runner, Wanted, identity, spec};
use super::world::World;
use super::{Rig, START, Seeded, loosened, policies};
use crate::coordination::{AcceptedPolicy, FleetRecord, Halt};
use crate::model::{Bounds, Health, HostId, LedgerId};
use crate::run::Machine;

impl World {
    pub(super) fn new(seed: u64, bounds: Bounds, rig: Rig) -> Self {
        let mut seeded = Seeded(seed);
        let mut policies = policies();
        if seeded.chance(2) {
            // Longer than it takes to prove a restore: whoever takes over must wait for it.
            policies.fleet.ledger.offline_limit = Duration::from_secs(150);
        }
        let policies = Arc::new(policies);
        let fleets = [0, 1].map(|_| Fleet {
            heeds_not_after: rig != Rig::NoDeadline,
            hides_doubt: rig == Rig::HidesDoubt,
            ..Fleet::new(START)
        });
        let mut record = FleetRecord::new(LedgerId::new("ledger-1"), policies.fleet.name.clone(), START);
        // An earlier run of the first fleet relied on these.
        record.identity = Some(identity(0));
        record.accepted = policies
            .subsystems
            .iter()
            .map(|(name, policy)| {
                let accepted =
                    AcceptedPolicy { policy: policy.clone(), by: "ada@here".into(), at: START, reason: None };
                (name.clone(), accepted)
            })
            .collect();
        let mut checker = Checker::default();
        let mut people = People::new(seed);
        let (mut runners, mut cut_off, mut when_let_go) = (Vec::new(), Vec::new(), None);
        let calm = seeded.chance(3);
        let mut spoken_for = BTreeSet::new();
        for _ in 0..2 + seeded.below(4) {
            let looser = !calm && seeded.chance(6);
            let wanted = Wanted {
                number: checker.asked.len(),
                policies: &if looser { Arc::new(loosened(&policies)) } else { Arc::clone(&policies) },
                // Somebody's directory of the same name leads to another region.
                fleet: usize::from(!calm && !runners.is_empty() && seeded.chance(12)),
                spoken_for: &spoken_for,
                expects: seeded.chance(3),
                asks: people.are_there && people.seeded.chance(2) && rig != Rig::AsksNobody,
                attended: people.seeded.chance(2),
                pauses: people.are_there && people.seeded.chance(6),
            };
            let (fleet, asks) = (wanted.fleet, wanted.asks);
            // The policies are edited between the plan and the grant.
            let planned_on = FleetRecord { accepted: BTreeMap::new(), ..record.clone() };
            let Some((spec, asked)) = spec(&wanted, &fleets[fleet], &planned_on, bounds, START, &mut seeded) else {
                continue;
            };
            spoken_for.extend(asked.iter().cloned());
            checker.asks(asked);
            if asks || (rig == Rig::AsksNobody && people.are_there) {
                people.asking.insert(checker.asked.len() - 1);
            }
            let minutes = |seeded: &mut Seeded| START.plus(seeded.up_to(Duration::from_secs(400)));
            let number = checker.asked.len() - 1;
            let mut runner = Runner::new(number, Machine::new(spec), START);
            runner.fleet = fleet;
            if seeded.chance(2) {
                // Any two clocks disagree by the tolerance at most.
                let most = i64::try_from(bounds.tolerance.as_millis() / 2).expect("small");
                runner.skew = i64::try_from(seeded.below(2 * most.unsigned_abs())).expect("small") - most;
            }
            if !calm && seeded.chance(8) {
                let from = minutes(&mut seeded);
                let to = from.plus(Duration::from_secs(5) + seeded.up_to(Duration::from_secs(200)));
                let by = [3_600_000, 4_000_000, -3_600_000, 315_360_000_000];
                runner.jump = Some((from, to, by[usize::try_from(seeded.below(4)).expect("small")]));
            }
            runner.at = START.plus(seeded.up_to(Duration::from_secs(60)));
            if let Some(after) = when_let_go {
                // It wants what somebody else's takeover is about to let go of.
                runner.at = START.plus(after + seeded.up_to(Duration::from_secs(60)));
            }
            runner.order_at = (!calm && seeded.chance(6)).then(|| minutes(&mut seeded));
            runner.dies_after = (!calm && seeded.chance(3)).then(|| seeded.below(120));
            if !calm && seeded.chance(3) {
                let from = START.plus(Duration::from_secs(20) + seeded.up_to(Duration::from_secs(300)));
                let to = from.plus(seeded.up_to(Duration::from_secs(150)));
                runner.cut_off = Some((from, to));
                if seeded.chance(2) {
                    // Nobody hears of it, and it is taken for dead.
                    let after = from.since(START) + seeded.up_to(Duration::from_secs(15));
                    cut_off.push((number, after));
                    when_let_go = seeded.chance(2).then_some(after);
                }
            }
            runners.push(runner);
        }
        let mut fates = Vec::new();
        let ids: Vec<HostId> = fleets[0].hosts.keys().cloned().collect();
        // Of its own chances: what else a seed makes stays the same.
        let mut turns = Seeded(seed ^ 0x646f_7562_7473);
        let mut deaths = 0;
        while !calm && deaths < 3 && seeded.chance(3) {
            deaths += 1;
            let id = ids[usize::try_from(seeded.below(ids.len() as u64)).expect("small")].clone();
            let at = START.plus(seeded.up_to(Duration::from_secs(400)));
            if seeded.chance(2) {
                fates.push((at, id, if turns.chance(2) { Fate::Leaves } else { Fate::Vanishes }));
                continue;
            }
            if turns.chance(2) {
                let back = at.plus(turns.up_to(Duration::from_secs(200)));
                fates.push((back, id.clone(), Fate::Turns(Health::Healthy)));
            }
            let health = if turns.chance(2) { Health::Doubtful } else { Health::Failed };
            fates.push((at, id, Fate::Turns(health)));
        }
        let mut span = |one_in: u64, most: u64| {
            (!calm && seeded.chance(one_in)).then(|| {
                let from = START.plus(seeded.up_to(Duration::from_secs(400)));
                (from, from.plus(seeded.up_to(Duration::from_secs(most))))
            })
        };
        let (ledger_gone, mut bad_probe, halted) = (span(4, 120), span(8, 60), span(4, 400));
        if let Some((from, _)) = ledger_gone.filter(|_| seeded.chance(2)) {
            // Both at once: what is out goes back without the ledger.
            let ill = from.plus(Duration::from_secs(10) + seeded.up_to(Duration::from_secs(20)));
            bad_probe = Some((ill, ill.plus(Duration::from_secs(90))));
        }
        let of = [None, Some("index".into()), Some("billing".into())];
        let subsystem = of[usize::try_from(seeded.below(3)).expect("small")].clone();
        let halt = halted.map(|(from, to)| {
            let order = Halt { subsystem, operator: "ann@there".into(), reason: Some("smoke".to_owned()), at: from };
            (from, to, order)
        });
        // Somebody puts an older copy of the ledger in its place.
        let put_back = (!calm && seeded.chance(10)).then(|| {
            let copied = START.plus(seeded.up_to(Duration::from_secs(200)));
            (copied, copied.plus(Duration::from_secs(1) + seeded.up_to(Duration::from_secs(200))))
        });
        let trouble = if calm { 400 } else { 12 + seeded.below(60) };
        let mut world = Self {
            now: START,
            seeded,
            rig,
            bounds,
            policies,
            fleets,
            record,
            version: 0,
            put_back,
            copy: None,
            journals: vec![Vec::new(); checker.asked.len()],
            takings: Vec::new(),
            runners,
            checker,
            late: Vec::new(),
            fates,
            ledger_gone,
            bad_probe,
            halt,
            seen: BTreeSet::new(),
            trouble,
            is_months_later: false,
            people,
        };
        for (run, after) in cut_off {
            world.will_take(run, after);
        }
        world
    }
}
