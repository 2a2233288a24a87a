//! An adoption: puts the hosts that the policies select under this ledger, and makes the place of the ledger's file its
//! home where the file was moved on purpose. Also adopts for the first run of a simulated fleet.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::coordination::Command;
use crate::driver;
use crate::ledger::Displaced;
use crate::model::{Call, CallOutcome, FleetMark, GroupName, HostId, LedgerId, Nonce, OperatorId};
use crate::output::next;
use crate::ports::{Ledger, RecordedCall};
use crate::run::{EVENT_SCHEMA, Event, Failure, JournalRecord};

use super::environment::{self, Environment};
use super::error::{IMPORT, OperationError};
use super::frontend::{Frontend, Question};
use super::marks::Marks;
use super::{confirm, engines, ids, process};

/// How often the first run of a simulated fleet tries to mark it, and the wait between two attempts.
const MARK_ATTEMPTS: u32 = 5;
const MARK_PAUSE: Duration = Duration::from_secs(1);

/// The changes that an adoption made.
#[derive(Debug, Serialize)]
pub(crate) struct Adopted {
    pub(crate) ledger: LedgerId,
    pub(crate) by: OperatorId,
    pub(crate) reason: String,
    pub(crate) groups: BTreeSet<GroupName>,
    pub(crate) hosts: BTreeSet<HostId>,
    /// What must be told to the code that describes the fleet, so that the marks stay.
    #[serde(skip)]
    pub(crate) infrastructure_code: Option<&'static str>,
}

/// The result of an adoption.
#[derive(Debug)]
pub(crate) enum Adoption {
    /// Everything that the policies select is already under the ledger.
    Nothing(Adopted),
    /// The ledger governs these from now on. `moved` has the old and the new place of its file, if that was moved.
    Done { adopted: Adopted, moved: Option<Displaced> },
}

/// Observes, shows, asks for confirmation, observes again, makes the file the ledger's home, and marks.
///
/// # Errors
///
/// Nobody can be asked, or the answer is not the right one; the ledger or the fleet cannot be used.
pub(crate) async fn adopt(policies: &Path, reason: &str, frontend: &dyn Frontend) -> Result<Adoption, OperationError> {
    let moved = moved(policies)?;
    let environment = match moved {
        Some(_) => Environment::open_unchecked(policies).await?,
        None => Environment::open(policies).await?,
    };
    let by = process::operator(environment.fleet.identity());
    if !frontend.can_ask() {
        return Err(OperationError::NotConfirmed {
            why: "there is no terminal to ask on; nothing was touched".to_owned(),
            hint: Some("an adoption is confirmed by a person: run it on a terminal".to_owned()),
        });
    }
    let before = environment.observe_any_then_read().await?;
    let id = match moved {
        Some(_) => before.record.ledger.clone(),
        None => environment.writable_ledger().await?.read().await.map_err(OperationError::Ledger)?.1.ledger,
    };
    let marks = Marks::of(&environment, &before).other_than(&id);
    let adopted = || Adopted {
        infrastructure_code: environment.fleet.infrastructure_code(),
        ..Adopted::new(&id, &by, reason, &marks)
    };
    let other = before.record.is_of(environment.fleet.identity()).err();
    if marks.is_empty() && moved.is_none() && other.is_none() {
        return Ok(Adoption::Nothing(adopted()));
    }
    if !before.record.runs.is_empty() {
        frontend.note(&format!("warning: runs of this ledger are under way: {}", next::command(policies, "status")));
    }
    if let Some(other) = &other {
        // S3: the record's statements about the other fleet's hosts would be taken as statements about these.
        if !before.record.runs.is_empty() {
            return Err(OperationError::NotConfirmed {
                why: format!("{other}, and runs of that fleet are under way or hold hosts; nothing was touched"),
                hint: Some("end them from that fleet's policy directory first: safe-remove status".to_owned()),
            });
        }
        frontend.note(&format!(
            "warning: {other}. From now on it would be the ledger of the latter, and no longer of the former"
        ));
    }
    let place = environment.place();
    let question = Question::Adoption { place: &place, ledger: &id, moved: moved.as_ref(), marks: &marks };
    confirm::by_a_person(&question, "nothing was touched", frontend).await?;
    // A question may stay open for an hour, and on AWS the last mark wins.
    if Marks::of(&environment, &environment.observe_any_then_read().await?).other_than(&id) != marks {
        return Err(OperationError::NotConfirmed {
            why: "whose these are has changed since they were shown; nothing was touched".to_owned(),
            hint: Some("see what they bear now: run it again".to_owned()),
        });
    }
    // The ledger records who adopts and why before anything is marked.
    let call = call(&environment, &marks, &id);
    let nonce = Nonce::new(uuid::Uuid::new_v4().to_string());
    let record = match &moved {
        Some(moved) => rehome(&environment, adoption(&by, &of_a_move(reason, moved), &call), &nonce)?,
        None => adoption(&by, reason, &call),
    };
    let recorded = intend(environment.writable_ledger().await?.as_ref(), &record, &nonce).await?;
    if other.is_some() {
        // From now on the record belongs to this fleet.
        let ledger = environment.writable_ledger().await?;
        environment.change(ledger.as_ref(), &Command::Adopt, |why| unrecorded(Some(why))).await?;
    }
    if !marks.is_empty() {
        send(&environment, recorded).await?;
    }
    Ok(Adoption::Done { adopted: adopted(), moved })
}

/// The ledger's file, if it is not where it was and may have been moved on purpose.
fn moved(policies: &Path) -> Result<Option<Displaced>, OperationError> {
    let policies = environment::policies(policies)?;
    let displaced = engines::displaced(&policies.fleet.ledger.kind)?;
    match displaced {
        Some(displaced) if !displaced.may_be_moved => Err(OperationError::NotStarted {
            failure: Failure::Ledger,
            message: format!("the ledger {} was not moved, and cannot be adopted", displaced.is.display()),
            causes: vec![displaced.why],
            hint: IMPORT,
        }),
        displaced => Ok(displaced),
    }
}

fn of_a_move(reason: &str, moved: &Displaced) -> String {
    let was =
        moved.was.as_ref().map_or_else(|| "a place that is not known".to_owned(), |was| was.display().to_string());
    format!("{reason} (its file was moved from {was} to {})", moved.is.display())
}

/// Makes the file the ledger's home, and stores the record of who did that, from where, and what is marked next.
fn rehome(environment: &Environment, record: JournalRecord, nonce: &Nonce) -> Result<JournalRecord, OperationError> {
    let fleet = &environment.policies.fleet;
    engines::adopt(&fleet.ledger.kind, &fleet.name, &record, nonce).map(|()| record)
}

impl Adopted {
    fn new(ledger: &LedgerId, by: &OperatorId, reason: &str, marks: &Marks) -> Self {
        Self {
            ledger: ledger.clone(),
            by: by.clone(),
            reason: reason.to_owned(),
            groups: marks.groups.keys().cloned().collect(),
            hosts: marks.hosts.keys().cloned().collect(),
            infrastructure_code: None,
        }
    }
}

/// Appends who adopts what, and why, to a journal of its own. If that fails, nothing is marked (S5). A record that is
/// already there under this nonce is recognised.
async fn intend(ledger: &dyn Ledger, record: &JournalRecord, nonce: &Nonce) -> Result<RecordedCall, OperationError> {
    let recorded = driver::record_intent(ledger, record, nonce).await.map_err(OperationError::Ledger)?;
    recorded.ok_or_else(|| unrecorded(None))
}

fn unrecorded(cause: Option<String>) -> OperationError {
    OperationError::NotStarted {
        failure: Failure::Ledger,
        message: "the adoption cannot be recorded; nothing was marked".to_owned(),
        causes: cause.into_iter().collect(),
        hint: "try again",
    }
}

fn adoption(by: &OperatorId, reason: &str, call: &Call) -> JournalRecord {
    JournalRecord {
        schema: EVENT_SCHEMA.to_owned(),
        run: ids::adoption_id(),
        seq: 0,
        at: call.intent_at,
        event: Event::LedgerAdopted { operator: by.clone(), reason: reason.to_owned(), intent: call.clone() },
    }
}

/// Marks a fleet that has one mark as a whole, for its first run. A person must adopt every other fleet. `mark` is the
/// mark that the plan was made with.
///
/// Fifty first runs may do this at once. So each observes again after every mark that came too late or got no answer,
/// after the last one too: the mark may be there by then, set by this run or another.
pub(crate) async fn of_first_run(
    environment: &Environment,
    mark: &FleetMark,
    ledger: &dyn Ledger,
) -> Result<(), OperationError> {
    if *mark != FleetMark::Open {
        return Ok(());
    }
    let mut marked = Ok(());
    for attempt in 0..=MARK_ATTEMPTS {
        if attempt > 0 {
            environment.clock.sleep_until(environment.clock.now().plus(MARK_PAUSE)).await;
        }
        let observation = environment.observe_then_read().await?;
        if observation.snapshot.mark != FleetMark::Open {
            // This ledger's mark or another's: the grant judges that.
            return Ok(());
        }
        if attempt == MARK_ATTEMPTS {
            break;
        }
        let id = ledger.read().await.map_err(OperationError::Ledger)?.1.ledger;
        let marks = Marks::of(environment, &observation).other_than(&id);
        let call = call(environment, &marks, &id);
        // S5: a ledger that may govern hosts records that; otherwise it would be taken for one in which nothing has
        // happened.
        let by = process::operator(environment.fleet.identity());
        let record = adoption(&by, "the first run of this fleet", &call);
        let recorded = intend(ledger, &record, &Nonce::new(uuid::Uuid::new_v4().to_string())).await?;
        marked = send(environment, recorded).await;
        if marked.is_ok() {
            return Ok(());
        }
    }
    marked
}

fn call(environment: &Environment, marks: &Marks, id: &LedgerId) -> Call {
    let intent_at = environment.clock.now();
    Call { effect: marks.effect(id), intent_at, not_after: intent_at.plus(environment.fleet.bounds().call_life) }
}

/// Sends the call. Marking twice does no harm, and the next observation shows a mark that was in doubt.
async fn send(environment: &Environment, recorded: RecordedCall) -> Result<(), OperationError> {
    let (message, hint) = match driver::send(environment.fleet.as_ref(), recorded).await {
        CallOutcome::Done => return Ok(()),
        CallOutcome::Refused { message, .. } => {
            (message, "the provider refused the mark: correct that, then try again")
        }
        CallOutcome::Unknown { message } => {
            (message, "some marks may be there: run it again, it marks what is missing")
        }
    };
    Err(OperationError::NotStarted {
        failure: Failure::FleetUnknown,
        message: "the hosts cannot be put under the ledger; no host was touched".to_owned(),
        causes: vec![message],
        hint,
    })
}
