//! [`ProbeSpecs`]: the probes that a run watches, as the policies define them.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{ProbeKey, SubsystemName};
use crate::policy::{PolicySet, ProbeSpec};

/// Every probe that a run watches.
pub(crate) type ProbeSpecs = BTreeMap<ProbeKey, ProbeSpec>;

/// The probes of these subsystems, ready to run. A subsystem without a policy has none; `plan` refuses it long before.
pub(crate) fn probes_of(policies: &PolicySet, watched: &BTreeSet<SubsystemName>) -> ProbeSpecs {
    policies
        .subsystems
        .values()
        .filter(|policy| watched.contains(&policy.name))
        .flat_map(|policy| {
            policy.health.probes.iter().map(|probe| {
                (ProbeKey { subsystem: policy.name.clone(), probe: probe.name.clone() }, policies.runnable(probe))
            })
        })
        .collect()
}
