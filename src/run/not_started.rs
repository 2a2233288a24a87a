//! Why a confirmed plan was not begun: nothing was touched, and the exit code says which kind of reason it was.

use crate::model::{RunId, Time};
use crate::plan::Violation;

/// Who orders a run to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGQUIT (Ctrl-\).
    Quit,
    /// SIGHUP: the terminal is gone.
    HangUp,
    /// stdout is closed.
    ClosedOutput,
}

impl Order {
    /// Whether somebody asks for it. A terminal or an output that went away has nobody who waits for the process to end.
    pub(super) fn is_asked_for(self) -> bool {
        match self {
            Self::Interrupt | Self::Terminate | Self::Quit => true,
            Self::HangUp | Self::ClosedOutput => false,
        }
    }
}

impl std::fmt::Display for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "interrupted (Ctrl-C)",
            Self::Terminate => "asked to stop (SIGTERM)",
            Self::Quit => "asked to stop (SIGQUIT)",
            Self::HangUp => "the terminal is gone (SIGHUP)",
            Self::ClosedOutput => "stdout was closed",
        })
    }
}

/// Why a confirmed plan was not begun. Nothing was touched.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NotStarted {
    /// Rules that no longer hold: exit 3.
    Rules(Vec<Violation>),
    /// Another run took the headroom since the plan was made: exit 10.
    TakenByOthers(Vec<Violation>),
    /// The fleet's state cannot be established: exit 5.
    Blind(String),
    /// The clocks disagree: exit 5.
    Clock(String),
    /// The ledger cannot be reached or refuses: exit 10.
    Ledger(String),
    /// Another process took the run over before this one sent anything: exit 10.
    TakenOver(String),
    /// A budget or an interval asks to wait longer than was allowed: exit 11.
    Deferred {
        /// Until then.
        until: Time,
        /// For what.
        why: String,
    },
    /// Another process has begun the journal of this run's id: a request id is one run's, and that run is reported.
    Consumed {
        /// The other run.
        run: RunId,
    },
    /// The record is of another fleet than the observed one: exit 5. Both, in words.
    OtherFleet(String),
    /// A stop order came after the first observation, before the first effect: exit 9. The order, in words.
    Halted(String),
    /// Stopped before the first effect: exit 9.
    Ordered(Order),
}

/// The kind of reason why a run, or another operation, was not begun. Nothing was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A rule, or a state that the request does not fit.
    Refused,
    /// The state of the fleet cannot be established.
    FleetUnknown,
    /// The ledger cannot be used, or another run was first.
    Ledger,
    /// A stop order, or a signal.
    Halted,
    /// A budget or another run asks to wait for longer than the caller wants.
    Deferred,
}

impl Failure {
    /// The exit code (contract section 3).
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Refused => 3,
            Self::FleetUnknown => 5,
            Self::Halted => 9,
            Self::Ledger => 10,
            Self::Deferred => 11,
        }
    }
}

impl NotStarted {
    /// The kind of this reason.
    pub(crate) fn failure(&self) -> Failure {
        match self {
            Self::Rules(_) => Failure::Refused,
            Self::Blind(_) | Self::Clock(_) | Self::OtherFleet(_) => Failure::FleetUnknown,
            Self::TakenByOthers(_) | Self::Ledger(_) | Self::TakenOver(_) | Self::Consumed { .. } => Failure::Ledger,
            Self::Deferred { .. } => Failure::Deferred,
            Self::Halted(_) | Self::Ordered(_) => Failure::Halted,
        }
    }
}
