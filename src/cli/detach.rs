//! `--detach`: a run that goes on without its terminal.
//!
//! The command starts itself once more. That process plans, asks, and opens the run as always. Then it turns its outputs
//! to a log file and no longer hears that the terminal is gone, and this process ends.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use tokio::signal::unix::{SignalKind, signal};

use crate::model::RunId;

use super::exit::Exit;

/// The option as it is typed, and as it is passed to the process that will go on.
const TYPED: &str = "--detach";
const PASSED: &str = "--detached";

/// How long the other process may take to end, once it writes nothing more, to count as one that ended.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

/// Starts the process that goes on without the terminal, and waits until it does or has ended.
///
/// # Errors
///
/// The process cannot be started. Nothing was touched.
pub(super) fn start(arguments: &[OsString]) -> io::Result<Exit> {
    // The questions of the other process are answered on this terminal: Ctrl-C is for it to heed.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _heard = runtime
        .block_on(async { Ok::<_, io::Error>((signal(SignalKind::interrupt())?, signal(SignalKind::quit())?)) })?;
    let passed = arguments.iter().skip(1).map(|word| if word == TYPED { OsString::from(PASSED) } else { word.clone() });
    let mut child = Command::new(std::env::current_exe()?).args(passed).stdout(Stdio::piped()).spawn()?;
    if let Some(mut answer) = child.stdout.take() {
        // A reader that went away is told to the other process by its own writes.
        let _ = io::copy(&mut answer, &mut io::stdout());
    }
    Ok(ended(&mut child)?.unwrap_or(Exit::DONE))
}

/// The exit code of a process that wrote its last word; `None` if it goes on.
fn ended(child: &mut Child) -> io::Result<Option<Exit>> {
    let begun = Instant::now();
    while begun.elapsed() < ENDS_WITHIN {
        if let Some(status) = child.try_wait()? {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            return Ok(Some(code.map_or(Exit::INTERNAL, Exit::of_run)));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(None)
}

/// The log of a run that goes on without a terminal: in the working directory.
pub(super) fn log_of(run: &RunId) -> PathBuf {
    PathBuf::from(format!("safe-remove-{run}.log"))
}

/// Turns the outputs of this process to a file, which may exist: whoever repeats a request adds to it.
///
/// # Errors
///
/// The file cannot be written.
pub(super) fn turn_to(log: &Path) -> io::Result<()> {
    let log = File::options().create(true).append(true).open(log)?;
    dup2_stdin(File::open("/dev/null")?)?;
    dup2_stdout(&log)?;
    dup2_stderr(&log)?;
    Ok(())
}
