//! Output for people and programs: the documents of contract section 7, the same as text, and progress.
//!
//! Text is laid out for [`WIDTH`] columns and looks the same with and without a terminal. Other people's text passes
//! through [`clean`] on its way out. Nothing here decides, and nothing here writes to stdout: commands do.

mod clean;
mod documents;
mod headroom;
pub(crate) mod next;
mod plan;
mod progress;
mod question;
mod readings;
pub(crate) mod report;
mod run;
mod table;
mod text;

pub(crate) use clean::{clean, clean_lines, is_unsafe, json_document, json_line};
pub(crate) use documents::{
    ErrorDocument, HeadroomDocument, HistoryDocument, HistoryHalt, Hypothesis, Place, PlanEnd, ResultDocument,
    StatusBatch, StatusCall, StatusDocument, StatusHalt, StatusHold, StatusPause, StatusQuestion, StatusRun,
    placed_plan,
};
pub(crate) use headroom::headroom_text;
pub(crate) use plan::{plan_text, refusal_line};
pub(crate) use progress::ProgressScreen;
pub(crate) use question::{batch_prompt, batch_question_text};
pub(crate) use readings::{nearest_first, readings_text};
pub(crate) use run::{run_sentence, run_text, takeovers_text};
pub(crate) use table::{Align, Table};
pub(crate) use text::{FIELD, field, hosts_text, span_text, wrap};

/// The width of text in columns: fits beside a runbook on a laptop, and in a ticket.
pub(crate) const WIDTH: usize = 100;
