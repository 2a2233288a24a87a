//! [`Watched`]: what `status --watch` shows. On a terminal each status takes the place of the one before, and fits it.

use serde_json::Value;

use crate::model::RunId;

use super::args::Format;
use super::screen::Screen;
use super::{CommandOutput, pages};

/// The status that was shown last, and the runs that were under way in any.
#[derive(Default)]
pub(super) struct Watched {
    state: Option<Value>,
    lines: usize,
    runs: Vec<RunId>,
}

impl Watched {
    /// A watch that has shown nothing yet, of one run or of all.
    pub(super) fn of(run: Option<&RunId>) -> Self {
        Self { runs: run.into_iter().cloned().collect(), ..Self::default() }
    }

    /// The runs that were watched, the first one seen first.
    pub(super) fn runs(&self) -> &[RunId] {
        &self.runs
    }

    /// These runs are under way.
    pub(super) fn see<'a>(&mut self, runs: impl Iterator<Item = &'a RunId>) {
        for run in runs {
            if !self.runs.contains(run) {
                self.runs.push(run.clone());
            }
        }
    }

    /// Shows a status. `brief`: the same in fewer lines, the longest first, for a terminal that is too low for all of it.
    pub(super) fn show(&mut self, state: Value, answered: &CommandOutput, brief: &[String], screen: &Screen) {
        let text = || format!("{}\n", answered.text.on(pages::stdout()));
        if screen.format() == Format::Text && screen.is_stdout_a_terminal() {
            self.clear(screen);
            // The cursor is on the row below.
            let room = screen.terminal_rows().saturating_sub(1);
            let text = fitted(text(), brief, room, |text| screen.lines_of(text));
            screen.stdout(&text);
            self.lines = screen.lines_of(&text);
            return;
        }
        if self.state.as_ref() == Some(&state) {
            return;
        }
        self.state = Some(state);
        match screen.format() {
            Format::Text => screen.stdout(&text()),
            Format::Ndjson => screen.event(&answered.json),
            // JSON output is a single document: the last one.
            Format::Json => {}
        }
    }

    /// Takes what was shown last from the terminal.
    pub(super) fn clear(&mut self, screen: &Screen) {
        screen.clear_lines(std::mem::take(&mut self.lines));
    }
}

/// The text, or as much of a shorter form as `room` has rows for, and how many lines are missing.
fn fitted(full: String, brief: &[String], room: usize, rows: impl Fn(&str) -> usize) -> String {
    if rows(&full) <= room {
        return full;
    }
    let lines = |text: &str| text.trim_end().lines().count();
    let note = |shown: usize| {
        let more = lines(&full).saturating_sub(shown);
        format!("and {more} more lines: make the terminal higher, or `status RUN`\n")
    };
    let room = room.saturating_sub(rows(&note(0)));
    let form = brief.iter().find(|text| rows(text.trim_end()) <= room).or(brief.last()).unwrap_or(&full);
    let mut taken = 0;
    let fit = form.trim_end().lines().take_while(|line| {
        taken += rows(line).max(1);
        taken <= room
    });
    let shown = fit.collect::<Vec<_>>().join("\n");
    let shown = shown.trim_end();
    format!("{shown}\n{}", note(lines(shown)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_higher_than_the_terminal_is_cut_to_its_height() {
        let rows = |text: &str| text.lines().count();
        let full = "a\nb\nc\nd\ne\nf\n\n".to_owned();
        let brief = ["a\nb\nc\nd\n".to_owned(), "a\nc\n".to_owned()];
        assert_eq!(fitted(full.clone(), &brief, 7, rows), full);
        let note = |more| format!("and {more} more lines: make the terminal higher, or `status RUN`\n");
        for (room, shown, more) in [(5, "a\nb\nc\nd\n", 2), (4, "a\nc\n", 4), (3, "a\nc\n", 4), (2, "a\n", 5)] {
            let text = fitted(full.clone(), &brief, room, rows);
            assert_eq!(text, format!("{shown}{}", note(more)), "{room}");
            assert!(rows(&text) <= room, "{room}: {text}");
        }
    }
}
