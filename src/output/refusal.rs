//! A refusal as text: each rule with its numbers, the largest count that would be allowed, why no more, and what would
//! change that. Each reason is said once.

use crate::model::HostId;
use crate::plan::{Constraint, PlanDocument, Rule, Violation, Why, WouldAllow};

use super::Text;

/// The most rules that are listed.
const VIOLATIONS_SHOWN: usize = 12;

/// The most lines of each list in the reason for a refusal.
const WHY_SHOWN: usize = 4;

/// The longest name of a rule that the column of names has room for.
const NAMES: usize = 19;

/// The violations, the largest count, the reasons, and the ways out.
pub(super) fn refusal_text(plan: &PlanDocument) -> Text {
    let mut text = Text::of("Refused. Nothing was touched.");
    let violations = &plan.violations;
    let shown = if violations.len() > VIOLATIONS_SHOWN { VIOLATIONS_SHOWN - 1 } else { violations.len() };
    for violation in &violations[..shown] {
        text.item(&rule_name(violation.rule), NAMES, &violation.message);
    }
    if shown < violations.len() {
        text.item("", 0, &format!("and {} more: -o json has them all", violations.len() - shown));
    }
    if let Some(line) = largest_text(plan) {
        text.paragraph(&line);
    }
    if let Some(why) = &plan.why {
        text.append(why_text(why, plan));
    }
    text
}

/// The refusal on one line, for stderr: every rule with its subsystem.
pub(crate) fn refusal_line(plan: &PlanDocument) -> String {
    let mut rules: Vec<String> = Vec::new();
    for violation in &plan.violations {
        let rule = match scope(violation) {
            Some(scope) => format!("{} ({scope})", rule_name(violation.rule)),
            None => rule_name(violation.rule),
        };
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    format!("refused by policy: {}; nothing was touched", rules.join(", "))
}

fn scope(violation: &Violation) -> Option<String> {
    let subsystem = violation.subsystem.as_ref().map(|s| s.as_str());
    let group = violation.group.as_ref().map(|g| g.as_str());
    let host = violation.host.as_ref().map(HostId::as_str);
    let what = subsystem.or(group).or(host)?;
    Some(match &violation.zone {
        Some(zone) => format!("{what}, zone {zone}"),
        None => what.to_owned(),
    })
}

/// The rule's name in documents.
fn rule_name(rule: Rule) -> String {
    match serde_json::to_value(rule) {
        Ok(serde_json::Value::String(name)) => name,
        _ => format!("{rule:?}"),
    }
}

/// The largest count that would be allowed, as a sentence: a number and never a command, which somebody would paste.
pub(crate) fn largest_text(plan: &PlanDocument) -> Option<String> {
    let name = &plan.request.subsystem;
    match plan.largest_allowed_count? {
        // Where there is no such subsystem, nothing limits it.
        0 if plan.violations.iter().any(|violation| violation.rule == Rule::UnknownSubsystem) => None,
        // Something else than the count is refused: a number would look like a permission.
        largest if plan.request.count.is_some_and(|count| count <= largest) => None,
        0 if plan.exact => Some(format!("No host of {name} can be removed now; `headroom` says what limits it.")),
        _ => {
            let largest = plan.largest_text()?;
            // The other reasons may still be there once so few are asked for.
            Some(if plan.violations.iter().any(|violation| violation.rule.is_beside_numbers()) {
                format!("By the numbers alone, the largest count of {name} is {largest}.")
            } else {
                format!("The largest count of {name} that these limits would allow now is {largest}.")
            })
        }
    }
}

/// The reason as the few constraints that matter, then the ways out that leave the policies as they are. What the
/// policies say comes last. Each list has at most `WHY_SHOWN` lines.
fn why_text(why: &Why, plan: &PlanDocument) -> Text {
    let count = plan.request.count.unwrap_or(0);
    let mut text = Text::default();
    let mut lines = |heading: String, lines: Vec<&str>| {
        if lines.is_empty() {
            return;
        }
        text.paragraph(&heading);
        let shown = if lines.len() > WHY_SHOWN { WHY_SHOWN - 1 } else { lines.len() };
        for line in &lines[..shown] {
            text.item("", 0, line);
        }
        if shown < lines.len() {
            text.item("", 0, &format!("and {} more: -o json has them all", lines.len() - shown));
        }
    };
    // The same rule of the same place stands above, with its numbers.
    let is_said = |of: &&Constraint| {
        let is_same =
            |v: &Violation| (v.rule, &v.subsystem, &v.zone, &v.group) == (of.rule, &of.subsystem, &of.zone, &of.group);
        plan.violations.iter().any(is_same)
    };
    let (said, new): (Vec<&Constraint>, Vec<&Constraint>) = why.constraints.iter().partition(is_said);
    let together = match (said.is_empty(), new.len()) {
        (false, _) => ", together with the above",
        (true, 1) => "",
        (true, _) => ", together",
    };
    let perhaps = if why.is_minimal { "" } else { ", perhaps without some of these" };
    let heading = format!("What excludes {count}{together}{perhaps}:");
    lines(heading, new.iter().map(|constraint| constraint.message.as_str()).collect());
    // The largest count is already shown. What a policy says is a fact, and no way out to take at night.
    let is_policy = |way: &WouldAllow| matches!(way, WouldAllow::Policy { .. } | WouldAllow::GroupMinimum { .. });
    let ways = || why.would_allow.iter().filter(|way| !matches!(way, WouldAllow::FewerHosts { .. }));
    lines(format!("What would allow {count}:"), ways().filter(|w| !is_policy(w)).map(WouldAllow::message).collect());
    lines("What is set against it:".to_owned(), ways().filter(|w| is_policy(w)).map(WouldAllow::message).collect());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Page;
    use crate::plan::testing;

    /// A largest count that is not proved is "at least", also where it is none.
    #[test]
    fn s1_what_is_not_proved_is_at_least_in_every_sentence() {
        let world = testing::World::with_one_to_spare();
        let mut plan = testing::counted(&world, "index", 2).document;
        let said = |plan: &PlanDocument| refusal_text(plan).on(Page::new(Some(120), false));
        assert!(said(&plan).contains("would allow now is 1."), "{}", said(&plan));
        plan.exact = false;
        assert!(said(&plan).contains("would allow now is at least 1."), "{}", said(&plan));
        plan.largest_allowed_count = Some(0);
        assert!(!said(&plan).contains("No host of index can be removed"), "{}", said(&plan));
    }

    /// A count that is smaller is refused as well, as long as everything is halted.
    #[test]
    fn s1_a_number_is_no_permission_while_something_else_refuses() {
        let world = testing::World::with_one_to_spare();
        for rule in [Rule::Halted, Rule::Approval, Rule::WayBack, Rule::GroupMaximum] {
            let mut plan = testing::counted(&world, "index", 2).document;
            plan.violations.push(Violation::new(rule, "not now".to_owned()));
            let said = refusal_text(&plan).on(Page::new(Some(120), false));
            assert!(said.contains("By the numbers alone, the largest count of index is 1."), "{rule:?}: {said}");
            assert!(!said.contains("would allow now"), "{rule:?}: {said}");
        }
    }

    /// Several rules together are not each a reason, and what is not shown to be needed is not called so.
    #[test]
    fn s1_rules_are_said_to_exclude_a_count_together() {
        let world = testing::World::with_one_to_spare();
        let mut plan = testing::counted(&world, "index", 2).document;
        let mut heading = |said_above: bool, count: usize, is_minimal: bool| {
            let why = plan.why.as_mut().expect("refused because of numbers");
            why.constraints = vec![why.constraints[0].clone(); count];
            why.is_minimal = is_minimal;
            if said_above {
                why.constraints[count - 1].subsystem = Some("billing".into());
            } else {
                plan.violations.clear();
            }
            refusal_text(&plan)
                .on(Page::new(Some(120), false))
                .lines()
                .find(|line| line.starts_with("What ex"))
                .map(str::to_owned)
        };
        assert_eq!(heading(true, 2, true).as_deref(), Some("What excludes 2, together with the above:"));
        assert_eq!(heading(false, 1, true).as_deref(), Some("What excludes 2:"));
        let said = "What excludes 2, together, perhaps without some of these:";
        assert_eq!(heading(false, 2, false).as_deref(), Some(said));
    }
}
