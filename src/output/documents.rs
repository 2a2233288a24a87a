//! Documents that no other module owns: `error/v1`, `status/v1`, `history/v1`, `headroom/v1`,
//! `result/v1`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::coordination::Halt;
use crate::health::Measured;
use crate::model::{
    BatchNumber, FleetIdentity, FleetName, GroupName, HostId, LedgerId, OperatorId, RunId, SubsystemName, Time,
    span_text,
};
use crate::plan::{Assumed, Headroom, PlanDocument, at_least};
use crate::run::{RunDocument, RunOrder, TakenOver};

use super::Text;

/// Where a decision was made. Plans and `status` name it first, so that nobody works on the wrong fleet.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Place {
    /// The fleet's name.
    pub(crate) fleet: FleetName,
    /// The fleet in the provider's terms.
    pub(crate) provider: FleetIdentity,
    /// The ledger; `None` while it does not exist yet.
    pub(crate) ledger: Option<LedgerId>,
    /// Where the ledger is.
    pub(crate) ledger_place: String,
    /// The policy directory.
    pub(crate) policies: PathBuf,
    /// How fast a simulated fleet's clock runs, where it is not the one on the wall.
    #[serde(skip)]
    pub(crate) clock: Option<ClockSpeed>,
}

/// How fast the clock of a simulated fleet runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ClockSpeed {
    /// Nobody waits for it: it skips every wait.
    Skips,
    /// It runs this many times as fast as the one on the wall.
    Times(f64),
}

impl fmt::Display for ClockSpeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skips => f.write_str("its clock skips every wait"),
            Self::Times(speed) => write!(f, "its clock runs {speed} times as fast"),
        }
    }
}

impl Place {
    /// How long a person has, if the fleet's clock says `left`.
    pub(crate) fn on_the_wall(&self, left: Duration) -> Duration {
        match self.clock {
            // A clock may be slower than any time that can be counted.
            Some(ClockSpeed::Times(speed)) => {
                Duration::try_from_secs_f64(left.as_secs_f64() / speed).unwrap_or(Duration::MAX)
            }
            // The clock stands still while a person thinks, or is the one on the wall.
            Some(ClockSpeed::Skips) | None => left,
        }
    }

    /// Until when there is time to answer: `2017-02-28 17:52:00 UTC, in 15m (1m 15s of yours)`.
    pub(crate) fn time_to_answer(&self, until: Time, now: Time) -> String {
        let left = until.since(now);
        let wall = self.on_the_wall(left);
        let yours = if wall == left { String::new() } else { format!(" ({} of yours)", span_text(wall)) };
        format!("{until}, in {}{yours}", span_text(left))
    }

    /// A place for tests of texts.
    #[cfg(test)]
    pub(crate) fn example() -> Self {
        Self {
            fleet: "demo".into(),
            provider: FleetIdentity::simulated("fleet-1"),
            ledger: None,
            ledger_place: "./.safe-remove/ledger.db".to_owned(),
            policies: "policies".into(),
            clock: None,
        }
    }

    /// The first lines of a text.
    pub(crate) fn text(&self) -> Text {
        let ledger = self.ledger.as_ref().map_or_else(|| "none yet".to_owned(), ToString::to_string);
        let mut text = Text::default();
        text.field("fleet", &self.fleet_text());
        text.field("ledger", &format!("{ledger} ({})", self.ledger_place));
        text.field("policies", &self.policies.display().to_string());
        text
    }

    /// The fleet, in the provider's terms: `demo (aws, account 123456789012, region us-east-1)`.
    pub(crate) fn fleet_text(&self) -> String {
        let FleetIdentity { kind, account, region, .. } = &self.provider;
        let mut provider = kind.clone();
        provider.extend(account.iter().map(|account| format!(", account {account}")));
        provider.extend(region.iter().map(|region| format!(", region {region}")));
        provider.extend(self.clock.iter().map(|clock| format!(", {clock}")));
        format!("{} ({provider})", self.fleet)
    }
}

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

/// `safe-remove/status/v1`
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StatusDocument {
    /// `safe-remove/status/v1`
    pub(crate) schema: &'static str,
    /// Where it was read.
    #[serde(flatten)]
    pub(crate) place: Place,
    /// The time at which it was judged.
    pub(crate) at: Time,
    /// Runs that have not ended, or that still hold something.
    pub(crate) runs: Vec<StatusRun>,
    /// Stop orders in force.
    pub(crate) halts: Vec<StatusHalt>,
    /// The run that was asked for, where it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<RunDocument>,
    /// The runs that `--watch` showed and that have ended since, the first one shown first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) watched: Vec<RunDocument>,
    /// Warnings: invalid policies, a record that is nearly full.
    pub(crate) warnings: Vec<String>,
}

impl StatusDocument {
    /// Its `schema`.
    pub(crate) const SCHEMA: &'static str = "safe-remove/status/v1";
}

/// A run in progress, or one that ended and still holds something.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StatusRun {
    /// The run's id.
    pub(crate) run: RunId,
    /// The operator who asked for it.
    pub(crate) operator: OperatorId,
    /// The subsystem named.
    pub(crate) subsystem: SubsystemName,
    /// The state of the run: `baking batch 2`, `ended, 1 host in doubt`.
    pub(crate) state: String,
    /// Whether its process lives; `None` where the process is on another machine or in another container and cannot be
    /// checked.
    pub(crate) alive: Option<bool>,
    /// Its process was stopped (Ctrl-Z, SIGSTOP): it does nothing before it is continued, and what it holds stays out.
    pub(crate) stopped: bool,
    /// It has written nothing for three sampling periods longer than it should: it is stopped, dead, or cut off.
    pub(crate) overdue: bool,
    /// The process, as `pid N on HOST`.
    pub(crate) process: String,
    /// The batch under way, or the next one; once all are gone, the last.
    pub(crate) batch: Option<StatusBatch>,
    /// Set while the run takes no further batch.
    pub(crate) paused: Option<StatusPause>,
    /// Set while a person is asked about its next batch.
    pub(crate) asks: Option<StatusQuestion>,
    /// When it took its place in line.
    pub(crate) started_at: Time,
    /// When its journal was last written.
    pub(crate) last_record_at: Option<Time>,
    /// Set where the run ended and still holds something.
    pub(crate) ended_at: Option<Time>,
    /// Hosts that count as gone for everybody else.
    pub(crate) holds: Vec<StatusHold>,
    /// Calls for which it is not known whether they took effect.
    pub(crate) calls: Vec<StatusCall>,
    /// The last readings of its probes, nearest to their limit first.
    pub(crate) readings: Vec<Measured>,
    /// When the last settling host can be proved, if one settles.
    pub(crate) until: Option<Time>,
    /// Who took the run over from the operator who began it, the earliest first.
    pub(crate) taken_over_by: Vec<TakenOver>,
    /// The next command, where there is one.
    pub(crate) next_command: Option<String>,
    /// What that command means, for people.
    pub(crate) advice: Option<String>,
}

/// A batch of a run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StatusBatch {
    /// From 1.
    pub(crate) number: BatchNumber,
    /// How many batches the plan has.
    pub(crate) of: u64,
    /// When it was reserved, if it was.
    pub(crate) granted_at: Option<Time>,
    /// When all of it was out of service, if that was seen.
    pub(crate) cordoned_at: Option<Time>,
    /// When its bake ends, if it bakes and nothing interrupts it. `None` where its process is dead, stopped or silent.
    pub(crate) bake_ends_at: Option<Time>,
}

/// Why a run takes no further batch.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StatusPause {
    /// Who paused it.
    pub(crate) operator: OperatorId,
    /// Why, if it was said.
    pub(crate) reason: Option<String>,
    /// Since when.
    pub(crate) since: Time,
    /// The run paused by itself after this batch (`--pause-after`).
    pub(crate) after: Option<BatchNumber>,
}

/// A question that is open.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StatusQuestion {
    /// The batch that it is about.
    pub(crate) batch: BatchNumber,
    /// Whether the run's own terminal asks. If it does not, `continue` is the answer.
    pub(crate) attended: bool,
    /// When the run ends without an answer.
    pub(crate) until: Time,
}

/// A host that a run holds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StatusHold {
    /// The host's id.
    pub(crate) host: HostId,
    /// `reserved`, `terminating` or `settling`.
    pub(crate) state: &'static str,
    /// The batch it was granted for.
    pub(crate) batch: BatchNumber,
    /// Its group.
    pub(crate) group: Option<GroupName>,
    /// The subsystems whose headroom it reduces.
    pub(crate) subsystems: Vec<SubsystemName>,
    /// For a settling host: when a read can prove where it is.
    pub(crate) until: Option<Time>,
}

/// A call that was intended and has no recorded answer, or none that says what became of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StatusCall {
    /// Numbered within the run.
    pub(crate) call: u64,
    /// Its effect: `cordon`, `restore`, `terminate`, `suspend`, `resume`, `adopt`.
    pub(crate) effect: &'static str,
    /// Its group, where there is one.
    pub(crate) group: Option<GroupName>,
    /// Its hosts.
    pub(crate) hosts: Vec<HostId>,
    /// When it was intended.
    pub(crate) intent_at: Time,
    /// The provider refuses the call after this time: it may take effect until then.
    pub(crate) not_after: Time,
}

/// A stop order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct StatusHalt {
    /// The subsystem; `None` for the whole fleet.
    pub(crate) subsystem: Option<SubsystemName>,
    /// Who gave it.
    pub(crate) operator: OperatorId,
    /// Why it was given, if that was said.
    pub(crate) reason: Option<String>,
    /// When it was given.
    pub(crate) at: Time,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A scenario may have any clock that is positive and finite.
    #[test]
    fn the_time_on_the_wall_is_known_for_every_clock() {
        let quarter = Duration::from_secs(900);
        let wall = |clock| Place { clock, ..Place::example() }.on_the_wall(quarter);
        assert_eq!(wall(None), quarter);
        assert_eq!(wall(Some(ClockSpeed::Skips)), quarter);
        assert_eq!(wall(Some(ClockSpeed::Times(12.0))), Duration::from_secs(75));
        assert_eq!(wall(Some(ClockSpeed::Times(f64::MIN_POSITIVE))), Duration::MAX);
        assert_eq!(wall(Some(ClockSpeed::Times(f64::MAX))), Duration::ZERO);
    }
}
