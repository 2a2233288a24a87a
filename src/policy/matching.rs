//! [`Matcher`]: which subsystems a host serves, by the globs of `[hosts]`.
//!
//! All patterns for one tag are compiled into one table, so that a host costs one look-up per tag that it has, however
//! many subsystems there are. This module must not judge: a host that matches may still not be removable.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::RandomState;

use super::patterns::{Building, Last, Patterns, glob};
use super::types::{PolicySet, Selector, SubsystemPolicy};
use crate::model::{GroupName, Host, SubsystemName};

/// The policies that apply to a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostPolicies {
    /// The subsystems that it serves, by name. If empty, no policy selects it, so it cannot be removed.
    pub(crate) subsystems: Vec<SubsystemName>,
    /// The first of these subsystems whose `never` keeps the host out of every removal.
    pub(crate) never: Option<SubsystemName>,
}

/// The compiled selectors of a policy directory.
#[derive(Debug)]
pub(crate) struct Matcher {
    names: Vec<SubsystemName>,
    /// By subsystem, how many keys of its selector a host must match.
    keys: Vec<usize>,
    patterns: Vec<Patterns>,
    /// By tag, the place of its patterns.
    tags: HashMap<String, usize, RandomState>,
    /// The place of the patterns for groups, if there are any.
    groups: Option<usize>,
    /// The selectors could not be compiled: no host may be removed. The loader refuses such policies.
    closed: bool,
}

impl PolicySet {
    /// Compiles the selectors. Takes some milliseconds: call it once per decision, not once per host.
    pub(crate) fn matcher(&self) -> Matcher {
        // S3: without selectors, nobody knows which subsystems a host serves, so no host may go.
        Matcher::new(self.subsystems.values()).unwrap_or_else(|_| Matcher {
            names: self.subsystems.keys().cloned().collect(),
            keys: vec![0; self.subsystems.len()],
            patterns: Vec::new(),
            tags: HashMap::default(),
            groups: None,
            closed: true,
        })
    }
}

impl SubsystemPolicy {
    /// Whether it could select a host of which only its group is known, and the tags that the group gives at launch.
    pub(crate) fn could_select(&self, group: &GroupName, launch_tags: &BTreeMap<String, String>) -> bool {
        let any = |patterns: &BTreeSet<String>, value: &str| {
            patterns.iter().any(|pattern| glob(pattern).is_ok_and(|glob| glob.compile_matcher().is_match(value)))
        };
        let Selector { tags, auto_scaling_groups, .. } = &self.hosts;
        (auto_scaling_groups.is_empty() || any(auto_scaling_groups, group.as_str()))
            // It may have been given a tag that its group does not give.
            && tags.iter().all(|(tag, patterns)| launch_tags.get(tag).is_none_or(|value| any(patterns, value)))
    }
}

impl Matcher {
    /// Compiles the selectors of these policies.
    ///
    /// # Errors
    ///
    /// If a pattern is not a glob, or all patterns together are too large; the loader has checked both.
    pub(crate) fn new<'a>(policies: impl IntoIterator<Item = &'a SubsystemPolicy>) -> Result<Self, globset::Error> {
        let mut names = Vec::new();
        let mut keys = Vec::new();
        let mut tags: BTreeMap<String, Building> = BTreeMap::new();
        let mut groups = Building::default();
        for (index, policy) in policies.into_iter().enumerate() {
            let selector = &policy.hosts;
            names.push(policy.name.clone());
            keys.push(selector.tags.len() + usize::from(!selector.auto_scaling_groups.is_empty()));
            for (tag, patterns) in &selector.tags {
                tags.entry(tag.clone()).or_default().add(patterns, index, false)?;
            }
            for (tag, patterns) in &selector.never {
                tags.entry(tag.clone()).or_default().add(patterns, index, true)?;
            }
            groups.add(&selector.auto_scaling_groups, index, false)?;
        }
        let mut matcher =
            Self { names, keys, patterns: Vec::new(), tags: HashMap::default(), groups: None, closed: false };
        for (tag, building) in tags {
            matcher.tags.insert(tag, matcher.patterns.len());
            matcher.patterns.push(building.build()?);
        }
        if !groups.is_empty() {
            matcher.groups = Some(matcher.patterns.len());
            matcher.patterns.push(groups.build()?);
        }
        Ok(matcher)
    }

    /// The subsystems that a host serves, and the first of them that keeps it for good, if any.
    pub(crate) fn membership(&self, host: &Host) -> HostPolicies {
        let mut matching = self.matching();
        let (served, never) = matching.of(host);
        let name = |index: &usize| self.names.get(*index).cloned();
        HostPolicies { never: never.as_ref().and_then(name), subsystems: served.iter().filter_map(name).collect() }
    }

    /// For matching many hosts.
    pub(crate) fn matching<'h>(&self) -> Matching<'_, 'h> {
        Matching {
            matcher: self,
            last: vec![Last::default(); self.patterns.len()],
            matched: vec![0; self.names.len()],
            served: Vec::new(),
            kept: Vec::new(),
        }
    }
}

/// How many hosts are read at a time. Reading a tag is mostly waiting for memory, and the waits of different hosts
/// overlap.
const TOGETHER: usize = 64;

/// A matcher with reusable buffers, so that a host costs no allocation.
#[derive(Debug)]
pub(crate) struct Matching<'m, 'h> {
    matcher: &'m Matcher,
    /// By place of patterns, the value that they were asked about last: hosts that have a tag often agree in its value.
    last: Vec<Last<'h>>,
    /// By subsystem, the number of keys matched; all zero between hosts.
    matched: Vec<usize>,
    /// Subsystems with a matching key; after filtering, the subsystems that the host serves.
    served: Vec<usize>,
    /// Subsystems with a matching `never`.
    kept: Vec<usize>,
}

impl<'h> Matching<'_, 'h> {
    /// The subsystems that a host serves, ascending, and the first of them that keeps it for good. Both are indexes
    /// into the policies in the order in which the matcher was given them ([`PolicySet::matcher`]: by name).
    pub(crate) fn of(&mut self, host: &'h Host) -> (&[usize], Option<usize>) {
        let places = &self.matcher.tags;
        let tags = host.tags.iter().filter_map(|(tag, value)| Some((*places.get(tag)?, value)));
        self.of_values(host, tags)
    }

    /// The same for one host after the other, in their order; `take` is given each answer.
    pub(crate) fn each(
        &mut self,
        hosts: impl IntoIterator<Item = &'h Host>,
        mut take: impl FnMut(&[usize], Option<usize>),
    ) {
        let places = &self.matcher.tags;
        let mut hosts = hosts.into_iter().fuse();
        let (mut some, mut tags, mut found) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            some.extend(hosts.by_ref().take(TOGETHER));
            if some.is_empty() {
                return;
            }
            some.iter().for_each(|host| tags.extend(&host.tags));
            found.extend(tags.iter().map(|&(tag, _)| places.get(tag).copied()));
            let mut values = found.drain(..).zip(tags.drain(..));
            for host in some.drain(..) {
                let own = values.by_ref().take(host.tags.len());
                let own = own.filter_map(|(place, (_, value))| Some((place?, value)));
                let (served, never) = self.of_values(host, own);
                take(served, never);
            }
        }
    }

    /// The same by the host's tags that there are patterns for: the place of the patterns, and the value.
    fn of_values(&mut self, host: &'h Host, tags: impl Iterator<Item = (usize, &'h str)>) -> (&[usize], Option<usize>) {
        let Self { matcher, last, matched, served, kept } = self;
        served.clear();
        kept.clear();
        // A host outside of groups does not match a selector that requires one.
        let group = matcher.groups.zip(host.group.as_ref().map(GroupName::as_str));
        for (place, value) in tags.chain(group) {
            for &(subsystem, never) in last[place].hits(&matcher.patterns[place], value) {
                if never {
                    kept.push(subsystem);
                } else {
                    if matched[subsystem] == 0 {
                        served.push(subsystem);
                    }
                    matched[subsystem] += 1;
                }
            }
        }
        if matcher.closed {
            served.extend(0..matched.len());
            return (served, (!matched.is_empty()).then_some(0));
        }
        // A selector without keys is never among them: an empty selection never means everything.
        served.retain(|&subsystem| std::mem::take(&mut matched[subsystem]) == matcher.keys[subsystem]);
        served.sort_unstable();
        let never = served.iter().copied().find(|subsystem| kept.contains(subsystem));
        (served, never)
    }
}

#[cfg(test)]
mod tests {

    use proptest::prelude::*;

    use super::*;
    use crate::model::{HostState, Time};
    use crate::policy::fixtures;
    use crate::policy::types::Managed;

    fn host(group: Option<&str>, tags: &[(&str, &str)]) -> Host {
        Host {
            id: "i-1".into(),
            zone: "a".into(),
            group: group.map(Into::into),
            instance_type: "m6i.large".into(),
            tags: tags.iter().copied().collect(),
            state: HostState::InService,
            health: crate::model::Health::Healthy,
            launched_at: Time::from_millis(0),
            protection: None,
            ledger: None,
            target_groups: BTreeSet::new(),
            address: None,
            target_health: BTreeMap::new(),
            obstacles: Vec::new(),
        }
    }

    fn list(patterns: &[&str]) -> BTreeSet<String> {
        patterns.iter().map(|pattern| (*pattern).to_owned()).collect()
    }

    fn matcher(selectors: &[(&str, Selector)]) -> Matcher {
        let policies: Vec<_> = selectors
            .iter()
            .map(|(name, hosts)| SubsystemPolicy {
                name: (*name).into(),
                hosts: hosts.clone(),
                ..fixtures::subsystem()
            })
            .collect();
        Matcher::new(&policies).expect("valid")
    }

    fn selector(tags: &[(&str, &[&str])], groups: &[&str], never: &[(&str, &[&str])]) -> Selector {
        let map = |of: &[(&str, &[&str])]| of.iter().map(|(tag, p)| ((*tag).to_owned(), list(p))).collect();
        Selector { tags: map(tags), auto_scaling_groups: list(groups), never: map(never), managed: Managed::default() }
    }

    #[test]
    fn every_key_must_match_and_any_of_its_patterns_is_enough() {
        let both = matcher(&[("index", selector(&[("role", &["index", "index-*"])], &["index-*"], &[]))]);
        let served = |host: &Host| both.membership(host).subsystems.len();
        assert_eq!(served(&host(Some("index-a"), &[("role", "index")])), 1);
        assert_eq!(served(&host(Some("index-a"), &[("role", "index-canary")])), 1);
        assert_eq!(served(&host(Some("index-a"), &[("role", "billing")])), 0);
        assert_eq!(served(&host(Some("billing"), &[("role", "index")])), 0);
        assert_eq!(served(&host(None, &[("role", "index")])), 0);
        assert_eq!(served(&host(Some("index-a"), &[])), 0);
    }

    #[test]
    fn a_host_outside_groups_matches_no_pattern_of_groups_not_even_a_star() {
        let any = matcher(&[("index", selector(&[], &["*"], &[]))]);
        assert!(any.membership(&host(None, &[])).subsystems.is_empty());
        assert_eq!(any.membership(&host(Some("x/y"), &[])).subsystems.len(), 1);
    }

    #[test]
    fn a_selector_without_keys_selects_nothing() {
        let none = matcher(&[("index", selector(&[], &[], &[]))]);
        assert_eq!(none.membership(&host(Some("index"), &[("role", "index")])), HostPolicies::default());
    }

    #[test]
    fn never_keeps_a_host_that_serves_and_says_for_whom() {
        let kept = matcher(&[
            ("billing", selector(&[("role", &["billing"])], &[], &[])),
            ("index", selector(&[("role", &["*"])], &[], &[("keep", &["true"]), ("role", &["index-master"])])),
        ]);
        assert_eq!(kept.membership(&host(None, &[("role", "billing")])).never, None);
        assert_eq!(kept.membership(&host(None, &[("role", "billing"), ("keep", "true")])).never, Some("index".into()));
        assert_eq!(kept.membership(&host(None, &[("role", "index-master")])).never, Some("index".into()));
        assert_eq!(kept.membership(&host(None, &[("keep", "true")])).never, None, "it does not serve the subsystem");
    }

    #[test]
    fn s3_selectors_that_do_not_compile_let_nothing_go() {
        let mut policies = fixtures::policies();
        let name = policies.subsystems.keys().next().cloned().expect("one");
        policies.subsystems.get_mut(&name).expect("one").hosts = selector(&[("role", &["["])], &[], &[]);
        let (matcher, some) = (policies.matcher(), host(None, &[("role", "index")]));
        assert!(matcher.membership(&some).never.is_some());
        let mut kept = Vec::new();
        matcher.matching().each([&some, &some], |_, never| kept.push(never));
        assert_eq!(kept, [Some(0), Some(0)]);
    }

    proptest! {
        #[test]
        fn many_hosts_are_matched_as_pattern_by_pattern(
            hosts in prop::collection::vec(
                (prop::option::of("[aé]{0,2}"), prop::option::of("[aé]{0,3}"), prop::option::of("[ab]")), 0..2 * TOGETHER,
            ),
            selectors in prop::collection::vec(
                ("[aé*?]{1,2}|[aé]{1,2}|[aé]{1,3}\\*|\\*", prop::option::of("[aé]|[aé]{0,2}\\*"), prop::option::of("[ab]")), 1..5,
            ),
        ) {
            let selectors: Vec<_> = selectors.iter().enumerate().map(|(index, (role, group, never))| {
                let group: Vec<&str> = group.iter().map(String::as_str).collect();
                let never: Vec<&str> = never.iter().map(String::as_str).collect();
                let tags: Vec<(&str, &[&str])> = if never.is_empty() { vec![] } else { vec![("keep", &never)] };
                (format!("s{index}"), selector(&[("role", &[role])], &group, &tags))
            }).collect();
            let named: Vec<_> = selectors.iter().map(|(name, selector)| (name.as_str(), selector.clone())).collect();
            let matcher = matcher(&named);
            let hosts: Vec<_> = hosts.iter().map(|(group, role, keep)| {
                let tags = [("other", group), ("role", role), ("keep", keep)];
                let tags: Vec<_> = tags.iter().filter_map(|(tag, value)| Some((*tag, value.as_deref()?))).collect();
                host(group.as_deref(), &tags)
            }).collect();
            let name = |index: &usize| matcher.names[*index].clone();
            let mut all = Vec::new();
            matcher.matching().each(&hosts, |served, never| {
                all.push(HostPolicies { subsystems: served.iter().map(name).collect(), never: never.as_ref().map(name) });
            });
            prop_assert_eq!(all.len(), hosts.len());
            let mut matching = matcher.matching();
            for (host, of_all) in hosts.iter().zip(all) {
                prop_assert_eq!(&of_all, &matcher.membership(host));
                let many: Vec<_> = matching.of(host).0.iter().map(name).collect();
                prop_assert_eq!(&many, &of_all.subsystems);
                // The oracle: every pattern on its own.
                for (name, selector) in &selectors {
                    let any = |patterns: &BTreeSet<String>, value: &str| {
                        patterns.iter().any(|p| glob(p).expect("valid").compile_matcher().is_match(value))
                    };
                    let tags = |map: &BTreeMap<String, BTreeSet<String>>, tag: &String| {
                        host.tags.get(tag).is_some_and(|value| any(&map[tag], value))
                    };
                    let serves = selector.tags.keys().all(|tag| tags(&selector.tags, tag))
                        && (selector.auto_scaling_groups.is_empty()
                            || host.group.as_ref().is_some_and(|g| any(&selector.auto_scaling_groups, g.as_str())));
                    let name = SubsystemName::new(name.clone());
                    prop_assert_eq!(serves, many.contains(&name));
                    let kept = serves && selector.never.keys().any(|tag| tags(&selector.never, tag));
                    let is_first = of_all.never.as_ref().is_none_or(|first| *first <= name);
                    let is_told = if kept { of_all.never.is_some() && is_first } else { of_all.never != Some(name) };
                    prop_assert!(is_told);
                }
            }
        }
    }
}
