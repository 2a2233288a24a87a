//! A person accepts a policy that differs from the one that all runs use, after the difference was shown.

use std::path::Path;

use crate::coordination::{self, Command};
use crate::model::{Nonce, OperatorId, SubsystemName};
use crate::policy::SubsystemPolicy;
use crate::ports::Written;

use crate::run::Failure;

use super::environment::Environment;
use super::error::OperationError;
use super::frontend::{Frontend, Question};
use super::{confirm, process};

/// Attempts at a conditional write when other writers keep winning.
const WRITE_TRIES: u32 = 20;

/// The result of an acceptance.
#[derive(Debug)]
pub(crate) enum Acceptance {
    /// No run has accepted a policy yet: the first run will accept this one as it finds it.
    FirstRunDoes,
    /// The policy is as it was accepted.
    AsItWas,
    /// All runs use the policy from now on.
    Accepted {
        /// Who accepted it.
        by: OperatorId,
    },
}

/// Shows the difference, asks for confirmation, and writes.
///
/// # Errors
///
/// There is no such policy and never was; nobody can be asked, or the answer is not the right one; somebody else
/// accepted another policy meanwhile; the ledger cannot be used.
pub(crate) async fn accept(
    policies: &Path,
    name: &SubsystemName,
    reason: &str,
    frontend: &dyn Frontend,
) -> Result<Acceptance, OperationError> {
    let environment = Environment::open(policies).await?;
    let (_, record) = environment.ledger.read().await?;
    let was = record.accepted.get(name).map(|accepted| &accepted.policy);
    let is = environment.policies.subsystems.get(name);
    match (was, is) {
        (None, None) => return Err(OperationError::unknown_subsystem(name, &environment.policies)),
        (None, Some(_)) if record.accepted.is_empty() => return Ok(Acceptance::FirstRunDoes),
        (Some(was), Some(is)) if was == is => return Ok(Acceptance::AsItWas),
        (Some(_) | None, Some(_)) | (Some(_), None) => {}
    }
    if !frontend.can_ask() {
        return Err(OperationError::NotConfirmed {
            why: "there is no terminal to ask on; nothing was changed".to_owned(),
            hint: Some("a looser policy is accepted by a person: run it on a terminal".to_owned()),
        });
    }
    let question = Question::Acceptance { place: &environment.place(), subsystem: name, was, is };
    confirm::by_a_person(&question, "nothing was changed", frontend).await?;
    let by = process::operator(environment.fleet.identity());
    write(&environment, name, &by, reason, was).await?;
    Ok(Acceptance::Accepted { by })
}

/// Writes only what was shown: where the accepted policy changed meanwhile, the difference changed too.
async fn write(
    environment: &Environment,
    name: &SubsystemName,
    by: &OperatorId,
    reason: &str,
    shown: Option<&SubsystemPolicy>,
) -> Result<(), OperationError> {
    let ledger = environment.writable_ledger().await?;
    let command = Command::AcceptPolicy { subsystem: name.clone(), operator: by.clone(), reason: reason.to_owned() };
    for _ in 0..WRITE_TRIES {
        let (version, record) = ledger.read().await.map_err(OperationError::Ledger)?;
        if record.accepted.get(name).map(|accepted| &accepted.policy) != shown {
            return Err(OperationError::NotConfirmed {
                why: "somebody else accepted another policy meanwhile; nothing was changed".to_owned(),
                hint: Some("look at the difference again: repeat the command".to_owned()),
            });
        }
        let (record, _) = coordination::decide(&record, &command, &environment.context()).map_err(|refusal| {
            OperationError::NotStarted {
                failure: Failure::Refused,
                message: "the policy cannot be accepted; nothing was changed".to_owned(),
                causes: vec![refusal.to_string()],
                hint: "`safe-remove status` says what is under way",
            }
        })?;
        let nonce = Nonce::new(uuid::Uuid::new_v4().to_string());
        match ledger.compare_and_swap(version, &record, &nonce).await.map_err(OperationError::Ledger)? {
            Written::Acknowledged(_) => return Ok(()),
            Written::Conflict => {}
        }
    }
    Err(OperationError::NotStarted {
        failure: Failure::Ledger,
        message: "the ledger is too busy; nothing was changed".to_owned(),
        causes: Vec::new(),
        hint: "try again",
    })
}
