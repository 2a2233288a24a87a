//! Which other runs are silent: their process is dead, or wrote nothing for longer than one that lives leaves it.

use std::collections::BTreeSet;

use crate::coordination::FleetRecord;
use crate::model::{Bounds, RunId, Time};
use crate::ports::{Ledger, Life, Processes};
use crate::run::{has_ended, silent_from};

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
            Life::Stopped | Life::Elsewhere => match ledger.journal(run).await {
                // The process's clock may be ahead of this one.
                Ok(journal) => {
                    has_ended(&journal) || silent_from(&journal, entry.enlisted_at).plus(bounds.tolerance) <= now
                }
                Err(_) => false,
            },
        };
        if is_silent {
            silent.insert(run.clone());
        }
    }
    silent
}
