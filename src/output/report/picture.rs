//! The timeline as SVG: batches as bands, capacity against its minimum, readings against limit and reference, and a mark for
//! each order and each trouble. Its colours are classes, which the page defines for light, dark and paper.

use maud::{Markup, html};

use crate::health::at_a_glance;
use crate::model::{Time, span_text};
use crate::output::clean;
use crate::run::BatchState;

use super::document::{Band, CapacitySeries, ReadingSeries, ReportDocument};
use super::sections::limit_of;
use super::timeline::EntryKind;

/// The picture's width; it is scaled to the page.
const WIDTH: f64 = 960.0;
/// Where the time axis begins and ends.
const LEFT: f64 = 56.0;
const RIGHT: f64 = WIDTH - 24.0;
/// A panel: the line with its name, the plot, the room below it.
const TITLE: f64 = 22.0;
const PLOT: f64 = 84.0;
const GAP: f64 = 14.0;
/// The lane of the batches' names, at the top.
const LANE: f64 = 40.0;
/// The lane of the marks and the axis, at the bottom.
const FOOT: f64 = 70.0;
/// Panels of each kind; the tables have all of them.
const PANELS: usize = 6;
/// Marks that are nearer than this share one circle.
const MARK: f64 = 20.0;

/// The picture.
pub(super) fn picture(report: &ReportDocument) -> Markup {
    let scale = Scale::of(report);
    let capacity: Vec<&CapacitySeries> = report.capacity.iter().take(PANELS).collect();
    let readings: Vec<&ReadingSeries> =
        report.readings.iter().filter(|series| series.points.iter().any(|p| p.value.is_some())).take(PANELS).collect();
    let panels = capacity.len() + readings.len();
    let floor = LANE + panels as f64 * (TITLE + PLOT + GAP);
    let height = floor + FOOT;
    let label = format!("Timeline of run {}", report.run.run);
    html! {
        svg class="timeline" viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label=(clean(&label)) {
            @for band in &report.bands { (bands(&scale, band, floor)) }
            @for (place, series) in capacity.iter().enumerate() {
                (capacity_panel(&scale, series, top(place)))
            }
            @for (place, series) in readings.iter().enumerate() {
                (reading_panel(&scale, series, top(capacity.len() + place)))
            }
            (marks(&scale, report, floor))
            (axis(&scale, floor))
        }
    }
}

/// An order or a trouble: when, which of both, and what.
pub(super) type Marked<'a> = (Time, EntryKind, &'a str);

/// What the marks of the picture stand for, in the order of their numbers, which begin at 1.
pub(super) fn legend(report: &ReportDocument) -> Vec<Vec<Marked<'_>>> {
    groups(&Scale::of(report), report).into_iter().map(|(_, entries)| entries).collect()
}

fn top(place: usize) -> f64 {
    LANE + place as f64 * (TITLE + PLOT + GAP)
}

/// Times as columns.
struct Scale {
    from: Time,
    millis: f64,
}

impl Scale {
    fn of(report: &ReportDocument) -> Self {
        let (from, to) = report.span();
        Self { from, millis: (to.since(from).as_millis() as f64).max(1000.0) }
    }

    fn x(&self, at: Time) -> f64 {
        let share = at.since(self.from).as_millis() as f64 / self.millis;
        LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }
}

/// Numbers as rows of one plot, a little room left above and below.
struct Rows {
    low: f64,
    high: f64,
    top: f64,
}

impl Rows {
    fn of(numbers: impl Iterator<Item = f64>, top: f64) -> Self {
        let (low, high) = numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), n| (l.min(n), h.max(n)));
        let room = if high > low { (high - low) * 0.12 } else { high.abs().max(1.0) * 0.5 };
        Self { low: low - room, high: high + room, top: top + TITLE }
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        self.top + PLOT * (1.0 - if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.5 })
    }
}

/// One decimal of a unit: more makes the page larger and nothing clearer.
fn px(of: f64) -> String {
    format!("{of:.1}")
}

fn line(class: &str, from: (f64, f64), to: (f64, f64)) -> Markup {
    html! { line class=(class) x1=(px(from.0)) y1=(px(from.1)) x2=(px(to.0)) y2=(px(to.1)) {} }
}

fn words(class: &str, anchor: &str, at: (f64, f64), text: &str) -> Markup {
    html! { text class=(class) text-anchor=(anchor) x=(px(at.0)) y=(px(at.1)) { (clean(text)) } }
}

fn bands(scale: &Scale, band: &Band, floor: f64) -> Markup {
    let (from, to) = (scale.x(band.from), scale.x(band.to).max(scale.x(band.from) + 2.0));
    let out = band.cordoned_at.map(|at| (scale.x(at), band.baked_at.map_or(to, |at| scale.x(at))));
    let state = match band.state {
        BatchState::Terminated => "gone",
        BatchState::Restored => "put back",
        BatchState::Cordoned => "out",
        BatchState::Unknown => "in doubt",
        BatchState::NotStarted => "untouched",
    };
    let width = to - from;
    html! {
        g {
            title { "batch " (band.batch) ", " (state) ": " (band.from) " to " (band.to) }
            rect class="band" x=(px(from)) y=(px(18.0)) width=(px(width)) height=(px(floor - 18.0)) {}
            @if let Some((bake, end)) = out {
                rect class="bake" x=(px(bake)) y=(px(30.0)) width=(px((end - bake).max(1.0))) height="6" {}
            }
            // A name that is wider than its band would lie over its neighbour's.
            @if width > 96.0 {
                (words("name", "start", (from + 4.0, 14.0), &format!("batch {}: {state}", band.batch)))
            } @else if width > 14.0 {
                (words("name", "start", (from + 2.0, 14.0), &band.batch.to_string()))
            }
        }
    }
}

fn frame(title: &str, note: &str, top: f64) -> Markup {
    let (above, below) = (top + TITLE, top + TITLE + PLOT);
    html! {
        (words("title", "start", (LEFT, top + 15.0), title))
        (words("note", "end", (RIGHT, top + 15.0), note))
        rect class="plot" x=(px(LEFT)) y=(px(above)) width=(px(RIGHT - LEFT)) height=(px(below - above)) {}
    }
}

/// A level across the plot, with its number beside the axis.
fn level(class: &str, rows: &Rows, at: f64) -> Markup {
    let y = rows.y(at);
    html! {
        (line(class, (LEFT, y), (RIGHT, y)))
        (words("level", "end", (LEFT - 6.0, y + 4.0), &at_a_glance(at)))
    }
}

fn capacity_panel(scale: &Scale, series: &CapacitySeries, top: f64) -> Markup {
    let units = |units: u64| units as f64;
    let minimum = units(series.minimum);
    let rows = Rows::of(series.points.iter().map(|(_, n)| units(*n)).chain([minimum]), top);
    let mut path = String::new();
    for (place, (at, capacity)) in series.points.iter().enumerate() {
        let (x, y) = (px(scale.x(*at)), px(rows.y(units(*capacity))));
        path.push_str(&if place == 0 { format!("M{x} {y}") } else { format!("H{x}V{y}") });
    }
    path.push_str(&format!("H{}", px(series.points.last().map_or(LEFT, |(at, _)| scale.x(*at)))));
    let lowest = series.points.iter().map(|(_, units)| *units).min().unwrap_or(0);
    let title = format!("{}: capacity, in units", series.subsystem);
    let note = format!("lowest {lowest}, minimum {}", series.minimum);
    let most = series.points.iter().map(|(_, n)| *n).max().unwrap_or(0);
    html! {
        (frame(&title, &note, top))
        (level("minimum", &rows, minimum))
        @if rows.y(minimum) - rows.y(units(most)) > 14.0 {
            (words("level", "end", (LEFT - 6.0, rows.y(units(most)) + 4.0), &most.to_string()))
        }
        path class="capacity" d=(path) {}
    }
}

fn reading_panel(scale: &Scale, series: &ReadingSeries, top: f64) -> Markup {
    let limits = &series.limits;
    let levels = [
        limits.max.map(|l| ("limit", l.at)),
        limits.min.map(|l| ("limit", l.at)),
        limits.reference.map(|r| ("reference", r)),
    ];
    let levels: Vec<(&str, f64)> = levels.into_iter().flatten().collect();
    let numbers = series.points.iter().filter_map(|point| point.value).chain(levels.iter().map(|(_, at)| *at));
    let rows = Rows::of(numbers, top);
    let mut path = String::new();
    let mut pen = 'M';
    for point in &series.points {
        match point.value {
            Some(value) => {
                path.push_str(&format!("{pen}{} {}", px(scale.x(point.at)), px(rows.y(value))));
                pen = 'L';
            }
            // Nothing was read: the line has a gap.
            None => pen = 'M',
        }
    }
    let unit = limits.unit.as_ref().map(|unit| format!(", in {unit}")).unwrap_or_default();
    let limit = limit_of(series);
    let note = if limit.is_empty() { "no limit".to_owned() } else { limit };
    // A number that would lie over another one is left out: the note above names the limit.
    let mut named: Vec<f64> = Vec::new();
    let mut levels_named = Vec::new();
    for (class, at) in levels {
        let is_free = named.iter().all(|y| (y - rows.y(at)).abs() > 14.0);
        named.extend(is_free.then(|| rows.y(at)));
        levels_named.push((class, at, is_free));
    }
    let levels = levels_named;
    html! {
        (frame(&format!("{}{unit}", series.probe), &note, top))
        @for (class, at, is_named) in &levels {
            @if *is_named { (level(class, &rows, *at)) } @else { (line(class, (LEFT, rows.y(*at)), (RIGHT, rows.y(*at)))) }
        }
        path class="reading" d=(path) {}
        @for point in series.points.iter().filter(|point| !point.good) {
            @let (x, y) = (scale.x(point.at), rows.y(point.value.unwrap_or(rows.high)));
            // A cross, and not only a colour.
            path class="bad" d=(format!("M{} {}l7 7m0 -7l-7 7", px(x - 3.5), px(y - 3.5))) {}
        }
    }
}

/// Orders and troubles, those together that would overlap.
fn groups<'a>(scale: &Scale, report: &'a ReportDocument) -> Vec<(f64, Vec<Marked<'a>>)> {
    let mut groups: Vec<(f64, Vec<Marked<'a>>)> = Vec::new();
    let is_marked = |kind: EntryKind| matches!(kind, EntryKind::Order | EntryKind::Trouble);
    for entry in report.timeline.iter().filter(|entry| is_marked(entry.kind)) {
        let x = scale.x(entry.at);
        let told = (entry.at, entry.kind, entry.text.as_str());
        match groups.last_mut() {
            Some((at, entries)) if x - *at < MARK => entries.push(told),
            _ => groups.push((x, vec![told])),
        }
    }
    groups
}

fn marks(scale: &Scale, report: &ReportDocument, floor: f64) -> Markup {
    html! {
        @for (place, (x, entries)) in groups(scale, report).iter().enumerate() {
            @let trouble = entries.iter().any(|(_, kind, _)| *kind == EntryKind::Trouble);
            g {
                title { @for (at, _, text) in entries { (at) " " (clean(text)) "\n" } }
                (line(if trouble { "mark trouble" } else { "mark order" }, (*x, 18.0), (*x, floor + 6.0)))
                circle class=(if trouble { "dot trouble" } else { "dot order" }) cx=(px(*x)) cy=(px(floor + 15.0)) r="9" {}
                (words("dotted", "middle", (*x, floor + 19.0), &(place + 1).to_string()))
            }
        }
    }
}

/// Ticks at times that people count in.
fn axis(scale: &Scale, floor: f64) -> Markup {
    const STEPS: [u64; 16] = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400, 604_800];
    let seconds = scale.millis / 1000.0;
    let step = STEPS.into_iter().find(|step| seconds / *step as f64 <= 8.0).unwrap_or(604_800 * 4);
    let count = (seconds / step as f64).floor() as u64;
    let y = floor + 40.0;
    html! {
        (line("axis", (LEFT, y - 10.0), (RIGHT, y - 10.0)))
        @for tick in 0..=count {
            @let span = std::time::Duration::from_secs(tick * step);
            @let x = scale.x(scale.from.plus(span));
            (line("axis", (x, y - 10.0), (x, y - 5.0)))
            @let label = if tick == 0 { "0".to_owned() } else { format!("+{}", span_text(span)) };
            (words("tick", "middle", (x, y + 7.0), &label))
        }
        (words("tick", "start", (LEFT - 4.0, y + 26.0), &format!("counted from {}", scale.from)))
    }
}
