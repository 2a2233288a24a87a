//! The stages together: what loads, what is refused and how that is reported, and the shipped policies.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::fixtures::{BASE, FLEET, INDEX, PLAIN, policies, try_check};
use super::matching::Matcher;
use super::problem::render;
use super::*;
use crate::model::{SubsystemName, duration_text};

fn shipped() -> PolicySet {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    load(&directory).unwrap_or_else(|errors| panic!("{}", errors.render(PLAIN)))
}

#[test]
fn every_key_arrives_with_its_percentages_resolved() {
    let set = policies();
    let index = &set.subsystems["index"];
    assert_eq!((index.capacity.baseline, index.capacity.minimum), (90, 61), "66.7% of 90 is 60.03, rounded up");
    assert_eq!(index.pace.batch, BatchLimit::Units(4), "5% of 90 is 4.5, rounded down");
    assert_eq!(index.pace.budgets[1], Budget { hosts: 10, per: Duration::from_secs(86_400) });
    assert_eq!(index.capacity.minimum_per_zone.map(|m| m.units(90, 3)), Some(15));
    assert_eq!(index.windows.as_ref().map(|w| w.zone.as_str()), Some("Europe/London"));
    assert_eq!(index.confirm.unusual, Some(Decimal::new(25, 1)));
    let timeouts: Vec<_> = index.health.probes.iter().map(|probe| duration_text(probe.timeout)).collect();
    assert_eq!((timeouts[0].as_str(), timeouts[1..].iter().all(|of| of == "10s")), ("5s", true), "{timeouts:?}");
    assert_eq!(set.subsystems["base"].health.probes[0].timeout, Duration::from_secs(5), "`every`, where it is shorter");
    assert_eq!(set.fleet.ledger.offline_limit, Duration::from_secs(30));
    assert!(set.warnings.is_empty(), "{:?}", set.warnings);
}

#[test]
fn a_policy_reads_back_from_the_ledger_as_it_was() {
    for policy in policies().subsystems.values() {
        let kept = serde_json::to_string(policy).expect("written");
        let back: SubsystemPolicy = serde_json::from_str(&kept).expect("read");
        assert_eq!(back, *policy);
    }
}

/// A TOML file's content as JSON.
fn as_json(text: &str) -> serde_json::Value {
    serde_json::to_value(text.parse::<toml::Table>().expect("TOML")).expect("JSON")
}

#[test]
fn the_schema_accepts_what_loads_and_refuses_what_it_can_know() {
    let of = |file| jsonschema::validator_for(&schema(file)).expect("a schema");
    let (fleet, subsystem) = (of(PolicyFile::Fleet), of(PolicyFile::Subsystem));
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).expect("read");
    for text in [&read("fleet.toml"), FLEET] {
        fleet.validate(&as_json(text)).unwrap_or_else(|error| panic!("{error}"));
    }
    for text in [&read("index.toml"), &read("placement.toml"), &read("billing.toml"), INDEX, BASE] {
        subsystem.validate(&as_json(text)).unwrap_or_else(|error| panic!("{error}"));
        assert!(!fleet.is_valid(&as_json(text)));
    }
    for (was, is) in [
        ("minimum = 5", ""),
        ("minimum = 5", "minimum = -1"),
        ("minimum = 5", "minimum = \"5\""),
        ("minimum = 5", "minimum = 0.5"),
        ("minimum = 5", "minimun = 5"),
        ("bake = \"1m\"", "bake = \"1w\""),
        ("kind = \"tcp\"", "kind = \"udp\""),
        ("role = \"base\"", "role = []"),
        ("hosts = 2,", ""),
    ] {
        assert!(BASE.contains(was), "{was}");
        assert!(!subsystem.is_valid(&as_json(&BASE.replace(was, is))), "{was} -> {is}");
    }
}

#[test]
fn the_shipped_policies_load_without_a_warning() {
    let set = shipped();
    let names: Vec<_> = set.subsystems.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["billing", "index", "placement"]);
    assert!(set.warnings.is_empty(), "{:?}", set.warnings);
    let touched = [SubsystemName::from("index")].into();
    assert!(set.watched(&touched).contains("placement"), "placement depends on index");
}

/// The comments in the shipped scenario make promises; these are the numbers behind them.
#[test]
fn the_shipped_fleet_is_what_its_comments_say() {
    let set = shipped();
    let scenario = std::fs::read_to_string(set.directory.join("scenario.toml")).expect("read");
    let scenario = as_json(&scenario);
    let mut capacity: std::collections::BTreeMap<String, u64> = Default::default();
    let mut own: std::collections::BTreeMap<String, u64> = Default::default();
    for pool in scenario["hosts"].as_array().expect("pools") {
        let role = pool["tags"]["role"].as_str().expect("a role");
        let host = crate::model::Host {
            id: "a-1".into(),
            zone: "a".into(),
            group: Some(pool["pool"].as_str().expect("a name").into()),
            instance_type: "m6i.large".into(),
            tags: [("role", role)].into(),
            state: crate::model::HostState::InService,
            health: crate::model::Health::Healthy,
            launched_at: crate::model::Time::from_millis(0),
            protection: None,
            ledger: None,
            target_groups: Default::default(),
            address: None,
            target_health: Default::default(),
            obstacles: Vec::new(),
        };
        let served = set.matcher().membership(&host).subsystems;
        assert_eq!(served.iter().map(|name| name.as_str()).collect::<Vec<_>>(), {
            let mut named: Vec<_> = role.split('+').collect();
            named.sort_unstable();
            named
        });
        let count = pool["count"].as_u64().expect("a count");
        assert_eq!(count % 3, 0, "zones are even");
        for name in &served {
            *capacity.entry(name.to_string()).or_default() += count;
            if served.len() == 1 {
                *own.entry(name.to_string()).or_default() += count;
            }
        }
    }
    let headroom = |name: &str| capacity[name] - set.subsystems[name].capacity.minimum;
    for (name, policy) in &set.subsystems {
        assert_eq!(policy.capacity.baseline, capacity[name.as_str()], "{name} is at full strength");
    }
    assert_eq!((headroom("index"), headroom("placement"), headroom("billing")), (6, 6, 30));
    assert_eq!(own["billing"] + headroom("index") + headroom("placement"), 24, "what billing can lose");
    for load in scenario["load"].as_array().expect("loads") {
        let number = |key: &str| load[key].as_f64().expect("a number");
        let policy = &set.subsystems[load["subsystem"].as_str().expect("a name")];
        #[expect(clippy::cast_precision_loss, reason = "some dozen hosts")]
        let latency = |units: u64| number("latency") / (1.0 - number("demand") / (number("per_unit") * units as f64));
        // The minimum of placement is too low for its load, on purpose: the second batch of two is a regression.
        let least = if policy.name.as_str() == "placement" { 34 } else { policy.capacity.minimum };
        let (full, least) = (latency(policy.capacity.baseline), latency(least));
        assert!(full > 0.0 && least > full, "{}: busy, not overloaded, at its minimum", policy.name);
        let limits = policy.health.probes.iter().find(|probe| probe.name == "latency").expect("a probe").limits;
        assert!(limits.max.is_some_and(|max| least < max));
        if policy.name.as_str() == "placement" {
            assert!(limits.max.is_some_and(|max| latency(32) > max) && policy.capacity.minimum <= 32);
        }
        assert!(
            limits
                .max_increase
                .is_none_or(|percent| least < full * (1.0 + f64::try_from(percent).expect("small") / 100.0))
        );
    }
    let index = &set.subsystems["index"].pace;
    assert_eq!((index.max_hosts_per_run, index.batch), (6, BatchLimit::Hosts(2)), "three batches of two");
    assert!(index.budgets.iter().all(|budget| budget.hosts >= 6), "without waiting for a budget");
}

/// Each file in `invalid/` is one policy directory: `== NAME` begins a file in it, and `base.toml` and `fleet.toml` are
/// added if they are not given.
#[test]
fn invalid_policies_are_explained() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/policy/invalid");
    let mut names: Vec<_> =
        std::fs::read_dir(samples).expect("samples").map(|entry| entry.expect("a sample").path()).collect();
    names.sort();
    assert!(names.len() > 8, "{names:?}");
    for path in names {
        let text = std::fs::read_to_string(&path).expect("read");
        let mut files: Vec<(&str, &str)> = text
            .split("\n== ")
            .map(|part| part.strip_prefix("== ").unwrap_or(part).split_once('\n').expect("a name and a text"))
            .collect();
        for (name, text) in [("base.toml", BASE), ("fleet.toml", FLEET)] {
            if !files.iter().any(|(other, _)| *other == name) {
                files.push((name, text));
            }
        }
        files.sort_unstable();
        let errors = try_check(&files).map(|set| format!("{:?}", set.subsystems)).expect_err("invalid");
        let told = format!("{errors}\n\n{}", errors.render(PLAIN));
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(path.file_stem().expect("named").to_str().expect("utf-8"), told);
        });
    }
}

#[test]
fn what_is_legal_but_odd_is_a_warning_with_its_place() {
    let odd = BASE
        .replace("minimum = 5", "minimum = 0\nminimum_per_zone = 6\nzones = [\"a\", \"b\"]")
        .replace("budgets = [{ hosts = 2, per = \"1d\" }]", "budgets = []")
        .replace("every = \"5s\"", "every = \"2m\"")
        .replace("address = \"[::1]:443\"", "address = \"[::1]:443\"\nfailures = 3\ntimeout = \"3m\"");
    let lone = BASE
        .replace("name = \"base\"", "name = \"lone\"")
        .replace("minimum = 5", "minimum = 5\nzones = [\"a\"]\nsurvive_zone_loss = true")
        .split("[[health.probe]]")
        .next()
        .expect("text")
        .to_owned();
    let set = try_check(&[("fleet.toml", FLEET), ("base.toml", &odd), ("lone.toml", &lone)])
        .unwrap_or_else(|errors| panic!("{}", errors.render(PLAIN)));
    let told: Vec<_> = set.warnings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"));
    let drawn = render(&set.warnings[..1], PLAIN);
    assert!(drawn.contains("minimum = 0") && drawn.contains("no floor"), "{drawn}");
}

/// Each of these aborts what is harmless, or calls a dead source good.
#[test]
fn probes_that_mislead_are_warned_of() {
    let with = |probe: &str| {
        format!("{}[[health.probe]]\nname = \"a\"\n{probe}", BASE.split("[[health.probe]]").next().expect("text"))
    };
    let warnings = |probe: &str| {
        let set = try_check(&[("fleet.toml", FLEET), ("base.toml", &with(probe))])
            .unwrap_or_else(|errors| panic!("{}", errors.render(PLAIN)));
        set.warnings.iter().map(|warning| warning.message.clone()).collect::<Vec<_>>()
    };
    let simulated = "kind = \"simulated\"\nmetric = \"latency_ms\"\n";
    let noisy = "one noisy sample of probe `a` beyond a relative limit ends a run";
    assert_eq!(warnings(&format!("{simulated}max_increase = \"20%\"\nfailures = 1")), [noisy]);
    assert_eq!(warnings(&format!("{simulated}max_decrease = \"20%\"\nfailures = 1")), [noisy]);
    assert!(warnings(&format!("{simulated}max_increase = \"20%\"")).is_empty(), "the test allows for noise");
    assert!(warnings(&format!("{simulated}max_increase = \"20%\"\nfailures = 2")).is_empty());

    let metric = "kind = \"cloudwatch-metric\"\nnamespace = \"AWS/ApplicationELB\"\nmetric = \"RequestCount\"\n";
    let sum = format!("{metric}statistic = \"Sum\"\nperiod = \"30s\"\n");
    let dead = "probe `a` may read 0 when its source is dead, which is within its limit";
    assert_eq!(warnings(&format!("{sum}max = 5")), [dead]);
    assert!(warnings(&format!("{sum}min = 5")).is_empty());
    assert_eq!(warnings(&format!("{sum}min = 0\nmax = 5")), [dead]);
    let beside = "[[health.probe]]\nname = \"port\"\nkind = \"tcp\"\naddress = \"base:80\"\n";
    assert!(warnings(&format!("{sum}max = 5\n{beside}")).is_empty());
    let before = "[[health.probe]]\nname = \"port\"\nkind = \"tcp\"\naddress = \"base:80\"\nrole = \"precondition\"";
    assert_eq!(warnings(&format!("{sum}max = 5\n{before}")), [dead], "nobody looks during the bake");
    let average = format!("{metric}statistic = \"Average\"\nperiod = \"30s\"\nmax = 5\n");
    assert!(warnings(&average).is_empty());
    assert_eq!(warnings(&format!("{average}missing = \"zero\"")), [dead]);
    let slow = average.replace("30s", "60s");
    assert_eq!(warnings(&slow), ["a bake of 1m may end before one period of probe `a` lies within it"]);
    let late = "the newest period that is over is up to a whole period old: `max_age` is shorter";
    assert_eq!(warnings(&format!("{average}max_age = \"20s\"")), [late]);

    let prometheus =
        |query: &str| format!("kind = \"prometheus\"\nurl = \"http://prometheus\"\nquery = '{query}'\nmax = 5");
    assert_eq!(warnings(&prometheus("sum(rate(errors[2m]))")), [dead]);
    assert_eq!(warnings(&prometheus("sum(rate(errors[2m])) / sum(rate(requests[2m])) or vector(0)")), [dead]);
    assert!(warnings(&prometheus("sum(rate(errors[2m])) / sum(rate(requests[2m]))")).is_empty(), "0 of 0 is no number");
    assert!(warnings(&prometheus("latency_ms")).is_empty());
    let counts =
        prometheus("").replace("query = ''", "events = 'sum(increase(errors[1m]))'\nof = 'sum(increase(all[1m]))'");
    assert!(warnings(&counts).is_empty(), "0 of 0 is bad");
    assert!(warnings(&format!("{counts}\n[[health.probe]]\nname = \"b\"\n{sum}max = 5")).is_empty(), "which tells");
    let sums = sum.replace("metric = \"RequestCount\"", "events = \"Errors\"\nof = \"RequestCount\"");
    assert!(warnings(&format!("{sums}max = 0.5\nmissing = \"zero\"")).is_empty());

    assert_eq!(warnings(&prometheus("sum(rate(errors{path=\"/\"}[2m]))")), [dead], "the slash is a label's");
    assert_eq!(warnings(&prometheus("errors_total or on() vector(0)")), [dead]);
    assert_eq!(warnings(&format!("{sum}max_decrease = \"100%\"\nfailures = 2")), [dead], "0 is good by it");
    let all = "every probe is a precondition: nothing that is read during a bake aborts it";
    let tcp = "kind = \"tcp\"\naddress = \"base:80\"\nrole = \"precondition\"\nfailures = 50";
    assert_eq!(warnings(tcp), [all]);

    let open = "the value of the header `authorization` stands in the policy file";
    let http = "kind = \"http\"\nurl = \"http://base/\"\n";
    assert_eq!(warnings(&format!("{http}headers = {{ Authorization = \"Bearer abc\" }}")), [open]);
    assert!(warnings(&format!("{http}headers = {{ Accept = \"text/plain\" }}")).is_empty());
}

#[test]
fn what_is_in_force_can_be_shown() {
    insta::assert_snapshot!(show(&policies()).text());
    insta::assert_json_snapshot!(effective(&policies().subsystems["base"]));
}

/// What the two counts of a share become, of each kind that has them.
#[test]
fn events_and_of_stand_in_place_of_one_number() {
    let kind = |probe: &str| {
        let text = BASE.split("[[health.probe]]").next().expect("text");
        let text = format!("{text}[[health.probe]]\nname = \"a\"\nmax_increase = \"20%\"\n{probe}");
        let set = try_check(&[("fleet.toml", FLEET), ("base.toml", &text)]);
        let set = set.unwrap_or_else(|errors| panic!("{}", errors.render(PLAIN)));
        set.subsystems["base"].health.probes[0].clone()
    };
    let http = kind("kind = \"http\"\nurl = \"http://base/\"\nevents = \"/failed\"\nof = \"/all\"\nparse = \"string\"");
    let ProbeKind::Http(HttpProbe { pointer: Some(pointer), of: Some(of), .. }) = &http.kind else {
        panic!("{http:?}")
    };
    assert_eq!((pointer.as_str(), of.as_str(), http.shown_unit()), ("/failed", "/all", None), "no milliseconds");
    let metric = "kind = \"cloudwatch-metric\"\nnamespace = \"AWS/ApplicationELB\"\nperiod = \"10s\"\nevents = \"Bad\"\nof = \"All\"";
    for metric in [metric.to_owned(), format!("{metric}\nstatistic = \"Sum\"")] {
        let probe = kind(&metric);
        let ProbeKind::CloudwatchMetric(metric) = &probe.kind else { panic!("{probe:?}") };
        let CloudwatchMetricProbe { metric, of: Some(of), statistic, .. } = metric else { panic!("{probe:?}") };
        assert_eq!((metric.as_str(), of.as_str(), statistic.as_str()), ("Bad", "All", "Sum"));
    }
    let share = &policies().subsystems["index"].health.probes[10];
    let ProbeKind::Prometheus(PrometheusProbe { query, of: Some(of), .. }) = &share.kind else { panic!("{share:?}") };
    assert_eq!((query.as_str(), of.as_str()), ("sum(increase(failed[1m]))", "sum(increase(requests[1m]))"));
    assert!(share.is_tested());
}

#[test]
fn a_provider_on_aws_needs_region_and_account() {
    let aws = "name = \"prod\"\n[provider]\nkind = \"aws\"\nregion = \"us-east-1\"\naccount = \"123456789012\"\nsettle = \"1m\"\n\
               subsystem_tag = \"subsystems\"\n[ledger]\nkind = \"sqlite\"\npath = \"/var/lib/l.db\"\noffline_limit = \"1m\"\n";
    let set = try_check(&[("fleet.toml", aws), ("base.toml", BASE)]).expect("valid");
    assert!(matches!(&set.fleet.provider.kind, ProviderKind::Aws { account, .. } if account == "123456789012"));
    assert_eq!(set.warnings.len(), 1, "`settle` is short: {:?}", set.warnings);
    assert_eq!(set.fleet.ledger.kind, LedgerKind::Sqlite { path: "/var/lib/l.db".into() });
}

#[test]
fn fleet_and_ledger_may_be_in_other_accounts() {
    let fleet = |ledger: &str| {
        let role = "role_arn = \"arn:aws:iam::123456789012:role/ops/removes\"\nexternal_id = \"ours\"";
        let aws = format!("kind = \"aws\"\nregion = \"us-east-1\"\naccount = \"123456789012\"\n{role}");
        let fleet = format!("name = \"prod\"\n[provider]\n{aws}\n[ledger]\nkind = \"dynamodb\"\n{ledger}");
        try_check(&[("fleet.toml", &fleet), ("base.toml", BASE)]).expect("valid").fleet
    };
    let table = "arn:aws:dynamodb:eu-west-1:210987654321:table/safe-remove";
    let ledger = "arn:aws:iam::210987654321:role/ledger";
    let found = fleet(&format!("table = \"{table}\"\nrole_arn = \"{ledger}\""));
    let ProviderKind::Aws { role: Some(role), .. } = &found.provider.kind else { panic!("{found:?}") };
    assert_eq!(
        (role.arn.as_str(), role.external_id.as_deref()),
        ("arn:aws:iam::123456789012:role/ops/removes", Some("ours"))
    );
    let LedgerKind::Dynamodb(place) = &found.ledger.kind else { panic!("{found:?}") };
    assert_eq!((place.region.as_deref(), place.to_string()), (Some("eu-west-1"), format!("DynamoDB table {table}")));
    assert_eq!(place.role.as_ref().map(|role| role.arn.as_str()), Some(ledger));
}

#[test]
fn a_ledger_in_dynamodb_is_in_the_providers_region_where_no_other_is_named() {
    let fleet = |provider: &str, region: &str| {
        let fleet =
            format!("name = \"prod\"\n[provider]\n{provider}\n[ledger]\nkind = \"dynamodb\"\ntable = \"sr\"\n{region}");
        let fleet = fleet.replace("\"sr\"", "\"safe-remove\"");
        let set = try_check(&[("fleet.toml", &fleet), ("base.toml", BASE)]).expect("valid");
        match set.fleet.ledger.kind {
            LedgerKind::Dynamodb(place) => place.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let aws = "kind = \"aws\"\nregion = \"us-east-1\"\naccount = \"123456789012\"";
    let simulated = "kind = \"simulated\"\nscenario = \"s.toml\"\nstate = \"s.json\"";
    assert_eq!(fleet(aws, ""), "DynamoDB table safe-remove in us-east-1");
    assert_eq!(fleet(aws, "region = \"eu-west-1\""), "DynamoDB table safe-remove in eu-west-1");
    assert_eq!(fleet(simulated, ""), "DynamoDB table safe-remove");
}

#[test]
fn a_ledger_in_etcd_has_endpoints_and_files_beside_the_policy() {
    let fleet = |ledger: &str| {
        let fleet = FLEET.split("[ledger]").next().expect("a text").to_owned() + "[ledger]\nkind = \"etcd\"\n" + ledger;
        try_check(&[("fleet.toml", &fleet), ("base.toml", BASE)]).expect("valid")
    };
    let set = fleet("endpoints = [\"http://localhost:2379/\"]\n");
    let place = |endpoint: &str| EtcdPlace {
        endpoints: vec![endpoint.to_owned()],
        prefix: "/safe-remove".to_owned(),
        ca: None,
        identity: None,
        attempt: std::time::Duration::from_millis(1500),
    };
    assert_eq!(set.fleet.ledger.kind, LedgerKind::Etcd(place("http://localhost:2379")));
    assert!(set.warnings.is_empty(), "{:?}", set.warnings);
    let set = fleet("endpoints = [\"http://etcd:2379\"]\n");
    assert!(set.warnings[0].message.contains("without TLS"), "{:?}", set.warnings);

    let set = fleet(
        "endpoints = [\"https://etcd:2379\"]\nprefix = \"/ours/\"\nca = \"/etc/ca.pem\"\ncert = \"c.pem\"\nkey = \"k.pem\"\n",
    );
    let beside = |file: &str| set.directory.join(file);
    let secure = EtcdPlace {
        prefix: "/ours".to_owned(),
        ca: Some("/etc/ca.pem".into()),
        identity: Some((beside("c.pem"), beside("k.pem"))),
        ..place("https://etcd:2379")
    };
    assert_eq!(set.fleet.ledger.kind, LedgerKind::Etcd(secure));
    assert!(show(&set).ledger.starts_with("etcd /ours at https://etcd:2379, "), "{}", show(&set).ledger);
}

/// Who gives a run more time without its ledger gives each call more, within bounds.
#[test]
fn a_call_may_take_a_twentieth_of_the_time_without_a_ledger() {
    for (offline_limit, expected) in [("10s", 1500), ("30s", 1500), ("2m", 6000), ("1h", 10_000)] {
        let ledger = format!("[ledger]\nkind = \"dynamodb\"\ntable = \"ours\"\noffline_limit = \"{offline_limit}\"\n");
        let fleet = FLEET.split("[ledger]").next().expect("a text").to_owned() + &ledger;
        let set = try_check(&[("fleet.toml", &fleet), ("base.toml", BASE)]).expect("valid");
        let LedgerKind::Dynamodb(place) = &set.fleet.ledger.kind else { panic!("{:?}", set.fleet.ledger) };
        assert_eq!(place.attempt, std::time::Duration::from_millis(expected), "{offline_limit}");
    }
}

/// Every mutation of a text that needs no knowledge of its meaning.
fn mutated(text: &str, at: f64, kind: u8, with: &str) -> String {
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place")]
    let place = places[((places.len() as f64 * at) as usize).min(places.len() - 1)];
    let (head, tail) = text.split_at(place);
    let line_end = tail.find('\n').map_or(tail.len(), |end| end + 1);
    match kind {
        0 => head.to_owned(),
        1 => format!("{head}{with}{tail}"),
        2 => format!("{head}{}", &tail[line_end..]),
        3 => format!("{head}{tail}\n{}", &tail[..line_end]),
        4 => format!("{head}{}", tail.replacen(|c: char| c.is_ascii_digit(), with, 1)),
        _ => tail.to_owned(),
    }
}

proptest! {
    #[test]
    fn a_limit_reads_back_from_the_ledger_to_the_last_bit(max in prop::num::f64::NORMAL) {
        let mut policy = policies().subsystems["index"].clone();
        policy.health.probes[0].limits.max = Some(max);
        let back: SubsystemPolicy = serde_json::from_str(&serde_json::to_string(&policy).expect("written")).expect("read");
        prop_assert_eq!(back, policy);
    }

    #[test]
    fn s3_no_mutated_file_panics_and_none_is_explained_without_a_place(
        mutations in prop::collection::vec(
            (0_usize..3, 0.0_f64..1.0, 0_u8..6, prop_oneof![
                Just("\""), Just("["), Just("[["), Just("="), Just("0"), Just("9999999999999999999"), Just("-1"),
                Just("nan"), Just("\"100.1%\""), Just("{"), Just("\n[health]\n"), Just("é"), Just("\u{1b}"), Just("x = 1\n"),
                Just("#"), Just("\r\n"), Just("true"), Just("[]"), Just("\"\""), Just("1e999"), Just("2026-01-01"),
            ]),
            1..4,
        ),
    ) {
        let mut files = [BASE.to_owned(), FLEET.to_owned(), INDEX.to_owned()];
        for (file, at, kind, with) in mutations {
            files[file] = mutated(&files[file], at, kind, with);
            files[file].push('\n');
        }
        let texts = [("base.toml", &*files[0]), ("fleet.toml", &*files[1]), ("index.toml", &*files[2])];
        match try_check(&texts) {
            Ok(set) => {
                for policy in set.subsystems.values() {
                    prop_assert!(policy.capacity.minimum <= policy.capacity.baseline);
                    prop_assert!(!policy.health.bake.is_zero() && !policy.health.every.is_zero());
                    prop_assert!(loosened(policy, policy).is_empty());
                }
                prop_assert!(Matcher::new(set.subsystems.values()).is_ok(), "what loads can be matched");
                let _ = show(&set).text();
            }
            Err(errors) => {
                prop_assert!(!errors.problems.is_empty());
                let drawn = errors.render(PLAIN);
                prop_assert_eq!(drawn.find('\u{1b}'), None);
                prop_assert!(errors.problems.iter().all(|problem| problem.place().is_some()), "{drawn}");
            }
        }
    }
}
