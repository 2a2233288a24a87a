//! Which other runs are silent: how their processes stand here, and what those wrote that cannot be seen from here.

use std::collections::BTreeSet;

use crate::coordination::{FleetRecord, Life};
use crate::model::{Bounds, RunId, Time};
use crate::ports::{Ledger, Processes};
use crate::run::is_silent;

/// Of these runs, those that are silent. One whose journal cannot be read is not: what is not known is waited for.
pub(crate) async fn silent(
    ledger: &dyn Ledger,
    processes: &dyn Processes,
    record: &FleetRecord,
    runs: &BTreeSet<RunId>,
    bounds: Bounds,
    now: Time,
) -> BTreeSet<RunId> {
    let mut silent = BTreeSet::new();
    for run in runs {
        let Some(entry) = record.runs.get(run) else { continue };
        let is_silent = match processes.life(&entry.process) {
            Life::Running => false,
            Life::Dead => true,
            Life::Stopped | Life::Elsewhere => {
                let journal = ledger.journal(run).await;
                journal.is_ok_and(|journal| is_silent(&journal, entry, bounds, now))
            }
        };
        if is_silent {
            silent.insert(run.clone());
        }
    }
    silent
}
