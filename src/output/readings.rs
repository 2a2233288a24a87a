//! Readings as lines: `index/latency  100 ms  max 110 (+50% of 73)  1 bad of 2  ▁▂▇`.
//!
//! Every screen that shows readings calls [`readings_text`], or [`readings_line`] where there is one line for all. The
//! nearest to its limit comes first, and those that are not shown are counted. Nothing here judges.

use std::cmp::Ordering;

use crate::health::{Limit, Measured, ProbeLimits, ProbeReading, at_a_glance};

use super::clean;
use super::page::BARS;

/// The most readings on one line with other text.
const ON_A_LINE: usize = 3;

/// For each reading, at most `most` of them, its line in forms from the longest to the shortest: without the sparkline,
/// without the gap that puts values below each other, and with the limit on a line of its own. A last line counts the
/// others.
pub(crate) fn readings_text(readings: &[Measured], most: usize) -> Vec<Vec<String>> {
    let sorted = by_nearness(readings);
    // A line that only says "and 1 more" has room for that one.
    let shown = if sorted.len() > most { most.saturating_sub(1) } else { sorted.len() };
    let (shown, others) = sorted.split_at(shown);
    let name = |measured: &Measured| clean(&measured.key.to_string()).into_owned();
    let column = shown.iter().map(|measured| name(measured).chars().count()).max().unwrap_or(0);
    let forms = |measured: &&Measured| {
        let (name, value) = (name(measured), value_text(measured));
        let (limit, bad, bars) = (bounds_text(measured), bad_text(measured), sparkline(&measured.recent));
        let joined = |parts: &[Option<&str>]| {
            let parts = parts.iter().copied().flatten().filter(|part| !part.is_empty());
            parts.collect::<Vec<_>>().join("  ")
        };
        let judged = joined(&[limit.as_deref(), bad.as_deref()]);
        let (aligned, plain) = (format!("{name:<column$}  {value}"), format!("{name}  {value}"));
        let mut forms = Vec::new();
        for start in [&aligned, &plain] {
            forms.push(joined(&[Some(start), Some(&judged), Some(&bars)]));
            forms.push(joined(&[Some(start), Some(&judged)]));
        }
        forms.push(if judged.is_empty() { plain } else { format!("{plain}\n  {judged}") });
        forms
    };
    let mut lines: Vec<Vec<String>> = shown.iter().map(forms).collect();
    lines.extend(others_text(others).map(|text| vec![text]));
    lines
}

/// The readings that matter most, on one line with other text.
pub(crate) fn readings_line(readings: &[Measured]) -> String {
    let sorted = by_nearness(readings);
    let (shown, others) = sorted.split_at(sorted.len().min(ON_A_LINE));
    let text = |measured: &&Measured| {
        let parts = [Some(value_text(measured)), bounds_text(measured), bad_text(measured)];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        format!("{} {}", clean(&measured.key.to_string()), parts.join(" "))
    };
    shown.iter().map(text).chain(others_text(others)).collect::<Vec<_>>().join(", ")
}

/// `and 42 more, all within limits`
fn others_text(others: &[&Measured]) -> Option<String> {
    let bad = others.iter().filter(|measured| !measured.reading.good).count();
    match (others.len(), bad) {
        (0, _) => None,
        (count, 0) => Some(format!("and {count} more, all within limits")),
        (count, bad) => Some(format!("and {count} more, {bad} of them bad")),
    }
}

/// Bad ones first, then those that are nearest to their limit, then those without one; equal ones by name.
pub(crate) fn nearest_first(readings: Vec<Measured>) -> Vec<Measured> {
    by_nearness(&readings).into_iter().cloned().collect()
}

fn by_nearness(readings: &[Measured]) -> Vec<&Measured> {
    let mut sorted: Vec<&Measured> = readings.iter().collect();
    let order = |a: &&Measured, b: &&Measured| {
        let nearness = |measured: &Measured| nearest_limit(measured).map_or(f64::NEG_INFINITY, |(_, _, near)| near);
        let bad = |measured: &Measured| std::cmp::Reverse(measured.reading.bad);
        let by_nearness = || nearness(b).partial_cmp(&nearness(a)).unwrap_or(Ordering::Equal);
        let name = || a.key.cmp(&b.key);
        a.reading.good.cmp(&b.reading.good).then(bad(a).cmp(&bad(b))).then_with(by_nearness).then_with(name)
    };
    sorted.sort_by(order);
    sorted
}

/// The limit that the reading is nearest to: its name, the limit, and how near it is (1 at the limit, more behind it).
fn nearest_limit(measured: &Measured) -> Option<(&'static str, Limit, f64)> {
    let ProbeLimits { max, min, reference, .. } = &measured.limits;
    let value = measured.reading.value;
    let near = |name: &'static str, limit: &Limit, sign: f64| {
        let span = (limit.at - reference.unwrap_or(0.0)).abs();
        let past = sign * (value.unwrap_or(limit.at) - limit.at);
        // At a limit without a span, such as 0 errors of 0, nothing is nearer.
        let near = if span > 0.0 { 1.0 + past / span } else { 1.0 + past };
        (name, *limit, near)
    };
    let sides = [max.as_ref().map(|limit| near("max", limit, 1.0)), min.as_ref().map(|limit| near("min", limit, -1.0))];
    sides.into_iter().flatten().max_by(|a, b| a.2.partial_cmp(&b.2).unwrap_or(Ordering::Equal))
}

/// `100 ms`, `good`, `no reading: connection refused`
pub(crate) fn value_text(measured: &Measured) -> String {
    let ProbeReading { value, good, why, .. } = &measured.reading;
    match (value, why) {
        (Some(value), _) => {
            // Rounded, a reading behind its limit must not look like one at it.
            let limit =
                nearest_limit(measured).filter(|(_, limit, _)| !good && at_a_glance(limit.at) == at_a_glance(*value));
            let text = if limit.is_some() { format!("{value}") } else { at_a_glance(*value) };
            with_unit(&text, measured.limits.unit.as_deref())
        }
        (None, Some(why)) => format!("no reading: {}", clean(why)),
        (None, None) => "good".to_owned(),
    }
}

/// `max 110 (+50% of 73)`; of a limit that does not follow from the reference, `max 0.01 (reference 0.002)`
pub(crate) fn limit_text(measured: &Measured) -> Option<String> {
    let (name, limit, _) = nearest_limit(measured)?;
    let of = measured.limits.reference.map(|reference| match limit.percent {
        Some(percent) => {
            let sign = if percent < 0.0 { "" } else { "+" };
            format!(" ({sign}{}% of {})", at_a_glance(percent), at_a_glance(reference))
        }
        None => format!(" (reference {})", at_a_glance(reference)),
    });
    Some(format!("{name} {}{}", at_a_glance(limit.at), of.unwrap_or_default()))
}

/// What a reading is compared with: its limit, or where it has none, the reference.
fn bounds_text(measured: &Measured) -> Option<String> {
    let reference = || measured.limits.reference.map(|reference| format!("reference {}", at_a_glance(reference)));
    limit_text(measured).or_else(reference)
}

/// `1 bad of 2`; of what aborts no bake, `bad (a precondition)`
pub(crate) fn bad_text(measured: &Measured) -> Option<String> {
    let (bad, failures) = (measured.reading.bad, measured.limits.failures);
    match (measured.reading.good, failures) {
        (true, _) => None,
        (false, _) if !measured.limits.role.is_watch() => Some("bad (a precondition)".to_owned()),
        // More than make a regression are just so many, and of a probe that is tested none do.
        (false, Some(failures)) if bad <= failures => Some(format!("{bad} bad of {failures}")),
        (false, _) => Some(format!("{bad} bad in a row")),
    }
}

fn with_unit(number: &str, unit: Option<&str>) -> String {
    match unit {
        None => number.to_owned(),
        Some("%") => format!("{number}%"),
        Some(unit) => format!("{number} {}", clean(unit)),
    }
}

/// The numbers as bars between the lowest and the highest of them; a gap where there was none.
fn sparkline(recent: &[Option<f64>]) -> String {
    let numbers = || recent.iter().flatten().copied();
    let (low, high) = (numbers().fold(f64::INFINITY, f64::min), numbers().fold(f64::NEG_INFINITY, f64::max));
    if numbers().count() < 2 {
        return String::new();
    }
    let bar = |value: &Option<f64>| match value {
        None => ' ',
        Some(value) if high > low => {
            let step = ((value - low) / (high - low) * (BARS.len() - 1) as f64).round() as usize;
            BARS[step.min(BARS.len() - 1)]
        }
        Some(_) => BARS[0],
    };
    recent.iter().map(bar).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ProbeKey;
    use crate::output::Page;
    use crate::output::text::fitting;

    pub(crate) fn measured(name: &str, value: f64, bad: u64) -> Measured {
        let why = (bad > 0).then(|| "read too much".to_owned());
        Measured {
            key: ProbeKey { subsystem: "index".into(), probe: name.to_owned() },
            reading: ProbeReading { value: Some(value), good: bad == 0, why, bad },
            limits: ProbeLimits {
                unit: Some("ms".to_owned()),
                reference: Some(73.0),
                max: Some(Limit { at: 109.5, percent: Some(50.0) }),
                min: None,
                failures: Some(2),
                role: crate::policy::ProbeRole::Watch,
            },
            recent: vec![Some(73.0), None, Some(value)],
        }
    }

    fn lines(readings: &[Measured], width: usize, most: usize) -> Vec<String> {
        let page = Page { width, ascii: false };
        readings_text(readings, most).iter().map(|forms| fitting(forms, page)).collect()
    }

    #[test]
    fn a_reading_has_its_limit_its_reference_and_its_bad_samples() {
        let forms = &readings_text(&[measured("latency", 112.0, 1)], 6)[0];
        assert_eq!(forms[0], "index/latency  112 ms  max 109.5 (+50% of 73)  1 bad of 2  ▁ █");
        assert_eq!(forms[1], "index/latency  112 ms  max 109.5 (+50% of 73)  1 bad of 2");
    }

    /// Where a line is too short for all of it, the limit stands below: nothing of it is left out.
    #[test]
    fn in_a_narrow_terminal_no_limit_and_no_reference_is_lost() {
        let of = |name: &str, width: usize| lines(&[measured(name, 112.0, 1), measured("errors", 80.0, 0)], width, 6);
        let long = "tail-latency-of-list-requests";
        assert_eq!(
            of(long, 58),
            [
                format!("index/{long}  112 ms\n  max 109.5 (+50% of 73)  1 bad of 2"),
                "index/errors  80 ms  max 109.5 (+50% of 73)  ▁ █".to_owned(),
            ]
        );
        for width in [34, 40, 60, 80] {
            for line in of("latency", width).iter().chain(&of(long, width.max(43))) {
                assert!(line.contains("max 109.5 (+50% of 73)"), "{width}: {line}");
            }
        }
    }

    /// A limit that was given as a number has its reference too: what was normal says how bad the reading is.
    #[test]
    fn an_absolute_limit_is_shown_with_the_reference_that_was_read() {
        let mut errors = measured("errors", 0.004, 0);
        errors.limits = ProbeLimits {
            reference: Some(0.002),
            max: Some(Limit { at: 0.01, percent: None }),
            failures: Some(1),
            role: crate::policy::ProbeRole::Watch,
            ..ProbeLimits::default()
        };
        errors.recent = Vec::new();
        let forms = &readings_text(std::slice::from_ref(&errors), 6)[0];
        assert_eq!(forms[0], "index/errors  0.004  max 0.01 (reference 0.002)");
        assert_eq!(readings_line(std::slice::from_ref(&errors)), "index/errors 0.004 max 0.01 (reference 0.002)");
        assert_eq!(limit_text(&errors).as_deref(), Some("max 0.01 (reference 0.002)"), "the report says the same");
        errors.limits.max = None;
        assert_eq!(readings_line(std::slice::from_ref(&errors)), "index/errors 0.004 reference 0.002");
        errors.limits.reference = None;
        assert_eq!(readings_line(std::slice::from_ref(&errors)), "index/errors 0.004", "none was read yet");
    }

    #[test]
    fn the_nearest_to_its_limit_comes_first_and_the_rest_is_counted() {
        let mut all: Vec<Measured> =
            (0..44).map(|n| measured(&format!("p{n:02}"), 73.0 + f64::from(n) / 10.0, 0)).collect();
        all.push(measured("zz-bad", 80.0, 1));
        let shown = lines(&all, 100, 4);
        let names: Vec<&str> = shown.iter().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(names, ["index/zz-bad", "index/p43", "index/p42", "and"]);
        assert_eq!(shown[3], "and 42 more, all within limits");
        let bad: Vec<Measured> = (0..5).map(|n| measured(&format!("p{n}"), 120.0, 1)).collect();
        assert_eq!(lines(&bad, 100, 3)[2], "and 3 more, 3 of them bad");
    }

    #[test]
    fn lines_keep_to_the_width() {
        for width in [34, 40, 60, 80] {
            let lines = lines(&[measured("latency", 112.0, 1)], width, 6);
            let words = lines[0].split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains("1 bad of 2"), "{width}: {lines:?}");
            assert!(lines[0].lines().all(|row| row.chars().count() <= width), "{width}: {lines:?}");
        }
    }

    #[test]
    fn what_could_not_be_read_says_why_and_cannot_control_a_terminal() {
        let mut refused = measured("latency", 0.0, 2);
        refused.reading = ProbeReading { value: None, good: false, why: Some("refused\u{1b}[2J".to_owned()), bad: 2 };
        let line = &lines(&[refused], 100, 6)[0];
        assert!(line.starts_with("index/latency  no reading: refused\\u{1b}[2J"), "{line}");
    }

    #[test]
    fn a_reading_behind_its_limit_does_not_look_like_one_at_it() {
        assert_eq!(value_text(&measured("latency", 109.504, 1)), "109.504 ms");
    }

    #[test]
    fn bars_are_between_the_lowest_and_the_highest() {
        assert_eq!(sparkline(&[Some(0.0), Some(7.0), None, Some(3.5)]), "▁█ ▅");
        assert_eq!(sparkline(&[Some(1.0), Some(1.0)]), "▁▁");
        assert_eq!(sparkline(&[None, Some(1.0)]), "");
    }
}
