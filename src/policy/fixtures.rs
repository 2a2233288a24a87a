//! Policies for the tests of this module, built by the checks themselves.

use std::path::Path;

use super::check::{PolicyText, check};
use super::problem::{Look, PolicyErrors};
use super::types::{PolicySet, ProbeSpec, SubsystemPolicy};

pub(super) const FLEET: &str = r#"
name = "demo"
[provider]
kind = "simulated"
scenario = "scenario.toml"
state = "../.safe-remove/fleet.json"
[ledger]
kind = "sqlite"
path = "../.safe-remove/ledger.db"
"#;

/// Every key that a subsystem can have.
pub(super) const INDEX: &str = r#"
name = "index"
description = "Locates every object"
owner = "storage-index"
depends_on = ["base"]
[hosts]
tags = { role = ["index", "index-*"] }
auto_scaling_groups = ["index-*"]
never = { tags = { keep = ["true"] } }
[capacity]
baseline = 90
minimum = "66.7%"
minimum_per_zone = "50%"
zones = ["a", "b", "c"]
survive_zone_loss = true
provider_floor = "required"
units = { instance_type = { "m6i.large" = 1, "m6i.xlarge" = 2 } }
[pace]
max_hosts_per_run = 6
batch = "5%"
interval = "5m"
ramp = true
max_unserving = "20%"
zones_per_batch = 2
requires_launch = true
budgets = [{ hosts = 4, per = "1h" }, { hosts = "12%", per = "24h" }]
[health]
bake = "3m"
every = "10s"
reference = "2m"
bake_max = "10m"
false_abort = "2%"
missed_harm = "0.5%"
[[health.probe]]
name = "errors"
kind = "simulated"
metric = "error_rate"
min = 0.0
max = 0.01
max_increase = "20%"
max_decrease = "90%"
failures = 2
unit = "share"
timeout = "5s"
[[health.probe]]
name = "front"
kind = "http"
url = "https://index.internal/health"
expect_status = [200, 204]
pointer = "/load"
parse = "string"
headers = { Authorization = { file = "token", scheme = "Bearer" }, X-Team = "index", X-Key = { env = "KEY" } }
max_age = "90s"
max = 7
[[health.probe]]
name = "port"
kind = "tcp"
address = "index.internal:443"
[[health.probe]]
name = "check"
kind = "exec"
command = ["./check-index", "--quick"]
[[health.probe]]
name = "page"
kind = "http"
url = "https://somebody:secret@index.internal/?key=secret"
method = "HEAD"
redirects = 2
[[health.probe]]
name = "deploys"
kind = "prometheus"
url = "https://prometheus.internal"
query = "max(deploys_running)"
max = 0
role = "precondition"
[[health.probe]]
name = "alarm"
kind = "cloudwatch-alarm"
alarm = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:index"
region = "us-east-1"
[[health.probe]]
name = "fails"
kind = "cloudwatch-metric"
namespace = "AWS/ApplicationELB"
metric = "HTTPCode_Target_5XX_Count"
dimensions = { LoadBalancer = "app/index/0123456789abcdef" }
statistic = "Sum"
period = "60s"
missing = "zero"
region = "us-east-1"
max = 10
[[health.probe]]
name = "targets"
kind = "target-group"
arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/index/0123456789abcdef"
min = 0.9
[[health.probe]]
name = "latency"
kind = "simulated"
metric = "latency_ms"
max_increase = "50%"
[[health.probe]]
name = "share"
kind = "prometheus"
url = "https://prometheus.internal"
events = "sum(increase(failed[1m]))"
of = "sum(increase(requests[1m]))"
max_increase = "50%"
[[hooks]]
name = "brokers"
on = "consult"
kind = "exec"
command = ["./ask-brokers", "--all"]
timeout = "20s"
[[hooks]]
name = "drain"
on = "drain"
kind = "http"
url = "https://index.internal/drain?key=secret"
headers = { Authorization = { file = "token", scheme = "Bearer" } }
[[hooks]]
name = "undrain"
on = "undrain"
kind = "exec"
command = ["undrain"]
[confirm]
unattended_max = 2
require_reason = true
unusual = 2.5
between_batches = true
answer_within = "10m"
approvals = [{ above = 5, count = 1 }]
[windows]
zone = "europe/london"
allow = ["Mon-Thu 09:00-16:00", "Fri 22:00-02:00"]
freeze = [{ from = "2026-12-20", to = "2027-01-03", why = "year end" }]
"#;

pub(super) const BASE: &str = r#"
name = "base"
[hosts]
tags = { role = "base" }
[capacity]
baseline = 10
minimum = 5
[pace]
max_hosts_per_run = 2
batch = 1
interval = "0s"
budgets = [{ hosts = 2, per = "1d" }]
[health]
bake = "1m"
every = "5s"
[[health.probe]]
name = "port"
kind = "tcp"
address = "[::1]:443"
"#;

pub(super) fn texts(files: &[(&str, &str)]) -> Vec<PolicyText> {
    files.iter().map(|(name, text)| PolicyText { name: (*name).to_owned(), text: Ok((*text).to_owned()) }).collect()
}

pub(super) fn try_check(files: &[(&str, &str)]) -> Result<PolicySet, PolicyErrors> {
    check(Path::new("policies"), &texts(files), Vec::new())
}

pub(super) fn policies() -> PolicySet {
    let files = [("base.toml", BASE), ("fleet.toml", FLEET), ("index.toml", INDEX)];
    try_check(&files).unwrap_or_else(|errors| panic!("{}", errors.render(PLAIN)))
}

/// `index`, with every key.
pub(super) fn subsystem() -> SubsystemPolicy {
    policies().subsystems["index"].clone()
}

pub(super) fn probe() -> ProbeSpec {
    subsystem().health.probes[0].clone()
}

pub(super) const PLAIN: Look = Look { color: false, unicode: false, width: 100 };
