//! `safe-remove report RUN`: what happened in a run, as text, as Markdown, as a document, or as a page.

use std::path::Path;

use crate::model::RunId;
use crate::ops::{self, OperationError};
use crate::output::{Text, report};

use super::args::Global;
use super::{CommandOutput, Exit};

/// Makes the report, and shows it; with `html` the page is written first.
pub(super) async fn run(
    global: &Global,
    run: &RunId,
    markdown: bool,
    html: Option<&Path>,
) -> Result<CommandOutput, OperationError> {
    let document = ops::run_report(&global.policies, run).await?;
    let text = match html {
        Some(file) => {
            ops::write_page(file, &report::page(&document))?;
            Text::of(&format!("{} has the report of run {run}", file.display()))
        }
        None if markdown => Text::verbatim(report::markdown(&document)),
        None => report::text(&document),
    };
    CommandOutput::document(Exit::DONE, text, &document)
}
