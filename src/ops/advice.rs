//! The next command for a run that is under way or holds something, and what that command means.

use crate::coordination::RunEntry;
use crate::model::{RunId, Time};
use crate::output::next;

/// The facts about a run that determine the next command.
pub(super) struct RunSituation<'a> {
    pub(super) entry: &'a RunEntry,
    pub(super) alive: Option<bool>,
    /// Its process was stopped.
    pub(super) stopped: bool,
    /// It waits for `continue` before its next batch.
    pub(super) asks_for_continue: bool,
    pub(super) is_opened: bool,
    /// Its journal says that it ended, but the record was not told.
    pub(super) has_ended: bool,
    /// It was restoring cordoned hosts when its process died, and a takeover continues that.
    pub(super) is_stopping: bool,
    /// It has not written for longer than a live process would.
    pub(super) silent: bool,
    /// When the last settling host can be proved.
    pub(super) until: Option<Time>,
    /// When its last call can no longer take effect, if one still can.
    pub(super) calls_until: Option<Time>,
}

/// The next command, and what it means.
pub(super) fn advice(run: &RunId, situation: &RunSituation<'_>) -> (String, Option<String>) {
    let watch = || next::watch(run);
    let host = &situation.entry.process.host;
    if situation.entry.ended_at.is_some() {
        let from =
            situation.until.map(|until| format!("; where they are can be proved from {until} on")).unwrap_or_default();
        let advice = format!(
            "it ended with hosts that it could not put back{from}. `abandon` tries again, at once; with `--leave HOST` it gives \
             a host up, and records who decided it"
        );
        return (format!("abandon {run}"), Some(advice));
    }
    match (situation.alive, situation.silent) {
        (Some(true), _) if situation.stopped => {
            let pid = situation.entry.process.pid;
            let advice = format!(
                "its process was stopped (Ctrl-Z), and what it holds stays out of service. On {host}, `fg` in its terminal or \
                 `kill -CONT {pid}` lets it go on. To end it in order: `kill -TERM {pid}`, then `kill -CONT {pid}`"
            );
            (watch(), Some(advice))
        }
        (Some(true), _) if situation.entry.pause.is_some() => {
            let advice = match situation.entry.reservations.is_empty() {
                true => "no further batch begins before `continue`",
                false => "the batch under way goes on to its end, and no further one begins before `continue`",
            };
            (format!("continue {run}"), Some(advice.to_owned()))
        }
        (Some(true), _) if situation.asks_for_continue => {
            (format!("continue {run}"), Some("it asks whether its next batch may go".to_owned()))
        }
        (Some(true), _) => (watch(), None),
        (None, false) => {
            (watch(), Some(format!("whether it lives can be seen where it runs only, on {host}; it wrote lately")))
        }
        (Some(false), _) | (None, true) => {
            let dead = match situation.alive {
                Some(_) => "its process is dead".to_owned(),
                None => format!("its process is silent; whether it lives can be seen where it runs only, on {host}"),
            };
            if !situation.is_opened {
                let advice = format!("{dead}, and its journal is lost: `abandon` says what can be done");
                return (format!("abandon {run}"), Some(advice));
            }
            if situation.has_ended {
                let advice = "it ended, and its process died before the ledger was told. `abandon` ends it there too";
                return (format!("abandon {run}"), Some(advice.to_owned()));
            }
            let calls = match situation.calls_until {
                Some(until) => format!(" No call of it can land after {until}."),
                None => String::new(),
            };
            let meaning = match situation.is_stopping {
                // S6: a run that was stopping continues to stop.
                true => {
                    "It was stopping: `abandon` puts back what is still cordoned and ends it. `resume` does no more, and \
                     ends with the run's own exit code."
                }
                false => {
                    "`abandon` puts back what is cordoned and ends it. `resume` shows what is left of its plan, asks for \
                     its count and goes on terminating."
                }
            };
            let advice = format!("{dead}. What it holds counts as gone for every run. {meaning}{calls}");
            // The command that only restores comes first: a script that follows this terminates nothing.
            (format!("abandon {run}"), Some(advice))
        }
    }
}
