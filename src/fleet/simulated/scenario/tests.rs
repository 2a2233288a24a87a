//! Scenarios that people write, and the errors they get.

use miette::Diagnostic;

use super::*;
use crate::model::{Health, HostState, Protection};

const POOL: &str = "[[hosts]]\npool = \"index\"\ncount = 3\nzones = [\"a\", \"b\"]\n";

/// `line: message (help)`
fn told(text: &str) -> String {
    let error = Scenario::parse(text).expect_err("an error").in_file(Path::new("scenario.toml"), text);
    let help = error.help().map(|h| format!(" ({h})")).unwrap_or_default();
    format!("{}: {}{help}", error.line.unwrap_or(0), error.message)
}

fn told_of_pool(more: &str) -> String {
    told(&format!("{POOL}{more}"))
}

#[test]
fn the_contracts_own_scenario_is_valid() {
    let scenario = Scenario::of(
        r#"
clock = "virtual"                 # "virtual": waits take no time; "real"; or a speed-up such as 60
seed = 7

[[hosts]]
pool = "index"
count = 90
zones = ["a", "b", "c"]
tags = { role = "index" }
instance_type = "m6i.large"
unhealthy = ["index-0007"]
doubtful = ["index-0009"]
group_minimum = 60

[[load]]
subsystem = "index"
demand = 300.0
per_unit = 5.0
latency = 20.0

[[events]]
at = "7m"
fail = ["index-0010"]

[[events]]
after = { pool = "index", terminated = 2, cordoned = 1 }
at = "20s"
demand = { subsystem = "index", factor = 2.0 }

[[faults]]
call = "terminate"
nth = 2
error = "throttled"
"#,
    );
    assert_eq!(scenario.hosts.iter().len(), 90);
    let host = |id: &str| &scenario.hosts.get(id).expect("there").host;
    let zones: Vec<_> =
        ["index-0001", "index-0002", "index-0003", "index-0004"].map(|id| host(id).zone.as_str()).into();
    assert_eq!(zones, ["a", "b", "c", "a"]);
    assert_eq!(host("index-0007").health, Health::Failed);
    assert_eq!(host("index-0009").health, Health::Doubtful);
    assert!(host("index-0008").is_healthy());
    assert_eq!((scenario.pools["index"].minimum, scenario.pools["index"].maximum), (60, 90));
    assert_eq!((scenario.events.len(), scenario.events[0].at), (1, Duration::from_secs(7 * 60)));
    let TiedEvent { after, event } = &scenario.tied[0];
    assert_eq!(after.pool, Some("index".into()));
    assert_eq!((after.terminated, after.cordoned, event.at), (2, 1, Duration::from_secs(20)));
}

#[test]
fn every_further_key_is_read() {
    let scenario = Scenario::of(&format!(
        "clock = 60\nstart = 2017-02-28T17:37:00Z\n{POOL}{}",
        r#"
standby = ["index-0001"]
pending = ["index-0002"]
terminating = ["index-0003"]
protected = ["index-0002"]
group_maximum = 9
launched_at = { "index-0001" = "2016-01-01T00:00:00Z" }
launches_fail = true
host_tags = { "index-0003" = { units = "2" } }

[[events]]
at = "2m"
recover = ["index-0001"]
[[events]]
at = "90s"
fail = ["index-0001"]
"#
    ));
    assert_eq!(scenario.clock, ClockKind::Real(60.0));
    assert_eq!(scenario.start, "2017-02-28T17:37:00Z".parse().ok());
    let host = |id: &str| scenario.hosts.get(id).expect("there");
    let states = ["index-0001", "index-0002", "index-0003"].map(|id| host(id).host.state);
    assert_eq!(states, [HostState::Cordoned, HostState::Pending, HostState::Terminating]);
    assert_eq!(host("index-0002").host.protection, Some(Protection::ScaleIn));
    assert_eq!(host("index-0001").launched_at, "2016-01-01T00:00:00Z".parse().ok());
    assert_eq!(host("index-0002").launched_at, None);
    assert_eq!(host("index-0003").host.tags["units"], *"2");
    assert!(scenario.pools["index"].launch_failure.is_some());
    assert_eq!(scenario.pools["index"].maximum, 9);
    assert_eq!(scenario.events[0].fail, ["index-0001".into()], "in order of time");
}

#[test]
fn an_error_names_line_and_the_nearest_key_or_name() {
    assert_eq!(
        told("[[hosts]]\npool = 'index'\ncuont = 3\nzones = ['a']\n"),
        "3: unknown field `cuont`, expected one of `pool`, `count`, `zones`, `tags`, `host_tags`, `instance_type`, \
         `unhealthy`, `doubtful`, `standby`, `pending`, `terminating`, `protected`, `group_minimum`, `group_maximum`, \
         `launched_at`, `launches_fail` (did you mean `count`?)"
    );
    assert_eq!(
        told_of_pool("unhealthy = ['index-0001',\n'index-004']"),
        "6: pool `index` has no host `index-004` (did you mean `index-0003`?)"
    );
    for id in ["index-1", "index-00001", "index-+001", "index-0000", "index-0004", "index", "idx-0001", "-0001"] {
        let message = told_of_pool(&format!("unhealthy = ['{id}']"));
        assert!(message.starts_with(&format!("5: pool `index` has no host `{id}`")), "{message}");
    }
    assert_eq!(told("clock = 'virtaul'"), "1: \"virtaul\" is no clock (did you mean `virtual`?)");
    assert_eq!(
        told_of_pool("[[events]]\nat = '1m'\nfail = ['indx-0002']"),
        "7: the fleet has no host `indx-0002` (did you mean `index-0002`?)"
    );
    assert_eq!(
        told(
            "[[load]]\nsubsystem = 'index'\ndemand = 1\nper_unit = 1\nlatency = 1\n[[events]]\nat = '1m'\n\
             demand = { subsystem = 'idnex', factor = 2 }"
        ),
        "8: subsystem `idnex` has no `[[load]]` (did you mean `index`?)"
    );
    assert!(told("clock = ").starts_with("1: "));
}

#[test]
fn what_contradicts_itself_or_means_nothing_is_refused() {
    for (text, words) in [
        (format!("{POOL}{POOL}"), "6: pool `index` is there twice"),
        (POOL.replace("index", "in dex"), "2: \"in dex\" is no name of a pool"),
        (POOL.replace("3", "-3"), "3: invalid value"),
        (POOL.replace("3", "9000000"), "3: more than 1000000 hosts"),
        (POOL.replace("[\"a\", \"b\"]", "[]"), "4: pool `index` is in no zone"),
        (
            format!("{POOL}standby = ['index-0001']\npending = ['index-0001']"),
            "6: host `index-0001` is in more than one",
        ),
        (format!("{POOL}unhealthy = ['index-0001', 'index-0001']"), "5: host `index-0001` is listed twice"),
        (
            format!("{POOL}group_minimum = 5\ngroup_maximum = 4"),
            "6: `group_maximum` is 4, below the group's minimum of 5",
        ),
        (format!("{POOL}group_maximum = 2"), "5: `group_maximum` is 2, below the group's 3 hosts in service"),
        (format!("{POOL}launched_at = 'yesterday'"), "5: `yesterday` is no time"),
        (format!("{POOL}launches_fail = 3"), "5: `launches_fail` cannot be 3"),
        (format!("{POOL}[[events]]\nat = '1m'"), "5: an event in which nothing happens"),
        (format!("{POOL}[[events]]\nat = '1.5m'\nfail = ['index-0001']"), "6: `1.5m` is no duration"),
        (format!("{POOL}[[events]]\nat = 'm'\nfail = ['index-0001']"), "6: `m` is no duration"),
        (
            format!("{POOL}[[events]]\nat = '1m'\nfail = ['index-0001']\nrecover = ['index-0001']"),
            "8: host `index-0001` fails and recovers at once",
        ),
        (
            format!("{POOL}unhealthy = ['index-0001']\ndoubtful = ['index-0002', 'index-0001']"),
            "6: host `index-0001` is both unhealthy and doubtful",
        ),
        (
            format!("{POOL}[[events]]\nat = '1m'\nfail = ['index-0001']\ndoubt = ['index-0001']"),
            "8: host `index-0001` fails and becomes doubtful at once",
        ),
        (
            format!("{POOL}[[events]]\nat = '1m'\ndoubt = ['index-0001']\nrecover = ['index-0001']"),
            "8: host `index-0001` becomes doubtful and recovers at once",
        ),
        ("clock = 0".to_owned(), "1: a clock's speed-up is"),
        ("clock = inf".to_owned(), "1: a clock's speed-up is"),
        ("[[load]]\nsubsystem = 'a'\ndemand = nan\nper_unit = 1\nlatency = 1".to_owned(), "3: `demand` is"),
        ("[[load]]\nsubsystem = 'a'\ndemand = 1\nper_unit = 0\nlatency = 1".to_owned(), "4: `per_unit` is a positive"),
        ("[[faults]]\ncall = 'cordon'\nerror = 'timeout'".to_owned(), "1: a fault has either"),
        ("[[faults]]\ncall = 'cordon'\nnth = 1\nevery = 1\nerror = 'timeout'".to_owned(), "1: a fault has either"),
        ("[[faults]]\ncall = 'cordon'\nevery = 0\nerror = 'timeout'".to_owned(), "3: calls are counted from 1"),
        ("[[faults]]\ncall = 'cordon'\nnth = 1\nerror = 'partial'".to_owned(), "4: only `observe` can be `partial`"),
        ("[[faults]]\ncall = 'terminate'\nnth = 1\nerror = 'stale'".to_owned(), "4: only `observe` can be `stale`"),
        ("[[faults]]\ncall = 'observe'\nnth = 1\nerror = 'lost_reply'".to_owned(), "4: unknown variant"),
        (format!("{POOL}[[events]]\nfail = ['index-0001']"), "5: an event that never happens (`at = \"5m\"` counts"),
        (format!("{POOL}[[events]]\nafter = {{}}\nfail = ['index-0001']"), "6: `after` waits for nothing (`cordoned`"),
        (
            format!("{POOL}[[events]]\nafter = {{ pool = 'index' }}\nfail = ['index-0001']"),
            "6: `after` waits for nothing (`cordoned`",
        ),
        (format!("{POOL}[[events]]\nafter = {{ cordoned = 0 }}\nfail = ['index-0001']"), "6: hosts are counted from 1"),
        (
            format!("{POOL}[[events]]\nafter = {{ cordoned = 2, terminated = 2 }}\nfail = ['index-0001']"),
            "6: `after` waits for 4 hosts of the fleet, of which at most 3 can be out of service at once",
        ),
        (
            format!(
                "{POOL}{}[[events]]\nafter = {{ pool = 'index', terminated = 4 }}\nfail = ['index-0001']",
                POOL.replace("index", "billing")
            ),
            "10: `after` waits for 4 hosts of pool `index`, of which at most 3 can be out of service at once",
        ),
        (
            format!("{POOL}group_minimum = 2\n[[events]]\nafter = {{ terminated = 2 }}\nfail = ['index-0001']"),
            "7: `after` waits for 2 hosts of the fleet, of which at most 1 can be out of service at once (`group_minimum`",
        ),
        (
            format!(
                "{POOL}terminating = ['index-0001']\nstandby = ['index-0002']\ngroup_minimum = 1\n\
                 [[events]]\nafter = {{ cordoned = 2 }}\nfail = ['index-0001']"
            ),
            "9: `after` waits for 2 hosts of the fleet, of which at most 1 can be out of service at once",
        ),
        (
            format!("{POOL}[[events]]\nafter = {{ pool = 'indx', terminated = 1 }}\nfail = ['index-0001']"),
            "6: the fleet has no pool `indx` (did you mean `index`?)",
        ),
        (
            format!("{POOL}[[events]]\nafter = {{ cordonned = 1 }}\nfail = ['index-0001']"),
            "6: unknown field `cordonned`, expected one of `pool`, `cordoned`, `terminated` (did you mean `cordoned`?)",
        ),
        (
            format!("{POOL}[[events]]\nafter = '1m'\nfail = ['index-0001']"),
            "6: invalid type: string \"1m\", expected a table such as `{ terminated = 2 }`",
        ),
    ] {
        let told = told(&text);
        assert!(told.starts_with(words), "{told}\nin {text}");
    }
}

#[test]
fn an_empty_pool_and_an_empty_scenario_are_legal() {
    assert!(Scenario::of("").hosts.iter().len() == 0);
    assert!(Scenario::of(&POOL.replace("3", "0")).hosts.iter().len() == 0);
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("scenario.toml");
    let missing = Scenario::read(&path).expect_err("missing").to_string();
    assert!(missing.ends_with("scenario.toml: there is no such scenario"), "{missing}");
    std::fs::write(&path, [0xff, 0xfe]).expect("written");
    let binary = Scenario::read(&path).expect_err("no text").to_string();
    assert!(binary.ends_with("the scenario is not UTF-8"), "{binary}");
}
