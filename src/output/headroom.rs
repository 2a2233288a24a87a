//! Headroom as text: how much can go per subsystem, and which rule stops the next host.

use crate::model::counted;
use crate::plan::{Assumed, Headroom, Violation, at_least};

use super::plan::owners_text;
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
        let as_it_is =
            document.hypothesis.as_ref().map(|h| h.as_it_is_text(&subsystem.name).unwrap_or_else(|| "-".to_owned()));
        let row = |first: &str, hosts: String, as_it_is: Option<String>, text: String| {
            let cells = [first.to_owned(), hosts].into_iter().chain(as_it_is).chain([text]);
            cells.collect::<Vec<_>>()
        };
        table.row(row(subsystem.name.as_str(), hosts(subsystem), as_it_is.clone(), why.to_owned()));
        if let (Some(Violation { message, .. }), Some(then)) = (&subsystem.next, subsystem.next_allowed) {
            // Several rules stop one host more, together or each.
            let still = if then == subsystem.hosts_allowed { "still " } else { "" };
            let then = at_least(then, subsystem.next_exact != Some(false));
            let line = format!("without that {still}{then} could go; then {message}");
            table.row(row("", String::new(), as_it_is.map(|_| String::new()), line));
        }
    }
    text.table(2, table);
    let owners = document.subsystems.iter().map(|subsystem| (&subsystem.name, subsystem.owner.as_deref()));
    if let Some(owners) = owners_text(owners) {
        text.blank();
        text.field("owners", &owners);
    }
    text
}

fn hosts(of: &Headroom) -> String {
    at_least(of.hosts_allowed, of.exact)
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::output::{Hypothesis, Page, Place};
    use crate::plan::{InTurn, headroom, testing};

    /// A number that is not proved is "at least" in every column.
    #[test]
    fn s1_what_is_not_proved_is_at_least_in_every_sentence() {
        let world = testing::World::with_one_to_spare();
        let mut subsystems = world.ask(|inputs| headroom(inputs, None, &InTurn)).expect("judged");
        subsystems[0].exact = false;
        subsystems[0].next = subsystems[0].binding.clone();
        subsystems[0].next_exact = Some(false);
        let name = subsystems[0].name.clone();
        let mut document = HeadroomDocument {
            schema: HeadroomDocument::SCHEMA,
            place: Place::example(),
            observed_at: testing::NOON,
            hypothesis: Some(Hypothesis {
                assumptions: Vec::new(),
                as_it_is: BTreeMap::from([(name.clone(), 7)]),
                as_it_is_exact: BTreeMap::from([(name.clone(), false)]),
            }),
            subsystems,
        };
        let shown = |document: &HeadroomDocument| headroom_text(document).on(Page::new(None, false));
        let text = shown(&document);
        for said in ["at least 1", "at least 7", "without that at least 3 could go"] {
            assert!(text.contains(said), "{said}:\n{text}");
        }
        document.subsystems[0].exact = true;
        document.subsystems[0].next_exact = Some(true);
        assert!(!shown(&document).contains("still"));
        // Another rule stops one host more as well.
        document.subsystems[0].next_allowed = Some(document.subsystems[0].hosts_allowed);
        assert!(shown(&document).contains("without that still 1 could go"), "{}", shown(&document));
        document.hypothesis.as_mut().expect("there").as_it_is_exact.insert(name, true);
        assert!(!shown(&document).contains("at least"));
    }
}
