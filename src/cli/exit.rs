//! Exit codes (contract section 3). This is the only table of them in code.

use std::fmt;

use crate::ops::OperationError;

/// The exit code of the process. Each code is a public constant; there are no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Exit(u8);

impl Exit {
    /// Done; or plan allowed; or this request id was completed before.
    pub(crate) const DONE: Self = Self(0);
    /// Internal failure: a bug, asks to be reported. The message says what was touched.
    pub(crate) const INTERNAL: Self = Self(1);
    /// Of `status --check` alone: a run is under way or holds hosts, or a stop order is in force.
    pub(crate) const NOT_QUIET: Self = Self(1);
    /// Usage. Nothing was touched.
    pub(crate) const USAGE: Self = Self(2);
    /// Refused by policy. Nothing was touched.
    pub(crate) const REFUSED: Self = Self(3);
    /// A policy or configuration file is invalid. Nothing was touched.
    pub(crate) const INVALID_POLICY: Self = Self(4);
    /// The fleet's state cannot be established. Nothing was touched.
    pub(crate) const FLEET_UNKNOWN: Self = Self(5);
    /// Not confirmed. Nothing was touched.
    pub(crate) const NOT_CONFIRMED: Self = Self(6);
    /// Aborted on a regression or a rule; every cordoned host is back in service, earlier batches stay terminated.
    pub(crate) const ABORTED: Self = Self(7);
    /// Stopped, and a person is needed: a host is still cordoned or its state is unknown.
    pub(crate) const NEEDS_ATTENTION: Self = Self(8);
    /// Halted by an order or a signal; every cordoned host is back in service.
    pub(crate) const HALTED: Self = Self(9);
    /// The ledger cannot be reached, or another run took the headroom first. Nothing was touched.
    pub(crate) const LEDGER: Self = Self(10);
    /// Deferred: a budget or another run asks to wait, and the caller does not want to. Nothing was touched.
    pub(crate) const DEFERRED: Self = Self(11);

    /// Every code with its meaning, as `--help` and the manual show it.
    pub(crate) const TABLE: [(Self, &'static str); 12] = [
        (Self::DONE, "done; or plan allowed; or this request id was completed before"),
        (Self::INTERNAL, "internal failure: a bug, please report it"),
        (Self::USAGE, "usage; nothing was touched"),
        (Self::REFUSED, "refused by policy, or there is no such name; nothing was touched"),
        (Self::INVALID_POLICY, "a policy or configuration file is invalid; nothing was touched"),
        (Self::FLEET_UNKNOWN, "the fleet's state cannot be established; nothing was touched"),
        (Self::NOT_CONFIRMED, "not confirmed; nothing was touched"),
        (
            Self::ABORTED,
            "aborted on a regression or a rule; what was cordoned is back, earlier batches stay terminated",
        ),
        (Self::NEEDS_ATTENTION, "a person is needed: a host is still cordoned or in doubt"),
        (Self::HALTED, "halted or interrupted; what was cordoned is back, earlier batches stay terminated"),
        (Self::LEDGER, "the ledger cannot be reached, or another run was first; nothing was touched"),
        (Self::DEFERRED, "a budget or another run asks to wait; nothing was touched"),
    ];

    /// The exit code of a run document. A code that this version does not know needs a person.
    pub(crate) fn of_run(code: u8) -> Self {
        Self::TABLE.iter().map(|(exit, _)| *exit).find(|exit| exit.0 == code).unwrap_or(Self::NEEDS_ATTENTION)
    }

    /// The exit code of an operation that has no result.
    pub(crate) fn of(error: &OperationError) -> Self {
        match error {
            OperationError::Usage { .. } => Self::USAGE,
            OperationError::NoSuch { .. } | OperationError::NotTaken { .. } => Self::REFUSED,
            OperationError::Hooks(_) => Self::INVALID_POLICY,
            OperationError::Fleet(_) | OperationError::Assess(_) | OperationError::Probes(_) => Self::FLEET_UNKNOWN,
            OperationError::Ledger(_) => Self::LEDGER,
            OperationError::Policy(_)
            | OperationError::NoPolicies { .. }
            | OperationError::Occupied { .. }
            | OperationError::Scenario(_) => Self::INVALID_POLICY,
            OperationError::WithoutAws => Self::FLEET_UNKNOWN,
            OperationError::WithoutEngine(_) => Self::LEDGER,
            OperationError::NotStarted { failure, .. } => Self(failure.exit_code()),
            OperationError::NotConfirmed { .. } => Self::NOT_CONFIRMED,
            OperationError::Internal { .. } => Self::INTERNAL,
        }
    }

    /// The code as a number.
    pub(crate) const fn code(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Failure;

    #[test]
    fn the_table_is_the_contracts() {
        let codes: Vec<u8> = Exit::TABLE.iter().map(|(exit, _)| exit.code()).collect();
        assert_eq!(codes, (0..=11).collect::<Vec<u8>>());
        let untouched = Exit::TABLE.iter().filter(|(_, meaning)| meaning.ends_with("nothing was touched"));
        let untouched: Vec<u8> = untouched.map(|(exit, _)| exit.code()).collect();
        assert_eq!(untouched, [2, 3, 4, 5, 6, 10, 11]);
    }

    #[test]
    fn each_failure_has_the_code_of_its_name() {
        for (failure, exit) in [
            (Failure::Refused, Exit::REFUSED),
            (Failure::FleetUnknown, Exit::FLEET_UNKNOWN),
            (Failure::Halted, Exit::HALTED),
            (Failure::Ledger, Exit::LEDGER),
            (Failure::Deferred, Exit::DEFERRED),
        ] {
            assert_eq!(Exit::of_run(failure.exit_code()), exit, "{failure:?}");
        }
    }

    #[test]
    fn a_code_nobody_knows_needs_a_person() {
        assert_eq!(Exit::of_run(7), Exit::ABORTED);
        assert_eq!(Exit::of_run(99), Exit::NEEDS_ATTENTION);
    }
}
