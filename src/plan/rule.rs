//! The rules of contract section 5 by name, and a violation of one with its numbers.

use serde::{Deserialize, Serialize};

use crate::model::{GroupName, HostId, SubsystemName, Time, ZoneName, counted, span_text};

/// The rules of contract section 5, with the names that documents use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Rule {
    /// Capacity would fall below the subsystem's minimum.
    Minimum,
    /// A zone would fall below the zone minimum.
    ZoneMinimum,
    /// Without its largest zone, the subsystem would fall below its minimum.
    ZoneLoss,
    /// More hosts than one run may take.
    RunSize,
    /// More hosts than a budget ever allows.
    Budget,
    /// The provider itself refuses to go below the group's minimum.
    GroupMinimum,
    /// The host names a subsystem that has no policy file.
    NoPolicy,
    /// Nothing selected never means everything.
    EmptySelection,
    /// A watched probe is already bad.
    UnhealthyNow,
    /// A tested probe varies too much for its limit to be seen in the longest bake.
    TooNoisy,
    /// A hook that was consulted does not let the hosts go.
    Consult,
    /// Outside the allowed windows, or in a freeze.
    Window,
    /// A halt is in force.
    Halted,
    /// Recent launches of a group fail.
    CannotLaunch,
    /// Too many of the subsystem's hosts are out of service already.
    TooManyUnserving,
    /// The policy asks for a reason.
    ReasonRequired,
    /// `--expect-remaining` does not agree.
    Expectation,
    /// No such subsystem.
    UnknownSubsystem,
    /// No such host.
    UnknownHost,
    /// The host does not serve the named subsystem.
    NotServingIt,
    /// The host is in a state in which it cannot be removed.
    NotRemovable,
    /// The provider protects the host, or the policy's `never` does.
    Protected,
    /// A policy is missing or not provably as strict as the accepted one.
    PolicyLoosened,
    /// The host carries another ledger's id, or none.
    ForeignLedger,
    /// The request id was used for another request.
    RequestId,
    /// Restoring would fail at the group's maximum.
    GroupMaximum,
    /// Hosts that were cordoned could not be put back.
    WayBack,
    /// The credentials end before the run would.
    Credentials,
    /// The plan expired, or its inputs have changed.
    PlanStale,
    /// The policy asks for approvals.
    Approval,
    /// More hosts were asked for than are candidates.
    TooFewCandidates,
    /// A run whose process is dead or silent has hosts of the subsystem out of service.
    RunInTheWay,
    /// The search found no choice that every rule allows, and did not prove that there is none.
    NotProved,
    /// Something else manages the host, and replaces what goes.
    ManagedElsewhere,
    /// A zonal shift keeps work from the host.
    ZoneShifted,
    /// The provider itself would let the host's group shrink below its share of a minimum.
    ProviderFloor,
    /// A target group would go on sending the host work while it is cordoned.
    StrayTargetGroup,
}

/// One rule that is violated, with its numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Which rule.
    pub(crate) rule: Rule,
    /// The subsystem, if the rule is a subsystem's.
    pub(crate) subsystem: Option<SubsystemName>,
    /// The zone, if the rule is a zone's.
    pub(crate) zone: Option<ZoneName>,
    /// The group, if the rule is a group's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) group: Option<GroupName>,
    /// The host, if the rule is a host's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) host: Option<HostId>,
    /// What the rule requires (units or hosts).
    pub(crate) required: Option<u64>,
    /// What would remain (units or hosts).
    pub(crate) remaining: Option<u64>,
    /// The whole sentence for people, with the numbers.
    pub(crate) message: String,
}

impl Rule {
    /// Whether it limits how many hosts can go together, so that a better choice may satisfy it.
    pub(super) fn is_about_numbers(self) -> bool {
        matches!(
            self,
            Self::Minimum | Self::ZoneMinimum | Self::ZoneLoss | Self::RunSize | Self::Budget | Self::GroupMinimum
        )
    }

    /// Whether it closes a subsystem at this moment, whichever of its hosts go.
    pub(super) fn is_gate(self) -> bool {
        matches!(
            self,
            Self::UnhealthyNow
                | Self::Window
                | Self::Halted
                | Self::CannotLaunch
                | Self::TooManyUnserving
                | Self::PolicyLoosened
                | Self::RunInTheWay
        )
    }

    /// Whether it may refuse a smaller count as well.
    pub(crate) fn is_beside_numbers(self) -> bool {
        self.is_gate()
            || matches!(
                self,
                Self::TooNoisy
                    | Self::Consult
                    | Self::ReasonRequired
                    | Self::Expectation
                    | Self::RequestId
                    | Self::GroupMaximum
                    | Self::WayBack
                    | Self::Credentials
                    | Self::PlanStale
                    | Self::Approval
            )
    }
}

impl Violation {
    /// Whether it is about what a group does by itself, which the choice of hosts does not know.
    pub(super) fn is_of_group(&self) -> bool {
        let is_of_group = matches!(self.rule, Rule::GroupMaximum | Rule::WayBack | Rule::NotRemovable);
        is_of_group && self.group.is_some() && self.host.is_none()
    }

    pub(crate) fn new(rule: Rule, message: String) -> Self {
        Self { rule, subsystem: None, zone: None, group: None, host: None, required: None, remaining: None, message }
    }

    /// The search ended without an answer about this count.
    pub(crate) fn not_proved(subsystem: &SubsystemName, count: u64) -> Self {
        let message = format!(
            "{}: no choice was found that every rule allows, and that there is none was not proved",
            counted(count, "host")
        );
        Self::new(Rule::NotProved, message).subsystem(subsystem)
    }

    /// It is proved that this count cannot go, but the search ended before it knew which few limits exclude it.
    pub(crate) fn unexplained(subsystem: &SubsystemName, count: u64) -> Self {
        let message = format!("{count} cannot go; which few limits exclude that was not proved");
        Self::new(Rule::NotProved, message).subsystem(subsystem)
    }

    /// `--expect-remaining` does not agree.
    pub(crate) fn unexpected(subsystem: &SubsystemName, expected: u64, remaining: u64) -> Self {
        let message = format!("{remaining} hosts of {subsystem} would still serve, not {expected} as was expected");
        Self::new(Rule::Expectation, message).subsystem(subsystem).numbers(expected, remaining)
    }

    /// The credentials end, and what is cordoned must be put back before.
    pub(crate) fn credentials(end: Time, needed_until: Time, now: Time) -> Self {
        let message = format!(
            "the AWS credentials end at {end} ({} from now) and cannot be renewed here; they are needed until {needed_until}, \
             the time to put back included: export new ones, or use a source that renews them",
            span_text(end.since(now))
        );
        Self::new(Rule::Credentials, message)
    }

    pub(crate) fn subsystem(self, name: &SubsystemName) -> Self {
        Self { subsystem: Some(name.clone()), ..self }
    }

    pub(crate) fn zone(self, name: &ZoneName) -> Self {
        Self { zone: Some(name.clone()), ..self }
    }

    pub(crate) fn group(self, name: &GroupName) -> Self {
        Self { group: Some(name.clone()), ..self }
    }

    pub(crate) fn host(self, id: &HostId) -> Self {
        Self { host: Some(id.clone()), ..self }
    }

    pub(crate) fn numbers(self, required: u64, remaining: u64) -> Self {
        Self { required: Some(required), remaining: Some(remaining), ..self }
    }
}
