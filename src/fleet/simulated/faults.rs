//! The faults of the simulated provider's API, by the number of this process's calls.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::scenario::{Fault, FaultError, FaultTime, FaultyCall};
use crate::model::{Effect, Host};
use crate::ports::FleetError;

/// Counts calls of each kind, from 1, and tells which of them fail.
#[derive(Debug, Default)]
pub(super) struct Faults {
    faults: Vec<Fault>,
    calls: Mutex<BTreeMap<FaultyCall, u64>>,
}

impl Faults {
    pub(super) fn new(faults: Vec<Fault>) -> Self {
        Self { faults, calls: Mutex::default() }
    }

    /// Counts one call and returns its number. The first fault in the scenario that matches the call applies.
    pub(super) fn next(&self, call: FaultyCall) -> (u64, Option<FaultError>) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let count = calls.entry(call).or_default();
        *count += 1;
        let fault = self.faults.iter().find(|fault| {
            fault.call == call
                && match fault.when {
                    FaultTime::Nth(nth) => *count == nth,
                    FaultTime::Every(every) => count.is_multiple_of(every),
                }
        });
        (*count, fault.map(|f| f.error))
    }
}

/// The kind of call that an effect is; `None` where no faults can be set on it.
pub(super) fn kind(effect: &Effect) -> Option<FaultyCall> {
    match effect {
        Effect::Cordon { .. } => Some(FaultyCall::Cordon),
        Effect::Restore { .. } => Some(FaultyCall::Restore),
        Effect::Terminate { .. } => Some(FaultyCall::Terminate),
        Effect::Adopt { .. } => Some(FaultyCall::Adopt),
        Effect::Suspend { .. } | Effect::Resume { .. } | Effect::RaiseMinimum { .. } => None,
    }
}

/// Leaves out a tenth of the hosts, at least one, chosen by the seed and the number of the call.
pub(super) fn partial(mut hosts: Vec<Host>, seed: u64, count: u64) -> Vec<Host> {
    let mut random = seed ^ count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for _ in 0..hosts.len().div_ceil(10) {
        random = splitmix(random);
        let at = random % (hosts.len() as u64);
        hosts.swap_remove(usize::try_from(at).unwrap_or(0));
    }
    hosts
}

fn splitmix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The error of an observation that fails.
pub(super) fn of_observation(fault: FaultError) -> FleetError {
    let words = match fault {
        FaultError::Throttled => "Throttling: rate exceeded",
        FaultError::Internal => "InternalFailure: the provider answered with an internal error",
        FaultError::Timeout => "the provider did not answer in time",
        FaultError::LostReply => "the connection was lost before the answer came",
        FaultError::Partial | FaultError::Stale => "the provider listed no host at all",
    };
    FleetError::Provider { tried: "the fleet cannot be observed".to_owned(), hint: None, source: words.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::simulated::scenario::Scenario;

    #[test]
    fn faults_count_each_kind_of_call_by_itself() {
        let scenario = Scenario::of(
            "[[faults]]\ncall = 'terminate'\nnth = 2\nerror = 'throttled'\n\
             [[faults]]\ncall = 'terminate'\nevery = 2\nerror = 'timeout'\n",
        );
        let faults = Faults::new(scenario.faults);
        assert_eq!(faults.next(FaultyCall::Cordon), (1, None));
        assert_eq!(faults.next(FaultyCall::Terminate), (1, None));
        assert_eq!(faults.next(FaultyCall::Terminate), (2, Some(FaultError::Throttled)), "the first that is written");
        assert_eq!(faults.next(FaultyCall::Terminate), (3, None));
        assert_eq!(faults.next(FaultyCall::Terminate), (4, Some(FaultError::Timeout)));
        assert_eq!(faults.next(FaultyCall::Cordon), (2, None));
    }
}
