//! `safe-remove doctor`: what stands in the way of a removal, before anybody needs one.

use std::sync::Arc;

use crate::ops::{self, OperationError};
use crate::output::{doctor_causes, doctor_text};

use super::args::Global;
use super::error::Diagnostic;
use super::screen::Screen;
use super::terminal::Terminal;
use super::{CommandOutput, Exit};

/// Looks, and shows what was found. `fix`: raises the provider's minimums before, as a person confirms.
pub(super) async fn run(global: &Global, fix: bool, screen: &Arc<Screen>) -> Result<CommandOutput, OperationError> {
    let minimums = match fix {
        true => Some(ops::raise_minimums(&global.policies, &Terminal::of(screen)).await?),
        false => None,
    };
    let document = ops::doctor(&global.policies, minimums).await?;
    let text = doctor_text(&document);
    let causes = doctor_causes(&document);
    if causes.is_empty() {
        return CommandOutput::document(Exit::DONE, text, &document);
    }
    let is_raised = document.minimums.as_ref().is_some_and(|of| !of.raised.is_empty());
    let touched = if is_raised { "" } else { "; nothing was touched" };
    let mut diagnostic = Diagnostic::new(format!("something stands in the way of a removal{touched}"));
    diagnostic.causes = causes;
    diagnostic.is_answered = true;
    Ok(CommandOutput::document(Exit::FLEET_UNKNOWN, text, &document)?.complaining(diagnostic))
}
