//! Whether the readings recovered once everything that was cordoned is back. It explains a run, and decides nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::{ProbeKey, Time, duration_text, span_text};

use super::{HostStage, Recovery, RecoveryState, RunHistory, SampledRound};

/// How the readings of a run went on; `None` if it has put no host back, or not everything yet. `reads_until`: its process
/// reads on until then.
pub(super) fn recovery(history: &RunHistory<'_>, reads_until: Option<Time>) -> Option<Recovery> {
    let (restored_at, opening, _) = (history.restored_at?, history.opening?, history.end?);
    let is_out = |stage: &HostStage| matches!(stage, HostStage::Touched | HostStage::Cordoned | HostStage::Doubt);
    if history.hosts.values().any(|(_, stage)| is_out(stage)) {
        return None;
    }
    let bake = opening.settings.bake;
    let (before, behind): (Vec<&SampledRound<'_>>, Vec<&SampledRound<'_>>) =
        history.rounds.iter().partition(|round| round.at < restored_at || round.batch.is_some());
    // A precondition says whether a batch may begin, and not what became of the one that went.
    let limits = |key: &ProbeKey| history.limits.and_then(|limits| limits.get(key));
    let aborts = |key: &ProbeKey| limits(key).is_none_or(|limits| limits.role.is_watch());
    let bad_in = |rounds: &[&SampledRound<'_>]| -> BTreeSet<ProbeKey> {
        let readings = rounds.iter().flat_map(|round| round.readings.iter());
        readings.filter(|(key, reading)| !reading.good && aborts(key)).map(|(key, _)| key.clone()).collect()
    };
    let read = behind.last().map_or(Duration::ZERO, |round| round.at.since(restored_at));
    let bad: BTreeSet<ProbeKey> = bad_in(behind.last().map(std::slice::from_ref).unwrap_or_default());
    let was_bad = bad_in(&before);
    let state = match (behind.is_empty(), bad.is_empty(), was_bad.is_empty()) {
        (true, _, _) => RecoveryState::NotRead,
        // A reading may take that long to follow the hosts: nothing is concluded before.
        (false, _, _) if read < bake => RecoveryState::ReadInPart,
        (false, false, _) => RecoveryState::StillBad,
        (false, true, false) => RecoveryState::Recovered,
        (false, true, true) => RecoveryState::NeverBad,
    };
    let names = |keys: &BTreeSet<ProbeKey>| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (bad, was_bad) = (names(&bad), names(&was_bad));
    let told =
        Told { read, bake, bad: &bad, was_bad: &was_bad, is_less: !history.terminated.is_empty(), until: reads_until };
    let message = told.message(state);
    let (read_ms, bake_ms) = (super::bake::millis(read), super::bake::millis(bake));
    Some(Recovery { state, read_ms, bake_ms, reads_until, bad, message })
}

/// What the sentence needs.
struct Told<'a> {
    read: Duration,
    bake: Duration,
    /// Bad in the last round.
    bad: &'a [String],
    /// Bad in any round while hosts were out.
    was_bad: &'a [String],
    /// Hosts of earlier batches are gone.
    is_less: bool,
    /// The probes are read until then.
    until: Option<Time>,
}

impl Told<'_> {
    fn message(&self, state: RecoveryState) -> String {
        let after = span_text(self.read);
        match state {
            RecoveryState::Recovered => {
                let named = named(self.was_bad);
                format!("the readings recovered once every cordoned host was back: {named} within limits.")
            }
            RecoveryState::StillBad => {
                let named = named(self.bad);
                let gone = if self.is_less {
                    " Hosts that were terminated before are still gone: look there, and elsewhere."
                } else {
                    " Look elsewhere."
                };
                format!(
                    "{named} still bad {after} after every cordoned host was back: taking out the hosts that are back was \
                     not the cause.{gone}"
                )
            }
            RecoveryState::NeverBad => "the readings stayed within limits, also once every host was back.".to_owned(),
            RecoveryState::ReadInPart => {
                let stand = match (self.bad, self.was_bad) {
                    ([], []) => "no reading was bad, up to".to_owned(),
                    ([], was_bad) => format!("{} within limits", named(was_bad)),
                    (bad, _) => format!("{} bad", named(bad)),
                };
                let goes_on = match self.until {
                    Some(until) => format!("The probes are read until {until}: only then is it known what follows."),
                    None => {
                        let bake = duration_text(self.bake);
                        format!("They were read for only {after} of {bake}: what follows from it is not known.")
                    }
                };
                format!("{stand} {after} after every cordoned host was back. {goes_on}")
            }
            RecoveryState::NotRead => match self.until {
                Some(until) => format!(
                    "every cordoned host is back, and the probes are read until {until}: only then is it known whether \
                     the readings recovered"
                ),
                None => {
                    "the probes were not read once every cordoned host was back: whether the readings recovered is \
                         not known"
                        .to_owned()
                }
            },
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
