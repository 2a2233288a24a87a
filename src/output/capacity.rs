//! Capacity before and after, by subsystem and zone.

use crate::model::SubsystemName;
use crate::plan::SubsystemCapacity;

use super::page::together;
use super::{Align, Table, Text};

/// The table of these subsystems, in units; the others than the named one are marked. Nothing where there are none.
pub(crate) fn subsystems_text(heading: &str, subsystems: &[SubsystemCapacity], named: &SubsystemName) -> Text {
    let mut text = Text::default();
    if subsystems.is_empty() {
        return text;
    }
    text.blank();
    text.paragraph(heading);
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
                0 => together(&format!("{} {} > {}", z.name, z.capacity, z.remaining)),
                minimum => together(&format!("{} {} > {} ({minimum})", z.name, z.capacity, z.remaining)),
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
    text.table(2, table);
    if subsystems.iter().any(|s| s.name != *named) {
        text.paragraph("  * served by the same hosts");
    }
    text
}

/// `66 > 60 units, minimum 60`
pub(crate) fn capacity_line(of: &SubsystemCapacity) -> String {
    format!("{} > {} units, minimum {}", of.capacity, of.remaining, of.minimum)
}
