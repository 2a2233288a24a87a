//! `safe-remove unhalt`: says who halted and why, asks why it may go on, and lifts what was shown.
//!
//! Who lifts what, and why, stands in a journal before anything is lifted. An order that came after the look stays in
//! force: nobody has read it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use crate::coordination::{self, Command, Context, FleetRecord, Halt, Refusal};
use crate::driver::{Unchanged, amend, record_alone};
use crate::model::{Bounds, OperatorId, SubsystemName};
use crate::output::{Place, StatusHalt, field};
use crate::policy::{PolicySet, ProviderKind};
use crate::ports::Written;
use crate::run::{EVENT_SCHEMA, JournalRecord, Past};

use super::args::Global;
use super::error::CommandError;
use super::screen::Screen;
use super::signals::Signals;
use super::site::Site;
use super::world::{self, LedgerReader};
use super::{Answered, Exit, next, process, prompt, selection, status};

/// Writes of others that may come first, one after the other.
const CONFLICTS: u32 = 200;

/// What was lifted.
#[derive(Debug, Serialize)]
struct Unhalted {
    #[serde(flatten)]
    place: Place,
    /// `None` is the whole fleet.
    subsystem: Option<SubsystemName>,
    /// Who lifted it.
    operator: OperatorId,
    /// Why.
    reason: String,
    /// The orders that were in force, and no longer are.
    lifted: Vec<StatusHalt>,
    /// Orders that still are.
    halts: Vec<StatusHalt>,
}

/// Look, show, ask why, record, lift.
pub(super) async fn run(
    global: &Global,
    subsystem: Option<&SubsystemName>,
    reason: Option<&str>,
    screen: &Arc<Screen>,
) -> Result<Answered, CommandError> {
    if reason.is_none() && !prompt::is_possible() {
        let hint = format!("say why it may go on: {}", next::unhalt(&global.policies, subsystem));
        return Err(CommandError::usage("--reason is missing, and there is no terminal to ask on", hint));
    }
    let site = Site::find(global)?;
    let reader = LedgerReader::open(&site.fleet, status::now(&site.fleet)).await?;
    let place = reader.place(&site.fleet.name, &site.directory, world::named_identity(&site.fleet));
    let (_, record) = reader.read().await?;
    let orders: Vec<Halt> = record.halts.iter().filter(|h| h.subsystem.as_ref() == subsystem).cloned().collect();
    if orders.is_empty() {
        return Err(nothing_to_lift(global, subsystem, &record));
    }
    let reason = match reason {
        Some(reason) => reason.to_owned(),
        None => ask(&orders, &place, screen).await?,
    };
    let by = process::operator(&place.provider);
    lift(&site.policies_to_put_back(&record), &record, &orders, &by, &reason).await?;

    let (_, record) = reader.read().await?;
    let unhalted = Unhalted {
        place,
        subsystem: subsystem.cloned(),
        operator: by,
        reason,
        lifted: orders.iter().map(StatusHalt::from).collect(),
        halts: record.halts.iter().map(StatusHalt::from).collect(),
    };
    let warnings: Vec<String> = site.warning().into_iter().collect();
    Answered::result(Exit::DONE, "unhalt", text(&unhalted, &warnings), &unhalted, &warnings)
}

/// Shows who halted and why, and asks why it may go on. Nothing typed is no reason.
async fn ask(orders: &[Halt], place: &Place, screen: &Arc<Screen>) -> Result<String, CommandError> {
    screen.stderr(&format!("{}\n{}\n", place.text(), shown(orders)));
    let mut signals = Signals::listen(screen).map_err(|e| CommandError::internal("signals cannot be heard", e))?;
    let reply = prompt::ask("Type why it may go on, nothing to leave it halted", &mut signals).await;
    match reply.typed() {
        Ok(reason) => Ok(reason),
        Err(why) => Err(CommandError::NotConfirmed { why: format!("{why}; it is still halted"), hint: None }),
    }
}

fn shown(orders: &[Halt]) -> String {
    status::halts_table(&orders.iter().map(StatusHalt::from).collect::<Vec<_>>())
}

/// First who lifts what and why, then the lifting: what is lifted is always explained.
async fn lift(
    policies: &Arc<PolicySet>,
    read: &FleetRecord,
    orders: &[Halt],
    by: &OperatorId,
    reason: &str,
) -> Result<(), CommandError> {
    let now = status::now(&policies.fleet);
    let identity = world::named_identity(&policies.fleet);
    let silent = BTreeSet::new();
    let context = Context { policies, identity: &identity, bounds: bounds(policies), now, silent: &silent, room: None };
    let decide = |record: &FleetRecord| {
        coordination::decide(record, &Command::Unhalt { orders }, &context).map(|(next, _)| (Some(next), ()))
    };
    // Refused where it can be told beforehand: the history is to show what was done.
    decide(read).map_err(refused)?;
    let ledger = world::writable_ledger(&policies.fleet, now).await?;
    let journal = JournalRecord {
        schema: EVENT_SCHEMA.to_owned(),
        run: selection::order_id(),
        seq: 0,
        at: now,
        event: Past::HaltLifted { orders: orders.to_vec(), operator: by.clone(), reason: reason.to_owned() },
    };
    match record_alone(ledger.as_ref(), &journal).await.map_err(CommandError::Ledger)? {
        Written::Acknowledged(()) => {}
        Written::Conflict => return Err(still_halted(Exit::LEDGER, "it cannot be recorded".to_owned())),
    }
    amend(ledger.as_ref(), CONFLICTS, decide).await.map_err(|why| match why {
        Unchanged::Refused(refusal) => refused(refusal),
        Unchanged::Busy(others) => still_halted(Exit::LEDGER, format!("{others} writes of others came first")),
        Unchanged::Lost(error) => CommandError::Ledger(error),
    })
}

fn refused(refusal: Refusal) -> CommandError {
    let exit = match &refusal {
        Refusal::Clock { .. } | Refusal::OtherFleet { .. } => Exit::FLEET_UNKNOWN,
        _ => Exit::REFUSED,
    };
    still_halted(exit, refusal.to_string())
}

fn still_halted(exit: Exit, cause: String) -> CommandError {
    CommandError::NotStarted {
        exit,
        message: "nothing was lifted".to_owned(),
        causes: vec![cause],
        hint: "safe-remove status shows the stop orders in force",
    }
}

/// Only the tolerance of clocks is asked of them, and that is the same everywhere.
fn bounds(policies: &PolicySet) -> Bounds {
    match policies.fleet.provider.kind {
        ProviderKind::Simulated { .. } => Bounds::SIMULATED,
        ProviderKind::Aws { .. } => Bounds::AWS,
    }
}

/// Exit 3, with what is in force.
fn nothing_to_lift(global: &Global, subsystem: Option<&SubsystemName>, record: &FleetRecord) -> CommandError {
    let mut message = match subsystem {
        Some(name) => format!("{name} is not halted by itself"),
        None => "the whole fleet is not halted".to_owned(),
    };
    let hint = match record.halts.first() {
        None => {
            message.push_str(": no stop order is in force");
            "safe-remove history shows who halted and who lifted it".to_owned()
        }
        Some(first) => {
            let in_force: Vec<String> = record.halts.iter().map(ToString::to_string).collect();
            message.push_str(&format!("; in force: {}", in_force.join("; ")));
            format!("to lift: {}", next::unhalt(&global.policies, first.subsystem.as_ref()))
        }
    };
    CommandError::NoSuch { message, hint: Some(hint) }
}

fn text(unhalted: &Unhalted, warnings: &[String]) -> String {
    let mut out = unhalted.place.text();
    for warning in warnings {
        out.push_str(&field("warning", warning));
    }
    out.push('\n');
    let scope = status::scope(unhalted.subsystem.as_ref());
    out.push_str(&field("lifted", &format!("{scope}, by {}: {}", unhalted.operator, unhalted.reason)));
    for halt in &unhalted.lifted {
        out.push_str(&field("was halted", &format!("since {}, by {}: {}", halt.at, halt.operator, halt.reason)));
    }
    if unhalted.halts.is_empty() {
        out.push_str("\nNo stop order is in force. Runs that were stopped do not go on by themselves.\n");
    } else {
        out.push_str("\nStill in force:\n");
        out.push_str(&status::halts_table(&unhalted.halts));
    }
    out
}
