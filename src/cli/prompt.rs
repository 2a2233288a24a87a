//! The question before the point of no return. It has no default and never answers itself.
//!
//! It is drawn with dialoguer's theme. The keys are read one by one, because dialoguer's `Response` ignores Ctrl-D, and
//! end-of-file must end the question (contract section 8, "Confirmation").

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dialoguer::console::{Key, Term};
use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr};
use tokio::sync::oneshot;

use crate::ops::{Orders, Reply};
use crate::output::is_unsafe;
use crate::run::Order;

use super::pages;

/// The longest answer that is read; anything longer is not an answer.
const ANSWER_MAX: usize = 256;

/// How often a question that waits looks whether it was withdrawn.
const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Where a person types the answer.
#[derive(Debug)]
pub(super) enum Keyboard {
    /// stdin is a terminal.
    Stdin(io::Stdin),
    /// stdin had a list of hosts, and the terminal was found without it.
    Terminal(File),
}

impl Keyboard {
    /// The keyboard of a person who sees stderr. `None` where nobody can be asked: stderr is no terminal, or stdin is
    /// none. If a list of hosts was read from stdin (`--host -`), the terminal of the session takes its place.
    pub(super) fn find(stdin_had_hosts: bool) -> Option<Self> {
        let stdin = io::stdin();
        if !io::stderr().is_terminal() {
            None
        } else if stdin.is_terminal() {
            Some(Self::Stdin(stdin))
        } else if stdin_had_hosts {
            // console opens the same where stdin is no terminal.
            File::options().read(true).write(true).open("/dev/tty").ok().map(Self::Terminal)
        } else {
            None
        }
    }
}

impl AsFd for Keyboard {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stdin(stdin) => stdin.as_fd(),
            Self::Terminal(file) => file.as_fd(),
        }
    }
}

/// Asks once. A signal ends the question at once. The terminal is restored afterwards.
pub(super) async fn ask(keyboard: Keyboard, question: &str, orders: &mut Orders) -> Reply {
    let terminal = match AsItWas::taking_keys(keyboard) {
        Ok(terminal) => terminal,
        Err(error) => return Reply::Broken(error),
    };
    let term = Term::stderr();
    if let Err(error) = draw(&term, question) {
        return Reply::Broken(error);
    }
    // Nothing outside can interrupt a read of a terminal; the thread ends with the process.
    let (typed, reply) = oneshot::channel();
    let keyboard = Arc::clone(&terminal.keyboard);
    std::thread::spawn(move || typed.send(read(&keyboard, &Term::stderr())));
    let reply = tokio::select! {
        reply = reply => match reply {
            Ok(Ok(Some(typed))) => Reply::Typed(typed.trim().to_owned()),
            Ok(Ok(None)) | Err(_) => Reply::EndOfFile,
            // Ctrl-C is read as a key while the terminal is in raw mode.
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => Reply::Ordered(Order::Interrupt),
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Reply::EndOfFile,
            Ok(Err(error)) => Reply::Broken(error),
        },
        order = orders.next() => Reply::Ordered(order),
    };
    if !matches!(reply, Reply::Typed(_)) {
        // The next line of output must not continue the question.
        let _ = term.write_line("");
    }
    reply
}

/// Asks once, until the question is withdrawn: then there is no reply. Blocks, and restores the terminal afterwards.
pub(super) fn ask_until(keyboard: Keyboard, question: &str, withdrawn: &AtomicBool) -> Option<Reply> {
    let asked = || -> io::Result<Option<Reply>> {
        let terminal = AsItWas::taking_keys(keyboard)?;
        let term = Term::stderr();
        draw(&term, question)?;
        let read = read_until(&terminal.keyboard, &term, withdrawn);
        if !matches!(read, Ok(Some(Some(_)))) {
            // The next line of output must not continue the question.
            let _ = term.write_line("");
        }
        Ok(read?.map(|typed| typed.map_or(Reply::EndOfFile, |typed| Reply::Typed(typed.trim().to_owned()))))
    };
    match asked() {
        Ok(reply) => reply,
        // Ctrl-C is read as a key while the terminal is in raw mode.
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Some(Reply::Ordered(Order::Interrupt)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Some(Reply::EndOfFile),
        Err(error) => Some(Reply::Broken(error)),
    }
}

fn draw(term: &Term, question: &str) -> io::Result<()> {
    let mut text = String::new();
    let theme: &dyn Theme = if dialoguer::console::colors_enabled_stderr() && !pages::stderr().ascii {
        &ColorfulTheme::default()
    } else {
        &SimpleTheme
    };
    theme.format_input_prompt(&mut text, question, None).map_err(io::Error::other)?;
    term.write_str(&text)?;
    term.flush()
}

/// Reads an answer; `None` is end-of-file.
fn read(keyboard: &Keyboard, term: &Term) -> io::Result<Option<String>> {
    Ok(read_until(keyboard, term, &AtomicBool::new(false))?.flatten())
}

/// Reads an answer, unless the question is withdrawn before it is entered. `Some(None)` is end-of-file.
fn read_until(keyboard: &Keyboard, term: &Term, withdrawn: &AtomicBool) -> io::Result<Option<Option<String>>> {
    let mut typed = String::new();
    loop {
        while !is_key_there(keyboard)? {
            if withdrawn.load(Ordering::Relaxed) {
                return Ok(None);
            }
        }
        match term.read_key()? {
            Key::Enter => {
                term.write_line("")?;
                return Ok(Some(Some(typed)));
            }
            Key::Backspace if typed.pop().is_some() => term.clear_chars(1)?,
            // Ctrl-D. With a line discipline it ends the input; here it is a key.
            Key::Char('\u{4}') => return Ok(Some(None)),
            Key::Char(c) if !is_unsafe(c) && typed.len() < ANSWER_MAX => {
                typed.push(c);
                term.write_str(c.encode_utf8(&mut [0; 4]))?;
            }
            _ => {}
        }
    }
}

/// Whether there is something to read, after a short wait.
fn is_key_there(keyboard: &Keyboard) -> io::Result<bool> {
    let mut fds = [PollFd::new(keyboard, PollFlags::IN)];
    match poll(&mut fds, Some(&LOOK_EVERY)) {
        Ok(ready) => Ok(ready > 0),
        // A signal, which the run hears by itself.
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Restores the terminal to its former state: the reading thread may be stopped while the terminal is raw.
struct AsItWas {
    keyboard: Arc<Keyboard>,
    found: Termios,
}

impl AsItWas {
    /// Remembers the terminal's state, and makes the terminal deliver every key at once and without echo, so that
    /// nothing is shown twice or changed between two reads. Signals stay signals. Keys typed before the question could be
    /// read are not an answer to it: they are forgotten.
    fn taking_keys(keyboard: Keyboard) -> io::Result<Self> {
        let found = tcgetattr(&keyboard)?;
        let as_it_was = Self { keyboard: Arc::new(keyboard), found };
        let mut keys = as_it_was.found.clone();
        keys.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
        tcsetattr(&*as_it_was.keyboard, OptionalActions::Now, &keys)?;
        tcflush(&*as_it_was.keyboard, QueueSelector::IFlush)?;
        Ok(as_it_was)
    }
}

impl Drop for AsItWas {
    fn drop(&mut self) {
        let _ = tcsetattr(&*self.keyboard, OptionalActions::Now, &self.found);
        let _ = Term::stderr().show_cursor();
    }
}
