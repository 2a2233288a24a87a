//! How each probe is judged, in words: `policy check`.

use serde::Serialize;

use crate::model::{ProbeKey, counted, duration_text};
use crate::policy::{HealthPolicy, PolicySet, ProbeSpec};

use super::{Align, Table, Text};

/// A probe and its judge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Judge {
    /// Which probe.
    pub(crate) probe: ProbeKey,
    /// `test` or `comparison`.
    pub(crate) judge: &'static str,
    /// The samples that end a run, for people.
    pub(crate) regression: String,
}

/// The judge of every probe, by subsystem and as the files list them.
pub(crate) fn judges(policies: &PolicySet) -> Vec<Judge> {
    let of_subsystem = |policy: &crate::policy::SubsystemPolicy| {
        let judge = |probe: &ProbeSpec| Judge {
            probe: ProbeKey { subsystem: policy.name.clone(), probe: probe.name.clone() },
            judge: if probe.is_tested() { "test" } else { "comparison" },
            regression: if probe.is_tested() { tested(probe, &policy.health) } else { compared(probe, &policy.health) },
        };
        policy.health.probes.iter().map(judge).collect::<Vec<_>>()
    };
    policies.subsystems.values().flat_map(of_subsystem).collect()
}

/// `2 bad samples in a row are a regression; +50% is above the median of 3 samples`
fn compared(probe: &ProbeSpec, health: &HealthPolicy) -> String {
    let failures = probe.failures.unwrap_or(1);
    let samples = if failures == 1 { "1 bad sample".to_owned() } else { format!("{failures} bad samples in a row") };
    let verdict = match (probe.role.is_watch(), failures) {
        (true, 1) => "is a regression",
        (true, _) => "are a regression",
        (false, 1) => "keeps the next batch from beginning",
        (false, _) => "keep the next batch from beginning",
    };
    let of = change(probe).map(|change| {
        let reference = counted(usize::try_from(health.reference_samples()).unwrap_or(usize::MAX), "sample");
        let center = if probe.is_share() { "share of all" } else { "median of" };
        format!("; {change} is of the {center} {reference}")
    });
    format!("{samples} {verdict}{}", of.unwrap_or_default())
}

/// The test of relative limits, with its numbers.
fn tested(probe: &ProbeSpec, health: &HealthPolicy) -> String {
    let (change, levels) = (change(probe).unwrap_or_default(), health.levels);
    let (test, center) = match probe.is_share() {
        true => ("a test for proportions", "share of all"),
        false => ("a test", "mean of"),
    };
    format!(
        "{test} shows whether all samples of a bake are past {change} of the {center} {} ({}), and aborts {}% of bakes \
         without harm; if nothing is shown after {}, the bake goes on to {}, and then the batch goes back",
        counted(usize::try_from(health.reference_samples()).unwrap_or(usize::MAX), "sample"),
        duration_text(health.reference),
        levels.false_abort,
        duration_text(health.bake),
        duration_text(health.bake_max),
    )
}

/// `+20%`, `-10%`, `+20% or -10%`
fn change(probe: &ProbeSpec) -> Option<String> {
    let limits = &probe.limits;
    match (limits.max_increase, limits.max_decrease) {
        (None, None) => None,
        (Some(up), None) => Some(format!("+{up}%")),
        (None, Some(down)) => Some(format!("-{down}%")),
        (Some(up), Some(down)) => Some(format!("+{up}% or -{down}%")),
    }
}

/// Every probe on a line.
pub(crate) fn judges_text(judges: &[Judge]) -> Text {
    let mut text = Text::default();
    if judges.is_empty() {
        return text;
    }
    text.blank();
    let mut table = Table::new(&[("probe", Align::Whole), ("what ends a run", Align::Left)]);
    for judge in judges {
        table.row([judge.probe.to_string().as_str(), &judge.regression]);
    }
    text.table(2, table);
    text.blank();
    text
}
