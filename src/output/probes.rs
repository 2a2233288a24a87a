//! What every probe reads now, beside its limits: `policy check --probe`.

use std::time::Duration;

use serde::Serialize;

use crate::health::{Measured, at_a_glance};
use crate::model::span_text;
use crate::policy::ProbeRole;

use super::readings::value_text;
use super::{Align, Table, Text};

/// One probe, read once.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ProbeCheck {
    /// The reading and its limits. Relative ones have no number yet: no reference was taken.
    #[serde(flatten)]
    pub(crate) measured: Measured,
    /// The relative limits, in per cent of a reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_increase: Option<String>,
    /// The same below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_decrease: Option<String>,
    /// How old the reading was, where it says so.
    pub(crate) age_ms: Option<u64>,
    /// From asking to the answer.
    pub(crate) took_ms: u64,
}

/// `min 0.5, max 10, at most +20%`
fn limits_text(probe: &ProbeCheck) -> String {
    let limits = &probe.measured.limits;
    let absolute = [("min", &limits.min), ("max", &limits.max)];
    let absolute =
        absolute.into_iter().filter_map(|(name, limit)| Some(format!("{name} {}", at_a_glance(limit.as_ref()?.at))));
    let relative = [("+", &probe.max_increase), ("-", &probe.max_decrease)];
    let relative =
        relative.into_iter().filter_map(|(sign, percent)| Some(format!("at most {sign}{}", percent.as_ref()?)));
    absolute.chain(relative).collect::<Vec<_>>().join(", ")
}

/// Every probe on a line.
pub(crate) fn probes_text(probes: &[ProbeCheck]) -> Text {
    let mut text = Text::default();
    let columns = [
        ("probe", Align::Whole),
        ("reads", Align::Left),
        ("limit", Align::Left),
        ("age", Align::Whole),
        ("took", Align::Whole),
    ];
    let mut table = Table::new(&columns);
    for probe in probes {
        let name = probe.measured.key.to_string();
        let bad = if probe.measured.reading.good { "" } else { "BAD: " };
        let value = format!("{bad}{}", value_text(&probe.measured));
        let role = match probe.measured.limits.role {
            ProbeRole::Watch => "",
            ProbeRole::Precondition => " (a precondition)",
        };
        let limit = format!("{}{role}", limits_text(probe));
        let age = probe.age_ms.map_or_else(String::new, |age| span_text(Duration::from_millis(age)));
        table.row([name.as_str(), &value, limit.trim(), &age, &format!("{} ms", probe.took_ms)]);
    }
    text.table(2, table);
    text
}
