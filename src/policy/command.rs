//! Commands for copying: quoted for a shell, and with the policy directory unless it is the usual one. A person who pastes
//! one at 3 in the morning does not check it.
//!
//! Text names a command in one of two ways: in backticks, or behind a colon up to the end of the line. Where the directory is
//! known, [`command`] builds it. The texts of errors do not know it, and [`placed`] adds it on their way to the screen.

use std::path::Path;

use super::DEFAULT_DIRECTORY;

/// How a command begins that takes the rest of its line.
pub(crate) const BEHIND_A_COLON: &str = ": safe-remove ";

/// How a command begins that stands in a sentence.
const IN_BACKTICKS: &str = "`safe-remove ";

/// A subcommand with its arguments, which are already quoted.
pub(crate) fn command(policies: &Path, words: &str) -> String {
    format!("safe-remove {words}{}", option(policies))
}

/// The option that names the directory, behind a space; nothing if it is the usual one.
pub(crate) fn option(policies: &Path) -> String {
    if policies == Path::new(DEFAULT_DIRECTORY) {
        return String::new();
    }
    format!(" --policies {}", quoted(&policies.display().to_string()))
}

/// The text with the directory in each of its commands that lacks it.
pub(crate) fn placed(text: &str, policies: &Path) -> String {
    let option = option(policies);
    if option.is_empty() {
        return text.to_owned();
    }
    text.split('\n').map(|line| placed_line(line, &option)).collect::<Vec<_>>().join("\n")
}

fn placed_line(line: &str, option: &str) -> String {
    let (sentence, last) = match line.find(BEHIND_A_COLON) {
        Some(colon) => line.split_at(colon),
        None => (line, ""),
    };
    let mut out = String::new();
    let mut rest = sentence;
    while let Some(start) = rest.find(IN_BACKTICKS) {
        let (before, command) = rest.split_at(start);
        let Some(end) = command[1..].find('`').map(|end| end + 1) else { break };
        out.push_str(before);
        out.push_str(&with(&command[..end], option));
        out.push('`');
        rest = &command[end + 1..];
    }
    out.push_str(rest);
    if !last.is_empty() {
        out.push_str(&with(last, option));
    }
    out
}

fn with(command: &str, option: &str) -> String {
    if command.contains(" --policies ") { command.to_owned() } else { format!("{command}{option}") }
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

    #[test]
    fn each_command_of_a_text_names_the_directory_once() {
        let said =
            "`safe-remove status` says, or `halt`\nby: safe-remove ledger init\nthere: safe-remove x --policies y";
        assert_eq!(
            placed(said, Path::new("a b")),
            "`safe-remove status --policies 'a b'` says, or `halt`\nby: safe-remove ledger init --policies 'a b'\n\
             there: safe-remove x --policies y"
        );
        assert_eq!(placed(said, Path::new("./policies")), said);
        assert_eq!(placed("an odd `safe-remove status", Path::new("a")), "an odd `safe-remove status");
    }
}
