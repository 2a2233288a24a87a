//! The questions to a hook, and the answers that it may give: the words of `safe-remove/hook/v1`.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BatchNumber, FleetName, GroupName, HostId, RunId, SubsystemName, Tags, ZoneName};

/// When a hook is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HookStage {
    /// Before a batch is granted, and again before it is terminated.
    Consult,
    /// When the batch is cordoned; the bake begins when it is done.
    Drain,
    /// When hosts of the batch were put back.
    Undrain,
}

impl HookStage {
    /// Its name in policies and documents.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Consult => "consult",
            Self::Drain => "drain",
            Self::Undrain => "undrain",
        }
    }
}

/// Which hook: its subsystem's and its own name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct HookKey {
    /// The subsystem whose policy has it.
    pub(crate) subsystem: SubsystemName,
    /// Its `name`.
    pub(crate) hook: String,
}

impl std::fmt::Display for HookKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.subsystem, self.hook)
    }
}

impl From<HookKey> for String {
    fn from(key: HookKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for HookKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.split_once('/') {
            Some((subsystem, hook)) => Ok(Self { subsystem: subsystem.into(), hook: hook.to_owned() }),
            None => Err(format!("{text:?} is not SUBSYSTEM/HOOK")),
        }
    }
}

/// The step that a consultation comes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConsultedBefore {
    /// It is about to be cordoned.
    Cordon,
    /// It is about to be terminated.
    Terminate,
}

/// One call of a hook. It may be repeated, also by another process after a crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookCall {
    /// Which hook.
    pub(crate) hook: HookKey,
    /// At which stage.
    pub(crate) on: HookStage,
    /// Of a consultation.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) before: Option<ConsultedBefore>,
    /// The batch.
    pub(crate) batch: BatchNumber,
    /// The hosts of the batch that serve the hook's subsystem; never empty.
    pub(crate) hosts: BTreeSet<HostId>,
    /// From 1: how often this process has asked the same.
    pub(crate) attempt: u32,
}

/// The schema of [`HookDocument`].
pub(crate) const HOOK_SCHEMA: &str = "safe-remove/hook/v1";

/// The document that a hook gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct HookDocument {
    /// [`HOOK_SCHEMA`]
    pub(crate) schema: &'static str,
    /// At which stage.
    pub(crate) on: HookStage,
    /// Of a consultation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<ConsultedBefore>,
    /// The fleet.
    pub(crate) fleet: FleetName,
    /// The run.
    pub(crate) run: RunId,
    /// The subsystem whose policy has the hook.
    pub(crate) subsystem: SubsystemName,
    /// The batch.
    pub(crate) batch: BatchNumber,
    /// Its hosts that serve the subsystem.
    pub(crate) hosts: Vec<HookHost>,
    /// From 1.
    pub(crate) attempt: u32,
}

/// A host as a hook sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct HookHost {
    /// Its id.
    pub(crate) id: HostId,
    /// Its zone; `None` if it is no longer listed, as is all that follows.
    pub(crate) zone: Option<ZoneName>,
    /// Its private address.
    pub(crate) address: Option<String>,
    /// Its Auto Scaling group.
    pub(crate) group: Option<GroupName>,
    /// Its tags.
    pub(crate) tags: Tags,
}

/// The answer of a hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "answer", rename_all = "kebab-case", deny_unknown_fields)]
pub enum HookAnswer {
    /// Yes; of a drain or an undrain, that it is done.
    Allow {},
    /// No.
    Deny {
        /// Why, for people.
        reason: String,
    },
    /// Not yet.
    Wait {
        /// When to ask again, in seconds from now.
        seconds: u64,
        /// Why, for people.
        reason: String,
    },
    /// Only these hosts of the batch; of a consultation.
    Only {
        /// Which, by their ids.
        #[schemars(with = "BTreeSet<String>")]
        hosts: BTreeSet<HostId>,
        /// Why not the others, for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// There is no answer that can be understood, which is no. Hooks do not say this.
    #[schemars(skip)]
    Failed {
        /// The attempt, and what came of it.
        message: String,
    },
}

impl HookAnswer {
    /// The same with other texts for people.
    pub(crate) fn map_texts(self, of: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Allow {} => Self::Allow {},
            Self::Deny { reason } => Self::Deny { reason: of(&reason) },
            Self::Wait { seconds, reason } => Self::Wait { seconds, reason: of(&reason) },
            Self::Only { hosts, reason } => Self::Only { hosts, reason: reason.map(|reason| of(&reason)) },
            Self::Failed { message } => Self::Failed { message: of(&message) },
        }
    }
}
