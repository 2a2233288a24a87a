//! Help without arguments, completions, and the manual page: they need neither policies nor fleet.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::ops::OperationError;

use super::args::Cli;
use super::{CommandOutput, exit::Exit};

/// `safe-remove completions SHELL`
pub(super) fn completions(shell: Shell) -> Result<CommandOutput, OperationError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "safe-remove", &mut script);
    answer("completions", script)
}

/// `safe-remove man`
pub(super) fn man() -> Result<CommandOutput, OperationError> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut page)
        .map_err(|error| OperationError::internal("the manual page cannot be made", error))?;
    answer("man", page)
}

fn answer(command: &'static str, bytes: Vec<u8>) -> Result<CommandOutput, OperationError> {
    let text = String::from_utf8(bytes).map_err(|error| OperationError::internal("text that is not UTF-8", error))?;
    CommandOutput::result(Exit::DONE, command, text.clone(), &text, &[])
}
