//! [`CountQuery`]: the requested count, and everything that it is judged by.

use crate::model::{Group, HostState, counted};

use super::super::Inputs;
use super::super::gates::Gates;
use super::super::membership::Membership;

/// The requested count, and the inputs that it is judged by.
#[derive(Clone, Copy)]
pub(crate) struct CountQuery<'a> {
    pub(crate) inputs: &'a Inputs<'a>,
    pub(crate) membership: &'a Membership<'a>,
    pub(crate) gates: &'a Gates<'a>,
    pub(crate) named: usize,
    pub(crate) count: u64,
}

impl CountQuery<'_> {
    /// `1 host`, `7 hosts`
    pub(crate) fn hosts(count: u64) -> String {
        counted(count, "host")
    }
}

/// Members that the provider counts against a group's minimum.
pub(crate) fn group_members(asked: &CountQuery<'_>, group: &Group) -> u64 {
    let claims = &asked.inputs.ledger.claims;
    let members = asked.membership.group_members(&group.name).map(|host| asked.membership.host(host));
    let in_service = members.filter(|h| h.state == HostState::InService && !claims.contains_key(&h.id)).count() as u64;
    in_service.min(group.desired)
}
