//! `safe-remove doctor`: what stands in the way of a removal, before anybody needs one.

use crate::ops::{self, OperationError};
use crate::output::{doctor_causes, doctor_text};

use super::args::Global;
use super::error::Diagnostic;
use super::{CommandOutput, Exit};

/// Looks, and shows what was found.
pub(super) async fn run(global: &Global) -> Result<CommandOutput, OperationError> {
    let document = ops::doctor(&global.policies).await?;
    let text = doctor_text(&document);
    let causes = doctor_causes(&document);
    if causes.is_empty() {
        return CommandOutput::document(Exit::DONE, text, &document);
    }
    let mut diagnostic = Diagnostic::new("something stands in the way of a removal; nothing was touched");
    diagnostic.causes = causes;
    diagnostic.is_answered = true;
    Ok(CommandOutput::document(Exit::FLEET_UNKNOWN, text, &document)?.complaining(diagnostic))
}
