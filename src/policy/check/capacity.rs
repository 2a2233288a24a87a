//! `[capacity]`: what a subsystem must keep, in units.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use super::context::Context;
use crate::model::ZoneName;
use crate::policy::raw::{RawCapacity, RawUnits};
use crate::policy::types::{CapacityPolicy, UnitsSource, ZoneMinimum};
use crate::policy::value::{Amount, Spanned};

const EXAMPLE: &str = "write: [capacity], baseline = 90, minimum = 60: without a minimum nothing could be judged safe";

pub(super) fn capacity(context: &mut Context<'_>, at: Option<&Spanned<RawCapacity>>) -> Option<CapacityPolicy> {
    let Some(at) = at else {
        if !context.damaged.touches("capacity") {
            context.error(&(0..0), "there is no [capacity]", "", EXAMPLE);
        }
        return None;
    };
    let raw = &at.value;
    let help = "units at full strength, such as 90: every percentage is of this";
    let baseline = context.required(&raw.baseline, &at.span, "capacity.baseline", help).and_then(|at| {
        if at.value.0 == 0 {
            context.error(&at.span, "`baseline` is 0", "nothing to keep", help);
            return None;
        }
        Some(at.value.0)
    });
    let help = "the units that must remain, such as 60 or \"70%\"; nobody but you can know it";
    let minimum_at = context.required(&raw.minimum, &at.span, "capacity.minimum", help);
    let minimum = minimum_at.zip(baseline).and_then(|(at, baseline)| minimum(context, at, baseline));
    let zones = match &raw.zones {
        None => Some(None),
        Some(list) => zones(context, list).map(Some),
    };
    let per_zone = match (&raw.minimum_per_zone, baseline) {
        (None, _) => Some(None),
        (Some(_), None) => None,
        (Some(at), Some(baseline)) => zone_minimum(context, at, baseline, zones.as_ref()).map(Some),
    };
    let survive_zone_loss = raw.survive_zone_loss.unwrap_or(false);
    if survive_zone_loss
        && let (Some(Some(zones)), Some(list)) = (&zones, &raw.zones)
        && zones.len() == 1
    {
        let message = "`survive_zone_loss` in a single zone: nothing can ever be removed";
        context.warning(&list.span, message, "one zone", "losing it loses everything; name the other zones");
    }
    let units = match &raw.units {
        None => Some(UnitsSource::One),
        Some(units) => units_source(context, units),
    };
    Some(CapacityPolicy {
        baseline: baseline?,
        minimum: minimum?,
        minimum_per_zone: per_zone?,
        zones: zones?,
        survive_zone_loss,
        units: units?,
        provider_floor: raw.provider_floor.unwrap_or_default(),
    })
}

/// At least this percentage of baseline, in whole units: minimums round up.
fn round_up(baseline: u64, percent: Decimal) -> Option<u64> {
    // Exact: at most 10 and 9 digits are multiplied, and dividing by 100 only moves the decimal point.
    u64::try_from((Decimal::from(baseline) * percent / Decimal::ONE_HUNDRED).ceil()).ok()
}

/// At most this percentage of baseline, in whole units: allowances round down.
pub(super) fn round_down(baseline: u64, percent: Decimal) -> Option<u64> {
    u64::try_from((Decimal::from(baseline) * percent / Decimal::ONE_HUNDRED).floor()).ok()
}

fn minimum(context: &mut Context<'_>, at: &Spanned<Amount>, baseline: u64) -> Option<u64> {
    let units = match at.value {
        Amount::Count(units) => units,
        Amount::Percent(percent) => round_up(baseline, percent)?,
    };
    if units > baseline {
        let message = format!("the minimum, {units}, is above the baseline, {baseline}");
        context.error(&at.span, message, "more than there is at full strength", "lower it, or correct `baseline`");
        return None;
    }
    if units == 0 {
        let message = "`minimum = 0`: everything may be removed";
        context.warning(&at.span, message, "no floor", "write the units that the subsystem needs at its peak");
    }
    Some(units)
}

fn zone_minimum(
    context: &mut Context<'_>,
    at: &Spanned<Amount>,
    baseline: u64,
    zones: Option<&Option<BTreeSet<ZoneName>>>,
) -> Option<ZoneMinimum> {
    let minimum = match at.value {
        Amount::Count(units) => ZoneMinimum::Units(units),
        Amount::Percent(percent) => ZoneMinimum::Percent(percent),
    };
    // Without `zones`, their number is only known once the fleet is: one zone is the smallest number possible.
    let count = zones.and_then(Option::as_ref).map_or(1, BTreeSet::len);
    let each = minimum.units(baseline, count);
    let sum = each.saturating_mul(u64::try_from(count).unwrap_or(u64::MAX));
    if sum > baseline {
        let message = format!("the zones' minimums sum to {sum}, above the baseline, {baseline}");
        context.warning(&at.span, message, "nothing can ever be removed", "lower it, or correct `baseline`");
    }
    Some(minimum)
}

fn zones(context: &mut Context<'_>, list: &Spanned<Vec<Spanned<String>>>) -> Option<BTreeSet<ZoneName>> {
    if list.value.is_empty() && !context.damaged.touches("capacity.zones") {
        let help = "leave the key out for every zone in which the subsystem has a host";
        context.error(&list.span, "`zones` is an empty list", "no zone", help);
        return None;
    }
    let mut zones = Some(BTreeSet::new());
    for zone in &list.value {
        let wrong = if zone.value.trim().is_empty() {
            Some("a zone has no name")
        } else if zones.as_ref().is_some_and(|zones| zones.contains(zone.value.as_str())) {
            Some("a zone is listed twice")
        } else {
            None
        };
        match wrong {
            Some(why) => {
                context.error(&zone.span, why, "this one", "each zone once, such as zones = [\"a\", \"b\", \"c\"]");
                zones = None;
            }
            None => _ = zones.as_mut().map(|zones| zones.insert(ZoneName::new(zone.value.clone()))),
        }
    }
    zones
}

fn units_source(context: &mut Context<'_>, at: &Spanned<RawUnits>) -> Option<UnitsSource> {
    let help = "either units = { tag = \"capacity-units\" } or { instance_type = { \"m6i.large\" = 1 } }";
    match (&at.value.tag, &at.value.instance_type) {
        (Some(tag), None) if !tag.value.is_empty() => Some(UnitsSource::Tag(tag.value.clone())),
        (Some(tag), None) => {
            context.error(&tag.span, "`units.tag` is empty", "no tag", help);
            None
        }
        (None, Some(types)) => {
            let mut weights = BTreeMap::new();
            for (name, weight) in &types.value {
                if weight.value.0 == 0 {
                    let message = format!("`{name}` has weight 0: weights are positive integers");
                    context.error(
                        &weight.span,
                        message,
                        "counts for nothing",
                        "a host that serves counts for something",
                    );
                }
                weights.insert(name.clone(), weight.value.0);
            }
            if weights.is_empty() && !context.damaged.touches("capacity.units") {
                context.error(&types.span, "`units.instance_type` is empty", "no weight", help);
            }
            let valid = !weights.is_empty() && weights.values().all(|weight| *weight > 0);
            valid.then_some(UnitsSource::InstanceType(weights))
        }
        (Some(_), Some(_)) => {
            context.error(&at.span, "`units` weighs hosts in two ways", "one of them", help);
            None
        }
        (None, None) => {
            if !context.damaged.touches("capacity.units") {
                context.error(&at.span, "`units` weighs hosts in no way", "a key is missing", help);
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn minimums_round_up_and_allowances_down(
            baseline in 1_u64..=1_000_000_000, percent in 0_u64..=100_000_000, zones in 1_usize..40,
        ) {
            // In millionths of a per cent: exact in 128 bits.
            let exact = u128::from(baseline) * u128::from(percent);
            let scale = 100_000_000_u128;
            let of = Decimal::from_i128_with_scale(i128::from(percent), 6);
            prop_assert_eq!(round_up(baseline, of).map(u128::from), Some(exact.div_ceil(scale)));
            prop_assert_eq!(round_down(baseline, of).map(u128::from), Some(exact / scale));
            let each = ZoneMinimum::Percent(of).units(baseline, zones);
            prop_assert_eq!(u128::from(each), exact.div_ceil(scale * zones as u128));
        }
    }
}
