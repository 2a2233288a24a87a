//! Proposals for the values of options: names of subsystems, runs and hosts, when somebody presses Tab.
//!
//! They go by the rest of the command line as far as it is typed: `--policies`, `--subsystem`, the run. Each is asked for
//! only if its value is being typed. Nothing here writes, and nothing here fails; `complete` bounds the time.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use crate::model::{RunId, SubsystemName};
use crate::ops::{self, Candidate};
use crate::policy::{self, DEFAULT_DIRECTORY};

use super::values;

/// Names of subsystems.
pub(super) fn subsystems() -> ArgValueCompleter {
    completer(|typed| ops::candidates::subsystems(&typed.policies()))
}

/// Runs that are under way or hold something.
pub(super) fn runs() -> ArgValueCompleter {
    completer(|typed| wait_for(ops::candidates::runs(&typed.policies(), false)))
}

/// The same, and runs that ended lately.
pub(super) fn all_runs() -> ArgValueCompleter {
    completer(|typed| wait_for(ops::candidates::runs(&typed.policies(), true)))
}

/// Hosts in service, of the subsystem that is named.
pub(super) fn hosts() -> ArgValueCompleter {
    completer(|typed| wait_for(ops::candidates::hosts(&typed.policies(), typed.subsystem().as_ref())))
}

/// Hosts that the named run holds.
pub(super) fn held() -> ArgValueCompleter {
    completer(|typed| match typed.run() {
        Some(run) => wait_for(ops::candidates::held(&typed.policies(), &run)),
        None => Vec::new(),
    })
}

fn completer(of: impl Fn(&Typed) -> Vec<Candidate> + Send + Sync + 'static) -> ArgValueCompleter {
    ArgValueCompleter::new(move |begun: &OsStr| {
        let found = of(&Typed::now()).into_iter();
        let fitting = found.filter(|candidate| candidate.name.as_bytes().starts_with(begun.as_encoded_bytes()));
        fitting.map(proposal).collect()
    })
}

fn proposal(of: Candidate) -> CompletionCandidate {
    let about = (!of.about.is_empty()).then(|| of.about.into());
    CompletionCandidate::new(of.name).help(about)
}

fn wait_for(candidates: impl Future<Output = Vec<Candidate>>) -> Vec<Candidate> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map(|runtime| runtime.block_on(candidates)).unwrap_or_default()
}

/// The policy directory of a command line that cannot be parsed.
pub(super) fn policies_of(arguments: &[OsString]) -> PathBuf {
    policy::straight(&Typed(arguments.to_vec()).policies())
}

/// The words of the command line that is being typed, as the shell passes them.
struct Typed(Vec<OsString>);

impl Typed {
    /// Behind the first `--` of this process.
    fn now() -> Self {
        Self(std::env::args_os().skip_while(|word| word != "--").skip(1).collect())
    }

    fn policies(&self) -> PathBuf {
        let given = self.value("--policies").or_else(|| std::env::var_os("SAFE_REMOVE_POLICIES"));
        let given = PathBuf::from(given.unwrap_or_else(|| DEFAULT_DIRECTORY.into()));
        // The shell has not replaced it yet.
        match (given.strip_prefix("~"), std::env::home_dir()) {
            (Ok(below), Some(home)) => home.join(below),
            _ => given,
        }
    }

    fn subsystem(&self) -> Option<SubsystemName> {
        values::subsystem(self.value("--subsystem")?.to_str()?).ok()
    }

    /// The word that is written as runs are.
    fn run(&self) -> Option<RunId> {
        let word = self.0.iter().filter_map(|word| word.to_str()).find(|word| word.starts_with("r-"))?;
        values::run(word).ok()
    }

    /// The value of an option, in the next word or behind `=`. bash passes `=` as a word of its own.
    fn value(&self, option: &str) -> Option<OsString> {
        let at = self.0.iter().rposition(|word| {
            word == option
                || word.to_str().and_then(|word| word.strip_prefix(option)).is_some_and(|rest| rest.starts_with('='))
        })?;
        if let Some((_, value)) = self.0[at].to_str().and_then(|word| word.split_once('=')) {
            return Some(value.into());
        }
        self.0.iter().skip(at + 1).find(|word| *word != "=").cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_the_line_is_understood_as_every_shell_passes_it() {
        let typed = |line: &str| Typed(line.split(' ').map(OsString::from).collect());
        for line in [
            "safe-remove plan --policies elsewhere --subsystem index --host",
            "safe-remove plan --policies=elsewhere --subsystem=index --host",
            "safe-remove plan --policies = elsewhere --subsystem = index --host",
        ] {
            assert_eq!(typed(line).policies(), PathBuf::from("elsewhere"), "{line}");
            assert_eq!(typed(line).subsystem(), Some("index".into()), "{line}");
        }
        assert_eq!(typed("safe-remove abandon r-0123456789ab --leave").run(), Some("r-0123456789ab".into()));
        assert_eq!(typed("safe-remove abandon").run(), None);
    }
}
