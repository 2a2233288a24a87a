//! [`Keyboard`]: where a person types, and what the terminal does with the keys meanwhile.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use dialoguer::console::Term;
use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcgetpgrp, tcsetattr};

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

/// Restores the terminal to its former state when it is dropped: the reading thread may be stopped while keys are taken one
/// by one.
pub(super) struct AsItWas {
    pub(super) keyboard: Arc<Keyboard>,
    found: Termios,
}

impl AsItWas {
    /// Makes the terminal deliver every key at once and without echo, so that nothing is shown twice or changed between two
    /// reads. Signals stay signals. Keys typed before the question could be read are not an answer to it: they are
    /// forgotten.
    pub(super) fn taking_keys(keyboard: Keyboard) -> io::Result<Self> {
        let as_it_was = Self::without(keyboard, LocalModes::ECHO | LocalModes::ICANON)?;
        tcflush(&*as_it_was.keyboard, QueueSelector::IFlush)?;
        Ok(as_it_was)
    }

    /// Shows nothing of what is typed: a key would break a line that is drawn again and again, and the row above would stay.
    /// `None` where nobody can type: without a terminal, or in the background, where a change of it would stop the process.
    pub(super) fn unseen(keyboard: Keyboard) -> Option<Self> {
        if tcgetpgrp(&keyboard).ok()? != getpgrp() {
            return None;
        }
        Self::without(keyboard, LocalModes::ECHO).ok()
    }

    fn without(keyboard: Keyboard, modes: LocalModes) -> io::Result<Self> {
        let found = tcgetattr(&keyboard)?;
        let as_it_was = Self { keyboard: Arc::new(keyboard), found };
        let mut changed = as_it_was.found.clone();
        changed.local_modes.remove(modes);
        tcsetattr(&*as_it_was.keyboard, OptionalActions::Now, &changed)?;
        Ok(as_it_was)
    }
}

impl Drop for AsItWas {
    fn drop(&mut self) {
        // In the background the shell has the terminal, and a change of it would stop the process.
        if tcgetpgrp(&*self.keyboard).is_ok_and(|group| group == getpgrp()) {
            let _ = tcsetattr(&*self.keyboard, OptionalActions::Now, &self.found);
        }
        let _ = Term::stderr().show_cursor();
    }
}
