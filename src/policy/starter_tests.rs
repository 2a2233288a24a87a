//! Whatever a provider lists, what is written is valid, selects what it was made of, and marks its guesses.

use std::path::Path;

use proptest::prelude::*;

use super::super::check::{PolicyText, check};
use super::super::types::{LedgerConfig, PolicySet, ProviderConfig};
use super::*;
use crate::model::{FleetMark, Health, HostId, HostState, OwnChanges, TargetHealth};

fn fleet(tag: Option<&str>) -> FleetConfig {
    FleetConfig {
        name: "aws-123456789012-us-east-1".into(),
        provider: ProviderConfig {
            kind: ProviderKind::Aws { region: "us-east-1".to_owned(), account: "123456789012".to_owned(), role: None },
            subsystem_tag: tag.map(str::to_owned),
            settle: None,
        },
        ledger: LedgerConfig {
            kind: LedgerKind::Sqlite { path: "../.safe-remove/ledger.db".into() },
            offline_limit: std::time::Duration::from_secs(30),
        },
    }
}

fn host(id: &str, group: Option<&str>, tags: &[(&str, &str)]) -> Host {
    Host {
        id: HostId::new(id),
        zone: "us-east-1a".into(),
        group: group.map(Into::into),
        instance_type: "m6i.large".into(),
        tags: tags.iter().copied().collect(),
        state: HostState::InService,
        health: Health::Healthy,
        launched_at: Time::from_millis(0),
        protection: None,
        ledger: None,
        target_groups: BTreeSet::new(),
        address: None,
        target_health: BTreeMap::new(),
        obstacles: Vec::new(),
    }
}

fn group(name: &str, members: u64, min_size: u64) -> Group {
    Group {
        name: name.into(),
        min_size,
        max_size: members,
        desired: members,
        stated_members: members,
        launch_failure: None,
        ledger: None,
        suspended: BTreeSet::new(),
        deleting: false,
        obstacles: Vec::new(),
        changes: OwnChanges::default(),
        notes: Vec::new(),
    }
}

/// Nine hosts in each group.
fn snapshot(names: &[&str], change: impl Fn(&mut Host)) -> FleetSnapshot {
    let hosts = names
        .iter()
        .enumerate()
        .flat_map(|(at, name)| (0..9).map(move |number| host(&format!("i-{at}-{number}"), Some(name), &[])));
    let hosts = hosts.map(|mut host| {
        change(&mut host);
        host
    });
    let groups = names.iter().map(|name| group(name, 9, 0));
    let now = Time::from_millis(1_795_957_200_000);
    FleetSnapshot::new(now, now, hosts, groups, FleetMark::OnHosts).expect("a snapshot")
}

/// The policies that were written, which must be valid.
fn read(starter: &Starter) -> PolicySet {
    let text = |(name, text): (&String, &String)| PolicyText { name: name.clone(), text: Ok(text.clone()) };
    let texts: Vec<PolicyText> = starter.files.iter().map(text).collect();
    check(Path::new("policies"), &texts, Vec::new()).unwrap_or_else(|errors| {
        panic!("{:?}\n{}", errors.problems, starter.files.values().cloned().collect::<String>())
    })
}

fn started(snapshot: &FleetSnapshot, tag: Option<&str>) -> (Starter, PolicySet) {
    let starter = starter(&fleet(tag), false, snapshot, snapshot.begun_at);
    let read = read(&starter);
    (starter, read)
}

#[test]
fn a_group_gets_a_policy_with_its_size_its_zones_its_target_group_and_its_owner() {
    let arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/73e2d6bc24d8a067";
    let (starter, read) = started(
        &snapshot(&["web"], |host| {
            host.target_health.insert(arn.into(), TargetHealth::Passes);
            host.tags = [("Team", "front \"end\"")].into();
            if host.id.as_str().ends_with('1') {
                host.zone = "us-east-1b".into();
            }
        }),
        None,
    );
    let web = &read.subsystems["web"];
    assert_eq!((web.capacity.baseline, web.capacity.minimum), (9, 7));
    assert_eq!(web.owner.as_deref(), Some("front \"end\""));
    assert_eq!(web.capacity.zones.as_ref().map(BTreeSet::len), Some(2));
    assert_eq!(web.health.probes.len(), 1);
    assert_eq!(web.hosts.auto_scaling_groups, BTreeSet::from(["web".to_owned()]));
    // Each line with a number that nobody gave says that it is a guess.
    let text = &starter.files["web.toml"];
    for key in [
        "baseline",
        "minimum",
        "minimum_per_zone",
        "zones",
        "max_hosts_per_run",
        "batch",
        "interval",
        "budgets",
        "bake",
        "min",
        "owner",
        "depends_on",
    ] {
        let line = text.lines().find(|line| line.starts_with(&format!("{key} = "))).expect(key);
        assert!(line.contains("# GUESS"), "{line}");
    }
}

#[test]
fn without_a_target_group_nothing_is_watched_and_the_file_says_so() {
    let (starter, read) = started(&snapshot(&["web"], |_| {}), None);
    assert!(read.subsystems["web"].health.probes.is_empty());
    assert!(starter.files["web.toml"].contains("# GUESS: no load balancer"), "{}", starter.files["web.toml"]);
    assert!(starter.files["web.toml"].contains("# owner = "));
}

#[test]
fn a_name_and_a_ledger_that_a_person_chose_are_no_guesses() {
    let found = snapshot(&["web"], |_| {});
    for (is_known, guesses) in [(true, 0), (false, 2)] {
        let starter = starter(&fleet(None), is_known, &found, found.begun_at);
        assert_eq!(starter.files["fleet.toml"].matches("GUESS:").count(), guesses);
        read(&starter);
    }
}

#[test]
fn the_minimum_is_not_below_the_groups_own() {
    let now = Time::from_millis(0);
    let hosts = (0..9).map(|number| host(&format!("i-{number}"), Some("web"), &[]));
    let found = FleetSnapshot::new(now, now, hosts, [group("web", 9, 8)], FleetMark::OnHosts).expect("a snapshot");
    assert_eq!(started(&found, None).1.subsystems["web"].capacity.minimum, 8);
}

#[test]
fn what_gets_no_policy_is_named() {
    let now = Time::from_millis(0);
    let mut stopped = host("i-1", Some("old"), &[]);
    stopped.health = Health::Failed;
    let deleted = Group { deleting: true, ..group("gone", 1, 0) };
    let hosts = [stopped, host("i-2", Some("web"), &[]), host("i-3", None, &[]), host("i-4", Some("gone"), &[])];
    let groups = [group("old", 1, 0), group("web", 1, 0), deleted];
    let found = FleetSnapshot::new(now, now, hosts, groups, FleetMark::OnHosts).expect("a snapshot");
    let (starter, read) = started(&found, None);
    assert_eq!(read.subsystems.len(), 1);
    assert_eq!(starter.left_out.len(), 3, "{:?}", starter.left_out);
    // A single host: its minimum keeps it.
    assert_eq!(read.subsystems["web"].capacity.minimum, 1);
}

#[test]
fn a_tag_makes_a_policy_of_each_subsystem_that_it_names() {
    let now = Time::from_millis(0);
    let hosts = [
        host("i-1", Some("web"), &[("role", "index+billing")]),
        host("i-2", Some("web"), &[("role", "index")]),
        host("i-3", None, &[("role", "billing")]),
        host("i-4", None, &[]),
    ];
    let found = FleetSnapshot::new(now, now, hosts, [group("web", 2, 0)], FleetMark::OnHosts).expect("a snapshot");
    let (starter, read) = started(&found, Some("role"));
    assert_eq!(read.fleet.provider.subsystem_tag.as_deref(), Some("role"));
    let matcher = read.matcher();
    let of = |id: &str| {
        let found = matcher.membership(found.host(&id.into()).expect("a host")).subsystems;
        found.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of("i-1"), ["billing", "index"]);
    assert_eq!(of("i-2"), ["index"]);
    assert_eq!(of("i-3"), ["billing"]);
    assert_eq!(starter.left_out.len(), 1, "{:?}", starter.left_out);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn odd_names_of_groups_make_valid_policies_that_select_their_own(
        names in prop::collection::btree_set("[ -~é漢\u{1b}\u{202e}]{1,40}|[*?\\[\\]{}\\\\!,]{1,12}|fleet|FLEET|a{70}", 1..6),
        owner in "[ -~\u{1b}é]{0,20}",
    ) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let found = snapshot(&names, |host| {
            host.tags = [("owner", &owner)].into();
        });
        let (starter, read) = started(&found, None);
        prop_assert_eq!(read.subsystems.len(), names.len());
        prop_assert_eq!(starter.files.len(), names.len() + 1);
        let matcher = read.matcher();
        for host in found.hosts() {
            prop_assert!(!matcher.membership(host).subsystems.is_empty(), "{:?}", host.group);
        }
    }
}
