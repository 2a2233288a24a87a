//! Every timeout and retry limit of a run, with its reason.

use std::time::Duration;

use crate::model::PUT_BACK;

/// Calls for one thing at most. A provider that refuses or stays silent five times in a row is in trouble,
/// and removal does not add to it.
pub(super) const CALL_ATTEMPTS: u32 = 5;

/// The first pause before a call is tried again; doubled each time.
pub(super) const CALL_PAUSE: Duration = Duration::from_secs(1);

/// Until a write to the ledger that has no answer counts as waited for: then the run observes the world meanwhile. Shorter
/// than the shortest gap that a bake tolerates (5 s), longer than an engine takes that is merely busy.
pub(super) const ANSWER: Duration = Duration::from_secs(2);

/// The same for a ledger that is known to be lost.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(300);

/// Until a write is given up while nothing was taken out of service yet. Waiting does no harm then, and giving up leaves a
/// reservation that somebody must clear; SQLite's lock is not fair, so that one of many processes may wait long.
pub(super) const NOTHING_OUT: Duration = Duration::from_secs(120);

/// A waiting run says so in its journal at least this often.
pub(super) const WAIT_TOLD: Duration = Duration::from_secs(60);

/// Between two observations while something is expected to show shortly.
pub(super) const POLL: Duration = Duration::from_secs(2);

/// Looks after a lost reply before the call is sent again: the effect usually shows at once.
pub(super) const DOUBT_OBSERVATIONS: u32 = 3;

/// Until a cordoned batch must be seen out of service. AWS waits out the deregistration delay, which is at most
/// 3600 s (Elastic Load Balancing API reference, `deregistration_delay.timeout_seconds`), and some minutes of its own.
pub(super) const CORDON_TIMEOUT: Duration = Duration::from_secs(3600 + 300);

/// Until AZRebalance must be seen suspended, beside the time by which reads may be late. Somebody who resumes it again and
/// again wants something else than this run, and hosts are out meanwhile.
pub(super) const SUSPENSION: Duration = Duration::from_secs(60);

/// Until a group must want no more hosts than it has, once its first host is gone: launches that AWS is about to make show
/// within seconds (hjacobs/kube-aws-autoscaler#7).
pub(super) const PROOF: Duration = Duration::from_secs(600);

/// Until a terminated batch must be seen gone. A terminating lifecycle hook holds an instance for up to 2 h by its
/// heartbeat timeout (Auto Scaling API reference, `PutLifecycleHook`); what takes longer needs a person.
pub(super) const TERMINATION_TIMEOUT: Duration = Duration::from_secs(2 * 3600 + 300);

/// Until an answer of a hook that a batch may go is too old: what it said of may have changed.
pub(super) const CONSULT_LIFE: Duration = Duration::from_secs(60);

/// Calls of a hook that undrains, at most. The hosts are in service, and a person can call it too.
pub(super) const UNDRAIN_ATTEMPTS: u32 = 3;

/// Restores are retried for this long.
pub(super) const RESTORE_TIMEOUT: Duration = PUT_BACK;

/// Until a sample counts as not read while hosts are put back: no longer than the run would sleep otherwise.
pub(super) const PROBE_WHILE_RESTORING: Duration = POLL;

/// Looks that may fail one after the other before the fleet's state counts as lost.
pub(super) const BLIND_OBSERVATIONS: u32 = 3;

/// Grants that may be refused one after the other because the observation aged meanwhile.
pub(super) const STALE_GRANTS: u32 = 10;

/// Gaps that may break one bake. A machine that cannot sample for so long cannot watch a removal either.
pub(super) const BAKE_RESTARTS: u64 = 10;

/// Looks in a row that may be too old, once they are answered, to be acted on.
pub(super) const STALE_OBSERVATIONS: u32 = 20;
