//! Real etcd clusters on free ports of 127.0.0.1, each member a process of Debian's `etcd-server`.
//!
//! Found on PATH; else unpacked below `target/` from Debian's package, which needs no root. A member ends with this
//! process, also when that panics or is killed. No etcd is a failed test, never a skipped one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::debian::{Packages, run};
use super::tmp;
use super::watched::{Watched, ports};

const ETCD: Packages = Packages {
    home: "etcd-server",
    // The version that the tests were written with.
    names: &["etcd-server=3.4.23-4+b4"],
    hint: "the tests of the etcd ledger need etcd 3.4 or later: as root, `apt-get install etcd-server`, or put `etcd` on \
           PATH. Without root they unpack Debian's package themselves, which needs apt-get, dpkg-deb and Debian's mirror \
           for the first run",
};

/// Members that know each other.
pub(crate) struct EtcdCluster {
    pub(crate) endpoints: Vec<String>,
    members: Vec<Option<Watched>>,
    program: PathBuf,
    commands: Vec<(PathBuf, Vec<String>)>,
    directory: TempDir,
}

/// Certificates of a cluster that admits only clients whose certificate its authority signed.
pub(crate) struct Tls {
    pub(crate) ca: PathBuf,
    pub(crate) server: (PathBuf, PathBuf),
}

/// Three members, for all tests of this binary: each takes a prefix of its own and kills none.
pub(crate) fn shared() -> &'static EtcdCluster {
    static SHARED: OnceLock<EtcdCluster> = OnceLock::new();
    SHARED.get_or_init(|| {
        let cluster = EtcdCluster::start(3);
        remove_at_the_end(cluster.directory.path());
        cluster
    })
}

impl EtcdCluster {
    /// A cluster of its own.
    pub(crate) fn start(size: usize) -> Self {
        Self::start_with(size, &[])
    }

    /// One member that also listens with TLS, at the second of its endpoints; the first is plain.
    pub(crate) fn start_with_tls(tls: &Tls) -> Self {
        let secure = format!("https://127.0.0.1:{}", ports(1)[0]);
        let path = |path: &Path| path.display().to_string();
        let flags = [
            "--cert-file".to_owned(),
            path(&tls.server.0),
            "--key-file".to_owned(),
            path(&tls.server.1),
            "--trusted-ca-file".to_owned(),
            path(&tls.ca),
            "--client-cert-auth".to_owned(),
        ];
        let mut cluster = Self::start_listening(1, std::slice::from_ref(&secure), &flags);
        cluster.endpoints.push(secure);
        cluster
    }

    fn start_with(size: usize, flags: &[String]) -> Self {
        Self::start_listening(size, &[], flags)
    }

    fn start_listening(size: usize, also: &[String], flags: &[String]) -> Self {
        let program = program();
        let dir = tempfile::tempdir_in(tmp()).expect("a directory below target/");
        let ports = ports(2 * size);
        let (clients, peers) = ports.split_at(size);
        let url = |port: &u16| format!("http://127.0.0.1:{port}");
        let all: Vec<String> =
            peers.iter().enumerate().map(|(place, port)| format!("m{place}={}", url(port))).collect();
        let commands: Vec<_> = (0..size)
            .map(|place| {
                let (client, peer) = (url(&clients[place]), url(&peers[place]));
                let listen = [std::slice::from_ref(&client), also].concat().join(",");
                let mut arguments = Vec::new();
                for (flag, value) in [
                    ("--name", format!("m{place}")),
                    ("--data-dir", dir.path().join(format!("m{place}")).display().to_string()),
                    ("--listen-client-urls", listen),
                    ("--advertise-client-urls", client),
                    ("--listen-peer-urls", peer.clone()),
                    ("--initial-advertise-peer-urls", peer),
                    ("--initial-cluster", all.join(",")),
                    ("--initial-cluster-state", "new".to_owned()),
                ] {
                    arguments.extend([flag.to_owned(), value]);
                }
                arguments.extend(flags.iter().cloned());
                (dir.path().join(format!("m{place}.log")), arguments)
            })
            .collect();
        let members =
            commands.iter().map(|(log, arguments)| Some(Watched::start(&program, arguments, &[], log))).collect();
        let endpoints = clients.iter().map(url).collect();
        let cluster = Self { endpoints, members, program, commands, directory: dir };
        cluster.wait();
        cluster
    }

    /// Until every member that runs has answered.
    fn wait(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        for (place, endpoint) in self.endpoints.iter().enumerate().filter(|(place, _)| self.members[*place].is_some()) {
            while try_post(endpoint, "kv/range", &json!({"key": "Zm9v"})).is_err() {
                if Instant::now() > end {
                    let log = fs::read_to_string(&self.commands[place].0).unwrap_or_default();
                    panic!("the etcd at {endpoint} does not answer:\n{log}");
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    /// Kills a member, as a machine's death does.
    pub(crate) fn kill(&mut self, place: usize) {
        drop(self.members[place].take());
    }

    /// Brings the members that were killed back, with what they knew.
    pub(crate) fn revive(&mut self) {
        for (place, (log, arguments)) in self.commands.iter().enumerate() {
            if self.members[place].is_none() {
                self.members[place] = Some(Watched::start(&self.program, arguments, &[], log));
            }
        }
        self.wait();
    }

    /// What a member has on its disk now.
    pub(crate) fn backup(&mut self, place: usize) -> TempDir {
        self.kill(place);
        let backup = tempfile::tempdir_in(tmp()).expect("a directory below target/");
        run(Command::new("cp").arg("-a").arg(self.data(place)).arg(backup.path())).expect("copied");
        self.revive();
        backup
    }

    /// Starts a member anew with what it had then.
    pub(crate) fn put_back(&mut self, place: usize, backup: &TempDir) {
        self.kill(place);
        fs::remove_dir_all(self.data(place)).expect("removed");
        let from = backup.path().join(self.data(place).file_name().expect("a name"));
        run(Command::new("cp").arg("-a").arg(from).arg(self.data(place))).expect("copied");
        self.revive();
    }

    fn data(&self, place: usize) -> PathBuf {
        self.directory.path().join(format!("m{place}"))
    }

    /// Calls etcd's JSON gateway, by which the ledger under test does not go.
    pub(crate) fn post(&self, method: &str, body: &Value) -> Value {
        try_post(&self.endpoints[0], method, body).unwrap_or_else(|error| panic!("POST {method} {body}: {error}"))
    }
}

fn try_post(endpoint: &str, method: &str, body: &Value) -> Result<Value, ureq::Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(5))).build().into();
    let mut answer =
        agent.post(format!("{endpoint}/v3/{method}")).content_type("application/json").send(body.to_string())?;
    let text = answer.body_mut().read_to_string()?;
    Ok(serde_json::from_str(&text).expect("JSON"))
}

/// Removes a directory once this process has ended, however it ends: a static is never dropped.
fn remove_at_the_end(directory: &Path) {
    // Its servers are killed at the same moment.
    let script = "trap '' INT TERM HUP; read -r _; sleep 1; rm -rf \"$1\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(directory);
    let child = shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a shell");
    // It waits for as long as this end of the pipe is open.
    std::mem::forget(child);
}

/// etcd's server.
fn program() -> PathBuf {
    if Command::new("etcd").arg("--version").output().is_ok_and(|answer| answer.status.success()) {
        return PathBuf::from("etcd");
    }
    ETCD.unpacked().join("usr/bin/etcd")
}
