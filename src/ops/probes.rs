//! Reads every probe once, to see that it can be read and what it says. Touches nothing.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rust_decimal::Decimal;

use crate::health::{self, Measured, ProbeSpecs, Tally};
use crate::model::{ProbeKey, Sample, SubsystemName, duration_text, span_text};
use crate::output::ProbeCheck;
use crate::policy::{PolicySet, ProbeSpec};
use crate::ports::Prober as _;
use crate::probe::Probes;

use super::environment::{can_be_read, policies};
use super::error::OperationError;
use super::fleets::{self, Opened};

/// What the probes of a policy directory read.
pub(crate) struct ProbesRead {
    /// The policies.
    pub(crate) policies: Arc<PolicySet>,
    /// Every probe, by name.
    pub(crate) probes: Vec<ProbeCheck>,
    /// What of a policy will mislead, by what was read.
    pub(crate) warnings: Vec<String>,
}

/// Reads every probe of every policy once.
///
/// # Errors
///
/// The policies are invalid; this machine lacks what a probe needs; the fleet cannot be opened.
pub(crate) async fn probes(directory: &Path) -> Result<ProbesRead, OperationError> {
    let policies = policies(directory)?;
    let all: BTreeSet<SubsystemName> = policies.subsystems.keys().cloned().collect();
    let specs = health::probes_of(&policies, &all);
    can_be_read(&specs).await?;
    let Opened { clock, metrics, .. } = fleets::open(&policies).await?;
    let prober = Probes::new(clock, metrics).for_fleet(&policies.fleet.provider.kind);
    let samples = prober.round(&specs, &BTreeSet::new(), None).await;
    let probes = checked(&specs, &samples);
    let warnings = samples.iter().filter_map(|sample| too_slow(&policies, sample)).collect();
    Ok(ProbesRead { policies, probes, warnings })
}

fn checked(specs: &ProbeSpecs, samples: &[Sample]) -> Vec<ProbeCheck> {
    let (mut readings, mut limits) = (Tally::default().round(specs, None, samples), health::limits_of(specs, None));
    let millis = |of: Duration| u64::try_from(of.as_millis()).unwrap_or(u64::MAX);
    let check = |(key, spec): (&ProbeKey, &ProbeSpec)| {
        let sample = samples.iter().find(|sample| sample.key == *key)?;
        let (reading, limits) = (readings.remove(key)?, limits.remove(key)?);
        let percent = |of: Option<Decimal>| of.map(|percent| format!("{percent}%"));
        Some(ProbeCheck {
            measured: Measured { key: key.clone(), recent: vec![reading.value], reading, limits },
            max_increase: percent(spec.limits.max_increase),
            max_decrease: percent(spec.limits.max_decrease),
            age_ms: sample.own_time.age.map(millis),
            took_ms: millis(sample.ended_at.since(sample.begun_at)),
        })
    };
    specs.iter().filter_map(check).collect()
}

/// That a bake is over before the probe can have seen it.
fn too_slow(policies: &PolicySet, sample: &Sample) -> Option<String> {
    let (span, bake) = (sample.own_time.span?, policies.subsystems.get(&sample.key.subsystem)?.health.bake);
    (span > bake).then(|| {
        format!(
            "{} tells of {}, and a bake takes {}: what goes wrong in a bake may show when it is over",
            sample.key,
            span_text(span),
            duration_text(bake)
        )
    })
}
