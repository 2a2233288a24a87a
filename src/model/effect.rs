//! What can be done to a fleet, and what can be known about it afterwards.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{GroupName, HostId, LedgerId, Process, TargetGroupId, Time};

/// Maximum number of hosts per cordoning or restoring call.
/// Source: Amazon EC2 Auto Scaling API reference, `EnterStandby`: "you can specify up to 20 instances".
pub(crate) const CALL_HOSTS: usize = 20;

/// Hosts, each with the target groups that it is in, which a restore must bring back.
pub type HostTargets = BTreeMap<HostId, BTreeSet<TargetGroupId>>;

/// One thing to do, in the imperative. Each effect names what it touches; none sets the size that a group has, because then
/// the provider would choose the victims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "kebab-case")]
pub enum Effect {
    /// Take hosts out of service so that they can be put back. At most [`CALL_HOSTS`], of one group or of none.
    Cordon {
        /// Their group; `None` for hosts outside groups.
        group: Option<GroupName>,
        /// Which hosts, each with the target groups that it was in, which a restore must bring back.
        hosts: HostTargets,
    },
    /// Put cordoned hosts back in service, and into the target groups that they were in.
    Restore {
        /// Their group; `None` for hosts outside groups.
        group: Option<GroupName>,
        /// Which hosts, with the target groups that the cordon's intent recorded.
        hosts: HostTargets,
    },
    /// Terminate one cordoned host: the point of no return. One host per call, because bulk calls fail half-way.
    Terminate {
        /// Its group; `None` for a host outside groups.
        group: Option<GroupName>,
        /// Which host.
        host: HostId,
    },
    /// Suspend a process of a group for the duration of the run.
    Suspend {
        /// The group.
        group: GroupName,
        /// The process.
        process: Process,
    },
    /// Resume the process.
    Resume {
        /// The group.
        group: GroupName,
        /// The process.
        process: Process,
    },
    /// Write the ledger's id beside the hosts (`ledger adopt`, or the first run of a simulated fleet).
    Adopt {
        /// The ledger that governs the hosts from now on.
        ledger: LedgerId,
        /// The groups to mark.
        groups: BTreeSet<GroupName>,
        /// The hosts outside groups to mark.
        hosts: BTreeSet<HostId>,
        /// The ledgers whose marks may be replaced: those that a person was shown. A provider refuses to replace any
        /// other mark, if it can.
        #[serde(default)]
        replaces: BTreeSet<LedgerId>,
    },
    /// Raise a group's own minimum, so that the provider itself refuses to shrink it further (`doctor --fix`). Never above
    /// its desired size: the provider would launch.
    RaiseMinimum {
        /// The group.
        group: GroupName,
        /// Its minimum as it was seen, in hosts. A provider refuses the call where it is another by now.
        from: u64,
        /// The minimum from then on, in hosts.
        to: u64,
    },
}

impl Effect {
    /// The hosts that the effect names.
    pub(crate) fn hosts(&self) -> Vec<&HostId> {
        match self {
            Self::Cordon { hosts, .. } | Self::Restore { hosts, .. } => hosts.keys().collect(),
            Self::Terminate { host, .. } => vec![host],
            Self::Adopt { hosts, .. } => hosts.iter().collect(),
            Self::Suspend { .. } | Self::Resume { .. } | Self::RaiseMinimum { .. } => Vec::new(),
        }
    }
}

/// An effect on its way, with the deadline after which the provider itself must refuse it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// What to do.
    #[serde(flatten)]
    pub effect: Effect,
    /// When its intent was recorded; on AWS, the time in the signature.
    pub intent_at: Time,
    /// The provider refuses the call after this time.
    pub not_after: Time,
}

/// What a caller knows about its call. `Unknown` leads to observing, never to repeating.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum CallOutcome {
    /// The provider acknowledged it.
    Done,
    /// The provider refused it: nothing was done.
    Refused {
        /// The provider's words.
        message: String,
        /// Another try may succeed (throttling, an activity in progress, a call that came too late).
        retryable: bool,
    },
    /// A timeout, a lost reply or a server error: the call may or may not have taken effect.
    Unknown {
        /// What was seen.
        message: String,
    },
}

impl CallOutcome {
    /// How the message of a call begins that this tool did not send.
    const NOT_SENT: &'static str = "not sent: ";

    /// The outcome of a call that was intended and never left this process: nothing was done.
    pub(crate) fn not_sent(why: &str, retryable: bool) -> Self {
        Self::Refused { message: format!("{}{why}", Self::NOT_SENT), retryable }
    }

    /// Whether the call never left the process.
    pub(crate) fn is_not_sent(&self) -> bool {
        matches!(self, Self::Refused { message, .. } if message.starts_with(Self::NOT_SENT))
    }
}
