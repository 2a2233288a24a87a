//! [`ReportDocument`]: what a journal says of its run, in the order in which a person asks.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::health::ProbeLimits;
use crate::model::{BatchNumber, HostId, ProbeKey, SubsystemName, Time};
use crate::plan::PlanDocument;
use crate::run::{BatchState, JournalRecord, RunDocument, RunHistory, RunOrder, report, with_orders};

use super::timeline::{Entry, Refused, entries, refused, with_orders_between};

/// `safe-remove/report/v1`
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ReportDocument {
    /// `safe-remove/report/v1`
    pub(crate) schema: &'static str,
    /// When the report was made, by the fleet's time.
    pub(crate) at: Time,
    /// The run has not ended: `run` is how it stands.
    pub(crate) under_way: bool,
    /// The run.
    pub(crate) run: RunDocument,
    /// The plan that was confirmed.
    pub(crate) plan: Option<PlanDocument>,
    /// What the tool refused to do or to accept in this run, and what became of it.
    pub(crate) refused: Vec<Refused>,
    /// Hosts that were confirmed and are in service all the same, or were never taken. Empty while it is under way.
    pub(crate) kept: Vec<HostId>,
    /// When each batch was out of service.
    pub(crate) bands: Vec<Band>,
    /// Capacity over time, of every subsystem that the run touches or watches.
    pub(crate) capacity: Vec<CapacitySeries>,
    /// Readings over time, by probe; those that were bad first.
    pub(crate) readings: Vec<ReadingSeries>,
    /// What happened, in order.
    pub(crate) timeline: Vec<Entry>,
}

/// A batch on the timeline.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Band {
    /// Which batch.
    pub(crate) batch: BatchNumber,
    /// What became of it.
    pub(crate) state: BatchState,
    /// When it was granted.
    pub(crate) from: Time,
    /// When all of it was out of service.
    pub(crate) cordoned_at: Option<Time>,
    /// When its bake ended clean.
    pub(crate) baked_at: Option<Time>,
    /// When it was gone or back; of one under way, the last record.
    pub(crate) to: Time,
}

/// The capacity of one subsystem.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CapacitySeries {
    /// Which.
    pub(crate) subsystem: SubsystemName,
    /// Units that must remain.
    pub(crate) minimum: u64,
    /// Units when it was observed; of what the plan touches its observation first.
    pub(crate) points: Vec<(Time, u64)>,
}

/// The readings of one probe.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ReadingSeries {
    /// Which.
    pub(crate) probe: ProbeKey,
    /// Its limits, as they were told last.
    #[serde(flatten)]
    pub(crate) limits: ProbeLimits,
    /// The rounds in which it was bad.
    pub(crate) bad_rounds: usize,
    /// Every round.
    pub(crate) points: Vec<ReadingPoint>,
}

/// One reading.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ReadingPoint {
    /// When it was recorded.
    pub(crate) at: Time,
    /// The number, if there was one.
    pub(crate) value: Option<f64>,
    /// Whether it was good.
    pub(crate) good: bool,
}

impl ReportDocument {
    /// Its `schema`.
    pub(crate) const SCHEMA: &'static str = "safe-remove/report/v1";

    /// The report of a run, as its journal stands; `None` if the journal does not begin with the run's opening.
    ///
    /// `orders`: those that were given to it.
    pub(crate) fn of(journal: &[JournalRecord], orders: &[RunOrder], at: Time) -> Option<Self> {
        let run = report(journal)?;
        let timeline = with_orders_between(entries(journal), orders.iter().filter(|order| !order.is_told_by(&run)));
        let run = with_orders(run, orders);
        let history = RunHistory::of(journal);
        let plan = history.opening.map(|opening| opening.plan.clone());
        let under_way = !history.has_ended();
        Some(Self {
            schema: Self::SCHEMA,
            at,
            under_way,
            refused: refused(journal),
            kept: if under_way { Vec::new() } else { kept(&run) },
            bands: bands(&history, &run),
            capacity: capacity(&history),
            readings: readings(&history),
            timeline,
            plan,
            run,
        })
    }

    /// The first and the last moment that the report shows.
    pub(crate) fn span(&self) -> (Time, Time) {
        let last = self.timeline.last().map_or(self.run.ended_at, |entry| entry.at).max(self.run.ended_at);
        let read = self.readings.iter().filter_map(|series| series.points.last()).map(|point| point.at).max();
        (self.run.started_at, last.max(read.unwrap_or(last)))
    }
}

fn kept(run: &RunDocument) -> Vec<HostId> {
    let is_kept =
        |host: &&HostId| !run.terminated.contains(host) && !run.in_doubt.contains(host) && !run.dropped.contains(host);
    run.batches.iter().flat_map(|batch| &batch.hosts).filter(is_kept).cloned().collect()
}

fn bands(history: &RunHistory<'_>, run: &RunDocument) -> Vec<Band> {
    let last = history.end.map(|end| end.at).or(history.last.map(|last| last.at));
    let band = |batch: &crate::run::BatchReport| {
        let times = history.batches.get(&batch.number)?;
        let from = times.granted?;
        Some(Band {
            batch: batch.number,
            state: batch.state,
            from,
            cordoned_at: times.cordoned,
            baked_at: times.baked,
            to: times.terminated.or(times.restored).or(last).unwrap_or(from),
        })
    };
    run.batches.iter().filter_map(band).collect()
}

/// What the plan touches comes first, then what the run only watches.
fn capacity(history: &RunHistory<'_>) -> Vec<CapacitySeries> {
    let Some(opening) = history.opening else { return Vec::new() };
    let seen = |name: &SubsystemName| -> Vec<(Time, u64)> {
        history.rounds.iter().filter_map(|round| Some((round.at, *round.capacity.get(name)?))).collect()
    };
    let touched = opening.plan.subsystems.iter().map(|of| CapacitySeries {
        subsystem: of.name.clone(),
        minimum: of.minimum,
        points: std::iter::once((opening.plan.observed_at, of.capacity)).chain(seen(&of.name)).collect(),
    });
    let is_touched = |name: &SubsystemName| opening.plan.subsystems.iter().any(|of| of.name == *name);
    let watched = opening.minimums.iter().filter(|(name, _)| !is_touched(name)).map(|(name, minimum)| CapacitySeries {
        subsystem: name.clone(),
        minimum: *minimum,
        points: seen(name),
    });
    touched.chain(watched.filter(|series| !series.points.is_empty())).collect()
}

fn readings(history: &RunHistory<'_>) -> Vec<ReadingSeries> {
    let mut points: BTreeMap<&ProbeKey, Vec<ReadingPoint>> = BTreeMap::new();
    for round in &history.rounds {
        for (key, reading) in round.readings {
            let point = ReadingPoint { at: round.at, value: reading.value, good: reading.good };
            points.entry(key).or_default().push(point);
        }
    }
    let series = |(key, points): (&ProbeKey, Vec<ReadingPoint>)| ReadingSeries {
        probe: key.clone(),
        limits: history.limits.and_then(|limits| limits.get(key)).cloned().unwrap_or_default(),
        bad_rounds: points.iter().filter(|point| !point.good).count(),
        points,
    };
    let mut all: Vec<ReadingSeries> = points.into_iter().map(series).collect();
    all.sort_by(|a, b| b.bad_rounds.cmp(&a.bad_rounds).then_with(|| a.probe.cmp(&b.probe)));
    all
}
