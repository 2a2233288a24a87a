//! `exec`: the exit status of a program, and the number on its stdout if it prints a number alone.
//!
//! The program is started directly, never through a shell, with nothing on stdin and with this process's environment
//! and working directory, plus `SAFE_REMOVE_SUBSYSTEM`, `SAFE_REMOVE_PROBE` and `SAFE_REMOVE_HOSTS`. Exit status 0 is good, any other is
//! bad, whatever the program printed.
//!
//! The program gets a process group of its own. The whole group is killed when the program has ended, when its timeout
//! is over, when it prints too much, and when the sample is cancelled. So nothing that a probe started goes on after
//! it, except a process that left the group by itself (`setsid`). A pipe that such a process keeps open is not waited
//! for.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::{finite, text};
use crate::model::{HostId, ProbeKey, Reading, chain};

/// Tells the program the subsystem.
pub(super) const SUBSYSTEM_VARIABLE: &str = "SAFE_REMOVE_SUBSYSTEM";
/// Tells the program the hosts that the run has out, one a line; empty where it has none.
pub(super) const HOSTS_VARIABLE: &str = "SAFE_REMOVE_HOSTS";
/// Tells the program the probe.
pub(super) const PROBE_VARIABLE: &str = "SAFE_REMOVE_PROBE";

/// The limit of stdout. A program that prints more does not print a number alone, and may never stop.
const LARGEST_STDOUT: usize = 64 * 1024;
/// Only the end of stderr is kept, for the message.
const STDERR_TAIL: usize = 4 * 1024;
/// How long to read on when the group is dead: the output is in the pipe already, and only a process that left the
/// group can still hold the pipe open.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// How long to wait for a killed program to be gone. A program that is stuck in the kernel is left there.
const BURIAL: Duration = Duration::from_secs(1);

/// Runs the command once, within `timeout`.
pub(super) async fn read(
    key: &ProbeKey,
    command: &[String],
    out: &BTreeSet<HostId>,
    timeout: Duration,
) -> Result<Reading, String> {
    let tried = text::cut(&command.join(" "), 120);
    let (program, arguments) = command.split_first().ok_or_else(|| "has no command".to_owned())?;
    let mut group =
        Group::start(key, program, arguments, out).map_err(|error| format!("{tried}: {}", chain(&error)))?;
    let outcome = tokio::time::timeout(timeout, group.run()).await;
    group.kill();
    match outcome {
        Ok(Ok(output)) => output.reading().map_err(|why| format!("{tried}: {why}")),
        Ok(Err(why)) => {
            group.bury().await;
            Err(format!("{tried}: {why}"))
        }
        Err(_) => {
            group.bury().await;
            Err(text::timed_out(&tried, timeout))
        }
    }
}

/// A program and all processes that it started. Dropping it kills them.
struct Group {
    child: Child,
    /// `None` once the child was reaped: from then on the id may belong to another process.
    id: Option<Pid>,
    ended: tokio::signal::unix::Signal,
}

impl Group {
    fn start(key: &ProbeKey, program: &str, arguments: &[String], out: &BTreeSet<HostId>) -> std::io::Result<Self> {
        // Registered before the start, so that no end is missed.
        let ended = signal(SignalKind::child())?;
        let child = Command::new(program)
            .args(arguments)
            .env(SUBSYSTEM_VARIABLE, key.subsystem.as_str())
            .env(PROBE_VARIABLE, &key.probe)
            .env(HOSTS_VARIABLE, out.iter().map(HostId::as_str).collect::<Vec<_>>().join("\n"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { child, id, ended })
    }

    /// Waits for the end of the program, not for the end of its output.
    async fn run(&mut self) -> Result<Output, String> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let pipes = (self.child.stdout.take(), self.child.stderr.take());
        {
            let reading = async {
                tokio::try_join!(read_whole(pipes.0, &mut stdout), read_tail(pipes.1, &mut stderr)).map(|_| ())
            };
            tokio::pin!(reading);
            let mut unread = true;
            loop {
                tokio::select! {
                    read = &mut reading, if unread => {
                        read?;
                        unread = false;
                    }
                    ended = exit_of(self.id, &mut self.ended) => {
                        ended?;
                        break;
                    }
                }
            }
            // The program has ended but is not reaped, so its group's id is certainly still its own.
            self.kill();
            if unread && let Ok(read) = tokio::time::timeout(LAST_WORDS, &mut reading).await {
                read?;
            }
        }
        let status = self.child.wait().await.map_err(|error| chain(&error))?;
        self.id = None;
        Ok(Output { status, stdout, stderr })
    }

    fn kill(&self) {
        if let Some(id) = self.id {
            // Fails only where no process is left.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }

    /// Reaps the killed program, so that a sample leaves nothing behind.
    async fn bury(&mut self) {
        if let Ok(Ok(_)) = tokio::time::timeout(BURIAL, self.child.wait()).await {
            self.id = None;
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns when the process has ended, without reaping it.
async fn exit_of(id: Option<Pid>, child_signal: &mut tokio::signal::unix::Signal) -> Result<(), String> {
    let id = id.ok_or_else(|| "could not be watched".to_owned())?;
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    loop {
        match waitid(WaitId::Pid(id), options) {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => {}
            Err(error) => return Err(format!("could not be watched: {error}")),
        }
        if child_signal.recv().await.is_none() {
            return Err("could not be watched".to_owned());
        }
    }
}

async fn read_whole(from: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) -> Result<(), String> {
    let Some(mut from) = from else { return Ok(()) };
    let mut buffer = [0; 4096];
    loop {
        let count = from.read(&mut buffer).await.map_err(|error| chain(&error))?;
        if count == 0 {
            return Ok(());
        }
        into.extend(buffer.iter().take(count));
        if into.len() > LARGEST_STDOUT {
            return Err(format!("printed more than {LARGEST_STDOUT} bytes"));
        }
    }
}

async fn read_tail(from: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) -> Result<(), String> {
    let Some(mut from) = from else { return Ok(()) };
    let mut buffer = [0; 4096];
    loop {
        let count = from.read(&mut buffer).await.map_err(|error| chain(&error))?;
        if count == 0 {
            return Ok(());
        }
        into.extend(buffer.iter().take(count));
        into.drain(..into.len().saturating_sub(STDERR_TAIL));
    }
}

/// The result of a program that ended.
struct Output {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Output {
    fn reading(&self) -> Result<Reading, String> {
        if !self.status.success() {
            let how = match (self.status.code(), self.status.signal()) {
                (Some(code), _) => format!("exit status {code}"),
                (None, Some(signal)) => format!("ended by signal {signal}"),
                (None, None) => "ended in an unknown way".to_owned(),
            };
            let stderr = String::from_utf8_lossy(&self.stderr);
            return Err(match stderr.lines().rev().find(|line| !line.trim().is_empty()) {
                Some(line) => format!("{how}: {}", text::clean(line)),
                None => how,
            });
        }
        // Output that is not a number alone is ignored: the exit status already says that the probe is good.
        match std::str::from_utf8(&self.stdout).ok().and_then(|text| text.trim().parse::<f64>().ok()) {
            Some(number) => finite(number),
            None => Ok(Reading::Good),
        }
    }
}

#[cfg(test)]
mod tests;
