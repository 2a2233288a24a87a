//! Headroom as text: how much can go per subsystem, and which rule stops the next host.

use crate::model::counted;
use crate::plan::{Assumed, Headroom, Violation};

use super::{Align, HeadroomDocument, Table, Text};

/// The whole document as text.
pub(crate) fn headroom_text(document: &HeadroomDocument) -> Text {
    let mut text = document.place.text();
    text.field("observed", &document.observed_at.to_string());
    let mut columns = vec![("subsystem", Align::Whole), ("hosts", Align::Right)];
    if let Some(hypothesis) = &document.hypothesis {
        text.blank();
        text.paragraph("Hypothetical: nothing was changed, and all else is taken as it is now.");
        for assumed in &hypothesis.assumptions {
            text.field("what if", &sentence(assumed));
        }
        columns = vec![("subsystem", Align::Whole), ("what if", Align::Right), ("as it is", Align::Right)];
    }
    columns.push(("what stops one more", Align::Left));
    text.blank();
    let mut table = Table::new(&columns);
    for subsystem in &document.subsystems {
        let why = subsystem.binding.as_ref().map_or("no candidate is left", |violation| &violation.message);
        let as_it_is = document
            .hypothesis
            .as_ref()
            .map(|h| h.as_it_is.get(&subsystem.name).map_or_else(|| "-".to_owned(), ToString::to_string));
        let row = |first: &str, hosts: String, as_it_is: Option<String>, text: String| {
            let cells = [first.to_owned(), hosts].into_iter().chain(as_it_is).chain([text]);
            cells.collect::<Vec<_>>()
        };
        table.row(row(subsystem.name.as_str(), hosts(subsystem), as_it_is.clone(), why.to_owned()));
        if let (Some(Violation { message, .. }), Some(then)) = (&subsystem.next, subsystem.next_allowed) {
            let line = format!("without that {then} could go; then {message}");
            table.row(row("", String::new(), as_it_is.map(|_| String::new()), line));
        }
    }
    text.table(2, table);
    text
}

fn hosts(of: &Headroom) -> String {
    if of.exact { of.hosts_allowed.to_string() } else { format!("at least {}", of.hosts_allowed) }
}

/// An assumption in words that a tired reader cannot mistake for a fact.
fn sentence(assumed: &Assumed) -> String {
    match assumed {
        Assumed::Minimum { subsystem, minimum, instead_of, needs_acceptance } => {
            let mut text = format!("{subsystem} had to keep {minimum} units; its policy says {instead_of}");
            if *needs_acceptance {
                text.push_str(", and runs relied on more than that: a lower one would have to be accepted first");
            }
            text
        }
        Assumed::ZoneDown { zone, hosts } => {
            format!("zone {zone} were down: of its {}, none serves or can be removed", counted(*hosts, "host"))
        }
    }
}
