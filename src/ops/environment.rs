//! The environment of an operation: the fleet, the ledger, the probes and the clock that the policy directory names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::coordination::{Command, Context, FleetRecord, Refusal, decide, is_race};
use crate::driver::{self, Unchanged, update};
use crate::health::{self, ProbeSpecs};
use crate::hook::{self, HookPrograms};
use crate::model::{FleetSnapshot, HostId, ProbeKey, RunId, SubsystemName, Time, duration_text};
use crate::output::Place;
use crate::plan::{AssessError, Certificate, Inputs, LedgerView, Plan, Request, Violation, believable, certify};
use crate::policy::{self, FleetConfig, PolicySet};
use crate::ports::{Clock, Fleet, Lasting, Ledger, Prober};
use crate::probe::{self, Probes};
use crate::run::{Failure, JournalRecord};

use super::error::OperationError;
use super::fleets::{self, Opened};
use super::process;
use super::reader::{LedgerReader, writable_ledger};

/// How long the files of headers may take: they are read to tell a wrong one from a subsystem that is not well.
const FILES: Duration = Duration::from_secs(10);

/// How many writes of others may come first.
const CONFLICTS: u32 = 200;

/// The silent runs, for commands that take no capacity: they wait for nobody, so it does not matter whose process is
/// silent.
static NOBODY: BTreeSet<RunId> = BTreeSet::new();

/// The environment of an operation: the policies, and the fleet, probes, clock and ledger that they name.
pub(crate) struct Environment {
    pub(crate) policies: Arc<PolicySet>,
    pub(crate) fleet: Arc<dyn Fleet>,
    pub(crate) prober: Arc<dyn Prober>,
    pub(crate) clock: Arc<dyn Clock>,
    /// When this command began, by the same clock.
    pub(crate) began_at: Time,
    /// A reader: it creates nothing, and every write through it is refused.
    pub(crate) ledger: LedgerReader,
    /// The effort for finding and proving how many hosts can go.
    prove: Duration,
}

impl Environment {
    /// Reads the policies, and opens what they name.
    pub(crate) async fn open(directory: &Path) -> Result<Self, OperationError> {
        Self::of(policies(directory)?).await
    }

    /// Opens what these policies name.
    pub(crate) async fn of(policies: Arc<PolicySet>) -> Result<Self, OperationError> {
        Self::open_with(policies, async |fleet, now| LedgerReader::open(fleet, now).await).await
    }

    /// The same with a ledger that may be a copy or an older state: for an adoption.
    pub(crate) async fn open_unchecked(directory: &Path) -> Result<Self, OperationError> {
        let policies = policies(directory)?;
        Self::open_with(policies, async |fleet, now| LedgerReader::open_unchecked(fleet, now).await).await
    }

    async fn open_with(
        policies: Arc<PolicySet>,
        reader: impl AsyncFnOnce(&FleetConfig, Time) -> Result<LedgerReader, OperationError>,
    ) -> Result<Self, OperationError> {
        let opened = fleets::open(&policies).await?;
        let began_at = opened.clock.now();
        let ledger = reader(&policies.fleet, began_at).await?;
        Ok(Self::of_parts(policies, opened, ledger, began_at))
    }

    /// The same of what is open already.
    pub(crate) fn of_parts(policies: Arc<PolicySet>, opened: Opened, ledger: LedgerReader, began_at: Time) -> Self {
        let Opened { fleet, clock, metrics } = opened;
        let probes = Probes::new(Arc::clone(&clock), metrics);
        let prober = Arc::new(probes.for_fleet(&policies.fleet.provider.kind));
        Self { policies, fleet, prober, clock, began_at, ledger, prove: Inputs::PROVE }
    }

    /// The same, with this effort for finding and proving how many hosts can go.
    pub(crate) fn proving(self, prove: Option<Duration>) -> Self {
        Self { prove: prove.unwrap_or(self.prove), ..self }
    }

    /// Observes the fleet and reads the ledger, whose record must be of this fleet.
    ///
    /// # Errors
    ///
    /// Exit 5 where the record is of another fleet (S3): nothing about one fleet may be concluded from the other.
    pub(crate) async fn observe_then_read(&self) -> Result<ObservedFleet, OperationError> {
        let observation = self.observe_any_then_read().await?;
        observation.record.is_of(self.fleet.identity()).map_err(other_fleet)?;
        Ok(observation)
    }

    /// The same, for a record of any fleet: for `ledger adopt`.
    pub(crate) async fn observe_any_then_read(&self) -> Result<ObservedFleet, OperationError> {
        let snapshot = self.fleet.observe().await.map_err(OperationError::Fleet)?;
        believable(&self.policies, &snapshot).map_err(|error| OperationError::Fleet(error.into()))?;
        // The fleet is observed first and the ledger read after it: a host that was removed in between is then claimed
        // here and absent there, never the other way round.
        let (_, record) = self.ledger.read().await?;
        let now = self.clock.now();
        let runs = record.runs.keys().cloned().collect();
        let (journals, bounds) = (self.ledger.journals(), self.fleet.bounds());
        let silent = driver::silent(journals, &process::Here, &record, &runs, bounds, now).await;
        let view = record.view(None, &silent, now);
        let credentials_end = self.credentials_end().await;
        Ok(ObservedFleet { snapshot, record, view, silent, credentials_end, now })
    }

    /// When the credentials of fleet and ledger end, if they do and cannot be renewed.
    pub(crate) async fn credentials_end(&self) -> Option<Time> {
        let (fleet, ledger) = (self.fleet.lasting().await, self.ledger.journals().lasting().await);
        [fleet, ledger].into_iter().filter_map(Lasting::end).min()
    }

    /// Reads the journal and then the record, so that a run that ends in between is seen to have ended.
    pub(crate) async fn read_run(&self, run: &RunId) -> Result<(Vec<JournalRecord>, FleetRecord), OperationError> {
        let journal = self.ledger.journals().journal(run).await.map_err(OperationError::Ledger)?;
        let (_, record) = self.ledger.read().await?;
        Ok((journal, record))
    }

    /// The context of a person's command, one that takes no capacity.
    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            policies: &self.policies,
            identity: self.fleet.identity(),
            bounds: self.fleet.bounds(),
            now: self.clock.now(),
            silent: &NOBODY,
            room: None,
        }
    }

    /// Changes the record by such a command. `unchanged` converts the reason to an error where the record was not
    /// changed.
    pub(crate) async fn change(
        &self,
        ledger: &dyn Ledger,
        command: &Command<'_>,
        unchanged: impl FnOnce(String) -> OperationError,
    ) -> Result<(), OperationError> {
        let context = self.context();
        let decided = |record: &FleetRecord| decide(record, command, &context).map(|(next, _)| (Some(next), ()));
        update(ledger, CONFLICTS, decided).await.map_err(|why| match why {
            Unchanged::Refused(refusal) => unchanged(refusal.to_string()),
            Unchanged::Busy(others) => unchanged(format!("{others} writes of others came first")),
            Unchanged::Lost(error) => OperationError::Ledger(error),
        })
    }

    /// Where all this is.
    pub(crate) fn place(&self) -> Place {
        let fleet = &self.policies.fleet;
        let place = self.ledger.place(&fleet.name, &self.policies.directory, self.fleet.identity().clone());
        Place { clock: fleets::clock_speed(fleet), ..place }
    }

    /// Plans the request. Reads every watched probe once, and every protection that concerns the request.
    pub(crate) async fn plan(
        &self,
        request: &Request,
        observation: &mut ObservedFleet,
    ) -> Result<Plan, OperationError> {
        let plan = self.plan_of_unprotected(request, observation).await?;
        // The probes to read depend on the hosts, which the first plan has chosen.
        let watched: BTreeSet<SubsystemName> = plan.document.watched.iter().cloned().collect();
        let touched = plan.document.subsystems.iter().map(|subsystem| subsystem.name.clone()).collect();
        can_be_called(&self.policies, &touched)?;
        let bad = self.bad_probes(&watched).await?;
        let mut plan = if bad.is_empty() {
            plan
        } else {
            self.plan_with(request, observation, &bad).map_err(OperationError::Assess)?
        };
        plan.document.warnings.extend(self.ledger.warning(&observation.record));
        Ok(plan)
    }

    /// Why the count of a refused plan cannot go, for a program to check; `None` if it is not refused because of numbers, or
    /// if no proof was found.
    pub(crate) fn certify(
        &self,
        request: &Request,
        observation: &ObservedFleet,
    ) -> Result<Option<Certificate>, OperationError> {
        certify(&self.inputs(observation, &BTreeMap::new()), request).map_err(OperationError::Assess)
    }

    /// Whether a refused plan would be allowed without what other runs hold, claim or have just removed (S9: a race is
    /// never exit 3).
    pub(crate) fn is_race(
        &self,
        request: &Request,
        observation: &ObservedFleet,
        plan: &Plan,
    ) -> Result<bool, OperationError> {
        let view = observation.record.alone(None, &observation.silent).view(None, &observation.silent, observation.now);
        let violations = &plan.document.violations;
        let is_race = |without: &[Violation]| {
            is_race(&observation.record, &observation.silent, self.began_at, violations, without)
        };
        // Nobody else is there: the same plan would be made once more.
        if view == observation.view {
            return Ok(is_race(violations));
        }
        let none = BTreeMap::new();
        let inputs = Inputs { ledger: &view, ..self.inputs(observation, &none) };
        Ok(is_race(&crate::plan::plan(&inputs, request).map_err(OperationError::Assess)?.document.violations))
    }

    /// Makes a plan whose hosts were all checked for the protections that no observation shows. Where a host has such a
    /// protection, the plan is made again with that knowledge.
    async fn plan_of_unprotected(
        &self,
        request: &Request,
        observation: &mut ObservedFleet,
    ) -> Result<Plan, OperationError> {
        let none = BTreeMap::new();
        let mut asked = BTreeSet::new();
        loop {
            let plan = self.plan_with(request, observation, &none).map_err(OperationError::Assess)?;
            let chosen = plan.document.batches.iter().flat_map(|batch| &batch.hosts).map(|host| &host.id);
            let unasked: Vec<HostId> = chosen.filter(|id| !asked.contains(*id)).cloned().collect();
            // Every turn checks hosts that were not checked before, so there are at most as many turns as hosts.
            if unasked.is_empty() {
                return Ok(plan);
            }
            let protected = self.fleet.protections(&unasked).await.map_err(OperationError::Fleet)?;
            if protected.is_empty() {
                return Ok(plan);
            }
            asked.extend(unasked);
            observation.snapshot.protect(&protected);
        }
    }

    /// Reads every probe of these subsystems once. Returns the bad ones, each with the reason.
    ///
    /// # Errors
    ///
    /// [`OperationError::Probes`]: this machine lacks what a probe needs.
    pub(crate) async fn bad_probes(
        &self,
        watched: &BTreeSet<SubsystemName>,
    ) -> Result<BTreeMap<ProbeKey, String>, OperationError> {
        let specs = health::probes_of(&self.policies, watched);
        can_be_read(&specs).await?;
        Ok(health::bad_now(&self.prober.round(&specs, &BTreeSet::new(), None).await, &specs))
    }

    fn plan_with(
        &self,
        request: &Request,
        observation: &ObservedFleet,
        bad_probes: &BTreeMap<ProbeKey, String>,
    ) -> Result<Plan, AssessError> {
        crate::plan::plan(&self.inputs(observation, bad_probes), request)
    }

    /// The inputs of a decision.
    pub(crate) fn inputs<'a>(
        &'a self,
        observation: &'a ObservedFleet,
        bad_probes: &'a BTreeMap<ProbeKey, String>,
    ) -> Inputs<'a> {
        Inputs {
            policies: &self.policies,
            snapshot: &observation.snapshot,
            ledger: &observation.view,
            bad_probes,
            identity: self.fleet.identity(),
            bounds: self.fleet.bounds(),
            credentials_end: observation.credentials_end,
            prove: self.prove,
            now: observation.now,
        }
    }

    /// Everything that a run uses.
    pub(crate) fn ports(&self, ledger: Arc<dyn Ledger>) -> driver::Ports {
        driver::Ports {
            fleet: Arc::clone(&self.fleet),
            ledger: driver::under_faults(ledger),
            prober: Arc::clone(&self.prober),
            hooks: Arc::new(HookPrograms::new()),
            clock: Arc::clone(&self.clock),
            processes: Arc::new(process::Here),
        }
    }

    /// Opens the ledger for a command that changes something, and creates it where it does not exist.
    pub(crate) async fn writable_ledger(&self) -> Result<Arc<dyn Ledger>, OperationError> {
        let ledger = writable_ledger(&self.policies.fleet, self.clock.now()).await?;
        // It must still know what was seen when the run was planned.
        Ok(self.ledger.remembering(ledger))
    }
}

/// The fleet and the ledger at one moment.
#[derive(Debug)]
pub(crate) struct ObservedFleet {
    pub(crate) snapshot: FleetSnapshot,
    pub(crate) record: FleetRecord,
    pub(crate) view: LedgerView,
    /// Runs whose process is dead or silent.
    pub(crate) silent: BTreeSet<RunId>,
    /// When the credentials of fleet and ledger end, if they do and cannot be renewed.
    pub(crate) credentials_end: Option<Time>,
    pub(crate) now: Time,
}

/// The error where the ledger is of another fleet than the policies. It names both.
pub(crate) fn other_fleet(refusal: Refusal) -> OperationError {
    OperationError::NotStarted {
        failure: Failure::FleetUnknown,
        message: "the ledger is of another fleet; nothing was touched".to_owned(),
        causes: vec![refusal.to_string()],
        hint: "use the policy directory of that fleet; where this one took its place on \
               purpose: safe-remove ledger adopt --reason TEXT",
    }
}

/// The policies, or all errors in them.
pub(crate) fn policies(directory: &Path) -> Result<Arc<PolicySet>, OperationError> {
    policy::load(directory).map(Arc::new).map_err(OperationError::policies)
}

/// That the programs of hooks are there, of subsystems that a plan touches.
///
/// # Errors
///
/// [`OperationError::Hooks`], with all that is missing.
pub(crate) fn can_be_called(policies: &PolicySet, touched: &BTreeSet<SubsystemName>) -> Result<(), OperationError> {
    let missing = hook::missing(&policies.hooks_of(touched));
    if missing.is_empty() { Ok(()) } else { Err(OperationError::Hooks(missing)) }
}

/// That this machine has what the probes need: the files and variables of their headers.
///
/// # Errors
///
/// [`OperationError::Probes`], with all that is missing.
pub(crate) async fn can_be_read(probes: &ProbeSpecs) -> Result<(), OperationError> {
    let (asked, all) = (probes.clone(), probes.keys().cloned());
    let missing = tokio::task::spawn_blocking(move || probe::missing(&asked));
    // A file on a disk of a network that is gone may never answer.
    let missing = tokio::time::timeout(FILES, missing).await.ok().and_then(Result::ok).unwrap_or_else(|| {
        all.map(|key| (key, format!("the files of headers do not answer within {}", duration_text(FILES)))).collect()
    });
    if missing.is_empty() { Ok(()) } else { Err(OperationError::Probes(missing)) }
}
