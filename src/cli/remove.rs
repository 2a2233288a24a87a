//! The removal: plan, confirm, run.
//!
//! Up to the confirmation nothing is touched and nothing is written, the ledger included.

use std::sync::Arc;

use crate::coordination::RunIdentity;
use crate::driver::{self, Ended, StopSignal, stop_signal};
use crate::model::{RunId, Time};
use crate::output::{ProgressScreen, span_text};
use crate::plan::{Confirmed, PlanDocument, Request, Selection, Verdict};
use crate::run::{JournalRecord, NotStarted, Spec, next_epoch};

use super::args::{Global, RemovalArgs};
use super::confirm::{self, Ask, Unconfirmed};
use super::earlier::Earlier;
use super::error::{CommandError, Complaint};
use super::exit::Exit;
use super::going_on::Terms;
use super::screen::Screen;
use super::signals::Signals;
use super::world::World;
use super::{Answered, earlier, ledger, plan, process, refusal, report, selection, takeover};

/// Resolve, look, plan, ask, run, report.
pub(super) async fn run(global: &Global, args: &RemovalArgs, screen: &Arc<Screen>) -> Result<Answered, CommandError> {
    let request = selection::request(&args.selection)?;
    if args.dry_run {
        return plan::run(global, &args.selection).await;
    }
    let world = World::open(global).await?;

    // A retried call reports the first run, whatever has become of policies, fleet and budgets since.
    let (run, mut prior) = match earlier::look(&world, &request, args.yes, global, screen).await? {
        Earlier::Answered(answer) => return Ok(answer),
        Earlier::New { run, prior } => (run, prior),
    };
    let (orders, mut stop) = stop_signal();
    let mut orders = Some(orders);
    let mut until = None;
    for tried in 1.. {
        let mut seen = world.look().await?;
        let plan = world.plan(&request, &mut seen).await?;
        if plan.document.verdict == Verdict::Refused {
            return match world.is_race(&request, &seen, &plan)? {
                true => plan::taken(&plan.document, &world.place()),
                false => plan::refused(global, &plan.document, &world.place()),
            };
        }
        if let Some(answer) = deferred(&plan.document, args, seen.now, &world)? {
            return Ok(answer);
        }
        let document = plan.document.clone();
        let until = *until.get_or_insert(document.expires_at);
        let mut signals = Signals::listen(screen).map_err(|e| CommandError::internal("signals cannot be heard", e))?;
        let ask = Ask {
            place: &world.place(),
            now: seen.now,
            clock: world.clock.as_ref(),
            yes: args.yes,
            act: "remove",
            otherwise: "to stop",
            unattended: "remove at most",
        };
        let confirmed = match confirm::confirm(plan, &ask, &mut signals, screen).await {
            Ok(confirmed) => confirmed,
            Err(why) => return not_confirmed(&why, &document, &world, global),
        };
        let may_plan_again = confirmed.is_unattended() && matches!(request.selection, Selection::Count(_));
        // Once: orders that come while it is planned again are heard by the next run.
        if let Some(orders) = orders.take() {
            tokio::spawn(signals.forward(orders));
        }
        let epoch = next_epoch(&prior, &seen.record, &run);
        let attempt = Attempt { run: run.clone(), epoch, prior, confirmed };
        match perform(&world, &request, attempt, args, screen, &mut stop).await? {
            Ok(ended) => return report::ended(&world, &ended, screen),
            Err(NotStarted::Consumed { run }) => {
                let (journal, _) = takeover::look(&world, &run).await?;
                if !earlier::is_same_request(&journal, &request) {
                    let violation = refusal::request_id(&document, &run);
                    return plan::refused(global, &refusal::with(&document, vec![violation]), &world.place());
                }
                let terms = Terms { yes: args.yes, reason: request.reason.clone() };
                match earlier::of_run(&world, &run, &terms, screen, &mut stop).await? {
                    Earlier::Answered(answer) => return Ok(answer),
                    Earlier::New { prior: journal, .. } => prior = journal,
                }
            }
            Err(NotStarted::TakenByOthers(taken)) if may_plan_again && tried < RACES && world.clock.now() < until => {
                // S8: nothing of the lost plan is kept. What is left is judged as from the start.
                let why = taken.first().map_or("another run was first", |violation| violation.message.as_str());
                screen.note(&format!("{why}: planning again with what is left"));
                driver::pause_for(tried).await;
                prior = takeover::look(&world, &run).await?.0;
            }
            Err(why) => return not_started(&why, &document, &world, global, args),
        }
    }
    Err(CommandError::internal("planning again has no end", "a bug"))
}

/// How often an unattended count is planned, where others are faster each time. Fifty that start at once are served in far
/// fewer.
const RACES: u32 = 20;

/// Exit 11, where a wait that is known beforehand is longer than the caller wants.
fn deferred(
    plan: &PlanDocument,
    args: &RemovalArgs,
    now: Time,
    world: &World,
) -> Result<Option<Answered>, CommandError> {
    match plan.not_before {
        Some(at) if at.since(now) > args.patience() => {
            let complaint = waiting(at, now, args.no_wait);
            Ok(Some(plan::answer(Exit::DEFERRED, plan, &world.place(), None)?.complaining(complaint)))
        }
        _ => Ok(None),
    }
}

fn waiting(until: Time, now: Time, no_wait: bool) -> Complaint {
    let left = span_text(until.since(now));
    let message = format!("a budget asks to wait until {until} ({left}); nothing was touched");
    let hint = if no_wait {
        "repeat the command then, with the same request id, or leave out --no-wait".to_owned()
    } else {
        format!(
            "repeat the command then, with the same request id, or give --max-wait {}s",
            until.since(now).as_secs() + 1
        )
    };
    Complaint::new(message).hint(hint)
}

fn not_confirmed(
    why: &Unconfirmed,
    plan: &PlanDocument,
    world: &World,
    global: &Global,
) -> Result<Answered, CommandError> {
    match why {
        Unconfirmed::Unanswered { why, hint } => {
            let mut complaint = Complaint::new(format!("not confirmed: {why}; nothing was touched"));
            complaint.hint.clone_from(hint);
            Ok(plan::answer(Exit::NOT_CONFIRMED, plan, &world.place(), None)?.complaining(complaint))
        }
        Unconfirmed::Stale => {
            let plan = refusal::with(plan, vec![refusal::stale(plan)]);
            plan::refused(global, &plan, &world.place())
        }
    }
}

/// One try at a run.
struct Attempt {
    run: RunId,
    epoch: u64,
    /// What its journal has of earlier ones, which took nothing.
    prior: Vec<JournalRecord>,
    confirmed: Confirmed,
}

/// Runs the confirmed plan to its end.
async fn perform(
    world: &World,
    request: &Request,
    attempt: Attempt,
    args: &RemovalArgs,
    screen: &Arc<Screen>,
    stop: &mut StopSignal,
) -> Result<Result<Ended, NotStarted>, CommandError> {
    let ledger = world.writable_ledger().await?;
    let Attempt { run, epoch, prior, confirmed } = attempt;
    let document = confirmed.document();
    ledger::of_first_run(world, ledger.as_ref()).await?;
    let identity = RunIdentity {
        run,
        epoch,
        process: process::this_process(),
        operator: process::operator(world.fleet.identity()),
        subsystem: request.subsystem.clone(),
        watched: document.watched.iter().cloned().collect(),
        plan: document.plan.clone(),
        expect_remaining: request.expect_remaining,
    };
    let spec = Spec {
        identity,
        confirmed,
        policies: Arc::clone(&world.policies),
        fleet: world.fleet.identity().clone(),
        bounds: world.fleet.bounds(),
        max_wait: args.patience(),
        prior,
    };
    let places = world.places(ledger);
    let events = Arc::clone(screen);
    let progress =
        ProgressScreen::new(Arc::clone(&world.clock), screen.is_quiet(), Box::new(move |record| events.event(record)));
    Ok(driver::execute(&places, spec, &progress, stop).await)
}

/// Nothing was touched: which code says why.
fn not_started(
    why: &NotStarted,
    document: &PlanDocument,
    world: &World,
    global: &Global,
    args: &RemovalArgs,
) -> Result<Answered, CommandError> {
    let place = world.place();
    match why {
        NotStarted::Rules(violations) => plan::refused(global, &refusal::with(document, violations.clone()), &place),
        NotStarted::Consumed { run } => Err(CommandError::NotStarted {
            exit: Exit::LEDGER,
            message: format!("another process has begun run {run}; this one sent nothing"),
            causes: Vec::new(),
            hint: "safe-remove status shows it",
        }),
        NotStarted::OtherFleet(message) => Err(CommandError::NotStarted {
            exit: Exit::FLEET_UNKNOWN,
            message: "the ledger is of another fleet; nothing was touched".to_owned(),
            causes: vec![message.clone()],
            hint: "use the policy directory of that fleet",
        }),
        NotStarted::Deferred { until, why } => {
            let mut document = document.clone();
            document.not_before = Some(*until);
            let mut complaint = waiting(*until, world.clock.now(), args.no_wait);
            complaint.causes.push(why.clone());
            Ok(plan::answer(Exit::DEFERRED, &document, &place, None)?.complaining(complaint))
        }
        NotStarted::TakenByOthers(violations) => Err(CommandError::NotStarted {
            exit: Exit::LEDGER,
            message: "another run was first since the plan was made; nothing was touched".to_owned(),
            causes: violations.iter().map(|violation| violation.message.clone()).collect(),
            hint: "safe-remove status names the other run; repeat the command when it has ended",
        }),
        NotStarted::TakenOver(message) => Err(CommandError::NotStarted {
            exit: Exit::LEDGER,
            message: "another process has this run; this one sent nothing".to_owned(),
            causes: vec![message.clone()],
            hint: "safe-remove status names the process that has it",
        }),
        NotStarted::Ledger(message) => Err(CommandError::NotStarted {
            exit: Exit::LEDGER,
            message: "the ledger cannot be used; nothing was touched".to_owned(),
            causes: vec![message.clone()],
            hint: "correct what is said above, permissions or `[ledger]` in fleet.toml, then try again",
        }),
        NotStarted::Blind(message) => Err(CommandError::NotStarted {
            exit: Exit::FLEET_UNKNOWN,
            message: "the state of the fleet cannot be established; nothing was touched".to_owned(),
            causes: vec![message.clone()],
            hint: "try again; if it persists, somebody must look at the provider",
        }),
        NotStarted::Clock(message) => Err(CommandError::NotStarted {
            exit: Exit::FLEET_UNKNOWN,
            message: "the clocks disagree; nothing was touched".to_owned(),
            causes: vec![message.clone()],
            hint: "synchronise this machine's clock and try again; where that is right: safe-remove ledger set-time",
        }),
        NotStarted::Halted(order) => Err(CommandError::NotStarted {
            exit: Exit::HALTED,
            message: "halted before the first host was touched".to_owned(),
            causes: vec![order.clone()],
            hint: "safe-remove status shows the stop orders in force",
        }),
        NotStarted::Ordered(order) => Err(CommandError::NotStarted {
            exit: Exit::HALTED,
            message: format!("{order} before the first host was touched"),
            causes: Vec::new(),
            hint: "nothing needs to be done",
        }),
    }
}
