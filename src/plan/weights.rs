//! What a host counts for in a subsystem, and which hosts have no usable weight.
//!
//! A host without a usable weight makes its whole subsystem unknown (S3): nothing here guesses a weight. Nothing here
//! adds weights up.

use crate::model::Host;
use crate::policy::UnitsSource;

use super::error::{AssessError, Unweighed};
use super::membership::Membership;

/// Maximum number of hosts that an error names; it only counts the others.
const NAMED: usize = 5;

/// The units of one host by these weights: a positive integer, or what is wrong.
pub(crate) fn weight(source: &UnitsSource, host: &Host) -> Result<u64, String> {
    match source {
        UnitsSource::One => Ok(1),
        UnitsSource::Tag(tag) => {
            let text = host.tags.get(tag).ok_or_else(|| format!("no tag {tag:?}"))?;
            // `parse` alone would take a plus sign, which is more likely a slip than a weight.
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let units = text.parse().ok().filter(|&units| digits && units > 0);
            units.ok_or_else(|| format!("tag {tag:?} is {text:?}"))
        }
        UnitsSource::InstanceType(weights) => {
            let units = weights.get(&*host.instance_type).copied().filter(|&units| units > 0);
            units.ok_or_else(|| format!("instance type {:?} has no units in the policy", host.instance_type))
        }
    }
}

/// The units that a member of a subsystem counts for in it.
///
/// # Errors
///
/// [`AssessError::Weight`] if the policy weighs hosts and this one has no positive integer. The error covers all of the
/// subsystem's hosts: a person who corrects them one by one would learn of the next only by trying again.
pub(crate) fn units(membership: &Membership<'_>, subsystem: usize, host: usize) -> Result<u64, AssessError> {
    let source = &membership.subsystem(subsystem).capacity.units;
    weight(source, membership.host(host)).map_err(|_| unweighed(membership, subsystem))
}

fn unweighed(membership: &Membership<'_>, subsystem: usize) -> AssessError {
    let policy = membership.subsystem(subsystem);
    let members = membership.members(subsystem).map(|index| membership.host(index));
    let mut all = members.filter_map(|host| {
        let why = weight(&policy.capacity.units, host).err()?;
        Some(Unweighed { host: host.id.clone(), why })
    });
    let hosts = all.by_ref().take(NAMED).collect();
    AssessError::Weight { subsystem: policy.name.clone(), hosts, more: all.count() }
}
