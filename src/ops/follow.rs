//! What becomes of the runs that a stop order concerns: they are followed until each has ended, or cannot be expected to
//! end by itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::coordination::{FleetRecord, Life};
use crate::model::{HostId, RunId};
use crate::ports::{Ledger, Processes as _};
use crate::run::{self, Outcome, RunHistory};

use super::frontend::{Frontend, Orders};
use super::process;

/// How often the record is read, in real time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A process that lives sees an order within its sampling period. One that shows nothing for this long, in real time, and
/// for three of its periods does not answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// Putting back is tried for five minutes, and where hosts settle it takes some more.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "became", rename_all = "kebab-case")]
pub(crate) enum Became {
    /// It ended.
    Ended {
        /// How.
        outcome: Outcome,
        /// The exit code of its process.
        exit_code: u8,
        /// Hosts that are in doubt or still cordoned.
        in_doubt: Vec<HostId>,
    },
    /// It left the line: nothing of it was ever granted.
    NeverBegan,
    /// It is putting back what is cordoned, and was not followed to its end.
    Stopping,
    /// Its process is dead: nobody puts back what it holds.
    Dead,
    /// Its process was stopped (Ctrl-Z): it sees nothing before it is continued.
    Stopped,
    /// Its process lives, or cannot be seen from here, and shows no sign of having seen the order.
    Unanswered,
    /// It was not waited for (`--no-follow`, or an interrupt).
    NotFollowed,
}

impl Became {
    /// Whether nothing more is to be learned by waiting.
    fn is_final(&self) -> bool {
        !matches!(self, Self::Stopping | Self::NotFollowed)
    }
}

/// Follows runs. Tells what becomes of each as soon as it is known; an interrupt ends the following, not the order.
pub(crate) async fn follow(
    ledger: &dyn Ledger,
    runs: &[RunId],
    frontend: &dyn Frontend,
    orders: &mut Orders,
) -> BTreeMap<RunId, Became> {
    let begun = Instant::now();
    let mut known: BTreeMap<RunId, Became> = runs.iter().map(|run| (run.clone(), Became::NotFollowed)).collect();
    while known.values().any(|became| !became.is_final()) && begun.elapsed() < LONGEST {
        // A ledger that fails for a moment is read again.
        if let Ok((_, record)) = ledger.read().await {
            for (run, became) in known.iter_mut().filter(|(_, became)| !became.is_final()) {
                let Some(now) = look(ledger, &record, run, begun.elapsed()).await else { continue };
                if *became != now {
                    frontend.note(&format!("run {run}: {}", in_words(&now)));
                    *became = now;
                }
            }
        }
        if known.values().all(Became::is_final) {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = orders.next() => {
                frontend.note("no longer followed; the stop order stays in force");
                break;
            }
        }
    }
    known
}

/// How a run stands now; `None` if nothing can be said yet.
async fn look(ledger: &dyn Ledger, record: &FleetRecord, run: &RunId, waited: Duration) -> Option<Became> {
    let journal = ledger.journal(run).await.ok()?;
    let history = RunHistory::of(&journal);
    let Some(entry) = record.runs.get(run).filter(|entry| entry.ended_at.is_none()) else {
        return Some(match run::report(&journal).filter(|_| history.has_ended()) {
            Some(document) if document.outcome != Outcome::NotStarted => {
                Became::Ended { outcome: document.outcome, exit_code: document.exit_code, in_doubt: document.in_doubt }
            }
            _ => Became::NeverBegan,
        });
    };
    match process::Here.life(&entry.process) {
        Life::Dead => return Some(Became::Dead),
        Life::Stopped => return Some(Became::Stopped),
        Life::Running | Life::Elsewhere => {}
    }
    if history.cause.is_some() {
        return Some(Became::Stopping);
    }
    let every = history.opening.map_or(Duration::ZERO, |opening| opening.settings.every);
    (waited > ANSWERS_WITHIN.max(every * 3)).then_some(Became::Unanswered)
}

/// What became of a run, for people.
pub(crate) fn in_words(became: &Became) -> String {
    match became {
        Became::Ended { outcome: Outcome::Completed, .. } => {
            "completed: everything was gone when the order came".to_owned()
        }
        Became::Ended { exit_code, in_doubt, .. } if in_doubt.is_empty() => {
            format!("ended, exit {exit_code}: every cordoned host is back in service")
        }
        Became::Ended { exit_code, in_doubt, .. } => {
            let hosts: Vec<&str> = in_doubt.iter().map(HostId::as_str).collect();
            format!("ended, exit {exit_code}: a person is needed for {}", hosts.join(" "))
        }
        Became::NeverBegan => "ended: nothing of it was granted".to_owned(),
        Became::Stopping => "stopping: it puts back what is cordoned".to_owned(),
        Became::Dead => "its process is DEAD: nobody puts back what it holds".to_owned(),
        Became::Stopped => {
            "its process is STOPPED (Ctrl-Z): it does not see the order before it is continued".to_owned()
        }
        Became::Unanswered => "DOES NOT ANSWER: it shows no sign of having seen the order".to_owned(),
        Became::NotFollowed => "not followed".to_owned(),
    }
}
