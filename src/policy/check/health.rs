//! `[health]`: the bake, the sampling period and the list of probes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::context::Context;
use super::pace::some_time;
use super::probe::{beside_others, by_itself, probe};
use super::tested;
use crate::policy::raw::{RawHealth, RawProbe};
use crate::policy::types::{HealthPolicy, ProbeSpec};
use crate::policy::value::Spanned;

const EXAMPLE: &str = "write: [health], bake = \"3m\", every = \"10s\", and a [[health.probe]]";

pub(super) fn health(context: &mut Context<'_>, at: Option<&Spanned<RawHealth>>) -> Option<HealthPolicy> {
    let Some(at) = at else {
        if !context.damaged.touches("health") {
            context.error(&(0..0), "there is no [health]", "", EXAMPLE);
        }
        return None;
    };
    let raw = &at.value;
    let help = "how long everything is watched before a batch is terminated, such as \"3m\"";
    let bake_at = context.required(&raw.bake, &at.span, "health.bake", help);
    let bake = bake_at.and_then(|at| some_time(context, at, "bake", "a batch would be terminated unwatched"));
    let help = "the sampling period, such as \"10s\"";
    let every_at = context.required(&raw.every, &at.span, "health.every", help);
    let every = every_at.and_then(|at| some_time(context, at, "every", "nothing can be sampled all the time"));
    if let (Some(bake), Some(every), Some(at)) = (bake, every, every_at)
        && every > bake
    {
        let help = "sample several times in a bake: an error between two samples is not seen";
        context.warning(&at.span, "`every` is longer than `bake`", "hardly sampled", help);
    }
    let list = raw.probe.as_ref().map(|list| list.value.as_slice()).unwrap_or_default();
    if list.is_empty() && !context.damaged.touches("health.probe") {
        let message = "no probe: only the fleet's own state is watched during a bake";
        context.warning(&at.span, message, "nothing is read", "add a [[health.probe]] that shows whether it works");
    }
    let mut probes = Some(Vec::new());
    let mut names = BTreeMap::new();
    for (index, at) in list.iter().enumerate() {
        if let Some(name) = &at.value.name
            && let Some(first) = names.insert(name.value.0.clone(), index + 1)
        {
            let message = format!("the name `{}` is also that of probe {first}", name.value.0);
            context.error(&name.span, message, "used twice", "each probe of a subsystem has its own name");
        }
        let probe = probe(context, at, index, every);
        if let (Some(probe), Some(bake), Some(every)) = (&probe, bake, every) {
            outlasts_bake(context, &at.value, probe, bake, every);
            by_itself(context, at, probe, bake);
        }
        probes = probes.zip(probe).map(|(mut probes, probe)| {
            probes.push(probe);
            probes
        });
    }
    if let Some(probes) = &probes {
        beside_others(context, list, probes);
        if !probes.is_empty() && !probes.iter().any(|probe| probe.role.is_watch()) {
            let message = "every probe is a precondition: nothing that is read during a bake aborts it";
            context.warning(&at.span, message, "nothing is watched", "add one with role = \"watch\"");
        }
    }
    let levels = tested::levels(context, raw);
    let bake_max = bake.and_then(|bake| tested::bake_max(context, raw.bake_max.as_ref(), bake));
    let reference =
        every.zip(probes.as_ref()).and_then(|(every, probes)| tested::reference(context, raw, every, probes));
    Some(HealthPolicy {
        bake: bake?,
        every: every?,
        reference: reference?,
        bake_max: bake_max?,
        levels: levels?,
        probes: probes?,
    })
}

/// Warns about a probe that is slower than its sampling, or that needs more bad samples than a bake has.
fn outlasts_bake(context: &mut Context<'_>, raw: &RawProbe, probe: &ProbeSpec, bake: Duration, every: Duration) {
    if let Some(at) = &raw.timeout
        && probe.timeout > every
    {
        let message = format!("the timeout of probe `{}` is longer than `every`", probe.name);
        context.warning(&at.span, message, "delays the next sample", "shorten it, or sample less often");
    }
    let samples = u64::try_from(bake.as_millis() / every.as_millis().max(1)).unwrap_or(u64::MAX).saturating_add(1);
    if let (Some(at), Some(failures)) = (&raw.failures, probe.failures)
        && failures > samples
        && probe.role.is_watch()
    {
        let message = format!("probe `{}` needs {failures} bad samples, a bake has {samples}", probe.name);
        context.warning(&at.span, message, "no bake can fail by it", "fewer failures, or a longer bake");
    }
}
