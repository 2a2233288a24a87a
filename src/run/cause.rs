//! What makes a run stop, and how grave it is: rules, stop orders, and what has no rule.

use crate::coordination::{FleetRecord, Halt};
use crate::model::{SubsystemName, Time};
use crate::plan::{Rule, Violation};

use super::action::NotStarted;
use super::machine::Machine;
use super::{Cause, CauseKind};

impl Machine {
    /// S6: a stop order that concerns what the run watches ends it, from the look on that shows it.
    ///
    /// One that was there at the first look refuses a run that never started (rule `halted`, exit 3); one that came
    /// later stops a run that was under way, granted or not (exit 9).
    pub(super) fn on_halt(&mut self, record: &FleetRecord, is_first_look: bool, now: Time) {
        if self.is_stopping() {
            return;
        }
        let Some(order) = record.halts.iter().find(|order| order.concerns(&self.spec.identity.watched)) else { return };
        let not_started = if is_first_look {
            NotStarted::Rules(vec![violation(Rule::Halted, order.subsystem.clone(), order.to_string())])
        } else {
            NotStarted::Halted(order.to_string())
        };
        self.stop(halted(order), Some(not_started), now);
    }

    /// Stops for rules that do not hold any more. Before the first grant nothing was touched, and they refuse.
    pub(super) fn stop_for_rules(&mut self, violations: &[Violation], before_start: NotStarted, now: Time) {
        let graver = violations.iter().find(|violation| violation.rule != Rule::Halted);
        let (cause, before_start) = match (graver, violations.first()) {
            (Some(violation), _) => (rule_cause(violation), before_start),
            // S6: a stop order is found by a rule too, where it came after the last look. It is an order all the same.
            (None, Some(order)) => (order_cause(order.message.clone()), NotStarted::Halted(order.message.clone())),
            (None, None) => (plain(CauseKind::Rule, "a rule no longer holds".to_owned()), before_start),
        };
        self.stop(cause, Some(before_start), now);
    }
}

fn halted(order: &Halt) -> Cause {
    order_cause(order.to_string())
}

pub(super) fn order_cause(message: String) -> Cause {
    Cause { rule: Some("halted".to_owned()), ..plain(CauseKind::Order, message) }
}

/// Orders are the mildest: a regression or a lost fleet under a restore is what the run ends for.
pub(super) fn severity(kind: CauseKind) -> u8 {
    match kind {
        CauseKind::Order => 0,
        CauseKind::Rule | CauseKind::Probe => 1,
        CauseKind::Inventory | CauseKind::Timeout | CauseKind::Provider => 2,
        CauseKind::Ledger | CauseKind::Internal => 3,
    }
}

/// A cause without numbers.
pub(super) fn plain(kind: CauseKind, message: String) -> Cause {
    Cause { kind, rule: None, probe: None, message, measured: None, limit: None }
}

/// A rule as the cause of a stop.
#[expect(clippy::cast_precision_loss, reason = "unit counts are far below 2^52, and the text has them exactly")]
pub(super) fn rule_cause(violation: &Violation) -> Cause {
    Cause {
        kind: CauseKind::Rule,
        rule: serde_json::to_value(violation.rule).ok().and_then(|v| v.as_str().map(str::to_owned)),
        probe: None,
        message: violation.message.clone(),
        measured: violation.remaining.map(|v| v as f64),
        limit: violation.required.map(|v| v as f64),
    }
}

/// A violation without numbers.
pub(super) fn violation(rule: Rule, subsystem: Option<SubsystemName>, message: String) -> Violation {
    Violation { rule, subsystem, zone: None, group: None, host: None, required: None, remaining: None, message }
}
