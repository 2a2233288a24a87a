//! Lifts a stop order: says who halted and why, asks why it may go on, and lifts the orders that were shown.
//!
//! A journal records who lifts what and why before anything is lifted. An order that came after the orders were read
//! stays in force: nobody has seen it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::coordination::{self, Command, Context, FleetRecord, Halt, Refusal};
use crate::driver::{Unchanged, record_alone, update};
use crate::model::{Bounds, OperatorId, SubsystemName};
use crate::output::{Place, StatusHalt, next};
use crate::policy::{PolicySet, ProviderKind};
use crate::ports::Written;
use crate::run::{EVENT_SCHEMA, Event, Failure, JournalRecord};

use super::error::OperationError;
use super::frontend::{Frontend, Question};
use super::reader::{LedgerReader, writable_ledger};
use super::site::Site;
use super::{fleets, ids, process};

/// How many writes of others may come first, one after the other.
const CONFLICTS: u32 = 200;

/// The result of an `unhalt`.
#[derive(Debug, Serialize)]
pub(crate) struct Unhalted {
    #[serde(flatten)]
    pub(crate) place: Place,
    /// The subsystem; `None` for the whole fleet.
    pub(crate) subsystem: Option<SubsystemName>,
    /// Who lifted it.
    pub(crate) operator: OperatorId,
    /// Why it was lifted. `None` if there was nothing to lift and no reason was given.
    pub(crate) reason: Option<String>,
    /// The orders that were in force and no longer are.
    pub(crate) lifted: Vec<StatusHalt>,
    /// The orders that are still in force.
    pub(crate) halts: Vec<StatusHalt>,
}

/// Reads, shows, asks why where no reason is given, records, and lifts. Returns what was lifted, and warnings.
///
/// # Errors
///
/// There is nothing to lift; there is nobody to ask; the ledger cannot be used.
pub(crate) async fn unhalt(
    policies: &Path,
    subsystem: Option<&SubsystemName>,
    reason: Option<&str>,
    frontend: &dyn Frontend,
) -> Result<(Unhalted, Vec<String>), OperationError> {
    let site = Site::find(policies)?;
    let reader = LedgerReader::open(&site.fleet, fleets::now(&site.fleet)).await?;
    let place = site.place(&reader);
    let (_, record) = reader.read().await?;
    let orders: Vec<Halt> = record.halts.iter().filter(|h| h.subsystem.as_ref() == subsystem).cloned().collect();
    let by = process::operator(&place.provider);
    if record.halts.is_empty() {
        // It is as it was asked to be: a runbook that lifts what an earlier step may have ordered goes on.
        let (subsystem, reason) = (subsystem.cloned(), reason.map(str::to_owned));
        let nothing = Unhalted { place, subsystem, operator: by, reason, lifted: Vec::new(), halts: Vec::new() };
        return Ok((nothing, site.warning().into_iter().collect()));
    }
    if orders.is_empty() {
        return Err(nothing_to_lift(policies, subsystem, &record));
    }
    if reason.is_none() && !frontend.can_ask() {
        let hint = format!("say why it may go on: {}", next::unhalt(policies, subsystem));
        return Err(OperationError::usage("--reason is missing, and there is no terminal to ask on", hint));
    }
    let reason = match reason {
        Some(reason) => reason.to_owned(),
        None => ask(&orders, &place, frontend).await?,
    };
    lift(&site.policies_to_put_back(&record), &record, &orders, &by, &reason).await?;

    let (_, record) = reader.read().await?;
    let unhalted = Unhalted {
        place,
        subsystem: subsystem.cloned(),
        operator: by,
        reason: Some(reason),
        lifted: orders.iter().map(StatusHalt::from).collect(),
        halts: record.halts.iter().map(StatusHalt::from).collect(),
    };
    Ok((unhalted, site.warning().into_iter().collect()))
}

/// Shows who halted and why, and asks why it may go on. An empty reply is not a reason.
async fn ask(orders: &[Halt], place: &Place, frontend: &dyn Frontend) -> Result<String, OperationError> {
    let mut heard = frontend.listen().map_err(|e| OperationError::internal("signals cannot be heard", e))?;
    let reply = frontend.ask(&Question::Unhalt { place, orders }, &mut heard).await;
    let why = |why| OperationError::NotConfirmed { why: format!("{why}; it is still halted"), hint: None };
    reply.typed().map_err(why)
}

/// Records first who lifts what and why, then lifts: so every lifting is explained.
async fn lift(
    policies: &Arc<PolicySet>,
    read: &FleetRecord,
    orders: &[Halt],
    by: &OperatorId,
    reason: &str,
) -> Result<(), OperationError> {
    let now = fleets::now(&policies.fleet);
    let identity = fleets::named_identity(&policies.fleet);
    let silent = BTreeSet::new();
    let context = Context { policies, identity: &identity, bounds: bounds(policies), now, silent: &silent, room: None };
    let decide = |record: &FleetRecord| {
        coordination::decide(record, &Command::Unhalt { orders }, &context).map(|(next, _)| (Some(next), ()))
    };
    // A refusal that can be known beforehand comes first: the history must show only what was done.
    decide(read).map_err(refused)?;
    let ledger = writable_ledger(&policies.fleet, now).await?;
    let journal = JournalRecord {
        schema: EVENT_SCHEMA.to_owned(),
        run: ids::order_id(),
        seq: 0,
        at: now,
        event: Event::HaltLifted { orders: orders.to_vec(), operator: by.clone(), reason: reason.to_owned() },
    };
    match record_alone(ledger.as_ref(), &journal).await.map_err(OperationError::Ledger)? {
        Written::Acknowledged(()) => {}
        Written::Conflict => return Err(still_halted(Failure::Ledger, "it cannot be recorded".to_owned())),
    }
    update(ledger.as_ref(), CONFLICTS, decide).await.map_err(|why| match why {
        Unchanged::Refused(refusal) => refused(refusal),
        Unchanged::Busy(others) => still_halted(Failure::Ledger, format!("{others} writes of others came first")),
        Unchanged::Lost(error) => OperationError::Ledger(error),
    })
}

fn refused(refusal: Refusal) -> OperationError {
    let failure = match &refusal {
        Refusal::Clock { .. } | Refusal::OtherFleet { .. } => Failure::FleetUnknown,
        _ => Failure::Refused,
    };
    still_halted(failure, refusal.to_string())
}

fn still_halted(failure: Failure, cause: String) -> OperationError {
    OperationError::NotStarted {
        failure,
        message: "nothing was lifted".to_owned(),
        causes: vec![cause],
        hint: "`safe-remove status` shows the stop orders in force",
    }
}

/// Only the tolerance of clocks is used here, and it is the same for all providers.
fn bounds(policies: &PolicySet) -> Bounds {
    match policies.fleet.provider.kind {
        ProviderKind::Simulated { .. } => Bounds::SIMULATED,
        ProviderKind::Aws { .. } => Bounds::AWS,
    }
}

/// The error if other orders are in force: a caller who took them for lifted would be wrong.
fn nothing_to_lift(policies: &Path, subsystem: Option<&SubsystemName>, record: &FleetRecord) -> OperationError {
    let mut message = match subsystem {
        Some(name) => format!("{name} is not halted by itself"),
        None => "the whole fleet is not halted".to_owned(),
    };
    let in_force: Vec<String> = record.halts.iter().map(ToString::to_string).collect();
    message.push_str(&format!("; in force: {}", in_force.join("; ")));
    let first = record.halts.first();
    let hint = first.map(|first| format!("to lift: {}", next::unhalt(policies, first.subsystem.as_ref())));
    OperationError::NoSuch { message, hint }
}
