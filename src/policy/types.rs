//! Validated policies: every percentage resolved where it can be, every bound checked, no default left open.
//!
//! These types are also what the ledger keeps as the *accepted* policy, so they read back what they write.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize};

use crate::model::{FleetName, SubsystemName, ZoneName};

/// One policy directory, whole and checked.
#[derive(Clone, Debug)]
pub struct PolicySet {
    /// Where it was read from, for people.
    pub directory: PathBuf,
    /// `fleet.toml`.
    pub fleet: FleetConfig,
    /// The other files, by name. Empty only for what never removes (see [`super::FleetAlone`]).
    pub subsystems: BTreeMap<SubsystemName, SubsystemPolicy>,
    /// What is legal but should be looked at (contract section 4), each with its place.
    pub warnings: Vec<super::PolicyProblem>,
}

impl PolicySet {
    /// Every subsystem that depends on one of `touched`, transitively, and these themselves: whose health
    /// a run watches.
    pub(crate) fn watched(&self, touched: &BTreeSet<SubsystemName>) -> BTreeSet<SubsystemName> {
        let mut dependents: BTreeMap<&SubsystemName, Vec<&SubsystemName>> = BTreeMap::new();
        for policy in self.subsystems.values() {
            for needed in &policy.depends_on {
                dependents.entry(needed).or_default().push(&policy.name);
            }
        }
        let mut watched = touched.clone();
        let mut ahead: Vec<&SubsystemName> = touched.iter().collect();
        while let Some(name) = ahead.pop() {
            for &dependent in dependents.get(name).into_iter().flatten() {
                if !watched.contains(dependent) {
                    watched.insert(dependent.clone());
                    ahead.push(dependent);
                }
            }
        }
        watched
    }
}

/// `fleet.toml`, with paths made absolute or relative to the working directory.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// The scope of the ledger's record.
    pub name: FleetName,
    /// Which fleet.
    pub provider: ProviderConfig,
    /// Which ledger.
    pub ledger: LedgerConfig,
}

/// `[provider]`
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// Which provider.
    pub kind: ProviderKind,
    /// A tag whose value lists the host's subsystems, for rule `no-policy`.
    pub subsystem_tag: Option<String>,
    /// `settle`: how far in the past answers may lie; `None` is the provider's default.
    pub settle: Option<Duration>,
}

/// The provider's own keys.
#[derive(Clone, Debug)]
pub enum ProviderKind {
    /// The embedded fleet (contract section 6).
    Simulated {
        /// `scenario.toml`
        scenario: PathBuf,
        /// The file in which the fleet outlives one invocation.
        state: PathBuf,
    },
    /// Auto Scaling groups and instances of one account and region.
    Aws {
        /// `us-east-1`
        region: String,
        /// Twelve digits: credentials of any other account are refused.
        account: String,
    },
}

/// `[ledger]`
#[derive(Clone, Debug)]
pub struct LedgerConfig {
    /// Which engine.
    pub kind: LedgerKind,
    /// How long a run may restore without its ledger.
    pub offline_limit: Duration,
}

/// The engine's own keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerKind {
    /// A file on this machine.
    Sqlite {
        /// Where.
        path: PathBuf,
    },
    /// A DynamoDB table.
    Dynamodb(DynamodbPlace),
    /// An etcd cluster.
    Etcd(EtcdPlace),
}

/// Which DynamoDB table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamodbPlace {
    /// Its name.
    pub table: String,
    /// Its region; `None`: the one that the environment names.
    pub region: Option<String>,
}

impl fmt::Display for DynamodbPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynamoDB table {}", self.table)?;
        self.region.iter().try_for_each(|region| write!(f, " in {region}"))
    }
}

/// Where an etcd cluster is, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdPlace {
    /// `https://host:2379`, one or more.
    pub endpoints: Vec<String>,
    /// What every key begins with; no slash at its end.
    pub prefix: String,
    /// PEM: who may have signed the servers' certificates; `None`: whom this machine trusts.
    pub ca: Option<PathBuf>,
    /// PEM: this client's certificate, and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl fmt::Display for EtcdPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "etcd {} at {}", self.prefix, self.endpoints.join(", "))
    }
}

impl LedgerKind {
    /// Where the ledger is, for people.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Sqlite { path } => path.display().to_string(),
            Self::Dynamodb(table) => table.to_string(),
            Self::Etcd(etcd) => etcd.to_string(),
        }
    }
}

/// One subsystem's policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubsystemPolicy {
    /// Its name; the stem of its file.
    pub name: SubsystemName,
    /// What it is for.
    pub description: Option<String>,
    /// Whom to ask.
    pub owner: Option<String>,
    /// Which subsystems it needs.
    pub depends_on: BTreeSet<SubsystemName>,
    /// Which hosts serve it.
    pub hosts: Selector,
    /// What it must keep.
    pub capacity: CapacityPolicy,
    /// How fast it may lose hosts.
    pub pace: PacePolicy,
    /// How its health is watched.
    pub health: HealthPolicy,
    /// Who must agree.
    pub confirm: ConfirmPolicy,
    /// When it may lose hosts; `None` is always.
    pub windows: Option<Windows>,
}

/// Which hosts serve a subsystem: every key that is given must match, any of its patterns is enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    /// Tag key to patterns (globs) of its value.
    pub tags: BTreeMap<String, BTreeSet<String>>,
    /// Patterns (globs) of the group's name; empty where the key is not given.
    pub auto_scaling_groups: BTreeSet<String>,
    /// `never`: hosts that match any of these tags serve the subsystem but are never removed.
    pub never: BTreeMap<String, BTreeSet<String>>,
}

/// `[capacity]`, in units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityPolicy {
    /// Units at full strength: what every percentage is of.
    pub baseline: u64,
    /// Units that must remain. A percentage is resolved, rounded up.
    pub minimum: u64,
    /// Units that must remain in each zone.
    pub minimum_per_zone: Option<ZoneMinimum>,
    /// The zones; `None` is every zone in which the subsystem has a host in any state.
    pub zones: Option<BTreeSet<ZoneName>>,
    /// Capacity less its largest zone must still be at least `minimum`.
    pub survive_zone_loss: bool,
    /// What a host counts for.
    pub units: UnitsSource,
}

/// `minimum_per_zone`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZoneMinimum {
    /// So many units.
    Units(u64),
    /// This percentage (0 to 100) of baseline / number of zones, rounded up.
    Percent(Decimal),
}

impl ZoneMinimum {
    /// Units that a zone must keep, of `zones` zones. Rounded up: a minimum never shrinks by rounding.
    pub(crate) fn units(self, baseline: u64, zones: usize) -> u64 {
        match self {
            Self::Units(units) => units,
            Self::Percent(percent) => {
                let share = Decimal::from(baseline) * percent / Decimal::from(zones.max(1) * 100);
                // Decimal division rounds at 28 digits: a product of the inputs decides the ceiling exactly.
                let mut units = u64::try_from(share.trunc()).unwrap_or(u64::MAX);
                while Decimal::from(units) * Decimal::from(zones.max(1) * 100) < Decimal::from(baseline) * percent {
                    units += 1;
                }
                units
            }
        }
    }
}

/// `units`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitsSource {
    /// Every host counts for 1.
    One,
    /// The positive integer in this tag.
    Tag(String),
    /// By instance type, positive.
    InstanceType(BTreeMap<String, u64>),
}

/// `[pace]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacePolicy {
    /// Hosts that one run may take, at least 1.
    pub max_hosts_per_run: u64,
    /// How much one batch may take.
    pub batch: BatchLimit,
    /// From one batch's verified termination to the next cordon.
    #[serde(with = "duration_ms")]
    pub interval: Duration,
    /// Batches of 1, 2, 4, … up to `batch`.
    pub ramp: bool,
    /// Percentage (0 to 100) of the subsystem's hosts in any state that may not serve already; 100 is no limit.
    #[serde(deserialize_with = "percent_or_no_limit")]
    pub max_unserving: Decimal,
    /// Zones that one batch may touch, at least 1.
    pub zones_per_batch: Option<u64>,
    /// Refuse while the groups' recent launches fail.
    pub requires_launch: bool,
    /// Hosts per window of time, all runs counted together. Required in the file; empty only where `[]` was written.
    pub budgets: Vec<Budget>,
}

/// `max_unserving` where a policy does not say otherwise, in per cent. Others draw the same line: Karpenter repairs no
/// node while more than 20% of its pool is unhealthy (its documentation, "Node Auto Repair"), Azure upgrades no scale set
/// in which more than 20% of the instances are (`maxUnhealthyInstancePercent`).
pub(crate) const MAX_UNSERVING: Decimal = Decimal::from_parts(20, 0, 0, false, 0);

/// Ledgers of earlier versions keep policies that set no limit.
fn percent_or_no_limit<'de, D: Deserializer<'de>>(from: D) -> Result<Decimal, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(Decimal::ONE_HUNDRED))
}

/// `batch`: hosts, or units resolved from a percentage of baseline (rounded down, at least 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchLimit {
    /// So many hosts.
    Hosts(u64),
    /// So many units: hosts join while their units fit. A batch always takes at least one host.
    Units(u64),
}

/// One budget: at most `hosts` in any window of `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Budget {
    /// Hosts, at least 1. A percentage of baseline is resolved, rounded down.
    pub hosts: u64,
    /// The window.
    #[serde(with = "duration_ms")]
    pub per: Duration,
}

/// `[health]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthPolicy {
    /// How long the system is watched without a batch before the batch is terminated.
    #[serde(with = "duration_ms")]
    pub bake: Duration,
    /// Sampling period, from start to start.
    #[serde(with = "duration_ms")]
    pub every: Duration,
    /// What is read. May be empty: then the plan warns that only the fleet's own state is watched.
    pub probes: Vec<ProbeSpec>,
}

/// `[[health.probe]]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeSpec {
    /// Unique within its subsystem.
    pub(crate) name: String,
    /// What is read, and where.
    #[serde(flatten)]
    pub(crate) kind: ProbeKind,
    /// A read that takes longer is a bad sample. Where the file has none: `every`, at most 10 s.
    #[serde(with = "duration_ms")]
    pub(crate) timeout: Duration,
    /// What makes a number good.
    pub(crate) limits: Limits,
    /// Consecutive bad samples that make a regression, at least 1.
    pub(crate) failures: u64,
}

/// Probe kinds of this version. The AWS and Prometheus kinds join with the issue on health.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum ProbeKind {
    /// A metric of the simulated fleet, of the probe's own subsystem.
    Simulated {
        /// Which.
        metric: SimulatedMetric,
    },
    /// A request; the reading is the number at `pointer`, or milliseconds.
    Http {
        /// `http://` or `https://`.
        url: String,
        /// `GET` by default.
        method: String,
        /// Statuses that are good; never empty.
        expect_status: BTreeSet<u16>,
        /// JSON pointer to a number.
        pointer: Option<String>,
    },
    /// A connection; the reading is milliseconds.
    Tcp {
        /// `host:port`
        address: String,
    },
    /// A program, never a shell. Exit status 0 is good; a number alone on stdout is the reading.
    Exec {
        /// Program and arguments; never empty. A program with a `/` is relative to the policy file.
        command: Vec<String>,
    },
}

/// `metric` of a simulated probe (contract section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SimulatedMetric {
    /// Share of requests that fail, 0 to 1.
    ErrorRate,
    /// Milliseconds.
    LatencyMs,
    /// Demand over capacity.
    Utilization,
}

/// Limits of a numeric probe. All finite. The relative ones are percentages of the reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// A reading above is bad.
    pub(crate) max: Option<f64>,
    /// A reading below is bad.
    pub(crate) min: Option<f64>,
    /// A reading this many per cent above the reference is bad. At least 0, may exceed 100.
    pub(crate) max_increase: Option<Decimal>,
    /// A reading this many per cent below the reference is bad. 0 to 100.
    pub(crate) max_decrease: Option<Decimal>,
}

/// `[confirm]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmPolicy {
    /// `--yes` is enough up to this many hosts.
    pub(crate) unattended_max: u64,
    /// A run must say why.
    pub(crate) require_reason: bool,
    /// A count above this many times the largest completed removal of the last 90 days is unusual.
    pub(crate) unusual: Option<Decimal>,
    /// How many other identities must approve a plan of more than `above` hosts.
    pub(crate) approvals: Vec<ApprovalRule>,
}

/// One approval rule. Enforced as a refusal until approvals exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ApprovalRule {
    /// Applies to plans of more hosts than this.
    pub(crate) above: u64,
    /// So many approvers, at least 1.
    pub(crate) count: u64,
}

/// `[windows]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windows {
    /// IANA time zone, known to the database.
    pub(crate) zone: String,
    /// When removal is allowed; empty is always.
    pub(crate) allow: Vec<AllowWindow>,
    /// When it is not, whatever `allow` says. Whole days of `zone`, both ends included.
    pub(crate) freeze: Vec<Freeze>,
}

/// `Mon-Thu 09:00-16:00`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AllowWindow {
    /// Days of the week, 1 (Monday) to 7.
    pub(crate) days: BTreeSet<u8>,
    /// Minutes since midnight, included.
    pub(crate) from: u16,
    /// Minutes since midnight, excluded; `1440` is the end of the day. Event midnight where it is not after `from`.
    pub(crate) to: u16,
    /// As written, for messages.
    pub(crate) text: String,
}

/// One freeze.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Freeze {
    /// First day.
    pub(crate) from: jiff::civil::Date,
    /// Last day.
    pub(crate) to: jiff::civil::Date,
    /// Why.
    pub(crate) why: String,
}

/// Durations as whole milliseconds in what the ledger keeps.
pub(crate) mod duration_ms {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(of: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(u64::try_from(of.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        u64::deserialize(d).map(Duration::from_millis)
    }
}
