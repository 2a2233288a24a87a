//! The AWS API server of the tests: one per test binary, on a free port of 127.0.0.1.
//!
//! It is moto behind the project's own launcher (tests/moto/README.md), in a virtual environment below
//! `target/` that is made once. It ends when its standard input closes, that is with this process, also
//! when that panics or is killed. Missing Python is a failed test, never a skipped one.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::{Value, json};

use super::python::environment;
use super::tmp;

static SERVER: OnceLock<Server> = OnceLock::new();
static TURN: Mutex<()> = Mutex::new(());

struct Server {
    url: String,
    /// Kept: its standard input is what keeps the server alive.
    _child: Child,
}

/// An empty AWS, for one test at a time: faults and clocks are the whole server's.
pub(crate) struct Moto {
    url: &'static str,
    _turn: MutexGuard<'static, ()>,
}

/// Waits for this test's turn and empties the server.
pub(crate) fn moto() -> Moto {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let moto = Moto { url: &SERVER.get_or_init(start).url, _turn: turn };
    moto.post("reset", &json!({}));
    moto
}

impl Moto {
    /// Where it listens.
    pub(crate) fn url(&self) -> &'static str {
        self.url
    }

    /// What goes wrong from now on: a list of faults.
    pub(crate) fn faults(&self, faults: &Value) {
        self.post("faults", faults);
    }

    /// How the server behaves from now on.
    pub(crate) fn set(&self, settings: &Value) {
        self.post("settings", settings);
    }

    /// Everything that is under way is over: launches, drains, transitions.
    pub(crate) fn settle(&self) {
        self.post("settle", &json!({}));
    }

    /// How often the action was called since this test began.
    pub(crate) fn calls(&self, action: &str) -> usize {
        self.parameters(action).len()
    }

    /// The parameters of every call of the action since this test began, refused ones included.
    pub(crate) fn parameters(&self, action: &str) -> Vec<Value> {
        let mut answer = ureq::get(format!("{}/lab/calls", self.url)).call().expect("the list of calls");
        let calls = answer.body_mut().with_config().limit(1 << 30).read_to_string().expect("the list of calls");
        let calls: Vec<(String, String, Value)> = serde_json::from_str(&calls).expect("service, action, parameters");
        calls.into_iter().filter(|(_, called, _)| called == action).map(|(_, _, parameters)| parameters).collect()
    }

    /// Every call since the last time they were taken, with `service`, `action`, `access_key`, `time` (seconds since 1970) and
    /// `status`.
    pub(crate) fn take_calls(&self) -> Vec<Value> {
        let calls = self.calls_in_full();
        ureq::delete(format!("{}/lab/calls", self.url)).call().expect("the list is emptied");
        calls
    }

    /// The same, and they stay.
    pub(crate) fn calls_in_full(&self) -> Vec<Value> {
        let mut answer = ureq::get(format!("{}/lab/calls?full=1", self.url)).call().expect("the list of calls");
        let calls = answer.body_mut().with_config().limit(1 << 30).read_to_string().expect("the list of calls");
        serde_json::from_str(&calls).expect("objects")
    }

    /// Builds a fleet from one document, settled; the answer holds its ids (tests/moto/README.md).
    pub(crate) fn fixture(&self, fleet: &Value) -> Value {
        serde_json::from_str(&self.post("fixture", fleet)).expect("the fixture's ids")
    }

    /// Posts to one of the launcher's own endpoints.
    pub(crate) fn post(&self, endpoint: &str, body: &Value) -> String {
        let mut answer = ureq::post(format!("{}/lab/{endpoint}", self.url))
            .content_type("application/json")
            .send(body.to_string())
            .unwrap_or_else(|error| panic!("POST /lab/{endpoint} {body}: {error}"));
        answer.body_mut().read_to_string().expect("an answer")
    }
}

fn start() -> Server {
    let launcher = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/moto");
    let mut child = Command::new(environment("aws-server", &launcher.join("requirements.txt")).join("python"))
        .arg(launcher.join("server.py"))
        .args(["--port", "0", "--until-stdin-closes"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::from(File::create(tmp().join("aws-server.log")).expect("a log below target/")))
        .spawn()
        .expect("the AWS API server starts");
    let stdout = child.stdout.take().expect("piped");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).expect("the server says where it listens");
    let address = line.trim().strip_prefix("listening ").unwrap_or_else(|| {
        let log = fs::read_to_string(tmp().join("aws-server.log")).unwrap_or_default();
        panic!("the AWS API server did not start: it says {line:?}\n{log}")
    });
    Server { url: format!("http://{address}"), _child: child }
}
