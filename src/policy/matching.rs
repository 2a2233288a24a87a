//! [`Matcher`]: which subsystems a host serves, by the globs of `[hosts]`.
//!
//! All patterns for one tag are compiled into one set, so that a host costs a look-up per tag, not one per
//! subsystem. Must not judge: a host that is matched may still not be removable.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use super::types::{PolicySet, ProbeKind, ProbeSpec, SubsystemPolicy};
use crate::model::{Host, SubsystemName};

/// What the policies say of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// The subsystems it serves, by name. Empty: no policy selects it, so it cannot be removed.
    pub subsystems: Vec<SubsystemName>,
    /// Of these, the first whose `never` keeps it out of every removal.
    pub never: Option<SubsystemName>,
}

/// The compiled selectors of a policy directory.
#[derive(Debug)]
pub struct Matcher {
    names: Vec<SubsystemName>,
    /// How many keys of its selector a host must match, per subsystem.
    keys: Vec<usize>,
    tags: BTreeMap<String, Patterns>,
    groups: Patterns,
    /// The selectors could not be compiled: no host may be removed. The loader refuses such policies.
    closed: bool,
}

/// All patterns for one tag, or for the group.
#[derive(Debug)]
struct Patterns {
    set: GlobSet,
    /// Per pattern: the subsystem's index, and whether it stands under `never`.
    of: Vec<(usize, bool)>,
}

impl PolicySet {
    /// Compiles the selectors. Costs some milliseconds: once per decision, not once per host.
    pub fn matcher(&self) -> Matcher {
        // S3: without selectors nobody knows whom a host serves, so none may go.
        Matcher::new(self.subsystems.values()).unwrap_or_else(|_| Matcher {
            names: self.subsystems.keys().cloned().collect(),
            keys: vec![0; self.subsystems.len()],
            tags: BTreeMap::new(),
            groups: Patterns { set: GlobSet::empty(), of: Vec::new() },
            closed: true,
        })
    }

    /// The probe as it must be run: an `exec` program with a `/` in it is relative to the policy file.
    ///
    /// The policy itself keeps what was written, so that two checkouts of it are the same policy.
    pub fn runnable(&self, probe: &ProbeSpec) -> ProbeSpec {
        let mut probe = probe.clone();
        if let ProbeKind::Exec { command } = &mut probe.kind
            && let Some(program) = command.first_mut()
            && program.contains('/')
        {
            *program = in_directory(&self.directory, program).to_string_lossy().into_owned();
        }
        probe
    }
}

/// A path that keeps its `/`, so that it is never looked up in the search path.
fn in_directory(directory: &Path, program: &str) -> PathBuf {
    if directory.as_os_str().is_empty() { Path::new(".").join(program) } else { directory.join(program) }
}

impl Matcher {
    /// Compiles the selectors of these policies.
    ///
    /// # Errors
    ///
    /// Where a pattern is not a glob, or all of them together are too large; the loader has checked both.
    pub fn new<'a>(policies: impl IntoIterator<Item = &'a SubsystemPolicy>) -> Result<Self, globset::Error> {
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
        let tags = tags
            .into_iter()
            .map(|(tag, building)| Ok((tag, building.build()?)))
            .collect::<Result<_, globset::Error>>()?;
        Ok(Self { names, keys, tags, groups: groups.build()?, closed: false })
    }

    /// The subsystems that a host serves, and whether one of them keeps it for good.
    pub fn membership(&self, host: &Host) -> Membership {
        if self.closed {
            return Membership { subsystems: self.names.clone(), never: self.names.first().cloned() };
        }
        let mut matched = vec![0_usize; self.names.len()];
        let mut never = BTreeSet::new();
        for (tag, patterns) in &self.tags {
            if let Some(value) = host.tags.get(tag) {
                patterns.count(value, &mut matched, &mut never);
            }
        }
        // A host outside of groups does not match a selector that asks for one.
        if let Some(group) = &host.group {
            self.groups.count(group.as_str(), &mut matched, &mut never);
        }
        let served: Vec<usize> = (0..self.names.len())
            // A selector without keys selects nothing: nothing selected never means everything.
            .filter(|index| matched.get(*index) == self.keys.get(*index) && matched.get(*index) != Some(&0))
            .collect();
        let name = |index: &usize| self.names.get(*index).cloned();
        Membership {
            never: served.iter().find(|index| never.contains(*index)).and_then(name),
            subsystems: served.iter().filter_map(name).collect(),
        }
    }

    /// The memberships of many hosts, in their order: those that look alike are matched once.
    pub fn memberships<'h>(&self, hosts: impl IntoIterator<Item = &'h Host>) -> Vec<Arc<Membership>> {
        let mut known: HashMap<Likeness<'_>, Arc<Membership>> = HashMap::new();
        hosts
            .into_iter()
            .map(|host| {
                let group = host.group.as_ref().map(|group| group.as_str());
                let tags = self.tags.keys().map(|tag| host.tags.get(tag).map(String::as_str)).collect();
                known.entry((group, tags)).or_insert_with(|| Arc::new(self.membership(host))).clone()
            })
            .collect()
    }

    /// The subsystems that a host serves, by name.
    pub fn subsystems_of(&self, host: &Host) -> Vec<SubsystemName> {
        self.membership(host).subsystems
    }

    /// The subsystem that keeps the host out of every removal, if one does.
    pub fn never(&self, host: &Host) -> Option<SubsystemName> {
        self.membership(host).never
    }
}

/// What decides a membership: the group, and the values of the tags that any selector looks at.
type Likeness<'h> = (Option<&'h str>, Vec<Option<&'h str>>);

/// Patterns on their way into a set.
#[derive(Default)]
struct Building {
    globs: Vec<Glob>,
    of: Vec<(usize, bool)>,
}

impl Building {
    fn add(&mut self, patterns: &BTreeSet<String>, index: usize, never: bool) -> Result<(), globset::Error> {
        for pattern in patterns {
            self.globs.push(glob(pattern)?);
            self.of.push((index, never));
        }
        Ok(())
    }

    fn build(self) -> Result<Patterns, globset::Error> {
        let mut set = GlobSetBuilder::new();
        for glob in self.globs {
            set.add(glob);
        }
        Ok(Patterns { set: set.build()?, of: self.of })
    }
}

impl Patterns {
    /// Counts this key once for every subsystem of which one pattern matches.
    fn count(&self, value: &str, matched: &mut [usize], never: &mut BTreeSet<usize>) {
        let mut seen = BTreeSet::new();
        for pattern in self.set.matches(value) {
            match self.of.get(pattern) {
                Some((index, true)) => _ = never.insert(*index),
                Some((index, false)) => {
                    if seen.insert(*index)
                        && let Some(count) = matched.get_mut(*index)
                    {
                        *count += 1;
                    }
                }
                None => {}
            }
        }
    }
}

/// A pattern of `[hosts]`: names and tag values are no paths, so `*` matches any text, slashes included.
pub(super) fn glob(pattern: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(pattern).literal_separator(false).backslash_escape(true).build()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{HostState, Time};
    use crate::policy::fixtures;
    use crate::policy::types::Selector;

    fn host(group: Option<&str>, tags: &[(&str, &str)]) -> Host {
        Host {
            id: "i-1".into(),
            zone: "a".into(),
            group: group.map(Into::into),
            instance_type: "m6i.large".to_owned(),
            tags: tags.iter().map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned())).collect(),
            state: HostState::InService,
            healthy: true,
            launched_at: Time::from_millis(0),
            protection: None,
            ledger: None,
            target_groups: BTreeSet::new(),
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
        Selector { tags: map(tags), auto_scaling_groups: list(groups), never: map(never) }
    }

    #[test]
    fn every_key_must_match_and_any_of_its_patterns_is_enough() {
        let both = matcher(&[("index", selector(&[("role", &["index", "index-*"])], &["index-*"], &[]))]);
        let served = |host: &Host| both.subsystems_of(host).len();
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
        assert!(any.subsystems_of(&host(None, &[])).is_empty());
        assert_eq!(any.subsystems_of(&host(Some("x/y"), &[])).len(), 1);
    }

    #[test]
    fn a_selector_without_keys_selects_nothing() {
        let none = matcher(&[("index", selector(&[], &[], &[]))]);
        assert_eq!(none.membership(&host(Some("index"), &[("role", "index")])), Membership::default());
    }

    #[test]
    fn never_keeps_a_host_that_serves_and_says_for_whom() {
        let kept = matcher(&[
            ("billing", selector(&[("role", &["billing"])], &[], &[])),
            ("index", selector(&[("role", &["*"])], &[], &[("keep", &["true"]), ("role", &["index-master"])])),
        ]);
        assert_eq!(kept.never(&host(None, &[("role", "billing")])), None);
        assert_eq!(kept.never(&host(None, &[("role", "billing"), ("keep", "true")])), Some("index".into()));
        assert_eq!(kept.never(&host(None, &[("role", "index-master")])), Some("index".into()));
        assert_eq!(kept.never(&host(None, &[("keep", "true")])), None, "it does not serve the subsystem");
    }

    #[test]
    fn s3_selectors_that_do_not_compile_let_nothing_go() {
        let mut policies = fixtures::policies();
        let name = policies.subsystems.keys().next().cloned().expect("one");
        policies.subsystems.get_mut(&name).expect("one").hosts = selector(&[("role", &["["])], &[], &[]);
        assert!(policies.matcher().never(&host(None, &[])).is_some());
    }

    #[test]
    fn a_program_with_a_slash_is_relative_to_the_policy_file() {
        let policies = fixtures::policies();
        let run = |program: &str| {
            let kind = ProbeKind::Exec { command: vec![program.to_owned(), "./x".to_owned()] };
            match policies.runnable(&ProbeSpec { kind, ..fixtures::probe() }).kind {
                ProbeKind::Exec { command } => command.join(" "),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(run("check"), "check ./x");
        assert_eq!(run("./check"), "policies/./check ./x");
        assert_eq!(run("/bin/true"), "/bin/true ./x");
    }

    proptest! {
        #[test]
        fn many_hosts_are_matched_as_one_by_one(
            hosts in prop::collection::vec(
                (prop::option::of("[ab]"), prop::option::of("[ab]{0,2}"), prop::option::of("[ab]")), 0..30,
            ),
            selectors in prop::collection::vec(("[ab*?]{1,2}", prop::option::of("[ab*]"), prop::option::of("[ab]")), 1..5),
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
                let tags = [("role", role), ("keep", keep)];
                let tags: Vec<_> = tags.iter().filter_map(|(tag, value)| Some((*tag, value.as_deref()?))).collect();
                host(group.as_deref(), &tags)
            }).collect();
            for (host, many) in hosts.iter().zip(matcher.memberships(&hosts)) {
                prop_assert_eq!(&*many, &matcher.membership(host));
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
                    prop_assert_eq!(serves, many.subsystems.contains(&SubsystemName::new(name.clone())));
                }
            }
        }
    }
}
