//! Stop orders as text, the same in every command.

use crate::coordination::NO_REASON;
use crate::model::SubsystemName;
use crate::output::{Align, StatusHalt, Table};

/// A table of the stop orders in force.
pub(super) fn table(halts: &[StatusHalt]) -> Table {
    let mut table =
        Table::new(&[("halted", Align::Whole), ("since", Align::Whole), ("by", Align::Left), ("why", Align::Left)]);
    for halt in halts {
        table.row([
            scope(halt.subsystem.as_ref()),
            halt.at.to_string(),
            halt.operator.to_string(),
            reason(halt.reason.as_deref()).to_owned(),
        ]);
    }
    table
}

/// The scope of a stop order, in words.
pub(super) fn scope(subsystem: Option<&SubsystemName>) -> String {
    subsystem.map_or_else(|| "the whole fleet".to_owned(), ToString::to_string)
}

/// Why an order was given, for people.
pub(super) fn reason(of: Option<&str>) -> &str {
    of.unwrap_or(NO_REASON)
}
