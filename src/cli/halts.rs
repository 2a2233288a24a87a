//! Stop orders, as every command shows them.

use crate::model::SubsystemName;
use crate::output::{Align, StatusHalt, Table};

/// Stop orders in force.
pub(super) fn table(halts: &[StatusHalt]) -> String {
    let mut table =
        Table::new(&[("halted", Align::Whole), ("since", Align::Whole), ("by", Align::Left), ("why", Align::Left)]);
    for halt in halts {
        table.row([
            scope(halt.subsystem.as_ref()),
            halt.at.to_string(),
            halt.operator.to_string(),
            halt.reason.clone(),
        ]);
    }
    table.render("")
}

/// What a stop order stops, in words.
pub(super) fn scope(subsystem: Option<&SubsystemName>) -> String {
    subsystem.map_or_else(|| "the whole fleet".to_owned(), ToString::to_string)
}
