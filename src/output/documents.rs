//! Documents that no other module owns: `error/v1`, `history/v1`, `headroom/v1`,
//! `result/v1`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::model::{FleetName, OperatorId, SubsystemName, Time};
use crate::plan::{Assumed, Headroom, PlanDocument, at_least};
use crate::run::{RunDocument, RunOrder};

use super::place::Place;
use super::status::StatusHalt;

/// What a program must know about a plan that was printed instead of run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlanEnd {
    /// The process's exit code.
    pub(crate) exit_code: u8,
    /// Whether the plan was confirmed before something else prevented its run.
    pub(crate) confirmed: bool,
}

/// `plan/v1`: a plan with what became of it, the ledger's id and the policy directory.
///
/// # Errors
///
/// The document cannot be serialised: a bug.
pub(crate) fn placed_plan(plan: &PlanDocument, end: PlanEnd, place: &Place) -> serde_json::Result<Value> {
    let mut value = serde_json::to_value(plan)?;
    if let Value::Object(fields) = &mut value {
        fields.insert("exit_code".to_owned(), end.exit_code.into());
        fields.insert("confirmed".to_owned(), end.confirmed.into());
        fields.insert("ledger".to_owned(), serde_json::to_value(&place.ledger)?);
        fields.insert("policies".to_owned(), place.policies.display().to_string().into());
    }
    Ok(value)
}

/// `safe-remove/error/v1`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ErrorDocument {
    /// `safe-remove/error/v1`
    pub(crate) schema: &'static str,
    /// The process's exit code.
    pub(crate) exit_code: u8,
    /// The action that failed, and its object.
    pub(crate) message: String,
    /// Why, from the nearest cause to the root.
    pub(crate) causes: Vec<String>,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl ErrorDocument {
    /// Its `schema`.
    pub(crate) const SCHEMA: &'static str = "safe-remove/error/v1";
}

/// `safe-remove/headroom/v1`
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HeadroomDocument {
    /// `safe-remove/headroom/v1`
    pub(crate) schema: &'static str,
    /// Where it was computed.
    #[serde(flatten)]
    pub(crate) place: Place,
    /// When the observation began.
    pub(crate) observed_at: Time,
    /// Set where something was assumed. Then no number in `subsystems` may be acted on.
    #[serde(flatten)]
    pub(crate) hypothesis: Option<Hypothesis>,
    /// Sorted by name.
    pub(crate) subsystems: Vec<Headroom>,
}

/// The assumptions of `headroom --what-if`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Hypothesis {
    /// In the order of the question. Never empty.
    pub(crate) assumptions: Vec<Assumed>,
    /// The most hosts that can go without the assumptions, by subsystem; "at least" where that was not proved.
    pub(crate) as_it_is: BTreeMap<SubsystemName, u64>,
    /// Whether that was proved, by subsystem.
    pub(crate) as_it_is_exact: BTreeMap<SubsystemName, bool>,
}

impl Hypothesis {
    /// `3` or `at least 3`; `None` for a subsystem that was not asked about.
    pub(crate) fn as_it_is_text(&self, name: &SubsystemName) -> Option<String> {
        let exact = self.as_it_is_exact.get(name).copied().unwrap_or(false);
        self.as_it_is.get(name).map(|&hosts| at_least(hosts, exact))
    }
}

impl HeadroomDocument {
    /// Its `schema`.
    pub(crate) const SCHEMA: &'static str = "safe-remove/headroom/v1";
}

/// `safe-remove/history/v1`
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HistoryDocument {
    /// `safe-remove/history/v1`
    pub(crate) schema: &'static str,
    /// The fleet's name.
    pub(crate) fleet: FleetName,
    /// Ended runs, newest first.
    pub(crate) runs: Vec<RunDocument>,
    /// Stop orders that were given and lifted, newest first.
    pub(crate) halts: Vec<HistoryHalt>,
    /// Orders given to runs that have not ended, newest first: the document of one that has ended says when it was paused.
    pub(crate) orders: Vec<RunOrder>,
    /// `--limit` left some out.
    pub(crate) more: bool,
}

impl HistoryDocument {
    /// Its `schema`.
    pub(crate) const SCHEMA: &'static str = "safe-remove/history/v1";
}

/// A stop order that was given, or the lifting of orders.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HistoryHalt {
    /// When it happened.
    pub(crate) at: Time,
    /// `halt` or `unhalt`.
    pub(crate) command: &'static str,
    /// The subsystem; `None` for the whole fleet.
    pub(crate) subsystem: Option<SubsystemName>,
    /// Who did it.
    pub(crate) operator: OperatorId,
    /// Why it was done; `None` for a halt without a reason.
    pub(crate) reason: Option<String>,
    /// For an `unhalt`: the orders that it lifted.
    pub(crate) lifted: Vec<StatusHalt>,
}

/// `safe-remove/result/v1`: the answer of the remaining commands.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ResultDocument<T: Serialize> {
    /// `safe-remove/result/v1`
    pub(crate) schema: &'static str,
    /// The command: `policy check`.
    pub(crate) command: &'static str,
    /// What the command found or did.
    pub(crate) result: T,
    /// Findings that are legal but should be checked.
    pub(crate) warnings: Vec<String>,
}

impl<T: Serialize> ResultDocument<T> {
    /// A result without warnings.
    pub(crate) fn new(command: &'static str, result: T) -> Self {
        Self { schema: "safe-remove/result/v1", command, result, warnings: Vec::new() }
    }
}
