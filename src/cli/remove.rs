//! The removal: plan, confirm, run.
//!
//! Up to the confirmation nothing is touched and nothing is written, the ledger included.

use std::sync::Arc;

use crate::coordination::RunIdentity;
use crate::driver::{self, Ended, StopSignal, stop_signal};
use crate::model::{RunId, Time};
use crate::output::{ProgressScreen, field, plan_text, span_text};
use crate::plan::{Confirmation, Confirmed, Plan, PlanDocument, Request, Selection, Verdict};
use crate::run::{JournalRecord, NotStarted, Spec, next_epoch};

use super::args::{Global, RemovalArgs};
use super::earlier::Earlier;
use super::error::{CommandError, Complaint};
use super::exit::Exit;
use super::prompt;
use super::screen::Screen;
use super::signals::Signals;
use super::world::{Seen, World};
use super::{Answered, earlier, ledger, plan, process, refusal, report, selection, takeover};

/// Resolve, look, plan, ask, run, report.
pub(super) async fn run(global: &Global, args: &RemovalArgs, screen: &Arc<Screen>) -> Result<Answered, CommandError> {
    let request = selection::request(&args.selection)?;
    if args.dry_run {
        return plan::run(global, &args.selection).await;
    }
    let world = World::open(global).await?;

    // A retried call reports the first run, whatever has become of policies, fleet and budgets since.
    let (run, mut prior) = match earlier::look(&world, &request, global, screen).await? {
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
        let confirmed = match confirm(plan, args, &seen, &world, &mut signals, screen).await {
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
                match earlier::of_run(&world, &run, screen, &mut stop).await? {
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

/// Why a plan was not confirmed.
enum Unconfirmed {
    /// Nobody could be asked, or the answer was not the answer.
    Unanswered { why: String, hint: Option<String> },
    /// The plan expired while somebody thought about it.
    Stale,
}

/// Shows the plan and asks, unless `--yes` is enough.
async fn confirm(
    plan: Plan,
    args: &RemovalArgs,
    seen: &Seen,
    world: &World,
    signals: &mut Signals,
    screen: &Screen,
) -> Result<Confirmed, Unconfirmed> {
    screen.stderr(&plan_text(&plan.document, &world.place(), None));
    let hosts: u64 = plan.document.batches.iter().map(|batch| batch.hosts.len() as u64).sum();
    let settings = &plan.settings;
    if args.yes && hosts <= settings.unattended_max && !settings.unusual {
        screen.note(&format!("confirmed by --yes: {hosts} of at most {} hosts", plan.settings.unattended_max));
        return permit(plan, Confirmation::Unattended, world.clock.now());
    }
    if !prompt::is_possible() {
        let why = match (args.yes, plan.settings.unusual) {
            (true, true) => "the count is unusual: --yes is not enough, and there is no terminal to ask on".to_owned(),
            (true, false) => format!(
                "--yes is enough for {} hosts, not for {hosts}, and there is no terminal to ask on",
                plan.settings.unattended_max
            ),
            (false, _) => "there is no terminal to ask on".to_owned(),
        };
        let hint = if plan.settings.unattended_max == 0 || plan.settings.unusual {
            "run it on a terminal: the policies do not allow this unattended".to_owned()
        } else {
            format!("run it on a terminal, or remove at most {} hosts with --yes", plan.settings.unattended_max)
        };
        return Err(Unconfirmed::Unanswered { why, hint: Some(hint) });
    }
    let answer = plan.prompt_answer();
    screen.stderr(&question(&plan, seen.now));
    let reply = prompt::ask(&format!("Type {answer} to remove {hosts} hosts, anything else to stop"), signals).await;
    if let Err(why) = reply.is(&answer) {
        return Err(Unconfirmed::Unanswered { why, hint: None });
    }
    permit(plan, Confirmation::Typed(answer), world.clock.now())
}

fn permit(plan: Plan, how: Confirmation, now: Time) -> Result<Confirmed, Unconfirmed> {
    if now > plan.document.expires_at {
        return Err(Unconfirmed::Stale);
    }
    plan.confirm(how, now).map_err(|why| Unconfirmed::Unanswered { why: why.to_string(), hint: None })
}

/// What somebody should know who is about to answer.
fn question(plan: &Plan, now: Time) -> String {
    let mut text = String::new();
    let end = expected_end(plan, now);
    text.push_str(&field("expected", &format!("ends about {end}, in {}", span_text(end.since(now)))));
    if plan.settings.unusual {
        text.push_str(&field("unusual", "far more than was removed in the last 90 days: look twice"));
    }
    text
}

/// When the run would end if nothing goes wrong and the provider takes no time.
fn expected_end(plan: &Plan, now: Time) -> Time {
    let settings = &plan.settings;
    let batches = u32::try_from(plan.document.batches.len()).unwrap_or(u32::MAX);
    let reference = settings.every.saturating_mul(2);
    let work = settings.bake.saturating_mul(batches);
    let pauses = settings.interval.saturating_mul(batches.saturating_sub(1));
    let end = now.plus(reference).plus(work).plus(pauses);
    // A budget holds up the last batch, not what comes before it.
    plan.document.not_before.map_or(end, |at| end.max(at.plus(settings.bake)))
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
            hint: "synchronise this machine's clock and try again",
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
