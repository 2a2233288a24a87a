//! `doctor/v1`: what was looked at before anything is relied on, as a document and as text.

use serde::Serialize;

use crate::model::{GroupName, SubsystemName, Time, counted};
use crate::plan::LowMinimum;

use super::{Place, Text};

/// `safe-remove/doctor/v1`
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DoctorDocument {
    /// `safe-remove/doctor/v1`
    pub(crate) schema: &'static str,
    /// Where it was looked at.
    #[serde(flatten)]
    pub(crate) place: Place,
    /// When.
    pub(crate) at: Time,
    /// In the order in which one depends on the other.
    pub(crate) checks: Vec<Check>,
    /// The minimums that `--fix` raised before all this was looked at; `None` without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) minimums: Option<MinimumsDocument>,
    /// The exit code: 0, or 5 where a check is bad.
    pub(crate) exit_code: u8,
}

/// The minimums of the provider that `--fix` raised, and those that it left.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct MinimumsDocument {
    /// The groups whose minimum was raised.
    pub(crate) raised: Vec<RaisedMinimum>,
    /// The groups that hold less than their share and were left, each with `why_not`.
    pub(crate) left: Vec<LowMinimum>,
}

/// A group whose minimum was raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RaisedMinimum {
    /// The group.
    pub(crate) group: GroupName,
    /// Its minimum before, in hosts.
    pub(crate) from: u64,
    /// Its minimum now, in hosts.
    pub(crate) to: u64,
    /// The subsystem that asks most of it.
    pub(crate) of: SubsystemName,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// What kind of thing: `fleet`, `ledger`, `permission`, `group`, …
    pub(crate) check: &'static str,
    /// Which one: the action, or the group; `None` where there is one only.
    pub(crate) of: Option<String>,
    /// How it is.
    pub(crate) state: CheckState,
    /// What was found.
    pub(crate) found: String,
    /// What to do about it.
    pub(crate) advice: Option<String>,
}

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CheckState {
    /// Nothing is to be done.
    Ok,
    /// It does not stand in the way, and somebody should know it.
    Warning,
    /// It stands in the way.
    Bad,
    /// Nobody knows.
    NotTried,
}

impl CheckState {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Bad => "BAD",
            Self::NotTried => "not tried",
        }
    }
}

impl Check {
    /// Nothing is to be done.
    pub(crate) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, of: None, state: CheckState::Ok, found: found.into(), advice: None }
    }

    /// The same with another state.
    pub(crate) fn is(mut self, state: CheckState) -> Self {
        self.state = state;
        self
    }

    /// Which one of its kind.
    pub(crate) fn of(mut self, of: impl Into<String>) -> Self {
        self.of = Some(of.into());
        self
    }

    /// What to do about it.
    pub(crate) fn advice(mut self, advice: Option<String>) -> Self {
        self.advice = advice;
        self
    }

    fn name(&self) -> String {
        match &self.of {
            Some(of) => format!("{} {of}", self.check),
            None => self.check.to_owned(),
        }
    }
}

impl DoctorDocument {
    /// Its `schema`.
    pub(crate) const SCHEMA: &'static str = "safe-remove/doctor/v1";

    /// The checks that stand in the way.
    pub(crate) fn bad(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.state == CheckState::Bad)
    }
}

/// The whole document as text.
pub(crate) fn doctor_text(document: &DoctorDocument) -> Text {
    let mut text = document.place.text();
    text.blank();
    text.append(document.minimums.as_ref().map(minimums_text).unwrap_or_default());
    for check in &document.checks {
        let advice = check.advice.as_ref().map(|advice| format!(". To do: {advice}")).unwrap_or_default();
        text.item(check.state.word(), NAMES, &format!("{}: {}{advice}", check.name(), check.found));
    }
    text.blank();
    let touched = match &document.minimums {
        Some(of) if !of.raised.is_empty() => {
            format!("The minimum of {} was raised, nothing else was touched.", counted(of.raised.len(), "group"))
        }
        Some(_) | None => "Nothing was touched.".to_owned(),
    };
    text.paragraph(&match document.bad().count() {
        0 => format!("Nothing stands in the way of a removal. {touched}"),
        1 => format!("One thing stands in the way of a removal. {touched}"),
        bad => format!("{bad} things stand in the way of a removal. {touched}"),
    });
    text
}

fn minimums_text(of: &MinimumsDocument) -> Text {
    let mut text = Text::default();
    for RaisedMinimum { group, from, to, of } in &of.raised {
        text.field("RAISED", &format!("the minimum of group {group} from {from} to {to}, for {of}"));
    }
    for low in &of.left {
        text.field("not raised", &low_text(low));
    }
    if of.raised.is_empty() && of.left.is_empty() {
        text.field("minimums", "every group holds its share");
    }
    text.blank();
    text
}

/// Why a minimum is left as it is.
pub(crate) fn low_text(low: &LowMinimum) -> String {
    let LowMinimum { group, is, asked, of, why_not } = low;
    let why = why_not.as_deref().unwrap_or("nobody tried");
    format!("the minimum of group {group} is {is}, and {of} asks for {asked}: {why}")
}

/// The longest word for a state, and a space.
const NAMES: usize = 10;

/// What stands in the way, each on a line, for stderr.
pub(crate) fn doctor_causes(document: &DoctorDocument) -> Vec<String> {
    document.bad().map(|check| format!("{}: {}", check.name(), check.found)).collect()
}
