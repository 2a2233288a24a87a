//! The fleet, the ledger, the probes and the clock that the policy directory names; opened, never changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::coordination::{Command, Context, FleetRecord, Refusal, decide, is_race};
use crate::driver::{self, Unchanged, amend};
use crate::fleet::simulated::{Membership, OpenError, SimulatedFleet};
use crate::health;
use crate::ledger::{Memory, remembered};
use crate::model::{
    FleetIdentity, FleetName, FleetSnapshot, HostId, ProbeKey, RunId, SubsystemName, Time, partition_of,
};
use crate::output::Place;
use crate::plan::{AssessError, Inputs, LedgerView, Plan, Request, weight};
use crate::policy::{self, FleetConfig, LedgerKind, PolicySet, ProviderKind, SimulatedMetric, SubsystemPolicy};
use crate::ports::{Clock, Fleet, Ledger, Prober, Version};
use crate::probe::{Probes, SimulatedMetrics};

use super::args::Global;
use super::error::CommandError;
use super::{Exit, engines, process};

/// Writes of others that may come first.
const CONFLICTS: u32 = 200;

/// What takes no capacity waits for nobody: whose process is silent is not asked.
static NOBODY: BTreeSet<RunId> = BTreeSet::new();

/// Everything that a command may look at.
pub(super) struct World {
    pub(super) policies: Arc<PolicySet>,
    pub(super) fleet: Arc<dyn Fleet>,
    pub(super) prober: Arc<dyn Prober>,
    pub(super) clock: Arc<dyn Clock>,
    /// When this command began, by the same clock.
    pub(super) began_at: Time,
    /// A reader: it creates nothing, and every write through it is refused.
    pub(super) ledger: LedgerReader,
}

impl World {
    /// Reads the policies, then opens what they name.
    pub(super) async fn open(global: &Global) -> Result<Self, CommandError> {
        Self::of(policies(global)?).await
    }

    /// Opens what these policies name.
    pub(super) async fn of(policies: Arc<PolicySet>) -> Result<Self, CommandError> {
        Self::open_with(policies, async |fleet, now| LedgerReader::open(fleet, now).await).await
    }

    /// The same with a ledger that may be a copy, or an older state: for who adopts it.
    pub(super) async fn open_unchecked(global: &Global) -> Result<Self, CommandError> {
        let policies = policies(global)?;
        Self::open_with(policies, async |fleet, now| LedgerReader::open_unchecked(fleet, now).await).await
    }

    async fn open_with(
        policies: Arc<PolicySet>,
        reader: impl AsyncFnOnce(&FleetConfig, Time) -> Result<LedgerReader, CommandError>,
    ) -> Result<Self, CommandError> {
        let provider = &policies.fleet.provider;
        let (fleet, clock, simulated): (Arc<dyn Fleet>, Arc<dyn Clock>, _) = match &provider.kind {
            ProviderKind::Simulated { scenario, state } => {
                let fleet = simulated(scenario, state, provider.settle)?;
                (fleet.clone(), fleet.clone(), Some(fleet))
            }
            ProviderKind::Aws { region, account } => aws(region, account, provider.settle).await?,
        };
        let metrics = simulated.map(|fleet| Arc::new(Metrics::new(fleet, &policies)) as Arc<dyn SimulatedMetrics>);
        let prober = Arc::new(Probes::new(Arc::clone(&clock), metrics));
        let began_at = clock.now();
        let ledger = reader(&policies.fleet, began_at).await?;
        Ok(Self { policies, fleet, prober, clock, began_at, ledger })
    }

    /// Observes the fleet and reads the ledger, which must be of this fleet.
    ///
    /// # Errors
    ///
    /// Exit 5 where the record is of another fleet (S3): nothing may be concluded about one from the other.
    pub(super) async fn look(&self) -> Result<Seen, CommandError> {
        let seen = self.look_at_any().await?;
        seen.record.is_of(self.fleet.identity()).map_err(other_fleet)?;
        Ok(seen)
    }

    /// The same, whichever fleet the record is of: for `ledger adopt`.
    pub(super) async fn look_at_any(&self) -> Result<Seen, CommandError> {
        let snapshot = self.fleet.observe().await.map_err(CommandError::Fleet)?;
        // The ledger after the fleet: a host that was removed in between is claimed here and absent there, never the
        // other way round.
        let (_, record) = self.ledger.read().await?;
        let now = self.clock.now();
        let runs = record.runs.keys().cloned().collect();
        let (journals, bounds) = (self.ledger.journals(), self.fleet.bounds());
        let silent = driver::silent(journals, &process::Here, &record, &runs, bounds, now).await;
        let view = record.view(None, &silent, now);
        Ok(Seen { snapshot, record, view, silent, now })
    }

    /// What a person's command is decided by, one that takes no capacity.
    pub(super) fn context(&self) -> Context<'_> {
        Context {
            policies: &self.policies,
            identity: self.fleet.identity(),
            bounds: self.fleet.bounds(),
            now: self.clock.now(),
            silent: &NOBODY,
            room: None,
        }
    }

    /// Changes the record by such a command. `unchanged` makes an error of the reason why it was not.
    pub(super) async fn change(
        &self,
        ledger: &dyn Ledger,
        command: &Command<'_>,
        unchanged: impl FnOnce(String) -> CommandError,
    ) -> Result<(), CommandError> {
        let context = self.context();
        let decided = |record: &FleetRecord| decide(record, command, &context).map(|(next, _)| (Some(next), ()));
        amend(ledger, CONFLICTS, decided).await.map_err(|why| match why {
            Unchanged::Refused(refusal) => unchanged(refusal.to_string()),
            Unchanged::Busy(others) => unchanged(format!("{others} writes of others came first")),
            Unchanged::Lost(error) => CommandError::Ledger(error),
        })
    }

    /// Where all this is.
    pub(super) fn place(&self) -> Place {
        self.ledger.place(&self.policies.fleet.name, &self.policies.directory, self.fleet.identity().clone())
    }

    /// Plans the request, every watched probe read once, and every protection asked for that concerns it.
    pub(super) async fn plan(&self, request: &Request, seen: &mut Seen) -> Result<Plan, CommandError> {
        let plan = self.plan_of_unprotected(request, seen).await?;
        // Whose probes are read depends on the hosts, which the first plan has chosen.
        let watched: BTreeSet<SubsystemName> = plan.document.watched.iter().cloned().collect();
        let bad = self.bad_probes(&watched).await;
        let mut plan =
            if bad.is_empty() { plan } else { self.plan_with(request, seen, &bad).map_err(CommandError::Assess)? };
        plan.document.warnings.extend(self.ledger.warning(&seen.record));
        Ok(plan)
    }

    /// Whether a refused plan would be allowed but for what other runs hold, claim or have just removed (S9: a race is
    /// never exit 3).
    pub(super) fn is_race(&self, request: &Request, seen: &Seen, plan: &Plan) -> Result<bool, CommandError> {
        let view = seen.record.alone(None, &seen.silent).view(None, &seen.silent, seen.now);
        let none = BTreeMap::new();
        let inputs = Inputs { ledger: &view, ..self.inputs(seen, &none) };
        let alone = crate::plan::plan(&inputs, request).map_err(CommandError::Assess)?;
        let (violations, without) = (&plan.document.violations, &alone.document.violations);
        Ok(is_race(&seen.record, &seen.silent, self.began_at, violations, without))
    }

    /// A plan whose hosts were all asked for the protections that no observation shows. Where one has such a
    /// protection the plan is made again, with what is known now.
    async fn plan_of_unprotected(&self, request: &Request, seen: &mut Seen) -> Result<Plan, CommandError> {
        let none = BTreeMap::new();
        let mut asked = BTreeSet::new();
        loop {
            let plan = self.plan_with(request, seen, &none).map_err(CommandError::Assess)?;
            let chosen = plan.document.batches.iter().flat_map(|batch| &batch.hosts).map(|host| &host.id);
            let unasked: Vec<HostId> = chosen.filter(|id| !asked.contains(*id)).cloned().collect();
            // Every turn asks for hosts that were not asked for before: there are at most as many turns as hosts.
            if unasked.is_empty() {
                return Ok(plan);
            }
            let protected = self.fleet.protections(&unasked).await.map_err(CommandError::Fleet)?;
            if protected.is_empty() {
                return Ok(plan);
            }
            asked.extend(unasked);
            seen.snapshot.protect(&protected);
        }
    }

    /// Every probe of these subsystems, read once; those that are bad, each with the reason.
    pub(super) async fn bad_probes(&self, watched: &BTreeSet<SubsystemName>) -> BTreeMap<ProbeKey, String> {
        let specs = health::probes_of(&self.policies, watched);
        let samples = specs.iter().map(|(key, spec)| self.prober.sample(&key.subsystem, spec));
        let samples = futures_util::future::join_all(samples).await;
        health::bad_now(&samples, &specs)
    }

    fn plan_with(
        &self,
        request: &Request,
        seen: &Seen,
        bad_probes: &BTreeMap<ProbeKey, String>,
    ) -> Result<Plan, AssessError> {
        crate::plan::plan(&self.inputs(seen, bad_probes), request)
    }

    /// What a decision may depend on.
    pub(super) fn inputs<'a>(&'a self, seen: &'a Seen, bad_probes: &'a BTreeMap<ProbeKey, String>) -> Inputs<'a> {
        Inputs {
            policies: &self.policies,
            snapshot: &seen.snapshot,
            ledger: &seen.view,
            bad_probes,
            identity: self.fleet.identity(),
            bounds: self.fleet.bounds(),
            now: seen.now,
        }
    }

    /// Everything that a run touches.
    pub(super) fn places(&self, ledger: Arc<dyn Ledger>) -> driver::World {
        driver::World {
            fleet: Arc::clone(&self.fleet),
            ledger: driver::under_faults(ledger),
            prober: Arc::clone(&self.prober),
            clock: Arc::clone(&self.clock),
            processes: Arc::new(process::Here),
        }
    }

    /// The ledger, made where it does not exist, for a command that changes something.
    pub(super) async fn writable_ledger(&self) -> Result<Arc<dyn Ledger>, CommandError> {
        let ledger = writable_ledger(&self.policies.fleet, self.clock.now()).await?;
        // What was seen when the run was planned, it must still know.
        Ok(remembered(ledger, self.ledger.at.clone(), Arc::clone(&self.ledger.memory)))
    }
}

/// The fleet and the ledger at one moment.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) snapshot: FleetSnapshot,
    pub(super) record: FleetRecord,
    pub(super) view: LedgerView,
    /// Runs whose process is dead or silent.
    pub(super) silent: BTreeSet<RunId>,
    pub(super) now: Time,
}

/// Exit 5, naming both.
pub(super) fn other_fleet(refusal: Refusal) -> CommandError {
    CommandError::NotStarted {
        exit: Exit::FLEET_UNKNOWN,
        message: "the ledger is of another fleet; nothing was touched".to_owned(),
        causes: vec![refusal.to_string()],
        hint: "use the policy directory of that fleet; where this one took its place on purpose: \
               safe-remove ledger adopt --reason TEXT",
    }
}

/// The policies, or everything that is wrong with them.
pub(super) fn policies(global: &Global) -> Result<Arc<PolicySet>, CommandError> {
    policy::load(&global.policies).map(Arc::new).map_err(|errors| CommandError::Policy(Box::new(errors)))
}

/// The ledger, made where it does not exist.
pub(super) async fn writable_ledger(fleet: &FleetConfig, now: Time) -> Result<Arc<dyn Ledger>, CommandError> {
    engines::open(&fleet.ledger.kind, &fleet.name, now).await
}

/// The ledger for commands that only look.
pub(super) struct LedgerReader {
    ledger: Arc<dyn Ledger>,
    at: String,
    id: Option<crate::model::LedgerId>,
    memory: Arc<Memory>,
}

impl LedgerReader {
    /// Opens the ledger without creating anything.
    pub(super) async fn open(fleet: &FleetConfig, now: Time) -> Result<Self, CommandError> {
        Self::open_at(&fleet.ledger.kind, &fleet.name, now).await
    }

    /// The same, where more than this is not known of the fleet.
    pub(super) async fn open_at(kind: &LedgerKind, fleet: &FleetName, now: Time) -> Result<Self, CommandError> {
        Ok(Self::watched(engines::open_read_only(kind, fleet, now).await?, kind))
    }

    /// The same with a ledger that may be a copy, or an older state: nothing may be decided by it.
    pub(super) async fn open_unchecked(fleet: &FleetConfig, now: Time) -> Result<Self, CommandError> {
        let kind = &fleet.ledger.kind;
        Ok(Self::watched(engines::open_unchecked(kind, &fleet.name, now).await?, kind))
    }

    fn watched((ledger, id): engines::Read, kind: &LedgerKind) -> Self {
        let (at, memory) = (kind.place(), Arc::new(Memory::default()));
        Self { ledger: remembered(ledger, at.clone(), Arc::clone(&memory)), at, id, memory }
    }

    /// From half of what the engine takes of a record on: how full it is. Grants are refused above three quarters.
    pub(super) fn warning(&self, record: &FleetRecord) -> Option<String> {
        let (used, most) = (record.size(), self.ledger.room()?);
        (used > most / 2).then(|| {
            format!(
                "the fleet's record takes {} of the {} KB that its ledger takes; above three quarters nothing is granted: end \
                 the runs that hold hosts, and keep budgets short",
                used.div_ceil(1 << 10),
                most >> 10
            )
        })
    }

    /// How the ledger showed to this process that an older state of it was put back, where it did.
    pub(super) fn went_back(&self) -> Option<String> {
        self.memory.went_back()
    }

    /// Whether there is a record of the fleet already.
    pub(super) fn exists(&self) -> bool {
        self.id.is_some()
    }

    pub(super) async fn read(&self) -> Result<(Version, FleetRecord), CommandError> {
        self.ledger.read().await.map_err(CommandError::Ledger)
    }

    /// The journals.
    pub(super) fn journals(&self) -> &dyn Ledger {
        self.ledger.as_ref()
    }

    /// Where all this is.
    pub(super) fn place(&self, fleet: &FleetName, policies: &Path, provider: FleetIdentity) -> Place {
        Place {
            fleet: fleet.clone(),
            provider,
            ledger: self.id.clone(),
            ledger_place: self.at.clone(),
            policies: policies.to_owned(),
        }
    }
}

/// Which fleet `fleet.toml` names, for commands that do not need the fleet itself.
pub(super) fn named_identity(fleet: &FleetConfig) -> FleetIdentity {
    match &fleet.provider.kind {
        ProviderKind::Simulated { scenario, state } => {
            // Its id is in its state file, which is not made by looking.
            let open = || simulated(scenario, state, fleet.provider.settle).ok();
            let found = if state.exists() { open() } else { None };
            let unseen = || FleetIdentity { kind: "simulated".to_owned(), ..FleetIdentity::default() };
            found.map_or_else(unseen, |fleet| fleet.identity().clone())
        }
        ProviderKind::Aws { region, account } => FleetIdentity {
            kind: "aws".to_owned(),
            partition: Some(partition_of(region).to_owned()),
            account: Some(account.clone()),
            region: Some(region.clone()),
            ..FleetIdentity::default()
        },
    }
}

/// The simulated fleet. Its state file is made where it does not exist: the fleet then exists, untouched.
pub(super) fn simulated(
    scenario: &Path,
    state: &Path,
    settle: Option<Duration>,
) -> Result<Arc<SimulatedFleet>, CommandError> {
    SimulatedFleet::open(scenario, state, settle).map_err(|error| match error {
        OpenError::Scenario(error) => CommandError::Scenario(error),
        OpenError::Fleet(error) => CommandError::Fleet(error),
    })
}

/// What simulated probes read: the fleet's load, with the policies' word for who serves what.
struct Metrics {
    fleet: Arc<SimulatedFleet>,
    membership: Arc<Membership>,
}

impl Metrics {
    fn new(fleet: Arc<SimulatedFleet>, policies: &PolicySet) -> Self {
        let matcher = policies.matcher();
        let depends_on = policies.subsystems.values().map(|s| (s.name.clone(), s.depends_on.clone())).collect();
        let membership = fleet.membership(depends_on, |host| {
            let subsystems = matcher.membership(host).subsystems;
            let policies = subsystems.iter().filter_map(|name| policies.subsystems.get(name));
            // One without a usable weight bears nothing here; no plan is made of such a fleet.
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

type Opened = (Arc<dyn Fleet>, Arc<dyn Clock>, Option<Arc<SimulatedFleet>>);

#[cfg(feature = "aws")]
async fn aws(region: &str, account: &str, settle: Option<Duration>) -> Result<Opened, CommandError> {
    use crate::fleet::aws::{AwsFleet, AwsSettings, Patience};

    let settings =
        AwsSettings { region: region.to_owned(), account: account.to_owned(), settle, patience: Patience::default() };
    let fleet = AwsFleet::open(settings).await.map_err(CommandError::Fleet)?;
    Ok((Arc::new(fleet), Arc::new(SystemClock), None))
}

#[cfg(not(feature = "aws"))]
async fn aws(_region: &str, _account: &str, _settle: Option<Duration>) -> Result<Opened, CommandError> {
    Err(CommandError::WithoutAws)
}

/// The machine's clock.
pub(super) struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Time {
        Time::from_jiff(jiff::Timestamp::now())
    }

    async fn sleep_until(&self, until: Time) {
        /// A machine that was suspended, or whose clock was set, must not oversleep by more than this.
        const NAP: Duration = Duration::from_secs(1);
        // S7: where the clock is set back meanwhile, the sleep takes no longer than it would have.
        let begun = std::time::Instant::now();
        let whole = until.since(self.now()).saturating_add(Duration::from_millis(1));
        loop {
            let left = until.since(self.now()).min(whole.saturating_sub(begun.elapsed()));
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(NAP)).await;
        }
    }
}
