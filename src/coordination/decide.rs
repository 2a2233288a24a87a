//! [`decide`]: the only way to change a [`FleetRecord`], but for [`halt`](super::halt()), which asks nothing.
//!
//! Pure and total: time, observation and policies are arguments, a refusal leaves the record as it was. The caller
//! writes the result by compare-and-swap at the version that it read; a conflict means reading and deciding again.

use super::{
    Command, Context, FleetRecord, Granted, Refusal, acceptance, clock, grant, group, halt, identity, line, outcome,
    pause, retention, takeover, terminate,
};

/// Judges one command and makes the record that it leads to.
///
/// # Errors
///
/// A [`Refusal`], with everything that stands against the command; nothing is half-done.
pub(crate) fn decide(
    record: &FleetRecord,
    command: &Command<'_>,
    ctx: &Context<'_>,
) -> Result<(FleetRecord, Granted), Refusal> {
    identity::is_this_fleet(record, command, ctx)?;
    clock::agrees(record, command, ctx)?;
    let mut next = record.clone();
    next.identity = identity::after(record, command, ctx.identity);
    let granted = match command {
        Command::Enlist { run, claims, planned_at, lapses_at, snapshot } => {
            let (planned_at, lapses_at) = (*planned_at, *lapses_at);
            line::enlist(&mut next, &line::Enlisting { run, claims, planned_at, lapses_at, snapshot }, ctx)?
        }
        Command::Grant { run, batch, hosts, rest, snapshot, reference, reference_at, asking } => {
            let (number, reference_at) = (*batch, *reference_at);
            let request = grant::GrantRequest { run, number, hosts, rest, snapshot, reference, reference_at };
            match asking {
                None => grant::grant(&mut next, &request, ctx)?,
                Some(asking) => pause::ask(&mut next, &request, asking, ctx)?,
            }
        }
        Command::Pause { run, epoch, order } => pause::pause_own(&mut next, run, *epoch, order)?,
        Command::StartTermination { run, epoch, hosts, snapshot } => {
            terminate::start(&mut next, run, *epoch, hosts, snapshot, ctx)?
        }
        Command::Resolve { run, epoch, outcomes } => outcome::resolve(&mut next, run, *epoch, outcomes, ctx)?,
        Command::RequireSuspension { run, epoch, group, suspended } => {
            group::reservation(&mut next, run, *epoch, group, suspended, ctx)?
        }
        Command::SeeRemoval { run, epoch, group, host } => outcome::see(&mut next, run, *epoch, group, host, ctx)?,
        Command::ReleaseSuspension { run, epoch, group } => group::release(&mut next, run, *epoch, group, ctx)?,
        Command::TakeOver { run, epoch, process, .. } => takeover::take_over(&mut next, run, *epoch, process, ctx)?,
        Command::End { run, epoch, completed } => outcome::end(&mut next, run, *epoch, *completed, ctx)?,
        Command::AcceptPolicy { subsystem, operator, reason } => {
            acceptance::accept(&mut next, subsystem, operator, reason, ctx)?
        }
        Command::Unhalt { orders } => halt::unhalt(&mut next, orders)?,
        Command::Adopt => {
            // Another fleet: nothing was seen of it.
            next.removal_seen = next.removal_seen.filter(|_| record.is_of(ctx.identity).is_ok());
            Granted::default()
        }
        Command::SetTime => clock::set(&mut next, ctx),
        Command::Forget { snapshot } => outcome::forget(&mut next, snapshot, ctx)?,
    };
    // By the earlier of two writers' clocks: one clock that is far ahead must not empty the memory of budgets.
    retention::prune(&mut next, ctx.now.min(record.written_at), ctx);
    clock::advance(&mut next, command, ctx);
    Ok((next, granted))
}
