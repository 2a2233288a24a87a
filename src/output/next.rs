//! The next command, as a person would type it: quoted for a shell, and with the policy directory unless it is the
//! usual one. A person who pastes it at 3 in the morning does not check it.

use std::path::Path;

use crate::model::{RunId, SubsystemName};
use crate::plan::PlanDocument;
use crate::policy::DEFAULT_DIRECTORY;

/// A subcommand with its arguments, which are already quoted.
pub(crate) fn command(policies: &Path, words: &str) -> String {
    format!("safe-remove {words}{}", directory(policies))
}

/// The arguments that follow a run to its end.
pub(crate) fn watch(run: &RunId) -> String {
    format!("status {run} --watch")
}

/// The removal that a plan is for, with another count if one is given.
pub(crate) fn removal(policies: &Path, plan: &PlanDocument, count: Option<u64>) -> String {
    let mut words = vec![format!("safe-remove{}", directory(policies))];
    let mut option = |name: &str, value: &str| words.extend([name.to_owned(), quoted(value)]);
    option("--subsystem", plan.request.subsystem.as_str());
    match (count, &plan.request.hosts) {
        (Some(count), _) => option("--count", &count.to_string()),
        (None, Some(hosts)) => hosts.iter().for_each(|host| option("--host", host.as_str())),
        (None, None) => {}
    }
    if let Some(reason) = &plan.request.reason {
        option("--reason", reason);
    }
    if let Some(id) = &plan.request.request_id {
        option("--request-id", id.as_str());
    }
    words.join(" ")
}

/// The command that lifts such a stop order, except for the reason.
pub(crate) fn unhalt(policies: &Path, subsystem: Option<&SubsystemName>) -> String {
    let of = subsystem.map(|name| format!(" --subsystem {}", quoted(name.as_str()))).unwrap_or_default();
    command(policies, &format!("unhalt{of} --reason TEXT"))
}

fn directory(policies: &Path) -> String {
    if policies == Path::new(DEFAULT_DIRECTORY) {
        return String::new();
    }
    format!(" --policies {}", quoted(&policies.display().to_string()))
}

/// Quotes a word so that a POSIX shell reads it back unchanged.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("index-0001"), "index-0001");
        assert_eq!(quoted("it's old; rm"), r"'it'\''s old; rm'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("$HOME"), "'$HOME'");
    }

    #[test]
    fn another_policy_directory_is_named() {
        assert_eq!(command(Path::new("./policies"), "status r-1"), "safe-remove status r-1");
        assert_eq!(
            command(Path::new("/etc/my fleet"), "status r-1"),
            "safe-remove status r-1 --policies '/etc/my fleet'"
        );
    }
}
