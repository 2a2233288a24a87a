//! `doctor --fix`: raises the groups' own minimums until they hold what the policies ask, so that the provider holds the floor
//! even where this program is wrong.
//!
//! A minimum is raised, never lowered, and never above the group's desired size: the provider would launch hosts.

use std::path::Path;

use crate::driver;
use crate::model::{Call, CallOutcome, Effect, Nonce, OperatorId};
use crate::output::{MinimumsDocument, RaisedMinimum, next};
use crate::plan::{LowMinimum, Membership, low_minimums};
use crate::ports::Ledger;
use crate::run::{EVENT_SCHEMA, Event, Failure, JournalRecord};

use super::environment::{Environment, ObservedFleet};
use super::error::OperationError;
use super::frontend::{Frontend, Question};
use super::marks::Marks;
use super::{confirm, ids, process};

/// Observes, shows, asks for confirmation, observes again, and raises one group after the other.
///
/// # Errors
///
/// Nobody can be asked, or the answer is not the right one; runs are under way; what was shown has changed; the ledger or the
/// fleet cannot be used.
pub(crate) async fn raise_minimums(
    policies: &Path,
    frontend: &dyn Frontend,
) -> Result<MinimumsDocument, OperationError> {
    let environment = Environment::open(policies).await?;
    let before = environment.observe_any_then_read().await?;
    let low = found(&environment, &before)?;
    let (mut left, to_raise): (Vec<_>, Vec<_>) = low.iter().cloned().partition(|low| low.why_not.is_some());
    if to_raise.is_empty() {
        return Ok(MinimumsDocument { raised: Vec::new(), left });
    }
    let no = |why: &str, hint: String| OperationError::NotConfirmed {
        why: format!("{why}; nothing was touched"),
        hint: Some(hint),
    };
    if !before.record.runs.is_empty() {
        let why = "runs are under way or hold hosts, and a group with a higher minimum may refuse what they do next";
        return Err(no(why, format!("wait until they have ended: {}", next::command(policies, "status"))));
    }
    if !frontend.can_ask() {
        let hint = "a minimum of the provider is changed by a person: run it on a terminal".to_owned();
        return Err(no("there is no terminal to ask on", hint));
    }
    let place = environment.place();
    let question = Question::Minimums { place: &place, to_raise: &to_raise, left: &left };
    let mut orders = confirm::by_a_person(&question, "nothing was touched", frontend).await?;
    // A question may stay open for an hour: policies, groups and runs may be others by now.
    let environment = Environment::open(policies).await?;
    let after = environment.observe_any_then_read().await?;
    let is_same = after.record.ledger == before.record.ledger && found(&environment, &after)? == low;
    if !is_same || !after.record.runs.is_empty() {
        return Err(no("policies, groups or runs have changed since they were shown", "run it again".to_owned()));
    }
    let ledger = environment.writable_ledger().await?;
    let mut raised = Vec::new();
    let mut stopped = None;
    for low in to_raise {
        if stopped.is_none() {
            stopped = match orders.so_far() {
                Some(order) => Some(format!("it was stopped before: {order}")),
                None => run_in_the_way(ledger.as_ref()).await?,
            };
        }
        if stopped.is_some() {
            left.push(LowMinimum { why_not: stopped.clone(), ..low });
            continue;
        }
        match raise(&environment, ledger.as_ref(), &low, &raised).await? {
            None => {
                let LowMinimum { group, is: from, asked: to, of, .. } = low;
                frontend.tell(&format!("raised the minimum of group {group} from {from} to {to}\n"));
                raised.push(RaisedMinimum { group, from, to, of });
            }
            why_not => left.push(LowMinimum { why_not, ..low }),
        }
    }
    Ok(MinimumsDocument { raised, left })
}

/// A run that began since is in the way: its next call may be refused by what is raised.
async fn run_in_the_way(ledger: &dyn Ledger) -> Result<Option<String>, OperationError> {
    let (_, record) = ledger.read().await.map_err(OperationError::Ledger)?;
    Ok(record.runs.keys().next().map(|run| format!("run {run} began before")))
}

/// The minimums that are too low. A group that this ledger does not govern is left alone.
fn found(environment: &Environment, observation: &ObservedFleet) -> Result<Vec<LowMinimum>, OperationError> {
    let others = Marks::of(environment, observation).other_than(&observation.record.ledger);
    let membership = Membership::new(&environment.policies, &observation.snapshot);
    let mut low = low_minimums(&membership).map_err(OperationError::Assess)?;
    for low in &mut low {
        if others.groups.contains_key(&low.group) {
            low.why_not = Some("it is not under this ledger: adopt it first".to_owned());
        }
    }
    Ok(low)
}

/// Records who raises what, then sends it (S5). Returns why the provider refused it, if it did.
///
/// # Errors
///
/// It cannot be recorded, or nobody knows what became of it.
async fn raise(
    environment: &Environment,
    ledger: &dyn Ledger,
    low: &LowMinimum,
    raised: &[RaisedMinimum],
) -> Result<Option<String>, OperationError> {
    let failed = |failure: Failure, what: &str, cause: Option<String>, hint: &'static str| {
        let before: Vec<&str> = raised.iter().map(|raised| raised.group.as_str()).collect();
        let before = match before.as_slice() {
            [] => "nothing was raised before".to_owned(),
            before => format!("raised before: {}", before.join(" ")),
        };
        let message = format!("the minimum of {} {what}; {before}", low.group);
        OperationError::NotStarted { failure, message, causes: cause.into_iter().collect(), hint }
    };
    let record = intent(environment, low, &process::operator(environment.fleet.identity()));
    let nonce = Nonce::new(uuid::Uuid::new_v4().to_string());
    let recorded = driver::record_intent(ledger, &record, &nonce).await.map_err(OperationError::Ledger)?;
    let Some(recorded) = recorded else {
        return Err(failed(Failure::Ledger, "was not raised: that cannot be recorded", None, "try again"));
    };
    match driver::send(environment.fleet.as_ref(), recorded).await {
        CallOutcome::Done => Ok(None),
        CallOutcome::Refused { message, .. } => Ok(Some(message)),
        CallOutcome::Unknown { message } => {
            let hint = "run it again: it raises what is still too low";
            Err(failed(Failure::FleetUnknown, "may have been raised", Some(message), hint))
        }
    }
}

fn intent(environment: &Environment, low: &LowMinimum, by: &OperatorId) -> JournalRecord {
    let intent_at = environment.clock.now();
    let effect = Effect::RaiseMinimum { group: low.group.clone(), from: low.is, to: low.asked };
    let not_after = intent_at.plus(environment.fleet.bounds().call_life);
    JournalRecord {
        schema: EVENT_SCHEMA.to_owned(),
        run: ids::minimum_id(),
        seq: 0,
        at: intent_at,
        event: Event::MinimumRaised { operator: by.clone(), intent: Call { effect, intent_at, not_after } },
    }
}
