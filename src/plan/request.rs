//! What an operator asks for.

use crate::model::{HostId, RequestId, SubsystemName};

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The subsystem named.
    pub subsystem: SubsystemName,
    /// How many, or which.
    pub selection: Selection,
    /// `--reason`
    pub reason: Option<String>,
    /// `--request-id`
    pub request_id: Option<RequestId>,
    /// `--expect-remaining`: hosts of the named subsystem that must still serve afterwards, exactly.
    pub expect_remaining: Option<u64>,
}

/// How many hosts, or which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// This many hosts, at least 1; the planner chooses them.
    Count(u64),
    /// These hosts, without repeats. An empty list is refused like any other selection that was not meant: by rule
    /// `empty-selection` of the plan (contract section 5).
    Hosts(Vec<HostId>),
}
