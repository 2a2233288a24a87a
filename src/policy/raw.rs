//! The files as written: every key of `fleet.toml` and of a subsystem's file, not checked yet.
//!
//! The doc comments here are also the descriptions in `policy schema`. Every key is an `Option`, so that all missing
//! keys of a file are reported at once; `#[schemars(required)]` marks the required ones, and the checks enforce it.
//! This module must not hold a rule beyond what a single value is.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

mod hook;
mod probe;

use super::types::{Managed, ProviderFloor};
use super::value::{Amount, Count, Day, DurationValue, Factor, Name, Patterns, Percent, Spanned, Window};

pub(super) use hook::RawHook;
pub(super) use probe::{RawHeader, RawHeaderSource, RawProbe};

/// `fleet.toml`: which fleet, and where its shared ledger is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
#[schemars(rename = "Fleet")]
pub(super) struct RawFleet {
    /// Names the ledger's scope.
    #[schemars(required)]
    pub(super) name: Option<Spanned<Name>>,
    /// Which fleet.
    #[schemars(required)]
    pub(super) provider: Option<Spanned<RawProvider>>,
    /// The state that all operators share.
    #[schemars(required)]
    pub(super) ledger: Option<Spanned<RawLedger>>,
}

/// `[provider]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table, [provider]")]
#[schemars(rename = "Provider")]
pub(super) struct RawProvider {
    /// `simulated` or `aws`.
    #[schemars(required, extend("enum" = ["simulated", "aws"]))]
    pub(super) kind: Option<Spanned<String>>,
    /// Simulated: the file that says what the fleet is made of.
    pub(super) scenario: Option<Spanned<String>>,
    /// Simulated: the file in which the fleet outlives one invocation.
    pub(super) state: Option<Spanned<String>>,
    /// AWS: the region, such as `us-east-1`.
    pub(super) region: Option<Spanned<String>>,
    /// AWS: twelve digits; credentials of any other account are refused.
    pub(super) account: Option<Spanned<String>>,
    /// AWS: the role to assume in that account, `arn:aws:iam::ACCOUNT:role/NAME`. Default none: the credentials are used as
    /// they are.
    pub(super) role_arn: Option<Spanned<String>>,
    /// AWS: the external id that the role's trust policy asks for. Default none.
    pub(super) external_id: Option<Spanned<String>>,
    /// A tag whose value lists the host's subsystems: one without a policy file keeps the host from being removed.
    pub(super) subsystem_tag: Option<Spanned<String>>,
    /// How far in the past the provider's answers may lie. Default 2m on AWS, 0s simulated.
    pub(super) settle: Option<Spanned<DurationValue>>,
}

/// `[ledger]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table, [ledger]")]
#[schemars(rename = "Ledger")]
pub(super) struct RawLedger {
    /// `sqlite`, `dynamodb` or `etcd`
    #[schemars(required, extend("enum" = ["sqlite", "dynamodb", "etcd"]))]
    pub(super) kind: Option<Spanned<String>>,
    /// SQLite: the file, for all operators of one machine.
    pub(super) path: Option<Spanned<String>>,
    /// DynamoDB: the table's name, or its ARN where it is in another account.
    pub(super) table: Option<Spanned<String>>,
    /// DynamoDB: the table's region. Default the provider's, else what the environment says; an ARN names it.
    pub(super) region: Option<Spanned<String>>,
    /// DynamoDB: the role to assume for the table, `arn:aws:iam::ACCOUNT:role/NAME`. Default none.
    pub(super) role_arn: Option<Spanned<String>>,
    /// etcd: `https://host:2379`, every member that may be asked.
    pub(super) endpoints: Option<Spanned<Vec<Spanned<String>>>>,
    /// etcd: what every key begins with. Default `/safe-remove`.
    pub(super) prefix: Option<Spanned<String>>,
    /// etcd: a PEM file of who may have signed the servers' certificates. Default whom this machine trusts.
    pub(super) ca: Option<Spanned<String>>,
    /// etcd: a PEM file of this client's certificate. Default none.
    pub(super) cert: Option<Spanned<String>>,
    /// etcd: a PEM file of that certificate's private key.
    pub(super) key: Option<Spanned<String>>,
    /// How long a run may restore without its ledger; one attempt of a call gets a twentieth of it. Default 30s.
    pub(super) offline_limit: Option<Spanned<DurationValue>>,
}

/// A subsystem's file, named after it: which hosts serve it, what it must keep, how fast it may lose hosts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
#[schemars(rename = "Subsystem")]
pub(super) struct RawSubsystem {
    /// Its name: the file's name without `.toml`.
    #[schemars(required)]
    pub(super) name: Option<Spanned<Name>>,
    /// What it is for.
    pub(super) description: Option<Spanned<String>>,
    /// Whom to ask; shown in plans and reports.
    pub(super) owner: Option<Spanned<String>>,
    /// The subsystems that it needs: a run that touches one of them also watches this one. Default none.
    pub(super) depends_on: Option<Spanned<Vec<Spanned<String>>>>,
    /// Which hosts serve it.
    #[schemars(required)]
    pub(super) hosts: Option<Spanned<RawHosts>>,
    /// What it must keep.
    #[schemars(required)]
    pub(super) capacity: Option<Spanned<RawCapacity>>,
    /// How fast it may lose hosts.
    #[schemars(required)]
    pub(super) pace: Option<Spanned<RawPace>>,
    /// How its health is watched.
    #[schemars(required)]
    pub(super) health: Option<Spanned<RawHealth>>,
    /// Who is asked about the hosts of a batch, and what drains them. Default none.
    pub(super) hooks: Option<Spanned<Vec<Spanned<RawHook>>>>,
    /// Who must agree. Without it nothing is accepted unattended.
    pub(super) confirm: Option<Spanned<RawConfirm>>,
    /// When it may lose hosts. Default always.
    pub(super) windows: Option<Spanned<RawWindows>>,
}

/// `[hosts]`: every key that is given must match; patterns are globs. At least one of `tags`, `auto_scaling_groups`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table, [hosts]")]
#[schemars(rename = "Hosts")]
pub(super) struct RawHosts {
    /// Tag to the patterns of its value.
    pub(super) tags: Option<Spanned<BTreeMap<String, Spanned<Patterns>>>>,
    /// Patterns of the group's name.
    pub(super) auto_scaling_groups: Option<Spanned<Patterns>>,
    /// Hosts that are kept out for good, although they serve.
    pub(super) never: Option<Spanned<RawNever>>,
    /// "allow": hosts may go that an EC2 Fleet, Karpenter, EMR or the like manages. Default "refuse": what goes may be replaced.
    pub(super) managed: Option<Managed>,
}

/// `never`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table, { tags = { ... } }")]
#[schemars(rename = "Never")]
pub(super) struct RawNever {
    /// Tag to the patterns of its value; one match is enough.
    #[schemars(required)]
    pub(super) tags: Option<Spanned<BTreeMap<String, Spanned<Patterns>>>>,
}

/// `[capacity]`, in units: a host counts for 1 unless `units` says otherwise.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table, [capacity]")]
#[schemars(rename = "Capacity")]
pub(super) struct RawCapacity {
    /// Units at full strength: every percentage is of this, never of what is left.
    #[schemars(required)]
    pub(super) baseline: Option<Spanned<Count>>,
    /// Units that must remain, or a percentage of baseline, rounded up. There is no default.
    #[schemars(required)]
    pub(super) minimum: Option<Spanned<Amount>>,
    /// Units that must remain in each zone, or a percentage of baseline / number of zones, rounded up.
    pub(super) minimum_per_zone: Option<Spanned<Amount>>,
    /// The zones. Default: every zone in which it has a host in any state.
    pub(super) zones: Option<Spanned<Vec<Spanned<String>>>>,
    /// Capacity less its largest zone must still be at least `minimum`. Default false.
    pub(super) survive_zone_loss: Option<bool>,
    /// What a host counts for. Default 1.
    pub(super) units: Option<Spanned<RawUnits>>,
    /// Whether hosts stay where the provider itself, by the MinSize of their group, does not hold the group's share of the
    /// minimum. Default `advised`: a warning.
    pub(super) provider_floor: Option<ProviderFloor>,
}

/// `units`: one of the two keys.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table, { tag = ... } or { instance_type = { ... } }")]
#[schemars(rename = "Units")]
pub(super) struct RawUnits {
    /// The tag that holds a positive integer.
    pub(super) tag: Option<Spanned<String>>,
    /// Positive integers by instance type.
    pub(super) instance_type: Option<Spanned<BTreeMap<String, Spanned<Count>>>>,
}

/// `[pace]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table, [pace]")]
#[schemars(rename = "Pace")]
pub(super) struct RawPace {
    /// Hosts that one run may take.
    #[schemars(required)]
    pub(super) max_hosts_per_run: Option<Spanned<Count>>,
    /// Hosts that one batch may take, or units as a percentage of baseline, rounded down.
    #[schemars(required)]
    pub(super) batch: Option<Spanned<Amount>>,
    /// From one batch's verified termination to the next cordon.
    #[schemars(required)]
    pub(super) interval: Option<Spanned<DurationValue>>,
    /// Batches of 1, 2, 4, ... up to `batch`. Default false.
    pub(super) ramp: Option<bool>,
    /// Refuse while more of the subsystem's hosts than this do not serve: something is wrong already. Default "20%";
    /// "100%" never refuses.
    pub(super) max_unserving: Option<Spanned<Percent>>,
    /// Zones that one batch may touch.
    pub(super) zones_per_batch: Option<Spanned<Count>>,
    /// Refuse while the groups' recent launches fail: what goes could not come back. Default false.
    pub(super) requires_launch: Option<bool>,
    /// The most hosts that may be lost in a window of time, all runs of all operators counted together.
    /// `[]` is none, which only `max_hosts_per_run` and the minimum then limit.
    #[schemars(required)]
    pub(super) budgets: Option<Spanned<Vec<Spanned<RawBudget>>>>,
}

/// One budget.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table, { hosts = 4, per = \"1h\" }")]
#[schemars(rename = "Budget")]
pub(super) struct RawBudget {
    /// Hosts, or a percentage of baseline, rounded down.
    #[schemars(required)]
    pub(super) hosts: Option<Spanned<Amount>>,
    /// The window.
    #[schemars(required)]
    pub(super) per: Option<Spanned<DurationValue>>,
}

/// `[health]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table, [health]")]
#[schemars(rename = "Health")]
pub(super) struct RawHealth {
    /// How long everything is watched while a batch is cordoned, before it is terminated.
    #[schemars(required)]
    pub(super) bake: Option<Spanned<DurationValue>>,
    /// Sampling period, from start to start.
    #[schemars(required)]
    pub(super) every: Option<Spanned<DurationValue>>,
    /// How long probes are sampled before the first batch: 10 to 60 times `every`, at most 1h. Default 10 times `every`; 3
    /// times where no probe is tested, which is a relative limit without `failures`.
    pub(super) reference: Option<Spanned<DurationValue>>,
    /// The longest bake, where the samples of a tested probe show neither harm nor that there is none; then the batch goes
    /// back. Default three times `bake`.
    pub(super) bake_max: Option<Spanned<DurationValue>>,
    /// Of bakes without harm, how many a tested probe may abort. Above 0, at most 20%. Default 1%.
    pub(super) false_abort: Option<Spanned<Percent>>,
    /// Of bakes with harm beyond the limit, how many may end as clean by a tested probe. Above 0, at most 20%. Default 0.1%.
    pub(super) missed_harm: Option<Spanned<Percent>>,
    /// What is read.
    pub(super) probe: Option<Spanned<Vec<Spanned<RawProbe>>>>,
}

/// `[confirm]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table, [confirm]")]
#[schemars(rename = "Confirm")]
pub(super) struct RawConfirm {
    /// `--yes` is enough up to this many hosts. Default 0.
    pub(super) unattended_max: Option<Spanned<Count>>,
    /// A run must say why. Default false.
    pub(super) require_reason: Option<bool>,
    /// A count above this many times the largest completed removal of the last 90 days must be typed out; without one,
    /// a count above three times `batch`.
    pub(super) unusual: Option<Spanned<Factor>>,
    /// Whether a person confirms every batch after the first one too. Default false.
    pub(super) between_batches: Option<bool>,
    /// How long such a question waits for its answer; then the run ends. Default 15m.
    pub(super) answer_within: Option<Spanned<DurationValue>>,
    /// Other identities that must approve.
    pub(super) approvals: Option<Spanned<Vec<Spanned<RawApproval>>>>,
}

/// One approval rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table, { above = 5, count = 1 }")]
#[schemars(rename = "Approval")]
pub(super) struct RawApproval {
    /// For plans of more hosts than this.
    #[schemars(required)]
    pub(super) above: Option<Spanned<Count>>,
    /// So many approvers.
    #[schemars(required)]
    pub(super) count: Option<Spanned<Count>>,
}

/// `[windows]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table, [windows]")]
#[schemars(rename = "Windows")]
pub(super) struct RawWindows {
    /// Time zone, such as `Europe/London`, of windows and freezes.
    #[schemars(required)]
    pub(super) zone: Option<Spanned<String>>,
    /// When removal is allowed. Default always.
    pub(super) allow: Option<Spanned<Vec<Spanned<Window>>>>,
    /// When it is not, whatever `allow` says.
    pub(super) freeze: Option<Spanned<Vec<Spanned<RawFreeze>>>>,
}

/// One freeze: whole days.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table, { from = \"2026-12-20\", to = \"2027-01-03\", why = \"year end\" }")]
#[schemars(rename = "Freeze")]
pub(super) struct RawFreeze {
    /// First day.
    #[schemars(required)]
    pub(super) from: Option<Spanned<Day>>,
    /// Last day.
    #[schemars(required)]
    pub(super) to: Option<Spanned<Day>>,
    /// Shown to who is refused.
    pub(super) why: Option<Spanned<String>>,
}
