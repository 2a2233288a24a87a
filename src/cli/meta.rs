//! Help without arguments, completions, and the manual page: they need neither policies nor fleet.

use std::path::Path;

use clap_complete::Shell;

use crate::ops::OperationError;
use crate::output::Text;

use super::{CommandOutput, complete, exit::Exit, manual};

/// `safe-remove completions SHELL`
pub(super) fn completions(shell: Shell) -> Result<CommandOutput, OperationError> {
    let program = std::env::args_os().next().unwrap_or_else(|| "safe-remove".into());
    answer("completions", complete::script(shell, Path::new(&program))?)
}

/// `safe-remove man [COMMAND]`
pub(super) fn man(path: &[String]) -> Result<CommandOutput, OperationError> {
    answer("man", manual::page(path)?.into_bytes())
}

fn answer(command: &'static str, bytes: Vec<u8>) -> Result<CommandOutput, OperationError> {
    let text = String::from_utf8(bytes).map_err(|error| OperationError::internal("text that is not UTF-8", error))?;
    CommandOutput::result(Exit::DONE, command, Text::verbatim(text.clone()), &text, &[])
}
