//! `safe-remove plan`, and every other answer that is a plan: its exit code, and what to do about it.

use std::path::Path;

use crate::model::{RunId, Time, counted, span_text};
use crate::ops::{self, Because, OperationError, PlanAnswer, Proving};
use crate::output::{PlanEnd, Text, largest_text, next, placed_plan, plan_text, refusal_line};
use crate::plan::{PlanDocument, Rule};

use super::args::Global;
use super::error::Diagnostic;
use super::exit::Exit;
use super::removal::SelectionArgs;
use super::{CommandOutput, selection};

/// Makes a plan, and shows it.
pub(super) async fn run(
    global: &Global,
    selection: &SelectionArgs,
    certificate: bool,
) -> Result<CommandOutput, OperationError> {
    let request = selection::request(selection)?;
    let proving = Proving { effort: selection.prove, certificate };
    answer(&ops::plan(&global.policies, &request, &proving).await?, &global.policies, false)
}

/// A plan as the answer. `no_wait`: whether the caller refused to wait (`--no-wait`).
pub(super) fn answer(of: &PlanAnswer, policies: &Path, no_wait: bool) -> Result<CommandOutput, OperationError> {
    let plan = &of.document;
    let (exit, diagnostic) = match &of.because {
        Because::OnlyAsked => (Exit::DONE, None),
        Because::Refused => (Exit::REFUSED, Some(refused(plan, of.rest_of.as_ref(), policies))),
        Because::TakenByOthers => (Exit::LEDGER, Some(taken(plan))),
        Because::Deferred { until, now, why } => {
            let mut diagnostic = deferred(*until, *now, why.as_deref(), no_wait);
            diagnostic.causes.extend(why.clone());
            (Exit::DEFERRED, Some(diagnostic))
        }
        Because::Unconfirmed { why, hint } => {
            let mut diagnostic = Diagnostic::new(format!("not confirmed: {why}; nothing was touched"));
            let back = of.rest_of.as_ref().map(|run| put_back(policies, run));
            let hints: Vec<String> = back.into_iter().chain(hint.clone()).collect();
            diagnostic.hint = (!hints.is_empty()).then(|| hints.join("\n"));
            (Exit::NOT_CONFIRMED, Some(diagnostic))
        }
    };
    let next = matches!(of.because, Because::OnlyAsked).then(|| next::removal(policies, plan));
    let end = PlanEnd { exit_code: exit.code(), confirmed: of.confirmed };
    let json = placed_plan(plan, end, &of.place)
        .map_err(|error| OperationError::internal("the plan cannot be written as JSON", error))?;
    let text = match &of.because {
        // The plan is above the question, and stderr says why it is not run.
        Because::Unconfirmed { .. } => Text::default(),
        _ => plan_text(plan, &of.place, next.as_deref()),
    };
    Ok(CommandOutput { exit, text, json, diagnostic })
}

/// Lists every violated rule, and the largest count that would pass. The hint is the next step, or the way back where a run
/// was begun.
fn refused(plan: &PlanDocument, rest_of: Option<&RunId>, policies: &Path) -> Diagnostic {
    let mut diagnostic = Diagnostic::new(refusal_line(plan));
    diagnostic.is_answered = true;
    diagnostic.causes = plan.violations.iter().map(|violation| violation.message.clone()).collect();
    diagnostic.causes.extend(largest_text(plan));
    diagnostic.hint = Some(rest_of.map_or_else(|| what_next(policies, plan), |run| put_back(policies, run)));
    diagnostic
}

fn taken(plan: &PlanDocument) -> Diagnostic {
    let mut diagnostic = Diagnostic::new("other runs have what this would take; nothing was touched".to_owned());
    diagnostic.is_answered = true;
    diagnostic.causes = plan.violations.iter().map(|violation| violation.message.clone()).collect();
    diagnostic.causes.extend(plan.others.iter().map(|other| {
        let held = counted(other.holds, "host");
        format!("run {} of {} holds {held} and claims {}", other.run, other.operator, other.claims)
    }));
    diagnostic.hint = Some("repeat the command, with the same request id, when they have ended".to_owned());
    diagnostic
}

fn deferred(until: Time, now: Time, why: Option<&str>, no_wait: bool) -> Diagnostic {
    let left = span_text(until.since(now));
    let message = match why {
        None => format!("a budget asks to wait until {until} ({left}); nothing was touched"),
        // The cause may be another run, and nobody knows when that ends.
        Some(_) => format!("it would have to wait until {until} ({left}) or longer; nothing was touched"),
    };
    let hint = if no_wait {
        "repeat the command then, with the same request id, or leave out --no-wait".to_owned()
    } else {
        format!(
            "repeat the command then, with the same request id, or give --max-wait {}s",
            until.since(now).as_secs() + 1
        )
    };
    Diagnostic::new(message).hint(hint)
}

fn put_back(policies: &Path, run: &RunId) -> String {
    format!("to put back what is cordoned and end it: {}", next::command(policies, &format!("abandon {run}")))
}

/// The next step after a refusal. The first of these rules that is violated decides.
fn what_next(policies: &Path, plan: &PlanDocument) -> String {
    let violates = |rule: Rule| plan.violations.iter().find(|violation| violation.rule == rule);
    if let Some(halted) = violates(Rule::Halted) {
        let lift = next::unhalt(policies, halted.subsystem.as_ref());
        return format!("ask whoever halted it; when it may go on: {lift}");
    }
    if violates(Rule::RunInTheWay).is_some()
        && let Some(other) = plan.others.iter().find(|other| other.silent)
    {
        return put_back(policies, &other.run);
    }
    if violates(Rule::ForeignLedger).is_some() {
        let adopt = next::command(policies, "ledger adopt --reason TEXT");
        // A mark of the whole fleet is nothing that code could remove.
        let again = match plan.provider.kind.as_str() {
            "simulated" => "",
            _ => {
                "something removed the tag, if they were adopted before: Terraform does, unless it is told not to (README, \
                 \"On AWS\"); "
            }
        };
        return format!("{again}if this is the ledger that governs them from now on: {adopt}");
    }
    if let Some(loosened) = violates(Rule::PolicyLoosened) {
        let name = loosened.subsystem.as_ref().map_or("NAME", |name| name.as_str());
        let accept = format!("policy accept {} --reason TEXT", next::quoted(name));
        return format!("if that is meant: {}", next::command(policies, &accept));
    }
    if violates(Rule::RequestId).is_some() {
        return "a new request needs a new id".to_owned();
    }
    if violates(Rule::ReasonRequired).is_some() {
        return "say why: --reason TEXT".to_owned();
    }
    if violates(Rule::PlanStale).is_some() {
        return format!("make the plan again: {}", next::plan(policies, plan));
    }
    if violates(Rule::UnknownHost).is_some() {
        return "correct the list of hosts, and look twice: a name that is wrong may stand for a host that is meant"
            .to_owned();
    }
    if violates(Rule::UnhealthyNow).is_some() {
        return "nothing is removed from a system in trouble: try again when the probe is good".to_owned();
    }
    if violates(Rule::TooNoisy).is_some() {
        return "change the policy as the message says, or wait for a calmer hour: how the judge works is in docs/judge.md"
            .to_owned();
    }
    if violates(Rule::UnknownSubsystem).is_some() {
        return format!("all subsystems: {}", next::command(policies, "policy check"));
    }
    format!("what can go, and what limits it: {}", next::command(policies, "headroom"))
}
