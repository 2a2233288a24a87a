//! [`Place`]: where a decision was made, in every document and on every page.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::model::{FleetIdentity, FleetName, LedgerId, Time, span_text};

use super::Text;

/// Where a decision was made. Plans and `status` name it first, so that nobody works on the wrong fleet.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Place {
    /// The fleet's name.
    pub(crate) fleet: FleetName,
    /// The fleet in the provider's terms.
    pub(crate) provider: FleetIdentity,
    /// The ledger; `None` while it does not exist yet.
    pub(crate) ledger: Option<LedgerId>,
    /// Where the ledger is.
    pub(crate) ledger_place: String,
    /// The policy directory.
    pub(crate) policies: PathBuf,
    /// How fast a simulated fleet's clock runs, where it is not the one on the wall.
    #[serde(skip)]
    pub(crate) clock: Option<ClockSpeed>,
}

/// How fast the clock of a simulated fleet runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ClockSpeed {
    /// Nobody waits for it: it skips every wait.
    Skips,
    /// It runs this many times as fast as the one on the wall.
    Times(f64),
}

impl fmt::Display for ClockSpeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skips => f.write_str("its clock skips every wait"),
            Self::Times(speed) => write!(f, "its clock runs {speed} times as fast"),
        }
    }
}

impl Place {
    /// How long a person has, if the fleet's clock says `left`.
    pub(crate) fn on_the_wall(&self, left: Duration) -> Duration {
        match self.clock {
            // A clock may be slower than any time that can be counted.
            Some(ClockSpeed::Times(speed)) => {
                Duration::try_from_secs_f64(left.as_secs_f64() / speed).unwrap_or(Duration::MAX)
            }
            // The clock stands still while a person thinks, or is the one on the wall.
            Some(ClockSpeed::Skips) | None => left,
        }
    }

    /// Until when there is time to answer: `2017-02-28 17:52:00 UTC, in 15m (1m 15s of yours)`.
    pub(crate) fn time_to_answer(&self, until: Time, now: Time) -> String {
        let left = until.since(now);
        let wall = self.on_the_wall(left);
        let yours = if wall == left { String::new() } else { format!(" ({} of yours)", span_text(wall)) };
        format!("{until}, in {}{yours}", span_text(left))
    }

    /// A place for tests of texts.
    #[cfg(test)]
    pub(crate) fn example() -> Self {
        Self {
            fleet: "demo".into(),
            provider: FleetIdentity::simulated("fleet-1"),
            ledger: None,
            ledger_place: "./.safe-remove/ledger.db".to_owned(),
            policies: "policies".into(),
            clock: None,
        }
    }

    /// The first lines of a text.
    pub(crate) fn text(&self) -> Text {
        let ledger = self.ledger.as_ref().map_or_else(|| "none yet".to_owned(), ToString::to_string);
        let mut text = Text::default();
        text.field("fleet", &self.fleet_text());
        text.field("ledger", &format!("{ledger} ({})", self.ledger_place));
        text.field("policies", &self.policies.display().to_string());
        text
    }

    /// The fleet, in the provider's terms: `demo (aws, account 123456789012, region us-east-1)`.
    pub(crate) fn fleet_text(&self) -> String {
        let FleetIdentity { kind, account, region, .. } = &self.provider;
        let mut provider = kind.clone();
        provider.extend(account.iter().map(|account| format!(", account {account}")));
        provider.extend(region.iter().map(|region| format!(", region {region}")));
        provider.extend(self.clock.iter().map(|clock| format!(", {clock}")));
        format!("{} ({provider})", self.fleet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A scenario may have any clock that is positive and finite.
    #[test]
    fn the_time_on_the_wall_is_known_for_every_clock() {
        let quarter = Duration::from_secs(900);
        let wall = |clock| Place { clock, ..Place::example() }.on_the_wall(quarter);
        assert_eq!(wall(None), quarter);
        assert_eq!(wall(Some(ClockSpeed::Skips)), quarter);
        assert_eq!(wall(Some(ClockSpeed::Times(12.0))), Duration::from_secs(75));
        assert_eq!(wall(Some(ClockSpeed::Times(f64::MIN_POSITIVE))), Duration::MAX);
        assert_eq!(wall(Some(ClockSpeed::Times(f64::MAX))), Duration::ZERO);
    }
}
