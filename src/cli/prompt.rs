//! The question before the point of no return. It has no default and never answers itself.
//!
//! It is drawn with dialoguer's theme. The keys are read one by one, because dialoguer's `Response` ignores Ctrl-D, and
//! end-of-file must end the question (contract section 8, "Confirmation").

use std::io::{self, IsTerminal as _};

use dialoguer::console::{Key, Term};
use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};
use rustix::termios::{LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr};
use tokio::sync::oneshot;

use crate::ops::{Orders, Reply};
use crate::output::is_unsafe;
use crate::run::Order;

/// The longest answer that is read; anything longer is not an answer.
const ANSWER_MAX: usize = 256;

/// Whether there is a person to ask: stdin and stderr are terminals.
pub(super) fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks once. A signal ends the question at once. The terminal is restored afterwards.
pub(super) async fn ask(question: &str, orders: &mut Orders) -> Reply {
    let _restore = match AsItWas::taking_keys() {
        Ok(terminal) => terminal,
        Err(error) => return Reply::Broken(error),
    };
    // Keys typed before the question could be read are not an answer to it.
    if let Err(error) = tcflush(io::stdin(), QueueSelector::IFlush) {
        return Reply::Broken(error.into());
    }
    let term = Term::stderr();
    if let Err(error) = draw(&term, question) {
        return Reply::Broken(error);
    }
    // Nothing outside can interrupt a read of a terminal; the thread ends with the process.
    let (typed, reply) = oneshot::channel();
    std::thread::spawn(move || typed.send(read(&Term::stderr())));
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

fn draw(term: &Term, question: &str) -> io::Result<()> {
    let mut text = String::new();
    let theme: &dyn Theme =
        if dialoguer::console::colors_enabled_stderr() { &ColorfulTheme::default() } else { &SimpleTheme };
    theme.format_input_prompt(&mut text, question, None).map_err(io::Error::other)?;
    term.write_str(&text)?;
    term.flush()
}

/// Reads an answer; `None` is end-of-file.
fn read(term: &Term) -> io::Result<Option<String>> {
    let mut typed = String::new();
    loop {
        match term.read_key()? {
            Key::Enter => {
                term.write_line("")?;
                return Ok(Some(typed));
            }
            Key::Backspace if typed.pop().is_some() => term.clear_chars(1)?,
            // Ctrl-D. With a line discipline it ends the input; here it is a key.
            Key::Char('\u{4}') => return Ok(None),
            Key::Char(c) if !is_unsafe(c) && typed.len() < ANSWER_MAX => {
                typed.push(c);
                term.write_str(c.encode_utf8(&mut [0; 4]))?;
            }
            _ => {}
        }
    }
}

/// Restores the terminal to its former state: the reading thread may be stopped while the terminal is raw.
struct AsItWas(Termios);

impl AsItWas {
    /// Remembers the terminal's state, and makes the terminal deliver every key at once and without echo, so that
    /// nothing is shown twice or changed between two reads. Signals stay signals.
    fn taking_keys() -> io::Result<Self> {
        let found = Self(tcgetattr(io::stdin())?);
        let mut keys = found.0.clone();
        keys.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
        tcsetattr(io::stdin(), OptionalActions::Now, &keys)?;
        Ok(found)
    }
}

impl Drop for AsItWas {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
        let _ = Term::stderr().show_cursor();
    }
}
