//! What the simulated provider's API does wrong, by the count of this process's calls.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::scenario::{Fault, FaultError, FaultTime, FaultyCall};
use crate::model::Effect;

/// Counts calls of each kind, from 1, and says which of them go wrong.
#[derive(Debug, Default)]
pub(super) struct Faults {
    faults: Vec<Fault>,
    calls: Mutex<BTreeMap<FaultyCall, u64>>,
}

impl Faults {
    pub(super) fn new(faults: Vec<Fault>) -> Self {
        Self { faults, calls: Mutex::default() }
    }

    /// Counts one call, with its number; the first fault in the scenario that names it holds.
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

/// Which kind of call an effect is, where faults can be put on it.
pub(super) fn kind(effect: &Effect) -> Option<FaultyCall> {
    match effect {
        Effect::Cordon { .. } => Some(FaultyCall::Cordon),
        Effect::Restore { .. } => Some(FaultyCall::Restore),
        Effect::Terminate { .. } => Some(FaultyCall::Terminate),
        Effect::Adopt { .. } => Some(FaultyCall::Adopt),
        Effect::Suspend { .. } | Effect::Resume { .. } => None,
    }
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
