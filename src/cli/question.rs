//! The layout of each question of an operation on a terminal.

use crate::coordination::Halt;
use crate::ledger::Displaced;
use crate::model::{LedgerId, Time};
use crate::ops::{Marks, Part, Question};
use crate::output::{Align, StatusHalt, Table, clean, field, span_text};
use crate::plan::Plan;

use super::{difference, halts};

/// The text that is shown before the question, and the question.
pub(super) fn words(of: &Question<'_>) -> (String, String) {
    let answer = of.answer().unwrap_or_default();
    match of {
        Question::Plan { plan, now, part } => {
            let (act, otherwise) = match part {
                Part::Whole => ("remove", "to stop"),
                Part::Rest => ("go on and remove", "to leave the run as it is"),
            };
            let hosts = plan.host_count();
            (before_a_plan(plan, *now), format!("Type {answer} to {act} {hosts} hosts, anything else {otherwise}"))
        }
        Question::Adoption { place, ledger, moved, marks } => {
            let mut shown = format!("{}\n", place.text());
            if let Some(moved) = moved {
                shown.push_str(&of_a_move(moved, ledger));
            }
            if !marks.is_empty() {
                shown.push_str(&format!(
                    "These will be governed by ledger {}, and by no other:\n{}\n\
                     A run that goes by another ledger, from another checkout or machine, is refused from then on.\n",
                    clean(ledger.as_str()),
                    of_marks(marks)
                ));
            }
            let what = if marks.is_empty() { "it" } else { "them" };
            (shown, format!("Type {answer} to adopt {what}, anything else to stop"))
        }
        Question::Acceptance { place, was, is, .. } => (
            format!("{}\n{}\n", place.text(), difference::difference(*was, *is)),
            format!("Type {answer} to accept this for every operator, anything else to stop"),
        ),
        Question::Unhalt { place, orders } => (
            format!("{}\n{}\n", place.text(), of_orders(orders)),
            "Type why it may go on, nothing to leave it halted".to_owned(),
        ),
        Question::WhyPaused { run } => (format!("{run} is paused.\n"), "Type why, or nothing".to_owned()),
        Question::WhyHalted { scope } => {
            (format!("The stop order is in force: {} is halted.\n", clean(scope)), "Type why, or nothing".to_owned())
        }
        Question::SetTime { place, was, now } => (
            format!(
                "{}\nThe ledger was written at {was}, and by this machine's clock it is {now}. If the latter is right, every \
                 time in the ledger that is later becomes {now}: budgets and intervals count it as of now. If this machine's \
                 clock is the wrong one, stop, and correct it.\n",
                place.text()
            ),
            format!("Type {answer} to set the time, anything else to stop"),
        ),
    }
}

/// Facts that a person should know before answering.
fn before_a_plan(plan: &Plan, now: Time) -> String {
    let mut text = String::new();
    let end = plan.expected_end(now);
    text.push_str(&field("expected", &format!("ends about {end}, in {}", span_text(end.since(now)))));
    if plan.settings.unusual {
        text.push_str(&field("unusual", "far more than was removed in the last 90 days: look twice"));
    }
    text
}

fn of_orders(orders: &[Halt]) -> String {
    halts::table(&orders.iter().map(StatusHalt::from).collect::<Vec<_>>())
}

fn of_a_move(moved: &Displaced, id: &LedgerId) -> String {
    let was = moved.was.as_ref().map_or_else(|| "not known".to_owned(), |was| was.display().to_string());
    let fields = [("it was at", was), ("it is at", moved.is.display().to_string()), ("because", moved.why.clone())];
    let fields: String = fields.iter().map(|(name, value)| field(name, &clean(value))).collect();
    format!(
        "The file of ledger {} is not where it was:\n{fields}\n\
         From then on this file is the ledger, and what is in it is all that is known. Where another copy of it is still in \
         use, on this machine or another, or where it was put back from a backup, stop: each copy would allow its budgets \
         once more.\n",
        clean(id.as_str())
    )
}

/// The most hosts outside groups that are listed.
const HOSTS_SHOWN: usize = 40;

fn of_marks(marks: &Marks) -> String {
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
    table.render("  ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
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
                let (said, end) = (before_a_plan(&plan, NOON), plan.expected_end(NOON));
                assert!(
                    said.contains(&format!("ends about {end}")),
                    "{count} of {hosts} in {minutes}m: {end}, not {said}"
                );
            }
        }
    }
}
