//! A plan as text: the place, the request, every subsystem touched, the batches, and what is in the way.

use crate::model::counted;
use crate::plan::{OtherRun, PlanDocument, Verdict};

use super::batches::batches_text;
use super::capacity::subsystems_text;
use super::refusal::refusal_text;
use super::{Place, Text, hosts_text};

/// The most named hosts that the request lists.
const HOSTS_SHOWN: usize = 40;

/// The whole plan. `next` is the command to type next, where there is one.
pub(crate) fn plan_text(plan: &PlanDocument, place: &Place, next: Option<&str>) -> Text {
    let mut text = place.text();
    text.field("request", &request_text(plan));
    text.field("plan", plan.plan.as_str());
    text.field("observed", &format!("{}; the plan expires {}", plan.observed_at, plan.expires_at));
    text.append(subsystems_text("Subsystems, in units", &plan.subsystems, &plan.request.subsystem));
    // What a refused plan would have taken is of no use to a person; -o json has it.
    if !plan.batches.is_empty() && plan.verdict == Verdict::Allowed {
        text.blank();
        text.paragraph("Batches");
        text.append(batches_text(&plan.batches));
    }
    text.blank();
    if !plan.watched.is_empty() {
        let watched: Vec<_> = plan.watched.iter().map(|name| name.as_str()).collect();
        text.field("watched", &watched.join(" "));
    }
    for other in &plan.others {
        text.field("other run", &other_text(other));
    }
    for warning in &plan.warnings {
        text.field("warning", warning);
    }
    if let Some(at) = plan.not_before {
        text.field("waits", &format!("a budget or an interval asks to wait until {at}"));
    }
    text.blank();
    match plan.verdict {
        Verdict::Allowed => text.paragraph("Allowed."),
        Verdict::Refused => text.append(refusal_text(plan)),
    }
    if let Some(next) = next {
        text.copied("next", next);
    }
    text
}

/// Who else takes hosts or watches, and what that means for the reader.
pub(super) fn other_text(other: &OtherRun) -> String {
    let of = other.subsystem.as_str();
    let what = match (other.holds, other.claims) {
        (0, claims) => format!("stands in line for {claims}"),
        (holds, 0) => format!("has {} out", counted(holds, "host")),
        (holds, claims) => format!("has {} out and stands in line for {claims}", counted(holds, "host")),
    };
    let silent = if other.silent { ", and is SILENT: see safe-remove status" } else { "" };
    format!("{} of {} ({of}, since {}) {what}{silent}", other.run, other.operator, other.since)
}

fn request_text(plan: &PlanDocument) -> String {
    let request = &plan.request;
    let mut text = match (&request.count, &request.hosts) {
        (Some(count), _) => format!("remove {} of {}", counted(*count, "host"), request.subsystem),
        (None, Some(hosts)) => format!("remove {} of {}", hosts_text(hosts, HOSTS_SHOWN), request.subsystem),
        (None, None) => format!("remove nothing of {}", request.subsystem),
    };
    if let Some(reason) = &request.reason {
        text.push_str(&format!(", because: {reason}"));
    }
    if let Some(id) = &request.request_id {
        text.push_str(&format!(" (request id {id})"));
    }
    text
}
