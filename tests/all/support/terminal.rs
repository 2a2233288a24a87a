//! [`Terminal`]: the binary on a pseudo-terminal, as a person sees it. An emulator draws what arrives, so that a test
//! reads the rows of a screen instead of escape sequences.

use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rexpect::process::{PtyProcess, WaitStatus};

use unicode_width::UnicodeWidthStr as _;

use crate::environment::{TestEnvironment, words};

/// The widths that every screen is drawn for.
pub(crate) const COLUMNS: [u16; 3] = [60, 80, 120];

/// Far above what a loaded machine takes.
const PATIENCE: Duration = Duration::from_secs(90);

/// The height of every terminal.
const ROWS: NonZeroU16 = NonZeroU16::new(24).expect("not zero");

/// How many rows are kept that have scrolled away.
const SCROLLBACK: usize = 2_000;

pub(crate) struct Terminal {
    process: PtyProcess,
    emulator: Arc<Mutex<vt100::Parser>>,
    reader: Option<JoinHandle<()>>,
    keys: std::fs::File,
    modes: PathBuf,
}

/// How a call ended, and what its terminal then shows.
pub(crate) struct Ended {
    pub(crate) code: i32,
    /// Every row, those that have scrolled away included.
    pub(crate) rows: Vec<String>,
    /// Whether the terminal shows what is typed, as it did before.
    pub(crate) echoes: bool,
}

impl Terminal {
    /// Starts the binary on a terminal of so many columns and 24 rows.
    pub(crate) fn open(environment: &TestEnvironment, arguments: &[&str], columns: u16) -> Self {
        let columns = NonZeroU16::new(columns).expect("a width");
        // The size must be there before the program asks for it.
        // Keys that send signals are for the program alone; how it leaves the terminal is seen before that goes with it.
        let modes = environment.path().join("terminal-modes");
        let script = format!(
            "stty echo rows {ROWS} cols {columns} && trap : INT TSTP && \"$0\" \"$@\"; code=$?; stty -a >'{}'; exit $code",
            modes.display()
        );
        let mut command = environment.shell(&script);
        command.arg(env!("CARGO_BIN_EXE_safe-remove")).args(arguments);
        let process = PtyProcess::new(command).expect("it starts");
        let emulator = Arc::new(Mutex::new(vt100::Parser::new(ROWS, columns, SCROLLBACK)));
        let mut output = process.get_file_handle().expect("the terminal");
        let keys = process.get_file_handle().expect("the terminal");
        let screen = Arc::clone(&emulator);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The end of a pseudo-terminal is an error.
            while let Ok(read @ 1..) = output.read(&mut bytes) {
                screen.lock().expect("not poisoned").process(&bytes[..read]);
            }
        });
        Self { process, emulator, reader: Some(reader), keys, modes }
    }

    /// The rows of the screen as it is.
    pub(crate) fn screen(&self) -> Vec<String> {
        let emulator = self.emulator.lock().expect("not poisoned");
        let columns = emulator.screen().size().1;
        emulator.screen().rows(0, columns.get()).map(|row| row.trim_end().to_owned()).collect()
    }

    /// Every line since the start: rows that the terminal broke are one.
    fn rows(&self) -> Vec<String> {
        let mut emulator = self.emulator.lock().expect("not poisoned");
        let (height, columns) = emulator.screen().size();
        let (height, columns) = (height.get(), columns.get());
        emulator.screen_mut().set_scrollback(SCROLLBACK);
        let above = emulator.screen().scrollback();
        let mut rows: Vec<(String, bool)> = Vec::new();
        // One row at a time comes into sight at the top, from the oldest on; the last view shows the rest.
        for offset in (0..=above).rev() {
            emulator.screen_mut().set_scrollback(offset);
            let screen = emulator.screen();
            let seen = if offset == 0 { height } else { 1 };
            rows.extend(
                screen
                    .rows(0, columns)
                    .take(seen.into())
                    .enumerate()
                    .map(|(place, row)| (row, screen.row_wrapped(u16::try_from(place).expect("a row")))),
            );
        }
        let mut lines: Vec<String> = Vec::new();
        let mut goes_on = false;
        for (row, wraps) in rows {
            match lines.last_mut().filter(|_| goes_on) {
                Some(line) => line.push_str(&row),
                None => lines.push(row),
            }
            goes_on = wraps;
        }
        let mut lines: Vec<String> = lines.iter().map(|line| line.trim_end().to_owned()).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }

    /// Waits until the screen has this text, and returns its rows.
    #[track_caller]
    pub(crate) fn see(&self, text: &str) -> Vec<String> {
        self.watch(text, |rows| Some(rows).filter(|rows| rows.join("\n").contains(text)))
    }

    /// Waits until the screen shows what is looked for.
    #[track_caller]
    pub(crate) fn watch<T>(&self, text: &str, find: impl Fn(Vec<String>) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = find(self.screen()) {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "{text:?} did not appear:\n{}", self.rows().join("\n"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Types a line.
    pub(crate) fn type_line(&mut self, line: &str) {
        self.type_keys(&format!("{line}\r"));
    }

    /// Types without Enter.
    pub(crate) fn type_keys(&mut self, keys: &str) {
        // As a person would: never before the question can read it.
        std::thread::sleep(Duration::from_millis(300));
        self.keys.write_all(keys.as_bytes()).expect("typed");
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&mut self) {
        self.keys.write_all(b"\x03").expect("typed");
    }

    /// Presses Ctrl-Z.
    pub(crate) fn stop_key(&mut self) {
        self.keys.write_all(b"\x1a").expect("typed");
    }

    /// Waits until it ends.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let status = self.process.wait().expect("it ends");
        self.reader.take().expect("started").join().expect("it read");
        let WaitStatus::Exited(_, code) = status else { panic!("{status:?}: {}", self.rows().join("\n")) };
        let modes = std::fs::read_to_string(&self.modes).expect("what stty said");
        Ended { code, rows: self.rows(), echoes: modes.split_whitespace().any(|mode| mode == "echo") }
    }
}

fn regex(pattern: &str) -> regex::Regex {
    regex::Regex::new(pattern).expect("a pattern of this file")
}

/// No row goes on beyond the edge, unless a person copies it; times have their zone and no fractions, one host is one
/// host, durations are as people write them, and no path has a detour.
#[track_caller]
pub(crate) fn keeps_to(columns: u16, rows: &[String]) {
    let text = one_line(rows);
    for time in regex(r"[0-9]:[0-9]{2}:[0-9]{2}").find_iter(&text) {
        assert!(text[time.end()..].starts_with(" UTC"), "a time without its zone, or with fractions: {text}");
    }
    for (pattern, what) in [
        (r"\b1 (hosts|units|batches|runs|calls|times|records|subsystems)\b", "one of many"),
        (r"[0-9]s [0-9]+ms|\b1d\b", "a duration"),
        (r"/\.\./", "a detour"),
    ] {
        let found = regex(pattern).find(&text);
        assert!(found.is_none(), "{what}: {found:?}\n{}", rows.join("\n"));
    }
    for row in rows.iter().filter(|row| !row.contains("safe-remove ") && !row.contains('/')) {
        assert!(row.width() <= usize::from(columns), "{columns}: {row}\n{}", rows.join("\n"));
    }
}

/// What the rows say, wherever they break.
pub(crate) fn one_line(rows: &[String]) -> String {
    words(&rows.join("\n"))
}
