//! What an operator asks for.

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use thiserror::Error;

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

/// How many hosts, or which: at least one either way. Nothing selected never means everything (S8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// This many hosts; the planner chooses them.
    Count(NonZeroU64),
    /// These hosts.
    Hosts(HostList),
}

/// Hosts that were named: at least one, none twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostList(Vec<HostId>);

/// Why hosts that were named are no [`HostList`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoHostList {
    /// There is none.
    #[error("no host is named, which never means all")]
    Empty,
    /// One stands there twice.
    #[error("host {0} is named twice")]
    Twice(HostId),
}

impl HostList {
    /// The list of these hosts, in this order.
    ///
    /// # Errors
    ///
    /// [`NoHostList`]: a list that is empty, or has repeats, is not the list that was meant.
    pub fn new(hosts: Vec<HostId>) -> Result<Self, NoHostList> {
        let mut seen = BTreeSet::new();
        if let Some(twice) = hosts.iter().find(|host| !seen.insert(*host)) {
            return Err(NoHostList::Twice(twice.clone()));
        }
        if hosts.is_empty() { Err(NoHostList::Empty) } else { Ok(Self(hosts)) }
    }

    /// The hosts.
    pub fn as_slice(&self) -> &[HostId] {
        &self.0
    }
}

#[cfg(test)]
impl Selection {
    /// A count, which must not be 0.
    pub(crate) fn counted(count: u64) -> Self {
        Self::Count(NonZeroU64::new(count).expect("at least one"))
    }

    /// These hosts, of which there must be one.
    pub(crate) fn named(hosts: impl IntoIterator<Item = HostId>) -> Self {
        Self::Hosts(HostList::new(hosts.into_iter().collect()).expect("at least one, none twice"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joyent_2014_a_selection_is_never_empty() {
        assert_eq!(HostList::new(Vec::new()), Err(NoHostList::Empty));
        assert_eq!(HostList::new(vec!["a".into(), "b".into(), "a".into()]), Err(NoHostList::Twice("a".into())));
        assert!(HostList::new(vec!["a".into(), "b".into()]).is_ok());
    }
}
