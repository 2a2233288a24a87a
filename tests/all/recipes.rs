//! The recipes of docs/recipes, as hooks are called: each against a stand-in that answers as the real system does.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A recipe, with the system that stands in for the real one.
struct Recipe {
    name: &'static str,
    arguments: Vec<String>,
    folder: TempDir,
}

impl Recipe {
    /// With these commands in front of the `PATH`, in this state.
    fn new(name: &'static str, arguments: &[&str], commands: &[&str], state: &Value) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let stand_in = project().join("tests/stand_ins/command.py");
        for command in commands {
            std::os::unix::fs::symlink(&stand_in, folder.path().join(command)).expect("a link");
        }
        std::fs::write(folder.path().join("state.json"), state.to_string()).expect("a file");
        Self { name, arguments: arguments.iter().map(|text| (*text).to_owned()).collect(), folder }
    }

    fn state(&self) -> Value {
        let text = std::fs::read_to_string(self.folder.path().join("state.json")).expect("it is there");
        serde_json::from_str(&text).expect("JSON")
    }

    fn change(&self, change: impl Fn(&mut Value)) {
        let mut state = self.state();
        change(&mut state);
        std::fs::write(self.folder.path().join("state.json"), state.to_string()).expect("a file");
    }

    /// Its answer about the host 10.0.0.1.
    fn answers(&self, on: &str) -> Value {
        let path = format!("{}:{}", self.folder.path().display(), std::env::var("PATH").unwrap_or_default());
        let mut child = Command::new(python())
            .arg(project().join("docs/recipes").join(self.name))
            .args(&self.arguments)
            .env("PATH", path)
            .env("STAND_IN", self.folder.path().join("state.json"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts: python3 is needed");
        let text = document(on).to_string();
        child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{on}: {stderr}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{on}: {error}: {stderr}"))
    }

    #[track_caller]
    fn waits(&self, on: &str, why: &str) {
        let answer = self.answers(on);
        assert_eq!(answer["answer"], "wait", "{answer}");
        assert!(answer["reason"].as_str().is_some_and(|reason| reason.contains(why)), "{answer}");
    }

    #[track_caller]
    fn denies(&self, on: &str, why: &str) {
        let answer = self.answers(on);
        assert_eq!(answer["answer"], "deny", "{answer}");
        assert!(answer["reason"].as_str().is_some_and(|reason| reason.contains(why)), "{answer}");
    }

    #[track_caller]
    fn allows(&self, on: &str) {
        assert_eq!(self.answers(on), json!({ "answer": "allow" }), "{on}");
    }
}

/// The interpreter itself: a launcher in front of it may put commands of its own before those of the test.
fn python() -> String {
    let asked = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    let output = asked.expect("python3 is needed");
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn document(on: &str) -> Value {
    let tags = json!({ "role": "index", "broker-id": "1", "ceph-host": "storage-1" });
    json!({
        "schema": "safe-remove/hook/v1", "on": on, "fleet": "demo", "run": "r-1", "subsystem": "index", "batch": 1,
        "hosts": [{ "id": "i-0001", "zone": "us-east-1a", "address": "10.0.0.1", "group": "index", "tags": tags }],
        "attempt": 1,
    })
}

#[test]
fn nodes_of_kubernetes_are_drained_when_the_budgets_of_their_pods_allow_it() {
    let node = |instance: &str, address: &str| json!({ "instance": instance, "address": address, "cordoned": false, "pods": 3, "budgets": 1 });
    let state = json!({ "nodes": { "one": node("i-0001", "10.0.0.1"), "two": node("i-0002", "10.0.0.2") } });
    let recipe = Recipe::new("kubernetes", &[], &["kubectl"], &state);
    recipe.waits("drain", "one still has pods");
    recipe.allows("drain");
    let nodes = &recipe.state()["nodes"];
    assert_eq!((&nodes["one"]["pods"], &nodes["one"]["cordoned"]), (&0.into(), &true.into()));
    assert_eq!((&nodes["two"]["pods"], &nodes["two"]["cordoned"]), (&3.into(), &false.into()));
    recipe.allows("undrain");
    assert_eq!(recipe.state()["nodes"]["one"]["cordoned"], false);
}

#[test]
fn container_instances_of_ecs_are_drained_of_their_tasks() {
    let instance =
        |id: &str| json!({ "ec2InstanceId": id, "status": "ACTIVE", "runningTasksCount": 1, "pendingTasksCount": 0 });
    let state = json!({ "cluster": "web", "instances": { "arn:1": instance("i-0001"), "arn:2": instance("i-0002") } });
    let recipe = Recipe::new("ecs", &["web"], &["aws"], &state);
    recipe.waits("drain", "1 tasks still run");
    recipe.allows("drain");
    let status = |arn: &str| recipe.state()["instances"][arn]["status"].clone();
    assert_eq!((status("arn:1"), status("arn:2")), ("DRAINING".into(), "ACTIVE".into()));
    recipe.allows("undrain");
    assert_eq!(status("arn:1"), "ACTIVE");
    recipe.change(|state| state["instances"] = json!({}));
    recipe.allows("drain");
}

/// A server that ends with its test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn nodes_of_elasticsearch_lose_their_shards_and_no_exclusion_of_others() {
    let script = project().join("tests/stand_ins/elasticsearch.py");
    let mut server = Server(Command::new(script).stdout(Stdio::piped()).spawn().expect("it starts: python3 is needed"));
    let mut port = String::new();
    BufReader::new(server.0.stdout.take().expect("a pipe")).read_line(&mut port).expect("a port");
    let cluster = format!("http://127.0.0.1:{}", port.trim());
    let recipe = Recipe::new("elasticsearch", &[&cluster], &[], &Value::Null);
    recipe.waits("consult", "the cluster is yellow");
    recipe.allows("consult");
    recipe.waits("drain", "2 shards are still there");
    recipe.waits("drain", "1 shards are still there");
    recipe.allows("drain");
    let settings = || {
        let text = ureq::get(format!("{cluster}/_cluster/settings?flat_settings=true")).call().expect("an answer");
        let settings: Value = serde_json::from_reader(text.into_body().into_reader()).expect("JSON");
        settings["persistent"]["cluster.routing.allocation.exclude._ip"].clone()
    };
    assert_eq!(settings(), "10.0.0.1,10.9.9.9", "what others exclude stays");
    recipe.allows("undrain");
    assert_eq!(settings(), "10.9.9.9");
    recipe.allows("undrain");
}

#[test]
fn brokers_of_kafka_go_when_every_partition_is_whole_and_none_is_on_them() {
    let state = json!({ "at-min": ["orders"], "under-replicated": ["orders"], "partitions": { "1": 2, "2": 5 } });
    let recipe = Recipe::new("kafka", &["kafka:9092"], &["kafka-topics.sh", "kafka-log-dirs.sh"], &state);
    recipe.denies("consult", "at its minimum of replicas: Topic: orders");
    recipe.change(|state| state["at-min"] = json!([]));
    recipe.waits("consult", "1 partitions are behind");
    recipe.change(|state| state["under-replicated"] = json!([]));
    recipe.allows("consult");
    recipe.waits("drain", "2 partitions are still on the batch");
    recipe.change(|state| state["partitions"]["1"] = json!(0));
    recipe.allows("drain");
}

#[test]
fn nodes_of_cockroachdb_are_decommissioned_and_recommissioned() {
    let node = |address: &str, replicas: &str, short: &str| json!({ "address": address, "replicas": replicas, "membership": "active", "ranges_underreplicated": short, "ranges_unavailable": "0" });
    let state = json!({ "nodes": { "1": node("10.0.0.1:26257", "15", "1"), "2": node("10.0.0.2:26257", "30", "0") } });
    let recipe = Recipe::new("cockroachdb", &[], &["cockroach"], &state);
    recipe.waits("consult", "1 ranges lack replicas");
    recipe.change(|state| state["nodes"]["1"]["ranges_underreplicated"] = json!("0"));
    recipe.allows("consult");
    recipe.waits("drain", "5 replicas are still on the batch");
    recipe.allows("drain");
    let membership = |id: &str| recipe.state()["nodes"][id]["membership"].clone();
    assert_eq!((membership("1"), membership("2")), ("decommissioning".into(), "active".into()));
    recipe.allows("undrain");
    assert_eq!(membership("1"), "active");
    recipe.change(|state| _ = state["nodes"].as_object_mut().expect("nodes").remove("1"));
    recipe.denies("drain", "none of the hosts is a node of the cluster");
}

#[test]
fn hosts_of_ceph_go_when_no_data_depends_on_their_osds() {
    let state = json!({ "hosts": { "storage-1": ["0", "1"] }, "degraded": true, "empty": [], "out": ["7"] });
    let recipe = Recipe::new("ceph", &[], &["ceph"], &state);
    recipe.denies("consult", "unsafe to stop osd(s)");
    recipe.change(|state| state["degraded"] = json!(false));
    recipe.allows("consult");
    recipe.waits("drain", "have 12 pgs currently mapped to them");
    recipe.allows("drain");
    assert_eq!(recipe.state()["out"], json!(["0", "1", "7"]));
    recipe.allows("undrain");
    assert_eq!(recipe.state()["out"], json!(["7"]));
}

#[test]
fn a_replica_goes_where_enough_others_follow_and_a_primary_never() {
    let state = json!({ "primary": "10.0.0.9", "streaming": ["10.0.0.1", "10.0.0.2"] });
    let recipe = Recipe::new("postgresql-replica", &["10.0.0.9", "2"], &["psql"], &state);
    recipe.denies("consult", "1 other replicas stream, 2 must");
    recipe.change(|state| state["streaming"] = json!(["10.0.0.1", "10.0.0.2", "10.0.0.3"]));
    recipe.allows("consult");
    let primary = Recipe::new("postgresql-replica", &["10.0.0.1", "0"], &["psql"], &state);
    primary.denies("consult", "i-0001 is no replica");
    // Failed over, and the policy still names the old one.
    recipe.change(|state| state["primary"] = json!("10.0.0.1"));
    recipe.denies("consult", "i-0001 is no replica");
}

/// Every recipe is one of a policy that is valid.
#[test]
fn the_readme_of_the_recipes_shows_each_in_a_policy() {
    let readme = std::fs::read_to_string(project().join("docs/recipes/README.md")).expect("a README");
    for file in std::fs::read_dir(project().join("docs/recipes")).expect("a folder") {
        let file = file.expect("an entry");
        let name = file.file_name().into_string().expect("UTF-8");
        let mode = file.metadata().expect("a file").permissions().mode();
        assert_eq!(mode & 0o111 != 0, name != "README.md", "{name} can be executed");
        assert!(name == "README.md" || readme.contains(&format!("`{name}`")), "{name} is not in the README");
    }
}
