//! Stands in for what `policy` will offer.

use std::collections::{BTreeMap, BTreeSet};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::model::{Host, SubsystemName, Time};
use crate::policy::{PolicySet, SubsystemPolicy, Windows};

struct One {
    name: SubsystemName,
    tags: Vec<(String, GlobSet)>,
    groups: Option<GlobSet>,
    never: Vec<(String, GlobSet)>,
}

pub(crate) struct Matcher(Vec<One>);

fn set(patterns: &BTreeSet<String>) -> GlobSet {
    let mut builder = GlobSetBuilder::new();
    for pattern in patterns {
        if let Ok(glob) = GlobBuilder::new(pattern).literal_separator(false).build() {
            builder.add(glob);
        }
    }
    builder.build().unwrap_or_default()
}

fn sets(of: &BTreeMap<String, BTreeSet<String>>) -> Vec<(String, GlobSet)> {
    of.iter().map(|(k, v)| (k.clone(), set(v))).collect()
}

impl Matcher {
    pub(crate) fn new(policies: &PolicySet) -> Self {
        let one = |s: &SubsystemPolicy| One {
            name: s.name.clone(),
            tags: sets(&s.hosts.tags),
            groups: (!s.hosts.auto_scaling_groups.is_empty()).then(|| set(&s.hosts.auto_scaling_groups)),
            never: sets(&s.hosts.never),
        };
        Self(policies.subsystems.values().map(one).collect())
    }

    fn selected<'a>(&'a self, host: &'a Host) -> impl Iterator<Item = &'a One> {
        self.0.iter().filter(|one| {
            one.tags.iter().all(|(k, set)| host.tags.get(k).is_some_and(|v| set.is_match(v)))
                && one.groups.as_ref().is_none_or(|set| host.group.as_ref().is_some_and(|g| set.is_match(g.as_str())))
        })
    }

    pub(crate) fn subsystems_of(&self, host: &Host) -> Vec<SubsystemName> {
        self.selected(host).map(|one| one.name.clone()).collect()
    }

    pub(crate) fn never(&self, host: &Host) -> bool {
        self.selected(host)
            .any(|one| one.never.iter().any(|(k, set)| host.tags.get(k).is_some_and(|v| set.is_match(v))))
    }
}

pub(crate) fn closed_at(_windows: &Windows, _now: Time) -> Option<String> {
    Some("windows cannot be judged yet".to_owned())
}

pub(crate) fn loosened(accepted: &SubsystemPolicy, now: Option<&SubsystemPolicy>) -> Vec<String> {
    match now {
        None => vec!["it has no policy file any more".to_owned()],
        Some(now) if now == accepted => Vec::new(),
        Some(_) => vec!["it is not the accepted one".to_owned()],
    }
}
