//! Which fleet the record is of.

use crate::model::FleetIdentity;

use super::{Command, Context, FleetRecord, Refusal};

impl FleetRecord {
    /// Whether this is the record of the fleet that somebody looks at.
    ///
    /// # Errors
    ///
    /// [`Refusal::OtherFleet`]: another region, account or simulated fleet stands behind the same name (S3, S8).
    pub(crate) fn is_of(&self, seen: &FleetIdentity) -> Result<(), Refusal> {
        match &self.identity {
            Some(known) if !known.is_same_fleet(seen) => {
                let (known, seen) = (Box::new(known.clone()), Box::new(seen.clone()));
                Err(Refusal::OtherFleet { known, seen })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// S3, S8: whatever a command wants, the fleet behind it is the one that the record is of. `ledger adopt` alone may say
/// otherwise, after a person was shown both; `unhalt` looks at no host and may not know a simulated fleet's id.
pub(super) fn is_this_fleet(record: &FleetRecord, command: &Command<'_>, ctx: &Context<'_>) -> Result<(), Refusal> {
    if record.fleet != ctx.policies.fleet.name {
        let (theirs, ours) = (&record.fleet, &ctx.policies.fleet.name);
        return Err(Refusal::Illegal(format!("it is of fleet {theirs}, the policies are of fleet {ours}")));
    }
    match command {
        // A run may have come after the person was asked: its hosts are in the other fleet, where nobody would look.
        Command::Adopt if !record.runs.is_empty() && record.is_of(ctx.identity).is_err() => {
            Err(Refusal::Illegal("runs of the fleet that the record belongs to are under way or hold hosts".to_owned()))
        }
        Command::Adopt => Ok(()),
        Command::Unhalt { .. } if !is_whole(ctx.identity) => Ok(()),
        Command::Unhalt { .. }
        | Command::Enlist { .. }
        | Command::Grant { .. }
        | Command::Pause { .. }
        | Command::StartTermination { .. }
        | Command::Resolve { .. }
        | Command::RequireSuspension { .. }
        | Command::ReleaseSuspension { .. }
        | Command::SeeRemoval { .. }
        | Command::TakeOver { .. }
        | Command::End { .. }
        | Command::AcceptPolicy { .. }
        | Command::SetTime
        | Command::Forget { .. } => record.is_of(ctx.identity),
    }
}

/// Whether it names one fleet, and not only a kind.
fn is_whole(identity: &FleetIdentity) -> bool {
    identity.id.is_some() || identity.region.is_some()
}

/// The identity after a command: the record is of the fleet that its first change was made for.
pub(super) fn after(record: &FleetRecord, command: &Command<'_>, seen: &FleetIdentity) -> Option<FleetIdentity> {
    let seen = || Some(FleetIdentity { caller: None, ..seen.clone() }).filter(is_whole);
    match (&record.identity, command) {
        (_, Command::Adopt) | (None, _) => seen(),
        (Some(known), _) => Some(known.clone()),
    }
}
