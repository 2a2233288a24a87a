//! `safe-remove plan`: what a removal would do. Touches nothing.

use crate::output::{Place, placed, plan_text, refusal_line};
use crate::plan::{PlanDocument, Rule, Verdict};

use super::args::{Global, SelectionArgs};
use super::error::{CommandError, Complaint};
use super::exit::Exit;
use super::world::World;
use super::{Answered, next, selection};

/// Resolve, look, plan, show.
pub(super) async fn run(global: &Global, selection: &SelectionArgs) -> Result<Answered, CommandError> {
    let request = selection::request(selection)?;
    let world = World::open(global).await?;
    let mut seen = world.look().await?;
    let plan = world.plan(&request, &mut seen).await?;
    match plan.document.verdict {
        Verdict::Refused if world.is_race(&request, &seen, &plan)? => taken(&plan.document, &world.place()),
        Verdict::Allowed => {
            let next = next::removal(&global.policies, &plan.document, plan.document.request.count);
            answer(Exit::DONE, &plan.document, &world.place(), Some(&next))
        }
        Verdict::Refused => refused(global, &plan.document, &world.place()),
    }
}

/// The plan as the answer.
pub(super) fn answer(
    exit: Exit,
    plan: &PlanDocument,
    place: &Place,
    next: Option<&str>,
) -> Result<Answered, CommandError> {
    let json =
        placed(plan, place).map_err(|error| CommandError::internal("the plan cannot be written as JSON", error))?;
    Ok(Answered { exit, text: plan_text(plan, place, next), json, complaint: None })
}

/// Exit 3: every rule that is violated, the largest count that would pass, and the command to type next.
pub(super) fn refused(global: &Global, plan: &PlanDocument, place: &Place) -> Result<Answered, CommandError> {
    let mut complaint = Complaint::new(refusal_line(plan));
    complaint.causes = plan.violations.iter().map(|violation| violation.message.clone()).collect();
    complaint.hint = Some(what_next(global, plan));
    Ok(answer(Exit::REFUSED, plan, place, None)?.complaining(complaint))
}

/// Exit 10: what is refused only because of what other runs hold, claim or have just removed is no word of the policies
/// (S9). The plan is the answer all the same.
pub(super) fn taken(plan: &PlanDocument, place: &Place) -> Result<Answered, CommandError> {
    let mut complaint = Complaint::new("other runs have what this would take; nothing was touched".to_owned());
    complaint.causes = plan.violations.iter().map(|violation| violation.message.clone()).collect();
    complaint.causes.extend(plan.others.iter().map(|other| {
        format!("run {} of {} holds {} hosts and claims {}", other.run, other.operator, other.holds, other.claims)
    }));
    complaint.hint = Some("repeat the command, with the same request id, when they have ended".to_owned());
    Ok(answer(Exit::LEDGER, plan, place, None)?.complaining(complaint))
}

/// What to do about a refusal: the rule that somebody can do something about decides.
fn what_next(global: &Global, plan: &PlanDocument) -> String {
    let violates = |rule: Rule| plan.violations.iter().find(|violation| violation.rule == rule);
    if let Some(halted) = violates(Rule::Halted) {
        let lift = next::unhalt(&global.policies, halted.subsystem.as_ref());
        return format!("ask whoever halted it; when it may go on: {lift}");
    }
    if let Some(largest) = plan.largest_allowed_count
        && largest > 0
        && plan.request.count.is_some_and(|count| count > largest)
    {
        let command = next::removal(&global.policies, plan, Some(largest));
        return format!("the largest count that would be allowed now is {largest}: {command}");
    }
    if violates(Rule::ForeignLedger).is_some() {
        let adopt = next::command(&global.policies, "ledger adopt --reason TEXT");
        return format!("if this is the ledger that governs them from now on: {adopt}");
    }
    if let Some(loosened) = violates(Rule::PolicyLoosened) {
        let name = loosened.subsystem.as_ref().map_or("NAME", |name| name.as_str());
        let accept = format!("policy accept {} --reason TEXT", next::quoted(name));
        return format!("if that is meant: {}", next::command(&global.policies, &accept));
    }
    if violates(Rule::RequestId).is_some() {
        return "a new request needs a new id".to_owned();
    }
    if violates(Rule::ReasonRequired).is_some() {
        return "say why: --reason TEXT".to_owned();
    }
    if violates(Rule::PlanStale).is_some() {
        return format!("make the plan again: {}", next::removal(&global.policies, plan, plan.request.count));
    }
    if violates(Rule::UnhealthyNow).is_some() {
        return "nothing is removed from a system in trouble: try again when the probe is good".to_owned();
    }
    if violates(Rule::UnknownSubsystem).is_some() {
        return format!("all subsystems: {}", next::command(&global.policies, "policy check"));
    }
    format!("what can go, and what limits it: {}", next::command(&global.policies, "headroom"))
}
