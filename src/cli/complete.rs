//! Completions: the script that a shell loads, and the answer when the shell asks.
//!
//! The script calls this program with [`ASKS`] set and the words that were typed behind `--`. The answer comes within
//! [`PATIENCE`], never creates anything, and is empty rather than an error: whoever presses Tab has asked nothing else.
//! clap's older scripts, which know the options by themselves, are dead in bash behind a subcommand of a program whose
//! name has a hyphen (clap issues 6386, 6421, 6529), and could not propose names.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_complete::engine::{CompletionCandidate, complete};
use clap_complete::env::Shells;

use crate::ops::OperationError;
use crate::output::clean;

use super::args::Cli;
use super::screen::write_or_leave;

/// The variable by which the script asks: it names the shell. The script also puts `--` before the words. A command that
/// finds the variable in its environment is no question.
const ASKS: &str = "_SAFE_REMOVE_COMPLETE";

/// How long the shell waits at most: a person at a prompt does.
const PATIENCE: Duration = Duration::from_millis(1500);

/// The script for a shell. `program` is the name by which this program was called.
pub(super) fn script(shell: Shell, program: &Path) -> Result<Vec<u8>, OperationError> {
    // From another directory a relative path would name something else. A name without a directory is found on PATH.
    let program = match (program.components().count(), std::env::current_dir()) {
        (2.., Ok(here)) => here.join(program),
        _ => program.to_owned(),
    };
    let mut script = Vec::new();
    let failed = |error: std::io::Error| OperationError::internal("the script cannot be made", error);
    let shells = Shells::builtins();
    let shell = shells
        .completer(&shell.to_string())
        .ok_or_else(|| OperationError::internal("the script cannot be made", "a shell that nobody knows"))?;
    shell
        .write_registration(ASKS, "safe-remove", "safe-remove", &program.to_string_lossy(), &mut script)
        .map_err(failed)?;
    Ok(script)
}

/// Answers the shell, if it is the shell that calls.
pub(super) fn answered() -> Option<ExitCode> {
    let is_asked = std::env::args_os().nth(1).is_some_and(|word| word == "--");
    let shell = std::env::var_os(ASKS).filter(|shell| is_asked && !shell.is_empty())?;
    std::panic::set_hook(Box::new(|_| {}));
    let (sender, answer) = mpsc::channel();
    std::thread::spawn(move || sender.send(proposals(&shell)));
    // The thread ends with the process.
    if let Ok(Some(text)) = answer.recv_timeout(PATIENCE) {
        write_or_leave(&text);
    }
    Some(ExitCode::SUCCESS)
}

/// The answer, as the shell reads it.
fn proposals(shell: &OsString) -> Option<String> {
    let shell: Shell = shell.to_str()?.parse().ok()?;
    let words: Vec<OsString> = std::env::args_os().skip_while(|word| word != "--").skip(1).collect();
    let index = std::env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|index| index.parse().ok());
    let Line { words, at, prefix } = Line::of(words, index);
    let here: Option<PathBuf> = std::env::current_dir().ok();
    let is_option = words.get(at).is_some_and(|word| word.as_encoded_bytes().starts_with(b"-"));
    let mut found = complete(&mut Cli::command(), words, at, here.as_deref()).ok()?;
    if !is_option && found.iter().any(|of| !is_an_option(of)) {
        // Whoever has not begun an option is not shown all of them among the names.
        found.retain(|of| !is_an_option(of));
    }
    let value = |of: &CompletionCandidate| {
        let value = of.get_value().to_string_lossy().into_owned();
        value.strip_prefix(&prefix).map(str::to_owned).unwrap_or(value)
    };
    let about = |of: &CompletionCandidate| {
        let help = of.get_help().map(ToString::to_string).unwrap_or_default();
        clean(help.lines().next().unwrap_or_default()).into_owned()
    };
    let separator = std::env::var("_CLAP_IFS").unwrap_or_else(|_| "\n".to_owned());
    let lines: Vec<String> = match shell {
        Shell::Zsh => found
            .iter()
            .map(|of| {
                let escaped = |text: &str| text.replace('\\', "\\\\");
                format!("{}:{}", escaped(&value(of)).replace(':', "\\:"), escaped(&about(of)))
            })
            .collect(),
        Shell::Fish | Shell::PowerShell => found.iter().map(|of| format!("{}\t{}\n", value(of), about(of))).collect(),
        _ => found.iter().map(value).collect(),
    };
    let separator = if matches!(shell, Shell::Fish | Shell::PowerShell) { "" } else { separator.as_str() };
    Some(lines.join(separator))
}

fn is_an_option(of: &CompletionCandidate) -> bool {
    of.get_value().as_encoded_bytes().starts_with(b"-")
}

/// The words that were typed, and the one at the cursor.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    words: Vec<OsString>,
    at: usize,
    /// The shell takes this for typed already, and does not want it repeated.
    prefix: String,
}

impl Line {
    /// bash makes three words of `--option=value`; the value alone is then the word at the cursor.
    fn of(mut words: Vec<OsString>, index: Option<usize>) -> Self {
        let mut at = index.unwrap_or_else(|| words.len().saturating_sub(1));
        // zsh leaves out a last word that is empty.
        while words.len() <= at {
            words.push(OsString::new());
        }
        let mut prefix = String::new();
        let mut place = 1;
        while place + 1 < words.len() {
            let is_pair = words[place] == "=" && words[place - 1].as_encoded_bytes().starts_with(b"--");
            if !is_pair {
                place += 1;
                continue;
            }
            let value = words.remove(place + 1);
            words.remove(place);
            words[place - 1].push("=");
            if at == place + 1 {
                prefix = words[place - 1].to_string_lossy().into_owned();
            }
            words[place - 1].push(value);
            at = if at > place { at - 2 } else { at };
        }
        Self { words, at, prefix }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &str, index: Option<usize>) -> (String, usize, String) {
        let Line { words, at, prefix } = Line::of(words.split(' ').map(OsString::from).collect(), index);
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        (words.join(" "), at, prefix)
    }

    /// A new command that names a run, a subsystem or a host proposes them, too.
    #[test]
    fn every_name_that_is_typed_is_proposed() {
        fn visit(command: &clap::Command, found: &mut Vec<String>) {
            for argument in command.get_arguments() {
                let (id, path) = (argument.get_id().as_str(), command.get_name());
                let is_a_name =
                    matches!(id, "run" | "subsystem" | "host" | "leave") || (id == "name" && path != "init");
                if is_a_name && argument.get::<clap_complete::ArgValueCompleter>().is_none() {
                    found.push(format!("{path} {id}"));
                }
            }
            command.get_subcommands().for_each(|sub| visit(sub, found));
        }
        let mut found = Vec::new();
        visit(&Cli::command(), &mut found);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn the_words_of_bash_are_put_together_again() {
        let whole = |words: &str, at, prefix: &str| (words.to_owned(), at, prefix.to_owned());
        assert_eq!(line("safe-remove plan --sub", Some(2)), whole("safe-remove plan --sub", 2, ""));
        assert_eq!(
            line("safe-remove plan --subsystem = ind", Some(4)),
            whole("safe-remove plan --subsystem=ind", 2, "--subsystem=")
        );
        assert_eq!(
            line("safe-remove --subsystem = index --host i", Some(5)),
            whole("safe-remove --subsystem=index --host i", 3, "")
        );
        assert_eq!(line("safe-remove status", Some(2)), whole("safe-remove status ", 2, ""));
        assert_eq!(line("safe-remove", None), whole("safe-remove", 0, ""));
    }
}
