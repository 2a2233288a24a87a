//! What every form of the report says, in order. Text, Markdown and the page differ only in how they look.

use crate::health::Measured;
use crate::health::ProbeReading;
use crate::health::at_a_glance;
use crate::model::{Time, span_text};
use crate::output::readings::limit_text;
use crate::output::{hosts_text, run_sentence};
use crate::run::BatchState;

use super::document::{ReadingSeries, ReportDocument};
use super::timeline::{EntryKind, counted, outcome_text};

/// A section.
pub(super) struct Section {
    pub(super) title: String,
    pub(super) parts: Vec<Part>,
}

/// A part of a section.
pub(super) enum Part {
    /// Sentences.
    Words(String),
    /// Names and their values.
    Facts(Vec<(&'static str, String)>),
    /// A heading, and rows of as many cells.
    Table(Vec<&'static str>, Vec<Row>),
}

/// A row of a table.
pub(super) struct Row {
    pub(super) cells: Vec<String>,
    /// What it is, for those who see colours: words say it too.
    pub(super) kind: Option<EntryKind>,
}

impl Row {
    fn plain(cells: Vec<String>) -> Self {
        Self { cells, kind: None }
    }
}

/// The first sentences.
pub(super) fn summary(report: &ReportDocument) -> String {
    let run = &report.run;
    let mut text = if report.under_way {
        format!("Run {} on {} is under way. This is how it stood at {}.", run.run, run.subsystem, report.at)
    } else {
        run_sentence(run)
    };
    if let Some(recovery) = &run.recovery {
        // A probe's name may begin the message, and keeps its letters.
        text.push_str(&format!(" Afterwards {}", recovery.message));
        if !text.ends_with('.') {
            text.push('.');
        }
    }
    text
}

/// Everything behind the first sentences.
pub(super) fn sections(report: &ReportDocument) -> Vec<Section> {
    let mut all = vec![facts(report), refused(report), batches(report), capacity(report), readings(report)];
    all.push(timeline(report));
    all.extend(plan(report));
    all.retain(|section| !section.parts.is_empty());
    all
}

fn section(title: impl Into<String>, parts: Vec<Part>) -> Section {
    Section { title: title.into(), parts }
}

fn facts(report: &ReportDocument) -> Section {
    let run = &report.run;
    let mut facts = vec![
        ("run", run.run.to_string()),
        ("fleet", run.fleet.to_string()),
        ("subsystem", run.subsystem.to_string()),
        ("operator", run.operator.to_string()),
    ];
    facts.extend(run.confirmed.as_ref().map(|how| ("confirmed", how.clone())));
    facts.extend(run.reason.as_ref().map(|reason| ("reason", reason.clone())));
    facts.extend(run.request_id.as_ref().map(|id| ("request id", id.to_string())));
    facts.push(("began", run.started_at.to_string()));
    if !report.under_way {
        let took = span_text(run.ended_at.since(run.started_at));
        facts.push(("ended", format!("{}, after {took}", run.ended_at)));
        facts.push(("outcome", format!("{}, exit code {}", outcome_text(run.outcome), run.exit_code)));
    }
    facts.extend(run.cause.as_ref().map(|cause| ("cause", cause.message.clone())));
    let takeover = |by: &crate::run::TakenOver| ("taken over", format!("{} by {}, {}", by.how, by.operator, by.at));
    facts.extend(run.taken_over_by.iter().map(takeover));
    for (name, hosts) in
        [("gone", &run.terminated), ("back", &run.restored), ("in doubt", &run.in_doubt), ("dropped", &run.dropped)]
    {
        if !hosts.is_empty() {
            facts.push((name, hosts_text(hosts, usize::MAX)));
        }
    }
    facts.extend(run.warnings.iter().map(|warning| ("warning", warning.clone())));
    facts.extend(run.next_command.as_ref().map(|next| ("next", next.clone())));
    section("The run", vec![Part::Facts(facts)])
}

fn refused(report: &ReportDocument) -> Section {
    if report.refused.is_empty() {
        let nothing = "It refused nothing in this run.".to_owned();
        return section("What it refused", vec![Part::Words(nothing)]);
    }
    let mut parts = Vec::new();
    if !report.kept.is_empty() {
        let kept = hosts_text(&report.kept, 20);
        let count = counted(report.kept.len(), "host");
        parts.push(Part::Words(format!("{count} of the confirmed ones did not go: {kept}.")));
    }
    let row = |refused: &super::timeline::Refused| {
        Row::plain(vec![refused.at.to_string(), since(report, refused.at), refused.text.clone()])
    };
    parts.push(Part::Table(vec!["at", "after", "it refused"], report.refused.iter().map(row).collect()));
    section(format!("What it refused ({})", report.refused.len()), parts)
}

fn batches(report: &ReportDocument) -> Section {
    let time = |at: Option<Time>| at.map(|at| since(report, at)).unwrap_or_default();
    let row = |batch: &crate::run::BatchReport| {
        let state = match batch.state {
            BatchState::Terminated => "terminated",
            BatchState::Restored => "restored",
            BatchState::Cordoned => "cordoned",
            BatchState::Unknown => "unknown",
            BatchState::NotStarted => "not started",
        };
        Row::plain(vec![
            batch.number.to_string(),
            state.to_owned(),
            time(batch.cordoned_at),
            time(batch.bake_ended_at),
            time(batch.terminated_at.or(batch.restored_at)),
            hosts_text(&batch.hosts, usize::MAX),
        ])
    };
    let heads = vec!["batch", "state", "cordoned", "baked", "gone or back", "hosts"];
    let words = Part::Words("Times are counted from the run's beginning.".to_owned());
    section("Batches", vec![Part::Table(heads, report.run.batches.iter().map(row).collect()), words])
}

fn capacity(report: &ReportDocument) -> Section {
    let row = |series: &super::document::CapacitySeries| {
        let units = || series.points.iter().map(|(_, units)| *units);
        Row::plain(vec![
            series.subsystem.to_string(),
            units().next().unwrap_or(0).to_string(),
            units().min().unwrap_or(0).to_string(),
            units().next_back().unwrap_or(0).to_string(),
            series.minimum.to_string(),
        ])
    };
    if report.capacity.is_empty() {
        return section("Capacity", Vec::new());
    }
    let heads = vec!["subsystem", "before", "lowest", "last", "minimum"];
    section("Capacity, in units", vec![Part::Table(heads, report.capacity.iter().map(row).collect())])
}

fn readings(report: &ReportDocument) -> Section {
    if report.readings.is_empty() {
        return section("Readings", Vec::new());
    }
    let row = |series: &ReadingSeries| {
        let numbers = || series.points.iter().filter_map(|point| point.value);
        let text = |value: Option<f64>| value.map(at_a_glance).unwrap_or_default();
        let (low, high) = (numbers().reduce(f64::min), numbers().reduce(f64::max));
        let unit = series.limits.unit.clone().map(|unit| format!(" ({unit})")).unwrap_or_default();
        Row {
            cells: vec![
                format!("{}{unit}", series.probe),
                text(series.limits.reference),
                limit_of(series),
                text(low),
                text(high),
                text(series.points.last().and_then(|point| point.value)),
                format!("{} of {}", series.bad_rounds, series.points.len()),
            ],
            kind: (series.bad_rounds > 0).then_some(EntryKind::Trouble),
        }
    };
    let heads = vec!["probe", "reference", "limit", "lowest", "highest", "last", "bad samples"];
    section("Readings", vec![Part::Table(heads, report.readings.iter().map(row).collect())])
}

/// The limit that the last reading was nearest to.
pub(super) fn limit_of(series: &ReadingSeries) -> String {
    let value = series.points.iter().rev().find_map(|point| point.value);
    let reading = ProbeReading { value, good: true, why: None, bad: 0 };
    let measured = Measured { key: series.probe.clone(), reading, limits: series.limits.clone(), recent: Vec::new() };
    limit_text(&measured).unwrap_or_default()
}

fn timeline(report: &ReportDocument) -> Section {
    let row = |entry: &super::timeline::Entry| Row {
        cells: vec![entry.at.to_string(), since(report, entry.at), entry.text.clone()],
        kind: Some(entry.kind),
    };
    if report.timeline.is_empty() {
        let pruned = "The journal was pruned: its records are in the file that the warnings name.".to_owned();
        return section("What happened", vec![Part::Words(pruned)]);
    }
    section("What happened", vec![Part::Table(vec!["at", "after", "what"], report.timeline.iter().map(row).collect())])
}

fn plan(report: &ReportDocument) -> Option<Section> {
    let plan = report.plan.as_ref()?;
    let list = |names: Vec<String>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let asked = match (&plan.request.count, &plan.request.hosts) {
        (Some(count), _) => format!("{count} of {}", plan.request.subsystem),
        (None, Some(hosts)) => format!("{} of {}", hosts_text(hosts, usize::MAX), plan.request.subsystem),
        (None, None) => plan.request.subsystem.to_string(),
    };
    let mut facts = vec![("plan", plan.plan.to_string()), ("asked for", asked)];
    let most = if plan.exact { "at most" } else { "at least" };
    facts.extend(plan.largest_allowed_count.map(|count| (most, count.to_string())));
    facts.push(("observed", plan.observed_at.to_string()));
    facts.push(("watched", list(plan.watched.iter().map(ToString::to_string).collect())));
    let other = |other: &crate::plan::OtherRun| format!("{} of {} ({})", other.run, other.operator, other.subsystem);
    facts.push(("other runs", list(plan.others.iter().map(other).collect())));
    let hosts = plan.batches.iter().flat_map(|batch| batch.hosts.iter().map(move |host| (batch.number, host)));
    let row = |(batch, host): (crate::model::BatchNumber, &crate::plan::PlannedHost)| {
        Row::plain(vec![
            batch.to_string(),
            host.id.to_string(),
            host.zone.to_string(),
            host.group.as_ref().map(ToString::to_string).unwrap_or_default(),
            host.subsystems.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        ])
    };
    let heads = vec!["batch", "host", "zone", "group", "serves"];
    Some(section("The plan that was confirmed", vec![Part::Facts(facts), Part::Table(heads, hosts.map(row).collect())]))
}

fn since(report: &ReportDocument, at: Time) -> String {
    format!("+{}", span_text(at.since(report.run.started_at)))
}
