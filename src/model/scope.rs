//! [`Scope`]: the part of a fleet that an observation has to show.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{GroupName, HostId, TargetGroupId};

/// What an observation has to show, at least: these groups with all their members, and these hosts wherever they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The groups, each with every member.
    pub groups: BTreeSet<GroupName>,
    /// The hosts, members of these groups or not. Only of these it is known that they are gone where they do not show.
    pub hosts: BTreeSet<HostId>,
    /// Target groups that the hosts are to be in again, although none of them may list one now.
    pub target_groups: BTreeSet<TargetGroupId>,
}
