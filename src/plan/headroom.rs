//! How much can be removed now, and what limits it.

use serde::{Deserialize, Serialize};

use crate::model::{HostId, SubsystemName};

use super::constraints::Problem;
use super::gates::Gates;
use super::membership::Membership;
use super::select::Selector;
use super::verify::verify_over;
use super::{AssessError, Inputs, Stage, Taking, Violation};

/// What one subsystem can lose now: rules 1 to 6 with budgets taken as empty, and whatever is closed at this moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Headroom {
    /// Its name.
    pub name: SubsystemName,
    /// The most hosts that a `--count` could take.
    pub hosts_allowed: u64,
    /// No larger count is possible; otherwise `hosts_allowed` is "at least".
    pub exact: bool,
    /// What one host more would violate; `None` where every candidate can go.
    pub binding: Option<Violation>,
    /// What it would violate besides.
    pub next: Option<Violation>,
}

/// Headroom of one subsystem, or of all by name. A name that has no policy gives an empty list.
///
/// # Errors
///
/// [`AssessError`] where a host of a subsystem concerned cannot be weighed or placed.
pub fn headroom(inputs: &Inputs<'_>, only: Option<&SubsystemName>) -> Result<Vec<Headroom>, AssessError> {
    let membership = Membership::new(inputs.policies, inputs.snapshot);
    let wanted = |&s: &usize| only.is_none_or(|name| membership.subsystem(s).name == *name);
    let gates = Gates::new(inputs, &membership);
    (0..membership.subsystems().len()).filter(wanted).map(|s| of(inputs, &membership, &gates, s)).collect()
}

fn of(
    inputs: &Inputs<'_>,
    membership: &Membership<'_>,
    gates: &Gates<'_>,
    subsystem: usize,
) -> Result<Headroom, AssessError> {
    let problem = Problem::new(inputs, membership, gates, subsystem)?;
    let (gated, open) = (Selector::new(&problem, true), Selector::new(&problem, false));
    let maximum = gated.maximum();
    let mut violations = Vec::new();
    if maximum.hosts < open.candidates() {
        let hosts = open.wish(maximum.hosts + 1);
        let hosts =
            hosts.into_iter().map(|h| membership.host(h).id.clone()).collect::<std::collections::BTreeSet<HostId>>();
        let taking = Taking { hosts, ..Taking::default() };
        violations = verify_over(inputs, membership, gates, &taking, Stage::Grant)?;
    }
    let mut violations = violations.into_iter();
    Ok(Headroom {
        name: membership.subsystem(subsystem).name.clone(),
        hosts_allowed: maximum.hosts,
        exact: maximum.proved,
        binding: violations.next(),
        next: violations.next(),
    })
}
