//! Documents that no other module owns: `error/v1`, `status/v1`, `history/v1`, `result/v1`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::coordination::Halt;
use crate::model::{FleetIdentity, FleetName, GroupName, HostId, LedgerId, OperatorId, RunId, SubsystemName, Time};
use crate::plan::{Assumed, Headroom};
use crate::run::{RunDocument, TakenOver};

/// Where a decision was made: named first in plans and `status`, so that nobody works on the wrong fleet.
#[derive(Clone, Debug, Serialize)]
pub struct Place {
    /// The fleet's name.
    pub fleet: FleetName,
    /// Which fleet, in the provider's terms.
    pub provider: FleetIdentity,
    /// The ledger; `None` while it does not exist yet.
    pub ledger: Option<LedgerId>,
    /// Where the ledger is.
    pub ledger_place: String,
    /// The policy directory.
    pub policies: PathBuf,
}

impl Place {
    /// The lines that come first, each with a line end.
    pub fn text(&self) -> String {
        let mut provider = self.provider.kind.clone();
        if let Some(account) = &self.provider.account {
            provider.push_str(&format!(", account {account}"));
        }
        if let Some(region) = &self.provider.region {
            provider.push_str(&format!(", region {region}"));
        }
        let ledger = self.ledger.as_ref().map_or_else(|| "none yet".to_owned(), ToString::to_string);
        let lines = [
            ("fleet", format!("{} ({provider})", self.fleet)),
            ("ledger", format!("{ledger} ({})", self.ledger_place)),
            ("policies", shown_path(&self.policies)),
        ];
        lines.iter().map(|(name, value)| super::field(name, value)).collect()
    }
}

fn shown_path(path: &Path) -> String {
    path.display().to_string()
}

/// A document with the ledger's id and the policy directory beside what it has of its own.
///
/// # Errors
///
/// A document that cannot be serialised: a bug.
pub fn placed(document: &impl Serialize, place: &Place) -> serde_json::Result<Value> {
    let mut value = serde_json::to_value(document)?;
    if let Value::Object(fields) = &mut value {
        fields.insert("ledger".to_owned(), serde_json::to_value(&place.ledger)?);
        fields.insert("policies".to_owned(), shown_path(&place.policies).into());
    }
    Ok(value)
}

/// `safe-remove/error/v1`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorDocument {
    /// `safe-remove/error/v1`
    pub schema: &'static str,
    /// The process's exit code.
    pub exit_code: u8,
    /// What was tried on what.
    pub message: String,
    /// Why, from the nearest cause to the root.
    pub causes: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl ErrorDocument {
    /// Its `schema`.
    pub const SCHEMA: &'static str = "safe-remove/error/v1";
}

/// `safe-remove/headroom/v1`
#[derive(Clone, Debug, Serialize)]
pub struct HeadroomDocument {
    /// `safe-remove/headroom/v1`
    pub schema: &'static str,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// When the observation began.
    pub observed_at: Time,
    /// Where something was assumed: then no number of `subsystems` is one to act on.
    #[serde(flatten)]
    pub hypothesis: Option<Hypothesis>,
    /// By name.
    pub subsystems: Vec<Headroom>,
}

/// What `headroom --what-if` took for granted.
#[derive(Clone, Debug, Serialize)]
pub struct Hypothesis {
    /// In the order of the question; never empty.
    pub assumptions: Vec<Assumed>,
    /// The most hosts that can go without the assumptions, by subsystem; "at least", where that was not proved.
    pub as_it_is: BTreeMap<SubsystemName, u64>,
}

impl HeadroomDocument {
    /// Its `schema`.
    pub const SCHEMA: &'static str = "safe-remove/headroom/v1";
}

/// `safe-remove/status/v1`
#[derive(Clone, Debug, Serialize)]
pub struct StatusDocument {
    /// `safe-remove/status/v1`
    pub schema: &'static str,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// The time by which it was judged.
    pub at: Time,
    /// Runs that have not ended, or that still hold something.
    pub runs: Vec<StatusRun>,
    /// Stop orders in force.
    pub halts: Vec<StatusHalt>,
    /// The run that was asked for, where it has ended and holds nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<RunDocument>,
    /// What should be looked at: policies that are not valid.
    pub warnings: Vec<String>,
}

impl StatusDocument {
    /// Its `schema`.
    pub const SCHEMA: &'static str = "safe-remove/status/v1";
}

/// A run under way, or one that ended and still holds something.
#[derive(Clone, Debug, Serialize)]
pub struct StatusRun {
    /// Which.
    pub run: RunId,
    /// Who asked.
    pub operator: OperatorId,
    /// The subsystem named.
    pub subsystem: SubsystemName,
    /// How far it is: `baking batch 2`, `ended, 1 host in doubt`.
    pub state: String,
    /// Whether its process lives; `None` where it is another machine's or another container's and cannot be looked at.
    pub alive: Option<bool>,
    /// `user@host`-like place of the process: machine and pid.
    pub process: String,
    /// First grant.
    pub started_at: Time,
    /// When its journal was last written.
    pub last_record_at: Option<Time>,
    /// Set where it ended and still holds something.
    pub ended_at: Option<Time>,
    /// Hosts that count as gone for everybody else.
    pub holds: Vec<StatusHold>,
    /// Calls of which it is not known whether they took effect.
    pub calls: Vec<StatusCall>,
    /// When the last settling host can be proved, where one settles.
    pub until: Option<Time>,
    /// Who took it over from the operator who began it, the earliest first.
    pub taken_over_by: Vec<TakenOver>,
    /// What comes next, where something does.
    pub next_command: Option<String>,
    /// What that means, for people.
    pub advice: Option<String>,
}

/// A host that a run holds.
#[derive(Clone, Debug, Serialize)]
pub struct StatusHold {
    /// Which.
    pub host: HostId,
    /// `reserved`, `terminating` or `settling`.
    pub state: &'static str,
    /// The batch it was granted for.
    pub batch: u64,
    /// Its group.
    pub group: Option<GroupName>,
    /// The subsystems whose headroom it takes.
    pub subsystems: Vec<SubsystemName>,
    /// When a read can prove where it is, where it settles.
    pub until: Option<Time>,
}

/// A call that was intended, and of which no answer is recorded, or none that says what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct StatusCall {
    /// Numbered within the run.
    pub call: u64,
    /// What it does: `cordon`, `restore`, `terminate`, `suspend`, `resume`.
    pub effect: &'static str,
    /// Its group, where there is one.
    pub group: Option<GroupName>,
    /// Its hosts.
    pub hosts: Vec<HostId>,
    /// When it was intended.
    pub intent_at: Time,
    /// The provider refuses it later: it may land until then.
    pub not_after: Time,
}

/// A stop order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusHalt {
    /// `None` is the whole fleet.
    pub subsystem: Option<SubsystemName>,
    /// Who.
    pub operator: OperatorId,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: Time,
}

impl From<&Halt> for StatusHalt {
    fn from(halt: &Halt) -> Self {
        Self {
            subsystem: halt.subsystem.clone(),
            operator: halt.operator.clone(),
            reason: halt.reason.clone(),
            at: halt.at,
        }
    }
}

/// `safe-remove/history/v1`
#[derive(Clone, Debug, Serialize)]
pub struct HistoryDocument {
    /// `safe-remove/history/v1`
    pub schema: &'static str,
    /// The fleet's name.
    pub fleet: FleetName,
    /// Ended runs, newest first.
    pub runs: Vec<RunDocument>,
    /// Stop orders that were given and lifted, newest first.
    pub halts: Vec<HistoryHalt>,
}

impl HistoryDocument {
    /// Its `schema`.
    pub const SCHEMA: &'static str = "safe-remove/history/v1";
}

/// A stop order that was given, or orders that were lifted.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryHalt {
    /// When.
    pub at: Time,
    /// `halt` or `unhalt`.
    pub command: &'static str,
    /// `None` is the whole fleet.
    pub subsystem: Option<SubsystemName>,
    /// Who.
    pub operator: OperatorId,
    /// Why.
    pub reason: String,
    /// Of an `unhalt`: the orders that it lifted.
    pub lifted: Vec<StatusHalt>,
}

/// `safe-remove/result/v1`: what the remaining commands answer.
#[derive(Clone, Debug, Serialize)]
pub struct ResultDocument<T: Serialize> {
    /// `safe-remove/result/v1`
    pub schema: &'static str,
    /// Which command: `policy check`.
    pub command: &'static str,
    /// What it found or did.
    pub result: T,
    /// What is legal but should be looked at.
    pub warnings: Vec<String>,
}

impl<T: Serialize> ResultDocument<T> {
    /// A result.
    pub fn new(command: &'static str, result: T) -> Self {
        Self { schema: "safe-remove/result/v1", command, result, warnings: Vec::new() }
    }
}
