//! Accepted policies: what the record keeps of a directory's policies, and who accepted it.

use crate::model::{OperatorId, SubsystemName};
use crate::plan::{Rule, Violation};

use super::{AcceptedPolicy, Context, FleetRecord, Granted, Refusal};

/// `policy accept`: the directory's policy becomes the accepted one, or none where the directory lacks it.
pub(super) fn accept(
    record: &mut FleetRecord,
    subsystem: &SubsystemName,
    operator: &OperatorId,
    reason: &str,
    ctx: &Context<'_>,
) -> Result<Granted, Refusal> {
    let found = ctx.policies.subsystems.get(subsystem);
    if found.is_none() && !record.accepted.contains_key(subsystem) {
        let message = format!("subsystem {subsystem} has neither a policy nor an accepted one");
        return Err(Refusal::Rules(vec![Violation::new(Rule::UnknownSubsystem, message).subsystem(subsystem)]));
    }
    if record.accepted.is_empty() {
        // Before the first run everything is as it is found; afterwards this would no longer be the first time.
        accept_all(record, ctx.policies.subsystems.keys(), operator, ctx);
    }
    match found {
        None => {
            record.accepted.remove(subsystem);
        }
        Some(policy) => {
            let accepted = AcceptedPolicy {
                policy: policy.clone(),
                by: operator.clone(),
                at: ctx.now,
                reason: Some(reason.to_owned()),
            };
            record.accepted.insert(subsystem.clone(), accepted);
        }
    }
    Ok(Granted::default())
}

/// Takes over the directory's policies of some subsystems; who accepted one that is unchanged stays on record.
pub(super) fn accept_all<'n>(
    record: &mut FleetRecord,
    names: impl IntoIterator<Item = &'n SubsystemName>,
    by: &OperatorId,
    ctx: &Context<'_>,
) {
    for name in names {
        let Some(policy) = ctx.policies.subsystems.get(name) else { continue };
        if record.accepted.get(name).is_none_or(|accepted| accepted.policy != *policy) {
            let accepted = AcceptedPolicy { policy: policy.clone(), by: by.clone(), at: ctx.now, reason: None };
            record.accepted.insert(name.clone(), accepted);
        }
    }
}
