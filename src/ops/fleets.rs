//! Opens the fleet that the policies name. Only this module knows all providers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::fleet::simulated::{ClockKind, LoadMembership, OpenError, Scenario, SimulatedFleet};
use crate::model::{FleetIdentity, SubsystemName, Time, partition_of};
use crate::output::{Check, ClockSpeed};
use crate::plan::weight;
use crate::policy::{AssumedRole, FleetConfig, PolicySet, ProviderKind, SimulatedMetric, SubsystemPolicy};
use crate::ports::{Clock, Fleet};
use crate::probe::SimulatedMetrics;

use super::clock::SystemClock;
use super::error::OperationError;

/// A fleet, its clock, and the source of its simulated probes.
pub(crate) struct Opened {
    pub(crate) fleet: Arc<dyn Fleet>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Option<Arc<dyn SimulatedMetrics>>,
}

/// Opens the fleet that the policies name.
pub(crate) async fn open(policies: &Arc<PolicySet>) -> Result<Opened, OperationError> {
    let provider = &policies.fleet.provider;
    match &provider.kind {
        ProviderKind::Simulated { scenario, state } => {
            let fleet = simulated(scenario, state, provider.settle)?;
            let metrics = Metrics::new(Arc::clone(&fleet), policies);
            Ok(Opened { fleet: fleet.clone(), clock: fleet, metrics: Some(Arc::new(metrics)) })
        }
        ProviderKind::Aws { region, account, role } => {
            aws(region, account, role.as_ref(), provider.settle, Some(policies)).await
        }
    }
}

/// The fleet that `fleet.toml` names, for looking at it without any policy.
pub(crate) async fn open_alone(fleet: &FleetConfig) -> Result<Arc<dyn Fleet>, OperationError> {
    let provider = &fleet.provider;
    match &provider.kind {
        ProviderKind::Simulated { scenario, state } => Ok(simulated(scenario, state, provider.settle)?),
        ProviderKind::Aws { region, account, role } => {
            Ok(aws(region, account, role.as_ref(), provider.settle, None).await?.fleet)
        }
    }
}

/// The identity of the fleet that `fleet.toml` names, for commands that do not need the fleet itself.
pub(crate) fn named_identity(fleet: &FleetConfig) -> FleetIdentity {
    match &fleet.provider.kind {
        ProviderKind::Simulated { scenario, state } => {
            // Its id is in its state file, and looking it up must not create that file.
            let open = || simulated(scenario, state, fleet.provider.settle).ok();
            let found = if state.exists() { open() } else { None };
            let unseen = || FleetIdentity { kind: "simulated".to_owned(), ..FleetIdentity::default() };
            found.map_or_else(unseen, |fleet| fleet.identity().clone())
        }
        ProviderKind::Aws { region, account, .. } => FleetIdentity {
            kind: "aws".to_owned(),
            partition: Some(partition_of(region).to_owned()),
            account: Some(account.clone()),
            region: Some(region.clone()),
            ..FleetIdentity::default()
        },
    }
}

/// How fast a simulated fleet's clock runs; `None` where it is the one on the wall, or its scenario cannot be read.
pub(crate) fn clock_speed(fleet: &FleetConfig) -> Option<ClockSpeed> {
    let ProviderKind::Simulated { scenario, .. } = &fleet.provider.kind else { return None };
    match Scenario::clock_of(scenario)? {
        ClockKind::Virtual => Some(ClockSpeed::Skips),
        ClockKind::Real(speed) => (speed != 1.0).then_some(ClockSpeed::Times(speed)),
    }
}

/// Opens the simulated fleet. Creates its state file where it does not exist: the fleet then exists, untouched.
pub(crate) fn simulated(
    scenario: &Path,
    state: &Path,
    settle: Option<Duration>,
) -> Result<Arc<SimulatedFleet>, OperationError> {
    SimulatedFleet::open(scenario, state, settle).map_err(|error| match error {
        OpenError::Scenario(error) => OperationError::Scenario(error),
        OpenError::Fleet(error) => OperationError::Fleet(error),
    })
}

/// The fleet's time where the fleet exists already, otherwise the machine's. Never creates a fleet.
pub(crate) fn now(fleet: &FleetConfig) -> Time {
    if let ProviderKind::Simulated { scenario, state } = &fleet.provider.kind
        && state.exists()
        && let Ok(fleet) = simulated(scenario, state, fleet.provider.settle)
    {
        return fleet.now();
    }
    SystemClock.now()
}

/// The source of simulated probes: the fleet's load, with the policies' rules for who serves what.
struct Metrics {
    fleet: Arc<SimulatedFleet>,
    membership: Arc<LoadMembership>,
}

impl Metrics {
    fn new(fleet: Arc<SimulatedFleet>, policies: &PolicySet) -> Self {
        let matcher = policies.matcher();
        let depends_on = policies.subsystems.values().map(|s| (s.name.clone(), s.depends_on.clone())).collect();
        let membership = fleet.membership(depends_on, |host| {
            let subsystems = matcher.membership(host).subsystems;
            let policies = subsystems.iter().filter_map(|name| policies.subsystems.get(name));
            // A host without a usable weight bears nothing here; no plan is made for such a fleet.
            let bears = |policy: &SubsystemPolicy| weight(&policy.capacity.units, host).unwrap_or(0);
            policies.map(|policy| (policy.name.clone(), bears(policy))).collect()
        });
        Self { fleet, membership: Arc::new(membership) }
    }
}

#[async_trait]
impl SimulatedMetrics for Metrics {
    async fn metric(&self, subsystem: &SubsystemName, metric: SimulatedMetric) -> Result<f64, String> {
        self.fleet.metric(&self.membership, subsystem, metric).await.map_err(|error| error.to_string())
    }
}

/// What the environment has for AWS and its SDK does not do, or does by it; empty where nothing of the fleet is on AWS.
#[cfg(any(feature = "aws", feature = "dynamodb"))]
pub(crate) fn environment(fleet: &FleetConfig) -> Vec<Check> {
    use crate::output::CheckState;
    use crate::policy::LedgerKind;

    let is_aws =
        matches!(fleet.provider.kind, ProviderKind::Aws { .. }) || matches!(fleet.ledger.kind, LedgerKind::Dynamodb(_));
    let told = if is_aws { crate::credentials::told() } else { Vec::new() };
    let check = |told: crate::credentials::Told| {
        let state = match (told.hinders, &told.advice) {
            (true, _) => CheckState::Bad,
            (false, Some(_)) => CheckState::Warning,
            (false, None) => CheckState::Ok,
        };
        Check::ok("environment", told.found).is(state).advice(told.advice)
    };
    told.into_iter().map(check).collect()
}

#[cfg(not(any(feature = "aws", feature = "dynamodb")))]
pub(crate) fn environment(_fleet: &FleetConfig) -> Vec<Check> {
    Vec::new()
}

#[cfg(feature = "aws")]
async fn aws(
    region: &str,
    account: &str,
    role: Option<&AssumedRole>,
    settle: Option<Duration>,
    policies: Option<&Arc<PolicySet>>,
) -> Result<Opened, OperationError> {
    use crate::fleet::aws::{AwsFleet, AwsSettings, Timeouts};

    let (region, account, role) = (region.to_owned(), account.to_owned(), role.cloned());
    let settings = AwsSettings { region, account, role, settle, timeouts: Timeouts::default() };
    let fleet = AwsFleet::open(settings).await.map_err(OperationError::Fleet)?;
    let fleet = match policies {
        Some(policies) => fleet.going_by(Arc::clone(policies)),
        None => fleet,
    };
    Ok(Opened { fleet: Arc::new(fleet), clock: Arc::new(SystemClock), metrics: None })
}

/// Region and account of the caller: the region that was asked for, or the environment's.
#[cfg(feature = "aws")]
pub(crate) async fn callers(region: Option<&str>) -> Result<(String, String), OperationError> {
    use crate::fleet::aws::AwsFleet;

    let sdk = crate::credentials::sdk(region, None).await;
    let Some(region) = sdk.region().map(ToString::to_string) else {
        return Err(OperationError::usage("which region is meant?", "--region us-east-1, or set AWS_REGION"));
    };
    let account = AwsFleet::account(&sdk, &region).await.map_err(OperationError::Fleet)?;
    Ok((region, account))
}

#[cfg(not(feature = "aws"))]
pub(crate) async fn callers(_region: Option<&str>) -> Result<(String, String), OperationError> {
    Err(OperationError::WithoutAws)
}

#[cfg(not(feature = "aws"))]
async fn aws(
    _region: &str,
    _account: &str,
    _role: Option<&AssumedRole>,
    _settle: Option<Duration>,
    _policies: Option<&Arc<PolicySet>>,
) -> Result<Opened, OperationError> {
    Err(OperationError::WithoutAws)
}
