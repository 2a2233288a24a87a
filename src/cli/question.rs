//! The layout of each question of an operation on a terminal.

use crate::ledger::Displaced;
use crate::model::{LedgerId, Time, counted, span_text};
use crate::ops::{Marks, Part, Question};
use crate::output::{Align, Place, StatusHalt, Table, Text, capacity_line, low_text, other_text};
use crate::plan::{LowMinimum, Plan, SubsystemCapacity};

use super::{difference, halts};

/// The text that is shown before the question, and the question.
pub(super) fn words(of: &Question<'_>) -> (Text, String) {
    let answer = of.answer().unwrap_or_default();
    match of {
        Question::Plan { place, plan, now, part } => {
            let (act, otherwise) = match part {
                Part::Whole => ("remove", "to stop"),
                Part::Rest => ("go on and remove", "to leave the run as it is"),
            };
            let hosts = counted(plan.host_count(), "host");
            (before_a_plan(plan, place, *now), format!("Type {answer} to {act} {hosts}, anything else {otherwise}"))
        }
        Question::Adoption { place, ledger, moved, marks } => {
            let mut shown = place.text();
            shown.blank();
            if let Some(moved) = moved {
                shown.append(of_a_move(moved, ledger));
            }
            if !marks.is_empty() {
                shown.paragraph(&format!("These will be governed by ledger {ledger}, and by no other:"));
                shown.append(of_marks(marks));
                shown.blank();
                shown.paragraph(
                    "A run that goes by another ledger, from another checkout or machine, is refused from then on.",
                );
            }
            let what = if marks.is_empty() { "it" } else { "them" };
            (shown, format!("Type {answer} to adopt {what}, anything else to stop"))
        }
        Question::Minimums { place, to_raise, left } => {
            let mut shown = place.text();
            shown.blank();
            shown.append(of_minimums(to_raise));
            for low in *left {
                shown.field("left", &low_text(low));
            }
            shown.paragraph(
                "From then on the provider itself refuses to go below it, whoever asks: a deployment and an autoscaler \
                 too. Where code describes these groups, set it there as well, or its next run lowers it again.",
            );
            let groups = counted(to_raise.len(), "group");
            (shown, format!("Type {answer} to raise the minimum of {groups}, anything else to stop"))
        }
        Question::Acceptance { place, was, is, .. } => {
            let mut shown = place.text();
            shown.blank();
            shown.append(difference::difference(*was, *is));
            (shown, format!("Type {answer} to accept this for every operator, anything else to stop"))
        }
        Question::Unhalt { place, orders } => {
            let mut shown = place.text();
            shown.blank();
            shown.table(0, halts::table(&orders.iter().map(StatusHalt::from).collect::<Vec<_>>()));
            (shown, "Type why it may go on, nothing to leave it halted".to_owned())
        }
        Question::WhyPaused { run } => (Text::of(&format!("{run} is paused.")), "Type why, or nothing".to_owned()),
        Question::WhyHalted { scope } => {
            (Text::of(&format!("The stop order is in force: {scope} is halted.")), "Type why, or nothing".to_owned())
        }
        Question::SetTime { place, was, now } => {
            let mut shown = place.text();
            shown.blank();
            shown.paragraph(&format!(
                "The ledger was written at {was}, and by this machine's clock it is {now}. If the latter is right, every \
                 time in the ledger that is later becomes {now}: budgets and intervals count it as of now. If this \
                 machine's clock is the wrong one, stop, and correct it."
            ));
            (shown, format!("Type {answer} to set the time, anything else to stop"))
        }
    }
}

/// The facts that decide, in a few lines beside the question: the plan above may have scrolled away.
fn before_a_plan(plan: &Plan, place: &Place, now: Time) -> Text {
    let document = &plan.document;
    let mut text = Text::default();
    text.blank();
    text.field("fleet", &place.fleet_text());
    let (named, others): (Vec<_>, Vec<_>) =
        document.subsystems.iter().partition(|of| of.name == document.request.subsystem);
    // Of those that lose the same hosts the one with the least left: the plan above has them all.
    let nearest = others.into_iter().min_by_key(|of| of.remaining.saturating_sub(of.minimum));
    let line = |of: &SubsystemCapacity| format!("{} {}", of.name, capacity_line(of));
    text.field("capacity", &named.into_iter().chain(nearest).map(line).collect::<Vec<_>>().join("; "));
    let end = plan.expected_end(now);
    let others = match document.others.as_slice() {
        [] => "no other run is near".to_owned(),
        [other] => format!("other run: {}", other_text(other)),
        others => format!("{} other runs are near, see above", others.len()),
    };
    // The expected end does not count in the hosts that others have out now.
    let is_waited_for = document
        .others
        .iter()
        .any(|other| !other.silent && document.subsystems.iter().any(|of| other.holds_of.contains(&of.name)));
    let not_counted = if is_waited_for { ", or later: their batch goes first" } else { "" };
    text.field("runs", &format!("{others}; this one ends about {end}, in {}{not_counted}", span_text(end.since(now))));
    let until = place.time_to_answer(document.expires_at, now);
    text.field("answer by", &format!("{until}: a later answer removes nothing"));
    if plan.settings.unusual {
        text.field("UNUSUAL", "far more than was removed in the last 90 days: look twice");
    }
    text
}

fn of_a_move(moved: &Displaced, id: &LedgerId) -> Text {
    let was = moved.was.as_ref().map_or_else(|| "not known".to_owned(), |was| was.display().to_string());
    let mut text = Text::of(&format!("The file of ledger {id} is not where it was:"));
    text.field("it was at", &was);
    text.field("it is at", &moved.is.display().to_string());
    text.field("because", &moved.why);
    text.blank();
    text.paragraph(
        "From then on this file is the ledger, and what is in it is all that is known. Where another copy of it is still \
         in use, on this machine or another, or where it was put back from a backup, stop: each copy would allow its \
         budgets once more.",
    );
    text
}

/// The most hosts outside groups that are listed.
const HOSTS_SHOWN: usize = 40;

fn of_marks(marks: &Marks) -> Text {
    let mut table = Table::new(&[("what", Align::Left), ("name", Align::Whole), ("its ledger now", Align::Whole)]);
    let mark = |mark: &Option<LedgerId>| mark.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
    for (name, ledger) in &marks.groups {
        table.row(["group", name.as_str(), &mark(ledger)]);
    }
    for (id, ledger) in marks.hosts.iter().take(HOSTS_SHOWN) {
        table.row(["host", id.as_str(), &mark(ledger)]);
    }
    if marks.hosts.len() > HOSTS_SHOWN {
        table.row(["", &format!("and {} more hosts", marks.hosts.len() - HOSTS_SHOWN), ""]);
    }
    let mut text = Text::default();
    text.table(2, table);
    text
}

fn of_minimums(to_raise: &[LowMinimum]) -> Text {
    let columns =
        [("group", Align::Whole), ("minimum", Align::Right), ("then", Align::Right), ("asked by", Align::Left)];
    let mut table = Table::new(&columns);
    for LowMinimum { group, is, asked, of, .. } in to_raise {
        table.row([group.as_str(), &is.to_string(), &asked.to_string(), of.as_str()]);
    }
    let mut text = Text::default();
    text.table(2, table);
    text.blank();
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::model::SubsystemName;
    use crate::output::ClockSpeed;
    use crate::output::Page;
    use crate::plan::OtherRun;
    use crate::plan::testing::{NOON, World, counted, policy};
    use crate::policy::{BatchLimit, Budget};

    /// A budget may delay more than the last batch, and each batch is followed by a bake.
    #[test]
    fn the_question_says_when_the_run_ends_however_many_batches_a_budget_holds_up() {
        for count in [2, 4, 5, 6] {
            for (hosts, minutes) in [(2, 60), (3, 20), (4, 60)] {
                let mut world = World::new([policy("index", 4)]).with("index", 12, &["a", "b", "c"], &["index"]);
                let pace = &mut world.policy_mut("index").pace;
                pace.batch = BatchLimit::Hosts(2);
                let per = Duration::from_secs(60 * minutes);
                pace.budgets = vec![Budget { hosts, per }, Budget { hosts: 12, per: Duration::from_secs(86_400) }];
                world.removed("gone-1", Some(NOON.minus(Duration::from_secs(600))));
                let plan = counted(&world, "index", count);
                let (said, end) = (before_a_plan(&plan, &Place::example(), NOON), plan.expected_end(NOON));
                let said = said.on(Page::new(Some(120), false));
                assert!(
                    said.contains(&format!("ends about {end}")),
                    "{count} of {hosts} in {minutes}m: {end}, not {said}"
                );
            }
        }
    }

    /// Beside the question: the fleet, what the named subsystem and the nearest other keep, other runs, the time to answer.
    #[test]
    fn what_decides_is_said_in_few_lines() {
        let mut world = World::new([policy("index", 4), policy("billing", 2), policy("placement", 1)]).with(
            "shared",
            6,
            &["a", "b"],
            &["index", "billing", "placement"],
        );
        let other = |run: &str| OtherRun {
            run: run.into(),
            operator: "bob@ops-2".into(),
            subsystem: "index".into(),
            since: NOON,
            touches: [SubsystemName::from("index")].into(),
            watches: [SubsystemName::from("index")].into(),
            holds: 0,
            claims: 1,
            holds_of: BTreeSet::new(),
            silent: false,
        };
        world.ledger.others.push(other("r-1"));
        let place = Place { clock: Some(ClockSpeed::Times(12.0)), ..Place::example() };
        let plan = counted(&world, "index", 1);
        let said = before_a_plan(&plan, &place, NOON).on(Page::new(None, false));
        for words in [
            "fleet       demo (simulated, its clock runs 12 times as fast)\n",
            "index 6 > 5 units, minimum 4; billing 6 > 5 units, minimum 2\n",
            "other run: r-1 of bob@ops-2 (index, since",
            "stands in line for 1; this one",
            "in 15m (1m 15s of yours)",
        ] {
            assert!(said.contains(words), "{words}:\n{said}");
        }
        assert!(said.lines().all(|line| line.len() <= 80) && said.lines().count() <= 8, "{said}");
        assert!(!said.contains("or later"), "nothing is out: {said}");
        world.ledger.others.push(OtherRun {
            holds: 1,
            holds_of: [SubsystemName::from("index")].into(),
            ..other("r-2")
        });
        let said = before_a_plan(&counted(&world, "index", 1), &place, NOON).on(Page::new(None, false));
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in ["2 other runs are near, see above", "or later: their batch goes first"] {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
}
