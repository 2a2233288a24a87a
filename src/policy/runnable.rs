//! Probes and hooks as they must be run: the programs and files that a policy names are relative to it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::types::{
    Headers, HookKind, HookSpec, HookSpecs, PolicySet, ProbeKind, ProbeSpec, SubsystemPolicy, ValueSource,
};
use crate::model::{HookKey, SubsystemName};

impl PolicySet {
    /// The probe as it must be run: an `exec` program that contains a `/` is relative to the policy file, and so is the file
    /// of a header.
    ///
    /// The policy itself keeps the written form, so that two checkouts of it are the same policy.
    pub(crate) fn runnable(&self, probe: &ProbeSpec) -> ProbeSpec {
        let mut probe = probe.clone();
        let headers = match &mut probe.kind {
            ProbeKind::Exec { command } => {
                self.place_program(command);
                None
            }
            ProbeKind::Http(http) => Some(&mut http.headers),
            ProbeKind::Prometheus(prometheus) => Some(&mut prometheus.headers),
            ProbeKind::Simulated { .. }
            | ProbeKind::Tcp { .. }
            | ProbeKind::TargetGroup { .. }
            | ProbeKind::CloudwatchAlarm(_)
            | ProbeKind::CloudwatchMetric(_) => None,
        };
        self.place_files(headers);
        probe
    }

    /// The hook as it must be called: program and files as of a probe.
    pub(crate) fn callable(&self, hook: &HookSpec) -> HookSpec {
        let mut hook = hook.clone();
        match &mut hook.kind {
            HookKind::Exec { command } => self.place_program(command),
            HookKind::Http { headers, .. } => self.place_files(Some(headers)),
        }
        hook
    }

    /// The hooks of these subsystems, ready to be called.
    pub(crate) fn hooks_of(&self, subsystems: &BTreeSet<SubsystemName>) -> HookSpecs {
        let of = |policy: &SubsystemPolicy| {
            let key = |hook: &HookSpec| HookKey { subsystem: policy.name.clone(), hook: hook.name.clone() };
            policy.hooks.iter().map(|hook| (key(hook), self.callable(hook))).collect::<Vec<_>>()
        };
        let policies = self.subsystems.values().filter(|policy| subsystems.contains(&policy.name));
        policies.flat_map(of).collect()
    }

    fn place_program(&self, command: &mut [String]) {
        if let Some(program) = command.first_mut().filter(|program| program.contains('/')) {
            *program = self.here(program);
        }
    }

    fn place_files(&self, headers: Option<&mut Headers>) {
        for source in headers.into_iter().flat_map(|headers| headers.values_mut()) {
            if let ValueSource::File(path) = &mut source.from {
                *path = self.here(path);
            }
        }
    }

    fn here(&self, path: &str) -> String {
        in_directory(&self.directory, path).to_string_lossy().into_owned()
    }
}

/// Joins the path so that it keeps a `/`, and is never looked up in the search path.
fn in_directory(directory: &Path, program: &str) -> PathBuf {
    if directory.as_os_str().is_empty() { Path::new(".").join(program) } else { directory.join(program) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::fixtures;

    #[test]
    fn a_program_with_a_slash_is_relative_to_the_policy_file() {
        let policies = fixtures::policies();
        let run = |program: &str| {
            let kind = ProbeKind::Exec { command: vec![program.to_owned(), "./x".to_owned()] };
            match policies.runnable(&ProbeSpec { kind, ..fixtures::probe() }).kind {
                ProbeKind::Exec { command } => command.join(" "),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(run("check"), "check ./x");
        assert_eq!(run("./check"), "policies/./check ./x");
        assert_eq!(run("/bin/true"), "/bin/true ./x");
    }
}
