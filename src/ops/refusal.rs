//! Refusals found after planning. They are added to the plan that they refuse.

use crate::model::RunId;
use crate::plan::{PlanDocument, Rule, Verdict, Violation};

/// The plan, refused for these additional reasons.
pub(crate) fn with(plan: &PlanDocument, violations: Vec<Violation>) -> PlanDocument {
    let mut plan = plan.clone();
    plan.verdict = Verdict::Refused;
    plan.violations.extend(violations);
    plan
}

/// S9: a request id that led to another run is never used again.
pub(crate) fn request_id(plan: &PlanDocument, run: &RunId) -> Violation {
    let id = plan.request.request_id.as_ref().map_or("", |id| id.as_str());
    let message = format!("request id {id} was used for another request, by run {run}: a new request needs a new id");
    whole(Rule::RequestId, message)
}

/// An expired plan is not run: somebody looked at it for too long. `next` ends the sentence.
pub(crate) fn stale(plan: &PlanDocument, next: &str) -> Violation {
    let until = plan.expires_at;
    whole(Rule::PlanStale, format!("the plan could be confirmed until {until}, and it is later now: {next}"))
}

/// A violation of the plan as a whole.
fn whole(rule: Rule, message: String) -> Violation {
    Violation { rule, subsystem: None, zone: None, group: None, host: None, required: None, remaining: None, message }
}
