//! `scenario.toml` (contract section 6): the composition of a simulated fleet, and the events and faults that happen to
//! it.
//!
//! [`Scenario`] is the validated whole; [`Scenario::read`] is the only way to get one. Nothing here knows how the fleet
//! develops afterwards (that is `state`).

mod check;
mod error;
mod raw;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use sha2::{Digest, Sha256};

pub(crate) use error::ScenarioError;

use crate::model::{GroupName, Host, HostId, Identified, Ordered, SubsystemName, Time};

/// A checked scenario.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(super) clock: ClockKind,
    pub(super) start: Option<Time>,
    pub(super) seed: u64,
    /// Runs must see that nothing takes the place of the first host that goes, as on AWS.
    pub(super) prove_removals: bool,
    pub(super) pools: BTreeMap<GroupName, Pool>,
    pub(super) hosts: Ordered<Blueprint>,
    pub(super) load: BTreeMap<SubsystemName, Load>,
    /// Those without `after`, sorted by `at`; events of the same instant in the order of the file.
    pub(super) events: Vec<ScenarioEvent>,
    /// Those with `after`, in the order of the file.
    pub(super) tied: Vec<TiedEvent>,
    pub(super) faults: Vec<Fault>,
    /// Over everything except `faults`, which bind only the process that reads them: a fleet that was created from
    /// another scenario is refused.
    pub(super) digest: String,
}

/// How time passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ClockKind {
    /// Time passes only when every process that has the fleet open sleeps.
    Virtual,
    /// This many fleet seconds pass in a real one; 1 for `real`.
    Real(f64),
}

/// A pool, which is also an Auto Scaling group.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(crate) minimum: u64,
    pub(crate) maximum: u64,
    pub(crate) launch_failure: Option<String>,
}

/// A host as it is when the fleet is created.
#[derive(Clone, Debug)]
pub(super) struct Blueprint {
    /// Its `launched_at` is the epoch where the scenario has none.
    pub(crate) host: Host,
    /// As the scenario has it.
    pub(crate) launched_at: Option<Time>,
}

impl Identified for Blueprint {
    fn id(&self) -> &HostId {
        &self.host.id
    }
}

/// `[[load]]`
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(crate) demand: f64,
    pub(crate) per_unit: f64,
    /// Milliseconds.
    pub(crate) latency: f64,
}

/// `[[events]]`
#[derive(Clone, Debug)]
pub(super) struct ScenarioEvent {
    /// Since the fleet's creation; of a tied event, since its condition was first met.
    pub(crate) at: Duration,
    /// Hosts whose own status checks fail from now on.
    pub(crate) fail: Vec<HostId>,
    /// Hosts of which some check fails from now on, but not their own.
    pub(crate) doubt: Vec<HostId>,
    /// Hosts that are healthy again, whatever they were.
    pub(crate) recover: Vec<HostId>,
    /// Hosts that are gone from now on, though no call asked for it. Their group wants fewer hosts then.
    pub(crate) vanish: Vec<HostId>,
    /// The factor applies to the demand that `[[load]]` states, whatever earlier events changed: 1 is normal again.
    pub(crate) demand: Option<(SubsystemName, f64)>,
}

/// `[[events]]` with `after`: it waits for a state of the fleet, not for a time of the clock.
#[derive(Clone, Debug)]
pub(super) struct TiedEvent {
    pub(crate) after: Condition,
    pub(crate) event: ScenarioEvent,
}

/// `after`: at least so many hosts are in these states at the same time.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    /// Only hosts of this pool count; `None` counts the whole fleet.
    pub(crate) pool: Option<GroupName>,
    /// Hosts in standby, whoever put them there.
    pub(crate) cordoned: u64,
    /// Hosts that are gone.
    pub(crate) terminated: u64,
}

/// `[[faults]]`
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(crate) call: FaultyCall,
    pub(crate) when: FaultTime,
    pub(crate) error: FaultError,
}

/// Which calls of this process fail, counted from 1 for each kind of call.
#[derive(Clone, Copy, Debug)]
pub(super) enum FaultTime {
    Nth(u64),
    Every(u64),
}

/// `call`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FaultyCall {
    Observe,
    Cordon,
    Restore,
    Terminate,
    Adopt,
}

/// `error`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FaultError {
    /// Not done, and the caller is told so.
    Throttled,
    /// Not done, but the caller cannot know.
    Internal,
    /// Not done, but the caller cannot know.
    Timeout,
    /// Done, but the caller cannot know.
    LostReply,
    /// Some hosts are missing while their group still states its full size.
    Partial,
    /// Everything is shown as it was `[provider] settle` ago.
    Stale,
}

impl Scenario {
    /// Reads and checks a scenario.
    ///
    /// # Errors
    ///
    /// A [`ScenarioError`] for the first thing that is wrong (exit 4).
    pub(crate) fn read(path: &Path) -> Result<Self, Box<ScenarioError>> {
        let text = std::fs::read_to_string(path).map_err(|e| Box::new(ScenarioError::unreadable(path, e)))?;
        Self::parse(&text).map_err(|finding| Box::new(finding.in_file(path, &text)))
    }

    /// How time passes by the scenario of a file, of which nothing else is checked and no host is made. `None` where it
    /// cannot be read.
    pub(crate) fn clock_of(path: &Path) -> Option<ClockKind> {
        let raw: raw::RawScenario = toml::from_str(&std::fs::read_to_string(path).ok()?).ok()?;
        check::clock(raw.clock.as_ref()).ok()
    }

    fn parse(text: &str) -> Result<Self, error::Finding> {
        let raw = toml::from_str(text).map_err(|e| error::Finding::from_toml(&e))?;
        check::scenario(raw, digest(text)?)
    }

    #[cfg(test)]
    pub(super) fn of(text: &str) -> Self {
        Self::parse(text).expect("a valid scenario")
    }
}

fn digest(text: &str) -> Result<String, error::Finding> {
    let mut table: toml::Table = toml::from_str(text).map_err(|e| error::Finding::from_toml(&e))?;
    table.remove("faults");
    // Over the parsed values, so that comments and layout may change.
    let canonical = toml::to_string(&table).map_err(|e| error::Finding::new(None, e.to_string()))?;
    let hash = Sha256::digest(canonical.as_bytes());
    Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests;
