//! The removal: plan, confirm, run.
//!
//! Up to the confirmation nothing is touched and nothing is written, not even the ledger.

use std::path::Path;
use std::sync::Arc;

use crate::coordination::RunIdentity;
use crate::driver::{self, Ended, StopSignal, stop_signal};
use crate::model::{FleetMark, RunId};
use crate::plan::{Confirmed, PlanDocument, Selection, Verdict};
use crate::run::{Failure, JournalRecord, NotStarted, Spec, next_epoch};

use super::adopt;
use super::confirm::{self, Ask, Unconfirmed};
use super::environment::Environment;
use super::error::OperationError;
use super::frontend::{Frontend, Part};
use super::idempotency::{self, Repeated};
use super::plan::{Because, PlanAnswer};
use super::remainder::Terms;
use super::removal::{Removal, Removed};
use super::{process, refusal, report, way_back};

/// How often an unattended count is planned, where other runs are faster each time. Fifty that start at once need far
/// fewer.
const RACES: u32 = 20;

/// Opens what the policies name, observes, plans, asks, runs, and reports.
///
/// # Errors
///
/// Whatever prevents a plan, or prevents the run from touching its first host. Nothing was touched then.
pub(crate) async fn remove(
    policies: &Path,
    removal: &Removal,
    frontend: &dyn Frontend,
) -> Result<Removed, OperationError> {
    let request = &removal.request;
    let environment = Environment::open(policies).await?.proving(removal.prove);
    let not = |answer: PlanAnswer| Ok(Removed::Not(Box::new(answer)));

    // A retried call reports the first run, whatever has changed in policies, fleet and budgets since.
    let (run, mut prior) = match idempotency::find(&environment, removal, frontend).await? {
        Repeated::Answered(answer) => return Ok(answer),
        Repeated::New { run, prior } => (run, prior),
    };
    let (orders, mut stop) = stop_signal();
    let mut orders = Some(orders);
    let mut until = None;
    for tried in 1.. {
        let mut observation = environment.observe_then_read().await?;
        let mut plan = environment.plan(request, &mut observation).await?;
        plan.settings.between_batches |= removal.step;
        if plan.document.verdict == Verdict::Refused {
            let race = environment.is_race(request, &observation, &plan)?;
            let because = if race { Because::TakenByOthers } else { Because::Refused };
            return not(PlanAnswer::new(&environment, plan.document, because));
        }
        // The known wait is longer than the caller allows.
        if let Some(at) = plan.document.not_before.filter(|at| at.since(observation.now) > removal.max_wait) {
            let because = Because::Deferred { until: at, now: observation.now, why: None };
            return not(PlanAnswer::new(&environment, plan.document, because));
        }
        let document = plan.document.clone();
        let until = *until.get_or_insert(document.expires_at);
        let mut heard = frontend.listen().map_err(|e| OperationError::internal("signals cannot be heard", e))?;
        let ask = Ask {
            place: &environment.place(),
            now: observation.now,
            clock: environment.clock.as_ref(),
            yes: removal.yes,
            part: Part::Whole,
        };
        let confirmed = match confirm::confirm(plan, &ask, &mut heard, frontend).await {
            Ok(confirmed) => confirmed,
            Err(Unconfirmed::Stale) => {
                return not(PlanAnswer::refused(
                    &environment,
                    &document,
                    vec![refusal::stale(&document, "make it again")],
                ));
            }
            Err(Unconfirmed::Unanswered { why, hint }) => {
                return not(PlanAnswer::new(&environment, document, Because::Unconfirmed { why, hint }));
            }
        };
        let may_plan_again = confirmed.is_unattended() && matches!(request.selection, Selection::Count(_));
        // Only once: orders that arrive while it plans again reach the next run.
        if let Some(orders) = orders.take() {
            tokio::spawn(heard.forward(orders));
        }
        // S7: with the caller's permissions, before anything is written.
        let missing = way_back::missing(&environment, &document, &observation.snapshot).await?;
        if !missing.is_empty() {
            return not(PlanAnswer::refused(&environment, &document, missing).confirmed());
        }
        let epoch = next_epoch(&prior, &observation.record, &run);
        let attempt = Attempt { run: run.clone(), epoch, prior, confirmed, mark: observation.snapshot.mark.clone() };
        match perform(&environment, removal, attempt, frontend, &mut stop).await? {
            Ok(ended) => return Ok(Removed::Ran(Box::new(report::ended(&environment, &ended, frontend)))),
            Err(NotStarted::Consumed { run }) => {
                let (journal, _) = environment.read_run(&run).await?;
                if !idempotency::is_same_request(&journal, request) {
                    let violation = refusal::request_id(&document, &run);
                    return not(PlanAnswer::refused(&environment, &document, vec![violation]).confirmed());
                }
                let terms = Terms { yes: removal.yes, reason: request.reason.clone() };
                match idempotency::of_run(&environment, &run, &terms, frontend, &mut stop).await? {
                    Repeated::Answered(answer) => return Ok(answer),
                    Repeated::New { prior: journal, .. } => prior = journal,
                }
            }
            Err(NotStarted::TakenByOthers(taken))
                if may_plan_again && tried < RACES && environment.clock.now() < until =>
            {
                // S8: nothing of the lost plan is kept. The rest is judged as from the start.
                let why = taken.first().map_or("another run was first", |violation| violation.message.as_str());
                frontend.note(&format!("{why}: planning again with what is left"));
                driver::pause_for(tried).await;
                prior = environment.read_run(&run).await?.0;
            }
            Err(why) => {
                return not_started(&why, &document, &environment).map(|no| Removed::Not(Box::new(no.confirmed())));
            }
        }
    }
    Err(OperationError::internal("planning again has no end", "a bug"))
}

/// One attempt at a run.
struct Attempt {
    run: RunId,
    epoch: u64,
    /// What its journal has of earlier attempts, which took nothing.
    prior: Vec<JournalRecord>,
    confirmed: Confirmed,
    /// The mark that the fleet had when it was planned.
    mark: FleetMark,
}

/// Runs the confirmed plan until the run ends.
async fn perform(
    environment: &Environment,
    removal: &Removal,
    attempt: Attempt,
    frontend: &dyn Frontend,
    stop: &mut StopSignal,
) -> Result<Result<Ended, NotStarted>, OperationError> {
    let ledger = environment.writable_ledger().await?;
    let Attempt { run, epoch, prior, confirmed, mark } = attempt;
    let document = confirmed.document();
    adopt::of_first_run(environment, &mark, ledger.as_ref()).await?;
    let identity = RunIdentity {
        run,
        epoch,
        process: process::this_process(),
        operator: process::operator(environment.fleet.identity()),
        subsystem: removal.request.subsystem.clone(),
        watched: document.watched.iter().cloned().collect(),
        plan: document.plan.clone(),
        expect_remaining: removal.request.expect_remaining,
    };
    let spec = Spec {
        identity,
        confirmed,
        policies: Arc::clone(&environment.policies),
        fleet: environment.fleet.identity().clone(),
        bounds: environment.fleet.bounds(),
        credentials_end: environment.credentials_end().await,
        resume_by_hand: environment.fleet.resume_by_hand(),
        max_wait: removal.max_wait,
        hook_wait: removal.max_wait,
        pause_after: removal.pause_after,
        attended: frontend.stays(),
        prior,
    };
    frontend.note(&format!("run {} begins", spec.identity.run));
    let ports = environment.ports(ledger);
    let watcher = frontend.watcher(Arc::clone(&environment.clock), environment.place());
    Ok(driver::execute(&ports, spec, watcher.as_ref(), stop).await)
}

/// Nothing was touched. Returns a plan that is refused or deferred, or the error that prevented the run.
fn not_started(
    why: &NotStarted,
    document: &PlanDocument,
    environment: &Environment,
) -> Result<PlanAnswer, OperationError> {
    match why {
        NotStarted::Rules(violations) => Ok(PlanAnswer::refused(environment, document, violations.clone())),
        NotStarted::Consumed { run } => Err(OperationError::NotStarted {
            failure: Failure::Ledger,
            message: format!("another process has begun run {run}; this one sent nothing"),
            causes: Vec::new(),
            hint: "`safe-remove status` shows it",
        }),
        NotStarted::OtherFleet(message) => Err(OperationError::NotStarted {
            failure: Failure::FleetUnknown,
            message: "the ledger is of another fleet; nothing was touched".to_owned(),
            causes: vec![message.clone()],
            hint: "use the policy directory of that fleet",
        }),
        NotStarted::Deferred { until, why } => {
            let mut document = document.clone();
            document.not_before = Some(*until);
            let because = Because::Deferred { until: *until, now: environment.clock.now(), why: Some(why.clone()) };
            Ok(PlanAnswer::new(environment, document, because))
        }
        NotStarted::TakenByOthers(violations) => Err(OperationError::NotStarted {
            failure: Failure::Ledger,
            message: "another run was first since the plan was made; nothing was touched".to_owned(),
            causes: violations.iter().map(|violation| violation.message.clone()).collect(),
            hint: "`safe-remove status` names the other run; repeat the command when it has ended",
        }),
        NotStarted::TakenOver(message) => Err(OperationError::NotStarted {
            failure: Failure::Ledger,
            message: "another process has this run; this one sent nothing".to_owned(),
            causes: vec![message.clone()],
            hint: "`safe-remove status` names the process that has it",
        }),
        NotStarted::Ledger(message) => Err(OperationError::NotStarted {
            failure: Failure::Ledger,
            message: "the ledger cannot be used; nothing was touched".to_owned(),
            causes: vec![message.clone()],
            hint: "correct what is said above, permissions or `[ledger]` in fleet.toml, then try again",
        }),
        NotStarted::Blind(message) => Err(OperationError::NotStarted {
            failure: Failure::FleetUnknown,
            message: "the state of the fleet cannot be established; nothing was touched".to_owned(),
            causes: vec![message.clone()],
            hint: "try again; if it persists, somebody must look at the provider",
        }),
        NotStarted::Clock(message) => Err(OperationError::NotStarted {
            failure: Failure::FleetUnknown,
            message: "the clocks disagree; nothing was touched".to_owned(),
            causes: vec![message.clone()],
            hint: "synchronise this machine's clock and try again; where that is right: safe-remove ledger set-time --reason TEXT",
        }),
        NotStarted::Halted(order) => Err(OperationError::NotStarted {
            failure: Failure::Halted,
            message: "halted before the first host was touched".to_owned(),
            causes: vec![order.clone()],
            hint: "`safe-remove status` shows the stop orders in force",
        }),
        NotStarted::Ordered(order) => Err(OperationError::NotStarted {
            failure: Failure::Halted,
            message: format!("{order} before the first host was touched"),
            causes: Vec::new(),
            hint: "nothing needs to be done",
        }),
    }
}
