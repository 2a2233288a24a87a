//! Headroom as text: per subsystem how much can go, and which rule stops the next host.

use crate::plan::{Headroom, Violation};

use super::{Align, HeadroomDocument, Table, field};

/// The whole of it.
pub fn headroom_text(document: &HeadroomDocument) -> String {
    let mut out = document.place.text();
    out.push_str(&field("observed", &document.observed_at.to_string()));
    out.push('\n');
    let mut table =
        Table::new(&[("subsystem", Align::Whole), ("hosts", Align::Right), ("what stops one more", Align::Left)]);
    for subsystem in &document.subsystems {
        let why = subsystem.binding.as_ref().map_or("no candidate is left", |violation| &violation.message);
        table.row([subsystem.name.as_str(), &hosts(subsystem), why]);
        if let (Some(Violation { message, .. }), Some(then)) = (&subsystem.next, subsystem.next_allowed) {
            table.row(["", "", &format!("without that {then} could go; then {message}")]);
        }
    }
    out.push_str(&table.render("  "));
    out
}

fn hosts(of: &Headroom) -> String {
    if of.exact { of.hosts_allowed.to_string() } else { format!("at least {}", of.hosts_allowed) }
}
