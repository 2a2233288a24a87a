//! `exec`: the exit status of a program, and the number on its stdout if it prints a number alone.
//!
//! Exit status 0 is good, any other is bad, whatever the program printed. `SAFE_REMOVE_SUBSYSTEM`, `SAFE_REMOVE_PROBE` and
//! `SAFE_REMOVE_HOSTS` tell it what it is asked about. How it is run is in [`super::program`].

use std::collections::BTreeSet;
use std::time::Duration;

use super::finite;
use super::program::{Output, Program};
use crate::model::{HostId, ProbeKey, Reading};

/// Tells the program the subsystem.
pub(super) const SUBSYSTEM_VARIABLE: &str = "SAFE_REMOVE_SUBSYSTEM";
/// Tells the program the hosts that the run has out, one a line; empty where it has none.
pub(super) const HOSTS_VARIABLE: &str = "SAFE_REMOVE_HOSTS";
/// Tells the program the probe.
pub(super) const PROBE_VARIABLE: &str = "SAFE_REMOVE_PROBE";

/// Runs the command once, within `timeout`.
pub(super) async fn read(
    key: &ProbeKey,
    command: &[String],
    out: &BTreeSet<HostId>,
    timeout: Duration,
) -> Result<Reading, String> {
    let variables = [
        (SUBSYSTEM_VARIABLE, key.subsystem.as_str().to_owned()),
        (PROBE_VARIABLE, key.probe.clone()),
        (HOSTS_VARIABLE, out.iter().map(HostId::as_str).collect::<Vec<_>>().join("\n")),
    ];
    let program = Program { command, variables: &variables, stdin: None };
    let tried = program.tried();
    let output = program.run(timeout, &|_| {}).await?;
    reading(&output).map_err(|why| format!("{tried}: {why}"))
}

fn reading(output: &Output) -> Result<Reading, String> {
    if let Some(why) = output.failure() {
        return Err(why);
    }
    // Output that is not a number alone is ignored: the exit status already says that the probe is good.
    match std::str::from_utf8(&output.stdout).ok().and_then(|text| text.trim().parse::<f64>().ok()) {
        Some(number) => finite(number),
        None => Ok(Reading::Good),
    }
}

#[cfg(test)]
mod tests;
