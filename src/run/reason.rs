//! [`Reason`]: why a run stops, how grave that is, and what it is called in the journal.

use crate::coordination::Halt;
use crate::health::Finding;
use crate::model::{HookKey, HostId, RunId, SubsystemName, Time};
use crate::plan::{Rule, Violation};

use super::{Cause, CauseKind, NotStarted, Order};

/// Why a run stops. Before the first grant the same reason is why it is not begun.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reason {
    /// A probe is bad, or cannot be read, as often as its policy bears (S2, S3).
    Regression(Finding),
    /// A bake ended, and it is not shown whether these probes are within their limits.
    Inconclusive(Vec<Finding>),
    /// A hook says no.
    Hook {
        /// Which; `None` where several together do.
        key: Option<HookKey>,
        /// The whole sentence.
        message: String,
    },
    /// Rules do not hold.
    Rules(Vec<Violation>),
    /// Rules do not hold for what other runs took since the plan was made.
    TakenByOthers(Vec<Violation>),
    /// Another run removed a host of the plan.
    RemovedByOther {
        /// The host.
        host: HostId,
        /// The other run.
        run: RunId,
    },
    /// A stop order is in force (S6).
    Halted {
        /// The order.
        order: Halt,
        /// It was there at the first observation: then a rule refuses the run.
        at_first: bool,
    },
    /// A signal, or a closed output.
    Ordered(Order),
    /// A person did not let the next batch go.
    NotConfirmed(String),
    /// A person abandoned the run.
    Abandoned(String),
    /// A budget or another run asks to wait for longer than was allowed.
    Deferred {
        /// Until then.
        until: Time,
        /// For what.
        why: String,
    },
    /// The fleet shows something else than what was done, or cannot be established.
    Fleet(String),
    /// The record is of another fleet.
    OtherFleet(String),
    /// The provider refuses what is asked for, or does not answer.
    Provider(String),
    /// Something took longer than the run waits for it.
    Timeout(String),
    /// The clocks disagree.
    Clock(String),
    /// The ledger refuses, or contradicts what was done.
    Ledger(String),
    /// A write to the ledger was not acknowledged.
    LedgerUnreachable(String),
    /// The ledger cannot be read.
    LedgerUnreadable(String),
    /// A bug.
    Internal(String),
}

impl Reason {
    /// The same for the journal.
    pub(super) fn cause(&self) -> Cause {
        match self {
            Self::Regression(regression) => Cause {
                kind: CauseKind::Probe,
                rule: None,
                probe: Some(regression.key.to_string()),
                message: bad_probe(regression),
                measured: regression.measured,
                limit: regression.limit,
            },
            Self::Inconclusive(probes) => {
                let first = probes.first();
                Cause {
                    kind: CauseKind::Inconclusive,
                    rule: None,
                    probe: first.map(|first| first.key.to_string()),
                    message: self.message(),
                    measured: first.and_then(|first| first.measured),
                    limit: first.and_then(|first| first.limit),
                }
            }
            Self::Rules(violations) | Self::TakenByOthers(violations) => match of_rules(violations) {
                OfRules::Rule(violation) => rule_cause(violation),
                OfRules::Order(message) => order_cause(message),
                OfRules::None => plain(CauseKind::Rule, "a rule no longer holds".to_owned()),
            },
            Self::Hook { message, .. } => plain(CauseKind::Hook, message.clone()),
            Self::RemovedByOther { .. } => plain(CauseKind::Inventory, self.message()),
            Self::Halted { order, .. } => order_cause(order.to_string()),
            Self::NotConfirmed(_) => {
                Cause { rule: Some("not-confirmed".to_owned()), ..plain(CauseKind::Order, self.message()) }
            }
            Self::Ordered(_) | Self::Abandoned(_) => plain(CauseKind::Order, self.message()),
            Self::Deferred { .. } => plain(CauseKind::Rule, self.message()),
            Self::Fleet(_) | Self::OtherFleet(_) => plain(CauseKind::Inventory, self.message()),
            Self::Provider(_) => plain(CauseKind::Provider, self.message()),
            Self::Timeout(_) => plain(CauseKind::Timeout, self.message()),
            Self::Clock(_) | Self::Ledger(_) => plain(CauseKind::Ledger, self.message()),
            Self::LedgerUnreachable(why) => plain(CauseKind::Ledger, format!("the ledger cannot be reached: {why}")),
            Self::LedgerUnreadable(why) => plain(CauseKind::Ledger, format!("the ledger cannot be read: {why}")),
            Self::Internal(_) => plain(CauseKind::Internal, self.message()),
        }
    }

    /// The same for whoever asked for the run, where nothing of it was granted yet.
    pub(super) fn not_started(self) -> NotStarted {
        let message = self.message();
        match self {
            Self::Regression(regression) => {
                let subsystem = Some(regression.key.subsystem.clone());
                NotStarted::Rules(vec![violation(Rule::UnhealthyNow, subsystem, message)])
            }
            Self::Hook { key, .. } => {
                NotStarted::Rules(vec![violation(Rule::Consult, key.map(|key| key.subsystem), message)])
            }
            Self::Rules(violations) => match of_rules(&violations) {
                OfRules::Order(message) => NotStarted::Halted(message),
                OfRules::Rule(_) | OfRules::None => NotStarted::Rules(violations),
            },
            Self::TakenByOthers(violations) => match of_rules(&violations) {
                OfRules::Order(message) => NotStarted::Halted(message),
                OfRules::Rule(_) | OfRules::None => NotStarted::TakenByOthers(violations),
            },
            Self::RemovedByOther { .. } => NotStarted::TakenByOthers(vec![violation(Rule::UnknownHost, None, message)]),
            Self::Halted { order, at_first: true } => {
                NotStarted::Rules(vec![violation(Rule::Halted, order.subsystem.clone(), message)])
            }
            Self::Halted { at_first: false, .. } | Self::NotConfirmed(_) => NotStarted::Halted(message),
            Self::Ordered(order) => NotStarted::Ordered(order),
            Self::Deferred { until, why } => NotStarted::Deferred { until, why },
            Self::OtherFleet(_) => NotStarted::OtherFleet(message),
            Self::Clock(_) => NotStarted::Clock(message),
            Self::Ledger(_) | Self::LedgerUnreachable(_) | Self::LedgerUnreadable(_) => NotStarted::Ledger(message),
            Self::Inconclusive(_)
            | Self::Abandoned(_)
            | Self::Fleet(_)
            | Self::Provider(_)
            | Self::Timeout(_)
            | Self::Internal(_) => NotStarted::Blind(message),
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Regression(regression) => bad_probe(regression),
            Self::Inconclusive(probes) => {
                let all: Vec<String> = probes.iter().map(bad_probe).collect();
                format!("the longest bake is over, and {}", all.join("; "))
            }
            Self::Rules(violations) | Self::TakenByOthers(violations) => {
                violations.first().map(|violation| violation.message.clone()).unwrap_or_default()
            }
            Self::RemovedByOther { host, run } => format!("host {host} was removed by run {run}"),
            Self::Halted { order, .. } => order.to_string(),
            Self::Ordered(order) => order.to_string(),
            Self::Deferred { why: message, .. }
            | Self::Hook { message, .. }
            | Self::NotConfirmed(message)
            | Self::Abandoned(message)
            | Self::Fleet(message)
            | Self::OtherFleet(message)
            | Self::Provider(message)
            | Self::Timeout(message)
            | Self::Clock(message)
            | Self::Ledger(message)
            | Self::LedgerUnreachable(message)
            | Self::LedgerUnreadable(message)
            | Self::Internal(message) => message.clone(),
        }
    }
}

/// The gravest part of a list of violations.
enum OfRules<'a> {
    /// A rule of a policy.
    Rule(&'a Violation),
    /// S6: a stop order is found by a rule too, where it came after the last observation. It is an order all the same.
    Order(String),
    None,
}

fn of_rules(violations: &[Violation]) -> OfRules<'_> {
    match (violations.iter().find(|violation| violation.rule != Rule::Halted), violations.first()) {
        (Some(violation), _) => OfRules::Rule(violation),
        (None, Some(order)) => OfRules::Order(order.message.clone()),
        (None, None) => OfRules::None,
    }
}

fn bad_probe(regression: &Finding) -> String {
    format!("probe {} {}", regression.key, regression.message)
}

/// The severity of a cause; a graver cause replaces a milder one. Orders are the mildest: a run that was halted and then
/// loses the fleet ends for the lost fleet.
pub(super) fn severity(kind: CauseKind) -> u8 {
    match kind {
        CauseKind::Order => 0,
        CauseKind::Rule | CauseKind::Probe | CauseKind::Inconclusive | CauseKind::Hook => 1,
        CauseKind::Inventory | CauseKind::Timeout | CauseKind::Provider => 2,
        CauseKind::Ledger | CauseKind::Internal => 3,
    }
}

/// A violation without numbers.
pub(super) fn violation(rule: Rule, subsystem: Option<SubsystemName>, message: String) -> Violation {
    Violation { rule, subsystem, zone: None, group: None, host: None, required: None, remaining: None, message }
}

/// A cause without numbers.
fn plain(kind: CauseKind, message: String) -> Cause {
    Cause { kind, rule: None, probe: None, message, measured: None, limit: None }
}

fn order_cause(message: String) -> Cause {
    Cause { rule: Some("halted".to_owned()), ..plain(CauseKind::Order, message) }
}

#[expect(clippy::cast_precision_loss, reason = "unit counts are far below 2^52, and the text has them exactly")]
fn rule_cause(violation: &Violation) -> Cause {
    Cause {
        kind: CauseKind::Rule,
        rule: serde_json::to_value(violation.rule).ok().and_then(|v| v.as_str().map(str::to_owned)),
        probe: None,
        message: violation.message.clone(),
        measured: violation.remaining.map(|v| v as f64),
        limit: violation.required.map(|v| v as f64),
    }
}
