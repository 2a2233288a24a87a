//! Servers as child processes that end with this one, however it ends.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Starts a server: its pid on the first line; killed when standard input closes, by that pid.
const SCRIPT: &str = "\"$@\" >\"$LOG\" 2>&1 </dev/null & server=$!; echo $server; exec 2>/dev/null; \
                      read -r _; kill -9 $server; wait $server";

/// A server that runs. Dropped, it is killed; a static is killed when this process ends.
pub(crate) struct Watched(Child);

impl Watched {
    /// Starts a program whose output goes to a log.
    pub(crate) fn start(program: &Path, arguments: &[String], environment: &[(&str, String)], log: &Path) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "sh"]).arg(program).args(arguments).env("LOG", log);
        shell.envs(environment.iter().map(|(name, value)| (name, value)));
        let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
        let mut pid = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut pid).expect("a line");
        assert!(pid.trim().parse::<u32>().is_ok(), "{} does not start: {pid:?}", program.display());
        Self(child)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Ports that are free now. Taken together, so that they differ.
pub(crate) fn ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    listeners.iter().map(|listener| listener.local_addr().expect("an address").port()).collect()
}
