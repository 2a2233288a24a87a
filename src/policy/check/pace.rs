//! `[pace]`, `[confirm]` and `[windows]`: how fast, with whose agreement, and when.

use std::time::Duration;

use super::capacity::round_down;
use super::context::Context;
use crate::policy::raw::{RawApproval, RawBudget, RawConfirm, RawPace, RawWindows};
use crate::policy::types::{
    ApprovalRule, BatchLimit, Budget, CapacityPolicy, ConfirmPolicy, Freeze, MAX_UNSERVING, PacePolicy, UnitsSource,
    Windows,
};
use crate::policy::value::{Amount, Count, DurationValue, Spanned};
use crate::policy::windows::zone_name;

const EXAMPLE: &str =
    "write: [pace], max_hosts_per_run = 6, batch = 2, interval = \"5m\", budgets = [{ hosts = 10, per = \"24h\" }]";

pub(super) fn pace(
    context: &mut Context<'_>,
    at: Option<&Spanned<RawPace>>,
    capacity: Option<&CapacityPolicy>,
) -> Option<PacePolicy> {
    let Some(at) = at else {
        if !context.damaged.touches("pace") {
            context.error(&(0..0), "there is no [pace]", "", EXAMPLE);
        }
        return None;
    };
    let raw = &at.value;
    let help = "the most hosts that one run may take, such as 6";
    let most = context.required(&raw.max_hosts_per_run, &at.span, "pace.max_hosts_per_run", help);
    let most = most.and_then(|most| positive(context, most, "max_hosts_per_run", "no run could take anything"));
    let help = "the most hosts that one batch may take, such as 2 or \"5%\"";
    let batch_at = context.required(&raw.batch, &at.span, "pace.batch", help);
    let batch = batch_at.and_then(|at| batch(context, at, capacity));
    if let (Some(at), Some(most), Some(batch)) = (batch_at, most, batch) {
        // Weighed hosts have no common number of units: only hosts can be compared with hosts.
        let hosts = match batch {
            BatchLimit::Hosts(hosts) => Some(hosts),
            BatchLimit::Units(units) => capacity.filter(|c| c.units == UnitsSource::One).map(|_| units),
        };
        if let Some(hosts) = hosts.filter(|hosts| *hosts > most) {
            let message = format!("a batch of {hosts} is above `max_hosts_per_run`, {most}");
            context.error(&at.span, message, "more than a run may take", "lower it: several batches make a run");
        }
    }
    let help = "from one batch's verified termination to the next cordon, such as \"5m\"";
    let interval = context.required(&raw.interval, &at.span, "pace.interval", help).map(|at| at.value.0);
    let zones = match &raw.zones_per_batch {
        None => Some(None),
        Some(at) => positive(context, at, "zones_per_batch", "no batch could take anything").map(Some),
    };
    let help =
        "such as [{ hosts = 10, per = \"24h\" }]; [] says that only `max_hosts_per_run` and the minimum limit it";
    let budgets_at = context.required(&raw.budgets, &at.span, "pace.budgets", help);
    let budgets = budgets_at.and_then(|at| budgets(context, at, capacity));
    Some(PacePolicy {
        max_hosts_per_run: most?,
        batch: batch?,
        interval: interval?,
        ramp: raw.ramp.unwrap_or(false),
        max_unserving: raw.max_unserving.as_ref().map_or(MAX_UNSERVING, |at| at.value.0),
        zones_per_batch: zones?,
        requires_launch: raw.requires_launch.unwrap_or(false),
        budgets: budgets?,
    })
}

fn positive(context: &mut Context<'_>, at: &Spanned<Count>, key: &str, why: &str) -> Option<u64> {
    if at.value.0 == 0 {
        context.error(&at.span, format!("`{key}` is 0: {why}"), "nothing", "write at least 1");
        return None;
    }
    Some(at.value.0)
}

/// A duration that must not be zero.
pub(super) fn some_time(
    context: &mut Context<'_>,
    at: &Spanned<DurationValue>,
    key: &str,
    why: &str,
) -> Option<Duration> {
    if at.value.0.is_zero() {
        context.error(&at.span, format!("`{key}` is 0: {why}"), "no time", "write how long, such as \"10s\"");
        return None;
    }
    Some(at.value.0)
}

/// An allowance, or an error if it allows nothing.
fn allowance(
    context: &mut Context<'_>,
    at: &Spanned<Amount>,
    key: &str,
    capacity: Option<&CapacityPolicy>,
) -> Option<u64> {
    let (amount, label) = match at.value {
        Amount::Count(amount) => (amount, "nothing".to_owned()),
        Amount::Percent(percent) => {
            let baseline = capacity?.baseline;
            (round_down(baseline, percent)?, format!("{percent}% of {baseline}, rounded down, is nothing"))
        }
    };
    if amount == 0 {
        let message = format!("`{key}` allows nothing: no host could ever be removed");
        context.error(&at.span, message, &label, "write at least one host, or a larger percentage");
        return None;
    }
    Some(amount)
}

fn batch(context: &mut Context<'_>, at: &Spanned<Amount>, capacity: Option<&CapacityPolicy>) -> Option<BatchLimit> {
    let amount = allowance(context, at, "batch", capacity)?;
    Some(match at.value {
        Amount::Count(_) => BatchLimit::Hosts(amount),
        Amount::Percent(_) => BatchLimit::Units(amount),
    })
}

fn budgets(
    context: &mut Context<'_>,
    list: &Spanned<Vec<Spanned<RawBudget>>>,
    capacity: Option<&CapacityPolicy>,
) -> Option<Vec<Budget>> {
    if list.value.is_empty() && !context.damaged.touches("pace.budgets") {
        let message = "no budget: runs may follow each other down to the minimum";
        context.warning(&list.span, message, "no limit in time", "such as [{ hosts = 10, per = \"24h\" }]");
    }
    let mut budgets = Some(Vec::new());
    for (index, at) in list.value.iter().enumerate() {
        let path = |key: &str| format!("pace.budgets.{index}.{key}");
        let help = "such as { hosts = 4, per = \"1h\" }";
        let hosts = context.required(&at.value.hosts, &at.span, &path("hosts"), help);
        let hosts = hosts.and_then(|at| allowance(context, at, "hosts", capacity));
        let per = context.required(&at.value.per, &at.span, &path("per"), help);
        let per = per.and_then(|at| some_time(context, at, "per", "a window of no time limits nothing"));
        budgets = budgets.zip(hosts.zip(per)).map(|(mut budgets, (hosts, per))| {
            budgets.push(Budget { hosts, per });
            budgets
        });
    }
    budgets
}

pub(super) fn confirm(context: &mut Context<'_>, at: Option<&Spanned<RawConfirm>>) -> Option<ConfirmPolicy> {
    let Some(at) = at else { return Some(ConfirmPolicy::default()) };
    let raw = &at.value;
    let mut approvals = Some(Vec::new());
    for (index, at) in raw.approvals.iter().flat_map(|list| &list.value).enumerate() {
        let rule = approval(context, at, index);
        approvals = approvals.zip(rule).map(|(mut approvals, rule)| {
            approvals.push(rule);
            approvals
        });
    }
    let within = raw.answer_within.as_ref();
    let within = within.map(|at| some_time(context, at, "answer_within", "nobody can answer in no time"));
    Some(ConfirmPolicy {
        unattended_max: raw.unattended_max.as_ref().map_or(0, |at| at.value.0),
        require_reason: raw.require_reason.unwrap_or(false),
        unusual: raw.unusual.as_ref().map(|at| at.value.0),
        between_batches: raw.between_batches.unwrap_or(false),
        answer_within: within.unwrap_or(Some(ConfirmPolicy::ANSWER_WITHIN))?,
        approvals: approvals?,
    })
}

fn approval(context: &mut Context<'_>, at: &Spanned<RawApproval>, index: usize) -> Option<ApprovalRule> {
    let help = "such as { above = 5, count = 1 }";
    let above = context.required(&at.value.above, &at.span, &format!("confirm.approvals.{index}.above"), help);
    let count = context.required(&at.value.count, &at.span, &format!("confirm.approvals.{index}.count"), help);
    let count = count.and_then(|at| positive(context, at, "count", "a rule that asks nobody"));
    Some(ApprovalRule { above: above?.value.0, count: count? })
}

pub(super) fn windows(context: &mut Context<'_>, at: &Spanned<RawWindows>) -> Option<Windows> {
    let raw = &at.value;
    let help = "a time zone, such as \"Europe/London\"; times without one mean nothing";
    let zone = context.required(&raw.zone, &at.span, "windows.zone", help).and_then(|at| {
        zone_name(&at.value)
            .inspect_err(|near| {
                let help = match near.as_slice() {
                    [] => "a name of the time zone database, such as \"Europe/London\"".to_owned(),
                    near => format!("did you mean \"{}\"?", near.join("\" or \"")),
                };
                context.error(&at.span, format!("there is no time zone {:?}", at.value), "unknown", &help);
            })
            .ok()
    });
    if raw.allow.is_none() && raw.freeze.is_none() && !context.damaged.touches("windows") {
        let message = "[windows] has neither `allow` nor `freeze`: it says nothing";
        context.error(&at.span, message, "at least one of them", "leave the table out for always");
    }
    if let Some(list) = &raw.allow
        && list.value.is_empty()
        && !context.damaged.touches("windows.allow")
    {
        let help = "leave the key out for always; for never, use a freeze";
        context.error(&list.span, "`allow` is an empty list", "always or never?", help);
    }
    let allow = raw.allow.iter().flat_map(|list| &list.value).map(|at| at.value.0.clone()).collect();
    let mut freezes = Some(Vec::new());
    for (index, at) in raw.freeze.iter().flat_map(|list| &list.value).enumerate() {
        let help = "such as { from = \"2026-12-20\", to = \"2027-01-03\", why = \"year end\" }";
        let from = context.required(&at.value.from, &at.span, &format!("windows.freeze.{index}.from"), help);
        let to = context.required(&at.value.to, &at.span, &format!("windows.freeze.{index}.to"), help);
        if let (Some(from), Some(to)) = (from, to)
            && to.value.0 < from.value.0
        {
            let message = format!("the freeze ends on {}, before it begins on {}", to.value.0, from.value.0);
            context.error(&to.span, message, "before `from`", "both days are included");
        }
        let why = at.value.why.as_ref().map_or_else(|| "no reason given".to_owned(), |why| why.value.clone());
        freezes = freezes.zip(from.zip(to)).map(|(mut freezes, (from, to))| {
            freezes.push(Freeze { from: from.value.0, to: to.value.0, why });
            freezes
        });
    }
    Some(Windows { zone: zone?, allow, freeze: freezes? })
}
