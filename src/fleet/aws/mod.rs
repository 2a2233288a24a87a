//! Auto Scaling groups and plain EC2 instances of one account and region, behind [`crate::ports::Fleet`].
//!
//! The main type is [`AwsFleet`]. It must not retry an effect, name a desired size, or infer what AWS did not say.
//! docs/aws.md lists the traps; each file here handles some of them:
//!
//! | file | what it is for |
//! | --- | --- |
//! | [`client`] | SDK clients: for reads with retries, for effects with a single attempt |
//! | [`clock`], [`answers`] | the checks of every answer: AWS's clock agrees, and nothing was cut off |
//! | [`errors`], [`codes`] | the meaning of an SDK error: an outcome for effects, a hint for reads |
//! | [`signatures`] | how long AWS takes a signature, by what its refusals say |
//! | [`observe`] | what is read for an observation, and in which order |
//! | [`part`], [`queries`], [`registered`] | the part of a region that a run has to see: by names, ids and target groups |
//! | [`pages`], [`details`] | lists to their last page; what costs several calls a group |
//! | [`pace`] | how fast AWS is asked: half of each token bucket that it publishes |
//! | [`hosts`], [`groups`], [`targets`] | from SDK types to the model: pure, no network |
//! | [`addresses`] | which host has an address, in which VPC |
//! | [`changes`] | what changes a group's size by itself, and when |
//! | [`controllers`] | which target groups a controller keeps filled |
//! | [`managed`] | which instances something else launches again |
//! | [`held`] | what keeps a member on its way out, in words |
//! | [`activities`] | what a group says that it did, and why |
//! | [`tags`] | the tags of an instance |
//! | [`marker`] | how a cordon outside groups is recorded on the instance |
//! | [`effects`], [`guards`] | one call each, and the checks right before it |
//! | [`permissions`] | trials without effect |
//!
//! # How AWS's states are read
//!
//! * *In service*: a group member that is `InService` and running, or stopped in a group that does not replace it (it
//!   fails, and cannot be taken); an instance outside groups that is running and not cordoned.
//! * *Cordoned*: a member in `Standby` that no target group sends work to; outside groups: an instance
//!   with the [`marker`] whose deregistration delay has passed everywhere.
//! * *Terminating*: `Terminating*` (also when a lifecycle hook holds it), `Detaching`, `shutting-down`,
//!   and a member that is stopped in a group that replaces it.
//! * *Pending*: everything in between, neither capacity nor candidate: `Pending*`, `Warmed*` (warm pool),
//!   `EnteringStandby`, an instance outside groups that is half cordoned, still draining or stopped, and
//!   every state that AWS may introduce later.
//! * *Gone*: `terminated`, as EC2 reports it. That a list lacks an instance proves nothing.
//!
//! # What healthy means
//!
//! The group's `Healthy` is only the instance status check unless load-balancer health is switched on (Amazon EC2 Auto
//! Scaling User Guide, "Health checks for instances in an Auto Scaling group"). So a host is healthy here where the
//! group says so, *and* every target group that the instance is registered in or its group is attached to says so,
//! *and* no status check is impaired. Outside groups, where nothing else reports on the instance, both status checks
//! must say `ok`. A registration in a target group that no load balancer uses (`Target.NotInUse`) brings no work and no
//! information: it does not count against a host. A target that is one of a host's addresses, in the target group's VPC,
//! counts like the host ([`addresses`]).
//!
//! Not healthy does not mean idle. A host is *failed* only where EC2 calls it `impaired`. Every other check that does
//! not pass makes it *doubtful*, with the state that each target group reports, because load balancers send work to
//! failing targets where none passes (Elastic Load Balancing, "Health checks for your target groups": "the load
//! balancer fails open").
//!
//! # What is not observed
//!
//! Classic Load Balancers and VPC Lattice (a group with one of them has a note); targets by an address that EC2 does not
//! describe with the instance (of a branch network interface, as Kubernetes and ECS give to containers); and whether an instance has termination protection: EC2 reports that only for one instance at a time, so it
//! is read for the hosts of a cordon and of a termination right before the call ([`guards`]), and on request
//! ([`Fleet::protections`]).

mod activities;
mod addresses;
mod answers;
mod changes;
mod client;
mod clock;
mod codes;
mod controllers;
mod details;
mod effects;
mod errors;
mod groups;
mod guards;
mod held;
mod hosts;
mod managed;
mod marker;
mod observe;
mod pace;
mod pages;
mod part;
mod permissions;
mod queries;
mod registered;
mod signatures;
mod tags;
mod targets;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::{Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityOutput;

use crate::credentials;
use crate::model::{
    Bounds, CallOutcome, FleetIdentity, FleetSnapshot, GroupName, HostId, HostTargets, Protection, Scope, Time,
    duration_text, partition_of,
};
use crate::policy::{AssumedRole, PolicySet};
use crate::ports::{Fleet, FleetError, Lasting, Permission, RecordedCall, Trials};

pub use client::Timeouts;

/// The tag that names the ledger, on groups (not propagated) and on instances outside groups.
pub(crate) const LEDGER_TAG: &str = "safe-remove:ledger";

/// Identifies the fleet, and says how far its answers are relied on.
#[derive(Clone, Debug)]
pub struct AwsSettings {
    /// `us-east-1`
    pub region: String,
    /// Twelve digits. Credentials of any other account are refused.
    pub account: String,
    /// The role to assume; `None` uses the credentials as they are.
    pub role: Option<AssumedRole>,
    /// How far in the past an answer may lie; `None` stands for the value of [`Bounds::AWS`].
    pub settle: Option<Duration>,
    /// The timeouts and limits of calls.
    pub timeouts: Timeouts,
}

/// A fleet on AWS whose account was checked.
#[derive(Debug)]
pub struct AwsFleet {
    identity: FleetIdentity,
    bounds: Bounds,
    timeouts: Timeouts,
    credentials: Option<SharedCredentialsProvider>,
    clients: client::Clients,
    pace: pace::Pace,
    clock: Arc<clock::ClockWatch>,
    signatures: signatures::Lives,
    /// The policies that the caller goes by, if it said so.
    policies: Option<Arc<PolicySet>>,
    /// Details change rarely and cost calls per group: they are read again after [`client::DETAIL_AGE`].
    details: Mutex<BTreeMap<GroupName, details::Remembered>>,
    /// The controllers of target groups, read again after [`client::DETAIL_AGE`] as well.
    controllers: Mutex<BTreeMap<String, (Time, Option<&'static str>)>>,
    /// The target groups of the region, and whom they listed.
    seen: Mutex<registered::Seen>,
    /// Hosts found to have termination protection: later observations report it.
    protected: Mutex<BTreeSet<HostId>>,
}

impl AwsFleet {
    /// Opens the fleet, with the credentials of the default chain (environment, profile, SSO, instance role) and the
    /// endpoints from the environment (`AWS_ENDPOINT_URL`).
    ///
    /// # Errors
    ///
    /// [`FleetError::WrongFleet`] where the credentials are of another account, [`FleetError::Clock`] where AWS's clock
    /// and this machine's disagree, [`FleetError::Provider`] for the rest.
    pub(crate) async fn open(settings: AwsSettings) -> Result<Self, FleetError> {
        let sdk = credentials::sdk(Some(&settings.region), settings.role.as_ref()).await;
        Self::connect(&sdk, settings).await
    }

    /// As [`AwsFleet::open`], for callers that bring their own credentials and endpoint.
    ///
    /// # Errors
    ///
    /// As [`AwsFleet::open`].
    pub async fn connect(sdk: &SdkConfig, settings: AwsSettings) -> Result<Self, FleetError> {
        let bounds = Bounds { settle: settings.settle.unwrap_or(Bounds::AWS.settle), ..Bounds::AWS };
        let clock = Arc::new(clock::ClockWatch::new(bounds.tolerance));
        let sdk = sdk.clone().into_builder().region(Region::new(settings.region.clone())).build();
        let clients = client::Clients::new(&sdk, &settings.timeouts, &clock);
        let credentials = sdk.credentials_provider();
        let caller = caller(&clients, credentials.as_ref(), &clock).await?;
        let account = caller.account().unwrap_or_default();
        if account != settings.account {
            return Err(FleetError::WrongFleet(format!(
                "the credentials are of account {account} ({}), the policy names account {}",
                caller.arn().unwrap_or("no ARN"),
                settings.account,
            )));
        }
        Ok(Self {
            identity: FleetIdentity {
                kind: "aws".to_owned(),
                partition: Some(partition_of(&settings.region).to_owned()),
                account: Some(settings.account),
                region: Some(settings.region),
                id: None,
                caller: caller.arn().map(str::to_owned),
            },
            bounds,
            timeouts: settings.timeouts,
            credentials,
            clients,
            pace: pace::Pace::new(),
            clock,
            signatures: signatures::Lives::default(),
            policies: None,
            details: Mutex::default(),
            controllers: Mutex::default(),
            seen: Mutex::default(),
            protected: Mutex::default(),
        })
    }

    /// The account whose credentials these are, for who has no policy that names it.
    ///
    /// # Errors
    ///
    /// As [`AwsFleet::open`].
    pub(crate) async fn account(sdk: &SdkConfig, region: &str) -> Result<String, FleetError> {
        let sdk = sdk.clone().into_builder().region(Region::new(region.to_owned())).build();
        let clock = Arc::new(clock::ClockWatch::new(Bounds::AWS.tolerance));
        let clients = client::Clients::new(&sdk, &Timeouts::default(), &clock);
        let caller = caller(&clients, sdk.credentials_provider().as_ref(), &clock).await?;
        Ok(caller.account().unwrap_or_default().to_owned())
    }

    /// The same for a caller that goes by these policies: what only groups need that no policy selects hosts of is not read.
    /// Their sizes, members and contradictions are.
    pub(crate) fn going_by(self, policies: Arc<PolicySet>) -> Self {
        Self { policies: Some(policies), ..self }
    }

    /// The client for reads of Auto Scaling, once there is a token for a call.
    async fn autoscaling(&self) -> &aws_sdk_autoscaling::Client {
        self.pace.groups.take().await;
        &self.clients.reads.autoscaling
    }

    /// The same for EC2.
    async fn ec2(&self) -> &aws_sdk_ec2::Client {
        self.pace.hosts.take().await;
        &self.clients.reads.ec2
    }

    /// The same for load balancers.
    async fn elb(&self) -> &aws_sdk_elasticloadbalancingv2::Client {
        self.pace.target_groups.take().await;
        &self.clients.reads.elb
    }

    /// Waits for credentials before the time of a call begins: a source may be slow.
    async fn ready(&self) -> Result<(), FleetError> {
        credentials::ready(self.credentials.as_ref()).await.map_err(|error| errors::no_credentials(&error))
    }

    /// An observation of the scope, or of the whole region.
    async fn observe_within(&self, scope: Option<&Scope>, limit: Duration) -> Result<FleetSnapshot, FleetError> {
        self.ready().await?;
        match tokio::time::timeout(limit, observe::observe(self, scope)).await {
            Ok(answer) => answer,
            Err(_) => Err(errors::too_slow(self.region(), &duration_text(limit))),
        }
    }

    fn region(&self) -> &str {
        self.identity.region.as_deref().unwrap_or_default()
    }
}

/// Whose credentials these are, by a clock that agrees with this machine's.
async fn caller(
    clients: &client::Clients,
    credentials: Option<&SharedCredentialsProvider>,
    clock: &clock::ClockWatch,
) -> Result<GetCallerIdentityOutput, FleetError> {
    credentials::ready(credentials).await.map_err(|error| errors::no_credentials(&error))?;
    let caller = clients.sts.get_caller_identity().send().await;
    clock.verdict()?;
    let caller =
        caller.map_err(|e| errors::provider("ask AWS whose credentials these are", "sts:GetCallerIdentity", &e))?;
    clock.proved()?;
    Ok(caller)
}

#[async_trait]
impl Fleet for AwsFleet {
    fn identity(&self) -> &FleetIdentity {
        &self.identity
    }

    fn bounds(&self) -> Bounds {
        self.bounds
    }

    fn resume_by_hand(&self) -> Option<&'static str> {
        Some("aws autoscaling resume-processes --auto-scaling-group-name GROUP --scaling-processes AZRebalance")
    }

    /// Sources: hashicorp/terraform-provider-aws#33492 (from 5.0.0 on, `aws_autoscaling_group.tag` drops what is not in
    /// the code; the maintainers name these two ways out) and #13868 (`ignore_tags` holds for that resource);
    /// `desired_capacity` is optional and computed in its schema, so that code without it leaves the size alone.
    fn infrastructure_code(&self) -> Option<&'static str> {
        Some(
            "Terraform (AWS provider 5.0 or later) removes the tag at its next apply, unless its provider block has \
             ignore_tags { key_prefixes = [\"safe-remove:\"] } or the group ignore_changes = [tag]; and where its code \
             has desired_capacity, an apply launches again what was removed: leave it out, or ignore its changes",
        )
    }

    async fn observe(&self) -> Result<FleetSnapshot, FleetError> {
        self.observe_within(None, self.timeouts.observation).await
    }

    async fn observe_part(&self, scope: &Scope) -> Result<FleetSnapshot, FleetError> {
        self.observe_within(Some(scope), self.timeouts.part).await
    }

    async fn protections(&self, hosts: &[HostId]) -> Result<BTreeMap<HostId, Protection>, FleetError> {
        self.ready().await?;
        let protected = guards::termination_protected(self, hosts).await?;
        Ok(protected.into_iter().map(|host| (host, Protection::Termination)).collect())
    }

    async fn lasting(&self) -> Lasting {
        credentials::lasting(self.credentials.as_ref()).await
    }

    async fn try_permissions(
        &self,
        trials: Trials,
        groups: &BTreeSet<GroupName>,
        outside: &HostTargets,
    ) -> Result<Vec<Permission>, FleetError> {
        self.ready().await?;
        permissions::tried(self, trials, groups, outside).await
    }

    async fn perform(&self, call: RecordedCall) -> CallOutcome {
        // Certainly not sent, and another attempt may find credentials.
        if let Err(error) = self.ready().await {
            return guards::NotSent::from(error).into();
        }
        effects::perform(self, call.call()).await
    }
}

/// This machine's clock, to the millisecond.
fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
