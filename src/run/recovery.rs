//! Whether the readings recovered once everything that was cordoned is back. It explains a run, and decides nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::{ProbeKey, duration_text, span_text};

use super::{Recovery, RecoveryState, RunHistory, SampledRound};

/// How the readings of a run went on; `None` if it has put no host back.
pub(super) fn recovery(history: &RunHistory<'_>) -> Option<Recovery> {
    let (restored_at, opening) = (history.restored_at?, history.opening?);
    let bake = opening.settings.bake;
    let (before, behind): (Vec<&SampledRound<'_>>, Vec<&SampledRound<'_>>) =
        history.rounds.iter().partition(|round| round.at < restored_at || round.batch.is_some());
    let bad_in = |rounds: &[&SampledRound<'_>]| -> BTreeSet<ProbeKey> {
        let readings = rounds.iter().flat_map(|round| round.readings.iter());
        readings.filter(|(_, reading)| !reading.good).map(|(key, _)| key.clone()).collect()
    };
    let read = behind.last().map_or(Duration::ZERO, |round| round.at.since(restored_at));
    let bad: BTreeSet<ProbeKey> = bad_in(behind.last().map(std::slice::from_ref).unwrap_or_default());
    let was_bad = bad_in(&before);
    let state = match (behind.is_empty(), bad.is_empty(), was_bad.is_empty()) {
        (true, _, _) => RecoveryState::NotRead,
        (false, false, _) => RecoveryState::StillBad,
        (false, true, false) => RecoveryState::Recovered,
        (false, true, true) => RecoveryState::NeverBad,
    };
    let names = |keys: &BTreeSet<ProbeKey>| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    let told = Told { read, bake, is_less: !history.terminated.is_empty() };
    let named = names(if state == RecoveryState::Recovered { &was_bad } else { &bad });
    Some(Recovery {
        state,
        read_ms: super::bake::millis(read),
        bake_ms: super::bake::millis(bake),
        message: told.message(state, &named),
        bad: names(&bad),
    })
}

/// What the sentence needs.
struct Told {
    read: Duration,
    bake: Duration,
    /// Hosts of earlier batches are gone.
    is_less: bool,
}

impl Told {
    fn message(&self, state: RecoveryState, probes: &[String]) -> String {
        let (after, named) = (span_text(self.read), named(probes));
        let early = if self.read < self.bake {
            format!(" They were read for {after} of {}.", duration_text(self.bake))
        } else {
            String::new()
        };
        match state {
            RecoveryState::Recovered => {
                format!("the readings recovered once every cordoned host was back: {named} within limits.{early}")
            }
            RecoveryState::StillBad => {
                let gone = if self.is_less {
                    " Hosts that were terminated before are still gone: look there, and elsewhere."
                } else {
                    " Look elsewhere."
                };
                format!(
                    "{named} still bad {after} after every cordoned host was back: taking out the hosts that are back was \
                     not the cause.{gone}{early}"
                )
            }
            RecoveryState::NeverBad => {
                format!("the readings stayed within limits, also once every host was back.{early}")
            }
            RecoveryState::NotRead => {
                "the probes were not read once every cordoned host was back: whether the readings \
                                       recovered is not known"
                    .to_owned()
            }
        }
    }
}

/// `index/latency is`, `index/errors and index/latency are`, `index/errors and 4 more are`
fn named(probes: &[String]) -> String {
    match probes {
        [] => String::new(),
        [one] => format!("{one} is"),
        [one, two] => format!("{one} and {two} are"),
        [first, rest @ ..] => format!("{first} and {} more are", rest.len()),
    }
}
