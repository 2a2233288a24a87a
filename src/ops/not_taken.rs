//! Why a run is not taken over, or did not go on, in words, with what to do instead.

use std::path::Path;

use crate::coordination::ProcessId;
use crate::model::{RunId, span_text};
use crate::output::next;
use crate::run::{Failure, MayLive, NotStarted, Purpose, TakeoverError};

use super::error::OperationError;

/// The error where a run's process may live: such a run is taken over only on explicit request.
pub(crate) fn not_dead(
    run: &RunId,
    process: Option<&ProcessId>,
    how: MayLive,
    purpose: Purpose,
    policies: &Path,
) -> OperationError {
    let (pid, host) = process.map_or((0, ""), |process| (process.pid, process.host.as_str()));
    let anyway = next::command(policies, &format!("abandon {run} --even-if-alive"));
    let mut anyway = format!("to take it over all the same and put back what is cordoned: {anyway}");
    if purpose == Purpose::Resume {
        anyway.push_str("\n(resume takes --even-if-alive too, and goes on terminating)");
    }
    let (why, hint) = match how {
        MayLive::Yes | MayLive::No => (
            format!("process {pid} on {host} is alive"),
            format!("to stop it and put back what is cordoned: kill -INT {pid}, on {host}\n{anyway}"),
        ),
        MayLive::Unseen { silent_in } => (
            format!("process {pid} on {host} cannot be looked at from here, and wrote lately"),
            format!("look at it there, or wait {}: then it counts as silent\n{anyway}", span_text(silent_in)),
        ),
    };
    let message = format!("run {run} may be under way: its process is not known to be dead");
    OperationError::NotTaken { message, causes: vec![why], hint: Some(hint) }
}

/// The error for a run that was taken over and could not go on before anything was touched.
pub(crate) fn not_begun(run: &RunId, why: &NotStarted) -> OperationError {
    let causes = match why {
        NotStarted::Rules(violations) | NotStarted::TakenByOthers(violations) => {
            violations.iter().map(|violation| violation.message.clone()).collect()
        }
        NotStarted::Blind(message)
        | NotStarted::Clock(message)
        | NotStarted::Ledger(message)
        | NotStarted::TakenOver(message)
        | NotStarted::OtherFleet(message)
        | NotStarted::Halted(message) => vec![message.clone()],
        NotStarted::Deferred { until, why } => vec![format!("{why}, until {until}")],
        NotStarted::Consumed { .. } => Vec::new(),
        NotStarted::Ordered(order) => vec![order.to_string()],
    };
    OperationError::NotStarted {
        failure: why.failure(),
        message: format!("run {run} did not go on; this process touched nothing"),
        causes,
        hint: "`safe-remove status` shows how it stands",
    }
}

/// The error for a run that was not taken over. Nothing was touched.
pub(crate) fn not_taken(run: &RunId, why: &TakeoverError) -> OperationError {
    let ledger = |message: &String, hint| OperationError::NotStarted {
        failure: Failure::Ledger,
        message: format!("run {run} cannot be taken over; nothing was touched"),
        causes: vec![message.clone()],
        hint,
    };
    match why {
        TakeoverError::Over(_) => OperationError::NotTaken {
            message: format!("run {run} has ended: there is nothing to take over"),
            causes: Vec::new(),
            hint: Some(format!("how it ended: safe-remove status {run}")),
        },
        TakeoverError::Alive => OperationError::NotTaken {
            message: format!("run {run} is under way: its process wrote just now"),
            causes: Vec::new(),
            hint: Some(format!("to follow it: safe-remove status {run} --watch")),
        },
        TakeoverError::Another(by) => ledger(by, "`safe-remove status` names the process that has it"),
        TakeoverError::Ledger(message) => {
            ledger(message, "check `[ledger]` in fleet.toml, free space and permissions, then try again")
        }
        TakeoverError::Refused(message) => OperationError::NotStarted {
            failure: Failure::FleetUnknown,
            message: format!("run {run} cannot be taken over; nothing was touched"),
            causes: vec![message.clone()],
            hint: "correct what is said above, this machine's clock or the policy directory, and try again",
        },
    }
}
