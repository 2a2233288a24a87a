//! The next command, as a person would type it.

use std::path::Path;

use crate::model::{RunId, SubsystemName};
use crate::plan::PlanDocument;
use crate::policy::option as option_of;
pub(crate) use crate::policy::{command, placed, quoted};

/// The arguments that follow a run to its end.
pub(crate) fn watch(run: &RunId) -> String {
    format!("status {run} --watch")
}

/// The removal that a plan is for.
pub(crate) fn removal(policies: &Path, plan: &PlanDocument) -> String {
    asked_for(plan, format!("safe-remove{}", option_of(policies)))
}

/// The plan, made again: it removes nothing.
pub(crate) fn plan(policies: &Path, plan: &PlanDocument) -> String {
    asked_for(plan, command(policies, "plan"))
}

/// The command with what the plan's request asks for.
fn asked_for(plan: &PlanDocument, command: String) -> String {
    let mut words = vec![command];
    let mut option = |name: &str, value: &str| words.extend([name.to_owned(), quoted(value)]);
    option("--subsystem", plan.request.subsystem.as_str());
    match (plan.request.count, &plan.request.hosts) {
        (Some(count), _) => option("--count", &count.to_string()),
        (None, Some(hosts)) => hosts.iter().for_each(|host| option("--host", host.as_str())),
        (None, None) => {}
    }
    if let Some(reason) = &plan.request.reason {
        option("--reason", reason);
    }
    if let Some(id) = &plan.request.request_id {
        option("--request-id", id.as_str());
    }
    words.join(" ")
}

/// The command that lifts such a stop order, except for the reason.
pub(crate) fn unhalt(policies: &Path, subsystem: Option<&SubsystemName>) -> String {
    let of = subsystem.map(|name| format!(" --subsystem {}", quoted(name.as_str()))).unwrap_or_default();
    command(policies, &format!("unhalt{of} --reason TEXT"))
}
