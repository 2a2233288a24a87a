//! [`Candidate`]s: names that a shell can propose for a command line, from the policy directory, the ledger and the
//! fleet.
//!
//! They create nothing and know no errors: whatever cannot be read has no candidates. A remote ledger or provider takes
//! as long as it takes; the caller bounds the time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::coordination::RunEntry;
use crate::model::{HostState, RunId, SubsystemName};
use crate::policy::{self, ProviderKind};
use crate::run::{self, has_ended};

use super::fleets::{self, Opened};
use super::reader::LedgerReader;
use super::site::Site;

/// How many ended runs are proposed, the newest.
const ENDED: usize = 20;

/// A name, and a few words about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The name, as it is typed.
    pub(crate) name: String,
    /// The words; empty if there is nothing to say.
    pub(crate) about: String,
}

impl Candidate {
    fn new(name: impl ToString, about: impl ToString) -> Self {
        Self { name: name.to_string(), about: about.to_string() }
    }
}

/// The subsystems that have a policy file, valid or not.
pub(crate) fn subsystems(policies: &Path) -> Vec<Candidate> {
    if let Ok(valid) = policy::load(policies) {
        let about = |policy: &policy::SubsystemPolicy| policy.description.clone().unwrap_or_default();
        return valid.subsystems.values().map(|policy| Candidate::new(&policy.name, about(policy))).collect();
    }
    let alone = policy::load_fleet(policies).ok();
    alone.into_iter().flat_map(|fleet| fleet.subsystems).map(|name| Candidate::new(name, "")).collect()
}

/// The runs that are under way or hold something, and with `ended` the newest of those that ended.
pub(crate) async fn runs(policies: &Path, ended: bool) -> Vec<Candidate> {
    let Some((ledger, mut runs)) = ledger_of(policies).await else { return Vec::new() };
    if ended {
        let known = ledger.journals().runs(None).await.unwrap_or_default();
        let others: Vec<RunId> = known.into_iter().filter(|id| !runs.contains_key(id)).take(ENDED).collect();
        for id in others {
            let journal = ledger.journals().journal(&id).await.unwrap_or_default();
            if let Some(run) = run::report(&journal).filter(|_| has_ended(&journal)) {
                runs.insert(id, format!("of {}, by {}, ended {}", run.subsystem, run.operator, run.ended_at));
            }
        }
    }
    runs.into_iter().map(|(run, about)| Candidate::new(run, about)).collect()
}

/// The hosts that a run holds.
pub(crate) async fn held(policies: &Path, run: &RunId) -> Vec<Candidate> {
    let Some(site) = Site::find(policies).ok() else { return Vec::new() };
    let Ok(ledger) = LedgerReader::open(&site.fleet, fleets::now(&site.fleet)).await else { return Vec::new() };
    let Ok((_, record)) = ledger.read().await else { return Vec::new() };
    let holds = record.runs.get(run).into_iter().flat_map(|entry| &entry.reservations);
    holds.map(|(host, of)| Candidate::new(host, format!("batch {}", of.batch))).collect()
}

/// The hosts that are in service; of this subsystem if one is given.
pub(crate) async fn hosts(policies: &Path, of: Option<&SubsystemName>) -> Vec<Candidate> {
    let Ok(policies) = policy::load(policies).map(Arc::new) else { return Vec::new() };
    if let ProviderKind::Simulated { state, .. } = &policies.fleet.provider.kind
        && !state.exists()
    {
        // To open such a fleet is to create it.
        return Vec::new();
    }
    let Ok(Opened { fleet, .. }) = fleets::open(&policies).await else { return Vec::new() };
    let Ok(snapshot) = fleet.observe().await else { return Vec::new() };
    let matcher = policies.matcher();
    let mut found = Vec::new();
    for host in snapshot.hosts().filter(|host| host.state == HostState::InService) {
        let serves = matcher.membership(host).subsystems;
        if of.is_none_or(|name| serves.contains(name)) {
            let serves: Vec<&str> = serves.iter().map(SubsystemName::as_str).collect();
            found.push(Candidate::new(&host.id, format!("zone {}, {}", host.zone, serves.join(" "))));
        }
    }
    found
}

/// The ledger, and a few words about each run in its record.
async fn ledger_of(policies: &Path) -> Option<(LedgerReader, BTreeMap<RunId, String>)> {
    let site = Site::find(policies).ok()?;
    let ledger = LedgerReader::open(&site.fleet, fleets::now(&site.fleet)).await.ok()?;
    let (_, record) = ledger.read().await.ok()?;
    let about =
        |entry: &RunEntry| format!("of {}, by {}, since {}", entry.subsystem, entry.operator, entry.enlisted_at);
    let runs = record.runs.iter().map(|(run, entry)| (run.clone(), about(entry))).collect();
    Some((ledger, runs))
}
