//! Manual pages, one for each command: what its help says, as roff.
//!
//! clap_mangen lays out everything but the text behind the options: that has examples and tables, whose lines must stay as
//! they are written, and clap_mangen would fill them.

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::ops::OperationError;
use crate::policy::nearest;

use super::args::Cli;

/// The page of the command with this path: none for `safe-remove` itself, `["policy", "check"]` for `policy check`.
pub(super) fn page(path: &[String]) -> Result<String, OperationError> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut command = &root;
    for word in path {
        command = command.find_subcommand(word).ok_or_else(|| no_such(command, word))?;
    }
    let failed = |error: std::io::Error| OperationError::internal("the manual page cannot be made", error);
    let man = Man::new(command.clone()).source(format!("safe-remove {}", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page).map_err(failed)?;
    man.render_name_section(&mut page).map_err(failed)?;
    man.render_synopsis_section(&mut page).map_err(failed)?;
    man.render_description_section(&mut page).map_err(failed)?;
    man.render_options_section(&mut page).map_err(failed)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page).map_err(failed)?;
    }
    if let Some(text) = command.get_after_long_help().or_else(|| command.get_after_help()) {
        as_written(&text.to_string()).to_writer(&mut page).map_err(failed)?;
    }
    String::from_utf8(page).map_err(|error| OperationError::internal("text that is not UTF-8", error))
}

/// A line that ends with a colon and is not indented is a heading. Indented lines stay as they are.
fn as_written(text: &str) -> Roff {
    let mut roff = Roff::new();
    let mut is_table = false;
    for line in text.lines() {
        if is_table != line.starts_with(' ') {
            is_table = !is_table;
            roff.control(if is_table { "nf" } else { "fi" }, []);
        }
        match line.strip_suffix(':') {
            Some(heading) if !is_table => _ = roff.control("SH", [heading.to_uppercase().as_str()]),
            _ if line.is_empty() => _ = roff.control("PP", []),
            _ => _ = roff.text([roman(line)]),
        }
    }
    if is_table {
        roff.control("fi", []);
    }
    roff
}

fn no_such(command: &Command, word: &str) -> OperationError {
    let known = command.get_subcommands().map(Command::get_name);
    let near = nearest(word, known).join(", ");
    let hint = if near.is_empty() {
        "`safe-remove --help` lists every command".to_owned()
    } else {
        format!("nearest: {near}")
    };
    OperationError::usage(format!("there is no command {word:?} to show the page of"), hint)
}
