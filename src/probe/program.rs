//! [`Program`]: a program that is run once, for a probe or a hook.
//!
//! The program is started directly, never through a shell, with this process's environment and working directory, and a few
//! variables more. It gets a process group of its own. The whole group is killed when the program has ended, when its timeout
//! is over, when it prints too much, and when whoever waits for it is cancelled. So nothing that it started goes on after
//! it, except a process that left the group by itself (`setsid`). A pipe that such a process keeps open is not waited
//! for.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::text;
use crate::model::chain;

/// The limit of stdout. A program that prints more does not print a number alone, and may never stop.
const LARGEST_STDOUT: usize = 64 * 1024;
/// Only the end of stderr is kept, for the message.
const STDERR_TAIL: usize = 4 * 1024;
/// More lines of progress than these are nobody's to read.
const MOST_LINES: usize = 1_000;
/// A longer line of progress is cut.
const LONGEST_LINE: usize = 500;
/// How long to read on when the group is dead: the output is in the pipe already, and only a process that left the
/// group can still hold the pipe open.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// How long to wait for a killed program to be gone. A program that is stuck in the kernel is left there.
const BURIAL: Duration = Duration::from_secs(1);

/// Hears each line that a program writes to stderr, as it comes.
pub(crate) type Said<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// A program that is run once.
#[derive(Clone, Debug)]
pub(crate) struct Program<'a> {
    /// Program and arguments.
    pub(crate) command: &'a [String],
    /// Variables beside those of this process.
    pub(crate) variables: &'a [(&'static str, String)],
    /// Its stdin; without one it is empty.
    pub(crate) stdin: Option<Vec<u8>>,
}

/// The result of a program that ended.
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Program<'_> {
    /// Runs it within `timeout`, in real time.
    ///
    /// # Errors
    ///
    /// The command, and why it did not end by itself.
    pub(crate) async fn run(self, timeout: Duration, said: Said<'_>) -> Result<Output, String> {
        if self.command.is_empty() {
            return Err("has no command".to_owned());
        }
        let tried = self.tried();
        let mut group = Group::start(&self).map_err(|error| format!("{tried}: {}", chain(&error)))?;
        let outcome = tokio::time::timeout(timeout, group.run(self.stdin, said)).await;
        group.kill();
        match outcome {
            Ok(Ok(output)) => Ok(output),
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

    /// The command, for messages.
    pub(crate) fn tried(&self) -> String {
        text::cut(&self.command.join(" "), 120)
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
    fn start(of: &Program<'_>) -> std::io::Result<Self> {
        let Some((program, arguments)) = of.command.split_first() else {
            return Err(std::io::Error::other("there is no command"));
        };
        // Registered before the start, so that no end is missed.
        let ended = signal(SignalKind::child())?;
        let child = Command::new(program)
            .args(arguments)
            .envs(of.variables.iter().map(|(name, value)| (name, value)))
            .stdin(if of.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { child, id, ended })
    }

    /// Waits for the end of the program, not for the end of its output.
    async fn run(&mut self, stdin: Option<Vec<u8>>, said: Said<'_>) -> Result<Output, String> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let pipes = (self.child.stdout.take(), self.child.stderr.take());
        let writing = write_whole(self.child.stdin.take(), stdin.unwrap_or_default());
        {
            let reading = async {
                tokio::try_join!(read_whole(pipes.0, &mut stdout), read_tail(pipes.1, &mut stderr, said)).map(|_| ())
            };
            tokio::pin!(reading, writing);
            let (mut unread, mut unwritten) = (true, true);
            loop {
                tokio::select! {
                    () = &mut writing, if unwritten => unwritten = false,
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

/// Keeps the end, and passes each whole line on as it comes.
async fn read_tail(from: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>, said: Said<'_>) -> Result<(), String> {
    let Some(mut from) = from else { return Ok(()) };
    let (mut buffer, mut line, mut told) = ([0; 4096], Vec::new(), 0);
    loop {
        let count = from.read(&mut buffer).await.map_err(|error| chain(&error))?;
        if count == 0 {
            return Ok(());
        }
        for byte in buffer.iter().take(count) {
            if *byte == b'\n' {
                let line = std::mem::take(&mut line);
                if told < MOST_LINES {
                    told += 1;
                    tell(&line, said);
                }
            } else if line.len() < LONGEST_LINE {
                line.push(*byte);
            }
        }
        into.extend(buffer.iter().take(count));
        into.drain(..into.len().saturating_sub(STDERR_TAIL));
    }
}

fn tell(line: &[u8], said: Said<'_>) {
    let line = text::clean(&String::from_utf8_lossy(line));
    if !line.trim().is_empty() {
        said(&line);
    }
}

/// A program need not read what it is told.
async fn write_whole(into: Option<tokio::process::ChildStdin>, text: Vec<u8>) {
    let Some(mut into) = into else { return };
    let _ = into.write_all(&text).await;
    let _ = into.shutdown().await;
}

impl Output {
    /// Why the program failed, if it did: its exit status, and the last line that it wrote to stderr.
    pub(crate) fn failure(&self) -> Option<String> {
        if self.status.success() {
            return None;
        }
        let how = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("ended by signal {signal}"),
            (None, None) => "ended in an unknown way".to_owned(),
        };
        let stderr = String::from_utf8_lossy(&self.stderr);
        Some(match stderr.lines().rev().find(|line| !line.trim().is_empty()) {
            Some(line) => format!("{how}: {}", text::clean(line)),
            None => how,
        })
    }
}
