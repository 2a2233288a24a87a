//! The question before the point of no return. It has no default and never answers itself.
//!
//! It is drawn with dialoguer's theme. The keys are read one by one, because dialoguer's `Response` ignores Ctrl-D, and
//! end-of-file must end the question (contract section 8, "Confirmation").

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dialoguer::console::{Key, Term, measure_text_width};
use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::oneshot;

use crate::ops::{Orders, Reply};
use crate::output::{clean_lines, is_unsafe, wrap_lines};
use crate::run::Order;

use super::keyboard::{AsItWas, Keyboard};
use super::pages;

/// The longest answer that is read; anything longer is not an answer.
const ANSWER_MAX: usize = 256;

/// The columns that the theme takes before and behind a question.
const THEME_COLUMNS: usize = 5;

/// Room for most answers on the last line of a question that is wider than the terminal.
const ANSWER_COLUMNS: usize = 12;

/// How often a question that waits looks whether it was withdrawn, or something is to be said.
const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// A question that waits for its answer hears this: it is withdrawn, or something is to be said above it.
#[derive(Default)]
pub(super) struct Meanwhile {
    withdrawn: AtomicBool,
    remarks: Mutex<Vec<String>>,
}

impl Meanwhile {
    /// Ends the question without an answer.
    pub(super) fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Relaxed);
    }

    /// Says something above the question, which is then drawn again.
    pub(super) fn remark(&self, text: String) {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    fn is_withdrawn(&self) -> bool {
        self.withdrawn.load(Ordering::Relaxed)
    }

    fn remarks(&self) -> Vec<String> {
        std::mem::take(&mut self.remarks.lock().unwrap_or_else(PoisonError::into_inner))
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
    let again = question.to_owned();
    std::thread::spawn(move || {
        let read = read_until(&keyboard, &Term::stderr(), &again, &Meanwhile::default());
        typed.send(read.map(Option::flatten))
    });
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
pub(super) fn ask_until(keyboard: Keyboard, question: &str, meanwhile: &Meanwhile) -> Option<Reply> {
    let asked = || -> io::Result<Option<Reply>> {
        let terminal = AsItWas::taking_keys(keyboard)?;
        let term = Term::stderr();
        draw(&term, question)?;
        let read = read_until(&terminal.keyboard, &term, question, meanwhile);
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
    let (before, last) = split(question, usize::from(term.size().1));
    if let Some(before) = before {
        term.write_line(&before)?;
    }
    theme.format_input_prompt(&mut text, &last, None).map_err(io::Error::other)?;
    term.write_str(&text)?;
    term.flush()
}

/// The lines before the last one of a question that is wider than the terminal, if it is, and the last.
fn split(question: &str, columns: usize) -> (Option<String>, String) {
    if measure_text_width(question) + THEME_COLUMNS <= columns {
        return (None, question.to_owned());
    }
    let wrapped = wrap_lines(question, columns.saturating_sub(THEME_COLUMNS + ANSWER_COLUMNS));
    match wrapped.rsplit_once('\n') {
        Some((before, last)) => (Some(before.to_owned()), last.to_owned()),
        None => (None, wrapped),
    }
}

/// Reads an answer, unless the question is withdrawn before it is entered. `Some(None)` is end-of-file.
fn read_until(
    keyboard: &Keyboard,
    term: &Term,
    question: &str,
    meanwhile: &Meanwhile,
) -> io::Result<Option<Option<String>>> {
    let mut typed = String::new();
    loop {
        while !is_key_there(keyboard)? {
            if meanwhile.is_withdrawn() {
                return Ok(None);
            }
            let remarks = meanwhile.remarks();
            if !remarks.is_empty() {
                // The row of the question is left as it is: what was typed belongs to it.
                term.write_line("")?;
                let page = pages::stderr();
                let laid_out = |remark: &String| page.spelled(wrap_lines(&clean_lines(remark), page.width));
                remarks.iter().try_for_each(|remark| term.write_line(&laid_out(remark)))?;
                draw(term, question)?;
                term.write_str(&typed)?;
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
