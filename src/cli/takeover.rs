//! `safe-remove resume` and `safe-remove abandon`: somebody takes over a run whose process died. Also what a retried
//! call with the request id of such a run does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::coordination::{FleetRecord, ProcessId};
use crate::driver::{self, Claim, StopSignal, Taken, Untaken, stop_signal};
use crate::model::{HostId, RunId};
use crate::output::{ProgressScreen, hosts_text, span_text};
use crate::run::{
    self, JournalRecord, NotStarted, Purpose, RunDocument, Standing, Successor, quiet_from, silent_from, standing,
};

use super::args::Global;
use super::error::CommandError;
use super::going_on::{self, Terms};
use super::screen::Screen;
use super::signals::Signals;
use super::site::Site;
use super::world::{self, World};
use super::{Answered, Exit, late, next, process, report, status};

/// What was asked for.
pub(super) struct Asked {
    /// How long the journal was by which it was judged whether the process lives.
    pub(super) seen: usize,
    pub(super) purpose: Purpose,
    pub(super) reason: Option<String>,
    pub(super) leave: BTreeSet<HostId>,
    pub(super) even_if_alive: bool,
    /// `--yes`, of a run that is resumed.
    pub(super) yes: bool,
}

/// A run whose end the record was not told.
#[derive(Debug, Serialize)]
struct Closed {
    run: RunId,
    ended: Option<RunDocument>,
}

/// Hosts that a person gave up.
#[derive(Debug, Serialize)]
struct Released {
    run: RunId,
    released: Vec<HostId>,
}

/// Look, check, take over, go on, report.
pub(super) async fn run(
    global: &Global,
    run: &RunId,
    mut asked: Asked,
    screen: &Arc<Screen>,
) -> Result<Answered, CommandError> {
    let world = match asked.purpose {
        Purpose::Resume => World::open(global).await,
        // It goes nowhere but back: that must not wait for somebody who mends a policy.
        Purpose::Abandon => Site::find(global)?.world_to_put_back(screen).await,
    };
    let world = world.map_err(|error| late::with_what_is_kept(error, global, Some(run)))?;
    let (journal, record) = look(&world, run).await?;
    // S3: before anything is written, a fence least of all.
    record.is_of(world.fleet.identity()).map_err(world::other_fleet)?;
    asked.seen = journal.len();
    if standing(&journal, &record, run) == Standing::Unknown
        && let Some(lost) = late::known_here_only(&world.policies.fleet, run)
    {
        return Err(lost);
    }
    late::tell(&world, run, &journal, screen).await?;
    is_permitted(&world, run, &journal, &record, &asked).await?;

    let mut signals = Signals::listen(screen).map_err(|e| CommandError::internal("signals cannot be heard", e))?;
    if asked.purpose == Purpose::Resume {
        let terms = Terms { yes: asked.yes, reason: asked.reason.clone() };
        let no = going_on::unconfirmed(&world, run, &journal, &record, &terms, &mut signals, screen).await?;
        if let Some(no) = no {
            return Ok(no);
        }
    }
    let (orders, mut stop) = stop_signal();
    tokio::spawn(signals.forward(orders));
    let quiet_at = quiet_from(&journal, world.fleet.bounds());
    let left = quiet_at.since(world.clock.now());
    if !left.is_zero() {
        screen.note(&format!(
            "taking over run {run}: nothing goes forward and nothing is released before {quiet_at} ({}), when the last \
             call of its earlier process is out of reach",
            span_text(left)
        ));
    }
    let abandons = asked.purpose == Purpose::Abandon;
    match take(&world, run, asked, screen, &mut stop).await? {
        Ok(Went::On(ended)) if abandons => report::abandoned(&world, &ended, screen),
        Ok(Went::On(ended)) => report::ended(&world, &ended, screen),
        Ok(Went::Over(document)) => report::of(&document, &world.policies.directory),
        Ok(Went::Closed) => {
            let journal = world.ledger.journals().journal(run).await.map_err(CommandError::Ledger)?;
            if let Some(document) = run::report(&journal).filter(|_| !abandons) {
                return report::of(&document, &world.policies.directory);
            }
            let text = format!("Run {run} had ended, and its process died before the ledger was told: now it was.\n");
            let result = Closed { run: run.clone(), ended: run::report(&journal) };
            Answered::result(Exit::DONE, "abandon", text, &result, &[])
        }
        Ok(Went::Released(released)) => {
            let text = format!(
                "The journal of run {run} is lost. It no longer holds {}.\n",
                hosts_text(&released, usize::MAX)
            );
            let result = Released { run: run.clone(), released };
            Answered::result(Exit::DONE, "abandon", text, &result, &[])
        }
        Err(why) => Err(not_taken(run, &why)),
    }
}

/// The journal and then the record: a run that ends in between is seen to have ended.
pub(super) async fn look(world: &World, run: &RunId) -> Result<(Vec<JournalRecord>, FleetRecord), CommandError> {
    let journal = world.ledger.journals().journal(run).await.map_err(CommandError::Ledger)?;
    let (_, record) = world.ledger.read().await?;
    Ok((journal, record))
}

/// The process that acts for a run: by the record, else by the journal's last word of it.
pub(super) fn actor<'a>(journal: &'a [JournalRecord], record: &'a FleetRecord, run: &RunId) -> Option<&'a ProcessId> {
    record.runs.get(run).map(|entry| &entry.process).or_else(|| run::actor(journal))
}

/// Whether the run can be taken over, by this order.
async fn is_permitted(
    world: &World,
    run: &RunId,
    journal: &[JournalRecord],
    record: &FleetRecord,
    asked: &Asked,
) -> Result<(), CommandError> {
    let held: BTreeSet<&HostId> = record.runs.get(run).map(|entry| entry.holds.keys().collect()).unwrap_or_default();
    match standing(journal, record, run) {
        Standing::Unknown => return Err(status::no_such_run(run, record, &world.ledger).await),
        Standing::Ended => return Err(not_taken(run, &Untaken::Over(Standing::Ended))),
        Standing::Lost if asked.purpose == Purpose::Resume => {
            return Err(CommandError::NotTaken {
                message: format!("the journal of run {run} is lost: nobody knows what to go on with"),
                causes: Vec::new(),
                hint: Some(format!(
                    "to end it in the ledger: {}",
                    next::command(&world.policies.directory, &format!("abandon {run}"))
                )),
            });
        }
        // Its process said its last word.
        Standing::Holding | Standing::Unclosed => {}
        Standing::UnderWay | Standing::Unlisted | Standing::Lost => is_dead(world, run, journal, record, asked)?,
    }
    if let Some(stranger) = asked.leave.iter().find(|host| !held.contains(host)) {
        return Err(CommandError::NotTaken {
            message: format!("run {run} does not hold host {stranger}: it cannot be given up"),
            causes: Vec::new(),
            hint: Some(match held.is_empty() {
                true => "it holds nothing".to_owned(),
                false => format!("it holds {}", hosts_text(held.iter().copied(), usize::MAX)),
            }),
        });
    }
    Ok(())
}

/// A run whose process may live is not taken over without saying so.
fn is_dead(
    world: &World,
    run: &RunId,
    journal: &[JournalRecord],
    record: &FleetRecord,
    asked: &Asked,
) -> Result<(), CommandError> {
    if asked.even_if_alive {
        return Ok(());
    }
    let Some(process) = actor(journal, record, run) else { return Ok(()) };
    let (pid, host) = (process.pid, &process.host);
    let alive = |why: String, hint: String| {
        let message = format!("run {run} may be under way: its process is not known to be dead");
        Err(CommandError::NotTaken { message, causes: vec![why], hint: Some(hint) })
    };
    let anyway = next::command(&world.policies.directory, &format!("abandon {run} --even-if-alive"));
    let mut anyway = format!("to take it over all the same and put back what is cordoned: {anyway}");
    if asked.purpose == Purpose::Resume {
        anyway.push_str("\n      (resume takes --even-if-alive too, and goes on terminating)");
    }
    match process::is_alive(process) {
        Some(true) => alive(
            format!("process {pid} on {host} is alive"),
            format!("to stop it and put back what is cordoned: kill -INT {pid}, on {host}\n      {anyway}"),
        ),
        Some(false) => Ok(()),
        None => match silence(world, run, journal, record) {
            Some(left) => alive(
                format!("process {pid} on {host} cannot be looked at from here, and wrote lately"),
                format!("look at it there, or wait {}: then it counts as silent\n      {anyway}", span_text(left)),
            ),
            None => Ok(()),
        },
    }
}

/// How long it takes until a run's process counts as silent; `None` where it does.
pub(super) fn silence(world: &World, run: &RunId, journal: &[JournalRecord], record: &FleetRecord) -> Option<Duration> {
    let now = world.clock.now();
    let enlisted_at = record.runs.get(run).map_or(now, |entry| entry.enlisted_at);
    let silent_at = silent_from(journal, enlisted_at);
    // The process's clock may be ahead of this one.
    Some(silent_at.plus(world.fleet.bounds().tolerance).since(now)).filter(|left| !left.is_zero())
}

/// How a run that was taken over went on.
pub(super) enum Went {
    /// To its end.
    On(Box<driver::Ended>),
    /// It had ended, and only the record was not told.
    Closed,
    /// Its journal is lost, and these were given up.
    Released(Vec<HostId>),
    /// Only its last records were missing, and they are there now.
    Over(Box<RunDocument>),
}

/// Takes the run over and goes on with it to its end.
pub(super) async fn take(
    world: &World,
    run: &RunId,
    asked: Asked,
    screen: &Arc<Screen>,
    stop: &mut StopSignal,
) -> Result<Result<Went, Untaken>, CommandError> {
    let places = world.places(world.writable_ledger().await?);
    let brought = late::bring_in(world, places.ledger.as_ref(), run, screen).await?;
    if brought > 0 {
        let (journal, record) = look(world, run).await?;
        if let (Standing::Ended, Some(document)) = (standing(&journal, &record, run), run::report(&journal)) {
            return Ok(Ok(Went::Over(Box::new(document))));
        }
    }
    let successor = Successor {
        run: run.clone(),
        epoch: 0,
        process: process::this_process(),
        operator: process::operator(world.fleet.identity()),
        policies: Arc::clone(&world.policies),
        fleet: world.fleet.identity().clone(),
        bounds: world.fleet.bounds(),
    };
    let Asked { seen, mut purpose, reason, leave, even_if_alive, yes: _ } = asked;
    let seen = seen + brought;
    let (journal, record) = look(world, run).await?;
    if matches!(standing(&journal, &record, run), Standing::Holding | Standing::Unclosed) {
        // S9: what has ended goes forward no more. What it holds is put back, and the record is told.
        purpose = Purpose::Abandon;
    }
    let claim = Claim { successor, purpose, reason, leave, seen, even_if_alive };
    let machine = match driver::take_over(&places, claim).await {
        Ok(Taken::Run(machine)) => machine,
        Ok(Taken::Closed) => return Ok(Ok(Went::Closed)),
        Ok(Taken::Released(hosts)) => return Ok(Ok(Went::Released(hosts))),
        Err(why) => return Ok(Err(why)),
    };
    screen.note(&match purpose {
        Purpose::Resume => format!("run {run} is this process's now: going on with it"),
        Purpose::Abandon => format!("run {run} is this process's now: putting back what is cordoned"),
    });
    let events = Arc::clone(screen);
    let progress =
        ProgressScreen::new(Arc::clone(&world.clock), screen.is_quiet(), Box::new(move |record| events.event(record)));
    match driver::drive(&places, *machine, &progress, stop).await {
        Ok(ended) => Ok(Ok(Went::On(Box::new(ended)))),
        Err(NotStarted::TakenOver(why)) => Ok(Err(Untaken::Another(why))),
        // It was granted nothing, or nothing of it was ever sent: nothing was touched.
        Err(why) => Err(not_begun(run, &why)),
    }
}

/// A run that was taken over and could not go on before anything was touched.
fn not_begun(run: &RunId, why: &NotStarted) -> CommandError {
    let causes = match why {
        NotStarted::Rules(violations) | NotStarted::TakenByOthers(violations) => {
            violations.iter().map(|violation| violation.message.clone()).collect()
        }
        NotStarted::Blind(message)
        | NotStarted::Clock(message)
        | NotStarted::Ledger(message)
        | NotStarted::TakenOver(message)
        | NotStarted::OtherFleet(message)
        | NotStarted::Halted(message) => vec![message.clone()],
        NotStarted::Deferred { until, why } => vec![format!("{why}, until {until}")],
        NotStarted::Consumed { .. } => Vec::new(),
        NotStarted::Ordered(order) => vec![order.to_string()],
    };
    CommandError::NotStarted {
        exit: Exit::of_run(why.exit_code()),
        message: format!("run {run} did not go on; this process touched nothing"),
        causes,
        hint: "safe-remove status shows how it stands",
    }
}

/// Why a run was not taken over; nothing was touched.
pub(super) fn not_taken(run: &RunId, why: &Untaken) -> CommandError {
    let ledger = |message: &String, hint| CommandError::NotStarted {
        exit: Exit::LEDGER,
        message: format!("run {run} cannot be taken over; nothing was touched"),
        causes: vec![message.clone()],
        hint,
    };
    match why {
        Untaken::Over(_) => CommandError::NotTaken {
            message: format!("run {run} has ended: there is nothing to take over"),
            causes: Vec::new(),
            hint: Some(format!("how it ended: safe-remove status {run}")),
        },
        Untaken::Alive => CommandError::NotTaken {
            message: format!("run {run} is under way: its process wrote just now"),
            causes: Vec::new(),
            hint: Some(format!("safe-remove status {run} --watch")),
        },
        Untaken::Another(by) => ledger(by, "safe-remove status names the process that has it"),
        Untaken::Ledger(message) => {
            ledger(message, "check `[ledger]` in fleet.toml, free space and permissions, then try again")
        }
        Untaken::Refused(message) => CommandError::NotStarted {
            exit: Exit::FLEET_UNKNOWN,
            message: format!("run {run} cannot be taken over; nothing was touched"),
            causes: vec![message.clone()],
            hint: "correct what is said above, this machine's clock or the policy directory, and try again",
        },
    }
}
