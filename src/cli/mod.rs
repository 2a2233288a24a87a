//! Arguments, prompts, the screen, and the exit code of each result.
//!
//! There is one file per command. It builds a request from the arguments, passes it to `ops`, and lays out the result.
//! It returns a [`CommandOutput`] or an [`OperationError`]; only [`main`] writes these out and derives the exit code
//! from them.

pub(crate) mod args;
mod candidates;
pub(crate) mod commands;
mod complete;
mod detach;
mod difference;
mod doctor;
pub(crate) mod error;
mod examples;
pub(crate) mod exit;
mod halt;
mod halts;
mod headroom;
mod history;
mod hosts;
mod iam_policy;
mod keyboard;
mod ledger;
mod manual;
mod meant;
mod meta;
mod pages;
mod pause;
mod plan;
mod policy;
mod prompt;
mod question;
pub(crate) mod removal;
mod remove;
mod report;
mod run_report;
mod run_watcher;
mod screen;
mod selection;
mod signals;
mod status;
mod takeover;
mod terminal;
mod unhalt;
mod values;
mod watched;

use error::Diagnostic;
use exit::Exit;
use iam_policy::Role;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use clap::error::ErrorKind;
use serde::Serialize;
use tracing_subscriber::EnvFilter;

use crate::ops::{OperationError, StarterOf, TakeoverOptions};
use crate::output::{ResultDocument, Text, clean_lines, next};
use crate::policy::DEFAULT_DIRECTORY;
use crate::run::Purpose;
use args::{Cli, Format, Global};
use commands::{Command, LedgerCommand, PolicyCommand};
use screen::Screen;

/// The answer of a command: for people, for programs, and a message for people where the news is not good.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    /// The exit code.
    pub(crate) exit: Exit,
    /// stdout with `--output text`.
    pub(crate) text: Text,
    /// stdout with `--output json`; the last line of stdout with `ndjson`.
    pub(crate) json: serde_json::Value,
    /// stderr, in every mode.
    pub(crate) diagnostic: Option<Diagnostic>,
}

impl CommandOutput {
    /// An answer with a document and its text.
    fn document(exit: Exit, text: Text, document: &impl Serialize) -> Result<Self, OperationError> {
        let json = serde_json::to_value(document)
            .map_err(|error| OperationError::internal("the answer cannot be written as JSON", error))?;
        Ok(Self { exit, text, json, diagnostic: None })
    }

    /// An answer with `result/v1` and its text.
    fn result(
        exit: Exit,
        command: &'static str,
        text: Text,
        result: &impl Serialize,
        warnings: &[String],
    ) -> Result<Self, OperationError> {
        let mut document = ResultDocument::new(command, result);
        document.warnings = warnings.to_vec();
        Self::document(exit, text, &document)
    }

    /// Adds a message for people.
    fn complaining(mut self, diagnostic: Diagnostic) -> Self {
        self.diagnostic = Some(diagnostic);
        self
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    if let Some(code) = complete::answered() {
        return code;
    }
    let arguments: Vec<_> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return unreadable(&error, &arguments).into(),
    };
    let screen = Arc::new(Screen::new(&cli.global));
    log_to_stderr(&cli.global, &screen);
    if cli.command.is_none() && cli.removal.given().is_empty() && screen.format() == Format::Text {
        // Not exit 0: a pipeline that lost its arguments must not take this for a removal.
        screen.stderr(args::SHORT_HELP);
        return Exit::USAGE.into();
    }
    if cli.command.is_none() && cli.removal.detach {
        return match detach::start(&arguments) {
            Ok(exit) => exit.into(),
            Err(error) => {
                let diagnostic = Diagnostic::new(format!("--detach: the process cannot be started: {error}"));
                screen.fail(Exit::INTERNAL, &diagnostic).into()
            }
        };
    }
    if cli.removal.detached {
        screen.detach_later();
    }
    // A bug ends with the exit code that the contract assigns to bugs, and is reported in words.
    std::panic::set_hook(Box::new(screen::panicked));
    let only_reads = cli.command.as_ref().map_or(cli.removal.dry_run, Command::only_reads);
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| perform(cli, &screen))) {
        Ok(ended) => match screen.finish(ended) {
            // The command only had to answer, and the answer is lost. The result of a run has its own code.
            Exit::DONE if only_reads && screen.is_answer_lost() => Exit::INTERNAL.into(),
            exit => exit.into(),
        },
        Err(_) => {
            let diagnostic = Diagnostic::new("internal failure: safe-remove panicked").hint(
                "hosts may be cordoned; `safe-remove status` names them. Please report this, with what is said above",
            );
            screen.fail(Exit::INTERNAL, &diagnostic).into()
        }
    }
}

fn perform(cli: Cli, screen: &Arc<Screen>) -> Result<CommandOutput, OperationError> {
    let given = cli.removal.given();
    if cli.command.is_some() && !given.is_empty() {
        return Err(OperationError::usage(
            format!("{} stands before the command and belongs to a removal", given.join(", ")),
            "put the options of a command after it: safe-remove plan --subsystem index --count 3",
        ));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| OperationError::internal("the runtime cannot be made", error))?;
    let ended = runtime.block_on(command(&cli, screen));
    // A thread that reads a terminal or waits for a lock must not delay the end.
    runtime.shutdown_background();
    ended
}

async fn command(cli: &Cli, screen: &Arc<Screen>) -> Result<CommandOutput, OperationError> {
    let global = &cli.global;
    match &cli.command {
        None => remove::run(global, &cli.removal, screen).await,
        Some(Command::Plan { selection, certificate }) => plan::run(global, selection, *certificate).await,
        Some(Command::Headroom { subsystem, prove, what_if }) => {
            headroom::run(global, subsystem.as_ref(), what_if, *prove).await
        }
        Some(Command::Hosts { subsystem }) => hosts::run(global, subsystem.as_ref()).await,
        Some(Command::Doctor { fix }) => doctor::run(global, *fix, screen).await,
        Some(Command::Status { run, watch, check }) => status::run(global, run.as_ref(), *watch, *check, screen).await,
        Some(Command::Resume { run, yes, reason, even_if_alive }) => {
            let (yes, reason, even_if_alive) = (*yes, reason.clone(), *even_if_alive);
            let leave = BTreeSet::new();
            let asked = TakeoverOptions { seen: 0, purpose: Purpose::Resume, reason, leave, even_if_alive, yes };
            takeover::run(global, run, asked, screen).await
        }
        Some(Command::Abandon { run, leave, reason, even_if_alive }) => {
            let (reason, even_if_alive) = (reason.clone(), *even_if_alive);
            let leave = leave.iter().cloned().collect();
            let asked =
                TakeoverOptions { seen: 0, purpose: Purpose::Abandon, reason, leave, even_if_alive, yes: false };
            takeover::run(global, run, asked, screen).await
        }
        Some(Command::Pause { run, reason }) => pause::pause(global, run, reason.as_deref(), screen).await,
        Some(Command::Continue { run }) => pause::go_on(global, run).await,
        Some(Command::Halt { subsystem, reason, no_follow }) => {
            halt::run(global, subsystem.as_ref(), reason.as_deref(), !no_follow, screen).await
        }
        Some(Command::Unhalt { subsystem, reason }) => {
            unhalt::run(global, subsystem.as_ref(), reason.as_deref(), screen).await
        }
        Some(Command::History(args)) => history::run(global, args).await,
        Some(Command::Report { run, markdown, html }) => run_report::run(global, run, *markdown, html.as_deref()).await,
        Some(Command::Policy(PolicyCommand::Check { probe: true })) => policy::check_probes(global).await,
        Some(Command::Policy(PolicyCommand::Check { probe: false })) => policy::check(global),
        Some(Command::Policy(PolicyCommand::Show { name })) => policy::show(global, name.as_ref()),
        Some(Command::Policy(PolicyCommand::Schema { of })) => policy::schema(*of),
        Some(Command::Policy(PolicyCommand::Init { out, region, subsystem_tag })) => {
            let (region, subsystem_tag) = (region.as_deref(), subsystem_tag.as_deref());
            policy::init(StarterOf { policies: &global.policies, region, subsystem_tag }, out).await
        }
        Some(Command::Policy(PolicyCommand::Accept { name, reason })) => {
            policy::accept(global, name, reason, screen).await
        }
        Some(Command::Ledger(LedgerCommand::Init)) => ledger::init(global).await,
        Some(Command::Ledger(LedgerCommand::Export)) => ledger::export(global).await,
        Some(Command::Ledger(LedgerCommand::Import { file })) => ledger::import(global, file).await,
        Some(Command::Ledger(LedgerCommand::Prune { before, to })) => {
            ledger::prune(global, *before, to.as_deref()).await
        }
        Some(Command::Ledger(LedgerCommand::SetTime { reason })) => ledger::set_time(global, reason, screen).await,
        Some(Command::Ledger(LedgerCommand::Adopt { reason })) => ledger::adopt(global, reason, screen).await,
        Some(Command::IamPolicy { adopt, fix, ledger, init, prune }) => {
            let role = match (adopt, fix, ledger) {
                (true, _, _) => Role::Adopts,
                (false, true, _) => Role::Fixes,
                (false, false, true) => Role::Ledger { init: *init, prune: *prune },
                (false, false, false) => Role::Removes,
            };
            iam_policy::iam_policy(global, role, screen).await
        }
        Some(Command::Completions { shell }) => meta::completions(*shell),
        Some(Command::Man { path }) => meta::man(path),
    }
}

/// Sends logs to stderr and nowhere else. `SAFE_REMOVE_LOG` overrides `-v` and `-q`.
fn log_to_stderr(global: &Global, screen: &Screen) {
    let level = match (global.quiet, global.verbose) {
        // Messages of libraries are for those who ask for them: every error that ends a command is reported in our own
        // words.
        (true, _) => "safe_remove=error",
        (false, 0) => "safe_remove=warn",
        (false, 1) => "safe_remove=info,warn",
        (false, 2) => "safe_remove=debug,info",
        (false, _) => "trace",
    };
    let filter = EnvFilter::try_from_env("SAFE_REMOVE_LOG").unwrap_or_else(|error| {
        if std::env::var_os("SAFE_REMOVE_LOG").is_some_and(|value| !value.is_empty()) {
            screen.note(&format!("SAFE_REMOVE_LOG is not used: {error}"));
        }
        EnvFilter::new(level)
    });
    // At its finest the HTTP client writes down what it sends, headers and queries too.
    let silent = ["ureq=off", "ureq_proto=off"].into_iter().filter_map(|directive| directive.parse().ok());
    let filter = silent.fold(filter, EnvFilter::add_directive);
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| CleanStderr).with_ansi(false);
    // Fails only where a logger is installed already, which then stays in use.
    let _ = log.try_init();
}

/// stderr for logs. It cleans them, because they quote other people's text.
struct CleanStderr;

impl std::io::Write for CleanStderr {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        std::io::stderr().write_all(clean_lines(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Help and version go to stdout. Everything else that clap refuses is a usage error in the requested format.
fn unreadable(error: &clap::Error, arguments: &[std::ffi::OsString]) -> Exit {
    let screen = Screen::of(format_of(arguments), false, Path::new(DEFAULT_DIRECTORY));
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        screen.stdout(&error.render().to_string());
        return Exit::DONE;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let diagnostic = Diagnostic::new("a command is missing").hint(error.render().to_string());
        return screen.fail(Exit::USAGE, &diagnostic);
    }
    let text = error.render().to_string();
    // clap's own prefix would be repeated.
    let mut lines = text.trim_end().trim_start_matches("error: ").lines().filter(|line| !line.trim().is_empty());
    let message = lines.next().unwrap_or("the arguments cannot be read").to_owned();
    let words: Vec<&str> = arguments.iter().skip(1).filter_map(|word| word.to_str()).collect();
    let meant = matches!(error.kind(), ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument);
    // Clap's usage shows how a command is made up. Nobody copies it.
    let policies = candidates::policies_of(arguments);
    let meant = meant.then(|| meant::meant(&words)).flatten().map(|meant| next::placed(&meant, &policies));
    // Clap names a command that looks alike. It is another one than the one that is meant.
    let is_guess = |line: &str| meant.is_some() && line.starts_with("tip: a similar subcommand");
    let lines: Vec<_> = lines.map(|line| line.trim().to_owned()).filter(|line| !is_guess(line)).collect();
    let rest: Vec<_> = meant.into_iter().chain(lines).collect();
    let diagnostic = Diagnostic::new(message).hint(rest.join("\n"));
    screen.fail(Exit::USAGE, &diagnostic)
}

/// The `--output` of a command line that cannot be parsed: a pipeline that asked for JSON gets JSON.
fn format_of(arguments: &[std::ffi::OsString]) -> Format {
    let mut format = Format::Text;
    let mut words = arguments.iter().skip(1).filter_map(|word| word.to_str()).peekable();
    while let Some(word) = words.next() {
        let value = match word {
            "--" => break,
            "-o" | "--output" => words.peek().copied(),
            _ => {
                word.strip_prefix("--output=").or_else(|| word.strip_prefix("-o=")).or_else(|| word.strip_prefix("-o"))
            }
        };
        match value {
            Some("json") => format = Format::Json,
            Some("ndjson") => format = Format::Ndjson,
            Some("text") => format = Format::Text,
            _ => {}
        }
    }
    format
}
