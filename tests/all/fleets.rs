//! Fleets for the stories: small, with round numbers, in the shape of the outage that this tool answers.

use crate::environment::{START, TestEnvironment};

/// `fleet.toml` of the simulated fleets: its state and its ledger are in `state`, beside the directory.
pub(crate) const FLEET_TOML: &str = r#"name = "demo"
[provider]
kind = "simulated"
scenario = "scenario.toml"
state = "../state/fleet.json"
[ledger]
kind = "sqlite"
path = "../state/ledger.db"
"#;

/// Knobs of the fixture; everything else is fixed.
pub(crate) struct Fleet {
    /// `clock` of the scenario.
    pub(crate) clock: &'static str,
    /// Appended to the scenario.
    pub(crate) events: String,
    /// `minimum` of index, of 18 units.
    pub(crate) index_minimum: u64,
    /// `budgets` of index.
    pub(crate) budgets: &'static str,
}

impl Default for Fleet {
    fn default() -> Self {
        Self {
            clock: "\"virtual\"",
            events: String::new(),
            index_minimum: 16,
            budgets: "[{ hosts = 12, per = \"24h\" }]",
        }
    }
}

impl Fleet {
    /// The same with bakes of six seconds and intervals of one, for the real clock.
    pub(crate) fn write_quick(&self, environment: &TestEnvironment) {
        self.write(environment);
        for name in ["index", "placement", "billing"] {
            let path = format!("policies/{name}.toml");
            let policy = std::fs::read_to_string(environment.path().join(&path)).expect("a policy");
            let quick = policy
                .replace("interval = \"2m\"", "interval = \"1s\"")
                .replace("bake = \"1m\"", "bake = \"6s\"")
                .replace("every = \"10s\"", "every = \"1s\"");
            environment.write(&path, &quick);
        }
    }

    /// Writes policies and scenario: `index` (18 hosts, 6 of them serve billing too), `placement` (12 hosts, 6 of them
    /// serve billing too; needs index) and `billing` (24 hosts). Every host counts for one unit.
    pub(crate) fn write(&self, environment: &TestEnvironment) {
        environment.write("policies/fleet.toml", FLEET_TOML);
        environment.write(
            "policies/scenario.toml",
            &format!(
                r#"clock = {clock}
start = "{START}"
seed = 7
[[hosts]]
pool = "index"
count = 12
zones = ["a", "b", "c"]
tags = {{ role = "index" }}
instance_type = "m6i.large"
[[hosts]]
pool = "billing"
count = 12
zones = ["a", "b", "c"]
tags = {{ role = "billing" }}
instance_type = "m6i.large"
[[hosts]]
pool = "index-billing"
count = 6
zones = ["a", "b", "c"]
tags = {{ role = "index-billing" }}
instance_type = "m6i.large"
[[hosts]]
pool = "placement"
count = 6
zones = ["a", "b", "c"]
tags = {{ role = "placement" }}
instance_type = "m6i.large"
[[hosts]]
pool = "placement-billing"
count = 6
zones = ["a", "b", "c"]
tags = {{ role = "placement-billing" }}
instance_type = "m6i.large"
[[load]]
subsystem = "index"
demand = 60.0
per_unit = 10.0
latency = 20.0
{events}"#,
                clock = self.clock,
                events = self.events,
            ),
        );
        environment.write(
            "policies/index.toml",
            &subsystem("index", r#"["index", "index-billing"]"#, "[]", 18, self.index_minimum, self.budgets),
        );
        environment.write(
            "policies/placement.toml",
            &subsystem("placement", r#"["placement", "placement-billing"]"#, r#"["index"]"#, 12, 11, self.budgets),
        );
        environment.write(
            "policies/billing.toml",
            &subsystem(
                "billing",
                r#"["billing", "index-billing", "placement-billing"]"#,
                "[]",
                24,
                4,
                r#"[{ hosts = 24, per = "24h" }]"#,
            ),
        );
    }
}

pub(crate) fn subsystem(
    name: &str,
    roles: &str,
    depends_on: &str,
    baseline: u64,
    minimum: u64,
    budgets: &str,
) -> String {
    format!(
        r#"name = "{name}"
depends_on = {depends_on}
[hosts]
tags = {{ role = {roles} }}
[capacity]
baseline = {baseline}
minimum = {minimum}
[pace]
max_hosts_per_run = 24
batch = 2
interval = "2m"
budgets = {budgets}
[health]
bake = "1m"
every = "10s"
[[health.probe]]
name = "errors"
kind = "simulated"
metric = "error_rate"
max = 0.01
[confirm]
unattended_max = 24
"#
    )
}
