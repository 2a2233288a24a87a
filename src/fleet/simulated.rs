//! The embedded fleet (contract section 6): hosts that exist in one file, which all processes that open it share, with
//! a load, a clock, and a provider whose API fails where the scenario says so.
//!
//! [`SimulatedFleet`] is a [`Fleet`] and a [`Clock`]; [`SimulatedFleet::metric`] is what simulated probes read. It
//! refuses what Auto Scaling refuses and no more. Nothing here knows a policy's minimum, a plan or a ledger's record;
//! otherwise it would hide mistakes of the code that it is meant to test.
//!
//! | module | what it is |
//! | --- | --- |
//! | `scenario` | the file that people write |
//! | `status` | the state of one host and one group; pure |
//! | `state` | the state of the fleet, and how calls and events change it; pure |
//! | `tied` | events that wait for a state of the fleet; pure |
//! | `past` | the state of the fleet a short while ago; pure |
//! | `load` | how the load determines what probes read; pure |
//! | `faults` | which calls fail |
//! | `store` | the state file and its lock |
//! | `clock` | the clock that all processes share |
//! | `opening` | finds the fleet, or creates it |

mod clock;
mod faults;
mod load;
mod opening;
mod past;
mod scenario;
mod state;
mod status;
mod store;
mod tied;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

pub(crate) use load::LoadMembership;
pub(crate) use scenario::{ClockKind, Scenario, ScenarioError};

use clock::FleetClock;
use faults::Faults;
use opening::{changed, found_or_made};
use scenario::{FaultError, FaultyCall};
use state::{CallRefusal, State};
use store::{Locked, Paths, SaveError, Store, StoreError};

use crate::model::{Bounds, Call, CallOutcome, FleetIdentity, FleetMark, FleetSnapshot, Host, SubsystemName, Time};
use crate::policy::SimulatedMetric;
use crate::ports::{Clock, Fleet, FleetError, RecordedCall};

/// A simulated fleet, opened by this process.
///
/// One value counts as one process to the virtual clock: two runs in one process need two values.
#[derive(Debug)]
pub(crate) struct SimulatedFleet {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    identity: FleetIdentity,
    bounds: Bounds,
    scenario: Scenario,
    /// The id of the fleet that was opened.
    fleet: String,
    store: Store,
    clock: FleetClock,
    faults: Faults,
}

/// Why a simulated fleet cannot be opened.
#[derive(Debug, Error)]
pub(crate) enum OpenError {
    /// The scenario is invalid: exit 4.
    #[error("the scenario is invalid")]
    Scenario(#[from] Box<ScenarioError>),
    /// The fleet's files cannot be used, or belong to another scenario: exit 5.
    #[error(transparent)]
    Fleet(#[from] FleetError),
}

impl SimulatedFleet {
    /// Opens the fleet whose state is in the file `state`. Where there is none, creates it from the scenario, with its
    /// directory. `settle` is how far in the past answers may be taken to lie; only `stale` ones do.
    ///
    /// Blocks for some milliseconds.
    ///
    /// # Errors
    ///
    /// [`OpenError`]. A fleet that was created from another scenario is refused, never silently replaced; only
    /// `[[faults]]`, which bind single processes, may change in a fleet's life.
    pub(crate) fn open(scenario: &Path, state: &Path, settle: Option<Duration>) -> Result<Arc<Self>, OpenError> {
        let store = Store::new(Paths::of(state));
        let read = std::thread::scope(|scope| {
            // Each takes long for a large fleet. A thread that cannot be started is done without.
            _ = std::thread::Builder::new().spawn_scoped(scope, || store.read_ahead());
            Scenario::read(scenario)
        })?;
        let directory = store.paths.directory().to_owned();
        let (fleet, clock) = found_or_made(&store, &read)
            .map_err(|e| e.into_fleet_error(&format!("open {}", state.display()), &directory))?
            .ok_or_else(|| changed(scenario, &directory))?;
        let identity = FleetIdentity::simulated(fleet.clone());
        let bounds = Bounds { settle: settle.unwrap_or(Bounds::SIMULATED.settle), ..Bounds::SIMULATED };
        let faults = Faults::new(read.faults.clone());
        let inner = Inner { identity, bounds, scenario: read, fleet, store, clock, faults };
        Ok(Arc::new(Self { inner: Arc::new(inner) }))
    }

    /// Determines which hosts serve what. `serves` returns a host's units in each subsystem that it serves. It is
    /// called for every host there ever was, in no particular state, and not again for the next host with the same
    /// tags, group and type. `depends_on` lists what each subsystem needs directly.
    pub(crate) fn membership(
        &self,
        depends_on: BTreeMap<SubsystemName, BTreeSet<SubsystemName>>,
        serves: impl Fn(&Host) -> Vec<(SubsystemName, u64)>,
    ) -> LoadMembership {
        LoadMembership::of(&self.inner.scenario, depends_on, serves)
    }

    /// The current reading of a subsystem: error rate 0 to 1, latency in milliseconds, or utilization.
    ///
    /// # Errors
    ///
    /// [`FleetError::Provider`] where the state cannot be read: a bad sample.
    pub(crate) async fn metric(
        &self,
        membership: &Arc<LoadMembership>,
        subsystem: &SubsystemName,
        metric: SimulatedMetric,
    ) -> Result<f64, FleetError> {
        let (membership, subsystem) = (Arc::clone(membership), subsystem.clone());
        self.blocking("show its load", move |fleet| {
            fleet.visit(|visit| load::metric(&fleet.scenario, visit.state, &membership, &subsystem, metric))
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        tried: &'static str,
        call: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, FleetError> {
        let inner = Arc::clone(&self.inner);
        let ended = tokio::task::spawn_blocking(move || call(&inner)).await;
        let result = ended.unwrap_or(Err(StoreError::Interrupted("a call to the simulated fleet")));
        result.map_err(|e| e.into_fleet_error(tried, self.inner.store.paths.directory()))
    }
}

/// The fleet at one instant, while nobody else can change it.
struct Visit<'a, 'l> {
    now: Time,
    state: &'a State,
    locked: &'a mut Locked<'l>,
}

impl Inner {
    /// The virtual clock stands still while this process works.
    fn stands_still(&self) -> bool {
        matches!(self.clock, FleetClock::Virtual(_))
    }

    fn now(&self) -> Time {
        self.clock.now(&self.store)
    }

    /// Opens the fleet for one call: fires every event that is due, then runs `call`.
    fn visit<T>(&self, call: impl FnOnce(Visit<'_, '_>) -> T) -> Result<T, StoreError> {
        let _work = self.clock.work();
        let mut locked = self.store.lock()?;
        let now = self.clock.attend(&self.store, &mut locked)?;
        let mut state = locked.load()?.ok_or_else(|| StoreError::Gone(self.store.paths.state.clone()))?;
        if state.fleet != self.fleet {
            return Err(StoreError::Replaced(self.store.paths.state.clone()));
        }
        let due = state.due(&self.scenario, now);
        if !due.is_empty() {
            // Time only moves forward, and every access to the fleet goes through here, so firing late has the same
            // effect as firing on time.
            let mut next = State::clone(&state);
            due.iter().for_each(|due| next.fire(&self.scenario, due));
            next.remember(&state, now, self.bounds.settle);
            state = locked.save(next)?;
        }
        Ok(call(Visit { now, state: &state, locked: &mut locked }))
    }

    fn observe(&self) -> Result<Result<FleetSnapshot, FleetError>, StoreError> {
        let (count, fault) = self.faults.next(FaultyCall::Observe);
        let begun_at = self.now();
        let (hosts, groups, mark, completed_at) = self.visit(|visit| {
            let earlier =
                (fault == Some(FaultError::Stale)).then(|| visit.state.as_of(begun_at.minus(self.bounds.settle)));
            let state = earlier.as_ref().unwrap_or(visit.state);
            let mut hosts = Vec::with_capacity(state.hosts.len());
            hosts.extend(state.hosts(&self.scenario));
            let groups: Vec<_> = state.groups(&self.scenario).collect();
            (hosts, groups, state.ledger.clone().map_or(FleetMark::Open, FleetMark::Of), visit.now)
        })?;
        let hosts = match fault {
            None | Some(FaultError::Stale) => hosts,
            Some(FaultError::Partial) if !hosts.is_empty() => faults::partial(hosts, self.scenario.seed, count),
            Some(fault) => return Ok(Err(faults::of_observation(fault))),
        };
        let snapshot = FleetSnapshot::new(begun_at, completed_at, hosts, groups, mark);
        let proves_removals = self.scenario.prove_removals;
        Ok(snapshot.map(|snapshot| snapshot.proving_removals(proves_removals)).map_err(FleetError::from))
    }

    fn perform(&self, call: &Call) -> CallOutcome {
        let fault = faults::kind(&call.effect).and_then(|kind| self.faults.next(kind).1);
        match fault {
            Some(FaultError::Throttled) => refused("Throttling: rate exceeded", true),
            Some(FaultError::Internal) => unknown("InternalFailure: the provider answered with an internal error"),
            Some(FaultError::Timeout) => unknown("the provider did not answer in time"),
            Some(FaultError::LostReply) => {
                self.act(call);
                unknown("the connection was lost before the answer came")
            }
            Some(FaultError::Partial | FaultError::Stale) | None => self.act(call),
        }
    }

    fn act(&self, call: &Call) -> CallOutcome {
        let acted = self.visit(|visit| {
            // Checked under the lock: a process that was stopped on the way here is too late (protocol section 2).
            if visit.now > call.not_after {
                let words = format!("RequestExpired: it is {}, the call was good until {}", visit.now, call.not_after);
                return Err(refused(&words, true));
            }
            let mut next = visit.state.clone();
            next.perform(&self.scenario, &call.effect).map_err(|CallRefusal(words)| refused(&words, false))?;
            next.meet(&self.scenario, visit.now);
            next.remember(visit.state, visit.now, self.bounds.settle);
            visit.locked.save(next).map_err(|SaveError { in_place, cause }| {
                let words = in_words(&cause);
                if in_place { unknown(&words) } else { refused(&words, true) }
            })?;
            Ok(())
        });
        match acted {
            Ok(Ok(())) => CallOutcome::Done,
            Ok(Err(outcome)) => outcome,
            Err(e) => refused(&in_words(&e), matches!(e, StoreError::Io { .. } | StoreError::Busy(_))),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let FleetClock::Virtual(clock) = &self.clock
            && let Ok(mut locked) = self.store.lock()
        {
            clock.leave(&mut locked);
        }
    }
}

fn refused(words: &str, retryable: bool) -> CallOutcome {
    CallOutcome::Refused { message: words.to_owned(), retryable }
}

fn unknown(words: &str) -> CallOutcome {
    CallOutcome::Unknown { message: words.to_owned() }
}

fn in_words(error: &StoreError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

#[async_trait]
impl Fleet for SimulatedFleet {
    fn identity(&self) -> &FleetIdentity {
        &self.inner.identity
    }

    fn bounds(&self) -> Bounds {
        self.inner.bounds
    }

    async fn observe(&self) -> Result<FleetSnapshot, FleetError> {
        self.blocking("list its hosts", Inner::observe).await?
    }

    async fn perform(&self, call: RecordedCall) -> CallOutcome {
        let inner = Arc::clone(&self.inner);
        let performed = tokio::task::spawn_blocking(move || inner.perform(call.call())).await;
        performed.unwrap_or_else(|_| unknown("the call was interrupted"))
    }
}

#[async_trait]
impl Clock for SimulatedFleet {
    fn now(&self) -> Time {
        self.inner.now()
    }

    async fn sleep_until(&self, until: Time) {
        clock::sleep_until(&self.inner, until).await;
    }

    fn stands_still(&self) -> bool {
        self.inner.stands_still()
    }
}

#[cfg(test)]
mod tests;
