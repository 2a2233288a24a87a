//! Output for people and programs: the documents of contract section 7, the same as text, and progress.
//!
//! A [`Text`] says something in blocks; it is laid out for a [`Page`] when it is written, so that nothing here asks how wide
//! a terminal is. Other people's text passes through [`clean`] on its way out. Nothing here decides, and nothing here writes
//! to stdout: commands do.

mod batches;
mod capacity;
mod clean;
mod doctor;
mod documents;
mod headroom;
mod hosts;
mod judges;
pub(crate) mod next;
mod page;
mod place;
mod plan;
mod probes;
mod progress;
mod question;
mod readings;
mod refusal;
pub(crate) mod report;
mod run;
mod status;
mod steps;
mod table;
mod text;
mod waits;
mod wrap;

pub(crate) use capacity::capacity_line;
pub(crate) use clean::{clean, clean_lines, is_unsafe, json_document, json_line};
pub(crate) use doctor::{
    Check, CheckState, DoctorDocument, MinimumsDocument, RaisedMinimum, doctor_causes, doctor_text, low_text,
};
pub(crate) use documents::{
    ErrorDocument, HeadroomDocument, HistoryDocument, HistoryHalt, Hypothesis, PlanEnd, ResultDocument, placed_plan,
};
pub(crate) use headroom::headroom_text;
pub(crate) use hosts::{HostsDocument, hosts_list_text};
pub(crate) use judges::{judges, judges_text};
pub(crate) use page::Page;
pub(crate) use place::{ClockSpeed, Place};
pub(crate) use plan::{other_text, plan_text};
pub(crate) use probes::{ProbeCheck, probes_text};
pub(crate) use progress::ProgressScreen;
pub(crate) use question::{batch_prompt, batch_question_text};
pub(crate) use readings::{nearest_first, readings_text};
pub(crate) use refusal::{largest_text, refusal_line};
pub(crate) use run::{run_sentence, run_text, takeovers_text};
pub(crate) use status::{
    StatusBatch, StatusCall, StatusDocument, StatusHalt, StatusHold, StatusPause, StatusQuestion, StatusRun,
};
pub(crate) use steps::trouble_text;
pub(crate) use table::{Align, Table};
pub(crate) use text::{Text, hosts_text};
pub(crate) use wrap::wrap_lines;
