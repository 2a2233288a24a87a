//! The identity of this process, and whether another one still lives.
//!
//! A pid has a meaning only within one boot of a machine and one of its pid namespaces: two containers with one host
//! name have the same pids, and so do two machines. A process elsewhere can only be judged by its silence.

use rustix::process::{Pid, test_kill_process};

use crate::coordination::{Life, ProcessId};
use crate::model::{FleetIdentity, OperatorId};
use crate::ports::Processes;

/// This process, as the ledger identifies it.
pub(crate) fn this_process() -> ProcessId {
    let pid = std::process::id();
    let started = started_at(pid).unwrap_or_default();
    let token = format!("{started}.{}", uuid::Uuid::new_v4().simple());
    ProcessId { host: machine(), pid, token, pid_space: pid_space() }
}

/// The operator: as the provider knows them, otherwise `user@host`.
pub(crate) fn operator(identity: &FleetIdentity) -> OperatorId {
    let caller = identity.caller.clone();
    let user = || whoami::username().unwrap_or_else(|_| "unknown".to_owned());
    OperatorId::new(caller.unwrap_or_else(|| format!("{}@{}", user(), machine())))
}

/// Whether a process lives; `None` where that cannot be determined from here: the process belongs to another machine,
/// another boot or another pid namespace, or was recorded by a version that did not say.
pub(crate) fn is_alive(process: &ProcessId) -> Option<bool> {
    // S9: a pid that is looked up in the wrong place is not found, and a live run would be taken for dead.
    let is_here = process.pid_space.is_some() && process.pid_space == pid_space() && process.host == machine();
    if !is_here {
        return None;
    }
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else { return Some(false) };
    match test_kill_process(pid) {
        // A process of another user exists nevertheless.
        Ok(()) | Err(rustix::io::Errno::PERM) => {}
        Err(_) => return Some(false),
    }
    // Pids are reused: the process that is meant started at the time in its token.
    let meant = process.token.split('.').next().filter(|started| !started.is_empty());
    match (meant, started_at(process.pid)) {
        (Some(meant), Some(started)) => Some(meant == started),
        _ => Some(true),
    }
}

/// What this machine knows about the processes of other runs.
#[derive(Debug)]
pub(crate) struct Here;

impl Processes for Here {
    fn life(&self, process: &ProcessId) -> Life {
        match is_alive(process) {
            None => Life::Elsewhere,
            Some(false) => Life::Dead,
            Some(true) if is_stopped(process.pid) => Life::Stopped,
            Some(true) => Life::Running,
        }
    }
}

/// Whether a process was stopped: proc(5), `/proc/pid/stat`, field 3.
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, fields)| matches!(fields.trim_start().chars().next(), Some('T' | 't')))
}

fn machine() -> String {
    whoami::hostname().unwrap_or_else(|_| "unknown".to_owned())
}

/// The scope within which pids of this process have a meaning. Linux reports it: the id of the boot (proc(5),
/// `/proc/sys/kernel/random/boot_id`) and the inodes of the pid namespace and, where the kernel has it, of the time
/// namespace, by which `/proc` tells when a process started (namespaces(7)). `None` elsewhere.
fn pid_space() -> Option<String> {
    // A container may see the /proc of its host, where a pid means another process.
    let own = std::fs::read_link("/proc/self").ok()?;
    if own.to_str()? != std::process::id().to_string() {
        return None;
    }
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = |kind: &str| std::fs::read_link(format!("/proc/self/ns/{kind}")).ok();
    let pids = namespace("pid")?;
    let time = namespace("time").unwrap_or_default();
    Some(format!("{} {} {}", boot.trim(), pids.display(), time.display()).trim_end().to_owned())
}

/// When a process started, in ticks since the machine started. Linux reports it (proc(5), `/proc/pid/stat`, field 22);
/// elsewhere it is not known. A process that ended and was not waited for does not count.
fn started_at(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets and may contain anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if fields.next()? == "Z" {
        return Some("ended".to_owned());
    }
    fields.nth(18).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_another_of_its_pid_does_not() {
        let this = this_process();
        assert_eq!(is_alive(&this), Some(true));
        let mut earlier = this.clone();
        earlier.token = "1.other".to_owned();
        assert_eq!(is_alive(&earlier), Some(false));
        let mut elsewhere = this;
        elsewhere.host = "another-machine.invalid".to_owned();
        assert_eq!(is_alive(&elsewhere), None);
    }

    /// Containers and images of one machine often share a host name, and their pids begin at 1.
    #[test]
    fn s9_a_process_of_another_boot_or_pid_namespace_is_not_known_to_be_dead() {
        let this = this_process();
        let space = this.pid_space.clone().expect("Linux says where pids mean something");
        let [boot, pids, ..] = space.split(' ').collect::<Vec<_>>()[..] else { panic!("{space}") };
        let other_boot = space.replace(boot, "00000000-0000-0000-0000-000000000000");
        let other_pids = space.replace(pids, "pid:[1]");
        for elsewhere in [Some(other_boot), Some(other_pids), Some(String::new()), None] {
            assert_ne!(elsewhere, this.pid_space);
            for token in [this.token.clone(), "1.other".to_owned()] {
                for pid in [this.pid, u32::MAX] {
                    let process = ProcessId { pid, token: token.clone(), pid_space: elsewhere.clone(), ..this.clone() };
                    assert_eq!(is_alive(&process), None, "{process:?}");
                }
            }
        }
    }

    #[test]
    fn a_process_that_ended_does_not_live() {
        let mut child = std::process::Command::new("true").spawn().expect("starts");
        let mut process = this_process();
        process.pid = child.id();
        process.token = format!("{}.x", started_at(child.id()).unwrap_or_default());
        child.wait().expect("ends");
        assert_eq!(is_alive(&process), Some(false));
    }
}
