//! A stop order. It needs only the ledger.
//!
//! A halt asks nobody and does not observe the fleet. It works where the policies are broken, as long as `fleet.toml`
//! says where the ledger is. The order is in force once the record has it; the runs that it concerns are looked up
//! after that.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::coordination::{FleetRecord, Halt};
use crate::model::{FleetIdentity, FleetName, RunId, SubsystemName, Time, duration_text};
use crate::output::{Place, StatusHalt, StatusRun, next};
use crate::policy::{self, FleetConfig, LedgerKind};
use crate::ports::{Clock as _, LedgerError};
use crate::run::RunHistory;

use super::clock::SystemClock;
use super::error::OperationError;
use super::follow::{Became, follow};
use super::frontend::Frontend;
use super::reader::LedgerReader;
use super::site::Site;
use super::stop_order::{explained, not_halted, put, remember};
use super::{engines, fleets, process, run_status};

/// The timeout for the fleet's clock: a halt does not wait for a fleet that hangs.
const CLOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// Where the order is written to.
struct Target {
    directory: PathBuf,
    fleet: FleetName,
    ledger: LedgerKind,
    provider: FleetIdentity,
    /// `None` where `fleet.toml` is not valid: then the fleet's clock is not asked.
    config: Option<FleetConfig>,
    subsystems: BTreeSet<SubsystemName>,
    /// A warning about invalid policies.
    warning: Option<String>,
}

impl Target {
    /// Reads the directory, or as much of it as says where the ledger is: only a halt works where everything else in
    /// `fleet.toml` is wrong.
    async fn find(policies: &Path) -> Result<Self, OperationError> {
        let (target, invalid) = match Site::find(policies) {
            Ok(site) => {
                let warning = site.warning();
                let invalid = site.invalid().cloned().map(OperationError::policies);
                let target = Self {
                    directory: site.directory,
                    ledger: site.fleet.ledger.kind.clone(),
                    fleet: site.fleet.name.clone(),
                    provider: fleets::named_identity(&site.fleet),
                    config: Some(site.fleet),
                    subsystems: site.subsystems,
                    warning,
                };
                (target, invalid)
            }
            Err(invalid) => {
                let Some(place) = policy::ledger_place(policies) else { return Err(invalid) };
                let kind = "its policies are invalid".to_owned();
                let target = Self {
                    directory: policies.to_owned(),
                    fleet: place.fleet,
                    ledger: place.ledger,
                    provider: FleetIdentity { kind, ..FleetIdentity::default() },
                    config: None,
                    subsystems: place.subsystems,
                    warning: Some(format!("fleet.toml is invalid: {}", next::command(policies, "policy check"))),
                };
                (target, Some(invalid))
            }
        };
        if let Some(invalid) = invalid {
            let reader = LedgerReader::open_at(&target.ledger, &target.fleet, SystemClock.now()).await?;
            if !reader.exists() {
                // This place may not be the one that was meant, and no run has ever used it.
                return Err(invalid);
            }
        }
        Ok(target)
    }

    async fn open(&self, now: Time) -> Result<LedgerReader, LedgerError> {
        LedgerReader::open_at(&self.ledger, &self.fleet, now).await.map_err(ledger_error)
    }
}

/// The effects of a halt, and what may still happen.
#[derive(Debug, Serialize)]
pub(crate) struct Halted {
    #[serde(flatten)]
    pub(crate) place: Place,
    /// The order that is in force.
    #[serde(flatten)]
    pub(crate) order: StatusHalt,
    /// Orders of the same scope that were in force before, oldest first.
    pub(crate) already: Vec<StatusHalt>,
    /// Runs that the order stops.
    pub(crate) runs: Vec<HaltedRun>,
    /// Runs that the order does not concern.
    pub(crate) others: Vec<RunId>,
}

/// A run that a halt stops.
#[derive(Debug, Serialize)]
pub(crate) struct HaltedRun {
    #[serde(flatten)]
    pub(crate) run: StatusRun,
    /// The run's sampling period: it sees the order within that time. `null` where its journal does not contain it.
    pub(crate) sampling: Option<String>,
    /// What became of it, as far as it was followed.
    #[serde(flatten)]
    pub(crate) became: Became,
}

/// Writes the order, then determines what it stops, and follows those runs unless `follows` is false. Without a reason the
/// question why comes after the order.
///
/// # Errors
///
/// The subsystem is not known; the ledger cannot be used, or it is not known whether it took the order.
pub(crate) async fn halt(
    policies: &Path,
    subsystem: Option<&SubsystemName>,
    reason: Option<&str>,
    follows: bool,
    frontend: &dyn Frontend,
) -> Result<(Halted, Vec<String>), OperationError> {
    let target = Target::find(policies).await?;
    let mut warnings = Vec::new();
    if let Some(warning) = &target.warning {
        warnings.push(format!("the order is in force all the same: {warning}"));
    }
    let now = now(target.config.clone()).await;
    let reader = target.open(now).await.map_err(not_halted)?;
    if !reader.exists() {
        warnings.push(
            "the ledger did not exist before: no run has ever gone by it. Is this the right directory?".to_owned(),
        );
    }
    if let Some(name) = subsystem {
        let (_, record) = reader.read().await.map_err(|error| not_halted(ledger_error(error)))?;
        is_known(name, &target, &record)?;
    }
    let order = Halt {
        subsystem: subsystem.cloned(),
        operator: process::operator(&target.provider),
        reason: reason.map(str::to_owned),
        at: now,
    };
    // A ledger created here is stamped 0, so that a wrong local clock cannot refuse the first run.
    let long_ago = Time::from_millis(0);
    let ledger = engines::open(&target.ledger, &target.fleet, long_ago).await;
    let ledger = ledger.map_err(|error| not_halted(ledger_error(error)))?;
    let (record, mut order, is_new, already) = put(ledger.as_ref(), order).await?;
    let mut heard = frontend.listen().map_err(|e| OperationError::internal("signals cannot be heard", e))?;
    if is_new {
        if order.reason.is_none() && frontend.can_ask() {
            order = explained(ledger.as_ref(), order, frontend, &mut heard, &mut warnings).await;
        }
        remember(ledger.as_ref(), &order, &mut warnings).await;
    }

    let reader = target.open(now).await.map_err(not_halted)?;
    let place = Place {
        clock: target.config.as_ref().and_then(fleets::clock_speed),
        ..reader.place(&target.fleet, &target.directory, target.provider.clone())
    };
    let (mut runs, mut others) = (Vec::new(), Vec::new());
    for (run, entry) in &record.runs {
        if !order.concerns(&entry.watched) && !order.concerns(&entry.touched) {
            others.push(run.clone());
            continue;
        }
        let journal = ledger.journal(run).await.unwrap_or_else(|error| {
            warnings.push(format!("what run {run} is about cannot be read: {error}"));
            Vec::new()
        });
        let sampling = RunHistory::of(&journal).opening.map(|opening| duration_text(opening.settings.every));
        let status = run_status::of_run(run, entry, &journal, &target.directory, now);
        runs.push(HaltedRun { run: status, sampling, became: Became::NotFollowed });
    }
    // A run that ended and still holds something has nothing left to stop.
    let under_way = runs.iter().filter(|halted| halted.run.ended_at.is_none()).map(|halted| halted.run.run.clone());
    if follows {
        let under_way: Vec<RunId> = under_way.collect();
        let mut became = follow(ledger.as_ref(), &under_way, frontend, &mut heard).await;
        for halted in &mut runs {
            halted.became = became.remove(&halted.run.run).unwrap_or(Became::NotFollowed);
        }
    }
    let already = already.iter().map(StatusHalt::from).collect();
    Ok((Halted { place, order: StatusHalt::from(&order), already, runs, others }, warnings))
}

/// The fleet's time if it is available at once, otherwise the machine's. It says when the order was given, and nothing
/// is judged by it.
async fn now(fleet: Option<FleetConfig>) -> Time {
    let Some(fleet) = fleet else { return SystemClock.now() };
    let asked = tokio::task::spawn_blocking(move || fleets::now(&fleet));
    match tokio::time::timeout(CLOCK_TIMEOUT, asked).await {
        Ok(Ok(now)) => now,
        Ok(Err(_)) | Err(_) => SystemClock.now(),
    }
}

/// Checks that the subsystem is known: a halt of an unknown name would stop nothing, and look as if it had.
fn is_known(name: &SubsystemName, target: &Target, record: &FleetRecord) -> Result<(), OperationError> {
    let of_runs = record.runs.values().flat_map(|entry| entry.touched.iter().chain(&entry.watched));
    let known: BTreeSet<&SubsystemName> =
        target.subsystems.iter().chain(record.accepted.keys()).chain(of_runs).collect();
    if known.contains(name) {
        return Ok(());
    }
    let unknown = OperationError::unknown("subsystem", name.as_str(), known.iter().map(|name| name.as_str()));
    Err(match unknown {
        OperationError::NoSuch { message, hint } => OperationError::NoSuch {
            message: format!("{message}: nothing is halted"),
            hint: hint.map(|hint| format!("{hint}\nwithout --subsystem the whole fleet is halted")),
        },
        other => other,
    })
}

/// Extracts the ledger's own error, if that was the cause.
fn ledger_error(error: OperationError) -> LedgerError {
    match error {
        OperationError::Ledger(error) => error,
        other => {
            LedgerError::Unreachable { place: "of the policies".to_owned(), tried: "used", source: Box::new(other) }
        }
    }
}
