//! A plan as text: the place, the request, every subsystem touched, the batches, and what is in the way.

use std::fmt::Write as _;

use crate::model::HostId;
use crate::plan::{Constraint, OtherRun, PlanDocument, Rule, SubsystemCapacity, Verdict, Violation, Why, WouldAllow};

use super::{Align, Place, Table, clean, field, hosts_text, wrap};

/// The most hosts of one batch that are listed; `plan -o json` lists all of them.
const HOSTS_SHOWN: usize = 40;

/// The most lines of each list in the reason for a refusal.
const WHY_SHOWN: usize = 4;

/// The whole plan. `next` is the command to type next, where there is one.
pub(crate) fn plan_text(plan: &PlanDocument, place: &Place, next: Option<&str>) -> String {
    let mut out = place.text();
    out.push_str(&field("request", &request_text(plan)));
    out.push_str(&field("plan", plan.plan.as_str()));
    out.push_str(&field("observed", &format!("{}; the plan expires {}", plan.observed_at, plan.expires_at)));

    if !plan.subsystems.is_empty() {
        out.push_str("\nSubsystems, in units\n");
        out.push_str(&subsystems_text(&plan.subsystems, &plan.request.subsystem));
    }
    if !plan.batches.is_empty() {
        out.push_str(if plan.verdict == Verdict::Allowed {
            "\nBatches\n"
        } else {
            "\nBatches, if they were allowed\n"
        });
        out.push_str(&batches_text(plan));
    }
    if !plan.watched.is_empty() {
        let watched: Vec<_> = plan.watched.iter().map(|name| name.as_str()).collect();
        out.push('\n');
        out.push_str(&field("watched", &watched.join(" ")));
    }
    for other in &plan.others {
        out.push_str(&field("other run", &other_text(other)));
    }
    for warning in &plan.warnings {
        out.push_str(&field("warning", warning));
    }
    if let Some(at) = plan.not_before {
        out.push_str(&field("waits", &format!("a budget or an interval asks to wait until {at}")));
    }

    out.push('\n');
    match plan.verdict {
        Verdict::Allowed => out.push_str("Allowed.\n"),
        Verdict::Refused => {
            out.push_str("Refused. Nothing was touched.\n");
            for violation in &plan.violations {
                _ = writeln!(out, "  {:<17} {}", rule_name(violation.rule), wrap(&clean(&violation.message), 20));
            }
            if let Some(line) = largest_text(plan) {
                _ = writeln!(out, "{line}");
            }
            if let Some(why) = &plan.why {
                out.push_str(&why_text(why, plan));
            }
        }
    }
    if let Some(next) = next {
        _ = writeln!(out, "next: {}", clean(next));
    }
    out
}

/// Who else takes hosts or watches, and what that means for the reader.
fn other_text(other: &OtherRun) -> String {
    let of = other.subsystem.as_str();
    let what = match (other.holds, other.claims) {
        (0, claims) => format!("stands in line for {claims}"),
        (holds, 0) => format!("has {holds} hosts out"),
        (holds, claims) => format!("has {holds} hosts out and stands in line for {claims}"),
    };
    let silent = if other.silent { ", and is SILENT: see safe-remove status" } else { "" };
    format!("{} of {} ({of}, since {}) {what}{silent}", other.run, other.operator, other.since)
}

/// The refusal on one line, for stderr: every rule with its subsystem.
pub(crate) fn refusal_line(plan: &PlanDocument) -> String {
    let mut rules: Vec<String> = Vec::new();
    for violation in &plan.violations {
        let rule = match scope(violation) {
            Some(scope) => format!("{} ({scope})", rule_name(violation.rule)),
            None => rule_name(violation.rule),
        };
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    format!("refused by policy: {}; nothing was touched", rules.join(", "))
}

fn scope(violation: &Violation) -> Option<String> {
    let subsystem = violation.subsystem.as_ref().map(|s| s.as_str());
    let group = violation.group.as_ref().map(|g| g.as_str());
    let host = violation.host.as_ref().map(HostId::as_str);
    let what = subsystem.or(group).or(host)?;
    Some(match &violation.zone {
        Some(zone) => format!("{what}, zone {zone}"),
        None => what.to_owned(),
    })
}

/// The rule's name in documents.
fn rule_name(rule: Rule) -> String {
    match serde_json::to_value(rule) {
        Ok(serde_json::Value::String(name)) => name,
        _ => format!("{rule:?}"),
    }
}

fn request_text(plan: &PlanDocument) -> String {
    let request = &plan.request;
    let mut text = match (&request.count, &request.hosts) {
        (Some(1), _) => format!("remove 1 host of {}", request.subsystem),
        (Some(count), _) => format!("remove {count} hosts of {}", request.subsystem),
        (None, Some(hosts)) => format!("remove {} of {}", hosts_text(hosts, HOSTS_SHOWN), request.subsystem),
        (None, None) => format!("remove nothing of {}", request.subsystem),
    };
    if let Some(reason) = &request.reason {
        text.push_str(&format!(", because: {reason}"));
    }
    if let Some(id) = &request.request_id {
        text.push_str(&format!(" (request id {id})"));
    }
    clean(&text).into_owned()
}

fn largest_text(plan: &PlanDocument) -> Option<String> {
    let name = clean(plan.request.subsystem.as_str());
    match plan.largest_allowed_count? {
        0 => Some(format!("No host of {name} can be removed now: safe-remove headroom says what limits it.")),
        largest => Some(format!("The largest count of {name} that these limits would allow now is {largest}.")),
    }
}

/// The reason as the few constraints that matter, then the ways out that leave the policies as they are. What the
/// policies say comes last. Each list has at most `WHY_SHOWN` lines.
fn why_text(why: &Why, plan: &PlanDocument) -> String {
    let count = plan.request.count.unwrap_or(0);
    let mut out = String::new();
    let mut lines = |heading: String, texts: Vec<&str>| {
        if texts.is_empty() {
            return;
        }
        _ = writeln!(out, "{heading}");
        let shown = if texts.len() > WHY_SHOWN { WHY_SHOWN - 1 } else { texts.len() };
        for text in &texts[..shown] {
            _ = writeln!(out, "  {}", wrap(&clean(text), 2));
        }
        if shown < texts.len() {
            _ = writeln!(out, "  and {} more: -o json has them all", texts.len() - shown);
        }
    };
    // A reason in the words of the violation above would only repeat it.
    let is_said = |constraint: &Constraint| plan.violations.iter().any(|v| v.message == constraint.message);
    let together = if why.constraints.len() > 1 { ", together" } else { "" };
    if !why.constraints.iter().all(is_said) {
        let constraints = why.constraints.iter().map(|constraint| constraint.message.as_str()).collect();
        lines(format!("What excludes {count}{together}:"), constraints);
    }
    // The largest count is already shown. What a policy says is a fact, and no way out to take at night.
    let is_policy = |way: &WouldAllow| matches!(way, WouldAllow::Policy { .. } | WouldAllow::GroupMinimum { .. });
    let ways = || why.would_allow.iter().filter(|way| !matches!(way, WouldAllow::FewerHosts { .. }));
    lines(format!("What would allow {count}:"), ways().filter(|w| !is_policy(w)).map(WouldAllow::message).collect());
    lines("What is set against it:".to_owned(), ways().filter(|w| is_policy(w)).map(WouldAllow::message).collect());
    out
}

/// Capacity before and after, by subsystem and zone. Also used in the text of a run.
pub(super) fn subsystems_text(subsystems: &[SubsystemCapacity], named: &crate::model::SubsystemName) -> String {
    let mut table = Table::new(&[
        ("subsystem", Align::Whole),
        ("serve", Align::Right),
        ("after", Align::Right),
        ("minimum", Align::Right),
        ("headroom", Align::Right),
        ("zones: serve > after (minimum)", Align::Left),
    ]);
    for subsystem in subsystems {
        let zones: Vec<String> = subsystem
            .zones
            .iter()
            .map(|z| match z.minimum {
                0 => format!("{} {} > {}", z.name, z.capacity, z.remaining),
                minimum => format!("{} {} > {} ({minimum})", z.name, z.capacity, z.remaining),
            })
            .collect();
        let mark = if subsystem.name == *named { "" } else { " *" };
        table.row([
            format!("{}{mark}", subsystem.name),
            subsystem.capacity.to_string(),
            subsystem.remaining.to_string(),
            subsystem.minimum.to_string(),
            subsystem.headroom.to_string(),
            zones.join(", "),
        ]);
    }
    let mut out = table.render("  ");
    if subsystems.iter().any(|s| s.name != *named) {
        out.push_str("  * served by the same hosts\n");
    }
    out
}

fn batches_text(plan: &PlanDocument) -> String {
    let mut table = Table::new(&[
        ("batch", Align::Right),
        ("host", Align::Whole),
        ("zone", Align::Whole),
        ("group", Align::Left),
        ("units", Align::Right),
        ("serves", Align::Left),
    ]);
    for batch in &plan.batches {
        let shown = if batch.hosts.len() > HOSTS_SHOWN { HOSTS_SHOWN - 1 } else { batch.hosts.len() };
        for (n, host) in batch.hosts[..shown].iter().enumerate() {
            let mut serves = host.subsystems.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            match (host.serving, host.doubtful) {
                (true, _) => {}
                (false, false) => serves.push_str(" (not serving now)"),
                (false, true) => serves.push_str(" (unhealthy, may still get work)"),
            }
            table.row([
                if n == 0 { batch.number.to_string() } else { String::new() },
                host.id.to_string(),
                host.zone.to_string(),
                host.group.as_ref().map_or("-", |g| g.as_str()).to_owned(),
                host.units.to_string(),
                serves,
            ]);
        }
        if shown < batch.hosts.len() {
            table.row(["", &format!("and {} more", batch.hosts.len() - shown), "", "", "", ""]);
        }
    }
    table.render("  ")
}
