//! stdout and stderr: the answer goes to stdout, everything else to stderr. Neither ever panics.
//!
//! A closed stdout is remembered, and is not fatal: a run gets it as an order to stop.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use console::{Term, style};
use dialoguer::console;
use serde::Serialize;

use crate::model::RunId;
use crate::ops::OperationError;
use crate::output::{Text, clean, clean_lines, json_document, json_line, next, wrap_lines};

use super::args::{ColorChoice, Format, Global};
use super::error::Diagnostic;
use super::exit::Exit;
use super::{CommandOutput, detach, pages};

/// Both outputs, in the requested format.
#[derive(Debug)]
pub(super) struct Screen {
    format: Format,
    quiet: bool,
    /// The policy directory, which every command that is said names.
    policies: PathBuf,
    /// The run goes on without the terminal once it is opened (`--detach`).
    detaches: AtomicBool,
    /// It does: the outputs are a log.
    is_detached: AtomicBool,
    /// A list of hosts was read from stdin (`--host -`).
    stdin_taken: AtomicBool,
    stdout_closed: AtomicBool,
    /// An answer could not be written, and not because its reader had seen enough.
    answer_lost: AtomicBool,
}

impl Screen {
    pub(super) fn new(global: &Global) -> Self {
        let color = match global.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            // NO_COLOR applies where it is set and not empty (no-color.org).
            ColorChoice::Auto => {
                io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        };
        console::set_colors_enabled_stderr(color);
        Self::of(global.output, global.quiet, &global.policies)
    }

    /// For a command line that could not be parsed: sets no colours.
    pub(super) fn of(format: Format, quiet: bool, policies: &Path) -> Self {
        let (detaches, is_detached) = (AtomicBool::new(false), AtomicBool::new(false));
        let stdin_taken = AtomicBool::new(false);
        Self {
            format,
            quiet,
            policies: policies.to_owned(),
            detaches,
            is_detached,
            stdin_taken,
            stdout_closed: AtomicBool::new(false),
            answer_lost: AtomicBool::new(false),
        }
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// A list of hosts was read from stdin: questions are asked on the terminal itself.
    pub(super) fn take_stdin(&self) {
        self.stdin_taken.store(true, Ordering::Relaxed);
    }

    /// Whether a list of hosts was read from stdin.
    pub(super) fn is_stdin_taken(&self) -> bool {
        self.stdin_taken.load(Ordering::Relaxed)
    }

    /// The run will go on without the terminal.
    pub(super) fn detach_later(&self) {
        self.detaches.store(true, Ordering::Relaxed);
    }

    /// Whether a run that is begun goes on without the terminal: nobody can be asked between its batches.
    pub(super) fn detaches(&self) -> bool {
        self.detaches.load(Ordering::Relaxed)
    }

    /// Whether the terminal was left.
    pub(super) fn is_detached(&self) -> bool {
        self.is_detached.load(Ordering::Relaxed)
    }

    /// Leaves the terminal, where that was asked for: everything goes to the run's log from now on.
    pub(super) fn detach(&self, run: &RunId, policies: &Path) {
        if !self.detaches() || self.is_detached() {
            return;
        }
        let log = detach::log_of(run);
        let watch = next::command(policies, &format!("status {run} --watch"));
        self.stderr(&format!(
            "Run {run} goes on without this terminal.\nlog: {}\nto follow it: {watch}\n",
            log.display()
        ));
        match detach::turn_to(&log) {
            Ok(()) => self.is_detached.store(true, Ordering::Relaxed),
            Err(error) => {
                self.stderr(&format!("warning: {} cannot be written ({error}): the run stays here\n", log.display()))
            }
        }
    }

    /// Whether stdout is known to be closed.
    pub(super) fn is_stdout_closed(&self) -> bool {
        self.stdout_closed.load(Ordering::Relaxed)
    }

    /// Whether an answer could not be written for another reason than that its reader went away.
    pub(super) fn is_answer_lost(&self) -> bool {
        self.answer_lost.load(Ordering::Relaxed)
    }

    /// Writes one event, if events were requested.
    pub(super) fn event(&self, event: &impl Serialize) {
        if self.format == Format::Ndjson
            && let Ok(line) = json_line(event)
        {
            self.stdout(&line);
        }
    }

    /// Ends the command: writes the answer to stdout and the message for people to stderr, and returns the exit code.
    pub(super) fn finish(&self, ended: Result<CommandOutput, OperationError>) -> Exit {
        match ended {
            Ok(answered) => {
                match self.format {
                    Format::Text => self.stdout(&answered.text.on(pages::stdout())),
                    Format::Json | Format::Ndjson => self.document(&answered.json),
                }
                if let Some(diagnostic) = answered.diagnostic {
                    let mut diagnostic = diagnostic.placed(&self.policies);
                    if self.format == Format::Text && diagnostic.is_answered {
                        // A reason that is told twice is taken for two.
                        diagnostic.causes.clear();
                        // Where the answer goes to a file, they are named on the terminal.
                        diagnostic.in_doubt = diagnostic.in_doubt.filter(|_| !self.is_stdout_a_terminal());
                    }
                    self.complain(&diagnostic);
                }
                answered.exit
            }
            Err(error) => self.fail(Exit::of(&error), &Diagnostic::of(&error, pages::stderr())),
        }
    }

    /// Reports a failure without an answer: with `error/v1` where documents were requested.
    pub(super) fn fail(&self, exit: Exit, diagnostic: &Diagnostic) -> Exit {
        let diagnostic = diagnostic.clone().placed(&self.policies);
        if self.format != Format::Text {
            self.document(&diagnostic.document(exit));
        }
        self.complain(&diagnostic);
        exit
    }

    fn document(&self, document: &impl Serialize) {
        let text = match self.format {
            Format::Ndjson => json_line(document),
            Format::Text | Format::Json => json_document(document),
        };
        match text {
            Ok(text) => self.stdout(&text),
            Err(error) => self.complain(&Diagnostic::new(format!("the answer cannot be written as JSON: {error}"))),
        }
    }

    /// Writes text to stdout. The caller must have cleaned it.
    pub(super) fn stdout(&self, text: &str) {
        if self.is_stdout_closed() {
            return;
        }
        let mut stdout = io::stdout().lock();
        if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            self.stdout_closed.store(true, Ordering::Relaxed);
            // A reader that closed a pipe knows about it; a full disk must be reported.
            if error.kind() != io::ErrorKind::BrokenPipe {
                self.answer_lost.store(true, Ordering::Relaxed);
                self.complain(&Diagnostic::new(format!("the answer cannot be written to stdout: {error}")));
            }
        }
    }

    /// Whether stdout is a terminal, on which text can be drawn again.
    pub(super) fn is_stdout_a_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// The number of lines that text takes on the terminal.
    pub(super) fn lines_of(&self, text: &str) -> usize {
        let width = usize::from(Term::stdout().size().1).max(1);
        text.lines().map(|line| console::measure_text_width(line).div_ceil(width).max(1)).sum()
    }

    /// The height of the terminal at stdout; 24 where it does not say.
    pub(super) fn terminal_rows(&self) -> usize {
        usize::from(Term::stdout().size().0)
    }

    /// Clears the last lines on the terminal, as many as still are on it.
    pub(super) fn clear_lines(&self, lines: usize) {
        let term = Term::stdout();
        let rows = usize::from(term.size().0).saturating_sub(1);
        if lines > 0 {
            // A terminal that is gone cannot be cleared.
            let _ = term.clear_last_lines(lines.min(rows));
        }
    }

    /// Writes lines to stderr, each laid out for it. Whether they arrive makes no difference.
    pub(super) fn stderr(&self, text: &str) {
        let page = pages::stderr();
        let text = page.spelled(wrap_lines(&clean_lines(text), page.width));
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// Writes a text to stderr.
    pub(super) fn show(&self, text: &Text) {
        let _ = io::stderr().lock().write_all(text.on(pages::stderr()).as_bytes());
    }

    /// Writes a line that is not an error, unless the operator asked for less.
    pub(super) fn note(&self, text: &str) {
        if !self.quiet {
            self.stderr(&format!("{text}\n"));
        }
    }

    fn complain(&self, diagnostic: &Diagnostic) {
        let page = pages::stderr();
        // Behind its label, and below that where it takes more than a line.
        let behind = |label: &str, text: &str| {
            let indent = " ".repeat(label.len() + 1);
            let laid_out =
                wrap_lines(&format!("{indent}{}", clean_lines(text).replace('\n', &format!("\n{indent}"))), page.width);
            page.spelled(laid_out[indent.len()..].to_owned())
        };
        let message = behind("error:", &diagnostic.message);
        let mut text = format!("{} {message}\n", style("error:").red().bold().for_stderr());
        match &diagnostic.details {
            Some(details) => text.push_str(&page.spelled(clean_lines(details).into_owned())),
            None => {
                for cause in &diagnostic.causes {
                    text.push_str(&format!("caused by: {}\n", behind("caused by:", cause)));
                }
            }
        }
        if let Some(hosts) = &diagnostic.in_doubt {
            text.push_str(&format!("in doubt: {}\n", behind("in doubt:", hosts)));
        }
        if let Some(hint) = &diagnostic.hint {
            text.push_str(&format!("{} {}\n", style("hint:").cyan().bold().for_stderr(), behind("hint:", hint)));
        }
        // The colours come from this function; everything else was cleaned above.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}

/// Writes text to stdout where nobody needs to hear of a failure.
pub(super) fn write_or_leave(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Prints where a bug appeared, for the report. Cleaned, because messages quote other people's text.
pub(super) fn panicked(panic: &std::panic::PanicHookInfo<'_>) {
    let _ = io::stderr().lock().write_all(format!("{}\n", clean(&panic.to_string())).as_bytes());
}
