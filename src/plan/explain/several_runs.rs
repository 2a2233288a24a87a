//! When a count that is refused now could go: once windows open, or in several runs, one after the other.
//!
//! Both are answered by planning again at that time, without the hosts that would be gone by then: no rule is restated
//! here. Halts, probes and launches are assumed to stay as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{HostId, SubsystemName, Time};

use super::super::batches::deal;
use super::super::constraints::Constraints;
use super::super::gates::Gates;
use super::super::pace::{Books, waits};
use super::super::schedule::Schedule;
use super::super::settings::{BatchLimits, strictest};
use super::super::solver::{Effort, Selector};
use super::super::stock::Ground;
use super::super::why::LaterRun;
use super::super::{AssessError, Claim, Inputs, LedgerView, Removal};
use super::query::CountQuery;

/// Maximum number of window openings that are tried: a week has few.
const OPENINGS: usize = 8;

/// The effort for how many can go at one time.
const EFFORT: Duration = Duration::from_millis(50);

/// An answer of more runs than this does not help somebody on call.
const RUNS: usize = 12;

/// Maximum number of waits before one run. Each ends when earlier removals leave a window.
const WAITS: usize = 100;

/// The first opening of a window from which the count is possible, everything else unchanged.
pub(crate) fn opens(asked: &CountQuery<'_>) -> Result<Option<Time>, AssessError> {
    let membership = asked.membership;
    let related: BTreeSet<usize> = membership.members(asked.named).flat_map(|host| membership.of(host)).collect();
    let next = |at: Time| {
        let windows = related.iter().filter_map(|&s| membership.subsystem(s).windows.as_ref());
        windows.filter_map(|windows| windows.closed_at(at)?.opens_at).min()
    };
    let mut at = asked.inputs.now;
    for _ in 0..OPENINGS {
        let Some(opening) = next(at).filter(|opening| *opening > at) else { return Ok(None) };
        at = opening;
        let inputs = Inputs { now: at, ..*asked.inputs };
        let gates = Gates::new(&inputs, membership);
        let Constraints { problem, .. } = Constraints::new(&Ground::new(&inputs, membership, &gates), asked.named)?;
        if Selector::new(&problem, true).maximum(&Effort::about(EFFORT)).hosts >= asked.count {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// The count in several runs, each as large as possible; `None` if no such series was found.
pub(crate) fn runs(asked: &CountQuery<'_>) -> Result<Option<Vec<LaterRun>>, AssessError> {
    let mut ledger = asked.inputs.ledger.clone();
    let mut now = asked.inputs.now;
    let mut left = asked.count;
    let mut runs = Vec::new();
    while left > 0 {
        if runs.len() == RUNS {
            return Ok(None);
        }
        let Some(run) = next_run(asked, &ledger, now, left, runs.is_empty())? else { return Ok(None) };
        left -= run.hosts.len() as u64;
        let not_before = (!runs.is_empty()).then_some(run.starts);
        runs.push(LaterRun { count: run.hosts.len() as u64, not_before });
        now = run.starts.plus(run.takes);
        run.record(asked, now, &mut ledger);
    }
    Ok((runs.len() > 1).then_some(runs))
}

struct Run {
    hosts: BTreeSet<usize>,
    starts: Time,
    takes: Duration,
}

impl Run {
    /// Records what the run would have removed. Everything is removed at the run's end, the latest time from which
    /// windows can count.
    fn record(self, asked: &CountQuery<'_>, at: Time, ledger: &mut LedgerView) {
        for host in self.hosts {
            let id = &asked.membership.host(host).id;
            let subsystems: BTreeSet<SubsystemName> =
                asked.membership.of(host).map(|s| asked.membership.subsystem(s).name.clone()).collect();
            ledger.last_end.extend(subsystems.iter().map(|name| (name.clone(), at)));
            ledger.claims.insert(id.clone(), Claim::Removed { run: "an earlier run".into(), at });
            let units = BTreeMap::new();
            ledger.removals.push(Removal {
                host: id.clone(),
                run: "an earlier run".into(),
                subsystems,
                units,
                at: Some(at),
            });
        }
    }
}

/// The next run of at most `left` hosts. The first run may wait on its way; the others begin when nothing requires
/// waiting.
fn next_run(
    asked: &CountQuery<'_>,
    ledger: &LedgerView,
    mut now: Time,
    left: u64,
    is_first: bool,
) -> Result<Option<Run>, AssessError> {
    let membership = asked.membership;
    for _ in 0..WAITS {
        let inputs = Inputs { ledger, now, ..*asked.inputs };
        let gates = Gates::new(&inputs, membership);
        let Constraints { problem, .. } = Constraints::new(&Ground::new(&inputs, membership, &gates), asked.named)?;
        let selector = Selector::new(&problem, true);
        let maximum = selector.maximum(&Effort::about(EFFORT));
        let count = left.min(maximum.hosts);
        if count == 0 {
            return Ok(None);
        }
        let hosts = selector.choose(count, &maximum);
        if !is_first {
            let ids: BTreeSet<HostId> = hosts.iter().map(|&host| membership.host(host).id.clone()).collect();
            let books = Books { removals: &ledger.removals, last_end: &ledger.last_end, now };
            let Ok(waits) = waits(&inputs, membership, &ids, &books) else { return Ok(None) };
            if let Some(until) = [waits.budget, waits.interval].into_iter().flatten().map(|wait| wait.until).max() {
                now = until;
                continue;
            }
        }
        let touched: BTreeSet<usize> = hosts.iter().flat_map(|&host| membership.of(host)).collect();
        let names: BTreeSet<SubsystemName> = touched.iter().map(|&s| membership.subsystem(s).name.clone()).collect();
        let watched = inputs.policies.watched(&names);
        let named = &membership.subsystem(asked.named).name;
        let settings = strictest(&inputs, membership, named, &touched, &watched, count);
        let dealt = deal(membership, &gates, &hosts, &BatchLimits::strictest(membership, &touched))?;
        let Ok(schedule) = Schedule::of(&inputs, membership, &dealt, &settings) else { return Ok(None) };
        return Ok(Some(Run { hosts, starts: now, takes: schedule.takes }));
    }
    Ok(None)
}

/// `4 now, then 3 from … on, in runs of their own`
pub(crate) fn message(runs: &[LaterRun]) -> String {
    let part = |run: &LaterRun| match run.not_before {
        None => format!("{} now", run.count),
        Some(at) => format!("{} from about {at} on", run.count),
    };
    match runs {
        [first, second] => format!("two runs: {}, then {}", part(first), part(second)),
        [first, second, .., last] => {
            format!(
                "{} runs: {}, then {}, and so on until the last, {}",
                runs.len(),
                part(first),
                part(second),
                part(last)
            )
        }
        _ => String::new(),
    }
}
